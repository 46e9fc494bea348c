//! Whether what the configuration says of Discord is so.

use serde_json::Value;
use serenity::http::{LightMethod, Route};
use serenity::model::id::{ChannelId, GuildId};

use super::rest::{Call, RestError};
use super::{Discord, Inner};
use crate::config::Id;
use crate::request::people::People;

/// What was looked at, in a sentence, and whether it is as it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    pub good: bool,
    pub words: String,
}

fn good(words: impl Into<String>) -> Checked {
    Checked {
        good: true,
        words: words.into(),
    }
}

fn bad(words: impl Into<String>) -> Checked {
    Checked {
        good: false,
        words: words.into(),
    }
}

impl Discord {
    /// Looks at the token, the server, the channels, the roles and the people;
    /// changes nothing.
    pub async fn check(&self, people: &People) -> Vec<Checked> {
        self.0.check_all(people).await
    }
}

impl Inner {
    async fn check_all(&self, people: &People) -> Vec<Checked> {
        let mut all = Vec::new();
        match self.get(Route::UserMe).await {
            Ok(me) => all.push(good(format!(
                "the bot is {}",
                me["username"].as_str().unwrap_or("without a name")
            ))),
            Err(error) if error.is_unauthorized() => {
                all.push(bad("Discord does not know the bot's token"));
                return all;
            }
            Err(error) => {
                all.push(bad(format!("Discord cannot be asked: {error}")));
                return all;
            }
        }
        let guild_id = GuildId::from(self.config.guild);
        match self.get(Route::Guild { guild_id }).await {
            Ok(guild) => {
                all.push(good(format!(
                    "it is on the server {}",
                    guild["name"].as_str().unwrap_or_default()
                )));
                all.extend(self.check_roles(&guild));
            }
            Err(error) => all.push(bad(format!(
                "guild {}: the bot is not on that server; invite it ({error})",
                self.config.guild
            ))),
        }
        let named = [
            ("channel", self.config.channel),
            ("troubleChannel", self.config.trouble_channel),
        ];
        let more = self.config.channels.iter().map(|id| ("channels", *id));
        for (setting, id) in named.into_iter().chain(more) {
            let channel_id = ChannelId::from(id);
            all.push(match self.get(Route::Channel { channel_id }).await {
                Ok(channel) if channel["guild_id"] == self.config.guild.to_string() => {
                    good(format!(
                        "{setting} is #{}",
                        channel["name"].as_str().unwrap_or_default()
                    ))
                }
                Ok(_) => bad(format!("{setting} {id}: it is on another server")),
                Err(error) => bad(format!("{setting} {id}: the bot does not see it ({error})")),
            });
        }
        let reviewers = people
            .0
            .iter()
            .filter(|entry| {
                entry.reviewer && entry.accounts.iter().any(|(chat, _)| chat == "discord")
            })
            .count();
        all.push(if reviewers == 0 {
            bad("people: no reviewer has a discord id, so that nobody can approve anything here")
        } else {
            good(format!("{reviewers} of the people can review here"))
        });
        all
    }

    fn check_roles(&self, guild: &Value) -> Vec<Checked> {
        let name = |id: Id| {
            guild["roles"]
                .as_array()
                .into_iter()
                .flatten()
                .find(|role| role["id"] == id.to_string())
                .map(|role| role["name"].as_str().unwrap_or_default().to_owned())
        };
        let mut all = vec![match name(self.config.reviewers_role) {
            Some(name) => good(format!("reviewersRole is @{name}")),
            None => bad(format!(
                "reviewersRole {}: there is no such role",
                self.config.reviewers_role
            )),
        }];
        for grant in &self.config.roles {
            all.push(match name(grant.role) {
                Some(name) => good(format!("@{name} may ask for {}", grant.tenants.join(", "))),
                None => bad(format!("roles {}: there is no such role", grant.role)),
            });
        }
        all
    }

    async fn get(&self, route: Route<'_>) -> Result<Value, RestError> {
        self.rest.send(Call::new(LightMethod::Get, route)).await
    }
}
