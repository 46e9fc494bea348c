//! Merging: by Refloat under protection, by others, and after the end.

use anyhow::Context as _;
use harbour::gate::{Fate, Service};
use harbour::github::{MergeMethod, Protection, PullStatus};
use harbour::world::ORDERS;
use harbour::world::Shape;
use refloat::request::{Phase, StuckReason, phase};

use crate::endings::{REQUEST, Stage};
use crate::refloat::{FAST, until};

/// What GitHub's protection misses is named, one by one.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_merge_misses_is_named() -> anyhow::Result<()> {
    let mut stage = Stage::asked(Shape::small(), FAST).await?;
    let github = stage.world.harbour.github.clone();
    github
        .protect(
            ORDERS.0,
            ORDERS.1,
            "main",
            Protection {
                required_approvals: 1,
                required_checks: vec!["validate".to_owned()],
                ..Protection::default()
            },
        )
        .await?;
    stage.refloat.say("as linus: approve").await?;
    stage
        .world
        .waits_for(&stage.name, "0 of 1 approving reviews on GitHub")
        .await?;
    stage
        .world
        .waits_for(&stage.name, "the check `validate` has not reported")
        .await?;
    let head = stage.pull().await?.head_sha;
    let failure = Some(harbour::github::Conclusion::Failure);
    github
        .set_check(ORDERS.0, ORDERS.1, &head, "validate", failure)
        .await?;
    stage
        .world
        .waits_for(&stage.name, "the check `validate` failed")
        .await?;
    stage
        .refloat
        .until("GitHub does not let it be merged yet")
        .await?;
    assert_eq!(phase(&stage.status().await?), Phase::Pausing);
    // Nothing was merged past protection, and a denial undoes it all.
    stage.refloat.say("restore withdraw").await?;
    stage.ends(Phase::Withdrawn).await
}

/// Somebody changes the branch and merges it before Refloat looks: the difference is
/// shown, nothing is deleted, and self-heal comes back when a person says so.
#[tokio::test(flavor = "multi_thread")]
async fn a_merge_of_something_else_is_shown_and_undone() -> anyhow::Result<()> {
    for method in [MergeMethod::Merge, MergeMethod::Squash, MergeMethod::Rebase] {
        let mut stage = Stage::asked(Shape::small(), FAST).await?;
        let github = stage.world.harbour.github.clone();
        let pull = stage.pull().await?;
        // Refloat must not see the push before the merge.
        let blind = stage.world.harbour.gate.add(move |call| {
            let ours = call.token.as_deref() == Some(harbour::REFLOAT_GITHUB_TOKEN);
            if ours && call.service == Service::Github {
                Fate::CutBefore
            } else {
                Fate::Pass
            }
        });
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
        github
            .merge_as(ORDERS.0, ORDERS.1, pull.number, "ada-poseidon", method)
            .await?;
        stage.world.harbour.gate.remove(blind);
        stage.refloat.until("it also changes README.md").await?;
        let status = stage.status().await?;
        assert_eq!(phase(&status), Phase::Stuck);
        let stuck = status.stuck.clone().expect("it is stuck");
        assert_eq!(stuck.reason, StuckReason::MergedOtherwise);
        assert!(status.self_heal_is_off() && status.clearing.is_none());
        stage.refloat.say("as grace: restore resume").await?;
        stage
            .world
            .until_phase_through_stuck(&stage.name, Phase::ResumedAsIs)
            .await?;
        assert_eq!(stage.world.order("poseidon1").await?, stage.order);
        stage.refloat.stop().await?;
        stage.world.end().await?;
    }
    Ok(())
}

/// Pointed at another branch and merged there, it is not merged: the order is as it was.
#[tokio::test(flavor = "multi_thread")]
async fn a_retargeted_pull_request_is_brought_back() -> anyhow::Result<()> {
    let mut stage = Stage::asked(Shape::small(), FAST).await?;
    let github = stage.world.harbour.github.clone();
    github
        .commit_files(
            ORDERS.0,
            ORDERS.1,
            "elsewhere",
            "Elsewhere",
            "odd",
            &[("elsewhere", Some(b"yes"))],
        )
        .await?;
    let number = stage.pull().await?.number;
    github
        .edit_as(
            ORDERS.0,
            ORDERS.1,
            number,
            "ada-poseidon",
            None,
            Some("elsewhere"),
        )
        .await?;
    until(|| async { Ok(stage.pull().await?.base == "main") }).await?;
    until(|| async {
        let head = stage.pull().await?.head_sha;
        let opened = stage.status().await?.pause.and_then(|pause| pause.opened);
        Ok(opened.is_some_and(|opened| opened.head_sha == head))
    })
    .await?;
    stage.refloat.say("as grace: approve").await?;
    stage.world.until_phase(&stage.name, Phase::Done).await?;
    stage.ends(Phase::Done).await
}

/// The answer to the opening is lost and somebody writes another record into the body:
/// what stood in the order before is read from Git.
#[tokio::test(flavor = "multi_thread")]
async fn what_stood_before_is_read_from_git() -> anyhow::Result<()> {
    let world = Stage::world(Shape::small()).await?;
    let github = world.harbour.github.clone();
    let lost = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let (seen, meddler) = (lost.clone(), github.clone());
    // From the lost answer on, Refloat reads nothing until the body is changed.
    let edited = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let done = edited.clone();
    world.harbour.gate.add(move |call| {
        use std::sync::atomic::Ordering::SeqCst;
        let ours = call.token.as_deref() == Some(harbour::REFLOAT_GITHUB_TOKEN);
        if call.service != Service::Github || !ours {
            return Fate::Pass;
        }
        if call.writes() && call.path().ends_with("/pulls") && !seen.swap(true, SeqCst) {
            return Fate::CutAfter;
        }
        if seen.load(SeqCst) && !done.load(SeqCst) {
            return Fate::CutBefore;
        }
        Fate::Pass
    });
    let meddle = tokio::spawn(async move {
        use std::sync::atomic::Ordering::SeqCst;
        until(|| async { Ok(lost.load(SeqCst)) }).await?;
        until(|| async { Ok(!meddler.pulls(ORDERS.0, ORDERS.1).await?.is_empty()) }).await?;
        let body = "<!-- refloat-record {\"value\":false} -->";
        meddler
            .edit_as(ORDERS.0, ORDERS.1, 1, "ada-poseidon", Some(body), None)
            .await?;
        edited.store(true, SeqCst);
        anyhow::Ok(())
    });
    let config = world.harbour.refloat_config(FAST)?;
    let mut stage = Stage::of(world, &config, REQUEST).await?;
    meddle.await??;
    stage.pull().await?;
    stage.refloat.say("as grace: approve").await?;
    stage.world.until_phase(&stage.name, Phase::Done).await?;
    // `selfHeal: true` is back, whatever the body said.
    stage.ends(Phase::Done).await
}

/// Merged by a person after the approval, while GitHub did not let Refloat do it: it is
/// exactly what was approved, and the restore goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_merge_by_somebody_else_after_the_approval_counts() -> anyhow::Result<()> {
    let mut stage = Stage::asked(Shape::small(), FAST).await?;
    let gate = &stage.world.harbour.gate;
    // Refloat's own merge is refused, as if it had not the right.
    let refused = gate.add(|call| {
        let ours = call.token.as_deref() == Some(harbour::REFLOAT_GITHUB_TOKEN);
        if ours && call.path().ends_with("/merge") && call.writes() {
            Fate::CutBefore
        } else {
            Fate::Pass
        }
    });
    stage.refloat.say("as grace: approve").await?;
    until(|| async { Ok(phase(&stage.status().await?) == Phase::Pausing) }).await?;
    let number = stage.pull().await?.number;
    stage
        .world
        .harbour
        .github
        .merge_as(
            ORDERS.0,
            ORDERS.1,
            number,
            "linus-platform",
            MergeMethod::Squash,
        )
        .await?;
    stage.world.harbour.gate.remove(refused);
    stage.world.until_phase(&stage.name, Phase::Done).await?;
    let pulls = stage.world.harbour.pulls().await?;
    assert_eq!(pulls.len(), 2);
    assert!(matches!(&pulls[0].status, PullStatus::Merged { by, .. } if by == "linus-platform"));
    stage.ends(Phase::Done).await
}

/// What somebody does between the pause and the way back.
#[derive(Clone, Copy, Debug)]
enum Meanwhile {
    Squashes,
    DeletesTheBranch,
    PushesToTheBranch,
    ChangesTheOrder,
}

/// The way back is one more commit on the branch of the pause, if the base holds what was
/// merged from there as it was. Else it has a branch of its own; either way it brings back
/// exactly what stood there before.
#[tokio::test(flavor = "multi_thread")]
async fn the_way_back_uses_the_branch_again_where_that_is_safe() -> anyhow::Result<()> {
    for (meanwhile, again) in [
        (Meanwhile::Squashes, false),
        (Meanwhile::DeletesTheBranch, false),
        (Meanwhile::PushesToTheBranch, true),
        (Meanwhile::ChangesTheOrder, true),
    ] {
        let mut stage = Stage::asked(Shape::small(), FAST).await?;
        let github = stage.world.harbour.github.clone();
        let pause = stage.pull().await?;
        let method = match meanwhile {
            Meanwhile::Squashes => MergeMethod::Squash,
            _ => MergeMethod::Merge,
        };
        // A merge is no approval: it is still waited for.
        github
            .merge_as(ORDERS.0, ORDERS.1, pause.number, "ada-poseidon", method)
            .await?;
        let mut order = stage.order.clone();
        match meanwhile {
            Meanwhile::Squashes => {}
            Meanwhile::DeletesTheBranch => {
                github
                    .delete_branch(ORDERS.0, ORDERS.1, &pause.head)
                    .await?;
            }
            Meanwhile::PushesToTheBranch => {
                github
                    .push_to(
                        ORDERS.0,
                        ORDERS.1,
                        &pause.head,
                        "ada-poseidon",
                        "One more thing",
                        &[("README.md", Some(b"hello"))],
                    )
                    .await?;
            }
            Meanwhile::ChangesTheOrder => {
                order.push_str("# Seen by the platform team.\n");
                let paused = stage.world.order("poseidon1").await?;
                let text = format!("{paused}# Seen by the platform team.\n");
                let checked = stage.status().await?.checked.expect("it was checked");
                github
                    .commit_files(
                        ORDERS.0,
                        ORDERS.1,
                        "main",
                        "Seen",
                        "grace-platform",
                        &[(&checked.order_path, Some(text.as_bytes()))],
                    )
                    .await?;
            }
        }
        stage.refloat.say("as linus: approve").await?;
        stage
            .world
            .until_phase(&stage.name, Phase::Done)
            .await
            .with_context(|| format!("{meanwhile:?}"))?;
        let pulls = stage.world.harbour.pulls().await?;
        assert_eq!(pulls.len(), 2, "{meanwhile:?}");
        assert_eq!(pulls[1].head == pause.head, again, "{meanwhile:?}");
        // What somebody pushed to the merged branch came nowhere.
        let readme = github
            .read_file(ORDERS.0, ORDERS.1, "main", "README.md")
            .await?;
        assert_ne!(readme.as_deref(), Some(b"hello".as_slice()));
        stage.order = order;
        stage.ends(Phase::Done).await?;
    }
    Ok(())
}
