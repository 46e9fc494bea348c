//! `approve`: a reviewer lets a request go ahead.

use std::fmt;

use crate::args::Args;
use crate::command::write_option;
use crate::grammar::{
    Availability, Bare, CommandSpec, Completes, Kind, OptionSpec, SubcommandSpec,
};
use crate::options::REQUEST;
use crate::{Command, Digest, ParseError, RequestName};

pub(crate) const DIGEST_OPTION: OptionSpec = OptionSpec {
    name: "digest",
    doc: "The digest on the approval card, to approve exactly what you read",
    required: false,
    kind: Kind::Text,
    completes: Completes::Nothing,
    example: "3fa9c1d2",
};

pub(crate) const APPROVE: SubcommandSpec = SubcommandSpec {
    line: "approve",
    name: "approve",
    doc: "Approve a request, as its reviewer",
    notes: "You cannot approve your own request. If anything about it changes, the approval is void.",
    example: "approve poseidon1-7k2pq",
    options: &[REQUEST, DIGEST_OPTION],
    availability: Availability::Now,
    bare: Bare::One(&REQUEST),
    parse,
};

pub(crate) const SPEC: CommandSpec = CommandSpec {
    name: APPROVE.name,
    doc: APPROVE.doc,
    subcommands: &[],
    alone: Some(&APPROVE),
};

fn parse(args: &Args) -> Result<Command, ParseError> {
    Ok(Command::Approve {
        request: args.optional(&REQUEST)?,
        digest: args.optional(&DIGEST_OPTION)?,
    })
}

/// The text form.
pub(crate) struct Approve<'a> {
    pub(crate) request: &'a Option<RequestName>,
    pub(crate) digest: &'a Option<Digest>,
}

impl fmt::Display for Approve<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(APPROVE.line)?;
        write_option(f, &REQUEST, self.request.as_ref())?;
        write_option(f, &DIGEST_OPTION, self.digest.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use crate::parse;

    #[test]
    fn the_request_is_one_bare_word() {
        for (line, canonical) in [
            ("approve", "approve"),
            ("Approve x-1", "approve request:x-1"),
            (
                "/approve request:x-1 digest:ABCDEF",
                "approve request:x-1 digest:abcdef",
            ),
            (
                "approve digest:abcdef x-1",
                "approve request:x-1 digest:abcdef",
            ),
        ] {
            assert_eq!(parse(line).unwrap().to_string(), canonical);
        }
        assert!(parse("approve x-1 x-2").is_err());
        assert!(parse("approve x-1 request:x-2").is_err());
    }
}
