//! How it ends, and what it amounted to.

use jiff::Timestamp;

use super::{Said, moment, restored};
use crate::chat::card::{from, via, what};
use crate::chat::harmless::{code, harmless, link};
use crate::chat::render::View;
use crate::chat::words::{between, put, sentence};
use crate::request::Phase;
use crate::request::preflight::count;
use crate::request::resource::{Ending, Outcome, PullRequest};
use crate::request::summary::spans;

/// Self-heal back, the ending, the summary.
pub(super) fn end(view: &View<'_>, said: &mut Said) {
    let status = view.status;
    let paused = status
        .pause
        .as_ref()
        .is_some_and(|pause| pause.merged.is_some());
    if let Some(resume) = &status.resume {
        resume_pull(view, resume, said);
    }
    if let Some(at) = status.resumed_at
        && paused
    {
        said.say(
            "self-heal-back",
            at,
            if status.ending.is_some() {
                "Self-heal is back as it was before."
            } else {
                "Self-heal is back as it was before, and the Applications are synced and healthy."
            },
        );
    }
    if let Some(ending) = &status.ending {
        ended(view, ending, said);
    }
    if let Some(at) = status.resumed_at
        && view.phase == Phase::Done
    {
        said.say("done", at, summary(view, at));
    }
}

fn resume_pull(view: &View<'_>, resume: &PullRequest, said: &mut Said) {
    let Some(opened) = &resume.opened else {
        said.say(
            "pull-resume-not-needed",
            resume.at,
            "Self-heal reads as it was before in the order already, so that no pull request is needed.",
        );
        return;
    };
    said.say(
        format!("pull-resume-{}", opened.number),
        resume.at,
        format!(
            "Pull request #{} is open: it brings self-heal back as it was. {}",
            opened.number,
            link(&opened.url)
        ),
    );
    let waits = resume.is_open() && resume.approved.is_none();
    if !view.context.covers_resume && (waits || resume.approved.is_some()) {
        let digest = view.short_digest();
        let name = code(view.name);
        let name = name.trim_matches('`');
        said.push(
            format!("ask-resume-{}", opened.number),
            resume.at,
            &format!(
                "**Reviewers: please approve #{} too.** Self-heal is off until it is merged. Say \
                 `approve {name} digest:{digest}`, or approve it by a review.",
                opened.number
            ),
            waits && view.phase == Phase::Resuming,
            Some(digest.clone()),
        );
    }
    if let Some(approved) = &resume.approved
        && !view.context.covers_resume
    {
        said.say(
            moment("resume-approved", approved.at),
            approved.at,
            format!(
                "#{} is approved by {} {}.",
                opened.number,
                harmless(&approved.by, 100),
                via(approved.via)
            ),
        );
    }
    if let Some(merged) = &resume.merged {
        said.say(
            "resume-merged",
            merged.at,
            format!(
                "Pull request #{} was merged. Argo CD is asked to look.",
                opened.number
            ),
        );
    }
}

fn ended(view: &View<'_>, ending: &Ending, said: &mut Said) {
    let status = view.status;
    let word = match ending.outcome {
        Outcome::Refused => "Refused",
        Outcome::Denied => "Denied",
        Outcome::Withdrawn => "Withdrawn",
        Outcome::Expired => "Expired",
        Outcome::ResumedAsIs => "Ended as things are",
    };
    let mut text = format!("**{word}.** {}", sentence(&harmless(&ending.message, 1400)));
    // The message says it already where the machine wrote it so.
    if !status.clearing_began() && !ending.message.contains("Nothing was deleted") {
        text.push_str(" Nothing was deleted.");
    }
    if status.self_heal_is_off() {
        text.push_str(" Self-heal is brought back now.");
    }
    if status.clearing_began()
        && let Some(backup) = &status.safety_backup
    {
        put(
            &mut text,
            format_args!(
                " What was there before is in the safety backup {}.",
                code(&backup.name)
            ),
        );
    }
    said.say(moment("ended", ending.at), ending.at, text);
    if ending.outcome == Outcome::Denied {
        said.reasons(view.name, &view.spec.votes, &ending.message, ending.at);
    }
}

fn summary(view: &View<'_>, end: Timestamp) -> String {
    let status = view.status;
    let mut text = format!(
        "**Done.** {} restored, from {}.\n- asked for by {}",
        what(view.spec),
        from(view),
        harmless(&view.spec.requester.name, 100)
    );
    if let Some(approved) = &status.approved {
        put(
            &mut text,
            format_args!(", approved by {}", harmless(&approved.by, 100)),
        );
    }

    if let Some(clearing) = &status.clearing {
        put(
            &mut text,
            format_args!("\n- deleted: {}", count(clearing.progress.total, "object")),
        );
    }
    if let Some(run) = &status.restore {
        put(&mut text, format_args!("\n- restored: {}", restored(run)));
    }
    if let Some(waiver) = &status.waiver {
        put(
            &mut text,
            format_args!("\n- safety backup: waived by {}", harmless(&waiver.by, 100)),
        );
    } else if let Some(backup) = &status.safety_backup {
        put(
            &mut text,
            format_args!(
                "\n- safety backup: {} (`restore undo {}` brings it back)",
                code(&backup.name),
                code(view.name).trim_matches('`')
            ),
        );
    }
    for pull in [&status.pause, &status.resume] {
        if let Some(opened) = pull.as_ref().and_then(|pull| pull.opened.as_ref()) {
            put(
                &mut text,
                format_args!("\n- #{}: {}", opened.number, link(&opened.url)),
            );
        }
    }
    let phases: Vec<String> = spans(status, view.created, end)
        .into_iter()
        .map(|(what, from, to)| format!("{what} {}", between(from, to)))
        .collect();
    put(
        &mut text,
        format_args!(
            "\n- time: {} in all: {}",
            between(view.created, end),
            phases.join(", ")
        ),
    );
    text
}
