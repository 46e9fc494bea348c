//! The platform's charts: what a tenant order becomes.

use anyhow::Context;
use serde_json::{Value, json};

use super::Options;

/// The config management plugin that turns the folder of orders into one
/// platform Application for each tenant.
pub(super) const ORDERS_PLUGIN: &str = "tenant-orders";
/// The config management plugin that turns one order into a tenant.
pub(super) const TENANT_PLUGIN: &str = "tenant-order";
/// The plugin's variable that names the order's file.
pub(super) const ORDER_FILE: &str = "ORDER";
/// The finalizer with which an Application takes its objects along.
pub(super) const CASCADE: &str = "resources-finalizer.argocd.argoproj.io";

const SERVER: &str = "https://kubernetes.default.svc";

/// Reads an order: `values` may be a mapping or text that holds YAML.
fn values_of(order: &str) -> anyhow::Result<Value> {
    let order: Value = serde_saphyr::from_str(order).context("the order is no YAML")?;
    let values = match &order["values"] {
        Value::String(text) => serde_saphyr::from_str(text).context("values hold no YAML")?,
        values => values.clone(),
    };
    anyhow::ensure!(values.is_object(), "the order has no values");
    let mut values = values;
    if values.pointer("/namespace/name").is_none() {
        values["namespace"] = json!({"name": order["appname"]});
    }
    Ok(values)
}

fn name_of(values: &Value) -> anyhow::Result<&str> {
    let name = values.pointer("/namespace/name").and_then(Value::as_str);
    name.filter(|name| !name.is_empty())
        .context("the order names no tenant")
}

/// The platform Application of the order at `path`.
pub(super) fn platform_application(
    options: &Options,
    path: &str,
    order: &str,
) -> anyhow::Result<Value> {
    let values = values_of(order).with_context(|| path.to_owned())?;
    let tenant = name_of(&values).with_context(|| path.to_owned())?;
    let (folder, file) = path.rsplit_once('/').unwrap_or((".", path));
    Ok(json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {
            "name": format!("{tenant}-tenant"),
            "namespace": options.platform_namespace,
            "finalizers": [CASCADE],
        },
        "spec": {
            "project": "default",
            "source": {
                "repoURL": options.orders_url(),
                "targetRevision": "HEAD",
                "path": folder,
                "plugin": {
                    "name": TENANT_PLUGIN,
                    "env": [{"name": ORDER_FILE, "value": file}],
                },
            },
            "destination": {"server": SERVER, "namespace": options.platform_namespace},
            "syncPolicy": {"automated": {"prune": true, "selfHeal": true}},
        },
    }))
}

/// The Application above all: it syncs the folder of orders.
pub(super) fn parent_application(options: &Options) -> Value {
    json!({
        "metadata": {"name": options.parent, "namespace": options.platform_namespace},
        "spec": {
            "project": "default",
            "source": {
                "repoURL": options.orders_url(),
                "targetRevision": "HEAD",
                "path": options.orders_folder,
                "plugin": {"name": ORDERS_PLUGIN},
            },
            "destination": {"server": SERVER, "namespace": options.platform_namespace},
            "syncPolicy": {"automated": {"prune": true, "selfHeal": true}},
        },
    })
}

/// Everything that the platform makes of a tenant's order.
pub(super) fn tenant_objects(options: &Options, order: &str) -> anyhow::Result<Vec<Value>> {
    let values = values_of(order)?;
    let tenant = name_of(&values)?;
    let environments: Vec<&str> = values
        .pointer("/environments")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|environment| environment["name"].as_str())
        .collect();
    let backup_label = backup_label(&values);
    let mut objects = Vec::new();
    for environment in &environments {
        let namespace = format!("{tenant}-{environment}");
        objects.extend(namespace_objects(tenant, &namespace, &values, backup_label));
        let defined = values.pointer("/argocd/enable_auto_defined_apps");
        if defined.and_then(Value::as_bool) != Some(false)
            && let Some(set) = application_set(options, &values, tenant, environment)
        {
            objects.push(set);
        }
    }
    let taken = values.pointer("/backup/take_backup") == Some(&Value::Bool(true));
    if taken && backup_label.is_some() {
        let schedules = values
            .pointer("/backup/schedules")
            .and_then(Value::as_array);
        for schedule in schedules.into_iter().flatten() {
            objects.push(velero_schedule(options, tenant, &environments, schedule));
        }
    }
    Ok(objects)
}

/// `backuplabel` is one label, written `key: value`.
fn backup_label(values: &Value) -> Option<(&str, &str)> {
    let label = values.pointer("/backup/backuplabel")?.as_str()?;
    let (key, value) = label.split_once(':')?;
    Some((key.trim(), value.trim().trim_matches('"')))
}

fn namespace_objects(
    tenant: &str,
    namespace: &str,
    values: &Value,
    backup_label: Option<(&str, &str)>,
) -> Vec<Value> {
    let mut labels = json!({"platform.example.com/tenant": tenant});
    if let Some((key, value)) = backup_label {
        labels[key] = value.into();
    }
    let display = values.pointer("/namespace/displayName");
    let metadata = |name: &str| json!({"name": name, "namespace": namespace});
    vec![
        json!({
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": {
                "name": namespace,
                "labels": labels,
                "annotations": {
                    "argocd.argoproj.io/sync-wave": "-1",
                    "openshift.io/display-name": display.and_then(Value::as_str).unwrap_or(tenant),
                },
            },
        }),
        json!({
            "apiVersion": "v1", "kind": "ResourceQuota", "metadata": metadata("tenant-quota"),
            "spec": {"hard": {"pods": "50", "persistentvolumeclaims": "20"}},
        }),
        json!({
            "apiVersion": "v1", "kind": "LimitRange", "metadata": metadata("tenant-limits"),
            "spec": {"limits": [{"type": "Container", "defaultRequest": {"cpu": "10m"}}]},
        }),
        json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
            "metadata": metadata("allow-same-namespace"),
            "spec": {
                "podSelector": {},
                "policyTypes": ["Ingress"],
                "ingress": [{"from": [{"podSelector": {}}]}],
            },
        }),
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
            "metadata": metadata("tenant-developers"),
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "edit",
            },
            "subjects": [{
                "apiGroup": "rbac.authorization.k8s.io", "kind": "Group",
                "name": format!("{tenant}-developers"),
            }],
        }),
    ]
}

/// The ApplicationSet that makes an Application of each folder of an environment.
fn application_set(
    options: &Options,
    values: &Value,
    tenant: &str,
    environment: &str,
) -> Option<Value> {
    let repository = values.pointer("/argocd/main_git_repository/repourl")?;
    let base = values.pointer("/argocd/main_git_repository/basepath");
    let base = base.and_then(Value::as_str).unwrap_or_default();
    let base = base.trim_matches(['/', '.']);
    let folders = [base, environment, "*"];
    let folders: Vec<&str> = folders
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect();
    let policy = |key: &str| {
        let set = values.pointer("/argocd/syncPolicy").map(|all| &all[key]);
        set.and_then(Value::as_bool).unwrap_or(true)
    };
    let name = format!("{tenant}-{environment}-apps");
    Some(json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "ApplicationSet",
        "metadata": {"name": name, "namespace": options.platform_namespace},
        "spec": {
            "goTemplate": true,
            "generators": [{"git": {
                "repoURL": repository,
                "revision": "HEAD",
                "directories": [{"path": folders.join("/")}],
            }}],
            "template": {
                "metadata": {
                    "name": format!("{name}-{{{{.path.basename}}}}"),
                    "finalizers": [CASCADE],
                },
                "spec": {
                    "project": "default",
                    "source": {
                        "repoURL": repository,
                        "targetRevision": "HEAD",
                        "path": "{{.path.path}}",
                    },
                    "destination": {
                        "server": SERVER,
                        "namespace": format!("{tenant}-{environment}"),
                    },
                    "syncPolicy": {"automated": {
                        "allowEmpty": policy("allowEmpty"),
                        "prune": policy("prune"),
                        "selfHeal": policy("selfHeal"),
                    }},
                },
            },
        },
    }))
}

fn velero_schedule(
    options: &Options,
    tenant: &str,
    environments: &[&str],
    schedule: &Value,
) -> Value {
    let name = schedule["name"].as_str().unwrap_or_default();
    let namespaces = environments.iter();
    let namespaces: Vec<String> = namespaces.map(|env| format!("{tenant}-{env}")).collect();
    let mut template = json!({
        "includedNamespaces": namespaces,
        "defaultVolumesToFsBackup": true,
    });
    if !schedule["ttl"].is_null() {
        template["ttl"] = schedule["ttl"].clone();
    }
    json!({
        "apiVersion": "velero.io/v1",
        "kind": "Schedule",
        "metadata": {
            "name": format!("{tenant}-{name}"),
            "namespace": options.velero_namespace,
            "annotations": {
                "argocd.argoproj.io/compare-options": "IgnoreExtraneous",
                "argocd.argoproj.io/sync-options": "Prune=false,SkipDryRunOnMissingResource=true",
                "argocd.argoproj.io/sync-wave": "2",
            },
        },
        "spec": {"schedule": schedule["schedule"], "template": template},
    })
}
