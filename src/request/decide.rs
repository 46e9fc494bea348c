//! The whole machine: from the facts and what was seen, the one next step.
//!
//! Pure: no I/O, no clock of its own. Each phase has a function below; the
//! order in which a function asks its questions is the order in which things
//! are safe.

use jiff::{SignedDuration, Timestamp};

use super::applications::{Application, Unquiet};
use super::approval::{self, Standing};
use super::digest;
use super::facts::{Fact, LookFor, Which};
use super::inventory::{self, InventorySummary, LiveObject, Next};
use super::observed::{Clearing, Observed, Pull, PullState, Restoring, Resuming, Verifying};
use super::people::People;
use super::phase::{Phase, phase};
use super::preflight::{self, Terms, list};
use super::resource::{
    Outcome, PullRequest, ReminderOf, RestoreRequestSpec, RestoreStatus, Stuck, StuckReason,
    Verified,
};

/// The one thing to do next.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Touch the world, once; the answer is a fact.
    Act(Effect),
    /// Write down what was decided or seen.
    Record(Fact),
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
    /// Ask Argo CD to look at an Application.
    Look(LookFor, String, String),
    /// Sync an Application at the revision it is at, so that it is recorded.
    RecordRevision(String, String),
    SafetyBackup,
    Delete(Vec<LiveObject>),
    Restore,
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
            Self::Look(..) => "ask Argo CD to look",
            Self::RecordRevision(..) => "record the revision of an Application",
            Self::SafetyBackup => "create the safety backup",
            Self::Delete(_) => "delete objects",
            Self::Restore => "create the Restore",
        }
    }
}

/// What the operator configured, as far as decisions depend on it.
#[derive(Clone, Debug)]
pub struct Policy {
    pub people: People,
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
    let phase = phase(subject.status);
    if let Some(step) = pass.overdue_self_heal() {
        return step;
    }
    if let Some(step) = pass.withdrawal(phase) {
        return step;
    }
    match (phase, observed) {
        (Phase::Checking, Observed::Checking(survey)) => {
            match preflight::check(subject.spec, survey, &pass.terms(), now) {
                Ok(checked) => Step::Record(Fact::Checked(Box::new(checked))),
                Err(why) => Step::Record(Fact::Ended(Outcome::Refused, why)),
            }
        }
        (Phase::AwaitingApproval, Observed::AwaitingApproval(pull)) => {
            pass.awaiting_approval(pull.as_ref())
        }
        (Phase::Pausing, Observed::Pausing(pull)) => pass.pausing(pull.as_ref()),
        (Phase::Settling, Observed::Settling(applications)) => pass.settling(applications),
        (Phase::Protecting, Observed::Protecting(backup)) => pass.protecting(backup.as_ref()),
        (Phase::Clearing, Observed::Clearing(view)) => pass.clearing(view),
        (Phase::Restoring, Observed::Restoring(view)) => pass.restoring(view),
        (Phase::Verifying, Observed::Verifying(view)) => pass.verifying(view),
        (Phase::Resuming, Observed::Resuming(view)) => pass.resuming(view),
        (Phase::Stuck, _) => pass.stuck(),
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
            until: now,
            why: None,
        },
    }
}

impl Pass<'_> {
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
    fn until_deadline(
        &self,
        since: Timestamp,
        within: SignedDuration,
        why: Option<String>,
    ) -> Step {
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

    /// L1: while self-heal is off, people are reminded at growing intervals,
    /// from the merge on and whatever the phase.
    fn overdue_self_heal(&self) -> Option<Step> {
        let status = self.status();
        if !status.self_heal_is_off() {
            return None;
        }
        let off_since = status.pause.as_ref()?.merged.as_ref()?.at;
        (self.now >= self.next_self_heal_reminder(off_since))
            .then_some(Step::Record(Fact::Reminded(ReminderOf::SelfHealOff)))
    }

    fn next_self_heal_reminder(&self, off_since: Timestamp) -> Timestamp {
        let sent = self.reminded(ReminderOf::SelfHealOff);
        // 1, 2, 4, 8 ... times the bound, and never rarer than a day's worth of doubling.
        let factor = 1_i32 << sent.min(10);
        let pause = self
            .policy
            .self_heal_reminder
            .checked_mul(factor)
            .unwrap_or(SignedDuration::MAX);
        off_since.saturating_add(pause).unwrap_or(Timestamp::MAX)
    }

    fn reminded(&self, about: ReminderOf) -> usize {
        self.status()
            .reminders
            .iter()
            .filter(|reminder| reminder.about == about)
            .count()
    }

    /// A withdrawal counts until the clearing begins; from then on the only way
    /// is forward.
    fn withdrawal(&self, phase: Phase) -> Option<Step> {
        let status = self.status();
        let withdrawal = self.subject.spec.withdrawal.as_ref()?;
        let open = status.ending.is_none() && !status.clearing_began() && !phase.is_over();
        open.then(|| {
            Step::Record(Fact::Ended(
                Outcome::Withdrawn,
                format!("{} withdrew the request.", withdrawal.by.name),
            ))
        })
    }

    fn digest(&self) -> String {
        digest(self.subject.uid, self.subject.spec, self.status())
    }

    fn awaiting_approval(&self, pull: Option<&Pull>) -> Step {
        let status = self.status();
        let Some(checked) = &status.checked else {
            return self.look_again(None);
        };
        let Some(fact) = &status.pause else {
            return Step::Act(Effect::OpenPull(Which::Pause));
        };
        let mut reviews: &[super::observed::Review] = &[];
        if let Some(opened) = &fact.opened {
            let Some(pull) = pull else {
                return Step::Record(Fact::Ended(
                    Outcome::Denied,
                    format!("The pull request #{} is gone.", opened.number),
                ));
            };
            if fact.merged.is_none() {
                match &pull.state {
                    PullState::Closed => {
                        return Step::Record(Fact::PullClosed(Which::Pause))
                            .unless(fact.closed_at.is_some())
                            .unwrap_or_else(|| {
                                Step::Record(Fact::Ended(
                                    Outcome::Denied,
                                    format!(
                                        "The pull request #{} was closed without being merged.",
                                        opened.number
                                    ),
                                ))
                            });
                    }
                    // Merged before anybody approved: self-heal is off, which
                    // deletes nothing, and the approval is still waited for.
                    PullState::Merged { sha } => {
                        return Step::Record(Fact::PullMerged(Which::Pause, sha.clone()));
                    }
                    PullState::Open => {}
                }
                if pull.head_sha != opened.head_sha || pull.mergeable == Some(false) {
                    return Step::Act(Effect::RebuildPull(Which::Pause));
                }
            }
            reviews = &pull.reviews;
        }
        let head = fact
            .opened
            .as_ref()
            .map_or("", |opened| opened.head_sha.as_str());
        let hold = match approval::standing(
            self.subject.spec,
            &self.policy.people,
            &self.digest(),
            reviews,
            head,
            self.now,
        ) {
            Standing::Approved(approved) => return Step::Record(Fact::Approved(approved)),
            Standing::Denied(message) => {
                return Step::Record(Fact::Ended(Outcome::Denied, message));
            }
            Standing::Open(hold) => hold,
        };
        let since = status.voided.as_ref().map_or(checked.at, |note| note.at);
        if self.now.duration_since(since) >= self.policy.approval_expires {
            return Step::Record(Fact::Ended(
                Outcome::Expired,
                "Nobody approved it in time.".to_owned(),
            ));
        }
        let sent = self.reminded(ReminderOf::Approval);
        let next = self
            .policy
            .approval_reminders
            .get(sent)
            .map(|after| since.saturating_add(*after).unwrap_or(Timestamp::MAX));
        if next.is_some_and(|next| self.now >= next) {
            return Step::Record(Fact::Reminded(ReminderOf::Approval));
        }
        let expires = since
            .saturating_add(self.policy.approval_expires)
            .unwrap_or(Timestamp::MAX);
        let until = next.map_or(expires, |next| next.min(expires));
        let until = if fact.is_open() {
            until.min(self.after(self.policy.poll))
        } else {
            until
        };
        Step::Wait { until, why: hold }
    }

    fn pausing(&self, pull: Option<&Pull>) -> Step {
        let Some(opened) = self
            .status()
            .pause
            .as_ref()
            .and_then(|fact| fact.opened.as_ref())
        else {
            return self.look_again(None);
        };
        let Some(pull) = pull else {
            return Step::Record(Fact::Ended(
                Outcome::Denied,
                format!("The pull request #{} is gone.", opened.number),
            ));
        };
        let moved = pull.head_sha != opened.head_sha;
        let approved_at = self.status().approved.as_ref().map(|approved| approved.at);
        if pull.state == PullState::Open
            && approved_at
                .is_some_and(|at| self.now.duration_since(at) >= self.policy.approval_expires)
        {
            return Step::Record(Fact::Ended(
                Outcome::Expired,
                format!(
                    "The pull request #{} could not be merged in time.",
                    opened.number
                ),
            ));
        }
        match &pull.state {
            PullState::Merged { .. } if moved => {
                Step::Record(Fact::PullHead(Which::Pause, pull.head_sha.clone()))
            }
            PullState::Merged { sha } => Step::Record(Fact::PullMerged(Which::Pause, sha.clone())),
            PullState::Closed => Step::Record(Fact::Ended(
                Outcome::Denied,
                format!(
                    "The pull request #{} was closed without being merged.",
                    opened.number
                ),
            )),
            PullState::Open if moved => Step::Record(Fact::Voided(
                format!(
                    "The pull request #{} was changed after it was approved.",
                    opened.number
                ),
                None,
            )),
            PullState::Open if pull.mergeable == Some(false) => Step::Record(Fact::Voided(
                format!(
                    "The order was changed meanwhile, and the pull request #{} conflicts with it.",
                    opened.number
                ),
                None,
            )),
            PullState::Open => self.merge_or_wait(pull).unwrap_or_else(|| {
                Step::Act(Effect::MergePull(Which::Pause, opened.head_sha.clone()))
            }),
        }
    }

    /// After GitHub said no to a merge, it is not asked again before the next poll.
    fn merge_or_wait(&self, pull: &Pull) -> Option<Step> {
        let status = self.status();
        if pull.mergeable.is_none() {
            return Some(
                self.look_again("GitHub is computing whether it can be merged".to_owned()),
            );
        }
        let waiting = status.waiting.as_ref()?;
        let next = waiting
            .at
            .saturating_add(self.policy.poll)
            .unwrap_or(Timestamp::MAX);
        (waiting.message.starts_with(MERGE_BLOCKED) && self.now < next).then(|| Step::Wait {
            until: next,
            why: Some(waiting.message.clone()),
        })
    }

    fn settling(&self, applications: &[Application]) -> Step {
        let status = self.status();
        let since = status
            .pause
            .as_ref()
            .and_then(|fact| fact.merged.as_ref())
            .map(|merged| merged.at)
            .or(status.approved.as_ref().map(|approved| approved.at))
            .unwrap_or(self.now);
        let looked = |application: &Application| {
            status.refreshed_for_pause.contains(&application.key())
                || application.looked_since(since)
        };
        let unquiet = match self.first_unquiet(applications, looked, LookFor::Pause) {
            Ok(()) => {
                let names = applications
                    .iter()
                    .filter(|application| application.deploys)
                    .map(Application::key)
                    .collect();
                return Step::Record(Fact::Settled(names));
            }
            Err(Err(step)) => return step,
            Err(Ok(why)) => why,
        };
        if self.is_late(since, self.policy.settle_within) {
            return Step::Record(Fact::Ended(
                Outcome::Expired,
                format!("Argo CD did not become quiet in time: {unquiet}. Nothing was deleted."),
            ));
        }
        self.until_deadline(self.from(since), self.policy.settle_within, Some(unquiet))
    }

    /// Walks the Applications, parents first, to the first that is not quiet:
    /// `Err(Err(step))` is what to do about it, `Err(Ok(why))` what to wait for.
    fn first_unquiet(
        &self,
        applications: &[Application],
        looked: impl Fn(&Application) -> bool,
        look_for: LookFor,
    ) -> Result<(), Result<String, Step>> {
        let look = |application: &Application| {
            Step::Act(Effect::Look(
                look_for,
                application.namespace.clone(),
                application.name.clone(),
            ))
        };
        for parent in applications
            .iter()
            .filter(|application| !application.deploys)
        {
            if parent.refreshing {
                return Err(Ok(format!("Argo CD is looking at {}", parent.key())));
            }
            if !looked(parent) {
                return Err(Err(look(parent)));
            }
        }
        for application in applications
            .iter()
            .filter(|application| application.deploys)
        {
            let key = application.key();
            match application.quiet(looked(application)) {
                Ok(()) => {}
                Err(Unquiet::NotLooked) if application.refreshing => {
                    return Err(Ok(format!("Argo CD is looking at {key}")));
                }
                Err(Unquiet::NotLooked) => return Err(Err(look(application))),
                Err(Unquiet::SelfHeals) => {
                    return Err(Ok(if application.generated {
                        format!(
                            "the order's change has not reached {key} yet: self-heal is still on"
                        )
                    } else {
                        format!(
                            "{key} still heals, and the order does not reach it: turn selfHeal off in {}",
                            application.source
                        )
                    }));
                }
                Err(Unquiet::Operating) => return Err(Ok(format!("{key} is being synced"))),
                Err(Unquiet::NeverRecorded) if application.sync == "Synced" => {
                    return Err(Err(Step::Act(Effect::RecordRevision(
                        application.namespace.clone(),
                        application.name.clone(),
                    ))));
                }
                Err(Unquiet::NeverRecorded) => {
                    return Err(Ok(format!(
                        "{key} is {} at a revision that Argo CD will still sync",
                        application.sync
                    )));
                }
            }
        }
        Ok(())
    }

    fn protecting(&self, backup: Option<&super::observed::SafetyBackup>) -> Step {
        let Some(backup) = backup else {
            return Step::Act(Effect::SafetyBackup);
        };
        let mut run = backup.run.clone();
        match backup.phase.as_str() {
            "Completed" => {
                run.completed_at = Some(self.now);
                Step::Record(Fact::SafetyBackup(run))
            }
            "PartiallyFailed" | "Failed" | "FailedValidation" | "Deleting" => self.stick(
                StuckReason::SafetyBackupFailed,
                format!(
                    "The safety backup {} ended {}{}. Nothing was deleted.",
                    run.name,
                    backup.phase,
                    backup
                        .failure
                        .as_ref()
                        .map(|failure| format!(": {failure}"))
                        .unwrap_or_default()
                ),
            ),
            _ if self.is_late(run.created_at, self.policy.protect_within) => self.stick(
                StuckReason::SafetyBackupFailed,
                format!(
                    "The safety backup {} did not end in time; its phase is {}. Nothing was deleted.",
                    run.name,
                    if backup.phase.is_empty() { "New" } else { &backup.phase }
                ),
            ),
            _ if self.status().safety_backup.as_ref() != Some(&run) => {
                Step::Record(Fact::SafetyBackup(run))
            }
            _ => self.until_deadline(self.from(run.created_at), self.policy.protect_within, None),
        }
    }

    fn clearing(&self, view: &Clearing) -> Step {
        if view.restore_exists {
            // S11. The fact was lost, or somebody made it: the clearing is over either way.
            return self.stick(
                StuckReason::ClearingBlocked,
                "A Restore of this request exists although the clearing had not ended. Nothing \
                 more is deleted."
                    .to_owned(),
            );
        }
        match &self.status().clearing {
            None => self.begin_clearing(view),
            Some(fact) => self.go_on_clearing(view, fact),
        }
    }

    /// Everything is checked again just before the first delete (S2, S3, S4, S5, S7).
    fn begin_clearing(&self, view: &Clearing) -> Step {
        let status = self.status();
        let (Some(survey), Some(checked), Some(approved)) =
            (&view.survey, &status.checked, &status.approved)
        else {
            return self.look_again(None);
        };
        if !self
            .policy
            .people
            .by_name(&approved.by)
            .is_some_and(|entry| entry.reviewer)
        {
            return Step::Record(Fact::Voided(
                format!("{} may no longer approve.", approved.by),
                None,
            ));
        }
        let again = match preflight::check(self.subject.spec, survey, &self.terms(), self.now) {
            Ok(again) => again,
            Err(why) => {
                return Step::Record(Fact::Ended(
                    Outcome::Refused,
                    format!("A check that had passed fails now: {why} Nothing was deleted."),
                ));
            }
        };
        if again.backup.uid != checked.backup.uid && self.subject.spec.source.backup.is_some() {
            return Step::Record(Fact::Ended(
                Outcome::Refused,
                format!(
                    "The backup {} is not the one that was approved. Nothing was deleted.",
                    again.backup.name
                ),
            ));
        }
        if again.inventory.digest != checked.inventory.digest {
            let changed = changes(&checked.inventory, &again.inventory);
            let mut found = again;
            // The backup that was resolved stays: a newer one is no reason to ask again.
            found.backup = checked.backup.clone();
            return Step::Record(Fact::Voided(
                format!("What would be deleted has changed since it was approved: {changed}."),
                Some(Box::new(found)),
            ));
        }
        if let Some(gone) = self.approved_backup_is_gone(survey, checked) {
            return Step::Record(Fact::Ended(Outcome::Refused, gone));
        }
        if let Err(unquiet) = self.still_quiet(view) {
            tracing::info!(%unquiet, "no longer quiet before the clearing");
            return Step::Record(Fact::Unsettled);
        }
        Step::Record(Fact::ClearingBegan(again.inventory.total()))
    }

    /// The check above may have chosen a newer backup; the one that was approved
    /// must itself still be usable.
    fn approved_backup_is_gone(
        &self,
        survey: &preflight::Survey,
        checked: &super::resource::Checked,
    ) -> Option<String> {
        let mut spec = self.subject.spec.clone();
        spec.source = super::resource::Source {
            backup: Some(checked.backup.name.clone()),
            schedule: None,
            day: None,
        };
        match preflight::check(&spec, survey, &self.terms(), self.now) {
            Err(why) => Some(format!(
                "The approved backup can no longer be restored: {why} Nothing was deleted."
            )),
            Ok(again) if again.backup.uid != checked.backup.uid => Some(format!(
                "The backup {} was replaced by another of the same name. Nothing was deleted.",
                checked.backup.name
            )),
            Ok(_) => None,
        }
    }

    /// S4: looked at for every batch. Argo CD was seen to have looked when the
    /// Applications settled.
    fn still_quiet(&self, view: &Clearing) -> Result<(), String> {
        for application in view
            .applications
            .iter()
            .filter(|application| application.deploys)
        {
            if let Err(unquiet) = application.quiet(true) {
                return Err(format!(
                    "{} {}",
                    application.key(),
                    match unquiet {
                        Unquiet::NotLooked => "is being looked at by Argo CD",
                        Unquiet::SelfHeals => "has self-heal on again",
                        Unquiet::Operating => "is being synced",
                        Unquiet::NeverRecorded =>
                            "is at a new revision that Argo CD would sync at once",
                    }
                ));
            }
        }
        Ok(())
    }

    fn go_on_clearing(&self, view: &Clearing, fact: &super::resource::Clearing) -> Step {
        let Some(checked) = &self.status().checked else {
            return self.look_again(None);
        };
        let blocked = |why: String| {
            if self.is_late(fact.cutoff, self.policy.clear_within) {
                self.stick(
                    StuckReason::ClearingBlocked,
                    format!("The clearing does not come to an end: {why}."),
                )
            } else {
                self.look_again(why)
            }
        };
        if !view.undiscovered.is_empty() {
            return blocked(format!(
                "the API server does not say which kinds it has in {}",
                list(&view.undiscovered)
            ));
        }
        if let Err(unquiet) = self.still_quiet(view) {
            return blocked(unquiet);
        }
        let remaining =
            i64::try_from(inventory::doomed(&view.objects, &view.ownership)).unwrap_or(i64::MAX);
        match inventory::next_batch(
            &view.objects,
            &view.ownership,
            &checked.inventory,
            fact.cutoff,
            self.policy.batch,
        ) {
            Next::Empty => Step::Record(Fact::SeenEmpty),
            Next::Delete(batch) => Step::Act(Effect::Delete(batch)),
            Next::Terminating(names) => {
                let done = (fact.progress.total - remaining).max(0);
                if done != fact.progress.done {
                    return Step::Record(Fact::ClearingProgress(done));
                }
                blocked(format!("waiting until these are gone: {}", some(&names)))
            }
            Next::Foreign(names) => blocked(format!(
                "these appeared after the clearing began, or are of a kind that nobody approved, \
                 and are not deleted: {}",
                some(&names)
            )),
        }
    }

    fn restoring(&self, view: &Restoring) -> Step {
        let status = self.status();
        let Some(run) = &view.restore else {
            if let Some(known) = &status.restore {
                return self.stick(
                    StuckReason::RestoreVanished,
                    format!("The Restore {} was deleted by somebody.", known.name),
                );
            }
            if !view.undiscovered.is_empty() {
                return self.look_again(format!(
                    "the API server does not say which kinds it has in {}",
                    list(&view.undiscovered)
                ));
            }
            if !view.in_the_way.is_empty() {
                // S9. After a first Restore nothing is ever cleared again (S11).
                return if status.earlier_restores.is_empty() {
                    Step::Record(Fact::SeenNotEmpty)
                } else {
                    self.stick(
                        StuckReason::RestoreFailed,
                        format!(
                            "These were made by somebody else and would be in the way: {}.",
                            some(&view.in_the_way)
                        ),
                    )
                };
            }
            return Step::Act(Effect::Restore);
        };
        let mut run = run.clone();
        let known = status.restore.as_ref();
        run.progressed_at = known.and_then(|known| known.progressed_at);
        let ended = matches!(
            run.phase.as_str(),
            "Completed" | "PartiallyFailed" | "Failed" | "FailedValidation"
        );
        run.ended_at = ended.then(|| known.and_then(|known| known.ended_at).unwrap_or(self.now));
        if known != Some(&run) {
            return Step::Record(Fact::Restore(run));
        }
        if ended {
            let (reason, what) = if run.phase == "PartiallyFailed" {
                (
                    StuckReason::RestorePartiallyFailed,
                    format!(
                        "Velero restored a part: {}.",
                        preflight::count(run.errors, "error")
                    ),
                )
            } else {
                (
                    StuckReason::RestoreFailed,
                    format!("Velero's Restore ended {}.", run.phase),
                )
            };
            let reasons = if view.failures.is_empty() {
                "Velero gave no reason.".to_owned()
            } else {
                format!("It says: {}.", view.failures.join("; "))
            };
            return self.stick(reason, format!("{what} {reasons}"));
        }
        let since = run.progressed_at.unwrap_or(run.created_at);
        if self.is_late(since, self.policy.restore_stalls_after) {
            return self.stick(
                StuckReason::RestoreStalled,
                format!(
                    "The Restore {} is {} and nothing has moved for long.",
                    run.name,
                    if run.phase.is_empty() {
                        "New"
                    } else {
                        &run.phase
                    }
                ),
            );
        }
        let why = (run.started_at.is_none() && view.ahead > 0).then(|| {
            format!(
                "Velero restores one at a time, and {} before this one",
                if view.ahead == 1 {
                    "1 is".to_owned()
                } else {
                    format!("{} are", view.ahead)
                }
            )
        });
        self.until_deadline(self.from(since), self.policy.restore_stalls_after, why)
    }

    fn verifying(&self, view: &Verifying) -> Step {
        let mut broken = Vec::new();
        for volume in &view.volumes {
            let complete = volume.phase == "Completed" && volume.bytes.done >= volume.bytes.total;
            if !complete {
                broken.push(format!(
                    "volume {} is {} with {} of {} bytes{}",
                    volume.name,
                    if volume.phase.is_empty() {
                        "New"
                    } else {
                        &volume.phase
                    },
                    volume.bytes.done,
                    volume.bytes.total,
                    volume
                        .message
                        .as_ref()
                        .map(|message| format!(" ({message})"))
                        .unwrap_or_default()
                ));
            }
        }
        for (claim, phase) in &view.claims {
            if phase != "Bound" {
                broken.push(format!("claim {claim} is {phase}"));
            }
        }
        for pod in &view.pods {
            if !pod.ready && !pod.ended {
                broken.push(format!(
                    "pod {} is not ready{}",
                    pod.name,
                    pod.reason
                        .as_ref()
                        .map(|reason| format!(" ({reason})"))
                        .unwrap_or_default()
                ));
            }
        }
        broken.extend(view.unready.iter().cloned());
        if broken.is_empty() {
            let number = |length: usize| i64::try_from(length).unwrap_or(i64::MAX);
            return Step::Record(Fact::Verified(Verified {
                at: self.now,
                volumes: number(view.volumes.len()),
                claims: number(view.claims.len()),
                pods: number(view.pods.len()),
            }));
        }
        let since = self
            .status()
            .restore
            .as_ref()
            .and_then(|restore| restore.ended_at)
            .unwrap_or(self.now);
        if self.is_late(since, self.policy.verify_within) {
            return self.stick(
                StuckReason::VerificationFailed,
                format!("What was restored does not come up: {}.", some(&broken)),
            );
        }
        self.look_again(some(&broken))
    }

    fn resuming(&self, view: &Resuming) -> Step {
        let status = self.status();
        if let Some(pause) = &status.pause
            && pause.is_open()
        {
            return self.close_pause(view.pause.as_ref());
        }
        let Some(pause) = status.pause.as_ref().filter(|pause| pause.merged.is_some()) else {
            // Self-heal was off before, and stays as it was.
            return Step::Record(Fact::Resumed);
        };
        let fact = match &status.resume {
            Some(fact) => fact,
            None => {
                return self
                    .would_prune(view)
                    .unwrap_or(Step::Act(Effect::OpenPull(Which::Resume)));
            }
        };
        if fact.opened.is_some() && fact.merged.is_none() {
            return self.merge_resume(fact, view.resume.as_ref());
        }
        self.await_self_heal(pause, fact, view)
    }

    fn close_pause(&self, live: Option<&Pull>) -> Step {
        match live.map(|pull| &pull.state) {
            None | Some(PullState::Closed) => Step::Record(Fact::PullClosed(Which::Pause)),
            Some(PullState::Merged { sha }) => {
                Step::Record(Fact::PullMerged(Which::Pause, sha.clone()))
            }
            Some(PullState::Open) => {
                let why = self
                    .status()
                    .ending
                    .as_ref()
                    .map_or("", |ending| ending.message.as_str());
                Step::Act(Effect::ClosePull(Which::Pause, why.to_owned()))
            }
        }
    }

    /// Turning self-heal on deletes tracked objects that Git lacks: if there are
    /// any, a person has to agree first.
    fn would_prune(&self, view: &Resuming) -> Option<Step> {
        let status = self.status();
        // Where nothing was restored, nothing came back that Git might lack.
        let ended = status.restore.as_ref()?.created_at;
        for application in view
            .applications
            .iter()
            .filter(|application| application.deploys)
        {
            let key = application.key();
            if application.refreshing {
                return Some(self.until_deadline(
                    self.now,
                    self.policy.look_again,
                    Some(format!("Argo CD is looking at {key}")),
                ));
            }
            if !status.refreshed_before_resume.contains(&key) && !application.looked_since(ended) {
                return Some(Step::Act(Effect::Look(
                    LookFor::BeforeResume,
                    application.namespace.clone(),
                    application.name.clone(),
                )));
            }
        }
        let consented = status
            .prune_consent
            .as_ref()
            .map(|consent| consent.objects.as_slice())
            .unwrap_or_default();
        let doomed: Vec<String> = view
            .applications
            .iter()
            .filter(|application| application.deploys)
            .flat_map(|application| application.would_prune.iter())
            .filter(|object| !consented.contains(object))
            .cloned()
            .collect();
        (!doomed.is_empty()).then(|| {
            self.stick_over(
                StuckReason::WouldPrune,
                format!(
                    "Turning self-heal on would make Argo CD delete what was restored and is not \
                     in Git any more: {}.",
                    some(&doomed)
                ),
                doomed,
            )
        })
    }

    fn merge_resume(&self, fact: &PullRequest, live: Option<&Pull>) -> Step {
        let Some(opened) = &fact.opened else {
            return self.look_again(None);
        };
        let Some(pull) = live else {
            return Step::Act(Effect::OpenPull(Which::Resume));
        };
        match &pull.state {
            PullState::Merged { sha } => Step::Record(Fact::PullMerged(Which::Resume, sha.clone())),
            PullState::Closed => {
                let why = format!(
                    "The resume pull request #{} was closed without being merged, and self-heal \
                     is still off. Reopen and merge it, then say `restore retry`.",
                    opened.number
                );
                if self.is_late(fact.at, self.policy.resume_within) {
                    self.stick(StuckReason::ResumeBlocked, why)
                } else {
                    Step::Wait {
                        until: self.after(self.policy.poll),
                        why: Some(why),
                    }
                }
            }
            PullState::Open
                if pull.head_sha != opened.head_sha || pull.mergeable == Some(false) =>
            {
                Step::Act(Effect::RebuildPull(Which::Resume))
            }
            PullState::Open => {
                if fact.approved.is_none()
                    && let Some(step) = self.approve_resume(fact, pull)
                {
                    return step;
                }
                if self.is_late(fact.at, self.policy.resume_within) {
                    return self.stick(
                        StuckReason::ResumeBlocked,
                        format!(
                            "The resume pull request #{} cannot be merged, and self-heal is still \
                             off{}.",
                            opened.number,
                            self.status()
                                .waiting
                                .as_ref()
                                .map(|note| format!(": {}", note.message))
                                .unwrap_or_default()
                        ),
                    );
                }
                self.merge_or_wait(pull).unwrap_or_else(|| {
                    Step::Act(Effect::MergePull(Which::Resume, opened.head_sha.clone()))
                })
            }
        }
    }

    fn approve_resume(&self, fact: &PullRequest, pull: &Pull) -> Option<Step> {
        let status = self.status();
        let head = fact.opened.as_ref()?.head_sha.as_str();
        if let (true, Some(first)) = (self.policy.covers_resume, &status.approved) {
            let mut approved = first.clone();
            approved.via = super::resource::Via::Pause;
            approved.at = self.now;
            return Some(Step::Record(Fact::ResumeApproved(approved)));
        }
        // A restore that ends before anybody approved touched nothing but
        // self-heal; bringing it back is an undo and needs nobody's leave
        // where the first approval would have covered it.
        if self.policy.covers_resume {
            return None;
        }
        match approval::standing(
            self.subject.spec,
            &self.policy.people,
            &self.digest(),
            &pull.reviews,
            head,
            self.now,
        ) {
            Standing::Approved(approved) => Some(Step::Record(Fact::ResumeApproved(approved))),
            Standing::Denied(_) | Standing::Open(_) => Some(Step::Wait {
                until: self.after(self.policy.poll),
                why: Some(
                    "the resume pull request waits for a reviewer's approval; self-heal is off \
                     until then"
                        .to_owned(),
                ),
            }),
        }
    }

    fn await_self_heal(&self, pause: &PullRequest, fact: &PullRequest, view: &Resuming) -> Step {
        let status = self.status();
        let since = fact.merged.as_ref().map_or(fact.at, |merged| merged.at);
        let looked = |application: &Application| {
            status.refreshed_for_resume.contains(&application.key())
                || application.looked_since(since)
        };
        let parents_first = view
            .applications
            .iter()
            .filter(|application| !application.deploys)
            .chain(
                view.applications
                    .iter()
                    .filter(|application| application.deploys),
            );
        let mut why = None;
        for application in parents_first {
            let key = application.key();
            if application.refreshing {
                why = Some(format!("Argo CD is looking at {key}"));
                break;
            }
            if !looked(application) {
                return Step::Act(Effect::Look(
                    LookFor::Resume,
                    application.namespace.clone(),
                    application.name.clone(),
                ));
            }
        }
        let as_is = status
            .ending
            .as_ref()
            .is_some_and(|ending| ending.outcome == Outcome::ResumedAsIs);
        let why = why.or_else(|| {
            view.applications
                .iter()
                .filter(|application| application.deploys)
                .find_map(|application| {
                    let well = if as_is {
                        application.heals_as(self_heal_before(pause))
                    } else {
                        application.is_well(self_heal_before(pause))
                    };
                    well.err()
                        .map(|why| format!("{}: {why}", application.key()))
                })
        });
        let Some(why) = why else {
            return Step::Record(Fact::Resumed);
        };
        if self.is_late(since, self.policy.resume_within) {
            return self.stick(
                StuckReason::ResumeBlocked,
                format!("Self-heal is on again in the order, but not all is well: {why}."),
            );
        }
        self.until_deadline(self.from(since), self.policy.resume_within, Some(why))
    }

    fn stuck(&self) -> Step {
        let status = self.status();
        let (Some(stuck), choice) = (&status.stuck, &self.subject.spec.choice) else {
            return self.look_again(None);
        };
        if let Some(choice) = choice
            && choice.answers == stuck.at
        {
            return Step::Record(Fact::Chosen(choice.clone()));
        }
        // A person is waited for; while self-heal is off, they are reminded.
        let until = status
            .pause
            .as_ref()
            .and_then(|pause| pause.merged.as_ref())
            .filter(|_| status.self_heal_is_off())
            .map_or(self.after(self.policy.self_heal_reminder), |merged| {
                self.next_self_heal_reminder(merged.at)
            });
        Step::Wait { until, why: None }
    }
}

/// How a note begins that says why GitHub would not merge.
pub const MERGE_BLOCKED: &str = "GitHub does not let it be merged yet";

impl Step {
    fn unless(self, condition: bool) -> Option<Self> {
        (!condition).then_some(self)
    }
}

/// What `selfHeal` amounted to before the pause; absent means true.
fn self_heal_before(pause: &PullRequest) -> bool {
    pause.record.value.unwrap_or(true)
}

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

/// What differs between two inventories, in words.
fn changes(before: &InventorySummary, after: &InventorySummary) -> String {
    let mut words = Vec::new();
    for (kind, &now) in &after.delete {
        let then = before.delete.get(kind).copied().unwrap_or(0);
        if now != then {
            words.push(format!("{kind} {then} before, {now} now"));
        }
    }
    for (kind, then) in &before.delete {
        if !after.delete.contains_key(kind) {
            words.push(format!("{kind} {then} before, none now"));
        }
    }
    if words.is_empty() {
        "objects were replaced by others of the same kind".to_owned()
    } else {
        some(&words)
    }
}
