//! 200 open requests: how often GitHub is asked while all of them wait for their approval.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;
use harbour::Setup;
use harbour::gate::Entry;
use harbour::world::{ORDERS, Shape};

use super::{Running, world::World};

const OPEN: usize = 200;
/// The longest that one of them may go without being looked at, as configured by default.
const POLL: Duration = Duration::from_secs(60);
const MINUTES: u32 = 2;
/// Half of the points that GitHub takes from one installation in a minute; a read is one.
/// https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api
const READS_A_MINUTE: usize = 450;
/// What counts against the limit of the hour, 5,000, must be next to nothing.
const COUNTED_A_MINUTE: usize = 5;

/// Measures, prints, and fails if a bound is broken.
pub async fn measure() -> anyhow::Result<()> {
    let world = World::start(Setup {
        shape: Shape::small(),
        ..Setup::default()
    })
    .await?;
    let github = &world.harbour.github;
    github.add_team(ORDERS.0, "reviewers", &["grace-platform", "linus-platform"])?;
    let mut running = Running::start(&world, "approval: { team: platform/reviewers }\n")?;
    for number in 0..OPEN {
        let line = format!(
            "schedule add tenant:poseidon1 name:n{number:03} when:\"every day at {:02}:{:02}\" keep:4w",
            number % 24,
            number % 60
        );
        running.ask(&line, "please approve or deny").await?;
    }
    let open = world.harbour.pulls().await?.len();
    anyhow::ensure!(open == OPEN, "{open} pull requests are open, not {OPEN}");
    println!("{OPEN} requests wait for their approval");
    // Until each was looked at, and what there is to know was read once.
    tokio::time::sleep(POLL).await;
    let gate = &world.harbour.gate;
    gate.keep_journal();
    tokio::time::sleep(POLL * MINUTES).await;
    let entries: Vec<Entry> = gate
        .take_journal()
        .into_iter()
        .filter(|entry| entry.call.service == harbour::gate::Service::Github)
        .collect();
    let minutes = usize::try_from(MINUTES)?;
    let counted = entries.iter().filter(|entry| entry.status != Some(304));
    let counted = counted.count().div_ceil(minutes);
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    for entry in &entries {
        let path = entry.call.path();
        let kind: String = path
            .split('/')
            .map(|part| {
                if part.parse::<u64>().is_ok() {
                    "N"
                } else {
                    part
                }
            })
            .collect::<Vec<_>>()
            .join("/");
        *kinds.entry(kind).or_default() += 1;
    }
    for (kind, count) in &kinds {
        println!("{:5} a minute: {kind}", count.div_ceil(minutes));
    }
    let reads = entries.len().div_ceil(minutes);
    println!("{reads} requests a minute, {counted} of them counted against the hour");
    let looks = kinds
        .iter()
        .find(|(kind, _)| kind.ends_with("/pulls/N"))
        .map(|(_, count)| *count)
        .context("nothing was looked at")?;
    anyhow::ensure!(looks >= OPEN * (minutes - 1), "not all were looked at");
    anyhow::ensure!(reads < READS_A_MINUTE, "GitHub is asked too often");
    anyhow::ensure!(counted <= COUNTED_A_MINUTE, "too much of it is counted");
    Ok(())
}
