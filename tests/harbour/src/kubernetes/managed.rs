//! Who manages which fields: `metadata.managedFields`.

use serde_json::{Value, json};

use super::fields::Fields;
use super::kinds::Kind;
use super::time::now;
use super::topology::Topology;
use super::write::{Part, Write};

/// What one manager has.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) manager: String,
    /// Whether the manager applies; else it updates.
    pub(super) applies: bool,
    pub(super) status: bool,
    api_version: String,
    time: String,
    pub(super) fields: Fields,
}

impl Entry {
    pub(super) fn new(
        kind: &Kind,
        manager: &str,
        applies: bool,
        part: Part,
        fields: Fields,
    ) -> Self {
        Self {
            manager: manager.to_owned(),
            applies,
            status: part == Part::Status,
            api_version: kind.api_version(),
            time: now(),
            fields,
        }
    }

    pub(super) fn is(&self, manager: &str, applies: bool, part: Part) -> bool {
        self.manager == manager && self.applies == applies && self.status == (part == Part::Status)
    }

    pub(super) fn api_version(&self) -> &str {
        &self.api_version
    }
}

/// The entries of an object.
pub(super) fn entries(object: &Value) -> Vec<Entry> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    object["metadata"]["managedFields"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|entry| Entry {
            manager: text(&entry["manager"]),
            applies: entry["operation"] == "Apply",
            status: entry["subresource"] == "status",
            api_version: text(&entry["apiVersion"]),
            time: text(&entry["time"]),
            fields: Fields::from_json(&entry["fieldsV1"]),
        })
        .collect()
}

/// Writes the entries into an object.
pub(super) fn record(object: &mut Value, entries: &[Entry]) {
    let list: Vec<Value> = entries
        .iter()
        .filter(|entry| !entry.fields.is_empty())
        .map(|entry| {
            let mut out = json!({
                "manager": entry.manager,
                "operation": if entry.applies { "Apply" } else { "Update" },
                "apiVersion": entry.api_version,
                "time": entry.time,
                "fieldsType": "FieldsV1",
                "fieldsV1": entry.fields.to_json(),
            });
            if entry.status {
                out["subresource"] = json!("status");
            }
            out
        })
        .collect();
    if list.is_empty() {
        if let Some(meta) = object["metadata"].as_object_mut() {
            meta.shift_remove("managedFields");
        }
    } else {
        object["metadata"]["managedFields"] = json!(list);
    }
}

/// Records what an apply found out, without the fields that did not come to be.
pub(super) fn settle(old: Option<&Value>, new: &mut Value, managers: &[Entry]) {
    let before = old.map(entries).unwrap_or_default();
    let mut managers = managers.to_vec();
    for entry in &mut managers {
        entry.fields.keep_existing(new);
        // What stays as it was keeps its time, so that applying the same again changes nothing.
        if let Some(same) = before.iter().find(|other| {
            other.manager == entry.manager
                && other.applies == entry.applies
                && other.status == entry.status
                && other.api_version == entry.api_version
                && other.fields == entry.fields
        }) {
            entry.time.clone_from(&same.time);
        }
    }
    record(new, &managers);
}

/// Takes out the fields that only the server writes.
pub(super) fn without_system(mut fields: Fields) -> Fields {
    for name in ["f:apiVersion", "f:kind"] {
        fields.forget(&[name]);
    }
    for name in [
        "f:name",
        "f:namespace",
        "f:uid",
        "f:resourceVersion",
        "f:generation",
        "f:creationTimestamp",
        "f:deletionTimestamp",
        "f:deletionGracePeriodSeconds",
        "f:managedFields",
        "f:selfLink",
    ] {
        fields.forget(&["f:metadata", name]);
    }
    fields
}

/// Records a write that was no apply: what it changed is its manager's.
pub(super) fn update(kind: &Kind, old: Option<&Value>, new: &mut Value, part: Part, write: &Write) {
    let topology = Topology::of(kind);
    let changed = without_system(match old {
        Some(old) => Fields::changed(old, new, topology),
        None => Fields::of(new, topology),
    });
    let mut all = old.map(entries).unwrap_or_default();
    for entry in &mut all {
        if !entry.is(&write.manager, false, part) {
            entry.fields.subtract(&changed);
        }
        entry.fields.keep_existing(new);
    }
    if !changed.is_empty() {
        match all
            .iter_mut()
            .find(|entry| entry.is(&write.manager, false, part))
        {
            Some(entry) => {
                entry.fields.add(&changed);
                entry.time = now();
            }
            None => all.push(Entry::new(kind, &write.manager, false, part, changed)),
        }
    }
    record(new, &all);
}
