//! The card: where a request stands.

mod sentences;

use self::sentences::{next, state};
use super::harmless::{code, harmless, link};
use super::render::View;
use super::words::{bytes, put, sentence};
use super::{Bar, Card, Field, Unit};
use crate::request::Phase;
use crate::request::inventory::{Comparison, InventorySummary};
use crate::request::preflight::{count, list};
use crate::request::resource::{PullRequest, RestoreRequestSpec, Via};

/// The card of a request.
pub(super) fn card(view: &View<'_>) -> Card {
    let status = view.status;
    let mut fields = vec![
        field("What", vec![what(view.spec)]),
        field("From", vec![from(view)]),
        field("Asked by", vec![asked_by(view)]),
        field("Why", vec![harmless(&view.spec.reason, 300)]),
    ];
    if let Some(approved) = &status.approved {
        fields.push(field(
            "Approved by",
            vec![format!(
                "{} {}, {}",
                harmless(&approved.by, 100),
                via(approved.via),
                view.local(approved.at)
            )],
        ));
    }
    if let Some(ending) = &status.ending {
        fields.push(field(
            "Why it ended",
            vec![sentence(&harmless(&ending.message, 400))],
        ));
    }
    if let Some(stuck) = &status.stuck {
        fields.push(field(
            "Stuck because",
            vec![sentence(&harmless(&stuck.message, 400))],
        ));
    }
    if !view.phase.is_over()
        && let Some(error) = &status.last_error
    {
        fields.push(field(
            "Last error",
            vec![format!(
                "{} failed {}: {}",
                harmless(&error.effect, 100),
                times(error.attempts),
                sentence(&harmless(&error.message, 300))
            )],
        ));
    }
    if let Some(checked) = &status.checked {
        if !status.clearing_began() {
            let checks = checked
                .checks
                .iter()
                .map(|result| harmless(&result.in_words(), 250));
            fields.push(field("Checks", checks.collect()));
            if let Some(compared) = &checked.comparison {
                fields.push(field("Held against the backup", comparison(compared)));
            }
        }
        fields.push(field(deleted_title(view), inventory(&checked.inventory)));
    }
    let links = links(view);
    if !links.is_empty() {
        fields.push(field("Pull requests", links));
    }
    if let Some(waiver) = &status.waiver {
        fields.push(field(
            "Safety backup",
            vec![format!(
                "waived by {}, {}",
                harmless(&waiver.by, 100),
                view.local(waiver.at)
            )],
        ));
    } else if let Some(backup) = &status.safety_backup {
        fields.push(field(
            "Safety backup",
            vec![format!(
                "{}{}",
                code(&backup.name),
                if backup.completed_at.is_some() {
                    ", completed"
                } else {
                    ""
                }
            )],
        ));
    }
    if let Some(run) = &status.restore {
        let mut words = format!("{}, {}", code(&run.name), phase_or_new(&run.phase));
        if run.ended_at.is_some() {
            put(
                &mut words,
                format_args!(", {}", count(run.items.done, "item")),
            );
            if run.bytes.total > 0 {
                put(&mut words, format_args!(", {}", bytes(run.bytes.done)));
            }
        }
        fields.push(field("Velero Restore", vec![words]));
    }
    if let Some(next) = next(view) {
        fields.push(field("Next", vec![next]));
    }
    Card {
        heading: format!(
            "Restore of {} ({})",
            list(&codes(&view.spec.namespaces)),
            code(view.name)
        ),
        stage: view.phase.into(),
        state: state(view),
        fields,
        bars: bars(view),
        waiting: waiting(view),
    }
    .fit()
}

fn field(name: &'static str, lines: Vec<String>) -> Field {
    Field { name, lines }
}

fn codes(names: &[String]) -> Vec<String> {
    const SHOWN: usize = 8;
    let mut codes: Vec<String> = names.iter().take(SHOWN).map(|name| code(name)).collect();
    if names.len() > SHOWN {
        codes.push(format!("{} more", names.len() - SHOWN));
    }
    codes
}

/// Which namespaces of which tenant.
pub(super) fn what(spec: &RestoreRequestSpec) -> String {
    format!(
        "{} of the tenant {}",
        list(&codes(&spec.namespaces)),
        code(&spec.tenant)
    )
}

/// The backup, once it is known; until then, what was asked for.
pub(super) fn from(view: &View<'_>) -> String {
    let Some(checked) = &view.status.checked else {
        return source(view.spec);
    };
    let backup = &checked.backup;
    format!(
        "backup {} of {}{} ({} old{}{}), {}",
        code(&backup.name),
        view.local(backup.started_at),
        backup
            .schedule
            .as_ref()
            .map(|schedule| format!(" of the schedule {}", code(schedule)))
            .unwrap_or_default(),
        age(checked.at.duration_since(backup.started_at)),
        backup
            .items
            .map(|items| format!(", {}", count(items, "object")))
            .unwrap_or_default(),
        backup
            .bytes
            .map(|size| format!(", {} of volume data", bytes(size)))
            .unwrap_or_default(),
        backup.expires_at.map_or_else(
            || "which does not expire".to_owned(),
            |at| format!("kept until {}", view.local(at))
        )
    ) + match backup.phase.as_str() {
        "" | "Completed" => "",
        _ => "; it is PartiallyFailed",
    }
}

/// `3 h`, `2 d`: as exact as a person needs it.
fn age(age: jiff::SignedDuration) -> String {
    let hours = age.as_hours();
    match hours {
        ..1 => count(age.as_mins().max(0), "minute"),
        1..48 => count(hours, "hour"),
        _ => count(hours / 24, "day"),
    }
}

/// What was asked for, in words.
pub(super) fn source(spec: &RestoreRequestSpec) -> String {
    let source = &spec.source;
    match (&source.backup, &source.schedule, &source.day) {
        (Some(backup), _, _) => format!("backup {}", code(backup)),
        (None, Some(schedule), Some(day)) => {
            format!(
                "the backup of schedule {} for {}",
                code(schedule),
                code(day)
            )
        }
        (None, Some(schedule), None) => {
            format!("the latest good backup of schedule {}", code(schedule))
        }
        (None, None, Some(day)) => format!("the backup for {}", code(day)),
        (None, None, None) => "the latest good backup".to_owned(),
    }
}

fn asked_by(view: &View<'_>) -> String {
    format!(
        "{}, {}",
        harmless(&view.spec.requester.name, 100),
        view.local(view.created)
    )
}

/// Where an approval was given, in words.
pub(super) fn via(via: Via) -> &'static str {
    match via {
        Via::Chat => "in chat",
        Via::Review => "by a review on GitHub",
        Via::Pause => "with the approval of the restore",
    }
}

/// `once`, `3 times`.
pub(super) fn times(number: u32) -> String {
    if number <= 1 {
        "once".to_owned()
    } else {
        format!("{number} times")
    }
}

fn phase_or_new(phase: &str) -> String {
    if phase.is_empty() {
        "New".to_owned()
    } else {
        harmless(phase, 60)
    }
}

fn deleted_title(view: &View<'_>) -> &'static str {
    let status = view.status;
    match &status.clearing {
        Some(clearing) if clearing.emptied_at.is_some() => "Was deleted",
        Some(_) => "Is being deleted",
        None if view.phase.is_over() => "Would have been deleted",
        None => "Would be deleted",
    }
}

/// What would be deleted: counts by kind, claims by name and size, and what
/// may stand for something outside the cluster.
pub(super) fn inventory(inventory: &InventorySummary) -> Vec<String> {
    const KINDS: usize = 15;
    const CLAIMS: usize = 10;
    if inventory.delete.is_empty() {
        return vec!["nothing: the namespaces hold nothing of the tenant's".to_owned()];
    }
    let mut kinds: Vec<String> = inventory
        .delete
        .iter()
        .take(KINDS)
        .map(|(kind, number)| format!("{number} {}", code(kind)))
        .collect();
    if inventory.delete.len() > KINDS {
        kinds.push(format!("{} more kinds", inventory.delete.len() - KINDS));
    }
    let mut lines = vec![format!(
        "{}: {}",
        count(inventory.total(), "object"),
        kinds.join(", ")
    )];
    for claim in inventory.claims.iter().take(CLAIMS) {
        lines.push(format!(
            "with its data: claim {}{}",
            code(&format!("{}/{}", claim.namespace, claim.name)),
            claim
                .size
                .as_ref()
                .map(|size| format!(" of {}", harmless(size, 30)))
                .unwrap_or_default()
        ));
    }
    if inventory.claims.len() > CLAIMS {
        lines.push(format!(
            "with its data: {} more claims",
            inventory.claims.len() - CLAIMS
        ));
    }
    if !inventory.custom.is_empty() {
        lines.push(format!(
            "look closely at {}: custom kinds, which may stand for something outside the cluster",
            list(&codes(&inventory.custom))
        ));
    }
    let kept: i64 = inventory.keep.values().sum();
    if kept > 0 {
        lines.push(format!(
            "kept, as the platform's: {}",
            count(kept, "object")
        ));
    }
    lines
}

/// What comes back, what is lost, what returns, counted by kind.
pub(super) fn comparison(compared: &Comparison) -> Vec<String> {
    const KINDS: usize = 8;
    [
        ("comes back", &compared.comes_back),
        ("is lost for good", &compared.lost),
        ("returns from the past", &compared.returns),
    ]
    .into_iter()
    .map(|(what, kinds)| {
        if kinds.is_empty() {
            return format!("{what}: nothing");
        }
        let mut words: Vec<String> = kinds
            .iter()
            .take(KINDS)
            .map(|(kind, number)| format!("{number} {}", code(kind)))
            .collect();
        if kinds.len() > KINDS {
            words.push(format!("{} more kinds", kinds.len() - KINDS));
        }
        format!("{what}: {}", words.join(", "))
    })
    .collect()
}

fn links(view: &View<'_>) -> Vec<String> {
    let mut links = Vec::new();
    for (pull, does) in [
        (&view.status.pause, "self-heal off"),
        (&view.status.resume, "self-heal on again"),
    ] {
        if let Some(pull) = pull
            && let Some(opened) = &pull.opened
        {
            links.push(format!(
                "#{}, {does}, {}: {}",
                opened.number,
                pull_state(pull),
                link(&opened.url)
            ));
        }
    }
    links
}

fn pull_state(pull: &PullRequest) -> &'static str {
    match (&pull.merged, &pull.closed_at) {
        (Some(_), _) => "merged",
        (None, Some(_)) => "closed",
        (None, None) => "open",
    }
}

fn bars(view: &View<'_>) -> Vec<Bar> {
    let status = view.status;
    let mut bars = Vec::new();
    if view.phase.is_over() {
        return bars;
    }
    if let Some(backup) = &status.safety_backup
        && backup.completed_at.is_none()
        && let Some(progress) = backup.progress
    {
        bars.push(Bar {
            name: "Safety backup",
            done: progress.done,
            total: progress.total,
            unit: Unit::Items,
        });
    }
    if let Some(clearing) = &status.clearing
        && status.restore.is_none()
    {
        bars.push(Bar {
            name: "Clearing",
            done: clearing.progress.done,
            total: clearing.progress.total,
            unit: Unit::Objects,
        });
    }
    if let Some(run) = &status.restore {
        bars.push(Bar {
            name: "Restoring",
            done: run.items.done,
            total: run.items.total,
            unit: Unit::Items,
        });
        if run.bytes.total > 0 {
            bars.push(Bar {
                name: "Volumes",
                done: run.bytes.done,
                total: run.bytes.total,
                unit: Unit::Bytes,
            });
        }
    }
    bars
}

fn waiting(view: &View<'_>) -> Option<String> {
    let note = view.status.waiting.as_ref()?;
    (!view.phase.is_over() && view.phase != Phase::Stuck)
        .then(|| sentence(&harmless(&note.message, 400)))
}
