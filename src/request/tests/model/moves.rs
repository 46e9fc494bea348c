//! What can happen: turns of the two requests, time, people, faults.

use jiff::SignedDuration;
use stateright::{Model, Property};

use super::super::build::{self, choice, person};
use super::world::{Fault, State};
use crate::request::guard::Guard;
use crate::request::{Action as Answer, Choice, Phase, Step, Verdict, Vote, Which, Withdrawal};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Move {
    /// The second request is made.
    Ask,
    Turn(usize, Fault),
    /// A second passes, and everybody else does their work.
    Time,
    /// olav, who has the right, approves what waits for approval.
    Approve(usize),
    Answer(usize, Answer),
    /// From here on: what is bounded.
    Late,
    /// The requester approves.
    ApproveOwn(usize),
    Review(usize),
    Deny(usize),
    Withdraw(usize),
    Waive(usize, &'static str),
    MergedByOther(usize),
    Closed(usize, bool),
    Pushed(usize),
    Conflict(usize),
    Revoke,
    Commit,
    Appear,
    TidyUp,
    Hang,
    BackupGoes,
    RestoreFails,
    RestoreDeleted,
    SafetyFails,
    Intrude(usize),
    Unready,
    Prunes,
}

impl Move {
    /// It is one of what there may be only so many of.
    fn disturbs(self) -> bool {
        !matches!(
            self,
            Self::Ask
                | Self::Turn(_, Fault::None)
                | Self::Time
                | Self::Approve(_)
                | Self::Answer(..)
        )
    }
}

/// A model of the machine, with a guard taken away where a test wants that.
#[derive(Clone, Debug)]
pub(super) struct Machine {
    pub(super) start: State,
    pub(super) missing: Option<Guard>,
    /// The second request may be made.
    pub(super) two: bool,
    /// The effects of a step may fail, as one of the disturbances.
    pub(super) faults: bool,
    /// The only disturbance there is, where a test wants one in particular.
    pub(super) only: Option<Move>,
}

impl Model for Machine {
    type State = State;
    type Action = Move;

    fn init_states(&self) -> Vec<State> {
        vec![self.start.clone()]
    }

    fn actions(&self, state: &State, moves: &mut Vec<Move>) {
        if !state.broken.is_empty() {
            return;
        }
        moves.push(Move::Time);
        if self.two && !state.requests[1].asked {
            moves.push(Move::Ask);
        }
        let disturb = state.left > 0;
        for of in 0..2 {
            if !state.requests[of].asked {
                continue;
            }
            let phase = state.phase(of);
            if phase.is_over() {
                continue;
            }
            moves.push(Move::Turn(of, Fault::None));
            if disturb && self.faults {
                moves.push(Move::Turn(of, Fault::AnswerLost));
                moves.push(Move::Turn(of, Fault::Refused));
            }
            let status = &state.requests[of].status;
            if phase == Phase::AwaitingApproval && status.pause.is_some() {
                moves.push(Move::Approve(of));
            }
            // Else people could answer for ever.
            if phase == Phase::Stuck && status.choices.len() < 2 {
                moves.push(Move::Answer(of, Answer::Retry));
                moves.push(Move::Answer(of, Answer::ResumeAsIs));
            }
            if disturb {
                moves.extend([
                    Move::ApproveOwn(of),
                    Move::Review(of),
                    Move::Deny(of),
                    Move::Withdraw(of),
                    Move::MergedByOther(of),
                    Move::Closed(of, true),
                    Move::Closed(of, false),
                    Move::Pushed(of),
                    Move::Conflict(of),
                    Move::Intrude(of),
                ]);
                if phase == Phase::Stuck {
                    moves.push(Move::Waive(of, "olav"));
                    moves.push(Move::Waive(of, "kari"));
                }
            }
        }
        if disturb {
            moves.extend([
                Move::Late,
                Move::Revoke,
                Move::Commit,
                Move::Appear,
                Move::TidyUp,
                Move::Hang,
                Move::BackupGoes,
                Move::RestoreFails,
                Move::RestoreDeleted,
                Move::SafetyFails,
                Move::Unready,
                Move::Prunes,
            ]);
        }
        if let Some(only) = self.only {
            moves.retain(|other| !other.disturbs() || *other == only);
        }
    }

    fn next_state(&self, last: &State, action: Move) -> Option<State> {
        let mut next = last.clone();
        let disturbs = action.disturbs();
        let happened = match action {
            Move::Ask => {
                next.requests[1].asked = true;
                true
            }
            Move::Turn(of, fault) => {
                next = last.turn(of, fault, self.missing)?;
                true
            }
            Move::Time => {
                next.pass();
                true
            }
            Move::Approve(of) => vote(&mut next, of, "olav", Verdict::Approve),
            Move::Answer(of, answer) => answered(&mut next, of, "kari", answer),
            Move::Waive(of, by) => answered(&mut next, of, by, Answer::Waive),
            Move::ApproveOwn(of) => {
                let own = next.requests[of].spec.requester.id.clone();
                next.phase(of) == Phase::AwaitingApproval
                    && vote(&mut next, of, &own, Verdict::Approve)
            }
            Move::Deny(of) => vote(&mut next, of, "ida", Verdict::Deny),
            Move::Review(of) => {
                let pull = &mut next.requests[of].pulls[0];
                pull.as_mut().is_some_and(|pull| {
                    let head = pull.head_sha.clone();
                    let new = pull.reviews.is_empty();
                    pull.reviews.push(build::review(
                        "olav-gh",
                        crate::request::observed::ReviewState::Approved,
                        &head,
                    ));
                    new
                })
            }
            Move::Withdraw(of) => {
                let spec = &mut next.requests[of].spec;
                let new = spec.withdrawal.is_none();
                spec.withdrawal = Some(Withdrawal {
                    by: person("kari"),
                    at: next.now,
                });
                new
            }
            Move::MergedByOther(of) => {
                let open = next.is_open(of, Which::Pause);
                next.merge(of, Which::Pause);
                open
            }
            Move::Closed(of, pause) => {
                let pull = next.requests[of].pulls[usize::from(!pause)].as_mut();
                pull.is_some_and(|pull| {
                    let open = pull.state == crate::request::observed::PullState::Open;
                    if open {
                        pull.state = crate::request::observed::PullState::Closed;
                    }
                    open
                })
            }
            Move::Pushed(of) => {
                let open = next.is_open(of, Which::Pause);
                if let Some(pull) = &mut next.requests[of].pulls[0] {
                    pull.head_sha.push_str("-pushed");
                }
                open
            }
            Move::Conflict(of) => {
                let open = next.is_open(of, Which::Pause);
                if let Some(pull) = &mut next.requests[of].pulls[0] {
                    pull.mergeable = Some(false);
                }
                open
            }
            Move::Late => {
                next.now += SignedDuration::from_hours(1);
                true
            }
            Move::Revoke => {
                next.revoked = !next.revoked;
                true
            }
            Move::Commit => {
                next.unrecorded = true;
                !last.unrecorded
            }
            Move::Appear => {
                next.appear();
                true
            }
            Move::TidyUp => next.tidy_up(),
            Move::Hang => {
                next.hangs = !next.hangs;
                true
            }
            Move::BackupGoes => {
                next.backup_bad = true;
                !last.backup_bad
            }
            Move::RestoreFails => next.end_restores(),
            Move::RestoreDeleted => next.delete_restores(),
            Move::SafetyFails => next.fail_safeties(),
            Move::Intrude(of) => next.intrude(of),
            Move::Unready => {
                next.unready = !next.unready;
                true
            }
            Move::Prunes => {
                next.prunes = !next.prunes;
                true
            }
        };
        if !happened {
            return None;
        }
        if disturbs {
            next.left = next.left.checked_sub(1)?;
        }
        if !matches!(action, Move::Turn(..) | Move::Time) {
            next.tick();
        }
        next.seal();
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        macro_rules! never {
            ($($name:literal),*) => {
                vec![$(Property::always($name, |_: &Self, state: &State| {
                    !state.broken.contains($name)
                })),*]
            };
        }
        let mut properties = never![
            "S1", "S2", "S3", "S4", "S5", "S6", "S7", "S8", "S9", "S10", "S11", "L1"
        ];
        properties.push(Property::sometimes(
            "it is done",
            |_: &Self, state: &State| state.phase(0) == Phase::Done,
        ));
        properties.push(Property::sometimes(
            "it is stuck",
            |_: &Self, state: &State| state.phase(0) == Phase::Stuck,
        ));
        properties.push(Property::sometimes(
            "it is withdrawn",
            |_: &Self, state: &State| state.phase(0) == Phase::Withdrawn,
        ));
        properties.push(Property::sometimes(
            "it ends as things are",
            |_: &Self, state: &State| state.phase(0) == Phase::ResumedAsIs,
        ));
        properties
    }
}

fn vote(state: &mut State, of: usize, by: &str, verdict: Verdict) -> bool {
    let vote = Vote {
        at: state.now,
        ..build::vote(by, verdict, &state.digest(of))
    };
    let votes = &mut state.requests[of].spec.votes;
    let new = !votes.iter().any(|other| {
        other.by == vote.by && other.digest == vote.digest && other.verdict == vote.verdict
    });
    if new {
        votes.push(vote);
    }
    new
}

fn answered(state: &mut State, of: usize, by: &str, action: Answer) -> bool {
    let Some(stuck) = &state.requests[of].status.stuck else {
        return false;
    };
    let answered = state.requests[of]
        .spec
        .choice
        .as_ref()
        .is_some_and(|before| before.answers == stuck.at);
    if answered {
        return false;
    }
    state.requests[of].spec.choice = Some(Choice {
        at: state.now,
        by: person(by),
        ..choice(action, stuck.at)
    });
    true
}

/// Lets everybody do what they should until the first request is in `phase`.
pub(super) fn driven_to(mut state: State, wanted: Phase, missing: Option<Guard>) -> State {
    for _ in 0..200 {
        if state.phase(0) == wanted {
            state.seal();
            return state;
        }
        if let Some(next) = state.turn(0, Fault::None, missing) {
            state = next;
            continue;
        }
        if state.phase(0) == Phase::AwaitingApproval && state.requests[0].status.pause.is_some() {
            vote(&mut state, 0, "olav", Verdict::Approve);
            state.tick();
        }
        state.pass();
    }
    panic!(
        "never {wanted:?}: it is {:?} and would {:?}",
        state.phase(0),
        state.step(0, missing)
    );
}

/// What a request would do, for messages.
pub(super) fn would(state: &State, of: usize) -> Step {
    state.step(of, None)
}
