//! What people are told: the cluster as it is looked at for that, and the ConfigMap
//! that keeps what they were told.

use anyhow::Context as _;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{ListParams, PostParams};
use kube::core::{DeserializeGuard, DynamicObject};
use kube::{Api, Client, ResourceExt as _};

use super::velero::shelf::Shelf;
use super::{dynamic, json, velero, velero_kind};
use crate::config::Config;
use crate::notify::Told;
use crate::notify::facts::{Backup, Facts, Location, Schedule, SelfHealOff, Waiting, WaitsFor};
use crate::request::{Phase, RestoreRequest, phase};
use crate::schedule::{self, ScheduleRequest};

/// The ConfigMap in Refloat's own namespace.
pub const NAME: &str = "refloat-notifications";
const KEY: &str = "told";
/// How many objects one answer of the API server holds.
const PAGE: u32 = 500;

/// What people were told, with the version it was read at; nothing, if that is not there.
pub async fn read(client: &Client, namespace: &str) -> anyhow::Result<(Told, Option<String>)> {
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    let Some(found) = api
        .get_opt(NAME)
        .await
        .with_context(|| format!("read the ConfigMap {NAME}"))?
    else {
        return Ok((Told::default(), None));
    };
    let version = found.metadata.resource_version.clone();
    let text = found
        .data
        .as_ref()
        .and_then(|data| data.get(KEY))
        .map_or("", String::as_str);
    let told = serde_json::from_str(text).unwrap_or_else(|error| {
        tracing::warn!(%error, "the ConfigMap {NAME} cannot be read; it is begun anew");
        Told::default()
    });
    Ok((told, version))
}

/// Writes what people were told, if nobody has written it since it was read; gives
/// the new version.
pub async fn write(
    client: &Client,
    namespace: &str,
    told: &Told,
    version: Option<String>,
) -> anyhow::Result<Option<String>> {
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    let mut map = ConfigMap::default();
    map.metadata.name = Some(NAME.to_owned());
    map.data
        .get_or_insert_default()
        .insert(KEY.to_owned(), serde_json::to_string(told)?);
    let params = PostParams::default();
    let written = if version.is_some() {
        map.metadata.resource_version = version;
        api.replace(NAME, &params, &map).await
    } else {
        api.create(&params, &map).await
    };
    Ok(written
        .with_context(|| format!("write the ConfigMap {NAME}"))?
        .metadata
        .resource_version)
}

/// Looks at everything that people may have to be told of.
///
/// The backups and schedules are those of the shelf, which must be filled. `tenant_of` says whose namespaces are;
/// `known` whether a concern was seen before, so that its reasons need not be fetched again.
pub async fn observe(
    client: &Client,
    config: &Config,
    shelf: &Shelf,
    tenant_of: &(dyn Fn(&[Box<str>]) -> Option<String> + Send + Sync),
    known: &(dyn Fn(&str) -> bool + Send + Sync),
) -> anyhow::Result<Facts> {
    let namespace = &config.velero.namespace;
    let mut facts = shelf.look(|backups, schedules| Facts {
        schedules: schedules
            .values()
            .map(|schedule| Schedule {
                name: schedule.name.clone(),
                tenant: tenant_of(&schedule.included),
                cron: schedule.cron.clone(),
                phase: schedule.phase.clone(),
                errors: schedule.errors.clone(),
                paused: schedule.paused,
                created: schedule.created,
            })
            .collect(),
        backups: backups
            .values()
            .map(|backup| Backup {
                name: backup.name.clone(),
                schedule: backup.schedule.clone(),
                tenant: tenant_of(&backup.included),
                phase: backup.phase.clone(),
                started_at: backup.started_at,
                // One that was refused never starts.
                ended_at: backup.ended_at.or(Some(backup.created)),
                expires_at: backup.expires_at,
                reasons: backup.reason.iter().map(ToString::to_string).collect(),
            })
            .collect(),
        ..Facts::default()
    });
    each(
        client,
        namespace,
        "BackupStorageLocation",
        "backupstoragelocations",
        |object| {
            facts.locations.push(Location {
                name: object.name_any(),
                phase: json::string(&object.data, "/status/phase"),
                message: json::string(&object.data, "/status/message"),
            });
        },
    )
    .await?;
    for backup in &mut facts.backups {
        if &*backup.phase == "PartiallyFailed" && !known(&format!("backup-{}", backup.name)) {
            match velero::results::of_backup(client, namespace, &backup.name).await {
                Ok(errors) => backup.reasons.extend(errors),
                // That it failed is told all the same.
                Err(error) => tracing::debug!(
                    backup = backup.name,
                    error = format!("{error:#}"),
                    "the results of a backup cannot be read"
                ),
            }
        }
    }
    requests(client, config, &mut facts).await?;
    Ok(facts)
}

/// Reads every object of a kind of Velero, page by page, keeping none.
async fn each(
    client: &Client,
    namespace: &str,
    kind: &str,
    plural: &str,
    mut take: impl FnMut(&DynamicObject),
) -> anyhow::Result<()> {
    let api = dynamic(client, namespace, &velero_kind(kind, plural));
    let mut params = ListParams::default().limit(PAGE);
    loop {
        let page = api
            .list(&params)
            .await
            .with_context(|| format!("list Velero's {plural}"))?;
        page.items.iter().for_each(&mut take);
        match page.metadata.continue_ {
            Some(token) if !token.is_empty() => params = params.continue_token(&token),
            _ => return Ok(()),
        }
    }
}

/// What Refloat's own requests wait for.
async fn requests(client: &Client, config: &Config, facts: &mut Facts) -> anyhow::Result<()> {
    let own = &config.namespace;
    let restores: Api<DeserializeGuard<RestoreRequest>> = Api::namespaced(client.clone(), own);
    for DeserializeGuard(request) in restores.list(&ListParams::default()).await?.items {
        let Ok(request) = request else { continue };
        let Some(status) = &request.status else {
            continue;
        };
        let (name, tenant) = (request.name_any(), request.spec.tenant.clone());
        if status.self_heal_is_off()
            && let Some(merged) = status
                .pause
                .as_ref()
                .and_then(|pause| pause.merged.as_ref())
        {
            facts.self_heal_off.push(SelfHealOff {
                request: name.clone(),
                tenant: tenant.clone(),
                since: merged.at,
            });
        }
        let asked = status
            .voided
            .as_ref()
            .map(|note| note.at)
            .or(status.checked.as_ref().map(|checked| checked.at));
        let waits = match phase(status) {
            Phase::AwaitingApproval => asked.map(|at| (WaitsFor::Approval, at)),
            Phase::Stuck => status
                .stuck
                .as_ref()
                .map(|stuck| (WaitsFor::Choice, stuck.at)),
            _ => None,
        };
        facts.waiting.extend(waits.map(|(for_what, since)| Waiting {
            request: name,
            tenant,
            since,
            for_what,
        }));
    }
    let schedules: Api<DeserializeGuard<ScheduleRequest>> = Api::namespaced(client.clone(), own);
    for DeserializeGuard(request) in schedules.list(&ListParams::default()).await?.items {
        let Ok(request) = request else { continue };
        let Some(status) = &request.status else {
            continue;
        };
        let asked = status
            .voided
            .as_ref()
            .map(|note| note.at)
            .or(status.checked.as_ref().map(|checked| checked.at));
        let waits = match schedule::phase(status) {
            schedule::Phase::AwaitingApproval => asked.map(|at| (WaitsFor::Approval, at)),
            schedule::Phase::Stuck => status
                .stuck
                .as_ref()
                .map(|stuck| (WaitsFor::Choice, stuck.at)),
            _ => None,
        };
        facts.waiting.extend(waits.map(|(for_what, since)| Waiting {
            request: request.name_any(),
            tenant: request.spec.tenant.clone(),
            since,
            for_what,
        }));
    }
    Ok(())
}
