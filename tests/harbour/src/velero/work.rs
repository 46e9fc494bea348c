//! A restore under way: namespace by namespace, object by object, volume by
//! volume.

use std::collections::BTreeSet;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Namespace;
use kube::ResourceExt;
use kube::api::{Api, DynamicObject, PostParams};
use kube::runtime::wait::await_condition;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::backup::counts;
use super::collect;
use super::faults::Ending;
use super::items::{self, Action, Restoring};
use super::life::Server;
use super::objects::{Kind, text};
use super::refill::{self, VolumeRestore};
use super::restore::RestoreSpec;
use super::results::{Log, list_key, list_name, sorted};
use super::storage::{File, Messages, ResourceList, Stored, VolumeData};

/// How many updates the progress of a restore gets, at most.
const UPDATES: usize = 4;

/// Restores everything and uploads the log and results; returns the status it
/// ends `Finalizing` with.
pub(super) async fn carry_out(
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
    let total = work.items().await;
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
            for message in messages {
                log.error(&namespace, message);
            }
        }
    }
    log.info("restore completed");
    let storage = &server.storage;
    storage.put(File::RestoreLog, &name, log.text().as_bytes())?;
    storage.put_json(File::RestoreResults, &name, &log.results)?;
    storage.put_json(File::RestoreResourceList, &name, &sorted(list))?;
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
    async fn items(&mut self) -> usize {
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
        self.tell(total, 0).await;
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
                self.tell(total, done).await;
                server.step().await;
            }
        }
        // A stall at the very end holds the restore before it finishes.
        if total > 0 {
            server.faults.stall(total as u64).await;
        }
        total
    }

    /// Tells how far the restore is; not being able to is no reason to stop.
    async fn tell(&self, total: usize, done: usize) {
        let name = self.restoring.restore;
        let status = json!({"status": {"progress": progress(total, done)}});
        if let Err(error) = self.server.patch(Kind::Restore, name, status).await {
            tracing::warn!(restore = name, %error, "telling the progress");
        }
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
                .spawn(refill::restore(self.server.clone(), wanted));
        }
    }
}
