//! Which words can follow what is typed.

use crate::args::join;
use crate::day;
use crate::grammar::{CommandSpec, Completes, Kind, OptionSpec, SubcommandSpec, grammar};
use crate::parse::help_alone;
use crate::refloat::Topic;
use crate::words::{Quote, Word, Words, command_line};

/// What can follow a line that is being typed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Completion {
    /// What is typed already of the word or value: what an offer takes the place of.
    pub prefix: String,
    /// Words of the grammar that go on from the prefix.
    pub offers: Vec<Offer>,
    /// Which values the caller is to offer besides, if any.
    pub wanted: Completes,
    /// The options typed before, by name; of a list that is being typed, the values before the prefix.
    pub given: Vec<(String, String)>,
}

/// A word that can follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// The text to put in the place of the prefix; for an option, its name with the `:`.
    pub insert: String,
    /// What it is.
    pub doc: String,
}

/// Says what can follow `line`, which ends where the person is.
///
/// Commands that are not available yet are not offered, nor is anything of them.
pub fn complete(line: &str) -> Completion {
    let line = command_line(line);
    let mut words: Vec<Word<'_>> = Words::new(line).collect();
    let within = match words.last() {
        Some(last) => matches!(last.quote, Quote::Open(_)) || !line.ends_with(char::is_whitespace),
        None => false,
    };
    let partial = if within { words.pop() } else { None };
    let prefix = partial.as_ref().map_or("", |word| word.raw);

    let Some(first) = words.first() else {
        return commands(prefix);
    };
    if let Some(help) = help_alone(first) {
        return options(help, &words[1..], partial.as_ref());
    }
    let spec = CommandSpec::find(&first.value).filter(|_| first.key.is_none());
    let Some(spec) = spec else {
        return nothing(prefix);
    };
    let (form, rest) = match (spec.alone, words.get(1)) {
        (Some(alone), _) => (alone, &words[1..]),
        (None, None) => return subcommands(spec, prefix),
        (None, Some(second)) => match spec.subcommand(&second.value) {
            Some(form) => (form, &words[2..]),
            None => return nothing(prefix),
        },
    };
    options(form, rest, partial.as_ref())
}

/// Says which values can follow what is typed of one option, as slash completion asks. `given` are the other options.
pub fn complete_value(option: &OptionSpec, typed: &str, given: &[(&str, &str)]) -> Completion {
    let mut given: Vec<_> = given
        .iter()
        .map(|&(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let mut prefix = typed;
    if option.kind == Kind::List
        && let Some((before, last)) = typed.rsplit_once(',')
    {
        given.push((option.name.to_owned(), before.trim().to_owned()));
        prefix = last.trim_start();
    }
    Completion {
        offers: values(option, prefix),
        prefix: prefix.to_owned(),
        wanted: option.completes,
        given,
    }
}

fn nothing(prefix: &str) -> Completion {
    Completion {
        prefix: prefix.to_owned(),
        ..Completion::default()
    }
}

fn commands(prefix: &str) -> Completion {
    let usable = grammar()
        .iter()
        .filter(|spec| spec.forms().any(SubcommandSpec::is_available));
    Completion {
        offers: offers(prefix, usable.map(|spec| (spec.name, spec.doc))),
        ..nothing(prefix)
    }
}

fn subcommands(spec: &CommandSpec, prefix: &str) -> Completion {
    let usable = spec.subcommands.iter().filter(|form| form.is_available());
    Completion {
        offers: offers(prefix, usable.map(|form| (form.name, form.doc))),
        ..nothing(prefix)
    }
}

fn options(
    form: &'static SubcommandSpec,
    words: &[Word<'_>],
    partial: Option<&Word<'_>>,
) -> Completion {
    if !form.is_available() {
        return nothing(partial.map_or("", |word| word.raw));
    }
    let mut items = join(form, words.iter().cloned().chain(partial.cloned()));
    // What is being typed: the last item, unless a space has ended it.
    let unfinished = items.last().is_some_and(|last| {
        let option = last.key.and_then(|key| form.option(key));
        let list = option.is_some_and(|option| option.kind == Kind::List);
        let waits =
            option.is_some() && (last.value.is_empty() || (list && last.value.ends_with(',')));
        partial.is_some() || (waits && last.quote == Quote::None)
    });
    let current = if unfinished { items.pop() } else { None };
    let mut given = Vec::new();
    let mut bare = Vec::new();
    for item in items {
        match item.key.and_then(|key| form.option(key)) {
            Some(option) => given.push((option.name.to_owned(), item.value)),
            None => bare.push(item.value),
        }
    }
    if let Some(item) = &current
        && let Some(key) = item.key
    {
        let Some(option) = form.option(key) else {
            return nothing(item.raw);
        };
        let given: Vec<_> = given
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        return complete_value(option, &item.value, &given);
    }
    let prefix = current.map(|item| item.value).unwrap_or_default();
    option_names(form, given, &bare, &prefix)
}

/// The options that are not given yet, and the values of the one whose name can be left out.
fn option_names(
    form: &SubcommandSpec,
    given: Vec<(String, String)>,
    bare: &[String],
    prefix: &str,
) -> Completion {
    let missing = |option: &&OptionSpec| !given.iter().any(|(name, _)| name == option.name);
    let unnamed = form.bare_option().filter(missing);
    if let Some(option) = unnamed.filter(|option| option.completes == Completes::Topics) {
        // A topic has several words.
        let words: Vec<_> = bare.iter().map(String::as_str).chain([prefix]).collect();
        let mut completion = complete_value(option, &words.join(" "), &[]);
        if bare.is_empty() {
            completion
                .offers
                .extend(named(form.options.iter().filter(missing), prefix));
        }
        return completion;
    }
    let unnamed = unnamed.filter(|_| bare.is_empty());
    let left = form.options.iter().filter(missing).filter(|option| {
        bare.is_empty()
            || form
                .bare_option()
                .is_none_or(|unnamed| unnamed.name != option.name)
    });
    let mut offers = named(left, prefix);
    offers.extend(
        unnamed
            .map(|option| values(option, prefix))
            .unwrap_or_default(),
    );
    let wanted = unnamed.map_or(Completes::Nothing, |option| option.completes);
    Completion {
        prefix: prefix.to_owned(),
        offers,
        wanted,
        given,
    }
}

fn named<'a>(options: impl Iterator<Item = &'a OptionSpec>, prefix: &str) -> Vec<Offer> {
    let named = options.filter(|option| starts(option.name, prefix));
    named
        .map(|option| Offer {
            insert: format!("{}:", option.name),
            doc: option.doc.to_owned(),
        })
        .collect()
}

/// The values that the grammar itself knows.
fn values(option: &OptionSpec, prefix: &str) -> Vec<Offer> {
    match (option.kind, option.completes) {
        (Kind::Choice(choices), _) => {
            offers(prefix, choices.iter().map(|&choice| (choice, option.doc)))
        }
        (_, Completes::Days) => offers(prefix, day::WORDS),
        (_, Completes::Topics) => offers(prefix.trim_start_matches('/'), Topic::all()),
        _ => Vec::new(),
    }
}

fn offers(
    prefix: &str,
    words: impl IntoIterator<Item = (&'static str, &'static str)>,
) -> Vec<Offer> {
    let words = words.into_iter().filter(|(word, _)| starts(word, prefix));
    words
        .map(|(word, doc)| Offer {
            insert: word.to_owned(),
            doc: doc.to_owned(),
        })
        .collect()
}

/// Whether the word begins with the prefix, in whatever case.
fn starts(word: &str, prefix: &str) -> bool {
    word.get(..prefix.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn say(line: &str) -> String {
        let Completion {
            prefix,
            offers,
            wanted,
            given,
        } = complete(line);
        let inserts: Vec<_> = offers.into_iter().map(|offer| offer.insert).collect();
        let given: Vec<_> = given
            .into_iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        format!(
            "[{prefix}] {} {wanted:?} {}",
            inserts.join(" "),
            given.join(" ")
        )
        .trim()
        .to_owned()
    }

    #[test]
    fn completes_each_part_of_a_line() {
        let lines = [
            "",
            "re",
            "@refloat /RES",
            "restore",
            "restore ",
            "restore re",
            "restore request ",
            "restore request ten",
            "restore request tenant:",
            "restore request tenant:pos",
            "restore request tenant: pos",
            "restore request tenant:p ",
            "restore request tenant:p namespaces:dev,te",
            "restore request tenant:p namespaces:dev, te",
            "restore request tenant:p namespaces:dev, ",
            "restore request tenant:p schedule:daily day:t",
            "restore request tenant:p reason:\"bad mig",
            "restore request tenant:p reason:\"bad mig\" d",
            "restore request nothing:x",
            "restore nothing ",
            "restore status ",
            "restore status po",
            "restore status r-1 ",
            "approve ",
            "approve request:",
            "deny too l",
            "help res",
            "refloat help restore re",
            "refloat ",
            "refloat pause ",
            "schedule ",
            "schedule add ten",
            "nothing ",
        ];
        let table: Vec<_> = lines
            .iter()
            .map(|line| format!("{line:?}\n    {}", say(line)))
            .collect();
        insta::assert_snapshot!(table.join("\n"), @r#"
        ""
            [] restore approve deny backups schedule refloat Nothing
        "re"
            [re] restore refloat Nothing
        "@refloat /RES"
            [RES] restore Nothing
        "restore"
            [restore] restore Nothing
        "restore "
            [] request preview copy status withdraw retry undo resume consent waive log Nothing
        "restore re"
            [re] request retry resume Nothing
        "restore request "
            [] tenant: namespaces: reason: schedule: day: backup: Nothing
        "restore request ten"
            [ten] tenant: Nothing
        "restore request tenant:"
            []  Tenants
        "restore request tenant:pos"
            [pos]  Tenants
        "restore request tenant: pos"
            [pos]  Tenants
        "restore request tenant:p "
            [] namespaces: reason: schedule: day: backup: Nothing tenant=p
        "restore request tenant:p namespaces:dev,te"
            [te]  Namespaces tenant=p namespaces=dev
        "restore request tenant:p namespaces:dev, te"
            [te]  Namespaces tenant=p namespaces=dev
        "restore request tenant:p namespaces:dev, "
            []  Namespaces tenant=p namespaces=dev
        "restore request tenant:p schedule:daily day:t"
            [t] today tuesday thursday Days tenant=p schedule=daily
        "restore request tenant:p reason:\"bad mig"
            [bad mig]  Nothing tenant=p
        "restore request tenant:p reason:\"bad mig\" d"
            [d] day: Nothing tenant=p reason=bad mig
        "restore request nothing:x"
            [nothing:x]  Nothing
        "restore nothing "
            []  Nothing
        "restore status "
            [] request: Requests
        "restore status po"
            [po]  Requests
        "restore status r-1 "
            []  Nothing
        "approve "
            [] request: digest: Requests
        "approve request:"
            []  Requests
        "deny too l"
            [l]  Nothing
        "help res"
            [res] restore restore request restore preview restore copy restore status restore withdraw restore retry restore undo restore resume restore consent restore waive restore log Topics
        "refloat help restore re"
            [restore re] restore request restore retry restore resume Topics
        "refloat "
            [] help about Nothing
        "refloat pause "
            []  Nothing
        "schedule "
            [] add change remove list status withdraw retry leave Nothing
        "schedule add ten"
            [ten] tenant: Nothing
        "nothing "
            []  Nothing
        "#);
    }

    #[test]
    fn what_is_not_available_is_not_offered() {
        for form in crate::grammar::forms().filter(|form| !form.is_available()) {
            let completion = complete(&format!("{} ", form.line));
            assert_eq!(
                (completion.offers.len(), completion.wanted),
                (0, Completes::Nothing),
                "{}",
                form.line
            );
            let group = form.line.split(' ').next().unwrap_or_default();
            let offers = complete(&format!("{group} ")).offers;
            assert!(
                offers.iter().all(|offer| offer.insert != form.name),
                "{}",
                form.line
            );
        }
    }

    #[test]
    fn a_slash_option_completes_by_itself() {
        let form = CommandSpec::find("restore")
            .unwrap()
            .subcommand("request")
            .unwrap();
        let completion = complete_value(
            form.option("namespaces").unwrap(),
            "dev, te",
            &[("tenant", "p")],
        );
        assert_eq!(completion.prefix, "te");
        assert_eq!(completion.wanted, Completes::Namespaces);
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            completion.given,
            [pair("tenant", "p"), pair("namespaces", "dev")]
        );
    }

    proptest! {
        #[test]
        fn any_line_completes(line in any::<String>()) {
            complete(&line);
        }

        #[test]
        fn any_tail_completes(tail in "[a-z:=,\"'“” /é]{0,20}") {
            for head in ["", "restore ", "restore request ", "deny ", "help ", "restore request namespaces:"] {
                complete(&format!("{head}{tail}"));
            }
        }
    }
}
