//! `harbour up`: parts of the harbour as servers, until they are stopped.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};
use harbour::gate::Gate;
use harbour::world::{self, ORDERS, Shape};
use harbour::{
    REFLOAT_GITHUB_TOKEN, REFLOAT_KUBERNETES_TOKEN, REFLOAT_LOGIN, argocd, client_of, discord,
    ensure_namespace, github, kubernetes, published_specs, velero, workloads,
};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The world in which Refloat is tested and shown.
#[derive(Debug, Parser)]
#[command(name = "harbour", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start parts of the harbour, print their addresses as JSON, and run until stopped.
    Up(Up),
}

#[derive(Debug, Args)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line"
)]
struct Up {
    /// GitHub's REST API over bare Git repositories, which can be cloned; they are in `git` below
    /// --state, and whatever is pushed into them there is seen at once.
    #[arg(long)]
    github: bool,
    /// A Kubernetes API server, with controllers for workloads and volumes.
    #[arg(long)]
    kubernetes: bool,
    /// Velero.
    #[arg(long)]
    velero: bool,
    /// Argo CD with the platform's tenant chart; it reads the orders from the Git repositories.
    #[arg(long)]
    argocd: bool,
    /// The controllers for workloads and volumes, for an API server that has none.
    #[arg(long)]
    workloads: bool,
    /// Discord: a gateway and the REST API, with one server.
    #[arg(long)]
    discord: bool,
    /// Two tenants with workloads and data; needs --argocd.
    #[arg(long, requires = "argocd")]
    seed: bool,
    /// With --kubernetes: where to write a kubeconfig. Without: the cluster that the others use.
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Where everything is kept from one start to the next; without it, nothing is.
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// The address to listen on.
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    address: IpAddr,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_env("HARBOUR_LOG")
                .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn")),
        )
        .with_writer(std::io::stderr)
        .init();
    let Command::Up(up) = Cli::parse().command;
    let stop = CancellationToken::new();
    let folder = match &up.state {
        Some(folder) => folder.clone(),
        None => std::env::temp_dir().join(format!("harbour-{}", std::process::id())),
    };
    std::fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let server = start(&up, &folder, &stop).await?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    stop.cancel();
    if let Some(server) = server {
        // What is kept is written at the end.
        server.stopped().await;
    }
    if up.state.is_none() {
        let _ = std::fs::remove_dir_all(&folder);
    }
    Ok(())
}

async fn start(
    up: &Up,
    folder: &Path,
    stop: &CancellationToken,
) -> anyhow::Result<Option<kubernetes::Server>> {
    let all = !(up.github || up.kubernetes || up.velero || up.argocd || up.workloads || up.discord);
    let addr = SocketAddr::new(up.address, 0);
    let gate = Gate::open();
    let mut told = serde_json::Map::new();
    let specs = published_specs();

    let mut server = None;
    let mut client = None;
    if up.kubernetes || all {
        let started = kubernetes::Server::start(kubernetes::Options {
            addr,
            accounts: std::collections::BTreeMap::new(),
            gate: gate.clone(),
            specs: specs.clone(),
            state: up.state.as_ref().map(|_| folder.join("kubernetes")),
            stop: stop.clone(),
            write_time: std::time::Duration::ZERO,
        })
        .await?;
        let kubeconfig = up
            .kubeconfig
            .clone()
            .unwrap_or_else(|| folder.join("kubeconfig"));
        std::fs::write(&kubeconfig, started.kubeconfig(REFLOAT_KUBERNETES_TOKEN))
            .with_context(|| format!("write {}", kubeconfig.display()))?;
        told.insert(
            "kubernetes".to_owned(),
            json!({ "url": started.url(), "kubeconfig": kubeconfig }),
        );
        client = Some(started.client("harbour"));
        server = Some(started);
    } else if up.velero || up.argocd || up.workloads {
        let kubeconfig = up
            .kubeconfig
            .as_ref()
            .context("without --kubernetes, name the cluster with --kubeconfig FILE")?;
        client = Some(client_of(kubeconfig).await?);
    }

    let git_root = folder.join("git");
    // What is kept from an earlier start is not seeded a second time.
    let mark = folder.join("seeded");
    let seeds = (up.seed || all) && !mark.exists();
    if up.github || all {
        if seeds {
            world::seed_git(&git_root, &Shape::full()).await?;
        }
        let started = github::Server::start(github::Options {
            addr,
            gate: gate.clone(),
            state: up.state.as_ref().map(|_| folder.join("github")),
            stop: stop.clone(),
            ..github::Options::new(&git_root)
        })
        .await?;
        started.create_repository(ORDERS.0, ORDERS.1).await?;
        started.add_bot(REFLOAT_LOGIN, REFLOAT_GITHUB_TOKEN)?;
        started
            .set_permission(ORDERS.0, ORDERS.1, REFLOAT_LOGIN, github::Permission::Write)
            .await?;
        told.insert(
            "github".to_owned(),
            json!({
                "api": started.api_url(),
                "repository": format!("{}/{}", ORDERS.0, ORDERS.1),
                "clone": started.clone_url(ORDERS.0, ORDERS.1),
                "token": REFLOAT_GITHUB_TOKEN,
                "git": git_root,
            }),
        );
    }

    if up.discord || all {
        let started = discord::Server::start(discord::Options {
            addr,
            gate: gate.clone(),
            stop: stop.clone(),
            specs: specs.clone(),
            ..discord::Options::default()
        })
        .await?;
        told.insert(
            "discord".to_owned(),
            json!({
                "api": started.api_url(),
                "token": discord::REFLOAT_DISCORD_TOKEN,
                "guild": discord::ids::GUILD.to_string(),
                "channel": discord::ids::CHANNEL.to_string(),
                "reviewersRole": discord::ids::REVIEWERS.to_string(),
                "people": {
                    "ada": discord::ids::ADA.to_string(),
                    "grace": discord::ids::GRACE.to_string(),
                    "linus": discord::ids::LINUS.to_string(),
                },
            }),
        );
    }

    let Some(client) = client else {
        println!("{}", serde_json::to_string(&told)?);
        return Ok(server);
    };
    kubernetes::install_crds(client.clone(), specs.as_deref()).await?;
    for name in [
        "openshift-adp",
        "openshift-gitops",
        "gitops-developers",
        "refloat",
    ] {
        ensure_namespace(&client, name).await?;
    }
    if up.kubernetes || up.workloads || all {
        let _running =
            workloads::start(client.clone(), workloads::Options::default(), stop.clone()).await;
        told.insert("workloads".to_owned(), json!({}));
    }
    if up.velero || all {
        let mut options = velero::Options::new(folder.join("velero"), stop.clone());
        options.addr = addr;
        options.gate = gate;
        let started = velero::start(client.clone(), options).await?;
        started.report_node_agent(Some(3)).await?;
        told.insert(
            "velero".to_owned(),
            json!({ "namespace": "openshift-adp", "storage": format!("http://{}", started.addr()) }),
        );
    }
    if up.argocd || all {
        let _running = argocd::start(
            client.clone(),
            argocd::Options::new(&git_root),
            stop.clone(),
        )
        .await?;
        if seeds {
            world::seed(client, &git_root, Shape::full(), Duration::from_secs(120)).await?;
            std::fs::write(&mark, "")?;
        }
        told.insert(
            "argocd".to_owned(),
            json!({ "namespace": "openshift-gitops" }),
        );
    }
    println!("{}", serde_json::to_string(&told)?);
    Ok(server)
}
