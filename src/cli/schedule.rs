//! `refloat schedule`: what a schedule would do, without a cluster.

use std::io::Write;

use clap::Subcommand;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::schedule_times::{read_when, runs};

/// Done.
pub const DONE: u8 = 0;
/// The answer could not be written.
pub const FAILED: u8 = 1;
/// What was given does not say when.
pub const INVALID: u8 = 2;

/// Say what a schedule would do, without a cluster.
#[derive(Debug, Subcommand)]
pub enum ScheduleCommand {
    /// Print a schedule as cron, and its next runs in UTC, one a line.
    Explain {
        /// Cron (`0 1 * * *`, @daily) or plain words (every day at 01:00), in one argument or several.
        #[arg(required = true)]
        when: Vec<String>,
        /// Runs after this moment are shown, such as 2026-11-24T12:00:00Z; without it, after now.
        #[arg(long, value_name = "RFC3339")]
        from: Option<Timestamp>,
        /// How many runs are shown.
        #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(0..=10_000))]
        count: u32,
    },
}

/// Runs a command and returns its exit code: [`DONE`], [`FAILED`] or [`INVALID`]. `now` is the time.
pub fn run(
    command: &ScheduleCommand,
    now: Timestamp,
    stdout: &mut dyn Write,
    stderr: &mut dyn Write,
) -> u8 {
    let ScheduleCommand::Explain { when, from, count } = command;
    let cron = match read_when(&when.join(" ")) {
        Ok(cron) => cron,
        Err(error) => {
            // There is nowhere left to report that standard error cannot be written.
            let _ = writeln!(stderr, "{error}");
            return INVALID;
        }
    };
    let wanted = usize::try_from(*count).unwrap_or(usize::MAX);
    let coming: Vec<Timestamp> = runs(&cron, from.unwrap_or(now), &TimeZone::UTC)
        .take(wanted)
        .collect();
    let mut lines = format!("{cron}\n");
    for run in &coming {
        lines.push_str(&run.strftime("%Y-%m-%dT%H:%M:%SZ\n").to_string());
    }
    if coming.is_empty() && wanted > 0 {
        let _ = writeln!(
            stderr,
            "`{cron}` never runs: no such moment comes within five years"
        );
    }
    match stdout
        .write_all(lines.as_bytes())
        .and_then(|()| stdout.flush())
    {
        Ok(()) => DONE,
        Err(error) => {
            let _ = writeln!(stderr, "{error}");
            FAILED
        }
    }
}
