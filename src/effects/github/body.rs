//! What a reviewer reads in a pull request.

use std::fmt::Write as _;

use crate::request::preflight::{count, list, local};
use crate::request::{RestoreRequest, Which};

/// The title and the body of a pull request.
pub fn describe(
    request: &RestoreRequest,
    which: Which,
    zone: &jiff::tz::TimeZone,
) -> (String, String) {
    let spec = &request.spec;
    let name = request.metadata.name.as_deref().unwrap_or_default();
    let title = match which {
        Which::Pause => format!("Pause self-heal of {} for the restore {name}", spec.tenant),
        Which::Resume => format!(
            "Bring self-heal of {} back after the restore {name}",
            spec.tenant
        ),
    };
    let mut body = String::new();
    // Writing to a String cannot fail; hence the ignored results below.
    let _ = match which {
        Which::Pause => writeln!(
            body,
            "**{}** asks for a restore of {} of the tenant **{}**.\n",
            harmless(&spec.requester.name),
            list(&spec.namespaces),
            spec.tenant
        ),
        Which::Resume => writeln!(
            body,
            "The restore {name} of the tenant **{}** needs self-heal off no longer. This brings \
             back what stood in the order before.\n",
            spec.tenant
        ),
    };
    let _ = writeln!(body, "The reason:\n\n> {}\n", harmless(&spec.reason));
    if let (Which::Pause, Some(checked)) = (
        which,
        request
            .status
            .as_ref()
            .and_then(|status| status.checked.as_ref()),
    ) {
        let _ = writeln!(
            body,
            "| backup | taken | kept until |\n|---|---|---|\n| `{}` | {} | {} |\n",
            checked.backup.name,
            local(checked.backup.started_at, zone),
            checked
                .backup
                .expires_at
                .map_or_else(|| "for ever".to_owned(), |at| local(at, zone))
        );
        let _ = writeln!(body, "Checked:\n");
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
            let number =
                |kinds: &std::collections::BTreeMap<String, i64>| kinds.values().sum::<i64>();
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
            let left_out = i64::try_from(compared.rows.len().saturating_sub(100))
                .unwrap_or(i64::MAX)
                + compared.left_out;
            let _ = writeln!(body, "```");
            if left_out > 0 {
                let _ = writeln!(body, "\nand {} more.", count(left_out, "line"));
            }
        }
        if checked.needing_consent().next().is_some() {
            let _ = writeln!(
                body,
                "\n**A reviewer has to consent expressly**, in the chat, to what needs consent \
                 above."
            );
        }
        let _ = writeln!(
            body,
            "\nAfter the merge Refloat waits until Argo CD is quiet, takes a safety backup, \
             deletes what is listed here, restores the backup, verifies it, and opens a second \
             pull request that brings self-heal back to what it is now. Closing this pull \
             request denies the restore."
        );
    }
    (title, body)
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
