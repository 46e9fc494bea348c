//! `approve` and `deny`: a reviewer's yes or no.

use jiff::Timestamp;

use super::{is_requester, known, request_name, reviewers};
use crate::chat::harmless::code;
use crate::request::people::People;
use crate::request::resource::{Person, RestoreRequest, RestoreStatus, Verdict, Vote};
use crate::request::{Phase, digest, phase};

/// The greatest number of votes that a request holds.
const MOST_VOTES: usize = 100;

/// What becomes of a vote.
#[derive(Clone, Debug, PartialEq)]
pub enum Cast {
    /// To be written.
    New(Vote),
    /// The person denied it by a mark before, at this moment, and now says why.
    Why(Timestamp, String),
    /// The person said the same of the same before; in words.
    Already(String),
}

/// Whether a reason is missing that a person can give now: of a denial by a mark.
pub(super) fn owes_reason<'a>(
    votes: &'a [Vote],
    person: &Person,
    people: &People,
) -> Option<&'a Vote> {
    votes
        .iter()
        .filter(|vote| is_same(&vote.by, person, people))
        .find(|vote| vote.verdict == Verdict::Deny && vote.reason.is_none())
}

/// Writes down the reason of the vote that was given at that moment.
pub(super) fn give_reason(votes: &mut [Vote], at: Timestamp, reason: &str) {
    for vote in votes.iter_mut().filter(|vote| vote.at == at) {
        if vote.verdict == Verdict::Deny && vote.reason.is_none() {
            vote.reason = Some(reason.to_owned());
        }
    }
}

/// Whether the request waits for a reviewer.
pub(super) fn waits(request: &RestoreRequest) -> bool {
    let empty = RestoreStatus::default();
    let status = request.status.as_ref().unwrap_or(&empty);
    match phase(status) {
        Phase::AwaitingApproval => true,
        Phase::Resuming => status
            .resume
            .as_ref()
            .is_some_and(|resume| resume.is_open() && resume.approved.is_none()),
        _ => false,
    }
}

/// What an approval of the request as it was read is bound to.
pub(super) fn digest_of(request: &RestoreRequest) -> String {
    let empty = RestoreStatus::default();
    digest(
        request.metadata.uid.as_deref().unwrap_or_default(),
        &request.spec,
        request.status.as_ref().unwrap_or(&empty),
    )
}

/// Decides about a vote on a request as it was just read.
///
/// `said` is the digest that the person named, or its beginning. Returns the
/// vote, or the sentence that refuses it (S1, S2).
pub fn vote(
    request: &RestoreRequest,
    person: &Person,
    people: &People,
    verdict: Verdict,
    said: Option<&str>,
    reason: Option<String>,
    now: Timestamp,
) -> Result<Cast, String> {
    let name = code(request_name(request));
    let word = match verdict {
        Verdict::Approve => "approve",
        Verdict::Deny => "deny",
    };
    let entry = known(person, people)?;
    if !entry.reviewer {
        return Err(format!(
            "You may not {word} {name}: you are not a reviewer.{}",
            reviewers(people)
        ));
    }
    if is_requester(person, request, people) {
        return Err(match verdict {
            Verdict::Approve => format!(
                "You asked for {name} yourself, so that another reviewer has to approve it.{}",
                reviewers(people)
            ),
            Verdict::Deny => format!(
                "You asked for {name} yourself: to call it off, say `restore withdraw {}`.",
                name.trim_matches('`')
            ),
        });
    }
    if verdict == Verdict::Deny
        && let Some(reason) = &reason
        && let Some(mine) = owes_reason(&request.spec.votes, person, people)
    {
        return Ok(Cast::Why(mine.at, reason.clone()));
    }
    let empty = RestoreStatus::default();
    let status = request.status.as_ref().unwrap_or(&empty);
    let phase = phase(status);
    if !waits(request) {
        return Err(match phase {
            Phase::Checking => {
                format!("{name} is still being checked: wait until its thread asks for approval.")
            }
            other => format!(
                "{name} does not wait for approval: it is {}. See `restore status {}`.",
                other.in_words(),
                name.trim_matches('`')
            ),
        });
    }
    if phase == Phase::Resuming && verdict == Verdict::Deny {
        return Err(format!(
            "{name} has been carried out or undone, and what is left is to turn self-heal on \
             again: it cannot be denied. If the pull request must not be merged as it is, say so \
             on GitHub."
        ));
    }
    if status.pause.is_none() && verdict == Verdict::Approve {
        return Err(format!(
            "The pull request of {name} is being opened, and an approval is bound to it: wait \
             until the thread asks for approval."
        ));
    }
    let digest = digest_of(request);
    if let Some(said) = said
        && !(said.len() >= 6 && digest.starts_with(&said.to_ascii_lowercase()))
    {
        return Err(format!(
            "{name} has changed meanwhile: {} is not what it is now ({}). Read its card again, \
             then say `approve {} digest:{}`.",
            code(said),
            code(&digest[..8]),
            name.trim_matches('`'),
            &digest[..8]
        ));
    }
    let mine = |vote: &&Vote| is_same(&vote.by, person, people);
    if let Some(denied) = request
        .spec
        .votes
        .iter()
        .filter(mine)
        .find(|vote| vote.verdict == Verdict::Deny)
    {
        return Ok(Cast::Already(format!(
            "You denied {name} at {}, which stands.",
            denied.at.strftime("%H:%M:%S UTC")
        )));
    }
    let since = match phase {
        // The vote on the pause is no vote on the resume.
        Phase::Resuming => status.resume.as_ref().map(|resume| resume.at),
        _ => None,
    };
    let again = request.spec.votes.iter().filter(mine).any(|vote| {
        vote.verdict == verdict
            && vote.digest == digest
            && since.is_none_or(|since| vote.at >= since)
    });
    if again {
        return Ok(Cast::Already(format!(
            "You have approved exactly this of {name} already; nothing is changed."
        )));
    }
    if request.spec.votes.len() >= MOST_VOTES {
        return Err(format!(
            "{name} has {MOST_VOTES} votes already and takes no more. Have it withdrawn and asked \
             for anew."
        ));
    }
    Ok(Cast::New(Vote {
        by: person.clone(),
        at: now,
        verdict,
        digest,
        reason,
    }))
}

fn is_same(one: &Person, other: &Person, people: &People) -> bool {
    one.is(other)
        || people
            .by_account(one)
            .zip(people.by_account(other))
            .is_some_and(|(one, other)| one.name == other.name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::samples::{at, in_phase, people, person};

    fn say(request: &RestoreRequest, who: &str, verdict: Verdict, said: Option<&str>) -> String {
        let reason = (verdict == Verdict::Deny).then(|| "too late".to_owned());
        match vote(
            request,
            &person(who),
            &people(),
            verdict,
            said,
            reason,
            at(500),
        ) {
            Ok(Cast::New(vote)) => {
                assert_eq!(vote.digest, digest_of(request));
                format!("{:?} by {}", vote.verdict, vote.by.name)
            }
            Ok(Cast::Why(_, reason)) => format!("why: {reason}"),
            Ok(Cast::Already(words)) => format!("already: {words}"),
            Err(words) => words,
        }
    }

    #[test]
    fn who_may_vote_and_when() {
        use Verdict::{Approve, Deny};
        let waiting = in_phase(Phase::AwaitingApproval);
        let digest = digest_of(&waiting);
        let mut lines = vec![
            say(&waiting, "ravi", Approve, None),
            say(&waiting, "ravi", Deny, None),
            say(&waiting, "ravi", Approve, Some(&digest[..6])),
            say(&waiting, "ravi", Approve, Some(&digest[..5])),
            say(&waiting, "ravi", Approve, Some("ffffff")),
            say(&waiting, "anna", Approve, None),
            say(&waiting, "mallory", Approve, None),
            // Reviewer and requester, by another account.
            {
                let mut own = waiting.clone();
                own.spec.requester = person("olga-discord");
                say(&own, "olga", Approve, None) + "\n" + &say(&own, "olga", Deny, None)
            },
        ];
        for phase in Phase::ALL {
            lines.push(format!(
                "{phase:?}: {}",
                say(&in_phase(phase), "ravi", Approve, None)
            ));
        }
        insta::assert_snapshot!(lines.join("\n"), @r#"
Approve by Ravi
Deny by Ravi
Approve by Ravi
`poseidon1-7k2p9` has changed meanwhile: `039b9` is not what it is now (`039b9f8a`). Read its card again, then say `approve poseidon1-7k2p9 digest:039b9f8a`.
`poseidon1-7k2p9` has changed meanwhile: `ffffff` is not what it is now (`039b9f8a`). Read its card again, then say `approve poseidon1-7k2p9 digest:039b9f8a`.
You may not approve `poseidon1-7k2p9`: you are not a reviewer. Reviewers are Ravi and Olga.
I do not know you here: the configuration has no entry for your account `mallory` of the chat `console`. Ask the platform team to add it.
You asked for `poseidon1-7k2p9` yourself, so that another reviewer has to approve it. Reviewers are Ravi and Olga.
You asked for `poseidon1-7k2p9` yourself: to call it off, say `restore withdraw poseidon1-7k2p9`.
Checking: `poseidon1-7k2p9` is still being checked: wait until its thread asks for approval.
AwaitingApproval: Approve by Ravi
Pausing: `poseidon1-7k2p9` does not wait for approval: it is turning self-heal off. See `restore status poseidon1-7k2p9`.
Settling: `poseidon1-7k2p9` does not wait for approval: it is waiting for Argo CD to be quiet. See `restore status poseidon1-7k2p9`.
Protecting: `poseidon1-7k2p9` does not wait for approval: it is taking a safety backup. See `restore status poseidon1-7k2p9`.
Clearing: `poseidon1-7k2p9` does not wait for approval: it is clearing the namespaces. See `restore status poseidon1-7k2p9`.
Restoring: `poseidon1-7k2p9` does not wait for approval: it is restoring. See `restore status poseidon1-7k2p9`.
Verifying: `poseidon1-7k2p9` does not wait for approval: it is verifying what was restored. See `restore status poseidon1-7k2p9`.
Resuming: Approve by Ravi
Done: `poseidon1-7k2p9` does not wait for approval: it is done. See `restore status poseidon1-7k2p9`.
Refused: `poseidon1-7k2p9` does not wait for approval: it is refused. See `restore status poseidon1-7k2p9`.
Denied: `poseidon1-7k2p9` does not wait for approval: it is denied. See `restore status poseidon1-7k2p9`.
Withdrawn: `poseidon1-7k2p9` does not wait for approval: it is withdrawn. See `restore status poseidon1-7k2p9`.
Expired: `poseidon1-7k2p9` does not wait for approval: it is expired. See `restore status poseidon1-7k2p9`.
ResumedAsIs: `poseidon1-7k2p9` does not wait for approval: it is ended with the namespaces as they are. See `restore status poseidon1-7k2p9`.
Stuck: `poseidon1-7k2p9` does not wait for approval: it is stuck until somebody chooses how to go on. See `restore status poseidon1-7k2p9`.
"#);
    }

    #[test]
    fn saying_it_again_changes_nothing() {
        let mut request = in_phase(Phase::AwaitingApproval);
        let first = vote(
            &request,
            &person("ravi"),
            &people(),
            Verdict::Approve,
            None,
            None,
            at(500),
        );
        let Ok(Cast::New(first)) = first else {
            panic!("{first:?}");
        };
        request.spec.votes.push(first);
        assert!(say(&request, "ravi", Verdict::Approve, None).starts_with("already"));
        assert!(say(&request, "olga", Verdict::Approve, None).starts_with("Approve"));
        // What was approved has changed: the same words are a new vote.
        if let Some(status) = &mut request.status
            && let Some(checked) = &mut status.checked
        {
            checked.inventory.digest = "changed".to_owned();
        }
        assert!(say(&request, "ravi", Verdict::Approve, None).starts_with("Approve"));
        let denied = vote(
            &request,
            &person("ravi"),
            &people(),
            Verdict::Deny,
            None,
            None,
            at(501),
        );
        if let Ok(Cast::New(denied)) = denied {
            request.spec.votes.push(denied);
        }
        // A denial by a mark can be given its reason, once, whatever became of the request.
        assert_eq!(say(&request, "ravi", Verdict::Deny, None), "why: too late");
        let over = crate::request::RestoreRequest {
            status: in_phase(Phase::Denied).status,
            ..request.clone()
        };
        assert_eq!(say(&over, "ravi", Verdict::Deny, None), "why: too late");
        assert!(say(&over, "olga", Verdict::Deny, None).contains("does not wait"));
        give_reason(&mut request.spec.votes, at(501), "too late");
        assert!(say(&request, "ravi", Verdict::Deny, None).contains("which stands"));
        assert!(say(&request, "ravi", Verdict::Approve, None).contains("which stands"));
    }
}
