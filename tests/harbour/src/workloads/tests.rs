//! The controllers against the harbour's API server.

use std::time::{Duration, Instant};

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::core::v1::{
    ConfigMap, Namespace, PersistentVolume, PersistentVolumeClaim, Pod, ServiceAccount,
};
use kube::api::{Api, DeleteParams, ListParams, PostParams};
use kube::core::NamespaceResourceScope;
use kube::{Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{Options, pods, read_volume, write_volume};

const PATIENCE: Duration = Duration::from_mins(1);

struct Cluster {
    client: Client,
    _stop: DropGuard,
}

impl Cluster {
    async fn start() -> anyhow::Result<Self> {
        let stop = CancellationToken::new();
        let client = crate::world::stage::api_server(&stop).await?;
        super::start(client.clone(), Options::default(), stop.clone()).await;
        let this = Self {
            client,
            _stop: stop.drop_guard(),
        };
        let namespaces: Api<Namespace> = Api::all(this.client.clone());
        let body = serde_json::from_value(json!({"metadata": {"name": "a"}}))?;
        namespaces.create(&PostParams::default(), &body).await?;
        Ok(this)
    }

    fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.client.clone(), "a")
    }

    async fn create<K>(&self, body: Value) -> anyhow::Result<K>
    where
        K: Resource<Scope = NamespaceResourceScope> + Serialize + DeserializeOwned,
        K: Clone + std::fmt::Debug,
        K::DynamicType: Default,
    {
        let body: K = serde_json::from_value(body)?;
        Ok(self
            .api::<K>()
            .create(&PostParams::default(), &body)
            .await?)
    }

    async fn list<K>(&self) -> anyhow::Result<Vec<K>>
    where
        K: Resource<Scope = NamespaceResourceScope> + Clone + std::fmt::Debug + DeserializeOwned,
        K::DynamicType: Default,
    {
        Ok(self.api::<K>().list(&ListParams::default()).await?.items)
    }

    /// Waits until `holds` says so of the objects of a kind.
    async fn until<K>(&self, what: &str, holds: impl Fn(&[K]) -> bool) -> anyhow::Result<Vec<K>>
    where
        K: Resource<Scope = NamespaceResourceScope> + Clone + std::fmt::Debug + DeserializeOwned,
        K::DynamicType: Default,
    {
        let begun = Instant::now();
        loop {
            let objects = self.list::<K>().await?;
            if holds(&objects) {
                return Ok(objects);
            }
            anyhow::ensure!(begun.elapsed() < PATIENCE, "not {what}: {objects:#?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

fn ready(pod: &Pod) -> bool {
    let status = pod.status.as_ref();
    let conditions = status.and_then(|status| status.conditions.as_ref());
    conditions
        .into_iter()
        .flatten()
        .any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

fn phase(pod: &Pod) -> &str {
    let status = pod.status.as_ref();
    let phase = status.and_then(|status| status.phase.as_deref());
    phase.unwrap_or_default()
}

fn template(app: &str, claim: Option<&str>) -> Value {
    let mut spec = json!({"containers": [{"name": app, "image": "registry.example.com/app:1"}]});
    if let Some(claim) = claim {
        spec["volumes"] = json!([{"name": "data", "persistentVolumeClaim": {"claimName": claim}}]);
    }
    json!({"metadata": {"labels": {"app": app}}, "spec": spec})
}

fn deployment(name: &str, replicas: u32, claim: Option<&str>) -> Value {
    json!({
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": template(name, claim),
        },
    })
}

fn claim(name: &str) -> Value {
    json!({
        "metadata": {"name": name},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
        },
    })
}

#[tokio::test]
async fn a_deployment_runs_once_its_claim_is_bound_and_is_collected_in_the_end()
-> anyhow::Result<()> {
    let cluster = Cluster::start().await?;
    cluster
        .create::<Deployment>(deployment("app", 2, Some("data")))
        .await?;
    let pods = cluster
        .until::<Pod>("pending", |pods| {
            pods.len() == 2
                && pods.iter().all(|pod| {
                    let conditions = pod.status.as_ref().and_then(|it| it.conditions.as_ref());
                    phase(pod) == "Pending" && conditions.is_some()
                })
        })
        .await?;
    let scheduled = pods[0].status.clone().and_then(|it| it.conditions);
    assert_eq!(scheduled.unwrap_or_default()[0].status, "False");

    cluster
        .create::<PersistentVolumeClaim>(claim("data"))
        .await?;
    cluster
        .until::<Pod>("ready", |pods| pods.iter().all(ready))
        .await?;
    let deployments = cluster
        .until::<Deployment>("available", |all| {
            let status = all.first().and_then(|it| it.status.as_ref());
            status.is_some_and(|status| status.available_replicas == Some(2))
        })
        .await?;
    let status = deployments[0].status.clone().unwrap_or_default();
    assert_eq!(
        status.observed_generation,
        deployments[0].metadata.generation
    );

    assert_eq!(read_volume(&cluster.client, "a", "data").await?, None);
    write_volume(&cluster.client, "a", "data", "ledger").await?;
    let data = read_volume(&cluster.client, "a", "data").await?;
    assert_eq!(data.as_deref(), Some("ledger"));

    // A claim in use waits for the Pods.
    let claims = cluster.api::<PersistentVolumeClaim>();
    claims.delete("data", &DeleteParams::default()).await?;
    let held = cluster.list::<PersistentVolumeClaim>().await?;
    assert_eq!(held[0].finalizers(), ["kubernetes.io/pvc-protection"]);
    cluster
        .api::<Deployment>()
        .delete("app", &DeleteParams::background())
        .await?;
    cluster
        .until::<ReplicaSet>("collected", <[_]>::is_empty)
        .await?;
    cluster.until::<Pod>("collected", <[_]>::is_empty).await?;
    cluster
        .until::<PersistentVolumeClaim>("released", <[_]>::is_empty)
        .await?;
    let volumes: Api<PersistentVolume> = Api::all(cluster.client.clone());
    let begun = Instant::now();
    while !volumes.list(&ListParams::default()).await?.items.is_empty() {
        anyhow::ensure!(begun.elapsed() < PATIENCE, "the volume stays");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }

    // A new claim of the same name is empty.
    cluster
        .create::<PersistentVolumeClaim>(claim("data"))
        .await?;
    cluster
        .until::<PersistentVolumeClaim>("bound", |claims| {
            let status = claims.first().and_then(|claim| claim.status.as_ref());
            status.is_some_and(|status| status.phase.as_deref() == Some("Bound"))
        })
        .await?;
    assert_eq!(read_volume(&cluster.client, "a", "data").await?, None);
    Ok(())
}

/// Velero restores Pods, then ReplicaSets, then Deployments, all without owners.
#[tokio::test]
async fn restored_pods_are_adopted_and_not_doubled() -> anyhow::Result<()> {
    let cluster = Cluster::start().await?;
    cluster
        .create::<Deployment>(deployment("app", 2, None))
        .await?;
    let running = |pods: &[Pod]| pods.len() == 2 && pods.iter().all(ready);
    let pods = cluster.until::<Pod>("running", running).await?;
    let sets = cluster.list::<ReplicaSet>().await?;
    let deployments = cluster.list::<Deployment>().await?;
    cluster
        .api::<Deployment>()
        .delete("app", &DeleteParams::background())
        .await?;
    cluster.until::<ReplicaSet>("gone", <[_]>::is_empty).await?;
    cluster.until::<Pod>("gone", <[_]>::is_empty).await?;

    let bare = |metadata: &mut k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta| {
        metadata.owner_references = None;
        metadata.resource_version = None;
        metadata.uid = None;
        metadata.managed_fields = None;
    };
    let pp = PostParams::default();
    let names: Vec<String> = pods.iter().map(ResourceExt::name_any).collect();
    for mut pod in pods {
        bare(&mut pod.metadata);
        pod.status = None;
        cluster.api::<Pod>().create(&pp, &pod).await?;
    }
    for mut set in sets {
        bare(&mut set.metadata);
        set.status = None;
        cluster.api::<ReplicaSet>().create(&pp, &set).await?;
    }
    for mut deployment in deployments {
        bare(&mut deployment.metadata);
        deployment.status = None;
        cluster.api::<Deployment>().create(&pp, &deployment).await?;
    }
    cluster
        .until::<Deployment>("available", |all| {
            let status = all.first().and_then(|it| it.status.as_ref());
            status.is_some_and(|status| status.available_replicas == Some(2))
        })
        .await?;
    let sets = cluster.list::<ReplicaSet>().await?;
    assert_eq!(sets.len(), 1);
    assert_eq!(sets[0].owner_references().len(), 1);
    let pods = cluster.list::<Pod>().await?;
    let now: Vec<String> = pods.iter().map(ResourceExt::name_any).collect();
    assert_eq!(now, names);
    let set = sets[0].metadata.uid.clone().unwrap_or_default();
    assert!(pods.iter().all(|pod| pod.owner_references()[0].uid == set));
    Ok(())
}

#[tokio::test]
async fn a_stateful_set_numbers_its_pods_and_keeps_their_claims() -> anyhow::Result<()> {
    let cluster = Cluster::start().await?;
    cluster
        .create::<StatefulSet>(json!({
            "metadata": {"name": "db"},
            "spec": {
                "replicas": 2,
                "serviceName": "db",
                "selector": {"matchLabels": {"app": "db"}},
                "template": template("db", None),
                "volumeClaimTemplates": [claim("data")],
            },
        }))
        .await?;
    let both = |pods: &[Pod]| pods.len() == 2 && pods.iter().all(ready);
    let first = cluster.until::<Pod>("running", both).await?;
    let names: Vec<String> = first.iter().map(ResourceExt::name_any).collect();
    assert_eq!(names, ["db-0", "db-1"]);
    write_volume(&cluster.client, "a", "data-db-0", "kept").await?;
    cluster
        .api::<Pod>()
        .delete("db-0", &DeleteParams::default())
        .await?;
    cluster
        .until::<Pod>("running again", |pods| {
            both(pods) && pods[0].metadata.uid != first[0].metadata.uid
        })
        .await?;
    let data = read_volume(&cluster.client, "a", "data-db-0").await?;
    assert_eq!(data.as_deref(), Some("kept"));
    cluster
        .until::<StatefulSet>("ready", |sets| {
            let status = sets.first().and_then(|set| set.status.as_ref());
            status.is_some_and(|status| status.ready_replicas == Some(2))
        })
        .await?;
    Ok(())
}

#[tokio::test]
async fn a_changed_template_replaces_the_pods() -> anyhow::Result<()> {
    let cluster = Cluster::start().await?;
    cluster
        .create::<Deployment>(deployment("app", 1, None))
        .await?;
    let running = |pods: &[Pod]| pods.len() == 1 && pods.iter().all(ready);
    let old = cluster.until::<Pod>("running", running).await?;
    let image = json!({"spec": {"template": {"spec": {"containers": [
        {"name": "app", "image": "registry.example.com/app:2"},
    ]}}}});
    cluster
        .api::<Deployment>()
        .patch(
            "app",
            &kube::api::PatchParams::default(),
            &kube::api::Patch::Merge(image),
        )
        .await?;
    cluster
        .until::<Pod>("replaced", |pods| {
            running(pods) && pods[0].metadata.uid != old[0].metadata.uid
        })
        .await?;
    let sets = cluster.list::<ReplicaSet>().await?;
    assert_eq!(sets.len(), 2);
    Ok(())
}

#[tokio::test]
async fn namespaces_are_furnished_each_in_its_own_way() -> anyhow::Result<()> {
    let cluster = Cluster::start().await?;
    let namespaces: Api<Namespace> = Api::all(cluster.client.clone());
    let body = serde_json::from_value(json!({"metadata": {"name": "b"}}))?;
    namespaces.create(&PostParams::default(), &body).await?;
    let accounts = |accounts: &[ServiceAccount]| {
        let names: Vec<String> = accounts.iter().map(ResourceExt::name_any).collect();
        names == ["builder", "default", "deployer"]
    };
    cluster.until("furnished", accounts).await?;
    cluster
        .until::<ConfigMap>("furnished", |configs| configs.len() == 2)
        .await?;
    let begun = Instant::now();
    loop {
        let all = namespaces.list(&ListParams::default()).await?;
        let mut ranges: Vec<&String> = all
            .iter()
            .filter_map(|it| it.annotations().get("openshift.io/sa.scc.uid-range"))
            .collect();
        if ranges.len() == all.items.len() {
            ranges.sort();
            ranges.dedup();
            assert_eq!(ranges.len(), all.items.len());
            break;
        }
        anyhow::ensure!(begun.elapsed() < PATIENCE, "no ranges: {all:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    cluster
        .api::<ServiceAccount>()
        .delete("default", &DeleteParams::default())
        .await?;
    cluster.until("furnished again", accounts).await?;
    Ok(())
}

#[tokio::test]
async fn owners_end_as_they_were_told_to() -> anyhow::Result<()> {
    let cluster = Cluster::start().await?;
    for name in ["orphaning", "waiting"] {
        let owner: ConfigMap = cluster.create(json!({"metadata": {"name": name}})).await?;
        cluster
            .create::<ConfigMap>(json!({"metadata": {
                "name": format!("of-{name}"),
                "ownerReferences": [{
                    "apiVersion": "v1", "kind": "ConfigMap", "name": name,
                    "uid": owner.metadata.uid, "blockOwnerDeletion": true,
                }],
            }}))
            .await?;
    }
    let configs = cluster.api::<ConfigMap>();
    configs.delete("orphaning", &DeleteParams::orphan()).await?;
    configs
        .delete("waiting", &DeleteParams::foreground())
        .await?;
    let left = cluster
        .until::<ConfigMap>("settled", |configs| {
            configs.len() == 3 && configs.iter().all(|it| it.owner_references().is_empty())
        })
        .await?;
    assert!(
        left.iter()
            .any(|config| config.name_any() == "of-orphaning")
    );
    // An owner of the same name with another uid is no owner.
    configs
        .create(
            &PostParams::default(),
            &serde_json::from_value(json!({"metadata": {
                "name": "stranger",
                "ownerReferences": [{
                    "apiVersion": "v1", "kind": "ConfigMap", "name": "of-orphaning",
                    "uid": "00000000-0000-0000-0000-000000000000",
                }],
            }}))?,
        )
        .await?;
    cluster
        .until::<ConfigMap>("collected", |configs| {
            configs.iter().all(|config| config.name_any() != "stranger")
        })
        .await?;
    Ok(())
}

#[test]
fn claims_are_found_in_any_pod() {
    use super::mirror::{Kind, Object};
    let body = |spec: Value| Object {
        kind: std::sync::Arc::new(Kind {
            resource: kube::core::ApiResource::erase::<Pod>(&()),
            namespaced: true,
        }),
        body: kube::core::DynamicObject {
            types: None,
            metadata: kube::core::ObjectMeta::default(),
            data: json!({"spec": spec}),
        },
    };
    let strange = body(json!({"volumes": [{"name": 1}, "x", {"persistentVolumeClaim": 3}]}));
    assert_eq!(pods::claims_of(&strange).count(), 0);
    let plain = body(json!({"volumes": [{"persistentVolumeClaim": {"claimName": "data"}}]}));
    assert_eq!(pods::claims_of(&plain).collect::<Vec<_>>(), ["data"]);
}
