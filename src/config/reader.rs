//! Reads a tree of settings, collecting every fault instead of stopping at the first.

use std::fmt;
use std::ops::RangeInclusive;

use jiff::SignedDuration;
use secrecy::SecretString;

use super::Secret;
use serde_json::{Map, Value};

/// Something wrong with a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The setting's path in the file, such as `github.repository`.
    pub path: String,
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            f.write_str(&self.message)
        } else {
            write!(f, "{}: {}", self.path, self.message)
        }
    }
}

/// A mapping whose keys are taken out one by one; what is left at the end is unknown.
pub(super) struct Section {
    path: String,
    left: Map<String, Value>,
    known: Vec<&'static str>,
    faults: Vec<Fault>,
}

/// A text setting that has been taken out and not yet been asked for.
pub(super) struct Text<'a> {
    section: &'a mut Section,
    key: &'static str,
    value: Option<String>,
    faulty: bool,
}

impl Text<'_> {
    pub(super) fn or(self, default: &str) -> String {
        self.value.unwrap_or_else(|| default.to_owned())
    }

    pub(super) fn optional(self) -> Option<String> {
        self.value
    }

    pub(super) fn required(self) -> Option<String> {
        if self.value.is_none() && !self.faulty {
            self.section.fault(self.key, "is missing".to_owned());
        }
        self.value
    }
}

impl Section {
    pub(super) fn root(value: Value) -> Self {
        Self::of(String::new(), Some(value))
    }

    fn of(path: String, value: Option<Value>) -> Self {
        let mut faults = Vec::new();
        let left = match value {
            Some(Value::Object(map)) => map,
            None | Some(Value::Null) => Map::new(),
            Some(other) => {
                faults.push(Fault {
                    path: path.clone(),
                    message: format!("must be a mapping of settings, not {}", kind(&other)),
                });
                Map::new()
            }
        };
        Self {
            path,
            left,
            known: Vec::new(),
            faults,
        }
    }

    fn at(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }

    pub(super) fn fault(&mut self, key: &str, message: String) {
        let path = self.at(key);
        self.faults.push(Fault { path, message });
    }

    fn take(&mut self, key: &'static str) -> Option<Value> {
        self.known.push(key);
        // preserve_order would let `remove` move the last key forward.
        self.left.shift_remove(key).filter(|value| !value.is_null())
    }

    pub(super) fn string(&mut self, key: &'static str) -> Text<'_> {
        let (value, faulty) = match self.take(key) {
            None => (None, false),
            Some(Value::String(text)) if !text.trim().is_empty() => (Some(text), false),
            Some(Value::Number(number)) => (Some(number.to_string()), false),
            Some(other) => {
                self.fault(key, format!("must be a text, not {}", kind(&other)));
                (None, true)
            }
        };
        Text {
            section: self,
            key,
            value,
            faulty,
        }
    }

    pub(super) fn strings(&mut self, key: &'static str) -> Option<Vec<String>> {
        let items = match self.take(key)? {
            Value::Array(items) => items,
            other => {
                self.fault(
                    key,
                    format!("must be a list of texts, not {}", kind(&other)),
                );
                return None;
            }
        };
        let mut texts = Vec::new();
        for (index, item) in items.into_iter().enumerate() {
            match item {
                Value::String(text) if !text.trim().is_empty() => texts.push(text),
                other => self.fault(
                    &format!("{key}[{index}]"),
                    format!("must be a text, not {}", kind(&other)),
                ),
            }
        }
        Some(texts)
    }

    pub(super) fn boolean(&mut self, key: &'static str, default: bool) -> bool {
        match self.take(key) {
            None => default,
            Some(Value::Bool(value)) => value,
            Some(other) => {
                self.fault(key, format!("must be true or false, not {}", kind(&other)));
                default
            }
        }
    }

    pub(super) fn count(
        &mut self,
        key: &'static str,
        default: usize,
        within: RangeInclusive<usize>,
    ) -> usize {
        match self.take(key) {
            None => default,
            Some(value) => {
                let number = value
                    .as_u64()
                    .and_then(|number| usize::try_from(number).ok());
                number
                    .filter(|number| within.contains(number))
                    .unwrap_or_else(|| {
                        self.fault(
                            key,
                            format!(
                                "must be a whole number from {} to {}, not {value}",
                                within.start(),
                                within.end()
                            ),
                        );
                        default
                    })
            }
        }
    }

    /// A length of time above zero; `default` must be a good one.
    pub(super) fn duration(&mut self, key: &'static str, default: &str) -> SignedDuration {
        let text = self.string(key).or(default);
        match duration(&text) {
            Ok(duration) => duration,
            Err(why) => {
                self.fault(key, why);
                duration_or_zero(default)
            }
        }
    }

    pub(super) fn durations(&mut self, key: &'static str, default: &[&str]) -> Vec<SignedDuration> {
        let Some(texts) = self.strings(key) else {
            return default.iter().map(|text| duration_or_zero(text)).collect();
        };
        let mut durations = Vec::new();
        for (index, text) in texts.iter().enumerate() {
            match duration(text) {
                Ok(duration) => durations.push(duration),
                Err(why) => self.fault(&format!("{key}[{index}]"), why),
            }
        }
        durations.sort_unstable();
        durations
    }

    /// A secret is never in the file under `key`: `file_key` names a file that
    /// holds it, or `env_key` a variable of the environment.
    pub(super) fn secret_source(
        &mut self,
        key: &'static str,
        file_key: &'static str,
        env_key: &'static str,
    ) -> Secret {
        self.refuse_plain(key, file_key, env_key);
        let Some(secret) = self.source_of(file_key, env_key) else {
            self.fault(
                file_key,
                format!("is missing; name a file with it, or a variable with {env_key}"),
            );
            return Secret::fixed(SecretString::from(String::new()));
        };
        secret
    }

    /// As [`Section::secret_source`], where there need not be one.
    pub(super) fn optional_secret_source(
        &mut self,
        key: &'static str,
        file_key: &'static str,
        env_key: &'static str,
    ) -> Option<Secret> {
        self.refuse_plain(key, file_key, env_key);
        self.source_of(file_key, env_key)
    }

    fn source_of(&mut self, file_key: &'static str, env_key: &'static str) -> Option<Secret> {
        let file = self.string(file_key).optional();
        let env = self.string(env_key).optional();
        let found = match (file, env) {
            (Some(path), None) => {
                Secret::from_file(std::path::Path::new(&path)).map_err(|why| (file_key, why))
            }
            (None, Some(name)) => match std::env::var(&name) {
                Ok(text) if !text.trim().is_empty() => {
                    Ok(Secret::fixed(SecretString::from(text.trim())))
                }
                Ok(_) => Err((env_key, format!("the variable {name} is empty"))),
                Err(_) => Err((
                    env_key,
                    format!("the variable {name} is not set in the environment"),
                )),
            },
            (Some(_), Some(_)) => Err((env_key, format!("give either {file_key} or {env_key}"))),
            (None, None) => return None,
        };
        Some(found.unwrap_or_else(|(at, why)| {
            self.fault(at, why);
            Secret::fixed(SecretString::from(String::new()))
        }))
    }

    fn refuse_plain(&mut self, key: &'static str, file_key: &str, env_key: &str) {
        if self.left.contains_key(key) {
            self.left.shift_remove(key);
            self.known.push(key);
            self.fault(
                key,
                format!("a secret does not belong in this file: name a file with {file_key}, or a variable of the environment with {env_key}"),
            );
        }
    }

    /// A text or a list of texts.
    pub(super) fn one_or_more(&mut self, key: &'static str) -> Vec<String> {
        if matches!(self.left.get(key), Some(Value::Array(_))) {
            return self.strings(key).unwrap_or_default();
        }
        self.string(key).optional().into_iter().collect()
    }

    /// A length of time that may be nothing.
    pub(super) fn pause(&mut self, key: &'static str, default: &str) -> std::time::Duration {
        let text = self.string(key).or(default);
        match text.trim().parse::<SignedDuration>() {
            Ok(pause) if !pause.is_negative() => pause.unsigned_abs(),
            _ => {
                self.fault(
                    key,
                    format!("{text} is not a length of time, such as 1s, 500ms or 0s"),
                );
                duration_or_zero(default).unsigned_abs()
            }
        }
    }

    pub(super) fn section(&mut self, key: &'static str) -> Section {
        let value = self.take(key);
        Section::of(self.at(key), value)
    }

    pub(super) fn sections(&mut self, key: &'static str) -> Vec<Section> {
        match self.take(key) {
            None => Vec::new(),
            Some(Value::Array(items)) => items
                .into_iter()
                .enumerate()
                .map(|(index, item)| Section::of(self.at(&format!("{key}[{index}]")), Some(item)))
                .collect(),
            Some(other) => {
                self.fault(key, format!("must be a list, not {}", kind(&other)));
                Vec::new()
            }
        }
    }

    /// Takes over the faults of a section that has been read, with its unknown keys.
    pub(super) fn absorb(&mut self, other: Section) {
        self.faults.extend(other.into_faults());
    }

    fn into_faults(mut self) -> Vec<Fault> {
        let left = std::mem::take(&mut self.left);
        for key in left.keys() {
            let meant = self
                .known
                .iter()
                .map(|known| (strsim_distance(known, key), known))
                .filter(|(distance, _)| *distance <= 3)
                .min()
                .map(|(_, known)| format!("; did you mean {known}?"))
                .unwrap_or_default();
            self.fault(key, format!("there is no such setting{meant}"));
        }
        self.faults
    }

    pub(super) fn finish(self) -> Result<(), Vec<Fault>> {
        let faults = self.into_faults();
        if faults.is_empty() {
            Ok(())
        } else {
            Err(faults)
        }
    }
}

fn strsim_distance(a: &str, b: &str) -> usize {
    strsim::damerau_levenshtein(&a.to_lowercase(), &b.to_lowercase())
}

fn duration(text: &str) -> Result<SignedDuration, String> {
    match text.trim().parse::<SignedDuration>() {
        Ok(duration) if duration.is_positive() => Ok(duration),
        Ok(_) => Err(format!("{text} must be longer than nothing, such as 30m")),
        Err(_) => Err(format!(
            "{text} is not a length of time, such as 45s, 30m, 24h or 1h30m"
        )),
    }
}

fn duration_or_zero(default: &str) -> SignedDuration {
    duration(default).unwrap_or(SignedDuration::ZERO)
}

fn kind(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(value) => value.to_string(),
        Value::String(text) if text.trim().is_empty() => "an empty text".to_owned(),
        Value::String(text) => format!("{text:?}"),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a mapping".to_owned(),
    }
}
