//! What can be made to go wrong in the Velero server, at any time, by whoever
//! holds the handle.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::sync::watch;

/// How a backup or restore ends instead of by its own merits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Refused before it starts, with these `status.validationErrors`.
    FailedValidation(Vec<String>),
    /// Started, then `Failed` with this `status.failureReason`; no log and no
    /// results are uploaded.
    Failed(String),
    /// Carried out, then `PartiallyFailed` with these errors, by namespace.
    PartiallyFailed(BTreeMap<String, Vec<String>>),
}

/// The switches of one Velero server; clones share them.
#[derive(Clone, Debug)]
pub struct Faults {
    state: Arc<watch::Sender<State>>,
}

#[derive(Debug, Default)]
struct State {
    next_backup: Option<Ending>,
    next_restore: Option<Ending>,
    every_backup: Option<Ending>,
    backups_stalled: bool,
    restores_held: bool,
    stalled_at: Option<u64>,
    location_down: Option<String>,
    schedules_refused: Option<String>,
    bad_volumes: BTreeSet<String>,
    collections: u64,
    restarts: u64,
    lives: u64,
    ended: bool,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            state: Arc::new(watch::Sender::new(State::default())),
        }
    }
}

impl Faults {
    fn set(&self, change: impl FnOnce(&mut State)) {
        self.state.send_modify(change);
    }

    /// The next backup to be taken up ends like this.
    pub fn end_next_backup(&self, ending: Ending) {
        self.set(|state| state.next_backup = Some(ending));
    }

    /// Every backup to be taken up ends like this, from here on; `None` for by its own merits.
    pub fn end_every_backup(&self, ending: Option<Ending>) {
        self.set(|state| state.every_backup = ending);
    }

    /// The next restore to be taken up ends like this.
    pub fn end_next_restore(&self, ending: Ending) {
        self.set(|state| state.next_restore = Some(ending));
    }

    /// Backups that are `InProgress` stay so, and those behind them `New`, until
    /// released.
    pub fn stall_backups(&self, stalled: bool) {
        self.set(|state| state.backups_stalled = stalled);
    }

    /// Leaves restores `New`, as if other tenants' were in front, until released.
    pub fn hold_restores(&self, held: bool) {
        self.set(|state| state.restores_held = held);
    }

    /// A restore stops, `InProgress`, once `items` of its items are dealt with
    /// (volumes stop as well), until [`Faults::release_restores`].
    pub fn stall_restores_at(&self, items: u64) {
        self.set(|state| state.stalled_at = Some(items));
    }

    /// Ends what [`Faults::stall_restores_at`] began.
    pub fn release_restores(&self) {
        self.set(|state| state.stalled_at = None);
    }

    /// Makes the storage location `Unavailable` with this message, or, with
    /// `None`, `Available` again.
    pub fn set_location_down(&self, message: Option<&str>) {
        self.set(|state| state.location_down = message.map(str::to_owned));
    }

    /// Refuses every schedule with this as its `validationErrors`, whatever it says, as a server does that reads
    /// them otherwise; `None` ends that.
    pub fn refuse_schedules(&self, error: Option<&str>) {
        self.set(|state| state.schedules_refused = error.map(str::to_owned));
    }

    /// From here on the data of volumes of this name cannot be restored:
    /// their PodVolumeRestores end `Failed`, their restores `PartiallyFailed`.
    pub fn break_volume(&self, volume: &str) {
        self.set(|state| {
            state.bad_volumes.insert(volume.to_owned());
        });
    }

    /// Ends what [`Faults::break_volume`] began.
    pub fn mend_volume(&self, volume: &str) {
        self.set(|state| {
            state.bad_volumes.remove(volume);
        });
    }

    /// Collects expired backups now rather than at the next interval.
    pub fn collect_garbage(&self) {
        self.set(|state| state.collections += 1);
    }

    /// Restarts the server as if its pod had been killed: what was `InProgress`
    /// becomes `Failed`, and its log and results are never uploaded. Returns
    /// once the new server has marked them and works.
    pub async fn restart(&self) {
        let mut wanted = 0;
        self.set(|state| {
            state.restarts += 1;
            wanted = state.restarts;
        });
        let mut seen = self.state.subscribe();
        // The sender is in `self`, so waiting cannot fail.
        let _ = seen
            .wait_for(|state| state.ended || state.lives > wanted)
            .await;
    }

    pub(super) fn changes(&self) -> Changes {
        Changes(self.state.subscribe())
    }

    pub(super) fn take_backup_ending(&self) -> Option<Ending> {
        self.take(|state| state.next_backup.take())
            .or_else(|| self.state.borrow().every_backup.clone())
    }

    pub(super) fn take_restore_ending(&self) -> Option<Ending> {
        self.take(|state| state.next_restore.take())
    }

    fn take(&self, take: impl FnOnce(&mut State) -> Option<Ending>) -> Option<Ending> {
        let mut ending = None;
        self.state.send_if_modified(|state| {
            ending = take(state);
            ending.is_some()
        });
        ending
    }

    pub(super) fn backups_stalled(&self) -> bool {
        self.state.borrow().backups_stalled
    }

    pub(super) fn restores_held(&self) -> bool {
        self.state.borrow().restores_held
    }

    pub(super) fn location_down(&self) -> Option<String> {
        self.state.borrow().location_down.clone()
    }

    pub(super) fn schedules_refused(&self) -> Option<String> {
        self.state.borrow().schedules_refused.clone()
    }

    pub(super) fn volume_broken(&self, volume: &str) -> bool {
        self.state.borrow().bad_volumes.contains(volume)
    }

    pub(super) fn collections(&self) -> u64 {
        self.state.borrow().collections
    }

    pub(super) fn restarts(&self) -> u64 {
        self.state.borrow().restarts
    }

    /// Waits while restores are stalled at or before this many items.
    pub(super) async fn stall(&self, items: u64) {
        let mut seen = self.state.subscribe();
        let _ = seen
            .wait_for(|state| state.stalled_at.is_none_or(|at| items < at))
            .await;
    }

    /// Waits while backups are stalled.
    pub(super) async fn stall_of_backups(&self) {
        let mut seen = self.state.subscribe();
        let _ = seen.wait_for(|state| !state.backups_stalled).await;
    }

    /// Waits until more restarts than `known` are asked for.
    pub(super) async fn restart_after(&self, known: u64) {
        let mut seen = self.state.subscribe();
        let _ = seen.wait_for(|state| state.restarts > known).await;
    }

    /// Says that a server lives which knows of this many restarts.
    pub(super) fn alive(&self, restarts: u64) {
        self.set(|state| {
            state.lives = restarts + 1;
            state.ended = false;
        });
    }

    pub(super) fn ended(&self) {
        self.set(|state| state.ended = true);
    }
}

/// Tells that some switch was turned.
#[derive(Debug)]
pub(super) struct Changes(watch::Receiver<State>);

impl Changes {
    pub(super) fn mark_seen(&mut self) {
        self.0.mark_unchanged();
    }

    pub(super) async fn changed(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
