//! Which request somebody means, and where it stands.

use kube::Api;
use kube::ResourceExt;
use kube::api::ListParams;
use kube::core::DeserializeGuard;
use refloat_commands::RequestName;

use super::{Desk, Failure, is_requester, known, refused, request_name, schedule};
use crate::chat::Incoming;
use crate::chat::harmless::{code, harmless};
use crate::chat::render::render;
use crate::chat::words::put;
use crate::request::people::People;
use crate::request::phase;
use crate::request::preflight::list;
use crate::request::resource::{Person, RestoreRequest};
use crate::schedule::ScheduleRequest;

/// How many requests a reply lists at most.
const LISTED: usize = 15;

impl Desk {
    /// All requests that can be read, newest first.
    pub(super) async fn all(&self) -> Result<Vec<RestoreRequest>, kube::Error> {
        let api: Api<DeserializeGuard<RestoreRequest>> =
            Api::namespaced(self.client.clone(), &self.namespace);
        let listed = api.list(&ListParams::default()).await?;
        let mut requests: Vec<RestoreRequest> = listed
            .items
            .into_iter()
            .filter_map(|DeserializeGuard(object)| object.ok())
            .collect();
        requests.sort_by_key(|request| {
            std::cmp::Reverse(request.creation_timestamp().map(|time| time.0))
        });
        Ok(requests)
    }

    pub(super) async fn get(&self, name: &str) -> Result<RestoreRequest, Failure> {
        if let Some(request) = self.requests().get_opt(name).await? {
            return Ok(request);
        }
        refused(format!(
            "There is no request {}. `restore status` lists yours.",
            code(name)
        ))
    }

    /// The request that is named, or the thread's, or the only one of which
    /// `fits` is true; `which` says what those are, as "that waits for approval".
    pub(super) async fn find(
        &self,
        incoming: &Incoming,
        named: Option<RequestName>,
        which: &str,
        fits: impl Fn(&RestoreRequest) -> bool,
    ) -> Result<RestoreRequest, Failure> {
        let name = named
            .as_ref()
            .map(RequestName::as_str)
            .or(incoming.thread.as_deref());
        if let Some(name) = name {
            return self.get(name).await;
        }
        let mut fitting: Vec<RestoreRequest> = self
            .all()
            .await?
            .into_iter()
            .filter(|request| fits(request))
            .collect();
        match fitting.len() {
            1 => Ok(fitting.remove(0)),
            0 => refused(format!(
                "There is no request {which}. To mean another one, say its name."
            )),
            _ => refused(format!(
                "There are several requests {which}; say which: {}.",
                list(&names(&fitting))
            )),
        }
    }

    pub(super) async fn status(
        &self,
        incoming: &Incoming,
        named: Option<RequestName>,
    ) -> Result<String, Failure> {
        let person = &incoming.from;
        let name = named
            .as_ref()
            .map(RequestName::as_str)
            .or(incoming.thread.as_deref());
        if let Some(name) = name {
            if let Some(request) = self.schedule_requests().get_opt(name).await? {
                return self.schedule_status(person, &request);
            }
            if let Some(request) = self.copy_meant(incoming, named.as_ref()).await? {
                return self.copy_status(person, &request);
            }
            let request = self.get(name).await?;
            may_see(person, &request, &self.people).map_err(Failure::Refused)?;
            return Ok(render(&request, &self.context).card.text());
        }
        known(person, &self.people).map_err(Failure::Refused)?;
        let active: Vec<RestoreRequest> = self
            .all()
            .await?
            .into_iter()
            .filter(|request| is_active(request) && may_see(person, request, &self.people).is_ok())
            .collect();
        let schedules: Vec<ScheduleRequest> = self
            .all_schedule_requests()
            .await?
            .into_iter()
            .filter(|request| {
                schedule::is_active(request)
                    && schedule::may_see(person, request, &self.people).is_ok()
            })
            .collect();
        let copies = self.active_copies(person).await?;
        Ok(overview(&active, &schedules, &copies, person, &self.people))
    }
}

/// The active requests that somebody may see, in a list.
fn overview(
    active: &[RestoreRequest],
    schedules: &[ScheduleRequest],
    copies: &[(String, String)],
    person: &Person,
    people: &People,
) -> String {
    if active.is_empty() && schedules.is_empty() && copies.is_empty() {
        return "Nothing is under way that is yours or of your tenants.".to_owned();
    }
    let mut text = "Under way:".to_owned();
    for request in active.iter().take(LISTED) {
        let status = request.status.clone().unwrap_or_default();
        let whose = if is_requester(person, request, people) {
            " (yours)"
        } else {
            ""
        };
        put(
            &mut text,
            format_args!(
                "\n- {}{whose}: {} is {}",
                code(request_name(request)),
                code(&request.spec.namespaces.join(", ")),
                phase(&status).in_words()
            ),
        );
    }
    for request in schedules.iter().take(LISTED) {
        put(
            &mut text,
            format_args!("\n- {}", schedule::in_a_line(request, person, people)),
        );
    }
    for (name, doc) in copies.iter().take(LISTED) {
        put(
            &mut text,
            format_args!("\n- {}: {}", code(name), harmless(doc, 200)),
        );
    }
    let more = active.len().saturating_sub(LISTED)
        + schedules.len().saturating_sub(LISTED)
        + copies.len().saturating_sub(LISTED);
    if more > 0 {
        put(&mut text, format_args!("\n- and {more} more"));
    }
    text.push_str("\n`restore status <name>` says more about one of them.");
    text
}

pub(super) fn is_active(request: &RestoreRequest) -> bool {
    request
        .status
        .as_ref()
        .is_none_or(|status| !phase(status).is_over())
}

/// Whoever asked, may ask for the tenant, or reviews, may see where it stands.
pub(super) fn may_see(
    person: &Person,
    request: &RestoreRequest,
    people: &People,
) -> Result<(), String> {
    let entry = known(person, people)?;
    let tenants = &entry.tenants;
    if entry.reviewer
        || tenants.contains(&request.spec.tenant)
        || is_requester(person, request, people)
    {
        return Ok(());
    }
    Err(format!(
        "{} is of the tenant {}, which is none of yours. Ask the platform team for the right to see it.",
        code(request_name(request)),
        code(&request.spec.tenant)
    ))
}

fn names(requests: &[RestoreRequest]) -> Vec<String> {
    let mut names: Vec<String> = requests
        .iter()
        .take(LISTED)
        .map(|request| code(request_name(request)))
        .collect();
    if requests.len() > LISTED {
        names.push(format!("{} more", requests.len() - LISTED));
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::samples::{in_phase, people, person};
    use crate::request::Phase;

    #[test]
    fn who_may_see_what() {
        let request = in_phase(Phase::Restoring);
        for (who, sees) in [
            ("anna", true),
            ("ravi", true),
            ("bert", false),
            ("mallory", false),
        ] {
            assert_eq!(
                may_see(&person(who), &request, &people()).is_ok(),
                sees,
                "{who}"
            );
        }
        insta::assert_snapshot!(overview(&[request], &[], &[], &person("anna"), &people()), @r#"
Under way:
- `poseidon1-7k2p9` (yours): `poseidon1-dev, poseidon1-test` is restoring
`restore status <name>` says more about one of them.
"#);
    }
}
