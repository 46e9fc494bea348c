//! Who should look sooner: what webhooks say, and what the list of pull requests shows.

use std::collections::HashSet;
use std::time::Duration;

use futures::Stream;
use futures::StreamExt as _;
use kube::runtime::reflector::{ObjectRef, Store};
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use super::machine::Machine;
use super::refs;
use crate::effects::github::Github;
use crate::request::{Opened, Phase, RestoreRequest};

/// Something happened on GitHub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wake {
    /// To the pull request of this number.
    Pull(u64),
    /// To the pull requests with this head.
    Head(String),
    /// To whatever is open.
    Open,
}

/// Hands wakes to all who look.
pub type Waker = broadcast::Sender<Wake>;

/// A waker with nobody who listens yet.
pub fn waker() -> Waker {
    // More at once are let go: the poll finds what they would have shown.
    broadcast::Sender::new(1024)
}

/// The requests of a kind that each wake concerns.
pub(super) fn stream<K>(
    wakes: broadcast::Receiver<Wake>,
    store: Store<K>,
    concerns: fn(&K, &Wake) -> bool,
) -> impl Stream<Item = ObjectRef<K>> + Send + 'static
where
    K: Machine,
{
    futures::stream::unfold(wakes, |mut wakes| async {
        loop {
            match wakes.recv().await {
                Ok(wake) => return Some((wake, wakes)),
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    })
    .flat_map(move |wake| futures::stream::iter(refs(&store, |request| concerns(request, &wake))))
}

/// Whether it concerns a restore.
pub(super) fn concerns_restore(request: &RestoreRequest, wake: &Wake) -> bool {
    let opened = |is: &dyn Fn(&Opened) -> bool| {
        request.status.as_ref().is_some_and(|status| {
            [&status.pause, &status.resume]
                .into_iter()
                .flatten()
                .filter_map(|pull| pull.opened.as_ref())
                .any(is)
        })
    };
    match wake {
        Wake::Pull(number) => opened(&|opened| opened.number == *number),
        Wake::Head(sha) => opened(&|opened| opened.head_sha == *sha),
        Wake::Open => matches!(
            request.phase(),
            Phase::AwaitingApproval | Phase::Pausing | Phase::Resuming
        ),
    }
}

/// Looks through the merged pull requests now and then: one of a request that has ended
/// has nobody else who looks at it (L1). A conditional request, which is free while
/// nothing is closed.
pub async fn watch_merges(github: Github, wake: Waker, every: Duration, stop: CancellationToken) {
    let mut seen = HashSet::new();
    loop {
        match github.merged_lately().await {
            Ok(numbers) => {
                for number in numbers {
                    if seen.insert(number) {
                        let _ = wake.send(Wake::Pull(number));
                    }
                }
            }
            Err(error) => tracing::debug!(error = format!("{error:#}"), "no list of merges"),
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(every) => {}
        }
    }
}
