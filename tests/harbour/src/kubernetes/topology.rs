//! Which maps and lists are one value, and which are merged item by item.
//!
//! A custom kind says so in its schema (`x-kubernetes-list-type` and
//! `x-kubernetes-map-type`); for a built-in kind it is known by the field.

use serde_json::{Map, Value, json};

use super::kinds::Kind;
use super::strategic;

/// The fields of built-in kinds that hold an object that is one value.
const ATOMIC_MAPS: &[&str] = &[
    "configMapKeyRef",
    "fieldRef",
    "labelSelector",
    "namespaceSelector",
    "podSelector",
    "resourceFieldRef",
    "roleRef",
    "secretKeyRef",
    "selector",
];

/// How the value of a field is put together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Topology<'a> {
    /// The schema of the value; none for built-in kinds and for metadata.
    schema: Option<&'a Value>,
    /// True where a schema is in force but says nothing about this value.
    unknown: bool,
    field: &'a str,
}

/// How a list is merged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum List {
    Atomic,
    Set,
    /// By the fields that tell items apart.
    Map(Vec<String>),
}

impl<'a> Topology<'a> {
    /// Of a whole object.
    pub(super) fn of(kind: &'a Kind) -> Self {
        Self {
            schema: kind.schema().map(super::schema::Schema::raw),
            unknown: false,
            field: "",
        }
    }

    /// Of a field of this object.
    pub(super) fn child(self, field: &'a str) -> Self {
        let Some(schema) = self.schema else {
            return Self { field, ..self };
        };
        if self.field.is_empty() && field == "metadata" {
            return Self {
                schema: None,
                unknown: false,
                field,
            };
        }
        let inner = schema["properties"].get(field).or_else(|| {
            schema
                .get("additionalProperties")
                .filter(|inner| inner.is_object())
        });
        Self {
            schema: Some(inner.unwrap_or(&Value::Null)),
            unknown: inner.is_none(),
            field,
        }
    }

    /// Of an item of this list.
    pub(super) fn item(self) -> Self {
        match self.schema {
            Some(schema) => Self {
                schema: Some(&schema["items"]),
                unknown: self.unknown,
                field: "[]",
            },
            None => Self {
                field: "[]",
                ..self
            },
        }
    }

    /// True if this object is one value.
    pub(super) fn is_atomic_map(self) -> bool {
        match self.schema {
            Some(schema) => schema["x-kubernetes-map-type"] == "atomic",
            None => ATOMIC_MAPS.contains(&self.field),
        }
    }

    /// How this list is merged.
    pub(super) fn list(self, items: &[Value]) -> List {
        if let Some(schema) = self.schema {
            return match schema["x-kubernetes-list-type"].as_str() {
                Some("set") => List::Set,
                Some("map") => List::Map(
                    schema["x-kubernetes-list-map-keys"]
                        .as_array()
                        .into_iter()
                        .flatten()
                        .filter_map(|key| key.as_str().map(str::to_owned))
                        .collect(),
                ),
                _ => List::Atomic,
            };
        }
        if strategic::is_set(self.field) {
            return List::Set;
        }
        let keys = strategic::merge_keys(self.field).and_then(|keys| {
            keys.iter()
                .find(|key| !items.is_empty() && items.iter().all(|item| item.get(**key).is_some()))
        });
        match keys {
            Some(key) if self.field == "ports" => {
                List::Map(vec![(*key).to_owned(), "protocol".to_owned()])
            }
            Some(key) => List::Map(vec![(*key).to_owned()]),
            None => List::Atomic,
        }
    }
}

/// The fields that tell an item apart, with their values.
pub(super) fn key_of(item: &Value, keys: &[String]) -> Map<String, Value> {
    keys.iter()
        .map(|key| {
            let absent = || {
                if key == "protocol" {
                    json!("TCP")
                } else {
                    Value::Null
                }
            };
            (key.clone(), item.get(key).cloned().unwrap_or_else(absent))
        })
        .collect()
}

/// Merges an applied configuration into what is there.
pub(super) fn merge(target: &mut Value, config: &Value, topology: Topology<'_>) {
    match (&mut *target, config) {
        (Value::Object(fields), Value::Object(config)) if !topology.is_atomic_map() => {
            for (name, value) in config {
                match fields.get_mut(name) {
                    Some(present) => merge(present, value, topology.child(name)),
                    None => {
                        fields.insert(name.clone(), value.clone());
                    }
                }
            }
        }
        (Value::Array(present), Value::Array(config)) => match topology.list(config) {
            List::Set => {
                for value in config {
                    if !present.contains(value) {
                        present.push(value.clone());
                    }
                }
            }
            List::Map(keys) => {
                for item in config {
                    let key = key_of(item, &keys);
                    match present.iter_mut().find(|other| key_of(other, &keys) == key) {
                        Some(other) => merge(other, item, topology.item()),
                        None => present.push(item.clone()),
                    }
                }
            }
            List::Atomic => present.clone_from(config),
        },
        _ => target.clone_from(config),
    }
}
