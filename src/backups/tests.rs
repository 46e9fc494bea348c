use std::collections::{BTreeSet, HashMap};

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

const NOW: &str = "2026-11-24T12:00:00Z";

fn backup(name: &str, schedule: &str, began: &str, phase: &str, included: &[&str]) -> Backup {
    let began = at(began);
    Backup {
        name: name.to_owned(),
        schedule: (!schedule.is_empty()).then(|| schedule.into()),
        included: included.iter().map(|name| (*name).into()).collect(),
        excluded: Vec::new(),
        phase: phase.into(),
        created: began,
        started_at: Some(began),
        ended_at: began.checked_add(jiff::SignedDuration::from_secs(7)).ok(),
        expires_at: began
            .checked_add(jiff::SignedDuration::from_hours(24 * 7))
            .ok(),
        items: 24,
        total: 24,
        errors: if phase == "PartiallyFailed" { 2 } else { 0 },
        reason: None,
        deleting: false,
    }
}

fn schedule(name: &str, cron: &str, included: &[&str]) -> Schedule {
    Schedule {
        name: name.to_owned(),
        cron: cron.to_owned(),
        ttl: Some("168h0m0s".to_owned()),
        included: included.iter().map(|name| (*name).into()).collect(),
        phase: "Enabled".to_owned(),
        errors: Vec::new(),
        paused: false,
        created: at("2026-11-01T00:00:00Z"),
        last_backup: None,
    }
}

fn poseidon() -> Whose {
    Whose {
        tenant: "poseidon1".to_owned(),
        namespaces: vec!["poseidon1-dev".to_owned(), "poseidon1-test".to_owned()],
        schedules: vec!["daily".to_owned()],
    }
}

#[test]
fn a_tenant_owns_what_holds_only_its_own() {
    let whose = poseidon();
    let owns = |schedule: &str, included: &[&str]| {
        whose.owns(&backup(
            "b",
            schedule,
            "2026-11-24T01:00:00Z",
            "Completed",
            included,
        ))
    };
    assert!(owns("", &["poseidon1-dev"]));
    assert!(owns(
        "poseidon1-daily",
        &["poseidon1-dev", "poseidon1-test"]
    ));
    // An environment that is ordered no more.
    assert!(owns("poseidon1-daily", &["poseidon1-dev", "poseidon1-old"]));
    assert!(!owns("", &["poseidon1-dev", "poseidon1-old"]));
    assert!(!owns("poseidon1-daily", &["poseidon1-dev", "triton2-prod"]));
    assert!(!owns("poseidon1-daily", &["poseidon10-dev"]));
    assert!(!owns("poseidon1-daily", &["triton2-prod"]));
    assert!(!owns("platform", &["*"]));
    assert!(!owns("platform", &[]));
}

#[test]
fn the_list_is_paged_newest_first() {
    let mut all: Vec<Backup> = (1..=11)
        .map(|day| {
            backup(
                &format!("poseidon1-daily-202611{day:02}010000"),
                "poseidon1-daily",
                &format!("2026-11-{day:02}T01:00:00Z"),
                if day == 11 {
                    "PartiallyFailed"
                } else {
                    "Completed"
                },
                &["poseidon1-dev"],
            )
        })
        .collect();
    all.push(backup(
        "triton2-daily-1",
        "triton2-daily",
        "2026-11-24T01:00:00Z",
        "Completed",
        &["triton2-prod"],
    ));
    let whose = poseidon();
    let volumes = HashMap::from([("poseidon1-daily-20261103010000".to_owned(), 1536)]);
    let say = |number| {
        page(&all, &whose, None, number).unwrap().in_words(
            &whose,
            None,
            &volumes,
            at("2026-11-11T12:00:00Z"),
            &TimeZone::UTC,
        )
    };
    let first = say(1);
    assert!(first.starts_with("11 backups of the tenant `poseidon1`, newest first, page 1 of 2:\n- `poseidon1-daily-20261111010000`"));
    assert!(first.ends_with("More: `page:2`."));
    assert_eq!(first.matches("\n- ").count(), PAGE);
    assert!(!first.contains("triton2"));
    insta::assert_snapshot!(say(2), @"
    11 backups of the tenant `poseidon1`, newest first, page 2 of 2:
    - `poseidon1-daily-20261103010000`: daily, 2026-11-03 01:00 UTC, 8 d 11 h old, took 7.0 s, 24 items, 1.5 KiB of volumes, **complete**, expired
    - `poseidon1-daily-20261102010000`: daily, 2026-11-02 01:00 UTC, 9 d 11 h old, took 7.0 s, 24 items, **complete**, expired
    - `poseidon1-daily-20261101010000`: daily, 2026-11-01 01:00 UTC, 10 d 11 h old, took 7.0 s, 24 items, **complete**, expired
    ");
    assert_eq!(page(&all, &whose, None, 3), Err(2));
    assert_eq!(
        page(&all, &whose, Some("poseidon1-test"), 1).unwrap().total,
        0
    );
    assert_eq!(page(&[], &whose, None, 1).unwrap().total, 0);
}

fn shown() -> Overview {
    let both = &["poseidon1-dev", "poseidon1-test"][..];
    let mut all = [
        backup(
            "a",
            "poseidon1-daily",
            "2026-11-24T01:00:00Z",
            "Completed",
            both,
        ),
        backup(
            "b",
            "poseidon1-daily",
            "2026-11-23T01:00:00Z",
            "Failed",
            both,
        ),
        backup(
            "c",
            "poseidon1-daily",
            "2026-11-22T01:00:00Z",
            "PartiallyFailed",
            both,
        ),
        backup(
            "d",
            "poseidon1-daily",
            "2026-11-20T01:00:00Z",
            "Failed",
            both,
        ),
        backup(
            "e",
            "poseidon1-daily",
            "2026-11-20T05:00:00Z",
            "Completed",
            both,
        ),
        backup(
            "f",
            "triton2-weekly",
            "2026-11-08T03:30:00Z",
            "Completed",
            &["triton2-prod"],
        ),
        backup(
            "g",
            "",
            "2026-11-19T03:30:00Z",
            "Completed",
            &["nereid3-dev"],
        ),
        backup(
            "h",
            "proteus4-daily",
            "2026-11-24T11:59:00Z",
            "InProgress",
            &["proteus4-dev"],
        ),
    ];
    all[5].expires_at = Some(at("2026-12-24T00:00:00Z"));
    let schedules = [
        schedule("poseidon1-daily", "0 1 * * *", both),
        schedule("triton2-weekly", "30 3 * * 0", &["triton2-prod"]),
        schedule("proteus4-daily", "59 11 * * *", &["proteus4-dev"]),
    ];
    let names = [
        "poseidon1-dev",
        "poseidon1-test",
        "triton2-prod",
        "nereid3-dev",
        "proteus4-dev",
        "larissa5-dev",
    ];
    let names: BTreeSet<String> = names.iter().map(ToString::to_string).collect();
    overview(
        &names,
        &all.iter().collect::<Vec<_>>(),
        &schedules.iter().collect::<Vec<_>>(),
        at(NOW),
        &TimeZone::UTC,
    )
}

#[test]
fn the_overview_says_who_has_good_backups() {
    insta::assert_snapshot!(in_words(&shown(), &TimeZone::UTC), @"
    **Backups:** 6 namespaces, of which 4 not as it should be.
    - `larissa5-dev`: **no backup at all, and none is scheduled**
    `------------------------------`
    - `proteus4-dev`: **no good backup yet**, next 2026-11-25 11:59 UTC
    `-----------------------......-`
    - `triton2-prod`: **a run was missed or failed**, last good one 16 d 8 h ago (2026-11-08 03:30 UTC), next 2026-11-29 03:30 UTC, 1 copy kept
    `-------------#-------------.--`
    - `nereid3-dev`: **nothing is scheduled any more**, last good one 5 d 8 h ago (2026-11-19 03:30 UTC), 1 copy kept
    `------------------------#-----`
    - `poseidon1-dev`: **good**, last good one 11 h ago (2026-11-24 01:00 UTC), next 2026-11-25 01:00 UTC, 2 copies kept
    `-----------------------..#.~x#`
    - `poseidon1-test`: **good**, last good one 11 h ago (2026-11-24 01:00 UTC), next 2026-11-25 01:00 UTC, 2 copies kept
    `-----------------------..#.~x#`
    The last 30 days, today at the right: `#` good, `~` partly failed, `x` failed, `.` missing, `-` none due, or expired.
    ");
}

#[test]
fn a_run_is_missed_after_the_interval_and_a_half() {
    let day = 86_400;
    assert!(!overdue(
        at("2026-11-23T00:00:00Z"),
        day,
        at("2026-11-24T12:00:00Z")
    ));
    assert!(overdue(
        at("2026-11-23T00:00:00Z"),
        day,
        at("2026-11-24T12:00:01Z")
    ));
}

#[test]
fn the_picture_is_one_that_shows_each_mark() {
    let drawn = picture::draw(&shown(), &TimeZone::UTC).unwrap();
    let decoder = png::Decoder::new(std::io::Cursor::new(&drawn));
    let mut reader = decoder.read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    assert!(
        info.width > 600 && info.height > 150,
        "{}x{}",
        info.width,
        info.height
    );
    let has = |colour: [u8; 3]| pixels.chunks(3).filter(|pixel| *pixel == colour).count();
    // Good, partly failed, failed, and the ground that keeps it readable anywhere.
    for colour in [
        [0x3f, 0xb9, 0x6b],
        [0xe3, 0xb3, 0x41],
        [0xf0, 0x65, 0x5b],
        [0x1f, 0x24, 0x2b],
    ] {
        assert!(has(colour) > 50, "{colour:?}");
    }
    assert!(drawn.len() < 100_000, "{} bytes", drawn.len());
    assert_eq!(
        picture::draw(
            &Overview {
                rows: Vec::new(),
                now: at(NOW)
            },
            &TimeZone::UTC
        ),
        None
    );
}

#[test]
fn the_schedules_are_listed_with_their_next_runs() {
    let mut refused = schedule("poseidon1-odd", "0 1 * * 7", &["poseidon1-dev"]);
    refused.phase = "FailedValidation".to_owned();
    refused.errors = vec!["invalid schedule: end of range (7) above maximum (6): 7".to_owned()];
    let daily = schedule("poseidon1-daily", "0 1 * * *", &["poseidon1-dev"]);
    let mut whose = poseidon();
    whose.schedules.push("new".to_owned());
    let oslo = crate::schedule_times::zone("Europe/Oslo").unwrap();
    insta::assert_snapshot!(schedules_in_words(&whose, &[&daily, &refused], at(NOW), &oslo), @"
    Backup schedules of the tenant `poseidon1`, each for all its namespaces:
    - `daily`: `0 1 * * *`, kept for 7 days, next 2026-11-25 02:00 CET (2026-11-25 01:00 UTC)
    - `odd`: `0 1 * * 7`, kept for 7 days, **refused by Velero**: invalid schedule: end of range (7) above maximum (6): 7
    Ordered, but not in the cluster (yet): `new`.
    ");
    whose.schedules.clear();
    insta::assert_snapshot!(schedules_in_words(&whose, &[], at(NOW), &oslo), @r#"The tenant `poseidon1` has no backup schedules. Order one: `schedule add tenant:poseidon1 name:daily when:"every day at 01:00" keep:7d`."#);
}

#[test]
fn messages_stay_short_however_much_there_is() {
    let names: BTreeSet<String> = (0..500)
        .map(|n| format!("tenant{n:03}-{}", "x".repeat(40)))
        .collect();
    let shown = overview(&names, &[], &[], at(NOW), &TimeZone::UTC);
    let words = in_words(&shown, &TimeZone::UTC);
    assert!(words.chars().count() < 2000, "{}", words.chars().count());
    assert!(picture::draw(&shown, &TimeZone::UTC).unwrap().len() < 300_000);
}
