//! Properties of parsing: any text is safe, and what is written is read back.

use proptest::prelude::*;

use super::*;
use crate::backups::Backups;
use crate::refloat::Refloat;
use crate::restore::{CopyRequest, Request, Restore, Target};
use crate::schedule::Schedule;
use crate::{Day, Namespace, Reason, Source};

fn label() -> impl Strategy<Value = String> + Clone {
    "[a-z0-9]([-a-z0-9]{0,8}[a-z0-9])?"
}

fn value<T: std::str::FromStr<Err: std::fmt::Debug> + std::fmt::Debug>(
    text: impl Strategy<Value = String>,
) -> impl Strategy<Value = T> {
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
        source.backup().is_some() || source.schedule().is_some()
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
        // In a sentence, this could as well be a list that goes on.
        prop_assume!(!text.contains(" and because &"));
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
