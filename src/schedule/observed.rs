//! What a pass saw of the world: for each phase, what its decision needs.

use jiff::Timestamp;

use super::phase::Phase;
use super::resource::Entry;
use crate::request::applications::Application;
use crate::request::observed::Pull;

/// The world as one pass saw it, read live.
#[derive(Clone, Debug, PartialEq)]
pub enum Observed {
    Checking(Box<Survey>),
    /// While approval or merge is waited for, or it is closed; `None`: there is none.
    Pull(Option<Pull>),
    Applying(Box<Applying>),
    Confirming(Confirming),
    /// Nothing had to be looked at, or it could not be.
    Nothing,
}

/// What the checks look at.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Survey {
    /// The tenants that the requester may order for.
    pub permitted: Vec<String>,
    /// The tenants that have an order, by name.
    pub tenants: Vec<String>,
    pub order: Option<OrderFacts>,
    /// Why the tenant's order could not be read.
    pub order_fault: Option<String>,
    /// The Velero Schedule that has the name which the change would make, if there is one.
    pub live: Option<LiveSchedule>,
    /// Other requests of the tenant that have not ended.
    pub others: Vec<Other>,
}

/// What matters of a tenant order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OrderFacts {
    pub path: String,
    pub text: String,
    pub namespaces: Vec<String>,
    pub entries: Vec<Entry>,
    /// `take_backup` is true and there is a `backuplabel`.
    pub active: bool,
}

/// Another request to change the tenant's schedules.
#[derive(Clone, Debug, PartialEq)]
pub struct Other {
    pub name: String,
    pub uid: String,
    pub created: Timestamp,
    pub phase: Phase,
    /// The names of the schedules that it changes or makes.
    pub schedules: Vec<String>,
    pub requester: String,
}

/// A Velero Schedule, live.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LiveSchedule {
    pub name: String,
    pub uid: String,
    pub cron: String,
    pub ttl: Option<String>,
    pub namespaces: Vec<String>,
    /// Velero's phase, as Velero names it.
    pub phase: String,
    pub errors: Vec<String>,
    pub paused: bool,
    /// Its backups go when it goes: `useOwnerReferencesInBackup`.
    pub owns_backups: bool,
    pub deleting: bool,
}

/// What is looked at from the merge until the cluster has what the order says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Applying {
    /// The order as the repository has it now; `None`: it is gone, or cannot be read.
    pub order: Option<OrderFacts>,
    /// Why it cannot be read.
    pub order_fault: Option<String>,
    /// The Velero Schedule that there is to be.
    pub wanted: Option<LiveSchedule>,
    /// The Velero Schedule that there is to be no more.
    pub unwanted: Option<LiveSchedule>,
    /// Argo CD asks for the unwanted one still.
    pub asked_for: bool,
    /// The Applications through which the order reaches the schedules, the root first.
    pub applications: Vec<Application>,
    /// The backups of the unwanted schedule.
    pub runs: Vec<Run>,
}

/// What is looked at until the first good backup.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Confirming {
    pub schedule: Option<LiveSchedule>,
    /// Its backups, newest first.
    pub runs: Vec<Run>,
}

/// A backup of a schedule.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Run {
    pub name: String,
    /// Velero's phase, as Velero names it.
    pub phase: String,
    pub started_at: Option<Timestamp>,
    pub expires_at: Option<Timestamp>,
    /// Velero's own words about what went wrong.
    pub failure: Option<String>,
}
