//! Taking in what clients send: is it of the kind, of the place, of the form?

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::admission;
use super::kinds::{Kind, Origin};
use super::names;
use super::status::Failure;
use super::store::{Key, World};
use super::write::{FieldValidation, Write};

/// Brings an object into the form in which it is kept, or says what is wrong with it.
pub(super) fn shape(
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
    // Only now: what follows may rely on the object being of its type.
    match before {
        None => admission::on_create(kind, object),
        Some(before) => admission::on_update(kind, before, object),
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
    let mut causes = names::check(kind, &object["metadata"]);
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

pub(super) fn type_of(kind: &Kind, body: &mut Value) -> Result<(), Failure> {
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

pub(super) fn metadata(body: &mut Value) -> Result<&mut Map<String, Value>, Failure> {
    let meta = &mut body["metadata"];
    if meta.is_null() {
        *meta = json!({});
    }
    meta.as_object_mut()
        .ok_or_else(|| Failure::bad_request("metadata is not an object"))
}

pub(super) fn place(
    kind: &Kind,
    ns: Option<&str>,
    meta: &mut Map<String, Value>,
) -> Result<(), Failure> {
    let Some(ns) = ns.filter(|_| kind.namespaced) else {
        meta.shift_remove("namespace");
        return Ok(());
    };
    let given = meta
        .get("namespace")
        .and_then(Value::as_str)
        .unwrap_or_default();
    if !given.is_empty() && given != ns {
        return Err(Failure::bad_request(format!(
            "the namespace of the provided object does not match the namespace sent on the request ({given} is not {ns})"
        )));
    }
    meta.insert("namespace".to_owned(), json!(ns));
    Ok(())
}

pub(super) fn free_name(world: &World, kind: &Kind, ns: Option<&str>, prefix: &str) -> String {
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
