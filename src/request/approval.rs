//! What counts as an approval, and whose.

use jiff::Timestamp;

use super::guard::{Guard, holds};
use super::observed::{Review, ReviewState};
use super::people::{Entry, People};
use super::resource::{Approved, RestoreRequestSpec, Verdict, Via};

/// How an approval stands.
#[derive(Clone, Debug, PartialEq)]
pub enum Standing {
    Approved(Approved),
    Denied(String),
    /// Neither yet; with what holds it back, if there is more to say than that
    /// nobody has spoken.
    Open(Option<String>),
}

/// Looks for a reviewer's yes to exactly `digest` in chat, or to exactly `head`
/// on GitHub.
///
/// S1: neither account of the requester counts, in chat or on GitHub. S2: a yes
/// to something else does not count. A reviewer's no counts whatever it was
/// said of.
pub fn standing(
    spec: &RestoreRequestSpec,
    people: &People,
    digest: &str,
    reviews: &[Review],
    head: &str,
    now: Timestamp,
) -> Standing {
    if let Some(message) = denial(spec, people) {
        return Standing::Denied(message);
    }
    let requester = people.by_account(&spec.requester);
    let may = |entry: &&Entry| may_approve(spec, people, entry);
    let mut hold = None;

    // The last word of each reviewer counts; a comment is no word.
    let mut last: Vec<(&Entry, &Review)> = Vec::new();
    for review in reviews {
        if review.state == ReviewState::Other {
            continue;
        }
        let Some(reviewer) = people.by_login(&review.login).filter(may) else {
            continue;
        };
        last.retain(|(other, _)| other.name != reviewer.name);
        last.push((reviewer, review));
    }
    if let Some((reviewer, _)) = last
        .iter()
        .find(|(_, review)| review.state == ReviewState::ChangesRequested)
    {
        return Standing::Open(Some(format!(
            "{} requested changes on the pull request",
            reviewer.name
        )));
    }

    for vote in &spec.votes {
        if vote.verdict == Verdict::Approve
            && vote.digest == digest
            && let Some(reviewer) = people.by_account(&vote.by).filter(may)
        {
            return Standing::Approved(Approved {
                at: now,
                by: reviewer.name.clone(),
                via: Via::Chat,
                digest: digest.to_owned(),
            });
        }
    }

    for (reviewer, review) in last {
        if review.state != ReviewState::Approved {
            continue;
        }
        if head.is_empty() || review.commit_id != head {
            hold = Some(format!(
                "{} approved an earlier state of the pull request",
                reviewer.name
            ));
            continue;
        }
        // Without the requester's login there is no telling that this review is
        // not the requester's own, under an account that the map does not know.
        if requester.is_none_or(|requester| requester.github.is_none()) {
            hold = Some(
                "the requester's GitHub account is not configured, so that a review alone does \
                 not count: a reviewer has to approve here"
                    .to_owned(),
            );
            continue;
        }
        return Standing::Approved(Approved {
            at: now,
            by: reviewer.name.clone(),
            via: Via::Review,
            digest: digest.to_owned(),
        });
    }
    Standing::Open(hold)
}

/// S1: a reviewer, and not the requester, neither by name nor by GitHub login.
pub fn may_approve(spec: &RestoreRequestSpec, people: &People, entry: &Entry) -> bool {
    entry.reviewer
        && people.by_account(&spec.requester).is_none_or(|requester| {
            let same_login = match (&requester.github, &entry.github) {
                (Some(one), Some(other)) => one.eq_ignore_ascii_case(other),
                _ => false,
            };
            (requester.name != entry.name && !same_login) || !holds(Guard::S1)
        })
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

/// The request with nothing but the last word that a reviewer said of exactly
/// `digest`: for the way back, of which there must be an end.
pub fn last_word_on(
    spec: &RestoreRequestSpec,
    people: &People,
    digest: &str,
) -> RestoreRequestSpec {
    let last = spec.votes.iter().rev().find(|vote| {
        vote.digest == digest
            && people
                .by_account(&vote.by)
                .is_some_and(|entry| may_approve(spec, people, entry))
    });
    RestoreRequestSpec {
        votes: last.cloned().into_iter().collect(),
        ..spec.clone()
    }
}
