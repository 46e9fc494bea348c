//! Answers of the REST API, with the codes that Discord gives.

use axum::body::Body;
use hyper::{Response, StatusCode};
use serde_json::{Value, json};

/// An answer before its headers.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) body: Option<Value>,
    pub(super) headers: Vec<(&'static str, String)>,
}

impl Reply {
    pub(super) fn ok(body: Value) -> Self {
        Self {
            status: 200,
            body: Some(body),
            headers: Vec::new(),
        }
    }

    pub(super) fn created(body: Value) -> Self {
        Self {
            status: 201,
            ..Self::ok(body)
        }
    }

    pub(super) fn nothing() -> Self {
        Self {
            status: 204,
            body: None,
            headers: Vec::new(),
        }
    }

    pub(super) fn refused(status: u16, code: u32, message: &str) -> Self {
        Self {
            status,
            ..Self::ok(json!({ "code": code, "message": message }))
        }
    }

    /// A field that is not as it must be.
    pub(super) fn invalid(field: &str, message: &str) -> Self {
        Self {
            status: 400,
            ..Self::ok(json!({
                "code": 50035,
                "message": "Invalid Form Body",
                "errors": { field: { "_errors": [{ "code": "INVALID", "message": message }] } },
            }))
        }
    }

    pub(super) fn limited(seconds: f64, global: bool) -> Self {
        let mut reply = Self {
            status: 429,
            ..Self::ok(json!({
                "message": "You are being rate limited.",
                "retry_after": seconds,
                "global": global,
            }))
        };
        reply
            .headers
            .push(("retry-after", format!("{}", seconds.ceil().max(1.0))));
        if global {
            reply
                .headers
                .push(("x-ratelimit-global", "true".to_owned()));
        } else {
            reply.headers.push(("x-ratelimit-scope", "user".to_owned()));
        }
        reply
    }

    pub(super) fn into_response(self) -> Response<Body> {
        let mut response = Response::builder()
            .status(StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR))
            .header("content-type", "application/json");
        for (name, value) in self.headers {
            response = response.header(name, value);
        }
        let body = self
            .body
            .map_or_else(Body::empty, |body| Body::from(body.to_string()));
        response.body(body).unwrap_or_default()
    }
}
