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

use crate::request::resource::{
    Approved, Choice, Condition, LastError, Merged, Note, Opened, Person, Reminder, Vote,
    Withdrawal,
};

/// A person's wish to have a tenant's backup schedules changed.
#[derive(CustomResource, Serialize, Deserialize, Clone, Debug, PartialEq, KubeSchema)]
#[kube(
    group = "refloat.dev",
    version = "v1alpha1",
    kind = "ScheduleRequest",
    plural = "schedulerequests",
    shortname = "sr",
    category = "refloat",
    namespaced,
    status = "ScheduleStatus",
    derive = "PartialEq",
    doc = "A change of a tenant's backup schedules, from the request to the first backup",
    printcolumn(
        name = "Phase",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Progressing")].reason"#
    ),
    printcolumn(name = "Tenant", type_ = "string", json_path = ".spec.tenant"),
    printcolumn(name = "Action", type_ = "string", json_path = ".spec.change.action"),
    printcolumn(name = "Schedule", type_ = "string", json_path = ".spec.change.name"),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    )
)]
#[serde(rename_all = "camelCase")]
pub struct ScheduleRequestSpec {
    /// The tenant, as its order names it.
    #[x_kube(validation = Rule::new("self == oldSelf").message("the tenant of a request cannot be changed: make a new request"))]
    #[schemars(length(min = 1, max = 63))]
    pub tenant: String,

    /// What is to be changed.
    #[x_kube(validation = Rule::new("self == oldSelf").message("what a request changes cannot be changed: make a new request"))]
    pub change: Change,

    /// Who asks.
    #[x_kube(validation = Rule::new("self == oldSelf").message("the requester of a request cannot be changed: make a new request"))]
    pub requester: Person,

    /// What reviewers said in chat. Approvals given on GitHub are read there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub votes: Vec<Vote>,

    /// Set when the requester calls it off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withdrawal: Option<Withdrawal>,

    /// How to go on from `Stuck`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub choice: Option<Choice>,
}

/// One change of one schedule of an order.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    pub action: Action,
    /// The schedule's name as the order has it, without the tenant's prefix.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// The name it gets, if it is renamed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub new_name: Option<String>,
    /// When it runs from now on: a cron expression as Velero reads it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 200))]
    pub schedule: Option<String>,
    /// How long its backups are kept from now on: a Go duration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 40))]
    pub ttl: Option<String>,
    /// When, in the words that were typed, if those were not cron.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 200))]
    pub words: Option<String>,
}

#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
pub enum Action {
    Add,
    Change,
    Remove,
}

impl Action {
    /// The word of the command.
    pub fn word(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Change => "change",
            Self::Remove => "remove",
        }
    }
}

/// What is known about a change. Every field is a fact that was seen or done.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ScheduleStatus {
    /// `metadata.generation` that the conditions speak of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checked: Option<Checked>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pull: Option<PullRequest>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approved: Option<Approved>,
    /// The last time that an approval, or what was to be approved, became void.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub voided: Option<Note>,
    /// Applications that Argo CD was asked to look at again since the merge, as
    /// `namespace/name`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub refreshed: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub applied: Option<Applied>,
    /// A run since then that was no good, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bad_run: Option<Note>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confirmed: Option<Confirmed>,
    /// After a removal: the backups that stay.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remaining: Option<Remaining>,
    /// Why it ends without having been carried through.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ending: Option<Ending>,
    /// No pull request is left open, and none was opened whose answer was lost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tidied_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stuck: Option<Stuck>,
    /// Answers to `Stuck` so far, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<Choice>,
    /// What the current phase waits for, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting: Option<Note>,
    /// Reminders due so far about the approval.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reminders: Vec<Reminder>,
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
    /// The order's path in the repository.
    pub order_path: String,
    /// The namespaces that the schedules of the tenant cover.
    pub namespaces: Vec<String>,
    /// What stood in the order; absent for a new schedule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Entry>,
    /// What is to stand there; absent for a removal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Entry>,
    /// What was looked at, a sentence each.
    pub checks: Vec<String>,
}

/// A schedule as an order has it.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    pub name: String,
    pub schedule: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<String>,
}

/// The pull request on the tenant order.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PullRequest {
    /// When it was opened, or built anew.
    pub at: Timestamp,
    /// Absent when the order already read as wanted, so that there was nothing to ask for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opened: Option<Opened>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merged: Option<Merged>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed_at: Option<Timestamp>,
}

impl PullRequest {
    /// True while it can still be merged or closed.
    pub fn is_open(&self) -> bool {
        self.opened.is_some() && self.merged.is_none() && self.closed_at.is_none()
    }

    /// When the order was seen to read as wanted.
    pub fn in_order_since(&self) -> Option<Timestamp> {
        match (&self.merged, &self.opened) {
            (Some(merged), _) => Some(merged.at),
            (None, None) => Some(self.at),
            (None, Some(_)) => None,
        }
    }
}

/// Velero has the schedule as ordered, and runs it; or has it no more.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Applied {
    pub at: Timestamp,
    /// The name of the Velero Schedule; of the one that is gone, after a removal.
    pub schedule: String,
    /// Its uid; absent after a removal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// When it runs next, by its cron; absent after a removal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_run: Option<Timestamp>,
}

/// The first good backup since it was applied.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Confirmed {
    pub at: Timestamp,
    pub backup: String,
    pub started_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

/// The backups that a removed schedule leaves.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Remaining {
    pub backups: i64,
    /// The newest of them by name, newest first; not all where there are many.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub newest: Vec<String>,
    /// When the last of them expires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// Why and how it ends early.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Ending {
    pub at: Timestamp,
    pub outcome: Outcome,
    pub message: String,
}

#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
pub enum Outcome {
    Refused,
    Denied,
    Withdrawn,
    Expired,
    /// It is in the order, but Velero or the cluster does not do what it says.
    Failed,
    /// Somebody changed or removed the schedule before it was confirmed.
    Superseded,
}

/// A person must choose how to go on.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Stuck {
    pub at: Timestamp,
    pub reason: StuckReason,
    pub message: String,
}

#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
pub enum StuckReason {
    /// The pull request is merged, but the order does not read as asked.
    OrderDiffers,
    /// The cluster does not have in time what the order says.
    NotApplied,
    /// No good backup came in time.
    NotConfirmed,
}

impl ScheduleStatus {
    /// True once the order reads as asked: from here on it cannot be called off.
    pub fn in_order(&self) -> bool {
        self.in_order_since().is_some()
    }

    /// When the order was seen to read as asked.
    pub fn in_order_since(&self) -> Option<Timestamp> {
        self.pull.as_ref()?.in_order_since()
    }

    /// When the person last answered `Stuck`; deadlines count from there.
    pub fn last_choice_at(&self) -> Option<Timestamp> {
        self.choices.last().map(|choice| choice.at)
    }
}
