//! What Refloat takes: the resident memory of an idle `refloat run`, and the time
//! until it is ready, against the harbour.
//!
//! `cargo build --release && cargo run --release --example measure`
//!
//! With `-- backups`, what 10,000 Backups and 500 Schedules take, and with `-- objects` what
//! it takes idle, with 1,000 and with 10,000 watched objects of all kinds; both must keep
//! within bounds.
//!
//! With `-- requests`, how often GitHub is asked while 200 requests wait for their approval.
//!
//! And what clearing takes: the same objects deleted as Refloat does it, by one
//! `deletecollection` for each kind, and one by one at 5 requests a second. Refloat's
//! part runs in a process of its own, so that its memory is its own.
//! `REFLOAT_TEST_KUBECONFIG` names another API server than the harbour's.
//!
//! `cargo run --release --example measure -- clearing`

#![allow(
    unreachable_pub,
    dead_code,
    missing_debug_implementations,
    reason = "a part of what the tests are made of is used"
)]

#[path = "it/install.rs"]
mod install;

#[path = "it/world.rs"]
mod world;

#[path = "it/refloat.rs"]
mod refloat;

use std::path::PathBuf;
#[path = "clearing.rs"]
mod clearing;

use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use harbour::Setup;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::world::World;

/// As long as a pot of watches needs to have come to rest.
const SETTLING: Duration = Duration::from_secs(10);

#[path = "measure/backups.rs"]
mod backups;

#[path = "measure/objects.rs"]
mod objects;

#[path = "measure/requests.rs"]
mod requests;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        [] => idle().await,
        ["backups"] => backups::measure().await,
        ["objects"] => objects::measure().await,
        ["requests"] => requests::measure().await,
        ["clearing"] => clearing::measure().await,
        // What `clearing` starts.
        ["clear", kubeconfig, namespace] => clearing::clear(kubeconfig, namespace).await,
        _ => anyhow::bail!("say nothing, `backups`, `objects`, `requests` or `clearing`"),
    }
}

/// What `refloat run` takes when nothing happens.
async fn idle() -> anyhow::Result<()> {
    let world = World::start(Setup::default()).await?;
    let mut running = Running::start(&world, "")?;
    let took = running.ask("help", "").await?;
    println!("first answer after {took:.0?}");
    tokio::time::sleep(SETTLING).await;
    let (resident, peak) = running.memory()?;
    println!("VmRSS: {resident} kB");
    println!("VmHWM: {peak} kB");
    let size = std::fs::metadata(binary()?)?.len();
    println!("binary: {} kB", size / 1000);
    Ok(())
}

/// The binary of the same profile.
fn binary() -> anyhow::Result<PathBuf> {
    let here = std::env::current_exe()?;
    here.parent()
        .and_then(std::path::Path::parent)
        .map(|folder| folder.join("refloat"))
        .filter(|path| path.is_file())
        .context("build the binary first, with the same profile")
}

/// `refloat run` as a process of its own, with the console as its chat.
struct Running {
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Running {
    fn start(world: &World, more: &str) -> anyhow::Result<Self> {
        let config = world.harbour.folder().join("refloat.yaml");
        std::fs::write(&config, world.harbour.refloat_config(more)?)?;
        let mut child = Command::new(binary()?)
            .args(["run", "--config"])
            .arg(&config)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let input = child.stdin.take().context("no input")?;
        let output = child.stdout.take().context("no output")?;
        Ok(Self {
            child,
            input,
            output: BufReader::new(output).lines(),
        })
    }

    /// Says a line; how long it takes until a line with these words is shown.
    async fn ask(&mut self, line: &str, words: &str) -> anyhow::Result<Duration> {
        let began = Instant::now();
        self.input.write_all(format!("{line}\n").as_bytes()).await?;
        loop {
            let shown = self.output.next_line().await?.context("it ended")?;
            if shown.contains(words) {
                return Ok(began.elapsed());
            }
        }
    }

    /// Resident memory now and at most, in kB.
    fn memory(&self) -> anyhow::Result<(u64, u64)> {
        let pid = self.child.id().context("it ended")?;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let of = |key: &str| -> anyhow::Result<u64> {
            status
                .lines()
                .find_map(|line| line.strip_prefix(key))
                .and_then(|rest| rest.split_whitespace().next()?.parse().ok())
                .with_context(|| format!("no {key}"))
        };
        Ok((of("VmRSS:")?, of("VmHWM:")?))
    }
}

/// The resident memory of a process at most, in kB.
fn peak(pid: &str) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|rest| rest.split_whitespace().next()?.parse().ok())
        .context("no VmHWM")
}
