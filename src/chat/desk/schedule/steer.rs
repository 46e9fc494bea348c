//! Votes, withdrawals and choices about a change of schedules.

use jiff::Timestamp;
use kube::ResourceExt as _;
use kube::api::PostParams;

use super::super::vote::{give_reason, owes_reason};
use super::super::write::ATTEMPTS;
use super::super::{Cast, Desk, Failure, known, refused, reviewers};
use super::find::{is_requester, may_see, may_steer};
use crate::chat::harmless::{code, harmless};
use crate::chat::schedule::render;
use crate::request::people::People;
use crate::request::resource::{self, Choice, Person, Verdict, Vote, Withdrawal};
use crate::schedule::{Phase, ScheduleRequest, ScheduleStatus, digest};

/// The greatest number of votes that a request holds.
const MOST_VOTES: usize = 100;

/// Whether it waits for a reviewer.
pub(in crate::chat::desk) fn waits(request: &ScheduleRequest) -> bool {
    request.phase() == Phase::AwaitingApproval
}

/// Whether it waits for somebody to choose.
pub(in crate::chat::desk) fn is_stuck(request: &ScheduleRequest) -> bool {
    request.phase() == Phase::Stuck
}

/// What an approval of the request as it was read is bound to.
fn digest_of(request: &ScheduleRequest) -> String {
    let empty = ScheduleStatus::default();
    digest(
        request.metadata.uid.as_deref().unwrap_or_default(),
        &request.spec,
        request.status.as_ref().unwrap_or(&empty),
    )
}

/// Decides about a vote on a request as it was just read.
///
/// `said` is the digest that the person named, or its beginning. Returns the vote,
/// or the sentence that refuses it (S1, S2).
pub(in crate::chat::desk) fn vote(
    request: &ScheduleRequest,
    person: &Person,
    people: &People,
    verdict: Verdict,
    said: Option<&str>,
    reason: Option<String>,
    now: Timestamp,
) -> Result<Cast, String> {
    let bare = request.name_any();
    let name = code(&bare);
    let word = match verdict {
        Verdict::Approve => "approve",
        Verdict::Deny => "deny",
    };
    if !known(person, people)?.reviewer {
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
                "You asked for {name} yourself: to call it off, say `schedule withdraw {bare}`."
            ),
        });
    }
    if verdict == Verdict::Deny
        && let Some(reason) = &reason
        && let Some(mine) = owes_reason(&request.spec.votes, person, people)
    {
        return Ok(Cast::Why(mine.at, reason.clone()));
    }
    match request.phase() {
        Phase::AwaitingApproval => {}
        Phase::Checking => {
            return Err(format!(
                "{name} is still being checked: wait until its thread asks for approval."
            ));
        }
        other => {
            return Err(format!(
                "{name} does not wait for approval: it is {}. See `schedule status {bare}`.",
                other.in_words()
            ));
        }
    }
    let has_pull = request
        .status
        .as_ref()
        .is_some_and(|status| status.pull.is_some());
    if !has_pull && verdict == Verdict::Approve {
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
             then say `approve {bare} digest:{}`.",
            code(said),
            code(&digest[..8]),
            &digest[..8]
        ));
    }
    let same = |vote: &&Vote| {
        person.is(&vote.by)
            || people
                .by_account(person)
                .zip(people.by_account(&vote.by))
                .is_some_and(|(one, other)| one.name == other.name)
    };
    for mine in request.spec.votes.iter().filter(same) {
        if mine.verdict == Verdict::Deny {
            return Ok(Cast::Already(format!(
                "You denied {name} at {}, which stands.",
                mine.at.strftime("%H:%M:%S UTC")
            )));
        }
        if mine.verdict == verdict && mine.digest == digest {
            return Ok(Cast::Already(format!(
                "You have approved exactly this of {name} already; nothing is changed."
            )));
        }
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

/// What was decided: written, or not needed, and what to say.
enum Change {
    Write(String),
    Leave(String),
}

impl Desk {
    /// Where it stands, for whoever may see it.
    pub(in crate::chat::desk) fn schedule_status(
        &self,
        person: &Person,
        request: &ScheduleRequest,
    ) -> Result<String, Failure> {
        may_see(person, request, &self.people).map_err(Failure::Refused)?;
        Ok(render(request, &self.context).card.text())
    }

    pub(in crate::chat::desk) async fn vote_on_schedule(
        &self,
        person: &Person,
        request: ScheduleRequest,
        verdict: Verdict,
        said: Option<&str>,
        reason: Option<String>,
    ) -> Result<String, Failure> {
        let read = digest_of(&request);
        self.amend_schedule(request, |request| {
            let name = code(&request.name_any());
            if verdict == Verdict::Approve && digest_of(request) != read {
                return Err(format!(
                    "{name} changed while you approved it. Read its card again, then approve it."
                ));
            }
            let now = Timestamp::now();
            let cast = vote(
                request,
                person,
                &self.people,
                verdict,
                said,
                reason.clone(),
                now,
            )?;
            Ok(match cast {
                Cast::Already(words) => Change::Leave(words),
                Cast::Why(at, reason) => {
                    give_reason(&mut request.spec.votes, at, &reason);
                    Change::Write(format!(
                        "You said why you denied {name}: its thread tells it."
                    ))
                }
                Cast::New(vote) => {
                    let words = match verdict {
                        Verdict::Approve => format!(
                            "You approve {name} as it is now (digest {}).",
                            code(&vote.digest[..8])
                        ),
                        Verdict::Deny => format!("You deny {name}; nothing will be changed."),
                    };
                    tracing::info!(
                        request = request.name_any(),
                        tenant = request.spec.tenant,
                        person = person.id,
                        ?verdict,
                        "a vote was given"
                    );
                    request.spec.votes.push(vote);
                    Change::Write(words)
                }
            })
        })
        .await
    }

    pub(in crate::chat::desk) async fn withdraw_schedule(
        &self,
        person: &Person,
        request: ScheduleRequest,
    ) -> Result<String, Failure> {
        self.amend_schedule(request, |request| {
            may_steer(person, request, &self.people)?;
            let bare = request.name_any();
            let name = code(&bare);
            let phase = request.phase();
            if phase.is_over() {
                return Err(format!(
                    "{name} is over: it is {}. There is nothing to withdraw.",
                    phase.in_words()
                ));
            }
            if request
                .status
                .as_ref()
                .is_some_and(ScheduleStatus::in_order)
            {
                return Err(format!(
                    "It is too late to withdraw {name}: it is in the tenant's order already. Ask \
                     for the opposite change with `schedule add`, `change` or `remove`."
                ));
            }
            if let Some(before) = &request.spec.withdrawal {
                return Ok(Change::Leave(format!(
                    "{} has withdrawn {name} already; nothing is changed.",
                    harmless(&before.by.name, 100)
                )));
            }
            request.spec.withdrawal = Some(Withdrawal {
                by: person.clone(),
                at: Timestamp::now(),
            });
            Ok(Change::Write(format!(
                "{name} is withdrawn, unless its pull request is merged at this moment: its \
                 thread says."
            )))
        })
        .await
    }

    pub(in crate::chat::desk) async fn choose_schedule(
        &self,
        person: &Person,
        request: ScheduleRequest,
        action: resource::Action,
    ) -> Result<String, Failure> {
        self.amend_schedule(request, |request| {
            may_steer(person, request, &self.people)?;
            let name = code(&request.name_any());
            let Some(stuck) = request
                .status
                .as_ref()
                .and_then(|status| status.stuck.as_ref())
            else {
                return Err(format!(
                    "{name} is not stuck: it is {}. There is nothing to choose.",
                    request.phase().in_words()
                ));
            };
            if let Some(before) = &request.spec.choice
                && before.answers == stuck.at
            {
                return Ok(Change::Leave(format!(
                    "{name} has been answered already; nothing is changed."
                )));
            }
            let words = match action {
                resource::Action::Retry => "it is looked at once more, and waited for anew.",
                resource::Action::ResumeAsIs => "it ends with things as they are.",
                resource::Action::Waive => {
                    return Err(format!("{name} has no safety backup that could be waived."));
                }
            };
            request.spec.choice = Some(Choice {
                by: person.clone(),
                at: Timestamp::now(),
                action,
                answers: stuck.at,
            });
            Ok(Change::Write(format!("{name}: {words}")))
        })
        .await
    }

    /// Decides upon a request and writes what was decided, if nobody has written it
    /// since it was read; else reads it again and decides anew.
    async fn amend_schedule(
        &self,
        mut request: ScheduleRequest,
        decide: impl Fn(&mut ScheduleRequest) -> Result<Change, String>,
    ) -> Result<String, Failure> {
        let name = request.name_any();
        let uid = request.metadata.uid.clone();
        for _ in 0..ATTEMPTS {
            let words = match decide(&mut request).map_err(Failure::Refused)? {
                Change::Leave(words) => return Ok(words),
                Change::Write(words) => words,
            };
            // The resource version that was read is part of the object.
            let written = self
                .schedule_requests()
                .replace(&name, &PostParams::default(), &request)
                .await;
            match written {
                Ok(_) => return Ok(words),
                Err(kube::Error::Api(status)) if status.is_conflict() => {}
                Err(error) => return Err(error.into()),
            }
            match self.schedule_requests().get_opt(&name).await? {
                Some(again) if again.metadata.uid == uid => request = again,
                _ => {
                    return refused(format!(
                        "{} is not there any more. See `schedule status`.",
                        code(&name)
                    ));
                }
            }
        }
        refused(format!(
            "{} is being changed so often that it could not be written. Say it again.",
            code(&name)
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::samples::{at, people, person};
    use crate::request::resource::Opened;
    use crate::schedule::resource::{Action, Change, Checked};
    use crate::schedule::{Fact, ScheduleRequestSpec, apply};

    /// A request of Anna's that waits for approval, or goes on from there.
    fn request(requester: &str, more: Vec<Fact>) -> ScheduleRequest {
        let mut request = ScheduleRequest::new(
            "poseidon1-7k2p9m",
            ScheduleRequestSpec {
                tenant: "poseidon1".to_owned(),
                change: Change {
                    action: Action::Remove,
                    name: "daily".to_owned(),
                    new_name: None,
                    schedule: None,
                    ttl: None,
                    words: None,
                },
                requester: person(requester),
                votes: Vec::new(),
                withdrawal: None,
                choice: None,
            },
        );
        request.metadata.uid = Some("uid".to_owned());
        let mut status = ScheduleStatus::default();
        for fact in more {
            apply(&mut status, fact, at(1));
        }
        request.status = Some(status);
        request
    }

    fn checked() -> Fact {
        Fact::Checked(Box::new(Checked {
            at: at(1),
            order_path: "x".to_owned(),
            namespaces: Vec::new(),
            before: None,
            after: None,
            checks: Vec::new(),
        }))
    }

    fn opened(head: &str) -> Fact {
        Fact::PullOpened(Opened {
            number: 7,
            url: "https://x".to_owned(),
            branch: "b".to_owned(),
            head_sha: head.to_owned(),
            ..Opened::default()
        })
    }

    fn say(request: &ScheduleRequest, who: &str, verdict: Verdict, said: Option<&str>) -> String {
        let now = at(500);
        match vote(request, &person(who), &people(), verdict, said, None, now) {
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
        let waiting = request("anna", vec![checked(), opened("head")]);
        let own = request("olga-discord", vec![checked(), opened("head")]);
        let digest = digest_of(&waiting);
        let mut again = waiting.clone();
        again.spec.votes.push(Vote {
            by: person("ravi"),
            at: at(400),
            verdict: Approve,
            digest: digest.clone(),
            reason: None,
        });
        // The same yes is none to another head.
        let mut moved = again.clone();
        if let Some(status) = &mut moved.status {
            apply(status, opened("other"), at(450));
        }
        let merged = vec![checked(), opened("head"), Fact::PullMerged(None)];
        let lines = [
            say(&waiting, "ravi", Approve, None),
            say(&waiting, "ravi", Deny, None),
            say(&waiting, "ravi", Approve, Some(&digest[..6])),
            say(&waiting, "ravi", Approve, Some("ffffff")),
            say(&waiting, "anna", Approve, None),
            say(&waiting, "mallory", Approve, None),
            // Reviewer and requester, by another account.
            say(&own, "olga", Approve, None),
            say(&own, "olga", Deny, None),
            say(&again, "ravi", Approve, None),
            say(&moved, "ravi", Approve, None),
            say(&request("anna", vec![]), "ravi", Approve, None),
            say(&request("anna", vec![checked()]), "ravi", Approve, None),
            say(&request("anna", merged), "ravi", Approve, None),
        ];
        insta::assert_snapshot!(lines.join("\n"), @"
        Approve by Ravi
        Deny by Ravi
        Approve by Ravi
        `poseidon1-7k2p9m` has changed meanwhile: `ffffff` is not what it is now (`a8901e7e`). Read its card again, then say `approve poseidon1-7k2p9m digest:a8901e7e`.
        You may not approve `poseidon1-7k2p9m`: you are not a reviewer. Reviewers are Ravi and Olga.
        I do not know you here: the configuration has no entry for your account `mallory` of the chat `console`. Ask the platform team to add it.
        You asked for `poseidon1-7k2p9m` yourself, so that another reviewer has to approve it. Reviewers are Ravi and Olga.
        You asked for `poseidon1-7k2p9m` yourself: to call it off, say `schedule withdraw poseidon1-7k2p9m`.
        already: You have approved exactly this of `poseidon1-7k2p9m` already; nothing is changed.
        Approve by Ravi
        `poseidon1-7k2p9m` is still being checked: wait until its thread asks for approval.
        The pull request of `poseidon1-7k2p9m` is being opened, and an approval is bound to it: wait until the thread asks for approval.
        `poseidon1-7k2p9m` does not wait for approval: it is being applied by Argo CD. See `schedule status poseidon1-7k2p9m`.
        ");
    }
}
