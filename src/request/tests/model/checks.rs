//! The runs: all guards in place, and each guard taken away.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use stateright::{Checker, HasDiscoveries, Model};

use super::moves::{Machine, Move, driven_to, would};
use super::world::State;
use crate::request::Phase;
use crate::request::guard::Guard;

/// How long a run may take; `REFLOAT_MODEL_SECONDS` gives it more, as CI does. A slow machine
/// explores less in it; what was explored, and whether that is all, is said.
fn bound() -> Duration {
    let seconds = std::env::var("REFLOAT_MODEL_SECONDS")
        .ok()
        .and_then(|seconds| seconds.parse().ok());
    Duration::from_secs(seconds.unwrap_or(5))
}

/// Explores everything that can come of `machine`; the number of states.
fn explore(what: &str, machine: Machine) -> usize {
    let began = Instant::now();
    let bound = bound();
    let machine_is_whole = machine.only.is_none() && machine.faults;
    let checker = machine
        .checker()
        .threads(2)
        .timeout(bound)
        .finish_when(HasDiscoveries::AnyFailures)
        .spawn_bfs()
        .join();
    for (name, path) in checker.discoveries() {
        if name.starts_with(['S', 'L']) {
            let end = path.last_state().clone();
            panic!(
                "{what}: {name} does not hold.\n{end:#?}\nmoves: {:?}\nthen it would {:?}",
                path.into_actions(),
                would(&end, 0)
            );
        }
    }
    if machine_is_whole && began.elapsed() < bound {
        for name in [
            "it is done",
            "it is stuck",
            "it is withdrawn",
            "it ends as things are",
        ] {
            assert!(checker.discovery(name).is_some(), "never so: {name}");
        }
    }
    println!(
        "{what}: {} states, depth {}, {:.1?}, {}",
        checker.unique_state_count(),
        checker.max_depth(),
        began.elapsed(),
        if began.elapsed() < bound {
            "all of them"
        } else {
            "cut short"
        }
    );
    checker.unique_state_count()
}

fn machine(left: u8) -> Machine {
    Machine {
        start: State::new(left),
        missing: None,
        two: false,
        faults: true,
        only: None,
    }
}

/// One request from its beginning, disturbed once, wherever and however.
#[test]
fn one_request_disturbed_once() {
    assert!(explore("one request, disturbed once", machine(1)) > 1000);
}

/// Two requests for one namespace, asked for at any moment, disturbed once.
#[test]
fn two_requests_on_one_namespace() {
    let machine = Machine {
        two: true,
        faults: false,
        ..machine(1)
    };
    assert!(explore("two requests", machine) > 1000);
}

/// Disturbed twice, from just before the clearing on.
#[test]
fn the_clearing_disturbed_twice() {
    let mut start = driven_to(State::new(2), Phase::Clearing, None);
    start.seal();
    let machine = Machine {
        start,
        ..machine(2)
    };
    assert!(explore("the clearing, disturbed twice", machine) > 1000);
}

/// Each guard is missed when it is taken away: what it keeps from happening happens.
#[test]
fn each_guard_is_missed() {
    let rows: Vec<(Guard, &'static str, State, Move)> = vec![
        (Guard::S1, "S1", State::new(1), Move::ApproveOwn(0)),
        (Guard::S2, "S2", State::new(1), Move::Appear),
        (Guard::S3, "S3", State::new(1), Move::Revoke),
        (Guard::S4, "S4", State::new(1), Move::Commit),
        (Guard::S5, "S5", State::new(1), Move::BackupGoes),
        (Guard::S6, "S6", of_the_platform(), Move::Late),
        (Guard::S7, "S7", State::new(0), Move::Late),
        (Guard::S8, "S8", State::new(1), Move::SafetyFails),
        (Guard::S9, "S9", State::new(1), Move::Appear),
        (Guard::S10, "S10", State::new(1), Move::RestoreDeleted),
        (Guard::S11, "S11", State::new(1), Move::Intrude(0)),
        (Guard::L1, "L1", State::new(1), Move::Withdraw(0)),
    ];
    for (guard, name, start, only) in rows {
        let machine = |missing| Machine {
            start: start.clone(),
            missing,
            two: guard == Guard::S7,
            faults: false,
            only: Some(only),
        };
        let without = machine(Some(guard))
            .checker()
            .threads(2)
            .finish_when(HasDiscoveries::AnyOf(BTreeSet::from([name])))
            .spawn_bfs()
            .join();
        assert!(
            without.discovery(name).is_some(),
            "{name} holds without its guard, in {} states",
            without.unique_state_count()
        );
        println!(
            "without {guard:?}: {name} fails after {} states",
            without.unique_state_count()
        );
    }
}

/// A request for a namespace of the platform, which an order names all the same.
fn of_the_platform() -> State {
    let mut state = State::new(2);
    state.requests[0].spec.namespaces = vec!["kube-system".to_owned()];
    state.seal();
    state
}
