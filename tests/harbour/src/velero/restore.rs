//! The Restore controller.
//!
//! It deals with one Restore at a time, as a real server does; deletions of
//! Restores wait their turn with it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt;
use kube::api::ListParams;
use serde::Deserialize;
use serde_json::json;

use super::faults::Ending;
use super::life::Server;
use super::location;
use super::objects::{
    Kind, LOCATION, RESTORE_FINALIZER, SCHEDULE_NAME, is_new, label_value, phase, spec, stamp,
    text, time,
};
use super::select::Selection;
use super::work::carry_out;

/// What no restore restores.
const NEVER: [&str; 9] = [
    "nodes",
    "events",
    "events.events.k8s.io",
    "backups.velero.io",
    "restores.velero.io",
    "resticrepositories.velero.io",
    "csinodes.storage.k8s.io",
    "volumeattachments.storage.k8s.io",
    "backuprepositories.velero.io",
];

/// The part of a Restore's spec that this server goes by.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct RestoreSpec {
    #[serde(flatten)]
    pub(super) selection: Selection,
    pub(super) backup_name: Option<String>,
    pub(super) schedule_name: Option<String>,
    pub(super) existing_resource_policy: Option<String>,
    pub(super) namespace_mapping: Option<BTreeMap<String, String>>,
    pub(super) item_operation_timeout: Option<String>,
}

/// Deletes what is to be deleted, then takes the new restores, one after the
/// other.
pub(super) async fn pass(server: &Arc<Server>) -> anyhow::Result<Option<Duration>> {
    let mut done = Ok(());
    for seen in server.seen(Kind::Restore) {
        let name = seen.name_any();
        // One that cannot be dealt with now does not hold up the others.
        if seen.metadata.deletion_timestamp.is_some() {
            done = done.and(release(server, &name).await);
        } else if is_new(&seen) && !server.faults.restores_held() {
            done = done.and(run(server, &name).await);
        }
    }
    done.map(|()| None)
}

/// Brings restores from `Finalizing` to their end.
pub(super) async fn finalize(server: &Arc<Server>) -> anyhow::Result<Option<Duration>> {
    for seen in server.seen(Kind::Restore) {
        if !phase(&seen).starts_with("Finalizing") {
            continue;
        }
        let name = seen.name_any();
        server.step().await;
        let Some(live) = server.live(Kind::Restore, &name).await? else {
            continue;
        };
        let end = match phase(&live) {
            "Finalizing" => "Completed",
            "FinalizingPartiallyFailed" => "PartiallyFailed",
            _ => continue,
        };
        let status = json!({"status": {
            "phase": end,
            "completionTimestamp": stamp(Timestamp::now()),
        }});
        server.insist(Kind::Restore, &name, status).await?;
    }
    Ok(None)
}

/// Deletes the files of a Restore that is being deleted, and lets it go.
async fn release(server: &Server, name: &str) -> anyhow::Result<()> {
    let Some(live) = server.live(Kind::Restore, name).await? else {
        return Ok(());
    };
    let kept: Vec<&String> = live
        .finalizers()
        .iter()
        .filter(|finalizer| *finalizer != RESTORE_FINALIZER)
        .collect();
    if live.metadata.deletion_timestamp.is_none() || kept.len() == live.finalizers().len() {
        return Ok(());
    }
    server.storage.remove_restore(name)?;
    let change = json!({"metadata": {"finalizers": kept}});
    server.insist(Kind::Restore, name, change).await?;
    Ok(())
}

async fn run(server: &Arc<Server>, name: &str) -> anyhow::Result<()> {
    let Some(live) = server.live(Kind::Restore, name).await?.filter(is_new) else {
        return Ok(());
    };
    let mut spec: RestoreSpec = match spec(&live) {
        Ok(spec) => spec,
        // The real server cannot read such an object at all.
        Err(error) => {
            tracing::warn!(restore = name, %error, "a Restore that cannot be read is left alone");
            return Ok(());
        }
    };
    let mut wrong = complete(server, &mut spec).await?;
    let ending = server.faults.take_restore_ending();
    if let Some(Ending::FailedValidation(errors)) = &ending {
        wrong.extend(errors.iter().cloned());
    }
    let mut finalizers = live.finalizers().to_vec();
    if !finalizers
        .iter()
        .any(|finalizer| finalizer == RESTORE_FINALIZER)
    {
        finalizers.push(RESTORE_FINALIZER.to_owned());
    }
    let mut change = json!({
        "metadata": {"finalizers": finalizers},
        "spec": {
            "backupName": spec.backup_name,
            "scheduleName": spec.schedule_name,
            "excludedResources": spec.selection.excluded_resources,
            "itemOperationTimeout": spec.item_operation_timeout.as_deref().unwrap_or("4h0m0s"),
        },
    });
    if live.data.pointer("/spec/hooks").is_none() {
        change["spec"]["hooks"] = json!({});
    }
    if !wrong.is_empty() {
        change["status"] = json!({"phase": "FailedValidation", "validationErrors": wrong});
        server.insist(Kind::Restore, name, change).await?;
        return Ok(());
    }
    change["status"] = json!({
        "phase": "InProgress",
        "startTimestamp": stamp(Timestamp::now()),
    });
    server.insist(Kind::Restore, name, change).await?;
    server.step().await;
    let status = match carry_out(server, live, &spec, ending).await {
        Ok(status) => status,
        Err(error) => json!({
            "phase": "Failed",
            "failureReason": format!("{error:#}"),
            "completionTimestamp": stamp(Timestamp::now()),
        }),
    };
    server
        .insist(Kind::Restore, name, json!({"status": status}))
        .await?;
    Ok(())
}

/// Fills in what the server fills in, and says what is wrong with the spec.
async fn complete(server: &Server, spec: &mut RestoreSpec) -> anyhow::Result<Vec<String>> {
    let mut wrong = Vec::new();
    let excluded = spec.selection.excluded_resources.get_or_insert_default();
    for never in NEVER {
        if !excluded.iter().any(|item| item == never) {
            excluded.push(never.to_owned());
        }
    }
    let included = spec.selection.included_resources.iter().flatten();
    for item in included.filter(|item| NEVER.contains(&item.as_str())) {
        wrong.push(format!("{item} are non-restorable resources"));
    }
    wrong.extend(spec.selection.errors("restore"));
    let given = |name: &Option<String>| name.clone().filter(|name| !name.is_empty());
    spec.backup_name = given(&spec.backup_name);
    spec.schedule_name = given(&spec.schedule_name);
    let backup = match (&spec.backup_name, &spec.schedule_name) {
        (Some(backup), None) => backup.clone(),
        (None, Some(schedule)) => match latest(server, schedule).await? {
            Ok(backup) => backup,
            Err(errors) => {
                wrong.extend(errors);
                return Ok(wrong);
            }
        },
        (Some(_), Some(_)) | (None, None) => {
            wrong.push("Either a backup or schedule must be specified as a source for the restore, but not both".to_owned());
            return Ok(wrong);
        }
    };
    spec.backup_name = Some(backup.clone());
    let Some(found) = server.live(Kind::Backup, &backup).await? else {
        wrong.push(format!(
            "Error retrieving backup: Backup.velero.io \"{backup}\" not found"
        ));
        return Ok(wrong);
    };
    if spec.schedule_name.is_none() {
        spec.schedule_name = found.labels().get(SCHEDULE_NAME).cloned();
    }
    let at = text(&found.data, "/spec/storageLocation").unwrap_or(LOCATION);
    if let Some(problem) = location::problem(server, at).await? {
        wrong.push(format!("Error retrieving backup: {problem}"));
    }
    Ok(wrong)
}

/// The schedule's youngest completed backup.
async fn latest(server: &Server, schedule: &str) -> anyhow::Result<Result<String, Vec<String>>> {
    let label = label_value(schedule);
    let all = server
        .api(Kind::Backup)
        .list(&ListParams::default())
        .await?;
    let of_schedule: Vec<_> = all
        .into_iter()
        .filter(|backup| backup.labels().get(SCHEDULE_NAME) == Some(&label))
        .collect();
    let none_at_all = of_schedule.is_empty();
    let latest = of_schedule
        .into_iter()
        .filter(|backup| phase(backup) == "Completed")
        .max_by_key(|backup| time(&backup.data, "/status/startTimestamp"));
    if let Some(latest) = latest {
        return Ok(Ok(latest.name_any()));
    }
    let mut errors = vec!["No completed backups found for schedule".to_owned()];
    if none_at_all {
        errors.insert(0, "No backups found for schedule".to_owned());
    }
    Ok(Err(errors))
}
