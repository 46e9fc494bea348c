//! Two replicas: one works, the other stands by; and whoever was cut off and comes
//! back late does no harm.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use harbour::gate::{Call, Fate, RuleId, Service};
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

/// Where a leader is cut off: a kind of request by its plural, and a phase of it.
#[derive(Clone, Copy, Debug)]
struct Where {
    plural: &'static str,
    phase: &'static str,
}

pub const CHECKING: &str = "Checking";

/// The phases of a restore on its way, in their order.
pub const OF_A_RESTORE: &[&str] = &[
    CHECKING,
    "AwaitingApproval",
    "Pausing",
    "Settling",
    "Protecting",
    "Clearing",
    "Restoring",
    "Verifying",
    "Resuming",
];

/// The same of a schedule, and of a copy.
pub const OF_A_SCHEDULE: &[&str] = &[
    CHECKING,
    "AwaitingApproval",
    "Merging",
    "Applying",
    "Confirming",
];
pub const OF_A_COPY: &[&str] = &[
    CHECKING,
    "Making",
    "Restoring",
    "Verifying",
    "Kept",
    "Removing",
];

impl Where {
    fn is_reached_by(self, call: &Call) -> bool {
        if self.phase == CHECKING {
            // What it writes as long as it checks: it asks what the backup holds.
            return call.method == Method::POST && call.path().ends_with("/downloadrequests");
        }
        call.method == Method::PUT
            && call.path().contains(self.plural)
            && phase_in(call).as_deref() == Some(self.phase)
    }
}

/// Two replicas, the first of which leads and is going to be cut off.
struct Pair {
    first: Refloat,
    second: Refloat,
    led_by: Option<String>,
    cut: Arc<AtomicBool>,
    rule: RuleId,
}

impl Pair {
    /// From the moment that the first writes down that the phase is reached, it is alone in
    /// its network: it reads nothing more, and what it writes arrives when another works.
    async fn start(world: &World, at: Where) -> anyhow::Result<Self> {
        let first = Refloat::start(&replica(world, "first")?)?;
        until(|| async { Ok(holder(world).await?.is_some()) }).await?;
        let led_by = holder(world).await?;
        let cut = Arc::new(AtomicBool::new(false));
        let is_cut = Arc::clone(&cut);
        let rule = world.harbour.gate.add(move |call| {
            if call.service != Service::Kubernetes || call.token.as_deref() != Some("first") {
                return Fate::Pass;
            }
            if is_cut.load(Ordering::SeqCst) {
                return if call.writes() {
                    Fate::Late(LATE)
                } else {
                    Fate::CutBefore
                };
            }
            if at.is_reached_by(call) {
                is_cut.store(true, Ordering::SeqCst);
                return Fate::CutAfter;
            }
            Fate::Pass
        });
        let second = Refloat::start(&replica(world, "second")?)?;
        Ok(Self {
            first,
            second,
            led_by,
            cut,
            rule,
        })
    }

    /// Waits until the first is cut off and the second works.
    async fn taken_over(&self, world: &World) -> anyhow::Result<()> {
        until(|| async { Ok(self.cut.load(Ordering::SeqCst)) })
            .await
            .with_context(|| self.first.shown())?;
        until(|| async {
            let now = holder(world).await?;
            Ok(now.is_some() && now != self.led_by)
        })
        .await
        .context("nobody took over")
    }

    /// Waits until everything that the first still had under way has arrived, and ends.
    async fn end(self, world: &World) -> anyhow::Result<()> {
        let lost = self.first.ended().await;
        tokio::time::sleep(LATE).await;
        let Err(why) = lost else {
            anyhow::bail!("it went on without the lease");
        };
        let why = format!("{why:#}");
        anyhow::ensure!(why.contains("the lease refloat"), "{why}");
        world.harbour.gate.remove(self.rule);
        self.second.stop().await?;
        anyhow::ensure!(holder(world).await?.is_none(), "the lease was not given up");
        Ok(())
    }
}

/// One restore during which the first replica is cut off in a phase.
async fn cut_off_in(world: &World, at: Where) -> anyhow::Result<()> {
    let before = world.harbour.platform.snapshot().await?;
    let order = world.order("poseidon1").await?;
    let gate = &world.harbour.gate;
    gate.take_journal();
    let mut pair = Pair::start(world, at).await?;
    let name = world
        .ask(
            &mut pair.first,
            "restore request tenant:poseidon1 namespaces:dev schedule:daily reason:replicas",
        )
        .await?;
    let unasked = [CHECKING, "AwaitingApproval"].contains(&at.phase);
    if !unasked {
        world.until_asked(&name).await?;
        pair.first.say("as grace: approve").await?;
    }
    pair.taken_over(world).await?;
    if unasked {
        world.until_asked(&name).await?;
        pair.second
            .say(&format!("as grace: approve {name}"))
            .await?;
    }
    world
        .until_phase(&name, Phase::Done)
        .await
        .with_context(|| pair.second.shown())?;
    pair.end(world).await?;
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
    Ok(())
}

/// The same for an order of a schedule.
async fn cut_off_in_a_schedule(world: &World, at: Where) -> anyhow::Result<()> {
    let mut pair = Pair::start(world, at).await?;
    let line = "schedule add tenant:poseidon1 name:nightly when:\"every day at 03:30\" keep:4w";
    let name = world.order_schedule(&mut pair.first, line).await?;
    let unasked = at.phase == "AwaitingApproval";
    if !unasked {
        world.until_schedule_asked(&name).await?;
        pair.first.say("as grace: approve").await?;
    }
    pair.taken_over(world).await?;
    if unasked {
        world.until_schedule_asked(&name).await?;
        pair.second
            .say(&format!("as grace: approve {name}"))
            .await?;
    }
    world
        .until_schedule(&name, refloat::schedule::Phase::Confirming)
        .await
        .with_context(|| pair.second.shown())?;
    world.run_comes("poseidon1-nightly", "Completed").await?;
    world
        .until_schedule(&name, refloat::schedule::Phase::Done)
        .await?;
    pair.end(world).await?;
    let pulls = world.harbour.pulls().await?;
    anyhow::ensure!(pulls.len() == 1, "{} pull requests", pulls.len());
    let ordered = world.ordered_schedules("poseidon1").await?;
    let nightly = ordered.iter().filter(|(name, ..)| name == "nightly");
    anyhow::ensure!(nightly.count() == 1, "{ordered:?}");
    Ok(())
}

/// The same for a copy, which is there to be used until somebody says that it may go.
async fn cut_off_in_a_copy(world: &World, at: Where) -> anyhow::Result<()> {
    use refloat::copy::Phase;
    let before = world.harbour.platform.snapshot().await?;
    let order = world.order("poseidon1").await?;
    let mut pair = Pair::start(world, at).await?;
    let line = "restore copy tenant:poseidon1 namespace:dev into:dev-copy schedule:daily";
    let name = world.ask_for_copy(&mut pair.first, line).await?;
    let withdraw = format!("restore withdraw {name}");
    if at.phase == "Removing" {
        world.until_copy(&name, Phase::Kept).await?;
        pair.first.say(&withdraw).await?;
    }
    pair.taken_over(world).await?;
    if at.phase != "Removing" {
        world
            .until_copy(&name, Phase::Kept)
            .await
            .with_context(|| pair.second.shown())?;
        pair.second.say(&withdraw).await?;
    }
    world
        .until_copy(&name, Phase::Withdrawn)
        .await
        .with_context(|| pair.second.shown())?;
    pair.end(world).await?;
    let restores = world.velero_names("Restore", "restores").await?;
    anyhow::ensure!(restores.len() == 1, "{restores:?}");
    world.check_untouched(&before, &order).await
}

/// A story in which the leader is cut off.
type Story =
    for<'w> fn(&'w World, Where) -> Pin<Box<dyn Future<Output = anyhow::Result<()>> + Send + 'w>>;

/// Cuts a leader off in each of these phases; each has a world of its own, since they
/// mostly wait.
async fn in_each(
    plural: &'static str,
    phases: &[&'static str],
    story: Story,
) -> anyhow::Result<()> {
    if external().is_some() {
        println!("skipped: only the harbour's own API server can cut connections");
        return Ok(());
    }
    let runs = phases.iter().map(|&phase| {
        let run = tokio::spawn(async move {
            let world = World::start(Setup {
                shape: Shape::small(),
                days_of_backups: 2,
                ..Setup::default()
            })
            .await?;
            world.harbour.gate.keep_journal();
            story(&world, Where { plural, phase }).await?;
            world.end().await
        });
        (phase, run)
    });
    let runs: Vec<_> = runs.collect();
    let mut failed = Vec::new();
    for (phase, run) in runs {
        if let Err(error) = run.await? {
            failed.push(format!("cut off in {phase}: {error:#}"));
        }
    }
    anyhow::ensure!(failed.is_empty(), "{}", failed.join("\n\n"));
    Ok(())
}

/// Whoever leads is cut off in a phase, the other takes over and ends the restore, and
/// what the first still sends arrives after that.
#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_was_cut_off_does_no_harm() -> anyhow::Result<()> {
    in_each("restorerequests", OF_A_RESTORE, |world, at| {
        Box::pin(cut_off_in(world, at))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_cut_off_from_a_schedule_does_no_harm() -> anyhow::Result<()> {
    // As long as it is checked nothing is written that could come late.
    in_each("schedulerequests", &OF_A_SCHEDULE[1..], |world, at| {
        Box::pin(cut_off_in_a_schedule(world, at))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_cut_off_from_a_copy_does_no_harm() -> anyhow::Result<()> {
    in_each("copyrequests", OF_A_COPY, |world, at| {
        Box::pin(cut_off_in_a_copy(world, at))
    })
    .await
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
