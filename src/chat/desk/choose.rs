//! `restore retry` and `restore resume`: how to go on from `Stuck`.

use jiff::Timestamp;

use super::{may_steer, request_name};
use crate::chat::harmless::code;
use crate::chat::milestones::meaning;
use crate::request::people::People;
use crate::request::phase;
use crate::request::resource::{Action, Choice, Person, RestoreRequest, RestoreStatus};

/// What becomes of a choice.
#[derive(Clone, Debug, PartialEq)]
pub enum Chosen {
    /// To be written, and what it will do, in words.
    New(Choice, String),
    /// The present question was answered before; in words.
    Already(String),
}

/// Decides about a choice for a request as it was just read. Returns it, or the
/// sentence that refuses it.
pub fn choose(
    request: &RestoreRequest,
    person: &Person,
    people: &People,
    action: Action,
    now: Timestamp,
) -> Result<Chosen, String> {
    may_steer(person, request, people)?;
    let name = code(request_name(request));
    let empty = RestoreStatus::default();
    let status = request.status.as_ref().unwrap_or(&empty);
    let Some(stuck) = &status.stuck else {
        let phase = phase(status);
        return Err(format!(
            "{name} is not stuck: it is {}. {}",
            phase.in_words(),
            if phase.is_over() {
                "Ask for a new restore if one is needed."
            } else {
                "There is nothing to choose; `restore status` shows what it waits for."
            }
        ));
    };
    if let Some(before) = &request.spec.choice
        && before.answers == stuck.at
    {
        return Ok(Chosen::Already(format!(
            "{} has been answered already, with `restore {}`; nothing is changed.",
            name,
            word(before.action)
        )));
    }
    Ok(Chosen::New(
        Choice {
            by: person.clone(),
            at: now,
            action,
            answers: stuck.at,
        },
        format!("{name}: {}", meaning(action, stuck)),
    ))
}

fn word(action: Action) -> &'static str {
    match action {
        Action::Retry => "retry",
        Action::ResumeAsIs => "resume",
        Action::Waive => "waive",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::samples::{at, in_phase, people, person, stuck};
    use crate::request::Phase;
    use crate::request::resource::StuckReason;

    fn say(request: &RestoreRequest, who: &str, action: Action) -> String {
        match choose(request, &person(who), &people(), action, at(900)) {
            Ok(Chosen::New(choice, words)) => {
                assert_eq!(
                    Some(choice.answers),
                    request
                        .status
                        .as_ref()
                        .and_then(|status| status.stuck.as_ref())
                        .map(|stuck| stuck.at)
                );
                words
            }
            Ok(Chosen::Already(words)) => format!("already: {words}"),
            Err(words) => words,
        }
    }

    #[test]
    fn who_may_choose_and_what_it_means() {
        let mut lines = Vec::new();
        for reason in [
            StuckReason::SafetyBackupFailed,
            StuckReason::ClearingBlocked,
            StuckReason::RestoreFailed,
            StuckReason::RestorePartiallyFailed,
            StuckReason::RestoreVanished,
            StuckReason::RestoreStalled,
            StuckReason::VerificationFailed,
            StuckReason::WouldPrune,
            StuckReason::ResumeBlocked,
        ] {
            let request = stuck(reason);
            lines.push(format!("{reason:?}"));
            lines.push(format!("  retry: {}", say(&request, "anna", Action::Retry)));
            lines.push(format!(
                "  resume: {}",
                say(&request, "ravi", Action::ResumeAsIs)
            ));
        }
        lines.push(say(
            &stuck(StuckReason::RestoreFailed),
            "bert",
            Action::Retry,
        ));
        lines.push(say(&in_phase(Phase::Restoring), "anna", Action::Retry));
        lines.push(say(&in_phase(Phase::Done), "anna", Action::Retry));
        let mut answered = stuck(StuckReason::RestoreFailed);
        if let Ok(Chosen::New(choice, _)) = choose(
            &answered,
            &person("anna"),
            &people(),
            Action::Retry,
            at(900),
        ) {
            answered.spec.choice = Some(choice);
        }
        lines.push(say(&answered, "ravi", Action::ResumeAsIs));
        insta::assert_snapshot!(lines.join("\n"), @"
        SafetyBackupFailed
          retry: `poseidon1-7k2p9`: a new safety backup is taken, and the restore goes on if it succeeds.
          resume: `poseidon1-7k2p9`: the restore ends, nothing is deleted, and self-heal is turned on again.
        ClearingBlocked
          retry: `poseidon1-7k2p9`: the clearing goes on from where it is, with the same objects as approved.
          resume: `poseidon1-7k2p9`: the restore ends, and self-heal is turned on again: Argo CD brings back what is in Git, and volume data that is not back yet stays in the safety backup.
        RestoreFailed
          retry: `poseidon1-7k2p9`: Velero restores the same backup once more. Nothing is cleared again: what is there already stays as it is.
          resume: `poseidon1-7k2p9`: the restore ends, and self-heal is turned on again: Argo CD brings back what is in Git, and volume data that is not back yet stays in the safety backup.
        RestorePartiallyFailed
          retry: `poseidon1-7k2p9`: Velero restores the same backup once more. Nothing is cleared again: what is there already stays as it is.
          resume: `poseidon1-7k2p9`: the restore ends, and self-heal is turned on again: Argo CD brings back what is in Git, and volume data that is not back yet stays in the safety backup.
        RestoreVanished
          retry: `poseidon1-7k2p9`: Velero restores the same backup once more. Nothing is cleared again: what is there already stays as it is.
          resume: `poseidon1-7k2p9`: the restore ends, and self-heal is turned on again: Argo CD brings back what is in Git, and volume data that is not back yet stays in the safety backup.
        RestoreStalled
          retry: `poseidon1-7k2p9`: the same Velero Restore is waited for once more.
          resume: `poseidon1-7k2p9`: the restore ends, and self-heal is turned on again: Argo CD brings back what is in Git, and volume data that is not back yet stays in the safety backup. Velero cannot be stopped: self-heal waits until it has ended, or until you say so once more.
        VerificationFailed
          retry: `poseidon1-7k2p9`: what was restored is looked at once more.
          resume: `poseidon1-7k2p9`: the restore ends with what came back, and self-heal is turned on again.
        WouldPrune
          retry: `poseidon1-7k2p9`: Argo CD's Applications are looked at once more; nothing is agreed to.
          resume: `poseidon1-7k2p9`: you agree that Argo CD deletes `PersistentVolumeClaim poseidon1-dev/data`, and self-heal is turned on again.
        ResumeBlocked
          retry: `poseidon1-7k2p9`: turning self-heal on again is tried once more.
          resume: `poseidon1-7k2p9`: the restore ends once self-heal is on again, whether or not the Applications are synced and healthy.
        `poseidon1-7k2p9` is not yours to steer: only Anna, who asked for it, or a reviewer can. Reviewers are Ravi and Olga.
        `poseidon1-7k2p9` is not stuck: it is restoring. There is nothing to choose; `restore status` shows what it waits for.
        `poseidon1-7k2p9` is not stuck: it is done. Ask for a new restore if one is needed.
        already: `poseidon1-7k2p9` has been answered already, with `restore retry`; nothing is changed.
        ");
    }
}
