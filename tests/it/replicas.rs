//! Two replicas: one works, the other stands by; and whoever was cut off and comes
//! back late does no harm.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use harbour::gate::{Call, Fate, Gate, RuleId, Service};
use harbour::world::Shape;
use harbour::{REFLOAT_KUBERNETES_TOKEN, Setup};
use hyper::Method;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::Api;
use refloat::request::Phase;
use serde_json::Value;

use crate::refloat::{FAST, Refloat, external, until};
use crate::world::World;

const LEASE: &str = "kubernetes: { lease: refloat, leaseDuration: 5s, kubeconfig: ";
/// The lease lasts five seconds: by then somebody else works.
const LATE: Duration = Duration::from_secs(9);

/// The configuration of a replica whose requests are told by their token.
fn replica(world: &World, name: &str) -> anyhow::Result<String> {
    let theirs = std::fs::read_to_string(world.harbour.kubeconfig())?;
    let mine = world.harbour.folder().join(format!("kubeconfig-{name}"));
    std::fs::write(&mine, theirs.replace(REFLOAT_KUBERNETES_TOKEN, name))?;
    let config = world.harbour.refloat_config(FAST)?;
    let before = format!(
        "kubernetes: {{ kubeconfig: {} }}",
        world.harbour.kubeconfig().display()
    );
    anyhow::ensure!(config.contains(&before), "{config}");
    Ok(config.replace(&before, &format!("{LEASE}{} }}", mine.display())))
}

async fn holder(world: &World) -> anyhow::Result<Option<String>> {
    let namespace = world.requests().namespace().map(ToOwned::to_owned);
    let leases: Api<Lease> = Api::namespaced(
        world.harbour.client.0.clone(),
        &namespace.unwrap_or_default(),
    );
    let lease = leases.get_opt("refloat").await?;
    Ok(lease.and_then(|lease| lease.spec?.holder_identity))
}

/// The phase that a write of the status says.
pub fn phase_in(call: &Call) -> Option<String> {
    let body: Value = serde_json::from_slice(&call.body).ok()?;
    let conditions = body["status"]["conditions"].as_array()?;
    let progressing = conditions.iter().find(|it| it["type"] == "Progressing")?;
    progressing["reason"].as_str().map(ToOwned::to_owned)
}

/// From the moment that `replica` writes down that a phase is reached, it is alone in
/// its network: it reads nothing more, and what it writes arrives when another works.
fn cut_off(gate: &Gate, replica: &'static str, phase: Phase, cut: &Arc<AtomicBool>) -> RuleId {
    let cut = Arc::clone(cut);
    gate.add(move |call| {
        if call.service != Service::Kubernetes || call.token.as_deref() != Some(replica) {
            return Fate::Pass;
        }
        if cut.load(Ordering::SeqCst) {
            return if call.writes() {
                Fate::Late(LATE)
            } else {
                Fate::CutBefore
            };
        }
        let reached = call.method == Method::PUT
            && call.path().contains("restorerequests")
            && phase_in(call).as_deref() == Some(phase.name());
        if reached {
            cut.store(true, Ordering::SeqCst);
            return Fate::CutAfter;
        }
        Fate::Pass
    })
}

/// One restore during which the first replica is cut off in a phase.
async fn cut_off_in(world: &World, phase: Phase) -> anyhow::Result<()> {
    let before = world.harbour.platform.snapshot().await?;
    let order = world.order("poseidon1").await?;
    let gate = &world.harbour.gate;
    gate.take_journal();
    let cut = Arc::new(AtomicBool::new(false));
    let mut first = Refloat::start(&replica(world, "first")?)?;
    until(|| async { Ok(holder(world).await?.is_some()) }).await?;
    let led_by = holder(world).await?;
    let rule = cut_off(gate, "first", phase, &cut);
    let mut second = Refloat::start(&replica(world, "second")?)?;
    let name = world
        .ask(
            &mut first,
            "restore request tenant:poseidon1 namespaces:dev schedule:daily reason:replicas",
        )
        .await?;
    if phase != Phase::AwaitingApproval {
        world.until_asked(&name).await?;
        first.say("as grace: approve").await?;
    }
    until(|| async { Ok(cut.load(Ordering::SeqCst)) })
        .await
        .with_context(|| first.shown())?;
    until(|| async {
        let now = holder(world).await?;
        Ok(now.is_some() && now != led_by)
    })
    .await
    .context("nobody took over")?;
    if phase == Phase::AwaitingApproval {
        world.until_asked(&name).await?;
        second.say(&format!("as grace: approve {name}")).await?;
    }
    world
        .until_phase(&name, Phase::Done)
        .await
        .with_context(|| second.shown())?;
    // Everything that the first still had under way has arrived by now.
    let lost = first.ended().await;
    tokio::time::sleep(LATE).await;
    let Err(why) = lost else {
        anyhow::bail!("it went on without the lease");
    };
    let why = format!("{why:#}");
    anyhow::ensure!(why.contains("the lease refloat"), "{why}");
    gate.remove(rule);
    world.check_restored(&name, &before, &order).await?;
    let restores = gate
        .take_journal()
        .into_iter()
        .filter(|entry| {
            entry.call.method == Method::POST
                && entry.call.path().ends_with("/restores")
                && entry.status.is_some_and(|status| status < 300)
        })
        .count();
    anyhow::ensure!(restores == 1, "{restores} Restores");
    second.stop().await?;
    anyhow::ensure!(holder(world).await?.is_none(), "the lease was not given up");
    Ok(())
}

/// Whoever leads is cut off in a phase, the other takes over and ends the restore, and
/// what the first still sends arrives after that.
#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_was_cut_off_does_no_harm() -> anyhow::Result<()> {
    if external().is_some() {
        println!("skipped: only the harbour's own API server can cut connections");
        return Ok(());
    }
    let cut = [
        Phase::AwaitingApproval,
        Phase::Pausing,
        Phase::Settling,
        Phase::Protecting,
        Phase::Clearing,
        Phase::Restoring,
        Phase::Verifying,
        Phase::Resuming,
    ];
    let failed = Arc::new(Mutex::new(Vec::new()));
    // Each has a world of its own: they mostly wait.
    let each = cut.map(|phase| {
        let failed = Arc::clone(&failed);
        tokio::spawn(async move {
            let run = async {
                let world = World::start(Setup {
                    shape: Shape::small(),
                    days_of_backups: 2,
                    ..Setup::default()
                })
                .await?;
                world.harbour.gate.keep_journal();
                cut_off_in(&world, phase).await?;
                world.end().await
            };
            if let Err(error) = run.await {
                let mut failed = failed.lock().unwrap_or_else(PoisonError::into_inner);
                failed.push(format!("cut off in {}: {error:#}", phase.name()));
            }
        })
    });
    for one in each {
        one.await?;
    }
    let failed = failed.lock().unwrap_or_else(PoisonError::into_inner);
    anyhow::ensure!(failed.is_empty(), "{}", failed.join("\n\n"));
    Ok(())
}

/// One that is stopped gives the lease up, and the other need not wait for its end;
/// only one of them ever answers.
#[tokio::test(flavor = "multi_thread")]
async fn one_works_at_a_time() -> anyhow::Result<()> {
    let world = World::start(Setup {
        shape: Shape::small(),
        ..Setup::default()
    })
    .await?;
    let mut first = Refloat::start(&replica(&world, REFLOAT_KUBERNETES_TOKEN)?)?;
    first.say("help").await?;
    first.until("@ada").await?;
    let mut second = Refloat::start(&replica(&world, REFLOAT_KUBERNETES_TOKEN)?)?;
    second.say("help").await?;
    let leader = holder(&world).await?;
    // The first renews several times meanwhile.
    tokio::time::sleep(LATE).await;
    assert_eq!(holder(&world).await?, leader);
    assert_eq!(second.shown(), "");
    first.stop().await?;
    second.until("@ada").await?;
    let holders: BTreeSet<_> = [leader, holder(&world).await?].into();
    assert_eq!(holders.len(), 2);
    second.stop().await?;
    world.end().await
}
