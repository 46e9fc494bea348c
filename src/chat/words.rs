//! Numbers and moments in words.

use std::fmt::{self, Write as _};

use jiff::{SignedDuration, Timestamp};

/// `12 B`, `1.2 KiB`, `3.4 GiB`.
pub(crate) fn bytes(count: i64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    let count = count.max(0);
    if count < 1024 {
        return format!("{count} B");
    }
    // In tenths of the unit, so that there is no rounding up past it.
    let mut tenths = i128::from(count) * 10 / 1024;
    let mut unit = 0;
    while tenths >= 10 * 1024 && unit + 1 < UNITS.len() {
        tenths /= 1024;
        unit += 1;
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

/// `0.4 s`, `12 s`, `3 min 4 s`, `1 h 2 min`, `2 d 3 h`.
pub(super) fn duration(duration: SignedDuration) -> String {
    let duration = duration.max(SignedDuration::ZERO);
    let seconds = duration.as_secs();
    match seconds {
        0..10 => format!("{}.{} s", seconds, duration.subsec_millis() / 100),
        10..60 => format!("{seconds} s"),
        60..3600 => two(seconds / 60, "min", seconds % 60, "s"),
        3600..86_400 => two(seconds / 3600, "h", seconds / 60 % 60, "min"),
        _ => two(seconds / 86_400, "d", seconds / 3600 % 24, "h"),
    }
}

fn two(big: i64, unit: &str, small: i64, small_unit: &str) -> String {
    if small == 0 {
        format!("{big} {unit}")
    } else {
        format!("{big} {unit} {small} {small_unit}")
    }
}

/// Writes at the end of a text.
pub(crate) fn put(text: &mut String, words: fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = text.write_fmt(words);
}

/// From one moment to another, in words.
pub(crate) fn between(from: Timestamp, to: Timestamp) -> String {
    duration(to.duration_since(from))
}

/// With a full stop at the end, unless there is one.
pub(super) fn sentence(text: &str) -> String {
    if text.ends_with(['.', '!', '?', ')']) || text.is_empty() {
        text.to_owned()
    } else {
        format!("{text}.")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        for (count, words) in [
            (-1, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (1024 * 1024 - 1, "1023.9 KiB"),
            (10 * 1024 * 1024 * 1024, "10.0 GiB"),
            (i64::MAX, "8191.9 PiB"),
        ] {
            assert_eq!(bytes(count), words);
        }
        for (millis, words) in [
            (-5, "0.0 s"),
            (430, "0.4 s"),
            (12_000, "12 s"),
            (60_000, "1 min"),
            (184_000, "3 min 4 s"),
            (3_720_000, "1 h 2 min"),
            (183_600_000, "2 d 3 h"),
        ] {
            assert_eq!(duration(SignedDuration::from_millis(millis)), words);
        }
    }
}
