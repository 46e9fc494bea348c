//! How an object does, in Argo CD's words.

use serde_json::Value;

use crate::workloads::mirror::Object;

pub(super) const HEALTHY: &str = "Healthy";
pub(super) const PROGRESSING: &str = "Progressing";
pub(super) const MISSING: &str = "Missing";
pub(super) const DEGRADED: &str = "Degraded";

/// Ranks the words: an Application is as bad as the worst of its resources.
pub(super) fn badness(health: &str) -> u8 {
    match health {
        HEALTHY => 0,
        "Suspended" => 1,
        PROGRESSING => 2,
        MISSING => 3,
        DEGRADED => 4,
        _ => 5,
    }
}

/// The health of a live object; `None` for a kind that has none.
pub(super) fn health_of(object: &Object) -> Option<&'static str> {
    if object.deleting() {
        return Some(PROGRESSING);
    }
    let kind = &object.kind.resource;
    let number = |pointer: &str| object.number(pointer).unwrap_or(0);
    match (kind.group.as_str(), kind.kind.as_str()) {
        ("apps", "Deployment" | "StatefulSet" | "ReplicaSet") => {
            let wanted = object.number("/spec/replicas").unwrap_or(1);
            let seen = object.number("/status/observedGeneration");
            let late = condition(object, "Progressing")
                .is_some_and(|condition| condition["reason"] == "ProgressDeadlineExceeded");
            let updated = if kind.kind == "ReplicaSet" {
                number("/status/replicas")
            } else {
                number("/status/updatedReplicas")
            };
            Some(if late {
                DEGRADED
            } else if seen < object.body.metadata.generation
                || updated < wanted
                || number("/status/replicas") > updated
                || number("/status/availableReplicas") < wanted
            {
                PROGRESSING
            } else {
                HEALTHY
            })
        }
        ("", "PersistentVolumeClaim") => Some(match object.text("/status/phase") {
            Some("Bound") => HEALTHY,
            Some("Lost") => DEGRADED,
            _ => PROGRESSING,
        }),
        ("", "Pod") => Some(match object.text("/status/phase") {
            Some("Succeeded") => HEALTHY,
            Some("Failed") => DEGRADED,
            Some("Running")
                if condition(object, "Ready").is_some_and(|ready| ready["status"] == "True") =>
            {
                HEALTHY
            }
            _ => PROGRESSING,
        }),
        ("", "Service") => Some(HEALTHY),
        _ => None,
    }
}

fn condition<'a>(object: &'a Object, kind: &str) -> Option<&'a Value> {
    let conditions = object.at("/status/conditions")?.as_array()?;
    conditions
        .iter()
        .find(|condition| condition["type"] == kind)
}
