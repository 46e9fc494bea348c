use super::*;

const BLOCK: &str = r#"appname: poseidon1
values: |
  namespace:
    name: poseidon1
    displayName: "Poseidon"      # shown in the console
  environments:
    - name: dev
    - name: test
  argocd:
    enable_auto_defined_apps: true
    syncPolicy:
      allowEmpty: true
      selfHeal: true   # keep
      prune: true
  backup:
    backuplabel: "backupresource: true"
    take_backup: true
    schedules:
      - schedule: "0 1 * * *"
        name: daily
        ttl: 168h0m0s
"#;

fn nested(block: &str) -> String {
    block.replace("values: |", "values:")
}

fn round(text: &str) -> (String, SelfHealRecord) {
    let (edit, record) = self_heal_off(text).unwrap_or_else(|error| panic!("{text}\n{error}"));
    let order = Order::read(&edit.text).unwrap();
    assert_eq!(
        order.sync_policy.self_heal,
        Setting {
            value: false,
            written: true
        },
        "{}",
        edit.text
    );
    let (again, _) = self_heal_off(&edit.text).unwrap();
    assert!(!again.changed);
    let json = serde_json::to_string(&record).unwrap();
    let record: SelfHealRecord = serde_json::from_str(&json).unwrap();
    let back = self_heal_restore(&edit.text, &record)
        .unwrap_or_else(|error| panic!("{}\n{record:?}\n{error}", edit.text));
    assert_eq!(back.text, text, "{record:?}");
    (edit.text, record)
}

#[test]
fn reads_both_forms() {
    for text in [BLOCK.to_owned(), nested(BLOCK)] {
        let order = Order::read(&text).unwrap();
        assert_eq!(order.tenant, "poseidon1");
        assert_eq!(order.appname, None);
        assert_eq!(order.namespaces(), ["poseidon1-dev", "poseidon1-test"]);
        assert_eq!(order.backup.schedules[0].cron, "0 1 * * *");
        assert!(order.backup.take_backup.value);
    }
}

#[test]
fn turns_the_flag_and_keeps_the_comment() {
    for text in [BLOCK.to_owned(), nested(BLOCK)] {
        let (off, record) = round(&text);
        assert_eq!(off, text.replace("selfHeal: true ", "selfHeal: false "));
        assert_eq!(record.value, Some(true));
    }
}

#[test]
fn inserts_what_is_absent_and_takes_it_out_again() {
    let without = BLOCK.replace("      selfHeal: true   # keep\n", "");
    for text in [without.clone(), nested(&without)] {
        let (off, record) = round(&text);
        assert_eq!(
            off,
            text.replace(
                "    syncPolicy:\n",
                "    syncPolicy:\n      selfHeal: false\n"
            )
        );
        assert_eq!(record.absent, [AbsentKey::SelfHeal]);
    }
    let head = "appname: a\nvalues: |\n    namespace:\n        name: a\n";
    for tail in [
        "",
        "    argocd:",
        "    argocd:\n",
        "    argocd:   # c\n",
        "    argocd: ~\n",
        "    argocd: {}\n",
        "    argocd: { }\n",
        "    argocd: {syncPolicy: {prune: true}}\n",
        "    argocd: {syncPolicy: }\n",
        "    argocd:\n        syncPolicy:",
        "    argocd:\n        syncPolicy: null # c\n",
        "    argocd:\n        syncPolicy: { prune: true }\n",
        "    argocd:\n        syncPolicy:\n            selfHeal:\n",
        "    argocd:\n        syncPolicy:\n            selfHeal:  # c\n",
        "    argocd:\n        syncPolicy:\n            selfHeal: ~  # c",
        "    argocd:\n        a: |+\n            b\n\n\n",
        "    argocd:\n        syncPolicy: {selfHeal: True}",
        "    argocd:\n        syncPolicy: {\n          prune: true,\n        }\n",
    ] {
        for text in [format!("{head}{tail}"), nested(&format!("{head}{tail}"))] {
            round(&text);
            round(&text.replace('\n', "\r\n"));
            round(&format!("\u{feff}{text}"));
        }
    }
}

#[test]
fn names_the_place_of_a_fault_inside_the_block() {
    let text = BLOCK.replace("selfHeal: true", "selfHeal: \"no\"");
    let error = Order::read(&text).unwrap_err();
    let fault = &error.faults()[0];
    assert_eq!((fault.line, fault.column), (13, 17));
    assert_eq!(fault.path, "values.argocd.syncPolicy.selfHeal");
    let text = BLOCK.replace("      prune: true", "      prune: true\n      prune: true");
    let error = Order::read(&text).unwrap_err();
    assert_eq!(
        error.to_string(),
        "line 15, column 7: values.argocd.syncPolicy.prune: this key is written twice in the same mapping"
    );
}

/// Turns self-heal off in values at column 0, lets a person edit the file, and restores.
fn restored(values: &str, edit: impl Fn(String) -> String) -> String {
    let head = "namespace:\n  name: a\n";
    let (off, record) = self_heal_off(&file(&format!("{head}{values}"))).unwrap();
    let text = edit(off.text);
    let back = self_heal_restore(&text, &record).unwrap_or_else(|error| panic!("{text}\n{error}"));
    assert!(!self_heal_restore(&back.text, &record).unwrap().changed);
    let values = back.text.replace("\n  ", "\n");
    values
        .strip_prefix("values: |\n")
        .unwrap()
        .strip_prefix(head)
        .unwrap()
        .to_owned()
}

fn file(values: &str) -> String {
    let mut text = String::from("values: |\n");
    for line in values.lines() {
        text.extend(["  ", line, "\n"]);
    }
    text
}

#[test]
fn restore_keeps_what_a_person_has_added_since() {
    // A comment on the inserted line stays, in its place.
    let commented = restored("argocd:\n  syncPolicy:\n    prune: true\n", |text| {
        text.replace("selfHeal: false", "selfHeal: false   # paused, see #12")
    });
    assert_eq!(
        commented,
        "argocd:\n  syncPolicy:\n    # paused, see #12\n    prune: true\n"
    );
    // A key beside the flag keeps its parents.
    let added = restored("", |text| format!("{text}      prune: false\n"));
    assert_eq!(added, "argocd:\n  syncPolicy:\n    prune: false\n");
    let added = restored("", |text| {
        text.replace("    syncPolicy:", "    basepath: x\n    syncPolicy:")
    });
    assert_eq!(added, "argocd:\n  basepath: x\n");
    // Comments between the inserted keys stay.
    let commented = restored("x: 1\n", |text| {
        text.replace("    syncPolicy:", "    # why\n    syncPolicy:")
    });
    assert_eq!(commented, "x: 1\n  # why\n");
    // In flow style as well.
    let added = restored("argocd: {a: b}\n", |text| {
        text.replace("selfHeal: false", "selfHeal: false, prune: true")
    });
    assert_eq!(added, "argocd: {syncPolicy: {prune: true}, a: b}\n");
    let moved = restored("argocd: {a: b}\n", |_| {
        file("namespace:\n  name: a\nargocd: {a: b, syncPolicy: {selfHeal: false}}")
    });
    assert_eq!(moved, "argocd: {a: b}\n");
    // The values that a person gave the flag since do not matter: it was absent.
    let turned = restored("argocd:\n  syncPolicy:\n    prune: true\n", |text| {
        text.replace("selfHeal: false", "selfHeal: true")
    });
    assert_eq!(turned, "argocd:\n  syncPolicy:\n    prune: true\n");
}

#[test]
fn restore_does_nothing_where_a_person_was_there_first() {
    for values in [
        "",
        "argocd:\n  syncPolicy:\n    prune: true\n",
        "argocd:\n  basepath: x\n",
    ] {
        let without = restored(values, |_| {
            file("namespace:\n  name: a\nargocd:\n  basepath: y")
        });
        assert_eq!(without, "argocd:\n  basepath: y\n");
    }
    let back = restored("argocd:\n  syncPolicy:\n    selfHeal: true\n", |text| {
        text.replace("false", "true")
    });
    assert_eq!(back, "argocd:\n  syncPolicy:\n    selfHeal: true\n");
    // What the record says is written again, wherever it went.
    let back = restored(
        "argocd:\n  syncPolicy:\n    selfHeal: true\n    prune: true\n",
        |text| text.replace("      selfHeal: false\n", ""),
    );
    assert_eq!(
        back,
        "argocd:\n  syncPolicy:\n    selfHeal: true\n    prune: true\n"
    );
}

#[test]
fn a_record_from_outside_is_not_believed() {
    for (value, absent, word) in [
        (None, vec![], None),
        (Some(true), vec![], Some("false")),
        (Some(true), vec![], Some("true\nx: y")),
        (None, vec![AbsentKey::SelfHeal], Some("yes")),
        (Some(true), vec![AbsentKey::SelfHeal], None),
        (None, vec![AbsentKey::Argocd], None),
        (None, vec![AbsentKey::SelfHeal, AbsentKey::SyncPolicy], None),
        (None, vec![AbsentKey::SelfHeal; 4], None),
    ] {
        let word = word.map(str::to_owned);
        let record = SelfHealRecord {
            value,
            absent,
            word,
        };
        let error = self_heal_restore(BLOCK, &record).unwrap_err();
        assert!(error.to_string().contains("record"), "{error}");
    }
}

#[test]
fn deep_and_large_inputs_are_answered() {
    let deep = format!(
        "values:\n  namespace: {{name: a}}\n  deep: {}",
        "[".repeat(100_000)
    );
    assert!(Order::read(&deep).is_err());
    let mut deep = String::from("values:\n");
    for depth in 0..2000 {
        deep.extend([&" ".repeat(depth), "a:\n"]);
    }
    assert!(Order::read(&deep).is_err());
    let aliases = "values:\n  a: &a [x]\n  b: &b [*a, *a]\n  c: &c {<<: *c, d: *b}\n  namespace: *c\n  argocd:\n    <<: [*c, *c]\n";
    assert!(Order::read(aliases).is_err());
    assert!(
        Order::read(&" ".repeat((16 << 20) + 1))
            .unwrap_err()
            .to_string()
            .contains("16 MiB")
    );
}
