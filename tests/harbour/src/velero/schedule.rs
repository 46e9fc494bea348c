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
        if let Some(due) = one(server, &seen).await? {
            next = Some(next.map_or(due, |next| next.min(due)));
        }
    }
    // Due "now" is after the due second, as the real server compares.
    Ok(next.map(|next| {
        Duration::try_from(next.duration_since(server.clock.now())).unwrap_or_default()
            + Duration::from_millis(1)
    }))
}

/// What there is to do about a schedule.
enum Plan {
    /// Nothing, until its next run.
    Wait(Option<Timestamp>),
    /// It is to be told that it is no good.
    Refuse(String),
    /// It is to be enabled.
    Enable { skip: bool },
    /// A backup is due.
    Submit { cron: Cron, owned: bool },
}

/// Deals with one schedule; returns its next run.
async fn one(server: &Server, seen: &DynamicObject) -> anyhow::Result<Option<Timestamp>> {
    if let Plan::Wait(next) = plan(server, seen, server.clock.now()) {
        return Ok(next);
    }
    let name = seen.name_any();
    let Some(live) = server.live(Kind::Schedule, &name).await? else {
        return Ok(None);
    };
    let now = server.clock.now();
    let change = match plan(server, &live, now) {
        Plan::Wait(next) => return Ok(next),
        Plan::Submit { cron, owned } => {
            // The end of a backup that is under way wakes this controller.
            if under_way(server, &name).await? {
                return Ok(None);
            }
            submit(server, &live, now, owned).await?;
            return Ok(cron.next(now));
        }
        Plan::Refuse(error) => {
            json!({"status": {"phase": "FailedValidation", "validationErrors": [error]}})
        }
        Plan::Enable { skip } => {
            let mut change = json!({"status": {"phase": "Enabled", "validationErrors": null}});
            if skip {
                change["spec"]["skipImmediately"] = false.into();
                change["status"]["lastSkipped"] = stamp(now).into();
            }
            change
        }
    };
    gone_is_fine(server.patch(Kind::Schedule, &name, change).await)?;
    // What is due is seen to when the change is seen.
    Ok(None)
}

fn plan(server: &Server, schedule: &DynamicObject, now: Timestamp) -> Plan {
    let name = schedule.name_any();
    let ttl = text(&schedule.data, "/spec/template/ttl");
    let spec: ScheduleSpec = match spec(schedule) {
        Ok(spec) if ttl.is_none_or(|ttl| go_duration(ttl).is_some()) => spec,
        // The real server cannot read such an object at all.
        _ => {
            tracing::debug!(
                schedule = name,
                ttl,
                "a Schedule that cannot be read is left alone"
            );
            return Plan::Wait(None);
        }
    };
    if spec.paused || schedule.metadata.deletion_timestamp.is_some() {
        return Plan::Wait(None);
    }
    let read = match server.faults.schedules_refused() {
        Some(error) => Err(error),
        None => Cron::parse(&spec.schedule),
    };
    let cron = match read {
        Ok(cron) => cron,
        Err(error) => {
            let told = text(&schedule.data, "/status/validationErrors/0") == Some(&error);
            return if told && phase(schedule) == "FailedValidation" {
                Plan::Wait(None)
            } else {
                Plan::Refuse(error)
            };
        }
    };
    let skip = spec.skip_immediately == Some(true);
    if phase(schedule) != "Enabled" || skip {
        return Plan::Enable { skip };
    }
    let last = time(&schedule.data, "/status/lastBackup")
        .or_else(|| schedule.creation_timestamp().map(|time| time.0))
        .max(time(&schedule.data, "/status/lastSkipped"));
    match last.and_then(|last| cron.next(last)) {
        Some(due) if now > due => Plan::Submit {
            cron,
            owned: spec.use_owner_references_in_backup == Some(true),
        },
        due => Plan::Wait(due),
    }
}

/// When the next run of any schedule is due.
pub(super) async fn next_due(server: &Server) -> anyhow::Result<Option<Timestamp>> {
    let now = server.clock.now();
    let schedules = server
        .api(Kind::Schedule)
        .list(&ListParams::default())
        .await?;
    let due = |schedule: &DynamicObject| match plan(server, schedule, now) {
        Plan::Wait(due) => due,
        Plan::Refuse(_) | Plan::Enable { .. } | Plan::Submit { .. } => None,
    };
    Ok(schedules.iter().filter_map(due).min())
}

/// Is there something to do for a schedule? What is due behind a backup that is held up is not.
pub(super) async fn has_work(server: &Server, stalled: bool) -> anyhow::Result<bool> {
    let now = server.clock.now();
    let schedules = server
        .api(Kind::Schedule)
        .list(&ListParams::default())
        .await?;
    for schedule in &schedules {
        match plan(server, schedule, now) {
            Plan::Wait(_) => {}
            Plan::Refuse(_) | Plan::Enable { .. } => return Ok(true),
            Plan::Submit { .. } => {
                if !stalled || !under_way(server, &schedule.name_any()).await? {
                    return Ok(true);
                }
            }
        }
    }
    Ok(false)
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
    with_owner: bool,
) -> anyhow::Result<()> {
    let name = schedule.name_any();
    let mut metadata = metadata(schedule, &name);
    metadata.insert("name".to_owned(), backup_name(&name, now).into());
    if with_owner {
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

/// True if the schedule has no run between `at` and now.
pub(super) fn is_latest_run(schedule: &DynamicObject, at: Timestamp, now: Timestamp) -> bool {
    let expression = text(&schedule.data, "/spec/schedule").unwrap_or_default();
    Cron::parse(expression).is_ok_and(|cron| {
        let next = cron.next(at);
        next.is_none_or(|next| next > now)
    })
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
