//! Looking at the world: for each phase, what its decision needs, read live.

use std::collections::BTreeSet;

use kube::ResourceExt as _;
use kube::api::ListParams;

use super::{Context, phase_of, round, status, uid};
use crate::effects::github::Found;
use crate::effects::{argocd, cluster, velero};
use crate::request::inventory::in_the_way;
use crate::request::observed::{Clearing, Observed, Restoring, Resuming};
use crate::request::people::People;
use crate::request::preflight::{Other, Survey, label_value};
use crate::request::{Phase, RestoreRequest, RestoreStatus, names};

/// Reads what `phase` needs; touches nothing.
pub(super) async fn observe(
    context: &Context,
    request: &RestoreRequest,
    phase: Phase,
    people: &People,
) -> anyhow::Result<Observed> {
    let clients = &context.clients;
    let facts = status(request);
    let namespaces = &request.spec.namespaces;
    let uid = uid(request);
    let order = order(context, request, &uid);
    Ok(match phase {
        Phase::Checking => Observed::Checking(Box::new(survey(context, request, people).await?)),
        Phase::AwaitingApproval => {
            Observed::AwaitingApproval(pull(context, pause_number(&facts)).await?)
        }
        Phase::Pausing => Observed::Pausing(pull(context, pause_number(&facts)).await?),
        Phase::Settling => Observed::Settling(
            argocd::find(&clients.kube, &context.config.argocd, namespaces)
                .await?
                .applications,
        ),
        Phase::Protecting => Observed::Protecting(
            velero::safety_backup(&clients.kube, &order, facts.safety_round()).await?,
        ),
        Phase::Clearing => Observed::Clearing(Box::new(
            clearing(context, request, &facts, &order, people).await?,
        )),
        Phase::Restoring => {
            let seen = velero::restore(&clients.kube, &order, round(request)).await?;
            let mut view = Restoring {
                restore: seen.run,
                failures: seen.failures,
                ahead: seen.ahead,
                in_the_way: Vec::new(),
                undiscovered: Vec::new(),
            };
            let ended_in_part = view
                .restore
                .as_ref()
                .is_some_and(|run| run.phase == "PartiallyFailed");
            if ended_in_part {
                match velero::results::errors(&clients.kube, &order, round(request)).await {
                    Ok(errors) => view.failures.extend(errors),
                    // Why it failed is worth knowing, but not worth waiting for.
                    Err(error) => view
                        .failures
                        .push(format!("its results could not be read ({error:#})")),
                }
            }
            if view.restore.is_none() && facts.restore.is_none() {
                let ownership = argocd::find(&clients.kube, &context.config.argocd, namespaces)
                    .await?
                    .ownership;
                let contents = cluster::contents(&clients.kube, namespaces).await?;
                let brought = brought_by(&uid, &facts);
                view.in_the_way = in_the_way(&contents.objects, &ownership, |object| {
                    object
                        .labels
                        .get("velero.io/restore-name")
                        .is_some_and(|name| brought.contains(name))
                });
                view.undiscovered = contents.undiscovered;
            }
            Observed::Restoring(view)
        }
        Phase::Verifying => {
            let restore = names::restore(&uid, round(request));
            let volumes =
                velero::volumes(&clients.kube, &context.config.velero.namespace, &restore).await?;
            Observed::Verifying(cluster::verifying(&clients.kube, namespaces, volumes).await?)
        }
        Phase::Resuming => {
            let open = facts
                .pause
                .as_ref()
                .is_some_and(crate::request::PullRequest::is_open);
            let mut view = Resuming {
                pause: if open {
                    pull(context, pause_number(&facts)).await?
                } else if facts.pause.is_none() && facts.checked.is_some() {
                    // It may have been opened, and the answer lost.
                    let branch =
                        names::branch(&request.name_any(), &uid, crate::request::Which::Pause);
                    clients.github.pull_of(&branch).await?
                } else {
                    None
                },
                ..Resuming::default()
            };
            if facts.self_heal_is_off() {
                view.applications = argocd::find(&clients.kube, &context.config.argocd, namespaces)
                    .await?
                    .applications;
                let unmerged = facts
                    .resume
                    .as_ref()
                    .filter(|pull| pull.merged.is_none())
                    .and_then(|pull| pull.opened.as_ref())
                    .map(|opened| opened.number);
                view.resume = pull(context, unmerged).await?;
            }
            Observed::Resuming(Box::new(view))
        }
        Phase::Done
        | Phase::Refused
        | Phase::Denied
        | Phase::Withdrawn
        | Phase::Expired
        | Phase::ResumedAsIs
        | Phase::Stuck => Observed::Nothing,
    })
}

/// What Velero's objects of a request are made from.
pub(super) fn order<'a>(
    context: &'a Context,
    request: &'a RestoreRequest,
    uid: &'a str,
) -> velero::Order<'a> {
    velero::Order {
        namespace: &context.config.velero.namespace,
        request: request.metadata.name.as_deref().unwrap_or_default(),
        uid,
        namespaces: &request.spec.namespaces,
    }
}

fn pause_number(facts: &RestoreStatus) -> Option<u64> {
    facts
        .pause
        .as_ref()
        .and_then(|pull| pull.opened.as_ref())
        .map(|opened| opened.number)
}

async fn pull(
    context: &Context,
    number: Option<u64>,
) -> anyhow::Result<Option<crate::request::observed::Pull>> {
    match number {
        Some(number) => context.clients.github.pull(number).await,
        None => Ok(None),
    }
}

async fn clearing(
    context: &Context,
    request: &RestoreRequest,
    facts: &RestoreStatus,
    order: &velero::Order<'_>,
    people: &People,
) -> anyhow::Result<Clearing> {
    let client = &context.clients.kube;
    let restore_exists = velero::restore(client, order, round(request))
        .await?
        .run
        .is_some();
    if facts.clearing.is_none() {
        let survey = survey(context, request, people).await?;
        return Ok(Clearing {
            applications: survey.applications.clone(),
            objects: survey.objects.clone(),
            ownership: survey.ownership.clone(),
            undiscovered: survey.undiscovered.clone(),
            restore_exists,
            survey: Some(survey),
        });
    }
    let contents = cluster::contents(client, &request.spec.namespaces).await?;
    // Quiet is read last, so that it is as fresh as can be when the batch goes out.
    let found = argocd::find(client, &context.config.argocd, &request.spec.namespaces).await?;
    Ok(Clearing {
        applications: found.applications,
        objects: contents.objects,
        ownership: found.ownership,
        undiscovered: contents.undiscovered,
        restore_exists,
        survey: None,
    })
}

/// Everything that the checks look at.
async fn survey(
    context: &Context,
    request: &RestoreRequest,
    people: &People,
) -> anyhow::Result<Survey> {
    let spec = &request.spec;
    let permitted = people.tenants_of(&spec.requester);
    if !permitted.contains(&spec.tenant) {
        // Nothing is looked up for somebody who may not know of it; the names
        // of the tenants are needed to say which of the permitted ones exist.
        return Ok(Survey {
            tenants: context.clients.github.orders(&spec.tenant).await?.tenants,
            permitted,
            ..Survey::default()
        });
    }
    let client = &context.clients.kube;
    let velero_namespace = &context.config.velero.namespace;
    let orders = context.clients.github.orders(&spec.tenant).await?;
    let (order, order_fault) = match orders.found {
        Found::Nothing => (None, None),
        Found::Faulty(why) => (None, Some(why)),
        Found::Order(view) => (Some(view), None),
    };
    let mut survey = Survey {
        permitted,
        tenants: orders.tenants,
        order,
        order_fault,
        backups: velero::backups(client, velero_namespace).await?,
        locations: velero::locations(client, velero_namespace).await?,
        namespaces: cluster::namespaces(client, &spec.namespaces).await?,
        others: others(context, request).await?,
        ..Survey::default()
    };
    let ours = survey.order.as_ref().is_some_and(|order| {
        spec.namespaces
            .iter()
            .all(|namespace| order.namespaces.contains(namespace))
    });
    // Only what belongs to the tenant is looked into.
    if ours && survey.namespaces.len() == spec.namespaces.len() {
        let found = argocd::find(client, &context.config.argocd, &spec.namespaces).await?;
        let contents = cluster::contents(client, &spec.namespaces).await?;
        survey.applications = found.applications;
        survey.ownership = found.ownership;
        survey.objects = contents.objects;
        survey.undiscovered = contents.undiscovered;
    }
    Ok(survey)
}

/// The other requests that have not ended, read live (S7).
async fn others(context: &Context, request: &RestoreRequest) -> anyhow::Result<Vec<Other>> {
    let mine = request.uid();
    Ok(context
        .requests
        .list(&ListParams::default())
        .await?
        .items
        .iter()
        .filter(|other| other.uid() != mine)
        .map(|other| Other {
            name: other.name_any(),
            uid: uid(other),
            created: other
                .creation_timestamp()
                .map_or(jiff::Timestamp::UNIX_EPOCH, |time| time.0),
            phase: phase_of(other),
            namespaces: other.spec.namespaces.clone(),
            requester: other.spec.requester.name.clone(),
        })
        .filter(|other| !other.phase.is_over())
        .collect())
}

/// The label values that mark what this request's Restores brought.
fn brought_by(uid: &str, facts: &RestoreStatus) -> BTreeSet<String> {
    (0..facts.earlier_restores.len())
        .map(|round| label_value(&names::restore(uid, round)))
        .collect()
}
