//! The front desk: what people say, turned into requests, votes and choices.
//!
//! Each thing that can be said has a pure function that decides about it, given
//! what was read, and answers with what is to be written or with the sentence
//! that refuses it. This file and `write.rs` do the reading and the writing.

mod about;
mod backups;
mod cache;
mod choose;
mod complete;
mod copy;
mod find;
mod preview;
mod request;
mod schedule;
mod take_back;
mod undo;
mod vote;
mod waive;
mod withdraw;
mod write;

pub use choose::{Chosen, choose};
pub use preview::{LogLookup, PreviewLookup};
pub use request::{admit, name};
pub use schedule::{Asked, admit as admit_schedule};
pub use undo::{Undo, undo};
pub use vote::{Cast, vote};
pub use waive::{Consented, consent, waive};
pub use withdraw::{Withdrawn, withdraw};

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use kube::Api;
use refloat_commands::refloat::Refloat;
use refloat_commands::restore::Restore;
use refloat_commands::{Availability, Command, help, parse};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::harmless::{code, harmless, plain};
use super::rights::Rights;
use super::{Answer as Reply, Answer, Aside, Chat, Incoming, Marked, RenderContext};
use crate::clock::Clock;
use crate::config::Live;
use crate::effects::velero::shelf::Shelf;
use crate::request::people::{Entry, People};
use crate::request::preflight::{OrderView, list};
use crate::request::resource::{Action, Person, RestoreRequest, Verdict};
use crate::schedule_times::VeleroVersion;

/// Reads the order of a tenant; `None` if there is none.
pub type OrderLookup =
    Arc<dyn Fn(String) -> BoxFuture<'static, anyhow::Result<Option<OrderView>>> + Send + Sync>;

/// How long one answer may take.
const ANSWER_WITHIN: Duration = Duration::from_mins(1);

/// Who answers what people say.
#[derive(Clone)]
pub struct Desk {
    pub client: kube::Client,
    /// Where the requests live.
    pub namespace: String,
    /// Where Velero's objects live.
    pub velero_namespace: String,
    /// Who is who as the configuration says; replaced by `live` when that changes.
    pub people: Arc<People>,
    pub live: Live,
    pub rights: Arc<dyn Rights>,
    pub lookup: OrderLookup,
    pub previews: PreviewLookup,
    pub logs: LogLookup,
    /// The version of Velero's server, if it is configured.
    pub velero_version: Option<VeleroVersion>,
    /// What is known of Velero's backups and schedules.
    pub shelf: Shelf,
    pub clock: Clock,
    pub context: RenderContext,
    /// What completion offers from.
    pub offered: Offered,
}

/// What was read for completion.
#[derive(Clone, Debug, Default)]
pub struct Offered {
    orders: Arc<cache::Cache<String, Option<OrderView>>>,
}

impl std::fmt::Debug for Desk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Desk")
            .field("namespace", &self.namespace)
            .field("velero_namespace", &self.velero_namespace)
            .finish_non_exhaustive()
    }
}

/// Why nothing was done.
enum Failure {
    /// In words for the person: what, why, and what to do.
    Refused(String),
    /// The cluster or the orders could not be asked.
    Broken(anyhow::Error),
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Broken(error.into())
    }
}

/// What the desk hears.
enum Heard {
    Line(Incoming),
    TakenBack(Marked),
    Denied(Marked),
}

fn refusal(words: impl Into<String>) -> Answer {
    Answer {
        refused: true,
        ..Answer::from(words.into())
    }
}

fn refused<T>(words: impl Into<String>) -> Result<T, Failure> {
    Err(Failure::Refused(words.into()))
}

impl Desk {
    /// Answers until the chat ends or `stop` is cancelled.
    ///
    /// Different people are answered at the same time, and each person in the
    /// order in which they spoke.
    pub async fn run<C: Chat>(self: Arc<Self>, chat: Arc<C>, stop: CancellationToken) {
        let mut last: HashMap<(String, String), JoinHandle<()>> = HashMap::new();
        let ahead = Arc::clone(&self);
        // Whoever types first need not wait.
        let ahead = tokio::spawn(async move { ahead.read_ahead().await });
        loop {
            let heard = tokio::select! {
                () = stop.cancelled() => break,
                incoming = chat.receive() => match incoming {
                    Some(incoming) => Heard::Line(incoming),
                    None => break,
                },
                aside = chat.aside() => match aside {
                    // Whoever is typing does not wait for what they said before.
                    Aside::Completing(completing) => {
                        let desk = self.as_configured();
                        tokio::spawn(async move { desk.offer(completing).await });
                        continue;
                    }
                    Aside::TakenBack(taken) => Heard::TakenBack(taken),
                    Aside::Denied(denied) => Heard::Denied(denied),
                },
            };
            last.retain(|_, task| !task.is_finished());
            let desk = self.as_configured();
            let from = match &heard {
                Heard::Line(incoming) => &incoming.from,
                Heard::TakenBack(marked) | Heard::Denied(marked) => &marked.from,
            };
            let person = (from.chat.clone(), from.id.clone());
            let before = last.remove(&person);
            let chat = Arc::clone(&chat);
            let task = tokio::spawn(async move {
                if let Some(before) = before {
                    // Its failure, if any, is its own.
                    let _ = before.await;
                }
                match heard {
                    Heard::Line(incoming) => desk.handle(&incoming, &chat).await,
                    Heard::TakenBack(taken) => desk.handle_taken_back(taken, &*chat).await,
                    Heard::Denied(denied) => desk.handle_denied(denied, &*chat).await,
                }
            });
            last.insert(person, task);
        }
        ahead.abort();
        for task in last.into_values() {
            let _ = task.await;
        }
    }

    /// The same desk by the configuration as it is now.
    fn as_configured(&self) -> Arc<Self> {
        Arc::new(Self {
            people: Arc::new(self.live.now().policy.people.clone()),
            ..self.clone()
        })
    }

    async fn handle<C: Chat>(self: &Arc<Self>, incoming: &Incoming, chat: &Arc<C>) {
        if let Some(command) = backups::asked(&incoming.text) {
            let incoming = Incoming {
                from: tidy(&incoming.from),
                ..incoming.clone()
            };
            match self.rights.now(&self.people, &incoming.from).await {
                Ok(people) => {
                    let desk = Arc::new(Self {
                        people: Arc::new(people),
                        ..Self::clone(self)
                    });
                    desk.tell_of_backups(&incoming, command, chat).await;
                }
                Err(words) => self.tell(&incoming, &refusal(words), &**chat).await,
            }
            return;
        }
        let answer = tokio::time::timeout(ANSWER_WITHIN, self.answer(incoming))
            .await
            .unwrap_or_else(|_| {
                tracing::warn!(person = incoming.from.id, "an answer took too long");
                refusal(
                    "That took too long, and I do not know whether it was done. See `restore \
                     status`, then say it again.",
                )
            });
        self.tell(incoming, &answer, &**chat).await;
    }

    async fn tell<C: Chat>(&self, incoming: &Incoming, answer: &Answer, chat: &C) {
        if let Err(error) = chat.reply(incoming, answer).await {
            tracing::warn!(
                person = incoming.from.id,
                error = format!("{error:#}"),
                "a reply could not be sent"
            );
        }
    }

    /// Does what somebody says, and answers in words.
    ///
    /// Who may do what is asked of the chat at this moment.
    pub async fn answer(&self, incoming: &Incoming) -> Answer {
        let incoming = &Incoming {
            from: tidy(&incoming.from),
            ..incoming.clone()
        };
        let people = match self.rights.now(&self.people, &incoming.from).await {
            Ok(people) => Arc::new(people),
            Err(words) => return refusal(words),
        };
        let desk = Self {
            people,
            ..self.clone()
        };
        in_words(incoming, desk.attend(incoming).await)
    }

    async fn attend(&self, incoming: &Incoming) -> Result<Reply, Failure> {
        if let Some(words) = self.complete(incoming).await? {
            return Ok(words.into());
        }
        let command = match parse(&incoming.text) {
            Ok(command) => command,
            Err(error) => return refused(error.to_string()),
        };
        if let Availability::NotYet(words) = command.availability() {
            return refused(words);
        }
        let words = match command {
            Command::Restore(Restore::Preview(asked)) => {
                return self.preview(incoming, &asked).await;
            }
            Command::Restore(Restore::Log(target)) => {
                return self.log(incoming, target.request).await;
            }
            Command::Restore(restore) => self.restore(incoming, restore).await,
            Command::Schedule(schedule) => self.schedule(incoming, schedule).await,
            Command::Approve { request, digest } => {
                let digest = digest.as_ref().map(refloat_commands::Digest::as_str);
                self.vote(incoming, request, Verdict::Approve, digest, None)
                    .await
            }
            Command::Deny { request, reason } => {
                let Some(reason) = reason else {
                    return refused(
                        "A denial needs a reason, for the person who asked: `deny too late in the \
                         day`, or `deny request:<name> reason:\"too late in the day\"`.",
                    );
                };
                let reason = Some(reason.as_str().to_owned());
                self.vote(incoming, request, Verdict::Deny, None, reason)
                    .await
            }
            Command::Refloat(Refloat::Help { topic }) => {
                help(topic.map(refloat_commands::refloat::Topic::as_str))
                    .map_err(|error| Failure::Refused(error.to_string()))
            }
            Command::Refloat(Refloat::About) => Ok(about::about(
                &incoming.from,
                &self.people,
                self.live.refused().as_deref(),
            )),
            // None of these is available; the grammar has said so above.
            Command::Refloat(Refloat::Pause { .. }) => refused("That is not available yet."),
            Command::Backups(backups) => {
                self.backups(incoming, backups).await.map(|told| told.text)
            }
        };
        words.map(Reply::from)
    }

    async fn restore(&self, incoming: &Incoming, restore: Restore) -> Result<String, Failure> {
        match restore {
            Restore::Request(request) => self.ask(incoming, &request).await,
            Restore::Status(target) => self.status(incoming, target.request).await,
            Restore::Withdraw(target) => self.withdraw(incoming, target.request).await,
            Restore::Retry(target) => self.choose(incoming, target.request, Action::Retry).await,
            Restore::Resume(target) => {
                self.choose(incoming, target.request, Action::ResumeAsIs)
                    .await
            }
            Restore::Undo(target) => self.undo(incoming, target.request).await,
            Restore::Consent { request, digest } => {
                let digest = digest.as_ref().map(refloat_commands::Digest::as_str);
                self.consent(incoming, request, digest).await
            }
            Restore::Waive(target) => self.waive(incoming, target.request).await,
            Restore::Copy(asked) => self.copy(incoming, &asked).await,
            // These are attended to above.
            Restore::Preview(_) | Restore::Log(_) => refused("That is not available yet."),
        }
    }

    fn requests(&self) -> Api<RestoreRequest> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }
}

/// What was done, or why it was not.
fn in_words(incoming: &Incoming, done: Result<Reply, Failure>) -> Reply {
    match done {
        Ok(reply) => reply,
        Err(Failure::Refused(words)) => refusal(words),
        Err(Failure::Broken(error)) => {
            tracing::error!(
                person = incoming.from.id,
                error = format!("{error:#}"),
                "what somebody said could not be attended to"
            );
            refusal(
                "I could not do that, because the cluster or the orders did not answer as they \
                 should. Say it again in a while; the log says more.",
            )
        }
    }
}

/// A person as a request may hold them: a name that is there, visible and not too long.
fn tidy(person: &Person) -> Person {
    let name = plain(&person.name, 100);
    Person {
        chat: person.chat.clone(),
        id: person.id.clone(),
        name,
    }
}

/// The entry of a person, or what to do without one.
fn known<'a>(person: &Person, people: &'a People) -> Result<&'a Entry, String> {
    people.by_account(person).ok_or_else(|| {
        format!(
            "I do not know you here: the configuration has no entry for your account {} of the \
             chat {}. Ask the platform team to add it.",
            code(&person.id),
            code(&person.chat)
        )
    })
}

/// Whether the person asked for the request, from this account or another of theirs.
fn is_requester(person: &Person, request: &RestoreRequest, people: &People) -> bool {
    let requester = &request.spec.requester;
    person.is(requester)
        || people
            .by_account(person)
            .zip(people.by_account(requester))
            .is_some_and(|(one, other)| one.name == other.name)
}

/// Refuses whoever neither asked for the request nor is a reviewer.
fn may_steer(person: &Person, request: &RestoreRequest, people: &People) -> Result<(), String> {
    let entry = known(person, people)?;
    if entry.reviewer || is_requester(person, request, people) {
        return Ok(());
    }
    Err(format!(
        "{} is not yours to steer: only {}, who asked for it, or a reviewer can.{}",
        code(request_name(request)),
        harmless(&request.spec.requester.name, 100),
        reviewers(people)
    ))
}

/// Who can be asked, in a sentence with a space before it.
fn reviewers(people: &People) -> String {
    let names: Vec<String> = people
        .0
        .iter()
        .filter(|entry| entry.reviewer)
        .map(|entry| harmless(&entry.name, 100))
        .collect();
    if names.is_empty() {
        " The configuration names no reviewers: ask the platform team.".to_owned()
    } else {
        format!(" Reviewers are {}.", list(&names))
    }
}

fn request_name(request: &RestoreRequest) -> &str {
    request.metadata.name.as_deref().unwrap_or_default()
}
