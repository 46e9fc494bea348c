//! Server-side apply.

use serde_json::{Value, json};

use super::fields::Fields;
use super::kinds::Kind;
use super::managed::{self, Entry};
use super::status::{Cause, Failure};
use super::store::{Key, Object, World};
use super::topology::{Topology, merge};
use super::write::{Part, Write, create, replace};

/// Applies a configuration; the flag says whether the object was created by it.
///
/// Fields that the manager applied before and now leaves out are removed,
/// unless another manager has them too. A field that another manager has with
/// another value is a conflict, unless `force` takes it over.
pub(super) fn apply(
    world: &mut World,
    kind: &Kind,
    key: &Key,
    part: Part,
    config: Value,
    force: bool,
    write: &mut Write,
) -> Result<(Object, bool), Failure> {
    let mut config = config;
    check(kind, key, &config)?;
    let topology = Topology::of(kind);
    if let Some(fields) = config.as_object_mut()
        && kind.status
        && part == Part::Main
    {
        fields.shift_remove("status");
    }
    let mut applied = managed::without_system(Fields::of(&config, topology));
    if part == Part::Status {
        applied = applied.only("f:status");
    }
    let manager = write.manager.clone();
    let Some(old) = world.get(kind, key).cloned() else {
        if part == Part::Status {
            return Err(Failure::not_found(kind, &key.name));
        }
        if config["metadata"].is_null() {
            config["metadata"] = json!({});
        }
        config["metadata"]["name"] = json!(key.name);
        write.managers = Some(vec![Entry::new(kind, &manager, true, part, applied)]);
        let ns = kind.namespaced.then_some(key.ns.as_str());
        return create(world, kind, ns, config, write).map(|object| (object, true));
    };

    let mut entries = managed::entries(&old.value);
    let mut conflicts = Vec::new();
    for entry in entries
        .iter_mut()
        .filter(|entry| !entry.is(&manager, true, part))
    {
        let disputed = applied.disputed(&entry.fields, &config, &old.value);
        if disputed.is_empty() {
            continue;
        }
        if force {
            entry.fields.subtract(&disputed);
        } else {
            conflicts.extend(disputed.paths().into_iter().map(|path| Cause {
                reason: "FieldManagerConflict",
                field: path,
                message: format!(
                    "conflict with \"{}\" using {}",
                    entry.manager,
                    entry.api_version()
                ),
            }));
        }
    }
    if !conflicts.is_empty() {
        return Err(refused(&conflicts));
    }

    let mut new = old.value.clone();
    let own = entries
        .iter()
        .position(|entry| entry.is(&manager, true, part));
    if let Some(own) = own {
        let mut left_out = entries[own].fields.clone();
        left_out.subtract(&applied);
        for entry in entries
            .iter()
            .filter(|entry| !entry.is(&manager, true, part))
        {
            left_out.subtract(&entry.fields);
        }
        left_out.remove_from(&mut new);
    }
    merge(&mut new, &config, topology);
    match own {
        Some(own) => entries[own] = Entry::new(kind, &manager, true, part, applied),
        None => entries.push(Entry::new(kind, &manager, true, part, applied)),
    }
    write.managers = Some(entries);
    replace(world, kind, &old, new, part, write).map(|object| (object, false))
}

fn check(kind: &Kind, key: &Key, config: &Value) -> Result<(), Failure> {
    if !config.is_object() {
        return Err(Failure::bad_request(
            "the applied configuration is not an object",
        ));
    }
    if config["apiVersion"] != kind.api_version() || config["kind"] != kind.kind {
        return Err(Failure::bad_request(format!(
            "the applied configuration must be a {} of {}",
            kind.kind,
            kind.api_version()
        )));
    }
    let meta = &config["metadata"];
    if !meta.is_null() && !meta.is_object() {
        return Err(Failure::bad_request("metadata is not an object"));
    }
    if meta
        .get("managedFields")
        .is_some_and(|fields| !fields.is_null() && fields != &json!([]))
    {
        return Err(Failure::bad_request("metadata.managedFields must be nil"));
    }
    if meta["name"].as_str().is_some_and(|name| name != key.name) {
        return Err(Failure::bad_request(format!(
            "the name of the object ({}) does not match the name on the URL ({})",
            meta["name"].as_str().unwrap_or_default(),
            key.name
        )));
    }
    Ok(())
}

fn refused(conflicts: &[Cause]) -> Failure {
    let count = conflicts.len();
    let noun = if count == 1 { "conflict" } else { "conflicts" };
    let list: Vec<String> = conflicts
        .iter()
        .map(|cause| format!("{}: {}", cause.message, cause.field))
        .collect();
    let mut failure = Failure::new(
        409,
        "Conflict",
        format!("Apply failed with {count} {noun}: {}", list.join(", ")),
    );
    failure.add_causes(conflicts);
    failure
}
