//! What happened, each thing once, from the facts and their moments.

use jiff::Timestamp;

use super::card::backups;
use super::{View, entry, what};
use crate::chat::card::via;
use crate::chat::harmless::{code, cut, harmless, link};
use crate::chat::words::{between, put, sentence};
use crate::chat::{Asks, Message};
use crate::request::resource::{self as request, Opened, Verdict, Vote};
use crate::schedule::Phase;
use crate::schedule::resource::{Outcome, PullRequest};

/// The messages of a request, oldest first.
pub(super) fn messages(view: &View<'_>) -> Vec<Message> {
    let mut said = Said(Vec::new());
    beginning(view, &mut said);
    approval(view, &mut said);
    in_the_cluster(view, &mut said);
    by_people(view, &mut said);
    end(view, &mut said);
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
            "{} asks to {}.",
            harmless(&view.spec.requester.name, 100),
            what(view.spec)
        ),
    );
    let Some(checked) = &view.status.checked else {
        return;
    };
    let mut text = "Checked.".to_owned();
    if let Some(before) = &checked.before {
        put(&mut text, format_args!("\n- now: {}", entry(before)));
    }
    match &checked.after {
        Some(after) => put(&mut text, format_args!("\n- to be: {}", entry(after))),
        None => put(
            &mut text,
            format_args!("\n- to be: gone; its backups stay until they expire"),
        ),
    }
    said.say(moment("checked", checked.at), checked.at, text);
}

fn approval(view: &View<'_>, said: &mut Said) {
    let status = view.status;
    if let Some(pull) = &status.pull {
        match &pull.opened {
            Some(opened) => said.say(
                format!("pull-{}", opened.number),
                pull.at,
                format!(
                    "Pull request #{} on the tenant's order is open. {}",
                    opened.number,
                    link(&opened.url)
                ),
            ),
            None => said.say(
                "pull-not-needed",
                pull.at,
                "The tenant's order reads so already: somebody was faster.",
            ),
        }
    }
    if let Some(voided) = &status.voided {
        said.say(
            moment("voided", voided.at),
            voided.at,
            format!(
                "**What is to be approved has changed.** {} It needs a new approval.",
                sentence(&harmless(&voided.message, 800))
            ),
        );
    }
    if let Some(pull) = &status.pull
        && let Some(opened) = &pull.opened
    {
        ask(view, pull, opened, said);
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
    if let Some(pull) = &status.pull
        && let (Some(opened), Some(merged)) = (&pull.opened, &pull.merged)
    {
        said.say(
            "merged",
            merged.at,
            format!(
                "Pull request #{} was merged{}. Argo CD is asked to look.",
                opened.number,
                if status.approved.is_some() {
                    ""
                } else {
                    " by the repository's own rules"
                }
            ),
        );
    }
}

/// Asks the reviewers, once for each head that they are asked to approve.
fn ask(view: &View<'_>, pull: &PullRequest, opened: &Opened, said: &mut Said) {
    let status = view.status;
    let waits = view.phase == Phase::AwaitingApproval;
    // Who was asked in vain is not asked in a thread that is made anew.
    if !waits && status.approved.is_none() {
        return;
    }
    let digest: String = match &status.approved {
        Some(approved) => approved.digest.chars().take(8).collect(),
        None => view.short_digest(),
    };
    let name = view.bare_name();
    let again = if status.voided.is_some() {
        " again"
    } else {
        ""
    };
    let at = status
        .voided
        .as_ref()
        .map_or(pull.at, |voided| pull.at.max(voided.at));
    said.push(
        format!("ask-{digest}"),
        at,
        &format!(
            "**Reviewers: please approve or deny{again}.** Read the card and the pull request \
             #{}, then say `approve {name} digest:{digest}`, or `deny request:{name} \
             reason:\"...\"`. Whoever asked for it cannot approve it. A review on the pull \
             request that approves it counts as well, and so does a merge by the repository's \
             own rules.",
            opened.number
        ),
        waits,
        Some(digest.clone()),
    );
}

fn in_the_cluster(view: &View<'_>, said: &mut Said) {
    let status = view.status;
    if let Some(applied) = &status.applied {
        let text = match (&applied.uid, applied.next_run) {
            (Some(_), Some(at)) => format!(
                "Velero has the Schedule {} as ordered, and it is enabled. Its next run is at {}.",
                code(&applied.schedule),
                view.local(at)
            ),
            (Some(_), None) => format!(
                "Velero has the Schedule {} as ordered, and it is enabled.",
                code(&applied.schedule)
            ),
            (None, _) => format!(
                "Velero has the Schedule {} no more.{}",
                code(&applied.schedule),
                remaining(view)
                    .map(|words| format!(" Its backups stay: {words}."))
                    .unwrap_or_default()
            ),
        };
        said.say(moment("applied", applied.at), applied.at, text);
    }
    if let Some(bad) = &status.bad_run {
        said.say(
            moment("bad-run", bad.at),
            bad.at,
            format!(
                "**A run was no good**: {} The next one is waited for.",
                sentence(&harmless(&bad.message, 800))
            ),
        );
    }
    if let Some(confirmed) = &status.confirmed {
        said.say(
            "confirmed",
            confirmed.at,
            format!(
                "**Done.** Confirmed by its first good backup: {} of {}{}.",
                code(&confirmed.backup),
                view.local(confirmed.started_at),
                confirmed
                    .expires_at
                    .map(|at| format!(", kept until {}", view.local(at)))
                    .unwrap_or_default()
            ),
        );
    } else if view.phase == Phase::Done
        && let Some(applied) = &status.applied
    {
        said.say(
            "done",
            applied.at,
            format!(
                "**Done.** The backup schedule {} of the tenant {} is removed.",
                code(&view.spec.change.name),
                code(&view.spec.tenant)
            ),
        );
    }
}

/// The backups that a removed or renamed schedule leaves, in words.
pub(super) fn remaining(view: &View<'_>) -> Option<String> {
    let remaining = view.status.remaining.as_ref()?;
    let words = match (remaining.backups, remaining.until) {
        (0, _) => return Some("none".to_owned()),
        (number, Some(until)) => {
            format!("{}, the last until {}", backups(number), view.local(until))
        }
        (number, None) => backups(number),
    };
    if remaining.newest.is_empty() {
        return Some(words);
    }
    let names: Vec<String> = remaining.newest.iter().map(|name| code(name)).collect();
    let more = usize::try_from(remaining.backups).is_ok_and(|all| all > names.len());
    Some(format!(
        "{words} ({}{})",
        names.join(", "),
        if more { ", ..." } else { "" }
    ))
}

fn by_people(view: &View<'_>, said: &mut Said) {
    let status = view.status;
    let name = view.bare_name();
    if let Some(stuck) = &status.stuck {
        said.say(
            moment("stuck", stuck.at),
            stuck.at,
            format!(
                "**Stuck.** {}\n- `schedule retry {name}`: it is looked at once more, and waited \
                 for anew.\n- `schedule leave {name}`: it ends with things as they are.",
                sentence(&harmless(&stuck.message, 1000))
            ),
        );
    }
    for choice in &status.choices {
        said.say(
            moment("choice", choice.answers),
            choice.at,
            format!(
                "{} chose to {}.",
                harmless(&choice.by.name, 100),
                match choice.action {
                    request::Action::Retry => "go on (`schedule retry`)",
                    request::Action::ResumeAsIs | request::Action::Waive =>
                        "end it as things are (`schedule leave`)",
                }
            ),
        );
    }
    for (number, reminder) in status.reminders.iter().enumerate() {
        said.push(
            format!("reminder-{}", number + 1),
            reminder.at,
            &format!(
                "Reminder: {} still waits for a reviewer's approval, since {}.",
                code(view.name),
                between(view.created, reminder.at)
            ),
            view.phase == Phase::AwaitingApproval,
            (view.phase == Phase::AwaitingApproval).then(|| view.short_digest()),
        );
    }
}

fn end(view: &View<'_>, said: &mut Said) {
    let Some(ending) = &view.status.ending else {
        return;
    };
    let word = match ending.outcome {
        Outcome::Refused => "Refused",
        Outcome::Denied => "Denied",
        Outcome::Withdrawn => "Withdrawn",
        Outcome::Expired => "Expired",
        Outcome::Failed => "Failed",
        Outcome::Superseded => "Superseded",
    };
    let unchanged = if view.status.in_order() {
        ""
    } else {
        " Nothing was changed."
    };
    said.say(
        moment("ended", ending.at),
        ending.at,
        format!(
            "**{word}.** {}{unchanged}",
            sentence(&harmless(&ending.message, 1400))
        ),
    );
    if ending.outcome == Outcome::Denied {
        said.reasons(view.name, &view.spec.votes, &ending.message, ending.at);
    }
}
