//! The server's life: what it sees of the API, its controllers, and what
//! happens when it is restarted.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use jiff::Timestamp;
use kube::api::{Api, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::runtime::reflector::{self, Store};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::clock::Clock;
use super::faults::Faults;
use super::objects::{Kind, by_age, phase, stamp};
use super::storage::{File, Storage};
use super::{Options, backup, download, gc, location, restore, schedule};

/// How long to wait after a pass that failed.
const RETRY: Duration = Duration::from_millis(200);

/// What all controllers share.
pub(super) struct Server {
    pub(super) client: Client,
    pub(super) namespace: String,
    pub(super) pace: Duration,
    pub(super) patience: Duration,
    pub(super) gc_interval: Duration,
    pub(super) faults: Faults,
    pub(super) clock: Clock,
    pub(super) storage: Storage,
    pub(super) signer: download::Signer,
    seen: Vec<(Kind, Store<DynamicObject>)>,
    writers: std::sync::Mutex<Vec<(Kind, reflector::store::Writer<DynamicObject>)>>,
    tick: watch::Sender<()>,
    writes: TaskTracker,
}

impl Server {
    pub(super) fn new(client: Client, options: Options, addr: SocketAddr) -> anyhow::Result<Self> {
        let storage = Storage::open(options.storage).context("making the storage folder")?;
        let mut seen = Vec::new();
        let mut writers = Vec::new();
        for kind in Kind::WATCHED {
            let writer = reflector::store::Writer::new(kind.resource());
            seen.push((kind, writer.as_reader()));
            writers.push((kind, writer));
        }
        Ok(Self {
            client,
            namespace: options.namespace,
            pace: options.pace,
            patience: options.patience,
            gc_interval: options.gc_interval,
            faults: options.faults,
            clock: options.clock,
            storage,
            signer: download::Signer::new(addr),
            seen,
            writers: std::sync::Mutex::new(writers),
            tick: watch::Sender::new(()),
            writes: TaskTracker::new(),
        })
    }

    /// Velero's objects of a kind, in Velero's namespace.
    pub(super) fn api(&self, kind: Kind) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), &self.namespace, &kind.resource())
    }

    /// What has been seen of a kind, oldest first.
    pub(super) fn seen(&self, kind: Kind) -> Vec<Arc<DynamicObject>> {
        let mut objects: Vec<_> = self
            .seen
            .iter()
            .find(|(other, _)| *other == kind)
            .map(|(_, store)| store.state())
            .unwrap_or_default();
        objects.sort_by_cached_key(|object| by_age(object));
        objects
    }

    /// The object as it is now; `None` if it is gone.
    pub(super) async fn live(&self, kind: Kind, name: &str) -> kube::Result<Option<DynamicObject>> {
        self.api(kind).get_opt(name).await
    }

    /// Carries out a write in a task of its own, which outlives the controller
    /// if that is killed; a restart waits for it.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        write: impl Future<Output = kube::Result<T>> + Send + 'static,
    ) -> kube::Result<T> {
        match self.writes.spawn(write).await {
            Ok(done) => done,
            Err(panicked) => Err(kube::Error::Service(panicked.into())),
        }
    }

    /// Merges `change` into one of Velero's objects.
    pub(super) async fn patch(&self, kind: Kind, name: &str, change: Value) -> kube::Result<()> {
        let (api, name) = (self.api(kind), name.to_owned());
        self.write(async move {
            api.patch(&name, &PatchParams::default(), &Patch::Merge(&change))
                .await
        })
        .await
        .map(drop)
    }

    /// Merges `change` into one of Velero's objects, again and again until it is
    /// done or refused for good: for what must not be lost.
    pub(super) async fn insist(&self, kind: Kind, name: &str, change: Value) -> kube::Result<()> {
        loop {
            match gone_is_fine(self.patch(kind, name, change.clone()).await) {
                Err(kube::Error::Api(status))
                    if status.code < 500 && !matches!(status.code, 409 | 429) =>
                {
                    return Err(kube::Error::Api(status));
                }
                Err(error) => {
                    tracing::warn!(?kind, name, %error, "a status could not be written");
                    tokio::time::sleep(RETRY).await;
                }
                Ok(()) => return Ok(()),
            }
        }
    }

    /// Creates one of Velero's objects from `{metadata, spec, status}`.
    pub(super) async fn create(
        &self,
        kind: Kind,
        mut body: Value,
    ) -> anyhow::Result<DynamicObject> {
        let resource = kind.resource();
        body["apiVersion"] = resource.api_version.into();
        body["kind"] = resource.kind.into();
        body["metadata"]["namespace"] = self.namespace.clone().into();
        let object: DynamicObject = serde_json::from_value(body)?;
        let api = self.api(kind);
        let created = self
            .write(async move { api.create(&PostParams::default(), &object).await })
            .await?;
        Ok(created)
    }

    /// Deletes one of Velero's objects; one that is gone already is no error.
    pub(super) async fn delete(&self, kind: Kind, name: &str) -> kube::Result<()> {
        let (api, name) = (self.api(kind), name.to_owned());
        let deleted = self
            .write(async move { api.delete(&name, &DeleteParams::default()).await })
            .await;
        gone_is_fine(deleted.map(drop))
    }

    /// Lets a step take its time.
    pub(super) async fn step(&self) {
        tokio::time::sleep(self.pace).await;
    }
}

/// Takes "not found" for success.
pub(super) fn gone_is_fine(done: kube::Result<()>) -> kube::Result<()> {
    match done {
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
        other => other,
    }
}

/// A controller: one look at the world, doing what there is to do; it says when
/// to look again even if nothing changes.
type Pass = for<'a> fn(&'a Arc<Server>) -> BoxFuture<'a, anyhow::Result<Option<Duration>>>;

const CONTROLLERS: [(&str, Pass); 9] = [
    ("backup", |server| backup::pass(server).boxed()),
    ("backup-finalizer", |server| {
        backup::finalize(server).boxed()
    }),
    ("restore", |server| restore::pass(server).boxed()),
    ("restore-finalizer", |server| {
        restore::finalize(server).boxed()
    }),
    ("schedule", |server| schedule::pass(server).boxed()),
    ("download-request", |server| download::pass(server).boxed()),
    ("backup-deletion", |server| gc::delete(server).boxed()),
    ("backup-storage-location", |server| {
        location::pass(server).boxed()
    }),
    ("server-status-request", |server| {
        location::status(server).boxed()
    }),
];

/// Runs the server until `stop`, through any number of restarts.
pub(super) async fn run(server: Arc<Server>, stop: CancellationToken) {
    let mut watchers = JoinSet::new();
    let writers = std::mem::take(
        &mut *server
            .writers
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner),
    );
    for (kind, writer) in writers {
        watchers.spawn(observe(server.clone(), kind, writer));
    }
    while !stop.is_cancelled() {
        let restarts = server.faults.restarts();
        tokio::select! {
            () = stop.cancelled() => break,
            () = begin(&server) => {}
        }
        let mut controllers = JoinSet::new();
        for (name, pass) in CONTROLLERS {
            controllers.spawn(repeat(server.clone(), name, pass));
        }
        controllers.spawn(gc::collect(server.clone()));
        server.faults.alive(restarts);
        tokio::select! {
            () = stop.cancelled() => {}
            () = server.faults.restart_after(restarts) => tracing::info!("Velero is restarted"),
        }
        controllers.shutdown().await;
        server.writes.close();
        server.writes.wait().await;
        server.writes.reopen();
    }
    server.faults.ended();
    watchers.shutdown().await;
}

async fn observe(server: Arc<Server>, kind: Kind, writer: reflector::store::Writer<DynamicObject>) {
    let events = watcher(server.api(kind), watcher::Config::default()).default_backoff();
    let events = reflector::reflector(writer, events);
    events
        .for_each(|event| {
            match event {
                Ok(_) => server.tick.send_modify(|()| {}),
                Err(error) => tracing::debug!(?kind, %error, "watch of Velero objects broke off"),
            }
            std::future::ready(())
        })
        .await;
}

async fn repeat(server: Arc<Server>, name: &'static str, pass: Pass) {
    let mut ticks = server.tick.subscribe();
    let mut faults = server.faults.changes();
    let mut moves = server.clock.moves();
    loop {
        ticks.mark_unchanged();
        faults.mark_seen();
        moves.mark_unchanged();
        let again = match pass(&server).await {
            Ok(again) => again,
            Err(error) => {
                tracing::warn!(
                    controller = name,
                    error = format!("{error:#}"),
                    "pass failed"
                );
                Some(RETRY)
            }
        };
        let timer = async {
            match again {
                Some(wait) => tokio::time::sleep(wait).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = ticks.changed() => if changed.is_err() { return },
            () = faults.changed() => {}
            changed = moves.changed() => if changed.is_err() { return },
            () = timer => {}
        }
    }
}

/// What a server does before its controllers work, as often as it takes.
async fn begin(server: &Server) {
    for (_, store) in &server.seen {
        // The writers live as long as the watchers do, which outlive this.
        let _ = store.wait_until_ready().await;
    }
    while let Err(error) = take_over(server).await {
        tracing::warn!(
            error = format!("{error:#}"),
            "taking over from the server before"
        );
        tokio::time::sleep(RETRY).await;
    }
}

async fn take_over(server: &Server) -> anyhow::Result<()> {
    for kind in [Kind::Backup, Kind::Restore] {
        let word = kind.resource().kind.to_lowercase();
        for object in server.api(kind).list(&ListParams::default()).await? {
            if phase(&object) != "InProgress" {
                continue;
            }
            let reason = format!(
                "found a {word} with status \"InProgress\" during the server starting, mark it as \"Failed\""
            );
            let change = json!({"status": {
                "phase": "Failed",
                "failureReason": reason,
                "completionTimestamp": stamp(Timestamp::now()),
            }});
            gone_is_fine(server.patch(kind, &object.name_any(), change).await)?;
        }
    }
    for kind in [Kind::PodVolumeBackup, Kind::PodVolumeRestore] {
        for object in server.api(kind).list(&ListParams::default()).await? {
            if !matches!(phase(&object), "" | "New" | "InProgress") {
                continue;
            }
            let change = json!({"spec": {"cancel": true}, "status": {
                "phase": "Canceled",
                "message": "canceled because the server was restarted",
                "completionTimestamp": stamp(Timestamp::now()),
            }});
            gone_is_fine(server.patch(kind, &object.name_any(), change).await)?;
        }
    }
    location::ensure(server).await?;
    for name in server.storage.backups()? {
        if server.live(Kind::Backup, &name).await?.is_some() {
            continue;
        }
        let Some(mut backup) = server.storage.get_json::<Value>(File::Backup, &name)? else {
            continue;
        };
        if let Some(metadata) = backup["metadata"].as_object_mut() {
            metadata.retain(|key, _| matches!(key.as_str(), "name" | "labels" | "annotations"));
        }
        server.create(Kind::Backup, backup).await?;
    }
    Ok(())
}
