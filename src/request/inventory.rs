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
    /// Controls an object that stays and that would go with it.
    OwnsWhatStays,
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
            Self::OwnsWhatStays => f.write_str("what it owns stays"),
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

/// Who is deleted along with whom: by the controller's uid, or, where Kubernetes
/// goes by name, Endpoints with their Service and a service account's secrets
/// with the account. Deleting such a dependent by itself only has it made anew.
struct Owners<'a> {
    objects: &'a [LiveObject],
    of: Vec<Option<usize>>,
}

impl<'a> Owners<'a> {
    fn of(objects: &'a [LiveObject]) -> Self {
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
    fn above(&self, index: usize) -> impl Iterator<Item = usize> {
        std::iter::successors(self.of[index], |&owner| self.of[owner]).take(16)
    }

    /// It is deleted along with another object that is there.
    fn has(&self, index: usize) -> bool {
        self.of[index].is_some()
    }
}

/// Says of each object what becomes of it, in the order given.
pub fn classify(objects: &[LiveObject], ownership: &Ownership) -> Vec<Fate> {
    fates(&Owners::of(objects), ownership)
}

fn fates(owners: &Owners<'_>, ownership: &Ownership) -> Vec<Fate> {
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
        let owners = Owners::of(objects);
        for (index, fate) in fates(&owners, ownership).into_iter().enumerate() {
            let object = &objects[index];
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
                    if !owners.has(index) {
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

/// The creation of the youngest object that would be deleted by itself, and not
/// along with its owner: those are the ones that the digest is over.
pub fn youngest(objects: &[LiveObject], ownership: &Ownership) -> Option<Timestamp> {
    let owners = Owners::of(objects);
    fates(&owners, ownership)
        .iter()
        .enumerate()
        .filter(|(index, fate)| matches!(fate, Fate::Delete(_)) && !owners.has(*index))
        .map(|(index, _)| objects[index].created)
        .max()
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
    /// appeared after the approval.
    Foreign(Vec<String>),
}

/// Picks the next batch of at most `size` objects (S4, S6).
///
/// `approved` is the inventory that the approval is bound to, `cutoff` the
/// creation of its youngest object: what is younger was not approved. An object
/// that is deleted along with its owner is left to the garbage collector; if its
/// owner is gone already it is waited for, unless it is old enough to be deleted.
pub fn next_batch(
    objects: &[LiveObject],
    ownership: &Ownership,
    approved: &InventorySummary,
    cutoff: Timestamp,
    size: usize,
) -> Next {
    let owners = Owners::of(objects);
    let fates = fates(&owners, ownership);
    let mut stages: Vec<Option<Stage>> = fates
        .iter()
        .map(|fate| match fate {
            Fate::Delete(stage) => Some(*stage),
            Fate::Keep(_) => None,
        })
        .collect();
    // What keeps pods alive, be it through others, goes no later than workloads:
    // claims wait for their pods, and pods for their owner.
    for (index, fate) in fates.iter().enumerate() {
        if matches!(fate, Fate::Delete(stage) if *stage <= Stage::Pods) {
            for owner in owners.above(index) {
                stages[owner] = stages[owner].map(|stage| stage.min(Stage::Workloads));
            }
        }
    }
    let doomed: Vec<(Stage, usize)> = stages
        .iter()
        .enumerate()
        .filter_map(|(index, stage)| stage.map(|stage| (stage, index)))
        .collect();
    let own: Vec<(Stage, &LiveObject)> = doomed
        .iter()
        .filter(|(_, index)| !owners.has(*index))
        .map(|&(stage, index)| (stage, &objects[index]))
        .collect();
    let is_approved = |object: &LiveObject| {
        object.created <= cutoff && approved.delete.contains_key(&object.kind_key())
    };
    let foreign: Vec<String> = own
        .iter()
        .filter(|(_, object)| {
            !object.terminating && object.controller.is_none() && !is_approved(object)
        })
        .map(|(_, object)| object.to_string())
        .collect();
    if !foreign.is_empty() {
        return Next::Foreign(foreign);
    }
    let Some(first) = own.iter().map(|(stage, _)| *stage).min() else {
        // Owners in a ring, if anything: they are waited for, and a person is told.
        return if doomed.is_empty() {
            Next::Empty
        } else {
            Next::Terminating(
                doomed
                    .iter()
                    .map(|&(_, index)| in_words(&objects[index]))
                    .collect(),
            )
        };
    };
    let stage = || {
        own.iter()
            .filter(|(stage, _)| *stage == first)
            .map(|(_, object)| *object)
    };
    let batch: Vec<LiveObject> = stage()
        .filter(|object| !object.terminating && is_approved(object))
        .take(size.max(1))
        .cloned()
        .collect();
    if batch.is_empty() {
        Next::Terminating(stage().map(in_words).collect())
    } else {
        Next::Delete(batch)
    }
}

fn in_words(object: &LiveObject) -> String {
    if object.finalizers.is_empty() {
        object.to_string()
    } else {
        format!("{object} (finalizer {})", object.finalizers.join(", "))
    }
}
