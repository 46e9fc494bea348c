//! A stand-in for Argo CD: its application controller, its ApplicationSet
//! controller and, on top, the platform's charts that turn tenant orders into
//! namespaces, schedules and Applications.
//!
//! The chain is: the folder of orders -> the parent Application -> one
//! Application `<tenant>-tenant` for each order -> namespaces, schedules and an
//! ApplicationSet for each environment -> an Application for each folder of the
//! tenant's repository. Sources are plain manifests; Helm, Kustomize, several
//! sources, hooks and projects are not acted on.

mod applications;
mod applicationsets;
mod compare;
mod faults;
pub(crate) mod git;
mod health;
mod merge;
mod render;
mod sync;
mod tenant;
mod track;

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use kube::Client;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::workloads::mirror::{Change, Key, Mirror, Object};
use crate::workloads::queue::{self, Sender};
use compare::Comparison;
use git::Repository;
use render::{Checkouts, render};
use tenant::{platform_application, tenant_objects};

pub use faults::Faults;

const GROUP: &str = "argoproj.io";
const REFRESH: &str = "argocd.argoproj.io/refresh";
const SET_REFRESH: &str = "argocd.argoproj.io/application-set-refresh";
/// How often the refs of repositories are looked at in place of a webhook.
const WEBHOOK: Duration = Duration::from_millis(20);

/// What Argo CD is told about the platform. [`Options::new`] gives the defaults.
#[derive(Clone, Debug)]
pub struct Options {
    /// Holds the bare repositories `<owner>/<repository>.git`.
    pub git_root: PathBuf,
    /// Owner and name of the repository of orders.
    pub orders: (String, String),
    /// The folder that holds the orders, `*-tenant.yaml`, at any depth.
    pub orders_folder: String,
    /// The name of the parent Application.
    pub parent: String,
    /// Where the platform's Applications and ApplicationSets live.
    pub platform_namespace: String,
    /// Where tenants may have Applications of their own.
    pub application_namespaces: Vec<String>,
    /// Where Velero's Schedules live.
    pub velero_namespace: String,
    /// How often Git is looked at if nothing asks for it.
    pub poll: Duration,
    /// Whether a new commit is told to Argo CD at once.
    pub webhook: bool,
    /// The least time between two syncs of the same revision.
    pub self_heal_delay: Duration,
    /// How often a failed sync operation is retried before it has failed.
    pub sync_retries: u32,
    /// The time between such retries.
    pub sync_retry_pause: Duration,
}

impl Options {
    pub fn new(git_root: impl Into<PathBuf>) -> Self {
        Self {
            git_root: git_root.into(),
            orders: ("platform".to_owned(), "infra-ocp4-tenants".to_owned()),
            orders_folder: "application-definitions".to_owned(),
            parent: "tenants".to_owned(),
            platform_namespace: "openshift-gitops".to_owned(),
            application_namespaces: vec!["gitops-developers".to_owned()],
            velero_namespace: "openshift-adp".to_owned(),
            poll: Duration::from_secs(150),
            webhook: true,
            self_heal_delay: Duration::from_millis(100),
            sync_retries: 2,
            sync_retry_pause: Duration::from_millis(20),
        }
    }

    fn orders_url(&self) -> String {
        let (owner, name) = &self.orders;
        format!("https://git.example.com/{owner}/{name}.git")
    }
}

/// A running Argo CD.
#[derive(Clone)]
pub struct ArgoCd {
    pub faults: Faults,
    client: Client,
    queue: Sender<Task>,
}

impl std::fmt::Debug for ArgoCd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let faults = &self.faults;
        f.debug_struct("ArgoCd")
            .field("faults", faults)
            .finish_non_exhaustive()
    }
}

impl ArgoCd {
    /// Sets a sync operation at the Application's revision of the moment, as
    /// `argocd app sync` does. Fails if one is under way.
    pub async fn sync_now(&self, namespace: &str, application: &str) -> anyhow::Result<()> {
        let resource = application_resource();
        let api: kube::Api<kube::core::DynamicObject> =
            kube::Api::namespaced_with(self.client.clone(), namespace, &resource);
        let app = api.get(application).await?;
        anyhow::ensure!(
            !app.data["operation"].is_object(),
            "another operation is already in progress"
        );
        let patch = json!({
            "metadata": {"resourceVersion": app.metadata.resource_version},
            "operation": {
                "initiatedBy": {"username": "harbour"},
                "sync": {"revision": app.data["status"]["sync"]["revision"]},
            },
        });
        api.patch(
            application,
            &kube::api::PatchParams::default(),
            &kube::api::Patch::Merge(patch),
        )
        .await?;
        Ok(())
    }

    /// Ends [`Faults::hold_order`]: the order arrives now.
    pub fn release_order(&self, application_set: &str) {
        self.faults.release_order(application_set);
        self.queue.add(Task::Look);
    }
}

/// The API resource of an Application.
pub fn application_resource() -> kube::core::ApiResource {
    kube::core::ApiResource::from_gvk(&kube::core::GroupVersionKind::gvk(
        GROUP,
        "v1alpha1",
        "Application",
    ))
}

/// Starts Argo CD: sees to its namespaces and the parent Application, and runs
/// until `stop`. The CustomResourceDefinitions must be installed.
pub async fn start(
    client: Client,
    options: Options,
    stop: CancellationToken,
) -> anyhow::Result<ArgoCd> {
    let (mirror, mut changes) = Mirror::start(client.clone(), stop.clone()).await;
    let (sender, receiver) = queue::queue();
    let faults = Faults::default();
    let controller = Arc::new(Controller {
        mirror,
        options,
        faults: faults.clone(),
        checkouts: Checkouts::default(),
        queue: sender.clone(),
        notes: Mutex::default(),
    });
    controller.furnish().await?;
    let router = controller.clone();
    tokio::spawn(async move {
        while let Some(change) = changes.recv().await {
            router.route(&change);
        }
    });
    tokio::spawn(controller.clone().keep_time(stop.clone()));
    let argocd = ArgoCd {
        faults,
        client,
        queue: sender.clone(),
    };
    tokio::spawn(queue::run(sender, receiver, 16, stop, move |task| {
        let controller = controller.clone();
        async move { controller.work(task).await }
    }));
    Ok(argocd)
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Task {
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
enum Level {
    /// The live objects are compared with the commit known last.
    Recent,
    /// Git is looked at, too.
    Latest,
}

struct Controller {
    mirror: Mirror,
    options: Options,
    faults: Faults,
    checkouts: Checkouts,
    queue: Sender<Task>,
    notes: Mutex<Notes>,
}

/// What is remembered of Applications between looks.
#[derive(Default)]
struct Notes {
    levels: HashMap<Key, Level>,
    looked: HashMap<Key, Instant>,
    finished: HashMap<Key, Instant>,
    /// The Applications that ask for an object.
    wanted_by: HashMap<Key, HashSet<Key>>,
}

impl Controller {
    async fn work(&self, task: Task) -> anyhow::Result<Option<Duration>> {
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
    async fn furnish(&self) -> anyhow::Result<()> {
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
    async fn keep_time(self: Arc<Self>, stop: CancellationToken) {
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
    fn route(&self, change: &Change) {
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

    fn route_application(&self, before: Option<&Object>, after: Option<&Object>) {
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

    fn resolve(&self, source: &Value, revision: &str) -> anyhow::Result<String> {
        let url = source["repoURL"].as_str().unwrap_or_default();
        let repository = Repository::of_url(&self.options.git_root, url);
        repository
            .and_then(|repository| repository.resolve(revision))
            .with_context(|| format!("{url}: unable to resolve {revision:?} to a commit"))
    }

    fn instance(&self, app: &Object) -> String {
        let platform = &self.options.platform_namespace;
        track::instance(platform, app.namespace(), app.name())
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has an Application looked at soon, at least this thoroughly.
    fn ask(&self, app: &Key, level: Level) {
        self.keep_level(app, level);
        self.queue.add(Task::Refresh(app.clone()));
    }

    fn keep_level(&self, app: &Key, level: Level) {
        let mut notes = self.notes();
        let asked = notes.levels.entry(app.clone()).or_insert(level);
        *asked = level.max(*asked);
    }

    fn take_level(&self, app: &Key) -> Option<Level> {
        self.notes().levels.remove(app)
    }

    fn note_look(&self, app: &Key) {
        self.notes().looked.insert(app.clone(), Instant::now());
    }

    /// How long ago Git was looked at for an Application.
    fn looked_at(&self, app: &Key) -> Duration {
        let looked = self.notes().looked.get(app).copied();
        looked.map_or(Duration::MAX, |looked| looked.elapsed())
    }

    fn finished(&self, app: &Key) {
        self.notes().finished.insert(app.clone(), Instant::now());
    }

    /// How long ago an Application's last operation ended.
    fn since_finished(&self, app: &Key) -> Duration {
        let finished = self.notes().finished.get(app).copied();
        finished.map_or(Duration::MAX, |finished| finished.elapsed())
    }

    fn remember_targets(&self, app: &Key, comparison: &Comparison) {
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

/// The time as Kubernetes writes it, in whole seconds.
fn now() -> String {
    jiff::Timestamp::now()
        .strftime("%Y-%m-%dT%H:%M:%SZ")
        .to_string()
}
