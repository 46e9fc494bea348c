//! Killed anywhere, it goes on: one loop over every request that changes
//! something, and a death just before each and just after each.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use harbour::gate::{Call, Fate, Gate, RuleId, Service};
use harbour::{REFLOAT_GITHUB_TOKEN, REFLOAT_KUBERNETES_TOKEN, Setup};
use hyper::Method;
use tokio::sync::Notify;

use crate::refloat::{FAST, PATIENCE, Refloat, external, until};
use crate::world::World;

/// When, in the course of a request, Refloat dies.
#[derive(Clone, Copy, Debug)]
pub enum Death {
    Before,
    /// The request is carried out, and the answer is lost.
    After,
}

/// Cuts Refloat off at its `at`th write.
#[derive(Default)]
pub struct Executioner {
    /// How many writes were seen since the last birth of the request.
    writes: AtomicUsize,
    /// A dead process sends nothing.
    pub dead: AtomicBool,
    pub struck: AtomicBool,
    pub strike: Notify,
}

impl Executioner {
    /// Waits at the gate for the `at`th write of Refloat; gives the rule to take away.
    pub fn wait_for(self: &Arc<Self>, gate: &Gate, at: usize, death: Death) -> RuleId {
        let executioner = Arc::clone(self);
        gate.add(move |call| {
            if !is_refloats(call) {
                return Fate::Pass;
            }
            if executioner.dead.load(Ordering::SeqCst) {
                return Fate::CutBefore;
            }
            if !call.writes() || executioner.writes.fetch_add(1, Ordering::SeqCst) != at {
                return Fate::Pass;
            }
            executioner.dead.store(true, Ordering::SeqCst);
            executioner.struck.store(true, Ordering::SeqCst);
            executioner.strike.notify_one();
            match death {
                Death::Before => Fate::CutBefore,
                Death::After => Fate::CutAfter,
            }
        })
    }
}

fn is_refloats(call: &Call) -> bool {
    matches!(
        call.token.as_deref(),
        Some(REFLOAT_GITHUB_TOKEN | REFLOAT_KUBERNETES_TOKEN)
    )
}

async fn killed_at_every_write(death: Death) -> anyhow::Result<()> {
    if external().is_some() {
        println!("skipped: only the harbour's own API server can cut connections");
        return Ok(());
    }
    let mut world = World::start(Setup {
        shape: harbour::world::Shape::small(),
        days_of_backups: 2,
        ..Setup::default()
    })
    .await?;
    world.harbour.gate.keep_journal();
    let config = world.harbour.refloat_config(FAST)?;
    let mut at = 0;
    loop {
        let executioner = Arc::new(Executioner::default());
        let rule = executioner.wait_for(&world.harbour.gate, at, death);
        let label = format!("killed {death:?} write {at}");
        one_restore(&mut world, &config, &executioner)
            .await
            .map_err(|error| error.context(label.clone()))?;
        world.harbour.gate.remove(rule);
        if !executioner.struck.load(Ordering::SeqCst) {
            break;
        }
        at += 1;
    }
    println!("killed {death:?} each of {at} writes");
    // Fewer would mean that the loop did not see the restore at all.
    anyhow::ensure!(at > 30, "only {at} writes were seen");
    Ok(())
}

/// One restore from the request to its end, whatever deaths there are on the way.
async fn one_restore(
    world: &mut World,
    config: &str,
    executioner: &Executioner,
) -> anyhow::Result<()> {
    let before = world.harbour.platform.snapshot().await?;
    let order = world.order("poseidon1").await?;
    let known = world.request_names().await?;
    world.break_tenant("poseidon1-dev").await?;
    world.harbour.gate.take_journal();
    let cuts = world.harbour.gate.cuts();

    let mut refloat = Refloat::start(config)?;
    let started = std::time::Instant::now();
    let request = loop {
        anyhow::ensure!(
            started.elapsed() < PATIENCE,
            "it never ended; the chat showed:\n{}",
            refloat.shown()
        );
        if executioner.dead.load(Ordering::SeqCst) {
            // The last request may still be being carried out.
            until(|| async { Ok(world.harbour.gate.cuts() > cuts) }).await?;
            refloat.kill();
            refloat = Refloat::start(config)?;
            executioner.dead.store(false, Ordering::SeqCst);
        }
        // What a person does: asks, if nothing came of it asks again, and
        // approves what waits for approval.
        let step = world.go_on(&mut refloat, &known);
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

    world.check_restored(&request, &before, &order).await?;
    let journal = world.harbour.gate.take_journal();
    let restores = journal.iter().position(|entry| {
        entry.call.service == Service::Kubernetes
            && entry.call.method == Method::POST
            && entry.call.path().ends_with("/restores")
            && entry.status.is_none_or(|status| status < 300)
    });
    let restores = restores.ok_or_else(|| anyhow::anyhow!("no Restore was created"))?;
    for entry in &journal[restores..] {
        anyhow::ensure!(
            !(is_refloats(&entry.call) && entry.call.method == Method::DELETE),
            "deleted {} after the Restore",
            entry.call.target
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_before_every_write() -> anyhow::Result<()> {
    killed_at_every_write(Death::Before).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_after_every_write() -> anyhow::Result<()> {
    killed_at_every_write(Death::After).await
}
