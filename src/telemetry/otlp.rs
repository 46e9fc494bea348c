//! Spans for a collector, over OTLP (HTTP, protobuf).
//!
//! Nothing waits for a collector: finished spans go into a bounded queue that a thread of
//! the SDK empties, and whatever does not fit is dropped. It is told once that a
//! collector is away, and once that it is back.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use opentelemetry::KeyValue;
use opentelemetry::trace::{
    SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState, TracerProvider as _,
};
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use tokio::runtime::Handle;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use crate::config::{Otlp, traces_at};

/// How long one request to the collector may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long what is pending may take at the end: with what everything else gets, a stop
/// stays below five seconds.
const FLUSH: Duration = Duration::from_millis(750);
/// What a collector answers is a few bytes.
const LARGEST_ANSWER: usize = 64 * 1024;

/// What sends spans, until it is ended.
#[derive(Debug)]
pub struct Spans(SdkTracerProvider);

impl Spans {
    /// Makes ready to send spans to the collector of the configuration, else to that of
    /// the environment; `None` if neither names one.
    ///
    /// Reaches out to nobody yet. The requests run on `runtime`. The error names the
    /// variable of the environment that is wrong.
    pub fn start(settings: Option<&Otlp>, runtime: &Handle) -> anyhow::Result<Option<Self>> {
        let of_environment;
        let settings = match settings {
            Some(settings) => settings,
            None => match environment()? {
                Some(found) => {
                    of_environment = found;
                    &of_environment
                }
                None => return Ok(None),
            },
        };
        let exporter = SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(settings.endpoint.to_string())
            .with_http_client(Collector::new(settings.clone(), runtime.clone())?)
            .build()
            .context("spans cannot be sent")?;
        let resource = Resource::builder()
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
        let named = std::env::var_os("OTEL_SERVICE_NAME").is_some();
        let resource = match &settings.service_name {
            Some(name) => resource.with_service_name(name.clone()),
            None if named => resource,
            None => resource.with_service_name("refloat"),
        };
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(resource.build())
            .build();
        Ok(Some(Self(provider)))
    }

    pub(super) fn tracer(&self) -> SdkTracer {
        self.0.tracer("refloat")
    }

    /// Sends what is pending, as far as that takes less than a second.
    pub fn end(&self) {
        if let Err(error) = self.0.shutdown_with_timeout(FLUSH) {
            tracing::warn!(%error, "the last spans were not sent");
        }
    }
}

/// The collector that the environment names, by the variables that are usual.
fn environment() -> anyhow::Result<Option<Otlp>> {
    let of = |name: &str| {
        std::env::var(name)
            .ok()
            .filter(|text| !text.trim().is_empty())
    };
    let is = |name: &str, word: &str| of(name).is_some_and(|text| text.eq_ignore_ascii_case(word));
    if is("OTEL_SDK_DISABLED", "true") || is("OTEL_TRACES_EXPORTER", "none") {
        return Ok(None);
    }
    let whole = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
    let base = "OTEL_EXPORTER_OTLP_ENDPOINT";
    let endpoint = match (of(whole), of(base)) {
        (Some(address), _) => address
            .parse()
            .map_err(|_| anyhow::anyhow!("{whole} is not an address"))?,
        (None, Some(address)) => {
            traces_at(&address).map_err(|why| anyhow::anyhow!("{base}: {why}"))?
        }
        (None, None) => return Ok(None),
    };
    Ok(Some(Otlp {
        endpoint,
        headers: None,
        service_name: None,
    }))
}

/// The way to the collector.
///
/// The SDK sends from a thread of its own, where no runtime is; the requests run on
/// Refloat's.
struct Collector {
    settings: Otlp,
    runtime: Handle,
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    away: Arc<AtomicBool>,
}

impl fmt::Debug for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collector")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl Collector {
    fn new(settings: Otlp, runtime: Handle) -> anyhow::Result<Self> {
        let https = hyper_rustls::HttpsConnectorBuilder::new()
            .with_native_roots()
            .context("the system's certificates cannot be read")?
            .https_or_http()
            .enable_http1()
            .build();
        Ok(Self {
            settings,
            runtime,
            client: Client::builder(TokioExecutor::new()).build(https),
            away: Arc::default(),
        })
    }
}

#[async_trait::async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, mut request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        // What the environment wants sent is in the request already.
        for (name, value) in self.settings.headers()? {
            request.headers_mut().insert(name, value);
        }
        let answer = self.client.request(request.map(Full::new));
        let asked = self.runtime.spawn(async move {
            let exchange = async {
                let (head, body) = answer.await?.into_parts();
                let body = Limited::new(body, LARGEST_ANSWER).collect().await?;
                Ok::<_, HttpError>(Response::from_parts(head, body.to_bytes()))
            };
            tokio::time::timeout(PATIENCE, exchange).await?
        });
        let answer = asked
            .await
            .map_err(HttpError::from)
            .and_then(|answer| answer);
        let why = match &answer {
            Ok(answer) if answer.status().is_success() => None,
            Ok(answer) => Some(format!("it answered {}", answer.status().as_u16())),
            Err(error) => Some(reasons(error.as_ref())),
        };
        note(&self.away, &self.settings.endpoint, why);
        answer
    }
}

/// An error with what brought it about.
fn reasons(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

/// Says that the collector went away or came back, once each.
fn note(away: &AtomicBool, collector: &Uri, why: Option<String>) {
    let was = away.swap(why.is_some(), Ordering::Relaxed);
    match why {
        Some(why) if !was => {
            tracing::warn!(%collector, why, "spans cannot be sent, and are dropped until they can");
        }
        None if was => tracing::info!(%collector, "spans are sent again"),
        Some(_) | None => {}
    }
}

/// Puts a span that was not entered yet into the trace of the request with this uid:
/// all that is done for one request is one trace, across passes, replicas and restarts.
///
/// Without a collector this does nothing.
pub fn in_trace_of(span: &tracing::Span, uid: &str) {
    if let Some(parent) = parent(uid) {
        // A span that nobody wants has no trace.
        let _ = span.set_parent(opentelemetry::Context::new().with_remote_span_context(parent));
    }
}

/// The trace of a request, whose number is its uid; `None` if that is no UUID.
fn parent(uid: &str) -> Option<SpanContext> {
    let digits: String = uid.chars().filter(|c| *c != '-').collect();
    let number = u128::from_str_radix(&digits, 16)
        .ok()
        .filter(|_| digits.len() == 32)?;
    let [_, _, _, _, _, _, _, _, low @ ..] = number.to_be_bytes();
    let context = SpanContext::new(
        TraceId::from(number),
        SpanId::from(u64::from_be_bytes(low)),
        TraceFlags::SAMPLED,
        true,
        TraceState::default(),
    );
    context.is_valid().then_some(context)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_trace_of_a_request_has_its_uid() {
        let context = parent("0d2f6a3e-7c1b-4f5e-9a8d-00112233aabb").expect("a UUID");
        assert_eq!(
            context.trace_id().to_string(),
            "0d2f6a3e7c1b4f5e9a8d00112233aabb"
        );
        assert_eq!(context.span_id().to_string(), "9a8d00112233aabb");
        for wrong in [
            "",
            "12",
            "not-a-uid",
            "00000000-0000-0000-0000-000000000000",
        ] {
            assert!(parent(wrong).is_none(), "{wrong}");
        }
    }
}
