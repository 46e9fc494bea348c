//! The card: where a change of schedules stands.

use super::{View, entry, what};
use crate::chat::card::{times, via};
use crate::chat::harmless::{code, harmless, link};
use crate::chat::words::sentence;
use crate::chat::{Card, Field};
use crate::request::preflight::{count, list};
use crate::schedule::{Phase, next_run};

/// How many of the next runs are shown.
const RUNS: usize = 3;

pub(super) fn card(view: &View<'_>) -> Card {
    let status = view.status;
    let mut fields = Vec::new();
    let mut put = |name, lines: Vec<String>| fields.push(Field { name, lines });
    put("What", vec![what(view.spec)]);
    if let Some(words) = &view.spec.change.words {
        put("In words", vec![harmless(words, 200)]);
    }
    if let Some(checked) = &status.checked {
        if let Some(before) = &checked.before {
            put("Before", vec![entry(before)]);
        }
        if let Some(after) = &checked.after {
            put("After", vec![entry(after)]);
            let runs = runs(view, &after.schedule);
            if !runs.is_empty() && !view.phase.is_over() {
                put("Next runs", runs);
            }
        }
        let names: Vec<String> = checked.namespaces.iter().map(|name| code(name)).collect();
        if !names.is_empty() {
            put("Covers", vec![list(&names)]);
        }
    } else {
        if let Some(cron) = &view.spec.change.schedule {
            put("Runs at", vec![code(cron)]);
        }
        if let Some(ttl) = &view.spec.change.ttl {
            put("Keeps", vec![code(ttl)]);
        }
    }
    put(
        "Asked by",
        vec![format!(
            "{}, {}",
            harmless(&view.spec.requester.name, 100),
            view.local(view.created)
        )],
    );
    if let Some(approved) = &status.approved {
        put(
            "Approved by",
            vec![format!(
                "{} {}, {}",
                harmless(&approved.by, 100),
                via(approved.via),
                view.local(approved.at)
            )],
        );
    }
    if let Some(ending) = &status.ending {
        put(
            "Why it ended",
            vec![sentence(&harmless(&ending.message, 400))],
        );
    }
    if let Some(stuck) = &status.stuck {
        put(
            "Stuck because",
            vec![sentence(&harmless(&stuck.message, 400))],
        );
    }
    if !view.phase.is_over()
        && let Some(error) = &status.last_error
    {
        put(
            "Last error",
            vec![format!(
                "{} failed {}: {}",
                harmless(&error.effect, 100),
                times(error.attempts),
                sentence(&harmless(&error.message, 300))
            )],
        );
    }
    if let Some(checked) = &status.checked
        && !status.in_order()
    {
        let checks = checked.checks.iter().map(|check| harmless(check, 200));
        put("Checks passed", checks.collect());
    }
    if let Some(pull) = &status.pull
        && let Some(opened) = &pull.opened
    {
        let state = match (&pull.merged, &pull.closed_at) {
            (Some(_), _) => "merged",
            (None, Some(_)) => "closed",
            (None, None) => "open",
        };
        put(
            "Pull request",
            vec![format!(
                "#{}, {state}: {}",
                opened.number,
                link(&opened.url)
            )],
        );
    }
    if let Some(applied) = &status.applied {
        put(
            "Velero Schedule",
            vec![format!(
                "{}, {}",
                code(&applied.schedule),
                if applied.uid.is_some() {
                    "enabled"
                } else {
                    "gone"
                }
            )],
        );
    }
    if let Some(bad) = &status.bad_run
        && status.confirmed.is_none()
    {
        put("Last run", vec![sentence(&harmless(&bad.message, 300))]);
    }
    if let Some(confirmed) = &status.confirmed {
        put(
            "First good backup",
            vec![format!(
                "{} of {}{}",
                code(&confirmed.backup),
                view.local(confirmed.started_at),
                confirmed
                    .expires_at
                    .map(|at| format!(", kept until {}", view.local(at)))
                    .unwrap_or_default()
            )],
        );
    }
    if let Some(words) = super::milestones::remaining(view) {
        put("Backups that stay", vec![words]);
    }
    if let Some(next) = next(view) {
        put("Next", vec![next]);
    }
    Card {
        heading: format!(
            "Backup schedule {} of {} ({})",
            code(&view.spec.change.name),
            code(&view.spec.tenant),
            code(view.name)
        ),
        stage: view.phase.into(),
        state: state(view),
        fields,
        bars: Vec::new(),
        waiting: waiting(view),
    }
    .fit()
}

/// The next runs after the request was made, in the platform's zone and in UTC.
fn runs(view: &View<'_>, cron: &str) -> Vec<String> {
    let from = view
        .status
        .applied
        .as_ref()
        .map_or(view.created, |applied| applied.at);
    let mut at = from;
    let mut runs = Vec::new();
    while runs.len() < RUNS {
        let Some(next) = next_run(cron, at) else {
            break;
        };
        runs.push(moment(view, next));
        at = next;
    }
    runs
}

fn moment(view: &View<'_>, at: jiff::Timestamp) -> String {
    let local = view.local(at);
    if local.ends_with("UTC") {
        local
    } else {
        format!("{local} ({} UTC)", at.strftime("%Y-%m-%d %H:%M"))
    }
}

fn state(view: &View<'_>) -> String {
    let status = view.status;
    match view.phase {
        Phase::Checking => "Being checked: the order, the name and the times.".to_owned(),
        Phase::AwaitingApproval if status.pull.is_none() => {
            "Checked. The pull request on the tenant's order is being opened.".to_owned()
        }
        Phase::AwaitingApproval => format!(
            "Waiting for a reviewer's approval of exactly this (digest {}), or for the \
             repository to merge it.",
            code(&view.short_digest())
        ),
        Phase::Merging => "Approved. The pull request is being merged.".to_owned(),
        Phase::Applying => "It is in the tenant's order. Argo CD is asked to apply it.".to_owned(),
        Phase::Confirming => {
            "Velero has it, and runs it. Waiting for the first good backup.".to_owned()
        }
        Phase::Closing => "It ends early. Its pull request is being closed.".to_owned(),
        Phase::Done if status.confirmed.is_some() => {
            "Done: in the order, in Velero, and confirmed by a good backup.".to_owned()
        }
        Phase::Done => "Done: out of the order, and out of Velero.".to_owned(),
        Phase::Refused => "Refused. Nothing was changed.".to_owned(),
        Phase::Denied => "Denied. Nothing was changed.".to_owned(),
        Phase::Withdrawn => "Withdrawn. Nothing was changed.".to_owned(),
        Phase::Expired => "Expired. Nothing was changed.".to_owned(),
        Phase::Failed => "Failed: it is in the order, but does not do what it says.".to_owned(),
        Phase::Superseded => "Superseded by a later change.".to_owned(),
        Phase::Stuck => "Stuck: a person has to choose how to go on.".to_owned(),
    }
}

fn next(view: &View<'_>) -> Option<String> {
    let name = view.bare_name();
    let words = match view.phase {
        Phase::Checking => "a pull request on the tenant's order".to_owned(),
        Phase::AwaitingApproval => {
            "once approved or merged: Argo CD applies it, and Velero runs it".to_owned()
        }
        Phase::Merging => "Argo CD applies it".to_owned(),
        Phase::Applying if view.status.checked.as_ref()?.after.is_none() => {
            "Velero has the schedule no more; its backups stay until they expire".to_owned()
        }
        Phase::Applying => "Velero enables it, and its first backup is waited for".to_owned(),
        Phase::Confirming => match view
            .status
            .applied
            .as_ref()
            .and_then(|applied| applied.next_run)
        {
            Some(at) => format!("its first run, at {}", moment(view, at)),
            None => "its first run".to_owned(),
        },
        Phase::Closing => "then it is over".to_owned(),
        Phase::Stuck => format!(
            "`schedule retry {name}` to go on, or `schedule leave {name}` to end it as things are"
        ),
        Phase::Done
        | Phase::Refused
        | Phase::Denied
        | Phase::Withdrawn
        | Phase::Expired
        | Phase::Failed
        | Phase::Superseded => return None,
    };
    Some(words)
}

fn waiting(view: &View<'_>) -> Option<String> {
    let note = view.status.waiting.as_ref()?;
    (!view.phase.is_over() && view.phase != Phase::Stuck)
        .then(|| sentence(&harmless(&note.message, 400)))
}

/// `3 backups`.
pub(super) fn backups(number: i64) -> String {
    count(number, "backup")
}
