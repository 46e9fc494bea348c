//! Before the merge: waiting for the approval, and merging the pause.

use jiff::Timestamp;

use super::{Effect, MERGE_BLOCKED, Pass, Step};
use crate::request::approval::{self, OnGithub, Standing, standing};
use crate::request::facts::{Fact, Which};
use crate::request::observed::{Pull, PullState};
use crate::request::resource::{Approved, Opened, Outcome, PullRequest, ReminderOf, Via};

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
        let github = OnGithub {
            reviews: live.map_or(&[][..], |pull| &pull.reviews),
            head,
            team: pull.and_then(|pull| pull.team.as_ref()),
            is_open: live.is_some(),
        };
        let hold = match standing(
            self.subject.spec,
            &self.policy.people,
            &self.policy.approval,
            &self.digest(),
            github,
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
        let step = match pull.map(|pull| (pull, &pull.state)) {
            None => end(Outcome::Denied, gone(opened)),
            Some((_, PullState::Closed)) => end(Outcome::Denied, closed(opened)),
            // Merged before anybody approved: self-heal is off, which deletes
            // nothing, and the approval is still waited for.
            Some((pull, PullState::Merged { sha })) => merged(pull, sha.as_ref()),
            Some((pull, PullState::Open)) if outdated(pull, opened).is_none() => {
                return Ok(Some(pull));
            }
            Some((_, PullState::Open)) if too_late => {
                end(Outcome::Expired, "Nobody approved it in time.".to_owned())
            }
            Some((_, PullState::Open)) => self.rebuild(Which::Pause, fact),
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
            PullState::Merged { sha } => merged(pull, sha.as_ref()),
            PullState::Closed => end(Outcome::Denied, closed(opened)),
            PullState::Open => match outdated(pull, opened) {
                Some(why) => Step::Record(Fact::Voided(why, None)),
                None => Self::mirror(Which::Pause, self.status().approved.as_ref())
                    .or_else(|| self.merge_or_wait(pull))
                    .unwrap_or_else(|| {
                        Step::Act(Effect::MergePull(Which::Pause, opened.head_sha.clone()))
                    }),
            },
        }
    }

    /// What was said in chat is written into the pull request before it is merged,
    /// where the next reader of the order's history looks for it.
    pub(super) fn mirror(which: Which, approved: Option<&Approved>) -> Option<Step> {
        let in_chat = approved.is_some_and(|approved| {
            approved.mirrored_at.is_none()
                && approved
                    .approvers
                    .iter()
                    .any(|approver| approver.via == Via::Chat)
        });
        in_chat.then_some(Step::Act(Effect::Mirror(which)))
    }

    /// After GitHub said no to a merge, it is not asked again before the next poll.
    pub(super) fn merge_or_wait(&self, pull: &Pull) -> Option<Step> {
        let status = self.status();
        if pull.mergeable.is_none() {
            return Some(
                self.look_again("GitHub is computing whether it can be merged".to_owned()),
            );
        }
        let waiting = status
            .waiting
            .as_ref()
            .filter(|waiting| waiting.message.starts_with(MERGE_BLOCKED))?;
        let why = if pull.missing.is_empty() {
            waiting.message.clone()
        } else {
            format!("{MERGE_BLOCKED}: {}", pull.missing.join("; "))
        };
        if pull.blocked && !pull.missing.is_empty() {
            return Some(Step::Wait {
                until: self.after(self.policy.poll),
                why: Some(why),
            });
        }
        let pause = if pull.clean {
            self.policy.look_again
        } else {
            self.policy.poll
        };
        let next = waiting.at.saturating_add(pause).unwrap_or(Timestamp::MAX);
        (self.now < next).then_some(Step::Wait {
            until: next,
            why: Some(why),
        })
    }
}

/// What became of a pause that is merged: taken as merged if it is what it was to
/// be, whoever merged it.
fn merged(pull: &Pull, sha: Option<&String>) -> Step {
    Step::Record(match &pull.difference {
        None => Fact::PullMerged(Which::Pause, sha.cloned()),
        Some(difference) => Fact::PullMergedOtherwise(sha.cloned(), difference.clone()),
    })
}

/// Why an open pull request is not, or not any more, what was asked for; then it is
/// built anew on what the base is now.
pub(super) fn outdated(pull: &Pull, opened: &Opened) -> Option<String> {
    let number = opened.number;
    if pull.retargeted {
        Some(format!(
            "The pull request #{number} was pointed at another branch."
        ))
    } else if pull.head_sha != opened.head_sha {
        Some(format!(
            "Somebody changed the pull request #{number}: its head was {} and is {}.",
            short(&opened.head_sha),
            short(&pull.head_sha)
        ))
    } else if pull.mergeable == Some(false) {
        Some(format!(
            "The order was changed meanwhile, and the pull request #{number} conflicts with it."
        ))
    } else if let (Some(then), Some(now)) = (&opened.base_blob, &pull.base_blob)
        && then != now
    {
        Some(format!(
            "The order was changed meanwhile, and the pull request #{number} was made upon what \
             it was before."
        ))
    } else if pull.behind {
        Some(format!(
            "The branch of the orders moved on, and its protection wants the pull request \
             #{number} to be made anew."
        ))
    } else {
        None
    }
}

fn short(sha: &str) -> String {
    sha.chars().take(10).collect()
}

fn end(outcome: Outcome, message: String) -> Step {
    Step::Record(Fact::Ended(outcome, message))
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
