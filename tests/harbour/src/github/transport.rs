//! Git's smart HTTP, read only: what `git clone http://<address>/<owner>/<repo>.git`
//! asks for, answered by `git upload-pack`.
//!
//! Everything below the Git root is public. It is no part of the REST API, so that
//! neither its tokens nor its limits apply.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use anyhow::Context as _;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use tokio::io::AsyncWriteExt as _;

use super::git;
use super::reply::decode;

/// The most that a client may say: what it wants and has, also once unpacked.
const MAX_BODY: usize = 8 << 20;

/// What a path asks of Git's transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Service {
    /// `info/refs`: where the branches are; which service wants to know is in the query.
    Refs,
    UploadPack,
    ReceivePack,
}

/// A repository by its names in a path, and what is asked of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Asked {
    owner: String,
    repo: String,
    service: Service,
}

/// Reads `/<owner>/<repo>.git/...`; `None` for a path that is not Git's.
pub(super) fn asked(path: &str) -> Option<Asked> {
    let segments: Vec<String> = path.strip_prefix('/')?.split('/').map(decode).collect();
    let (owner, repo, service) = match segments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [owner, repo, "info", "refs"] => (owner, repo, Service::Refs),
        [owner, repo, "git-upload-pack"] => (owner, repo, Service::UploadPack),
        [owner, repo, "git-receive-pack"] => (owner, repo, Service::ReceivePack),
        _ => return None,
    };
    Some(Asked {
        owner: owner.to_owned(),
        repo: repo.strip_suffix(".git")?.to_owned(),
        service,
    })
}

/// Answers what was asked, from the repositories `<git_root>/<owner>/<repo>.git`.
pub(super) async fn answer(
    git_root: &Path,
    asked: &Asked,
    method: &Method,
    query: &[(String, String)],
    headers: &HeaderMap,
    body: Body,
) -> Response<Body> {
    let serving = serve(git_root, asked, method, query, headers, body);
    let (status, kind, bytes) = match serving.await {
        Ok(Served { kind, bytes }) => (StatusCode::OK, kind, bytes),
        Err(Refusal { status, said }) => (status, TEXT, format!("{said}\n").into_bytes()),
    };
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    // A branch may have moved by the next look.
    let never = HeaderValue::from_static("no-cache, max-age=0, must-revalidate");
    headers.insert(header::CACHE_CONTROL, never);
    response
}

const TEXT: &str = "text/plain; charset=utf-8";

struct Served {
    kind: &'static str,
    bytes: Vec<u8>,
}

struct Refusal {
    status: StatusCode,
    said: String,
}

impl Refusal {
    fn new(status: StatusCode, said: impl Into<String>) -> Self {
        let said = said.into();
        Self { status, said }
    }
}

impl From<anyhow::Error> for Refusal {
    fn from(error: anyhow::Error) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}"))
    }
}

async fn serve(
    git_root: &Path,
    asked: &Asked,
    method: &Method,
    query: &[(String, String)],
    headers: &HeaderMap,
    body: Body,
) -> Result<Served, Refusal> {
    let not_found = || Refusal::new(StatusCode::NOT_FOUND, "Repository not found.");
    let dir = folder(git_root, asked).ok_or_else(not_found)?;
    let wanted = query.iter().find(|(key, _)| key == "service");
    match (method, asked.service, wanted.map(|(_, name)| name.as_str())) {
        (&Method::GET, Service::Refs, Some("git-upload-pack")) => {
            let version = protocol(headers);
            let mut args = vec!["--advertise-refs"];
            args.extend(upload_pack());
            let told = run(&dir, &args, version, &[]).await?;
            // The newer protocol begins with its version, the older ones with the service.
            let mut bytes = if version.is_some_and(|it| it.split(':').any(|it| it == "version=2")) {
                Vec::new()
            } else {
                b"001e# service=git-upload-pack\n0000".to_vec()
            };
            bytes.extend(told);
            Ok(Served {
                kind: "application/x-git-upload-pack-advertisement",
                bytes,
            })
        }
        (&Method::POST, Service::UploadPack, _) => {
            let said = unpacked(headers, body).await?;
            let bytes = run(&dir, &upload_pack(), protocol(headers), &said).await?;
            Ok(Served {
                kind: "application/x-git-upload-pack-result",
                bytes,
            })
        }
        (_, Service::ReceivePack, _) | (_, _, Some("git-receive-pack")) => Err(Refusal::new(
            StatusCode::FORBIDDEN,
            "This address is for reading: push into the bare repository, or use the REST API.",
        )),
        (&Method::GET, Service::Refs, _) => Err(Refusal::new(
            StatusCode::FORBIDDEN,
            "Please ask by the smart protocol: ?service=git-upload-pack.",
        )),
        _ => Err(Refusal::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "Git does not ask like this.",
        )),
    }
}

/// The folder of a repository that is there; no name leads out of the Git root.
fn folder(git_root: &Path, asked: &Asked) -> Option<PathBuf> {
    let plain = |name: &str| {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        !name.is_empty() && !name.starts_with(['.', '-']) && name.bytes().all(allowed)
    };
    if !plain(&asked.owner) || !plain(&asked.repo) {
        return None;
    }
    let dir = git_root
        .join(&asked.owner)
        .join(format!("{}.git", asked.repo));
    dir.join("HEAD").is_file().then_some(dir)
}

fn upload_pack() -> [&'static str; 2] {
    ["--stateless-rpc", "--strict"]
}

/// The protocol that the client speaks, if it says so in letters that may stand in an
/// environment variable.
fn protocol(headers: &HeaderMap) -> Option<&str> {
    let said = headers.get("git-protocol")?.to_str().ok()?;
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"=:.-_".contains(&b);
    (said.len() <= 100 && said.bytes().all(allowed)).then_some(said)
}

/// What the client sent, unpacked if it came packed.
async fn unpacked(headers: &HeaderMap, body: Body) -> Result<Vec<u8>, Refusal> {
    let too_much = || Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "That is too much.");
    let sent: Bytes = to_bytes(body, MAX_BODY).await.map_err(|_| too_much())?;
    let coded = headers.get(header::CONTENT_ENCODING);
    match coded.map(HeaderValue::as_bytes) {
        None | Some(b"identity") => Ok(sent.to_vec()),
        Some(b"gzip" | b"x-gzip") => {
            let mut bytes = Vec::new();
            let most = MAX_BODY as u64 + 1;
            MultiGzDecoder::new(&*sent)
                .take(most)
                .read_to_end(&mut bytes)
                .map_err(|_| Refusal::new(StatusCode::BAD_REQUEST, "That is no gzip."))?;
            if bytes.len() > MAX_BODY {
                return Err(too_much());
            }
            Ok(bytes)
        }
        Some(_) => Err(Refusal::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "Bodies are packed by gzip or not at all.",
        )),
    }
}

/// What `git upload-pack` answers. It tells the client itself what it cannot serve, and
/// fails then, so that only a failure without an answer is one here.
async fn run(
    dir: &Path,
    args: &[&str],
    protocol: Option<&str>,
    input: &[u8],
) -> anyhow::Result<Vec<u8>> {
    let mut command = git::plain();
    command
        // A commit is fetched by its id, as from GitHub.
        .args(["-c", "uploadpack.allowAnySHA1InWant=true", "upload-pack"])
        .args(args)
        .arg(dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    if let Some(protocol) = protocol {
        command.env("GIT_PROTOCOL", protocol);
    }
    let mut child = command.spawn().context("git cannot be run")?;
    let mut stdin = child.stdin.take().context("git has no input")?;
    let write = async move {
        // A git that ends early says why itself.
        let _ = stdin.write_all(input).await;
    };
    let ((), output) = tokio::join!(write, child.wait_with_output());
    let Output {
        status,
        stdout,
        stderr,
    } = output?;
    anyhow::ensure!(
        status.success() || !stdout.is_empty(),
        "git upload-pack: {}",
        String::from_utf8_lossy(&stderr).trim()
    );
    Ok(stdout)
}
