//! The copy as a machine of the loop: what it looks at, and what it does.

use anyhow::Context as _;
use jiff::Timestamp;
use kube::api::ListParams;
use kube::runtime::events::EventType;
use kube::{Api, ResourceExt as _};

use super::machine::{Machine, created, uid};
use super::{Context, survey};
use crate::copy::checks::as_restore;
use crate::copy::conditions::publish;
use crate::copy::observed::{Other, Restoring, Survey};
use crate::copy::{
    CopyRequest, CopyStatus, Effect, Fact, Observed, Phase, Subject, apply, decide, phase,
};
use crate::effects::{cluster, copies, velero};
use crate::request::{LastError, RestoreRequest, Step, names};

/// What Velero does may matter to it.
pub(super) fn watches_velero(request: &CopyRequest) -> bool {
    matches!(request.phase(), Phase::Restoring | Phase::Removing)
}

fn status(request: &CopyRequest) -> CopyStatus {
    request.status.clone().unwrap_or_default()
}

impl Machine for CopyRequest {
    type Fact = Fact;
    type Effect = Effect;
    type Observed = Observed;

    const ACTION: &'static str = "Copy";

    fn api(context: &Context) -> &Api<Self> {
        &context.copies
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

    fn needs_admission(&self) -> bool {
        self.phase() == Phase::Checking
    }

    async fn lay_down_rights(&self, context: &Context) -> anyhow::Result<()> {
        let held = context.rights.held_by(&self.name_any());
        if held.is_empty() || self.phase() == Phase::Removing {
            return Ok(());
        }
        context.rights.take(&held).await
    }

    async fn observe(&self, context: &Context) -> anyhow::Result<Observed> {
        let status = status(self);
        let uid = uid(self);
        let kube = &context.clients.kube;
        let made = order(self, &uid, &status);
        Ok(match self.phase() {
            Phase::Checking => Observed::Checking(Box::new(look_around(context, self).await?)),
            Phase::Making | Phase::Kept => {
                Observed::Namespace(copies::namespace(kube, &made).await?)
            }
            Phase::Restoring | Phase::Removing => {
                Observed::Restoring(restoring(context, self, &uid, &made).await?)
            }
            Phase::Verifying => {
                let name = names::restore(&uid, 0);
                let velero_namespace = &context.config.velero.namespace;
                let volumes = velero::volumes(kube, velero_namespace, &name).await?;
                let into = [self.spec.into.clone()];
                let view = cluster::verifying(kube, &into, volumes).await?;
                Observed::Verifying(Box::new(view), copies::namespace(kube, &made).await?)
            }
            Phase::Done | Phase::Refused | Phase::Withdrawn | Phase::Failed => Observed::Nothing,
        })
    }

    fn nothing_seen() -> Observed {
        Observed::Nothing
    }

    fn decide(&self, observed: &Observed, context: &Context, now: Timestamp) -> Step<Effect, Fact> {
        let subject = Subject {
            uid: &uid(self),
            created: created(self),
            spec: &self.spec,
            status: &status(self),
        };
        let config = &context.config;
        decide(subject, observed, &config.policy, config.copies, now)
    }

    fn name_of(effect: &Effect) -> &'static str {
        effect.name()
    }

    async fn act(&self, context: &Context, effect: Effect) -> anyhow::Result<Option<Fact>> {
        let status = status(self);
        let uid = uid(self);
        let kube = &context.clients.kube;
        let made = order(self, &uid, &status);
        match effect {
            Effect::MakeNamespace => copies::make(kube, &made).await?,
            Effect::Restore => {
                let checked = status.checked.as_ref().context("it was not checked")?;
                let name = self.name_any();
                let namespaces = [self.spec.namespace.clone()];
                let order = velero::Order {
                    namespace: &context.config.velero.namespace,
                    request: &name,
                    uid: &uid,
                    namespaces: &namespaces,
                };
                let into = &self.spec.into;
                let run = velero::create_copy(kube, &order, &checked.backup.name, into).await?;
                return Ok(Some(Fact::Restore(run)));
            }
            Effect::Remove(namespace_uid) => {
                let into = [self.spec.into.clone()];
                context.rights.give(&self.name_any(), &into).await?;
                copies::remove(kube, &made, &namespace_uid).await?;
            }
        }
        Ok(None)
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
            Phase::Refused | Phase::Failed => EventType::Warning,
            _ => EventType::Normal,
        };
        let ending = self
            .status
            .as_ref()
            .and_then(|status| status.ending.as_ref());
        let note = ending.map_or_else(
            || format!("The copy is {}.", phase.in_words()),
            |ending| ending.message.clone(),
        );
        (type_, note)
    }
}

fn order<'a>(request: &'a CopyRequest, uid: &'a str, status: &'a CopyStatus) -> copies::Order<'a> {
    copies::Order {
        request: request.metadata.name.as_deref().unwrap_or_default(),
        uid,
        namespace: &request.spec.namespace,
        into: &request.spec.into,
        uid_range: status
            .checked
            .as_ref()
            .and_then(|checked| checked.uid_range.as_deref()),
    }
}

/// Everything that the checks look at.
async fn look_around(context: &Context, request: &CopyRequest) -> anyhow::Result<Survey> {
    let spec = as_restore(&request.spec);
    // What is looked at for a restore of the original is looked at under this request's own uid.
    let mut as_restore = RestoreRequest::new(&request.name_any(), spec.clone());
    as_restore.metadata.uid.clone_from(&request.metadata.uid);
    as_restore
        .metadata
        .creation_timestamp
        .clone_from(&request.metadata.creation_timestamp);
    let (config, clients) = (&context.config, &context.clients);
    let people = &config.policy.people;
    let original = survey::survey(config, clients, &as_restore, &spec, people).await?;
    let permitted = original.permitted.contains(&spec.tenant);
    let mine = request.uid();
    let others = context
        .copies
        .list(&ListParams::default())
        .await?
        .items
        .iter()
        .filter(|other| other.uid() != mine)
        .map(|other| Other {
            name: other.name_any(),
            tenant: other.spec.tenant.clone(),
            into: other.spec.into.clone(),
            phase: other.phase(),
            requester: other.spec.requester.name.clone(),
        })
        .collect();
    Ok(Survey {
        // Nothing is looked up for somebody who may not know of it.
        taken: permitted
            && !cluster::namespaces(&clients.kube, std::slice::from_ref(&request.spec.into))
                .await?
                .is_empty(),
        original,
        others,
    })
}

async fn restoring(
    context: &Context,
    request: &CopyRequest,
    uid: &str,
    made: &copies::Order<'_>,
) -> anyhow::Result<Restoring> {
    let kube = &context.clients.kube;
    let name = request.name_any();
    let namespaces = [request.spec.namespace.clone()];
    let order = velero::Order {
        namespace: &context.config.velero.namespace,
        request: &name,
        uid,
        namespaces: &namespaces,
    };
    // The namespace is read first: a Restore that is seen after it cannot have begun without it.
    let namespace = copies::namespace(kube, made).await?;
    let seen = velero::restore(kube, &order, 0).await?;
    let mut view = Restoring {
        namespace,
        restore: seen.run,
        failures: seen.failures,
        ahead: seen.ahead,
    };
    if let Some(run) = &view.restore
        && velero::has_ended(&run.phase)
        && run.errors > 0
    {
        match velero::results::results(kube, &order, 0).await {
            Ok(results) => view.failures.extend(results.errors),
            // Why a part failed is worth knowing, but not worth waiting for.
            Err(error) => view
                .failures
                .push(format!("its results could not be read ({error:#})")),
        }
    }
    Ok(view)
}
