//! The first good backup, and being reminded.

use super::*;

#[test]
fn it_is_done_with_the_first_good_backup() {
    let mut stage = Stage::merged(add());
    let view = Applying {
        wanted: Some(live("nightly", "30 3 * * *", "720h0m0s", "Enabled")),
        ..applying(&add())
    };
    stage.go(&seen(view));
    let run = |name: &str, phase: &str, started: Timestamp| Run {
        name: name.to_owned(),
        phase: phase.to_owned(),
        started_at: Some(started),
        expires_at: None,
        failure: (phase == "Failed").then(|| "no space left".to_owned()),
    };
    let confirming = |runs: Vec<Run>| {
        Observed::Confirming(Confirming {
            schedule: Some(live("nightly", "30 3 * * *", "720h0m0s", "Enabled")),
            runs,
        })
    };
    // A backup from before proves nothing.
    let old = run("old", "Completed", at(-10));
    assert_eq!(stage.waits(&confirming(vec![old.clone()])), "its next run");
    let bad = run("bad", "Failed", stage.now);
    assert!(matches!(
        stage.go(&confirming(vec![bad.clone(), old.clone()])),
        Fact::BadRun(_)
    ));
    stage.waits(&confirming(vec![bad.clone(), old.clone()]));
    // Removed or changed meanwhile: it will never come.
    let removed = Observed::Confirming(Confirming::default());
    assert!(matches!(
        stage.step(&removed),
        Step::Record(Fact::Ended(Outcome::Superseded, _))
    ));
    let mut late = Stage {
        spec: stage.spec.clone(),
        status: stage.status.clone(),
        now: stage.now + SignedDuration::from_hours(60),
    };
    late.go(&confirming(vec![bad.clone()]));
    assert_eq!(late.phase(), Phase::Stuck);
    let good = run("good", "Completed", stage.now);
    assert!(matches!(
        stage.go(&confirming(vec![good, bad])),
        Fact::Confirmed(_)
    ));
    assert_eq!(stage.phase(), Phase::Done);
    assert_eq!(stage.step(&Observed::Nothing), Step::Rest);
}

#[test]
fn reminders_come_once_each() {
    let mut stage = Stage::open(add());
    stage.now += SignedDuration::from_mins(31);
    assert_eq!(stage.go(&ready()), Fact::Reminded);
    stage.waits(&ready());
}
