//! What every value that is kept as text has in common.

use std::fmt;

use crate::meant::shown;

/// Why a text is not a value of the wanted kind, in words for the person who typed it: what is right, with an
/// example.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValueError(String);

impl ValueError {
    /// What is wrong, as the end of a sentence or a question; and what is right, as a sentence without its stop.
    pub(crate) fn new(wrong: &str, right: &str) -> Self {
        let stop = if wrong.ends_with('?') { "" } else { "." };
        Self(format!("{wrong}{stop} {right}"))
    }
}

impl fmt::Display for ValueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ValueError {}

/// Gives a type with `FromStr` and `Display` its conversions from and to `String`, which serde uses.
macro_rules! as_string {
    ($name:ident) => {
        impl TryFrom<String> for $name {
            type Error = $crate::value::ValueError;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.to_string()
            }
        }
    };
}
pub(crate) use as_string;

/// Gives a newtype over `String` its `as_str`, `AsRef<str>`, `Display` and conversions.
macro_rules! as_text {
    ($name:ident) => {
        impl $name {
            /// The value as text, as it was checked.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        $crate::value::as_string!($name);
    };
}
pub(crate) use as_text;

/// Checks a DNS-1123 label: 1 to 63 small letters, digits and `-`, with a letter or digit at both ends.
/// `what` names the thing in the error ("A tenant's name").
pub(crate) fn label(text: &str, what: &str, example: &str) -> Result<String, ValueError> {
    dns(
        text,
        what,
        example,
        63,
        "small letters, digits and `-`",
        false,
    )
}

/// Checks a DNS-1123 subdomain: labels joined by `.`, 253 characters in all.
pub(crate) fn subdomain(text: &str, what: &str, example: &str) -> Result<String, ValueError> {
    dns(
        text,
        what,
        example,
        253,
        "small letters, digits, `-` and `.`",
        true,
    )
}

fn dns(
    text: &str,
    what: &str,
    example: &str,
    most: usize,
    made_of: &str,
    dots: bool,
) -> Result<String, ValueError> {
    let small = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let part = |part: &str| part.starts_with(small) && part.ends_with(small);
    let why = if text.is_empty() {
        "it is empty".to_owned()
    } else if let Some(c) = text
        .chars()
        .find(|&c| !(small(c) || c == '-' || (dots && c == '.') || c.is_ascii_uppercase()))
    {
        character(c)
    } else if text.len() > most {
        format!("it has {} characters", text.len())
    } else if text.contains(|c: char| c.is_ascii_uppercase()) {
        let lower = text.to_ascii_lowercase();
        format!("it has capital letters, did you mean `{}`?", shown(&lower))
    } else if text.split('.').all(part) {
        return Ok(text.to_owned());
    } else {
        let sign = if text.contains('.') {
            "a part of it is empty, or begins or ends with `-`"
        } else {
            "it begins or ends with `-`"
        };
        sign.to_owned()
    };
    Err(ValueError::new(
        &why,
        &format!(
            "{what} has up to {most} {made_of}, with a letter or digit at both ends, for example `{example}`"
        ),
    ))
}

/// Names a character that must not stand in a name, visible or not.
fn character(c: char) -> String {
    match c {
        ' ' => "it has a space in it".to_owned(),
        '`' => "it has a backtick in it".to_owned(),
        c if c.is_alphanumeric() || c.is_ascii_punctuation() => format!("it has `{c}` in it"),
        c => format!("it has the character U+{:04X} in it", u32::from(c)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_what_kubernetes_takes() {
        for good in ["a", "poseidon1", "poseidon1-dev", "1a", &"a".repeat(63)] {
            assert_eq!(label(good, "A name", "x").as_deref(), Ok(good));
        }
        for bad in [
            "",
            "-a",
            "a-",
            "a.b",
            "A",
            "a_b",
            "a b",
            "ä",
            &"a".repeat(64),
            "a\u{200b}",
        ] {
            assert!(label(bad, "A name", "x").is_err(), "{bad}");
        }
        for good in ["a.b", "poseidon1-daily-20261124010000", &"a".repeat(253)] {
            assert!(subdomain(good, "A name", "x").is_ok(), "{good}");
        }
        for bad in [".", "a.", "a..b", "a.-b", &"a".repeat(254)] {
            assert!(subdomain(bad, "A name", "x").is_err(), "{bad}");
        }
    }

    #[test]
    fn errors_say_what_is_wrong_and_what_is_right() {
        let say = |text| label(text, "A name", "x1").unwrap_err().to_string();
        insta::assert_snapshot!(say("Dev"), @"it has capital letters, did you mean `dev`? A name has up to 63 small letters, digits and `-`, with a letter or digit at both ends, for example `x1`");
        insta::assert_snapshot!(say("de_v"), @"it has `_` in it. A name has up to 63 small letters, digits and `-`, with a letter or digit at both ends, for example `x1`");
        insta::assert_snapshot!(say("dev\u{200b}"), @"it has the character U+200B in it. A name has up to 63 small letters, digits and `-`, with a letter or digit at both ends, for example `x1`");
        insta::assert_snapshot!(say("-dev"), @"it begins or ends with `-`. A name has up to 63 small letters, digits and `-`, with a letter or digit at both ends, for example `x1`");
    }
}
