//! What the order of a backup schedule is: its resource, facts, phase and next step.
//!
//! The same way round as a restore: [`resource`] says what people want and what is
//! known, [`phase::phase`] where it stands, [`decide`] what comes next, [`facts::apply`]
//! is the only door to the status.
//!
//! Architecture invariant: nothing here does I/O, is async, or knows a client.

pub mod checks;
pub mod conditions;
pub mod decide;
pub mod facts;
pub mod observed;
pub mod phase;
pub mod resource;

#[cfg(test)]
mod tests;

pub use decide::{Effect, Policy, Subject, decide};
pub use facts::{Fact, apply};
pub use observed::Observed;
pub use phase::{Phase, phase};
pub use resource::{
    Action, Applied, Change, Checked, Confirmed, Ending, Entry, Outcome, PullRequest, Remaining,
    ScheduleRequest, ScheduleRequestSpec, ScheduleStatus, Stuck, StuckReason,
};

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use crate::order::{self, Cron, Edit, ScheduleChange, ScheduleName, Ttl};
use crate::request::inventory::hex;
use crate::schedule_times;

/// What an approval is bound to (S2): the request, what it changes, what stood in
/// the order before, and the head of its pull request. 64 hexadecimal digits.
pub fn digest(uid: &str, spec: &ScheduleRequestSpec, status: &ScheduleStatus) -> String {
    let mut hash = Sha256::new();
    let mut add = |part: &str| {
        // The length before each part keeps two neighbours from being mistaken
        // for one another.
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    };
    add("schedule");
    add(uid);
    add(&spec.tenant);
    let Change {
        action,
        name,
        new_name,
        schedule,
        ttl,
        // What was typed is told, not ordered.
        words: _,
    } = &spec.change;
    add(action.word());
    add(name);
    for part in [new_name, schedule, ttl] {
        add(part.as_deref().unwrap_or_default());
    }
    let before = status
        .checked
        .as_ref()
        .and_then(|checked| checked.before.as_ref());
    if let Some(Entry {
        name,
        schedule,
        ttl,
    }) = before
    {
        add(name);
        add(schedule);
        add(ttl.as_deref().unwrap_or_default());
    }
    add(status
        .pull
        .as_ref()
        .and_then(|pull| pull.opened.as_ref())
        .map_or("", |opened| opened.head_sha.as_str()));
    hex(&hash.finalize())
}

/// The branch of a request's pull request.
pub fn branch(request: &str, uid: &str) -> String {
    let short = crate::request::short_uid(uid);
    format!("refloat/{request}-{}-schedule", &short[..6])
}

/// The name of the Velero Schedule of an order's schedule.
pub fn velero_name(tenant: &str, schedule: &str) -> String {
    format!("{tenant}-{schedule}")
}

/// Makes the edit that a change asks for, from an order's text. It changes nothing
/// where the order reads so already.
///
/// # Errors
/// What is wrong with a name, a time or a duration, or with the order, in words.
pub fn edit(change: &Change, text: &str) -> anyhow::Result<Edit> {
    let name = ScheduleName::parse(&change.name)?;
    let cron = change.schedule.as_deref().map(Cron::parse).transpose()?;
    let ttl = change.ttl.as_deref().map(Ttl::parse_written).transpose()?;
    Ok(match change.action {
        Action::Add => {
            let cron = cron.ok_or_else(|| anyhow::anyhow!("a new schedule needs a time"))?;
            order::schedule_add(text, &name, &cron, ttl)?
        }
        Action::Change => {
            let change = ScheduleChange {
                name: change
                    .new_name
                    .as_deref()
                    .map(ScheduleName::parse)
                    .transpose()?,
                cron,
                ttl,
            };
            order::schedule_change(text, &name, &change)?
        }
        Action::Remove => order::schedule_remove(text, &name)?,
    })
}

/// When a schedule runs next after a moment, by its cron; `None` for what never does.
pub fn next_run(cron: &str, after: Timestamp) -> Option<Timestamp> {
    let cron = Cron::parse_written(cron).ok()?;
    schedule_times::next_run(&cron, after, &jiff::tz::TimeZone::UTC)
}
