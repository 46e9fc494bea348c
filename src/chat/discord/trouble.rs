//! What a person has to put right in Discord before a thread can be kept up.

use super::converge::UNKNOWN_CHANNEL;
use super::memory::Kept;
use super::rest::RestError;
use crate::chat::harmless::code;
use crate::config::Discord;

const MISSING_ACCESS: i64 = 50001;
pub(super) const MISSING_PERMISSIONS: i64 = 50013;
const LOCKED: i64 = 160_005;

/// Why a thread cannot be written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// The thread was deleted.
    ThreadGone,
    /// The channel that threads are begun in was deleted.
    ChannelGone,
    Locked,
    NotAllowed,
}

impl Trouble {
    /// The trouble that a refusal speaks of, if a person has to act.
    pub(super) fn of(refusal: &RestError, kept: &Kept) -> Option<Self> {
        Some(match refusal.code()? {
            UNKNOWN_CHANNEL if kept.thread.is_some() => Self::ThreadGone,
            UNKNOWN_CHANNEL => Self::ChannelGone,
            LOCKED => Self::Locked,
            MISSING_ACCESS | MISSING_PERMISSIONS => Self::NotAllowed,
            _ => return None,
        })
    }

    pub(super) fn key(self) -> String {
        match self {
            Self::ThreadGone => "thread-gone",
            Self::ChannelGone => "channel-gone",
            Self::Locked => "locked",
            Self::NotAllowed => "not-allowed",
        }
        .to_owned()
    }

    pub(super) fn in_words(self, request: &str, config: &Discord) -> String {
        let name = code(request);
        let on = format!(
            "{name} itself goes on; `/restore status request:{request}` says where it stands."
        );
        match self {
            Self::ThreadGone => format!("The thread of {name} was deleted. {on}"),
            Self::ChannelGone => format!(
                "The channel {} is gone, so that {name} has no thread. Name another one in the \
                 configuration (`chat.channel`). {on}",
                code(&config.channel.to_string())
            ),
            Self::Locked => format!(
                "The thread of {name} is locked, so that I cannot write into it. Unlock it. {on}"
            ),
            Self::NotAllowed => format!(
                "I may not write the thread of {name}. In <#{}> I need: View Channel, Send Messages, \
                 Create Public Threads, Send Messages in Threads, Embed Links, Attach Files, Read Message History, \
                 Manage Messages. {on}",
                config.channel
            ),
        }
    }
}
