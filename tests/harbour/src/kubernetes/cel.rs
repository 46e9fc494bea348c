//! CEL rules of custom kinds (`x-kubernetes-validations`).

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use cel::{Context, Env, Program, Value as Cel};
use serde_json::Value;

use super::status::{Cause, shown};
use super::topology::key_of;

/// The rules of one schema, compiled, by their text.
pub(super) struct Rules {
    env: Arc<Env>,
    programs: HashMap<String, Result<Program, String>>,
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rules")
            .field("rules", &self.programs.keys())
            .finish_non_exhaustive()
    }
}

impl Rules {
    /// Compiles every rule of a schema, and every expression that makes a message.
    pub(super) fn of(schema: &Value) -> Self {
        let mut env = Env::stdlib();
        for extension in [cel::extensions::strings, cel::extensions::lists] {
            if let Err(error) = env.add_extension(extension) {
                tracing::warn!(%error, "a CEL extension is not available");
            }
        }
        let mut programs = HashMap::new();
        find(schema, &mut |rule| {
            for text in [&rule["rule"], &rule["messageExpression"]] {
                if let Some(text) = text.as_str() {
                    programs
                        .entry(text.to_owned())
                        .or_insert_with(|| env.compile(text).map_err(|error| error.to_string()));
                }
            }
        });
        Self {
            env: Arc::new(env),
            programs,
        }
    }

    /// The rules that are not CEL, with what is wrong with them.
    pub(super) fn broken(&self) -> Vec<(&str, &str)> {
        self.programs
            .iter()
            .filter_map(|(text, program)| Some((text.as_str(), program.as_ref().err()?.as_str())))
            .collect()
    }

    /// What of `object` breaks a rule, given what it was before.
    pub(super) fn check(
        &self,
        schema: &Value,
        object: &Value,
        before: Option<&Value>,
    ) -> Vec<Cause> {
        let mut causes = Vec::new();
        if !self.programs.is_empty() {
            self.walk(schema, object, before, "", &mut causes);
        }
        causes
    }

    fn walk(
        &self,
        schema: &Value,
        value: &Value,
        before: Option<&Value>,
        path: &str,
        causes: &mut Vec<Cause>,
    ) {
        if value.is_null() {
            return;
        }
        for rule in schema["x-kubernetes-validations"]
            .as_array()
            .into_iter()
            .flatten()
        {
            causes.extend(self.rule(rule, schema, value, before, path));
        }
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    let inner = schema["properties"]
                        .get(name)
                        .unwrap_or(&schema["additionalProperties"]);
                    let at = if path.is_empty() {
                        name.clone()
                    } else {
                        format!("{path}.{name}")
                    };
                    self.walk(
                        inner,
                        value,
                        before.and_then(|before| before.get(name)),
                        &at,
                        causes,
                    );
                }
            }
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    let before = before.and_then(|before| counterpart(schema, item, before));
                    self.walk(
                        &schema["items"],
                        item,
                        before,
                        &format!("{path}[{index}]"),
                        causes,
                    );
                }
            }
            _ => {}
        }
    }

    fn rule(
        &self,
        rule: &Value,
        schema: &Value,
        value: &Value,
        before: Option<&Value>,
        path: &str,
    ) -> Option<Cause> {
        let text = rule["rule"].as_str()?;
        let program = match self.programs.get(text)? {
            Ok(program) => program,
            Err(error) => {
                return Some(Cause::invalid(
                    path,
                    value,
                    &format!("rule cannot be compiled: {text}: {error}"),
                ));
            }
        };
        let transition = program.references().has_variable("oldSelf");
        if transition && before.is_none() {
            return None;
        }
        let mut context = Context::with_env(Arc::clone(&self.env));
        context.add_variable_from_value("self", convert(schema, value));
        if let Some(before) = before {
            context.add_variable_from_value("oldSelf", convert(schema, before));
        }
        let why = match program.execute(&context) {
            Ok(Cel::Bool(true)) => return None,
            Ok(Cel::Bool(false)) => self.message(rule, text, &context),
            Ok(_) => format!("rule does not give a boolean: {text}"),
            Err(error) => format!("{error} evaluating rule: {text}"),
        };
        let field = format!("{path}{}", rule["fieldPath"].as_str().unwrap_or_default());
        let field = field.trim_start_matches('.');
        Some(match rule["reason"].as_str() {
            Some("FieldValueForbidden") => Cause::forbidden(field, &why),
            Some("FieldValueRequired") => Cause::required(field, &why),
            Some("FieldValueDuplicate") => Cause {
                reason: "FieldValueDuplicate",
                field: field.to_owned(),
                message: format!("Duplicate value: {}", shown(value)),
            },
            _ => Cause::invalid(field, value, &why),
        })
    }

    fn message(&self, rule: &Value, text: &str, context: &Context<'_, '_>) -> String {
        let computed = rule["messageExpression"]
            .as_str()
            .and_then(|text| self.programs.get(text)?.as_ref().ok())
            .and_then(|program| program.execute(context).ok());
        match (computed, rule["message"].as_str()) {
            (Some(Cel::String(message)), _) if !message.is_empty() => message.to_string(),
            (_, Some(message)) => message.to_owned(),
            _ => format!("failed rule: {text}"),
        }
    }
}

/// Calls `each` with every rule in a schema.
fn find(schema: &Value, each: &mut impl FnMut(&Value)) {
    let Some(fields) = schema.as_object() else {
        return;
    };
    if let Some(rules) = fields
        .get("x-kubernetes-validations")
        .and_then(Value::as_array)
    {
        rules.iter().for_each(&mut *each);
    }
    for (name, inner) in fields {
        match (name.as_str(), inner) {
            ("properties", Value::Object(inner)) => {
                inner.values().for_each(|inner| find(inner, each));
            }
            ("items" | "additionalProperties", inner) => find(inner, each),
            _ => {}
        }
    }
}

/// The item that a list had before under the same key; lists without keys have none.
fn counterpart<'a>(schema: &Value, item: &Value, before: &'a Value) -> Option<&'a Value> {
    if schema["x-kubernetes-list-type"] != "map" {
        return None;
    }
    let keys: Vec<String> = schema["x-kubernetes-list-map-keys"]
        .as_array()?
        .iter()
        .filter_map(|key| key.as_str().map(str::to_owned))
        .collect();
    let key = key_of(item, &keys);
    before
        .as_array()?
        .iter()
        .find(|other| key_of(other, &keys) == key)
}

/// A value as CEL sees it: numbers by the schema's type, field names escaped.
pub(super) fn convert(schema: &Value, value: &Value) -> Cel {
    match value {
        Value::Null => Cel::Null,
        Value::Bool(flag) => Cel::Bool(*flag),
        Value::Number(number) => match number.as_i64() {
            Some(whole) if schema["type"] != "number" => Cel::Int(whole),
            _ => Cel::Float(number.as_f64().unwrap_or_default()),
        },
        Value::String(text) => Cel::String(Arc::new(text.clone())),
        Value::Array(items) => Cel::List(Arc::new(
            items
                .iter()
                .map(|item| convert(&schema["items"], item))
                .collect(),
        )),
        Value::Object(fields) => {
            let map: HashMap<String, Cel> = fields
                .iter()
                .map(|(name, value)| match schema["properties"].get(name) {
                    Some(inner) => (escape(name), convert(inner, value)),
                    None => (
                        name.clone(),
                        convert(&schema["additionalProperties"], value),
                    ),
                })
                .collect();
            Cel::Map(map.into())
        }
    }
}

const RESERVED: &[&str] = &[
    "true",
    "false",
    "null",
    "in",
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
];

/// The name under which CEL knows a field.
fn escape(name: &str) -> String {
    if RESERVED.contains(&name) {
        return format!("__{name}__");
    }
    name.replace("__", "__underscores__")
        .replace('.', "__dot__")
        .replace('-', "__dash__")
        .replace('/', "__slash__")
}
