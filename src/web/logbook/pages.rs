//! The pages of the logbook, made from what is known and nothing else (pure).
//!
//! All text goes through the template's escaping.

use std::sync::Arc;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;
use maud::{Markup, html};

use crate::backups::Overview;
use crate::copy::{self, CopyRequest};
use crate::request::preflight::CheckState;
use crate::request::resource::{Opened, RestoreStatus};
use crate::request::{self, RestoreRequest, summary};
use crate::schedule::{self, ScheduleRequest};

/// Everything that was asked for, what is under way first.
pub(super) fn index(
    restores: &[Arc<RestoreRequest>],
    schedules: &[Arc<ScheduleRequest>],
    copies: &[Arc<CopyRequest>],
    zone: &TimeZone,
    now: Timestamp,
) -> Markup {
    let (under_way, over): (Vec<_>, Vec<_>) = restores
        .iter()
        .partition(|request| !request.phase().is_over());
    html! {
        h2 { "Restores" }
        @if restores.is_empty() { p { "Nobody has asked for a restore yet." } }
        @else {
            table {
                tr { th { "Request" } th { "Tenant" } th { "Where it stands" } th { "Backup" } th { "Asked for by" } th { "When" } }
                @for request in under_way.iter().chain(&over) {
                    @let phase = request.phase();
                    @let status = request.status.clone().unwrap_or_default();
                    tr {
                        td { a href={ "/restores/" (request.name_any()) } { (request.name_any()) } }
                        td { (request.spec.tenant) }
                        td class=(tone(phase)) {
                            (phase.in_words())
                            @if let Some(off) = self_heal_off(&status, now) { br; "self-heal off for " (off) }
                        }
                        td { @if let Some(checked) = &status.checked { code { (checked.backup.name) } } }
                        td { (request.spec.requester.name) }
                        td { (created(request.creation_timestamp().map(|time| time.0), zone)) }
                    }
                }
            }
        }
        h2 { "Changes of schedules" }
        @if schedules.is_empty() { p { "Nobody has asked for a change of schedules yet." } }
        @else {
            table {
                tr { th { "Request" } th { "Tenant" } th { "Change" } th { "Where it stands" } th { "Asked for by" } th { "When" } }
                @for request in schedules {
                    tr {
                        td { a href={ "/schedules/" (request.name_any()) } { (request.name_any()) } }
                        td { (request.spec.tenant) }
                        td { (change(request)) }
                        td { (request.phase().in_words()) }
                        td { (request.spec.requester.name) }
                        td { (created(request.creation_timestamp().map(|time| time.0), zone)) }
                    }
                }
            }
        }
        @if !copies.is_empty() {
            h2 { "Copies" }
            table {
                tr { th { "Request" } th { "Tenant" } th { "Namespace" } th { "Into" } th { "Where it stands" } th { "Asked for by" } th { "When" } }
                @for request in copies {
                    @let status = request.status.clone().unwrap_or_default();
                    tr {
                        td { (request.name_any()) }
                        td { (request.spec.tenant) }
                        td { (request.spec.namespace) }
                        td { (request.spec.into) }
                        td {
                            (copy::phase(&status).in_words())
                            @if let Some(ending) = &status.ending { br; (ending.message) }
                        }
                        td { (request.spec.requester.name) }
                        td { (created(request.creation_timestamp().map(|time| time.0), zone)) }
                    }
                }
            }
        }
    }
}

/// One restore in full.
pub(super) fn restore(request: &RestoreRequest, zone: &TimeZone, now: Timestamp) -> Markup {
    let status = request.status.clone().unwrap_or_default();
    let phase = request::phase(&status);
    let spec = &request.spec;
    html! {
        p class=(tone(phase)) { "It is " (phase.in_words()) "." }
        @if let Some(ending) = &status.ending { p { (ending.message) } }
        @if let Some(stuck) = &status.stuck { p.bad { (stuck.message) } }
        @if let Some(waiting) = &status.waiting { p { (waiting.message) } }
        table {
            tr { th { "Tenant" } td { (spec.tenant) } }
            tr { th { "Namespaces" } td { (spec.namespaces.join(", ")) } }
            tr { th { "Asked for by" } td { (spec.requester.name) } }
            tr { th { "Reason" } td { (spec.reason) } }
            @if let Some(checked) = &status.checked {
                tr { th { "Backup" } td { code { (checked.backup.name) } ", of " (at(checked.backup.started_at, zone)) } }
            }
            @if let Some(approved) = &status.approved {
                tr { th { "Approved by" } td { (approved.by) ", " (at(approved.at, zone)) } }
            }
            @if let Some(waiver) = &status.waiver {
                tr { th { "Safety backup" } td { "waived by " (waiver.by) ", " (at(waiver.at, zone)) } }
            } @else if let Some(backup) = &status.safety_backup {
                tr { th { "Safety backup" } td { code { (backup.name) } } }
            }
            @if let Some(pause) = &status.pause { (pull("Self-heal off", pause.opened.as_ref(), state(pause.merged.is_some(), pause.closed_at))) }
            @if let Some(resume) = &status.resume { (pull("Self-heal on", resume.opened.as_ref(), state(resume.merged.is_some(), resume.closed_at))) }
        }
        h2 { "Progress" }
        (progress(&status))
        (timeline(request, &status, phase, zone, now))
        @if let Some(checked) = &status.checked {
            h2 { "Checks" }
            table {
                tr { th { "Check" } th { "Result" } th { "Why" } }
                @for result in &checked.checks {
                    tr {
                        td { (result.check.to_string()) }
                        td class=(match result.state { CheckState::Passed => "good", CheckState::Warned => "wait", CheckState::NeedsConsent => "bad" }) {
                            (match result.state { CheckState::Passed => "passed", CheckState::Warned => "worth knowing", CheckState::NeedsConsent => "needs consent" })
                        }
                        td { (result.message) }
                    }
                }
            }
            h2 { "What is deleted, and what stays" }
            table {
                tr { th { "Kind" } th { "Deleted" } th { "Kept" } }
                @let kinds: std::collections::BTreeSet<&String> = checked.inventory.delete.keys().chain(checked.inventory.keep.keys()).collect();
                @for kind in kinds {
                    tr {
                        td { (kind) }
                        td { (checked.inventory.delete.get(kind).copied().unwrap_or(0)) }
                        td { (checked.inventory.keep.get(kind).copied().unwrap_or(0)) }
                    }
                }
            }
            @if !checked.inventory.claims.is_empty() {
                h2 { "Volumes that are deleted" }
                table {
                    @for claim in &checked.inventory.claims {
                        tr { td { (claim.namespace) "/" (claim.name) } td { (claim.size.as_deref().unwrap_or("")) } }
                    }
                }
            }
            @if let Some(comparison) = &checked.comparison {
                h2 { "Held against the backup" }
                @for row in &comparison.rows { code { (row) } br; }
                @if comparison.left_out > 0 { p { "and " (comparison.left_out) " more" } }
            }
        }
        @if !status.conditions.is_empty() {
            h2 { "Conditions" }
            table {
                @for condition in &status.conditions {
                    tr {
                        td { (condition.type_) }
                        td { (condition.status) }
                        td { (condition.reason) }
                        td { (condition.message) }
                        td { (at(condition.last_transition_time, zone)) }
                    }
                }
            }
        }
    }
}

/// How far what is counted has come.
fn progress(status: &RestoreStatus) -> Markup {
    let clearing = status.clearing.as_ref().map(|clearing| clearing.progress);
    let restore = status.restore.as_ref();
    let bars = [
        ("objects cleared", clearing),
        ("items restored", restore.map(|run| run.items)),
        ("bytes of volumes", restore.map(|run| run.bytes)),
    ];
    html! {
        table {
            @for (what, counted) in bars {
                @if let Some(counted) = counted.filter(|it| it.total > 0) {
                    tr {
                        td { (what) }
                        td { progress value=(counted.done) max=(counted.total) {} }
                        td { (counted.done) " of " (counted.total) }
                    }
                }
            }
        }
    }
}

/// How long each phase took, and how much of the whole that is.
fn timeline(
    request: &RestoreRequest,
    status: &RestoreStatus,
    phase: request::Phase,
    zone: &TimeZone,
    now: Timestamp,
) -> Markup {
    let began = request.creation_timestamp().map_or(now, |time| time.0);
    // The last span of one that is over ends with its last fact, not with the present.
    let end = status.resumed_at.or(status.ending.as_ref().map(|it| it.at));
    let end = end.filter(|_| phase.is_over()).unwrap_or(now);
    let spans = summary::spans(status, began, end);
    let whole = end.duration_since(began).as_secs_f64().max(1.);
    html! {
        table {
            tr { th { "Part" } th { "From" } th { "Took" } th {} }
            @for (what, from, to) in &spans {
                @let took = to.duration_since(*from);
                tr {
                    td { (what) }
                    td { (at(*from, zone)) }
                    td { (duration(took)) }
                    td { progress value=(took.as_secs_f64().round()) max=(whole.round()) {} }
                }
            }
        }
    }
}

/// One change of schedules in full.
pub(super) fn schedule(request: &ScheduleRequest, zone: &TimeZone) -> Markup {
    let status = request.status.clone().unwrap_or_default();
    html! {
        p { "It is " (request.phase().in_words()) "." }
        @if let Some(ending) = &status.ending { p { (ending.message) } }
        @if let Some(stuck) = &status.stuck { p.bad { (stuck.message) } }
        table {
            tr { th { "Tenant" } td { (request.spec.tenant) } }
            tr { th { "Change" } td { (change(request)) } }
            tr { th { "Asked for by" } td { (request.spec.requester.name) } }
            @if let Some(approved) = &status.approved {
                tr { th { "Approved by" } td { (approved.by) ", " (at(approved.at, zone)) } }
            }
            @if let Some(asked) = &status.pull { (pull("Pull request", asked.opened.as_ref(), state(asked.merged.is_some(), asked.closed_at))) }
        }
        h2 { "Conditions" }
        table {
            @for condition in &status.conditions {
                tr {
                    td { (condition.type_) }
                    td { (condition.status) }
                    td { (condition.reason) }
                    td { (condition.message) }
                    td { (at(condition.last_transition_time, zone)) }
                }
            }
        }
    }
}

/// Who has good backups, the worst first.
pub(super) fn coverage(overview: &Overview, zone: &TimeZone) -> Markup {
    html! {
        @if overview.rows.is_empty() { p { "There is no namespace to show." } }
        @else {
            table {
                tr { th { "Namespace" } th { "State" } th { "Last good" } th { "Next" } th { "Copies" } th { "The last 30 days" } }
                @for row in &overview.rows {
                    tr {
                        td { (row.namespace) }
                        td class=(if row.state == crate::backups::State::Good { "good" } else { "bad" }) { (row.state.in_words()) }
                        td { (row.last_good.map(|moment| at(moment, zone)).unwrap_or_default()) }
                        td { (row.next.map(|moment| at(moment, zone)).unwrap_or_default()) }
                        td { (row.copies) }
                        td.strip { (row.strip.iter().map(|mark| mark.sign()).collect::<String>()) }
                    }
                }
            }
        }
    }
}

fn pull(what: &str, opened: Option<&Opened>, state: &str) -> Markup {
    html! {
        @if let Some(opened) = opened {
            tr {
                th { (what) }
                td {
                    // An address of another scheme could be a script.
                    @if opened.url.starts_with("https://") || opened.url.starts_with("http://") {
                        a href=(opened.url) { "#" (opened.number) }
                    } @else { "#" (opened.number) }
                    ", " (state)
                }
            }
        }
    }
}

fn state(merged: bool, closed_at: Option<Timestamp>) -> &'static str {
    match (merged, closed_at) {
        (true, _) => "merged",
        (false, Some(_)) => "closed",
        (false, None) => "open",
    }
}

fn change(request: &ScheduleRequest) -> String {
    let change = &request.spec.change;
    let mut words = match change.action {
        schedule::Action::Add => format!("add {}", change.name),
        schedule::Action::Change => format!("change {}", change.name),
        schedule::Action::Remove => format!("remove {}", change.name),
    };
    for (what, value) in [
        (", called ", &change.new_name),
        (", at ", &change.schedule),
        (", kept ", &change.ttl),
    ] {
        if let Some(value) = value {
            words.push_str(what);
            words.push_str(value);
        }
    }
    words
}

fn tone(phase: request::Phase) -> &'static str {
    match phase {
        request::Phase::Done => "good",
        request::Phase::Stuck | request::Phase::Refused | request::Phase::Denied => "bad",
        request::Phase::AwaitingApproval => "wait",
        _ => "",
    }
}

fn self_heal_off(status: &RestoreStatus, now: Timestamp) -> Option<String> {
    let merged = status.pause.as_ref()?.merged.as_ref()?;
    let off = status.self_heal_is_off();
    off.then(|| duration(now.duration_since(merged.at)))
}

fn created(moment: Option<Timestamp>, zone: &TimeZone) -> String {
    moment.map(|moment| at(moment, zone)).unwrap_or_default()
}

fn at(moment: Timestamp, zone: &TimeZone) -> String {
    let local = moment.to_zoned(zone.clone());
    local.strftime("%Y-%m-%d %H:%M:%S %Z").to_string()
}

fn duration(took: SignedDuration) -> String {
    let seconds = took.as_secs().max(0);
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}
