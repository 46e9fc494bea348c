//! Restores.

use kube::ResourceExt;
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};

use super::super::faults::Ending;
use super::super::objects::{BACKUP_NAME, Kind, RESTORE_FINALIZER, RESTORE_NAME, phase};
use super::{NO_CLASS, NS, World, claim, create, dynamic, http_get, pod, story, text};
use crate::workloads::DATA_ANNOTATION;

const ENDS: [&str; 4] = ["Completed", "PartiallyFailed", "Failed", "FailedValidation"];

async fn change(world: &World, kind: &str, name: &str, change: Value) {
    let api = dynamic(&world.client, "v1", kind, Some(NS));
    let patched = api
        .patch(name, &PatchParams::default(), &Patch::Merge(&change))
        .await;
    patched.expect("a patch");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_brings_back_what_was_cleared() {
    let world = World::new().await;
    world.populate("seven ships").await;
    world.back_up("b1").await;
    world.clear().await;

    let faults = world.velero.faults();
    faults.hold_restores(true);
    world.restore("r1", "b1").await;
    let begin = || faults.hold_restores(false);
    let story = story(world.api(Kind::Restore), "r1", &ENDS, begin).await;
    let mut phases: Vec<&str> = story.iter().map(phase).collect();
    phases.dedup();
    assert_eq!(phases, ["", "InProgress", "Finalizing", "Completed"]);
    let mut items: Vec<u64> = story
        .iter()
        .filter_map(|restore| {
            restore
                .data
                .pointer("/status/progress/itemsRestored")?
                .as_u64()
        })
        .collect();
    items.dedup();
    assert!(items.len() >= 3 && items.is_sorted(), "{items:?}");

    let done = story.last().expect("an end");
    assert_eq!(done.finalizers(), [RESTORE_FINALIZER]);
    assert_eq!(
        done.data["spec"]["excludedResources"]
            .as_array()
            .map(Vec::len),
        Some(9)
    );
    assert_eq!(text(done, "/spec/itemOperationTimeout"), "4h0m0s");
    assert!(
        done.data["status"].get("warnings").is_none(),
        "{:#}",
        done.data
    );
    for (kind, name) in [
        ("Pod", "web-0"),
        ("ConfigMap", "app"),
        ("Secret", "key"),
        ("PersistentVolumeClaim", "data"),
    ] {
        let object = dynamic(&world.client, "v1", kind, Some(NS))
            .get(name)
            .await
            .expect(name);
        assert_eq!(object.labels()[RESTORE_NAME], "r1");
        assert_eq!(object.labels()[BACKUP_NAME], "b1");
    }
    assert_eq!(world.data("data").await.as_deref(), Some("seven ships"));
    let volumes = world.all(Kind::PodVolumeRestore).await;
    let [volume] = &volumes[..] else {
        panic!("{volumes:#?}")
    };
    assert_eq!(volume.labels()[RESTORE_NAME], "r1");
    assert_eq!(phase(volume), "Completed");
    assert_eq!(
        volume.data["status"]["progress"],
        json!({"totalBytes": 11, "bytesDone": 11})
    );
    let list = world.download_json("RestoreResourceList", "r1").await;
    assert_eq!(list["v1/Pod"], json!([format!("{NS}/web-0(created)")]));
    assert_eq!(
        world.download_json("RestoreResults", "r1").await,
        json!({"errors": {}, "warnings": {}})
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_exists_is_skipped_and_told_if_it_differs() {
    let world = World::new().await;
    world.populate("old").await;
    world.back_up("b1").await;
    change(&world, "Secret", "key", json!({"data": {"k": "djI="}})).await;
    world.restore("r1", "b1").await;
    let done = world.reach(Kind::Restore, "r1", "Completed").await;
    let list = world.download_json("RestoreResourceList", "r1").await;
    assert_eq!(list["v1/ConfigMap"], json!([format!("{NS}/app(skipped)")]));
    assert_eq!(list["v1/Secret"], json!([format!("{NS}/key(failed)")]));
    let results = world.download_json("RestoreResults", "r1").await;
    let warnings = results["warnings"]["namespaces"][NS]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let expected = "could not restore, Secret \"key\" already exists. Warning: the in-cluster version is different than the backed-up version";
    assert!(warnings.contains(&json!(expected)), "{results:#}");
    assert_eq!(
        done.data["status"]["warnings"].as_u64(),
        Some(warnings.len() as u64)
    );
    // The pod was there, so its volume's data stays what it is.
    assert!(world.all(Kind::PodVolumeRestore).await.is_empty());

    let update = json!({"backupName": "b1", "includedNamespaces": [NS], "includedResources": ["secrets"], "existingResourcePolicy": "update"});
    world.ask(Kind::Restore, "r2", update).await;
    world.reach(Kind::Restore, "r2", "Completed").await;
    let secret = dynamic(&world.client, "v1", "Secret", Some(NS))
        .get("key")
        .await
        .expect("a secret");
    assert_eq!(secret.data["data"]["k"], "djE=");
    assert_eq!(secret.labels()[RESTORE_NAME], "r2");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_of_what_is_not_in_the_backup_completes_with_nothing() {
    let world = World::new().await;
    world.populate("x").await;
    world.back_up("b1").await;
    let spec = json!({"backupName": "b1", "includedNamespaces": ["poseidon1-test"]});
    world.ask(Kind::Restore, "r1", spec).await;
    let done = world.reach(Kind::Restore, "r1", "Completed").await;
    assert_eq!(done.data["status"]["progress"], json!({}));
    assert!(done.data["status"].get("warnings").is_none());
    assert!(done.data["status"].get("errors").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_goes_to_a_namespace_beside_the_original() {
    let world = World::new().await;
    world.populate("original").await;
    world.back_up("b1").await;
    let spec =
        json!({"backupName": "b1", "includedNamespaces": [NS], "namespaceMapping": {NS: "copy"}});
    world.ask(Kind::Restore, "r1", spec).await;
    world.reach(Kind::Restore, "r1", "Completed").await;
    let list = world.download_json("RestoreResourceList", "r1").await;
    assert_eq!(list["v1/Namespace"], json!(["copy(created)"]));
    assert_eq!(list["v1/Pod"], json!(["copy/web-0(created)"]));
    let claims = dynamic(&world.client, "v1", "PersistentVolumeClaim", Some("copy"));
    let copied = claims.get("data").await.expect("a claim");
    let disks: Api<DynamicObject> = dynamic(&world.client, "v1", "PersistentVolume", None);
    let disk = disks
        .get(text(&copied, "/spec/volumeName"))
        .await
        .expect("a volume");
    assert_eq!(disk.annotations()[DATA_ANNOTATION], "original");
}

#[tokio::test(flavor = "multi_thread")]
async fn restores_are_validated() {
    let world = World::new().await;
    world.back_up("b1").await;
    for (name, spec, error) in [
        (
            "r1",
            json!({}),
            "Either a backup or schedule must be specified as a source for the restore, but not both",
        ),
        (
            "r2",
            json!({"backupName": "b1", "scheduleName": "s1"}),
            "Either a backup or schedule must be specified as a source for the restore, but not both",
        ),
        (
            "r3",
            json!({"backupName": "b2"}),
            "Error retrieving backup: Backup.velero.io \"b2\" not found",
        ),
        (
            "r4",
            json!({"scheduleName": "s1"}),
            "No backups found for schedule",
        ),
        (
            "r5",
            json!({"backupName": "b1", "includedResources": ["nodes"]}),
            "nodes are non-restorable resources",
        ),
    ] {
        world.ask(Kind::Restore, name, spec).await;
        let refused = world.reach(Kind::Restore, name, "FailedValidation").await;
        assert_eq!(
            text(&refused, "/status/validationErrors/0"),
            error,
            "{name}"
        );
    }
    world
        .velero
        .faults()
        .set_location_down(Some("bucket is gone"));
    world.restore("r6", "b1").await;
    let refused = world.reach(Kind::Restore, "r6", "FailedValidation").await;
    let error = text(&refused, "/status/validationErrors/0");
    assert!(error.contains("Unavailable"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn restores_fail_as_told() {
    let world = World::new().await;
    world.populate("x").await;
    world.back_up("b1").await;
    let faults = world.velero.faults();
    faults.end_next_restore(Ending::Failed("no luck".to_owned()));
    world.restore("r1", "b1").await;
    let failed = world.reach(Kind::Restore, "r1", "Failed").await;
    assert_eq!(text(&failed, "/status/failureReason"), "no luck");
    let errors = [(NS.to_owned(), vec!["bad luck".to_owned()])].into();
    faults.end_next_restore(Ending::PartiallyFailed(errors));
    world.restore("r2", "b1").await;
    let failed = world.reach(Kind::Restore, "r2", "PartiallyFailed").await;
    assert_eq!(failed.data["status"]["errors"], 1);
    let results = world.download_json("RestoreResults", "r2").await;
    assert_eq!(results["errors"]["namespaces"][NS], json!(["bad luck"]));
    world.restore("r3", "b1").await;
    world.reach(Kind::Restore, "r3", "Completed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_that_cannot_be_restored_fails_its_restore_in_part() {
    let world =
        World::with(|options| options.patience = std::time::Duration::from_millis(300)).await;
    world.populate("x").await;
    world.back_up("b1").await;
    world.clear().await;
    world.velero.faults().break_volume("files");
    world.restore("r1", "b1").await;
    let failed = world.reach(Kind::Restore, "r1", "PartiallyFailed").await;
    assert_eq!(failed.data["status"]["errors"], 1);
    let volumes = world.all(Kind::PodVolumeRestore).await;
    assert_eq!(volumes.iter().map(phase).collect::<Vec<_>>(), ["Failed"]);
    assert_eq!(world.data("data").await, None);
    world.velero.faults().mend_volume("files");

    // A claim that is never bound: the pod comes back, its data does not.
    world.clear().await;
    create(&world.client, &claim("data", NO_CLASS)).await;
    world.restore("r2", "b1").await;
    world.reach(Kind::Restore, "r2", "PartiallyFailed").await;
    let results = world.download_json("RestoreResults", "r2").await;
    let error = results["errors"]["velero"][0].as_str().unwrap_or_default();
    assert!(error.contains("to be bound"), "{results:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_restore_runs_at_a_time() {
    let world = World::new().await;
    world.populate("x").await;
    world.back_up("b1").await;
    let faults = world.velero.faults();
    faults.hold_restores(true);
    world.restore("r1", "b1").await;
    world.restore("r2", "b1").await;
    faults.stall_restores_at(2);
    faults.hold_restores(false);
    let stalled = world
        .until(Kind::Restore, "r1", |restore| {
            restore.data.pointer("/status/progress/itemsRestored") == Some(&json!(2))
        })
        .await;
    assert_eq!(phase(&stalled), "InProgress");
    let waiting = world.api(Kind::Restore).get("r2").await.expect("a restore");
    assert_eq!(phase(&waiting), "");
    // Deleting it has to wait as well.
    let deleted = world
        .api(Kind::Restore)
        .delete("r1", &DeleteParams::default())
        .await;
    let deleted = deleted.expect("a delete").left().expect("still there");
    assert!(deleted.metadata.deletion_timestamp.is_some());
    faults.release_restores();
    world.reach(Kind::Restore, "r2", "Completed").await;
    world.gone(Kind::Restore, "r1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_in_the_middle_of_volumes_cancels_them() {
    let world = World::new().await;
    world.populate("x").await;
    world.back_up("b1").await;
    world.clear().await;
    let faults = world.velero.faults();
    faults.stall_restores_at(u64::MAX);
    faults.stall_backups(true);
    world
        .ask(Kind::Backup, "b2", json!({"includedNamespaces": [NS]}))
        .await;
    world.reach(Kind::Backup, "b2", "InProgress").await;
    world.restore("r1", "b1").await;
    world
        .until(Kind::Restore, "r1", |restore| {
            let progress = &restore.data["status"]["progress"];
            progress["totalItems"].is_u64() && progress["totalItems"] == progress["itemsRestored"]
        })
        .await;
    let volume = world.first(Kind::PodVolumeRestore).await.name_any();
    world
        .reach(Kind::PodVolumeRestore, &volume, "InProgress")
        .await;
    faults.restart().await;
    let canceled = world
        .reach(Kind::PodVolumeRestore, &volume, "Canceled")
        .await;
    assert_eq!(canceled.data["spec"]["cancel"], true);
    world.reach(Kind::Restore, "r1", "Failed").await;
    let failed = world.reach(Kind::Backup, "b2", "Failed").await;
    assert!(text(&failed, "/status/failureReason").starts_with("found a backup with status"));
    assert_eq!(world.data("data").await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_fails_what_runs_and_loses_its_log() {
    let world = World::new().await;
    world.populate("x").await;
    world.back_up("b1").await;
    let faults = world.velero.faults();
    faults.stall_restores_at(1);
    world.restore("r1", "b1").await;
    world.reach(Kind::Restore, "r1", "InProgress").await;
    world.restore("r2", "b1").await;
    faults.restart().await;
    let failed = world.api(Kind::Restore).get("r1").await.expect("a restore");
    assert_eq!(phase(&failed), "Failed");
    assert_eq!(
        text(&failed, "/status/failureReason"),
        "found a restore with status \"InProgress\" during the server starting, mark it as \"Failed\""
    );
    faults.release_restores();
    world.reach(Kind::Restore, "r2", "Completed").await;
    let lost = world.address("RestoreResults", "r1").await;
    assert_eq!(http_get(&lost).await.0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn data_comes_back_only_for_pods_that_the_restore_made() {
    let world = World::new().await;
    world.populate("precious").await;
    world.back_up("b1").await;
    world.clear().await;
    // Somebody was quicker.
    create(&world.client, &claim("data", "standard")).await;
    create(&world.client, &pod("web-0", "data")).await;
    world.restore("r1", "b1").await;
    world.reach(Kind::Restore, "r1", "Completed").await;
    assert!(world.all(Kind::PodVolumeRestore).await.is_empty());
    assert_eq!(world.data("data").await, None);
}
