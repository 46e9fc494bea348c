//! Any text is read, or refused; an edit does what it says, or is refused; nothing panics.
//!
//! Run, from the project's folder:
//! `cargo +nightly fuzz run order fuzz/corpus/order tests/orders -- -max_total_time=600 -timeout=10 -max_len=4096 -dict=fuzz/order.dict`

#![no_main]

#[path = "../../src/order/mod.rs"]
#[allow(dead_code, unused_imports, unreachable_pub)]
mod order;

use libfuzzer_sys::fuzz_target;
use order::{
    Cron, Order, ScheduleChange, ScheduleName, Setting, Ttl, schedule_add, schedule_change,
    schedule_remove, self_heal_off, self_heal_restore,
};

fuzz_target!(|text: &str| {
    arguments(text);
    let read = Order::read(text);
    self_heal(text, read.as_ref().ok());
    schedules(text, read.as_ref().ok());
});

/// The readers of arguments take anything.
fn arguments(text: &str) {
    if let Ok(cron) = Cron::parse(text) {
        assert_eq!(Cron::parse(&cron.to_string()).as_ref(), Ok(&cron));
        assert!(cron.to_string().bytes().all(|byte| (b' '..=b'~').contains(&byte)));
    }
    if let Ok(ttl) = Ttl::parse(text) {
        assert_eq!(Ttl::parse_written(&ttl.to_string()), Ok(ttl));
    }
    let _ = ScheduleName::parse(text);
}

fn self_heal(text: &str, read: Option<&Order>) {
    let Ok((off, record)) = self_heal_off(text) else { return };
    let before = read.expect("what can be edited can be read");
    let mut order = Order::read(&off.text).expect("an edited order can be read");
    assert_eq!(order.sync_policy.self_heal, Setting { value: false, written: true });
    order.sync_policy.self_heal = before.sync_policy.self_heal;
    assert_eq!(&order, before);
    let (again, _) = self_heal_off(&off.text).expect("it can be turned off again");
    assert!(!again.changed && again.text == off.text);
    let back = self_heal_restore(&off.text, &record).expect("what was turned off can be turned back");
    assert_eq!(back.text, text);
}

fn schedules(text: &str, read: Option<&Order>) {
    let name = |name| ScheduleName::parse(name).expect("a name");
    let cron = |cron| Cron::parse(cron).expect("a schedule");
    let ttl = Ttl::parse("7d").ok();
    let added = name("f7");
    if let Ok(edit) = schedule_add(text, &added, &cron("0 1 * * *"), ttl)
        && edit.changed
    {
        let before = read.expect("what can be edited can be read");
        let order = Order::read(&edit.text).expect("an edited order can be read");
        let (last, rest) = order.backup.schedules.split_last().expect("a schedule");
        assert_eq!((last.name.as_str(), last.cron.as_str()), ("f7", "0 1 * * *"));
        assert_eq!(rest, before.backup.schedules);
        assert!(!rest.is_empty() || order.backup.is_active());
        let again = schedule_add(&edit.text, &added, &cron("0 1 * * *"), ttl).expect("again");
        assert!(!again.changed);
        if let Ok(removed) = schedule_remove(&edit.text, &added) {
            let order = Order::read(&removed.text).expect("an edited order can be read");
            assert_eq!(order.backup.schedules, before.backup.schedules);
        }
    }
    let Some(before) = read else { return };
    let Some(first) = before.backup.schedules.first() else { return };
    let Ok(first) = ScheduleName::parse(&first.name) else { return };
    let change = ScheduleChange {
        name: Some(name("x-1")),
        cron: Some(cron("@every 6h")),
        ttl: Ttl::parse("2w").ok(),
    };
    if let Ok(edit) = schedule_change(text, &first, &change)
        && edit.changed
    {
        let mut order = Order::read(&edit.text).expect("an edited order can be read");
        let schedule = &mut order.backup.schedules[0];
        assert_eq!((schedule.name.as_str(), schedule.cron.as_str()), ("x-1", "@every 6h"));
        assert_eq!(schedule.ttl.as_deref(), Some("336h0m0s"));
        *schedule = before.backup.schedules[0].clone();
        assert_eq!(&order, before);
        let again = schedule_change(&edit.text, &first, &change).expect("again");
        assert!(!again.changed);
    }
    if let Ok(edit) = schedule_remove(text, &first)
        && edit.changed
    {
        let mut order = Order::read(&edit.text).expect("an edited order can be read");
        order.backup.schedules.insert(0, before.backup.schedules[0].clone());
        assert_eq!(&order, before);
    }
}
