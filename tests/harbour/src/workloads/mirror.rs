//! A live copy of every object of a cluster, kept by watches.
//!
//! The kinds are found by discovery, and again whenever a
//! CustomResourceDefinition changes. What a caller writes through the mirror
//! is in the copy when the call returns, so that a controller never acts twice
//! because its own write has not come back to it yet.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use kube::Client;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams, Preconditions};
use kube::core::DynamicObject;
use kube::discovery::{Discovery, Scope, verbs};
use kube::runtime::watcher;
use serde_json::Value;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use super::state::State;

pub(crate) use super::object::{Change, Key, Kind, Object};

/// How long a failed watch or discovery waits before it is tried again.
const RETRY: Duration = Duration::from_millis(50);
/// Groups that show the objects of another group once more, or no stored
/// objects at all.
const ALIASES: [&str; 6] = [
    "authorization.openshift.io",
    "events.k8s.io",
    "extensions",
    "metrics.k8s.io",
    "packages.operators.coreos.com",
    "project.openshift.io",
];

/// The copy. Clones share it.
#[derive(Clone)]
pub(crate) struct Mirror {
    client: Client,
    state: Arc<Mutex<State>>,
}

impl Mirror {
    /// Starts the watches and returns once every kind has been listed.
    pub(crate) async fn start(
        client: Client,
        stop: CancellationToken,
    ) -> (Self, mpsc::UnboundedReceiver<Change>) {
        let (changes, receiver) = mpsc::unbounded_channel();
        let mirror = Self {
            client,
            state: Arc::new(Mutex::new(State::new(changes))),
        };
        let definitions = Arc::new(Notify::new());
        let mut watched = HashMap::new();
        tokio::select! {
            () = stop.cancelled() => return (mirror, receiver),
            () = mirror.discover(&mut watched, &definitions, &stop) => {}
        }
        for watch in watched.values() {
            tokio::select! {
                () = stop.cancelled() => break,
                () = watch.listed.cancelled() => {}
            }
        }
        let this = mirror.clone();
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = definitions.notified() => {}
                }
                // A definition is established a little before discovery tells
                // of it: hence more than one look.
                for _ in 0..40 {
                    tokio::select! {
                        () = stop.cancelled() => return,
                        () = this.discover(&mut watched, &definitions, &stop) => {}
                    }
                    if this.definitions_served() {
                        break;
                    }
                    tokio::time::sleep(RETRY).await;
                }
            }
        });
        (mirror, receiver)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn discover(
        &self,
        watched: &mut HashMap<(String, String), Watch>,
        definitions: &Arc<Notify>,
        stop: &CancellationToken,
    ) {
        let discovery = loop {
            match Discovery::new(self.client.clone())
                .exclude(&ALIASES)
                .run()
                .await
            {
                Ok(discovery) => break discovery,
                Err(error) => tracing::debug!(%error, "discovery failed, trying again"),
            }
            tokio::time::sleep(RETRY).await;
        };
        let mut served = HashMap::new();
        for group in discovery.groups() {
            for (resource, capabilities) in group.recommended_resources() {
                if capabilities.supports_operation(verbs::LIST)
                    && capabilities.supports_operation(verbs::WATCH)
                    && !(resource.group.is_empty() && resource.kind == "Event")
                {
                    let id = (resource.group.clone(), resource.kind.clone());
                    let namespaced = matches!(capabilities.scope, Scope::Namespaced);
                    served.insert(
                        id,
                        Kind {
                            resource,
                            namespaced,
                        },
                    );
                }
            }
        }
        watched.retain(|id, watch| {
            let keep = served
                .get(id)
                .is_some_and(|kind| kind.resource.version == watch.version);
            if !keep {
                watch.stop.cancel();
                let kind = self.state().kinds.remove(id);
                if let Some(kind) = kind {
                    self.keep_only(&kind, &HashSet::new());
                }
            }
            keep
        });
        for (id, kind) in served {
            if watched.contains_key(&id) {
                continue;
            }
            let kind = Arc::new(kind);
            self.state().kinds.insert(id.clone(), kind.clone());
            let watch = Watch {
                version: kind.resource.version.clone(),
                stop: stop.child_token(),
                listed: CancellationToken::new(),
            };
            tokio::spawn(self.clone().watch(kind, watch.clone(), definitions.clone()));
            watched.insert(id, watch);
        }
    }

    /// True if every established CustomResourceDefinition's kind is known.
    fn definitions_served(&self) -> bool {
        let definitions = self.of_kind("apiextensions.k8s.io", "CustomResourceDefinition");
        definitions.iter().all(|definition| {
            let (Some(group), Some(kind)) = (
                definition.text("/spec/group"),
                definition.text("/spec/names/kind"),
            ) else {
                return true;
            };
            ALIASES.contains(&group) || self.kind(group, kind).is_some()
        })
    }

    async fn watch(self, kind: Arc<Kind>, watch: Watch, definitions: Arc<Notify>) {
        let api: Api<DynamicObject> = Api::all_with(self.client.clone(), &kind.resource);
        let defines = kind.is("apiextensions.k8s.io", "CustomResourceDefinition");
        let mut events = watcher(api, watcher::Config::default()).boxed();
        let mut listing = HashSet::new();
        loop {
            let event = tokio::select! {
                () = watch.stop.cancelled() => return,
                event = events.next() => event,
            };
            match event {
                None => return,
                Some(Ok(watcher::Event::Init)) => listing.clear(),
                Some(Ok(watcher::Event::InitApply(object))) => {
                    if let Some(uid) = &object.metadata.uid {
                        listing.insert(uid.clone());
                    }
                    self.put(&kind, object);
                }
                Some(Ok(watcher::Event::InitDone)) => {
                    self.keep_only(&kind, &listing);
                    listing.clear();
                    watch.listed.cancel();
                }
                Some(Ok(watcher::Event::Apply(object))) => {
                    self.put(&kind, object);
                    if defines {
                        definitions.notify_one();
                    }
                }
                Some(Ok(watcher::Event::Delete(object))) => {
                    self.state().remove(object.metadata.uid.as_deref());
                    if defines {
                        definitions.notify_one();
                    }
                }
                Some(Err(error)) => {
                    tracing::debug!(%error, kind = kind.resource.kind, "watch failed, trying again");
                    tokio::select! {
                        () = watch.stop.cancelled() => return,
                        () = tokio::time::sleep(RETRY) => {}
                    }
                }
            }
        }
    }

    fn put(&self, kind: &Arc<Kind>, object: DynamicObject) -> Arc<Object> {
        let object = Arc::new(Object {
            kind: kind.clone(),
            body: object,
        });
        self.state().put(object.clone());
        object
    }

    fn keep_only(&self, kind: &Kind, uids: &HashSet<String>) {
        let mut state = self.state();
        let lost: Vec<String> = state
            .range(&kind.resource.group, &kind.resource.kind, None)
            .filter(|object| !uids.contains(object.uid()))
            .map(|object| object.uid().to_owned())
            .collect();
        for uid in lost {
            state.remove(Some(&uid));
        }
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn kind(&self, group: &str, kind: &str) -> Option<Arc<Kind>> {
        let id = (group.to_owned(), kind.to_owned());
        self.state().kinds.get(&id).cloned()
    }

    pub(crate) fn get(&self, key: &Key) -> Option<Arc<Object>> {
        self.state().objects.get(key).cloned()
    }

    pub(crate) fn by_uid(&self, uid: &str) -> Option<Arc<Object>> {
        let state = self.state();
        let key = state.by_uid.get(uid)?;
        state.objects.get(key).cloned()
    }

    /// The objects that name the object with this uid among their owners.
    pub(crate) fn dependents(&self, uid: &str) -> Vec<Arc<Object>> {
        let state = self.state();
        let Some(keys) = state.by_owner.get(uid) else {
            return Vec::new();
        };
        keys.iter()
            .filter_map(|key| state.objects.get(key).cloned())
            .collect()
    }

    pub(crate) fn of_kind(&self, group: &str, kind: &str) -> Vec<Arc<Object>> {
        self.state().range(group, kind, None).cloned().collect()
    }

    pub(crate) fn in_namespace(
        &self,
        group: &str,
        kind: &str,
        namespace: &str,
    ) -> Vec<Arc<Object>> {
        let state = self.state();
        state.range(group, kind, Some(namespace)).cloned().collect()
    }

    /// Every object that `wanted` says yes to.
    pub(crate) fn find(&self, wanted: impl Fn(&Object) -> bool) -> Vec<Arc<Object>> {
        let state = self.state();
        let all = state.objects.values();
        all.filter(|object| wanted(object)).cloned().collect()
    }

    pub(crate) fn api(&self, kind: &Kind, namespace: &str) -> Api<DynamicObject> {
        if kind.namespaced {
            Api::namespaced_with(self.client.clone(), namespace, &kind.resource)
        } else {
            Api::all_with(self.client.clone(), &kind.resource)
        }
    }

    /// True unless the API server has an object of this kind in the namespace
    /// that the watch has not told of yet.
    pub(crate) async fn is_current(&self, kind: &Kind, namespace: &str) -> kube::Result<bool> {
        let there = self.api(kind, namespace);
        let there = there.list_metadata(&ListParams::default()).await?;
        Ok(there.items.iter().all(|object| {
            let uid = object.metadata.uid.as_deref();
            uid.is_some_and(|uid| self.by_uid(uid).is_some())
        }))
    }

    /// Creates an object. `body` needs no apiVersion and kind.
    pub(crate) async fn create(
        &self,
        kind: &Arc<Kind>,
        namespace: &str,
        mut body: Value,
    ) -> kube::Result<Arc<Object>> {
        body["apiVersion"] = kind.resource.api_version.clone().into();
        body["kind"] = kind.resource.kind.clone().into();
        if kind.namespaced {
            body["metadata"]["namespace"] = namespace.into();
        }
        let body: DynamicObject = serde_json::from_value(body).map_err(kube::Error::SerdeError)?;
        let api = self.api(kind, namespace);
        let created = api.create(&PostParams::default(), &body).await?;
        Ok(self.put(kind, created))
    }

    /// Merges `patch` into an object.
    pub(crate) async fn patch(&self, object: &Object, patch: Value) -> kube::Result<Arc<Object>> {
        let api = self.api(&object.kind, object.namespace());
        let patched = api
            .patch(
                object.name(),
                &PatchParams::default(),
                &Patch::Merge(with_uid(object, patch)),
            )
            .await?;
        Ok(self.put(&object.kind, patched))
    }

    /// Merges `patch` into an object through its status subresource.
    pub(crate) async fn patch_status(
        &self,
        object: &Object,
        patch: Value,
    ) -> kube::Result<Arc<Object>> {
        let api = self.api(&object.kind, object.namespace());
        let patched = api
            .patch_status(
                object.name(),
                &PatchParams::default(),
                &Patch::Merge(with_uid(object, patch)),
            )
            .await?;
        Ok(self.put(&object.kind, patched))
    }

    /// Puts `body` in the place of an object, unless that has changed meanwhile.
    pub(crate) async fn replace(
        &self,
        object: &Object,
        body: &DynamicObject,
    ) -> kube::Result<Arc<Object>> {
        let api = self.api(&object.kind, object.namespace());
        let name = object.name();
        let replaced = api.replace(name, &PostParams::default(), body).await?;
        Ok(self.put(&object.kind, replaced))
    }

    /// Deletes exactly this object; that it is gone already is no error.
    pub(crate) async fn delete(&self, object: &Object, mut how: DeleteParams) -> kube::Result<()> {
        how = how.preconditions(Preconditions {
            uid: object.body.metadata.uid.clone(),
            resource_version: None,
        });
        let api = self.api(&object.kind, object.namespace());
        match api.delete(object.name(), &how).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.is_not_found() || status.is_conflict() => {
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}

/// A merge patch that applies to this very object and not to a later one of
/// the same name.
fn with_uid(object: &Object, mut patch: Value) -> Value {
    if let Value::Object(fields) = &mut patch {
        let metadata = fields
            .entry("metadata")
            .or_insert_with(|| Value::Object(serde_json::Map::new()));
        if let Value::Object(metadata) = metadata {
            metadata.insert("uid".to_owned(), object.uid().into());
        }
    }
    patch
}

#[derive(Clone)]
struct Watch {
    version: String,
    stop: CancellationToken,
    listed: CancellationToken,
}
