//! Getting and listing.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use serde_json::{Value, json};

use super::kinds::Kind;
use super::request::{Query, View};
use super::selector::Selector;
use super::status::Failure;
use super::store::{Object, Snapshot, World};

/// An object as it is answered: in the version of its kind that was asked for.
pub(super) fn render(kind: &Kind, object: &Object, view: View) -> Bytes {
    match view {
        View::Metadata => json!({
            "kind": "PartialObjectMetadata",
            "apiVersion": "meta.k8s.io/v1",
            "metadata": object.value["metadata"],
        })
        .to_string()
        .into(),
        View::Whole if object.value["apiVersion"] == kind.api_version() => object.json(),
        View::Whole => {
            let mut value = object.value.clone();
            value["apiVersion"] = json!(kind.api_version());
            value.to_string().into()
        }
    }
}

/// Answers a list, from the start or going on with an earlier one.
pub(super) fn list(
    world: &mut World,
    kind: &Kind,
    ns: Option<&str>,
    query: &Query,
    view: View,
) -> Result<Bytes, Failure> {
    let selector = Selector::parse(kind, query.get("labelSelector"), query.get("fieldSelector"))?;
    let limit = query.number("limit")?.filter(|limit| *limit > 0);
    let (version, mut objects) = if let Some(token) = query.get("continue") {
        resume(world, token)?
    } else {
        let version = version_for(world, kind, query)?;
        let objects: Vec<Object> = world
            .collection(kind)
            .within(ns)
            .map(|(_, object)| object)
            .filter(|object| selector.matches(&object.value))
            .cloned()
            .collect();
        (version, objects)
    };
    let mut meta = json!({"resourceVersion": version.to_string()});
    if let Some(limit) = limit.and_then(|limit| usize::try_from(limit).ok())
        && objects.len() > limit
    {
        let rest = objects.split_off(limit);
        if selector.is_empty() {
            meta["remainingItemCount"] = json!(rest.len());
        }
        let id = world.keep_snapshot(Snapshot { version, rest });
        meta["continue"] = json!(URL_SAFE_NO_PAD.encode(format!("snapshot/{id}")));
    }
    Ok(frame(kind, &meta, &objects, view))
}

fn frame(kind: &Kind, meta: &Value, objects: &[Object], view: View) -> Bytes {
    let (name, version) = match view {
        View::Whole => (kind.list_kind.as_str(), kind.api_version()),
        View::Metadata => ("PartialObjectMetadataList", "meta.k8s.io/v1".to_owned()),
    };
    let head = json!({"kind": name, "apiVersion": version, "metadata": meta}).to_string();
    let mut out = head.into_bytes();
    out.pop();
    out.extend_from_slice(b",\"items\":[");
    for (index, object) in objects.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(&render(kind, object, view));
    }
    out.extend_from_slice(b"]}");
    out.into()
}

fn resume(world: &World, token: &str) -> Result<(u64, Vec<Object>), Failure> {
    let id = URL_SAFE_NO_PAD
        .decode(token)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .and_then(|text| text.strip_prefix("snapshot/")?.parse().ok())
        .ok_or_else(|| Failure::bad_request("continue key is not valid"))?;
    let snapshot = world.snapshot(id).ok_or_else(|| {
        Failure::expired(
            "The provided continue parameter is too old to display a consistent list result. You must start a new list without the continue parameter.",
        )
    })?;
    Ok((
        snapshot.version,
        snapshot.rest.iter().map(Arc::clone).collect(),
    ))
}

/// The version at which a list is answered, by `resourceVersion` and `resourceVersionMatch`.
fn version_for(world: &mut World, kind: &Kind, query: &Query) -> Result<u64, Failure> {
    let current = world.version;
    let asked = query.number("resourceVersion")?;
    let exact = match query.get("resourceVersionMatch") {
        None | Some("NotOlderThan") => false,
        Some("Exact") => true,
        Some(other) => {
            return Err(Failure::bad_request(format!(
                "resourceVersionMatch: Unsupported value: \"{other}\": supported values: \"Exact\", \"NotOlderThan\""
            )));
        }
    };
    match asked {
        None | Some(0) => Ok(current),
        Some(asked) if asked > current => Err(Failure::too_large(asked, current)),
        Some(asked) if exact => {
            let changed = *world.collection(kind).changed.borrow();
            if changed > asked {
                Err(Failure::expired(format!(
                    "The resourceVersion for the provided list is too old: {asked}"
                )))
            } else {
                Ok(asked)
            }
        }
        Some(_) => Ok(current),
    }
}
