//! The grammar of Refloat's commands: types, parsing, completion and help.
//!
//! One table, [`grammar()`], serves four readers: the registration of slash commands, completion
//! ([`complete`]), the text form ([`parse`], [`from_options`]) and help ([`help`]). Each command has one
//! file, which holds its doc, its options, its type and its parse.
//!
//! Architecture invariant: nothing here does I/O, reads a clock or knows a chat service. What a word means
//! in the world (whether a tenant exists, whether a cron expression is valid) is the caller's to find out.

mod approve;
mod args;
mod command;
mod complete;
mod day;
mod deny;
mod error;
mod grammar;
mod help;
mod meant;
mod names;
mod options;
mod parse;
mod plain;
mod reason;
mod source;
mod ttl;
mod value;
mod when;
mod words;

pub mod backups;
pub mod refloat;
pub mod restore;
pub mod schedule;

pub use command::Command;
pub use complete::{Completion, Offer, complete, complete_value};
pub use day::{CalendarDay, Day, Moment};
pub use error::ParseError;
pub use grammar::{
    Availability, CommandSpec, Completes, Kind, OptionSpec, SubcommandSpec, grammar,
};
pub use help::help;
pub use names::{BackupName, Digest, Namespace, RequestName, ScheduleName, Tenant};
pub use parse::{from_options, parse};
pub use reason::Reason;
pub use source::{Source, SourceError};
pub use ttl::Ttl;
pub use value::ValueError;
pub use when::When;
