//! Conditions, published from the facts for `kubectl` and for waiting on.

use jiff::Timestamp;

use super::phase::{Phase, phase};
use super::resource::CopyStatus;
use crate::request::conditions::{flag, reason, renewed};

/// Makes the conditions of a status anew.
pub fn publish(status: &mut CopyStatus, generation: Option<i64>, now: Timestamp) {
    let phase = phase(status);
    let there = status.shown.is_some() && status.ending.is_none();
    let wanted = vec![
        (
            "Progressing",
            flag(!phase.is_over()),
            phase.name().to_owned(),
            status.waiting.as_ref().map_or_else(
                || format!("It is {}.", phase.in_words()),
                |note| note.message.clone(),
            ),
        ),
        (
            "Available",
            flag(there),
            reason(there, "Restored", "NotThere"),
            String::new(),
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
