//! The Schedule controller.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt;
use kube::api::{DynamicObject, ListParams};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::cron::Cron;
use super::life::{Server, gone_is_fine};
use super::objects::{
    Kind, SCHEDULE_NAME, go_duration, label_value, phase, spec, stamp, text, time,
};

/// The part of a Schedule's spec that this server goes by.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ScheduleSpec {
    schedule: String,
    paused: bool,
    skip_immediately: Option<bool>,
    use_owner_references_in_backup: Option<bool>,
}

/// Checks the schedules and starts the backups that are due; says when the next
/// one is.
pub(super) async fn pass(server: &Arc<Server>) -> anyhow::Result<Option<Duration>> {
    let mut next: Option<Timestamp> = None;
    for seen in server.seen(Kind::Schedule) {
        if let Some(due) = one(server, &seen.name_any()).await? {
            next = Some(next.map_or(due, |next| next.min(due)));
        }
    }
    // Due "now" is after the due second, as the real server compares.
    Ok(next.map(|next| {
        Duration::try_from(next.duration_since(Timestamp::now())).unwrap_or_default()
            + Duration::from_millis(1)
    }))
}

/// Deals with one schedule; returns its next run.
async fn one(server: &Server, name: &str) -> anyhow::Result<Option<Timestamp>> {
    let Some(live) = server.live(Kind::Schedule, name).await? else {
        return Ok(None);
    };
    let ttl = text(&live.data, "/spec/template/ttl");
    let spec: ScheduleSpec = match spec(&live) {
        Ok(spec) if ttl.is_none_or(|ttl| go_duration(ttl).is_some()) => spec,
        // The real server cannot read such an object at all.
        _ => {
            tracing::warn!(
                schedule = name,
                ttl,
                "a Schedule that cannot be read is left alone"
            );
            return Ok(None);
        }
    };
    if spec.paused || live.metadata.deletion_timestamp.is_some() {
        return Ok(None);
    }
    let cron = match Cron::parse(&spec.schedule) {
        Ok(cron) => cron,
        Err(error) => {
            let status = json!({"phase": "FailedValidation", "validationErrors": [error]});
            if live.data.get("status") != Some(&status) {
                let change = json!({"status": status});
                gone_is_fine(server.patch(Kind::Schedule, name, change).await)?;
            }
            return Ok(None);
        }
    };
    let now = Timestamp::now();
    let mut change = json!({});
    if phase(&live) != "Enabled" {
        change["status"] = json!({"phase": "Enabled", "validationErrors": null});
    }
    let mut skipped = time(&live.data, "/status/lastSkipped");
    if spec.skip_immediately == Some(true) {
        change["spec"]["skipImmediately"] = false.into();
        change["status"]["lastSkipped"] = stamp(now).into();
        skipped = Some(now);
    }
    if change != json!({}) {
        gone_is_fine(server.patch(Kind::Schedule, name, change).await)?;
    }
    let last = time(&live.data, "/status/lastBackup")
        .or_else(|| live.creation_timestamp().map(|time| time.0))
        .max(skipped);
    let Some(due) = last.and_then(|last| cron.next(last)) else {
        return Ok(None);
    };
    if now <= due {
        return Ok(Some(due));
    }
    if under_way(server, name).await? {
        // The end of that backup wakes this controller.
        return Ok(None);
    }
    submit(
        server,
        &live,
        now,
        spec.use_owner_references_in_backup == Some(true),
    )
    .await?;
    Ok(cron.next(now))
}

/// True while a backup of the schedule has not ended.
async fn under_way(server: &Server, schedule: &str) -> anyhow::Result<bool> {
    let label = label_value(schedule);
    let backups = server
        .api(Kind::Backup)
        .list(&ListParams::default())
        .await?;
    Ok(backups.iter().any(|backup| {
        backup.labels().get(SCHEDULE_NAME) == Some(&label)
            && matches!(phase(backup), "" | "New" | "InProgress")
    }))
}

/// Creates the schedule's backup of this moment.
async fn submit(
    server: &Server,
    schedule: &DynamicObject,
    now: Timestamp,
    owned: bool,
) -> anyhow::Result<()> {
    let name = schedule.name_any();
    let mut metadata = metadata(schedule, &name);
    metadata.insert("name".to_owned(), backup_name(&name, now).into());
    if owned {
        let owner = json!([{
            "apiVersion": "velero.io/v1",
            "kind": "Schedule",
            "name": name,
            "uid": schedule.uid(),
            "controller": true,
        }]);
        metadata.insert("ownerReferences".to_owned(), owner);
    }
    let body = json!({"metadata": metadata, "spec": template(schedule)});
    match server.create(Kind::Backup, body).await {
        Ok(_) => {}
        Err(error) => match error.downcast_ref() {
            // The answer to an earlier attempt was lost.
            Some(kube::Error::Api(status)) if status.is_already_exists() => {}
            _ => return Err(error),
        },
    }
    let change = json!({"status": {"lastBackup": stamp(now)}});
    gone_is_fine(server.patch(Kind::Schedule, &name, change).await)?;
    Ok(())
}

/// The spec of the schedule's backups.
pub(super) fn template(schedule: &DynamicObject) -> Value {
    let template = schedule.data.pointer("/spec/template").cloned();
    template.unwrap_or_else(|| json!({}))
}

/// The labels and annotations of the schedule's backups.
pub(super) fn metadata(schedule: &DynamicObject, name: &str) -> Map<String, Value> {
    let own = schedule.data.pointer("/spec/template/metadata/labels");
    let mut labels = own.cloned().unwrap_or_else(|| json!(schedule.labels()));
    labels[SCHEDULE_NAME] = label_value(name).into();
    let mut metadata = Map::new();
    metadata.insert("labels".to_owned(), labels);
    let annotations = schedule.annotations();
    if !annotations.is_empty() {
        metadata.insert("annotations".to_owned(), json!(annotations));
    }
    metadata
}

/// The name of a schedule's backup of this moment, in UTC.
pub(super) fn backup_name(schedule: &str, at: Timestamp) -> String {
    format!("{schedule}-{}", at.strftime("%Y%m%d%H%M%S"))
}
