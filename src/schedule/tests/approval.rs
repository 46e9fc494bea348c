//! From the pull request to its merge, or to an early end.

use super::*;

#[test]
fn a_reviewers_yes_merges_and_nobody_elses() {
    let mut stage = Stage::of(add());
    assert_eq!(
        stage.step(&Observed::Pull(None)),
        Step::Act(Effect::OpenPull)
    );
    stage = Stage::open(add());
    stage.waits(&ready());
    // The requester's own yes, and a stranger's, are none.
    stage.vote("anna", Verdict::Approve);
    stage.vote("bert", Verdict::Approve);
    stage.waits(&ready());
    stage.vote("ravi", Verdict::Approve);
    assert!(matches!(stage.go(&ready()), Fact::Approved(_)));
    assert_eq!(stage.phase(), Phase::Merging);
    assert_eq!(stage.step(&ready()), Step::Act(Effect::Mirror));
    stage.learn(Fact::Mirrored);
    assert_eq!(
        stage.step(&ready()),
        Step::Act(Effect::MergePull("head".to_owned()))
    );
    // Somebody changes it in between: the yes was not to that.
    assert_eq!(
        stage.go(&pull(PullState::Open, "other", Some(true))),
        Fact::PullHead("other".to_owned())
    );
    assert_eq!(stage.phase(), Phase::AwaitingApproval);
}

#[test]
fn what_the_repository_merges_by_itself_counts() {
    let mut stage = Stage::open(add());
    assert_eq!(stage.go(&merged_pull()), Fact::PullMerged(None));
    assert_eq!(stage.phase(), Phase::Applying);
    // From here on it cannot be called off.
    stage.spec.withdrawal = Some(Withdrawal {
        by: person("anna"),
        at: stage.now,
    });
    stage.waits(&Observed::Applying(Box::default()));
}

#[test]
fn a_conflict_voids_the_yes_and_is_built_anew() {
    let mut stage = Stage::open(add());
    stage.vote("ravi", Verdict::Approve);
    stage.go(&ready());
    let conflict = pull(PullState::Open, "head", Some(false));
    assert!(matches!(stage.go(&conflict), Fact::Voided(_)));
    assert_eq!(stage.step(&conflict), Step::Act(Effect::RebuildPull));
    let mut opened = stage.status.pull.clone().unwrap().opened.unwrap();
    opened.head_sha = "anew".to_owned();
    stage.learn(Fact::PullOpened(opened));
    // The old yes is not to the new head.
    let anew = pull(PullState::Open, "anew", Some(true));
    stage.waits(&anew);
    stage.vote("ravi", Verdict::Approve);
    assert!(matches!(stage.go(&anew), Fact::Approved(_)));
}

#[test]
fn how_it_ends_early() {
    let mut lines = Vec::new();
    let mut end = |about: &str, stage: &mut Stage, seen: &Observed| {
        stage.go(seen);
        let before = stage.phase();
        if before == Phase::Closing {
            assert!(matches!(
                stage.step(&ready()),
                Step::Act(Effect::ClosePull(_))
            ));
            stage.go(&pull(PullState::Closed, "head", None));
        }
        lines.push(format!("{about}: {:?}, {}", stage.phase(), stage.ended()));
        assert_eq!(stage.step(&Observed::Nothing), Step::Rest);
    };
    end(
        "closed",
        &mut Stage::open(add()),
        &pull(PullState::Closed, "head", None),
    );
    end("gone", &mut Stage::open(add()), &Observed::Pull(None));
    let mut denied = Stage::open(add());
    denied.vote("ravi", Verdict::Deny);
    end("denied", &mut denied, &ready());
    let mut withdrawn = Stage::open(add());
    withdrawn.spec.withdrawal = Some(Withdrawal {
        by: person("anna"),
        at: at(3),
    });
    end("withdrawn", &mut withdrawn, &ready());
    let mut late = Stage::open(add());
    late.now += SignedDuration::from_hours(25);
    end("late", &mut late, &ready());
    // The answer to the opening was lost: what was opened is looked for.
    let mut lost = Stage::of(add());
    lost.spec.withdrawal.clone_from(&withdrawn.spec.withdrawal);
    lost.go(&Observed::Pull(None));
    assert_eq!(lost.step(&ready()), Step::Act(Effect::OpenPull));
    end("lost", &mut lost, &Observed::Pull(None));
    insta::assert_snapshot!(lines.join("\n"), @"
    closed: Denied, Denied: The pull request #7 was closed without being merged.
    gone: Denied, Denied: The pull request #7 is gone.
    denied: Denied, Denied: Ravi denied it.
    withdrawn: Withdrawn, Withdrawn: Anna withdrew the request.
    late: Expired, Expired: Nobody approved it in time.
    lost: Withdrawn, Withdrawn: Anna withdrew the request.
    ");
}
