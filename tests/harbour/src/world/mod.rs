//! A seeded platform: tenants with orders, repositories, running workloads and
//! data that can be told from other data.

mod history;
mod manifests;
mod picture;
mod shape;
#[cfg(test)]
pub(crate) mod stage;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::api::{DeleteParams, ListParams, PostParams};
use kube::core::DynamicObject;
use kube::{Api, Client, ResourceExt};
use serde_json::json;

use crate::argocd::application_resource;
use crate::argocd::git::Repository;
use crate::workloads::{read_volume, write_volume};

pub use history::{backup_week, data_of_day};
pub use picture::Picture;
pub use shape::{Environment, Folder, Shape, Tenant};

/// Owner and name of the repository of orders.
pub const ORDERS: (&str, &str) = ("platform", "infra-ocp4-tenants");
/// The name of each tenant's repository.
pub const DEPLOYMENTS: &str = "deployments";
/// A ConfigMap that the workloads of each namespace have written themselves:
/// it is in no repository, only in backups.
pub const RUNTIME_SETTINGS: &str = "runtime-settings";
/// What [`Platform::break_tenant`] leaves behind in a namespace.
pub const LEFT_OVER: &str = "migration-left-over";

/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(10);

/// A seeded platform.
#[derive(Clone)]
pub struct Platform {
    pub client: Client,
    pub git_root: PathBuf,
    pub shape: Shape,
}

impl std::fmt::Debug for Platform {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (root, shape) = (&self.git_root, &self.shape);
        f.debug_struct("Platform")
            .field("git_root", root)
            .field("shape", shape)
            .finish_non_exhaustive()
    }
}

/// Fills the repositories below `git_root`, creating them where they are missing.
pub async fn seed_git(git_root: &Path, shape: &Shape) -> anyhow::Result<()> {
    let (owner, name) = ORDERS;
    let orders = Repository::named(git_root, owner, name);
    orders.create().await?;
    let mut ordered = vec![(
        "README.md".to_owned(),
        Some("# Tenants\n\nOne file for each tenant, by wave.\n".to_owned()),
    )];
    for tenant in &shape.tenants {
        let repository = Repository::named(git_root, &tenant.owner, DEPLOYMENTS);
        repository.create().await?;
        let mut files = Vec::new();
        for environment in &tenant.environments {
            for (path, text) in manifests::files(tenant, environment, &shape.developers) {
                files.push((path, Some(text)));
            }
        }
        let message = format!("Deploy {}", tenant.name);
        repository.commit(&message, &files).await?;
        ordered.push((tenant.order_path(), Some(manifests::order(tenant))));
    }
    orders.commit("Order the tenants", &ordered).await?;
    Ok(())
}

/// Seeds a platform: fills the repositories, waits until the workload
/// controllers and Argo CD, which must be running, have made everything of
/// them, and writes data into each volume. Fails if that takes longer than
/// `patience`.
pub async fn seed(
    client: Client,
    git_root: &Path,
    shape: Shape,
    patience: Duration,
) -> anyhow::Result<Platform> {
    seed_git(git_root, &shape).await?;
    let platform = Platform {
        client,
        git_root: git_root.to_owned(),
        shape,
    };
    platform.until_settled(patience).await?;
    history::fill(&platform, good_data).await?;
    for namespace in platform.namespaces() {
        let configs: Api<ConfigMap> = Api::namespaced(platform.client.clone(), &namespace);
        let settings = serde_json::from_value(json!({
            "metadata": {"name": RUNTIME_SETTINGS},
            "data": {"language": "nb"},
        }))?;
        configs.create(&PostParams::default(), &settings).await?;
    }
    Ok(platform)
}

/// What the seeded volume of a claim holds.
pub fn good_data(namespace: &str, claim: &str) -> String {
    format!("ledger 2026-11-24\nowner {namespace}/{claim}\nbalance 1000\n")
}

impl Platform {
    /// The tenants' namespaces with their environments.
    pub fn environments(&self) -> impl Iterator<Item = (String, &Environment)> {
        self.shape.tenants.iter().flat_map(Tenant::namespaces)
    }

    /// The tenants' namespaces.
    pub fn namespaces(&self) -> Vec<String> {
        self.environments().map(|(name, _)| name).collect()
    }

    /// Waits until every expected Application is Synced and Healthy, and every
    /// expected Pod is ready.
    pub async fn until_settled(&self, patience: Duration) -> anyhow::Result<()> {
        let deadline = Instant::now() + patience;
        loop {
            let missing = self.unsettled().await;
            match missing {
                Ok(None) => return Ok(()),
                Ok(Some(missing)) if Instant::now() >= deadline => {
                    bail!("the platform does not settle: {missing}");
                }
                Err(error) if Instant::now() >= deadline => return Err(error),
                Ok(Some(_)) | Err(_) => tokio::time::sleep(LOOK).await,
            }
        }
    }

    /// What is still missing, if anything.
    async fn unsettled(&self) -> anyhow::Result<Option<String>> {
        let api: Api<DynamicObject> = Api::all_with(self.client.clone(), &application_resource());
        let everything = ListParams::default();
        let applications: BTreeMap<String, DynamicObject> = api
            .list(&everything)
            .await?
            .into_iter()
            .map(|app| (app.name_any(), app))
            .collect();
        for expected in self.applications() {
            let Some(app) = applications.get(&expected) else {
                return Ok(Some(format!("Application {expected} is missing")));
            };
            let status = &app.data["status"];
            let (sync, health) = (&status["sync"]["status"], &status["health"]["status"]);
            if sync != "Synced" || health != "Healthy" || app.data["operation"].is_object() {
                let why = &status["conditions"];
                let said = &status["operationState"]["message"];
                let resources = status["resources"].as_array().into_iter().flatten();
                let late: Vec<String> = resources
                    .filter(|it| it["status"] != "Synced")
                    .map(ToString::to_string)
                    .collect();
                let late = late.join(", ");
                return Ok(Some(format!(
                    "{expected} is {sync}, {health}: {why} {said} {late}"
                )));
            }
        }
        let pods: Api<Pod> = Api::all(self.client.clone());
        let pods = pods.list(&everything).await?;
        for (namespace, environment) in self.environments() {
            let wanted: usize = environment.folders.iter().map(|folder| folder.pods()).sum();
            let ready = pods
                .iter()
                .filter(|pod| pod.namespace().as_deref() == Some(&namespace) && is_ready(pod));
            let ready = ready.count();
            if ready != wanted {
                return Ok(Some(format!(
                    "{ready} of {wanted} Pods ready in {namespace}"
                )));
            }
        }
        Ok(None)
    }

    /// The names of all Applications that the shape asks for.
    pub fn applications(&self) -> Vec<String> {
        let mut names = vec![self.shape.parent.clone()];
        for tenant in &self.shape.tenants {
            names.push(format!("{}-tenant", tenant.name));
            for (namespace, environment) in tenant.namespaces() {
                for folder in &environment.folders {
                    names.push(format!("{namespace}-apps-{}", folder.name()));
                    if *folder == Folder::OwnApplication {
                        names.push(format!("{namespace}-reports"));
                    }
                }
            }
        }
        names
    }

    /// The text of the order of a tenant on `main`.
    pub async fn order(&self, tenant: &str) -> anyhow::Result<String> {
        let path = self.tenant(tenant)?.order_path();
        let orders = self.orders();
        let head = orders.resolve("HEAD").context("no orders")?;
        let mut files = orders.files(&head, &path).await?;
        files.remove(&path).context("the tenant has no order")
    }

    /// Commits a tenant's order to `main`, past any pull request; returns the commit.
    pub async fn commit_order(
        &self,
        tenant: &str,
        text: &str,
        message: &str,
    ) -> anyhow::Result<String> {
        let path = self.tenant(tenant)?.order_path();
        let change = [(path, Some(text.to_owned()))];
        self.orders().commit(message, &change).await
    }

    /// Commits to a tenant's repository what becomes of each path: its new
    /// text, or `None` for its removal; returns the commit.
    pub async fn commit_manifests(
        &self,
        tenant: &str,
        message: &str,
        changes: &[(String, Option<String>)],
    ) -> anyhow::Result<String> {
        let owner = &self.tenant(tenant)?.owner;
        let repository = Repository::named(&self.git_root, owner, DEPLOYMENTS);
        repository.commit(message, changes).await
    }

    fn orders(&self) -> Repository {
        Repository::named(&self.git_root, ORDERS.0, ORDERS.1)
    }

    fn tenant(&self, name: &str) -> anyhow::Result<&Tenant> {
        let mut tenants = self.shape.tenants.iter();
        let tenant = tenants.find(|tenant| tenant.name == name);
        tenant.with_context(|| format!("no tenant {name}"))
    }

    /// Does to a namespace what a bad migration does: the volumes hold
    /// nonsense, the settings that the workloads wrote are gone, and something
    /// is left over. Nothing of this is in Git, so self-heal does not mend it.
    pub async fn break_tenant(&self, namespace: &str) -> anyhow::Result<()> {
        let mut environments = self.environments();
        let (_, environment) = environments
            .find(|(name, _)| name == namespace)
            .with_context(|| format!("no namespace {namespace}"))?;
        for claim in environment
            .folders
            .iter()
            .filter_map(|folder| folder.claim())
        {
            write_volume(&self.client, namespace, claim, "corrupted\n").await?;
        }
        let configs: Api<ConfigMap> = Api::namespaced(self.client.clone(), namespace);
        configs
            .delete(RUNTIME_SETTINGS, &DeleteParams::default())
            .await?;
        let left_over = serde_json::from_value(json!({
            "metadata": {"name": LEFT_OVER},
            "data": {"step": "3 of 7"},
        }))?;
        configs.create(&PostParams::default(), &left_over).await?;
        Ok(())
    }

    /// A picture of all tenants' namespaces.
    pub async fn snapshot(&self) -> anyhow::Result<Picture> {
        Picture::take(&self.client, &self.namespaces()).await
    }

    /// What the volume of a claim holds.
    pub async fn volume(&self, namespace: &str, claim: &str) -> anyhow::Result<Option<String>> {
        read_volume(&self.client, namespace, claim).await
    }
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|it| it.conditions.as_ref());
    conditions
        .into_iter()
        .flatten()
        .any(|condition| condition.type_ == "Ready" && condition.status == "True")
}
