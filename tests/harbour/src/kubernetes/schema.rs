//! The schema of a custom kind: pruning, defaults, validation.

use std::sync::OnceLock;

use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{Draft, ValidationError, Validator};
use serde_json::{Map, Value, json};

use super::cel::Rules;
use super::status::{Cause, shown};

/// An `openAPIV3Schema`, compiled when it is first needed.
#[derive(Debug)]
pub(super) struct Schema {
    raw: Value,
    validator: OnceLock<Result<Validator, String>>,
    rules: OnceLock<Rules>,
}

impl Schema {
    pub(super) fn new(raw: &Value) -> Self {
        Self {
            raw: raw.clone(),
            validator: OnceLock::new(),
            rules: OnceLock::new(),
        }
    }

    /// True if this was made of just that `openAPIV3Schema`.
    pub(super) fn is_made_of(&self, raw: &Value) -> bool {
        self.raw == *raw
    }

    pub(super) fn raw(&self) -> &Value {
        &self.raw
    }

    /// Compiles now what would otherwise be compiled on first use.
    pub(super) fn compile(&self) {
        let _ = self.validator();
        let _ = self.rules();
    }

    fn validator(&self) -> &Result<Validator, String> {
        self.validator.get_or_init(|| {
            jsonschema::options()
                .with_draft(Draft::Draft4)
                .should_validate_formats(true)
                .should_ignore_unknown_formats(true)
                .build(&as_json_schema(&self.raw))
                .map_err(|error| error.to_string())
        })
    }

    /// The CEL rules.
    pub(super) fn rules(&self) -> &Rules {
        self.rules.get_or_init(|| Rules::of(&self.raw))
    }

    /// Takes out what the schema does not know and gives the paths of it.
    pub(super) fn prune(&self, object: &mut Value) -> Vec<String> {
        let mut unknown = Vec::new();
        prune(&self.raw, object, "", true, &mut unknown);
        unknown
    }

    /// Fills in the defaults.
    pub(super) fn fill(&self, object: &mut Value) {
        fill(&self.raw, object);
    }

    /// What is wrong with an object, given what it was before.
    pub(super) fn check(&self, object: &Value, before: Option<&Value>) -> Vec<Cause> {
        let mut causes: Vec<Cause> = match self.validator() {
            Ok(validator) => validator
                .iter_errors(object)
                .flat_map(|error| causes_of(&error))
                .collect(),
            Err(error) => vec![Cause {
                reason: "InternalError",
                field: String::new(),
                message: format!("the schema cannot be used: {error}"),
            }],
        };
        if causes.is_empty() {
            causes = self.rules().check(&self.raw, object, before);
        }
        causes
    }
}

fn keeps_unknown(schema: &Value) -> bool {
    schema["x-kubernetes-preserve-unknown-fields"] == true
}

fn prune(schema: &Value, at: &mut Value, path: &str, resource: bool, unknown: &mut Vec<String>) {
    match at {
        Value::Object(fields) => {
            let properties = schema["properties"].as_object();
            let additional = &schema["additionalProperties"];
            let keeps = keeps_unknown(schema) || *additional == true;
            let embedded = resource || schema["x-kubernetes-embedded-resource"] == true;
            fields.retain(|name, value| {
                let at = if path.is_empty() {
                    name.clone()
                } else {
                    format!("{path}.{name}")
                };
                if embedded && ["apiVersion", "kind", "metadata"].contains(&name.as_str()) {
                    return true;
                }
                if let Some(inner) = properties.and_then(|properties| properties.get(name)) {
                    // A null where none may be stands for an absent field.
                    if value.is_null() && inner["nullable"] != true {
                        return false;
                    }
                    prune(inner, value, &at, false, unknown);
                    true
                } else if additional.is_object() {
                    prune(additional, value, &at, false, unknown);
                    true
                } else if keeps {
                    true
                } else {
                    unknown.push(at);
                    false
                }
            });
        }
        Value::Array(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                prune(
                    &schema["items"],
                    item,
                    &format!("{path}[{index}]"),
                    false,
                    unknown,
                );
            }
        }
        _ => {}
    }
}

fn fill(schema: &Value, at: &mut Value) {
    match at {
        Value::Object(fields) => {
            if let Some(properties) = schema["properties"].as_object() {
                for (name, inner) in properties {
                    if let Some(default) = inner.get("default")
                        && fields
                            .get(name)
                            .is_none_or(|value| value.is_null() && inner["nullable"] != true)
                    {
                        fields.insert(name.clone(), default.clone());
                    }
                    if let Some(value) = fields.get_mut(name) {
                        fill(inner, value);
                    }
                }
            }
            let additional = &schema["additionalProperties"];
            if additional.is_object() {
                let known = schema["properties"].as_object();
                for (name, value) in fields.iter_mut() {
                    if known.is_none_or(|known| !known.contains_key(name)) {
                        fill(additional, value);
                    }
                }
            }
        }
        Value::Array(items) => {
            for item in items {
                fill(&schema["items"], item);
            }
        }
        _ => {}
    }
}

/// Keywords of the OpenAPI dialect that JSON Schema has too.
const KEPT: &[&str] = &[
    "enum",
    "format",
    "maximum",
    "minimum",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "maxLength",
    "minLength",
    "maxItems",
    "minItems",
    "uniqueItems",
    "maxProperties",
    "minProperties",
    "multipleOf",
    "pattern",
    "required",
    "type",
];

/// Turns a structural schema into a JSON Schema (draft 4).
fn as_json_schema(schema: &Value) -> Value {
    let Value::Object(fields) = schema else {
        return schema.clone();
    };
    let mut out = Map::new();
    for (name, value) in fields {
        let converted = match name.as_str() {
            "properties" => value.as_object().map(|inner| {
                inner
                    .iter()
                    .map(|(name, inner)| (name.clone(), as_json_schema(inner)))
                    .collect()
            }),
            "items" | "additionalProperties" | "not" => Some(as_json_schema(value)),
            "allOf" | "anyOf" | "oneOf" => Some(
                value
                    .as_array()
                    .into_iter()
                    .flatten()
                    .map(as_json_schema)
                    .collect(),
            ),
            kept if KEPT.contains(&kept) => Some(value.clone()),
            _ => None,
        };
        if let Some(converted) = converted {
            out.insert(name.clone(), converted);
        }
    }
    if fields.get("x-kubernetes-int-or-string") == Some(&Value::Bool(true)) {
        out.insert("type".to_owned(), json!(["integer", "string"]));
    }
    if fields.get("nullable") == Some(&Value::Bool(true)) {
        match out.get_mut("type") {
            Some(Value::Array(types)) => types.push(json!("null")),
            Some(one) => *one = json!([one.clone(), "null"]),
            None => {}
        }
        if let Some(Value::Array(values)) = out.get_mut("enum") {
            values.push(Value::Null);
        }
    }
    Value::Object(out)
}

/// `/spec/items/0/name` as `spec.items[0].name`.
fn dotted(pointer: &str) -> String {
    let mut path = String::new();
    for step in pointer.split('/').skip(1) {
        let step = step.replace("~1", "/").replace("~0", "~");
        if step.bytes().all(|b| b.is_ascii_digit()) && !step.is_empty() {
            path.push('[');
            path.push_str(&step);
            path.push(']');
        } else {
            if !path.is_empty() {
                path.push('.');
            }
            path.push_str(&step);
        }
    }
    path
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

/// A bound as the schema has it: the validator makes a float of it.
fn bound(limit: &Value) -> String {
    let text = limit.to_string();
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

fn causes_of(error: &ValidationError<'_>) -> Vec<Cause> {
    let path = dotted(error.instance_path().as_str());
    let value = error.instance().as_ref();
    let body = |why: String| Cause::invalid(path.clone(), value, &format!("{path} in body {why}"));
    let list = |values: &Value| {
        let texts: Vec<String> = values
            .as_array()
            .into_iter()
            .flatten()
            .map(ToString::to_string)
            .collect();
        texts.join(", ")
    };
    vec![match error.kind() {
        ValidationErrorKind::Required { property } => {
            Cause::required(join(&path, property.as_str().unwrap_or_default()), "")
        }
        ValidationErrorKind::Type { kind } => {
            let wanted = match kind {
                TypeKind::Single(one) => one.to_string(),
                TypeKind::Multiple(many) => {
                    let names: Vec<String> = many.iter().map(|one| one.to_string()).collect();
                    names.join(",")
                }
            };
            let got = match value {
                Value::Null => "null",
                Value::Bool(_) => "boolean",
                Value::Number(number) if number.is_f64() => "number",
                Value::Number(_) => "integer",
                Value::String(_) => "string",
                Value::Array(_) => "array",
                Value::Object(_) => "object",
            };
            Cause {
                reason: "FieldValueTypeInvalid",
                field: path.clone(),
                message: format!(
                    "Invalid value: \"{got}\": {path} in body must be of type {wanted}: \"{got}\""
                ),
            }
        }
        ValidationErrorKind::Enum { options } => Cause {
            reason: "FieldValueNotSupported",
            field: path.clone(),
            message: format!(
                "Unsupported value: {}: supported values: {}",
                shown(value),
                list(options)
            ),
        },
        ValidationErrorKind::MaxLength { limit } => Cause {
            reason: "FieldValueTooLong",
            field: path.clone(),
            message: format!("Too long: may not be more than {limit} bytes"),
        },
        ValidationErrorKind::MaxItems { limit } => Cause {
            reason: "FieldValueTooMany",
            field: path.clone(),
            message: format!(
                "Too many: {}: must have at most {limit} items",
                value.as_array().map_or(0, Vec::len)
            ),
        },
        ValidationErrorKind::MinLength { limit } => {
            body(format!("should be at least {limit} chars long"))
        }
        ValidationErrorKind::MinItems { limit } => {
            body(format!("should have at least {limit} items"))
        }
        ValidationErrorKind::Minimum { limit } => body(format!(
            "should be greater than or equal to {}",
            bound(limit)
        )),
        ValidationErrorKind::Maximum { limit } => {
            body(format!("should be less than or equal to {}", bound(limit)))
        }
        ValidationErrorKind::Pattern { pattern } => body(format!("should match '{pattern}'")),
        ValidationErrorKind::Format { format } => {
            body(format!("must be of type {format}: {}", shown(value)))
        }
        _ => Cause::invalid(path.clone(), value, &error.to_string()),
    }]
}
