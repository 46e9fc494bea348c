//! What a restore is: its resource, its facts, its phase and its next step.
//!
//! Architecture invariant: nothing here does I/O, is async, or knows a client.
//! [`decide`] holds the whole machine; [`facts::apply`] is the only door to the
//! status; [`phase::phase`] the only way to a phase.

pub mod applications;
pub mod approval;
pub mod conditions;
pub mod decide;
pub mod facts;
mod guard;
pub mod inventory;
pub mod observed;
pub mod people;
pub mod phase;
pub mod preflight;
pub mod resource;
pub mod summary;

#[cfg(test)]
pub(crate) mod tests;

pub use decide::{Effect, Policy, Step, Subject, decide};
pub use facts::{Fact, LookFor, Which, apply};
pub use observed::Observed;
pub use phase::{Phase, phase};
pub use resource::{
    Action, Approved, BackupFact, BackupRun, Checked, Choice, Clearing, Condition, Consent, Ending,
    ExpectedVolume, GivenConsent, LastError, Merged, Note, Opened, Outcome, Person, Progress,
    PullRequest, Reminder, ReminderOf, RestoreRequest, RestoreRequestSpec, RestoreRun,
    RestoreStatus, Settled, Source, Stuck, StuckReason, Verdict, Verified, Via, Vote, Waiver,
    Withdrawal,
};

use sha2::{Digest, Sha256};

/// What an approval is bound to (S2): the request, its backup, its inventory,
/// and the head of its pull request; once the resume is open, of that one too,
/// so that the approval of the restore is none of the way back. 64 hexadecimal
/// digits.
pub fn digest(uid: &str, spec: &RestoreRequestSpec, status: &RestoreStatus) -> String {
    let checked = status.checked.as_ref();
    let mut hash = Sha256::new();
    let mut add = |part: &str| {
        // The length before each part keeps two neighbours from being mistaken
        // for one another.
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    };
    add(uid);
    add(&spec.tenant);
    for namespace in &spec.namespaces {
        add(namespace);
    }
    add(checked.map_or("", |checked| checked.backup.uid.as_str()));
    add(checked.map_or("", |checked| checked.inventory.digest.as_str()));
    add(status
        .pause
        .as_ref()
        .and_then(|pull| pull.opened.as_ref())
        .map_or("", |opened| opened.head_sha.as_str()));
    for needed in checked.iter().flat_map(|checked| checked.needing_consent()) {
        add(&needed.in_words());
    }
    if let Some(resume) = status.resume.as_ref().and_then(|pull| pull.opened.as_ref()) {
        add("resume");
        add(&resume.head_sha);
    }
    inventory::hex(&hash.finalize())
}

/// The part of a request's names that comes from its uid: short, and the same
/// for ever.
pub fn short_uid(uid: &str) -> String {
    inventory::hex(&Sha256::digest(uid.as_bytes()))[..10].to_owned()
}

/// Names of what a request makes in the world; each can be found again by it.
pub mod names {
    use super::{Which, short_uid};

    /// Label on every object that a request makes: the request's uid.
    pub const REQUEST_LABEL: &str = "refloat.dev/request-uid";
    /// Label beside it: the request's name.
    pub const REQUEST_NAME_LABEL: &str = "refloat.dev/request";

    /// The branch of a pull request.
    pub fn branch(request: &str, uid: &str, which: Which) -> String {
        format!(
            "refloat/{request}-{}-{}",
            &short_uid(uid)[..6],
            which.word()
        )
    }

    /// The safety backup; `round` rises each time it is taken anew.
    pub fn safety_backup(uid: &str, round: usize) -> String {
        format!("refloat-{}-safety-{}", short_uid(uid), round + 1)
    }

    /// True for the name of any request's safety backup.
    pub fn is_safety_backup(name: &str) -> bool {
        name.starts_with("refloat-") && name.contains("-safety-")
    }

    /// The Restore; `round` rises each time it is tried again.
    pub fn restore(uid: &str, round: usize) -> String {
        format!("refloat-{}-{}", short_uid(uid), round + 1)
    }
}
