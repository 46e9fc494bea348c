//! What people were asked, and what they chose.

use super::{Said, moment};
use crate::chat::harmless::{code, harmless};
use crate::chat::render::View;
use crate::chat::words::{between, put, sentence};
use crate::request::Phase;
use crate::request::preflight::list;
use crate::request::resource::{Action, Choice, Outcome, ReminderOf, Stuck, StuckReason};

/// Stuck, choices, a withdrawal that came too late, reminders.
pub(super) fn by_people(view: &View<'_>, said: &mut Said) {
    let status = view.status;
    if let Some(stuck) = &status.stuck {
        said.say(moment("stuck", stuck.at), stuck.at, stuck_text(view, stuck));
    }
    for choice in &status.choices {
        said.say(moment("choice", choice.answers), choice.at, chosen(choice));
    }
    if let Some(withdrawal) = &view.spec.withdrawal
        && let Some(clearing) = &status.clearing
        && status
            .ending
            .as_ref()
            .is_none_or(|ending| ending.outcome != Outcome::Withdrawn)
    {
        said.say(
            "withdrawal-late",
            withdrawal.at.max(clearing.began_at),
            format!(
                "{} withdrew it, but the clearing had begun: the restore goes on, since stopping \
                 now would leave the namespaces half empty.",
                harmless(&withdrawal.by.name, 100)
            ),
        );
    }
    let mut approval = 0;
    let mut self_heal = 0;
    let mut still_stuck = 0;
    for reminder in &status.reminders {
        let (key, text) = match reminder.about {
            ReminderOf::Approval => {
                approval += 1;
                (
                    format!("reminder-approval-{approval}"),
                    format!(
                        "Reminder: the restore {} still waits for a reviewer's approval.",
                        code(view.name)
                    ),
                )
            }
            ReminderOf::Stuck => {
                still_stuck += 1;
                (
                    format!("reminder-stuck-{still_stuck}"),
                    format!(
                        "Reminder: the restore {} is stuck, and a person has to choose how to go \
                         on: `restore status {}` says how.",
                        code(view.name),
                        code(view.name).trim_matches('`')
                    ),
                )
            }
            ReminderOf::SelfHealOff => {
                self_heal += 1;
                let since = status
                    .pause
                    .as_ref()
                    .and_then(|pause| pause.merged.as_ref())
                    .map(|merged| between(merged.at, reminder.at));
                (
                    format!("reminder-self-heal-{self_heal}"),
                    format!(
                        "Reminder: self-heal of the tenant {} has been off{}. It comes back when \
                         this restore ends.",
                        code(&view.spec.tenant),
                        since
                            .map(|since| format!(" for {since}"))
                            .unwrap_or_default()
                    ),
                )
            }
        };
        let asks = reminder.about == ReminderOf::Approval && view.phase == Phase::AwaitingApproval;
        let digest = asks.then(|| view.short_digest());
        said.push(key, reminder.at, &text, asks, digest);
    }
}

fn stuck_text(view: &View<'_>, stuck: &Stuck) -> String {
    let name = code(view.name);
    let name = name.trim_matches('`');
    let mut text = format!("**Stuck.** {}", sentence(&harmless(&stuck.message, 1000)));
    put(
        &mut text,
        format_args!(
            "\n- `restore retry {name}`: {}\n- `restore resume {name}`: {}",
            meaning(Action::Retry, stuck),
            meaning(Action::ResumeAsIs, stuck)
        ),
    );
    if stuck.reason == StuckReason::SafetyBackupFailed {
        put(
            &mut text,
            format_args!(
                "\n- `restore waive {name}` (a reviewer): {}",
                meaning(Action::Waive, stuck)
            ),
        );
    }
    let saved = view.status.safety_backup.as_ref();
    if view.status.clearing_began() && saved.is_some_and(|backup| backup.completed_at.is_some()) {
        put(
            &mut text,
            format_args!(
                "\n- `restore undo {name}`: this restore ends, and a new request brings back the \
                 safety backup, by the same road."
            ),
        );
    }
    text
}

/// What a choice would do to a request that is stuck so, in a sentence.
pub(in crate::chat) fn meaning(action: Action, stuck: &Stuck) -> String {
    use crate::request::resource::StuckReason as Reason;
    const AS_THEY_ARE: &str = "the restore ends, and self-heal is turned on again: Argo CD brings \
        back what is in Git, and volume data that is not back yet stays in the safety backup.";
    match (action, stuck.reason) {
        (Action::Retry, Reason::WouldPrune) => {
            "Argo CD's Applications are looked at once more; nothing is agreed to.".to_owned()
        }
        (Action::ResumeAsIs, Reason::WouldPrune) => {
            let objects: Vec<String> = stuck
                .objects
                .iter()
                .take(8)
                .map(|name| code(name))
                .collect();
            let more = stuck.objects.len().saturating_sub(objects.len());
            format!(
                "you agree that Argo CD deletes {}{}, and self-heal is turned on again.",
                list(&objects),
                if more > 0 {
                    format!(" and {more} more")
                } else {
                    String::new()
                }
            )
        }
        (Action::Waive, _) => "the restore goes on without a safety backup: there will be no way \
                               back to what is there now."
            .to_owned(),
        (Action::Retry, Reason::SafetyBackupFailed) => {
            "a new safety backup is taken, and the restore goes on if it succeeds.".to_owned()
        }
        (Action::Retry, Reason::ClearingBlocked) => {
            "the clearing goes on from where it is, with the same objects as approved.".to_owned()
        }
        (
            Action::Retry,
            Reason::RestoreFailed | Reason::RestorePartiallyFailed | Reason::RestoreVanished,
        ) => "Velero restores the same backup once more. Nothing is cleared again: what is there \
              already stays as it is."
            .to_owned(),
        (Action::Retry, Reason::RestoreStalled) => {
            "the same Velero Restore is waited for once more.".to_owned()
        }
        (Action::Retry, Reason::Disturbed) => "what came back is verified as it is.".to_owned(),
        (Action::Retry, Reason::VerificationFailed) => {
            "what was restored is looked at once more.".to_owned()
        }
        (Action::Retry, Reason::MergedOtherwise) => {
            "it is taken as it was merged, and a reviewer is asked once more.".to_owned()
        }
        (Action::Retry, Reason::ResumeBlocked) => {
            "turning self-heal on again is tried once more.".to_owned()
        }
        (Action::ResumeAsIs, Reason::SafetyBackupFailed | Reason::MergedOtherwise) => {
            "the restore ends, nothing is deleted, and self-heal is turned on again.".to_owned()
        }
        (Action::ResumeAsIs, Reason::RestoreStalled) => {
            format!(
                "{AS_THEY_ARE} Velero cannot be stopped: self-heal waits until it has ended, or \
                 until you say so once more."
            )
        }
        (
            Action::ResumeAsIs,
            Reason::ClearingBlocked
            | Reason::RestoreFailed
            | Reason::RestorePartiallyFailed
            | Reason::RestoreVanished
            | Reason::Disturbed,
        ) => AS_THEY_ARE.to_owned(),
        (Action::ResumeAsIs, Reason::VerificationFailed) => {
            "the restore ends with what came back, and self-heal is turned on again.".to_owned()
        }
        (Action::ResumeAsIs, Reason::ResumeBlocked) => {
            "the restore ends once self-heal is on again, whether or not the Applications are \
             synced and healthy."
                .to_owned()
        }
    }
}

fn chosen(choice: &Choice) -> String {
    let name = harmless(&choice.by.name, 100);
    match choice.action {
        Action::Retry => format!("{name} chose to go on (`restore retry`)."),
        Action::Waive => {
            format!("{name} waived the safety backup (`restore waive`): it goes on without one.")
        }
        Action::ResumeAsIs => format!(
            "{name} chose to turn self-heal on again with things as they are (`restore resume`)."
        ),
    }
}
