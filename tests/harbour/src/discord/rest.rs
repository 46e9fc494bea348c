//! What each request does.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::checks;
use super::ids;
use super::reply::Reply;
use super::routes::Ask;
use super::state::{Channel, Message, Permission, State, Upload, made};

/// How long an interaction's token lives.
const TOKEN: Duration = Duration::from_mins(15);

const EPHEMERAL: u64 = 64;

impl State {
    pub(super) fn gateway_bot(&self, gateway: &str) -> Reply {
        let used = u64::try_from(self.seen.identifies).unwrap_or(u64::MAX);
        Reply::ok(json!({
            "url": gateway,
            "shards": 1,
            "session_start_limit": {
                "total": self.limits.identifies,
                "remaining": self.limits.identifies.saturating_sub(used),
                "reset_after": 3_600_000,
                "max_concurrency": 1,
            },
        }))
    }

    pub(super) fn application(&self) -> Reply {
        let mut flags = 0;
        if self.privileged {
            flags |= 1 << 19;
        }
        Reply::ok(json!({
            "id": ids::BOT.to_string(), "name": "refloat", "icon": null, "description": "",
            "bot_public": false, "bot_require_code_grant": false, "flags": flags,
            "verify_key": "00", "bot": self.user(ids::BOT),
        }))
    }

    pub(super) fn guild() -> Reply {
        Reply::ok(json!({ "id": ids::GUILD.to_string(), "name": "harbour", "roles": role_list() }))
    }

    pub(super) fn roles() -> Reply {
        Reply::ok(role_list())
    }

    /// Takes the place of all commands.
    pub(super) fn register(&mut self, body: &Value) -> Reply {
        let commands: Vec<Value> = body.as_array().cloned().unwrap_or_default();
        self.seen.registrations += 1;
        let mut stored = Vec::new();
        for mut command in commands {
            let id = self.id();
            command["id"] = json!(id.to_string());
            command["application_id"] = json!(ids::BOT.to_string());
            command["version"] = json!(id.to_string());
            command["default_member_permissions"] = Value::Null;
            command["nsfw"] = json!(false);
            if command.get("type").is_none() {
                command["type"] = json!(1);
            }
            stored.push(command);
        }
        self.commands.clone_from(&stored);
        Reply::ok(Value::Array(stored))
    }

    pub(super) fn in_channel(&mut self, ask: &Ask<'_>, id: u64, rest: &[&str]) -> Reply {
        if !self.channels.contains_key(&id) {
            return Reply::refused(404, 10003, "Unknown Channel");
        }
        if !self.may(id, Permission::ViewChannel) {
            return Reply::refused(403, 50001, "Missing Access");
        }
        let message = |text: &str| text.parse::<u64>().ok();
        match (ask.method.as_str(), rest) {
            ("GET", []) => self
                .channel(id)
                .map_or_else(|| Reply::refused(404, 10003, "Unknown Channel"), Reply::ok),
            ("PATCH", []) => self.change_channel(id, &ask.body),
            ("GET", ["messages"]) => self.history(ask, id),
            ("POST", ["messages"]) => self.post(id, ask),
            (_, ["messages", text, rest @ ..]) => {
                let known = message(text).filter(|it| {
                    self.messages
                        .get(it)
                        .is_some_and(|message| message.channel == id)
                });
                let Some(message) = known else {
                    return Reply::refused(404, 10008, "Unknown Message");
                };
                self.on_message(ask, id, message, rest)
            }
            _ => Reply::refused(404, 0, "404: Not Found"),
        }
    }

    fn on_message(&mut self, ask: &Ask<'_>, channel: u64, message: u64, rest: &[&str]) -> Reply {
        match (ask.method.as_str(), rest) {
            ("GET", []) => Reply::ok(self.message(&self.messages[&message].clone())),
            ("PATCH", []) => self.edit(channel, message, &ask.body),
            ("DELETE", []) => {
                let mine = self.messages[&message].author == ids::BOT;
                if !mine && !self.may(channel, Permission::ManageMessages) {
                    return Reply::refused(403, 50013, "Missing Permissions");
                }
                self.remove(message);
                Reply::nothing()
            }
            ("POST", ["threads"]) => self.begin_thread(channel, message, &ask.body),
            ("GET", ["reactions", emoji]) => {
                let emoji = decode(emoji);
                let after: u64 = ask
                    .query("after")
                    .and_then(|id| id.parse().ok())
                    .unwrap_or(0);
                let limit: usize = ask
                    .query("limit")
                    .and_then(|limit| limit.parse().ok())
                    .unwrap_or(25);
                let mut users: Vec<u64> = self.messages[&message]
                    .reactions
                    .iter()
                    .filter(|(with, user)| *with == emoji && *user > after)
                    .map(|(_, user)| *user)
                    .collect();
                users.sort_unstable();
                let users: Vec<Value> = users
                    .into_iter()
                    .take(limit)
                    .map(|user| self.user(user))
                    .collect();
                Reply::ok(Value::Array(users))
            }
            ("PUT", ["reactions", emoji, "@me"]) => {
                self.react(message, &decode(emoji), ids::BOT);
                Reply::nothing()
            }
            ("DELETE", ["reactions", emoji, user]) => {
                let Ok(user) = user.parse() else {
                    return Reply::invalid("user_id", "is not a snowflake");
                };
                if user != ids::BOT && !self.may(channel, Permission::ManageMessages) {
                    return Reply::refused(403, 50013, "Missing Permissions");
                }
                self.unreact(message, &decode(emoji), user);
                Reply::nothing()
            }
            _ => Reply::refused(404, 0, "404: Not Found"),
        }
    }

    fn change_channel(&mut self, id: u64, body: &Value) -> Reply {
        if !self.may(id, Permission::ManageThreads) && body.get("locked").is_some() {
            return Reply::refused(403, 50013, "Missing Permissions");
        }
        if let Some(channel) = self.channels.get_mut(&id) {
            if channel.locked && !self.may(id, Permission::ManageThreads) {
                return Reply::refused(403, 160_005, "Thread is locked");
            }
            let Some(channel) = self.channels.get_mut(&id) else {
                return Reply::refused(404, 10003, "Unknown Channel");
            };
            if let Some(archived) = body["archived"].as_bool() {
                if !archived && channel.locked {
                    return Reply::refused(403, 160_005, "Thread is locked");
                }
                channel.archived = archived;
            }
            if let Some(name) = body["name"].as_str() {
                name.clone_into(&mut channel.name);
            }
        }
        self.channel(id)
            .map_or_else(|| Reply::refused(404, 10003, "Unknown Channel"), Reply::ok)
    }

    fn history(&mut self, ask: &Ask<'_>, channel: u64) -> Reply {
        if !self.may(channel, Permission::ReadMessageHistory) {
            return Reply::refused(403, 50013, "Missing Permissions");
        }
        let number = |name: &str| ask.query(name).and_then(|id| id.parse::<u64>().ok());
        let limit = usize::try_from(number("limit").unwrap_or(50)).unwrap_or(50);
        let listed: Vec<&Message> = match (number("after"), number("before")) {
            (Some(after), _) => {
                let mut first: Vec<&Message> = self
                    .listed(channel)
                    .filter(|message| message.id > after)
                    .take(limit)
                    .collect();
                first.reverse();
                first
            }
            (None, before) => self
                .listed(channel)
                .rev()
                .filter(|message| before.is_none_or(|before| message.id < before))
                .take(limit)
                .collect(),
        };
        let listed: Vec<Value> = listed
            .into_iter()
            .map(|message| self.message(message))
            .collect();
        Reply::ok(Value::Array(listed))
    }

    fn post(&mut self, channel: u64, ask: &Ask<'_>) -> Reply {
        let body = &ask.body;
        let Some(place) = self.channels.get(&channel) else {
            return Reply::refused(404, 10003, "Unknown Channel");
        };
        let needed = if place.parent.is_some() {
            Permission::SendMessagesInThreads
        } else {
            Permission::SendMessages
        };
        if !self.may(channel, needed) {
            return Reply::refused(403, 50013, "Missing Permissions");
        }
        if place.locked {
            return Reply::refused(403, 160_005, "Thread is locked");
        }
        if !ask.files.is_empty() && !self.may(channel, Permission::AttachFiles) {
            return Reply::refused(403, 50013, "Missing Permissions");
        }
        if let Err(reply) = checks::message(body, ask.files.is_empty()) {
            return reply;
        }
        let nonce = match &body["nonce"] {
            Value::String(nonce) => Some(nonce.clone()),
            Value::Number(nonce) => Some(nonce.to_string()),
            _ => None,
        };
        let lives = self.limits.nonce;
        self.nonces.retain(|_, (_, at)| at.elapsed() < lives);
        if body["enforce_nonce"] == json!(true)
            && let Some(nonce) = &nonce
            && let Some((id, _)) = self.nonces.get(&(channel, nonce.clone()))
            && let Some(message) = self.messages.get(id)
        {
            return Reply::ok(self.message(&message.clone()));
        }
        let id = self.write(channel, ids::BOT, body, &ask.files, false);
        if let Some(nonce) = nonce {
            self.nonces.insert((channel, nonce), (id, Instant::now()));
        }
        if let Some(place) = self.channels.get_mut(&channel) {
            place.archived = false;
        }
        Reply::ok(self.message(&self.messages[&id].clone()))
    }

    /// A new message by anybody, with its event.
    pub(super) fn write(
        &mut self,
        channel: u64,
        author: u64,
        body: &Value,
        files: &[Upload],
        ephemeral: bool,
    ) -> u64 {
        let id = if author == ids::BOT && !self.backdated.is_zero() {
            let ago = jiff::SignedDuration::try_from(self.backdated).unwrap_or_default();
            self.id_at(jiff::Timestamp::now() - ago)
        } else {
            self.id()
        };
        let content = body["content"].as_str().unwrap_or_default().to_owned();
        let list = |field: &str| body[field].as_array().cloned().unwrap_or_default();
        let message = Message {
            id,
            channel,
            author,
            pinged: checks::pings(&content, &body["allowed_mentions"]),
            content,
            embeds: list("embeds"),
            components: list("components"),
            reference: body["message_reference"]["message_id"]
                .as_str()
                .and_then(|id| id.parse().ok()),
            files: files.to_vec(),
            ephemeral,
            edits: 0,
            edited: None,
            reactions: Vec::new(),
        };
        let mut event = self.message(&message);
        event["guild_id"] = json!(ids::GUILD.to_string());
        self.messages.insert(id, message);
        if !ephemeral {
            self.send("MESSAGE_CREATE", &event);
        }
        id
    }

    fn edit(&mut self, channel: u64, id: u64, body: &Value) -> Reply {
        if self.messages[&id].author != ids::BOT {
            return Reply::refused(403, 50005, "Cannot edit a message authored by another user");
        }
        let place = self.channels.get(&channel);
        if place.is_some_and(|place| place.locked) {
            return Reply::refused(403, 160_005, "Thread is locked");
        }
        if place.is_some_and(|place| place.archived) {
            return Reply::refused(400, 50083, "Thread is archived");
        }
        if let Err(reply) = checks::message(body, false) {
            return reply;
        }
        let age = jiff::Timestamp::now()
            .duration_since(made(id))
            .unsigned_abs();
        if age >= self.limits.old {
            let recent = self
                .edits
                .iter()
                .filter(|(_, at)| at.elapsed() < Duration::from_secs(20))
                .filter(|(other, _)| {
                    let age = jiff::Timestamp::now()
                        .duration_since(made(*other))
                        .unsigned_abs();
                    age >= self.limits.old
                        && self
                            .messages
                            .get(other)
                            .is_some_and(|message| message.channel == channel)
                })
                .count();
            if recent >= self.limits.old_edits {
                self.seen.limited += 1;
                self.seen.invalid += 1;
                return Reply::refused(
                    429,
                    30046,
                    "Maximum number of edits to messages older than 1 hour reached. Try again later",
                );
            }
        }
        self.edits.push((id, Instant::now()));
        if let Some(message) = self.messages.get_mut(&id) {
            if let Some(content) = body["content"].as_str() {
                content.clone_into(&mut message.content);
            }
            if let Some(embeds) = body["embeds"].as_array() {
                message.embeds.clone_from(embeds);
            }
            if let Some(components) = body["components"].as_array() {
                message.components.clone_from(components);
            }
            message.edits += 1;
            message.edited = Some(jiff::Timestamp::now());
        }
        Reply::ok(self.message(&self.messages[&id].clone()))
    }

    fn begin_thread(&mut self, channel: u64, message: u64, body: &Value) -> Reply {
        if !self.may(channel, Permission::CreatePublicThreads) {
            return Reply::refused(403, 50013, "Missing Permissions");
        }
        let name = body["name"].as_str().unwrap_or_default();
        if !(1..=100).contains(&name.chars().count()) {
            return Reply::invalid("name", "Must be between 1 and 100 in length.");
        }
        if self.channels.contains_key(&message) {
            return Reply::refused(
                400,
                160_004,
                "A thread has already been created for this message",
            );
        }
        self.channels.insert(
            message,
            Channel {
                name: name.to_owned(),
                parent: Some(channel),
                archived: false,
                locked: false,
                denied: std::collections::BTreeSet::new(),
            },
        );
        let thread = self.channel(message).unwrap_or_default();
        self.send("THREAD_CREATE", &thread);
        Reply::created(thread)
    }

    pub(super) fn remove(&mut self, id: u64) {
        if let Some(message) = self.messages.remove(&id) {
            self.send(
                "MESSAGE_DELETE",
                &json!({
                    "id": id.to_string(),
                    "channel_id": message.channel.to_string(),
                    "guild_id": ids::GUILD.to_string(),
                }),
            );
        }
    }

    pub(super) fn react(&mut self, id: u64, emoji: &str, user: u64) {
        let Some(message) = self.messages.get_mut(&id) else {
            return;
        };
        let reaction = (emoji.to_owned(), user);
        if message.reactions.contains(&reaction) {
            return;
        }
        message.reactions.push(reaction);
        let (channel, author) = (message.channel, message.author);
        let event = json!({
            "user_id": user.to_string(),
            "channel_id": channel.to_string(),
            "message_id": id.to_string(),
            "guild_id": ids::GUILD.to_string(),
            "member": self.member(user),
            "emoji": { "id": null, "name": emoji },
            "message_author_id": author.to_string(),
            "burst": false,
            "type": 0,
        });
        self.send("MESSAGE_REACTION_ADD", &event);
    }

    pub(super) fn unreact(&mut self, id: u64, emoji: &str, user: u64) {
        let Some(message) = self.messages.get_mut(&id) else {
            return;
        };
        let before = message.reactions.len();
        message
            .reactions
            .retain(|(with, by)| with != emoji || *by != user);
        if message.reactions.len() == before {
            return;
        }
        let event = json!({
            "user_id": user.to_string(),
            "channel_id": message.channel.to_string(),
            "message_id": id.to_string(),
            "guild_id": ids::GUILD.to_string(),
            "emoji": { "id": null, "name": emoji },
            "burst": false,
            "type": 0,
        });
        self.send("MESSAGE_REACTION_REMOVE", &event);
    }

    pub(super) fn callback(&mut self, id: &str, token: &str, ask: &Ask<'_>) -> Reply {
        let body = &ask.body;
        let unknown = || Reply::refused(404, 10062, "Unknown interaction");
        let Ok(id) = id.parse::<u64>() else {
            return unknown();
        };
        let within = self.limits.answer_within;
        let Some(interaction) = self.interactions.get(&id) else {
            return unknown();
        };
        if interaction.token != token || interaction.made.elapsed() > within {
            return unknown();
        }
        if interaction.acknowledged.is_some() {
            return Reply::refused(400, 40060, "Interaction has already been acknowledged.");
        }
        let kind = body["type"].as_u64().unwrap_or_default();
        let (channel, completes) = (interaction.channel, interaction.completes);
        let data = &body["data"];
        if completes != (kind == 8) {
            return Reply::invalid("type", "does not answer this kind of interaction");
        }
        let ephemeral = data["flags"].as_u64().unwrap_or_default() & EPHEMERAL != 0;
        let mut message = None;
        match kind {
            4 => {
                if let Err(reply) = checks::message(data, ask.files.is_empty()) {
                    return reply;
                }
                message = Some(self.write(channel, ids::BOT, data, &ask.files, ephemeral));
            }
            5 | 6 => {}
            8 => {
                let choices = data["choices"].as_array().map_or(0, Vec::len);
                let long = |choice: &Value, field: &str| {
                    !(1..=100).contains(&choice[field].as_str().unwrap_or_default().chars().count())
                };
                let bad = data["choices"].as_array().is_some_and(|choices| {
                    choices
                        .iter()
                        .any(|choice| long(choice, "name") || long(choice, "value"))
                });
                if choices > 25 || bad {
                    return Reply::invalid("choices", "1 to 25 of 1 to 100 characters");
                }
            }
            9 => {
                let title = data["title"].as_str().unwrap_or_default().chars().count();
                if !(1..=45).contains(&title) {
                    return Reply::invalid("title", "Must be between 1 and 45 in length.");
                }
            }
            _ => return Reply::invalid("type", "is not known here"),
        }
        if let Some(interaction) = self.interactions.get_mut(&id) {
            interaction.acknowledged = Some((Instant::now(), kind));
            interaction.message = message;
            interaction.writes += usize::from(message.is_some());
            if matches!(kind, 8 | 9) {
                interaction.data = Some(data.clone());
            }
        }
        Reply::nothing()
    }

    /// What a deferred interaction is answered with at last.
    pub(super) fn edit_answer(&mut self, token: &str, ask: &Ask<'_>) -> Reply {
        let body = &ask.body;
        let found = self
            .interactions
            .iter()
            .find(|(_, interaction)| interaction.token == token)
            .map(|(id, interaction)| (*id, interaction.clone()));
        let Some((id, interaction)) = found else {
            return Reply::refused(404, 10015, "Unknown Webhook");
        };
        if interaction.made.elapsed() > TOKEN {
            return Reply::refused(401, 50027, "Invalid Webhook Token");
        }
        if !matches!(interaction.acknowledged, Some((_, 4..=7))) {
            return Reply::refused(404, 10008, "Unknown Message");
        }
        if let Err(reply) = checks::message(body, ask.files.is_empty()) {
            return reply;
        }
        if let Some(old) = interaction.message {
            self.messages.remove(&old);
        }
        let message = self.write(interaction.channel, ids::BOT, body, &ask.files, true);
        if let Some(interaction) = self.interactions.get_mut(&id) {
            interaction.message = Some(message);
            interaction.writes += 1;
        }
        Reply::ok(self.message(&self.messages[&message].clone()))
    }
}

fn role_list() -> Value {
    let role = |id: u64, name: &str| {
        json!({
            "id": id.to_string(), "name": name, "color": 0, "hoist": false, "position": 1,
            "permissions": "0", "managed": false, "mentionable": true, "flags": 0,
        })
    };
    json!([
        role(ids::GUILD, "@everyone"),
        role(ids::REVIEWERS, "reviewers"),
        role(ids::POSEIDON, "poseidon")
    ])
}

/// A segment of a path without its percent encoding.
fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let code: Vec<u8> = rest.by_ref().take(2).collect();
        let code = std::str::from_utf8(&code).unwrap_or_default();
        bytes.push(u8::from_str_radix(code, 16).unwrap_or(b'%'));
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
