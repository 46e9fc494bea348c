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
mod controller;
mod faults;
pub(crate) mod git;
mod health;
mod merge;
mod render;
mod sync;
mod tenant;
#[cfg(test)]
mod tests;
mod track;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kube::Client;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::workloads::mirror::Mirror;
use crate::workloads::queue::{self, Sender};
use controller::{Controller, Level, Task};
use render::{Checkouts, render};
use tenant::{platform_application, tenant_objects};

pub use faults::Faults;

const GROUP: &str = "argoproj.io";
const REFRESH: &str = "argocd.argoproj.io/refresh";
const SET_REFRESH: &str = "argocd.argoproj.io/application-set-refresh";

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

/// The time as Kubernetes writes it, in whole seconds.
fn now() -> String {
    jiff::Timestamp::now()
        .strftime("%Y-%m-%dT%H:%M:%SZ")
        .to_string()
}
