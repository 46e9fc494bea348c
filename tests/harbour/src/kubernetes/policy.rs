//! Validating admission policies: rules in CEL that the server holds writes to.
//!
//! Held to them are service accounts. An administrator's writes pass unseen,
//! which the real server would only do where the policy says so.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use cel::{Context, Env, Program, Value as Cel};
use serde_json::{Value, json};

use super::cel::convert;
use super::kinds::{self, Kind};
use super::rbac::User;
use super::status::Failure;
use super::store::{Key, Object, World};

const GROUP: &str = "admissionregistration.k8s.io";

/// A write that is about to be done.
#[derive(Debug)]
pub(super) struct Review<'a> {
    pub(super) user: &'a User,
    pub(super) kind: &'a Kind,
    pub(super) namespace: Option<&'a str>,
    pub(super) name: &'a str,
    /// `CREATE`, `UPDATE` or `DELETE`.
    pub(super) operation: &'a str,
    /// What it will be; null for a deletion.
    pub(super) object: &'a Value,
    /// What it is; null for a creation.
    pub(super) old: &'a Value,
}

/// Refuses a write that a bound policy denies.
pub(super) fn admit(world: &World, review: &Review<'_>) -> Result<(), Failure> {
    if review.user.is_master() {
        return Ok(());
    }
    let all = |kind: &str| -> Vec<Object> {
        kinds::known(GROUP, kind)
            .and_then(|kind| world.existing(kind))
            .map(|collection| collection.objects.values().cloned().collect())
            .unwrap_or_default()
    };
    let policies = all("ValidatingAdmissionPolicy");
    for binding in all("ValidatingAdmissionPolicyBinding") {
        let named = binding.value["spec"]["policyName"]
            .as_str()
            .unwrap_or_default();
        let denies = texts(&binding.value["spec"]["validationActions"]).any(|it| it == "Deny");
        let policy = policies.iter().find(|policy| policy.name() == named);
        if let Some(policy) = policy
            && denies
            && concerns(&policy.value["spec"]["matchConstraints"], review)
        {
            judge(world, &policy.value, &binding.value, review).map_err(|why| {
                let message = format!(
                    "ValidatingAdmissionPolicy '{named}' with binding '{}' denied request: {why}",
                    binding.name()
                );
                Failure::forbidden(review.kind, review.name, &message)
            })?;
        }
    }
    Ok(())
}

fn texts(value: &Value) -> impl Iterator<Item = &str> {
    value
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
}

/// Whether one of the constraints' rules names this write.
fn concerns(constraints: &Value, review: &Review<'_>) -> bool {
    let rules = constraints["resourceRules"].as_array();
    rules.into_iter().flatten().any(|rule| {
        let has =
            |field: &str, wanted: &str| texts(&rule[field]).any(|one| one == "*" || one == wanted);
        has("apiGroups", &review.kind.group)
            && has("apiVersions", &review.kind.version)
            && has("operations", review.operation)
            && has("resources", &review.kind.plural)
    })
}

/// Why a policy denies a write, if it does.
fn judge(
    world: &World,
    policy: &Value,
    binding: &Value,
    review: &Review<'_>,
) -> Result<(), String> {
    let spec = &policy["spec"];
    let mut context = Context::with_env(Arc::clone(&ENVIRONMENT));
    let mut add = |name: &str, value: &Value| {
        context.add_variable_from_value(name.to_owned(), convert(&Value::Null, value));
    };
    // A namespace is within itself, here as for roles.
    let namespace = match review.namespace {
        None if review.kind.is("", "Namespace") => review.name,
        other => other.unwrap_or_default(),
    };
    add("object", review.object);
    add("oldObject", review.old);
    add(
        "request",
        &json!({
            "operation": review.operation,
            "name": review.name,
            "namespace": namespace,
            "resource": {"group": review.kind.group, "version": review.kind.version, "resource": review.kind.plural},
            "kind": {"group": review.kind.group, "version": review.kind.version, "kind": review.kind.kind},
            "userInfo": review.user.info(),
        }),
    );
    for condition in spec["matchConditions"].as_array().into_iter().flatten() {
        if !truth(&condition["expression"], &context)? {
            return Ok(());
        }
    }
    if spec["paramKind"].is_object() {
        match params(world, spec, binding) {
            Some(params) => {
                context.add_variable_from_value("params", convert(&Value::Null, &params.value));
            }
            None if binding["spec"]["paramRef"]["parameterNotFoundAction"] == "Allow" => {
                return Ok(());
            }
            None => {
                return Err(
                    "no params found for policy binding with `Deny` parameterNotFoundAction"
                        .to_owned(),
                );
            }
        }
    }
    let mut variables = HashMap::new();
    for variable in spec["variables"].as_array().into_iter().flatten() {
        let name = variable["name"].as_str().unwrap_or_default().to_owned();
        let value = run(&variable["expression"], &context)?;
        variables.insert(name, value);
        context.add_variable_from_value("variables", Cel::Map(variables.clone().into()));
    }
    for validation in spec["validations"].as_array().into_iter().flatten() {
        if !truth(&validation["expression"], &context)? {
            let computed = validation["messageExpression"]
                .is_string()
                .then(|| run(&validation["messageExpression"], &context));
            let message = match computed {
                Some(Ok(Cel::String(text))) => text.to_string(),
                _ => validation["message"]
                    .as_str()
                    .or(validation["expression"].as_str())
                    .unwrap_or_default()
                    .to_owned(),
            };
            return Err(message);
        }
    }
    Ok(())
}

/// The object that a binding gives to its policy.
fn params<'a>(world: &'a World, spec: &Value, binding: &Value) -> Option<&'a Object> {
    let kind = &spec["paramKind"];
    let (group, _) = kind["apiVersion"]
        .as_str()?
        .rsplit_once('/')
        .unwrap_or_default();
    let kind = world
        .kinds()
        .find(|one| one.is(group, kind["kind"].as_str().unwrap_or_default()))?;
    let reference = &binding["spec"]["paramRef"];
    let key = Key::new(reference["namespace"].as_str(), reference["name"].as_str()?);
    world.get(kind, &key)
}

static ENVIRONMENT: LazyLock<Arc<Env>> = LazyLock::new(|| {
    let mut env = Env::stdlib();
    for extension in [cel::extensions::strings, cel::extensions::lists] {
        if let Err(error) = env.add_extension(extension) {
            tracing::warn!(%error, "a CEL extension is not available");
        }
    }
    Arc::new(env)
});

/// Expressions compiled so far, by their text: they are few, and every delete asks.
static PROGRAMS: LazyLock<Mutex<HashMap<String, Arc<Program>>>> = LazyLock::new(Mutex::default);

fn run(expression: &Value, context: &Context<'_, '_>) -> Result<Cel, String> {
    let text = expression.as_str().unwrap_or_default();
    let known = {
        let programs = PROGRAMS.lock().unwrap_or_else(PoisonError::into_inner);
        programs.get(text).cloned()
    };
    let program = if let Some(program) = known {
        program
    } else {
        let program = ENVIRONMENT
            .compile(text)
            .map_err(|error| format!("compilation error: {error}: {text}"))?;
        let program = Arc::new(program);
        let mut programs = PROGRAMS.lock().unwrap_or_else(PoisonError::into_inner);
        programs.insert(text.to_owned(), Arc::clone(&program));
        program
    };
    program
        .execute(context)
        .map_err(|error| format!("expression '{text}' resulted in error: {error}"))
}

fn truth(expression: &Value, context: &Context<'_, '_>) -> Result<bool, String> {
    match run(expression, context)? {
        Cel::Bool(flag) => Ok(flag),
        _ => Err(format!("expression does not give a boolean: {expression}")),
    }
}
