//! The Restore controller.
//!
//! It deals with one Restore at a time, as a real server does; deletions of
//! Restores wait their turn with it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Namespace;
use kube::ResourceExt;
use kube::api::{Api, DynamicObject, PostParams};
use kube::runtime::wait::await_condition;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::backup::counts;
use super::faults::Ending;
use super::items::{self, Action, Restoring};
use super::life::{Server, gone_is_fine};
use super::objects::{
    Kind, LOCATION, RESTORE_FINALIZER, SCHEDULE_NAME, is_new, label_value, phase, spec, stamp,
    text, time,
};
use super::results::{Log, list_key, list_name, sorted};
use super::select::Selection;
use super::storage::{File, Messages, ResourceList, Stored, VolumeData};
use super::volumes::{self, VolumeRestore};
use super::{collect, location};

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

/// How many updates the progress of a restore gets, at most.
const UPDATES: usize = 4;

/// The part of a Restore's spec that this server goes by.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct RestoreSpec {
    #[serde(flatten)]
    selection: Selection,
    backup_name: Option<String>,
    schedule_name: Option<String>,
    existing_resource_policy: Option<String>,
    namespace_mapping: Option<BTreeMap<String, String>>,
    item_operation_timeout: Option<String>,
}

/// Deletes what is to be deleted, then takes the new restores, one after the
/// other.
pub(super) async fn pass(server: &Arc<Server>) -> anyhow::Result<Option<Duration>> {
    for seen in server.seen(Kind::Restore) {
        let name = seen.name_any();
        if seen.metadata.deletion_timestamp.is_some() {
            release(server, &name).await?;
        } else if is_new(&seen) && !server.faults.restores_held() {
            run(server, &name).await?;
        }
    }
    Ok(None)
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
        gone_is_fine(server.patch(Kind::Restore, &name, status).await)?;
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
    gone_is_fine(server.patch(Kind::Restore, name, change).await)?;
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
    let ending = server.faults.take_restore_ending();
    let mut wrong = complete(server, &mut spec).await?;
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
        gone_is_fine(server.patch(Kind::Restore, name, change).await)?;
        return Ok(());
    }
    change["status"] = json!({
        "phase": "InProgress",
        "startTimestamp": stamp(Timestamp::now()),
    });
    gone_is_fine(server.patch(Kind::Restore, name, change).await)?;
    server.step().await;
    let status = match carry_out(server, live, &spec, ending).await {
        Ok(status) => status,
        Err(error) => json!({
            "phase": "Failed",
            "failureReason": format!("{error:#}"),
            "completionTimestamp": stamp(Timestamp::now()),
        }),
    };
    gone_is_fine(
        server
            .patch(Kind::Restore, name, json!({"status": status}))
            .await,
    )?;
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
        .list(&kube::api::ListParams::default())
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
    Ok(match latest {
        Some(backup) => Ok(backup.name_any()),
        None => {
            let mut errors = Vec::new();
            if none_at_all {
                errors.push("No backups found for schedule".to_owned());
            }
            errors.push("No completed backups found for schedule".to_owned());
            Err(errors)
        }
    })
}

/// Restores everything and uploads the log and results; returns the status it
/// ends `Finalizing` with.
async fn carry_out(
    server: &Arc<Server>,
    restore: DynamicObject,
    spec: &RestoreSpec,
    ending: Option<Ending>,
) -> anyhow::Result<Value> {
    let name = restore.name_any();
    let backup = spec.backup_name.clone().unwrap_or_default();
    if let Some(Ending::Failed(reason)) = ending {
        anyhow::bail!(reason);
    }
    let (Some(objects), Some(data)) = (
        server
            .storage
            .get_json::<Vec<Stored>>(File::Objects, &backup)?,
        server
            .storage
            .get_json::<Vec<VolumeData>>(File::Volumes, &backup)?,
    ) else {
        anyhow::bail!(
            "error downloading backup: rpc error: code = Unknown desc = error getting object backups/{backup}/{backup}.tar.gz: NoSuchKey"
        );
    };
    let mut work = Work {
        server,
        restore: Arc::new(restore),
        restoring: Restoring {
            restore: &name,
            backup: &backup,
            update: spec.existing_resource_policy.as_deref() == Some("update"),
        },
        spec,
        objects: &objects,
        data: &data,
        log: Log::new(format!("restore={}/{name}", server.namespace)),
        list: ResourceList::new(),
        volumes: JoinSet::new(),
    };
    work.log.info("starting restore");
    let total = work.items().await?;
    while let Some(volume) = work.volumes.join_next().await {
        match volume {
            Ok(Ok(())) => {}
            Ok(Err(message)) => work.log.velero_error(message),
            Err(error) => work
                .log
                .velero_error(format!("pod volume restore failed: {error}")),
        }
    }
    let Work { mut log, list, .. } = work;
    if let Some(Ending::PartiallyFailed(errors)) = ending {
        for (namespace, messages) in errors {
            messages
                .into_iter()
                .for_each(|message| log.error(&namespace, message));
        }
    }
    log.info("restore completed");
    let storage = &server.storage;
    storage.put(File::RestoreLog, &name, log.text().as_bytes())?;
    storage.put_json(File::RestoreResults, &name, &log.results)?;
    storage.put_json(File::RestoreResourceList, &name, &sorted(list))?;
    storage.put_json(File::RestoreVolumeInfo, &name, &json!([]))?;
    let mut status = counts(&log.results);
    status["phase"] = if log.results.errors == Messages::default() {
        "Finalizing".into()
    } else {
        "FinalizingPartiallyFailed".into()
    };
    status["progress"] = progress(total, total);
    Ok(status)
}

fn progress(total: usize, done: usize) -> Value {
    let mut progress = json!({});
    if total > 0 {
        progress["totalItems"] = total.into();
    }
    if done > 0 {
        progress["itemsRestored"] = done.into();
    }
    progress
}

/// A restore under way.
struct Work<'a> {
    server: &'a Arc<Server>,
    restore: Arc<DynamicObject>,
    restoring: Restoring<'a>,
    spec: &'a RestoreSpec,
    objects: &'a [Stored],
    data: &'a [VolumeData],
    log: Log,
    list: ResourceList,
    volumes: JoinSet<Result<(), String>>,
}

impl Work<'_> {
    /// Where what was in `namespace` goes.
    fn target(&self, namespace: &str) -> String {
        let mapping = self.spec.namespace_mapping.as_ref();
        mapping
            .and_then(|mapping| mapping.get(namespace))
            .map_or_else(|| namespace.to_owned(), Clone::clone)
    }

    /// The objects to be restored, in Velero's order, each with the namespace
    /// that it comes from. A volume belongs to the namespace of its claim.
    fn chosen(&self) -> Vec<(&'_ str, &'_ Stored)> {
        let selection = &self.spec.selection;
        let mut chosen: Vec<_> = self
            .objects
            .iter()
            .filter(|item| selection.has_resource(&item.resource))
            .filter(|item| selection.has_labels(&item.object))
            .filter_map(|item| {
                let namespace = text(&item.object, "/metadata/namespace")
                    .or_else(|| text(&item.object, "/spec/claimRef/namespace"))?;
                selection
                    .has_namespace(namespace)
                    .then_some((namespace, item))
            })
            .collect();
        chosen.sort_by_cached_key(|(namespace, item)| {
            (
                items::rank(&item.resource),
                items::group_resource(&item.resource),
                (*namespace).to_owned(),
                text(&item.object, "/metadata/name")
                    .unwrap_or_default()
                    .to_owned(),
            )
        });
        chosen
    }

    /// Restores the objects and starts the restores of volumes; returns how
    /// many objects there were.
    async fn items(&mut self) -> anyhow::Result<usize> {
        let server = self.server.clone();
        let chosen: Vec<(String, Stored)> = self
            .chosen()
            .into_iter()
            .map(|(namespace, item)| (namespace.to_owned(), item.clone()))
            .collect();
        let total = chosen.len();
        let every = total.div_ceil(UPDATES).max(1);
        let mut closed = BTreeSet::new();
        let mut opened = BTreeSet::new();
        self.tell(total, 0).await?;
        for (index, (namespace, item)) in chosen.iter().enumerate() {
            server.faults.stall(index as u64).await;
            let target = self.target(namespace);
            if opened.insert(target.clone())
                && let Err(message) = self.open(namespace, &target).await
            {
                self.log.error(&target, message);
                closed.insert(target.clone());
            }
            if !closed.contains(&target) {
                self.item(namespace, &target, item).await;
            }
            let done = index + 1;
            if done % every == 0 || done == total {
                self.tell(total, done).await?;
                server.step().await;
            }
        }
        // A stall at the very end holds the restore before it finishes.
        if total > 0 {
            server.faults.stall(total as u64).await;
        }
        Ok(total)
    }

    async fn tell(&self, total: usize, done: usize) -> anyhow::Result<()> {
        let status = json!({"status": {"progress": progress(total, done)}});
        Ok(gone_is_fine(
            self.server
                .patch(Kind::Restore, self.restoring.restore, status)
                .await,
        )?)
    }

    /// Makes sure that a namespace is there; the one that is is left as it is.
    async fn open(&mut self, source: &str, target: &str) -> Result<(), String> {
        let server = self.server;
        let api: Api<Namespace> = Api::all(server.client.clone());
        let failed = |error: &kube::Error| {
            format!(
                "error ensuring namespace {target}: {}",
                items::reason(error)
            )
        };
        let mut existing = api.get_opt(target).await.map_err(|error| failed(&error))?;
        let ending = |namespace: &Namespace| namespace.metadata.deletion_timestamp.is_some();
        if existing.as_ref().is_some_and(ending) {
            let gone = await_condition(api.clone(), target, |namespace: Option<&Namespace>| {
                namespace.is_none()
            });
            match tokio::time::timeout(server.patience, gone).await {
                Ok(Ok(_)) => existing = None,
                Ok(Err(error)) => return Err(error.to_string()),
                Err(_late) => {
                    return Err(format!(
                        "timed out waiting for terminating namespace {target} to disappear before restoring"
                    ));
                }
            }
        }
        if existing.is_some() {
            return Ok(());
        }
        let backed_up = self.objects.iter().find(|item| {
            item.resource.kind == "Namespace"
                && text(&item.object, "/metadata/name") == Some(source)
        });
        let metadata = backed_up.map(|item| &item.object["metadata"]);
        let part = |field: &str| metadata.map(|metadata| metadata[field].clone());
        let body: Namespace = serde_json::from_value(json!({
            "metadata": {
                "name": target,
                "labels": part("labels"),
                "annotations": part("annotations"),
            },
        }))
        .map_err(|error| error.to_string())?;
        let created = server
            .write(async move { api.create(&PostParams::default(), &body).await })
            .await;
        match created {
            Ok(_) => {
                let names = self.list.entry("v1/Namespace".to_owned()).or_default();
                names.push(format!("{target}(created)"));
                Ok(())
            }
            Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(()),
            Err(error) => Err(failed(&error)),
        }
    }

    async fn item(&mut self, source: &str, target: &str, item: &Stored) {
        let resource = &item.resource;
        let object = items::prepared(resource, &item.object, target);
        let listed = list_name(&object);
        let outcome = if items::discarded(resource, &item.object) {
            items::Outcome::of(Action::Skipped)
        } else {
            items::restore(self.server, resource, object, &self.restoring).await
        };
        let word = outcome.action.word();
        self.log
            .info(&format!("restored {} {listed}: {word}", resource.kind));
        let names = self.list.entry(list_key(resource)).or_default();
        names.push(format!("{listed}({word})"));
        if let Some(warning) = outcome.warning {
            self.log.warn(target, warning);
        }
        if let Some(error) = outcome.error {
            self.log.error(target, error);
        }
        let is_pod = resource.kind == "Pod" && resource.group.is_empty();
        if let Some(pod) = outcome.created.filter(|_| is_pod) {
            self.start_volumes(source, &pod);
        }
    }

    /// Starts the restores of the volumes of a pod that was just created.
    fn start_volumes(&mut self, source: &str, pod: &Value) {
        let selection = &self.spec.selection;
        let claims = collect::core("PersistentVolumeClaim", "persistentvolumeclaims");
        let volumes = collect::core("PersistentVolume", "persistentvolumes");
        if !selection.has_resource(&claims) || !selection.has_resource(&volumes) {
            return;
        }
        let name = text(pod, "/metadata/name");
        for data in self.data {
            if data.namespace != source || Some(data.pod.as_str()) != name {
                continue;
            }
            let wanted = VolumeRestore {
                restore: self.restore.clone(),
                pod: pod.clone(),
                data: data.clone(),
            };
            self.volumes
                .spawn(volumes::restore(self.server.clone(), wanted));
        }
    }
}
