//! The phase of a change of schedules, derived from its facts.

use super::resource::{Outcome, ScheduleRequest, ScheduleStatus};

/// Where a change stands. Never stored: [`phase`] is the only way to one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Phase {
    Checking,
    AwaitingApproval,
    Merging,
    Applying,
    Confirming,
    /// It ends early; what was opened is closed.
    Closing,
    Done,
    Refused,
    Denied,
    Withdrawn,
    Expired,
    Failed,
    Superseded,
    Stuck,
}

impl Phase {
    pub const ALL: [Self; 14] = [
        Self::Checking,
        Self::AwaitingApproval,
        Self::Merging,
        Self::Applying,
        Self::Confirming,
        Self::Closing,
        Self::Done,
        Self::Refused,
        Self::Denied,
        Self::Withdrawn,
        Self::Expired,
        Self::Failed,
        Self::Superseded,
        Self::Stuck,
    ];

    /// The name as conditions and printer columns show it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Checking => "Checking",
            Self::AwaitingApproval => "AwaitingApproval",
            Self::Merging => "Merging",
            Self::Applying => "Applying",
            Self::Confirming => "Confirming",
            Self::Closing => "Closing",
            Self::Done => "Done",
            Self::Refused => "Refused",
            Self::Denied => "Denied",
            Self::Withdrawn => "Withdrawn",
            Self::Expired => "Expired",
            Self::Failed => "Failed",
            Self::Superseded => "Superseded",
            Self::Stuck => "Stuck",
        }
    }

    /// What it is doing, to follow "it is".
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Checking => "being checked",
            Self::AwaitingApproval => "waiting for approval",
            Self::Merging => "being merged",
            Self::Applying => "being applied by Argo CD",
            Self::Confirming => "waiting for its first good backup",
            Self::Closing => "closing its pull request",
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Denied => "denied",
            Self::Withdrawn => "withdrawn",
            Self::Expired => "expired",
            Self::Failed => "failed",
            Self::Superseded => "superseded by a later change",
            Self::Stuck => "stuck until somebody chooses how to go on",
        }
    }

    /// True if nothing more will happen.
    pub fn is_over(self) -> bool {
        match self {
            Self::Done
            | Self::Refused
            | Self::Denied
            | Self::Withdrawn
            | Self::Expired
            | Self::Failed
            | Self::Superseded => true,
            Self::Checking
            | Self::AwaitingApproval
            | Self::Merging
            | Self::Applying
            | Self::Confirming
            | Self::Closing
            | Self::Stuck => false,
        }
    }

    /// True until the cluster has what the order says: nobody else may change the
    /// same schedule meanwhile.
    pub fn holds_schedule(self) -> bool {
        match self {
            Self::Checking
            | Self::AwaitingApproval
            | Self::Merging
            | Self::Applying
            | Self::Closing => true,
            // A person who is to choose may well want to order something else instead.
            Self::Stuck
            | Self::Confirming
            | Self::Done
            | Self::Refused
            | Self::Denied
            | Self::Withdrawn
            | Self::Expired
            | Self::Failed
            | Self::Superseded => false,
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
            Outcome::Failed => Self::Failed,
            Outcome::Superseded => Self::Superseded,
        }
    }
}

/// The phase that the facts amount to.
pub fn phase(status: &ScheduleStatus) -> Phase {
    if status.stuck.is_some() {
        return Phase::Stuck;
    }
    if let Some(ending) = &status.ending {
        let tidy = match &status.pull {
            Some(pull) => !pull.is_open(),
            // From the check on, a pull request may have been opened whose answer
            // was lost: it is looked for once.
            None => status.checked.is_none() || status.tidied_at.is_some(),
        };
        return if tidy {
            ending.outcome.into()
        } else {
            Phase::Closing
        };
    }
    if status.checked.is_none() {
        return Phase::Checking;
    }
    if !status.in_order() {
        return if status.approved.is_none() || status.pull.is_none() {
            Phase::AwaitingApproval
        } else {
            Phase::Merging
        };
    }
    let Some(applied) = &status.applied else {
        return Phase::Applying;
    };
    // A removal has nothing to confirm.
    if applied.uid.is_some() && status.confirmed.is_none() {
        return Phase::Confirming;
    }
    Phase::Done
}

impl ScheduleRequest {
    /// Where it stands; one of which nothing is known yet is being checked.
    pub fn phase(&self) -> Phase {
        self.status.as_ref().map_or(Phase::Checking, phase)
    }
}
