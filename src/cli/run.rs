//! `refloat run`: the bot, until it is told to stop.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use tokio::io::{BufReader, stdin, stdout};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::chat::console::{Console, ConsoleOptions};
use crate::chat::discord::Discord;
use crate::config::{Chat, Config, Reloader};
use crate::effects::Clients;
use crate::serve::serve;

/// Runs with the configuration at `path` until SIGTERM, SIGINT, or the end of
/// the input of a chat on a terminal.
pub fn run(path: &Path) -> anyhow::Result<()> {
    let (live, reloader) = Reloader::open(path)?;
    let config = live.now();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the runtime cannot be started")?;
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
    });
    // Reading a terminal cannot be interrupted; whoever waits for it is left behind.
    runtime.shutdown_background();
    ended
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
