//! Properties over generated orders: what an edit does, and that it does nothing else.
//!
//! An order is made from a row of dice, so that a failing one shrinks to a plain one.

// A generator reads best as lines put together; how fast it is does not matter.
#![allow(clippy::format_push_string, clippy::format_collect)]

use proptest::prelude::*;
use refloat::order::{
    Cron, Order, Schedule, ScheduleChange, ScheduleName, Setting, Ttl, schedule_add,
    schedule_change, schedule_remove, self_heal_off, self_heal_restore,
};
use serde_json::{Value, json};

/// Numbers that the choices are made from; when they run out, the plainest choice is made.
struct Dice<'d>(std::slice::Iter<'d, u8>);

impl Dice<'_> {
    fn below(&mut self, count: usize) -> usize {
        usize::from(*self.0.next().unwrap_or(&0)) % count
    }

    fn pick<'t>(&mut self, from: &[&'t str]) -> &'t str {
        from[self.below(from.len())]
    }

    fn maybe(&mut self) -> bool {
        self.below(2) == 1
    }
}

const COMMENTS: [&str; 6] = [
    "",
    "",
    "",
    "   # a comment",
    " # selfHeal: true",
    "  # på \"ett\": {sett} 🔱",
];

/// The values of an order, lines at column 0.
fn values(dice: &mut Dice<'_>) -> String {
    let step = [2, 4, 3][dice.below(3)];
    let dash = [step, 0, 2][dice.below(3)];
    let mut blocks = vec![namespace(dice, step)];
    if !dice.maybe() {
        blocks.push(environments(dice, dash));
    }
    if dice.below(4) > 0 {
        blocks.push(argocd(dice, step));
    }
    if dice.below(4) > 0 {
        blocks.push(backup(dice, step, dash));
    }
    if dice.below(3) == 2 {
        let extra = dice.pick(&[
            "notes: >\n   selfHeal: true\n   folded\n\n",
            "readme: |\n   schedules:\n   # text\n",
            "base: &base {a: 1, b: [x, 'y']}\nother:\n  <<: *base\n  c: *base\n",
            "template: \"{{ .Values.x | default `a` }}\"\n",
            "? a key\n: {c: }\n",
            "long: \"wort wort wort wort wort wort wort wort wort wort wort wort wort wort wort wort wort wort wort wort\"\n",
            "quota: {cpu: 4, selfHeal: true}\n",
        ]);
        let at = dice.below(blocks.len() + 1);
        blocks.insert(at, extra.to_owned());
    }
    let turn = dice.below(blocks.len());
    blocks.rotate_left(turn);
    let mut text = String::new();
    for block in blocks {
        text.push_str(dice.pick(&["", "", "# above\n", "\n", "\n\n# above\n\n"]));
        text.push_str(&block);
    }
    text.push_str(dice.pick(&["", "", "# the end\n"]));
    text
}

fn namespace(dice: &mut Dice<'_>, step: usize) -> String {
    let name = dice.pick(&["poseidon1", "\"poseidon1\"", "'poseidon1'"]);
    match dice.below(3) {
        0 | 1 => format!(
            "namespace:{}\n{:step$}name: {name}{}\n",
            dice.pick(&COMMENTS),
            "",
            dice.pick(&COMMENTS)
        ),
        _ => format!("namespace: {{name: {name}, displayName: \"x, y\"}}\n"),
    }
}

fn environments(dice: &mut Dice<'_>, dash: usize) -> String {
    let mut text = format!("environments:{}\n", dice.pick(&COMMENTS));
    for name in &["dev", "test", "prod"][..=dice.below(3)] {
        text += dice.pick(&["", "", "     # between\n", "\n"]);
        text += &format!("{:dash$}- name: {name}{}\n", "", dice.pick(&COMMENTS));
    }
    text
}

fn argocd(dice: &mut Dice<'_>, step: usize) -> String {
    let flag = dice.pick(&["true", "true", "false", "True", "TRUE", "False", "~", ""]);
    let comment = dice.pick(&COMMENTS);
    let indent = " ".repeat(step);
    match dice.below(8) {
        0 | 1 => {
            let mut keys = vec![
                format!("selfHeal: {flag}{comment}"),
                "prune: true".into(),
                "allowEmpty: false".into(),
            ];
            let turn = dice.below(3);
            keys.rotate_left(turn);
            keys.truncate(1 + dice.below(3));
            let lead = dice.pick(&["", "", "# above the policy's keys\n"]);
            let lead = if lead.is_empty() {
                String::new()
            } else {
                format!("{indent}{indent}{lead}")
            };
            let keys: String = keys
                .iter()
                .map(|key| format!("{indent}{indent}{key}\n"))
                .collect();
            format!(
                "argocd:{comment}\n{indent}syncPolicy:{}\n{lead}{keys}{indent}basepath: \"\"\n",
                dice.pick(&COMMENTS)
            )
        }
        2 => format!("argocd:{comment}\n{indent}enable_auto_defined_apps: true\n"),
        3 => format!(
            "argocd:{comment}\n{indent}syncPolicy: {{selfHeal: {}, prune: true}}\n",
            dice.pick(&["true", "false", "True"])
        ),
        4 => format!(
            "argocd:\n{indent}syncPolicy: {}{comment}\n",
            dice.pick(&[
                "{}",
                "{ }",
                "{ prune: true }",
                "~",
                "null",
                "",
                "{prune: true,}"
            ])
        ),
        5 => format!(
            "argocd: {}{comment}\n",
            dice.pick(&[
                "{}",
                "~",
                "",
                "{syncPolicy: {}}",
                "{syncPolicy: {selfHeal: true}, a: b}"
            ])
        ),
        6 => format!(
            "argocd:\n{indent}basepath: x\n{indent}syncPolicy:\n{indent}   prune: true\n{indent}   # the last line\n"
        ),
        _ => format!(
            "argocd:\n{indent}syncPolicy: {{\n{indent}{indent}prune: true,  # over lines\n{indent}{indent}allowEmpty: true\n{indent}}}\n"
        ),
    }
}

fn backup(dice: &mut Dice<'_>, step: usize, dash: usize) -> String {
    let indent = " ".repeat(step);
    let mut text = format!("backup:{}\n", dice.pick(&COMMENTS));
    if dice.below(3) > 0 {
        text += &format!(
            "{indent}take_backup: {}{}\n",
            dice.pick(&["true", "false", ""]),
            dice.pick(&COMMENTS)
        );
    }
    if dice.below(3) > 0 {
        text += &format!(
            "{indent}backuplabel: {}\n",
            dice.pick(&["\"backupresource: true\"", "'a: b'", "plain", "\"\""])
        );
    }
    let count = dice.below(4);
    let quote = dice.pick(&["\"", "'", ""]);
    match dice.below(6) {
        0 => text += &format!("{indent}schedules: []{}\n", dice.pick(&COMMENTS)),
        1 => text += &format!("{indent}schedules:{}\n", dice.pick(&COMMENTS)),
        2 if count > 0 => {
            let items: Vec<_> = (0..count)
                .map(|index| format!("{{schedule: \"0 {index} * * *\", name: s{index}}}"))
                .collect();
            text += &format!("{indent}schedules: [{}]\n", items.join(", "));
        }
        _ if count > 0 => {
            text += &format!("{indent}schedules:{}\n", dice.pick(&COMMENTS));
            for index in 0..count {
                let lead = format!("{indent}{:dash$}", "");
                let mut keys = vec![
                    format!("schedule: {quote}0 {index} * * *{quote}"),
                    format!("name: {quote}s{index}{quote}"),
                ];
                if dice.maybe() {
                    keys.push(format!("ttl: {quote}168h0m0s{quote}"));
                }
                let turn = dice.below(keys.len());
                keys.rotate_left(turn);
                text += dice.pick(&["", "", "\n", "        # between the items\n"]);
                for (line, key) in keys.iter().enumerate() {
                    let dash = if line == 0 { "- " } else { "  " };
                    text += &format!("{lead}{dash}{key}{}\n", dice.pick(&COMMENTS));
                }
            }
        }
        _ => text += &format!("{indent}other: 1\n"),
    }
    text
}

/// A whole file.
fn file(dice: &mut Dice<'_>) -> String {
    let values = values(dice);
    let before = dice.pick(&[
        "appname: poseidon1\n",
        "",
        "# an order\n---\nappname: 'app' # x\n",
        "---\n\nappname: poseidon1\n\n",
    ]);
    let indent = [2, 4, 1][dice.below(3)];
    let mut text = String::from(before);
    if dice.maybe() {
        text += "values:\n";
    } else {
        let header = dice.pick(&["|", "|-", "|+", "|#", "|  # holds YAML"]);
        text += &format!(
            "values: {}\n",
            if header == "|#" {
                format!("|{indent}")
            } else {
                header.into()
            }
        );
    }
    for line in values.split_inclusive('\n') {
        if line.trim().is_empty() {
            text += line;
        } else {
            text += &format!("{:indent$}{line}", "");
        }
    }
    text += dice.pick(&[
        "",
        "",
        "after: {selfHeal: true}\n",
        "\n\n",
        "# after\n",
        "...\n---\nsecond: [a, b]\n",
    ]);
    match dice.below(8) {
        1 => text = text.replace('\n', "\r\n"),
        // A text at the end must keep its line end: behind it nothing could be added otherwise.
        2 | 4 if text.trim_end().ends_with("folded") || text.trim_end().ends_with("# text") => {}
        2 => text.truncate(text.trim_end().len()),
        3 => text = format!("\u{feff}{text}"),
        4 => text = format!("\u{feff}{}", text.trim_end().replace('\n', "\r\n")),
        5 => text = text.replacen('\n', "\r\n", 5),
        _ => {}
    }
    text
}

fn order() -> impl Strategy<Value = String> {
    proptest::collection::vec(any::<u8>(), 0..160).prop_map(|dice| file(&mut Dice(dice.iter())))
}

fn order_with_schedules() -> impl Strategy<Value = String> {
    order().prop_filter("has schedules", |text| {
        Order::read(text).is_ok_and(|order| !order.backup.schedules.is_empty())
    })
}

/// What another reader of YAML makes of the values.
fn independently(text: &str) -> Value {
    let documents: Vec<Value> = serde_saphyr::from_multiple(text).unwrap();
    let values = documents
        .into_iter()
        .find_map(|mut document| document.get_mut("values").map(Value::take));
    match values.unwrap() {
        Value::String(inner) => serde_saphyr::from_str(&inner).unwrap(),
        values => values,
    }
}

/// The lines that a diff takes away and brings.
fn changed_lines(before: &str, after: &str) -> (Vec<String>, Vec<String>) {
    let diff = similar::TextDiff::from_lines(before, after);
    let of = |tag| {
        diff.iter_all_changes()
            .filter(|change| change.tag() == tag)
            .map(|change| change.value().to_owned())
            .collect()
    };
    (
        of(similar::ChangeTag::Delete),
        of(similar::ChangeTag::Insert),
    )
}

fn name(text: &str) -> ScheduleName {
    ScheduleName::parse(text).unwrap()
}

fn all_reads(text: &str) {
    let cron = Cron::parse("0 1 * * *").unwrap();
    let _ = Order::read(text).map(|order| order.notes());
    if let Ok((edit, record)) = self_heal_off(text) {
        assert_eq!(self_heal_restore(&edit.text, &record).unwrap().text, text);
    }
    let _ = schedule_add(text, &name("n"), &cron, None);
    let change = ScheduleChange {
        cron: Some(cron),
        ..ScheduleChange::default()
    };
    let _ = schedule_change(text, &name("s0"), &change);
    let _ = schedule_remove(text, &name("s0"));
    let _ = Cron::parse(text);
    let _ = Ttl::parse(text);
    let _ = ScheduleName::parse(text);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn off_and_back_is_the_identity_and_off_changes_one_thing(text in order()) {
        let before = Order::read(&text).unwrap();
        let (off, record) = self_heal_off(&text).unwrap();
        let mut after = Order::read(&off.text).unwrap();
        prop_assert_eq!(after.sync_policy.self_heal, Setting { value: false, written: true });
        after.sync_policy.self_heal = before.sync_policy.self_heal;
        prop_assert_eq!(&after, &before);
        prop_assert_eq!(off.changed, off.text != text);
        let (deleted, inserted) = changed_lines(&text, &off.text);
        prop_assert!(deleted.len() <= 1 && inserted.len() <= 3 + deleted.len(), "{deleted:?} {inserted:?}");
        // Another reader sees the flag, and no other difference.
        let mut old = independently(&text);
        let mut new = independently(&off.text);
        prop_assert_eq!(new.pointer("/argocd/syncPolicy/selfHeal"), Some(&json!(false)));
        for values in [&mut old, &mut new] {
            for (at, key) in [("/argocd/syncPolicy", "selfHeal"), ("/argocd", "syncPolicy"), ("", "argocd")] {
                let Some(Value::Object(parent)) = values.pointer_mut(at) else { continue };
                let empty = parent.get(key).is_some_and(|child| child.is_null() || child == &json!({}));
                if key == "selfHeal" || empty {
                    parent.remove(key);
                }
            }
        }
        prop_assert_eq!(old, new);
        let back = self_heal_restore(&off.text, &record).unwrap();
        prop_assert_eq!(&back.text, &text);
        prop_assert!(!self_heal_restore(&text, &record).unwrap().changed);
    }

    #[test]
    fn an_added_schedule_is_last_and_all_else_stays(text in order()) {
        let before = Order::read(&text).unwrap();
        let cron = Cron::parse("*/5 1-3 ? jan MON,tue").unwrap();
        let edit = schedule_add(&text, &name("new"), &cron, Ttl::parse("7d").ok()).unwrap();
        let mut after = Order::read(&edit.text).unwrap();
        let added = after.backup.schedules.pop().unwrap();
        let expected = Schedule { name: "new".into(), cron: cron.to_string(), ttl: Some("168h0m0s".into()) };
        prop_assert_eq!(added, expected);
        if before.backup.schedules.is_empty() {
            prop_assert!(after.backup.is_active());
            after.backup = before.backup.clone();
        }
        prop_assert_eq!(&after, &before);
        let (deleted, inserted) = changed_lines(&text, &edit.text);
        prop_assert!(inserted.len() <= deleted.len() + 7);
        let last = text.split_inclusive('\n').next_back();
        for line in &deleted {
            let known = ["backup", "schedule"].iter().any(|key| line.contains(key));
            prop_assert!(known || Some(line.as_str()) == last, "{line:?}");
        }
        let mut old = independently(&text);
        let mut new = independently(&edit.text);
        for values in [&mut old, &mut new] {
            for key in ["take_backup", "backuplabel", "schedules"] {
                if let Some(Value::Object(backup)) = values.get_mut("backup") {
                    backup.remove(key);
                }
            }
            if values.get("backup").is_some_and(|backup| backup.is_null() || backup == &json!({})) {
                values.as_object_mut().unwrap().remove("backup");
            }
        }
        prop_assert_eq!(old, new);
        prop_assert!(!schedule_add(&edit.text, &name("new"), &cron, Ttl::parse("7d").ok()).unwrap().changed);
        let removed = schedule_remove(&edit.text, &name("new")).unwrap();
        prop_assert_eq!(&Order::read(&removed.text).unwrap().backup.schedules, &before.backup.schedules);
        if !before.backup.schedules.is_empty() {
            prop_assert_eq!(removed.text, text);
        }
    }

    #[test]
    fn a_changed_or_removed_schedule_leaves_the_others(text in order_with_schedules(), which in any::<prop::sample::Index>()) {
        let before = Order::read(&text).unwrap();
        let which = which.index(before.backup.schedules.len());
        let old = name(&before.backup.schedules[which].name);
        let cron = Cron::parse("@every 90m").unwrap();
        let change = ScheduleChange { name: Some(name("true")), cron: Some(cron), ttl: Ttl::parse("3h").ok() };
        let edit = schedule_change(&text, &old, &change).unwrap();
        let mut expected = before.clone();
        expected.backup.schedules[which] =
            Schedule { name: "true".into(), cron: "@every 90m".into(), ttl: Some("3h0m0s".into()) };
        prop_assert_eq!(&Order::read(&edit.text).unwrap(), &expected);
        let mut values = independently(&text);
        values["backup"]["schedules"][which] = json!({"name": "true", "schedule": "@every 90m", "ttl": "3h0m0s"});
        prop_assert_eq!(values, independently(&edit.text));
        let (deleted, inserted) = changed_lines(&text, &edit.text);
        prop_assert!(deleted.len() <= 3 && inserted.len() <= 4, "{deleted:?} {inserted:?}");
        prop_assert!(!schedule_change(&edit.text, &old, &change).unwrap().changed);

        let edit = schedule_remove(&text, &old).unwrap();
        let mut expected = before.clone();
        expected.backup.schedules.remove(which);
        prop_assert_eq!(&Order::read(&edit.text).unwrap(), &expected);
        let mut values = independently(&text);
        values["backup"]["schedules"].as_array_mut().unwrap().remove(which);
        prop_assert_eq!(values, independently(&edit.text));
        prop_assert!(!schedule_remove(&edit.text, &old).unwrap().changed);
    }

    #[test]
    fn a_damaged_order_gives_an_answer_or_an_error(
        text in order(),
        damage in proptest::collection::vec((any::<prop::sample::Index>(), 0_usize..24), 1..6),
    ) {
        const PIECES: [&str; 22] = [
            " ", "\n", "\t", "-", ":", ": ", "#", "{", "}", "[", "]", "&a ", "*a", "<<: ", "|", ">", "\"", "'", "\r", "\u{feff}", "---\n", "🔱",
        ];
        let mut characters: Vec<String> = text.chars().map(String::from).collect();
        for (at, piece) in damage {
            if characters.is_empty() {
                break;
            }
            let at = at.index(characters.len());
            match PIECES.get(piece) {
                Some(piece) => characters.insert(at, (*piece).to_owned()),
                None => {
                    characters.remove(at);
                }
            }
        }
        all_reads(&characters.concat());
    }

    #[test]
    fn any_text_gives_an_answer_or_an_error(text in any::<String>(), yaml in "(values: ?[|>{\\[]?[+-]?\n?)?([ \n\ta-c:{}\\[\\]#&*|>'\"?,.!%@`-]|\r\n|<<: |- ){0,60}") {
        all_reads(&text);
        all_reads(&yaml);
    }

    #[test]
    fn no_argument_breaks_out_of_its_value(
        text in order(),
        raw_name in "[a-z0-9-]{1,12}|(true|no|null|1e3|0x1f|12|y)|[ -~\n]{0,20}",
        raw_cron in "@(daily|every [0-9a-z.]{1,6}|[a-z]{1,8})|([0-9*/,?-]{1,4} ){4}[0-9*a-z\"'#:{}\n]{1,4}|[ -~\n]{0,24}",
        raw_ttl in "[0-9.]{1,4}[a-zµ]{1,2}([0-9]{1,3}[hms])?|[ -~\n]{0,12}",
    ) {
        let (Ok(name), Ok(cron)) = (ScheduleName::parse(&raw_name), Cron::parse(&raw_cron)) else { return Ok(()) };
        let ttl = Ttl::parse(&raw_ttl).ok();
        let before = Order::read(&text).unwrap();
        prop_assume!(before.backup.schedules.iter().all(|schedule| schedule.name != name.as_str()));
        let edit = schedule_add(&text, &name, &cron, ttl).unwrap();
        let values = independently(&edit.text);
        let added = values["backup"]["schedules"].as_array().unwrap().last().unwrap();
        let mut expected = json!({"name": name.as_str(), "schedule": cron.to_string()});
        if let Some(ttl) = ttl {
            expected["ttl"] = json!(ttl.to_string());
        }
        prop_assert_eq!(added, &expected);
    }
}
