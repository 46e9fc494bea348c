//! From facts to phases.

use super::build::*;
use crate::request::*;

#[test]
fn the_straight_way() {
    for phase in Phase::ALL.into_iter().filter(|phase| *phase <= Phase::Done) {
        assert_eq!(super::super::phase(&status(phase)), phase);
    }
}

#[test]
fn what_ends_is_undone_first() {
    let checked = || {
        after(
            RestoreStatus::default(),
            1,
            Fact::Checked(Box::new(checked())),
        )
    };
    let unneeded = || after(checked(), 2, Fact::PullNotNeeded(Which::Pause, record()));
    let open = || status(Phase::AwaitingApproval);
    let off = || status(Phase::Settling);
    let rows = vec![
        ("never checked", RestoreStatus::default(), Phase::Denied),
        ("the opening was never answered", checked(), Phase::Resuming),
        (
            "looked for",
            after(checked(), 3, Fact::Resumed),
            Phase::Denied,
        ),
        ("nothing was paused", unneeded(), Phase::Denied),
        ("the pause is open", open(), Phase::Resuming),
        (
            "the pause is closed",
            after(open(), 3, Fact::PullClosed(Which::Pause)),
            Phase::Denied,
        ),
        ("self-heal is off", off(), Phase::Resuming),
        (
            "self-heal is back",
            after(off(), 30, Fact::Resumed),
            Phase::Denied,
        ),
    ];
    for (name, status, expected) in rows {
        let status = after(status, 40, ended(Outcome::Denied));
        assert_eq!(super::super::phase(&status), expected, "{name}");
    }
}

#[test]
fn stuck_comes_before_all_else() {
    for phase in Phase::ALL.into_iter().filter(|phase| *phase < Phase::Done) {
        let status = after(status(phase), 200, stuck(StuckReason::ResumeBlocked, 200));
        assert_eq!(super::super::phase(&status), Phase::Stuck);
    }
}

#[test]
fn a_restore_that_did_not_complete_is_still_restoring() {
    for phase in ["New", "InProgress", "PartiallyFailed", "Failed"] {
        let status = after(status(Phase::Restoring), 85, Fact::Restore(run(phase)));
        assert_eq!(super::super::phase(&status), Phase::Restoring, "{phase}");
    }
}

#[test]
fn an_over_phase_is_over() {
    for phase in Phase::ALL {
        let over = matches!(
            phase,
            Phase::Done
                | Phase::Refused
                | Phase::Denied
                | Phase::Withdrawn
                | Phase::Expired
                | Phase::ResumedAsIs
        );
        assert_eq!(phase.is_over(), over);
    }
}
