//! Starting the servers.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::State as Shared;
use bytes::Bytes;
use hyper::{Request, Response, header};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::gate::{Gate, Service, serve};
use crate::github::SpecChecker;

use super::REFLOAT_DISCORD_TOKEN;
use super::reply::Reply;
use super::state::{Limits, State, Upload};

/// How to run the servers.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the REST API listens; port 0 picks a free one. The gateway is beside it.
    pub addr: SocketAddr,
    pub gate: Gate,
    pub stop: CancellationToken,
    /// The folder of the published descriptions.
    pub specs: Option<PathBuf>,
    pub limits: Limits,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            addr: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            gate: Gate::open(),
            stop: CancellationToken::new(),
            specs: None,
            limits: Limits::default(),
        }
    }
}

/// A running Discord; clones are the same one.
#[derive(Clone, Debug)]
pub struct Server {
    pub(super) hub: Arc<Hub>,
}

#[derive(Debug)]
pub(super) struct Hub {
    state: Mutex<State>,
    /// Something was asked or done.
    pub(super) changed: Notify,
    pub(super) spec: Option<SpecChecker>,
    api: SocketAddr,
    gateway: SocketAddr,
}

impl Hub {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // A test that panicked must not hide its message behind a second panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn gateway_url(&self) -> String {
        format!("ws://{}", self.gateway)
    }
}

const SPEC: &str = "discord.openapi.json";
/// Of a request without files.
const MOST: usize = 1 << 20;
/// Of one with files.
const MOST_WITH_FILES: usize = 32 << 20;

impl Server {
    /// Starts serving. Errors if an address is taken or the description is damaged.
    pub async fn start(options: Options) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(options.addr).await?;
        let beside = TcpListener::bind(SocketAddr::new(options.addr.ip(), 0)).await?;
        let spec = match &options.specs {
            Some(folder) => SpecChecker::load_file(folder, SPEC)?,
            None => None,
        };
        let hub = Arc::new(Hub {
            state: Mutex::new(State::new(REFLOAT_DISCORD_TOKEN, options.limits)),
            changed: Notify::new(),
            spec,
            api: listener.local_addr()?,
            gateway: beside.local_addr()?,
        });
        let router = Router::new().fallback(answer).with_state(Arc::clone(&hub));
        let (_, task) = serve(
            Service::Discord,
            listener,
            router,
            options.gate,
            options.stop.clone(),
        )?;
        tokio::spawn(task);
        tokio::spawn(super::gateway::listen(
            Arc::clone(&hub),
            beside,
            options.stop,
        ));
        Ok(Self { hub })
    }

    /// The base address of the REST API, without `/api/v10`.
    pub fn api_url(&self) -> String {
        format!("http://{}", self.hub.api)
    }
}

async fn answer(Shared(hub): Shared<Arc<Hub>>, request: Request<Body>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let boundary = head
        .headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| multer::parse_boundary(value).ok());
    let most = if boundary.is_some() {
        MOST_WITH_FILES
    } else {
        MOST
    };
    let Ok(body) = to_bytes(body, most).await else {
        return Reply::refused(413, 40005, "Request entity too large").into_response();
    };
    let (body, files) = match boundary {
        Some(boundary) => match take_apart(body, boundary).await {
            Ok(parts) => parts,
            Err(why) => return Reply::invalid("files", &why.to_string()).into_response(),
        },
        None => (body, Vec::new()),
    };
    let authorization = head
        .headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let target = head
        .uri
        .path_and_query()
        .map_or_else(|| head.uri.path().to_owned(), ToString::to_string);
    hub.answer(&head.method, &target, authorization, &body, files)
        .into_response()
}

/// The JSON and the files of a multipart body.
async fn take_apart(body: Bytes, boundary: String) -> anyhow::Result<(Bytes, Vec<Upload>)> {
    let stream = futures::stream::iter([Ok::<_, std::convert::Infallible>(body)]);
    let mut parts = multer::Multipart::new(stream, boundary);
    let (mut payload, mut files) = (Bytes::new(), Vec::new());
    while let Some(part) = parts.next_field().await? {
        let name = part.name().unwrap_or_default().to_owned();
        if name == "payload_json" {
            payload = part.bytes().await?;
            continue;
        }
        let number = name
            .strip_prefix("files[")
            .and_then(|rest| rest.strip_suffix(']')?.parse().ok());
        let Some(number) = number else {
            anyhow::bail!("{name} is neither payload_json nor files[n]");
        };
        let filename = part.file_name().unwrap_or_default().to_owned();
        anyhow::ensure!(!filename.is_empty(), "{name} has no filename");
        files.push(Upload {
            number,
            name: filename,
            bytes: part.bytes().await?,
        });
    }
    Ok((payload, files))
}
