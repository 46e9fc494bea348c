//! Asking nicely: one queue, mutations apart, and GitHub's limits obeyed.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::HeaderMap;
use tokio::sync::{MutexGuard, Semaphore, SemaphorePermit};

use super::transport::Refusal;

/// Requests that are under way at once; GitHub allows 100.
const AT_ONCE: usize = 10;
/// A request waits this long for its turn; longer, and it is tried by a later pass.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long to wait after a secondary limit that does not say how long.
const UNSAID: Duration = Duration::from_mins(1);
/// No answer keeps Refloat from asking for longer than this.
const LONGEST: Duration = Duration::from_hours(1);

/// The queue of one installation, and what is known of its limits.
#[derive(Debug)]
pub(super) struct Pace {
    gap: Duration,
    places: Semaphore,
    /// When the last mutation was answered; held from its turn to its answer.
    mutated: tokio::sync::Mutex<Option<Instant>>,
    until: Mutex<Option<Instant>>,
    pub(super) meter: Meter,
}

/// What GitHub was asked, and how much more it may be.
#[derive(Debug)]
pub struct Meter {
    pub(super) reads: AtomicU64,
    pub(super) unchanged: AtomicU64,
    pub(super) writes: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) limited: AtomicU64,
    remaining: AtomicI64,
    limit: AtomicI64,
}

/// A turn: while it is held, no other mutation is sent.
pub(super) struct Turn<'a> {
    _place: SemaphorePermit<'a>,
    mutated: Option<MutexGuard<'a, Option<Instant>>>,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if let Some(mutated) = &mut self.mutated {
            **mutated = Some(Instant::now());
        }
    }
}

impl Pace {
    pub(super) fn new(gap: Duration) -> Self {
        Self {
            gap,
            places: Semaphore::new(AT_ONCE),
            mutated: tokio::sync::Mutex::new(None),
            until: Mutex::new(None),
            meter: Meter {
                reads: AtomicU64::new(0),
                unchanged: AtomicU64::new(0),
                writes: AtomicU64::new(0),
                refused: AtomicU64::new(0),
                limited: AtomicU64::new(0),
                remaining: AtomicI64::new(-1),
                limit: AtomicI64::new(-1),
            },
        }
    }

    /// Waits for a turn; refuses if GitHub asked for a longer pause.
    pub(super) async fn turn(&self, mutates: bool, what: &str) -> Result<Turn<'_>, Refusal> {
        let held = || Refusal::Unreachable {
            what: what.to_owned(),
            why: "the queue is closed".to_owned(),
        };
        let mutated = if mutates {
            let mutated = self.mutated.lock().await;
            if let Some(last) = *mutated {
                tokio::time::sleep(self.gap.saturating_sub(last.elapsed())).await;
            }
            Some(mutated)
        } else {
            None
        };
        let place = self.places.acquire().await.map_err(|_| held())?;
        let pause = self.until().map(|until| until - Instant::now());
        match pause {
            Some(pause) if pause > PATIENCE => {
                return Err(Refusal::Held {
                    what: what.to_owned(),
                    seconds: pause.as_secs() + 1,
                });
            }
            Some(pause) => tokio::time::sleep(pause).await,
            None => {}
        }
        Ok(Turn {
            _place: place,
            mutated,
        })
    }

    /// Until when GitHub asked not to be asked, if that is still to come.
    fn until(&self) -> Option<Instant> {
        let until = *self.until.lock().unwrap_or_else(PoisonError::into_inner);
        until.filter(|until| *until > Instant::now())
    }

    /// Learns from the headers of an answer.
    pub(super) fn learn(&self, status: u16, headers: &HeaderMap) {
        let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<i64>().ok();
        let remaining = number("x-ratelimit-remaining");
        if let Some(remaining) = remaining {
            self.meter.remaining.store(remaining, Ordering::Relaxed);
        }
        if let Some(limit) = number("x-ratelimit-limit") {
            self.meter.limit.store(limit, Ordering::Relaxed);
        }
        let after = number("retry-after").and_then(|seconds| u64::try_from(seconds).ok());
        let spent = remaining == Some(0);
        let limited = status == 429 || (status == 403 && (after.is_some() || spent));
        let pause = match after {
            Some(seconds) if limited || status >= 500 => Some(Duration::from_secs(seconds)),
            _ if spent => Some(number("x-ratelimit-reset").map_or(UNSAID, |reset| {
                let left = reset - jiff::Timestamp::now().as_second();
                // Its clock and ours are not one.
                Duration::from_secs(u64::try_from(left).unwrap_or(0) + 1)
            })),
            _ if limited => Some(UNSAID),
            _ => None,
        };
        if limited {
            self.meter.limited.fetch_add(1, Ordering::Relaxed);
        }
        if let Some(pause) = pause {
            let until = Instant::now() + pause.min(LONGEST);
            let mut held = self.until.lock().unwrap_or_else(PoisonError::into_inner);
            if held.is_none_or(|held| held < until) {
                *held = Some(until);
                tracing::warn!(
                    seconds = pause.as_secs(),
                    "GitHub asks to be left alone for a while"
                );
            }
        }
    }
}

impl Meter {
    /// In Prometheus' text form.
    pub fn text(&self) -> String {
        let count = |value: &AtomicU64| value.load(Ordering::Relaxed);
        let mut text = String::from(
            "# HELP refloat_github_requests_total Requests to GitHub by what became of them.\n\
             # TYPE refloat_github_requests_total counter\n",
        );
        for (kind, value) in [
            ("read", &self.reads),
            ("unchanged", &self.unchanged),
            ("write", &self.writes),
            ("refused", &self.refused),
            ("limited", &self.limited),
        ] {
            // Writing to a String cannot fail.
            let _ = writeln!(
                text,
                "refloat_github_requests_total{{kind=\"{kind}\"}} {}",
                count(value)
            );
        }
        let gauge = |name: &str, help: &str, value: &AtomicI64| {
            let value = value.load(Ordering::Relaxed);
            format!("# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}\n")
        };
        text.push_str(&gauge(
            "refloat_github_rate_limit_remaining",
            "Requests that GitHub still takes this hour; -1 before the first answer.",
            &self.remaining,
        ));
        text.push_str(&gauge(
            "refloat_github_rate_limit",
            "Requests that GitHub takes an hour; -1 before the first answer.",
            &self.limit,
        ));
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .filter_map(|(name, value)| {
                Some((http::HeaderName::from_static(name), value.parse().ok()?))
            })
            .collect()
    }

    #[test]
    fn what_github_asks_is_obeyed() {
        type Headers<'a> = &'a [(&'static str, &'a str)];
        type Case<'a> = (&'a str, u16, Headers<'a>, Option<u64>);
        let now = jiff::Timestamp::now().as_second();
        let soon = (now + 30).to_string();
        let cases: [Case<'_>; 7] = [
            ("all is well", 200, &[("x-ratelimit-remaining", "9")], None),
            (
                "refused for another reason",
                403,
                &[("x-ratelimit-remaining", "9")],
                None,
            ),
            ("a secondary limit", 403, &[("retry-after", "7")], Some(7)),
            ("too many", 429, &[], Some(60)),
            ("it is down", 503, &[("retry-after", "3")], Some(3)),
            (
                "nothing is left",
                200,
                &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", &soon)],
                Some(31),
            ),
            ("for ever", 429, &[("retry-after", "99999999")], Some(3600)),
        ];
        for (name, status, pairs, seconds) in cases {
            let pace = Pace::new(Duration::ZERO);
            pace.learn(status, &headers(pairs));
            let pause = pace
                .until()
                .map(|until| (until - Instant::now()).as_secs_f64());
            match (pause, seconds) {
                (None, None) => {}
                (Some(pause), Some(seconds)) => {
                    let off = pause - f64::from(u32::try_from(seconds).unwrap_or(0));
                    assert!((-2.5..=0.5).contains(&off), "{name}: {pause}");
                }
                other => panic!("{name}: {other:?}"),
            }
        }
    }

    #[tokio::test]
    async fn mutations_are_apart_and_reads_are_not() -> anyhow::Result<()> {
        let pace = Pace::new(Duration::from_millis(50));
        let began = Instant::now();
        drop(pace.turn(true, "a").await?);
        drop(pace.turn(true, "b").await?);
        drop(pace.turn(true, "c").await?);
        assert!(began.elapsed() >= Duration::from_millis(100));
        let began = Instant::now();
        for _ in 0..5 {
            drop(pace.turn(false, "read").await?);
        }
        assert!(began.elapsed() < Duration::from_millis(50));
        pace.learn(429, &headers(&[("retry-after", "60")]));
        assert!(matches!(
            pace.turn(false, "d").await,
            Err(Refusal::Held { .. })
        ));
        Ok(())
    }
}
