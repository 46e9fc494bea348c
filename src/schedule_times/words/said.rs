//! What is said, word by word.

use super::clock::{self, Clock};
use super::tokens::{Token, month, number, ordinal, weekday};

/// The parts of a schedule that were named.
#[derive(Debug, Default)]
pub(super) struct Said {
    /// Every so many of a unit.
    pub(super) step: Option<(u32, Unit)>,
    /// How often in that unit, as in "twice a day".
    pub(super) count: Option<u32>,
    pub(super) times: Vec<Clock>,
    /// So many minutes past each hour.
    pub(super) past: Option<u32>,
    pub(super) part: Option<Part>,
    /// 0 for Sunday.
    pub(super) weekdays: Vec<u32>,
    pub(super) except: Vec<u32>,
    pub(super) days: Vec<u32>,
    pub(super) months: Vec<u32>,
    /// From one hour to another.
    pub(super) window: Option<(u32, u32)>,
    /// The hour that counting begins with.
    pub(super) start: Option<Clock>,
    pub(super) zone: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Year,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Morning,
    Afternoon,
    Evening,
    Night,
}

const FORTNIGHT: &str = "cron cannot count in weeks of two; name the days of the month instead, such as \
                         `on the 1st and 15th`";

pub(super) fn read(tokens: &[Token]) -> Result<Said, String> {
    let mut reader = Reader {
        tokens,
        at: 0,
        said: Said::default(),
    };
    while reader.at < tokens.len() {
        reader.item()?;
    }
    match tokens.first().zip(tokens.last()) {
        None => Err("it is empty".to_owned()),
        Some((first, last)) if *first == Token::And || *last == Token::And => {
            Err("something is missing beside `and`".to_owned())
        }
        Some(_) => Ok(reader.said),
    }
}

struct Reader<'t> {
    tokens: &'t [Token],
    at: usize,
    said: Said,
}

impl Reader<'_> {
    /// The word so many places on; empty where there is none.
    fn word(&self, ahead: usize) -> &str {
        self.tokens
            .get(self.at + ahead)
            .and_then(Token::word)
            .unwrap_or_default()
    }

    /// Reads whatever comes next.
    fn item(&mut self) -> Result<(), String> {
        match self.tokens.get(self.at) {
            None | Some(Token::And) => {
                self.at += 1;
                return Ok(());
            }
            Some(Token::Zone(zone)) => {
                once(&mut self.said.zone, zone.clone(), "a time zone")?;
                self.at += 1;
                return Ok(());
            }
            Some(Token::Word(_)) => {}
        }
        match self.word(0) {
            "every" | "each" => return self.every(),
            "at" | "@" => return self.at_time(),
            "on" | "the" | "of" | "in" | "during" | "time" | "once" if self.leads_on() => {
                if self.word(0) == "once" {
                    once(&mut self.said.count, 1, "a number of times")?;
                }
                self.at += 1;
                return Ok(());
            }
            "a" | "an" | "per" if self.said.count.is_some() => {
                if let Some(unit) = unit(self.word(1)) {
                    self.at += 2;
                    return self.step(1, unit);
                }
            }
            "twice" => {
                once(&mut self.said.count, 2, "a number of times")?;
                self.at += 1;
                return Ok(());
            }
            "except" | "but" => return self.except(),
            "from" | "between" => return self.window(),
            "starting" | "beginning" => return self.start(),
            "last" => {
                return Err(
                    "cron knows no last day of a month; `on the 28th` is in every month".to_owned(),
                );
            }
            "biweekly" | "bimonthly" | "semiweekly" | "bi" => {
                return Err(format!("`{}` has two meanings", self.word(0)));
            }
            "fortnightly" => return Err(FORTNIGHT.to_owned()),
            _ => {}
        }
        if self.adverb()?
            || self.day_of_month()?
            || self.weekdays()
            || self.calendar()?
            || self.part()?
        {
            return Ok(());
        }
        if let Some((clock, taken)) = clock::read(self.rest(), false)? {
            self.at += taken;
            return self.times(clock);
        }
        Err(unknown(self.word(0)))
    }

    fn rest(&self) -> &[Token] {
        self.tokens.get(self.at..).unwrap_or_default()
    }

    /// Is there something that a small word can lead on to?
    fn leads_on(&self) -> bool {
        self.at + 1 < self.tokens.len() || self.word(0) == "time" || self.word(0) == "once"
    }

    fn step(&mut self, count: u32, unit: Unit) -> Result<(), String> {
        if count == 0 {
            return Err("every 0 is never".to_owned());
        }
        once(&mut self.said.step, (count, unit), "`every`")?;
        Ok(())
    }

    fn every(&mut self) -> Result<(), String> {
        self.at += 1;
        let word = self.word(0).to_owned();
        let (count, taken) = match word.as_str() {
            "other" => (2, 1),
            "half" if unit(self.word(1)) == Some(Unit::Hour) => {
                self.at += 2;
                return self.step(30, Unit::Minute);
            }
            "quarter" if self.word(1) == "hour" => {
                self.at += 2;
                return self.step(15, Unit::Minute);
            }
            "quarter" => {
                self.at += 1;
                return self.step(3, Unit::Month);
            }
            "fortnight" => return Err(FORTNIGHT.to_owned()),
            "single" => (1, 1),
            // `every first of the month` names a day; `every second hour` counts.
            other => match (number(other), ordinal(other), unit(self.word(1))) {
                (Some(count), _, Some(_)) => (count, 1),
                (_, Some(count), Some(of)) if !(of == Unit::Day && self.word(2) == "of") => {
                    (count, 1)
                }
                (Some(_), _, _) => {
                    return Err(format!(
                        "after `every {other}` a unit is missing, such as `hours`"
                    ));
                }
                _ => (1, 0),
            },
        };
        if count != 1 && weekday(self.word(taken)).is_some() {
            return Err(FORTNIGHT.to_owned());
        }
        if let Some(unit) = unit(self.word(taken)) {
            self.at += taken + 1;
            return self.step(count, unit);
        }
        if taken > 0 {
            return Err(unknown(self.word(taken)));
        }
        // `every Sunday`, `every night`, `every 1st of the month`: what follows is read as it stands.
        let before = self.at;
        if self.day_of_month()? || self.weekdays() || self.part()? || self.calendar()? {
            return Ok(());
        }
        self.at = before;
        Err(match self.word(0) {
            "" => "after `every` something is missing".to_owned(),
            other => unknown(other),
        })
    }

    fn adverb(&mut self) -> Result<bool, String> {
        let (count, unit) = match self.word(0) {
            "hourly" => (1, Unit::Hour),
            "daily" => (1, Unit::Day),
            "nightly" => {
                once(&mut self.said.part, Part::Night, "a part of the day")?;
                (1, Unit::Day)
            }
            "weekly" => (1, Unit::Week),
            "monthly" => (1, Unit::Month),
            "quarterly" => (3, Unit::Month),
            "yearly" | "annually" => (1, Unit::Year),
            "half" if self.word(1) == "hourly" => {
                self.at += 1;
                (30, Unit::Minute)
            }
            "half" if matches!(self.word(1), "yearly") => {
                self.at += 1;
                (6, Unit::Month)
            }
            _ => return Ok(false),
        };
        self.at += 1;
        self.step(count, unit)?;
        Ok(true)
    }

    /// After `at`: times of day, or minutes past each hour.
    fn at_time(&mut self) -> Result<(), String> {
        self.at += 1;
        if self.word(0) == "the" {
            self.at += 1;
        }
        let minutes = match self.word(0) {
            "top" if self.word(1) == "of" => {
                self.at += 2;
                self.skip_the_hour();
                Some(0)
            }
            "minute" => {
                self.at += 1;
                number(self.word(0))
            }
            "night" => {
                self.part()?;
                return Ok(());
            }
            "quarter" if self.word(1) == "past" && number(self.word(2)).is_none() => {
                self.at += 1;
                Some(15)
            }
            "half" if self.word(1) == "past" && number(self.word(2)).is_none() => {
                self.at += 1;
                Some(30)
            }
            word => match word.strip_prefix(':') {
                Some(minutes) => number(minutes),
                None => number(word).filter(|_| {
                    let after = usize::from(matches!(self.word(1), "minutes" | "minute" | "min"));
                    self.word(1 + after) == "past" && number(self.word(2 + after)).is_none()
                }),
            },
        };
        if let Some(minutes) = minutes {
            if minutes > 59 {
                return Err(format!(
                    "an hour has minutes from 0 to 59, and not {minutes}"
                ));
            }
            once(&mut self.said.past, minutes, "a minute of the hour")?;
            if self.word(0) != "of"
                && self.at < self.tokens.len()
                && minutes_word(self.word(0), minutes)
            {
                self.at += 1;
            }
            while matches!(
                self.word(0),
                "minutes" | "minute" | "min" | "past" | "each" | "every"
            ) && (self.word(0) != "every" && self.word(0) != "each"
                || self.word(1) == "hour" && self.said.step.is_none())
            {
                if matches!(self.word(0), "every" | "each") {
                    self.at += 2;
                    return self.step(1, Unit::Hour);
                }
                self.at += 1;
            }
            self.skip_the_hour();
            return Ok(());
        }
        match clock::read(self.rest(), true)? {
            Some((clock, taken)) => {
                self.at += taken;
                self.times(clock)
            }
            None if self.word(0).is_empty() => {
                Err("after `at` a time is missing, such as `01:00`".to_owned())
            }
            None => Err(format!(
                "{}: after `at` comes a time, such as `01:00`",
                unknown(self.word(0))
            )),
        }
    }

    fn skip_the_hour(&mut self) {
        if self.word(0) == "the" && self.word(1) == "hour" {
            self.at += 2;
        }
    }

    /// A time, and those that are joined to it.
    fn times(&mut self, first: Clock) -> Result<(), String> {
        self.said.times.push(first);
        while self.tokens.get(self.at) == Some(&Token::And) {
            let mut next = self.at + 1;
            if self.tokens.get(next).and_then(Token::word) == Some("at") {
                next += 1;
            }
            let Some((clock, taken)) =
                clock::read(self.tokens.get(next..).unwrap_or_default(), true)?
            else {
                break;
            };
            self.at = next + taken;
            self.said.times.push(clock);
        }
        Ok(())
    }

    fn weekdays(&mut self) -> bool {
        let days = self.some_weekdays();
        let found = days.is_some();
        self.said.weekdays.extend(days.unwrap_or_default());
        found
    }

    fn some_weekdays(&mut self) -> Option<Vec<u32>> {
        let set = match (self.word(0), self.word(1)) {
            ("weekday" | "weekdays" | "workday" | "workdays", _) => Some((1, vec![1, 2, 3, 4, 5])),
            ("working" | "business" | "work" | "week", "day" | "days") => {
                Some((2, vec![1, 2, 3, 4, 5]))
            }
            ("weekend" | "weekends", _) => Some((1, vec![0, 6])),
            _ => None,
        };
        if let Some((taken, days)) = set {
            self.at += taken;
            return Some(days);
        }
        let first = weekday(self.word(0))?;
        if matches!(self.word(1), "to" | "through" | "till" | "until")
            && let Some(last) = weekday(self.word(2))
        {
            self.at += 3;
            // A week runs on from Saturday to Sunday.
            let length = (last + 7 - first) % 7;
            return Some((0..=length).map(|day| (first + day) % 7).collect());
        }
        self.at += 1;
        Some(vec![first])
    }

    fn except(&mut self) -> Result<(), String> {
        self.at += 1;
        while matches!(self.word(0), "not" | "on" | "for" | "the") {
            self.at += 1;
        }
        let Some(days) = self.some_weekdays() else {
            return Err(
                "only days of the week can be left out, such as `except Sundays`".to_owned(),
            );
        };
        self.said.except.extend(days);
        while self.tokens.get(self.at) == Some(&Token::And) {
            self.at += 1;
            match self.some_weekdays() {
                Some(days) => self.said.except.extend(days),
                None => return Err("after `and`, another day of the week was expected".to_owned()),
            }
        }
        Ok(())
    }

    /// `1st`, `first day`, `day 10`, with `of the month` behind it.
    fn day_of_month(&mut self) -> Result<bool, String> {
        let word = self.word(0);
        if let Some(day) = ordinal(word) {
            self.at += 1;
            if self.word(0) == "weekday" || weekday(self.word(0)).is_some() {
                return Err(
                    "cron cannot say which week of the month a day of the week is in; name the day of the \
                     month, such as `on the 1st`"
                        .to_owned(),
                );
            }
            if self.word(0) == "day" {
                self.at += 1;
            }
            self.said.days.push(day);
        } else if matches!(word, "day" | "days") && number(self.word(1)).is_some() {
            self.at += 1;
            loop {
                self.said.days.extend(number(self.word(0)));
                self.at += 1;
                let joined =
                    self.tokens.get(self.at) == Some(&Token::And) && number(self.word(1)).is_some();
                if !joined {
                    break;
                }
                self.at += 1;
            }
        } else {
            return Ok(false);
        }
        if let Some(wrong) = self.said.days.iter().find(|day| !(1..=31).contains(*day)) {
            return Err(format!("a month has days from 1 to 31, and not {wrong}"));
        }
        self.of_the_month();
        Ok(true)
    }

    /// Passes over `of the month`, which days of the month go with.
    fn of_the_month(&mut self) {
        let of = usize::from(matches!(self.word(0), "of" | "in"));
        let every = usize::from(matches!(self.word(of), "the" | "each" | "every" | "a"));
        if of + every > 0 && self.word(of + every) == "month" {
            self.at += of + every + 1;
        }
    }

    /// `january`, `24 december`, `december 24`.
    fn calendar(&mut self) -> Result<bool, String> {
        if let Some(day) = number(self.word(0))
            && let Some(of) = month(self.word(1))
        {
            self.dated(day, of)?;
            self.at += 2;
            return Ok(true);
        }
        let Some(of) = month(self.word(0)) else {
            return Ok(false);
        };
        self.at += 1;
        match number(self.word(0)).filter(|_| !matches!(self.word(1), "am" | "pm" | "o'clock")) {
            Some(day) => {
                self.dated(day, of)?;
                self.at += 1;
            }
            None => self.said.months.push(of),
        }
        Ok(true)
    }

    fn dated(&mut self, day: u32, of: u32) -> Result<(), String> {
        if !(1..=31).contains(&day) {
            return Err(format!("a month has days from 1 to 31, and not {day}"));
        }
        let other = |known: &[u32], new: u32| known.iter().any(|known| *known != new);
        if other(&self.said.days, day) && other(&self.said.months, of) {
            return Err("cron cannot join different dates: use a schedule for each".to_owned());
        }
        self.said.days.push(day);
        self.said.months.push(of);
        Ok(())
    }

    fn part(&mut self) -> Result<bool, String> {
        let part = match self.word(0) {
            "morning" | "mornings" => Part::Morning,
            "afternoon" | "afternoons" => Part::Afternoon,
            "evening" | "evenings" => Part::Evening,
            "night" | "nights" => Part::Night,
            _ => return Ok(false),
        };
        self.at += 1;
        once(&mut self.said.part, part, "a part of the day")?;
        Ok(true)
    }

    /// `from 8 to 17`, `between 08:00 and 17:00`.
    fn window(&mut self) -> Result<(), String> {
        let between = self.word(0) == "between";
        self.at += 1;
        if let (false, Some(days)) = (between, self.some_weekdays()) {
            self.said.weekdays.extend(days);
            return Ok(());
        }
        let missing = || "a span of hours is written like `from 8 to 17`".to_owned();
        let (from, taken) = clock::read(self.rest(), true)?.ok_or_else(missing)?;
        self.at += taken;
        let joined = if between {
            self.tokens.get(self.at) == Some(&Token::And)
        } else {
            matches!(self.word(0), "to" | "till" | "until")
        };
        if !joined {
            return Err(missing());
        }
        self.at += 1;
        let (to, taken) = clock::read(self.rest(), true)?.ok_or_else(missing)?;
        self.at += taken;
        if from.minute != 0 || to.minute != 0 {
            return Err("a span is of whole hours, such as `from 8 to 17`".to_owned());
        }
        if from.hour >= to.hour {
            return Err(
                "a span begins before it ends, within a day, such as `from 8 to 17`".to_owned(),
            );
        }
        once(
            &mut self.said.window,
            (from.hour, to.hour),
            "a span of hours",
        )?;
        Ok(())
    }

    fn start(&mut self) -> Result<(), String> {
        self.at += 1;
        if matches!(self.word(0), "at" | "from") {
            self.at += 1;
        }
        let Some((clock, taken)) = clock::read(self.rest(), true)? else {
            return Err("after `starting at` a time is missing, such as `01:00`".to_owned());
        };
        self.at += taken;
        once(&mut self.said.start, clock, "a beginning")?;
        Ok(())
    }
}

fn minutes_word(word: &str, minutes: u32) -> bool {
    number(word.trim_start_matches(':')) == Some(minutes)
}

/// Keeps what is said for the first time.
fn once<T>(before: &mut Option<T>, now: T, what: &str) -> Result<(), String> {
    if before.is_some() {
        return Err(format!("it names {what} twice"));
    }
    *before = Some(now);
    Ok(())
}

fn unit(word: &str) -> Option<Unit> {
    Some(match word {
        "minute" | "minutes" | "min" | "mins" => Unit::Minute,
        "hour" | "hours" | "h" => Unit::Hour,
        "day" | "days" => Unit::Day,
        "week" | "weeks" => Unit::Week,
        "month" | "months" => Unit::Month,
        "year" | "years" => Unit::Year,
        _ => return None,
    })
}

/// What a word that has no place here may have been.
fn unknown(word: &str) -> String {
    const KNOWN: [&str; 33] = [
        "every",
        "hour",
        "hours",
        "minutes",
        "day",
        "days",
        "night",
        "week",
        "month",
        "year",
        "hourly",
        "daily",
        "nightly",
        "weekly",
        "monthly",
        "quarterly",
        "yearly",
        "sunday",
        "monday",
        "tuesday",
        "wednesday",
        "thursday",
        "friday",
        "saturday",
        "sundays",
        "weekdays",
        "weekends",
        "midnight",
        "noon",
        "first",
        "except",
        "between",
        "starting",
    ];
    if word.is_empty() {
        return "something is missing at its end".to_owned();
    }
    let shown: String = word.chars().take(30).collect();
    let meant = KNOWN
        .iter()
        .map(|known| (strsim::osa_distance(word, known), known))
        .filter(|(distance, known)| *distance > 0 && *distance <= known.len() / 4)
        .min();
    match meant {
        Some((_, known)) => format!(
            "`{}` is unknown here, did you mean `{known}`?",
            shown.escape_debug()
        ),
        None => format!("`{}` is unknown here", shown.escape_debug()),
    }
}
