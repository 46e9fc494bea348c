//! From a request to its handler: authorization, the published description, the
//! limits, then what it does.

use std::time::{Duration, Instant};

use hyper::Method;
use serde_json::Value;

use super::ids;
use super::reply::Reply;
use super::server::Hub;
use super::state::{Bucket, State, Upload};

/// A request as it was read.
pub(super) struct Ask<'a> {
    pub(super) method: &'a Method,
    /// The path behind `/api/v10`, by segments.
    pub(super) path: Vec<&'a str>,
    pub(super) query: &'a str,
    pub(super) body: Value,
    /// What is uploaded with the body.
    pub(super) files: Vec<Upload>,
}

impl Ask<'_> {
    pub(super) fn query(&self, name: &str) -> Option<&str> {
        self.query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value)
    }
}

impl Hub {
    pub(super) fn answer(
        &self,
        method: &Method,
        target: &str,
        authorization: &str,
        body: &[u8],
        files: Vec<Upload>,
    ) -> Reply {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let query = query.trim_start_matches('&');
        let mut state = self.lock();
        state.count();
        let Some(path) = path.strip_prefix("/api/v10") else {
            return Reply::refused(404, 0, "404: Not Found");
        };
        let segments: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let by_token = matches!(segments.as_slice(), ["interactions" | "webhooks", ..]);
        if !by_token && authorization != format!("Bot {}", state.token) {
            state.seen.invalid += 1;
            return Reply::refused(401, 0, "401: Unauthorized");
        }
        let said = if query.is_empty() {
            path.to_owned()
        } else {
            format!("{path}?{query}")
        };
        if let Some(spec) = &self.spec
            && let Err(why) = spec.check_request(method.as_str(), &said, body)
        {
            state.violations.push(why.clone());
            return Reply::invalid("body", &why);
        }
        let body = if body.is_empty() {
            Value::Null
        } else {
            match serde_json::from_slice(body) {
                Ok(body) => body,
                Err(_) => {
                    return Reply::refused(400, 50109, "The request body contains invalid JSON.");
                }
            }
        };
        if !by_token && let Err(reply) = state.global() {
            return reply;
        }
        let ask = Ask {
            method,
            path: segments,
            query,
            body,
            files,
        };
        if let Err(reply) = super::checks::files(&ask) {
            return reply;
        }
        let left = match state.bucket(&ask) {
            Ok(left) => left,
            Err(reply) => return reply,
        };
        let mut reply = state.handle(&ask, &self.gateway_url());
        if matches!(reply.status, 401 | 403) {
            state.seen.invalid += 1;
        }
        if let Some((limit, left, after)) = left {
            reply.headers.extend([
                ("x-ratelimit-limit", limit.to_string()),
                ("x-ratelimit-remaining", left.to_string()),
                ("x-ratelimit-reset-after", format!("{after:.3}")),
                ("x-ratelimit-bucket", "b".to_owned()),
            ]);
        }
        drop(state);
        self.changed.notify_waiters();
        reply
    }
}

/// A limit, what is left of it, and in how many seconds it is whole again.
type Left = Option<(usize, usize, f64)>;

impl State {
    fn count(&mut self) {
        self.seen.requests += 1;
    }

    /// 50 requests a second in all.
    fn global(&mut self) -> Result<(), Reply> {
        let now = Instant::now();
        while self
            .second
            .front()
            .is_some_and(|at| now.duration_since(*at) >= Duration::from_secs(1))
        {
            self.second.pop_front();
        }
        self.second.push_back(now);
        self.seen.busiest_second = self.seen.busiest_second.max(self.second.len());
        if self.second.len() > self.limits.global {
            self.seen.limited += 1;
            self.seen.invalid += 1;
            return Err(Reply::limited(1.0, true));
        }
        Ok(())
    }

    /// Takes one of the bucket of a request.
    fn bucket(&mut self, ask: &Ask<'_>) -> Result<Left, Reply> {
        let messages = self.limits.messages;
        let (limit, window) = match (ask.method.as_str(), ask.path.as_slice()) {
            ("POST", ["channels", _, "messages"]) | ("PATCH", ["channels", _, "messages", _]) => {
                (messages, 5)
            }
            ("POST", ["channels", _, "messages", _, "threads"] | ["channels", _, "threads"]) => {
                (self.limits.threads, 10)
            }
            ("PUT" | "DELETE", ["channels", _, "messages", _, "reactions", ..]) => (4, 1),
            ("DELETE", ["channels", _, "messages", _]) => (5, 1),
            ("GET", ["guilds", _, "members", _]) => (self.limits.members, 10),
            (_, ["channels", ..]) => (10, 5),
            ("PATCH" | "POST", ["webhooks", ..]) => (5, 2),
            _ => return Ok(None),
        };
        // By what is done, and by the channel, the guild or the token.
        let kind: Vec<&str> = ask
            .path
            .iter()
            .map(|part| {
                if part.bytes().all(|byte| byte.is_ascii_digit()) || part.contains('%') {
                    "-"
                } else {
                    part
                }
            })
            .collect();
        let major = ask.path.get(1).copied().unwrap_or_default();
        let key = format!("{} {} {major}", ask.method, kind.join("/"));
        let window = Duration::from_secs(window);
        let now = Instant::now();
        let bucket = self.buckets.entry(key).or_insert(Bucket {
            used: 0,
            since: now,
        });
        if now.duration_since(bucket.since) >= window {
            *bucket = Bucket {
                used: 0,
                since: now,
            };
        }
        let after = window
            .saturating_sub(now.duration_since(bucket.since))
            .as_secs_f64();
        if bucket.used >= limit {
            self.seen.limited += 1;
            self.seen.invalid += 1;
            return Err(Reply::limited(after, false));
        }
        bucket.used += 1;
        Ok(Some((limit, limit - bucket.used, after)))
    }

    fn handle(&mut self, ask: &Ask<'_>, gateway: &str) -> Reply {
        let application = ids::BOT.to_string();
        let guild = ids::GUILD.to_string();
        let body = &ask.body;
        match (ask.method.as_str(), ask.path.as_slice()) {
            ("GET", ["gateway"]) => Reply::ok(serde_json::json!({ "url": gateway })),
            ("GET", ["gateway", "bot"]) => self.gateway_bot(gateway),
            ("GET", ["users", "@me"]) => Reply::ok(self.user(ids::BOT)),
            ("GET", ["applications", "@me"]) => self.application(),
            (
                "GET",
                ["applications", app, "commands"] | ["applications", app, "guilds", _, "commands"],
            ) if *app == application => Reply::ok(Value::Array(self.commands.clone())),
            (
                "PUT",
                ["applications", app, "commands"] | ["applications", app, "guilds", _, "commands"],
            ) if *app == application => self.register(body),
            ("GET", ["guilds", id]) if *id == guild => Self::guild(),
            ("GET", ["guilds", id, "roles"]) if *id == guild => Self::roles(),
            ("GET", ["guilds", id, "members", user]) if *id == guild => user
                .parse()
                .ok()
                .and_then(|user| self.member(user))
                .map_or_else(|| Reply::refused(404, 10007, "Unknown Member"), Reply::ok),
            ("POST", ["interactions", id, token, "callback"]) => self.callback(id, token, ask),
            ("PATCH", ["webhooks", app, token, "messages", "@original"]) if *app == application => {
                self.edit_answer(token, ask)
            }
            (_, ["channels", channel, rest @ ..]) => {
                let Ok(channel) = channel.parse() else {
                    return Reply::invalid("channel_id", "is not a snowflake");
                };
                self.in_channel(ask, channel, rest)
            }
            (_, ["webhooks", ..]) => Reply::refused(404, 10015, "Unknown Webhook"),
            (_, ["guilds", ..]) => Reply::refused(404, 10004, "Unknown Guild"),
            _ => Reply::refused(404, 0, "404: Not Found"),
        }
    }
}
