//! The parts of the harbour together: a restore done by hand.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{Shape, backup_week, data_of_day, seed};
use crate::{argocd, velero, workloads};

const PATIENCE: Duration = Duration::from_mins(1);
const DEV: &str = "poseidon1-dev";

fn dynamic(client: &Client, namespace: &str, group: &str, kind: &str) -> Api<DynamicObject> {
    let version = match group {
        "argoproj.io" => "v1alpha1",
        _ => "v1",
    };
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
    Api::namespaced_with(client.clone(), namespace, &resource)
}

/// Waits until an object is as wanted.
async fn until(
    api: &Api<DynamicObject>,
    name: &str,
    holds: impl Fn(&Value) -> bool,
) -> anyhow::Result<Value> {
    let begun = Instant::now();
    loop {
        let object = api.get(name).await?;
        if holds(&object.data) {
            return Ok(object.data);
        }
        anyhow::ensure!(begun.elapsed() < PATIENCE, "{name}: {:#}", object.data);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Deletes every object of a kind that Argo CD or the tenant made, and waits
/// until none is left.
async fn clear(client: &Client, group: &str, kind: &str) -> anyhow::Result<()> {
    let api = dynamic(client, DEV, group, kind);
    let begun = Instant::now();
    loop {
        let mut left = 0;
        for object in api.list(&ListParams::default()).await? {
            let name = object.name_any();
            let platform = name.contains("-ca.crt") || name.contains("-dockercfg-");
            if platform {
                continue;
            }
            left += 1;
            if object.metadata.deletion_timestamp.is_none() {
                let gone = api.delete(&name, &DeleteParams::background()).await;
                if let Err(kube::Error::Api(status)) = &gone
                    && status.is_not_found()
                {
                    continue;
                }
                gone?;
            }
        }
        if left == 0 {
            return Ok(());
        }
        anyhow::ensure!(begun.elapsed() < PATIENCE, "{kind} stays");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_restore_by_hand_brings_the_day_back_and_changes_nothing_else() -> anyhow::Result<()> {
    let stop = CancellationToken::new();
    let _end = stop.clone().drop_guard();
    let (git, storage) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let client = super::stage::api_server(&stop).await?;
    workloads::start(client.clone(), workloads::Options::default(), stop.clone()).await;
    let options = argocd::Options::new(git.path());
    let argo = argocd::start(client.clone(), options, stop.clone()).await?;
    let mut options = velero::Options::new(storage.path().to_owned(), stop.clone());
    options.pace = Duration::from_millis(2);
    let velero = velero::start(client.clone(), options).await?;
    let platform = seed(client.clone(), git.path(), Shape::full(), PATIENCE).await?;
    let now = Timestamp::now();
    let backups = backup_week(&platform, &velero, now).await?;
    assert_eq!(backups["poseidon1"].len(), 7);
    let good = platform.snapshot().await?;
    platform.break_tenant(DEV).await?;

    // The order turns self-heal off, and each Application records its revision.
    let order = platform.order("poseidon1").await?;
    let off = order.replace("selfHeal: true", "selfHeal: false");
    platform
        .commit_order("poseidon1", &off, "Turn self-heal off")
        .await?;
    let apps = dynamic(&client, "openshift-gitops", "argoproj.io", "Application");
    for folder in ["web", "db", "files"] {
        let app = format!("{DEV}-apps-{folder}");
        until(&apps, &app, |app| {
            app["spec"]["syncPolicy"]["automated"]["selfHeal"] == false
                && app["operation"].is_null()
        })
        .await?;
        argo.sync_now("openshift-gitops", &app).await?;
        until(&apps, &app, |app| {
            app["operation"].is_null() && app["status"]["sync"]["status"] == "Synced"
        })
        .await?;
    }
    clear(&client, "apps", "Deployment").await?;
    clear(&client, "apps", "StatefulSet").await?;
    clear(&client, "apps", "ReplicaSet").await?;
    for kind in [
        "Pod",
        "PersistentVolumeClaim",
        "Service",
        "ConfigMap",
        "Secret",
    ] {
        clear(&client, "", kind).await?;
    }

    let restores = dynamic(&client, "openshift-adp", "velero.io", "Restore");
    let restore = serde_json::from_value(json!({
        "apiVersion": "velero.io/v1",
        "kind": "Restore",
        "metadata": {"name": "by-hand", "namespace": "openshift-adp"},
        "spec": {"backupName": backups["poseidon1"][4], "includedNamespaces": [DEV]},
    }))?;
    restores.create(&PostParams::default(), &restore).await?;
    let done = until(&restores, "by-hand", |restore| {
        let phase = restore["status"]["phase"].as_str().unwrap_or_default();
        matches!(
            phase,
            "Completed" | "PartiallyFailed" | "Failed" | "FailedValidation"
        )
    })
    .await?;
    assert_eq!(done["status"]["phase"], "Completed", "{done:#}");
    platform
        .commit_order("poseidon1", &order, "Turn self-heal on")
        .await?;
    for folder in ["web", "db", "files"] {
        let app = format!("{DEV}-apps-{folder}");
        until(&apps, &app, |app| {
            app["spec"]["syncPolicy"]["automated"]["selfHeal"] == true
        })
        .await?;
        let look = json!({"metadata": {"annotations": {"argocd.argoproj.io/refresh": "hard"}}});
        apps.patch(&app, &PatchParams::default(), &Patch::Merge(look))
            .await?;
    }
    platform.until_settled(PATIENCE).await?;

    let mut expected = good;
    let three_days = jiff::SignedDuration::from_hours(48);
    let today = now.strftime("%Y-%m-%dT01:00:00Z").to_string();
    let mut day: Timestamp = today.parse()?;
    if day > now {
        day -= jiff::SignedDuration::from_hours(24);
    }
    for claim in ["data-db-0", "uploads"] {
        let data = data_of_day(DEV, claim, day - three_days);
        expected
            .volumes
            .insert(format!("{DEV}/{claim}"), Some(data));
    }
    let differences = expected.differences(&platform.snapshot().await?);
    assert!(differences.is_empty(), "{differences:#?}");
    Ok(())
}
