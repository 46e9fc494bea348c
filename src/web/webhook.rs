//! Webhooks of GitHub: whether one is genuine and new, and what it says happened.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};

use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use ring::hmac;
use secrecy::ExposeSecret as _;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::config::Secret;
use crate::controller::Wake;
use crate::effects::github::Github;
use crate::telemetry::Metrics;

/// How many deliveries are remembered, to know one that comes again.
const REMEMBERED: usize = 10_000;

/// What is counted of a delivery that is genuine and new.
const TAKEN: &str = "taken";

/// Why a delivery is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// It has no signature.
    Unsigned,
    /// Its signature is not of this body by this secret.
    Forged,
    /// It was taken before: by its delivery id, or by its signature, since the id is
    /// not signed.
    Replayed,
    Oversized,
    /// It is genuine, and nothing that GitHub would send.
    Malformed,
}

impl Refused {
    const ALL: [Self; 5] = [
        Self::Unsigned,
        Self::Forged,
        Self::Replayed,
        Self::Oversized,
        Self::Malformed,
    ];

    fn word(self) -> &'static str {
        match self {
            Self::Unsigned => "unsigned",
            Self::Forged => "forged",
            Self::Replayed => "replayed",
            Self::Oversized => "oversized",
            Self::Malformed => "malformed",
        }
    }

    fn status(self) -> StatusCode {
        match self {
            Self::Unsigned | Self::Forged => StatusCode::UNAUTHORIZED,
            Self::Replayed => StatusCode::CONFLICT,
            Self::Oversized => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Malformed => StatusCode::BAD_REQUEST,
        }
    }
}

/// What is known of the deliveries so far.
#[derive(Debug)]
pub(super) struct Webhooks {
    secret: Secret,
    seen: Mutex<Seen>,
    outcomes: Family<[(&'static str, &'static str); 1], Counter>,
}

#[derive(Debug, Default)]
struct Seen {
    known: HashSet<[u8; 32]>,
    order: VecDeque<[u8; 32]>,
}

impl Seen {
    fn knows(&self, mark: &[u8; 32]) -> bool {
        self.known.contains(mark)
    }

    fn remember(&mut self, mark: [u8; 32]) {
        if self.known.insert(mark) {
            self.order.push_back(mark);
        }
        while self.order.len() > 2 * REMEMBERED {
            if let Some(oldest) = self.order.pop_front() {
                self.known.remove(&oldest);
            }
        }
    }
}

impl Webhooks {
    pub(super) fn new(secret: Secret, metrics: &Metrics) -> Self {
        let outcomes = Family::default();
        metrics.register(|registry| {
            registry.register(
                "github_webhooks",
                "Webhooks by what became of them",
                outcomes.clone(),
            );
        });
        let webhooks = Self {
            secret,
            seen: Mutex::default(),
            outcomes,
        };
        // A series that only begins with its first count hides that count from a rate.
        let words = Refused::ALL.map(Refused::word);
        for outcome in words.into_iter().chain([TAKEN]) {
            drop(webhooks.outcomes.get_or_create(&[("outcome", outcome)]));
        }
        webhooks
    }

    fn count(&self, outcome: &'static str) {
        self.outcomes.get_or_create(&[("outcome", outcome)]).inc();
    }

    /// Counts and answers a delivery that is not taken.
    pub(super) fn refuse(&self, refused: Refused) -> Response {
        self.count(refused.word());
        tracing::warn!(why = refused.word(), "a webhook was refused");
        (refused.status(), format!("{}\n", refused.word())).into_response()
    }

    /// Takes a delivery: checks its signature before anything in it is read, and that
    /// it is new; then says who should look.
    pub(super) fn take(
        &self,
        headers: &HeaderMap,
        body: &[u8],
        github: &Github,
    ) -> Result<Vec<Wake>, Refused> {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let signature = text("x-hub-signature-256").ok_or(Refused::Unsigned)?;
        let signature = signature
            .strip_prefix("sha256=")
            .and_then(unhex)
            .ok_or(Refused::Forged)?;
        let secret = self.secret.get();
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose_secret().as_bytes());
        // In constant time.
        hmac::verify(&key, body, &signature).map_err(|_| Refused::Forged)?;
        let (Some(delivery), Some(event)) = (text("x-github-delivery"), text("x-github-event"))
        else {
            return Err(Refused::Malformed);
        };
        let marks = [
            Sha256::digest([b"id ", delivery.as_bytes()].concat()).into(),
            Sha256::digest([b"signature ", signature.as_slice()].concat()).into(),
        ];
        {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            if marks.iter().any(|mark| seen.knows(mark)) {
                return Err(Refused::Replayed);
            }
            for mark in marks {
                seen.remember(mark);
            }
        }
        let body: Value = serde_json::from_slice(body).map_err(|_| Refused::Malformed)?;
        self.count(TAKEN);
        let ours = body
            .pointer("/repository/full_name")
            .and_then(Value::as_str)
            .is_some_and(|name| name.eq_ignore_ascii_case(&github.full_name()));
        if !ours {
            return Ok(Vec::new());
        }
        let wakes = wakes(event, &body, github.branch());
        if !wakes.is_empty() {
            github.something_changed();
        }
        Ok(wakes)
    }
}

/// Whom an event concerns: pull requests by their numbers, or all that are open.
fn wakes(event: &str, body: &Value, base: &str) -> Vec<Wake> {
    let text = |pointer| body.pointer(pointer).and_then(Value::as_str);
    let of_head = |sha: Option<&str>| sha.map(|sha| Wake::Head(sha.to_owned()));
    match event {
        "pull_request" | "pull_request_review" => body
            .pointer("/pull_request/number")
            .and_then(Value::as_u64)
            .map(Wake::Pull)
            .into_iter()
            .collect(),
        // The pull requests that they name are not all there are, so the commit says it.
        "check_run" => of_head(text("/check_run/head_sha")).into_iter().collect(),
        "check_suite" => of_head(text("/check_suite/head_sha")).into_iter().collect(),
        "status" => of_head(text("/sha")).into_iter().collect(),
        "push" => match text("/ref").and_then(|name| name.strip_prefix("refs/heads/")) {
            Some(branch) if branch == base || branch.starts_with("refloat/") => vec![Wake::Open],
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    (0..text.len())
        .step_by(2)
        .map(|at| {
            digit(text, at)?
                .checked_mul(16)?
                .checked_add(digit(text, at + 1)?)
        })
        .collect()
}

fn digit(text: &str, at: usize) -> Option<u8> {
    let digit = char::from(*text.as_bytes().get(at)?).to_digit(16)?;
    u8::try_from(digit).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn events_wake_whom_they_concern() {
        let woken = |event: &str, body: Value| wakes(event, &body, "main");
        let head = || [Wake::Head("c0ffee".to_owned())];
        let body = json!({ "pull_request": { "number": 7 } });
        assert_eq!(woken("pull_request_review", body), [Wake::Pull(7)]);
        assert_eq!(woken("pull_request", Value::Null), []);
        let body = json!({ "check_run": { "head_sha": "c0ffee" } });
        assert_eq!(woken("check_run", body), head());
        let body = json!({ "check_suite": { "head_sha": "c0ffee" } });
        assert_eq!(woken("check_suite", body), head());
        assert_eq!(woken("status", json!({ "sha": "c0ffee" })), head());
        assert_eq!(woken("status", json!({ "sha": 7 })), []);
        for (branch, concerned) in [("main", true), ("refloat/a", true), ("somebody-s", false)] {
            let body = json!({ "ref": format!("refs/heads/{branch}") });
            assert_eq!(woken("push", body) == [Wake::Open], concerned, "{branch}");
        }
        assert_eq!(woken("push", json!({ "ref": "refs/tags/main" })), []);
        assert_eq!(woken("star", Value::Null), []);
    }

    #[test]
    fn hexadecimal_digits_are_read_and_all_else_is_none() {
        assert_eq!(unhex("00ff"), Some(vec![0, 255]));
        for text in ["0", "zz", "+1", "0x", "\u{e9}"] {
            assert_eq!(unhex(text), None, "{text}");
        }
    }
}
