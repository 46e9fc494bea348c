//! Velero: its backups and locations, and this request's safety backup and Restores.

pub mod at_once;
pub mod contents;
pub(crate) mod files;
pub mod results;
pub mod shelf;

use anyhow::Context as _;
use kube::api::{ListParams, PostParams};
use kube::core::DynamicObject;
use kube::{Client, ResourceExt as _};
use serde_json::json;

use super::{dynamic, json, velero_kind};
use crate::copy::BROUGHT;
use crate::request::observed::{SafetyBackup, Volume};
use crate::request::preflight::{self, Location, NodeAgent, label_value};
use crate::request::{BackupRun, Progress, RestoreRun, names};

/// Every Backup there is, as the checks need them.
pub async fn backups(client: &Client, namespace: &str) -> anyhow::Result<Vec<preflight::Backup>> {
    let requests = dynamic(
        client,
        namespace,
        &velero_kind("DeleteBackupRequest", "deletebackuprequests"),
    )
    .list(&ListParams::default())
    .await
    .context("list Velero's DeleteBackupRequests")?;
    let doomed: Vec<&str> = requests
        .items
        .iter()
        .filter(|request| json::text(&request.data, "/status/phase") != Some("Processed"))
        .filter_map(|request| json::text(&request.data, "/spec/backupName"))
        .collect();
    let list = dynamic(client, namespace, &velero_kind("Backup", "backups"))
        .list(&ListParams::default())
        .await
        .context("list Velero's Backups")?;
    Ok(list
        .items
        .iter()
        .map(|backup| {
            let data = &backup.data;
            let name = backup.name_any();
            preflight::Backup {
                uid: backup.uid().unwrap_or_default(),
                phase: json::string(data, "/status/phase"),
                schedule: backup.labels().get("velero.io/schedule-name").cloned(),
                started_at: json::time(data, "/status/startTimestamp"),
                expires_at: json::time(data, "/status/expiration"),
                location: json::text(data, "/spec/storageLocation")
                    .unwrap_or("default")
                    .to_owned(),
                included: json::strings(data, "/spec/includedNamespaces"),
                excluded: json::strings(data, "/spec/excludedNamespaces"),
                deleting: backup.metadata.deletion_timestamp.is_some()
                    || doomed.contains(&name.as_str()),
                items: data
                    .pointer("/status/progress/totalItems")
                    .and_then(serde_json::Value::as_i64),
                name,
            }
        })
        .collect())
}

/// The storage locations and their phases.
pub async fn locations(client: &Client, namespace: &str) -> anyhow::Result<Vec<Location>> {
    let list = dynamic(
        client,
        namespace,
        &velero_kind("BackupStorageLocation", "backupstoragelocations"),
    )
    .list(&ListParams::default())
    .await
    .context("list Velero's BackupStorageLocations")?;
    Ok(list
        .items
        .iter()
        .map(|location| Location {
            name: location.name_any(),
            phase: json::string(&location.data, "/status/phase"),
        })
        .collect())
}

/// The names of the Restores that have not ended.
pub async fn restores_under_way(client: &Client, namespace: &str) -> anyhow::Result<Vec<String>> {
    Ok(
        dynamic(client, namespace, &velero_kind("Restore", "restores"))
            .list(&ListParams::default())
            .await
            .context("list Velero's Restores")?
            .items
            .iter()
            .filter(|restore| {
                restore.metadata.deletion_timestamp.is_none()
                    && !has_ended(&json::string(&restore.data, "/status/phase"))
            })
            .map(kube::ResourceExt::name_any)
            .collect(),
    )
}

/// True for a Restore that Velero does nothing about any more.
pub fn has_ended(phase: &str) -> bool {
    matches!(
        phase,
        "Completed" | "PartiallyFailed" | "Failed" | "FailedValidation"
    )
}

/// The node agent's pods; `None` if there is no such DaemonSet.
pub async fn node_agent(
    client: &Client,
    namespace: &str,
    name: &str,
) -> anyhow::Result<Option<NodeAgent>> {
    let sets: kube::Api<k8s_openapi::api::apps::v1::DaemonSet> =
        kube::Api::namespaced(client.clone(), namespace);
    let named = ListParams::default().fields(&format!("metadata.name={name}"));
    let set = sets
        .list(&named)
        .await
        .with_context(|| format!("look for the DaemonSet {name}"))?
        .items
        .into_iter()
        .find(|set| set.metadata.name.as_deref() == Some(name));
    Ok(set.map(|set| {
        set.status
            .map_or_else(NodeAgent::default, |status| NodeAgent {
                ready: status.number_ready.into(),
                wanted: status.desired_number_scheduled.into(),
            })
    }))
}

/// What a safety backup or a Restore is made for.
#[derive(Clone, Debug)]
pub struct Order<'a> {
    pub namespace: &'a str,
    pub request: &'a str,
    pub uid: &'a str,
    pub namespaces: &'a [String],
}

impl Order<'_> {
    fn labels(&self) -> serde_json::Value {
        json!({
            names::REQUEST_LABEL: self.uid,
            names::REQUEST_NAME_LABEL: label_value(self.request),
        })
    }

    fn is_ours(&self, object: &DynamicObject) -> bool {
        object
            .labels()
            .get(names::REQUEST_LABEL)
            .map(String::as_str)
            == Some(self.uid)
    }
}

/// The safety backup of a request, if it is there.
pub async fn safety_backup(
    client: &Client,
    order: &Order<'_>,
    round: usize,
) -> anyhow::Result<Option<SafetyBackup>> {
    let name = names::safety_backup(order.uid, round);
    let found = dynamic(client, order.namespace, &velero_kind("Backup", "backups"))
        .get_opt(&name)
        .await
        .with_context(|| format!("read the Backup {name}"))?;
    Ok(found.map(|backup| safety_view(&backup)))
}

fn safety_view(backup: &DynamicObject) -> SafetyBackup {
    let data = &backup.data;
    let mut failures = json::strings(data, "/status/validationErrors");
    failures.extend(json::text(data, "/status/failureReason").map(ToOwned::to_owned));
    let errors = json::number(data, "/status/errors");
    if failures.is_empty() && errors > 0 {
        failures.push(preflight::count(errors, "error"));
    }
    let total = json::number(data, "/status/progress/totalItems");
    SafetyBackup {
        run: BackupRun {
            name: backup.name_any(),
            uid: backup.uid().unwrap_or_default(),
            created_at: created(backup),
            progress: (total > 0).then(|| Progress {
                done: json::number(data, "/status/progress/itemsBackedUp"),
                total,
            }),
            completed_at: None,
        },
        phase: json::string(data, "/status/phase"),
        failure: (!failures.is_empty()).then(|| failures.join("; ")),
    }
}

fn created(object: &DynamicObject) -> jiff::Timestamp {
    object
        .metadata
        .creation_timestamp
        .as_ref()
        .map_or(jiff::Timestamp::UNIX_EPOCH, |time| time.0)
}

/// Takes the safety backup, or finds the one that was taken.
pub async fn take_safety_backup(
    client: &Client,
    order: &Order<'_>,
    round: usize,
    location: &str,
    ttl: jiff::SignedDuration,
) -> anyhow::Result<SafetyBackup> {
    let kind = velero_kind("Backup", "backups");
    let name = names::safety_backup(order.uid, round);
    let backup = json!({
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        "metadata": {
            "name": name,
            "namespace": order.namespace,
            "labels": order.labels(),
        },
        "spec": {
            "includedNamespaces": order.namespaces,
            "storageLocation": location,
            "ttl": go_duration(ttl),
            "defaultVolumesToFsBackup": true,
        },
    });
    let made = find_or_create(client, order, &kind, &name, backup).await?;
    Ok(safety_view(&made))
}

async fn find_or_create(
    client: &Client,
    order: &Order<'_>,
    kind: &kube::core::discovery::ApiResource,
    name: &str,
    object: serde_json::Value,
) -> anyhow::Result<DynamicObject> {
    let api = dynamic(client, order.namespace, kind);
    let found = if let Some(found) = api.get_opt(name).await? {
        found
    } else {
        let object: DynamicObject = serde_json::from_value(object)?;
        match api.create(&PostParams::default(), &object).await {
            Ok(made) => made,
            Err(kube::Error::Api(status)) if status.code == 409 => api.get(name).await?,
            Err(error) => {
                return Err(error).with_context(|| format!("create the {} {name}", kind.kind));
            }
        }
    };
    anyhow::ensure!(
        order.is_ours(&found),
        "the {} {name} exists but does not belong to this request; somebody else made it",
        kind.kind
    );
    Ok(found)
}

/// As Go prints it, in whole hours, minutes and seconds.
fn go_duration(duration: jiff::SignedDuration) -> String {
    let seconds = duration.as_secs();
    format!(
        "{}h{}m{}s",
        seconds / 3600,
        seconds % 3600 / 60,
        seconds % 60
    )
}

/// Creates the Restore of a request, or adopts the one that was created (S10).
pub async fn create_restore(
    client: &Client,
    order: &Order<'_>,
    round: usize,
    backup: &str,
) -> anyhow::Result<RestoreRun> {
    let kind = velero_kind("Restore", "restores");
    let name = names::restore(order.uid, round);
    let restore = json!({
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        "metadata": {
            "name": name,
            "namespace": order.namespace,
            "labels": order.labels(),
        },
        // What is not said here is left to Velero on purpose: an existing
        // resource policy never restores volume data, and cluster resources are
        // Velero's to judge.
        "spec": {
            "backupName": backup,
            "includedNamespaces": order.namespaces,
        },
    });
    let made = find_or_create(client, order, &kind, &name, restore).await?;
    Ok(run_view(&made, &[]))
}

/// Creates the Restore of a copy, or adopts the one that was created: the namespace of `order` into another.
pub async fn create_copy(
    client: &Client,
    order: &Order<'_>,
    backup: &str,
    into: &str,
) -> anyhow::Result<RestoreRun> {
    let kind = velero_kind("Restore", "restores");
    let name = names::restore(order.uid, 0);
    let mapping: serde_json::Map<String, serde_json::Value> = order
        .namespaces
        .iter()
        .map(|namespace| (namespace.clone(), into.into()))
        .collect();
    let resources: Vec<&str> = BROUGHT.iter().map(|(resource, _)| *resource).collect();
    let restore = json!({
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        "metadata": {
            "name": name,
            "namespace": order.namespace,
            "labels": order.labels(),
        },
        "spec": {
            "backupName": backup,
            "includedNamespaces": order.namespaces,
            "includedResources": resources,
            "namespaceMapping": mapping,
        },
    });
    let made = find_or_create(client, order, &kind, &name, restore).await?;
    Ok(run_view(&made, &[]))
}

/// A Restore as one look saw it.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    pub run: Option<RestoreRun>,
    pub failures: Vec<String>,
    pub ahead: usize,
    pub volumes: Vec<Volume>,
    /// Velero was restarted while it ran, and so marked it `Failed`.
    pub restarted: bool,
}

/// The Restore of a request and its volumes, if it is there.
pub async fn restore(client: &Client, order: &Order<'_>, round: usize) -> anyhow::Result<Seen> {
    let restores = dynamic(client, order.namespace, &velero_kind("Restore", "restores"));
    let name = names::restore(order.uid, round);
    let Some(found) = restores
        .get_opt(&name)
        .await
        .with_context(|| format!("read the Restore {name}"))?
    else {
        return Ok(Seen::default());
    };
    let volumes = volumes(client, order.namespace, &name).await?;
    let mut failures = json::strings(&found.data, "/status/validationErrors");
    let reason = json::text(&found.data, "/status/failureReason");
    // What Velero writes at its start about what it finds running.
    let restarted = reason.is_some_and(|reason| reason.contains("during the server starting"));
    failures.extend(reason.map(ToOwned::to_owned));
    failures.extend(
        volumes
            .iter()
            .filter(|volume| volume.phase == "Failed")
            .map(|volume| {
                format!(
                    "volume {} failed{}",
                    volume.name,
                    volume
                        .message
                        .as_ref()
                        .map(|message| format!(" ({message})"))
                        .unwrap_or_default()
                )
            }),
    );
    let run = run_view(&found, &volumes);
    let ahead = if run.started_at.is_some() || run.ended_at.is_some() {
        0
    } else {
        let mine = (created(&found), name.clone());
        restores
            .list(&ListParams::default())
            .await
            .context("list Velero's Restores")?
            .items
            .iter()
            .filter(|other| {
                let phase = json::string(&other.data, "/status/phase");
                let waiting = matches!(phase.as_str(), "" | "New");
                let ended = has_ended(&phase);
                other.name_any() != name
                    && !ended
                    && (!waiting || (created(other), other.name_any()) < mine)
            })
            .count()
    };
    Ok(Seen {
        run: Some(run),
        failures,
        ahead,
        volumes,
        restarted,
    })
}

fn run_view(restore: &DynamicObject, volumes: &[Volume]) -> RestoreRun {
    let data = &restore.data;
    RestoreRun {
        name: restore.name_any(),
        uid: restore.uid().unwrap_or_default(),
        created_at: created(restore),
        phase: json::string(data, "/status/phase"),
        started_at: json::time(data, "/status/startTimestamp"),
        items: Progress {
            done: json::number(data, "/status/progress/itemsRestored"),
            total: json::number(data, "/status/progress/totalItems"),
        },
        bytes: volumes
            .iter()
            .fold(Progress::default(), |sum, volume| Progress {
                done: sum.done.saturating_add(volume.bytes.done),
                total: sum.total.saturating_add(volume.bytes.total),
            }),
        warnings: json::number(data, "/status/warnings"),
        errors: json::number(data, "/status/errors"),
        progressed_at: None,
        ended_at: None,
        notes: Vec::new(),
        harmless: 0,
    }
}

/// The volumes that a Restore brings back: by file system (PodVolumeRestore) or
/// by data mover (DataDownload), where the cluster has that kind.
pub async fn volumes(
    client: &Client,
    namespace: &str,
    restore: &str,
) -> anyhow::Result<Vec<Volume>> {
    let params =
        ListParams::default().labels(&format!("velero.io/restore-name={}", label_value(restore)));
    let mut volumes = Vec::new();
    let by_file = velero_kind("PodVolumeRestore", "podvolumerestores");
    let mut by_mover = velero_kind("DataDownload", "datadownloads");
    "v2alpha1".clone_into(&mut by_mover.version);
    "velero.io/v2alpha1".clone_into(&mut by_mover.api_version);
    for kind in [by_file, by_mover] {
        let list = match dynamic(client, namespace, &kind).list(&params).await {
            Ok(list) => list,
            Err(kube::Error::Api(status)) if status.code == 404 => continue,
            Err(error) => {
                return Err(error).with_context(|| format!("list Velero's {}", kind.plural));
            }
        };
        volumes.extend(list.items.iter().map(|item| {
            let data = &item.data;
            let target = if kind.kind == "PodVolumeRestore" {
                format!(
                    "{}/{}:{}",
                    json::string(data, "/spec/pod/namespace"),
                    json::string(data, "/spec/pod/name"),
                    json::string(data, "/spec/volume")
                )
            } else {
                format!(
                    "{}/{}",
                    json::string(data, "/spec/targetVolume/namespace"),
                    json::string(data, "/spec/targetVolume/pvc")
                )
            };
            Volume {
                name: target,
                phase: json::string(data, "/status/phase"),
                bytes: Progress {
                    done: json::number(data, "/status/progress/bytesDone"),
                    total: json::number(data, "/status/progress/totalBytes"),
                },
                message: json::text(data, "/status/message")
                    .filter(|message| !message.is_empty())
                    .map(ToOwned::to_owned),
            }
        }));
    }
    volumes.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(volumes)
}
