//! The ApplicationSet controller: one Application for each folder in Git.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::Context;
use kube::api::DeleteParams;
use serde_json::{Value, json};

use super::git::Repository;
use super::{Controller, GROUP, SET_REFRESH, now};
use crate::workloads::mirror::{Key, Object};
use crate::workloads::subset;

impl Controller {
    pub(super) async fn reconcile_set(&self, key: &Key) -> anyhow::Result<()> {
        let Some(set) = self.mirror.get(key).filter(|set| !set.deleting()) else {
            return Ok(());
        };
        if set.annotation(SET_REFRESH).is_some() {
            let patch = json!({"metadata": {"annotations": {SET_REFRESH: null}}});
            self.mirror.patch(&set, patch).await?;
        }
        let wanted = match self.generate(&set).await {
            Ok(wanted) => wanted,
            Err(error) => {
                return self.report(&set, 0, Some(format!("{error:#}"))).await;
            }
        };
        let mut existing: BTreeMap<String, Arc<Object>> = self
            .mirror
            .in_namespace(GROUP, "Application", set.namespace())
            .into_iter()
            .filter(|app| app.controller().is_some_and(|owner| owner.uid == set.uid()))
            .map(|app| (app.name().to_owned(), app))
            .collect();
        let count = wanted.len();
        for (name, body) in wanted {
            match existing.remove(&name) {
                None => {
                    let kind = self.mirror.kind(GROUP, "Application");
                    let kind = kind.context("the cluster serves no Applications")?;
                    self.mirror.create(&kind, set.namespace(), body).await?;
                }
                Some(app) if app.deleting() => {}
                Some(app) => self.rewrite(&set, &app, &body).await?,
            }
        }
        for surplus in existing.values().filter(|app| !app.deleting()) {
            let how = DeleteParams::background();
            self.mirror.delete(surplus, how).await?;
        }
        self.report(&set, count, None).await
    }

    /// Brings an Application back to its template.
    async fn rewrite(&self, set: &Object, app: &Object, body: &Value) -> anyhow::Result<()> {
        let mut spec = body["spec"].clone();
        let live = app.at("/spec").cloned().unwrap_or_default();
        let ignored = set
            .at("/spec/ignoreApplicationDifferences")
            .and_then(Value::as_array);
        for rule in ignored.into_iter().flatten() {
            if rule["name"].as_str().is_some_and(|name| name != app.name()) {
                continue;
            }
            let pointers = rule["jsonPointers"].as_array();
            for pointer in pointers.into_iter().flatten().filter_map(Value::as_str) {
                if let Some(pointer) = pointer.strip_prefix("/spec")
                    && let Some(kept) = live.pointer(pointer)
                    && let Some(place) = spec.pointer_mut(pointer)
                {
                    *place = kept.clone();
                }
            }
        }
        if spec == live || self.faults.holds(set.name()) {
            return Ok(());
        }
        let mut replaced = app.body.clone();
        replaced.data["spec"] = spec;
        self.mirror.replace(app, &replaced).await?;
        Ok(())
    }

    /// The Applications that a set asks for now, by name.
    async fn generate(&self, set: &Object) -> anyhow::Result<BTreeMap<String, Value>> {
        let template = set.at("/spec/template").cloned().unwrap_or_default();
        let generators = set.at("/spec/generators").and_then(Value::as_array);
        let mut wanted = BTreeMap::new();
        for generator in generators.into_iter().flatten() {
            let git = &generator["git"];
            let url = git["repoURL"].as_str().context("not a git generator")?;
            let repository = Repository::of_url(&self.options.git_root, url)
                .with_context(|| format!("{url}: no such repository"))?;
            let revision = git["revision"].as_str().unwrap_or("HEAD");
            let commit = repository
                .resolve(revision)
                .with_context(|| format!("{url}: unable to resolve {revision:?} to a commit"))?;
            let files = self.checkouts.files(&repository, &commit, "").await?;
            for folder in folders(files.keys(), &git["directories"]) {
                let mut app = template.clone();
                substitute(&mut app, &folder);
                let name = app["metadata"]["name"].as_str().unwrap_or_default();
                let name = name.to_owned();
                app["metadata"]["ownerReferences"] = json!([{
                    "apiVersion": set.kind.resource.api_version,
                    "kind": set.kind.resource.kind,
                    "name": set.name(),
                    "uid": set.uid(),
                    "controller": true,
                    "blockOwnerDeletion": true,
                }]);
                wanted.insert(name, app);
            }
        }
        Ok(wanted)
    }

    async fn report(
        &self,
        set: &Object,
        count: usize,
        error: Option<String>,
    ) -> anyhow::Result<()> {
        let failed = error.is_some();
        let said = error.unwrap_or_else(|| "Successfully generated all applications".to_owned());
        let condition = |kind: &str, holds: bool, reason: &str| {
            let before = set.at("/status/conditions").and_then(Value::as_array);
            let mut condition = json!({
                "type": kind,
                "status": if holds { "True" } else { "False" },
                "reason": reason,
                "message": said,
            });
            let mut same = before.into_iter().flatten();
            let same = same.find(|it| subset(&condition, Some(it)));
            condition["lastTransitionTime"] = match same {
                Some(same) => same["lastTransitionTime"].clone(),
                None => now().into(),
            };
            condition
        };
        let (reason, up_to_date) = if failed {
            (
                "ApplicationGenerationFromParamsError",
                "ApplicationSetModified",
            )
        } else {
            ("ApplicationSetUpToDate", "ApplicationSetUpToDate")
        };
        let status = json!({
            "conditions": [
                condition("ErrorOccurred", failed, reason),
                condition("ParametersGenerated", !failed, reason),
                condition("ResourcesUpToDate", !failed, up_to_date),
            ],
            "resourcesCount": count,
        });
        if !subset(&status, set.at("/status")) {
            let patch = json!({"status": status});
            self.mirror.patch_status(set, patch).await?;
        }
        Ok(())
    }
}

/// The folders that hold files and that one pattern includes and none excludes.
fn folders<'a>(files: impl Iterator<Item = &'a String>, patterns: &Value) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for file in files {
        let mut folder = file.as_str();
        while let Some((parent, _)) = folder.rsplit_once('/') {
            all.insert(parent.to_owned());
            folder = parent;
        }
    }
    let patterns = patterns.as_array();
    let matched = |folder: &str, exclude: bool| {
        let mut patterns = patterns.into_iter().flatten();
        patterns.any(|pattern| {
            pattern["exclude"].as_bool().unwrap_or(false) == exclude
                && pattern["path"]
                    .as_str()
                    .is_some_and(|path| matches(path, folder))
        })
    };
    all.retain(|folder| matched(folder, false) && !matched(folder, true));
    all
}

/// A path pattern whose segments are a name or `*`.
fn matches(pattern: &str, folder: &str) -> bool {
    let (pattern, folder) = (pattern.split('/'), folder.split('/'));
    pattern.clone().count() == folder.clone().count()
        && pattern
            .zip(folder)
            .all(|(wanted, part)| wanted == part || (wanted == "*" && !part.starts_with('.')))
}

/// Fills in a template's variables, in the Go form and the older one.
fn substitute(template: &mut Value, folder: &str) {
    match template {
        Value::String(text) => {
            let basename = folder.rsplit('/').next().unwrap_or(folder);
            for (variable, value) in [
                ("{{.path.basename}}", basename),
                ("{{path.basename}}", basename),
                ("{{.path.path}}", folder),
                ("{{path}}", folder),
            ] {
                if text.contains(variable) {
                    *text = text.replace(variable, value);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| substitute(item, folder)),
        Value::Object(fields) => fields
            .values_mut()
            .for_each(|value| substitute(value, folder)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_those_that_patterns_name() {
        let files = [
            "dev/web/a.yaml",
            "dev/db/x/b.yaml",
            "test/web/c.yaml",
            "d.yaml",
        ];
        let files = files.map(str::to_owned);
        let all = json!([{"path": "dev/*"}]);
        let found = folders(files.iter(), &all);
        assert_eq!(found.into_iter().collect::<Vec<_>>(), ["dev/db", "dev/web"]);
        let some = json!([{"path": "*/web"}, {"path": "test/*", "exclude": true}]);
        let found = folders(files.iter(), &some);
        assert_eq!(found.into_iter().collect::<Vec<_>>(), ["dev/web"]);
    }
}
