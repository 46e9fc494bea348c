//! The grammar as data: what registration, completion, parsing and help walk.

use std::fmt;

use crate::args::Args;
use crate::{Command, ParseError, approve, backups, deny, refloat, restore, schedule};

/// A command: a group of subcommands, or a word that stands alone.
///
/// Exactly one of `subcommands` and `alone` has something in it.
#[derive(Debug, Clone, Copy)]
pub struct CommandSpec {
    /// The first word, as it is typed.
    pub name: &'static str,
    /// What it is for, in one line of up to 100 characters.
    pub doc: &'static str,
    /// The second words that can follow.
    pub subcommands: &'static [SubcommandSpec],
    /// What a command without subcommands takes.
    pub alone: Option<&'static SubcommandSpec>,
}

/// What takes options: a subcommand, or a command without any.
#[derive(Clone, Copy)]
pub struct SubcommandSpec {
    /// All words of the command (`restore request`, `approve`).
    pub line: &'static str,
    /// The last of the words.
    pub name: &'static str,
    /// What it does, in one line of up to 100 characters.
    pub doc: &'static str,
    /// More to know, for help; may be empty.
    pub notes: &'static str,
    /// A line that parses.
    pub example: &'static str,
    /// The options, those that are needed first.
    pub options: &'static [OptionSpec],
    /// Whether it can be used.
    pub availability: Availability,
    /// What words without an option's name are taken for.
    pub(crate) bare: Bare,
    pub(crate) parse: fn(&Args) -> Result<Command, ParseError>,
}

/// An option of a command.
#[derive(Debug, Clone, Copy)]
pub struct OptionSpec {
    /// Its name, as it is typed.
    pub name: &'static str,
    /// What it is, in one line of up to 100 characters.
    pub doc: &'static str,
    /// Whether the slash and text forms need it.
    pub required: bool,
    /// What a value looks like.
    pub kind: Kind,
    /// Which values completion offers.
    pub completes: Completes,
    /// A value that parses.
    pub example: &'static str,
}

/// What an option's value looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Any text; its type says what fits.
    Text,
    /// Several values with commas between them.
    List,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A whole number, 1 or more.
    Integer,
}

/// Which values are offered while an option is typed. Those which only the caller knows are the caller's to offer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Completes {
    /// None, or those of the grammar itself.
    #[default]
    Nothing,
    /// Tenants that the person may use.
    Tenants,
    /// Namespaces of the tenant that is given.
    Namespaces,
    /// Schedules of the tenant that is given.
    Schedules,
    /// Backups of the tenant, namespaces and schedule that are given.
    Backups,
    /// Days. The grammar offers the fixed words; the caller may add dates that have a backup.
    Days,
    /// Requests of the person, or those that wait for the person.
    Requests,
    /// Topics of help, which the grammar offers.
    Topics,
}

/// Whether a command can be used yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Availability {
    /// It works.
    Now,
    /// It is parsed, but nothing does it yet: these words say so, and what to do instead.
    NotYet(&'static str),
}

/// What is done with words that have no option's name before them.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Bare {
    /// They are an error, which says how to write them.
    Refused,
    /// One word is the value of this option.
    One(&'static OptionSpec),
    /// All of them together are the value of this option.
    All(&'static OptionSpec),
}

/// Every command, in the order in which help lists them.
pub fn grammar() -> &'static [CommandSpec] {
    static GRAMMAR: [CommandSpec; 6] = [
        restore::SPEC,
        approve::SPEC,
        deny::SPEC,
        backups::SPEC,
        schedule::SPEC,
        refloat::SPEC,
    ];
    &GRAMMAR
}

/// Every form of every command.
pub(crate) fn forms() -> impl Iterator<Item = &'static SubcommandSpec> {
    grammar().iter().flat_map(CommandSpec::forms)
}

impl CommandSpec {
    /// The command of that name, in whatever case.
    pub fn find(name: &str) -> Option<&'static Self> {
        grammar()
            .iter()
            .find(|spec| spec.name.eq_ignore_ascii_case(name))
    }

    /// What takes options: the subcommands, or the command itself if it has none.
    pub fn forms(&self) -> impl Iterator<Item = &'static SubcommandSpec> + use<> {
        self.subcommands.iter().chain(self.alone)
    }

    /// The subcommand of that name, in whatever case.
    pub fn subcommand(&self, name: &str) -> Option<&'static SubcommandSpec> {
        self.subcommands
            .iter()
            .find(|spec| spec.name.eq_ignore_ascii_case(name))
    }
}

impl SubcommandSpec {
    /// The option of that name, in whatever case.
    pub fn option(&self, name: &str) -> Option<&'static OptionSpec> {
        self.options
            .iter()
            .find(|option| option.name.eq_ignore_ascii_case(name))
    }

    /// Whether it can be used now.
    pub fn is_available(&self) -> bool {
        self.availability == Availability::Now
    }

    /// The option that words without a name are taken for.
    pub(crate) fn bare_option(&self) -> Option<&'static OptionSpec> {
        match self.bare {
            Bare::Refused => None,
            Bare::One(option) | Bare::All(option) => Some(option),
        }
    }
}

impl OptionSpec {
    /// The same option where it is needed.
    pub(crate) const fn required(self) -> Self {
        Self {
            required: true,
            ..self
        }
    }
}

impl fmt::Debug for SubcommandSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SubcommandSpec")
            .field("line", &self.line)
            .field("options", &self.options)
            .field("availability", &self.availability)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::parse;

    fn is_name(name: &str) -> bool {
        (1..=32).contains(&name.len())
            && name
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_')
    }

    fn is_doc(doc: &str) -> bool {
        (1..=100).contains(&doc.chars().count())
    }

    #[test]
    fn keeps_to_the_limits_of_discord() {
        for command in grammar() {
            assert!(
                is_name(command.name) && is_doc(command.doc),
                "{}",
                command.name
            );
            assert!(command.subcommands.len() <= 25);
            let mut size = command.name.len() + command.doc.len();
            for form in command.forms() {
                assert!(is_name(form.name) && is_doc(form.doc), "{}", form.line);
                assert!(form.options.len() <= 25);
                assert!(
                    form.options.is_sorted_by_key(|option| !option.required),
                    "{}",
                    form.line
                );
                let names: BTreeSet<_> = form.options.iter().map(|option| option.name).collect();
                assert_eq!(names.len(), form.options.len(), "{}", form.line);
                size += form.name.len() + form.doc.len();
                for option in form.options {
                    assert!(
                        is_name(option.name) && is_doc(option.doc),
                        "{} {}",
                        form.line,
                        option.name
                    );
                    size += option.name.len() + option.doc.len();
                    if let Kind::Choice(choices) = option.kind {
                        assert!(
                            choices.len() <= 25
                                && choices
                                    .iter()
                                    .all(|choice| (1..=100).contains(&choice.len()))
                        );
                        size += choices.iter().map(|choice| 2 * choice.len()).sum::<usize>();
                    }
                }
            }
            // Discord counts names, descriptions and choices of a command together.
            assert!(size <= 8000, "{} has {size}", command.name);
        }
    }

    #[test]
    fn a_command_has_subcommands_or_stands_alone() {
        for command in grammar() {
            assert_eq!(
                command.alone.is_some(),
                command.subcommands.is_empty(),
                "{}",
                command.name
            );
            for form in command.forms() {
                match command.alone {
                    Some(_) => assert_eq!((form.line, form.name), (command.name, command.name)),
                    None => assert_eq!(form.line, format!("{} {}", command.name, form.name)),
                }
            }
        }
    }

    #[test]
    fn examples_parse_and_name_their_form() {
        for form in forms() {
            let command =
                parse(form.example).unwrap_or_else(|error| panic!("{}: {error}", form.example));
            assert_eq!(command.spec().line, form.line);
            assert_eq!(command.availability(), form.availability);
            let again =
                parse(&command.to_string()).unwrap_or_else(|error| panic!("{command}: {error}"));
            assert_eq!(again, command);
        }
    }

    #[test]
    fn what_is_not_available_says_so() {
        for form in forms() {
            if let Availability::NotYet(words) = form.availability {
                let start = format!("`/{}` is not available yet: ", form.line);
                assert!(words.starts_with(&start), "{words}");
            }
        }
        let available: Vec<_> = forms()
            .filter(|form| form.is_available())
            .map(|form| form.line)
            .collect();
        assert_eq!(
            available,
            [
                "restore request",
                "restore preview",
                "restore copy",
                "restore status",
                "restore withdraw",
                "restore retry",
                "restore undo",
                "restore resume",
                "restore consent",
                "restore waive",
                "restore log",
                "approve",
                "deny",
                "backups list",
                "backups now",
                "backups overview",
                "schedule add",
                "schedule change",
                "schedule remove",
                "schedule list",
                "schedule status",
                "schedule withdraw",
                "schedule retry",
                "schedule leave",
                "refloat help",
                "refloat about",
            ]
        );
    }

    #[test]
    fn exactly_the_required_options_are_missed() {
        for form in forms() {
            let given: Vec<_> = form
                .options
                .iter()
                .filter(|option| option.required)
                .collect();
            for left_out in &given {
                let rest = given.iter().filter(|option| option.name != left_out.name);
                let line = rest.fold(form.line.to_owned(), |line, option| {
                    format!(
                        "{line} {}:{}",
                        option.name,
                        crate::words::quote(option.example)
                    )
                });
                match parse(&line) {
                    Err(ParseError::MissingOption { option, .. }) => {
                        assert_eq!(option, left_out.name, "{line}");
                    }
                    other => panic!("{line}: {other:?}"),
                }
            }
        }
    }

    #[test]
    fn each_option_takes_its_example() {
        for form in forms() {
            for option in form.options {
                let line = format!(
                    "{} {}:{}",
                    form.line,
                    option.name,
                    crate::words::quote(option.example)
                );
                if let Err(
                    error @ (ParseError::BadValue { .. } | ParseError::UnknownOption { .. }),
                ) = parse(&line)
                {
                    panic!("{line}: {error}");
                }
            }
        }
    }
}
