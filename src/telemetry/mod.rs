//! What Refloat says of itself: lines for people or JSON, on standard error, so
//! that standard output stays the chat's.

pub mod metrics;

pub use metrics::Metrics;

use tracing_subscriber::EnvFilter;

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Starts logging. What is logged is chosen by `REFLOAT_LOG`, in the notation of
/// `RUST_LOG`; by default Refloat's own lines from `info` on and others' warnings.
pub fn start(format: Format) {
    let filter = EnvFilter::try_from_env("REFLOAT_LOG")
        .unwrap_or_else(|_| EnvFilter::new("warn,refloat=info"));
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    // A second start, as in tests, changes nothing.
    let _ = match format {
        Format::Text => lines.try_init(),
        Format::Json => lines.json().try_init(),
    };
}
