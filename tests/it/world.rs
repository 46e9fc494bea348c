//! The harbour as the tests use it: with Refloat's definitions installed, and
//! with what a restore must leave behind.

use std::time::Duration;

use anyhow::Context as _;
use harbour::github::PullStatus;
use harbour::world::Picture;
use harbour::{Harbour, Setup, published_specs};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, ListParams, Patch, PatchParams};
use kube::core::DynamicObject;
use kube::{CustomResourceExt as _, ResourceExt as _};
use refloat::request::{Phase, RestoreRequest, names, phase};

use crate::refloat::{Refloat, until};

/// A harbour with Refloat's own definitions.
pub struct World {
    pub harbour: Harbour,
}

impl World {
    pub async fn start(mut setup: Setup) -> anyhow::Result<Self> {
        setup.specs = setup.specs.or_else(published_specs);
        let harbour = Harbour::start(setup).await?;
        let definitions: Api<CustomResourceDefinition> = Api::all(harbour.client.0.clone());
        let definition = RestoreRequest::crd();
        definitions
            .patch(
                RestoreRequest::crd_name(),
                &PatchParams::apply("harbour").force(),
                &Patch::Apply(&definition),
            )
            .await?;
        let world = Self { harbour };
        until(|| async {
            Ok(world.requests().list(&ListParams::default()).await.is_ok())
        })
        .await?;
        Ok(world)
    }

    pub fn requests(&self) -> Api<RestoreRequest> {
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
                .say("restore request tenant:poseidon1 namespaces:dev schedule:daily day:yesterday reason:\"bad migration\"")
                .await?;
            let _ = tokio::time::timeout(Duration::from_secs(2), refloat.until_after(shown, "\n"))
                .await;
            return Ok(None);
        };
        let status = request.status.clone().unwrap_or_default();
        let name = request.name_any();
        match phase(&status) {
            Phase::AwaitingApproval if status.pause.is_some() => {
                refloat.say(&format!("as grace: approve {name}")).await?;
                let _ =
                    tokio::time::timeout(Duration::from_secs(2), refloat.until_after(shown, "\n"))
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
        anyhow::ensure!(differences.is_empty(), "the world differs: {differences:#?}");
        let after = self.harbour.platform.order(&request.spec.tenant).await?;
        anyhow::ensure!(order == after, "the order differs:\n{after}");

        let restores = self.of_request("Restore", "restores", &uid).await?;
        anyhow::ensure!(restores.len() == 1, "{} Restores", restores.len());
        let pulls = self.harbour.pulls().await?;
        for which in [
            refloat::request::Which::Pause,
            refloat::request::Which::Resume,
        ] {
            let branch = names::branch(&request.name_any(), &uid, which);
            let mine: Vec<_> = pulls.iter().filter(|pull| pull.head == branch).collect();
            anyhow::ensure!(
                mine.len() == 1,
                "{} pull requests to {}",
                mine.len(),
                which.word()
            );
            anyhow::ensure!(
                mine.iter()
                    .all(|pull| matches!(pull.status, PullStatus::Merged { .. })),
                "the pull request to {} is not merged",
                which.word()
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
        let kind = kube::core::ApiResource {
            group: "velero.io".to_owned(),
            version: "v1".to_owned(),
            api_version: "velero.io/v1".to_owned(),
            kind: kind.to_owned(),
            plural: plural.to_owned(),
        };
        let api: Api<DynamicObject> = Api::namespaced_with(
            self.harbour.client.0.clone(),
            &self.harbour.namespaces.velero,
            &kind,
        );
        let label = format!("{}={uid}", names::REQUEST_LABEL);
        Ok(api.list(&ListParams::default().labels(&label)).await?.items)
    }
}
