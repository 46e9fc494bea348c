//! The configuration while Refloat runs: people, roles, limits and routing are read
//! anew when the file changes; the rest holds until the next start.
//!
//! A file with a fault is refused whole, and what held before goes on holding.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{Chat, Config};

/// How often the file is looked at. A mounted ConfigMap is replaced by a link, which
/// no watch of the file itself notices; reading a few kilobytes costs nothing.
const EVERY: Duration = Duration::from_secs(2);

/// The configuration as it is now. Clones are the same one.
#[derive(Clone, Debug)]
pub struct Live(watch::Receiver<Now>);

#[derive(Clone, Debug)]
struct Now {
    config: Arc<Config>,
    refused: Option<Arc<str>>,
}

impl Live {
    /// What holds now. Whoever does several things by it keeps what they were given.
    pub fn now(&self) -> Arc<Config> {
        Arc::clone(&self.0.borrow().config)
    }

    /// Why what the file says now does not hold, if it does not.
    pub fn refused(&self) -> Option<Arc<str>> {
        self.0.borrow().refused.clone()
    }

    /// Waits until something else holds than when this was called last; for ever if
    /// nothing can.
    pub async fn changed(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// One that does not change.
impl From<Arc<Config>> for Live {
    fn from(config: Arc<Config>) -> Self {
        let now = Now {
            config,
            refused: None,
        };
        Self(watch::channel(now).1)
    }
}

/// Reads the file anew when it changes.
#[derive(Debug)]
pub struct Reloader {
    path: PathBuf,
    /// The file as it was looked at last.
    seen: String,
    told: watch::Sender<Now>,
}

impl Reloader {
    /// Reads the configuration, and whatever it needs, for the first time.
    ///
    /// The error names every fault, each by its path in the file.
    pub fn open(path: &Path) -> anyhow::Result<(Live, Self)> {
        let seen = super::text_of(path)?;
        let config = Arc::new(Config::of_file(path, &seen)?);
        let (told, live) = watch::channel(Now {
            config,
            refused: None,
        });
        let reloader = Self {
            path: path.to_owned(),
            seen,
            told,
        };
        Ok((Live(live), reloader))
    }

    /// Looks at the file until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(EVERY) => {}
            }
            self.look();
        }
    }

    fn look(&mut self) {
        // While it is replaced it may not be there for an instant.
        let Ok(text) = super::text_of(&self.path) else {
            return;
        };
        if text == self.seen {
            return;
        }
        let read = Config::of_file(&self.path, &text);
        self.seen = text;
        match read {
            Ok(new) => {
                let old = Arc::clone(&self.told.borrow().config);
                let at_the_next_start = old.differs_until_restart(&new);
                if !at_the_next_start.is_empty() {
                    tracing::warn!(
                        settings = at_the_next_start.join(", "),
                        "these settings have changed and hold from the next start on"
                    );
                }
                tracing::info!("the configuration was read anew");
                self.told.send_replace(Now {
                    config: Arc::new(old.with_what_may_change_of(new)),
                    refused: None,
                });
            }
            Err(error) => {
                tracing::error!(
                    error = format!("{error:#}"),
                    "the changed configuration is refused; what held before goes on holding"
                );
                let why = format!("{error:#}").into();
                self.told.send_modify(|now| now.refused = Some(why));
            }
        }
    }
}

impl Config {
    /// The same with what may change while Refloat runs taken from another.
    fn with_what_may_change_of(&self, new: Self) -> Self {
        let (was, mut policy) = (&self.policy, new.policy);
        policy.own_namespace.clone_from(&was.own_namespace);
        // Threads are written by these, and must not say one thing twice in two ways.
        policy.time_zone.clone_from(&was.time_zone);
        policy.covers_resume = was.covers_resume;
        let mut chat = self.chat.clone();
        if let (Chat::Discord(mine), Chat::Discord(theirs)) = (&mut chat, new.chat) {
            mine.channels = theirs.channels;
            mine.trouble_channel = theirs.trouble_channel;
            mine.reviewers_role = theirs.reviewers_role;
            mine.roles = theirs.roles;
        }
        Self {
            chat,
            policy,
            schedules: new.schedules,
            copies: new.copies,
            notifications: new.notifications,
            ..self.clone()
        }
    }

    /// The settings that differ and hold only from the next start on.
    fn differs_until_restart(&self, new: &Self) -> Vec<&'static str> {
        use std::fmt::Debug;
        let say = |value: &dyn Debug| format!("{value:?}");
        let chat = |config: &Self| match &config.chat {
            Chat::Console { user } => say(user),
            Chat::Discord(discord) => say(&(
                &discord.api,
                discord.guild,
                discord.channel,
                discord.globally,
                discord.message_content,
            )),
        };
        let parts = |config: &Self| {
            [
                ("namespace", say(&config.namespace)),
                (
                    "kubernetes",
                    say(&(&config.kubeconfig, &config.clearing_role, &config.lease)),
                ),
                ("github, approval.team", say(&config.github)),
                ("argocd", say(&config.argocd)),
                ("velero", say(&config.velero)),
                ("web", say(&config.web)),
                ("telemetry", say(&config.otlp)),
                ("timeZone", say(&config.policy.time_zone)),
                ("approval.coversResume", say(&config.policy.covers_resume)),
                ("chat", chat(config)),
            ]
        };
        parts(self)
            .into_iter()
            .zip(parts(new))
            .filter(|((_, mine), (_, theirs))| mine != theirs)
            .map(|((name, _), _)| name)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: &str = "\
github: { repository: platform/infra-ocp4-tenants, tokenEnv: PATH }
chat: { kind: console, user: ada }
people: [{ name: ada, console: ada, github: ada-poseidon, tenants: [poseidon1] }]
";

    #[test]
    fn what_may_change_changes_and_what_is_wrong_is_refused() -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("refloat.yaml");
        std::fs::write(&path, LEAST)?;
        let (live, mut reloader) = Reloader::open(&path)?;
        let tenants = || live.now().policy.people.0[0].tenants.clone();
        reloader.look();
        assert_eq!(tenants(), ["poseidon1"]);

        // Also what needs a restart: it waits for one.
        let changed = LEAST
            .replace("[poseidon1]", "[poseidon1, triton2]")
            .replace("infra-ocp4-tenants", "another");
        std::fs::write(&path, format!("{changed}approval: {{ count: 2 }}\n"))?;
        reloader.look();
        assert_eq!(tenants(), ["poseidon1", "triton2"]);
        assert_eq!(live.now().policy.approval.count, 2);
        assert_eq!(live.now().github.repository, "infra-ocp4-tenants");
        assert!(live.refused().is_none());

        std::fs::write(&path, changed.replace("tenants: [", "tenantss: ["))?;
        reloader.look();
        assert_eq!(tenants(), ["poseidon1", "triton2"]);
        let why = live.refused().unwrap_or_default();
        assert!(why.contains("tenantss"), "{why}");

        // Gone for an instant, as while it is replaced.
        std::fs::remove_file(&path)?;
        reloader.look();
        assert_eq!(tenants(), ["poseidon1", "triton2"]);
        std::fs::write(&path, LEAST)?;
        reloader.look();
        assert_eq!(tenants(), ["poseidon1"]);
        assert!(live.refused().is_none());
        Ok(())
    }

    #[test]
    fn what_waits_for_a_restart_is_named() -> anyhow::Result<()> {
        let parse =
            |text: &str| Config::parse(text).map_err(|faults| anyhow::anyhow!("{faults:?}"));
        let old = parse(LEAST)?;
        let new = parse(&format!(
            "{}timeZone: Europe/Oslo\napproval: {{ coversResume: true }}\ntelemetry: {{ otlp: {{ endpoint: 'http://collector:4318' }} }}\n",
            LEAST.replace("infra-ocp4-tenants", "another")
        ))?;
        assert_eq!(
            old.differs_until_restart(&new),
            [
                "github, approval.team",
                "telemetry",
                "timeZone",
                "approval.coversResume"
            ]
        );
        assert!(old.differs_until_restart(&old).is_empty());
        Ok(())
    }
}
