//! How fast Refloat asks anything of Discord.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// Discord allows 50 requests a second; this leaves room for answers to
/// interactions and for a clock that is not ours.
const A_SECOND: u32 = 47;

/// Gives out the moments at which a request may be sent, in the order in which
/// they are asked for.
#[derive(Debug)]
pub(super) struct Pacer {
    next: Mutex<Instant>,
    interval: Duration,
}

impl Pacer {
    pub(super) fn new() -> Self {
        Self {
            next: Mutex::new(Instant::now()),
            interval: Duration::from_secs(1) / A_SECOND,
        }
    }

    /// Waits for the next moment. A moment that is not used is lost.
    pub(super) async fn slot(&self) {
        let at = {
            let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            let at = (*next).max(Instant::now());
            *next = at + self.interval;
            at
        };
        sleep_until(at).await;
    }

    /// Sends nothing for a while.
    pub(super) fn hold(&self, pause: Duration) {
        let until = Instant::now() + pause;
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        *next = (*next).max(until);
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
