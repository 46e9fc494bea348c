//! What is shown before a schedule is ordered.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::next::{day_matches, has};
use super::{VeleroVersion, Warning, ZoneSupport, next_run, runs, zone};
use crate::order::{Cron, Fields, Times};

/// How near two runs are that get in each other's way, in seconds.
pub(super) const NEAR: i64 = 15 * 60;

/// So many other schedules near a run are a crowd.
const CROWD: usize = 5;

/// How many runs are looked at, for gaps and overlaps.
const LOOKED_AT: usize = 100;

/// More copies than this are not counted.
const MOST_COPIES: u32 = 1000;

/// More often than this is very often, in seconds.
const OFTEN: i64 = 10 * 60;

/// A schedule as it may be ordered.
#[derive(Debug, Clone)]
pub struct Ask<'a> {
    pub cron: &'a Cron,
    /// How long each backup is kept, in seconds.
    pub keep: u64,
    pub now: Timestamp,
    /// The zone of the Velero server, for schedules that name none: UTC.
    pub server: &'a TimeZone,
    /// The tenant's other schedules; leave out the one that is being changed.
    pub others: &'a [Named],
    /// The schedules of everybody else.
    pub everybody: &'a [Cron],
    /// The version that is configured.
    pub velero: Option<VeleroVersion>,
}

/// A schedule and its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    pub name: String,
    pub cron: Cron,
}

/// What will be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    pub cron: Cron,
    /// The next three.
    pub runs: Vec<Timestamp>,
    pub copies: Copies,
    pub warnings: Vec<Warning>,
}

/// How many backups of a schedule there will be at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Copies {
    pub count: u32,
    /// There are more than were counted.
    pub more: bool,
}

/// Why a schedule must not be ordered, though it is cron.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("`{0}` never runs: no such moment comes. Write for example {examples}", examples = super::EXAMPLES)]
    Never(Cron),
    #[error(
        "`{cron}` names the time zone {zone}, which {}: give the time in UTC, without a zone",
        if *.known { "the configured Velero does not know (1.15 and later do)" }
        else { "not every Velero knows, and `velero.version` is not configured" }
    )]
    Zone {
        cron: Cron,
        zone: String,
        known: bool,
    },
    #[error("`{0}` runs more often than once a minute. Write for example {examples}", examples = super::EXAMPLES)]
    TooOften(Cron),
}

/// Works out what a schedule would do.
///
/// # Errors
/// What is not to be ordered at all.
pub fn plan(ask: &Ask<'_>) -> Result<Plan, Refusal> {
    let cron = ask.cron;
    let mut warnings = Vec::new();
    if let Some(name) = &cron.zone {
        match ZoneSupport::of(ask.velero) {
            ZoneSupport::Yes => {}
            ZoneSupport::Perhaps if zone(name) == Some(TimeZone::UTC) => {}
            ZoneSupport::Perhaps => warnings.push(Warning::ZoneMayBeUnknown { zone: name.clone() }),
            support @ (ZoneSupport::No | ZoneSupport::Unknown) => {
                return Err(Refusal::Zone {
                    cron: cron.clone(),
                    zone: name.clone(),
                    known: support == ZoneSupport::No,
                });
            }
        }
    }
    if matches!(cron.times, Times::Every { seconds } if seconds < 60) {
        return Err(Refusal::TooOften(cron.clone()));
    }
    let coming: Vec<Timestamp> = runs(cron, ask.now, ask.server).take(LOOKED_AT).collect();
    let Some(first) = coming.first().copied() else {
        return Err(Refusal::Never(cron.clone()));
    };
    let keep = i64::try_from(ask.keep).unwrap_or(i64::MAX);
    if let Some(gap) = widest(&coming).filter(|gap| keep < *gap) {
        warnings.push(Warning::KeptTooShort { keep, gap });
    }
    warnings.extend(overlaps(ask, &coming));
    warnings.extend(crowd(ask, first));
    match &cron.times {
        Times::Every { .. } => warnings.push(Warning::CountsFromItsStart),
        Times::Fields(fields) => {
            warnings.extend(missing_day(fields));
            warnings.extend(clock_changes(cron, fields, ask.now));
        }
    }
    if let Some(seconds) = narrowest(&coming).filter(|seconds| *seconds < OFTEN) {
        warnings.push(Warning::VeryOften { seconds });
    }
    Ok(Plan {
        cron: cron.clone(),
        copies: copies(cron, first, keep, ask.server),
        runs: coming.into_iter().take(3).collect(),
        warnings,
    })
}

/// The longest time between two of the coming runs, in seconds; `None` if fewer than two come.
pub fn longest_gap(cron: &Cron, now: Timestamp, server: &TimeZone) -> Option<i64> {
    let fields = match &cron.times {
        Times::Every { seconds } => return i64::try_from(*seconds).ok(),
        Times::Fields(fields) => fields,
    };
    // What comes again every day, or every week, need not be looked at for months.
    let every_month = (1..=12).all(|month| has(fields.month, month));
    let until = match (fields.any_day_of_month, fields.any_day_of_week) {
        (true, true) if every_month => now.checked_add(SignedDuration::from_hours(24 * 4)),
        (true, false) if every_month => now.checked_add(SignedDuration::from_hours(24 * 16)),
        _ => Ok(Timestamp::MAX),
    };
    let until = until.unwrap_or(Timestamp::MAX);
    let coming = runs(cron, now, server)
        .take_while(|run| *run < until)
        .take(LOOKED_AT);
    widest(&coming.collect::<Vec<_>>())
}

fn gaps(coming: &[Timestamp]) -> impl Iterator<Item = i64> {
    coming
        .iter()
        .zip(coming.iter().skip(1))
        .map(|(one, next)| next.as_second() - one.as_second())
}

fn widest(coming: &[Timestamp]) -> Option<i64> {
    gaps(coming).max()
}

fn narrowest(coming: &[Timestamp]) -> Option<i64> {
    gaps(coming).min()
}

/// The runs from the first on that are made while the first is kept, itself included.
fn copies(cron: &Cron, first: Timestamp, keep: i64, server: &TimeZone) -> Copies {
    let gone = first.as_second().saturating_add(keep);
    let mut count = 1;
    for run in runs(cron, first, server) {
        if run.as_second() >= gone {
            break;
        }
        if count == MOST_COPIES {
            return Copies { count, more: true };
        }
        count += 1;
    }
    Copies { count, more: false }
}

/// The run of a schedule that is near a moment, if there is one.
fn near(cron: &Cron, at: Timestamp, server: &TimeZone) -> Option<Timestamp> {
    let before = at.checked_sub(SignedDuration::from_secs(NEAR + 1)).ok()?;
    next_run(cron, before, server).filter(|run| run.as_second() - at.as_second() <= NEAR)
}

fn overlaps(ask: &Ask<'_>, coming: &[Timestamp]) -> Vec<Warning> {
    let first = |other: &Named| {
        let at = coming
            .iter()
            .find(|at| near(&other.cron, **at, ask.server).is_some())?;
        Some(Warning::Overlaps {
            name: other.name.clone(),
            at: *at,
        })
    };
    ask.others.iter().filter_map(first).collect()
}

fn crowd(ask: &Ask<'_>, at: Timestamp) -> Option<Warning> {
    let schedules = ask
        .everybody
        .iter()
        .filter(|cron| near(cron, at, ask.server).is_some())
        .count();
    (schedules >= CROWD).then_some(Warning::Crowded { schedules, at })
}

fn missing_day(fields: &Fields) -> Option<Warning> {
    if fields.any_day_of_month || !fields.any_day_of_week {
        return None;
    }
    let in_set = |set: u64, value: u32| set >> value & 1 == 1;
    let shortest = (1..=12)
        .filter(|month| in_set(fields.month, *month))
        .map(|month| match month {
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        })
        .min()?;
    (shortest + 1..=31)
        .find(|day| in_set(fields.day_of_month, *day))
        .map(|day| Warning::DayMissing { day })
}

/// What the next two changes of clocks do to the times.
fn clock_changes(cron: &Cron, fields: &Fields, now: Timestamp) -> Vec<Warning> {
    let Some((name, zone)) = cron
        .zone
        .as_deref()
        .and_then(|name| Some((name, zone(name)?)))
    else {
        return Vec::new();
    };
    // A schedule of every hour runs on in real time.
    if fields.hour == (1 << 24) - 1 {
        return Vec::new();
    }
    let mut warnings = Vec::new();
    for change in zone.following(now).take(2) {
        let at = change.timestamp();
        let Ok(before) = at.checked_sub(SignedDuration::from_secs(1)) else {
            continue;
        };
        let shift = change.offset().seconds() - zone.to_offset(before).seconds();
        // The minutes of the clock that are skipped or shown twice begin where the clock stood, or stands then.
        let from = if shift > 0 {
            zone.to_offset(before).to_datetime(at)
        } else {
            change.offset().to_datetime(at)
        };
        let length = i64::from(shift.abs()) / 60;
        let hit = (0..length).any(|minute| {
            from.checked_add(SignedDuration::from_mins(minute))
                .is_ok_and(|local| {
                    has(fields.hour, local.hour())
                        && has(fields.minute, local.minute())
                        && has(fields.month, local.month())
                        && day_matches(fields, local.date())
                })
        });
        if hit {
            let (day, zone) = (from.date(), name.to_owned());
            warnings.push(if shift > 0 {
                Warning::Skipped { day, zone }
            } else {
                Warning::Twice { day, zone }
            });
        }
    }
    warnings
}
