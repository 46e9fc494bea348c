//! What an approval is bound to, and names.

use std::collections::BTreeSet;

use super::build::*;
use crate::request::*;

#[test]
fn each_part_changes_it() {
    let base = || status(Phase::AwaitingApproval);
    let of = |status: &RestoreStatus| digest(UID, &spec(), status);
    let change = |change: fn(&mut RestoreStatus)| {
        let mut status = base();
        change(&mut status);
        of(&status)
    };
    let tenant = RestoreRequestSpec {
        tenant: "triton2".to_owned(),
        ..spec()
    };
    let namespaces = RestoreRequestSpec {
        namespaces: vec![NAMESPACE.to_owned(), "poseidon1-test".to_owned()],
        ..spec()
    };
    let all = [
        of(&base()),
        digest("other", &spec(), &base()),
        digest(UID, &tenant, &base()),
        digest(UID, &namespaces, &base()),
        change(|status| "other".clone_into(&mut status.checked.as_mut().unwrap().backup.uid)),
        change(|status| {
            "other".clone_into(&mut status.checked.as_mut().unwrap().inventory.digest);
        }),
        change(|status| {
            let opened = status.pause.as_mut().unwrap().opened.as_mut();
            "other".clone_into(&mut opened.unwrap().head_sha);
        }),
        change(|status| status.pause.as_mut().unwrap().opened = None),
        change(|status| {
            apply(
                status,
                Fact::PullOpened(Which::Resume, opened(2), record()),
                at(5),
            );
        }),
        change(|status| {
            apply(
                status,
                Fact::PullOpened(Which::Resume, opened(3), record()),
                at(5),
            );
        }),
    ];
    assert!(all.iter().all(|digest| digest.len() == 64));
    let distinct: BTreeSet<&String> = all.iter().collect();
    assert_eq!(distinct.len(), all.len());
}

#[test]
fn neighbours_are_not_mistaken_for_one_another() {
    let of = |tenant: &str, namespace: &str| {
        let spec = RestoreRequestSpec {
            tenant: tenant.to_owned(),
            namespaces: vec![namespace.to_owned()],
            ..spec()
        };
        digest(UID, &spec, &RestoreStatus::default())
    };
    assert_ne!(of("ab", "c"), of("a", "bc"));
}

#[test]
fn what_is_only_said_does_not_change_it() {
    let base = status(Phase::AwaitingApproval);
    let before = digest(UID, &spec(), &base);
    let said = RestoreRequestSpec {
        votes: vec![vote("olav", Verdict::Approve, &before)],
        reason: "another".to_owned(),
        ..spec()
    };
    let later = after(base, 9, Fact::PullMerged(Which::Pause, None));
    assert_eq!(digest(UID, &said, &later), before);
}

#[test]
fn names_can_be_told_apart() {
    assert_eq!(names::safety_backup(UID, 0), names::safety_backup(UID, 0));
    assert_ne!(names::safety_backup(UID, 0), names::safety_backup(UID, 1));
    assert_ne!(names::restore(UID, 0), names::restore(UID, 1));
    assert_ne!(names::restore(UID, 0), names::restore("other", 0));
    assert!(names::is_safety_backup(&names::safety_backup(UID, 3)));
    assert!(!names::is_safety_backup(&names::restore(UID, 3)));
    assert!(!names::is_safety_backup(BACKUP));
}
