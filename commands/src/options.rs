//! Options that several commands share.

use crate::grammar::{Completes, Kind, OptionSpec};

pub(crate) const TENANT: OptionSpec = OptionSpec {
    name: "tenant",
    doc: "The tenant, as its order names it",
    required: true,
    kind: Kind::Text,
    completes: Completes::Tenants,
    example: "poseidon1",
};

pub(crate) const NAMESPACES: OptionSpec = OptionSpec {
    name: "namespaces",
    doc: "Environments (dev) or namespaces (poseidon1-dev), with commas between them",
    required: true,
    kind: Kind::List,
    completes: Completes::Namespaces,
    example: "dev,test",
};

pub(crate) const NAMESPACE: OptionSpec = OptionSpec {
    name: "namespace",
    doc: "One environment (dev) or namespace (poseidon1-dev)",
    required: false,
    kind: Kind::Text,
    completes: Completes::Namespaces,
    example: "dev",
};

pub(crate) const SCHEDULE: OptionSpec = OptionSpec {
    name: "schedule",
    doc: "The schedule that took the backup, as the order names it",
    required: false,
    kind: Kind::Text,
    completes: Completes::Schedules,
    example: "daily",
};

pub(crate) const BACKUP: OptionSpec = OptionSpec {
    name: "backup",
    doc: "One backup by its name, instead of a day",
    required: false,
    kind: Kind::Text,
    completes: Completes::Backups,
    example: "poseidon1-daily-20261124010000",
};

pub(crate) const DAY: OptionSpec = OptionSpec {
    name: "day",
    doc: "The day of the backup: latest, today, yesterday, a weekday, 2026-11-20, 2026-11-20 03:30",
    required: false,
    kind: Kind::Text,
    completes: Completes::Days,
    example: "yesterday",
};

pub(crate) const REASON: OptionSpec = OptionSpec {
    name: "reason",
    doc: "Why, in a few words, for the reviewer and the record",
    required: false,
    kind: Kind::Text,
    completes: Completes::Nothing,
    example: "bad migration",
};

pub(crate) const REQUEST: OptionSpec = OptionSpec {
    name: "request",
    doc: "The request; in its own thread it can be left out",
    required: false,
    kind: Kind::Text,
    completes: Completes::Requests,
    example: "poseidon1-7k2pq",
};
