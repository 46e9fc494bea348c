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
//! Architecture invariant: nothing here but `console/` knows which chat it is,
//! and nothing here touches Argo CD or Git; of Velero, what the shelf knows is
//! shown, and a backup is asked for by `effects`.

pub mod console;
pub mod desk;
pub mod publish;
pub mod render;
pub mod schedule;

mod card;
mod harmless;
mod milestones;
mod thread;
mod words;

#[cfg(test)]
pub(crate) mod samples;

use std::future::Future;

pub(crate) use harmless::{cut, harmless};
pub use render::{RenderContext, render};
pub use thread::{Bar, Card, Field, Message, Stage, Thread, Tone, Unit};
pub(crate) use words::put;

/// Words for what others render too: the tables of backups.
pub(crate) mod in_words {
    pub(crate) use super::harmless::{code, harmless};
    pub(crate) use super::words::{between, bytes};
}

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

/// A file that goes with a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// With its ending, such as `backups.png`.
    pub name: String,
    /// Such as `image/png`.
    pub media_type: &'static str,
    pub bytes: Vec<u8>,
}

/// A text that is too long for a message, to be shown as a file beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// The name of the file.
    pub name: String,
    pub text: String,
}

/// A chat service.
pub trait Chat: Send + Sync + 'static {
    /// Waits for the next thing that somebody says; `None` when the chat has
    /// ended for good. May be dropped while it waits without losing anything.
    fn receive(&self) -> impl Future<Output = Option<Incoming>> + Send;

    /// Answers a person, so that only they need to see it. The text is lightly
    /// Markdown: `**bold**`, code spans, lists, and `\` before what would be markup.
    fn reply(&self, to: &Incoming, text: &str) -> impl Future<Output = anyhow::Result<()>> + Send;

    /// Answers a person with files, or says more after an answer, such as how what they asked for goes on.
    /// The first for a message is its answer, so that nobody need call [`Chat::reply`] before. The text is
    /// as for that; a chat that takes no files leaves them out.
    fn show(
        &self,
        to: &Incoming,
        text: &str,
        files: &[File],
    ) -> impl Future<Output = anyhow::Result<()>> + Send {
        let _ = files;
        self.reply(to, text)
    }

    /// As [`Chat::reply`], with a file. A chat that takes no files says the text and
    /// then what the file holds.
    fn reply_with(
        &self,
        to: &Incoming,
        text: &str,
        file: &Attachment,
    ) -> impl Future<Output = anyhow::Result<()>> + Send {
        async move { self.reply(to, &format!("{text}\n{}", file.text)).await }
    }

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
}
