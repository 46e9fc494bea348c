//! Tenant orders: read exactly, edited byte for byte.
//!
//! A tenant order is a YAML file with the keys `appname` and `values`; the values are either a block
//! scalar that itself holds YAML, or a nested mapping. [`Order::read`] reads both. Every edit is a pure
//! function from text to text that changes as few bytes as it can, proves what it did by reading its
//! result again, and refuses rather than reformats.
//!
//! Architecture invariant: nothing here does I/O, is async, or knows a client library.

mod anchors;
mod cron;
mod duration;
mod editor;
mod entries;
mod fault;
mod list;
mod name;
mod proof;
mod read;
mod scalar;
mod schedule;
mod self_heal;
mod source;
mod splice;
mod tree;

pub use cron::{Cron, CronError, Fields, Times};
pub use duration::{DurationError, Ttl};
pub use fault::{Fault, OrderError};
pub use name::{ScheduleName, ScheduleNameError};
pub use schedule::{
    DEFAULT_BACKUPLABEL, ScheduleChange, schedule_add, schedule_change, schedule_remove,
};
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

    /// What does not keep the order from being read, but from doing what it says: schedules that Velero
    /// would refuse, names that stand there twice, schedules without a backup. One line each.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        let mut names = std::collections::HashSet::new();
        for (index, schedule) in self.backup.schedules.iter().enumerate() {
            let path = format!("values.backup.schedules[{index}]");
            if let Err(error) = Cron::parse(&schedule.cron) {
                notes.push(format!("{path}.schedule: {error}"));
            }
            if let Some(Err(error)) = schedule.ttl.as_deref().map(Ttl::parse_written) {
                notes.push(format!("{path}.ttl: {error}"));
            }
            if let Err(error) = ScheduleName::parse(&schedule.name) {
                notes.push(format!("{path}.name: {error}"));
            }
            if !names.insert(schedule.name.as_str()) {
                notes.push(format!(
                    "{path}.name: there is a schedule of this name already"
                ));
            }
        }
        if !self.backup.schedules.is_empty() && !self.backup.is_active() {
            let path = "values.backup";
            notes.push(format!(
                "{path}: nothing is backed up without `take_backup: true` and a `backuplabel`"
            ));
        }
        notes
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
#[serde(rename_all = "camelCase")]
pub struct Backup {
    /// `take_backup`, by default false.
    pub take_backup: Setting,
    /// `backuplabel`, such as `backupresource: true`.
    pub backuplabel: Option<String>,
    /// In the order of the file. Each covers every environment.
    pub schedules: Vec<Schedule>,
}

impl Backup {
    /// Are backups taken at all, once there is a schedule?
    pub fn is_active(&self) -> bool {
        self.take_backup.value && self.is_labelled()
    }

    fn is_labelled(&self) -> bool {
        let label = self.backuplabel.as_deref();
        label.is_some_and(|label| !label.trim().is_empty())
    }
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
