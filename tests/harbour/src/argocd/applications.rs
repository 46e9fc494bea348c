//! The application controller: looks at an Application, says how it stands,
//! and decides whether it is to be synced.

use std::time::Duration;

use kube::api::DeleteParams;
use serde_json::{Map, Value, json};

use super::compare::{Comparison, compare};
use super::tenant::CASCADE;
use super::{Controller, Level, REFRESH, merge, now, render, track};
use crate::workloads::mirror::{Key, Object};

/// What automated sync makes of a comparison.
enum Decision {
    Leave,
    /// Start this operation.
    Sync(Value),
    /// Self-heal, but not before this much time has passed.
    Wait(Duration),
    /// Do nothing, and say why in a `SyncError` condition.
    Refuse(String),
}

impl Controller {
    /// Looks at an Application as thoroughly as was asked for.
    pub(super) async fn refresh(&self, key: &Key) -> anyhow::Result<Option<Duration>> {
        let Some(app) = self.mirror.get(key) else {
            return Ok(None);
        };
        if app.deleting() {
            return self.cascade(&app).await;
        }
        let asked = self.take_level(key);
        let Some(level) = asked.max(self.wants_refresh(&app)) else {
            return Ok(None);
        };
        let looked = self.look(&app, level).await;
        if looked.is_err() {
            self.keep_level(key, level);
        }
        looked
    }

    /// What an Application asks for by itself.
    fn wants_refresh(&self, app: &Object) -> Option<Level> {
        let compared = |part: &str| {
            let then = app.at(&format!("/status/sync/comparedTo/{part}"));
            then == app.at(&format!("/spec/{part}"))
        };
        let stale = app.annotation(REFRESH).is_some()
            || app.at("/status/reconciledAt").is_none()
            || !compared("source")
            || !compared("destination")
            || self.looked_at(&app.key()) >= self.options.poll;
        stale.then_some(Level::Latest)
    }

    async fn look(&self, app: &Object, level: Level) -> anyhow::Result<Option<Duration>> {
        let key = app.key();
        let source = app.at("/spec/source").cloned().unwrap_or_default();
        let known = app
            .text("/status/sync/revision")
            .filter(|it| !it.is_empty());
        let compared = async {
            let commit = match (level, known) {
                (Level::Recent, Some(known)) => known.to_owned(),
                _ => self.resolve(&source, source["targetRevision"].as_str().unwrap_or("HEAD"))?,
            };
            let targets = render(&self.options, &self.checkouts, &source, &commit).await?;
            let namespace = app.text("/spec/destination/namespace").unwrap_or_default();
            let instance = self.instance(app);
            anyhow::Ok((commit, compare(&self.mirror, &instance, namespace, targets)))
        };
        let mut status = app.at("/status").cloned().unwrap_or_else(|| json!({}));
        let mut conditions = Vec::new();
        let mut decision = Decision::Leave;
        status["sync"]["comparedTo"] = Value::Object(
            ["source", "destination"]
                .into_iter()
                .filter_map(|part| {
                    Some((part.to_owned(), app.at(&format!("/spec/{part}"))?.clone()))
                })
                .collect::<Map<_, _>>(),
        );
        match compared.await {
            Ok((commit, comparison)) => {
                self.remember_targets(&key, &comparison);
                decision = self.decide(app, &commit, &comparison);
                if let Decision::Refuse(message) = &decision {
                    conditions.push(("SyncError", message.clone()));
                }
                let sync = if comparison.synced {
                    "Synced"
                } else {
                    "OutOfSync"
                };
                status["sync"]["status"] = sync.into();
                status["sync"]["revision"] = commit.into();
                status["resources"] = comparison.resources();
                set_health(&mut status, comparison.health);
            }
            Err(error) => {
                conditions.push(("ComparisonError", format!("{error:#}")));
                status["sync"]["status"] = "Unknown".into();
                set_health(&mut status, "Unknown");
            }
        }
        let plugin = source.pointer("/plugin/name").is_some();
        status["sourceType"] = if plugin { "Plugin" } else { "Directory" }.into();
        set_conditions(&mut status, &conditions);
        if level == Level::Latest || app.at("/status/reconciledAt").is_none() {
            status["reconciledAt"] = now().into();
            self.note_look(&key);
        }
        let before = app.at("/status").cloned().unwrap_or_default();
        let mut patch = json!({});
        if let Some(difference) = merge::difference(&before, &status) {
            patch["status"] = difference;
        }
        if app.annotation(REFRESH).is_some() {
            patch["metadata"]["annotations"][REFRESH] = Value::Null;
        }
        if let Decision::Sync(operation) = &decision {
            // Nobody's operation may be overwritten, nor a change of the policy missed.
            patch["operation"] = operation.clone();
        }
        if patch.as_object().is_some_and(|patch| !patch.is_empty()) {
            patch["metadata"]["resourceVersion"] =
                json!(app.body.metadata.resource_version.as_deref());
            self.mirror.patch(app, patch).await?;
        }
        if let Decision::Wait(pause) = decision {
            self.keep_level(&key, Level::Recent);
            return Ok(Some(pause));
        }
        Ok(None)
    }

    /// Automated sync, by the rules of Argo CD's application controller.
    fn decide(&self, app: &Object, commit: &str, comparison: &Comparison) -> Decision {
        let Some(automated) = app.at("/spec/syncPolicy/automated") else {
            return Decision::Leave;
        };
        let flag = |key: &str| automated[key].as_bool() == Some(true);
        let enabled = automated.is_object() && automated["enabled"].as_bool() != Some(false);
        let busy = app.at("/operation").is_some_and(Value::is_object);
        if !enabled || busy || comparison.synced {
            return Decision::Leave;
        }
        let resources = &comparison.resources;
        let only_surplus = resources
            .iter()
            .all(|it| it.synced || it.requires_pruning());
        if only_surplus && !flag("prune") {
            return Decision::Leave;
        }
        let mut sync = json!({"revision": commit, "prune": flag("prune")});
        let state = app.at("/status/operationState");
        let attempted = state.filter(|state| {
            let synced = &state["syncResult"];
            !state["operation"]["sync"].is_null()
                && synced["revision"] == commit
                && app
                    .at("/spec/source")
                    .is_some_and(|source| same_source(source, &synced["source"]))
        });
        if let Some(state) = attempted {
            match state["phase"].as_str() {
                Some("Succeeded") => {}
                Some("Running") => return Decision::Leave,
                _ => {
                    let message = state["message"].as_str().unwrap_or_default();
                    return Decision::Refuse(format!(
                        "Failed last sync attempt to {commit}: {message}"
                    ));
                }
            }
            if !flag("selfHeal") {
                return Decision::Leave;
            }
            let since = self.since_finished(&app.key());
            if let Some(pause) = self.options.self_heal_delay.checked_sub(since)
                && !pause.is_zero()
            {
                return Decision::Wait(pause);
            }
            let differing = resources.iter().filter(|it| !it.synced);
            sync["resources"] = differing
                .map(|it| {
                    json!({
                        "group": it.key.group,
                        "kind": it.key.kind,
                        "namespace": it.key.namespace,
                        "name": it.key.name,
                    })
                })
                .collect();
        }
        let all_surplus = resources
            .iter()
            .all(super::compare::Resource::requires_pruning);
        if flag("prune") && !flag("allowEmpty") && all_surplus {
            return Decision::Refuse(format!(
                "Skipping sync attempt to {commit}: auto-sync will wipe out all resources"
            ));
        }
        Decision::Sync(json!({
            "initiatedBy": {"automated": true},
            "retry": {"limit": 5},
            "sync": sync,
        }))
    }

    /// Takes the objects of a deleted Application along, if it is to.
    async fn cascade(&self, app: &Object) -> anyhow::Result<Option<Duration>> {
        if !app.has_finalizer(CASCADE) {
            return Ok(None);
        }
        let instance = self.instance(app);
        let owned = self.mirror.find(|object| {
            object.body.metadata.owner_references.is_none()
                && track::instance_of(object) == Some(&instance)
        });
        if owned.is_empty() {
            let patch = json!({"metadata": {"finalizers": app.finalizers_without(CASCADE)}});
            self.mirror.patch(app, patch).await?;
            return Ok(None);
        }
        for object in owned.iter().filter(|object| !object.deleting()) {
            self.mirror
                .delete(object, DeleteParams::foreground())
                .await?;
        }
        Ok(Some(Duration::from_millis(20)))
    }
}

/// True if two sources differ in their revision at most.
fn same_source(one: &Value, other: &Value) -> bool {
    let bare = |source: &Value| {
        let mut source = source.clone();
        if let Some(fields) = source.as_object_mut() {
            fields.remove("targetRevision");
        }
        source
    };
    bare(one) == bare(other)
}

fn set_health(status: &mut Value, health: &str) {
    if status["health"]["status"] != health {
        status["health"] = json!({"status": health, "lastTransitionTime": now()});
    }
}

/// Writes the conditions; one that says what it said before keeps its time.
fn set_conditions(status: &mut Value, conditions: &[(&str, String)]) {
    let before = status["conditions"].as_array().cloned().unwrap_or_default();
    if conditions.is_empty() && before.is_empty() {
        if let Some(fields) = status.as_object_mut() {
            fields.remove("conditions");
        }
        return;
    }
    status["conditions"] = conditions
        .iter()
        .map(|(kind, message)| {
            let mut same = before.iter();
            let same = same.find(|it| it["type"] == *kind && it["message"] == **message);
            same.cloned().unwrap_or_else(
                || json!({"type": kind, "message": message, "lastTransitionTime": now()}),
            )
        })
        .collect();
}
