//! A backup at once, told as it goes on.

use harbour::Setup;
use harbour::velero::Ending;
use harbour::world::Shape;

use crate::refloat::{FAST, Refloat};
use crate::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_made_at_once_and_told_of() -> anyhow::Result<()> {
    let world = World::start(Setup {
        shape: Shape::small(),
        days_of_backups: 1,
        ..Setup::default()
    })
    .await?;
    let mut refloat = Refloat::start(&world.harbour.refloat_config(FAST)?)?;
    let before = world.velero_names("Backup", "backups").await?;
    let line = world.here("backups now tenant:poseidon1 schedule:daily");
    refloat.say(&line).await?;
    refloat
        .until("of the schedule `daily` is asked for. I will tell here how it goes on.")
        .await?;
    refloat.until("is being made").await?;
    refloat.until("has ended: complete, with ").await?;
    let after = world.velero_names("Backup", "backups").await?;
    let new: Vec<&String> = after.iter().filter(|name| !before.contains(name)).collect();
    assert_eq!(new.len(), 1, "{after:?}");
    assert!(
        new[0].starts_with(&world.here("poseidon1-daily-now-")),
        "{new:?}"
    );

    let reason = "the bucket is full";
    world
        .harbour
        .velero
        .faults()
        .end_next_backup(Ending::Failed(reason.to_owned()));
    refloat.say(&line).await?;
    refloat
        .until("has ended: failed (the bucket is full).")
        .await?;
    // What somebody asks for next does not wait for a backup that takes long.
    world.harbour.velero.faults().stall_backups(true);
    refloat.say(&line).await?;
    let from = refloat.shown().len();
    refloat.say("refloat about").await?;
    refloat.until_after(from, "I know you as ada").await?;
    world.harbour.velero.faults().stall_backups(false);
    world.end().await
}
