//! A command, whichever way it was typed.

use std::fmt;

use crate::approve::Approve;
use crate::backups::Backups;
use crate::deny::Deny;
use crate::grammar::{Availability, OptionSpec, SubcommandSpec};
use crate::refloat::Refloat;
use crate::restore::Restore;
use crate::schedule::Schedule;
use crate::words::quote;
use crate::{Digest, Reason, RequestName};

/// A command, whichever way it was typed.
///
/// `Display` writes its text form, without the leading `/`; what [`crate::parse`] gave is read back as the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// `/restore ...`
    Restore(Restore),
    /// `/schedule ...`
    Schedule(Schedule),
    /// `/backups ...`
    Backups(Backups),
    /// `/refloat ...`
    Refloat(Refloat),
    /// `approve`, in a request's thread.
    Approve {
        /// The request; nothing in its own thread.
        request: Option<RequestName>,
        /// The digest that the approver saw, or its beginning.
        digest: Option<Digest>,
    },
    /// `deny`, in a request's thread.
    Deny {
        /// The request; nothing in its own thread.
        request: Option<RequestName>,
        /// Why.
        reason: Option<Reason>,
    },
}

impl Command {
    /// Where the command stands in the grammar.
    pub fn spec(&self) -> &'static SubcommandSpec {
        match self {
            Self::Restore(restore) => restore.spec(),
            Self::Schedule(schedule) => schedule.spec(),
            Self::Backups(backups) => backups.spec(),
            Self::Refloat(refloat) => refloat.spec(),
            Self::Approve { .. } => &crate::approve::APPROVE,
            Self::Deny { .. } => &crate::deny::DENY,
        }
    }

    /// Whether the command can be used yet; if not, words for the person.
    pub fn availability(&self) -> Availability {
        self.spec().availability
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Restore(restore) => restore.fmt(f),
            Self::Schedule(schedule) => schedule.fmt(f),
            Self::Backups(backups) => backups.fmt(f),
            Self::Refloat(refloat) => refloat.fmt(f),
            Self::Approve { request, digest } => Approve { request, digest }.fmt(f),
            Self::Deny { request, reason } => Deny { request, reason }.fmt(f),
        }
    }
}

/// Writes ` name:value`, or nothing if there is no value.
pub(crate) fn write_option<T: fmt::Display>(
    f: &mut fmt::Formatter<'_>,
    option: &OptionSpec,
    value: Option<&T>,
) -> fmt::Result {
    match value {
        Some(value) => write!(f, " {}:{}", option.name, quote(&value.to_string())),
        None => Ok(()),
    }
}
