//! What was seen of the cluster, as far as people are to be told of it.

use jiff::Timestamp;

/// Everything that is looked at.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    pub schedules: Vec<Schedule>,
    pub backups: Vec<Backup>,
    pub locations: Vec<Location>,
    pub self_heal_off: Vec<SelfHealOff>,
    pub waiting: Vec<Waiting>,
}

/// A Velero Schedule.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Schedule {
    pub name: String,
    /// Whose it is, by the namespaces that it covers; `None` for the platform's.
    pub tenant: Option<String>,
    pub cron: String,
    /// Velero's phase, as Velero names it.
    pub phase: String,
    pub errors: Vec<String>,
    pub paused: bool,
    pub created: Timestamp,
}

/// A Velero Backup.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Backup {
    pub name: String,
    /// The Velero Schedule that made it, as a label has it.
    pub schedule: Option<Box<str>>,
    pub tenant: Option<String>,
    /// Velero's phase, as Velero names it.
    pub phase: Box<str>,
    pub started_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
    pub expires_at: Option<Timestamp>,
    /// Velero's own words about what went wrong.
    pub reasons: Vec<String>,
}

impl Backup {
    /// Only what is whole is good.
    pub fn is_good(&self) -> bool {
        &*self.phase == "Completed"
    }

    /// It ended, and is not good.
    pub fn is_bad(&self) -> bool {
        matches!(
            &*self.phase,
            "Failed" | "PartiallyFailed" | "FailedValidation"
        )
    }
}

/// A BackupStorageLocation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Location {
    pub name: String,
    pub phase: String,
    pub message: String,
}

/// A restore under way that has turned self-heal off.
#[derive(Clone, Debug, PartialEq)]
pub struct SelfHealOff {
    pub request: String,
    pub tenant: String,
    pub since: Timestamp,
}

/// A request that waits for a person.
#[derive(Clone, Debug, PartialEq)]
pub struct Waiting {
    pub request: String,
    pub tenant: String,
    pub since: Timestamp,
    pub for_what: WaitsFor,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitsFor {
    /// A reviewer's yes or no.
    Approval,
    /// A choice of how to go on.
    Choice,
}
