//! Times of day.

use super::tokens::{Token, number};

/// A time of day as it was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Clock {
    pub(super) hour: u32,
    pub(super) minute: u32,
    /// Said so that it has one meaning: with minutes, am or pm, or as noon or midnight. A bare `3` may be
    /// in the afternoon, if a part of the day says so.
    pub(super) exact: bool,
}

/// A time at the beginning of the tokens, and how many tokens it takes. `bare` numbers are times where an
/// `at` came before.
pub(super) fn read(tokens: &[Token], bare: bool) -> Result<Option<(Clock, usize)>, String> {
    let word = |index: usize| tokens.get(index).and_then(Token::word).unwrap_or_default();
    let first = word(0);
    let exact = |hour, minute| Clock {
        hour,
        minute,
        exact: true,
    };
    match first {
        "noon" | "midday" => return Ok(Some((exact(12, 0), 1))),
        "midnight" => return Ok(Some((exact(0, 0), 1))),
        _ => {}
    }
    if let Some((clock, taken)) = beside_the_hour(tokens)? {
        return Ok(Some((clock, taken)));
    }
    let (digits, attached) = match ["a.m", "p.m", "am", "pm"]
        .into_iter()
        .find_map(|half| first.strip_suffix(half).map(|digits| (digits, half)))
    {
        Some((digits, half)) if digits.starts_with(|c: char| c.is_ascii_digit()) => {
            (digits, Some(half))
        }
        _ => (first, None),
    };
    let (half, mut taken) = match (attached, word(1)) {
        (Some(half), _) => (Some(half), 1),
        (None, half @ ("am" | "pm" | "a.m" | "p.m")) => (Some(half), 2),
        (None, _) => (None, 1),
    };
    let half = half.map(|half| half.starts_with('p'));
    let with_minutes = digits.split_once([':', '.', 'h']).filter(|(hour, minute)| {
        minute.len() == 2
            && (1..=2).contains(&hour.len())
            && hour
                .bytes()
                .chain(minute.bytes())
                .all(|b| b.is_ascii_digit())
    });
    let clock = if let Some((hour, minute)) = with_minutes {
        let (Some(hour), Some(minute)) = (number(hour), number(minute)) else {
            return Ok(None);
        };
        exact(hour, minute)
    } else if let Some(value) = number(digits).filter(|_| half.is_some() || bare) {
        if digits.len() == 4 && half.is_none() {
            exact(value / 100, value % 100)
        } else {
            Clock {
                hour: value,
                minute: 0,
                exact: false,
            }
        }
    } else {
        return Ok(None);
    };
    if matches!(word(taken), "o'clock" | "oclock" | "o\u{2019}clock" | "hrs") {
        taken += 1;
    }
    Ok(Some((in_half(clock, half, first)?, taken)))
}

/// `half past three`, `quarter to 4`, `10 past 3`.
fn beside_the_hour(tokens: &[Token]) -> Result<Option<(Clock, usize)>, String> {
    let word = |index: usize| tokens.get(index).and_then(Token::word).unwrap_or_default();
    let (minutes, mut taken) = match word(0) {
        "half" => (30, 1),
        "quarter" => (15, 1),
        "a" if word(1) == "quarter" => (15, 2),
        other => match number(other) {
            Some(minutes @ 1..=59) => (minutes, 1),
            _ => return Ok(None),
        },
    };
    if matches!(word(taken), "minutes" | "minute" | "min") {
        taken += 1;
    }
    let past = match word(taken) {
        "past" | "after" => true,
        // `8 to 17` is a span of hours.
        "to" if taken == 2 || matches!(word(0), "quarter") => false,
        _ => return Ok(None),
    };
    let Some(hour @ 0..=23) = number(word(taken + 1)) else {
        return Ok(None);
    };
    taken += 2;
    let (hour, minute) = if past {
        (hour, minutes)
    } else {
        ((hour + 23) % 24, 60 - minutes)
    };
    let clock = Clock {
        hour,
        minute,
        exact: false,
    };
    let half = match word(taken) {
        "am" | "a.m" => Some(false),
        "pm" | "p.m" => Some(true),
        _ => return Ok(Some((clock, taken))),
    };
    Ok(Some((in_half(clock, half, word(taken - 1))?, taken + 1)))
}

/// With am (false) or pm (true) applied, and checked.
fn in_half(clock: Clock, half: Option<bool>, said: &str) -> Result<Clock, String> {
    if clock.minute > 59 || clock.hour > 23 {
        return Err(format!(
            "`{}` is no time of day: hours go from 0 to 23 and minutes from 00 to 59",
            said.escape_debug()
        ));
    }
    let Some(afternoon) = half else {
        return Ok(clock);
    };
    if clock.hour == 0 || clock.hour > 12 {
        return Err(format!(
            "with am and pm, hours go from 1 to 12, and not to {}",
            clock.hour
        ));
    }
    Ok(Clock {
        hour: clock.hour % 12 + if afternoon { 12 } else { 0 },
        minute: clock.minute,
        exact: true,
    })
}
