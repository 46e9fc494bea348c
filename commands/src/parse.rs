//! From a line of text, or from the options of a slash interaction, to a command.

use crate::args::{Args, unknown_option};
use crate::grammar::{CommandSpec, SubcommandSpec, forms, grammar};
use crate::meant::meant;
use crate::plain;
use crate::words::{Word, Words, command_line};
use crate::{Command, ParseError};

/// Reads a line of text: a command with its options as `name:value`, or a request in plain words.
///
/// A leading `/` and `@refloat` are passed over. Any text gives a command or an error, never a panic. Whether the
/// command can be used yet is [`Command::availability`]'s to say.
pub fn parse(text: &str) -> Result<Command, ParseError> {
    let line = command_line(text);
    if let Some(request) = plain::parse(line) {
        return request;
    }
    let mut words = Words::new(line);
    let form = form_of(&mut words, line)?;
    (form.parse)(&Args::read(form, words)?)
}

/// Reads a slash interaction: the command, its subcommand if it has any, and the options with their values as text.
///
/// The names are matched in whatever case; the same rules hold as for text.
pub fn from_options(
    command: &str,
    subcommand: Option<&str>,
    options: &[(&str, &str)],
) -> Result<Command, ParseError> {
    let spec = CommandSpec::find(command).ok_or_else(|| unknown_command(command))?;
    let form = match (spec.alone, subcommand) {
        (Some(alone), None) => alone,
        (_, Some(name)) => spec
            .subcommand(name)
            .ok_or_else(|| unknown_subcommand(spec, name))?,
        (None, None) => return Err(missing_subcommand(spec)),
    };
    let mut args = Args::new(form);
    for (name, value) in options {
        let option = form
            .option(name)
            .ok_or_else(|| unknown_option(form, name))?;
        args.put(option, value, true)?;
    }
    (form.parse)(&args)
}

/// Takes the words of the command from the front.
fn form_of<'a>(
    words: &mut Words<'a>,
    line: &'a str,
) -> Result<&'static SubcommandSpec, ParseError> {
    let Some(first) = words.next() else {
        return Err(ParseError::Empty);
    };
    if let Some(help) = help_alone(&first) {
        return Ok(help);
    }
    let spec = CommandSpec::find(&first.value).filter(|_| first.key.is_none());
    let spec = spec.ok_or_else(|| {
        if plain::is_near(line) {
            ParseError::PlainForm
        } else {
            unknown_command(first.raw)
        }
    })?;
    if let Some(alone) = spec.alone {
        return Ok(alone);
    }
    let second = words.next().ok_or_else(|| missing_subcommand(spec))?;
    if second.key.is_some() {
        return Err(missing_subcommand(spec));
    }
    spec.subcommand(&second.value).ok_or_else(|| {
        if plain::is_near(line) {
            ParseError::PlainForm
        } else {
            unknown_subcommand(spec, second.raw)
        }
    })
}

/// `help` is what people type first, so that it works by itself.
pub(crate) fn help_alone(first: &Word<'_>) -> Option<&'static SubcommandSpec> {
    let help = first.key.is_none() && first.value.eq_ignore_ascii_case("help");
    help.then(|| CommandSpec::find("refloat")?.subcommand("help"))
        .flatten()
}

fn unknown_command(word: &str) -> ParseError {
    let bare = word.trim_end_matches([':', ',']);
    // `status` alone is likely `restore status`, where only one command has it.
    let of_a_group = || {
        let name = meant(bare, forms().map(|form| form.name))?;
        let mut having = forms().filter(|form| form.name == name);
        having
            .next()
            .filter(|_| having.next().is_none())
            .map(|form| form.line)
    };
    let near = meant(bare, grammar().iter().map(|spec| spec.name)).or_else(of_a_group);
    ParseError::UnknownCommand {
        word: word.to_owned(),
        meant: near.map(str::to_owned),
    }
}

fn unknown_subcommand(spec: &CommandSpec, word: &str) -> ParseError {
    let near = meant(word, spec.subcommands.iter().map(|form| form.name));
    // `restore list` is likely another command's, if it is that exactly.
    let elsewhere = || {
        let mut having = forms().filter(|form| form.name.eq_ignore_ascii_case(word));
        having
            .next()
            .filter(|_| having.next().is_none())
            .map(|form| form.line)
    };
    ParseError::UnknownSubcommand {
        command: spec.name,
        word: word.to_owned(),
        meant: near.or_else(elsewhere).map(str::to_owned),
        known: offered(spec).iter().map(|form| form.name).collect(),
    }
}

fn missing_subcommand(spec: &CommandSpec) -> ParseError {
    let offered = offered(spec);
    ParseError::MissingSubcommand {
        command: spec.name,
        known: offered.iter().map(|form| form.name).collect(),
        example: offered.first().map_or(spec.name, |form| form.example),
    }
}

/// The subcommands that can be used; all of them if none can.
fn offered(spec: &CommandSpec) -> Vec<&'static SubcommandSpec> {
    let available: Vec<_> = spec
        .subcommands
        .iter()
        .filter(|form| form.is_available())
        .collect();
    if available.is_empty() {
        spec.subcommands.iter().collect()
    } else {
        available
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
