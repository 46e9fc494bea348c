//! The options that were given to a command, as text and slash interactions alike hand them over.

use std::str::FromStr;

use crate::grammar::{Bare, Completes, Kind, OptionSpec, SubcommandSpec};
use crate::meant::meant;
use crate::words::{Quote, Word, quote};
use crate::{ParseError, ValueError};

/// The options given to one command, each at most once and none of them empty.
#[derive(Debug)]
pub(crate) struct Args {
    form: &'static SubcommandSpec,
    given: Vec<Given>,
}

#[derive(Debug, Clone)]
struct Given {
    option: &'static OptionSpec,
    value: String,
    quoted: bool,
}

/// One option or bare word, put together from one or more words.
#[derive(Debug)]
pub(crate) struct Item<'a> {
    pub(crate) key: Option<&'a str>,
    pub(crate) value: String,
    pub(crate) quote: Quote,
    pub(crate) raw: &'a str,
}

impl Args {
    pub(crate) fn new(form: &'static SubcommandSpec) -> Self {
        Self {
            form,
            given: Vec::new(),
        }
    }

    /// Reads the words that follow the command.
    pub(crate) fn read<'a>(
        form: &'static SubcommandSpec,
        words: impl Iterator<Item = Word<'a>>,
    ) -> Result<Self, ParseError> {
        let mut args = Self::new(form);
        let mut bare: Vec<(Item<'a>, Option<Given>)> = Vec::new();
        let all_bare = matches!(form.bare, Bare::All(_));
        let mut last = None;
        for item in join(form, words) {
            let option = item.key.and_then(|key| form.option(key));
            match (item.key, option) {
                (Some(_), Some(option)) => {
                    closed(&item)?;
                    args.put(option, &item.value, item.quote != Quote::None)?;
                    last = args.given.last().cloned();
                }
                // Where words are taken as they come, `http://...` is one of them, but a slip in a name is a slip.
                (Some(key), None) if !all_bare || meant(key, names(form)).is_some() => {
                    return Err(unknown_option(form, key));
                }
                _ => {
                    if !all_bare {
                        closed(&item)?;
                    }
                    bare.push((item, last.take()));
                }
            }
        }
        args.put_bare(&bare)?;
        Ok(args)
    }

    fn put_bare(&mut self, bare: &[(Item<'_>, Option<Given>)]) -> Result<(), ParseError> {
        let form = self.form;
        let Some((first, before)) = bare.first() else {
            return Ok(());
        };
        match form.bare {
            Bare::All(option) => {
                let text = match bare {
                    [(only, _)] if only.quote == Quote::Closed && only.key.is_none() => {
                        only.value.clone()
                    }
                    _ => bare
                        .iter()
                        .map(|(item, _)| item.raw)
                        .collect::<Vec<_>>()
                        .join(" "),
                };
                match self
                    .given
                    .iter_mut()
                    .find(|given| given.option.name == option.name)
                {
                    None => self.put(option, &text, true),
                    Some(given) if !given.quoted => {
                        given.value = format!("{} {text}", given.value);
                        Ok(())
                    }
                    Some(_) => Err(bare_word(
                        form,
                        first,
                        "it stands outside the quotes; put them around all of the text",
                    )),
                }
            }
            Bare::One(option) if self.value(option).is_none() => match bare {
                [(only, _)] => self.put(option, &only.value, true),
                [_, (second, _), ..] => {
                    let hint = format!(
                        "one word is enough, the `{}`; leave the rest out",
                        option.name
                    );
                    Err(bare_word(form, second, &hint))
                }
                [] => Ok(()),
            },
            Bare::One(_) | Bare::Refused => {
                Err(bare_word(form, first, &hint(form, first, before.as_ref())))
            }
        }
    }

    /// Adds an option. Fails if it is there already or its value is blank.
    pub(crate) fn put(
        &mut self,
        option: &'static OptionSpec,
        value: &str,
        quoted: bool,
    ) -> Result<(), ParseError> {
        if self.value(option).is_some() {
            return Err(ParseError::Duplicate {
                option: option.name,
            });
        }
        let value = value.trim().to_owned();
        if value.is_empty() {
            return Err(ParseError::EmptyValue {
                option: option.name,
                example: option.example,
            });
        }
        self.given.push(Given {
            option,
            value,
            quoted,
        });
        Ok(())
    }

    fn value(&self, option: &OptionSpec) -> Option<&str> {
        let given = self
            .given
            .iter()
            .find(|given| given.option.name == option.name);
        given.map(|given| given.value.as_str())
    }

    /// The value of an option that may be left out.
    pub(crate) fn optional<T: FromStr<Err = ValueError>>(
        &self,
        option: &OptionSpec,
    ) -> Result<Option<T>, ParseError> {
        self.value(option)
            .map(|value| read_value(option, value))
            .transpose()
    }

    /// The value of an option that is needed.
    pub(crate) fn required<T: FromStr<Err = ValueError>>(
        &self,
        option: &OptionSpec,
    ) -> Result<T, ParseError> {
        self.optional(option)?.ok_or_else(|| self.missing(option))
    }

    /// The values of a list that is needed, at least one, in the order given.
    pub(crate) fn list<T: FromStr<Err = ValueError>>(
        &self,
        option: &OptionSpec,
    ) -> Result<Vec<T>, ParseError> {
        let value = self.value(option).ok_or_else(|| self.missing(option))?;
        let values = value
            .split(|c: char| c == ',' || c.is_whitespace())
            .filter(|part| !part.is_empty())
            .map(|part| read_value(option, part))
            .collect::<Result<Vec<T>, _>>()?;
        if values.is_empty() {
            return Err(ParseError::EmptyValue {
                option: option.name,
                example: option.example,
            });
        }
        Ok(values)
    }

    fn missing(&self, option: &OptionSpec) -> ParseError {
        ParseError::MissingOption {
            command: self.form.line,
            option: option.name,
            doc: option.doc,
            example: option.example,
        }
    }
}

/// Reads one value of an option.
pub(crate) fn read_value<T: FromStr<Err = ValueError>>(
    option: &OptionSpec,
    value: &str,
) -> Result<T, ParseError> {
    value.parse().map_err(|why| bad_value(option, value, why))
}

pub(crate) fn bad_value(option: &OptionSpec, value: &str, why: ValueError) -> ParseError {
    ParseError::BadValue {
        option: option.name,
        value: value.to_owned(),
        why,
    }
}

pub(crate) fn unknown_option(form: &'static SubcommandSpec, word: &str) -> ParseError {
    ParseError::UnknownOption {
        command: form.line,
        word: word.to_owned(),
        meant: meant(word, names(form)),
        known: names(form).collect(),
    }
}

/// Puts words together that people write apart: `key: value`, `a, b` in a list, and a time after a day.
pub(crate) fn join<'a>(
    form: &SubcommandSpec,
    words: impl Iterator<Item = Word<'a>>,
) -> Vec<Item<'a>> {
    let mut items: Vec<Item<'a>> = Vec::new();
    for word in words {
        let last = items
            .last_mut()
            .filter(|last| word.key.is_none() && last.quote == Quote::None);
        let option = last.as_ref().and_then(|last| form.option(last.key?));
        if let (Some(last), Some(option)) = (last, option) {
            if last.value.is_empty() {
                last.value = word.value;
                last.quote = word.quote;
                continue;
            }
            if word.quote == Quote::None && goes_on(option, &last.value, word.raw) {
                if option.kind != Kind::List {
                    last.value.push(' ');
                }
                last.value.push_str(&word.value);
                continue;
            }
        }
        items.push(Item {
            key: word.key,
            value: word.value,
            quote: word.quote,
            raw: word.raw,
        });
    }
    items
}

/// Whether a word without a key still belongs to the value before it.
fn goes_on(option: &OptionSpec, value: &str, word: &str) -> bool {
    match option.kind {
        Kind::List => value.ends_with(',') || word.starts_with(','),
        Kind::Text | Kind::Choice(_) | Kind::Integer => {
            let is_time = word.starts_with(|c: char| c.is_ascii_digit()) && word.contains(':');
            option.completes == Completes::Days && (is_time || word == "at") && !value.contains(':')
        }
    }
}

fn names(form: &'static SubcommandSpec) -> impl Iterator<Item = &'static str> {
    form.options.iter().map(|option| option.name)
}

fn closed(item: &Item<'_>) -> Result<(), ParseError> {
    let Quote::Open(open) = item.quote else {
        return Ok(());
    };
    let closer = match open {
        '\u{201c}' | '\u{201e}' => '\u{201d}',
        '\u{2018}' => '\u{2019}',
        same => same,
    };
    Err(ParseError::QuoteNotClosed {
        start: item.raw.to_owned(),
        closer,
    })
}

fn bare_word(form: &SubcommandSpec, item: &Item<'_>, hint: &str) -> ParseError {
    ParseError::BareWord {
        command: form.line,
        word: item.raw.to_owned(),
        hint: hint.to_owned(),
    }
}

/// How to write a word that has no option's name before it.
fn hint(form: &'static SubcommandSpec, item: &Item<'_>, before: Option<&Given>) -> String {
    let Some(first) = form.options.first() else {
        return "nothing can follow, so leave it out".to_owned();
    };
    if let Some(option) = meant(&item.value, names(form)).and_then(|name| form.option(name)) {
        return format!(
            "write an option and its value in one piece, as in `{}:{}`",
            option.name,
            quote(option.example)
        );
    }
    if let Some(Given {
        option,
        value,
        quoted: false,
    }) = before
        && option.kind == Kind::Text
        && option.completes == Completes::Nothing
    {
        let words = crate::meant::shown(&format!("{value} {}", item.value));
        return format!(
            "if it belongs to `{0}`, put quotes around all of it, as in `{0}:{1}`",
            option.name,
            quote(&words)
        );
    }
    let known: Vec<_> = names(form).map(|name| format!("`{name}`")).collect();
    format!(
        "put the name of an option before it, as in `{}:{}`; the options are {}",
        first.name,
        quote(first.example),
        known.join(", ")
    )
}
