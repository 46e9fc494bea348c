//! `schedule add`, `change` and `remove`: from what was asked to a request, if the
//! person may.

use kube::api::PostParams;
use refloat_commands::{ScheduleName, Tenant, Ttl, When};

use super::super::write::MESSAGE_ANNOTATION;
use super::super::{Desk, Failure, known, name, refused, reviewers};
use super::say;
use crate::chat::Incoming;
use crate::chat::harmless::{code, harmless};
use crate::order;
use crate::request::people::People;
use crate::request::preflight::list;
use crate::request::resource::Person;
use crate::schedule::resource::{Action, Change};
use crate::schedule::{ScheduleRequest, ScheduleRequestSpec};
use crate::schedule_times::read_when;

/// A change of schedules, as it was typed.
#[derive(Clone, Debug, PartialEq)]
pub enum Asked {
    Add {
        tenant: Tenant,
        name: ScheduleName,
        when: When,
        keep: Ttl,
    },
    Change {
        tenant: Tenant,
        name: ScheduleName,
        new_name: Option<ScheduleName>,
        when: Option<When>,
        keep: Option<Ttl>,
    },
    Remove {
        tenant: Tenant,
        name: ScheduleName,
    },
}

impl Asked {
    fn tenant(&self) -> &str {
        match self {
            Self::Add { tenant, .. }
            | Self::Change { tenant, .. }
            | Self::Remove { tenant, .. } => tenant.as_str(),
        }
    }
}

/// Decides about a change that somebody asks for. Whether the schedule exists is
/// checked later, where everybody sees it.
///
/// Returns the request, or the sentence that refuses it.
pub fn admit(
    asked: &Asked,
    person: &Person,
    people: &People,
) -> Result<ScheduleRequestSpec, String> {
    let entry = known(person, people)?;
    let tenant = asked.tenant();
    if entry.tenants.is_empty() {
        return Err(format!(
            "You may not order schedules of any tenant. Ask the platform team for the right.{}",
            reviewers(people)
        ));
    }
    if !entry.tenants.iter().any(|name| name == tenant) {
        let codes: Vec<String> = entry.tenants.iter().map(|name| code(name)).collect();
        return Err(format!(
            "You may not order schedules of the tenant {}. You may for {}.",
            code(tenant),
            list(&codes)
        ));
    }
    let change = match asked {
        Asked::Add {
            name, when, keep, ..
        } => {
            let (schedule, words) = times(when)?;
            Change {
                action: Action::Add,
                name: label(name)?,
                new_name: None,
                schedule: Some(schedule),
                ttl: Some(keep.to_go()),
                words,
            }
        }
        Asked::Change {
            name,
            new_name,
            when,
            keep,
            ..
        } => {
            let (schedule, words) = match when.as_ref().map(times).transpose()? {
                Some((schedule, words)) => (Some(schedule), words),
                None => (None, None),
            };
            Change {
                action: Action::Change,
                name: label(name)?,
                new_name: new_name.as_ref().map(label).transpose()?,
                schedule,
                ttl: keep.map(Ttl::to_go),
                words,
            }
        }
        Asked::Remove { name, .. } => Change {
            action: Action::Remove,
            name: label(name)?,
            new_name: None,
            schedule: None,
            ttl: None,
            words: None,
        },
    };
    Ok(ScheduleRequestSpec {
        tenant: tenant.to_owned(),
        change,
        requester: person.clone(),
        votes: Vec::new(),
        withdrawal: None,
        choice: None,
    })
}

/// The cron, and the words if it was said in words.
fn times(when: &When) -> Result<(String, Option<String>), String> {
    let cron = read_when(when.as_str())
        .map_err(|error| format!("{}.", harmless(&error.to_string(), 600)))?
        .to_string();
    let words = (cron != when.as_str()).then(|| when.as_str().to_owned());
    Ok((cron, words))
}

/// A name as an order takes it, which is narrower than what a backup's may be.
fn label(name: &ScheduleName) -> Result<String, String> {
    order::ScheduleName::parse(name.as_str())
        .map(|name| name.as_str().to_owned())
        .map_err(|error| format!("{}.", harmless(&error.to_string(), 300)))
}

impl Desk {
    /// Makes the request, once for a message, and says what it would do.
    pub(super) async fn order_schedule(
        &self,
        incoming: &Incoming,
        asked: &Asked,
    ) -> Result<String, Failure> {
        let person = &incoming.from;
        let spec = admit(asked, person, &self.people).map_err(Failure::Refused)?;
        let plan = self.plan(&spec, self.clock.now()).await?;
        // Of other lengths than those of restores, so that no two requests have one name.
        for length in [6, 9, 17] {
            let name = name(&spec.tenant, &person.chat, &incoming.id, length);
            if self.create_schedule(&name, &incoming.id, &spec).await? {
                tracing::info!(
                    request = name,
                    tenant = spec.tenant,
                    person = person.id,
                    action = spec.change.action.word(),
                    "a change of schedules was asked for"
                );
                return Ok(say::answer(
                    &name,
                    &spec.change,
                    plan.as_ref(),
                    &self.context.time_zone,
                ));
            }
        }
        refused("No free name was found for your request. Say it again.")
    }

    /// Makes a request, or finds the one that the same message has made; false
    /// if the name belongs to another.
    async fn create_schedule(
        &self,
        name: &str,
        message: &str,
        spec: &ScheduleRequestSpec,
    ) -> Result<bool, Failure> {
        let mut request = ScheduleRequest::new(name, spec.clone());
        request
            .metadata
            .annotations
            .get_or_insert_default()
            .insert(MESSAGE_ANNOTATION.to_owned(), message.to_owned());
        match self
            .schedule_requests()
            .create(&PostParams::default(), &request)
            .await
        {
            Ok(_) => Ok(true),
            Err(kube::Error::Api(status)) if status.is_already_exists() => {
                let there = self.schedule_requests().get_opt(name).await?;
                Ok(there.is_some_and(|there| {
                    there.spec.requester.is(&spec.requester)
                        && there
                            .metadata
                            .annotations
                            .as_ref()
                            .and_then(|annotations| annotations.get(MESSAGE_ANNOTATION))
                            .is_some_and(|id| id == message)
                }))
            }
            Err(kube::Error::Api(status)) if status.is_invalid() => refused(format!(
                "The cluster refuses the request: {}",
                harmless(&status.message, 500)
            )),
            Err(error) => Err(error.into()),
        }
    }
}
