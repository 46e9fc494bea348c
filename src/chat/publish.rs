//! The publishing loop: makes the chat's threads match the requests.
//!
//! One watch, and a task for each request, so that a thread whose chat is slow
//! or down holds up neither the others nor any work. A task always renders the
//! latest state: what changed while it was publishing is told by what stands at
//! the end of it.

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::NamespaceResourceScope;
use kube::core::DeserializeGuard;
use kube::runtime::WatchStreamExt;
use kube::runtime::utils::Backoff;
use kube::runtime::watcher::{self, DefaultBackoff, Event, watcher};
use kube::{Api, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::render::{RenderContext, render};
use super::{Chat, Thread};
use crate::request::conditions::ended_at;
use crate::request::{Condition, RestoreRequest, phase};

/// A kind of request that has a thread.
pub trait Threaded:
    Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + Clone
    + Debug
    + DeserializeOwned
    + Send
    + Sync
    + 'static
{
    /// What a chat is to show of it.
    fn thread(&self, context: &RenderContext) -> Thread;

    fn is_over(&self) -> bool;

    fn conditions(&self) -> &[Condition];

    /// It ended so long ago that it has had its last word.
    fn is_settled(&self, now: Timestamp, within: SignedDuration) -> bool {
        self.is_over()
            && ended_at(self.conditions()).is_none_or(|at| now.duration_since(at) > within)
    }
}

impl Threaded for RestoreRequest {
    fn thread(&self, context: &RenderContext) -> Thread {
        render(self, context)
    }

    fn is_over(&self) -> bool {
        self.status
            .as_ref()
            .is_some_and(|status| phase(status).is_over())
    }

    fn conditions(&self) -> &[Condition] {
        self.status
            .as_ref()
            .map_or(&[], |status| &status.conditions)
    }
}

/// Publishes every request of a kind in `namespace` until `stop` is cancelled.
///
/// Requests that had long been over when the loop began are left alone; one
/// that ended just before may have its last word still to be said. An object that
/// cannot be read is logged and passed over. Whatever fails is tried again
/// after growing pauses.
pub async fn run<K: Threaded, C: Chat>(
    client: kube::Client,
    namespace: String,
    chat: Arc<C>,
    context: RenderContext,
    stop: CancellationToken,
) {
    let api: Api<DeserializeGuard<K>> = Api::namespaced(client, &namespace);
    let tasks = TaskTracker::new();
    let mut threads = Threads::<K, C> {
        chat,
        context: Arc::new(context),
        stop: stop.clone(),
        tasks: tasks.clone(),
        known: HashMap::new(),
        began: false,
        listed: Vec::new(),
    };
    let mut events = std::pin::pin!(watcher(api, watcher::Config::default()).default_backoff());
    loop {
        let event = tokio::select! {
            () = stop.cancelled() => break,
            event = events.next() => event,
        };
        match event {
            Some(Ok(event)) => threads.see(event),
            Some(Err(error)) => {
                tracing::warn!(%error, "watching the requests failed; it is tried again");
            }
            None => break,
        }
    }
    drop(threads);
    tasks.close();
    tasks.wait().await;
}

struct Threads<K, C> {
    chat: Arc<C>,
    context: Arc<RenderContext>,
    stop: CancellationToken,
    tasks: TaskTracker,
    /// By uid, since a name can be used again. A task ends when its sender is dropped.
    known: HashMap<String, watch::Sender<Arc<K>>>,
    /// The first list has been read.
    began: bool,
    /// The uids seen in the list that is being read.
    listed: Vec<String>,
}

impl<K: Threaded, C: Chat> Threads<K, C> {
    fn see(&mut self, event: Event<DeserializeGuard<K>>) {
        match event {
            Event::Init => self.listed.clear(),
            Event::InitApply(object) => {
                if let Some(uid) = object.meta_uid() {
                    self.listed.push(uid);
                }
                self.changed(object);
            }
            Event::InitDone => {
                let listed = std::mem::take(&mut self.listed);
                self.known.retain(|uid, _| listed.contains(uid));
                self.began = true;
            }
            Event::Apply(object) => self.changed(object),
            Event::Delete(object) => {
                if let Some(uid) = object.meta_uid() {
                    self.known.remove(&uid);
                }
            }
        }
    }

    fn changed(&mut self, DeserializeGuard(object): DeserializeGuard<K>) {
        let request = match object {
            Ok(request) => request,
            Err(error) => {
                let name = error.metadata.name.as_deref().unwrap_or_default();
                tracing::warn!(request = name, %error, "a request cannot be read and is not published");
                return;
            }
        };
        let Some(uid) = request.uid() else {
            return;
        };
        let request = Arc::new(request);
        if let Some(known) = self.known.get(&uid) {
            known.send_replace(request);
            return;
        }
        let within = self.chat.last_words_within();
        if !self.began && request.is_settled(Timestamp::now(), within) {
            return;
        }
        let (sender, receiver) = watch::channel(request);
        self.known.insert(uid, sender);
        self.tasks.spawn(follow(
            receiver,
            Arc::clone(&self.chat),
            Arc::clone(&self.context),
            self.stop.clone(),
        ));
    }
}

/// The uid of an object, whether it can be read or not.
trait MetaUid {
    fn meta_uid(&self) -> Option<String>;
}

impl<K: Threaded> MetaUid for DeserializeGuard<K> {
    fn meta_uid(&self) -> Option<String> {
        match &self.0 {
            Ok(request) => request.uid(),
            Err(error) => error.metadata.uid.clone(),
        }
    }
}

/// Keeps one thread as its request says, until the request is gone.
pub async fn follow<K: Threaded, C: Chat>(
    mut requests: watch::Receiver<Arc<K>>,
    chat: Arc<C>,
    context: Arc<RenderContext>,
    stop: CancellationToken,
) {
    let name = requests.borrow().name_any();
    let mut published: Option<Thread> = None;
    let mut pauses = DefaultBackoff::default();
    let mut failing_since: Option<Timestamp> = None;
    loop {
        let mut thread = Arc::clone(&requests.borrow_and_update()).thread(&context);
        if published.as_ref() != Some(&thread) {
            tokio::select! {
                () = stop.cancelled() => return,
                () = chat.ready(&thread.request) => {}
            }
            // What changed while it was waited for is not left for the next time.
            thread = Arc::clone(&requests.borrow_and_update()).thread(&context);
            match chat.publish(&thread).await {
                Ok(()) => {
                    if let Some(since) = failing_since.take() {
                        tracing::info!(request = thread.request, %since, "the thread is published again");
                    }
                    pauses.reset();
                    published = Some(thread);
                }
                Err(error) => {
                    failing_since.get_or_insert_with(Timestamp::now);
                    let pause = pauses.next().unwrap_or(Duration::from_secs(30));
                    tracing::warn!(
                        request = thread.request,
                        error = format!("{error:#}"),
                        ?pause,
                        "publishing the thread failed; it is tried again"
                    );
                    tokio::select! {
                        () = stop.cancelled() => return,
                        () = tokio::time::sleep(pause) => {}
                    }
                    if requests.has_changed().is_err() {
                        // The request is gone, and its thread is nobody's any more.
                        return;
                    }
                    // Whatever has changed meanwhile is rendered as it is then.
                    continue;
                }
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            changed = requests.changed() => {
                if changed.is_err() {
                    return;
                }
            }
            () = chat.stirred(&name) => published = None,
        }
    }
}

#[cfg(test)]
mod tests {
    use kube::core::error_boundary::InvalidObject;
    use tokio::sync::{Semaphore, mpsc};

    use super::*;
    use crate::chat::samples::{context, in_phase};
    use crate::chat::{Incoming, Stage};
    use crate::request::Phase;

    /// Publishes one thread for each permit, and tells what it published.
    struct Slow {
        permits: Semaphore,
        published: mpsc::UnboundedSender<(String, Stage)>,
    }

    impl Chat for Slow {
        async fn receive(&self) -> Option<Incoming> {
            None
        }

        async fn reply(&self, _: &Incoming, _: &crate::chat::Answer) -> anyhow::Result<()> {
            Ok(())
        }

        async fn publish(&self, thread: &Thread) -> anyhow::Result<()> {
            self.permits.acquire().await?.forget();
            self.published
                .send((thread.request.clone(), thread.card.stage))?;
            Ok(())
        }
    }

    fn request(name: &str, phase: Phase) -> DeserializeGuard<RestoreRequest> {
        let mut request = in_phase(phase);
        request.metadata.name = Some(name.to_owned());
        request.metadata.uid = Some(name.to_owned());
        DeserializeGuard(Ok(request))
    }

    #[tokio::test]
    async fn the_latest_state_is_published_and_what_was_over_is_not() {
        let (published, mut seen) = mpsc::unbounded_channel();
        let chat = Arc::new(Slow {
            permits: Semaphore::new(0),
            published,
        });
        let tasks = TaskTracker::new();
        let mut threads = Threads::<RestoreRequest, _> {
            chat: Arc::clone(&chat),
            context: Arc::new(context()),
            stop: CancellationToken::new(),
            tasks: tasks.clone(),
            known: HashMap::new(),
            began: false,
            listed: Vec::new(),
        };
        threads.see(Event::Init);
        threads.see(Event::InitApply(request("old", Phase::Done)));
        threads.see(Event::InitApply(request("one", Phase::Checking)));
        threads.see(Event::InitApply(DeserializeGuard(Err(InvalidObject {
            error: "spec: missing field".to_owned(),
            metadata: kube::core::ObjectMeta::default(),
        }))));
        threads.see(Event::InitDone);
        // Made and refused between two looks: it is news all the same.
        threads.see(Event::Apply(request("two", Phase::Refused)));
        chat.permits.add_permits(2);
        let mut first = [seen.recv().await.unwrap(), seen.recv().await.unwrap()];
        first.sort_by_key(|(name, _)| name.clone());
        assert_eq!(
            first,
            [
                ("one".to_owned(), Phase::Checking.into()),
                ("two".to_owned(), Phase::Refused.into())
            ]
        );
        // The chat is slow: what changes meanwhile is told once, as it is then.
        for phase in [Phase::AwaitingApproval, Phase::Pausing, Phase::Clearing] {
            threads.see(Event::Apply(request("one", phase)));
        }
        chat.permits.add_permits(1);
        assert_eq!(
            seen.recv().await.unwrap(),
            ("one".to_owned(), Phase::Clearing.into())
        );
        threads.see(Event::Delete(request("one", Phase::Clearing)));
        threads.see(Event::Delete(request("two", Phase::Refused)));
        tasks.close();
        tasks.wait().await;
    }
}
