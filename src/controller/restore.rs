//! The restore as a machine of the loop.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use kube::runtime::events::EventType;
use kube::{Api, ResourceExt as _};

use super::machine::{Machine, created, uid};
use super::{Context, act, observe, status};
use crate::request::conditions::publish;
use crate::request::people::People;
use crate::request::resource::{Verdict, Via};
use crate::request::{
    Effect, Fact, LastError, Observed, Phase, Policy, RestoreRequest, Step, Subject, apply, decide,
    phase, summary,
};

/// What a pass saw of the world, and of people's rights.
pub(super) struct Seen {
    observed: Observed,
    /// Nothing where the configuration's rights are what counts.
    people: Option<People>,
}

impl Machine for RestoreRequest {
    type Fact = Fact;
    type Effect = Effect;
    type Observed = Seen;

    const ACTION: &'static str = "Restore";

    fn api(context: &Context) -> &Api<Self> {
        &context.requests
    }

    fn tenant(&self) -> &str {
        &self.spec.tenant
    }

    fn phase_name(&self) -> &'static str {
        self.phase().name()
    }

    fn is_over(&self) -> bool {
        self.phase().is_over()
    }

    fn steps(&self, now: Timestamp) -> Vec<(&'static str, SignedDuration)> {
        let created = self.creation_timestamp().map_or(now, |time| time.0);
        summary::spans(&status(self), created, now)
            .into_iter()
            .map(|(step, from, to)| (step, to.duration_since(from)))
            .collect()
    }

    fn needs_admission(&self) -> bool {
        match self.phase() {
            Phase::Checking => true,
            // What was checked is checked again just before the first delete.
            Phase::Clearing => !status(self).clearing_began(),
            _ => false,
        }
    }

    async fn lay_down_rights(&self, context: &Context) -> anyhow::Result<()> {
        let held = context.rights.held_by(&self.name_any());
        if held.is_empty() || self.phase() == Phase::Clearing {
            return Ok(());
        }
        context.rights.take(&held).await
    }

    async fn observe(&self, context: &Context) -> anyhow::Result<Seen> {
        let people = rights(context, self).await?;
        let known = people.as_ref().unwrap_or(&context.config.policy.people);
        let observed = observe::observe(context, self, self.phase(), known).await?;
        Ok(Seen { observed, people })
    }

    fn nothing_seen() -> Seen {
        Seen {
            observed: Observed::Nothing,
            people: None,
        }
    }

    fn decide(&self, seen: &Seen, context: &Context, now: Timestamp) -> Step {
        let subject = Subject {
            uid: &uid(self),
            created: created(self),
            spec: &self.spec,
            status: &status(self),
        };
        let policy = &context.config.policy;
        match &seen.people {
            Some(people) => {
                let policy = Policy {
                    people: people.clone(),
                    ..policy.clone()
                };
                decide(subject, &seen.observed, &policy, now)
            }
            None => decide(subject, &seen.observed, policy, now),
        }
    }

    fn name_of(effect: &Effect) -> &'static str {
        effect.name()
    }

    async fn act(&self, context: &Context, effect: Effect) -> anyhow::Result<Option<Fact>> {
        act::act(context, self, effect).await
    }

    fn apply(&mut self, fact: Fact, now: Timestamp) {
        let before = self.phase();
        let mut next = status(self);
        apply(&mut next, fact, now);
        if phase(&next) != before {
            // What the last phase waited for is not what this one waits for.
            next.waiting = None;
        }
        publish(&mut next, self.metadata.generation, now);
        self.status = Some(next);
    }

    fn waits(why: Option<String>) -> Fact {
        Fact::Waiting(why)
    }

    fn failed(effect: String, message: String) -> Fact {
        Fact::Failed { effect, message }
    }

    fn waiting(&self) -> Option<&str> {
        let note = self.status.as_ref()?.waiting.as_ref()?;
        Some(&note.message)
    }

    fn last_error(&self) -> Option<&LastError> {
        self.status.as_ref()?.last_error.as_ref()
    }

    fn milestone(&self) -> (EventType, String) {
        let phase = self.phase();
        let type_ = match phase {
            Phase::Stuck | Phase::Refused | Phase::Expired => EventType::Warning,
            _ => EventType::Normal,
        };
        let note = self
            .status
            .as_ref()
            .and_then(|status| match phase {
                Phase::Stuck => status.stuck.as_ref().map(|stuck| stuck.message.clone()),
                _ => status.ending.as_ref().map(|ending| ending.message.clone()),
            })
            .unwrap_or_else(|| format!("The restore is {}.", phase.in_words()));
        (type_, note)
    }
}

/// How long what was seen of people's rights holds while nothing hangs on it.
const RIGHTS_HOLD: Duration = Duration::from_secs(30);

/// The people with the rights that they have now: the requester's where it is
/// checked, and the reviewers' where an approval counts; just before the first
/// delete they are asked for anew (S3).
async fn rights(context: &Context, request: &RestoreRequest) -> anyhow::Result<Option<People>> {
    let people = &context.config.policy.people;
    let phase = request.phase();
    let within = match phase {
        Phase::Checking | Phase::AwaitingApproval | Phase::Resuming => RIGHTS_HOLD,
        Phase::Clearing if !status(request).clearing_began() => Duration::ZERO,
        _ => return Ok(None),
    };
    let about = request
        .spec
        .votes
        .iter()
        .map(|vote| &vote.by)
        .chain([&request.spec.requester])
        .collect();
    match context.people.known(people, about, within).await {
        Ok(mut known) => {
            if phase == Phase::Clearing {
                strip_taken_back(request, &mut known);
            }
            Ok(Some(known))
        }
        // Self-heal has to come back whether the chat is there or not; only what
        // these people said in it does not count until it can be asked.
        Err(error) if phase == Phase::Resuming => {
            tracing::warn!(
                error = format!("{error:#}"),
                "people's rights cannot be asked for"
            );
            let mut without = people.clone();
            for entry in &mut without.0 {
                let said = request.spec.votes.iter().any(|vote| {
                    let account = (vote.by.chat.clone(), vote.by.id.clone());
                    entry.accounts.contains(&account)
                });
                entry.reviewer &= !said;
            }
            Ok(Some(without))
        }
        Err(error) => Err(error),
    }
}

/// Whoever has taken back the vote that the approval rests on approves no more.
fn strip_taken_back(request: &RestoreRequest, people: &mut People) {
    let Some(approved) = status(request).approved else {
        return;
    };
    if approved.via != Via::Chat {
        return;
    }
    let stands = request.spec.votes.iter().any(|vote| {
        vote.verdict == Verdict::Approve
            && vote.digest == approved.digest
            && people
                .by_account(&vote.by)
                .is_some_and(|entry| entry.name == approved.by)
    });
    if stands {
        return;
    }
    for entry in &mut people.0 {
        entry.reviewer &= entry.name != approved.by;
    }
}
