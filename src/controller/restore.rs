//! The restore as a machine of the loop.

use jiff::Timestamp;
use kube::runtime::events::EventType;
use kube::{Api, ResourceExt as _};

use super::machine::Machine;
use super::{Context, act, observe, phase_of, status, uid};
use crate::request::conditions::publish;
use crate::request::{
    Effect, Fact, LastError, Observed, Phase, RestoreRequest, Step, Subject, apply, decide, phase,
};

impl Machine for RestoreRequest {
    type Fact = Fact;
    type Effect = Effect;
    type Observed = Observed;

    const ACTION: &'static str = "Restore";

    fn api(context: &Context) -> &Api<Self> {
        &context.requests
    }

    fn tenant(&self) -> &str {
        &self.spec.tenant
    }

    fn phase_name(&self) -> &'static str {
        phase_of(self).name()
    }

    fn needs_admission(&self) -> bool {
        match phase_of(self) {
            Phase::Checking => true,
            // What was checked is checked again just before the first delete.
            Phase::Clearing => !status(self).clearing_began(),
            _ => false,
        }
    }

    async fn lay_down_rights(&self, context: &Context) -> anyhow::Result<()> {
        let held = context.rights.held_by(&self.name_any());
        if held.is_empty() || phase_of(self) == Phase::Clearing {
            return Ok(());
        }
        context.rights.take(&held).await
    }

    async fn observe(&self, context: &Context) -> anyhow::Result<Observed> {
        observe::observe(context, self, phase_of(self)).await
    }

    fn nothing_seen() -> Observed {
        Observed::Nothing
    }

    fn decide(&self, observed: &Observed, context: &Context, now: Timestamp) -> Step {
        let subject = Subject {
            uid: &uid(self),
            created: self
                .creation_timestamp()
                .map_or(Timestamp::UNIX_EPOCH, |time| time.0),
            spec: &self.spec,
            status: &status(self),
        };
        decide(subject, observed, &context.config.policy, now)
    }

    fn name_of(effect: &Effect) -> &'static str {
        effect.name()
    }

    async fn act(&self, context: &Context, effect: Effect) -> anyhow::Result<Option<Fact>> {
        act::act(context, self, effect).await
    }

    fn apply(&mut self, fact: Fact, now: Timestamp) {
        let before = phase_of(self);
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
        let phase = phase_of(self);
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
