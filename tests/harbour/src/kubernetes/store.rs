//! What the server remembers: every object, and the recent changes of each
//! resource, under one increasing version.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::custom::Customs;
use super::kinds::{self, Kind};
use super::rbac::Rights;

/// How many changes of a resource are kept for watches that start late.
const HISTORY: usize = 8192;
/// How many unfinished paged lists are kept.
const SNAPSHOTS: usize = 64;

/// An object at one version; never changed once it is stored.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) value: Value,
    json: OnceLock<Bytes>,
}

pub(super) type Object = Arc<Stored>;

impl Stored {
    pub(super) fn new(value: Value) -> Object {
        Arc::new(Self {
            value,
            json: OnceLock::new(),
        })
    }

    /// The object as JSON; written once, however many read it.
    pub(super) fn json(&self) -> Bytes {
        self.json
            .get_or_init(|| self.value.to_string().into())
            .clone()
    }

    pub(super) fn meta(&self, field: &str) -> Option<&Value> {
        self.value.get("metadata")?.get(field)
    }

    pub(super) fn name(&self) -> &str {
        self.meta("name")
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    pub(super) fn version(&self) -> &str {
        self.meta("resourceVersion")
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    pub(super) fn uid(&self) -> &str {
        self.meta("uid").and_then(Value::as_str).unwrap_or_default()
    }

    pub(super) fn deleting(&self) -> bool {
        self.meta("deletionTimestamp").is_some()
    }

    pub(super) fn finalizers(&self) -> impl Iterator<Item = &str> {
        self.meta("finalizers")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
    }
}

/// Where an object is kept within its resource; `ns` is empty for cluster scope.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) ns: String,
    pub(super) name: String,
}

impl Key {
    pub(super) fn new(ns: Option<&str>, name: &str) -> Self {
        Self {
            ns: ns.unwrap_or_default().to_owned(),
            name: name.to_owned(),
        }
    }
}

#[derive(Debug)]
pub(super) struct Change {
    pub(super) version: u64,
    pub(super) key: Key,
    /// The object after the change; for a deletion its last state, at the deletion's version.
    pub(super) object: Object,
    /// The object before the change; none if it was created.
    pub(super) before: Option<Object>,
    pub(super) deleted: bool,
}

/// The objects of one resource and their recent changes.
#[derive(Debug)]
pub(super) struct Collection {
    pub(super) objects: BTreeMap<Key, Object>,
    history: VecDeque<Arc<Change>>,
    /// Changes up to this version may be missing from the history.
    forgotten: u64,
    /// The version of the last change.
    pub(super) changed: watch::Sender<u64>,
}

impl Collection {
    fn new(forgotten: u64) -> Self {
        Self {
            objects: BTreeMap::new(),
            history: VecDeque::new(),
            forgotten,
            changed: watch::Sender::new(forgotten),
        }
    }

    /// The changes after `version`; none if they are no longer all kept.
    pub(super) fn since(&self, version: u64) -> Option<Vec<Arc<Change>>> {
        if version < self.forgotten {
            return None;
        }
        let start = self
            .history
            .partition_point(|change| change.version <= version);
        Some(self.history.range(start..).cloned().collect())
    }

    /// The objects in one namespace, or in all.
    pub(super) fn within<'a>(
        &'a self,
        ns: Option<&'a str>,
    ) -> Box<dyn Iterator<Item = (&'a Key, &'a Object)> + 'a> {
        match ns {
            None => Box::new(self.objects.iter()),
            Some(ns) => {
                let start = Key::new(Some(ns), "");
                Box::new(
                    self.objects
                        .range(start..)
                        .take_while(move |(key, _)| key.ns == ns),
                )
            }
        }
    }

    fn record(&mut self, change: Change) {
        let version = change.version;
        self.history.push_back(Arc::new(change));
        if self.history.len() > HISTORY
            && let Some(oldest) = self.history.pop_front()
        {
            self.forgotten = oldest.version;
        }
        self.changed.send_replace(version);
    }
}

/// A paged list that has more to give.
#[derive(Debug)]
pub(super) struct Snapshot {
    pub(super) version: u64,
    pub(super) rest: Vec<Object>,
}

/// All that the server knows, behind one lock that is never held across an await.
#[derive(Debug)]
pub(super) struct World {
    pub(super) version: u64,
    /// No change up to this version is remembered, of any resource.
    floor: u64,
    collections: HashMap<String, Collection>,
    pub(super) customs: Customs,
    snapshots: BTreeMap<u64, Snapshot>,
    /// What service accounts asked for, granted or not.
    pub(super) rights: Rights,
}

impl World {
    fn new() -> Self {
        Self {
            version: 1,
            floor: 0,
            collections: HashMap::new(),
            customs: Customs::default(),
            snapshots: BTreeMap::new(),
            rights: Rights::default(),
        }
    }

    pub(super) fn collection(&mut self, kind: &Kind) -> &mut Collection {
        let floor = self.floor;
        self.collections
            .entry(kind.qualified())
            .or_insert_with(|| Collection::new(floor))
    }

    /// The objects of a resource, if it ever had any.
    pub(super) fn existing(&self, kind: &Kind) -> Option<&Collection> {
        self.collections.get(&kind.qualified())
    }

    pub(super) fn get(&self, kind: &Kind, key: &Key) -> Option<&Object> {
        self.collections.get(&kind.qualified())?.objects.get(key)
    }

    pub(super) fn namespace(&self, name: &str) -> Option<&Object> {
        self.collections
            .get("namespaces")?
            .objects
            .get(&Key::new(None, name))
    }

    /// Every resource with its objects, by qualified name.
    pub(super) fn all(&self) -> impl Iterator<Item = (&String, &Collection)> {
        self.collections.iter()
    }

    /// Stores an object under the next version.
    pub(super) fn put(&mut self, kind: &Kind, key: Key, mut value: Value) -> Object {
        self.version += 1;
        let version = self.version;
        value["metadata"]["resourceVersion"] = json!(version.to_string());
        let object = Stored::new(value);
        let collection = self.collection(kind);
        let before = collection.objects.insert(key.clone(), Arc::clone(&object));
        collection.record(Change {
            version,
            key,
            object: Arc::clone(&object),
            before,
            deleted: false,
        });
        self.noticed(kind, &object, false);
        object
    }

    /// Takes an object out; `last` is its final state if that differs from the stored one.
    pub(super) fn remove(&mut self, kind: &Kind, key: &Key, last: Option<Value>) -> Option<Object> {
        let before = self.collection(kind).objects.remove(key)?;
        self.version += 1;
        let version = self.version;
        let mut value = last.unwrap_or_else(|| before.value.clone());
        value["metadata"]["resourceVersion"] = json!(version.to_string());
        let object = Stored::new(value);
        self.collection(kind).record(Change {
            version,
            key: key.clone(),
            object: Arc::clone(&object),
            before: Some(before),
            deleted: true,
        });
        self.noticed(kind, &object, true);
        Some(object)
    }

    /// Keeps the list of custom kinds in step with their definitions.
    fn noticed(&mut self, kind: &Kind, object: &Object, gone: bool) {
        if kind.is("apiextensions.k8s.io", "CustomResourceDefinition") {
            if gone {
                self.customs.remove(object.name());
                // Dropping the collection ends the watches on it.
                self.collections.remove(object.name());
            } else {
                self.customs.define(object);
            }
        }
    }

    /// Puts a loaded object in place, as it is and without a change to tell.
    pub(super) fn load(&mut self, kind: &Kind, key: Key, value: Value) {
        let object = Stored::new(value);
        self.noticed(kind, &object, false);
        self.collection(kind).objects.insert(key, object);
    }

    /// Forgets every change, ends every watch and every paged list.
    pub(super) fn forget(&mut self) {
        self.version += 1;
        let version = self.version;
        self.floor = version;
        self.snapshots.clear();
        for collection in self.collections.values_mut() {
            collection.history.clear();
            collection.forgotten = version;
            collection.changed = watch::Sender::new(version);
        }
    }

    pub(super) fn keep_snapshot(&mut self, snapshot: Snapshot) -> u64 {
        let id = self.snapshots.last_key_value().map_or(1, |(id, _)| id + 1);
        self.snapshots.insert(id, snapshot);
        while self.snapshots.len() > SNAPSHOTS {
            self.snapshots.pop_first();
        }
        id
    }

    pub(super) fn snapshot(&self, id: u64) -> Option<&Snapshot> {
        self.snapshots.get(&id)
    }

    /// Every kind, built-in ones first.
    pub(super) fn kinds(&self) -> impl Iterator<Item = &Arc<Kind>> {
        kinds::built_in().iter().chain(self.customs.kinds())
    }

    pub(super) fn kind(&self, group: &str, version: &str, plural: &str) -> Option<Arc<Kind>> {
        self.kinds()
            .find(|kind| kind.plural == plural && kind.group == group && kind.version == version)
            .cloned()
    }
}

/// The world and its lock.
#[derive(Debug)]
pub(super) struct Store {
    world: Mutex<World>,
    /// The version after the last write, for whoever saves the world.
    pub(super) written: watch::Sender<u64>,
}

impl Store {
    pub(super) fn new() -> Self {
        Self {
            world: Mutex::new(World::new()),
            written: watch::Sender::new(0),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, World> {
        // No write leaves the world half done, so a panic elsewhere is no reason to stop.
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a write and tells whoever saves the world.
    pub(super) fn write<T>(&self, act: impl FnOnce(&mut World) -> T) -> T {
        let mut world = self.lock();
        let before = world.version;
        let result = act(&mut world);
        if world.version != before {
            self.written.send_replace(world.version);
        }
        result
    }
}
