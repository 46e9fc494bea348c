//! From a request to change schedules to its thread, with nothing else to go by.

mod card;
mod milestones;
#[cfg(test)]
mod tests;

use jiff::Timestamp;

use super::harmless::{code, plain};
use super::publish::Threaded;
use super::thread::{Stage, Tone};
use super::{RenderContext, Thread};
use crate::request::Condition;
use crate::request::preflight::local;
use crate::schedule::resource::Action;
use crate::schedule::{
    Entry, Phase, ScheduleRequest, ScheduleRequestSpec, ScheduleStatus, digest, phase,
};

/// What a chat is to show of a request to change schedules.
pub fn render(request: &ScheduleRequest, context: &RenderContext) -> Thread {
    let empty = ScheduleStatus::default();
    let view = View::of(request, context, &empty);
    let messages = milestones::messages(&view);
    Thread {
        request: view.name.to_owned(),
        uid: view.uid.to_owned(),
        title: plain(
            &format!(
                "{}: {} the backup schedule {} of {}",
                view.name,
                view.spec.change.action.word(),
                view.spec.change.name,
                view.spec.tenant
            ),
            100,
        ),
        card: card::card(&view),
        // A denial may still be given its reason.
        over: view.phase.is_over() && !messages.iter().any(|message| message.ask),
        messages,
    }
}

impl Threaded for ScheduleRequest {
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
                Phase::AwaitingApproval => Tone::Asking,
                Phase::Stuck => Tone::Stuck,
                Phase::Done => Tone::Done,
                Phase::Refused
                | Phase::Denied
                | Phase::Withdrawn
                | Phase::Expired
                | Phase::Failed
                | Phase::Superseded => Tone::Ended,
                Phase::Checking
                | Phase::Merging
                | Phase::Applying
                | Phase::Confirming
                | Phase::Closing => Tone::Working,
            },
        }
    }
}

/// A request with what is derived from it.
#[derive(Clone, Copy)]
struct View<'a> {
    name: &'a str,
    uid: &'a str,
    created: Timestamp,
    spec: &'a ScheduleRequestSpec,
    status: &'a ScheduleStatus,
    phase: Phase,
    context: &'a RenderContext,
}

impl<'a> View<'a> {
    fn of(
        request: &'a ScheduleRequest,
        context: &'a RenderContext,
        empty: &'a ScheduleStatus,
    ) -> Self {
        let status = request.status.as_ref().unwrap_or(empty);
        Self {
            name: request.metadata.name.as_deref().unwrap_or_default(),
            uid: request.metadata.uid.as_deref().unwrap_or_default(),
            created: request
                .metadata
                .creation_timestamp
                .as_ref()
                .map_or(Timestamp::UNIX_EPOCH, |time| time.0),
            spec: &request.spec,
            status,
            phase: phase(status),
            context,
        }
    }

    /// In the zone of the platform, to the minute.
    fn local(&self, at: Timestamp) -> String {
        local(at, &self.context.time_zone)
    }

    /// What an approval given now is bound to, as people read and type it.
    fn short_digest(&self) -> String {
        digest(self.uid, self.spec, self.status)[..8].to_owned()
    }

    /// The name without what marks it as one, for commands in code spans.
    fn bare_name(&self) -> String {
        code(self.name).trim_matches('`').to_owned()
    }
}

/// What is asked for, in words: "add the backup schedule `nightly` to ...".
fn what(spec: &ScheduleRequestSpec) -> String {
    let change = &spec.change;
    let (name, tenant) = (code(&change.name), code(&spec.tenant));
    match change.action {
        Action::Add => format!("add the backup schedule {name} to the tenant {tenant}"),
        Action::Change => format!("change the backup schedule {name} of the tenant {tenant}"),
        Action::Remove => format!("remove the backup schedule {name} of the tenant {tenant}"),
    }
}

/// `daily`, runs at `0 1 * * *`, each backup kept `168h0m0s`.
fn entry(entry: &Entry) -> String {
    format!(
        "{}, runs at {}, each backup kept {}",
        code(&entry.name),
        code(&entry.schedule),
        entry
            .ttl
            .as_deref()
            .map_or_else(|| "as long as Velero's default".to_owned(), code)
    )
}
