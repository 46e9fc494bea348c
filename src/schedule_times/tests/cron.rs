//! The dialect of robfig/cron v3's standard parser, taken from its documented rules: five fields, `*` and `?`,
//! ranges, lists, steps, names in any case, descriptors, `@every`, and `CRON_TZ=` or `TZ=`.

use crate::order::Cron;

/// Accepted, with the first run after Wednesday 2026-11-25 at 10:20:30 UTC; `-` where it never runs.
const ACCEPTED: &[(&str, &str)] = &[
    ("* * * * *", "2026-11-25T10:21:00Z"),
    ("0 1 * * *", "2026-11-26T01:00:00Z"),
    ("00 01 * * *", "2026-11-26T01:00:00Z"),
    ("+5 +1 * * *", "2026-11-26T01:05:00Z"),
    ("*/15 * * * *", "2026-11-25T10:30:00Z"),
    ("5/15 * * * *", "2026-11-25T10:35:00Z"),
    ("20 * * * *", "2026-11-25T11:20:00Z"),
    ("0-59/20 * * * *", "2026-11-25T10:40:00Z"),
    ("10-30/10 * * * *", "2026-11-25T10:30:00Z"),
    ("*/60 * * * *", "2026-11-25T11:00:00Z"),
    ("59/30 * * * *", "2026-11-25T10:59:00Z"),
    ("*/99999999999 * * * *", "2026-11-25T11:00:00Z"),
    ("1,2,3 * * * *", "2026-11-25T11:01:00Z"),
    ("1,,2 * * * *", "2026-11-25T11:01:00Z"),
    (",30, * * * *", "2026-11-25T10:30:00Z"),
    ("30,10-12,*/59 * * * *", "2026-11-25T10:30:00Z"),
    ("5-5 * * * *", "2026-11-25T11:05:00Z"),
    ("0 */6 * * *", "2026-11-25T12:00:00Z"),
    ("0 1/6 * * *", "2026-11-25T13:00:00Z"),
    ("0 8-18/2 * * *", "2026-11-25T12:00:00Z"),
    ("0 23-23 * * *", "2026-11-25T23:00:00Z"),
    ("0 0 ? * ?", "2026-11-26T00:00:00Z"),
    ("? ? ? ? ?", "2026-11-25T10:21:00Z"),
    ("0 0 * * SUN", "2026-11-29T00:00:00Z"),
    ("0 0 * * 0", "2026-11-29T00:00:00Z"),
    ("0 0 * * sUn", "2026-11-29T00:00:00Z"),
    ("0 2 ? * MON-FRI", "2026-11-26T02:00:00Z"),
    ("0 2 * * mon,Wed,6", "2026-11-28T02:00:00Z"),
    ("0 0 * * 0-6/2", "2026-11-26T00:00:00Z"),
    ("0 0 * * 4/1", "2026-11-26T00:00:00Z"),
    ("0 0 1 JAN *", "2027-01-01T00:00:00Z"),
    ("0 0 1 jan-mar *", "2027-01-01T00:00:00Z"),
    ("0 0 1 Dec,jun *", "2026-12-01T00:00:00Z"),
    ("0 0 1 */3 *", "2027-01-01T00:00:00Z"),
    ("0 0 1 2/5 *", "2026-12-01T00:00:00Z"),
    ("0 0 31 * *", "2026-12-31T00:00:00Z"),
    ("0 0 29 2 *", "2028-02-29T00:00:00Z"),
    // A day in either set counts, unless one of them is a star.
    ("0 0 1 * FRI", "2026-11-27T00:00:00Z"),
    ("0 0 26 * FRI", "2026-11-26T00:00:00Z"),
    ("0 0 */2 * FRI", "2026-11-27T00:00:00Z"),
    ("0 0 */1 * FRI", "2026-11-27T00:00:00Z"),
    ("0 0 1 * */1", "2026-12-01T00:00:00Z"),
    ("0 0 */31 * FRI", "2026-11-27T00:00:00Z"),
    ("0 0 31 2 1", "2027-02-01T00:00:00Z"),
    ("*-5 * * * *", "2026-11-25T10:21:00Z"),
    ("  0  1\t* * *  ", "2026-11-26T01:00:00Z"),
    ("@yearly", "2027-01-01T00:00:00Z"),
    ("@annually", "2027-01-01T00:00:00Z"),
    ("@monthly", "2026-12-01T00:00:00Z"),
    ("@weekly", "2026-11-29T00:00:00Z"),
    ("@daily", "2026-11-26T00:00:00Z"),
    ("@midnight", "2026-11-26T00:00:00Z"),
    ("@hourly", "2026-11-25T11:00:00Z"),
    ("@every 6h", "2026-11-25T16:20:30Z"),
    ("@every 1h30m10s", "2026-11-25T11:50:40Z"),
    // Whole seconds: down, and up to one.
    ("@every 1.5s", "2026-11-25T10:20:31Z"),
    ("@every 500ms", "2026-11-25T10:20:31Z"),
    ("@every -1h", "2026-11-25T10:20:31Z"),
    ("@every 0", "2026-11-25T10:20:31Z"),
    ("CRON_TZ=Europe/Oslo 0 1 * * *", "2026-11-26T00:00:00Z"),
    ("TZ=America/New_York 0 1 * * *", "2026-11-26T06:00:00Z"),
    ("CRON_TZ=Asia/Kolkata @daily", "2026-11-25T18:30:00Z"),
    ("TZ=UTC 0 1 * * *", "2026-11-26T01:00:00Z"),
    ("TZ= 0 1 * * *", "2026-11-26T01:00:00Z"),
    ("TZ=Local 0 1 * * *", "2026-11-26T01:00:00Z"),
    ("CRON_TZ=Europe/Oslo @every 1h", "2026-11-25T11:20:30Z"),
    // Taken, though no such moment comes.
    ("0 0 30 2 *", "-"),
    ("0 0 31 4,6,9,11 *", "-"),
    (", * * * *", "-"),
];

const REFUSED: &[&str] = &[
    "",
    " ",
    "0",
    "0 1 * *",
    "0 1 * * * *",
    "0 0 1 * * *",
    "60 * * * *",
    "* 24 * * *",
    "0 0 0 * *",
    "0 0 32 * *",
    "0 0 * 0 *",
    "0 0 * 13 *",
    "0 1 * * 7",
    "0 1 * * 0-7",
    "0 1 * * 5-1",
    "5-1 * * * *",
    "1-2-3 * * * *",
    "-1 * * * *",
    "1- * * * *",
    "*/0 * * * *",
    "*/-5 * * * *",
    "*/5/2 * * * *",
    "*/ * * * *",
    "/5 * * * *",
    "*5 * * * *",
    "** * * * *",
    "a * * * *",
    "jan * * * *",
    "0 0 L * *",
    "0 0 15W * *",
    "0 0 * * 5L",
    "0 0 * * 1#2",
    "0 0 * * monday",
    "0 0 * january *",
    "0 0 * * mo",
    "1.5 * * * *",
    "0x1 * * * *",
    "1_0 * * * *",
    "1e1 * * * *",
    "0 1 * * 99999999999999999999",
    "0 1 * * *;",
    "@",
    "@noon",
    "@Daily",
    "@DAILY",
    "@reboot",
    "@daily now",
    "@every",
    "@every ",
    "@every 7d",
    "@every 6",
    "@every h",
    "@every 1h 2m",
    "@every six hours",
    "@every 99999999h",
    "TZ=Europe/Oslo",
    "CRON_TZ=UTC",
    "TZ=Nowhere/Else 0 1 * * *",
    "TZ=europe/oslo 0 1 * * *",
    "TZ=../../etc/passwd 0 1 * * *",
    "CRON_TZ=UTC TZ=UTC 0 1 * * *",
    "0 TZ=UTC 1 * *",
    "tz=UTC 0 1 * * *",
    "CRONTZ=UTC 0 1 * * *",
    "0 1 * * \u{660}",
    "0 1 \u{2217} * *",
    "\"0 1 * * *\"",
];

#[test]
fn agrees_with_the_standard_parser() {
    assert!(ACCEPTED.len() + REFUSED.len() >= 60 && ACCEPTED.len() >= 60);
    let after = "2026-11-25T10:20:30.7Z".parse().unwrap();
    let mut wrong = Vec::new();
    for (text, expected) in ACCEPTED {
        match Cron::parse_written(text) {
            Err(error) => wrong.push(error.to_string()),
            Ok(cron) => {
                let next = crate::schedule_times::next_run(&cron, after, &jiff::tz::TimeZone::UTC);
                let next = next.map_or_else(|| "-".to_owned(), |next| next.to_string());
                if next != *expected {
                    wrong.push(format!("{text}: {next}, not {expected}"));
                }
            }
        }
    }
    wrong.extend(
        REFUSED
            .iter()
            .filter(|text| Cron::parse_written(text).is_ok())
            .map(|text| format!("{text} is taken")),
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_never_runs_is_not_ordered() {
    for text in [
        "0 0 30 2 *",
        ", * * * *",
        "@every 500ms",
        "@every -5h",
        "0 0 31 9 *",
    ] {
        assert!(Cron::parse(text).is_err(), "{text}");
    }
    assert!(Cron::parse("@every 1s").is_ok());
    assert!(Cron::parse("0 0 29 2 *").is_ok());
}
