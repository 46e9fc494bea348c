//! Making a thread match: the thread, its card, its messages, its questions.
//!
//! Each thing is looked up in what is remembered, then sent with a nonce that
//! Discord takes once, then written down. Where a process died between sending
//! and writing down, the next finds what was sent by the nonce, or later by what
//! it says.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Context as _;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use serenity::http::{LightMethod, Route};
use serenity::model::id::{ChannelId, MessageId};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::memory::{Kept, Place, Question};
use super::rest::{Call, Lane, RestError, TOO_OLD};
use super::trouble::{MISSING_PERMISSIONS, Trouble};
use super::{Inner, id_of, lock, show};
use crate::chat::{Asks, Attachment, Message, Thread};
use crate::config::Id;

/// Discord's codes.
pub(super) const UNKNOWN_CHANNEL: i64 = 10003;
pub(super) const UNKNOWN_MESSAGE: i64 = 10008;
const ARCHIVED: i64 = 50083;
const HAS_THREAD: i64 = 160_004;

/// For so long a nonce is surely known; after that, what was sent is searched for.
const NONCE_LIVES: SignedDuration = SignedDuration::from_secs(60);
/// How many messages of a channel are looked through, by the hundred.
const PAGES: usize = 5;
const PAGE: usize = 100;
/// How long a thread that cannot be written to is left alone.
const PARKED: Duration = Duration::from_mins(5);
/// Discord lets messages over an hour old be edited a few times a minute only (code
/// 30046 besides); somewhat before that, what changes often is sent anew.
const OLD: SignedDuration = SignedDuration::from_mins(55);

/// A thread as far as this process knows it.
pub(super) struct Known {
    pub(super) request: String,
    pub(super) uid: String,
    /// The thread has to be published again.
    pub(super) stir: Notify,
    /// When the card may be thought of as edited last.
    pub(super) edited: Mutex<Option<Instant>>,
    /// The moment for the next request was waited for.
    pub(super) prepaid: Mutex<bool>,
    pub(super) state: tokio::sync::Mutex<State>,
    /// For looking a thread up without waiting for what is being sent.
    pub(super) thread: Mutex<Option<Id>>,
}

#[derive(Default)]
pub(super) struct State {
    /// Set once it was read.
    place: Option<Place>,
    pub(super) kept: Kept,
    /// The card as it was sent last.
    card: Option<Value>,
    /// What is in the thread by what it says, once it was looked through.
    found: Option<Vec<(String, Id)>>,
    parked: Option<Instant>,
    caught_up: bool,
}

impl State {
    /// What was sent may not be known by its nonce any more.
    fn is_old(&self) -> bool {
        self.place
            .as_ref()
            .is_some_and(|place| Timestamp::now().duration_since(place.created) > NONCE_LIVES)
    }

    /// Writes down what is known.
    pub(super) async fn remember(&mut self, memory: &super::memory::Memory) -> anyhow::Result<()> {
        if let Some(place) = &self.place {
            memory.save(place, &mut self.kept).await?;
        }
        Ok(())
    }

    /// The card is looked at anew.
    pub(super) fn doubt_card(&mut self) {
        self.card = None;
    }
}

impl Known {
    fn new(thread: &Thread) -> Arc<Self> {
        Arc::new(Self {
            request: thread.request.clone(),
            uid: thread.uid.clone(),
            stir: Notify::new(),
            edited: Mutex::default(),
            prepaid: Mutex::default(),
            state: tokio::sync::Mutex::default(),
            thread: Mutex::default(),
        })
    }

    /// How the next request is sent.
    fn lane(&self) -> Lane {
        if std::mem::take(&mut *lock(&self.prepaid)) {
            Lane::Prepaid
        } else {
            Lane::Paced
        }
    }

    /// Publishes the thread again, even if it was left alone for a while.
    pub(super) async fn wake(&self) {
        self.state.lock().await.parked = None;
        self.stir.notify_one();
    }
}

/// What is being published.
struct Pass<'a> {
    inner: &'a Inner,
    known: &'a Known,
    thread: &'a Thread,
}

impl Inner {
    pub(super) async fn publish(this: &Arc<Self>, thread: &Thread) -> anyhow::Result<()> {
        let known = {
            let mut threads = lock(&this.threads);
            let known = threads
                .entry(thread.request.clone())
                .or_insert_with(|| Known::new(thread));
            if known.uid != thread.uid {
                *known = Known::new(thread);
            }
            Arc::clone(known)
        };
        let mut state = known.state.lock().await;
        if state.parked.is_some_and(|until| until > Instant::now()) {
            return Ok(());
        }
        if state.place.is_none() {
            let Some((place, kept)) = this.memory.load(&thread.request, &thread.uid).await? else {
                return Ok(());
            };
            *lock(&known.thread) = kept.thread;
            state.place = Some(place);
            state.kept = kept;
        }
        let pass = Pass {
            inner: this,
            known: &known,
            thread,
        };
        if thread.over && state.kept.finished && state.card.is_none() {
            // An earlier process said it all.
            return Ok(());
        }
        match pass.converge(&mut state).await {
            Ok(()) => {
                if !state.kept.told.is_empty() || state.kept.finished != thread.over {
                    state.kept.told.clear();
                    state.kept.finished = thread.over;
                    pass.save(&mut state).await?;
                }
                if !std::mem::replace(&mut state.caught_up, true) {
                    let this = Arc::clone(this);
                    let known = Arc::clone(&known);
                    tokio::spawn(async move { this.catch_up(&known).await });
                }
                Ok(())
            }
            Err(error) => {
                // What was sent, and whose answer was lost, may be there.
                state.found = None;
                let Some(trouble) = error
                    .downcast_ref::<RestError>()
                    .and_then(|refusal| Trouble::of(refusal, &state.kept))
                else {
                    return Err(error);
                };
                pass.tell_once(&mut state, trouble).await?;
                state.parked = Some(Instant::now() + PARKED);
                let known = Arc::clone(&known);
                tokio::spawn(async move {
                    tokio::time::sleep(PARKED).await;
                    known.stir.notify_one();
                });
                Ok(())
            }
        }
    }
}

impl Pass<'_> {
    async fn converge(&self, state: &mut State) -> anyhow::Result<()> {
        let thread = self.thread_id(state).await?;
        self.take_down(state, thread).await?;
        self.card(state, thread).await?;
        self.take_down(state, thread).await?;
        for message in &self.thread.messages {
            if !state.kept.messages.contains_key(&message.key) {
                self.say(state, thread, message).await?;
            }
        }
        for message in &self.thread.messages {
            self.close(state, thread, message).await?;
        }
        // A question that is not even said any more.
        let gone: Vec<String> = state
            .kept
            .questions
            .iter()
            .filter(|(id, question)| {
                question.open
                    && !self.thread.messages.iter().any(|message| {
                        message.ask && state.kept.messages.get(&message.key) == Some(id)
                    })
            })
            .map(|(id, _)| id.clone())
            .collect();
        for id in gone {
            self.disable(state, thread, &id).await?;
        }
        Ok(())
    }

    async fn save(&self, state: &mut State) -> anyhow::Result<()> {
        *lock(&self.known.thread) = state.kept.thread;
        if let Some(place) = &state.place {
            // A request that is gone remembers nothing.
            self.inner.memory.save(place, &mut state.kept).await?;
        }
        Ok(())
    }

    /// The thread, found or begun.
    async fn thread_id(&self, state: &mut State) -> anyhow::Result<Id> {
        if let Some(thread) = state.kept.thread {
            return Ok(thread);
        }
        let channel = self.inner.config.channel;
        let content = show::starter(self.thread);
        let found = if state.is_old() {
            let after = state.place.as_ref().map(|place| place.created);
            self.history(channel, after)
                .await?
                .into_iter()
                .find(|(text, _)| *text == content)
                .map(|(_, id)| id)
        } else {
            None
        };
        let starter = if let Some(starter) = found {
            starter
        } else {
            let body = json!({ "content": content, "allowed_mentions": show::nobody() });
            id_of(&self.post(channel, body, "starter").await?)?
        };
        let route = Route::ChannelMessageThreads {
            channel_id: ChannelId::from(channel),
            message_id: MessageId::from(starter),
        };
        let body = json!({
            "name": show::thread_name(self.thread),
            "auto_archive_duration": 10080,
        });
        let begun = self
            .inner
            .rest
            .send(Call::new(LightMethod::Post, route).body(body))
            .await;
        match begun {
            Ok(_) => {}
            // The answer was lost; the thread has the id of its message.
            Err(error) if error.code() == Some(HAS_THREAD) => {}
            Err(error) => return Err(error.into()),
        }
        state.kept.channel = Some(channel);
        state.kept.thread = Some(starter);
        self.save(state).await?;
        state.kept.thread.context("the thread is remembered")
    }

    async fn card(&self, state: &mut State, thread: Id) -> anyhow::Result<()> {
        let body = show::card(self.thread);
        let before = state.kept.card;
        let mut worn = None;
        if let Some(card) = state.kept.card {
            if state.card.as_ref() == Some(&body) {
                return Ok(());
            }
            let is_old = Timestamp::now().duration_since(made(card)) > OLD;
            let edited = if is_old {
                None
            } else {
                Some(self.edit(thread, card, &body).await)
            };
            match edited {
                Some(Ok(())) => {
                    *lock(&self.known.edited) = Some(Instant::now());
                    state.card = Some(body);
                    return Ok(());
                }
                Some(Err(error)) if error.code() == Some(UNKNOWN_MESSAGE) => {
                    // Somebody deleted it: it comes back.
                    state.kept.card = None;
                }
                Some(Err(error)) if error.code() != Some(TOO_OLD) => return Err(error.into()),
                // A new one takes its place, at the end of the thread.
                None | Some(Err(_)) => {
                    state.kept.card = None;
                    worn = Some(card);
                }
            }
        }
        let title = body["embeds"][0]["title"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        let found = self
            .find(state, thread, &title)
            .await?
            .filter(|found| Some(*found) != before);
        let mut shows_it = false;
        let card = if let Some(card) = found {
            card
        } else {
            // One that was deleted must not be found by its nonce.
            let key = match before {
                Some(before) => format!("card-after-{before}"),
                None => "card".to_owned(),
            };
            let sent = self.post(thread, body.clone(), &key).await?;
            // The nonce may have found what an earlier process sent.
            let says = |message: &Value| message["embeds"][0]["description"].clone();
            shows_it = says(&sent) == says(&body);
            id_of(&sent)?
        };
        *lock(&self.known.edited) = Some(Instant::now());
        state.kept.card = Some(card);
        // The old one is taken down only once it is written down that there is another.
        state.kept.worn = worn.or(state.kept.worn);
        // What was found may show an older state.
        state.card = shows_it.then_some(body);
        self.save(state).await?;
        if !shows_it {
            self.known.stir.notify_one();
        }
        Ok(())
    }

    /// Takes down a card that another has taken the place of.
    async fn take_down(&self, state: &mut State, thread: Id) -> anyhow::Result<()> {
        let Some(worn) = state.kept.worn else {
            return Ok(());
        };
        let route = Route::ChannelMessage {
            channel_id: ChannelId::from(thread),
            message_id: MessageId::from(worn),
        };
        match self
            .inner
            .rest
            .send(Call::new(LightMethod::Delete, route))
            .await
        {
            Ok(_) => {}
            Err(error) if error.code() == Some(UNKNOWN_MESSAGE) => {}
            Err(error) => return Err(error.into()),
        }
        state.kept.worn = None;
        self.save(state).await
    }

    /// Sends a message that is not there yet.
    async fn say(&self, state: &mut State, thread: Id, message: &Message) -> anyhow::Result<()> {
        let reviewers = self.inner.as_configured().reviewers_role;
        let content = show::content(message, reviewers);
        // What an earlier process sent may have buttons that can still be pressed.
        let (id, closed) = if let Some(id) = self.find(state, thread, &content).await? {
            (id, false)
        } else {
            let body = show::message(self.thread, message, reviewers);
            let sent = self.post_with(thread, body, message).await?;
            let button = &sent["components"][0]["components"][0];
            (id_of(&sent)?, button["disabled"] == true)
        };
        state
            .kept
            .messages
            .insert(message.key.clone(), id.to_string());
        if let Some(asks) = &message.asks {
            let question = Question {
                digest: match asks {
                    Asks::Approval(digest) => digest.clone(),
                    Asks::Reason => String::new(),
                },
                open: message.ask || !closed,
                ..Question::default()
            };
            state.kept.questions.insert(id.to_string(), question);
        }
        self.save(state).await
    }

    /// Disables the buttons of a question that is no longer one.
    async fn close(&self, state: &mut State, thread: Id, message: &Message) -> anyhow::Result<()> {
        if message.ask {
            return Ok(());
        }
        let Some(id) = state.kept.messages.get(&message.key).cloned() else {
            return Ok(());
        };
        if state
            .kept
            .questions
            .get(&id)
            .is_some_and(|question| question.open)
        {
            self.disable(state, thread, &id).await?;
        }
        Ok(())
    }

    async fn disable(&self, state: &mut State, thread: Id, id: &str) -> anyhow::Result<()> {
        let Some(question) = state.kept.questions.get_mut(id) else {
            return Ok(());
        };
        question.open = false;
        let asks = match question.digest.clone() {
            none if none.is_empty() => Asks::Reason,
            digest => Asks::Approval(digest),
        };
        if let Ok(message) = id.parse() {
            let body = json!({
                "components": show::buttons(&self.thread.request, &asks, false),
                "allowed_mentions": show::nobody(),
            });
            match self.edit(thread, message, &body).await {
                Ok(()) => {}
                // Somebody deleted it.
                Err(error) if error.code() == Some(UNKNOWN_MESSAGE) => {}
                Err(error) => {
                    if let Some(question) = state.kept.questions.get_mut(id) {
                        question.open = true;
                    }
                    return Err(error.into());
                }
            }
        }
        self.save(state).await
    }

    /// Edits a message; wakes the thread if it sleeps.
    async fn edit(&self, channel: Id, message: Id, body: &Value) -> Result<(), RestError> {
        let edit = || {
            let route = Route::ChannelMessage {
                channel_id: ChannelId::from(channel),
                message_id: MessageId::from(message),
            };
            Call::new(LightMethod::Patch, route)
                .body(body.clone())
                .lane(self.known.lane())
        };
        match self.inner.rest.send(edit()).await {
            Err(error) if error.code() == Some(ARCHIVED) => {
                let route = Route::Channel {
                    channel_id: ChannelId::from(channel),
                };
                self.inner
                    .rest
                    .send(Call::new(LightMethod::Patch, route).body(json!({ "archived": false })))
                    .await?;
                self.inner.rest.send(edit()).await.map(|_| ())
            }
            done => done.map(|_| ()),
        }
    }

    /// Sends a message; the same key is taken once. Answers with the message as it
    /// is, which may be one that was sent before.
    async fn post(&self, channel: Id, body: Value, key: &str) -> Result<Value, RestError> {
        self.send(channel, body, key, None).await
    }

    async fn send(
        &self,
        channel: Id,
        mut body: Value,
        key: &str,
        file: Option<Attachment>,
    ) -> Result<Value, RestError> {
        body["nonce"] = json!(show::nonce(&self.thread.uid, key));
        body["enforce_nonce"] = json!(true);
        let route = Route::ChannelMessages {
            channel_id: ChannelId::from(channel),
        };
        let call = Call::new(LightMethod::Post, route)
            .body(body)
            .file(file)
            .lane(self.known.lane());
        self.inner.rest.send(call).await
    }

    /// Sends a message of the thread with its file; where files may not be attached,
    /// the words at least, and what is wrong.
    async fn post_with(
        &self,
        channel: Id,
        body: Value,
        message: &Message,
    ) -> Result<Value, RestError> {
        let mut whole = body.clone();
        let file = show::attach(&mut whole, message.file.as_ref());
        let attaches = file.is_some();
        match self.send(channel, whole, &message.key, file).await {
            Err(error) if error.code() == Some(MISSING_PERMISSIONS) && attaches => {
                tracing::warn!(%channel, "a file cannot be attached: the permission Attach Files is missing");
                self.send(channel, show::without_file(body), &message.key, None)
                    .await
            }
            sent => sent,
        }
    }

    /// A message of the thread by what it says, if an earlier process sent it and
    /// did not come to write it down.
    async fn find(&self, state: &mut State, thread: Id, says: &str) -> anyhow::Result<Option<Id>> {
        if state.found.is_none() {
            state.found = Some(if state.is_old() {
                self.history(thread, None).await?
            } else {
                Vec::new()
            });
        }
        let known: Vec<&String> = state.kept.messages.values().collect();
        let card = state.kept.card;
        Ok(state
            .found
            .iter()
            .flatten()
            .find(|(text, id)| {
                text == says && Some(*id) != card && !known.contains(&&id.to_string())
            })
            .map(|(_, id)| *id))
    }

    /// The bot's own messages of a channel, by what they say or what their embed
    /// is called.
    async fn history(
        &self,
        channel: Id,
        since: Option<Timestamp>,
    ) -> anyhow::Result<Vec<(String, Id)>> {
        let me = self.inner.me().await?.to_string();
        let mut found = Vec::new();
        let mut before: Option<String> = None;
        for _ in 0..PAGES {
            let route = Route::ChannelMessages {
                channel_id: ChannelId::from(channel),
            };
            let mut call = Call::new(LightMethod::Get, route).query("limit", &PAGE);
            if let Some(before) = &before {
                call = call.query("before", before);
            }
            let page = self.inner.rest.send(call).await?;
            let page = page.as_array().cloned().unwrap_or_default();
            let mut past = page.len() < PAGE;
            for message in &page {
                let id = id_of(message)?;
                before = Some(id.to_string());
                past |= since.is_some_and(|since| {
                    made(id)
                        < since
                            .saturating_sub(SignedDuration::from_mins(1))
                            .unwrap_or(since)
                });
                if message["author"]["id"] != me {
                    continue;
                }
                let says = match message["embeds"][0]["title"].as_str() {
                    Some(title) => title,
                    None => message["content"].as_str().unwrap_or_default(),
                };
                found.push((says.to_owned(), id));
            }
            if past {
                break;
            }
        }
        Ok(found)
    }

    /// Tells a person what to put right, once until it is.
    async fn tell_once(&self, state: &mut State, trouble: Trouble) -> anyhow::Result<()> {
        let key = trouble.key();
        if state.kept.told.contains(&key) {
            return Ok(());
        }
        let words = trouble.in_words(&self.thread.request, &self.inner.config);
        tracing::warn!(
            request = self.thread.request,
            trouble = words,
            "a thread cannot be kept up"
        );
        let body = json!({ "content": words, "allowed_mentions": show::nobody() });
        let channel = self.inner.as_configured().trouble_channel;
        if let Err(error) = self.post(channel, body, &key).await {
            // The log has it; the restore goes on.
            tracing::warn!(%error, "nor can it be told in Discord");
        }
        state.kept.told.insert(key);
        self.save(state).await
    }
}

/// When a thing of Discord was made, by its id.
pub(super) fn made(id: Id) -> Timestamp {
    const EPOCH: i64 = 1_420_070_400_000;
    let since = i64::try_from(id.get() >> 22).unwrap_or(0);
    Timestamp::from_millisecond(since.saturating_add(EPOCH)).unwrap_or(Timestamp::UNIX_EPOCH)
}
