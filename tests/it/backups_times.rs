//! The runs that are shown are the runs that the harbour's Velero makes.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use proptest::prelude::*;
use refloat::order::Cron;
use refloat::schedule_times::runs;

fn field(low: u32, high: u32) -> impl Strategy<Value = String> {
    let value = low..=high;
    prop_oneof![
        4 => Just("*".to_owned()),
        1 => Just("?".to_owned()),
        4 => value.clone().prop_map(|value| value.to_string()),
        2 => (value.clone(), value.clone()).prop_map(|(one, other)| format!("{}-{}", one.min(other), one.max(other))),
        2 => (1..=7_u32).prop_map(|step| format!("*/{step}")),
        1 => (value.clone(), 1..=7_u32).prop_map(|(from, step)| format!("{from}/{step}")),
        1 => proptest::collection::vec(value, 2..4).prop_map(|values| {
            let values: Vec<String> = values.iter().map(ToString::to_string).collect();
            values.join(",")
        }),
    ]
}

fn expression() -> impl Strategy<Value = String> {
    let zone = prop_oneof![
        3 => Just(""),
        1 => Just("CRON_TZ=Europe/Oslo "),
        1 => Just("TZ=America/New_York "),
        1 => Just("CRON_TZ=Asia/Kolkata "),
        1 => Just("CRON_TZ=Australia/Sydney "),
    ];
    let times = prop_oneof![
        8 => (field(0, 59), field(0, 23), field(1, 31), field(1, 12), field(0, 6))
            .prop_map(|(minute, hour, day, month, week)| format!("{minute} {hour} {day} {month} {week}")),
        1 => prop_oneof![Just("@daily"), Just("@weekly"), Just("@monthly"), Just("@yearly"), Just("@hourly")]
            .prop_map(ToOwned::to_owned),
        1 => (1..200_000_u32).prop_map(|seconds| format!("@every {seconds}s")),
    ];
    (zone, times).prop_map(|(zone, times)| format!("{zone}{times}"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn what_is_shown_is_what_is_made(text in expression(), from in 1_700_000_000_i64..1_950_000_000) {
        let from = Timestamp::from_second(from).unwrap();
        let made = harbour::velero::runs(&text, from, 5);
        let shown = Cron::parse_written(&text)
            .map(|cron| runs(&cron, from, &TimeZone::UTC).take(5).collect::<Vec<_>>());
        match (shown, made) {
            (Ok(shown), Ok(made)) => prop_assert_eq!(shown, made),
            (Err(_), Err(_)) => {}
            (shown, made) => prop_assert!(false, "{text}: {shown:?} and {made:?}"),
        }
    }
}
