//! The data of volumes: what the node agent of a real Velero copies.
//!
//! A volume's data is an annotation of its PersistentVolume. Only volumes that
//! a running pod mounts are backed up, and they are restored only for pods that
//! the restore itself created.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use kube::ResourceExt;
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use kube::runtime::wait::await_condition;
use serde_json::{Value, json};

use super::life::{Server, gone_is_fine};
use super::objects::{
    BACKUP_NAME, BACKUP_UID, Kind, LOCATION, RESTORE_NAME, RESTORE_UID, generated, label_value,
    stamp, text,
};
use super::results::Log;
use super::storage::{Stored, VolumeData};

/// The PersistentVolume's annotation that holds the data of the volume.
const DATA: &str = "harbour.refloat.dev/data";
/// The annotation that says how big the volume is, whatever its data.
const BYTES: &str = "harbour.refloat.dev/bytes";
/// How many updates a PodVolumeRestore's progress gets.
const STEPS: u64 = 4;

fn of_kind<'a>(objects: &'a [Stored], kind: &'a str) -> impl Iterator<Item = &'a Value> {
    objects
        .iter()
        .filter(move |item| item.resource.group.is_empty() && item.resource.kind == kind)
        .map(|item| &item.object)
}

fn is(object: &Value, namespace: &str, name: &str) -> bool {
    text(object, "/metadata/namespace") == Some(namespace)
        && text(object, "/metadata/name") == Some(name)
}

fn annotation<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    object.pointer("/metadata/annotations")?.get(key)?.as_str()
}

/// The pod's volumes that are claims: `(volume, claim)`.
fn claims(pod: &Value) -> Vec<(&str, &str)> {
    let volumes = pod.pointer("/spec/volumes").and_then(Value::as_array);
    volumes
        .into_iter()
        .flatten()
        .filter_map(|volume| {
            let claim = text(volume, "/persistentVolumeClaim/claimName")?;
            Some((text(volume, "/name")?, claim))
        })
        .collect()
}

/// The data of the volumes that running pods among `objects` mount: of all if
/// `by_default`, but for those the pod opts out of, else of those it opts in.
pub(super) fn hold(objects: &[Stored], by_default: bool, log: &mut Log) -> Vec<VolumeData> {
    let mut held: Vec<VolumeData> = Vec::new();
    for pod in of_kind(objects, "Pod") {
        let namespace = text(pod, "/metadata/namespace").unwrap_or_default();
        let name = text(pod, "/metadata/name").unwrap_or_default();
        let listed = |key: &str| -> BTreeSet<&str> {
            let list = annotation(pod, key).unwrap_or_default();
            list.split(',').map(str::trim).collect()
        };
        let out = listed("backup.velero.io/backup-volumes-excludes");
        let into = listed("backup.velero.io/backup-volumes");
        for (volume, claim) in claims(pod) {
            if out.contains(volume) || !(by_default || into.contains(volume)) {
                continue;
            }
            if text(pod, "/status/phase") != Some("Running") {
                log.warn(
                    namespace,
                    format!("Skip pod volume {volume} error: pod is not in the expected status, name={name}, namespace={namespace}"),
                );
                continue;
            }
            // A volume that two pods share is copied once.
            if held
                .iter()
                .any(|other| other.namespace == namespace && other.claim == claim)
            {
                continue;
            }
            let Some(disk) = disk(objects, namespace, claim) else {
                continue;
            };
            let data = annotation(disk, DATA).map(str::to_owned);
            let claimed = annotation(disk, BYTES).map(str::to_owned);
            let bytes = claimed
                .as_ref()
                .and_then(|bytes| bytes.parse().ok())
                .unwrap_or(data.as_ref().map_or(0, String::len) as u64);
            held.push(VolumeData {
                namespace: namespace.to_owned(),
                pod: name.to_owned(),
                volume: volume.to_owned(),
                claim: claim.to_owned(),
                snapshot: uuid::Uuid::new_v4().simple().to_string(),
                data,
                bytes,
                claimed,
            });
        }
    }
    held
}

fn disk<'a>(objects: &'a [Stored], namespace: &str, claim: &str) -> Option<&'a Value> {
    let claim =
        of_kind(objects, "PersistentVolumeClaim").find(|object| is(object, namespace, claim))?;
    let name = text(claim, "/spec/volumeName")?;
    of_kind(objects, "PersistentVolume").find(|object| text(object, "/metadata/name") == Some(name))
}

/// Creates the PodVolumeBackups that tell of `held`. With a time they are as if
/// they had been made then; without, they are made now, phase by phase.
pub(super) async fn report_backups(
    server: &Server,
    backup: &DynamicObject,
    held: &[VolumeData],
    objects: &[Stored],
    at: Option<Timestamp>,
) -> anyhow::Result<()> {
    let backup_name = backup.name_any();
    let uid = backup.uid().unwrap_or_default();
    for volume in held {
        let pod = of_kind(objects, "Pod").find(|pod| is(pod, &volume.namespace, &volume.pod));
        let of_pod = |pointer| pod.and_then(|pod| text(pod, pointer)).unwrap_or_default();
        let claim_uid = of_kind(objects, "PersistentVolumeClaim")
            .find(|claim| is(claim, &volume.namespace, &volume.claim))
            .and_then(|claim| text(claim, "/metadata/uid"))
            .unwrap_or_default();
        let name = generated(&backup_name);
        let started = stamp(at.unwrap_or_else(Timestamp::now));
        let progress = |done: u64| json!({"totalBytes": volume.bytes, "bytesDone": done});
        let done = json!({
            "phase": "Completed",
            "path": format!("/host_pods/{}/volumes/kubernetes.io~csi/{}/mount", of_pod("/metadata/uid"), volume.volume),
            "snapshotID": volume.snapshot,
            "startTimestamp": started,
            "completionTimestamp": stamp(at.unwrap_or_else(Timestamp::now)),
            "progress": progress(volume.bytes),
        });
        let mut body = json!({
            "metadata": {
                "name": name,
                "labels": {
                    BACKUP_NAME: label_value(&backup_name),
                    BACKUP_UID: uid,
                    "velero.io/pvc-uid": claim_uid,
                },
                "annotations": {"velero.io/pvc-name": volume.claim},
                "ownerReferences": [owner("Backup", &backup_name, &uid)],
            },
            "spec": {
                "backupStorageLocation": LOCATION,
                "node": Some(of_pod("/spec/nodeName")).filter(|node| !node.is_empty()).unwrap_or("node-1"),
                "pod": {
                    "kind": "Pod",
                    "namespace": volume.namespace,
                    "name": volume.pod,
                    "uid": of_pod("/metadata/uid"),
                },
                "repoIdentifier": "",
                "uploaderType": "kopia",
                "volume": volume.volume,
                "tags": {
                    "backup": backup_name,
                    "backup-uid": uid,
                    "ns": volume.namespace,
                    "pod": volume.pod,
                    "pod-uid": of_pod("/metadata/uid"),
                    "pvc-uid": claim_uid,
                    "volume": volume.volume,
                },
            },
        });
        if at.is_some() {
            body["status"] = done;
            server.create(Kind::PodVolumeBackup, body).await?;
            continue;
        }
        server.create(Kind::PodVolumeBackup, body).await?;
        let running =
            json!({"phase": "InProgress", "startTimestamp": started, "progress": progress(0)});
        for status in [running, done] {
            let change = json!({"status": status});
            gone_is_fine(server.patch(Kind::PodVolumeBackup, &name, change).await)?;
            server.step().await;
        }
    }
    Ok(())
}

fn owner(kind: &str, name: &str, uid: &str) -> Value {
    json!({
        "apiVersion": "velero.io/v1",
        "kind": kind,
        "name": name,
        "uid": uid,
        "controller": true,
    })
}

/// The BackupVolumeInfos: one entry for each claim, whether copied or not.
pub(super) fn infos(objects: &[Stored], held: &[VolumeData]) -> Vec<Value> {
    of_kind(objects, "PersistentVolumeClaim")
        .filter_map(|claim| {
            let namespace = text(claim, "/metadata/namespace")?;
            let name = text(claim, "/metadata/name")?;
            let disk = disk(objects, namespace, name)?;
            let mut info = json!({
                "pvcName": name,
                "pvcNamespace": namespace,
                "pvName": text(disk, "/metadata/name"),
                "snapshotDataMoved": false,
                "preserveLocalSnapshot": false,
                "skipped": true,
                "pvInfo": {
                    "reclaimPolicy": text(disk, "/spec/persistentVolumeReclaimPolicy").unwrap_or("Delete"),
                    "labels": disk.pointer("/metadata/labels").cloned().unwrap_or_else(|| json!({})),
                },
            });
            let copied = held
                .iter()
                .find(|volume| volume.namespace == namespace && volume.claim == name);
            match copied {
                None => info["skippedReason"] = "no applicable volumesnapshotter found".into(),
                Some(volume) => {
                    info["skipped"] = false.into();
                    info["backupMethod"] = "PodVolumeBackup".into();
                    info["result"] = "succeeded".into();
                    info["pvbInfo"] = json!({
                        "snapshotHandle": volume.snapshot,
                        "size": volume.bytes,
                        "uploaderType": "kopia",
                        "volumeName": volume.volume,
                        "podName": volume.pod,
                        "podNamespace": volume.namespace,
                    });
                }
            }
            Some(info)
        })
        .collect()
}

/// A volume to be restored, for a pod that the restore has just created.
pub(super) struct VolumeRestore {
    /// The Restore, as it was when it began.
    pub(super) restore: Arc<DynamicObject>,
    /// The pod as the API answered its creation.
    pub(super) pod: Value,
    pub(super) data: VolumeData,
}

/// Restores one volume, telling of it in a PodVolumeRestore. The error is the
/// message that the Restore's results carry.
pub(super) async fn restore(server: Arc<Server>, wanted: VolumeRestore) -> Result<(), String> {
    let message = match attempt(&server, &wanted).await {
        Ok(None) => return Ok(()),
        Ok(Some(message)) => message,
        Err(error) => format!("{error:#}"),
    };
    Err(format!("pod volume restore failed: {message}"))
}

/// `Some`: the PodVolumeRestore is `Failed`, with this message.
async fn attempt(server: &Server, wanted: &VolumeRestore) -> anyhow::Result<Option<String>> {
    let VolumeRestore { restore, pod, data } = wanted;
    let restore_name = restore.name_any();
    let uid = restore.uid().unwrap_or_default();
    let namespace = text(pod, "/metadata/namespace").unwrap_or_default();
    let pod_name = text(pod, "/metadata/name").unwrap_or_default();
    let pod_uid = text(pod, "/metadata/uid").unwrap_or_default();
    let name = generated(&restore_name);
    let body = json!({
        "metadata": {
            "name": name,
            "labels": {
                RESTORE_NAME: label_value(&restore_name),
                RESTORE_UID: uid,
                "velero.io/pod-uid": pod_uid,
            },
            "ownerReferences": [owner("Restore", &restore_name, &uid)],
        },
        "spec": {
            "backupStorageLocation": LOCATION,
            "pod": {
                "kind": "Pod",
                "namespace": namespace,
                "name": pod_name,
                "uid": pod_uid,
            },
            "repoIdentifier": "",
            "snapshotID": data.snapshot,
            "sourceNamespace": data.namespace,
            "uploaderType": "kopia",
            "volume": data.volume,
        },
        "status": {"phase": "New"},
    });
    server.create(Kind::PodVolumeRestore, body).await?;
    let told = async |status: Value| -> anyhow::Result<()> {
        let change = json!({"status": status});
        Ok(gone_is_fine(
            server.patch(Kind::PodVolumeRestore, &name, change).await,
        )?)
    };
    let failed = async |message: String| -> anyhow::Result<Option<String>> {
        told(json!({
            "phase": "Failed",
            "message": message,
            "completionTimestamp": stamp(Timestamp::now()),
        }))
        .await?;
        Ok(Some(message))
    };
    server.step().await;
    let Some((_, claim)) = claims(pod)
        .into_iter()
        .find(|(volume, _)| *volume == data.volume)
    else {
        return failed(format!(
            "volume {} not found in pod {namespace}/{pod_name}",
            data.volume
        ))
        .await;
    };
    let Some(disk) = bound(server, namespace, claim).await? else {
        return failed(format!(
            "timed out waiting for persistentvolumeclaim {namespace}/{claim} to be bound"
        ))
        .await;
    };
    told(json!({
        "phase": "InProgress",
        "startTimestamp": stamp(Timestamp::now()),
        "progress": {"totalBytes": data.bytes},
    }))
    .await?;
    for step in 1..STEPS {
        server.faults.stall(u64::MAX).await;
        server.step().await;
        if server.faults.volume_broken(&data.volume) {
            return failed(format!(
                "data path restore failed: error copying data to volume {}: input/output error",
                data.volume
            ))
            .await;
        }
        let done = u128::from(data.bytes) * u128::from(step) / u128::from(STEPS);
        let done = u64::try_from(done).unwrap_or(data.bytes);
        told(json!({"progress": {"totalBytes": data.bytes, "bytesDone": done}})).await?;
    }
    server.faults.stall(u64::MAX).await;
    let disks: Api<PersistentVolume> = Api::all(server.client.clone());
    let content = json!({"metadata": {"annotations": {DATA: data.data, BYTES: data.claimed}}});
    server
        .write(async move {
            disks
                .patch(&disk, &PatchParams::default(), &Patch::Merge(&content))
                .await
        })
        .await?;
    told(json!({
        "phase": "Completed",
        "completionTimestamp": stamp(Timestamp::now()),
        "progress": {"totalBytes": data.bytes, "bytesDone": data.bytes},
    }))
    .await?;
    Ok(None)
}

/// Waits until the claim is bound and returns its volume's name; `None` if it
/// is not bound in time.
async fn bound(server: &Server, namespace: &str, claim: &str) -> anyhow::Result<Option<String>> {
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(server.client.clone(), namespace);
    let is_bound = |claim: Option<&PersistentVolumeClaim>| {
        claim.is_some_and(|claim| {
            let phase = claim
                .status
                .as_ref()
                .and_then(|status| status.phase.as_deref());
            phase == Some("Bound")
                && claim
                    .spec
                    .as_ref()
                    .is_some_and(|spec| spec.volume_name.is_some())
        })
    };
    match tokio::time::timeout(server.patience, await_condition(claims, claim, is_bound)).await {
        Ok(claim) => Ok(claim?.and_then(|claim| claim.spec?.volume_name)),
        Err(_late) => Ok(None),
    }
}
