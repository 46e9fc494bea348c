//! The whole world in one value: servers started, tenants seeded, a week of
//! backups taken.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use jiff::{Timestamp, ToSpan as _};
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{ListParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client};
use tempfile::TempDir;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::gate::Gate;
use crate::velero::BackupSeed;
use crate::world::{ORDERS, Platform, Shape};
use crate::{argocd, github, kubernetes, velero, workloads, world};

/// The token that Refloat signs in to GitHub with.
pub const REFLOAT_GITHUB_TOKEN: &str = "harbour-refloat";
/// The token that Refloat signs in to Kubernetes with.
pub const REFLOAT_KUBERNETES_TOKEN: &str = "harbour-refloat-sa";
/// The account of Refloat on GitHub.
pub const REFLOAT_LOGIN: &str = "refloat[bot]";

/// What a harbour is to be like.
#[derive(Clone, Debug)]
pub struct Setup {
    pub shape: Shape,
    /// Days of backups that each schedule has behind it, one a day.
    pub days_of_backups: u8,
    /// A kubeconfig of an API server to use instead of the harbour's own.
    pub kubeconfig: Option<PathBuf>,
    /// Keeps the namespaces and tenants of several harbours on one API server
    /// apart; empty for the names that the documentation uses.
    pub suffix: String,
    /// The service account that Refloat signs in as, `namespace:name`, held to its
    /// roles; without one its token is an administrator's.
    pub account: Option<String>,
    /// A folder with the published definitions of Velero's and Argo CD's kinds.
    pub specs: Option<PathBuf>,
    /// How many reads of a pull request it takes until GitHub knows whether it can be
    /// merged.
    pub mergeable_delay_reads: u32,
    /// How long each step of Velero takes.
    pub velero_pace: Duration,
    /// How long the seeding may take.
    pub patience: Duration,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            shape: Shape::full(),
            days_of_backups: 7,
            kubeconfig: None,
            suffix: String::new(),
            account: None,
            specs: None,
            mergeable_delay_reads: 0,
            velero_pace: Duration::from_millis(15),
            patience: Duration::from_secs(60),
        }
    }
}

/// The namespaces that are not a tenant's.
#[derive(Clone, Debug)]
pub struct Namespaces {
    pub velero: String,
    pub platform: String,
    pub developers: String,
    pub refloat: String,
}

impl Namespaces {
    fn of(suffix: &str) -> Self {
        let named = |name: &str| {
            if suffix.is_empty() {
                name.to_owned()
            } else {
                format!("{name}-{suffix}")
            }
        };
        Self {
            velero: named("openshift-adp"),
            platform: named("openshift-gitops"),
            developers: named("gitops-developers"),
            refloat: named("refloat"),
        }
    }

    fn all(&self) -> [&str; 4] {
        [
            &self.velero,
            &self.platform,
            &self.developers,
            &self.refloat,
        ]
    }
}

/// A running world. It ends when it is dropped.
#[derive(Debug)]
pub struct Harbour {
    pub gate: Gate,
    /// The harbour's own API server, unless another one was named.
    pub kubernetes: Option<kubernetes::Server>,
    pub github: github::Server,
    pub argocd: argocd::ArgoCd,
    pub velero: velero::Velero,
    pub platform: Platform,
    pub namespaces: Namespaces,
    /// Who looks at the world and changes it: not Refloat.
    pub client: HarbourClient,
    kubeconfig: PathBuf,
    folder: TempDir,
    /// Ends the workload controllers, Argo CD and Velero.
    services: CancellationToken,
    _stop: DropGuard,
}

/// A client that can be shown.
#[derive(Clone)]
pub struct HarbourClient(pub Client);

impl std::fmt::Debug for HarbourClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Client")
    }
}

impl Harbour {
    /// Starts every part, seeds the tenants, and waits until all is well.
    pub async fn start(setup: Setup) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("harbour-").tempdir()?;
        let stop = CancellationToken::new();
        let guard = stop.clone().drop_guard();
        let gate = Gate::open();
        let namespaces = Namespaces::of(&setup.suffix);
        let mut shape = setup.shape.clone();
        shape.developers.clone_from(&namespaces.developers);
        shape.parent.push_str(&setup.suffix);
        for tenant in &mut shape.tenants {
            tenant.name.push_str(&setup.suffix);
            tenant.owner.push_str(&setup.suffix);
        }

        let account = setup.account.clone();
        let accounts = account.map(|account| (REFLOAT_KUBERNETES_TOKEN.to_owned(), account));
        let kubeconfig = folder.path().join("kubeconfig");
        let (server, client) = match &setup.kubeconfig {
            None => {
                let server = kubernetes::Server::start(kubernetes::Options {
                    gate: gate.clone(),
                    specs: setup.specs.clone(),
                    accounts: accounts.into_iter().collect(),
                    stop: stop.clone(),
                    ..kubernetes::Options::default()
                })
                .await?;
                let config = server.kubeconfig(REFLOAT_KUBERNETES_TOKEN);
                tokio::fs::write(&kubeconfig, config).await?;
                let client = server.client("harbour");
                (Some(server), client)
            }
            Some(path) => {
                tokio::fs::copy(path, &kubeconfig)
                    .await
                    .with_context(|| format!("copy {}", path.display()))?;
                (None, client_of(path).await?)
            }
        };
        kubernetes::install_crds(client.clone(), setup.specs.as_deref()).await?;
        for name in namespaces.all() {
            ensure_namespace(&client, name).await?;
        }

        let git_root = folder.path().join("git");
        let github = github::Server::start(github::Options {
            gate: gate.clone(),
            stop: stop.clone(),
            mergeable_delay_reads: setup.mergeable_delay_reads,
            ..github::Options::new(&git_root)
        })
        .await?;
        github.create_repository(ORDERS.0, ORDERS.1).await?;
        github.add_bot(REFLOAT_LOGIN, REFLOAT_GITHUB_TOKEN)?;
        github
            .set_permission(ORDERS.0, ORDERS.1, REFLOAT_LOGIN, github::Permission::Write)
            .await?;
        for login in ["ada-poseidon", "grace-platform", "linus-platform"] {
            github.add_user(login, &format!("token-{login}"))?;
            github
                .set_permission(ORDERS.0, ORDERS.1, login, github::Permission::Write)
                .await?;
        }

        let services = stop.child_token();
        let _controllers = workloads::start(
            client.clone(),
            workloads::Options::default(),
            services.clone(),
        )
        .await;
        let velero = velero::start(client.clone(), {
            let mut options = velero::Options::new(folder.path().join("velero"), services.clone());
            options.namespace.clone_from(&namespaces.velero);
            options.gate = gate.clone();
            options.pace = setup.velero_pace;
            options
        })
        .await?;
        velero.report_node_agent(Some(3)).await?;
        let argocd = argocd::start(
            client.clone(),
            argocd::Options {
                parent: shape.parent.clone(),
                platform_namespace: namespaces.platform.clone(),
                application_namespaces: vec![namespaces.developers.clone()],
                velero_namespace: namespaces.velero.clone(),
                ..argocd::Options::new(&git_root)
            },
            services.clone(),
        )
        .await?;
        let platform = world::seed(client.clone(), &git_root, shape, setup.patience).await?;

        let harbour = Self {
            gate,
            kubernetes: server,
            github,
            argocd,
            velero,
            platform,
            namespaces,
            client: HarbourClient(client),
            kubeconfig,
            folder,
            services,
            _stop: guard,
        };
        harbour.back_up(setup.days_of_backups).await?;
        Ok(harbour)
    }

    /// One backup a day from each tenant's daily schedule, the newest of last night.
    async fn back_up(&self, days: u8) -> anyhow::Result<()> {
        let night = Timestamp::now()
            .to_zoned(jiff::tz::TimeZone::UTC)
            .start_of_day()?
            .checked_add(1.hour())?;
        for tenant in &self.platform.shape.tenants {
            for ago in (1..=i32::from(days)).rev() {
                let started = night.checked_sub(ago.days())?.timestamp();
                self.velero
                    .seed_backup(BackupSeed::from_schedule(
                        &format!("{}-daily", tenant.name),
                        started,
                    ))
                    .await?;
            }
        }
        Ok(())
    }

    /// A kubeconfig for Refloat.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// A folder of this harbour for whatever a test keeps.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A configuration for Refloat in this harbour: ada may restore the first
    /// tenant and odd the second, grace and linus review. `more` is added to it.
    pub fn refloat_config(&self, more: &str) -> anyhow::Result<String> {
        let token = self.folder().join("github-token");
        std::fs::write(&token, REFLOAT_GITHUB_TOKEN)?;
        let tenant = |at: usize| {
            self.platform
                .shape
                .tenants
                .get(at)
                .map_or("none", |tenant| tenant.name.as_str())
        };
        Ok(format!(
            "\
namespace: {}
kubernetes: {{ kubeconfig: {} }}
github:
  api: {}
  repository: {}/{}
  tokenFile: {}
  writeGap: 0s
argocd: {{ platformNamespace: {}, namespaces: [{}, {}] }}
velero: {{ namespace: {} }}
chat: {{ kind: console, user: ada }}
people:
  - {{ name: ada, console: ada, github: ada-poseidon, tenants: [{}] }}
  - {{ name: odd, console: odd, tenants: [{}] }}
  - {{ name: grace, console: grace, github: grace-platform, reviewer: true }}
  - {{ name: linus, console: linus, github: linus-platform, reviewer: true, tenants: [{}] }}
{more}
",
            self.namespaces.refloat,
            self.kubeconfig.display(),
            self.github.api_url(),
            ORDERS.0,
            ORDERS.1,
            token.display(),
            self.namespaces.platform,
            self.namespaces.platform,
            self.namespaces.developers,
            self.namespaces.velero,
            tenant(0),
            tenant(1),
            tenant(0),
        ))
    }

    /// The pull requests on the orders.
    pub async fn pulls(&self) -> anyhow::Result<Vec<github::PullView>> {
        self.github.pulls(ORDERS.0, ORDERS.1).await
    }

    /// Ends the workload controllers, Argo CD and Velero: what is made from here on is only
    /// there.
    pub fn stop_services(&self) {
        self.services.cancel();
    }

    /// Takes everything of this harbour away again; for an API server that is
    /// shared with others.
    pub async fn clean_up(&self) -> anyhow::Result<()> {
        // Else they would make anew what is deleted here.
        self.stop_services();
        let mut names = self.platform.namespaces();
        names.extend(self.namespaces.all().map(ToOwned::to_owned));
        crate::sweep::namespaces(&self.client.0, &names).await
    }
}

/// A client from a kubeconfig file, that sends each request once.
pub async fn client_of(path: &Path) -> anyhow::Result<Client> {
    let kubeconfig = Kubeconfig::read_from(path)
        .with_context(|| format!("read the kubeconfig {}", path.display()))?;
    let mut config =
        kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    config.default_retry = false;
    Ok(Client::try_from(config)?)
}

/// Makes a namespace unless it is there.
pub async fn ensure_namespace(client: &Client, name: &str) -> anyhow::Result<()> {
    let api: Api<Namespace> = Api::all(client.clone());
    // Looked for first, since a real server counts a refused create as one.
    let fields = format!("metadata.name={name}");
    if !api
        .list(&ListParams::default().fields(&fields))
        .await?
        .items
        .is_empty()
    {
        return Ok(());
    }
    let mut namespace = Namespace::default();
    namespace.metadata.name = Some(name.to_owned());
    match api.create(&PostParams::default(), &namespace).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// The published definitions, if they are at hand: where `REFLOAT_SPECS` says,
/// else beside the repository.
pub fn published_specs() -> Option<PathBuf> {
    let folder = std::env::var_os("REFLOAT_SPECS").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/specs"),
        PathBuf::from,
    );
    folder.join("crds").is_dir().then_some(folder)
}
