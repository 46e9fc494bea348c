//! One request to GitHub and its answer.
//!
//! Nothing is sent twice: an effect whose answer was lost is looked up by the
//! next pass. What was read is read again with its ETag: an answer that nothing
//! has changed counts against no limit.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, header};
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
    #[error("GitHub asks to be left alone; it is asked to {what} in {seconds} s at the earliest")]
    Held { what: String, seconds: u64 },
    #[error("Refloat cannot sign in to GitHub: {why}")]
    Unsigned { why: String },
    #[error("GitHub's answer to {what} is not what its description says: {why}")]
    Unreadable { what: String, why: String },
}

impl Refusal {
    /// The status that GitHub answered with, if it answered.
    pub(super) fn status(&self) -> Option<u16> {
        match self {
            Self::Answered { status, .. } => Some(*status),
            Self::Unreachable { .. }
            | Self::Held { .. }
            | Self::Unsigned { .. }
            | Self::Unreadable { .. } => None,
        }
    }

    /// GitHub's own words, if it answered.
    pub(super) fn words(&self) -> &str {
        match self {
            Self::Answered { message, .. } => message,
            Self::Held { what, .. } => what,
            Self::Unreachable { why, .. }
            | Self::Unsigned { why }
            | Self::Unreadable { why, .. } => why,
        }
    }

    pub(super) fn unsigned(why: &str) -> Self {
        Self::Unsigned {
            why: why.to_owned(),
        }
    }
}

/// Answers by their address, with the ETag they came with.
#[derive(Debug, Default)]
pub(super) struct Known {
    answers: Mutex<Answers>,
}

#[derive(Debug, Default)]
struct Answers {
    by_address: HashMap<String, (HeaderValue, Bytes)>,
    size: usize,
}

impl Known {
    fn with<T>(&self, act: impl FnOnce(&mut Answers) -> T) -> T {
        // The map is whole after every statement that touches it.
        act(&mut self.answers.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn get(&self, address: &str) -> Option<(HeaderValue, Bytes)> {
        self.with(|answers| answers.by_address.get(address).cloned())
    }

    fn put(&self, address: &str, tag: HeaderValue, body: &Bytes) {
        self.with(|answers| {
            // Far more than is open at once; it only keeps years of it from piling up.
            if answers.size > 64 << 20 {
                *answers = Answers::default();
            }
            answers.size += body.len();
            let old = answers
                .by_address
                .insert(address.to_owned(), (tag, body.clone()));
            answers.size -= old.map_or(0, |(_, old)| old.len());
        });
    }

    fn forget(&self, address: &str) {
        self.with(|answers| {
            if let Some((_, old)) = answers.by_address.remove(address) {
                answers.size -= old.len();
            }
        });
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

    /// Does not ask whether the answer to a read has changed, but for the answer,
    /// when it is read next.
    pub(super) fn forget(&self, rest: &str) {
        self.known.forget(&self.route(rest));
    }

    /// Sends one request: below the repository's address, or where `rest` says if it
    /// begins with a slash.
    pub(super) async fn send(
        &self,
        method: Method,
        rest: &str,
        body: Option<&Value>,
        what: &str,
    ) -> Result<Bytes, Refusal> {
        let route = self.route(rest);
        let authorization = self.authorization().await?;
        match self
            .once(method.clone(), &route, body, &authorization, what)
            .await
        {
            // Nothing was done: the token had ended. A new one is asked for, once.
            Err(refusal) if refusal.status() == Some(401) && self.forget_token().await => {
                let authorization = self.authorization().await?;
                self.once(method, &route, body, &authorization, what).await
            }
            answered => answered,
        }
    }

    /// Sends one request once, in its turn.
    pub(super) async fn once(
        &self,
        method: Method,
        route: &str,
        body: Option<&Value>,
        authorization: &HeaderValue,
        what: &str,
    ) -> Result<Bytes, Refusal> {
        let unreachable = |error: &dyn std::error::Error| Refusal::Unreachable {
            what: what.to_owned(),
            why: chain(error),
        };
        let reads = method == Method::GET;
        let known = if reads { self.known.get(route) } else { None };
        let mut request = Request::builder()
            .method(method)
            .uri(route)
            .header(header::AUTHORIZATION, authorization);
        if let Some((tag, _)) = &known {
            request = request.header(header::IF_NONE_MATCH, tag);
        }
        let request = self
            .client
            .build_request(request, body)
            .map_err(|error| unreachable(&error))?;
        let turn = self.pace.turn(!reads, what).await?;
        let response = self.client.execute(request).await.map_err(|error| {
            self.pace.meter.answered(None);
            unreachable(&error)
        })?;
        let (head, body) = response.into_parts();
        let status = head.status.as_u16();
        self.pace.meter.answered(Some(status));
        self.pace.learn(status, &head.headers);
        let body = body
            .collect()
            .await
            .map_err(|error| unreachable(&error))?
            .to_bytes();
        drop(turn);
        let meter = &self.pace.meter;
        if let (StatusCode::NOT_MODIFIED, Some((_, body))) = (head.status, known) {
            meter.count("unchanged");
            return Ok(body);
        }
        meter.count(if reads { "read" } else { "write" });
        if head.status.is_success() {
            if let (true, Some(tag)) = (reads, head.headers.get(header::ETAG)) {
                self.known.put(route, tag.clone(), &body);
            }
            return Ok(body);
        }
        meter.count("refused");
        Err(Refusal::Answered {
            status,
            what: what.to_owned(),
            message: reason(&body),
        })
    }
}

pub(super) fn decode<T: DeserializeOwned>(body: &[u8], what: &str) -> Result<T, Refusal> {
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
