//! Signing in to GitHub: as an App, with tokens that end, and with secrets that are
//! seen nowhere.

use std::io::Write;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use harbour::REFLOAT_LOGIN;
use harbour::github::{Permission, ReviewEvent};
use harbour::world::{ORDERS, Shape};
use kube::api::ListParams;
use refloat::request::Phase;
use tracing_subscriber::fmt::MakeWriter;

use crate::endings::{REQUEST, Stage};
use crate::refloat::{FAST, Refloat, until};
use crate::world::World;

const APP: u64 = 4711;

/// A configuration that signs in as an App with this key file.
fn as_app(world: &World, key: &std::path::Path) -> anyhow::Result<String> {
    let token = world.harbour.folder().join("github-token");
    Ok(world.harbour.refloat_config(FAST)?.replace(
        &format!("tokenFile: {}", token.display()),
        &format!("app: {{ id: {APP}, privateKeyFile: {} }}", key.display()),
    ))
}

/// Tokens live for three seconds and are taken away once in the middle: they are renewed,
/// and each is narrowed to the one repository.
#[tokio::test(flavor = "multi_thread")]
async fn an_app_signs_in_and_its_tokens_are_renewed() -> anyhow::Result<()> {
    let world = Stage::world(Shape::small()).await?;
    let github = world.harbour.github.clone();
    github.add_app(APP, REFLOAT_LOGIN)?;
    github.set_token_life(Duration::from_secs(3));
    let key = world.harbour.folder().join("app.pem");
    std::fs::write(&key, github.app_key())?;
    let log = log();
    let config = as_app(&world, &key)?;
    let stage = Stage::of(world, &config, REQUEST).await?;
    let number = stage.pull().await?.number;
    github.end_tokens();
    stage
        .review(number, "grace-platform", ReviewEvent::Approve)
        .await?;
    stage.world.until_phase(&stage.name, Phase::Done).await?;
    let asked = github.tokens_asked();
    assert!(asked.len() >= 2, "{asked:?}");
    for asked in &asked {
        assert_eq!(asked["repositories"], serde_json::json!([ORDERS.1]));
        assert_eq!(
            asked["permissions"],
            serde_json::json!({
                "contents": "write",
                "pull_requests": "write",
                "checks": "read",
                "metadata": "read",
            })
        );
    }
    // S12: nor is the key anywhere, whose every line would give it away.
    let pem = String::from_utf8_lossy(&std::fs::read(&key)?).into_owned();
    let lines: Vec<&str> = pem
        .lines()
        .filter(|line| line.len() > 20 && !line.starts_with("---"))
        .collect();
    assert!(lines.len() > 5, "there is no key");
    everywhere(&stage.world, &log, &stage.refloat.shown())
        .await?
        .lack(&lines);
    stage.ends(Phase::Done).await
}

/// Everything that people and machines can read of Refloat, by its place.
struct Everywhere(Vec<(&'static str, String)>);

impl Everywhere {
    fn lack(&self, secrets: &[&str]) {
        for (place, text) in &self.0 {
            for secret in secrets {
                assert!(!text.contains(secret), "a secret is in {place}");
            }
        }
        assert!(self.0[0].1.len() > 1000, "the log was not kept");
    }
}

async fn everywhere(world: &World, log: &Log, shown: &str) -> anyhow::Result<Everywhere> {
    let requests = world.requests().list(&ListParams::default()).await?;
    let events: kube::Api<k8s_openapi::api::events::v1::Event> = kube::Api::namespaced(
        world.harbour.client.0.clone(),
        &world.harbour.namespaces.refloat,
    );
    let events = events.list(&ListParams::default()).await;
    Ok(Everywhere(vec![
        ("the log", log.said()),
        ("the thread", shown.to_owned()),
        (
            "the pull requests",
            format!("{:?}", world.harbour.pulls().await?),
        ),
        ("the requests", serde_json::to_string(&requests.items)?),
        ("the events", format!("{events:?}")),
    ]))
}

/// What is written to the log of this process.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn said(&self) -> String {
        let log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&log).into_owned()
    }
}

/// The log of this process, from the first call on. Nobody else in it asks for one.
fn log() -> Log {
    static LOG: OnceLock<Log> = OnceLock::new();
    LOG.get_or_init(|| {
        let log = Log::default();
        let subscriber = tracing_subscriber::fmt()
            .with_env_filter("warn,refloat=trace,octocrab=trace,tower_http=trace")
            .with_ansi(false)
            .with_writer(log.clone())
            .finish();
        let set = tracing::subscriber::set_global_default(subscriber);
        assert!(set.is_ok(), "somebody else writes the log");
        log
    })
    .clone()
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let mut log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        log.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// S12: a token that is refused, its successor, a webhook's secret: in no log, thread, pull
/// request or resource. And the token is read anew when its file changes.
#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_seen_nowhere_and_read_anew() -> anyhow::Result<()> {
    const BAD: &str = "ghp_canary-that-was-revoked-0001";
    const GOOD: &str = "ghp_canary-that-is-good-0002";
    const HOOK: &str = "canary-of-the-webhooks-0003";
    let log = log();
    let world = Stage::world(Shape::small()).await?;
    let github = world.harbour.github.clone();
    github.add_bot(REFLOAT_LOGIN, GOOD)?;
    github
        .set_permission(ORDERS.0, ORDERS.1, REFLOAT_LOGIN, Permission::Write)
        .await?;
    let folder = world.harbour.folder();
    let (token, hook) = (folder.join("canary-token"), folder.join("canary-hook"));
    std::fs::write(&token, BAD)?;
    std::fs::write(&hook, HOOK)?;
    let plain = folder.join("github-token");
    let config = world
        .harbour
        .refloat_config(&format!(
            "web: {{ listen: '127.0.0.1:0', webhookSecretFile: {} }}\n{FAST}",
            hook.display()
        ))?
        .replace(
            &format!("tokenFile: {}", plain.display()),
            &format!("tokenFile: {}", token.display()),
        );
    let order = world.order("poseidon1").await?;
    let mut refloat = Refloat::start(&config)?;
    // GitHub refuses the token, which is said in the log.
    until(|| async {
        Ok(log.said().contains("Bad credentials") || refloat.shown().contains("Bad credentials"))
    })
    .await?;
    std::fs::write(&token, GOOD)?;
    let name = world.ask(&mut refloat, REQUEST).await?;
    world.until_asked(&name).await?;
    refloat.say(&format!("as grace: approve {name}")).await?;
    world.until_phase(&name, Phase::Done).await?;
    let shown = refloat.shown();
    refloat.stop().await?;

    everywhere(&world, &log, &shown)
        .await?
        .lack(&[BAD, GOOD, HOOK]);
    assert_eq!(world.order("poseidon1").await?, order);
    world.end().await
}
