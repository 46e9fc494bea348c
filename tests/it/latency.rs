//! How long it takes until a change of a Restore is read in the thread.

use std::time::{Duration, Instant};

use harbour::Setup;
use harbour::world::Shape;
use refloat::request::Phase;

use crate::refloat::{FAST, Refloat, until};
use crate::world::World;

/// A change of the Restore's progress reaches the thread's text in under
/// 500 ms; the figures are printed. What the machine does beside it may hold up one of
/// them, so that the middle one counts.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_the_restore_is_read_soon() -> anyhow::Result<()> {
    let world = World::start(Setup {
        shape: Shape::small(),
        days_of_backups: 2,
        ..Setup::default()
    })
    .await?;
    let mut refloat = Refloat::start(&world.harbour.refloat_config(FAST)?)?;
    // Velero holds the Restore at its first item; what moves is moved here.
    world.harbour.velero.faults().stall_restores_at(1);
    let name = world
        .ask(
            &mut refloat,
            "restore request tenant:poseidon1 namespaces:dev schedule:daily reason:latency",
        )
        .await?;
    world.until_asked(&name).await?;
    refloat.say("as grace: approve").await?;
    until(|| async {
        let status = world
            .requests()
            .get(&name)
            .await?
            .status
            .unwrap_or_default();
        Ok(status.restore.is_some_and(|run| run.items.total > 1))
    })
    .await?;
    let request = world.requests().get(&name).await?;
    let uid = request.metadata.uid.unwrap_or_default();
    let restore = refloat::request::names::restore(&uid, 0);
    let mut took = Vec::new();
    for step in 1..=9 {
        let done = step * 1000;
        let from = refloat.shown().len();
        let began = Instant::now();
        world.report_progress(&restore, done, 10_000).await?;
        refloat.until_after(from, &done.to_string()).await?;
        took.push(began.elapsed());
    }
    took.sort_unstable();
    let (middle, slowest) = (took[took.len() / 2], took[took.len() - 1]);
    println!("from a change of the Restore to the thread: {middle:?}, {slowest:?} at most, of 9");
    assert!(middle < Duration::from_millis(500), "{took:?}");
    world.harbour.velero.faults().release_restores();
    world.until_phase(&name, Phase::Done).await?;
    refloat.stop().await?;
    world.end().await
}
