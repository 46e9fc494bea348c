//! Server-side apply and the management of fields.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::ResourceExt;
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use super::{Harbour, config_map, parse, refusal};

fn applied(data: &Value) -> Patch<Value> {
    Patch::Apply(
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": data}),
    )
}

async fn data(api: &Api<ConfigMap>) -> Value {
    json!(api.get("a").await.unwrap().data.unwrap_or_default())
}

#[tokio::test]
async fn what_is_no_longer_applied_goes() {
    let harbour = Harbour::start().await;
    let api: Api<ConfigMap> = harbour.api("one");
    let (one, two) = (PatchParams::apply("one"), PatchParams::apply("two"));
    let first = api
        .patch("a", &one, &applied(&json!({"x": "1", "y": "1"})))
        .await
        .unwrap();
    let again = api
        .patch("a", &one, &applied(&json!({"x": "1", "y": "1"})))
        .await
        .unwrap();
    assert_eq!(first.resource_version(), again.resource_version());
    api.patch("a", &two, &applied(&json!({"y": "1", "z": "2"})))
        .await
        .unwrap();
    assert_eq!(data(&api).await, json!({"x": "1", "y": "1", "z": "2"}));
    // `y` stays because `two` has it too.
    api.patch("a", &one, &applied(&json!({}))).await.unwrap();
    assert_eq!(data(&api).await, json!({"y": "1", "z": "2"}));
    api.patch("a", &two, &applied(&json!({"z": "2"})))
        .await
        .unwrap();
    assert_eq!(data(&api).await, json!({"z": "2"}));
}

#[tokio::test]
async fn managers_do_not_overwrite_each_other() {
    let harbour = Harbour::start().await;
    let api: Api<ConfigMap> = harbour.api("one");
    let (one, two) = (PatchParams::apply("one"), PatchParams::apply("two"));
    api.patch("a", &one, &applied(&json!({"x": "1"})))
        .await
        .unwrap();
    let refused = api.patch("a", &two, &applied(&json!({"x": "2"}))).await;
    let Err(kube::Error::Api(status)) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!((status.code, status.reason.as_str()), (409, "Conflict"));
    assert_eq!(
        status.message,
        "Apply failed with 1 conflict: conflict with \"one\" using v1: .data.x"
    );
    api.patch("a", &two.clone().force(), &applied(&json!({"x": "2"})))
        .await
        .unwrap();
    // Now it is `two`'s, and `one` may leave it out without effect.
    api.patch("a", &one, &applied(&json!({"w": "1"})))
        .await
        .unwrap();
    assert_eq!(data(&api).await, json!({"x": "2", "w": "1"}));
    // Who patches becomes the manager of what the patch changed.
    let patch = Patch::Merge(json!({"data": {"w": "3"}}));
    api.patch(
        "a",
        &PatchParams {
            field_manager: Some("three".into()),
            ..PatchParams::default()
        },
        &patch,
    )
    .await
    .unwrap();
    assert_eq!(
        refusal(api.patch("a", &one, &applied(&json!({"w": "1"}))).await).0,
        409
    );
    assert_eq!(
        refusal(
            api.patch("a", &PatchParams::default(), &applied(&json!({})))
                .await
        )
        .0,
        400
    );
    let managers: Vec<_> = api
        .get("a")
        .await
        .unwrap()
        .managed_fields()
        .iter()
        .map(|entry| entry.manager.clone().unwrap())
        .collect();
    assert_eq!(managers, ["two", "three"]);
}

#[tokio::test]
async fn lists_are_merged_by_their_keys() {
    let harbour = Harbour::start().await;
    let api: Api<Deployment> = harbour.api("one");
    let with = |containers: Value, replicas: Value| {
        Patch::Apply(json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": {"app": "web"}},
                "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": containers}},
            },
        }))
    };
    let names = |it: &Deployment| -> Vec<String> {
        let pod = it.spec.as_ref().unwrap().template.spec.as_ref().unwrap();
        pod.containers
            .iter()
            .map(|one| format!("{}={}", one.name, one.image.as_deref().unwrap_or_default()))
            .collect()
    };
    let (one, two) = (PatchParams::apply("one"), PatchParams::apply("two").force());
    let main = json!({"name": "main", "image": "web:1"});
    api.patch(
        "web",
        &one,
        &with(json!([main, {"name": "old", "image": "old:1"}]), json!(2)),
    )
    .await
    .unwrap();
    let seen = api
        .patch(
            "web",
            &two,
            &with(json!([{"name": "side", "image": "log:1"}]), json!(2)),
        )
        .await
        .unwrap();
    assert_eq!(names(&seen), ["main=web:1", "old=old:1", "side=log:1"]);
    let seen = api
        .patch(
            "web",
            &one,
            &with(json!([{"name": "main", "image": "web:2"}]), json!(2)),
        )
        .await
        .unwrap();
    assert_eq!(names(&seen), ["main=web:2", "side=log:1"]);
    let status = Patch::Apply(
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "status": {"replicas": 2}}),
    );
    let seen = api
        .patch_status("web", &PatchParams::apply("controller"), &status)
        .await
        .unwrap();
    assert_eq!(seen.status.as_ref().unwrap().replicas, Some(2));
    assert!(
        seen.managed_fields()
            .iter()
            .any(|entry| entry.subresource.as_deref() == Some("status"))
    );
}

#[tokio::test]
async fn the_managers_of_ordinary_writes_are_recorded() {
    let harbour = Harbour::start().await;
    let api: Api<ConfigMap> = harbour.api("one");
    let params = PostParams {
        field_manager: Some("maker".into()),
        ..PostParams::default()
    };
    let made = api.create(&params, &config_map("a", "1")).await.unwrap();
    let entry = &made.managed_fields()[0];
    assert_eq!(
        (entry.manager.as_deref(), entry.operation.as_deref()),
        (Some("maker"), Some("Update"))
    );
    assert_eq!(
        serde_json::to_value(&entry.fields_v1).unwrap(),
        json!({"f:data": {"f:key": {}}, "f:metadata": {"f:labels": {"f:value": {}}}})
    );
    let secret: Secret = parse(json!({"metadata": {"name": "s"}, "stringData": {"k": "v"}}));
    let secrets: Api<Secret> = harbour.api("one");
    let secret = secrets.create(&params, &secret).await.unwrap();
    assert_eq!(secret.string_data, None);
    assert_eq!(secret.data.unwrap()["k"].0, b"v");
}
