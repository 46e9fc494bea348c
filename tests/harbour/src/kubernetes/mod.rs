//! A Kubernetes API server: stateful, strict, in memory.
//!
//! It speaks the API over plain HTTP: discovery, every verb on the built-in
//! kinds and on custom ones, watches, patches, server-side apply, schemas. It
//! runs no controllers, except that it empties namespaces (and custom
//! resource definitions) that are being deleted. Every token is accepted; those of
//! service accounts are held to their roles and to admission policies.

mod admission;
mod apply;
mod cel;
mod crds;
mod custom;
mod delete;
mod discovery;
mod fields;
mod handlers;
mod intake;
mod kinds;
mod managed;
mod names;
mod patch;
mod persist;
mod pods;
mod policy;
mod quota;
mod rbac;
mod read;
mod request;
mod schema;
mod selector;
mod status;
mod store;
mod strategic;
#[cfg(test)]
mod tests;
mod time;
mod topology;
mod watch;
mod write;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::store::Store;
use crate::gate::{self, Gate, Service};

pub use self::crds::install_crds;
pub use self::rbac::Rights;

/// How a server is started.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where to listen; port 0 takes a free one.
    pub addr: SocketAddr,
    /// What every request passes.
    pub gate: Gate,
    /// A folder with `crds/velero/*.yaml` and `crds/argocd/*.yaml`, if the published definitions are at hand.
    pub specs: Option<PathBuf>,
    /// Where the objects are kept from one start to the next; without it they live in memory only.
    pub state: Option<PathBuf>,
    /// How long the storage takes for each object that it writes: etcd waits for its disk. Requests at the same
    /// time do not wait for one another; a collection is deleted one object after the other, as a server does that
    /// has the one worker of its defaults.
    pub write_time: Duration,
    /// Service accounts, `namespace:name`, by their tokens.
    pub accounts: BTreeMap<String, String>,
    /// Ends the server.
    pub stop: CancellationToken,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            addr: SocketAddr::from(([127, 0, 0, 1], 0)),
            gate: Gate::open(),
            specs: None,
            state: None,
            write_time: Duration::ZERO,
            accounts: BTreeMap::new(),
            stop: CancellationToken::new(),
        }
    }
}

/// A running API server; it runs until its token is cancelled, even if this is dropped.
#[derive(Clone, Debug)]
pub struct Server {
    addr: SocketAddr,
    store: Arc<Store>,
    specs: Option<PathBuf>,
    tasks: TaskTracker,
}

impl Server {
    /// Starts a server with the namespaces `default`, `kube-system` and `kube-public`.
    ///
    /// # Errors
    ///
    /// The address cannot be had, or the saved state cannot be read.
    pub async fn start(options: Options) -> anyhow::Result<Self> {
        let Options {
            addr,
            gate,
            specs,
            state,
            write_time,
            accounts,
            stop,
        } = options;
        let store = Arc::new(Store::new());
        if let Some(folder) = &state {
            persist::load(folder, &mut store.lock())?;
        }
        store.write(found_namespaces);
        let listener = TcpListener::bind(addr)
            .await
            .with_context(|| format!("listen on {addr}"))?;
        let router = handlers::router(Arc::clone(&store), write_time, Arc::new(accounts));
        let (addr, serving) =
            gate::serve(Service::Kubernetes, listener, router, gate, stop.clone())?;
        let tasks = TaskTracker::new();
        tasks.spawn(serving);
        if let Some(folder) = state {
            tasks.spawn(persist::run(folder, Arc::clone(&store), stop));
        }
        tasks.close();
        Ok(Self {
            addr,
            store,
            specs,
            tasks,
        })
    }

    /// The base address, such as `http://127.0.0.1:40123`.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// A kubeconfig (YAML) that reaches this server with `token`.
    pub fn kubeconfig(&self, token: &str) -> String {
        // JSON is YAML, and needs no care with quotes.
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "harbour", "cluster": {"server": self.url()}}],
            "users": [{"name": "harbour", "user": {"token": token}}],
            "contexts": [{"name": "harbour", "context": {"cluster": "harbour", "user": "harbour", "namespace": "default"}}],
            "current-context": "harbour",
        });
        serde_saphyr::to_string(&config).unwrap_or_else(|_| config.to_string())
    }

    /// A client that reaches this server with `token` and retries nothing by itself.
    pub fn client(&self, token: &str) -> kube::Client {
        client(self.addr, token)
    }

    /// Every object, by `group/version/kind/namespace/name` (the group and the namespace may be empty).
    pub fn dump(&self) -> BTreeMap<String, Value> {
        let world = self.store.lock();
        world
            .all()
            .flat_map(|(_, collection)| collection.objects.iter())
            .map(|(key, object)| {
                let api_version = object.value["apiVersion"].as_str().unwrap_or_default();
                let slash = if api_version.contains('/') { "" } else { "/" };
                let kind = object.value["kind"].as_str().unwrap_or_default();
                let path = format!("{slash}{api_version}/{kind}/{}/{}", key.ns, key.name);
                (path, object.value.clone())
            })
            .collect()
    }

    /// What service accounts were let do and what not, since the start.
    pub fn rights(&self) -> Rights {
        self.store.lock().rights.clone()
    }

    /// Forgets the history of changes: watches end, and going on from a version
    /// or with a paged list that was given out before is answered 410 Gone.
    pub fn forget_history(&self) {
        self.store.write(store::World::forget);
    }

    /// Installs the definitions of Velero's and Argo CD's kinds, as
    /// [`install_crds`] does, but from within: the gate sees nothing of it.
    ///
    /// # Errors
    ///
    /// A definition cannot be read or makes no sense.
    pub async fn install_crds(&self) -> anyhow::Result<()> {
        let (store, specs) = (Arc::clone(&self.store), self.specs.clone());
        tokio::task::spawn_blocking(move || {
            let made = crds::made(specs.as_deref())?;
            store.write(|world| crds::put(world, &made))
        })
        .await?
    }

    /// Waits until the server has ended and, if it keeps state, has saved it.
    pub async fn stopped(&self) {
        self.tasks.wait().await;
    }
}

fn client(addr: SocketAddr, token: &str) -> kube::Client {
    let mut uri = axum::http::uri::Parts::default();
    uri.scheme = Some(axum::http::uri::Scheme::HTTP);
    uri.authority = addr.to_string().parse().ok();
    uri.path_and_query = Some(axum::http::uri::PathAndQuery::from_static("/"));
    let mut config = kube::Config::new(uri.try_into().unwrap_or_default());
    config.auth_info.token = Some(token.to_owned().into());
    config.default_retry = false;
    config.connect_timeout = Some(Duration::from_secs(5));
    config.write_timeout = Some(Duration::from_secs(30));
    kube::Client::try_from(config)
        .expect("a client for plain HTTP needs nothing that may be missing")
}

fn system() -> write::Write {
    write::Write {
        manager: "kube-apiserver".to_owned(),
        ..write::Write::default()
    }
}

fn found_namespaces(world: &mut store::World) {
    let Some(kind) = kinds::known("", "Namespace") else {
        return;
    };
    for name in ["default", "kube-system", "kube-public"] {
        if world.namespace(name).is_none() {
            let body = json!({"metadata": {"name": name}});
            if let Err(failure) = write::create(world, kind, None, body, &mut system()) {
                tracing::error!(name, status = %failure.status(), "namespace not made");
            }
        }
    }
}
