//! What counts as an approval, and whose.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::guard::{Guard, holds};
use super::observed::{Review, ReviewState};
use super::people::{Entry, People};
use super::preflight::{count, list};
use super::resource::{Approved, Approver, Person, RestoreRequestSpec, Verdict, Via};

/// What the operator says an approval takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// An approving review on GitHub counts.
    pub reviews: bool,
    /// A yes in chat counts.
    pub reactions: bool,
    /// How many reviewers have to say yes; at least one.
    pub count: usize,
    /// Reviews alone may approve what somebody asked for whose GitHub login is
    /// not in the map.
    pub unmapped_by_review: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            reviews: true,
            reactions: true,
            count: 1,
            unmapped_by_review: false,
        }
    }
}

/// Members of the reviewers' team by their logins in lower case; `None` where no
/// team is configured, and the map of people alone says who reviews.
pub type Team = Option<BTreeSet<String>>;

/// What was said on GitHub.
#[derive(Clone, Copy, Debug)]
pub struct OnGithub<'a> {
    /// Oldest first.
    pub reviews: &'a [Review],
    /// The commit that a review must be of; empty where there is none.
    pub head: &'a str,
    pub team: Option<&'a BTreeSet<String>>,
    /// False where there is no pull request to review: the chat then counts
    /// whatever the rules say.
    pub is_open: bool,
}

/// How an approval stands.
#[derive(Clone, Debug, PartialEq)]
pub enum Standing {
    Approved(Approved),
    Denied(String),
    /// Neither yet; with what holds it back, if there is more to say than that
    /// nobody has spoken.
    Open(Option<String>),
}

/// Counts reviewers' yeses to exactly `digest` in chat, and to exactly the head
/// on GitHub.
///
/// S1: no account of the requester counts, in chat or on GitHub. S2: a yes to
/// something else does not count. A reviewer's no counts whatever it was said of.
pub fn standing(
    spec: &RestoreRequestSpec,
    people: &People,
    rules: &Rules,
    digest: &str,
    github: OnGithub<'_>,
    now: Timestamp,
) -> Standing {
    if let Some(message) = denial(spec, people) {
        return Standing::Denied(message);
    }
    let last = last_words(spec, people, rules, github);
    if let Some((reviewer, _)) = last
        .iter()
        .find(|(_, review)| review.state == ReviewState::ChangesRequested)
    {
        return Standing::Open(Some(format!(
            "{} requested changes on the pull request",
            reviewer.name
        )));
    }
    let mut hold = None;
    let mut yes: Vec<Approver> = Vec::new();
    for vote in &spec.votes {
        if vote.verdict != Verdict::Approve || vote.digest != digest {
            continue;
        }
        let Some(entry) = people
            .by_account(&vote.by)
            .filter(|entry| may_approve(spec, people, entry))
        else {
            continue;
        };
        if !in_team(entry, github.team) {
            hold = Some(format!(
                "{} is not in the reviewers' team on GitHub",
                entry.name
            ));
        } else if !rules.reactions && github.is_open {
            hold = Some(format!(
                "{} approved in chat, but only a review of the pull request counts",
                entry.name
            ));
        } else {
            add(&mut yes, &entry.name, Via::Chat, account(&vote.by));
        }
    }
    for (reviewer, review) in last {
        if review.state != ReviewState::Approved {
            continue;
        }
        if github.head.is_empty() || review.commit_id != github.head {
            hold = Some(format!(
                "{} approved an earlier state of the pull request",
                reviewer.name
            ));
        } else if !rules.reviews {
            hold = Some(format!(
                "{} approved on GitHub, but only an approval in chat counts",
                reviewer.name
            ));
        } else if !reviewer.may_alone {
            // Without the requester's login there is no telling that this review is
            // not the requester's own, under an account that the map does not know.
            hold = Some(
                "the requester's GitHub account is not configured, so that a review alone does \
                 not count: a reviewer has to approve here"
                    .to_owned(),
            );
        } else {
            add(&mut yes, &reviewer.name, Via::Review, review.login.clone());
        }
    }
    if yes.len() < rules.count.max(1) {
        if !yes.is_empty() {
            let names: Vec<String> = yes.into_iter().map(|yes| yes.name).collect();
            hold = Some(format!(
                "{} approved, and {} needed",
                list(&names),
                match rules.count {
                    1 => "1 approval is".to_owned(),
                    many => format!(
                        "{} are",
                        count(i64::try_from(many).unwrap_or(i64::MAX), "approval")
                    ),
                }
            ));
        }
        return Standing::Open(hold);
    }
    let names: Vec<String> = yes.iter().map(|yes| yes.name.clone()).collect();
    let via = if yes.iter().any(|yes| yes.via == Via::Chat) {
        Via::Chat
    } else {
        Via::Review
    };
    Standing::Approved(Approved {
        at: now,
        by: list(&names),
        via,
        digest: digest.to_owned(),
        approvers: yes,
        mirrored_at: None,
    })
}

/// A person counts once, however often and wherever they said yes.
fn add(yes: &mut Vec<Approver>, name: &str, via: Via, account: String) {
    if !yes.iter().any(|other| other.name == name) {
        yes.push(Approver {
            name: name.to_owned(),
            via,
            account,
        });
    }
}

fn account(person: &Person) -> String {
    format!("{}:{}", person.chat, person.id)
}

/// Somebody who reviews on GitHub.
struct Reviewer {
    name: String,
    /// Their review alone can tell that they are not the requester.
    may_alone: bool,
}

/// The last word of each reviewer on GitHub; a comment is no word, and a review
/// that was dismissed is one that says nothing.
fn last_words<'r>(
    spec: &RestoreRequestSpec,
    people: &People,
    rules: &Rules,
    github: OnGithub<'r>,
) -> Vec<(Reviewer, &'r Review)> {
    let mut last: Vec<(Reviewer, &Review)> = Vec::new();
    for review in github.reviews {
        if review.state == ReviewState::Other {
            continue;
        }
        let Some(name) = reviewer(spec, people, github.team, &review.login) else {
            continue;
        };
        let reviewer = Reviewer {
            name,
            may_alone: rules.unmapped_by_review
                || people
                    .by_account(&spec.requester)
                    .is_some_and(|requester| requester.logins().next().is_some()),
        };
        last.retain(|(other, _)| other.name != reviewer.name);
        last.push((reviewer, review));
    }
    last
}

/// The name of whoever reviews under a login, if they may review this request.
fn reviewer(
    spec: &RestoreRequestSpec,
    people: &People,
    team: Option<&BTreeSet<String>>,
    login: &str,
) -> Option<String> {
    let entry = people.by_login(login);
    if entry.is_some_and(|entry| is_requester(spec, people, entry)) {
        return None;
    }
    let may = match team {
        Some(team) => team.contains(&login.to_ascii_lowercase()),
        None => entry.is_some_and(|entry| entry.reviewer),
    };
    may.then(|| entry.map_or_else(|| login.to_owned(), |entry| entry.name.clone()))
}

fn in_team(entry: &Entry, team: Option<&BTreeSet<String>>) -> bool {
    team.is_none_or(|team| {
        entry
            .logins()
            .any(|login| team.contains(&login.to_ascii_lowercase()))
    })
}

/// S1: the same person, by name or by a shared GitHub login.
fn is_requester(spec: &RestoreRequestSpec, people: &People, entry: &Entry) -> bool {
    holds(Guard::S1)
        && people.by_account(&spec.requester).is_some_and(|requester| {
            requester.name == entry.name
                || requester
                    .logins()
                    .any(|one| entry.logins().any(|other| one.eq_ignore_ascii_case(other)))
        })
}

/// S1: a reviewer, and not the requester, neither by name nor by GitHub login.
pub fn may_approve(spec: &RestoreRequestSpec, people: &People, entry: &Entry) -> bool {
    entry.reviewer && !is_requester(spec, people, entry)
}

/// S3: whether all who approved still may; else who does not, in words.
pub fn still_may(
    spec: &RestoreRequestSpec,
    people: &People,
    team: Option<&BTreeSet<String>>,
    approved: &Approved,
) -> Result<(), String> {
    let entry_may = |name: &str| {
        people
            .by_name(name)
            .is_some_and(|entry| may_approve(spec, people, entry) && in_team(entry, team))
    };
    let may = |approver: &Approver| match approver.via {
        Via::Review => reviewer(spec, people, team, &approver.account).is_some(),
        Via::Chat | Via::Pause => entry_may(&approver.name),
    };
    let lost: Vec<String> = if approved.approvers.is_empty() {
        // Written before approvers were counted one by one.
        let by = Some(approved.by.clone());
        by.filter(|by| !entry_may(by)).into_iter().collect()
    } else {
        let lost = approved.approvers.iter().filter(|approver| !may(approver));
        lost.map(|approver| approver.name.clone()).collect()
    };
    if lost.is_empty() {
        Ok(())
    } else {
        Err(format!("{} may no longer approve.", list(&lost)))
    }
}

/// The reviewer who consented to exactly `digest`, by their name in the configuration.
pub fn consented(spec: &RestoreRequestSpec, people: &People, digest: &str) -> Option<String> {
    spec.consents
        .iter()
        .filter(|given| given.digest == digest)
        .find_map(|given| people.by_account(&given.by))
        .filter(|entry| may_approve(spec, people, entry))
        .map(|entry| entry.name.clone())
}

/// A reviewer's no in chat, in words.
pub fn denial(spec: &RestoreRequestSpec, people: &People) -> Option<String> {
    spec.votes
        .iter()
        .filter(|vote| vote.verdict == Verdict::Deny)
        .find_map(|vote| {
            let reviewer = people
                .by_account(&vote.by)
                .filter(|entry| may_approve(spec, people, entry))?;
            Some(match &vote.reason {
                Some(reason) => format!("{} denied it: {reason}", reviewer.name),
                None => format!("{} denied it.", reviewer.name),
            })
        })
}

/// The request with nothing but the last word that each reviewer said of exactly
/// `digest`: for the way back, of which there must be an end.
pub fn last_words_on(
    spec: &RestoreRequestSpec,
    people: &People,
    digest: &str,
) -> RestoreRequestSpec {
    let mut votes: Vec<super::resource::Vote> = Vec::new();
    let mut heard: Vec<&str> = Vec::new();
    let mut spoken = None;
    for vote in spec.votes.iter().rev() {
        let Some(entry) = people
            .by_account(&vote.by)
            .filter(|entry| vote.digest == digest && may_approve(spec, people, entry))
        else {
            continue;
        };
        // What was said last holds: a no stands until somebody says yes again.
        let verdict = *spoken.get_or_insert(vote.verdict);
        if verdict != vote.verdict {
            break;
        }
        if !heard.contains(&entry.name.as_str()) {
            heard.push(&entry.name);
            votes.push(vote.clone());
        }
    }
    votes.reverse();
    RestoreRequestSpec {
        votes,
        ..spec.clone()
    }
}
