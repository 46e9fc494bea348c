//! `restore consent` and `restore waive`: what a reviewer takes upon themselves,
//! beside approving.

use jiff::Timestamp;

use super::vote::digest_of;
use super::{is_requester, known, request_name, reviewers};
use crate::chat::harmless::code;
use crate::request::people::People;
use crate::request::resource::{
    Action, Choice, GivenConsent, Person, RestoreRequest, RestoreStatus, StuckReason,
};
use crate::request::{Phase, phase};

/// The greatest number of consents that a request holds.
const MOST: usize = 100;

/// What becomes of a consent.
#[derive(Clone, Debug, PartialEq)]
pub enum Consented {
    /// To be written.
    New(GivenConsent),
    /// It was given before; in words.
    Already(String),
}

/// Decides about a reviewer's consent to what the checks of a request mark so.
/// `said` is the beginning of the digest that the person read: consenting
/// without having read is no consent. Returns it, or the sentence that refuses it.
pub fn consent(
    request: &RestoreRequest,
    person: &Person,
    people: &People,
    said: Option<&str>,
    now: Timestamp,
) -> Result<Consented, String> {
    may_take_it_upon_them(request, person, people, "consent to what is found about")?;
    let name = code(request_name(request));
    let empty = RestoreStatus::default();
    let status = request.status.as_ref().unwrap_or(&empty);
    let needed = status
        .checked
        .as_ref()
        .map_or(0, |checked| checked.needing_consent().count());
    if needed == 0 {
        return Err(format!(
            "Nothing about {name} needs a consent of its own: `approve {}` is enough.",
            name.trim_matches('`')
        ));
    }
    if phase(status) != Phase::AwaitingApproval || status.pause.is_none() {
        return Err(format!(
            "{name} does not wait for a consent: it is {}. See `restore status {}`.",
            phase(status).in_words(),
            name.trim_matches('`')
        ));
    }
    let digest = digest_of(request);
    let read =
        said.is_some_and(|said| said.len() >= 6 && digest.starts_with(&said.to_ascii_lowercase()));
    if !read {
        return Err(format!(
            "Read what needs consent on the card of {name}, then say `restore consent {} \
             digest:{}`.",
            name.trim_matches('`'),
            &digest[..8]
        ));
    }
    if request
        .spec
        .consents
        .iter()
        .any(|given| given.digest == digest && given.by.is(person))
    {
        return Ok(Consented::Already(format!(
            "You have consented to {name} as it is now already; nothing is changed."
        )));
    }
    if request.spec.consents.len() >= MOST {
        return Err(format!(
            "{name} holds so many consents that it takes no more. Ask for a new restore."
        ));
    }
    Ok(Consented::New(GivenConsent {
        by: person.clone(),
        at: now,
        digest,
    }))
}

/// Decides about a reviewer's waiver of the safety backup (S8). Returns the
/// choice to be written, or the sentence that refuses it.
pub fn waive(
    request: &RestoreRequest,
    person: &Person,
    people: &People,
    now: Timestamp,
) -> Result<Choice, String> {
    may_take_it_upon_them(request, person, people, "waive the safety backup of")?;
    let name = code(request_name(request));
    let stuck = request
        .status
        .as_ref()
        .and_then(|status| status.stuck.as_ref())
        .filter(|stuck| stuck.reason == StuckReason::SafetyBackupFailed)
        .ok_or_else(|| {
            format!(
                "{name} is not stuck at its safety backup, and a safety backup is waived only \
                 when it cannot be had. See `restore status {}`.",
                name.trim_matches('`')
            )
        })?;
    if let Some(before) = &request.spec.choice
        && before.answers == stuck.at
    {
        return Err(format!(
            "{name} has been answered already; nothing is changed. See `restore status {}`.",
            name.trim_matches('`')
        ));
    }
    Ok(Choice {
        by: person.clone(),
        at: now,
        action: Action::Waive,
        answers: stuck.at,
    })
}

/// A reviewer, and not who asked.
fn may_take_it_upon_them(
    request: &RestoreRequest,
    person: &Person,
    people: &People,
    what: &str,
) -> Result<(), String> {
    let name = code(request_name(request));
    let entry = known(person, people)?;
    if !entry.reviewer {
        return Err(format!(
            "You may not {what} {name}: you are not a reviewer.{}",
            reviewers(people)
        ));
    }
    if is_requester(person, request, people) {
        return Err(format!(
            "You asked for {name} yourself, so that another reviewer has to {what} it.{}",
            reviewers(people)
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::samples::{at, in_phase, people, person, stuck};
    use crate::request::preflight::{Check, CheckResult, CheckState};

    fn needing(mut request: RestoreRequest) -> RestoreRequest {
        if let Some(checked) = request.status.as_mut().and_then(|s| s.checked.as_mut()) {
            checked.checks.push(CheckResult {
                check: Check::Volumes,
                state: CheckState::NeedsConsent,
                message: "the data of poseidon1-dev/data would be lost".to_owned(),
            });
        }
        request
    }

    fn say(request: &RestoreRequest, who: &str, said: Option<&str>) -> String {
        match consent(request, &person(who), &people(), said, at(50)) {
            Ok(Consented::New(given)) => {
                assert_eq!(given.digest, digest_of(request));
                format!("consent of {}", given.by.name)
            }
            Ok(Consented::Already(words)) => format!("already: {words}"),
            Err(words) => words,
        }
    }

    #[test]
    fn who_may_consent_and_to_what() {
        let waiting = needing(in_phase(Phase::AwaitingApproval));
        let digest = digest_of(&waiting)[..8].to_owned();
        assert_eq!(say(&waiting, "ravi", Some(&digest)), "consent of Ravi");
        for (said, words) in [
            (None, "Read what needs consent"),
            (Some(&digest[..5]), "Read what needs consent"),
            (Some("ffffffff"), "Read what needs consent"),
        ] {
            assert!(say(&waiting, "ravi", said).starts_with(words));
        }
        assert!(say(&waiting, "anna", Some(&digest)).contains("not a reviewer"));
        let mut own = waiting.clone();
        own.spec.requester = person("olga-discord");
        let own_digest = digest_of(&own)[..8].to_owned();
        assert!(say(&own, "olga", Some(&own_digest)).contains("asked for"));
        let plain = in_phase(Phase::AwaitingApproval);
        assert!(say(&plain, "ravi", Some(&digest)).contains("is enough"));
        assert!(
            say(&needing(in_phase(Phase::Clearing)), "ravi", Some(&digest))
                .contains("clearing the namespaces")
        );
    }

    #[test]
    fn only_a_reviewer_waives_and_only_what_failed() {
        let failed = stuck(StuckReason::SafetyBackupFailed);
        let waived = |request: &RestoreRequest, who: &str| {
            waive(request, &person(who), &people(), at(900)).map(|choice| choice.action)
        };
        assert_eq!(waived(&failed, "ravi"), Ok(Action::Waive));
        assert!(waived(&failed, "anna").is_err());
        assert!(waived(&failed, "mallory").is_err());
        assert!(waived(&stuck(StuckReason::RestoreFailed), "ravi").is_err());
        assert!(waived(&in_phase(Phase::Protecting), "ravi").is_err());
    }
}
