//! The machine in one table: each phase, what was seen, and the next step.
//!
//! `Record`s are named by their fact alone; the exact words are looked at where
//! they matter.

use super::build::*;
use crate::request::applications::Application;
use crate::request::inventory::{LiveObject, Ownership};
use crate::request::observed::{
    Clearing, Observed, Pod, Pull, Restoring, Resuming, ReviewState, SafetyBackup, Verifying,
    Volume,
};
use crate::request::preflight::Survey;
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

#[test]
fn checking() {
    let fresh = RestoreStatus::default;
    let refused = Survey {
        permitted: Vec::new(),
        ..survey()
    };
    let look = |survey| Observed::Checking(Box::new(survey));
    hold(vec![
        ("all is well", fresh(), look(survey()), 1, "record Checked"),
        ("a check fails", fresh(), look(refused), 1, "Refused"),
        ("not looked yet", fresh(), Observed::Nothing, 1, "wait 0"),
    ]);
}

#[test]
fn awaiting_approval() {
    let checked_only = || after(RestoreStatus::default(), 1, Fact::Checked(Box::new(checked())));
    let open = || status(Phase::AwaitingApproval);
    let early = || after(open(), 5, Fact::PullMerged(Which::Pause, None));
    let unneeded = || after(checked_only(), 2, Fact::PullNotNeeded(Which::Pause, record()));
    let see = |pull: Pull| Observed::AwaitingApproval(Some(pull));
    let none = || Observed::AwaitingApproval(None);
    let moved = |pull: Pull| Pull {
        head_sha: "other".to_owned(),
        ..pull
    };
    let conflict = || Pull {
        mergeable: Some(false),
        ..pull(1)
    };
    let computing = || Pull {
        mergeable: None,
        ..pull(1)
    };
    let yes = |login: &str, commit: &str, mut pull: Pull| {
        pull.reviews.push(review(login, ReviewState::Approved, commit));
        see(pull)
    };
    let reminded = || after(open(), 3601, Fact::Reminded(ReminderOf::Approval));
    let day = 36_001;
    let opening = Effect::OpenPull(Which::Pause);
    hold(vec![
        ("no pull request yet", checked_only(), none(), 2, "open the pause pull request"),
        (
            "it cannot be opened",
            after(checked_only(), 2, failed(&opening)),
            none(),
            day,
            "Expired",
        ),
        ("nobody has spoken", open(), see(pull(1)), 10, "wait 60"),
        ("GitHub computes", open(), see(computing()), 10, "wait 60"),
        ("a review", open(), yes("olav-gh", "head1", pull(1)), 10, "record Approved"),
        (
            "a review of another head",
            open(),
            yes("olav-gh", "head0", pull(1)),
            10,
            "wait 60, saying why",
        ),
        ("the requester's review", open(), yes("kari-gh", "head1", pull(1)), 10, "wait 60"),
        ("a stranger's review", open(), yes("eve", "head1", pull(1)), 10, "wait 60"),
        ("gone", open(), none(), 10, "Denied"),
        ("closed", open(), see(closed(1)), 10, "Denied"),
        ("merged by somebody", open(), see(merged(1)), 10, "record PullMerged pause"),
        (
            "changed and merged by somebody",
            open(),
            see(moved(merged(1))),
            10,
            "record PullHead pause",
        ),
        ("changed", open(), see(moved(pull(1))), 10, "rebuild the pull request"),
        ("changed, only just rebuilt", open(), see(moved(pull(1))), 3, "wait 4"),
        ("conflict", open(), see(conflict()), 10, "rebuild the pull request"),
        ("conflict, too late", open(), see(conflict()), day, "Expired"),
        ("reminder due", open(), see(pull(1)), 3601, "remind: Approval"),
        ("reminded", reminded(), see(pull(1)), 3602, "wait 60"),
        ("second reminder due", reminded(), see(pull(1)), 7201, "remind: Approval"),
        (
            "reminders of what is void do not count",
            after(reminded(), 5000, Fact::Voided("why".to_owned(), None)),
            see(pull(1)),
            5000 + 3600,
            "remind: Approval",
        ),
        ("nobody spoke in time", open(), see(pull(1)), day, "Expired"),
        (
            "a yes at the last moment",
            open(),
            yes("olav-gh", "head1", pull(1)),
            day,
            "record Approved",
        ),
        ("merged early, waits on", early(), see(merged(1)), 10, "wait 3591, saying why"),
        (
            "merged early: reviews do not count any more",
            early(),
            yes("olav-gh", "head1", merged(1)),
            10,
            "wait 3591, saying why",
        ),
        ("merged early, expires", early(), see(merged(1)), day, "remind: SelfHealOff"),
        (
            "merged early, expires after the reminder",
            after(early(), day, Fact::Reminded(ReminderOf::SelfHealOff)),
            see(merged(1)),
            day,
            "Expired",
        ),
        ("no pull request needed", unneeded(), none(), 10, "wait 3591"),
        ("not looked", open(), Observed::Nothing, 10, "wait 0"),
    ]);

    let say = |votes: Vec<Vote>| RestoreRequestSpec { votes, ..spec() };
    let digest = digest(UID, &spec(), &open());
    let cases = [
        ("a yes to this", vec![vote("olav", Verdict::Approve, &digest)], "record Approved"),
        ("a yes to something else", vec![vote("olav", Verdict::Approve, "old")], "wait 60"),
        ("the requester's yes", vec![vote("kari", Verdict::Approve, &digest)], "wait 60"),
        ("the requester's no", vec![vote("kari", Verdict::Deny, &digest)], "wait 60"),
        ("a yes without the right", vec![vote("per", Verdict::Approve, &digest)], "wait 60"),
        (
            "a no beside a yes",
            vec![
                vote("olav", Verdict::Approve, &digest),
                vote("ida", Verdict::Deny, "old"),
            ],
            "Denied",
        ),
    ];
    for (name, votes, expected) in cases {
        hold_with(
            &say(votes),
            &policy(),
            vec![(name, open(), see(pull(1)), 10, expected)],
        );
    }
}

#[test]
fn calling_it_off() {
    let withdrawn = RestoreRequestSpec {
        withdrawal: Some(Withdrawal {
            by: person("kari"),
            at: at(0),
        }),
        ..spec()
    };
    let denied = RestoreRequestSpec {
        votes: vec![vote("ida", Verdict::Deny, "")],
        ..spec()
    };
    let clearing_began = || {
        after(
            status(Phase::Clearing),
            60,
            Fact::ClearingBegan {
                total: 5,
                cutoff: at(0),
            },
        )
    };
    let rows = |word: &'static str| -> Vec<Row> {
        let early = [
            Phase::Checking,
            Phase::AwaitingApproval,
            Phase::Pausing,
            Phase::Settling,
            Phase::Protecting,
            Phase::Clearing,
        ];
        let mut rows: Vec<Row> = early
            .into_iter()
            .map(|phase| (phase.name(), status(phase), Observed::Nothing, 55, word))
            .collect();
        rows.push((
            "stuck before the clearing",
            after(status(Phase::Protecting), 50, stuck(StuckReason::SafetyBackupFailed, 50)),
            Observed::Nothing,
            55,
            word,
        ));
        rows.push(("clearing", clearing_began(), Observed::Nothing, 61, "wait 0"));
        for phase in [Phase::Restoring, Phase::Verifying, Phase::Resuming] {
            rows.push((phase.name(), status(phase), Observed::Nothing, 101, "wait 0"));
        }
        rows.push(("over", status(Phase::Done), Observed::Nothing, 111, "rest"));
        rows.push((
            "ended already",
            after(status(Phase::Settling), 21, ended(Outcome::Expired)),
            Observed::Nothing,
            22,
            "wait 0",
        ));
        rows
    };
    hold_with(&withdrawn, &policy(), rows("Withdrawn"));
    hold_with(&denied, &policy(), rows("Denied"));
}

#[test]
fn pausing() {
    let due = || status(Phase::Pausing);
    let see = |pull: Pull| Observed::Pausing(Some(pull));
    let moved = |pull: Pull| Pull {
        head_sha: "other".to_owned(),
        ..pull
    };
    let mergeable = |mergeable| {
        see(Pull {
            mergeable,
            ..pull(1)
        })
    };
    let blocked = || {
        after(
            due(),
            11,
            Fact::Waiting(Some(format!("{}: a review is missing", super::super::decide::MERGE_BLOCKED))),
        )
    };
    hold(vec![
        ("approved", due(), see(pull(1)), 11, "merge pause head1"),
        ("computing", due(), mergeable(None), 11, "wait 5, saying why"),
        ("conflict", due(), mergeable(Some(false)), 11, "record Voided"),
        ("changed", due(), see(moved(pull(1))), 11, "record Voided"),
        ("merged", due(), see(merged(1)), 11, "record PullMerged pause"),
        ("changed and merged", due(), see(moved(merged(1))), 11, "record PullHead pause"),
        ("closed", due(), see(closed(1)), 11, "Denied"),
        ("gone", due(), Observed::Pausing(None), 11, "Denied"),
        ("GitHub said no", blocked(), see(pull(1)), 12, "wait 59, saying why"),
        ("asked again", blocked(), see(pull(1)), 71, "merge pause head1"),
        ("too late", due(), see(pull(1)), 36_011, "Expired"),
        ("too late, but merged", due(), see(merged(1)), 36_011, "record PullMerged pause"),
        ("the clock went back", due(), see(pull(1)), -500, "merge pause head1"),
    ]);
}

#[test]
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

#[test]
fn restoring() {
    let due = || status(Phase::Restoring);
    let none = Restoring::default;
    let see = Observed::Restoring;
    let found = |phase: &str| Restoring {
        restore: Some(run(phase)),
        ..none()
    };
    let known = |phase: &str| after(due(), 80, Fact::Restore(run(phase)));
    let blocked = || Restoring {
        in_the_way: vec!["ConfigMap a".to_owned()],
        ..none()
    };
    let undiscovered = || Restoring {
        undiscovered: vec!["metrics".to_owned()],
        ..none()
    };
    let queue = |ahead| Restoring {
        ahead,
        ..found("New")
    };
    let again = || {
        let failed = after(known("Failed"), 91, stuck(StuckReason::RestoreFailed, 91));
        chose(failed, 92, Action::Retry)
    };
    hold(vec![
        ("empty", due(), see(none()), 71, "create the Restore"),
        (
            "cannot be created",
            after(due(), 71, failed(&Effect::Restore)),
            see(none()),
            70 + 1800,
            "stuck: RestoreFailed",
        ),
        ("something is there, only just", due(), see(blocked()), 71, "wait 4, saying why"),
        ("something is there", due(), see(blocked()), 75, "record SeenNotEmpty"),
        ("something comes and goes", due(), see(blocked()), 1860, "stuck: ClearingBlocked"),
        ("cannot look", due(), see(undiscovered()), 71, "wait 5, saying why"),
        ("cannot look for long", due(), see(undiscovered()), 1870, "stuck: RestoreStalled"),
        ("found", due(), see(found("New")), 81, "record Restore"),
        ("under way", known("InProgress"), see(found("InProgress")), 81, "wait 1799"),
        ("stalled", known("InProgress"), see(found("InProgress")), 1881, "stuck: RestoreStalled"),
        ("queued", known("New"), see(queue(2)), 81, "wait 899, saying why"),
        ("queued for long", known("New"), see(queue(2)), 9000, "record Queued"),
        (
            "its turn after long",
            after(known("New"), 9000, Fact::Queued),
            see(queue(0)),
            9001,
            "wait 1799",
        ),
        ("partial", known("PartiallyFailed"), see(found("PartiallyFailed")), 91, "stuck: RestorePartiallyFailed"),
        ("failed", known("Failed"), see(found("Failed")), 91, "stuck: RestoreFailed"),
        ("vanished", known("InProgress"), see(none()), 82, "stuck: RestoreVanished"),
        ("a second one", again(), see(none()), 93, "create the Restore"),
        ("S11: never cleared again", again(), see(blocked()), 93, "stuck: RestoreFailed"),
    ]);
}

#[test]
fn verifying() {
    let due = || status(Phase::Verifying);
    let good = || Verifying {
        volumes: vec![Volume {
            name: "data".to_owned(),
            phase: "Completed".to_owned(),
            bytes: Progress { done: 5, total: 5 },
            message: None,
        }],
        claims: vec![("data".to_owned(), "Bound".to_owned())],
        pods: vec![Pod {
            name: "web".to_owned(),
            ready: true,
            ..Pod::default()
        }],
        unready: Vec::new(),
    };
    let with = |change: fn(&mut Verifying)| {
        let mut view = good();
        change(&mut view);
        Observed::Verifying(view)
    };
    hold(vec![
        ("all is well", due(), with(|_| {}), 91, "record Verified"),
        ("a volume runs", due(), with(|view| "InProgress".clone_into(&mut view.volumes[0].phase)), 91, "wait 5, saying why"),
        ("bytes are missing", due(), with(|view| view.volumes[0].bytes.done = 4), 91, "wait 5, saying why"),
        ("a claim is pending", due(), with(|view| "Pending".clone_into(&mut view.claims[0].1)), 91, "wait 5, saying why"),
        ("a pod is not ready", due(), with(|view| view.pods[0].ready = false), 91, "wait 5, saying why"),
        ("a pod has ended", due(), with(|view| { view.pods[0].ready = false; view.pods[0].ended = true; }), 91, "record Verified"),
        ("a workload is short", due(), with(|view| view.unready.push("web".to_owned())), 91, "wait 5, saying why"),
        ("for too long", due(), with(|view| view.unready.push("web".to_owned())), 1890, "stuck: VerificationFailed"),
        ("well, though late", due(), with(|_| {}), 1890, "record Verified"),
    ]);
}

#[test]
fn resuming() {
    let due = || status(Phase::Resuming);
    let view = || Resuming {
        applications: vec![application("web")],
        ..Resuming::default()
    };
    let see = |view: Resuming| Observed::Resuming(Box::new(view));
    let with = |change: fn(&mut Application)| {
        let mut view = view();
        change(&mut view.applications[0]);
        see(view)
    };
    let open = || after(due(), 101, Fact::PullOpened(Which::Resume, opened(2), record()));
    let agreed = || {
        let yes = Approved {
            at: at(102),
            ..approved(&due())
        };
        after(open(), 102, Fact::ResumeApproved(yes))
    };
    let back = || after(agreed(), 110, Fact::PullMerged(Which::Resume, None));
    let seen = |pull: Pull| {
        see(Resuming {
            resume: Some(pull),
            ..view()
        })
    };
    let late = 102 + 1800;
    let stale = |application: &mut Application| application.reconciled_at = Some(at(0));
    let doomed = |application: &mut Application| application.would_prune = vec!["PersistentVolumeClaim poseidon1-dev/data".to_owned()];
    let asked = || after(due(), 101, stuck(StuckReason::WouldPrune, 101));
    let opening = Effect::OpenPull(Which::Resume);
    let told = |status, reason, action| chose(after(status, late, stuck(reason, late)), late + 1, action);
    hold(vec![
        ("opens", due(), see(view()), 101, "open the resume pull request"),
        (
            "cannot be opened",
            after(due(), 101, failed(&opening)),
            see(view()),
            late,
            "stuck: ResumeBlocked",
        ),
        ("has Argo CD look first", due(), with(stale), 101, "look at web (BeforeResume)"),
        (
            "a look from before the Restore's end proves nothing",
            due(),
            with(|application| application.reconciled_at = Some(at(85))),
            101,
            "look at web (BeforeResume)",
        ),
        ("Argo CD looks", due(), with(|application| application.refreshing = true), 101, "wait 5, saying why"),
        ("Argo CD does not look", due(), with(|application| application.refreshing = true), late, "stuck: ResumeBlocked"),
        ("would prune", due(), with(doomed), 101, "stuck: WouldPrune"),
        ("consented", chose(asked(), 102, Action::ResumeAsIs), with(doomed), 103, "open the resume pull request"),
        ("look again, says a person", chose(asked(), 102, Action::Retry), with(stale), 103, "look at web (BeforeResume)"),
        ("still there", chose(asked(), 102, Action::Retry), with(doomed), 103, "stuck: WouldPrune"),
        ("the first yes covers it", open(), seen(pull(2)), 102, "record ResumeApproved"),
        ("merges", agreed(), seen(pull(2)), 103, "merge resume head2"),
        ("cannot be merged", agreed(), seen(pull(2)), late, "stuck: ResumeBlocked"),
        ("merged by somebody", open(), seen(merged(2)), 103, "record PullMerged resume"),
        ("conflict", agreed(), seen(Pull { mergeable: Some(false), ..pull(2) }), 110, "rebuild the pull request"),
        ("conflict for ever", agreed(), seen(Pull { mergeable: Some(false), ..pull(2) }), late, "stuck: ResumeBlocked"),
        ("closed", agreed(), seen(closed(2)), 103, "wait 60, saying why"),
        ("closed for long", agreed(), seen(closed(2)), late, "stuck: ResumeBlocked"),
        (
            "closed, and a person says to go on",
            told(agreed(), StuckReason::ResumeBlocked, Action::Retry),
            seen(closed(2)),
            late + 2,
            "open the resume pull request",
        ),
        ("gone", agreed(), see(view()), 110, "open the resume pull request"),
        ("merged, has Argo CD look", back(), with(stale), 111, "look at web (Resume)"),
        ("self-heal not back yet", back(), see(view()), 111, "wait 1799, saying why"),
        ("back and well", back(), with(|application| application.self_heal = true), 111, "record Resumed"),
        (
            "back and not healthy",
            back(),
            with(|application| {
                application.self_heal = true;
                "Degraded".clone_into(&mut application.health);
            }),
            111,
            "wait 1799, saying why",
        ),
        ("not back for long", back(), see(view()), late + 10, "stuck: ResumeBlocked"),
        (
            "left as it is",
            told(back(), StuckReason::ResumeBlocked, Action::ResumeAsIs),
            see(view()),
            late + 2,
            "record Resumed",
        ),
    ]);
}

#[test]
fn undoing() {
    let see = |view: Resuming| Observed::Resuming(Box::new(view));
    let paused = |pull: Pull| {
        see(Resuming {
            pause: Some(pull),
            ..Resuming::default()
        })
    };
    let nothing = || see(Resuming::default());
    let open = || after(status(Phase::Pausing), 12, ended(Outcome::Withdrawn));
    let off = || after(status(Phase::Settling), 25, ended(Outcome::Expired));
    let unanswered = || {
        let checked = after(RestoreStatus::default(), 1, Fact::Checked(Box::new(checked())));
        after(checked, 2, ended(Outcome::Withdrawn))
    };
    let closing = Effect::ClosePull(Which::Pause, String::new());
    let sick = || Application {
        self_heal: true,
        health: "Degraded".to_owned(),
        ..application("web")
    };
    let back = || {
        let opened = after(off(), 26, Fact::PullOpened(Which::Resume, opened(2), record()));
        after(opened, 30, Fact::PullMerged(Which::Resume, None))
    };
    hold(vec![
        ("closes what is open", open(), paused(pull(1)), 13, "close the pull request"),
        ("closed", open(), paused(closed(1)), 13, "record PullClosed pause"),
        ("somebody merged it meanwhile", open(), paused(merged(1)), 13, "record PullMerged pause"),
        ("gone", open(), nothing(), 13, "record PullClosed pause"),
        (
            "cannot be closed",
            after(open(), 13, failed(&closing)),
            paused(pull(1)),
            2000,
            "stuck: ResumeBlocked",
        ),
        ("no answer to the opening, nothing there", unanswered(), nothing(), 3, "record Resumed"),
        (
            "no answer to the opening, and it is there",
            unanswered(),
            paused(pull(1)),
            3,
            "open the pause pull request",
        ),
        (
            "no answer to the opening, and it is merged",
            unanswered(),
            paused(merged(1)),
            3,
            "open the pause pull request",
        ),
        ("self-heal comes back", off(), nothing(), 26, "open the resume pull request"),
        (
            "an undo does not ask for health",
            back(),
            see(Resuming {
                applications: vec![sick()],
                ..Resuming::default()
            }),
            31,
            "record Resumed",
        ),
    ]);
}

#[test]
fn resuming_by_its_own_approval() {
    let policy = Policy {
        covers_resume: false,
        ..policy()
    };
    let open = after(
        status(Phase::Resuming),
        101,
        Fact::PullOpened(Which::Resume, opened(2), record()),
    );
    let see = |reviews| {
        Observed::Resuming(Box::new(Resuming {
            resume: Some(Pull { reviews, ..pull(2) }),
            ..Resuming::default()
        }))
    };
    let first = digest(UID, &spec(), &status(Phase::Resuming));
    let second = digest(UID, &spec(), &open);
    let yes = |digest: &str| vote("olav", Verdict::Approve, digest);
    let no = |digest: &str| vote("ida", Verdict::Deny, digest);
    let cases: Vec<(&'static str, Vec<Vote>, &'static str)> = vec![
        ("nobody", vec![], "wait 60, saying why"),
        ("the yes to the restore is none to this", vec![yes(&first)], "wait 60, saying why"),
        ("a yes to this", vec![yes(&second)], "record ResumeApproved"),
        ("a no to the restore is none to this", vec![no(&first), yes(&second)], "record ResumeApproved"),
        ("a no to this", vec![yes(&second), no(&second)], "wait 60, saying why"),
        ("the last word counts", vec![no(&second), yes(&second)], "record ResumeApproved"),
        ("the requester's yes", vec![vote("kari", Verdict::Approve, &second)], "wait 60, saying why"),
    ];
    for (name, votes, expected) in cases {
        let spec = RestoreRequestSpec { votes, ..spec() };
        hold_with(&spec, &policy, vec![(name, open.clone(), see(vec![]), 102, expected)]);
    }
    let reviewed = see(vec![review("olav-gh", ReviewState::Approved, "head2")]);
    hold_with(
        &spec(),
        &policy,
        vec![("a review", open, reviewed, 102, "record ResumeApproved")],
    );
}

#[test]
fn stuck_waits_for_an_answer_to_this_question() {
    let stuck_at = |seconds| after(status(Phase::Verifying), seconds, stuck(StuckReason::VerificationFailed, seconds));
    let answer = |answers| RestoreRequestSpec {
        choice: Some(choice(Action::Retry, answers)),
        ..spec()
    };
    let nothing = || Observed::Nothing;
    hold(vec![("nobody", stuck_at(2000), nothing(), 2001, "wait 12419")]);
    hold_with(
        &answer(at(2000)),
        &policy(),
        vec![
            ("answered", stuck_at(2000), nothing(), 2001, "record Chosen"),
            ("an old answer", stuck_at(3000), nothing(), 3001, "wait 11419"),
        ],
    );
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
        @"openshift-gitops/web still heals, and the order does not reach it: turn selfHeal off in https://git.example.com/poseidon/deployments.git dev/web"
    );
    insta::assert_snapshot!(
        say(&status(Phase::Settling), &settling, 1821),
        @"Argo CD did not become quiet in time: openshift-gitops/web still heals, and the order does not reach it: turn selfHeal off in https://git.example.com/poseidon/deployments.git dev/web. Nothing was deleted."
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
    let early = after(status(Phase::AwaitingApproval), 5, Fact::PullMerged(Which::Pause, None));
    insta::assert_snapshot!(
        say(&early, &Observed::AwaitingApproval(Some(merged(1))), 10),
        @"the pull request is merged, so that a review no longer counts: a reviewer has to approve here"
    );
}
