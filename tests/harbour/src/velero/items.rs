//! Restoring one object: what is taken off it, and what happens if it is there
//! already.

use kube::api::{Api, DynamicObject, Patch, PatchParams, PostParams};
use kube::discovery::ApiResource;
use serde_json::{Map, Value, json};

use super::life::Server;
use super::objects::{BACKUP_NAME, RESTORE_NAME, label_value, text};

/// The resources that are restored before all others, in this order.
const FIRST: [&str; 21] = [
    "customresourcedefinitions.apiextensions.k8s.io",
    "namespaces",
    "storageclasses.storage.k8s.io",
    "persistentvolumes",
    "persistentvolumeclaims",
    "clusterroles.rbac.authorization.k8s.io",
    "roles.rbac.authorization.k8s.io",
    "serviceaccounts",
    "clusterrolebindings.rbac.authorization.k8s.io",
    "rolebindings.rbac.authorization.k8s.io",
    "secrets",
    "configmaps",
    "limitranges",
    "priorityclasses.scheduling.k8s.io",
    "pods",
    "replicasets.apps",
    "deployments.apps",
    "statefulsets.apps",
    "daemonsets.apps",
    "endpoints",
    "services",
];

/// `deployments.apps`, or `pods` for what is in no group.
pub(super) fn group_resource(resource: &ApiResource) -> String {
    if resource.group.is_empty() {
        resource.plural.clone()
    } else {
        format!("{}.{}", resource.plural, resource.group)
    }
}

/// Where a resource stands in the order of a restore.
pub(super) fn rank(resource: &ApiResource) -> usize {
    let name = group_resource(resource);
    FIRST
        .iter()
        .position(|first| *first == name)
        .unwrap_or(FIRST.len())
}

/// What became of an object, as the RestoreResourceList says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Created,
    Updated,
    Skipped,
    Failed,
}

impl Action {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
        }
    }
}

/// What became of an object, and what is to be said about it.
pub(super) struct Outcome {
    pub(super) action: Action,
    /// The object as the API answered, if it was created.
    pub(super) created: Option<Value>,
    pub(super) warning: Option<String>,
    pub(super) error: Option<String>,
}

impl Outcome {
    pub(super) fn of(action: Action) -> Self {
        Self {
            action,
            created: None,
            warning: None,
            error: None,
        }
    }

    fn warned(warning: String) -> Self {
        Self {
            warning: Some(warning),
            ..Self::of(Action::Failed)
        }
    }

    fn failed(error: String) -> Self {
        Self {
            error: Some(error),
            ..Self::of(Action::Failed)
        }
    }
}

/// What the objects of one restore have in common.
pub(super) struct Restoring<'a> {
    pub(super) restore: &'a str,
    pub(super) backup: &'a str,
    /// `existingResourcePolicy: update`.
    pub(super) update: bool,
}

/// True for what is not restored though it is in the backup: volumes, since
/// claims get new ones; what has run to its end; what a controller makes anew.
pub(super) fn discarded(resource: &ApiResource, object: &Value) -> bool {
    match group_resource(resource).as_str() {
        "persistentvolumes" => true,
        "pods" => {
            matches!(text(object, "/status/phase"), Some("Succeeded" | "Failed"))
                || object
                    .pointer("/metadata/annotations/kubernetes.io~1config.mirror")
                    .is_some()
        }
        "jobs.batch" => text(object, "/status/completionTime").is_some(),
        "endpointslices.discovery.k8s.io" => {
            let manager = "/metadata/labels/endpointslice.kubernetes.io~1managed-by";
            text(object, manager) == Some("endpointslice-controller.k8s.io")
        }
        _ => false,
    }
}

/// Takes off an object what the cluster set: its status, its owners, and all
/// metadata that names this one incarnation. Finalizers stay.
fn bare(mut object: Value) -> Value {
    if let Some(object) = object.as_object_mut() {
        object.remove("status");
    }
    if let Some(metadata) = object["metadata"].as_object_mut() {
        for field in [
            "generateName",
            "selfLink",
            "uid",
            "resourceVersion",
            "generation",
            "creationTimestamp",
            "deletionTimestamp",
            "deletionGracePeriodSeconds",
            "ownerReferences",
            "managedFields",
        ] {
            metadata.remove(field);
        }
    }
    object
}

fn entries<'a>(value: &'a mut Value, pointer: &str) -> Option<&'a mut Map<String, Value>> {
    value.pointer_mut(pointer)?.as_object_mut()
}

/// The object as it is to be created in `namespace`, but for the labels.
pub(super) fn prepared(resource: &ApiResource, object: &Value, namespace: &str) -> Value {
    let mut object = bare(object.clone());
    match group_resource(resource).as_str() {
        "persistentvolumeclaims" => {
            if let Some(spec) = entries(&mut object, "/spec") {
                spec.remove("volumeName");
            }
            if let Some(annotations) = entries(&mut object, "/metadata/annotations") {
                annotations.retain(|key, _| {
                    !key.starts_with("pv.kubernetes.io/")
                        && key != "volume.kubernetes.io/selected-node"
                });
            }
        }
        "pods" => {
            if let Some(spec) = entries(&mut object, "/spec") {
                spec.remove("nodeName");
                spec.remove("priority");
            }
        }
        "services" => {
            let headless = text(&object, "/spec/clusterIP") == Some("None");
            if let Some(spec) = entries(&mut object, "/spec") {
                if !headless {
                    spec.remove("clusterIP");
                    spec.remove("clusterIPs");
                }
                for port in spec
                    .get_mut("ports")
                    .and_then(Value::as_array_mut)
                    .into_iter()
                    .flatten()
                {
                    if let Some(port) = port.as_object_mut() {
                        port.remove("nodePort");
                    }
                }
            }
        }
        "jobs.batch" => {
            for pointer in [
                "/spec/selector/matchLabels",
                "/spec/template/metadata/labels",
                "/metadata/labels",
            ] {
                if let Some(labels) = entries(&mut object, pointer) {
                    labels.retain(|key, _| !key.ends_with("controller-uid"));
                }
            }
        }
        _ => {}
    }
    if text(&object, "/metadata/namespace").is_some() {
        object["metadata"]["namespace"] = namespace.into();
    }
    object
}

fn labelled(mut object: Value, restoring: &Restoring<'_>) -> Value {
    if !object["metadata"]["labels"].is_object() {
        object["metadata"]["labels"] = json!({});
    }
    object["metadata"]["labels"][BACKUP_NAME] = label_value(restoring.backup).into();
    object["metadata"]["labels"][RESTORE_NAME] = label_value(restoring.restore).into();
    object
}

/// Takes out what says nothing: null, and empty maps and lists.
fn terse(value: Value) -> Value {
    let says = |value: &Value| match value {
        Value::Null => false,
        Value::Object(map) => !map.is_empty(),
        Value::Array(list) => !list.is_empty(),
        _ => true,
    };
    match value {
        Value::Object(map) => map
            .into_iter()
            .map(|(key, value)| (key, terse(value)))
            .filter(|(_, value)| says(value))
            .collect(),
        Value::Array(list) => list.into_iter().map(terse).collect(),
        other => other,
    }
}

/// Creates the object, or deals with the one that is there.
pub(super) async fn restore(
    server: &Server,
    resource: &ApiResource,
    object: Value,
    restoring: &Restoring<'_>,
) -> Outcome {
    let namespace = text(&object, "/metadata/namespace")
        .unwrap_or_default()
        .to_owned();
    let name = text(&object, "/metadata/name")
        .unwrap_or_default()
        .to_owned();
    let id = format!("{}/{namespace}/{name}", group_resource(resource));
    let wanted = labelled(object, restoring);
    let api: Api<DynamicObject> = Api::namespaced_with(server.client.clone(), &namespace, resource);
    let body: DynamicObject = match serde_json::from_value(wanted.clone()) {
        Ok(body) => body,
        Err(error) => return Outcome::failed(format!("error restoring {id}: {error}")),
    };
    let creating = api.clone();
    let created = server
        .write(async move { creating.create(&PostParams::default(), &body).await })
        .await;
    let refused = match created {
        Ok(created) => {
            return Outcome {
                created: serde_json::to_value(created).ok(),
                ..Outcome::of(Action::Created)
            };
        }
        Err(error) => error,
    };
    // A create may be refused for another reason and the object be there.
    let existing = api.get_opt(&name).await.ok().flatten();
    let Some(existing) = existing.and_then(|object| serde_json::to_value(object).ok()) else {
        return Outcome::failed(format!("error restoring {id}: {}", reason(&refused)));
    };
    let label = existing["metadata"]["labels"][RESTORE_NAME].as_str();
    if label == Some(label_value(restoring.restore).as_str()) {
        // It was created after all; only the answer was lost.
        return Outcome {
            created: Some(existing),
            ..Outcome::of(Action::Created)
        };
    }
    let mut existing = labelled(bare(existing), restoring);
    existing["apiVersion"] = wanted["apiVersion"].clone();
    existing["kind"] = wanted["kind"].clone();
    let same = terse(existing.clone()) == terse(wanted.clone());
    let change = if restoring.update {
        wanted
    } else if same {
        return Outcome::of(Action::Skipped);
    } else if group_resource(resource) == "serviceaccounts" {
        match account_change(&existing, &wanted) {
            Some(change) => change,
            None => return Outcome::of(Action::Skipped),
        }
    } else {
        return Outcome::warned(format!(
            "could not restore, {} {name:?} already exists. Warning: the in-cluster version is different than the backed-up version",
            resource.kind
        ));
    };
    let patched = server
        .write(async move {
            api.patch(&name, &PatchParams::default(), &Patch::Merge(&change))
                .await
        })
        .await;
    match patched {
        Ok(_) => Outcome::of(if same {
            Action::Skipped
        } else {
            Action::Updated
        }),
        Err(error) => Outcome::warned(reason(&error)),
    }
}

/// The API's own words about why it refused.
pub(super) fn reason(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        other => other.to_string(),
    }
}

/// The merge patch that adds to a service account what the backup has and the
/// cluster lacks; `None` if that is nothing.
fn account_change(existing: &Value, wanted: &Value) -> Option<Value> {
    let mut change = json!({});
    for field in ["secrets", "imagePullSecrets"] {
        let has = existing[field].as_array().cloned().unwrap_or_default();
        let lacks = wanted[field].as_array().into_iter().flatten();
        let lacks: Vec<Value> = lacks.filter(|item| !has.contains(item)).cloned().collect();
        if !lacks.is_empty() {
            change[field] = has.into_iter().chain(lacks).collect();
        }
    }
    for field in ["labels", "annotations"] {
        for (key, value) in wanted["metadata"][field].as_object().into_iter().flatten() {
            if existing["metadata"][field].get(key).is_none() {
                change["metadata"][field][key] = value.clone();
            }
        }
    }
    (change != json!({})).then_some(change)
}
