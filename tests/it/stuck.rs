//! A Restore that ends badly leaves a named state, the reasons in words, and
//! ways to go on.

use std::collections::BTreeMap;

use harbour::Setup;
use harbour::velero::Ending;
use harbour::world::Shape;
use refloat::request::{Phase, StuckReason, phase};

use crate::refloat::{FAST, Refloat, until};
use crate::world::World;

const REQUEST: &str =
    "restore request tenant:poseidon1 namespaces:dev schedule:daily reason:\"bad migration\"";

async fn stuck_after(ending: Ending) -> anyhow::Result<(World, Refloat, String)> {
    let world = World::start(Setup {
        shape: Shape::small(),
        days_of_backups: 2,
        ..Setup::default()
    })
    .await?;
    let mut refloat = Refloat::start(&world.harbour.refloat_config(FAST)?)?;
    world.harbour.velero.faults().end_next_restore(ending);
    let name = world.ask(&mut refloat, REQUEST).await?;
    world.until_asked(&name).await?;
    refloat.say("as grace: approve").await?;
    world.until_phase(&name, Phase::Stuck).await?;
    Ok((world, refloat, name))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_restore_is_tried_again() -> anyhow::Result<()> {
    let (world, mut refloat, name) =
        stuck_after(Ending::Failed("the object storage went away".to_owned())).await?;
    let status = world
        .requests()
        .get(&name)
        .await?
        .status
        .unwrap_or_default();
    let stuck = status.stuck.clone().expect("it is stuck");
    assert_eq!(stuck.reason, StuckReason::RestoreFailed);
    assert!(
        stuck.message.contains("the object storage went away"),
        "{}",
        stuck.message
    );
    assert!(
        status.self_heal_is_off(),
        "nothing comes back by itself from Stuck"
    );
    refloat.until("the object storage went away").await?;

    refloat.say("restore retry").await?;
    world.until_phase_through_stuck(&name, Phase::Done).await?;
    let uid = world
        .requests()
        .get(&name)
        .await?
        .metadata
        .uid
        .unwrap_or_default();
    assert_eq!(
        world.of_request("Restore", "restores", &uid).await?.len(),
        2
    );
    refloat.stop().await?;
    world.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_failed_is_named_and_self_heal_comes_back_as_things_are() -> anyhow::Result<()>
{
    let errors = BTreeMap::from([(
        "poseidon1-dev".to_owned(),
        vec!["error restoring pods/files: admission webhook denied the request".to_owned()],
    )]);
    let (world, mut refloat, name) = stuck_after(Ending::PartiallyFailed(errors)).await?;
    let order = world.order("poseidon1").await?;
    assert!(order.contains("selfHeal: false"), "{order}");
    let status = world
        .requests()
        .get(&name)
        .await?
        .status
        .unwrap_or_default();
    let stuck = status.stuck.expect("it is stuck");
    assert_eq!(stuck.reason, StuckReason::RestorePartiallyFailed);
    assert!(
        stuck
            .message
            .contains("admission webhook denied the request"),
        "{}",
        stuck.message
    );
    refloat
        .until("admission webhook denied the request")
        .await?;

    refloat.say("restore resume").await?;
    world
        .until_phase_through_stuck(&name, Phase::ResumedAsIs)
        .await?;
    let order = world.order("poseidon1").await?;
    assert!(order.contains("selfHeal: true"), "{order}");
    refloat.stop().await?;
    world.end().await
}

/// The safety backup fails: nothing is deleted, and a person chooses.
#[tokio::test(flavor = "multi_thread")]
async fn a_failed_safety_backup_deletes_nothing() -> anyhow::Result<()> {
    let world = World::start(Setup {
        shape: Shape::small(),
        days_of_backups: 2,
        ..Setup::default()
    })
    .await?;
    let before = world.harbour.platform.snapshot().await?;
    let order = world.order("poseidon1").await?;
    let mut refloat = Refloat::start(&world.harbour.refloat_config(FAST)?)?;
    world
        .harbour
        .velero
        .faults()
        .end_next_backup(Ending::Failed("no space left".to_owned()));
    let name = world.ask(&mut refloat, REQUEST).await?;
    world.until_asked(&name).await?;
    refloat.say("as grace: approve").await?;
    let request = world.until_phase(&name, Phase::Stuck).await?;
    let status = request.status.unwrap_or_default();
    assert_eq!(
        status.stuck.map(|stuck| stuck.reason),
        Some(StuckReason::SafetyBackupFailed)
    );
    assert!(status.clearing.is_none());
    refloat.say("restore withdraw").await?;
    world
        .until_phase_through_stuck(&name, Phase::Withdrawn)
        .await?;
    refloat.stop().await?;
    world.check_untouched(&before, &order).await?;
    world.end().await
}

/// Velero is restarted in the middle, which marks the Restore Failed.
#[tokio::test(flavor = "multi_thread")]
async fn a_restart_of_velero_is_stuck_not_silent() -> anyhow::Result<()> {
    let world = World::start(Setup {
        shape: Shape::small(),
        days_of_backups: 2,
        ..Setup::default()
    })
    .await?;
    let mut refloat = Refloat::start(&world.harbour.refloat_config(FAST)?)?;
    world.harbour.velero.faults().stall_restores_at(1);
    let name = world.ask(&mut refloat, REQUEST).await?;
    world.until_asked(&name).await?;
    refloat.say("as grace: approve").await?;
    until(|| async {
        let status = world
            .requests()
            .get(&name)
            .await?
            .status
            .unwrap_or_default();
        Ok(status.restore.is_some_and(|run| run.phase == "InProgress"))
    })
    .await?;
    world.harbour.velero.faults().restart().await;
    let request = world.until_phase(&name, Phase::Stuck).await?;
    let status = request.status.unwrap_or_default();
    assert_eq!(phase(&status), Phase::Stuck);
    let stuck = status.stuck.expect("it is stuck");
    assert_eq!(stuck.reason, StuckReason::RestoreFailed, "{stuck:?}");
    // It is told apart from a bad backup, which nobody should try again.
    refloat
        .until("Velero was restarted while it was restoring")
        .await?;
    refloat.until("Nothing says that the backup is bad").await?;
    world.harbour.velero.faults().release_restores();
    refloat.say("restore retry").await?;
    world.until_phase_through_stuck(&name, Phase::Done).await?;
    refloat.stop().await?;
    world.end().await
}
