//! The safety backup and the clearing.

use jiff::{SignedDuration, Timestamp};

use super::{Effect, Pass, Step, some};
use crate::request::facts::Fact;
use crate::request::guard::{Guard, holds};
use crate::request::inventory::{self, InventorySummary, Next};
use crate::request::observed::{Clearing, SafetyBackup};
use crate::request::preflight::{self, CheckResult, list};
use crate::request::resource::{self, Checked, Outcome, RestoreRun, StuckReason};
use crate::request::{approval, names};

impl Pass<'_> {
    pub(super) fn protecting(&self, backup: Option<&SafetyBackup>) -> Step {
        let status = self.status();
        let within = self.policy.protect_within;
        let Some(backup) = backup else {
            let since = status.settled.as_ref().map_or(self.now, |fact| fact.at);
            return match self.given_up(&Effect::SafetyBackup, since, within) {
                Some(error) => self.stick(
                    StuckReason::SafetyBackupFailed,
                    format!("The safety backup cannot be created: {error}. Nothing was deleted."),
                ),
                None => Step::Act(Effect::SafetyBackup),
            };
        };
        let mut run = backup.run.clone();
        if backup.phase == "Completed" {
            // The clearing tells approved objects from later ones by times of whole
            // seconds; see `begin_clearing`.
            let checked = status.checked.as_ref().map_or(self.now, |fact| fact.at);
            let next_second = a_second_after(checked);
            if self.now < next_second {
                return Step::Wait {
                    until: next_second,
                    why: None,
                };
            }
            run.completed_at = Some(self.now);
            return Step::Record(Fact::SafetyBackup(run));
        }
        // Known before it is given up, so that the next one gets another name.
        if status.safety_backup.as_ref() != Some(&run) {
            return Step::Record(Fact::SafetyBackup(run));
        }
        match backup.phase.as_str() {
            "PartiallyFailed" | "Failed" | "FailedValidation" | "Deleting" => self.stick(
                StuckReason::SafetyBackupFailed,
                format!(
                    "The safety backup {} ended {}{}. Nothing was deleted.",
                    run.name,
                    backup.phase,
                    backup
                        .failure
                        .as_ref()
                        .map(|failure| format!(": {failure}"))
                        .unwrap_or_default()
                ),
            ),
            _ if self.is_late(run.created_at, within) => self.stick(
                StuckReason::SafetyBackupFailed,
                format!(
                    "The safety backup {} did not end in time; its phase is {}. Nothing was deleted.",
                    run.name,
                    if backup.phase.is_empty() { "New" } else { &backup.phase }
                ),
            ),
            _ => Self::until_deadline(self.from(run.created_at), within, None),
        }
    }

    pub(super) fn clearing(&self, view: &Clearing) -> Step {
        let status = self.status();
        // S11: once there has been a Restore, whatever became of it, nothing is deleted.
        let restored =
            (status.restore.is_some() || !status.earlier_restores.is_empty()) && holds(Guard::S11);
        if holds(Guard::S11) && view.restore_exists && !restored {
            // The fact was lost, or somebody made it. It is written down first, so that
            // it is known for ever, even if somebody deletes it now.
            return Step::Record(Fact::Restore(RestoreRun {
                name: names::restore(self.subject.uid, 0),
                uid: String::new(),
                created_at: self.now,
                phase: String::new(),
                started_at: None,
                items: resource::Progress::default(),
                bytes: resource::Progress::default(),
                warnings: 0,
                errors: 0,
                progressed_at: None,
                ended_at: None,
                notes: Vec::new(),
                harmless: 0,
            }));
        }
        if restored {
            return self.stick(
                StuckReason::ClearingBlocked,
                "A Restore of this request exists although the clearing had not ended. Nothing \
                 more is deleted. Say `restore retry` to follow that Restore to its end, or \
                 `restore resume` to leave things as they are."
                    .to_owned(),
            );
        }
        match &status.clearing {
            None => self.begin_clearing(view),
            Some(fact) => self.go_on_clearing(view, fact),
        }
    }

    /// Everything is checked again just before the first delete (S2, S3, S4, S5, S7).
    ///
    /// From here on an object is told to be an approved one by its age. The
    /// API server's times have whole seconds, rounded down, and its clock is not
    /// ours; so the bound is the creation of the youngest approved object, by the
    /// API server's own clock. That no later object reads as old follows thus:
    /// the survey before the approval showed every approved object, so each was
    /// made no later than `checked.at`. This survey was taken after the safety
    /// backup was seen Completed, at least a second after `checked.at` (see
    /// `protecting`), and its digest is the approved one: it holds no other object.
    /// What it does not hold was made after it, more than a second after the youngest
    /// approved one, and so reads as at least one second younger.
    fn begin_clearing(&self, view: &Clearing) -> Step {
        let status = self.status();
        let (Some(survey), Some(checked), Some(approved)) =
            (&view.survey, &status.checked, &status.approved)
        else {
            return self.look_again(None);
        };
        // Where the safety backup was waived, nothing else has taken that second.
        let next_second = a_second_after(checked.at);
        if self.now < next_second {
            return Step::Wait {
                until: next_second,
                why: None,
            };
        }
        let people = &self.policy.people;
        let may = people
            .by_name(&approved.by)
            .is_some_and(|entry| approval::may_approve(self.subject.spec, people, entry));
        if !may && holds(Guard::S3) {
            return Step::Record(Fact::Voided(
                format!("{} may no longer approve.", approved.by),
                None,
            ));
        }
        if approved.digest != self.digest() {
            return Step::Record(Fact::Voided(
                "What was approved is not what is there now.".to_owned(),
                None,
            ));
        }
        if let Some(lacking) = self.lacks_consent() {
            return Step::Record(Fact::Voided(
                format!("The consent that was given no longer counts: {lacking}."),
                None,
            ));
        }
        // The backup that was approved is checked, by its name.
        let spec = self.subject.spec.pinned_to(&checked.backup.name);
        let again = match preflight::check(&spec, survey, &self.terms(), self.now) {
            Ok(again) => again,
            Err(why) => {
                return Step::Record(Fact::Ended(
                    Outcome::Refused,
                    format!("A check that had passed fails now: {why} Nothing was deleted."),
                ));
            }
        };
        if again.backup.uid != checked.backup.uid {
            return Step::Record(Fact::Ended(
                Outcome::Refused,
                format!(
                    "The backup {} was replaced by another of the same name. Nothing was deleted.",
                    checked.backup.name
                ),
            ));
        }
        if again.inventory.digest != checked.inventory.digest && holds(Guard::S2) {
            let changed = changes(&checked.inventory, &again.inventory);
            return Step::Record(Fact::Voided(
                format!("What would be deleted has changed since it was approved: {changed}."),
                Some(Box::new(again)),
            ));
        }
        let needing = |checked: &Checked| -> Vec<String> {
            checked
                .needing_consent()
                .map(CheckResult::in_words)
                .collect()
        };
        if needing(&again) != needing(checked) {
            return Step::Record(Fact::Voided(
                format!(
                    "What needs a reviewer's consent has changed: {}.",
                    some(&needing(&again))
                ),
                Some(Box::new(again)),
            ));
        }
        if let Err(unquiet) = self.still_quiet(&view.applications) {
            tracing::info!(%unquiet, "no longer quiet before the clearing");
            return Step::Record(Fact::Unsettled);
        }
        Step::Record(Fact::ClearingBegan {
            total: again.inventory.total(),
            cutoff: inventory::youngest(&survey.objects, &survey.ownership)
                .unwrap_or(Timestamp::UNIX_EPOCH),
        })
    }

    fn go_on_clearing(&self, view: &Clearing, fact: &resource::Clearing) -> Step {
        let Some(checked) = &self.status().checked else {
            return self.look_again(None);
        };
        let blocked = |why: String| {
            if self.is_late(fact.began_at, self.policy.clear_within) {
                self.stick(
                    StuckReason::ClearingBlocked,
                    format!("The clearing does not come to an end: {why}."),
                )
            } else {
                self.look_again(why)
            }
        };
        if !view.undiscovered.is_empty() {
            return blocked(format!(
                "the API server does not say which kinds it has in {}",
                list(&view.undiscovered)
            ));
        }
        if let Err(unquiet) = self.still_quiet(&view.applications) {
            return blocked(unquiet);
        }
        let remaining =
            i64::try_from(inventory::doomed(&view.objects, &view.ownership)).unwrap_or(i64::MAX);
        let next = inventory::next_batch(
            &view.objects,
            &view.ownership,
            &checked.inventory,
            fact.cutoff,
            self.policy.batch,
        );
        if next != Next::Empty && fact.empty_looks > 0 {
            // Twice in a row means in a row.
            return Step::Record(Fact::SeenNotEmpty);
        }
        match next {
            Next::Empty => Step::Record(Fact::SeenEmpty),
            Next::Delete(batch) => {
                let effect = Effect::Delete(batch);
                match self.given_up(&effect, fact.began_at, self.policy.clear_within) {
                    Some(error) => blocked(error),
                    None => Step::Act(effect),
                }
            }
            Next::Terminating(names) => {
                let done = (fact.progress.total - remaining).max(0);
                if done != fact.progress.done {
                    return Step::Record(Fact::ClearingProgress(done));
                }
                blocked(format!("waiting until these are gone: {}", some(&names)))
            }
            Next::Foreign(names) => blocked(format!(
                "these appeared after the clearing began, or are of a kind that nobody approved, \
                 and are not deleted: {}",
                some(&names)
            )),
        }
    }
}

fn a_second_after(at: Timestamp) -> Timestamp {
    at.saturating_add(SignedDuration::from_secs(1))
        .unwrap_or(Timestamp::MAX)
}

/// What differs between two inventories, in words.
fn changes(before: &InventorySummary, after: &InventorySummary) -> String {
    let mut words = Vec::new();
    for (kind, &now) in &after.delete {
        let then = before.delete.get(kind).copied().unwrap_or(0);
        if now != then {
            words.push(format!("{kind} {then} before, {now} now"));
        }
    }
    for (kind, then) in &before.delete {
        if !after.delete.contains_key(kind) {
            words.push(format!("{kind} {then} before, none now"));
        }
    }
    if words.is_empty() {
        "objects were replaced by others of the same kind".to_owned()
    } else {
        some(&words)
    }
}
