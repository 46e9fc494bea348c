//! Killed at each send and edit, the thread has everything once.
//!
//! Only what makes the thread is here: the requests, the publisher and Discord.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use futures::StreamExt as _;
use harbour::discord::{Limits, Options, REFLOAT_DISCORD_TOKEN, Server, ids};
use harbour::gate::{Fate, Gate, Service};
use harbour::{ensure_namespace, kubernetes};
use hyper::Method;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams};
use kube::{Client, CustomResourceExt as _};
use refloat::chat::discord::Discord;
use refloat::chat::{RenderContext, publish};
use refloat::config::{self, Id};
use refloat::request::RestoreRequest;
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use crate::refloat::until;

const NAME: &str = "poseidon1-7k2p9";
/// How many kills are tried at the same time.
const ABREAST: usize = 6;

/// When, in the course of a request, the process dies.
#[derive(Clone, Copy, Debug)]
enum Death {
    Before,
    /// The request is carried out, and the answer is lost.
    After,
}

/// A process that publishes; it is killed when it is dropped.
struct Process(Option<Runtime>);

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// The requests and Discord, and nothing else.
struct Small {
    gate: Gate,
    cluster: kubernetes::Server,
    requests: Api<RestoreRequest>,
    discord: Server,
    stop: CancellationToken,
}

impl Drop for Small {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Small {
    async fn start() -> anyhow::Result<Self> {
        let (gate, stop) = (Gate::open(), CancellationToken::new());
        let cluster = kubernetes::Server::start(kubernetes::Options {
            gate: gate.clone(),
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
        let requests: Api<RestoreRequest> = Api::namespaced(client, "refloat");
        until(|| async { Ok(requests.list(&ListParams::default()).await.is_ok()) }).await?;
        let discord = Server::start(Options {
            gate: gate.clone(),
            stop: stop.clone(),
            specs: harbour::published_specs(),
            // What is tested is not the patience.
            limits: Limits {
                messages: 1000,
                ..Limits::default()
            },
            ..Options::default()
        })
        .await?;
        Ok(Self {
            gate,
            cluster,
            requests,
            discord,
            stop,
        })
    }

    fn publisher(&self) -> anyhow::Result<Process> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        let id = |id: u64| Id::new(id).context("an id is 0");
        let section = config::Discord {
            token: SecretString::from(REFLOAT_DISCORD_TOKEN.to_owned()),
            api: self.discord.api_url(),
            guild: id(ids::GUILD)?,
            channel: id(ids::CHANNEL)?,
            channels: Vec::new(),
            trouble_channel: id(ids::CHANNEL)?,
            reviewers_role: id(ids::REVIEWERS)?,
            roles: Vec::new(),
            globally: false,
            message_content: false,
        };
        let cluster = self.cluster.clone();
        runtime.spawn(async move {
            // Its connections die with it.
            let client: Client = cluster.client("refloat");
            let chat = Discord::new(&section, client.clone(), "refloat").expect("it is made");
            let context = RenderContext {
                time_zone: jiff::tz::TimeZone::UTC,
                covers_resume: true,
            };
            let stop = CancellationToken::new();
            publish::run::<RestoreRequest, _>(
                client,
                "refloat".to_owned(),
                Arc::new(chat),
                context,
                stop,
            )
            .await;
        });
        Ok(Process(Some(runtime)))
    }

    async fn set(&self, status: &Value) -> anyhow::Result<()> {
        self.requests
            .patch_status(
                NAME,
                &PatchParams::default(),
                &Patch::Merge(&json!({ "status": status })),
            )
            .await?;
        Ok(())
    }
}

/// Publishes one request from its question to its end, and dies at a send. True
/// if there was such a send. `old`: at the end the card is over an hour old, so that it
/// is sent anew and the old one deleted.
async fn dies(at: usize, death: Death, old: bool) -> anyhow::Result<bool> {
    let small = Small::start().await?;
    if old {
        small.discord.backdate(Duration::from_hours(2));
    }
    let sends = Arc::new(AtomicUsize::new(0));
    let dead = Arc::new(AtomicBool::new(false));
    let struck = Arc::new(AtomicBool::new(false));
    {
        let (sends, dead, struck) = (Arc::clone(&sends), Arc::clone(&dead), Arc::clone(&struck));
        small.gate.add(move |call| {
            let discord = call.service == Service::Discord;
            if !discord && call.token.as_deref() != Some("refloat") {
                return Fate::Pass;
            }
            if dead.load(Ordering::SeqCst) {
                return Fate::CutBefore;
            }
            let send =
                discord && matches!(call.method, Method::POST | Method::PATCH | Method::DELETE);
            if !send || sends.fetch_add(1, Ordering::SeqCst) != at {
                return Fate::Pass;
            }
            dead.store(true, Ordering::SeqCst);
            struck.store(true, Ordering::SeqCst);
            match death {
                Death::Before => Fate::CutBefore,
                Death::After => Fate::CutAfter,
            }
        });
    }
    let mut process = small.publisher()?;
    let mut revive = || -> anyhow::Result<()> {
        if dead.load(Ordering::SeqCst) {
            process = small.publisher()?;
            dead.store(false, Ordering::SeqCst);
        }
        Ok(())
    };
    small
        .requests
        .create(&PostParams::default(), &request()?)
        .await?;
    small.set(&waiting()).await?;
    let discord = &small.discord;
    let shown = || {
        discord
            .threads()
            .first()
            .map(|(thread, _)| discord.shown(*thread))
            .unwrap_or_default()
    };
    until(|| {
        let revived = revive();
        let seen = shown();
        async move {
            revived?;
            Ok(seen.contains("[Approve] [Deny]"))
        }
    })
    .await
    .with_context(shown)?;
    let question = discord
        .threads()
        .first()
        .and_then(|(thread, _)| {
            let asks = discord.messages_with(*thread, "please approve or deny");
            discord.custom_id(*asks.first()?, "Approve")
        })
        .context("nothing is asked")?;
    let digest = question.split(' ').nth(1).context("no digest")?;
    discord.backdate(Duration::ZERO);
    small.set(&done(digest)).await?;
    until(|| {
        let revived = revive();
        let seen = shown();
        let thread = discord.threads().first().map(|(thread, _)| *thread);
        let card = thread
            .and_then(|thread| discord.card(thread))
            .and_then(|card| discord.embed(card));
        async move {
            revived?;
            Ok(seen.contains("Done.")
                && seen.contains("(Approve) (Deny)")
                && card.is_some_and(|card| card["color"] == 0x2e_a0_43))
        }
    })
    .await
    .with_context(shown)?;
    anyhow::ensure!(discord.threads().len() == 1, "{:?}", discord.threads());
    let starters = discord.messages_with(ids::CHANNEL, NAME);
    anyhow::ensure!(starters.len() == 1, "{}", discord.shown(ids::CHANNEL));
    let seen = shown();
    let said: Vec<&str> = seen
        .lines()
        .filter(|line| line.len() > "refloat: ".len() && line.starts_with("refloat: "))
        .collect();
    let mut once = said.clone();
    once.sort_unstable();
    once.dedup();
    anyhow::ensure!(once.len() == said.len(), "something is said twice:\n{seen}");
    anyhow::ensure!(said.len() >= 15, "something is missing:\n{seen}");
    // The old card is deleted last of all.
    until(|| {
        let revived = revive();
        let seen = shown();
        async move {
            revived?;
            Ok(seen.matches("| Restore of ").count() == 1)
        }
    })
    .await
    .with_context(shown)?;
    drop(process);
    let violations = discord.violations();
    anyhow::ensure!(violations.is_empty(), "{violations:#?}");
    Ok(struck.load(Ordering::SeqCst))
}

async fn killed_at_every_send(death: Death, old: bool) -> anyhow::Result<()> {
    let mut kills = 0;
    let mut runs = futures::stream::iter(0..)
        .map(|at| async move {
            dies(at, death, old)
                .await
                .with_context(|| format!("killed {death:?} send {at}"))
        })
        .buffered(ABREAST);
    while let Some(struck) = runs.next().await {
        if !struck? {
            break;
        }
        kills += 1;
    }
    println!("killed {death:?} each of {kills} sends");
    anyhow::ensure!(kills > 15, "only {kills} sends were seen");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_before_every_send() -> anyhow::Result<()> {
    killed_at_every_send(Death::Before, false).await
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_after_every_send() -> anyhow::Result<()> {
    killed_at_every_send(Death::After, false).await
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_before_every_send_of_a_card_that_is_old() -> anyhow::Result<()> {
    killed_at_every_send(Death::Before, true).await
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_after_every_send_of_a_card_that_is_old() -> anyhow::Result<()> {
    killed_at_every_send(Death::After, true).await
}

fn request() -> anyhow::Result<RestoreRequest> {
    Ok(serde_json::from_value(json!({
        "apiVersion": "refloat.dev/v1alpha1",
        "kind": "RestoreRequest",
        "metadata": { "name": NAME },
        "spec": {
            "tenant": "poseidon1",
            "namespaces": ["poseidon1-dev"],
            "source": { "schedule": "daily" },
            "reason": "bad migration",
            "requester": { "chat": "discord", "id": ids::ADA.to_string(), "name": "Ada" },
        },
    }))?)
}

fn pull(number: u64, merged: bool) -> Value {
    let at = jiff::Timestamp::now();
    let mut pull = json!({
        "at": at,
        "opened": {
            "number": number, "url": format!("https://git.example.com/a/b/pull/{number}"),
            "branch": "b", "headSha": "h",
        },
        "record": { "value": true },
    });
    if merged {
        pull["merged"] = json!({ "at": at, "sha": "m" });
    }
    pull
}

fn waiting() -> Value {
    let at = jiff::Timestamp::now();
    json!({
        "checked": {
            "at": at,
            "backup": { "name": "poseidon1-daily-1", "uid": "b", "startedAt": at },
            "orderPath": "o.yaml",
            "checks": [],
            "inventory": {
                "delete": { "ConfigMap": 1 }, "keep": {}, "claims": [], "custom": [], "digest": "d",
            },
            "applications": [],
        },
        "pause": pull(1, false),
    })
}

fn done(digest: &str) -> Value {
    let at = jiff::Timestamp::now();
    json!({
        "pause": pull(1, true),
        "approved": { "at": at, "by": "grace", "via": "Chat", "digest": digest },
        "settled": { "at": at, "applications": [] },
        "safetyBackup": { "name": "safety", "uid": "s", "createdAt": at, "completedAt": at },
        "clearing": {
            "beganAt": at, "cutoff": at, "progress": { "done": 1, "total": 1 }, "emptiedAt": at,
        },
        "restore": {
            "name": "r", "uid": "r", "createdAt": at, "phase": "Completed", "startedAt": at,
            "items": { "done": 3, "total": 3 }, "endedAt": at,
        },
        "verified": { "at": at, "volumes": 0, "claims": 0, "pods": 1 },
        "resume": pull(2, true),
        "resumedAt": at,
        "conditions": [{
            "type": "Succeeded", "status": "True", "reason": "Done", "message": "It is done.",
            "lastTransitionTime": at,
        }],
    })
}
