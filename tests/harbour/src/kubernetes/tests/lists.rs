//! Lists and discovery.

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, DynamicObject, ListParams, PostParams};
use kube::discovery::{Discovery, Scope};
use serde_json::json;

use super::{Harbour, config_map, refusal};

#[tokio::test]
async fn lists_select_and_page() {
    let harbour = Harbour::start().await;
    for ns in ["one", "two"] {
        let api: Api<ConfigMap> = harbour.api(ns);
        for index in 0..10 {
            let value = if index % 2 == 0 { "even" } else { "odd" };
            api.create(
                &PostParams::default(),
                &config_map(&format!("c{index}"), value),
            )
            .await
            .unwrap();
        }
    }
    let all: Api<ConfigMap> = Api::all(harbour.client.clone());
    assert_eq!(
        all.list(&ListParams::default()).await.unwrap().items.len(),
        20
    );
    let even = ListParams::default()
        .labels("value in (even)")
        .fields("metadata.namespace=one,metadata.name!=c0");
    assert_eq!(all.list(&even).await.unwrap().items.len(), 4);
    assert_eq!(
        refusal(all.list(&ListParams::default().fields("data.key=x")).await).0,
        400
    );

    let one: Api<ConfigMap> = harbour.api("one");
    let page = one.list(&ListParams::default().limit(4)).await.unwrap();
    assert_eq!(
        (page.items.len(), page.metadata.remaining_item_count),
        (4, Some(6))
    );
    let token = page.metadata.continue_.unwrap();
    // What happens meanwhile does not show in the list that was begun.
    one.delete("c5", &DeleteParams::default()).await.unwrap();
    let next = one
        .list(&ListParams::default().limit(4).continue_token(&token))
        .await
        .unwrap();
    assert_eq!(
        next.items
            .iter()
            .map(ResourceExt::name_any)
            .collect::<Vec<_>>(),
        ["c4", "c5", "c6", "c7"]
    );
    assert_eq!(
        next.metadata.resource_version,
        page.metadata.resource_version
    );
    let last = one
        .list(
            &ListParams::default()
                .limit(4)
                .continue_token(&next.metadata.continue_.unwrap()),
        )
        .await
        .unwrap();
    assert_eq!((last.items.len(), last.metadata.continue_), (2, None));
    harbour.server.forget_history();
    assert_eq!(
        refusal(
            one.list(&ListParams::default().continue_token(&token))
                .await
        ),
        (410, "Expired".into())
    );

    let partial = one.list_metadata(&ListParams::default()).await.unwrap();
    assert_eq!(partial.items.len(), 9);
    assert_eq!(one.get_metadata("c1").await.unwrap().name_any(), "c1");
    one.delete_collection(
        &DeleteParams::default(),
        &ListParams::default().labels("value=odd"),
    )
    .await
    .unwrap();
    assert_eq!(
        one.list(&ListParams::default()).await.unwrap().items.len(),
        5
    );
}

#[tokio::test]
async fn discovery_tells_what_there_is() {
    let harbour = Harbour::start().await;
    assert_eq!(
        harbour.client.apiserver_version().await.unwrap().minor,
        "33"
    );
    let plain = Discovery::new(harbour.client.clone()).run().await.unwrap();
    let aggregated = Discovery::new(harbour.client.clone())
        .run_aggregated()
        .await
        .unwrap();
    for found in [plain, aggregated] {
        let (pod, caps) = found
            .groups()
            .find(|group| group.name().is_empty())
            .unwrap()
            .recommended_kind("Pod")
            .unwrap();
        assert_eq!(
            (pod.plural.as_str(), caps.scope),
            ("pods", Scope::Namespaced)
        );
        let namespaced = found
            .groups()
            .flat_map(kube::discovery::ApiGroup::recommended_resources)
            .filter(|(_, caps)| {
                caps.scope == Scope::Namespaced && caps.supports_operation("deletecollection")
            });
        assert!(namespaced.count() > 20);
        assert!(found.has_group("apps"));
    }
    let secrets = kube::discovery::pinned_kind(
        &harbour.client,
        &kube::core::GroupVersionKind::gvk("", "v1", "Secret"),
    )
    .await
    .unwrap();
    let api: Api<DynamicObject> = Api::namespaced_with(harbour.client.clone(), "one", &secrets.0);
    let secret = DynamicObject::new("s", &secrets.0).data(json!({"stringData": {}}));
    api.create(&PostParams::default(), &secret).await.unwrap();
    let typed: Api<Secret> = harbour.api("one");
    assert_eq!(
        typed.get("s").await.unwrap().type_.as_deref(),
        Some("Opaque")
    );
    let (code, body) = harbour
        .send(
            "POST",
            "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
            "application/json",
            &json!({"spec": {}}),
        )
        .await;
    assert_eq!((code, &body["status"]["allowed"]), (201, &json!(true)));
}
