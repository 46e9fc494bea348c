//! `deny`: a reviewer refuses a request.

use std::fmt;

use crate::args::Args;
use crate::command::write_option;
use crate::grammar::{Availability, Bare, CommandSpec, SubcommandSpec};
use crate::options::{REASON, REQUEST};
use crate::{Command, ParseError, Reason, RequestName};

pub(crate) const DENY: SubcommandSpec = SubcommandSpec {
    line: "deny",
    name: "deny",
    doc: "Refuse a request, as its reviewer",
    notes: "Words after `deny` are the reason; quotes are not needed: `deny too late in the day`.",
    example: "deny reason:\"too late in the day\"",
    options: &[REQUEST, REASON],
    availability: Availability::Now,
    bare: Bare::All(&REASON),
    parse,
};

pub(crate) const SPEC: CommandSpec = CommandSpec {
    name: DENY.name,
    doc: DENY.doc,
    subcommands: &[],
    alone: Some(&DENY),
};

fn parse(args: &Args) -> Result<Command, ParseError> {
    Ok(Command::Deny {
        request: args.optional(&REQUEST)?,
        reason: args.optional(&REASON)?,
    })
}

/// The text form.
pub(crate) struct Deny<'a> {
    pub(crate) request: &'a Option<RequestName>,
    pub(crate) reason: &'a Option<Reason>,
}

impl fmt::Display for Deny<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(DENY.line)?;
        write_option(f, &REQUEST, self.request.as_ref())?;
        write_option(f, &REASON, self.reason.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use crate::{ParseError, parse};

    #[test]
    fn the_reason_needs_no_quotes() {
        for (line, canonical) in [
            ("deny", "deny"),
            (
                "deny too late in the day",
                "deny reason:\"too late in the day\"",
            ),
            (
                "Deny can't do it today",
                "deny reason:\"can't do it today\"",
            ),
            ("deny 'tis too late", "deny reason:\"'tis too late\""),
            ("deny \"too late\"", "deny reason:\"too late\""),
            (
                "deny he said \"no\" to it",
                "deny reason:\"he said \\\"no\\\" to it\"",
            ),
            (
                "deny reason:too late in the day",
                "deny reason:\"too late in the day\"",
            ),
            ("deny reason: too late", "deny reason:\"too late\""),
            (
                "deny request:x-1 too late",
                "deny request:x-1 reason:\"too late\"",
            ),
            (
                "deny too late request:x-1",
                "deny request:x-1 reason:\"too late\"",
            ),
            (
                "deny see https://example.com/x",
                "deny reason:\"see https://example.com/x\"",
            ),
        ] {
            assert_eq!(parse(line).unwrap().to_string(), canonical, "{line}");
        }
    }

    #[test]
    fn a_slip_in_an_option_is_no_reason() {
        assert!(matches!(
            parse("deny reasn:late"),
            Err(ParseError::UnknownOption {
                meant: Some("reason"),
                ..
            })
        ));
        assert!(matches!(
            parse("deny reason:\"late\" indeed"),
            Err(ParseError::BareWord { .. })
        ));
        assert!(matches!(
            parse("deny reason:\"late"),
            Err(ParseError::QuoteNotClosed { closer: '"', .. })
        ));
    }
}
