//! The Restore, and what came of it.

use jiff::Timestamp;

use super::{Effect, Pass, Step, some};
use crate::request::facts::Fact;
use crate::request::guard::{Guard, holds};
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
        if let Some(known) = &status.restore
            && holds(Guard::S10)
        {
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
        if !view.in_the_way.is_empty() && holds(Guard::S9) {
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
        match &view.results {
            Some(results) => {
                run.notes.clone_from(&results.warnings);
                run.harmless = results.harmless;
            }
            None => {
                if let Some(known) = known {
                    run.notes.clone_from(&known.notes);
                    run.harmless = known.harmless;
                }
            }
        }
        // Velero cannot be stopped; that somebody else was at work is known for good
        // before the end of the Restore is.
        if status.disturbed.is_none()
            && let Some(why) = self.disturbance(view)
        {
            return Step::Record(Fact::Disturbed(why));
        }
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
            let reasons = if view.restarted {
                "Velero was restarted while it was restoring, which ends every restore that runs; \
                 its log and results are lost. Nothing says that the backup is bad."
                    .to_owned()
            } else if view.failures.is_empty() {
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
        match Self::until_deadline(self.from(since), stalls_after, None) {
            // Nothing reports what somebody else makes in the namespaces: it is looked for.
            Step::Wait { until, why } if run.started_at.is_some() => Step::Wait {
                until: until.min(self.after(self.policy.look_again)),
                why,
            },
            step => step,
        }
    }

    /// What somebody else does in the namespaces while Velero restores (S4).
    fn disturbance(&self, view: &Restoring) -> Option<String> {
        view.restore.as_ref()?;
        let unquiet = self.still_quiet(&view.applications).err();
        let foreign = (!view.foreign.is_empty())
            .then(|| format!("these were made by somebody else: {}", some(&view.foreign)));
        unquiet.or(foreign)
    }

    pub(super) fn verifying(&self, view: &Verifying) -> Step {
        if let Some(disturbed) = &self.status().disturbed {
            return self.stick(
                StuckReason::Disturbed,
                format!(
                    "While Velero was restoring, {}: what is there now may be a mixture. Look at \
                     it, then say `restore retry` to have it verified as it is.",
                    disturbed.message
                ),
            );
        }
        let mut broken = self.lacking_volumes(view);
        broken.extend(
            view.missing
                .iter()
                .map(|name| format!("{name} is in the backup and is not there")),
        );
        for (index, volume) in view.volumes.iter().enumerate() {
            // What a later Restore brought back counts.
            if view.volumes[index + 1..]
                .iter()
                .any(|later| later.name == volume.name)
            {
                continue;
            }
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
                items: view.items,
                foreign: view.foreign.clone(),
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

    /// The volumes whose data the backup holds and no Restore of this request has
    /// brought back whole. Where somebody else made the pod first, Velero skips it,
    /// and its volumes with it, and ends `Completed` all the same.
    fn lacking_volumes(&self, view: &Verifying) -> Vec<String> {
        let Some(checked) = &self.status().checked else {
            return Vec::new();
        };
        checked
            .volumes
            .iter()
            .filter_map(|expected| {
                let target = expected.target.as_ref()?;
                let name = format!("{}/{target}", expected.namespace);
                let claim = format!("{}/{}", expected.namespace, expected.claim);
                let came = view.volumes.iter().any(|volume| {
                    volume.name == name
                        && volume.phase == "Completed"
                        && volume.bytes.done >= volume.bytes.total
                        && (volume.bytes.total > 0 || expected.bytes.unwrap_or(0) == 0)
                });
                // What does not end well is told of in Velero's own words below.
                let told = view
                    .volumes
                    .iter()
                    .find(|volume| volume.name == name)
                    .map(|volume| volume.phase == "Completed" && volume.bytes.total == 0);
                match told {
                    _ if came => None,
                    None => Some(format!(
                        "the data of claim {claim} was not brought back: Velero did not make the \
                         pod that it belongs to"
                    )),
                    Some(true) => Some(format!(
                        "of the data of claim {claim}, {} bytes in the backup, nothing was brought \
                         back",
                        expected.bytes.unwrap_or(0)
                    )),
                    Some(false) => None,
                }
            })
            .collect()
    }
}
