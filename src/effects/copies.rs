//! Copies: the namespace that a request makes and removes, and the Restore into it.
//!
//! It is undone beside where it is done: [`make`] and [`remove`] may each be repeated, and neither touches a
//! namespace that the request has not made.

use std::collections::BTreeMap;

use anyhow::Context as _;
use k8s_openapi::api::core::v1 as core;
use kube::api::{DeleteParams, ObjectMeta, PostParams, Preconditions};
use kube::{Api, Client, ResourceExt as _};

use crate::copy::COPY_LABEL;
use crate::copy::observed::Namespace;
use crate::request::names;
use crate::request::preflight::label_value;

/// What OpenShift gives each namespace of its own: which users, groups and labels its pods run with. Restored
/// files belong to those of the original, and so the copy has to have them as well.
const USERS: [&str; 3] = [
    "openshift.io/sa.scc.uid-range",
    "openshift.io/sa.scc.supplemental-groups",
    "openshift.io/sa.scc.mcs",
];
/// Which pods are let in at all; the label of the original holds for its copy.
const POD_SECURITY: &str = "pod-security.kubernetes.io/";

/// What a namespace is made for.
#[derive(Clone, Copy, Debug)]
pub struct Order<'a> {
    pub request: &'a str,
    pub uid: &'a str,
    pub namespace: &'a str,
    pub into: &'a str,
    /// The users of the day of the backup, if they are known.
    pub uid_range: Option<&'a str>,
}

impl Order<'_> {
    fn is_ours(&self, namespace: &core::Namespace) -> bool {
        namespace
            .labels()
            .get(names::REQUEST_LABEL)
            .map(String::as_str)
            == Some(self.uid)
            && namespace.labels().contains_key(COPY_LABEL)
    }
}

/// The new namespace, if it is there.
pub async fn namespace(client: &Client, order: &Order<'_>) -> anyhow::Result<Option<Namespace>> {
    let api: Api<core::Namespace> = Api::all(client.clone());
    let found = api
        .get_opt(order.into)
        .await
        .with_context(|| format!("read the namespace {}", order.into))?;
    Ok(found.map(|found| Namespace {
        uid: found.uid().unwrap_or_default(),
        ours: order.is_ours(&found),
        terminating: found.metadata.deletion_timestamp.is_some(),
        held_by: found
            .status
            .and_then(|status| status.conditions)
            .unwrap_or_default()
            .into_iter()
            .filter(|condition| condition.status == "True")
            .filter_map(|condition| condition.message)
            .collect(),
    }))
}

/// Makes the new namespace, with the users of the original; that it is there already is for the next look.
pub async fn make(client: &Client, order: &Order<'_>) -> anyhow::Result<()> {
    let api: Api<core::Namespace> = Api::all(client.clone());
    let original = api
        .get_opt(order.namespace)
        .await
        .with_context(|| format!("read the namespace {}", order.namespace))?;
    let mut annotations = BTreeMap::new();
    let mut labels: BTreeMap<String, String> = BTreeMap::new();
    if let Some(original) = &original {
        for key in USERS {
            if let Some(value) = original.annotations().get(key) {
                annotations.insert(key.to_owned(), value.clone());
            }
        }
        let security = original.labels().iter();
        labels.extend(
            security
                .filter(|(key, _)| key.starts_with(POD_SECURITY))
                .map(|(key, value)| (key.clone(), value.clone())),
        );
    }
    if let Some(range) = order.uid_range {
        // OpenShift writes both from one block of numbers.
        for key in &USERS[..2] {
            annotations.insert((*key).to_owned(), range.to_owned());
        }
    }
    labels.insert(names::REQUEST_LABEL.to_owned(), order.uid.to_owned());
    labels.insert(
        names::REQUEST_NAME_LABEL.to_owned(),
        label_value(order.request),
    );
    labels.insert(COPY_LABEL.to_owned(), order.namespace.to_owned());
    let namespace = core::Namespace {
        metadata: ObjectMeta {
            name: Some(order.into.to_owned()),
            labels: Some(labels),
            annotations: Some(annotations),
            ..ObjectMeta::default()
        },
        ..core::Namespace::default()
    };
    match api.create(&PostParams::default(), &namespace).await {
        Ok(_) => Ok(()),
        // Whose it is, is what is looked at next.
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
        Err(error) => Err(error).with_context(|| format!("make the namespace {}", order.into)),
    }
}

/// Deletes the namespace that a request has made, and no other one of that name.
pub async fn remove(client: &Client, order: &Order<'_>, uid: &str) -> anyhow::Result<()> {
    let api: Api<core::Namespace> = Api::all(client.clone());
    let Some(found) = api.get_opt(order.into).await? else {
        return Ok(());
    };
    anyhow::ensure!(
        order.is_ours(&found),
        "the namespace {} is not one that this request has made",
        order.into
    );
    let params = DeleteParams {
        preconditions: Some(Preconditions {
            uid: Some(uid.to_owned()),
            resource_version: None,
        }),
        ..DeleteParams::default()
    };
    match api.delete(order.into, &params).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        Err(error) => Err(error).with_context(|| format!("delete the namespace {}", order.into)),
    }
}
