//! What is known about a restore: facts only, each seen or done.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Choice;
use crate::order::SelfHealRecord;
use crate::request::inventory::{Comparison, InventorySummary};
use crate::request::preflight::{CheckResult, CheckState};

/// What is known about a restore. Every field is a fact that was seen or done.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RestoreStatus {
    /// `metadata.generation` that the conditions speak of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checked: Option<Checked>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pause: Option<PullRequest>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approved: Option<Approved>,
    /// The last time an approval, or what was to be approved, became void.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub voided: Option<Note>,
    /// Applications that Argo CD was asked to look at again since the merge of
    /// the pause, as `namespace/name`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub refreshed_for_pause: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settled: Option<Settled>,
    /// The first time since the approval that what had been quiet no longer was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unsettled_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub safety_backup: Option<BackupRun>,
    /// Safety backups that failed, or that an approval which became void made
    /// too old; see [`Self::safety_round`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub earlier_safety_backups: Vec<BackupRun>,
    /// A reviewer let it go on without a safety backup (S8).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiver: Option<Waiver>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clearing: Option<Clearing>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restore: Option<RestoreRun>,
    /// When it was last written down that the Restore waits for others' to end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queued_at: Option<Timestamp>,
    /// Restores of this request that ended badly and were tried again.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub earlier_restores: Vec<RestoreRun>,
    /// What somebody else did to the namespaces while Velero was restoring.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disturbed: Option<Note>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verified: Option<Verified>,
    /// Why the restore ends without having been carried through.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ending: Option<Ending>,
    /// As `refreshedForPause`, before the resume and after its merge.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub refreshed_before_resume: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub refreshed_for_resume: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prune_consent: Option<Consent>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resume: Option<PullRequest>,
    /// When it was last said on the resume pull request that self-heal waits for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resume_reminded_at: Option<Timestamp>,
    /// Since when all is well with self-heal on again; it has to stay so for a while.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub well_since: Option<Timestamp>,
    /// When the summary was put on the pull request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summarized_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resumed_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stuck: Option<Stuck>,
    /// Answers to `Stuck` so far, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<Choice>,
    /// What the current phase waits for, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting: Option<Note>,
    /// Reminders due so far about what waits for a person.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reminders: Vec<Reminder>,
    /// The last effect that failed; taken away when the next one succeeds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<LastError>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

/// A sentence and its moment.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Note {
    pub at: Timestamp,
    pub message: String,
}

/// A person was, or is to be, reminded.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Reminder {
    pub at: Timestamp,
    pub about: ReminderOf,
}

#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
pub enum ReminderOf {
    /// Nobody has approved or denied yet.
    Approval,
    /// Self-heal has been off for long (L1).
    SelfHealOff,
    /// It has been stuck for long, with self-heal as it was before.
    Stuck,
}

/// What Checking found.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Checked {
    pub at: Timestamp,
    pub backup: BackupFact,
    /// The order's path in the repository.
    pub order_path: String,
    pub checks: Vec<CheckResult>,
    pub inventory: InventorySummary,
    /// Applications that deploy to the namespaces, as `namespace/name`.
    pub applications: Vec<String>,
    /// The inventory held against the backup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comparison: Option<Comparison>,
    /// The volumes whose data the backup holds and a restore has to bring back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<ExpectedVolume>,
    /// User-defined Applications that healed, as `namespace/name`: somebody turns them
    /// off by hand, and somebody has to turn them on again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub healing: Vec<String>,
}

impl Checked {
    /// What a reviewer has to consent to beside approving, in words.
    pub fn needing_consent(&self) -> impl Iterator<Item = &CheckResult> {
        self.checks
            .iter()
            .filter(|result| result.state == CheckState::NeedsConsent)
    }
}

/// A volume whose data is in the backup.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExpectedVolume {
    pub namespace: String,
    pub claim: String,
    /// What Velero reports its progress under: `pod:volume`, or the claim where a
    /// data mover brings it back. A plain snapshot has no progress.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<i64>,
}

/// A reviewer's word that no safety backup is needed.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Waiver {
    pub at: Timestamp,
    /// The reviewer, as the configuration calls them.
    pub by: String,
}

/// The backup that a request was resolved to.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BackupFact {
    pub name: String,
    pub uid: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<String>,
    pub started_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// As Velero names it; empty in requests of before it was kept.
    #[serde(default)]
    pub phase: String,
    /// How many objects are in it, where Velero says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items: Option<i64>,
    /// How many bytes of volume data of the namespaces are in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<i64>,
}

/// A pull request on the tenant order.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PullRequest {
    pub at: Timestamp,
    /// Absent when the order already read as wanted, so that there was nothing to ask for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opened: Option<Opened>,
    /// What stood in the order before the edit.
    pub record: SelfHealRecord,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merged: Option<Merged>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed_at: Option<Timestamp>,
    /// Approval of this pull request, where the first one does not cover it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved: Option<Approved>,
}

#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Opened {
    pub number: u64,
    pub url: String,
    pub branch: String,
    pub head_sha: String,
    /// The hash of the order that the edit was made upon, as Git names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_blob: Option<String>,
    /// Of a resume: whether it undoes the pause exactly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exact_inverse: Option<bool>,
}

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Merged {
    pub at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha: Option<String>,
}

/// Somebody with the right to said yes to exactly this.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Approved {
    pub at: Timestamp,
    /// The reviewer, as the configuration calls them.
    pub by: String,
    pub via: Via,
    pub digest: String,
    /// Each of those who said yes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approvers: Vec<Approver>,
    /// When what was said in chat was written into the pull request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mirrored_at: Option<Timestamp>,
}

/// One of those who said yes.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Approver {
    /// As the configuration calls them; the GitHub login of whoever it does not know.
    pub name: String,
    pub via: Via,
    /// The GitHub login, or the chat and the id in it: `discord:1234`.
    pub account: String,
}

/// Where an approval was given.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
pub enum Via {
    Chat,
    Review,
    /// The approval of the pause covers the resume (`approval.coversResume`).
    Pause,
}

/// Every Application that deploys to the namespaces was quiet.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Settled {
    pub at: Timestamp,
    pub applications: Vec<String>,
}

/// A Velero Backup made by this request.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BackupRun {
    pub name: String,
    pub uid: String,
    pub created_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<Timestamp>,
}

/// How far something counted is.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Progress {
    pub done: i64,
    pub total: i64,
}

/// The deletion of what was approved.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Clearing {
    pub began_at: Timestamp,
    /// The creation of the youngest approved object, by the API server's clock;
    /// nothing younger is ever deleted.
    pub cutoff: Timestamp,
    /// How many objects there were, and how many of them are gone.
    pub progress: Progress,
    /// How often in a row the namespaces were seen empty.
    #[serde(default)]
    pub empty_looks: u8,
    /// The second time in a row that they were seen empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub emptied_at: Option<Timestamp>,
}

/// A Velero Restore made by this request.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RestoreRun {
    pub name: String,
    pub uid: String,
    pub created_at: Timestamp,
    /// Velero's phase, as Velero names it.
    #[serde(default)]
    pub phase: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    #[serde(default)]
    pub items: Progress,
    #[serde(default)]
    pub bytes: Progress,
    #[serde(default)]
    pub warnings: i64,
    #[serde(default)]
    pub errors: i64,
    /// When items or bytes last moved on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progressed_at: Option<Timestamp>,
    /// Set when Velero has ended it, well or badly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// What Velero warned of, but for what has to be so; the first few.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// Warnings of what was kept and so exists already.
    #[serde(default)]
    pub harmless: i64,
}

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Verified {
    pub at: Timestamp,
    pub volumes: i64,
    pub claims: i64,
    pub pods: i64,
    /// Objects of the backup that were looked for and are there.
    #[serde(default)]
    pub items: i64,
    /// What is in the namespaces and was not brought by the restore.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub foreign: Vec<String>,
}

/// Why and how a restore ends early.
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
    /// A person chose, from `Stuck`, to turn self-heal on as things are.
    ResumedAsIs,
}

/// A person must choose how to go on.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Stuck {
    pub at: Timestamp,
    pub reason: StuckReason,
    pub message: String,
    /// What the person would consent to by leaving things as they are, one name an entry.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub objects: Vec<String>,
}

#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
pub enum StuckReason {
    SafetyBackupFailed,
    ClearingBlocked,
    RestoreFailed,
    RestorePartiallyFailed,
    RestoreVanished,
    RestoreStalled,
    /// Somebody else worked in the namespaces while Velero was restoring.
    Disturbed,
    VerificationFailed,
    WouldPrune,
    ResumeBlocked,
    /// The pause was merged by somebody, and not as it was to be approved.
    MergedOtherwise,
}

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Consent {
    pub at: Timestamp,
    pub by: String,
    /// What was consented to, one name an entry.
    pub objects: Vec<String>,
}

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LastError {
    pub at: Timestamp,
    pub effect: String,
    pub message: String,
    pub attempts: u32,
}

/// A condition as the Kubernetes API conventions define it.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    #[serde(rename = "type")]
    pub type_: String,
    pub status: String,
    pub reason: String,
    pub message: String,
    pub last_transition_time: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
}

impl RestoreStatus {
    /// True from the merge of the pause until self-heal is seen back: somebody
    /// or something has to bring it back (L1).
    pub fn self_heal_is_off(&self) -> bool {
        self.resumed_at.is_none()
            && self
                .pause
                .as_ref()
                .is_some_and(|pull| pull.merged.is_some())
    }

    /// True once something may have been deleted: from here on a withdrawal
    /// comes too late.
    pub fn clearing_began(&self) -> bool {
        self.clearing.is_some()
    }

    /// How often the safety backup was taken before; part of its name.
    pub fn safety_round(&self) -> usize {
        self.earlier_safety_backups.len()
    }

    /// When the person last answered `Stuck`; deadlines count from there.
    pub fn last_choice_at(&self) -> Option<Timestamp> {
        self.choices.last().map(|choice| choice.at)
    }
}

impl PullRequest {
    /// True while the pull request can still be merged or closed.
    pub fn is_open(&self) -> bool {
        self.opened.is_some() && self.merged.is_none() && self.closed_at.is_none()
    }
}
