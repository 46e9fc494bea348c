//! The slash commands, made from the grammar.

use refloat_commands::{CommandSpec, Completes, Kind, OptionSpec, SubcommandSpec, grammar};
use serde_json::{Value, json};
use serenity::http::{LightMethod, Route};
use serenity::model::id::{ApplicationId, GuildId};

use super::rest::{Call, Rest, RestError};
use crate::config::Id;

const SUBCOMMAND: u8 = 1;
const TEXT: u8 = 3;
const INTEGER: u8 = 4;
/// Only on servers, not in private messages.
const ON_SERVERS: [u8; 1] = [0];

/// Registers the commands if they differ from what is registered. `guild`: on
/// that server only. True if they were.
pub(super) async fn register(
    rest: &Rest,
    application: Id,
    guild: Option<Id>,
) -> Result<bool, RestError> {
    let application_id = ApplicationId::from(application);
    let route = match guild {
        Some(guild) => Route::GuildCommands {
            application_id,
            guild_id: GuildId::from(guild),
        },
        None => Route::Commands { application_id },
    };
    let there = rest.send(Call::new(LightMethod::Get, route)).await?;
    let wanted = commands();
    if same(&there, &wanted) {
        return Ok(false);
    }
    rest.send(Call::new(LightMethod::Put, route).body(wanted))
        .await?;
    Ok(true)
}

/// All commands that can be used.
fn commands() -> Value {
    grammar()
        .iter()
        .filter(|spec| spec.forms().any(SubcommandSpec::is_available))
        .map(command)
        .collect()
}

fn command(spec: &CommandSpec) -> Value {
    let inside: Vec<Value> = match spec.alone {
        Some(alone) => alone.options.iter().map(option).collect(),
        None => spec
            .subcommands
            .iter()
            .filter(|form| form.is_available())
            .map(|form| {
                json!({
                    "type": SUBCOMMAND,
                    "name": form.name,
                    "description": form.doc,
                    "options": form.options.iter().map(option).collect::<Vec<_>>(),
                })
            })
            .collect(),
    };
    json!({
        "type": 1,
        "name": spec.name,
        "description": spec.doc,
        "options": inside,
        "contexts": ON_SERVERS,
    })
}

fn option(option: &OptionSpec) -> Value {
    let mut made = json!({
        "type": TEXT,
        "name": option.name,
        "description": option.doc,
        "required": option.required,
    });
    match option.kind {
        Kind::Text | Kind::List => {
            if option.completes != Completes::Nothing {
                made["autocomplete"] = json!(true);
            }
        }
        Kind::Choice(words) => {
            made["choices"] = words
                .iter()
                .map(|word| json!({ "name": word, "value": word }))
                .collect();
        }
        Kind::Integer => {
            made["type"] = json!(INTEGER);
            made["min_value"] = json!(1);
        }
    }
    made
}

/// Whether what is registered says all that is wanted, and nothing besides.
fn same(there: &Value, wanted: &Value) -> bool {
    let (Some(there), Some(wanted)) = (there.as_array(), wanted.as_array()) else {
        return false;
    };
    there.len() == wanted.len()
        && wanted.iter().all(|command| {
            there
                .iter()
                .find(|other| other["name"] == command["name"])
                .is_some_and(|other| {
                    essence(other) == essence(command) && other["contexts"] == command["contexts"]
                })
        })
}

/// What matters of a command or an option, whichever defaults are written out.
fn essence(value: &Value) -> Value {
    let list = |field: &str| -> Vec<Value> {
        value[field]
            .as_array()
            .into_iter()
            .flatten()
            .map(|inner| match field {
                "options" => essence(inner),
                _ => json!([inner["name"], inner["value"]]),
            })
            .collect()
    };
    json!({
        "type": value["type"],
        "name": value["name"],
        "description": value["description"],
        "required": value["required"] == true,
        "autocomplete": value["autocomplete"] == true,
        "min_value": value["min_value"].as_f64(),
        "choices": list("choices"),
        "options": list("options"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_registered_is_told_from_what_is_not() {
        let wanted = commands();
        assert!(same(&wanted, &wanted));
        let mut stored = wanted.clone();
        for command in stored.as_array_mut().unwrap() {
            command["id"] = json!("1");
            command["version"] = json!("2");
            command["nsfw"] = json!(false);
        }
        assert!(same(&stored, &wanted));
        stored[0]["options"][0]["description"] = json!("something else");
        assert!(!same(&stored, &wanted));
        stored.as_array_mut().unwrap().remove(0);
        assert!(!same(&stored, &wanted));
        assert!(!same(&json!(null), &wanted));
    }

    #[test]
    fn only_what_can_be_used_is_registered() {
        let text = commands().to_string();
        for form in grammar().iter().flat_map(CommandSpec::forms) {
            let there = text.contains(&format!("\"description\":{}", json!(form.doc)));
            if !form.is_available() {
                assert!(!there, "{} is registered", form.line);
            }
        }
        assert!(text.contains("\"autocomplete\":true"));
    }
}
