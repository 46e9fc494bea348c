//! The logbook: what it shows, that it can only be read, and that nothing in it is
//! taken for markup.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use harbour::Setup;
use harbour::world::Shape;
use refloat::request::Phase;
use tokio::sync::watch;

use crate::refloat::{FAST, Refloat, until};
use crate::world::World;

/// What somebody could try to make the reader's browser do.
const TRICK: &str = "<script>document.title='owned'</script><img src=x onerror=alert(1)>";

struct Read {
    world: World,
    refloat: Refloat,
    address: SocketAddr,
    request: String,
}

fn free() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

impl Read {
    /// With one restore that waits for a reviewer, whose reason is a trick.
    async fn start() -> anyhow::Result<Self> {
        let world = World::start(Setup {
            shape: Shape::small(),
            days_of_backups: 2,
            ..Setup::default()
        })
        .await?;
        let (listen, address) = (free()?, free()?);
        let web = format!("{FAST}web: {{ listen: '{listen}', logbook: '{address}' }}\n");
        let mut refloat = Refloat::start(&world.harbour.refloat_config(&web)?)?;
        let request = world
            .ask(
                &mut refloat,
                &format!(
                    "restore request tenant:poseidon1 namespaces:dev schedule:daily reason:\"{TRICK}\""
                ),
            )
            .await?;
        world.until_asked(&request).await?;
        Ok(Self {
            world,
            refloat,
            address,
            request,
        })
    }

    async fn get(&self, path: &str) -> anyhow::Result<(u16, String)> {
        let answer = reqwest::get(format!("http://{}{path}", self.address)).await?;
        Ok((answer.status().as_u16(), answer.text().await?))
    }

    async fn shows(&self, path: &str, words: &str) -> anyhow::Result<()> {
        until(|| async { Ok(self.get(path).await?.1.contains(words)) })
            .await
            .with_context(|| format!("{path} never shows {words}"))
    }

    async fn end(self) -> anyhow::Result<()> {
        self.refloat.stop().await?;
        self.world.end().await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_can_be_read_in_full() -> anyhow::Result<()> {
    let mut read = Read::start().await?;
    let page = format!("/restores/{}", read.request);
    read.shows("/", &page).await?;
    read.shows("/", "waiting for approval").await?;
    let (status, text) = read.get(&page).await?;
    assert_eq!(status, 200);
    for words in [
        "ada",
        "<h2>Checks</h2>",
        "<h2>What is deleted, and what stays</h2>",
        "PersistentVolumeClaim",
        "&lt;script&gt;",
        ", open</td>",
    ] {
        assert!(text.contains(words), "{words} is not in\n{text}");
    }
    assert!(
        !text.contains("<script>document") && !text.contains("<img"),
        "{text}"
    );

    // It says so when something changes, without being asked again.
    let mut events = reqwest::get(format!("http://{}/events", read.address)).await?;
    read.refloat.say("as grace: approve").await?;
    let told = async {
        while let Some(chunk) = events.chunk().await? {
            if String::from_utf8_lossy(&chunk).contains("event: changed") {
                return Ok(());
            }
        }
        anyhow::bail!("the stream ended")
    };
    tokio::time::timeout(Duration::from_secs(30), told).await??;
    drop(events);
    read.world.until_phase(&read.request, Phase::Done).await?;
    read.shows(&page, "It is done.").await?;
    let (_, text) = read.get(&page).await?;
    for words in ["grace", "clearing", "self-heal back", ", merged</td>"] {
        assert!(text.contains(words), "{words} is not in\n{text}");
    }
    read.shows("/coverage", "poseidon1-dev").await?;
    assert_eq!(read.get("/restores/none").await?.0, 404);
    read.end().await
}

/// Nothing can be done there, and what a page may load is only its own.
#[tokio::test(flavor = "multi_thread")]
async fn it_can_only_be_read() -> anyhow::Result<()> {
    let read = Read::start().await?;
    read.shows("/", &read.request).await?;
    let address = format!("http://{}/", read.address);
    for method in ["POST", "PUT", "DELETE", "PATCH"] {
        let client = reqwest::Client::new();
        let method = reqwest::Method::from_bytes(method.as_bytes())?;
        let answer = client.request(method, &address).send().await?;
        assert_eq!(answer.status().as_u16(), 405);
    }
    let answer = reqwest::get(&address).await?;
    let policy = answer.headers()["content-security-policy"].to_str()?;
    assert!(policy.contains("default-src 'none'"), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
    read.end().await
}

/// Chromium, where it is installed.
fn chromium() -> Option<PathBuf> {
    let named = std::env::var_os("REFLOAT_CHROMIUM").map(PathBuf::from);
    let usual = [
        "/usr/bin/chromium",
        "/usr/bin/chromium-browser",
        "/usr/bin/google-chrome",
    ];
    named
        .into_iter()
        .chain(usual.map(|path| Path::new(path).to_owned()))
        .find(|path| path.is_file())
}

/// A way to the logbook that tells what was read on it, and on which a page is loaded only
/// once it is let go: Chromium writes down what a page shows when it is loaded.
#[derive(Clone)]
struct Way {
    logbook: SocketAddr,
    /// The stream of events was opened.
    live: Arc<AtomicBool>,
    /// A page was read that says that the restore is done.
    done: Arc<AtomicBool>,
    let_go: watch::Sender<bool>,
}

impl Way {
    async fn open(logbook: SocketAddr) -> anyhow::Result<(Self, SocketAddr)> {
        let way = Self {
            logbook,
            live: Arc::default(),
            done: Arc::default(),
            let_go: watch::Sender::new(false),
        };
        let passing = way.clone();
        let routes = Router::new().fallback(move |uri: Uri| {
            let way = passing.clone();
            async move {
                way.pass(uri.path())
                    .await
                    .map_err(|error| (StatusCode::BAD_GATEWAY, format!("{error:#}")))
            }
        });
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Ok((way, address))
    }

    async fn pass(&self, path: &str) -> anyhow::Result<Response> {
        if path == "/held.png" {
            self.let_go.subscribe().wait_for(|it| *it).await?;
            return Ok(StatusCode::NO_CONTENT.into_response());
        }
        let mut answer = reqwest::get(format!("http://{}{path}", self.logbook)).await?;
        let mut headers = HeaderMap::new();
        for (name, value) in answer.headers() {
            if *name == header::CONTENT_SECURITY_POLICY {
                let policy = format!("{}; img-src 'self'", value.to_str()?);
                headers.insert(name.clone(), policy.parse()?);
            } else if *name == header::CONTENT_TYPE {
                headers.insert(name.clone(), value.clone());
            }
        }
        if path == "/events" {
            self.live.store(true, Ordering::SeqCst);
            let chunks = futures::stream::try_unfold(answer, |mut answer| async move {
                let chunk = answer.chunk().await?;
                Ok::<_, reqwest::Error>(chunk.map(|chunk| (chunk, answer)))
            });
            return Ok((headers, Body::from_stream(chunks)).into_response());
        }
        let mut text = String::new();
        while let Some(chunk) = answer.chunk().await? {
            text.push_str(std::str::from_utf8(&chunk)?);
        }
        let held = text.replace("</body>", "<img src=\"/held.png\"></body>");
        if text.contains("It is done.") {
            self.done.store(true, Ordering::SeqCst);
        }
        Ok((headers, held).into_response())
    }
}

/// A browser shows the page, shows what changes while it is open, and runs nothing that
/// somebody wrote into a reason.
#[tokio::test(flavor = "multi_thread")]
async fn a_browser_shows_it_and_what_changes() -> anyhow::Result<()> {
    let Some(browser) = chromium() else {
        println!("skipped: Chromium is not installed (REFLOAT_CHROMIUM names it)");
        return Ok(());
    };
    let mut read = Read::start().await?;
    let page = format!("/restores/{}", read.request);
    read.shows(&page, "waiting for approval").await?;
    let (way, address) = Way::open(read.address).await?;
    let profile = tempfile::tempdir()?;
    let shown = tokio::process::Command::new(browser)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--timeout=110000",
            "--dump-dom",
        ])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("http://{address}{page}"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    until(|| async { Ok(way.live.load(Ordering::SeqCst)) })
        .await
        .context("the page never opened the stream of events")?;
    read.refloat.say("as grace: approve").await?;
    read.world.until_phase(&read.request, Phase::Done).await?;
    until(|| async { Ok(way.done.load(Ordering::SeqCst)) })
        .await
        .context("the open page was never told")?;
    // From the answer to what the page shows nothing can be seen from outside.
    tokio::time::sleep(Duration::from_secs(1)).await;
    way.let_go.send_replace(true);
    let shown = tokio::time::timeout(Duration::from_secs(50), shown.wait_with_output()).await??;
    let text = String::from_utf8_lossy(&shown.stdout);
    let title = format!("<title>Restore {} - Refloat</title>", read.request);
    anyhow::ensure!(
        text.contains(&title),
        "{text}\n{}",
        String::from_utf8_lossy(&shown.stderr)
    );
    anyhow::ensure!(!text.contains("owned</title>"), "{text}");
    anyhow::ensure!(text.contains("<h2>Checks</h2>"), "{text}");
    anyhow::ensure!(text.contains("It is done."), "it is not live: {text}");
    read.end().await
}
