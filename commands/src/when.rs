//! When a schedule runs, as it was written.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::reason::one_line;
use crate::value::{ValueError, as_text};

/// When a schedule runs: a cron expression (`0 1 * * *`) or plain words (`every night at 3`), 1 to 100
/// characters. Only the text is kept here; whether it means anything is checked by whoever orders the schedule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct When(String);
as_text!(When);

impl FromStr for When {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let text = one_line(text);
        match text.chars().count() {
            1..=100 => Ok(Self(text)),
            0 => Err(ValueError::new(
                "it is empty",
                "Write cron or plain words, for example `0 1 * * *` or `every night at 3`",
            )),
            count => Err(ValueError::new(
                &format!("it has {count} characters"),
                "Up to 100 are taken, for example `0 1 * * *`",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_text() {
        assert_eq!("0  1 * * *".parse::<When>().unwrap().as_str(), "0 1 * * *");
        assert!(" ".parse::<When>().is_err());
        assert!("x".repeat(101).parse::<When>().is_err());
    }
}
