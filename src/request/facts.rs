//! Facts: the only door to the status.
//!
//! An effect answers with a fact, and a decision may be one; [`apply`] puts it
//! into the status. Nothing else writes there.

use jiff::Timestamp;

use super::resource::{
    Action, Approved, BackupRun, Checked, Choice, Clearing, Consent, Ending, LastError, Merged,
    Note, Opened, Outcome, Progress, PullRequest, Reminder, ReminderOf, RestoreRun, RestoreStatus,
    Settled, Stuck, Verified,
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
    /// The head moved by Refloat's own hand, or was seen elsewhere.
    PullHead(Which, String),
    PullMerged(Which, Option<String>),
    PullClosed(Which),
    Approved(Approved),
    ResumeApproved(Approved),
    /// The approval no longer holds, and why. With what was found instead.
    Voided(String, Option<Box<Checked>>),
    Looked(LookFor, String),
    Settled(Vec<String>),
    /// An Application was quiet and no longer is; nothing is deleted yet.
    Unsettled,
    SafetyBackup(BackupRun),
    ClearingBegan(i64),
    ClearingProgress(i64),
    SeenEmpty,
    /// Something is there again; the Restore does not exist yet.
    SeenNotEmpty,
    Restore(RestoreRun),
    Verified(Verified),
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
    let failed = matches!(fact, Fact::Failed { .. });
    if !failed && !matches!(fact, Fact::Waiting(_)) {
        status.last_error = None;
    }
    match fact {
        Fact::Checked(checked) => status.checked = Some(*checked),
        Fact::Ended(outcome, message) => {
            status.ending = Some(Ending {
                at: now,
                outcome,
                message,
            });
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
        Fact::PullHead(which, sha) => {
            if let Some(pull) = pull(status, which) {
                pull.approved = None;
                if let Some(opened) = &mut pull.opened {
                    opened.head_sha = sha;
                }
            }
            if which == Which::Pause {
                status.approved = None;
            }
        }
        Fact::PullMerged(which, sha) => {
            if let Some(pull) = pull(status, which) {
                pull.merged.get_or_insert(Merged { at: now, sha });
            }
        }
        Fact::PullClosed(which) => {
            if let Some(pull) = pull(status, which) {
                pull.closed_at.get_or_insert(now);
            }
        }
        Fact::Approved(approved) => status.approved = Some(approved),
        Fact::ResumeApproved(approved) => {
            if let Some(pull) = &mut status.resume {
                pull.approved = Some(approved);
            }
        }
        Fact::Voided(message, found) => {
            status.approved = None;
            status.voided = Some(Note { at: now, message });
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
            status.settled = None;
            status.refreshed_for_pause.clear();
        }
        Fact::SafetyBackup(run) => status.safety_backup = Some(run),
        Fact::ClearingBegan(total) => {
            status.clearing = Some(Clearing {
                cutoff: now,
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
        Fact::Verified(verified) => status.verified = Some(verified),
        Fact::Resumed => {
            status.resumed_at.get_or_insert(now);
        }
        Fact::Stuck(stuck) => status.stuck = Some(*stuck),
        Fact::Chosen(choice) => chosen(status, choice, now),
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

fn pull(status: &mut RestoreStatus, which: Which) -> &mut Option<PullRequest> {
    match which {
        Which::Pause => &mut status.pause,
        Which::Resume => &mut status.resume,
    }
}

/// A person's answer to `Stuck` takes it away and opens the way they chose.
fn chosen(status: &mut RestoreStatus, choice: Choice, now: Timestamp) {
    use super::resource::StuckReason as Reason;
    let Some(stuck) = status.stuck.take() else {
        return;
    };
    let by = choice.by.name.clone();
    match (choice.action, stuck.reason) {
        (_, Reason::WouldPrune) => {
            status.prune_consent = Some(Consent {
                at: now,
                by,
                objects: stuck.objects,
            });
        }
        (Action::Retry, Reason::SafetyBackupFailed) => status.safety_backup = None,
        (
            Action::Retry,
            Reason::RestoreFailed | Reason::RestorePartiallyFailed | Reason::RestoreVanished,
        ) => status.earlier_restores.extend(status.restore.take()),
        (
            Action::Retry,
            Reason::ClearingBlocked
            | Reason::RestoreStalled
            | Reason::VerificationFailed
            | Reason::ResumeBlocked,
        ) => {}
        (Action::ResumeAsIs, _) => {
            status.ending.get_or_insert(Ending {
                at: now,
                outcome: Outcome::ResumedAsIs,
                message: format!("{by} chose to turn self-heal on again with things as they are."),
            });
        }
    }
    status.choices.push(choice);
}
