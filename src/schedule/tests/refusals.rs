//! What is refused, and in which words.

use super::*;

#[test]
fn what_is_refused_and_how() {
    let mut lines = Vec::new();
    let mut say = |about: &str, spec: &ScheduleRequestSpec, survey: &Survey| {
        let words = checked(spec, survey).map_or_else(|why| why, |_| "passes".to_owned());
        lines.push(format!("{about}: {words}"));
    };
    let renamed = |new: &str| Change {
        new_name: Some(new.to_owned()),
        ..change(Action::Change, "daily", None, None)
    };
    for (about, change) in [
        ("add", add()),
        (
            "again",
            change(Action::Add, "daily", Some("@daily"), Some("24h")),
        ),
        (
            "name",
            change(Action::Add, "Nightly!", Some("@daily"), Some("24h")),
        ),
        (
            "cron",
            change(Action::Add, "n", Some("0 1 * * 7"), Some("24h")),
        ),
        ("ttl", change(Action::Add, "n", Some("@daily"), Some("7d"))),
        ("no ttl", change(Action::Add, "n", Some("@daily"), None)),
        (
            "long",
            change(Action::Add, &"n".repeat(60), Some("@daily"), Some("24h")),
        ),
        (
            "change",
            change(Action::Change, "daily", Some("0 2 * * *"), None),
        ),
        ("nothing", change(Action::Change, "daily", None, None)),
        (
            "same",
            change(Action::Change, "daily", Some("0 1 * * *"), None),
        ),
        (
            "unknown",
            change(Action::Change, "weekly", Some("0 2 * * *"), None),
        ),
        ("rename", renamed("nightly")),
        ("remove", change(Action::Remove, "daily", None, None)),
        ("gone", change(Action::Remove, "weekly", None, None)),
    ] {
        say(about, &spec(change), &survey());
    }
    let foreign = ScheduleRequestSpec {
        tenant: "triton2".to_owned(),
        ..spec(add())
    };
    say("foreign", &foreign, &survey());
    let faulty = Survey {
        order: None,
        order_fault: Some("line 3: it is broken".to_owned()),
        ..survey()
    };
    say("faulty", &spec(add()), &faulty);
    let off = Survey {
        order: Some(order(
            &ORDER.replace("take_backup: true", "take_backup: false"),
        )),
        ..survey()
    };
    say("off", &spec(add()), &off);
    let other = |phase| Survey {
        others: vec![Other {
            name: "poseidon1-other".to_owned(),
            uid: "other".to_owned(),
            created: at(-60),
            phase,
            schedules: vec!["nightly".to_owned()],
            requester: "bert".to_owned(),
        }],
        ..survey()
    };
    say("held", &spec(add()), &other(Phase::AwaitingApproval));
    say("free again", &spec(add()), &other(Phase::Confirming));
    let taken = Survey {
        live: Some(LiveSchedule {
            name: "poseidon1-nightly".to_owned(),
            namespaces: vec!["poseidon1-nightly-prod".to_owned()],
            ..LiveSchedule::default()
        }),
        ..survey()
    };
    say("another's", &spec(add()), &taken);
    insta::assert_snapshot!(lines.join("\n"), @r#"
    add: passes
    again: The tenant poseidon1 has a schedule daily (0 1 * * *, kept 168h0m0s) already. To change it, say `schedule change tenant:poseidon1 name:daily when:"..." keep:...`; for another one choose another name, such as daily-2.
    name: `Nightly!` is no name: only a-z, 0-9 and `-` are allowed, as in `daily`.
    cron: `0 1 * * 7` is no schedule: day of week `7`: 7 is above the highest, 6; write for example "0 1 * * *" or @daily.
    ttl: `7d` is no duration as an order takes it: Go knows no days and no weeks. Write it as Go does, such as 168h0m0s.
    no ttl: A new schedule needs a time and how long its backups are kept, such as when:"0 1 * * *" keep:7d.
    long: The name nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn is too long: with poseidon1- before it and Velero's timestamp after it, it may have 38 characters, such as nightly.
    change: passes
    nothing: A change changes a name, a time or how long backups are kept, as in `schedule change tenant:poseidon1 name:daily keep:14d`.
    same: The order of poseidon1 reads so already; there is nothing to change.
    unknown: The tenant poseidon1 has no schedule weekly: its order names daily.
    rename: passes
    remove: passes
    gone: The tenant poseidon1 has no schedule weekly: its order names daily.
    foreign: You may not order schedules for the tenant triton2. You may order schedules for poseidon1.
    faulty: The order of poseidon1 cannot be read: line 3: it is broken. Have it put right, then ask again.
    off: Nothing is backed up of the tenant poseidon1, whatever its schedules say: its order lacks `take_backup: true` or a `backuplabel`. Have wave-1/poseidon1-tenant.yaml put right by a pull request, then ask again.
    held: The schedule nightly is being changed already by the request poseidon1-other, asked for by bert at 2026-11-24 07:59 UTC. Wait until it has ended, or have it withdrawn: `schedule withdraw poseidon1-other`.
    free again: passes
    another's: Velero has a Schedule poseidon1-nightly already, and it is not of the tenant poseidon1. Choose another name, such as nightly-2.
    "#);
}
