//! `/schedule`: the backup schedules in a tenant's order.

use std::fmt;

use crate::command::write_option;
use crate::grammar::{Availability, Bare, CommandSpec, OptionSpec, SubcommandSpec};
use crate::options::{REQUEST, TENANT};
use crate::restore::{Target, about};
use crate::{Command, Completes, Kind, ParseError, ScheduleName, Tenant, Ttl, When};

/// A `/schedule` command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Schedule {
    /// Orders a new schedule.
    Add {
        /// The tenant.
        tenant: Tenant,
        /// The name of the new schedule.
        name: ScheduleName,
        /// When it runs.
        when: When,
        /// How long its backups are kept.
        keep: Ttl,
    },
    /// Changes a schedule; at least one of its parts.
    Change {
        /// The tenant.
        tenant: Tenant,
        /// The name it has.
        name: ScheduleName,
        /// The name it gets.
        new_name: Option<ScheduleName>,
        /// When it runs from now on.
        when: Option<When>,
        /// How long its backups are kept from now on.
        keep: Option<Ttl>,
    },
    /// Takes a schedule out of the order.
    Remove {
        /// The tenant.
        tenant: Tenant,
        /// Its name.
        name: ScheduleName,
    },
    /// Lists the schedules of a tenant.
    List {
        /// The tenant.
        tenant: Tenant,
    },
    /// Where a request to change schedules stands.
    Status(Target),
    /// Calls a request off.
    Withdraw(Target),
    /// Goes on with a request that is stuck.
    Retry(Target),
    /// Ends a request that is stuck, with things as they are.
    Leave(Target),
}

const NEW_SCHEDULE: OptionSpec = OptionSpec {
    name: "name",
    doc: "The name of the new schedule",
    required: true,
    kind: Kind::Text,
    completes: Completes::Nothing,
    example: "nightly",
};

const NAME: OptionSpec = OptionSpec {
    doc: "The schedule, as the order names it",
    completes: Completes::Schedules,
    example: "daily",
    ..NEW_SCHEDULE
};

const NEW_NAME: OptionSpec = OptionSpec {
    name: "new_name",
    doc: "The name it gets",
    required: false,
    ..NEW_SCHEDULE
};

const WHEN: OptionSpec = OptionSpec {
    name: "when",
    doc: "When it runs: cron (0 1 * * *) or plain words (every night at 3)",
    required: false,
    kind: Kind::Text,
    completes: Completes::Nothing,
    example: "0 1 * * *",
};
const WHEN_NEEDED: OptionSpec = WHEN.required();

const KEEP: OptionSpec = OptionSpec {
    name: "keep",
    doc: "How long each backup is kept: 7d, 4w, 6 months or 168h",
    required: false,
    kind: Kind::Text,
    completes: Completes::Nothing,
    example: "7d",
};
const KEEP_NEEDED: OptionSpec = KEEP.required();

const ADD: SubcommandSpec = SubcommandSpec {
    line: "schedule add",
    name: "add",
    doc: "Order a new backup schedule, by pull request",
    notes: "A schedule covers every environment of the tenant.",
    example: "schedule add tenant:poseidon1 name:nightly when:\"every night at 3\" keep:7d",
    options: &[TENANT, NEW_SCHEDULE, WHEN_NEEDED, KEEP_NEEDED],
    availability: Availability::Now,
    bare: Bare::Refused,
    parse: |args| {
        Ok(Command::Schedule(Schedule::Add {
            tenant: args.required(&TENANT)?,
            name: args.required(&NEW_SCHEDULE)?,
            when: args.required(&WHEN_NEEDED)?,
            keep: args.required(&KEEP_NEEDED)?,
        }))
    },
};

const CHANGE: SubcommandSpec = SubcommandSpec {
    line: "schedule change",
    name: "change",
    doc: "Change a backup schedule, by pull request",
    notes: "Say at least one of `new_name`, `when` and `keep`.",
    example: "schedule change tenant:poseidon1 name:daily keep:14d",
    options: &[TENANT, NAME, NEW_NAME, WHEN, KEEP],
    availability: Availability::Now,
    bare: Bare::Refused,
    parse: |args| {
        let (tenant, name) = (args.required(&TENANT)?, args.required(&NAME)?);
        let (new_name, when, keep) = (
            args.optional(&NEW_NAME)?,
            args.optional(&WHEN)?,
            args.optional(&KEEP)?,
        );
        if new_name.is_none() && when.is_none() && keep.is_none() {
            return Err(ParseError::NothingToChange);
        }
        Ok(Command::Schedule(Schedule::Change {
            tenant,
            name,
            new_name,
            when,
            keep,
        }))
    },
};

const REMOVE: SubcommandSpec = SubcommandSpec {
    line: "schedule remove",
    name: "remove",
    doc: "Take a backup schedule out of the order, by pull request",
    notes: "Backups that it took stay until they expire.",
    example: "schedule remove tenant:poseidon1 name:daily",
    options: &[TENANT, NAME],
    availability: Availability::Now,
    bare: Bare::Refused,
    parse: |args| {
        Ok(Command::Schedule(Schedule::Remove {
            tenant: args.required(&TENANT)?,
            name: args.required(&NAME)?,
        }))
    },
};

const LIST: SubcommandSpec = SubcommandSpec {
    line: "schedule list",
    name: "list",
    doc: "List the backup schedules of a tenant",
    notes: "",
    example: "schedule list tenant:poseidon1",
    options: &[TENANT],
    availability: Availability::Now,
    bare: Bare::One(&TENANT),
    parse: |args| {
        Ok(Command::Schedule(Schedule::List {
            tenant: args.required(&TENANT)?,
        }))
    },
};

const STATUS: SubcommandSpec = about(
    "schedule status",
    "status",
    "Show where a request to change schedules stands",
    "schedule status poseidon1-7k2pqm",
    |args| Ok(Command::Schedule(Schedule::Status(Target::parse(args)?))),
);

const WITHDRAW: SubcommandSpec = about(
    "schedule withdraw",
    "withdraw",
    "Call a request off; possible until it is in the order",
    "schedule withdraw poseidon1-7k2pqm",
    |args| Ok(Command::Schedule(Schedule::Withdraw(Target::parse(args)?))),
);

const RETRY: SubcommandSpec = about(
    "schedule retry",
    "retry",
    "Go on with a request that is stuck",
    "schedule retry poseidon1-7k2pqm",
    |args| Ok(Command::Schedule(Schedule::Retry(Target::parse(args)?))),
);

const LEAVE: SubcommandSpec = about(
    "schedule leave",
    "leave",
    "End a request that is stuck, with things as they are",
    "schedule leave poseidon1-7k2pqm",
    |args| Ok(Command::Schedule(Schedule::Leave(Target::parse(args)?))),
);

pub(crate) const SPEC: CommandSpec = CommandSpec {
    name: "schedule",
    doc: "Order backup schedules for a tenant",
    subcommands: &[ADD, CHANGE, REMOVE, LIST, STATUS, WITHDRAW, RETRY, LEAVE],
    alone: None,
};

impl Schedule {
    pub(crate) fn spec(&self) -> &'static SubcommandSpec {
        match self {
            Self::Add { .. } => &ADD,
            Self::Change { .. } => &CHANGE,
            Self::Remove { .. } => &REMOVE,
            Self::List { .. } => &LIST,
            Self::Status(_) => &STATUS,
            Self::Withdraw(_) => &WITHDRAW,
            Self::Retry(_) => &RETRY,
            Self::Leave(_) => &LEAVE,
        }
    }
}

/// The text form.
impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.spec().line)?;
        match self {
            Self::Add {
                tenant,
                name,
                when,
                keep,
            } => {
                write_option(f, &TENANT, Some(tenant))?;
                write_option(f, &NEW_SCHEDULE, Some(name))?;
                write_option(f, &WHEN, Some(when))?;
                write_option(f, &KEEP, Some(keep))
            }
            Self::Change {
                tenant,
                name,
                new_name,
                when,
                keep,
            } => {
                write_option(f, &TENANT, Some(tenant))?;
                write_option(f, &NAME, Some(name))?;
                write_option(f, &NEW_NAME, new_name.as_ref())?;
                write_option(f, &WHEN, when.as_ref())?;
                write_option(f, &KEEP, keep.as_ref())
            }
            Self::Remove { tenant, name } => {
                write_option(f, &TENANT, Some(tenant))?;
                write_option(f, &NAME, Some(name))
            }
            Self::List { tenant } => write_option(f, &TENANT, Some(tenant)),
            Self::Status(target)
            | Self::Withdraw(target)
            | Self::Retry(target)
            | Self::Leave(target) => write_option(f, &REQUEST, target.request.as_ref()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse;

    #[test]
    fn schedules_in_text() {
        for (line, canonical) in [
            (
                "schedule add tenant:p name:n when:\"0 1 * * *\" keep:7d",
                "schedule add tenant:p name:n when:\"0 1 * * *\" keep:168h0m0s",
            ),
            (
                "schedule change tenant:p name:n new_name:m when:@daily",
                "schedule change tenant:p name:n new_name:m when:\"@daily\"",
            ),
            (
                "schedule remove name:n tenant:p",
                "schedule remove tenant:p name:n",
            ),
            ("schedule list p", "schedule list tenant:p"),
        ] {
            assert_eq!(parse(line).unwrap().to_string(), canonical);
        }
    }

    #[test]
    fn a_change_changes_something() {
        assert_eq!(
            parse("schedule change tenant:p name:n"),
            Err(ParseError::NothingToChange)
        );
    }

    #[test]
    fn the_ttl_is_checked() {
        let line = "schedule change tenant:p name:n keep:\"6 moons\"";
        assert!(matches!(
            parse(line),
            Err(ParseError::BadValue { option: "keep", .. })
        ));
    }
}
