//! The machine, model-checked: `decide` itself, explored with `stateright`.
//!
//! Two requests share one namespace and one world; each step of each may be done,
//! be refused, or be done with its answer lost (as if the process had been killed
//! there); people, reviewers and others do anything, a bounded number of times.
//! What must never happen is a property, and for each there is a guard without
//! which it does happen.
//!
//! States are told apart by everything in them, with moments taken by their order and
//! by which of the policy's bounds they are past.

mod canon;
mod checks;
mod moves;
mod world;
