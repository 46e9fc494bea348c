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
    assert_snapshot!(answers.join("\n"), @r#"
    schedule add tenant:poseidon1 name:n when:"0 1 * * 7" keep:7d
        '0 1 * * 7' does not say when: day of week '7': 7 is above the highest, 6. Write cron or plain words, for example '0 1 * * *', 'every day at 01:00' or 'Sundays 03:30'.
    schedule add tenant:poseidon1 name:n when:"61 * * * *" keep:7d
        '61 * * * *' does not say when: minute '61': 61 is above the highest, 59. Write cron or plain words, for example '0 1 * * *', 'every day at 01:00' or 'Sundays 03:30'.
    schedule add tenant:poseidon1 name:n when:"0 1 * *" keep:7d
        '0 1 * *' does not say when: it has 4 fields and must have 5: minute, hour, day of month, month, day of week. Write cron or plain words, for example '0 1 * * *', 'every day at 01:00' or 'Sundays 03:30'.
    schedule add tenant:poseidon1 name:n when:"0 0 30 2 *" keep:7d
        '0 0 30 2 *' never runs: no such moment comes. Write for example '0 1 * * *', 'every day at 01:00' or 'Sundays 03:30'.
    schedule add tenant:poseidon1 name:n when:"@fortnightly" keep:7d
        '@fortnightly' does not say when: known are @yearly, @annually, @monthly, @weekly, @daily, @midnight, @hourly and @every. Write cron or plain words, for example '0 1 * * *', 'every day at 01:00' or 'Sundays 03:30'.
    schedule add tenant:poseidon1 name:n when:"@every 10s" keep:7d
        '@every 10s' runs more often than once a minute. Write for example '0 1 * * *', 'every day at 01:00' or 'Sundays 03:30'.
    schedule add tenant:poseidon1 name:n when:"CRON_TZ=Europe/Atlantis 0 1 * * *" keep:7d
        'CRON_TZ=Europe/Atlantis 0 1 * * *' does not say when: the time zone 'Europe/Atlantis' is unknown; names are like Europe/Oslo. Write cron or plain words, for example '0 1 * * *', 'every day at 01:00' or 'Sundays 03:30'.
    schedule add tenant:poseidon1 name:n when:"whenever it suits" keep:7d
        'whenever it suits' does not say when: 'whenever' is unknown here. Write cron or plain words, for example '0 1 * * *', 'every day at 01:00' or 'Sundays 03:30'.
    schedule add tenant:poseidon1 name:n when:"" keep:7d
        `when` has no value. Write it like `when:"0 1 * * *"`, or leave it out.
    schedule add tenant:poseidon1 name:n when:@daily keep:7
        `keep` cannot be `7`: a unit is missing. A time to keep is written like `7d`, `4w`, `6 months` or `168h`.
    schedule add tenant:poseidon1 name:n when:@daily keep:0s
        `keep` cannot be `0s`: it is zero. A time to keep is written like `7d`, `4w`, `6 months` or `168h`.
    schedule add tenant:poseidon1 name:n when:@daily keep:-7d
        `keep` cannot be `-7d`: a number is missing or is not one. A time to keep is written like `7d`, `4w`, `6 months` or `168h`.
    schedule add tenant:poseidon1 name:n when:@daily keep:"a while"
        `keep` cannot be `a while`: a number is missing or is not one. A time to keep is written like `7d`, `4w`, `6 months` or `168h`.
    schedule add tenant:poseidon1 name:Nightly! when:@daily keep:7d
        `name` cannot be `Nightly!`: it has `!` in it. A schedule's name has up to 253 small letters, digits, `-` and `.`, with a letter or digit at both ends, for example `daily`.
    schedule add tenant:poseidon1 name:a.b when:@daily keep:7d
        'a.b' is no name: only a-z, 0-9 and '-' are allowed, as in 'daily'.
    schedule add tenant:poseidon1 name:-n when:@daily keep:7d
        `name` cannot be `-n`: it begins or ends with `-`. A schedule's name has up to 253 small letters, digits, `-` and `.`, with a letter or digit at both ends, for example `daily`.
    schedule add tenant:poseidon1 name:n when:@daily
        `/schedule add` needs `keep`: how long each backup is kept: 7d, 4w, 6 months or 168h. For example `keep:7d`.
    schedule change tenant:poseidon1 name:daily
        `/schedule change` needs something to change: `new_name`, `when` or `keep`. For example `keep:14d`.
    schedule add tenant:triton2 name:n when:@daily keep:7d
        You may not order schedules of the tenant `triton2`. You may for `poseidon1`.
    schedule remove tenant:triton2 name:daily
        You may not order schedules of the tenant `triton2`. You may for `poseidon1`.
    as grace: schedule remove tenant:poseidon1 name:daily
        You may not order schedules of any tenant. Ask the platform team for the right. Reviewers are grace and linus.
    as stranger: schedule add tenant:poseidon1 name:n when:@daily keep:7d
        I do not know you here: the configuration has no entry for your account `stranger` of the chat `console`. Ask the platform team to add it.
    "#);
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
    assert_snapshot!(sentences.join("\n"), @r#"
    The tenant poseidon1 has a schedule daily (0 1 * * *, kept 168h0m0s) already. To change it, say `schedule change tenant:poseidon1 name:daily when:"..." keep:...`; for another one choose another name, such as daily-2.
    The tenant poseidon1 has no schedule hourly: its order names daily and weekly.
    The tenant poseidon1 has a schedule weekly (0 2 * * 0, kept 720h0m0s) already. To change it, say `schedule change tenant:poseidon1 name:weekly when:"..." keep:...`; for another one choose another name, such as weekly-2.
    The order of poseidon1 reads so already; there is nothing to change.
    The tenant poseidon1 has no schedule hourly: its order names daily and weekly.
    The name nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn is too long: with poseidon1- before it and Velero's timestamp after it, it may have 38 characters, such as nightly.
    "#);
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

/// A request that was not made in the chat is held to the same.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_for_past_the_chat_is_refused_too() -> anyhow::Result<()> {
    use kube::api::{Patch, PatchParams, PostParams};
    use refloat::request::Person;
    use refloat::schedule::resource::{Action, Change};
    use refloat::schedule::{ScheduleRequest, ScheduleRequestSpec};

    let world = World::start(Setup {
        days_of_backups: 1,
        ..Setup::default()
    })
    .await?;
    let order = world.order("poseidon1").await?;
    let refloat = Refloat::start(&world.harbour.refloat_config(FAST)?)?;
    let spec =
        |who: &str, tenant: &str, name: &str, schedule: &str, ttl: &str| ScheduleRequestSpec {
            tenant: world.here(tenant),
            change: Change {
                action: Action::Add,
                name: name.to_owned(),
                new_name: None,
                schedule: Some(schedule.to_owned()),
                ttl: Some(ttl.to_owned()),
                words: None,
            },
            requester: Person {
                chat: "console".to_owned(),
                id: who.to_owned(),
                name: who.to_owned(),
            },
            votes: Vec::new(),
            withdrawal: None,
            choice: None,
        };
    let mut sentences = Vec::new();
    for (number, spec) in [
        spec("ada", "poseidon1", "n", "0 1 * * 7", "24h0m0s"),
        spec("ada", "poseidon1", "n", "0 1 * * *", "7d"),
        spec("ada", "poseidon1", "Not a name", "0 1 * * *", "24h0m0s"),
        spec("ada", "triton2", "n", "0 1 * * *", "24h0m0s"),
        spec("stranger", "poseidon1", "n", "0 1 * * *", "24h0m0s"),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("by-hand-{number}");
        let request = ScheduleRequest::new(&name, spec);
        world
            .schedule_requests()
            .create(&PostParams::default(), &request)
            .await?;
        let request = world.until_schedule(&name, Phase::Refused).await?;
        let ending = request.status.and_then(|status| status.ending);
        let message = ending.map(|ending| ending.message).unwrap_or_default();
        sentences.push(world.plain(&message));
    }
    assert_snapshot!(sentences.join("\n"), @r#"
    `0 1 * * 7` is no schedule: day of week `7`: 7 is above the highest, 6; write for example "0 1 * * *" or @daily.
    `7d` is no duration as an order takes it: Go knows no days and no weeks. Write it as Go does, such as 168h0m0s.
    `Not a name` is no name: only a-z, 0-9 and `-` are allowed, as in `daily`.
    You may not order schedules for the tenant triton2. You may order schedules for poseidon1.
    You may not order schedules for the tenant poseidon1. There is no tenant that you may order schedules for; ask the platform's reviewers for the right.
    "#);
    // What it asks for cannot be changed afterwards.
    let other = serde_json::json!({ "spec": { "change": { "name": "other" } } });
    let changed = world
        .schedule_requests()
        .patch("by-hand-0", &PatchParams::default(), &Patch::Merge(&other))
        .await;
    let refused = changed.expect_err("it is immutable").to_string();
    assert!(refused.contains("cannot be changed"), "{refused}");
    refloat.stop().await?;
    assert_eq!(world.order("poseidon1").await?, order);
    world.end().await
}
