//! Which backup is meant, and whether it can be restored (S5).

use jiff::Timestamp;
use refloat_commands::Day;

use super::{Backup, Check, CheckState, OrderView, Results, Survey, Terms, list, local};
use crate::request::guard::{Guard, holds};
use crate::request::names;
use crate::request::resource::RestoreRequestSpec;

/// A name as a label value: what is longer than 63 characters becomes its first
/// 57 and 6 hexadecimal digits of its sha256, as Velero does it.
pub fn label_value(name: &str) -> String {
    use sha2::{Digest, Sha256};
    if name.len() <= 63 {
        return name.to_owned();
    }
    let digest = crate::request::inventory::hex(&Sha256::digest(name.as_bytes()));
    let mut end = 57;
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{}", &name[..end], &digest[..6])
}

/// The one backup that the request means.
pub(super) fn choose<'a>(
    spec: &RestoreRequestSpec,
    survey: &'a Survey,
    order: &OrderView,
    terms: &Terms<'_>,
    now: Timestamp,
) -> Result<&'a Backup, String> {
    // The platform's own backups name no namespace, or also such as are not the
    // tenant's; a tenant restores only from what was made for its namespaces by name.
    let holds_all = |backup: &Backup| {
        spec.namespaces.iter().all(|namespace| {
            backup.included.contains(namespace) && !backup.excluded.contains(namespace)
        })
    };
    let mine: Vec<&Backup> = survey
        .backups
        .iter()
        .filter(|backup| holds_all(backup) && strangers(spec, order, backup).is_empty())
        .collect();
    let usable = |backup: &Backup| usable(backup, survey, terms, now);
    let by_start = |backup: &&&Backup| backup.started_at;
    // A safety backup holds what somebody wanted to be rid of: only its name means it.
    let unnamed = |backup: &&&Backup| !names::is_safety_backup(&backup.name);
    let day = spec
        .source
        .day
        .as_deref()
        .map(|day| {
            day.parse::<Day>()
                .map_err(|error| format!("The day {day:?} is not understood: {error}"))
        })
        .transpose()?;
    // "Yesterday" is said on the day of the request, whenever it is checked.
    let today = terms.created.to_zoned(terms.time_zone.clone()).date();
    let good = || {
        mine.iter()
            .filter(unnamed)
            .filter(|backup| usable(backup).is_ok() && is_whole(backup))
    };
    let wanted_at = day.as_ref().and_then(|day| middle_of(day, today, terms));
    let nearest = match wanted_at {
        Some(wanted) => good().min_by_key(|backup| {
            backup.started_at.map_or(jiff::SignedDuration::MAX, |at| {
                at.duration_since(wanted).abs()
            })
        }),
        None => good().max_by_key(by_start),
    };
    let instead = nearest.map_or_else(
        || format!("There is no usable backup of {}.", list(&spec.namespaces)),
        |backup| {
            format!(
                "The {} usable one is {} of {}.",
                if wanted_at.is_some() {
                    "nearest"
                } else {
                    "latest"
                },
                backup.name,
                backup.started_at.map_or_else(
                    || "unknown time".to_owned(),
                    |at| local(at, terms.time_zone)
                )
            )
        },
    );

    let wanted_schedule = spec.source.schedule.as_ref();
    if let Some(schedule) = wanted_schedule
        && !order.schedules.contains(schedule)
    {
        return Err(if order.schedules.is_empty() {
            format!(
                "The tenant {} has no backup schedule in its order, and so none called {schedule}. {instead}",
                spec.tenant
            )
        } else {
            format!(
                "The tenant {} has no schedule {schedule}: its order names {}.",
                spec.tenant,
                list(&order.schedules)
            )
        });
    }
    let schedule_label =
        wanted_schedule.map(|schedule| label_value(&format!("{}-{schedule}", spec.tenant)));
    let of_schedule = |backup: &Backup| {
        schedule_label
            .as_ref()
            .is_none_or(|label| backup.schedule.as_ref() == Some(label))
    };

    if let Some(name) = &spec.source.backup {
        let Some(backup) = survey.backups.iter().find(|backup| backup.name == *name) else {
            return Err(format!("There is no backup {name}. {instead}"));
        };
        let strangers = strangers(spec, order, backup);
        if holds_all(backup) && !strangers.is_empty() {
            return Err(format!(
                "The backup {name} is the platform's own: it holds {} besides, and only the platform team restores \
                 from it. {instead}",
                list(&strangers.iter().take(5).collect::<Vec<_>>())
            ));
        }
        if !mine.iter().any(|other| other.name == *name) {
            return Err(format!(
                "The backup {name} does not hold {}. {instead}",
                list(&spec.namespaces)
            ));
        }
        if !of_schedule(backup) {
            return Err(format!(
                "The backup {name} was not made by the schedule {}. {instead}",
                wanted_schedule.map_or("", String::as_str)
            ));
        }
        return usable(backup)
            .map(|()| backup)
            .map_err(|why| format!("The backup {name} cannot be restored: {why}. {instead}"));
    }

    let on_day = |backup: &Backup| {
        let Some(at) = backup.started_at else {
            return false;
        };
        day.as_ref().is_none_or(|day| {
            let at = at.to_zoned(terms.time_zone.clone());
            day.range(today).is_none_or(|moment| {
                moment.date == at.date()
                    && moment
                        .time
                        .is_none_or(|time| (time.hour(), time.minute()) == (at.hour(), at.minute()))
            })
        })
    };
    let named: Vec<&&Backup> = mine
        .iter()
        .filter(unnamed)
        .filter(|backup| of_schedule(backup) && on_day(backup))
        .collect();
    if let Some(best) = named
        .iter()
        .filter(|backup| usable(backup).is_ok() && is_whole(backup))
        .max_by_key(|backup| backup.started_at)
    {
        return Ok(best);
    }
    let what = match (wanted_schedule, &spec.source.day) {
        (Some(schedule), Some(day)) => format!("of the schedule {schedule} for {day}"),
        (Some(schedule), None) => format!("of the schedule {schedule}"),
        (None, Some(day)) => format!("for {day}"),
        (None, None) => format!("of {}", list(&spec.namespaces)),
    };
    let unusable = named.iter().max_by_key(|backup| backup.started_at);
    let why = unusable.and_then(|backup| match usable(backup) {
        Err(why) => Some((backup, why)),
        Ok(()) if !is_whole(backup) => Some((
            backup,
            format!(
                "it is PartiallyFailed, and parts of it are missing; to have it all the same, ask \
                 for `backup:{}`, to which a reviewer has to consent",
                backup.name
            ),
        )),
        Ok(()) => None,
    });
    Err(match why {
        Some((backup, why)) => format!(
            "There is no usable backup {what}: {} cannot be restored, {why}. {instead}",
            backup.name
        ),
        None => format!("There is no backup {what}. {instead}"),
    })
}

/// The namespaces in a backup that are not the tenant's. A schedule of the order may hold such as the order has
/// no more, if they are called after the tenant.
fn strangers<'a>(
    spec: &RestoreRequestSpec,
    order: &OrderView,
    backup: &'a Backup,
) -> Vec<&'a String> {
    let ordered = backup.schedule.as_ref().is_some_and(|label| {
        order
            .schedules
            .iter()
            .any(|name| label_value(&format!("{}-{name}", spec.tenant)) == *label)
    });
    backup
        .included
        .iter()
        .filter(|name| {
            let former = ordered
                && name
                    .strip_prefix(spec.tenant.as_str())
                    .is_some_and(|rest| rest.starts_with('-'));
            !(order.namespaces.contains(name) || former)
        })
        .collect()
}

/// Why a backup cannot be restored (S5).
fn usable(
    backup: &Backup,
    survey: &Survey,
    terms: &Terms<'_>,
    now: Timestamp,
) -> Result<(), String> {
    if !holds(Guard::S5) {
        return Ok(());
    }
    if backup.deleting {
        return Err("it is being deleted".to_owned());
    }
    match backup.phase.as_str() {
        // A part of what it should hold is missing: only by its name, and with consent.
        "Completed" | "PartiallyFailed" => {}
        "" | "New" | "InProgress" | "Finalizing" => {
            return Err("it has not been completed yet".to_owned());
        }
        phase => return Err(format!("its phase is {phase}")),
    }
    if backup.started_at.is_none() {
        return Err("it has no start time".to_owned());
    }
    if let Some(expires) = backup.expires_at
        && expires.duration_since(now) < terms.backup_must_outlive
    {
        return Err(format!(
            "it expires at {}, which is too soon",
            local(expires, terms.time_zone)
        ));
    }
    match survey
        .locations
        .iter()
        .find(|location| location.name == backup.location)
    {
        None => Err(format!(
            "its storage location {} does not exist",
            backup.location
        )),
        Some(location) if location.phase != "Available" => Err(format!(
            "its storage location {} is {}",
            location.name,
            if location.phase.is_empty() {
                "not checked yet"
            } else {
                &location.phase
            }
        )),
        Some(_) => Ok(()),
    }
}

/// Nothing of what it should hold is missing.
fn is_whole(backup: &Backup) -> bool {
    backup.phase == "Completed"
}

/// The middle of what a day means, to find what is nearest to it.
fn middle_of(day: &Day, today: jiff::civil::Date, terms: &Terms<'_>) -> Option<Timestamp> {
    let moment = day.range(today)?;
    let time = moment
        .time
        .unwrap_or(jiff::civil::Time::constant(12, 0, 0, 0));
    moment
        .date
        .to_datetime(time)
        .to_zoned(terms.time_zone.clone())
        .ok()
        .map(|zoned| zoned.timestamp())
}

/// Tells of the backup that was chosen.
pub(super) fn told(backup: &Backup, terms: &Terms<'_>, results: &mut Results) {
    let words = format!(
        "{} of {}, {}",
        backup.name,
        backup.started_at.map_or_else(
            || "unknown time".to_owned(),
            |at| local(at, terms.time_zone)
        ),
        backup.expires_at.map_or_else(
            || "does not expire".to_owned(),
            |at| format!("kept until {}", local(at, terms.time_zone))
        )
    );
    if is_whole(backup) {
        results.passed(Check::Backup, words);
    } else {
        results.add(
            Check::Backup,
            CheckState::NeedsConsent,
            format!("{words}; it is PartiallyFailed: parts of it are missing"),
        );
    }
    results.passed(
        Check::StorageLocation,
        format!("{} is Available", backup.location),
    );
}
