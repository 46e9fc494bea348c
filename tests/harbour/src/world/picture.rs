//! A picture of namespaces, to be held against a later one.

use std::collections::BTreeMap;

use kube::core::DynamicObject;
use kube::discovery::{Discovery, Scope, verbs};
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};

use crate::workloads::DATA_ANNOTATION;

/// What is in some namespaces, without what changes by itself: uids, versions,
/// times, status, owners and labels that Velero adds. Pods, ReplicaSets and
/// Events are not in the picture. A Namespace's own uid is: it must not be
/// made anew.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Picture {
    /// By `namespace/group/Kind/name`.
    pub objects: BTreeMap<String, Value>,
    /// The bytes of volumes by `namespace/claim`; `None` is an empty volume or
    /// an unbound claim.
    pub volumes: BTreeMap<String, Option<String>>,
}

const NOT_IN_THE_PICTURE: [&str; 6] = [
    "ControllerRevision",
    "Endpoints",
    "EndpointSlice",
    "Event",
    "Pod",
    "ReplicaSet",
];
/// Beginnings of labels and annotations that controllers write.
const VOLATILE: [&str; 6] = [
    "deployment.kubernetes.io/",
    "kubectl.kubernetes.io/",
    "pv.kubernetes.io/",
    "velero.io/",
    "volume.beta.kubernetes.io/",
    "volume.kubernetes.io/",
];

impl Picture {
    /// Takes a picture of the namespaces, read from the API.
    pub async fn take(client: &Client, namespaces: &[String]) -> anyhow::Result<Self> {
        let mut picture = Self::default();
        let mut data = BTreeMap::new();
        let mut claims = Vec::new();
        let discovery = Discovery::new(client.clone()).run().await?;
        for group in discovery.groups() {
            for (resource, capabilities) in group.recommended_resources() {
                let kind = resource.kind.as_str();
                let within = matches!(capabilities.scope, Scope::Namespaced);
                if !capabilities.supports_operation(verbs::LIST)
                    || NOT_IN_THE_PICTURE.contains(&kind)
                    || !(within || matches!(kind, "Namespace" | "PersistentVolume"))
                {
                    continue;
                }
                let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
                for mut object in api.list(&kube::api::ListParams::default()).await? {
                    let name = object.name_any();
                    if kind == "PersistentVolume" {
                        let text = object.annotations_mut().remove(DATA_ANNOTATION);
                        data.insert(name, text);
                        continue;
                    }
                    let namespace = match kind {
                        "Namespace" => name.clone(),
                        _ => object.namespace().unwrap_or_default(),
                    };
                    if !namespaces.contains(&namespace) {
                        continue;
                    }
                    if kind == "PersistentVolumeClaim" {
                        let volume = object.data.pointer("/spec/volumeName");
                        let volume = volume.and_then(Value::as_str).map(str::to_owned);
                        claims.push((format!("{namespace}/{name}"), volume));
                    }
                    let key = format!("{namespace}/{}/{kind}/{name}", resource.group);
                    picture.objects.insert(key, lasting(kind, object));
                }
            }
        }
        for (claim, volume) in claims {
            let text = volume
                .and_then(|volume| data.get(&volume).cloned())
                .flatten();
            picture.volumes.insert(claim, text);
        }
        Ok(picture)
    }

    /// What is different in `later`, one line each; empty if nothing is.
    pub fn differences(&self, later: &Self) -> Vec<String> {
        let mut lines = Vec::new();
        for (key, object) in &self.objects {
            match later.objects.get(key) {
                None => lines.push(format!("{key} is gone")),
                Some(now) if now != object => {
                    let mut changes = Vec::new();
                    fields(object, now, "", &mut changes);
                    lines.push(format!("{key} has changed: {}", changes.join(", ")));
                }
                Some(_) => {}
            }
        }
        let new = later.objects.keys();
        let new = new.filter(|key| !self.objects.contains_key(*key));
        lines.extend(new.map(|key| format!("{key} is new")));
        for (claim, then) in &self.volumes {
            if let Some(now) = later.volumes.get(claim)
                && now != then
            {
                lines.push(format!("volume {claim} held {then:?}, now {now:?}"));
            }
        }
        lines
    }
}

/// An object without what changes by itself.
fn lasting(kind: &str, object: DynamicObject) -> Value {
    let keep = |map: Option<BTreeMap<String, String>>| -> BTreeMap<String, String> {
        let mut map = map.unwrap_or_default();
        map.retain(|key, _| !VOLATILE.iter().any(|start| key.starts_with(start)));
        map
    };
    let mut metadata = json!({
        "labels": keep(object.metadata.labels),
        "annotations": keep(object.metadata.annotations),
        "deleting": object.metadata.deletion_timestamp.is_some(),
    });
    if kind == "Namespace" {
        metadata["uid"] = json!(object.metadata.uid);
    }
    let mut lasting = object.data;
    if let Some(fields) = lasting.as_object_mut() {
        fields.remove("status");
    }
    if let Some(spec) = lasting.get_mut("spec").and_then(Value::as_object_mut) {
        // Given anew each time.
        for field in ["clusterIP", "clusterIPs", "volumeName"] {
            spec.remove(field);
        }
    }
    lasting["metadata"] = metadata;
    lasting
}

/// The paths at which two values differ.
fn fields(before: &Value, after: &Value, path: &str, found: &mut Vec<String>) {
    match (before, after) {
        (Value::Object(old), Value::Object(new)) => {
            for key in old
                .keys()
                .chain(new.keys().filter(|key| !old.contains_key(*key)))
            {
                let null = Value::Null;
                let (one, other) = (old.get(key), new.get(key));
                let path = format!("{path}/{key}");
                fields(one.unwrap_or(&null), other.unwrap_or(&null), &path, found);
            }
        }
        _ if before != after => found.push(format!("{path} was {before}, is {after}")),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_told_in_words() {
        let object = |data: &str| json!({"data": {"key": data}});
        let before = Picture {
            objects: [("a//ConfigMap/x".to_owned(), object("1"))].into(),
            volumes: [("a/data".to_owned(), Some("good".to_owned()))].into(),
        };
        assert!(before.differences(&before).is_empty());
        let after = Picture {
            objects: [
                ("a//ConfigMap/x".to_owned(), object("2")),
                ("a//ConfigMap/y".to_owned(), object("1")),
            ]
            .into(),
            volumes: [("a/data".to_owned(), None)].into(),
        };
        assert_eq!(
            before.differences(&after),
            [
                "a//ConfigMap/x has changed: /data/key was \"1\", is \"2\"",
                "a//ConfigMap/y is new",
                "volume a/data held Some(\"good\"), now None",
            ]
        );
    }
}
