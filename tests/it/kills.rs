//! Killed anywhere, it goes on: one loop over every request that changes
//! something, and a death just before each and just after each.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use harbour::gate::{Call, Entry, Fate, Gate, RuleId, Service};
use harbour::{REFLOAT_GITHUB_TOKEN, REFLOAT_KUBERNETES_TOKEN, Setup};
use hyper::Method;
use serde_json::Value;
use tokio::sync::Notify;

use crate::refloat::{FAST, PATIENCE, Refloat, external, until};
use crate::world::World;

/// When, in the course of a request, Refloat dies.
#[derive(Clone, Copy, Debug)]
pub enum Death {
    Before,
    /// The request is carried out, and the answer is lost.
    After,
    /// It is told to stop while the request is under way, as by SIGTERM.
    Told,
}

/// How many writes pass between two deaths of one request.
const APART: usize = 4;

/// Writes at which Refloat has not died yet, each told by what it does and the how
/// manieth of its kind it is.
#[derive(Clone, Default)]
pub struct Targets(Arc<Mutex<HashSet<(String, usize)>>>);

/// Tells the writes of one request apart, whatever it happens to be called.
#[derive(Default)]
struct Writes {
    request: Option<String>,
    seen: HashMap<String, usize>,
}

impl Writes {
    /// What the request is called, if this creates it.
    fn learn(&mut self, call: &Call) {
        let kind = call.path().rsplit('/').next();
        if call.method != Method::POST
            || !matches!(kind, Some("restorerequests" | "schedulerequests"))
        {
            return;
        }
        let body: Value = serde_json::from_slice(&call.body).unwrap_or_default();
        if let Some(name) = body["metadata"]["name"].as_str() {
            self.request = Some(name.to_owned());
        }
    }

    fn next(&mut self, call: &Call) -> (String, usize) {
        self.learn(call);
        let body: Value = serde_json::from_slice(&call.body).unwrap_or_default();
        let mut path = call.path().to_owned();
        if let Some(name) = &self.request {
            path = path.replace(name, "REQUEST");
        }
        // Numbers of pull requests, parts of uids and hashes.
        let words = path.split_inclusive(|c: char| !c.is_ascii_alphanumeric());
        let plain: String = words
            .map(|word| {
                let numbered = word.contains(|c: char| c.is_ascii_digit());
                // Not the tenants, and not `v1/`.
                if numbered && !word.starts_with("poseidon") && word.len() != 3 {
                    "#/"
                } else {
                    word
                }
            })
            .collect();
        let conditions = body["status"]["conditions"].as_array();
        let phase = conditions.and_then(|conditions| {
            let progressing = conditions.iter().find(|one| one["type"] == "Progressing")?;
            progressing["reason"].as_str()
        });
        let what = format!("{} {plain} {}", call.method, phase.unwrap_or_default());
        let count = self.seen.entry(what.clone()).or_default();
        *count += 1;
        (what, *count)
    }
}

impl Targets {
    /// The writes of one request that nobody disturbed.
    pub fn of(journal: &[Entry]) -> Self {
        let mut writes = Writes::default();
        let calls = journal.iter().map(|entry| &entry.call);
        // The journal is in the order of the answers, of which that to the creation may
        // be a later one.
        for call in calls.clone() {
            writes.learn(call);
        }
        let all = calls
            .filter(|call| is_refloats(call) && call.writes())
            .map(|call| writes.next(call))
            .collect();
        Self(Arc::new(Mutex::new(all)))
    }

    pub fn len(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    fn take(&self, write: &(String, usize)) -> bool {
        let mut left = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        left.remove(write)
    }

    /// What Refloat never wrote a second time, for whoever reads the output.
    pub fn left(&self) -> Vec<String> {
        let left = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut left: Vec<String> = left.iter().map(|(what, n)| format!("{what} {n}")).collect();
        left.sort();
        left
    }
}

/// True if each death is to have a request of its own, which takes a request for each
/// write: `REFLOAT_KILLS=alone`.
pub fn alone() -> bool {
    std::env::var_os("REFLOAT_KILLS").is_some_and(|how| how == "alone")
}

/// Cuts Refloat off at its writes.
#[derive(Default)]
pub struct Executioner {
    /// How many writes were seen since the last birth of the request.
    writes: AtomicUsize,
    /// A dead process sends nothing.
    pub dead: AtomicBool,
    /// It was told to stop, and has not yet.
    pub told: AtomicBool,
    pub struck: AtomicUsize,
    pub strike: Notify,
}

impl Executioner {
    /// Waits at the gate for the `at`th write of Refloat; gives the rule to take away.
    pub fn wait_for(self: &Arc<Self>, gate: &Gate, at: usize, death: Death) -> RuleId {
        let executioner = Arc::clone(self);
        gate.add(move |call| {
            executioner.judge(call, death, |_| {
                executioner.writes.fetch_add(1, Ordering::SeqCst) == at
            })
        })
    }

    /// Waits at the gate for each write at which Refloat has not died yet.
    pub fn wait_for_each(self: &Arc<Self>, gate: &Gate, left: &Targets, death: Death) -> RuleId {
        let (executioner, left) = (Arc::clone(self), left.clone());
        let (mut writes, mut since) = (Writes::default(), APART);
        gate.add(move |call| {
            executioner.judge(call, death, |call| {
                let write = writes.next(call);
                since += 1;
                let strikes = since > APART && left.take(&write);
                if strikes {
                    since = 0;
                }
                strikes
            })
        })
    }

    fn judge(&self, call: &Call, death: Death, strikes: impl FnOnce(&Call) -> bool) -> Fate {
        if !is_refloats(call) {
            return Fate::Pass;
        }
        if self.dead.load(Ordering::SeqCst) {
            return Fate::CutBefore;
        }
        if !call.writes() || !strikes(call) {
            return Fate::Pass;
        }
        self.struck.fetch_add(1, Ordering::SeqCst);
        let (killed, fate) = match death {
            Death::Before => (&self.dead, Fate::CutBefore),
            Death::After => (&self.dead, Fate::CutAfter),
            Death::Told => (&self.told, Fate::Pass),
        };
        killed.store(true, Ordering::SeqCst);
        self.strike.notify_one();
        fate
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
    // One that nobody disturbs shows what there is to die at.
    let undisturbed = one_restore(&mut world, &config, &Arc::default()).await?;
    let left = Targets::of(&undisturbed);
    let (all, mut deaths, mut restores) = (left.len(), 0, 0);
    loop {
        let executioner = Arc::new(Executioner::default());
        let gate = &world.harbour.gate;
        let rule = if alone() {
            executioner.wait_for(gate, restores, death)
        } else {
            executioner.wait_for_each(gate, &left, death)
        };
        let before = left.left();
        one_restore(&mut world, &config, &executioner)
            .await
            .with_context(|| format!("killed {death:?} some of {before:#?}"))?;
        world.harbour.gate.remove(rule);
        let struck = executioner.struck.load(Ordering::SeqCst);
        if struck == 0 {
            break;
        }
        deaths += struck;
        restores += 1;
    }
    println!(
        "killed {death:?} {deaths} writes of {all} in {restores} restores; not written again: {:#?}",
        left.left()
    );
    // What only tells of progress comes as often as the machine is slow. Fewer would
    // mean that the loop did not see the restore at all.
    anyhow::ensure!(all > 30 && deaths * 10 >= all * 7, "only {deaths} of {all}");
    Ok(())
}

/// One restore from the request to its end, whatever deaths there are on the way.
async fn one_restore(
    world: &mut World,
    config: &str,
    executioner: &Arc<Executioner>,
) -> anyhow::Result<Vec<Entry>> {
    let before = world.harbour.platform.snapshot().await?;
    let order = world.order("poseidon1").await?;
    let known = world.request_names().await?;
    world.break_tenant("poseidon1-dev").await?;
    world.harbour.gate.take_journal();
    let mut cuts = world.harbour.gate.cuts();

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
            cuts = world.harbour.gate.cuts();
            refloat = Refloat::start(config)?;
            executioner.dead.store(false, Ordering::SeqCst);
        }
        if executioner.told.swap(false, Ordering::SeqCst) {
            refloat = stopped(refloat, config).await?;
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
        in_time(refloat.stop()).await?;
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
    Ok(journal)
}

/// It stops, and is started anew.
pub async fn stopped(refloat: Refloat, config: &str) -> anyhow::Result<Refloat> {
    in_time(refloat.stop()).await?;
    Refloat::start(config)
}

/// A stop takes less than five seconds, wherever it is.
async fn in_time(stop: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    let began = std::time::Instant::now();
    stop.await?;
    let took = began.elapsed();
    anyhow::ensure!(took < Duration::from_secs(5), "it took {took:?} to stop");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn told_to_stop_at_every_write() -> anyhow::Result<()> {
    killed_at_every_write(Death::Told).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_before_every_write() -> anyhow::Result<()> {
    killed_at_every_write(Death::Before).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_after_every_write() -> anyhow::Result<()> {
    killed_at_every_write(Death::After).await
}
