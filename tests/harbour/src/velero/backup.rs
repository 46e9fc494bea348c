//! The Backup controller.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt;
use kube::api::DynamicObject;
use serde::Deserialize;
use serde_json::{Value, json};

use super::collect::{collect, resource_list};
use super::faults::Ending;
use super::life::Server;
use super::objects::{
    Kind, LOCATION, STORAGE_LOCATION, go_duration, is_new, label_value, phase, spec, stamp, text,
};
use super::results::Log;
use super::select::Selection;
use super::storage::{File, Messages, Results, Stored, VolumeData};
use super::{location, volumes};

/// How long a backup is kept if its spec does not say.
const DEFAULT_TTL: &str = "720h0m0s";

/// The part of a Backup's spec that this server goes by.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct BackupSpec {
    #[serde(flatten)]
    pub(super) selection: Selection,
    pub(super) storage_location: Option<String>,
    pub(super) ttl: Option<String>,
    pub(super) default_volumes_to_fs_backup: Option<bool>,
}

/// A backup's content, before it is uploaded.
pub(super) struct Taken {
    pub(super) objects: Vec<Stored>,
    pub(super) volumes: Vec<VolumeData>,
    pub(super) log: Log,
}

/// Takes the new backups, one after the other.
pub(super) async fn pass(server: &Arc<Server>) -> anyhow::Result<Option<Duration>> {
    let mut done = Ok(());
    for seen in server.seen(Kind::Backup) {
        if is_new(&seen) {
            // One that cannot be dealt with now does not hold up the others.
            done = done.and(run(server, &seen.name_any()).await);
        }
    }
    done.map(|()| None)
}

/// Brings backups from `Finalizing` to their end.
pub(super) async fn finalize(server: &Arc<Server>) -> anyhow::Result<Option<Duration>> {
    for seen in server.seen(Kind::Backup) {
        if !phase(&seen).starts_with("Finalizing") {
            continue;
        }
        let name = seen.name_any();
        server.step().await;
        let Some(live) = server.live(Kind::Backup, &name).await? else {
            continue;
        };
        let end = match phase(&live) {
            "Finalizing" => "Completed",
            "FinalizingPartiallyFailed" => "PartiallyFailed",
            _ => continue,
        };
        let status = json!({"status": {
            "phase": end,
            "completionTimestamp": stamp(server.clock.now()),
        }});
        server.insist(Kind::Backup, &name, status).await?;
        if let Some(done) = server.live(Kind::Backup, &name).await? {
            server.storage.put_json(File::Backup, &name, &done)?;
        }
    }
    Ok(None)
}

async fn run(server: &Arc<Server>, name: &str) -> anyhow::Result<()> {
    let Some(live) = server.live(Kind::Backup, name).await?.filter(is_new) else {
        return Ok(());
    };
    let spec: BackupSpec = match spec(&live) {
        Ok(spec) => spec,
        // The real server cannot read such an object at all.
        Err(error) => {
            tracing::warn!(backup = name, %error, "a Backup that cannot be read is left alone");
            return Ok(());
        }
    };
    let ttl = spec.ttl.as_deref().unwrap_or(DEFAULT_TTL);
    let Some(kept) = go_duration(ttl) else {
        tracing::warn!(
            backup = name,
            ttl,
            "a Backup with a ttl that is none is left alone"
        );
        return Ok(());
    };
    let mut wrong = problems(server, &spec).await?;
    let ending = server.faults.take_backup_ending();
    if let Some(Ending::FailedValidation(errors)) = &ending {
        wrong.extend(errors.iter().cloned());
    }
    let started = server.clock.now();
    let mut change = completed(&live, &spec);
    change["status"] = json!({
        "version": 1,
        "formatVersion": "1.1.0",
        "expiration": stamp(started.checked_add(kept).unwrap_or(Timestamp::MAX)),
    });
    if wrong.is_empty() {
        change["status"]["phase"] = "InProgress".into();
        change["status"]["startTimestamp"] = stamp(started).into();
    } else {
        change["status"]["phase"] = "FailedValidation".into();
        change["status"]["validationErrors"] = wrong.clone().into();
    }
    server.insist(Kind::Backup, name, change).await?;
    if !wrong.is_empty() {
        return Ok(());
    }
    server.step().await;
    let status = match carry_out(server, &live, &spec, ending).await {
        Ok(status) => status,
        Err(error) => json!({
            "phase": "Failed",
            "failureReason": format!("{error:#}"),
            "completionTimestamp": stamp(server.clock.now()),
        }),
    };
    server
        .insist(Kind::Backup, name, json!({"status": status}))
        .await?;
    Ok(())
}

async fn problems(server: &Server, spec: &BackupSpec) -> anyhow::Result<Vec<String>> {
    let mut wrong = spec.selection.errors("backup");
    let location = spec.storage_location.as_deref().unwrap_or(LOCATION);
    if let Some(problem) = location::problem(server, location).await? {
        wrong.push(format!("backup can't be created because {problem}"));
    }
    Ok(wrong)
}

/// The merge patch that fills in what the server fills in.
pub(super) fn completed(backup: &DynamicObject, spec: &BackupSpec) -> Value {
    let location = spec.storage_location.as_deref().unwrap_or(LOCATION);
    let mut change = json!({
        "metadata": {
            "labels": {STORAGE_LOCATION: label_value(location)},
            "annotations": {
                "velero.io/resource-timeout": "10m0s",
                "velero.io/source-cluster-k8s-gitversion": "v1.33.5",
                "velero.io/source-cluster-k8s-major-version": "1",
                "velero.io/source-cluster-k8s-minor-version": "33",
            },
        },
        "spec": {},
    });
    let defaults = [
        ("storageLocation", json!(location)),
        ("ttl", json!(DEFAULT_TTL)),
        ("defaultVolumesToFsBackup", json!(false)),
        ("snapshotMoveData", json!(false)),
        ("csiSnapshotTimeout", json!("10m0s")),
        ("itemOperationTimeout", json!("4h0m0s")),
        ("hooks", json!({})),
        ("metadata", json!({})),
    ];
    for (field, value) in defaults {
        let set = backup.data.pointer(&format!("/spec/{field}"));
        if set.is_none_or(Value::is_null) {
            change["spec"][field] = value;
        }
    }
    change
}

/// Takes the backup and uploads it; returns the status it ends `Finalizing` with.
async fn carry_out(
    server: &Arc<Server>,
    backup: &DynamicObject,
    spec: &BackupSpec,
    ending: Option<Ending>,
) -> anyhow::Result<Value> {
    let name = backup.name_any();
    if let Some(Ending::Failed(reason)) = ending {
        anyhow::bail!(reason);
    }
    anyhow::ensure!(
        server.storage.raw(&File::Objects.key(&name))?.is_none(),
        "backup already exists in object storage"
    );
    let mut log = Log::new(format!("backup={}/{name}", server.namespace));
    log.info("Setting up backup store to check for backup existence");
    let objects = collect(server, &spec.selection, &mut log).await?;
    let total = objects.len();
    if total > 0 {
        for done in [0, total / 2] {
            let progress = json!({"totalItems": total, "itemsBackedUp": done});
            let status = json!({"status": {"progress": progress}});
            server.insist(Kind::Backup, &name, status).await?;
            server.step().await;
        }
    }
    server.faults.stall_of_backups().await;
    let held = volumes::hold(
        &objects,
        spec.default_volumes_to_fs_backup == Some(true),
        &mut log,
    );
    volumes::report_backups(server, backup, &held, &objects, None).await?;
    if let Some(Ending::PartiallyFailed(errors)) = ending {
        for (namespace, messages) in errors {
            for message in messages {
                log.error(&namespace, message);
            }
        }
    }
    log.info(&format!("Backed up a total of {total} items"));
    let taken = Taken {
        objects,
        volumes: held,
        log,
    };
    upload(server, &name, &taken)?;
    let mut status = counts(&taken.log.results);
    status["phase"] = if taken.log.results.errors == Messages::default() {
        "Finalizing".into()
    } else {
        "FinalizingPartiallyFailed".into()
    };
    status["progress"] = progress(total);
    Ok(status)
}

/// The progress of a backup that is through; nothing of nothing is `{}`.
pub(super) fn progress(total: usize) -> Value {
    if total == 0 {
        json!({})
    } else {
        json!({"totalItems": total, "itemsBackedUp": total})
    }
}

/// `hookStatus`, and `warnings` and `errors` where there are any.
pub(super) fn counts(results: &Results) -> Value {
    let mut status = json!({"hookStatus": {}});
    let counts = [
        ("warnings", results.warnings.count()),
        ("errors", results.errors.count()),
    ];
    for (field, count) in counts {
        if count > 0 {
            status[field] = count.into();
        }
    }
    status
}

/// Writes the files of a backup but for the Backup object itself.
pub(super) fn upload(server: &Server, name: &str, taken: &Taken) -> anyhow::Result<()> {
    let storage = &server.storage;
    let infos = volumes::infos(&taken.objects, &taken.volumes);
    let list = resource_list(&taken.objects);
    storage.put(File::BackupLog, name, taken.log.text().as_bytes())?;
    storage.put_json(File::BackupResults, name, &taken.log.results)?;
    storage.put_json(File::BackupResourceList, name, &list)?;
    storage.put_json(File::BackupVolumeInfos, name, &infos)?;
    storage.put_json(File::Volumes, name, &taken.volumes)?;
    storage.put(File::BackupContents, name, &archive(&taken.objects)?)?;
    storage.put_json(File::Objects, name, &taken.objects)?;
    Ok(())
}

/// The objects as Velero lays them out: `resources/<plural.group>/namespaces/<ns>/<name>.json`,
/// or `.../cluster/<name>.json`.
fn archive(objects: &[Stored]) -> anyhow::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    for item in objects {
        let resource = &item.resource;
        let kind = if resource.group.is_empty() {
            resource.plural.clone()
        } else {
            format!("{}.{}", resource.plural, resource.group)
        };
        let name = text(&item.object, "/metadata/name").unwrap_or_default();
        let place = match text(&item.object, "/metadata/namespace") {
            Some(namespace) => format!("namespaces/{namespace}"),
            None => "cluster".to_owned(),
        };
        let body = serde_json::to_vec(&item.object)?;
        let mut header = tar::Header::new_gnu();
        header.set_size(body.len() as u64);
        header.set_mode(0o755);
        header.set_cksum();
        archive.append_data(
            &mut header,
            format!("resources/{kind}/{place}/{name}.json"),
            body.as_slice(),
        )?;
    }
    Ok(archive.into_inner()?)
}
