//! The way back.

use super::super::build::*;
use super::{hold, hold_with};
use crate::request::applications::Application;
use crate::request::observed::{Observed, Pull, Resuming, ReviewState};
use crate::request::*;

#[test]
#[rustfmt::skip] // A row a line.
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
        ("back and well", back(), with(|application| application.self_heal = true), 111, "record Well"),
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
#[rustfmt::skip] // A row a line.
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
        ("closed", open(), paused(closed(1)), 13, "close the pull request"),
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
#[rustfmt::skip] // A row a line.
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
