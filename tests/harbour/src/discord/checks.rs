//! The lengths and counts that Discord allows in a message.

use serde_json::Value;

use super::reply::Reply;
use super::routes::Ask;

const CONTENT: usize = 2000;
const EMBEDS: usize = 10;
const EMBED_TOTAL: usize = 6000;
const TITLE: usize = 256;
const DESCRIPTION: usize = 4096;
const FIELDS: usize = 25;
const FIELD_NAME: usize = 256;
const FIELD_VALUE: usize = 1024;
const ROWS: usize = 5;
const BUTTONS: usize = 5;
const CUSTOM_ID: usize = 100;
const LABEL: usize = 80;

fn length(value: &Value) -> usize {
    value.as_str().map_or(0, |text| text.chars().count())
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Refuses what is too long, too many or empty. `whole`: it is a new message,
/// which must hold something.
pub(super) fn message(body: &Value, whole: bool) -> Result<(), Reply> {
    if length(&body["content"]) > CONTENT {
        return Err(Reply::invalid(
            "content",
            "Must be 2000 or fewer in length.",
        ));
    }
    let embeds = list(&body["embeds"]);
    if embeds.len() > EMBEDS {
        return Err(Reply::invalid("embeds", "Must be 10 or fewer in length."));
    }
    let mut total = 0;
    for embed in embeds {
        total += self::embed(embed)?;
    }
    if total > EMBED_TOTAL {
        return Err(Reply::invalid(
            "embeds",
            "Embed size exceeds maximum size of 6000",
        ));
    }
    components(&body["components"])?;
    if whole && length(&body["content"]) == 0 && embeds.is_empty() {
        return Err(Reply::refused(400, 50006, "Cannot send an empty message"));
    }
    Ok(())
}

/// Refuses files that the body does not name, and what is too large or too many.
pub(super) fn files(ask: &Ask<'_>) -> Result<(), Reply> {
    const MOST: usize = 10 << 20;
    if ask.files.is_empty() {
        return Ok(());
    }
    if ask.files.len() > 10 {
        return Err(Reply::invalid("files", "Must be 10 or fewer in length."));
    }
    let size: usize = ask.files.iter().map(|file| file.bytes.len()).sum();
    if size > MOST {
        return Err(Reply::refused(413, 40005, "Request entity too large"));
    }
    let named = match &ask.body["data"]["attachments"] {
        Value::Null => &ask.body["attachments"],
        named => named,
    };
    for file in &ask.files {
        let known = list(named).iter().any(|named| {
            named["id"] == *file.number.to_string() && named["filename"] == file.name.as_str()
        });
        if !known {
            return Err(Reply::invalid(
                "attachments",
                "a file is not named by its id",
            ));
        }
    }
    Ok(())
}

/// The characters of an embed that count.
fn embed(embed: &Value) -> Result<usize, Reply> {
    for (field, most) in [("title", TITLE), ("description", DESCRIPTION)] {
        if length(&embed[field]) > most {
            return Err(Reply::invalid("embeds", &format!("{field} is too long")));
        }
    }
    let fields = list(&embed["fields"]);
    if fields.len() > FIELDS {
        return Err(Reply::invalid("embeds", "too many fields"));
    }
    let mut total = length(&embed["title"])
        + length(&embed["description"])
        + length(&embed["footer"]["text"])
        + length(&embed["author"]["name"]);
    for field in fields {
        for (part, most) in [("name", FIELD_NAME), ("value", FIELD_VALUE)] {
            let long = length(&field[part]);
            if long == 0 || long > most {
                return Err(Reply::invalid(
                    "embeds",
                    &format!("the {part} of a field has {long} characters"),
                ));
            }
            total += long;
        }
    }
    Ok(total)
}

pub(super) fn components(value: &Value) -> Result<(), Reply> {
    let rows = list(value);
    if rows.len() > ROWS {
        return Err(Reply::invalid("components", "more than 5 rows"));
    }
    let mut ids: Vec<&str> = Vec::new();
    for row in rows {
        let inside = list(&row["components"]);
        if row["type"] != 1 || inside.is_empty() || inside.len() > BUTTONS {
            return Err(Reply::invalid("components", "a row holds 1 to 5 buttons"));
        }
        for component in inside {
            let id = component["custom_id"].as_str().unwrap_or_default();
            if id.is_empty() || id.chars().count() > CUSTOM_ID || ids.contains(&id) {
                return Err(Reply::invalid(
                    "components",
                    "a custom_id has 1 to 100 characters and is there once",
                ));
            }
            if length(&component["label"]) > LABEL {
                return Err(Reply::invalid("components", "a label is too long"));
            }
            ids.push(id);
        }
    }
    Ok(())
}

/// What a message pings, by what it says and what it allows.
pub(super) fn pings(content: &str, allowed: &Value) -> Vec<String> {
    let parses = |kind: &str| {
        allowed.is_null()
            || list(&allowed["parse"])
                .iter()
                .any(|parsed| parsed.as_str() == Some(kind))
    };
    let named = |kind: &str, id: &str| list(&allowed[kind]).iter().any(|it| it == id);
    let mut pinged = Vec::new();
    for word in ["@everyone", "@here"] {
        if content.contains(word) && parses("everyone") {
            pinged.push(word.to_owned());
        }
    }
    let mut rest = content;
    while let Some(at) = rest.find("<@") {
        rest = &rest[at + 2..];
        let Some(end) = rest.find('>') else { break };
        let inside = &rest[..end];
        let (kind, id) = match inside.strip_prefix('&') {
            Some(id) => ("roles", id),
            None => ("users", inside.trim_start_matches('!')),
        };
        if !id.is_empty()
            && id.bytes().all(|byte| byte.is_ascii_digit())
            && (parses(kind) || named(kind, id))
        {
            pinged.push(format!("<@{}{id}>", if kind == "roles" { "&" } else { "" }));
        }
    }
    pinged
}
