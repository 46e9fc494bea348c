//! The whole machine of a change of schedules: from the facts and what was seen,
//! the one next step.
//!
//! Pure: no I/O, no clock of its own.

mod apply;
mod pull;

use jiff::{SignedDuration, Timestamp};

use super::checks::{self, Terms};
use super::facts::Fact;
use super::observed::Observed;
use super::phase::{Phase, phase};
use super::resource::{Outcome, ScheduleRequestSpec, ScheduleStatus, Stuck, StuckReason};
use super::{digest, resource};
use crate::request;
use crate::request::approval;
use crate::request::resource::{RestoreRequestSpec, Source};

/// The one thing to do next about a change of schedules.
pub type Step = request::Step<Effect, Fact>;

/// Something done to the world. Each is find-or-create under a name made from the
/// request, so that doing it twice is doing it once.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    OpenPull,
    /// Make the edit anew on the present base, on the same branch.
    RebuildPull,
    /// Merge, if the head is still this.
    MergePull(String),
    ClosePull(String),
    /// Write an approval that was given in chat into the pull request.
    Mirror,
    /// Ask Argo CD to look at an Application.
    Look(String, String),
    /// Delete the Velero Schedule that the order has no more and Argo CD leaves, by
    /// its name, if it still has this uid.
    DeleteSchedule(String, String),
}

impl Effect {
    /// A short name for logs and the status.
    pub fn name(&self) -> &'static str {
        match self {
            Self::OpenPull => "open the pull request",
            Self::RebuildPull => "rebuild the pull request",
            Self::MergePull(_) => "merge the pull request",
            Self::ClosePull(_) => "close the pull request",
            Self::Mirror => "write the approval into the pull request",
            Self::Look(..) => "ask Argo CD to look",
            Self::DeleteSchedule(..) => "delete the Velero Schedule",
        }
    }
}

/// What the operator configured of schedules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// From the merge until the cluster has what the order says.
    pub apply_within: SignedDuration,
    /// From when a run is due until its backup is completed.
    pub backup_within: SignedDuration,
}

/// The request that is decided upon.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    pub uid: &'a str,
    pub created: Timestamp,
    pub spec: &'a ScheduleRequestSpec,
    pub status: &'a ScheduleStatus,
}

struct Pass<'a> {
    subject: Subject<'a>,
    /// People, zones, approval and pace: the same for every kind of request.
    common: &'a request::Policy,
    policy: Policy,
    now: Timestamp,
}

/// Decides the next step of a request.
///
/// `observed` must have been read for the phase that the facts amount to; if it
/// was not, the answer is to look again at once.
pub fn decide(
    subject: Subject<'_>,
    observed: &Observed,
    common: &request::Policy,
    policy: Policy,
    now: Timestamp,
) -> Step {
    Pass {
        subject,
        common,
        policy,
        now,
    }
    .next(observed)
}

impl Pass<'_> {
    fn next(&self, observed: &Observed) -> Step {
        let phase = phase(self.status());
        if let Some(step) = self.called_off(phase) {
            return step;
        }
        match (phase, observed) {
            (Phase::Checking, Observed::Checking(survey)) => {
                match checks::check(self.subject.spec, survey, &self.terms(), self.now) {
                    Ok(checked) => Step::Record(Fact::Checked(Box::new(checked))),
                    Err(why) => end(Outcome::Refused, why),
                }
            }
            (Phase::AwaitingApproval, Observed::Pull(pull)) => {
                self.awaiting_approval(pull.as_ref())
            }
            (Phase::Merging, Observed::Pull(pull)) => self.merging(pull.as_ref()),
            (Phase::Closing, Observed::Pull(pull)) => self.closing(pull.as_ref()),
            (Phase::Applying, Observed::Applying(view)) => self.applying(view),
            (Phase::Confirming, Observed::Confirming(view)) => self.confirming(view),
            (Phase::Stuck, _) => self.stuck(),
            (
                Phase::Done
                | Phase::Refused
                | Phase::Denied
                | Phase::Withdrawn
                | Phase::Expired
                | Phase::Failed
                | Phase::Superseded,
                _,
            ) => Step::Rest,
            (
                Phase::Checking
                | Phase::AwaitingApproval
                | Phase::Merging
                | Phase::Closing
                | Phase::Applying
                | Phase::Confirming,
                _,
            ) => Step::Wait {
                until: self.now,
                why: None,
            },
        }
    }

    fn terms(&self) -> Terms<'_> {
        Terms {
            uid: self.subject.uid,
            created: self.subject.created,
            time_zone: &self.common.time_zone,
        }
    }

    fn status(&self) -> &ScheduleStatus {
        self.subject.status
    }

    fn after(&self, pause: SignedDuration) -> Timestamp {
        later(self.now, pause)
    }

    fn look_again(&self, why: impl Into<Option<String>>) -> Step {
        Step::Wait {
            until: self.after(self.common.look_again),
            why: why.into(),
        }
    }

    /// A deadline counts from the fact it follows, or from the last time a person
    /// said to go on.
    fn from(&self, since: Timestamp) -> Timestamp {
        self.status()
            .last_choice_at()
            .map_or(since, |choice| choice.max(since))
    }

    fn is_late(&self, since: Timestamp, within: SignedDuration) -> bool {
        self.now.duration_since(self.from(since)) >= within
    }

    fn stick(&self, reason: StuckReason, message: String) -> Step {
        Step::Record(Fact::Stuck(Box::new(Stuck {
            at: self.now,
            reason,
            message,
        })))
    }

    /// A withdrawal, and a reviewer's no, count until the order reads as asked.
    fn called_off(&self, phase: Phase) -> Option<Step> {
        let status = self.status();
        if status.ending.is_some() || status.in_order() || phase.is_over() {
            return None;
        }
        if let Some(withdrawal) = &self.subject.spec.withdrawal {
            return Some(end(
                Outcome::Withdrawn,
                format!("{} withdrew the request.", withdrawal.by.name),
            ));
        }
        approval::denial(&ballot(self.subject.spec), &self.common.people)
            .map(|message| end(Outcome::Denied, message))
    }

    fn digest(&self) -> String {
        digest(self.subject.uid, self.subject.spec, self.status())
    }

    fn stuck(&self) -> Step {
        let (Some(stuck), choice) = (&self.status().stuck, &self.subject.spec.choice) else {
            return self.look_again(None);
        };
        if let Some(choice) = choice
            && choice.answers == stuck.at
        {
            return Step::Record(Fact::Chosen(choice.clone()));
        }
        // Answers come by a watch; a person is waited for.
        Step::Wait {
            until: self.after(self.common.self_heal_reminder.max(self.common.look_again)),
            why: None,
        }
    }
}

/// Who asks and who voted, in the form in which approvals are counted for every
/// kind of request.
pub fn ballot(spec: &ScheduleRequestSpec) -> RestoreRequestSpec {
    let ScheduleRequestSpec {
        tenant,
        change: resource::Change { .. },
        requester,
        votes,
        withdrawal,
        choice,
    } = spec.clone();
    RestoreRequestSpec {
        tenant,
        namespaces: Vec::new(),
        source: Source::default(),
        reason: String::new(),
        requester,
        votes,
        withdrawal,
        choice,
        consents: Vec::new(),
        undoes: None,
    }
}

fn end(outcome: Outcome, message: String) -> Step {
    Step::Record(Fact::Ended(outcome, message))
}

fn later(from: Timestamp, pause: SignedDuration) -> Timestamp {
    from.saturating_add(pause).unwrap_or(Timestamp::MAX)
}
