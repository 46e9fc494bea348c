//! What can be wrong with a line, in words for the person who typed it.

use thiserror::Error;

use crate::meant::{did_you_mean, shown};
use crate::words::quote;
use crate::{SourceError, ValueError};

/// Why a line is no command. `Display` says what is wrong, where, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ParseError {
    /// There is nothing to read.
    #[error("There is no command in that. `/refloat help` lists the commands.")]
    Empty,

    /// The first word is no command.
    #[error("There is no command `{}`{} `/refloat help` lists the commands.", shown(word), did_you_mean(meant.as_deref()))]
    UnknownCommand {
        /// What was typed.
        word: String,
        /// What it was probably meant to be: one word or a whole command.
        meant: Option<String>,
    },

    /// A group was named without saying what to do.
    #[error(
        "`/{command}` needs a second word: {}. For example `/{example}`.",
        list(known)
    )]
    MissingSubcommand {
        /// The command.
        command: &'static str,
        /// The words that can follow and are available.
        known: Vec<&'static str>,
        /// A line that works.
        example: &'static str,
    },

    /// The second word is none of the command.
    #[error("`/{command}` has no `{}`{}", shown(word), meant_or(meant.as_deref(), known))]
    UnknownSubcommand {
        /// The command.
        command: &'static str,
        /// What was typed.
        word: String,
        /// What it was probably meant to be: one word or a whole command.
        meant: Option<String>,
        /// The words that can follow and are available.
        known: Vec<&'static str>,
    },

    /// The line looks like the request form in plain words, but is not quite.
    #[error(
        "That looks like a restore in plain words, which is written so: `restore backup <name> of namespace <name> \
         from schedule <name> because <reason>`. Several namespaces have commas or \"and\" between them; the backup \
         or the schedule may be left out, and so may the reason."
    )]
    PlainForm,

    /// No option of the command has this name.
    #[error("`/{command}` has no option `{}`{}", shown(word), meant_or(*meant, known))]
    UnknownOption {
        /// All words of the command.
        command: &'static str,
        /// What was typed.
        word: String,
        /// What it was probably meant to be.
        meant: Option<&'static str>,
        /// The options there are.
        known: Vec<&'static str>,
    },

    /// An option that the command needs is not there.
    #[error(
        "`/{command}` needs `{option}`: {}. For example `{option}:{}`.",
        uncapital(doc),
        quote(example)
    )]
    MissingOption {
        /// All words of the command.
        command: &'static str,
        /// The option.
        option: &'static str,
        /// What it is.
        doc: &'static str,
        /// A value for it.
        example: &'static str,
    },

    /// An option stands there without a value.
    #[error(
        "`{option}` has no value. Write it like `{option}:{}`, or leave it out.",
        quote(example)
    )]
    EmptyValue {
        /// The option.
        option: &'static str,
        /// A value for it.
        example: &'static str,
    },

    /// The value of an option is not one.
    #[error("`{option}` cannot be `{}`: {why}.", shown(value))]
    BadValue {
        /// The option.
        option: &'static str,
        /// What was typed.
        value: String,
        /// What is wrong and what is right.
        why: ValueError,
    },

    /// An option is given more than once.
    #[error("`{option}` is given twice: leave one of them out.")]
    Duplicate {
        /// The option.
        option: &'static str,
    },

    /// A quote is opened and never closed.
    #[error("The quote that begins with `{}` is not closed: put `{}` at its end, before a space.", shown(start), shown(&closer.to_string()))]
    QuoteNotClosed {
        /// From the quote on, as it was typed.
        start: String,
        /// What closes it.
        closer: char,
    },

    /// A word has no option's name before it.
    #[error("I cannot tell what `{}` is for in `/{command}`: {hint}.", shown(word))]
    BareWord {
        /// All words of the command.
        command: &'static str,
        /// What was typed.
        word: String,
        /// How to write it.
        hint: String,
    },

    /// What to restore from is not said in a way that makes sense.
    #[error("{0}")]
    Source(#[from] SourceError),

    /// A schedule is to be changed, but nothing of it.
    #[error(
        "`/schedule change` needs something to change: `new_name`, `when` or `keep`. For example `keep:14d`."
    )]
    NothingToChange,

    /// Help has no such topic.
    #[error("There is no help about `{}`{} `/refloat help` lists everything.", shown(word), did_you_mean(meant.as_deref()))]
    UnknownTopic {
        /// What was typed.
        word: String,
        /// What it was probably meant to be.
        meant: Option<String>,
    },
}

/// What was meant; or, where nothing is near, what there is.
fn meant_or(meant: Option<&str>, known: &[&str]) -> String {
    match (meant, known) {
        (Some(_), _) => did_you_mean(meant),
        (None, []) => ". Nothing can follow it.".to_owned(),
        (None, known) => format!(". It takes {}.", list(known)),
    }
}

fn list(words: &[&str]) -> String {
    let quoted: Vec<_> = words.iter().map(|word| format!("`{word}`")).collect();
    quoted.join(", ")
}

/// The doc of an option, to go on within a sentence.
fn uncapital(doc: &str) -> String {
    let mut chars = doc.chars();
    chars
        .next()
        .map(|first| first.to_lowercase().chain(chars).collect())
        .unwrap_or_default()
}
