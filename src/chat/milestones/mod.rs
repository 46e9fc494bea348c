//! What happened, each thing once, from the facts and their moments.
//!
//! A key holds what makes the event that event: a number, a name, or its
//! moment in milliseconds. So a thread that is rendered again, or made anew,
//! says nothing twice.

mod end;
mod people;

pub(super) use people::meaning;

use jiff::Timestamp;

use super::card::{comparison, from, inventory, source, via, what};
use super::harmless::{code, cut, harmless, length, link};
use super::render::View;
use super::words::{between, bytes, put, sentence};
use super::{Asks, Attachment, Message};
use crate::request::Phase;
use crate::request::inventory::Comparison;
use crate::request::preflight::{count, list};
use crate::request::resource::{Checked, PullRequest, RestoreRun, Verdict, Vote};

/// The messages of a request, oldest first.
pub(super) fn messages(view: &View<'_>) -> Vec<Message> {
    let mut said = Said(Vec::new());
    beginning(view, &mut said);
    approval(view, &mut said);
    on_the_way(view, &mut said);
    for run in view
        .status
        .earlier_restores
        .iter()
        .chain(&view.status.restore)
    {
        restore(view, run, &mut said);
    }
    people::by_people(view, &mut said);
    end::end(view, &mut said);
    // Stable: what became known at once keeps the order in which it is said above.
    said.0.sort_by_key(|message| message.at);
    said.0
}

struct Said(Vec<Message>);

impl Said {
    fn say(&mut self, key: impl Into<String>, at: Timestamp, text: impl AsRef<str>) {
        self.push(key.into(), at, text.as_ref(), false, None);
    }

    fn push(&mut self, key: String, at: Timestamp, text: &str, ask: bool, digest: Option<String>) {
        self.0.push(Message {
            key,
            at,
            text: cut(text, Message::MOST),
            ask,
            asks: digest.map(Asks::Approval),
            file: None,
        });
    }

    /// The reasons of denials that were given by a mark: what they are, once they
    /// are known, and the question until then. `ended`: how the request's end was told.
    fn reasons(&mut self, name: &str, votes: &[Vote], ended: &str, at: Timestamp) {
        for vote in votes.iter().filter(|vote| vote.verdict == Verdict::Deny) {
            let who = harmless(&vote.by.name, 100);
            match &vote.reason {
                Some(reason) if ended.contains(reason) => {}
                Some(reason) => self.say(
                    moment("reason", vote.at),
                    at,
                    format!("{who} says why: {}", sentence(&harmless(reason, 1000))),
                ),
                None => self.0.push(Message {
                    key: moment("why", vote.at),
                    at,
                    text: format!(
                        "{who}, whoever asked needs to know why you denied it: say `deny \
                         request:{} reason:\"...\"`.",
                        code(name).trim_matches('`')
                    ),
                    ask: true,
                    asks: Some(Asks::Reason),
                    file: None,
                }),
            }
        }
    }
}

fn moment(what: &str, at: Timestamp) -> String {
    format!("{what}-{}", at.as_millisecond())
}

fn beginning(view: &View<'_>, said: &mut Said) {
    said.say(
        "requested",
        view.created,
        format!(
            "{} asks to restore {}, from {}. Reason: {}",
            harmless(&view.spec.requester.name, 100),
            what(view.spec),
            source(view.spec),
            sentence(&harmless(&view.spec.reason, 1000))
        ),
    );
    if let Some(checked) = &view.status.checked {
        let mut text = format!(
            "Checked: it will be restored from {}. To be deleted before that:",
            from(view)
        );
        for line in inventory(&checked.inventory) {
            text.push_str("\n- ");
            text.push_str(&line);
        }
        said.say(moment("checked", checked.at), checked.at, text);
        if let Some(compared) = &checked.comparison {
            held_against(view.name, checked, compared, said);
        }
    }
}

/// The table of what becomes of each object, cut to what a message takes; the
/// whole goes with it as a file.
fn held_against(name: &str, checked: &Checked, compared: &Comparison, said: &mut Said) {
    /// Room for what stands around the table.
    const MOST: usize = Message::MOST - 500;
    let mut text = "Held against the backup:".to_owned();
    for line in comparison(compared) {
        put(&mut text, format_args!("\n- {line}"));
    }
    let mut table = String::new();
    let mut shown = 0;
    for row in &compared.rows {
        let row = format!("\n- {}", code(row));
        if length(&text) + length(&table) + length(&row) > MOST {
            break;
        }
        table.push_str(&row);
        shown += 1;
    }
    let total = i64::try_from(compared.rows.len()).unwrap_or(i64::MAX) + compared.left_out;
    text.push_str(&table);
    let mut file = None;
    if total > shown {
        put(
            &mut text,
            format_args!(
                "\n- {} more: the whole table is attached",
                count(total - shown, "line")
            ),
        );
        let mut whole = compared.rows.join("\n");
        if compared.left_out > 0 {
            put(
                &mut whole,
                format_args!(
                    "\nand {} more, which `restore preview` shows",
                    count(compared.left_out, "line")
                ),
            );
        }
        file = Some(Attachment::text(format!("{name}-inventory.txt"), whole));
    }
    said.0.push(Message {
        key: moment("compared", checked.at),
        at: checked.at,
        text: cut(&text, Message::MOST),
        ask: false,
        asks: None,
        file,
    });
}

fn approval(view: &View<'_>, said: &mut Said) {
    let status = view.status;
    if let Some(pause) = &status.pause {
        if let Some(opened) = &pause.opened {
            said.say(
                format!("pull-pause-{}", opened.number),
                pause.at,
                format!(
                    "Pull request #{} is open: it turns self-heal off in the tenant's order. {}",
                    opened.number,
                    link(&opened.url)
                ),
            );
        } else {
            said.say(
                "pull-pause-not-needed",
                pause.at,
                "Self-heal is off in the tenant's order already, so that no pull request is needed.",
            );
        }
    }
    if let Some(voided) = &status.voided {
        said.say(
            moment("voided", voided.at),
            voided.at,
            format!(
                "**What was approved no longer holds.** {} It needs a new approval.",
                sentence(&harmless(&voided.message, 800))
            ),
        );
    }
    if let Some(pause) = &status.pause {
        ask(view, pause, said);
    }
    if let Some(approved) = &status.approved {
        said.say(
            moment("approved", approved.at),
            approved.at,
            format!(
                "Approved by {} {}.",
                harmless(&approved.by, 100),
                via(approved.via)
            ),
        );
    }
}

/// Asks the reviewers, once for each thing that they are asked to approve.
fn ask(view: &View<'_>, pause: &PullRequest, said: &mut Said) {
    let status = view.status;
    let waits = view.phase == Phase::AwaitingApproval;
    // Who was asked in vain is not asked in a thread that is made anew.
    if !waits && status.approved.is_none() {
        return;
    }
    // What was asked for is what was approved; the digest of the resume, once
    // there is one, is another.
    let digest: String = match &status.approved {
        Some(approved) => approved.digest.chars().take(8).collect(),
        None => view.short_digest(),
    };
    let (key, at, again) = match &status.voided {
        Some(voided) => (
            format!("ask-{digest}-{}", voided.at.as_millisecond()),
            pause.at.max(voided.at),
            " again",
        ),
        None => (format!("ask-{digest}"), pause.at, ""),
    };
    let review = if pause.is_open() {
        " A review on the pull request that approves it counts as well."
    } else {
        ""
    };
    let name = code(view.name);
    let name = name.trim_matches('`');
    said.push(
        key,
        at,
        &format!(
            "**Reviewers: please approve or deny{again}.** Read the card and the pull request, then say \
             `approve {name} digest:{digest}`, or `deny request:{name} reason:\"...\"`. Whoever asked \
             for the restore cannot approve it.{review}"
        ),
        waits,
        Some(digest.clone()),
    );
}

fn on_the_way(view: &View<'_>, said: &mut Said) {
    let status = view.status;
    if let Some(pause) = &status.pause
        && let Some(merged) = &pause.merged
    {
        let early = status.approved.is_none() && status.ending.is_none();
        said.say(
            "self-heal-off",
            merged.at,
            format!(
                "Self-heal is off: {} was merged.{}",
                number(pause),
                if early {
                    " The restore still waits for its approval; nothing is deleted."
                } else {
                    ""
                }
            ),
        );
    }
    if let Some(settled) = &status.settled {
        said.say(
            moment("quiet", settled.at),
            settled.at,
            if settled.applications.is_empty() {
                "Argo CD is quiet: no Application deploys to the namespaces.".to_owned()
            } else {
                let shown: Vec<String> = settled
                    .applications
                    .iter()
                    .take(10)
                    .map(|key| code(key))
                    .collect();
                let more = settled.applications.len() - shown.len();
                format!(
                    "Argo CD is quiet: {}{} will bring nothing back.",
                    list(&shown),
                    if more > 0 {
                        format!(" and {more} more")
                    } else {
                        String::new()
                    }
                )
            },
        );
    }
    if let Some(backup) = &status.safety_backup
        && let Some(at) = backup.completed_at
    {
        said.say(
            format!("safety-{}", backup.name),
            at,
            format!(
                "The safety backup {} is complete: it holds the namespaces as they were before.",
                code(&backup.name)
            ),
        );
    }
    if let Some(clearing) = &status.clearing {
        said.say(
            "clearing-began",
            clearing.began_at,
            format!(
                "The clearing begins: {} will be deleted. From here on it cannot be withdrawn.",
                count(clearing.progress.total, "object")
            ),
        );
        if let Some(at) = clearing.emptied_at {
            said.say(
                moment("cleared", at),
                at,
                format!(
                    "The namespaces are cleared: {} deleted in {}.",
                    count(clearing.progress.total, "object"),
                    between(clearing.began_at, at)
                ),
            );
        }
    }
    if let Some(disturbed) = &status.disturbed {
        said.say(
            moment("disturbed", disturbed.at),
            disturbed.at,
            format!(
                "**Somebody else is at work while Velero restores**: {}",
                sentence(&harmless(&disturbed.message, 800))
            ),
        );
    }
    if let Some(verified) = &status.verified {
        said.say(
            "verified",
            verified.at,
            format!(
                "Verified: {} there, {} complete, {} bound, {} ready.{}",
                count(verified.items, "object"),
                count(verified.volumes, "volume"),
                count(verified.claims, "claim"),
                count(verified.pods, "pod"),
                if verified.foreign.is_empty() {
                    String::new()
                } else {
                    format!(
                        " Not from the backup: {}.",
                        harmless(&list(&verified.foreign), 600)
                    )
                }
            ),
        );
    }
}

fn number(pull: &PullRequest) -> String {
    pull.opened.as_ref().map_or_else(
        || "the pull request".to_owned(),
        |opened| format!("pull request #{}", opened.number),
    )
}

fn restore(view: &View<'_>, run: &RestoreRun, said: &mut Said) {
    // Velero's moments are of another clock and have whole seconds: told by them
    // alone, the restore would begin before what had to be done first.
    let emptied = view.status.clearing.as_ref().and_then(|it| it.emptied_at);
    let began = emptied.map_or(run.created_at, |at| at.max(run.created_at));
    said.say(
        format!("restore-began-{}", run.name),
        began,
        format!(
            "The restore begins: Velero's Restore {} of {}.",
            code(&run.name),
            view.status.checked.as_ref().map_or_else(
                || "the backup".to_owned(),
                |checked| code(&checked.backup.name)
            )
        ),
    );
    let Some(at) = run.ended_at else {
        return;
    };
    let mut text = format!(
        "Velero has ended {}: {}. {}",
        code(&run.name),
        harmless(&run.phase, 60),
        restored(run)
    );
    if run.warnings > 0 || run.errors > 0 {
        put(
            &mut text,
            format_args!(
                ", with {} and {}",
                count(run.warnings, "warning"),
                count(run.errors, "error")
            ),
        );
    }
    put(
        &mut text,
        format_args!(", in {}.", between(run.created_at, at)),
    );
    if run.harmless > 0 {
        put(
            &mut text,
            format_args!(
                " {} of what was kept and is there already.",
                count(run.harmless, "warning")
            ),
        );
    }
    for note in &run.notes {
        put(&mut text, format_args!("\n- {}", harmless(note, 300)));
    }
    if run.warnings > 0 || run.errors > 0 {
        text.push_str("\n`restore log` shows Velero's log.");
    }
    said.say(format!("restore-ended-{}", run.name), at.max(began), text);
}

/// `42 items, 1.2 GiB of volume data`.
fn restored(run: &RestoreRun) -> String {
    let items = count(run.items.done, "item");
    if run.bytes.total > 0 {
        format!("{items}, {} of volume data", bytes(run.bytes.done))
    } else {
        items
    }
}
