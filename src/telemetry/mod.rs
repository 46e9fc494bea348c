//! What Refloat says of itself: lines for people or JSON, on standard error, so
//! that standard output stays the chat's; metrics; and spans, if a collector wants them.

pub mod metrics;
pub mod otlp;

pub use metrics::Metrics;
pub use otlp::Spans;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, fmt};

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Starts logging, and the sending of spans. What is logged is chosen by `REFLOAT_LOG`,
/// in the notation of `RUST_LOG`; by default Refloat's own lines from `info` on and
/// others' warnings. Spans are Refloat's own, whatever is logged.
pub fn start(format: Format, spans: Option<&Spans>) {
    let filter = EnvFilter::try_from_env("REFLOAT_LOG")
        .unwrap_or_else(|_| EnvFilter::new("warn,refloat=info"));
    let lines = fmt::layer().with_writer(std::io::stderr);
    let lines = match format {
        Format::Text => lines.boxed(),
        Format::Json => lines.json().boxed(),
    };
    let sent = spans.map(|spans| {
        tracing_opentelemetry::layer()
            .with_tracer(spans.tracer())
            .with_location(false)
            .with_threads(false)
            .with_filter(Targets::new().with_target("refloat", LevelFilter::INFO))
    });
    // A second start, as in tests, changes nothing.
    let _ = tracing_subscriber::registry()
        .with(lines.with_filter(filter))
        .with(sent)
        .try_init();
}
