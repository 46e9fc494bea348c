//! The right to delete in a tenant's namespaces: bound when a clearing begins,
//! taken back when it is over, and never standing.
//!
//! It is undone beside where it is done: [`Rights::give`] and [`Rights::take`]
//! may each be repeated, and [`Rights::sweep`] takes back whatever an earlier
//! process left. In which namespaces a clearing is under way is also written
//! into a ConfigMap, by which the API server's admission policies judge deletes
//! on their own (`deploy/base/policy.yaml`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::api::rbac::v1::{RoleBinding, RoleRef, Subject};
use kube::api::{DeleteParams, ListParams, ObjectMeta, Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt as _};
use serde_json::json;

use crate::request::names;

/// The ConfigMap that says where a clearing is under way.
pub const CLEARING: &str = "refloat-clearing";
const RBAC: &str = "rbac.authorization.k8s.io";
/// How often, and how many times, the API server is asked whether it knows of a
/// new right: it reads bindings by a watch of its own.
const LOOK: Duration = Duration::from_millis(100);
const LOOKS: u32 = 50;

/// The giver and taker of the right to delete.
pub struct Rights {
    client: Client,
    /// The ClusterRole to bind; none where Refloat's account may delete anyway.
    role: Option<String>,
    /// Refloat's own namespace, which holds the ConfigMap.
    home: String,
    /// Namespaces in which the right is bound, or may be.
    bound: Mutex<BTreeMap<String, Bound>>,
}

struct Bound {
    /// The request that clears the namespace.
    request: String,
    /// Seen to be there, all of it.
    seen: bool,
}

impl std::fmt::Debug for Rights {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rights")
            .field("role", &self.role)
            .finish_non_exhaustive()
    }
}

impl Rights {
    /// Gives nothing yet. Without a `role` nothing is ever given or taken.
    pub fn new(client: Client, role: Option<String>, home: &str) -> Self {
        Self {
            client,
            role,
            home: home.to_owned(),
            bound: Mutex::default(),
        }
    }

    fn bound(&self) -> MutexGuard<'_, BTreeMap<String, Bound>> {
        self.bound.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The namespaces in which the right is bound for a request.
    pub fn held_by(&self, request: &str) -> Vec<String> {
        let bound = self.bound();
        let held = bound.iter().filter(|(_, it)| it.request == request);
        held.map(|(namespace, _)| namespace.clone()).collect()
    }

    /// Binds the right in each namespace, for a request that is clearing them;
    /// ends when the API server lets it be used.
    ///
    /// # Errors
    ///
    /// The API server refuses, or another binding of that name is in the way.
    pub async fn give(&self, request: &str, namespaces: &[String]) -> anyhow::Result<()> {
        let Some(role) = &self.role else {
            return Ok(());
        };
        let missing: Vec<&String> = {
            let bound = self.bound();
            let new = |namespace: &&String| {
                bound
                    .get(*namespace)
                    .is_none_or(|it| !it.seen || it.request != request)
            };
            namespaces.iter().filter(new).collect()
        };
        if missing.is_empty() {
            return Ok(());
        }
        let account = self.account().await?;
        for namespace in missing {
            self.write_down(namespace, Some(request)).await?;
            // Noted before it is done: what may be bound must be taken back.
            self.note(namespace, request, false);
            self.bind(role, &account, request, namespace)
                .await
                .with_context(|| format!("bind the right to delete in {namespace}"))?;
            self.until_effective(namespace).await?;
            self.note(namespace, request, true);
            tracing::info!(namespace, role, "the right to delete is given");
        }
        Ok(())
    }

    /// Takes the right back in each namespace; nothing happens where it is not bound.
    pub async fn take(&self, namespaces: &[String]) -> anyhow::Result<()> {
        let Some(role) = &self.role else {
            return Ok(());
        };
        for namespace in namespaces {
            let bindings: Api<RoleBinding> = Api::namespaced(self.client.clone(), namespace);
            // The right to take it back goes with it: once it is gone, asking again would be refused.
            if self.is_there(&bindings, role).await? {
                match bindings.delete(role, &DeleteParams::default()).await {
                    Ok(_) => tracing::info!(namespace, role, "the right to delete is taken back"),
                    Err(kube::Error::Api(status)) if status.code == 404 => {}
                    Err(error) => {
                        return Err(error).with_context(|| {
                            format!("take back the right to delete in {namespace}")
                        });
                    }
                }
            }
            self.write_down(namespace, None).await?;
            self.bound().remove(namespace);
        }
        Ok(())
    }

    async fn is_there(&self, bindings: &Api<RoleBinding>, role: &str) -> anyhow::Result<bool> {
        let named = ListParams::default().fields(&format!("metadata.name={role}"));
        let found = bindings.list_metadata(&named).await?;
        Ok(found.items.iter().any(|binding| binding.name_any() == role))
    }

    fn note(&self, namespace: &str, request: &str, seen: bool) {
        let request = request.to_owned();
        self.bound()
            .insert(namespace.to_owned(), Bound { request, seen });
    }

    /// Takes the right back wherever an earlier process left it, save in the
    /// namespaces that are being cleared now; `clearing` says by which request.
    pub async fn sweep(&self, clearing: &BTreeMap<String, String>) -> anyhow::Result<()> {
        let Some(role) = &self.role else {
            return Ok(());
        };
        let mut left = BTreeSet::new();
        let bindings: Api<RoleBinding> = Api::all(self.client.clone());
        let ours = ListParams::default().labels(names::REQUEST_NAME_LABEL);
        for binding in bindings.list_metadata(&ours).await?.items {
            if binding.name_any() == *role {
                left.extend(binding.namespace());
            }
        }
        let maps: Api<ConfigMap> = Api::namespaced(self.client.clone(), &self.home);
        let written = maps.get_opt(CLEARING).await?;
        left.extend(
            written
                .and_then(|map| map.data)
                .unwrap_or_default()
                .into_keys(),
        );
        // Where a clearing goes on, it is taken back when that is over.
        for (namespace, request) in clearing {
            if left.remove(namespace) {
                self.note(namespace, request, false);
            }
        }
        self.take(&left.into_iter().collect::<Vec<_>>()).await
    }

    async fn account(&self) -> anyhow::Result<Subject> {
        let reviews: Api<SelfSubjectReview> = Api::all(self.client.clone());
        let review = reviews
            .create(&PostParams::default(), &SelfSubjectReview::default())
            .await
            .context("ask the API server who Refloat is")?;
        let name = review
            .status
            .and_then(|status| status.user_info)
            .and_then(|user| user.username)
            .context("the API server does not say who Refloat is")?;
        let account = name
            .strip_prefix("system:serviceaccount:")
            .and_then(|rest| rest.split_once(':'));
        Ok(match account {
            Some((namespace, account)) => Subject {
                kind: "ServiceAccount".to_owned(),
                name: account.to_owned(),
                namespace: Some(namespace.to_owned()),
                api_group: None,
            },
            None => Subject {
                kind: "User".to_owned(),
                api_group: Some(RBAC.to_owned()),
                name,
                namespace: None,
            },
        })
    }

    async fn bind(
        &self,
        role: &str,
        account: &Subject,
        request: &str,
        namespace: &str,
    ) -> anyhow::Result<()> {
        let bindings: Api<RoleBinding> = Api::namespaced(self.client.clone(), namespace);
        let binding = RoleBinding {
            metadata: ObjectMeta {
                name: Some(role.to_owned()),
                labels: Some([(names::REQUEST_NAME_LABEL.to_owned(), request.to_owned())].into()),
                ..ObjectMeta::default()
            },
            role_ref: RoleRef {
                api_group: RBAC.to_owned(),
                kind: "ClusterRole".to_owned(),
                name: role.to_owned(),
            },
            subjects: Some(vec![account.clone()]),
        };
        match bindings.create(&PostParams::default(), &binding).await {
            Ok(_) => Ok(()),
            // From before a crash; if it is another's, the right is not there in
            // the end, and that is what is looked at next.
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    async fn until_effective(&self, namespace: &str) -> anyhow::Result<()> {
        let reviews: Api<SelfSubjectAccessReview> = Api::all(self.client.clone());
        let review = SelfSubjectAccessReview {
            spec: SelfSubjectAccessReviewSpec {
                resource_attributes: Some(ResourceAttributes {
                    namespace: Some(namespace.to_owned()),
                    verb: Some("delete".to_owned()),
                    resource: Some("pods".to_owned()),
                    ..ResourceAttributes::default()
                }),
                ..SelfSubjectAccessReviewSpec::default()
            },
            ..SelfSubjectAccessReview::default()
        };
        for _ in 0..LOOKS {
            let answer = reviews.create(&PostParams::default(), &review).await?;
            if answer.status.is_some_and(|status| status.allowed) {
                return Ok(());
            }
            tokio::time::sleep(LOOK).await;
        }
        anyhow::bail!(
            "the right to delete in {namespace} is bound, but the API server does not grant it"
        )
    }

    /// Writes down that a request is clearing a namespace, or that none is.
    async fn write_down(&self, namespace: &str, request: Option<&str>) -> anyhow::Result<()> {
        let maps: Api<ConfigMap> = Api::namespaced(self.client.clone(), &self.home);
        let change = json!({ "data": { namespace: request } });
        maps.patch(CLEARING, &PatchParams::default(), &Patch::Merge(&change))
            .await
            .with_context(|| format!("write into the ConfigMap {}/{CLEARING}", self.home))?;
        Ok(())
    }
}
