//! The checks before anything is asked for.
//!
//! Pure: [`check`] is given what was seen and says either what was found, or why
//! the request is refused, in words that name what does exist and what is right.

use jiff::Timestamp;

use super::observed::{OrderFacts, Other, Survey};
use super::resource::{Action, Change, Checked, Entry, ScheduleRequestSpec};
use super::{edit, velero_name};
use crate::order::{Cron, ScheduleName, Ttl};
use crate::request::preflight::{list, local};

/// How long Velero's timestamp is, as in `poseidon1-daily-20260102010000`.
const TIMESTAMP: usize = 14;

/// What the checks are held against.
#[derive(Clone, Debug)]
pub struct Terms<'a> {
    pub uid: &'a str,
    pub created: Timestamp,
    pub time_zone: &'a jiff::tz::TimeZone,
}

/// Checks a change against the order and the cluster.
///
/// Returns what was found, or the sentence that refuses it.
pub fn check(
    spec: &ScheduleRequestSpec,
    survey: &Survey,
    terms: &Terms<'_>,
    now: Timestamp,
) -> Result<Checked, String> {
    let mut checks = Vec::new();
    let order = tenant(spec, survey)?;
    checks.push(format!("{} is ordered in {}", spec.tenant, order.path));
    values(&spec.change)?;
    fits(spec)?;
    let (before, after) = entries(spec, order)?;
    checks.push(match (&before, &after) {
        (None, Some(after)) => format!("there is no schedule {} yet", after.name),
        (Some(before), _) => format!("the order has the schedule {}", shown(before)),
        (None, None) => format!("the order has no schedule {}", spec.change.name),
    });
    if let Some(holder) = holder(spec, survey, terms) {
        return Err(holder);
    }
    checks.push("no other request changes the same schedule".to_owned());
    if let Some(live) = &survey.live
        && after
            .as_ref()
            .is_some_and(|after| velero_name(&spec.tenant, &after.name) == live.name)
        && before.as_ref().map(|before| &before.name) != after.as_ref().map(|after| &after.name)
        && !live
            .namespaces
            .iter()
            .all(|namespace| order.namespaces.contains(namespace))
    {
        return Err(format!(
            "Velero has a Schedule {} already, and it is not of the tenant {}. Choose another \
             name, such as {}-2.",
            live.name, spec.tenant, spec.change.name
        ));
    }
    if after.is_some() && !order.entries.is_empty() && !order.active {
        return Err(format!(
            "Nothing is backed up of the tenant {}, whatever its schedules say: its order lacks \
             `take_backup: true` or a `backuplabel`. Have {} put right by a pull request, then \
             ask again.",
            spec.tenant, order.path
        ));
    }
    // The edit is made, and proven, before anybody is asked to approve it.
    let edit = edit(&spec.change, &order.text).map_err(|error| {
        format!(
            "The order {} cannot be changed so: {}. Put it right by hand, then ask again.",
            order.path,
            error.to_string().trim_end_matches('.')
        )
    })?;
    if !edit.changed {
        return Err(format!(
            "The order of {} reads so already; there is nothing to change.",
            spec.tenant
        ));
    }
    checks.push("the edit of the order is proven: it changes nothing else".to_owned());
    Ok(Checked {
        at: now,
        order_path: order.path.clone(),
        namespaces: order.namespaces.clone(),
        before,
        after,
        checks,
    })
}

/// `daily (0 1 * * *, kept 168h0m0s)`.
pub fn shown(entry: &Entry) -> String {
    format!(
        "{} ({}, kept {})",
        entry.name,
        entry.schedule,
        entry.ttl.as_deref().unwrap_or("720h0m0s, Velero's default")
    )
}

fn tenant<'a>(spec: &ScheduleRequestSpec, survey: &'a Survey) -> Result<&'a OrderFacts, String> {
    let offered: Vec<&String> = survey
        .permitted
        .iter()
        .filter(|tenant| survey.tenants.contains(tenant))
        .collect();
    let offered = if offered.is_empty() {
        "There is no tenant that you may order schedules for; ask the platform's reviewers for \
         the right."
            .to_owned()
    } else {
        format!("You may order schedules for {}.", list(&offered))
    };
    if !survey.permitted.contains(&spec.tenant) {
        return Err(if survey.tenants.contains(&spec.tenant) {
            format!(
                "You may not order schedules for the tenant {}. {offered}",
                spec.tenant
            )
        } else {
            format!("There is no tenant {}. {offered}", spec.tenant)
        });
    }
    if let Some(fault) = &survey.order_fault {
        return Err(format!(
            "The order of {} cannot be read: {fault}. Have it put right, then ask again.",
            spec.tenant
        ));
    }
    survey.order.as_ref().ok_or_else(|| {
        format!(
            "There is no order for the tenant {}. {offered}",
            spec.tenant
        )
    })
}

/// What the parsers of the chat refuse as well, for requests that were not made there.
fn values(change: &Change) -> Result<(), String> {
    let sentence = |error: &dyn std::fmt::Display| format!("{error}.");
    for name in [Some(&change.name), change.new_name.as_ref()]
        .into_iter()
        .flatten()
    {
        ScheduleName::parse(name).map_err(|error| sentence(&error))?;
    }
    if let Some(cron) = &change.schedule {
        Cron::parse(cron).map_err(|error| sentence(&error))?;
    }
    if let Some(ttl) = &change.ttl {
        Ttl::parse_written(ttl).map_err(|error| {
            format!(
                "`{}` is no duration as an order takes it: {}. Write it as Go does, such as \
                 168h0m0s.",
                error.text, error.why
            )
        })?;
    }
    match change.action {
        Action::Add if change.schedule.is_none() || change.ttl.is_none() => Err(
            "A new schedule needs a time and how long its backups are kept, such as when:\"0 1 * \
             * *\" keep:7d."
                .to_owned(),
        ),
        Action::Add | Action::Remove if change.new_name.is_some() => Err(
            "Only a schedule that is changed can be given a new name, as in `schedule change \
             tenant:poseidon1 name:daily new_name:nightly`."
                .to_owned(),
        ),
        Action::Change
            if change.new_name.is_none() && change.schedule.is_none() && change.ttl.is_none() =>
        {
            Err(
                "A change changes a name, a time or how long backups are kept, as in `schedule \
                 change tenant:poseidon1 name:daily keep:14d`."
                    .to_owned(),
            )
        }
        Action::Add | Action::Change | Action::Remove => Ok(()),
    }
}

/// Velero makes backups' names from a schedule's, and they have to fit a label.
fn fits(spec: &ScheduleRequestSpec) -> Result<(), String> {
    let change = &spec.change;
    let made = match change.action {
        Action::Add => &change.name,
        Action::Change => match &change.new_name {
            Some(new) => new,
            None => return Ok(()),
        },
        Action::Remove => return Ok(()),
    };
    let room = 63_usize.saturating_sub(spec.tenant.len() + 2 + TIMESTAMP);
    if made.len() <= room {
        return Ok(());
    }
    Err(format!(
        "The name {made} is too long: with {}- before it and Velero's timestamp after it, it may \
         have {room} characters, such as nightly.",
        spec.tenant
    ))
}

/// What stands in the order, and what is to stand there.
fn entries(
    spec: &ScheduleRequestSpec,
    order: &OrderFacts,
) -> Result<(Option<Entry>, Option<Entry>), String> {
    let change = &spec.change;
    let found: Vec<&Entry> = named(order, &change.name).collect();
    let taken = |name: &str| {
        named(order, name).next().map(|entry| {
            format!(
                "The tenant {} has a schedule {} already. To change it, say `schedule change \
                 tenant:{} name:{name} when:\"...\" keep:...`; for another one choose another \
                 name, such as {name}-2.",
                spec.tenant,
                shown(entry),
                spec.tenant
            )
        })
    };
    if change.action == Action::Add {
        if let Some(words) = taken(&change.name) {
            return Err(words);
        }
        let after = Entry {
            name: change.name.clone(),
            schedule: change.schedule.clone().unwrap_or_default(),
            ttl: change.ttl.clone(),
        };
        return Ok((None, Some(after)));
    }
    let before = match found.as_slice() {
        [one] => (*one).clone(),
        [] => {
            let names: Vec<&String> = order.entries.iter().map(|entry| &entry.name).collect();
            return Err(format!(
                "The tenant {} has no schedule {}: its order names {}.",
                spec.tenant,
                change.name,
                if names.is_empty() {
                    "none".to_owned()
                } else {
                    list(&names)
                }
            ));
        }
        several => {
            return Err(format!(
                "The order of {} names {} schedules {}, and which one is meant cannot be told. \
                 Have {} put right by hand, then ask again.",
                spec.tenant,
                several.len(),
                change.name,
                order.path
            ));
        }
    };
    if change.action == Action::Remove {
        return Ok((Some(before), None));
    }
    if let Some(new) = change.new_name.as_ref().filter(|new| **new != before.name)
        && let Some(words) = taken(new)
    {
        return Err(words);
    }
    let after = Entry {
        name: change.new_name.clone().unwrap_or(before.name.clone()),
        schedule: change.schedule.clone().unwrap_or(before.schedule.clone()),
        ttl: change.ttl.clone().or_else(|| before.ttl.clone()),
    };
    Ok((Some(before), Some(after)))
}

fn named<'a>(order: &'a OrderFacts, name: &str) -> impl Iterator<Item = &'a Entry> {
    order.entries.iter().filter(move |entry| entry.name == name)
}

/// Who else changes one of the same schedules. Of two requests that are both being
/// checked, the older goes first; one that is past its checks stays.
fn holder(spec: &ScheduleRequestSpec, survey: &Survey, terms: &Terms<'_>) -> Option<String> {
    let mine = schedules_of(&spec.change);
    survey
        .others
        .iter()
        .filter(|other| other.phase.holds_schedule())
        .filter(|other| other.schedules.iter().any(|name| mine.contains(name)))
        .find(|other| goes_first(other, terms))
        .map(|other| {
            format!(
                "The schedule {} is being changed already by the request {}, asked for by {} at \
                 {}. Wait until it has ended, or have it withdrawn: `schedule withdraw {}`.",
                spec.change.name,
                other.name,
                other.requester,
                local(other.created, terms.time_zone),
                other.name
            )
        })
}

fn goes_first(other: &Other, terms: &Terms<'_>) -> bool {
    other.phase != super::Phase::Checking
        || (other.created, other.uid.as_str()) < (terms.created, terms.uid)
}

/// The names of the schedules that a change touches.
pub fn schedules_of(change: &Change) -> Vec<String> {
    [Some(&change.name), change.new_name.as_ref()]
        .into_iter()
        .flatten()
        .cloned()
        .collect()
}

/// Does the order read as the change asks? Says what does not, otherwise.
pub fn reads_as_asked(checked: &Checked, order: Option<&OrderFacts>) -> Result<(), String> {
    let Some(order) = order else {
        return Err(format!("the order {} is gone", checked.order_path));
    };
    if let Some(after) = &checked.after {
        let mut found = named(order, &after.name);
        match (found.next(), found.next()) {
            (Some(one), None) if is_same(one, after) => {}
            (Some(one), None) => {
                return Err(format!("the order has {} instead", shown(one)));
            }
            (Some(_), Some(_)) => {
                return Err(format!(
                    "the order names more than one schedule {}",
                    after.name
                ));
            }
            (None, _) => return Err(format!("the order has no schedule {}", after.name)),
        }
    }
    match unwanted(checked) {
        Some(name) if named(order, name).next().is_some() => {
            Err(format!("the order still has the schedule {name}"))
        }
        _ => Ok(()),
    }
}

/// The name that the order is to have no more.
pub fn unwanted(checked: &Checked) -> Option<&str> {
    let before = checked.before.as_ref()?;
    let stays = checked
        .after
        .as_ref()
        .is_some_and(|after| after.name == before.name);
    (!stays).then_some(before.name.as_str())
}

fn is_same(one: &Entry, other: &Entry) -> bool {
    one.schedule == other.schedule && same_ttl(one.ttl.as_deref(), other.ttl.as_deref())
}

/// Do two durations, written as Go writes them, mean the same?
pub fn same_ttl(one: Option<&str>, other: Option<&str>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => {
            one == other
                || Ttl::parse_written(one)
                    .is_ok_and(|one| Ttl::parse_written(other).is_ok_and(|other| one == other))
        }
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    }
}
