//! `restore withdraw`: calling a request off, until something is deleted.

use jiff::Timestamp;

use super::{may_steer, request_name};
use crate::chat::harmless::{code, harmless};
use crate::request::people::People;
use crate::request::phase;
use crate::request::resource::{Person, RestoreRequest, RestoreStatus, Withdrawal};

/// What becomes of a withdrawal.
#[derive(Clone, Debug, PartialEq)]
pub enum Withdrawn {
    /// To be written.
    New(Withdrawal),
    /// It was withdrawn before; in words.
    Already(String),
}

/// Decides about a withdrawal of a request as it was just read. Returns it, or
/// the sentence that refuses it.
pub fn withdraw(
    request: &RestoreRequest,
    person: &Person,
    people: &People,
    now: Timestamp,
) -> Result<Withdrawn, String> {
    may_steer(person, request, people)?;
    let name = code(request_name(request));
    let empty = RestoreStatus::default();
    let status = request.status.as_ref().unwrap_or(&empty);
    let phase = phase(status);
    if phase.is_over() {
        return Err(format!(
            "{name} is over: it is {}. There is nothing to withdraw.",
            phase.in_words()
        ));
    }
    if status.clearing_began() {
        return Err(format!(
            "It is too late to withdraw {name}: its clearing has begun, and stopping now would \
             leave the namespaces half empty. It goes on; if it gets stuck, `restore resume {}` \
             leaves things as they are.",
            name.trim_matches('`')
        ));
    }
    if let Some(ending) = &status.ending {
        return Err(format!(
            "{name} is ending already: {} It is {}.",
            harmless(&ending.message, 300),
            phase.in_words()
        ));
    }
    if let Some(before) = &request.spec.withdrawal {
        return Ok(Withdrawn::Already(format!(
            "{} has withdrawn {name} already; nothing is changed.",
            harmless(&before.by.name, 100)
        )));
    }
    Ok(Withdrawn::New(Withdrawal {
        by: person.clone(),
        at: now,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::samples::{at, in_phase, people, person};
    use crate::request::Phase;

    fn say(request: &RestoreRequest, who: &str) -> String {
        match withdraw(request, &person(who), &people(), at(500)) {
            Ok(Withdrawn::New(withdrawal)) => format!("withdrawn by {}", withdrawal.by.name),
            Ok(Withdrawn::Already(words)) => format!("already: {words}"),
            Err(words) => words,
        }
    }

    #[test]
    fn who_may_withdraw_and_when() {
        let mut lines: Vec<String> = Phase::ALL
            .into_iter()
            .map(|phase| format!("{phase:?}: {}", say(&in_phase(phase), "anna")))
            .collect();
        let waiting = in_phase(Phase::AwaitingApproval);
        for who in ["ravi", "bert", "mallory"] {
            lines.push(format!("{who}: {}", say(&waiting, who)));
        }
        let mut twice = waiting;
        twice.spec.withdrawal = Some(Withdrawal {
            by: person("anna"),
            at: at(1),
        });
        lines.push(say(&twice, "anna"));
        insta::assert_snapshot!(lines.join("\n"), @r#"
Checking: withdrawn by Anna
AwaitingApproval: withdrawn by Anna
Pausing: withdrawn by Anna
Settling: withdrawn by Anna
Protecting: withdrawn by Anna
Clearing: It is too late to withdraw `poseidon1-7k2p9`: its clearing has begun, and stopping now would leave the namespaces half empty. It goes on; if it gets stuck, `restore resume poseidon1-7k2p9` leaves things as they are.
Restoring: It is too late to withdraw `poseidon1-7k2p9`: its clearing has begun, and stopping now would leave the namespaces half empty. It goes on; if it gets stuck, `restore resume poseidon1-7k2p9` leaves things as they are.
Verifying: It is too late to withdraw `poseidon1-7k2p9`: its clearing has begun, and stopping now would leave the namespaces half empty. It goes on; if it gets stuck, `restore resume poseidon1-7k2p9` leaves things as they are.
Resuming: It is too late to withdraw `poseidon1-7k2p9`: its clearing has begun, and stopping now would leave the namespaces half empty. It goes on; if it gets stuck, `restore resume poseidon1-7k2p9` leaves things as they are.
Done: `poseidon1-7k2p9` is over: it is done. There is nothing to withdraw.
Refused: `poseidon1-7k2p9` is over: it is refused. There is nothing to withdraw.
Denied: `poseidon1-7k2p9` is over: it is denied. There is nothing to withdraw.
Withdrawn: `poseidon1-7k2p9` is over: it is withdrawn. There is nothing to withdraw.
Expired: `poseidon1-7k2p9` is over: it is expired. There is nothing to withdraw.
ResumedAsIs: `poseidon1-7k2p9` is over: it is ended with the namespaces as they are. There is nothing to withdraw.
Stuck: It is too late to withdraw `poseidon1-7k2p9`: its clearing has begun, and stopping now would leave the namespaces half empty. It goes on; if it gets stuck, `restore resume poseidon1-7k2p9` leaves things as they are.
ravi: withdrawn by Ravi
bert: `poseidon1-7k2p9` is not yours to steer: only Anna, who asked for it, or a reviewer can. Reviewers are Ravi and Olga.
mallory: I do not know you here: the configuration has no entry for your account `mallory` of the chat `console`. Ask the platform team to add it.
already: Anna has withdrawn `poseidon1-7k2p9` already; nothing is changed.
"#);
    }
}
