//! One request to GitHub and its answer.
//!
//! Nothing is sent twice: an effect whose answer was lost is looked up by the
//! next pass. What was read is read again with its ETag: an answer that nothing
//! has changed counts against no limit. What all open pull requests ask for alike
//! is asked for once for all of them, as long as nothing is known to have happened.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

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

/// Answers by their address.
#[derive(Debug, Default)]
pub(super) struct Known {
    answers: Mutex<Answers>,
}

#[derive(Debug, Default)]
struct Answers {
    by_address: HashMap<String, Answered>,
    size: usize,
    /// When something was last changed by us, or told to have changed.
    changed: Option<Instant>,
}

#[derive(Clone, Debug)]
struct Answered {
    tag: HeaderValue,
    body: Bytes,
    /// When it was last asked for, and so was no older than that.
    asked: Instant,
    /// The commit that the branch of the orders stood at by then, if that was looked up.
    head: Option<String>,
}

impl Known {
    fn with<T>(&self, act: impl FnOnce(&mut Answers) -> T) -> T {
        // The map is whole after every statement that touches it.
        act(&mut self.answers.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn get(&self, address: &str) -> Option<Answered> {
        self.with(|answers| answers.by_address.get(address).cloned())
    }

    fn put(&self, address: &str, answered: Answered) {
        self.with(|answers| {
            // Far more than is open at once; it only keeps years of it from piling up.
            if answers.size > 64 << 20 {
                answers.by_address.clear();
                answers.size = 0;
            }
            answers.size += answered.body.len();
            let old = answers.by_address.insert(address.to_owned(), answered);
            answers.size -= old.map_or(0, |old| old.body.len());
        });
    }

    /// That an answer was the same when it was asked for again.
    fn unchanged(&self, address: &str, asked: Instant) {
        self.with(|answers| {
            if let Some(known) = answers.by_address.get_mut(address) {
                known.asked = known.asked.max(asked);
            }
        });
    }

    /// The commit that an answer is of, from now on.
    fn stands_at(&self, address: &str, head: &str) {
        self.with(|answers| {
            if let Some(known) = answers.by_address.get_mut(address) {
                known.head = Some(head.to_owned());
            }
        });
    }

    /// An answer that is at most so old, and of after whatever is known to have changed.
    fn young(&self, address: &str, age: Duration) -> Option<Bytes> {
        self.with(|answers| {
            let known = answers.by_address.get(address)?;
            let after = answers.changed.is_none_or(|at| known.asked > at);
            (after && known.asked.elapsed() < age).then(|| known.body.clone())
        })
    }

    fn forget(&self, address: &str) {
        self.with(|answers| {
            if let Some(old) = answers.by_address.remove(address) {
                answers.size -= old.body.len();
            }
        });
    }

    fn changed(&self) {
        self.with(|answers| answers.changed = Some(Instant::now()));
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

    /// As [`Github::read`], or what another reader was told a moment ago: for what
    /// many ask alike while they wait, and nothing is done on.
    pub(super) async fn read_shared<T: DeserializeOwned>(
        &self,
        rest: &str,
    ) -> anyhow::Result<Option<T>> {
        match self.known.young(&self.route(rest), self.share_reads) {
            Some(body) => Ok(Some(decode(&body, &format!("read {rest}"))?)),
            None => self.read(rest).await,
        }
    }

    /// As [`Github::read`], for what can only change when the branch of the orders
    /// does: asked for anew when that has moved from `head`.
    pub(super) async fn read_at<T: DeserializeOwned>(
        &self,
        rest: &str,
        head: &str,
    ) -> anyhow::Result<Option<T>> {
        let route = self.route(rest);
        if let Some(known) = self.known.get(&route)
            && known.head.as_deref() == Some(head)
        {
            return Ok(Some(decode(&known.body, &format!("read {rest}"))?));
        }
        let read = self.read(rest).await?;
        // It was read after the head was, and so is as new as that at least.
        self.known.stands_at(&route, head);
        Ok(read)
    }

    /// Something happened on GitHub: what was read before is asked for anew.
    pub fn something_changed(&self) {
        self.known.changed();
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
        if let Some(known) = &known {
            request = request.header(header::IF_NONE_MATCH, &known.tag);
        }
        let request = self
            .client
            .build_request(request, body)
            .map_err(|error| unreachable(&error))?;
        let turn = self.pace.turn(!reads, what).await?;
        let asked = Instant::now();
        let response = self.client.execute(request).await;
        if !reads {
            // Whatever became of it.
            self.known.changed();
        }
        let response = response.map_err(|error| {
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
        if let (StatusCode::NOT_MODIFIED, Some(known)) = (head.status, known) {
            meter.count("unchanged");
            self.known.unchanged(route, asked);
            return Ok(known.body);
        }
        meter.count(if reads { "read" } else { "write" });
        if head.status.is_success() {
            if let (true, Some(tag)) = (reads, head.headers.get(header::ETAG)) {
                let answered = Answered {
                    tag: tag.clone(),
                    body: body.clone(),
                    asked,
                    head: None,
                };
                self.known.put(route, answered);
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
