//! What is said by a mark alone: an approval that is taken back, a denial.

use std::sync::Arc;

use super::write::Change;
use super::{Desk, Failure, known, request_name};
use crate::chat::harmless::{code, harmless};
use crate::chat::{Chat, Incoming, Marked};
use crate::request::people::People;
use crate::request::phase;
use crate::request::resource::{Person, RestoreRequest, Verdict};

impl Desk {
    /// Takes the approvals of a person off a request, and answers in words.
    pub(super) async fn handle_taken_back<C: Chat>(&self, taken: Marked, chat: &C) {
        let incoming = said_by(taken);
        let done = self.take_back(&incoming).await.map(super::Reply::from);
        let answer = super::in_words(&incoming, done);
        self.tell(&incoming, &answer, chat).await;
    }

    /// Denies a request at once, since a no must not wait for its reason; the thread
    /// asks for that.
    pub(super) async fn handle_denied<C: Chat>(&self, denied: Marked, chat: &C) {
        let incoming = said_by(denied);
        let answer = match self.rights.now(&self.people, &incoming.from).await {
            Ok(people) => {
                let desk = Self {
                    people: Arc::new(people),
                    ..self.clone()
                };
                let done = desk.vote(&incoming, None, Verdict::Deny, None, None).await;
                super::in_words(&incoming, done.map(super::Reply::from))
            }
            Err(words) => super::refusal(words),
        };
        self.tell(&incoming, &answer, chat).await;
    }

    async fn take_back(&self, incoming: &Incoming) -> Result<String, Failure> {
        let name = incoming.thread.clone().unwrap_or_default();
        let Some(request) = self.requests().get_opt(&name).await? else {
            // What a change of schedules was approved by is decided at once.
            return Ok(String::new());
        };
        let person = &incoming.from;
        self.amend(request, |request| take_back(request, person, &self.people))
            .await
    }
}

/// A mark as something that was said in the request's thread.
fn said_by(marked: Marked) -> Incoming {
    Incoming {
        id: marked.id,
        from: super::tidy(&marked.from),
        text: String::new(),
        thread: Some(marked.request),
    }
}

/// Decides about an approval that is taken back. Anybody may take back their own,
/// whatever else they may.
fn take_back(
    request: &mut RestoreRequest,
    person: &Person,
    people: &People,
) -> Result<Change, String> {
    let name = code(request_name(request));
    let status = request.status.clone().unwrap_or_default();
    let who = known(person, people).map_or_else(
        |_| harmless(&person.name, 100),
        |entry| harmless(&entry.name, 100),
    );
    if phase(&status).is_over() {
        return Ok(Change::Leave(String::new()));
    }
    let is_mine = |by: &Person| {
        by.is(person)
            || people
                .by_account(by)
                .zip(people.by_account(person))
                .is_some_and(|(one, other)| one.name == other.name)
    };
    let approves = |vote: &crate::request::resource::Vote| {
        vote.verdict == Verdict::Approve && is_mine(&vote.by)
    };
    if !request.spec.votes.iter().any(approves) {
        return Ok(Change::Leave(String::new()));
    }
    if status.clearing_began() {
        return Err(format!(
            "{who}, your approval of {name} cannot be taken back any more: the clearing has begun."
        ));
    }
    request.spec.votes.retain(|vote| !approves(vote));
    tracing::info!(
        request = request_name(request),
        tenant = request.spec.tenant,
        person = person.id,
        "an approval was taken back"
    );
    Ok(Change::Write(format!(
        "{who} took back the approval of {name}. Nothing is deleted without another."
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::desk::vote::digest_of;
    use crate::chat::samples::{at, in_phase, people, person};
    use crate::request::Phase;
    use crate::request::resource::Vote;

    fn words(request: &mut RestoreRequest, who: &str) -> String {
        match take_back(request, &person(who), &people()) {
            Ok(Change::Write(words)) => format!("written: {words}"),
            Ok(Change::Leave(words)) => format!("left: {words}"),
            Err(words) => format!("refused: {words}"),
        }
    }

    #[test]
    fn only_ones_own_and_only_before_the_clearing() {
        let approve = |request: &mut RestoreRequest| {
            request.spec.votes = vec![Vote {
                by: person("ravi"),
                at: at(1),
                verdict: Verdict::Approve,
                digest: digest_of(request),
                reason: None,
            }];
        };
        let mut waiting = in_phase(Phase::AwaitingApproval);
        approve(&mut waiting);
        assert_eq!(words(&mut waiting, "olga"), "left: ");
        insta::assert_snapshot!(words(&mut waiting, "ravi-discord"), @"written: Ravi took back the approval of `poseidon1-7k2p9`. Nothing is deleted without another.");
        assert!(waiting.spec.votes.is_empty());
        assert_eq!(words(&mut waiting, "ravi"), "left: ");
        let mut clearing = in_phase(Phase::Clearing);
        approve(&mut clearing);
        insta::assert_snapshot!(words(&mut clearing, "ravi"), @"refused: Ravi, your approval of `poseidon1-7k2p9` cannot be taken back any more: the clearing has begun.");
        let mut done = in_phase(Phase::Done);
        approve(&mut done);
        assert_eq!(words(&mut done, "ravi"), "left: ");
    }
}
