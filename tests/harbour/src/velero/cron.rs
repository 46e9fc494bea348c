//! Cron expressions as Velero reads them: five fields, `@daily` and its like,
//! `@every 6h`, a `CRON_TZ=` or `TZ=` prefix. Errors are worded as Velero's.

use std::time::Duration;

use jiff::Timestamp;
use jiff::ToSpan;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};

use super::objects::go_duration;

/// When a schedule runs.
#[derive(Clone, Debug)]
pub(super) struct Cron {
    zone: TimeZone,
    when: When,
}

#[derive(Clone, Debug)]
enum When {
    Every(Duration),
    At {
        minutes: Field,
        hours: Field,
        days: Field,
        months: Field,
        weekdays: Field,
    },
}

/// The values that a field allows, as bits.
#[derive(Clone, Copy, Debug)]
struct Field {
    bits: u64,
    /// Written as `*` or `?`.
    any: bool,
}

impl Field {
    fn has(self, value: i8) -> bool {
        u32::try_from(value).is_ok_and(|value| value < 64 && self.bits & (1 << value) != 0)
    }
}

/// A field's smallest and largest value, and its names.
struct Bounds {
    low: u32,
    high: u32,
    names: &'static [&'static str],
}

const MINUTES: Bounds = Bounds {
    low: 0,
    high: 59,
    names: &[],
};
const HOURS: Bounds = Bounds {
    low: 0,
    high: 23,
    names: &[],
};
const DAYS: Bounds = Bounds {
    low: 1,
    high: 31,
    names: &[],
};
const MONTHS: Bounds = Bounds {
    low: 1,
    high: 12,
    names: &[
        "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
    ],
};
const WEEKDAYS: Bounds = Bounds {
    low: 0,
    high: 6,
    names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
};

impl Cron {
    /// Reads an expression; the error is a Schedule's `validationErrors` entry.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("Schedule must be a non-empty valid Cron expression".to_owned());
        }
        parse(text).map_err(|error| format!("invalid schedule: {error}"))
    }

    /// The first run after a time; `None` if there is none in five years.
    pub(super) fn next(&self, after: Timestamp) -> Option<Timestamp> {
        let When::At {
            minutes,
            hours,
            days,
            months,
            weekdays,
        } = &self.when
        else {
            let When::Every(every) = self.when else {
                return None;
            };
            let whole = Timestamp::from_second(after.as_second()).ok()?;
            return whole.checked_add(every).ok();
        };
        let start = after.to_zoned(self.zone.clone()).datetime();
        let mut date = start.date();
        for _ in 0..5 * 366 {
            let weekday = weekdays.has(date.weekday().to_sunday_zero_offset());
            let day = days.has(date.day());
            let matches = if days.any || weekdays.any {
                day && weekday
            } else {
                day || weekday
            };
            if matches && months.has(date.month()) {
                for hour in (0..24).filter(|hour| hours.has(*hour)) {
                    let coming = (0..60)
                        .filter(|minute| minutes.has(*minute))
                        .flat_map(|minute| self.instants(date.at(hour, minute, 0, 0)))
                        .filter(|at| *at > after)
                        .min();
                    if coming.is_some() {
                        return coming;
                    }
                }
            }
            date = date.checked_add(1.day()).ok()?;
        }
        None
    }

    /// The instants of a local time: none if a change of clocks skips it, two if
    /// the clocks show it twice.
    fn instants(&self, at: DateTime) -> Vec<Timestamp> {
        let ambiguous = self.zone.to_ambiguous_timestamp(at);
        match ambiguous.offset() {
            AmbiguousOffset::Gap { .. } => Vec::new(),
            AmbiguousOffset::Unambiguous { offset } => {
                offset.to_timestamp(at).into_iter().collect()
            }
            AmbiguousOffset::Fold { before, after } => [before, after]
                .into_iter()
                .filter_map(|offset| offset.to_timestamp(at).ok())
                .collect(),
        }
    }
}

fn parse(text: &str) -> Result<Cron, String> {
    let mut rest = text;
    let mut zone = TimeZone::UTC;
    if let Some(named) = rest
        .strip_prefix("CRON_TZ=")
        .or_else(|| rest.strip_prefix("TZ="))
    {
        let (name, tail) = named.split_once(' ').unwrap_or((named, ""));
        zone = TimeZone::get(name)
            .map_err(|_| format!("provided bad location {name}: unknown time zone {name}"))?;
        rest = tail.trim();
    }
    if rest.starts_with('@') {
        return Ok(Cron {
            zone,
            when: descriptor(rest)?,
        });
    }
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let [minutes, hours, days, months, weekdays] = fields[..] else {
        return Err(format!(
            "expected exactly 5 fields, found {}: [{}]",
            fields.len(),
            fields.join(" ")
        ));
    };
    let when = When::At {
        minutes: field(minutes, &MINUTES)?,
        hours: field(hours, &HOURS)?,
        days: field(days, &DAYS)?,
        months: field(months, &MONTHS)?,
        weekdays: field(weekdays, &WEEKDAYS)?,
    };
    Ok(Cron { zone, when })
}

fn descriptor(text: &str) -> Result<When, String> {
    let at = |fields: &str| parse(fields).map(|cron| cron.when);
    match text {
        "@yearly" | "@annually" => at("0 0 1 1 *"),
        "@monthly" => at("0 0 1 * *"),
        "@weekly" => at("0 0 * * 0"),
        "@daily" | "@midnight" => at("0 0 * * *"),
        "@hourly" => at("0 * * * *"),
        _ => match text.strip_prefix("@every ") {
            Some(every) => match go_duration(every) {
                Some(every) => Ok(When::Every(Duration::from_secs(every.as_secs().max(1)))),
                None => Err(format!(
                    "failed to parse duration {text}: time: invalid duration {every:?}"
                )),
            },
            None => Err(format!("unrecognized descriptor: {text}")),
        },
    }
}

fn field(text: &str, bounds: &Bounds) -> Result<Field, String> {
    let mut whole = Field {
        bits: 0,
        any: false,
    };
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let part = range(part, bounds)?;
        whole.bits |= part.bits;
        whole.any |= part.any;
    }
    Ok(whole)
}

fn range(text: &str, bounds: &Bounds) -> Result<Field, String> {
    let stepped: Vec<&str> = text.split('/').collect();
    let ends: Vec<&str> = stepped[0].split('-').collect();
    let mut any = false;
    let (low, mut high) = if matches!(ends[0], "*" | "?") {
        any = true;
        (bounds.low, bounds.high)
    } else {
        match ends[..] {
            [only] => {
                let only = value(only, bounds)?;
                (only, only)
            }
            [low, high] => (value(low, bounds)?, value(high, bounds)?),
            _ => return Err(format!("too many hyphens: {text}")),
        }
    };
    let step = match stepped[..] {
        [_] => 1,
        [_, step] => {
            if ends.len() == 1 {
                high = bounds.high;
            }
            let step = number(step)?;
            any &= step <= 1;
            step
        }
        _ => return Err(format!("too many slashes: {text}")),
    };
    if low < bounds.low {
        return Err(format!(
            "beginning of range ({low}) below minimum ({}): {text}",
            bounds.low
        ));
    }
    if high > bounds.high {
        return Err(format!(
            "end of range ({high}) above maximum ({}): {text}",
            bounds.high
        ));
    }
    if low > high {
        return Err(format!(
            "beginning of range ({low}) beyond end of range ({high}): {text}"
        ));
    }
    if step == 0 {
        return Err(format!("step of range should be a positive number: {text}"));
    }
    let step = usize::try_from(step).unwrap_or(usize::MAX);
    let bits = (low..=high)
        .step_by(step)
        .fold(0, |bits, value| bits | 1 << value);
    Ok(Field { bits, any })
}

fn value(text: &str, bounds: &Bounds) -> Result<u32, String> {
    let lower = text.to_lowercase();
    match bounds.names.iter().position(|name| *name == lower) {
        Some(index) => Ok(u32::try_from(index).unwrap_or(0) + bounds.low),
        None => number(text),
    }
}

fn number(text: &str) -> Result<u32, String> {
    match text.parse::<i64>() {
        Ok(number) if number < 0 => Err(format!("negative number ({number}) not allowed: {text}")),
        Ok(number) => Ok(u32::try_from(number).unwrap_or(u32::MAX)),
        Err(_) => Err(format!(
            "failed to parse int from {text}: strconv.Atoi: parsing {text:?}: invalid syntax"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(expression: &str, after: &str) -> String {
        let after = after.parse().expect("a time");
        let cron = Cron::parse(expression).expect("an expression");
        cron.next(after).expect("a next run").to_string()
    }

    #[test]
    fn next_runs() {
        let monday = "2026-03-02T01:00:00Z";
        for (expression, expected) in [
            ("0 1 * * *", "2026-03-03T01:00:00Z"),
            ("@daily", "2026-03-03T00:00:00Z"),
            ("@every 6h", "2026-03-02T07:00:00Z"),
            ("5/15 * * * *", "2026-03-02T01:05:00Z"),
            ("0 0 ? * MON-FRI", "2026-03-03T00:00:00Z"),
            // Either the day of the month or the day of the week.
            ("0 0 13 * fri", "2026-03-06T00:00:00Z"),
            ("TZ=Europe/Oslo 30 2 29 * *", "2026-04-29T00:30:00Z"),
            ("0 0 29 2 *", "2028-02-29T00:00:00Z"),
            // Skipped in the spring.
            ("TZ=Europe/Oslo 30 2 29 3 *", "2027-03-29T00:30:00Z"),
        ] {
            assert_eq!(next(expression, monday), expected, "{expression}");
        }
    }

    #[test]
    fn a_time_that_the_clocks_show_twice_is_run_twice() {
        let expression = "CRON_TZ=Europe/Oslo 30 2 * * *";
        assert_eq!(
            next(expression, "2026-10-24T12:00:00Z"),
            "2026-10-25T00:30:00Z"
        );
        assert_eq!(
            next(expression, "2026-10-25T00:30:00Z"),
            "2026-10-25T01:30:00Z"
        );
        assert_eq!(
            next(expression, "2026-10-25T01:30:00Z"),
            "2026-10-26T01:30:00Z"
        );
    }

    #[test]
    fn refusals_are_worded_as_by_velero() {
        for (expression, expected) in [
            ("", "Schedule must be a non-empty valid Cron expression"),
            (
                "0 1 * * 7",
                "invalid schedule: end of range (7) above maximum (6): 7",
            ),
            (
                "0 1 * *",
                "invalid schedule: expected exactly 5 fields, found 4: [0 1 * *]",
            ),
            (
                "@often",
                "invalid schedule: unrecognized descriptor: @often",
            ),
            (
                "0 1 L * *",
                "invalid schedule: failed to parse int from L: strconv.Atoi: parsing \"L\": invalid syntax",
            ),
            (
                "5-1 * * * *",
                "invalid schedule: beginning of range (5) beyond end of range (1): 5-1",
            ),
        ] {
            assert_eq!(Cron::parse(expression).expect_err(expression), expected);
        }
    }
}
