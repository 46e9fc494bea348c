//! Webhooks lead to the same as the poll does, only sooner; and nothing else does.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use harbour::github::{Delivery, MergeMethod, ReviewEvent, Sending, WebhookChecker};
use harbour::published_specs;
use harbour::world::{ORDERS, Shape};
use refloat::request::{Phase, phase};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::endings::{REQUEST, Stage};
use crate::refloat::{FAST, until};

/// A poll so rare that no test lives to see it.
const NO_POLL: &str =
    "approval: { coversResume: true }\npace: { pullRequests: 10m, lookAgain: 20ms }";

struct Hooked {
    stage: Stage,
    address: String,
}

impl Hooked {
    async fn start(
        more: &str,
        rule: impl FnMut(&Delivery) -> Sending + Send + 'static,
    ) -> anyhow::Result<Self> {
        let world = Stage::world(Shape::small()).await?;
        world.harbour.github.add_team(
            ORDERS.0,
            "reviewers",
            &["grace-platform", "linus-platform"],
        )?;
        world.harbour.gate.keep_journal();
        let address = {
            let free = std::net::TcpListener::bind("127.0.0.1:0")?;
            free.local_addr()?.to_string()
        };
        let secret = world.harbour.folder().join("webhook-secret");
        std::fs::write(&secret, "a secret for webhooks\n")?;
        let url = format!("http://{address}/webhooks/github");
        world
            .harbour
            .github
            .webhooks_to(ORDERS.0, ORDERS.1, &url, "a secret for webhooks", rule)
            .await?;
        let config = world.harbour.refloat_config(&format!(
            "web: {{ listen: '{address}', webhookSecretFile: {} }}\n{more}",
            secret.display()
        ))?;
        let stage = Stage::of(world, &config, REQUEST).await?;
        Ok(Self { stage, address })
    }

    async fn get(&self, path: &str) -> anyhow::Result<String> {
        let mut stream = TcpStream::connect(&self.address).await?;
        let ask = format!("GET {path} HTTP/1.1\r\nhost: refloat\r\nconnection: close\r\n\r\n");
        stream.write_all(ask.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok(answer)
    }

    /// How many webhooks had this outcome.
    async fn counted(&self, outcome: &str) -> anyhow::Result<usize> {
        let line = format!("refloat_github_webhooks_total{{outcome=\"{outcome}\"}} ");
        let metrics = self.get("/metrics").await?;
        let value = metrics.lines().find_map(|line_| line_.strip_prefix(&line));
        anyhow::ensure!(value.is_some(), "{metrics}");
        Ok(value.unwrap_or_default().trim().parse()?)
    }

    /// Every delivery is one that GitHub describes.
    fn check(&self) -> anyhow::Result<()> {
        let Some(specs) = published_specs() else {
            return Ok(());
        };
        let Some(checker) = WebhookChecker::load(&specs)? else {
            return Ok(());
        };
        let made = self.stage.world.harbour.github.deliveries();
        anyhow::ensure!(!made.is_empty(), "nothing was told");
        for delivery in &made {
            checker.check(delivery).map_err(anyhow::Error::msg)?;
        }
        Ok(())
    }
}

/// Each comes twice, and no poll ever comes: a review is seen all the same, once.
#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_is_seen_at_once_and_its_double_is_refused() -> anyhow::Result<()> {
    let hooked = Hooked::start(NO_POLL, |_| Sending::Twice).await?;
    let number = hooked.stage.pull().await?.number;
    hooked
        .stage
        .review(number, "grace-platform", ReviewEvent::Approve)
        .await?;
    hooked
        .stage
        .world
        .until_phase(&hooked.stage.name, Phase::Done)
        .await?;
    until(|| async { Ok(hooked.counted("replayed").await? > 0) }).await?;
    assert!(hooked.counted("taken").await? > 0);
    let metrics = hooked.get("/metrics").await?;
    let left = "refloat_github_rate_limit_remaining ";
    let left = metrics.lines().find_map(|line| line.strip_prefix(left));
    let left: i64 = left.unwrap_or("-1").trim().parse()?;
    assert!((1..=5000).contains(&left), "{metrics}");
    assert!(hooked.get("/healthz").await?.contains("200 OK"));
    assert!(hooked.get("/readyz").await?.contains("200 OK"));
    hooked.check()?;
    hooked.stage.ends(Phase::Done).await
}

/// A review by whoever left the team a moment ago is none, although the team was read for
/// the same request less than half a poll before.
#[tokio::test(flavor = "multi_thread")]
async fn a_review_has_the_team_read_anew() -> anyhow::Result<()> {
    let rules = "approval: { coversResume: true, team: platform/reviewers }\n\
                 pace: { pullRequests: 10m, lookAgain: 20ms }";
    let hooked = Hooked::start(rules, |_| Sending::Once).await?;
    let world = &hooked.stage.world;
    let reads = || {
        let journal = world.harbour.gate.journal();
        let members = "/teams/reviewers/members";
        let asked = journal
            .iter()
            .filter(|entry| entry.call.target.contains(members));
        asked.count()
    };
    until(|| async { Ok(reads() > 0) }).await?;
    let github = world.harbour.github.clone();
    github.add_team(ORDERS.0, "reviewers", &["linus-platform"])?;
    let before = reads();
    let number = hooked.stage.pull().await?.number;
    let approve = ReviewEvent::Approve;
    hooked
        .stage
        .review(number, "grace-platform", approve)
        .await?;
    until(|| async { Ok(reads() > before) }).await?;
    hooked
        .stage
        .review(number, "linus-platform", approve)
        .await?;
    world.until_phase(&hooked.stage.name, Phase::Done).await?;
    let approved = hooked.stage.status().await?.approved;
    assert_eq!(approved.expect("it was approved").by, "linus");
    hooked.stage.ends(Phase::Done).await
}

/// All are lost: the poll finds what they would have said. They come late and in the
/// wrong order, and change nothing.
#[tokio::test(flavor = "multi_thread")]
async fn what_webhooks_lose_the_poll_finds() -> anyhow::Result<()> {
    let hooked = Hooked::start(FAST, |_| Sending::Lose).await?;
    let number = hooked.stage.pull().await?.number;
    for event in [
        ReviewEvent::RequestChanges,
        ReviewEvent::Comment,
        ReviewEvent::Approve,
    ] {
        hooked.stage.review(number, "grace-platform", event).await?;
    }
    let world = &hooked.stage.world;
    world.until_phase(&hooked.stage.name, Phase::Done).await?;
    let github = &world.harbour.github;
    for delivery in github.deliveries().iter().rev() {
        assert_eq!(github.deliver(delivery).await?, 202);
    }
    assert_eq!(hooked.counted("taken").await?, github.deliveries().len());
    hooked.check()?;
    hooked.stage.ends(Phase::Done).await
}

/// Forged, unsigned, replayed, oversized, and nonsense: each is refused, counted, and
/// leads nowhere.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_genuine_is_refused_and_counted() -> anyhow::Result<()> {
    let told = Arc::new(AtomicUsize::new(0));
    let counter = told.clone();
    let hooked = Hooked::start(NO_POLL, move |_| {
        counter.fetch_add(1, Ordering::SeqCst);
        Sending::Lose
    })
    .await?;
    let number = hooked.stage.pull().await?.number;
    hooked
        .stage
        .review(number, "grace-platform", ReviewEvent::Approve)
        .await?;
    let github = &hooked.stage.world.harbour.github;
    let deliveries = github.deliveries();
    assert_eq!(deliveries.len(), told.load(Ordering::SeqCst));
    let genuine = deliveries.last().expect("the review was told of");
    let large = vec![b' '; (1 << 20) + 1];
    let wrong: Vec<(&str, Delivery, u16)> = vec![
        (
            "unsigned",
            Delivery {
                signature: None,
                ..genuine.clone()
            },
            401,
        ),
        (
            "forged",
            Delivery {
                body: [&genuine.body[..], b" "].concat().into(),
                ..genuine.clone()
            },
            401,
        ),
        (
            "forged",
            Delivery {
                signature: Some("sha256=00".to_owned()),
                ..genuine.clone()
            },
            401,
        ),
        (
            "malformed",
            Delivery {
                id: "another".to_owned(),
                event: "pull_request".to_owned(),
                signature: github.signature(b"not json"),
                body: b"not json".to_vec().into(),
            },
            400,
        ),
        (
            "oversized",
            Delivery {
                signature: github.signature(&large),
                body: large.into(),
                ..genuine.clone()
            },
            413,
        ),
    ];
    for (outcome, delivery, status) in wrong {
        let before = hooked.counted(outcome).await?;
        assert_eq!(github.deliver(&delivery).await?, status, "{outcome}");
        assert_eq!(hooked.counted(outcome).await?, before + 1, "{outcome}");
    }
    // None of them was taken for true.
    assert_eq!(hooked.counted("taken").await?, 0);
    // The genuine one does, once; under another id it is known by its signature.
    assert_eq!(github.deliver(genuine).await?, 202);
    let again = Delivery {
        id: "yet-another".to_owned(),
        ..genuine.clone()
    };
    assert_eq!(github.deliver(genuine).await?, 409);
    assert_eq!(github.deliver(&again).await?, 409);
    assert_eq!(hooked.counted("replayed").await?, 2);
    hooked
        .stage
        .world
        .until_phase(&hooked.stage.name, Phase::Done)
        .await?;
    hooked.stage.ends(Phase::Done).await
}

/// A denied request's branch is brought back and merged when nobody follows it any more:
/// it is noticed, undone, and told.
#[tokio::test(flavor = "multi_thread")]
async fn a_pause_merged_after_the_end_is_undone() -> anyhow::Result<()> {
    let mut stage = Stage::asked(Shape::small(), FAST).await?;
    let pull = stage.pull().await?;
    let path = stage
        .status()
        .await?
        .checked
        .expect("it was checked")
        .order_path;
    stage.refloat.say("as grace: deny reason:\"no\"").await?;
    stage.world.until_phase(&stage.name, Phase::Denied).await?;
    let github = stage.world.harbour.github.clone();
    let edited = github
        .read_file(ORDERS.0, ORDERS.1, &pull.head_sha, &path)
        .await?
        .expect("the commit is still there");
    github
        .commit_files(
            ORDERS.0,
            ORDERS.1,
            &pull.head,
            "Again",
            "ada-poseidon",
            &[(&path, Some(&edited))],
        )
        .await?;
    github
        .reopen_as(ORDERS.0, ORDERS.1, pull.number, "ada-poseidon")
        .await?;
    github
        .merge_as(
            ORDERS.0,
            ORDERS.1,
            pull.number,
            "ada-poseidon",
            MergeMethod::Merge,
        )
        .await?;
    assert_ne!(stage.world.order("poseidon1").await?, stage.order);
    until(|| async { Ok(stage.world.order("poseidon1").await? == stage.order) }).await?;
    stage.refloat.until("Self-heal is off").await?;
    until(|| async { Ok(phase(&stage.status().await?) == Phase::Denied) }).await?;
    stage.ends(Phase::Denied).await
}
