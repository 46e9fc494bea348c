//! `/refloat`: about Refloat itself.

use std::fmt;
use std::str::FromStr;

use crate::command::write_option;
use crate::grammar::{Availability, Bare, CommandSpec, OptionSpec, SubcommandSpec, grammar};
use crate::meant::meant;
use crate::{Command, Completes, Kind, ParseError, ValueError};

/// A `/refloat` command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refloat {
    /// What can be typed.
    Help {
        /// About what; everything if not said.
        topic: Option<Topic>,
    },
    /// The version, and what Refloat may do.
    About,
    /// Stops all new effects, or lets them go on.
    Pause {
        /// Whether to stop.
        switch: Switch,
    },
}

/// What help is about: a command (`restore`) or all the words of one (`restore request`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Topic(&'static str);

impl Topic {
    /// The words of the topic.
    pub fn as_str(self) -> &'static str {
        self.0
    }

    /// Every topic with its doc, in the order of the grammar.
    pub(crate) fn all() -> impl Iterator<Item = (&'static str, &'static str)> {
        grammar().iter().flat_map(|command| {
            std::iter::once((command.name, command.doc))
                .chain(command.subcommands.iter().map(|form| (form.line, form.doc)))
        })
    }

    /// The topic that `text` names; case, a leading `/` and the number of spaces do not matter.
    pub(crate) fn find(text: &str) -> Result<Self, ParseError> {
        let word = text.trim().trim_start_matches('/').to_lowercase();
        let word = word.split_whitespace().collect::<Vec<_>>().join(" ");
        let topics = || Self::all().map(|(name, _)| name);
        // `request` alone is `restore request`, where only one command has it.
        let mut last =
            topics().filter(|name| name.split_once(' ').is_some_and(|(_, last)| last == word));
        let exact = topics().find(|name| *name == word);
        exact
            .or_else(|| last.next().filter(|_| last.next().is_none()))
            .map(Self)
            .ok_or_else(|| ParseError::UnknownTopic {
                word: text.to_owned(),
                meant: meant(&word, topics()).map(str::to_owned),
            })
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// On or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Switch {
    /// On.
    On,
    /// Off.
    Off,
}

const SWITCHES: &[&str] = &["on", "off"];

impl fmt::Display for Switch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::On => "on",
            Self::Off => "off",
        })
    }
}

impl FromStr for Switch {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        match text.to_lowercase().as_str() {
            "on" => Ok(Self::On),
            "off" => Ok(Self::Off),
            other => {
                // Two letters are too few for `meant`.
                let near = meant(other, SWITCHES.iter().copied()).or_else(|| {
                    SWITCHES
                        .iter()
                        .copied()
                        .find(|word| other.len() < 5 && strsim::osa_distance(other, word) == 1)
                });
                let wrong = near.map_or_else(
                    || "it is neither".to_owned(),
                    |word| format!("did you mean `{word}`?"),
                );
                Err(ValueError::new(
                    &wrong,
                    "It is `on` or `off`, for example `on`",
                ))
            }
        }
    }
}

const TOPIC: OptionSpec = OptionSpec {
    name: "topic",
    doc: "A command to explain, for example: restore request",
    required: false,
    kind: Kind::Text,
    completes: Completes::Topics,
    example: "restore request",
};

const SWITCH: OptionSpec = OptionSpec {
    name: "switch",
    doc: "on stops all new effects, off lets them go on",
    required: true,
    kind: Kind::Choice(SWITCHES),
    completes: Completes::Nothing,
    example: "on",
};

const HELP: SubcommandSpec = SubcommandSpec {
    line: "refloat help",
    name: "help",
    doc: "Explain the commands, or one of them",
    notes: "`help` alone does the same.",
    example: "refloat help restore request",
    options: &[TOPIC],
    availability: Availability::Now,
    bare: Bare::All(&TOPIC),
    parse: |args| {
        let topic = args.optional::<Words>(&TOPIC)?;
        let topic = topic.map(|Words(words)| Topic::find(&words)).transpose()?;
        Ok(Command::Refloat(Refloat::Help { topic }))
    },
};

/// Words as they are, to look up afterwards.
struct Words(String);

impl FromStr for Words {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        Ok(Self(text.to_owned()))
    }
}

const ABOUT: SubcommandSpec = SubcommandSpec {
    line: "refloat about",
    name: "about",
    doc: "Show the version and what Refloat may do",
    notes: "",
    example: "refloat about",
    options: &[],
    availability: Availability::Now,
    bare: Bare::Refused,
    parse: |_| Ok(Command::Refloat(Refloat::About)),
};

const PAUSE: SubcommandSpec = SubcommandSpec {
    line: "refloat pause",
    name: "pause",
    doc: "Stop all new effects, or let them go on; for reviewers",
    notes: "",
    example: "refloat pause on",
    options: &[SWITCH],
    availability: Availability::NotYet(
        "`/refloat pause` is not available yet: to stop Refloat, scale its Deployment to 0; it goes on from where it was.",
    ),
    bare: Bare::One(&SWITCH),
    parse: |args| {
        Ok(Command::Refloat(Refloat::Pause {
            switch: args.required(&SWITCH)?,
        }))
    },
};

pub(crate) const SPEC: CommandSpec = CommandSpec {
    name: "refloat",
    doc: "Help, and about Refloat itself",
    subcommands: &[HELP, ABOUT, PAUSE],
    alone: None,
};

impl Refloat {
    pub(crate) fn spec(&self) -> &'static SubcommandSpec {
        match self {
            Self::Help { .. } => &HELP,
            Self::About => &ABOUT,
            Self::Pause { .. } => &PAUSE,
        }
    }
}

/// The text form.
impl fmt::Display for Refloat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.spec().line)?;
        match self {
            Self::Help { topic } => write_option(f, &TOPIC, topic.as_ref()),
            Self::About => Ok(()),
            Self::Pause { switch } => write_option(f, &SWITCH, Some(switch)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse;

    #[test]
    fn help_takes_a_topic_in_many_ways() {
        for line in [
            "refloat help restore request",
            "help /Restore  Request",
            "/refloat help topic:\"restore request\"",
            "help topic:restore request",
            "help request",
        ] {
            let want = Command::Refloat(Refloat::Help {
                topic: Some(Topic("restore request")),
            });
            assert_eq!(parse(line), Ok(want), "{line}");
        }
        assert_eq!(
            parse("help"),
            Ok(Command::Refloat(Refloat::Help { topic: None }))
        );
        // Both `/schedule` and `/backups` have a list.
        assert!(matches!(
            parse("help list"),
            Err(ParseError::UnknownTopic { .. })
        ));
        assert_eq!(
            parse("help restor request"),
            Err(ParseError::UnknownTopic {
                word: "restor request".to_owned(),
                meant: Some("restore request".to_owned())
            })
        );
    }

    #[test]
    fn pause_is_on_or_off() {
        assert_eq!(
            parse("refloat pause ON").unwrap().to_string(),
            "refloat pause switch:on"
        );
        insta::assert_snapshot!(parse("refloat pause of").unwrap_err(), @"`switch` cannot be `of`: did you mean `off`? It is `on` or `off`, for example `on`.");
        insta::assert_snapshot!(parse("refloat pause maybe").unwrap_err(), @"`switch` cannot be `maybe`: it is neither. It is `on` or `off`, for example `on`.");
    }
}
