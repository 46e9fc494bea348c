//! Webhooks: what GitHub tells others, signed, and what a test does to it on the way.
//!
//! What happened is told from how the pull requests differ from what they were at the
//! last change, so that nothing that changes them has to think of it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::PoisonError;

use anyhow::Context as _;
use bytes::Bytes;
use hmac::{Hmac, Mac as _};
use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use jsonschema::{Draft, Registry};
use serde_json::{Value, json};
use sha2::Sha256;

use super::hub::{Hub, Scope};
use super::objects::hex;
use super::pullview::{show, show_simple};
use super::server::Server;
use super::shapes::{full_repository, user};
use super::spec::{convert, find_schemas, open_choices};
use super::state::{Pull, PullState, ReviewState};
use super::{ApiError, reviews};

/// One delivery, as it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// `X-GitHub-Delivery`.
    pub id: String,
    /// `X-GitHub-Event`.
    pub event: String,
    /// `X-Hub-Signature-256`; `None` leaves the header out.
    pub signature: Option<String>,
    pub body: Bytes,
}

/// What becomes of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sending {
    Once,
    /// It never arrives; a test may send it by hand later, in whatever order.
    Lose,
    Twice,
}

type Rule = Box<dyn FnMut(&Delivery) -> Sending + Send>;

/// Where deliveries go, and those so far.
pub(super) struct Hooks {
    url: String,
    secret: String,
    rule: Rule,
    made: Vec<Delivery>,
    seen: BTreeMap<u64, Seen>,
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hooks").finish_non_exhaustive()
    }
}

/// What is told of a pull request when it changes.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    open: bool,
    head: String,
    text: (String, Option<String>, String),
    reviews: BTreeMap<u64, ReviewState>,
}

fn seen(pull: &Pull) -> Seen {
    Seen {
        open: pull.state == PullState::Open,
        head: pull.head_sha.clone(),
        text: (pull.title.clone(), pull.body.clone(), pull.base.clone()),
        reviews: pull
            .reviews
            .iter()
            .filter(|review| review.state != ReviewState::Pending)
            .map(|review| (review.id, review.state))
            .collect(),
    }
}

enum Event {
    Pull(&'static str, Value),
    Review(&'static str, u64),
}

fn events(before: Option<&Seen>, now: &Seen) -> Vec<Event> {
    let plain = |action| Event::Pull(action, json!({}));
    let Some(before) = before else {
        return vec![plain("opened")];
    };
    let mut events = Vec::new();
    if before.head != now.head && now.open {
        events.push(Event::Pull(
            "synchronize",
            json!({"before": before.head, "after": now.head}),
        ));
    }
    if before.text != now.text {
        events.push(Event::Pull("edited", json!({"changes": {}})));
    }
    for (id, state) in &now.reviews {
        match (before.reviews.get(id), state) {
            (Some(old), state) if old == state => {}
            (Some(_), ReviewState::Dismissed) => events.push(Event::Review("dismissed", *id)),
            _ => events.push(Event::Review("submitted", *id)),
        }
    }
    match (before.open, now.open) {
        (true, false) => events.push(plain("closed")),
        (false, true) => events.push(plain("reopened")),
        _ => {}
    }
    events
}

impl Hub {
    fn hooks<T>(&self, act: impl FnOnce(&mut Hooks) -> T) -> Option<T> {
        let mut hooks = self.hooks.lock().unwrap_or_else(PoisonError::into_inner);
        hooks.as_mut().map(act)
    }

    fn tell(&self, event: &str, body: &Value) {
        let body = Bytes::from(body.to_string());
        let sent = self.hooks(|hooks| {
            let delivery = Delivery {
                id: uuid::Uuid::new_v4().to_string(),
                event: event.to_owned(),
                signature: Some(sign(&hooks.secret, &body)),
                body,
            };
            hooks.made.push(delivery.clone());
            let times = match (hooks.rule)(&delivery) {
                Sending::Once => 1,
                Sending::Lose => 0,
                Sending::Twice => 2,
            };
            (hooks.url.clone(), delivery, times)
        });
        let Some((url, delivery, times)) = sent else {
            return;
        };
        tokio::spawn(async move {
            for _ in 0..times {
                if let Err(error) = post(&url, &delivery).await {
                    tracing::debug!(%error, "a webhook did not arrive");
                }
            }
        });
    }
}

impl Scope<'_> {
    /// Tells what has changed since the last time.
    pub(super) async fn announce(&self) -> Result<(), ApiError> {
        let now: BTreeMap<u64, Seen> = self
            .state
            .pulls
            .iter()
            .map(|pull| (pull.number, seen(pull)))
            .collect();
        let before = self
            .hub
            .hooks(|hooks| std::mem::replace(&mut hooks.seen, now.clone()));
        let Some(before) = before else {
            return Ok(());
        };
        for (number, now) in &now {
            for event in events(before.get(number), now) {
                let Some(pull) = self.state.pull(*number) else {
                    continue;
                };
                let mut body = json!({
                    "repository": full_repository(self),
                    "sender": user(self.hub, &self.actor.login),
                });
                let name = match event {
                    Event::Pull(action, more) => {
                        body["action"] = json!(action);
                        body["number"] = json!(number);
                        body["pull_request"] = show(self, *number, true).await?;
                        for (key, value) in more.as_object().into_iter().flatten() {
                            body[key] = value.clone();
                        }
                        "pull_request"
                    }
                    Event::Review(action, id) => {
                        body["action"] = json!(action);
                        body["pull_request"] = show_simple(self, pull);
                        body["review"] = reviews::show_by_id(self, *number, id)?;
                        let state = body["review"]["state"].as_str().unwrap_or_default();
                        body["review"]["state"] = json!(state.to_ascii_lowercase());
                        "pull_request_review"
                    }
                };
                self.hub.tell(name, &body);
            }
        }
        Ok(())
    }
}

impl Server {
    /// From here on, tells `url` of what happens to pull requests, signed with `secret`;
    /// `rule` says what becomes of each delivery.
    pub async fn webhooks_to(
        &self,
        owner: &str,
        repo: &str,
        url: &str,
        secret: &str,
        rule: impl FnMut(&Delivery) -> Sending + Send + 'static,
    ) -> anyhow::Result<()> {
        let repo = self
            .hub
            .repo(owner, repo)
            .with_context(|| format!("there is no repository {owner}/{repo}"))?;
        let state = repo.state.lock().await;
        let hooks = Hooks {
            url: url.to_owned(),
            secret: secret.to_owned(),
            rule: Box::new(rule),
            made: Vec::new(),
            seen: state
                .pulls
                .iter()
                .map(|pull| (pull.number, seen(pull)))
                .collect(),
        };
        *self
            .hub
            .hooks
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(hooks);
        Ok(())
    }

    /// Every delivery so far, in the order of what they tell, lost ones too.
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.hub
            .hooks(|hooks| hooks.made.clone())
            .unwrap_or_default()
    }

    /// Sends a delivery by hand: again, late, or forged. The status it is answered with.
    pub async fn deliver(&self, delivery: &Delivery) -> anyhow::Result<u16> {
        let url = self
            .hub
            .hooks(|hooks| hooks.url.clone())
            .context("there are no webhooks")?;
        post(&url, delivery).await
    }

    /// The signature of a body by the configured secret.
    pub fn signature(&self, body: &[u8]) -> Option<String> {
        self.hub.hooks(|hooks| sign(&hooks.secret, body))
    }
}

fn sign(secret: &str, body: &[u8]) -> String {
    // A key of any length will do for an HMAC.
    let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).map(|mut mac| {
        mac.update(body);
        hex(&mac.finalize().into_bytes())
    });
    format!("sha256={}", mac.unwrap_or_default())
}

async fn post(url: &str, delivery: &Delivery) -> anyhow::Result<u16> {
    let mut request = Request::post(url)
        .header("content-type", "application/json")
        .header("user-agent", "GitHub-Hookshot/harbour")
        .header("x-github-delivery", &delivery.id)
        .header("x-github-event", &delivery.event);
    if let Some(signature) = &delivery.signature {
        request = request.header("x-hub-signature-256", signature);
    }
    let request = request.body(Full::new(delivery.body.clone()))?;
    let client = Client::builder(TokioExecutor::new()).build_http();
    let answer = client.request(request).await?;
    let status = answer.status().as_u16();
    answer.into_body().collect().await?;
    Ok(status)
}

const FILE: &str = "github-webhooks.openapi.json";
const BASE: &str = "urn:harbour:webhooks";

/// Checks deliveries against GitHub's published description of webhooks.
pub struct WebhookChecker {
    registry: Registry<'static>,
}

impl fmt::Debug for WebhookChecker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookChecker").finish_non_exhaustive()
    }
}

impl WebhookChecker {
    /// Reads `github-webhooks.openapi.json` from a folder; `None` if it is not there.
    pub fn load(specs_dir: &Path) -> anyhow::Result<Option<Self>> {
        let file = specs_dir.join(FILE);
        let text = match std::fs::read(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| file.display().to_string()),
        };
        let mut spec: Value = serde_json::from_slice(&text)?;
        for at in ["x-webhooks", "components"] {
            if let Some(part) = spec.get_mut(at) {
                find_schemas(part, &mut convert);
                find_schemas(part, &mut open_choices);
            }
        }
        let registry = Registry::new()
            .draft(Draft::Draft202012)
            .add(BASE, spec)?
            .prepare()?;
        Ok(Some(Self { registry }))
    }

    /// Checks that a delivery is one that GitHub describes.
    pub fn check(&self, delivery: &Delivery) -> Result<(), String> {
        let body: Value =
            serde_json::from_slice(&delivery.body).map_err(|error| error.to_string())?;
        let mut name = delivery.event.replace('_', "-");
        if let Some(action) = body["action"].as_str() {
            name = format!("{name}-{}", action.replace('_', "-"));
        }
        let reference =
            format!("{BASE}#/x-webhooks/{name}/post/requestBody/content/application~1json/schema");
        let validator = jsonschema::options()
            .with_draft(Draft::Draft202012)
            .with_registry(&self.registry)
            .build(&json!({"$ref": reference}))
            .map_err(|error| format!("{name}: {error}"))?;
        let errors: Vec<String> = validator
            .iter_errors(&body)
            .take(5)
            .map(|error| format!("{name} {}: {error}", error.instance_path()))
            .collect();
        if errors.is_empty() {
            Ok(())
        } else {
            Err(errors.join("\n"))
        }
    }
}
