//! What Refloat serves over HTTP: health, metrics, and GitHub's webhooks.
//!
//! A webhook decides nothing: it only says where to look sooner than the next poll
//! would. What is true is read from GitHub's API.

mod webhook;

use std::sync::Arc;

use anyhow::Context as _;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::config;
use crate::controller::Waker;
use crate::effects::github::Github;

use webhook::Webhooks;

/// The greatest body of a webhook that is read.
const MOST_BYTES: usize = 1 << 20;

struct Served {
    github: Github,
    webhooks: Option<Webhooks>,
    wake: Waker,
}

/// Listens, so that an address that is taken is told before anything starts; then
/// serves until `stop`.
pub async fn listen(
    settings: &config::Web,
    github: Github,
    wake: Waker,
    stop: CancellationToken,
) -> anyhow::Result<impl Future<Output = ()> + Send + 'static> {
    let address = settings.listen;
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("web.listen: {address} cannot be listened at"))?;
    let webhooks = settings.webhook_secret.clone().map(Webhooks::new);
    let served = Arc::new(Served {
        github,
        webhooks,
        wake,
    });
    let router = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        // It is listened at only once the API server has answered.
        .route("/readyz", get(|| async { "ok\n" }))
        .route("/metrics", get(metrics))
        .route("/webhooks/github", post(github_webhook))
        .with_state(served);
    Ok(async move {
        let stopped = async move { stop.cancelled().await };
        let served = axum::serve(listener, router).with_graceful_shutdown(stopped);
        if let Err(error) = served.await {
            tracing::error!(%error, "nothing is served any more");
        }
    })
}

async fn metrics(State(served): State<Arc<Served>>) -> Response {
    let mut text = served.github.meter().text();
    if let Some(webhooks) = &served.webhooks {
        text.push_str(&webhooks.text());
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response()
}

async fn github_webhook(State(served): State<Arc<Served>>, request: Request) -> Response {
    let Some(webhooks) = &served.webhooks else {
        return (
            StatusCode::NOT_FOUND,
            "no webhookSecretFile is configured\n",
        )
            .into_response();
    };
    let (head, body) = request.into_parts();
    let Some(body) = read(body).await else {
        return webhooks.refuse(webhook::Refused::Oversized);
    };
    match webhooks.take(&head.headers, &body, &served.github) {
        Ok(wakes) => {
            for wake in wakes {
                // Nobody listens only while everything ends.
                let _ = served.wake.send(wake);
            }
            (StatusCode::ACCEPTED, "seen\n").into_response()
        }
        Err(refused) => webhooks.refuse(refused),
    }
}

async fn read(body: Body) -> Option<bytes::Bytes> {
    axum::body::to_bytes(body, MOST_BYTES).await.ok()
}
