//! The chat side: what people say comes in, what a restore does goes out.
//!
//! ```text
//! chat event --parse--> Command --admit--> RestoreRequest        (desk)
//! RestoreRequest --render (pure)--> Thread --publish--> chat     (publish)
//! ```
//!
//! Chat never blocks work: [`publish`] is a loop of its own over the same
//! resources, and a chat that is down delays messages and nothing else. Each
//! chat service is an adapter behind the port [`Chat`].
//!
//! Architecture invariant: nothing here but `console/` and `discord/` knows which
//! chat it is, and nothing here touches Argo CD or Git; of Velero, what the shelf
//! knows is shown, and a backup is asked for by `effects`.

pub mod console;
pub mod copy;
pub mod desk;
pub mod discord;
pub mod publish;
pub mod render;
pub mod rights;
pub mod schedule;

mod card;
mod harmless;
mod milestones;
mod thread;
mod words;

#[cfg(test)]
pub(crate) mod samples;

use std::future::Future;
use std::sync::Arc;

use jiff::SignedDuration;
use refloat_commands::Completion;
use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;

use rights::{Configured, Rights};

pub(crate) use harmless::{cut, harmless};
pub use render::{RenderContext, render};
pub use thread::{Asks, Bar, Card, Field, Message, Stage, Thread, Tone, Unit};
pub(crate) use words::put;

/// Words for what others render too: the tables of backups.
pub(crate) mod in_words {
    pub(crate) use super::harmless::{code, harmless};
    pub(crate) use super::words::{between, bytes};
}

use crate::config::Config;
use crate::notify::Post;
use crate::request::Person;

/// Something that a person said to Refloat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// The chat's own id of the message, the same when it is delivered again.
    pub id: String,
    pub from: Person,
    pub text: String,
    /// The name of the request in whose thread it was said.
    pub thread: Option<String>,
}

/// What a person is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub text: String,
    /// Nothing was done of what they said.
    pub refused: bool,
    /// What there is more to it than a message takes.
    pub file: Option<Attachment>,
}

impl From<String> for Answer {
    fn from(text: String) -> Self {
        Self {
            text,
            refused: false,
            file: None,
        }
    }
}

/// What a chat hears besides lines.
#[derive(Debug)]
pub enum Aside {
    /// Somebody is typing and wants to know what can follow.
    Completing(Completing),
    /// Somebody took back the approval that they gave.
    TakenBack(Marked),
    /// Somebody denied without a word, by a mark.
    Denied(Marked),
}

#[derive(Debug)]
pub struct Completing {
    pub from: Person,
    pub completion: Completion,
    /// Where the offers go; nobody may be waiting any more.
    pub offers: oneshot::Sender<Vec<Offer>>,
}

/// A value that can follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    pub value: String,
    /// What it is; may be empty.
    pub doc: String,
}

/// A mark that was put to a request, or taken away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marked {
    pub from: Person,
    /// The name of the request.
    pub request: String,
    /// Where the answer goes, as [`Incoming::id`].
    pub id: String,
}

/// A file that goes with a message: a picture, or a text that is too long for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// With its ending, such as `backups.png`.
    pub name: String,
    pub bytes: Vec<u8>,
}

impl Attachment {
    /// A file of text.
    pub fn text(name: String, text: String) -> Self {
        Self {
            name,
            bytes: text.into_bytes(),
        }
    }

    /// What the file says, if it is one of text, which its ending tells.
    pub fn as_text(&self) -> Option<&str> {
        let (_, ending) = self.name.rsplit_once('.')?;
        matches!(ending, "txt" | "log")
            .then(|| std::str::from_utf8(&self.bytes).ok())
            .flatten()
    }
}

/// A chat service.
pub trait Chat: Send + Sync + 'static {
    /// Waits for the next thing that somebody says; `None` when the chat has
    /// ended for good. May be dropped while it waits without losing anything.
    fn receive(&self) -> impl Future<Output = Option<Incoming>> + Send;

    /// Answers a person, so that only they need to see it, or says more after an
    /// answer, such as how what they asked for goes on. The text is lightly Markdown:
    /// `**bold**`, code spans, lists, and `\` before what would be markup.
    fn reply(
        &self,
        to: &Incoming,
        answer: &Answer,
    ) -> impl Future<Output = anyhow::Result<()>> + Send;

    /// Makes the chat's thread of a request match: creates it if there is none,
    /// edits the card in place if it differs, and appends the messages that are
    /// not there yet, told by their keys. Doing it twice is doing it once.
    fn publish(&self, thread: &Thread) -> impl Future<Output = anyhow::Result<()>> + Send;

    /// Posts a message to a channel, which the configuration names as the chat does.
    ///
    /// Returns once the chat has it. Doing it twice is doing it once, as far as the
    /// chat can tell: `post.id` is the same when Refloat, killed in between, posts it
    /// again. A channel that is not there is an error, which is logged, and the post
    /// is tried again later. The text is as for [`Chat::reply`], of at most
    /// [`Message::MOST`] characters, and mentions nobody.
    fn post(&self, post: &Post) -> impl Future<Output = anyhow::Result<()>> + Send {
        let channel = post.channel.clone();
        async move { anyhow::bail!("this chat has no channel {channel}") }
    }

    /// Whether the chat is connected, so that people are heard; a chat that cannot be
    /// cut off always is.
    fn connected(&self) -> watch::Receiver<bool> {
        watch::Sender::new(true).subscribe()
    }

    /// Waits until the thread of a request may be changed again. What is then
    /// published is rendered after this, so that it is as new as can be.
    fn ready(&self, request: &str) -> impl Future<Output = ()> + Send {
        let _ = request;
        std::future::ready(())
    }

    /// How long after its end a request may still have its last word to be said:
    /// one that ended longer before the start is left alone.
    fn last_words_within(&self) -> SignedDuration {
        SignedDuration::from_secs(30)
    }

    /// Waits until the thread of a request has to be published again although
    /// nothing is new, because somebody changed the thread.
    fn stirred(&self, request: &str) -> impl Future<Output = ()> + Send {
        let _ = request;
        std::future::pending()
    }

    /// Waits for the next thing that is heard besides lines.
    fn aside(&self) -> impl Future<Output = Aside> + Send {
        std::future::pending()
    }

    /// Takes over what may change of the configuration while Refloat runs.
    fn configure(&self, config: &Config) {
        let _ = config;
    }

    /// What the chat knows of people's rights.
    fn rights(&self) -> Arc<dyn Rights> {
        Arc::new(Configured)
    }

    /// Keeps the connection to the service until `stop`. Errors end Refloat, so
    /// that only what a person must put right is one.
    fn run(&self, stop: CancellationToken) -> impl Future<Output = anyhow::Result<()>> + Send {
        async move {
            stop.cancelled().await;
            Ok(())
        }
    }
}
