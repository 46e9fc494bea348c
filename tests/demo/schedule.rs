//! A schedule, from plain words to its first backup.

use std::time::Instant;

use ::refloat::clock::Clock;
use ::refloat::schedule::Phase;
use anyhow::Context as _;
use harbour::github::PullStatus;
use jiff::SignedDuration;

use super::{Shown, say};
use crate::refloat::{FAST, Refloat};
use crate::world::World;

const SCHEDULE: &str = "poseidon1-nightly";

/// Shows it, and looks at the world; an error if anything does not hold.
pub async fn story(world: World) -> anyhow::Result<()> {
    let before = world.harbour.platform.snapshot().await?;
    let clock = world.harbour.velero.clock().clone();
    let mut refloat = Refloat::start_by(
        &world.harbour.refloat_config(FAST)?,
        Clock::from(move || clock.now()),
    )?;
    let began = Instant::now();
    let mut shown = Shown::default();
    let line =
        "schedule add tenant:poseidon1 name:nightly when:\"every day at 03:30\" keep:\"4 weeks\"";
    say(&format!(
        "Ada, a developer, orders a schedule in plain words: {line}"
    ));
    let name = world.order_schedule(&mut refloat, line).await?;
    shown.until(&refloat, "please approve or deny").await?;
    say("Grace, a reviewer of the platform, approves: approve");
    refloat.say("as grace: approve").await?;
    shown
        .until(&refloat, "Velero has the Schedule `poseidon1-nightly`")
        .await?;
    let applied = world.until_schedule(&name, Phase::Confirming).await?;
    let due = applied
        .status
        .and_then(|status| status.applied?.next_run)
        .context("nothing is said of the next run")?;
    say(&format!(
        "Velero's clock is moved on to its first run, at {due}"
    ));
    world
        .harbour
        .velero
        .advance(due + SignedDuration::from_hours(1))
        .await?;
    let done = world.until_schedule(&name, Phase::Done).await?;
    shown
        .until(&refloat, "Confirmed by its first good backup")
        .await?;
    let took = began.elapsed();
    let confirmed = done
        .status
        .and_then(|status| status.confirmed)
        .context("it is not confirmed")?;
    anyhow::ensure!(
        confirmed.started_at == due,
        "it ran at {} and not at {due}",
        confirmed.started_at
    );
    say("Ada looks at what is backed up: backups overview tenant:poseidon1");
    refloat.say("backups overview tenant:poseidon1").await?;
    shown.until(&refloat, "backups.png is in ").await?;
    let text = refloat.shown();
    let picture = text
        .rsplit("backups.png is in ")
        .next()
        .and_then(|rest| rest.lines().next())
        .unwrap_or_default()
        .to_owned();
    let bytes = std::fs::read(&picture).with_context(|| format!("read {picture}"))?;
    anyhow::ensure!(bytes.starts_with(b"\x89PNG\r\n"), "{picture} is no picture");
    refloat.stop().await?;

    say("Looking at the world itself");
    let ordered = world.ordered_schedules("poseidon1").await?;
    let entry = ("nightly", "30 3 * * *", "672h0m0s");
    anyhow::ensure!(
        ordered
            .iter()
            .filter(|(name, cron, ttl)| (name.as_str(), cron.as_str(), ttl.as_str()) == entry)
            .count()
            == 1,
        "the order does not have it once: {ordered:?}"
    );
    let live = world.velero_schedule(SCHEDULE).await?;
    let enabled = live
        .as_ref()
        .and_then(|live| live.data.pointer("/status/phase"))
        .is_some_and(|phase| phase == "Enabled");
    anyhow::ensure!(enabled, "Velero does not run it: {live:?}");
    let pulls = world.harbour.pulls().await?;
    anyhow::ensure!(
        pulls.len() == 1 && matches!(pulls[0].status, PullStatus::Merged { .. }),
        "there is not one merged pull request: {pulls:?}"
    );
    let differences = before.differences(&world.harbour.platform.snapshot().await?);
    anyhow::ensure!(
        differences.is_empty(),
        "something else changed: {differences:#?}"
    );
    for line in [
        "the order names the schedule once, at 03:30 and kept for four weeks",
        "Velero has it as ordered, and it is enabled",
        "there is one pull request, and it is merged; nothing else changed in any tenant",
        &format!(
            "its first backup is {}, of the very moment that was shown",
            confirmed.backup
        ),
        &format!("the overview's picture is in {picture}"),
    ] {
        println!("   ok: {line}");
    }
    println!(
        "   from the order to the first backup: {:.1} s",
        took.as_secs_f32()
    );
    Ok(())
}
