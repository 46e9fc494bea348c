//! What Refloat takes: the resident memory of an idle `refloat run`, and the time
//! until it is ready, against the harbour.
//!
//! `cargo build --release && cargo run --release --example measure`
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

#[path = "it/world.rs"]
mod world;

#[path = "it/refloat.rs"]
mod refloat;

#[path = "clearing.rs"]
mod clearing;

use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use harbour::Setup;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::Command;

use crate::world::World;

/// As long as a pot of watches needs to have come to rest.
const SETTLING: Duration = Duration::from_secs(10);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        [] => idle().await,
        ["clearing"] => clearing::measure().await,
        // What `clearing` starts.
        ["clear", kubeconfig, namespace] => clearing::clear(kubeconfig, namespace).await,
        _ => anyhow::bail!("say nothing, or `clearing`"),
    }
}

async fn idle() -> anyhow::Result<()> {
    let here = std::env::current_exe()?;
    let binary = here
        .parent()
        .and_then(std::path::Path::parent)
        .map(|folder| folder.join("refloat"))
        .filter(|path| path.is_file())
        .context("build the binary first, with the same profile")?;
    let world = World::start(Setup::default()).await?;
    let config = world.harbour.folder().join("refloat.yaml");
    std::fs::write(&config, world.harbour.refloat_config("")?)?;
    let began = Instant::now();
    let mut child = Command::new(&binary)
        .args(["run", "--config"])
        .arg(&config)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut input = child.stdin.take().context("no input")?;
    let output = child.stdout.take().context("no output")?;
    input.write_all(b"help\n").await?;
    let first = BufReader::new(output).lines().next_line().await?;
    anyhow::ensure!(first.is_some(), "it ended at once");
    println!("first answer after {:.0?}", began.elapsed());
    tokio::time::sleep(SETTLING).await;
    let pid = child.id().context("it ended")?;
    println!("{}", memory(&pid.to_string())?);
    let size = std::fs::metadata(&binary)?.len();
    println!("binary: {} kB", size / 1000);
    Ok(())
}

/// The resident memory of a process, now and at most.
fn memory(pid: &str) -> anyhow::Result<String> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let lines: Vec<&str> = status
        .lines()
        .filter(|line| line.starts_with("VmRSS") || line.starts_with("VmHWM"))
        .collect();
    Ok(lines.join("\n"))
}
