//! `refloat run` as a process of its own: when it is ready, and how it ends.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::{Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use harbour::Setup;
use harbour::gate::{Fate, Service};
use harbour::world::Shape;
use hyper::Method;
use refloat::request::{Phase, phase as phase_of};
use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, ChildStdin, Command};

use crate::refloat::{FAST, external, until};
use crate::replicas::phase_in;
use crate::world::World;

/// From SIGTERM to the end of the process.
const STOPS_WITHIN: Duration = Duration::from_secs(5);

/// `refloat run`, with its chat on standard input.
pub struct Running {
    child: Child,
    input: ChildStdin,
    address: SocketAddr,
}

impl Running {
    /// Starts it with `more` in its configuration and these variables in its environment.
    pub fn start(world: &World, more: &str, variables: &[(&str, &str)]) -> anyhow::Result<Self> {
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let web = format!("{FAST}web: {{ listen: '{address}' }}\n{more}");
        let file = world.harbour.folder().join("refloat.yaml");
        std::fs::write(&file, world.harbour.refloat_config(&web)?)?;
        let mut child = Command::new(env!("CARGO_BIN_EXE_refloat"))
            .args(["run", "--log", "json", "--config"])
            .arg(&file)
            .envs(variables.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let input = child.stdin.take().context("it has no input")?;
        Ok(Self {
            child,
            input,
            address,
        })
    }

    pub async fn say(&mut self, line: &str) -> anyhow::Result<()> {
        Ok(self.input.write_all(format!("{line}\n").as_bytes()).await?)
    }

    /// Waits until it says that it is ready.
    pub async fn until_ready(&mut self) -> anyhow::Result<()> {
        let readiness = format!("http://{}/readyz", self.address);
        until(|| async {
            let asked = reqwest::get(&readiness).await;
            Ok(asked.is_ok_and(|answer| answer.status().is_success()))
        })
        .await
        .with_context(|| format!("{:?}", self.child.try_wait()))
    }

    /// Asks for a restore, and waits for the request that comes of it.
    pub async fn ask(&mut self, world: &World, line: &str) -> anyhow::Result<String> {
        self.say(&world.here(line)).await?;
        until(|| async { Ok(!world.request_names().await?.is_empty()) }).await?;
        let names = world.request_names().await?;
        names.into_iter().next().context("the request is gone")
    }

    /// Tells it to stop by the signal that Kubernetes sends. It must end well and soon, and
    /// every line that it logged must be JSON; answers with the lines.
    pub async fn stop(self) -> anyhow::Result<String> {
        let id = self.child.id().context("it has ended")?;
        let told = Instant::now();
        let sent = Command::new("kill")
            .arg("-TERM")
            .arg(id.to_string())
            .status();
        anyhow::ensure!(sent.await?.success(), "the signal was not sent");
        // Its input stays open: nothing but the signal ends it.
        let (child, _input) = (self.child, self.input);
        let ended = tokio::time::timeout(STOPS_WITHIN, child.wait_with_output());
        let Output { status, stderr, .. } = ended
            .await
            .with_context(|| format!("it did not end within {STOPS_WITHIN:?}"))??;
        println!("ended {:.0?} after SIGTERM", told.elapsed());
        let log = String::from_utf8(stderr)?;
        anyhow::ensure!(status.success(), "{status}: {log}");
        for line in log.lines() {
            serde_json::from_str::<serde_json::Value>(line)
                .with_context(|| format!("not JSON: {line}"))?;
        }
        anyhow::ensure!(log.contains("stopping"), "{log}");
        Ok(log)
    }
}

async fn small() -> anyhow::Result<World> {
    World::start(Setup {
        shape: Shape::small(),
        days_of_backups: 2,
        ..Setup::default()
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_ready_soon_and_ends_when_it_is_told_to() -> anyhow::Result<()> {
    if external().is_some() {
        println!("skipped: what is measured is not somebody else's API server");
        return Ok(());
    }
    let world = small().await?;
    let started = Instant::now();
    let mut running = Running::start(&world, "", &[])?;
    running.until_ready().await?;
    println!("ready {:.0?} after its start", started.elapsed());
    running.stop().await?;
    world.end().await
}

/// Told to stop in the moment in which a phase is written down, in each phase of a restore:
/// it ends in time, and the next one goes on from there.
#[tokio::test(flavor = "multi_thread")]
async fn it_can_be_stopped_in_any_phase() -> anyhow::Result<()> {
    if external().is_some() {
        println!("skipped: only the harbour's own API server tells which phase is written");
        return Ok(());
    }
    let world = small().await?;
    let before = world.harbour.platform.snapshot().await?;
    let order = world.order("poseidon1").await?;
    let gate = &world.harbour.gate;
    // The answer to the write that reaches the phase comes late, so that the signal is
    // there before it.
    let reached = |phase: Phase| {
        let reached = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&reached);
        let rule = gate.add(move |call| {
            let writes = call.method == Method::PUT && call.path().contains("restorerequests");
            if writes && phase_in(call).as_deref() == Some(phase.name()) {
                seen.store(true, Ordering::SeqCst);
                return Fate::Late(Duration::from_secs(1));
            }
            Fate::Pass
        });
        (reached, rule)
    };
    let mut name = String::new();
    for phase in [
        Phase::AwaitingApproval,
        Phase::Pausing,
        Phase::Settling,
        Phase::Protecting,
        Phase::Clearing,
        Phase::Restoring,
        Phase::Verifying,
        Phase::Resuming,
    ] {
        // Before it starts, since it goes on at once.
        let (seen, rule) = reached(phase);
        let mut running = Running::start(&world, "", &[])?;
        if phase == Phase::AwaitingApproval {
            let line = "restore request tenant:poseidon1 namespaces:dev schedule:daily reason:stop";
            name = running.ask(&world, line).await?;
        }
        if phase == Phase::Pausing {
            world.until_asked(&name).await?;
            running.say(&format!("as grace: approve {name}")).await?;
        }
        until(|| async { Ok(seen.load(Ordering::SeqCst)) })
            .await
            .with_context(|| phase.name())?;
        running.stop().await.with_context(|| phase.name())?;
        gate.remove(rule);
        let status = world.requests().get(&name).await?.status;
        anyhow::ensure!(status.as_ref().map(phase_of) == Some(phase), "{status:?}");
    }
    let running = Running::start(&world, "", &[])?;
    world.until_phase(&name, Phase::Done).await?;
    world.check_restored(&name, &before, &order).await?;
    running.stop().await?;
    world.end().await
}

/// Told to stop while nobody answers it, at its start and later, it ends in time.
#[tokio::test(flavor = "multi_thread")]
async fn it_ends_in_time_when_nobody_answers() -> anyhow::Result<()> {
    if external().is_some() {
        println!("skipped: only the harbour's own services can be silent");
        return Ok(());
    }
    let world = small().await?;
    let gate = &world.harbour.gate;
    let asked = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&asked);
    let silent = move |service: Service| {
        let seen = Arc::clone(&seen);
        gate.add(move |call| {
            if call.service != service || call.token.as_deref() == Some("harbour") {
                return Fate::Pass;
            }
            seen.store(true, Ordering::SeqCst);
            Fate::Late(Duration::from_secs(60))
        })
    };
    let rule = silent(Service::Kubernetes);
    let running = Running::start(&world, "", &[])?;
    until(|| async { Ok(asked.load(Ordering::SeqCst)) }).await?;
    running.stop().await.context("at the start")?;
    gate.remove(rule);

    let mut running = Running::start(&world, "", &[])?;
    running.until_ready().await?;
    asked.store(false, Ordering::SeqCst);
    let rules = [silent(Service::Kubernetes), silent(Service::Github)];
    running
        .say("restore request tenant:poseidon1 namespaces:dev schedule:daily reason:silence")
        .await?;
    until(|| async { Ok(asked.load(Ordering::SeqCst)) }).await?;
    running.stop().await.context("at work")?;
    for rule in rules {
        gate.remove(rule);
    }
    world.end().await
}
