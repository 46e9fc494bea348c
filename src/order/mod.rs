//! Tenant orders: read exactly, edited byte for byte.
//!
//! A tenant order is a YAML file with the keys `appname` and `values`; the values are either a block
//! scalar that itself holds YAML, or a nested mapping. [`Order::read`] reads both. Every edit is a pure
//! function from text to text that changes as few bytes as it can, proves what it did by reading its
//! result again, and refuses rather than reformats.
//!
//! Architecture invariant: nothing here does I/O, is async, or knows a client library.

mod fault;
mod name;
mod proof;
mod read;
mod self_heal;
mod source;
mod splice;
mod tree;

pub use fault::{Fault, OrderError};
pub use self_heal::{AbsentKey, SelfHealRecord, self_heal_off, self_heal_restore};
pub use source::Form;

/// What a tenant ordered.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Order {
    /// How the file keeps its values.
    pub form: Form,
    /// `values.namespace.name`.
    pub tenant: String,
    /// `appname`, when it is another name than the tenant's.
    pub appname: Option<String>,
    /// `values.environments`, in the order of the file.
    pub environments: Vec<Environment>,
    /// `values.argocd.syncPolicy`.
    pub sync_policy: SyncPolicy,
    /// `values.backup`.
    pub backup: Backup,
}

impl Order {
    /// Reads an order.
    ///
    /// # Errors
    /// All faults that were found: YAML that cannot be parsed, keys of the wrong type, missing names.
    pub fn read(text: &str) -> Result<Self, OrderError> {
        read::read(&source::Source::parse(text)?)
    }

    /// The tenant's namespaces, `<tenant>-<environment>`, in the order of the file.
    pub fn namespaces(&self) -> Vec<String> {
        self.environments
            .iter()
            .map(|environment| environment.namespace.clone())
            .collect()
    }
}

/// One environment of a tenant.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Environment {
    /// As ordered, such as `dev`.
    pub name: String,
    /// `<tenant>-<name>`.
    pub namespace: String,
}

/// `argocd.syncPolicy`: each key defaults to true.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SyncPolicy {
    pub self_heal: Setting,
    pub prune: Setting,
    pub allow_empty: Setting,
}

/// A boolean, and whether the file says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Setting {
    /// What holds.
    pub value: bool,
    /// True when the key is in the file with a value, false when `value` is the default.
    pub written: bool,
}

/// The backup block. Without `take_backup: true` and a `backuplabel` nothing is backed up.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Backup {
    /// `take_backup`, by default false.
    pub take_backup: Setting,
    /// `backuplabel`, such as `backupresource: true`.
    pub backuplabel: Option<String>,
    /// In the order of the file. Each covers every environment.
    pub schedules: Vec<Schedule>,
}

/// One backup schedule, as written.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Schedule {
    /// Its name in the order; the Velero Schedule is `<tenant>-<name>`.
    pub name: String,
    /// `schedule`: when it runs, in the dialect of Velero's cron.
    pub cron: String,
    /// `ttl`: how long its backups are kept, a Go duration; Velero's default is 720h.
    pub ttl: Option<String>,
}

/// What an edit made of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// The whole file after the edit.
    pub text: String,
    /// False when there was nothing to do; the text is then the file as it was.
    pub changed: bool,
}

#[cfg(test)]
mod tests;
