//! The whole machine: from the facts and what was seen, the one next step.
//!
//! Pure: no I/O, no clock of its own. Each phase has a function, one file to a
//! group of phases; the order in which a function asks its questions is the
//! order in which things are safe.

mod approval;
mod argo;
mod clearing;
mod restore;
mod resume;

use jiff::{SignedDuration, Timestamp};

use super::digest;
use super::facts::{Fact, LookFor, Which};
use super::inventory::LiveObject;
use super::observed::{Observed, Pull, PullState};
use super::people::People;
use super::phase::{Phase, phase};
use super::preflight::{self, Terms, list};
use super::resource::{
    Action, Outcome, ReminderOf, RestoreRequestSpec, RestoreStatus, Stuck, StuckReason,
};

/// The one thing to do next; of a restore, unless it says otherwise.
#[derive(Clone, Debug, PartialEq)]
pub enum Step<E = Effect, F = Fact> {
    /// Touch the world, once; the answer is a fact.
    Act(E),
    /// Write down what was decided or seen.
    Record(F),
    /// Nothing to do until something changes, or until then.
    Wait {
        until: Timestamp,
        /// In words, for the thread; `None` where the phase says it all.
        why: Option<String>,
    },
    /// It is over.
    Rest,
}

/// Something done to the world. Each is find-or-create under a name made from
/// the request, so that doing it twice is doing it once.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    OpenPull(Which),
    /// Make the edit anew on the present base, on the same branch.
    RebuildPull(Which),
    /// Merge, if the head is still this.
    MergePull(Which, String),
    ClosePull(Which, String),
    /// Write an approval that was given in chat into the pull request.
    Mirror(Which),
    /// Ask Argo CD to look at an Application.
    Look(LookFor, String, String),
    /// Sync an Application at the revision it is at, so that it is recorded.
    RecordRevision(String, String),
    SafetyBackup,
    Delete(Vec<LiveObject>),
    Restore,
    /// Put the summary on a pull request.
    Summarize(Which),
    /// Tell those who review the resume that self-heal is off until it is merged.
    Remind,
}

impl Effect {
    /// A short name for logs and the status.
    pub fn name(&self) -> &'static str {
        match self {
            Self::OpenPull(Which::Pause) => "open the pause pull request",
            Self::OpenPull(Which::Resume) => "open the resume pull request",
            Self::RebuildPull(_) => "rebuild the pull request",
            Self::MergePull(Which::Pause, _) => "merge the pause pull request",
            Self::MergePull(Which::Resume, _) => "merge the resume pull request",
            Self::ClosePull(..) => "close the pull request",
            Self::Mirror(_) => "write the approval into the pull request",
            Self::Look(..) => "ask Argo CD to look",
            Self::RecordRevision(..) => "record the revision of an Application",
            Self::SafetyBackup => "create the safety backup",
            Self::Delete(_) => "delete objects",
            Self::Restore => "create the Restore",
            Self::Summarize(_) => "put the summary on the pull request",
            Self::Remind => "remind the reviewers on the pull request",
        }
    }
}

/// What the operator configured, as far as decisions depend on it.
#[derive(Clone, Debug)]
pub struct Policy {
    pub people: People,
    /// What counts as an approval.
    pub approval: super::approval::Rules,
    pub time_zone: jiff::tz::TimeZone,
    pub own_namespace: String,
    /// The approval of the pause covers the resume.
    pub covers_resume: bool,
    pub approval_expires: SignedDuration,
    pub approval_reminders: Vec<SignedDuration>,
    pub self_heal_reminder: SignedDuration,
    pub settle_within: SignedDuration,
    pub protect_within: SignedDuration,
    pub clear_within: SignedDuration,
    /// Without any item or byte moving.
    pub restore_stalls_after: SignedDuration,
    pub verify_within: SignedDuration,
    pub resume_within: SignedDuration,
    /// How long all has to be well, with self-heal on again, before it is done.
    pub hold_well: SignedDuration,
    pub backup_must_outlive: SignedDuration,
    /// How often an open pull request is looked at.
    pub poll: SignedDuration,
    /// How often something without a watch is looked at while it is waited for.
    pub look_again: SignedDuration,
    /// How many deletes are sent at once.
    pub batch: usize,
}

/// The request that is decided upon.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    pub uid: &'a str,
    pub created: Timestamp,
    pub spec: &'a RestoreRequestSpec,
    pub status: &'a RestoreStatus,
}

struct Pass<'a> {
    subject: Subject<'a>,
    policy: &'a Policy,
    now: Timestamp,
}

/// Decides the next step of a request.
///
/// `observed` must have been read for the phase that the facts amount to; if it
/// was not, the answer is to look again at once.
pub fn decide(subject: Subject<'_>, observed: &Observed, policy: &Policy, now: Timestamp) -> Step {
    let pass = Pass {
        subject,
        policy,
        now,
    };
    let reminder = pass.next_self_heal_reminder();
    if reminder.is_some_and(|at| now >= at) {
        return Step::Record(Fact::Reminded(ReminderOf::SelfHealOff));
    }
    if let Some(step) = pass.remind_reviewers() {
        return step;
    }
    match (pass.next(observed), reminder) {
        // No wait is so long that a reminder would come late.
        (Step::Wait { until, why }, Some(reminder)) => Step::Wait {
            until: until.min(reminder),
            why,
        },
        (step, _) => step,
    }
}

impl Pass<'_> {
    fn next(&self, observed: &Observed) -> Step {
        let phase = phase(self.status());
        if let Some(step) = self.withdrawal(phase).or_else(|| self.denial(phase)) {
            return step;
        }
        match (phase, observed) {
            (Phase::Checking, Observed::Checking(survey)) => {
                if let Some(why) = preflight::awaits(self.subject.spec, survey) {
                    return self.look_again(why);
                }
                match preflight::check(self.subject.spec, survey, &self.terms(), self.now) {
                    Ok(checked) => Step::Record(Fact::Checked(Box::new(checked))),
                    Err(why) => Step::Record(Fact::Ended(Outcome::Refused, why)),
                }
            }
            (Phase::AwaitingApproval, Observed::AwaitingApproval(pull)) => {
                self.awaiting_approval(pull.as_ref())
            }
            (Phase::Pausing, Observed::Pausing(pull)) => self.pausing(pull.as_ref()),
            (Phase::Settling, Observed::Settling(applications)) => self.settling(applications),
            (Phase::Protecting, Observed::Protecting(backup)) => self.protecting(backup.as_ref()),
            (Phase::Clearing, Observed::Clearing(view)) => self.clearing(view),
            (Phase::Restoring, Observed::Restoring(view)) => self.restoring(view),
            (Phase::Verifying, Observed::Verifying(view)) => self.verifying(view),
            (Phase::Resuming, Observed::Resuming(view)) => self.resuming(view),
            (Phase::Stuck, _) => self.stuck(),
            (
                Phase::Refused
                | Phase::Denied
                | Phase::Withdrawn
                | Phase::Expired
                | Phase::ResumedAsIs,
                Observed::Ended(Some(Pull {
                    state: PullState::Merged { sha },
                    ..
                })),
                // Somebody brought the branch back and merged it when nobody followed it
                // any more: self-heal is off, and has to come back (L1).
            ) => Step::Record(Fact::PullMerged(Which::Pause, sha.clone())),
            (
                Phase::Done
                | Phase::Refused
                | Phase::Denied
                | Phase::Withdrawn
                | Phase::Expired
                | Phase::ResumedAsIs,
                _,
            ) => Step::Rest,
            (
                Phase::Checking
                | Phase::AwaitingApproval
                | Phase::Pausing
                | Phase::Settling
                | Phase::Protecting
                | Phase::Clearing
                | Phase::Restoring
                | Phase::Verifying
                | Phase::Resuming,
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
            own_namespace: &self.policy.own_namespace,
            time_zone: &self.policy.time_zone,
            backup_must_outlive: self.policy.backup_must_outlive,
        }
    }

    fn status(&self) -> &RestoreStatus {
        self.subject.status
    }

    fn after(&self, pause: SignedDuration) -> Timestamp {
        self.now.saturating_add(pause).unwrap_or(Timestamp::MAX)
    }

    fn look_again(&self, why: impl Into<Option<String>>) -> Step {
        Step::Wait {
            until: self.after(self.policy.look_again),
            why: why.into(),
        }
    }

    /// Waits for a watch to report, but not past the deadline.
    fn until_deadline(since: Timestamp, within: SignedDuration, why: Option<String>) -> Step {
        Step::Wait {
            until: since.saturating_add(within).unwrap_or(Timestamp::MAX),
            why,
        }
    }

    /// A deadline counts from the fact it follows, or from the last time a
    /// person said to go on.
    fn is_late(&self, since: Timestamp, within: SignedDuration) -> bool {
        self.now.duration_since(self.from(since)) >= within
    }

    fn from(&self, since: Timestamp) -> Timestamp {
        self.status()
            .last_choice_at()
            .map_or(since, |choice| choice.max(since))
    }

    fn stick(&self, reason: StuckReason, message: String) -> Step {
        self.stick_over(reason, message, Vec::new())
    }

    fn stick_over(&self, reason: StuckReason, message: String, objects: Vec<String>) -> Step {
        Step::Record(Fact::Stuck(Box::new(Stuck {
            at: self.now,
            reason,
            message,
            objects,
        })))
    }

    /// The message of the last failure of `effect`, if it has been failing for
    /// longer than `within` since `since`: then a person is told instead of
    /// trying for ever (L3).
    fn given_up(
        &self,
        effect: &Effect,
        since: Timestamp,
        within: SignedDuration,
    ) -> Option<String> {
        self.status()
            .last_error
            .as_ref()
            .filter(|last| last.effect == effect.name() && self.is_late(since, within))
            .map(|last| last.message.clone())
    }

    /// L1: while self-heal is off, people are reminded at growing intervals,
    /// whatever the phase: the bound after the merge, then twice, four times,
    /// eight times the bound, but at least once a day.
    fn next_self_heal_reminder(&self) -> Option<Timestamp> {
        let status = self.status();
        if !status.self_heal_is_off() {
            return None;
        }
        let off_since = status.pause.as_ref()?.merged.as_ref()?.at;
        let sent: Vec<Timestamp> = self.reminders(ReminderOf::SelfHealOff).collect();
        Some(self.growing(off_since, &sent))
    }

    /// L1: whoever looks at the resume pull request is told what waits for it, once
    /// for each reminder. A comment that cannot be written holds nothing up.
    fn remind_reviewers(&self) -> Option<Step> {
        let status = self.status();
        let resume = status.resume.as_ref().filter(|resume| resume.is_open())?;
        let last = self.reminders(ReminderOf::SelfHealOff).last()?;
        let told = status.resume_reminded_at.unwrap_or(resume.at);
        let failed = status
            .last_error
            .as_ref()
            .is_some_and(|error| error.effect == Effect::Remind.name() && error.at >= last);
        (last > told && !failed).then_some(Step::Act(Effect::Remind))
    }

    /// When the next reminder is due of those that come at growing intervals.
    fn growing(&self, since: Timestamp, sent: &[Timestamp]) -> Timestamp {
        // A bound of nothing would remind without end.
        let bound = self
            .policy
            .self_heal_reminder
            .max(self.policy.look_again)
            .max(SignedDuration::from_secs(1) / 1000);
        let (last, pause) = match sent.last() {
            None => (since, bound),
            Some(&last) => {
                let doublings = u32::try_from(sent.len() - 1).unwrap_or(u32::MAX).min(20);
                let pause = bound
                    .checked_mul(1 << doublings)
                    .unwrap_or(SignedDuration::MAX);
                (last, pause.min(bound.max(SignedDuration::from_hours(24))))
            }
        };
        last.saturating_add(pause).unwrap_or(Timestamp::MAX)
    }

    fn reminders(&self, about: ReminderOf) -> impl Iterator<Item = Timestamp> {
        self.status()
            .reminders
            .iter()
            .filter(move |reminder| reminder.about == about)
            .map(|reminder| reminder.at)
    }

    /// Calling it off counts until the clearing begins; from then on the only
    /// way is forward.
    fn may_be_called_off(&self, phase: Phase) -> bool {
        let status = self.status();
        status.ending.is_none() && !status.clearing_began() && !phase.is_over()
    }

    fn withdrawal(&self, phase: Phase) -> Option<Step> {
        let withdrawal = self.subject.spec.withdrawal.as_ref()?;
        self.may_be_called_off(phase).then(|| {
            Step::Record(Fact::Ended(
                Outcome::Withdrawn,
                format!("{} withdrew the request.", withdrawal.by.name),
            ))
        })
    }

    /// A reviewer's no counts as long as a withdrawal does, also after another
    /// reviewer's yes.
    fn denial(&self, phase: Phase) -> Option<Step> {
        if !self.may_be_called_off(phase) {
            return None;
        }
        super::approval::denial(self.subject.spec, &self.policy.people)
            .map(|message| Step::Record(Fact::Ended(Outcome::Denied, message)))
    }

    fn digest(&self) -> String {
        digest(self.subject.uid, self.subject.spec, self.status())
    }

    fn stuck(&self) -> Step {
        let status = self.status();
        let (Some(stuck), choice) = (&status.stuck, &self.subject.spec.choice) else {
            return self.look_again(None);
        };
        if let Some(choice) = choice
            && choice.answers == stuck.at
        {
            if choice.action != Action::Waive {
                return Step::Record(Fact::Chosen(choice.clone()));
            }
            // S8: whoever wrote it there, only a reviewer's word counts, and only
            // instead of a safety backup.
            let people = &self.policy.people;
            if stuck.reason == StuckReason::SafetyBackupFailed
                && let Some(entry) = people.by_account(&choice.by)
                && super::approval::may_approve(self.subject.spec, people, entry)
            {
                return Step::Record(Fact::Waived(choice.clone(), entry.name.clone()));
            }
        }
        // A person is waited for, and reminded: of self-heal while it is off (see
        // `next_self_heal_reminder`), else of the question itself.
        let next = if status.self_heal_is_off() {
            self.after(self.policy.self_heal_reminder.max(self.policy.look_again))
        } else {
            let sent: Vec<Timestamp> = self
                .reminders(ReminderOf::Stuck)
                .filter(|at| *at >= stuck.at)
                .collect();
            self.growing(stuck.at, &sent)
        };
        if self.now >= next {
            return Step::Record(Fact::Reminded(ReminderOf::Stuck));
        }
        Step::Wait {
            until: next,
            why: None,
        }
    }
}

/// How a note begins that says why GitHub would not merge.
pub const MERGE_BLOCKED: &str = "GitHub does not let it be merged yet";

/// The first few of many, so that a message stays readable.
fn some(names: &[String]) -> String {
    const SHOWN: usize = 5;
    if names.len() <= SHOWN {
        list(names)
    } else {
        format!(
            "{} and {} more",
            names[..SHOWN].join(", "),
            names.len() - SHOWN
        )
    }
}
