//! Whose yes counts, and of what.

use super::build::*;
use crate::request::approval::{Standing, standing};
use crate::request::observed::{Review, ReviewState};
use crate::request::people::People;
use crate::request::*;

/// In few words; `digest` is `d`, the head `h`.
fn stand(people: &People, votes: Vec<Vote>, reviews: &[Review], head: &str) -> String {
    let spec = RestoreRequestSpec { votes, ..spec() };
    match standing(&spec, people, "d", reviews, head, at(9)) {
        Standing::Approved(approved) => {
            assert_eq!((approved.at, approved.digest.as_str()), (at(9), "d"));
            format!("{} by {:?}", approved.by, approved.via)
        }
        Standing::Denied(message) => message,
        Standing::Open(hold) => hold.unwrap_or_else(|| "open".to_owned()),
    }
}

fn yes(by: &str) -> Vote {
    vote(by, Verdict::Approve, "d")
}

fn on_console(by: &str, verdict: Verdict) -> Vote {
    Vote {
        by: Person {
            chat: "console".to_owned(),
            id: format!("{by}@console"),
            name: "whoever".to_owned(),
        },
        ..vote(by, verdict, "d")
    }
}

#[test]
fn votes() {
    let because = Vote {
        reason: Some("not today".to_owned()),
        ..vote("ida", Verdict::Deny, "other")
    };
    let rows: Vec<(&str, Vec<Vote>, &str)> = vec![
        ("nobody", vec![], "open"),
        ("a reviewer", vec![yes("olav")], "olav by Chat"),
        (
            "the first of two",
            vec![yes("ida"), yes("olav")],
            "ida by Chat",
        ),
        (
            "of something else",
            vec![vote("olav", Verdict::Approve, "e")],
            "open",
        ),
        ("the requester", vec![yes("kari")], "open"),
        (
            "the requester in another chat",
            vec![on_console("kari", Verdict::Approve)],
            "open",
        ),
        (
            "a reviewer in another chat",
            vec![on_console("olav", Verdict::Approve)],
            "olav by Chat",
        ),
        ("no reviewer", vec![yes("per")], "open"),
        ("a stranger", vec![yes("eve")], "open"),
        (
            "no, with a reason",
            vec![yes("olav"), because],
            "ida denied it: not today",
        ),
        (
            "yes here and no there",
            vec![yes("olav"), on_console("olav", Verdict::Deny)],
            "olav denied it.",
        ),
        (
            "the requester's no",
            vec![vote("kari", Verdict::Deny, "d")],
            "open",
        ),
        (
            "a stranger's no",
            vec![vote("eve", Verdict::Deny, "d")],
            "open",
        ),
        ("a name is not an account", vec![yes("Olav")], "open"),
    ];
    for (name, votes, expected) in rows {
        assert_eq!(stand(&policy().people, votes, &[], "h"), expected, "{name}");
    }
}

#[test]
fn reviews() {
    use ReviewState::{Approved, ChangesRequested, Dismissed, Other};
    let of = |login: &str, state| review(login, state, "h");
    let rows: Vec<(&str, Vec<Review>, &str)> = vec![
        (
            "a reviewer",
            vec![of("olav-gh", Approved)],
            "olav by Review",
        ),
        (
            "by another case",
            vec![of("OLAV-gh", Approved)],
            "olav by Review",
        ),
        ("the requester", vec![of("kari-gh", Approved)], "open"),
        ("a stranger", vec![of("eve", Approved)], "open"),
        (
            "an earlier head",
            vec![review("olav-gh", Approved, "g")],
            "olav approved an earlier state of the pull request",
        ),
        (
            "dismissed",
            vec![of("olav-gh", Approved), of("olav-gh", Dismissed)],
            "open",
        ),
        (
            "a comment takes nothing back",
            vec![of("olav-gh", Approved), of("olav-gh", Other)],
            "olav by Review",
        ),
        (
            "changes requested by another",
            vec![of("olav-gh", Approved), of("ida-gh", ChangesRequested)],
            "ida requested changes on the pull request",
        ),
        (
            "the last word counts",
            vec![of("ida-gh", ChangesRequested), of("ida-gh", Approved)],
            "ida by Review",
        ),
        (
            "one of two is of an earlier head",
            vec![review("ida-gh", Approved, "g"), of("olav-gh", Approved)],
            "olav by Review",
        ),
    ];
    for (name, reviews, expected) in rows {
        assert_eq!(
            stand(&policy().people, vec![], &reviews, "h"),
            expected,
            "{name}"
        );
    }
    let nothing_open = [review("olav-gh", Approved, "")];
    assert_eq!(
        stand(&policy().people, vec![], &nothing_open, ""),
        "olav approved an earlier state of the pull request"
    );
    let changes = [of("ida-gh", ChangesRequested)];
    assert_eq!(
        stand(&policy().people, vec![yes("olav")], &changes, "h"),
        "ida requested changes on the pull request"
    );
}

#[test]
fn a_review_alone_does_not_do_if_the_requesters_login_is_not_known() {
    let mut people = policy().people;
    people.0[0].github = None;
    let approved = [review("olav-gh", ReviewState::Approved, "h")];
    insta::assert_snapshot!(
        stand(&people, vec![], &approved, "h"),
        @"the requester's GitHub account is not configured, so that a review alone does not count: a reviewer has to approve here"
    );
    assert_eq!(
        stand(&people, vec![yes("olav")], &approved, "h"),
        "olav by Chat"
    );
}

#[test]
fn one_login_is_one_person_whatever_the_names() {
    let mut people = policy().people;
    let kari = people.0[0].github.clone();
    people.0[1].github = kari.map(|login| login.to_uppercase());
    assert_eq!(stand(&people, vec![yes("olav")], &[], "h"), "open");
}
