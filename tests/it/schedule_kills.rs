//! Killed anywhere, an order of a schedule goes on: a death just before each write
//! and just after each, and always the same end.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context as _;
use harbour::Setup;
use harbour::github::PullStatus;
use harbour::world::Shape;
use kube::ResourceExt;
use kube::api::ListParams;
use refloat::order::{Cron, ScheduleName, Ttl, schedule_add};
use refloat::schedule::{Phase, branch, phase};

use crate::kills::{Death, Executioner, Targets, alone};
use crate::refloat::{FAST, PATIENCE, Refloat, external, until};
use crate::world::World;

async fn killed_at_every_write(death: Death) -> anyhow::Result<()> {
    if external().is_some() {
        println!("skipped: only the harbour's own API server can cut connections");
        return Ok(());
    }
    let world = World::start(Setup {
        shape: Shape::small(),
        days_of_backups: 1,
        ..Setup::default()
    })
    .await?;
    let config = world.harbour.refloat_config(FAST)?;
    let gate = &world.harbour.gate;
    gate.keep_journal();
    // One that nobody disturbs shows what there is to die at.
    one_order(&world, &config, &Executioner::default(), "k").await?;
    let left = Targets::of(&gate.take_journal());
    let (all, mut deaths, mut orders) = (left.len(), 0, 0);
    loop {
        let executioner = Arc::new(Executioner::default());
        let rule = if alone() {
            executioner.wait_for(gate, orders, death)
        } else {
            executioner.wait_for_each(gate, &left, death)
        };
        let before = left.left();
        one_order(&world, &config, &executioner, &format!("k{orders}"))
            .await
            .with_context(|| format!("killed {death:?} some of {before:#?}"))?;
        gate.remove(rule);
        let struck = executioner.struck.load(Ordering::SeqCst);
        if struck == 0 {
            break;
        }
        deaths += struck;
        orders += 1;
    }
    println!(
        "killed {death:?} {deaths} writes of {all} in {orders} orders; not written again: {:#?}",
        left.left()
    );
    // What only tells of progress comes as often as the machine is slow. Fewer would
    // mean that the loop did not see the order at all.
    anyhow::ensure!(all > 8 && deaths * 10 >= all * 7, "only {deaths} of {all}");
    world.end().await
}

/// One schedule from the order to its first backup, whatever deaths there are on the way.
async fn one_order(
    world: &World,
    config: &str,
    executioner: &Executioner,
    schedule: &str,
) -> anyhow::Result<()> {
    let order = world.order("poseidon1").await?;
    let known = names(world).await?;
    let pulls = world.harbour.pulls().await?.len();
    let mut cuts = world.harbour.gate.cuts();
    let mut refloat = Refloat::start(config)?;
    let started = std::time::Instant::now();
    let name = loop {
        anyhow::ensure!(
            started.elapsed() < PATIENCE,
            "it never ended; the chat showed:\n{}",
            refloat.shown()
        );
        if executioner.dead.load(Ordering::SeqCst) {
            // The last request may still be being carried out.
            until(|| async { Ok(world.harbour.gate.cuts() > cuts) }).await?;
            refloat.kill();
            cuts = world.harbour.gate.cuts();
            refloat = Refloat::start(config)?;
            executioner.dead.store(false, Ordering::SeqCst);
        }
        let step = go_on(world, &mut refloat, &known, schedule);
        tokio::select! {
            () = executioner.strike.notified() => {}
            over = step => if let Some(name) = over? { break name },
        }
    };
    if executioner.dead.load(Ordering::SeqCst) {
        // Killed by the very write that ended it.
        refloat.kill();
    } else {
        refloat.stop().await?;
    }

    let expected = schedule_add(
        &order,
        &ScheduleName::parse(schedule)?,
        &Cron::parse("30 3 * * *")?,
        Some(Ttl::parse("7d")?),
    )?;
    anyhow::ensure!(
        world.order("poseidon1").await? == expected.text,
        "the order is not as it was with one entry more"
    );
    let request = world.schedule_requests().get(&name).await?;
    let branch = branch(&name, &request.uid().unwrap_or_default());
    let all = world.harbour.pulls().await?;
    anyhow::ensure!(
        all.len() == pulls + 1,
        "{} pull requests instead of one",
        all.len() - pulls
    );
    anyhow::ensure!(
        all.iter()
            .any(|pull| pull.head == branch && matches!(pull.status, PullStatus::Merged { .. })),
        "its pull request is not merged"
    );
    anyhow::ensure!(
        world
            .velero_schedule(&format!("poseidon1-{schedule}"))
            .await?
            .is_some(),
        "Velero has no such Schedule"
    );
    Ok(())
}

async fn names(world: &World) -> anyhow::Result<Vec<String>> {
    Ok(world
        .schedule_requests()
        .list(&ListParams::default())
        .await?
        .iter()
        .map(ResourceExt::name_any)
        .collect())
}

/// Does what a person would do next, or what time would bring; the request's name
/// once it is done.
async fn go_on(
    world: &World,
    refloat: &mut Refloat,
    known: &[String],
    schedule: &str,
) -> anyhow::Result<Option<String>> {
    let shown = refloat.shown().len();
    let requests = world
        .schedule_requests()
        .list(&ListParams::default())
        .await?;
    let Some(request) = requests
        .iter()
        .find(|request| !known.contains(&request.name_any()))
    else {
        refloat
            .say(&world.here(&format!(
                "schedule add tenant:poseidon1 name:{schedule} when:\"30 3 * * *\" keep:7d"
            )))
            .await?;
        let answered = refloat.until_after(shown, "@ada");
        let _ = tokio::time::timeout(Duration::from_secs(2), answered).await;
        return Ok(None);
    };
    let name = request.name_any();
    let status = request.status.clone().unwrap_or_default();
    match phase(&status) {
        Phase::AwaitingApproval if status.pull.is_some() => {
            refloat.say(&format!("as grace: approve {name}")).await?;
            let answered = refloat.until_after(shown, "@grace");
            let _ = tokio::time::timeout(Duration::from_secs(2), answered).await;
        }
        Phase::Confirming => {
            // One of the same second is there already.
            let _ = world
                .run_now(&format!("poseidon1-{schedule}"), "Completed")
                .await;
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
        Phase::Done => return Ok(Some(name)),
        Phase::Stuck => anyhow::bail!("it is stuck: {:?}", status.stuck),
        other if other.is_over() => anyhow::bail!("it is {other:?}: {:?}", status.ending),
        _ => tokio::time::sleep(Duration::from_millis(10)).await,
    }
    Ok(None)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_before_every_write_of_an_order() -> anyhow::Result<()> {
    killed_at_every_write(Death::Before).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_after_every_write_of_an_order() -> anyhow::Result<()> {
    killed_at_every_write(Death::After).await
}
