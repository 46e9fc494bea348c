//! Rights that hang on roles.
//!
//! A person has to be in the configuration, which says who they are everywhere.
//! A reviewer's right holds while they have the reviewers' role; roles may give
//! tenants to people besides.

use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use serenity::http::{LightMethod, Route};
use serenity::model::id::{GuildId, UserId};
use tokio::time::Instant;

use super::Inner;
use super::rest::{Call, Lane, RestError};
use crate::chat::rights::Rights;
use crate::config::Id;
use crate::request::people::People;
use crate::request::resource::Person;

/// What was seen of somebody's roles holds this long while Discord does not answer.
const HOLDS: Duration = Duration::from_hours(1);
/// The work waits for Discord no longer than this.
const PATIENCE: Duration = Duration::from_secs(3);
/// After that, Discord is not asked again for so long.
const GIVEN_UP: Duration = Duration::from_secs(10);

/// What was seen of somebody.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) at: Instant,
    /// Nobody who is not on the server has any.
    pub(super) roles: Vec<Id>,
}

impl Inner {
    /// The roles that somebody has at this moment.
    async fn roles(&self, user: Id, lane: Lane) -> Result<Vec<Id>, RestError> {
        let route = Route::GuildMember {
            guild_id: GuildId::from(self.config.guild),
            user_id: UserId::from(user),
        };
        let read = self
            .rest
            .send(Call::new(LightMethod::Get, route).lane(lane))
            .await;
        let roles = match read {
            Ok(member) => member["roles"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|id| id.as_str()?.parse().ok())
                .collect(),
            // Whoever has left the server, or never was there, has no role.
            Err(error) if matches!(error.code(), Some(10007 | 10013)) => Vec::new(),
            Err(error) => return Err(error),
        };
        let seen = Seen {
            at: Instant::now(),
            roles: roles.clone(),
        };
        self.members().insert(user, seen);
        Ok(roles)
    }

    /// The people, with the rights that a person's roles give and hold back.
    fn with_roles(&self, people: &mut People, about: &Person, roles: &[Id]) {
        let account = (about.chat.clone(), about.id.clone());
        let config = self.as_configured();
        for entry in &mut people.0 {
            if !entry.accounts.contains(&account) {
                continue;
            }
            entry.reviewer &= roles.contains(&config.reviewers_role);
            for grant in &config.roles {
                if roles.contains(&grant.role) {
                    for tenant in &grant.tenants {
                        if !entry.tenants.contains(tenant) {
                            entry.tenants.push(tenant.clone());
                        }
                    }
                }
            }
        }
    }

    /// Whether anything hangs on the person's roles.
    fn hangs_on_roles(&self, people: &People, about: &Person) -> Option<Id> {
        let entry = people.by_account(about)?;
        let hangs = entry.reviewer || !self.as_configured().roles.is_empty();
        (about.chat == "discord" && hangs)
            .then(|| about.id.parse().ok())
            .flatten()
    }
}

impl Rights for Inner {
    fn now<'a>(
        &'a self,
        people: &'a People,
        about: &'a Person,
    ) -> BoxFuture<'a, Result<People, String>> {
        async move {
            let mut now = people.clone();
            if let Some(user) = self.hangs_on_roles(people, about) {
                let roles = self.roles(user, Lane::Answer).await.map_err(|error| {
                    tracing::warn!(%error, "somebody's roles cannot be read");
                    "Discord does not say which roles you have at this moment, so that nothing was \
                     done. Say it again in a while."
                        .to_owned()
                })?;
                self.with_roles(&mut now, about, &roles);
            }
            Ok(now)
        }
        .boxed()
    }

    fn known<'a>(
        &'a self,
        people: &'a People,
        about: Vec<&'a Person>,
        within: Duration,
    ) -> BoxFuture<'a, anyhow::Result<People>> {
        async move {
            let mut now = people.clone();
            let mut done: Vec<&Person> = Vec::new();
            for person in about {
                let Some(user) = self.hangs_on_roles(people, person) else {
                    continue;
                };
                if done.iter().any(|other| other.is(person)) {
                    continue;
                }
                done.push(person);
                let seen = self.members().get(&user).cloned();
                let roles = match seen {
                    Some(seen) if seen.at.elapsed() <= within => seen.roles,
                    seen => match self.ask(user).await {
                        Ok(roles) => roles,
                        // A restore does not wait for Discord, as long as what was seen
                        // is not too old.
                        Err(error) => match seen.filter(|seen| seen.at.elapsed() <= HOLDS) {
                            Some(seen) => seen.roles,
                            None => anyhow::bail!(
                                "Discord does not say whether {} still has the role: {error}",
                                person.name
                            ),
                        },
                    },
                };
                self.with_roles(&mut now, person, &roles);
            }
            Ok(now)
        }
        .boxed()
    }

    fn lately(&self, people: &People, about: &Person) -> People {
        let mut now = people.clone();
        if let Some(user) = self.hangs_on_roles(people, about) {
            let roles = self
                .members()
                .get(&user)
                .map(|seen| seen.roles.clone())
                .unwrap_or_default();
            self.with_roles(&mut now, about, &roles);
        }
        now
    }
}

impl Inner {
    /// Asks for somebody's roles, unless Discord has just not answered.
    async fn ask(&self, user: Id) -> anyhow::Result<Vec<Id>> {
        let silent = *self.silent();
        if silent.is_some_and(|at| at.elapsed() < GIVEN_UP) {
            anyhow::bail!("it has just not answered");
        }
        let asked = tokio::time::timeout(PATIENCE, self.roles(user, Lane::Answer)).await;
        let outcome = match asked {
            Ok(Ok(roles)) => Ok(roles),
            Ok(Err(error)) => Err(anyhow::Error::new(error)),
            Err(_) => Err(anyhow::anyhow!("it took too long")),
        };
        *self.silent() = outcome.is_err().then(Instant::now);
        outcome
    }
}
