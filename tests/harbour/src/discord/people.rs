//! What people do, for tests.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::ids;
use super::server::Server;
use super::state::{Interaction, Permission};

/// Something that was asked of the bot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    pub id: u64,
}

/// What somebody was answered.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// A message that only they see.
    Message(String),
    /// Names and values to choose from.
    Choices(Vec<(String, String)>),
    /// A form to fill in.
    Form(Value),
}

/// What is being typed into which option.
#[derive(Clone, Copy, Debug)]
pub struct Focus<'a> {
    pub option: &'a str,
    pub typed: &'a str,
}

impl Server {
    /// Types a slash command. Errors if it is not registered so.
    pub fn slash(
        &self,
        user: u64,
        channel: u64,
        line: &str,
        options: &[(&str, &str)],
    ) -> anyhow::Result<Asked> {
        self.slash_at(user, channel, line, options, Timestamp::now())
    }

    /// The same, made so long ago.
    pub fn slash_late(
        &self,
        user: u64,
        channel: u64,
        line: &str,
        options: &[(&str, &str)],
        ago: Duration,
    ) -> anyhow::Result<Asked> {
        let at = Timestamp::now() - SignedDuration::try_from(ago)?;
        self.slash_at(user, channel, line, options, at)
    }

    fn slash_at(
        &self,
        user: u64,
        channel: u64,
        line: &str,
        options: &[(&str, &str)],
        at: Timestamp,
    ) -> anyhow::Result<Asked> {
        let data = self.command_data(line, options, None)?;
        self.interaction(user, channel, 2, &data, None, at)
    }

    /// Types into an option of a command.
    pub fn complete(
        &self,
        user: u64,
        channel: u64,
        line: &str,
        options: &[(&str, &str)],
        focus: Focus<'_>,
    ) -> anyhow::Result<Asked> {
        let data = self.command_data(line, options, Some(focus))?;
        self.interaction(user, channel, 4, &data, None, Timestamp::now())
    }

    fn command_data(
        &self,
        line: &str,
        options: &[(&str, &str)],
        focus: Option<Focus<'_>>,
    ) -> anyhow::Result<Value> {
        let (name, sub) = match line.split_once(' ') {
            Some((name, sub)) => (name, Some(sub)),
            None => (line, None),
        };
        let state = self.hub.lock();
        let command = state
            .commands
            .iter()
            .find(|command| command["name"] == name)
            .with_context(|| format!("/{name} is not registered"))?;
        let find = |among: &Value, name: &str| {
            among
                .as_array()
                .into_iter()
                .flatten()
                .find(|option| option["name"] == name)
                .cloned()
                .with_context(|| format!("/{line} has no {name}"))
        };
        let among = match sub {
            Some(sub) => find(&command["options"], sub)?["options"].clone(),
            None => command["options"].clone(),
        };
        let mut given = Vec::new();
        for (name, value) in options {
            let kind = find(&among, name)?["type"].clone();
            let value = if kind == 4 {
                json!(value.parse::<i64>()?)
            } else {
                json!(value)
            };
            given.push(json!({ "name": name, "type": kind, "value": value }));
        }
        if let Some(focus) = focus {
            let option = find(&among, focus.option)?;
            anyhow::ensure!(
                option["autocomplete"] == true,
                "{} does not complete",
                focus.option
            );
            given.push(json!({
                "name": focus.option, "type": option["type"], "value": focus.typed, "focused": true,
            }));
        } else {
            for option in among.as_array().into_iter().flatten() {
                let needed = option["required"] == true;
                let there = options.iter().any(|(name, _)| option["name"] == *name);
                anyhow::ensure!(!needed || there, "/{line} needs {}", option["name"]);
            }
        }
        let options = match sub {
            Some(sub) => json!([{ "name": sub, "type": 1, "options": given }]),
            None => json!(given),
        };
        Ok(json!({
            "id": command["id"], "name": name, "type": 1, "options": options,
            "guild_id": ids::GUILD.to_string(),
        }))
    }

    /// Presses a button of a message. Errors if it has none such, or it is disabled.
    pub fn press(&self, user: u64, message: u64, label: &str) -> anyhow::Result<Asked> {
        let (channel, button, shown) = {
            let state = self.hub.lock();
            let message = state
                .messages
                .get(&message)
                .context("there is no such message")?;
            let button = message
                .components
                .iter()
                .flat_map(|row| row["components"].as_array().into_iter().flatten())
                .find(|button| button["label"] == label)
                .cloned()
                .with_context(|| format!("the message has no button {label}"))?;
            (message.channel, button, state.message(message))
        };
        anyhow::ensure!(
            button["disabled"] != true,
            "the button {label} cannot be pressed any more"
        );
        self.press_by_id(user, channel, &button["custom_id"], shown)
    }

    /// Presses what a message once had, as a client does that shows an old state.
    pub fn press_anyway(&self, user: u64, message: u64, custom_id: &str) -> anyhow::Result<Asked> {
        let (channel, shown) = {
            let state = self.hub.lock();
            let message = state
                .messages
                .get(&message)
                .context("there is no such message")?;
            (message.channel, state.message(message))
        };
        self.press_by_id(user, channel, &json!(custom_id), shown)
    }

    fn press_by_id(
        &self,
        user: u64,
        channel: u64,
        custom_id: &Value,
        shown: Value,
    ) -> anyhow::Result<Asked> {
        let data = json!({ "custom_id": custom_id, "component_type": 2 });
        self.interaction(user, channel, 3, &data, Some(shown), Timestamp::now())
    }

    /// The `custom_id` of a message's button.
    pub fn custom_id(&self, message: u64, label: &str) -> Option<String> {
        let state = self.hub.lock();
        state
            .messages
            .get(&message)?
            .components
            .iter()
            .flat_map(|row| row["components"].as_array().into_iter().flatten())
            .find(|button| button["label"] == label)
            .and_then(|button| button["custom_id"].as_str().map(str::to_owned))
    }

    /// Fills a form in with one text and sends it.
    pub fn submit(
        &self,
        user: u64,
        channel: u64,
        form: &Value,
        text: &str,
    ) -> anyhow::Result<Asked> {
        let rows: Vec<Value> = form["components"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|row| {
                let field = &row["components"][0];
                let most = field["max_length"].as_u64().unwrap_or(4000);
                anyhow::ensure!(
                    u64::try_from(text.chars().count()).unwrap_or(u64::MAX) <= most,
                    "the form takes {most} characters"
                );
                Ok(json!({
                    "type": 1,
                    "components": [{ "type": 4, "custom_id": field["custom_id"], "value": text }],
                }))
            })
            .collect::<anyhow::Result<_>>()?;
        let data = json!({ "custom_id": form["custom_id"], "components": rows });
        self.interaction(user, channel, 5, &data, None, Timestamp::now())
    }

    /// Makes an interaction older than it is.
    pub fn age(&self, asked: Asked, by: Duration) {
        if let Some(interaction) = self.hub.lock().interactions.get_mut(&asked.id)
            && let Some(made) = interaction.made.checked_sub(by)
        {
            interaction.made = made;
        }
    }

    fn interaction(
        &self,
        user: u64,
        channel: u64,
        kind: u64,
        data: &Value,
        message: Option<Value>,
        at: Timestamp,
    ) -> anyhow::Result<Asked> {
        let mut state = self.hub.lock();
        let id = state.id_at(at);
        let token = format!("interaction-{id}");
        let mut member = state
            .member(user)
            .context("nobody of that id is in the guild")?;
        member["permissions"] = json!("0");
        let shown = state.channel(channel).context("there is no such channel")?;
        let place = json!({
            "id": channel.to_string(),
            "type": shown["type"],
            "name": shown["name"],
            "parent_id": shown["parent_id"],
            "thread_metadata": shown.get("thread_metadata"),
            "permissions": "0",
        });
        let mut event = json!({
            "id": id.to_string(),
            "application_id": ids::BOT.to_string(),
            "type": kind,
            "data": data,
            "guild_id": ids::GUILD.to_string(),
            "channel": place,
            "channel_id": channel.to_string(),
            "member": member,
            "token": token,
            "version": 1,
            "app_permissions": "0",
            "locale": "en-GB",
            "guild_locale": "en-US",
            "entitlements": [],
            "authorizing_integration_owners": {},
            "context": 0,
            "attachment_size_limit": 10_485_760,
        });
        if let Some(message) = message {
            event["message"] = message;
        }
        let ago = Timestamp::now().duration_since(at).unsigned_abs();
        state.interactions.insert(
            id,
            Interaction {
                token,
                made: Instant::now().checked_sub(ago).unwrap_or_else(Instant::now),
                channel,
                completes: kind == 4,
                acknowledged: None,
                data: None,
                message: None,
                writes: 0,
            },
        );
        state.send("INTERACTION_CREATE", &event);
        Ok(Asked { id })
    }

    /// Says something in a channel.
    pub fn say(&self, user: u64, channel: u64, text: &str) -> u64 {
        let mut state = self.hub.lock();
        state.write(channel, user, &json!({ "content": text }), &[], false)
    }

    pub fn react(&self, user: u64, message: u64, emoji: &str) {
        self.hub.lock().react(message, emoji, user);
    }

    pub fn unreact(&self, user: u64, message: u64, emoji: &str) {
        self.hub.lock().unreact(message, emoji, user);
    }

    pub fn set_roles(&self, user: u64, roles: &[u64]) {
        if let Some(member) = self.hub.lock().members.get_mut(&user) {
            member.roles = roles.iter().copied().collect();
        }
    }

    pub fn delete_message(&self, message: u64) {
        self.hub.lock().remove(message);
    }

    /// Deletes a channel or a thread with its messages.
    pub fn delete_channel(&self, channel: u64) {
        let mut state = self.hub.lock();
        let Some(shown) = state.channel(channel) else {
            return;
        };
        let thread = shown["parent_id"].is_string();
        state
            .channels
            .retain(|id, other| *id != channel && other.parent != Some(channel));
        let known: Vec<u64> = state.channels.keys().copied().collect();
        state
            .messages
            .retain(|_, message| known.contains(&message.channel));
        state.send(
            if thread {
                "THREAD_DELETE"
            } else {
                "CHANNEL_DELETE"
            },
            &shown,
        );
    }

    /// Archives or locks a thread, or takes that back.
    pub fn set_thread(&self, thread: u64, archived: bool, locked: bool) {
        let mut state = self.hub.lock();
        if let Some(channel) = state.channels.get_mut(&thread) {
            channel.archived = archived;
            channel.locked = locked;
        }
        if let Some(shown) = state.channel(thread) {
            state.send("THREAD_UPDATE", &shown);
        }
    }

    /// Takes a permission away from the bot, or gives it back.
    pub fn permit(&self, channel: u64, permission: Permission, allowed: bool) {
        let mut state = self.hub.lock();
        if let Some(place) = state.channels.get_mut(&channel) {
            if allowed {
                place.denied.remove(&permission);
            } else {
                place.denied.insert(permission);
            }
        }
        if let Some(shown) = state.channel(channel) {
            state.send("CHANNEL_UPDATE", &shown);
        }
    }
}
