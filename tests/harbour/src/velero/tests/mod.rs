//! The server through a real API, with what stands in for the rest of a cluster.

mod backups;
mod cluster;
mod restores;
mod server;
mod together;

use std::io::Read;
use std::time::Duration;

use flate2::read::GzDecoder;
use futures::TryStreamExt;
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams};
use kube::runtime::wait::await_condition;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::gate::Gate;
use crate::workloads::{self, DATA_ANNOTATION};

use self::cluster::{api_server, bind_claims, claim, create, dynamic, http_get, pod, story};
use super::objects::{Kind, phase};
use super::{Options, Velero};

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(20);
const VELERO: &str = "openshift-adp";
/// The tenant namespace of the tests.
const NS: &str = "poseidon1-dev";
/// A claim of this storage class is never bound.
const NO_CLASS: &str = "none";

/// A cluster with a Velero server in it.
struct World {
    client: Client,
    velero: Velero,
    /// What stands before the API server.
    gate: Gate,
    options: Options,
    folder: TempDir,
    _stop: DropGuard,
}

impl World {
    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// A world in which only claims are seen to.
    async fn with(change: impl FnOnce(&mut Options)) -> Self {
        Self::build(change, false).await
    }

    /// A world in which all of the harbour's controllers run.
    async fn with_workloads() -> Self {
        Self::build(|_| {}, true).await
    }

    async fn build(change: impl FnOnce(&mut Options), controllers: bool) -> Self {
        let stop = CancellationToken::new();
        let gate = Gate::open();
        let client = api_server(gate.clone(), stop.clone()).await;
        let folder = tempfile::tempdir().expect("a folder");
        let mut options = Options::new(folder.path().join("storage"), stop.clone());
        options.pace = Duration::from_millis(5);
        change(&mut options);
        for namespace in [VELERO, NS] {
            let body =
                json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
            create(&client, &body).await;
        }
        if controllers {
            let options = workloads::Options::default();
            workloads::start(client.clone(), options, stop.clone()).await;
        } else {
            tokio::spawn(bind_claims(client.clone(), stop.clone()));
        }
        let velero = super::start(client.clone(), options.clone())
            .await
            .expect("a server");
        Self {
            client,
            velero,
            gate,
            options,
            folder,
            _stop: stop.drop_guard(),
        }
    }

    fn api(&self, kind: Kind) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), VELERO, &kind.resource())
    }

    /// Creates one of Velero's objects.
    async fn ask(&self, kind: Kind, name: &str, spec: Value) -> DynamicObject {
        let resource = kind.resource();
        let body = json!({
            "apiVersion": resource.api_version,
            "kind": resource.kind,
            "metadata": {"name": name, "namespace": VELERO},
            "spec": spec,
        });
        create(&self.client, &body).await
    }

    async fn back_up(&self, name: &str) -> DynamicObject {
        let spec = json!({"includedNamespaces": [NS], "defaultVolumesToFsBackup": true});
        self.ask(Kind::Backup, name, spec).await;
        self.reach(Kind::Backup, name, "Completed").await
    }

    async fn restore(&self, name: &str, backup: &str) -> DynamicObject {
        let spec = json!({"backupName": backup, "includedNamespaces": [NS]});
        self.ask(Kind::Restore, name, spec).await
    }

    /// Waits until the object meets a condition.
    async fn until(
        &self,
        kind: Kind,
        name: &str,
        condition: impl Fn(&DynamicObject) -> bool,
    ) -> DynamicObject {
        let is = |object: Option<&DynamicObject>| object.is_some_and(&condition);
        let waiting = await_condition(self.api(kind), name, is);
        match tokio::time::timeout(PATIENCE, waiting).await {
            Ok(object) => object.expect("a watch").expect("an object"),
            Err(_late) => {
                let now = self.api(kind).get_opt(name).await;
                panic!("{kind:?} {name} does not come about: {now:#?}");
            }
        }
    }

    async fn reach(&self, kind: Kind, name: &str, wanted: &str) -> DynamicObject {
        self.until(kind, name, |object| phase(object) == wanted)
            .await
    }

    async fn gone(&self, kind: Kind, name: &str) {
        let gone = await_condition(self.api(kind), name, |object: Option<&DynamicObject>| {
            object.is_none()
        });
        let gone = tokio::time::timeout(PATIENCE, gone).await;
        gone.unwrap_or_else(|_| panic!("{kind:?} {name} does not go"))
            .expect("a watch");
    }

    /// Waits for something of a kind of Velero's.
    async fn first(&self, kind: Kind) -> DynamicObject {
        let events = watcher(self.api(kind), watcher::Config::default()).default_backoff();
        let mut events = std::pin::pin!(events.applied_objects());
        let first = tokio::time::timeout(PATIENCE, events.try_next()).await;
        first
            .expect("in time")
            .expect("a watch")
            .expect("an object")
    }

    /// Everything of a kind of Velero's.
    async fn all(&self, kind: Kind) -> Vec<DynamicObject> {
        let list = self.api(kind).list(&kube::api::ListParams::default()).await;
        list.expect("a list").items
    }

    /// The address that a DownloadRequest is answered with.
    async fn address(&self, target: &str, name: &str) -> String {
        let request = super::objects::generated(&format!("get-{name}"));
        let spec = json!({"target": {"kind": target, "name": name}});
        self.ask(Kind::DownloadRequest, &request, spec).await;
        let done = self
            .reach(Kind::DownloadRequest, &request, "Processed")
            .await;
        text(&done, "/status/downloadURL").to_owned()
    }

    async fn download(&self, target: &str, name: &str) -> String {
        let (status, body) = http_get(&self.address(target, name).await).await;
        assert_eq!(status, 200, "{target} of {name}");
        let mut content = String::new();
        let mut gzip = GzDecoder::new(body.as_slice());
        gzip.read_to_string(&mut content).expect("gzip");
        content
    }

    async fn download_json(&self, target: &str, name: &str) -> Value {
        serde_json::from_str(&self.download(target, name).await).expect("JSON")
    }

    /// Fills the tenant namespace: settings, a secret, a claim with data, and a
    /// running pod that mounts it.
    async fn populate(&self, data: &str) {
        for body in [
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "app", "namespace": NS}, "data": {"colour": "blue"}}),
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "key", "namespace": NS}, "data": {"k": "djE="}}),
            claim("data", "standard"),
        ] {
            create(&self.client, &body).await;
        }
        let disk = self.bound("data").await;
        let disks: Api<PersistentVolume> = Api::all(self.client.clone());
        let content = json!({"metadata": {"annotations": {DATA_ANNOTATION: data}}});
        disks
            .patch(&disk, &PatchParams::default(), &Patch::Merge(&content))
            .await
            .expect("data on the volume");
        create(&self.client, &pod("web-0", "data")).await;
    }

    /// Takes everything away that [`World::populate`] brought, and the volume.
    async fn clear(&self) {
        let disk = self.bound("data").await;
        for (kind, name) in [
            ("Pod", "web-0"),
            ("PersistentVolumeClaim", "data"),
            ("Secret", "key"),
            ("ConfigMap", "app"),
        ] {
            let api = dynamic(&self.client, "v1", kind, Some(NS));
            let now = DeleteParams::default().grace_period(0);
            api.delete(name, &now).await.expect("a delete");
            let gone =
                await_condition(api, name, |object: Option<&DynamicObject>| object.is_none());
            tokio::time::timeout(PATIENCE, gone)
                .await
                .expect("in time")
                .expect("a watch");
        }
        let disks = dynamic(&self.client, "v1", "PersistentVolume", None);
        disks
            .delete(&disk, &DeleteParams::default())
            .await
            .expect("a delete");
    }

    async fn bound(&self, claim: &str) -> String {
        let claims: Api<PersistentVolumeClaim> = Api::namespaced(self.client.clone(), NS);
        let bound = await_condition(claims, claim, |claim: Option<&PersistentVolumeClaim>| {
            claim.is_some_and(|claim| {
                claim
                    .status
                    .as_ref()
                    .and_then(|status| status.phase.as_deref())
                    == Some("Bound")
            })
        });
        let claim = tokio::time::timeout(PATIENCE, bound)
            .await
            .expect("in time");
        let claim = claim.expect("a watch").expect("a claim");
        claim
            .spec
            .and_then(|spec| spec.volume_name)
            .expect("a volume")
    }

    /// What is on the volume of a claim.
    async fn data(&self, claim: &str) -> Option<String> {
        let disk = self.bound(claim).await;
        let disks: Api<PersistentVolume> = Api::all(self.client.clone());
        let disk = disks.get(&disk).await.expect("a volume");
        disk.annotations().get(DATA_ANNOTATION).cloned()
    }
}

fn text<'a>(object: &'a DynamicObject, pointer: &str) -> &'a str {
    super::objects::text(&object.data, pointer)
        .unwrap_or_else(|| panic!("no {pointer} in {:#}", object.data))
}
