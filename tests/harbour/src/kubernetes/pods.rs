//! What is particular to pods: binding, eviction, and a spec that hardly changes.

use std::sync::Arc;

use serde_json::{Value, json};

use super::delete::{self, Deletion};
use super::kinds::Kind;
use super::status::{Cause, Failure};
use super::store::{Key, World};
use super::time::now;
use super::write::Write;

/// The subresources of a pod that can be posted to.
pub(super) const POSTED: &[&str] = &["binding", "eviction"];

/// Posts to `binding` or `eviction`.
pub(super) fn post(
    world: &mut World,
    kind: &Kind,
    key: &Key,
    subresource: &str,
    body: &Value,
    write: &Write,
) -> Result<Value, Failure> {
    match subresource {
        "binding" => bind(world, kind, key, body, write)?,
        "eviction" => {
            let options = &body["deleteOptions"]["preconditions"];
            let text = |field: &str| options[field].as_str().map(str::to_owned);
            let how = Deletion {
                dry_run: write.dry_run,
                uid: text("uid"),
                version: text("resourceVersion"),
                propagation: None,
            };
            delete::delete(world, kind, key, &how)?;
        }
        _ => return Err(Failure::no_such_path()),
    }
    Ok(
        json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}),
    )
}

/// Gives a pod its node.
fn bind(
    world: &mut World,
    kind: &Kind,
    key: &Key,
    body: &Value,
    write: &Write,
) -> Result<(), Failure> {
    let old = world
        .get(kind, key)
        .map(Arc::clone)
        .ok_or_else(|| Failure::not_found(kind, &key.name))?;
    let Some(node) = body["target"]["name"]
        .as_str()
        .filter(|name| !name.is_empty())
    else {
        let cause = Cause::required("target.name", "");
        return Err(Failure::invalid(kind, &key.name, &[cause]));
    };
    if let Some(given) = body["metadata"]["uid"].as_str()
        && given != old.uid()
    {
        return Err(Failure::conflict(
            kind,
            &key.name,
            "the UID in the binding is of another pod",
        ));
    }
    if old.deleting() {
        return Err(Failure::conflict(
            kind,
            &key.name,
            "the pod is being deleted",
        ));
    }
    if let Some(bound) = old.value["spec"]["nodeName"]
        .as_str()
        .filter(|name| !name.is_empty())
    {
        let why = format!("pod {} is already assigned to node \"{bound}\"", key.name);
        return Err(Failure::conflict(kind, &key.name, &why));
    }
    if write.dry_run {
        return Ok(());
    }
    let mut new = old.value.clone();
    new["spec"]["nodeName"] = json!(node);
    let scheduled = json!({"type": "PodScheduled", "status": "True", "lastTransitionTime": now()});
    match new["status"]["conditions"].as_array_mut() {
        Some(conditions) => {
            conditions.retain(|condition| condition["type"] != "PodScheduled");
            conditions.push(scheduled);
        }
        None => new["status"]["conditions"] = json!([scheduled]),
    }
    world.put(kind, key.clone(), new);
    Ok(())
}

/// What of a pod's spec was changed that may not be.
pub(super) fn check(object: &Value, before: &Value) -> Option<Cause> {
    (fixed(&before["spec"]) != fixed(&object["spec"])).then(|| {
        let why = "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";
        Cause::forbidden("spec", why)
    })
}

/// A pod's spec without what may be changed.
fn fixed(spec: &Value) -> Value {
    let mut spec = spec.clone();
    let Some(fields) = spec.as_object_mut() else {
        return spec;
    };
    for name in [
        "activeDeadlineSeconds",
        "schedulingGates",
        "terminationGracePeriodSeconds",
        "tolerations",
    ] {
        fields.shift_remove(name);
    }
    for list in ["containers", "initContainers"] {
        for container in fields
            .get_mut(list)
            .and_then(Value::as_array_mut)
            .into_iter()
            .flatten()
        {
            if let Some(container) = container.as_object_mut() {
                container.shift_remove("image");
            }
        }
    }
    spec
}
