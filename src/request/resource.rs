//! The custom resource: what people want (`spec`) and what is known (`status`).
//!
//! `status` holds facts only. The phase is derived from them by
//! [`super::phase::phase`] and stored nowhere; conditions are published from it.

#![allow(unreachable_pub)] // The derive of the schema makes an item that is meant for itself only.
#![allow(clippy::duplicated_attributes)] // Columns of one type are no duplicates.

use jiff::Timestamp;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

mod status;

pub use status::*;

/// A person's wish to have a tenant's namespaces restored from a backup.
#[derive(CustomResource, Serialize, Deserialize, Clone, Debug, PartialEq, KubeSchema)]
#[kube(
    group = "refloat.dev",
    version = "v1alpha1",
    kind = "RestoreRequest",
    plural = "restorerequests",
    shortname = "rr",
    category = "refloat",
    namespaced,
    status = "RestoreStatus",
    derive = "PartialEq",
    doc = "A tenant's restore, from the request to self-heal being back",
    printcolumn(
        name = "Phase",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Progressing")].reason"#
    ),
    printcolumn(name = "Tenant", type_ = "string", json_path = ".spec.tenant"),
    printcolumn(
        name = "Backup",
        type_ = "string",
        json_path = ".status.checked.backup.name"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    )
)]
#[serde(rename_all = "camelCase")]
pub struct RestoreRequestSpec {
    /// The tenant, as its order names it.
    #[x_kube(validation = Rule::new("self == oldSelf").message("the tenant of a request cannot be changed: make a new request"))]
    #[schemars(length(min = 1, max = 63))]
    pub tenant: String,

    /// The namespaces to clear and restore, by their full names.
    #[x_kube(validation = Rule::new("self == oldSelf").message("the namespaces of a request cannot be changed: make a new request"))]
    #[schemars(length(min = 1, max = 50), inner(length(min = 1, max = 63)))]
    pub namespaces: Vec<String>,

    /// What to restore from.
    #[x_kube(validation = Rule::new("self == oldSelf").message("the source of a request cannot be changed: make a new request"))]
    pub source: Source,

    /// Why, in the requester's words.
    #[x_kube(validation = Rule::new("self == oldSelf").message("the reason of a request cannot be changed: make a new request"))]
    #[schemars(length(min = 1, max = 1000))]
    pub reason: String,

    /// Who asks.
    #[x_kube(validation = Rule::new("self == oldSelf").message("the requester of a request cannot be changed: make a new request"))]
    pub requester: Person,

    /// What reviewers said in chat. Approvals given on GitHub are read there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub votes: Vec<Vote>,

    /// Set when the requester calls the restore off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withdrawal: Option<Withdrawal>,

    /// How to go on from `Stuck`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub choice: Option<Choice>,

    /// What reviewers consented to expressly, beside approving.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub consents: Vec<GivenConsent>,

    /// The request that this one undoes: it waits until that one has ended.
    #[x_kube(validation = Rule::new("self == oldSelf").message("what a request undoes cannot be changed: make a new request"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub undoes: Option<String>,
}

impl RestoreRequestSpec {
    /// The same request for exactly this backup: "yesterday" may be another day by
    /// now, and a newer backup is no reason to ask again.
    #[must_use]
    pub fn pinned_to(&self, backup: &str) -> Self {
        let mut spec = self.clone();
        spec.source = Source {
            backup: Some(backup.to_owned()),
            schedule: None,
            day: None,
        };
        spec
    }
}

/// A reviewer's consent to what the checks say needs it.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GivenConsent {
    pub by: Person,
    pub at: Timestamp,
    /// The digest of what was consented to; see [`super::digest`].
    #[schemars(length(max = 64))]
    pub digest: String,
}

/// What to restore from: a backup by its name, or a schedule and a day, or
/// (all absent) the latest good backup of the namespaces.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Source {
    /// The name of a Velero Backup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub backup: Option<String>,
    /// The schedule's name as the order has it, without the tenant's prefix.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub schedule: Option<String>,
    /// The day, as a person types it: `yesterday`, `2026-11-20`, `monday`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 40))]
    pub day: Option<String>,
}

/// Somebody in a chat.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Person {
    /// The chat they were seen in: `console` or `discord`.
    #[schemars(length(min = 1, max = 32))]
    pub chat: String,
    /// The chat's own stable id of the person.
    #[schemars(length(min = 1, max = 64))]
    pub id: String,
    /// What to call them; never used to decide anything.
    #[schemars(length(min = 1, max = 100))]
    pub name: String,
}

impl Person {
    /// True if both are the same account of the same chat, whatever the names.
    pub fn is(&self, other: &Person) -> bool {
        self.chat == other.chat && self.id == other.id
    }
}

/// A reviewer's yes or no, given in chat.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Vote {
    pub by: Person,
    pub at: Timestamp,
    pub verdict: Verdict,
    /// The digest of what was approved (invariant S2); see [`super::digest`].
    #[schemars(length(max = 64))]
    pub digest: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1000))]
    pub reason: Option<String>,
}

#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
pub enum Verdict {
    Approve,
    Deny,
}

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Withdrawal {
    pub by: Person,
    pub at: Timestamp,
}

/// A person's answer to `Stuck`.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Choice {
    pub by: Person,
    pub at: Timestamp,
    pub action: Action,
    /// The moment of the `stuck` fact that this answers: an old answer is no
    /// answer to a new question.
    pub answers: Timestamp,
}

#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
pub enum Action {
    /// Try again from where it stopped.
    Retry,
    /// Leave the namespaces as they are and turn self-heal on again.
    ResumeAsIs,
    /// A reviewer lets it go on without a safety backup.
    Waive,
}
