//! The change of schedules as a machine of the loop: what it looks at, and what it does.

use anyhow::Context as _;
use jiff::Timestamp;
use kube::api::ListParams;
use kube::runtime::events::EventType;
use kube::{Api, ResourceExt as _};

use super::Context;
use super::machine::{Machine, created, uid};
use super::wake::Wake;
use crate::effects::github::{
    Among, Closing, Looking, Merging, Proposal, Proposed, describe_schedule, mirrored,
};
use crate::effects::{argocd, schedules};
use crate::order::{OrderError, ScheduleName};
use crate::request::decide::MERGE_BLOCKED;
use crate::request::{LastError, Opened, Step};
use crate::schedule::checks::{schedules_of, unwanted};
use crate::schedule::conditions::publish;
use crate::schedule::observed::{Applying, Confirming, Other, Survey};
use crate::schedule::{
    Effect, Fact, Observed, Phase, ScheduleRequest, ScheduleStatus, Subject, apply, branch, decide,
    edit, phase, velero_name,
};

/// What Velero does may matter to it.
pub(super) fn watches_velero(request: &ScheduleRequest) -> bool {
    matches!(request.phase(), Phase::Applying | Phase::Confirming)
}

/// What happens on GitHub matters to it.
pub(super) fn wakes(request: &ScheduleRequest, wake: &Wake) -> bool {
    let opened = request
        .status
        .as_ref()
        .and_then(|status| status.pull.as_ref()?.opened.as_ref());
    match wake {
        Wake::Pull(number) => opened.is_some_and(|opened| opened.number == *number),
        Wake::Head(sha) => opened.is_some_and(|opened| opened.head_sha == *sha),
        Wake::Open => matches!(request.phase(), Phase::AwaitingApproval | Phase::Merging),
    }
}

/// What Argo CD does may matter to it.
pub(super) fn watches_argocd(request: &ScheduleRequest) -> bool {
    request.phase() == Phase::Applying
}

fn status(request: &ScheduleRequest) -> ScheduleStatus {
    request.status.clone().unwrap_or_default()
}

fn opened(status: &ScheduleStatus) -> anyhow::Result<&Opened> {
    status
        .pull
        .as_ref()
        .and_then(|pull| pull.opened.as_ref())
        .context("there is no pull request")
}

impl Machine for ScheduleRequest {
    type Fact = Fact;
    type Effect = Effect;
    type Observed = Observed;

    const ACTION: &'static str = "Schedule";

    fn api(context: &Context) -> &Api<Self> {
        &context.schedules
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

    async fn observe(&self, context: &Context) -> anyhow::Result<Observed> {
        let status = status(self);
        Ok(match self.phase() {
            Phase::Checking => Observed::Checking(Box::new(survey(context, self).await?)),
            Phase::AwaitingApproval | Phase::Merging | Phase::Closing => {
                Observed::Pull(pull(context, self, &status).await?)
            }
            Phase::Applying => {
                Observed::Applying(Box::new(applying(context, self, &status).await?))
            }
            Phase::Confirming => Observed::Confirming(confirming(context, &status).await?),
            Phase::Done
            | Phase::Refused
            | Phase::Denied
            | Phase::Withdrawn
            | Phase::Expired
            | Phase::Failed
            | Phase::Superseded
            | Phase::Stuck => Observed::Nothing,
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
        decide(subject, observed, &config.policy, config.schedules, now)
    }

    fn name_of(effect: &Effect) -> &'static str {
        effect.name()
    }

    async fn act(&self, context: &Context, effect: Effect) -> anyhow::Result<Option<Fact>> {
        act(context, self, effect).await
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
            Phase::Stuck | Phase::Refused | Phase::Expired | Phase::Failed => EventType::Warning,
            _ => EventType::Normal,
        };
        let note = self
            .status
            .as_ref()
            .and_then(|status| match phase {
                Phase::Stuck => status.stuck.as_ref().map(|stuck| stuck.message.clone()),
                _ => status.ending.as_ref().map(|ending| ending.message.clone()),
            })
            .unwrap_or_else(|| format!("The change of schedules is {}.", phase.in_words()));
        (type_, note)
    }
}

/// Everything that the checks look at.
async fn survey(context: &Context, request: &ScheduleRequest) -> anyhow::Result<Survey> {
    let spec = &request.spec;
    let permitted = context.config.policy.people.tenants_of(&spec.requester);
    let github = &context.clients.github;
    if !permitted.contains(&spec.tenant) {
        // Nothing is looked up for somebody who may not know of it; the names of the
        // tenants are needed to say which of the permitted ones exist.
        return Ok(Survey {
            tenants: github.orders(&spec.tenant).await?.tenants,
            permitted,
            ..Survey::default()
        });
    }
    let ordered = github.ordered(&spec.tenant).await?;
    let made = spec.change.new_name.as_ref().unwrap_or(&spec.change.name);
    // What is no name is refused by the checks, and cannot be asked for.
    let live = match ScheduleName::parse(made) {
        Ok(made) => {
            schedules::schedule(
                &context.clients.kube,
                &context.config.velero.namespace,
                &velero_name(&spec.tenant, made.as_str()),
            )
            .await?
        }
        Err(_) => None,
    };
    Ok(Survey {
        permitted,
        tenants: ordered.tenants,
        order: ordered.order,
        order_fault: ordered.fault,
        live,
        others: others(context, request).await?,
    })
}

/// The other requests of the tenant that have not ended, read live.
async fn others(context: &Context, request: &ScheduleRequest) -> anyhow::Result<Vec<Other>> {
    let mine = request.uid();
    Ok(context
        .schedules
        .list(&ListParams::default())
        .await?
        .items
        .iter()
        .filter(|other| other.uid() != mine && other.spec.tenant == request.spec.tenant)
        .map(|other| Other {
            name: other.name_any(),
            uid: uid(other),
            created: created(other),
            phase: other.phase(),
            schedules: schedules_of(&other.spec.change),
            requester: other.spec.requester.name.clone(),
        })
        .collect())
}

async fn pull(
    context: &Context,
    request: &ScheduleRequest,
    status: &ScheduleStatus,
) -> anyhow::Result<Option<crate::request::observed::Pull>> {
    let github = &context.clients.github;
    match (&status.pull, opened(status)) {
        (_, Ok(opened)) => {
            let looking = Looking {
                shares: request.phase() == Phase::AwaitingApproval && request.spec.votes.is_empty(),
                ..Looking::default()
            };
            github.look(opened.number, looking).await
        }
        // It may have been opened, and the answer lost.
        (None, Err(_)) if request.phase() == Phase::Closing => {
            github
                .pull_of(&branch(&request.name_any(), &uid(request)))
                .await
        }
        (_, Err(_)) => Ok(None),
    }
}

async fn applying(
    context: &Context,
    request: &ScheduleRequest,
    status: &ScheduleStatus,
) -> anyhow::Result<Applying> {
    let checked = status.checked.as_ref().context("it was not checked")?;
    let kube = &context.clients.kube;
    let namespace = &context.config.velero.namespace;
    let tenant = &request.spec.tenant;
    let unwanted = unwanted(checked).map(|name| velero_name(tenant, name));
    let mut view = Applying::default();
    match context
        .clients
        .github
        .order_facts(&checked.order_path)
        .await
    {
        Ok(order) => view.order = order,
        Err(error) => view.order_fault = Some(error.downcast::<OrderError>()?.to_string()),
    }
    if let Some(after) = &checked.after {
        view.wanted =
            schedules::schedule(kube, namespace, &velero_name(tenant, &after.name)).await?;
    }
    // Argo CD is read before the Schedule: what it no longer asks for cannot have
    // been made by it since.
    let chart = schedules::chart(
        kube,
        &context.config.argocd,
        namespace,
        &checked.namespaces,
        unwanted.as_deref(),
    )
    .await?;
    view.applications = chart.applications;
    view.asked_for = chart.asked_for;
    if let Some(name) = &unwanted {
        view.unwanted = schedules::schedule(kube, namespace, name).await?;
        view.runs = schedules::runs(kube, namespace, name).await?;
    }
    Ok(view)
}

async fn confirming(context: &Context, status: &ScheduleStatus) -> anyhow::Result<Confirming> {
    let applied = status.applied.as_ref().context("it was not applied")?;
    let kube = &context.clients.kube;
    let namespace = &context.config.velero.namespace;
    Ok(Confirming {
        schedule: schedules::schedule(kube, namespace, &applied.schedule).await?,
        runs: schedules::runs(kube, namespace, &applied.schedule).await?,
    })
}

/// Does one effect. `None`: done, and the next look will show it.
async fn act(
    context: &Context,
    request: &ScheduleRequest,
    effect: Effect,
) -> anyhow::Result<Option<Fact>> {
    let kube = &context.clients.kube;
    let github = &context.clients.github;
    let status = status(request);
    Ok(match effect {
        Effect::OpenPull | Effect::RebuildPull => {
            let checked = status.checked.as_ref().context("it was not checked")?;
            let (title, body) = describe_schedule(request, &context.config.policy.time_zone);
            let change = &request.spec.change;
            let branch = branch(&request.name_any(), &uid(request));
            let proposal = Proposal {
                branch: &branch,
                among: Among::Newest,
                again: None,
                path: &checked.order_path,
                title: &title,
                body: &body,
                edit: &|text| edit(change, text),
                insists: false,
            };
            let proposed = match effect {
                Effect::RebuildPull => github.rebuild(&proposal).await?,
                _ => github.propose(&proposal).await?,
            };
            Some(match proposed {
                Proposed::NotNeeded { .. } => Fact::PullNotNeeded,
                Proposed::Opened { opened, .. } => Fact::PullOpened(opened),
            })
        }
        Effect::MergePull(head) => match github.merge(opened(&status)?.number, &head).await? {
            Merging::Merged { sha } => Some(Fact::PullMerged(sha)),
            Merging::Blocked(why) => Some(Fact::Waiting(Some(format!("{MERGE_BLOCKED}: {why}")))),
            Merging::Changed => None,
        },
        Effect::ClosePull(why) => {
            let opened = opened(&status)?;
            Some(
                match github
                    .close(opened.number, &opened.branch, &uid(request), &why)
                    .await?
                {
                    Closing::Merged { sha } => Fact::PullMerged(sha),
                    Closing::Closed => Fact::PullClosed,
                },
            )
        }
        Effect::Mirror => {
            let pull = opened(&status)?;
            let approved = status.approved.as_ref().context("nobody approved it")?;
            let (marker, text) = mirrored(&uid(request), pull, approved);
            github.say_once(pull.number, &marker, &text).await?;
            Some(Fact::Mirrored)
        }
        Effect::Look(namespace, name) => {
            argocd::look(kube, &namespace, &name).await?;
            Some(Fact::Looked(format!("{namespace}/{name}")))
        }
        Effect::DeleteSchedule(name, uid) => {
            schedules::delete_schedule(kube, &context.config.velero.namespace, &name, &uid).await?;
            None
        }
    })
}
