//! What people and the service itself do, for tests.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::server::Server;
use super::state::{Interaction, Limits, Message, Out, Permission, Seen};
use super::{REFLOAT_DISCORD_TOKEN, ids};

/// How long a person waits for an answer.
const PATIENCE: Duration = Duration::from_secs(60);

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

    /// Waits for the final answer.
    pub async fn answer(&self, asked: Asked) -> anyhow::Result<Answer> {
        self.until(|| {
            let state = self.hub.lock();
            let interaction = state.interactions.get(&asked.id)?;
            if let Some(message) = interaction.message {
                let message = state.messages.get(&message)?;
                let embeds = message.embeds.iter().map(embed_text);
                let text: Vec<String> = std::iter::once(message.content.clone())
                    .filter(|text| !text.is_empty())
                    .chain(embeds)
                    .collect();
                return Some(Answer::Message(text.join("\n")));
            }
            let (_, kind) = interaction.acknowledged?;
            let data = interaction.data.clone()?;
            Some(if kind == 9 {
                Answer::Form(data)
            } else {
                Answer::Choices(
                    data["choices"]
                        .as_array()
                        .into_iter()
                        .flatten()
                        .map(|choice| {
                            let text =
                                |field: &str| choice[field].as_str().unwrap_or_default().to_owned();
                            (text("name"), text("value"))
                        })
                        .collect(),
                )
            })
        })
        .await
        .context("it was never answered")
    }

    /// The files of the answer, with their names.
    pub fn answer_files(&self, asked: Asked) -> Vec<(String, Vec<u8>)> {
        let state = self.hub.lock();
        state
            .interactions
            .get(&asked.id)
            .and_then(|interaction| interaction.message)
            .and_then(|message| state.messages.get(&message))
            .map(files_of)
            .unwrap_or_default()
    }

    /// The files of a message, with their names.
    pub fn files(&self, message: u64) -> Vec<(String, Vec<u8>)> {
        let state = self.hub.lock();
        state
            .messages
            .get(&message)
            .map(files_of)
            .unwrap_or_default()
    }

    /// The bot's new messages are made so much older than they are.
    pub fn backdate(&self, by: Duration) {
        self.hub.lock().backdated = by;
    }

    /// The words of the final answer.
    pub async fn words(&self, asked: Asked) -> anyhow::Result<String> {
        match self.answer(asked).await? {
            Answer::Message(text) => Ok(text),
            other => anyhow::bail!("it was answered with {other:?}"),
        }
    }

    /// How long it took from an interaction to its first answer; `None` before that.
    pub fn acknowledged_after(&self, asked: Asked) -> Option<Duration> {
        let state = self.hub.lock();
        let interaction = state.interactions.get(&asked.id)?;
        let (at, _) = interaction.acknowledged?;
        Some(at.duration_since(interaction.made))
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

    /// Who reacted with what to a message.
    pub fn reactions(&self, message: u64) -> Vec<(String, u64)> {
        self.hub
            .lock()
            .messages
            .get(&message)
            .map(|message| message.reactions.clone())
            .unwrap_or_default()
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

    /// The threads, with their names, oldest first.
    pub fn threads(&self) -> Vec<(u64, String)> {
        self.hub
            .lock()
            .channels
            .iter()
            .filter(|(_, channel)| channel.parent.is_some())
            .map(|(id, channel)| (*id, channel.name.clone()))
            .collect()
    }

    /// The thread whose name holds a text, once there is one.
    pub async fn thread_of(&self, part: &str) -> anyhow::Result<u64> {
        self.until(|| {
            self.threads()
                .into_iter()
                .find(|(_, name)| name.contains(part))
                .map(|(id, _)| id)
        })
        .await
        .with_context(|| format!("no thread is about {part}: {:?}", self.threads()))
    }

    /// The bot's messages in a channel that hold a text, oldest first.
    pub fn messages_with(&self, channel: u64, part: &str) -> Vec<u64> {
        let state = self.hub.lock();
        state
            .listed(channel)
            .filter(|message| {
                message.author == ids::BOT
                    && (message.content.contains(part)
                        || message
                            .embeds
                            .iter()
                            .any(|embed| embed_text(embed).contains(part)))
            })
            .map(|message| message.id)
            .collect()
    }

    /// Waits for a message of the bot that holds a text.
    pub async fn message_with(&self, channel: u64, part: &str) -> anyhow::Result<u64> {
        self.until(|| self.messages_with(channel, part).first().copied())
            .await
            .with_context(|| format!("nothing says {part:?} in:\n{}", self.shown(channel)))
    }

    /// The message with the card of a thread: the one with an embed.
    pub fn card(&self, thread: u64) -> Option<u64> {
        let state = self.hub.lock();
        state
            .listed(thread)
            .find(|message| message.author == ids::BOT && !message.embeds.is_empty())
            .map(|message| message.id)
    }

    /// How often a message was edited.
    pub fn edits_of(&self, message: u64) -> usize {
        self.hub
            .lock()
            .messages
            .get(&message)
            .map_or(0, |message| message.edits)
    }

    /// Each edit so far: of which message, and when.
    pub fn edits(&self) -> Vec<(u64, Instant)> {
        self.hub.lock().edits.clone()
    }

    /// An embed of a message, as it is now.
    pub fn embed(&self, message: u64) -> Option<Value> {
        self.hub
            .lock()
            .messages
            .get(&message)
            .and_then(|message| message.embeds.first().cloned())
    }

    /// Whom the bot's messages of a channel pinged.
    pub fn pinged(&self, channel: u64) -> Vec<String> {
        let state = self.hub.lock();
        state
            .listed(channel)
            .filter(|message| message.author == ids::BOT)
            .flat_map(|message| message.pinged.clone())
            .collect()
    }

    /// What a reader sees in a channel.
    pub fn shown(&self, channel: u64) -> String {
        let state = self.hub.lock();
        let mut text = String::new();
        for message in state.listed(channel) {
            let name = state
                .members
                .get(&message.author)
                .map_or("gone", |member| member.name.as_str());
            let _ = writeln!(text, "{name}: {}", message.content);
            for embed in &message.embeds {
                for line in embed_text(embed).lines() {
                    text.push_str("  | ");
                    text.push_str(line);
                    text.push('\n');
                }
            }
            for file in &message.files {
                let _ = writeln!(text, "  <{}>", file.name);
            }
            for row in &message.components {
                let buttons: Vec<String> = row["components"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .map(|button| {
                        let label = button["label"].as_str().unwrap_or_default();
                        if button["disabled"] == true {
                            format!("({label})")
                        } else {
                            format!("[{label}]")
                        }
                    })
                    .collect();
                let _ = writeln!(text, "  {}", buttons.join(" "));
            }
        }
        text
    }

    /// Which commands are registered.
    pub fn commands(&self) -> Vec<Value> {
        self.hub.lock().commands.clone()
    }

    /// What was counted.
    pub fn seen(&self) -> Seen {
        self.hub.lock().seen
    }

    /// Begins to count the busiest second and the 429s anew.
    pub fn count_anew(&self) {
        let mut state = self.hub.lock();
        state.seen.busiest_second = 0;
        state.seen.limited = 0;
        state.seen.requests = 0;
        state.edits.clear();
    }

    /// Requests that the published description does not allow.
    pub fn violations(&self) -> Vec<String> {
        self.hub.lock().violations.clone()
    }

    pub fn limits(&self) -> Limits {
        self.hub.lock().limits
    }

    pub fn set_limits(&self, limits: Limits) {
        self.hub.lock().limits = limits;
    }

    /// Gives out another token; the one before is worth nothing any more.
    pub fn set_token(&self, token: Option<&str>) {
        token
            .unwrap_or(REFLOAT_DISCORD_TOKEN)
            .clone_into(&mut self.hub.lock().token);
    }

    /// Whether the application has been granted the privileged intents.
    pub fn grant_privileged(&self, granted: bool) {
        self.hub.lock().privileged = granted;
    }

    /// Whether the bot has a session with a connection.
    pub fn is_connected(&self) -> bool {
        self.hub
            .lock()
            .session
            .as_ref()
            .is_some_and(|session| session.line.as_ref().is_some_and(|line| !line.is_closed()))
    }

    /// Waits until the bot is connected.
    pub async fn connected(&self) -> anyhow::Result<()> {
        self.until(|| self.is_connected().then_some(()))
            .await
            .context("the bot never connected")
    }

    fn out(&self, out: Out) {
        if let Some(session) = &mut self.hub.lock().session
            && let Some(line) = session.line.take()
        {
            let _ = line.send(out);
        }
    }

    /// Cuts the gateway's connection; the session can be resumed.
    pub fn cut(&self) {
        self.out(Out::Cut);
    }

    /// Closes the gateway's connection with a code.
    pub fn close(&self, code: u16) {
        self.out(Out::Close(code));
    }

    /// Ends the session: it cannot be resumed.
    pub fn invalidate(&self) {
        let mut state = self.hub.lock();
        if let Some(session) = &mut state.session {
            session.resumable = false;
            session.say(&json!({ "op": 9, "s": null, "t": null, "d": false }).to_string());
        }
    }

    /// Asks the bot to connect anew.
    pub fn ask_to_reconnect(&self) {
        if let Some(session) = &mut self.hub.lock().session {
            session.say(&json!({ "op": 7, "s": null, "t": null, "d": null }).to_string());
        }
    }

    /// Cuts each connection to the gateway at once, or lets them be.
    pub fn be_deaf(&self, deaf: bool) {
        self.hub.lock().deaf = deaf;
    }

    /// Sends each event twice, or once.
    pub fn double_events(&self, doubled: bool) {
        self.hub.lock().doubled = doubled;
    }

    /// Keeps events back.
    pub fn hold_events(&self) {
        self.hub.lock().held = Some(Vec::new());
    }

    /// Sends what was kept back, the last first.
    pub fn release_reversed(&self) {
        let mut state = self.hub.lock();
        let held = state.held.take().unwrap_or_default();
        if let Some(session) = &mut state.session {
            for (_, text) in held.iter().rev() {
                session.say(text);
            }
        }
    }

    /// Waits until `look` finds something.
    pub async fn until<T>(&self, mut look: impl FnMut() -> Option<T>) -> Option<T> {
        let wait = async {
            loop {
                let changed = self.hub.changed.notified();
                if let Some(found) = look() {
                    return found;
                }
                // What people do themselves does not wake anybody.
                let _ = tokio::time::timeout(Duration::from_millis(20), changed).await;
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.ok()
    }
}

fn files_of(message: &Message) -> Vec<(String, Vec<u8>)> {
    message
        .files
        .iter()
        .map(|file| (file.name.clone(), file.bytes.to_vec()))
        .collect()
}

/// An embed as text.
fn embed_text(embed: &Value) -> String {
    let mut lines = Vec::new();
    for field in ["title", "description"] {
        if let Some(text) = embed[field].as_str() {
            lines.push(text.to_owned());
        }
    }
    for field in embed["fields"].as_array().into_iter().flatten() {
        let text = |part: &str| field[part].as_str().unwrap_or_default().to_owned();
        lines.push(format!("{}: {}", text("name"), text("value")));
    }
    lines.join("\n")
}
