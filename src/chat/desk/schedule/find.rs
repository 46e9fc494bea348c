//! Which request to change schedules somebody means.

use kube::api::ListParams;
use kube::core::DeserializeGuard;
use kube::{Api, ResourceExt};
use refloat_commands::RequestName;

use super::super::{Desk, Failure, known, refused};
use crate::chat::Incoming;
use crate::chat::harmless::{code, harmless};
use crate::request::people::People;
use crate::request::preflight::list;
use crate::request::resource::{Person, RestoreRequest};
use crate::schedule::{ScheduleRequest, phase};

/// How many requests a reply lists at most.
const LISTED: usize = 15;

impl Desk {
    /// All requests to change schedules that can be read, newest first.
    pub(in crate::chat::desk) async fn all_schedule_requests(
        &self,
    ) -> Result<Vec<ScheduleRequest>, kube::Error> {
        let api: Api<DeserializeGuard<ScheduleRequest>> =
            Api::namespaced(self.client.clone(), &self.namespace);
        let mut requests: Vec<ScheduleRequest> = api
            .list(&ListParams::default())
            .await?
            .items
            .into_iter()
            .filter_map(|DeserializeGuard(object)| object.ok())
            .collect();
        requests.sort_by_key(|request| {
            std::cmp::Reverse(request.creation_timestamp().map(|time| time.0))
        });
        Ok(requests)
    }

    /// The requests to change schedules that somebody may mean, each with what it is.
    pub(in crate::chat::desk) async fn offered_schedule_requests(
        &self,
        person: &Person,
    ) -> Result<Vec<(String, String)>, kube::Error> {
        Ok(self
            .all_schedule_requests()
            .await?
            .into_iter()
            .filter(|request| is_active(request) && may_see(person, request, &self.people).is_ok())
            .map(|request| {
                let change = &request.spec.change;
                let status = request.status.clone().unwrap_or_default();
                let doc = format!(
                    "{} {}, {}",
                    change.action.word(),
                    change.name,
                    phase(&status).in_words()
                );
                (request.name_any(), doc)
            })
            .collect())
    }

    /// The request to change schedules that is meant, if it is one: by its name, by
    /// its thread, or, where none is named, if no other request of any kind fits.
    pub(in crate::chat::desk) async fn schedule_meant(
        &self,
        incoming: &Incoming,
        named: Option<&RequestName>,
        fits: impl Fn(&ScheduleRequest) -> bool,
        restore_fits: impl Fn(&RestoreRequest) -> bool,
    ) -> Result<Option<ScheduleRequest>, Failure> {
        let name = named
            .map(RequestName::as_str)
            .or(incoming.thread.as_deref());
        if let Some(name) = name {
            return Ok(self.schedule_requests().get_opt(name).await?);
        }
        let mut fitting: Vec<ScheduleRequest> = self
            .all_schedule_requests()
            .await?
            .into_iter()
            .filter(|request| fits(request))
            .collect();
        if fitting.is_empty() {
            return Ok(None);
        }
        let mut names: Vec<String> = fitting
            .iter()
            .map(ResourceExt::name_any)
            .chain(
                self.all()
                    .await?
                    .iter()
                    .filter(|request| restore_fits(request))
                    .map(ResourceExt::name_any),
            )
            .map(|name| code(&name))
            .collect();
        if names.len() == 1 {
            return Ok(fitting.pop());
        }
        let more = names.len().saturating_sub(LISTED);
        names.truncate(LISTED);
        if more > 0 {
            names.push(format!("{more} more"));
        }
        refused(format!(
            "There are several requests that could be meant; say which: {}.",
            list(&names)
        ))
    }
}

pub(in crate::chat::desk) fn is_active(request: &ScheduleRequest) -> bool {
    request
        .status
        .as_ref()
        .is_none_or(|status| !phase(status).is_over())
}

/// A request in one line of a list.
pub(in crate::chat::desk) fn in_a_line(
    request: &ScheduleRequest,
    person: &Person,
    people: &People,
) -> String {
    let whose = if is_requester(person, request, people) {
        " (yours)"
    } else {
        ""
    };
    let status = request.status.clone().unwrap_or_default();
    format!(
        "{}{whose}: {} the schedule {} is {}",
        code(&request.name_any()),
        request.spec.change.action.word(),
        code(&request.spec.change.name),
        phase(&status).in_words()
    )
}

/// Whether the person asked for the request, from this account or another of theirs.
pub(in crate::chat::desk) fn is_requester(
    person: &Person,
    request: &ScheduleRequest,
    people: &People,
) -> bool {
    let requester = &request.spec.requester;
    person.is(requester)
        || people
            .by_account(person)
            .zip(people.by_account(requester))
            .is_some_and(|(one, other)| one.name == other.name)
}

/// Whoever asked, may ask for the tenant, or reviews, may see where it stands.
pub(in crate::chat::desk) fn may_see(
    person: &Person,
    request: &ScheduleRequest,
    people: &People,
) -> Result<(), String> {
    let entry = known(person, people)?;
    if entry.reviewer
        || entry.tenants.contains(&request.spec.tenant)
        || is_requester(person, request, people)
    {
        return Ok(());
    }
    Err(format!(
        "{} is of the tenant {}, which is none of yours. Ask the platform team for the right to \
         see it.",
        code(&request.name_any()),
        code(&request.spec.tenant)
    ))
}

/// Refuses whoever neither asked for the request nor is a reviewer.
pub(in crate::chat::desk) fn may_steer(
    person: &Person,
    request: &ScheduleRequest,
    people: &People,
) -> Result<(), String> {
    let entry = known(person, people)?;
    if entry.reviewer || is_requester(person, request, people) {
        return Ok(());
    }
    Err(format!(
        "{} is not yours to steer: only {}, who asked for it, or a reviewer can.{}",
        code(&request.name_any()),
        harmless(&request.spec.requester.name, 100),
        super::super::reviewers(people)
    ))
}
