//! What is backed up: the list of a tenant's backups, and the overview of who has good ones.
//!
//! Facts go in (Velero's Backups and Schedules as [`Backup`] and [`Schedule`], and what an order says as
//! [`Whose`]), tables, sentences and a picture come out.
//!
//! Architecture invariant: pure. No I/O, no clients, no clock.

mod list;
mod overview;
pub mod picture;
mod words;

#[cfg(test)]
mod tests;

pub use list::{PAGE, Page, page};
pub use overview::{DAYS, Mark, Overview, Row, State, everything, overdue, overview};
pub use words::{in_words, phase_in_words, schedules_in_words};

use jiff::Timestamp;

use crate::request::preflight::label_value;

/// What matters of a Velero Backup.
#[derive(Clone, Debug, PartialEq)]
pub struct Backup {
    pub name: String,
    /// The label `velero.io/schedule-name`.
    pub schedule: Option<Box<str>>,
    /// `spec.includedNamespaces`; empty or `*` for everything.
    pub included: Vec<Box<str>>,
    pub excluded: Vec<Box<str>>,
    /// As Velero names it; empty for one that nobody has taken up.
    pub phase: Box<str>,
    pub created: Timestamp,
    pub started_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
    pub expires_at: Option<Timestamp>,
    /// How many items are in it so far, and how many there will be.
    pub items: i64,
    pub total: i64,
    pub errors: i64,
    /// Velero's words about what went wrong.
    pub reason: Option<Box<str>>,
    pub deleting: bool,
}

impl Backup {
    /// When it began; when it was asked for, if it did not.
    pub fn at(&self) -> Timestamp {
        self.started_at.unwrap_or(self.created)
    }

    /// Only what is whole, and will stay for now, is good.
    pub fn is_good(&self, now: Timestamp) -> bool {
        &*self.phase == "Completed" && !self.deleting && self.expires_at.is_none_or(|at| at > now)
    }

    /// Has it ended, well or not?
    pub fn is_over(&self) -> bool {
        matches!(
            &*self.phase,
            "Completed" | "PartiallyFailed" | "Failed" | "FailedValidation"
        )
    }

    /// Is a namespace in it?
    pub fn holds(&self, namespace: &str) -> bool {
        let named = |names: &[Box<str>]| names.iter().any(|name| &**name == namespace);
        (is_everything(&self.included) || named(&self.included)) && !named(&self.excluded)
    }
}

/// What matters of a Velero Schedule.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    pub name: String,
    pub cron: String,
    /// `spec.template.ttl`; Velero's own is 720h.
    pub ttl: Option<String>,
    pub included: Vec<Box<str>>,
    pub phase: String,
    pub errors: Vec<String>,
    pub paused: bool,
    pub created: Timestamp,
    pub last_backup: Option<Timestamp>,
}

impl Schedule {
    /// Is a namespace in its backups?
    pub fn holds(&self, namespace: &str) -> bool {
        is_everything(&self.included) || self.included.iter().any(|name| &**name == namespace)
    }

    /// How long its backups are kept, in seconds; Velero's own 30 days if it does not say.
    pub fn kept(&self) -> i64 {
        self.ttl
            .as_deref()
            .and_then(|ttl| ttl.parse::<refloat_commands::Ttl>().ok())
            .and_then(|ttl| i64::try_from(ttl.seconds()).ok())
            .unwrap_or(720 * 3600)
    }

    /// Does Velero run it?
    pub fn runs(&self) -> bool {
        !self.paused && self.phase != "FailedValidation"
    }
}

fn is_everything(included: &[Box<str>]) -> bool {
    included.is_empty() || included.iter().any(|name| &**name == "*")
}

/// What is a tenant's own, by its order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Whose {
    pub tenant: String,
    /// In full: `poseidon1-dev`.
    pub namespaces: Vec<String>,
    /// As ordered: `daily`.
    pub schedules: Vec<String>,
}

impl Whose {
    /// Is a backup the tenant's own?
    ///
    /// All of its namespaces must be the tenant's; for one from a schedule of the order, such as the order
    /// has no more pass, if they are called after the tenant. What holds anything else is the platform's.
    pub fn owns(&self, backup: &Backup) -> bool {
        let ordered = backup.schedule.as_deref().is_some_and(|label| {
            self.schedules
                .iter()
                .any(|name| label_value(&format!("{}-{name}", self.tenant)) == label)
        });
        self.covers(&backup.included, ordered)
    }

    /// Is a Velero Schedule the tenant's own?
    pub fn owns_schedule(&self, schedule: &Schedule) -> bool {
        self.covers(&schedule.included, false)
    }

    fn covers(&self, included: &[Box<str>], ordered: bool) -> bool {
        let own = |name: &str| self.namespaces.iter().any(|own| own == name);
        let former = |name: &str| {
            ordered
                && name
                    .strip_prefix(self.tenant.as_str())
                    .is_some_and(|rest| rest.starts_with('-'))
        };
        !is_everything(included)
            && included.iter().any(|name| own(name))
            && included.iter().all(|name| own(name) || former(name))
    }

    /// The name of a Velero Schedule as the order has it.
    pub fn short<'a>(&self, schedule: &'a str) -> &'a str {
        schedule
            .strip_prefix(self.tenant.as_str())
            .and_then(|rest| rest.strip_prefix('-'))
            .unwrap_or(schedule)
    }
}
