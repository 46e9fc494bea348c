//! What a pass saw of the world: for each phase, what its decision needs.

use crate::request::observed::Verifying;
use crate::request::preflight;
use crate::request::resource::RestoreRun;

use super::phase::Phase;

/// The world as one pass saw it, read live.
#[derive(Clone, Debug, PartialEq)]
#[allow(
    clippy::large_enum_variant,
    reason = "there is one for each pass, and it is not kept"
)]
pub enum Observed {
    Checking(Box<Survey>),
    /// The new namespace, if it is there.
    Namespace(Option<Namespace>),
    Restoring(Restoring),
    Verifying(Box<Verifying>, Option<Namespace>),
    /// Nothing had to be looked at, or it could not be.
    Nothing,
}

/// What the checks look at.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Survey {
    /// What the checks of a restore of the original look at.
    pub original: preflight::Survey,
    /// A namespace has the new one's name.
    pub taken: bool,
    /// Other copies that have not ended.
    pub others: Vec<Other>,
}

/// Another copy.
#[derive(Clone, Debug, PartialEq)]
pub struct Other {
    pub name: String,
    pub tenant: String,
    pub into: String,
    pub phase: Phase,
    pub requester: String,
}

/// The new namespace, live.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Namespace {
    pub uid: String,
    /// This request has made it.
    pub ours: bool,
    pub terminating: bool,
    /// What the API server says still holds it up.
    pub held_by: Vec<String>,
}

/// The Restore into the new namespace, live.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Restoring {
    pub namespace: Option<Namespace>,
    pub restore: Option<RestoreRun>,
    /// Velero's own words about what went wrong.
    pub failures: Vec<String>,
    /// Restores that Velero has before it.
    pub ahead: usize,
}

/// True for a Restore that Velero does nothing about any more.
pub fn has_ended(phase: &str) -> bool {
    matches!(
        phase,
        "Completed" | "PartiallyFailed" | "Failed" | "FailedValidation"
    )
}
