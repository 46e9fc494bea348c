//! Telling people what nobody asked about: backups that failed or did not come,
//! storage that is away, self-heal that is off, requests that wait.
//!
//! ```text
//! cluster --observe--> Facts --concerns (pure)--> what is so now
//!                                  |
//!     Told (kept in the cluster) --next (pure)--> Told, with an outbox --post--> chat
//! ```
//!
//! What is to be said is written into the cluster before it is said, and taken out
//! after, so that nothing is lost when Refloat is killed; and a chat tells what it
//! has said already by the id of the post.
//!
//! Architecture invariant: [`facts`], [`concerns`] and [`told`] are pure.

pub mod concerns;
pub mod facts;
pub mod policy;
pub mod run;
pub mod told;

#[cfg(test)]
mod tests;

pub use concerns::{Audience, Concern, concerns};
pub use facts::Facts;
pub use policy::{Policy, QuietHours};
pub use told::{Post, Told, next};
