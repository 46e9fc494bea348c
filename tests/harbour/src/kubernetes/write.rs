//! Creating and changing objects.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::admission;
use super::delete::{finalizers, holds, settle};
use super::intake::{free_name, metadata, place, shape, type_of};
use super::kinds::{Kind, Origin};
use super::managed::{self, Entry};
use super::quota;
use super::status::{Cause, Failure};
use super::store::{Key, Object, Stored, World};
use super::time::now;

/// What of an object a write is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// All but the status, where that is a subresource.
    Main,
    Status,
}

/// What becomes of fields that the kind does not have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum FieldValidation {
    Ignore,
    #[default]
    Warn,
    Strict,
}

/// The options of a write, and what it has to say besides its result.
#[derive(Debug, Default)]
pub(super) struct Write {
    pub(super) dry_run: bool,
    pub(super) manager: String,
    pub(super) fields: FieldValidation,
    pub(super) warnings: Vec<String>,
    /// Who manages what after an apply; other writes find out by comparing.
    pub(super) managers: Option<Vec<Entry>>,
}

/// The metadata that only the server writes, besides `resourceVersion`.
const SERVER_SIDE: &[&str] = &[
    "uid",
    "creationTimestamp",
    "generation",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "managedFields",
];

/// Creates an object from what a client sent.
pub(super) fn create(
    world: &mut World,
    kind: &Kind,
    ns: Option<&str>,
    mut body: Value,
    write: &mut Write,
) -> Result<Object, Failure> {
    type_of(kind, &mut body)?;
    let meta = metadata(&mut body)?;
    place(kind, ns, meta)?;
    if meta
        .get("resourceVersion")
        .is_some_and(|version| version != "")
    {
        return Err(Failure::bad_request(
            "resourceVersion should not be set on objects to be created",
        ));
    }
    let name = match (
        meta.get("name").and_then(Value::as_str),
        meta.get("generateName").and_then(Value::as_str),
    ) {
        (Some(name), _) if !name.is_empty() => name.to_owned(),
        (_, Some(prefix)) if !prefix.is_empty() => free_name(world, kind, ns, prefix),
        _ => {
            let cause = Cause::required("metadata.name", "name or generateName is required");
            return Err(Failure::invalid(kind, "", &[cause]));
        }
    };
    meta.insert("name".to_owned(), json!(name));
    for field in SERVER_SIDE {
        meta.shift_remove(*field);
    }
    meta.shift_remove("resourceVersion");
    meta.shift_remove("selfLink");
    meta.insert("uid".to_owned(), json!(Uuid::new_v4().to_string()));
    meta.insert("creationTimestamp".to_owned(), json!(now()));
    if kind.generation {
        meta.insert("generation".to_owned(), json!(1));
    }
    if let Some(ns) = ns {
        admission::namespace_takes(world, kind, &name, ns)?;
    }
    admission::definition_takes(world, kind)?;
    if kind.status {
        strip(&mut body, "status");
    }
    shape(kind, &mut body, None, write)?;
    let key = Key::new(ns, &name);
    if world.get(kind, &key).is_some() {
        return Err(Failure::already_exists(kind, &name));
    }
    quota::takes(world, kind, ns, &body)?;
    track(kind, None, &mut body, Part::Main, write);
    if write.dry_run {
        return Ok(Stored::new(body));
    }
    fits(&body)?;
    Ok(world.put(kind, key, body))
}

/// Replaces an object, or its status, by what a client sent or a patch made of it.
pub(super) fn replace(
    world: &mut World,
    kind: &Kind,
    old: &Object,
    mut new: Value,
    part: Part,
    write: &mut Write,
) -> Result<Object, Failure> {
    let name = old.name().to_owned();
    let ns = old
        .meta("namespace")
        .and_then(Value::as_str)
        .map(str::to_owned);
    type_of(kind, &mut new)?;
    let meta = metadata(&mut new)?;
    place(kind, ns.as_deref(), meta)?;
    if meta
        .get("name")
        .and_then(Value::as_str)
        .is_some_and(|given| given != name)
    {
        return Err(Failure::bad_request(format!(
            "the name of the object ({}) does not match the name on the URL ({name})",
            meta["name"].as_str().unwrap_or_default()
        )));
    }
    if let Some(uid) = meta
        .get("uid")
        .and_then(Value::as_str)
        .filter(|uid| !uid.is_empty() && *uid != old.uid())
    {
        let why = format!(
            "Precondition failed: UID in precondition: {uid}, UID in object meta: {}",
            old.uid()
        );
        return Err(Failure::conflict(kind, &name, &why));
    }
    let version = meta
        .get("resourceVersion")
        .and_then(Value::as_str)
        .filter(|version| !version.is_empty());
    if version.is_some_and(|version| version != old.version()) {
        return Err(Failure::modified(kind, &name));
    }
    if version.is_none() && matches!(kind.origin, Origin::Custom(_)) {
        let cause = Cause::invalid(
            "metadata.resourceVersion",
            &json!(0),
            "must be specified for an update",
        );
        return Err(Failure::invalid(kind, &name, &[cause]));
    }
    meta.insert("name".to_owned(), json!(name));
    for field in SERVER_SIDE.iter().chain(&["resourceVersion"]) {
        match old.meta(field) {
            Some(value) => meta.insert((*field).to_owned(), value.clone()),
            None => meta.shift_remove(*field),
        };
    }
    match part {
        Part::Main if kind.status => carry(&mut new, &old.value, "status"),
        Part::Main => {}
        Part::Status => {
            let status = new.get("status").cloned();
            new.clone_from(&old.value);
            strip(&mut new, "status");
            if let Some(status) = status {
                new["status"] = status;
            }
        }
    }
    shape(kind, &mut new, Some(&old.value), write)?;
    if kind.generation && spec_changed(kind, &old.value, &new) {
        let generation = old.meta("generation").and_then(Value::as_i64).unwrap_or(0);
        new["metadata"]["generation"] = json!(generation + 1);
    }
    track(kind, Some(&old.value), &mut new, part, write);
    if old.value == new {
        return Ok(Arc::clone(old));
    }
    if write.dry_run {
        return Ok(Stored::new(new));
    }
    let key = Key::new(ns.as_deref(), &name);
    if old.deleting() && finalizers(&new).is_empty() && !holds(kind, &new) {
        let gone = world
            .remove(kind, &key, Some(new))
            .ok_or_else(|| Failure::not_found(kind, &name))?;
        settle(world);
        return Ok(gone);
    }
    fits(&new)?;
    let object = world.put(kind, key, new);
    if old.deleting() {
        settle(world);
    }
    Ok(object)
}

/// Sets `spec.finalizers` of a namespace.
pub(super) fn finalize(
    world: &mut World,
    kind: &Kind,
    old: &Object,
    body: &Value,
    write: &Write,
) -> Result<Object, Failure> {
    if body["metadata"]["resourceVersion"]
        .as_str()
        .is_some_and(|version| version != old.version())
    {
        return Err(Failure::modified(kind, old.name()));
    }
    let finalizers = &body["spec"]["finalizers"];
    let names = finalizers.as_array().map_or(&[][..], Vec::as_slice);
    if !(finalizers.is_null() || finalizers.is_array()) || !names.iter().all(Value::is_string) {
        return Err(Failure::bad_request(
            "spec.finalizers is not a list of names",
        ));
    }
    let mut new = old.value.clone();
    new["spec"] = json!({"finalizers": names});
    if write.dry_run || old.value == new {
        return Ok(Stored::new(new));
    }
    let object = world.put(kind, Key::new(None, old.name()), new);
    settle(world);
    Ok(object)
}

pub(super) fn strip(value: &mut Value, field: &str) {
    if let Some(fields) = value.as_object_mut() {
        fields.shift_remove(field);
    }
}

fn carry(new: &mut Value, old: &Value, field: &str) {
    match old.get(field) {
        Some(value) => new[field] = value.clone(),
        None => strip(new, field),
    }
}

fn spec_changed(kind: &Kind, old: &Value, new: &Value) -> bool {
    let parts = |value: &Value| -> Map<String, Value> {
        let mut fields = value.as_object().cloned().unwrap_or_default();
        fields.shift_remove("metadata");
        if kind.status {
            fields.shift_remove("status");
        }
        fields
    };
    parts(old) != parts(new)
}

/// Refuses an object that is too large to be stored.
fn fits(object: &Value) -> Result<(), Failure> {
    /// How much the real server's database takes in one request.
    const LARGEST: usize = 3 * 512 * 1024;
    // Definitions are spared: writing them out here just for their size takes too long.
    if object["kind"] == "CustomResourceDefinition" || object.to_string().len() <= LARGEST {
        Ok(())
    } else {
        Err(Failure::new(
            500,
            "InternalError",
            "etcdserver: request is too large",
        ))
    }
}

/// Records who manages what after a write.
fn track(kind: &Kind, old: Option<&Value>, new: &mut Value, part: Part, write: &Write) {
    match &write.managers {
        Some(managers) => managed::settle(old, new, managers),
        None => managed::update(kind, old, new, part, write),
    }
}
