//! When two states are the same.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash, Hasher};

use jiff::Timestamp;

/// The model's policy has bounds of a second and of half an hour, and none between.
const LATE: i64 = 25 * 60;

/// A digest of a text in which moments stand for their distance from `now`.
pub(super) fn digest(text: &str, now: Timestamp) -> u128 {
    let mut plain = String::with_capacity(text.len());
    let mut moments = Vec::new();
    let mut rest = text;
    while let Some((before, moment, after)) = next_moment(rest) {
        plain.push_str(before);
        plain.push('\0');
        moments.push(moment);
        rest = after;
    }
    plain.push_str(rest);
    let order: BTreeSet<Timestamp> = moments.iter().copied().collect();
    for moment in moments {
        let seconds = now.duration_since(moment).as_secs();
        let class = match seconds {
            ..0 => 'p',
            0..LATE => 'f',
            _ => 'L',
        };
        let rank = order.iter().position(|other| *other == moment).unwrap_or(0);
        let _ = write!(plain, " {class}{rank}");
    }
    let half = |seed: u64| {
        let mut hasher = DefaultHasher::new();
        seed.hash(&mut hasher);
        plain.hash(&mut hasher);
        u128::from(hasher.finish())
    };
    half(1) << 64 | half(2)
}

/// The text before the next moment in it, the moment, and the text behind it.
fn next_moment(text: &str) -> Option<(&str, Timestamp, &str)> {
    let mut from = 0;
    loop {
        let at = from + text.get(from..)?.find("20")?;
        let candidate = text.get(at..)?;
        let bytes = candidate.as_bytes();
        if bytes.len() > 19
            && bytes[4] == b'-'
            && bytes[10] == b'T'
            && let Some(end) = candidate.find('Z')
            && end < 32
            && let Ok(moment) = candidate[..=end].parse()
        {
            return Some((&text[..at], moment, &candidate[end + 1..]));
        }
        from = at + 2;
    }
}
