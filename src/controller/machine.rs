//! What the loop needs to know of a kind of request.

use std::fmt::Debug;
use std::future::Future;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::NamespaceResourceScope;
use kube::runtime::events::EventType;
use kube::{Api, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Context;
use crate::request::{LastError, Step};

/// A kind of request that the loop carries from its beginning to its end.
pub(super) trait Machine:
    Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + Clone
    + Debug
    + DeserializeOwned
    + Serialize
    + Send
    + Sync
    + 'static
{
    /// What goes into the status.
    type Fact: Debug + Send;
    /// What is done to the world.
    type Effect: Send;
    /// What a pass saw of the world.
    type Observed: Send + Sync;

    /// What Kubernetes Events call it.
    const ACTION: &'static str;

    fn api(context: &Context) -> &Api<Self>;

    fn tenant(&self) -> &str;

    fn phase_name(&self) -> &'static str;

    /// True if nothing more happens to it.
    fn is_over(&self) -> bool;

    /// How long each part of it took, to be told once it is over.
    fn steps(&self, now: Timestamp) -> Vec<(&'static str, SignedDuration)> {
        let _ = now;
        Vec::new()
    }

    /// True if the other requests are looked at in this phase, so that nobody
    /// else may look at them until the outcome is written (S7).
    fn needs_admission(&self) -> bool;

    /// Takes back a right that was given for an earlier phase; mostly there is none.
    fn lay_down_rights(
        &self,
        context: &Context,
    ) -> impl Future<Output = anyhow::Result<()>> + Send {
        let _ = context;
        std::future::ready(Ok(()))
    }

    /// Reads what the present phase needs; touches nothing.
    fn observe(
        &self,
        context: &Context,
    ) -> impl Future<Output = anyhow::Result<Self::Observed>> + Send;

    /// A world that could not be seen.
    fn nothing_seen() -> Self::Observed;

    /// The pure decision.
    fn decide(
        &self,
        observed: &Self::Observed,
        context: &Context,
        now: Timestamp,
    ) -> Step<Self::Effect, Self::Fact>;

    /// A short name for logs and the status.
    fn name_of(effect: &Self::Effect) -> &'static str;

    /// Does one effect. `None`: done, and the next look will show it.
    fn act(
        &self,
        context: &Context,
        effect: Self::Effect,
    ) -> impl Future<Output = anyhow::Result<Option<Self::Fact>>> + Send;

    /// Puts a fact into the status, and makes the conditions anew.
    fn apply(&mut self, fact: Self::Fact, now: Timestamp);

    /// The fact that something is waited for, in words.
    fn waits(why: Option<String>) -> Self::Fact;

    /// The fact that an effect, or a look at the world, failed.
    fn failed(effect: String, message: String) -> Self::Fact;

    fn waiting(&self) -> Option<&str>;

    fn last_error(&self) -> Option<&LastError>;

    /// What Kubernetes is told of a phase that was reached.
    fn milestone(&self) -> (EventType, String);
}

/// What names on the world's side are made from.
pub(super) fn uid(request: &impl ResourceExt) -> String {
    request.uid().unwrap_or_default()
}

/// When it was asked for, by the API server's clock.
pub(super) fn created(request: &impl ResourceExt) -> Timestamp {
    request
        .creation_timestamp()
        .map_or(Timestamp::UNIX_EPOCH, |time| time.0)
}
