//! `restore request`: from what was asked to a request, if the person may.

use jiff::civil::Date;
use refloat_commands::restore::Request;
use refloat_commands::{Day, Namespace, Tenant};
use sha2::{Digest as _, Sha256};

use super::known;
use crate::chat::harmless::code;
use crate::request::people::People;
use crate::request::preflight::{OrderView, list};
use crate::request::resource::{Person, RestoreRequestSpec, Source};

/// Decides about a request that somebody asks for.
///
/// `orders` are the orders that could be read, by tenant: the tenant's if one
/// is named, else those of all the person's tenants. `today` is the day in the
/// zone of the platform. Whether what is named exists is checked later, where
/// everybody sees it.
///
/// Returns the request, or the sentence that refuses it.
pub fn admit(
    asked: &Request,
    person: &Person,
    people: &People,
    orders: &[(String, OrderView)],
    today: Date,
) -> Result<RestoreRequestSpec, String> {
    let entry = known(person, people)?;
    if entry.tenants.is_empty() {
        return Err(format!(
            "You may not ask for restores of any tenant. Ask the platform team for the right.{}",
            super::reviewers(people)
        ));
    }
    let tenant = match &asked.tenant {
        Some(tenant) => tenant.clone(),
        None => tenant_of(&asked.namespaces, orders, &entry.tenants)?,
    };
    if !entry.tenants.iter().any(|name| name == tenant.as_str()) {
        return Err(format!(
            "You may not ask for restores of the tenant {}. You may for {}.",
            code(tenant.as_str()),
            list(&codes(&entry.tenants))
        ));
    }
    let Some(reason) = &asked.reason else {
        return Err(
            "A restore needs a reason, for the reviewer and the record: add `because <reason>` at \
             the end, or `reason:\"bad migration\"` to `/restore request`."
                .to_owned(),
        );
    };
    let mut namespaces: Vec<String> = Vec::new();
    for namespace in &asked.namespaces {
        let full = namespace.full(&tenant).map_err(|error| {
            format!(
                "The namespace {} cannot be: {error}.",
                code(namespace.as_str())
            )
        })?;
        if !namespaces.iter().any(|name| name == full.as_str()) {
            namespaces.push(full.as_str().to_owned());
        }
    }
    if namespaces.is_empty() || namespaces.len() > 50 {
        return Err(format!(
            "A restore is of 1 to 50 namespaces, and these are {}. Ask for fewer at once.",
            namespaces.len()
        ));
    }
    let order = orders
        .iter()
        .find(|(name, _)| name == tenant.as_str())
        .map(|(_, order)| order);
    Ok(RestoreRequestSpec {
        source: source(asked, &tenant, order, today)?,
        tenant: tenant.as_str().to_owned(),
        namespaces,
        reason: reason.as_str().to_owned(),
        requester: person.clone(),
        votes: Vec::new(),
        withdrawal: None,
        choice: None,
        consents: Vec::new(),
        undoes: None,
    })
}

/// The one tenant whose order has all the namespaces.
fn tenant_of(
    namespaces: &[Namespace],
    orders: &[(String, OrderView)],
    permitted: &[String],
) -> Result<Tenant, String> {
    let having: Vec<Tenant> = orders
        .iter()
        .filter(|(name, _)| permitted.contains(name))
        .filter_map(|(name, order)| Some((name.parse::<Tenant>().ok()?, order)))
        .filter(|(tenant, order)| {
            namespaces.iter().all(|namespace| {
                namespace
                    .full(tenant)
                    .is_ok_and(|full| order.namespaces.iter().any(|name| name == full.as_str()))
            })
        })
        .map(|(tenant, _)| tenant)
        .collect();
    let names: Vec<String> = namespaces
        .iter()
        .map(|namespace| code(namespace.as_str()))
        .collect();
    match having.as_slice() {
        [tenant] => Ok(tenant.clone()),
        [] => Err(format!(
            "None of your tenants ({}) has {} in its order, as far as the orders can be read. Say \
             the tenant: `/restore request tenant:<tenant> namespaces:<namespaces> \
             reason:<reason>`.",
            list(&codes(permitted)),
            list(&names)
        )),
        several => {
            let several: Vec<String> = several.iter().map(|tenant| code(tenant.as_str())).collect();
            Err(format!(
                "{} can be of {}. Write the namespaces in full, as `<tenant>-<environment>`.",
                list(&names),
                list(&several)
            ))
        }
    }
}

/// What to restore from. A day is written down as a date, so that "yesterday"
/// means the same after midnight.
fn source(
    asked: &Request,
    tenant: &Tenant,
    order: Option<&OrderView>,
    today: Date,
) -> Result<Source, String> {
    let mut schedule = asked.source.schedule().map(|name| name.as_str().to_owned());
    let mut backup = asked.source.backup().map(|name| name.as_str().to_owned());
    // The platform's form asks for "the name of the backup as ordered", which
    // names a schedule.
    if let Some(named) = &backup
        && let Some(order) = order
    {
        let short = named
            .strip_prefix(tenant.as_str())
            .and_then(|rest| rest.strip_prefix('-'))
            .unwrap_or(named);
        if let Some(meant) = order
            .schedules
            .iter()
            .find(|name| *name == named || *name == short)
        {
            match &schedule {
                Some(other) if other != meant => {
                    return Err(format!(
                        "{} names a schedule, and {} another: say one of them.",
                        code(named),
                        code(other)
                    ));
                }
                _ => {
                    schedule = Some(meant.clone());
                    backup = None;
                }
            }
        }
    }
    let day = asked.source.day().and_then(|day| dated(day, today));
    Ok(Source {
        backup,
        schedule,
        day,
    })
}

/// A day as a date, with the time if it has one; `None` for one that no calendar has.
pub(super) fn dated(day: Day, today: Date) -> Option<String> {
    let moment = day.range(today)?;
    Some(match moment.time {
        Some(time) => format!("{} {:02}:{:02}", moment.date, time.hour(), time.minute()),
        None => moment.date.to_string(),
    })
}

/// The name of the request that a message makes: the same for the same message.
/// `length` is that of the part which tells it from others, of up to 32.
pub fn name(tenant: &str, chat: &str, message: &str, length: usize) -> String {
    // Without letters and digits that are mistaken for one another.
    const ALPHABET: &[u8; 31] = b"23456789abcdefghjkmnpqrstuvwxyz";
    let mut hash = Sha256::new();
    hash.update((chat.len() as u64).to_be_bytes());
    hash.update(chat);
    hash.update(message);
    let suffix: String = hash
        .finalize()
        .iter()
        .take(length)
        .map(|byte| char::from(ALPHABET[usize::from(byte % 31)]))
        .collect();
    // A name has at most 63 characters, so that it fits a label's value.
    let room = 62_usize.saturating_sub(suffix.len());
    let tenant: String = tenant.chars().take(room).collect();
    format!("{}-{suffix}", tenant.trim_end_matches('-'))
}

fn codes(names: &[String]) -> Vec<String> {
    names.iter().map(|name| code(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::samples::{people, person};
    use refloat_commands::restore::Restore;
    use refloat_commands::{Command, parse};

    fn asked(line: &str) -> Request {
        match parse(line).unwrap() {
            Command::Restore(Restore::Request(request)) => request,
            other => panic!("{other:?}"),
        }
    }

    fn orders() -> Vec<(String, OrderView)> {
        let order = |tenant: &str, environments: &[&str]| {
            let view = OrderView {
                path: format!("wave-1/{tenant}-tenant.yaml"),
                namespaces: environments
                    .iter()
                    .map(|environment| format!("{tenant}-{environment}"))
                    .collect(),
                schedules: vec!["daily".to_owned(), "weekly".to_owned()],
                self_heal: true,
            };
            (tenant.to_owned(), view)
        };
        vec![
            order("poseidon1", &["dev", "test"]),
            order("triton2", &["test", "prod"]),
        ]
    }

    fn say(line: &str, who: &str) -> String {
        let today = Date::constant(2026, 11, 24);
        match admit(&asked(line), &person(who), &people(), &orders(), today) {
            Ok(spec) => format!(
                "{} {} backup={} schedule={} day={} {}",
                spec.tenant,
                spec.namespaces.join(","),
                spec.source.backup.unwrap_or_default(),
                spec.source.schedule.unwrap_or_default(),
                spec.source.day.unwrap_or_default(),
                spec.reason
            ),
            Err(words) => words,
        }
    }

    #[test]
    fn who_may_ask_for_what() {
        let table: Vec<String> = [
            ("restore request tenant:poseidon1 namespaces:dev,test schedule:daily day:yesterday reason:\"bad migration\"", "anna"),
            ("restore request tenant:poseidon1 namespaces:poseidon1-dev reason:x day:latest", "anna"),
            ("restore request tenant:poseidon1 namespaces:dev backup:daily reason:x", "anna"),
            ("restore request tenant:poseidon1 namespaces:dev backup:poseidon1-daily schedule:weekly reason:x", "anna"),
            ("restore request tenant:other namespaces:dev reason:x", "anna"),
            ("restore request tenant:poseidon1 namespaces:dev reason:x", "mallory"),
            ("restore request tenant:poseidon1 namespaces:dev reason:x", "ravi"),
            ("restore backup daily of namespace poseidon1-dev from schedule daily because the migration broke", "anna"),
            ("restore backup b-1 of namespace dev because x", "anna"),
            ("restore backup b-1 of namespace test because x", "anna"),
            ("restore backup b-1 of namespace nowhere because x", "anna"),
            ("restore backup b-1 of namespace dev", "anna"),
        ]
        .into_iter()
        .map(|(line, who)| say(line, who))
        .collect();
        insta::assert_snapshot!(table.join("\n"), @r#"
poseidon1 poseidon1-dev,poseidon1-test backup= schedule=daily day=2026-11-23 bad migration
poseidon1 poseidon1-dev backup= schedule= day= x
poseidon1 poseidon1-dev backup= schedule=daily day= x
`poseidon1-daily` names a schedule, and `weekly` another: say one of them.
You may not ask for restores of the tenant `other`. You may for `poseidon1` and `triton2`.
I do not know you here: the configuration has no entry for your account `mallory` of the chat `console`. Ask the platform team to add it.
You may not ask for restores of any tenant. Ask the platform team for the right. Reviewers are Ravi and Olga.
poseidon1 poseidon1-dev backup= schedule=daily day= the migration broke
poseidon1 poseidon1-dev backup=b-1 schedule= day= x
`test` can be of `poseidon1` and `triton2`. Write the namespaces in full, as `<tenant>-<environment>`.
None of your tenants (`poseidon1` and `triton2`) has `nowhere` in its order, as far as the orders can be read. Say the tenant: `/restore request tenant:<tenant> namespaces:<namespaces> reason:<reason>`.
A restore needs a reason, for the reviewer and the record: add `because <reason>` at the end, or `reason:"bad migration"` to `/restore request`.
"#);
    }

    #[test]
    fn the_same_message_has_the_same_name() {
        let first = name("poseidon1", "console", "m-1", 5);
        assert_eq!(first, name("poseidon1", "console", "m-1", 5));
        assert_ne!(first, name("poseidon1", "console", "m-2", 5));
        assert_ne!(first, name("poseidon1", "discord", "m-1", 5));
        assert!(name("poseidon1", "console", "m-1", 10).starts_with(&first));
        let long = name(&"a".repeat(63), "console", "m-1", 12);
        assert_eq!(long.len(), 62 + 1);
        assert!(first.parse::<refloat_commands::RequestName>().is_ok());
    }
}
