//! What is installed from `deploy/`, as an administrator would.

use std::path::Path;

use anyhow::Context as _;
use kube::Client;
use kube::api::{Api, Patch, PatchParams};
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use serde_json::Value;

/// The objects of a manifest in `deploy`.
pub fn manifest(file: &str) -> anyhow::Result<Vec<Value>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("deploy")
        .join(file);
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    Ok(serde_saphyr::from_multiple(&text)?)
}

/// Applies an object as an administrator would; an unknown field is an error.
pub async fn apply(client: &Client, object: &Value) -> anyhow::Result<()> {
    let kind = object["kind"].as_str().context("no kind")?;
    let api_version = object["apiVersion"].as_str().context("no apiVersion")?;
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let plural = match kind {
        "ValidatingAdmissionPolicy" => "validatingadmissionpolicies".to_owned(),
        "NetworkPolicy" => "networkpolicies".to_owned(),
        "Ingress" => "ingresses".to_owned(),
        kind => format!("{}s", kind.to_lowercase()),
    };
    let resource =
        ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), &plural);
    let api: Api<DynamicObject> = match object["metadata"]["namespace"].as_str() {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    };
    let name = object["metadata"]["name"].as_str().context("no name")?;
    api.patch(
        name,
        &PatchParams::apply("installer").force().validation_strict(),
        &Patch::Apply(object),
    )
    .await
    .with_context(|| format!("apply {kind} {name}"))?;
    Ok(())
}

/// Gives Refloat's account the rights of `deploy/base/rbac.yaml`, and the right to delete for
/// good, which it otherwise binds itself.
pub async fn roles(client: &Client) -> anyhow::Result<()> {
    let mut objects = manifest("base/serviceaccount.yaml")?;
    objects.extend(manifest("base/rbac.yaml")?);
    let bound = |it: &&Value| it["kind"] == "ClusterRoleBinding";
    let mut standing = objects
        .iter()
        .find(bound)
        .cloned()
        .context("nothing is bound")?;
    standing["metadata"]["name"] = "standing".into();
    standing["roleRef"]["name"] = "refloat-clearing".into();
    objects.push(standing);
    for object in &objects {
        apply(client, object).await?;
    }
    Ok(())
}
