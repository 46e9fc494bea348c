//! What is so now that people should know of. Pure.

use std::collections::{BTreeMap, HashMap};

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::facts::{Backup, Facts, Schedule, WaitsFor};
use super::policy::Policy;
use crate::chat::put;
use crate::order::Cron;
use crate::request::preflight::{label_value, local};
use crate::schedule_times::longest_gap;

/// Whose concern it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Audience {
    Tenant(String),
    Reviewers,
}

/// Something that people should know of.
#[derive(Clone, Debug, PartialEq)]
pub struct Concern {
    /// The same for as long as it is the same: a kind and a name.
    pub key: String,
    pub audience: Audience,
    /// A sentence. What people or the cluster wrote in it is as they wrote it.
    pub text: String,
    /// What is said when it is over; `None` for what happened once, and is never over.
    pub over: Option<String>,
}

/// A backup that failed longer ago is nobody's news, and need not be remembered as told: what people were told
/// is kept in one object of the cluster, which must not grow without end.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(14 * 24);

/// How many of Velero's reasons are told.
const REASONS: usize = 3;

/// Everything that is of concern. `began`: when people were first told of anything;
/// backups that had ended long before are nobody's news.
pub fn concerns(facts: &Facts, policy: &Policy, began: Timestamp, now: Timestamp) -> Vec<Concern> {
    let mut found = Vec::new();
    for backup in &facts.backups {
        found.extend(bad_backup(backup, began, policy, now));
    }
    let mut last_good: HashMap<&str, Timestamp> = HashMap::new();
    for backup in facts.backups.iter().filter(|backup| backup.is_good()) {
        if let Some((schedule, at)) = backup.schedule.as_deref().zip(backup.started_at) {
            let last = last_good.entry(schedule).or_insert(at);
            *last = (*last).max(at);
        }
    }
    for schedule in &facts.schedules {
        let last = last_good.get(label_value(&schedule.name).as_str()).copied();
        found.extend(refused(schedule).or_else(|| missed(schedule, last, policy, now)));
    }
    found.extend(expiring(facts, policy, now));
    for location in &facts.locations {
        // A new location has no phase until Velero has looked.
        if location.phase == "Unavailable" {
            found.push(Concern {
                key: format!("location-{}", location.name),
                audience: Audience::Reviewers,
                text: format!(
                    "Velero cannot reach the storage location {}{}: no backup can be taken there \
                     or restored from there.",
                    location.name,
                    reason(&location.message)
                ),
                over: Some(format!(
                    "The storage location {} is available again.",
                    location.name
                )),
            });
        }
    }
    for off in &facts.self_heal_off {
        if now.duration_since(off.since) >= policy.self_heal_off {
            found.push(Concern {
                key: format!("self-heal-{}", off.request),
                audience: Audience::Tenant(off.tenant.clone()),
                text: format!(
                    "Self-heal of the tenant {} has been off since {}, for the restore {}.",
                    off.tenant,
                    local(off.since, &policy.time_zone),
                    off.request
                ),
                over: Some(format!(
                    "Self-heal of the tenant {} is back; the restore {} needed it off.",
                    off.tenant, off.request
                )),
            });
        }
    }
    for waiting in &facts.waiting {
        if now.duration_since(waiting.since) >= policy.waits_long {
            let (kind, for_what) = match waiting.for_what {
                WaitsFor::Approval => ("approval", "a reviewer's approval"),
                WaitsFor::Choice => ("choice", "somebody to choose how to go on"),
            };
            found.push(Concern {
                // It may wait more than once.
                key: format!(
                    "waits-{kind}-{}-{}",
                    waiting.request,
                    waiting.since.as_second()
                ),
                audience: Audience::Reviewers,
                text: format!(
                    "The request {} of the tenant {} waits for {for_what} since {}.",
                    waiting.request,
                    waiting.tenant,
                    local(waiting.since, &policy.time_zone)
                ),
                over: Some(format!(
                    "The request {} waits no more for {for_what}.",
                    waiting.request
                )),
            });
        }
    }
    // Of one key there is one concern, whatever the cluster holds.
    found.sort_by(|one, other| one.key.cmp(&other.key));
    found.dedup_by(|one, other| one.key == other.key);
    found
}

fn audience(tenant: Option<&String>) -> Audience {
    tenant.map_or(Audience::Reviewers, |tenant| {
        Audience::Tenant(tenant.clone())
    })
}

fn bad_backup(
    backup: &Backup,
    began: Timestamp,
    policy: &Policy,
    now: Timestamp,
) -> Option<Concern> {
    // A refused one never starts; it has no end but that it is there.
    let ended = backup.ended_at.or(backup.started_at);
    let old = ended.is_some_and(|at| {
        at.duration_since(began) < -SignedDuration::from_hours(24)
            || now.duration_since(at) > REMEMBERED
    });
    if !backup.is_bad() || old {
        return None;
    }
    let how = match &*backup.phase {
        "PartiallyFailed" => "failed in part: something is missing in it",
        "FailedValidation" => "was refused by Velero, and holds nothing",
        _ => "failed",
    };
    let reasons: Vec<&str> = backup
        .reasons
        .iter()
        .take(REASONS)
        .map(String::as_str)
        .collect();
    let more = backup.reasons.len().saturating_sub(REASONS);
    let mut why = reasons.join("; ");
    if more > 0 {
        put(&mut why, format_args!("; and {more} more"));
    }
    Some(Concern {
        key: format!("backup-{}", backup.name),
        audience: audience(backup.tenant.as_ref()),
        text: format!(
            "The backup {}{} {how}{}.",
            backup.name,
            ended
                .map(|at| format!(" of {}", local(at, &policy.time_zone)))
                .unwrap_or_default(),
            reason(&why)
        ),
        over: None,
    })
}

fn refused(schedule: &Schedule) -> Option<Concern> {
    (schedule.phase == "FailedValidation").then(|| Concern {
        key: format!("refused-{}", schedule.name),
        audience: audience(schedule.tenant.as_ref()),
        text: format!(
            "Velero refuses the schedule {}{}: it takes no backups.",
            schedule.name,
            reason(&schedule.errors.join("; "))
        ),
        over: Some(format!(
            "The schedule {} is not refused by Velero any more.",
            schedule.name
        )),
    })
}

/// No good backup within the interval and a half.
fn missed(
    schedule: &Schedule,
    last: Option<Timestamp>,
    policy: &Policy,
    now: Timestamp,
) -> Option<Concern> {
    if schedule.paused || schedule.phase != "Enabled" {
        return None;
    }
    let cron = Cron::parse(&schedule.cron).ok()?;
    let since = last.unwrap_or(schedule.created);
    // The widest gap from there on, so that a schedule of workdays is not missed on Sundays.
    let interval = longest_gap(&cron, since, &TimeZone::UTC)?;
    let allowed = SignedDuration::from_secs(interval.saturating_add(interval / 2));
    (now.duration_since(since) > allowed).then(|| Concern {
        key: format!("missed-{}", schedule.name),
        audience: audience(schedule.tenant.as_ref()),
        text: match last {
            Some(at) => format!(
                "The schedule {} ({}) has no good backup since {}.",
                schedule.name,
                schedule.cron,
                local(at, &policy.time_zone)
            ),
            None => format!(
                "The schedule {} ({}) has had no good backup yet; it is there since {}.",
                schedule.name,
                schedule.cron,
                local(schedule.created, &policy.time_zone)
            ),
        },
        over: Some(format!(
            "The schedule {} is not behind any more.",
            schedule.name
        )),
    })
}

/// The newest good backup of a tenant expires soon, and no other of any schedule
/// would be left.
fn expiring(facts: &Facts, policy: &Policy, now: Timestamp) -> Vec<Concern> {
    let mut tenants: BTreeMap<&String, Vec<&Backup>> = BTreeMap::new();
    for backup in facts.backups.iter().filter(|backup| backup.is_good()) {
        if let Some(tenant) = &backup.tenant {
            tenants.entry(tenant).or_default().push(backup);
        }
    }
    tenants
        .into_iter()
        .filter_map(|(tenant, good)| {
            // What never expires is never the last to.
            if good.iter().any(|backup| backup.expires_at.is_none()) {
                return None;
            }
            let last = good.into_iter().max_by_key(|backup| backup.expires_at)?;
            let expires = last.expires_at?;
            let kept = expires.duration_since(last.started_at?);
            // What is kept for hours is not told of for all of them.
            let bound = policy.expires_soon.min(kept / 4);
            let left = expires.duration_since(now);
            (left < bound && left > SignedDuration::ZERO).then(|| Concern {
                key: format!("expiring-{}", last.name),
                audience: Audience::Tenant(tenant.clone()),
                text: format!(
                    "The last good backup of the tenant {tenant}, {}, expires at {}, and there is \
                     no newer one.",
                    last.name,
                    local(expires, &policy.time_zone)
                ),
                over: Some(format!(
                    "{} is not the last good backup of the tenant {tenant} any more, or has \
                     expired.",
                    last.name
                )),
            })
        })
        .collect()
}

/// ` (reason)`, if there is one.
fn reason(why: &str) -> String {
    if why.is_empty() {
        String::new()
    } else {
        format!(" ({why})")
    }
}
