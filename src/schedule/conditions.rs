//! Conditions, published from the facts for `kubectl` and for waiting on.

use jiff::Timestamp;

use super::phase::{Phase, phase};
use super::resource::ScheduleStatus;
use crate::request::conditions::{flag, reason, renewed};

/// Makes the conditions of a status anew.
pub fn publish(status: &mut ScheduleStatus, generation: Option<i64>, now: Timestamp) {
    let phase = phase(status);
    let wanted = vec![
        (
            "Progressing",
            flag(!phase.is_over() && phase != Phase::Stuck),
            phase.name().to_owned(),
            status.waiting.as_ref().map_or_else(
                || format!("It is {}.", phase.in_words()),
                |note| note.message.clone(),
            ),
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
            "Applied",
            flag(status.applied.is_some()),
            reason(status.applied.is_some(), "SeenInCluster", "NotApplied"),
            status
                .applied
                .as_ref()
                .map_or_else(String::new, |applied| applied.schedule.clone()),
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
