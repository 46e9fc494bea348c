//! Durations as Go writes them (`168h0m0s`), and as people do (`7d`, `2w`).

use std::fmt;

/// A duration of whole seconds, at least one, as Velero takes it for a `ttl`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ttl {
    seconds: u64,
}

/// Why a text is no duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is no duration: {why}; write for example 168h, 7d or 2w", .text.escape_debug())]
pub struct DurationError {
    /// What was given, shortened.
    pub text: String,
    pub why: &'static str,
}

impl Ttl {
    /// Reads a duration from a person: Go's units, and `d` and `w` as 24 and 168 hours.
    ///
    /// # Errors
    /// What is no duration, is not positive, or has parts of a second.
    pub fn parse(text: &str) -> Result<Self, DurationError> {
        Self::read(text.trim(), true)
    }

    /// Reads a duration as it is written in an order: Go's units only.
    ///
    /// # Errors
    /// As [`Ttl::parse`].
    pub fn parse_written(text: &str) -> Result<Self, DurationError> {
        Self::read(text, false)
    }

    /// Its length in seconds.
    pub fn seconds(self) -> u64 {
        self.seconds
    }

    fn read(text: &str, people: bool) -> Result<Self, DurationError> {
        let refuse = |why| DurationError {
            text: text.chars().take(40).collect(),
            why,
        };
        let nanoseconds = nanoseconds(text, people).map_err(refuse)?;
        if nanoseconds <= 0 {
            return Err(refuse("it must be longer than nothing"));
        }
        if nanoseconds % SECOND != 0 {
            return Err(refuse("it must be whole seconds"));
        }
        let seconds = u64::try_from(nanoseconds / SECOND).map_err(|_| refuse("it is too long"))?;
        Ok(Self { seconds })
    }
}

impl fmt::Display for Ttl {
    /// As Go prints it: `168h0m0s`, `1m30s`, `5s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (hours, minutes, seconds) = (
            self.seconds / 3600,
            self.seconds / 60 % 60,
            self.seconds % 60,
        );
        if hours > 0 {
            write!(f, "{hours}h")?;
        }
        if self.seconds >= 60 {
            write!(f, "{minutes}m")?;
        }
        write!(f, "{seconds}s")
    }
}

const SECOND: i128 = 1_000_000_000;

/// Go's `time.ParseDuration`, to the nanosecond; with `people` also `d` and `w`.
pub(super) fn nanoseconds(text: &str, people: bool) -> Result<i128, &'static str> {
    let (negative, mut rest) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err("it is empty");
    }
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let whole_end = digits(rest);
        let (whole, after) = rest.split_at(whole_end);
        let (fraction, after) = match after.strip_prefix('.') {
            Some(after) => after.split_at(digits(after)),
            None => ("", after),
        };
        if whole.is_empty() && fraction.is_empty() {
            return Err("a number with a unit is expected");
        }
        let unit_end = after
            .find(|character: char| character == '.' || character.is_ascii_digit())
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_end);
        let size: i128 = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => SECOND,
            "m" => 60 * SECOND,
            "h" => 3600 * SECOND,
            "d" if people => 24 * 3600 * SECOND,
            "w" if people => 168 * 3600 * SECOND,
            "" => return Err("a unit is missing"),
            "d" | "w" => return Err("Go knows no days and no weeks"),
            _ => return Err("its unit is unknown"),
        };
        let long = "it is longer than 292 years";
        if whole.len() > 19 {
            return Err(long);
        }
        let whole: i128 = if whole.is_empty() {
            0
        } else {
            whole.parse().map_err(|_| long)?
        };
        // Beyond 18 digits nothing is left of a nanosecond.
        let fraction = &fraction[..fraction.len().min(18)];
        let part: i128 = if fraction.is_empty() {
            0
        } else {
            fraction.parse().map_err(|_| long)?
        };
        let scale = 10_i128.pow(u32::try_from(fraction.len()).unwrap_or(18));
        total += whole * size + part * size / scale;
        if total > i128::from(i64::MAX) {
            return Err(long);
        }
        rest = after;
    }
    Ok(if negative { -total } else { total })
}

fn digits(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_digit).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_go_and_people_write() {
        for (text, written) in [
            ("168h0m0s", "168h0m0s"),
            ("168h", "168h0m0s"),
            ("7d", "168h0m0s"),
            ("2w", "336h0m0s"),
            ("1w2d3h4m5s", "219h4m5s"),
            ("1.5h", "1h30m0s"),
            (".5m", "30s"),
            ("1.m", "1m0s"),
            ("+90s", "1m30s"),
            ("1000ms", "1s"),
            (" 24h ", "24h0m0s"),
            ("60000000µs", "1m0s"),
        ] {
            let ttl = Ttl::parse(text).unwrap();
            assert_eq!(ttl.to_string(), written, "{text}");
            assert_eq!(Ttl::parse_written(written), Ok(ttl));
        }
    }

    #[test]
    fn refuses_what_is_none() {
        for text in [
            "",
            "0",
            "0s",
            "-1h",
            "1",
            "h",
            "1x",
            "7 d",
            "1h 2m",
            ".h",
            "1..5h",
            "1e3s",
            "1500ms",
            "1h\n",
            "99999999999999999999h",
            "3000000h",
            "١h",
            "7D",
            "1hour",
            "\"1h\"",
            "{{1h}}",
            "-",
            "+",
            "1h-2m",
        ] {
            if text != "1h\n" {
                let error = Ttl::parse(text).expect_err(text).to_string();
                assert!(error.contains("168h"), "{error}");
                assert!(!error.contains('\n'));
            }
            assert!(Ttl::parse_written(text).is_err(), "{text}");
        }
        assert!(Ttl::parse_written("7d").is_err());
    }
}
