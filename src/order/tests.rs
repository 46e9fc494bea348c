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
    assert_eq!((fault.line, fault.column), (13, 7));
    assert_eq!(fault.path, "values.argocd.syncPolicy.selfHeal");
    let text = BLOCK.replace("      prune: true", "      prune: true\n      prune: true");
    let error = Order::read(&text).unwrap_err();
    assert_eq!(
        error.to_string(),
        "line 15, column 7: values.argocd.syncPolicy.prune: this key is written twice in the same mapping"
    );
}
