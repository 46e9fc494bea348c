//! `refloat run` as a process of its own: when it is ready, and how it ends.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::{Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use harbour::Setup;
use harbour::gate::{Fate, Gate, RuleId, Service};
use harbour::world::Shape;
use hyper::Method;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, ListParams};
use kube::{Api, ResourceExt};
use refloat::request::Phase;
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, ChildStdin, Command};

use crate::refloat::{FAST, external, until};
use crate::replicas::{CHECKING, OF_A_COPY, OF_A_RESTORE, OF_A_SCHEDULE, phase_in};
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

/// A sort of request, and how one of it is asked for.
struct Sort {
    kind: &'static str,
    plural: &'static str,
    line: &'static str,
    phases: &'static [&'static str],
}

impl Sort {
    fn requests(&self, world: &World) -> Api<DynamicObject> {
        let gvk = GroupVersionKind::gvk("refloat.dev", "v1alpha1", self.kind);
        let resource = ApiResource::from_gvk_with_plural(&gvk, self.plural);
        let namespace = world.requests().namespace().unwrap_or_default().to_owned();
        Api::namespaced_with(world.harbour.client.0.clone(), &namespace, &resource)
    }

    /// The phase of the only request that there is, as its status says.
    async fn phase(&self, world: &World) -> anyhow::Result<String> {
        let listed = self.requests(world).list(&ListParams::default()).await?;
        let request = listed.items.first().context("there is no request")?;
        let conditions = request.data.pointer("/status/conditions");
        let progressing = conditions
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .find(|condition| condition["type"] == "Progressing");
        Ok(progressing
            .and_then(|condition| condition["reason"].as_str())
            .unwrap_or(CHECKING)
            .to_owned())
    }

    /// Holds up what reaches a phase, so that the signal is there before its end: the
    /// answer to the write, or, as long as it is checked, whatever is asked of GitHub.
    fn reaches(&self, gate: &Gate, phase: &'static str) -> (Arc<AtomicBool>, RuleId) {
        let reached = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&reached);
        let plural = self.plural;
        let mut is_made = false;
        let rule = gate.add(move |call| {
            is_made |= call.method == Method::POST && call.path().ends_with(plural);
            let writes = call.method == Method::PUT && call.path().contains(plural);
            let checks = phase == CHECKING && is_made && call.service == Service::Github;
            let late = if checks {
                // Longer than it may take to stop: the check cannot end before.
                Duration::from_secs(60)
            } else if writes && phase_in(call).as_deref() == Some(phase) {
                Duration::from_secs(1)
            } else {
                return Fate::Pass;
            };
            seen.store(true, Ordering::SeqCst);
            Fate::Late(late)
        });
        (reached, rule)
    }

    /// Asks for one, and tells Refloat to stop in the moment in which a phase is reached, in
    /// each phase: it ends in time, and the next one goes on from there. `says` is what
    /// people say before a phase can come.
    async fn stopped_in_each(
        &self,
        world: &World,
        says: impl AsyncFn(&str, &str) -> anyhow::Result<Option<String>>,
    ) -> anyhow::Result<String> {
        let mut name = String::new();
        for phase in self.phases {
            // Before it starts, since it goes on at once.
            let (seen, rule) = self.reaches(&world.harbour.gate, phase);
            let mut running = Running::start(world, "", &[])?;
            if name.is_empty() {
                running.say(&world.here(self.line)).await?;
                let requests = self.requests(world);
                until(|| async {
                    Ok(!requests
                        .list(&ListParams::default())
                        .await?
                        .items
                        .is_empty())
                })
                .await
                .context("nothing came of the line")?;
                let listed = requests.list(&ListParams::default()).await?;
                let made = listed.items.first().context("the request is gone")?;
                name = made.name_any();
            }
            if let Some(line) = says(phase, &name).await? {
                running.say(&line).await?;
            }
            until(|| async { Ok(seen.load(Ordering::SeqCst)) })
                .await
                .with_context(|| (*phase).to_owned())?;
            running.stop().await.with_context(|| (*phase).to_owned())?;
            world.harbour.gate.remove(rule);
            let now = self.phase(world).await?;
            anyhow::ensure!(now == *phase, "stopped in {phase}, it is {now}");
        }
        Ok(name)
    }
}

fn is_skipped() -> bool {
    let skipped = external().is_some();
    if skipped {
        println!("skipped: only the harbour's own API server tells which phase is written");
    }
    skipped
}

#[tokio::test(flavor = "multi_thread")]
async fn it_can_be_stopped_in_any_phase() -> anyhow::Result<()> {
    if is_skipped() {
        return Ok(());
    }
    let world = small().await?;
    let before = world.harbour.platform.snapshot().await?;
    let order = world.order("poseidon1").await?;
    let restore = Sort {
        kind: "RestoreRequest",
        plural: "restorerequests",
        line: "restore request tenant:poseidon1 namespaces:dev schedule:daily reason:stop",
        phases: OF_A_RESTORE,
    };
    let name = restore
        .stopped_in_each(&world, async |phase, name| {
            if phase != "Pausing" {
                return Ok(None);
            }
            world.until_asked(name).await?;
            Ok(Some(format!("as grace: approve {name}")))
        })
        .await?;
    let running = Running::start(&world, "", &[])?;
    world.until_phase(&name, Phase::Done).await?;
    world.check_restored(&name, &before, &order).await?;
    running.stop().await?;
    world.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn it_can_be_stopped_in_any_phase_of_a_schedule() -> anyhow::Result<()> {
    if is_skipped() {
        return Ok(());
    }
    let world = small().await?;
    let schedule = Sort {
        kind: "ScheduleRequest",
        plural: "schedulerequests",
        line: "schedule add tenant:poseidon1 name:nightly when:\"every day at 03:30\" keep:4w",
        phases: OF_A_SCHEDULE,
    };
    let name = schedule
        .stopped_in_each(&world, async |phase, name| {
            if phase != "Merging" {
                return Ok(None);
            }
            world.until_schedule_asked(name).await?;
            Ok(Some(format!("as grace: approve {name}")))
        })
        .await?;
    let running = Running::start(&world, "", &[])?;
    world.run_comes("poseidon1-nightly", "Completed").await?;
    world
        .until_schedule(&name, refloat::schedule::Phase::Done)
        .await?;
    running.stop().await?;
    let pulls = world.harbour.pulls().await?;
    assert_eq!(pulls.len(), 1);
    let ordered = world.ordered_schedules("poseidon1").await?;
    let nightly = ordered.iter().filter(|(name, ..)| name == "nightly");
    assert_eq!(nightly.count(), 1, "{ordered:?}");
    world.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn it_can_be_stopped_in_any_phase_of_a_copy() -> anyhow::Result<()> {
    if is_skipped() {
        return Ok(());
    }
    let world = small().await?;
    let before = world.harbour.platform.snapshot().await?;
    let order = world.order("poseidon1").await?;
    let copy = Sort {
        kind: "CopyRequest",
        plural: "copyrequests",
        line: "restore copy tenant:poseidon1 namespace:dev into:dev-copy schedule:daily",
        phases: OF_A_COPY,
    };
    let name = copy
        .stopped_in_each(&world, async |phase, name| {
            Ok((phase == "Removing").then(|| format!("restore withdraw {name}")))
        })
        .await?;
    let running = Running::start(&world, "", &[])?;
    world
        .until_copy(&name, refloat::copy::Phase::Withdrawn)
        .await?;
    running.stop().await?;
    let restores = world.velero_names("Restore", "restores").await?;
    assert_eq!(restores.len(), 1, "{restores:?}");
    world.check_untouched(&before, &order).await?;
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
