//! What a reviewer reads in a pull request.

use std::fmt::Write as _;

use crate::request::preflight::{count, list, local};
use crate::request::{
    Approved, Checked, Opened, Policy, PullRequest, RestoreRequest, RestoreStatus, Via, Which,
    digest,
};

/// The title and the body of a pull request, but for what is bound to its head.
pub fn describe(request: &RestoreRequest, which: Which, policy: &Policy) -> (String, String) {
    let spec = &request.spec;
    let name = request.metadata.name.as_deref().unwrap_or_default();
    let status = request.status.clone().unwrap_or_default();
    let (title, lead) = match which {
        Which::Pause => (
            format!("Pause self-heal of {} for the restore {name}", spec.tenant),
            format!(
                "**{}** asks for a restore of {} of the tenant **{}**.",
                harmless(&spec.requester.name),
                list(&spec.namespaces),
                spec.tenant
            ),
        ),
        Which::Resume => (
            format!(
                "Bring self-heal of {} back after the restore {name}",
                spec.tenant
            ),
            format!(
                "The restore {name} of the tenant **{}** needs self-heal off no longer. This \
                 brings back what stood in the order before. Until it is merged, Argo CD does not \
                 mend what differs from Git.",
                spec.tenant
            ),
        ),
    };
    let mut body = format!("{lead}\n\nThe reason:\n\n> {}\n", harmless(&spec.reason));
    match (which, &status.checked) {
        (Which::Pause, Some(checked)) => pause(&mut body, &status, checked, policy),
        (Which::Resume, _) => resume(&mut body, &status, policy),
        (Which::Pause, None) => {}
    }
    (title, body)
}

/// Writing to a String cannot fail; hence the ignored results below.
fn pause(body: &mut String, status: &RestoreStatus, checked: &Checked, policy: &Policy) {
    let zone = &policy.time_zone;
    let backup = &checked.backup;
    let age = checked.at.duration_since(backup.started_at);
    let _ = writeln!(
        body,
        "\n| backup | taken | age when asked | kept until |\n|---|---|---|---|\n| `{}` | {} | {} | {} |",
        backup.name,
        local(backup.started_at, zone),
        hours(age),
        backup
            .expires_at
            .map_or_else(|| "for ever".to_owned(), |at| local(at, zone))
    );
    let _ = writeln!(body, "\nChecked:\n");
    for result in &checked.checks {
        let _ = writeln!(body, "- {}", harmless(&result.in_words()));
    }
    let _ = writeln!(
        body,
        "\n**What will be deleted**: {}\n",
        count(checked.inventory.total(), "object")
    );
    for (kind, number) in &checked.inventory.delete {
        let _ = writeln!(body, "- {number} {kind}");
    }
    for claim in &checked.inventory.claims {
        let _ = writeln!(
            body,
            "- volume `{}/{}`{}, with its data",
            claim.namespace,
            claim.name,
            claim
                .size
                .as_ref()
                .map(|size| format!(" of {size}"))
                .unwrap_or_default()
        );
    }
    if !checked.inventory.custom.is_empty() {
        let _ = writeln!(
            body,
            "\n**Custom resources**, which may stand for something outside the cluster: {}",
            list(&checked.inventory.custom)
        );
    }
    if let Some(compared) = &checked.comparison {
        let number = |kinds: &std::collections::BTreeMap<String, i64>| kinds.values().sum::<i64>();
        let _ = writeln!(
            body,
            "\n**Held against the backup**: {} come back, {} are lost for good, {} return \
             from the past\n\n```",
            number(&compared.comes_back),
            number(&compared.lost),
            number(&compared.returns)
        );
        for row in compared.rows.iter().take(100) {
            let _ = writeln!(body, "{}", row.replace('`', "'"));
        }
        let left_out = i64::try_from(compared.rows.len().saturating_sub(100)).unwrap_or(i64::MAX)
            + compared.left_out;
        let _ = writeln!(body, "```");
        if left_out > 0 {
            let _ = writeln!(body, "\nand {} more.", count(left_out, "line"));
        }
    }
    if checked.needing_consent().next().is_some() {
        let _ = writeln!(
            body,
            "\n**A reviewer has to consent expressly**, in the chat, to what needs consent above."
        );
    }
    let _ = writeln!(
        body,
        "\n**After the merge** Refloat waits until Argo CD is quiet, takes a safety backup, \
         deletes what is listed here, restores the backup, verifies it, and opens a second pull \
         request that brings self-heal back to what it is now{}. A merge alone is no approval: \
         without one, nothing is deleted.",
        if policy.covers_resume {
            ", which the approval of this one covers"
        } else {
            ""
        }
    );
    let since = status.voided.as_ref().map_or(checked.at, |note| note.at);
    let expires = since
        .saturating_add(policy.approval_expires)
        .unwrap_or(jiff::Timestamp::MAX);
    let _ = writeln!(
        body,
        "\nTo approve, {}. {} To deny, close this pull request, or deny it in chat. Unless it is \
         approved by {}, it expires and is closed.",
        match (policy.approval.reviews, policy.approval.reactions) {
            (true, true) => "review it here as approved, or approve it in chat",
            (true, false) => "review it here as approved",
            (false, _) => "approve it in chat",
        },
        match policy.approval.count {
            0 | 1 => "Whoever asked cannot approve it.".to_owned(),
            many => format!("{many} reviewers are needed, and whoever asked is none."),
        },
        local(expires, zone)
    );
}

fn resume(body: &mut String, status: &RestoreStatus, policy: &Policy) {
    let Some(pause) = &status.pause else { return };
    if let Some(opened) = &pause.opened {
        let _ = writeln!(body, "\nSelf-heal was turned off by #{}.", opened.number);
    }
    if let Some(ending) = &status.ending {
        let _ = writeln!(
            body,
            "\nThe restore ended early: {}",
            harmless(&ending.message)
        );
    }
    match (&status.approved, policy.covers_resume) {
        (Some(approved), true) => {
            let _ = writeln!(
                body,
                "\nThe approval of the restore by {} covers this, as long as it undoes the first \
                 change exactly.",
                harmless(&approved.by)
            );
        }
        _ => {
            let _ = writeln!(body, "\nIt needs a reviewer's approval of its own.");
        }
    }
}

/// What an approval of a pull request is bound to, for the end of its body.
pub fn of_head(request: &RestoreRequest, which: Which, head: &str) -> String {
    let mut status = request.status.clone().unwrap_or_default();
    let uid = request.metadata.uid.as_deref().unwrap_or_default();
    let slot = match which {
        Which::Pause => &mut status.pause,
        Which::Resume => &mut status.resume,
    };
    *slot = Some(PullRequest {
        at: jiff::Timestamp::UNIX_EPOCH,
        opened: Some(Opened {
            head_sha: head.to_owned(),
            ..Opened::default()
        }),
        record: crate::order::SelfHealRecord::default(),
        merged: None,
        closed_at: None,
        approved: None,
    });
    format!(
        "\nAn approval holds for exactly this: digest `{}`, commit `{head}`. Whatever changes \
         them makes it void.\n",
        digest(uid, &request.spec, &status)
    )
}

/// A comment that says who approved in chat, and what; with the marker that it is
/// known by.
pub fn mirrored(uid: &str, pull: &Opened, approved: &Approved) -> (String, String) {
    let said: Vec<String> = approved
        .approvers
        .iter()
        .filter(|approver| approver.via == Via::Chat)
        .map(|approver| format!("{} ({})", approver.name, approver.account))
        .collect();
    let marker = format!("{uid} approved {}", approved.digest);
    let text = format!(
        "Approved in chat by {}: digest {}, commit {}.",
        list(&said),
        approved.digest,
        pull.head_sha
    );
    (marker, text)
}

/// A length of time in the two greatest units that fit.
fn hours(age: jiff::SignedDuration) -> String {
    let hours = age.as_hours();
    match (hours / 24, hours % 24) {
        (0, 0) => "under an hour".to_owned(),
        (0, hours) => count(hours, "hour"),
        (days, 0) => count(days, "day"),
        (days, hours) => format!("{} {}", count(days, "day"), count(hours, "hour")),
    }
}

/// Text of people and clusters, made harmless for Markdown on GitHub: one line,
/// no mention, no link, no comment.
pub fn harmless(text: &str) -> String {
    text.chars().fold(String::new(), |mut out, c| {
        match c {
            '\n' | '\r' | '\t' => out.push(' '),
            // A zero-width space after it keeps it from being a mention.
            '@' => out.push_str("@\u{200b}"),
            '#' | '<' | '>' | '[' | ']' | '`' | '*' | '_' | '|' | '\\' | '!' => {
                out.push('\\');
                out.push(c);
            }
            c if c.is_control() || is_invisible(c) => {}
            c => out.push(c),
        }
        out
    })
}

fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}
