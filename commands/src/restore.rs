//! `/restore`: namespaces back from a backup, and what goes with it.

use std::collections::BTreeSet;
use std::fmt;

use crate::approve::DIGEST_OPTION;
use crate::args::{Args, bad_value};
use crate::command::write_option;
use crate::grammar::{Availability, Bare, CommandSpec, OptionSpec, SubcommandSpec};
use crate::options::{BACKUP, DAY, NAMESPACE, NAMESPACES, REASON, REQUEST, SCHEDULE, TENANT};
use crate::{
    Command, Completes, Digest, Kind, Namespace, ParseError, Reason, RequestName, Source, Tenant,
    ValueError, plain,
};

/// A `/restore` command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Restore {
    /// Starts a restore.
    Request(Request),
    /// The checks of a restore and what it would delete, without touching anything.
    Preview(Request),
    /// Restores beside the original.
    Copy(CopyRequest),
    /// Where a request stands.
    Status(Target),
    /// Calls a request off.
    Withdraw(Target),
    /// Goes on with a request that is stuck.
    Retry(Target),
    /// Goes back to the safety backup.
    Undo(Target),
    /// Turns self-heal on again with things as they are, after a request got stuck.
    Resume(Target),
    /// A reviewer's express consent to what a request's checks mark so.
    Consent {
        /// The request; nothing in its own thread.
        request: Option<RequestName>,
        /// The beginning of the digest on the card.
        digest: Option<Digest>,
    },
    /// A reviewer lets a request go on without a safety backup.
    Waive(Target),
    /// Velero's log of a request's restore.
    Log(Target),
}

/// What is to be restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The tenant. Nothing only in the plain form, which does not name it: the caller finds it from the namespaces.
    pub tenant: Option<Tenant>,
    /// The namespaces, at least one, none twice, as they were written: short or in full.
    pub namespaces: Vec<Namespace>,
    /// What to restore from.
    pub source: Source,
    /// Why. Nothing only in a preview and in the plain form.
    pub reason: Option<Reason>,
}

/// What is to be restored beside the original.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyRequest {
    /// The tenant.
    pub tenant: Tenant,
    /// The namespace whose backup is used.
    pub namespace: Namespace,
    /// The new namespace.
    pub into: Namespace,
    /// What to restore from.
    pub source: Source,
    /// Why.
    pub reason: Option<Reason>,
}

/// The request that a command is about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Target {
    /// Its name; nothing in its own thread.
    pub request: Option<RequestName>,
}

const INTO: OptionSpec = OptionSpec {
    name: "into",
    doc: "The new namespace to restore into; it must not exist yet",
    required: true,
    kind: Kind::Text,
    completes: Completes::Nothing,
    example: "dev-copy",
};

const REASON_NEEDED: OptionSpec = REASON.required();
const NAMESPACE_NEEDED: OptionSpec = NAMESPACE.required();

const SOURCES: &str = "Say `schedule`, with a `day` if it is not the latest; or say `backup`. With neither, it is the \
                       latest good backup of any schedule.";

const REQUEST_FORM: SubcommandSpec = SubcommandSpec {
    line: "restore request",
    name: "request",
    doc: "Start a restore: it is checked, approved and carried out in a thread of its own",
    notes: "Say `schedule`, with a `day` if it is not the latest; or say `backup`. With neither, it is the latest \
            good backup of any schedule. What is in the namespaces now is deleted before the restore, once a reviewer \
            has approved.\n\
            In plain words: `restore backup <name> of namespace <name> from schedule <name> because <reason>`.",
    example: "restore request tenant:poseidon1 namespaces:dev,test schedule:daily day:yesterday reason:\"bad migration\"",
    options: &[TENANT, NAMESPACES, REASON_NEEDED, SCHEDULE, DAY, BACKUP],
    availability: Availability::Now,
    bare: Bare::Refused,
    parse: |args| {
        Ok(Command::Restore(Restore::Request(Request::parse(
            args,
            Some(&REASON_NEEDED),
        )?)))
    },
};

const PREVIEW: SubcommandSpec = SubcommandSpec {
    line: "restore preview",
    name: "preview",
    doc: "Show what a restore would delete and bring back, touching nothing",
    notes: SOURCES,
    example: "restore preview tenant:poseidon1 namespaces:dev schedule:daily",
    options: &[TENANT, NAMESPACES, SCHEDULE, DAY, BACKUP],
    availability: Availability::Now,
    bare: Bare::Refused,
    parse: |args| {
        Ok(Command::Restore(Restore::Preview(Request::parse(
            args, None,
        )?)))
    },
};

const COPY: SubcommandSpec = SubcommandSpec {
    line: "restore copy",
    name: "copy",
    doc: "Restore a namespace beside the original, into a new one",
    notes: "Nothing is deleted and nobody has to approve it: the copy goes into a new namespace, which is removed again \
            after a while. What acts outside of the namespace by itself is left out: jobs, routes, custom resources.\n\
            Say `schedule`, with a `day` if it is not the latest; or say `backup`. With neither, it is the latest good \
            backup of any schedule.",
    example: "restore copy tenant:poseidon1 namespace:dev into:dev-copy schedule:daily",
    options: &[
        TENANT,
        NAMESPACE_NEEDED,
        INTO,
        SCHEDULE,
        DAY,
        BACKUP,
        REASON,
    ],
    availability: Availability::Now,
    bare: Bare::Refused,
    parse: |args| {
        Ok(Command::Restore(Restore::Copy(CopyRequest {
            tenant: args.required(&TENANT)?,
            namespace: args.required(&NAMESPACE_NEEDED)?,
            into: args.required(&INTO)?,
            source: Source::parse(args)?,
            reason: args.optional(&REASON)?,
        })))
    },
};

/// A subcommand that is about one request.
pub(crate) const fn about(
    line: &'static str,
    name: &'static str,
    doc: &'static str,
    example: &'static str,
    parse: fn(&Args) -> Result<Command, ParseError>,
) -> SubcommandSpec {
    let notes = "In the thread of the request, its name can be left out.";
    let (options, availability, bare): (&[OptionSpec], _, _) =
        (&[REQUEST], Availability::Now, Bare::One(&REQUEST));
    SubcommandSpec {
        line,
        name,
        doc,
        notes,
        example,
        options,
        availability,
        bare,
        parse,
    }
}

const STATUS: SubcommandSpec = about(
    "restore status",
    "status",
    "Show where a request stands",
    "restore status poseidon1-7k2pq",
    |args| Ok(Command::Restore(Restore::Status(Target::parse(args)?))),
);

const WITHDRAW: SubcommandSpec = about(
    "restore withdraw",
    "withdraw",
    "Call a request off; possible until something is deleted",
    "restore withdraw request:poseidon1-7k2pq",
    |args| Ok(Command::Restore(Restore::Withdraw(Target::parse(args)?))),
);

const RETRY: SubcommandSpec = about(
    "restore retry",
    "retry",
    "Go on with a request that is stuck",
    "restore retry poseidon1-7k2pq",
    |args| Ok(Command::Restore(Restore::Retry(Target::parse(args)?))),
);

const UNDO: SubcommandSpec = about(
    "restore undo",
    "undo",
    "Go back to the safety backup of a request, by a new request of its own",
    "restore undo poseidon1-7k2pq",
    |args| Ok(Command::Restore(Restore::Undo(Target::parse(args)?))),
);

const CONSENT: SubcommandSpec = SubcommandSpec {
    line: "restore consent",
    name: "consent",
    doc: "Consent, as a reviewer, to what the checks of a request mark so",
    notes: "Some findings need more than an approval: a backup of which parts are missing, data that would be lost, \
            kinds that may stand for something outside the cluster. If anything about the request changes, the \
            consent is void.",
    example: "restore consent poseidon1-7k2pq digest:3fa9c1d2",
    options: &[REQUEST, DIGEST_OPTION],
    availability: Availability::Now,
    bare: Bare::One(&REQUEST),
    parse: |args| {
        Ok(Command::Restore(Restore::Consent {
            request: args.optional(&REQUEST)?,
            digest: args.optional(&DIGEST_OPTION)?,
        }))
    },
};

const WAIVE: SubcommandSpec = about(
    "restore waive",
    "waive",
    "Let a request whose safety backup failed go on without one, as a reviewer",
    "restore waive poseidon1-7k2pq",
    |args| Ok(Command::Restore(Restore::Waive(Target::parse(args)?))),
);

const LOG: SubcommandSpec = about(
    "restore log",
    "log",
    "Show Velero's log of a request's restore",
    "restore log poseidon1-7k2pq",
    |args| Ok(Command::Restore(Restore::Log(Target::parse(args)?))),
);

const RESUME: SubcommandSpec = about(
    "restore resume",
    "resume",
    "Turn self-heal on again with things as they are, if a request is stuck",
    "restore resume poseidon1-7k2pq",
    |args| Ok(Command::Restore(Restore::Resume(Target::parse(args)?))),
);

pub(crate) const SPEC: CommandSpec = CommandSpec {
    name: "restore",
    doc: "Restore namespaces of a tenant from a backup",
    subcommands: &[
        REQUEST_FORM,
        PREVIEW,
        COPY,
        STATUS,
        WITHDRAW,
        RETRY,
        UNDO,
        RESUME,
        CONSENT,
        WAIVE,
        LOG,
    ],
    alone: None,
};

impl Request {
    fn parse(args: &Args, reason: Option<&OptionSpec>) -> Result<Self, ParseError> {
        let tenant: Tenant = args.required(&TENANT)?;
        let namespaces: Vec<Namespace> = args.list(&NAMESPACES)?;
        check_twice(&namespaces, Some(&tenant))?;
        let reason = reason.map(|reason| args.required(reason)).transpose()?;
        Ok(Self {
            tenant: Some(tenant),
            namespaces,
            source: Source::parse(args)?,
            reason,
        })
    }
}

impl Target {
    pub(crate) fn parse(args: &Args) -> Result<Self, ParseError> {
        Ok(Self {
            request: args.optional(&REQUEST)?,
        })
    }
}

/// Refuses a list that has a namespace twice, be it short and in full, or in which one is too long.
pub(crate) fn check_twice(
    namespaces: &[Namespace],
    tenant: Option<&Tenant>,
) -> Result<(), ParseError> {
    let mut seen = BTreeSet::new();
    for namespace in namespaces {
        let bad = |why| bad_value(&NAMESPACES, namespace.as_str(), why);
        let full = match tenant {
            Some(tenant) => namespace.full(tenant).map_err(bad)?,
            None => namespace.clone(),
        };
        if !seen.insert(full) {
            return Err(bad(ValueError::new(
                "it is in the list twice",
                "Write each namespace once, for example `dev,test`",
            )));
        }
    }
    Ok(())
}

impl Restore {
    pub(crate) fn spec(&self) -> &'static SubcommandSpec {
        match self {
            Self::Request(_) => &REQUEST_FORM,
            Self::Preview(_) => &PREVIEW,
            Self::Copy(_) => &COPY,
            Self::Status(_) => &STATUS,
            Self::Withdraw(_) => &WITHDRAW,
            Self::Retry(_) => &RETRY,
            Self::Undo(_) => &UNDO,
            Self::Resume(_) => &RESUME,
            Self::Consent { .. } => &CONSENT,
            Self::Waive(_) => &WAIVE,
            Self::Log(_) => &LOG,
        }
    }
}

/// The text form. A request without a tenant is written in plain words, as nothing else says it.
impl fmt::Display for Restore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Self::Request(request @ Request { tenant: None, .. }) = self {
            return plain::write(f, request);
        }
        f.write_str(self.spec().line)?;
        match self {
            Self::Request(request) | Self::Preview(request) => {
                let Request {
                    tenant,
                    namespaces,
                    source,
                    reason,
                } = request;
                write_option(f, &TENANT, tenant.as_ref())?;
                let names: Vec<_> = namespaces.iter().map(Namespace::as_str).collect();
                write_option(f, &NAMESPACES, Some(&names.join(",")))?;
                write_source(f, source)?;
                write_option(f, &REASON, reason.as_ref())
            }
            Self::Copy(CopyRequest {
                tenant,
                namespace,
                into,
                source,
                reason,
            }) => {
                write_option(f, &TENANT, Some(tenant))?;
                write_option(f, &NAMESPACE, Some(namespace))?;
                write_option(f, &INTO, Some(into))?;
                write_source(f, source)?;
                write_option(f, &REASON, reason.as_ref())
            }
            Self::Status(target)
            | Self::Withdraw(target)
            | Self::Retry(target)
            | Self::Undo(target)
            | Self::Resume(target)
            | Self::Waive(target)
            | Self::Log(target) => write_option(f, &REQUEST, target.request.as_ref()),
            Self::Consent { request, digest } => {
                write_option(f, &REQUEST, request.as_ref())?;
                write_option(f, &DIGEST_OPTION, digest.as_ref())
            }
        }
    }
}

fn write_source(f: &mut fmt::Formatter<'_>, source: &Source) -> fmt::Result {
    write_option(f, &SCHEDULE, source.schedule())?;
    write_option(f, &BACKUP, source.backup())?;
    write_option(f, &DAY, source.day().as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse;

    fn request(line: &str) -> Request {
        match parse(line) {
            Ok(Command::Restore(Restore::Request(request))) => request,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn a_request_in_text() {
        let request = request(
            "/restore request tenant:poseidon1 namespaces:dev,test schedule:daily day:yesterday reason:\"bad migration\"",
        );
        assert_eq!(request.tenant.unwrap().as_str(), "poseidon1");
        assert_eq!(
            request
                .namespaces
                .iter()
                .map(Namespace::as_str)
                .collect::<Vec<_>>(),
            ["dev", "test"]
        );
        assert_eq!(request.source.schedule().unwrap().as_str(), "daily");
        assert_eq!(request.source.day().unwrap().to_string(), "yesterday");
        assert_eq!(request.source.backup(), None);
        assert_eq!(request.reason.unwrap().as_str(), "bad migration");
    }

    #[test]
    fn people_write_spaces_and_other_quotes() {
        let want = request(
            "restore request tenant:p namespaces:a,b,c schedule:s day:\"today 03:30\" reason:\"x y\"",
        );
        for line in [
            "@refloat restore request tenant: p namespaces: a, b ,c schedule=s day:today 03:30 reason=\u{201c}x y\u{201d}",
            "Restore Request Tenant:p Namespaces:'a b c' Schedule:s Day:'Today at 3:30' Reason:'x  y'",
            "restore request\nreason:\u{2018}x y\u{2019}\nday:today at 03:30\nschedule:s\nnamespaces:a,b,c,\ntenant:p",
        ] {
            assert_eq!(request(line), want, "{line}");
        }
    }

    #[test]
    fn a_namespace_is_given_once() {
        for list in ["dev,dev", "dev,p-dev", "p-dev,test,dev"] {
            let line = format!("restore request tenant:p namespaces:{list} reason:x");
            assert!(
                matches!(
                    parse(&line),
                    Err(ParseError::BadValue {
                        option: "namespaces",
                        ..
                    })
                ),
                "{line}"
            );
        }
        assert!(matches!(
            parse("restore request tenant:p namespaces:, reason:x"),
            Err(ParseError::EmptyValue {
                option: "namespaces",
                ..
            })
        ));
    }

    #[test]
    fn the_other_subcommands() {
        for (line, canonical) in [
            ("restore status", "restore status"),
            ("restore status r-1", "restore status request:r-1"),
            (
                "/restore withdraw request:r-1",
                "restore withdraw request:r-1",
            ),
            ("restore retry", "restore retry"),
            ("restore undo", "restore undo"),
            ("restore resume r-1", "restore resume request:r-1"),
            ("restore waive r-1", "restore waive request:r-1"),
            ("restore log", "restore log"),
            (
                "restore consent r-1 digest:abcdef",
                "restore consent request:r-1 digest:abcdef",
            ),
            (
                "restore preview tenant:p namespaces:dev backup:b-1",
                "restore preview tenant:p namespaces:dev backup:b-1",
            ),
            (
                "restore copy tenant:p namespace:dev into:dev-2 reason:look",
                "restore copy tenant:p namespace:dev into:dev-2 reason:look",
            ),
        ] {
            assert_eq!(parse(line).unwrap().to_string(), canonical);
        }
    }
}
