//! Refloat on the harbour's Discord.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use harbour::Setup;
use harbour::discord::{Options, REFLOAT_DISCORD_TOKEN, Server, ids};
use refloat::chat::discord::Discord;
use refloat::config::{Chat, Config, Live, Reloader};
use refloat::effects::Clients;
use refloat::request::Phase;
use refloat::serve::serve;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use crate::refloat::{FAST, until};
use crate::world::World;

/// A world with a Discord.
pub struct Chatted {
    pub world: World,
    pub discord: Server,
}

impl Chatted {
    pub async fn start() -> anyhow::Result<Self> {
        Self::start_in(Setup {
            shape: harbour::world::Shape::small(),
            days_of_backups: 2,
            ..Setup::default()
        })
        .await
    }

    pub async fn start_in(setup: Setup) -> anyhow::Result<Self> {
        let world = World::start(setup).await?;
        let discord = Server::start(Options {
            gate: world.harbour.gate.clone(),
            specs: harbour::published_specs(),
            ..Options::default()
        })
        .await?;
        Ok(Self { world, discord })
    }

    /// Refloat's configuration; `chat` is added to the section of that name.
    pub fn config(&self, chat: &str) -> anyhow::Result<String> {
        let token = self.world.harbour.folder().join("discord-token");
        std::fs::write(&token, REFLOAT_DISCORD_TOKEN)?;
        let mut config = self.world.harbour.refloat_config(FAST)?;
        let section = format!(
            "chat: {{ kind: discord, api: '{}', tokenFile: {}, guild: '{}', channel: '{}', reviewersRole: '{}'{}{chat} }}",
            self.discord.api_url(),
            token.display(),
            ids::GUILD,
            ids::CHANNEL,
            ids::REVIEWERS,
            if chat.is_empty() { "" } else { ", " },
        );
        config = config.replace("chat: { kind: console, user: ada }", &section);
        for (name, id) in [
            ("ada", ids::ADA),
            ("odd", ids::ODD),
            ("grace", ids::GRACE),
            ("linus", ids::LINUS),
        ] {
            config = config.replace(
                &format!("console: {name},"),
                &format!("console: {name}, discord: '{id}',"),
            );
        }
        Ok(config)
    }

    pub fn refloat(&self) -> anyhow::Result<OnDiscord> {
        OnDiscord::start(&self.config("")?)
    }

    /// Asks for the restore of the first tenant's first namespace, as ada.
    pub async fn ask(&self) -> anyhow::Result<String> {
        self.ask_as(ids::ADA).await
    }

    pub async fn ask_as(&self, user: u64) -> anyhow::Result<String> {
        self.ready().await?;
        let tenant = self.world.here("poseidon1");
        let asked = self.discord.slash(
            user,
            ids::CHANNEL,
            "restore request",
            &[
                ("tenant", &tenant),
                ("namespaces", "dev"),
                ("reason", "bad migration"),
                ("schedule", "daily"),
                ("day", "yesterday"),
            ],
        )?;
        let words = self.discord.words(asked).await?;
        let name = words
            .split('`')
            .nth(1)
            .with_context(|| format!("no request came of it: {words}"))?;
        anyhow::ensure!(
            words.starts_with("Your request is"),
            "it was refused: {words}"
        );
        Ok(name.to_owned())
    }

    /// Waits until Refloat is connected and its commands are registered.
    pub async fn ready(&self) -> anyhow::Result<()> {
        self.discord.connected().await?;
        until(|| async { Ok(!self.discord.commands().is_empty()) })
            .await
            .context("no commands were registered")
    }

    /// The thread of a request and the message in it that asks for approval.
    pub async fn question(&self, name: &str) -> anyhow::Result<(u64, u64)> {
        let thread = self.discord.thread_of(name).await?;
        let question = self
            .discord
            .message_with(thread, "Reviewers: please approve or deny")
            .await?;
        Ok((thread, question))
    }

    /// Waits until a request is in a phase.
    pub async fn until_phase(&self, name: &str, phase: Phase) -> anyhow::Result<()> {
        self.world.until_phase(name, phase).await.map(|_| ())
    }

    /// Whatever a test did, nothing was sent that Discord does not know.
    pub fn check(&self) -> anyhow::Result<()> {
        let violations = self.discord.violations();
        anyhow::ensure!(violations.is_empty(), "{violations:#?}");
        Ok(())
    }

    /// Each milestone is in the thread exactly once, and the card says the end.
    pub fn check_thread(&self, thread: u64, end: &str) -> anyhow::Result<()> {
        let shown = self.discord.shown(thread);
        let said: Vec<&str> = shown
            .lines()
            .filter(|line| line.starts_with("refloat: ") && line.len() > "refloat: ".len())
            .collect();
        let mut once = said.clone();
        once.sort_unstable();
        once.dedup();
        anyhow::ensure!(
            once.len() == said.len(),
            "something is said twice:\n{shown}"
        );
        anyhow::ensure!(shown.contains(end), "{end:?} is not said:\n{shown}");
        let cards = shown.matches("| Restore of ").count();
        anyhow::ensure!(cards == 1, "{cards} cards:\n{shown}");
        Ok(())
    }
}

/// A running Refloat, with a runtime of its own so that it can be killed.
pub struct OnDiscord {
    runtime: Option<Runtime>,
    stop: CancellationToken,
    ended: Arc<Mutex<Option<anyhow::Result<()>>>>,
}

impl OnDiscord {
    /// Starts Refloat as `refloat run` would.
    pub fn start(config: &str) -> anyhow::Result<Self> {
        let config = Config::parse(config).map_err(|faults| anyhow::anyhow!("{faults:?}"))?;
        Self::start_by(Live::from(Arc::new(config)), None)
    }

    /// The same with a configuration in a file, which may change.
    pub fn start_file(path: &Path) -> anyhow::Result<Self> {
        let (live, reloader) = Reloader::open(path)?;
        Self::start_by(live, Some(reloader))
    }

    fn start_by(live: Live, reloader: Option<Reloader>) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("refloat")
            .enable_all()
            .build()?;
        let stop = CancellationToken::new();
        let ended: Arc<Mutex<Option<anyhow::Result<()>>>> = Arc::default();
        let (outcome, stopping) = (Arc::clone(&ended), stop.clone());
        runtime.spawn(async move {
            if let Some(reloader) = reloader {
                tokio::spawn(reloader.run(stopping.clone()));
            }
            let run = async {
                let config = live.now();
                let Chat::Discord(section) = &config.chat else {
                    anyhow::bail!("the configuration names no Discord");
                };
                let kube = Clients::connect(&config).await?.kube;
                let chat = Discord::new(section, kube, &config.namespace)?;
                serve(live, Arc::new(chat), stopping).await
            };
            let result = run.await;
            *outcome.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
        });
        Ok(Self {
            runtime: Some(runtime),
            stop,
            ended,
        })
    }

    /// Waits until it has ended by itself.
    pub async fn ended(&self) -> anyhow::Result<()> {
        until(|| async {
            Ok(self
                .ended
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .is_some())
        })
        .await
        .context("Refloat did not end")?;
        self.ended
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
            .unwrap_or(Ok(()))
    }

    /// Whether it still runs.
    pub fn runs(&self) -> bool {
        self.ended
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_none()
    }

    pub fn kill(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }

    pub async fn stop(mut self) -> anyhow::Result<()> {
        self.stop.cancel();
        let ended = self.ended().await;
        self.kill();
        ended
    }
}

impl Drop for OnDiscord {
    fn drop(&mut self) {
        self.kill();
    }
}
