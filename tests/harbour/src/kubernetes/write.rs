//! Creating, changing and deleting objects.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::admission;
use super::kinds::{Kind, Origin};
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
}

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

/// The metadata that only the server writes, besides `resourceVersion`.
const SERVER_SIDE: &[&str] = &[
    "uid",
    "creationTimestamp",
    "generation",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
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
    if kind.status {
        strip(&mut body, "status");
    }
    admission::on_create(kind, &mut body);
    shape(kind, &mut body, None, write)?;
    let key = Key::new(ns, &name);
    if world.get(kind, &key).is_some() {
        return Err(Failure::already_exists(kind, &name));
    }
    if write.dry_run {
        return Ok(Stored::new(body));
    }
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
    match meta
        .get("resourceVersion")
        .and_then(Value::as_str)
        .filter(|version| !version.is_empty())
    {
        Some(version) if version != old.version() => return Err(Failure::modified(kind, &name)),
        Some(_) => {}
        None if matches!(kind.origin, Origin::Custom(_)) => {
            let cause = Cause::invalid(
                "metadata.resourceVersion",
                &json!(0),
                "must be specified for an update",
            );
            return Err(Failure::invalid(kind, &name, &[cause]));
        }
        None => {}
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
            let fields = new["metadata"]["managedFields"].take();
            new.clone_from(&old.value);
            strip(&mut new, "status");
            if let Some(status) = status {
                new["status"] = status;
            }
            if !fields.is_null() {
                new["metadata"]["managedFields"] = fields;
            }
        }
    }
    admission::on_update(kind, &old.value, &mut new);
    shape(kind, &mut new, Some(&old.value), write)?;
    if kind.generation && spec_changed(kind, &old.value, &new) {
        let generation = old.meta("generation").and_then(Value::as_i64).unwrap_or(0);
        new["metadata"]["generation"] = json!(generation + 1);
    }
    if same(&old.value, &new) {
        return Ok(std::sync::Arc::clone(old));
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
    let object = world.put(kind, key, new);
    if old.deleting() {
        settle(world);
    }
    Ok(object)
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
            Some(object) => Deleted::Waiting(std::sync::Arc::clone(object)),
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
        return Deleted::Waiting(std::sync::Arc::clone(old));
    }
    if held.is_empty() && !holds(kind, &value) {
        return match world.remove(kind, key, None) {
            Some(gone) => Deleted::Gone(gone),
            None => Deleted::Gone(std::sync::Arc::clone(old)),
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

/// Sets `spec.finalizers` of a namespace.
pub(super) fn finalize(
    world: &mut World,
    kind: &Kind,
    old: &Object,
    body: &Value,
    write: &mut Write,
) -> Result<Object, Failure> {
    if body["metadata"]["resourceVersion"]
        .as_str()
        .is_some_and(|version| version != old.version())
    {
        return Err(Failure::modified(kind, old.name()));
    }
    let mut new = old.value.clone();
    new["spec"]["finalizers"] = body["spec"]["finalizers"].clone();
    shape(kind, &mut new, Some(&old.value), write)?;
    if write.dry_run || same(&old.value, &new) {
        return Ok(Stored::new(new));
    }
    let object = world.put(kind, Key::new(None, old.name()), new);
    settle(world);
    Ok(object)
}

/// True if something other than `metadata.finalizers` keeps the object.
fn holds(kind: &Kind, value: &Value) -> bool {
    kind.is("", "Namespace")
        && value["spec"]["finalizers"]
            .as_array()
            .is_some_and(|list| !list.is_empty())
}

fn finalizers(value: &Value) -> Vec<String> {
    value["metadata"]["finalizers"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|name| name.as_str().map(str::to_owned))
        .collect()
}

/// Goes on with the deletion of namespaces and definitions: what is in them is
/// deleted, and when nothing is left, they are.
fn settle(world: &mut World) {
    let (Some(namespaces), Some(definitions)) = (
        super::kinds::known("", "Namespace"),
        super::kinds::known("apiextensions.k8s.io", "CustomResourceDefinition"),
    ) else {
        return;
    };
    loop {
        let before = world.version;
        for (holder, key, object) in leaving(world, namespaces) {
            empty(world, Some(&key.name), None);
            let left = contents(world, Some(&key.name), None);
            if left.is_empty() && object.finalizers().next().is_none() {
                world.remove(&holder, &key, None);
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

type Held = (std::sync::Arc<Kind>, Key, Object);

fn leaving(world: &mut World, kind: &std::sync::Arc<Kind>) -> Vec<Held> {
    world
        .collection(kind)
        .objects
        .iter()
        .filter(|(_, object)| object.deleting())
        .map(|(key, object)| {
            (
                std::sync::Arc::clone(kind),
                key.clone(),
                std::sync::Arc::clone(object),
            )
        })
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
        found.extend(collection.within(ns).map(|(key, object)| {
            (
                std::sync::Arc::clone(kind),
                key.clone(),
                std::sync::Arc::clone(object),
            )
        }));
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

/// Brings an object into the form in which it is kept, or says what is wrong with it.
fn shape(
    kind: &Kind,
    object: &mut Value,
    before: Option<&Value>,
    write: &mut Write,
) -> Result<(), Failure> {
    let name = object["metadata"]["name"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let mut unknown = Vec::new();
    match &kind.origin {
        Origin::BuiltIn(shape) => {
            let known = shape(object).map_err(|error| {
                Failure::bad_request(format!(
                    "{} in version \"{}\" cannot be handled as a {}: {error}",
                    kind.kind, kind.version, kind.kind
                ))
            })?;
            admission::prune(object, &known, "", &mut unknown);
        }
        Origin::Custom(schema) => {
            let meta =
                admission::shape_metadata(&object["metadata"], &mut unknown).map_err(|error| {
                    Failure::bad_request(format!("metadata cannot be decoded: {error}"))
                })?;
            object["metadata"] = meta;
            unknown.extend(schema.prune(object));
            schema.fill(object);
        }
        Origin::Review => {}
    }
    if !unknown.is_empty() {
        let texts: Vec<String> = unknown
            .iter()
            .map(|path| format!("unknown field \"{path}\""))
            .collect();
        match write.fields {
            FieldValidation::Ignore => {}
            FieldValidation::Warn => write.warnings.extend(texts),
            FieldValidation::Strict => {
                return Err(Failure::bad_request(format!(
                    "{} in version \"{}\" cannot be handled as a {}: strict decoding error: {}",
                    kind.kind,
                    kind.version,
                    kind.kind,
                    texts.join(", ")
                )));
            }
        }
    }
    let mut causes = super::names::check(kind, &object["metadata"]);
    causes.extend(admission::check(kind, object, before));
    if let Some(schema) = kind.schema() {
        causes.extend(schema.check(object, before));
    }
    if causes.is_empty() {
        Ok(())
    } else {
        Err(Failure::invalid(kind, &name, &causes))
    }
}

fn type_of(kind: &Kind, body: &mut Value) -> Result<(), Failure> {
    let Some(fields) = body.as_object_mut() else {
        return Err(Failure::bad_request("the body is not an object"));
    };
    let custom = matches!(kind.origin, Origin::Custom(_));
    for (field, wanted) in [
        ("kind", kind.kind.clone()),
        ("apiVersion", kind.api_version()),
    ] {
        match fields
            .get(field)
            .and_then(Value::as_str)
            .filter(|given| !given.is_empty())
        {
            Some(given) if given == wanted => {}
            Some(given) => {
                return Err(Failure::bad_request(format!(
                    "the {field} in the data ({given}) does not match the expected {field} ({wanted})"
                )));
            }
            None if custom => {
                return Err(Failure::bad_request(format!("Object '{field}' is missing")));
            }
            None => {
                fields.insert(field.to_owned(), json!(wanted));
            }
        }
    }
    Ok(())
}

fn metadata(body: &mut Value) -> Result<&mut Map<String, Value>, Failure> {
    let meta = &mut body["metadata"];
    if meta.is_null() {
        *meta = json!({});
    }
    meta.as_object_mut()
        .ok_or_else(|| Failure::bad_request("metadata is not an object"))
}

fn place(kind: &Kind, ns: Option<&str>, meta: &mut Map<String, Value>) -> Result<(), Failure> {
    match ns.filter(|_| kind.namespaced) {
        Some(ns) => match meta
            .get("namespace")
            .and_then(Value::as_str)
            .filter(|given| !given.is_empty())
        {
            Some(given) if given != ns => Err(Failure::bad_request(format!(
                "the namespace of the provided object does not match the namespace sent on the request ({given} is not {ns})"
            ))),
            _ => {
                meta.insert("namespace".to_owned(), json!(ns));
                Ok(())
            }
        },
        None => {
            meta.shift_remove("namespace");
            Ok(())
        }
    }
}

fn free_name(world: &World, kind: &Kind, ns: Option<&str>, prefix: &str) -> String {
    // The letters that the real server picks from: no vowels, so no words.
    const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let prefix: String = prefix.chars().take(58).collect();
    loop {
        let suffix: String = Uuid::new_v4()
            .as_bytes()
            .iter()
            .take(5)
            .map(|byte| char::from(LETTERS[usize::from(*byte) % LETTERS.len()]))
            .collect();
        let name = format!("{prefix}{suffix}");
        if world.get(kind, &Key::new(ns, &name)).is_none() {
            return name;
        }
    }
}

fn strip(value: &mut Value, field: &str) {
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

/// True if a write changes nothing that a client cares about.
fn same(old: &Value, new: &Value) -> bool {
    let parts = |value: &Value| {
        let mut value = value.clone();
        strip(&mut value["metadata"], "managedFields");
        value
    };
    parts(old) == parts(new)
}
