//! Waiting until Argo CD is quiet, and seeing that it still is.

use super::{Effect, Pass, Step};
use crate::request::applications::{Application, Unquiet};
use crate::request::facts::{Fact, LookFor};
use crate::request::guard::{Guard, holds};
use crate::request::resource::Outcome;

/// What keeps an Application from being quiet.
enum Unsettled {
    /// Something can be done about it.
    Do(Effect),
    /// It has to be waited for, in words.
    Wait(String),
}

impl Pass<'_> {
    pub(super) fn settling(&self, applications: &[Application]) -> Step {
        let status = self.status();
        let merged = status
            .pause
            .as_ref()
            .and_then(|fact| fact.merged.as_ref())
            .map(|merged| merged.at);
        let approved = status.approved.as_ref().map(|approved| approved.at);
        // The pause may have been merged long before the approval, and what was
        // quiet may have become unquiet long after either: each begins the wait anew.
        let since = merged
            .max(approved)
            .max(status.unsettled_at)
            .unwrap_or(self.now);
        let look_since = merged.or(approved).unwrap_or(self.now);
        let looked = |application: &Application| {
            status.refreshed_for_pause.contains(&application.key())
                || application.looked_since(look_since)
        };
        let Some(unsettled) = first_unsettled(applications, looked) else {
            let names = applications
                .iter()
                .filter(|application| application.deploys)
                .map(Application::key)
                .collect();
            return Step::Record(Fact::Settled(names));
        };
        if self.is_late(since, self.policy.settle_within) {
            let why = match unsettled {
                Unsettled::Wait(why) => why,
                Unsettled::Do(effect) => status
                    .last_error
                    .as_ref()
                    .filter(|last| last.effect == effect.name())
                    .map_or_else(
                        || format!("it took too long to {}", effect.name()),
                        |last| format!("could not {}: {}", last.effect, last.message),
                    ),
            };
            return Step::Record(Fact::Ended(
                Outcome::Expired,
                format!("Argo CD did not become quiet in time: {why}. Nothing was deleted."),
            ));
        }
        match unsettled {
            Unsettled::Do(effect) => Step::Act(effect),
            Unsettled::Wait(why) => {
                Self::until_deadline(self.from(since), self.policy.settle_within, Some(why))
            }
        }
    }

    /// S4: looked at for every batch. Before the first one every Application must be
    /// among those that settled: of another it is not known that Argo CD has looked
    /// at it since the pause.
    pub(super) fn still_quiet(&self, applications: &[Application]) -> Result<(), String> {
        let status = self.status();
        for application in applications
            .iter()
            .filter(|application| application.deploys)
        {
            let key = application.key();
            let looked = status.clearing_began()
                || status
                    .settled
                    .as_ref()
                    .is_some_and(|settled| settled.applications.contains(&key));
            if let Err(unquiet) = application.quiet(looked)
                && holds(Guard::S4)
            {
                return Err(format!(
                    "{key} {}",
                    match unquiet {
                        Unquiet::NotLooked => "is being looked at by Argo CD",
                        Unquiet::SelfHeals => "has self-heal on again",
                        Unquiet::Operating => "is being synced",
                        Unquiet::NeverRecorded =>
                            "is at a new revision that Argo CD would sync at once",
                    }
                ));
            }
        }
        Ok(())
    }
}

/// Walks the Applications, parents first, to the first that is not quiet.
fn first_unsettled(
    applications: &[Application],
    looked: impl Fn(&Application) -> bool,
) -> Option<Unsettled> {
    let look = |application: &Application| {
        Unsettled::Do(Effect::Look(
            LookFor::Pause,
            application.namespace.clone(),
            application.name.clone(),
        ))
    };
    for parent in applications
        .iter()
        .filter(|application| !application.deploys)
    {
        if parent.refreshing {
            return Some(Unsettled::Wait(format!(
                "Argo CD is looking at {}",
                parent.key()
            )));
        }
        if !looked(parent) {
            return Some(look(parent));
        }
    }
    for application in applications
        .iter()
        .filter(|application| application.deploys)
    {
        let key = application.key();
        let wait = match application.quiet(looked(application)) {
            Ok(()) => continue,
            Err(Unquiet::NotLooked) if application.refreshing => {
                format!("Argo CD is looking at {key}")
            }
            Err(Unquiet::NotLooked) => return Some(look(application)),
            Err(Unquiet::SelfHeals) if application.generated => {
                format!("the order's change has not reached {key} yet: self-heal is still on")
            }
            Err(Unquiet::SelfHeals) => format!(
                "{key} still heals, and the order does not reach it: turn selfHeal off in {}",
                application.written_in()
            ),
            Err(Unquiet::Operating) => format!("{key} is being synced"),
            Err(Unquiet::NeverRecorded) if application.sync == "Synced" => {
                return Some(Unsettled::Do(Effect::RecordRevision(
                    application.namespace.clone(),
                    application.name.clone(),
                )));
            }
            Err(Unquiet::NeverRecorded) => format!(
                "{key} is {} at a revision that Argo CD will still sync",
                application.sync
            ),
        };
        return Some(Unsettled::Wait(wait));
    }
    None
}
