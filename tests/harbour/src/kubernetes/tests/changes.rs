//! Objects changed: status, patches, and what is refused.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::json;

use super::{Harbour, parse, refusal};

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
async fn pods_are_bound_and_hardly_changed() {
    let harbour = Harbour::start().await;
    let api: Api<Pod> = harbour.api("one");
    let pod = json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "main", "image": "web:1"}]}});
    let made = api
        .create(&PostParams::default(), &parse(pod))
        .await
        .unwrap();
    assert_eq!(made.status.unwrap().phase.as_deref(), Some("Pending"));
    let node = Patch::Merge(json!({"spec": {"nodeName": "n"}}));
    assert_eq!(
        refusal(api.patch("p", &PatchParams::default(), &node).await).0,
        422
    );
    let image =
        Patch::Strategic(json!({"spec": {"containers": [{"name": "main", "image": "web:2"}]}}));
    api.patch("p", &PatchParams::default(), &image)
        .await
        .unwrap();

    let url = "/api/v1/namespaces/one/pods/p";
    let binding = json!({"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n"}});
    let (code, _) = harbour
        .send(
            "POST",
            &format!("{url}/binding"),
            "application/json",
            &binding,
        )
        .await;
    assert_eq!(code, 201);
    assert_eq!(
        api.get("p")
            .await
            .unwrap()
            .spec
            .unwrap()
            .node_name
            .as_deref(),
        Some("n")
    );
    let (code, _) = harbour
        .send(
            "POST",
            &format!("{url}/binding"),
            "application/json",
            &binding,
        )
        .await;
    assert_eq!(code, 409);
    let eviction =
        json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "p"}});
    let (code, _) = harbour
        .send(
            "POST",
            &format!("{url}/eviction"),
            "application/json",
            &eviction,
        )
        .await;
    assert_eq!((code, api.get_opt("p").await.unwrap()), (201, None));
}

#[tokio::test]
async fn owners_and_sizes_are_checked() {
    let harbour = Harbour::start().await;
    let url = "/api/v1/namespaces/one/configmaps";
    let owner = |uid: &str| json!({"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": uid, "controller": true});
    for owners in [json!([owner("")]), json!([owner("1"), owner("2")])] {
        let body = json!({"metadata": {"name": "a", "ownerReferences": owners}});
        let (code, body) = harbour.send("POST", url, "application/json", &body).await;
        assert_eq!(code, 422, "{body}");
    }
    let large = json!({"metadata": {"name": "a"}, "data": {"x": "x".repeat(2 * 1024 * 1024)}});
    assert_eq!(
        harbour
            .send("POST", url, "application/json", &large)
            .await
            .0,
        500
    );
}

#[tokio::test]
async fn strange_bodies_do_no_harm() {
    let harbour = Harbour::start().await;
    let crds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    let maps = "/api/v1/namespaces/one/configmaps";
    let pods = "/api/v1/namespaces/one/pods";
    let odd = [
        json!(null),
        json!(3),
        json!("x"),
        json!([1]),
        json!({}),
        json!([{"name": 3}]),
    ];
    for value in &odd {
        for (url, field) in [
            (crds, "spec"),
            (maps, "data"),
            (pods, "spec"),
            (maps, "metadata"),
            (pods, "status"),
        ] {
            let mut body = json!({"metadata": {"name": "a"}});
            body[field] = value.clone();
            let (code, _) = harbour.send("POST", url, "application/json", &body).await;
            assert!((200..500).contains(&code), "{url} {body}");
            let media = "application/apply-patch+yaml";
            body["apiVersion"] = json!("v1");
            body["kind"] = json!("ConfigMap");
            let (code, _) = harbour
                .send("PATCH", &format!("{maps}/b?fieldManager=x"), media, &body)
                .await;
            assert!((200..500).contains(&code), "{body}");
            let merge = json!({field: value});
            let (code, _) = harbour
                .send(
                    "PATCH",
                    &format!("{maps}/b"),
                    "application/merge-patch+json",
                    &merge,
                )
                .await;
            assert!((200..500).contains(&code), "{merge}");
            let strategic = "application/strategic-merge-patch+json";
            let (code, _) = harbour
                .send("PATCH", &format!("{maps}/b"), strategic, &merge)
                .await;
            assert!((200..500).contains(&code), "{merge}");
        }
        let replace = json!([{"op": "replace", "path": "", "value": value}]);
        let (code, _) = harbour
            .send(
                "PATCH",
                &format!("{maps}/b"),
                "application/json-patch+json",
                &replace,
            )
            .await;
        assert!((200..500).contains(&code), "{replace}");
    }
}
