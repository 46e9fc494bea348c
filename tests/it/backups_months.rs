//! The overview while months go by.

use std::time::Duration;

use anyhow::Context as _;
use harbour::Setup;
use harbour::velero::Ending;
use harbour::world::Shape;
use jiff::{SignedDuration, Timestamp};
use refloat::clock::Clock;

use crate::refloat::{FAST, Refloat, until};
use crate::world::World;

/// Days later, at noon in UTC.
fn later(now: Timestamp, days: i64) -> anyhow::Result<Timestamp> {
    let day = now.to_zoned(jiff::tz::TimeZone::UTC).date();
    let noon = day.at(12, 0, 0, 0).to_zoned(jiff::tz::TimeZone::UTC)?;
    Ok(noon.timestamp() + SignedDuration::from_hours(24 * days))
}

#[tokio::test(flavor = "multi_thread")]
async fn months_of_backups_show_in_the_overview() -> anyhow::Result<()> {
    let world = World::start(Setup {
        shape: Shape::small(),
        days_of_backups: 0,
        velero_pace: Duration::from_millis(1),
        ..Setup::default()
    })
    .await?;
    let velero = &world.harbour.velero;
    let clock = velero.clock().clone();
    let began = clock.now();
    let mut refloat = Refloat::start_by(
        &world.harbour.refloat_config(FAST)?,
        Clock::from(move || clock.now()),
    )?;

    velero.advance(later(began, 62)?).await?;
    shows(
        &world,
        &mut refloat,
        &["1 namespace, all good.", " copies kept", "#######`"],
    )
    .await?;

    // Three days of failures, and two on which nothing is made.
    velero
        .faults()
        .end_every_backup(Some(Ending::Failed("disk full".to_owned())));
    velero.advance(later(began, 65)?).await?;
    shows(
        &world,
        &mut refloat,
        &["a run was missed or failed", "xxx`"],
    )
    .await?;
    velero.faults().end_every_backup(None);
    velero.advance(later(began, 66)?).await?;
    shows(&world, &mut refloat, &["1 namespace, all good.", "xxx#`"]).await?;
    Ok(())
}

/// Asks for the overview until it shows all of these: what Velero has just done takes a moment to be seen.
async fn shows(world: &World, refloat: &mut Refloat, wanted: &[&str]) -> anyhow::Result<()> {
    let last = std::sync::Mutex::new(String::new());
    let refloat = tokio::sync::Mutex::new(refloat);
    let shown = until(|| async {
        let mut refloat = refloat.lock().await;
        let from = refloat.shown().len();
        refloat
            .say(&world.here("backups overview tenant:poseidon1"))
            .await?;
        refloat.until_after(from, ".png\n").await?;
        let shown = refloat.shown();
        let answer = shown.get(from..).unwrap_or_default();
        for line in answer.lines() {
            if let Some((_, path)) = line.split_once("backups.png is in ") {
                std::fs::remove_file(path)?;
            }
        }
        answer.clone_into(&mut *last.lock().expect("no panic holds it"));
        Ok(wanted.iter().all(|words| answer.contains(words)))
    })
    .await;
    let last = last.into_inner().unwrap_or_default();
    shown.with_context(|| format!("{wanted:?} never was in the overview: {last}"))
}
