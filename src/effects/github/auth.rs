//! Signing in: with a token, or as a GitHub App.
//!
//! An App signs a short-lived JWT with its key, finds its installation on the
//! repository, and trades the JWT for a token that is narrowed to this one
//! repository and to what Refloat does there. The token is renewed before it ends.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderValue, Method};
use jiff::Timestamp;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject as _;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::Mutex;

use super::Github;
use super::transport::{Refusal, decode};
use crate::config::Secret;

/// A token is renewed when less than this is left, or a quarter of its life.
const MARGIN: Duration = Duration::from_mins(5);

/// As whom Refloat signs in.
#[derive(Clone, Debug)]
pub enum Credentials {
    Token(Secret),
    App { id: u64, key: Secret },
}

/// The credentials, and the installation's token while there is one.
#[derive(Debug)]
pub(super) struct Auth {
    credentials: Credentials,
    /// Held while a token is fetched, so that only one is.
    installed: Mutex<Installed>,
}

#[derive(Debug, Default)]
struct Installed {
    installation: Option<u64>,
    token: Option<Token>,
}

#[derive(Debug)]
struct Token {
    value: SecretString,
    renew_at: Instant,
}

#[derive(Deserialize)]
struct Installation {
    id: u64,
}

#[derive(Deserialize)]
struct Granted {
    token: SecretString,
    expires_at: Timestamp,
}

impl Auth {
    pub(super) fn new(credentials: Credentials) -> Self {
        Self {
            credentials,
            installed: Mutex::default(),
        }
    }
}

impl Github {
    /// The `Authorization` header for a request to the repository.
    pub(super) async fn authorization(&self) -> Result<HeaderValue, Refusal> {
        match &self.auth.credentials {
            Credentials::Token(token) => bearer(&token.get()),
            Credentials::App { id, key } => {
                let mut installed = self.auth.installed.lock().await;
                if let Some(token) = &installed.token
                    && Instant::now() < token.renew_at
                {
                    return bearer(&token.value);
                }
                let jwt = jwt(*id, &key.get(), Timestamp::now())
                    .map_err(|why| Refusal::unsigned(&why))?;
                let jwt = bearer(&jwt)?;
                let installation = match installed.installation {
                    Some(installation) => installation,
                    None => self.installation(&jwt).await?,
                };
                installed.installation = Some(installation);
                match self.grant(&jwt, installation).await {
                    Ok(granted) => {
                        let header = bearer(&granted.token)?;
                        installed.token = Some(Token {
                            renew_at: renewal(granted.expires_at, Timestamp::now()),
                            value: granted.token,
                        });
                        Ok(header)
                    }
                    Err(refusal) => {
                        // The App may have been installed anew, under another number.
                        installed.installation = None;
                        Err(refusal)
                    }
                }
            }
        }
    }

    /// Forgets a token that GitHub no longer takes; false if there is none to forget.
    pub(super) async fn forget_token(&self) -> bool {
        match &self.auth.credentials {
            Credentials::Token(_) => false,
            Credentials::App { .. } => {
                let mut installed = self.auth.installed.lock().await;
                installed.installation = None;
                installed.token.take().is_some()
            }
        }
    }

    async fn installation(&self, jwt: &HeaderValue) -> Result<u64, Refusal> {
        let what = "find the App's installation on the repository";
        let route = self.route("installation");
        let body = self.once(Method::GET, &route, None, jwt, what).await?;
        Ok(decode::<Installation>(&body, what)?.id)
    }

    async fn grant(&self, jwt: &HeaderValue, installation: u64) -> Result<Granted, Refusal> {
        let what = "get a token for the App's installation";
        let mut permissions = json!({
            "contents": "write",
            "pull_requests": "write",
            "checks": "read",
            "metadata": "read",
        });
        if self.team.is_some() {
            permissions["members"] = json!("read");
        }
        let body = json!({
            "repositories": [self.repository],
            "permissions": permissions,
        });
        let route = format!("/app/installations/{installation}/access_tokens");
        let body = self
            .once(Method::POST, &route, Some(&body), jwt, what)
            .await?;
        decode(&body, what)
    }
}

fn bearer(token: &SecretString) -> Result<HeaderValue, Refusal> {
    let mut value = HeaderValue::try_from(format!("Bearer {}", token.expose_secret()))
        .map_err(|_| Refusal::unsigned("the token holds characters that no token holds"))?;
    value.set_sensitive(true);
    Ok(value)
}

fn renewal(expires: Timestamp, now: Timestamp) -> Instant {
    let left = expires.duration_since(now).max(jiff::SignedDuration::ZERO);
    let left = left.unsigned_abs();
    Instant::now() + left.saturating_sub(MARGIN.min(left / 4))
}

/// A JWT as GitHub wants it of an App: RS256, issued a minute ago against clocks
/// that differ, and good for nine minutes of the ten that are allowed.
fn jwt(app: u64, key: &SecretString, now: Timestamp) -> Result<SecretString, String> {
    let pem = key.expose_secret().as_bytes();
    let der = PrivateKeyDer::from_pem_slice(pem)
        .map_err(|_| "the App's private key is no PEM file with a private key".to_owned())?;
    let pair = match &der {
        PrivateKeyDer::Pkcs1(key) => RsaKeyPair::from_der(key.secret_pkcs1_der()),
        PrivateKeyDer::Pkcs8(key) => RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()),
        _ => return Err("the App's private key is not an RSA key".to_owned()),
    };
    let pair = pair.map_err(|_| "the App's private key is not a usable RSA key".to_owned())?;
    let now = now.as_second();
    let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!(
        "{}.{}",
        part(json!({ "alg": "RS256", "typ": "JWT" })),
        part(json!({ "iat": now - 60, "exp": now + 540, "iss": app.to_string() }))
    );
    let mut signature = vec![0; pair.public().modulus_len()];
    pair.sign(
        &RSA_PKCS1_SHA256,
        &SystemRandom::new(),
        signed.as_bytes(),
        &mut signature,
    )
    .map_err(|_| "the App's private key cannot sign".to_owned())?;
    Ok(SecretString::from(format!(
        "{signed}.{}",
        URL_SAFE_NO_PAD.encode(signature)
    )))
}

/// Tells early that a key cannot be used.
pub(crate) fn check_key(key: &Secret) -> anyhow::Result<()> {
    jwt(1, &key.get(), Timestamp::now())
        .map(|_| ())
        .map_err(anyhow::Error::msg)
        .context("github.app.privateKeyFile")
}
