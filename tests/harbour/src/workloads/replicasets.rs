//! ReplicaSets: as many Pods as asked for.

use std::sync::Arc;
use std::time::Duration;

use kube::api::DeleteParams;
use serde_json::{Value, json};

use super::claims::set_status;
use super::json::random_suffix;
use super::mirror::{Mirror, Object};
use super::pods::{self, controlled, controller_reference};

/// How soon a set is looked at again whose Pods are not all known yet.
const SOON: Duration = Duration::from_millis(20);

/// Returns after what time it wants to see the set again, if at all.
pub(super) async fn reconcile(mirror: &Mirror, set: &Object) -> kube::Result<Option<Duration>> {
    let wanted = set.number("/spec/replicas").unwrap_or(1).max(0);
    let mut pods: Vec<Arc<Object>> = controlled(mirror, set, "", "Pod").await?;
    pods.retain(|pod| !pod.deleting() && !pods::ended(pod));
    if !set.deleting() {
        // Pods that are not ready are the first to go, and the youngest.
        pods.sort_by_key(|pod| {
            let created = pod.body.metadata.creation_timestamp.clone();
            (!pods::ready(pod), created)
        });
        let wanted = usize::try_from(wanted).unwrap_or(usize::MAX);
        // A Pod that was made just before this ReplicaSet, as in a restore, is
        // adopted and not doubled.
        if pods.len() < wanted && !current(mirror, set).await? {
            return Ok(Some(SOON));
        }
        while pods.len() < wanted {
            pods.push(create_pod(mirror, set).await?);
        }
        for surplus in pods.drain(wanted..) {
            mirror.delete(&surplus, DeleteParams::background()).await?;
        }
    }
    let ready = pods.iter().filter(|pod| pods::ready(pod)).count();
    let status = json!({
        "replicas": pods.len(),
        "fullyLabeledReplicas": pods.len(),
        "readyReplicas": ready,
        "availableReplicas": ready,
        "observedGeneration": set.body.metadata.generation,
    });
    set_status(mirror, set, status).await?;
    Ok(None)
}

async fn current(mirror: &Mirror, set: &Object) -> kube::Result<bool> {
    match mirror.kind("", "Pod") {
        Some(kind) => mirror.is_current(&kind, set.namespace()).await,
        None => Ok(true),
    }
}

async fn create_pod(mirror: &Mirror, set: &Object) -> kube::Result<Arc<Object>> {
    let name = format!("{}-{}", set.name(), random_suffix());
    let template = set.at("/spec/template").cloned().unwrap_or_default();
    let pod = from_template(set, &template, &name);
    create(mirror, set, "Pod", pod).await
}

/// A Pod of `owner`, from its template.
pub(super) fn from_template(owner: &Object, template: &Value, name: &str) -> Value {
    let mut metadata = json!({
        "name": name,
        "generateName": format!("{}-", owner.name()),
        "ownerReferences": [controller_reference(owner)],
    });
    for part in ["labels", "annotations"] {
        let part_of_template = &template["metadata"][part];
        if !part_of_template.is_null() {
            metadata[part] = part_of_template.clone();
        }
    }
    json!({"metadata": metadata, "spec": template["spec"]})
}

/// Creates an object of the core group in the namespace of `owner`.
pub(super) async fn create(
    mirror: &Mirror,
    owner: &Object,
    kind: &str,
    body: Value,
) -> kube::Result<Arc<Object>> {
    let Some(kind) = mirror.kind("", kind) else {
        return Err(kube::Error::Discovery(
            kube::error::DiscoveryError::MissingKind(kind.to_owned()),
        ));
    };
    mirror.create(&kind, owner.namespace(), body).await
}
