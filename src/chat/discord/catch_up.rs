//! Reactions: as they come, and those of the time in which nobody listened.

use std::sync::Arc;

use serde_json::Value;
use serenity::http::{LightMethod, Route};
use serenity::model::channel::{Reaction, ReactionType};
use serenity::model::id::{ChannelId, MessageId};

use super::Inner;
use super::converge::Known;
use super::hear::{Reacted, encoded, person};
use super::rest::{Call, RestError};
use super::show::{APPROVE, DENY};
use crate::config::Id;
use crate::request::Person;

const PAGE: usize = 100;
const PAGES: usize = 10;

/// Whether an emoji means yes or no here.
fn meaning(emoji: &ReactionType) -> Option<bool> {
    let ReactionType::Unicode(text) = emoji else {
        return None;
    };
    // Some clients send the mark with a variation selector.
    match text.trim_end_matches('\u{fe0f}') {
        APPROVE => Some(true),
        DENY => Some(false),
        _ => None,
    }
}

fn somebody(user: Id, name: &str) -> Person {
    Person {
        chat: "discord".to_owned(),
        id: user.to_string(),
        name: name.to_owned(),
    }
}

impl Known {
    /// Whether this reaction is remembered as a vote.
    pub(super) async fn has_voted(&self, reacted: &Reacted) -> bool {
        let state = self.state.lock().await;
        state
            .kept
            .questions
            .get(&reacted.message.to_string())
            .is_some_and(|question| {
                question.voted.get(&reacted.user.to_string()) == Some(&reacted.yes)
            })
    }
}

impl Inner {
    pub(super) async fn reaction_added(
        self: &Arc<Self>,
        reaction: &Reaction,
    ) -> Result<(), RestError> {
        let (Some(yes), Some(user)) = (meaning(&reaction.emoji), reaction.user_id) else {
            return Ok(());
        };
        let member = reaction.member.as_ref();
        let user = Id::from(user);
        if reaction.guild_id.map(Id::from) != Some(self.config.guild)
            || member.is_some_and(|member| member.user.bot)
            || user == self.me().await?
        {
            return Ok(());
        }
        let (channel, message) = (Id::from(reaction.channel_id), Id::from(reaction.message_id));
        let Some(known) = self.known_thread(channel) else {
            return Ok(());
        };
        let question = {
            let state = known.state.lock().await;
            let key = message.to_string();
            state.kept.questions.get(&key).cloned()
        };
        // A mark on the question for a reason says nothing.
        let Some(question) = question.filter(|question| !question.digest.is_empty()) else {
            return Ok(());
        };
        let reacted = Reacted {
            request: known.request.clone(),
            channel,
            message,
            user,
            yes,
        };
        // Events may be late or in another order than things happened.
        let there = self.reactions(&reacted).await?;
        if !there.iter().any(|(other, _)| *other == user) {
            return Ok(());
        }
        let from = match member {
            Some(member) => person(&member.user, member.nick.as_deref()),
            None => somebody(user, &user.to_string()),
        };
        self.reacted(&known, reacted, from, &question.digest).await;
        Ok(())
    }

    pub(super) async fn reaction_removed(
        self: &Arc<Self>,
        reaction: &Reaction,
    ) -> Result<(), RestError> {
        let (Some(true), Some(user)) = (meaning(&reaction.emoji), reaction.user_id) else {
            // A no stands, whatever becomes of its mark.
            return Ok(());
        };
        let channel = Id::from(reaction.channel_id);
        let Some(known) = self.known_thread(channel) else {
            return Ok(());
        };
        let reacted = Reacted {
            request: known.request.clone(),
            channel,
            message: Id::from(reaction.message_id),
            user: Id::from(user),
            yes: true,
        };
        self.check_taken_back(&known, &reacted).await
    }

    /// Takes an approval back if its reaction is really gone.
    async fn check_taken_back(&self, known: &Known, reacted: &Reacted) -> Result<(), RestError> {
        if !known.has_voted(reacted).await {
            return Ok(());
        }
        let there = self.reactions(reacted).await?;
        if there.iter().any(|(user, _)| *user == reacted.user) {
            return Ok(());
        }
        self.forget_vote(known, reacted).await;
        let from = somebody(reacted.user, &reacted.user.to_string());
        self.took_back(known, reacted.channel, from);
        Ok(())
    }

    /// Looks at the reactions to a thread's open questions, and hears those that
    /// were made or taken away unseen.
    pub(super) async fn catch_up(self: &Arc<Self>, known: &Arc<Known>) {
        let (thread, questions) = {
            let state = known.state.lock().await;
            (state.kept.thread, state.kept.questions.clone())
        };
        let Some(channel) = thread else { return };
        for (message, question) in questions {
            let Ok(message) = message.parse::<Id>() else {
                continue;
            };
            if question.digest.is_empty() || (!question.open && question.voted.is_empty()) {
                continue;
            }
            for yes in [true, false] {
                let reacted = |user| Reacted {
                    request: known.request.clone(),
                    channel,
                    message,
                    user,
                    yes,
                };
                let there = match self.reactions(&reacted(Id::MAX)).await {
                    Ok(there) => there,
                    Err(error) => {
                        tracing::warn!(request = known.request, %error, "reactions cannot be read back");
                        return;
                    }
                };
                if question.open {
                    for (user, user_json) in &there {
                        if question.voted.contains_key(&user.to_string())
                            || user_json["bot"] == true
                        {
                            continue;
                        }
                        let name = user_json["global_name"]
                            .as_str()
                            .or(user_json["username"].as_str())
                            .unwrap_or_default();
                        let from = somebody(*user, name);
                        self.reacted(known, reacted(*user), from, &question.digest)
                            .await;
                    }
                }
                for (user, said) in &question.voted {
                    let Ok(user) = user.parse::<Id>() else {
                        continue;
                    };
                    if yes && *said && !there.iter().any(|(other, _)| *other == user) {
                        let reacted = reacted(user);
                        self.forget_vote(known, &reacted).await;
                        self.took_back(known, channel, somebody(user, &user.to_string()));
                    }
                }
            }
        }
    }

    /// Everybody who reacted so, with what Discord says of them.
    async fn reactions(&self, reacted: &Reacted) -> Result<Vec<(Id, Value)>, RestError> {
        let emoji = encoded(reacted.emoji());
        let mut all: Vec<(Id, Value)> = Vec::new();
        for _ in 0..PAGES {
            let route = Route::ChannelMessageReactionEmoji {
                channel_id: ChannelId::from(reacted.channel),
                message_id: MessageId::from(reacted.message),
                reaction: &emoji,
            };
            let mut call = Call::new(LightMethod::Get, route).query("limit", &PAGE);
            if let Some((last, _)) = all.last() {
                call = call.query("after", last);
            }
            let page = self.rest.send(call).await?;
            let page = page.as_array().cloned().unwrap_or_default();
            let full = page.len() == PAGE;
            for user in page {
                all.push((super::id_of(&user)?, user));
            }
            if !full {
                break;
            }
        }
        Ok(all)
    }

    fn known_thread(&self, channel: Id) -> Option<Arc<Known>> {
        self.all_known()
            .into_iter()
            .find(|known| *super::lock(&known.thread) == Some(channel))
    }

    /// Remembers that somebody voted by a reaction.
    pub(super) async fn voted(&self, reacted: &Reacted) -> anyhow::Result<()> {
        if let Some(known) = self.known(&reacted.request) {
            let mut state = known.state.lock().await;
            let message = reacted.message.to_string();
            if let Some(question) = state.kept.questions.get_mut(&message) {
                question.voted.insert(reacted.user.to_string(), reacted.yes);
                state.remember(&self.memory).await?;
            }
        }
        Ok(())
    }

    async fn forget_vote(&self, known: &Known, reacted: &Reacted) {
        let mut state = known.state.lock().await;
        let message = reacted.message.to_string();
        if let Some(question) = state.kept.questions.get_mut(&message) {
            question.voted.remove(&reacted.user.to_string());
            if let Err(error) = state.remember(&self.memory).await {
                // It is looked at again at the next start.
                tracing::warn!(error = format!("{error:#}"), "a vote cannot be forgotten");
            }
        }
    }
}
