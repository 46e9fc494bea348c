//! Requests and answers held against GitHub's published description.
//!
//! The description is OpenAPI 3.0; its schemas become JSON Schema by turning
//! `nullable` into a type. What is sent may hold no unknown key; what is
//! answered may.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use jsonschema::{Draft, Registry, Validator};
use serde_json::{Map, Value, json};

use super::reply::decode;

const FILE: &str = "github-rest.openapi.json";
const STRICT: &str = "urn:harbour:strict";
const OPEN: &str = "urn:harbour:open";
/// Statuses that any endpoint may give, whether it lists them or not.
const ANYWHERE: [u16; 8] = [400, 401, 403, 404, 429, 500, 502, 503];

/// Checks requests and answers against the description.
pub struct SpecChecker {
    spec: Value,
    registry: Registry<'static>,
    validators: Mutex<HashMap<String, Arc<Validator>>>,
}

impl fmt::Debug for SpecChecker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpecChecker").finish_non_exhaustive()
    }
}

impl SpecChecker {
    /// Reads `github-rest.openapi.json` from a folder; `None` if it is not there.
    pub fn load(specs_dir: &Path) -> anyhow::Result<Option<Self>> {
        Self::load_file(specs_dir, FILE)
    }

    /// Reads another OpenAPI description of a folder; `None` if it is not there.
    pub fn load_file(specs_dir: &Path, name: &str) -> anyhow::Result<Option<Self>> {
        let file = specs_dir.join(name);
        let text = match std::fs::read(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| file.display().to_string()),
        };
        let mut spec: Value = serde_json::from_slice(&text)?;
        for at in ["paths", "components"] {
            if let Some(part) = spec.get_mut(at) {
                find_schemas(part, &mut convert);
            }
        }
        let (mut strict, mut open) = (spec.clone(), spec.clone());
        for at in ["paths", "components"] {
            if let Some(part) = strict.get_mut(at) {
                find_schemas(part, &mut |schema| close(schema, false));
            }
            if let Some(part) = open.get_mut(at) {
                find_schemas(part, &mut open_choices);
            }
        }
        let registry = Registry::new()
            .draft(Draft::Draft202012)
            .add(OPEN, open)?
            .add(STRICT, strict)?
            .prepare()?;
        Ok(Some(Self {
            spec,
            registry,
            validators: Mutex::default(),
        }))
    }

    /// Checks a request: that there is such an endpoint, its query, and its
    /// body (empty: none). `target` is a path, with or without `/api/v3` and query.
    pub fn check_request(&self, method: &str, target: &str, body: &[u8]) -> Result<(), String> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let (pointer, operation) = self.operation(method, path)?;
        self.check_query(&pointer, operation, query)?;
        let schema = "/requestBody/content/application~1json/schema";
        match (operation.pointer(schema), body.is_empty()) {
            (None, true) => Ok(()),
            (None, false) => Err(format!("{method} {path} takes no body")),
            (Some(_), true) if operation["requestBody"]["required"] != json!(true) => Ok(()),
            (Some(_), true) => Err(format!("{method} {path} needs a body")),
            (Some(_), false) => {
                let body: Value = serde_json::from_slice(body)
                    .map_err(|error| format!("{method} {path}: {error}"))?;
                self.validate(STRICT, &format!("{pointer}{schema}"), &body)
                    .map_err(|why| format!("{method} {path}: {why}"))
            }
        }
    }

    /// Checks an answer: that its status is one the endpoint may give, and its body.
    pub fn check_response(
        &self,
        method: &str,
        target: &str,
        status: u16,
        body: &[u8],
    ) -> Result<(), String> {
        let path = target.split('?').next().unwrap_or_default();
        let (pointer, operation) = self.operation(method, path)?;
        let said = |why: String| format!("{status} to {method} {path}: {why}");
        let response = operation["responses"].get(status.to_string());
        let at = match response {
            Some(response) => {
                let place = match response.get("$ref").and_then(Value::as_str) {
                    Some(target) => target.trim_start_matches('#').to_owned(),
                    None => format!("{pointer}/responses/{status}"),
                };
                format!("{place}/content/application~1json/schema")
            }
            None if status == 304 => return Ok(()),
            None if ANYWHERE.contains(&status) => String::new(),
            None => return Err(said("is not listed".to_owned())),
        };
        let at = if self.spec.pointer(&at).is_some_and(|_| !at.is_empty()) {
            at
        } else if status >= 400 {
            // Refusals have a body even where the description leaves it out.
            "/components/schemas/basic-error".to_owned()
        } else if body.is_empty() || response.is_some_and(|it| it.get("content").is_some()) {
            return Ok(());
        } else {
            return Err(said("has no body by the description".to_owned()));
        };
        let body: Value = serde_json::from_slice(body).map_err(|error| said(error.to_string()))?;
        self.validate(OPEN, &at, &body).map_err(said)
    }

    fn validate(&self, base: &str, pointer: &str, value: &Value) -> Result<(), String> {
        let reference = format!("{base}#{}", pointer.replace('{', "%7B").replace('}', "%7D"));
        let validator = self.validator(&reference)?;
        let errors: Vec<String> = validator
            .iter_errors(value)
            .take(5)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        if errors.is_empty() {
            Ok(())
        } else {
            Err(errors.join("; "))
        }
    }

    fn validator(&self, reference: &str) -> Result<Arc<Validator>, String> {
        let lock = || {
            self.validators
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        };
        if let Some(known) = lock().get(reference) {
            return Ok(known.clone());
        }
        let made = jsonschema::options()
            .with_draft(Draft::Draft202012)
            .with_registry(&self.registry)
            .should_validate_formats(true)
            .should_ignore_unknown_formats(true)
            .build(&json!({"$ref": reference}))
            .map_err(|error| format!("{reference}: {error}"))?;
        let made = Arc::new(made);
        lock().insert(reference.to_owned(), made.clone());
        Ok(made)
    }

    /// The endpoint with the most literal segments that a path fits, and where it stands.
    fn operation(&self, method: &str, path: &str) -> Result<(String, &Value), String> {
        let path = path.strip_prefix("/api/v3").unwrap_or(path);
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let method = method.to_ascii_lowercase();
        let fitting =
            self.spec["paths"]
                .as_object()
                .into_iter()
                .flatten()
                .filter(|(template, item)| {
                    let template: Vec<&str> = template
                        .split('/')
                        .filter(|part| !part.is_empty())
                        .collect();
                    item.get(&method).is_some() && fits(&template, &parts)
                });
        let best = fitting.max_by_key(|(template, _)| {
            template
                .split('/')
                .filter(|part| !part.starts_with('{'))
                .count()
        });
        let (template, item) =
            best.ok_or_else(|| format!("the description has no {method} {path}"))?;
        let pointer = format!(
            "/paths/{}/{method}",
            template.replace('~', "~0").replace('/', "~1")
        );
        Ok((pointer, &item[&method]))
    }

    fn check_query(&self, pointer: &str, operation: &Value, query: &str) -> Result<(), String> {
        let sent: Vec<(String, String)> = query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .map(|(key, value)| (decode(key), decode(&value.replace('+', " "))))
            .collect();
        let mut known = Vec::new();
        for (index, parameter) in operation["parameters"]
            .as_array()
            .into_iter()
            .flatten()
            .enumerate()
        {
            let at = match parameter.get("$ref").and_then(Value::as_str) {
                Some(target) => target.trim_start_matches('#').to_owned(),
                None => format!("{pointer}/parameters/{index}"),
            };
            let Some(parameter) = self
                .spec
                .pointer(&at)
                .filter(|parameter| parameter["in"] == "query")
            else {
                continue;
            };
            let name = parameter["name"].as_str().unwrap_or_default();
            known.push(name.to_owned());
            let Some((_, text)) = sent.iter().find(|(key, _)| key == name) else {
                if parameter["required"] == json!(true) {
                    return Err(format!("the query parameter {name} is missing"));
                }
                continue;
            };
            let value = match parameter["schema"]["type"].as_str() {
                Some("integer" | "number" | "boolean") => {
                    serde_json::from_str(text).unwrap_or_else(|_| json!(text))
                }
                _ => json!(text),
            };
            self.validate(STRICT, &format!("{at}/schema"), &value)
                .map_err(|why| format!("query parameter {name}: {why}"))?;
        }
        match sent.iter().find(|(key, _)| !known.contains(key)) {
            Some((key, _)) => Err(format!("the query parameter {key} is unknown")),
            None => Ok(()),
        }
    }
}

/// True if a path fits a template; names that hold slashes span several segments.
fn fits(template: &[&str], parts: &[&str]) -> bool {
    match (template, parts) {
        ([], []) | (["{path}"], _) => true,
        (["{ref}" | "{branch}" | "{basehead}", tail @ ..], [_, ..]) => {
            (1..=parts.len()).any(|n| fits(tail, &parts[n..]))
        }
        ([name, tail @ ..], [part, rest @ ..]) => {
            (name.starts_with('{') || name == part) && fits(tail, rest)
        }
        _ => false,
    }
}

/// Finds the outermost schemas in an OpenAPI document and hands each to `act`.
pub(super) fn find_schemas(value: &mut Value, act: &mut impl FnMut(&mut Value)) {
    match value {
        Value::Object(fields) => {
            for (key, below) in fields {
                match (key.as_str(), below) {
                    ("schema", below) => act(below),
                    ("schemas", Value::Object(schemas)) => schemas.values_mut().for_each(&mut *act),
                    ("example" | "examples", _) => {}
                    (_, below) => find_schemas(below, act),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| find_schemas(item, act)),
        _ => {}
    }
}

/// Calls `act` for each schema directly within a schema, with its keyword.
fn within(fields: &mut Map<String, Value>, act: &mut dyn FnMut(&mut Value, &str)) {
    for (key, below) in fields {
        match (key.as_str(), below) {
            ("properties" | "patternProperties", Value::Object(named)) => {
                for schema in named.values_mut() {
                    act(schema, key);
                }
            }
            ("allOf" | "anyOf" | "oneOf", Value::Array(list)) => {
                for schema in list {
                    act(schema, key);
                }
            }
            ("items" | "additionalProperties" | "not", schema @ Value::Object(_)) => {
                act(schema, key);
            }
            _ => {}
        }
    }
}

/// From an OpenAPI 3.0 schema to JSON Schema.
pub(super) fn convert(schema: &mut Value) {
    let Some(fields) = schema.as_object_mut() else {
        return;
    };
    within(fields, &mut |below, _| convert(below));
    fields.remove("discriminator");
    if fields.remove("nullable") != Some(json!(true)) {
        return;
    }
    if let Some(kind) = fields.get_mut("type") {
        *kind = json!([kind.take(), "null"]);
        if let Some(Value::Array(values)) = fields.get_mut("enum")
            && !values.contains(&Value::Null)
        {
            values.push(Value::Null);
        }
    } else {
        *schema = json!({"anyOf": [schema.take(), {"type": "null"}]});
    }
}

/// Lets an answer fit several of the schemas of which it must be one: they are
/// open, so that all errors fit all kinds of error.
pub(super) fn open_choices(schema: &mut Value) {
    let Some(fields) = schema.as_object_mut() else {
        return;
    };
    within(fields, &mut |below, _| open_choices(below));
    if let Some(choices) = fields.remove("oneOf") {
        fields.entry("anyOf").or_insert(choices);
    }
}

/// Forbids unknown keys in objects that name theirs.
fn close(schema: &mut Value, in_all_of: bool) {
    let Some(fields) = schema.as_object_mut() else {
        return;
    };
    within(fields, &mut |below, key| close(below, key == "allOf"));
    if fields.contains_key("properties")
        && !fields.contains_key("additionalProperties")
        && !in_all_of
    {
        fields.insert("unevaluatedProperties".to_owned(), json!(false));
    }
}
