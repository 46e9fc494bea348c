//! Conditions: what they say, and since when.

use super::build::*;
use crate::request::conditions::publish;
use crate::request::*;

fn condition<'a>(status: &'a RestoreStatus, type_: &str) -> &'a Condition {
    status
        .conditions
        .iter()
        .find(|condition| condition.type_ == type_)
        .unwrap()
}

#[test]
fn what_does_not_change_keeps_its_time() {
    let mut status = status(Phase::Pausing);
    publish(&mut status, Some(1), at(20));
    apply(&mut status, Fact::PullMerged(Which::Pause, None), at(30));
    publish(&mut status, Some(2), at(30));
    let time = |type_| condition(&status, type_).last_transition_time;
    assert_eq!(time("Approved"), at(20));
    assert_eq!(time("Progressing"), at(30), "another phase");
    assert_eq!(time("SelfHealPaused"), at(30));
    assert!(
        status
            .conditions
            .iter()
            .all(|condition| condition.observed_generation == Some(2))
    );
    assert_eq!(status.observed_generation, Some(2));
    let before = status.conditions.clone();
    publish(&mut status, Some(2), at(99));
    assert_eq!(status.conditions, before);
}

#[test]
fn what_they_say() {
    let say = |mut status: RestoreStatus| {
        publish(&mut status, None, at(500));
        status
            .conditions
            .iter()
            .map(|c| format!("{}={} {} [{}]", c.type_, c.status, c.reason, c.message))
            .collect::<Vec<_>>()
            .join("\n")
    };
    insta::assert_snapshot!(say(status(Phase::Settling)), @r"
    Progressing=True Settling [It is waiting for Argo CD to be quiet.]
    Approved=True Approved [by olav]
    SelfHealPaused=True PausedByRefloat []
    Stalled=False NotStalled []
    Succeeded=Unknown InProgress []
    ");
    insta::assert_snapshot!(
        say(after(status(Phase::Verifying), 200, stuck(StuckReason::VerificationFailed, 200))),
        @r"
    Progressing=False Stuck [It is stuck until somebody chooses how to go on.]
    Approved=True Approved [by olav]
    SelfHealPaused=True PausedByRefloat []
    Stalled=True VerificationFailed [why]
    Succeeded=Unknown InProgress []
    "
    );
    insta::assert_snapshot!(say(status(Phase::Done)), @r"
    Progressing=False Done [It is done.]
    Approved=True Approved [by olav]
    SelfHealPaused=False NotPaused []
    Stalled=False NotStalled []
    Succeeded=True Done []
    ");
    insta::assert_snapshot!(
        say(after(RestoreStatus::default(), 1, ended(Outcome::Refused))),
        @r"
    Progressing=False Refused [It is refused.]
    Approved=False NotApproved []
    SelfHealPaused=False NotPaused []
    Stalled=False NotStalled []
    Succeeded=False Refused [why]
    "
    );
}
