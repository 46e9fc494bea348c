//! The request form of the platform in plain words: "restore backup X of namespace Y from schedule Z".

use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use regex::Regex;

use crate::args::read_value;
use crate::options::{BACKUP, DAY, NAMESPACES, REASON, SCHEDULE};
use crate::restore::{Request, Restore, check_twice};
use crate::{Command, Namespace, OptionSpec, ParseError, Source, ValueError};

/// A name is whatever stands between spaces, commas and `&`: what is wrong with it is said afterwards. The list of
/// namespaces takes as much as it can, so that one called `because` is still a namespace after a comma.
static PLAIN: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"(?isx)^
        (?:please\s+)? restore \s+
        (?:the\s+)? (?:backup \s+ (?P<backup>[^\s,&]+) \s+ (?:of|for|in) \s+)?
        (?:the\s+)? (?:namespaces?|environments?) \s+
        (?P<namespaces>[^\s,&]+ (?:(?:\s*,\s*(?:and\s+)?|\s*&\s*|\s+and\s+) [^\s,&]+)*)
        (?:\s+from \s+ (?:the\s+)? schedule \s+ (?P<schedule>[^\s,&]+))?
        (?:\s+on \s+ (?P<day>.+?))?
        (?:\s*,?\s+because \s+ (?P<reason>.+) | \s*[.!]*\s*)
        $",
    )
    .expect("the pattern is fixed")
});

/// How a line begins that was meant to be in plain words.
static NEAR: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)^(?:please\s+)?restore\s+(?:the\b|backups?\b|namespaces?\b|environments?\b)")
        .expect("the pattern is fixed")
});

/// A request, if the line is in plain words; nothing if it is not.
pub(crate) fn parse(line: &str) -> Option<Result<Command, ParseError>> {
    let parts = PLAIN.captures(line)?;
    let part = |name| parts.name(name).map(|part| part.as_str());
    if part("backup").is_none() && part("schedule").is_none() {
        return Some(Err(ParseError::PlainForm));
    }
    let list = part("namespaces").unwrap_or_default();
    Some(request(
        list,
        part("schedule"),
        part("backup"),
        part("day"),
        part("reason"),
    ))
}

/// Whether the line begins like the plain form.
pub(crate) fn is_near(line: &str) -> bool {
    NEAR.is_match(line)
}

fn request(
    list: &str,
    schedule: Option<&str>,
    backup: Option<&str>,
    day: Option<&str>,
    reason: Option<&str>,
) -> Result<Command, ParseError> {
    let namespaces: Vec<Namespace> = names(list)
        .map(|name| read_name(&NAMESPACES, name))
        .collect::<Result<_, _>>()?;
    check_twice(&namespaces, None)?;
    let source = Source::new(
        schedule
            .map(|name| read_name(&SCHEDULE, name))
            .transpose()?,
        backup.map(|name| read_name(&BACKUP, name)).transpose()?,
        day.map(|day| read_value(&DAY, day.trim().trim_end_matches(['.', '!', ','])))
            .transpose()?,
    )?;
    let reason = reason
        .map(|reason| read_value(&REASON, reason))
        .transpose()?;
    Ok(Command::Restore(Restore::Request(Request {
        tenant: None,
        namespaces,
        source,
        reason,
    })))
}

/// The names of a list with commas, `&` or "and" between them.
fn names(list: &str) -> impl Iterator<Item = &str> {
    list.split([',', '&']).flat_map(|part| {
        let words: Vec<_> = part.split_whitespace().collect();
        // Within a part, every word that stands between two others, or before the last, is an "and".
        let and = |at: usize| {
            words.len() > 1 && words[at].eq_ignore_ascii_case("and") && (at + 1 < words.len())
        };
        let kept: Vec<_> = (0..words.len())
            .filter(|&at| !and(at))
            .map(|at| words[at])
            .collect();
        kept
    })
}

/// Reads a name from a sentence: in any case, perhaps in quotes, perhaps with a full stop after it.
fn read_name<T: FromStr<Err = ValueError>>(
    option: &OptionSpec,
    name: &str,
) -> Result<T, ParseError> {
    let marks = |c: char| "\"'`\u{201c}\u{201d}\u{201e}\u{2018}\u{2019}".contains(c);
    let name = name
        .trim_end_matches(['.', '!', ';', ':'])
        .trim_matches(marks)
        .to_lowercase();
    read_value(option, &name)
}

/// Writes a request that has no tenant, so that [`parse`] reads it back.
pub(crate) fn write(f: &mut fmt::Formatter<'_>, request: &Request) -> fmt::Result {
    let Request {
        tenant: _,
        namespaces,
        source,
        reason,
    } = request;
    f.write_str("restore")?;
    if let Some(backup) = source.backup() {
        write!(f, " backup {backup} of")?;
    }
    let names: Vec<_> = namespaces.iter().map(Namespace::as_str).collect();
    let plural = if names.len() == 1 { "" } else { "s" };
    write!(f, " namespace{plural} {}", names.join(", "))?;
    if let Some(schedule) = source.schedule() {
        write!(f, " from schedule {schedule}")?;
    }
    if let Some(day) = source.day() {
        write!(f, " on {day}")?;
    }
    if let Some(reason) = reason {
        write!(f, " because {reason}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse as parse_line;

    #[test]
    fn the_request_form_of_the_platform() {
        let line = "restore backup demo-backup of namespace demo-namespace from schedule daily";
        let Ok(Command::Restore(Restore::Request(request))) = parse_line(line) else {
            panic!("{line}")
        };
        assert_eq!(request.tenant, None);
        assert_eq!(request.namespaces, ["demo-namespace".parse().unwrap()]);
        assert_eq!(request.source.backup().unwrap().as_str(), "demo-backup");
        assert_eq!(request.source.schedule().unwrap().as_str(), "daily");
        assert_eq!((request.source.day(), request.reason), (None, None));
    }

    #[test]
    fn people_say_it_in_many_ways() {
        for (line, canonical) in [
            (
                "Restore Backup X Of Namespace Y From Schedule Z.",
                "restore backup x of namespace y from schedule z",
            ),
            (
                "@refloat please restore the backup x for the namespaces a, b and c from the schedule z",
                "restore backup x of namespaces a, b, c from schedule z",
            ),
            (
                "restore backup x of namespaces a,b, and c",
                "restore backup x of namespaces a, b, c",
            ),
            (
                "restore backup `x` of environments a & b",
                "restore backup x of namespaces a, b",
            ),
            (
                "restore namespace dev from schedule daily on Tuesday at 03:30, because it's \"broken\".",
                "restore namespace dev from schedule daily on tuesday 03:30 because it's \"broken\".",
            ),
            (
                "restore backup x of namespace a\nfrom schedule z\nbecause the\nmigration failed",
                "restore backup x of namespace a from schedule z because the migration failed",
            ),
            (
                "restore backup x of namespaces a and because because of it",
                "restore backup x of namespaces a, because because of it",
            ),
            (
                "restore backup x of namespaces a, and, b",
                "restore backup x of namespaces a, and, b",
            ),
        ] {
            let command = parse_line(line).unwrap_or_else(|error| panic!("{line}: {error}"));
            assert_eq!(command.to_string(), canonical, "{line}");
            assert_eq!(parse_line(canonical), Ok(command));
        }
    }

    #[test]
    fn what_is_nearly_plain_says_how_to_write_it() {
        for line in [
            "restore backup x",
            "restore namespace dev",
            "restore the database",
            "restore backup x of namespac y",
            "restore backup x of namespace a and",
            "restore backup x of namespace a because ",
        ] {
            let error = parse_line(line);
            assert!(
                matches!(
                    error,
                    Err(ParseError::PlainForm | ParseError::BadValue { .. })
                ) || line.ends_with("and"),
                "{line}: {error:?}"
            );
        }
        let day = parse_line("restore backup x of namespace a on yesterday");
        assert!(matches!(day, Err(ParseError::Source(_))));
        let name = parse_line("restore backup x of namespace a_b");
        assert!(matches!(
            name,
            Err(ParseError::BadValue {
                option: "namespaces",
                ..
            })
        ));
    }
}
