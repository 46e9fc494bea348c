//! GitHub Apps: signing in with a JWT, and tokens of an installation that end.

use std::collections::HashMap;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey};
use serde_json::{Value, json};

use super::errors::ApiError;
use super::hub::Hub;
use super::reply::{Ask, Reply, encode};
use super::server::Server;
use super::shapes::user;
use super::state::AccountKind;

/// The private key of every App of the harbour; it opens nothing anywhere else.
const KEY: &str = include_str!("app-key.pem");

/// The Apps and what was handed out to them.
#[derive(Debug)]
pub(super) struct Apps {
    /// The bot's login by the App's number.
    bots: HashMap<u64, String>,
    /// Login and end of each token.
    tokens: HashMap<String, (String, Instant)>,
    life: Duration,
    asked: Vec<Value>,
}

impl Default for Apps {
    fn default() -> Self {
        Self {
            bots: HashMap::new(),
            tokens: HashMap::new(),
            life: Duration::from_hours(1),
            asked: Vec::new(),
        }
    }
}

impl Hub {
    fn apps<T>(&self, act: impl FnOnce(&mut Apps) -> T) -> T {
        act(&mut self.apps.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whose token of an installation this is, while it lives.
    pub(super) fn installed(&self, token: &str) -> Option<String> {
        self.apps(|apps| {
            let (login, ends) = apps.tokens.get(token)?;
            (Instant::now() < *ends).then(|| login.clone())
        })
    }

    /// The App that signed a JWT, if it is good now.
    pub(super) fn app_of(&self, jwt: &str) -> Option<u64> {
        let (signed, signature) = jwt.rsplit_once('.')?;
        let (_, claims) = signed.split_once('.')?;
        let pair = RsaKeyPair::from_der(&der()?).ok()?;
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public().as_ref())
            .verify(signed.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).ok()?)
            .ok()?;
        let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
        let (issued, expires) = (claims["iat"].as_i64()?, claims["exp"].as_i64()?);
        let now = jiff::Timestamp::now().as_second();
        let app = match &claims["iss"] {
            Value::String(text) => text.parse().ok()?,
            other => other.as_u64()?,
        };
        let good = issued <= now && now < expires && expires - now <= 600;
        (good && self.apps(|apps| apps.bots.contains_key(&app))).then_some(app)
    }

    fn bot(&self, app: u64) -> Result<String, ApiError> {
        self.apps(|apps| apps.bots.get(&app).cloned())
            .ok_or_else(ApiError::not_found)
    }
}

fn der() -> Option<Vec<u8>> {
    let text: String = KEY.lines().filter(|line| !line.starts_with('-')).collect();
    STANDARD.decode(text).ok()
}

/// `GET repos/{owner}/{repo}/installation`, for the App itself.
pub(super) fn installation(hub: &Hub, app: u64, owner: &str) -> Result<Reply, ApiError> {
    let bot = hub.bot(app)?;
    let account = hub.account(owner).ok_or_else(ApiError::not_found)?;
    let slug = bot.trim_end_matches("[bot]");
    let id = app + 1_000_000;
    let api = &hub.api;
    Ok(Reply::json(
        200,
        json!({
            "id": id,
            "account": user(hub, owner),
            "access_tokens_url": format!("{api}/app/installations/{id}/access_tokens"),
            "repositories_url": format!("{api}/installation/repositories"),
            "html_url": format!("{}/organizations/{}/settings/installations/{id}", hub.html, encode(owner)),
            "app_id": app,
            "app_slug": slug,
            "target_id": account.id,
            "target_type": "Organization",
            "repository_selection": "selected",
            "permissions": {"contents": "write", "pull_requests": "write", "checks": "read", "metadata": "read", "members": "read"},
            "events": ["pull_request", "pull_request_review", "check_run"],
            "created_at": account.created,
            "updated_at": account.created,
            "single_file_name": null,
            "suspended_by": null,
            "suspended_at": null,
        }),
    ))
}

/// `POST app/installations/{id}/access_tokens`, for the App itself.
pub(super) fn grant(hub: &Hub, app: u64, installation: u64, ask: &Ask) -> Result<Reply, ApiError> {
    let bot = hub.bot(app)?;
    if installation != app + 1_000_000 {
        return Err(ApiError::not_found());
    }
    let asked: Value = ask.json()?;
    let token = format!("ghs_{}", uuid::Uuid::new_v4().simple());
    let life = hub.apps(|apps| {
        apps.tokens
            .insert(token.clone(), (bot, Instant::now() + apps.life));
        apps.asked.push(asked.clone());
        apps.life
    });
    let ends = jiff::Timestamp::now()
        .checked_add(jiff::SignedDuration::try_from(life).unwrap_or_default())
        .unwrap_or(jiff::Timestamp::MAX);
    Ok(Reply::json(
        201,
        json!({
            "token": token,
            "expires_at": ends.to_string(),
            "permissions": asked["permissions"],
            "repository_selection": "selected",
        }),
    ))
}

impl Server {
    /// Makes an App whose bot is `login`, installed in every organization here.
    pub fn add_app(&self, id: u64, login: &str) -> anyhow::Result<()> {
        self.hub.change(|accounts| {
            accounts.ensure(login, AccountKind::Bot);
        })?;
        self.hub.apps(|apps| apps.bots.insert(id, login.to_owned()));
        Ok(())
    }

    /// The private key of the Apps here, in PEM.
    pub fn app_key(&self) -> &'static str {
        KEY
    }

    /// How long tokens live that are handed out from here on.
    pub fn set_token_life(&self, life: Duration) {
        self.hub.apps(|apps| apps.life = life);
    }

    /// Ends every token of an installation at once.
    pub fn end_tokens(&self) {
        self.hub.apps(|apps| apps.tokens.clear());
    }

    /// What tokens were asked for, one entry each.
    pub fn tokens_asked(&self) -> Vec<Value> {
        self.hub.apps(|apps| apps.asked.clone())
    }
}
