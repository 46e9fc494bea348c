//! What a backup holds: the objects of the namespaces, found by discovery.

use std::collections::BTreeMap;

use kube::api::{Api, DynamicObject, ListParams};
use kube::core::discovery::verbs;
use kube::discovery::{ApiResource, Discovery, Scope};
use serde_json::Value;

use super::life::Server;
use super::objects::text;
use super::results::{Log, list_key, list_name, sorted};
use super::select::Selection;
use super::storage::{ResourceList, Stored};

/// The label that keeps an object out of every backup.
const EXCLUDE: &str = "velero.io/exclude-from-backup";

/// Collects the namespaces and the objects in them that `selection` asks for,
/// and the volumes of the claims among them; what cannot be listed is an error
/// in the log, and the rest is still collected.
pub(super) async fn collect(
    server: &Server,
    selection: &Selection,
    log: &mut Log,
) -> anyhow::Result<Vec<Stored>> {
    let namespaces = namespaces(server, selection, log).await?;
    let mut objects = Vec::new();
    for resource in namespaced_resources(server).await? {
        if !selection.has_resource(&resource) {
            continue;
        }
        for namespace in namespaces.keys() {
            let api: Api<DynamicObject> =
                Api::namespaced_with(server.client.clone(), namespace, &resource);
            match api.list(&ListParams::default()).await {
                Ok(list) => {
                    for object in list {
                        objects.extend(stored(&resource, &object, Some(selection))?);
                    }
                }
                // An aggregated API may list its resource and refuse to.
                Err(kube::Error::Api(status)) if matches!(status.code, 404 | 405) => {
                    log.info(&format!("Skipping {}: {}", resource.plural, status.message));
                }
                Err(error) => log.error(namespace, format!("error listing items: {error}")),
            }
        }
    }
    let volumes = volumes(server, selection, &objects, log).await?;
    objects.extend(volumes);
    let namespace = core("Namespace", "namespaces");
    if selection.has_resource(&namespace) {
        let with_items = |name: &str| {
            objects
                .iter()
                .any(|item| text(&item.object, "/metadata/namespace") == Some(name))
        };
        let mut found = Vec::new();
        for (name, object) in &namespaces {
            if !selection.by_labels() || with_items(name) {
                found.extend(stored(&namespace, object, None)?);
            }
        }
        objects.splice(0..0, found);
    }
    Ok(objects)
}

/// The BackupResourceList of the objects.
pub(super) fn resource_list(objects: &[Stored]) -> ResourceList {
    let mut list = ResourceList::new();
    for item in objects {
        let names = list.entry(list_key(&item.resource)).or_default();
        names.push(list_name(&item.object));
    }
    sorted(list)
}

pub(super) fn core(kind: &str, plural: &str) -> ApiResource {
    ApiResource {
        group: String::new(),
        version: "v1".to_owned(),
        api_version: "v1".to_owned(),
        kind: kind.to_owned(),
        plural: plural.to_owned(),
    }
}

async fn namespaces(
    server: &Server,
    selection: &Selection,
    log: &mut Log,
) -> anyhow::Result<BTreeMap<String, DynamicObject>> {
    let api: Api<DynamicObject> =
        Api::all_with(server.client.clone(), &core("Namespace", "namespaces"));
    let mut found: BTreeMap<String, DynamicObject> = BTreeMap::new();
    for object in api.list(&ListParams::default()).await? {
        let name = object.metadata.name.clone().unwrap_or_default();
        if selection.has_namespace(&name) && !excluded(&object) {
            found.insert(name, object);
        }
    }
    for name in selection.named_namespaces().unwrap_or_default() {
        if !found.contains_key(name) {
            log.info(&format!(
                "namespace {name} is not in the cluster, skipping it"
            ));
        }
    }
    Ok(found)
}

/// The namespaced kinds that can be listed, each in its preferred version;
/// events, which two groups serve, only in the old one.
async fn namespaced_resources(server: &Server) -> anyhow::Result<Vec<ApiResource>> {
    let discovery = Discovery::new(server.client.clone()).run().await?;
    let mut resources: Vec<ApiResource> = discovery
        .groups()
        .flat_map(kube::discovery::ApiGroup::recommended_resources)
        .filter(|(_, can)| can.scope == Scope::Namespaced && can.supports_operation(verbs::LIST))
        .map(|(resource, _)| resource)
        .filter(|resource| resource.group != "events.k8s.io")
        .collect();
    resources.sort_by(|a, b| (&a.group, &a.plural).cmp(&(&b.group, &b.plural)));
    Ok(resources)
}

/// The PersistentVolumes of the claims among `objects`.
async fn volumes(
    server: &Server,
    selection: &Selection,
    objects: &[Stored],
    log: &mut Log,
) -> anyhow::Result<Vec<Stored>> {
    let resource = core("PersistentVolume", "persistentvolumes");
    if !selection.has_resource(&resource) {
        return Ok(Vec::new());
    }
    let api: Api<DynamicObject> = Api::all_with(server.client.clone(), &resource);
    let mut volumes = Vec::new();
    for claim in objects {
        if claim.resource.kind != "PersistentVolumeClaim" || !claim.resource.group.is_empty() {
            continue;
        }
        let Some(name) = text(&claim.object, "/spec/volumeName").filter(|name| !name.is_empty())
        else {
            continue;
        };
        if let Some(volume) = api.get_opt(name).await? {
            volumes.extend(stored(&resource, &volume, None)?);
        } else {
            let namespace = text(&claim.object, "/metadata/namespace").unwrap_or_default();
            let missing = format!("persistentvolumes \"{name}\" not found");
            log.warn(namespace, missing);
        }
    }
    Ok(volumes)
}

fn excluded(object: &DynamicObject) -> bool {
    let labels = object.metadata.labels.as_ref();
    labels
        .and_then(|labels| labels.get(EXCLUDE))
        .is_some_and(|value| value == "true")
}

/// The object as the backup holds it; `None` if it is not to be held.
fn stored(
    resource: &ApiResource,
    object: &DynamicObject,
    selection: Option<&Selection>,
) -> anyhow::Result<Option<Stored>> {
    let mut value = serde_json::to_value(object)?;
    if excluded(object) || selection.is_some_and(|selection| !selection.has_labels(&value)) {
        return Ok(None);
    }
    // The items of a list do not say what they are.
    value["apiVersion"] = Value::from(resource.api_version.as_str());
    value["kind"] = Value::from(resource.kind.as_str());
    Ok(Some(Stored {
        resource: resource.clone(),
        object: value,
    }))
}
