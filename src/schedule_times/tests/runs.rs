use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::order::Cron;
use crate::schedule_times::{next_run, runs};

fn next(text: &str, from: &str, count: usize) -> Vec<String> {
    let cron = Cron::parse_written(text).unwrap();
    let from: Timestamp = from.parse().unwrap();
    runs(&cron, from, &TimeZone::UTC)
        .take(count)
        .map(|run| run.to_string())
        .collect()
}

#[test]
fn runs_come_strictly_after() {
    assert_eq!(
        next("0 1 * * *", "2026-11-24T01:00:00Z", 2),
        ["2026-11-25T01:00:00Z", "2026-11-26T01:00:00Z"]
    );
    assert_eq!(
        next("0 1 * * *", "2026-11-24T00:59:59.999Z", 1),
        ["2026-11-24T01:00:00Z"]
    );
    assert_eq!(
        next("* * * * *", "2026-11-24T00:59:30Z", 2),
        ["2026-11-24T01:00:00Z", "2026-11-24T01:01:00Z"]
    );
}

#[test]
fn every_counts_whole_seconds_from_the_last() {
    assert_eq!(
        next("@every 90m", "2026-11-24T00:00:00.9Z", 2),
        ["2026-11-24T01:30:00Z", "2026-11-24T03:00:00Z"]
    );
}

/// In Oslo the clocks go from 02:00 to 03:00 on 2026-03-29, and from 03:00 to 02:00 on 2026-10-25.
#[test]
fn a_time_that_the_clocks_skip_is_no_run() {
    assert_eq!(
        next("CRON_TZ=Europe/Oslo 30 2 * * *", "2026-03-27T12:00:00Z", 3),
        [
            "2026-03-28T01:30:00Z",
            "2026-03-30T00:30:00Z",
            "2026-03-31T00:30:00Z"
        ]
    );
    assert_eq!(
        next("CRON_TZ=Europe/Oslo 0 3 * * *", "2026-03-28T12:00:00Z", 1),
        ["2026-03-29T01:00:00Z"]
    );
    assert_eq!(
        next("TZ=Europe/Oslo 30 * * * *", "2026-03-29T00:00:00Z", 3),
        [
            "2026-03-29T00:30:00Z",
            "2026-03-29T01:30:00Z",
            "2026-03-29T02:30:00Z"
        ]
    );
}

#[test]
fn a_time_that_the_clocks_show_twice_is_two_runs() {
    assert_eq!(
        next("CRON_TZ=Europe/Oslo 30 2 * * *", "2026-10-24T12:00:00Z", 3),
        [
            "2026-10-25T00:30:00Z",
            "2026-10-25T01:30:00Z",
            "2026-10-26T01:30:00Z"
        ]
    );
    // New York: from 02:00 to 01:00 on 2026-11-01.
    assert_eq!(
        next(
            "CRON_TZ=America/New_York 15 1 * * *",
            "2026-10-31T12:00:00Z",
            3
        ),
        [
            "2026-11-01T05:15:00Z",
            "2026-11-01T06:15:00Z",
            "2026-11-02T06:15:00Z"
        ]
    );
    assert_eq!(
        next(
            "CRON_TZ=America/New_York 30 2 * * *",
            "2026-03-07T12:00:00Z",
            2
        ),
        ["2026-03-09T06:30:00Z", "2026-03-10T06:30:00Z"]
    );
}

/// In Sao Paulo the clocks went from 00:00 to 01:00 on 2018-11-04, a Sunday.
#[test]
fn a_day_without_midnight_begins_with_its_first_hour() {
    assert_eq!(
        next(
            "CRON_TZ=America/Sao_Paulo 0 5 * * 0",
            "2018-11-03T12:00:00Z",
            1
        ),
        ["2018-11-04T07:00:00Z"]
    );
    assert_eq!(
        next(
            "CRON_TZ=America/Sao_Paulo 0 0 * * *",
            "2018-11-03T12:00:00Z",
            1
        ),
        ["2018-11-05T02:00:00Z"]
    );
    // The original does not notice that the day is over where no hour is 0.
    assert_eq!(
        next(
            "CRON_TZ=America/Sao_Paulo 30 5 * * 6",
            "2018-11-03T12:00:00Z",
            1
        ),
        ["2018-11-04T07:30:00Z"]
    );
}

#[test]
fn days_that_never_come_and_those_that_come_late() {
    assert!(next("0 0 30 2 *", "2026-11-24T00:00:00Z", 1).is_empty());
    assert_eq!(
        next("0 0 29 2 *", "2026-11-24T00:00:00Z", 2),
        ["2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z"]
    );
    // 2100 has none, and five years is as far as is looked.
    assert!(next("0 0 29 2 *", "2096-03-01T00:00:00Z", 1).is_empty());
    assert_eq!(
        next("0 0 29 2 *", "2099-01-01T00:00:00Z", 1),
        ["2104-02-29T00:00:00Z"]
    );
    assert_eq!(
        next("0 0 31 * *", "2027-01-31T00:00:00Z", 2),
        ["2027-03-31T00:00:00Z", "2027-05-31T00:00:00Z"]
    );
}

#[test]
fn the_ends_of_time_are_ends() {
    let cron = Cron::parse_written("@every 2562047h").unwrap();
    assert_eq!(next_run(&cron, Timestamp::MAX, &TimeZone::UTC), None);
    let cron = Cron::parse_written("TZ=Europe/Oslo * * * * *").unwrap();
    assert_eq!(next_run(&cron, Timestamp::MAX, &TimeZone::UTC), None);
    assert!(next_run(&cron, Timestamp::MIN, &TimeZone::UTC).is_some());
}

proptest::proptest! {
    /// A run is after the moment, at a whole minute, in every set, and none is left out before it.
    #[test]
    fn a_run_is_the_first_that_fits(
        minute in "[0-5]?[0-9]|\\*/7|\\*|3/20", hour in "1?[0-9]|\\*|\\*/5", day in "1?[1-9]|\\*", week in "[0-6]|\\*",
        seconds in 1_700_000_000_i64..1_900_000_000
    ) {
        let cron = Cron::parse_written(&format!("{minute} {hour} {day} * {week}")).unwrap();
        let from = Timestamp::from_second(seconds).unwrap();
        let crate::order::Times::Fields(fields) = cron.times else { panic!() };
        let fits = |at: i64| {
            let local = Timestamp::from_second(at).unwrap().to_zoned(TimeZone::UTC);
            let has = |set: u64, value: i8| set >> value & 1 == 1;
            let (by_month, by_week) = (
                has(fields.day_of_month, local.day()),
                has(fields.day_of_week, local.weekday().to_sunday_zero_offset()),
            );
            let day = if fields.any_day_of_month || fields.any_day_of_week { by_month && by_week } else { by_month || by_week };
            day && has(fields.minute, local.minute()) && has(fields.hour, local.hour())
        };
        let next = next_run(&cron, from, &TimeZone::UTC).unwrap().as_second();
        proptest::prop_assert!(next > seconds && next % 60 == 0 && fits(next));
        let mut at = (seconds / 60 + 1) * 60;
        while at < next.min(seconds + 3 * 86_400) {
            proptest::prop_assert!(!fits(at));
            at += 60;
        }
    }
}

proptest::proptest! {
    /// Both short ways, that of UTC and that of a zone whose clocks change nowhere near, come to the same as the
    /// walk of the original.
    #[test]
    fn the_short_ways_are_the_walk(
        minute in "[0-5]?[0-9]|\\*/7|\\*|3/20", hour in "1?[0-9]|\\*|\\*/5", day in "[12]?[1-9]|\\*|31",
        month in "[1-9]|\\*|2", week in "[0-6]|\\*", seconds in 0_i64..5_000_000_000,
        zone in "UTC|Europe/Oslo|America/Santiago|America/Sao_Paulo|Asia/Kathmandu|Asia/Beirut|Pacific/Apia|\
            Australia/Lord_Howe|Africa/Casablanca|Africa/Abidjan|America/Havana",
        near in proptest::option::of(0..20_u32),
    ) {
        let cron = Cron::parse_written(&format!("{minute} {hour} {day} {month} {week}")).unwrap();
        let zone = crate::schedule_times::zone(&zone).unwrap();
        let mut from = Timestamp::from_second(seconds).unwrap();
        // Half of them around a change of the clocks.
        if let Some((change, days)) = zone.following(from).next().zip(near) {
            from = change.timestamp() - jiff::SignedDuration::from_secs(7_201 * i64::from(days) * i64::from(days) / 2);
        }
        let crate::order::Times::Fields(fields) = cron.times else { panic!() };
        let walked = crate::schedule_times::next::by_walking(&fields, from, zone.clone());
        proptest::prop_assert_eq!(walked, next_run(&cron, from, &zone));
    }
}
