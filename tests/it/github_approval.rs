//! What counts as an approval on GitHub and in chat, and what makes it void.

use anyhow::Context as _;
use harbour::gate::Entry;
use harbour::github::ReviewEvent;
use harbour::world::ORDERS;
use harbour::world::Shape;
use refloat::request::{Phase, RestoreStatus, phase};

use crate::endings::{REQUEST, Stage};
use crate::refloat::{FAST, Refloat, until};

const PACE: &str = "pace: { pullRequests: 50ms, lookAgain: 20ms }";

impl Stage {
    pub async fn status(&self) -> anyhow::Result<RestoreStatus> {
        let request = self.world.requests().get(&self.name).await?;
        Ok(request.status.unwrap_or_default())
    }

    pub async fn review(&self, number: u64, login: &str, event: ReviewEvent) -> anyhow::Result<()> {
        let github = &self.world.harbour.github;
        github
            .review(ORDERS.0, ORDERS.1, number, login, event, None)
            .await?;
        Ok(())
    }

    /// Waits until the edit is made anew, on another head than `old`.
    pub async fn rebuilt(&self, old: &str) -> anyhow::Result<()> {
        let rebuilt = until(|| async {
            let head = self.pull().await?.head_sha;
            let opened = self.status().await?.pause.and_then(|pause| pause.opened);
            Ok(head != old && opened.is_some_and(|opened| opened.head_sha == head))
        })
        .await;
        let status = self.status().await?;
        rebuilt.with_context(|| {
            format!(
                "it is not made anew: {:?} {:?} {:?}",
                status.pause, status.waiting, status.last_error
            )
        })
    }

    /// Waits until what was approved, or was to be, is void, in these words.
    pub async fn void(&mut self, words: &str) -> anyhow::Result<()> {
        let void = until(|| async {
            let status = self.status().await?;
            anyhow::ensure!(!phase(&status).is_over(), "it ended: {:?}", status.ending);
            Ok(status
                .voided
                .is_some_and(|note| note.message.contains(words)))
        })
        .await;
        let status = self.status().await?;
        void.with_context(|| {
            format!(
                "nothing is void: {:?} {:?} {:?}",
                status.voided, status.waiting, status.last_error
            )
        })?;
        self.refloat.until(words).await
    }
}

/// A reviewer can decide from the pull request alone, and it is labelled and asked about
/// as configured; a yes in chat is written into it.
#[tokio::test(flavor = "multi_thread")]
async fn the_pull_request_says_what_is_decided() -> anyhow::Result<()> {
    let world = Stage::world(Shape::small()).await?;
    world
        .harbour
        .github
        .add_team(ORDERS.0, "platform-team", &["grace-platform"])?;
    let config = world.harbour.refloat_config(FAST)?.replace(
        "writeGap: 0s",
        "writeGap: 0s\n  labels: [restore, refloat]\n  reviewers: [linus-platform, platform/platform-team]",
    );
    let mut stage = Stage::of(world, &config, REQUEST).await?;
    let pull = stage.pull().await?;
    let status = stage.status().await?;
    let checked = status.checked.clone().expect("it was checked");
    for words in [
        "**ada** asks for a restore",
        "bad migration",
        &checked.backup.name,
        "age when asked",
        "What will be deleted",
        "After the merge",
        "Whoever asked cannot approve it",
        "it expires and is closed",
        &format!("commit `{}`", pull.head_sha),
    ] {
        assert!(pull.body.contains(words), "{words}: {}", pull.body);
    }
    for claim in &checked.inventory.claims {
        assert!(pull.body.contains(&claim.name), "{}", pull.body);
    }
    assert_eq!(pull.labels, ["restore", "refloat"]);
    let digest = refloat::request::digest(
        stage
            .world
            .requests()
            .get(&stage.name)
            .await?
            .metadata
            .uid
            .as_deref()
            .unwrap_or_default(),
        &stage.world.requests().get(&stage.name).await?.spec,
        &status,
    );
    assert!(pull.body.contains(&digest), "{}", pull.body);

    stage.refloat.say("as grace: approve").await?;
    stage.world.until_phase(&stage.name, Phase::Done).await?;
    let pulls = stage.world.harbour.pulls().await?;
    let said: Vec<&str> = pulls[0].comments.iter().map(|c| c.body.as_str()).collect();
    assert_eq!(said.len(), 1, "{said:?}");
    for words in ["grace (console:grace)", &digest, &pull.head_sha] {
        assert!(said[0].contains(words), "{words}: {said:?}");
    }
    stage.ends(Phase::Done).await
}

/// Two are needed, one of them a reviewer on GitHub; changes requested hold it back, and
/// an approval that was dismissed is none.
#[tokio::test(flavor = "multi_thread")]
async fn two_approvals_and_what_holds_them_back() -> anyhow::Result<()> {
    let mut stage = Stage::asked(
        Shape::small(),
        &format!("approval: {{ coversResume: true, count: 2 }}\n{PACE}"),
    )
    .await?;
    let number = stage.pull().await?.number;
    stage.refloat.say("as grace: approve").await?;
    let world = &stage.world;
    world
        .waits_for(&stage.name, "grace approved, and 2 approvals are needed")
        .await?;
    stage
        .review(number, "grace-platform", ReviewEvent::Approve)
        .await?;
    stage
        .review(number, "linus-platform", ReviewEvent::RequestChanges)
        .await?;
    world
        .waits_for(&stage.name, "linus requested changes")
        .await?;
    assert!(stage.status().await?.approved.is_none());
    stage
        .review(number, "linus-platform", ReviewEvent::Approve)
        .await?;
    stage.world.until_phase(&stage.name, Phase::Done).await?;
    let approved = stage.status().await?.approved.expect("it was approved");
    assert_eq!(approved.approvers.len(), 2, "{approved:?}");
    stage.ends(Phase::Done).await
}

/// Only reviews count: a yes in chat is told so.
#[tokio::test(flavor = "multi_thread")]
async fn where_only_reviews_count_the_chat_does_not() -> anyhow::Result<()> {
    let mut stage = Stage::asked(
        Shape::small(),
        &format!("approval: {{ coversResume: true, by: [review] }}\n{PACE}"),
    )
    .await?;
    let number = stage.pull().await?.number;
    stage.refloat.say("as grace: approve").await?;
    stage
        .world
        .waits_for(&stage.name, "only a review of the pull request counts")
        .await?;
    stage
        .review(number, "linus-platform", ReviewEvent::Approve)
        .await?;
    stage.world.until_phase(&stage.name, Phase::Done).await?;
    stage.ends(Phase::Done).await
}

/// The requester approves under each of their accounts, and under none.
#[tokio::test(flavor = "multi_thread")]
async fn no_account_of_the_requester_approves() -> anyhow::Result<()> {
    let world = Stage::world(Shape::small()).await?;
    let github = &world.harbour.github;
    github.add_user("linus-private", "token-linus-private")?;
    github
        .set_permission(
            ORDERS.0,
            ORDERS.1,
            "linus-private",
            harbour::github::Permission::Write,
        )
        .await?;
    let team = ["linus-platform", "linus-private", "grace-platform"];
    github.add_team(ORDERS.0, "reviewers", &team)?;
    let config = world
        .harbour
        .refloat_config(&format!(
            "approval: {{ coversResume: true, team: platform/reviewers }}\n{PACE}"
        ))?
        .replace(
            "github: linus-platform",
            "github: [linus-platform, linus-private]",
        );
    let mut stage = Stage::of(world, &config, &format!("as linus: {REQUEST}")).await?;
    let number = stage.pull().await?.number;
    for login in ["linus-platform", "linus-private", "ada-poseidon"] {
        stage.review(number, login, ReviewEvent::Approve).await?;
    }
    let from = stage.refloat.shown().len();
    stage.refloat.say("as linus: approve").await?;
    stage.refloat.until_after(from, "@linus").await?;
    // A look after the reviews has come and gone: what comes later is seen to.
    stage
        .review(number, "grace-platform", ReviewEvent::Approve)
        .await?;
    stage.world.until_phase(&stage.name, Phase::Done).await?;
    let approved = stage.status().await?.approved.expect("it was approved");
    assert_eq!(approved.by, "grace");
    stage.ends(Phase::Done).await
}

/// Without the requester's login, a review alone does not count, and the thread says so.
#[tokio::test(flavor = "multi_thread")]
async fn an_unmapped_requester_is_approved_in_chat() -> anyhow::Result<()> {
    let world = Stage::world(Shape::small()).await?;
    let config = world
        .harbour
        .refloat_config(FAST)?
        .replace("github: ada-poseidon, ", "");
    let mut stage = Stage::of(world, &config, REQUEST).await?;
    let number = stage.pull().await?.number;
    stage
        .review(number, "grace-platform", ReviewEvent::Approve)
        .await?;
    let words = "the requester's GitHub account is not configured";
    stage.world.waits_for(&stage.name, words).await?;
    stage.refloat.say("as linus: approve").await?;
    stage.world.until_phase(&stage.name, Phase::Done).await?;
    stage.ends(Phase::Done).await
}

/// S3: whoever left the team after approving has not approved.
#[tokio::test(flavor = "multi_thread")]
async fn a_reviewer_who_left_the_team_has_not_approved() -> anyhow::Result<()> {
    let world = Stage::world(Shape::small()).await?;
    let both = ["grace-platform", "linus-platform"];
    world
        .harbour
        .github
        .add_team(ORDERS.0, "reviewers", &both)?;
    let config = world.harbour.refloat_config(&format!(
        "approval: {{ coversResume: true, team: platform/reviewers }}\n{PACE}"
    ))?;
    let mut stage = Stage::of(world, &config, REQUEST).await?;
    let number = stage.pull().await?.number;
    stage.world.harbour.velero.faults().stall_backups(true);
    stage
        .review(number, "grace-platform", ReviewEvent::Approve)
        .await?;
    stage
        .world
        .until_phase(&stage.name, Phase::Protecting)
        .await?;
    stage
        .world
        .harbour
        .github
        .add_team(ORDERS.0, "reviewers", &["linus-platform"])?;
    stage.world.harbour.velero.faults().stall_backups(false);
    stage.void("grace may no longer approve").await?;
    assert!(stage.status().await?.clearing.is_none());
    stage.refloat.say("as linus: approve").await?;
    stage.world.until_phase(&stage.name, Phase::Done).await?;
    stage.ends(Phase::Done).await
}

/// Whoever left the team a moment ago approves nothing, although what is asked of GitHub
/// while nobody says anything may be half a poll, 30 s, old.
#[tokio::test(flavor = "multi_thread")]
async fn a_reviewer_who_has_just_left_the_team_does_not_approve() -> anyhow::Result<()> {
    let world = Stage::world(Shape::small()).await?;
    let both = ["grace-platform", "linus-platform"];
    let github = world.harbour.github.clone();
    github.add_team(ORDERS.0, "reviewers", &both)?;
    let config = world.harbour.refloat_config(
        "approval: { coversResume: true, team: platform/reviewers }\npace: { lookAgain: 20ms }",
    )?;
    world.harbour.gate.keep_journal();
    let mut stage = Stage::of(world, &config, REQUEST).await?;
    let gate = &stage.world.harbour.gate;
    let is_of_team = |entry: &Entry| entry.call.target.contains("/teams/reviewers/members");
    until(|| async { Ok(gate.journal().iter().any(is_of_team)) }).await?;
    github.add_team(ORDERS.0, "reviewers", &["linus-platform"])?;
    stage.refloat.say("as grace: approve").await?;
    let words = "grace is not in the reviewers' team on GitHub";
    stage.world.waits_for(&stage.name, words).await?;
    stage.refloat.say("as linus: approve").await?;
    stage.world.until_phase(&stage.name, Phase::Done).await?;
    let approved = stage.status().await?.approved.expect("it was approved");
    assert_eq!(approved.by, "linus");
    stage.ends(Phase::Done).await
}

/// Nor does a review by them, if the poll that finds it comes just after another request's,
/// with which it shares what both ask alike as long as there is no review.
#[tokio::test(flavor = "multi_thread")]
async fn a_review_is_held_against_the_team_of_now() -> anyhow::Result<()> {
    let world = Stage::world(Shape::full()).await?;
    let github = world.harbour.github.clone();
    let both = ["grace-platform", "linus-platform"];
    github.add_team(ORDERS.0, "reviewers", &both)?;
    // What is shared is half a poll old at most; the second request is looked at
    // a moment after the first.
    let config = world.harbour.refloat_config(
        "approval: { coversResume: true, team: platform/reviewers }\n\
         pace: { pullRequests: 4s, lookAgain: 20ms }",
    )?;
    world.harbour.gate.keep_journal();
    let before = world.harbour.platform.snapshot().await?;
    let order = world.order("poseidon1").await?;
    let mut refloat = Refloat::start(&config)?;
    let line = "as odd: restore request tenant:triton2 namespaces:prod reason:other";
    let other = world.ask(&mut refloat, line).await?;
    world.until_asked(&other).await?;
    let name = world.ask(&mut refloat, REQUEST).await?;
    world.until_asked(&name).await?;
    let mut stage = Stage {
        world,
        refloat,
        name,
        before,
        order,
    };
    let opened = stage.status().await?.pause.and_then(|pause| pause.opened);
    let number = opened.expect("it is open").number;
    let reads = || {
        let journal = stage.world.harbour.gate.journal();
        let members = "/teams/reviewers/members";
        let asked = journal
            .iter()
            .filter(|entry| entry.call.target.contains(members));
        asked.count()
    };
    let known = reads();
    until(|| async { Ok(reads() > known) }).await?;
    let known = reads();
    github.add_team(ORDERS.0, "reviewers", &["linus-platform"])?;
    let approve = ReviewEvent::Approve;
    stage.review(number, "grace-platform", approve).await?;
    until(|| async { Ok(reads() > known) }).await?;
    stage.review(number, "linus-platform", approve).await?;
    let (world, name) = (&stage.world, &stage.name);
    world.until_phase(name, Phase::Done).await?;
    let approved = stage.status().await?.approved.expect("it was approved");
    assert_eq!(approved.by, "linus");
    let withdraw = format!("as odd: restore withdraw {other}");
    stage.refloat.say(&withdraw).await?;
    stage.world.until_phase(&other, Phase::Withdrawn).await?;
    stage.ends(Phase::Done).await
}

/// A push to the branch after the approval: it is void, the edit is made anew, and
/// somebody is asked again.
#[tokio::test(flavor = "multi_thread")]
async fn a_push_after_the_approval_voids_it() -> anyhow::Result<()> {
    let mut stage = Stage::asked(Shape::small(), FAST).await?;
    let github = stage.world.harbour.github.clone();
    // Protection keeps it from being merged before the push.
    let rule = harbour::github::Protection {
        required_checks: vec!["validate".to_owned()],
        ..harbour::github::Protection::default()
    };
    github.protect(ORDERS.0, ORDERS.1, "main", rule).await?;
    stage.refloat.say("as grace: approve").await?;
    stage
        .world
        .waits_for(&stage.name, "the check `validate` has not reported")
        .await?;
    let pull = stage.pull().await?;
    github
        .push_to(
            ORDERS.0,
            ORDERS.1,
            &pull.head,
            "ada-poseidon",
            "One more thing",
            &[("README.md", Some(b"hello"))],
        )
        .await?;
    stage.void("Somebody changed the pull request").await?;
    until(|| async { Ok(stage.status().await?.approved.is_none()) }).await?;
    // It is what Refloat made again, and the old yes is none of it.
    stage.rebuilt(&pull.head_sha).await?;
    let rebuilt = stage.pull().await?;
    assert!(rebuilt.body.contains(&rebuilt.head_sha), "{}", rebuilt.body);
    let readme = github
        .read_file(ORDERS.0, ORDERS.1, &rebuilt.head, "README.md")
        .await?;
    assert_ne!(readme.as_deref(), Some(&b"hello"[..]));
    assert!(stage.status().await?.approved.is_none());
    github
        .always_green(ORDERS.0, ORDERS.1, &["validate"])
        .await?;
    stage.refloat.say("as grace: approve").await?;
    stage.world.until_phase(&stage.name, Phase::Done).await?;
    stage.ends(Phase::Done).await
}

/// The order is changed on the base, without a conflict: what was approved was made
/// upon something else.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_the_order_voids_the_approval() -> anyhow::Result<()> {
    let mut stage = Stage::asked(Shape::small(), FAST).await?;
    let github = stage.world.harbour.github.clone();
    let rule = harbour::github::Protection {
        required_checks: vec!["validate".to_owned()],
        ..harbour::github::Protection::default()
    };
    github.protect(ORDERS.0, ORDERS.1, "main", rule).await?;
    stage.refloat.say("as grace: approve").await?;
    stage
        .world
        .waits_for(&stage.name, "the check `validate`")
        .await?;
    let head = stage.pull().await?.head_sha;
    let path = stage
        .status()
        .await?
        .checked
        .expect("it was checked")
        .order_path;
    let changed = format!("# seen to by odd\n{}", stage.order);
    github
        .commit_files(
            ORDERS.0,
            ORDERS.1,
            "main",
            "A remark",
            "odd",
            &[(&path, Some(changed.as_bytes()))],
        )
        .await?;
    stage.void("The order was changed meanwhile").await?;
    github
        .always_green(ORDERS.0, ORDERS.1, &["validate"])
        .await?;
    // Until the edit is made anew there is nothing to say yes to.
    stage.rebuilt(&head).await?;
    stage.refloat.say("as grace: approve").await?;
    stage.world.until_phase(&stage.name, Phase::Done).await?;
    // The remark stayed, and self-heal is as it was.
    assert_eq!(stage.world.order("poseidon1").await?, changed);
    stage.refloat.stop().await?;
    stage.world.end().await
}
