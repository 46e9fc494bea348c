//! From the merge to what Velero has.

use super::*;

#[test]
fn it_is_applied_when_velero_runs_it_as_ordered() {
    let mut stage = Stage::merged(add());
    let mut view = applying(&add());
    // The order first: a merge says nothing of what it merged.
    let differs = Applying {
        order: Some(order(ORDER)),
        ..view.clone()
    };
    assert!(
        stage
            .waits(&seen(differs))
            .contains("does not read as asked")
    );
    // Argo CD has not looked.
    view.applications[0].reconciled_at = None;
    assert_eq!(
        stage.step(&seen(view.clone())),
        Step::Act(Effect::Look(
            "openshift-gitops".to_owned(),
            "poseidon1-tenant".to_owned()
        ))
    );
    stage.learn(Fact::Looked("openshift-gitops/poseidon1-tenant".to_owned()));
    view.applications[0].sync = "OutOfSync".to_owned();
    assert!(
        stage
            .waits(&seen(view.clone()))
            .contains("is not synced yet")
    );
    view.applications[0].sync = "Synced".to_owned();
    assert!(stage.waits(&seen(view.clone())).contains("has no Schedule"));
    for wrong in [
        live("nightly", "0 1 * * *", "720h0m0s", "Enabled"),
        live("nightly", "30 3 * * *", "24h0m0s", "Enabled"),
        live("nightly", "30 3 * * *", "720h0m0s", ""),
    ] {
        view.wanted = Some(wrong);
        stage.waits(&seen(view.clone()));
    }
    // The same length of time, written otherwise.
    view.wanted = Some(live("nightly", "30 3 * * *", "720h", "Enabled"));
    assert!(matches!(stage.go(&seen(view)), Fact::Applied(_, None)));
    assert_eq!(stage.phase(), Phase::Confirming);
}

#[test]
fn velero_may_refuse_and_argo_may_never_come() {
    let mut stage = Stage::merged(add());
    let mut view = applying(&add());
    let mut refused = live("nightly", "30 3 * * *", "720h0m0s", "FailedValidation");
    refused.errors = vec!["invalid schedule: no".to_owned()];
    view.wanted = Some(refused);
    stage.go(&seen(view));
    assert_eq!(stage.phase(), Phase::Failed);
    insta::assert_snapshot!(stage.ended(), @"Failed: Velero refuses the Schedule poseidon1-nightly: invalid schedule: no. It is in the order all the same: order another time with `schedule change`, or take it out with `schedule remove`.");

    let mut stage = Stage::merged(add());
    stage.now += SignedDuration::from_mins(31);
    let view = applying(&add());
    stage.go(&seen(view.clone()));
    assert_eq!(stage.phase(), Phase::Stuck);
    insta::assert_snapshot!(stage.status.stuck.as_ref().map(|stuck| stuck.message.clone()).unwrap_or_default(), @"The cluster does not have in time what the order says: Velero has no Schedule poseidon1-nightly yet.");
    // To go on begins every deadline anew; to leave it is an end.
    for (action, phase) in [
        (request::Action::Retry, Phase::Applying),
        (request::Action::ResumeAsIs, Phase::Failed),
    ] {
        let mut stage = Stage {
            spec: stage.spec.clone(),
            status: stage.status.clone(),
            now: stage.now,
        };
        stage.spec.choice = Some(request::Choice {
            by: person("anna"),
            at: stage.now,
            action,
            answers: stage.status.stuck.as_ref().unwrap().at,
        });
        assert!(matches!(stage.go(&Observed::Nothing), Fact::Chosen(_)));
        assert_eq!(stage.phase(), phase);
    }
}

#[test]
fn what_argo_leaves_is_deleted_if_nothing_speaks_against_it() {
    let remove = change(Action::Remove, "daily", None, None);
    let stage = Stage::merged(remove.clone());
    let left = Applying {
        unwanted: Some(live("daily", "0 1 * * *", "168h0m0s", "Enabled")),
        ..applying(&remove)
    };
    assert_eq!(
        stage.step(&seen(left.clone())),
        Step::Act(Effect::DeleteSchedule(
            "poseidon1-daily".to_owned(),
            "uid-daily".to_owned()
        ))
    );
    // Argo CD still asks for it, or has not looked, or the order has it again.
    let asked_for = Applying {
        asked_for: true,
        ..left.clone()
    };
    assert!(stage.waits(&seen(asked_for)).contains("still asks for"));
    let mut unlooked = left.clone();
    unlooked.applications[0].reconciled_at = None;
    assert!(matches!(
        stage.step(&seen(unlooked)),
        Step::Act(Effect::Look(..))
    ));
    let again = Applying {
        order: Some(order(ORDER)),
        ..left.clone()
    };
    assert!(stage.waits(&seen(again)).contains("still has the schedule"));
    // Its backups would go with it, or it is not the tenant's, or nobody approved.
    let mut owns = left.clone();
    let mut foreign = left.clone();
    if let (Some(owns), Some(foreign)) = (&mut owns.unwanted, &mut foreign.unwanted) {
        owns.owns_backups = true;
        foreign.namespaces.push("triton2-prod".to_owned());
    }
    let mut not_needed = Stage::of(remove);
    not_needed.learn(Fact::PullNotNeeded);
    for (stage, view) in [
        (&stage, owns),
        (&stage, foreign),
        (&not_needed, left.clone()),
    ] {
        assert!(matches!(
            stage.step(&seen(view)),
            Step::Record(Fact::Stuck(_))
        ));
    }
    // Gone: what remains is told.
    let run = |name: &str, phase: &str, expires| Run {
        name: name.to_owned(),
        phase: phase.to_owned(),
        started_at: Some(at(-3600)),
        expires_at: Some(at(expires)),
        failure: None,
    };
    let gone = Applying {
        unwanted: None,
        runs: vec![
            run("a", "Completed", 100),
            run("b", "PartiallyFailed", 300),
            run("c", "Failed", 900),
        ],
        ..left
    };
    let mut stage = stage;
    stage.go(&seen(gone));
    assert_eq!(stage.phase(), Phase::Done);
    assert_eq!(
        stage.status.remaining,
        Some(Remaining {
            backups: 2,
            newest: vec!["a".to_owned(), "b".to_owned()],
            until: Some(at(300))
        })
    );
}
