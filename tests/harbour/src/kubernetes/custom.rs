//! Custom kinds: what a CustomResourceDefinition adds to the server.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use serde_json::{Value, json};

use super::kinds::{Kind, Origin};
use super::schema::Schema;
use super::status::Cause;
use super::store::Object;
use super::time::now;

/// The custom kinds, by the name of their definition.
#[derive(Debug, Default)]
pub(super) struct Customs {
    by_definition: BTreeMap<String, Vec<Arc<Kind>>>,
}

impl Customs {
    pub(super) fn kinds(&self) -> impl Iterator<Item = &Arc<Kind>> {
        self.by_definition.values().flatten()
    }

    /// The kinds that a definition serves, one for each of its versions.
    pub(super) fn of(&self, definition: &str) -> &[Arc<Kind>] {
        self.by_definition
            .get(definition)
            .map_or(&[], Vec::as_slice)
    }

    pub(super) fn remove(&mut self, definition: &str) {
        self.by_definition.remove(definition);
    }

    /// Takes in a definition as it now stands.
    pub(super) fn define(&mut self, definition: &Object) {
        let spec = &definition.value["spec"];
        let names = &spec["names"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let list = |value: &Value| -> Vec<String> {
            value.as_array().into_iter().flatten().map(text).collect()
        };
        let kinds = spec["versions"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|version| version["served"] == true)
            .map(|version| {
                let name = text(&version["name"]);
                let raw = &version["schema"]["openAPIV3Schema"];
                let schema = shared(&format!("{}/{name}", definition.name()), raw);
                Arc::new(Kind {
                    group: text(&spec["group"]),
                    version: name,
                    kind: text(&names["kind"]),
                    list_kind: text(&names["listKind"]),
                    plural: text(&names["plural"]),
                    singular: text(&names["singular"]),
                    short_names: list(&names["shortNames"]),
                    categories: list(&names["categories"]),
                    namespaced: spec["scope"] != "Cluster",
                    status: version["subresources"]["status"].is_object(),
                    generation: true,
                    origin: Origin::Custom(schema),
                })
            })
            .collect();
        self.by_definition
            .insert(definition.name().to_owned(), kinds);
    }
}

/// The schema made of `raw`. Compiling a large one takes a while, so it is done
/// once in the life of a process: for all servers, and for all changes of a
/// definition that leave its schema alone.
fn shared(name: &str, raw: &Value) -> Arc<Schema> {
    static KNOWN: LazyLock<Mutex<HashMap<String, Arc<Schema>>>> = LazyLock::new(Mutex::default);
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(schema) = known.get(name).filter(|schema| schema.is_made_of(raw)) {
        return Arc::clone(schema);
    }
    let schema = Arc::new(Schema::new(raw));
    known.insert(name.to_owned(), Arc::clone(&schema));
    schema
}

/// Fills in what the server decides about a definition: derived names, and a
/// status that says it is established.
pub(super) fn complete(definition: &mut Value) {
    let spec = &mut definition["spec"];
    let kind = spec["names"]["kind"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    if let Some(names) = spec["names"].as_object_mut() {
        names
            .entry("listKind")
            .or_insert_with(|| json!(format!("{kind}List")));
        names
            .entry("singular")
            .or_insert_with(|| json!(kind.to_lowercase()));
    }
    if spec["conversion"].is_null() {
        spec["conversion"] = json!({"strategy": "None"});
    }
    let names = spec["names"].clone();
    let stored: Vec<Value> = spec["versions"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|version| version["storage"] == true)
        .map(|version| version["name"].clone())
        .collect();
    let status = &mut definition["status"];
    if !status.is_object() {
        *status = json!({});
    }
    status["acceptedNames"] = names;
    status["storedVersions"] = json!(stored);
    if status["conditions"].is_null() {
        let condition = |kind: &str, reason: &str, message: &str| {
            json!({
                "type": kind, "status": "True", "reason": reason, "message": message,
                "lastTransitionTime": now(),
            })
        };
        status["conditions"] = json!([
            condition("NamesAccepted", "NoConflicts", "no conflicts found"),
            condition(
                "Established",
                "InitialNamesAccepted",
                "the initial names have been accepted"
            ),
        ]);
    }
}

/// What is wrong with a definition.
pub(super) fn check(definition: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let spec = &definition["spec"];
    let name = &definition["metadata"]["name"];
    let plural = spec["names"]["plural"].as_str().unwrap_or_default();
    let group = spec["group"].as_str().unwrap_or_default();
    let expected = format!("{plural}.{group}");
    if name != &json!(expected) {
        let why = "must be spec.names.plural+\".\"+spec.group";
        causes.push(Cause::invalid("metadata.name", name, why));
    }
    if !matches!(spec["scope"].as_str(), Some("Cluster" | "Namespaced")) {
        causes.push(Cause {
            reason: "FieldValueNotSupported",
            field: "spec.scope".to_owned(),
            message: format!(
                "Unsupported value: {}: supported values: \"Cluster\", \"Namespaced\"",
                spec["scope"]
            ),
        });
    }
    let versions = spec["versions"].as_array().map_or(&[][..], Vec::as_slice);
    if versions
        .iter()
        .filter(|version| version["storage"] == true)
        .count()
        != 1
    {
        let why = "must have exactly one version marked as storage version";
        causes.push(Cause::invalid("spec.versions", &spec["versions"], why));
    }
    for (index, version) in versions.iter().enumerate() {
        let schema = &version["schema"]["openAPIV3Schema"];
        let path = format!("spec.versions[{index}].schema.openAPIV3Schema");
        if !schema.is_object() {
            causes.push(Cause::required(path, "schemas are required"));
        } else if schema["type"] != "object" {
            causes.push(Cause::invalid(
                format!("{path}.type"),
                &schema["type"],
                "must be object at the root",
            ));
        } else {
            for (rule, why) in super::cel::Rules::of(schema).broken() {
                let why = format!("compilation failed: {why}");
                causes.push(Cause::invalid(
                    format!("{path}.x-kubernetes-validations"),
                    &json!(rule),
                    &why,
                ));
            }
        }
    }
    causes
}
