//! What Refloat counts, for Prometheus.
//!
//! Counters live where they are counted and are registered here under their names.
//! What is true of the cluster (where requests stand, how long self-heal has been off,
//! the last good backup) is counted nowhere: it is read from the watches' caches when
//! somebody scrapes, so that it is right after a restart too.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use crate::caches::Caches;
use crate::copy;
use crate::effects::velero::shelf::Shelf;
use crate::request;
use crate::schedule;

/// What [`Metrics::text`] is.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

type Labels<const N: usize> = [(&'static str, String); N];
type Histograms<const N: usize> = Family<Labels<N>, Histogram, fn() -> Histogram>;

/// Everything that is counted; clones count together.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Mutex<Registry>>,
    calls: Family<Labels<2>, Counter>,
    ended: Family<Labels<2>, Counter>,
    durations: Histograms<2>,
    steps: Histograms<1>,
    leading: Gauge,
    caches: Caches,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("refloat");
        let calls = Family::<Labels<2>, Counter>::default();
        registry.register(
            "api_requests",
            "Requests to each service by the code of the answer; error: none came",
            calls.clone(),
        );
        let ended = Family::<Labels<2>, Counter>::default();
        registry.register(
            "requests_ended",
            "Requests that ended, by kind and outcome",
            ended.clone(),
        );
        let durations: Histograms<2> = Family::new_with_constructor(long as fn() -> Histogram);
        registry.register(
            "request_duration_seconds",
            "From the request to its end, by kind and outcome",
            durations.clone(),
        );
        let steps: Histograms<1> = Family::new_with_constructor(long as fn() -> Histogram);
        registry.register(
            "restore_step_duration_seconds",
            "How long each step of a restore took, counted at its end",
            steps.clone(),
        );
        let leading = Gauge::default();
        registry.register(
            "leader",
            "1 while this replica works, 0 while it stands by",
            leading.clone(),
        );
        let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "The version that runs", version);
        let caches = Caches::default();
        registry.register_collector(Box::new(caches.clone()));
        Self {
            registry: Arc::new(Mutex::new(registry)),
            calls,
            ended,
            durations,
            steps,
            leading,
            caches,
        }
    }
}

/// From a second to a day: people are waited for.
fn long() -> Histogram {
    Histogram::new([
        1., 5., 15., 60., 300., 900., 1800., 3600., 14_400., 43_200., 86_400.,
    ])
}

impl Metrics {
    /// Lets a room register what it counts, under `refloat_`.
    pub fn register(&self, with: impl FnOnce(&mut Registry)) {
        with(&mut self.registry.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// A request to a service was answered; `None`: it was not.
    pub fn called(&self, service: &'static str, code: Option<u16>) {
        let code = code.map_or_else(|| "error".to_owned(), |code| code.to_string());
        self.calls
            .get_or_create(&[("service", service.to_owned()), ("code", code)])
            .inc();
    }

    /// A request has ended.
    pub fn ended(
        &self,
        kind: &str,
        outcome: &str,
        took: SignedDuration,
        steps: &[(&'static str, SignedDuration)],
    ) {
        let labels = [("kind", kind.to_owned()), ("outcome", outcome.to_owned())];
        self.ended.get_or_create(&labels).inc();
        self.durations
            .get_or_create(&labels)
            .observe(took.as_secs_f64());
        for (step, took) in steps {
            self.steps
                .get_or_create(&[("step", (*step).to_owned())])
                .observe(took.as_secs_f64());
        }
    }

    pub fn lead(&self, leading: bool) {
        self.leading.set(i64::from(leading));
    }

    /// What is read when somebody scrapes.
    pub fn caches(&self) -> &Caches {
        &self.caches
    }

    /// Everything, in OpenMetrics' text form.
    pub fn text(&self) -> String {
        let mut out = String::new();
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        match text::encode(&mut out, &registry) {
            Ok(()) => out,
            // Writing to a String cannot fail; a half answer would be no answer.
            Err(fmt::Error) => String::new(),
        }
    }
}

/// A gauge with labels, from what is at hand.
fn gauges<const N: usize>(
    encoder: &mut DescriptorEncoder,
    name: &str,
    help: &str,
    values: impl IntoIterator<Item = (Labels<N>, f64)>,
) -> fmt::Result {
    let mut encoder = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (labels, value) in values {
        ConstGauge::new(value).encode(encoder.encode_family(&labels)?)?;
    }
    Ok(())
}

impl Collector for Caches {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let now = Timestamp::now();
        let restores = self.restores();
        let schedules = self.schedules();
        let of_restores = |phase: request::Phase| {
            restores
                .iter()
                .filter(|request| request.phase() == phase)
                .count()
        };
        let of_schedules = |phase: schedule::Phase| {
            schedules
                .iter()
                .filter(|request| request.phase() == phase)
                .count()
        };
        let copies = self.copies();
        let of_copies = |phase: copy::Phase| {
            copies
                .iter()
                .filter(|request| request.phase() == phase)
                .count()
        };
        let labels =
            |kind: &str, phase: &str| [("kind", kind.to_owned()), ("phase", phase.to_owned())];
        let standing = request::Phase::ALL
            .into_iter()
            .map(|phase| (labels("RestoreRequest", phase.name()), of_restores(phase)))
            .chain(
                schedule::Phase::ALL
                    .into_iter()
                    .map(|phase| (labels("ScheduleRequest", phase.name()), of_schedules(phase))),
            )
            .chain(
                copy::Phase::ALL
                    .into_iter()
                    .map(|phase| (labels("CopyRequest", phase.name()), of_copies(phase))),
            );
        gauges(
            &mut encoder,
            "requests",
            "Requests in the cluster, by kind and by the phase they stand in",
            standing.map(|(labels, count)| (labels, whole(count))),
        )?;
        let off = restores.iter().filter_map(|request| {
            let status = request.status.as_ref().filter(|it| it.self_heal_is_off())?;
            let merged = status.pause.as_ref()?.merged.as_ref()?;
            let seconds = now.duration_since(merged.at).as_secs_f64().max(0.);
            Some(([("tenant", request.spec.tenant.clone())], seconds))
        });
        gauges(
            &mut encoder,
            "self_heal_off_seconds",
            "For how long self-heal of a tenant has been off for a restore",
            off,
        )?;
        let connected = self.chat_is_connected();
        gauges(
            &mut encoder,
            "chat_connected",
            "1 while the chat is connected; nothing from a replica that stands by",
            connected.map(|connected| ([], f64::from(u8::from(connected)))),
        )?;
        let last = self.shelf().map(last_good).unwrap_or_default();
        gauges(
            &mut encoder,
            "last_good_backup_timestamp_seconds",
            "When the last good backup of each schedule was started",
            last.into_iter()
                .map(|(schedule, at)| ([("schedule", schedule)], at.as_duration().as_secs_f64())),
        )
    }
}

/// The start of the last good backup of each schedule.
fn last_good(shelf: &Shelf) -> std::collections::BTreeMap<String, Timestamp> {
    let now = Timestamp::now();
    let mut last = std::collections::BTreeMap::new();
    shelf.look(|backups, _| {
        for backup in backups.values().filter(|backup| backup.is_good(now)) {
            if let Some(schedule) = &backup.schedule {
                let at = last.entry(schedule.to_string()).or_insert(backup.at());
                *at = (*at).max(backup.at());
            }
        }
    });
    last
}

/// Counts of objects are far below what a float holds exactly.
fn whole(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::from(u32::MAX), f64::from)
}
