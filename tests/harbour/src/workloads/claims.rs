//! PersistentVolumeClaims and PersistentVolumes: provisioning, binding,
//! protection and reclaiming.

use kube::api::DeleteParams;
use serde_json::{Value, json};

use super::collect::ignore_gone;
use super::mirror::{Key, Mirror, Object};
use super::{STORAGE_CLASS, pods, subset};

const CLAIM_PROTECTION: &str = "kubernetes.io/pvc-protection";
const VOLUME_PROTECTION: &str = "kubernetes.io/pv-protection";
const PROVISIONER: &str = "csi.harbour.refloat.dev";

/// Creates the default storage class if there is none of that name.
pub(super) async fn ensure_storage_class(mirror: &Mirror) -> kube::Result<()> {
    let Some(kind) = mirror.kind("storage.k8s.io", "StorageClass") else {
        return Ok(());
    };
    let class = json!({
        "metadata": {
            "name": STORAGE_CLASS,
            "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
        },
        "provisioner": PROVISIONER,
        "reclaimPolicy": "Delete",
        "volumeBindingMode": "Immediate",
    });
    ignore_existing(mirror.create(&kind, "", class).await.map(drop))
}

pub(super) async fn reconcile(mirror: &Mirror, claim: &Object) -> kube::Result<()> {
    if claim.deleting() {
        if claim.has_finalizer(CLAIM_PROTECTION) && !in_use(mirror, claim) {
            let rest = claim.finalizers_without(CLAIM_PROTECTION);
            let patch = json!({"metadata": {"finalizers": rest}});
            ignore_gone(mirror.patch(claim, patch).await.map(drop))?;
        }
        return Ok(());
    }
    if !claim.has_finalizer(CLAIM_PROTECTION) {
        let mut finalizers = claim.finalizers_without(CLAIM_PROTECTION);
        finalizers.push(CLAIM_PROTECTION);
        let patch = json!({"metadata": {"finalizers": finalizers}});
        mirror.patch(claim, patch).await?;
    }
    match claim.text("/spec/volumeName") {
        None if claim.text("/spec/storageClassName") == Some("") => Ok(()),
        None => provision(mirror, claim).await,
        Some(volume) => bind(mirror, claim, volume).await,
    }
}

fn in_use(mirror: &Mirror, claim: &Object) -> bool {
    let pods = mirror.in_namespace("", "Pod", claim.namespace());
    pods.iter()
        .any(|pod| !pods::ended(pod) && pods::claims_of(pod).any(|name| name == claim.name()))
}

async fn provision(mirror: &Mirror, claim: &Object) -> kube::Result<()> {
    let Some(kind) = mirror.kind("", "PersistentVolume") else {
        return Ok(());
    };
    let name = format!("pvc-{}", claim.uid());
    let class = claim
        .text("/spec/storageClassName")
        .unwrap_or(STORAGE_CLASS);
    let volume = json!({
        "metadata": {
            "name": name,
            "annotations": {"pv.kubernetes.io/provisioned-by": PROVISIONER},
            "finalizers": [VOLUME_PROTECTION],
        },
        "spec": {
            "accessModes": claim.at("/spec/accessModes"),
            "capacity": {"storage": claim.at("/spec/resources/requests/storage")},
            "claimRef": {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "namespace": claim.namespace(),
                "name": claim.name(),
                "uid": claim.uid(),
            },
            "csi": {"driver": PROVISIONER, "volumeHandle": name},
            "persistentVolumeReclaimPolicy": "Delete",
            "storageClassName": class,
            "volumeMode": "Filesystem",
        },
    });
    ignore_existing(mirror.create(&kind, "", volume).await.map(drop))?;
    let patch = json!({
        "metadata": {"annotations": {
            "pv.kubernetes.io/bind-completed": "yes",
            "pv.kubernetes.io/bound-by-controller": "yes",
            "volume.beta.kubernetes.io/storage-provisioner": PROVISIONER,
            "volume.kubernetes.io/storage-provisioner": PROVISIONER,
        }},
        "spec": {"storageClassName": class, "volumeName": name},
    });
    let claim = mirror.patch(claim, patch).await?;
    bind(mirror, &claim, &name).await
}

async fn bind(mirror: &Mirror, claim: &Object, volume: &str) -> kube::Result<()> {
    let volume = mirror.get(&Key::new("", "PersistentVolume", "", volume));
    let ours = volume.as_ref().is_some_and(|volume| {
        volume.text("/spec/claimRef/namespace") == Some(claim.namespace())
            && volume.text("/spec/claimRef/name") == Some(claim.name())
            && volume
                .text("/spec/claimRef/uid")
                .is_none_or(|uid| uid == claim.uid())
    });
    let Some(volume) = volume.filter(|_| ours) else {
        // A claim that says it is bound, to a volume that is not there, has lost it.
        let bound = claim
            .annotation("pv.kubernetes.io/bind-completed")
            .is_some();
        let phase = if bound { "Lost" } else { "Pending" };
        return set_status(mirror, claim, json!({"phase": phase})).await;
    };
    set_status(mirror, &volume, json!({"phase": "Bound"})).await?;
    let status = json!({
        "phase": "Bound",
        "accessModes": volume.at("/spec/accessModes"),
        "capacity": volume.at("/spec/capacity"),
    });
    set_status(mirror, claim, status).await
}

pub(super) async fn reconcile_volume(mirror: &Mirror, volume: &Object) -> kube::Result<()> {
    let Some(uid) = volume.text("/spec/claimRef/uid") else {
        return Ok(());
    };
    if mirror.by_uid(uid).is_some() || claim_lives(mirror, volume, uid).await? {
        return Ok(());
    }
    if volume.deleting() {
        if volume.has_finalizer(VOLUME_PROTECTION) {
            let rest = volume.finalizers_without(VOLUME_PROTECTION);
            let patch = json!({"metadata": {"finalizers": rest}});
            ignore_gone(mirror.patch(volume, patch).await.map(drop))?;
        }
        return Ok(());
    }
    ignore_gone(set_status(mirror, volume, json!({"phase": "Released"})).await)?;
    if volume.text("/spec/persistentVolumeReclaimPolicy") == Some("Delete") {
        mirror.delete(volume, DeleteParams::background()).await?;
    }
    Ok(())
}

async fn claim_lives(mirror: &Mirror, volume: &Object, uid: &str) -> kube::Result<bool> {
    let Some(kind) = mirror.kind("", "PersistentVolumeClaim") else {
        return Ok(true);
    };
    let namespace = volume.text("/spec/claimRef/namespace").unwrap_or_default();
    let name = volume.text("/spec/claimRef/name").unwrap_or_default();
    let claim = mirror.api(&kind, namespace).get_metadata_opt(name).await?;
    Ok(claim.is_some_and(|claim| claim.metadata.uid.as_deref() == Some(uid)))
}

/// Sets fields of the status unless they stand there already.
pub(super) async fn set_status(
    mirror: &Mirror,
    object: &Object,
    status: Value,
) -> kube::Result<()> {
    if subset(&status, object.at("/status")) {
        return Ok(());
    }
    mirror
        .patch_status(object, json!({"status": status}))
        .await
        .map(drop)
}

/// Takes "already exists" for done.
pub(super) fn ignore_existing(outcome: kube::Result<()>) -> kube::Result<()> {
    match outcome {
        Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(()),
        other => other,
    }
}
