//! Tests of parsing as a whole: the messages, the slash form, and properties.

use proptest::prelude::*;

use super::*;
use crate::backups::Backups;
use crate::refloat::Refloat;
use crate::restore::{CopyRequest, Request, Restore, Target};
use crate::schedule::Schedule;
use crate::{Day, Namespace, Reason, Source};

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
        There is no command `status`: did you mean `restore status`? `/refloat help` lists the commands.
    tenant:poseidon1
        There is no command `tenant:poseidon1`. `/refloat help` lists the commands.
    restore
        `/restore` needs a second word: `request`, `status`, `withdraw`, `retry`, `resume`. For example `/restore request tenant:poseidon1 namespaces:dev,test schedule:daily day:yesterday reason:"bad migration"`.
    schedule
        `/schedule` needs a second word: `add`, `change`, `remove`, `list`. For example `/schedule add tenant:poseidon1 name:nightly when:"every night at 3" keep:7d`.
    restore tenant:poseidon1
        `/restore` needs a second word: `request`, `status`, `withdraw`, `retry`, `resume`. For example `/restore request tenant:poseidon1 namespaces:dev,test schedule:daily day:yesterday reason:"bad migration"`.
    restore reqest tenant:poseidon1
        `/restore` has no `reqest`: did you mean `request`? It has `request`, `preview`, `copy`, `status`, `withdraw`, `retry`, `undo`, `resume`.
    restore overview
        `/restore` has no `overview`: did you mean `backups overview`? It has `request`, `preview`, `copy`, `status`, `withdraw`, `retry`, `undo`, `resume`.
    restore everything
        `/restore` has no `everything`. It has `request`, `preview`, `copy`, `status`, `withdraw`, `retry`, `undo`, `resume`.
    restore backup x
        That looks like a restore in plain words, which is written so: `restore backup <name> of namespace <name> from schedule <name> because <reason>`. Several namespaces have commas or "and" between them; the backup or the schedule may be left out, and so may the reason.
    restore request
        `/restore request` needs `tenant` (The tenant, as its order names it). For example `tenant:poseidon1`.
    restore request tenant:p
        `/restore request` needs `namespaces` (Environments (dev) or namespaces (poseidon1-dev), with commas between them). For example `namespaces:dev,test`.
    restore request tenant:p namespaces:dev
        `/restore request` needs `reason` (Why, in a few words, for the reviewer and the record). For example `reason:"bad migration"`.
    restore request tenat:p
        `/restore request` has no option `tenat`: did you mean `tenant`? It takes `tenant`, `namespaces`, `reason`, `schedule`, `day`, `backup`.
    restore request colour:blue
        `/restore request` has no option `colour`. It takes `tenant`, `namespaces`, `reason`, `schedule`, `day`, `backup`.
    refloat about colour:blue
        `/refloat about` has no option `colour`. It takes none.
    restore request tenant:Poseidon1 namespaces:dev reason:x
        `tenant` cannot be `Poseidon1`: it has capital letters, did you mean `poseidon1`? a tenant's name has up to 63 small letters, digits and `-`, with a letter or digit at both ends, for example `poseidon1`.
    restore request tenant:p namespaces:de_v reason:x
        `namespaces` cannot be `de_v`: it has `_` in it; a namespace or environment has up to 63 small letters, digits and `-`, with a letter or digit at both ends, for example `dev`.
    restore request tenant:p namespaces:dev,p-dev reason:x
        `namespaces` cannot be `p-dev`: it is in the list twice; write each namespace once, for example `dev,test`.
    restore request tenant:p namespaces:dev day:yesterday reason:x
        `day` alone does not say which backup: several schedules may have one of that day. Add the schedule, for example `schedule:daily`, or leave `day` out for the latest good backup.
    restore request tenant:p namespaces:dev schedule:s day:yesteday reason:x
        `day` cannot be `yesteday`: did you mean `yesterday`? a day is `latest`, `today`, `yesterday`, a weekday, or a date as year-month-day, for example `2026-11-20` or `2026-11-20 03:30`.
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
        `keep` cannot be `7`: a unit is missing; a time to keep is written like `7d`, `4w` or `168h` (d, w, h, m and s).
    backups list p page:0
        `page` cannot be `0`: a page is a whole number from 1, for example `2`.
    refloat pause onn
        `switch` cannot be `onn`: did you mean `on`? it is `on` or `off`, for example `on`.
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

// Any value of each kind.

fn label() -> impl Strategy<Value = String> + Clone {
    "[a-z0-9]([-a-z0-9]{0,8}[a-z0-9])?"
}

fn value<T: std::str::FromStr<Err: std::fmt::Debug>>(
    text: impl Strategy<Value = String>,
) -> impl Strategy<Value = T>
where
    T: std::fmt::Debug,
{
    text.prop_map(|text| text.parse().expect("the strategy makes values"))
}

fn reason() -> impl Strategy<Value = Reason> {
    any::<String>().prop_filter_map("only invisible", |text| text.parse().ok())
}

fn day() -> impl Strategy<Value = Day> {
    let day = prop_oneof![
        Just("today".to_owned()),
        Just("yesterday".to_owned()),
        proptest::sample::select(crate::day::WORDS.map(|(word, _)| word)[3..].to_vec())
            .prop_map(str::to_owned),
        (0i16..=9999, 1i8..=12, 1i8..=28).prop_map(|(y, m, d)| format!("{y:04}-{m:02}-{d:02}")),
    ];
    let at = prop_oneof![
        Just(String::new()),
        (0..24, 0..60).prop_map(|(hour, minute)| format!(" {hour:02}:{minute:02}")),
    ];
    value(prop_oneof![
        Just("latest".to_owned()),
        (day, at).prop_map(|(day, at)| day + &at)
    ])
}

fn source() -> impl Strategy<Value = Source> {
    let name = || "[a-z0-9]([-.]?[a-z0-9]){0,6}";
    let parts = (
        proptest::option::of(value(name())),
        proptest::option::of(value(name())),
        proptest::option::of(day()),
    );
    parts.prop_filter_map("do not go together", |(schedule, backup, day)| {
        Source::new(schedule, backup, day).ok()
    })
}

fn namespaces() -> impl Strategy<Value = Vec<Namespace>> {
    let reserved = proptest::sample::select(vec![
        "because",
        "and",
        "from",
        "on",
        "schedule",
        "namespace",
    ]);
    let name = prop_oneof![8 => label(), 1 => reserved.prop_map(str::to_owned)];
    proptest::collection::btree_set(value(name), 1..5).prop_map(|set| set.into_iter().collect())
}

fn request() -> impl Strategy<Value = Request> {
    // What begins with `<tenant>-` may name the same namespace twice, so the tenant is unlike any of them.
    (namespaces(), source(), reason()).prop_map(|(namespaces, source, reason)| Request {
        tenant: Some("the-tenant-itself".parse().unwrap()),
        namespaces,
        source,
        reason: Some(reason),
    })
}

fn plain_request() -> impl Strategy<Value = Request> {
    let named = source().prop_filter("names nothing", |source| {
        source.backup().or(None).is_some() || source.schedule().is_some()
    });
    (namespaces(), named, proptest::option::of(reason())).prop_map(
        |(namespaces, source, reason)| Request {
            tenant: None,
            namespaces,
            source,
            reason,
        },
    )
}

fn target() -> impl Strategy<Value = Target> {
    proptest::option::of(value(label())).prop_map(|request| Target { request })
}

fn restore() -> impl Strategy<Value = Restore> {
    prop_oneof![
        4 => request().prop_map(Restore::Request),
        4 => plain_request().prop_map(Restore::Request),
        1 => request().prop_map(|request| Restore::Preview(Request { reason: None, ..request })),
        1 => (value(label()), value(label()), value(label()), source(), proptest::option::of(reason())).prop_map(
            |(tenant, namespace, into, source, reason)| Restore::Copy(CopyRequest { tenant, namespace, into, source, reason })
        ),
        1 => target().prop_map(Restore::Status),
        1 => target().prop_map(Restore::Withdraw),
        1 => target().prop_map(Restore::Retry),
        1 => target().prop_map(Restore::Undo),
        1 => target().prop_map(Restore::Resume),
    ]
}

fn schedule() -> impl Strategy<Value = Schedule> {
    let when = || any::<String>().prop_filter_map("empty or long", |text| text.parse().ok());
    let keep = || value((1u32..1_000_000).prop_map(|seconds| format!("{seconds}s")));
    let option = proptest::option::of::<BoxedStrategy<String>>;
    let _ = option;
    prop_oneof![
        (value(label()), value(label()), when(), keep()).prop_map(|(tenant, name, when, keep)| {
            Schedule::Add {
                tenant,
                name,
                when,
                keep,
            }
        }),
        (
            value(label()),
            value(label()),
            value(label()),
            proptest::option::of(when()),
            proptest::option::of(keep())
        )
            .prop_map(|(tenant, name, new_name, when, keep)| Schedule::Change {
                tenant,
                name,
                new_name: Some(new_name),
                when,
                keep
            }),
        (value(label()), value(label()))
            .prop_map(|(tenant, name)| Schedule::Remove { tenant, name }),
        value(label()).prop_map(|tenant| Schedule::List { tenant }),
    ]
}

fn backups() -> impl Strategy<Value = Backups> {
    let page = value((1u32..).prop_map(|page| page.to_string()));
    prop_oneof![
        (
            value(label()),
            proptest::option::of(value(label())),
            proptest::option::of(page)
        )
            .prop_map(|(tenant, namespace, page)| Backups::List {
                tenant,
                namespace,
                page
            }),
        (value(label()), value(label()))
            .prop_map(|(tenant, schedule)| Backups::Now { tenant, schedule }),
        proptest::option::of(value(label())).prop_map(|tenant| Backups::Overview { tenant }),
    ]
}

fn refloat() -> impl Strategy<Value = Refloat> {
    let topics: Vec<_> = crate::refloat::Topic::all().map(|(name, _)| name).collect();
    let topic = proptest::sample::select(topics)
        .prop_map(|name| crate::refloat::Topic::find(name).unwrap());
    prop_oneof![
        proptest::option::of(topic).prop_map(|topic| Refloat::Help { topic }),
        Just(Refloat::About),
        prop_oneof![Just("on"), Just("off")].prop_map(|text| Refloat::Pause {
            switch: text.parse().unwrap()
        }),
    ]
}

fn command() -> impl Strategy<Value = Command> {
    let name = || proptest::option::of(value(label()));
    prop_oneof![
        4 => restore().prop_map(Command::Restore),
        1 => schedule().prop_map(Command::Schedule),
        1 => backups().prop_map(Command::Backups),
        1 => refloat().prop_map(Command::Refloat),
        1 => (name(), proptest::option::of(value("[0-9a-f]{6,64}")))
            .prop_map(|(request, digest)| Command::Approve { request, digest }),
        1 => (name(), proptest::option::of(reason())).prop_map(|(request, reason)| Command::Deny { request, reason }),
    ]
}

proptest! {
    #[test]
    fn display_is_read_back_as_the_same_command(command in command()) {
        let text = command.to_string();
        prop_assert_eq!(parse(&text), Ok(command), "{}", text);
    }

    #[test]
    fn any_text_gives_a_command_or_an_error(text in any::<String>()) {
        if let Err(error) = parse(&text) {
            prop_assert!(!error.to_string().is_empty());
        }
    }

    #[test]
    fn any_tail_of_a_command_gives_a_command_or_an_error(
        at in any::<proptest::sample::Index>(),
        tail in proptest::collection::vec("[a-z]{1,9}|[a-z]{1,9}[:=]|[ ,.:=\"'“”‘’\\\\/é\u{200b}0-9-]|tenant:|namespaces:|reason:|day:", 0..12),
    ) {
        let forms: Vec<_> = forms().collect();
        let tail = tail.concat();
        for head in [at.get(&forms).line, at.get(&forms).example, "restore backup x of namespace"] {
            for space in ["", " "] {
                let line = format!("{head}{space}{tail}");
                match parse(&line) {
                    Ok(command) => prop_assert_eq!(parse(&command.to_string()), Ok(command)),
                    Err(error) => prop_assert!(error.to_string().chars().count() < 1000),
                }
            }
        }
    }
}
