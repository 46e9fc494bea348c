//! The logbook: what was asked for, where it stands and what was done, as a page that
//! can only be read.
//!
//! It knows nobody and keeps nobody out: it is off unless an address is configured, and
//! belongs behind the platform's own sign-in (see `deploy/openshift`).

mod pages;

use std::convert::Infallible;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderName, StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures::{Stream, StreamExt as _};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use kube::ResourceExt as _;
use maud::{DOCTYPE, Markup, html};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::caches::Caches;
use crate::effects::Clients;
use crate::effects::github::Github;

/// How often it is looked whether a page has to be shown anew.
const LOOK: Duration = Duration::from_millis(500);

/// What keeps anything but the page's own style and script from having an effect,
/// whatever people or the cluster wrote into what it shows.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

struct Book {
    caches: Caches,
    github: Github,
    zone: TimeZone,
    stop: CancellationToken,
}

/// Listens at an address; then serves until `stop`.
pub(super) async fn listen(
    address: SocketAddr,
    clients: &Clients,
    zone: TimeZone,
    stop: CancellationToken,
) -> anyhow::Result<impl Future<Output = ()> + Send + 'static> {
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("web.logbook: {address} cannot be listened at"))?;
    let book = Arc::new(Book {
        caches: clients.metrics.caches().clone(),
        github: clients.github.clone(),
        zone,
        stop: stop.clone(),
    });
    let router = Router::new()
        .route("/", get(index))
        .route("/restores/{name}", get(restore))
        .route("/schedules/{name}", get(schedule))
        .route("/coverage", get(coverage))
        .route("/events", get(events))
        .route("/logbook.css", get(style))
        .route("/logbook.js", get(script))
        .with_state(book);
    Ok(async move {
        let stopped = async move { stop.cancelled().await };
        let served = axum::serve(listener, router).with_graceful_shutdown(stopped);
        if let Err(error) = served.await {
            tracing::error!(%error, "the logbook is served no more");
        }
    })
}

async fn index(State(book): State<Arc<Book>>) -> Response {
    let (restores, schedules) = (book.caches.restores(), book.caches.schedules());
    let copies = book.caches.copies();
    let content = if book.caches.are_kept() {
        pages::index(&restores, &schedules, &copies, &book.zone, Timestamp::now())
    } else {
        standing_by()
    };
    page("Requests", &content)
}

async fn restore(State(book): State<Arc<Book>>, Path(name): Path<String>) -> Response {
    let all = book.caches.restores();
    match all.iter().find(|request| request.name_any() == name) {
        Some(request) => {
            let content = pages::restore(request, &book.zone, Timestamp::now());
            page(&format!("Restore {name}"), &content)
        }
        None => absent(&name),
    }
}

async fn schedule(State(book): State<Arc<Book>>, Path(name): Path<String>) -> Response {
    let all = book.caches.schedules();
    match all.iter().find(|request| request.name_any() == name) {
        Some(request) => {
            let content = pages::schedule(request, &book.zone);
            page(&format!("Change of schedules {name}"), &content)
        }
        None => absent(&name),
    }
}

async fn coverage(State(book): State<Arc<Book>>) -> Response {
    let Some(shelf) = book.caches.shelf() else {
        return page("Coverage", &standing_by());
    };
    let orders = match book.github.all_orders().await {
        Ok(orders) => orders.into_iter().filter_map(|read| read.order.ok()),
        Err(error) => {
            tracing::warn!(error = format!("{error:#}"), "the orders cannot be read");
            let content = html! { p.bad { "The orders cannot be read at the moment." } };
            return (StatusCode::BAD_GATEWAY, page("Coverage", &content)).into_response();
        }
    };
    let (orders, now): (Vec<_>, _) = (orders.collect(), Timestamp::now());
    let shown = shelf.look(|backups, schedules| {
        crate::backups::everything(&orders, true, backups, schedules, now, &book.zone)
    });
    page("Coverage", &pages::coverage(&shown, &book.zone))
}

/// Says `changed` whenever a page may look different now.
async fn events(
    State(book): State<Arc<Book>>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let stop = book.stop.clone();
    let changes = futures::stream::unfold((book, None), |(book, before)| async move {
        loop {
            let now = version(&book.caches);
            if before != Some(now) {
                let event = before.map(|_| Event::default().event("changed").data("."));
                return Some((event, (book, Some(now))));
            }
            tokio::time::sleep(LOOK).await;
        }
    });
    let changes = changes
        .filter_map(std::future::ready)
        .map(Ok)
        .take_until(stop.cancelled_owned());
    Sse::new(changes).keep_alive(KeepAlive::default())
}

/// Changes whenever a request does.
fn version(caches: &Caches) -> u64 {
    let mut hasher = DefaultHasher::new();
    for request in caches.restores() {
        (request.uid(), request.resource_version()).hash(&mut hasher);
    }
    for request in caches.schedules() {
        (request.uid(), request.resource_version()).hash(&mut hasher);
    }
    for request in caches.copies() {
        (request.uid(), request.resource_version()).hash(&mut hasher);
    }
    hasher.finish()
}

async fn style() -> Response {
    let css = include_str!("logbook.css");
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], css).into_response()
}

async fn script() -> Response {
    let js = include_str!("logbook.js");
    (
        [(header::CONTENT_TYPE, "text/javascript; charset=utf-8")],
        js,
    )
        .into_response()
}

fn standing_by() -> Markup {
    html! { p { "This replica stands by: another one works, and shows the logbook." } }
}

fn absent(name: &str) -> Response {
    let content = html! { p { "There is no request called " code { (name) } "." } };
    (StatusCode::NOT_FOUND, page("Not found", &content)).into_response()
}

fn page(title: &str, content: &Markup) -> Response {
    let whole = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) " - Refloat" }
                link rel="stylesheet" href="/logbook.css";
                noscript { meta http-equiv="refresh" content="10"; }
                script src="/logbook.js" defer {}
            }
            body {
                nav { a href="/" { "Requests" } a href="/coverage" { "Coverage" } }
                main { h1 { (title) } (content) }
            }
        }
    };
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CACHE_CONTROL, "no-store"),
        (HeaderName::from_static("referrer-policy"), "no-referrer"),
    ];
    (headers, whole.into_string()).into_response()
}
