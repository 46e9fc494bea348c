//! What people see of the guild, for tests.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde_json::Value;

use super::ids;
use super::people::{Answer, Asked};
use super::server::Server;
use super::state::Message;

/// How long a person waits for an answer.
const PATIENCE: Duration = Duration::from_secs(60);

impl Server {
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

    /// Who reacted with what to a message.
    pub fn reactions(&self, message: u64) -> Vec<(String, u64)> {
        self.hub
            .lock()
            .messages
            .get(&message)
            .map(|message| message.reactions.clone())
            .unwrap_or_default()
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
