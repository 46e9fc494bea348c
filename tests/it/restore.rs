//! The main job, from the request to self-heal being back.

use harbour::github::SpecChecker;
use harbour::{REFLOAT_GITHUB_TOKEN, Setup, published_specs};
use refloat::request::{Phase, phase};

use crate::refloat::{FAST, Refloat};
use crate::world::World;

const REQUEST: &str = "restore request tenant:poseidon1 namespaces:dev schedule:daily day:yesterday reason:\"bad migration\"";

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_is_carried_through() -> anyhow::Result<()> {
    let world = World::start(Setup::default()).await?;
    let before = world.harbour.platform.snapshot().await?;
    let order = world.order("poseidon1").await?;
    world.break_tenant("poseidon1-dev").await?;

    world.harbour.gate.keep_journal();
    let mut refloat = Refloat::start(&world.harbour.refloat_config(FAST)?)?;
    let name = world.ask(&mut refloat, REQUEST).await?;
    world.until_asked(&name).await?;
    refloat.say("as grace: approve").await?;
    world.until_phase(&name, Phase::Done).await?;
    refloat.until("Done").await?;
    refloat.stop().await?;
    // Eight as for one that is approved on GitHub, and the approval, mirrored there.
    keeps_to_the_description(&world, "approved in chat", 9)?;

    world.check_restored(&name, &before, &order).await?;
    world.end().await
}

/// Each request to GitHub is one that GitHub's published description allows, with
/// no key that it does not know.
fn keeps_to_the_description(world: &World, what: &str, most: usize) -> anyhow::Result<()> {
    let journal = world.harbour.gate.take_journal();
    let sent: Vec<_> = journal
        .iter()
        .filter(|entry| entry.call.token.as_deref() == Some(REFLOAT_GITHUB_TOKEN))
        .map(|entry| &entry.call)
        .collect();
    let writes = sent.iter().filter(|call| call.writes()).count();
    let unchanged = journal
        .iter()
        .filter(|entry| {
            entry.call.token.as_deref() == Some(REFLOAT_GITHUB_TOKEN) && entry.status == Some(304)
        })
        .count();
    let reads = sent.len() - writes - unchanged;
    println!(
        "requests to GitHub for one restore {what}: {writes} that write, {reads} that read, and \
         {unchanged} that nothing had changed since"
    );
    anyhow::ensure!(writes > 0, "nothing was sent to GitHub");
    anyhow::ensure!(writes <= most, "{writes} requests that write");
    anyhow::ensure!(reads <= 40, "{reads} requests that read");
    let checker = match published_specs() {
        Some(specs) => SpecChecker::load(&specs)?,
        None => None,
    };
    let Some(checker) = checker else {
        println!("skipped: the published description is not there; see CONTRIBUTING.md");
        return Ok(());
    };
    for call in sent {
        let target = call.target.strip_prefix("/api/v3").unwrap_or(&call.target);
        checker
            .check_request(call.method.as_str(), target, &call.body)
            .map_err(|why| anyhow::anyhow!("{} {}: {why}", call.method, call.target))?;
    }
    Ok(())
}

/// What GitHub is asked for one restore that is approved there: at most 8 requests that
/// write, and 40 that read.
#[tokio::test(flavor = "multi_thread")]
async fn a_plain_restore_keeps_to_its_budget() -> anyhow::Result<()> {
    let world = World::start(Setup {
        shape: harbour::world::Shape::small(),
        ..Setup::default()
    })
    .await?;
    world.break_tenant("poseidon1-dev").await?;
    world.harbour.gate.keep_journal();
    let mut refloat = Refloat::start(&world.harbour.refloat_config(FAST)?)?;
    let name = world.ask(&mut refloat, REQUEST).await?;
    world.until_asked(&name).await?;
    let number = world.harbour.pulls().await?[0].number;
    world
        .harbour
        .github
        .review(
            "platform",
            "infra-ocp4-tenants",
            number,
            "grace-platform",
            harbour::github::ReviewEvent::Approve,
            None,
        )
        .await?;
    world.until_phase(&name, Phase::Done).await?;
    refloat.stop().await?;
    keeps_to_the_description(&world, "approved on GitHub", 8)?;
    world.end().await
}

/// Both namespaces of a tenant, by the seed's plain form.
#[tokio::test(flavor = "multi_thread")]
async fn two_namespaces_are_restored_from_a_plain_sentence() -> anyhow::Result<()> {
    let world = World::start(Setup::default()).await?;
    let before = world.harbour.platform.snapshot().await?;
    let order = world.order("poseidon1").await?;
    for namespace in ["poseidon1-dev", "poseidon1-test"] {
        world.break_tenant(namespace).await?;
    }
    let backups = world
        .velero_names("Backup", "backups")
        .await?
        .into_iter()
        .filter(|name| name.starts_with(&world.here("poseidon1-daily-")))
        .max()
        .expect("the harbour has backups");

    let mut refloat = Refloat::start(&world.harbour.refloat_config(FAST)?)?;
    let line = format!(
        "restore backup {} of namespace poseidon1-dev and poseidon1-test from schedule daily because the migration failed",
        world.plain(&backups)
    );
    let name = world.ask(&mut refloat, &line).await?;
    world.until_asked(&name).await?;
    refloat.say("as linus: approve").await?;
    world.until_phase(&name, Phase::Done).await?;
    refloat.stop().await?;
    world.check_restored(&name, &before, &order).await?;
    world.end().await
}

/// An order whose flag is not written, and whose values are a nested mapping.
#[tokio::test(flavor = "multi_thread")]
async fn the_other_form_of_order_comes_back_byte_for_byte() -> anyhow::Result<()> {
    let world = World::start(Setup::default()).await?;
    let order = world.order("triton2").await?;
    let before = world.harbour.platform.snapshot().await?;
    world.break_tenant("triton2-prod").await?;

    let mut refloat = Refloat::start(&world.harbour.refloat_config(FAST)?)?;
    let name = world
        .ask(
            &mut refloat,
            "as odd: restore request tenant:triton2 namespaces:prod reason:\"lost rows\"",
        )
        .await?;
    world.until_asked(&name).await?;
    refloat.say("as grace: approve").await?;
    world.until_phase(&name, Phase::Done).await?;
    refloat.stop().await?;
    world.check_restored(&name, &before, &order).await?;
    world.end().await
}

/// A reviewer approves on GitHub, where protection asks for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_review_on_github_approves() -> anyhow::Result<()> {
    use harbour::github::{Protection, ReviewEvent};
    let world = World::start(Setup::default()).await?;
    let github = &world.harbour.github;
    github
        .protect(
            "platform",
            "infra-ocp4-tenants",
            "main",
            Protection {
                required_approvals: 1,
                ..Protection::default()
            },
        )
        .await?;
    let before = world.harbour.platform.snapshot().await?;
    let order = world.order("poseidon1").await?;
    world.break_tenant("poseidon1-dev").await?;
    let mut refloat = Refloat::start(&world.harbour.refloat_config(FAST)?)?;
    let name = world.ask(&mut refloat, REQUEST).await?;
    let asked = world.until_asked(&name).await?;
    let pull = asked
        .status
        .and_then(|status| status.pause)
        .and_then(|pause| pause.opened)
        .expect("a pull request is open");

    // In chat it is approved, but GitHub's protection wants a review: that is
    // waited for and said.
    refloat.say("as linus: approve").await?;
    world
        .waits_for(&name, "GitHub does not let it be merged yet")
        .await?;
    let approve = |number| {
        github.review(
            "platform",
            "infra-ocp4-tenants",
            number,
            "grace-platform",
            ReviewEvent::Approve,
            None,
        )
    };
    approve(pull.number).await?;
    // The resume pull request needs a review of its own under this protection.
    crate::refloat::until(|| async {
        let request = world.requests().get(&name).await?;
        Ok(request
            .status
            .and_then(|status| status.resume)
            .is_some_and(|resume| resume.opened.is_some()))
    })
    .await?;
    let request = world.requests().get(&name).await?;
    let status = request.status.unwrap_or_default();
    assert_eq!(phase(&status), Phase::Resuming);
    let resume = status
        .resume
        .and_then(|pull| pull.opened)
        .expect("it is open");
    world
        .waits_for(&name, "GitHub does not let it be merged yet")
        .await?;
    approve(resume.number).await?;
    world.until_phase(&name, Phase::Done).await?;
    refloat.stop().await?;
    world.check_restored(&name, &before, &order).await?;
    world.end().await
}

/// Without `coversResume`, the resume pull request is approved on its own.
#[tokio::test(flavor = "multi_thread")]
async fn the_resume_is_approved_on_its_own_where_the_first_does_not_cover_it() -> anyhow::Result<()>
{
    let world = World::start(Setup {
        shape: harbour::world::Shape::small(),
        ..Setup::default()
    })
    .await?;
    let before = world.harbour.platform.snapshot().await?;
    let order = world.order("poseidon1").await?;
    world.break_tenant("poseidon1-dev").await?;
    let config = world
        .harbour
        .refloat_config("pace: { pullRequests: 50ms, lookAgain: 20ms }")?;
    let mut refloat = Refloat::start(&config)?;
    let name = world.ask(&mut refloat, REQUEST).await?;
    world.until_asked(&name).await?;
    refloat.say("as grace: approve").await?;
    world
        .waits_for(&name, "waits for a reviewer's approval")
        .await?;
    refloat.say("as linus: approve").await?;
    world.until_phase(&name, Phase::Done).await?;
    refloat.stop().await?;
    world.check_restored(&name, &before, &order).await?;
    world.end().await
}
