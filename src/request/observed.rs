//! What a pass saw of the world: for each phase, what its decision needs.

use jiff::Timestamp;

use super::applications::Application;
use super::inventory::{LiveObject, Ownership};
use super::preflight::Survey;
use super::resource::{BackupRun, Progress, RestoreRun};

/// The world as one pass saw it, read live.
#[derive(Clone, Debug, PartialEq)]
#[allow(
    clippy::large_enum_variant,
    reason = "there is one for each pass, and it is not kept"
)]
pub enum Observed {
    Checking(Box<Survey>),
    AwaitingApproval(Option<Pull>),
    /// `None`: the pull request is gone from GitHub.
    Pausing(Option<Pull>),
    Settling(Vec<Application>),
    Protecting(Option<SafetyBackup>),
    Clearing(Box<Clearing>),
    Restoring(Restoring),
    Verifying(Verifying),
    Resuming(Box<Resuming>),
    /// Nothing had to be looked at: it is over, or waits for a choice.
    Nothing,
}

/// A pull request, live.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pull {
    pub number: u64,
    pub head_sha: String,
    pub state: PullState,
    /// GitHub says that it conflicts with its base; `None` while it computes.
    pub mergeable: Option<bool>,
    /// Reviews, oldest first.
    pub reviews: Vec<Review>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub enum PullState {
    #[default]
    Open,
    Closed,
    Merged {
        sha: Option<String>,
    },
}

#[derive(Clone, Debug, PartialEq)]
pub struct Review {
    pub login: String,
    pub state: ReviewState,
    pub commit_id: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReviewState {
    Approved,
    ChangesRequested,
    Dismissed,
    Other,
}

/// The safety backup, live.
#[derive(Clone, Debug, PartialEq)]
pub struct SafetyBackup {
    pub run: BackupRun,
    pub phase: String,
    /// Velero's own words about what went wrong.
    pub failure: Option<String>,
}

/// What is looked at before each batch of deletes.
#[derive(Clone, Debug, PartialEq)]
pub struct Clearing {
    pub applications: Vec<Application>,
    pub objects: Vec<LiveObject>,
    pub ownership: Ownership,
    pub undiscovered: Vec<String>,
    /// A Restore of this request exists (S11).
    pub restore_exists: bool,
    /// Everything that Checking looks at; only before the first delete.
    pub survey: Option<Survey>,
}

/// A Restore of this request, live.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Restoring {
    pub restore: Option<RestoreRun>,
    /// Velero's own words: failure reason, validation errors, what its results say.
    pub failures: Vec<String>,
    /// Velero was restarted meanwhile, which ended it.
    pub restarted: bool,
    /// What its results say, once it has ended; nothing if they cannot be read.
    pub results: Option<Results>,
    /// While it runs: the Applications, of which none may move.
    pub applications: Vec<Application>,
    /// While it runs: workloads and claims that somebody else made, and who.
    pub foreign: Vec<String>,
    /// Restores that Velero has before it.
    pub ahead: usize,
    /// What is in the namespaces and was not brought by this request's Restores;
    /// looked at only while there is no Restore.
    pub in_the_way: Vec<String>,
    /// API groups that could not be looked at for that.
    pub undiscovered: Vec<String>,
}

/// What Velero says of a Restore, in its words, the first few of many.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Results {
    pub errors: Vec<String>,
    pub warnings: Vec<String>,
    /// Warnings of what was kept and so exists: that is how it should be.
    pub harmless: i64,
}

/// What was restored, live.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Verifying {
    /// Of all Restores of this request, the latest last.
    pub volumes: Vec<Volume>,
    /// What the backup holds and is not there.
    pub missing: Vec<String>,
    /// How many objects of the backup were looked for.
    pub items: i64,
    /// What was not brought by this request's Restores, and who made it.
    pub foreign: Vec<String>,
    /// Claims by name, with their phase.
    pub claims: Vec<(String, String)>,
    pub pods: Vec<Pod>,
    /// Workloads that have fewer ready replicas than they want, in words.
    pub unready: Vec<String>,
}

/// A volume that Velero restores.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Volume {
    pub name: String,
    pub phase: String,
    pub bytes: Progress,
    pub message: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pod {
    pub name: String,
    pub ready: bool,
    /// It ran to its end and is not expected to be ready.
    pub ended: bool,
    pub reason: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Resuming {
    /// The pause, while it may still be open.
    pub pause: Option<Pull>,
    pub resume: Option<Pull>,
    pub applications: Vec<Application>,
    /// A Restore of this request that Velero has not ended is there.
    pub restoring: bool,
    /// The moment before which a look of Argo CD proves nothing.
    pub since: Option<Timestamp>,
}
