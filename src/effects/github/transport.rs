//! One request to GitHub and its answer.
//!
//! Nothing is sent twice: an effect whose answer was lost is looked up by the
//! next pass.

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::BodyExt as _;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Github;

/// Why GitHub did not do what it was asked.
///
/// Its text holds GitHub's reason and no more: no header, no token, and none of
/// the backtrace that the client's own errors carry.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    #[error("GitHub answered {status} to {what}: {message}")]
    Answered {
        status: u16,
        what: String,
        message: String,
    },
    #[error("GitHub could not be reached to {what}: {why}")]
    Unreachable { what: String, why: String },
    #[error("GitHub's answer to {what} is not what its description says: {why}")]
    Unreadable { what: String, why: String },
}

impl Refusal {
    /// The status that GitHub answered with, if it answered.
    pub(super) fn status(&self) -> Option<u16> {
        match self {
            Self::Answered { status, .. } => Some(*status),
            Self::Unreachable { .. } | Self::Unreadable { .. } => None,
        }
    }

    /// GitHub's own words, if it answered.
    pub(super) fn words(&self) -> &str {
        match self {
            Self::Answered { message, .. } => message,
            Self::Unreachable { why, .. } | Self::Unreadable { why, .. } => why,
        }
    }
}

#[derive(Default, Deserialize)]
struct ErrorBody {
    #[serde(default)]
    message: String,
    #[serde(default)]
    errors: Vec<Value>,
}

/// What stands in the body of an answer that is no success, in one line.
fn reason(body: &[u8]) -> String {
    let Ok(error) = serde_json::from_slice::<ErrorBody>(body) else {
        return "it gave no reason".to_owned();
    };
    let mut reasons = vec![error.message];
    reasons.extend(error.errors.iter().filter_map(|detail| {
        detail
            .as_str()
            .or_else(|| detail.get("message")?.as_str())
            .map(ToOwned::to_owned)
    }));
    reasons.join("; ")
}

impl Github {
    /// Reads; `None` for what is not there.
    pub(super) async fn read<T: DeserializeOwned>(&self, rest: &str) -> anyhow::Result<Option<T>> {
        let what = format!("read {rest}");
        match self.send(Method::GET, rest, None, &what).await {
            Ok(body) => Ok(Some(decode(&body, &what)?)),
            Err(refusal) if refusal.status() == Some(404) => Ok(None),
            Err(refusal) => Err(refusal.into()),
        }
    }

    /// Writes, and reads the answer; `what` ends a sentence that begins with
    /// "GitHub was asked to".
    pub(super) async fn write<T: DeserializeOwned>(
        &self,
        method: Method,
        rest: &str,
        body: &Value,
        what: &str,
    ) -> Result<T, Refusal> {
        let body = self.send(method, rest, Some(body), what).await?;
        decode(&body, what)
    }

    /// Sends one request below the repository's address, once.
    pub(super) async fn send(
        &self,
        method: Method,
        rest: &str,
        body: Option<&Value>,
        what: &str,
    ) -> Result<Bytes, Refusal> {
        let unreachable = |error: &dyn std::error::Error| Refusal::Unreachable {
            what: what.to_owned(),
            why: chain(error),
        };
        let request = Request::builder().method(method).uri(self.route(rest));
        let request = self
            .client
            .build_request(request, body)
            .map_err(|error| unreachable(&error))?;
        let response = self
            .client
            .execute(request)
            .await
            .map_err(|error| unreachable(&error))?;
        let (head, body) = response.into_parts();
        let body = body
            .collect()
            .await
            .map_err(|error| unreachable(&error))?
            .to_bytes();
        if head.status.is_success() {
            return Ok(body);
        }
        Err(Refusal::Answered {
            status: head.status.as_u16(),
            what: what.to_owned(),
            message: reason(&body),
        })
    }
}

fn decode<T: DeserializeOwned>(body: &[u8], what: &str) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|error| Refusal::Unreadable {
        what: what.to_owned(),
        why: error.to_string(),
    })
}

/// The first line of an error and of each of its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut words = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let text = error.to_string();
        let line = text.lines().next().unwrap_or_default().to_owned();
        if !line.is_empty() && words.last() != Some(&line) {
            words.push(line);
        }
        next = error.source();
    }
    words.join(": ")
}
