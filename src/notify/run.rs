//! The loop: looks at the cluster, and says what there is to say.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio_util::sync::CancellationToken;

use super::facts::Facts;
use super::{Policy, Told, concerns, next};
use crate::chat::{Chat, cut, harmless};
use crate::config::Config;
use crate::effects::github::Found;
use crate::effects::velero::shelf::Shelf;
use crate::effects::{Clients, notes};

/// The greatest length of what is said of one thing, in characters.
const LINE: usize = 300;
/// How long what the orders say of namespaces is taken to hold.
const ORDERS_HOLD: Duration = Duration::from_mins(10);

/// Tells people until `stop`; whatever fails is tried again at the next look.
///
/// Returns at once where no channel is configured.
pub async fn run<C: Chat>(
    config: Arc<Config>,
    clients: Clients,
    shelf: Shelf,
    chat: Arc<C>,
    stop: CancellationToken,
) {
    let Some(policy) = &config.notifications else {
        return;
    };
    let mut teller = Teller {
        config: &config,
        policy,
        clients: &clients,
        shelf: &shelf,
        chat: &*chat,
        namespaces: BTreeMap::new(),
        read_at: None,
    };
    let every = policy.every.unsigned_abs();
    tokio::select! {
        () = stop.cancelled() => return,
        () = shelf.ready() => {}
    }
    while !stop.is_cancelled() {
        // Not cut short by a stop: what was said is to be written down.
        if let Err(error) = teller.look().await {
            tracing::warn!(
                error = format!("{error:#}"),
                "people could not be told of everything; it is tried again"
            );
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(every) => {}
        }
    }
}

struct Teller<'a, C> {
    config: &'a Config,
    policy: &'a Policy,
    clients: &'a Clients,
    shelf: &'a Shelf,
    chat: &'a C,
    /// The tenant of each namespace, as the orders have it.
    namespaces: BTreeMap<String, String>,
    read_at: Option<Instant>,
}

impl<C: Chat> Teller<'_, C> {
    async fn look(&mut self) -> anyhow::Result<()> {
        let kube = &self.clients.kube;
        let own = &self.config.namespace;
        let (told, version) = notes::read(kube, own).await?;
        // What was being said when Refloat was killed is said first.
        let (told, version) = self.deliver(told, version).await?;
        self.read_orders().await;
        let tenant_of = |namespaces: &[Box<str>]| self.tenant_of(namespaces);
        let known = |key: &str| told.concerns.contains_key(key);
        // Before the look: what was made meanwhile must not seem late.
        let now = self.config.clock.now();
        let facts: Facts =
            notes::observe(kube, self.config, self.shelf, &tenant_of, &known).await?;
        let began = told.began.unwrap_or(now);
        let found = concerns(&facts, self.policy, began, now);
        let mut after = next(&told, &found, self.policy, |line| harmless(line, LINE), now);
        for post in &mut after.outbox {
            post.text = cut(&post.text, crate::chat::Message::MOST);
        }
        if after == told {
            return Ok(());
        }
        // Written before it is said, so that it is said once whatever happens.
        let version = notes::write(kube, own, &after, version).await?;
        self.deliver(after, version).await?;
        Ok(())
    }

    /// Posts what is in the outbox, and takes out what was posted.
    async fn deliver(
        &self,
        mut told: Told,
        mut version: Option<String>,
    ) -> anyhow::Result<(Told, Option<String>)> {
        let mut failed = None;
        for post in told.outbox.clone() {
            match self.chat.post(&post).await {
                Ok(()) => {
                    tracing::info!(channel = post.channel, post = post.id, "people were told");
                    told.outbox.retain(|other| other.id != post.id);
                    version =
                        notes::write(&self.clients.kube, &self.config.namespace, &told, version)
                            .await?;
                }
                Err(error) => {
                    tracing::warn!(
                        channel = post.channel,
                        error = format!("{error:#}"),
                        "a channel could not be told; it is tried again"
                    );
                    failed = Some(error);
                }
            }
        }
        match failed {
            // The other channels need not wait for this one.
            Some(error) if told.outbox.len() > MOST_WAITING => {
                Err(error).context("many channels cannot be told")
            }
            _ => Ok((told, version)),
        }
    }

    /// Whose namespaces these are; the platform's if they are not all of one tenant.
    fn tenant_of(&self, namespaces: &[Box<str>]) -> Option<String> {
        let mut tenants = namespaces
            .iter()
            .map(|namespace| self.namespaces.get(&**namespace));
        let first = tenants.next()??;
        tenants
            .all(|tenant| tenant == Some(first))
            .then(|| first.clone())
    }

    /// What the orders say of namespaces, now and then. What cannot be read keeps
    /// what was known; of what is not known, the reviewers are told.
    async fn read_orders(&mut self) {
        if self.read_at.is_some_and(|at| at.elapsed() < ORDERS_HOLD) {
            return;
        }
        let mut all = true;
        for tenant in self.tenants() {
            match self.clients.github.orders(&tenant).await {
                Ok(orders) => {
                    if let Found::Order(view) = orders.found {
                        self.namespaces.retain(|_, other| *other != tenant);
                        for namespace in view.namespaces {
                            self.namespaces.insert(namespace, tenant.clone());
                        }
                    }
                }
                Err(error) => {
                    all = false;
                    tracing::warn!(
                        tenant,
                        error = format!("{error:#}"),
                        "an order cannot be read"
                    );
                }
            }
        }
        if all {
            self.read_at = Some(Instant::now());
        }
    }

    /// The tenants that the configuration knows.
    fn tenants(&self) -> Vec<String> {
        let mut tenants: Vec<String> = self
            .config
            .policy
            .people
            .0
            .iter()
            .flat_map(|entry| entry.tenants.iter())
            .chain(self.policy.tenants.keys())
            .cloned()
            .collect();
        tenants.sort_unstable();
        tenants.dedup();
        tenants
    }
}

/// More channels than this that cannot be told are one that is away altogether.
const MOST_WAITING: usize = 50;
