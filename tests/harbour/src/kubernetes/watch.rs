//! Watching: the changes of a resource as a stream of lines.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::Instant;

use super::kinds::Kind;
use super::read::render;
use super::request::{Query, View};
use super::selector::Selector;
use super::status::{Failure, raw};
use super::store::{Change, Object, Store};

/// How long a watch lasts if the client does not say.
const LASTS: Duration = Duration::from_mins(30);
/// How often a bookmark is sent.
const BOOKMARK_EVERY: Duration = Duration::from_secs(5);

struct Watch {
    store: Arc<Store>,
    kind: Arc<Kind>,
    ns: Option<String>,
    selector: Selector,
    view: View,
    bookmarks: bool,
    changed: watch::Receiver<u64>,
    /// Changes up to this version have been told.
    told: u64,
    ready: VecDeque<Bytes>,
    ends: Instant,
    next_bookmark: Instant,
    over: bool,
}

/// Opens a watch.
pub(super) fn open(
    store: &Arc<Store>,
    kind: &Arc<Kind>,
    ns: Option<&str>,
    query: &Query,
    view: View,
) -> Result<Response, Failure> {
    let selector = Selector::parse(kind, query.get("labelSelector"), query.get("fieldSelector"))?;
    let asked = query.number("resourceVersion")?;
    let initial = query.flag("sendInitialEvents");
    let bookmarks = query.flag("allowWatchBookmarks");
    let matching = query.get("resourceVersionMatch");
    match (query.get("sendInitialEvents"), matching) {
        (None, Some(_)) => {
            return Err(Failure::bad_request(
                "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
            ));
        }
        (Some(_), other) if other != Some("NotOlderThan") => {
            return Err(Failure::bad_request(
                "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
            ));
        }
        _ => {}
    }
    let lasts = query
        .number("timeoutSeconds")?
        .map_or(LASTS, Duration::from_secs);
    let now = Instant::now();
    let mut world = store.lock();
    let version = world.version;
    if let Some(asked) = asked
        && asked > version
    {
        return Err(Failure::too_large(asked, version));
    }
    let collection = world.collection(kind);
    let mut watch = Watch {
        store: Arc::clone(store),
        kind: Arc::clone(kind),
        ns: ns.map(str::to_owned),
        selector,
        view,
        bookmarks,
        changed: collection.changed.subscribe(),
        told: asked.unwrap_or(version),
        ready: VecDeque::new(),
        ends: now + lasts,
        next_bookmark: now + BOOKMARK_EVERY,
        over: false,
    };
    // Without a version to start from, the present objects come first.
    let from_present =
        asked.is_none_or(|asked| asked == 0) && query.get("sendInitialEvents") != Some("false");
    if initial || from_present {
        let mut lines = Vec::new();
        for (_, object) in collection.within(ns) {
            if watch.selector.matches(&object.value) {
                watch.line(&mut lines, "ADDED", object);
            }
        }
        watch.told = version;
        if initial && bookmarks {
            watch.bookmark(&mut lines, true);
        }
        if !lines.is_empty() {
            watch.ready.push_back(lines.into());
        }
    } else if asked == Some(0) {
        watch.told = version;
    }
    watch.changed.mark_changed();
    drop(world);
    let stream = futures::stream::unfold(watch, |mut watch| async move {
        let chunk = watch.next().await?;
        Some((Ok::<_, Infallible>(chunk), watch))
    });
    let mut response = raw(200, Bytes::new());
    *response.body_mut() = Body::from_stream(stream);
    Ok(response)
}

impl Watch {
    /// The next lines; none when the watch is over.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(chunk) = self.ready.pop_front() {
                return Some(chunk);
            }
            if self.over {
                return None;
            }
            tokio::select! {
                biased;
                changed = self.changed.changed() => {
                    self.collect();
                    // An error means that the resource is gone, or the history was forgotten.
                    self.over |= changed.is_err();
                }
                () = tokio::time::sleep_until(self.ends) => {
                    self.mark();
                    self.over = true;
                }
                () = tokio::time::sleep_until(self.next_bookmark), if self.bookmarks => self.mark(),
            }
        }
    }

    /// Takes in the changes since the last look.
    fn collect(&mut self) {
        let store = Arc::clone(&self.store);
        let mut world = store.lock();
        let version = world.version;
        let changes = world.collection(&self.kind).since(self.told);
        drop(world);
        let mut lines = Vec::new();
        if let Some(changes) = changes {
            for change in changes {
                self.tell(&mut lines, &change);
            }
            self.told = version;
        } else {
            let failure = Failure::expired(format!(
                "too old resource version: {} ({version})",
                self.told
            ));
            event(&mut lines, "ERROR", failure.status().to_string().as_bytes());
            self.over = true;
        }
        if !lines.is_empty() {
            self.ready.push_back(lines.into());
        }
    }

    fn tell(&self, lines: &mut Vec<u8>, change: &Change) {
        if self.ns.as_ref().is_some_and(|ns| *ns != change.key.ns) {
            return;
        }
        let was = change
            .before
            .as_ref()
            .is_some_and(|before| self.selector.matches(&before.value));
        let is = !change.deleted && self.selector.matches(&change.object.value);
        match (was, is) {
            (false, true) => self.line(lines, "ADDED", &change.object),
            (true, true) => self.line(lines, "MODIFIED", &change.object),
            (true, false) => self.line(lines, "DELETED", &change.object),
            (false, false) => {}
        }
    }

    fn line(&self, lines: &mut Vec<u8>, what: &str, object: &Object) {
        event(lines, what, &render(&self.kind, object, self.view));
    }

    fn bookmark(&self, lines: &mut Vec<u8>, initial: bool) {
        let (kind, version) = match self.view {
            View::Whole => (self.kind.kind.as_str(), self.kind.api_version()),
            View::Metadata => ("PartialObjectMetadata", "meta.k8s.io/v1".to_owned()),
        };
        let mut object: Value = json!({
            "kind": kind,
            "apiVersion": version,
            "metadata": {"resourceVersion": self.told.to_string(), "creationTimestamp": null},
        });
        if initial {
            object["metadata"]["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        event(lines, "BOOKMARK", object.to_string().as_bytes());
    }

    /// Sends a bookmark for the present version.
    fn mark(&mut self) {
        self.collect();
        self.next_bookmark = Instant::now() + BOOKMARK_EVERY;
        if self.bookmarks && !self.over {
            let mut lines = Vec::new();
            self.bookmark(&mut lines, false);
            self.ready.push_back(lines.into());
        }
    }
}

fn event(lines: &mut Vec<u8>, what: &str, object: &[u8]) {
    lines.extend_from_slice(b"{\"type\":\"");
    lines.extend_from_slice(what.as_bytes());
    lines.extend_from_slice(b"\",\"object\":");
    lines.extend_from_slice(object);
    lines.extend_from_slice(b"}\n");
}
