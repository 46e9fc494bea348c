//! The cluster that the tests run in, and how they look at it.

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::api::{Api, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::GroupVersionKind;
use kube::discovery::ApiResource;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use super::super::objects::phase;
use super::{NO_CLASS, NS, PATIENCE};
use crate::gate::Gate;
use crate::kubernetes;

pub(super) fn claim(name: &str, class: &str) -> Value {
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

pub(super) fn pod(name: &str, claim: &str) -> Value {
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

pub(super) fn dynamic(
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
pub(super) async fn create(client: &Client, body: &Value) -> DynamicObject {
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
pub(super) async fn bind_claims(client: Client, stop: CancellationToken) {
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
pub(super) async fn story(
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
pub(super) async fn http_get(url: &str) -> (u16, Vec<u8>) {
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
pub(super) async fn api_server(gate: Gate, stop: CancellationToken) -> Client {
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
