//! The bodies with which the API server refuses.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::kinds::Kind;

/// A refusal: becomes an HTTP answer with a `Status` body.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub(super) code: u16,
    reason: &'static str,
    message: String,
    details: Option<Value>,
}

/// One field that is wrong, as listed in a 422.
#[derive(Clone, Debug)]
pub(super) struct Cause {
    /// The machine-readable reason, such as `FieldValueRequired`.
    pub(super) reason: &'static str,
    /// The path of the field, such as `spec.containers[0].name`.
    pub(super) field: String,
    /// What is wrong, without the path.
    pub(super) message: String,
}

impl Cause {
    pub(super) fn invalid(field: impl Into<String>, value: &Value, why: &str) -> Self {
        Self {
            reason: "FieldValueInvalid",
            field: field.into(),
            message: format!("Invalid value: {}: {why}", shown(value)),
        }
    }

    pub(super) fn required(field: impl Into<String>, why: &str) -> Self {
        let tail = if why.is_empty() {
            String::new()
        } else {
            format!(": {why}")
        };
        Self {
            reason: "FieldValueRequired",
            field: field.into(),
            message: format!("Required value{tail}"),
        }
    }

    pub(super) fn forbidden(field: impl Into<String>, why: &str) -> Self {
        Self {
            reason: "FieldValueForbidden",
            field: field.into(),
            message: format!("Forbidden: {why}"),
        }
    }
}

/// How the real server shows a wrong value: scalars as they are, the rest by its type.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::Object(_) => "\"object\"".to_owned(),
        Value::Array(_) => "\"array\"".to_owned(),
        Value::Null => "null".to_owned(),
        scalar => scalar.to_string(),
    }
}

impl Failure {
    pub(super) fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            reason,
            message: message.into(),
            details: None,
        }
    }

    fn about(kind: &Kind, name: &str, code: u16, reason: &'static str, message: String) -> Self {
        let mut details = json!({"name": name});
        if !kind.group.is_empty() {
            details["group"] = json!(kind.group);
        }
        details["kind"] = json!(kind.plural);
        Self {
            code,
            reason,
            message,
            details: Some(details),
        }
    }

    pub(super) fn message(&self) -> &str {
        &self.message
    }

    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    pub(super) fn not_found(kind: &Kind, name: &str) -> Self {
        let message = format!("{} \"{name}\" not found", kind.qualified());
        Self::about(kind, name, 404, "NotFound", message)
    }

    /// The path names no resource that the server has.
    pub(super) fn no_such_path() -> Self {
        let mut it = Self::new(
            404,
            "NotFound",
            "the server could not find the requested resource",
        );
        it.details = Some(json!({}));
        it
    }

    pub(super) fn method_not_allowed() -> Self {
        let mut it = Self::new(
            405,
            "MethodNotAllowed",
            "the server does not allow this method on the requested resource",
        );
        it.details = Some(json!({}));
        it
    }

    pub(super) fn already_exists(kind: &Kind, name: &str) -> Self {
        let message = format!("{} \"{name}\" already exists", kind.qualified());
        Self::about(kind, name, 409, "AlreadyExists", message)
    }

    pub(super) fn conflict(kind: &Kind, name: &str, why: &str) -> Self {
        let message = format!(
            "Operation cannot be fulfilled on {} \"{name}\": {why}",
            kind.qualified()
        );
        Self::about(kind, name, 409, "Conflict", message)
    }

    /// The object was changed since the client read it.
    pub(super) fn modified(kind: &Kind, name: &str) -> Self {
        Self::conflict(
            kind,
            name,
            "the object has been modified; please apply your changes to the latest version and try again",
        )
    }

    pub(super) fn forbidden(kind: &Kind, name: &str, why: &str) -> Self {
        let message = format!("{} \"{name}\" is forbidden: {why}", kind.qualified());
        Self::about(kind, name, 403, "Forbidden", message)
    }

    /// The version asked for is no longer kept.
    pub(super) fn expired(message: impl Into<String>) -> Self {
        Self::new(410, "Expired", message)
    }

    /// The version asked for lies in the future.
    pub(super) fn too_large(asked: u64, current: u64) -> Self {
        let mut it = Self::new(
            504,
            "Timeout",
            format!("Too large resource version: {asked}, current: {current}"),
        );
        it.details = Some(json!({
            "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
            "retryAfterSeconds": 1,
        }));
        it
    }

    pub(super) fn unsupported_media(message: impl Into<String>) -> Self {
        Self::new(415, "UnsupportedMediaType", message)
    }

    pub(super) fn invalid(kind: &Kind, name: &str, causes: &[Cause]) -> Self {
        let lines: Vec<String> = causes
            .iter()
            .map(|cause| {
                if cause.field.is_empty() {
                    format!("<nil>: {}", cause.message)
                } else {
                    format!("{}: {}", cause.field, cause.message)
                }
            })
            .collect();
        let list = match lines.as_slice() {
            [one] => one.clone(),
            many => format!("[{}]", many.join(", ")),
        };
        let mut it = Self::about(
            kind,
            name,
            422,
            "Invalid",
            format!("{} \"{name}\" is invalid: {list}", kind.group_kind()),
        );
        it.add_causes(causes);
        if let Some(details) = &mut it.details {
            details["kind"] = json!(kind.kind);
        }
        it
    }

    /// Puts the fields at fault into the details.
    pub(super) fn add_causes(&mut self, causes: &[Cause]) {
        let details = self.details.get_or_insert_with(|| json!({}));
        details["causes"] = causes
            .iter()
            .map(|cause| {
                json!({"reason": cause.reason, "message": cause.message, "field": cause.field})
            })
            .collect();
    }

    /// The `Status` object.
    pub(super) fn status(&self) -> Value {
        let mut status = json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "code": self.code,
        });
        if let Some(details) = &self.details {
            status["details"] = details.clone();
        }
        status
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        answer(self.code, &self.status())
    }
}

/// An HTTP answer with a JSON body.
pub(super) fn answer(code: u16, body: &Value) -> Response {
    raw(code, body.to_string().into())
}

/// An HTTP answer with a body that is JSON already.
pub(super) fn raw(code: u16, body: bytes::Bytes) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = axum::http::StatusCode::from_u16(code)
        .unwrap_or(axum::http::StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(
        axum::http::header::CONTENT_TYPE,
        axum::http::HeaderValue::from_static("application/json"),
    );
    response
}
