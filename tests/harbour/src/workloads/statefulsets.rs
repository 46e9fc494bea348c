//! StatefulSets: numbered Pods, each with claims of its own.

use std::collections::BTreeMap;
use std::sync::Arc;

use kube::api::DeleteParams;
use serde_json::{Value, json};

use super::claims::{ignore_existing, set_status};
use super::json::{hash, put};
use super::mirror::{Key, Mirror, Object};
use super::pods::{self, controlled};
use super::replicasets::{create, from_template};

const REVISION_LABEL: &str = "controller-revision-hash";

pub(super) async fn reconcile(mirror: &Mirror, set: &Object) -> kube::Result<()> {
    if set.deleting() {
        return Ok(());
    }
    let wanted = set.number("/spec/replicas").unwrap_or(1).max(0);
    let template = set.at("/spec/template").cloned().unwrap_or_default();
    let revision = format!("{}-{}", set.name(), hash(&template));
    let in_order = set.text("/spec/podManagementPolicy") != Some("Parallel");
    let pods: BTreeMap<i64, Arc<Object>> = controlled(mirror, set, "", "Pod")
        .await?
        .into_iter()
        .filter_map(|pod| Some((ordinal(set, pod.name())?, pod)))
        .collect();
    for number in 0..wanted {
        match pods.get(&number) {
            Some(pod) if pods::ended(pod) && !pod.deleting() => {
                mirror.delete(pod, DeleteParams::background()).await?;
            }
            Some(_) => {}
            None => create_pod(mirror, set, &template, &revision, number).await?,
        }
        let ready = pods.get(&number).is_some_and(|pod| pods::ready(pod));
        if in_order && !ready {
            break;
        }
    }
    // The last goes first, and a Pod of an old template is replaced when all others are ready.
    let mut live = pods.iter().rev().filter(|(_, pod)| !pod.deleting());
    let all_ready = pods.values().all(|pod| pods::ready(pod) && !pod.deleting());
    let surplus = live.clone().find(|(number, _)| **number >= wanted);
    let outdated = live.find(|(_, pod)| pod.label(REVISION_LABEL) != Some(&revision));
    if let Some((_, pod)) = surplus.or(outdated.filter(|_| all_ready)) {
        mirror.delete(pod, DeleteParams::background()).await?;
    }
    let counted = pods.values().filter(|pod| !pod.deleting());
    let ready = counted.clone().filter(|pod| pods::ready(pod)).count();
    let updated = counted
        .clone()
        .filter(|pod| pod.label(REVISION_LABEL) == Some(&revision))
        .count();
    let status = json!({
        "replicas": counted.count(),
        "readyReplicas": ready,
        "availableReplicas": ready,
        "currentReplicas": updated,
        "updatedReplicas": updated,
        "currentRevision": revision,
        "updateRevision": revision,
        "collisionCount": 0,
        "observedGeneration": set.body.metadata.generation,
    });
    set_status(mirror, set, status).await
}

/// The number of a Pod of this set.
fn ordinal(set: &Object, pod: &str) -> Option<i64> {
    let number = pod.strip_prefix(set.name())?.strip_prefix('-')?;
    number.parse().ok()
}

async fn create_pod(
    mirror: &Mirror,
    set: &Object,
    template: &Value,
    revision: &str,
    number: i64,
) -> kube::Result<()> {
    let name = format!("{}-{number}", set.name());
    let mut pod = from_template(set, template, &name);
    for (label, value) in [
        ("apps.kubernetes.io/pod-index", number.to_string().as_str()),
        (REVISION_LABEL, revision),
        ("statefulset.kubernetes.io/pod-name", &name),
    ] {
        put(&mut pod, &["metadata", "labels", label], value);
    }
    put(&mut pod, &["spec", "hostname"], name.as_str());
    let claims = set
        .at("/spec/volumeClaimTemplates")
        .and_then(Value::as_array);
    for claim in claims.into_iter().flatten() {
        let Some(volume) = claim.pointer("/metadata/name").and_then(Value::as_str) else {
            continue;
        };
        let claim_name = format!("{volume}-{name}");
        if !pod["spec"]["volumes"].is_array() {
            put(&mut pod, &["spec", "volumes"], json!([]));
        }
        if let Some(volumes) = pod["spec"]["volumes"].as_array_mut() {
            volumes.retain(|other| other["name"] != volume);
            volumes.push(json!({
                "name": volume, "persistentVolumeClaim": {"claimName": claim_name},
            }));
        }
        let key = Key::new("", "PersistentVolumeClaim", set.namespace(), &claim_name);
        match mirror.get(&key) {
            // The Pod cannot be made before the old claim is gone.
            Some(old) if old.deleting() => return Ok(()),
            Some(_) => {}
            None => {
                let mut labels = claim["metadata"]["labels"].clone();
                let selector = set.at("/spec/selector/matchLabels");
                for (key, value) in selector.and_then(Value::as_object).into_iter().flatten() {
                    put(&mut labels, &[key], value.clone());
                }
                let body = json!({
                    "metadata": {
                        "name": claim_name,
                        "labels": labels,
                        "annotations": claim["metadata"]["annotations"],
                    },
                    "spec": claim["spec"],
                });
                let created = create(mirror, set, "PersistentVolumeClaim", body).await;
                ignore_existing(created.map(drop))?;
            }
        }
    }
    create(mirror, set, "Pod", pod).await.map(drop)
}
