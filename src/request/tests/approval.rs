//! Whose yes counts, and of what.

use super::build::*;
use crate::request::approval::{OnGithub, Rules, Standing, Team, standing, still_may};
use crate::request::observed::{Review, ReviewState};
use crate::request::people::People;
use crate::request::*;

/// In few words; `digest` is `d`, the head `h`.
fn stand(people: &People, votes: Vec<Vote>, reviews: &[Review], head: &str) -> String {
    stand_by(people, &Rules::default(), None, votes, reviews, head)
}

fn stand_by(
    people: &People,
    rules: &Rules,
    team: Option<&[&str]>,
    votes: Vec<Vote>,
    reviews: &[Review],
    head: &str,
) -> String {
    let spec = RestoreRequestSpec { votes, ..spec() };
    let team: Team = team.map(|team| team.iter().map(|&login| login.to_owned()).collect());
    let github = OnGithub {
        reviews,
        head,
        team: team.as_ref(),
        is_open: !head.is_empty(),
    };
    match standing(&spec, people, rules, "d", github, at(9)) {
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
            "both of two",
            vec![yes("ida"), yes("olav")],
            "ida and olav by Chat",
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

type Case<'a> = (
    &'a str,
    Rules,
    Option<&'a [&'a str]>,
    Vec<Vote>,
    Vec<Review>,
    &'a str,
    &'a str,
);

/// How many it takes, which kinds count, and who is in the team.
#[test]
fn by_other_rules() {
    use ReviewState::Approved;
    let people = policy().people;
    let of = |login: &str| review(login, Approved, "h");
    let two = Rules {
        count: 2,
        ..Rules::default()
    };
    let on_github = Rules {
        reactions: false,
        ..Rules::default()
    };
    let in_chat = Rules {
        reviews: false,
        ..Rules::default()
    };
    let everybody: &[&str] = &["olav-gh", "ida-gh", "ann-gh", "kari-gh"];
    let cases: Vec<Case<'_>> = vec![
        (
            "one of two",
            two,
            None,
            vec![yes("olav")],
            vec![],
            "h",
            "olav approved, and 2 approvals are needed",
        ),
        (
            "the same person twice",
            two,
            None,
            vec![yes("olav")],
            vec![of("olav-gh")],
            "h",
            "olav approved, and 2 approvals are needed",
        ),
        (
            "two, here and there",
            two,
            None,
            vec![yes("olav")],
            vec![of("ida-gh")],
            "h",
            "olav and ida by Chat",
        ),
        (
            "chat does not count",
            on_github,
            None,
            vec![yes("olav")],
            vec![],
            "h",
            "olav approved in chat, but only a review of the pull request counts",
        ),
        (
            "chat counts where there is nothing to review",
            on_github,
            None,
            vec![yes("olav")],
            vec![],
            "",
            "olav by Chat",
        ),
        (
            "reviews do not count",
            in_chat,
            None,
            vec![],
            vec![of("olav-gh")],
            "h",
            "olav approved on GitHub, but only an approval in chat counts",
        ),
        (
            "in the team, and in no map",
            Rules::default(),
            Some(everybody),
            vec![],
            vec![of("Ann-gh")],
            "h",
            "Ann-gh by Review",
        ),
        (
            "the requester, though in the team",
            Rules::default(),
            Some(everybody),
            vec![],
            vec![of("kari-gh")],
            "h",
            "open",
        ),
        (
            "no more in the team",
            Rules::default(),
            Some(&["ida-gh"]),
            vec![],
            vec![of("olav-gh")],
            "h",
            "open",
        ),
        (
            "no more in the team, and in chat",
            Rules::default(),
            Some(&["ida-gh"]),
            vec![yes("olav")],
            vec![],
            "h",
            "olav is not in the reviewers' team on GitHub",
        ),
    ];
    for (name, rules, team, votes, reviews, head, expected) in cases {
        let found = stand_by(&people, &rules, team, votes, &reviews, head);
        assert_eq!(found, expected, "{name}");
    }
}

/// The requester's other account is the requester.
#[test]
fn a_second_account_is_the_same_person() {
    let mut people = policy().people;
    people.0[0].github_also = vec!["kari-other".to_owned()];
    let reviews = [review("kari-other", ReviewState::Approved, "h")];
    assert_eq!(stand(&people, vec![], &reviews, "h"), "open");
    let team: &[&str] = &["kari-other"];
    let found = stand_by(
        &people,
        &Rules::default(),
        Some(team),
        vec![],
        &reviews,
        "h",
    );
    assert_eq!(found, "open");
}

/// S3: each of those who approved must still be allowed to.
#[test]
fn rights_that_are_gone() {
    let mut people = policy().people;
    let approver = |name: &str, via| Approver {
        name: name.to_owned(),
        via,
        account: format!("{name}-gh"),
    };
    let approved = Approved {
        approvers: vec![approver("olav", Via::Chat), approver("ida", Via::Review)],
        ..approved(&status(Phase::Clearing))
    };
    let team =
        |logins: &[&str]| -> Team { Some(logins.iter().map(|&login| login.to_owned()).collect()) };
    let ask = |people: &People, team: &Team| still_may(&spec(), people, team.as_ref(), &approved);
    assert_eq!(ask(&people, &None), Ok(()));
    assert_eq!(ask(&people, &team(&["olav-gh", "ida-gh"])), Ok(()));
    let gone = ask(&people, &team(&["olav-gh"]));
    assert_eq!(gone, Err("ida may no longer approve.".to_owned()));
    let gone = ask(&people, &team(&[]));
    assert_eq!(gone, Err("olav and ida may no longer approve.".to_owned()));
    people.0[1].reviewer = false;
    let gone = ask(&people, &None);
    assert_eq!(gone, Err("olav may no longer approve.".to_owned()));
}
