//! The server through a real API, with what stands in for the rest of a cluster.

mod backups;
mod restores;
mod server;
mod together;

use std::io::Read;
use std::time::Duration;

use flate2::read::GzDecoder;
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::GroupVersionKind;
use kube::discovery::ApiResource;
use kube::runtime::wait::await_condition;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::gate::Gate;
use crate::kubernetes;
use crate::workloads::{self, DATA_ANNOTATION};

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

fn claim(name: &str, class: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name, "namespace": NS},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
            "storageClassName": class,
        },
    })
}

fn pod(name: &str, claim: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": NS, "labels": {"app": "web"}},
        "spec": {
            "containers": [{"name": "main", "image": "registry.example.com/web:1"}],
            "volumes": [{"name": "files", "persistentVolumeClaim": {"claimName": claim}}],
        },
        "status": {"phase": "Running"},
    })
}

fn dynamic(
    client: &Client,
    version: &str,
    kind: &str,
    namespace: Option<&str>,
) -> Api<DynamicObject> {
    let (group, version) = version.split_once('/').unwrap_or(("", version));
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
    match namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    }
}

/// Creates an object, and its status after it if it is one of a built-in kind.
async fn create(client: &Client, body: &Value) -> DynamicObject {
    let object: DynamicObject = serde_json::from_value(body.clone()).expect("an object");
    let types = object.types.clone().expect("a kind");
    let namespace = object.namespace();
    let api = dynamic(
        client,
        &types.api_version,
        &types.kind,
        namespace.as_deref(),
    );
    let created = api.create(&PostParams::default(), &object).await;
    let created = created.unwrap_or_else(|error| panic!("creating {body:#}: {error}"));
    if let Some(status) = body.get("status") {
        let status = json!({"status": status});
        let patched = api
            .patch_status(
                &object.name_any(),
                &PatchParams::default(),
                &Patch::Merge(&status),
            )
            .await;
        return patched.unwrap_or_else(|error| panic!("status of {body:#}: {error}"));
    }
    created
}

/// Gives each claim a volume of its own, as a provisioner does, and lets claims
/// go that are deleted.
async fn bind_claims(client: Client, stop: CancellationToken) {
    let all: Api<PersistentVolumeClaim> = Api::all(client.clone());
    let claims = watcher(all, watcher::Config::default())
        .default_backoff()
        .applied_objects();
    let binding = claims.for_each(async |claim| {
        let Ok(claim) = claim else { return };
        let spec = claim.spec.clone().unwrap_or_default();
        let (Some(uid), Some(namespace)) = (claim.uid(), claim.namespace()) else {
            return;
        };
        let claims: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), &namespace);
        let params = PatchParams::default();
        let (name, disk) = (claim.name_any(), format!("pvc-{uid}"));
        if claim.metadata.deletion_timestamp.is_some() {
            // The protection of claims in use; the pods are gone by now.
            let bare = json!({"metadata": {"finalizers": null}});
            let _ = claims.patch(&name, &params, &Patch::Merge(&bare)).await;
            return;
        }
        if spec.volume_name.is_some() || spec.storage_class_name.as_deref() == Some(NO_CLASS) {
            return;
        }
        let body = json!({
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": disk},
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "capacity": {"storage": "1Gi"},
                "claimRef": {"kind": "PersistentVolumeClaim", "namespace": namespace, "name": name, "uid": uid},
                "csi": {"driver": "csi.example.com", "volumeHandle": uid},
                "persistentVolumeReclaimPolicy": "Delete",
                "storageClassName": "standard",
            },
        });
        create(&client, &body).await;
        let volume = json!({"spec": {"volumeName": disk}});
        let status = json!({"status": {"phase": "Bound"}});
        let _ = claims.patch(&name, &params, &Patch::Merge(&volume)).await;
        let _ = claims.patch_status(&name, &params, &Patch::Merge(&status)).await;
    });
    tokio::select! {
        () = stop.cancelled() => {}
        () = binding => {}
    }
}

/// Everything that happens to an object from here on, as far as a watch shows,
/// until it has one of the phases; `begin` is called once the object is seen.
async fn story(
    api: Api<DynamicObject>,
    name: &str,
    ends: &[&str],
    begin: impl Fn(),
) -> Vec<DynamicObject> {
    let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
    let mut seen = Vec::new();
    let mut events = std::pin::pin!(watcher(api, config).default_backoff().applied_objects());
    let reading = async {
        while let Some(object) = events.try_next().await.expect("a watch") {
            begin();
            let end = ends.contains(&phase(&object));
            seen.push(object);
            if end {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, reading)
        .await
        .expect("an end in time");
    seen
}

/// Sends a GET and returns the status and body.
async fn http_get(url: &str) -> (u16, Vec<u8>) {
    let rest = url.strip_prefix("http://").expect("http");
    let (host, path) = rest.split_once('/').expect("a path");
    let mut stream = TcpStream::connect(host).await.expect("a connection");
    let request = format!("GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream
        .write_all(request.as_bytes())
        .await
        .expect("a request");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("an answer");
    let end = answer
        .windows(4)
        .position(|bytes| bytes == b"\r\n\r\n")
        .expect("a head");
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|code| code.parse().ok())
        .expect("a status");
    (status, answer.split_off(end + 4))
}

/// An API server of the harbour with Velero's kinds, and a client of it. With
/// `HARBOUR_SPECS` the kinds are the published ones from that folder.
async fn api_server(gate: Gate, stop: CancellationToken) -> Client {
    let options = kubernetes::Options {
        specs: std::env::var_os("HARBOUR_SPECS").map(Into::into),
        gate,
        stop,
        ..kubernetes::Options::default()
    };
    let server = kubernetes::Server::start(options)
        .await
        .expect("an API server");
    server.install_crds().await.expect("Velero's kinds");
    server.client("velero")
}
