//! What a copy does next, whatever the world says.

use jiff::{SignedDuration, Timestamp};

use super::observed::{Namespace, Restoring};
use super::*;
use crate::request::resource::{BackupFact, Person, Progress, RestoreRun, Source, Withdrawal};
use crate::request::{Step, tests::build::policy};

const KEPT: SignedDuration = SignedDuration::from_hours(24);

fn now() -> Timestamp {
    "2026-11-25T10:00:00Z".parse().unwrap()
}

fn spec() -> CopyRequestSpec {
    CopyRequestSpec {
        tenant: "poseidon1".to_owned(),
        namespace: "poseidon1-dev".to_owned(),
        into: "poseidon1-dev-copy".to_owned(),
        source: Source::default(),
        reason: None,
        requester: person(),
        withdrawal: None,
    }
}

fn person() -> Person {
    Person {
        chat: "console".to_owned(),
        id: "ada".to_owned(),
        name: "ada".to_owned(),
    }
}

fn checked() -> Fact {
    Fact::Checked(Box::new(Checked {
        at: now(),
        backup: BackupFact {
            name: "poseidon1-daily-1".to_owned(),
            uid: "b-1".to_owned(),
            schedule: None,
            started_at: now(),
            expires_at: None,
            phase: "Completed".to_owned(),
            items: None,
            bytes: None,
        },
        checks: Vec::new(),
        volumes: Vec::new(),
        left_out: Vec::new(),
        uid_range: None,
    }))
}

fn run(phase: &str) -> RestoreRun {
    RestoreRun {
        name: "refloat-1".to_owned(),
        uid: "r-1".to_owned(),
        created_at: now(),
        phase: phase.to_owned(),
        started_at: Some(now()),
        items: Progress::default(),
        bytes: Progress::default(),
        warnings: 0,
        errors: 0,
        progressed_at: None,
        ended_at: None,
        notes: Vec::new(),
        harmless: 0,
    }
}

fn ours(uid: &str) -> Namespace {
    Namespace {
        uid: uid.to_owned(),
        ours: true,
        ..Namespace::default()
    }
}

fn step(
    spec: &CopyRequestSpec,
    status: &CopyStatus,
    seen: &Observed,
    now: Timestamp,
) -> Step<Effect, Fact> {
    let subject = Subject {
        uid: "uid-1",
        created: now,
        spec,
        status,
    };
    let copies = Policy {
        kept_for: KEPT,
        at_most: 1,
    };
    decide(subject, seen, &policy(), copies, now)
}

/// The status after some facts, an hour apart.
fn after(facts: &[Fact]) -> CopyStatus {
    let mut status = CopyStatus::default();
    for fact in facts {
        apply(&mut status, fact.clone(), now());
    }
    status
}

fn kept() -> Vec<Fact> {
    let mut ended = run("Completed");
    ended.ended_at = Some(now());
    vec![
        checked(),
        Fact::Made("n-1".to_owned(), KEPT),
        Fact::Restore(ended),
        Fact::Shown(Shown {
            at: now(),
            volumes: 0,
            claims: 0,
            pods: 0,
            lacking: Vec::new(),
        }),
    ]
}

#[test]
fn from_the_check_to_the_end() {
    let spec = spec();
    let mut facts = vec![checked()];
    assert_eq!(
        step(&spec, &after(&facts), &Observed::Namespace(None), now()),
        Step::Act(Effect::MakeNamespace)
    );
    let made = step(
        &spec,
        &after(&facts),
        &Observed::Namespace(Some(ours("n-1"))),
        now(),
    );
    assert_eq!(made, Step::Record(Fact::Made("n-1".to_owned(), KEPT)));
    facts.push(Fact::Made("n-1".to_owned(), KEPT));
    let mut view = Restoring {
        namespace: Some(ours("n-1")),
        ..Restoring::default()
    };
    let next = step(
        &spec,
        &after(&facts),
        &Observed::Restoring(view.clone()),
        now(),
    );
    assert_eq!(next, Step::Act(Effect::Restore));
    view.restore = Some(run("Completed"));
    let Step::Record(fact) = step(&spec, &after(&facts), &Observed::Restoring(view), now()) else {
        panic!("the end of the Restore is written down");
    };
    facts.push(fact);
    assert_eq!(phase(&after(&facts)), Phase::Verifying);
    let seen = Observed::Verifying(Box::default(), Some(ours("n-1")));
    let Step::Record(fact) = step(&spec, &after(&facts), &seen, now()) else {
        panic!("what is there is written down");
    };
    facts.push(fact);
    assert_eq!(phase(&after(&facts)), Phase::Kept);
    let there = Observed::Namespace(Some(ours("n-1")));
    assert!(matches!(
        step(&spec, &after(&facts), &there, now()),
        Step::Wait { .. }
    ));
    let over = now() + KEPT;
    assert!(matches!(
        step(&spec, &after(&facts), &there, over),
        Step::Record(Fact::Ended(Outcome::Done, _))
    ));
}

/// Nothing but the namespace that this request has made is ever deleted, and not while Velero works in it;
/// nothing is restored into what somebody else made.
#[test]
fn nothing_else_is_ever_deleted_or_restored_into() {
    let namespaces = [
        None,
        Some(ours("n-1")),
        Some(ours("n-2")),
        Some(Namespace {
            ours: false,
            ..ours("n-1")
        }),
        Some(Namespace {
            terminating: true,
            ..ours("n-1")
        }),
    ];
    let restores = [
        None,
        Some(run("")),
        Some(run("InProgress")),
        Some(run("Finalizing")),
        Some(run("Completed")),
        Some(run("Failed")),
    ];
    let withdrawn = CopyRequestSpec {
        withdrawal: Some(Withdrawal {
            by: person(),
            at: now(),
        }),
        ..spec()
    };
    let all = kept();
    let mut removed = 0;
    for known in 0..=all.len() {
        for ended in [
            None,
            Some(Outcome::Done),
            Some(Outcome::Withdrawn),
            Some(Outcome::Failed),
        ] {
            let mut facts = all[..known].to_vec();
            facts.extend(ended.map(|outcome| Fact::Ended(outcome, "over".to_owned())));
            let status = after(&facts);
            for (namespace, restore) in namespaces
                .iter()
                .flat_map(|namespace| restores.iter().map(move |restore| (namespace, restore)))
            {
                let view = Restoring {
                    namespace: namespace.clone(),
                    restore: restore.clone(),
                    ..Restoring::default()
                };
                for (spec, seen) in [
                    (spec(), Observed::Restoring(view.clone())),
                    (spec(), Observed::Namespace(namespace.clone())),
                    (withdrawn.clone(), Observed::Restoring(view)),
                ] {
                    match step(&spec, &status, &seen, now() + KEPT + KEPT) {
                        Step::Act(Effect::Remove(uid)) => {
                            removed += 1;
                            let namespace = namespace.as_ref().expect("it is there");
                            assert!(namespace.ours && !namespace.terminating, "{status:?}");
                            assert_eq!(uid, namespace.uid);
                            assert!(status.ending.is_some(), "{status:?}");
                            assert!(
                                restore
                                    .as_ref()
                                    .is_none_or(|run| observed::has_ended(&run.phase)),
                                "{restore:?}"
                            );
                        }
                        Step::Act(Effect::Restore) => {
                            assert_eq!(namespace.as_ref(), Some(&ours("n-1")));
                            assert!(restore.is_none() && status.ending.is_none());
                        }
                        Step::Act(Effect::MakeNamespace) => {
                            assert!(namespace.is_none() && status.ending.is_none());
                        }
                        Step::Record(_) | Step::Wait { .. } | Step::Rest => {}
                    }
                }
            }
        }
    }
    assert!(removed > 0);
}

/// Called off between the making of the namespace and its being written down, it is looked for all the same.
#[test]
fn what_was_made_and_not_written_down_is_removed() {
    let status = after(&[checked(), Fact::Ended(Outcome::Withdrawn, "so".to_owned())]);
    assert_eq!(phase(&status), Phase::Removing);
    let mut view = Restoring {
        namespace: Some(ours("n-9")),
        ..Restoring::default()
    };
    assert_eq!(
        step(&spec(), &status, &Observed::Restoring(view.clone()), now()),
        Step::Act(Effect::Remove("n-9".to_owned()))
    );
    view.namespace = None;
    let next = step(&spec(), &status, &Observed::Restoring(view), now());
    assert_eq!(next, Step::Record(Fact::Removed));
    let status = after(&[Fact::Ended(Outcome::Refused, "so".to_owned())]);
    assert_eq!(phase(&status), Phase::Refused);
}
