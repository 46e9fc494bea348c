//! A schedule, from plain words to its first backup.

use std::time::Instant;

use ::refloat::schedule::Phase;
use harbour::github::PullStatus;

use super::{Shown, say};
use crate::refloat::{FAST, Refloat};
use crate::world::World;

const SCHEDULE: &str = "poseidon1-nightly";

/// Shows it, and looks at the world; an error if anything does not hold.
pub async fn story(world: World) -> anyhow::Result<()> {
    let before = world.harbour.platform.snapshot().await?;
    let mut refloat = Refloat::start(&world.harbour.refloat_config(FAST)?)?;
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
    say("Its first run comes");
    let backup = world.run_comes(SCHEDULE, "Completed").await?;
    world.until_schedule(&name, Phase::Done).await?;
    shown
        .until(&refloat, "Confirmed by its first good backup")
        .await?;
    let took = began.elapsed();
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
        &format!("its first backup is {backup}"),
    ] {
        println!("   ok: {line}");
    }
    println!(
        "   from the order to the first backup: {:.1} s",
        took.as_secs_f32()
    );
    Ok(())
}
