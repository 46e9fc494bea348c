//! What cannot be ordered is refused in a sentence that says what is right.

use harbour::Setup;
use harbour::world::Shape;
use insta::assert_snapshot;
use refloat::schedule::Phase;

use crate::refloat::{FAST, Refloat};
use crate::world::World;

/// What is answered to a line, without what is before it.
async fn answer(world: &World, refloat: &mut Refloat, line: &str) -> anyhow::Result<String> {
    let who = line
        .strip_prefix("as ")
        .and_then(|rest| rest.split_once(':'))
        .map_or("ada", |(who, _)| who);
    let about = format!("@{who} ");
    let from = refloat.shown().len();
    refloat.say(&world.here(line)).await?;
    refloat.until_after(from, &about).await?;
    // An answer is one line here.
    refloat.until_after(from, "\n").await?;
    let shown = refloat.shown();
    let answer = shown[from..]
        .lines()
        .find_map(|line| line.strip_prefix(&about))
        .unwrap_or_default();
    Ok(world.plain(answer))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_malformed_is_refused_with_what_is_right() -> anyhow::Result<()> {
    let world = World::start(Setup {
        shape: Shape::small(),
        days_of_backups: 1,
        ..Setup::default()
    })
    .await?;
    let order = world.order("poseidon1").await?;
    let mut refloat = Refloat::start(&world.harbour.refloat_config(FAST)?)?;
    let mut answers = Vec::new();
    for line in [
        "schedule add tenant:poseidon1 name:n when:\"0 1 * * 7\" keep:7d",
        "schedule add tenant:poseidon1 name:n when:\"61 * * * *\" keep:7d",
        "schedule add tenant:poseidon1 name:n when:\"0 1 * *\" keep:7d",
        "schedule add tenant:poseidon1 name:n when:\"0 0 30 2 *\" keep:7d",
        "schedule add tenant:poseidon1 name:n when:\"@fortnightly\" keep:7d",
        "schedule add tenant:poseidon1 name:n when:\"@every 10s\" keep:7d",
        "schedule add tenant:poseidon1 name:n when:\"CRON_TZ=Europe/Atlantis 0 1 * * *\" keep:7d",
        "schedule add tenant:poseidon1 name:n when:\"whenever it suits\" keep:7d",
        "schedule add tenant:poseidon1 name:n when:\"\" keep:7d",
        "schedule add tenant:poseidon1 name:n when:@daily keep:7",
        "schedule add tenant:poseidon1 name:n when:@daily keep:0s",
        "schedule add tenant:poseidon1 name:n when:@daily keep:-7d",
        "schedule add tenant:poseidon1 name:n when:@daily keep:\"a while\"",
        "schedule add tenant:poseidon1 name:Nightly! when:@daily keep:7d",
        "schedule add tenant:poseidon1 name:a.b when:@daily keep:7d",
        "schedule add tenant:poseidon1 name:-n when:@daily keep:7d",
        "schedule add tenant:poseidon1 name:n when:@daily",
        "schedule change tenant:poseidon1 name:daily",
        "schedule add tenant:triton2 name:n when:@daily keep:7d",
        "schedule remove tenant:triton2 name:daily",
        "as grace: schedule remove tenant:poseidon1 name:daily",
        "as stranger: schedule add tenant:poseidon1 name:n when:@daily keep:7d",
    ] {
        answers.push(format!(
            "{line}\n    {}",
            answer(&world, &mut refloat, line).await?
        ));
    }
    assert_snapshot!(answers.join("\n"), @"");
    assert!(
        world
            .schedule_requests()
            .list(&kube::api::ListParams::default())
            .await?
            .items
            .is_empty()
    );
    refloat.stop().await?;
    assert_eq!(world.order("poseidon1").await?, order);
    assert!(world.harbour.pulls().await?.is_empty());
    world.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_the_order_is_refused_in_the_thread() -> anyhow::Result<()> {
    let world = World::start(Setup {
        shape: Shape::small(),
        days_of_backups: 1,
        ..Setup::default()
    })
    .await?;
    let order = world.order("poseidon1").await?;
    let mut refloat = Refloat::start(&world.harbour.refloat_config(FAST)?)?;
    let long = "n".repeat(40);
    let mut sentences = Vec::new();
    for line in [
        "schedule add tenant:poseidon1 name:daily when:@daily keep:7d".to_owned(),
        "schedule change tenant:poseidon1 name:hourly keep:14d".to_owned(),
        "schedule change tenant:poseidon1 name:daily new_name:weekly".to_owned(),
        "schedule change tenant:poseidon1 name:daily keep:7d".to_owned(),
        "schedule remove tenant:poseidon1 name:hourly".to_owned(),
        format!("schedule add tenant:poseidon1 name:{long} when:@daily keep:7d"),
    ] {
        let name = world.order_schedule(&mut refloat, &line).await?;
        let request = world.until_schedule(&name, Phase::Refused).await?;
        let message = request
            .status
            .and_then(|status| status.ending)
            .map(|ending| ending.message)
            .unwrap_or_default();
        refloat.until("Refused.").await?;
        sentences.push(world.plain(&message));
    }
    assert_snapshot!(sentences.join("\n"), @"");
    // One schedule is changed by one request at a time.
    let first = world
        .order_schedule(
            &mut refloat,
            "schedule change tenant:poseidon1 name:daily keep:14d",
        )
        .await?;
    world.until_schedule_asked(&first).await?;
    let second = world
        .order_schedule(
            &mut refloat,
            "as linus: schedule remove tenant:poseidon1 name:daily",
        )
        .await?;
    world.until_schedule(&second, Phase::Refused).await?;
    refloat
        .until(&format!("is being changed already by the request {first}"))
        .await?;
    refloat.stop().await?;
    assert_eq!(world.order("poseidon1").await?, order);
    world.end().await
}
