//! Spans for a collector: what it gets of a restore, and that nothing waits for it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode, header};
use axum::routing::post;
use harbour::world::Shape;
use harbour::{REFLOAT_GITHUB_TOKEN, REFLOAT_KUBERNETES_TOKEN, Setup};
use kube::ResourceExt as _;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use prost::Message as _;
use refloat::request::Phase;

use crate::process::Running;
use crate::world::World;

/// A request that a collector was sent.
struct Batch {
    headers: HeaderMap,
    body: Bytes,
}

/// A collector that keeps what it is sent.
struct Collector {
    address: SocketAddr,
    batches: Arc<Mutex<Vec<Batch>>>,
}

impl Collector {
    async fn start() -> anyhow::Result<Self> {
        let batches: Arc<Mutex<Vec<Batch>>> = Arc::default();
        let kept = Arc::clone(&batches);
        let take = move |headers: HeaderMap, body: Bytes| {
            let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.push(Batch { headers, body });
            std::future::ready(StatusCode::OK)
        };
        let routes = Router::new().route("/v1/traces", post(take));
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Ok(Self { address, batches })
    }

    /// What came so far.
    fn taken(&self) -> Vec<Batch> {
        std::mem::take(&mut *self.batches.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The attributes that are texts.
fn texts(attributes: &[KeyValue]) -> BTreeMap<&str, &str> {
    let pairs = attributes.iter();
    pairs
        .filter_map(|pair| Some((pair.key.as_str(), text(pair)?)))
        .collect()
}

fn text(pair: &KeyValue) -> Option<&str> {
    match pair.value.as_ref()?.value.as_ref()? {
        any_value::Value::StringValue(text) => Some(text),
        _ => None,
    }
}

async fn small() -> anyhow::Result<World> {
    World::start(Setup {
        shape: Shape::small(),
        days_of_backups: 2,
        ..Setup::default()
    })
    .await
}

const ASK: &str = "restore request tenant:poseidon1 namespaces:dev schedule:daily reason:spans";

/// All that was done for a restore is one trace, whose number is the request's uid; what is
/// pending is sent at the end; and no secret is in it.
#[tokio::test(flavor = "multi_thread")]
async fn a_collector_gets_a_restore_as_one_trace() -> anyhow::Result<()> {
    let world = small().await?;
    let collector = Collector::start().await?;
    let headers = world.harbour.folder().join("otlp-headers");
    std::fs::write(
        &headers,
        "authorization: Bearer canary-of-otlp\nx-scope: ocean\n",
    )?;
    let more = format!(
        "telemetry: {{ otlp: {{ endpoint: 'http://{}', headersFile: '{}', serviceName: harbour }} }}\n",
        collector.address,
        headers.display()
    );
    // Nothing is sent but full batches, until the end.
    let mut running = Running::start(&world, &more, &[("OTEL_BSP_SCHEDULE_DELAY", "3600000")])?;
    running.until_ready().await?;
    let name = running.ask(&world, ASK).await?;
    world.until_asked(&name).await?;
    running.say(&format!("as grace: approve {name}")).await?;
    let request = world.until_phase(&name, Phase::Done).await?;
    let log = running.stop().await?;
    let batches = collector.taken();
    assert!(!batches.is_empty(), "nothing was sent: {log}");

    let uid = request.uid().unwrap_or_default().replace('-', "");
    let uid = u128::from_str_radix(&uid, 16)?;
    let tenant = world.here("poseidon1");
    let mut done = BTreeSet::new();
    let mut passes = BTreeMap::new();
    let mut effects = Vec::new();
    for batch in &batches {
        assert_eq!(
            batch.headers[header::AUTHORIZATION],
            "Bearer canary-of-otlp"
        );
        assert_eq!(batch.headers["x-scope"], "ocean");
        assert_eq!(
            batch.headers[header::CONTENT_TYPE],
            "application/x-protobuf"
        );
        for secret in [
            REFLOAT_GITHUB_TOKEN,
            REFLOAT_KUBERNETES_TOKEN,
            "canary-of-otlp",
        ] {
            let found = batch
                .body
                .windows(secret.len())
                .any(|it| it == secret.as_bytes());
            assert!(!found, "{secret} is in a batch");
        }
        let batch = ExportTraceServiceRequest::decode(batch.body.clone())?;
        for resource in batch.resource_spans {
            let about = resource.resource.context("a batch of nobody")?;
            let about = texts(&about.attributes);
            assert_eq!(about["service.name"], "harbour");
            assert_eq!(about["service.version"], env!("CARGO_PKG_VERSION"));
            for span in resource.scope_spans.into_iter().flat_map(|it| it.spans) {
                let said = texts(&span.attributes);
                if said.get("request") == Some(&name.as_str()) {
                    assert_eq!(said["tenant"], tenant);
                    let trace: Result<[u8; 16], _> = span.trace_id.as_slice().try_into();
                    assert_eq!(u128::from_be_bytes(trace?), uid);
                    passes.insert(span.span_id.clone(), span.name.clone());
                }
                if let Some(effect) = said.get("effect") {
                    done.insert((*effect).to_owned());
                    effects.push(span);
                }
            }
        }
    }
    for effect in effects {
        assert!(
            passes.contains_key(&effect.parent_span_id),
            "{effect:?} is in no pass of the request"
        );
    }
    for effect in [
        "open the pause pull request",
        "merge the pause pull request",
        "create the safety backup",
        "delete objects",
        "create the Restore",
        "merge the resume pull request",
    ] {
        assert!(done.contains(effect), "{effect} is not in {done:?}");
    }
    world.end().await
}

/// A collector that takes connections and never answers delays neither work nor the end;
/// it is named by the environment here.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_waits_for_a_collector() -> anyhow::Result<()> {
    let world = small().await?;
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = format!("http://{}", silent.local_addr()?);
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", address.as_str()),
        ("OTEL_BSP_SCHEDULE_DELAY", "20"),
    ];
    let mut running = Running::start(&world, "", &variables)?;
    running.until_ready().await?;
    let name = running.ask(&world, ASK).await?;
    world.until_asked(&name).await?;
    // It was asked, and waits for an answer.
    let connected = tokio::task::spawn_blocking(move || silent.accept());
    let _open = connected.await??;
    let log = running.stop().await?;
    assert!(log.contains("the last spans were not sent"), "{log}");

    // One that is not there is told of once.
    let nobody = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
    let more = format!("telemetry: {{ otlp: {{ endpoint: 'http://{nobody}' }} }}\n");
    let mut running = Running::start(&world, &more, &[("OTEL_BSP_SCHEDULE_DELAY", "20")])?;
    running.until_ready().await?;
    running.say(&format!("as grace: approve {name}")).await?;
    world.until_phase(&name, Phase::Done).await?;
    let log = running.stop().await?;
    assert_eq!(log.matches("spans cannot be sent").count(), 1, "{log}");
    world.end().await
}
