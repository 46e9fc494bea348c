//! What OpenShift puts into every namespace, and how a namespace ends.

use std::sync::Mutex;
use std::sync::PoisonError;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, DeleteParams, PostParams};
use serde_json::{Value, json};

use super::claims::ignore_existing;
use super::collect::ignore_gone;
use super::json::random_suffix;
use super::mirror::{Key, Mirror, Object};

const UID_RANGE: &str = "openshift.io/sa.scc.uid-range";
const SUPPLEMENTAL_GROUPS: &str = "openshift.io/sa.scc.supplemental-groups";
const MCS: &str = "openshift.io/sa.scc.mcs";
const SECRET_OF: &str = "openshift.io/internal-registry-auth-token.service-account";
/// The first uid given to a namespace, and how many each gets.
const FIRST_UID: u64 = 1_000_600_000;
const UIDS: u64 = 10_000;

/// Hands out ranges of uids, none of them twice.
pub(super) struct Ranges(Mutex<u64>);

impl Ranges {
    /// Ranges behind all that are in use.
    pub(super) fn after_those_of(mirror: &Mirror) -> Self {
        let used = mirror.of_kind("", "Namespace");
        let used = used.iter().filter_map(|namespace| {
            let (first, _) = namespace.annotation(UID_RANGE)?.split_once('/')?;
            Some((first.parse::<u64>().ok()?.checked_sub(FIRST_UID)? / UIDS) + 1)
        });
        Self(Mutex::new(used.max().unwrap_or(0)))
    }

    fn next(&self) -> u64 {
        let mut next = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *next += 1;
        *next - 1
    }
}

pub(super) async fn reconcile(
    mirror: &Mirror,
    ranges: &Ranges,
    namespace: &Object,
) -> kube::Result<()> {
    if namespace.deleting() {
        return end(mirror, namespace).await;
    }
    if namespace.annotation(UID_RANGE).is_none() {
        let number = ranges.next();
        let uids = format!("{}/{UIDS}", FIRST_UID + number * UIDS);
        // Two different categories, the larger first, as SELinux writes them.
        let (high, low) = (1 + number % 1000, number / 1000);
        let patch = json!({"metadata": {"annotations": {
            UID_RANGE: uids,
            SUPPLEMENTAL_GROUPS: uids,
            MCS: format!("s0:c{},c{low}", high + low),
        }}});
        mirror.patch(namespace, patch).await?;
    }
    let name = namespace.name();
    for (config, file) in [
        ("kube-root-ca.crt", "ca.crt"),
        ("openshift-service-ca.crt", "service-ca.crt"),
    ] {
        let body = json!({
            "metadata": {"name": config},
            "data": {file: "the harbour's certificate authority\n"},
        });
        ensure(mirror, name, "", "ConfigMap", config, body).await?;
    }
    for account in ["default", "builder", "deployer"] {
        let body = json!({"metadata": {"name": account}});
        ensure(mirror, name, "", "ServiceAccount", account, body).await?;
        ensure_pull_secret(mirror, name, account).await?;
    }
    for (binding, kind, subject) in [
        ("system:deployers", "ServiceAccount", "deployer"),
        ("system:image-builders", "ServiceAccount", "builder"),
        ("system:image-pullers", "Group", "system:serviceaccounts"),
    ] {
        let subject = match kind {
            "Group" => json!({
                "apiGroup": "rbac.authorization.k8s.io", "kind": kind,
                "name": format!("{subject}:{name}"),
            }),
            _ => json!({"kind": kind, "name": subject, "namespace": name}),
        };
        let role = binding.trim_end_matches('s');
        let body = json!({
            "metadata": {"name": binding},
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role,
            },
            "subjects": [subject],
        });
        let group = "rbac.authorization.k8s.io";
        ensure(mirror, name, group, "RoleBinding", binding, body).await?;
    }
    Ok(())
}

async fn ensure(
    mirror: &Mirror,
    namespace: &str,
    group: &str,
    kind: &str,
    name: &str,
    body: Value,
) -> kube::Result<()> {
    if mirror
        .get(&Key::new(group, kind, namespace, name))
        .is_some()
    {
        return Ok(());
    }
    let Some(kind) = mirror.kind(group, kind) else {
        return Ok(());
    };
    ignore_existing(mirror.create(&kind, namespace, body).await.map(drop))
}

/// The secret with which a service account pulls images, and its mention in
/// the account.
async fn ensure_pull_secret(mirror: &Mirror, namespace: &str, account: &str) -> kube::Result<()> {
    let key = Key::new("", "ServiceAccount", namespace, account);
    let (Some(owner), Some(kind)) = (mirror.get(&key), mirror.kind("", "Secret")) else {
        return Ok(());
    };
    let secrets = mirror.in_namespace("", "Secret", namespace);
    let secret = secrets
        .iter()
        .find(|secret| secret.annotation(SECRET_OF) == Some(account) && !secret.deleting());
    let secret = if let Some(secret) = secret {
        secret.clone()
    } else {
        let body = json!({
            "metadata": {
                "name": format!("{account}-dockercfg-{}", random_suffix()),
                "annotations": {SECRET_OF: account},
                "ownerReferences": [{
                    "apiVersion": "v1", "kind": "ServiceAccount",
                    "name": account, "uid": owner.uid(), "blockOwnerDeletion": false,
                }],
            },
            "type": "kubernetes.io/dockercfg",
            "data": {".dockercfg": STANDARD.encode("{}")},
        });
        mirror.create(&kind, namespace, body).await?
    };
    let listed = owner.text("/imagePullSecrets/0/name") == Some(secret.name());
    if !listed {
        let name = json!([{"name": secret.name()}]);
        let patch = json!({"imagePullSecrets": name, "secrets": name});
        mirror.patch(&owner, patch).await?;
    }
    Ok(())
}

/// Deletes what is in a namespace that is being deleted, and lets the
/// namespace go once nothing is.
async fn end(mirror: &Mirror, namespace: &Object) -> kube::Result<()> {
    let name = namespace.name();
    let inside = mirror.find(|object| object.namespace() == name);
    for object in inside.iter().filter(|object| !object.deleting()) {
        mirror.delete(object, DeleteParams::background()).await?;
    }
    if inside.is_empty() && !namespace.at("/spec/finalizers").is_none_or(Value::is_null) {
        let api: Api<Namespace> = Api::all(mirror.client().clone());
        let body = json!({
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": name, "uid": namespace.uid()},
            "spec": {"finalizers": []},
        });
        let pp = PostParams::default();
        let ended = api.replace_subresource("finalize", name, &pp, &body).await;
        return ignore_gone(ended.map(drop));
    }
    Ok(())
}
