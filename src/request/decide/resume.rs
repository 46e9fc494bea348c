//! Bringing self-heal back, at the end and after every failure (L1).

use jiff::Timestamp;

use super::{Effect, Pass, Step, some};
use crate::request::applications::Application;
use crate::request::approval::{self, Standing, standing};
use crate::request::facts::{Fact, LookFor, Which};
use crate::request::observed::{Pull, PullState, Resuming};
use crate::request::resource::{Action, PullRequest, StuckReason, Via};

impl Pass<'_> {
    pub(super) fn resuming(&self, view: &Resuming) -> Step {
        let status = self.status();
        if let Some(step) = self.still_restoring(view) {
            return step;
        }
        let Some(pause) = &status.pause else {
            return match view.pause.as_ref().map(|pull| &pull.state) {
                // It ended while the answer to the opening of the pull request was
                // outstanding. What was opened is taken over, and then undone; what
                // somebody closed is closed for good.
                Some(PullState::Open | PullState::Merged { .. } | PullState::Closed) => {
                    self.try_to(Effect::OpenPull(Which::Pause))
                }
                None => Step::Record(Fact::Resumed),
            };
        };
        if pause.is_open() {
            return self.close_pause(view.pause.as_ref());
        }
        if pause.merged.is_none() {
            // Self-heal was off before, and stays as it was.
            return Step::Record(Fact::Resumed);
        }
        let Some(fact) = &status.resume else {
            return self
                .would_prune(view)
                .unwrap_or_else(|| self.try_to(Effect::OpenPull(Which::Resume)));
        };
        if fact.opened.is_some() && fact.merged.is_none() {
            return self.merge_resume(fact, view.resume.as_ref());
        }
        self.await_self_heal(pause, fact, view)
    }

    /// Turning self-heal on while Velero still writes would have the two undo each
    /// other's work. It is waited for; when that takes too long, a person is asked
    /// once more, and then has their way.
    fn still_restoring(&self, view: &Resuming) -> Option<Step> {
        let status = self.status();
        if !view.restoring {
            return None;
        }
        let insisted = status
            .choices
            .iter()
            .filter(|choice| choice.action == Action::ResumeAsIs)
            .count()
            > 1;
        if insisted {
            return None;
        }
        let since = status.ending.as_ref().map_or(self.now, |ending| ending.at);
        Some(if self.is_late(since, self.policy.restore_stalls_after) {
            self.stick(
                StuckReason::RestoreStalled,
                "Velero has still not ended the Restore, and self-heal is off until it has. Say \
                 `restore resume` once more to have self-heal on all the same."
                    .to_owned(),
            )
        } else {
            self.look_again(
                "Velero is still restoring, and cannot be stopped: self-heal comes back when it \
                 has ended"
                    .to_owned(),
            )
        })
    }

    /// When the way back began.
    fn resuming_since(&self) -> Timestamp {
        let status = self.status();
        let ended = status.ending.as_ref().map(|ending| ending.at);
        let verified = status.verified.as_ref().map(|verified| verified.at);
        ended.max(verified).unwrap_or(self.now)
    }

    fn is_late_to_resume(&self) -> bool {
        self.is_late(self.resuming_since(), self.policy.resume_within)
    }

    /// Does it, unless it has been failing for too long: then a person is told.
    fn try_to(&self, effect: Effect) -> Step {
        match self.given_up(&effect, self.resuming_since(), self.policy.resume_within) {
            Some(error) => self.stick(
                StuckReason::ResumeBlocked,
                format!("It cannot {}: {error}.", effect.name()),
            ),
            None => Step::Act(effect),
        }
    }

    fn close_pause(&self, live: Option<&Pull>) -> Step {
        match live.map(|pull| &pull.state) {
            None => Step::Record(Fact::PullClosed(Which::Pause)),
            Some(PullState::Merged { sha }) => {
                Step::Record(Fact::PullMerged(Which::Pause, sha.clone()))
            }
            // Also one that is closed already: its branch goes too, so that it
            // cannot be opened again and merged when nobody follows it any more.
            Some(PullState::Open | PullState::Closed) => {
                let why = self
                    .status()
                    .ending
                    .as_ref()
                    .map_or("", |ending| ending.message.as_str());
                self.try_to(Effect::ClosePull(Which::Pause, why.to_owned()))
            }
        }
    }

    /// Turning self-heal on deletes tracked objects that Git lacks: if there are
    /// any, a person has to agree first.
    fn would_prune(&self, view: &Resuming) -> Option<Step> {
        let status = self.status();
        // Where nothing was restored, nothing came back that Git might lack.
        let restore = status.restore.as_ref().or(status.earlier_restores.last())?;
        // What Argo CD saw while Velero was still restoring is not all there is, and
        // after a person's answer it has to look at what that person did.
        let since = self
            .from(restore.ended_at.unwrap_or(restore.created_at))
            .max(
                status
                    .ending
                    .as_ref()
                    .map_or(Timestamp::MIN, |ending| ending.at),
            );
        for application in view
            .applications
            .iter()
            .filter(|application| application.deploys)
        {
            let key = application.key();
            if application.refreshing {
                let why = format!("Argo CD is looking at {key}");
                return Some(if self.is_late_to_resume() {
                    self.stick(
                        StuckReason::ResumeBlocked,
                        format!("It is not known what turning self-heal on would delete: {why}."),
                    )
                } else {
                    self.look_again(why)
                });
            }
            if !status.refreshed_before_resume.contains(&key) && !application.looked_since(since) {
                return Some(self.try_to(Effect::Look(
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
                     in Git any more: {}. Put it into Git and say `restore retry`, or say \
                     `restore resume` to let it be deleted.",
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
        let late = self.is_late_to_resume();
        let Some(pull) = live else {
            // Looked for now and then, in case GitHub does not show it yet.
            return match self.rebuild(Which::Resume, fact) {
                Step::Act(_) => self.try_to(Effect::OpenPull(Which::Resume)),
                wait => wait,
            };
        };
        match &pull.state {
            PullState::Merged { sha } => Step::Record(Fact::PullMerged(Which::Resume, sha.clone())),
            PullState::Closed => {
                let why = format!(
                    "The resume pull request #{} was closed without being merged, and self-heal \
                     is still off. Reopen and merge it, or say `restore retry` to have another \
                     one made",
                    opened.number
                );
                if self
                    .status()
                    .last_choice_at()
                    .is_some_and(|choice| choice > fact.at)
                {
                    // It was closed, a person was told, and said to go on.
                    self.try_to(Effect::OpenPull(Which::Resume))
                } else if late {
                    self.stick(StuckReason::ResumeBlocked, format!("{why}."))
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
                if late {
                    self.stick(
                        StuckReason::ResumeBlocked,
                        format!(
                            "The resume pull request #{} is changed by others or conflicts with \
                             the order, and self-heal is still off.",
                            opened.number
                        ),
                    )
                } else {
                    self.rebuild(Which::Resume, fact)
                }
            }
            PullState::Open => {
                if fact.approved.is_none()
                    && let Some(step) = self.approve_resume(fact, pull)
                {
                    return step;
                }
                // A person who took their time to approve did not make it late.
                let since = fact
                    .approved
                    .as_ref()
                    .map_or(fact.at, |approved| approved.at);
                if late && self.is_late(since, self.policy.resume_within) {
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
            approved.via = Via::Pause;
            approved.at = self.now;
            return Some(Step::Record(Fact::ResumeApproved(approved)));
        }
        // A restore that ends before anybody approved touched nothing but
        // self-heal; bringing it back is an undo and needs nobody's leave
        // where the first approval would have covered it.
        if self.policy.covers_resume {
            return None;
        }
        // What was said of the restore is not said of the way back: a no to the
        // first would leave self-heal off for ever.
        let digest = self.digest();
        let spec = approval::last_word_on(self.subject.spec, &self.policy.people, &digest);
        let hold = match standing(
            &spec,
            &self.policy.people,
            &digest,
            &pull.reviews,
            head,
            self.now,
        ) {
            Standing::Approved(approved) => {
                return Some(Step::Record(Fact::ResumeApproved(approved)));
            }
            Standing::Denied(why) => Some(why.trim_end_matches('.').to_owned()),
            Standing::Open(hold) => hold,
        };
        Some(Step::Wait {
            until: self.after(self.policy.poll),
            why: Some(format!(
                "the resume pull request waits for a reviewer's approval{}; self-heal is off \
                 until then",
                hold.map(|hold| format!(" ({hold})")).unwrap_or_default()
            )),
        })
    }

    fn await_self_heal(&self, pause: &PullRequest, fact: &PullRequest, view: &Resuming) -> Step {
        let status = self.status();
        let since = fact.merged.as_ref().map_or(fact.at, |merged| merged.at);
        // The order has it back, a person was told what is not well, and said to
        // leave it so.
        if status
            .choices
            .iter()
            .any(|choice| choice.action == Action::ResumeAsIs && choice.at > since)
        {
            return Step::Record(Fact::Resumed);
        }
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
                return self.try_to(Effect::Look(
                    LookFor::Resume,
                    application.namespace.clone(),
                    application.name.clone(),
                ));
            }
        }
        // An undo is done when self-heal is as it was; whether all was well before is
        // not for it to say.
        let undo = status.ending.is_some();
        let why = why.or_else(|| {
            view.applications
                .iter()
                .filter(|application| application.deploys)
                .find_map(|application| {
                    let well = if undo {
                        application.heals_as(self_heal_before(pause))
                    } else {
                        application.is_well(self_heal_before(pause))
                    };
                    well.err()
                        .map(|why| format!("{}: {why}", application.key()))
                })
        });
        let why = why.or_else(|| self.not_turned_on_again(&view.applications));
        let Some(why) = why else {
            return self.hold_well(undo);
        };
        if status.well_since.is_some() {
            return Step::Record(Fact::Well(false));
        }
        if self.is_late(since, self.policy.resume_within) {
            return self.stick(
                StuckReason::ResumeBlocked,
                format!("Self-heal is on again in the order, but not all is well: {why}."),
            );
        }
        Self::until_deadline(self.from(since), self.policy.resume_within, Some(why))
    }
}

impl Pass<'_> {
    /// User-defined Applications were turned off by hand, and nobody's edit of the
    /// order turns them on again.
    fn not_turned_on_again(&self, applications: &[Application]) -> Option<String> {
        let healed = &self.status().checked.as_ref()?.healing;
        applications
            .iter()
            .find(|application| {
                healed.contains(&application.key()) && !application.heals_by_itself()
            })
            .map(|application| {
                format!(
                    "{} healed before the restore and does not now: turn selfHeal on again in {}",
                    application.key(),
                    application.written_in()
                )
            })
    }

    /// All is well: it has to stay so for a while, and then people are told on the
    /// pull request too.
    fn hold_well(&self, undo: bool) -> Step {
        let status = self.status();
        if undo {
            return Step::Record(Fact::Resumed);
        }
        let Some(since) = status.well_since else {
            return Step::Record(Fact::Well(true));
        };
        let until = since
            .saturating_add(self.policy.hold_well)
            .unwrap_or(Timestamp::MAX);
        if self.now < until {
            return Step::Wait {
                until: until.min(self.after(self.policy.look_again.max(self.policy.hold_well / 4))),
                why: Some("all is well, and has to stay so for a while".to_owned()),
            };
        }
        let which = [
            (Which::Resume, &status.resume),
            (Which::Pause, &status.pause),
        ]
        .into_iter()
        .find(|(_, pull)| pull.as_ref().is_some_and(|pull| pull.opened.is_some()))
        .map(|(which, _)| which);
        // A comment that cannot be written keeps nothing from being done.
        let effect = which.map(Effect::Summarize);
        let tried = status.last_error.as_ref().is_some_and(|last| {
            last.attempts >= 3
                && effect
                    .as_ref()
                    .is_some_and(|effect| last.effect == effect.name())
        });
        match effect {
            Some(effect) if status.summarized_at.is_none() && !tried => Step::Act(effect),
            _ => Step::Record(Fact::Resumed),
        }
    }
}

/// What `selfHeal` amounted to before the pause; absent means true.
fn self_heal_before(pause: &PullRequest) -> bool {
    pause.record.value.unwrap_or(true)
}
