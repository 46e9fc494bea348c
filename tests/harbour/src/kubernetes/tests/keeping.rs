//! The server as a whole: what it keeps, and how fast it is.

use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, DeleteParams, ListParams, PostParams};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{Harbour, Options, Server, config_map, soon};

#[tokio::test]
async fn the_world_outlives_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let start = async || {
        let stop = CancellationToken::new();
        let options = Options {
            state: Some(folder.path().to_owned()),
            stop: stop.clone(),
            ..Options::default()
        };
        (Server::start(options).await.unwrap(), stop)
    };
    let (server, stop) = start().await;
    server.install_crds().await.unwrap();
    let api: Api<ConfigMap> = Api::namespaced(server.client("test"), "default");
    api.create(&PostParams::default(), &config_map("kept", "1"))
        .await
        .unwrap();
    api.create(&PostParams::default(), &config_map("gone", "1"))
        .await
        .unwrap();
    api.delete("gone", &DeleteParams::default()).await.unwrap();
    let version = api
        .list(&ListParams::default())
        .await
        .unwrap()
        .metadata
        .resource_version
        .unwrap();
    let before = server.dump();
    stop.cancel();
    soon(server.stopped()).await;

    let (server, stop) = start().await;
    assert_eq!(server.dump(), before);
    let api: Api<ConfigMap> = Api::namespaced(server.client("test"), "default");
    let later = api
        .list(&ListParams::default())
        .await
        .unwrap()
        .metadata
        .resource_version
        .unwrap();
    assert!(later.parse::<u64>().unwrap() > version.parse::<u64>().unwrap());
    let restores = kube::core::GroupVersionKind::gvk("velero.io", "v1", "Restore");
    assert!(
        kube::discovery::pinned_kind(&server.client("test"), &restores)
            .await
            .is_ok()
    );
    stop.cancel();
    soon(server.stopped()).await;
}

#[tokio::test]
async fn lists_are_quick() {
    let harbour = Harbour::start().await;
    let api: Api<ConfigMap> = harbour.api("one");
    for index in 0..100 {
        api.create(
            &PostParams::default(),
            &config_map(&format!("c{index}"), "1"),
        )
        .await
        .unwrap();
    }
    let path = "/api/v1/namespaces/one/configmaps";
    let mut best = Duration::MAX;
    for _ in 0..20 {
        let begun = Instant::now();
        let request = axum::http::Request::get(path)
            .body(kube::client::Body::from(Vec::new()))
            .unwrap();
        let answer = harbour.client.send(request).await.unwrap();
        http_body_util::BodyExt::collect(answer.into_body())
            .await
            .unwrap();
        best = best.min(begun.elapsed());
    }
    // Generous, for machines that are busy; about 1 ms is usual.
    assert!(best < Duration::from_millis(20), "{best:?}");
    eprintln!("100 objects listed in {best:?}");
}

#[tokio::test]
async fn a_kubeconfig_reaches_the_server() {
    let harbour = Harbour::start().await;
    let config: kube::config::Kubeconfig =
        serde_saphyr::from_str(&harbour.server.kubeconfig("a: \"token\"")).unwrap();
    let options = kube::config::KubeConfigOptions::default();
    let config = kube::Config::from_custom_kubeconfig(config, &options)
        .await
        .unwrap();
    let client = kube::Client::try_from(config).unwrap();
    assert_eq!(client.apiserver_version().await.unwrap().major, "1");
    let (code, body) = harbour
        .send(
            "POST",
            "/apis/authentication.k8s.io/v1/selfsubjectreviews",
            "application/json",
            &json!({}),
        )
        .await;
    assert_eq!(
        (code, &body["status"]["userInfo"]["username"]),
        (201, &json!("test"))
    );
}
