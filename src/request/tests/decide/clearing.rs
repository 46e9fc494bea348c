//! Settling, protecting, clearing.

use super::super::build::*;
use super::{clearing, hold, hold_with};
use crate::request::applications::Application;
use crate::request::inventory::LiveObject;
use crate::request::observed::{Clearing, Observed, SafetyBackup};
use crate::request::preflight::Survey;
use crate::request::*;

#[test]
#[rustfmt::skip] // A row a line.
fn settling() {
    let due = || status(Phase::Settling);
    let see = Observed::Settling;
    let stale = |name: &str| Application {
        reconciled_at: Some(at(20)),
        ..application(name)
    };
    let parent = || Application {
        deploys: false,
        ..stale("parent")
    };
    let looked = || after(due(), 21, Fact::Looked(LookFor::Pause, "openshift-gitops/web".to_owned()));
    let heals = || Application {
        self_heal: true,
        ..application("web")
    };
    let refreshing = || Application {
        refreshing: true,
        ..application("web")
    };
    let running = || Application {
        operation_phase: "Running".to_owned(),
        operation_finished: false,
        ..application("web")
    };
    let unrecorded = |sync: &str| Application {
        recorded_revisions: vec!["r0".to_owned()],
        sync: sync.to_owned(),
        ..application("web")
    };
    let late = 20 + 1800;
    let early_pause = || {
        let mut status = after(status(Phase::AwaitingApproval), 5, Fact::PullMerged(Which::Pause, None));
        let yes = Approved {
            at: at(9000),
            ..approved(&status)
        };
        apply(&mut status, Fact::Approved(yes), at(9000));
        status
    };
    let unsettled = || {
        let settled = after(due(), 30, Fact::Settled(Vec::new()));
        after(settled, 5000, Fact::Unsettled)
    };
    let look = Effect::Look(LookFor::Pause, String::new(), String::new());
    hold(vec![
        ("quiet", due(), see(vec![application("web")]), 21, "record Settled"),
        ("quiet, though late", due(), see(vec![application("web")]), late, "record Settled"),
        ("nothing deploys", due(), see(Vec::new()), 21, "record Settled"),
        ("not looked", due(), see(vec![stale("web")]), 21, "look at web (Pause)"),
        ("asked to look", looked(), see(vec![stale("web")]), 22, "record Settled"),
        ("the parent first", due(), see(vec![stale("web"), parent()]), 21, "look at parent (Pause)"),
        ("looking", due(), see(vec![refreshing()]), 21, "wait 1799, saying why"),
        ("heals", due(), see(vec![heals()]), 21, "wait 1799, saying why"),
        ("syncs", due(), see(vec![running()]), 21, "wait 1799, saying why"),
        (
            "never recorded",
            due(),
            see(vec![unrecorded("Synced")]),
            21,
            "record the revision of an Application",
        ),
        ("out of sync", due(), see(vec![unrecorded("OutOfSync")]), 21, "wait 1799, saying why"),
        ("heals for too long", due(), see(vec![heals()]), late, "Expired"),
        ("never recorded for too long", due(), see(vec![unrecorded("Synced")]), late, "Expired"),
        (
            "cannot be asked to look",
            after(due(), 30, failed(&look)),
            see(vec![stale("web")]),
            late,
            "Expired",
        ),
        (
            "merged long before the approval: time counts from there",
            early_pause(),
            see(vec![heals()]),
            9001,
            "wait 1799, saying why",
        ),
        (
            "unquiet again after the safety backup: time counts from there",
            unsettled(),
            see(vec![heals()]),
            5001,
            "wait 1799, saying why",
        ),
    ]);
}

#[test]
#[rustfmt::skip] // A row a line.
fn protecting() {
    let due = || status(Phase::Protecting);
    let see = |phase: &str| {
        Observed::Protecting(Some(SafetyBackup {
            run: safety(false),
            phase: phase.to_owned(),
            failure: Some("no space".to_owned()),
        }))
    };
    let known = || after(due(), 41, Fact::SafetyBackup(safety(false)));
    let late = 40 + 1800;
    hold(vec![
        ("none yet", due(), Observed::Protecting(None), 31, "create the safety backup"),
        (
            "cannot be created",
            after(due(), 31, failed(&Effect::SafetyBackup)),
            Observed::Protecting(None),
            late,
            "stuck: SafetyBackupFailed",
        ),
        ("seen first", due(), see("InProgress"), 41, "record SafetyBackup"),
        ("under way", known(), see("InProgress"), 42, "wait 1798"),
        ("completed", known(), see("Completed"), 42, "record SafetyBackup"),
        ("failed at once: known first", due(), see("FailedValidation"), 42, "record SafetyBackup"),
        ("failed", known(), see("FailedValidation"), 42, "stuck: SafetyBackupFailed"),
        ("in part", known(), see("PartiallyFailed"), 42, "stuck: SafetyBackupFailed"),
        ("not in time", known(), see("InProgress"), late, "stuck: SafetyBackupFailed"),
        ("completed, though late", known(), see("Completed"), late, "record SafetyBackup"),
    ]);
}

#[test]
#[rustfmt::skip] // A row a line.
fn beginning_to_clear() {
    let due = || status(Phase::Clearing);
    let see = |survey: Survey| {
        Observed::Clearing(Box::new(Clearing {
            applications: survey.applications.clone(),
            survey: Some(survey),
            ..clearing(Vec::new())
        }))
    };
    let with = |change: fn(&mut Survey)| {
        let mut survey = survey();
        change(&mut survey);
        see(survey)
    };
    let tampered = || {
        let mut status = due();
        status.approved.as_mut().unwrap().digest = "other".to_owned();
        status
    };
    let by_requester = || {
        let mut status = due();
        status.approved.as_mut().unwrap().by = "kari".to_owned();
        status
    };
    hold(vec![
        ("all as approved", due(), see(survey()), 51, "record ClearingBegan"),
        (
            "a newer backup is no reason to ask again",
            due(),
            with(|survey| {
                let newer = backup("poseidon1-daily-20261124010000", "2026-11-24T01:00:00Z");
                survey.backups.push(newer);
            }),
            51,
            "record ClearingBegan",
        ),
        (
            "an object appeared",
            due(),
            with(|survey| survey.objects.push(object("", "Secret", "s"))),
            51,
            "record Voided",
        ),
        (
            "an object was replaced by another of its name",
            due(),
            with(|survey| survey.objects[4].uid = "new".to_owned()),
            51,
            "record Voided",
        ),
        (
            "a pod was replaced by its controller",
            due(),
            with(|survey| survey.objects[2].uid = "new".to_owned()),
            51,
            "record ClearingBegan",
        ),
        (
            "the backup was deleted",
            due(),
            with(|survey| survey.backups.truncate(1)),
            51,
            "Refused",
        ),
        (
            "the backup was replaced",
            due(),
            with(|survey| survey.backups[1].uid = "new".to_owned()),
            51,
            "Refused",
        ),
        (
            "the location is gone",
            due(),
            with(|survey| survey.locations.clear()),
            51,
            "Refused",
        ),
        (
            "the tenant is no longer the requester's",
            due(),
            with(|survey| survey.permitted.clear()),
            51,
            "Refused",
        ),
        (
            "discovery fails",
            due(),
            with(|survey| survey.undiscovered.push("metrics".to_owned())),
            51,
            "Refused",
        ),
        (
            "heals again",
            due(),
            with(|survey| survey.applications[0].self_heal = true),
            51,
            "record Unsettled",
        ),
        (
            "an Application that was not there",
            due(),
            with(|survey| survey.applications.push(application("new"))),
            51,
            "record Unsettled",
        ),
        ("another digest", tampered(), see(survey()), 51, "record Voided"),
        ("the requester's own yes", by_requester(), see(survey()), 51, "record Voided"),
        (
            "a Restore is there",
            due(),
            Observed::Clearing(Box::new(Clearing {
                restore_exists: true,
                ..clearing(web())
            })),
            51,
            "record Restore",
        ),
        ("not surveyed", due(), Observed::Clearing(Box::new(clearing(web()))), 51, "wait 5"),
    ]);
    let mut policy = policy();
    policy.people.0.retain(|entry| entry.name != "olav");
    hold_with(
        &spec(),
        &policy,
        vec![("the reviewer is gone", due(), see(survey()), 51, "record Voided")],
    );
}

#[test]
#[rustfmt::skip] // A row a line.
fn clearing_on() {
    let due = || {
        after(
            status(Phase::Clearing),
            60,
            Fact::ClearingBegan {
                total: 5,
                cutoff: at(-3600),
            },
        )
    };
    let see = |view: Clearing| Observed::Clearing(Box::new(view));
    let empty_once = || after(due(), 61, Fact::SeenEmpty);
    let terminating = || {
        let mut objects = vec![object("", "ConfigMap", "settings")];
        objects[0].terminating = true;
        objects
    };
    let alien = || {
        let mut objects = web();
        objects.push(LiveObject {
            created: at(-3599),
            ..object("", "ConfigMap", "alien")
        });
        objects
    };
    let late = 60 + 1800;
    let restore = || Clearing {
        restore_exists: true,
        ..clearing(web())
    };
    let delete = Effect::Delete(Vec::new());
    let heals = || Clearing {
        applications: vec![Application {
            self_heal: true,
            ..application("web")
        }],
        ..clearing(web())
    };
    hold(vec![
        ("workloads first", due(), see(clearing(web())), 61, "delete web"),
        (
            "deletes are refused for too long",
            after(due(), 61, failed(&delete)),
            see(clearing(web())),
            late,
            "stuck: ClearingBlocked",
        ),
        ("late but going on", due(), see(clearing(web())), late, "delete web"),
        ("progress", due(), see(clearing(terminating())), 61, "record ClearingProgress"),
        (
            "no progress",
            after(due(), 61, Fact::ClearingProgress(4)),
            see(clearing(terminating())),
            62,
            "wait 5, saying why",
        ),
        (
            "no progress for too long",
            after(due(), 61, Fact::ClearingProgress(4)),
            see(clearing(terminating())),
            late,
            "stuck: ClearingBlocked",
        ),
        ("something new", due(), see(clearing(alien())), 61, "wait 5, saying why"),
        ("something new for too long", due(), see(clearing(alien())), late, "stuck: ClearingBlocked"),
        ("heals again", due(), see(heals()), 61, "wait 5, saying why"),
        ("heals for too long", due(), see(heals()), late, "stuck: ClearingBlocked"),
        (
            "discovery fails",
            due(),
            see(Clearing {
                undiscovered: vec!["metrics".to_owned()],
                ..clearing(web())
            }),
            61,
            "wait 5, saying why",
        ),
        ("empty", due(), see(clearing(Vec::new())), 61, "record SeenEmpty"),
        ("empty again", empty_once(), see(clearing(Vec::new())), 62, "record SeenEmpty"),
        ("empty and not any more", empty_once(), see(clearing(web())), 62, "record SeenNotEmpty"),
        ("a Restore is there", due(), see(restore()), 61, "record Restore"),
        (
            "a Restore was there: never cleared again",
            after(due(), 62, Fact::Restore(run("New"))),
            see(clearing(web())),
            63,
            "stuck: ClearingBlocked",
        ),
        (
            "after a person said to go on",
            chose(
                after(due(), late, stuck(StuckReason::ClearingBlocked, late)),
                late + 10,
                Action::Retry,
            ),
            see(clearing(alien())),
            late + 11,
            "wait 5, saying why",
        ),
    ]);
}
