//! What people read of a change of schedules.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::*;
use crate::chat::samples::{approved, at, context, person};
use crate::chat::words::put;
use crate::chat::{Card, Message};
use crate::request::resource::{self as request, Choice, Opened};
use crate::schedule::{
    Applied, Change, Checked, Confirmed, Fact, Outcome, Remaining, Stuck, StuckReason, apply,
};

fn asked(change: Change) -> ScheduleRequest {
    let mut request = ScheduleRequest::new(
        "poseidon1-7k2p9m",
        ScheduleRequestSpec {
            tenant: "poseidon1".to_owned(),
            change,
            requester: person("anna"),
            votes: Vec::new(),
            withdrawal: None,
            choice: None,
        },
    );
    request.metadata.uid = Some("3f0e5a1c-1111-4222-8333-444455556666".to_owned());
    request.metadata.creation_timestamp = Some(Time(at(0)));
    request
}

fn add() -> Change {
    Change {
        action: Action::Add,
        name: "nightly".to_owned(),
        new_name: None,
        schedule: Some("30 3 * * *".to_owned()),
        ttl: Some("672h0m0s".to_owned()),
        words: Some("every day at 03:30".to_owned()),
    }
}

fn remove() -> Change {
    Change {
        action: Action::Remove,
        name: "nightly".to_owned(),
        new_name: None,
        schedule: None,
        ttl: None,
        words: None,
    }
}

fn nightly() -> Entry {
    Entry {
        name: "nightly".to_owned(),
        schedule: "30 3 * * *".to_owned(),
        ttl: Some("672h0m0s".to_owned()),
    }
}

fn checked(change: &Change) -> Fact {
    let there = (change.action == Action::Remove).then(nightly);
    let to_be = (change.action != Action::Remove).then(nightly);
    Fact::Checked(Box::new(Checked {
        at: at(1),
        order_path: "wave-1/poseidon1-tenant.yaml".to_owned(),
        namespaces: vec!["poseidon1-dev".to_owned(), "poseidon1-test".to_owned()],
        before: there,
        after: to_be,
        checks: vec!["there is no schedule nightly yet".to_owned()],
    }))
}

fn opened() -> Fact {
    Fact::PullOpened(Opened {
        number: 7,
        url: "https://git.example.com/platform/infra-ocp4-tenants/pull/7".to_owned(),
        branch: "refloat/poseidon1-7k2p9m-abcdef-schedule".to_owned(),
        head_sha: "abc".to_owned(),
        ..Opened::default()
    })
}

fn applied(uid: Option<&str>) -> Fact {
    Fact::Applied(
        Applied {
            at: at(60),
            schedule: "poseidon1-nightly".to_owned(),
            uid: uid.map(ToOwned::to_owned),
            next_run: uid.and_then(|_| crate::schedule::next_run("30 3 * * *", at(60))),
        },
        uid.is_none().then(|| Remaining {
            backups: 5,
            newest: vec!["poseidon1-nightly-20261120033000".to_owned()],
            until: Some("2026-12-20T03:30:00Z".parse().unwrap()),
        }),
    )
}

fn confirmed() -> Fact {
    Fact::Confirmed(Confirmed {
        at: at(70_000),
        backup: "poseidon1-nightly-20261125033000".to_owned(),
        started_at: "2026-11-25T03:30:00Z".parse().unwrap(),
        expires_at: Some("2026-12-23T03:30:00Z".parse().unwrap()),
    })
}

/// A request that learned these facts, each ten seconds after the other.
fn after(change: Change, facts: Vec<Fact>) -> ScheduleRequest {
    let mut request = asked(change);
    let mut status = ScheduleStatus::default();
    for (number, fact) in (0..).zip(facts) {
        apply(&mut status, fact, at(1 + 10 * number));
    }
    request.status = Some(status);
    request
}

fn card(request: &ScheduleRequest) -> String {
    render(request, &context()).card.text()
}

fn messages(request: &ScheduleRequest) -> String {
    let thread = render(request, &context());
    let mut keys: Vec<_> = thread.messages.iter().map(|message| &message.key).collect();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), thread.messages.len(), "a key is there twice");
    let mut text = String::new();
    for Message {
        key,
        at,
        text: words,
        ask,
        asks: _,
        file: _,
    } in &thread.messages
    {
        let ask = if *ask { " (ask)" } else { "" };
        put(
            &mut text,
            format_args!("{} {key}{ask}: {words}\n", at.strftime("%H:%M:%S")),
        );
    }
    text
}

#[test]
fn from_the_order_to_the_first_backup() {
    let facts = || {
        vec![
            checked(&add()),
            opened(),
            Fact::Approved(approved(20)),
            Fact::PullMerged(Some("merge".to_owned())),
            applied(Some("uid")),
            Fact::BadRun("the backup x ended Failed: no space left".to_owned()),
            confirmed(),
        ]
    };
    let done = after(add(), facts());
    insta::assert_snapshot!(messages(&done), @r#"
    08:00:00 requested: Anna asks to add the backup schedule `nightly` to the tenant `poseidon1`.
    08:00:01 checked-1795507201000: Checked.
    - to be: `nightly`, runs at `30 3 * * *`, each backup kept `672h0m0s`
    08:00:11 pull-7: Pull request #7 on the tenant's order is open. https://git.example.com/platform/infra-ocp4-tenants/pull/7
    08:00:11 ask-d: **Reviewers: please approve or deny.** Read the card and the pull request #7, then say `approve poseidon1-7k2p9m digest:d`, or `deny request:poseidon1-7k2p9m reason:"..."`. Whoever asked for it cannot approve it. A review on the pull request that approves it counts as well, and so does a merge by the repository's own rules.
    08:00:20 approved-1795507220000: Approved by Ravi in chat.
    08:00:31 merged: Pull request #7 was merged. Argo CD is asked to look.
    08:00:41 applied-1795507241000: Velero has the Schedule `poseidon1-nightly` as ordered, and it is enabled. Its next run is at 2026-11-25 03:30 UTC.
    08:00:51 bad-run-1795507251000: **A run was no good**: the backup x ended Failed: no space left. The next one is waited for.
    08:01:01 confirmed: **Done.** Confirmed by its first good backup: `poseidon1-nightly-20261125033000` of 2026-11-25 03:30 UTC, kept until 2026-12-23 03:30 UTC.
    "#);
    insta::assert_snapshot!(card(&done), @"
    **Backup schedule `nightly` of `poseidon1` (`poseidon1-7k2p9m`)**
    Done: in the order, in Velero, and confirmed by a good backup.
    **What**: add the backup schedule `nightly` to the tenant `poseidon1`
    **In words**: every day at 03:30
    **After**: `nightly`, runs at `30 3 * * *`, each backup kept `672h0m0s`
    **Covers**: `poseidon1-dev` and `poseidon1-test`
    **Asked by**: Anna, 2026-11-24 08:00 UTC
    **Approved by**: Ravi in chat, 2026-11-24 08:00 UTC
    **Pull request**: #7, merged: https://git.example.com/platform/infra-ocp4-tenants/pull/7
    **Velero Schedule**: `poseidon1-nightly`, enabled
    **First good backup**: `poseidon1-nightly-20261125033000` of 2026-11-25 03:30 UTC, kept until 2026-12-23 03:30 UTC
    ");
    let waiting = after(add(), facts().into_iter().take(2).collect());
    insta::assert_snapshot!(card(&waiting), @"
    **Backup schedule `nightly` of `poseidon1` (`poseidon1-7k2p9m`)**
    Waiting for a reviewer's approval of exactly this (digest `f4b1200e`), or for the repository to merge it.
    **What**: add the backup schedule `nightly` to the tenant `poseidon1`
    **In words**: every day at 03:30
    **After**: `nightly`, runs at `30 3 * * *`, each backup kept `672h0m0s`
    **Next runs**:
    - 2026-11-25 03:30 UTC
    - 2026-11-26 03:30 UTC
    - 2026-11-27 03:30 UTC
    **Covers**: `poseidon1-dev` and `poseidon1-test`
    **Asked by**: Anna, 2026-11-24 08:00 UTC
    **Checks passed**: there is no schedule nightly yet
    **Pull request**: #7, open: https://git.example.com/platform/infra-ocp4-tenants/pull/7
    **Next**: once approved or merged: Argo CD applies it, and Velero runs it
    ");
    // Merged by nobody that Refloat asked.
    let mut facts = facts();
    facts.remove(2);
    let merged = after(add(), facts.into_iter().take(3).collect());
    assert!(messages(&merged).contains("was merged by the repository's own rules."));
}

#[test]
fn a_removal_says_what_stays() {
    let request = after(
        remove(),
        vec![
            checked(&remove()),
            opened(),
            Fact::PullMerged(None),
            applied(None),
        ],
    );
    insta::assert_snapshot!(messages(&request), @"
    08:00:00 requested: Anna asks to remove the backup schedule `nightly` of the tenant `poseidon1`.
    08:00:01 checked-1795507201000: Checked.
    - now: `nightly`, runs at `30 3 * * *`, each backup kept `672h0m0s`
    - to be: gone; its backups stay until they expire
    08:00:11 pull-7: Pull request #7 on the tenant's order is open. https://git.example.com/platform/infra-ocp4-tenants/pull/7
    08:00:21 merged: Pull request #7 was merged by the repository's own rules. Argo CD is asked to look.
    08:00:31 applied-1795507231000: Velero has the Schedule `poseidon1-nightly` no more. Its backups stay: 5 backups, the last until 2026-12-20 03:30 UTC (`poseidon1-nightly-20261120033000`, ...).
    08:00:31 done: **Done.** The backup schedule `nightly` of the tenant `poseidon1` is removed.
    ");
    insta::assert_snapshot!(card(&request), @"
    **Backup schedule `nightly` of `poseidon1` (`poseidon1-7k2p9m`)**
    Done: out of the order, and out of Velero.
    **What**: remove the backup schedule `nightly` of the tenant `poseidon1`
    **Before**: `nightly`, runs at `30 3 * * *`, each backup kept `672h0m0s`
    **Covers**: `poseidon1-dev` and `poseidon1-test`
    **Asked by**: Anna, 2026-11-24 08:00 UTC
    **Pull request**: #7, merged: https://git.example.com/platform/infra-ocp4-tenants/pull/7
    **Velero Schedule**: `poseidon1-nightly`, gone
    **Backups that stay**: 5 backups, the last until 2026-12-20 03:30 UTC (`poseidon1-nightly-20261120033000`, ...)
    ");
}

#[test]
fn what_is_void_or_stuck_or_ended() {
    let stuck = Fact::Stuck(Box::new(Stuck {
        at: at(31),
        reason: StuckReason::NotApplied,
        message: "Argo CD does not look.".to_owned(),
    }));
    let chosen = Fact::Chosen(Choice {
        by: person("anna"),
        at: at(40),
        action: request::Action::ResumeAsIs,
        answers: at(31),
    });
    let mut text = String::new();
    for facts in [
        vec![
            checked(&add()),
            opened(),
            Fact::Voided("The order was changed meanwhile.".to_owned()),
            Fact::Reminded,
        ],
        vec![
            checked(&add()),
            opened(),
            Fact::PullMerged(None),
            stuck.clone(),
        ],
        vec![
            checked(&add()),
            opened(),
            Fact::PullMerged(None),
            stuck,
            chosen,
        ],
        vec![Fact::Ended(
            Outcome::Refused,
            "There is no tenant".to_owned(),
        )],
    ] {
        let request = after(add(), facts);
        put(&mut text, format_args!("{}\n", messages(&request)));
    }
    insta::assert_snapshot!(text, @r#"
    08:00:00 requested: Anna asks to add the backup schedule `nightly` to the tenant `poseidon1`.
    08:00:01 checked-1795507201000: Checked.
    - to be: `nightly`, runs at `30 3 * * *`, each backup kept `672h0m0s`
    08:00:11 pull-7: Pull request #7 on the tenant's order is open. https://git.example.com/platform/infra-ocp4-tenants/pull/7
    08:00:21 voided-1795507221000: **What is to be approved has changed.** The order was changed meanwhile. It needs a new approval.
    08:00:21 ask-f4b1200e (ask): **Reviewers: please approve or deny again.** Read the card and the pull request #7, then say `approve poseidon1-7k2p9m digest:f4b1200e`, or `deny request:poseidon1-7k2p9m reason:"..."`. Whoever asked for it cannot approve it. A review on the pull request that approves it counts as well, and so does a merge by the repository's own rules.
    08:00:31 reminder-1 (ask): Reminder: `poseidon1-7k2p9m` still waits for a reviewer's approval, since 31 s.

    08:00:00 requested: Anna asks to add the backup schedule `nightly` to the tenant `poseidon1`.
    08:00:01 checked-1795507201000: Checked.
    - to be: `nightly`, runs at `30 3 * * *`, each backup kept `672h0m0s`
    08:00:11 pull-7: Pull request #7 on the tenant's order is open. https://git.example.com/platform/infra-ocp4-tenants/pull/7
    08:00:21 merged: Pull request #7 was merged by the repository's own rules. Argo CD is asked to look.
    08:00:31 stuck-1795507231000: **Stuck.** Argo CD does not look.
    - `schedule retry poseidon1-7k2p9m`: it is looked at once more, and waited for anew.
    - `schedule leave poseidon1-7k2p9m`: it ends with things as they are.

    08:00:00 requested: Anna asks to add the backup schedule `nightly` to the tenant `poseidon1`.
    08:00:01 checked-1795507201000: Checked.
    - to be: `nightly`, runs at `30 3 * * *`, each backup kept `672h0m0s`
    08:00:11 pull-7: Pull request #7 on the tenant's order is open. https://git.example.com/platform/infra-ocp4-tenants/pull/7
    08:00:21 merged: Pull request #7 was merged by the repository's own rules. Argo CD is asked to look.
    08:00:41 choice-1795507231000: Anna chose to end it as things are (`schedule leave`).
    08:00:41 ended-1795507241000: **Failed.** Anna chose to leave it as it is.

    08:00:00 requested: Anna asks to add the backup schedule `nightly` to the tenant `poseidon1`.
    08:00:01 ended-1795507201000: **Refused.** There is no tenant. Nothing was changed.
    "#);
}

/// Whatever people or the cluster wrote mentions nobody and marks nothing up, and a
/// card fits.
#[test]
fn hostile_texts_do_nothing() {
    let hostile = "@everyone **x** [a](http://b) `c` <@1>\u{202e}".repeat(40);
    let mut change = add();
    change.words = Some(hostile.clone());
    let mut request = after(
        change,
        vec![
            checked(&add()),
            opened(),
            Fact::PullMerged(None),
            applied(Some("uid")),
            Fact::BadRun(hostile.clone()),
            Fact::Failed {
                effect: "look at the world".to_owned(),
                message: hostile.clone(),
            },
        ],
    );
    request.spec.requester.name.clone_from(&hostile);
    let thread = render(&request, &context());
    let card = thread.card.text();
    assert!(card.chars().count() <= Card::MOST);
    for text in thread
        .messages
        .iter()
        .map(|message| &message.text)
        .chain([&card])
    {
        assert!(text.chars().count() <= Card::MOST);
        for bad in ["@everyone", "<@1>", "[a](", "**x**", "\u{202e}"] {
            assert!(!text.contains(bad), "{bad} in {text}");
        }
    }
}
