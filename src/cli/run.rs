//! `refloat run`: the bot, until it is told to stop.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::io::{BufReader, stdin, stdout};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::chat::console::{Console, ConsoleOptions};
use crate::chat::discord::Discord;
use crate::config::{Chat, Config, Live, Reloader};
use crate::effects::Clients;
use crate::serve::serve;
use crate::telemetry::{self, Spans};

/// Runs with the configuration at `path` until SIGTERM, SIGINT, or the end of
/// the input of a chat on a terminal.
pub fn run(path: &Path, log: telemetry::Format) -> anyhow::Result<()> {
    // What is wrong with the configuration is said before there are log lines.
    let (live, reloader) = Reloader::open(path)?;
    let config = live.now();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the runtime cannot be started")?;
    let spans = Spans::start(config.otlp.as_ref(), runtime.handle())?;
    telemetry::start(log, spans.as_ref());
    let ended = runtime.block_on(async move {
        let stop = CancellationToken::new();
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let stopper = stop.clone();
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            tracing::info!("stopping");
            stopper.cancel();
        });
        tokio::spawn(reloader.run(stop.clone()));
        let patience = {
            let stop = stop.clone();
            async move {
                stop.cancelled().await;
                tokio::time::sleep(PATIENCE).await;
            }
        };
        tokio::select! {
            ended = work(live, stop) => ended,
            // Whatever hangs, such as a first request that nobody answers.
            () = patience => {
                tracing::warn!("stopped without waiting for what is under way");
                Ok(())
            }
        }
    });
    if let Some(spans) = spans {
        spans.end();
    }
    // Reading a terminal cannot be interrupted; whoever waits for it is left behind.
    runtime.shutdown_background();
    ended
}

/// From the signal to the end, but for the last spans: Kubernetes, and whoever waits at
/// a terminal, is to wait for less than five seconds.
const PATIENCE: Duration = Duration::from_secs(4);

/// Works with the chat of the configuration until `stop`.
async fn work(live: Live, stop: CancellationToken) -> anyhow::Result<()> {
    let config = live.now();
    match &config.chat {
        Chat::Console { user } => {
            let chat = on_this_terminal(user, &config);
            serve(live, Arc::new(chat), stop).await
        }
        Chat::Discord(discord) => {
            let kube = Clients::connect(&config).await?.kube;
            let chat = Discord::new(discord, kube, &config.namespace)?;
            serve(live, Arc::new(chat), stop).await
        }
    }
}

/// The console on standard input and output.
fn on_this_terminal(
    user: &str,
    config: &Config,
) -> Console<BufReader<tokio::io::Stdin>, tokio::io::Stdout> {
    let is_terminal = console::Term::stdout().is_term();
    Console::new(
        BufReader::new(stdin()),
        stdout(),
        ConsoleOptions {
            user: user.to_owned(),
            time_zone: config.policy.time_zone.clone(),
            terminal: is_terminal.then_some(size as fn() -> (u16, u16)),
            // A service without a terminal has no input, and must run on.
            end_on_eof: is_terminal,
        },
    )
}

fn size() -> (u16, u16) {
    console::Term::stdout().size()
}
