use jiff::tz::TimeZone;

use crate::order::Cron;
use crate::schedule_times::{
    Ask, Named, Plan, Refusal, VeleroVersion, ZoneSupport, plan, read_when,
};

fn ask(
    when: &str,
    keep: &str,
    others: &[(&str, &str)],
    everybody: &[&str],
    velero: Option<&str>,
) -> Result<Plan, Refusal> {
    let cron = read_when(when).unwrap();
    let keep: refloat_commands::Ttl = keep.parse().unwrap();
    let others: Vec<Named> = others
        .iter()
        .map(|(name, cron)| Named {
            name: (*name).to_owned(),
            cron: Cron::parse(cron).unwrap(),
        })
        .collect();
    let everybody: Vec<Cron> = everybody
        .iter()
        .map(|cron| Cron::parse(cron).unwrap())
        .collect();
    plan(&Ask {
        cron: &cron,
        keep: keep.seconds(),
        now: "2026-11-24T12:00:00Z".parse().unwrap(),
        server: &TimeZone::UTC,
        others: &others,
        everybody: &everybody,
        velero: velero.map(|version| version.parse().unwrap()),
    })
}

fn warnings(plan: &Plan) -> String {
    let lines: Vec<String> = plan.warnings.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

#[test]
fn a_plain_schedule_has_nothing_to_warn_of() {
    let plan = ask(
        "every day at 01:00",
        "7d",
        &[("weekly", "0 3 * * 0")],
        &["0 1 * * *"],
        None,
    )
    .unwrap();
    assert_eq!(plan.cron.to_string(), "0 1 * * *");
    let runs: Vec<String> = plan.runs.iter().map(ToString::to_string).collect();
    assert_eq!(
        runs,
        [
            "2026-11-25T01:00:00Z",
            "2026-11-26T01:00:00Z",
            "2026-11-27T01:00:00Z"
        ]
    );
    assert_eq!((plan.copies.count, plan.copies.more), (7, false));
    assert_eq!(warnings(&plan), "");
}

#[test]
fn copies_are_counted() {
    for (when, keep, copies) in [
        ("every 6 hours", "4w", 112),
        ("first of the month", "6 months", 6),
        ("weekly", "4w", 4),
        ("every weekday at 6", "7d", 5),
        ("every day", "36h", 2),
        ("every day", "1h", 1),
        ("@every 6h", "24h", 4),
        ("yearly", "1 year", 1),
    ] {
        assert_eq!(
            ask(when, keep, &[], &[], None).unwrap().copies.count,
            copies,
            "{when}"
        );
    }
    let copies = ask("every minute", "6 months", &[], &[], None)
        .unwrap()
        .copies;
    assert!(copies.more && copies.count == 1000);
}

#[test]
fn warnings_say_what_to_beware_of() {
    let plan = ask(
        "every weekday at 01:00",
        "1d",
        &[("weekly", "5 1 * * 3"), ("monthly", "0 4 1 * *")],
        &[
            "0 1 * * *",
            "10 1 * * *",
            "45 0 * * *",
            "@daily",
            "0 1 * * *",
            "2 1 * * *",
        ],
        None,
    );
    insta::assert_snapshot!(warnings(&plan.unwrap()), @"
    each backup is kept for 1 day, but up to 3 days pass between two runs: at times there will be none
    it runs within 15 minutes of the schedule `weekly`, first at 2026-11-25 01:00 UTC: Velero makes one backup after the other, and the second waits
    5 other schedules run within 15 minutes of 2026-11-25 01:00 UTC: everybody backs up then, and yours may have to wait; another time is quieter
    ");
    insta::assert_snapshot!(warnings(&ask("31st at 2", "1 year", &[], &[], None).unwrap()), @"months without a day 31 are passed over on that day");
    insta::assert_snapshot!(warnings(&ask("every 5 hours", "7d", &[], &[], None).unwrap()), @"it counts from when it is made and not by the clock: its times move when it is changed");
    insta::assert_snapshot!(warnings(&ask("every minute", "7d", &[], &[], None).unwrap()), @"it runs every 1 minute: a run is left out while the backup before it is still being made");
    insta::assert_snapshot!(warnings(&ask("every day at 02:30 Europe/Oslo", "7d", &[], &[], Some("1.16")).unwrap()), @"
    before 1.18.1, Velero's own image has no table of zones and refuses Europe/Oslo; the Schedule's status will say so
    on 2027-03-28 the clocks of Europe/Oslo skip a time of it: there is no such run
    on 2027-10-31 the clocks of Europe/Oslo show a time of it twice: it runs twice
    ");
    assert_eq!(
        warnings(
            &ask(
                "every day at 04:30 Europe/Oslo",
                "7d",
                &[],
                &[],
                Some("1.18.1")
            )
            .unwrap()
        ),
        ""
    );
    assert_eq!(
        warnings(&ask("every hour Europe/Oslo", "7d", &[], &[], Some("1.18.1")).unwrap()),
        ""
    );
}

#[test]
fn what_must_not_be_ordered_is_refused() {
    let say = |when: &str, velero: Option<&str>| {
        ask(when, "7d", &[], &[], velero).unwrap_err().to_string()
    };
    insta::assert_snapshot!(say("0 0 30 2 *", None), @"`0 0 30 2 *` never runs: no such moment comes. Write for example `0 1 * * *`, `every day at 01:00` or `Sundays 03:30`");
    insta::assert_snapshot!(say("@every 30s", None), @"`@every 30s` runs more often than once a minute. Write for example `0 1 * * *`, `every day at 01:00` or `Sundays 03:30`");
    insta::assert_snapshot!(say("every day at 3 Europe/Oslo", None), @"`CRON_TZ=Europe/Oslo 0 3 * * *` names the time zone Europe/Oslo, which not every Velero knows, and `velero.version` is not configured: give the time in UTC, without a zone");
    insta::assert_snapshot!(say("TZ=Europe/Oslo 0 3 * * *", Some("1.14.3")), @"`TZ=Europe/Oslo 0 3 * * *` names the time zone Europe/Oslo, which the configured Velero does not know (1.15 and later do): give the time in UTC, without a zone");
}

#[test]
fn versions_are_read() {
    for (text, support) in [
        ("1.14", ZoneSupport::No),
        ("v1.15.0", ZoneSupport::Perhaps),
        ("1.18.0", ZoneSupport::Perhaps),
        ("1.18.1-OADP", ZoneSupport::Yes),
        ("2.0", ZoneSupport::Yes),
    ] {
        assert_eq!(
            ZoneSupport::of(Some(text.parse().unwrap())),
            support,
            "{text}"
        );
    }
    assert_eq!(ZoneSupport::of(None), ZoneSupport::Unknown);
    for text in ["", "1", "x", "1.x", "1.2.3.4", "-1.2"] {
        assert!(text.parse::<VeleroVersion>().is_err(), "{text}");
    }
}
