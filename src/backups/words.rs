//! The overview and the schedules as messages.

use std::fmt::Write as _;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::overview::{DAYS, Overview, Row, State};
use super::{Backup, Schedule, Whose};
use crate::chat::in_words::{between, code, harmless};
use crate::order::Cron;
use crate::request::preflight::{count, local};
use crate::schedule_times::{longest_gap, next_run};

/// How many namespaces a message names, the worst first; the picture has more.
const NAMED: usize = 8;

/// What a backup's phase means.
pub fn phase_in_words(backup: &Backup) -> String {
    if backup.deleting {
        return "being deleted".to_owned();
    }
    match &*backup.phase {
        "" | "New" | "Queued" | "ReadyToStart" => "waiting to begin".to_owned(),
        "InProgress" => "being made".to_owned(),
        "WaitingForPluginOperations" | "WaitingForPluginOperationsPartiallyFailed" => {
            "waiting for its volumes".to_owned()
        }
        "Finalizing" | "FinalizingPartiallyFailed" => "nearly done".to_owned(),
        "Completed" => "complete".to_owned(),
        "PartiallyFailed" => format!("partly failed, {}", count(backup.errors, "error")),
        "Failed" => "failed".to_owned(),
        "FailedValidation" => "refused by Velero".to_owned(),
        "Deleting" => "being deleted".to_owned(),
        other => harmless(other, 40),
    }
}

/// The overview as a message of at most about 1,900 characters.
pub fn in_words(overview: &Overview, zone: &TimeZone) -> String {
    if overview.rows.is_empty() {
        return "There is nothing to show: no namespace of yours is ordered, and there are no backups.".to_owned();
    }
    let ill = overview
        .rows
        .iter()
        .filter(|row| row.state != State::Good)
        .count();
    let all = count(
        i64::try_from(overview.rows.len()).unwrap_or(i64::MAX),
        "namespace",
    );
    let mut text = if ill == 0 {
        format!("**Backups:** {all}, all good.\n")
    } else {
        format!("**Backups:** {all}, of which {ill} not as it should be.\n")
    };
    for row in overview.rows.iter().take(NAMED) {
        let line = row_in_words(row, overview.now, zone);
        if text.len() + line.len() > 1_700 {
            break;
        }
        text.push_str(&line);
    }
    let named = text.matches("\n- ").count();
    if named < overview.rows.len() {
        let _ = writeln!(
            text,
            "And {} more, which are no worse.",
            overview.rows.len() - named
        );
    }
    let _ = write!(
        text,
        "The last {DAYS} days, today at the right: `#` good, `~` partly failed, `x` failed, `.` missing, `-` none due, or expired."
    );
    text
}

fn row_in_words(row: &Row, now: Timestamp, zone: &TimeZone) -> String {
    let mut parts = vec![format!("**{}**", row.state.in_words())];
    if let Some(at) = row.last_good {
        parts.push(format!(
            "last good one {} ago ({})",
            between(at, now),
            local(at, zone)
        ));
    }
    if let Some(next) = row.next {
        parts.push(format!("next {}", local(next, zone)));
    }
    if row.copies > 0 {
        parts.push(format!(
            "{} kept",
            count(i64::try_from(row.copies).unwrap_or(i64::MAX), "copy").replace("copys", "copies")
        ));
    }
    let strip: String = row.strip.iter().map(|mark| mark.sign()).collect();
    format!(
        "- {}: {}\n`{strip}`\n",
        code(&row.namespace),
        parts.join(", ")
    )
}

/// The schedules of a tenant, as ordered and as Velero has them.
pub fn schedules_in_words(
    whose: &Whose,
    schedules: &[&Schedule],
    now: Timestamp,
    zone: &TimeZone,
) -> String {
    let mut lines = Vec::new();
    for schedule in schedules {
        let mut parts = vec![code(&schedule.cron)];
        parts.push(format!(
            "kept for {}",
            schedule
                .ttl
                .as_deref()
                .and_then(|ttl| ttl.parse::<refloat_commands::Ttl>().ok())
                .map_or_else(|| "30 days".to_owned(), refloat_commands::Ttl::in_words)
        ));
        if schedule.phase == "FailedValidation" {
            parts.push(format!(
                "**refused by Velero**: {}",
                harmless(&schedule.errors.join("; "), 200)
            ));
        } else if schedule.paused {
            parts.push("**paused**".to_owned());
        } else if let Ok(cron) = Cron::parse_written(&schedule.cron) {
            let next = match cron.times {
                crate::order::Times::Every { .. } => {
                    let from = schedule.last_backup.unwrap_or(schedule.created);
                    next_run(&cron, from, &TimeZone::UTC).map(|next| next.max(now))
                }
                crate::order::Times::Fields(_) => next_run(&cron, now, &TimeZone::UTC),
            };
            parts.push(next.map_or_else(
                || "never runs".to_owned(),
                |next| format!("next {}", both(next, zone)),
            ));
            if longest_gap(&cron, now, &TimeZone::UTC).is_none() {
                parts.push("runs at most once".to_owned());
            }
        }
        if let Some(last) = schedule.last_backup {
            parts.push(format!("last {}", local(last, zone)));
        }
        lines.push(format!(
            "- {}: {}",
            code(whose.short(&schedule.name)),
            parts.join(", ")
        ));
    }
    let missing: Vec<String> = whose
        .schedules
        .iter()
        .filter(|name| {
            !schedules
                .iter()
                .any(|schedule| whose.short(&schedule.name) == name.as_str())
        })
        .map(|name| code(name))
        .collect();
    if !missing.is_empty() {
        lines.push(format!(
            "Ordered, but not in the cluster (yet): {}.",
            crate::request::preflight::list(&missing)
        ));
    }
    if lines.is_empty() {
        return format!(
            "The tenant {} has no backup schedules. Order one: `schedule add tenant:{} name:daily when:\"every day \
             at 01:00\" keep:7d`.",
            code(&whose.tenant),
            whose.tenant
        );
    }
    lines.insert(
        0,
        format!(
            "Backup schedules of the tenant {}, each for all its namespaces:",
            code(&whose.tenant)
        ),
    );
    lines.join("\n")
}

/// A moment in the platform's zone, and in UTC where that is another.
fn both(at: Timestamp, zone: &TimeZone) -> String {
    let (here, utc) = (local(at, zone), local(at, &TimeZone::UTC));
    if here == utc {
        here
    } else {
        format!("{here} ({utc})")
    }
}
