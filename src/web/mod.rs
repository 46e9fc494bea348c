//! What Refloat serves over HTTP: health, metrics, GitHub's webhooks, and the logbook.
//!
//! A webhook decides nothing: it only says where to look sooner than the next poll
//! would. What is true is read from GitHub's API.

mod logbook;
mod ready;
mod webhook;

use std::sync::Arc;

use anyhow::Context as _;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use jiff::tz::TimeZone;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::config;
use crate::controller::Waker;
use crate::effects::Clients;
use crate::effects::github::Github;
use crate::telemetry::{Metrics, metrics};

pub use ready::{Need, Readiness};
use webhook::Webhooks;

/// The greatest body of a webhook that is read.
const MOST_BYTES: usize = 1 << 20;

struct Served {
    github: Github,
    webhooks: Option<Webhooks>,
    wake: Waker,
    metrics: Metrics,
    ready: Readiness,
}

/// Listens, so that an address that is taken is told before anything starts; then
/// serves until `stop`.
pub async fn listen(
    settings: &config::Web,
    clients: &Clients,
    zone: TimeZone,
    wake: Waker,
    ready: Readiness,
    stop: CancellationToken,
) -> anyhow::Result<impl Future<Output = ()> + Send + 'static> {
    let logbook = match settings.logbook {
        Some(address) => {
            let stop = stop.clone();
            Some(logbook::listen(address, clients, zone, stop).await?)
        }
        None => None,
    };
    let address = settings.listen;
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("web.listen: {address} cannot be listened at"))?;
    let metrics = clients.metrics.clone();
    let secret = settings.webhook_secret.clone();
    let served = Arc::new(Served {
        github: clients.github.clone(),
        webhooks: secret.map(|secret| Webhooks::new(secret, &metrics)),
        wake,
        metrics,
        ready,
    });
    let router = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(scraped))
        .route("/webhooks/github", post(github_webhook))
        .with_state(served);
    Ok(async move {
        let stopped = async move { stop.cancelled().await };
        let served = axum::serve(listener, router).with_graceful_shutdown(stopped);
        let served = async {
            if let Err(error) = served.await {
                tracing::error!(%error, "nothing is served any more");
            }
        };
        let logbook = async {
            if let Some(logbook) = logbook {
                logbook.await;
            }
        };
        tokio::join!(served, logbook);
    })
}

async fn scraped(State(served): State<Arc<Served>>) -> Response {
    let text = served.metrics.text();
    ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response()
}

async fn readyz(State(served): State<Arc<Served>>) -> Response {
    match served.ready.missing() {
        None => "ok\n".into_response(),
        Some(missing) => (StatusCode::SERVICE_UNAVAILABLE, format!("{missing}\n")).into_response(),
    }
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
