//! Strategic merge patch: a merge patch that knows which lists are maps.

use serde_json::{Map, Value};

/// The fields whose lists of objects are merged, and the keys that tell their
/// items apart; the first key that an item has counts.
const MERGED: &[(&str, &[&str])] = &[
    ("addresses", &["type"]),
    ("conditions", &["type"]),
    ("containers", &["name"]),
    ("containerStatuses", &["name"]),
    ("env", &["name"]),
    ("ephemeralContainers", &["name"]),
    ("hostAliases", &["ip"]),
    ("imagePullSecrets", &["name"]),
    ("initContainers", &["name"]),
    ("ownerReferences", &["uid"]),
    ("podIPs", &["ip"]),
    ("ports", &["containerPort", "port"]),
    ("secrets", &["name"]),
    ("taints", &["key"]),
    ("topologySpreadConstraints", &["topologyKey"]),
    ("volumeDevices", &["devicePath"]),
    ("volumeMounts", &["mountPath"]),
    ("volumes", &["name"]),
];

/// Lists of plain values that are merged as sets.
const SETS: &[&str] = &["finalizers"];

/// The keys that tell the items of a list apart, if the list is merged.
pub(super) fn merge_keys(field: &str) -> Option<&'static [&'static str]> {
    MERGED
        .iter()
        .find(|(name, _)| *name == field)
        .map(|(_, keys)| *keys)
}

/// True if a list of plain values is merged as a set.
pub(super) fn is_set(field: &str) -> bool {
    SETS.contains(&field)
}

/// Merges `patch` into `target`.
pub(super) fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        target.clone_from(patch);
        return;
    };
    if patch
        .get("$patch")
        .is_some_and(|directive| directive == "replace")
    {
        *target = Value::Object(without_directives(patch));
        return;
    }
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Some(fields) = target.as_object_mut() else {
        return;
    };
    for (name, value) in patch {
        if let Some(field) = name.strip_prefix("$deleteFromPrimitiveList/") {
            if let (Some(Value::Array(items)), Value::Array(gone)) = (fields.get_mut(field), value)
            {
                items.retain(|item| !gone.contains(item));
            }
        } else if name == "$retainKeys" {
            if let Value::Array(kept) = value {
                fields.retain(|field, _| kept.iter().any(|one| one == field));
            }
        } else if name.starts_with('$') {
            // Orders of lists are those of the patch anyway.
        } else if value.is_null() || has_directive(value, "delete") {
            fields.shift_remove(name);
        } else if let Value::Array(items) = value {
            merge_list(
                fields
                    .entry(name.clone())
                    .or_insert(Value::Array(Vec::new())),
                name,
                items,
            );
        } else {
            merge(fields.entry(name.clone()).or_insert(Value::Null), value);
        }
    }
}

fn has_directive(value: &Value, wanted: &str) -> bool {
    value
        .get("$patch")
        .is_some_and(|directive| directive == wanted)
}

fn merge_list(target: &mut Value, field: &str, items: &[Value]) {
    let replaces = items.iter().any(|item| {
        has_directive(item, "replace") && item.as_object().is_some_and(|item| item.len() == 1)
    });
    let Value::Array(present) = target else {
        *target = Value::Array(items.to_vec());
        return;
    };
    if is_set(field) {
        for item in items {
            if !present.contains(item) {
                present.push(item.clone());
            }
        }
        return;
    }
    let keys = merge_keys(field).filter(|_| items.iter().all(Value::is_object));
    let Some(keys) = keys.filter(|_| !replaces) else {
        let whole = items.iter().filter(|item| item.get("$patch").is_none());
        *present = whole.cloned().collect();
        return;
    };
    for item in items {
        let Some(key) = keys.iter().find(|key| item.get(**key).is_some()) else {
            present.push(item.clone());
            continue;
        };
        let place = present
            .iter()
            .position(|other| other.get(*key) == item.get(*key));
        let deletes = has_directive(item, "delete");
        match (place, deletes) {
            (Some(place), true) => {
                present.remove(place);
            }
            (None, true) => {}
            (Some(place), false) => merge(&mut present[place], item),
            (None, false) => {
                let mut added = Value::Null;
                merge(&mut added, item);
                present.push(added);
            }
        }
    }
}

fn without_directives(fields: &Map<String, Value>) -> Map<String, Value> {
    fields
        .iter()
        .filter(|(name, _)| !name.starts_with('$'))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lists_with_keys_are_merged_and_others_replaced() {
        let mut target = json!({
            "metadata": {"finalizers": ["a"], "ownerReferences": [{"uid": "1", "name": "x"}]},
            "spec": {
                "containers": [{"name": "a", "image": "1", "args": ["x", "y"]}, {"name": "b", "image": "1"}],
                "tolerations": [{"key": "one"}],
            },
        });
        merge(
            &mut target,
            &json!({
                "metadata": {"finalizers": ["b"], "ownerReferences": [{"uid": "1", "$patch": "delete"}]},
                "spec": {
                    "containers": [{"name": "a", "image": "2", "args": ["z"]}, {"name": "c", "image": "3"}],
                    "tolerations": [{"key": "two"}],
                    "$setElementOrder/containers": [{"name": "a"}],
                },
            }),
        );
        assert_eq!(
            target,
            json!({
                "metadata": {"finalizers": ["a", "b"], "ownerReferences": []},
                "spec": {
                    "containers": [{"name": "a", "image": "2", "args": ["z"]}, {"name": "b", "image": "1"}, {"name": "c", "image": "3"}],
                    "tolerations": [{"key": "two"}],
                },
            })
        );
        merge(
            &mut target,
            &json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"]}, "spec": {"$patch": "replace", "x": 1}}),
        );
        assert_eq!(
            target,
            json!({"metadata": {"finalizers": ["b"], "ownerReferences": []}, "spec": {"x": 1}})
        );
    }
}
