//! A work queue: one item is never worked on twice at the same time, and work
//! that fails is done again soon.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt::Debug;
use std::hash::Hash;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::{Id, JoinSet};
use tokio_util::sync::CancellationToken;

/// How long failed work waits before it is done again; twice as long after
/// each further failure, up to [`LONGEST`].
const RETRY: Duration = Duration::from_millis(30);
const LONGEST: Duration = Duration::from_secs(1);

/// Puts items into a queue. Clones put into the same one.
#[derive(Debug)]
pub(crate) struct Sender<T>(mpsc::UnboundedSender<T>);

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: Send + 'static> Sender<T> {
    pub(crate) fn add(&self, item: T) {
        // The queue's other end is gone once the harbour stops.
        let _ = self.0.send(item);
    }

    pub(crate) fn add_after(&self, item: T, pause: Duration) {
        let this = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(pause).await;
            this.add(item);
        });
    }
}

/// A queue and its sending end.
pub(crate) fn queue<T>() -> (Sender<T>, mpsc::UnboundedReceiver<T>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (Sender(sender), receiver)
}

/// Works until `stop`, on at most `parallel` items at a time. `work` returns
/// after what time it wants to see the item again, if at all.
pub(crate) async fn run<T, Work, Done>(
    sender: Sender<T>,
    mut receiver: mpsc::UnboundedReceiver<T>,
    parallel: usize,
    stop: CancellationToken,
    work: Work,
) where
    T: Clone + Debug + Eq + Hash + Send + 'static,
    Work: Fn(T) -> Done,
    Done: Future<Output = anyhow::Result<Option<Duration>>> + Send + 'static,
{
    let mut waiting = VecDeque::new();
    let mut queued = HashSet::new();
    let mut running: HashMap<Id, T> = HashMap::new();
    let mut failures: HashMap<T, u32> = HashMap::new();
    let mut tasks = JoinSet::new();
    loop {
        while running.len() < parallel {
            let free = waiting
                .iter()
                .position(|item| !running.values().any(|other| other == item));
            let Some(item) = free.and_then(|at| waiting.remove(at)) else {
                break;
            };
            queued.remove(&item);
            let task = tasks.spawn(work(item.clone()));
            running.insert(task.id(), item);
        }
        tokio::select! {
            () = stop.cancelled() => return,
            item = receiver.recv() => {
                let Some(item) = item else { return };
                if queued.insert(item.clone()) {
                    waiting.push_back(item);
                }
            }
            Some(ended) = tasks.join_next_with_id() => match ended {
                Ok((id, outcome)) => {
                    let Some(item) = running.remove(&id) else { continue };
                    if outcome.is_ok() {
                        failures.remove(&item);
                    }
                    match outcome {
                        Ok(None) => {}
                        Ok(Some(pause)) => sender.add_after(item, pause),
                        Err(error) => {
                            tracing::debug!(error = format!("{error:#}"), ?item, "trying again");
                            let failed = failures.entry(item.clone()).or_default();
                            let pause = RETRY.saturating_mul(1 << (*failed).min(10)).min(LONGEST);
                            *failed += 1;
                            sender.add_after(item, pause);
                        }
                    }
                }
                Err(panicked) => {
                    tracing::error!(%panicked, "a controller broke off");
                    running.remove(&panicked.id());
                }
            },
        }
    }
}
