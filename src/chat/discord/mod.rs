//! Discord as a chat.
//!
//! ```text
//! gateway (events) --> hear (who said what, once and in time) --> desk
//! request --> render --> converge (find, send or edit; remember) --> thread
//! ```
//!
//! The gateway is serenity's; requests go through [`rest`], which keeps Discord's
//! limits. Nothing here decides: who may do what is looked up in [`rights`], and
//! what is said goes to the desk as a line of text.

mod catch_up;
mod check;
mod converge;
mod gateway;
mod hear;
mod memory;
mod pace;
mod register;
mod rest;
mod rights;
mod show;
mod trouble;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use jiff::SignedDuration;
use serenity::http::{LightMethod, Route};
use serenity::model::id::ChannelId;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use self::check::Checked;
use self::converge::Known;
use self::hear::{Heard, Pending};
use self::memory::Memory;
use self::rest::{Call, Rest, RestError};
use super::rights::Rights;
use super::{Answer, Aside, Chat, Incoming, Thread};
use crate::config::{self, Id};
use crate::notify::Post;

/// A server of Discord as a chat.
#[derive(Clone)]
pub struct Discord(Arc<Inner>);

impl std::fmt::Debug for Discord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Discord")
            .field("guild", &self.0.config.guild)
            .finish_non_exhaustive()
    }
}

struct Inner {
    config: config::Discord,
    /// What may change of it while Refloat runs.
    changing: Mutex<Arc<config::Discord>>,
    rest: Rest,
    memory: Memory,
    /// The bot's own id, once it is known.
    me: OnceLock<Id>,
    said: mpsc::UnboundedSender<Incoming>,
    said_next: tokio::sync::Mutex<mpsc::UnboundedReceiver<Incoming>>,
    asides: mpsc::UnboundedSender<Aside>,
    asides_next: tokio::sync::Mutex<mpsc::UnboundedReceiver<Aside>>,
    /// Who waits for an answer, by the id of what they said.
    pending: Mutex<HashMap<String, Pending>>,
    heard: Mutex<Heard>,
    /// Reactions that are being heard, by their ids.
    reacting: Mutex<HashSet<String>>,
    /// The threads, by the names of their requests.
    threads: Mutex<HashMap<String, Arc<Known>>>,
    members: Mutex<HashMap<Id, rights::Seen>>,
    silent: Mutex<Option<Instant>>,
    connected: watch::Sender<bool>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Discord {
    /// Connects to nothing yet. `client` and `namespace`: where the requests are,
    /// which remember their threads.
    pub fn new(
        config: &config::Discord,
        client: kube::Client,
        namespace: &str,
    ) -> anyhow::Result<Self> {
        let (said, said_next) = mpsc::unbounded_channel();
        let (asides, asides_next) = mpsc::unbounded_channel();
        Ok(Self(Arc::new(Inner {
            rest: Rest::new(&config.token, &config.api)
                .context("the client for Discord cannot be made")?,
            config: config.clone(),
            changing: Mutex::new(Arc::new(config.clone())),
            memory: Memory::new(client, namespace.to_owned()),
            me: OnceLock::new(),
            said,
            said_next: tokio::sync::Mutex::new(said_next),
            asides,
            asides_next: tokio::sync::Mutex::new(asides_next),
            pending: Mutex::default(),
            heard: Mutex::default(),
            reacting: Mutex::default(),
            threads: Mutex::default(),
            members: Mutex::default(),
            silent: Mutex::default(),
            connected: watch::channel(false).0,
        })))
    }
}

impl Inner {
    /// The configuration as it is now: roles, the reviewers' role and the channels
    /// that are listened in may have changed.
    fn as_configured(&self) -> Arc<config::Discord> {
        Arc::clone(&lock(&self.changing))
    }

    fn members(&self) -> MutexGuard<'_, HashMap<Id, rights::Seen>> {
        lock(&self.members)
    }

    fn silent(&self) -> MutexGuard<'_, Option<Instant>> {
        lock(&self.silent)
    }

    /// The bot's own id.
    async fn me(&self) -> Result<Id, RestError> {
        if let Some(me) = self.me.get() {
            return Ok(*me);
        }
        let me = self
            .rest
            .send(Call::new(LightMethod::Get, Route::UserMe))
            .await?;
        let me = id_of(&me)?;
        Ok(*self.me.get_or_init(|| me))
    }

    fn known(&self, request: &str) -> Option<Arc<Known>> {
        lock(&self.threads).get(request).cloned()
    }

    fn all_known(&self) -> Vec<Arc<Known>> {
        lock(&self.threads).values().cloned().collect()
    }
}

/// The id of an object that Discord answered with.
fn id_of(object: &serde_json::Value) -> Result<Id, RestError> {
    object["id"]
        .as_str()
        .and_then(|id| id.parse().ok())
        .ok_or_else(|| RestError::Unreachable("an answer has no id".to_owned()))
}

/// A card is edited no more often than this.
const BETWEEN_EDITS: Duration = Duration::from_secs(2);

impl Chat for Discord {
    async fn receive(&self) -> Option<Incoming> {
        self.0.said_next.lock().await.recv().await
    }

    async fn aside(&self) -> Aside {
        match self.0.asides_next.lock().await.recv().await {
            Some(aside) => aside,
            None => std::future::pending().await,
        }
    }

    async fn reply(&self, to: &Incoming, answer: &Answer) -> anyhow::Result<()> {
        self.0.reply(to, answer).await
    }

    async fn publish(&self, thread: &Thread) -> anyhow::Result<()> {
        Inner::publish(&self.0, thread).await
    }

    async fn post(&self, post: &Post) -> anyhow::Result<()> {
        let channel: Id = post
            .channel
            .parse()
            .with_context(|| format!("{} is not a channel's id", post.channel))?;
        let mut body = show::answer(&post.text);
        body["nonce"] = serde_json::json!(show::nonce(&post.id, "post"));
        body["enforce_nonce"] = serde_json::json!(true);
        let route = Route::ChannelMessages {
            channel_id: ChannelId::from(channel),
        };
        self.0
            .rest
            .send(Call::new(LightMethod::Post, route).body(body))
            .await?;
        Ok(())
    }

    fn connected(&self) -> watch::Receiver<bool> {
        self.0.connected.subscribe()
    }

    async fn ready(&self, request: &str) {
        if let Some(known) = self.0.known(request) {
            let edited = *lock(&known.edited);
            if let Some(at) = edited {
                tokio::time::sleep_until(at + BETWEEN_EDITS).await;
            }
            self.0.rest.pacer.slot().await;
            *lock(&known.prepaid) = true;
        }
    }

    fn last_words_within(&self) -> SignedDuration {
        // Whether they were said is remembered, so that looking costs little.
        SignedDuration::from_hours(168)
    }

    async fn stirred(&self, request: &str) {
        match self.0.known(request) {
            Some(known) => known.stir.notified().await,
            None => std::future::pending().await,
        }
    }

    fn configure(&self, config: &config::Config) {
        if let config::Chat::Discord(discord) = &config.chat {
            *lock(&self.0.changing) = Arc::new(discord.as_ref().clone());
        }
    }

    fn rights(&self) -> Arc<dyn Rights> {
        Arc::clone(&self.0) as Arc<dyn Rights>
    }

    async fn run(&self, stop: CancellationToken) -> anyhow::Result<()> {
        gateway::run(Arc::clone(&self.0), stop).await
    }
}
