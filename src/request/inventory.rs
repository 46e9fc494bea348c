//! What would be deleted, what is kept and why, and in which order.
//!
//! Pure: it is given the live objects of the namespaces and says what each of
//! them is. The rules are those of clearing a namespace on OpenShift: delete
//! what belongs to the tenant's application, keep what belongs to the platform,
//! and never guess.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// A namespaced object as the API server has it; metadata only.
#[derive(Clone, Debug, PartialEq)]
pub struct LiveObject {
    pub group: String,
    pub version: String,
    pub kind: String,
    pub plural: String,
    pub namespace: String,
    pub name: String,
    pub uid: String,
    pub created: Timestamp,
    /// A deletion was asked for and has not ended.
    pub terminating: bool,
    pub finalizers: Vec<String>,
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
    /// The uid of the owner that controls it.
    pub controller: Option<String>,
    /// Requested storage, for a PersistentVolumeClaim.
    pub size: Option<String>,
}

impl LiveObject {
    /// `group/Kind`, or `Kind` for the core group.
    pub fn kind_key(&self) -> String {
        if self.group.is_empty() {
            self.kind.clone()
        } else {
            format!("{}/{}", self.group, self.kind)
        }
    }
}

impl fmt::Display for LiveObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.kind, self.namespace, self.name)
    }
}

/// The order in which objects are deleted: a stage begins when the one before
/// it is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Custom resources, whose operators would bring back what they own.
    Custom,
    /// What starts workloads: autoscalers and cron jobs.
    Starters,
    /// What keeps pods alive.
    Workloads,
    Pods,
    /// Claims come after the pods that use them (`kubernetes.io/pvc-protection`).
    Claims,
    Rest,
}

/// Why an object stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keep {
    EveryNamespaceHasIt,
    ServiceAccountSecret,
    SystemRoleBinding,
    CopiedByOlm,
    VolumeSnapshot,
    Event,
    /// Tracked by an Application of the platform, by its name.
    Platform(String),
    /// Controlled by an object that stays.
    OwnerStays,
}

impl fmt::Display for Keep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EveryNamespaceHasIt => f.write_str("every namespace has it"),
            Self::ServiceAccountSecret => f.write_str("belongs to a service account"),
            Self::SystemRoleBinding => f.write_str("a system role binding"),
            Self::CopiedByOlm => f.write_str("a copy made by OLM"),
            Self::VolumeSnapshot => f.write_str("deleting it can destroy the snapshot"),
            Self::Event => f.write_str("an event"),
            Self::Platform(application) => {
                write!(f, "belongs to the platform (Application {application})")
            }
            Self::OwnerStays => f.write_str("its owner stays"),
        }
    }
}

/// What becomes of an object when its namespace is cleared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    Keep(Keep),
    Delete(Stage),
}

/// Which Argo CD Applications are the platform's own, by the names that
/// tracking ids and instance labels carry.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ownership {
    pub platform: BTreeSet<String>,
}

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

/// Says of each object what becomes of it, in the order given.
pub fn classify(objects: &[LiveObject], ownership: &Ownership) -> Vec<Fate> {
    let by_uid: BTreeMap<&str, usize> = objects
        .iter()
        .enumerate()
        .map(|(index, object)| (object.uid.as_str(), index))
        .collect();
    objects
        .iter()
        .map(|object| {
            // An object under a controller shares the fate of the topmost one.
            // The number of steps is bounded, since owners could form a ring.
            let mut top = object;
            for _ in 0..16 {
                let Some(owner) = top
                    .controller
                    .as_deref()
                    .and_then(|uid| by_uid.get(uid))
                    .map(|&index| &objects[index])
                else {
                    break;
                };
                top = owner;
            }
            match own_fate(object, ownership) {
                Fate::Delete(_) if keeps(top, ownership) => Fate::Keep(Keep::OwnerStays),
                fate => fate,
            }
        })
        .collect()
}

fn keeps(object: &LiveObject, ownership: &Ownership) -> bool {
    matches!(own_fate(object, ownership), Fate::Keep(_))
}

fn own_fate(object: &LiveObject, ownership: &Ownership) -> Fate {
    let keep = match (object.group.as_str(), object.kind.as_str()) {
        ("" | "events.k8s.io", "Event") => Some(Keep::Event),
        ("", "ServiceAccount")
            if matches!(object.name.as_str(), "default" | "builder" | "deployer") =>
        {
            Some(Keep::EveryNamespaceHasIt)
        }
        ("", "ConfigMap")
            if matches!(
                object.name.as_str(),
                "kube-root-ca.crt" | "openshift-service-ca.crt"
            ) =>
        {
            Some(Keep::EveryNamespaceHasIt)
        }
        ("", "Secret")
            if object
                .annotations
                .contains_key("kubernetes.io/service-account.name")
                || object
                    .annotations
                    .contains_key("openshift.io/internal-registry-auth-token.service-account") =>
        {
            Some(Keep::ServiceAccountSecret)
        }
        ("rbac.authorization.k8s.io", "RoleBinding") if object.name.starts_with("system:") => {
            Some(Keep::SystemRoleBinding)
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

/// An inventory, short enough to be kept with the request.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct InventorySummary {
    /// How many objects of each kind would be deleted, by `group/Kind`.
    pub delete: BTreeMap<String, i64>,
    /// How many of each kind stay.
    pub keep: BTreeMap<String, i64>,
    /// The claims that would be deleted, with their data.
    pub claims: Vec<Claim>,
    /// Kinds to be deleted that may stand for something outside the cluster.
    pub custom: Vec<String>,
    /// Over every object to be deleted that nothing else controls, by kind,
    /// name and uid, so that it changes when one is added, gone or replaced.
    pub digest: String,
}

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Claim {
    pub namespace: String,
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<String>,
}

impl InventorySummary {
    /// Sums up what would become of `objects`.
    pub fn of(objects: &[LiveObject], ownership: &Ownership) -> Self {
        let mut summary = Self::default();
        let mut custom = BTreeSet::new();
        let mut lines = Vec::new();
        let uids: BTreeSet<&str> = objects.iter().map(|object| object.uid.as_str()).collect();
        for (object, fate) in objects.iter().zip(classify(objects, ownership)) {
            let key = object.kind_key();
            match fate {
                Fate::Keep(_) => *summary.keep.entry(key).or_default() += 1,
                Fate::Delete(_) => {
                    if is_custom(&object.group) {
                        custom.insert(key.clone());
                    }
                    if object.kind == "PersistentVolumeClaim" && object.group.is_empty() {
                        summary.claims.push(Claim {
                            namespace: object.namespace.clone(),
                            name: object.name.clone(),
                            size: object.size.clone(),
                        });
                    }
                    let controlled = object
                        .controller
                        .as_deref()
                        .is_some_and(|uid| uids.contains(uid));
                    if !controlled {
                        lines.push(format!(
                            "{key}\n{}\n{}\n{}\n",
                            object.namespace, object.name, object.uid
                        ));
                    }
                    *summary.delete.entry(key).or_default() += 1;
                }
            }
        }
        lines.sort_unstable();
        let mut hash = Sha256::new();
        for line in &lines {
            hash.update(line);
        }
        summary.digest = hex(&hash.finalize());
        summary.claims.sort_by(|a, b| {
            (a.namespace.as_str(), a.name.as_str()).cmp(&(b.namespace.as_str(), b.name.as_str()))
        });
        summary.custom = custom.into_iter().collect();
        summary
    }

    /// How many objects would be deleted.
    pub fn total(&self) -> i64 {
        self.delete.values().sum()
    }
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// How many of the objects would be deleted.
pub fn doomed(objects: &[LiveObject], ownership: &Ownership) -> usize {
    classify(objects, ownership)
        .iter()
        .filter(|fate| matches!(fate, Fate::Delete(_)))
        .count()
}

/// What to do next while clearing.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    /// Nothing is left that would be deleted.
    Empty,
    /// Delete these: they are of the first stage that has any left, were
    /// approved, and are older than the cutoff.
    Delete(Vec<LiveObject>),
    /// Deletions are under way; wait for these.
    Terminating(Vec<String>),
    /// These may not be deleted: they are of a kind that nobody approved, or
    /// appeared after the clearing began.
    Foreign(Vec<String>),
}

/// Picks the next batch of at most `size` objects (S4, S6).
///
/// `approved` is the inventory that the approval is bound to. An object under a
/// controller that is itself being deleted is left to the garbage collector.
pub fn next_batch(
    objects: &[LiveObject],
    ownership: &Ownership,
    approved: &InventorySummary,
    cutoff: Timestamp,
    size: usize,
) -> Next {
    let live: BTreeSet<&str> = objects.iter().map(|object| object.uid.as_str()).collect();
    let mut doomed: Vec<(Stage, &LiveObject)> = objects
        .iter()
        .zip(classify(objects, ownership))
        .filter_map(|(object, fate)| match fate {
            Fate::Delete(stage) => Some((stage, object)),
            Fate::Keep(_) => None,
        })
        .collect();
    doomed.sort_by_key(|(stage, _)| *stage);
    let controlled = |object: &LiveObject| {
        object
            .controller
            .as_deref()
            .is_some_and(|uid| live.contains(uid))
    };
    let foreign: Vec<String> = doomed
        .iter()
        .filter(|(_, object)| {
            !controlled(object)
                && !object.terminating
                && (object.created > cutoff || !approved.delete.contains_key(&object.kind_key()))
        })
        .map(|(_, object)| object.to_string())
        .collect();
    if !foreign.is_empty() {
        return Next::Foreign(foreign);
    }
    let Some((first, _)) = doomed.first() else {
        return Next::Empty;
    };
    let stage: Vec<&LiveObject> = doomed
        .iter()
        .take_while(|(stage, _)| stage == first)
        .map(|(_, object)| *object)
        .collect();
    let batch: Vec<LiveObject> = stage
        .iter()
        .filter(|object| !object.terminating && !controlled(object))
        .take(size)
        .map(|object| (*object).clone())
        .collect();
    if batch.is_empty() {
        let waiting = stage.iter().map(|object| {
            if object.finalizers.is_empty() {
                object.to_string()
            } else {
                format!("{object} (finalizer {})", object.finalizers.join(", "))
            }
        });
        Next::Terminating(waiting.collect())
    } else {
        Next::Delete(batch)
    }
}
