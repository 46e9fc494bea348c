//! `refloat run` as a process of its own: when it is ready, and how it ends.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use harbour::Setup;
use harbour::world::Shape;
use tokio::process::{Child, Command};

use crate::refloat::{FAST, external, until};
use crate::world::World;

struct Running {
    world: World,
    child: Child,
    address: SocketAddr,
}

impl Running {
    async fn start() -> anyhow::Result<Self> {
        let world = World::start(Setup {
            shape: Shape::small(),
            ..Setup::default()
        })
        .await?;
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let web = format!("{FAST}web: {{ listen: '{address}' }}\n");
        let file = world.harbour.folder().join("refloat.yaml");
        std::fs::write(&file, world.harbour.refloat_config(&web)?)?;
        let child = Command::new(env!("CARGO_BIN_EXE_refloat"))
            .args(["run", "--log", "json", "--config"])
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        Ok(Self {
            world,
            child,
            address,
        })
    }

    async fn is_ready(&self) -> bool {
        let asked = reqwest::get(format!("http://{}/readyz", self.address)).await;
        asked.is_ok_and(|answer| answer.status().is_success())
    }
}

/// Told to stop by the signal that Kubernetes sends, it ends well and soon, and every
/// line that it logged is JSON.
#[tokio::test(flavor = "multi_thread")]
async fn it_is_ready_soon_and_ends_when_it_is_told_to() -> anyhow::Result<()> {
    if external().is_some() {
        println!("skipped: what is measured is not somebody else's API server");
        return Ok(());
    }
    let began = Instant::now();
    let mut running = Running::start().await?;
    let started = Instant::now();
    until(|| async { Ok(running.is_ready().await) })
        .await
        .with_context(|| format!("{:?}", running.child.try_wait()))?;
    println!(
        "ready {:.0?} after its start (the harbour took {:.0?})",
        started.elapsed(),
        started - began
    );
    let id = running.child.id().context("it has ended")?;
    let told = Instant::now();
    let sent = Command::new("kill")
        .arg("-TERM")
        .arg(id.to_string())
        .status();
    anyhow::ensure!(sent.await?.success(), "the signal was not sent");
    let ended = tokio::time::timeout(Duration::from_secs(5), running.child.wait_with_output());
    let output = ended.await.context("it did not end within 5 s")??;
    println!("ended {:.0?} after SIGTERM", told.elapsed());
    let log = String::from_utf8(output.stderr)?;
    anyhow::ensure!(output.status.success(), "{}: {log}", output.status);
    for line in log.lines() {
        serde_json::from_str::<serde_json::Value>(line)
            .with_context(|| format!("not JSON: {line}"))?;
    }
    anyhow::ensure!(log.contains("stopping"), "{log}");
    running.world.end().await
}
