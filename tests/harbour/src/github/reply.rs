//! A request after routing, and the answer to it: JSON, pages and ETags.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::errors::ApiError;
use super::objects::hex;

/// What a request asks beyond its method and path.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) query: Vec<(String, String)>,
    pub(super) body: Bytes,
    /// True where the client wants a file's bytes rather than JSON.
    pub(super) raw: bool,
    /// The absolute address without query, for links to other pages.
    pub(super) url: String,
}

impl Ask {
    /// A query parameter; an empty one counts as absent.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.query.iter().find(|(key, _)| key == name);
        found
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    }

    /// The JSON body; an absent one is an empty object.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        let body: &[u8] = if self.body.is_empty() {
            b"{}"
        } else {
            &self.body
        };
        let value: Value = serde_json::from_slice(body)
            .map_err(|_| ApiError::new(400, "Problems parsing JSON"))?;
        if !value.is_object() {
            return Err(ApiError::new(400, "Body should be a JSON object"));
        }
        serde_json::from_value(value).map_err(|error| {
            let error = error.to_string();
            let field = error
                .strip_prefix("missing field `")
                .and_then(|rest| rest.split('`').next());
            let why = field.map_or_else(
                || error.clone(),
                |field| format!("\"{field}\" wasn't supplied."),
            );
            ApiError::new(422, format!("Invalid request.\n\n{why}"))
        })
    }

    /// The part of `items` that this request's page holds, and the links.
    pub(super) fn page<T>(&self, items: Vec<T>) -> (Vec<T>, Option<String>) {
        let number = |name| self.get(name).and_then(|text| text.parse::<usize>().ok());
        let size = number("per_page").unwrap_or(30).clamp(1, 100);
        let page = number("page").unwrap_or(1).max(1);
        let last = items.len().div_ceil(size).max(1);
        let mut links = Vec::new();
        let mut link = |to: usize, rel: &str| {
            let others = self.query.iter().filter(|(key, _)| key != "page");
            let others = others.map(|(key, value)| format!("{}={}", encode(key), encode(value)));
            let query: Vec<String> = others.chain([format!("page={to}")]).collect();
            let query = query.join("&");
            links.push(format!("<{}?{query}>; rel=\"{rel}\"", self.url));
        };
        if page > 1 {
            link(page - 1, "prev");
        }
        if page < last {
            link(page + 1, "next");
            link(last, "last");
        }
        if page > 1 {
            link(1, "first");
        }
        let items = items
            .into_iter()
            .skip((page - 1).saturating_mul(size))
            .take(size)
            .collect();
        (items, (!links.is_empty()).then(|| links.join(", ")))
    }

    /// Answers with a page of `items`, each put into JSON by `show`.
    pub(super) fn list<T>(&self, items: Vec<T>, show: impl FnMut(T) -> Value) -> Reply {
        let (items, link) = self.page(items);
        let mut reply = Reply::json(200, Value::Array(items.into_iter().map(show).collect()));
        reply.link = link;
        reply
    }
}

/// An answer before it is put on the wire.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) body: Content,
    pub(super) link: Option<String>,
    retry_after: Option<u64>,
}

#[derive(Debug)]
pub(super) enum Content {
    Json(Value),
    Raw(Vec<u8>),
    Empty,
}

impl Reply {
    pub(super) fn json(status: u16, body: Value) -> Self {
        Self {
            status,
            body: Content::Json(body),
            link: None,
            retry_after: None,
        }
    }

    pub(super) fn raw(bytes: Vec<u8>) -> Self {
        Self {
            status: 200,
            body: Content::Raw(bytes),
            link: None,
            retry_after: None,
        }
    }

    pub(super) fn empty(status: u16) -> Self {
        Self {
            status,
            body: Content::Empty,
            link: None,
            retry_after: None,
        }
    }

    /// The response; for a `GET` with its ETag, or 304 if the client has this very answer.
    pub(super) fn respond(self, reads: bool, asked: &HeaderMap) -> Response<Body> {
        let (bytes, kind) = match self.body {
            Content::Json(value) => (
                value.to_string().into_bytes(),
                "application/json; charset=utf-8",
            ),
            Content::Raw(bytes) => (bytes, "application/vnd.github.raw+json; charset=utf-8"),
            Content::Empty => (Vec::new(), ""),
        };
        let mut response = Response::new(Body::empty());
        *response.status_mut() =
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        let mut put = |name: header::HeaderName, value: &str| {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(name, value);
            }
        };
        if !kind.is_empty() {
            put(header::CONTENT_TYPE, kind);
        }
        if let Some(link) = &self.link {
            put(header::LINK, link);
        }
        if let Some(seconds) = self.retry_after {
            put(header::RETRY_AFTER, &seconds.to_string());
        }
        if reads && self.status == 200 {
            put(header::CACHE_CONTROL, "private, max-age=60, s-maxage=60");
            let digest =
                Sha256::digest([&bytes, self.link.unwrap_or_default().as_bytes()].concat());
            let tag = hex(&digest);
            put(header::ETAG, &format!("W/\"{tag}\""));
            let known = asked
                .get_all(header::IF_NONE_MATCH)
                .iter()
                .filter_map(|v| v.to_str().ok());
            if known
                .flat_map(|tags| tags.split(','))
                .any(|known| known.trim() == "*" || known.contains(&tag))
            {
                headers.remove(header::CONTENT_TYPE);
                *response.status_mut() = StatusCode::NOT_MODIFIED;
                return response;
            }
        }
        *response.body_mut() = Body::from(bytes);
        response
    }
}

impl From<ApiError> for Reply {
    fn from(error: ApiError) -> Self {
        let mut reply = Self::json(error.status, error.body);
        reply.retry_after = error.retry_after;
        reply
    }
}

/// Percent-encodes all but letters, digits and `-._~/`.
pub(super) fn encode(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out += &hex(&[byte]).to_uppercase();
        }
    }
    out
}

/// Undoes percent-encoding; what is not valid stays as it is.
pub(super) fn decode(text: &str) -> String {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let hex = (byte == b'%').then(|| tail.get(..2)).flatten();
        let value = hex
            .and_then(|hex| std::str::from_utf8(hex).ok())
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        out.push(value.unwrap_or(byte));
        rest = if value.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8_lossy(&out).into_owned()
}
