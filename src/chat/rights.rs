//! Who may do what, as the chat knows it at this moment.
//!
//! The configuration says who is who and which rights there are; a chat may hold
//! some of them back, such as a reviewer's from somebody who has lost the role.

use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;

use crate::request::people::People;
use crate::request::resource::Person;

/// What a chat knows of people's rights.
pub trait Rights: Send + Sync {
    /// The people with the rights that one of them has now. The error is a
    /// sentence for that person: it could not be found out, and nothing is done.
    fn now<'a>(
        &'a self,
        people: &'a People,
        about: &'a Person,
    ) -> BoxFuture<'a, Result<People, String>>;

    /// The same for several, as was seen no longer ago than `within`; asked anew
    /// if that is too old. If the chat does not answer, what was known last holds
    /// for a while; then it is an error.
    fn known<'a>(
        &'a self,
        people: &'a People,
        about: Vec<&'a Person>,
        within: Duration,
    ) -> BoxFuture<'a, anyhow::Result<People>>;

    /// As was seen last, without asking anybody.
    fn lately(&self, people: &People, about: &Person) -> People;
}

/// The rights that the configuration gives, and no others.
#[derive(Clone, Copy, Debug)]
pub struct Configured;

impl Rights for Configured {
    fn now<'a>(
        &'a self,
        people: &'a People,
        _: &'a Person,
    ) -> BoxFuture<'a, Result<People, String>> {
        std::future::ready(Ok(people.clone())).boxed()
    }

    fn known<'a>(
        &'a self,
        people: &'a People,
        _: Vec<&'a Person>,
        _: Duration,
    ) -> BoxFuture<'a, anyhow::Result<People>> {
        std::future::ready(Ok(people.clone())).boxed()
    }

    fn lately(&self, people: &People, _: &Person) -> People {
        people.clone()
    }
}
