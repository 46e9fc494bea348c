//! Argo CD's Applications: reading them, and asking Argo CD to look or sync.

use std::collections::BTreeSet;

use anyhow::Context as _;
use kube::api::{ListParams, Patch, PatchParams};
use kube::core::DynamicObject;
use kube::{Client, ResourceExt as _};
use serde_json::{Value, json};

use super::{argocd_kind, dynamic, json};
use crate::config::Argocd;
use crate::request::applications::Application;
use crate::request::inventory::Ownership;

const REFRESH: &str = "argocd.argoproj.io/refresh";
const TRACKING_ID: &str = "argocd.argoproj.io/tracking-id";

/// How far parents are followed: an ApplicationSet, its tenant, the root, and room.
const GENERATIONS: usize = 6;

/// The Applications that matter to a set of namespaces.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Those that deploy there, and the parents through which the order reaches them.
    pub applications: Vec<Application>,
    pub ownership: Ownership,
}

/// Finds Applications by where they deploy, in every namespace they may live in;
/// their names prove nothing.
pub async fn find(
    client: &Client,
    config: &Argocd,
    namespaces: &[String],
) -> anyhow::Result<Found> {
    let kind = argocd_kind("Application", "applications");
    let mut all = Vec::new();
    for namespace in &config.namespaces {
        let api = dynamic(client, namespace, &kind);
        match api.list(&ListParams::default()).await {
            Ok(list) => all.extend(list.items),
            // A namespace that is not there holds no Applications.
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            Err(error) => {
                return Err(error).with_context(|| format!("list the Applications of {namespace}"));
            }
        }
    }
    let written = |object: &DynamicObject| {
        let parent = tracker(object)?;
        let holder = all.iter().find(|other| other.name_any() == parent)?;
        Some(format!(
            "{} (Application {})",
            view(holder).source,
            holder.name_any()
        ))
    };
    let mut found = Found::default();
    let mut parents = BTreeSet::new();
    for object in &all {
        let destination = json::text(&object.data, "/spec/destination/namespace").unwrap_or("");
        let to_ours = namespaces.iter().any(|namespace| namespace == destination);
        let holds_ours = json::items(&object.data, "/status/resources").any(|resource| {
            json::text(resource, "/namespace")
                .is_some_and(|namespace| namespaces.iter().any(|ours| ours == namespace))
        });
        let platforms = object.namespace().as_deref() == Some(&config.platform_namespace);
        // The platform's own Application holds quotas and the like in the
        // namespaces, but deploys elsewhere: what it holds is kept, and so it
        // brings nothing back.
        if platforms && !to_ours {
            found.ownership.platform.insert(object.name_any());
        } else if to_ours || holds_ours {
            let mut application = view(object);
            application.deploys = true;
            application.manifest = written(object);
            found.applications.push(application);
            if let Some(parent) = parent_of(client, config, object).await? {
                parents.insert(parent);
            }
        }
    }
    let mut next: Vec<String> = parents.into_iter().collect();
    let mut chain: Vec<Application> = Vec::new();
    for _ in 0..GENERATIONS {
        let mut above = Vec::new();
        for name in next {
            if chain.iter().any(|known| known.name == name) {
                continue;
            }
            let Some(object) = all.iter().find(|object| {
                object.name_any() == name
                    && object.namespace().as_deref() == Some(&config.platform_namespace)
            }) else {
                continue;
            };
            chain.push(view(object));
            above.extend(tracker(object));
        }
        if above.is_empty() {
            break;
        }
        next = above;
    }
    // The root first: a child has nothing new to see before its parent has synced.
    chain.reverse();
    chain.append(&mut found.applications);
    found.applications = chain;
    Ok(found)
}

/// The Application that holds the ApplicationSet that makes this Application.
async fn parent_of(
    client: &Client,
    config: &Argocd,
    object: &DynamicObject,
) -> anyhow::Result<Option<String>> {
    let Some(owner) = object
        .owner_references()
        .iter()
        .find(|owner| owner.kind == "ApplicationSet")
    else {
        return Ok(tracker(object));
    };
    let namespace = object
        .namespace()
        .unwrap_or_else(|| config.platform_namespace.clone());
    let sets = dynamic(
        client,
        &namespace,
        &argocd_kind("ApplicationSet", "applicationsets"),
    );
    let set = sets
        .get_metadata_opt(&owner.name)
        .await
        .with_context(|| format!("read the ApplicationSet {namespace}/{}", owner.name))?;
    Ok(set.and_then(|set| {
        set.metadata
            .annotations
            .as_ref()?
            .get(TRACKING_ID)
            .and_then(|id| id.split(':').next())
            .map(ToOwned::to_owned)
    }))
}

/// The Application that tracks an object, by its tracking id.
pub(super) fn tracker(object: &DynamicObject) -> Option<String> {
    object
        .annotations()
        .get(TRACKING_ID)
        .and_then(|id| id.split(':').next())
        .filter(|name| *name != object.name_any())
        .map(ToOwned::to_owned)
}

fn revisions(data: &Value, base: &str) -> Vec<String> {
    let many = json::strings(data, &format!("{base}/revisions"));
    if many.is_empty() {
        json::text(data, &format!("{base}/revision"))
            .filter(|revision| !revision.is_empty())
            .map(ToOwned::to_owned)
            .into_iter()
            .collect()
    } else {
        many
    }
}

pub(super) fn view(object: &DynamicObject) -> Application {
    let data = &object.data;
    let automated = data
        .pointer("/spec/syncPolicy/automated")
        .filter(|automated| !automated.is_null());
    let enabled = automated
        .is_some_and(|automated| automated.get("enabled").and_then(Value::as_bool) != Some(false));
    let self_heal = automated
        .and_then(|automated| automated.get("selfHeal"))
        .and_then(Value::as_bool)
        .unwrap_or(false);
    let prunes = automated
        .and_then(|automated| automated.get("prune"))
        .and_then(Value::as_bool)
        .unwrap_or(false);
    let source = data
        .pointer("/spec/source")
        .or_else(|| data.pointer("/spec/sources/0"));
    Application {
        namespace: object.namespace().unwrap_or_default(),
        name: object.name_any(),
        generated: object
            .owner_references()
            .iter()
            .any(|owner| owner.kind == "ApplicationSet"),
        deploys: false,
        automated: enabled,
        self_heal,
        source: source.map_or_else(String::new, |source| {
            format!(
                "{} at {}",
                json::string(source, "/repoURL"),
                json::text(source, "/path").unwrap_or(".")
            )
        }),
        refreshing: object.annotations().contains_key(REFRESH),
        operation_requested: data
            .get("operation")
            .is_some_and(|operation| !operation.is_null()),
        operation_phase: json::string(data, "/status/operationState/phase"),
        operation_finished: json::text(data, "/status/operationState/finishedAt").is_some(),
        recorded_revisions: revisions(data, "/status/operationState/syncResult"),
        revisions: revisions(data, "/status/sync"),
        sync: json::string(data, "/status/sync/status"),
        health: json::string(data, "/status/health/status"),
        reconciled_at: json::time(data, "/status/reconciledAt"),
        sync_error: json::items(data, "/status/conditions")
            .find(|condition| json::text(condition, "/type") == Some("SyncError"))
            .map(|condition| json::string(condition, "/message")),
        would_prune: json::items(data, "/status/resources")
            .filter(|resource| {
                enabled && prunes && json::flag(resource, "/requiresPruning") == Some(true)
            })
            .map(|resource| {
                format!(
                    "{} {}/{}",
                    json::string(resource, "/kind"),
                    json::string(resource, "/namespace"),
                    json::string(resource, "/name")
                )
            })
            .collect(),
        destination: json::string(data, "/spec/destination/namespace"),
        manifest: None,
    }
}

/// Asks Argo CD to look at an Application; it takes the annotation away when it has.
pub async fn look(client: &Client, namespace: &str, name: &str) -> anyhow::Result<()> {
    let api = dynamic(
        client,
        namespace,
        &argocd_kind("Application", "applications"),
    );
    let patch = json!({ "metadata": { "annotations": { REFRESH: "normal" } } });
    match api
        .patch(name, &PatchParams::default(), &Patch::Merge(&patch))
        .await
    {
        Ok(_) => Ok(()),
        // It went away; the next look at the Applications says so.
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        Err(error) => {
            Err(error).with_context(|| format!("refresh the Application {namespace}/{name}"))
        }
    }
}

/// Syncs a Synced Application at the revision it is at, which changes nothing
/// and records the revision, so that Argo CD has no reason to sync it later.
///
/// Guarded by the resource version: if the Application changed since it was
/// read, nothing is asked for.
pub async fn record_revision(client: &Client, namespace: &str, name: &str) -> anyhow::Result<()> {
    let api = dynamic(
        client,
        namespace,
        &argocd_kind("Application", "applications"),
    );
    let Some(object) = api.get_opt(name).await? else {
        return Ok(());
    };
    let seen = view(&object);
    if seen.operation_requested
        || seen.sync != "Synced"
        || seen.recorded_revisions == seen.revisions
    {
        return Ok(());
    }
    let mut sync = json!({ "prune": false });
    match seen.revisions.as_slice() {
        [one] => sync["revision"] = json!(one),
        many => sync["revisions"] = json!(many),
    }
    let patch = json!({
        "metadata": { "resourceVersion": object.resource_version() },
        "operation": {
            "initiatedBy": { "username": "refloat" },
            "info": [{ "name": "Reason", "value": "record the revision before a restore" }],
            "sync": sync,
        },
    });
    match api
        .patch(name, &PatchParams::default(), &Patch::Merge(&patch))
        .await
    {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
        Err(error) => {
            Err(error).with_context(|| format!("sync the Application {namespace}/{name}"))
        }
    }
}
