//! Facts: the only door to the status.
//!
//! An effect answers with a fact, and a decision may be one; [`apply`] puts it
//! into the status. Nothing else writes there.

use jiff::{SignedDuration, Timestamp};

use super::resource::{
    Action, Approved, BackupRun, Checked, Choice, Clearing, Consent, Ending, LastError, Merged,
    Note, Opened, Outcome, Progress, PullRequest, Reminder, ReminderOf, RestoreRun, RestoreStatus,
    Settled, Stuck, StuckReason, Verified, Waiver,
};
use crate::order::SelfHealRecord;

/// Which of the two pull requests of a restore.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Which {
    /// Turns self-heal off.
    Pause,
    /// Brings back what stood there before.
    Resume,
}

impl Which {
    /// The word in branch names and messages.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Resume => "resume",
        }
    }
}

/// For which part of the way Argo CD was asked to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LookFor {
    Pause,
    BeforeResume,
    Resume,
}

/// Something that was seen or done.
#[derive(Clone, Debug, PartialEq)]
pub enum Fact {
    Checked(Box<Checked>),
    Ended(Outcome, String),
    PullNotNeeded(Which, SelfHealRecord),
    PullOpened(Which, Opened, SelfHealRecord),
    PullMerged(Which, Option<String>),
    /// Somebody merged the pause, but not as it was to be: what came into the base
    /// differs so.
    PullMergedOtherwise(Option<String>, String),
    PullClosed(Which),
    /// What was said in chat is written into the pull request.
    Mirrored(Which),
    Approved(Approved),
    ResumeApproved(Approved),
    /// The approval no longer holds, and why. With what was found instead.
    Voided(String, Option<Box<Checked>>),
    Looked(LookFor, String),
    Settled(Vec<String>),
    /// An Application was quiet and no longer is; nothing is deleted yet.
    Unsettled,
    SafetyBackup(BackupRun),
    /// A reviewer, by their name in the configuration, answered `Stuck` so.
    Waived(Choice, String),
    /// What was approved is what is there: `total` objects, the youngest of
    /// them of `cutoff` by the API server's clock.
    ClearingBegan {
        total: i64,
        cutoff: Timestamp,
    },
    ClearingProgress(i64),
    SeenEmpty,
    /// Something is there again; the Restore does not exist yet.
    SeenNotEmpty,
    Restore(RestoreRun),
    /// The Restore waits for others' to end.
    Queued,
    /// Somebody else was at work while Velero was restoring, and who.
    Disturbed(String),
    Verified(Verified),
    /// All is well with self-heal on again, or no longer is.
    Well(bool),
    Summarized,
    /// The reviewers of the resume were told that self-heal is off until it is merged.
    ReviewersReminded,
    Resumed,
    Stuck(Box<Stuck>),
    Chosen(Choice),
    Waiting(Option<String>),
    Reminded(ReminderOf),
    Failed {
        effect: String,
        message: String,
    },
}

/// Puts a fact that became known at `now` into the status.
pub fn apply(status: &mut RestoreStatus, fact: Fact, now: Timestamp) {
    // A failure is over when something succeeds; to wait or to remind is no success.
    if !matches!(
        fact,
        Fact::Failed { .. } | Fact::Waiting(_) | Fact::Reminded(_)
    ) {
        status.last_error = None;
    }
    match fact {
        Fact::Checked(checked) => status.checked = Some(*checked),
        Fact::Ended(outcome, message) => {
            status.ending.get_or_insert(Ending {
                at: now,
                outcome,
                message,
            });
            // There is nothing to choose any more; what was touched is undone.
            status.stuck = None;
        }
        Fact::PullNotNeeded(which, record) => {
            *pull(status, which) = Some(PullRequest {
                at: now,
                opened: None,
                record,
                merged: None,
                closed_at: None,
                approved: None,
            });
        }
        Fact::PullOpened(which, opened, record) => {
            *pull(status, which) = Some(PullRequest {
                at: now,
                opened: Some(opened),
                record,
                merged: None,
                closed_at: None,
                approved: None,
            });
        }
        Fact::PullMerged(which, sha) => {
            if let Some(pull) = pull(status, which) {
                pull.merged.get_or_insert(Merged { at: now, sha });
            }
        }
        Fact::PullMergedOtherwise(sha, difference) => {
            if let Some(pause) = &mut status.pause {
                pause.merged.get_or_insert(Merged { at: now, sha });
            }
            let number = status
                .pause
                .as_ref()
                .and_then(|pause| pause.opened.as_ref())
                .map_or(0, |opened| opened.number);
            // What was approved is not what was merged (S2).
            status.approved = None;
            let message = format!(
                "The pull request #{number} was merged by somebody, and not as it was to be \
                 approved: {difference}."
            );
            status.voided = Some(Note {
                at: now,
                message: message.clone(),
            });
            ask(
                status,
                Stuck {
                    at: now,
                    reason: StuckReason::MergedOtherwise,
                    message,
                    objects: Vec::new(),
                },
            );
        }
        Fact::Mirrored(which) => {
            let approved = match which {
                Which::Pause => status.approved.as_mut(),
                Which::Resume => status
                    .resume
                    .as_mut()
                    .and_then(|pull| pull.approved.as_mut()),
            };
            if let Some(approved) = approved {
                approved.mirrored_at.get_or_insert(now);
            }
        }
        Fact::PullClosed(which) => {
            if let Some(pull) = pull(status, which) {
                pull.closed_at.get_or_insert(now);
            }
        }
        Fact::Approved(approved) => {
            status.approved = Some(approved);
            status.unsettled_at = None;
        }
        Fact::ResumeApproved(approved) => {
            if let Some(pull) = &mut status.resume {
                pull.approved = Some(approved);
            }
        }
        Fact::Voided(message, found) => {
            status.approved = None;
            status.voided = Some(Note { at: now, message });
            // The tenant goes on working until the next approval: what was quiet and
            // what was saved are seen to again.
            unsettle(status);
            status
                .earlier_safety_backups
                .extend(status.safety_backup.take());
            status.waiver = None;
            if let Some(found) = found {
                status.checked = Some(*found);
            }
        }
        Fact::Looked(what, key) => {
            let keys = match what {
                LookFor::Pause => &mut status.refreshed_for_pause,
                LookFor::BeforeResume => &mut status.refreshed_before_resume,
                LookFor::Resume => &mut status.refreshed_for_resume,
            };
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        Fact::Settled(applications) => {
            status.settled = Some(Settled {
                at: now,
                applications,
            });
        }
        Fact::Unsettled => {
            unsettle(status);
            // The first time since the approval counts, so that what is quiet by
            // turns does not go on for ever.
            status.unsettled_at.get_or_insert(now);
        }
        Fact::SafetyBackup(run) => status.safety_backup = Some(run),
        Fact::ClearingBegan { total, cutoff } => {
            status.clearing = Some(Clearing {
                began_at: now,
                cutoff,
                progress: Progress { done: 0, total },
                empty_looks: 0,
                emptied_at: None,
            });
        }
        Fact::ClearingProgress(done) => {
            if let Some(clearing) = &mut status.clearing {
                clearing.empty_looks = 0;
                clearing.progress.done = done;
                clearing.progress.total = clearing.progress.total.max(done);
            }
        }
        Fact::SeenEmpty => {
            if let Some(clearing) = &mut status.clearing {
                clearing.progress.done = clearing.progress.total;
                clearing.empty_looks = clearing.empty_looks.saturating_add(1);
                if clearing.empty_looks >= 2 {
                    clearing.emptied_at.get_or_insert(now);
                }
            }
        }
        Fact::SeenNotEmpty => {
            if let Some(clearing) = &mut status.clearing {
                clearing.empty_looks = 0;
                clearing.emptied_at = None;
            }
        }
        Fact::Restore(mut run) => {
            let before = status.restore.as_ref();
            let moved = before.is_none_or(|before| {
                (before.items, before.bytes, &before.phase) != (run.items, run.bytes, &run.phase)
            });
            run.progressed_at = if moved {
                Some(now)
            } else {
                before.and_then(|before| before.progressed_at)
            };
            status.restore = Some(run);
        }
        Fact::Queued => status.queued_at = Some(now),
        Fact::Disturbed(message) => {
            status.disturbed.get_or_insert(Note { at: now, message });
        }
        Fact::Verified(verified) => status.verified = Some(verified),
        Fact::Well(well) => status.well_since = well.then_some(now),
        Fact::Summarized => {
            status.summarized_at.get_or_insert(now);
        }
        Fact::ReviewersReminded => status.resume_reminded_at = Some(now),
        Fact::Resumed => {
            status.resumed_at.get_or_insert(now);
        }
        Fact::Stuck(stuck) => ask(status, *stuck),
        Fact::Chosen(choice) => chosen(status, choice, now),
        Fact::Waived(choice, by) => {
            chosen(status, choice, now);
            status.waiver = Some(Waiver { at: now, by });
        }
        Fact::Waiting(message) => {
            status.waiting = message.map(|message| Note { at: now, message });
        }
        Fact::Reminded(about) => status.reminders.push(Reminder { at: now, about }),
        Fact::Failed { effect, message } => {
            let attempts = status
                .last_error
                .as_ref()
                .filter(|last| last.effect == effect)
                .map_or(0, |last| last.attempts);
            status.last_error = Some(LastError {
                at: now,
                effect,
                message,
                attempts: attempts.saturating_add(1),
            });
        }
    }
}

fn ask(status: &mut RestoreStatus, mut stuck: Stuck) {
    // An answer names the moment of its question: no two questions have the same.
    while status.choices.iter().any(|old| old.answers == stuck.at) {
        let Ok(later) = stuck.at.checked_add(SignedDuration::from_nanos(1)) else {
            break;
        };
        stuck.at = later;
    }
    status.stuck = Some(stuck);
}

fn unsettle(status: &mut RestoreStatus) {
    status.settled = None;
    status.refreshed_for_pause.clear();
}

fn pull(status: &mut RestoreStatus, which: Which) -> &mut Option<PullRequest> {
    match which {
        Which::Pause => &mut status.pause,
        Which::Resume => &mut status.resume,
    }
}

/// A person's answer to `Stuck` takes it away and opens the way they chose.
fn chosen(status: &mut RestoreStatus, mut choice: Choice, now: Timestamp) {
    use super::resource::StuckReason as Reason;
    let Some(stuck) = status.stuck.take() else {
        return;
    };
    let by = choice.by.name.clone();
    match (choice.action, stuck.reason) {
        // Things as they are, deletions included: that is what the message said.
        (Action::ResumeAsIs, Reason::WouldPrune) => {
            let mut objects = stuck.objects;
            if let Some(before) = status.prune_consent.take() {
                objects.extend(before.objects);
            }
            status.prune_consent = Some(Consent {
                at: now,
                by,
                objects,
            });
        }
        // Argo CD looks again at what was put into Git meanwhile.
        (Action::Retry, Reason::WouldPrune) => status.refreshed_before_resume.clear(),
        // Known, and taken as it is: what came back is looked at now.
        (Action::Retry, Reason::Disturbed) => status.disturbed = None,
        (Action::Retry, Reason::SafetyBackupFailed) => {
            status
                .earlier_safety_backups
                .extend(status.safety_backup.take());
        }
        // S11: there is a Restore already, and so the clearing is over.
        (Action::Retry, Reason::ClearingBlocked) if status.restore.is_some() => {
            let clearing = status.clearing.get_or_insert(Clearing {
                began_at: now,
                cutoff: Timestamp::UNIX_EPOCH,
                progress: Progress::default(),
                empty_looks: 0,
                emptied_at: None,
            });
            clearing.emptied_at.get_or_insert(now);
        }
        (
            Action::Retry,
            Reason::RestoreFailed | Reason::RestorePartiallyFailed | Reason::RestoreVanished,
        ) => status.earlier_restores.extend(status.restore.take()),
        // What a waiver allows is recorded by its fact; see [`Fact::Waived`].
        (Action::Waive, _)
        | (
            Action::Retry,
            Reason::ClearingBlocked
            | Reason::RestoreStalled
            | Reason::VerificationFailed
            | Reason::ResumeBlocked
            // The approval is void: what is there now is asked for anew.
            | Reason::MergedOtherwise,
        ) => {}
        (Action::ResumeAsIs, _) => {
            status.ending.get_or_insert(Ending {
                at: now,
                outcome: Outcome::ResumedAsIs,
                message: format!("{by} chose to turn self-heal on again with things as they are."),
            });
        }
    }
    // Deadlines count from when the answer was taken up, which may be long after
    // it was given, and by a clock that is not the chat's.
    choice.at = now;
    status.choices.push(choice);
}
