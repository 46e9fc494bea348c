//! Argo CD on a seeded platform, on the harbour's API server.

use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams};
use kube::core::DynamicObject;
use serde_json::{Value, json};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{ArgoCd, Options, application_resource};
use crate::world::{self, Platform, Shape};

const PATIENCE: Duration = Duration::from_mins(1);
const GITOPS: &str = "openshift-gitops";
const DEV: &str = "poseidon1-dev";
const FILES: &str = "poseidon1-dev-apps-files";
const CONFIG: &str = "dev/files/extra.yaml";

struct Stage {
    platform: Platform,
    argocd: ArgoCd,
    _stop: DropGuard,
    _git: tempfile::TempDir,
}

impl Stage {
    async fn small() -> anyhow::Result<Self> {
        Self::start(Shape::small(), |_| {}).await
    }

    async fn start(shape: Shape, adapt: impl FnOnce(&mut Options)) -> anyhow::Result<Self> {
        let stop = CancellationToken::new();
        let git = tempfile::tempdir()?;
        let client = world::stage::api_server(&stop).await?;
        let mut options = Options::new(git.path());
        adapt(&mut options);
        crate::workloads::start(
            client.clone(),
            crate::workloads::Options::default(),
            stop.clone(),
        )
        .await;
        let argocd = super::start(client.clone(), options, stop.clone()).await?;
        let platform = world::seed(client, git.path(), shape, PATIENCE).await?;
        Ok(Self {
            platform,
            argocd,
            _stop: stop.drop_guard(),
            _git: git,
        })
    }

    fn applications(&self, namespace: &str) -> Api<DynamicObject> {
        let client = self.platform.client.clone();
        Api::namespaced_with(client, namespace, &application_resource())
    }

    fn configs(&self) -> Api<ConfigMap> {
        Api::namespaced(self.platform.client.clone(), DEV)
    }

    /// Waits until an Application is as wanted.
    async fn until(
        &self,
        app: &str,
        what: &str,
        holds: impl Fn(&Value) -> bool,
    ) -> anyhow::Result<Value> {
        let begun = Instant::now();
        loop {
            let app = self.applications(GITOPS).get(app).await?;
            if holds(&app.data) {
                return Ok(app.data);
            }
            anyhow::ensure!(begun.elapsed() < PATIENCE, "not {what}: {:#}", app.data);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn until_config(&self, name: &str, there: bool) -> anyhow::Result<()> {
        let begun = Instant::now();
        while self.configs().get_opt(name).await?.is_some() != there {
            anyhow::ensure!(begun.elapsed() < PATIENCE, "{name} there: {}", !there);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }

    /// Deletes a ConfigMap and says whether Argo CD makes it again: it has
    /// looked at the deletion when the Application says OutOfSync or the
    /// object is back.
    async fn heals(&self, app: &str, name: &str) -> anyhow::Result<bool> {
        self.configs()
            .delete(name, &DeleteParams::default())
            .await?;
        self.refresh(app).await?;
        let begun = Instant::now();
        loop {
            if self.configs().get_opt(name).await?.is_some() {
                return Ok(true);
            }
            let live = self.applications(GITOPS).get(app).await?;
            let idle = live.data["operation"].is_null();
            if live.data["status"]["sync"]["status"] == "OutOfSync" && idle {
                return Ok(self.configs().get_opt(name).await?.is_some());
            }
            anyhow::ensure!(begun.elapsed() < PATIENCE, "no look: {:#}", live.data);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn refresh(&self, app: &str) -> anyhow::Result<()> {
        let patch = json!({"metadata": {"annotations": {super::REFRESH: "normal"}}});
        let api = self.applications(GITOPS);
        api.patch(app, &PatchParams::default(), &Patch::Merge(patch))
            .await?;
        let begun = Instant::now();
        loop {
            let live = api.get(app).await?;
            let annotations = live.metadata.annotations.unwrap_or_default();
            if !annotations.contains_key(super::REFRESH) {
                return Ok(());
            }
            anyhow::ensure!(begun.elapsed() < PATIENCE, "{app} is not looked at");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Sets self-heal in the order and waits for it to arrive.
    async fn order_self_heal(&self, on: bool) -> anyhow::Result<()> {
        let order = self.platform.order("poseidon1").await?;
        let line = |on: bool| format!("selfHeal: {on}");
        let order = order.replace(&line(!on), &line(on));
        self.platform
            .commit_order("poseidon1", &order, "Set self-heal")
            .await?;
        self.until(FILES, "told", |app| {
            app["spec"]["syncPolicy"]["automated"]["selfHeal"] == on
        })
        .await?;
        Ok(())
    }

    async fn commit_config(&self, value: &str) -> anyhow::Result<String> {
        let text = format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: extra}}\ndata: {{key: {value}}}\n"
        );
        let change = [(CONFIG.to_owned(), Some(text))];
        self.platform
            .commit_manifests("poseidon1", "Set a key", &change)
            .await
    }
}

fn synced_at(commit: &str) -> impl Fn(&Value) -> bool {
    move |app| {
        let sync = &app["status"]["sync"];
        sync["status"] == "Synced" && sync["revision"] == commit && app["operation"].is_null()
    }
}

#[tokio::test]
async fn a_whole_platform_settles() -> anyhow::Result<()> {
    let stage = Stage::start(Shape::full().with_own_applications(), |_| {}).await?;
    let picture = stage.platform.snapshot().await?;
    assert_eq!(picture.volumes.len(), 5);
    assert!(picture.volumes.values().all(Option::is_some));
    let schedules: Api<DynamicObject> = Api::namespaced_with(
        stage.platform.client.clone(),
        "openshift-adp",
        &kube::core::ApiResource::from_gvk(&kube::core::GroupVersionKind::gvk(
            "velero.io",
            "v1",
            "Schedule",
        )),
    );
    let schedules = schedules.list(&ListParams::default()).await?;
    let daily = schedules
        .iter()
        .find(|it| it.metadata.name.as_deref() == Some("poseidon1-daily"));
    assert_eq!(
        daily.map(|daily| &daily.data["spec"]),
        Some(&json!({
            "schedule": "0 1 * * *",
            "template": {
                "defaultVolumesToFsBackup": true,
                "includedNamespaces": ["poseidon1-dev", "poseidon1-test"],
                "ttl": "168h0m0s",
            },
        }))
    );
    stage.platform.break_tenant(DEV).await?;
    let broken = stage.platform.snapshot().await?;
    let differences = picture.differences(&broken);
    assert_eq!(differences.len(), 4, "{differences:#?}");
    Ok(())
}

#[tokio::test]
async fn self_heal_brings_back_what_is_deleted() -> anyhow::Result<()> {
    let stage = Stage::small().await?;
    stage
        .configs()
        .delete("files", &DeleteParams::default())
        .await?;
    stage.until_config("files", true).await?;
    stage
        .until(FILES, "synced", |app| {
            app["status"]["sync"]["status"] == "Synced"
        })
        .await?;
    Ok(())
}

#[tokio::test]
async fn self_heal_off_is_no_freeze_until_the_revision_is_recorded() -> anyhow::Result<()> {
    let stage = Stage::small().await?;
    stage.order_self_heal(false).await?;
    assert!(!stage.heals(FILES, "files").await?);
    stage.argocd.sync_now(GITOPS, FILES).await?;
    stage.until_config("files", true).await?;

    // A commit that changes nothing here moves the revision and records nothing.
    let change = [("NOTES.md".to_owned(), Some("A note.\n".to_owned()))];
    let commit = stage
        .platform
        .commit_manifests("poseidon1", "Note", &change)
        .await?;
    let app = stage
        .until(FILES, "at the commit", synced_at(&commit))
        .await?;
    assert_ne!(
        app["status"]["operationState"]["syncResult"]["revision"],
        *commit
    );
    assert!(stage.heals(FILES, "files").await?);

    // Now it is recorded.
    let app = stage.until(FILES, "at rest", synced_at(&commit)).await?;
    assert_eq!(
        app["status"]["operationState"]["syncResult"]["revision"],
        *commit
    );
    assert!(!stage.heals(FILES, "files").await?);
    Ok(())
}

#[tokio::test]
async fn a_sync_at_the_current_revision_records_it() -> anyhow::Result<()> {
    let stage = Stage::small().await?;
    stage.order_self_heal(false).await?;
    let change = [("NOTES.md".to_owned(), Some("A note.\n".to_owned()))];
    let commit = stage
        .platform
        .commit_manifests("poseidon1", "Note", &change)
        .await?;
    stage
        .until(FILES, "at the commit", synced_at(&commit))
        .await?;
    stage.argocd.sync_now(GITOPS, FILES).await?;
    stage
        .until(FILES, "recorded", |app| {
            let last = &app["status"]["operationState"];
            last["phase"] == "Succeeded"
                && last["finishedAt"].is_string()
                && last["syncResult"]["revision"] == *commit
                && app["operation"].is_null()
        })
        .await?;
    assert!(!stage.heals(FILES, "files").await?);
    Ok(())
}

#[tokio::test]
async fn what_git_drops_is_pruned() -> anyhow::Result<()> {
    let stage = Stage::small().await?;
    let commit = stage.commit_config("a").await?;
    stage.until_config("extra", true).await?;
    stage.until(FILES, "synced", synced_at(&commit)).await?;
    let change = [(CONFIG.to_owned(), None)];
    stage
        .platform
        .commit_manifests("poseidon1", "Drop it", &change)
        .await?;
    stage.until_config("extra", false).await?;
    Ok(())
}

#[tokio::test]
async fn a_sync_that_failed_is_not_tried_again() -> anyhow::Result<()> {
    let stage = Stage::small().await?;
    stage
        .argocd
        .faults
        .fail_next_sync(GITOPS, FILES, "the webhook denied the request");
    stage.commit_config("a").await?;
    let app = stage
        .until(FILES, "failed", |app| {
            app["status"]["conditions"][0]["type"] == "SyncError"
        })
        .await?;
    assert_eq!(app["status"]["operationState"]["phase"], "Failed");
    assert!(!stage.heals(FILES, "files").await?);
    // A new revision is another matter.
    let commit = stage.commit_config("b").await?;
    stage.until_config("files", true).await?;
    let app = stage.until(FILES, "synced", synced_at(&commit)).await?;
    assert!(app["status"]["conditions"].is_null());
    Ok(())
}

#[tokio::test]
async fn an_application_of_a_set_is_written_back() -> anyhow::Result<()> {
    let stage = Stage::small().await?;
    let off = json!({"spec": {"syncPolicy": {"automated": {"selfHeal": false}}}});
    let api = stage.applications(GITOPS);
    api.patch(FILES, &PatchParams::default(), &Patch::Merge(&off))
        .await?;
    let heals = |app: &Value| app["spec"]["syncPolicy"]["automated"]["selfHeal"] == true;
    stage.until(FILES, "written back", heals).await?;
    stage.argocd.faults.hold_order("poseidon1-dev-apps");
    let order = stage.platform.order("poseidon1").await?;
    let order = order.replace("selfHeal: true", "selfHeal: false");
    let commit = stage
        .platform
        .commit_order("poseidon1", &order, "Off")
        .await?;
    let tenant = "poseidon1-tenant";
    stage.until(tenant, "synced", synced_at(&commit)).await?;
    stage.refresh(FILES).await?;
    assert!(heals(&api.get(FILES).await?.data));
    stage.argocd.release_order("poseidon1-dev-apps");
    stage.until(FILES, "told", |app| !heals(app)).await?;
    Ok(())
}

#[tokio::test]
async fn without_webhooks_a_refresh_of_the_parent_brings_the_order() -> anyhow::Result<()> {
    let stage = Stage::small().await?;
    stage.argocd.faults.lose_webhooks(true);
    let order = stage.platform.order("poseidon1").await?;
    let order = order.replace("selfHeal: true", "selfHeal: false");
    let commit = stage
        .platform
        .commit_order("poseidon1", &order, "Off")
        .await?;
    let before = stage.applications(GITOPS).get("poseidon1-tenant").await?;
    assert_ne!(before.data["status"]["sync"]["revision"], *commit);
    stage.refresh("poseidon1-tenant").await?;
    stage
        .until(FILES, "told", |app| {
            app["spec"]["syncPolicy"]["automated"]["selfHeal"] == false
        })
        .await?;
    Ok(())
}

#[tokio::test]
async fn an_operation_can_be_kept_running() -> anyhow::Result<()> {
    let stage = Stage::small().await?;
    stage.argocd.faults.keep_operations_running(GITOPS, FILES);
    stage.argocd.sync_now(GITOPS, FILES).await?;
    let running = |app: &Value| app["status"]["operationState"]["phase"] == "Running";
    stage.until(FILES, "running", running).await?;
    stage.refresh(FILES).await?;
    let app = stage.applications(GITOPS).get(FILES).await?;
    assert!(running(&app.data) && app.data["operation"].is_object());
    stage.argocd.faults.let_operations_end(GITOPS, FILES);
    stage
        .until(FILES, "ended", |app| {
            !running(app) && app["operation"].is_null()
        })
        .await?;
    Ok(())
}
