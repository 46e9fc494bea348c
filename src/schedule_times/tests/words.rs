use crate::schedule_times::read_when;

/// Plain words, and the cron that they mean.
const PHRASES: &[(&str, &str)] = &[
    // Each hour and less.
    ("every minute", "* * * * *"),
    ("every 5 minutes", "*/5 * * * *"),
    ("every 15 minutes", "*/15 * * * *"),
    ("every fifteen minutes", "*/15 * * * *"),
    ("every half hour", "*/30 * * * *"),
    ("half-hourly", "*/30 * * * *"),
    ("every quarter hour", "*/15 * * * *"),
    ("every 90 minutes", "@every 90m"),
    ("every 45 minutes", "@every 45m"),
    ("every 60 minutes", "@every 1h"),
    ("every 10 minutes on weekdays", "*/10 * * * 1-5"),
    ("hourly", "0 * * * *"),
    ("every hour", "0 * * * *"),
    ("Each hour", "0 * * * *"),
    ("once an hour", "0 * * * *"),
    ("every hour at :15", "15 * * * *"),
    ("hourly at 20 past", "20 * * * *"),
    ("hourly at minute 7", "7 * * * *"),
    ("at quarter past every hour", "15 * * * *"),
    ("every hour at half past", "30 * * * *"),
    ("every hour on weekdays", "0 * * * 1-5"),
    ("every hour from 8 to 17", "0 8-17 * * *"),
    ("every hour between 8 and 17 on weekdays", "0 8-17 * * 1-5"),
    ("every 2 hours from 08:00 to 18:00", "0 8-18/2 * * *"),
    ("every 6 hours", "0 */6 * * *"),
    ("every six hours", "0 */6 * * *"),
    ("every second hour", "0 */2 * * *"),
    ("every other hour", "0 */2 * * *"),
    ("every third hour", "0 */3 * * *"),
    ("every 6 hours starting at 1", "0 1/6 * * *"),
    ("every 6 hours starting at 01:30", "30 1/6 * * *"),
    ("every 12 hours at half past", "30 */12 * * *"),
    ("every 4 hours on Sundays", "0 */4 * * 0"),
    ("every 5 hours", "@every 5h"),
    ("every 24 hours", "@every 24h"),
    // Each day.
    ("every day at 01:00", "0 1 * * *"),
    ("every day at 1", "0 1 * * *"),
    ("every day at 1am", "0 1 * * *"),
    ("every day at 1:30 pm", "30 13 * * *"),
    ("every day at 13.30", "30 13 * * *"),
    ("every day at 0130", "30 1 * * *"),
    ("every day at three o'clock", "0 3 * * *"),
    ("every day at half past three", "30 3 * * *"),
    ("every day at a quarter to 4", "45 3 * * *"),
    ("every day at 10 past 3", "10 3 * * *"),
    ("every day at noon", "0 12 * * *"),
    ("every day at midnight", "0 0 * * *"),
    ("every day at 12 am", "0 0 * * *"),
    ("every day", "0 0 * * *"),
    ("daily", "0 0 * * *"),
    ("daily at 02:15", "15 2 * * *"),
    ("Daily, at 02:15.", "15 2 * * *"),
    ("once a day at 4", "0 4 * * *"),
    ("each day at 23:59", "59 23 * * *"),
    ("at 3 every day", "0 3 * * *"),
    ("03:00 daily", "0 3 * * *"),
    ("every night at 3", "0 3 * * *"),
    ("every night at 11", "0 23 * * *"),
    ("nightly", "0 0 * * *"),
    ("nightly at 2", "0 2 * * *"),
    ("every morning at 6", "0 6 * * *"),
    ("every afternoon at 2", "0 14 * * *"),
    ("every evening at 8", "0 20 * * *"),
    ("at 10 in the evening every day", "0 22 * * *"),
    ("every day at 06:00 and 18:00", "0 6,18 * * *"),
    ("every day at 1, 7 and 13", "0 1,7,13 * * *"),
    ("every day at 6, 7, and 8", "0 6-8 * * *"),
    (
        "every day at 01:00, 01:30, 13:00 and 13:30",
        "0,30 1,13 * * *",
    ),
    ("twice a day at 6 and 18", "0 6,18 * * *"),
    ("every day except Sundays at 2", "0 2 * * 1-6"),
    ("daily at 2 but not on weekends", "0 2 * * 1-5"),
    ("every day in December at 3", "0 3 * 12 *"),
    ("every 2 days", "@every 48h"),
    // Days of the week.
    ("Sundays 03:30", "30 3 * * 0"),
    ("on Sundays at 03:30", "30 3 * * 0"),
    ("every Sunday at 3:30", "30 3 * * 0"),
    ("Sunday", "0 0 * * 0"),
    ("weekly", "0 0 * * 0"),
    ("every week", "0 0 * * 0"),
    ("weekly on Friday at 4", "0 4 * * 5"),
    ("once a week on Saturday at 22:00", "0 22 * * 6"),
    ("Mondays and Thursdays at 2", "0 2 * * 1,4"),
    ("mon, wed and fri at 05:00", "0 5 * * 1,3,5"),
    ("Mon-Fri at 22:00", "0 22 * * 1-5"),
    ("Monday to Friday at 22:00", "0 22 * * 1-5"),
    ("Friday through Monday at 4", "0 4 * * 0,1,5,6"),
    ("every weekday at 6", "0 6 * * 1-5"),
    ("weekdays at 06:30", "30 6 * * 1-5"),
    ("working days at 7", "0 7 * * 1-5"),
    ("weekends at 5", "0 5 * * 0,6"),
    ("twice a week on Tuesdays and Fridays at 1", "0 1 * * 2,5"),
    ("every 2 weeks", "@every 336h"),
    // Days of the month.
    ("first of the month", "0 0 1 * *"),
    ("the first of the month at 04:00", "0 4 1 * *"),
    ("on the first day of each month at 4", "0 4 1 * *"),
    ("every 1st of the month at 4", "0 4 1 * *"),
    ("every first day of the month", "0 0 1 * *"),
    ("monthly", "0 0 1 * *"),
    ("every month", "0 0 1 * *"),
    ("monthly on the 15th at 02:00", "0 2 15 * *"),
    ("once a month on the 28th", "0 0 28 * *"),
    ("1st and 15th at 3", "0 3 1,15 * *"),
    ("on the 1st and 15th of every month at 3 am", "0 3 1,15 * *"),
    ("day 10 of every month at 01:00", "0 1 10 * *"),
    ("days 1, 10 and 20 of the month at 6", "0 6 1,10,20 * *"),
    ("every 3 months", "0 0 1 */3 *"),
    ("quarterly", "0 0 1 */3 *"),
    ("every quarter on the 2nd at 5", "0 5 2 */3 *"),
    ("every 6 months", "0 0 1 */6 *"),
    ("half-yearly", "0 0 1 */6 *"),
    // Dates.
    ("yearly", "0 0 1 1 *"),
    ("every year", "0 0 1 1 *"),
    ("annually on 24 December at 20:00", "0 20 24 12 *"),
    ("every year on March 1 at 2", "0 2 1 3 *"),
    ("January 1st at 3", "0 3 1 1 *"),
    ("on the 1st of January and July at 3", "0 3 1 1,7 *"),
    // Zones.
    (
        "every day at 01:00 Europe/Oslo",
        "CRON_TZ=Europe/Oslo 0 1 * * *",
    ),
    (
        "Sundays 03:30 in Europe/Oslo",
        "CRON_TZ=Europe/Oslo 30 3 * * 0",
    ),
    (
        "every day at 01:00 in Europe/Oslo time",
        "CRON_TZ=Europe/Oslo 0 1 * * *",
    ),
    ("every day at 01:00 UTC", "0 1 * * *"),
    // And cron stays cron.
    ("0 1 * * *", "0 1 * * *"),
    (" @daily ", "@daily"),
    ("@every 6h", "@every 6h"),
    ("TZ=UTC @weekly", "TZ=UTC @weekly"),
];

/// What is not understood, or means more than one thing, or what cron cannot say.
const REFUSED: &[&str] = &[
    "",
    " ",
    "sometimes",
    "whenever you like",
    "every",
    "every day at",
    "at",
    "at 3",
    "03:30",
    "3",
    "every 6",
    "6 hours",
    "every blue moon",
    "every day at 25:00",
    "every day at 24:00",
    "every day at 7:60",
    "every day at 13 pm",
    "every day at 0 am",
    "every day at teatime",
    "every morning",
    "every evening",
    "every night at 6",
    "every morning at 14:00",
    "every night at 10:00",
    "Sundays 3",
    "sundayish",
    "first Sunday of the month",
    "last day of the month",
    "every other Sunday",
    "every 2 days at 01:00",
    "every other week on Monday",
    "every fortnight",
    "fortnightly",
    "biweekly",
    "bimonthly",
    "every day at 01:00 and 13:30",
    "twice a day",
    "twice a day at 6",
    "every 5 hours from 1 to 2",
    "every 5 hours on Mondays",
    "every 7 minutes on Mondays",
    "every 15 minutes from 8 to 17",
    "on the 32nd",
    "on the 0th",
    "31 December and 1 January",
    "in January at 3",
    "day 15 on Mondays at 3",
    "the 1st on Mondays",
    "every 5 months",
    "every 2 years",
    "every 0 hours",
    "every day every hour",
    "every day at 3 Nowhere/Else",
    "every day at 3 europe/oslo",
    "every day at 3 Europe/Oslo Europe/Rome",
    "every day at 3 local",
    "and",
    "every day and",
    "and every day",
    "every day at 3 please now",
    "every hour at 60 past",
    "every 1.5 hours",
    "every day except",
    "every day except everything",
    "every Monday from 8 to 17",
    "every hour from 17 to 8",
    "every hour from 8",
    "evry day",
    "every dya",
    "\u{202e}every day",
    "every day at \u{661}",
    "60 * * * *",
    "0 1 * * 7",
    "* * *",
    "0 1 L * *",
    "@noon",
    "CRON_TZ=Nowhere 0 1 * * *",
    "1 2 3 4",
    "'); drop table",
    "every day at 3; rm -rf /",
];

#[test]
fn plain_words_mean_cron() {
    assert!(PHRASES.len() >= 80, "{}", PHRASES.len());
    let wrong: Vec<String> = PHRASES
        .iter()
        .filter_map(|(phrase, cron)| match read_when(phrase) {
            Ok(read) if read.to_string() == *cron => None,
            Ok(read) => Some(format!("{phrase}: {read}, not {cron}")),
            Err(error) => Some(format!("{phrase}: {error}")),
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_is_not_understood_is_said_with_three_examples() {
    let mut guessed = Vec::new();
    for phrase in REFUSED {
        match read_when(phrase) {
            Ok(cron) => guessed.push(format!("{phrase}: {cron}")),
            Err(error) => {
                let words = error.to_string();
                assert!(
                    words.ends_with(
                        "for example `0 1 * * *`, `every day at 01:00` or `Sundays 03:30`"
                    ) && !words.contains('\n'),
                    "{words}"
                );
            }
        }
    }
    assert!(guessed.is_empty(), "{}", guessed.join("\n"));
}

#[test]
fn the_examples_are_understood() {
    for example in super::super::EXAMPLES.split('`').skip(1).step_by(2) {
        read_when(example).unwrap();
    }
}

#[test]
fn refusals_read_well() {
    let say = |text: &str| read_when(text).unwrap_err().to_string();
    insta::assert_snapshot!(say("evry day at 3"), @"`evry day at 3` does not say when: `evry` is unknown here, did you mean `every`? Write cron or plain words, for example `0 1 * * *`, `every day at 01:00` or `Sundays 03:30`");
    insta::assert_snapshot!(say("first sunday of the month"), @"`first sunday of the month` does not say when: cron cannot say which week of the month a day of the week is in; name the day of the month, such as `on the 1st`. Write cron or plain words, for example `0 1 * * *`, `every day at 01:00` or `Sundays 03:30`");
    insta::assert_snapshot!(say("every day at 01:00 and 13:30"), @"`every day at 01:00 and 13:30` does not say when: cron can only join times that share their minute, such as `01:30 and 13:30`; use a schedule for each. Write cron or plain words, for example `0 1 * * *`, `every day at 01:00` or `Sundays 03:30`");
    insta::assert_snapshot!(say("0 1 * * 7"), @"`0 1 * * 7` does not say when: day of week `7`: 7 is above the highest, 6. Write cron or plain words, for example `0 1 * * *`, `every day at 01:00` or `Sundays 03:30`");
    insta::assert_snapshot!(say("at 3"), @"`at 3` does not say when: the days are missing, such as `every day` or `Sundays`. Write cron or plain words, for example `0 1 * * *`, `every day at 01:00` or `Sundays 03:30`");
    insta::assert_snapshot!(say("every night at 6"), @"`every night at 6` does not say when: 6 is not clear at that part of the day; write it on a 24-hour clock, such as `22:00`. Write cron or plain words, for example `0 1 * * *`, `every day at 01:00` or `Sundays 03:30`");
    insta::assert_snapshot!(say("every day at 3 europe/oslo"), @"`every day at 3 europe/oslo` does not say when: there is no time zone `europe/oslo`, did you mean `Europe/Oslo`? Write cron or plain words, for example `0 1 * * *`, `every day at 01:00` or `Sundays 03:30`");
}

proptest::proptest! {
    /// Whatever is typed, the answer is cron that Velero takes, or a sentence.
    #[test]
    fn nothing_panics(words in proptest::collection::vec("every|at|on|the|first|1|3|15|30|day|days|hours|hour|minutes|past|to|half|quarter|sunday|monday|and|,|from|between|twice|a|of|month|january|night|am|pm|:15|3:30|except|starting|UTC|Europe/Oslo|[a-z]{1,6}|[0-9]{1,7}", 0..9)) {
        let text = words.join(" ");
        if let Ok(cron) = read_when(&text) {
            crate::order::Cron::parse_written(&cron.to_string()).unwrap();
        }
    }

    #[test]
    fn nothing_panics_on_anything(text in ".{0,60}") {
        let _ = read_when(&text);
    }
}
