//! Single objects: created, read, changed, deleted.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, PersistentVolumeClaim, Pod, Secret};
use kube::ResourceExt;
use kube::api::{
    Api, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams, Preconditions,
};
use kube::discovery::{Discovery, Scope};
use serde_json::json;

use super::{Harbour, config_map, parse, refusal};

#[tokio::test]
async fn an_object_lives_and_dies() {
    let harbour = Harbour::start().await;
    let api: Api<ConfigMap> = harbour.api("one");
    let made = api
        .create(&PostParams::default(), &config_map("a", "1"))
        .await
        .unwrap();
    assert_eq!(made.namespace().as_deref(), Some("one"));
    assert!(made.uid().is_some() && made.creation_timestamp().is_some());
    assert_eq!(
        refusal(
            api.create(&PostParams::default(), &config_map("a", "1"))
                .await
        ),
        (409, "AlreadyExists".into())
    );
    assert_eq!(api.get("a").await.unwrap(), made);

    let mut changed = made.clone();
    changed
        .data
        .as_mut()
        .unwrap()
        .insert("key".into(), "2".into());
    let stored = api
        .replace("a", &PostParams::default(), &changed)
        .await
        .unwrap();
    assert_ne!(stored.resource_version(), made.resource_version());
    assert_eq!(stored.uid(), made.uid());
    assert_eq!(
        refusal(api.replace("a", &PostParams::default(), &changed).await),
        (409, "Conflict".into())
    );
    // A change that changes nothing makes no new version.
    let again = api
        .replace("a", &PostParams::default(), &stored)
        .await
        .unwrap();
    assert_eq!(again.resource_version(), stored.resource_version());

    let gone = api.delete("a", &DeleteParams::default()).await.unwrap();
    assert_eq!(
        gone.right().unwrap().details.unwrap().uid,
        made.uid().unwrap()
    );
    assert_eq!(api.get_opt("a").await.unwrap(), None);
    assert_eq!(
        refusal(api.delete("a", &DeleteParams::default()).await),
        (404, "NotFound".into())
    );
}

#[tokio::test]
async fn names_and_places_are_checked() {
    let harbour = Harbour::start().await;
    let api: Api<ConfigMap> = harbour.api("one");
    for bad in ["A", "a_b", "-a", "a.", "a..b"] {
        assert_eq!(
            refusal(
                api.create(&PostParams::default(), &config_map(bad, "1"))
                    .await
            ),
            (422, "Invalid".into()),
            "{bad}"
        );
    }
    let label = "x".repeat(64);
    assert_eq!(
        refusal(
            api.create(&PostParams::default(), &config_map("a", &label))
                .await
        ),
        (422, "Invalid".into())
    );
    let mut elsewhere = config_map("a", "1");
    elsewhere.metadata.namespace = Some("two".into());
    assert_eq!(
        refusal(api.create(&PostParams::default(), &elsewhere).await),
        (400, "BadRequest".into())
    );
    let nowhere: Api<ConfigMap> = harbour.api("three");
    assert_eq!(
        refusal(
            nowhere
                .create(&PostParams::default(), &config_map("a", "1"))
                .await
        ),
        (404, "NotFound".into())
    );
    let nameless = parse(json!({"data": {}}));
    assert_eq!(
        refusal(api.create(&PostParams::default(), &nameless).await),
        (422, "Invalid".into())
    );

    let generated: ConfigMap = parse(json!({"metadata": {"generateName": "run-"}}));
    let first = api
        .create(&PostParams::default(), &generated)
        .await
        .unwrap();
    let second = api
        .create(&PostParams::default(), &generated)
        .await
        .unwrap();
    assert_ne!(first.name_any(), second.name_any());
    assert!(first.name_any().starts_with("run-") && first.name_any().len() == 9);
}

#[tokio::test]
async fn deletes_may_have_preconditions() {
    let harbour = Harbour::start().await;
    let api: Api<ConfigMap> = harbour.api("one");
    let made = api
        .create(&PostParams::default(), &config_map("a", "1"))
        .await
        .unwrap();
    let with = |uid: Option<String>, resource_version: Option<String>| DeleteParams {
        preconditions: Some(Preconditions {
            uid,
            resource_version,
        }),
        ..DeleteParams::default()
    };
    assert_eq!(
        refusal(api.delete("a", &with(Some("other".into()), None)).await).0,
        409
    );
    assert_eq!(
        refusal(api.delete("a", &with(made.uid(), Some("1".into()))).await).0,
        409
    );
    api.delete(
        "a",
        &DeleteParams {
            dry_run: true,
            ..DeleteParams::default()
        },
    )
    .await
    .unwrap();
    assert!(api.get_opt("a").await.unwrap().is_some());
    api.delete("a", &with(made.uid(), made.resource_version()))
        .await
        .unwrap();
    assert!(api.get_opt("a").await.unwrap().is_none());
}

#[tokio::test]
async fn a_dry_run_changes_nothing() {
    let harbour = Harbour::start().await;
    let api: Api<ConfigMap> = harbour.api("one");
    let kept = api
        .create(&PostParams::default(), &config_map("kept", "1"))
        .await
        .unwrap();
    let before = harbour.server.dump();
    let dry = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    api.create(&dry, &config_map("a", "1")).await.unwrap();
    let mut changed = kept.clone();
    changed.data = None;
    assert_eq!(
        api.replace("kept", &dry, &changed).await.unwrap().data,
        None
    );
    let patch = PatchParams {
        dry_run: true,
        ..PatchParams::default()
    };
    api.patch("kept", &patch, &Patch::Merge(json!({"data": {"key": "2"}})))
        .await
        .unwrap();
    api.patch(
        "new",
        &PatchParams::apply("me").dry_run(),
        &Patch::Apply(config_map("new", "1")),
    )
    .await
    .unwrap();
    assert_eq!(harbour.server.dump(), before);
}

#[tokio::test]
async fn finalizers_hold_what_is_deleted() {
    let harbour = Harbour::start().await;
    let api: Api<ConfigMap> = harbour.api("one");
    let mut held = config_map("a", "1");
    held.metadata.finalizers = Some(vec!["example.com/hold".into()]);
    let made = api.create(&PostParams::default(), &held).await.unwrap();
    let waiting = api
        .delete("a", &DeleteParams::default())
        .await
        .unwrap()
        .left()
        .unwrap();
    assert!(waiting.metadata.deletion_timestamp.is_some());
    assert_ne!(waiting.resource_version(), made.resource_version());
    // A second delete changes nothing.
    let twice = api
        .delete("a", &DeleteParams::default())
        .await
        .unwrap()
        .left()
        .unwrap();
    assert_eq!(twice.resource_version(), waiting.resource_version());
    let more = json!({"metadata": {"finalizers": ["example.com/hold", "example.com/more"]}});
    assert_eq!(
        refusal(
            api.patch("a", &PatchParams::default(), &Patch::Merge(more))
                .await
        )
        .0,
        422
    );
    let none = json!({"metadata": {"finalizers": null}});
    api.patch("a", &PatchParams::default(), &Patch::Merge(none))
        .await
        .unwrap();
    assert!(api.get_opt("a").await.unwrap().is_none());

    api.create(&PostParams::default(), &config_map("b", "1"))
        .await
        .unwrap();
    let object = api
        .delete("b", &DeleteParams::foreground())
        .await
        .unwrap()
        .left()
        .unwrap();
    assert_eq!(object.finalizers(), ["foregroundDeletion"]);
    api.create(&PostParams::default(), &config_map("c", "1"))
        .await
        .unwrap();
    let object = api
        .delete("c", &DeleteParams::orphan())
        .await
        .unwrap()
        .left()
        .unwrap();
    assert_eq!(object.finalizers(), ["orphan"]);
    let claims: Api<PersistentVolumeClaim> = harbour.api("one");
    let claim = parse(json!({
        "metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }));
    let claim = claims.create(&PostParams::default(), &claim).await.unwrap();
    assert_eq!(claim.finalizers(), ["kubernetes.io/pvc-protection"]);
    assert_eq!(claim.status.unwrap().phase.as_deref(), Some("Pending"));
}

#[tokio::test]
async fn a_namespace_is_emptied_before_it_goes() {
    let harbour = Harbour::start().await;
    let namespaces: Api<Namespace> = Api::all(harbour.client.clone());
    let api: Api<ConfigMap> = harbour.api("one");
    api.create(&PostParams::default(), &config_map("a", "1"))
        .await
        .unwrap();
    let mut held = config_map("held", "1");
    held.metadata.finalizers = Some(vec!["example.com/hold".into()]);
    api.create(&PostParams::default(), &held).await.unwrap();

    let leaving = namespaces
        .delete("one", &DeleteParams::default())
        .await
        .unwrap()
        .left()
        .unwrap();
    assert_eq!(
        leaving.status.unwrap().phase.as_deref(),
        Some("Terminating")
    );
    assert!(api.get_opt("a").await.unwrap().is_none());
    assert_eq!(
        refusal(
            api.create(&PostParams::default(), &config_map("b", "1"))
                .await
        ),
        (403, "Forbidden".into())
    );
    let none = json!({"metadata": {"finalizers": null}});
    api.patch("held", &PatchParams::default(), &Patch::Merge(none))
        .await
        .unwrap();
    assert!(namespaces.get_opt("one").await.unwrap().is_none());
    namespaces
        .delete("two", &DeleteParams::default())
        .await
        .unwrap();
    assert!(namespaces.get_opt("two").await.unwrap().is_none());
}

fn deployment(name: &str) -> Deployment {
    parse(json!({
        "metadata": {"name": name},
        "spec": {
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "main", "image": "web:1"}, {"name": "side", "image": "log:1"}]},
            },
        },
    }))
}

#[tokio::test]
async fn status_has_its_own_way() {
    let harbour = Harbour::start().await;
    let api: Api<Deployment> = harbour.api("one");
    let mut wanted = deployment("web");
    wanted.status = Some(parse(json!({"replicas": 7})));
    let made = api.create(&PostParams::default(), &wanted).await.unwrap();
    assert_eq!(
        (made.status.clone(), made.metadata.generation),
        (None, Some(1))
    );
    assert_eq!(made.spec.as_ref().unwrap().replicas, Some(1));

    let status = json!({"spec": {"replicas": 5}, "metadata": {"labels": {"x": "y"}}, "status": {"replicas": 3}});
    let seen = api
        .patch_status(
            "web",
            &PatchParams::default(),
            &Patch::Merge(status.clone()),
        )
        .await
        .unwrap();
    assert_eq!(seen.status.as_ref().unwrap().replicas, Some(3));
    assert_eq!(
        (
            seen.spec.as_ref().unwrap().replicas,
            seen.metadata.generation
        ),
        (Some(1), Some(1))
    );
    assert!(seen.labels().is_empty());

    let status = json!({"spec": {"replicas": 5}, "status": {"replicas": 9}});
    let seen = api
        .patch("web", &PatchParams::default(), &Patch::Merge(status))
        .await
        .unwrap();
    assert_eq!(seen.status.as_ref().unwrap().replicas, Some(3));
    assert_eq!(
        (
            seen.spec.as_ref().unwrap().replicas,
            seen.metadata.generation
        ),
        (Some(5), Some(2))
    );
    let seen = api.get_status("web").await.unwrap();
    assert_eq!(seen.metadata.generation, Some(2));

    let other = json!({"spec": {"selector": {"matchLabels": {"app": "other"}}}});
    assert_eq!(
        refusal(
            api.patch("web", &PatchParams::default(), &Patch::Merge(other))
                .await
        )
        .0,
        422
    );
}

#[tokio::test]
async fn every_kind_of_patch_works() {
    let harbour = Harbour::start().await;
    let api: Api<Deployment> = harbour.api("one");
    let made = api
        .create(&PostParams::default(), &deployment("web"))
        .await
        .unwrap();
    let patch = json!({"spec": {"template": {"spec": {"containers": [{"name": "main", "image": "web:2"}]}}}});
    let seen = api
        .patch(
            "web",
            &PatchParams::default(),
            &Patch::Strategic(patch.clone()),
        )
        .await
        .unwrap();
    let images = |it: &Deployment| -> Vec<String> {
        let pod = it.spec.as_ref().unwrap().template.spec.as_ref().unwrap();
        pod.containers
            .iter()
            .map(|container| container.image.clone().unwrap())
            .collect()
    };
    assert_eq!(images(&seen), ["web:2", "log:1"]);
    let seen = api
        .patch("web", &PatchParams::default(), &Patch::Merge(patch))
        .await
        .unwrap();
    assert_eq!(images(&seen), ["web:2"]);

    let url = "/apis/apps/v1/namespaces/one/deployments/web";
    let ops = json!([
        {"op": "test", "path": "/spec/replicas", "value": 1},
        {"op": "replace", "path": "/spec/replicas", "value": 4},
    ]);
    let (code, body) = harbour
        .send("PATCH", url, "application/json-patch+json", &ops)
        .await;
    assert_eq!((code, &body["spec"]["replicas"]), (200, &json!(4)));
    let (code, body) = harbour
        .send("PATCH", url, "application/json-patch+json", &ops)
        .await;
    assert_eq!((code, &body["kind"]), (422, &json!("Status")));
    let (code, body) = harbour.send("PATCH", url, "text/plain", &ops).await;
    assert_eq!(
        (code, &body["reason"]),
        (415, &json!("UnsupportedMediaType"))
    );

    let stale =
        json!({"metadata": {"resourceVersion": made.resource_version()}, "spec": {"replicas": 2}});
    assert_eq!(
        refusal(
            api.patch("web", &PatchParams::default(), &Patch::Merge(stale))
                .await
        )
        .0,
        409
    );
    let other = json!({"metadata": {"uid": "other"}});
    assert_eq!(
        refusal(
            api.patch("web", &PatchParams::default(), &Patch::Merge(other))
                .await
        )
        .0,
        409
    );
}

#[tokio::test]
async fn misshapen_objects_are_refused() {
    let harbour = Harbour::start().await;
    let path = "/api/v1/namespaces/one/pods";
    let pod = |spec: serde_json::Value| json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": spec});
    let json_media = "application/json";
    let (code, body) = harbour
        .send("POST", path, json_media, &pod(json!({"containers": 3})))
        .await;
    assert_eq!((code, &body["reason"]), (400, &json!("BadRequest")));
    let (code, _) = harbour
        .send("POST", path, json_media, &pod(json!({"containers": []})))
        .await;
    assert_eq!(code, 422);
    let odd = pod(json!({"containers": [{"name": "a", "colour": "red"}]}));
    let (code, body) = harbour
        .send(
            "POST",
            &format!("{path}?fieldValidation=Strict"),
            json_media,
            &odd,
        )
        .await;
    assert_eq!(code, 400);
    assert!(
        body["message"]
            .as_str()
            .unwrap()
            .contains("unknown field \"spec.containers[0].colour\""),
        "{body}"
    );
    let (code, body) = harbour.send("POST", path, json_media, &odd).await;
    assert_eq!(
        (code, body["spec"]["containers"][0].get("colour")),
        (201, None)
    );
    let (code, _) = harbour
        .send(
            "POST",
            path,
            json_media,
            &json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "b"}}),
        )
        .await;
    assert_eq!(code, 400);
    let (code, body) = harbour
        .send(
            "GET",
            "/api/v1/namespaces/one/nonsense",
            json_media,
            &json!(null),
        )
        .await;
    assert_eq!((code, &body["reason"]), (404, &json!("NotFound")));
    let (code, body) = harbour
        .send("DELETE", "/api/v1/secrets", json_media, &json!(null))
        .await;
    assert_eq!((code, &body["reason"]), (405, &json!("MethodNotAllowed")));
    let (code, _) = harbour
        .send(
            "POST",
            path,
            "application/vnd.kubernetes.protobuf",
            &json!({}),
        )
        .await;
    assert_eq!(code, 415);
    let yaml = serde_saphyr::to_string(
        &json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "yaml"}}),
    )
    .unwrap();
    let request = axum::http::Request::post("/api/v1/namespaces/one/configmaps")
        .header("content-type", "application/yaml")
        .body(kube::client::Body::from(yaml.into_bytes()))
        .unwrap();
    assert_eq!(harbour.client.send(request).await.unwrap().status(), 201);
}

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
    let _: Api<Pod> = harbour.api("one");
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
