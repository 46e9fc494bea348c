//! Until the order reads as asked: approval, merge, and closing what is given up.

use jiff::Timestamp;

use super::{Effect, Pass, Step, ballot, end, later};
use crate::request::approval::{OnGithub, Standing, standing};
use crate::request::decide::MERGE_BLOCKED;
use crate::request::observed::{Pull, PullState};
use crate::request::resource::{Approved, Opened, Via};
use crate::schedule::facts::Fact;
use crate::schedule::resource::Outcome;

/// Whether somebody approved in chat, and the pull request does not say so yet.
fn in_chat_only(approved: Option<&Approved>) -> bool {
    approved.is_some_and(|approved| {
        approved.mirrored_at.is_none()
            && approved
                .approvers
                .iter()
                .any(|approver| approver.via == Via::Chat)
    })
}

impl Pass<'_> {
    /// A merge is the repository's own yes, whoever made it: nothing is deleted by
    /// it, and what the order then reads is looked at.
    pub(super) fn awaiting_approval(&self, pull: Option<&Pull>) -> Step {
        let status = self.status();
        let Some(checked) = &status.checked else {
            return self.look_again(None);
        };
        let since = status.voided.as_ref().map_or(checked.at, |note| note.at);
        let deadline = later(since, self.common.approval_expires);
        let too_late = self.now >= deadline;
        let Some(opened) = status.pull.as_ref().and_then(|pull| pull.opened.as_ref()) else {
            if !too_late {
                return Step::Act(Effect::OpenPull);
            }
            let why = status.last_error.as_ref().map_or_else(String::new, |last| {
                format!(" The last try failed: {}.", last.message)
            });
            return end(
                Outcome::Expired,
                format!("The pull request could not be opened in time.{why}"),
            );
        };
        let live = match Self::open(opened, pull) {
            Ok(live) => live,
            Err(step) => return *step,
        };
        if live.head_sha != opened.head_sha {
            return Step::Record(Fact::PullHead(live.head_sha.clone()));
        }
        if live.mergeable == Some(false) && !too_late {
            return self.rebuild();
        }
        let hold = match standing(
            &ballot(self.subject.spec),
            &self.common.people,
            &self.common.approval,
            &self.digest(),
            OnGithub {
                reviews: &live.reviews,
                head: &opened.head_sha,
                team: live.team.as_ref(),
                is_open: true,
            },
            self.now,
        ) {
            Standing::Approved(approved) => return Step::Record(Fact::Approved(approved)),
            Standing::Denied(message) => return end(Outcome::Denied, message),
            Standing::Open(hold) => hold,
        };
        if too_late {
            return end(Outcome::Expired, "Nobody approved it in time.".to_owned());
        }
        let sent = status
            .reminders
            .iter()
            .filter(|reminder| reminder.at >= since)
            .count();
        let next = self
            .common
            .approval_reminders
            .get(sent)
            .map(|after| later(since, *after));
        if next.is_some_and(|next| self.now >= next) {
            return Step::Record(Fact::Reminded);
        }
        let until = next.map_or(deadline, |next| next.min(deadline));
        Step::Wait {
            until: until.min(self.after(self.common.poll)),
            why: hold,
        }
    }

    pub(super) fn merging(&self, pull: Option<&Pull>) -> Step {
        let status = self.status();
        let Some(opened) = status.pull.as_ref().and_then(|pull| pull.opened.as_ref()) else {
            return Step::Act(Effect::OpenPull);
        };
        let live = match Self::open(opened, pull) {
            Ok(live) => live,
            Err(step) => return *step,
        };
        if status.approved.as_ref().is_some_and(|approved| {
            self.now.duration_since(approved.at) >= self.common.approval_expires
        }) {
            return end(
                Outcome::Expired,
                format!(
                    "The pull request #{} could not be merged in time.",
                    opened.number
                ),
            );
        }
        if live.head_sha != opened.head_sha {
            return Step::Record(Fact::PullHead(live.head_sha.clone()));
        }
        match live.mergeable {
            Some(false) => Step::Record(Fact::Voided(format!(
                "The order was changed meanwhile, and the pull request #{} conflicts with it: \
                 the edit is made anew on what the order reads now.",
                opened.number
            ))),
            None => self.look_again("GitHub is computing whether it can be merged".to_owned()),
            // As for a restore: where the next reader of the order's history looks.
            Some(true) if in_chat_only(status.approved.as_ref()) => Step::Act(Effect::Mirror),
            Some(true) => self.merge_or_wait(&opened.head_sha),
        }
    }

    /// After GitHub said no to a merge, it is not asked again before the next poll.
    fn merge_or_wait(&self, head: &str) -> Step {
        let said = self
            .status()
            .waiting
            .as_ref()
            .filter(|note| note.message.starts_with(MERGE_BLOCKED));
        match said {
            Some(note) if self.now < later(note.at, self.common.poll) => Step::Wait {
                until: later(note.at, self.common.poll),
                why: Some(note.message.clone()),
            },
            _ => Step::Act(Effect::MergePull(head.to_owned())),
        }
    }

    /// The pull request, if it is open; else the step that comes of what became of it.
    fn open<'p>(opened: &Opened, pull: Option<&'p Pull>) -> Result<&'p Pull, Box<Step>> {
        let number = opened.number;
        let step = match pull.map(|pull| (pull, &pull.state)) {
            Some((pull, PullState::Open)) => return Ok(pull),
            Some((_, PullState::Merged { sha })) => Step::Record(Fact::PullMerged(sha.clone())),
            Some((_, PullState::Closed)) => end(
                Outcome::Denied,
                format!("The pull request #{number} was closed without being merged."),
            ),
            None => end(
                Outcome::Denied,
                format!("The pull request #{number} is gone."),
            ),
        };
        Err(Box::new(step))
    }

    /// GitHub may show for a while what was before the last rebuilding; it is not
    /// built anew at every look.
    fn rebuild(&self) -> Step {
        let made = self
            .status()
            .pull
            .as_ref()
            .map_or(Timestamp::MIN, |pull| pull.at);
        let next = later(made, self.common.look_again);
        if self.now < next {
            return Step::Wait {
                until: next,
                why: None,
            };
        }
        Step::Act(Effect::RebuildPull)
    }

    pub(super) fn closing(&self, pull: Option<&Pull>) -> Step {
        let status = self.status();
        match (&status.pull, pull.map(|pull| &pull.state)) {
            // It ended while the answer to the opening of the pull request was
            // outstanding: what was opened is taken over, and then closed.
            (None, Some(PullState::Open | PullState::Merged { .. })) => Step::Act(Effect::OpenPull),
            (None, Some(PullState::Closed) | None) => Step::Record(Fact::Tidied),
            (Some(_), Some(PullState::Merged { sha })) => {
                Step::Record(Fact::PullMerged(sha.clone()))
            }
            (Some(_), Some(PullState::Closed) | None) => Step::Record(Fact::PullClosed),
            (Some(_), Some(PullState::Open)) => {
                let why = status
                    .ending
                    .as_ref()
                    .map_or("", |ending| ending.message.as_str());
                Step::Act(Effect::ClosePull(why.to_owned()))
            }
        }
    }
}
