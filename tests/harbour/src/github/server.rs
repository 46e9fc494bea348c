//! Starting the server.

use std::collections::{BTreeMap, HashMap};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, RwLock};

use axum::Router;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::gate::{Gate, Service, serve};

use super::hub::{Hub, read};
use super::routes::answer;
use super::state::Accounts;

/// How to run the server.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where to listen; port 0 picks a free one.
    pub addr: SocketAddr,
    /// The folder of the bare repositories `<owner>/<repo>.git`.
    pub git_root: PathBuf,
    /// What stands before the server.
    pub gate: Gate,
    /// The folder in which accounts and pull requests are kept; `None`: in memory alone.
    pub state: Option<PathBuf>,
    /// Ends the server.
    pub stop: CancellationToken,
    /// How many reads of a pull request, after each change of its commits, say
    /// that its mergeability is still being computed.
    pub mergeable_delay_reads: u32,
    /// Requests an hour and token.
    pub rate_limit: u64,
    /// Writing requests a minute and token; more are refused with 403 and `Retry-After`.
    pub write_burst: Option<usize>,
}

impl Options {
    /// On a free port of 127.0.0.1, with an open gate, nothing kept, and no
    /// limits but the hourly one.
    pub fn new(git_root: impl Into<PathBuf>) -> Self {
        Self {
            addr: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            git_root: git_root.into(),
            gate: Gate::open(),
            state: None,
            stop: CancellationToken::new(),
            mergeable_delay_reads: 0,
            rate_limit: 5000,
            write_burst: None,
        }
    }
}

/// A running server; clones are the same one.
#[derive(Clone, Debug)]
pub struct Server {
    pub(super) hub: Arc<Hub>,
    addr: SocketAddr,
}

impl Server {
    /// Starts serving; opens the repositories that the kept state knows.
    /// Errors if the address is taken, Git is missing, or the kept state is damaged.
    pub async fn start(options: Options) -> anyhow::Result<Self> {
        let Options {
            addr,
            git_root,
            gate,
            state,
            stop,
            mergeable_delay_reads,
            rate_limit,
            write_burst,
        } = options;
        let listener = TcpListener::bind(addr).await?;
        let addr = listener.local_addr()?;
        let accounts: Accounts = match &state {
            Some(store) => read(&store.join("accounts.json"))?.unwrap_or_default(),
            None => Accounts::default(),
        };
        let known = accounts.repositories.clone();
        let hub = Arc::new(Hub {
            api: format!("http://{addr}/api/v3"),
            html: format!("http://{addr}"),
            git_root,
            store: state,
            delay_reads: mergeable_delay_reads,
            rate_limit,
            write_burst,
            accounts: RwLock::new(accounts),
            repos: RwLock::new(BTreeMap::new()),
            meters: Mutex::new(HashMap::new()),
            hooks: Mutex::new(None),
            apps: Mutex::default(),
        });
        for (owner, name) in known {
            hub.open(&owner, &name).await?;
        }
        let router = Router::new().fallback(answer).with_state(hub.clone());
        let (addr, task) = serve(Service::Github, listener, router, gate, stop)?;
        tokio::spawn(task);
        Ok(Self { hub, addr })
    }

    /// The base address for clients, `http://<address>/api/v3`.
    pub fn api_url(&self) -> String {
        self.hub.api.clone()
    }

    /// Where a repository below the Git root can be cloned from:
    /// `http://<address>/<owner>/<repo>.git`.
    pub fn clone_url(&self, owner: &str, repo: &str) -> String {
        format!("{}/{owner}/{repo}.git", self.hub.html)
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The bare repository on disk.
    pub fn git_dir(&self, owner: &str, repo: &str) -> PathBuf {
        self.hub.git_root.join(owner).join(format!("{repo}.git"))
    }
}
