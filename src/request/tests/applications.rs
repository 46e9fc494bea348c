//! When an Application is quiet, and when it is well.

use super::build::*;
use crate::request::applications::{Application, Unquiet};

type Change = fn(&mut Application);

fn with(change: Change) -> Application {
    let mut application = application("web");
    change(&mut application);
    application
}

#[test]
fn quiet() {
    let rows: Vec<(&str, Change, Result<(), Unquiet>)> = vec![
        ("as it should be", |_| {}, Ok(())),
        ("looking", |a| a.refreshing = true, Err(Unquiet::NotLooked)),
        ("heals", |a| a.self_heal = true, Err(Unquiet::SelfHeals)),
        (
            "would heal, but is not automated",
            |a| {
                a.self_heal = true;
                a.automated = false;
            },
            Ok(()),
        ),
        (
            "asked to sync",
            |a| a.operation_requested = true,
            Err(Unquiet::Operating),
        ),
        (
            "asked to sync, not automated",
            |a| {
                a.automated = false;
                a.operation_requested = true;
            },
            Err(Unquiet::Operating),
        ),
        (
            "syncs",
            |a| "Running".clone_into(&mut a.operation_phase),
            Err(Unquiet::Operating),
        ),
        (
            "ends",
            |a| "Terminating".clone_into(&mut a.operation_phase),
            Err(Unquiet::Operating),
        ),
        (
            "not finished",
            |a| a.operation_finished = false,
            Err(Unquiet::Operating),
        ),
        (
            "failed",
            |a| "Failed".clone_into(&mut a.operation_phase),
            Ok(()),
        ),
        (
            "erred",
            |a| "Error".clone_into(&mut a.operation_phase),
            Ok(()),
        ),
        (
            "never synced",
            |a| a.operation_phase.clear(),
            Err(Unquiet::NeverRecorded),
        ),
        (
            "never synced, not automated",
            |a| {
                a.automated = false;
                a.operation_phase.clear();
            },
            Ok(()),
        ),
        (
            "at another revision",
            |a| a.revisions = vec!["r2".to_owned()],
            Err(Unquiet::NeverRecorded),
        ),
        (
            "one of two sources at another revision",
            |a| {
                a.recorded_revisions = vec!["r1".to_owned(), "s1".to_owned()];
                a.revisions = vec!["r1".to_owned(), "s2".to_owned()];
            },
            Err(Unquiet::NeverRecorded),
        ),
        (
            "at no known revision",
            |a| {
                a.recorded_revisions.clear();
                a.revisions.clear();
            },
            Err(Unquiet::NeverRecorded),
        ),
    ];
    for (name, change, expected) in rows {
        assert_eq!(with(change).quiet(true), expected, "{name}");
    }
    assert_eq!(application("web").quiet(false), Err(Unquiet::NotLooked));
}

#[test]
fn the_same_second_proves_no_look() {
    let looked = with(|a| a.reconciled_at = Some(at(20)));
    let half = jiff::SignedDuration::from_millis(500);
    assert!(!looked.looked_since(at(20)));
    assert!(!looked.looked_since(at(20) + half));
    assert!(looked.looked_since(at(20) - half));
    assert!(!with(|a| a.reconciled_at = None).looked_since(at(0)));
}

#[test]
fn well() {
    let rows: Vec<(&str, Change, &str)> = vec![
        ("all is well", |_| {}, ""),
        (
            "looking",
            |a| a.refreshing = true,
            "Argo CD is looking at it",
        ),
        (
            "off",
            |a| a.self_heal = false,
            "self-heal is off, and the order says on",
        ),
        (
            "off, out of the order's reach",
            |a| {
                a.self_heal = false;
                a.generated = false;
            },
            "",
        ),
        (
            "failed",
            |a| a.sync_error = Some("bad manifest".to_owned()),
            "its last sync failed: bad manifest",
        ),
        (
            "syncs",
            |a| a.operation_requested = true,
            "a sync is running",
        ),
        (
            "out of sync",
            |a| "OutOfSync".clone_into(&mut a.sync),
            "it is OutOfSync",
        ),
        ("unknown", |a| a.sync.clear(), "it is Unknown"),
        (
            "sick",
            |a| "Degraded".clone_into(&mut a.health),
            "its health is Degraded",
        ),
    ];
    for (name, change, expected) in rows {
        let mut application = application("web");
        application.self_heal = true;
        change(&mut application);
        let why = application.is_well(true).err().unwrap_or_default();
        assert_eq!(why, expected, "{name}");
    }
    assert_eq!(
        with(|a| a.self_heal = true).heals_as(false).unwrap_err(),
        "self-heal is on, and the order says off"
    );
}
