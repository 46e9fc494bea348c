//! Small questions about JSON values and label selectors.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

/// True if everything in `wanted` is in `live`: each field of an object, the
/// elements of a list one by one. Null is the same as absent.
pub(crate) fn subset(wanted: &Value, live: Option<&Value>) -> bool {
    match (wanted, live) {
        (Value::Null, None | Some(Value::Null)) => true,
        (Value::Object(wanted), Some(Value::Object(live))) => wanted
            .iter()
            .all(|(key, value)| subset(value, live.get(key))),
        (Value::Object(wanted), None) => wanted.values().all(|value| subset(value, None)),
        (Value::Array(wanted), Some(Value::Array(live))) => {
            wanted.len() == live.len()
                && wanted
                    .iter()
                    .zip(live)
                    .all(|(wanted, live)| subset(wanted, Some(live)))
        }
        (Value::Array(wanted), None) => wanted.is_empty(),
        (wanted, Some(live)) => wanted == live,
        (_, None) => false,
    }
}

/// Sets the field at the end of `path`; what stands in the way and is no object
/// is replaced by one.
pub(super) fn put(within: &mut Value, path: &[&str], value: impl Into<Value>) {
    let mut place = within;
    for key in path {
        if !place.is_object() {
            *place = Value::Object(Map::new());
        }
        place = &mut place[*key];
    }
    *place = value.into();
}

/// The value with the keys of every object in order, so that equal values have
/// equal text.
pub(super) fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let ordered: BTreeMap<_, _> = fields.iter().collect();
            let ordered = ordered.into_iter().filter(|(_, value)| !value.is_null());
            Value::Object(
                ordered
                    .map(|(key, value)| (key.clone(), sorted(value)))
                    .collect(),
            )
        }
        Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
        other => other.clone(),
    }
}

/// A short name for a value, in the letters that Kubernetes uses for hashes.
pub(super) fn hash(value: &Value) -> String {
    let digest = Sha256::digest(sorted(value).to_string());
    letters(&digest[..10])
}

/// As many letters as there are bytes, from the alphabet that spells no words.
pub(super) fn letters(bytes: &[u8]) -> String {
    const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    bytes
        .iter()
        .map(|byte| char::from(ALPHABET[usize::from(*byte) % ALPHABET.len()]))
        .collect()
}

/// Five letters, different every time.
pub(super) fn random_suffix() -> String {
    letters(&uuid::Uuid::new_v4().as_bytes()[..5])
}

/// True if `labels` satisfy a label selector. One that selects nothing in
/// particular matches nothing, as for workloads.
pub(super) fn selects(selector: Option<&Value>, labels: Option<&BTreeMap<String, String>>) -> bool {
    let Some(selector) = selector else {
        return false;
    };
    let label = |key: &str| labels.and_then(|labels| labels.get(key));
    let exact = selector.get("matchLabels").and_then(Value::as_object);
    let terms = selector.get("matchExpressions").and_then(Value::as_array);
    if exact.is_none_or(Map::is_empty) && terms.is_none_or(Vec::is_empty) {
        return false;
    }
    exact
        .into_iter()
        .flatten()
        .all(|(key, value)| label(key).map(String::as_str) == value.as_str())
        && terms.into_iter().flatten().all(|term| {
            let found = term.get("key").and_then(Value::as_str).and_then(label);
            let values = term.get("values").and_then(Value::as_array);
            let listed = found.is_some_and(|found| {
                values.is_some_and(|values| values.iter().any(|value| value == found))
            });
            match term.get("operator").and_then(Value::as_str) {
                Some("In") => listed,
                Some("NotIn") => !listed,
                Some("Exists") => found.is_some(),
                Some("DoesNotExist") => found.is_none(),
                _ => false,
            }
        })
}

/// Conditions as `[type, status, reason, message]`, with the times of those
/// that have not changed taken from `before`.
pub(super) fn conditions(before: Option<&Value>, wanted: &[[&str; 4]]) -> Value {
    let now = jiff::Timestamp::now()
        .strftime("%Y-%m-%dT%H:%M:%SZ")
        .to_string();
    let before = before.and_then(Value::as_array);
    let condition = |[kind, status, reason, message]: &[&str; 4]| {
        let same = before
            .into_iter()
            .flatten()
            .find(|condition| condition["type"] == **kind && condition["status"] == **status);
        let since = same
            .and_then(|condition| condition["lastTransitionTime"].as_str())
            .unwrap_or(&now);
        let mut condition = serde_json::json!({
            "type": kind, "status": status, "lastTransitionTime": since,
        });
        if !reason.is_empty() {
            condition["reason"] = (*reason).into();
            condition["message"] = (*message).into();
        }
        condition
    };
    Value::Array(wanted.iter().map(condition).collect())
}
