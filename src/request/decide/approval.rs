//! Before the merge: waiting for the approval, and merging the pause.

use jiff::Timestamp;

use super::{Effect, MERGE_BLOCKED, Pass, Step};
use crate::request::approval::{self, Standing, standing};
use crate::request::facts::{Fact, Which};
use crate::request::observed::{Pull, PullState};
use crate::request::resource::{Opened, Outcome, PullRequest, ReminderOf};

impl Pass<'_> {
    pub(super) fn awaiting_approval(&self, pull: Option<&Pull>) -> Step {
        let status = self.status();
        let Some(checked) = &status.checked else {
            return self.look_again(None);
        };
        let since = status.voided.as_ref().map_or(checked.at, |note| note.at);
        let deadline = since
            .saturating_add(self.policy.approval_expires)
            .unwrap_or(Timestamp::MAX);
        let too_late = self.now >= deadline;
        let Some(fact) = &status.pause else {
            return if too_late {
                let why = status.last_error.as_ref().map_or_else(String::new, |last| {
                    format!(" The last try failed: {}.", last.message)
                });
                end(
                    Outcome::Expired,
                    format!("The pull request could not be opened in time.{why}"),
                )
            } else {
                Step::Act(Effect::OpenPull(Which::Pause))
            };
        };
        let (head, live) = match &fact.opened {
            None => ("", None),
            Some(opened) => match self.unmerged_pause(fact, opened, pull, too_late) {
                Ok(live) => (opened.head_sha.as_str(), live),
                Err(step) => return *step,
            },
        };
        // A review is bound to a head and to nothing else: once the pull request is
        // merged, the head cannot move any more when the inventory changes, and a
        // review given before would approve what was never shown (S2).
        let reviews = live.map_or(&[][..], |pull| &pull.reviews);
        let hold = match standing(
            self.subject.spec,
            &self.policy.people,
            &self.digest(),
            reviews,
            head,
            self.now,
        ) {
            Standing::Approved(approved) => match self.lacks_consent() {
                None => return Step::Record(Fact::Approved(approved)),
                Some(lacking) => Some(format!("{} approved it; {lacking}", approved.by)),
            },
            Standing::Denied(message) => return end(Outcome::Denied, message),
            Standing::Open(hold) => hold.or_else(|| {
                (fact.opened.is_some() && live.is_none()).then(|| {
                    "the pull request is merged, so that a review no longer counts: a reviewer \
                     has to approve here"
                        .to_owned()
                })
            }),
        };
        if too_late {
            return end(Outcome::Expired, "Nobody approved it in time.".to_owned());
        }
        // What was said of something that is void by now does not count.
        let sent = self
            .reminders(ReminderOf::Approval)
            .filter(|at| *at >= since)
            .count();
        let next = self
            .policy
            .approval_reminders
            .get(sent)
            .map(|after| since.saturating_add(*after).unwrap_or(Timestamp::MAX));
        if next.is_some_and(|next| self.now >= next) {
            return Step::Record(Fact::Reminded(ReminderOf::Approval));
        }
        let until = next.map_or(deadline, |next| next.min(deadline));
        let until = if live.is_some() {
            until.min(self.after(self.policy.poll))
        } else {
            until
        };
        Step::Wait { until, why: hold }
    }

    /// The pull request, if it is open and as Refloat made it; nothing, if it is
    /// merged already; else the step that comes of what became of it.
    fn unmerged_pause<'p>(
        &self,
        fact: &PullRequest,
        opened: &Opened,
        pull: Option<&'p Pull>,
        too_late: bool,
    ) -> Result<Option<&'p Pull>, Box<Step>> {
        if fact.merged.is_some() {
            return Ok(None);
        }
        let step = match pull.map(|pull| (pull, &pull.state, pull.head_sha != opened.head_sha)) {
            None => end(Outcome::Denied, gone(opened)),
            Some((_, PullState::Closed, _)) => end(Outcome::Denied, closed(opened)),
            Some((pull, PullState::Merged { .. }, true)) => head_moved(pull),
            // Merged before anybody approved: self-heal is off, which deletes
            // nothing, and the approval is still waited for.
            Some((_, PullState::Merged { sha }, false)) => {
                Step::Record(Fact::PullMerged(Which::Pause, sha.clone()))
            }
            Some((pull, PullState::Open, false)) if pull.mergeable != Some(false) => {
                return Ok(Some(pull));
            }
            Some((_, PullState::Open, _)) if too_late => {
                end(Outcome::Expired, "Nobody approved it in time.".to_owned())
            }
            Some((_, PullState::Open, _)) => self.rebuild(Which::Pause, fact),
        };
        Err(Box::new(step))
    }

    /// What a reviewer still has to consent to expressly, in words (S5).
    pub(super) fn lacks_consent(&self) -> Option<String> {
        let needed = self.status().checked.as_ref()?.needing_consent().count();
        let digest = self.digest();
        let lacking = needed > 0
            && approval::consented(self.subject.spec, &self.policy.people, &digest).is_none();
        lacking.then(|| {
            format!(
                "a reviewer also has to consent to what the card marks so: `restore consent \
                 digest:{}`",
                &digest[..8]
            )
        })
    }

    /// GitHub may show for a while what was before the last rebuilding; it is not
    /// built anew at every look.
    pub(super) fn rebuild(&self, which: Which, fact: &PullRequest) -> Step {
        let next = fact
            .at
            .saturating_add(self.policy.look_again)
            .unwrap_or(Timestamp::MAX);
        if self.now < next {
            return Step::Wait {
                until: next,
                why: None,
            };
        }
        Step::Act(Effect::RebuildPull(which))
    }

    pub(super) fn pausing(&self, pull: Option<&Pull>) -> Step {
        let Some(opened) = self
            .status()
            .pause
            .as_ref()
            .and_then(|fact| fact.opened.as_ref())
        else {
            return Step::Act(Effect::OpenPull(Which::Pause));
        };
        let Some(pull) = pull else {
            return end(Outcome::Denied, gone(opened));
        };
        let moved = pull.head_sha != opened.head_sha;
        let approved_at = self.status().approved.as_ref().map(|approved| approved.at);
        if pull.state == PullState::Open
            && approved_at
                .is_some_and(|at| self.now.duration_since(at) >= self.policy.approval_expires)
        {
            return end(
                Outcome::Expired,
                format!(
                    "The pull request #{} could not be merged in time.",
                    opened.number
                ),
            );
        }
        match &pull.state {
            PullState::Merged { .. } if moved => head_moved(pull),
            PullState::Merged { sha } => Step::Record(Fact::PullMerged(Which::Pause, sha.clone())),
            PullState::Closed => end(Outcome::Denied, closed(opened)),
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
    pub(super) fn merge_or_wait(&self, pull: &Pull) -> Option<Step> {
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
}

fn end(outcome: Outcome, message: String) -> Step {
    Step::Record(Fact::Ended(outcome, message))
}

fn head_moved(pull: &Pull) -> Step {
    Step::Record(Fact::PullHead(Which::Pause, pull.head_sha.clone()))
}

fn gone(opened: &Opened) -> String {
    format!("The pull request #{} is gone.", opened.number)
}

fn closed(opened: &Opened) -> String {
    format!(
        "The pull request #{} was closed without being merged.",
        opened.number
    )
}
