//! Numbers, names and moments in sentences.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// A moment in the platform's time zone, to the minute.
pub fn local(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone())
        .strftime("%Y-%m-%d %H:%M %Z")
        .to_string()
}

/// `a`, `a and b`, `a, b and c`.
pub fn list<T: AsRef<str>>(words: &[T]) -> String {
    match words {
        [] => "nothing".to_owned(),
        [one] => one.as_ref().to_owned(),
        [first @ .., last] => format!(
            "{} and {}",
            first
                .iter()
                .map(AsRef::as_ref)
                .collect::<Vec<_>>()
                .join(", "),
            last.as_ref()
        ),
    }
}

/// `1 object`, `2 objects`.
pub fn count(number: i64, word: &str) -> String {
    if number == 1 {
        format!("1 {word}")
    } else {
        format!("{number} {word}s")
    }
}

pub(super) fn s_if_one<T>(words: &[T]) -> &'static str {
    if words.len() == 1 { "s" } else { "" }
}
