//! Looking at the world: for each phase, what its decision needs, read live.

use std::collections::{BTreeMap, BTreeSet};

use kube::ResourceExt as _;

use super::survey::{order, survey};
use super::{Context, round, status, uid};
use crate::effects::github::{self, Looking};
use crate::effects::{argocd, cluster, velero};
use crate::request::decide::MERGE_BLOCKED;
use crate::request::inventory::{LiveObject, Ownership, in_the_way, past};
use crate::request::observed::{Clearing, Observed, Restoring, Resuming, Verifying};
use crate::request::people::People;
use crate::request::preflight::label_value;
use crate::request::{Phase, RestoreRequest, RestoreStatus, Which, names};

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
    let order = order(&context.config, request, &uid);
    Ok(match phase {
        Phase::Checking => Observed::Checking(Box::new(
            survey(
                &context.config,
                &context.clients,
                request,
                &request.spec,
                people,
            )
            .await?,
        )),
        Phase::AwaitingApproval => {
            let unsaid = request.spec.votes.is_empty();
            Observed::AwaitingApproval(look(context, &facts, Which::Pause, unsaid).await?)
        }
        Phase::Pausing => Observed::Pausing(pull(context, &facts, Which::Pause).await?),
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
        Phase::Restoring => Observed::Restoring(restoring(context, request, &facts, &order).await?),
        Phase::Verifying => Observed::Verifying(verifying(context, request, &facts, &order).await?),
        Phase::Resuming => {
            let open = facts
                .pause
                .as_ref()
                .is_some_and(crate::request::PullRequest::is_open);
            let mut view = Resuming {
                pause: if open {
                    pull(context, &facts, Which::Pause).await?
                } else if facts.pause.is_none() && facts.checked.is_some() {
                    // It may have been opened, and the answer lost.
                    let branch = names::branch(&request.name_any(), &uid, Which::Pause);
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
                if facts
                    .resume
                    .as_ref()
                    .is_some_and(|resume| resume.merged.is_none())
                {
                    view.resume = pull(context, &facts, Which::Resume).await?;
                }
            }
            let unended = facts
                .restore
                .as_ref()
                .is_some_and(|run| run.ended_at.is_none());
            if unended {
                view.restoring = velero::restore(&clients.kube, &order, round(request))
                    .await?
                    .run
                    .is_some_and(|run| !velero::has_ended(&run.phase));
            }
            Observed::Resuming(Box::new(view))
        }
        Phase::Refused | Phase::Denied | Phase::Withdrawn | Phase::Expired | Phase::ResumedAsIs
            if was_closed_lately(&facts) =>
        {
            Observed::Ended(pull(context, &facts, Which::Pause).await?)
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

/// How long after its end a request's pause is still looked at, when something
/// happens to it: somebody may bring its branch back and merge it.
const LATELY: jiff::SignedDuration = jiff::SignedDuration::from_hours(90 * 24);

fn was_closed_lately(facts: &RestoreStatus) -> bool {
    facts.pause.as_ref().is_some_and(|pause| {
        pause.merged.is_none()
            && pause.opened.is_some()
            && pause
                .closed_at
                .is_some_and(|at| jiff::Timestamp::now().duration_since(at) < LATELY)
    })
}

/// The pull request, live, if there is one.
async fn pull(
    context: &Context,
    facts: &RestoreStatus,
    which: Which,
) -> anyhow::Result<Option<crate::request::observed::Pull>> {
    look(context, facts, which, false).await
}

/// `unsaid`: an approval is waited for, and nobody said anything in chat yet.
async fn look(
    context: &Context,
    facts: &RestoreStatus,
    which: Which,
    unsaid: bool,
) -> anyhow::Result<Option<crate::request::observed::Pull>> {
    let (fact, record) = match which {
        Which::Pause => (facts.pause.as_ref(), None),
        Which::Resume => (
            facts.resume.as_ref(),
            facts.pause.as_ref().map(|pause| &pause.record),
        ),
    };
    let Some(opened) = fact.and_then(|fact| fact.opened.as_ref()) else {
        return Ok(None);
    };
    let edit = |text: &str| Ok(github::edit(which, text, record)?.0);
    let looking = Looking {
        path: facts
            .checked
            .as_ref()
            .map(|checked| checked.order_path.as_str()),
        // Whether a resume did what it should is asked of Argo CD, not of Git.
        edit: (which == Which::Pause).then_some(&edit),
        head: Some(&opened.head_sha),
        asks_why: facts
            .waiting
            .as_ref()
            .is_some_and(|note| note.message.starts_with(MERGE_BLOCKED)),
        shares: unsaid,
    };
    context.clients.github.look(opened.number, looking).await
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
        // What was approved is looked at, and not what a newer backup would mean.
        let spec = match &facts.checked {
            Some(checked) => request.spec.pinned_to(&checked.backup.name),
            None => request.spec.clone(),
        };
        let mut survey = survey(&context.config, &context.clients, request, &spec, people).await?;
        survey.team = context.clients.github.team().await?;
        return Ok(Clearing {
            applications: survey.applications.clone(),
            objects: survey.objects.clone(),
            ownership: survey.ownership.clone(),
            undiscovered: survey.undiscovered.clone(),
            restore_exists,
            survey: Some(survey),
        });
    }
    let namespaces = &request.spec.namespaces;
    let mut found = argocd::find(client, &context.config.argocd, namespaces).await?;
    let (contents, listed) = context.swept(request, facts, &found.ownership).await?;
    if listed {
        // Quiet is read last, so that it is as fresh as can be when the batch goes out.
        found = argocd::find(client, &context.config.argocd, namespaces).await?;
    }
    Ok(Clearing {
        applications: found.applications,
        objects: contents.objects,
        ownership: found.ownership,
        undiscovered: contents.undiscovered,
        restore_exists,
        survey: None,
    })
}

async fn restoring(
    context: &Context,
    request: &RestoreRequest,
    facts: &RestoreStatus,
    order: &velero::Order<'_>,
) -> anyhow::Result<Restoring> {
    let client = &context.clients.kube;
    let namespaces = &request.spec.namespaces;
    let seen = velero::restore(client, order, round(request)).await?;
    let mut view = Restoring {
        restore: seen.run,
        failures: seen.failures,
        restarted: seen.restarted,
        ahead: seen.ahead,
        ..Restoring::default()
    };
    match &view.restore {
        None if facts.restore.is_none() => {
            let found = argocd::find(client, &context.config.argocd, namespaces).await?;
            let contents = cluster::contents(client, namespaces).await?;
            let brought = brought_by(order.uid, facts, round(request));
            view.in_the_way = in_the_way(&contents.objects, &found.ownership, |object| {
                is_brought(object, &brought)
            });
            view.undiscovered = contents.undiscovered;
        }
        Some(run) if velero::has_ended(&run.phase) && (run.warnings > 0 || run.errors > 0) => {
            match velero::results::results(client, order, round(request)).await {
                Ok(results) => {
                    view.failures.extend(results.errors.iter().cloned());
                    view.results = Some(results);
                }
                // Why it failed is worth knowing, but not worth waiting for.
                Err(error) => view
                    .failures
                    .push(format!("its results could not be read ({error:#})")),
            }
        }
        // Velero works: nobody else may.
        Some(run)
            if !velero::has_ended(&run.phase)
                && run.started_at.is_some()
                && facts.disturbed.is_none() =>
        {
            let found = argocd::find(client, &context.config.argocd, namespaces).await?;
            let workloads = cluster::workloads(client, namespaces).await?;
            let brought = brought_by(order.uid, facts, round(request) + 1);
            view.foreign = foreign(&workloads, &found.ownership, &brought);
            view.applications = found.applications;
        }
        None | Some(_) => {}
    }
    Ok(view)
}

async fn verifying(
    context: &Context,
    request: &RestoreRequest,
    facts: &RestoreStatus,
    order: &velero::Order<'_>,
) -> anyhow::Result<Verifying> {
    let client = &context.clients.kube;
    let namespaces = &request.spec.namespaces;
    let mut volumes = Vec::new();
    for round in 0..=round(request) {
        let restore = names::restore(order.uid, round);
        volumes.extend(velero::volumes(client, order.namespace, &restore).await?);
    }
    let mut view = cluster::verifying(client, namespaces, volumes).await?;
    let Some(checked) = &facts.checked else {
        return Ok(view);
    };
    let found = argocd::find(client, &context.config.argocd, namespaces).await?;
    let contents = cluster::contents(client, namespaces).await?;
    let brought = brought_by(order.uid, facts, round(request) + 1);
    view.foreign = foreign(&contents.objects, &found.ownership, &brought);
    let holdings = context.holdings(order, &checked.backup).await?;
    let there: BTreeSet<(String, String)> = contents
        .objects
        .iter()
        .map(|object| {
            (
                object.kind_key(),
                format!("{}/{}", object.namespace, object.name),
            )
        })
        .collect();
    let ours: BTreeSet<&str> = namespaces.iter().map(String::as_str).collect();
    for (kind, namespace, name) in past(&holdings, &ours) {
        view.items += 1;
        let full = format!("{namespace}/{name}");
        if !there.contains(&(kind.to_owned(), full.clone())) {
            view.missing.push(format!("{kind} {full}"));
        }
    }
    Ok(view)
}

/// What would be deleted by a clearing and neither was brought nor is controlled
/// by what was, each with who made it.
fn foreign(
    objects: &[LiveObject],
    ownership: &Ownership,
    brought: &BTreeSet<String>,
) -> Vec<String> {
    let makers: BTreeMap<String, &str> = objects
        .iter()
        .filter_map(|object| Some((object.to_string(), object.made_by.as_deref()?)))
        .collect();
    in_the_way(objects, ownership, |object| is_brought(object, brought))
        .into_iter()
        .map(|name| match makers.get(&name) {
            Some(maker) => format!("{name} (made by {maker})"),
            None => name,
        })
        .collect()
}

fn is_brought(object: &LiveObject, brought: &BTreeSet<String>) -> bool {
    object
        .labels
        .get("velero.io/restore-name")
        .is_some_and(|name| brought.contains(name))
}

/// The label values that mark what this request's Restores brought.
fn brought_by(uid: &str, facts: &RestoreStatus, rounds: usize) -> BTreeSet<String> {
    (0..rounds.max(facts.earlier_restores.len()))
        .map(|round| label_value(&names::restore(uid, round)))
        .collect()
}
