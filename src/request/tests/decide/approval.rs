//! From the request to the merge of the pause.

use super::super::build::*;
use super::{Row, hold, hold_with};
use crate::request::observed::{Observed, Pull, ReviewState};
use crate::request::preflight::Survey;
use crate::request::*;

#[test]
#[rustfmt::skip] // A row a line.
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
#[rustfmt::skip] // A row a line.
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
            "record PullMerged pause",
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
#[rustfmt::skip] // A row a line.
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
#[rustfmt::skip] // A row a line.
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
            Fact::Waiting(Some(format!("{}: a review is missing", crate::request::decide::MERGE_BLOCKED))),
        )
    };
    hold(vec![
        ("approved", due(), see(pull(1)), 11, "merge pause head1"),
        ("computing", due(), mergeable(None), 11, "wait 5, saying why"),
        ("conflict", due(), mergeable(Some(false)), 11, "record Voided"),
        ("changed", due(), see(moved(pull(1))), 11, "record Voided"),
        ("merged", due(), see(merged(1)), 11, "record PullMerged pause"),
        ("changed and merged", due(), see(moved(merged(1))), 11, "record PullMerged pause"),
        ("closed", due(), see(closed(1)), 11, "Denied"),
        ("gone", due(), Observed::Pausing(None), 11, "Denied"),
        ("GitHub said no", blocked(), see(pull(1)), 12, "wait 59, saying why"),
        ("asked again", blocked(), see(pull(1)), 71, "merge pause head1"),
        ("too late", due(), see(pull(1)), 36_011, "Expired"),
        ("too late, but merged", due(), see(merged(1)), 36_011, "record PullMerged pause"),
        ("the clock went back", due(), see(pull(1)), -500, "merge pause head1"),
    ]);
}
