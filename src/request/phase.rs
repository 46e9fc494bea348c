//! The phase of a restore, derived from its facts.

use super::guard::{Guard, holds};
use super::resource::{Outcome, RestoreRequest, RestoreStatus};

/// Where a restore stands. Never stored: [`phase`] is the only way to one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Phase {
    Checking,
    AwaitingApproval,
    Pausing,
    Settling,
    Protecting,
    Clearing,
    Restoring,
    Verifying,
    Resuming,
    Done,
    Refused,
    Denied,
    Withdrawn,
    Expired,
    ResumedAsIs,
    Stuck,
}

impl Phase {
    pub const ALL: [Self; 16] = [
        Self::Checking,
        Self::AwaitingApproval,
        Self::Pausing,
        Self::Settling,
        Self::Protecting,
        Self::Clearing,
        Self::Restoring,
        Self::Verifying,
        Self::Resuming,
        Self::Done,
        Self::Refused,
        Self::Denied,
        Self::Withdrawn,
        Self::Expired,
        Self::ResumedAsIs,
        Self::Stuck,
    ];

    /// The name as conditions and printer columns show it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Checking => "Checking",
            Self::AwaitingApproval => "AwaitingApproval",
            Self::Pausing => "Pausing",
            Self::Settling => "Settling",
            Self::Protecting => "Protecting",
            Self::Clearing => "Clearing",
            Self::Restoring => "Restoring",
            Self::Verifying => "Verifying",
            Self::Resuming => "Resuming",
            Self::Done => "Done",
            Self::Refused => "Refused",
            Self::Denied => "Denied",
            Self::Withdrawn => "Withdrawn",
            Self::Expired => "Expired",
            Self::ResumedAsIs => "ResumedAsIs",
            Self::Stuck => "Stuck",
        }
    }

    /// What it is doing, to end a sentence that begins with "it is".
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Checking => "being checked",
            Self::AwaitingApproval => "waiting for approval",
            Self::Pausing => "turning self-heal off",
            Self::Settling => "waiting for Argo CD to be quiet",
            Self::Protecting => "taking a safety backup",
            Self::Clearing => "clearing the namespaces",
            Self::Restoring => "restoring",
            Self::Verifying => "verifying what was restored",
            Self::Resuming => "turning self-heal on again",
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Denied => "denied",
            Self::Withdrawn => "withdrawn",
            Self::Expired => "expired",
            Self::ResumedAsIs => "ended with the namespaces as they are",
            Self::Stuck => "stuck until somebody chooses how to go on",
        }
    }

    /// True if nothing more will happen to the tenant and its namespaces are free.
    pub fn is_over(self) -> bool {
        match self {
            Self::Done
            | Self::Refused
            | Self::Denied
            | Self::Withdrawn
            | Self::Expired
            | Self::ResumedAsIs => true,
            Self::Checking
            | Self::AwaitingApproval
            | Self::Pausing
            | Self::Settling
            | Self::Protecting
            | Self::Clearing
            | Self::Restoring
            | Self::Verifying
            | Self::Resuming
            | Self::Stuck => false,
        }
    }
}

impl From<Outcome> for Phase {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Refused => Self::Refused,
            Outcome::Denied => Self::Denied,
            Outcome::Withdrawn => Self::Withdrawn,
            Outcome::Expired => Self::Expired,
            Outcome::ResumedAsIs => Self::ResumedAsIs,
        }
    }
}

/// The phase that the facts amount to.
pub fn phase(status: &RestoreStatus) -> Phase {
    if status.stuck.is_some() {
        return Phase::Stuck;
    }
    if let Some(ending) = &status.ending {
        // What was touched is undone first: an open pull request is closed, and
        // self-heal that was turned off comes back (L1).
        let tidy = match &status.pause {
            Some(pause) => !holds(Guard::L1) || (!status.self_heal_is_off() && !pause.is_open()),
            // From the check on, a pull request may have been opened whose answer
            // was lost: it is looked for once.
            None => status.checked.is_none() || status.resumed_at.is_some(),
        };
        return if tidy {
            ending.outcome.into()
        } else {
            Phase::Resuming
        };
    }
    if status.checked.is_none() {
        return Phase::Checking;
    }
    if status.approved.is_none() {
        return Phase::AwaitingApproval;
    }
    if status
        .pause
        .as_ref()
        .is_none_or(|pull| pull.opened.is_some() && pull.merged.is_none())
    {
        return Phase::Pausing;
    }
    if status.settled.is_none() {
        return Phase::Settling;
    }
    let protected = !holds(Guard::S8)
        || status.waiver.is_some()
        || status
            .safety_backup
            .as_ref()
            .is_some_and(|backup| backup.completed_at.is_some());
    if !protected {
        return Phase::Protecting;
    }
    if status
        .clearing
        .as_ref()
        .is_none_or(|clearing| clearing.emptied_at.is_none())
    {
        return Phase::Clearing;
    }
    if status
        .restore
        .as_ref()
        .is_none_or(|restore| restore.ended_at.is_none() || restore.phase != "Completed")
    {
        return Phase::Restoring;
    }
    if status.verified.is_none() {
        return Phase::Verifying;
    }
    if status.resumed_at.is_none() {
        return Phase::Resuming;
    }
    Phase::Done
}

impl RestoreRequest {
    /// Where it stands; one of which nothing is known yet is being checked.
    pub fn phase(&self) -> Phase {
        self.status.as_ref().map_or(Phase::Checking, phase)
    }
}
