//! When schedules run: what people write becomes cron, and cron becomes moments.
//!
//! [`read_when`] takes cron or plain words, [`next_run`] and [`runs`] say when Velero will run it, and
//! [`plan`] puts together what is shown before a schedule is ordered: the next runs, how many copies are
//! kept, and what to beware of.
//!
//! Architecture invariant: pure. No I/O and no clock; zones come from a table within the program.

mod next;
mod plan;
mod velero;
mod warning;
mod words;

pub use next::{next_run, runs, zone};
pub use plan::{Ask, Copies, Named, Plan, Refusal, longest_gap, plan};
pub use velero::{VeleroVersion, ZoneSupport};
pub use warning::Warning;

use crate::order::Cron;

/// Three ways to say when, for whoever said it otherwise.
pub const EXAMPLES: &str = "`0 1 * * *`, `every day at 01:00` or `Sundays 03:30`";

/// Why a text does not say when a schedule runs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{}` does not say when: {why}{} Write cron or plain words, for example {EXAMPLES}",
    .text.escape_debug(),
    if .why.ends_with('?') { "" } else { "." }
)]
pub struct WhenError {
    /// What was given, shortened.
    pub text: String,
    /// What is wrong, as the end of a sentence.
    pub why: String,
}

/// Reads when a schedule runs: a cron expression as Velero takes it, or plain words.
///
/// # Errors
/// What is neither, with the reason and three examples. Nothing is guessed.
pub fn read_when(text: &str) -> Result<Cron, WhenError> {
    let error = |why: String| WhenError {
        text: text.trim().chars().take(80).collect(),
        why,
    };
    match Cron::parse_written(text) {
        Ok(cron) => Ok(cron),
        Err(refused) if looks_like_cron(text) => Err(error(refused.why)),
        Err(_) => {
            let expression = words::cron(text).map_err(error)?;
            Cron::parse_written(&expression).map_err(|refused| error(refused.why))
        }
    }
}

/// Is it meant as cron, so that a fault is to be told in terms of cron?
fn looks_like_cron(text: &str) -> bool {
    let words: Vec<&str> = text.split_whitespace().collect();
    let first = words.first().copied().unwrap_or_default();
    let field = |word: &&str| {
        word.starts_with(|c: char| c.is_ascii_digit() || "*?/,+-".contains(c))
            && !word.contains(':')
            && !word.ends_with([',', '.'])
    };
    first.starts_with('@')
        || first.starts_with("TZ=")
        || first.starts_with("CRON_TZ=")
        || text.contains('*')
        || text.contains('?')
        || words.len() >= 4 && words.iter().take(3).all(field)
}

#[cfg(test)]
mod tests;
