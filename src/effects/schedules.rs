//! Velero's Schedules, their backups, and the Applications that make them.

use anyhow::Context as _;
use kube::api::{DeleteParams, ListParams, Preconditions};
use kube::core::DynamicObject;
use kube::{Client, ResourceExt as _};

use super::argocd::{tracker, view};
use super::{argocd_kind, dynamic, json, velero_kind};
use crate::config::Argocd;
use crate::request::applications::Application;
use crate::request::preflight::label_value;
use crate::schedule::observed::{LiveSchedule, Run};

/// How far parents of the tenant's Application are followed.
const GENERATIONS: usize = 4;

/// A Velero Schedule, if it is there.
pub async fn schedule(
    client: &Client,
    namespace: &str,
    name: &str,
) -> anyhow::Result<Option<LiveSchedule>> {
    let found = dynamic(client, namespace, &velero_kind("Schedule", "schedules"))
        .get_opt(name)
        .await
        .with_context(|| format!("read the Schedule {name}"))?;
    Ok(found.as_ref().map(live))
}

fn live(object: &DynamicObject) -> LiveSchedule {
    let data = &object.data;
    LiveSchedule {
        name: object.name_any(),
        uid: object.uid().unwrap_or_default(),
        cron: json::string(data, "/spec/schedule"),
        ttl: json::text(data, "/spec/template/ttl").map(ToOwned::to_owned),
        namespaces: json::strings(data, "/spec/template/includedNamespaces"),
        phase: json::string(data, "/status/phase"),
        errors: json::strings(data, "/status/validationErrors"),
        paused: json::flag(data, "/spec/paused") == Some(true),
        owns_backups: json::flag(data, "/spec/useOwnerReferencesInBackup") == Some(true),
        deleting: object.metadata.deletion_timestamp.is_some(),
    }
}

/// The backups of a Schedule, newest first.
pub async fn runs(client: &Client, namespace: &str, schedule: &str) -> anyhow::Result<Vec<Run>> {
    let label = format!("velero.io/schedule-name={}", label_value(schedule));
    let list = dynamic(client, namespace, &velero_kind("Backup", "backups"))
        .list(&ListParams::default().labels(&label))
        .await
        .with_context(|| format!("list the Backups of the Schedule {schedule}"))?;
    let mut runs: Vec<Run> = list
        .items
        .iter()
        .filter(|backup| backup.metadata.deletion_timestamp.is_none())
        .map(run)
        .collect();
    runs.sort_by_key(|run| std::cmp::Reverse(run.started_at));
    Ok(runs)
}

fn run(backup: &DynamicObject) -> Run {
    let data = &backup.data;
    let mut failures = json::strings(data, "/status/validationErrors");
    failures.extend(json::text(data, "/status/failureReason").map(ToOwned::to_owned));
    let errors = json::number(data, "/status/errors");
    if failures.is_empty() && errors > 0 {
        failures.push(format!("{errors} errors"));
    }
    Run {
        name: backup.name_any(),
        phase: json::string(data, "/status/phase"),
        started_at: json::time(data, "/status/startTimestamp"),
        expires_at: json::time(data, "/status/expiration"),
        failure: (!failures.is_empty()).then(|| failures.join("; ")),
    }
}

/// Deletes a Schedule, if it is still the one with this uid. Its backups stay.
pub async fn delete_schedule(
    client: &Client,
    namespace: &str,
    name: &str,
    uid: &str,
) -> anyhow::Result<()> {
    let only_this = DeleteParams {
        preconditions: Some(Preconditions {
            uid: Some(uid.to_owned()),
            resource_version: None,
        }),
        ..DeleteParams::default()
    };
    match dynamic(client, namespace, &velero_kind("Schedule", "schedules"))
        .delete(name, &only_this)
        .await
    {
        Ok(_) => Ok(()),
        // It is gone, or another one has its name: the next look says so.
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
        Err(error) => Err(error).with_context(|| format!("delete the Schedule {name}")),
    }
}

/// The Applications through which an order reaches its Schedules.
#[derive(Clone, Debug, Default)]
pub struct Chart {
    /// The root first, the tenant's own last.
    pub applications: Vec<Application>,
    /// Argo CD asks for the Schedule that was named.
    pub asked_for: bool,
}

/// Finds the Application that makes the Schedules of a tenant, by what it holds: the
/// tenant's namespaces, without deploying there; its name proves nothing. `unwanted`: a Schedule of which is told whether it is asked for.
pub async fn chart(
    client: &Client,
    config: &Argocd,
    velero_namespace: &str,
    namespaces: &[String],
    unwanted: Option<&str>,
) -> anyhow::Result<Chart> {
    let all = dynamic(
        client,
        &config.platform_namespace,
        &argocd_kind("Application", "applications"),
    )
    .list(&ListParams::default())
    .await
    .with_context(|| format!("list the Applications of {}", config.platform_namespace))?
    .items;
    let of_tenant = |name: &str| namespaces.iter().any(|namespace| namespace == name);
    let mut chart = Chart::default();
    // What makes the namespaces also makes the Schedules. Others of the platform may
    // hold something in the namespaces, but only where nothing makes them is such a
    // one taken for it.
    let mut holders: Vec<&DynamicObject> = Vec::new();
    let mut makers: Vec<&DynamicObject> = Vec::new();
    for object in &all {
        let resources = || json::items(&object.data, "/status/resources");
        chart.asked_for |= resources().any(|resource| {
            json::text(resource, "/kind") == Some("Schedule")
                && json::text(resource, "/namespace") == Some(velero_namespace)
                && json::text(resource, "/name") == unwanted
                && json::flag(resource, "/requiresPruning") != Some(true)
        });
        let destination = json::text(&object.data, "/spec/destination/namespace").unwrap_or("");
        if of_tenant(destination) {
            continue;
        }
        if resources().any(|resource| {
            json::text(resource, "/kind") == Some("Namespace")
                && json::text(resource, "/name").is_some_and(of_tenant)
        }) {
            makers.push(object);
        }
        if resources().any(|resource| json::text(resource, "/namespace").is_some_and(of_tenant)) {
            holders.push(object);
        }
    }
    let mut above = Vec::new();
    for object in if makers.is_empty() { holders } else { makers } {
        above.extend(tracker(object));
        chart.applications.push(view(object));
    }
    for _ in 0..GENERATIONS {
        let Some(name) = above.pop() else { break };
        if chart.applications.iter().any(|known| known.name == name) {
            continue;
        }
        let Some(object) = all.iter().find(|object| object.name_any() == name) else {
            continue;
        };
        above.extend(tracker(object));
        chart.applications.insert(0, view(object));
    }
    Ok(chart)
}
