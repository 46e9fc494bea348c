//! The server's own clock, which a test can move.
//!
//! Runs of schedules, the times and names of backups and their expiry go by it. Restores and addresses of
//! downloads go by the machine's clock.

use std::time::Duration;

use anyhow::{Context, ensure};
use jiff::{SignedDuration, Timestamp};
use kube::api::ListParams;
use tokio::sync::watch;

use super::life::Server;
use super::objects::{Kind, phase, time};
use super::schedule;

/// How long the server may take to come to rest after its clock was moved.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(5);

/// A clock; clones are the same clock.
#[derive(Clone, Debug)]
pub struct Clock {
    ahead: std::sync::Arc<watch::Sender<SignedDuration>>,
}

impl Default for Clock {
    /// As the machine's.
    fn default() -> Self {
        Self {
            ahead: std::sync::Arc::new(watch::Sender::new(SignedDuration::ZERO)),
        }
    }
}

impl Clock {
    /// What it shows.
    pub fn now(&self) -> Timestamp {
        let now = Timestamp::now();
        now.checked_add(*self.ahead.borrow()).unwrap_or(now)
    }

    /// Makes it show a time, from which it runs on. Nothing waits for what
    /// becomes due by that; [`super::Velero::advance`] does.
    pub fn set(&self, to: Timestamp) {
        self.ahead.send_replace(to.duration_since(Timestamp::now()));
    }

    pub(super) fn moves(&self) -> watch::Receiver<SignedDuration> {
        self.ahead.subscribe()
    }
}

/// Lets the clock run to a moment as if it had been waited for: every run of
/// every schedule is made when it is due, and what expires is collected.
pub(super) async fn advance(server: &Server, to: Timestamp) -> anyhow::Result<()> {
    ensure!(
        to >= server.clock.now(),
        "the clock shows {} and does not run backwards to {to}",
        server.clock.now()
    );
    loop {
        rest(server).await?;
        let due = schedule::next_due(server).await?.filter(|due| *due < to);
        let at = due.unwrap_or(to).max(server.clock.now());
        server
            .clock
            .set(at.checked_add(SignedDuration::from_millis(5))?);
        rest(server).await?;
        if expired(server).await? {
            server.faults.collect_garbage();
            rest(server).await?;
        }
        if due.is_none() {
            return Ok(());
        }
    }
}

/// Waits until nothing is due and nothing is under way, but for what a fault holds up.
async fn rest(server: &Server) -> anyhow::Result<()> {
    let resting = async {
        loop {
            let stalled = server.faults.backups_stalled();
            let backups = server
                .api(Kind::Backup)
                .list(&ListParams::default())
                .await?;
            let busy = backups.iter().any(|backup| {
                let phase = phase(backup);
                !stalled
                    && (matches!(phase, "" | "New" | "InProgress")
                        || phase.starts_with("Finalizing"))
                    || phase == "Deleting"
            });
            let deletions = server
                .api(Kind::DeleteBackupRequest)
                .list(&ListParams::default())
                .await?;
            let deleting = deletions
                .iter()
                .any(|request| phase(request) != "Processed");
            if !busy && !deleting && !schedule::has_work(server, stalled).await? {
                return anyhow::Ok(());
            }
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::time::timeout(PATIENCE, resting)
        .await
        .context("Velero does not come to rest")?
}

async fn expired(server: &Server) -> anyhow::Result<bool> {
    let now = server.clock.now();
    let backups = server
        .api(Kind::Backup)
        .list(&ListParams::default())
        .await?;
    Ok(backups.iter().any(|backup| {
        time(&backup.data, "/status/expiration").is_some_and(|expiration| expiration < now)
    }))
}
