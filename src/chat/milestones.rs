//! What happened, each thing once, from the facts and their moments.
//!
//! A key holds what makes the event that event: a number, a name, or its
//! moment in milliseconds. So a thread that is rendered again, or made anew,
//! says nothing twice.

use jiff::Timestamp;

use super::Message;
use super::card::{from, inventory, source, via, what};
use super::harmless::{code, cut, harmless, link};
use super::render::View;
use super::words::{between, bytes, sentence};
use crate::request::Phase;
use crate::request::preflight::{count, list};
use crate::request::resource::{
    Action, Choice, Ending, Outcome, PullRequest, ReminderOf, RestoreRun, Stuck,
};

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
    end(view, &mut said);
    by_people(view, &mut said);
    // Stable: what became known at once keeps the order in which it is said above.
    said.0.sort_by_key(|message| message.at);
    said.0
}

struct Said(Vec<Message>);

impl Said {
    fn say(&mut self, key: impl Into<String>, at: Timestamp, text: impl AsRef<str>) {
        self.push(key.into(), at, text.as_ref(), false);
    }

    fn push(&mut self, key: String, at: Timestamp, text: &str, ask: bool) {
        self.0.push(Message {
            key,
            at,
            text: cut(text, Message::MOST),
            ask,
        });
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
    }
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
        ask(view, pause, said);
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
    let digest = view.short_digest();
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
            clearing.cutoff,
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
                    between(clearing.cutoff, at)
                ),
            );
        }
    }
    if let Some(verified) = &status.verified {
        said.say(
            "verified",
            verified.at,
            format!(
                "Verified: {} complete, {} bound, {} ready.",
                count(verified.volumes, "volume"),
                count(verified.claims, "claim"),
                count(verified.pods, "pod")
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
    said.say(
        format!("restore-began-{}", run.name),
        run.created_at,
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
        text.push_str(&format!(
            ", with {} and {}",
            count(run.warnings, "warning"),
            count(run.errors, "error")
        ));
    }
    text.push_str(&format!(", in {}.", between(run.created_at, at)));
    said.say(format!("restore-ended-{}", run.name), at, text);
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

fn end(view: &View<'_>, said: &mut Said) {
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
        text.push_str(&format!(
            " What was there before is in the safety backup {}.",
            code(&backup.name)
        ));
    }
    said.say(moment("ended", ending.at), ending.at, text);
}

fn summary(view: &View<'_>, end: Timestamp) -> String {
    let status = view.status;
    let mut text = format!(
        "**Done.** {} restored from {} for {}",
        what(view.spec),
        from(view),
        harmless(&view.spec.requester.name, 100)
    );
    if let Some(approved) = &status.approved {
        text.push_str(&format!(", approved by {}", harmless(&approved.by, 100)));
    }
    text.push_str(&format!(", in {} in all.", between(view.created, end)));
    if let Some(clearing) = &status.clearing {
        text.push_str(&format!(
            "\n- deleted: {}",
            count(clearing.progress.total, "object")
        ));
    }
    if let Some(run) = &status.restore {
        text.push_str(&format!("\n- restored: {}", restored(run)));
    }
    if let Some(backup) = &status.safety_backup {
        text.push_str(&format!("\n- safety backup: {}", code(&backup.name)));
    }
    let phases: Vec<String> = spans(view, end)
        .into_iter()
        .map(|(what, from, to)| format!("{what} {}", between(from, to)))
        .collect();
    text.push_str(&format!("\n- time: {}", phases.join(", ")));
    text
}

/// How long each phase took, from the facts that bound it.
fn spans(view: &View<'_>, end: Timestamp) -> Vec<(&'static str, Timestamp, Timestamp)> {
    let status = view.status;
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
    let mut from = view.created;
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

fn by_people(view: &View<'_>, said: &mut Said) {
    let status = view.status;
    if let Some(stuck) = &status.stuck {
        said.say(moment("stuck", stuck.at), stuck.at, stuck_text(view, stuck));
    }
    for choice in &status.choices {
        said.say(moment("choice", choice.answers), choice.at, chosen(choice));
    }
    if let Some(withdrawal) = &view.spec.withdrawal
        && let Some(clearing) = &status.clearing
        && status
            .ending
            .as_ref()
            .is_none_or(|ending| ending.outcome != Outcome::Withdrawn)
    {
        said.say(
            "withdrawal-late",
            withdrawal.at.max(clearing.cutoff),
            format!(
                "{} withdrew it, but the clearing had begun: the restore goes on, since stopping \
                 now would leave the namespaces half empty.",
                harmless(&withdrawal.by.name, 100)
            ),
        );
    }
    let mut approval = 0;
    let mut self_heal = 0;
    for reminder in &status.reminders {
        let (key, text) = match reminder.about {
            ReminderOf::Approval => {
                approval += 1;
                (
                    format!("reminder-approval-{approval}"),
                    format!(
                        "Reminder: the restore {} still waits for a reviewer's approval.",
                        code(view.name)
                    ),
                )
            }
            ReminderOf::SelfHealOff => {
                self_heal += 1;
                let since = status
                    .pause
                    .as_ref()
                    .and_then(|pause| pause.merged.as_ref())
                    .map(|merged| between(merged.at, reminder.at));
                (
                    format!("reminder-self-heal-{self_heal}"),
                    format!(
                        "Reminder: self-heal of the tenant {} has been off{}. It comes back when \
                         this restore ends.",
                        code(&view.spec.tenant),
                        since
                            .map(|since| format!(" for {since}"))
                            .unwrap_or_default()
                    ),
                )
            }
        };
        let asks = reminder.about == ReminderOf::Approval && view.phase == Phase::AwaitingApproval;
        said.push(key, reminder.at, &text, asks);
    }
}

fn stuck_text(view: &View<'_>, stuck: &Stuck) -> String {
    let name = code(view.name);
    let name = name.trim_matches('`');
    let mut text = format!("**Stuck.** {}", sentence(&harmless(&stuck.message, 1000)));
    text.push_str(&format!(
        "\n- `restore retry {name}`: {}\n- `restore resume {name}`: {}",
        meaning(Action::Retry, stuck),
        meaning(Action::ResumeAsIs, stuck)
    ));
    text
}

/// What a choice would do to a request that is stuck so, in a sentence.
pub(in crate::chat) fn meaning(action: Action, stuck: &Stuck) -> String {
    use crate::request::resource::StuckReason as Reason;
    const AS_THEY_ARE: &str = "the restore ends, and self-heal is turned on again: Argo CD brings \
        back what is in Git, and volume data that is not back yet stays in the safety backup.";
    match (action, stuck.reason) {
        (_, Reason::WouldPrune) => {
            let objects: Vec<String> = stuck
                .objects
                .iter()
                .take(8)
                .map(|name| code(name))
                .collect();
            let more = stuck.objects.len().saturating_sub(objects.len());
            format!(
                "you agree that Argo CD deletes {}{}, and self-heal is turned on again.",
                list(&objects),
                if more > 0 {
                    format!(" and {more} more")
                } else {
                    String::new()
                }
            )
        }
        (Action::Retry, Reason::SafetyBackupFailed) => {
            "a new safety backup is taken, and the restore goes on if it succeeds.".to_owned()
        }
        (Action::Retry, Reason::ClearingBlocked) => {
            "the clearing goes on from where it is, with the same objects as approved.".to_owned()
        }
        (
            Action::Retry,
            Reason::RestoreFailed | Reason::RestorePartiallyFailed | Reason::RestoreVanished,
        ) => "Velero restores the same backup once more. Nothing is cleared again: what is there \
              already stays as it is."
            .to_owned(),
        (Action::Retry, Reason::RestoreStalled) => {
            "the same Velero Restore is waited for once more.".to_owned()
        }
        (Action::Retry, Reason::VerificationFailed) => {
            "what was restored is looked at once more.".to_owned()
        }
        (Action::Retry, Reason::ResumeBlocked) => {
            "turning self-heal on again is tried once more.".to_owned()
        }
        (Action::ResumeAsIs, Reason::SafetyBackupFailed) => {
            "the restore ends, nothing is deleted, and self-heal is turned on again.".to_owned()
        }
        (Action::ResumeAsIs, Reason::RestoreStalled) => {
            format!("{AS_THEY_ARE} Velero cannot be stopped and may still restore something.")
        }
        (
            Action::ResumeAsIs,
            Reason::ClearingBlocked
            | Reason::RestoreFailed
            | Reason::RestorePartiallyFailed
            | Reason::RestoreVanished,
        ) => AS_THEY_ARE.to_owned(),
        (Action::ResumeAsIs, Reason::VerificationFailed) => {
            "the restore ends with what came back, and self-heal is turned on again.".to_owned()
        }
        (Action::ResumeAsIs, Reason::ResumeBlocked) => {
            "the restore ends once self-heal is on again, whether or not the Applications are \
             synced and healthy."
                .to_owned()
        }
    }
}

fn chosen(choice: &Choice) -> String {
    let name = harmless(&choice.by.name, 100);
    match choice.action {
        Action::Retry => format!("{name} chose to go on (`restore retry`)."),
        Action::ResumeAsIs => format!(
            "{name} chose to turn self-heal on again with things as they are (`restore resume`)."
        ),
    }
}
