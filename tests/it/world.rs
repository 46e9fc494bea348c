//! The harbour as the tests use it: with Refloat's definitions installed, and
//! with what a restore must leave behind.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Context as _;
use harbour::github::PullStatus;
use harbour::world::Picture;
use harbour::{Harbour, Setup, published_specs};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, ListParams, Patch, PatchParams};
use kube::core::DynamicObject;
use kube::{CustomResourceExt as _, ResourceExt};
use refloat::copy::CopyRequest;
use refloat::request::{Phase, RestoreRequest, Which, names, phase};
use refloat::schedule::ScheduleRequest;

use crate::install;
use crate::refloat::{Refloat, external, until};

/// A harbour with Refloat's own definitions.
pub struct World {
    pub harbour: Harbour,
    suffix: String,
    /// On somebody else's API server, one world at a time: its controllers look
    /// at everything that is there.
    alone: Option<tokio::sync::OwnedMutexGuard<()>>,
    /// Refloat's token is its account's, with the rights of `deploy/base/rbac.yaml`.
    held: bool,
    /// All tenants' namespaces before anything was asked for.
    at_first: Picture,
    /// Namespaces that the test itself has changed, by their names here.
    changed: Mutex<Vec<String>>,
}

/// A test that fails must not leave anything on an API server that others use.
impl Drop for World {
    fn drop(&mut self) {
        if self.alone.is_some() {
            let cleaned = tokio::task::block_in_place(|| {
                tokio::runtime::Handle::current().block_on(self.harbour.clean_up())
            });
            if let Err(error) = cleaned {
                eprintln!("the namespaces of this test are left behind: {error:#}");
            }
        }
    }
}

impl World {
    pub async fn start(mut setup: Setup) -> anyhow::Result<Self> {
        static ALONE: std::sync::LazyLock<Arc<tokio::sync::Mutex<()>>> =
            std::sync::LazyLock::new(Arc::default);
        setup.specs = setup.specs.or_else(published_specs);
        setup.kubeconfig = external();
        let alone = match &setup.kubeconfig {
            Some(_) => {
                setup.suffix =
                    format!("x{:x}", jiff::Timestamp::now().as_millisecond() & 0xff_ffff);
                Some(Arc::clone(&ALONE).lock_owned().await)
            }
            None => None,
        };
        // Held to its roles in every test, so that a right that is missing makes one fail. The
        // right to delete stands here; `rights` has it bound and taken away.
        let held = setup.kubeconfig.is_none() && setup.account.is_none();
        if held {
            setup.account = Some("refloat:refloat".to_owned());
        }
        let suffix = setup.suffix.clone();
        let harbour = Harbour::start(setup).await?;
        if held {
            install::roles(&harbour.client.0).await?;
        }
        let definitions: Api<CustomResourceDefinition> = Api::all(harbour.client.0.clone());
        for definition in [
            RestoreRequest::crd(),
            ScheduleRequest::crd(),
            CopyRequest::crd(),
        ] {
            definitions
                .patch(
                    &definition.name_any(),
                    &PatchParams::apply("harbour").force(),
                    &Patch::Apply(&definition),
                )
                .await?;
        }
        let at_first = harbour.platform.snapshot().await?;
        let world = Self {
            harbour,
            suffix,
            alone,
            held,
            at_first,
            changed: Mutex::default(),
        };
        until(|| async {
            let all = ListParams::default();
            Ok(world.copies().list(&all).await.is_ok()
                && world.requests().list(&all).await.is_ok()
                && world.schedule_requests().list(&all).await.is_ok())
        })
        .await?;
        Ok(world)
    }

    /// A text that speaks of the tenants by the names of the documentation, with
    /// the names that they have here.
    pub fn here(&self, text: &str) -> String {
        ["poseidon1", "triton2"]
            .iter()
            .fold(text.to_owned(), |text, name| {
                text.replace(name, &format!("{name}{}", self.suffix))
            })
    }

    /// The other way round.
    pub fn plain(&self, text: &str) -> String {
        ["poseidon1", "triton2"]
            .iter()
            .fold(text.to_owned(), |text, name| {
                text.replace(&format!("{name}{}", self.suffix), name)
            })
    }

    pub async fn order(&self, tenant: &str) -> anyhow::Result<String> {
        self.harbour.platform.order(&self.here(tenant)).await
    }

    pub async fn break_tenant(&self, namespace: &str) -> anyhow::Result<()> {
        self.changed
            .lock()
            .expect("no panic holds it")
            .push(self.here(namespace));
        self.harbour
            .platform
            .break_tenant(&self.here(namespace))
            .await
    }

    /// Fails if a namespace that no request named is not as it was at first.
    async fn check_bystanders(&self) -> anyhow::Result<()> {
        let asked_for: Vec<String> = self
            .requests()
            .list(&ListParams::default())
            .await?
            .into_iter()
            .flat_map(|request| request.spec.namespaces)
            .chain(self.changed.lock().expect("no panic holds it").clone())
            .collect();
        let later = self.harbour.platform.snapshot().await?;
        let of_others: Vec<String> = self
            .at_first
            .differences(&later)
            .into_iter()
            .filter(|line| {
                !asked_for.iter().any(|namespace| {
                    line.starts_with(&format!("{namespace}/"))
                        || line.starts_with(&format!("volume {namespace}/"))
                })
            })
            .collect();
        anyhow::ensure!(
            of_others.is_empty(),
            "namespaces that nobody asked for have changed: {of_others:#?}"
        );
        Ok(())
    }

    /// Ends the world, and takes it off an API server that is not its own.
    pub async fn end(mut self) -> anyhow::Result<()> {
        self.check_bystanders().await?;
        if let (true, Some(server)) = (self.held, &self.harbour.kubernetes) {
            let refused = server.rights().refused;
            anyhow::ensure!(
                refused.is_empty(),
                "the roles in deploy/base/rbac.yaml are not enough: {refused:#?}"
            );
        }
        // Held until all is gone: the next world may be waiting for it.
        let alone = self.alone.take();
        if alone.is_some() {
            self.harbour.clean_up().await?;
        }
        Ok(())
    }

    pub fn requests(&self) -> Api<RestoreRequest> {
        Api::namespaced(
            self.harbour.client.0.clone(),
            &self.harbour.namespaces.refloat,
        )
    }

    pub fn copies(&self) -> Api<CopyRequest> {
        Api::namespaced(
            self.harbour.client.0.clone(),
            &self.harbour.namespaces.refloat,
        )
    }

    pub fn schedule_requests(&self) -> Api<ScheduleRequest> {
        Api::namespaced(
            self.harbour.client.0.clone(),
            &self.harbour.namespaces.refloat,
        )
    }

    pub async fn request_names(&self) -> anyhow::Result<Vec<String>> {
        Ok(self
            .requests()
            .list(&ListParams::default())
            .await?
            .iter()
            .map(ResourceExt::name_any)
            .collect())
    }

    /// Types a line that asks for a restore and waits for the request it makes.
    pub async fn ask(&self, refloat: &mut Refloat, line: &str) -> anyhow::Result<String> {
        let known = self.request_names().await?;
        refloat.say(&self.here(line)).await?;
        let found = std::sync::Mutex::new(None);
        until(|| async {
            let new = self
                .request_names()
                .await?
                .into_iter()
                .find(|name| !known.contains(name));
            let seen = new.is_some();
            *found.lock().expect("no panic holds it") = new;
            Ok(seen)
        })
        .await
        .with_context(|| format!("no request came of {line:?}: {}", refloat.shown()))?;
        let found = found.lock().expect("no panic holds it").take();
        found.context("the request is gone again")
    }

    /// Waits until a request is in a phase; fails at once if it ends in another.
    pub async fn until_phase(&self, name: &str, wanted: Phase) -> anyhow::Result<RestoreRequest> {
        let reached = until(|| async {
            let request = self.requests().get(name).await?;
            let status = request.status.unwrap_or_default();
            let now = phase(&status);
            anyhow::ensure!(
                now == wanted || !(now.is_over() || now == Phase::Stuck),
                "{name} is {now:?} instead of {wanted:?}: {:?} {:?}",
                status.ending,
                status.stuck
            );
            Ok(now == wanted)
        })
        .await;
        let request = self.requests().get(name).await?;
        reached.with_context(|| {
            let status = request.status.clone().unwrap_or_default();
            format!(
                "{name} never reached {wanted:?}: it is {:?}; {:?} {:?} {:?}",
                phase(&status),
                status.waiting,
                status.last_error,
                status.voided
            )
        })?;
        Ok(request)
    }

    /// As [`World::until_phase`], for a request that begins in `Stuck`.
    pub async fn until_phase_through_stuck(&self, name: &str, wanted: Phase) -> anyhow::Result<()> {
        until(|| async {
            let status = self.requests().get(name).await?.status.unwrap_or_default();
            let now = phase(&status);
            anyhow::ensure!(
                now == wanted || !now.is_over(),
                "{name} is {now:?} instead of {wanted:?}: {:?}",
                status.ending
            );
            Ok(now == wanted)
        })
        .await
        .with_context(|| format!("{name} never reached {wanted:?}"))
    }

    /// Makes a config map, as somebody of the tenant would.
    pub async fn config_map(&self, namespace: &str, name: &str) -> anyhow::Result<()> {
        let api: Api<k8s_openapi::api::core::v1::ConfigMap> =
            Api::namespaced(self.harbour.client.0.clone(), &self.here(namespace));
        let map = serde_json::from_value(serde_json::json!({ "metadata": { "name": name } }))?;
        api.create(&kube::api::PostParams::default(), &map).await?;
        Ok(())
    }

    /// Takes a backup now, and waits until it is Completed.
    pub async fn back_up(&self, name: &str, spec: serde_json::Value) -> anyhow::Result<()> {
        let api = self.velero("Backup", "backups");
        let backup = serde_json::from_value(serde_json::json!({
            "apiVersion": "velero.io/v1",
            "kind": "Backup",
            "metadata": { "name": name },
            "spec": spec,
        }))?;
        api.create(&kube::api::PostParams::default(), &backup)
            .await?;
        until(|| async {
            let live = api.get(name).await?;
            Ok(live.data["status"]["phase"] == "Completed")
        })
        .await
        .with_context(|| format!("the backup {name} never ended"))
    }

    /// Restores a namespace of a backup, as another tenant's request would, and waits
    /// until Velero has begun.
    pub async fn restore_of(
        &self,
        name: &str,
        backup: &str,
        namespace: &str,
    ) -> anyhow::Result<()> {
        let api = self.velero("Restore", "restores");
        let restore = serde_json::from_value(serde_json::json!({
            "apiVersion": "velero.io/v1",
            "kind": "Restore",
            "metadata": { "name": name },
            "spec": { "backupName": backup, "includedNamespaces": [namespace] },
        }))?;
        api.create(&kube::api::PostParams::default(), &restore)
            .await?;
        until(|| async {
            let live = api.get(name).await?;
            Ok(live.data["status"]["phase"] == "InProgress")
        })
        .await
        .with_context(|| format!("the restore {name} never began"))
    }

    /// Makes a backup one that expired an hour ago.
    pub async fn expire(&self, backup: &str) -> anyhow::Result<()> {
        let then = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(1);
        let status = serde_json::json!({
            "status": { "expiration": then.strftime("%Y-%m-%dT%H:%M:%SZ").to_string() }
        });
        self.velero("Backup", "backups")
            .patch(backup, &PatchParams::default(), &Patch::Merge(&status))
            .await?;
        Ok(())
    }

    /// An Application of the platform's.
    pub async fn application(&self, name: &str) -> anyhow::Result<DynamicObject> {
        let api: Api<DynamicObject> = Api::namespaced_with(
            self.harbour.client.0.clone(),
            &self.harbour.namespaces.platform,
            &harbour::argocd::application_resource(),
        );
        Ok(api.get(name).await?)
    }

    /// The names of Velero's objects of a kind.
    pub async fn velero_names(&self, kind: &str, plural: &str) -> anyhow::Result<Vec<String>> {
        Ok(self
            .velero(kind, plural)
            .list(&ListParams::default())
            .await?
            .iter()
            .map(ResourceExt::name_any)
            .collect())
    }

    /// Writes a Restore's progress, as Velero would.
    pub async fn report_progress(
        &self,
        restore: &str,
        done: i64,
        total: i64,
    ) -> anyhow::Result<()> {
        let progress = serde_json::json!({
            "status": { "progress": { "itemsRestored": done, "totalItems": total } }
        });
        self.velero("Restore", "restores")
            .patch(restore, &PatchParams::default(), &Patch::Merge(&progress))
            .await?;
        Ok(())
    }

    pub fn velero(&self, kind: &str, plural: &str) -> Api<DynamicObject> {
        let kind = kube::core::ApiResource {
            group: "velero.io".to_owned(),
            version: "v1".to_owned(),
            api_version: "velero.io/v1".to_owned(),
            kind: kind.to_owned(),
            plural: plural.to_owned(),
        };
        Api::namespaced_with(
            self.harbour.client.0.clone(),
            &self.harbour.namespaces.velero,
            &kind,
        )
    }

    /// Waits until a request waits for approval with its pull request open.
    pub async fn until_asked(&self, name: &str) -> anyhow::Result<RestoreRequest> {
        until(|| async {
            let request = self.requests().get(name).await?;
            let status = request.status.unwrap_or_default();
            anyhow::ensure!(!phase(&status).is_over(), "it ended: {:?}", status.ending);
            Ok(phase(&status) == Phase::AwaitingApproval && status.pause.is_some())
        })
        .await
        .with_context(|| format!("{name} never waited for approval"))?;
        Ok(self.requests().get(name).await?)
    }

    /// What a request waits for, in the words of its status.
    pub async fn waits_for(&self, name: &str, words: &str) -> anyhow::Result<()> {
        let last = Mutex::default();
        until(|| async {
            let request = self.requests().get(name).await?;
            let status = request.status.unwrap_or_default();
            let now = phase(&status);
            *last.lock().expect("no panic holds it") =
                format!("it is {now:?}: {:?} {:?}", status.waiting, status.stuck);
            anyhow::ensure!(!now.is_over(), "it ended: {:?}", status.ending);
            Ok(status
                .waiting
                .is_some_and(|note| note.message.contains(words)))
        })
        .await
        .with_context(|| {
            let last = last.lock().expect("no panic holds it");
            format!("{name} never waited for {words:?}; {last}")
        })
    }

    /// Fails if anything of the tenants or of any order differs from before.
    pub async fn check_untouched(&self, before: &Picture, order: &str) -> anyhow::Result<()> {
        let differences = before.differences(&self.harbour.platform.snapshot().await?);
        anyhow::ensure!(
            differences.is_empty(),
            "the world differs: {differences:#?}"
        );
        anyhow::ensure!(order == self.order("poseidon1").await?, "the order differs");
        Ok(())
    }

    /// Does what a person would do next about a restore that is not among
    /// `known`: ask for it, approve it, or wait a moment. The request's name
    /// once it is over.
    pub async fn go_on(
        &self,
        refloat: &mut Refloat,
        known: &[String],
    ) -> anyhow::Result<Option<String>> {
        let shown = refloat.shown().len();
        let requests = self.requests().list(&ListParams::default()).await?;
        let mine = requests
            .iter()
            .find(|request| !known.contains(&request.name_any()));
        let Some(request) = mine else {
            refloat
                // No day: a run that crosses midnight would find another yesterday.
                .say(&self.here("restore request tenant:poseidon1 namespaces:dev schedule:daily reason:\"bad migration\""))
                .await?;
            let _ =
                tokio::time::timeout(Duration::from_secs(2), refloat.until_after(shown, "@ada"))
                    .await;
            return Ok(None);
        };
        let status = request.status.clone().unwrap_or_default();
        let name = request.name_any();
        match phase(&status) {
            Phase::AwaitingApproval if status.pause.is_some() => {
                refloat.say(&format!("as grace: approve {name}")).await?;
                let _ = tokio::time::timeout(
                    Duration::from_secs(2),
                    refloat.until_after(shown, "@grace"),
                )
                .await;
                Ok(None)
            }
            Phase::Stuck => anyhow::bail!("it is stuck: {:?}", status.stuck),
            phase if phase.is_over() => Ok(Some(name)),
            _ => {
                tokio::time::sleep(Duration::from_millis(10)).await;
                Ok(None)
            }
        }
    }

    /// Everything that must hold of the world after a restore that was carried through.
    pub async fn check_restored(
        &self,
        request: &str,
        before: &Picture,
        order: &str,
    ) -> anyhow::Result<()> {
        let request = self.requests().get(request).await?;
        let status = request.status.clone().unwrap_or_default();
        let uid = request.uid().context("a request without a uid")?;
        anyhow::ensure!(
            phase(&status) == Phase::Done,
            "it ended {:?}: {:?}",
            phase(&status),
            status.ending
        );
        let differences = before.differences(&self.harbour.platform.snapshot().await?);
        anyhow::ensure!(
            differences.is_empty(),
            "the world differs: {differences:#?}"
        );
        let after = self.harbour.platform.order(&request.spec.tenant).await?;
        anyhow::ensure!(order == after, "the order differs:\n{after}");

        let restores = self.of_request("Restore", "restores", &uid).await?;
        anyhow::ensure!(restores.len() == 1, "{} Restores", restores.len());
        // The way back may use the branch of the pause again, or have one of its own.
        let branches = [Which::Pause, Which::Resume]
            .map(|which| names::branch(&request.name_any(), &uid, which));
        let pulls = self.harbour.pulls().await?;
        let mine: Vec<_> = pulls
            .iter()
            .filter(|pull| branches.contains(&pull.head))
            .collect();
        let numbers: Vec<u64> = mine.iter().map(|pull| pull.number).collect();
        let known: Vec<u64> = [&status.pause, &status.resume]
            .into_iter()
            .filter_map(|pull| Some(pull.as_ref()?.opened.as_ref()?.number))
            .collect();
        anyhow::ensure!(
            known.len() == 2 && numbers == known,
            "the pull requests are {numbers:?}, and the request knows of {known:?}"
        );
        for pull in mine {
            anyhow::ensure!(
                matches!(pull.status, PullStatus::Merged { .. }),
                "the pull request #{} is not merged",
                pull.number
            );
        }
        Ok(())
    }

    /// Velero's objects that a request made.
    pub async fn of_request(
        &self,
        kind: &str,
        plural: &str,
        uid: &str,
    ) -> anyhow::Result<Vec<DynamicObject>> {
        let label = format!("{}={uid}", names::REQUEST_LABEL);
        let listed = self
            .velero(kind, plural)
            .list(&ListParams::default().labels(&label))
            .await?;
        Ok(listed.items)
    }
}
