//! What the server adds to objects of the built-in kinds, and what it refuses
//! of them, beyond their types.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Deserialize;
use serde_json::{Value, json};

use super::custom;
use super::kinds::Kind;
use super::pods;
use super::status::{Cause, Failure};
use super::store::{Key, World};

/// Holds a definition until its objects are gone.
pub(super) const CRD_CLEANUP: &str = "customresourcecleanup.apiextensions.k8s.io";
const PVC_PROTECTION: &str = "kubernetes.io/pvc-protection";
const PV_PROTECTION: &str = "kubernetes.io/pv-protection";

/// Refuses to create in a namespace that is missing or being deleted.
pub(super) fn namespace_takes(
    world: &World,
    kind: &Kind,
    name: &str,
    ns: &str,
) -> Result<(), Failure> {
    let Some(namespace) = world.namespace(ns) else {
        let message = format!("namespaces \"{ns}\" not found");
        return Err(match super::kinds::known("", "Namespace") {
            Some(namespaces) => Failure::not_found(namespaces, ns),
            None => Failure::new(404, "NotFound", message),
        });
    };
    if namespace.deleting() {
        let why = format!(
            "unable to create new content in namespace {ns} because it is being terminated"
        );
        let mut failure = Failure::forbidden(kind, name, &why);
        failure.add_causes(&[Cause {
            reason: "NamespaceTerminating",
            field: "metadata.namespace".to_owned(),
            message: format!("namespace {ns} is being terminated"),
        }]);
        return Err(failure);
    }
    Ok(())
}

/// Refuses to create an object whose kind is being deleted.
pub(super) fn definition_takes(world: &World, kind: &Kind) -> Result<(), Failure> {
    let leaving = kind.schema().is_some()
        && super::kinds::known("apiextensions.k8s.io", "CustomResourceDefinition")
            .and_then(|definitions| world.get(definitions, &Key::new(None, &kind.qualified())))
            .is_some_and(|definition| definition.deleting());
    if leaving {
        let why = "create not allowed while custom resource definition is terminating";
        return Err(Failure::new(405, "MethodNotAllowed", why));
    }
    Ok(())
}

fn default(object: &mut Value, path: &[&str], value: Value) {
    let mut at = object;
    for step in path {
        if at.is_null() {
            *at = json!({});
        }
        if !at.is_object() {
            return;
        }
        at = &mut at[*step];
    }
    if at.is_null() {
        *at = value;
    }
}

fn protect(object: &mut Value, finalizer: &str) {
    default(object, &["metadata", "finalizers"], json!([]));
    if let Some(list) = object["metadata"]["finalizers"].as_array_mut()
        && !list.iter().any(|name| name == finalizer)
    {
        list.push(json!(finalizer));
    }
}

/// Sets what the server sets on a new object.
pub(super) fn on_create(kind: &Kind, object: &mut Value) {
    let name = object["metadata"]["name"].clone();
    match (kind.group.as_str(), kind.kind.as_str()) {
        ("", "Namespace") => {
            default(object, &["metadata", "labels"], json!({}));
            if object["metadata"]["labels"].is_object() {
                object["metadata"]["labels"]["kubernetes.io/metadata.name"] = name;
            }
            default(object, &["spec", "finalizers"], json!(["kubernetes"]));
            object["status"] = json!({"phase": "Active"});
        }
        ("", "PersistentVolumeClaim") => {
            protect(object, PVC_PROTECTION);
            object["status"] = json!({"phase": "Pending"});
        }
        ("", "PersistentVolume") => {
            protect(object, PV_PROTECTION);
            object["status"] = json!({"phase": "Pending"});
        }
        ("", "Pod") => object["status"] = json!({"phase": "Pending", "qosClass": "BestEffort"}),
        _ => {}
    }
    defaults(kind, object);
}

fn defaults(kind: &Kind, object: &mut Value) {
    match (kind.group.as_str(), kind.kind.as_str()) {
        ("", "Pod") => {
            default(object, &["spec", "restartPolicy"], json!("Always"));
            default(object, &["spec", "dnsPolicy"], json!("ClusterFirst"));
            default(
                object,
                &["spec", "schedulerName"],
                json!("default-scheduler"),
            );
            default(object, &["spec", "serviceAccountName"], json!("default"));
            default(
                object,
                &["spec", "terminationGracePeriodSeconds"],
                json!(30),
            );
        }
        ("", "PersistentVolumeClaim") => {
            default(object, &["spec", "volumeMode"], json!("Filesystem"));
        }
        ("", "PersistentVolume") => {
            default(object, &["spec", "volumeMode"], json!("Filesystem"));
            default(
                object,
                &["spec", "persistentVolumeReclaimPolicy"],
                json!("Retain"),
            );
        }
        ("", "Secret") => {
            default(object, &["type"], json!("Opaque"));
            take_in_strings(object);
        }
        ("", "Service") => {
            default(object, &["spec", "type"], json!("ClusterIP"));
            default(object, &["spec", "sessionAffinity"], json!("None"));
        }
        ("apps", "Deployment") => {
            default(object, &["spec", "replicas"], json!(1));
            default(object, &["spec", "revisionHistoryLimit"], json!(10));
            default(object, &["spec", "progressDeadlineSeconds"], json!(600));
            let strategy = json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}});
            default(object, &["spec", "strategy"], strategy);
        }
        ("apps", "StatefulSet") => {
            default(object, &["spec", "replicas"], json!(1));
            default(object, &["spec", "revisionHistoryLimit"], json!(10));
            default(
                object,
                &["spec", "podManagementPolicy"],
                json!("OrderedReady"),
            );
            let strategy = json!({"type": "RollingUpdate", "rollingUpdate": {"partition": 0}});
            default(object, &["spec", "updateStrategy"], strategy);
        }
        ("apps", "ReplicaSet") | ("", "ReplicationController") => {
            default(object, &["spec", "replicas"], json!(1));
        }
        ("batch", "Job") => {
            default(object, &["spec", "parallelism"], json!(1));
            default(object, &["spec", "completions"], json!(1));
            default(object, &["spec", "backoffLimit"], json!(6));
            default(object, &["spec", "suspend"], json!(false));
        }
        ("batch", "CronJob") => {
            default(object, &["spec", "suspend"], json!(false));
            default(object, &["spec", "concurrencyPolicy"], json!("Allow"));
        }
        ("storage.k8s.io", "StorageClass") => {
            default(object, &["reclaimPolicy"], json!("Delete"));
            default(object, &["volumeBindingMode"], json!("Immediate"));
        }
        ("apiextensions.k8s.io", "CustomResourceDefinition") => custom::complete(object),
        _ => {}
    }
}

/// Moves a Secret's `stringData`, which is there to be written only, into its `data`.
fn take_in_strings(secret: &mut Value) {
    let strings = secret
        .as_object_mut()
        .and_then(|fields| fields.shift_remove("stringData"));
    for (name, text) in strings
        .as_ref()
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        if let Some(text) = text.as_str() {
            default(secret, &["data"], json!({}));
            if !secret["data"].is_object() {
                return;
            }
            secret["data"][name] = json!(STANDARD.encode(text));
        }
    }
}

/// Sets what the server sets on a changed object.
pub(super) fn on_update(kind: &Kind, old: &Value, new: &mut Value) {
    if kind.is("", "Namespace") {
        // Only the `finalize` subresource may change these.
        new["spec"] = old["spec"].clone();
    }
    defaults(kind, new);
}

/// Takes out of `object` what `known`, its typed form, does not have.
pub(super) fn prune(object: &mut Value, known: &Value, path: &str, unknown: &mut Vec<String>) {
    match (object, known) {
        (Value::Object(fields), Value::Object(known)) => fields.retain(|name, value| {
            let at = if path.is_empty() {
                name.clone()
            } else {
                format!("{path}.{name}")
            };
            match known.get(name) {
                Some(known) => {
                    prune(value, known, &at, unknown);
                    true
                }
                // A type leaves out what is null or empty, known or not.
                None if value.is_null() => false,
                None if is_empty(value) => true,
                None => {
                    unknown.push(at);
                    false
                }
            }
        }),
        (Value::Array(items), Value::Array(known)) => {
            for (index, (item, known)) in items.iter_mut().zip(known).enumerate() {
                prune(item, known, &format!("{path}[{index}]"), unknown);
            }
        }
        _ => {}
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}

/// Metadata without what its type does not have; an error if it is of another shape.
pub(super) fn shape_metadata(
    meta: &Value,
    unknown: &mut Vec<String>,
) -> Result<Value, serde_json::Error> {
    let known = serde_json::to_value(ObjectMeta::deserialize(meta)?)?;
    let mut meta = meta.clone();
    prune(&mut meta, &known, "metadata", unknown);
    Ok(meta)
}

/// Group, kind and the field that must stay as it was.
const IMMUTABLE: &[(&str, &str, &str)] = &[
    ("apps", "Deployment", "/spec/selector"),
    ("apps", "ReplicaSet", "/spec/selector"),
    ("apps", "DaemonSet", "/spec/selector"),
    ("apps", "StatefulSet", "/spec/selector"),
    ("apps", "StatefulSet", "/spec/serviceName"),
    ("apps", "StatefulSet", "/spec/volumeClaimTemplates"),
    ("batch", "Job", "/spec/template"),
    ("", "PersistentVolumeClaim", "/spec/accessModes"),
    ("", "PersistentVolumeClaim", "/spec/storageClassName"),
    ("", "PersistentVolumeClaim", "/spec/selector"),
    ("", "PersistentVolumeClaim", "/spec/volumeMode"),
    ("", "PersistentVolumeClaim", "/spec/volumeName"),
    ("", "Secret", "/type"),
    ("rbac.authorization.k8s.io", "RoleBinding", "/roleRef"),
    (
        "rbac.authorization.k8s.io",
        "ClusterRoleBinding",
        "/roleRef",
    ),
    ("storage.k8s.io", "StorageClass", "/provisioner"),
    ("storage.k8s.io", "StorageClass", "/parameters"),
    (
        "apiextensions.k8s.io",
        "CustomResourceDefinition",
        "/spec/group",
    ),
    (
        "apiextensions.k8s.io",
        "CustomResourceDefinition",
        "/spec/scope",
    ),
];

/// What is wrong with an object of a built-in kind, given what it was before.
pub(super) fn check(kind: &Kind, object: &Value, before: Option<&Value>) -> Vec<Cause> {
    let mut causes = Vec::new();
    let group = kind.group.as_str();
    match (group, kind.kind.as_str()) {
        ("apiextensions.k8s.io", "CustomResourceDefinition") => {
            causes.extend(custom::check(object));
        }
        ("apps", "Deployment" | "ReplicaSet" | "StatefulSet" | "DaemonSet") => {
            causes.extend(check_selector(object));
        }
        ("", "Pod")
            if object["spec"]["containers"]
                .as_array()
                .is_none_or(Vec::is_empty) =>
        {
            causes.push(Cause::required("spec.containers", ""));
        }
        _ => {}
    }
    let Some(before) = before else {
        return causes;
    };
    if before["metadata"]["deletionTimestamp"].is_string() {
        let empty = Vec::new();
        let old = before["metadata"]["finalizers"]
            .as_array()
            .unwrap_or(&empty);
        let new = object["metadata"]["finalizers"]
            .as_array()
            .unwrap_or(&empty);
        let added: Vec<String> = new
            .iter()
            .filter(|name| !old.contains(name))
            .map(ToString::to_string)
            .collect();
        if !added.is_empty() {
            let why = format!(
                "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
                added.join(", ")
            );
            causes.push(Cause::forbidden("metadata.finalizers", &why));
        }
    }
    if kind.is("", "Pod") {
        causes.extend(pods::check(object, before));
    }
    for (_, _, pointer) in IMMUTABLE
        .iter()
        .filter(|(group, name, _)| kind.is(group, name))
    {
        let (old, new) = (before.pointer(pointer), object.pointer(pointer));
        // What was never set may be set once, as when a claim is given its class.
        if old.is_some() && old != new {
            let field = pointer.trim_start_matches('/').replace('/', ".");
            causes.push(Cause::invalid(
                field,
                new.unwrap_or(&Value::Null),
                "field is immutable",
            ));
        }
    }
    if kind.group.is_empty()
        && before["immutable"] == true
        && ["ConfigMap", "Secret"].contains(&kind.kind.as_str())
    {
        for field in ["data", "binaryData", "immutable"] {
            if before[field] != object[field] {
                causes.push(Cause::forbidden(
                    field,
                    "field is immutable when `immutable` is set",
                ));
            }
        }
    }
    causes
}

fn check_selector(object: &Value) -> Option<Cause> {
    let selector = &object["spec"]["selector"];
    let labels = &object["spec"]["template"]["metadata"]["labels"];
    let wanted = selector["matchLabels"].as_object();
    if wanted.is_none()
        && selector["matchExpressions"]
            .as_array()
            .is_none_or(Vec::is_empty)
    {
        return Some(Cause::required("spec.selector", ""));
    }
    let misses = wanted
        .into_iter()
        .flatten()
        .any(|(key, value)| labels.get(key) != Some(value));
    misses.then(|| {
        Cause::invalid(
            "spec.template.metadata.labels",
            labels,
            "`selector` does not match template `labels`",
        )
    })
}
