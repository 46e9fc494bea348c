//! The corpus: every `tests/orders/NAME.yaml` is read and edited, and what comes of it must be
//! `tests/orders/NAME.out`, byte for byte. `UPDATE_ORDERS=1` writes the outputs anew, to be read and committed.
//!
//! An output says what was read, and for each edit the diff, or the faults that it was refused for.
//! In the diffs a carriage return is shown as `␍`, and the byte order mark as `␢`.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use refloat::order::{
    Cron, Edit, Order, OrderError, ScheduleChange, ScheduleName, SelfHealRecord, Ttl, schedule_add,
    schedule_change, schedule_remove, self_heal_off, self_heal_restore,
};

fn orders() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/orders");
    let mut orders: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "yaml")
        })
        .collect();
    orders.sort();
    orders
}

fn name(name: &str) -> ScheduleName {
    ScheduleName::parse(name).unwrap()
}

fn read_line(text: &str) -> String {
    let order = match Order::read(text) {
        Ok(order) => order,
        Err(error) => return format!("refused\n{error}\n"),
    };
    let Order {
        form,
        tenant,
        appname,
        environments: _,
        sync_policy,
        backup,
    } = &order;
    let flag = |setting: &refloat::order::Setting| {
        format!(
            "{}{}",
            setting.value,
            if setting.written { "" } else { " (default)" }
        )
    };
    let mut line = String::new();
    writeln!(
        line,
        "{form:?}, tenant {tenant}, appname {appname:?}, namespaces {}",
        order.namespaces().join(" ")
    )
    .unwrap();
    writeln!(
        line,
        "selfHeal {}, prune {}, allowEmpty {}",
        flag(&sync_policy.self_heal),
        flag(&sync_policy.prune),
        flag(&sync_policy.allow_empty)
    )
    .unwrap();
    writeln!(
        line,
        "take_backup {}, backuplabel {:?}",
        flag(&backup.take_backup),
        backup.backuplabel
    )
    .unwrap();
    for schedule in &backup.schedules {
        writeln!(
            line,
            "schedule {} {:?} {:?}",
            schedule.name, schedule.cron, schedule.ttl
        )
        .unwrap();
    }
    for note in order.notes() {
        writeln!(line, "note: {note}").unwrap();
    }
    line
}

/// The diff of an edit, with no lines around it.
fn outcome(before: &str, edit: &Result<Edit, OrderError>) -> String {
    match edit {
        Err(error) => format!("refused\n{error}\n"),
        Ok(edit) if !edit.changed => {
            assert_eq!(edit.text, before);
            "nothing to do\n".into()
        }
        Ok(edit) => {
            assert_ne!(edit.text, before);
            let diff = similar::TextDiff::from_lines(before, &edit.text);
            let diff = diff.unified_diff().context_radius(0).to_string();
            diff.replace('\r', "␍").replace('\u{feff}', "␢")
        }
    }
}

fn report(text: &str) -> String {
    let mut report = format!("== read\n{}", read_line(text));
    let Ok(order) = Order::read(text) else {
        // What cannot be read is not edited either, for the same reasons.
        let error = Order::read(text).unwrap_err();
        assert_eq!(self_heal_off(text).unwrap_err(), error);
        assert_eq!(
            self_heal_restore(text, &SelfHealRecord::default()).unwrap_err(),
            error
        );
        assert_eq!(schedule_remove(text, &name("daily")).unwrap_err(), error);
        return report;
    };
    let off = self_heal_off(text);
    let record = off.as_ref().ok().map(|(_, record)| record.clone());
    let off = off.map(|(edit, _)| edit);
    writeln!(report, "== self-heal off").unwrap();
    report.push_str(&outcome(text, &off));
    if let (Ok(off), Some(record)) = (&off, record) {
        writeln!(report, "record {}", serde_json::to_string(&record).unwrap()).unwrap();
        let read = Order::read(&off.text).unwrap();
        assert!(!read.sync_policy.self_heal.value && read.sync_policy.self_heal.written);
        assert!(
            !self_heal_off(&off.text).unwrap().0.changed,
            "off is idempotent"
        );
        let back = self_heal_restore(&off.text, &record).unwrap();
        assert_eq!(back.text, text, "off and back is the identity");
        let again = self_heal_restore(&back.text, &record).unwrap();
        assert!(
            !again.changed && again.text == text,
            "restore is idempotent"
        );
    }
    let add = |text: &str| {
        let cron = Cron::parse("30 2 * * *").unwrap();
        schedule_add(text, &name("nightly"), &cron, Ttl::parse("14d").ok())
    };
    let added = add(text);
    writeln!(report, "== schedule add nightly").unwrap();
    report.push_str(&outcome(text, &added));
    if let Ok(added) = &added {
        assert!(!add(&added.text).unwrap().changed, "add is idempotent");
    }
    let Some(first) = order.backup.schedules.first() else {
        return report;
    };
    let first = name(&first.name);
    let change = ScheduleChange {
        name: Some(name("renamed")),
        cron: Some(Cron::parse("CRON_TZ=Europe/Oslo 0 3 * * MON").unwrap()),
        ttl: Ttl::parse("2w").ok(),
    };
    let changed = schedule_change(text, &first, &change);
    writeln!(report, "== schedule change {first}").unwrap();
    report.push_str(&outcome(text, &changed));
    if let Ok(changed) = &changed {
        assert!(
            !schedule_change(&changed.text, &first, &change)
                .unwrap()
                .changed,
            "change is idempotent"
        );
    }
    let removed = schedule_remove(text, &first);
    writeln!(report, "== schedule remove {first}").unwrap();
    report.push_str(&outcome(text, &removed));
    if let Ok(removed) = &removed {
        assert!(
            !schedule_remove(&removed.text, &first).unwrap().changed,
            "remove is idempotent"
        );
    }
    report
}

#[test]
fn every_order_of_the_corpus_comes_out_as_expected() {
    let update = std::env::var_os("UPDATE_ORDERS").is_some();
    let orders = orders();
    assert!(orders.len() >= 60);
    let mut wrong = Vec::new();
    for path in orders {
        let text = fs::read_to_string(&path).unwrap();
        let found = report(&text);
        let expected = path.with_extension("out");
        if update {
            fs::write(&expected, &found).unwrap();
        } else if fs::read_to_string(&expected).ok().as_deref() != Some(found.as_str()) {
            wrong.push(format!("{}\n{found}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
