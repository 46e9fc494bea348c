//! Pods: what a scheduler and a node do with them, and what the controllers
//! that make them have in common.

use std::sync::Arc;

use kube::api::DeleteParams;
use serde_json::{Value, json};

use super::claims::set_status;
use super::json::{conditions, selects};
use super::mirror::{Key, Mirror, Object};
use super::{NEVER_READY_ANNOTATION, Options};

/// The init container that Velero puts into a Pod whose volumes it fills.
const RESTORE_WAIT: &str = "restore-wait";

/// The names of the claims that a Pod mounts.
pub(super) fn claims_of(pod: &Object) -> impl Iterator<Item = String> + use<> {
    let volumes = pod.at("/spec/volumes").and_then(Value::as_array);
    let names: Vec<String> = volumes
        .into_iter()
        .flatten()
        .filter_map(|volume| volume.pointer("/persistentVolumeClaim/claimName")?.as_str())
        .map(str::to_owned)
        .collect();
    names.into_iter()
}

/// True for a Pod whose containers have all ended.
pub(super) fn ended(pod: &Object) -> bool {
    matches!(pod.text("/status/phase"), Some("Succeeded" | "Failed"))
}

/// True for a Pod that counts as ready.
pub(super) fn ready(pod: &Object) -> bool {
    let conditions = pod.at("/status/conditions").and_then(Value::as_array);
    conditions
        .into_iter()
        .flatten()
        .any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}

pub(super) async fn reconcile(
    mirror: &Mirror,
    options: &Options,
    pod: &Object,
) -> kube::Result<()> {
    if pod.deleting() {
        // Its containers stop at once.
        if pod.body.metadata.finalizers.is_none() {
            let now = DeleteParams::default().grace_period(0);
            mirror.delete(pod, now).await?;
        }
        return Ok(());
    }
    if ended(pod) || pod.text("/status/phase") == Some("Running") {
        return Ok(());
    }
    let before = pod.at("/status/conditions");
    if let Some(reason) = unbound(mirror, pod) {
        let scheduled = ["PodScheduled", "False", "Unschedulable", &reason];
        let status = json!({
            "phase": "Pending", "qosClass": qos(pod),
            "conditions": conditions(before, &[scheduled]),
        });
        return set_status(mirror, pod, status).await;
    }
    if volumes_being_filled(mirror, pod) {
        let status = json!({
            "phase": "Pending", "qosClass": qos(pod),
            "conditions": conditions(before, &[
                ["PodScheduled", "True", "", ""],
                ["Initialized", "False", "ContainersNotInitialized",
                    "containers with incomplete status: [restore-wait]"],
                ["ContainersReady", "False", "ContainersNotReady", "containers are not ready"],
                ["Ready", "False", "ContainersNotReady", "containers are not ready"],
            ]),
        });
        return set_status(mirror, pod, status).await;
    }
    if !options.pod_start.is_zero() {
        tokio::time::sleep(options.pod_start).await;
    }
    set_status(mirror, pod, running(pod)).await
}

/// Why a Pod cannot be scheduled yet, if so.
fn unbound(mirror: &Mirror, pod: &Object) -> Option<String> {
    for name in claims_of(pod) {
        let key = Key::new("", "PersistentVolumeClaim", pod.namespace(), &name);
        match mirror.get(&key) {
            None => return Some(format!("persistentvolumeclaim \"{name}\" not found")),
            Some(claim) if claim.deleting() => {
                return Some(format!("persistentvolumeclaim \"{name}\" is being deleted"));
            }
            Some(claim) if claim.text("/status/phase") != Some("Bound") => {
                return Some("pod has unbound immediate PersistentVolumeClaims".to_owned());
            }
            Some(_) => {}
        }
    }
    None
}

/// True while Velero still writes to a volume of this Pod: the Pod waits in an
/// init container for that.
fn volumes_being_filled(mirror: &Mirror, pod: &Object) -> bool {
    let waits = pod.at("/spec/initContainers").and_then(Value::as_array);
    let waits = waits
        .into_iter()
        .flatten()
        .any(|container| container["name"] == RESTORE_WAIT);
    if !waits {
        return false;
    }
    let volumes: Vec<Arc<Object>> = mirror
        .of_kind("velero.io", "PodVolumeRestore")
        .into_iter()
        .filter(|restore| restore.text("/spec/pod/uid") == Some(pod.uid()))
        .collect();
    volumes.is_empty()
        || volumes
            .iter()
            .any(|restore| restore.text("/status/phase") != Some("Completed"))
}

fn running(pod: &Object) -> Value {
    let now = jiff::Timestamp::now()
        .strftime("%Y-%m-%dT%H:%M:%SZ")
        .to_string();
    let never = pod.annotation(NEVER_READY_ANNOTATION) == Some("true");
    let digest = pod.uid().bytes().fold(1_u32, |sum, byte| {
        sum.wrapping_mul(31).wrapping_add(u32::from(byte))
    });
    let [_, a, b, c] = digest.to_be_bytes();
    let ip = format!("10.{}.{b}.{}", 128 + a % 4, c.max(2));
    let statuses = |list: &str, state: Value| -> Vec<Value> {
        let containers = pod.at(list).and_then(Value::as_array);
        containers
            .into_iter()
            .flatten()
            .map(|container| {
                json!({
                    "name": container["name"], "image": container["image"],
                    "imageID": container["image"], "ready": !never,
                    "started": true, "restartCount": 0, "state": state,
                })
            })
            .collect()
    };
    let ended = json!({"terminated": {
        "exitCode": 0, "reason": "Completed", "startedAt": now, "finishedAt": now,
    }});
    let (status, reason, message) = if never {
        ("False", "ContainersNotReady", "the readiness probe fails")
    } else {
        ("True", "", "")
    };
    json!({
        "phase": "Running",
        "startTime": now,
        "hostIP": "192.0.2.10",
        "podIP": ip,
        "podIPs": [{"ip": ip}],
        "qosClass": qos(pod),
        "conditions": conditions(pod.at("/status/conditions"), &[
            ["PodScheduled", "True", "", ""],
            ["Initialized", "True", "", ""],
            ["ContainersReady", status, reason, message],
            ["Ready", status, reason, message],
        ]),
        "initContainerStatuses": statuses("/spec/initContainers", ended),
        "containerStatuses": statuses("/spec/containers", json!({"running": {"startedAt": now}})),
    })
}

/// The reference by which `owner` controls another object.
pub(super) fn controller_reference(owner: &Object) -> Value {
    json!({
        "apiVersion": owner.kind.resource.api_version,
        "kind": owner.kind.resource.kind,
        "name": owner.name(),
        "uid": owner.uid(),
        "controller": true,
        "blockOwnerDeletion": true,
    })
}

/// The objects of a kind that `owner` controls; what its selector matches and
/// nobody controls is adopted.
pub(super) async fn controlled(
    mirror: &Mirror,
    owner: &Object,
    group: &str,
    kind: &str,
) -> kube::Result<Vec<Arc<Object>>> {
    let mut mine = Vec::new();
    for object in mirror.in_namespace(group, kind, owner.namespace()) {
        match object.controller() {
            Some(controller) if controller.uid == owner.uid() => mine.push(object),
            Some(_) => {}
            None => {
                let labels = object.body.metadata.labels.as_ref();
                if owner.deleting()
                    || object.deleting()
                    || ended(&object)
                    || !selects(owner.at("/spec/selector"), labels)
                {
                    continue;
                }
                let owners = object.body.metadata.owner_references.iter().flatten();
                let mut owners: Vec<Value> = owners.map(|owner| json!(owner)).collect();
                owners.push(controller_reference(owner));
                let patch = json!({"metadata": {"ownerReferences": owners}});
                mine.push(mirror.patch(&object, patch).await?);
            }
        }
    }
    Ok(mine)
}

/// The class that the API server gave the Pod when it was made; nobody may change it.
fn qos(pod: &Object) -> &str {
    pod.text("/status/qosClass").unwrap_or("BestEffort")
}
