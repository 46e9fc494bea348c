//! What a restore amounted to, in a few plain lines: for the thread, and for a
//! comment on the pull request.

use jiff::{SignedDuration, Timestamp};

use super::preflight::{count, list};
use super::resource::{RestoreRequestSpec, RestoreStatus};

/// How long each phase took, from the facts that bound it.
pub fn spans(
    status: &RestoreStatus,
    created: Timestamp,
    end: Timestamp,
) -> Vec<(&'static str, Timestamp, Timestamp)> {
    let ends = [
        ("checks", status.checked.as_ref().map(|fact| fact.at)),
        ("approval", status.approved.as_ref().map(|fact| fact.at)),
        (
            "self-heal off",
            status
                .pause
                .as_ref()
                .and_then(|pause| pause.merged.as_ref())
                .map(|fact| fact.at),
        ),
        ("Argo CD quiet", status.settled.as_ref().map(|fact| fact.at)),
        (
            "safety backup",
            status
                .safety_backup
                .as_ref()
                .and_then(|backup| backup.completed_at),
        ),
        (
            "clearing",
            status
                .clearing
                .as_ref()
                .and_then(|clearing| clearing.emptied_at),
        ),
        (
            "restore",
            status.restore.as_ref().and_then(|run| run.ended_at),
        ),
        ("verification", status.verified.as_ref().map(|fact| fact.at)),
        ("self-heal back", Some(end)),
    ];
    let mut spans = Vec::new();
    let mut from = created;
    for (what, to) in ends {
        // A pull request may be merged before the approval, which then ends later.
        if let Some(to) = to
            && to >= from
        {
            spans.push((what, from, to));
            from = to;
        }
    }
    spans
}

/// Who asked, who approved, what was deleted, what was restored, how long it took.
pub fn lines(
    name: &str,
    created: Timestamp,
    spec: &RestoreRequestSpec,
    status: &RestoreStatus,
    end: Timestamp,
) -> Vec<String> {
    let mut lines = vec![format!(
        "The restore {name} of {} is done: restored, verified, and self-heal is as it was.",
        list(&spec.namespaces)
    )];
    if let Some(checked) = &status.checked {
        lines.push(format!("- from the backup {}", checked.backup.name));
    }
    lines.push(format!(
        "- asked for by {}{}",
        spec.requester.name,
        status
            .approved
            .as_ref()
            .map(|approved| format!(", approved by {}", approved.by))
            .unwrap_or_default()
    ));
    if let Some(clearing) = &status.clearing {
        lines.push(format!(
            "- deleted: {}",
            count(clearing.progress.total, "object")
        ));
    }
    if let Some(run) = &status.restore {
        lines.push(format!(
            "- restored: {}, {} of volume data, by Velero's Restore {}",
            count(run.items.done, "item"),
            count(run.bytes.done, "byte"),
            run.name
        ));
    }
    if let Some(verified) = &status.verified {
        lines.push(format!(
            "- verified: {}, {}, {}, {}",
            count(verified.items, "object"),
            count(verified.volumes, "volume"),
            count(verified.claims, "claim"),
            count(verified.pods, "pod")
        ));
        if !verified.foreign.is_empty() {
            lines.push(format!(
                "- not from the backup: {}",
                list(&verified.foreign)
            ));
        }
    }
    match (&status.waiver, &status.safety_backup) {
        (Some(waiver), _) => lines.push(format!("- safety backup: waived by {}", waiver.by)),
        (None, Some(backup)) => lines.push(format!("- safety backup: {}", backup.name)),
        (None, None) => {}
    }
    for (pull, does) in [
        (&status.pause, "self-heal off"),
        (&status.resume, "self-heal on again"),
    ] {
        if let Some(opened) = pull.as_ref().and_then(|pull| pull.opened.as_ref()) {
            lines.push(format!("- {does}: {}", opened.url));
        }
    }
    let phases: Vec<String> = spans(status, created, end)
        .into_iter()
        .map(|(what, from, to)| format!("{what} {}", seconds(to.duration_since(from))))
        .collect();
    lines.push(format!(
        "- time: {} in all: {}",
        seconds(end.duration_since(created)),
        phases.join(", ")
    ));
    lines
}

fn seconds(duration: SignedDuration) -> String {
    format!("{} s", duration.as_secs().max(0))
}
