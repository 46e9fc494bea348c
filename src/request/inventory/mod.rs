//! What would be deleted, what is kept and why, and in which order.
//!
//! Pure: it is given the live objects of the namespaces and says what each of
//! them is. The rules are those of clearing a namespace on OpenShift: delete
//! what belongs to the tenant's application, keep what belongs to the platform,
//! and never guess.

mod batch;
mod compare;
mod fates;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub use batch::{Next, next_batch, youngest};
pub use compare::{Becomes, Comparison, Row, past, table};
use fates::{Owners, fates};
pub use fates::{classify, in_the_way, is_custom};

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
    /// Who wrote it first, as the API server remembers it (`managedFields`).
    pub made_by: Option<String>,
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
    /// The right to clear the namespace, bound by Refloat.
    ClearingRight,
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
            Self::ClearingRight => f.write_str("the right to clear, bound by Refloat"),
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

/// How many of the objects would be deleted.
pub fn doomed(objects: &[LiveObject], ownership: &Ownership) -> usize {
    classify(objects, ownership)
        .iter()
        .filter(|fate| matches!(fate, Fate::Delete(_)))
        .count()
}
