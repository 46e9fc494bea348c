//! `restore undo`: back to the safety backup, by the same road as any restore.

use jiff::Timestamp;

use super::{may_steer, request_name};
use crate::chat::harmless::code;
use crate::request::people::People;
use crate::request::resource::{
    Action, Choice, Person, RestoreRequest, RestoreRequestSpec, RestoreStatus, Source,
};
use crate::request::{Phase, phase};

/// What an undo amounts to.
#[derive(Clone, Debug, PartialEq)]
pub struct Undo {
    /// The new request.
    pub spec: RestoreRequestSpec,
    /// Ends the old one first, where it is stuck.
    pub choice: Option<Choice>,
}

/// Decides about going back to the safety backup of a request as it was just read.
/// Returns what is to be written, or the sentence that refuses it.
pub fn undo(
    request: &RestoreRequest,
    person: &Person,
    people: &People,
    now: Timestamp,
) -> Result<Undo, String> {
    may_steer(person, request, people)?;
    let name = code(request_name(request));
    let empty = RestoreStatus::default();
    let status = request.status.as_ref().unwrap_or(&empty);
    let phase = phase(status);
    if !status.clearing_began() {
        return Err(format!(
            "There is nothing to undo about {name}: nothing was deleted. It is {}.{}",
            phase.in_words(),
            if phase.is_over() {
                String::new()
            } else {
                format!(
                    " To call it off, say `restore withdraw {}`.",
                    name.trim_matches('`')
                )
            }
        ));
    }
    let Some(backup) = status
        .safety_backup
        .as_ref()
        .filter(|backup| backup.completed_at.is_some())
    else {
        return Err(format!(
            "{name} has no safety backup to go back to: {}",
            status.waiver.as_ref().map_or_else(
                || "none was completed.".to_owned(),
                |waiver| format!("{} waived it.", waiver.by)
            )
        ));
    };
    let choice = match (&status.stuck, phase) {
        (Some(stuck), _) => Some(Choice {
            by: person.clone(),
            at: now,
            action: Action::ResumeAsIs,
            answers: stuck.at,
        }),
        (None, Phase::Resuming) => None,
        (None, phase) if phase.is_over() => None,
        (None, phase) => {
            return Err(format!(
                "{name} is {}: wait until it has ended or is stuck, then undo it.",
                phase.in_words()
            ));
        }
    };
    let reason = format!("undo of {}: {}", request_name(request), request.spec.reason);
    Ok(Undo {
        spec: RestoreRequestSpec {
            tenant: request.spec.tenant.clone(),
            namespaces: request.spec.namespaces.clone(),
            source: Source {
                backup: Some(backup.name.clone()),
                schedule: None,
                day: None,
            },
            reason: reason.chars().take(1000).collect(),
            requester: person.clone(),
            votes: Vec::new(),
            withdrawal: None,
            choice: None,
            consents: Vec::new(),
            undoes: Some(request_name(request).to_owned()),
        },
        choice,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::samples::{at, in_phase, people, person, stuck};
    use crate::request::StuckReason;

    fn say(request: &RestoreRequest, who: &str) -> String {
        match undo(request, &person(who), &people(), at(900)) {
            Ok(Undo { spec, choice }) => format!(
                "{} by {}{}",
                spec.source.backup.unwrap_or_default(),
                spec.requester.name,
                if choice.is_some() {
                    ", ending it first"
                } else {
                    ""
                }
            ),
            Err(words) => words,
        }
    }

    #[test]
    fn who_may_undo_and_when() {
        let mut lines: Vec<String> = Phase::ALL
            .into_iter()
            .map(|phase| format!("{phase:?}: {}", say(&in_phase(phase), "anna")))
            .collect();
        let done = in_phase(Phase::Done);
        for who in ["ravi", "bert", "mallory"] {
            lines.push(format!("{who}: {}", say(&done, who)));
        }
        let mut waived = stuck(StuckReason::RestoreFailed);
        if let Some(status) = &mut waived.status {
            status.safety_backup = None;
            status.waiver = Some(crate::request::Waiver {
                at: at(80),
                by: "Ravi".to_owned(),
            });
        }
        lines.push(say(&waived, "anna"));
        insta::assert_snapshot!(lines.join("\n"), @"
        Checking: There is nothing to undo about `poseidon1-7k2p9`: nothing was deleted. It is being checked. To call it off, say `restore withdraw poseidon1-7k2p9`.
        AwaitingApproval: There is nothing to undo about `poseidon1-7k2p9`: nothing was deleted. It is waiting for approval. To call it off, say `restore withdraw poseidon1-7k2p9`.
        Pausing: There is nothing to undo about `poseidon1-7k2p9`: nothing was deleted. It is turning self-heal off. To call it off, say `restore withdraw poseidon1-7k2p9`.
        Settling: There is nothing to undo about `poseidon1-7k2p9`: nothing was deleted. It is waiting for Argo CD to be quiet. To call it off, say `restore withdraw poseidon1-7k2p9`.
        Protecting: There is nothing to undo about `poseidon1-7k2p9`: nothing was deleted. It is taking a safety backup. To call it off, say `restore withdraw poseidon1-7k2p9`.
        Clearing: `poseidon1-7k2p9` is clearing the namespaces: wait until it has ended or is stuck, then undo it.
        Restoring: `poseidon1-7k2p9` is restoring: wait until it has ended or is stuck, then undo it.
        Verifying: `poseidon1-7k2p9` is verifying what was restored: wait until it has ended or is stuck, then undo it.
        Resuming: refloat-1234567890-safety-1 by Anna
        Done: refloat-1234567890-safety-1 by Anna
        Refused: There is nothing to undo about `poseidon1-7k2p9`: nothing was deleted. It is refused.
        Denied: There is nothing to undo about `poseidon1-7k2p9`: nothing was deleted. It is denied.
        Withdrawn: There is nothing to undo about `poseidon1-7k2p9`: nothing was deleted. It is withdrawn.
        Expired: There is nothing to undo about `poseidon1-7k2p9`: nothing was deleted. It is expired.
        ResumedAsIs: refloat-1234567890-safety-1 by Anna
        Stuck: refloat-1234567890-safety-1 by Anna, ending it first
        ravi: refloat-1234567890-safety-1 by Ravi
        bert: `poseidon1-7k2p9` is not yours to steer: only Anna, who asked for it, or a reviewer can. Reviewers are Ravi and Olga.
        mallory: I do not know you here: the configuration has no entry for your account `mallory` of the chat `console`. Ask the platform team to add it.
        `poseidon1-7k2p9` has no safety backup to go back to: Ravi waived it.
        ");
    }
}
