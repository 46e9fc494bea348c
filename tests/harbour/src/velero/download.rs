//! DownloadRequests, and the HTTP server of the object storage that the signed
//! addresses point at.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hmac::{Hmac, Mac};
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use kube::api::DynamicObject;
use serde::Deserialize;
use serde_json::json;
use sha2::Sha256;

use super::life::{Server, gone_is_fine};
use super::objects::{Kind, is_new, stamp, text, time};
use super::storage::File;

/// How long an address, and the request it answers, are good.
const TTL: SignedDuration = SignedDuration::from_mins(10);

/// Signs addresses, and knows its own signatures again.
pub(super) struct Signer {
    base: String,
    key: [u8; 16],
}

/// What follows the `?` of a signed address.
#[derive(Debug, Deserialize)]
struct Signed {
    /// Seconds since 1970.
    expires: i64,
    /// Hex digits.
    signature: String,
}

impl Signer {
    pub(super) fn new(addr: SocketAddr) -> Self {
        Self {
            base: format!("http://{addr}"),
            key: uuid::Uuid::new_v4().into_bytes(),
        }
    }

    fn mac(&self, key: &str, expires: i64) -> Option<Hmac<Sha256>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).ok()?;
        mac.update(format!("GET\n{key}\n{expires}").as_bytes());
        Some(mac)
    }

    /// The address of a file, good until `expires`.
    fn url(&self, key: &str, expires: Timestamp) -> Option<String> {
        let expires = expires.as_second();
        let signature = self.mac(key, expires)?.finalize().into_bytes();
        let signature = hex(&signature);
        Some(format!(
            "{}/{key}?expires={expires}&signature={signature}",
            self.base
        ))
    }

    fn accepts(&self, key: &str, signed: &Signed, now: Timestamp) -> bool {
        let Some(signature) = unhex(&signed.signature) else {
            return false;
        };
        let verified = self
            .mac(key, signed.expires)
            .is_some_and(|mac| mac.verify_slice(&signature).is_ok());
        verified && now.as_second() < signed.expires
    }
}

fn hex(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from_digit(u32::from(half), 16).unwrap_or('0');
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text
        .chars()
        .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect();
    let digits = digits.filter(|digits| digits.len() % 2 == 0)?;
    Some(
        digits
            .chunks_exact(2)
            .map(|pair| pair[0] << 4 | pair[1])
            .collect(),
    )
}

/// The HTTP side of the object storage.
pub(super) fn router(server: &Arc<Server>) -> Router {
    Router::new()
        .route("/{*key}", get(serve))
        .with_state(server.clone())
}

async fn serve(
    State(server): State<Arc<Server>>,
    Path(key): Path<String>,
    signed: Result<Query<Signed>, axum::extract::rejection::QueryRejection>,
) -> Response {
    let signed = signed.map(|Query(signed)| signed);
    if !signed.is_ok_and(|signed| server.signer.accepts(&key, &signed, Timestamp::now())) {
        return refusal(
            StatusCode::FORBIDDEN,
            "AccessDenied",
            "Request has expired or is not signed",
        );
    }
    match server.storage.raw(&key) {
        Ok(Some(body)) => ([(header::CONTENT_TYPE, "binary/octet-stream")], body).into_response(),
        Ok(None) => refusal(
            StatusCode::NOT_FOUND,
            "NoSuchKey",
            "The specified key does not exist.",
        ),
        Err(error) => {
            tracing::warn!(key, %error, "reading from the object storage");
            refusal(
                StatusCode::INTERNAL_SERVER_ERROR,
                "InternalError",
                "We encountered an internal error",
            )
        }
    }
}

fn refusal(status: StatusCode, code: &str, message: &str) -> Response {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    );
    (status, [(header::CONTENT_TYPE, "application/xml")], body).into_response()
}

/// Answers the requests whose target is there, gives the others an expiration,
/// and takes away what has expired.
pub(super) async fn pass(server: &Arc<Server>) -> anyhow::Result<Option<Duration>> {
    let mut next: Option<Timestamp> = None;
    for seen in server.seen(Kind::DownloadRequest) {
        let name = seen.name_any();
        let now = Timestamp::now();
        let expiration = time(&seen.data, "/status/expiration");
        if expiration.is_some_and(|expiration| expiration <= now) {
            server.delete(Kind::DownloadRequest, &name).await?;
            continue;
        }
        let good_until = now.checked_add(TTL)?;
        if is_new(&seen) {
            let live = server.live(Kind::DownloadRequest, &name).await?;
            let Some(live) = live.filter(is_new) else {
                continue;
            };
            let url = address(server, &live, good_until).await?;
            let mut status = json!({"expiration": stamp(good_until)});
            match url {
                Some(url) => {
                    status["phase"] = "Processed".into();
                    status["downloadURL"] = url.into();
                }
                None if expiration.is_some() => continue,
                None => {}
            }
            let change = json!({"status": status});
            gone_is_fine(server.patch(Kind::DownloadRequest, &name, change).await)?;
        }
        let expires = expiration.unwrap_or(good_until);
        next = Some(next.map_or(expires, |next| next.min(expires)));
    }
    Ok(next
        .map(|next| Duration::try_from(next.duration_since(Timestamp::now())).unwrap_or_default()))
}

/// The signed address of what is asked for; `None` while the Backup, or the
/// Restore and its Backup, are not there. Whether the file is there is not
/// looked at: a real object storage signs the address of anything.
async fn address(
    server: &Server,
    request: &DynamicObject,
    good_until: Timestamp,
) -> anyhow::Result<Option<String>> {
    let target = |field: &str| text(&request.data, &format!("/spec/target/{field}"));
    let (Some(name), Some(file)) = (target("name"), target("kind").and_then(File::of_target))
    else {
        return Ok(None);
    };
    let mut backup = name.to_owned();
    if file.of_restore() {
        let Some(restore) = server.live(Kind::Restore, name).await? else {
            return Ok(None);
        };
        text(&restore.data, "/spec/backupName")
            .unwrap_or_default()
            .clone_into(&mut backup);
    }
    if backup.is_empty() || server.live(Kind::Backup, &backup).await?.is_none() {
        return Ok(None);
    }
    Ok(server.signer.url(&file.key(name), good_until))
}
