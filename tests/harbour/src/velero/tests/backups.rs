//! Backups, schedules, and the end of backups.

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use super::super::faults::Ending;
use super::super::objects::{BACKUP_NAME, Kind, SCHEDULE_NAME, phase, stamp};
use super::super::{BackupSeed, SeedSchedule};
use super::{NS, World, http_get, text};

fn days_ago(days: i64) -> Timestamp {
    Timestamp::now()
        .checked_sub(SignedDuration::from_hours(24 * days))
        .expect("a time")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_holds_what_is_in_the_namespace() {
    let world = World::new().await;
    world.populate("seven ships").await;
    let backup = world.back_up("b1").await;

    assert_eq!(text(&backup, "/spec/storageLocation"), "default");
    assert_eq!(text(&backup, "/spec/ttl"), "720h0m0s");
    let total = backup.data["status"]["progress"]["totalItems"].as_u64();
    assert!(total >= Some(6), "{total:?}");
    assert_eq!(
        backup.data["status"]["progress"]["itemsBackedUp"].as_u64(),
        total
    );
    assert!(backup.data["status"].get("errors").is_none());

    let list = world.download_json("BackupResourceList", "b1").await;
    assert_eq!(list["v1/Namespace"], json!([NS]));
    assert_eq!(list["v1/Pod"], json!([format!("{NS}/web-0")]));
    assert_eq!(
        list["v1/PersistentVolumeClaim"],
        json!([format!("{NS}/data")])
    );
    assert_eq!(
        list["v1/PersistentVolume"].as_array().map(Vec::len),
        Some(1)
    );

    let infos = world.download_json("BackupVolumeInfos", "b1").await;
    assert_eq!(infos[0]["pvcName"], "data");
    assert_eq!(infos[0]["backupMethod"], "PodVolumeBackup");
    assert_eq!(infos[0]["pvbInfo"]["size"], "seven ships".len());
    assert!(
        world
            .download("BackupLog", "b1")
            .await
            .contains("Backed up a total of")
    );

    let volumes = world.all(Kind::PodVolumeBackup).await;
    let [volume] = &volumes[..] else {
        panic!("{volumes:#?}")
    };
    assert_eq!(volume.labels()[BACKUP_NAME], "b1");
    assert_eq!(phase(volume), "Completed");
    assert_eq!(
        volume.data["status"]["progress"]["bytesDone"],
        "seven ships".len()
    );
    assert_eq!(volume.data["spec"]["volume"], "files");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_nothing_completes_without_volumes() {
    let world = World::new().await;
    world
        .ask(
            Kind::Backup,
            "b1",
            json!({"includedNamespaces": ["nowhere"]}),
        )
        .await;
    let backup = world.reach(Kind::Backup, "b1", "Completed").await;
    assert_eq!(backup.data["status"]["progress"], json!({}));
    assert_eq!(
        world.download_json("BackupVolumeInfos", "b1").await,
        json!([])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_takes_only_what_is_selected() {
    let world = World::new().await;
    world.populate("x").await;
    let spec = json!({"includedNamespaces": [NS], "includedResources": ["pods", "secrets"], "labelSelector": {"matchLabels": {"app": "web"}}});
    world.ask(Kind::Backup, "b1", spec).await;
    world.reach(Kind::Backup, "b1", "Completed").await;
    let list = world.download_json("BackupResourceList", "b1").await;
    assert_eq!(list, json!({"v1/Pod": [format!("{NS}/web-0")]}));
}

#[tokio::test(flavor = "multi_thread")]
async fn backups_fail_as_told() {
    let world = World::new().await;
    let faults = world.velero.faults().clone();
    let errors = [(NS.to_owned(), vec!["no room".to_owned()])].into();
    for (name, ending, end) in [
        (
            "b1",
            Ending::FailedValidation(vec!["no".to_owned()]),
            "FailedValidation",
        ),
        ("b2", Ending::Failed("disk on fire".to_owned()), "Failed"),
        ("b3", Ending::PartiallyFailed(errors), "PartiallyFailed"),
    ] {
        faults.end_next_backup(ending);
        world
            .ask(Kind::Backup, name, json!({"includedNamespaces": [NS]}))
            .await;
        world.reach(Kind::Backup, name, end).await;
    }
    let results = world.download_json("BackupResults", "b3").await;
    assert_eq!(results["errors"]["namespaces"][NS], json!(["no room"]));
    faults.set_location_down(Some("bucket is gone"));
    world
        .reach(Kind::BackupStorageLocation, "default", "Unavailable")
        .await;
    world
        .ask(Kind::Backup, "b4", json!({"includedNamespaces": [NS]}))
        .await;
    let refused = world.reach(Kind::Backup, "b4", "FailedValidation").await;
    let error = text(&refused, "/status/validationErrors/0");
    assert!(
        error.contains("Unavailable") && error.contains("bucket is gone"),
        "{error}"
    );
    faults.set_location_down(None);
    world
        .reach(Kind::BackupStorageLocation, "default", "Available")
        .await;
    world.back_up("b5").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_makes_backups_until_it_is_paused() {
    let world = World::new().await;
    let template = json!({"ttl": "168h0m0s", "includedNamespaces": [NS]});
    let spec = json!({"schedule": "@every 1s", "template": template});
    world.ask(Kind::Schedule, "poseidon1-daily", spec).await;
    let ran = world
        .until(Kind::Schedule, "poseidon1-daily", |schedule| {
            schedule.data.pointer("/status/lastBackup").is_some()
        })
        .await;
    assert_eq!(phase(&ran), "Enabled");
    let pause = json!({"spec": {"paused": true}});
    let schedules = world.api(Kind::Schedule);
    let paused = schedules
        .patch(
            "poseidon1-daily",
            &PatchParams::default(),
            &Patch::Merge(&pause),
        )
        .await;
    paused.expect("a patch");
    let backups = world.all(Kind::Backup).await;
    let backup = backups.first().expect("a backup");
    let name = backup.name_any();
    let time = name
        .strip_prefix("poseidon1-daily-")
        .expect("the schedule's name");
    assert!(
        time.len() == 14 && time.chars().all(|c| c.is_ascii_digit()),
        "{name}"
    );
    assert_eq!(backup.labels()[SCHEDULE_NAME], "poseidon1-daily");
    let done = world.reach(Kind::Backup, &name, "Completed").await;
    assert_eq!(text(&done, "/spec/ttl"), "168h0m0s");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_that_is_no_good_says_why_and_can_be_mended() {
    let world = World::new().await;
    let spec = json!({"schedule": "0 1 * * 7", "template": {}});
    world.ask(Kind::Schedule, "s1", spec).await;
    let refused = world.reach(Kind::Schedule, "s1", "FailedValidation").await;
    assert_eq!(
        refused.data["status"]["validationErrors"],
        json!(["invalid schedule: end of range (7) above maximum (6): 7"])
    );
    let mend = json!({"spec": {"schedule": "0 1 * * 6"}});
    let schedules = world.api(Kind::Schedule);
    let patched = schedules
        .patch("s1", &PatchParams::default(), &Patch::Merge(&mend))
        .await;
    patched.expect("a patch");
    let mended = world.reach(Kind::Schedule, "s1", "Enabled").await;
    assert_eq!(mended.data["status"].get("validationErrors"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn seeded_backups_are_like_real_ones() {
    let world = World::new().await;
    world.populate("old data").await;
    let template =
        json!({"ttl": "168h0m0s", "includedNamespaces": [NS], "defaultVolumesToFsBackup": true});
    let spec = json!({"schedule": "@every 100h", "template": template});
    world.ask(Kind::Schedule, "poseidon1-daily", spec).await;
    let older = BackupSeed::from_schedule("poseidon1-daily", days_ago(5));
    world.velero.seed_backup(older).await.expect("a backup");
    let started = days_ago(3);
    let seed = BackupSeed::from_schedule("poseidon1-daily", started);
    let name = world.velero.seed_backup(seed).await.expect("a backup");
    assert_eq!(
        name,
        format!("poseidon1-daily-{}", started.strftime("%Y%m%d%H%M%S"))
    );
    let backup = world.reach(Kind::Backup, &name, "Completed").await;
    assert_eq!(text(&backup, "/status/startTimestamp"), stamp(started));
    let week = started
        .checked_add(SignedDuration::from_hours(168))
        .expect("a time");
    assert_eq!(text(&backup, "/status/expiration"), stamp(week));
    assert_eq!(backup.labels()[SCHEDULE_NAME], "poseidon1-daily");
    let schedule = world
        .reach(Kind::Schedule, "poseidon1-daily", "Enabled")
        .await;
    assert_eq!(text(&schedule, "/status/lastBackup"), stamp(started));
    assert_eq!(world.all(Kind::Backup).await.len(), 2);

    world.clear().await;
    world.restore("r1", &name).await;
    let restore = world.reach(Kind::Restore, "r1", "Completed").await;
    assert_eq!(text(&restore, "/spec/scheduleName"), "poseidon1-daily");
    assert_eq!(world.data("data").await.as_deref(), Some("old data"));
}

#[tokio::test(flavor = "multi_thread")]
async fn expired_backups_are_collected_with_their_restores() {
    let world = World::new().await;
    world.populate("x").await;
    let mut seed = BackupSeed::new("old", &[NS], days_ago(31));
    seed.schedule = Some(SeedSchedule::Named("gone".to_owned()));
    world.velero.seed_backup(seed).await.expect("a backup");
    let fresh = BackupSeed::new("fresh", &[NS], days_ago(1));
    world.velero.seed_backup(fresh).await.expect("a backup");
    world.restore("r1", "old").await;
    world.reach(Kind::Restore, "r1", "Completed").await;
    let log = world.address("RestoreLog", "r1").await;
    assert_eq!(http_get(&log).await.0, 200);

    world.velero.faults().collect_garbage();
    world.gone(Kind::Backup, "old").await;
    world.gone(Kind::Restore, "r1").await;
    assert_eq!(http_get(&log).await.0, 404);
    world.reach(Kind::Backup, "fresh", "Completed").await;
    let volumes = world.all(Kind::PodVolumeBackup).await;
    assert!(
        volumes
            .iter()
            .all(|volume| volume.labels()[BACKUP_NAME] == "fresh")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_that_cannot_be_says_why() {
    let world = World::new().await;
    world
        .ask(
            Kind::DeleteBackupRequest,
            "d1",
            json!({"backupName": "nothing"}),
        )
        .await;
    let refused = world
        .reach(Kind::DeleteBackupRequest, "d1", "Processed")
        .await;
    assert_eq!(
        refused.data["status"]["errors"],
        json!(["backup not found"])
    );

    world.back_up("b1").await;
    world
        .ask(Kind::DeleteBackupRequest, "d2", json!({"backupName": "b1"}))
        .await;
    world.gone(Kind::Backup, "b1").await;
    world.gone(Kind::DeleteBackupRequest, "d2").await;
    let left: Vec<Value> = world
        .all(Kind::PodVolumeBackup)
        .await
        .into_iter()
        .map(|v| v.data)
        .collect();
    assert_eq!(left, Vec::<Value>::new());
}

/// The names of the backups there are, and their phases.
async fn backups(world: &World) -> Vec<(String, String)> {
    let mut backups: Vec<_> = world
        .all(Kind::Backup)
        .await
        .iter()
        .map(|backup| (backup.name_any(), phase(backup).to_owned()))
        .collect();
    backups.sort();
    backups
}

fn at(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_clock_runs_over_months_and_what_expires_is_collected() {
    let world = World::with(|options| options.pace = std::time::Duration::from_millis(1)).await;
    world.populate("seven ships").await;
    // Behind the creation of the schedule nothing is due.
    let clock = world.velero.clock();
    clock.set(at("2031-01-01T12:00:00Z"));
    let template = json!({"includedNamespaces": [NS], "ttl": "168h0m0s"});
    let spec = json!({"schedule": "0 1 * * 1", "template": template, "skipImmediately": true});
    world.ask(Kind::Schedule, "poseidon1-weekly", spec).await;
    world
        .velero
        .advance(at("2031-01-27T00:00:00Z"))
        .await
        .expect("it runs on");
    let names: Vec<String> = backups(&world)
        .await
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(names, ["poseidon1-weekly-20310120010000"]);

    world
        .velero
        .faults()
        .end_every_backup(Some(Ending::Failed("disk full".to_owned())));
    world
        .velero
        .advance(at("2031-02-03T00:00:00Z"))
        .await
        .expect("it runs on");
    assert_eq!(
        backups(&world).await,
        [(
            "poseidon1-weekly-20310127010000".to_owned(),
            "Failed".to_owned()
        )]
    );

    // A run is left out while the backup before it is being made.
    world.velero.faults().end_every_backup(None);
    world.velero.faults().stall_backups(true);
    world
        .velero
        .advance(at("2031-02-19T00:00:00Z"))
        .await
        .expect("it runs on");
    assert_eq!(
        backups(&world).await.last(),
        Some(&(
            "poseidon1-weekly-20310203010000".to_owned(),
            "InProgress".to_owned()
        ))
    );
    world.velero.faults().stall_backups(false);
    world
        .velero
        .advance(at("2031-02-19T01:00:00Z"))
        .await
        .expect("it runs on");
    let now = backups(&world).await;
    assert!(
        now.iter().any(
            |(name, phase)| name.starts_with("poseidon1-weekly-20310219") && phase == "Completed"
        ),
        "{now:?}"
    );
    assert!(
        world
            .velero
            .advance(at("2031-02-01T00:00:00Z"))
            .await
            .is_err()
    );
}
