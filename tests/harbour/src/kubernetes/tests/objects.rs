//! Single objects: created, read, deleted.

use k8s_openapi::api::core::v1::{ConfigMap, Namespace, PersistentVolumeClaim};
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams, Preconditions};
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
    // A namespace is also held by what only `finalize` may change.
    let finalize = async |names: &[&str]| {
        let spec = json!({"finalizers": names});
        let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "two"}, "spec": spec});
        let url = "/api/v1/namespaces/two/finalize";
        let (code, seen) = harbour.send("PUT", url, "application/json", &body).await;
        assert_eq!((code, &seen["spec"]), (200, &spec));
    };
    finalize(&["kubernetes", "example.com/a"]).await;
    let held = namespaces
        .delete("two", &DeleteParams::default())
        .await
        .unwrap()
        .left()
        .unwrap();
    assert_eq!(held.spec.unwrap().finalizers.unwrap(), ["example.com/a"]);
    finalize(&[]).await;
    assert!(namespaces.get_opt("two").await.unwrap().is_none());
}
