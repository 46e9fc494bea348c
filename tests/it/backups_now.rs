//! A backup at once, told as it goes on.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use harbour::Setup;
use harbour::velero::Ending;
use harbour::world::Shape;
use refloat::chat::{Answer, Chat, Incoming, Thread};
use refloat::config::Config;
use refloat::request::Person;
use refloat::serve::serve;
use tokio_util::sync::CancellationToken;

use crate::refloat::{FAST, Refloat, until};
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

/// A chat that delivers what it was given, and keeps what it is answered.
#[derive(Default)]
struct Relay {
    lines: Mutex<VecDeque<Incoming>>,
    answers: Mutex<Vec<String>>,
}

impl Chat for Relay {
    async fn receive(&self) -> Option<Incoming> {
        let next = self.lines.lock().expect("no panic holds it").pop_front();
        match next {
            Some(line) => Some(line),
            None => std::future::pending().await,
        }
    }

    async fn reply(&self, _: &Incoming, answer: &Answer) -> anyhow::Result<()> {
        let mut answers = self.answers.lock().expect("no panic holds it");
        answers.push(answer.text.clone());
        Ok(())
    }

    async fn publish(&self, _: &Thread) -> anyhow::Result<()> {
        Ok(())
    }
}

/// A message that is delivered again, to this Refloat and to one after a restart, makes one backup.
#[tokio::test(flavor = "multi_thread")]
async fn the_same_message_makes_one_backup() -> anyhow::Result<()> {
    let world = World::start(Setup {
        shape: Shape::small(),
        days_of_backups: 1,
        ..Setup::default()
    })
    .await?;
    let before = world.velero_names("Backup", "backups").await?.len();
    let line = Incoming {
        id: "4711".to_owned(),
        from: Person {
            chat: "console".to_owned(),
            id: "ada".to_owned(),
            name: "ada".to_owned(),
        },
        text: world.here("backups now tenant:poseidon1 schedule:daily"),
        thread: None,
    };
    let config = world.harbour.refloat_config(FAST)?;
    for start in 0..2 {
        let config = Config::parse(&config).map_err(|faults| anyhow::anyhow!("{faults:?}"))?;
        let chat = Arc::new(Relay::default());
        chat.lines
            .lock()
            .expect("no panic holds it")
            .extend([line.clone(), line.clone()]);
        let stop = CancellationToken::new();
        let serving = tokio::spawn(serve(Arc::new(config), Arc::clone(&chat), stop.clone()));
        let said = |what: &str| {
            let answers = chat.answers.lock().expect("no panic holds it");
            answers
                .iter()
                .filter(|answer| answer.contains(what))
                .count()
        };
        let already = 1 + start;
        until(|| async { Ok(said("was asked for by this message already") == already) }).await?;
        until(|| async { Ok(said("has ended: complete") >= 1 || start == 1) }).await?;
        stop.cancel();
        serving.await??;
    }
    assert_eq!(
        world.velero_names("Backup", "backups").await?.len(),
        before + 1
    );
    // Another message of the same words is another wish.
    let mut refloat = Refloat::start(&config)?;
    refloat.say(&line.text).await?;
    refloat.until("has ended: complete").await?;
    assert_eq!(
        world.velero_names("Backup", "backups").await?.len(),
        before + 2
    );
    refloat.stop().await?;
    world.end().await
}
