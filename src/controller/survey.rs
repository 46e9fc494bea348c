//! Looking at everything that the checks look at.

use jiff::Timestamp;
use kube::api::ListParams;
use kube::{Api, ResourceExt as _};

use super::uid;
use crate::config::Config;
use crate::effects::github::Found;
use crate::effects::{self, Clients, argocd, cluster, velero};
use crate::request::inventory::table;
use crate::request::people::People;
use crate::request::preflight::{self, Other, Preview, Survey, Terms, wanted};
use crate::request::{RestoreRequest, RestoreRequestSpec, short_uid};

/// What a request would do, if it were made now. Touches nothing but for asking
/// Velero for the lists of the backup.
pub async fn preview(
    config: &Config,
    clients: &Clients,
    spec: RestoreRequestSpec,
) -> anyhow::Result<Preview> {
    let mut request = RestoreRequest::new("preview", spec.clone());
    let now = Timestamp::now();
    // Its own name for what is asked of Velero, the same for the same question.
    let asked = format!("{}/{}", spec.tenant, spec.namespaces.join("/"));
    request.metadata.uid = Some(format!("preview-{}", short_uid(&asked)));
    request.metadata.creation_timestamp =
        Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(now));
    let survey = survey(config, clients, &request, &spec, &config.policy.people).await?;
    let uid = uid(&request);
    let checked = preflight::check(&spec, &survey, &terms(config, &request, &uid), now);
    let table = survey
        .holdings
        .as_ref()
        .map(|holdings| table(&survey.objects, &survey.ownership, holdings))
        .unwrap_or_default();
    Ok(Preview { checked, table })
}

/// Velero's log of the last Restore of a request.
pub async fn restore_log(
    config: &Config,
    clients: &Clients,
    request: &RestoreRequest,
) -> anyhow::Result<String> {
    let uid = uid(request);
    let order = order(config, request, &uid);
    let status = super::status(request);
    let name = status
        .restore
        .as_ref()
        .or(status.earlier_restores.last())
        .map(|run| run.name.clone())
        .unwrap_or_default();
    velero::files::text(
        &clients.kube,
        &order,
        velero::files::File::RestoreLog,
        &name,
    )
    .await
}

fn terms<'a>(config: &'a Config, request: &RestoreRequest, uid: &'a str) -> Terms<'a> {
    Terms {
        uid,
        created: created(request),
        own_namespace: &config.policy.own_namespace,
        time_zone: &config.policy.time_zone,
        backup_must_outlive: config.policy.backup_must_outlive,
    }
}

/// What Velero's objects of a request are made from.
pub(super) fn order<'a>(
    config: &'a Config,
    request: &'a RestoreRequest,
    uid: &'a str,
) -> velero::Order<'a> {
    velero::Order {
        namespace: &config.velero.namespace,
        request: request.metadata.name.as_deref().unwrap_or_default(),
        uid,
        namespaces: &request.spec.namespaces,
    }
}

/// Everything that the checks look at.
pub(super) async fn survey(
    config: &Config,
    clients: &Clients,
    request: &RestoreRequest,
    spec: &RestoreRequestSpec,
    people: &People,
) -> anyhow::Result<Survey> {
    let permitted = people.tenants_of(&spec.requester);
    if !permitted.contains(&spec.tenant) {
        // Nothing is looked up for somebody who may not know of it; the names
        // of the tenants are needed to say which of the permitted ones exist.
        return Ok(Survey {
            tenants: clients.github.orders(&spec.tenant).await?.tenants,
            permitted,
            ..Survey::default()
        });
    }
    let client = &clients.kube;
    let velero_namespace = &config.velero.namespace;
    let orders = clients.github.orders(&spec.tenant).await?;
    let (order, order_fault) = match orders.found {
        Found::Nothing => (None, None),
        Found::Faulty(why) => (None, Some(why)),
        Found::Order(view) => (Some(view), None),
    };
    let mut survey = Survey {
        permitted,
        tenants: orders.tenants,
        order,
        order_fault,
        backups: velero::backups(client, velero_namespace).await?,
        locations: velero::locations(client, velero_namespace).await?,
        namespaces: cluster::namespaces(client, &spec.namespaces).await?,
        others: others(config, clients, request).await?,
        ..Survey::default()
    };
    let ours = survey.order.as_ref().is_some_and(|order| {
        spec.namespaces
            .iter()
            .all(|namespace| order.namespaces.contains(namespace))
    });
    // Only what belongs to the tenant is looked into.
    if ours && survey.namespaces.len() == spec.namespaces.len() {
        let found = argocd::find(client, &config.argocd, &spec.namespaces).await?;
        let contents = cluster::contents(client, &spec.namespaces).await?;
        survey.applications = found.applications;
        survey.ownership = found.ownership;
        survey.objects = contents.objects;
        survey.undiscovered = contents.undiscovered;
    }
    look_into_backup(config, clients, request, spec, &mut survey).await?;
    Ok(survey)
}

/// What the backup holds that the request means, and whether Velero can bring it back.
async fn look_into_backup(
    config: &Config,
    clients: &Clients,
    request: &RestoreRequest,
    spec: &RestoreRequestSpec,
    survey: &mut Survey,
) -> anyhow::Result<()> {
    let uid = uid(request);
    let terms = terms(config, request, &uid);
    let Some(backup) = wanted(spec, survey, &terms, Timestamp::now()).cloned() else {
        return Ok(());
    };
    let client = &clients.kube;
    let velero = &config.velero;
    let order = order(config, request, &uid);
    let (holdings, ahead, agent, quotas) = futures::join!(
        velero::contents::holdings(client, &order, &backup),
        velero::restores_under_way(client, &velero.namespace),
        velero::node_agent(client, &velero.namespace, &velero.node_agent),
        cluster::quotas(client, &spec.namespaces),
    );
    match holdings {
        Ok(holdings) => survey.holdings = Some(holdings),
        // A request whose answer was lost says nothing about the backup: look again.
        Err(error) if effects::is_passing(&error) => return Err(error),
        Err(error) => survey.holdings_fault = Some(format!("{error:#}")),
    }
    survey.restores_ahead = ahead?;
    survey.node_agent = agent?;
    survey.quotas = quotas?;
    Ok(())
}

fn created(request: &RestoreRequest) -> Timestamp {
    request
        .creation_timestamp()
        .map_or(Timestamp::UNIX_EPOCH, |time| time.0)
}

/// The other requests that have not ended, read live (S7).
async fn others(
    config: &Config,
    clients: &Clients,
    request: &RestoreRequest,
) -> anyhow::Result<Vec<Other>> {
    let mine = request.uid();
    let requests: Api<RestoreRequest> = Api::namespaced(clients.kube.clone(), &config.namespace);
    Ok(requests
        .list(&ListParams::default())
        .await?
        .items
        .iter()
        .filter(|other| other.uid() != mine)
        .map(|other| Other {
            name: other.name_any(),
            uid: uid(other),
            created: created(other),
            phase: other.phase(),
            namespaces: other.spec.namespaces.clone(),
            requester: other.spec.requester.name.clone(),
        })
        .filter(|other| !other.phase.is_over())
        .collect())
}
