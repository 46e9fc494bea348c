//! The reason that a person gives.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::value::{ValueError, as_text};

/// Why somebody asks or refuses: 1 to 1,000 characters on one line.
///
/// Parsing cleans rather than refuses: runs of white space, line breaks included, become one space; control
/// characters, characters that turn the direction of the text, and invisible ones (zero-width, fillers, tags,
/// variation selectors) are left out. The cleaned text is what is kept, so what a reviewer reads is all there is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Reason(String);
as_text!(Reason);

impl Reason {
    /// The greatest length, in characters.
    pub const MOST: usize = 1000;
}

impl FromStr for Reason {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let text = one_line(text);
        match text.chars().count() {
            0 => Err(ValueError::new(
                "it is empty",
                "Say in a few words why, for example `the migration broke the orders`",
            )),
            1..=Self::MOST => Ok(Self(text)),
            count => Err(ValueError::new(
                &format!("it has {count} characters"),
                &format!(
                    "Up to {} fit, so keep to what the reviewer needs",
                    Self::MOST
                ),
            )),
        }
    }
}

/// The text without invisible characters, on one line, with single spaces.
pub(crate) fn one_line(text: &str) -> String {
    let visible: String = text.chars().filter(|&c| !is_invisible(c)).collect();
    visible.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether a character shows nothing by itself, or changes how others are shown. White space is not meant.
pub(crate) fn is_invisible(c: char) -> bool {
    if c.is_whitespace() {
        return false;
    }
    c.is_control()
        || matches!(c,
            '\u{00ad}' | '\u{034f}' | '\u{061c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{2800}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_cleaned_to_one_visible_line() {
        let reason: Reason = "  bad\u{202e} migration\r\n\tof\u{a0}orders\u{200b}\u{7} "
            .parse()
            .unwrap();
        assert_eq!(reason.as_str(), "bad migration of orders");
        assert_eq!(reason.as_str().parse::<Reason>().unwrap(), reason);
    }

    #[test]
    fn a_reason_has_bounds() {
        assert!("".parse::<Reason>().is_err());
        assert!(" \u{200b}\n".parse::<Reason>().is_err());
        assert!("ä".repeat(1000).parse::<Reason>().is_ok());
        insta::assert_snapshot!("ä".repeat(1001).parse::<Reason>().unwrap_err(), @"it has 1001 characters. Up to 1000 fit, so keep to what the reviewer needs");
    }

    #[test]
    fn serde_reads_and_checks_strings() {
        use serde::de::IntoDeserializer;
        use serde::de::value::{Error, StringDeserializer};
        let read = |text: &str| {
            let from: StringDeserializer<Error> = text.to_owned().into_deserializer();
            Reason::deserialize(from)
        };
        assert_eq!(read(" late ").unwrap().as_str(), "late");
        assert!(read("").is_err());
    }
}
