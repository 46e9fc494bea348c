//! What people say in Discord, as lines of text: slash commands, buttons, forms,
//! reactions and mentions.
//!
//! Each is taken once, only from the configured server and channels, and only
//! while it is fresh: Discord replays what was missed, and nobody wants a command
//! of an hour ago carried out. Everything is acknowledged at once, then handed to
//! the desk.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use refloat_commands::{Command, CommandSpec, OptionSpec, complete_value, from_options};
use serde_json::{Value, json};
use serenity::http::{LightMethod, Route};
use serenity::model::application::{
    ActionRowComponent, CommandDataOption, CommandDataOptionValue, CommandInteraction,
    ComponentInteraction, Interaction, ModalInteraction,
};
use serenity::model::channel::{ChannelType, PartialChannel};
use serenity::model::guild::Member;
use serenity::model::id::{ApplicationId, ChannelId, GuildId, InteractionId, MessageId, UserId};
use serenity::model::user::User;
use tokio::sync::oneshot;

use super::converge::{Known, made};
use super::rest::{Call, Lane, RestError};
use super::trouble::MISSING_PERMISSIONS;
use super::{Inner, lock, show};
use crate::chat::{Answer, Aside, Attachment, Completing, Incoming, Marked, Offer};
use crate::config::Id;
use crate::request::Person;

/// Discord gives up on an interaction after so long.
const FRESH: SignedDuration = SignedDuration::from_secs(3);
/// A line of text has no such limit, but is no less a command.
const FRESH_TEXT: SignedDuration = SignedDuration::from_secs(10);
/// Whoever is typing is answered after this, with whatever is there.
const COMPLETE_WITHIN: Duration = Duration::from_millis(900);
/// How many ids are remembered, to take each once.
const REMEMBERED: usize = 10_000;
const ALREADY_ACKNOWLEDGED: i64 = 40060;
const TOKEN_ENDED: i64 = 50027;
const UNKNOWN_WEBHOOK: i64 = 10015;
const EPHEMERAL: u64 = 64;
const MOST_CHOICES: usize = 25;
const CHOICE: usize = 100;

/// The ids of what was heard.
#[derive(Default)]
pub(super) struct Heard {
    ids: HashSet<u64>,
    order: VecDeque<u64>,
}

impl Heard {
    /// False if it was heard before.
    fn first(&mut self, id: u64) -> bool {
        if !self.ids.insert(id) {
            return false;
        }
        self.order.push_back(id);
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
        true
    }
}

/// Where an answer goes.
#[derive(Clone, Debug)]
pub(super) enum Pending {
    /// To whoever used the command, so that only they see it.
    Interaction {
        application: Id,
        token: String,
        /// Where it was, for what is said after the token has ended.
        channel: Id,
    },
    /// Nowhere if it was done; into the thread if it was refused, and the
    /// reaction is taken away.
    Reaction(Reacted),
    /// Below the message.
    Text { channel: Id, message: Id },
    /// Into the thread.
    Thread { channel: Id },
}

/// A reaction to a question.
#[derive(Clone, Debug)]
pub(super) struct Reacted {
    pub(super) request: String,
    pub(super) channel: Id,
    pub(super) message: Id,
    pub(super) user: Id,
    pub(super) yes: bool,
}

impl Reacted {
    /// The same for the same mark of the same person.
    fn id(&self) -> String {
        format!("reaction-{}-{}-{}", self.message, self.user, self.yes)
    }

    pub(super) fn emoji(&self) -> &'static str {
        if self.yes { show::APPROVE } else { show::DENY }
    }
}

/// What every kind of interaction has.
struct Asked<'a> {
    id: Id,
    application: Id,
    token: &'a str,
    guild: Option<GuildId>,
    channel: Id,
    /// The channel that a thread is in.
    parent: Option<Id>,
    from: Person,
}

impl<'a> Asked<'a> {
    #[allow(
        clippy::too_many_arguments,
        reason = "they are the parts of an interaction"
    )]
    fn new(
        id: InteractionId,
        application: ApplicationId,
        token: &'a str,
        guild: Option<GuildId>,
        channel_id: ChannelId,
        channel: Option<&PartialChannel>,
        user: &User,
        member: Option<&Member>,
    ) -> Self {
        let is_thread = channel.is_some_and(|channel| {
            matches!(
                channel.kind,
                ChannelType::PublicThread | ChannelType::PrivateThread | ChannelType::NewsThread
            )
        });
        Self {
            id: id.into(),
            application: application.into(),
            token,
            guild,
            channel: channel_id.into(),
            parent: channel
                .filter(|_| is_thread)
                .and_then(|channel| channel.parent_id)
                .map(Into::into),
            from: person(user, member.and_then(|member| member.nick.as_deref())),
        }
    }
}

/// A person by what others see.
pub(super) fn person(user: &User, nick: Option<&str>) -> Person {
    Person {
        chat: "discord".to_owned(),
        id: user.id.to_string(),
        name: nick
            .or(user.global_name.as_deref())
            .unwrap_or(&user.name)
            .to_owned(),
    }
}

/// What is not heard, and why not, in words.
enum Unheard {
    /// It came a second time.
    Twice,
    TooLate,
    Refused(String),
}

impl Inner {
    pub(super) async fn interaction(self: &Arc<Self>, interaction: Interaction) {
        let done = match &interaction {
            Interaction::Command(command) => self.command(command).await,
            Interaction::Autocomplete(typing) => self.typing(typing).await,
            Interaction::Component(pressed) => self.pressed(pressed).await,
            Interaction::Modal(form) => self.form(form).await,
            // A ping comes by webhook only; what is unknown is nobody's command.
            _ => Ok(()),
        };
        if let Err(error) = done {
            tracing::warn!(%error, "an interaction could not be answered");
        }
    }

    /// Whether something is to be heard.
    fn check(&self, asked: &Asked<'_>) -> Result<(), Unheard> {
        if !lock(&self.heard).first(asked.id.get()) {
            return Err(Unheard::Twice);
        }
        if Timestamp::now().duration_since(made(asked.id)) > FRESH {
            return Err(Unheard::TooLate);
        }
        if asked.guild.map(Id::from) != Some(self.config.guild) {
            return Err(Unheard::Refused(
                "I work on one server only, and this is not it.".to_owned(),
            ));
        }
        if !self.listens_in(asked.channel, asked.parent) {
            return Err(Unheard::Refused(format!(
                "I do not take commands here. Say it in <#{}>.",
                self.config.channel
            )));
        }
        Ok(())
    }

    fn listens_in(&self, channel: Id, parent: Option<Id>) -> bool {
        [Some(channel), parent].into_iter().flatten().any(|place| {
            place == self.config.channel || self.as_configured().channels.contains(&place)
        })
    }

    /// As [`Inner::check`]; answers what is not to be heard. False: no more is to
    /// be done.
    async fn hears(&self, asked: &Asked<'_>) -> Result<bool, RestError> {
        match self.check(asked) {
            Ok(()) => Ok(true),
            Err(Unheard::Twice) => {
                tracing::debug!(id = %asked.id, "heard twice");
                Ok(false)
            }
            Err(Unheard::TooLate) => {
                let age = Timestamp::now().duration_since(made(asked.id));
                tracing::info!(person = asked.from.id, %age, "a command came too late and was not done");
                let words = format!(
                    "{}, your command reached me too late, so that nothing was done. Say it again.",
                    crate::chat::harmless::harmless(&asked.from.name, 100)
                );
                self.say_in(asked.channel, &words, None).await?;
                Ok(false)
            }
            Err(Unheard::Refused(words)) => {
                self.refuse(asked, &words).await?;
                Ok(false)
            }
        }
    }

    async fn command(self: &Arc<Self>, command: &CommandInteraction) -> Result<(), RestError> {
        let asked = Asked::new(
            command.id,
            command.application_id,
            &command.token,
            command.guild_id,
            command.channel_id,
            command.channel.as_ref(),
            &command.user,
            command.member.as_deref(),
        );
        if !self.hears(&asked).await? {
            return Ok(());
        }
        let (sub, options) = taken_apart(&command.data.options);
        let given: Vec<(&str, &str)> = options
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        match from_options(&command.data.name, sub, &given) {
            Ok(Command::Deny {
                request,
                reason: None,
            }) => {
                let named = request.map(|name| name.as_str().to_owned());
                let request = match named {
                    Some(name) => Some(name),
                    None => self.request_in(asked.channel).await,
                };
                match request {
                    Some(request) => self.show_form(&asked, &request).await,
                    None => {
                        self.refuse(&asked, "Say which request: `/deny request:<name>`.")
                            .await
                    }
                }
            }
            Ok(command) => self.carry_on(&asked, command.to_string()).await,
            Err(error) => self.refuse(&asked, &error.to_string()).await,
        }
    }

    async fn pressed(self: &Arc<Self>, pressed: &ComponentInteraction) -> Result<(), RestError> {
        let asked = Asked::new(
            pressed.id,
            pressed.application_id,
            &pressed.token,
            pressed.guild_id,
            pressed.channel_id,
            pressed.channel.as_ref(),
            &pressed.user,
            pressed.member.as_ref(),
        );
        if !self.hears(&asked).await? {
            return Ok(());
        }
        let words: Vec<&str> = pressed.data.custom_id.split(' ').collect();
        match words.as_slice() {
            ["approve", digest, request] => {
                let options = [("request", *request), ("digest", *digest)];
                match from_options("approve", None, &options) {
                    Ok(command) => self.carry_on(&asked, command.to_string()).await,
                    Err(error) => self.refuse(&asked, &error.to_string()).await,
                }
            }
            ["deny", request] => self.show_form(&asked, request).await,
            _ => {
                self.refuse(&asked, "This button means nothing to me any more.")
                    .await
            }
        }
    }

    async fn form(self: &Arc<Self>, form: &ModalInteraction) -> Result<(), RestError> {
        let asked = Asked::new(
            form.id,
            form.application_id,
            &form.token,
            form.guild_id,
            form.channel_id,
            form.channel.as_ref(),
            &form.user,
            form.member.as_ref(),
        );
        if !self.hears(&asked).await? {
            return Ok(());
        }
        let reason = form
            .data
            .components
            .iter()
            .flat_map(|row| &row.components)
            .find_map(|component| match component {
                ActionRowComponent::InputText(text) => text.value.as_deref(),
                _ => None,
            })
            .unwrap_or_default();
        let Some(request) = form.data.custom_id.strip_prefix("deny ") else {
            return self
                .refuse(&asked, "This form means nothing to me any more.")
                .await;
        };
        match from_options("deny", None, &[("request", request), ("reason", reason)]) {
            Ok(command) => self.carry_on(&asked, command.to_string()).await,
            Err(error) => self.refuse(&asked, &error.to_string()).await,
        }
    }

    /// Whoever is typing is offered what can follow, from what is known already.
    async fn typing(self: &Arc<Self>, typing: &CommandInteraction) -> Result<(), RestError> {
        let asked = Asked::new(
            typing.id,
            typing.application_id,
            &typing.token,
            typing.guild_id,
            typing.channel_id,
            typing.channel.as_ref(),
            &typing.user,
            typing.member.as_deref(),
        );
        // Nobody reads an answer to letters typed long ago.
        match self.check(&asked) {
            Ok(()) => {}
            Err(Unheard::Twice | Unheard::TooLate) => return Ok(()),
            Err(Unheard::Refused(_)) => return self.offer(&asked, &[]).await,
        }
        let (sub, options) = taken_apart(&typing.data.options);
        let focus = focus(&typing.data.options);
        let choices = match (option_of(&typing.data.name, sub, focus), focus) {
            (Some(option), Some((_, typed))) => {
                let given: Vec<(&str, &str)> = options
                    .iter()
                    .filter(|(name, _)| *name != option.name)
                    .map(|(name, value)| (*name, value.as_str()))
                    .collect();
                self.choices(&asked, option, typed, &given).await
            }
            _ => Vec::new(),
        };
        self.offer(&asked, &choices).await
    }

    async fn choices(
        &self,
        asked: &Asked<'_>,
        option: &OptionSpec,
        typed: &str,
        given: &[(&str, &str)],
    ) -> Vec<Value> {
        let completion = complete_value(option, typed, given);
        // Of a list, what stands before the value that is being typed.
        let before = typed
            .strip_suffix(completion.prefix.as_str())
            .unwrap_or_default()
            .to_owned();
        let (offers, offered) = oneshot::channel();
        let _ = self.asides.send(Aside::Completing(Completing {
            from: asked.from.clone(),
            completion,
            offers,
        }));
        let offered = tokio::time::timeout(COMPLETE_WITHIN, offered).await;
        let Ok(Ok(offered)) = offered else {
            return Vec::new();
        };
        offered
            .iter()
            .filter_map(|offer| choice(&before, offer))
            .take(MOST_CHOICES)
            .collect()
    }

    async fn offer(&self, asked: &Asked<'_>, choices: &[Value]) -> Result<(), RestError> {
        self.call_back(asked, json!({ "type": 8, "data": { "choices": choices } }))
            .await
    }

    /// Answers at once, so that only the person sees it.
    async fn refuse(&self, asked: &Asked<'_>, words: &str) -> Result<(), RestError> {
        let mut data = show::answer(words);
        data["flags"] = json!(EPHEMERAL);
        self.call_back(asked, json!({ "type": 4, "data": data }))
            .await
    }

    async fn show_form(&self, asked: &Asked<'_>, request: &str) -> Result<(), RestError> {
        self.call_back(
            asked,
            json!({ "type": 9, "data": show::denial_form(request) }),
        )
        .await
    }

    /// Says that it takes a moment, then hands it to the desk. What could not be
    /// acknowledged is not done: to the person it has failed.
    async fn carry_on(self: &Arc<Self>, asked: &Asked<'_>, text: String) -> Result<(), RestError> {
        self.call_back(asked, json!({ "type": 5, "data": { "flags": EPHEMERAL } }))
            .await?;
        let thread = self.request_in(asked.channel).await;
        let pending = Pending::Interaction {
            application: asked.application,
            token: asked.token.to_owned(),
            channel: asked.channel,
        };
        self.hand_over(
            Incoming {
                id: asked.id.to_string(),
                from: asked.from.clone(),
                text,
                thread,
            },
            pending,
        );
        Ok(())
    }

    fn hand_over(&self, incoming: Incoming, pending: Pending) {
        let mut waiting = lock(&self.pending);
        if waiting.len() > REMEMBERED {
            waiting.clear();
        }
        waiting.insert(incoming.id.clone(), pending);
        drop(waiting);
        // Nobody listens only when Refloat ends.
        let _ = self.said.send(incoming);
    }

    async fn call_back(&self, asked: &Asked<'_>, body: Value) -> Result<(), RestError> {
        let route = Route::InteractionResponse {
            interaction_id: InteractionId::from(asked.id),
            token: asked.token,
        };
        let call = || {
            Call::new(LightMethod::Post, route)
                .body(body.clone())
                .lane(Lane::Answer)
        };
        let sent = match self.rest.send(call()).await {
            // Its answer may have been lost: then the next is told so.
            Err(RestError::Unreachable(_) | RestError::Broken(_)) => self.rest.send(call()).await,
            sent => sent,
        };
        match sent {
            Ok(_) => Ok(()),
            Err(error) if error.code() == Some(ALREADY_ACKNOWLEDGED) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The request in whose thread something was said.
    pub(super) async fn request_in(&self, channel: Id) -> Option<String> {
        let known = self
            .all_known()
            .into_iter()
            .find(|known| *lock(&known.thread) == Some(channel));
        if let Some(known) = known {
            return Some(known.request.clone());
        }
        if channel == self.config.channel || self.as_configured().channels.contains(&channel) {
            return None;
        }
        self.memory
            .request_of(channel)
            .await
            .unwrap_or_else(|error| {
                tracing::warn!(
                    error = format!("{error:#}"),
                    "whose thread this is cannot be read"
                );
                None
            })
    }

    /// A line of text that speaks to Refloat.
    pub(super) async fn message(
        self: &Arc<Self>,
        message: &serenity::model::channel::Message,
    ) -> Result<(), RestError> {
        let (id, channel) = (Id::from(message.id), Id::from(message.channel_id));
        if message.author.bot
            || message.webhook_id.is_some()
            || message.guild_id.map(Id::from) != Some(self.config.guild)
        {
            return Ok(());
        }
        let me = self.me().await?;
        let text = message.content.trim();
        let mentioned = [format!("<@{me}>"), format!("<@!{me}>")]
            .iter()
            .find_map(|mention| text.strip_prefix(mention.as_str()))
            .map(str::trim);
        let thread = self.request_in(channel).await;
        let line = match mentioned {
            Some(line) => line,
            // Where content is granted, a command in a request's own thread needs
            // no mention.
            None if self.config.message_content && thread.is_some() && is_command(text) => text,
            None => return Ok(()),
        };
        // A message of a thread does not say what the thread is in.
        let parent = thread.is_some().then_some(self.config.channel);
        if !self.listens_in(channel, parent) || !lock(&self.heard).first(id.get()) {
            return Ok(());
        }
        if Timestamp::now().duration_since(made(id)) > FRESH_TEXT {
            let words = "This reached me too late, so that nothing was done. Say it again.";
            return self.say_in(channel, words, Some(id)).await;
        }
        let nick = message
            .member
            .as_ref()
            .and_then(|member| member.nick.as_deref());
        self.hand_over(
            Incoming {
                id: id.to_string(),
                from: person(&message.author, nick),
                text: line.to_owned(),
                thread,
            },
            Pending::Text {
                channel,
                message: id,
            },
        );
        Ok(())
    }

    /// Hears a reaction to a question as a word, unless it is heard already: its event and the look at what
    /// was missed may both find it, and a second vote would be refused, its mark
    /// taken away, and with the mark the vote.
    pub(super) async fn reacted(
        &self,
        known: &Known,
        reacted: Reacted,
        from: Person,
        digest: &str,
    ) {
        let id = reacted.id();
        if !lock(&self.reacting).insert(id.clone()) {
            return;
        }
        // In this order: a vote is remembered before it is no longer being heard.
        if known.has_voted(&reacted).await {
            lock(&self.reacting).remove(&id);
            return;
        }
        let request = reacted.request.clone();
        if !reacted.yes {
            lock(&self.pending).insert(id.clone(), Pending::Reaction(reacted));
            let _ = self
                .asides
                .send(Aside::Denied(Marked { from, request, id }));
            return;
        }
        self.hand_over(
            Incoming {
                id,
                from,
                text: format!("approve request:{request} digest:{digest}"),
                thread: Some(request),
            },
            Pending::Reaction(reacted),
        );
    }

    /// An approval by reaction that is there no more.
    pub(super) fn took_back(&self, known: &Known, channel: Id, from: Person) {
        let id = format!("taken-back-{}-{}", known.request, from.id);
        lock(&self.pending).insert(id.clone(), Pending::Thread { channel });
        let _ = self.asides.send(Aside::TakenBack(Marked {
            from,
            request: known.request.clone(),
            id,
        }));
    }

    pub(super) async fn reply(&self, to: &Incoming, answer: &Answer) -> anyhow::Result<()> {
        // More may be said later.
        let Some(pending) = lock(&self.pending).get(&to.id).cloned() else {
            return Ok(());
        };
        match pending {
            Pending::Interaction {
                application,
                token,
                channel,
            } => {
                let route = Route::WebhookOriginalInteractionResponse {
                    application_id: ApplicationId::from(application),
                    token: &token,
                };
                let mut body = show::answer(&answer.text);
                let file = show::attach(&mut body, answer.file.as_ref());
                let call = Call::new(LightMethod::Patch, route)
                    .body(body)
                    .file(file)
                    .lane(Lane::Answer);
                match self.rest.send(call).await {
                    // A token lives for 15 minutes; what a backup came to may be known later.
                    Err(error) if matches!(error.code(), Some(TOKEN_ENDED | UNKNOWN_WEBHOOK)) => {
                        let name = crate::chat::harmless::harmless(&to.from.name, 100);
                        let words = format!("{name}: {}", answer.text);
                        self.say_with(channel, &words, None, answer.file.as_ref())
                            .await?;
                        lock(&self.pending).insert(to.id.clone(), Pending::Thread { channel });
                    }
                    sent => {
                        sent?;
                    }
                }
            }
            Pending::Text { channel, message } => {
                self.say_with(channel, &answer.text, Some(message), answer.file.as_ref())
                    .await?;
            }
            Pending::Thread { channel } => {
                if !answer.text.is_empty() {
                    self.say_in(channel, &answer.text, None).await?;
                }
            }
            Pending::Reaction(reacted) if answer.refused => {
                lock(&self.reacting).remove(&to.id);
                let route = Route::ChannelMessageReaction {
                    channel_id: ChannelId::from(reacted.channel),
                    message_id: MessageId::from(reacted.message),
                    user_id: UserId::from(reacted.user),
                    reaction: &encoded(reacted.emoji()),
                };
                let taken = self.rest.send(Call::new(LightMethod::Delete, route)).await;
                if let Err(error) = taken {
                    tracing::warn!(%error, "a reaction cannot be taken away");
                }
                let words = format!(
                    "{}: {}",
                    crate::chat::harmless::harmless(&to.from.name, 100),
                    answer.text
                );
                self.say_in(reacted.channel, &words, None).await?;
            }
            // What it did is a message of the thread of its own.
            Pending::Reaction(reacted) => {
                let remembered = self.voted(&reacted).await;
                lock(&self.reacting).remove(&to.id);
                remembered?;
            }
        }
        Ok(())
    }

    /// Says something in a channel, below a message if one is named.
    pub(super) async fn say_in(
        &self,
        channel: Id,
        words: &str,
        below: Option<Id>,
    ) -> Result<(), RestError> {
        self.say_with(channel, words, below, None).await
    }

    /// The same, with a file.
    async fn say_with(
        &self,
        channel: Id,
        words: &str,
        below: Option<Id>,
        file: Option<&Attachment>,
    ) -> Result<(), RestError> {
        let mut body = show::answer(words);
        if let Some(below) = below {
            body["message_reference"] =
                json!({ "message_id": below.to_string(), "fail_if_not_exists": false });
        }
        let route = Route::ChannelMessages {
            channel_id: ChannelId::from(channel),
        };
        let plain = body.clone();
        let attached = show::attach(&mut body, file);
        let sent = self
            .rest
            .send(
                Call::new(LightMethod::Post, route)
                    .body(body)
                    .file(attached),
            )
            .await;
        match sent {
            // The words at least, and what is wrong.
            Err(error) if error.code() == Some(MISSING_PERMISSIONS) && file.is_some() => {
                tracing::warn!(%channel, "a file cannot be attached: the permission Attach Files is missing");
                self.rest
                    .send(Call::new(LightMethod::Post, route).body(show::without_file(plain)))
                    .await
                    .map(|_| ())
            }
            sent => sent.map(|_| ()),
        }
    }
}

/// The subcommand, if any, and the options with their values as text.
fn taken_apart(options: &[CommandDataOption]) -> (Option<&str>, Vec<(&str, String)>) {
    if let [only] = options
        && let CommandDataOptionValue::SubCommand(inside) = &only.value
    {
        return (Some(&only.name), values(inside));
    }
    (None, values(options))
}

fn values(options: &[CommandDataOption]) -> Vec<(&str, String)> {
    options
        .iter()
        .filter_map(|option| {
            let value = match &option.value {
                CommandDataOptionValue::String(text) => text.clone(),
                CommandDataOptionValue::Integer(number) => number.to_string(),
                CommandDataOptionValue::Number(number) => number.to_string(),
                CommandDataOptionValue::Boolean(value) => value.to_string(),
                _ => return None,
            };
            Some((option.name.as_str(), value))
        })
        .collect()
}

/// The option that is being typed, and what is typed of it.
fn focus(options: &[CommandDataOption]) -> Option<(&str, &str)> {
    options.iter().find_map(|option| match &option.value {
        CommandDataOptionValue::Autocomplete { value, .. } => {
            Some((option.name.as_str(), value.as_str()))
        }
        CommandDataOptionValue::SubCommand(inside) => focus(inside),
        _ => None,
    })
}

fn option_of(
    command: &str,
    sub: Option<&str>,
    focus: Option<(&str, &str)>,
) -> Option<&'static OptionSpec> {
    let spec = CommandSpec::find(command)?;
    let form = match sub {
        Some(sub) => spec.subcommand(sub)?,
        None => spec.alone?,
    };
    form.option(focus?.0)
}

/// A value to choose; none if it does not fit.
fn choice(before: &str, offer: &Offer) -> Option<Value> {
    let value = format!("{before}{}", offer.value);
    if !(1..=CHOICE).contains(&value.chars().count()) {
        return None;
    }
    let name = if offer.doc.is_empty() {
        value.clone()
    } else {
        format!("{value}: {}", offer.doc)
    };
    let name = crate::chat::harmless::cut(&name, CHOICE);
    Some(json!({ "name": name, "value": value }))
}

fn is_command(text: &str) -> bool {
    text.split_whitespace()
        .next()
        .is_some_and(|word| CommandSpec::find(word.trim_start_matches('/')).is_some())
}

/// As it stands in an address.
pub(super) fn encoded(emoji: &str) -> String {
    use std::fmt::Write as _;
    emoji.bytes().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "%{byte:02X}");
        text
    })
}
