//! Who asks, and how often they may.

use std::time::{Duration, Instant};

use axum::http::{HeaderMap, HeaderValue, header};
use serde_json::{Value, json};

use super::errors::ApiError;
use super::hub::{Hub, Meter};
use super::state::Account;

const HOUR: i64 = 3600;
const BURST: Duration = Duration::from_mins(1);
/// What GitHub allows those who do not say who they are.
const ANONYMOUS_LIMIT: u64 = 60;

/// Who a request comes from, and the name under which it is counted.
#[derive(Debug)]
pub(super) struct Caller {
    pub(super) account: Option<Account>,
    /// The App that speaks for itself, by a JWT.
    app: Option<u64>,
    key: String,
}

/// Reads the token; 401 if it is not known.
pub(super) fn caller(hub: &Hub, headers: &HeaderMap) -> Result<Caller, ApiError> {
    let Some(value) = headers.get(header::AUTHORIZATION) else {
        return Ok(Caller {
            account: None,
            app: None,
            key: String::new(),
        });
    };
    let text = value.to_str().unwrap_or_default();
    let token = text.split_once(' ').filter(|(scheme, _)| {
        scheme.eq_ignore_ascii_case("bearer") || scheme.eq_ignore_ascii_case("token")
    });
    let token = token.map(|(_, token)| token.trim());
    if let Some(app) = token.and_then(|token| hub.app_of(token)) {
        return Ok(Caller {
            account: None,
            app: Some(app),
            key: format!("app {app}"),
        });
    }
    let login = token.and_then(|token| {
        hub.installed(token)
            .or_else(|| hub.read(|accounts| accounts.tokens.get(token).cloned()))
    });
    let account = login.and_then(|login| hub.account(&login));
    let Some(account) = account else {
        return Err(ApiError::new(401, "Bad credentials"));
    };
    Ok(Caller {
        key: account.login.clone(),
        app: None,
        account: Some(account),
    })
}

impl Caller {
    /// The account; 401 for a request without token.
    pub(super) fn known(&self) -> Result<&Account, ApiError> {
        self.account
            .as_ref()
            .ok_or_else(|| ApiError::new(401, "Requires authentication"))
    }

    /// The App; 401 for anybody else.
    pub(super) fn app(&self) -> Result<u64, ApiError> {
        self.app
            .ok_or_else(|| ApiError::new(401, "A JSON web token could not be decoded"))
    }

    fn limit(&self, hub: &Hub) -> u64 {
        if self.account.is_some() {
            hub.rate_limit
        } else {
            ANONYMOUS_LIMIT
        }
    }

    fn meter<T>(&self, hub: &Hub, act: impl FnOnce(&mut Meter) -> T) -> T {
        let now = jiff::Timestamp::now().as_second();
        let mut meters = hub
            .meters
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let fresh = || Meter {
            used: 0,
            reset: now + HOUR,
            writes: std::collections::VecDeque::new(),
        };
        let meter = meters.entry(self.key.clone()).or_insert_with(fresh);
        if meter.reset <= now {
            (meter.used, meter.reset) = (0, now + HOUR);
        }
        act(meter)
    }

    /// Refuses a request beyond the limits; remembers the time of a write.
    pub(super) fn admit(&self, hub: &Hub, writes: bool) -> Result<(), ApiError> {
        let limit = self.limit(hub);
        self.meter(hub, |meter| {
            if meter.used >= limit {
                let who = self.account.as_ref().map_or(0, |account| account.id);
                return Err(ApiError::new(403, format!("API rate limit exceeded for user ID {who}.")));
            }
            let Some(burst) = hub.write_burst.filter(|_| writes) else { return Ok(()) };
            meter.writes.retain(|then| then.elapsed() < BURST);
            if meter.writes.len() >= burst {
                let oldest = meter.writes.front().map_or(Duration::ZERO, Instant::elapsed);
                let mut refusal = ApiError::new(
                    403,
                    "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.",
                );
                refusal.retry_after = Some(BURST.saturating_sub(oldest).as_secs() + 1);
                return Err(refusal);
            }
            meter.writes.push_back(Instant::now());
            Ok(())
        })
    }

    /// Counts an answered request, unless it was free, and says in headers what is left.
    pub(super) fn count(&self, hub: &Hub, free: bool, headers: &mut HeaderMap) {
        let limit = self.limit(hub);
        let (used, reset) = self.meter(hub, |meter| {
            if !free {
                meter.used = (meter.used + 1).min(limit);
            }
            (meter.used, meter.reset)
        });
        let mut put = |name: &'static str, value: String| {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(name, value);
            }
        };
        put("x-ratelimit-limit", limit.to_string());
        put("x-ratelimit-remaining", (limit - used).to_string());
        put("x-ratelimit-used", used.to_string());
        put("x-ratelimit-reset", reset.to_string());
        put("x-ratelimit-resource", "core".to_owned());
    }

    /// `GET /rate_limit`.
    pub(super) fn overview(&self, hub: &Hub) -> Value {
        let limit = self.limit(hub);
        let (used, reset) = self.meter(hub, |meter| (meter.used, meter.reset));
        let core = json!({"limit": limit, "remaining": limit - used, "reset": reset, "used": used});
        let other =
            |limit: u64| json!({"limit": limit, "remaining": limit, "reset": reset, "used": 0});
        json!({
            "resources": {"core": core, "search": other(30), "graphql": other(5000)},
            "rate": core,
        })
    }
}
