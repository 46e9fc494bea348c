//! What Git asks for, held against what lives.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use serde_json::{Value, json};

use super::health::{self, health_of};
use super::track;
use crate::workloads::mirror::{Key, Mirror, Object};
use crate::workloads::subset;

/// An object that an Application asks for, or owns, or both.
#[derive(Debug)]
pub(super) struct Resource {
    pub(super) key: Key,
    pub(super) version: String,
    /// As Git has it, with its namespace and its tracking id.
    pub(super) target: Option<Value>,
    pub(super) live: Option<Arc<Object>>,
    pub(super) synced: bool,
    pub(super) health: Option<&'static str>,
}

impl Resource {
    pub(super) fn requires_pruning(&self) -> bool {
        self.target.is_none()
    }

    /// An option from one of Argo CD's comma-separated annotations.
    pub(super) fn has_option(&self, annotation: &str, option: &str) -> bool {
        let key = format!("argocd.argoproj.io/{annotation}");
        let options = match (&self.target, &self.live) {
            (Some(target), _) => target["metadata"]["annotations"][&key].as_str(),
            (None, Some(live)) => live.annotation(&key),
            (None, None) => None,
        };
        options.is_some_and(|all| all.split(',').any(|one| one.trim() == option))
    }

    pub(super) fn wave(&self) -> i64 {
        let key = "argocd.argoproj.io/sync-wave";
        let wave = match (&self.target, &self.live) {
            (Some(target), _) => target["metadata"]["annotations"][key].as_str(),
            (None, Some(live)) => live.annotation(key),
            (None, None) => None,
        };
        wave.and_then(|wave| wave.parse().ok()).unwrap_or(0)
    }

    fn status(&self) -> Value {
        let mut status = json!({
            "version": self.version,
            "kind": self.key.kind,
            "name": self.key.name,
            "status": if self.synced { "Synced" } else { "OutOfSync" },
        });
        if !self.key.group.is_empty() {
            status["group"] = self.key.group.as_str().into();
        }
        if !self.key.namespace.is_empty() {
            status["namespace"] = self.key.namespace.as_str().into();
        }
        if let Some(health) = self.health {
            status["health"] = json!({"status": health});
        }
        if self.requires_pruning() {
            status["requiresPruning"] = true.into();
        }
        if self.wave() != 0 {
            status["syncWave"] = self.wave().into();
        }
        status
    }
}

/// The outcome of a comparison.
#[derive(Debug)]
pub(super) struct Comparison {
    pub(super) resources: Vec<Resource>,
    pub(super) synced: bool,
    pub(super) health: &'static str,
}

impl Comparison {
    /// `status.resources`.
    pub(super) fn resources(&self) -> Value {
        self.resources.iter().map(Resource::status).collect()
    }
}

/// Compares the rendered `targets` of an Application with the cluster.
/// `instance` is the Application's name in tracking ids.
pub(super) fn compare(
    mirror: &Mirror,
    instance: &str,
    namespace: &str,
    targets: Vec<Value>,
) -> Comparison {
    let mut resources = BTreeMap::new();
    for mut target in targets {
        let (group, version, kind) = kind_of(&target);
        let known = mirror.kind(&group, &kind);
        let given = target["metadata"]["namespace"].as_str().unwrap_or_default();
        let namespace = match known {
            Some(kind) if !kind.namespaced => String::new(),
            _ if given.is_empty() => namespace.to_owned(),
            _ => given.to_owned(),
        };
        let name = target["metadata"]["name"].as_str().unwrap_or_default();
        let key = Key::new(&group, &kind, &namespace, name);
        if !namespace.is_empty() {
            target["metadata"]["namespace"] = namespace.into();
        }
        if !target["metadata"]["annotations"].is_object() {
            target["metadata"]["annotations"] = json!({});
        }
        target["metadata"]["annotations"][track::ANNOTATION] = track::id(instance, &key).into();
        let live = mirror.get(&key);
        let synced = live.as_ref().is_some_and(|live| as_asked(&target, live));
        let health = match &live {
            Some(live) => health_of(live),
            None => Some(health::MISSING),
        };
        let resource = Resource {
            key: key.clone(),
            version,
            target: Some(target),
            live,
            synced,
            health,
        };
        resources.insert(key, resource);
    }
    let asked: HashSet<Key> = resources.keys().cloned().collect();
    let owned = mirror.find(|object| {
        object.body.metadata.owner_references.is_none()
            && track::instance_of(object) == Some(instance)
            && !asked.contains(&object.key())
    });
    for live in owned {
        let resource = Resource {
            key: live.key(),
            version: live.kind.resource.version.clone(),
            target: None,
            health: health_of(&live),
            live: Some(live),
            synced: false,
        };
        resources.insert(resource.key.clone(), resource);
    }
    let resources: Vec<Resource> = resources.into_values().collect();
    let synced = resources.iter().all(|resource| {
        resource.synced
            || (resource.requires_pruning()
                && resource.has_option("compare-options", "IgnoreExtraneous"))
    });
    let health = resources
        .iter()
        .filter_map(|resource| resource.health)
        .max_by_key(|health| health::badness(health))
        .unwrap_or(health::HEALTHY);
    Comparison {
        resources,
        synced,
        health,
    }
}

/// Group, version and kind.
pub(super) fn kind_of(object: &Value) -> (String, String, String) {
    let api_version = object["apiVersion"].as_str().unwrap_or_default();
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let kind = object["kind"].as_str().unwrap_or_default();
    (group.to_owned(), version.to_owned(), kind.to_owned())
}

/// True if everything that Git says about an object is so.
fn as_asked(target: &Value, live: &Object) -> bool {
    let metadata = &live.body.metadata;
    let labels = json!(metadata.labels);
    let annotations = json!(metadata.annotations);
    let wanted = |field: &str, live: &Value| {
        let wanted = &target["metadata"][field];
        wanted.is_null() || subset(wanted, Some(live))
    };
    let fields = target.as_object().into_iter().flatten();
    wanted("labels", &labels)
        && wanted("annotations", &annotations)
        && fields
            .filter(|(field, _)| {
                !matches!(
                    field.as_str(),
                    "apiVersion" | "kind" | "metadata" | "status"
                )
            })
            .all(|(field, value)| subset(value, live.body.data.get(field)))
}
