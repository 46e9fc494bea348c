//! The Restore, and what came of it.

use jiff::Timestamp;

use super::{Effect, Pass, Step, some};
use crate::request::facts::Fact;
use crate::request::observed::{Restoring, Verifying};
use crate::request::preflight::{self, list};
use crate::request::resource::{RestoreRun, StuckReason, Verified};

impl Pass<'_> {
    pub(super) fn restoring(&self, view: &Restoring) -> Step {
        match &view.restore {
            None => self.create_restore(view),
            Some(run) => self.follow_restore(run, view),
        }
    }

    fn create_restore(&self, view: &Restoring) -> Step {
        let status = self.status();
        if let Some(known) = &status.restore {
            return self.stick(
                StuckReason::RestoreVanished,
                format!("The Restore {} was deleted by somebody.", known.name),
            );
        }
        let clearing = status.clearing.as_ref();
        let began = clearing.map_or(self.now, |fact| fact.began_at);
        let emptied = clearing
            .and_then(|fact| fact.emptied_at)
            .unwrap_or(self.now);
        if !view.undiscovered.is_empty() {
            let why = format!(
                "the API server does not say which kinds it has in {}",
                list(&view.undiscovered)
            );
            return if self.is_late(emptied, self.policy.clear_within) {
                self.stick(
                    StuckReason::RestoreStalled,
                    format!("It cannot be seen whether the namespaces are empty: {why}."),
                )
            } else {
                self.look_again(why)
            };
        }
        if !view.in_the_way.is_empty() {
            let names = some(&view.in_the_way);
            // S9. After a first Restore nothing is ever cleared again (S11).
            if !status.earlier_restores.is_empty() {
                return self.stick(
                    StuckReason::RestoreFailed,
                    format!("These were made by somebody else and would be in the way: {names}."),
                );
            }
            if self.is_late(began, self.policy.clear_within) {
                return self.stick(
                    StuckReason::ClearingBlocked,
                    format!("The namespaces do not stay empty: {names}."),
                );
            }
            // Not as fast as the machine can turn, if something comes and goes.
            let next = emptied
                .saturating_add(self.policy.look_again)
                .unwrap_or(self.now);
            return if self.now < next {
                Step::Wait {
                    until: next,
                    why: Some(format!("these are in the way: {names}")),
                }
            } else {
                Step::Record(Fact::SeenNotEmpty)
            };
        }
        match self.given_up(&Effect::Restore, emptied, self.policy.restore_stalls_after) {
            Some(error) => self.stick(
                StuckReason::RestoreFailed,
                format!("The Restore cannot be created: {error}."),
            ),
            None => Step::Act(Effect::Restore),
        }
    }

    fn follow_restore(&self, run: &RestoreRun, view: &Restoring) -> Step {
        let status = self.status();
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
        // Queued is not stalled: Velero restores one at a time, for all tenants.
        let queued = run.started_at.is_none() && view.ahead > 0;
        let stalls_after = self.policy.restore_stalls_after;
        let since = run
            .progressed_at
            .max(status.queued_at)
            .unwrap_or(run.created_at);
        if queued {
            // Written down now and then, so that the time in the queue is not held
            // against the Restore when its turn comes.
            let next = since
                .saturating_add(stalls_after / 2)
                .unwrap_or(Timestamp::MAX);
            if self.now >= next {
                return Step::Record(Fact::Queued);
            }
            let before = if view.ahead == 1 {
                "1 is".to_owned()
            } else {
                format!("{} are", view.ahead)
            };
            return Step::Wait {
                until: next,
                why: Some(format!(
                    "Velero restores one at a time, and {before} before this one"
                )),
            };
        }
        if self.is_late(since, stalls_after) {
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
        Self::until_deadline(self.from(since), stalls_after, None)
    }

    pub(super) fn verifying(&self, view: &Verifying) -> Step {
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
}
