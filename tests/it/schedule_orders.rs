//! Schedules ordered in the chat: added, changed, removed, through to the cluster.

use harbour::Setup;
use harbour::github::PullStatus;
use harbour::world::{ORDERS, Shape};
use jiff::SignedDuration;
use refloat::schedule::Phase;

use crate::refloat::{FAST, Refloat};
use crate::world::World;

async fn world() -> anyhow::Result<World> {
    World::start(Setup {
        shape: Shape::small(),
        days_of_backups: 3,
        ..Setup::default()
    })
    .await
}

fn text(schedule: &kube::core::DynamicObject, pointer: &str) -> String {
    schedule
        .data
        .pointer(pointer)
        .and_then(|value| value.as_str())
        .unwrap_or_default()
        .to_owned()
}

/// In plain words, to the first good backup; the answer says when it runs.
#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_is_added_and_confirmed() -> anyhow::Result<()> {
    let world = world().await?;
    let before = world.harbour.platform.snapshot().await?;
    let mut refloat = Refloat::start(&world.harbour.refloat_config(FAST)?)?;
    let name = world
        .order_schedule(
            &mut refloat,
            "schedule add tenant:poseidon1 name:nightly when:\"every day at 03:30\" keep:4w",
        )
        .await?;
    for words in [
        "- runs at `30 3 * * *` (every day at 03:30)",
        "- next: ",
        "03:30 UTC",
        "- copies kept: 28, each for `672h0m0s`",
    ] {
        refloat.until(words).await?;
    }
    world.until_schedule_asked(&name).await?;
    // Whoever asked cannot approve it; a reviewer can.
    let from = refloat.shown().len();
    refloat.say(&format!("approve {name}")).await?;
    refloat.until_after(from, "@ada").await?;
    refloat.say("as grace: approve").await?;
    refloat.until("Approved by grace in chat.").await?;
    refloat
        .until("was merged. Argo CD is asked to look.")
        .await?;
    world.until_schedule(&name, Phase::Confirming).await?;
    refloat
        .until(&world.here("Velero has the Schedule `poseidon1-nightly` as ordered"))
        .await?;
    let live = world.velero_schedule("poseidon1-nightly").await?;
    let live = live.expect("it is in the cluster");
    assert_eq!(text(&live, "/status/phase"), "Enabled");
    assert_eq!(text(&live, "/spec/schedule"), "30 3 * * *");
    assert_eq!(text(&live, "/spec/template/ttl"), "672h0m0s");

    // A run that fails is told, and the next one is waited for.
    world.run_comes("poseidon1-nightly", "Failed").await?;
    refloat.until("A run was no good").await?;
    // The run that was shown is the run that comes.
    let request = world.schedule_requests().get(&name).await?;
    let due = request.status.and_then(|status| status.applied?.next_run);
    let due = due.expect("the next run is said");
    let velero = &world.harbour.velero;
    velero.advance(due + SignedDuration::from_mins(10)).await?;
    let request = world.until_schedule(&name, Phase::Done).await?;
    let backup = format!(
        "{}-{}",
        world.here("poseidon1-nightly"),
        due.strftime("%Y%m%d%H%M%S")
    );
    refloat
        .until(&format!(
            "Done. Confirmed by its first good backup: `{backup}`"
        ))
        .await?;
    let confirmed = request.status.and_then(|status| status.confirmed);
    assert_eq!(confirmed.map(|confirmed| confirmed.backup), Some(backup));

    assert_eq!(
        world.ordered_schedules("poseidon1").await?.last().cloned(),
        Some((
            "nightly".to_owned(),
            "30 3 * * *".to_owned(),
            "672h0m0s".to_owned()
        ))
    );
    let pulls = world.harbour.pulls().await?;
    assert_eq!(pulls.len(), 1);
    assert!(matches!(pulls[0].status, PullStatus::Merged { .. }));
    refloat.stop().await?;
    let differences = before.differences(&world.harbour.platform.snapshot().await?);
    assert!(differences.is_empty(), "{differences:#?}");
    world.end().await
}

/// Changed and renamed, then removed: what Velero had under the old name is gone
/// although Argo CD does not prune it, and the thread says which backups stay.
#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_is_changed_renamed_and_removed() -> anyhow::Result<()> {
    let world = world().await?;
    let mut refloat = Refloat::start(&world.harbour.refloat_config(FAST)?)?;
    let name = world
        .order_schedule(
            &mut refloat,
            "schedule change tenant:poseidon1 name:weekly new_name:sundays when:\"Sundays 03:30\" keep:60d",
        )
        .await?;
    world.until_schedule_asked(&name).await?;
    refloat.say(&format!("as grace: approve {name}")).await?;
    world.until_schedule(&name, Phase::Confirming).await?;
    assert!(world.velero_schedule("poseidon1-weekly").await?.is_none());
    let live = world.velero_schedule("poseidon1-sundays").await?;
    let live = live.expect("it is in the cluster");
    assert_eq!(text(&live, "/spec/schedule"), "30 3 * * 0");
    assert_eq!(text(&live, "/spec/template/ttl"), "1440h0m0s");
    world.run_comes("poseidon1-sundays", "Completed").await?;
    world.until_schedule(&name, Phase::Done).await?;

    let name = world
        .order_schedule(&mut refloat, "schedule remove tenant:poseidon1 name:daily")
        .await?;
    world.until_schedule_asked(&name).await?;
    refloat.say(&format!("as grace: approve {name}")).await?;
    let request = world.until_schedule(&name, Phase::Done).await?;
    assert!(world.velero_schedule("poseidon1-daily").await?.is_none());
    let remaining = request.status.and_then(|status| status.remaining);
    assert_eq!(remaining.map(|remaining| remaining.backups), Some(3));
    refloat
        .until(&world.here("Velero has the Schedule `poseidon1-daily` no more. Its backups stay: 3 backups, the last until "))
        .await?;
    let names: Vec<String> = world
        .ordered_schedules("poseidon1")
        .await?
        .into_iter()
        .map(|(name, _, _)| name)
        .collect();
    assert_eq!(names, ["sundays"]);
    refloat.stop().await?;
    world.end().await
}

/// A workflow of the repository may merge by itself: that is its own yes.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_repository_merges_by_itself_is_carried_on() -> anyhow::Result<()> {
    let world = world().await?;
    let mut refloat = Refloat::start(&world.harbour.refloat_config(FAST)?)?;
    let name = world
        .order_schedule(
            &mut refloat,
            "schedule change tenant:poseidon1 name:daily keep:14d",
        )
        .await?;
    let number = world.until_schedule_asked(&name).await?;
    world
        .harbour
        .github
        .merge_as(
            ORDERS.0,
            ORDERS.1,
            number,
            "grace-platform",
            harbour::github::MergeMethod::Merge,
        )
        .await?;
    refloat.until("by the repository's own rules").await?;
    world.until_schedule(&name, Phase::Confirming).await?;
    // It is in the order: to withdraw it is too late.
    let from = refloat.shown().len();
    refloat.say(&format!("schedule withdraw {name}")).await?;
    refloat.until_after(from, "too late to withdraw").await?;
    world.run_comes("poseidon1-daily", "Completed").await?;
    world.until_schedule(&name, Phase::Done).await?;
    refloat.stop().await?;
    world.end().await
}

/// Denied, withdrawn, closed, expired: the pull request is closed, nothing is changed.
#[tokio::test(flavor = "multi_thread")]
async fn it_ends_early_and_nothing_is_changed() -> anyhow::Result<()> {
    let world = world().await?;
    let order = world.order("poseidon1").await?;
    let mut refloat = Refloat::start(&world.harbour.refloat_config(FAST)?)?;
    let line = "schedule add tenant:poseidon1 name:nightly when:@daily keep:7d";

    let name = world.order_schedule(&mut refloat, line).await?;
    world.until_schedule_asked(&name).await?;
    refloat
        .say(&format!(
            "as grace: deny request:{name} reason:\"too many already\""
        ))
        .await?;
    world.until_schedule(&name, Phase::Denied).await?;
    refloat.until("too many already").await?;

    let name = world.order_schedule(&mut refloat, line).await?;
    world.until_schedule_asked(&name).await?;
    refloat.say("schedule withdraw").await?;
    world.until_schedule(&name, Phase::Withdrawn).await?;

    let name = world.order_schedule(&mut refloat, line).await?;
    let number = world.until_schedule_asked(&name).await?;
    world
        .harbour
        .github
        .close_as(ORDERS.0, ORDERS.1, number, "grace-platform")
        .await?;
    world.until_schedule(&name, Phase::Denied).await?;
    refloat.stop().await?;

    let hasty = |times: &str| {
        let pace = "pace: { pullRequests: 50ms, lookAgain: 20ms }";
        let more = format!("approval: {{ {times} }}\n{pace}");
        world.harbour.refloat_config(&more)
    };
    let mut refloat = Refloat::start(&hasty("remindAfter: [100ms]")?)?;
    let name = world.order_schedule(&mut refloat, line).await?;
    refloat.until("Reminder: ").await?;
    refloat.stop().await?;
    let refloat = Refloat::start(&hasty("expiresAfter: 1s")?)?;
    world.until_schedule(&name, Phase::Expired).await?;
    refloat.stop().await?;

    let pulls = world.harbour.pulls().await?;
    assert_eq!(pulls.len(), 4);
    assert!(
        pulls
            .iter()
            .all(|pull| matches!(pull.status, PullStatus::Closed))
    );
    assert_eq!(world.order("poseidon1").await?, order);
    assert!(world.velero_schedule("poseidon1-nightly").await?.is_none());
    world.end().await
}

/// Two at once on the same order: the second is built anew on the first.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_at_once_both_end_right() -> anyhow::Result<()> {
    let world = world().await?;
    let mut refloat = Refloat::start(&world.harbour.refloat_config(FAST)?)?;
    let one = world
        .order_schedule(
            &mut refloat,
            "schedule add tenant:poseidon1 name:morning when:\"0 6 * * *\" keep:7d",
        )
        .await?;
    let two = world
        .order_schedule(
            &mut refloat,
            "schedule add tenant:poseidon1 name:evening when:\"0 18 * * *\" keep:7d",
        )
        .await?;
    world.until_schedule_asked(&one).await?;
    world.until_schedule_asked(&two).await?;
    // Both are approved; whichever is merged first, the other asks once more.
    for name in [&one, &two] {
        refloat.say(&format!("as grace: approve {name}")).await?;
    }
    let both_confirm = async {
        loop {
            let mut confirming = 0;
            for name in [&one, &two] {
                let request = world.schedule_requests().get(name).await?;
                let status = request.status.unwrap_or_default();
                let phase = refloat::schedule::phase(&status);
                anyhow::ensure!(!phase.is_over(), "{name}: {:?}", status.ending);
                match phase {
                    Phase::Confirming => confirming += 1,
                    // Said again of the same, it changes nothing.
                    Phase::AwaitingApproval if status.pull.is_some() => {
                        refloat.say(&format!("as grace: approve {name}")).await?;
                        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                    }
                    _ => {}
                }
            }
            if confirming == 2 {
                return anyhow::Ok(());
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(crate::refloat::PATIENCE, both_confirm).await??;
    let names: Vec<String> = world
        .ordered_schedules("poseidon1")
        .await?
        .into_iter()
        .map(|(name, _, _)| name)
        .collect();
    assert_eq!(names.len(), 4);
    for name in ["daily", "weekly", "morning", "evening"] {
        assert!(names.iter().any(|other| other == name), "{names:?}");
    }
    for (name, schedule) in [(&one, "poseidon1-morning"), (&two, "poseidon1-evening")] {
        world.run_comes(schedule, "Completed").await?;
        world.until_schedule(name, Phase::Done).await?;
    }
    let pulls = world.harbour.pulls().await?;
    assert_eq!(pulls.len(), 2);
    refloat.stop().await?;
    world.end().await
}

/// Velero's refusal ends it in Velero's words; what is then put right is another order.
#[tokio::test(flavor = "multi_thread")]
async fn what_velero_refuses_ends_in_its_words() -> anyhow::Result<()> {
    let world = world().await?;
    let mut refloat = Refloat::start(&world.harbour.refloat_config(FAST)?)?;
    let faults = world.harbour.velero.faults();
    let error = "invalid schedule: provided bad location America/Nowhere";
    faults.refuse_schedules(Some(error));
    let name = world
        .order_schedule(
            &mut refloat,
            "schedule add tenant:poseidon1 name:nightly when:@daily keep:7d",
        )
        .await?;
    world.until_schedule_asked(&name).await?;
    refloat.say(&format!("as grace: approve {name}")).await?;
    let request = world.until_schedule(&name, Phase::Failed).await?;
    let ending = request.status.and_then(|status| status.ending);
    let message = ending.map(|ending| ending.message).unwrap_or_default();
    assert!(message.contains(error), "{message}");
    refloat.until(error).await?;
    let live = world.velero_schedule("poseidon1-nightly").await?;
    let live = live.expect("it is in the cluster");
    assert_eq!(text(&live, "/status/phase"), "FailedValidation");

    // It is in the order, and can be taken out again.
    faults.refuse_schedules(None);
    let name = world
        .order_schedule(
            &mut refloat,
            "schedule remove tenant:poseidon1 name:nightly",
        )
        .await?;
    world.until_schedule_asked(&name).await?;
    refloat.say(&format!("as grace: approve {name}")).await?;
    world.until_schedule(&name, Phase::Done).await?;
    assert!(world.velero_schedule("poseidon1-nightly").await?.is_none());
    refloat.stop().await?;
    world.end().await
}
