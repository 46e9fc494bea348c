//! What `refloat check` asks the cluster.

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::apimachinery::pkg::version::Info;
use kube::api::{Api, ListParams};
use kube::{CustomResourceExt, ResourceExt as _};

use super::Findings;
use crate::backups::Whose;
use crate::chat::publish::Threaded;
use crate::config::Config;
use crate::copy::CopyRequest;
use crate::effects::{Clients, argocd as applications, github, velero as restores};
use crate::request::RestoreRequest;
use crate::request::preflight::{count, list};
use crate::schedule::ScheduleRequest;
use crate::schedule_times::VeleroVersion;

/// The API server, and what Refloat keeps there.
pub(super) async fn kubernetes(findings: &mut Findings<'_>, config: &Config, clients: &Clients) {
    let asked = http::Request::get("/version").body(kube::client::Body::empty());
    let answer = match asked.map_err(kube::Error::HttpError) {
        Ok(request) => clients.kube.send(request).await,
        Err(error) => Err(error),
    };
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => {
            findings.wrong(format!("the API server cannot be asked: {error}"));
            return;
        }
    };
    if let Some(skew) = github::skew(answer.headers(), Timestamp::now()) {
        super::clock(findings, "the API server", skew);
    }
    match clients.kube.apiserver_version().await {
        Ok(Info { git_version, .. }) => findings.ok(format!("the API server is {git_version}")),
        Err(error) => findings.wrong(format!("the API server does not say what it is: {error}")),
    }
    requests::<RestoreRequest>(findings, config, clients).await;
    requests::<ScheduleRequest>(findings, config, clients).await;
    requests::<CopyRequest>(findings, config, clients).await;
}

async fn requests<K: Threaded + CustomResourceExt>(
    findings: &mut Findings<'_>,
    config: &Config,
    clients: &Clients,
) {
    let name = K::crd_name();
    let api: Api<K> = Api::namespaced(clients.kube.clone(), &config.namespace);
    match api.list_metadata(&ListParams::default()).await {
        Ok(known) => findings.ok(format!(
            "{name}: {} in {}",
            count(len(known.items.len()), "request"),
            config.namespace
        )),
        Err(kube::Error::Api(status)) if status.code == 404 => findings.wrong(format!(
            "{name} is not known: apply what `refloat crd` prints"
        )),
        Err(error) => findings.wrong(format!("{name} cannot be read: {error}")),
    }
}

/// Velero: whether it is there, its version, and whether its storage can be reached.
pub(super) async fn velero(findings: &mut Findings<'_>, config: &Config, clients: &Clients) {
    let namespace = &config.velero.namespace;
    let deployments: Api<Deployment> = Api::namespaced(clients.kube.clone(), namespace);
    let named = ListParams::default().fields("metadata.name=velero");
    match deployments.list(&named).await {
        Ok(found) => match found.items.iter().find(|it| it.name_any() == "velero") {
            Some(deployment) => server(findings, config, deployment),
            None => findings.warn(format!(
                "there is no Deployment velero in {namespace}, so that its version is not seen"
            )),
        },
        Err(error) => findings.wrong(format!("{namespace} cannot be read: {error}")),
    }
    match restores::locations(&clients.kube, namespace).await {
        Ok(locations) if locations.is_empty() => findings.wrong(format!(
            "velero.namespace: there is no storage location in {namespace}"
        )),
        Ok(locations) => {
            for location in locations {
                let name = &location.name;
                match location.phase.as_str() {
                    "Available" => findings.ok(format!("the storage location {name} is available")),
                    "" => findings.warn(format!("Velero has not looked at {name} yet")),
                    phase => findings.wrong(format!("the storage location {name} is {phase}")),
                }
            }
        }
        Err(error) => findings.wrong(format!("{error:#}")),
    }
    let agent = &config.velero.node_agent;
    match restores::node_agent(&clients.kube, namespace, agent).await {
        Ok(Some(agents)) if agents.ready >= agents.wanted => {
            findings.ok(format!("the node agent is ready on {} nodes", agents.ready));
        }
        Ok(Some(agents)) => findings.warn(format!(
            "the node agent is ready on {} of {} nodes: file-system backups of volumes elsewhere \
             cannot be restored",
            agents.ready, agents.wanted
        )),
        Ok(None) => findings.warn(format!(
            "there is no DaemonSet {agent} in {namespace}: volumes that were copied file by file \
             cannot be restored"
        )),
        Err(error) => findings.wrong(format!("{error:#}")),
    }
}

/// The version by the tag of the server's image, held against the configured one.
fn server(findings: &mut Findings<'_>, config: &Config, deployment: &Deployment) {
    let status = deployment.status.as_ref();
    let ready = status.and_then(|status| status.ready_replicas).unwrap_or(0);
    findings.judge(
        ready > 0,
        "Velero's server is up",
        "Velero's server is not ready: nothing can be backed up or restored",
    );
    let image = deployment
        .spec
        .as_ref()
        .and_then(|spec| spec.template.spec.as_ref())
        .and_then(|spec| spec.containers.first())
        .and_then(|container| container.image.as_deref());
    let tag = image
        .and_then(|image| image.rsplit_once(':'))
        .map(|it| it.1);
    let seen: Option<VeleroVersion> = tag.and_then(|tag| tag.trim_start_matches('v').parse().ok());
    match (seen, config.velero.version) {
        // Nobody has to follow every patch.
        (Some(seen), Some(set)) if (seen.major, seen.minor) != (set.major, set.minor) => findings
            .warn(format!(
                "velero.version is {set}, and the server's image is of {seen}"
            )),
        (Some(seen), Some(_)) => findings.ok(format!("Velero is {seen}, as configured")),
        (Some(seen), None) => findings.warn(format!(
            "Velero is {seen}; set velero.version, which decides what schedules may say"
        )),
        (None, _) => findings.warn(format!(
            "the version of Velero does not show in its image {}",
            image.unwrap_or("(none)")
        )),
    }
}

/// The Applications, and which of them an order reaches.
pub(super) async fn argocd(
    findings: &mut Findings<'_>,
    config: &Config,
    clients: &Clients,
    tenants: &[Whose],
) {
    let mut beyond = Vec::new();
    let mut reached = 0;
    for whose in tenants {
        let asked = applications::find(&clients.kube, &config.argocd, &whose.namespaces);
        let found = match asked.await {
            Ok(found) => found,
            Err(error) => {
                findings.wrong(format!("{error:#}"));
                return;
            }
        };
        let deploying = found.applications.iter().filter(|it| it.deploys);
        for application in deploying {
            if application.generated {
                reached += 1;
            } else if application.automated && application.self_heal {
                let place = application.manifest.as_ref().unwrap_or(&application.source);
                beyond.push(format!(
                    "{} of {}, in {place}",
                    application.key(),
                    whose.tenant
                ));
            }
        }
    }
    findings.ok(format!(
        "an order reaches {} of {}",
        count(reached, "Application"),
        count(len(tenants.len()), "tenant")
    ));
    if !beyond.is_empty() {
        findings.warn(format!(
            "these heal, and no order reaches them: a restore is refused until somebody turns \
             that off there: {}",
            list(&beyond)
        ));
    }
}

fn len(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}
