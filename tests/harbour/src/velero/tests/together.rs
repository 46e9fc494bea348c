//! Velero together with the controllers of workloads.

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, ListParams};
use kube::runtime::wait::{await_condition, conditions};
use serde_json::json;

use super::super::objects::{Kind, RESTORE_NAME, phase};
use super::{NS, PATIENCE, World, claim, create};
use crate::workloads::{read_volume, write_volume};

impl World {
    async fn available(&self) {
        let deployments: Api<Deployment> = Api::namespaced(self.client.clone(), NS);
        let available = await_condition(deployments, "web", |web: Option<&Deployment>| {
            let status = web.and_then(|web| web.status.as_ref());
            status.and_then(|status| status.available_replicas) == Some(1)
        });
        let available = tokio::time::timeout(PATIENCE, available).await;
        available.expect("in time").expect("a watch");
    }

    async fn pods(&self) -> Vec<Pod> {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), NS);
        pods.list(&ListParams::default())
            .await
            .expect("a list")
            .items
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_comes_back_with_its_data_and_no_pod_too_many() {
    let world = World::with_workloads().await;
    let deployment = json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": NS},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {
                    "containers": [{"name": "main", "image": "registry.example.com/web:1"}],
                    "volumes": [{"name": "files", "persistentVolumeClaim": {"claimName": "data"}}],
                },
            },
        },
    });
    create(&world.client, &claim("data", "standard")).await;
    create(&world.client, &deployment).await;
    world.available().await;
    write_volume(&world.client, NS, "data", "seven ships")
        .await
        .expect("data");
    world.back_up("b1").await;

    let deployments: Api<Deployment> = Api::namespaced(world.client.clone(), NS);
    let background = DeleteParams::background();
    deployments
        .delete("web", &background)
        .await
        .expect("a delete");
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(world.client.clone(), NS);
    let old = claims
        .get("data")
        .await
        .expect("a claim")
        .uid()
        .expect("a uid");
    claims
        .delete("data", &DeleteParams::default())
        .await
        .expect("a delete");
    let gone = await_condition(claims, "data", conditions::is_deleted(&old));
    tokio::time::timeout(PATIENCE, gone)
        .await
        .expect("in time")
        .expect("a watch");
    assert_eq!(world.pods().await.len(), 0);

    world.restore("r1", "b1").await;
    let done = world.reach(Kind::Restore, "r1", "Completed").await;
    assert!(
        done.data["status"].get("errors").is_none(),
        "{:#}",
        done.data
    );
    world.available().await;
    let data = read_volume(&world.client, NS, "data")
        .await
        .expect("a volume");
    assert_eq!(data.as_deref(), Some("seven ships"));
    let pods = world.pods().await;
    let [pod] = &pods[..] else {
        panic!("{pods:#?}");
    };
    assert_eq!(pod.labels()[RESTORE_NAME], "r1");
    let sets: Api<ReplicaSet> = Api::namespaced(world.client.clone(), NS);
    let sets = sets
        .list(&ListParams::default())
        .await
        .expect("a list")
        .items;
    let [set] = &sets[..] else {
        panic!("{sets:#?}");
    };
    assert_eq!(pod.owner_references()[0].uid, set.uid().expect("a uid"));
    let volumes = world.all(Kind::PodVolumeRestore).await;
    assert_eq!(volumes.iter().map(phase).collect::<Vec<_>>(), ["Completed"]);
    // What the platform puts into every namespace was there and the same.
    let list = world.download_json("RestoreResourceList", "r1").await;
    assert_eq!(
        list["v1/ServiceAccount"].as_array().map(Vec::len),
        Some(3),
        "{list:#}"
    );
    let results = world.download_json("RestoreResults", "r1").await;
    assert_eq!(results, json!({"errors": {}, "warnings": {}}), "{list:#}");
}
