//! A stand-in for a Velero server with a node agent, of the line 1.16 to 1.18.
//!
//! [`start`] runs it as an ordinary client of a Kubernetes API on which
//! Velero's CRDs are installed. It takes backups, restores them, runs
//! schedules, collects what has expired, and answers DownloadRequests with
//! signed addresses of a small HTTP object storage. The objects of a backup and
//! the data of its volumes lie as files in a folder, so that a server started
//! on the folder has them again.
//!
//! What is as unpleasant as on a real server: restores run one at a time, and
//! the others stay `New`; a restore of a namespace that is not in the backup
//! completes; what exists is skipped, and volume data comes back only for pods
//! that the restore itself created; a restart fails everything `InProgress`
//! and loses its log and results, while the download address of such a file is
//! still handed out and answers 404; a deleted restore waits for the one that
//! is running.
//!
//! Not here: volume snapshots and data movers, hooks, item operations,
//! resource modifiers and policies, cluster-scoped objects other than the
//! Namespace and the PersistentVolumes of claims. A restored
//! claim always gets a new volume, whatever the old one's reclaim policy.
//!
//! Architecture invariant: a pass of a controller decides on live objects, not
//! on what it has seen of them, and every write is made by a task that a
//! restart waits for. So a write of the old life cannot land in the new one.

mod agent;
mod backup;
mod clock;
mod collect;
mod cron;
mod download;
mod faults;
mod gc;
mod items;
mod life;
mod location;
mod objects;
mod refill;
mod restore;
mod results;
mod schedule;
mod seed;
mod select;
mod storage;
#[cfg(test)]
mod tests;
mod volumes;
mod work;

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use kube::Client;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use clock::Clock;
pub use faults::{Ending, Faults};
pub use seed::{BackupSeed, SeedSchedule};

use crate::gate::{self, Gate, Service};

/// The `status.serverVersion` that a ServerStatusRequest is answered with.
pub const SERVER_VERSION: &str = "v1.16.2";

/// How a Velero server is set up.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where Velero's objects live.
    pub namespace: String,
    /// The folder that is the object storage; made if it is missing.
    pub storage: PathBuf,
    /// Where the object storage is served over HTTP; port 0 for a free one.
    pub addr: SocketAddr,
    /// What stands before the object storage.
    pub gate: Gate,
    /// How long each step takes: between phases, and between two updates of a
    /// progress.
    pub pace: Duration,
    /// How long a restore waits for the cluster: for a claim to be bound, for a
    /// namespace that is being deleted to be gone.
    pub patience: Duration,
    /// How often expired backups are collected.
    pub gc_interval: Duration,
    pub faults: Faults,
    /// The clock that schedules and backups go by.
    pub clock: Clock,
    pub stop: CancellationToken,
}

impl Options {
    /// A server in `openshift-adp` with its storage in `storage`, served on a
    /// free port of 127.0.0.1; 30 ms a step, 10 s of patience, collecting hourly.
    pub fn new(storage: PathBuf, stop: CancellationToken) -> Self {
        Self {
            namespace: "openshift-adp".to_owned(),
            storage,
            addr: SocketAddr::from(([127, 0, 0, 1], 0)),
            gate: Gate::open(),
            pace: Duration::from_millis(30),
            patience: Duration::from_secs(10),
            gc_interval: Duration::from_hours(1),
            faults: Faults::default(),
            clock: Clock::default(),
            stop,
        }
    }
}

/// A Velero server that runs.
#[derive(Clone)]
pub struct Velero {
    server: Arc<life::Server>,
    addr: SocketAddr,
}

impl fmt::Debug for Velero {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Velero")
            .field("addr", &self.addr)
            .finish_non_exhaustive()
    }
}

impl Velero {
    /// The switches of this server.
    pub fn faults(&self) -> &Faults {
        &self.server.faults
    }

    /// The clock that schedules and backups go by.
    pub fn clock(&self) -> &Clock {
        &self.server.clock
    }

    /// Lets that clock run to a moment, as if it had been waited for: every run
    /// of every schedule is made when it is due, and what expires is collected.
    /// Fails for a moment that is past, and if the server does not come to rest.
    pub async fn advance(&self, to: jiff::Timestamp) -> anyhow::Result<()> {
        clock::advance(&self.server, to).await
    }

    /// Tells how many of the node agent's pods are ready; `None` takes it away.
    pub async fn report_node_agent(&self, ready: Option<i32>) -> anyhow::Result<()> {
        agent::report(&self.server, ready).await
    }

    /// Where the object storage is served.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Takes a backup of what is in the cluster now, as if it had been taken
    /// when `seed` says; returns the Backup's name.
    ///
    /// The Backup object, its PodVolumeBackups and its files are as after a
    /// real one, but for `metadata.creationTimestamp`, which is the API's.
    pub async fn seed_backup(&self, seed: BackupSeed) -> anyhow::Result<String> {
        seed::seed_backup(&self.server, seed).await
    }
}

/// The runs of a schedule that the server would make after a moment; the error
/// is what the Schedule's `validationErrors` would say.
pub fn runs(
    expression: &str,
    after: jiff::Timestamp,
    count: usize,
) -> Result<Vec<jiff::Timestamp>, String> {
    let cron = cron::Cron::parse(expression)?;
    let next = |at: &jiff::Timestamp| cron.next(*at);
    Ok(std::iter::successors(next(&after), next)
        .take(count)
        .collect())
}

/// Starts a Velero server on the API of `client`; it ends when `options.stop`
/// is cancelled.
///
/// Fails if the storage folder cannot be made or the address not be bound. An
/// API that does not answer yet is waited for.
pub async fn start(client: Client, options: Options) -> anyhow::Result<Velero> {
    let listener = TcpListener::bind(options.addr)
        .await
        .with_context(|| format!("binding {}", options.addr))?;
    let addr = listener.local_addr()?;
    let stop = options.stop.clone();
    let gate = options.gate.clone();
    let server = Arc::new(life::Server::new(client, options, addr)?);
    let (_, serving) = gate::serve(
        Service::Storage,
        listener,
        download::router(&server),
        gate,
        stop.clone(),
    )?;
    tokio::spawn(serving);
    tokio::spawn(life::run(server.clone(), stop));
    Ok(Velero { server, addr })
}
