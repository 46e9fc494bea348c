//! Server-side apply.

use serde_json::{Value, json};

use super::kinds::Kind;
use super::status::Failure;
use super::store::{Key, Object, World};
use super::strategic;
use super::write::{Part, Write, create, replace};

/// Applies a configuration; the flag says whether the object was created by it.
pub(super) fn apply(
    world: &mut World,
    kind: &Kind,
    key: &Key,
    part: Part,
    config: Value,
    _force: bool,
    write: &mut Write,
) -> Result<(Object, bool), Failure> {
    if !config.is_object() {
        return Err(Failure::bad_request(
            "the applied configuration is not an object",
        ));
    }
    let Some(old) = world.get(kind, key).cloned() else {
        if part == Part::Status {
            return Err(Failure::not_found(kind, &key.name));
        }
        let mut body = config;
        body["metadata"]["name"] = json!(key.name);
        let ns = kind.namespaced.then_some(key.ns.as_str());
        return create(world, kind, ns, body, write).map(|object| (object, true));
    };
    let mut new = old.value.clone();
    strategic::merge(&mut new, &config);
    replace(world, kind, &old, new, part, write).map(|object| (object, false))
}
