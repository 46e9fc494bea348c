//! Names as Kubernetes takes them.

use super::read;
use super::scalar::quoted;
use super::tree::Style;

/// Is this a DNS-1123 label? Says what is wrong with it otherwise.
pub(super) fn label(name: &str) -> Result<(), &'static str> {
    if name.is_empty() {
        return Err("is empty");
    }
    if name.len() > 63 {
        return Err("is longer than 63 characters");
    }
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if !name.bytes().all(allowed) {
        return Err("is no name: only a-z, 0-9 and `-` are allowed, as in `daily`");
    }
    if name.starts_with('-') || name.ends_with('-') {
        return Err("is no name: it must begin and end with a letter or a digit, as in `daily`");
    }
    Ok(())
}

/// A name for a schedule: a DNS-1123 label.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ScheduleName(String);

/// Why a text is no name for a schedule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` {why}", .text.escape_debug())]
pub struct ScheduleNameError {
    /// What was given, shortened.
    pub text: String,
    pub why: &'static str,
}

impl ScheduleName {
    /// # Errors
    /// What is no DNS-1123 label.
    pub fn parse(text: &str) -> Result<Self, ScheduleNameError> {
        let text = text.trim_matches(' ');
        match label(text) {
            Ok(()) => Ok(Self(text.to_owned())),
            Err(why) => Err(ScheduleNameError {
                text: text.chars().take(80).collect(),
                why,
            }),
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As YAML: quoted where a reader could take it for a number or a boolean.
    pub(super) fn written(&self, like: Style) -> String {
        let plain = self.0.starts_with(|first: char| first.is_ascii_lowercase())
            && read::plain_is_text(&self.0);
        quoted(&self.0, like, plain)
    }
}

impl std::fmt::Display for ScheduleName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}
