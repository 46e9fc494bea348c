//! The Restore, and being stuck.

use super::super::build::*;
use super::{hold, hold_with};
use crate::request::observed::{Observed, Pod, Restoring, Verifying};
use crate::request::*;

#[test]
#[rustfmt::skip] // A row a line.
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
        ("under way", known("InProgress"), see(found("InProgress")), 81, "wait 5"),
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
#[rustfmt::skip] // A row a line.
fn verifying() {
    let due = || status(Phase::Verifying);
    let good = || Verifying {
        volumes: vec![brought_volume()],
        claims: vec![("data".to_owned(), "Bound".to_owned())],
        pods: vec![Pod {
            name: "web".to_owned(),
            ready: true,
            ..Pod::default()
        }],
        items: 2,
        ..Verifying::default()
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
        ("a volume was never told of", due(), with(|view| view.volumes.clear()), 91, "wait 5, saying why"),
        ("a volume of nothing, which held something", due(), with(|view| view.volumes[0].bytes = Progress::default()), 91, "wait 5, saying why"),
        ("an object of the backup is missing", due(), with(|view| view.missing.push("Secret x".to_owned())), 91, "wait 5, saying why"),
        ("something of somebody else's", due(), with(|view| view.foreign.push("ConfigMap x".to_owned())), 91, "record Verified"),
        ("somebody else was at work", after(due(), 90, Fact::Disturbed("web is being synced".to_owned())), with(|_| {}), 91, "stuck: Disturbed"),
        ("for too long", due(), with(|view| view.unready.push("web".to_owned())), 1890, "stuck: VerificationFailed"),
        ("well, though late", due(), with(|_| {}), 1890, "record Verified"),
    ]);
}

#[test]
#[rustfmt::skip] // A row a line.
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
