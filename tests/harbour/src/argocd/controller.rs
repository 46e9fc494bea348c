//! What the controllers share: their work, when it is due, and what they
//! remember between looks.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::compare::Comparison;
use super::faults::Faults;
use super::git::Repository;
use super::render::Checkouts;
use super::{GROUP, Options, tenant, track};
use crate::workloads::mirror::{Change, Key, Mirror, Object};
use crate::workloads::queue::Sender;

/// How often the refs of repositories are looked at in place of a webhook.
const WEBHOOK: Duration = Duration::from_millis(20);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Task {
    /// Look at an Application, see how thoroughly in its note.
    Refresh(Key),
    /// Carry on with an Application's operation.
    Operate(Key),
    /// Bring the Applications of a set into line with it.
    Set(Key),
    /// See to all sets.
    Look,
}

/// How thoroughly an Application is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// The live objects are compared with the commit known last.
    Recent,
    /// Git is looked at, too.
    Latest,
}

pub(super) struct Controller {
    pub(super) mirror: Mirror,
    pub(super) options: Options,
    pub(super) faults: Faults,
    pub(super) checkouts: Checkouts,
    pub(super) queue: Sender<Task>,
    pub(super) notes: Mutex<Notes>,
}

/// What is remembered of Applications between looks.
#[derive(Default)]
pub(super) struct Notes {
    levels: HashMap<Key, Level>,
    looked: HashMap<Key, Instant>,
    finished: HashMap<Key, Instant>,
    /// The Applications that ask for an object.
    wanted_by: HashMap<Key, HashSet<Key>>,
}

impl Controller {
    pub(super) async fn work(&self, task: Task) -> anyhow::Result<Option<Duration>> {
        match task {
            Task::Refresh(key) => self.refresh(&key).await,
            Task::Operate(key) => self.operate(&key).await,
            Task::Set(key) => {
                self.reconcile_set(&key).await?;
                Ok(None)
            }
            Task::Look => {
                for set in self.mirror.of_kind(GROUP, "ApplicationSet") {
                    self.queue.add(Task::Set(set.key()));
                }
                Ok(None)
            }
        }
    }

    /// Creates what Argo CD cannot be without, unless it is there.
    pub(super) async fn furnish(&self) -> anyhow::Result<()> {
        let namespaces = [
            &self.options.platform_namespace,
            &self.options.velero_namespace,
        ];
        let namespaces = namespaces
            .into_iter()
            .chain(&self.options.application_namespaces);
        let kind = self.mirror.kind("", "Namespace").context("no Namespaces")?;
        for name in namespaces {
            if self
                .mirror
                .get(&Key::new("", "Namespace", "", name))
                .is_none()
            {
                let body = json!({"metadata": {"name": name}});
                already(self.mirror.create(&kind, "", body).await.map(drop))?;
            }
        }
        let kind = self.mirror.kind(GROUP, "Application");
        let kind = kind.context("the cluster serves no Applications")?;
        let parent = tenant::parent_application(&self.options);
        let namespace = &self.options.platform_namespace;
        let created = self.mirror.create(&kind, namespace, parent).await;
        already(created.map(drop))?;
        Ok(())
    }

    /// Looks at the refs of all repositories in place of webhooks, and at all
    /// Applications and sets once the polling interval is over.
    pub(super) async fn keep_time(self: Arc<Self>, stop: CancellationToken) {
        let mut heads: HashMap<Repository, Option<String>> = HashMap::new();
        let mut polled = Instant::now();
        let pause = WEBHOOK.min(self.options.poll);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
            if polled.elapsed() >= self.options.poll {
                polled = Instant::now();
                self.queue.add(Task::Look);
                for app in self.mirror.of_kind(GROUP, "Application") {
                    self.queue.add(Task::Refresh(app.key()));
                }
            }
            if !self.options.webhook {
                continue;
            }
            let lost = self.faults.webhooks_lost();
            let sources = self
                .mirror
                .of_kind(GROUP, "Application")
                .into_iter()
                .map(|app| (app.text("/spec/source/repoURL").map(str::to_owned), app))
                .chain(
                    self.mirror
                        .of_kind(GROUP, "ApplicationSet")
                        .into_iter()
                        .map(|set| {
                            let url = set.text("/spec/generators/0/git/repoURL");
                            (url.map(str::to_owned), set)
                        }),
                );
            let mut readers: HashMap<Repository, Vec<Key>> = HashMap::new();
            for (url, reader) in sources {
                let url = url.unwrap_or_default();
                if let Some(repository) = Repository::of_url(&self.options.git_root, &url) {
                    readers.entry(repository).or_default().push(reader.key());
                }
            }
            for (repository, readers) in readers {
                let head = repository.resolve("HEAD");
                let known = heads.insert(repository, head.clone());
                // A repository seen for the first time may have moved since its
                // readers looked.
                if lost || known.is_some_and(|known| known == head) {
                    continue;
                }
                for reader in readers {
                    if reader.kind == "ApplicationSet" {
                        self.queue.add(Task::Set(reader));
                    } else {
                        self.ask(&reader, Level::Latest);
                    }
                }
            }
        }
    }

    /// Queues what a change may concern.
    pub(super) fn route(&self, change: &Change) {
        let (before, after) = (change.before.as_deref(), change.after.as_deref());
        let Some(object) = after.or(before) else {
            return;
        };
        let kind = &object.kind.resource;
        let of_argo = kind.group == GROUP;
        if of_argo && kind.kind == "Application" {
            self.route_application(before, after);
        }
        if of_argo && kind.kind == "ApplicationSet" && after.is_some() {
            self.queue.add(Task::Set(object.key()));
        }
        // The status of an Application is none of its parent's business.
        if of_argo
            && let (Some(before), Some(after)) = (before, after)
            && before.at("/spec") == after.at("/spec")
            && before.body.metadata.labels == after.body.metadata.labels
            && before.annotation(track::ANNOTATION) == after.annotation(track::ANNOTATION)
            && before.deleting() == after.deleting()
        {
            return;
        }
        let mut concerned: HashSet<Key> = HashSet::new();
        for object in [before, after].into_iter().flatten() {
            if let Some(instance) = track::instance_of(object) {
                let (namespace, name) =
                    track::application(&self.options.platform_namespace, instance);
                concerned.insert(Key::new(GROUP, "Application", namespace, name));
            }
        }
        if let Some(apps) = self.notes().wanted_by.get(&object.key()) {
            concerned.extend(apps.iter().cloned());
        }
        for app in concerned {
            self.ask(&app, Level::Recent);
        }
    }

    pub(super) fn route_application(&self, before: Option<&Object>, after: Option<&Object>) {
        let Some(app) = after.or(before) else { return };
        if let Some(owner) = app.controller()
            && before.and_then(|before| before.at("/spec")) != after.and_then(|app| app.at("/spec"))
        {
            let set = Key::new(GROUP, "ApplicationSet", app.namespace(), &owner.name);
            self.queue.add(Task::Set(set));
        }
        let Some(after) = after else {
            let key = app.key();
            let mut notes = self.notes();
            notes.levels.remove(&key);
            notes.looked.remove(&key);
            notes.finished.remove(&key);
            notes.wanted_by.retain(|_, apps| {
                apps.remove(&key);
                !apps.is_empty()
            });
            return;
        };
        let namespaces = &self.options.application_namespaces;
        let ours = after.namespace() == self.options.platform_namespace
            || namespaces
                .iter()
                .any(|namespace| namespace == after.namespace());
        if !ours {
            return;
        }
        let key = after.key();
        if after.at("/operation").is_some_and(Value::is_object) {
            self.queue.add(Task::Operate(key.clone()));
        }
        let now_automated = before.is_some_and(|before| {
            (!automated(before).0 && automated(after).0)
                || (!automated(before).1 && automated(after).1)
        });
        if now_automated {
            self.ask(&key, Level::Latest);
        } else {
            self.queue.add(Task::Refresh(key));
        }
    }

    pub(super) fn resolve(&self, source: &Value, revision: &str) -> anyhow::Result<String> {
        let url = source["repoURL"].as_str().unwrap_or_default();
        let repository = Repository::of_url(&self.options.git_root, url);
        repository
            .and_then(|repository| repository.resolve(revision))
            .with_context(|| format!("{url}: unable to resolve {revision:?} to a commit"))
    }

    pub(super) fn instance(&self, app: &Object) -> String {
        let platform = &self.options.platform_namespace;
        track::instance(platform, app.namespace(), app.name())
    }

    pub(super) fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has an Application looked at soon, at least this thoroughly.
    pub(super) fn ask(&self, app: &Key, level: Level) {
        self.keep_level(app, level);
        self.queue.add(Task::Refresh(app.clone()));
    }

    pub(super) fn keep_level(&self, app: &Key, level: Level) {
        let mut notes = self.notes();
        let asked = notes.levels.entry(app.clone()).or_insert(level);
        *asked = level.max(*asked);
    }

    pub(super) fn take_level(&self, app: &Key) -> Option<Level> {
        self.notes().levels.remove(app)
    }

    pub(super) fn note_look(&self, app: &Key) {
        self.notes().looked.insert(app.clone(), Instant::now());
    }

    /// How long ago Git was looked at for an Application.
    pub(super) fn looked_at(&self, app: &Key) -> Duration {
        let looked = self.notes().looked.get(app).copied();
        looked.map_or(Duration::MAX, |looked| looked.elapsed())
    }

    pub(super) fn finished(&self, app: &Key) {
        self.notes().finished.insert(app.clone(), Instant::now());
    }

    /// How long ago an Application's last operation ended.
    pub(super) fn since_finished(&self, app: &Key) -> Duration {
        let finished = self.notes().finished.get(app).copied();
        finished.map_or(Duration::MAX, |finished| finished.elapsed())
    }

    pub(super) fn remember_targets(&self, app: &Key, comparison: &Comparison) {
        let mut notes = self.notes();
        notes.wanted_by.retain(|_, apps| {
            apps.remove(app);
            !apps.is_empty()
        });
        for resource in &comparison.resources {
            let apps = notes.wanted_by.entry(resource.key.clone()).or_default();
            apps.insert(app.clone());
        }
    }
}

/// Whether an Application syncs by itself, and heals itself.
fn automated(app: &Object) -> (bool, bool) {
    let Some(automated) = app
        .at("/spec/syncPolicy/automated")
        .filter(|it| it.is_object())
    else {
        return (false, false);
    };
    let enabled = automated["enabled"].as_bool() != Some(false);
    let heals = automated["selfHeal"].as_bool() == Some(true);
    (enabled, enabled && heals)
}

fn already(outcome: kube::Result<()>) -> kube::Result<()> {
    match outcome {
        Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(()),
        other => other,
    }
}
