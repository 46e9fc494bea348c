//! From a request to its thread, with nothing else to go by.
//!
//! Pure: everything comes from the request's spec and status, so that a thread
//! can be made anew from nothing after a crash, and reads the same tomorrow.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::harmless::plain;
use super::{Thread, card, milestones};
use crate::request::preflight::{list, local};
use crate::request::resource::{RestoreRequest, RestoreRequestSpec, RestoreStatus};
use crate::request::{Phase, digest, phase};

/// What rendering needs to know of the configuration.
#[derive(Clone, Debug)]
pub struct RenderContext {
    /// The zone in which moments are shown.
    pub time_zone: TimeZone,
    /// The approval of the pause covers the resume, so that nobody is asked twice.
    pub covers_resume: bool,
}

/// What a chat is to show of a request.
pub fn render(request: &RestoreRequest, context: &RenderContext) -> Thread {
    let empty = RestoreStatus::default();
    let view = View::of(request, context, &empty);
    let namespaces: Vec<String> = request
        .spec
        .namespaces
        .iter()
        .map(|namespace| plain(namespace, 63))
        .collect();
    let messages = milestones::messages(&view);
    Thread {
        request: view.name.to_owned(),
        uid: view.uid.to_owned(),
        title: plain(
            &format!("{}: restore of {}", view.name, list(&namespaces)),
            100,
        ),
        card: card::card(&view),
        // A denial may still be given its reason.
        over: view.phase.is_over() && !messages.iter().any(|message| message.ask),
        messages,
    }
}

/// A request with what is derived from it.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) name: &'a str,
    pub(super) uid: &'a str,
    pub(super) created: Timestamp,
    pub(super) spec: &'a RestoreRequestSpec,
    pub(super) status: &'a RestoreStatus,
    pub(super) phase: Phase,
    pub(super) context: &'a RenderContext,
}

impl<'a> View<'a> {
    pub(super) fn of(
        request: &'a RestoreRequest,
        context: &'a RenderContext,
        empty: &'a RestoreStatus,
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
    pub(super) fn local(&self, at: Timestamp) -> String {
        local(at, &self.context.time_zone)
    }

    /// What an approval given now is bound to, as people read and type it.
    pub(super) fn short_digest(&self) -> String {
        digest(self.uid, self.spec, self.status)[..8].to_owned()
    }
}

#[cfg(test)]
mod tests;
