//! What people are told without having asked: once each, in the right channel, over
//! when it is over, and across restarts.

use std::collections::BTreeMap;

use harbour::Setup;
use harbour::velero::{BackupSeed, Ending};
use harbour::world::Shape;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::PostParams;
use refloat::effects::notes;
use refloat::notify::Told;

use crate::refloat::{FAST, Refloat, until};
use crate::world::World;

/// The tenant's channel and the reviewers'; `more` is added to the section.
fn told(world: &World, more: &str) -> anyhow::Result<String> {
    let section = world.here(&format!(
        "notifications: {{ reviewers: platform, tenants: [{{ tenant: poseidon1, channel: poseidon }}], every: 50ms{more} }}"
    ));
    world.harbour.refloat_config(&format!("{FAST}{section}\n"))
}

/// A world with no backup at all.
async fn bare() -> anyhow::Result<World> {
    World::start(Setup {
        shape: Shape::small(),
        days_of_backups: 0,
        ..Setup::default()
    })
    .await
}

/// A world in which nothing is of concern: the daily schedule has a fresh backup.
async fn well() -> anyhow::Result<World> {
    let world = bare().await?;
    let seed = BackupSeed::from_schedule(
        &world.here("poseidon1-daily"),
        Timestamp::now() - SignedDuration::from_hours(2),
    );
    world.harbour.velero.seed_backup(seed).await?;
    Ok(world)
}

/// What people know, as the cluster keeps it.
pub async fn kept(world: &World) -> anyhow::Result<Told> {
    let maps: Api<ConfigMap> = Api::namespaced(
        world.harbour.client.0.clone(),
        &world.harbour.namespaces.refloat,
    );
    let map = maps.get_opt(notes::NAME).await?;
    let text = map
        .and_then(|map| map.data)
        .and_then(|data| data.get("told").cloned());
    Ok(match text {
        Some(text) => serde_json::from_str(&text)?,
        None => Told::default(),
    })
}

fn days_ago(days: i64) -> Timestamp {
    Timestamp::now() - SignedDuration::from_hours(24 * days)
}

/// How often the chat has shown something.
fn times(refloat: &Refloat, what: &str) -> usize {
    refloat.shown().matches(what).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_backups_are_told_once_with_velero_s_reasons() -> anyhow::Result<()> {
    let world = well().await?;
    let config = told(&world, "")?;
    let refloat = Refloat::start(&config)?;
    let failed = world.run_comes("poseidon1-daily", "Failed").await?;
    refloat
        .until(&format!("[#poseidon] Attention: The backup {failed} of "))
        .await?;
    // In part: the errors lie in Velero's storage.
    let reasons = BTreeMap::from([(
        world.here("poseidon1-dev"),
        vec!["pod files: no space left on device".to_owned()],
    )]);
    world
        .harbour
        .velero
        .faults()
        .end_next_backup(Ending::PartiallyFailed(reasons));
    let backup: kube::core::DynamicObject = serde_json::from_value(serde_json::json!({
        "apiVersion": "velero.io/v1",
        "kind": "Backup",
        "metadata": { "name": "by-hand", "namespace": world.harbour.namespaces.velero },
        "spec": { "includedNamespaces": [world.here("poseidon1-dev")] },
    }))?;
    world
        .velero("Backup", "backups")
        .create(&PostParams::default(), &backup)
        .await?;
    refloat
        .until("[#poseidon] Attention: The backup by-hand of ")
        .await?;
    refloat.until("no space left on device").await?;
    // The platform's own is the reviewers' to know.
    let mut own = BackupSeed::new("platform-etcd", &["openshift-gitops"], Timestamp::now());
    "Failed".clone_into(&mut own.phase);
    world.harbour.velero.seed_backup(own).await?;
    refloat
        .until("[#platform] Attention: The backup platform-etcd of ")
        .await?;
    assert_eq!(times(&refloat, &failed), 1);
    refloat.stop().await?;

    // Another start tells what is new, and nothing of the old.
    let again = world.run_comes("poseidon1-daily", "Failed").await?;
    let refloat = Refloat::start(&config)?;
    refloat
        .until(&format!("[#poseidon] Attention: The backup {again} of "))
        .await?;
    assert_eq!(times(&refloat, &failed), 0, "{}", refloat.shown());
    assert_eq!(times(&refloat, "by-hand"), 0, "{}", refloat.shown());
    refloat.stop().await?;
    world.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missed_run_is_told_and_then_that_it_is_over() -> anyhow::Result<()> {
    let world = bare().await?;
    let seed = BackupSeed::from_schedule(&world.here("poseidon1-daily"), days_ago(3));
    world.harbour.velero.seed_backup(seed).await?;
    let refloat = Refloat::start(&told(&world, "")?)?;
    refloat
        .until(&world.here("[#poseidon] Attention: The schedule poseidon1-daily (0 1 * * *) has no good backup since "))
        .await?;
    // A bad one does not make up for it.
    world.run_comes("poseidon1-daily", "Failed").await?;
    refloat.until(" failed (").await?;
    world.run_comes("poseidon1-daily", "Completed").await?;
    let over = world.here("[#poseidon] Over: The schedule poseidon1-daily is not behind any more.");
    refloat.until(&over).await?;
    assert_eq!(times(&refloat, "has no good backup since"), 1);
    refloat.stop().await?;
    world.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_good_backup_is_told_of_before_it_expires() -> anyhow::Result<()> {
    let world = bare().await?;
    let mut seed = BackupSeed::from_schedule(&world.here("poseidon1-weekly"), days_ago(6));
    seed.expires = Some(Timestamp::now() + SignedDuration::from_hours(3));
    let name = world.harbour.velero.seed_backup(seed).await?;
    let refloat = Refloat::start(&told(&world, "")?)?;
    refloat
        .until(&world.here(&format!(
            "[#poseidon] Attention: The last good backup of the tenant poseidon1, {name}, expires at "
        )))
        .await?;
    world.run_comes("poseidon1-weekly", "Completed").await?;
    refloat
        .until(&format!(
            "[#poseidon] Over: {name} is not the last good backup"
        ))
        .await?;
    refloat.stop().await?;
    world.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn storage_that_is_away_and_schedules_that_velero_refuses() -> anyhow::Result<()> {
    let world = well().await?;
    let refloat = Refloat::start(&told(&world, "")?)?;
    let faults = world.harbour.velero.faults();
    faults.set_location_down(Some("connection refused"));
    refloat
        .until("[#platform] Attention: Velero cannot reach the storage location default (")
        .await?;
    refloat.until("connection refused").await?;
    faults.set_location_down(None);
    refloat
        .until("[#platform] Over: The storage location default is available again.")
        .await?;

    let name = world.here("poseidon1-odd");
    let schedule: kube::core::DynamicObject = serde_json::from_value(serde_json::json!({
        "apiVersion": "velero.io/v1",
        "kind": "Schedule",
        "metadata": { "name": name, "namespace": world.harbour.namespaces.velero },
        "spec": {
            "schedule": "0 1 * * 7",
            "template": { "includedNamespaces": [world.here("poseidon1-dev")] },
        },
    }))?;
    let schedules = world.velero("Schedule", "schedules");
    schedules.create(&PostParams::default(), &schedule).await?;
    refloat
        .until(&format!(
            "[#poseidon] Attention: Velero refuses the schedule {name} ("
        ))
        .await?;
    refloat.until("above maximum (6): 7").await?;
    schedules
        .delete(&name, &kube::api::DeleteParams::default())
        .await?;
    refloat
        .until(&format!(
            "[#poseidon] Over: The schedule {name} is not refused by Velero any more."
        ))
        .await?;
    refloat.stop().await?;
    world.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_waits_and_self_heal_that_is_off() -> anyhow::Result<()> {
    let world = well().await?;
    let config = told(&world, ", waitsLong: 100ms")?;
    let config = format!("{config}deadlines: {{ selfHealReminder: 100ms }}\n");
    let mut refloat = Refloat::start(&config)?;
    world.harbour.velero.faults().stall_restores_at(1);
    let name = world
        .ask(
            &mut refloat,
            "restore request tenant:poseidon1 namespaces:dev schedule:daily reason:test",
        )
        .await?;
    refloat
        .until(&world.here(&format!(
            "[#platform] Attention: The request {name} of the tenant poseidon1 waits for a reviewer's approval since "
        )))
        .await?;
    world.until_asked(&name).await?;
    refloat.say("as grace: approve").await?;
    refloat
        .until(&format!(
            "[#platform] Over: The request {name} waits no more for a reviewer's approval."
        ))
        .await?;
    refloat
        .until(
            &world.here(
                "[#poseidon] Attention: Self-heal of the tenant poseidon1 has been off since ",
            ),
        )
        .await?;
    world.harbour.velero.faults().release_restores();
    refloat
        .until(&world.here("[#poseidon] Over: Self-heal of the tenant poseidon1 is back;"))
        .await?;
    refloat.stop().await?;
    world.end().await
}

/// In quiet hours nothing is said; what is still so is said after them, together.
#[tokio::test(flavor = "multi_thread")]
async fn quiet_hours_hold_it_back_and_fold_it_together() -> anyhow::Result<()> {
    let world = well().await?;
    let clock = |hours: i64| {
        let at = Timestamp::now() + SignedDuration::from_hours(hours);
        at.strftime("%H:%M").to_string()
    };
    let quiet = format!(
        ", quietHours: {{ from: \"{}\", to: \"{}\" }}",
        clock(-2),
        clock(2)
    );
    let refloat = Refloat::start(&told(&world, &quiet)?)?;
    let mut names = Vec::new();
    for _ in 0..2 {
        names.push(world.run_comes("poseidon1-daily", "Failed").await?);
    }
    let known = |told: &Told| {
        names
            .iter()
            .all(|name| told.concerns.contains_key(&format!("backup-{name}")))
    };
    until(|| async { Ok(known(&kept(&world).await?)) }).await?;
    assert_eq!(times(&refloat, "[#"), 0, "{}", refloat.shown());
    refloat.stop().await?;

    let refloat = Refloat::start(&told(&world, "")?)?;
    refloat.until("[#poseidon] Attention (2):").await?;
    for name in &names {
        refloat
            .until(&format!("[#poseidon] - The backup {name} of "))
            .await?;
    }
    until(|| async { Ok(kept(&world).await?.outbox.is_empty()) }).await?;
    refloat.stop().await?;
    world.end().await
}
