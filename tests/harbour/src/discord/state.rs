//! What the guild holds.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::mpsc::UnboundedSender;

use super::ids;

/// What a bot may be allowed to do in a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Permission {
    ViewChannel,
    SendMessages,
    SendMessagesInThreads,
    CreatePublicThreads,
    ReadMessageHistory,
    AttachFiles,
    ManageMessages,
    ManageThreads,
}

/// How much is allowed in what time.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// All requests that do not answer an interaction, in a second.
    pub global: usize,
    /// Messages sent to one channel, or edited in it, in five seconds.
    pub messages: usize,
    /// Threads begun in one channel in ten seconds.
    pub threads: usize,
    /// Members of the guild read in ten seconds.
    pub members: usize,
    /// Identifies a day.
    pub identifies: u64,
    pub heartbeat: Duration,
    /// How long an interaction may wait for its first answer.
    pub answer_within: Duration,
    /// How long a nonce is remembered.
    pub nonce: Duration,
    /// From when on a message is old.
    pub old: Duration,
    /// Edits of old messages in one channel in twenty seconds.
    pub old_edits: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            global: 50,
            messages: 5,
            threads: 10,
            members: 50,
            identifies: 1000,
            heartbeat: Duration::from_millis(41_250),
            answer_within: Duration::from_secs(3),
            nonce: Duration::from_mins(5),
            old: Duration::from_hours(1),
            old_edits: 3,
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Channel {
    pub(super) name: String,
    /// Set for a thread: the channel that it is in.
    pub(super) parent: Option<u64>,
    pub(super) archived: bool,
    pub(super) locked: bool,
    /// What the bot may not do here; a thread has its parent's as well.
    pub(super) denied: BTreeSet<Permission>,
}

#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) name: String,
    pub(super) bot: bool,
    pub(super) roles: BTreeSet<u64>,
}

#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) id: u64,
    pub(super) channel: u64,
    pub(super) author: u64,
    pub(super) content: String,
    pub(super) embeds: Vec<Value>,
    pub(super) components: Vec<Value>,
    pub(super) reference: Option<u64>,
    pub(super) files: Vec<Upload>,
    pub(super) ephemeral: bool,
    pub(super) edits: usize,
    pub(super) edited: Option<jiff::Timestamp>,
    /// The roles and people who were pinged by it.
    pub(super) pinged: Vec<String>,
    /// Who reacted with what, in order.
    pub(super) reactions: Vec<(String, u64)>,
}

/// A file of a message.
#[derive(Clone, Debug)]
pub(super) struct Upload {
    /// By which the body names it.
    pub(super) number: u64,
    pub(super) name: String,
    pub(super) bytes: bytes::Bytes,
}

/// Where an interaction stands.
#[derive(Clone, Debug)]
pub(super) struct Interaction {
    pub(super) token: String,
    pub(super) made: Instant,
    pub(super) channel: u64,
    /// Commands, components and forms are answered by messages; completion by choices.
    pub(super) completes: bool,
    pub(super) acknowledged: Option<(Instant, u64)>,
    /// The data of the first answer, if it was final.
    pub(super) data: Option<Value>,
    /// The message that answers it.
    pub(super) message: Option<u64>,
    /// How often the message was written.
    pub(super) writes: usize,
}

/// A bucket of requests: what is left until when.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    pub(super) used: usize,
    pub(super) since: Instant,
}

/// What a session sends to its client.
#[derive(Debug)]
pub(super) enum Out {
    Text(String),
    Close(u16),
    Cut,
}

#[derive(Debug, Default)]
pub(super) struct Session {
    pub(super) id: String,
    pub(super) seq: u64,
    pub(super) log: Vec<(u64, String)>,
    pub(super) intents: u64,
    pub(super) resumable: bool,
    pub(super) line: Option<UnboundedSender<Out>>,
}

/// What the gateway counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    pub connections: usize,
    pub identifies: usize,
    pub resumes: usize,
    /// Requests answered with 429.
    pub limited: usize,
    /// Requests answered with 401, 403 or 429.
    pub invalid: usize,
    /// Requests in all.
    pub requests: usize,
    /// The most requests in any one second.
    pub busiest_second: usize,
    /// How often the commands were registered.
    pub registrations: usize,
}

#[derive(Debug)]
pub(super) struct State {
    next: u64,
    pub(super) limits: Limits,
    pub(super) channels: BTreeMap<u64, Channel>,
    pub(super) members: BTreeMap<u64, Member>,
    pub(super) messages: BTreeMap<u64, Message>,
    pub(super) nonces: HashMap<(u64, String), (u64, Instant)>,
    pub(super) commands: Vec<Value>,
    pub(super) interactions: BTreeMap<u64, Interaction>,
    pub(super) buckets: HashMap<String, Bucket>,
    pub(super) second: VecDeque<Instant>,
    pub(super) session: Option<Session>,
    /// Events are kept back, to be sent later in the reverse order.
    pub(super) held: Option<Vec<(u64, String)>>,
    /// Each event is sent twice.
    pub(super) doubled: bool,
    /// Connections to the gateway are cut at once.
    pub(super) deaf: bool,
    pub(super) token: String,
    pub(super) privileged: bool,
    pub(super) seen: Seen,
    pub(super) violations: Vec<String>,
    /// How much older than they are the bot's new messages are made.
    pub(super) backdated: Duration,
    /// Each edit of a message: which, when.
    pub(super) edits: Vec<(u64, Instant)>,
}

impl State {
    pub(super) fn new(token: &str, limits: Limits) -> Self {
        let channel = |name: &str| Channel {
            name: name.to_owned(),
            parent: None,
            archived: false,
            locked: false,
            denied: BTreeSet::new(),
        };
        let member = |name: &str, bot: bool, roles: &[u64]| Member {
            name: name.to_owned(),
            bot,
            roles: roles.iter().copied().collect(),
        };
        Self {
            next: 0,
            limits,
            channels: BTreeMap::from([
                (ids::CHANNEL, channel("restores")),
                (ids::OTHER_CHANNEL, channel("elsewhere")),
            ]),
            members: BTreeMap::from([
                (ids::BOT, member("refloat", true, &[])),
                (ids::ADA, member("ada", false, &[ids::POSEIDON])),
                (ids::ODD, member("odd", false, &[])),
                (ids::GRACE, member("grace", false, &[ids::REVIEWERS])),
                (ids::LINUS, member("linus", false, &[ids::REVIEWERS])),
                (ids::MALLORY, member("mallory", false, &[])),
                (ids::ROBOT, member("robot", true, &[ids::REVIEWERS])),
            ]),
            messages: BTreeMap::new(),
            nonces: HashMap::new(),
            commands: Vec::new(),
            interactions: BTreeMap::new(),
            buckets: HashMap::new(),
            second: VecDeque::new(),
            session: None,
            held: None,
            doubled: false,
            deaf: false,
            token: token.to_owned(),
            privileged: false,
            seen: Seen::default(),
            violations: Vec::new(),
            backdated: Duration::ZERO,
            edits: Vec::new(),
        }
    }

    /// A new id, which says when it was made.
    pub(super) fn id(&mut self) -> u64 {
        self.id_at(jiff::Timestamp::now())
    }

    pub(super) fn id_at(&mut self, at: jiff::Timestamp) -> u64 {
        self.next += 1;
        let since = at.as_millisecond() - 1_420_070_400_000;
        (u64::try_from(since).unwrap_or_default() << 22) | (self.next & 0x3f_ffff)
    }

    pub(super) fn may(&self, channel: u64, permission: Permission) -> bool {
        let mut at = Some(channel);
        while let Some(channel) = at.and_then(|id| self.channels.get(&id)) {
            if channel.denied.contains(&permission)
                || channel.denied.contains(&Permission::ViewChannel)
            {
                return false;
            }
            at = channel.parent;
        }
        true
    }

    /// The messages of a channel that everybody sees, oldest first.
    pub(super) fn listed(&self, channel: u64) -> impl DoubleEndedIterator<Item = &Message> {
        self.messages
            .values()
            .filter(move |message| message.channel == channel && !message.ephemeral)
    }
}

/// When an id was made.
pub(super) fn made(id: u64) -> jiff::Timestamp {
    let since = i64::try_from(id >> 22).unwrap_or_default();
    jiff::Timestamp::from_millisecond(since + 1_420_070_400_000).unwrap_or_default()
}
