//! 10,000 Backups and 500 Schedules: how long the overview, a list and completion take, and how much memory.

use std::time::Duration;

use anyhow::Context as _;
use futures::StreamExt as _;
use harbour::Setup;
use harbour::world::Shape;
use jiff::{SignedDuration, Timestamp};
use kube::Api;
use kube::api::PostParams;
use kube::core::DynamicObject;
use serde_json::json;

use super::{Running, world::World};

const BACKUPS: usize = 10_000;
const SCHEDULES: usize = 500;
/// What the platform's people must not be kept waiting for.
const OVERVIEW_WITHIN: Duration = Duration::from_secs(1);
const COMPLETION_WITHIN: Duration = Duration::from_millis(100);
const MEMORY_KB: u64 = 120_000;

/// Measures, prints, and fails if a bound is broken.
pub async fn measure() -> anyhow::Result<()> {
    let world = World::start(Setup {
        shape: Shape::small(),
        days_of_backups: 0,
        ..Setup::default()
    })
    .await?;
    fill(&world).await?;
    println!("{BACKUPS} Backups and {SCHEDULES} Schedules are in the cluster");
    let mut running = Running::start(
        &world,
        "notifications: { reviewers: platform, every: 2s }\n",
    )?;
    // The first answer may wait for the first reading.
    let read = running
        .ask("as grace: backups overview", "backups.png is in")
        .await?;
    println!("first overview, with the first reading: {read:.0?}");
    let mut overview = Duration::ZERO;
    let mut completion = Duration::ZERO;
    for _ in 0..5 {
        let took = running
            .ask("as grace: backups overview", "backups.png is in")
            .await?;
        overview = overview.max(took);
        let took = running
            .ask("backups list tenant:poseidon1", "newest first")
            .await?;
        println!("overview {overview:.0?} at most, list {took:.0?}");
        let line = "restore request tenant:poseidon1 backup:?";
        completion = completion.max(running.ask(line, "can follow").await?);
    }
    println!("overview of all: {overview:.1?} at most");
    println!("completion of a backup: {completion:.1?} at most");
    let (resident, peak) = running.memory()?;
    println!("memory: {resident} kB resident, {peak} kB at most");
    anyhow::ensure!(overview < OVERVIEW_WITHIN, "the overview takes too long");
    anyhow::ensure!(completion < COMPLETION_WITHIN, "completion takes too long");
    anyhow::ensure!(peak < MEMORY_KB, "it takes too much memory");
    Ok(())
}

async fn fill(world: &World) -> anyhow::Result<()> {
    let api = |kind: &str, plural: &str| -> Api<DynamicObject> {
        let kind = kube::core::ApiResource {
            group: "velero.io".to_owned(),
            version: "v1".to_owned(),
            api_version: "velero.io/v1".to_owned(),
            kind: kind.to_owned(),
            plural: plural.to_owned(),
        };
        let namespace = &world.harbour.namespaces.velero;
        Api::namespaced_with(world.harbour.client.0.clone(), namespace, &kind)
    };
    let now = Timestamp::now();
    let tenant = |number: usize| match number {
        0 => "poseidon1".to_owned(),
        number => format!("tenant{number:03}"),
    };
    let schedules = (1..SCHEDULES).map(|number| {
        let tenant = tenant(number);
        json!({
            "apiVersion": "velero.io/v1", "kind": "Schedule",
            "metadata": {"name": format!("{tenant}-daily")},
            "spec": {
                "schedule": match number % 4 {
                    // Those of a zone take the longest to reckon.
                    0 => format!("CRON_TZ=Europe/Oslo {} {} * * *", number % 60, number % 24),
                    1 => format!("{} {} * * 1-5", number % 60, number % 24),
                    _ => format!("{} {} * * *", number % 60, number % 24),
                },
                "template": {"includedNamespaces": [format!("{tenant}-dev")], "ttl": "720h0m0s"},
            },
        })
    });
    let backups = (0..BACKUPS).map(|number| {
        let (tenant, day) = (tenant(number % SCHEDULES), number / SCHEDULES);
        let began = now - SignedDuration::from_hours(24 * i64::try_from(day).unwrap_or(0) + 1);
        let stamp = |at: Timestamp| at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        json!({
            "apiVersion": "velero.io/v1", "kind": "Backup",
            "metadata": {
                "name": format!("{tenant}-daily-{}", began.strftime("%Y%m%d%H%M%S")),
                "labels": {"velero.io/schedule-name": format!("{tenant}-daily"), "velero.io/storage-location": "default"},
            },
            "spec": {
                "includedNamespaces": [format!("{tenant}-dev")], "storageLocation": "default", "ttl": "720h0m0s",
                "defaultVolumesToFsBackup": true,
            },
            "status": {
                "phase": if number % 97 == 0 { "PartiallyFailed" } else { "Completed" },
                "startTimestamp": stamp(began),
                "completionTimestamp": stamp(began + SignedDuration::from_secs(60)),
                "expiration": stamp(began + SignedDuration::from_hours(720)),
                "progress": {"totalItems": 120, "itemsBackedUp": 120},
                "version": 1, "formatVersion": "1.1.0",
            },
        })
    });
    let all = schedules
        .map(|object| (api("Schedule", "schedules"), object))
        .chain(backups.map(|object| (api("Backup", "backups"), object)));
    let mut made = futures::stream::iter(all)
        .map(|(api, object)| async move {
            let object: DynamicObject = serde_json::from_value(object)?;
            api.create(&PostParams::default(), &object).await?;
            anyhow::Ok(())
        })
        .buffer_unordered(16);
    while let Some(one) = made.next().await {
        one.context("fill the cluster")?;
    }
    Ok(())
}
