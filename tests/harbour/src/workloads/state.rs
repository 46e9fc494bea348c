//! The copy itself: objects by name, by uid and by owner.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use kube::ResourceExt;
use tokio::sync::mpsc;

use super::object::{Change, Key, Kind, Object};

/// How many uids of deleted objects are remembered, so that an answer that
/// comes in late does not bring a deleted object back into the copy.
const REMEMBERED: usize = 4096;

pub(super) struct State {
    pub(super) kinds: HashMap<(String, String), Arc<Kind>>,
    pub(super) objects: BTreeMap<Key, Arc<Object>>,
    pub(super) by_uid: HashMap<String, Key>,
    pub(super) by_owner: HashMap<String, HashSet<Key>>,
    gone: HashSet<String>,
    gone_in_order: VecDeque<String>,
    changes: mpsc::UnboundedSender<Change>,
}

impl State {
    /// An empty copy that tells `changes` of everything that happens to it.
    pub(super) fn new(changes: mpsc::UnboundedSender<Change>) -> Self {
        Self {
            kinds: HashMap::new(),
            objects: BTreeMap::new(),
            by_uid: HashMap::new(),
            by_owner: HashMap::new(),
            gone: HashSet::new(),
            gone_in_order: VecDeque::new(),
            changes,
        }
    }

    pub(super) fn range(
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

    pub(super) fn put(&mut self, object: Arc<Object>) {
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

    pub(super) fn remove(&mut self, uid: Option<&str>) {
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
