//! How fast Refloat asks anything of Discord.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// Discord allows 50 requests a second; this leaves room for answers to
/// interactions and for a clock that is not ours.
const A_SECOND: u32 = 47;

/// Gives out the moments at which a request may be sent, in the order in which
/// they are asked for.
///
/// A moment is counted when it is taken, not when it was due: after a stall of the
/// machine, what is late does not go out all at once.
#[derive(Debug)]
pub(super) struct Pacer {
    /// When the next is due; held by whoever waits for it.
    next: tokio::sync::Mutex<Instant>,
    /// Nothing is sent before that.
    held: Mutex<Instant>,
    interval: Duration,
}

impl Pacer {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self {
            next: tokio::sync::Mutex::new(now),
            held: Mutex::new(now),
            interval: Duration::from_secs(1) / A_SECOND,
        }
    }

    /// Waits for the next moment. A moment that is not used is lost.
    pub(super) async fn slot(&self) {
        let mut next = self.next.lock().await;
        loop {
            let held = *self.held.lock().unwrap_or_else(PoisonError::into_inner);
            let at = (*next).max(held);
            if at <= Instant::now() {
                break;
            }
            sleep_until(at).await;
        }
        // Timers are late by a little each time, which is made good once.
        let latest = Instant::now().checked_sub(self.interval);
        *next = latest.map_or(*next, |latest| latest.max(*next)) + self.interval;
    }

    /// Sends nothing for a while.
    pub(super) fn hold(&self, pause: Duration) {
        let until = Instant::now() + pause;
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        *held = (*held).max(until);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn never_more_than_so_many_a_second() {
        let pacer = Pacer::new();
        let began = Instant::now();
        for _ in 0..=A_SECOND {
            pacer.slot().await;
        }
        assert!(
            began.elapsed() >= Duration::from_millis(990),
            "{:?}",
            began.elapsed()
        );
        pacer.hold(Duration::from_millis(200));
        pacer.slot().await;
        assert!(began.elapsed() >= Duration::from_millis(1_190));
    }
}
