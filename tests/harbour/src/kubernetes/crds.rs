//! The definitions of Velero's and Argo CD's kinds.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, bail};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, PostParams};
use kube::core::DynamicObject;
use kube::discovery::ApiResource;
use kube::runtime::conditions::is_crd_established;
use kube::runtime::wait::await_condition;
use serde_json::{Value, json};
use uuid::Uuid;

use super::kinds::{self, Kind};
use super::store::{Key, Object, Store, World};
use super::time::now;
use super::write;

/// Kind, plural, group, version, short names, whether it has a status subresource.
type Open = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static [&'static str],
    bool,
);

const OPEN: &[Open] = &[
    ("Backup", "backups", "velero.io", "v1", &[], false),
    ("Restore", "restores", "velero.io", "v1", &[], false),
    ("Schedule", "schedules", "velero.io", "v1", &[], false),
    (
        "PodVolumeBackup",
        "podvolumebackups",
        "velero.io",
        "v1",
        &[],
        false,
    ),
    (
        "PodVolumeRestore",
        "podvolumerestores",
        "velero.io",
        "v1",
        &[],
        false,
    ),
    (
        "BackupStorageLocation",
        "backupstoragelocations",
        "velero.io",
        "v1",
        &["bsl"],
        false,
    ),
    (
        "DownloadRequest",
        "downloadrequests",
        "velero.io",
        "v1",
        &[],
        false,
    ),
    (
        "DeleteBackupRequest",
        "deletebackuprequests",
        "velero.io",
        "v1",
        &[],
        false,
    ),
    (
        "ServerStatusRequest",
        "serverstatusrequests",
        "velero.io",
        "v1",
        &["ssr"],
        false,
    ),
    (
        "DataDownload",
        "datadownloads",
        "velero.io",
        "v2alpha1",
        &[],
        false,
    ),
    (
        "DataUpload",
        "datauploads",
        "velero.io",
        "v2alpha1",
        &[],
        false,
    ),
    (
        "Application",
        "applications",
        "argoproj.io",
        "v1alpha1",
        &["app", "apps"],
        false,
    ),
    (
        "ApplicationSet",
        "applicationsets",
        "argoproj.io",
        "v1alpha1",
        &["appset", "appsets"],
        true,
    ),
    (
        "AppProject",
        "appprojects",
        "argoproj.io",
        "v1alpha1",
        &["appproj", "appprojs"],
        false,
    ),
];

/// Installs the definitions of Velero's and Argo CD's kinds on any API server,
/// and waits until they are established. Those that are there already stay as they are.
///
/// `specs` is a folder that may hold `crds/velero/*.yaml` and
/// `crds/argocd/*.yaml`, the published definitions; for each kind that is not
/// found there, an open definition takes its place: same names, scope and
/// subresources, but any fields.
///
/// # Errors
///
/// A file cannot be read, the server refuses a definition, or it is not
/// established within 30 seconds.
pub async fn install_crds(client: kube::Client, specs: Option<&Path>) -> anyhow::Result<()> {
    let resource = ApiResource::erase::<CustomResourceDefinition>(&());
    let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
    let mut pending = Vec::new();
    for (name, definition) in definitions(specs)? {
        let object: DynamicObject = serde_json::from_value(definition)
            .with_context(|| format!("the definition {name} is misshapen"))?;
        match api.create(&PostParams::default(), &object).await {
            Ok(made) if is_established(&made.data) => {}
            Ok(_) => pending.push(name),
            Err(kube::Error::Api(status)) if status.is_already_exists() => pending.push(name),
            Err(error) => return Err(error).with_context(|| format!("install {name}")),
        }
    }
    let typed: Api<CustomResourceDefinition> = Api::all(client);
    for name in pending {
        let established = await_condition(typed.clone(), &name, is_crd_established());
        match tokio::time::timeout(Duration::from_secs(30), established).await {
            Ok(done) => done.with_context(|| format!("wait for {name}"))?,
            Err(_) => bail!("{name} is not established after 30 seconds"),
        };
    }
    Ok(())
}

fn is_established(definition: &Value) -> bool {
    definition["status"]["conditions"]
        .as_array()
        .into_iter()
        .flatten()
        .any(|condition| condition["type"] == "Established" && condition["status"] == "True")
}

/// Every definition, by name: the published one where there is one, else the open one.
fn definitions(specs: Option<&Path>) -> anyhow::Result<Vec<(String, Value)>> {
    let published = match specs {
        Some(folder) => published(folder)?,
        None => Arc::default(),
    };
    Ok(OPEN
        .iter()
        .map(|open| {
            let name = format!("{}.{}", open.1, open.2);
            let definition = published
                .get(&name)
                .cloned()
                .unwrap_or_else(|| open_definition(open));
            (name, definition)
        })
        .collect())
}

fn open_definition(open: &Open) -> Value {
    let &(kind, plural, group, version, short_names, status) = open;
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.{group}")},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {
                "kind": kind,
                "listKind": format!("{kind}List"),
                "plural": plural,
                "singular": kind.to_lowercase(),
                "shortNames": short_names,
            },
            "versions": [{
                "name": version,
                "served": true,
                "storage": true,
                "subresources": if status { json!({"status": {}}) } else { json!({}) },
                "schema": {
                    "openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
                },
            }],
        },
    })
}

/// The made definitions, by the folder of the published ones.
type Made = HashMap<Option<PathBuf>, Arc<Vec<Object>>>;

/// The definitions as a server keeps them. Taking them in costs more than the
/// rest of a server's start, so it is done once in the life of a process.
pub(super) fn made(specs: Option<&Path>) -> anyhow::Result<Arc<Vec<Object>>> {
    static MADE: LazyLock<Mutex<Made>> = LazyLock::new(Mutex::default);
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    let specs = specs.map(Path::to_owned);
    if let Some(known) = made.get(&specs) {
        return Ok(Arc::clone(known));
    }
    let kind = definition_kind()?;
    let scratch = Store::new();
    let mut world = scratch.lock();
    let mut objects = Vec::new();
    for (name, body) in definitions(specs.as_deref())? {
        match write::create(&mut world, kind, None, body, &mut super::system()) {
            Ok(object) => objects.push(object),
            Err(failure) => bail!("install {name}: {}", failure.status()),
        }
    }
    let objects = Arc::new(objects);
    made.insert(specs, Arc::clone(&objects));
    Ok(objects)
}

/// Puts definitions that were made before into a world, except those it has.
pub(super) fn put(world: &mut World, made: &[Object]) -> anyhow::Result<()> {
    let kind = definition_kind()?;
    for object in made {
        let key = Key::new(None, object.name());
        if world.get(kind, &key).is_none() {
            let mut value = object.value.clone();
            value["metadata"]["uid"] = json!(Uuid::new_v4().to_string());
            value["metadata"]["creationTimestamp"] = json!(now());
            world.put(kind, key, value);
        }
    }
    Ok(())
}

fn definition_kind() -> anyhow::Result<&'static Arc<Kind>> {
    kinds::known("apiextensions.k8s.io", "CustomResourceDefinition")
        .context("there are no custom kinds")
}

type Definitions = Arc<HashMap<String, Value>>;

/// The published definitions of a folder, by name. They are large and do not
/// change, so they are read once in the life of a process.
fn published(folder: &Path) -> anyhow::Result<Definitions> {
    static READ: LazyLock<Mutex<HashMap<PathBuf, Definitions>>> = LazyLock::new(Mutex::default);
    let mut read = READ.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = read.get(folder) {
        return Ok(Arc::clone(known));
    }
    let mut definitions = HashMap::new();
    for part in ["crds/velero", "crds/argocd"] {
        let Ok(entries) = std::fs::read_dir(folder.join(part)) else {
            continue;
        };
        for entry in entries {
            let path = entry?.path();
            if path.extension().is_none_or(|extension| extension != "yaml") {
                continue;
            }
            let text = std::fs::read_to_string(&path)
                .with_context(|| format!("read {}", path.display()))?;
            let mut definition: Value = serde_saphyr::from_str(&text)
                .with_context(|| format!("parse {}", path.display()))?;
            undescribe(&mut definition["spec"]["versions"]);
            if let Some(name) = definition["metadata"]["name"].as_str() {
                definitions.insert(name.to_owned(), definition);
            }
        }
    }
    let definitions = Arc::new(definitions);
    read.insert(folder.to_owned(), Arc::clone(&definitions));
    Ok(definitions)
}

/// Takes the descriptions out of a schema: they are most of its bytes, and no part of its meaning.
fn undescribe(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            // A property may itself be called `description`; its value is a schema then, not text.
            fields.retain(|name, value| name != "description" || !value.is_string());
            fields.values_mut().for_each(undescribe);
        }
        Value::Array(items) => items.iter_mut().for_each(undescribe),
        _ => {}
    }
}
