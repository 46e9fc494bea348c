//! Denied, withdrawn, expired, closed, undone: what was touched is undone, and
//! nothing is deleted.

use anyhow::Context as _;
use harbour::Setup;
use harbour::github::PullStatus;
use harbour::world::{Picture, Shape};
use refloat::request::Phase;

use crate::refloat::{FAST, Refloat};
use crate::world::World;

pub const REQUEST: &str =
    "restore request tenant:poseidon1 namespaces:dev reason:\"bad migration\"";

/// A request that waits for approval, and the world around it.
pub struct Stage {
    pub world: World,
    pub refloat: Refloat,
    pub name: String,
    pub before: Picture,
    pub order: String,
}

impl Stage {
    /// A request that waits for approval.
    pub async fn asked(shape: Shape, more: &str) -> anyhow::Result<Self> {
        let world = Self::world(shape).await?;
        let config = world.harbour.refloat_config(more)?;
        Self::of(world, &config, REQUEST).await
    }

    pub async fn world(shape: Shape) -> anyhow::Result<World> {
        World::start(Setup {
            shape,
            days_of_backups: 2,
            ..Setup::default()
        })
        .await
    }

    pub async fn of(world: World, config: &str, line: &str) -> anyhow::Result<Self> {
        let before = world.harbour.platform.snapshot().await?;
        let order = world.order("poseidon1").await?;
        let mut refloat = Refloat::start(config)?;
        let name = world.ask(&mut refloat, line).await?;
        world.until_asked(&name).await?;
        Ok(Self {
            world,
            refloat,
            name,
            before,
            order,
        })
    }

    /// It ended so, and the world is as it was.
    pub async fn ends(self, phase: Phase) -> anyhow::Result<()> {
        self.world.until_phase(&self.name, phase).await?;
        self.refloat.stop().await?;
        self.world
            .check_untouched(&self.before, &self.order)
            .await?;
        self.world.end().await
    }

    pub async fn pull(&self) -> anyhow::Result<harbour::github::PullView> {
        let pulls = self.world.harbour.pulls().await?;
        anyhow::ensure!(pulls.len() == 1, "{} pull requests", pulls.len());
        Ok(pulls[0].clone())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denial_closes_the_pull_request_and_says_why() -> anyhow::Result<()> {
    let mut stage = Stage::asked(Shape::small(), FAST).await?;
    stage
        .refloat
        .say("as grace: deny reason:\"not on a Friday\"")
        .await?;
    stage.world.until_phase(&stage.name, Phase::Denied).await?;
    stage.refloat.until("not on a Friday").await?;
    let pull = stage.pull().await?;
    assert!(
        matches!(pull.status, PullStatus::Closed),
        "{:?}",
        pull.status
    );
    assert!(
        pull.comments
            .iter()
            .any(|comment| comment.body.contains("not on a Friday")),
        "{:?}",
        pull.comments
    );
    // Nobody can open it again and merge what nobody follows any more.
    let github = &stage.world.harbour.github;
    let branch = github
        .resolve("platform", "infra-ocp4-tenants", &pull.head)
        .await?;
    assert_eq!(branch, None, "the branch is still there");
    let number = pull.number;
    let reopened = github
        .reopen_as("platform", "infra-ocp4-tenants", number, "grace-platform")
        .await;
    assert!(reopened.is_err(), "it was opened again");
    stage.ends(Phase::Denied).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawal_before_the_clearing_ends_it() -> anyhow::Result<()> {
    let mut stage = Stage::asked(Shape::small(), FAST).await?;
    stage.refloat.say("restore withdraw").await?;
    stage
        .world
        .until_phase(&stage.name, Phase::Withdrawn)
        .await?;
    assert!(matches!(stage.pull().await?.status, PullStatus::Closed));
    stage.ends(Phase::Withdrawn).await
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_the_pull_request_is_a_denial() -> anyhow::Result<()> {
    let stage = Stage::asked(Shape::small(), FAST).await?;
    let number = stage.pull().await?.number;
    stage
        .world
        .harbour
        .github
        .close_as("platform", "infra-ocp4-tenants", number, "grace-platform")
        .await?;
    stage.ends(Phase::Denied).await
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_answers_and_is_reminded_once() -> anyhow::Result<()> {
    let mut stage = Stage::asked(
        Shape::small(),
        "approval: { coversResume: true, remindAfter: [100ms] }\npace: { pullRequests: 50ms, lookAgain: 20ms }",
    )
    .await?;
    stage.refloat.until("still waits for a reviewer").await?;
    let request = stage.world.requests().get(&stage.name).await?;
    assert_eq!(request.status.map(|status| status.reminders.len()), Some(1));
    stage.refloat.say("restore withdraw").await?;
    stage.ends(Phase::Withdrawn).await
}

/// How far it comes before that depends on how fast this machine is.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_answers_and_it_expires() -> anyhow::Result<()> {
    let world = Stage::world(Shape::small()).await?;
    let config = world.harbour.refloat_config(
        "approval: { coversResume: true, expiresAfter: 1s }\npace: { pullRequests: 50ms, lookAgain: 20ms }",
    )?;
    let before = world.harbour.platform.snapshot().await?;
    let order = world.order("poseidon1").await?;
    let mut refloat = Refloat::start(&config)?;
    let name = world.ask(&mut refloat, REQUEST).await?;
    let stage = Stage {
        world,
        refloat,
        name,
        before,
        order,
    };
    stage.world.until_phase(&stage.name, Phase::Expired).await?;
    for pull in stage.world.harbour.pulls().await? {
        assert!(matches!(pull.status, PullStatus::Closed));
    }
    stage.ends(Phase::Expired).await
}

/// Nobody approves what they asked for themselves, whatever they may do else.
#[tokio::test(flavor = "multi_thread")]
async fn the_requester_cannot_approve() -> anyhow::Result<()> {
    let world = World::start(Setup {
        shape: Shape::small(),
        days_of_backups: 2,
        ..Setup::default()
    })
    .await?;
    let mut refloat = Refloat::start(&world.harbour.refloat_config(FAST)?)?;
    // linus is a reviewer, and asks.
    let name = world
        .ask(&mut refloat, &format!("as linus: {REQUEST}"))
        .await?;
    world.until_asked(&name).await?;
    for who in ["linus", "ada", "odd", "stranger"] {
        let from = refloat.shown().len();
        refloat.say(&format!("as {who}: approve {name}")).await?;
        refloat.until_after(from, &format!("@{who}")).await?;
    }
    // On GitHub under the account that the configuration links to them, too.
    let number = world.harbour.pulls().await?[0].number;
    let review = |login| {
        world.harbour.github.review(
            "platform",
            "infra-ocp4-tenants",
            number,
            login,
            harbour::github::ReviewEvent::Approve,
            None,
        )
    };
    review("linus-platform").await?;
    review("ada-poseidon").await?;
    let from = refloat.shown().len();
    refloat
        .say(&format!("restore status request:{name}"))
        .await?;
    refloat.until_after(from, "approval").await?;
    let request = world.requests().get(&name).await?;
    assert!(request.spec.votes.is_empty());
    assert!(
        request
            .status
            .is_some_and(|status| status.approved.is_none())
    );
    // Somebody else's counts.
    review("grace-platform").await?;
    world.until_phase(&name, Phase::Done).await?;
    refloat.stop().await?;
    world.end().await
}

/// A user-defined Application is not reached by the order: it is named, and
/// when it does not become quiet in time, self-heal is brought back.
#[tokio::test(flavor = "multi_thread")]
async fn an_application_that_still_heals_is_named_and_then_all_is_undone() -> anyhow::Result<()> {
    let mut stage = Stage::asked(
        Shape::small().with_own_applications(),
        "approval: { coversResume: true }\ndeadlines: { settle: 2s }\npace: { pullRequests: 50ms, lookAgain: 20ms }",
    )
    .await?;
    stage.refloat.say("as grace: approve").await?;
    stage
        .world
        .waits_for(&stage.name, "still heals, and the order does not reach it")
        .await?;
    stage
        .refloat
        .until(&stage.world.here("poseidon1-dev-reports"))
        .await?;
    stage.world.until_phase(&stage.name, Phase::Expired).await?;
    let pulls = stage.world.harbour.pulls().await?;
    assert_eq!(pulls.len(), 2, "a pause and a resume");
    assert!(
        pulls
            .iter()
            .all(|pull| matches!(pull.status, PullStatus::Merged { .. }))
    );
    stage.ends(Phase::Expired).await
}

/// Somebody merges before anybody approved: that is no approval.
#[tokio::test(flavor = "multi_thread")]
async fn a_merge_is_no_approval() -> anyhow::Result<()> {
    let mut stage = Stage::asked(Shape::small(), FAST).await?;
    let number = stage.pull().await?.number;
    stage
        .world
        .harbour
        .github
        .merge_as(
            "platform",
            "infra-ocp4-tenants",
            number,
            "ada-poseidon",
            harbour::github::MergeMethod::Merge,
        )
        .await?;
    let off = crate::refloat::until(|| async {
        let request = stage.world.requests().get(&stage.name).await?;
        Ok(request
            .status
            .is_some_and(|status| status.self_heal_is_off()))
    })
    .await;
    off.with_context(|| stage.refloat.shown())?;
    let request = stage.world.requests().get(&stage.name).await?;
    let status = request.status.unwrap_or_default();
    assert_eq!(refloat::request::phase(&status), Phase::AwaitingApproval);
    assert!(status.clearing.is_none() && status.safety_backup.is_none());
    // A denial now brings self-heal back.
    stage.refloat.say("as grace: deny reason:\"no\"").await?;
    stage.ends(Phase::Denied).await
}

/// Somebody merges it in the middle of a look: the order reads as wanted because of that,
/// and not since ever. Self-heal has to come back all the same (L1).
#[tokio::test(flavor = "multi_thread")]
async fn a_merge_in_the_middle_of_a_look_is_a_merge() -> anyhow::Result<()> {
    use harbour::gate::{Fate, Service};
    let mut stage = Stage::asked(Shape::small(), FAST).await?;
    let number = stage.pull().await?.number;
    let looked = std::sync::Arc::new(tokio::sync::Notify::new());
    let seen = std::sync::Arc::clone(&looked);
    // It is seen to be open; then the look takes its time, and reads the order.
    let rule = stage.world.harbour.gate.add(move |call| {
        let ours = call.token.as_deref() == Some(harbour::REFLOAT_GITHUB_TOKEN);
        if call.service == Service::Github && ours && call.path().ends_with("/reviews") {
            seen.notify_one();
            return Fate::Late(std::time::Duration::from_secs(1));
        }
        Fate::Pass
    });
    looked.notified().await;
    stage
        .world
        .harbour
        .github
        .merge_as(
            "platform",
            "infra-ocp4-tenants",
            number,
            "ada-poseidon",
            harbour::github::MergeMethod::Merge,
        )
        .await?;
    let off = crate::refloat::until(|| async {
        let request = stage.world.requests().get(&stage.name).await?;
        Ok(request
            .status
            .is_some_and(|status| status.self_heal_is_off()))
    })
    .await;
    off.with_context(|| stage.refloat.shown())?;
    stage.world.harbour.gate.remove(rule);
    stage.refloat.say("as grace: deny reason:\"no\"").await?;
    stage.ends(Phase::Denied).await
}

/// What would be deleted changes after the approval: it is asked again.
#[tokio::test(flavor = "multi_thread")]
async fn a_changed_inventory_voids_the_approval() -> anyhow::Result<()> {
    let mut stage = Stage::asked(Shape::small(), FAST).await?;
    // Something new that nobody was shown, before the clearing.
    stage.world.harbour.velero.faults().stall_backups(true);
    stage.refloat.say("as grace: approve").await?;
    stage
        .world
        .until_phase(&stage.name, Phase::Protecting)
        .await?;
    stage.world.config_map("poseidon1-dev", "newcomer").await?;
    stage.world.harbour.velero.faults().stall_backups(false);
    crate::refloat::until(|| async {
        let request = stage.world.requests().get(&stage.name).await?;
        let status = request.status.unwrap_or_default();
        let now = refloat::request::phase(&status);
        anyhow::ensure!(!now.is_over(), "it is {now:?}, and nobody was asked again");
        Ok(status.voided.is_some())
    })
    .await?;
    let request = stage.world.until_asked(&stage.name).await?;
    let status = request.status.unwrap_or_default();
    assert!(status.approved.is_none() && status.clearing.is_none());
    stage.refloat.until("changed since it was approved").await?;
    // The old yes does not count for what is there now; a new one does.
    stage.refloat.say("as grace: approve").await?;
    stage.world.until_phase(&stage.name, Phase::Done).await?;
    stage.refloat.stop().await?;
    stage.world.end().await
}
