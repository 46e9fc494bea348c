//! Refusals, in the form in which GitHub's API puts them.

use std::fmt;

use serde_json::{Value, json};

const DOCS: &str = "https://docs.github.com/rest";

/// A request that was refused: the status code and the JSON body.
#[derive(Clone, Debug)]
pub struct ApiError {
    /// The HTTP status code.
    pub status: u16,
    /// `message`, `documentation_url`, `status` and perhaps `errors`.
    pub body: Value,
    /// Seconds to wait, for the `Retry-After` header.
    pub retry_after: Option<u64>,
}

impl ApiError {
    pub(super) fn new(status: u16, message: impl Into<String>) -> Self {
        let body = json!({
            "message": message.into(),
            "documentation_url": DOCS,
            "status": status.to_string(),
        });
        Self {
            status,
            body,
            retry_after: None,
        }
    }

    pub(super) fn not_found() -> Self {
        Self::new(404, "Not Found")
    }

    /// 422 with one entry under `errors`: `{resource, field, code}`.
    pub(super) fn invalid(resource: &str, field: &str, code: &str) -> Self {
        Self::failed(&json!({"resource": resource, "field": field, "code": code}))
    }

    /// 422 with one entry under `errors` that says why in words.
    pub(super) fn custom(resource: &str, message: impl Into<String>) -> Self {
        Self::failed(&json!({"resource": resource, "code": "custom", "message": message.into()}))
    }

    fn failed(error: &Value) -> Self {
        let mut refusal = Self::new(422, "Validation Failed");
        refusal.body["errors"] = json!([error]);
        refusal
    }

    /// 422 whose `errors` are sentences, as the review endpoints answer.
    pub(super) fn unprocessable(sentence: &str) -> Self {
        let mut refusal = Self::new(422, "Unprocessable Entity");
        refusal.body["errors"] = json!([sentence]);
        refusal
    }

    /// What GitHub says: the `message`, and the messages under `errors`.
    pub fn message(&self) -> String {
        let mut said = self.body["message"].as_str().unwrap_or_default().to_owned();
        for error in self.body["errors"].as_array().into_iter().flatten() {
            said += ": ";
            match (error.as_str(), error["message"].as_str()) {
                (Some(text), _) | (None, Some(text)) => said += text,
                (None, None) => said += &error.to_string(),
            }
        }
        said
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.status, self.message())
    }
}

impl std::error::Error for ApiError {}

impl From<anyhow::Error> for ApiError {
    fn from(error: anyhow::Error) -> Self {
        tracing::warn!(error = format!("{error:#}"), "the harbour's GitHub failed");
        Self::new(500, format!("Server Error: {error:#}"))
    }
}
