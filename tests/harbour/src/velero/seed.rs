//! Backups of the past, for worlds that have a history.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::backup::{self, BackupSpec, Taken};
use super::collect::collect;
use super::life::Server;
use super::objects::{Kind, go_duration, spec, stamp};
use super::results::Log;
use super::storage::{File, Messages};
use super::{schedule, volumes};

/// A backup that is to have been taken in the past.
#[derive(Clone, Debug)]
pub struct BackupSeed {
    /// The Backup's name; `None` for the one that `schedule` would have given it.
    pub name: Option<String>,
    /// What is in it; empty for what the schedule's template says.
    pub namespaces: Vec<String>,
    pub schedule: Option<SeedSchedule>,
    /// When it began. It took seven seconds.
    pub started: Timestamp,
    /// When it expires; `None` for `started` and the template's ttl, or 720h.
    pub expires: Option<Timestamp>,
    /// `Completed`, `PartiallyFailed`, `Failed` ...; `Failed` and
    /// `FailedValidation` leave no files.
    pub phase: String,
}

/// The schedule that a seeded backup comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SeedSchedule {
    /// One that is in the cluster: its template, labels and annotations are
    /// taken. If the backup is of the schedule's latest run,
    /// `status.lastBackup` says so; an older one does not count, or the server
    /// would make up for the runs in between.
    Existing(String),
    /// One that is there no more, or is not there yet.
    Named(String),
}

impl BackupSeed {
    /// A completed backup of `namespaces`, not from a schedule.
    pub fn new(name: &str, namespaces: &[&str], started: Timestamp) -> Self {
        Self {
            name: Some(name.to_owned()),
            namespaces: namespaces.iter().map(|&name| name.to_owned()).collect(),
            schedule: None,
            started,
            expires: None,
            phase: "Completed".to_owned(),
        }
    }

    /// A completed backup from a schedule that is in the cluster.
    pub fn from_schedule(schedule: &str, started: Timestamp) -> Self {
        Self {
            name: None,
            namespaces: Vec::new(),
            schedule: Some(SeedSchedule::Existing(schedule.to_owned())),
            started,
            expires: None,
            phase: "Completed".to_owned(),
        }
    }
}

pub(super) async fn seed_backup(server: &Server, seed: BackupSeed) -> anyhow::Result<String> {
    let (mut metadata, mut spec_value) = origin(server, &seed).await?;
    let name = match (&seed.name, &seed.schedule) {
        (Some(name), _) => name.clone(),
        (None, Some(SeedSchedule::Existing(schedule) | SeedSchedule::Named(schedule))) => {
            schedule::backup_name(schedule, seed.started)
        }
        (None, None) => anyhow::bail!("a seeded backup needs a name or a schedule"),
    };
    if !seed.namespaces.is_empty() {
        spec_value["includedNamespaces"] = json!(seed.namespaces);
    }
    metadata.insert("name".to_owned(), name.clone().into());
    let mut object: kube::api::DynamicObject = serde_json::from_value(json!({
        "apiVersion": "velero.io/v1",
        "kind": "Backup",
        "metadata": metadata,
        "spec": spec_value,
    }))?;
    let spec: BackupSpec = spec(&object)?;
    let kept = if let Some(expires) = seed.expires {
        expires.duration_since(seed.started)
    } else {
        let ttl = spec.ttl.as_deref().unwrap_or("720h0m0s");
        let ttl = go_duration(ttl).ok_or_else(|| anyhow::anyhow!("{ttl:?} is no Go duration"))?;
        SignedDuration::try_from(ttl)?
    };
    let mut filled = serde_json::to_value(&object)?;
    merge(&mut filled, backup::completed(&object, &spec));
    if spec.ttl.is_none() {
        let seconds = kept.as_secs().max(0);
        filled["spec"]["ttl"] =
            format!("{}h{}m{}s", seconds / 3600, seconds / 60 % 60, seconds % 60).into();
    }
    let failed = seed.phase.starts_with("Failed");
    let mut taken = Taken {
        objects: Vec::new(),
        volumes: Vec::new(),
        log: Log::new(format!("backup={}/{name}", server.namespace)),
    };
    if !failed {
        taken.objects = collect(server, &spec.selection, &mut taken.log).await?;
        let by_default = spec.default_volumes_to_fs_backup == Some(true);
        taken.volumes = volumes::hold(&taken.objects, by_default, &mut taken.log);
        if seed.phase == "PartiallyFailed" && taken.log.results.errors == Messages::default() {
            let namespace = seed.namespaces.first().map_or("", String::as_str);
            taken.log.error(
                namespace,
                "pod volume backup failed: data path backup failed".to_owned(),
            );
        }
        backup::upload(server, &name, &taken)?;
    }
    let total = taken.objects.len();
    let ended = seed.started.checked_add(SignedDuration::from_secs(7))?;
    let mut status = json!({
        "version": 1,
        "formatVersion": "1.1.0",
        "phase": seed.phase,
        "startTimestamp": stamp(seed.started),
        "completionTimestamp": stamp(ended),
        "expiration": stamp(seed.started.checked_add(kept)?),
    });
    if failed {
        status["failureReason"] = "error getting backup store: connection refused".into();
    } else {
        status["progress"] = backup::progress(total);
        merge(&mut status, backup::counts(&taken.log.results));
    }
    filled["status"] = status;
    object = server.create(Kind::Backup, filled).await?;
    volumes::report_backups(server, &object, &taken.volumes, &taken.objects, Some(ended)).await?;
    if !failed {
        server.storage.put_json(File::Backup, &name, &object)?;
    }
    Ok(name)
}

/// What the backup has from its schedule: metadata and spec.
async fn origin(server: &Server, seed: &BackupSeed) -> anyhow::Result<(Map<String, Value>, Value)> {
    match &seed.schedule {
        None => Ok((Map::new(), json!({"defaultVolumesToFsBackup": true}))),
        Some(SeedSchedule::Named(name)) => {
            let label = super::objects::label_value(name);
            let labels = json!({super::objects::SCHEDULE_NAME: label});
            let metadata = Map::from_iter([("labels".to_owned(), labels)]);
            Ok((metadata, json!({"defaultVolumesToFsBackup": true})))
        }
        Some(SeedSchedule::Existing(name)) => {
            let Some(schedule) = server.live(Kind::Schedule, name).await? else {
                anyhow::bail!("there is no Schedule {name}");
            };
            if schedule::is_latest_run(&schedule, seed.started, server.clock.now()) {
                let change = json!({"status": {"lastBackup": stamp(seed.started)}});
                server.patch(Kind::Schedule, name, change).await?;
            }
            Ok((
                schedule::metadata(&schedule, name),
                schedule::template(&schedule),
            ))
        }
    }
}

/// Merges `change` into `value`, map by map.
fn merge(value: &mut Value, change: Value) {
    match (value, change) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, change) in from {
                merge(into.entry(key).or_insert(Value::Null), change);
            }
        }
        (value, change) => *value = change,
    }
}
