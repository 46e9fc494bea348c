//! What does not exist, or is not theirs, is refused in a sentence that says
//! what does exist; nothing is touched.

use harbour::Setup;
use insta::assert_snapshot;
use refloat::request::Phase;

use crate::refloat::{FAST, Refloat};
use crate::world::World;

/// The sentence that a request is refused with.
async fn refusal(world: &World, refloat: &mut Refloat, line: &str) -> anyhow::Result<String> {
    let name = world.ask(refloat, line).await?;
    let request = world.until_phase(&name, Phase::Refused).await?;
    let message = request
        .status
        .and_then(|status| status.ending)
        .map(|ending| ending.message)
        .unwrap_or_default();
    // People read it in the thread.
    refloat.until(&message).await?;
    Ok(world.plain(&message))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_exist_is_refused_with_what_does() -> anyhow::Result<()> {
    let world = World::start(Setup::default()).await?;
    let before = world.harbour.platform.snapshot().await?;
    let order = world.order("poseidon1").await?;
    let mut refloat = Refloat::start(&world.harbour.refloat_config(FAST)?)?;

    let sentence = refusal(
        &world,
        &mut refloat,
        "restore request tenant:poseidon1 namespaces:prod reason:test",
    )
    .await?;
    assert_snapshot!(sentence, @"The tenant poseidon1 has no namespace poseidon1-prod: its order names poseidon1-dev and poseidon1-test.");
    let sentence = refusal(
        &world,
        &mut refloat,
        "restore request tenant:poseidon1 namespaces:dev schedule:hourly reason:test",
    )
    .await?;
    assert_snapshot!(sentence, @"The tenant poseidon1 has no schedule hourly: its order names daily and weekly.");
    let sentence = refusal(
        &world,
        &mut refloat,
        "restore request tenant:poseidon1 namespaces:dev backup:poseidon1-daily-1999 reason:test",
    )
    .await?;
    let latest = sentence.split(" The latest").next().unwrap_or_default();
    assert_snapshot!(latest, @"There is no backup poseidon1-daily-1999.");
    assert!(
        sentence.contains("The latest usable one is poseidon1-daily-"),
        "{sentence}"
    );
    let sentence = refusal(
        &world,
        &mut refloat,
        "restore request tenant:poseidon1 namespaces:dev schedule:daily day:1999-12-31 reason:test",
    )
    .await?;
    let latest = sentence.split(" The nearest").next().unwrap_or_default();
    assert_snapshot!(latest, @"There is no backup of the schedule daily for 1999-12-31.");

    // A tenant that is not theirs, or is none, makes no request at all.
    let known = world.request_names().await?;
    for tenant in ["triton2", "atlantis"] {
        let from = refloat.shown().len();
        refloat
            .say(&world.here(&format!(
                "restore request tenant:{tenant} namespaces:prod reason:test"
            )))
            .await?;
        refloat.until_after(from, "poseidon1").await?;
    }
    let from = refloat.shown().len();
    refloat
        .say(
            &world.here("as stranger: restore request tenant:poseidon1 namespaces:dev reason:test"),
        )
        .await?;
    refloat.until_after(from, "stranger").await?;
    assert_eq!(known, world.request_names().await?);

    refloat.stop().await?;
    assert!(world.harbour.pulls().await?.is_empty());
    world.check_untouched(&before, &order).await?;
    world.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_is_held_by_one_restore_at_a_time() -> anyhow::Result<()> {
    let world = World::start(Setup::default()).await?;
    let mut refloat = Refloat::start(&world.harbour.refloat_config(FAST)?)?;
    let first = world
        .ask(
            &mut refloat,
            "restore request tenant:poseidon1 namespaces:dev reason:first",
        )
        .await?;
    world.until_asked(&first).await?;
    let sentence = refusal(
        &world,
        &mut refloat,
        "as linus: restore request tenant:poseidon1 namespaces:test,dev reason:second",
    )
    .await?;
    assert!(
        sentence.starts_with(&world.plain(&format!(
            "poseidon1-dev is held by the restore {first}, asked for by ada"
        ))),
        "{sentence}"
    );
    // Self-heal is the whole tenant's: while it is off for one namespace, no
    // other restore of the tenant may bring it back.
    let sentence = refusal(
        &world,
        &mut refloat,
        "restore request tenant:poseidon1 namespaces:test reason:third",
    )
    .await?;
    assert!(sentence.contains(&world.plain(&first)), "{sentence}");
    // Another tenant is free.
    let other = world
        .ask(
            &mut refloat,
            "as odd: restore request tenant:triton2 namespaces:prod reason:other",
        )
        .await?;
    world.until_asked(&other).await?;
    // And the first is free again once its restore has ended.
    refloat
        .say(&format!("restore withdraw request:{first}"))
        .await?;
    world.until_phase(&first, Phase::Withdrawn).await?;
    let fourth = world
        .ask(
            &mut refloat,
            "restore request tenant:poseidon1 namespaces:dev reason:fourth",
        )
        .await?;
    world.until_asked(&fourth).await?;
    refloat.stop().await?;
    world.end().await
}

/// Many at once: whoever is first, exactly one gets the namespace.
#[tokio::test(flavor = "multi_thread")]
async fn of_requests_at_the_same_moment_one_is_taken() -> anyhow::Result<()> {
    use refloat::request::{Person, RestoreRequest, RestoreRequestSpec, Source, phase};
    let world = World::start(Setup::default()).await?;
    let refloat = Refloat::start(&world.harbour.refloat_config(FAST)?)?;
    let requests = world.requests();
    let names: Vec<String> = (0..8).map(|n| format!("poseidon1-race{n}")).collect();
    let made = names.iter().map(|name| {
        let request = RestoreRequest::new(
            name,
            RestoreRequestSpec {
                tenant: world.here("poseidon1"),
                namespaces: vec![world.here("poseidon1-dev")],
                source: Source::default(),
                reason: "race".to_owned(),
                requester: Person {
                    chat: "console".to_owned(),
                    id: "ada".to_owned(),
                    name: "ada".to_owned(),
                },
                votes: Vec::new(),
                withdrawal: None,
                choice: None,
                consents: Vec::new(),
                undoes: None,
            },
        );
        let requests = requests.clone();
        async move {
            requests
                .create(&kube::api::PostParams::default(), &request)
                .await
        }
    });
    for made in futures::future::join_all(made).await {
        made?;
    }
    crate::refloat::until(|| async {
        let all = requests.list(&kube::api::ListParams::default()).await?;
        let phases: Vec<Phase> = all
            .iter()
            .map(|request| phase(&request.status.clone().unwrap_or_default()))
            .collect();
        let waiting = phases
            .iter()
            .filter(|phase| **phase == Phase::AwaitingApproval)
            .count();
        let refused = phases
            .iter()
            .filter(|phase| **phase == Phase::Refused)
            .count();
        anyhow::ensure!(waiting <= 1, "{waiting} hold the namespace");
        Ok(waiting == 1 && refused == 7)
    })
    .await?;
    refloat.stop().await?;
    world.end().await
}
