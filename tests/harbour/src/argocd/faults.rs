//! What a test may have go wrong in Argo CD.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::workloads::mirror::Key;

/// The faults of one Argo CD. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Faults(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    held: HashSet<String>,
    running: HashSet<(String, String)>,
    failing: HashMap<(String, String), String>,
    deaf: bool,
}

impl Faults {
    fn with(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on the ApplicationSet of this name does not write the spec of
    /// an Application that exists: an order never arrives.
    pub fn hold_order(&self, application_set: &str) {
        self.with().held.insert(application_set.to_owned());
    }

    /// Ends [`Faults::hold_order`]. The ApplicationSet acts on its next look.
    pub(super) fn release_order(&self, application_set: &str) {
        self.with().held.remove(application_set);
    }

    /// Keeps any operation of the Application, once begun, in the phase
    /// Running until [`Faults::let_operations_end`].
    pub fn keep_operations_running(&self, namespace: &str, application: &str) {
        let id = (namespace.to_owned(), application.to_owned());
        self.with().running.insert(id);
    }

    pub fn let_operations_end(&self, namespace: &str, application: &str) {
        let id = (namespace.to_owned(), application.to_owned());
        self.with().running.remove(&id);
    }

    /// The Application's next sync operation fails with this message, its
    /// retries too.
    pub fn fail_next_sync(&self, namespace: &str, application: &str, message: &str) {
        let id = (namespace.to_owned(), application.to_owned());
        self.with().failing.insert(id, message.to_owned());
    }

    /// While set, no webhook tells Argo CD of new commits: it polls.
    pub fn lose_webhooks(&self, lost: bool) {
        self.with().deaf = lost;
    }

    pub(super) fn holds(&self, application_set: &str) -> bool {
        self.with().held.contains(application_set)
    }

    pub(super) fn keeps_running(&self, app: &Key) -> bool {
        let id = (app.namespace.clone(), app.name.clone());
        self.with().running.contains(&id)
    }

    pub(super) fn take_failure(&self, app: &Key) -> Option<String> {
        let id = (app.namespace.clone(), app.name.clone());
        self.with().failing.remove(&id)
    }

    pub(super) fn webhooks_lost(&self) -> bool {
        self.with().deaf
    }
}
