//! How long a backup is kept.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::meant::meant;
use crate::value::{ValueError, as_string};

const NANOS: u128 = 1_000_000_000;
const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;

/// The longest duration that Go's `time.Duration` holds, in whole seconds (some 292 years).
const LONGEST: u64 = i64::MAX as u64 / 1_000_000_000;

/// How long a backup is kept (Velero's `ttl`), in whole seconds, more than zero.
///
/// Reads Go durations (`168h0m0s`, `1.5h`) and, beyond Go, days of 24 hours, weeks of 7 days, months of 30 days
/// and years of 365 (`7d`, `4w`, `6 months`, `1 year`, `1w 2d`); a single `m` is a minute, as in Go. Zero is
/// refused, because Velero takes it for "not set" and keeps the backup for 30 days.
///
/// `Display`, and so serde, writes the Go form, which is what an order and a Velero Schedule need.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Ttl(u64);
as_string!(Ttl);

impl Ttl {
    /// The length in seconds.
    pub fn seconds(self) -> u64 {
        self.0
    }

    /// As Go writes it: `168h0m0s`, `30m0s`, `45s`.
    pub fn to_go(self) -> String {
        let (hours, minutes, seconds) = (self.0 / HOUR, self.0 / 60 % 60, self.0 % 60);
        if hours > 0 {
            format!("{hours}h{minutes}m{seconds}s")
        } else if minutes > 0 {
            format!("{minutes}m{seconds}s")
        } else {
            format!("{seconds}s")
        }
    }

    /// As a person says it: `7 days`, `1 day`, `36 hours`; the Go form if it is not whole hours.
    pub fn in_words(self) -> String {
        let count =
            |count: u64, unit: &str| format!("{count} {unit}{}", if count == 1 { "" } else { "s" });
        if self.0.is_multiple_of(DAY) {
            count(self.0 / DAY, "day")
        } else if self.0.is_multiple_of(HOUR) {
            count(self.0 / HOUR, "hour")
        } else {
            self.to_go()
        }
    }
}

impl fmt::Display for Ttl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_go())
    }
}

impl FromStr for Ttl {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let mut rest = text.trim();
        if rest.is_empty() {
            return Err(wrong("it is empty"));
        }
        let mut nanos: u128 = 0;
        while !rest.is_empty() {
            let (number, after) = split(rest, |c| c.is_ascii_digit() || c == '.');
            let (unit, after) = split(after.trim_start(), char::is_alphabetic);
            let part = amount(number)?.checked_mul(unit_nanos(unit)?);
            nanos = part
                .map(|part| part / FRACTION)
                .and_then(|part| nanos.checked_add(part))
                .ok_or_else(|| wrong("it is longer than 292 years"))?;
            rest = after.trim_start();
        }
        if !nanos.is_multiple_of(NANOS) {
            return Err(wrong("it is not a whole number of seconds"));
        }
        match u64::try_from(nanos / NANOS) {
            Ok(0) => Err(wrong("it is zero")),
            Ok(seconds) if seconds <= LONGEST => Ok(Self(seconds)),
            _ => Err(wrong("it is longer than 292 years")),
        }
    }
}

/// Amounts are counted in billionths, to hold what stands after a point.
const FRACTION: u128 = 1_000_000_000;

/// A number with an optional fraction, in units of 1/[`FRACTION`].
fn amount(number: &str) -> Result<u128, ValueError> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty())
        || !digits(fraction)
        || whole.len() > 18
        || fraction.len() > 9
    {
        return Err(wrong("a number is missing or is not one"));
    }
    // Both fit: at most 18 digits each.
    let whole: u128 = format!("0{whole}")
        .parse()
        .map_err(|_| wrong("a number is missing or is not one"))?;
    let fraction: u128 = format!("{fraction:0<9}")
        .parse()
        .map_err(|_| wrong("a number is missing or is not one"))?;
    Ok(whole * FRACTION + fraction)
}

/// The length of a unit in nanoseconds.
fn unit_nanos(unit: &str) -> Result<u128, ValueError> {
    let seconds = match unit.to_lowercase().as_str() {
        "ns" => return Ok(1),
        "us" | "µs" | "μs" => return Ok(1_000),
        "ms" => return Ok(1_000_000),
        "s" | "sec" | "second" | "seconds" => 1,
        "m" | "min" | "minute" | "minutes" => 60,
        "h" | "hour" | "hours" => HOUR,
        "d" | "day" | "days" => DAY,
        "w" | "week" | "weeks" => 7 * DAY,
        "month" | "months" | "mo" => 30 * DAY,
        "y" | "year" | "years" => 365 * DAY,
        "" => return Err(wrong("a unit is missing")),
        other => {
            let meant = meant(
                other,
                [
                    "seconds", "minutes", "hours", "days", "weeks", "months", "years",
                ],
            );
            let meant = meant
                .map(|word| format!(", did you mean `{word}`?"))
                .unwrap_or_default();
            return Err(wrong(&format!(
                "`{}` is no unit of time{meant}",
                crate::meant::shown(other)
            )));
        }
    };
    Ok(u128::from(seconds) * NANOS)
}

fn split(text: &str, belongs: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !belongs(c)).unwrap_or(text.len()))
}

fn wrong(why: &str) -> ValueError {
    ValueError::new(
        why,
        "A time to keep is written like `7d`, `4w`, `6 months` or `168h`",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_go_durations_days_and_weeks() {
        for (text, go) in [
            ("7d", "168h0m0s"),
            ("7 days", "168h0m0s"),
            ("168h0m0s", "168h0m0s"),
            ("168h", "168h0m0s"),
            ("4w", "672h0m0s"),
            ("1w2d", "216h0m0s"),
            ("1w 2d", "216h0m0s"),
            ("1.5h", "1h30m0s"),
            (".5h", "30m0s"),
            ("1.h", "1h0m0s"),
            ("30m1h", "1h30m0s"),
            ("45s", "45s"),
            ("90s", "1m30s"),
            ("1000ms", "1s"),
            ("7D", "168h0m0s"),
            ("6 months", "4320h0m0s"),
            ("1 month", "720h0m0s"),
            ("1y", "8760h0m0s"),
            ("1 year 6 months", "13080h0m0s"),
            ("2562047h", "2562047h0m0s"),
        ] {
            let ttl: Ttl = text
                .parse()
                .unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(ttl.to_go(), go, "{text}");
            assert_eq!(ttl.to_string().parse::<Ttl>().unwrap(), ttl);
        }
    }

    #[test]
    fn refuses_what_is_no_time_to_keep() {
        for text in [
            "",
            " ",
            "7",
            "d",
            "-7d",
            "+7d",
            "0",
            "0s",
            "0h0m",
            "7x",
            "1..5h",
            "1.5.5h",
            "1e3h",
            "7d,",
            "2562048h",
            "999999999999999999w",
            "9999999999999999999999h",
            "1ms",
            "٧d",
            "7\u{200b}d",
        ] {
            assert!(text.parse::<Ttl>().is_err(), "{text}");
        }
        insta::assert_snapshot!("7 dyas".parse::<Ttl>().unwrap_err(), @"`dyas` is no unit of time, did you mean `days`? A time to keep is written like `7d`, `4w`, `6 months` or `168h`");
        insta::assert_snapshot!("7".parse::<Ttl>().unwrap_err(), @"a unit is missing. A time to keep is written like `7d`, `4w`, `6 months` or `168h`");
    }

    #[test]
    fn says_it_in_words() {
        let words = |text: &str| text.parse::<Ttl>().unwrap().in_words();
        assert_eq!(words("168h"), "7 days");
        assert_eq!(words("24h"), "1 day");
        assert_eq!(words("36h"), "36 hours");
        assert_eq!(words("90m"), "1h30m0s");
    }
}
