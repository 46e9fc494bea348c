//! What Refloat asks of Discord when much goes on: 200 restores in one guild, each
//! changing ten times a second; then 100 interactions at once.
//!
//! `cargo run --release --example discord_load`; it fails if a bound is broken: under 50
//! requests in any second, no 429, no card more than 5 s behind, and 99 of 100
//! interactions acknowledged within 150 ms.

use std::collections::HashMap;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use harbour::discord::{Limits, Options, REFLOAT_DISCORD_TOKEN, Server, ids};
use harbour::{ensure_namespace, kubernetes};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, ListParams, PostParams};
use kube::{CustomResourceExt as _, ResourceExt as _};
use refloat::chat::discord::Discord;
use refloat::chat::{Chat as _, RenderContext, publish};
use refloat::config;
use refloat::request::{RestoreRequest, RestoreStatus};
use secrecy::SecretString;
use serde_json::json;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

const RESTORES: usize = 200;
const A_SECOND: u32 = 10;
const MEASURED: Duration = Duration::from_secs(30);
const AT_ONCE: usize = 100;
const ROUNDS: usize = 5;

/// One restore whose number of restored items says when it was so.
struct Driven {
    name: String,
    sender: watch::Sender<Arc<RestoreRequest>>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let stop = CancellationToken::new();
    let cluster = kubernetes::Server::start(kubernetes::Options {
        stop: stop.clone(),
        ..kubernetes::Options::default()
    })
    .await?;
    let client = cluster.client("harbour");
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    definitions
        .create(&PostParams::default(), &RestoreRequest::crd())
        .await?;
    ensure_namespace(&client, "refloat").await?;
    let requests: Api<RestoreRequest> = Api::namespaced(client.clone(), "refloat");
    while requests.list(&ListParams::default()).await.is_err() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // Beginning 200 threads in one channel takes Discord's patience: that is not
    // what is measured.
    let discord = Server::start(Options {
        stop: stop.clone(),
        specs: harbour::published_specs(),
        limits: Limits {
            messages: usize::MAX,
            threads: usize::MAX,
            ..Limits::default()
        },
        ..Options::default()
    })
    .await?;
    let chat = Arc::new(Discord::new(
        &section(&discord)?,
        client.clone(),
        "refloat",
    )?);
    let running = {
        let (chat, stop) = (Arc::clone(&chat), stop.clone());
        tokio::spawn(async move { chat.run(stop).await })
    };
    discord.connected().await?;

    let mut driven = Vec::new();
    for number in 0..RESTORES {
        let mut request = requests
            .create(&PostParams::default(), &restoring(number)?)
            .await?;
        request.status = Some(status()?);
        let name = request.name_any();
        let (sender, receiver) = watch::channel(Arc::new(request));
        let context = RenderContext {
            time_zone: jiff::tz::TimeZone::UTC,
            covers_resume: true,
        };
        tokio::spawn(publish::follow(
            receiver,
            Arc::clone(&chat),
            Arc::new(context),
            stop.clone(),
        ));
        driven.push(Driven { name, sender });
    }
    println!("{RESTORES} threads are begun; this takes a while");
    let mut cards = HashMap::new();
    for one in &driven {
        let thread = discord.thread_of(&one.name).await?;
        discord.message_with(thread, "The restore begins").await?;
        let card = discord.card(thread).context("a thread has no card")?;
        cards.insert(one.name.clone(), card);
    }
    // What was sent under other limits must not count under these: no window is longer.
    tokio::time::sleep(Duration::from_secs(11)).await;
    discord.set_limits(Limits::default());
    discord.count_anew();
    let before = discord.seen();

    let began = Instant::now();
    let mut behind = Vec::new();
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / A_SECOND);
    while began.elapsed() < MEASURED {
        ticks.tick().await;
        let number = i64::try_from(began.elapsed().as_millis())?;
        for one in &driven {
            let next = at_item(&one.sender.borrow().clone(), number);
            one.sender.send_replace(Arc::new(next));
        }
        // The first edits of all are still under way.
        if began.elapsed() < Duration::from_secs(6) {
            continue;
        }
        for card in cards.values() {
            let shown = discord.embed(*card).context("a card is gone")?;
            let shown = items(&shown).context("a card shows no items")?;
            behind.push(number - shown);
        }
    }
    let seen = discord.seen();
    let edits = discord.edits();
    let seconds = began.elapsed().as_secs_f64();
    behind.sort_unstable();
    let last = behind.last().copied().unwrap_or_default();
    let middle = behind.get(behind.len() / 2).copied().unwrap_or_default();
    println!(
        "{RESTORES} restores, each changing {A_SECOND} times a second, for {seconds:.0} s: {} edits, \
         {:.1} requests/s, at most {} in one second, {} answered with 429",
        edits.len(),
        f64::from(u32::try_from(seen.requests - before.requests)?) / seconds,
        seen.busiest_second,
        seen.limited,
    );
    println!("a card was {middle} ms behind in the middle, {last} ms at most");
    let mut nearest = Duration::MAX;
    let mut by_card: HashMap<u64, Instant> = HashMap::new();
    for (card, at) in edits {
        if let Some(before) = by_card.insert(card, at) {
            nearest = nearest.min(at.duration_since(before));
        }
    }
    println!("two edits of one card were at least {nearest:.2?} apart");
    drop(driven);

    let heard = {
        let chat = Arc::clone(&chat);
        tokio::spawn(async move { while chat.receive().await.is_some() {} })
    };
    let mut took = Vec::new();
    for _ in 0..ROUNDS {
        let asked: Vec<_> = (0..AT_ONCE)
            .map(|_| discord.slash(ids::ADA, ids::CHANNEL, "refloat about", &[]))
            .collect::<anyhow::Result<_>>()?;
        for one in asked {
            let after = discord
                .until(|| discord.acknowledged_after(one))
                .await
                .context("an interaction was never acknowledged")?;
            took.push(after);
        }
    }
    took.sort_unstable();
    let at = |share: usize| {
        took.get(took.len() * share / 100)
            .copied()
            .unwrap_or_default()
    };
    println!(
        "{AT_ONCE} interactions at once, {ROUNDS} times: acknowledged after {:.1?} (median), {:.1?} (p99), {:.1?} at most",
        at(50),
        at(99),
        took.last().copied().unwrap_or_default()
    );
    heard.abort();
    let violations = discord.violations();
    anyhow::ensure!(violations.is_empty(), "{violations:#?}");
    stop.cancel();
    running.await??;
    anyhow::ensure!(seen.busiest_second < 50, "50 requests/s or more");
    anyhow::ensure!(seen.limited == 0, "Discord had to say no");
    anyhow::ensure!(last <= 5000, "a card was more than 5 s behind");
    anyhow::ensure!(at(99) < Duration::from_millis(150), "p99 is 150 ms or more");
    Ok(())
}

fn section(discord: &Server) -> anyhow::Result<config::Discord> {
    let id = |id: u64| NonZeroU64::new(id).context("an id is 0");
    Ok(config::Discord {
        token: SecretString::from(REFLOAT_DISCORD_TOKEN.to_owned()),
        api: discord.api_url(),
        guild: id(ids::GUILD)?,
        channel: id(ids::CHANNEL)?,
        channels: Vec::new(),
        trouble_channel: id(ids::CHANNEL)?,
        reviewers_role: id(ids::REVIEWERS)?,
        roles: Vec::new(),
        globally: false,
        message_content: false,
    })
}

/// A request whose Restore runs.
fn restoring(number: usize) -> anyhow::Result<RestoreRequest> {
    Ok(serde_json::from_value(json!({
        "apiVersion": "refloat.dev/v1alpha1",
        "kind": "RestoreRequest",
        "metadata": { "name": format!("tenant{number}-7k2p9") },
        "spec": {
            "tenant": format!("tenant{number}"),
            "namespaces": [format!("tenant{number}-dev")],
            "source": { "schedule": "daily" },
            "reason": "bad migration",
            "requester": { "chat": "discord", "id": ids::ADA.to_string(), "name": "Ada" },
        },
    }))?)
}

/// The same with so many items restored.
fn at_item(request: &RestoreRequest, done: i64) -> RestoreRequest {
    let mut request = request.clone();
    if let Some(run) = request
        .status
        .as_mut()
        .and_then(|status| status.restore.as_mut())
    {
        run.items.done = done;
    }
    request
}

fn status() -> anyhow::Result<RestoreStatus> {
    let at = "2026-11-24T08:00:00Z";
    Ok(serde_json::from_value(json!({
        "checked": {
            "at": at,
            "backup": { "name": "b", "uid": "b", "startedAt": at },
            "orderPath": "o.yaml",
            "checks": [],
            "inventory": {
                "delete": {}, "keep": {}, "claims": [], "custom": [], "digest": "d",
            },
            "applications": [],
        },
        "pause": { "at": at, "record": { "value": true } },
        "approved": { "at": at, "by": "grace", "via": "Chat", "digest": "d" },
        "settled": { "at": at, "applications": [] },
        "safetyBackup": { "name": "s", "uid": "s", "createdAt": at, "completedAt": at },
        "clearing": {
            "beganAt": at, "cutoff": at, "progress": { "done": 1, "total": 1 }, "emptiedAt": at,
        },
        "restore": {
            "name": "r", "uid": "r", "createdAt": at, "phase": "InProgress", "startedAt": at,
            "items": { "done": 0, "total": 10_000_000 },
        },
    }))?)
}

/// The number of items that a card shows.
fn items(embed: &serde_json::Value) -> Option<i64> {
    let text = embed["description"].as_str()?;
    let (before, _) = text.split_once(" of 10000000 items")?;
    before.rsplit(' ').next()?.parse().ok()
}
