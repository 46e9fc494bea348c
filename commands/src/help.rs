//! Help, written from the grammar.

use std::fmt::Write as _;

use crate::grammar::{Availability, CommandSpec, SubcommandSpec, grammar};
use crate::refloat::Topic;
use crate::{Kind, ParseError};

/// Explains everything, a command (`restore`) or all the words of one (`restore request`).
///
/// The text has light Markdown and less than 2,000 characters. Fails if there is no such topic.
pub fn help(topic: Option<&str>) -> Result<String, ParseError> {
    let Some(topic) = topic.map(str::trim).filter(|topic| !topic.is_empty()) else {
        return Ok(overview());
    };
    let topic = Topic::find(topic)?.as_str();
    for spec in grammar() {
        if let Some(form) = spec.forms().find(|form| form.line == topic) {
            return Ok(about_form(form));
        }
        if spec.name == topic {
            return Ok(about_command(spec));
        }
    }
    Err(ParseError::UnknownTopic {
        word: topic.to_owned(),
        meant: None,
    })
}

fn overview() -> String {
    let mut text = String::from(
        "**Refloat** restores namespaces of a tenant from their Velero backups, with an approval and by pull request.\n\n",
    );
    for spec in grammar() {
        for form in spec.forms().filter(|form| form.is_available()) {
            put(
                &mut text,
                format_args!("- `/{}`: {}\n", form.line, brief(form.doc)),
            );
        }
    }
    text.push_str("\nNot available yet:");
    let mut comma = "";
    for spec in grammar() {
        for form in spec.forms().filter(|form| !form.is_available()) {
            put(&mut text, format_args!("{comma} `/{}`", form.line));
            comma = ",";
        }
    }
    text.push_str(
        ".\n\nThe same lines work as text, with or without the `/`; options are written `name:value`, and a value of \
         several words in quotes.\nMore about one of them: `/refloat help restore request`.",
    );
    text
}

/// What a command does, in as few words as will do: the overview of all has to fit a
/// message.
fn brief(doc: &str) -> String {
    let first = doc.split([':', ';']).next().unwrap_or(doc);
    first.replace(", by pull request", "")
}

fn about_command(spec: &CommandSpec) -> String {
    let mut text = format!("**/{}**: {}.\n\n", spec.name, spec.doc);
    for form in spec.subcommands {
        line(&mut text, form);
    }
    if let Some(form) = spec
        .subcommands
        .iter()
        .find(|form| form.is_available())
        .or(spec.subcommands.first())
    {
        put(
            &mut text,
            format_args!(
                "\nExample: `/{}`\nMore: `/refloat help {}`",
                form.example, form.line
            ),
        );
    }
    text
}

fn about_form(form: &SubcommandSpec) -> String {
    let mut text = format!("**/{}**: {}.\n", form.line, form.doc);
    if let Availability::NotYet(words) = form.availability {
        put(&mut text, format_args!("{words}\n"));
    }
    if !form.options.is_empty() {
        text.push('\n');
    }
    for option in form.options {
        let need = if option.required { " (needed)" } else { "" };
        let choices = match option.kind {
            Kind::Choice(choices) => format!(" [{}]", choices.join(", ")),
            Kind::Text | Kind::List | Kind::Integer => String::new(),
        };
        put(
            &mut text,
            format_args!("- `{}`{need}: {}{choices}\n", option.name, option.doc),
        );
    }
    if !form.notes.is_empty() {
        put(&mut text, format_args!("\n{}\n", form.notes));
    }
    put(&mut text, format_args!("\nExample: `/{}`", form.example));
    text
}

fn line(text: &mut String, form: &SubcommandSpec) {
    let mark = if form.is_available() {
        ""
    } else {
        " (not available yet)"
    };
    put(
        text,
        format_args!("- `/{}`: {}{mark}\n", form.line, form.doc),
    );
}

/// Writing to a string does not fail.
fn put(text: &mut String, words: std::fmt::Arguments<'_>) {
    let _ = text.write_fmt(words);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse;

    #[test]
    fn the_overview() {
        insta::assert_snapshot!(help(None).unwrap(), @"
        **Refloat** restores namespaces of a tenant from their Velero backups, with an approval and by pull request.

        - `/restore request`: Start a restore
        - `/restore preview`: Show what a restore would delete and bring back, touching nothing
        - `/restore copy`: Restore a namespace beside the original, into a new one
        - `/restore status`: Show where a request stands
        - `/restore withdraw`: Call a request off
        - `/restore retry`: Go on with a request that is stuck
        - `/restore undo`: Go back to the safety backup of a request, by a new request of its own
        - `/restore resume`: Turn self-heal on again with things as they are, if a request is stuck
        - `/restore consent`: Consent, as a reviewer, to what the checks of a request mark so
        - `/restore waive`: Let a request whose safety backup failed go on without one, as a reviewer
        - `/restore log`: Show Velero's log of a request's restore
        - `/approve`: Approve a request, as its reviewer
        - `/deny`: Refuse a request, as its reviewer
        - `/backups list`: List the backups of a tenant with age, size, phase and expiry
        - `/backups now`: Take a backup at once, as a schedule would
        - `/backups overview`: Show namespaces without a good backup, and runs that were missed
        - `/schedule add`: Order a new backup schedule
        - `/schedule change`: Change a backup schedule
        - `/schedule remove`: Take a backup schedule out of the order
        - `/schedule list`: List the backup schedules of a tenant
        - `/schedule status`: Show where a request to change schedules stands
        - `/schedule withdraw`: Call a request off
        - `/schedule retry`: Go on with a request that is stuck
        - `/schedule leave`: End a request that is stuck, with things as they are
        - `/refloat help`: Explain the commands, or one of them
        - `/refloat about`: Show the version and what Refloat may do

        Not available yet: `/refloat pause`.

        The same lines work as text, with or without the `/`; options are written `name:value`, and a value of several words in quotes.
        More about one of them: `/refloat help restore request`.
        ");
    }

    #[test]
    fn about_a_command() {
        insta::assert_snapshot!(help(Some("restore")).unwrap(), @r#"
        **/restore**: Restore namespaces of a tenant from a backup.

        - `/restore request`: Start a restore: it is checked, approved and carried out in a thread of its own
        - `/restore preview`: Show what a restore would delete and bring back, touching nothing
        - `/restore copy`: Restore a namespace beside the original, into a new one
        - `/restore status`: Show where a request stands
        - `/restore withdraw`: Call a request off; possible until something is deleted
        - `/restore retry`: Go on with a request that is stuck
        - `/restore undo`: Go back to the safety backup of a request, by a new request of its own
        - `/restore resume`: Turn self-heal on again with things as they are, if a request is stuck
        - `/restore consent`: Consent, as a reviewer, to what the checks of a request mark so
        - `/restore waive`: Let a request whose safety backup failed go on without one, as a reviewer
        - `/restore log`: Show Velero's log of a request's restore

        Example: `/restore request tenant:poseidon1 namespaces:dev,test schedule:daily day:yesterday reason:"bad migration"`
        More: `/refloat help restore request`
        "#);
    }

    #[test]
    fn about_a_request() {
        insta::assert_snapshot!(help(Some("/restore request")).unwrap(), @r#"
        **/restore request**: Start a restore: it is checked, approved and carried out in a thread of its own.

        - `tenant` (needed): The tenant, as its order names it
        - `namespaces` (needed): Environments (dev) or namespaces (poseidon1-dev), with commas between them
        - `reason` (needed): Why, in a few words, for the reviewer and the record
        - `schedule`: The schedule that took the backup, as the order names it
        - `day`: The day of the backup: latest, today, yesterday, a weekday, 2026-11-20, 2026-11-20 03:30
        - `backup`: One backup by its name, instead of a day

        Say `schedule`, with a `day` if it is not the latest; or say `backup`. With neither, it is the latest good backup of any schedule. What is in the namespaces now is deleted before the restore, once a reviewer has approved.
        In plain words: `restore backup <name> of namespace <name> from schedule <name> because <reason>`.

        Example: `/restore request tenant:poseidon1 namespaces:dev,test schedule:daily day:yesterday reason:"bad migration"`
        "#);
    }

    #[test]
    fn about_what_is_not_available() {
        insta::assert_snapshot!(help(Some("refloat pause")).unwrap(), @r"
        **/refloat pause**: Stop all new effects, or let them go on; for reviewers.
        `/refloat pause` is not available yet: to stop Refloat, scale its Deployment to 0; it goes on from where it was.

        - `switch` (needed): on stops all new effects, off lets them go on [on, off]

        Example: `/refloat pause on`
        ");
    }

    #[test]
    fn about_a_word() {
        insta::assert_snapshot!(help(Some("deny")).unwrap(), @r#"
        **/deny**: Refuse a request, as its reviewer.

        - `request`: The request; in its own thread it can be left out
        - `reason`: Why, in a few words, for the reviewer and the record

        Words after `deny` are the reason; quotes are not needed: `deny too late in the day`.

        Example: `/deny reason:"too late in the day"`
        "#);
    }

    #[test]
    fn every_topic_fits_a_message_and_its_example_parses() {
        let topics = Topic::all().map(|(name, _)| Some(name)).chain([None]);
        for topic in topics {
            let text = help(topic).unwrap();
            assert!(
                text.chars().count() < 2000,
                "{topic:?} has {}",
                text.chars().count()
            );
            for example in text
                .lines()
                .filter_map(|line| line.strip_prefix("Example: `"))
            {
                let example = example.trim_end_matches('`');
                parse(example).unwrap_or_else(|error| panic!("{example}: {error}"));
            }
        }
    }

    #[test]
    fn an_unknown_topic_says_what_was_meant() {
        insta::assert_snapshot!(help(Some("restore reqest")).unwrap_err(), @"There is no help about `restore reqest`: did you mean `restore request`? `/refloat help` lists everything.");
    }
}
