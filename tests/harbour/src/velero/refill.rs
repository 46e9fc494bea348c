//! Restoring the data of volumes, each told of in a PodVolumeRestore.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use kube::ResourceExt;
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use kube::runtime::wait::await_condition;
use serde_json::{Value, json};

use super::life::Server;
use super::objects::{
    Kind, LOCATION, RESTORE_NAME, RESTORE_UID, generated, label_value, stamp, text,
};
use super::storage::VolumeData;
use super::volumes::{claims, owner};
use crate::workloads::{BYTES_ANNOTATION, DATA_ANNOTATION};

/// How many updates a PodVolumeRestore's progress gets.
const STEPS: u64 = 4;

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
        Ok(server.insist(Kind::PodVolumeRestore, &name, change).await?)
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
    let content = json!({"metadata": {"annotations": {DATA_ANNOTATION: data.data, BYTES_ANNOTATION: data.claimed}}});
    let written = server
        .write(async move {
            disks
                .patch(&disk, &PatchParams::default(), &Patch::Merge(&content))
                .await
        })
        .await;
    if let Err(error) = written {
        return failed(format!("data path restore failed: {error}")).await;
    }
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
