//! Which day's backup is meant.

use std::fmt;
use std::str::FromStr;

use jiff::civil::{Date, Time, Weekday};
use serde::{Deserialize, Serialize};

use crate::meant::meant;
use crate::value::{ValueError, as_string};

/// Which day's backup is meant, as a person says it.
///
/// Reads `latest`, `today`, `yesterday`, a weekday (`tuesday`, `tue`), or a date (`2026-11-20`), the last four
/// with a time of day if wanted (`yesterday 03:30`, `2026-11-20 at 03:30`, `2026-11-20T03:30`). `Display` gives
/// back what parsing takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Day {
    /// The newest good backup, whatever its day.
    Latest,
    /// A day, and a time on it if one was given.
    On {
        /// The day.
        day: CalendarDay,
        /// The time of day, to the minute, in the zone of the person or the schedule: the caller's choice.
        at: Option<Time>,
    },
}
as_string!(Day);

/// A day relative to today, or by its date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CalendarDay {
    /// Today.
    Today,
    /// The day before today.
    Yesterday,
    /// The most recent such day before today.
    Weekday(Weekday),
    /// By date.
    Date(Date),
}

/// A day and perhaps a time on it, in local civil time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Moment {
    /// The day.
    pub date: Date,
    /// The time of day, to the minute.
    pub time: Option<Time>,
}

impl Day {
    /// What the day is when today is `today`; nothing for `latest`, which is any day.
    ///
    /// A weekday is the most recent one before today, never today. A date may lie in the future: the caller
    /// finds no backup there.
    pub fn range(self, today: Date) -> Option<Moment> {
        let Self::On { day, at } = self else {
            return None;
        };
        let back = |days: i32| today.saturating_sub(jiff::Span::new().days(days));
        let date = match day {
            CalendarDay::Today => today,
            CalendarDay::Yesterday => back(1),
            CalendarDay::Weekday(weekday) => match weekday.until(today.weekday()) {
                0 => back(7),
                days => back(days.into()),
            },
            CalendarDay::Date(date) => date,
        };
        Some(Moment { date, time: at })
    }
}

/// The fixed words for a day, each with what it means: what completion offers.
pub(crate) const WORDS: [(&str, &str); 10] = [
    ("latest", "The newest good backup"),
    ("today", "A backup of today"),
    ("yesterday", "A backup of yesterday"),
    ("monday", "A backup of the last Monday before today"),
    ("tuesday", "A backup of the last Tuesday before today"),
    ("wednesday", "A backup of the last Wednesday before today"),
    ("thursday", "A backup of the last Thursday before today"),
    ("friday", "A backup of the last Friday before today"),
    ("saturday", "A backup of the last Saturday before today"),
    ("sunday", "A backup of the last Sunday before today"),
];

const WEEKDAYS: [(&str, Weekday); 7] = [
    ("monday", Weekday::Monday),
    ("tuesday", Weekday::Tuesday),
    ("wednesday", Weekday::Wednesday),
    ("thursday", Weekday::Thursday),
    ("friday", Weekday::Friday),
    ("saturday", Weekday::Saturday),
    ("sunday", Weekday::Sunday),
];

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Latest => f.write_str("latest"),
            Self::On { day, at: None } => day.fmt(f),
            Self::On { day, at: Some(at) } => {
                write!(f, "{day} {:02}:{:02}", at.hour(), at.minute())
            }
        }
    }
}

impl fmt::Display for CalendarDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Today => f.write_str("today"),
            Self::Yesterday => f.write_str("yesterday"),
            Self::Weekday(weekday) => {
                let name = WEEKDAYS.iter().find(|(_, day)| day == weekday);
                f.write_str(name.map_or("", |(name, _)| name))
            }
            Self::Date(date) => date.fmt(f),
        }
    }
}

impl FromStr for Day {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let lower = text.to_lowercase();
        let mut words = lower
            .split_whitespace()
            .filter(|&word| word != "at")
            .collect::<Vec<_>>();
        // `2026-11-20T03:30`
        if let [only] = words.as_slice()
            && let Some((date, time)) = only.split_once('t')
            && date.starts_with(|c: char| c.is_ascii_digit())
        {
            words = vec![date, time];
        }
        match words.as_slice() {
            [] => Err(wrong("it is empty")),
            ["latest"] => Ok(Self::Latest),
            ["latest", _] => Err(wrong("`latest` has no time of day")),
            [day] => Ok(Self::On {
                day: calendar_day(day)?,
                at: None,
            }),
            [day, time] => Ok(Self::On {
                day: calendar_day(day)?,
                at: Some(time_of_day(time)?),
            }),
            _ => Err(wrong("there are too many words")),
        }
    }
}

fn calendar_day(word: &str) -> Result<CalendarDay, ValueError> {
    match word {
        "today" => return Ok(CalendarDay::Today),
        "yesterday" => return Ok(CalendarDay::Yesterday),
        _ => {}
    }
    if let Some((_, weekday)) = WEEKDAYS.iter().find(|(name, _)| {
        *name == word || (word.len() >= 3 && word.len() <= 5 && name.starts_with(word))
    }) {
        return Ok(CalendarDay::Weekday(*weekday));
    }
    if let Some(date) = date(word) {
        return date.map(CalendarDay::Date);
    }
    let why = match meant(word, WORDS.map(|(word, _)| word)) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => "it is no day".to_owned(),
    };
    Err(wrong(&why))
}

/// A date if the word has the shape of one: four digits, two and two.
fn date(word: &str) -> Option<Result<Date, ValueError>> {
    let [year, month, day] = word.split('-').collect::<Vec<_>>().try_into().ok()?;
    let number = |text: &str, digits: usize| {
        let fits = text.len() == digits && text.bytes().all(|b| b.is_ascii_digit());
        fits.then(|| text.parse::<i16>().ok()).flatten()
    };
    let (year, month, day) = (number(year, 4)?, number(month, 2)?, number(day, 2)?);
    let date = Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?);
    Some(date.map_err(|_| wrong("there is no such date")))
}

fn time_of_day(word: &str) -> Result<Time, ValueError> {
    let number = |text: &str| {
        let fits = (1..=2).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        fits.then(|| text.parse::<i8>().ok()).flatten()
    };
    let time = word.split_once(':').filter(|(_, minute)| minute.len() == 2);
    time.and_then(|(hour, minute)| Time::new(number(hour)?, number(minute)?, 0, 0).ok())
        .ok_or_else(|| {
            wrong("the time of day is not one, which is hours and minutes as in `03:30`")
        })
}

fn wrong(why: &str) -> ValueError {
    ValueError::new(
        why,
        "A day is `latest`, `today`, `yesterday`, a weekday, or a date as year-month-day, for example `2026-11-20` or \
         `2026-11-20 03:30`",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    #[test]
    fn display_gives_back_what_parse_takes() {
        for (text, canonical) in [
            ("latest", "latest"),
            ("Today", "today"),
            ("yesterday", "yesterday"),
            ("yesterday 03:30", "yesterday 03:30"),
            ("yesterday at 3:30", "yesterday 03:30"),
            ("TUESDAY", "tuesday"),
            ("tue", "tuesday"),
            ("thurs 23:59", "thursday 23:59"),
            ("2026-11-20", "2026-11-20"),
            ("2026-11-20T03:30", "2026-11-20 03:30"),
            ("2024-02-29 00:00", "2024-02-29 00:00"),
        ] {
            let day: Day = text
                .parse()
                .unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(day.to_string(), canonical);
            assert_eq!(canonical.parse::<Day>().unwrap(), day);
        }
        for (_, weekday) in WEEKDAYS {
            let day = Day::On {
                day: CalendarDay::Weekday(weekday),
                at: None,
            };
            assert_eq!(day.to_string().parse::<Day>().unwrap(), day);
        }
    }

    #[test]
    fn refuses_what_is_no_day() {
        for text in [
            "",
            "t",
            "tu",
            "20.11.2026",
            "2026-02-29",
            "2026-13-01",
            "2026-1-1",
            "26-11-20",
            "today 24:00",
            "today 3",
            "today 3:5",
            "latest 03:30",
            "today 03:30 x",
            "tomorrow",
            "-2026-11-20",
            "2026-11-20t",
            "2026-11-٢٠",
        ] {
            assert!(text.parse::<Day>().is_err(), "{text}");
        }
        insta::assert_snapshot!("yesteday".parse::<Day>().unwrap_err(), @"did you mean `yesterday`? A day is `latest`, `today`, `yesterday`, a weekday, or a date as year-month-day, for example `2026-11-20` or `2026-11-20 03:30`");
        insta::assert_snapshot!("2026-02-29".parse::<Day>().unwrap_err(), @"there is no such date. A day is `latest`, `today`, `yesterday`, a weekday, or a date as year-month-day, for example `2026-11-20` or `2026-11-20 03:30`");
        insta::assert_snapshot!("today 25:00".parse::<Day>().unwrap_err(), @"the time of day is not one, which is hours and minutes as in `03:30`. A day is `latest`, `today`, `yesterday`, a weekday, or a date as year-month-day, for example `2026-11-20` or `2026-11-20 03:30`");
    }

    #[test]
    fn a_weekday_is_the_last_one_before_today() {
        // A Tuesday.
        let today = date(2026, 11, 24);
        let on = |text: &str| {
            text.parse::<Day>()
                .unwrap()
                .range(today)
                .map(|moment| moment.date)
        };
        assert_eq!(on("today"), Some(today));
        assert_eq!(on("yesterday"), Some(date(2026, 11, 23)));
        assert_eq!(on("monday"), Some(date(2026, 11, 23)));
        assert_eq!(on("tuesday"), Some(date(2026, 11, 17)));
        assert_eq!(on("wednesday"), Some(date(2026, 11, 18)));
        assert_eq!(on("sunday"), Some(date(2026, 11, 22)));
        assert_eq!(on("2027-01-01"), Some(date(2027, 1, 1)));
        assert_eq!(on("latest"), None);
        let at = "monday 03:30".parse::<Day>().unwrap().range(today).unwrap();
        assert_eq!(at.time, Some(jiff::civil::time(3, 30, 0, 0)));
    }

    #[test]
    fn the_first_day_of_the_calendar_has_no_day_before_it() {
        let yesterday = "yesterday"
            .parse::<Day>()
            .unwrap()
            .range(Date::MIN)
            .unwrap();
        assert_eq!(yesterday.date, Date::MIN);
    }
}
