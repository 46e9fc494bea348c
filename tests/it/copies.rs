//! `restore copy`: a namespace beside the original, and gone again.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context as _;
use harbour::Setup;
use harbour::velero::Ending;
use harbour::world::Shape;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{ListParams, PostParams};
use kube::{Api, ResourceExt};
use refloat::copy::{COPY_LABEL, CopyRequest, Phase, phase};

use crate::kills::{Death, Executioner};
use crate::refloat::{FAST, PATIENCE, Refloat, external, until};
use crate::world::World;

const COPY: &str = "poseidon1-dev-copy";

async fn world() -> anyhow::Result<World> {
    World::start(Setup {
        shape: Shape::small(),
        days_of_backups: 2,
        ..Setup::default()
    })
    .await
}

fn namespaces(world: &World) -> Api<Namespace> {
    Api::all(world.harbour.client.0.clone())
}

fn phase_of(request: &CopyRequest) -> Phase {
    request.status.as_ref().map_or(Phase::Checking, phase)
}

impl World {
    /// Asks for a copy; the request's name.
    pub async fn ask_for_copy(&self, refloat: &mut Refloat, line: &str) -> anyhow::Result<String> {
        let known: Vec<String> = self
            .copies()
            .list(&ListParams::default())
            .await?
            .iter()
            .map(ResourceExt::name_any)
            .collect();
        let from = refloat.shown().len();
        refloat.say(&self.here(line)).await?;
        refloat.until_after(from, "Your request is").await?;
        self.copies()
            .list(&ListParams::default())
            .await?
            .iter()
            .map(ResourceExt::name_any)
            .find(|name| !known.contains(name))
            .with_context(|| format!("no request came of {line:?}"))
    }

    pub async fn until_copy(&self, name: &str, wanted: Phase) -> anyhow::Result<CopyRequest> {
        until(|| async {
            let request = self.copies().get(name).await?;
            let now = phase_of(&request);
            anyhow::ensure!(
                now == wanted || !now.is_over(),
                "it is {now:?}: {:?}",
                request.status.and_then(|status| status.ending)
            );
            Ok(now == wanted)
        })
        .await
        .with_context(|| format!("{name} never was {wanted:?}"))?;
        Ok(self.copies().get(name).await?)
    }
}

/// The data is that of the backup, the original stays as it is, and nothing is asked of anybody.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_is_made_beside_the_original_and_removed() -> anyhow::Result<()> {
    let world = world().await?;
    let good = world
        .harbour
        .platform
        .volume(&world.here("poseidon1-dev"), "uploads")
        .await?;
    world.break_tenant("poseidon1-dev").await?;
    let before = world.harbour.platform.snapshot().await?;
    let order = world.order("poseidon1").await?;
    let mut refloat = Refloat::start(&world.harbour.refloat_config(FAST)?)?;
    let name = world
        .ask_for_copy(
            &mut refloat,
            "restore copy tenant:poseidon1 namespace:dev into:dev-copy schedule:daily reason:\"look at the ledger\"",
        )
        .await?;
    let kept = world.until_copy(&name, Phase::Kept).await?;
    refloat.until("The copy is there").await?;
    let status = kept.status.context("nothing is known")?;
    let shown = status.shown.context("nothing was shown")?;
    assert_eq!(shown.lacking, Vec::<String>::new());
    assert_eq!((shown.volumes, shown.claims), (1, 1), "{shown:?}");
    let copied = world
        .harbour
        .platform
        .volume(&world.here(COPY), "uploads")
        .await?;
    let original = world
        .harbour
        .platform
        .volume(&world.here("poseidon1-dev"), "uploads")
        .await?;
    assert!(
        copied.is_some() && copied != original,
        "{copied:?} {original:?}"
    );
    assert_ne!(good, original);
    let live = namespaces(&world).get(&world.here(COPY)).await?;
    assert_eq!(
        live.labels().get(COPY_LABEL),
        Some(&world.here("poseidon1-dev"))
    );
    let source = namespaces(&world).get(&world.here("poseidon1-dev")).await?;
    let range = "openshift.io/sa.scc.uid-range";
    assert_eq!(
        live.annotations().get(range),
        source.annotations().get(range)
    );
    // It stands in the list, and its thread can be asked for.
    let from = refloat.shown().len();
    refloat.say("restore status").await?;
    refloat.until_after(from, "there to be used").await?;
    // Another one has to wait; somebody else's has no business with it.
    let second = world
        .ask_for_copy(
            &mut refloat,
            "restore copy tenant:poseidon1 namespace:dev into:dev-two",
        )
        .await?;
    until(|| async { Ok(phase_of(&world.copies().get(&second).await?) == Phase::Refused) }).await?;
    refloat.until("may have 1 at a time").await?;
    let from = refloat.shown().len();
    refloat
        .say(&format!("as odd: restore withdraw {name}"))
        .await?;
    refloat.until_after(from, "is not yours to steer").await?;

    refloat.say(&format!("restore withdraw {name}")).await?;
    world.until_copy(&name, Phase::Withdrawn).await?;
    refloat.until("` is gone.").await?;
    assert!(
        namespaces(&world)
            .get_opt(&world.here(COPY))
            .await?
            .is_none()
    );
    assert!(world.harbour.pulls().await?.is_empty());
    refloat.stop().await?;
    world.check_untouched(&before, &order).await?;
    world.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_is_removed_when_its_time_is_over() -> anyhow::Result<()> {
    let world = world().await?;
    let mut refloat = Refloat::start(
        &world
            .harbour
            .refloat_config(&format!("{FAST}copies: {{ keptFor: 2s }}\n"))?,
    )?;
    let name = world
        .ask_for_copy(
            &mut refloat,
            "restore copy tenant:poseidon1 namespace:dev into:dev-copy",
        )
        .await?;
    world.until_copy(&name, Phase::Done).await?;
    refloat.until("Its time is over.").await?;
    assert!(
        namespaces(&world)
            .get_opt(&world.here(COPY))
            .await?
            .is_none()
    );

    // What Velero cannot bring back leaves nothing behind either.
    world
        .harbour
        .velero
        .faults()
        .end_next_restore(Ending::Failed("no such bucket".to_owned()));
    let name = world
        .ask_for_copy(
            &mut refloat,
            "restore copy tenant:poseidon1 namespace:dev into:dev-copy",
        )
        .await?;
    until(|| async { Ok(phase_of(&world.copies().get(&name).await?) == Phase::Failed) }).await?;
    refloat.until("no such bucket").await?;
    assert!(
        namespaces(&world)
            .get_opt(&world.here(COPY))
            .await?
            .is_none()
    );
    refloat.stop().await?;
    world.end().await
}

/// What is called off while Velero works is removed when Velero is done, and not under its hands.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_removed_while_velero_works() -> anyhow::Result<()> {
    let world = world().await?;
    let mut refloat = Refloat::start(&world.harbour.refloat_config(FAST)?)?;
    let faults = world.harbour.velero.faults();
    faults.stall_restores_at(1);
    let name = world
        .ask_for_copy(
            &mut refloat,
            "restore copy tenant:poseidon1 namespace:dev into:dev-copy",
        )
        .await?;
    world.until_copy(&name, Phase::Restoring).await?;
    until(|| async {
        let status = world.copies().get(&name).await?.status.unwrap_or_default();
        Ok(status.restore.is_some_and(|run| run.phase == "InProgress"))
    })
    .await?;
    refloat.say(&format!("restore withdraw {name}")).await?;
    until(|| async {
        let status = world.copies().get(&name).await?.status.unwrap_or_default();
        Ok(status
            .waiting
            .is_some_and(|note| note.message.contains("which cannot be stopped")))
    })
    .await?;
    let live = namespaces(&world).get(&world.here(COPY)).await?;
    assert!(live.metadata.deletion_timestamp.is_none());
    faults.release_restores();
    world.until_copy(&name, Phase::Withdrawn).await?;
    assert!(
        namespaces(&world)
            .get_opt(&world.here(COPY))
            .await?
            .is_none()
    );
    refloat.stop().await?;
    world.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_copied_is_refused_with_what_is_right() -> anyhow::Result<()> {
    let world = World::start(Setup {
        days_of_backups: 2,
        ..Setup::default()
    })
    .await?;
    let taken = serde_json::json!({"metadata": {"name": world.here("poseidon1-taken")}});
    namespaces(&world)
        .create(&PostParams::default(), &serde_json::from_value(taken)?)
        .await?;
    let before = world.harbour.platform.snapshot().await?;
    let order = world.order("poseidon1").await?;
    let mut refloat = Refloat::start(&world.harbour.refloat_config(FAST)?)?;
    let mut sentences = Vec::new();
    for line in [
        "restore copy tenant:poseidon1 namespace:dev into:test",
        "restore copy tenant:poseidon1 namespace:dev into:taken",
        "restore copy tenant:poseidon1 namespace:prod into:prod-copy",
        "restore copy tenant:poseidon1 namespace:dev into:dev-copy schedule:hourly",
        "restore copy tenant:poseidon1 namespace:dev into:dev-copy backup:no-such-backup",
    ] {
        let name = world.ask_for_copy(&mut refloat, line).await?;
        until(|| async { Ok(phase_of(&world.copies().get(&name).await?) == Phase::Refused) })
            .await?;
        let status = world.copies().get(&name).await?.status.unwrap_or_default();
        let message = status
            .ending
            .map(|ending| ending.message)
            .unwrap_or_default();
        sentences.push(format!("{line}\n    {}", world.plain(&message)));
    }
    insta::assert_snapshot!(sentences.join("\n"), @"
    restore copy tenant:poseidon1 namespace:dev into:test
        poseidon1-test is in the tenant's order: a copy gets a namespace of its own, for example `into:dev-copy`.
    restore copy tenant:poseidon1 namespace:dev into:taken
        There is a namespace poseidon1-taken already, and a copy is made into a new one: choose another name, for example `into:dev-copy`.
    restore copy tenant:poseidon1 namespace:prod into:prod-copy
        The tenant poseidon1 has no namespace poseidon1-prod: its order names poseidon1-dev and poseidon1-test.
    restore copy tenant:poseidon1 namespace:dev into:dev-copy schedule:hourly
        The tenant poseidon1 has no schedule hourly: its order names daily and weekly.
    restore copy tenant:poseidon1 namespace:dev into:dev-copy backup:no-such-backup
        There is no backup no-such-backup. The latest usable one is poseidon1-daily-20261124010000 of 2026-11-24 01:00 UTC.
    ");
    refloat.stop().await?;
    world.check_untouched(&before, &order).await?;
    world.end().await
}

/// One copy from the question to its removal, whatever deaths there are on the way.
async fn one_copy(
    world: &World,
    config: &str,
    executioner: &Executioner,
    into: &str,
) -> anyhow::Result<()> {
    let known: Vec<String> = world
        .copies()
        .list(&ListParams::default())
        .await?
        .iter()
        .map(ResourceExt::name_any)
        .collect();
    let restores = world.velero_names("Restore", "restores").await?.len();
    let cuts = world.harbour.gate.cuts();
    let mut refloat = Refloat::start(config)?;
    let began = std::time::Instant::now();
    let name = loop {
        anyhow::ensure!(
            began.elapsed() < PATIENCE,
            "it never ended:\n{}",
            refloat.shown()
        );
        if executioner.dead.load(Ordering::SeqCst) {
            until(|| async { Ok(world.harbour.gate.cuts() > cuts) }).await?;
            refloat.kill();
            refloat = Refloat::start(config)?;
            executioner.dead.store(false, Ordering::SeqCst);
        }
        let step = async {
            let shown = refloat.shown().len();
            let all = world.copies().list(&ListParams::default()).await?;
            let Some(request) = all
                .iter()
                .find(|request| !known.contains(&request.name_any()))
            else {
                let line = format!("restore copy tenant:poseidon1 namespace:dev into:{into}");
                refloat.say(&world.here(&line)).await?;
                let _ = tokio::time::timeout(
                    Duration::from_secs(2),
                    refloat.until_after(shown, "@ada"),
                )
                .await;
                return Ok(None);
            };
            let phase = phase_of(request);
            if phase == Phase::Done {
                return Ok(Some(request.name_any()));
            }
            anyhow::ensure!(
                !phase.is_over(),
                "it is {phase:?}: {:?}",
                request
                    .status
                    .as_ref()
                    .and_then(|status| status.ending.as_ref())
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
            anyhow::Ok(None)
        };
        tokio::select! {
            () = executioner.strike.notified() => {}
            over = step => if let Some(name) = over? { break name },
        }
    };
    if executioner.dead.load(Ordering::SeqCst) {
        refloat.kill();
    } else {
        refloat.stop().await?;
    }
    let made = world
        .copies()
        .list(&ListParams::default())
        .await?
        .items
        .len();
    anyhow::ensure!(made == known.len() + 1, "{made} requests: one was {name}");
    let namespace = world.here(&format!("poseidon1-{into}"));
    anyhow::ensure!(
        namespaces(world).get_opt(&namespace).await?.is_none(),
        "{namespace} is left"
    );
    let now = world.velero_names("Restore", "restores").await?.len();
    anyhow::ensure!(
        now == restores + 1,
        "{} Restores instead of one",
        now - restores
    );
    Ok(())
}

async fn killed_at_every_write(death: Death) -> anyhow::Result<()> {
    if external().is_some() {
        println!("skipped: only the harbour's own API server can cut connections");
        return Ok(());
    }
    let world = world().await?;
    let before = world.harbour.platform.snapshot().await?;
    let order = world.order("poseidon1").await?;
    let config = world
        .harbour
        .refloat_config(&format!("{FAST}copies: {{ keptFor: 50ms }}\n"))?;
    let mut at = 0;
    loop {
        let executioner = Arc::new(Executioner::default());
        let rule = executioner.wait_for(&world.harbour.gate, at, death);
        one_copy(&world, &config, &executioner, &format!("k{at}"))
            .await
            .with_context(|| format!("killed {death:?} write {at}"))?;
        world.harbour.gate.remove(rule);
        if executioner.struck.load(Ordering::SeqCst) == 0 {
            break;
        }
        at += 1;
    }
    println!("killed {death:?} each of {at} writes of a copy");
    anyhow::ensure!(at > 8, "only {at} writes were seen");
    world.check_untouched(&before, &order).await?;
    world.end().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_before_every_write_of_a_copy() -> anyhow::Result<()> {
    killed_at_every_write(Death::Before).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_after_every_write_of_a_copy() -> anyhow::Result<()> {
    killed_at_every_write(Death::After).await
}
