//! What a cluster's controllers and nodes do: a stand-in for
//! kube-controller-manager, kubelet, a volume provisioner and the OpenShift
//! controllers that furnish a namespace.
//!
//! Everything here is an ordinary client of a Kubernetes API. DaemonSets,
//! Jobs, CronJobs, Endpoints and autoscalers are not acted on.

mod claims;
mod collect;
mod deployments;
mod json;
pub(crate) mod mirror;
mod namespaces;
mod object;
mod pods;
pub(crate) mod queue;
mod replicasets;
mod state;
mod statefulsets;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use kube::api::{Api, Patch, PatchParams};
use kube::{Client, ResourceExt};
use serde_json::json;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use mirror::{Change, Key, Mirror, Object};
use queue::Sender;

pub(crate) use json::subset;

/// The annotation of a PersistentVolume that holds the volume's bytes; absent
/// on an empty volume.
pub const DATA_ANNOTATION: &str = "harbour.refloat.dev/data";
/// The annotation of a PersistentVolume that overrides the size in bytes
/// reported for it; without it the size is that of the data.
pub const BYTES_ANNOTATION: &str = "harbour.refloat.dev/bytes";
/// A Pod with this annotation set to `true` runs but never becomes ready.
pub const NEVER_READY_ANNOTATION: &str = "harbour.refloat.dev/never-ready";
/// The storage class that is provisioned, and the default one.
pub const STORAGE_CLASS: &str = "standard";

/// How the stand-ins behave.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The time between a Pod's volumes being bound and the Pod being ready.
    pub pod_start: Duration,
}

/// Runs the controllers until `stop`.
pub async fn run(client: Client, options: Options, stop: CancellationToken) {
    let task = start(client, options, stop).await;
    if let Err(error) = task.await {
        tracing::error!(%error, "the workload controllers broke off");
    }
}

/// Starts the controllers; returns once they watch, with the task that runs
/// until `stop`.
pub async fn start(client: Client, options: Options, stop: CancellationToken) -> JoinHandle<()> {
    let (mirror, mut changes) = Mirror::start(client, stop.clone()).await;
    let (sender, receiver) = queue::queue();
    let controllers = Arc::new(Controllers {
        ranges: namespaces::Ranges::after_those_of(&mirror),
        mirror,
        options,
    });
    sender.add(Task::Furnish);
    let (router, feed) = (controllers.clone(), sender.clone());
    tokio::spawn(async move {
        while let Some(change) = changes.recv().await {
            router.route(&change, &feed);
        }
    });
    tokio::spawn(queue::run(sender, receiver, 16, stop, move |task| {
        let controllers = controllers.clone();
        async move { controllers.work(task).await }
    }))
}

/// One thing to look at.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Task {
    /// What the cluster as a whole needs: the storage class.
    Furnish,
    /// Bring what belongs to this object into line with it.
    Reconcile(Key),
    /// Garbage collection, for the object with this uid.
    Collect(String),
}

struct Controllers {
    mirror: Mirror,
    options: Options,
    ranges: namespaces::Ranges,
}

impl Controllers {
    async fn work(&self, task: Task) -> anyhow::Result<Option<Duration>> {
        let key = match task {
            Task::Furnish => {
                claims::ensure_storage_class(&self.mirror).await?;
                return Ok(None);
            }
            Task::Collect(uid) => {
                collect::collect(&self.mirror, &uid).await?;
                return Ok(None);
            }
            Task::Reconcile(key) => key,
        };
        let Some(object) = self.mirror.get(&key) else {
            return Ok(None);
        };
        match (key.group.as_str(), key.kind.as_str()) {
            ("", "Namespace") => namespaces::reconcile(&self.mirror, &self.ranges, &object).await?,
            ("", "PersistentVolumeClaim") => claims::reconcile(&self.mirror, &object).await?,
            ("", "PersistentVolume") => claims::reconcile_volume(&self.mirror, &object).await?,
            ("", "Pod") => pods::reconcile(&self.mirror, &self.options, &object).await?,
            ("apps", "ReplicaSet") => {
                return Ok(replicasets::reconcile(&self.mirror, &object).await?);
            }
            ("apps", "Deployment") => deployments::reconcile(&self.mirror, &object).await?,
            ("apps", "StatefulSet") => statefulsets::reconcile(&self.mirror, &object).await?,
            _ => {}
        }
        Ok(None)
    }

    /// Queues what a change may concern.
    fn route(&self, change: &Change, to: &Sender<Task>) {
        collect::route(&self.mirror, change, to);
        let Some(object) = change.after.as_ref().or(change.before.as_ref()) else {
            return;
        };
        let namespace = object.namespace();
        let again = |group: &str, kind: &str, name: &str| {
            to.add(Task::Reconcile(Key::new(group, kind, namespace, name)));
        };
        if change.after.is_some() {
            to.add(Task::Reconcile(object.key()));
        }
        let kind = &object.kind.resource;
        match (kind.group.as_str(), kind.kind.as_str()) {
            ("", "Pod") => {
                self.route_to_owner(object, &["ReplicaSet", "StatefulSet"], to);
                for claim in pods::claims_of(object) {
                    again("", "PersistentVolumeClaim", &claim);
                }
            }
            ("apps", "ReplicaSet") => self.route_to_owner(object, &["Deployment"], to),
            ("", "PersistentVolumeClaim") => {
                for pod in self.mirror.in_namespace("", "Pod", namespace) {
                    if pods::claims_of(&pod).any(|claim| claim == object.name()) {
                        to.add(Task::Reconcile(pod.key()));
                    }
                }
                if change.after.is_none() {
                    for set in self.mirror.in_namespace("apps", "StatefulSet", namespace) {
                        to.add(Task::Reconcile(set.key()));
                    }
                }
                if let Some(volume) = object.text("/spec/volumeName") {
                    to.add(Task::Reconcile(Key::new(
                        "",
                        "PersistentVolume",
                        "",
                        volume,
                    )));
                }
            }
            ("velero.io", "PodVolumeRestore") => {
                if let (Some(namespace), Some(name)) = (
                    object.text("/spec/pod/namespace"),
                    object.text("/spec/pod/name"),
                ) {
                    to.add(Task::Reconcile(Key::new("", "Pod", namespace, name)));
                }
            }
            ("", "PersistentVolume") => {
                if let (Some(namespace), Some(name)) = (
                    object.text("/spec/claimRef/namespace"),
                    object.text("/spec/claimRef/name"),
                ) {
                    let claim = Key::new("", "PersistentVolumeClaim", namespace, name);
                    to.add(Task::Reconcile(claim));
                }
            }
            _ => {}
        }
        // What a namespace is furnished with comes back when it is deleted, and
        // a namespace that ends waits for its last object.
        if change.after.is_none() && !namespace.is_empty() {
            to.add(Task::Reconcile(Key::new("", "Namespace", "", namespace)));
        }
    }

    /// Queues the controller of `object`, or, if it has none, everything that
    /// might adopt it.
    fn route_to_owner(&self, object: &Object, kinds: &[&str], to: &Sender<Task>) {
        let namespace = object.namespace();
        if let Some(owner) = object.controller() {
            if kinds.contains(&owner.kind.as_str()) {
                let key = Key::new("apps", &owner.kind, namespace, &owner.name);
                to.add(Task::Reconcile(key));
            }
            return;
        }
        for kind in kinds {
            for owner in self.mirror.in_namespace("apps", kind, namespace) {
                to.add(Task::Reconcile(owner.key()));
            }
        }
    }
}

/// Writes a volume's whole content; the claim must be bound.
pub async fn write_volume(
    client: &Client,
    namespace: &str,
    claim: &str,
    data: &str,
) -> anyhow::Result<()> {
    let volume = volume_name(client, namespace, claim)
        .await?
        .ok_or_else(|| anyhow::anyhow!("claim {namespace}/{claim} is not bound"))?;
    let volumes: Api<PersistentVolume> = Api::all(client.clone());
    let patch = json!({"metadata": {"annotations": {DATA_ANNOTATION: data}}});
    volumes
        .patch(&volume, &PatchParams::default(), &Patch::Merge(patch))
        .await?;
    Ok(())
}

/// A volume's whole content; `None` if it is empty, or if the claim is missing
/// or not bound.
pub async fn read_volume(
    client: &Client,
    namespace: &str,
    claim: &str,
) -> anyhow::Result<Option<String>> {
    let Some(name) = volume_name(client, namespace, claim).await? else {
        return Ok(None);
    };
    let volumes: Api<PersistentVolume> = Api::all(client.clone());
    let volume = volumes.get_opt(&name).await?;
    Ok(volume.and_then(|volume| volume.annotations().get(DATA_ANNOTATION).cloned()))
}

async fn volume_name(
    client: &Client,
    namespace: &str,
    claim: &str,
) -> anyhow::Result<Option<String>> {
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), namespace);
    let claim = claims.get_opt(claim).await?;
    Ok(claim
        .and_then(|claim| claim.spec)
        .and_then(|spec| spec.volume_name))
}
