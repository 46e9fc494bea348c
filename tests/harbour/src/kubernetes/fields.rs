//! Sets of fields, as `metadata.managedFields` records them.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::topology::{List, Topology, key_of};

/// A set of paths. Steps are written as the API does: `f:name` for a field,
/// `k:{...}` for a list item by its key, `v:...` for an item of a set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Fields {
    /// Whether the path to here is in the set.
    here: bool,
    under: BTreeMap<String, Fields>,
}

fn field_step(name: &str) -> String {
    format!("f:{name}")
}

fn item_step(item: &Value, keys: &[String]) -> String {
    format!("k:{}", Value::Object(key_of(item, keys)))
}

fn value_step(value: &Value) -> String {
    format!("v:{value}")
}

/// What the step leads to.
fn walk<'a>(value: &'a Value, step: &str) -> Option<&'a Value> {
    value.as_array().map_or_else(
        || value.get(step.strip_prefix("f:")?),
        |items| items.get(position(items, step)?),
    )
}

fn position(items: &[Value], step: &str) -> Option<usize> {
    if let Some(text) = step.strip_prefix("v:") {
        let value: Value = serde_json::from_str(text).ok()?;
        return items.iter().position(|item| *item == value);
    }
    let key: Map<String, Value> = serde_json::from_str(step.strip_prefix("k:")?).ok()?;
    let keys: Vec<String> = key.keys().cloned().collect();
    items.iter().position(|item| key_of(item, &keys) == key)
}

impl Fields {
    fn leaf() -> Self {
        Self {
            here: true,
            under: BTreeMap::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        !self.here && self.under.is_empty()
    }

    /// Every field of a value.
    pub(super) fn of(value: &Value, topology: Topology<'_>) -> Self {
        match value {
            Value::Object(fields) if !fields.is_empty() && !topology.is_atomic_map() => Self {
                here: false,
                under: fields
                    .iter()
                    .map(|(name, value)| (field_step(name), Self::of(value, topology.child(name))))
                    .collect(),
            },
            Value::Array(items) if !items.is_empty() => match topology.list(items) {
                List::Atomic => Self::leaf(),
                List::Set => Self {
                    here: false,
                    under: items
                        .iter()
                        .map(|item| (value_step(item), Self::leaf()))
                        .collect(),
                },
                List::Map(keys) => Self {
                    here: false,
                    under: items
                        .iter()
                        .map(|item| {
                            let mut fields = Self::of(item, topology.item());
                            fields.here = true;
                            (item_step(item, &keys), fields)
                        })
                        .collect(),
                },
            },
            _ => Self::leaf(),
        }
    }

    /// The fields of `new` that `old` does not have, or has with another value.
    pub(super) fn changed(old: &Value, new: &Value, topology: Topology<'_>) -> Self {
        if old == new {
            return Self::default();
        }
        let mut under = BTreeMap::new();
        match (old, new) {
            (Value::Object(before), Value::Object(fields))
                if !topology.is_atomic_map() && !fields.is_empty() =>
            {
                for (name, value) in fields {
                    let topology = topology.child(name);
                    let changed = match before.get(name) {
                        Some(before) => Self::changed(before, value, topology),
                        None => Self::of(value, topology),
                    };
                    under.insert(field_step(name), changed);
                }
            }
            (Value::Array(before), Value::Array(items)) if !items.is_empty() => {
                match topology.list(items) {
                    List::Atomic => return Self::leaf(),
                    List::Set => {
                        for item in items.iter().filter(|item| !before.contains(item)) {
                            under.insert(value_step(item), Self::leaf());
                        }
                    }
                    List::Map(keys) => {
                        for item in items {
                            let step = item_step(item, &keys);
                            let changed = if let Some(place) = position(before, &step) {
                                Self::changed(&before[place], item, topology.item())
                            } else {
                                let mut fields = Self::of(item, topology.item());
                                fields.here = true;
                                fields
                            };
                            under.insert(step, changed);
                        }
                    }
                }
            }
            _ => return Self::leaf(),
        }
        under.retain(|_, fields| !fields.is_empty());
        Self { here: false, under }
    }

    /// Adds the paths of `other`.
    pub(super) fn add(&mut self, other: &Self) {
        self.here |= other.here;
        for (step, fields) in &other.under {
            self.under.entry(step.clone()).or_default().add(fields);
        }
    }

    /// Takes out the paths of `other`.
    pub(super) fn subtract(&mut self, other: &Self) {
        if other.here {
            self.here = false;
        }
        for (step, fields) in &other.under {
            if let Some(mine) = self.under.get_mut(step) {
                mine.subtract(fields);
                if mine.is_empty() {
                    self.under.remove(step);
                }
            }
        }
    }

    /// Takes out a path, and all below it.
    pub(super) fn forget(&mut self, path: &[&str]) {
        match path {
            [] => {}
            [last] => {
                self.under.remove(*last);
            }
            [first, rest @ ..] => {
                if let Some(fields) = self.under.get_mut(*first) {
                    fields.forget(rest);
                    if fields.is_empty() {
                        self.under.remove(*first);
                    }
                }
            }
        }
    }

    /// Keeps only what begins with `step`.
    pub(super) fn only(mut self, step: &str) -> Self {
        self.under.retain(|other, _| other == step);
        self
    }

    /// Takes out the paths that lead nowhere in `value`.
    pub(super) fn keep_existing(&mut self, value: &Value) {
        self.under.retain(|step, fields| match walk(value, step) {
            Some(inner) => {
                fields.keep_existing(inner);
                !fields.is_empty()
            }
            None => false,
        });
    }

    /// Removes from `value` what the paths of this set lead to, and what is empty thereafter.
    pub(super) fn remove_from(&self, value: &mut Value) {
        for (step, fields) in &self.under {
            let Some(inner) = walk(value, step) else {
                continue;
            };
            let mut inner = inner.clone();
            let filled = !is_empty(&inner);
            fields.remove_from(&mut inner);
            let gone = fields.here || filled && is_empty(&inner);
            match value {
                Value::Object(object) => {
                    let name = step.strip_prefix("f:").unwrap_or(step);
                    if gone {
                        object.shift_remove(name);
                    } else {
                        object.insert(name.to_owned(), inner);
                    }
                }
                Value::Array(items) => {
                    if let Some(place) = position(items, step) {
                        if gone {
                            items.remove(place);
                        } else {
                            items[place] = inner;
                        }
                    }
                }
                _ => {}
            }
        }
    }

    /// The paths that are in both sets and whose values differ between `one` and `two`.
    pub(super) fn disputed(&self, other: &Self, one: &Value, two: &Value) -> Self {
        let mut under = BTreeMap::new();
        for (step, fields) in &self.under {
            let Some(theirs) = other.under.get(step) else {
                continue;
            };
            let (first, second) = (walk(one, step), walk(two, step));
            let mut inner = fields.disputed(
                theirs,
                first.unwrap_or(&Value::Null),
                second.unwrap_or(&Value::Null),
            );
            // That an item is there cannot be in dispute, only what is in it.
            inner.here = step.starts_with("f:") && fields.here && theirs.here && first != second;
            if !inner.is_empty() {
                under.insert(step.clone(), inner);
            }
        }
        Self { here: false, under }
    }

    /// The paths in the form of messages, such as `.spec.replicas`.
    pub(super) fn paths(&self) -> Vec<String> {
        let mut paths = Vec::new();
        self.collect("", &mut paths);
        paths
    }

    fn collect(&self, path: &str, paths: &mut Vec<String>) {
        if self.here && !path.is_empty() {
            paths.push(path.to_owned());
        }
        for (step, fields) in &self.under {
            let at = match step.strip_prefix("f:") {
                Some(name) => format!("{path}.{name}"),
                None => format!("{path}[{}]", step.get(2..).unwrap_or_default()),
            };
            fields.collect(&at, paths);
        }
    }

    /// As `fieldsV1`.
    pub(super) fn to_json(&self) -> Value {
        let mut out = Map::new();
        if self.here && !self.under.is_empty() {
            out.insert(".".to_owned(), json!({}));
        }
        for (step, fields) in &self.under {
            out.insert(step.clone(), fields.to_json());
        }
        Value::Object(out)
    }

    /// From `fieldsV1`.
    pub(super) fn from_json(value: &Value) -> Self {
        let mut fields = Self::default();
        let Some(object) = value.as_object() else {
            return fields;
        };
        fields.here = object.is_empty() || object.contains_key(".");
        for (step, inner) in object.iter().filter(|(step, _)| *step != ".") {
            fields.under.insert(step.clone(), Self::from_json(inner));
        }
        fields
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}
