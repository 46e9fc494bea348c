//! What is backed up, by the chat: each sees their own.

use harbour::Setup;
use harbour::velero::BackupSeed;
use jiff::{SignedDuration, Timestamp};

use crate::refloat::{FAST, Refloat};
use crate::world::World;

/// Says a line and waits for its answer; the answer.
async fn answer(refloat: &mut Refloat, line: &str, ends: &str) -> anyhow::Result<String> {
    let from = refloat.shown().len();
    refloat.say(line).await?;
    let to = refloat.until_after(from, ends).await?;
    Ok(refloat.shown().get(from..to).unwrap_or_default().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_sees_its_own_and_reviewers_see_all() -> anyhow::Result<()> {
    let world = World::start(Setup {
        days_of_backups: 7,
        ..Setup::default()
    })
    .await?;
    let started = Timestamp::now() - SignedDuration::from_hours(3);
    let namespace = world.harbour.namespaces.platform.clone();
    world
        .harbour
        .velero
        .seed_backup(BackupSeed::new("platform-etcd", &[&namespace], started))
        .await?;
    let both = [world.here("poseidon1-dev"), world.here("triton2-prod")];
    let mixed = BackupSeed::new("of-two-tenants", &[&both[0], &both[1]], started);
    world.harbour.velero.seed_backup(mixed).await?;
    let mut refloat = Refloat::start(&world.harbour.refloat_config(FAST)?)?;

    let list = world.here("backups list tenant:poseidon1");
    let shown = answer(&mut refloat, &list, "until").await?;
    assert!(
        shown.contains(&world.here("7 backups of the tenant `poseidon1`, newest first:")),
        "{shown}"
    );
    refloat.until(" of volumes, complete, until ").await?;
    refloat.until(" items, ").await?;
    let all = refloat.shown();
    for hidden in ["platform-etcd", "of-two-tenants", &world.here("triton2-")] {
        assert!(!all.contains(hidden), "{hidden}: {all}");
    }

    for (line, refusal) in [
        (
            "backups list tenant:triton2",
            "none of yours to see. Yours are those of `poseidon1`.",
        ),
        (
            "backups now tenant:triton2 schedule:daily",
            "none of yours to see",
        ),
        ("backups overview tenant:triton2", "none of yours to see"),
        ("schedule list tenant:triton2", "none of yours to see"),
        (
            "backups list tenant:poseidon1 namespace:prod",
            "has no namespace `prod`. It has `poseidon1-dev` and `poseidon1-test`.",
        ),
        (
            "backups list tenant:poseidon1 page:9",
            "There is no page 9: the last is 1, as in `page:1`.",
        ),
        (
            "backups now tenant:poseidon1 schedule:hourly",
            "has no schedule `hourly`. It has `daily`",
        ),
        ("as nobody: backups overview", "I do not know you here"),
    ] {
        answer(&mut refloat, &world.here(line), &world.here(refusal)).await?;
    }
    answer(
        &mut refloat,
        &world.here("backups list tenant:poseidon1 namespace:test"),
        &world.here("7 backups of the namespace `poseidon1-test`"),
    )
    .await?;
    answer(
        &mut refloat,
        &world.here("schedule list poseidon1"),
        "`daily`: `0 1 * * *`, kept for 7 days, next ",
    )
    .await?;

    // Ada sees two namespaces; a reviewer those of each tenant, and the platform's.
    let own = answer(&mut refloat, "backups overview", ".png\n").await?;
    assert!(own.contains("2 namespaces"), "{own}");
    assert!(
        !own.contains(&world.here("triton2")) && !own.contains(&namespace),
        "{own}"
    );
    let all = answer(&mut refloat, "as grace: backups overview", ".png\n").await?;
    assert!(
        all.contains(&world.here("triton2-prod")) && all.contains(&format!("`{namespace}`")),
        "{all}"
    );
    let shown = refloat.shown();
    let path = shown
        .lines()
        .rev()
        .find_map(|line| line.split_once("backups.png is in "))
        .map(|(_, path)| path.to_owned())
        .unwrap_or_default();
    let picture = std::fs::read(&path)?;
    assert!(picture.starts_with(b"\x89PNG\r\n\x1a\n"), "{path}");
    std::fs::remove_file(&path)?;
    world.end().await
}
