//! What counts as an approval, and whose.

use jiff::Timestamp;

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
    let requester = people.by_account(&spec.requester);
    let may = |entry: &Entry| {
        entry.reviewer && requester.is_none_or(|requester| requester.name != entry.name)
    };
    let mut hold = None;

    for vote in &spec.votes {
        let Some(reviewer) = people.by_account(&vote.by).filter(|entry| may(entry)) else {
            continue;
        };
        match vote.verdict {
            Verdict::Deny => {
                return Standing::Denied(match &vote.reason {
                    Some(reason) => format!("{} denied it: {reason}", reviewer.name),
                    None => format!("{} denied it.", reviewer.name),
                });
            }
            Verdict::Approve => {}
        }
    }

    // The last word of each reviewer counts; a comment is no word.
    let mut last: Vec<(&Entry, &Review)> = Vec::new();
    for review in reviews {
        if review.state == ReviewState::Other {
            continue;
        }
        let Some(reviewer) = people.by_login(&review.login).filter(|entry| may(entry)) else {
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
            && let Some(reviewer) = people.by_account(&vote.by).filter(|entry| may(entry))
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
