//! Deleting objects, and what follows from it.

use std::sync::Arc;

use serde_json::{Value, json};

use super::admission;
use super::kinds::{self, Kind};
use super::status::Failure;
use super::store::{Key, Object, World};
use super::time::now;
use super::write::strip;

/// The options of a deletion.
#[derive(Clone, Debug, Default)]
pub(super) struct Deletion {
    pub(super) dry_run: bool,
    pub(super) uid: Option<String>,
    pub(super) version: Option<String>,
    pub(super) propagation: Option<Propagation>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Propagation {
    Foreground,
    Background,
    Orphan,
}

/// What a deletion left.
#[derive(Debug)]
pub(super) enum Deleted {
    /// The object is gone; this was its last state.
    Gone(Object),
    /// The object waits for its finalizers.
    Waiting(Object),
}

/// Deletes an object, or marks it as to be deleted if finalizers hold it.
pub(super) fn delete(
    world: &mut World,
    kind: &Kind,
    key: &Key,
    how: &Deletion,
) -> Result<Deleted, Failure> {
    let old = world
        .get(kind, key)
        .cloned()
        .ok_or_else(|| Failure::not_found(kind, &key.name))?;
    for (what, wanted, actual) in [
        ("UID", &how.uid, old.uid()),
        ("ResourceVersion", &how.version, old.version()),
    ] {
        if let Some(wanted) = wanted
            && wanted != actual
        {
            let why = format!(
                "Precondition failed: {what} in precondition: {wanted}, {what} in object meta: {actual}"
            );
            return Err(Failure::conflict(kind, &key.name, &why));
        }
    }
    if how.dry_run {
        return Ok(Deleted::Gone(old));
    }
    let deleted = mark(world, kind, key, &old, how.propagation);
    settle(world);
    Ok(match deleted {
        Deleted::Waiting(_) => match world.get(kind, key) {
            Some(object) => Deleted::Waiting(Arc::clone(object)),
            None => Deleted::Gone(old),
        },
        gone @ Deleted::Gone(_) => gone,
    })
}

fn mark(
    world: &mut World,
    kind: &Kind,
    key: &Key,
    old: &Object,
    propagation: Option<Propagation>,
) -> Deleted {
    let mut value = old.value.clone();
    let mut held = finalizers(&value);
    if let Some(propagation) = propagation {
        held.retain(|name| name != "orphan" && name != "foregroundDeletion");
        match propagation {
            Propagation::Foreground => held.push("foregroundDeletion".to_owned()),
            Propagation::Orphan => held.push("orphan".to_owned()),
            Propagation::Background => {}
        }
    }
    if kind.is("apiextensions.k8s.io", "CustomResourceDefinition")
        && !held.iter().any(|name| name == admission::CRD_CLEANUP)
        && !old.deleting()
    {
        held.push(admission::CRD_CLEANUP.to_owned());
    }
    let unchanged = old.deleting() && held == finalizers(&old.value);
    if unchanged {
        return Deleted::Waiting(Arc::clone(old));
    }
    if held.is_empty() && !holds(kind, &value) {
        return match world.remove(kind, key, None) {
            Some(gone) => Deleted::Gone(gone),
            None => Deleted::Gone(Arc::clone(old)),
        };
    }
    let meta = &mut value["metadata"];
    if held.is_empty() {
        strip(meta, "finalizers");
    } else {
        meta["finalizers"] = json!(held);
    }
    if !old.deleting() {
        meta["deletionTimestamp"] = json!(now());
        meta["deletionGracePeriodSeconds"] = json!(0);
        if kind.generation {
            let generation = meta["generation"].as_i64().unwrap_or(0);
            meta["generation"] = json!(generation + 1);
        }
    }
    if kind.is("", "Namespace") {
        value["status"]["phase"] = json!("Terminating");
    }
    Deleted::Waiting(world.put(kind, key.clone(), value))
}

/// True if something other than `metadata.finalizers` keeps the object.
pub(super) fn holds(kind: &Kind, value: &Value) -> bool {
    kind.is("", "Namespace")
        && value["spec"]["finalizers"]
            .as_array()
            .is_some_and(|list| !list.is_empty())
}

pub(super) fn finalizers(value: &Value) -> Vec<String> {
    value["metadata"]["finalizers"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|name| name.as_str().map(str::to_owned))
        .collect()
}

/// Goes on with the deletion of namespaces and definitions: what is in them is
/// deleted, and when nothing is left, they are.
pub(super) fn settle(world: &mut World) {
    let (Some(namespaces), Some(definitions)) = (
        kinds::known("", "Namespace"),
        kinds::known("apiextensions.k8s.io", "CustomResourceDefinition"),
    ) else {
        return;
    };
    loop {
        let before = world.version;
        for (holder, key, object) in leaving(world, namespaces) {
            empty(world, Some(&key.name), None);
            if contents(world, Some(&key.name), None).is_empty() {
                // The server's own hold is let go; others may have theirs.
                let mut value = object.value.clone();
                if let Some(held) = value["spec"]["finalizers"].as_array_mut() {
                    held.retain(|name| name != "kubernetes");
                }
                if finalizers(&value).is_empty() && !holds(&holder, &value) {
                    world.remove(&holder, &key, None);
                } else if value != object.value {
                    world.put(&holder, key, value);
                }
            }
        }
        for (holder, key, object) in leaving(world, definitions) {
            empty(world, None, Some(&key.name));
            if contents(world, None, Some(&key.name)).is_empty() {
                let others: Vec<&str> = object
                    .finalizers()
                    .filter(|name| *name != admission::CRD_CLEANUP)
                    .collect();
                if others.is_empty() {
                    world.remove(&holder, &key, None);
                } else if others.len() < object.finalizers().count() {
                    let mut value = object.value.clone();
                    value["metadata"]["finalizers"] = json!(others);
                    world.put(&holder, key, value);
                }
            }
        }
        if world.version == before {
            return;
        }
    }
}

type Held = (Arc<Kind>, Key, Object);

fn leaving(world: &mut World, kind: &Arc<Kind>) -> Vec<Held> {
    world
        .collection(kind)
        .objects
        .iter()
        .filter(|(_, object)| object.deleting())
        .map(|(key, object)| (Arc::clone(kind), key.clone(), Arc::clone(object)))
        .collect()
}

/// The objects of a namespace, or those of a definition.
fn contents(world: &World, ns: Option<&str>, definition: Option<&str>) -> Vec<Held> {
    let mut found = Vec::new();
    for (qualified, collection) in world.all() {
        if definition.is_some_and(|definition| definition != qualified) {
            continue;
        }
        let Some(kind) = world.kinds().find(|kind| kind.qualified() == *qualified) else {
            continue;
        };
        if ns.is_some() && !kind.namespaced {
            continue;
        }
        found.extend(
            collection
                .within(ns)
                .map(|(key, object)| (Arc::clone(kind), key.clone(), Arc::clone(object))),
        );
    }
    found
}

fn empty(world: &mut World, ns: Option<&str>, definition: Option<&str>) {
    for (kind, key, object) in contents(world, ns, definition) {
        if !object.deleting() {
            mark(world, &kind, &key, &object, None);
        }
    }
}
