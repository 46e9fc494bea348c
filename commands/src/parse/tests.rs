//! Tests of parsing as a whole: the messages and the slash form.

use super::*;

#[test]
fn messages_say_what_is_wrong_and_what_to_do() {
    let lines = [
        "",
        "@refloat",
        "hello",
        "restor request",
        "status",
        "tenant:poseidon1",
        "restore",
        "schedule",
        "restore tenant:poseidon1",
        "restore reqest tenant:poseidon1",
        "restore overview",
        "restore everything",
        "restore backup x",
        "please restore the database",
        "restore request",
        "restore request tenant:p",
        "restore request tenant:p namespaces:dev",
        "restore request tenat:p",
        "restore request colour:blue",
        "refloat about colour:blue",
        "restore request tenant:Poseidon1 namespaces:dev reason:x",
        "restore request tenant:p namespaces:de_v reason:x",
        "restore request tenant:p namespaces:dev,p-dev reason:x",
        "restore request tenant:p namespaces:dev day:yesterday reason:x",
        "restore request tenant:p namespaces:dev schedule:s day:yesteday reason:x",
        "restore request tenant:p namespaces:dev backup:b day:today reason:x",
        "restore request tenant:p tenant:q",
        "restore request tenant: namespaces:dev",
        "restore request tenant:p namespaces:dev reason:\"bad migration",
        "restore request tenant:p namespaces:dev reason:\u{201c}bad migration",
        "restore request tenant:p namespaces:dev reason:bad migration",
        "restore request tenant poseidon1",
        "restore request poseidon1 dev",
        "refloat about now",
        "approve one two",
        "deny reason:\"late\" indeed",
        "schedule change tenant:p name:n",
        "schedule add tenant:p name:n when:daily keep:7",
        "backups list p page:0",
        "refloat pause onn",
        "help restor",
    ];
    let table: Vec<_> = lines
        .iter()
        .map(|line| format!("{line}\n    {}", parse(line).expect_err(line)))
        .collect();
    insta::assert_snapshot!(table.join("\n"), @r#"

        There is no command in that. `/refloat help` lists the commands.
    @refloat
        There is no command in that. `/refloat help` lists the commands.
    hello
        There is no command `hello`. `/refloat help` lists the commands.
    restor request
        There is no command `restor`: did you mean `restore`? `/refloat help` lists the commands.
    status
        There is no command `status`. `/refloat help` lists the commands.
    tenant:poseidon1
        There is no command `tenant:poseidon1`. `/refloat help` lists the commands.
    restore
        `/restore` needs a second word: `request`, `preview`, `copy`, `status`, `withdraw`, `retry`, `undo`, `resume`, `consent`, `waive`, `log`. For example `/restore request tenant:poseidon1 namespaces:dev,test schedule:daily day:yesterday reason:"bad migration"`.
    schedule
        `/schedule` needs a second word: `add`, `change`, `remove`, `list`, `status`, `withdraw`, `retry`, `leave`. For example `/schedule add tenant:poseidon1 name:nightly when:"every night at 3" keep:7d`.
    restore tenant:poseidon1
        `/restore` needs a second word: `request`, `preview`, `copy`, `status`, `withdraw`, `retry`, `undo`, `resume`, `consent`, `waive`, `log`. For example `/restore request tenant:poseidon1 namespaces:dev,test schedule:daily day:yesterday reason:"bad migration"`.
    restore reqest tenant:poseidon1
        `/restore` has no `reqest`: did you mean `request`?
    restore overview
        `/restore` has no `overview`: did you mean `backups overview`?
    restore everything
        `/restore` has no `everything`. It takes `request`, `preview`, `copy`, `status`, `withdraw`, `retry`, `undo`, `resume`, `consent`, `waive`, `log`.
    restore backup x
        That looks like a restore in plain words, which is written so: `restore backup <name> of namespace <name> from schedule <name> because <reason>`. Several namespaces have commas or "and" between them; the backup or the schedule may be left out, and so may the reason.
    please restore the database
        That looks like a restore in plain words, which is written so: `restore backup <name> of namespace <name> from schedule <name> because <reason>`. Several namespaces have commas or "and" between them; the backup or the schedule may be left out, and so may the reason.
    restore request
        `/restore request` needs `tenant`: the tenant, as its order names it. For example `tenant:poseidon1`.
    restore request tenant:p
        `/restore request` needs `namespaces`: environments (dev) or namespaces (poseidon1-dev), with commas between them. For example `namespaces:dev,test`.
    restore request tenant:p namespaces:dev
        `/restore request` needs `reason`: why, in a few words, for the reviewer and the record. For example `reason:"bad migration"`.
    restore request tenat:p
        `/restore request` has no option `tenat`: did you mean `tenant`?
    restore request colour:blue
        `/restore request` has no option `colour`. It takes `tenant`, `namespaces`, `reason`, `schedule`, `day`, `backup`.
    refloat about colour:blue
        `/refloat about` has no option `colour`. Nothing can follow it.
    restore request tenant:Poseidon1 namespaces:dev reason:x
        `tenant` cannot be `Poseidon1`: it has capital letters, did you mean `poseidon1`? A tenant's name has up to 63 small letters, digits and `-`, with a letter or digit at both ends, for example `poseidon1`.
    restore request tenant:p namespaces:de_v reason:x
        `namespaces` cannot be `de_v`: it has `_` in it. A namespace or environment has up to 63 small letters, digits and `-`, with a letter or digit at both ends, for example `dev`.
    restore request tenant:p namespaces:dev,p-dev reason:x
        `namespaces` cannot be `p-dev`: it is in the list twice. Write each namespace once, for example `dev,test`.
    restore request tenant:p namespaces:dev day:yesterday reason:x
        `day` alone does not say which backup: several schedules may have one of that day. Add the schedule, for example `schedule:daily`, or leave `day` out for the latest good backup.
    restore request tenant:p namespaces:dev schedule:s day:yesteday reason:x
        `day` cannot be `yesteday`: did you mean `yesterday`? A day is `latest`, `today`, `yesterday`, a weekday, or a date as year-month-day, for example `2026-11-20` or `2026-11-20 03:30`.
    restore request tenant:p namespaces:dev backup:b day:today reason:x
        `backup` is one backup already, so `day` has nothing to choose: leave one of them out.
    restore request tenant:p tenant:q
        `tenant` is given twice: leave one of them out.
    restore request tenant: namespaces:dev
        `tenant` has no value. Write it like `tenant:poseidon1`, or leave it out.
    restore request tenant:p namespaces:dev reason:"bad migration
        The quote that begins with `reason:"bad migration` is not closed: put `"` at its end, before a space.
    restore request tenant:p namespaces:dev reason:“bad migration
        The quote that begins with `reason:“bad migration` is not closed: put `”` at its end, before a space.
    restore request tenant:p namespaces:dev reason:bad migration
        I cannot tell what `migration` is for in `/restore request`: if it belongs to `reason`, put quotes around all of it, as in `reason:"bad migration"`.
    restore request tenant poseidon1
        I cannot tell what `tenant` is for in `/restore request`: write an option and its value in one piece, as in `tenant:poseidon1`.
    restore request poseidon1 dev
        I cannot tell what `poseidon1` is for in `/restore request`: put the name of an option before it, as in `tenant:poseidon1`; the options are `tenant`, `namespaces`, `reason`, `schedule`, `day`, `backup`.
    refloat about now
        I cannot tell what `now` is for in `/refloat about`: nothing can follow, so leave it out.
    approve one two
        I cannot tell what `two` is for in `/approve`: one word is enough, the `request`; leave the rest out.
    deny reason:"late" indeed
        I cannot tell what `indeed` is for in `/deny`: it stands outside the quotes; put them around all of the text.
    schedule change tenant:p name:n
        `/schedule change` needs something to change: `new_name`, `when` or `keep`. For example `keep:14d`.
    schedule add tenant:p name:n when:daily keep:7
        `keep` cannot be `7`: a unit is missing. A time to keep is written like `7d`, `4w`, `6 months` or `168h`.
    backups list p page:0
        `page` cannot be `0`: it is no page. A page is a whole number from 1, for example `2`.
    refloat pause onn
        `switch` cannot be `onn`: did you mean `on`? It is `on` or `off`, for example `on`.
    help restor
        There is no help about `restor`: did you mean `restore`? `/refloat help` lists everything.
    "#);
}

#[test]
fn messages_repeat_what_was_typed_on_one_harmless_line() {
    let message = parse("`**x**`\u{202e}\u{7}").unwrap_err().to_string();
    insta::assert_snapshot!(message, @"There is no command `'**x**'`. `/refloat help` lists the commands.");
    let long = "x".repeat(10_000);
    for line in [
        long.clone(),
        format!("restore {long}"),
        format!("restore request {long}:x"),
        format!("approve {long}"),
    ] {
        let message = parse(&line).unwrap_err().to_string();
        assert!(message.chars().count() < 600, "{message}");
    }
}

#[test]
fn slash_options_give_the_same_command_as_text() {
    let options = [
        ("tenant", "poseidon1"),
        ("namespaces", "dev, test"),
        ("reason", "bad \"migration\""),
    ];
    assert_eq!(
        from_options("restore", Some("request"), &options),
        parse(
            "restore request tenant:poseidon1 namespaces:dev,test reason:\"bad \\\"migration\\\"\""
        ),
    );
    assert_eq!(from_options("approve", None, &[]), parse("approve"));
    assert_eq!(
        from_options("deny", None, &[("reason", "too late")]),
        parse("deny too late")
    );
    assert_eq!(
        from_options("refloat", Some("help"), &[("topic", "restore")]),
        parse("help restore")
    );
}

#[test]
fn slash_options_are_checked_like_text() {
    let error = |command, subcommand, options: &[(&str, &str)]| {
        from_options(command, subcommand, options).unwrap_err()
    };
    assert!(matches!(
        error("restor", None, &[]),
        ParseError::UnknownCommand { .. }
    ));
    assert!(matches!(
        error("restore", None, &[]),
        ParseError::MissingSubcommand { .. }
    ));
    assert!(matches!(
        error("restore", Some("x"), &[]),
        ParseError::UnknownSubcommand { .. }
    ));
    assert!(matches!(
        error("approve", Some("x"), &[]),
        ParseError::UnknownSubcommand { .. }
    ));
    assert!(matches!(
        error("approve", None, &[("x", "y")]),
        ParseError::UnknownOption { .. }
    ));
    assert!(matches!(
        error("approve", None, &[("request", " ")]),
        ParseError::EmptyValue { .. }
    ));
    let twice = [("request", "x"), ("request", "y")];
    assert!(matches!(
        error("approve", None, &twice),
        ParseError::Duplicate { .. }
    ));
    assert!(matches!(
        error("restore", Some("request"), &[]),
        ParseError::MissingOption {
            option: "tenant",
            ..
        }
    ));
}

#[test]
fn commands_are_found_in_any_case() {
    assert_eq!(parse("RESTORE Status"), parse("/restore status"));
    assert_eq!(parse("@REFLOAT, Refloat About"), parse("refloat about"));
}

#[test]
fn a_long_text_is_read_too() {
    let plain = "restore backup x of namespaces ";
    for part in [
        "restore ",
        "a:b ",
        "\"",
        "\u{201c}a ",
        "a,",
        "a and ",
        "\\\"",
        "ä",
        "/",
        "@refloat ",
    ] {
        let long = part.repeat(20_000);
        for line in [
            long.clone(),
            format!("{plain}{long}"),
            format!("deny {long}"),
            format!("restore request namespaces:{long}"),
        ] {
            if let Err(error) = parse(&line) {
                assert!(error.to_string().chars().count() < 1000);
            }
            crate::complete(&line);
        }
    }
}
