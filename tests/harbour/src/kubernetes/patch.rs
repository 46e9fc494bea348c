//! Patches: JSON patch, merge patch, strategic merge patch; and the way of an
//! apply patch to its own module.

use serde_json::Value;

use super::kinds::{Kind, Origin};
use super::request::{json, yaml};
use super::status::Failure;
use super::store::{Key, Object, World};
use super::write::{Part, Write, replace};
use super::{apply, strategic};

/// A patch as it was sent.
#[derive(Debug)]
pub(super) struct Patch<'a> {
    pub(super) media: &'a str,
    pub(super) body: &'a [u8],
    /// Whether an apply takes over what others manage.
    pub(super) force: bool,
    /// Whether the query names the manager.
    pub(super) named: bool,
}

/// Carries out a patch; the flag says whether the object was created by it.
pub(super) fn patch(
    world: &mut World,
    kind: &Kind,
    key: &Key,
    part: Part,
    patch: &Patch<'_>,
    write: &mut Write,
) -> Result<(Object, bool), Failure> {
    let &Patch {
        media,
        body,
        force,
        named,
    } = patch;
    if media == "application/apply-patch+yaml" {
        if !named {
            return Err(Failure::bad_request(
                "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch",
            ));
        }
        return apply::apply(world, kind, key, part, yaml(body)?, force, write);
    }
    if force {
        return Err(Failure::bad_request(
            "PatchOptions.meta.k8s.io \"\" is invalid: force: Forbidden: may not be specified for non-apply patch",
        ));
    }
    let old = world
        .get(kind, key)
        .cloned()
        .ok_or_else(|| Failure::not_found(kind, &key.name))?;
    let mut new = old.value.clone();
    new["apiVersion"] = Value::String(kind.api_version());
    match media {
        "application/json-patch+json" => {
            let patch: json_patch::Patch = serde_json::from_slice(body).map_err(|error| {
                Failure::bad_request(format!("the body is not a JSON patch: {error}"))
            })?;
            json_patch::patch(&mut new, &patch).map_err(|error| {
                Failure::new(
                    422,
                    "Invalid",
                    format!(
                        "the server rejected our request due to an error in our request: {error}"
                    ),
                )
            })?;
        }
        "application/merge-patch+json" => {
            let patch = object(json(body)?)?;
            json_patch::merge(&mut new, &patch);
        }
        "application/strategic-merge-patch+json" => {
            if matches!(kind.origin, Origin::Custom(_)) {
                return Err(Failure::unsupported_media(
                    "the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml",
                ));
            }
            strategic::merge(&mut new, &object(json(body)?)?);
        }
        other => {
            return Err(Failure::unsupported_media(format!(
                "the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json, application/apply-patch+yaml (not {other:?})"
            )));
        }
    }
    replace(world, kind, &old, new, part, write).map(|object| (object, false))
}

fn object(value: Value) -> Result<Value, Failure> {
    if value.is_object() {
        Ok(value)
    } else {
        Err(Failure::bad_request("the patch is not an object"))
    }
}
