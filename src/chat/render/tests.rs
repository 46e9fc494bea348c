use super::*;
use crate::chat::samples::{
    approved, asked, at, checked, context, in_phase, person, pull, run, stuck,
};
use crate::chat::{Card, Message};
use crate::request::resource::*;

fn card(request: &RestoreRequest) -> String {
    render(request, &context()).card.text()
}

fn messages(request: &RestoreRequest) -> String {
    let thread = render(request, &context());
    let mut keys: Vec<_> = thread.messages.iter().map(|message| &message.key).collect();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), thread.messages.len(), "a key is there twice");
    thread
        .messages
        .iter()
        .map(|Message { key, at, text, ask }| {
            format!(
                "{} {key}{}: {text}\n",
                at.strftime("%M:%S"),
                if *ask { " (ask)" } else { "" }
            )
        })
        .collect()
}

#[test]
fn a_card_for_every_phase() {
    let cards: Vec<String> = Phase::ALL
        .into_iter()
        .map(|phase| format!("== {phase:?}\n{}", card(&in_phase(phase))))
        .collect();
    insta::assert_snapshot!(cards.join("\n\n"), @"");
}

#[test]
fn a_restore_that_went_well_tells_its_story() {
    let thread = render(&in_phase(Phase::Done), &context());
    assert!(thread.over);
    assert_eq!(
        thread.title,
        "poseidon1-7k2p9: restore of poseidon1-dev and poseidon1-test"
    );
    insta::assert_snapshot!(messages(&in_phase(Phase::Done)), @"");
}

#[test]
fn restores_that_end_early_tell_why() {
    let stories: Vec<String> = [
        Phase::AwaitingApproval,
        Phase::Refused,
        Phase::Denied,
        Phase::Withdrawn,
        Phase::Expired,
        Phase::ResumedAsIs,
    ]
    .into_iter()
    .map(|phase| format!("== {phase:?}\n{}", messages(&in_phase(phase))))
    .collect();
    insta::assert_snapshot!(stories.join("\n"), @"");
}

#[test]
fn what_goes_wrong_on_the_way_is_told() {
    let mut request = stuck(StuckReason::RestoreFailed);
    request.spec.withdrawal = Some(Withdrawal {
        by: person("anna"),
        at: at(90),
    });
    if let Some(status) = &mut request.status {
        status.voided = Some(Note {
            at: at(35),
            message: "What would be deleted has changed since it was approved: ConfigMap 3 before, 4 now.".to_owned(),
        });
        status.reminders = vec![
            Reminder {
                at: at(20),
                about: ReminderOf::Approval,
            },
            Reminder {
                at: at(280),
                about: ReminderOf::SelfHealOff,
            },
        ];
        status.choices = vec![Choice {
            by: person("ravi"),
            at: at(285),
            action: Action::Retry,
            answers: at(283),
        }];
        let mut first = run("PartiallyFailed", 12, Some(282));
        first.name = "refloat-1234567890-0".to_owned();
        first.errors = 2;
        status.earlier_restores = vec![first];
    }
    insta::assert_snapshot!(messages(&request), @"");
}

#[test]
fn an_order_that_needs_no_change_and_a_resume_that_needs_approval() {
    let mut request = in_phase(Phase::AwaitingApproval);
    if let Some(pause) = request
        .status
        .as_mut()
        .and_then(|status| status.pause.as_mut())
    {
        pause.opened = None;
    }
    let no_pull = messages(&request);
    let mut request = in_phase(Phase::Resuming);
    let asks = RenderContext {
        covers_resume: false,
        ..context()
    };
    let waits = render(&request, &asks)
        .messages
        .pop()
        .map(|message| (message.text, message.ask));
    if let Some(status) = &mut request.status {
        let mut resume = pull(8, 311, None);
        resume.approved = Some(approved(313));
        status.resume = Some(resume);
    }
    let given = render(&request, &asks)
        .messages
        .pop()
        .map(|message| message.text);
    insta::assert_snapshot!(format!("{no_pull}\n{waits:?}\n{given:?}"), @"");
}

#[test]
fn the_card_says_what_failed_and_what_it_waits_for() {
    let mut request = in_phase(Phase::Settling);
    if let Some(status) = &mut request.status {
        status.waiting = Some(Note {
            at: at(43),
            message: "gitops-developers/own still heals: turn selfHeal off in deployments/own"
                .to_owned(),
        });
        status.last_error = Some(LastError {
            at: at(44),
            effect: "ask Argo CD to look".to_owned(),
            message: "503 Service Unavailable".to_owned(),
            attempts: 3,
        });
    }
    let thread = render(&request, &context());
    assert!(thread.card.waiting.is_some());
    let text = thread.card.text();
    assert!(
        text.contains(
            "**Last error**: ask Argo CD to look failed 3 times: 503 Service Unavailable."
        ),
        "{text}"
    );
}

#[test]
fn nothing_that_others_wrote_does_anything_or_is_too_long() {
    let evil = format!(
        "@everyone <@1> [x](https://e) `` ** \u{202e} {}",
        "ä*".repeat(2000)
    );
    let mut request = in_phase(Phase::Stuck);
    request.spec.reason = evil.clone();
    request.spec.requester.name = evil.clone();
    request.spec.namespaces = (0..50)
        .map(|n| format!("{}-{n}", "n`".repeat(30)))
        .collect();
    if let Some(status) = &mut request.status {
        let mut found = checked();
        for n in 0..200 {
            found
                .inventory
                .delete
                .insert(format!("{}{n}.example.com/Kind", "x".repeat(90)), 1);
            found
                .inventory
                .custom
                .push(format!("{}{n}.example.com/Kind", "y".repeat(90)));
            found
                .inventory
                .claims
                .push(crate::request::inventory::Claim {
                    namespace: "z".repeat(63),
                    name: evil.clone(),
                    size: Some(evil.clone()),
                });
        }
        for result in &mut found.checks {
            result.message = evil.clone();
        }
        status.checked = Some(found);
        if let Some(stuck) = &mut status.stuck {
            stuck.message = evil.clone();
        }
        status.last_error = Some(LastError {
            at: at(1),
            effect: evil.clone(),
            message: evil.clone(),
            attempts: 1,
        });
    }
    let thread = render(&request, &context());
    assert!(thread.title.chars().count() <= 100);
    let text = thread.card.text();
    assert!(
        text.chars().count() <= Card::MOST,
        "{}",
        text.chars().count()
    );
    assert!(
        text.contains("**Next**"),
        "the card keeps its last part: {text}"
    );
    for text in thread
        .messages
        .iter()
        .map(|message| &message.text)
        .chain([&text])
    {
        assert!(text.chars().count() <= Card::MOST);
        assert!(!text.contains("@everyone") && !text.contains("<@") && !text.contains('\u{202e}'));
        assert!(!text.contains("[x](") && !text.contains("``"), "{text}");
    }
    for message in &thread.messages {
        assert!(message.text.chars().count() <= Message::MOST);
    }
}

#[test]
fn a_request_without_a_status_is_being_checked() {
    let thread = render(&asked(), &context());
    assert_eq!(thread.card.phase, Phase::Checking);
    assert_eq!(thread.messages.len(), 1);
}
