//! A live copy of every object of a cluster, kept by watches.
//!
//! The kinds are found by discovery, and again whenever a
//! CustomResourceDefinition changes. What a caller writes through the mirror
//! is in the copy when the call returns, so that a controller never acts twice
//! because its own write has not come back to it yet.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::core::DynamicObject;
use kube::discovery::{ApiResource, Discovery, Scope, verbs};
use kube::runtime::watcher;
use kube::{Client, ResourceExt};
use serde_json::Value;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

/// How long a failed watch or discovery waits before it is tried again.
const RETRY: Duration = Duration::from_millis(50);
/// How many uids of deleted objects are remembered, so that an answer that
/// comes in late does not bring a deleted object back into the copy.
const REMEMBERED: usize = 4096;
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

/// A kind that the cluster serves, with list and watch.
#[derive(Debug)]
pub(crate) struct Kind {
    pub(crate) resource: ApiResource,
    pub(crate) namespaced: bool,
}

impl Kind {
    pub(crate) fn is(&self, group: &str, kind: &str) -> bool {
        self.resource.group == group && self.resource.kind == kind
    }
}

/// An object as last seen, with its kind.
#[derive(Debug)]
pub(crate) struct Object {
    pub(crate) kind: Arc<Kind>,
    pub(crate) body: DynamicObject,
}

impl Object {
    pub(crate) fn name(&self) -> &str {
        self.body.metadata.name.as_deref().unwrap_or_default()
    }

    /// The namespace; empty for an object of the cluster.
    pub(crate) fn namespace(&self) -> &str {
        self.body.metadata.namespace.as_deref().unwrap_or_default()
    }

    pub(crate) fn uid(&self) -> &str {
        self.body.metadata.uid.as_deref().unwrap_or_default()
    }

    pub(crate) fn label(&self, key: &str) -> Option<&str> {
        let labels = self.body.metadata.labels.as_ref()?;
        labels.get(key).map(String::as_str)
    }

    pub(crate) fn annotation(&self, key: &str) -> Option<&str> {
        let annotations = self.body.metadata.annotations.as_ref()?;
        annotations.get(key).map(String::as_str)
    }

    pub(crate) fn deleting(&self) -> bool {
        self.body.metadata.deletion_timestamp.is_some()
    }

    pub(crate) fn has_finalizer(&self, finalizer: &str) -> bool {
        self.body.finalizers().iter().any(|f| f == finalizer)
    }

    /// The finalizers but for `finalizer`.
    pub(crate) fn finalizers_without(&self, finalizer: &str) -> Vec<&str> {
        let all = self.body.finalizers().iter();
        all.filter(|f| *f != finalizer)
            .map(String::as_str)
            .collect()
    }

    pub(crate) fn controller(&self) -> Option<&OwnerReference> {
        let mut owners = self.body.owner_references().iter();
        owners.find(|owner| owner.controller == Some(true))
    }

    pub(crate) fn at(&self, pointer: &str) -> Option<&Value> {
        self.body.data.pointer(pointer)
    }

    pub(crate) fn text(&self, pointer: &str) -> Option<&str> {
        self.at(pointer).and_then(Value::as_str)
    }

    pub(crate) fn number(&self, pointer: &str) -> Option<i64> {
        self.at(pointer).and_then(Value::as_i64)
    }

    pub(crate) fn key(&self) -> Key {
        Key {
            group: self.kind.resource.group.clone(),
            kind: self.kind.resource.kind.clone(),
            namespace: self.namespace().to_owned(),
            name: self.name().to_owned(),
        }
    }
}

/// Names an object, whatever its version and uid.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) group: String,
    pub(crate) kind: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
}

impl Key {
    pub(crate) fn new(group: &str, kind: &str, namespace: &str, name: &str) -> Self {
        Self {
            group: group.to_owned(),
            kind: kind.to_owned(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }
}

/// What happened to one object: created (no `before`), changed, or deleted (no `after`).
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) before: Option<Arc<Object>>,
    pub(crate) after: Option<Arc<Object>>,
}

/// The copy. Clones share it.
#[derive(Clone)]
pub(crate) struct Mirror {
    client: Client,
    state: Arc<Mutex<State>>,
}

struct State {
    kinds: HashMap<(String, String), Arc<Kind>>,
    objects: BTreeMap<Key, Arc<Object>>,
    by_uid: HashMap<String, Key>,
    by_owner: HashMap<String, HashSet<Key>>,
    gone: HashSet<String>,
    gone_in_order: VecDeque<String>,
    changes: mpsc::UnboundedSender<Change>,
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
            state: Arc::new(Mutex::new(State {
                kinds: HashMap::new(),
                objects: BTreeMap::new(),
                by_uid: HashMap::new(),
                by_owner: HashMap::new(),
                gone: HashSet::new(),
                gone_in_order: VecDeque::new(),
                changes,
            })),
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

impl State {
    fn range(
        &self,
        group: &str,
        kind: &str,
        namespace: Option<&str>,
    ) -> impl Iterator<Item = &Arc<Object>> {
        let from = Key::new(group, kind, namespace.unwrap_or_default(), "");
        let namespace = namespace.map(str::to_owned);
        let (group, kind) = (from.group.clone(), from.kind.clone());
        self.objects
            .range(from..)
            .take_while(move |(key, _)| {
                key.group == group
                    && key.kind == kind
                    && namespace.as_ref().is_none_or(|ns| *ns == key.namespace)
            })
            .map(|(_, object)| object)
    }

    fn put(&mut self, object: Arc<Object>) {
        if self.gone.contains(object.uid()) {
            return;
        }
        let key = object.key();
        let before = self.objects.get(&key).cloned();
        if let Some(before) = &before {
            let (old, new) = (version(before), version(&object));
            if old >= new && new != 0 {
                return;
            }
            if before.uid() != object.uid() {
                self.remove(Some(before.uid()));
                return self.put(object);
            }
            self.forget_owners(before);
        }
        self.by_uid.insert(object.uid().to_owned(), key.clone());
        for owner in object.body.owner_references() {
            let dependents = self.by_owner.entry(owner.uid.clone()).or_default();
            dependents.insert(key.clone());
        }
        self.objects.insert(key, object.clone());
        self.tell(before, Some(object));
    }

    fn remove(&mut self, uid: Option<&str>) {
        let Some(uid) = uid else { return };
        if self.gone.insert(uid.to_owned()) {
            self.gone_in_order.push_back(uid.to_owned());
        }
        if self.gone_in_order.len() > REMEMBERED
            && let Some(oldest) = self.gone_in_order.pop_front()
        {
            self.gone.remove(&oldest);
        }
        let Some(key) = self.by_uid.remove(uid) else {
            return;
        };
        if let Some(object) = self.objects.remove(&key) {
            self.forget_owners(&object);
            self.tell(Some(object), None);
        }
    }

    fn forget_owners(&mut self, object: &Object) {
        let key = object.key();
        for owner in object.body.owner_references() {
            if let Some(dependents) = self.by_owner.get_mut(&owner.uid) {
                dependents.remove(&key);
                if dependents.is_empty() {
                    self.by_owner.remove(&owner.uid);
                }
            }
        }
    }

    fn tell(&self, before: Option<Arc<Object>>, after: Option<Arc<Object>>) {
        // Nobody listens any more once the controllers have stopped.
        let _ = self.changes.send(Change { before, after });
    }
}

/// The resource version as a number; 0 where a server's is none.
fn version(object: &Object) -> u64 {
    let version = object.body.metadata.resource_version.as_deref();
    version
        .and_then(|version| version.parse().ok())
        .unwrap_or(0)
}
