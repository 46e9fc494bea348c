//! Discord: a gateway over WebSocket and the REST API, with one guild.
//!
//! It is stateful and strict: what Discord refuses is refused here with the same
//! codes, requests are counted in buckets, and each is held against the published
//! description if that is at hand. What people do (type, press, react, delete) is
//! done by the methods of [`Server`]; each makes the event that Discord would send.

mod checks;
mod events;
mod gateway;
mod people;
mod reply;
mod rest;
mod routes;
mod server;
mod service;
mod shown;
mod state;

#[cfg(test)]
mod tests;

pub use people::{Answer, Asked, Focus};
pub use server::{Options, Server};
pub use state::{Limits, Permission, Seen};

/// The ids of what is there from the start.
pub mod ids {
    pub const GUILD: u64 = 81_384_788_765_712_384;
    pub const CHANNEL: u64 = 81_384_788_765_712_385;
    pub const OTHER_CHANNEL: u64 = 81_384_788_765_712_386;
    pub const REVIEWERS: u64 = 81_384_788_765_712_390;
    pub const POSEIDON: u64 = 81_384_788_765_712_391;
    pub const BOT: u64 = 81_384_788_765_712_400;
    pub const ADA: u64 = 81_384_788_765_712_401;
    pub const ODD: u64 = 81_384_788_765_712_402;
    pub const GRACE: u64 = 81_384_788_765_712_403;
    pub const LINUS: u64 = 81_384_788_765_712_404;
    /// Nobody's: in the guild, but not in Refloat's configuration.
    pub const MALLORY: u64 = 81_384_788_765_712_405;
    /// Another application's bot, which holds the reviewers' role.
    pub const ROBOT: u64 = 81_384_788_765_712_406;
}

/// The token of Refloat's bot.
pub const REFLOAT_DISCORD_TOKEN: &str = "MTE0.refloat.discord-token";
