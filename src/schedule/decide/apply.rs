//! From the merge to the first good backup.

use jiff::{SignedDuration, Timestamp};

use super::{Effect, Pass, Step, end, later};
use crate::request::applications::Application;
use crate::request::preflight::list;
use crate::schedule::checks::{reads_as_asked, same_ttl, unwanted};
use crate::schedule::facts::Fact;
use crate::schedule::observed::{Applying, Confirming, LiveSchedule, Run};
use crate::schedule::resource::{
    Applied, Checked, Confirmed, Entry, Outcome, Remaining, StuckReason,
};
use crate::schedule::{next_run, velero_name};

/// How many of the backups that stay are told by name.
const NAMED: usize = 5;

/// What keeps the cluster from having what the order says.
enum Lacking {
    /// Something can be done about it.
    Do(Effect),
    /// It has to be waited for, in words.
    Wait(String),
    /// It will not come by waiting.
    Never(String),
}

impl Pass<'_> {
    pub(super) fn applying(&self, view: &Applying) -> Step {
        let status = self.status();
        let (Some(checked), Some(since)) = (&status.checked, status.in_order_since()) else {
            return self.look_again(None);
        };
        let late = self.is_late(since, self.policy.apply_within);
        let reads = match &view.order_fault {
            Some(fault) => Err(format!("it cannot be read: {fault}")),
            None => reads_as_asked(checked, view.order.as_ref()),
        };
        if let Err(why) = reads {
            return if late {
                self.stick(
                    StuckReason::OrderDiffers,
                    format!(
                        "The pull request is merged, but the order does not read as asked: {why}."
                    ),
                )
            } else {
                self.look_again(format!("the order does not read as asked yet: {why}"))
            };
        }
        if let (Some(_), Some(live)) = (&checked.after, &view.wanted)
            && let Some(why) = refusal(checked, live)
        {
            return end(Outcome::Failed, why);
        }
        match self.lacking(checked, view, since) {
            None => Step::Record(self.applied(checked, view)),
            Some(Lacking::Never(why)) => self.stick(StuckReason::NotApplied, why),
            Some(Lacking::Wait(why)) if late => self.stick(
                StuckReason::NotApplied,
                format!("The cluster does not have in time what the order says: {why}."),
            ),
            Some(Lacking::Do(effect)) if late => self.stick(
                StuckReason::NotApplied,
                status
                    .last_error
                    .as_ref()
                    .filter(|last| last.effect == effect.name())
                    .map_or_else(
                        || format!("It took too long to {}.", effect.name()),
                        |last| format!("It cannot {}: {}.", last.effect, last.message),
                    ),
            ),
            Some(Lacking::Wait(why)) => self.look_again(why),
            Some(Lacking::Do(effect)) => Step::Act(effect),
        }
    }

    /// The first thing that is missing, if anything is.
    fn lacking(&self, checked: &Checked, view: &Applying, since: Timestamp) -> Option<Lacking> {
        let wanted = match (&checked.after, &view.wanted) {
            (None, _) => None,
            (Some(after), Some(live)) => is_as_ordered(checked, after, live).err(),
            (Some(after), None) => Some(format!(
                "Velero has no Schedule {} yet",
                velero_name(&self.subject.spec.tenant, &after.name)
            )),
        };
        if wanted.is_none() && view.unwanted.is_none() {
            return None;
        }
        if let Some(step) = self.argo(&view.applications, since) {
            return Some(step);
        }
        if let Some(why) = wanted {
            return Some(Lacking::Wait(why));
        }
        let old = view.unwanted.as_ref()?;
        if old.deleting {
            return Some(Lacking::Wait(format!("the Schedule {} is going", old.name)));
        }
        if view.asked_for {
            return Some(Lacking::Wait(format!(
                "Argo CD still asks for the Schedule {}",
                old.name
            )));
        }
        Some(self.leave(checked, old))
    }

    /// Argo CD has looked since the merge, parents first, and carried out what it saw.
    fn argo(&self, applications: &[Application], since: Timestamp) -> Option<Lacking> {
        if applications.is_empty() {
            return Some(Lacking::Wait(format!(
                "no Application of Argo CD holds anything of the tenant {}",
                self.subject.spec.tenant
            )));
        }
        let refreshed = &self.status().refreshed;
        for application in applications {
            let key = application.key();
            if application.refreshing {
                return Some(Lacking::Wait(format!("Argo CD is looking at {key}")));
            }
            if !refreshed.contains(&key) && !application.looked_since(since) {
                return Some(Lacking::Do(Effect::Look(
                    application.namespace.clone(),
                    application.name.clone(),
                )));
            }
        }
        // Of the parents it only matters that they have looked; the last one is the
        // tenant's own.
        let last = applications.last()?;
        let key = last.key();
        let why = if let Some(error) = &last.sync_error {
            format!("the last sync of {key} failed: {error}")
        } else if last.operation_requested || last.operation_phase == "Running" {
            format!("{key} is being synced")
        } else if last.sync != "Synced" && !last.automated {
            format!("{key} is not synced, and Argo CD does not sync it by itself: sync it there")
        } else if last.sync != "Synced" {
            format!("{key} is not synced yet")
        } else {
            return None;
        };
        Some(Lacking::Wait(why))
    }

    /// What is not in the order any more and Argo CD leaves, because it was told not
    /// to prune it: it would go on taking backups for ever.
    fn leave(&self, checked: &Checked, old: &LiveSchedule) -> Lacking {
        let merged = self
            .status()
            .pull
            .as_ref()
            .is_some_and(|pull| pull.merged.is_some());
        let ours = !old.namespaces.is_empty()
            && old
                .namespaces
                .iter()
                .all(|namespace| checked.namespaces.contains(namespace));
        let by_hand = |why: &str| {
            Lacking::Never(format!(
                "The order has the schedule no more, but the Velero Schedule {} is still there, \
                 and Refloat does not delete it: {why}. Have a platform operator look at it, then \
                 say `schedule retry`.",
                old.name
            ))
        };
        if !merged {
            by_hand("nobody approved that by merging this request's pull request")
        } else if !ours {
            by_hand("it covers namespaces that are not the tenant's")
        } else if old.owns_backups {
            by_hand("its backups would go with it (`useOwnerReferencesInBackup`)")
        } else {
            Lacking::Do(Effect::DeleteSchedule(old.name.clone(), old.uid.clone()))
        }
    }

    fn applied(&self, checked: &Checked, view: &Applying) -> Fact {
        let tenant = &self.subject.spec.tenant;
        let remaining = unwanted(checked).map(|_| {
            let good = view.runs.iter().filter(|run| is_good(run));
            Remaining {
                backups: i64::try_from(good.clone().count()).unwrap_or(i64::MAX),
                newest: good
                    .clone()
                    .take(NAMED)
                    .map(|run| run.name.clone())
                    .collect(),
                until: good.filter_map(|run| run.expires_at).max(),
            }
        });
        let (name, live) = match (&checked.after, &view.wanted) {
            (Some(after), live) => (&after.name, live.as_ref()),
            (None, _) => (&self.subject.spec.change.name, None),
        };
        Fact::Applied(
            Applied {
                at: self.now,
                schedule: velero_name(tenant, name),
                uid: live.map(|live| live.uid.clone()),
                next_run: live.and_then(|live| next_run(&live.cron, self.now)),
            },
            remaining,
        )
    }

    pub(super) fn confirming(&self, view: &Confirming) -> Step {
        let status = self.status();
        let (Some(checked), Some(applied)) = (&status.checked, &status.applied) else {
            return self.look_again(None);
        };
        let Some(after) = &checked.after else {
            return self.look_again(None);
        };
        let Some(live) = &view.schedule else {
            return end(
                Outcome::Superseded,
                format!(
                    "The Schedule {} was removed before its first good backup.",
                    applied.schedule
                ),
            );
        };
        if let Some(why) = refusal(checked, live) {
            return end(Outcome::Failed, why);
        }
        if live.cron != after.schedule {
            return end(
                Outcome::Superseded,
                format!(
                    "The Schedule {} was changed to {} before its first good backup.",
                    applied.schedule, live.cron
                ),
            );
        }
        // Velero's moments have whole seconds.
        let since: Vec<&Run> = view
            .runs
            .iter()
            .filter(|run| {
                run.started_at
                    .is_some_and(|at| at.as_second() >= applied.at.as_second())
            })
            .collect();
        if let Some(good) = since.iter().find(|run| run.phase == "Completed") {
            return Step::Record(Fact::Confirmed(Confirmed {
                at: self.now,
                backup: good.name.clone(),
                started_at: good.started_at.unwrap_or(self.now),
                expires_at: good.expires_at,
            }));
        }
        let newest_bad = since.iter().find(|run| has_ended(run));
        if let Some(bad) = newest_bad {
            let words = bad_run(bad);
            if status.bad_run.as_ref().map(|note| &note.message) != Some(&words) {
                return Step::Record(Fact::BadRun(words));
            }
        }
        // A run that ended badly is no reason to give up before the next one.
        let from = newest_bad
            .and_then(|bad| bad.started_at)
            .max(Some(self.from(applied.at)))
            .unwrap_or(applied.at);
        let due = next_run(&live.cron, from).unwrap_or_else(|| later(from, A_DAY));
        let deadline = later(due, self.policy.backup_within);
        if self.now >= deadline {
            return self.stick(
                StuckReason::NotConfirmed,
                format!(
                    "No good backup of the Schedule {} has come{}.",
                    applied.schedule,
                    status
                        .bad_run
                        .as_ref()
                        .map(|note| format!(": {}", note.message))
                        .unwrap_or_default()
                ),
            );
        }
        let why = if live.paused {
            "the Schedule is paused in Velero".to_owned()
        } else if since.iter().any(|run| !has_ended(run)) {
            "its first backup is being taken".to_owned()
        } else {
            // Without the moment, so that it reads the same until then.
            "its next run".to_owned()
        };
        Step::Wait {
            until: deadline.min(self.after(self.common.poll.max(self.common.look_again))),
            why: Some(why),
        }
    }
}

/// Without a next run to reckon with.
const A_DAY: SignedDuration = SignedDuration::from_hours(24);

/// Velero's refusal of a schedule that is as ordered, in words.
fn refusal(checked: &Checked, live: &LiveSchedule) -> Option<String> {
    let after = checked.after.as_ref()?;
    (live.phase == "FailedValidation" && live.cron == after.schedule).then(|| {
        format!(
            "Velero refuses the Schedule {}: {}. It is in the order all the same: order another \
             time with `schedule change`, or take it out with `schedule remove`.",
            live.name,
            if live.errors.is_empty() {
                "it gives no reason".to_owned()
            } else {
                list(&live.errors)
            }
        )
    })
}

fn is_as_ordered(checked: &Checked, after: &Entry, live: &LiveSchedule) -> Result<(), String> {
    let name = &live.name;
    if live.deleting {
        return Err(format!("the Schedule {name} is being deleted"));
    }
    if live.cron != after.schedule {
        return Err(format!("the Schedule {name} still runs at {}", live.cron));
    }
    if after.ttl.is_some() && !same_ttl(after.ttl.as_deref(), live.ttl.as_deref()) {
        return Err(format!(
            "the Schedule {name} still keeps backups for {}",
            live.ttl.as_deref().unwrap_or("Velero's default")
        ));
    }
    if !live
        .namespaces
        .iter()
        .all(|namespace| checked.namespaces.contains(namespace))
    {
        return Err(format!(
            "the Schedule {name} covers namespaces that are not the tenant's"
        ));
    }
    if live.phase != "Enabled" {
        return Err(format!("Velero has not taken up the Schedule {name} yet"));
    }
    Ok(())
}

fn is_good(run: &Run) -> bool {
    matches!(run.phase.as_str(), "Completed" | "PartiallyFailed")
}

fn has_ended(run: &Run) -> bool {
    matches!(
        run.phase.as_str(),
        "Completed" | "PartiallyFailed" | "Failed" | "FailedValidation"
    )
}

fn bad_run(run: &Run) -> String {
    format!(
        "the backup {} ended {}{}",
        run.name,
        run.phase,
        run.failure
            .as_ref()
            .map(|why| format!(": {why}"))
            .unwrap_or_default()
    )
}
