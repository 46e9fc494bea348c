//! Sync operations: making the cluster what Git asks for.

use std::time::Duration;

use kube::api::DeleteParams;
use serde_json::{Value, json};

use super::compare::{Comparison, Resource, compare};
use super::{Controller, Level, merge, now, render};
use crate::workloads::mirror::{Key, Mirror, Object};

const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// How many syncs `status.history` remembers.
const HISTORY: usize = 10;
/// Which kinds are applied first; all others come last.
const KIND_ORDER: [&str; 16] = [
    "Namespace",
    "NetworkPolicy",
    "ResourceQuota",
    "LimitRange",
    "ServiceAccount",
    "Secret",
    "ConfigMap",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "CustomResourceDefinition",
    "ClusterRole",
    "Role",
    "RoleBinding",
    "Service",
    "Deployment",
    "StatefulSet",
];

impl Controller {
    /// Carries on with the operation that stands in an Application, if any.
    pub(super) async fn operate(&self, key: &Key) -> anyhow::Result<Option<Duration>> {
        let Some(app) = self.mirror.get(key) else {
            return Ok(None);
        };
        let Some(operation) = app.at("/operation").filter(|it| it.is_object()).cloned() else {
            return Ok(None);
        };
        let mut app = app;
        let begun = app.text("/status/operationState/phase") == Some("Running")
            && app.at("/status/operationState/operation") == Some(&operation);
        if !begun {
            let mut status = app.at("/status").cloned().unwrap_or_else(|| json!({}));
            let result = status["operationState"]["syncResult"].take();
            status["operationState"] = json!({
                "phase": "Running",
                "operation": operation,
                "startedAt": now(),
                "message": "waiting for completion of the sync",
            });
            // The result of the last operation stays until this one has its own.
            if !result.is_null() {
                status["operationState"]["syncResult"] = result;
            }
            let before = app.at("/status").cloned().unwrap_or_default();
            let patch = json!({"status": merge::difference(&before, &status)});
            app = self.mirror.patch(&app, patch).await?;
        }
        if self.faults.keeps_running(key) {
            return Ok(Some(Duration::from_millis(10)));
        }
        let failure = self.faults.take_failure(key);
        let sync = &operation["sync"];
        let source = app.at("/spec/source").cloned().unwrap_or_default();
        let revision = match sync["revision"].as_str() {
            Some(revision) if !revision.is_empty() => revision.to_owned(),
            _ => source["targetRevision"]
                .as_str()
                .unwrap_or("HEAD")
                .to_owned(),
        };
        let limit = self.options.sync_retries;
        let mut outcome = Outcome::default();
        for attempt in 0..=limit {
            outcome = match &failure {
                Some(message) => Outcome::failed(message),
                None => self.attempt(&app, &source, &revision, sync).await,
            };
            if outcome.revision.is_empty() {
                outcome.revision = self.resolve(&source, &revision).unwrap_or_default();
            }
            outcome.retries = attempt;
            if outcome.error.is_none() || attempt == limit {
                break;
            }
            tokio::time::sleep(self.options.sync_retry_pause).await;
        }
        self.conclude(&app, &operation, &source, outcome).await?;
        Ok(None)
    }

    async fn attempt(&self, app: &Object, source: &Value, revision: &str, sync: &Value) -> Outcome {
        let rendered = async {
            let commit = self.resolve(source, revision)?;
            let targets = render(&self.options, &self.checkouts, source, &commit).await?;
            anyhow::Ok((commit, targets))
        };
        let (commit, targets) = match rendered.await {
            Ok(rendered) => rendered,
            Err(error) => return Outcome::failed(&format!("ComparisonError: {error:#}")),
        };
        let namespace = app.text("/spec/destination/namespace").unwrap_or_default();
        let comparison = compare(&self.mirror, &self.instance(app), namespace, targets);
        let mut outcome = Outcome {
            revision: commit,
            ..Outcome::default()
        };
        let prune = sync["prune"].as_bool().unwrap_or(false);
        let dry = sync["dryRun"].as_bool().unwrap_or(false);
        for resource in in_order(comparison, &sync["resources"]) {
            let done = match (&resource.target, &resource.live) {
                (None, _) if !prune || resource.has_option("sync-options", "Prune=false") => {
                    Ok(("PruneSkipped", "ignored (requires pruning)".to_owned()))
                }
                _ if dry => Ok(("Synced", "dry run".to_owned())),
                (None, Some(live)) => self
                    .mirror
                    .delete(live, DeleteParams::foreground())
                    .await
                    .map(|()| ("Pruned", "pruned".to_owned())),
                (Some(target), live) => apply(&self.mirror, &resource, target, live.as_deref())
                    .await
                    .map(|message| ("Synced", message)),
                (None, None) => continue,
            };
            outcome.add(&resource, done);
        }
        outcome
    }

    async fn conclude(
        &self,
        app: &Object,
        operation: &Value,
        source: &Value,
        outcome: Outcome,
    ) -> anyhow::Result<()> {
        let finished = now();
        let started = app.text("/status/operationState/startedAt");
        let (phase, message) = match &outcome.error {
            None => (
                "Succeeded",
                "successfully synced (all tasks run)".to_owned(),
            ),
            Some(error) => (
                "Failed",
                format!("{error} (retried {} times).", outcome.retries),
            ),
        };
        let before = app.at("/status").cloned().unwrap_or_default();
        let mut status = before.clone();
        status["operationState"] = json!({
            "phase": phase,
            "message": message,
            "operation": operation,
            "startedAt": started,
            "finishedAt": finished,
            "retryCount": outcome.retries,
            "syncResult": {
                "revision": outcome.revision,
                "source": source,
                "resources": outcome.resources,
            },
        });
        let selective = operation["sync"]["resources"].is_array();
        if outcome.error.is_none() && !selective {
            let mut history = app.at("/status/history").cloned().unwrap_or_default();
            let mut entries = history
                .as_array_mut()
                .map(std::mem::take)
                .unwrap_or_default();
            let last = entries.last().and_then(|entry| entry["id"].as_i64());
            entries.push(json!({
                "id": last.map_or(0, |id| id + 1),
                "revision": outcome.revision,
                "source": source,
                "deployStartedAt": started,
                "deployedAt": finished,
                "initiatedBy": operation["initiatedBy"],
            }));
            let surplus = entries.len().saturating_sub(HISTORY);
            status["history"] = Value::Array(entries.split_off(surplus));
        }
        let key = app.key();
        self.finished(&key);
        let patch = json!({
            "operation": null,
            "status": merge::difference(&before, &status),
        });
        self.mirror.patch(app, patch).await?;
        self.ask(&key, Level::Latest);
        Ok(())
    }
}

/// What came of an operation.
#[derive(Default)]
struct Outcome {
    revision: String,
    resources: Vec<Value>,
    error: Option<String>,
    retries: u32,
}

impl Outcome {
    fn failed(message: &str) -> Self {
        Self {
            error: Some(message.to_owned()),
            ..Self::default()
        }
    }

    fn add(&mut self, resource: &Resource, done: kube::Result<(&str, String)>) {
        let (status, message) = done.unwrap_or_else(|error| {
            let error = match error {
                kube::Error::Api(status) => status.message,
                other => other.to_string(),
            };
            self.error.get_or_insert_with(|| {
                format!("one or more objects failed to apply, reason: {error}")
            });
            ("SyncFailed", error)
        });
        let phase = match status {
            "SyncFailed" => "Failed",
            _ => "Succeeded",
        };
        self.resources.push(json!({
            "group": resource.key.group,
            "version": resource.version,
            "kind": resource.key.kind,
            "namespace": resource.key.namespace,
            "name": resource.key.name,
            "status": status,
            "message": message,
            "hookPhase": phase,
            "syncPhase": "Sync",
        }));
    }
}

/// The resources that an operation is about, in the order in which they are
/// dealt with: what is pruned comes last, in reverse.
fn in_order(comparison: Comparison, chosen: &Value) -> Vec<Resource> {
    let rank = |resource: &Resource| {
        let kind = resource.key.kind.as_str();
        let place = KIND_ORDER.iter().position(|other| *other == kind);
        let place = place.unwrap_or(KIND_ORDER.len());
        (resource.wave(), place)
    };
    let wanted = |resource: &Resource| {
        chosen.as_array().is_none_or(|chosen| {
            chosen.iter().any(|one| {
                let group = one["group"].as_str().unwrap_or_default();
                let namespace = one["namespace"].as_str();
                group == resource.key.group
                    && one["kind"] == resource.key.kind.as_str()
                    && one["name"] == resource.key.name.as_str()
                    && namespace.is_none_or(|namespace| namespace == resource.key.namespace)
            })
        })
    };
    let (mut pruned, mut applied): (Vec<_>, Vec<_>) = comparison
        .resources
        .into_iter()
        .filter(wanted)
        .partition(Resource::requires_pruning);
    applied.sort_by_key(rank);
    pruned.sort_by_key(|resource| std::cmp::Reverse(rank(resource)));
    applied.append(&mut pruned);
    applied
}

async fn apply(
    mirror: &Mirror,
    resource: &Resource,
    target: &Value,
    live: Option<&Object>,
) -> kube::Result<String> {
    let Key {
        group,
        kind,
        namespace,
        name,
    } = &resource.key;
    let what = format!("{} {name}", kind.to_lowercase());
    if resource.synced {
        return Ok(format!("{what} unchanged"));
    }
    let Some(served) = mirror.kind(group, kind) else {
        return Err(kube::Error::Discovery(
            kube::error::DiscoveryError::MissingKind(format!(
                "the server could not find the requested resource {kind} of {group:?}"
            )),
        ));
    };
    let mut body = target.clone();
    body["metadata"]["annotations"][LAST_APPLIED] = target.to_string().into();
    let Some(live) = live else {
        mirror.create(&served, namespace, body).await?;
        return Ok(format!("{what} created"));
    };
    let last = live.annotation(LAST_APPLIED);
    let last: Value = last
        .and_then(|last| serde_json::from_str(last).ok())
        .unwrap_or_default();
    let mut patch = merge::without_what_was(&last, &body);
    if let Some(fields) = patch.as_object_mut() {
        for fixed in ["apiVersion", "kind", "status"] {
            fields.remove(fixed);
        }
    }
    // The last configuration did not hold this annotation, and finalizers
    // are not taken back.
    if let Some(metadata) = patch["metadata"].as_object_mut() {
        metadata.remove("finalizers");
    }
    mirror.patch(live, patch).await?;
    Ok(format!("{what} configured"))
}
