//! What the watches know, for whoever only shows it: the metrics and the logbook.
//!
//! A replica that stands by has none of it.

use std::fmt;
use std::sync::{Arc, OnceLock};

use kube::ResourceExt;
use kube::runtime::reflector::Store;
use tokio::sync::watch;

use crate::copy::CopyRequest;
use crate::effects::velero::shelf::Shelf;
use crate::request::RestoreRequest;
use crate::schedule::ScheduleRequest;

/// The caches of a process; clones are the same.
#[derive(Clone, Default)]
pub struct Caches(Arc<Inner>);

#[derive(Default)]
struct Inner {
    restores: OnceLock<Store<RestoreRequest>>,
    schedules: OnceLock<Store<ScheduleRequest>>,
    copies: OnceLock<Store<CopyRequest>>,
    shelf: OnceLock<Shelf>,
    chat: OnceLock<watch::Receiver<bool>>,
}

impl fmt::Debug for Caches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caches").finish_non_exhaustive()
    }
}

impl Caches {
    /// From here on requests are known.
    pub fn keep_requests(
        &self,
        restores: Store<RestoreRequest>,
        schedules: Store<ScheduleRequest>,
        copies: Store<CopyRequest>,
    ) {
        // Set twice only where a test serves twice; the first stays.
        let _ = self.0.restores.set(restores);
        let _ = self.0.schedules.set(schedules);
        let _ = self.0.copies.set(copies);
    }

    /// From here on backups are known.
    pub fn keep_shelf(&self, shelf: Shelf) {
        let _ = self.0.shelf.set(shelf);
    }

    /// From here on it is known whether the chat is connected.
    pub fn keep_chat(&self, connected: watch::Receiver<bool>) {
        let _ = self.0.chat.set(connected);
    }

    /// True once this process works, and not before.
    pub fn are_kept(&self) -> bool {
        self.0.restores.get().is_some()
    }

    /// The youngest first.
    pub fn restores(&self) -> Vec<Arc<RestoreRequest>> {
        youngest_first(self.0.restores.get())
    }

    /// The youngest first.
    pub fn schedules(&self) -> Vec<Arc<ScheduleRequest>> {
        youngest_first(self.0.schedules.get())
    }

    /// The youngest first.
    pub fn copies(&self) -> Vec<Arc<CopyRequest>> {
        youngest_first(self.0.copies.get())
    }

    pub fn shelf(&self) -> Option<&Shelf> {
        self.0.shelf.get()
    }

    pub fn chat_is_connected(&self) -> Option<bool> {
        self.0.chat.get().map(|connected| *connected.borrow())
    }
}

fn youngest_first<K>(store: Option<&Store<K>>) -> Vec<Arc<K>>
where
    K: kube::runtime::reflector::Lookup<DynamicType = ()> + ResourceExt + Clone + 'static,
{
    let mut all = store.map(Store::state).unwrap_or_default();
    all.sort_by(|one, other| {
        let at = |object: &K| object.creation_timestamp().map(|time| time.0);
        at(other)
            .cmp(&at(one))
            .then_with(|| one.name_any().cmp(&other.name_any()))
    });
    all
}
