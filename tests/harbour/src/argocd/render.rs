//! From a commit to the objects it asks for.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::Options;
use super::git::Repository;
use super::tenant::{ORDER_FILE, ORDERS_PLUGIN, TENANT_PLUGIN};
use super::{platform_application, tenant_objects};

/// The text of files by their path.
type Files = Arc<BTreeMap<String, String>>;

/// The files of folders at commits, which never change.
#[derive(Default)]
pub(super) struct Checkouts {
    known: Mutex<HashMap<(Repository, String, String), Files>>,
}

impl Checkouts {
    pub(super) async fn files(
        &self,
        repository: &Repository,
        commit: &str,
        folder: &str,
    ) -> anyhow::Result<Files> {
        let key = (repository.clone(), commit.to_owned(), folder.to_owned());
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(files) = known().get(&key) {
            return Ok(files.clone());
        }
        let files = Arc::new(repository.files(commit, folder).await?);
        known().insert(key, files.clone());
        Ok(files)
    }
}

/// The objects that an Application's source asks for at a commit, each with its
/// kind and name, and none twice.
pub(super) async fn render(
    options: &Options,
    checkouts: &Checkouts,
    source: &Value,
    commit: &str,
) -> anyhow::Result<Vec<Value>> {
    let url = source["repoURL"].as_str().unwrap_or_default();
    let folder = source["path"].as_str().unwrap_or_default();
    let folder = folder.trim_matches('/').trim_start_matches("./");
    let repository = Repository::of_url(&options.git_root, url)
        .with_context(|| format!("{url}: no such repository"))?;
    let files = checkouts.files(&repository, commit, folder).await?;
    let plugin = source.pointer("/plugin/name").and_then(Value::as_str);
    match plugin {
        None => manifests(folder, &files),
        Some(ORDERS_PLUGIN) => files
            .iter()
            .filter(|(path, _)| is_order(path))
            .map(|(path, order)| platform_application(options, path, order))
            .collect(),
        Some(TENANT_PLUGIN) => {
            let env = source.pointer("/plugin/env").and_then(Value::as_array);
            let file = env
                .into_iter()
                .flatten()
                .find(|variable| variable["name"] == ORDER_FILE)
                .and_then(|variable| variable["value"].as_str())
                .context("the source names no order")?;
            let path = match folder {
                "" | "." => file.to_owned(),
                folder => format!("{folder}/{file}"),
            };
            let order = files
                .get(&path)
                .with_context(|| format!("{path}: no such order"))?;
            tenant_objects(options, order).with_context(|| path)
        }
        Some(other) => bail!("{other}: no such plugin"),
    }
}

fn is_order(path: &str) -> bool {
    path.rsplit('/')
        .next()
        .is_some_and(|file| file.ends_with("-tenant.yaml"))
}

/// The manifests directly in a folder, several to a file.
fn manifests(folder: &str, files: &BTreeMap<String, String>) -> anyhow::Result<Vec<Value>> {
    let mut objects = Vec::new();
    if files.is_empty() {
        bail!("{folder}: app path does not exist");
    }
    for (path, text) in files {
        let below = path.strip_prefix(folder).unwrap_or(path);
        let direct = !below.trim_start_matches('/').contains('/');
        let yaml = [".yaml", ".yml", ".json"];
        if !direct || !yaml.iter().any(|end| path.ends_with(end)) {
            continue;
        }
        let documents: Vec<Value> =
            serde_saphyr::from_multiple(text).with_context(|| format!("{path}: no YAML"))?;
        for mut document in documents {
            if document.is_null() {
                continue;
            }
            let complete = ["/apiVersion", "/kind", "/metadata/name"]
                .iter()
                .all(|field| document.pointer(field).is_some_and(Value::is_string));
            if !complete {
                bail!("{path}: a manifest without apiVersion, kind or name");
            }
            encode_secret(&mut document);
            objects.push(document);
        }
    }
    Ok(objects)
}

/// A Secret is compared as it is stored: `stringData` becomes `data`.
fn encode_secret(object: &mut Value) {
    if object["kind"] != "Secret" {
        return;
    }
    let Some(fields) = object.as_object_mut() else {
        return;
    };
    let Some(Value::Object(plain)) = fields.remove("stringData") else {
        return;
    };
    let data = fields
        .entry("data")
        .or_insert_with(|| Value::Object(serde_json::Map::new()));
    if let Some(data) = data.as_object_mut() {
        for (key, value) in plain {
            let text = value.as_str().unwrap_or_default();
            data.insert(key, STANDARD.encode(text).into());
        }
    }
}
