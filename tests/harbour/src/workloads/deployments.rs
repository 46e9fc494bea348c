//! Deployments: one ReplicaSet for each Pod template, of which the one with
//! today's template runs.

use std::sync::Arc;

use serde_json::{Value, json};

use super::claims::set_status;
use super::json::{conditions, hash, put, sorted};
use super::mirror::{Mirror, Object};
use super::pods::{controlled, controller_reference};

const HASH_LABEL: &str = "pod-template-hash";
const REVISION: &str = "deployment.kubernetes.io/revision";

pub(super) async fn reconcile(mirror: &Mirror, deployment: &Object) -> kube::Result<()> {
    if deployment.deleting() {
        return Ok(());
    }
    let wanted = deployment.number("/spec/replicas").unwrap_or(1).max(0);
    let template = deployment.at("/spec/template").cloned().unwrap_or_default();
    let mut sets = controlled(mirror, deployment, "apps", "ReplicaSet").await?;
    sets.retain(|set| !set.deleting());
    let current = sets.iter().position(|set| {
        let theirs = set.at("/spec/template").cloned().unwrap_or_default();
        without_hash(&theirs) == without_hash(&template)
    });
    let current = match current {
        Some(at) => {
            let set = sets.swap_remove(at);
            scale(mirror, &set, wanted).await?
        }
        None => match create_set(mirror, deployment, &template, wanted, &sets).await? {
            Some(set) => set,
            None => return Ok(()),
        },
    };
    let count = |set: &Object, field: &str| set.number(&format!("/status/{field}")).unwrap_or(0);
    let updated = count(&current, "replicas");
    let mut ready = count(&current, "readyReplicas");
    let mut replicas = updated;
    // The old Pods go once the new ones serve, or at once if they must not overlap.
    let recreate = deployment.text("/spec/strategy/type") == Some("Recreate");
    if recreate || ready >= wanted {
        for old in &sets {
            scale(mirror, old, 0).await?;
        }
    }
    for old in &sets {
        ready += count(old, "readyReplicas");
        replicas += count(old, "replicas");
    }
    let revision = current.annotation(REVISION).unwrap_or("1");
    if deployment.annotation(REVISION) != Some(revision) {
        let patch = json!({"metadata": {"annotations": {REVISION: revision}}});
        mirror.patch(deployment, patch).await?;
    }
    let name = current.name();
    let available = if ready >= wanted {
        [
            "Available",
            "True",
            "MinimumReplicasAvailable",
            "Deployment has minimum availability.",
        ]
    } else {
        [
            "Available",
            "False",
            "MinimumReplicasUnavailable",
            "Deployment does not have minimum availability.",
        ]
    };
    let done = format!("ReplicaSet \"{name}\" has successfully progressed.");
    let under_way = format!("ReplicaSet \"{name}\" is progressing.");
    let progressing = if ready >= wanted && replicas == updated {
        ["Progressing", "True", "NewReplicaSetAvailable", &done]
    } else {
        ["Progressing", "True", "ReplicaSetUpdated", &under_way]
    };
    let status = json!({
        "replicas": replicas,
        "updatedReplicas": updated,
        "readyReplicas": ready,
        "availableReplicas": ready,
        "unavailableReplicas": (wanted - ready).max(0),
        "observedGeneration": deployment.body.metadata.generation,
        "conditions": conditions(deployment.at("/status/conditions"), &[available, progressing]),
    });
    set_status(mirror, deployment, status).await
}

/// The template as it can be compared: the hash label is the ReplicaSet's own.
fn without_hash(template: &Value) -> Value {
    let mut template = sorted(template);
    if let Some(labels) = template.pointer_mut("/metadata/labels")
        && let Some(labels) = labels.as_object_mut()
    {
        labels.remove(HASH_LABEL);
    }
    template
}

async fn scale(mirror: &Mirror, set: &Arc<Object>, replicas: i64) -> kube::Result<Arc<Object>> {
    if set.number("/spec/replicas") == Some(replicas) {
        return Ok(set.clone());
    }
    let patch = json!({"spec": {"replicas": replicas}});
    mirror.patch(set, patch).await
}

/// Creates the ReplicaSet of today's template; `None` if the cluster serves no
/// ReplicaSets.
async fn create_set(
    mirror: &Mirror,
    deployment: &Object,
    template: &Value,
    replicas: i64,
    others: &[Arc<Object>],
) -> kube::Result<Option<Arc<Object>>> {
    let Some(kind) = mirror.kind("apps", "ReplicaSet") else {
        return Ok(None);
    };
    let hash = hash(template);
    let mut template = template.clone();
    put(
        &mut template,
        &["metadata", "labels", HASH_LABEL],
        hash.as_str(),
    );
    let mut selector = deployment.at("/spec/selector").cloned().unwrap_or_default();
    put(&mut selector, &["matchLabels", HASH_LABEL], hash.as_str());
    let revisions = others.iter().filter_map(|set| set.annotation(REVISION));
    let last: u64 = revisions
        .filter_map(|revision| revision.parse().ok())
        .max()
        .unwrap_or(0);
    let set = json!({
        "metadata": {
            "name": format!("{}-{hash}", deployment.name()),
            "labels": template["metadata"]["labels"],
            "annotations": {
                "deployment.kubernetes.io/desired-replicas": replicas.to_string(),
                "deployment.kubernetes.io/max-replicas": (replicas + 1).to_string(),
                REVISION: (last + 1).to_string(),
            },
            "ownerReferences": [controller_reference(deployment)],
        },
        "spec": {"replicas": replicas, "selector": selector, "template": template},
    });
    mirror
        .create(&kind, deployment.namespace(), set)
        .await
        .map(Some)
}
