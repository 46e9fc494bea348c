//! Who should look sooner: what webhooks say, and what the list of pull requests shows.

use std::collections::HashSet;
use std::time::Duration;

use futures::Stream;
use futures::StreamExt as _;
use kube::runtime::reflector::{ObjectRef, Store};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{phase_of, refs};
use crate::effects::github::Github;
use crate::request::{Phase, RestoreRequest};

/// Something happened on GitHub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// To the pull request of this number.
    Pull(u64),
    /// To whatever is open.
    Open,
}

/// How many wakes wait to be taken up; more are let go, since the poll finds what they
/// would have shown.
pub const WAITING: usize = 1024;

/// The requests that each wake concerns.
pub(super) fn requests(
    wakes: mpsc::Receiver<Wake>,
    store: Store<RestoreRequest>,
) -> impl Stream<Item = ObjectRef<RestoreRequest>> + Send + 'static {
    futures::stream::unfold(wakes, |mut wakes| async {
        wakes.recv().await.map(|wake| (wake, wakes))
    })
    .flat_map(move |wake| futures::stream::iter(refs(&store, |request| concerns(request, wake))))
}

fn concerns(request: &RestoreRequest, wake: Wake) -> bool {
    match wake {
        Wake::Pull(number) => request.status.as_ref().is_some_and(|status| {
            [&status.pause, &status.resume]
                .into_iter()
                .flatten()
                .filter_map(|pull| pull.opened.as_ref())
                .any(|opened| opened.number == number)
        }),
        Wake::Open => matches!(
            phase_of(request),
            Phase::AwaitingApproval | Phase::Pausing | Phase::Resuming
        ),
    }
}

/// Looks through the merged pull requests now and then: one of a request that has ended
/// has nobody else who looks at it (L1). A conditional request, which is free while
/// nothing is closed.
pub(super) async fn watch_merges(
    github: Github,
    wake: mpsc::Sender<Wake>,
    every: Duration,
    stop: CancellationToken,
) {
    let mut seen = HashSet::new();
    loop {
        match github.merged_lately().await {
            Ok(numbers) => {
                for number in numbers {
                    if seen.insert(number) {
                        let _ = wake.try_send(Wake::Pull(number));
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
