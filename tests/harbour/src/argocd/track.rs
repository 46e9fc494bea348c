//! Tracking ids: how an object says which Application it belongs to.

use crate::workloads::mirror::{Key, Object};

pub(super) const ANNOTATION: &str = "argocd.argoproj.io/tracking-id";

/// The name of an Application in tracking ids: with its namespace in front
/// unless that is the platform's.
pub(super) fn instance(platform_namespace: &str, namespace: &str, name: &str) -> String {
    if namespace == platform_namespace {
        name.to_owned()
    } else {
        format!("{namespace}_{name}")
    }
}

/// The Application that an instance name stands for: namespace and name.
pub(super) fn application<'a>(
    platform_namespace: &'a str,
    instance: &'a str,
) -> (&'a str, &'a str) {
    instance
        .split_once('_')
        .unwrap_or((platform_namespace, instance))
}

pub(super) fn id(instance: &str, key: &Key) -> String {
    let Key {
        group,
        kind,
        namespace,
        name,
    } = key;
    format!("{instance}:{group}/{kind}:{namespace}/{name}")
}

/// The instance that an object belongs to. An id that was copied from another
/// object says nothing.
pub(super) fn instance_of(object: &Object) -> Option<&str> {
    let (instance, itself) = object.annotation(ANNOTATION)?.split_once(':')?;
    let kind = &object.kind.resource;
    let same = itself
        == format!(
            "{}/{}:{}/{}",
            kind.group,
            kind.kind,
            object.namespace(),
            object.name()
        );
    // A cluster-wide object may carry the namespace of its Application's destination.
    let wide = !object.kind.namespaced
        && itself.starts_with(&format!("{}/{}:", kind.group, kind.kind))
        && itself.ends_with(&format!("/{}", object.name()));
    (same || wide).then_some(instance)
}
