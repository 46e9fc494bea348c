//! A backup at once, as a schedule would make it; and how much data the volumes of backups hold.

use std::collections::{BTreeMap, HashMap};

use anyhow::Context as _;
use kube::api::{ListParams, PostParams};
use kube::core::DynamicObject;
use kube::{Client, ResourceExt as _};
use serde_json::{Value, json};

use super::super::{dynamic, json, velero_kind};
use super::shelf;
use crate::backups::{Backup, Whose};
use crate::request::preflight::label_value;

/// Marks a backup with the message that asked for it.
pub const ASKED_LABEL: &str = "refloat.dev/asked";

/// What came of asking for a backup.
#[derive(Clone, Debug, PartialEq)]
pub enum Asked {
    /// It was made now.
    Made(Backup),
    /// The same message had it made before.
    Found(Backup),
    /// There is no such Schedule.
    NoSchedule,
    /// The Schedule covers what is not the tenant's own.
    NotTheirs,
}

/// Makes the Backup `name` from the template of a Schedule, or finds it. `asked` is the same for the same
/// message, and no other's.
pub async fn backup_now(
    client: &Client,
    namespace: &str,
    schedule: &str,
    name: &str,
    asked: &str,
    whose: &Whose,
) -> anyhow::Result<Asked> {
    let backups = dynamic(client, namespace, &velero_kind("Backup", "backups"));
    if let Some(found) = backups
        .get_opt(name)
        .await
        .with_context(|| format!("read the Backup {name}"))?
    {
        return found_one(&found, asked);
    }
    let Some(from) = dynamic(client, namespace, &velero_kind("Schedule", "schedules"))
        .get_opt(schedule)
        .await
        .with_context(|| format!("read the Schedule {schedule}"))?
    else {
        return Ok(Asked::NoSchedule);
    };
    if !whose.owns_schedule(&shelf::schedule(&from)) {
        return Ok(Asked::NotTheirs);
    }
    // As Velero itself does it: the template's own labels, or else the Schedule's.
    let mut labels: BTreeMap<String, String> = from
        .data
        .pointer("/spec/template/metadata/labels")
        .and_then(|labels| serde_json::from_value(labels.clone()).ok())
        .unwrap_or_else(|| from.labels().clone());
    labels.insert("velero.io/schedule-name".to_owned(), label_value(schedule));
    labels.insert(ASKED_LABEL.to_owned(), asked.to_owned());
    let template = from.data.pointer("/spec/template").cloned();
    let object: DynamicObject = serde_json::from_value(json!({
        "apiVersion": "velero.io/v1",
        "kind": "Backup",
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": template.unwrap_or_else(|| Value::Object(serde_json::Map::new())),
    }))?;
    match backups.create(&PostParams::default(), &object).await {
        Ok(made) => Ok(Asked::Made(shelf::backup(&made))),
        Err(kube::Error::Api(status)) if status.code == 409 => {
            found_one(&backups.get(name).await?, asked)
        }
        Err(error) => Err(error).with_context(|| format!("create the Backup {name}")),
    }
}

fn found_one(found: &DynamicObject, asked: &str) -> anyhow::Result<Asked> {
    anyhow::ensure!(
        found.labels().get(ASKED_LABEL).map(String::as_str) == Some(asked),
        "the Backup {} exists, but was made by somebody else",
        found.name_any()
    );
    Ok(Asked::Found(shelf::backup(found)))
}

/// The bytes that the volumes of some backups hold, by the backup's name; one without volumes is not there.
pub async fn volumes_of(
    client: &Client,
    namespace: &str,
    backups: &[String],
) -> anyhow::Result<HashMap<String, i64>> {
    let mut bytes = HashMap::new();
    if backups.is_empty() {
        return Ok(bytes);
    }
    let labels: Vec<String> = backups.iter().map(|name| label_value(name)).collect();
    let params =
        ListParams::default().labels(&format!("velero.io/backup-name in ({})", labels.join(",")));
    let by_file = velero_kind("PodVolumeBackup", "podvolumebackups");
    let mut by_mover = velero_kind("DataUpload", "datauploads");
    "v2alpha1".clone_into(&mut by_mover.version);
    "velero.io/v2alpha1".clone_into(&mut by_mover.api_version);
    for kind in [by_file, by_mover] {
        let list = match dynamic(client, namespace, &kind).list(&params).await {
            Ok(list) => list,
            // A cluster without data movers.
            Err(kube::Error::Api(status)) if status.code == 404 => continue,
            Err(error) => {
                return Err(error).with_context(|| format!("list Velero's {}", kind.plural));
            }
        };
        for volume in &list.items {
            let Some(label) = volume.labels().get("velero.io/backup-name") else {
                continue;
            };
            let of = backups
                .iter()
                .zip(&labels)
                .find(|(_, known)| *known == label);
            let held = json::number(&volume.data, "/status/progress/totalBytes")
                .max(json::number(&volume.data, "/status/progress/bytesDone"));
            if let Some((name, _)) = of {
                let sum: &mut i64 = bytes.entry(name.clone()).or_default();
                *sum = sum.saturating_add(held);
            }
        }
    }
    Ok(bytes)
}
