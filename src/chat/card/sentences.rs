//! Where a request stands and what comes next, phase by phase.

use crate::chat::harmless::code;
use crate::chat::render::View;
use crate::request::Phase;

/// What it is doing, in a sentence.
pub(super) fn state(view: &View<'_>) -> String {
    let status = view.status;
    match view.phase {
        Phase::Checking => {
            "Being checked: backup, order, cluster and what would be deleted. Nothing is touched."
                .to_owned()
        }
        Phase::AwaitingApproval if status.pause.is_none() => {
            "Checked. The pull request that turns self-heal off is being opened.".to_owned()
        }
        Phase::AwaitingApproval => format!(
            "Waiting for a reviewer's approval of exactly this (digest {}). Nothing is touched.",
            code(&view.short_digest())
        ),
        Phase::Pausing => {
            "Approved. Self-heal is being turned off by merging the pull request.".to_owned()
        }
        Phase::Settling => {
            "Self-heal is off in the order. Waiting until Argo CD is quiet; nothing is deleted yet."
                .to_owned()
        }
        Phase::Protecting => {
            "Argo CD is quiet. A safety backup is being taken; nothing is deleted yet.".to_owned()
        }
        Phase::Clearing if status.clearing.is_none() => {
            "The safety backup is done. Everything is checked again before the first delete."
                .to_owned()
        }
        Phase::Clearing => "The namespaces are being cleared of what was approved.".to_owned(),
        Phase::Restoring => {
            "The namespaces are empty. Velero is bringing back what the backup holds.".to_owned()
        }
        Phase::Verifying => "Restored. Volumes, claims and pods are being looked at.".to_owned(),
        Phase::Resuming if status.ending.is_some() => {
            "It ends early. What was touched is being undone first: self-heal comes back."
                .to_owned()
        }
        Phase::Resuming => "Restored and verified. Self-heal is being turned on again.".to_owned(),
        Phase::Done => "Done: restored, verified, and self-heal is as it was.".to_owned(),
        Phase::Refused => format!("Refused. {}", left_as(view)),
        Phase::Denied => format!("Denied. {}", left_as(view)),
        Phase::Withdrawn => format!("Withdrawn. {}", left_as(view)),
        Phase::Expired => format!("Expired. {}", left_as(view)),
        Phase::ResumedAsIs => {
            "Ended with the namespaces as they are; the restore was not carried through.".to_owned()
        }
        Phase::Stuck => format!(
            "Stuck: a person has to choose how to go on.{}",
            if status.self_heal_is_off() {
                " Self-heal is off until then."
            } else {
                ""
            }
        ),
    }
}

fn left_as(view: &View<'_>) -> &'static str {
    if view.status.clearing_began() {
        "The namespaces are left as they are."
    } else {
        "Nothing was deleted."
    }
}

/// What comes next, in a sentence.
pub(super) fn next(view: &View<'_>) -> Option<String> {
    let name = code(view.name);
    let words = match view.phase {
        Phase::Checking => {
            "a pull request that turns self-heal off, and a reviewer's approval".to_owned()
        }
        Phase::AwaitingApproval => {
            "once approved: self-heal off, Argo CD quiet, a safety backup, clearing, the restore, \
             self-heal on again"
                .to_owned()
        }
        Phase::Pausing => "Argo CD becomes quiet, then a safety backup".to_owned(),
        Phase::Settling => "a safety backup of the namespaces as they are".to_owned(),
        Phase::Protecting => {
            "the namespaces are cleared; until then it can be withdrawn".to_owned()
        }
        Phase::Clearing => "Velero restores the backup".to_owned(),
        Phase::Restoring => "volumes, claims and pods are verified".to_owned(),
        Phase::Verifying => "self-heal is turned on again".to_owned(),
        Phase::Resuming if view.status.ending.is_some() => "then it is over".to_owned(),
        Phase::Resuming => "Argo CD heals again, and it is done".to_owned(),
        Phase::Stuck => format!(
            "`restore retry {}` to go on, or `restore resume {}` to leave the namespaces as they \
             are and turn self-heal on again",
            name.trim_matches('`'),
            name.trim_matches('`')
        ),
        Phase::Done
        | Phase::Refused
        | Phase::Denied
        | Phase::Withdrawn
        | Phase::Expired
        | Phase::ResumedAsIs => return None,
    };
    Some(words)
}
