//! Facts: the only door to the status.

use jiff::{SignedDuration, Timestamp};

use super::resource::{
    Applied, Checked, Confirmed, Ending, Outcome, PullRequest, Remaining, ScheduleStatus, Stuck,
};
use crate::request::resource::{
    self as request, Approved, Choice, LastError, Merged, Note, Opened, Reminder, ReminderOf,
};

/// Something that was seen or done.
#[derive(Clone, Debug, PartialEq)]
pub enum Fact {
    Checked(Box<Checked>),
    Ended(Outcome, String),
    /// The order reads as asked, and nobody had to ask for it.
    PullNotNeeded,
    /// Opened, found again, or built anew.
    PullOpened(Opened),
    /// Somebody else moved the head there.
    PullHead(String),
    PullMerged(Option<String>),
    PullClosed,
    /// What was said in chat is written into the pull request.
    Mirrored,
    Approved(Approved),
    /// The approval no longer holds, and why.
    Voided(String),
    /// Argo CD was asked to look at this Application.
    Looked(String),
    Applied(Applied, Option<Remaining>),
    /// A run since then ended badly.
    BadRun(String),
    Confirmed(Confirmed),
    /// Nothing is left open.
    Tidied,
    Stuck(Box<Stuck>),
    Chosen(Choice),
    Waiting(Option<String>),
    Reminded,
    Failed {
        effect: String,
        message: String,
    },
}

/// Puts a fact that became known at `now` into the status.
pub fn apply(status: &mut ScheduleStatus, fact: Fact, now: Timestamp) {
    // A failure is over when something succeeds; to wait or to remind is no success.
    if !matches!(
        fact,
        Fact::Failed { .. } | Fact::Waiting(_) | Fact::Reminded
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
            status.stuck = None;
        }
        Fact::PullNotNeeded => {
            status.pull = Some(PullRequest {
                at: now,
                opened: None,
                merged: None,
                closed_at: None,
            });
        }
        Fact::PullOpened(opened) => {
            if let Some(pull) = &status.pull
                && let Some(before) = &pull.opened
                && before.head_sha != opened.head_sha
            {
                status.approved = None;
                // Whoever approved before that was counted has to know why it is none.
                let told = status
                    .voided
                    .as_ref()
                    .is_some_and(|note| note.at >= pull.at);
                if !told {
                    status.voided = Some(Note {
                        at: now,
                        message: "The order was changed meanwhile, and the edit was made anew on \
                                  what it reads now."
                            .to_owned(),
                    });
                }
            }
            status.pull = Some(PullRequest {
                at: now,
                opened: Some(opened),
                merged: None,
                closed_at: None,
            });
        }
        Fact::PullHead(sha) => {
            status.approved = None;
            if let Some(opened) = status.pull.as_mut().and_then(|pull| pull.opened.as_mut()) {
                opened.head_sha = sha;
            }
            status.voided = Some(Note {
                at: now,
                message: "The pull request was changed by somebody else.".to_owned(),
            });
        }
        Fact::PullMerged(sha) => {
            if let Some(pull) = &mut status.pull {
                pull.merged.get_or_insert(Merged { at: now, sha });
            }
        }
        Fact::PullClosed => {
            if let Some(pull) = &mut status.pull {
                pull.closed_at.get_or_insert(now);
            }
        }
        Fact::Approved(approved) => status.approved = Some(approved),
        Fact::Mirrored => {
            if let Some(approved) = &mut status.approved {
                approved.mirrored_at.get_or_insert(now);
            }
        }
        Fact::Voided(message) => {
            status.approved = None;
            status.voided = Some(Note { at: now, message });
        }
        Fact::Looked(key) => {
            if !status.refreshed.contains(&key) {
                status.refreshed.push(key);
            }
        }
        Fact::Applied(mut applied, remaining) => {
            applied.at = now;
            status.applied = Some(applied);
            status.remaining = remaining;
        }
        Fact::BadRun(message) => status.bad_run = Some(Note { at: now, message }),
        Fact::Confirmed(mut confirmed) => {
            confirmed.at = now;
            status.confirmed.get_or_insert(confirmed);
        }
        Fact::Tidied => {
            status.tidied_at.get_or_insert(now);
        }
        Fact::Stuck(mut stuck) => {
            // An answer names the moment of its question: no two questions have the same.
            while status.choices.iter().any(|old| old.answers == stuck.at) {
                let Ok(later) = stuck.at.checked_add(SignedDuration::from_nanos(1)) else {
                    break;
                };
                stuck.at = later;
            }
            status.stuck = Some(*stuck);
        }
        Fact::Chosen(choice) => chosen(status, choice, now),
        Fact::Waiting(message) => {
            status.waiting = message.map(|message| Note { at: now, message });
        }
        Fact::Reminded => status.reminders.push(Reminder {
            at: now,
            about: ReminderOf::Approval,
        }),
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

/// A person's answer to `Stuck` takes it away and opens the way they chose.
fn chosen(status: &mut ScheduleStatus, mut choice: Choice, now: Timestamp) {
    if status.stuck.take().is_none() {
        return;
    }
    match choice.action {
        // Argo CD looks again, and every deadline begins anew.
        request::Action::Retry => status.refreshed.clear(),
        // Nobody can say the latter of a schedule: it has no safety backup.
        request::Action::ResumeAsIs | request::Action::Waive => {
            status.ending.get_or_insert(Ending {
                at: now,
                outcome: Outcome::Failed,
                message: format!("{} chose to leave it as it is.", choice.by.name),
            });
        }
    }
    choice.at = now;
    status.choices.push(choice);
}
