//! From a request for a copy to its thread, with nothing else to go by.

use jiff::Timestamp;

use super::card::times;
use super::harmless::{code, cut, harmless, plain};
use super::publish::Threaded;
use super::thread::{Bar, Stage, Tone, Unit};
use super::words::{between, bytes, put, sentence};
use super::{Card, Field, Message, RenderContext, Thread};
use crate::copy::{CopyRequest, CopyStatus, Outcome, Phase, phase};
use crate::request::Condition;
use crate::request::preflight::{count, local};

/// What a chat is to show of a request for a copy.
pub fn render(request: &CopyRequest, context: &RenderContext) -> Thread {
    let empty = CopyStatus::default();
    let status = request.status.as_ref().unwrap_or(&empty);
    let view = View {
        name: request.metadata.name.as_deref().unwrap_or_default(),
        created: request
            .metadata
            .creation_timestamp
            .as_ref()
            .map_or(Timestamp::UNIX_EPOCH, |time| time.0),
        request,
        status,
        phase: phase(status),
        context,
    };
    Thread {
        request: view.name.to_owned(),
        uid: request.metadata.uid.clone().unwrap_or_default(),
        title: plain(
            &format!(
                "{}: copy {} into {}",
                view.name, request.spec.namespace, request.spec.into
            ),
            100,
        ),
        card: card(&view),
        messages: messages(&view),
        over: view.phase.is_over(),
    }
}

impl Threaded for CopyRequest {
    fn thread(&self, context: &RenderContext) -> Thread {
        render(self, context)
    }

    fn is_over(&self) -> bool {
        self.status
            .as_ref()
            .is_some_and(|status| phase(status).is_over())
    }

    fn conditions(&self) -> &[Condition] {
        self.status
            .as_ref()
            .map_or(&[], |status| &status.conditions)
    }
}

impl From<Phase> for Stage {
    fn from(phase: Phase) -> Self {
        Self {
            name: phase.name(),
            words: phase.in_words(),
            tone: match phase {
                Phase::Done | Phase::Kept => Tone::Done,
                Phase::Refused | Phase::Withdrawn | Phase::Failed => Tone::Ended,
                Phase::Checking
                | Phase::Making
                | Phase::Restoring
                | Phase::Verifying
                | Phase::Removing => Tone::Working,
            },
        }
    }
}

/// A request with what is derived from it.
struct View<'a> {
    name: &'a str,
    created: Timestamp,
    request: &'a CopyRequest,
    status: &'a CopyStatus,
    phase: Phase,
    context: &'a RenderContext,
}

impl View<'_> {
    fn local(&self, at: Timestamp) -> String {
        local(at, &self.context.time_zone)
    }

    /// The name without what marks it as one, for commands in code spans.
    fn bare_name(&self) -> String {
        code(self.name).trim_matches('`').to_owned()
    }
}

fn card(view: &View<'_>) -> Card {
    let (spec, status) = (&view.request.spec, view.status);
    let mut fields = Vec::new();
    let mut put = |name, lines: Vec<String>| fields.push(Field { name, lines });
    put(
        "What",
        vec![format!(
            "a copy of the namespace {} in the new namespace {}; the original stays as it is",
            code(&spec.namespace),
            code(&spec.into)
        )],
    );
    put(
        "Asked by",
        vec![format!(
            "{}, {}",
            harmless(&spec.requester.name, 100),
            view.local(view.created)
        )],
    );
    if let Some(reason) = &spec.reason {
        put("Why", vec![harmless(reason, 300)]);
    }
    if let Some(checked) = &status.checked {
        let backup = &checked.backup;
        put(
            "Backup",
            vec![format!(
                "{} of {}",
                code(&backup.name),
                view.local(backup.started_at)
            )],
        );
        if !checked.left_out.is_empty() {
            let kinds: Vec<String> = checked
                .left_out
                .iter()
                .map(|kind| harmless(kind, 100))
                .collect();
            put(
                "Left out",
                vec![format!(
                    "{}: they act outside of the namespace",
                    kinds.join(", ")
                )],
            );
        }
        if view.phase == Phase::Making || view.phase == Phase::Restoring {
            let checks = checked.checks.iter();
            put(
                "Checks",
                checks
                    .map(|check| harmless(&check.in_words(), 200))
                    .collect(),
            );
        }
    }
    if let Some(made) = &status.made
        && status.removed_at.is_none()
    {
        put("Removed at", vec![view.local(made.remove_at)]);
    }
    if let Some(shown) = &status.shown
        && !shown.lacking.is_empty()
    {
        put(
            "Not as it should be",
            shown
                .lacking
                .iter()
                .map(|line| harmless(line, 200))
                .collect(),
        );
    }
    if let Some(ending) = &status.ending {
        put(
            "Why it ended",
            vec![sentence(&harmless(&ending.message, 400))],
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
    Card {
        heading: format!(
            "Copy of {} into {} ({})",
            code(&spec.namespace),
            code(&spec.into),
            code(view.name)
        ),
        stage: view.phase.into(),
        state: state(view),
        fields,
        bars: bars(view),
        waiting: status
            .waiting
            .as_ref()
            .filter(|_| !view.phase.is_over())
            .map(|note| sentence(&harmless(&note.message, 400))),
    }
    .fit()
}

fn bars(view: &View<'_>) -> Vec<Bar> {
    let Some(run) = view
        .status
        .restore
        .as_ref()
        .filter(|_| view.phase == Phase::Restoring)
    else {
        return Vec::new();
    };
    [
        ("Items", run.items, Unit::Items),
        ("Volumes", run.bytes, Unit::Bytes),
    ]
    .into_iter()
    .filter(|(_, progress, _)| progress.total > 0)
    .map(|(name, progress, unit)| Bar {
        name,
        done: progress.done,
        total: progress.total,
        unit,
    })
    .collect()
}

fn state(view: &View<'_>) -> String {
    let name = view.bare_name();
    match view.phase {
        Phase::Checking => "Being checked: the backup, the name and the room.".to_owned(),
        Phase::Making => "Checked. The namespace is being made.".to_owned(),
        Phase::Restoring => "Velero restores into it.".to_owned(),
        Phase::Verifying => "Velero is done. Waiting for what was restored to come up.".to_owned(),
        Phase::Kept => {
            format!("It is there. `restore withdraw {name}` removes it before its time.")
        }
        Phase::Removing => "The namespace of the copy is being removed.".to_owned(),
        Phase::Done => "Done: the copy is removed.".to_owned(),
        Phase::Refused => "Refused. Nothing was made.".to_owned(),
        Phase::Withdrawn => "Withdrawn. Nothing of it is left.".to_owned(),
        Phase::Failed => "Failed. Nothing of it is left.".to_owned(),
    }
}

/// What happened, each thing once, oldest first.
fn messages(view: &View<'_>) -> Vec<Message> {
    let (spec, status) = (&view.request.spec, view.status);
    let mut said = Vec::new();
    let mut say = |key: String, at: Timestamp, text: String| {
        said.push(Message {
            key,
            at,
            text: cut(&text, Message::MOST),
            ask: false,
            asks: None,
            file: None,
        });
    };
    say(
        "requested".to_owned(),
        view.created,
        format!(
            "{} asks for a copy of {} in the new namespace {}.",
            harmless(&spec.requester.name, 100),
            code(&spec.namespace),
            code(&spec.into)
        ),
    );
    if let Some(checked) = &status.checked {
        let mut text = format!(
            "Checked. It is restored from {} of {}.",
            code(&checked.backup.name),
            view.local(checked.backup.started_at)
        );
        for check in &checked.checks {
            put(
                &mut text,
                format_args!("\n- {}", harmless(&check.in_words(), 200)),
            );
        }
        if !checked.left_out.is_empty() {
            put(
                &mut text,
                format_args!(
                    "\n- left out, since they act outside of the namespace: {}",
                    harmless(&checked.left_out.join(", "), 300)
                ),
            );
        }
        say("checked".to_owned(), checked.at, text);
    }
    if let Some(made) = &status.made {
        say(
            "made".to_owned(),
            made.at,
            format!(
                "The namespace {} is made. It is removed at {}.",
                code(&spec.into),
                view.local(made.remove_at)
            ),
        );
    }
    if let Some(run) = &status.restore
        && let Some(ended) = run.ended_at
    {
        let mut text = format!(
            "Velero has ended {}: {}. {}, {} of volume data, in {}.",
            code(&run.name),
            harmless(&run.phase, 40),
            count(run.items.done, "item"),
            bytes(run.bytes.done),
            between(run.started_at.unwrap_or(run.created_at), ended)
        );
        for note in &run.notes {
            put(&mut text, format_args!("\n- {}", harmless(note, 300)));
        }
        say("restored".to_owned(), ended, text);
    }
    if let Some(shown) = &status.shown {
        let mut text = if shown.lacking.is_empty() {
            format!(
                "**The copy is there**, in {}: {} complete, {} bound, {} ready.",
                code(&spec.into),
                count(shown.volumes, "volume"),
                count(shown.claims, "claim"),
                count(shown.pods, "pod")
            )
        } else {
            format!(
                "**The copy is there**, in {}, and not all of it is as it should be:",
                code(&spec.into)
            )
        };
        for line in shown.lacking.iter().take(10) {
            put(&mut text, format_args!("\n- {}", harmless(line, 200)));
        }
        let name = view.bare_name();
        put(
            &mut text,
            format_args!("\n`restore withdraw {name}` removes it before its time."),
        );
        say("shown".to_owned(), shown.at, text);
    }
    if let Some(ending) = &status.ending {
        let word = match ending.outcome {
            Outcome::Done => "It is to be removed",
            Outcome::Refused => "Refused",
            Outcome::Withdrawn => "Withdrawn",
            Outcome::Failed => "Failed",
        };
        say(
            "ended".to_owned(),
            ending.at,
            format!("**{word}.** {}", sentence(&harmless(&ending.message, 1400))),
        );
    }
    if let Some(at) = status.removed_at
        && status.made.is_some()
    {
        say(
            "removed".to_owned(),
            at,
            format!("The namespace {} is gone.", code(&spec.into)),
        );
    }
    // Stable: what became known at once keeps the order in which it is said above.
    said.sort_by_key(|message| message.at);
    said
}
