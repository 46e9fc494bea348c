//! The data of volumes in backups: what the node agent of a real Velero copies.
//!
//! A volume's data is an annotation of its PersistentVolume. Only volumes that
//! a running pod mounts are backed up, and they are restored only for pods that
//! the restore itself created.

use std::collections::BTreeSet;

use jiff::Timestamp;
use kube::ResourceExt;
use kube::api::DynamicObject;
use serde_json::{Value, json};

use super::life::Server;
use super::objects::{
    BACKUP_NAME, BACKUP_UID, Kind, LOCATION, generated, label_value, stamp, text,
};
use super::results::Log;
use super::storage::{Stored, VolumeData};
use crate::workloads::{BYTES_ANNOTATION, DATA_ANNOTATION};

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
pub(super) fn claims(pod: &Value) -> Vec<(&str, &str)> {
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
            let data = annotation(disk, DATA_ANNOTATION).map(str::to_owned);
            let claimed = annotation(disk, BYTES_ANNOTATION).map(str::to_owned);
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
            server.insist(Kind::PodVolumeBackup, &name, change).await?;
            server.step().await;
        }
    }
    Ok(())
}

/// The owner reference to one of Velero's objects.
pub(super) fn owner(kind: &str, name: &str, uid: &str) -> Value {
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
