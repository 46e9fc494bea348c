//! Writing a fact into the status, and telling Kubernetes of milestones.

use jiff::Timestamp;
use kube::Resource as _;
use kube::ResourceExt as _;
use kube::api::PostParams;
use kube::runtime::events::{Event, EventType};

use super::{Context, Interrupted, phase_of, status};
use crate::request::conditions::publish;
use crate::request::{Fact, Phase, RestoreRequest, apply};

/// Writes a fact, guarded by the resource version that the request was read at.
///
/// If somebody else wrote meanwhile, the fact is let go and the request as it
/// now is comes back: effects are find-or-create, so that the next look finds
/// the same fact again.
pub(super) async fn record(
    context: &Context,
    mut request: RestoreRequest,
    fact: Fact,
) -> Result<RestoreRequest, Interrupted> {
    let before = phase_of(&request);
    let now = Timestamp::now();
    let mut next = status(&request);
    tracing::debug!(?fact, "recording");
    apply(&mut next, fact, now);
    if crate::request::phase(&next) != before {
        // What the last phase waited for is not what this one waits for.
        next.waiting = None;
    }
    publish(&mut next, request.metadata.generation, now);
    request.status = Some(next);
    let name = request.name_any();
    let written = context
        .requests
        .replace_status(&name, &PostParams::default(), &request)
        .await;
    match written {
        Ok(request) => {
            let after = phase_of(&request);
            if after != before {
                tracing::info!(phase = after.name(), "reached");
                milestone(context, &request, after).await;
            }
            Ok(request)
        }
        Err(kube::Error::Api(status)) if status.code == 409 => {
            Ok(context.requests.get(&name).await?)
        }
        Err(error) => Err(error.into()),
    }
}

/// A Kubernetes Event; failing to write one stops nothing.
async fn milestone(context: &Context, request: &RestoreRequest, phase: Phase) {
    let type_ = match phase {
        Phase::Stuck | Phase::Refused | Phase::Expired => EventType::Warning,
        _ => EventType::Normal,
    };
    let note = request
        .status
        .as_ref()
        .and_then(|status| match phase {
            Phase::Stuck => status.stuck.as_ref().map(|stuck| stuck.message.clone()),
            _ => status.ending.as_ref().map(|ending| ending.message.clone()),
        })
        .unwrap_or_else(|| format!("The restore is {}.", phase.in_words()));
    let event = Event {
        type_,
        reason: phase.name().to_owned(),
        // The API server refuses longer notes.
        note: Some(note.chars().take(1000).collect()),
        action: "Restore".to_owned(),
        secondary: None,
    };
    if let Err(error) = context
        .recorder
        .publish(&event, &request.object_ref(&()))
        .await
    {
        tracing::debug!(%error, "an Event could not be written");
    }
}
