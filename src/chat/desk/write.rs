//! Reading and writing requests for what was decided.

use jiff::Timestamp;
use kube::api::PostParams;
use refloat_commands::RequestName;
use refloat_commands::restore::Request;

use super::find::is_active;
use super::schedule;
use super::vote::{digest_of, give_reason, waits};
use super::{
    Cast, Chosen, Consented, Desk, Failure, Withdrawn, admit, choose, consent, is_requester, known,
    name, refused, request_name, undo, vote, waive, withdraw,
};
use crate::chat::Incoming;
use crate::chat::harmless::code;
use crate::request::preflight::OrderView;
use crate::request::resource::{Action, RestoreRequest, RestoreRequestSpec, StuckReason, Verdict};

/// The id of the message that a request was made by.
pub(super) const MESSAGE_ANNOTATION: &str = "refloat.dev/message";

/// How often a write is tried when somebody else was faster.
pub(super) const ATTEMPTS: usize = 8;

/// What a decision makes of a request.
pub(super) enum Change {
    /// Write it, then say this.
    Write(String),
    /// Leave it as it is, and say this.
    Leave(String),
}

impl Desk {
    /// `restore request`: makes the request, once for a message.
    pub(super) async fn ask(
        &self,
        incoming: &Incoming,
        asked: &Request,
    ) -> Result<String, Failure> {
        let person = &incoming.from;
        let orders = self.orders(incoming, asked).await?;
        let now = Timestamp::now();
        let today = now.to_zoned(self.context.time_zone.clone()).date();
        let spec = admit(asked, person, &self.people, &orders, today).map_err(Failure::Refused)?;
        // A name that another message has taken already gets a longer end.
        for length in [5, 8, 16] {
            let name = name(&spec.tenant, &person.chat, &incoming.id, length);
            if self.create(&name, &incoming.id, &spec).await? {
                tracing::info!(
                    request = name,
                    tenant = spec.tenant,
                    person = person.id,
                    "a restore was asked for"
                );
                return Ok(format!(
                    "Your request is {}: it is being checked, and its thread says how it goes on. \
                     `restore status {name}` shows where it stands, and `restore withdraw {name}` \
                     calls it off until something is deleted.",
                    code(&name)
                ));
            }
        }
        refused("No free name was found for your request. Say it again.")
    }

    /// Makes a request, or finds the one that the same message has made; false
    /// if the name belongs to another.
    async fn create(
        &self,
        name: &str,
        message: &str,
        spec: &RestoreRequestSpec,
    ) -> Result<bool, Failure> {
        let mut request = RestoreRequest::new(name, spec.clone());
        request
            .metadata
            .annotations
            .get_or_insert_default()
            .insert(MESSAGE_ANNOTATION.to_owned(), message.to_owned());
        match self
            .requests()
            .create(&PostParams::default(), &request)
            .await
        {
            Ok(_) => Ok(true),
            Err(kube::Error::Api(status)) if status.is_already_exists() => {
                let there = self.get(name).await?;
                let made_by = there
                    .metadata
                    .annotations
                    .as_ref()
                    .and_then(|annotations| annotations.get(MESSAGE_ANNOTATION));
                Ok(there.spec.requester.is(&spec.requester)
                    && made_by.is_some_and(|id| id == message))
            }
            Err(kube::Error::Api(status)) if status.is_invalid() => refused(format!(
                "The cluster refuses the request: {}",
                crate::chat::harmless::harmless(&status.message, 500)
            )),
            Err(error) => Err(error.into()),
        }
    }

    /// The orders that say what the request means: the tenant's, or those of
    /// all the person's tenants where none is named.
    pub(super) async fn orders(
        &self,
        incoming: &Incoming,
        asked: &Request,
    ) -> Result<Vec<(String, OrderView)>, Failure> {
        let entry = known(&incoming.from, &self.people).map_err(Failure::Refused)?;
        let tenants: Vec<String> = entry
            .tenants
            .iter()
            .filter(|name| {
                asked.tenant.as_ref().is_none_or(|tenant| {
                    // Only a backup's name may need the order.
                    tenant.as_str() == *name && asked.source.backup().is_some()
                })
            })
            .cloned()
            .collect();
        Ok(self.read_orders(tenants).await)
    }

    /// Reads orders at the same time; what cannot be read is logged and left out.
    pub(super) async fn read_orders(&self, tenants: Vec<String>) -> Vec<(String, OrderView)> {
        let reads = tenants.into_iter().map(|tenant| async {
            match (self.lookup)(tenant.clone()).await {
                Ok(order) => order.map(|order| (tenant, order)),
                Err(error) => {
                    tracing::warn!(
                        tenant,
                        error = format!("{error:#}"),
                        "the order cannot be read"
                    );
                    None
                }
            }
        });
        let read = futures::future::join_all(reads).await;
        read.into_iter().flatten().collect()
    }

    pub(super) async fn vote(
        &self,
        incoming: &Incoming,
        named: Option<RequestName>,
        verdict: Verdict,
        said: Option<&str>,
        reason: Option<String>,
    ) -> Result<String, Failure> {
        let person = &incoming.from;
        let meant = self
            .schedule_meant(
                incoming,
                named.as_ref(),
                |request| {
                    schedule::waits(request)
                        && !schedule::is_requester(person, request, &self.people)
                },
                |request| waits(request) && !is_requester(person, request, &self.people),
            )
            .await?;
        if let Some(request) = meant {
            return self
                .vote_on_schedule(person, request, verdict, said, reason)
                .await;
        }
        let request = self
            .find(
                incoming,
                named,
                "that waits for an approval which you could give",
                |request| waits(request) && !is_requester(person, request, &self.people),
            )
            .await?;
        let read = digest_of(&request);
        self.amend(request, |request| {
            let name = code(request_name(request));
            if verdict == Verdict::Approve && digest_of(request) != read {
                return Err(format!(
                    "{name} changed while you approved it. Read its card again, then approve it."
                ));
            }
            let cast = vote(
                request,
                person,
                &self.people,
                verdict,
                said,
                reason.clone(),
                Timestamp::now(),
            )?;
            Ok(match cast {
                Cast::Already(words) => Change::Leave(words),
                Cast::Why(at, reason) => {
                    give_reason(&mut request.spec.votes, at, &reason);
                    Change::Write(format!(
                        "You said why you denied {name}: its thread tells it."
                    ))
                }
                Cast::New(vote) => {
                    let words = match verdict {
                        Verdict::Approve => format!(
                            "You approve {name} as it is now (digest {}).",
                            code(&vote.digest[..8])
                        ),
                        Verdict::Deny => format!("You deny {name}; nothing will be deleted."),
                    };
                    tracing::info!(
                        request = request_name(request),
                        tenant = request.spec.tenant,
                        person = person.id,
                        ?verdict,
                        "a vote was given"
                    );
                    request.spec.votes.push(vote);
                    Change::Write(words)
                }
            })
        })
        .await
    }

    pub(super) async fn withdraw(
        &self,
        incoming: &Incoming,
        named: Option<RequestName>,
    ) -> Result<String, Failure> {
        let person = &incoming.from;
        let meant = self
            .schedule_meant(
                incoming,
                named.as_ref(),
                |request| {
                    schedule::is_active(request)
                        && schedule::is_requester(person, request, &self.people)
                },
                |request| is_active(request) && is_requester(person, request, &self.people),
            )
            .await?;
        if let Some(request) = meant {
            return self.withdraw_schedule(person, request).await;
        }
        if let Some(request) = self.copy_meant(incoming, named.as_ref()).await? {
            return self.remove_copy(person, request).await;
        }
        let request = self
            .find(incoming, named, "of yours that is under way", |request| {
                is_active(request) && is_requester(person, request, &self.people)
            })
            .await?;
        self.amend(request, |request| {
            let name = code(request_name(request));
            Ok(
                match withdraw(request, person, &self.people, Timestamp::now())? {
                    Withdrawn::Already(words) => Change::Leave(words),
                    Withdrawn::New(withdrawal) => {
                        tracing::info!(
                            request = request_name(request),
                            tenant = request.spec.tenant,
                            person = person.id,
                            "a request was withdrawn"
                        );
                        request.spec.withdrawal = Some(withdrawal);
                        Change::Write(format!(
                            "{name} is withdrawn, unless its clearing begins at this moment: its \
                             thread says. What was touched is undone."
                        ))
                    }
                },
            )
        })
        .await
    }

    pub(super) async fn choose(
        &self,
        incoming: &Incoming,
        named: Option<RequestName>,
        action: Action,
    ) -> Result<String, Failure> {
        let person = &incoming.from;
        let is_stuck = |request: &RestoreRequest| {
            request
                .status
                .as_ref()
                .is_some_and(|status| status.stuck.is_some())
        };
        let meant = self
            .schedule_meant(incoming, named.as_ref(), schedule::is_stuck, is_stuck)
            .await?;
        if let Some(request) = meant {
            return self.choose_schedule(person, request, action).await;
        }
        let request = self
            .find(incoming, named, "that is stuck", is_stuck)
            .await?;
        self.amend(request, |request| {
            Ok(
                match choose(request, person, &self.people, action, Timestamp::now())? {
                    Chosen::Already(words) => Change::Leave(words),
                    Chosen::New(choice, words) => {
                        tracing::info!(
                            request = request_name(request),
                            tenant = request.spec.tenant,
                            person = person.id,
                            ?action,
                            "a choice was made"
                        );
                        request.spec.choice = Some(choice);
                        Change::Write(words)
                    }
                },
            )
        })
        .await
    }

    /// `restore consent`.
    pub(super) async fn consent(
        &self,
        incoming: &Incoming,
        named: Option<RequestName>,
        said: Option<&str>,
    ) -> Result<String, Failure> {
        let person = &incoming.from;
        let request = self
            .find(
                incoming,
                named,
                "that waits for a consent which you could give",
                |request| {
                    waits(request)
                        && !is_requester(person, request, &self.people)
                        && request
                            .status
                            .as_ref()
                            .and_then(|status| status.checked.as_ref())
                            .is_some_and(|checked| checked.needing_consent().next().is_some())
                },
            )
            .await?;
        self.amend(request, |request| {
            let name = code(request_name(request));
            Ok(
                match consent(request, person, &self.people, said, Timestamp::now())? {
                    Consented::Already(words) => Change::Leave(words),
                    Consented::New(given) => {
                        tracing::info!(
                            request = request_name(request),
                            tenant = request.spec.tenant,
                            person = person.id,
                            "a consent was given"
                        );
                        request.spec.consents.push(given);
                        Change::Write(format!(
                            "You consent to what the card of {name} marks so. It still needs an \
                             approval, yours or another reviewer's."
                        ))
                    }
                },
            )
        })
        .await
    }

    /// `restore waive`.
    pub(super) async fn waive(
        &self,
        incoming: &Incoming,
        named: Option<RequestName>,
    ) -> Result<String, Failure> {
        let person = &incoming.from;
        let request = self
            .find(
                incoming,
                named,
                "that is stuck at its safety backup",
                |request| {
                    request
                        .status
                        .as_ref()
                        .and_then(|status| status.stuck.as_ref())
                        .is_some_and(|stuck| stuck.reason == StuckReason::SafetyBackupFailed)
                },
            )
            .await?;
        self.amend(request, |request| {
            let name = code(request_name(request));
            let choice = waive(request, person, &self.people, Timestamp::now())?;
            tracing::info!(
                request = request_name(request),
                tenant = request.spec.tenant,
                person = person.id,
                "the safety backup was waived"
            );
            request.spec.choice = Some(choice);
            Ok(Change::Write(format!(
                "You waive the safety backup of {name}: it goes on without one, and there will be \
                 no way back to what is there now."
            )))
        })
        .await
    }

    /// `restore undo`: ends a request that is stuck, and asks anew for its safety
    /// backup; once for a message.
    pub(super) async fn undo(
        &self,
        incoming: &Incoming,
        named: Option<RequestName>,
    ) -> Result<String, Failure> {
        let person = &incoming.from;
        let request = self
            .find(incoming, named, "of yours that can be undone", |request| {
                is_requester(person, request, &self.people)
                    && undo(request, person, &self.people, Timestamp::now()).is_ok()
            })
            .await?;
        let old = request_name(&request).to_owned();
        // The new one first: it waits for the old one, and without it the old one
        // would have been ended for nothing.
        let spec = undo(&request, person, &self.people, Timestamp::now())
            .map_err(Failure::Refused)?
            .spec;
        let mut made = None;
        for length in [5, 8, 16] {
            let name = name(&spec.tenant, &person.chat, &incoming.id, length);
            if self.create(&name, &incoming.id, &spec).await? {
                made = Some(name);
                break;
            }
        }
        let Some(made) = made else {
            return refused("No free name was found for your request. Say it again.");
        };
        tracing::info!(
            request = made,
            tenant = spec.tenant,
            person = person.id,
            undoes = old,
            "an undo was asked for"
        );
        let words = format!(
            "Your request to go back to the safety backup of {} is {}: it is checked, approved and \
             carried out like any restore, in a thread of its own.",
            code(&old),
            code(&made)
        );
        self.amend(request, |request| {
            let answered = request
                .spec
                .choice
                .as_ref()
                .zip(
                    request
                        .status
                        .as_ref()
                        .and_then(|status| status.stuck.as_ref()),
                )
                .is_some_and(|(choice, stuck)| choice.answers == stuck.at);
            let choice = undo(request, person, &self.people, Timestamp::now())?.choice;
            Ok(match choice {
                Some(choice) if !answered => {
                    request.spec.choice = Some(choice);
                    Change::Write(words.clone())
                }
                _ => Change::Leave(words.clone()),
            })
        })
        .await
    }

    /// Decides upon a request and writes what was decided, if nobody has written
    /// it since it was read; else reads it again and decides anew.
    pub(super) async fn amend(
        &self,
        mut request: RestoreRequest,
        decide: impl Fn(&mut RestoreRequest) -> Result<Change, String>,
    ) -> Result<String, Failure> {
        let name = request_name(&request).to_owned();
        let uid = request.metadata.uid.clone();
        for _ in 0..ATTEMPTS {
            let words = match decide(&mut request).map_err(Failure::Refused)? {
                Change::Leave(words) => return Ok(words),
                Change::Write(words) => words,
            };
            // The resource version that was read is part of the object.
            let written = self
                .requests()
                .replace(&name, &PostParams::default(), &request)
                .await;
            match written {
                Ok(_) => return Ok(words),
                Err(kube::Error::Api(status)) if status.is_conflict() => {}
                Err(error) => return Err(error.into()),
            }
            request = self.get(&name).await?;
            if request.metadata.uid != uid {
                return refused(format!(
                    "{} was deleted, and there is another of that name now. See `restore status`.",
                    code(&name)
                ));
            }
        }
        refused(format!(
            "{} is being changed so often that it could not be written. Say it again.",
            code(&name)
        ))
    }
}
