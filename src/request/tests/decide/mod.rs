//! The machine in one table: each phase, what was seen, and the next step.
//!
//! `Record`s are named by their fact alone; the exact words are looked at where
//! they matter.

mod approval;
mod clearing;
mod restore;
mod resume;

use super::build::*;
use crate::request::applications::Application;
use crate::request::inventory::{LiveObject, Ownership};
use crate::request::observed::{Clearing, Observed};
use crate::request::*;

fn step_at(
    seconds: i64,
    spec: &RestoreRequestSpec,
    policy: &Policy,
    status: &RestoreStatus,
    seen: &Observed,
) -> Step {
    decide(
        Subject {
            uid: UID,
            created: at(0),
            spec,
            status,
        },
        seen,
        policy,
        at(seconds),
    )
}

/// The step in few words.
fn words(step: &Step, now: i64) -> String {
    let until = |until: &jiff::Timestamp| until.duration_since(at(now)).as_secs();
    match step {
        Step::Act(Effect::MergePull(which, head)) => format!("merge {} {head}", which.word()),
        Step::Act(Effect::Look(what, _, name)) => format!("look at {name} ({what:?})"),
        Step::Act(Effect::Delete(batch)) => format!(
            "delete {}",
            batch
                .iter()
                .map(|object| object.name.as_str())
                .collect::<Vec<_>>()
                .join(" ")
        ),
        Step::Act(effect) => effect.name().to_owned(),
        Step::Record(fact) => match fact {
            Fact::Ended(outcome, _) => format!("{outcome:?}"),
            Fact::Stuck(stuck) => format!("stuck: {:?}", stuck.reason),
            Fact::Reminded(about) => format!("remind: {about:?}"),
            Fact::PullNotNeeded(which, _)
            | Fact::PullOpened(which, ..)
            | Fact::PullHead(which, _)
            | Fact::PullMerged(which, _)
            | Fact::PullClosed(which) => {
                let name = format!("{fact:?}");
                let name = name.split('(').next().unwrap_or_default();
                format!("record {name} {}", which.word())
            }
            fact => {
                let name = format!("{fact:?}");
                let name = name.split(['(', ' ', '{']).next().unwrap_or_default();
                format!("record {name}")
            }
        },
        Step::Wait { until: moment, why } => format!(
            "wait {}{}",
            until(moment),
            if why.is_some() { ", saying why" } else { "" }
        ),
        Step::Rest => "rest".to_owned(),
    }
}

type Row = (&'static str, RestoreStatus, Observed, i64, &'static str);

fn hold(rows: Vec<Row>) {
    hold_with(&spec(), &policy(), rows);
}

fn hold_with(spec: &RestoreRequestSpec, policy: &Policy, rows: Vec<Row>) {
    let wrong: Vec<String> = rows
        .into_iter()
        .filter_map(|(name, status, seen, now, expected)| {
            let step = step_at(now, spec, policy, &status, &seen);
            let words = words(&step, now);
            (words != expected).then(|| format!("{name}: {words}, not {expected}\n   {step:?}"))
        })
        .collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

fn clearing(objects: Vec<LiveObject>) -> Clearing {
    Clearing {
        applications: vec![application("web")],
        objects,
        ownership: Ownership::default(),
        undiscovered: Vec::new(),
        restore_exists: false,
        survey: None,
    }
}

#[test]
fn over_is_over() {
    for outcome in [
        Outcome::Refused,
        Outcome::Denied,
        Outcome::Withdrawn,
        Outcome::Expired,
        Outcome::ResumedAsIs,
    ] {
        let status = after(RestoreStatus::default(), 1, ended(outcome));
        hold(vec![("over", status, Observed::Nothing, 2, "rest")]);
    }
}

#[test]
fn reminders_of_self_heal_grow_rarer_but_never_stop_nor_run_away() {
    let mut status = status(Phase::Settling);
    let mut hours = Vec::new();
    for minute in 0..(10 * 24 * 60) {
        let now = 60 * minute;
        let step = step_at(now, &spec(), &policy(), &status, &Observed::Nothing);
        if step == Step::Record(Fact::Reminded(ReminderOf::SelfHealOff)) {
            hours.push(minute / 60);
            status = after(status, now, Fact::Reminded(ReminderOf::SelfHealOff));
            // Once is enough: the next pass goes on.
            let next = step_at(now, &spec(), &policy(), &status, &Observed::Nothing);
            assert!(matches!(next, Step::Wait { .. }), "{next:?}");
        }
    }
    assert_eq!(hours, [4, 8, 16, 32, 56, 80, 104, 128, 152, 176, 200, 224]);
}

#[test]
fn what_people_are_told() {
    let say = |status: &RestoreStatus, seen: &Observed, seconds| match step_at(
        seconds,
        &spec(),
        &policy(),
        status,
        seen,
    ) {
        Step::Wait { why, .. } => why.unwrap_or_default(),
        Step::Record(Fact::Ended(_, message) | Fact::Voided(message, _)) => message,
        Step::Record(Fact::Stuck(stuck)) => stuck.message,
        step => panic!("{step:?}"),
    };
    let own = Application {
        generated: false,
        self_heal: true,
        ..application("web")
    };
    let settling = Observed::Settling(vec![own]);
    insta::assert_snapshot!(
        say(&status(Phase::Settling), &settling, 21),
        @"openshift-gitops/web still heals, and the order does not reach it: turn selfHeal off in the manifest of the Application openshift-gitops/web (it deploys https://git.example.com/poseidon/deployments.git dev/web)"
    );
    insta::assert_snapshot!(
        say(&status(Phase::Settling), &settling, 1821),
        @"Argo CD did not become quiet in time: openshift-gitops/web still heals, and the order does not reach it: turn selfHeal off in the manifest of the Application openshift-gitops/web (it deploys https://git.example.com/poseidon/deployments.git dev/web). Nothing was deleted."
    );
    let mut changed = survey();
    changed.objects.push(object("", "Secret", "s"));
    changed.objects.remove(4);
    let view = Observed::Clearing(Box::new(Clearing {
        survey: Some(changed),
        ..clearing(Vec::new())
    }));
    insta::assert_snapshot!(
        say(&status(Phase::Clearing), &view, 51),
        @"What would be deleted has changed since it was approved: Secret 0 before, 1 now and ConfigMap 1 before, none now."
    );
    let early = after(
        status(Phase::AwaitingApproval),
        5,
        Fact::PullMerged(Which::Pause, None),
    );
    insta::assert_snapshot!(
        say(&early, &Observed::AwaitingApproval(Some(merged(1))), 10),
        @"the pull request is merged, so that a review no longer counts: a reviewer has to approve here"
    );
}
