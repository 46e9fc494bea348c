//! What is known of Velero's Backups and Schedules, kept by watches.
//!
//! Thousands of backups are read once, in pages, and each is cut down to what is shown of it; afterwards only
//! what changes is read. What is here may be a moment old: nothing is decided by it, only shown.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use futures::StreamExt as _;
use kube::core::DynamicObject;
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Client, ResourceExt as _};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::super::{dynamic, json, velero_kind};
use super::created;
use crate::backups::{Backup, Schedule};

/// How many objects one page of the first reading has.
const PAGE: u32 = 500;

/// Everything that is known; clones are the same shelf.
#[derive(Clone, Debug, Default)]
pub struct Shelf {
    backups: Drawer<Backup>,
    schedules: Drawer<Schedule>,
}

/// One kind of object, by name.
#[derive(Debug)]
struct Drawer<T> {
    known: Arc<RwLock<HashMap<String, T>>>,
    /// Counts what has come; nothing has before the first reading is through.
    changes: Arc<watch::Sender<u64>>,
}

impl<T> Clone for Drawer<T> {
    fn clone(&self) -> Self {
        Self {
            known: Arc::clone(&self.known),
            changes: Arc::clone(&self.changes),
        }
    }
}

impl<T> Default for Drawer<T> {
    fn default() -> Self {
        Self {
            known: Arc::default(),
            changes: Arc::new(watch::Sender::new(0)),
        }
    }
}

impl<T> Drawer<T> {
    fn read(&self) -> RwLockReadGuard<'_, HashMap<String, T>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    async fn ready(&self) {
        // The sender is in `self`, so that waiting cannot fail.
        let _ = self.changes.subscribe().wait_for(|count| *count > 0).await;
    }

    /// Follows a kind until it is dropped.
    async fn follow(
        &self,
        client: &Client,
        namespace: &str,
        (kind, plural): (&str, &str),
        cut_down: fn(&DynamicObject) -> T,
    ) {
        let api = dynamic(client, namespace, &velero_kind(kind, plural));
        let config = watcher::Config::default().page_size(PAGE);
        let mut events = std::pin::pin!(watcher(api, config).default_backoff());
        let mut coming = HashMap::new();
        while let Some(event) = events.next().await {
            match event {
                Ok(watcher::Event::Init) => coming = HashMap::new(),
                Ok(watcher::Event::InitApply(object)) => {
                    coming.insert(object.name_any(), cut_down(&object));
                }
                Ok(watcher::Event::InitDone) => {
                    coming.shrink_to_fit();
                    *self.known.write().unwrap_or_else(PoisonError::into_inner) =
                        std::mem::take(&mut coming);
                    self.changes.send_modify(|count| *count += 1);
                }
                Ok(watcher::Event::Apply(object)) => {
                    let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
                    known.insert(object.name_any(), cut_down(&object));
                    drop(known);
                    self.changes.send_modify(|count| *count += 1);
                }
                Ok(watcher::Event::Delete(object)) => {
                    let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
                    known.remove(&object.name_any());
                    drop(known);
                    self.changes.send_modify(|count| *count += 1);
                }
                Err(error) => tracing::debug!(kind, %error, "a watch broke off and begins anew"),
            }
        }
    }
}

impl Shelf {
    /// Keeps the shelf filled until `stop`.
    pub async fn run(&self, client: Client, namespace: String, stop: CancellationToken) {
        let backups = self
            .backups
            .follow(&client, &namespace, ("Backup", "backups"), backup);
        let schedules =
            self.schedules
                .follow(&client, &namespace, ("Schedule", "schedules"), schedule);
        tokio::select! {
            () = stop.cancelled() => {}
            _ = async { tokio::join!(backups, schedules) } => {}
        }
    }

    /// Waits until both kinds have been read once.
    pub async fn ready(&self) {
        self.backups.ready().await;
        self.schedules.ready().await;
    }

    /// Looks at what is known, which must not take long: nothing comes in meanwhile.
    pub fn look<R>(
        &self,
        at: impl FnOnce(&HashMap<String, Backup>, &HashMap<String, Schedule>) -> R,
    ) -> R {
        at(&self.backups.read(), &self.schedules.read())
    }

    /// One backup as it is known.
    pub fn backup(&self, name: &str) -> Option<Backup> {
        self.backups.read().get(name).cloned()
    }

    /// Tells of each change of any backup.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.backups.changes.subscribe()
    }
}

fn boxed(names: Vec<String>) -> Vec<Box<str>> {
    let mut boxed: Vec<Box<str>> = names.into_iter().map(String::into_boxed_str).collect();
    boxed.shrink_to_fit();
    boxed
}

/// What is shown of a Backup.
pub fn backup(object: &DynamicObject) -> Backup {
    let data = &object.data;
    let mut reasons = json::strings(data, "/status/validationErrors");
    reasons.extend(json::text(data, "/status/failureReason").map(ToOwned::to_owned));
    Backup {
        name: object.name_any(),
        schedule: object
            .labels()
            .get("velero.io/schedule-name")
            .map(|name| name.as_str().into()),
        included: boxed(json::strings(data, "/spec/includedNamespaces")),
        excluded: boxed(json::strings(data, "/spec/excludedNamespaces")),
        phase: json::string(data, "/status/phase").into(),
        created: created(object),
        started_at: json::time(data, "/status/startTimestamp"),
        ended_at: json::time(data, "/status/completionTimestamp"),
        expires_at: json::time(data, "/status/expiration"),
        items: json::number(data, "/status/progress/itemsBackedUp"),
        total: json::number(data, "/status/progress/totalItems"),
        errors: json::number(data, "/status/errors"),
        reason: (!reasons.is_empty()).then(|| reasons.join("; ").into()),
        deleting: object.metadata.deletion_timestamp.is_some(),
    }
}

/// What is shown of a Schedule.
pub fn schedule(object: &DynamicObject) -> Schedule {
    let data = &object.data;
    Schedule {
        name: object.name_any(),
        cron: json::string(data, "/spec/schedule"),
        ttl: json::text(data, "/spec/template/ttl").map(ToOwned::to_owned),
        included: boxed(json::strings(data, "/spec/template/includedNamespaces")),
        phase: json::string(data, "/status/phase"),
        errors: json::strings(data, "/status/validationErrors"),
        paused: json::flag(data, "/spec/paused") == Some(true),
        created: created(object),
        last_backup: json::time(data, "/status/lastBackup"),
    }
}
