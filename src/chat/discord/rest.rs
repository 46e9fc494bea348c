//! Requests to Discord's REST API.
//!
//! The routes and the buckets are serenity's; sending is our own, because
//! serenity's limiter sends to the public address whatever is configured, and
//! because what Discord refuses has to be told apart here. A bucket's requests
//! go out one after the other, so that its count is never out of date.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use serenity::builder::CreateAttachment;
use serenity::http::{
    LightMethod, Multipart, MultipartUpload, Ratelimit, RatelimitingBucket, Request, Route,
};
use tokio::time::Instant;

use super::pace::Pacer;
use crate::chat::Attachment;

/// How long a request may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// A pause that Discord asks for is waited for here if it is no longer.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often a request is sent that is asked to wait.
const ATTEMPTS: usize = 4;
/// Discord's code for a message over an hour old that was edited too often.
pub(super) const TOO_OLD: i64 = 30046;
/// Discord blocks an address after 10,000 invalid requests in ten minutes.
const MOST_INVALID: usize = 5_000;
const INVALID_WINDOW: Duration = Duration::from_mins(10);

/// Whether a request waits for its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    /// It waits for the next moment.
    Paced,
    /// Its moment was waited for already.
    Prepaid,
    /// An answer to an interaction, which counts against no limit but its own.
    Answer,
}

/// A request.
#[derive(Clone, Debug)]
pub(super) struct Call<'a> {
    pub(super) method: LightMethod,
    pub(super) route: Route<'a>,
    pub(super) body: Option<Value>,
    pub(super) query: Vec<(&'static str, String)>,
    /// What is uploaded with the body, which has to name it by the id 0.
    pub(super) file: Option<Attachment>,
    pub(super) lane: Lane,
}

impl<'a> Call<'a> {
    pub(super) fn new(method: LightMethod, route: Route<'a>) -> Self {
        Self {
            method,
            route,
            body: None,
            query: Vec::new(),
            file: None,
            lane: Lane::Paced,
        }
    }

    pub(super) fn body(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }

    pub(super) fn query(mut self, name: &'static str, value: &impl ToString) -> Self {
        self.query.push((name, value.to_string()));
        self
    }

    pub(super) fn file(mut self, file: Option<Attachment>) -> Self {
        self.file = file;
        self
    }

    /// The body with its file, if it has one.
    fn multipart(&self) -> Option<Multipart> {
        let file = self.file.as_ref()?;
        let file = CreateAttachment::bytes(file.bytes.clone(), file.name.clone());
        Some(Multipart {
            upload: MultipartUpload::Attachments(vec![file]),
            payload_json: self.body.as_ref().map(ToString::to_string),
            fields: Vec::new(),
        })
    }

    pub(super) fn lane(mut self, lane: Lane) -> Self {
        self.lane = lane;
        self
    }
}

/// Why a request came to nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum RestError {
    /// Discord said no, with a code of its own.
    #[error("Discord refused it ({status}, code {code}): {message}")]
    Refused {
        status: u16,
        code: i64,
        message: String,
    },
    #[error("Discord asks to wait for {0:?}")]
    Limited(Duration),
    #[error("Discord failed with {0}")]
    Broken(u16),
    #[error("Discord did not answer: {0}")]
    Unreachable(String),
    #[error(
        "nothing is sent to Discord for now: it refused so many requests that it would block this address"
    )]
    Held,
}

impl RestError {
    /// Discord's code of a refusal.
    pub(super) fn code(&self) -> Option<i64> {
        match self {
            Self::Refused { code, .. } => Some(*code),
            Self::Limited(_) | Self::Broken(_) | Self::Unreachable(_) | Self::Held => None,
        }
    }

    /// The token is not the bot's.
    pub(super) fn is_unauthorized(&self) -> bool {
        matches!(self, Self::Refused { status: 401, .. })
    }
}

#[derive(Default)]
struct Bucket {
    limit: Ratelimit,
    until: Option<Instant>,
}

pub(super) struct Rest {
    client: reqwest::Client,
    token: SecretString,
    base: String,
    buckets: Mutex<HashMap<RatelimitingBucket, Arc<tokio::sync::Mutex<Bucket>>>>,
    pub(super) pacer: Pacer,
    invalid: Mutex<VecDeque<Instant>>,
}

impl Rest {
    /// Connects to nothing yet. `base` is the address without `/api`.
    pub(super) fn new(token: &SecretString, base: &str) -> anyhow::Result<Self> {
        Ok(Self {
            client: reqwest::Client::builder()
                .timeout(TIMEOUT)
                .connect_timeout(TIMEOUT / 2)
                .build()?,
            token: SecretString::from(format!("Bot {}", token.expose_secret())),
            base: base.to_owned(),
            buckets: Mutex::default(),
            pacer: Pacer::new(),
            invalid: Mutex::default(),
        })
    }

    /// Sends a request, and again if it is asked to wait a little. The answer is
    /// null where there is none.
    pub(super) async fn send(&self, call: Call<'_>) -> Result<Value, RestError> {
        let key = call.route.ratelimiting_bucket();
        if key.is_none() || call.lane == Lane::Answer {
            let mut alone = Bucket::default();
            return self.send_in(&call, &mut alone).await;
        }
        let bucket = Arc::clone(
            self.buckets
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .entry(key)
                .or_default(),
        );
        let mut bucket = bucket.lock().await;
        self.send_in(&call, &mut bucket).await
    }

    async fn send_in(&self, call: &Call<'_>, bucket: &mut Bucket) -> Result<Value, RestError> {
        let mut lane = call.lane;
        let mut waited = Duration::ZERO;
        for _ in 0..ATTEMPTS {
            if let Some(until) = bucket.until {
                let pause = until.saturating_duration_since(Instant::now());
                waited += pause;
                if waited > PATIENCE {
                    return Err(RestError::Limited(pause));
                }
                tokio::time::sleep(pause).await;
                bucket.until = None;
            }
            let request = Request::new(call.route, call.method)
                .body(call.body.as_ref().map(|body| body.to_string().into_bytes()))
                .multipart(call.multipart())
                .params((!call.query.is_empty()).then(|| call.query.clone()));
            bucket.limit.pre_hook(&request, &|_| {}).await;
            if lane == Lane::Paced {
                self.pacer.slot().await;
            }
            // What is sent once more waits like any other.
            if lane == Lane::Prepaid {
                lane = Lane::Paced;
            }
            self.check_invalid()?;
            let sent = request
                .clone()
                .build(&self.client, self.token.expose_secret(), Some(&self.base))
                .map_err(|error| RestError::Unreachable(error.to_string()))?
                .send()
                .await
                // Its address would hold an interaction's token.
                .map_err(|error| RestError::Unreachable(chain(&error.without_url())))?;
            let status = sent.status().as_u16();
            if matches!(status, 401 | 403 | 429) {
                self.count_invalid();
            }
            if status != 429 {
                let read = bucket
                    .limit
                    .post_hook(&sent, &request, &|_| {}, false)
                    .await;
                if let Err(error) = read {
                    tracing::debug!(%error, "Discord's limits could not be read");
                }
                return answer(status, sent).await;
            }
            let global = sent.headers().contains_key("x-ratelimit-global");
            let text = sent.text().await.unwrap_or_default();
            let body: Value = serde_json::from_str(&text).unwrap_or_default();
            if body["code"] == TOO_OLD {
                // It is no matter of waiting: the caller sends a new message.
                return Err(RestError::Refused {
                    status,
                    code: TOO_OLD,
                    message: "the message is too old to be edited often".to_owned(),
                });
            }
            let seconds = body["retry_after"].as_f64().unwrap_or(1.0);
            let pause = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::from_secs(1));
            tracing::warn!(?pause, global, "Discord asks to wait");
            if global {
                self.pacer.hold(pause);
            }
            bucket.until = Some(Instant::now() + pause);
        }
        let pause = bucket
            .until
            .map(|until| until.saturating_duration_since(Instant::now()))
            .unwrap_or_default();
        Err(RestError::Limited(pause))
    }

    fn count_invalid(&self) {
        let mut invalid = self.invalid.lock().unwrap_or_else(PoisonError::into_inner);
        invalid.push_back(Instant::now());
        if invalid.len().is_multiple_of(1000) {
            tracing::warn!(
                count = invalid.len(),
                "Discord has refused many requests in the last ten minutes"
            );
        }
    }

    /// How many requests Discord refused in the last ten minutes.
    pub(super) fn invalid(&self) -> usize {
        let mut invalid = self.invalid.lock().unwrap_or_else(PoisonError::into_inner);
        while invalid
            .front()
            .is_some_and(|at| at.elapsed() >= INVALID_WINDOW)
        {
            invalid.pop_front();
        }
        invalid.len()
    }

    fn check_invalid(&self) -> Result<(), RestError> {
        if self.invalid() >= MOST_INVALID {
            return Err(RestError::Held);
        }
        Ok(())
    }
}

async fn answer(status: u16, sent: reqwest::Response) -> Result<Value, RestError> {
    let text = sent
        .text()
        .await
        .map_err(|error| RestError::Unreachable(chain(&error.without_url())))?;
    let body: Value = serde_json::from_str(&text).unwrap_or_default();
    match status {
        200..=299 => Ok(body),
        500.. => Err(RestError::Broken(status)),
        _ => Err(RestError::Refused {
            status,
            code: body["code"].as_i64().unwrap_or_default(),
            message: crate::chat::harmless::plain(
                body["message"].as_str().unwrap_or_default(),
                200,
            ),
        }),
    }
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
