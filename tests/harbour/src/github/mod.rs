//! GitHub's REST API, version 2022-11-28, over real bare Git repositories, which can be
//! cloned from the same address.
//!
//! What Git knows is read from Git at each request, so that it does not matter
//! who moved a branch; pull requests, reviews, comments and checks are kept
//! beside it. See [`Server`].

mod apps;
mod auth;
mod checks;
mod commits;
mod contents;
mod errors;
mod git;
mod gitdata;
mod gitfacts;
mod gitwrite;
mod hub;
mod issues;
mod merge;
mod objects;
mod protection;
mod pulls;
mod pullview;
mod refs;
mod reply;
mod reviews;
mod routes;
mod server;
mod shapes;
mod spec;
mod state;
#[cfg(test)]
mod tests;
mod transport;
mod users;
mod views;
mod webhooks;
mod world;

pub use errors::ApiError;
pub use merge::MergeMethod;
pub use reviews::ReviewEvent;
pub use server::{Options, Server};
pub use spec::SpecChecker;
pub use state::{Conclusion, Permission, Protection, ReviewState};
pub use views::{CommentView, PullStatus, PullView, ReviewView};
pub use webhooks::{Delivery, Sending, WebhookChecker};
