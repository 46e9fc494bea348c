//! The whole machine: from the facts and what was seen, the one next step. Pure.

use jiff::{SignedDuration, Timestamp};

use super::checks;
use super::facts::Fact;
use super::observed::{Namespace, Observed, Restoring};
use super::phase::{Phase, phase};
use super::resource::{CopyRequestSpec, CopyStatus, Outcome, Shown};
use crate::request::observed::Verifying;
use crate::request::preflight::{Terms, list};
use crate::request::{self, Step};

/// Something done to the world. Each is find-or-create under a name made from the request, so that doing it
/// twice is doing it once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    MakeNamespace,
    Restore,
    /// Delete the namespace that this request has made, if it still has this uid.
    Remove(String),
}

impl Effect {
    /// A short name for logs and the status.
    pub fn name(&self) -> &'static str {
        match self {
            Self::MakeNamespace => "make the namespace of the copy",
            Self::Restore => "create the Restore",
            Self::Remove(_) => "remove the copy",
        }
    }
}

/// What the operator configured for copies.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// How long a copy is kept.
    pub kept_for: SignedDuration,
    /// How many copies a tenant may have at a time.
    pub at_most: usize,
}

/// The request that is decided upon.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    pub uid: &'a str,
    pub created: Timestamp,
    pub spec: &'a CopyRequestSpec,
    pub status: &'a CopyStatus,
}

/// How often a copy that is there is looked at: somebody may have deleted it.
const NOW_AND_THEN: SignedDuration = SignedDuration::from_mins(10);

struct Pass<'a> {
    subject: Subject<'a>,
    policy: &'a request::Policy,
    copies: Policy,
    now: Timestamp,
}

/// Decides the next step of a request.
///
/// `observed` must have been read for the phase that the facts amount to; if it was not, the answer is to look
/// again at once.
pub fn decide(
    subject: Subject<'_>,
    observed: &Observed,
    policy: &request::Policy,
    copies: Policy,
    now: Timestamp,
) -> Step<Effect, Fact> {
    Pass {
        subject,
        policy,
        copies,
        now,
    }
    .next(observed)
}

fn end(outcome: Outcome, why: String) -> Step<Effect, Fact> {
    Step::Record(Fact::Ended(outcome, why))
}

impl Pass<'_> {
    fn next(&self, observed: &Observed) -> Step<Effect, Fact> {
        let phase = phase(self.subject.status);
        if let Some(withdrawal) = &self.subject.spec.withdrawal
            && self.subject.status.ending.is_none()
        {
            return end(
                Outcome::Withdrawn,
                format!("{} had it removed.", withdrawal.by.name),
            );
        }
        match (phase, observed) {
            (Phase::Checking, Observed::Checking(survey)) => {
                let terms = Terms {
                    uid: self.subject.uid,
                    created: self.subject.created,
                    own_namespace: &self.policy.own_namespace,
                    time_zone: &self.policy.time_zone,
                    backup_must_outlive: self.policy.backup_must_outlive,
                };
                match checks::check(self.subject.spec, survey, &self.copies, &terms, self.now) {
                    Ok(checked) => Step::Record(Fact::Checked(Box::new(checked))),
                    Err(why) => end(Outcome::Refused, why),
                }
            }
            (Phase::Making, Observed::Namespace(namespace)) => self.making(namespace.as_ref()),
            (Phase::Restoring, Observed::Restoring(view)) => self.restoring(view),
            (Phase::Verifying, Observed::Verifying(view, namespace)) => {
                self.verifying(view, namespace.as_ref())
            }
            (Phase::Kept, Observed::Namespace(namespace)) => self.kept(namespace.as_ref()),
            (Phase::Removing, Observed::Restoring(view)) => self.removing(view),
            (Phase::Done | Phase::Refused | Phase::Withdrawn | Phase::Failed, _) => Step::Rest,
            (
                Phase::Checking
                | Phase::Making
                | Phase::Restoring
                | Phase::Verifying
                | Phase::Kept
                | Phase::Removing,
                _,
            ) => Step::Wait {
                until: self.now,
                why: None,
            },
        }
    }

    fn making(&self, namespace: Option<&Namespace>) -> Step<Effect, Fact> {
        match namespace {
            None => Step::Act(Effect::MakeNamespace),
            Some(it) if !it.ours || it.terminating => end(
                Outcome::Failed,
                format!(
                    "Somebody else made or deleted the namespace {} meanwhile: choose another name.",
                    self.subject.spec.into
                ),
            ),
            Some(it) => Step::Record(Fact::Made(it.uid.clone(), self.copies.kept_for)),
        }
    }

    /// Why the namespace is not the one that was made any more.
    fn lost(&self, namespace: Option<&Namespace>) -> Option<Step<Effect, Fact>> {
        let made = self.subject.status.made.as_ref()?;
        let there = namespace.is_some_and(|it| it.ours && !it.terminating && it.uid == made.uid);
        (!there).then(|| {
            end(
                Outcome::Failed,
                format!(
                    "The namespace {} was deleted by somebody.",
                    self.subject.spec.into
                ),
            )
        })
    }

    fn restoring(&self, view: &Restoring) -> Step<Effect, Fact> {
        if let Some(step) = self.lost(view.namespace.as_ref()) {
            return step;
        }
        let status = self.subject.status;
        let Some(run) = &view.restore else {
            return match &status.restore {
                Some(known) => end(
                    Outcome::Failed,
                    format!("The Restore {} was deleted by somebody.", known.name),
                ),
                None => Step::Act(Effect::Restore),
            };
        };
        let known = status.restore.as_ref();
        let mut run = run.clone();
        run.progressed_at = known.and_then(|known| known.progressed_at);
        let ended = matches!(
            run.phase.as_str(),
            "Completed" | "PartiallyFailed" | "Failed" | "FailedValidation"
        );
        if ended && matches!(run.phase.as_str(), "Failed" | "FailedValidation") {
            let why = if view.failures.is_empty() {
                "Velero gave no reason.".to_owned()
            } else {
                format!("It says: {}.", view.failures.join("; "))
            };
            return end(
                Outcome::Failed,
                format!("Velero's Restore ended {}. {why}", run.phase),
            );
        }
        if run.phase == "PartiallyFailed" {
            run.notes.clone_from(&view.failures);
        }
        run.ended_at = ended.then_some(self.now);
        if known != Some(&run) {
            return Step::Record(Fact::Restore(run));
        }
        let stalls_after = self.policy.restore_stalls_after;
        let since = run
            .progressed_at
            .max(status.queued_at)
            .unwrap_or(run.created_at);
        // Queued is not stalled: Velero restores one at a time, for all tenants.
        if run.started_at.is_none() && view.ahead > 0 {
            let next = since
                .saturating_add(stalls_after / 2)
                .unwrap_or(Timestamp::MAX);
            if self.now >= next {
                return Step::Record(Fact::Queued);
            }
            return Step::Wait {
                until: next,
                why: Some(format!(
                    "Velero restores one at a time, and {} before this one",
                    if view.ahead == 1 {
                        "1 is".to_owned()
                    } else {
                        format!("{} are", view.ahead)
                    }
                )),
            };
        }
        let late = since.saturating_add(stalls_after).unwrap_or(Timestamp::MAX);
        if self.now >= late {
            return end(
                Outcome::Failed,
                format!("The Restore {} has not moved for long.", run.name),
            );
        }
        Step::Wait {
            until: late,
            why: None,
        }
    }

    fn verifying(&self, view: &Verifying, namespace: Option<&Namespace>) -> Step<Effect, Fact> {
        if let Some(step) = self.lost(namespace) {
            return step;
        }
        let lacking = self.lacking(view);
        let since = self
            .subject
            .status
            .restore
            .as_ref()
            .and_then(|run| run.ended_at)
            .unwrap_or(self.now);
        let late = self.now.duration_since(since) >= self.policy.verify_within;
        if !lacking.is_empty() && !late {
            return Step::Wait {
                until: self.after(self.policy.look_again),
                why: Some(few(&lacking)),
            };
        }
        let number = |length: usize| i64::try_from(length).unwrap_or(i64::MAX);
        Step::Record(Fact::Shown(Shown {
            at: self.now,
            volumes: number(view.volumes.len()),
            claims: number(view.claims.len()),
            pods: number(view.pods.len()),
            // What does not come up may be just what somebody wants to look at.
            lacking,
        }))
    }

    fn lacking(&self, view: &Verifying) -> Vec<String> {
        let mut lacking = Vec::new();
        let checked = self.subject.status.checked.as_ref();
        for expected in checked.iter().flat_map(|checked| &checked.volumes) {
            let Some(target) = &expected.target else {
                continue;
            };
            let name = format!("{}/{target}", self.subject.spec.into);
            let came = view.volumes.iter().any(|volume| {
                volume.name == name
                    && volume.phase == "Completed"
                    && volume.bytes.done >= volume.bytes.total
            });
            if !came {
                lacking.push(format!(
                    "the data of claim {} was not brought back",
                    expected.claim
                ));
            }
        }
        for (claim, phase) in &view.claims {
            if phase != "Bound" {
                lacking.push(format!("claim {claim} is {phase}"));
            }
        }
        for pod in view.pods.iter().filter(|pod| !pod.ready && !pod.ended) {
            let why = pod.reason.as_ref();
            lacking.push(format!(
                "pod {} is not ready{}",
                pod.name,
                why.map(|why| format!(" ({why})")).unwrap_or_default()
            ));
        }
        lacking.extend(view.unready.iter().cloned());
        lacking
    }

    fn kept(&self, namespace: Option<&Namespace>) -> Step<Effect, Fact> {
        let Some(made) = &self.subject.status.made else {
            return self.look_again(None);
        };
        if self.now >= made.remove_at {
            return end(Outcome::Done, "Its time is over.".to_owned());
        }
        if self.lost(namespace).is_some() {
            return end(
                Outcome::Done,
                format!(
                    "The namespace {} was deleted by somebody before its time was over.",
                    self.subject.spec.into
                ),
            );
        }
        Step::Wait {
            until: made.remove_at.min(self.after(NOW_AND_THEN)),
            why: None,
        }
    }

    /// Nothing is deleted but the namespace that this request has made, and not while Velero writes into it:
    /// what is written into a namespace that goes would be left halfway, or make it anew.
    fn removing(&self, view: &Restoring) -> Step<Effect, Fact> {
        // A Restore that waits its turn would begin in a namespace that is gone.
        if let Some(run) = &view.restore
            && !crate::copy::observed::has_ended(&run.phase)
        {
            return self.look_again(Some(format!(
                "Velero still works on the Restore {}, which cannot be stopped",
                run.name
            )));
        }
        let Some(namespace) = view.namespace.as_ref().filter(|it| it.ours) else {
            return Step::Record(Fact::Removed);
        };
        if namespace.terminating {
            return self.look_again((!namespace.held_by.is_empty()).then(|| {
                format!(
                    "the namespace {} is going, and is held up: {}",
                    self.subject.spec.into,
                    few(&namespace.held_by)
                )
            }));
        }
        Step::Act(Effect::Remove(namespace.uid.clone()))
    }

    fn after(&self, pause: SignedDuration) -> Timestamp {
        self.now.saturating_add(pause).unwrap_or(Timestamp::MAX)
    }

    fn look_again(&self, why: Option<String>) -> Step<Effect, Fact> {
        Step::Wait {
            until: self.after(self.policy.look_again),
            why,
        }
    }
}

/// The first few of many.
fn few(all: &[String]) -> String {
    const SHOWN: usize = 5;
    match all.get(..SHOWN) {
        Some(first) if all.len() > SHOWN => {
            format!("{} and {} more", first.join(", "), all.len() - SHOWN)
        }
        _ => list(all),
    }
}
