//! What each fact does to the status.

use jiff::SignedDuration;

use super::build::*;
use crate::request::*;

#[test]
fn an_ending_takes_the_question_away_and_stays() {
    let stuck = after(
        status(Phase::Protecting),
        50,
        stuck(StuckReason::SafetyBackupFailed, 50),
    );
    let once = after(stuck, 55, ended(Outcome::Withdrawn));
    assert_eq!(once.stuck, None);
    assert_eq!(super::super::phase(&once), Phase::Resuming);
    let twice = after(once, 56, ended(Outcome::Denied));
    assert_eq!(twice.ending.unwrap().outcome, Outcome::Withdrawn);
}

#[test]
fn what_was_merged_otherwise_takes_the_approval_away_and_is_asked_about() {
    let otherwise = |seconds, status| {
        let fact = Fact::PullMergedOtherwise(None, "it also changes README.md".to_owned());
        after(status, seconds, fact)
    };
    let status = otherwise(12, status(Phase::Pausing));
    assert_eq!(status.approved, None);
    assert!(status.self_heal_is_off());
    assert_eq!(super::super::phase(&status), Phase::Stuck);
    // Whoever says `retry` takes it as it is, and approves it anew.
    let retried = chose(status.clone(), 20, Action::Retry);
    assert_eq!(super::super::phase(&retried), Phase::AwaitingApproval);
    let undone = chose(status, 20, Action::ResumeAsIs);
    assert_eq!(super::super::phase(&undone), Phase::Resuming);
}

#[test]
fn what_is_void_is_settled_and_saved_again() {
    let mut found = checked();
    found.at = at(55);
    let status = after(
        status(Phase::Clearing),
        55,
        Fact::Voided("changed".to_owned(), Some(Box::new(found))),
    );
    assert_eq!(status.approved, None);
    assert_eq!(status.settled, None);
    assert_eq!(status.safety_backup, None);
    assert_eq!(status.safety_round(), 1);
    assert_eq!(status.checked.as_ref().unwrap().at, at(55));
    assert_eq!(super::super::phase(&status), Phase::AwaitingApproval);
    assert!(status.self_heal_is_off());
}

#[test]
fn the_first_unsettling_counts_until_the_next_approval() {
    let mut status = after(status(Phase::Protecting), 35, Fact::Unsettled);
    apply(&mut status, Fact::Settled(Vec::new()), at(40));
    apply(&mut status, Fact::Unsettled, at(45));
    assert_eq!(status.unsettled_at, Some(at(35)));
    let approved = approved(&status);
    apply(&mut status, Fact::Approved(approved), at(50));
    assert_eq!(status.unsettled_at, None);
}

#[test]
fn empty_twice_in_a_row() {
    let began = || {
        after(
            status(Phase::Clearing),
            60,
            Fact::ClearingBegan {
                total: 5,
                cutoff: at(0),
            },
        )
    };
    let emptied = |status: &RestoreStatus| status.clearing.as_ref().unwrap().emptied_at;
    let once = after(began(), 61, Fact::SeenEmpty);
    assert_eq!(emptied(&once), None);
    assert_eq!(
        emptied(&after(once.clone(), 62, Fact::SeenEmpty)),
        Some(at(62))
    );
    for between in [Fact::SeenNotEmpty, Fact::ClearingProgress(1)] {
        let status = after(after(once.clone(), 62, between), 63, Fact::SeenEmpty);
        assert_eq!(emptied(&status), None);
    }
}

#[test]
fn a_restore_moves_when_a_number_or_its_phase_does() {
    let first = after(
        status(Phase::Restoring),
        80,
        Fact::Restore(run("InProgress")),
    );
    let progressed = |status: &RestoreStatus| status.restore.as_ref().unwrap().progressed_at;
    let mut more = run("InProgress");
    more.warnings = 3;
    let same = after(first.clone(), 90, Fact::Restore(more));
    assert_eq!(progressed(&same), Some(at(80)));
    let mut more = run("InProgress");
    more.bytes.done = 3;
    let moved = after(first, 90, Fact::Restore(more));
    assert_eq!(progressed(&moved), Some(at(90)));
}

#[test]
fn every_answer_to_every_question() {
    use Action::{ResumeAsIs, Retry};
    use StuckReason as Reason;
    let restored = || after(status(Phase::Restoring), 85, Fact::Restore(run("Failed")));
    let rows = vec![
        (Reason::SafetyBackupFailed, Retry, Phase::Protecting),
        (Reason::SafetyBackupFailed, ResumeAsIs, Phase::Resuming),
        (Reason::ClearingBlocked, Retry, Phase::Clearing),
        (Reason::ClearingBlocked, ResumeAsIs, Phase::Resuming),
        (Reason::RestoreFailed, Retry, Phase::Restoring),
        (Reason::RestoreFailed, ResumeAsIs, Phase::Resuming),
        (Reason::RestorePartiallyFailed, Retry, Phase::Restoring),
        (Reason::RestorePartiallyFailed, ResumeAsIs, Phase::Resuming),
        (Reason::RestoreVanished, Retry, Phase::Restoring),
        (Reason::RestoreVanished, ResumeAsIs, Phase::Resuming),
        (Reason::RestoreStalled, Retry, Phase::Restoring),
        (Reason::RestoreStalled, ResumeAsIs, Phase::Resuming),
        (Reason::VerificationFailed, Retry, Phase::Verifying),
        (Reason::VerificationFailed, ResumeAsIs, Phase::Resuming),
        (Reason::WouldPrune, Retry, Phase::Resuming),
        (Reason::WouldPrune, ResumeAsIs, Phase::Resuming),
        (Reason::ResumeBlocked, Retry, Phase::Resuming),
        (Reason::ResumeBlocked, ResumeAsIs, Phase::Resuming),
    ];
    for (reason, action, expected) in rows {
        let before = match reason {
            Reason::SafetyBackupFailed => after(
                status(Phase::Protecting),
                41,
                Fact::SafetyBackup(safety(false)),
            ),
            Reason::ClearingBlocked => status(Phase::Clearing),
            Reason::VerificationFailed => status(Phase::Verifying),
            Reason::WouldPrune | Reason::ResumeBlocked => status(Phase::Resuming),
            _ => restored(),
        };
        let after = chose(after(before, 200, stuck(reason, 200)), 300, action);
        assert_eq!(
            super::super::phase(&after),
            expected,
            "{reason:?} {action:?}"
        );
        assert_eq!(after.stuck, None);
        assert_eq!(
            after.last_choice_at(),
            Some(at(300)),
            "{reason:?} {action:?}"
        );
        let ended = after.ending.is_some();
        assert_eq!(ended, action == ResumeAsIs && reason != Reason::WouldPrune);
        let again = action == Retry
            && matches!(
                reason,
                Reason::RestoreFailed | Reason::RestorePartiallyFailed | Reason::RestoreVanished
            );
        assert_eq!(after.earlier_restores.len(), usize::from(again));
        assert_eq!(
            after.safety_round(),
            usize::from((reason, action) == (Reason::SafetyBackupFailed, Retry))
        );
    }
}

#[test]
fn going_on_after_a_restore_was_found_never_clears() {
    for began in [Phase::Clearing, Phase::Restoring] {
        let mut status = status(began);
        if let Some(clearing) = &mut status.clearing {
            clearing.emptied_at = None;
        }
        apply(&mut status, Fact::Restore(run("New")), at(85));
        let status = after(status, 86, stuck(StuckReason::ClearingBlocked, 86));
        let status = chose(status, 90, Action::Retry);
        assert_eq!(super::super::phase(&status), Phase::Restoring);
    }
}

#[test]
fn a_second_consent_does_not_take_the_first_away() {
    let ask = |status: RestoreStatus, seconds: i64, object: &str| {
        let stuck = Stuck {
            at: at(seconds),
            reason: StuckReason::WouldPrune,
            message: String::new(),
            objects: vec![object.to_owned()],
        };
        let status = after(status, seconds, Fact::Stuck(Box::new(stuck)));
        chose(status, seconds + 1, Action::ResumeAsIs)
    };
    let status = ask(ask(status(Phase::Resuming), 200, "a"), 210, "b");
    let mut objects = status.prune_consent.unwrap().objects;
    objects.sort();
    assert_eq!(objects, ["a", "b"]);
}

#[test]
fn an_old_answer_is_none_even_if_the_clock_stands_still() {
    let once = after(
        status(Phase::Verifying),
        200,
        stuck(StuckReason::VerificationFailed, 200),
    );
    let twice = after(
        chose(once, 200, Action::Retry),
        200,
        stuck(StuckReason::VerificationFailed, 200),
    );
    assert_eq!(
        twice.stuck.unwrap().at,
        at(200) + SignedDuration::from_nanos(1)
    );
}

#[test]
fn failures_are_counted_until_something_succeeds() {
    let effect = Effect::SafetyBackup;
    let attempts = |status: &RestoreStatus| status.last_error.as_ref().map(|last| last.attempts);
    let mut status = after(status(Phase::Protecting), 31, failed(&effect));
    apply(&mut status, failed(&effect), at(32));
    assert_eq!(attempts(&status), Some(2));
    apply(&mut status, Fact::Waiting(Some("a".to_owned())), at(33));
    apply(&mut status, Fact::Reminded(ReminderOf::SelfHealOff), at(33));
    assert_eq!(attempts(&status), Some(2));
    apply(&mut status, failed(&Effect::Restore), at(34));
    assert_eq!(attempts(&status), Some(1));
    apply(&mut status, Fact::SafetyBackup(safety(false)), at(35));
    assert_eq!(attempts(&status), None);
}
