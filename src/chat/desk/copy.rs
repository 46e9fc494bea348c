//! `restore copy`: from what was asked to a request, if the person may; and what is said of it afterwards.

use jiff::Timestamp;
use jiff::civil::Date;
use kube::api::{ListParams, PostParams};
use kube::core::DeserializeGuard;
use kube::{Api, ResourceExt as _};
use refloat_commands::RequestName;
use refloat_commands::restore::CopyRequest as Asked;

use super::write::{ATTEMPTS, MESSAGE_ANNOTATION};
use super::{Desk, Failure, known, name, refused, reviewers};
use crate::chat::Incoming;
use crate::chat::copy::render;
use crate::chat::harmless::{code, harmless};
use crate::copy::{CopyRequest, CopyRequestSpec, Phase};
use crate::request::people::People;
use crate::request::preflight::list;
use crate::request::resource::{Person, Source, Withdrawal};

/// Decides about a copy that somebody asks for. Whether what is named exists is checked later, where everybody
/// sees it. `today` is the day in the zone of the platform.
///
/// Returns the request, or the sentence that refuses it.
pub(super) fn admit(
    asked: &Asked,
    person: &Person,
    people: &People,
    today: Date,
) -> Result<CopyRequestSpec, String> {
    let entry = known(person, people)?;
    let tenant = asked.tenant.as_str();
    if !entry.tenants.iter().any(|name| name == tenant) {
        let codes: Vec<String> = entry.tenants.iter().map(|name| code(name)).collect();
        return Err(if codes.is_empty() {
            format!(
                "You may not ask for copies of any tenant. Ask the platform team for the right.{}",
                reviewers(people)
            )
        } else {
            format!(
                "You may not ask for copies of the tenant {}. You may for {}.",
                code(tenant),
                list(&codes)
            )
        });
    }
    let full = |namespace: &refloat_commands::Namespace| {
        namespace
            .full(&asked.tenant)
            .map(|full| full.as_str().to_owned())
            .map_err(|error| {
                format!(
                    "The namespace {} cannot be: {error}.",
                    code(namespace.as_str())
                )
            })
    };
    let (namespace, into) = (full(&asked.namespace)?, full(&asked.into)?);
    if namespace == into {
        return Err(format!(
            "A copy is made beside the original: {} cannot be restored into itself. Name a new namespace, for example \
             `into:{}-copy`.",
            code(&namespace),
            asked.namespace.as_str()
        ));
    }
    let source = &asked.source;
    let day =
        match source.day() {
            None => None,
            // Written down as a date, so that "yesterday" means the same after midnight.
            Some(day) => Some(super::request::dated(day, today).ok_or_else(|| {
                format!("The day {} cannot be worked out.", code(&day.to_string()))
            })?),
        };
    Ok(CopyRequestSpec {
        tenant: tenant.to_owned(),
        namespace,
        into,
        source: Source {
            backup: source.backup().map(|name| name.as_str().to_owned()),
            schedule: source.schedule().map(|name| name.as_str().to_owned()),
            day,
        },
        reason: asked
            .reason
            .as_ref()
            .map(|reason| reason.as_str().to_owned()),
        requester: person.clone(),
        withdrawal: None,
    })
}

fn is_theirs(person: &Person, request: &CopyRequest, people: &People) -> bool {
    let requester = &request.spec.requester;
    person.is(requester)
        || people
            .by_account(person)
            .zip(people.by_account(requester))
            .is_some_and(|(one, other)| one.name == other.name)
}

/// Whoever asked, may ask for the tenant, or reviews.
fn may_see(person: &Person, request: &CopyRequest, people: &People) -> Result<(), String> {
    let entry = known(person, people)?;
    if entry.reviewer
        || entry.tenants.contains(&request.spec.tenant)
        || is_theirs(person, request, people)
    {
        return Ok(());
    }
    Err(format!(
        "{} is of the tenant {}, which is none of yours. Ask the platform team for the right to see it.",
        code(&request.name_any()),
        code(&request.spec.tenant)
    ))
}

/// Decides about having a copy removed before its time: the withdrawal, or the sentence that refuses it.
fn remove(
    request: &CopyRequest,
    person: &Person,
    people: &People,
    now: Timestamp,
) -> Result<Withdrawal, String> {
    let name = code(&request.name_any());
    let entry = known(person, people)?;
    if !(entry.reviewer || is_theirs(person, request, people)) {
        return Err(format!(
            "{name} is not yours to steer: only {}, who asked for it, or a reviewer can.{}",
            harmless(&request.spec.requester.name, 100),
            reviewers(people)
        ));
    }
    let phase = request.phase();
    if phase.is_over() || phase == Phase::Removing {
        return Err(format!(
            "{name} needs no withdrawal: it is {}.",
            phase.in_words()
        ));
    }
    Ok(Withdrawal {
        by: person.clone(),
        at: now,
    })
}

impl Desk {
    fn copies(&self) -> Api<CopyRequest> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// `restore copy`: makes the request, once for a message.
    pub(super) async fn copy(&self, incoming: &Incoming, asked: &Asked) -> Result<String, Failure> {
        let person = &incoming.from;
        let now = Timestamp::now();
        let today = now.to_zoned(self.context.time_zone.clone()).date();
        let spec = admit(asked, person, &self.people, today).map_err(Failure::Refused)?;
        // Of other lengths than those of the other kinds of request, so that no two have one name.
        for length in [7, 10, 18] {
            let name = name(&spec.tenant, &person.chat, &incoming.id, length);
            if self.create_copy(&name, &incoming.id, &spec).await? {
                tracing::info!(
                    request = name,
                    tenant = spec.tenant,
                    person = person.id,
                    "a copy was asked for"
                );
                return Ok(format!(
                    "Your request is {}: it is being checked, and its thread says how it goes on. `restore status \
                     {name}` shows where it stands, and `restore withdraw {name}` removes the copy.",
                    code(&name)
                ));
            }
        }
        refused("No free name was found for your request. Say it again.")
    }

    /// Makes a request, or finds the one that the same message has made; false if the name belongs to another.
    async fn create_copy(
        &self,
        name: &str,
        message: &str,
        spec: &CopyRequestSpec,
    ) -> Result<bool, Failure> {
        let mut request = CopyRequest::new(name, spec.clone());
        request
            .metadata
            .annotations
            .get_or_insert_default()
            .insert(MESSAGE_ANNOTATION.to_owned(), message.to_owned());
        match self.copies().create(&PostParams::default(), &request).await {
            Ok(_) => Ok(true),
            Err(kube::Error::Api(status)) if status.is_already_exists() => {
                let there = self.copies().get(name).await?;
                let made_by = there.annotations().get(MESSAGE_ANNOTATION);
                Ok(there.spec.requester.is(&spec.requester)
                    && made_by.is_some_and(|id| id == message))
            }
            Err(kube::Error::Api(status)) if status.is_invalid() => refused(format!(
                "The cluster refuses the request: {}",
                harmless(&status.message, 500)
            )),
            Err(error) => Err(error.into()),
        }
    }

    /// The copy that is named or whose thread it is, if it is one.
    pub(super) async fn copy_meant(
        &self,
        incoming: &Incoming,
        named: Option<&RequestName>,
    ) -> Result<Option<CopyRequest>, Failure> {
        let name = named
            .map(RequestName::as_str)
            .or(incoming.thread.as_deref());
        match name {
            Some(name) => Ok(self.copies().get_opt(name).await?),
            None => Ok(None),
        }
    }

    /// Where a copy stands, for whoever may see it.
    pub(super) fn copy_status(
        &self,
        person: &Person,
        request: &CopyRequest,
    ) -> Result<String, Failure> {
        may_see(person, request, &self.people).map_err(Failure::Refused)?;
        Ok(render(request, &self.context).card.text())
    }

    /// The copies that have not ended and that somebody may see: name, and what each is.
    pub(super) async fn active_copies(
        &self,
        person: &Person,
    ) -> Result<Vec<(String, String)>, kube::Error> {
        let api: Api<DeserializeGuard<CopyRequest>> =
            Api::namespaced(self.client.clone(), &self.namespace);
        let listed = api.list(&ListParams::default()).await?;
        Ok(listed
            .items
            .into_iter()
            .filter_map(|DeserializeGuard(object)| object.ok())
            .filter(|request| !request.phase().is_over())
            .filter(|request| may_see(person, request, &self.people).is_ok())
            .map(|request| {
                let doc = format!(
                    "copy of {} into {}, {}",
                    request.spec.namespace,
                    request.spec.into,
                    request.phase().in_words()
                );
                (request.name_any(), doc)
            })
            .collect())
    }

    /// Has a copy removed before its time.
    pub(super) async fn remove_copy(
        &self,
        person: &Person,
        mut request: CopyRequest,
    ) -> Result<String, Failure> {
        let name = request.name_any();
        for _ in 0..ATTEMPTS {
            if request.spec.withdrawal.is_some() {
                return Ok(format!("{} is being removed already.", code(&name)));
            }
            let withdrawal = remove(&request, person, &self.people, Timestamp::now())
                .map_err(Failure::Refused)?;
            request.spec.withdrawal = Some(withdrawal);
            match self
                .copies()
                .replace(&name, &PostParams::default(), &request)
                .await
            {
                Ok(_) => {
                    return Ok(format!(
                        "You have {} removed: its thread says when the namespace {} is gone.",
                        code(&name),
                        code(&request.spec.into)
                    ));
                }
                Err(kube::Error::Api(status)) if status.is_conflict() => {
                    request = self.copies().get(&name).await?;
                }
                Err(error) => return Err(error.into()),
            }
        }
        refused(format!(
            "{} is being written by others all the time. Say it again in a moment.",
            code(&name)
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::people::Entry;
    use refloat_commands::{Command, parse, restore::Restore};

    #[test]
    fn only_of_ones_own_tenant_and_into_another_namespace() {
        let person = Person {
            chat: "console".to_owned(),
            id: "ada".to_owned(),
            name: "ada".to_owned(),
        };
        let people = People(vec![Entry {
            name: "ada".to_owned(),
            accounts: vec![("console".to_owned(), "ada".to_owned())],
            github: None,
            github_also: Vec::new(),
            tenants: vec!["poseidon1".to_owned()],
            reviewer: false,
        }]);
        let today = jiff::civil::date(2026, 11, 25);
        let admitted = |line: &str| {
            let Ok(Command::Restore(Restore::Copy(asked))) = parse(line) else {
                panic!("{line}");
            };
            admit(&asked, &person, &people, today)
        };
        let spec = admitted(
            "restore copy tenant:poseidon1 namespace:dev into:dev-copy schedule:daily day:yesterday",
        )
        .unwrap();
        assert_eq!(
            (spec.namespace.as_str(), spec.into.as_str()),
            ("poseidon1-dev", "poseidon1-dev-copy")
        );
        assert_eq!(spec.source.day.as_deref(), Some("2026-11-24"));
        insta::assert_snapshot!(
            admitted("restore copy tenant:triton2 namespace:dev into:dev-copy").unwrap_err(),
            @"You may not ask for copies of the tenant `triton2`. You may for `poseidon1`."
        );
        insta::assert_snapshot!(
            admitted("restore copy tenant:poseidon1 namespace:dev into:poseidon1-dev").unwrap_err(),
            @"A copy is made beside the original: `poseidon1-dev` cannot be restored into itself. Name a new namespace, for example `into:dev-copy`."
        );
    }
}
