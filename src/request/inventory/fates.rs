//! What becomes of each object.

use std::collections::BTreeMap;

use crate::request::names;

use super::{Fate, Keep, LiveObject, Ownership, Stage};

const TRACKING_ID: &str = "argocd.argoproj.io/tracking-id";
const INSTANCE: &str = "app.kubernetes.io/instance";

/// Groups whose objects are Kubernetes' or OpenShift's own, not an operator's.
const BUILT_IN_GROUPS: &[&str] = &["", "apps", "autoscaling", "batch", "extensions", "policy"];

/// True for a kind that is neither Kubernetes' nor OpenShift's own: its objects
/// may stand for something outside the cluster.
pub fn is_custom(group: &str) -> bool {
    !(BUILT_IN_GROUPS.contains(&group)
        || group.ends_with(".k8s.io")
        || group.ends_with(".openshift.io"))
}

/// Who is deleted along with whom: by the controller's uid, or, where Kubernetes
/// goes by name, Endpoints with their Service and a service account's secrets
/// with the account. Deleting such a dependent by itself only has it made anew.
pub(super) struct Owners<'a> {
    objects: &'a [LiveObject],
    of: Vec<Option<usize>>,
}

impl<'a> Owners<'a> {
    pub(super) fn of(objects: &'a [LiveObject]) -> Self {
        let mut by_uid = BTreeMap::new();
        let mut by_name = BTreeMap::new();
        for (index, object) in objects.iter().enumerate() {
            by_uid.insert(object.uid.as_str(), index);
            if object.group.is_empty() {
                by_name.insert(
                    (
                        object.kind.as_str(),
                        object.namespace.as_str(),
                        object.name.as_str(),
                    ),
                    index,
                );
            }
        }
        let of = objects
            .iter()
            .map(|object| {
                let controller = object.controller.as_deref();
                if let Some(&owner) = controller.and_then(|uid| by_uid.get(uid)) {
                    return Some(owner);
                }
                let (kind, name) = match object.kind.as_str() {
                    "Endpoints" if object.group.is_empty() => ("Service", object.name.as_str()),
                    "Secret" if object.group.is_empty() => ("ServiceAccount", account_of(object)?),
                    _ => return None,
                };
                by_name
                    .get(&(kind, object.namespace.as_str(), name))
                    .copied()
            })
            .collect();
        Self { objects, of }
    }

    /// Those above an object, nearest first. Their number is bounded, since owners
    /// could form a ring.
    pub(super) fn above(&self, index: usize) -> impl Iterator<Item = usize> {
        std::iter::successors(self.of[index], |&owner| self.of[owner]).take(16)
    }

    /// It is deleted along with another object that is there.
    pub(super) fn has(&self, index: usize) -> bool {
        self.of[index].is_some()
    }
}

/// Says of each object what becomes of it, in the order given.
pub fn classify(objects: &[LiveObject], ownership: &Ownership) -> Vec<Fate> {
    fates(&Owners::of(objects), ownership)
}

pub(super) fn fates(owners: &Owners<'_>, ownership: &Ownership) -> Vec<Fate> {
    let mut fates: Vec<Fate> = owners
        .objects
        .iter()
        .map(|object| own_fate(object, ownership))
        .collect();
    // The garbage collector would take what stays along with its owner.
    let kept: Vec<usize> = (0..fates.len())
        .filter(|&index| matches!(fates[index], Fate::Keep(_)))
        .filter(|&index| fates[index] != Fate::Keep(Keep::Event))
        .collect();
    for owner in kept.iter().flat_map(|&index| owners.above(index)) {
        if matches!(fates[owner], Fate::Delete(_)) {
            fates[owner] = Fate::Keep(Keep::OwnsWhatStays);
        }
    }
    // An owner that stays would make anew what it owns.
    let below: Vec<usize> = (0..fates.len())
        .filter(|&index| matches!(fates[index], Fate::Delete(_)))
        .filter(|&index| {
            owners
                .above(index)
                .any(|owner| matches!(fates[owner], Fate::Keep(_)))
        })
        .collect();
    for index in below {
        fates[index] = Fate::Keep(Keep::OwnerStays);
    }
    fates
}

/// What would be deleted by a clearing and was not brought: neither is the
/// object itself `brought`, nor anything above it (S9).
pub fn in_the_way(
    objects: &[LiveObject],
    ownership: &Ownership,
    brought: impl Fn(&LiveObject) -> bool,
) -> Vec<String> {
    let owners = Owners::of(objects);
    let fates = fates(&owners, ownership);
    objects
        .iter()
        .enumerate()
        .filter(|&(index, object)| {
            matches!(fates[index], Fate::Delete(_))
                && !brought(object)
                && !owners.above(index).any(|owner| brought(&objects[owner]))
        })
        .map(|(_, object)| object.to_string())
        .collect()
}

fn is_everywhere(account: &str) -> bool {
    matches!(account, "default" | "builder" | "deployer")
}

/// The service account that a secret was made for.
fn account_of(object: &LiveObject) -> Option<&str> {
    [
        "kubernetes.io/service-account.name",
        "openshift.io/internal-registry-auth-token.service-account",
    ]
    .iter()
    .find_map(|key| object.annotations.get(*key))
    .map(String::as_str)
}

fn own_fate(object: &LiveObject, ownership: &Ownership) -> Fate {
    let keep = match (object.group.as_str(), object.kind.as_str()) {
        ("" | "events.k8s.io", "Event") => Some(Keep::Event),
        ("", "ServiceAccount") if is_everywhere(&object.name) => Some(Keep::EveryNamespaceHasIt),
        ("", "ConfigMap")
            if matches!(
                object.name.as_str(),
                "kube-root-ca.crt" | "openshift-service-ca.crt"
            ) =>
        {
            Some(Keep::EveryNamespaceHasIt)
        }
        ("", "Secret") if account_of(object).is_some_and(is_everywhere) => {
            Some(Keep::ServiceAccountSecret)
        }
        ("rbac.authorization.k8s.io", "RoleBinding") if object.name.starts_with("system:") => {
            Some(Keep::SystemRoleBinding)
        }
        ("rbac.authorization.k8s.io", "RoleBinding")
            if object.labels.contains_key(names::REQUEST_NAME_LABEL) =>
        {
            Some(Keep::ClearingRight)
        }
        ("operators.coreos.com", "ClusterServiceVersion")
            if object.labels.contains_key("olm.copiedFrom") =>
        {
            Some(Keep::CopiedByOlm)
        }
        ("snapshot.storage.k8s.io", _) => Some(Keep::VolumeSnapshot),
        _ => None,
    };
    let keep = keep.or_else(|| {
        tracked_by(object)
            .filter(|application| ownership.platform.contains(*application))
            .map(|application| Keep::Platform(application.to_owned()))
    });
    keep.map_or_else(|| Fate::Delete(stage(object)), Fate::Keep)
}

/// The Application that tracks an object: by tracking id, else by instance label.
fn tracked_by(object: &LiveObject) -> Option<&str> {
    object
        .annotations
        .get(TRACKING_ID)
        .and_then(|id| id.split(':').next())
        .or_else(|| object.labels.get(INSTANCE).map(String::as_str))
}

fn stage(object: &LiveObject) -> Stage {
    match (object.group.as_str(), object.kind.as_str()) {
        ("autoscaling", _) | ("batch", "CronJob") => Stage::Starters,
        ("apps", "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet")
        | ("", "ReplicationController")
        | ("apps.openshift.io", "DeploymentConfig")
        | ("batch", "Job") => Stage::Workloads,
        ("", "Pod") => Stage::Pods,
        ("", "PersistentVolumeClaim") => Stage::Claims,
        (group, _) if is_custom(group) => Stage::Custom,
        _ => Stage::Rest,
    }
}
