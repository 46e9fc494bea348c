//! Objects as the mirror keeps them, and their names.

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::ResourceExt;
use kube::core::DynamicObject;
use kube::discovery::ApiResource;
use serde_json::Value;

/// A kind that the cluster serves, with list and watch.
#[derive(Debug)]
pub(crate) struct Kind {
    pub(crate) resource: ApiResource,
    pub(crate) namespaced: bool,
}

impl Kind {
    pub(crate) fn is(&self, group: &str, kind: &str) -> bool {
        self.resource.group == group && self.resource.kind == kind
    }
}

/// An object as last seen, with its kind.
#[derive(Debug)]
pub(crate) struct Object {
    pub(crate) kind: Arc<Kind>,
    pub(crate) body: DynamicObject,
}

impl Object {
    pub(crate) fn name(&self) -> &str {
        self.body.metadata.name.as_deref().unwrap_or_default()
    }

    /// The namespace; empty for an object of the cluster.
    pub(crate) fn namespace(&self) -> &str {
        self.body.metadata.namespace.as_deref().unwrap_or_default()
    }

    pub(crate) fn uid(&self) -> &str {
        self.body.metadata.uid.as_deref().unwrap_or_default()
    }

    pub(crate) fn label(&self, key: &str) -> Option<&str> {
        let labels = self.body.metadata.labels.as_ref()?;
        labels.get(key).map(String::as_str)
    }

    pub(crate) fn annotation(&self, key: &str) -> Option<&str> {
        let annotations = self.body.metadata.annotations.as_ref()?;
        annotations.get(key).map(String::as_str)
    }

    pub(crate) fn deleting(&self) -> bool {
        self.body.metadata.deletion_timestamp.is_some()
    }

    pub(crate) fn has_finalizer(&self, finalizer: &str) -> bool {
        self.body.finalizers().iter().any(|f| f == finalizer)
    }

    /// The finalizers but for `finalizer`.
    pub(crate) fn finalizers_without(&self, finalizer: &str) -> Vec<&str> {
        let all = self.body.finalizers().iter();
        all.filter(|f| *f != finalizer)
            .map(String::as_str)
            .collect()
    }

    pub(crate) fn controller(&self) -> Option<&OwnerReference> {
        let mut owners = self.body.owner_references().iter();
        owners.find(|owner| owner.controller == Some(true))
    }

    pub(crate) fn at(&self, pointer: &str) -> Option<&Value> {
        self.body.data.pointer(pointer)
    }

    pub(crate) fn text(&self, pointer: &str) -> Option<&str> {
        self.at(pointer).and_then(Value::as_str)
    }

    pub(crate) fn number(&self, pointer: &str) -> Option<i64> {
        self.at(pointer).and_then(Value::as_i64)
    }

    pub(crate) fn key(&self) -> Key {
        Key {
            group: self.kind.resource.group.clone(),
            kind: self.kind.resource.kind.clone(),
            namespace: self.namespace().to_owned(),
            name: self.name().to_owned(),
        }
    }
}

/// Names an object, whatever its version and uid.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) group: String,
    pub(crate) kind: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
}

impl Key {
    pub(crate) fn new(group: &str, kind: &str, namespace: &str, name: &str) -> Self {
        Self {
            group: group.to_owned(),
            kind: kind.to_owned(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }
}

/// What happened to one object: created (no `before`), changed, or deleted (no `after`).
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) before: Option<Arc<Object>>,
    pub(crate) after: Option<Arc<Object>>,
}
