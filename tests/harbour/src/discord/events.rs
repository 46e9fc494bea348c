//! Discord's objects as JSON, and sending events.

use serde_json::{Map, Value, json};

use super::ids;
use super::state::{Channel, Member, Message, Out, State, made};

const GUILD_MESSAGES: u64 = 1 << 9;
const REACTIONS: u64 = 1 << 10;
const MESSAGE_CONTENT: u64 = 1 << 15;

/// An object without the fields that are null.
fn some(value: Value) -> Value {
    match value {
        Value::Object(fields) => Value::Object(
            fields
                .into_iter()
                .filter(|(_, value)| !value.is_null())
                .collect::<Map<_, _>>(),
        ),
        other => other,
    }
}

impl State {
    pub(super) fn user(&self, id: u64) -> Value {
        let member = self.members.get(&id);
        json!({
            "id": id.to_string(),
            "username": member.map_or("gone", |member| member.name.as_str()),
            "discriminator": "0",
            "global_name": member.map(|member| capital(&member.name)),
            "avatar": null,
            "bot": member.is_some_and(|member| member.bot),
            "flags": 0,
            "public_flags": 0,
        })
    }

    pub(super) fn member(&self, id: u64) -> Option<Value> {
        let Member { roles, .. } = self.members.get(&id)?;
        let roles: Vec<String> = roles.iter().map(ToString::to_string).collect();
        Some(json!({
            "user": self.user(id),
            "nick": null,
            "avatar": null,
            "banner": null,
            "roles": roles,
            "joined_at": "2026-01-01T00:00:00+00:00",
            "premium_since": null,
            "communication_disabled_until": null,
            "deaf": false,
            "mute": false,
            "pending": false,
            "flags": 0,
        }))
    }

    pub(super) fn channel(&self, id: u64) -> Option<Value> {
        let channel = self.channels.get(&id)?;
        Some(match channel.parent {
            None => json!({
                "id": id.to_string(),
                "type": 0,
                "guild_id": ids::GUILD.to_string(),
                "name": channel.name,
                "parent_id": null,
                "position": 0,
                "permission_overwrites": [],
                "nsfw": false,
                "rate_limit_per_user": 0,
                "flags": 0,
                "last_message_id": null,
                "topic": null,
            }),
            Some(parent) => thread(id, channel, parent),
        })
    }

    pub(super) fn message(&self, message: &Message) -> Value {
        let Message {
            id,
            channel,
            author,
            content,
            embeds,
            components,
            ..
        } = message;
        json!({
            "id": id.to_string(),
            "channel_id": channel.to_string(),
            "author": self.user(*author),
            "content": content,
            "timestamp": made(*id).to_string(),
            "edited_timestamp": message.edited.map(|at| at.to_string()),
            "tts": false,
            "mention_everyone": false,
            "mentions": [],
            "mention_roles": [],
            "attachments": message.files.iter().map(|file| json!({
                "id": file.number.to_string(), "filename": file.name, "size": file.bytes.len(),
                "url": format!("https://cdn.example/{}", file.name),
                "proxy_url": format!("https://cdn.example/{}", file.name),
            })).collect::<Vec<_>>(),
            "embeds": embeds,
            "components": components,
            "pinned": false,
            "type": 0,
            "flags": if message.ephemeral { 64 } else { 0 },
            "application_id": if *author == ids::BOT {
                Value::String(ids::BOT.to_string())
            } else {
                Value::Null
            },
            "message_reference": message.reference.map(|id| json!({
                "type": 0, "message_id": id.to_string(), "channel_id": channel.to_string(),
            })),
        })
        .pipe(some)
    }

    /// Sends an event to the session, if its intents have it.
    pub(super) fn send(&mut self, kind: &str, data: &Value) {
        let Some(session) = &mut self.session else {
            return;
        };
        let needs = match kind {
            "MESSAGE_CREATE" | "MESSAGE_DELETE" | "MESSAGE_UPDATE" => GUILD_MESSAGES,
            "MESSAGE_REACTION_ADD" | "MESSAGE_REACTION_REMOVE" => REACTIONS,
            "INTERACTION_CREATE" | "READY" | "RESUMED" => 0,
            _ => 1,
        };
        if session.intents & needs != needs {
            return;
        }
        let mut data = data.clone();
        if kind == "MESSAGE_CREATE" && session.intents & MESSAGE_CONTENT == 0 {
            let me = ids::BOT.to_string();
            let mentioned = format!("<@{me}>");
            let visible = data["author"]["id"] == *me.as_str()
                || data["content"]
                    .as_str()
                    .is_some_and(|text| text.contains(&mentioned));
            if !visible {
                data["content"] = json!("");
                data["embeds"] = json!([]);
                data["components"] = json!([]);
            }
        }
        session.seq += 1;
        let seq = session.seq;
        let text = json!({ "op": 0, "t": kind, "s": seq, "d": data }).to_string();
        session.log.push((seq, text.clone()));
        if let Some(held) = &mut self.held {
            held.push((seq, text));
            return;
        }
        let twice = self.doubled;
        session.say(&text);
        if twice {
            session.say(&text);
        }
    }
}

impl super::state::Session {
    pub(super) fn say(&mut self, text: &str) {
        if let Some(line) = &self.line
            && line.send(Out::Text(text.to_owned())).is_err()
        {
            self.line = None;
        }
    }
}

fn thread(id: u64, channel: &Channel, parent: u64) -> Value {
    json!({
        "id": id.to_string(),
        "type": 11,
        "guild_id": ids::GUILD.to_string(),
        "parent_id": parent.to_string(),
        "name": channel.name,
        "owner_id": ids::BOT.to_string(),
        "last_message_id": null,
        "rate_limit_per_user": 0,
        "flags": 0,
        "message_count": 0,
        "member_count": 1,
        "total_message_sent": 0,
        "thread_metadata": {
            "archived": channel.archived,
            "auto_archive_duration": 10080,
            "archive_timestamp": "2026-01-01T00:00:00+00:00",
            "locked": channel.locked,
        },
    })
}

fn capital(name: &str) -> String {
    let mut letters = name.chars();
    letters
        .next()
        .map(|first| first.to_uppercase().chain(letters).collect())
        .unwrap_or_default()
}

trait Pipe: Sized {
    fn pipe<T>(self, next: impl FnOnce(Self) -> T) -> T {
        next(self)
    }
}

impl Pipe for Value {}
