//! What is sent to Discord: cards, messages, buttons and forms, within its limits.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::chat::harmless::{cut, plain};
use crate::chat::words::put;
use crate::chat::{Asks, Attachment, Card, Message, Thread, Tone};
use crate::config::Id;

const CONTENT: usize = 2000;
const TITLE: usize = 256;
const DESCRIPTION: usize = 4096;
const FIELD_NAME: usize = 256;
const FIELD_VALUE: usize = 1024;
const FIELDS: usize = 25;
/// Of all embeds of a message together.
const TOTAL: usize = 6000;
const THREAD_NAME: usize = 100;
const FORM_TITLE: usize = 45;
/// The most bytes of a file; Discord takes 10 MiB in all.
const FILE: usize = 8 << 20;

/// The marks by which people approve and deny without a word.
pub(super) const APPROVE: &str = "\u{2705}";
pub(super) const DENY: &str = "\u{274c}";

/// Nobody is pinged, whatever the text says.
pub(super) fn nobody() -> Value {
    json!({ "parse": [] })
}

pub(super) fn thread_name(thread: &Thread) -> String {
    cut(&plain(&thread.title, THREAD_NAME), THREAD_NAME)
}

/// What the thread hangs on, in the channel.
pub(super) fn starter(thread: &Thread) -> String {
    cut(&thread.card.heading, CONTENT)
}

/// The card as a message.
pub(super) fn card(thread: &Thread) -> Value {
    let card = &thread.card;
    let mut left = TOTAL;
    let mut take = |text: &str, most: usize| {
        let text = cut(text, most.min(left));
        left -= text.chars().count();
        text
    };
    let title = take(&title(card), TITLE);
    let description = take(&description(card), DESCRIPTION);
    let mut fields = Vec::new();
    for field in card.fields.iter().take(FIELDS) {
        let name = take(field.name, FIELD_NAME);
        let value = take(&lines(&field.lines), FIELD_VALUE);
        if name.is_empty() || value.is_empty() {
            // Discord takes no empty field; and beyond the total there is no room.
            break;
        }
        fields.push(json!({ "name": name, "value": value }));
    }
    json!({
        "embeds": [{
            "title": title,
            "description": description,
            "color": colour(card.stage.tone),
            "fields": fields,
        }],
        "allowed_mentions": nobody(),
    })
}

/// A title shows no markup.
fn title(card: &Card) -> String {
    card.heading.replace('`', "")
}

fn description(card: &Card) -> String {
    let mut text = card.state.clone();
    if let Some(waiting) = &card.waiting {
        put(&mut text, format_args!("\n**Waiting**: {waiting}"));
    }
    for bar in &card.bars {
        put(
            &mut text,
            format_args!("\n{}: `{}` {}", bar.name, bar.drawn(20), bar.in_words()),
        );
    }
    text
}

fn lines(lines: &[String]) -> String {
    match lines {
        [one] => one.clone(),
        many => many
            .iter()
            .map(|line| format!("- {line}"))
            .collect::<Vec<_>>()
            .join("\n"),
    }
}

fn colour(tone: Tone) -> u32 {
    match tone {
        Tone::Done => 0x2e_a0_43,
        Tone::Stuck => 0xd7_3a_49,
        Tone::Asking => 0xe3_b3_41,
        Tone::Ended => 0x8b_94_9e,
        Tone::Working => 0x1f_6f_eb,
    }
}

/// What a message of a thread says. One that was a question keeps its words when
/// it no longer is one.
pub(super) fn content(message: &Message, reviewers: Id) -> String {
    if matches!(message.asks, Some(Asks::Approval(_))) {
        cut(&format!("<@&{reviewers}> {}", message.text), CONTENT)
    } else {
        cut(&message.text, CONTENT)
    }
}

/// A message of a thread; the reviewers' role is pinged by a question only.
pub(super) fn message(thread: &Thread, message: &Message, reviewers: Id) -> Value {
    let mut body = json!({
        "content": content(message, reviewers),
        "allowed_mentions": nobody(),
    });
    if message.ask && matches!(message.asks, Some(Asks::Approval(_))) {
        body["allowed_mentions"] = json!({ "parse": [], "roles": [reviewers.to_string()] });
    }
    if let Some(asks) = &message.asks {
        body["components"] = buttons(&thread.request, asks, message.ask);
    }
    body
}

/// The buttons of a question, which can be pressed while it is open.
pub(super) fn buttons(request: &str, asks: &Asks, open: bool) -> Value {
    let digest = match asks {
        Asks::Approval(digest) => digest,
        Asks::Reason => {
            return json!([{
                "type": 1,
                "components": [{
                    "type": 2, "style": 2, "label": "Say why", "disabled": !open,
                    "custom_id": format!("deny {request}"),
                }],
            }]);
        }
    };
    json!([{
        "type": 1,
        "components": [
            {
                "type": 2, "style": 3, "label": "Approve", "disabled": !open,
                "custom_id": format!("approve {digest} {request}"),
            },
            {
                "type": 2, "style": 4, "label": "Deny", "disabled": !open,
                "custom_id": format!("deny {request}"),
            },
        ],
    }])
}

/// The form that asks for the reason of a denial.
pub(super) fn denial_form(request: &str) -> Value {
    json!({
        "custom_id": format!("deny {request}"),
        "title": cut(&format!("Deny {}", plain(request, FORM_TITLE)), FORM_TITLE),
        "components": [{
            "type": 1,
            "components": [{
                "type": 4, "custom_id": "reason", "style": 2, "label": "Why, for whoever asked",
                "min_length": 1, "max_length": refloat_commands::Reason::MOST, "required": true,
            }],
        }],
    })
}

/// An answer of whatever length.
pub(super) fn answer(text: &str) -> Value {
    let text = if text.trim().is_empty() {
        "Done."
    } else {
        text
    };
    if text.chars().count() <= CONTENT {
        json!({ "content": text, "allowed_mentions": nobody() })
    } else {
        json!({
            "content": "",
            "embeds": [{ "description": cut(text, DESCRIPTION) }],
            "allowed_mentions": nobody(),
        })
    }
}

/// Names the file in a message, and makes it as Discord takes it: of a text that is
/// too long the end, which is what a log is read for.
pub(super) fn attach(body: &mut Value, file: Option<&Attachment>) -> Option<Attachment> {
    let file = file?;
    let file = if file.bytes.len() <= FILE {
        file.clone()
    } else {
        Attachment::text(file.name.clone(), the_end(file.as_text()?, FILE))
    };
    body["attachments"] = json!([{ "id": "0", "filename": file.name }]);
    Some(file)
}

/// The words of a message whose file may not be attached, with what is wrong.
pub(super) fn without_file(mut body: Value) -> Value {
    const NOTE: &str = "(I may not attach files here: the permission Attach Files is missing. \
                        The answer to a slash command needs none.)";
    let words = cut(body["content"].as_str().unwrap_or_default(), 1800);
    body["content"] = json!(format!("{words}\n{NOTE}"));
    body
}

/// The last lines of a text, in at most `most` bytes, with a note.
fn the_end(text: &str, most: usize) -> String {
    const NOTE: &str = "(the beginning is left out: Discord takes no longer file)\n";
    let from = text
        .len()
        .saturating_sub(most.saturating_sub(NOTE.len()))
        .min(text.len());
    let from = text.ceil_char_boundary(from);
    let rest = text.get(from..).unwrap_or_default();
    let whole = rest.split_once('\n').map_or(rest, |(_, lines)| lines);
    format!("{NOTE}{whole}")
}

/// Tells a message of a request from all others, the same each time: Discord
/// takes it once.
pub(super) fn nonce(uid: &str, key: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(uid);
    hash.update([0]);
    hash.update(key);
    hash.finalize()
        .iter()
        .take(12)
        .fold(String::new(), |mut text, byte| {
            put(&mut text, format_args!("{byte:02x}"));
            text
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::render;
    use crate::chat::samples::{context, in_phase};
    use crate::request::Phase;

    fn longest(value: &Value) -> usize {
        value.as_str().map_or(0, |text| text.chars().count())
    }

    #[test]
    fn every_phase_fits_into_a_card() {
        for phase in Phase::ALL {
            let mut request = in_phase(phase);
            request.spec.reason = "\u{202e}@everyone [x](https://evil.example) `".repeat(90);
            request.spec.namespaces = (0..50)
                .map(|number| format!("poseidon1-{}", format!("{number:02}").repeat(20)))
                .collect();
            let thread = render(&request, &context());
            let body = card(&thread);
            let embed = &body["embeds"][0];
            assert!(longest(&embed["title"]) <= TITLE, "{phase:?}");
            assert!(longest(&embed["description"]) <= DESCRIPTION);
            let fields = embed["fields"].as_array().unwrap();
            assert!(!fields.is_empty() && fields.len() <= FIELDS);
            let mut total = longest(&embed["title"]) + longest(&embed["description"]);
            for field in fields {
                assert!((1..=FIELD_NAME).contains(&longest(&field["name"])));
                assert!((1..=FIELD_VALUE).contains(&longest(&field["value"])));
                total += longest(&field["name"]) + longest(&field["value"]);
            }
            assert!(total <= TOTAL, "{total}");
            assert!((1..=THREAD_NAME).contains(&thread_name(&thread).chars().count()));
            assert!(starter(&thread).chars().count() <= CONTENT);
            for said in &thread.messages {
                let body = message(&thread, said, Id::MAX);
                assert!(longest(&body["content"]) <= CONTENT);
                assert_eq!(body["allowed_mentions"]["parse"], json!([]));
                for button in body["components"][0]["components"]
                    .as_array()
                    .into_iter()
                    .flatten()
                {
                    assert!(longest(&button["custom_id"]) <= 100);
                }
            }
        }
    }

    #[test]
    fn of_a_long_log_the_end_is_attached() {
        let long = "one line of a log, \u{e6}\u{f8}\u{e5}\n".repeat(600_000);
        let mut body = json!({ "content": "" });
        let log = Attachment::text("a.log".to_owned(), format!("{long}the end"));
        let attached = attach(&mut body, Some(&log)).unwrap();
        assert!(attached.bytes.len() <= FILE);
        let text = attached.as_text().unwrap();
        assert!(text.starts_with("(the beginning is left out"));
        assert!(text.ends_with("the end"));
        assert_eq!(
            text.lines().nth(1),
            Some("one line of a log, \u{e6}\u{f8}\u{e5}")
        );
        assert_eq!(
            body["attachments"],
            json!([{ "id": "0", "filename": "a.log" }])
        );
        let picture = Attachment {
            name: "b.png".to_owned(),
            bytes: vec![0; FILE + 1],
        };
        assert_eq!(attach(&mut json!({}), Some(&picture)), None);
    }

    #[test]
    fn a_nonce_is_short_and_its_own() {
        assert_eq!(nonce("uid", "done"), nonce("uid", "done"));
        assert_ne!(nonce("uid", "done"), nonce("uid2", "done"));
        assert_ne!(nonce("a", "bc"), nonce("ab", "c"));
        assert_eq!(nonce("uid", "done").len(), 24);
    }
}
