//! The integration tests: Refloat in the harbour, through the front door.
//!
//! A test types into the chat, reads the thread, and looks at the world.

#![allow(
    unreachable_pub,
    missing_debug_implementations,
    reason = "nothing outside sees a test binary"
)]

mod definitions;
mod endings;
mod github_approval;
mod github_merge;
mod kills;
mod latency;
mod refloat;
mod refusals;
mod restore;
mod stuck;
mod world;
