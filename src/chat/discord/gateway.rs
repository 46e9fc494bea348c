//! The gateway: connected for good, by serenity, with pauses that grow and with
//! no more identifies than Discord gives.

use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use kube::runtime::utils::Backoff as _;
use kube::runtime::watcher::DefaultBackoff;
use secrecy::ExposeSecret as _;
use serenity::all::{ClientBuilder, Context, GatewayError, GatewayIntents, HttpBuilder, ShardId};
use serenity::async_trait;
use serenity::client::RawEventHandler;
use serenity::gateway::ConnectionStage;
use serenity::http::{LightMethod, Route};
use serenity::model::event::Event;
use tokio_util::sync::CancellationToken;

use super::Inner;
use super::register::register;
use super::rest::{Call, Lane, RestError};
use crate::config::Id;

/// A connection that is not there by then is given up and begun anew.
const PATIENCE: Duration = Duration::from_secs(20);
const LOOK: Duration = Duration::from_millis(500);
/// A connection that held so long was a good one.
const GOOD: Duration = Duration::from_mins(1);
/// With no more identifies left than this, Refloat waits for new ones.
const RESERVE: u64 = 10;
/// How long it waits where only a person can help.
const HOPELESS: Duration = Duration::from_mins(5);
/// How often the registration of the commands is tried for one connection.
const REGISTRATIONS: usize = 20;

/// Why a connection ended.
enum Ended {
    Stopped,
    /// It is tried again.
    Lost(String),
    /// Only a person can put it right.
    Refused(String),
}

/// Keeps the connection until `stop`.
///
/// Errors, before there ever was a connection, with what a person must put right;
/// later that is only said, since the restores must go on.
pub(super) async fn run(inner: Arc<Inner>, stop: CancellationToken) -> anyhow::Result<()> {
    let mut pauses = DefaultBackoff::default();
    let mut ever = false;
    loop {
        let began = tokio::time::Instant::now();
        let ended = connect(&inner, &stop).await;
        ever |= *inner.connected.borrow();
        inner.connected.send_replace(false);
        if began.elapsed() > GOOD {
            pauses.reset();
        }
        let pause = match ended {
            Ended::Stopped => return Ok(()),
            Ended::Refused(why) if !ever => bail!("{why}"),
            Ended::Refused(why) => {
                tracing::error!("{why}");
                HOPELESS
            }
            Ended::Lost(why) => {
                let pause = pauses.next().unwrap_or(HOPELESS);
                tracing::warn!(why, ?pause, "Discord is not connected; it is tried again");
                pause
            }
        };
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(pause) => {}
        }
    }
}

const WRONG_TOKEN: &str = "Discord does not know the bot's token: put the right one where \
    chat.tokenFile or chat.tokenEnv says";

async fn connect(inner: &Arc<Inner>, stop: &CancellationToken) -> Ended {
    let asked = tokio::select! {
        () = stop.cancelled() => return Ended::Stopped,
        asked = inner.rest.send(Call::new(LightMethod::Get, Route::GatewayBot).lane(Lane::Answer)) => asked,
    };
    let gateway = match asked {
        Ok(gateway) => gateway,
        Err(error) if error.is_unauthorized() => return Ended::Refused(WRONG_TOKEN.to_owned()),
        Err(error) => return Ended::Lost(error.to_string()),
    };
    let limit = &gateway["session_start_limit"];
    if let (Some(left), Some(after)) = (limit["remaining"].as_u64(), limit["reset_after"].as_u64())
        && left <= RESERVE
    {
        let pause = Duration::from_millis(after).min(Duration::from_hours(24));
        tracing::error!(
            left,
            ?pause,
            "Refloat has connected to Discord too often and waits"
        );
        tokio::select! {
            () = stop.cancelled() => return Ended::Stopped,
            () = tokio::time::sleep(pause) => {}
        }
    }
    let Some(url) = gateway["url"].as_str() else {
        return Ended::Lost("Discord does not say where its gateway is".to_owned());
    };
    let http = HttpBuilder::new(inner.config.token.expose_secret())
        .proxy(&inner.config.api)
        .ratelimiter_disabled(true)
        .build();
    let handler = Handler(Arc::clone(inner));
    let client = ClientBuilder::new_with_http(http, intents(inner)).raw_event_handler(handler);
    let mut client = match client.await {
        Ok(client) => client,
        Err(error) => return Ended::Lost(error.to_string()),
    };
    // serenity takes the public gateway if it cannot ask for another.
    url.clone_into(&mut *client.ws_url.lock().await);
    let shards = Arc::clone(&client.shard_manager);
    let watched = Arc::clone(&shards);
    let stage = async {
        let mut missing = tokio::time::Instant::now();
        loop {
            tokio::time::sleep(LOOK).await;
            let runners = watched.runners.lock().await;
            let stage = runners.get(&ShardId(0)).map(|runner| runner.stage);
            if stage == Some(ConnectionStage::Connected) {
                missing = tokio::time::Instant::now();
            }
            if missing.elapsed() > PATIENCE {
                return;
            }
        }
    };
    let ended = tokio::select! {
        () = stop.cancelled() => Ended::Stopped,
        () = stage => Ended::Lost("there was no connection for too long".to_owned()),
        ended = client.start() => match ended {
            Ok(()) => Ended::Lost("the connection ended".to_owned()),
            Err(error) => refusal(&error),
        },
    };
    shards.shutdown_all().await;
    ended
}

fn refusal(error: &serenity::Error) -> Ended {
    let serenity::Error::Gateway(gateway) = error else {
        return Ended::Lost(error.to_string());
    };
    match gateway {
        GatewayError::InvalidAuthentication | GatewayError::NoAuthentication => {
            Ended::Refused(format!("{WRONG_TOKEN} (close code 4004)"))
        }
        GatewayError::DisallowedGatewayIntents => Ended::Refused(
            "Discord has not granted the bot the content of messages (close code 4014): turn on \
             Message Content Intent on the Bot page of the application, or set \
             chat.messageContent: false"
                .to_owned(),
        ),
        GatewayError::InvalidGatewayIntents => Ended::Refused(
            "Discord does not know the intents that Refloat asks for (close code 4013): this \
             version of Refloat is too old"
                .to_owned(),
        ),
        other => Ended::Lost(other.to_string()),
    }
}

/// Threads and channels, mentions and deletions, reactions; no more.
fn intents(inner: &Inner) -> GatewayIntents {
    let mut intents = GatewayIntents::GUILDS
        | GatewayIntents::GUILD_MESSAGES
        | GatewayIntents::GUILD_MESSAGE_REACTIONS;
    if inner.config.message_content {
        intents |= GatewayIntents::MESSAGE_CONTENT;
    }
    intents
}

struct Handler(Arc<Inner>);

#[async_trait]
impl RawEventHandler for Handler {
    async fn raw_event(&self, _: Context, event: Event) {
        if let Err(error) = self.0.event(event).await {
            tracing::warn!(%error, "an event of Discord could not be attended to");
        }
    }
}

impl Inner {
    async fn event(self: &Arc<Self>, event: Event) -> Result<(), RestError> {
        match event {
            Event::Ready(ready) => {
                self.connected.send_replace(true);
                let _ = self.me.set(Id::from(ready.ready.user.id));
                tracing::info!("connected to Discord");
                // What happened before this connection is not told by events.
                self.look_at_everything().await;
                let guild = (!self.config.globally).then_some(self.config.guild);
                let application = Id::from(ready.ready.application.id);
                let this = Arc::clone(self);
                tokio::spawn(async move { this.register(application, guild).await });
            }
            Event::Resumed(_) => {
                self.connected.send_replace(true);
                tracing::info!("connected to Discord again");
            }
            Event::InteractionCreate(created) => self.interaction(created.interaction).await,
            Event::ReactionAdd(added) => self.reaction_added(&added.reaction).await?,
            Event::ReactionRemove(removed) => self.reaction_removed(&removed.reaction).await?,
            Event::MessageCreate(created) => self.message(&created.message).await?,
            Event::MessageDelete(deleted) => {
                self.deleted(deleted.channel_id.into()).await;
            }
            Event::MessageDeleteBulk(deleted) => {
                self.deleted(deleted.channel_id.into()).await;
            }
            Event::ThreadUpdate(updated) => self.changed(updated.thread.id.into()).await,
            Event::ThreadDelete(deleted) => self.changed(deleted.thread.id.into()).await,
            Event::ChannelUpdate(updated)
                if Id::from(updated.channel.id) == self.config.channel =>
            {
                for known in self.all_known() {
                    known.wake().await;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Registers the commands; tries a few times, since until then nobody can use them.
    async fn register(&self, application: Id, guild: Option<Id>) {
        let mut pauses = DefaultBackoff::default();
        for _ in 0..REGISTRATIONS {
            match register(&self.rest, application, guild).await {
                Ok(true) => tracing::info!("the slash commands were registered"),
                Ok(false) => {}
                Err(error) => {
                    tracing::error!(%error, "the slash commands could not be registered");
                    tokio::time::sleep(pauses.next().unwrap_or(HOPELESS)).await;
                    continue;
                }
            }
            return;
        }
    }

    /// Reads reactions back, and looks whether every card is there.
    async fn look_at_everything(self: &Arc<Self>) {
        for known in self.all_known() {
            known.state.lock().await.doubt_card();
            known.wake().await;
            let this = Arc::clone(self);
            tokio::spawn(async move { this.catch_up(&known).await });
        }
    }

    /// Something was deleted in a thread: it may be the card.
    async fn deleted(&self, channel: Id) {
        for known in self.all_known() {
            if *super::lock(&known.thread) == Some(channel) {
                known.state.lock().await.doubt_card();
                known.stir.notify_one();
            }
        }
    }

    /// A thread was archived, locked, opened again or deleted.
    async fn changed(&self, channel: Id) {
        for known in self.all_known() {
            if *super::lock(&known.thread) == Some(channel) {
                known.state.lock().await.doubt_card();
                known.wake().await;
            }
        }
    }
}
