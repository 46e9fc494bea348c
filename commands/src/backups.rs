//! `/backups`: what backups there are.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use crate::command::write_option;
use crate::grammar::{Availability, Bare, CommandSpec, OptionSpec, SubcommandSpec};
use crate::options::{NAMESPACE, SCHEDULE, TENANT};
use crate::{Command, Completes, Kind, Namespace, ScheduleName, Tenant, ValueError};

/// A `/backups` command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Backups {
    /// Lists the backups of a tenant.
    List {
        /// The tenant.
        tenant: Tenant,
        /// Only those that hold this namespace.
        namespace: Option<Namespace>,
        /// Which page of the list; the first if not said.
        page: Option<Page>,
    },
    /// Takes a backup at once.
    Now {
        /// The tenant.
        tenant: Tenant,
        /// The schedule whose backup it is.
        schedule: ScheduleName,
    },
    /// Which namespaces have good backups, and which runs were missed.
    Overview {
        /// The tenant; all that the person may see if not said.
        tenant: Option<Tenant>,
    },
}

/// The number of a page, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Page(NonZeroU32);

impl Page {
    /// The number, from 1.
    pub fn number(self) -> u32 {
        self.0.get()
    }
}

impl fmt::Display for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Page {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let number = text.parse().map(Self);
        number.map_err(|_| {
            ValueError::new(
                "it is no page",
                "A page is a whole number from 1, for example `2`",
            )
        })
    }
}

const PAGE: OptionSpec = OptionSpec {
    name: "page",
    doc: "Which page of the list",
    required: false,
    kind: Kind::Integer,
    completes: Completes::Nothing,
    example: "2",
};

const TENANT_IF_ONE: OptionSpec = OptionSpec {
    required: false,
    doc: "The tenant; without it, all that you may see",
    ..TENANT
};

const SCHEDULE_NEEDED: OptionSpec = OptionSpec {
    doc: "The schedule whose backup is taken, as the order names it",
    ..SCHEDULE.required()
};

const LIST: SubcommandSpec = SubcommandSpec {
    line: "backups list",
    name: "list",
    doc: "List the backups of a tenant with age, size, phase and expiry",
    notes: "",
    example: "backups list tenant:poseidon1 namespace:dev page:2",
    options: &[TENANT, NAMESPACE, PAGE],
    availability: Availability::Now,
    bare: Bare::One(&TENANT),
    parse: |args| {
        Ok(Command::Backups(Backups::List {
            tenant: args.required(&TENANT)?,
            namespace: args.optional(&NAMESPACE)?,
            page: args.optional(&PAGE)?,
        }))
    },
};

const NOW: SubcommandSpec = SubcommandSpec {
    line: "backups now",
    name: "now",
    doc: "Take a backup at once, as a schedule would",
    notes: "",
    example: "backups now tenant:poseidon1 schedule:daily",
    options: &[TENANT, SCHEDULE_NEEDED],
    availability: Availability::Now,
    bare: Bare::Refused,
    parse: |args| {
        Ok(Command::Backups(Backups::Now {
            tenant: args.required(&TENANT)?,
            schedule: args.required(&SCHEDULE_NEEDED)?,
        }))
    },
};

const OVERVIEW: SubcommandSpec = SubcommandSpec {
    line: "backups overview",
    name: "overview",
    doc: "Show namespaces without a good backup, and runs that were missed",
    notes: "",
    example: "backups overview tenant:poseidon1",
    options: &[TENANT_IF_ONE],
    availability: Availability::Now,
    bare: Bare::One(&TENANT_IF_ONE),
    parse: |args| {
        Ok(Command::Backups(Backups::Overview {
            tenant: args.optional(&TENANT_IF_ONE)?,
        }))
    },
};

pub(crate) const SPEC: CommandSpec = CommandSpec {
    name: "backups",
    doc: "See and take backups of a tenant",
    subcommands: &[LIST, NOW, OVERVIEW],
    alone: None,
};

impl Backups {
    pub(crate) fn spec(&self) -> &'static SubcommandSpec {
        match self {
            Self::List { .. } => &LIST,
            Self::Now { .. } => &NOW,
            Self::Overview { .. } => &OVERVIEW,
        }
    }
}

/// The text form.
impl fmt::Display for Backups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.spec().line)?;
        match self {
            Self::List {
                tenant,
                namespace,
                page,
            } => {
                write_option(f, &TENANT, Some(tenant))?;
                write_option(f, &NAMESPACE, namespace.as_ref())?;
                write_option(f, &PAGE, page.as_ref())
            }
            Self::Now { tenant, schedule } => {
                write_option(f, &TENANT, Some(tenant))?;
                write_option(f, &SCHEDULE, Some(schedule))
            }
            Self::Overview { tenant } => write_option(f, &TENANT, tenant.as_ref()),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{ParseError, parse};

    #[test]
    fn backups_in_text() {
        for (line, canonical) in [
            ("backups list p", "backups list tenant:p"),
            (
                "backups list tenant:p page:2",
                "backups list tenant:p page:2",
            ),
            (
                "backups now tenant:p schedule:daily",
                "backups now tenant:p schedule:daily",
            ),
            ("backups overview", "backups overview"),
            ("backups overview p", "backups overview tenant:p"),
        ] {
            assert_eq!(parse(line).unwrap().to_string(), canonical);
        }
        for page in ["0", "-1", "x", "1.5", "99999999999"] {
            let line = format!("backups list p page:{page}");
            assert!(
                matches!(
                    parse(&line),
                    Err(ParseError::BadValue { option: "page", .. })
                ),
                "{line}"
            );
        }
    }
}
