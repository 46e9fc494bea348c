//! Conditions, published from the facts for `kubectl` and for waiting on.

use jiff::Timestamp;

use super::phase::{Phase, phase};
use super::resource::{Condition, RestoreStatus};

/// Makes the conditions of a status anew; a condition that says the same as
/// before keeps its transition time.
pub fn publish(status: &mut RestoreStatus, generation: Option<i64>, now: Timestamp) {
    let phase = phase(status);
    let progressing = !phase.is_over() && phase != Phase::Stuck;
    let wanted = vec![
        (
            "Progressing",
            flag(progressing),
            phase.name().to_owned(),
            status
                .waiting
                .as_ref()
                .map_or_else(|| sentence(phase), |note| note.message.clone()),
        ),
        (
            "Approved",
            flag(status.approved.is_some()),
            reason(status.approved.is_some(), "Approved", "NotApproved"),
            status
                .approved
                .as_ref()
                .map_or_else(String::new, |approved| format!("by {}", approved.by)),
        ),
        (
            "SelfHealPaused",
            flag(status.self_heal_is_off()),
            reason(status.self_heal_is_off(), "PausedByRefloat", "NotPaused"),
            String::new(),
        ),
        (
            "Stalled",
            flag(status.stuck.is_some()),
            status.stuck.as_ref().map_or_else(
                || "NotStalled".to_owned(),
                |stuck| format!("{:?}", stuck.reason),
            ),
            status
                .stuck
                .as_ref()
                .map_or_else(String::new, |stuck| stuck.message.clone()),
        ),
        (
            "Succeeded",
            match phase {
                Phase::Done => "True",
                other if other.is_over() => "False",
                _ => "Unknown",
            },
            if phase.is_over() {
                phase.name().to_owned()
            } else {
                "InProgress".to_owned()
            },
            status
                .ending
                .as_ref()
                .map_or_else(String::new, |ending| ending.message.clone()),
        ),
    ];
    status.observed_generation = generation;
    status.conditions = renewed(&status.conditions, wanted, generation, now);
}

/// Conditions made anew from (type, status, reason, message); one that says the
/// same as in `old` keeps its transition time.
pub fn renewed(
    old: &[Condition],
    wanted: Vec<(&str, &str, String, String)>,
    generation: Option<i64>,
    now: Timestamp,
) -> Vec<Condition> {
    wanted
        .into_iter()
        .map(|(type_, state, reason, message)| {
            let last_transition_time = old
                .iter()
                .find(|old| old.type_ == type_ && old.status == state && old.reason == reason)
                .map_or(now, |old| old.last_transition_time);
            Condition {
                type_: type_.to_owned(),
                status: state.to_owned(),
                reason,
                message,
                last_transition_time,
                observed_generation: generation,
            }
        })
        .collect()
}

/// When a request ended, by its condition `Succeeded`; `None` while it has not.
pub fn ended_at(conditions: &[Condition]) -> Option<Timestamp> {
    conditions
        .iter()
        .find(|condition| condition.type_ == "Succeeded" && condition.status != "Unknown")
        .map(|condition| condition.last_transition_time)
}

pub(crate) fn flag(on: bool) -> &'static str {
    if on { "True" } else { "False" }
}

pub(crate) fn reason(on: bool, yes: &str, no: &str) -> String {
    if on { yes } else { no }.to_owned()
}

fn sentence(phase: Phase) -> String {
    format!("It is {}.", phase.in_words())
}
