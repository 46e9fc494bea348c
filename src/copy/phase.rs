//! The phase of a copy, derived from its facts.

use super::resource::{CopyRequest, CopyStatus, Outcome};

/// Where a copy stands. Never stored: [`phase`] is the only way to one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Phase {
    Checking,
    Making,
    Restoring,
    Verifying,
    /// It can be used, until its time is over.
    Kept,
    Removing,
    Done,
    Refused,
    Withdrawn,
    Failed,
}

impl Phase {
    pub const ALL: [Self; 10] = [
        Self::Checking,
        Self::Making,
        Self::Restoring,
        Self::Verifying,
        Self::Kept,
        Self::Removing,
        Self::Done,
        Self::Refused,
        Self::Withdrawn,
        Self::Failed,
    ];

    /// The name as conditions and printer columns show it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Checking => "Checking",
            Self::Making => "Making",
            Self::Restoring => "Restoring",
            Self::Verifying => "Verifying",
            Self::Kept => "Kept",
            Self::Removing => "Removing",
            Self::Done => "Done",
            Self::Refused => "Refused",
            Self::Withdrawn => "Withdrawn",
            Self::Failed => "Failed",
        }
    }

    /// What it is doing, to follow "it is".
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Checking => "being checked",
            Self::Making => "getting its namespace",
            Self::Restoring => "being restored",
            Self::Verifying => "coming up",
            Self::Kept => "there to be used",
            Self::Removing => "being removed",
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Withdrawn => "withdrawn",
            Self::Failed => "failed",
        }
    }

    /// True if nothing more will happen, and nothing is left.
    pub fn is_over(self) -> bool {
        match self {
            Self::Done | Self::Refused | Self::Withdrawn | Self::Failed => true,
            Self::Checking
            | Self::Making
            | Self::Restoring
            | Self::Verifying
            | Self::Kept
            | Self::Removing => false,
        }
    }
}

impl From<Outcome> for Phase {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Done => Self::Done,
            Outcome::Refused => Self::Refused,
            Outcome::Withdrawn => Self::Withdrawn,
            Outcome::Failed => Self::Failed,
        }
    }
}

/// The phase that the facts amount to.
pub fn phase(status: &CopyStatus) -> Phase {
    if let Some(ending) = &status.ending {
        // From the check on, the namespace may have been made and the answer lost: whatever the facts say, it
        // is looked for before it is over.
        return if status.checked.is_none() || status.removed_at.is_some() {
            ending.outcome.into()
        } else {
            Phase::Removing
        };
    }
    if status.checked.is_none() {
        return Phase::Checking;
    }
    if status.made.is_none() {
        return Phase::Making;
    }
    let restored = status
        .restore
        .as_ref()
        .is_some_and(|run| run.ended_at.is_some());
    if !restored {
        return Phase::Restoring;
    }
    if status.shown.is_none() {
        return Phase::Verifying;
    }
    Phase::Kept
}

impl CopyRequest {
    /// Where it stands; one of which nothing is known yet is being checked.
    pub fn phase(&self) -> Phase {
        self.status.as_ref().map_or(Phase::Checking, phase)
    }
}
