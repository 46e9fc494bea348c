//! Taking a harbour off an API server that is not its own.
//!
//! An API server may have no controllers at all, so that nothing here relies on
//! one: contents are deleted kind by kind, finalizers whose controllers are the
//! harbour's own and stopped are taken off, and namespaces are finalized by hand.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use k8s_openapi::api::core::v1::{Namespace, PersistentVolume};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use kube::core::DynamicObject;
use kube::core::discovery::{ApiResource, Scope, verbs};
use kube::discovery::Discovery;
use kube::{Api, Client, ResourceExt as _};
use serde_json::json;

const PATIENCE: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(100);

/// Deletes namespaces with everything in them.
pub(crate) async fn namespaces(client: &Client, names: &[String]) -> anyhow::Result<()> {
    let kinds = deletable(client).await?;
    for name in names {
        contents(client, name, &kinds)
            .await
            .with_context(|| format!("empty the namespace {name}"))?;
        namespace(client, name)
            .await
            .with_context(|| format!("delete the namespace {name}"))?;
    }
    volumes(client, names)
        .await
        .context("delete the volumes of the namespaces' claims")
}

/// Volumes are no part of a namespace, and nobody reclaims them any more.
async fn volumes(client: &Client, names: &[String]) -> anyhow::Result<()> {
    let api: Api<PersistentVolume> = Api::all(client.clone());
    for volume in api.list(&ListParams::default()).await? {
        let claim = volume.spec.as_ref().and_then(|it| it.claim_ref.as_ref());
        let Some(namespace) = claim.and_then(|claim| claim.namespace.as_ref()) else {
            continue;
        };
        if names.contains(namespace) {
            let name = volume.name_any();
            let free = json!({ "metadata": { "finalizers": null } });
            let _ = api
                .patch(&name, &PatchParams::default(), &Patch::Merge(&free))
                .await;
            let _ = api.delete(&name, &DeleteParams::default()).await;
        }
    }
    Ok(())
}

async fn deletable(client: &Client) -> anyhow::Result<Vec<ApiResource>> {
    let discovery = Discovery::new(client.clone()).run().await?;
    Ok(discovery
        .groups()
        .flat_map(kube::discovery::ApiGroup::recommended_resources)
        .filter(|(_, can)| {
            can.scope == Scope::Namespaced
                && can.supports_operation(verbs::LIST)
                && can.supports_operation(verbs::DELETE)
        })
        .map(|(kind, _)| kind)
        .collect())
}

async fn contents(client: &Client, name: &str, kinds: &[ApiResource]) -> anyhow::Result<()> {
    let began = Instant::now();
    loop {
        let mut left = 0;
        for kind in kinds {
            let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), name, kind);
            for object in api.list_metadata(&ListParams::default()).await? {
                left += 1;
                let object_name = object.name_any();
                if object.metadata.deletion_timestamp.is_some() {
                    let free = json!({ "metadata": { "finalizers": null } });
                    let _ = api
                        .patch(&object_name, &PatchParams::default(), &Patch::Merge(&free))
                        .await;
                } else {
                    let _ = api.delete(&object_name, &DeleteParams::background()).await;
                }
            }
        }
        if left == 0 || began.elapsed() > PATIENCE {
            return Ok(());
        }
        tokio::time::sleep(LOOK).await;
    }
}

async fn namespace(client: &Client, name: &str) -> anyhow::Result<()> {
    let api: Api<Namespace> = Api::all(client.clone());
    let _ = api.delete(name, &DeleteParams::default()).await;
    let began = Instant::now();
    while let Some(mut left) = api.get_opt(name).await? {
        if began.elapsed() > PATIENCE {
            anyhow::bail!("it is still there");
        }
        // A server with a namespace controller needs no help; one without needs it at once.
        left.spec.get_or_insert_default().finalizers = Some(Vec::new());
        let request = http_put(name, &left)?;
        let _ = client.request::<serde_json::Value>(request).await;
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}

fn http_put(name: &str, namespace: &Namespace) -> anyhow::Result<hyper::Request<Vec<u8>>> {
    Ok(
        hyper::Request::put(format!("/api/v1/namespaces/{name}/finalize"))
            .header("content-type", "application/json")
            .body(serde_json::to_vec(namespace)?)?,
    )
}
