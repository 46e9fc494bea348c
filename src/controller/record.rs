//! Writing a fact into the status, and telling Kubernetes of milestones.

use jiff::Timestamp;
use kube::ResourceExt as _;
use kube::api::PostParams;
use kube::runtime::events::Event;

use super::machine::Machine;
use super::{Context, Interrupted};

/// Writes a fact, guarded by the resource version that the request was read at.
///
/// If somebody else wrote meanwhile, the fact is let go and the request as it
/// now is comes back: effects are find-or-create, so that the next look finds
/// the same fact again.
pub(super) async fn record<M: Machine>(
    context: &Context,
    mut request: M,
    fact: M::Fact,
) -> Result<M, Interrupted> {
    let before = request.phase_name();
    tracing::debug!(?fact, "recording");
    request.apply(fact, Timestamp::now());
    let name = request.name_any();
    let written = M::api(context)
        .replace_status(&name, &PostParams::default(), &request)
        .await;
    match written {
        Ok(request) => {
            let after = request.phase_name();
            if after != before {
                tracing::info!(phase = after, "reached");
                if request.is_over() {
                    let now = Timestamp::now();
                    let created = request.meta().creation_timestamp.as_ref();
                    let took = created.map_or(jiff::SignedDuration::ZERO, |created| {
                        now.duration_since(created.0)
                    });
                    let steps = request.steps(now);
                    let metrics = &context.clients.metrics;
                    metrics.ended(&M::kind(&()), after, took, &steps);
                }
                milestone(context, &request).await;
            }
            Ok(request)
        }
        Err(kube::Error::Api(status)) if status.code == 409 => {
            Ok(M::api(context).get(&name).await?)
        }
        Err(error) => Err(error.into()),
    }
}

/// A Kubernetes Event; failing to write one stops nothing.
async fn milestone<M: Machine>(context: &Context, request: &M) {
    let (type_, note) = request.milestone();
    let event = Event {
        type_,
        reason: request.phase_name().to_owned(),
        // The API server refuses longer notes.
        note: Some(note.chars().take(1000).collect()),
        action: M::ACTION.to_owned(),
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
