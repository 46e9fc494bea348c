//! Random walks: people, faults and time do what they like; what must never
//! happen is asserted in the world, and from everywhere there is a way out.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::world::{Fault, World};
use crate::request::{Action, Phase, Verdict};

const EVENTS: u8 = 37;
/// Denied, withdrawn, closed.
const FINAL: [u8; 3] = [3, 4, 12];
/// Nothing but the time that the machine itself waits for.
const WAIT: u8 = 33;

/// How a walk begins.
#[derive(Clone, Copy, Debug)]
enum Start {
    Nothing,
    Reviewed,
    Voted,
    /// Called off while the answer to the opening of the pull request is lost.
    WithdrawnUnanswered,
}

/// One thing that happens.
fn happen(world: &mut World, event: u8, until: Timestamp) {
    match event {
        0 => world.vote("olav", Verdict::Approve),
        1 => world.vote("ida", Verdict::Approve),
        2 => world.vote("kari", Verdict::Approve),
        3 => world.vote("ida", Verdict::Deny),
        4 => world.withdraw(),
        5 | 6 => world.choose(Action::Retry),
        7 => world.choose(Action::ResumeAsIs),
        8 => world.fault = Some(Fault::Refused),
        9 | 10 => world.fault = Some(Fault::AnswerLost),
        11 => world.merge("pause"),
        12 => world.close("pause"),
        13 => world.close("resume"),
        14 => world.push("pause"),
        15 => world.conflict("resume"),
        16 => world.review("olav-gh"),
        17 => world.review("kari-gh"),
        18 => world.end_restores("PartiallyFailed"),
        19 => world.end_restores("Failed"),
        20 => world.delete_restores(),
        21 => world.fail_safeties(),
        22 => world.new_commit(),
        23 => world.appear(),
        24 => world.tidy_up(),
        25 => world.hangs = !world.hangs,
        26 => world.prunes = !world.prunes,
        27 => world.queued = !world.queued,
        28 => world.location_fails = !world.location_fails,
        29 => world.broken = !world.broken,
        30 => world.revoke(!world.stranger),
        31 => world.now += SignedDuration::from_hours(2),
        32 => world.conflict("pause"),
        34 => world.intrude(),
        // Only the second counts: kari asked.
        35 => world.choose(Action::Waive),
        36 => world.choose_as("olav", Action::Waive),
        _ if until > world.now && until < Timestamp::MAX => world.now = until,
        _ => {}
    }
}

/// From here on everybody means well: is there an end?
fn ends(mut world: World, answer: Action) -> Phase {
    world.fault = None;
    world.hangs = false;
    world.queued = false;
    world.location_fails = false;
    world.revoke(false);
    world.tidy_up();
    let mut stuck = 0;
    for _ in 0..150 {
        world.run();
        let phase = world.phase();
        if phase.is_over() {
            return phase;
        }
        if phase == Phase::Stuck {
            stuck += 1;
            world.choose(if stuck > 4 {
                Action::ResumeAsIs
            } else {
                answer
            });
        }
        if matches!(phase, Phase::AwaitingApproval | Phase::Resuming) {
            world.vote("olav", Verdict::Approve);
        }
        world.tick();
        world.now += SignedDuration::from_secs(120);
    }
    panic!("no end from {:?}: {:#?}", world.phase(), world.status);
}

#[test]
fn nothing_forbidden_happens_and_there_is_always_a_way_out() {
    let states = Cell::new(0_u64);
    let ends_seen: RefCell<BTreeMap<Phase, u64>> = RefCell::default();
    let phases_seen: RefCell<BTreeMap<Phase, u64>> = RefCell::default();
    let walks: u32 = std::env::var("REFLOAT_WALKS")
        .ok()
        .and_then(|walks| walks.parse().ok())
        .unwrap_or(400);
    let mut runner = TestRunner::new_with_rng(
        Config {
            cases: walks,
            failure_persistence: None,
            ..Config::default()
        },
        TestRng::deterministic_rng(RngAlgorithm::ChaCha),
    );
    // What ends a walk early is rare, so that walks go deep.
    let event = prop_oneof![
        40 => (0..EVENTS).prop_map(|event| if FINAL.contains(&event) { WAIT } else { event }),
        10 => Just(WAIT),
        1 => prop::sample::select(&FINAL[..]),
    ];
    // An event, and whether the world moves on afterwards.
    let happening = (event, prop::bool::weighted(0.7));
    let strategy = (
        prop::bool::weighted(0.9),
        any::<bool>(),
        prop_oneof![
            1 => Just(Start::Nothing),
            2 => Just(Start::Reviewed),
            6 => Just(Start::Voted),
            1 => Just(Start::WithdrawnUnanswered),
        ],
        vec(happening, 0..60),
    );
    runner
        .run(&strategy, |(heals, covers, start, happenings)| {
            let mut world = World::new(heals, covers);
            let mut until = world.now;
            match start {
                Start::Nothing => {}
                Start::Reviewed => {
                    world.run();
                    world.review("olav-gh");
                    until = world.run();
                }
                Start::Voted => {
                    world.run();
                    world.vote("olav", Verdict::Approve);
                    until = world.run();
                }
                Start::WithdrawnUnanswered => {
                    world.fault = Some(Fault::AnswerLost);
                    world.run();
                    world.withdraw();
                    until = world.run();
                }
            }
            for (index, (event, ticks)) in happenings.into_iter().enumerate() {
                happen(&mut world, event, until);
                if ticks {
                    world.tick();
                }
                until = world.run();
                assert!(world.restores_per_round() <= 1);
                states.set(states.get() + 1);
                *phases_seen.borrow_mut().entry(world.phase()).or_default() += 1;
                if world.phase().is_over() {
                    break;
                }
                if index % 3 == 0 {
                    ends(world.clone(), Action::Retry);
                    ends(world.clone(), Action::ResumeAsIs);
                }
            }
            let end = ends(world.clone(), Action::Retry);
            assert!(end == Phase::Done || end.is_over());
            *ends_seen.borrow_mut().entry(end).or_default() += 1;
            Ok(())
        })
        .unwrap();
    println!("{walks} walks, {} states", states.get());
    println!("phases on the way: {:?}", phases_seen.borrow());
    println!("ends: {:?}", ends_seen.borrow());
    for phase in Phase::ALL {
        let seen =
            phases_seen.borrow().contains_key(&phase) || ends_seen.borrow().contains_key(&phase);
        // Checking is left before the first event.
        assert!(
            seen || phase == Phase::Checking,
            "no walk came to {phase:?}"
        );
    }
}
