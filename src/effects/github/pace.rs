//! Asking nicely: one queue, mutations apart, and GitHub's limits obeyed.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::HeaderMap;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::{MutexGuard, Semaphore, SemaphorePermit};

use super::transport::Refusal;
use crate::telemetry::Metrics;

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
pub(super) struct Meter {
    metrics: Metrics,
    requests: Family<[(&'static str, &'static str); 1], Counter>,
    waiting: Gauge,
    remaining: Gauge,
    limit: Gauge,
    pub(super) skew: Gauge,
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
    pub(super) fn new(gap: Duration, metrics: &Metrics) -> Self {
        Self {
            gap,
            places: Semaphore::new(AT_ONCE),
            mutated: tokio::sync::Mutex::new(None),
            until: Mutex::new(None),
            meter: Meter::new(metrics),
        }
    }

    /// Waits for a turn; refuses if GitHub asked for a longer pause.
    pub(super) async fn turn(&self, mutates: bool, what: &str) -> Result<Turn<'_>, Refusal> {
        let _waiting = Waiting::new(&self.meter.waiting);
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
        if let Some(skew) = skew(headers, jiff::Timestamp::now()) {
            self.meter.skew.set(skew);
        }
        let remaining = number("x-ratelimit-remaining");
        if let Some(remaining) = remaining {
            self.meter.remaining.set(remaining);
        }
        if let Some(limit) = number("x-ratelimit-limit") {
            self.meter.limit.set(limit);
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
            self.meter.count("limited");
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
    fn new(metrics: &Metrics) -> Self {
        let meter = Self {
            metrics: metrics.clone(),
            requests: Family::default(),
            waiting: Gauge::default(),
            remaining: Gauge::default(),
            limit: Gauge::default(),
            skew: Gauge::default(),
        };
        meter.remaining.set(-1);
        meter.limit.set(-1);
        metrics.register(|registry| {
            registry.register(
                "github_requests",
                "Requests to GitHub by what became of them",
                meter.requests.clone(),
            );
            registry.register(
                "github_queue",
                "Requests that wait for their turn, or for GitHub's limits to end",
                meter.waiting.clone(),
            );
            registry.register(
                "github_rate_limit_remaining",
                "Requests that GitHub still takes this hour; -1 before the first answer",
                meter.remaining.clone(),
            );
            registry.register(
                "github_rate_limit",
                "Requests that GitHub takes an hour; -1 before the first answer",
                meter.limit.clone(),
            );
            registry.register(
                "github_clock_skew_seconds",
                "By how much GitHub's clock is ahead of this one; negative: behind",
                meter.skew.clone(),
            );
        });
        meter
    }

    pub(super) fn count(&self, kind: &'static str) {
        self.requests.get_or_create(&[("kind", kind)]).inc();
    }

    /// How many requests are left, of how many in an hour; `None` before GitHub said.
    pub(super) fn left(&self) -> Option<(i64, i64)> {
        let (left, limit) = (self.remaining.get(), self.limit.get());
        (left >= 0 && limit >= 0).then_some((left, limit))
    }

    /// With which code GitHub answered; `None`: it did not.
    pub(super) fn answered(&self, code: Option<u16>) {
        self.metrics.called("github", code);
    }
}

/// By how many seconds the clock of whoever answered is ahead of `now`.
pub(crate) fn skew(headers: &HeaderMap, now: jiff::Timestamp) -> Option<i64> {
    let date = headers.get(http::header::DATE)?.to_str().ok()?;
    let theirs = jiff::fmt::rfc2822::parse(date).ok()?.timestamp();
    // Theirs is in whole seconds.
    Some(theirs.as_second() - now.as_second())
}

/// Counts a request as waiting until it is dropped.
struct Waiting<'a>(&'a Gauge);

impl<'a> Waiting<'a> {
    fn new(gauge: &'a Gauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.dec();
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
            let pace = Pace::new(Duration::ZERO, &Metrics::default());
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
        let pace = Pace::new(Duration::from_millis(50), &Metrics::default());
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
