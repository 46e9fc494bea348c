//! The custom resource: what people want (`spec`) and what is known (`status`).
//!
//! `status` holds facts only. The phase is derived from them by [`super::phase::phase`] and stored nowhere;
//! conditions are published from it.

#![allow(unreachable_pub)] // The derive of the schema makes an item that is meant for itself only.
#![allow(clippy::duplicated_attributes)] // Columns of one type are no duplicates.

use jiff::Timestamp;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::request::preflight::CheckResult;
use crate::request::resource::{
    BackupFact, Condition, ExpectedVolume, LastError, Note, Person, RestoreRun, Source, Withdrawal,
};

/// A person's wish to have a namespace restored beside the original.
#[derive(CustomResource, Serialize, Deserialize, Clone, Debug, PartialEq, KubeSchema)]
#[kube(
    group = "refloat.dev",
    version = "v1alpha1",
    kind = "CopyRequest",
    plural = "copyrequests",
    shortname = "cpr",
    category = "refloat",
    namespaced,
    status = "CopyStatus",
    derive = "PartialEq",
    doc = "A namespace restored beside the original, into a new one that is removed again",
    printcolumn(
        name = "Phase",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Progressing")].reason"#
    ),
    printcolumn(name = "Namespace", type_ = "string", json_path = ".spec.namespace"),
    printcolumn(name = "Into", type_ = "string", json_path = ".spec.into"),
    printcolumn(name = "Until", type_ = "string", json_path = ".status.made.removeAt"),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    )
)]
#[serde(rename_all = "camelCase")]
pub struct CopyRequestSpec {
    /// The tenant, as its order names it.
    #[x_kube(validation = Rule::new("self == oldSelf").message("the tenant of a request cannot be changed: make a new request"))]
    #[schemars(length(min = 1, max = 63))]
    pub tenant: String,

    /// The namespace that is copied, by its full name.
    #[x_kube(validation = Rule::new("self == oldSelf").message("the namespace of a request cannot be changed: make a new request"))]
    #[schemars(length(min = 1, max = 63))]
    pub namespace: String,

    /// The new namespace, by its full name.
    #[x_kube(validation = Rule::new("self == oldSelf").message("the new namespace of a request cannot be changed: make a new request"))]
    #[schemars(length(min = 1, max = 63))]
    pub into: String,

    /// What to restore from.
    #[x_kube(validation = Rule::new("self == oldSelf").message("the source of a request cannot be changed: make a new request"))]
    pub source: Source,

    /// Why, in the requester's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1000))]
    pub reason: Option<String>,

    /// Who asks.
    #[x_kube(validation = Rule::new("self == oldSelf").message("the requester of a request cannot be changed: make a new request"))]
    pub requester: Person,

    /// Set when it is called off, or to be removed before its time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withdrawal: Option<Withdrawal>,
}

/// What is known about a copy. Every field is a fact that was seen or done.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct CopyStatus {
    /// `metadata.generation` that the conditions speak of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checked: Option<Checked>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub made: Option<Made>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restore: Option<RestoreRun>,
    /// When it was last written down that the Restore waits for others' to end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queued_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shown: Option<Shown>,
    /// Why it is, or is to be, no more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ending: Option<Ending>,
    /// The new namespace was seen to be gone, or never to have been there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub removed_at: Option<Timestamp>,
    /// What the current phase waits for, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting: Option<Note>,
    /// The last effect that failed; taken away when the next one succeeds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<LastError>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

/// What Checking found.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Checked {
    pub at: Timestamp,
    pub backup: BackupFact,
    pub checks: Vec<CheckResult>,
    /// The volumes whose data the backup holds, by the names of the original.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<ExpectedVolume>,
    /// What the backup holds and the copy does not get, a kind and a number each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<String>,
    /// The users that the volumes' files belong to, as OpenShift writes them on a Namespace;
    /// absent where the original has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid_range: Option<String>,
}

/// The new namespace is there.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Made {
    pub at: Timestamp,
    pub uid: String,
    /// When it is removed.
    pub remove_at: Timestamp,
}

/// What the copy was seen to hold when Velero was done.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Shown {
    pub at: Timestamp,
    pub volumes: i64,
    pub claims: i64,
    pub pods: i64,
    /// What is not as it should be, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lacking: Vec<String>,
}

/// Why and how it ends.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Ending {
    pub at: Timestamp,
    pub outcome: Outcome,
    pub message: String,
}

#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
pub enum Outcome {
    /// Its time was over.
    Done,
    Refused,
    Withdrawn,
    Failed,
}
