//! The main job, shown and checked.
//!
//! `cargo run --example demo` starts the harbour, breaks a tenant's data, lets a
//! developer ask for the restore and a reviewer approve it, shows the thread as
//! it grows, and then looks at the world itself. It exits with 0 only if the
//! data is as in the backup, nothing else changed, the order is byte for byte as
//! before, self-heal is on, and both pull requests are merged.
//!
//! `cargo run --example demo -- --story schedule` shows the order of a backup
//! schedule, from plain words to its first backup, and checks it in the same way.
//!
//! `cargo run --example demo -- --interactive` leaves the keyboard to you, as both persons.

#![allow(
    unreachable_pub,
    dead_code,
    missing_debug_implementations,
    reason = "the demo uses a part of what the tests are made of"
)]

#[path = "demo/schedule.rs"]
mod schedule;

#[path = "it/schedule_world.rs"]
mod schedule_world;

#[path = "it/install.rs"]
mod install;

#[path = "it/world.rs"]
mod world;

#[path = "it/refloat.rs"]
mod refloat;

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use ::refloat::chat::console::{Console, ConsoleOptions};
use ::refloat::config::Config;
use ::refloat::order::Order;
use ::refloat::request::{Phase, phase};
use ::refloat::serve::serve;
use harbour::Setup;
use tokio::io::BufReader;
use tokio_util::sync::CancellationToken;

use crate::refloat::{FAST, Refloat};
use crate::world::World;

const TENANT: &str = "poseidon1";
const NAMESPACE: &str = "poseidon1-dev";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let story = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] | ["--story", "restore"] => Story::Restore,
        ["--interactive"] => Story::ByHand,
        ["--story", "schedule"] => Story::Schedule,
        _ => {
            eprintln!("demo: it takes --interactive, --story restore or --story schedule");
            return ExitCode::FAILURE;
        }
    };
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("demo: the runtime cannot be started: {error}");
            return ExitCode::FAILURE;
        }
    };
    let shown = runtime.block_on(async {
        match story {
            Story::Restore => by_itself().await,
            Story::Schedule => schedule::story(start().await?).await,
            Story::ByHand => by_hand().await,
        }
    });
    match shown {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\ndemo: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[derive(Clone, Copy)]
enum Story {
    Restore,
    Schedule,
    ByHand,
}

fn say(words: &str) {
    println!("\n\u{2500}\u{2500} {words}");
}

async fn start() -> anyhow::Result<World> {
    say("Starting the harbour: GitHub, Kubernetes, Argo CD and Velero on this machine");
    let began = Instant::now();
    let world = World::start(Setup::default()).await?;
    println!(
        "   two tenants with workloads, data and a week of backups, in {:.1} s",
        began.elapsed().as_secs_f32()
    );
    Ok(world)
}

async fn by_itself() -> anyhow::Result<()> {
    let world = start().await?;
    let before = world.harbour.platform.snapshot().await?;
    let order = world.order(TENANT).await?;

    say("A migration goes wrong in poseidon1-dev");
    world.break_tenant(NAMESPACE).await?;
    show_data(&world).await?;
    let broken = before.differences(&world.harbour.platform.snapshot().await?);
    for difference in &broken {
        println!("   {difference}");
    }
    anyhow::ensure!(
        !broken.is_empty(),
        "nothing was broken, so nothing can be shown"
    );

    let mut refloat = Refloat::start(&world.harbour.refloat_config(FAST)?)?;
    let began = Instant::now();
    let mut shown = Shown::default();
    for (who, line, awaited) in [
        (
            "Ada, a developer, asks in the chat",
            "restore request tenant:poseidon1 namespaces:dev schedule:daily day:yesterday reason:\"the ledger migration went wrong\"",
            "please approve or deny",
        ),
        (
            "Ada approves her own request, which does not count",
            "approve",
            "@ada",
        ),
        (
            "Grace, a reviewer of the platform, approves",
            "as grace: approve",
            "Approved by",
        ),
    ] {
        say(&format!("{who}: {line}"));
        refloat.say(line).await?;
        shown.until(&refloat, awaited).await?;
    }
    let name = loop {
        let requests = world.request_names().await?;
        if let Some(name) = requests.first() {
            break name.clone();
        }
    };
    loop {
        shown.update(&refloat);
        let request = world.requests().get(&name).await?;
        let phase = phase(&request.status.clone().unwrap_or_default());
        if phase.is_over() || phase == Phase::Stuck {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    shown.until(&refloat, "Done").await?;
    let took = began.elapsed();
    refloat.stop().await?;

    say("Looking at the world itself");
    world.check_restored(&name, &before, &order).await?;
    let now = Order::read(&world.order(TENANT).await?)?;
    anyhow::ensure!(
        now.sync_policy.self_heal.value,
        "self-heal is off in the order"
    );
    show_data(&world).await?;
    for line in [
        "the data is as in the backup, and nothing else changed in any tenant",
        "the order is byte for byte as before, and self-heal is on",
        "both pull requests are merged, and there is exactly one Restore",
    ] {
        println!("   ok: {line}");
    }
    println!(
        "   from the request to the end: {:.1} s",
        took.as_secs_f32()
    );
    Ok(())
}

async fn show_data(world: &World) -> anyhow::Result<()> {
    let data = world
        .harbour
        .platform
        .volume(NAMESPACE, "data-db-0")
        .await?;
    println!(
        "   the volume of the database holds: {:?}",
        data.unwrap_or_default()
    );
    Ok(())
}

/// Prints what the chat shows, as it comes.
#[derive(Default)]
struct Shown {
    bytes: usize,
    seen: usize,
}

impl Shown {
    fn update(&mut self, refloat: &Refloat) {
        let text = refloat.shown();
        if let Some(new) = text.get(self.bytes..) {
            for line in new.lines() {
                println!("   {line}");
            }
            // Whoever reads along must see it now, not at the end.
            let _ = std::io::stdout().flush();
            self.bytes = text.len();
        }
    }

    async fn until(&mut self, refloat: &Refloat, what: &str) -> anyhow::Result<()> {
        self.seen = refloat.until_after(self.seen, what).await?;
        self.update(refloat);
        Ok(())
    }
}

async fn by_hand() -> anyhow::Result<()> {
    let world = start().await?;
    world.break_tenant(NAMESPACE).await?;
    println!(
        "\
\n   The data of {NAMESPACE} is broken. You are ada, a developer of {TENANT}; a line that begins\n\
   with `as grace:` is said by grace, a reviewer. Try:\n\n\
     help\n\
     restore request ?\n\
     restore request tenant:{TENANT} namespaces:dev schedule:daily day:yesterday reason:\"bad migration\"\n\
     as grace: approve\n\n\
   Ctrl-D or Ctrl-C ends it.\n"
    );
    let config = world
        .harbour
        .refloat_config(FAST)
        .map(|text| Config::parse(&text))?
        .map_err(|faults| anyhow::anyhow!("{faults:?}"))?;
    let stop = CancellationToken::new();
    let terminal = console::Term::stdout().is_term();
    let options = ConsoleOptions {
        user: "ada".to_owned(),
        time_zone: config.policy.time_zone.clone(),
        terminal: terminal.then_some(size as fn() -> (u16, u16)),
        end_on_eof: true,
    };
    let chat = Console::new(
        BufReader::new(tokio::io::stdin()),
        tokio::io::stdout(),
        options,
    );
    let serving = serve(Arc::new(config), Arc::new(chat), stop.clone());
    tokio::select! {
        served = serving => served,
        _ = tokio::signal::ctrl_c() => {
            stop.cancel();
            Ok(())
        }
    }
}

fn size() -> (u16, u16) {
    console::Term::stdout().size()
}
