//! The only door to the status: what became known, and what it changes.

use jiff::{SignedDuration, Timestamp};

use super::resource::{Checked, CopyStatus, Ending, Made, Outcome, Shown};
use crate::request::resource::{LastError, Note, RestoreRun};

/// Something that was seen or done.
#[derive(Clone, Debug, PartialEq)]
pub enum Fact {
    Checked(Box<Checked>),
    /// The new namespace is there, has this uid, and is kept this long.
    Made(String, SignedDuration),
    Restore(RestoreRun),
    /// The Restore waits for others' to end.
    Queued,
    Shown(Shown),
    Ended(Outcome, String),
    /// The new namespace is not there.
    Removed,
    Waiting(Option<String>),
    Failed {
        effect: String,
        message: String,
    },
}

/// Puts a fact that became known at `now` into the status.
pub fn apply(status: &mut CopyStatus, fact: Fact, now: Timestamp) {
    // A failure is over when something succeeds; to wait is no success.
    if !matches!(fact, Fact::Failed { .. } | Fact::Waiting(_)) {
        status.last_error = None;
    }
    match fact {
        Fact::Checked(checked) => status.checked = Some(*checked),
        Fact::Made(uid, kept) => {
            status.made.get_or_insert(Made {
                at: now,
                uid,
                remove_at: now.saturating_add(kept).unwrap_or(Timestamp::MAX),
            });
        }
        Fact::Restore(mut run) => {
            let moved = status
                .restore
                .as_ref()
                .is_none_or(|known| (known.items, known.bytes) != (run.items, run.bytes));
            if moved {
                run.progressed_at = Some(now);
            }
            status.restore = Some(run);
        }
        Fact::Queued => status.queued_at = Some(now),
        Fact::Shown(mut shown) => {
            shown.at = now;
            status.shown.get_or_insert(shown);
        }
        Fact::Ended(outcome, message) => {
            status.ending.get_or_insert(Ending {
                at: now,
                outcome,
                message,
            });
        }
        Fact::Removed => {
            status.removed_at.get_or_insert(now);
        }
        Fact::Waiting(message) => {
            status.waiting = message.map(|message| Note { at: now, message });
        }
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
