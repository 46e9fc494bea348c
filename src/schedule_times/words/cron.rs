//! From what is said to a cron expression.

use super::clock::Clock;
use super::said::{Part, Said, Unit};

/// The expression; or why cron cannot say it, or what is missing.
pub(super) fn expression(said: &Said) -> Result<String, String> {
    let zone = match said.zone.as_deref() {
        // Velero's server runs in UTC.
        None | Some("UTC") => String::new(),
        Some(zone) => format!("CRON_TZ={zone} "),
    };
    let weekdays = weekdays(said)?;
    if !weekdays.is_empty() && !said.days.is_empty() {
        return Err(
            "cron takes a day of the week and a day of the month as either of them, not as both; name one"
                .to_owned(),
        );
    }
    let step = match said.step {
        Some(step) => step,
        None if !said.days.is_empty() => (
            1,
            if said.months.is_empty() {
                Unit::Month
            } else {
                Unit::Year
            },
        ),
        None if !weekdays.is_empty() => (1, Unit::Week),
        None if said.part.is_some() => (1, Unit::Day),
        None if !said.months.is_empty() => {
            return Err("the day is missing, such as `on the 1st of January`".to_owned());
        }
        None => return Err("the days are missing, such as `every day` or `Sundays`".to_owned()),
    };
    let fields = match step {
        (count, Unit::Minute) => minutes(said, count, &weekdays)?,
        (count, Unit::Hour) => hours(said, count, &weekdays)?,
        (count, unit) => days(said, count, unit, &weekdays)?,
    };
    counted(said, &weekdays, step.1)?;
    Ok(if fields.starts_with('@') {
        fields
    } else {
        zone + &fields
    })
}

fn weekdays(said: &Said) -> Result<Vec<u32>, String> {
    let mut days: Vec<u32> = if said.weekdays.is_empty() && !said.except.is_empty() {
        (0..7).collect()
    } else {
        said.weekdays.clone()
    };
    days.retain(|day| !said.except.contains(day));
    days.sort_unstable();
    days.dedup();
    if days.is_empty() && !said.except.is_empty() {
        return Err("no day is left".to_owned());
    }
    Ok(days)
}

/// `twice a day` needs two times, and so on.
fn counted(said: &Said, weekdays: &[u32], unit: Unit) -> Result<(), String> {
    let Some(count @ 2..) = said.count else {
        return Ok(());
    };
    let named = match unit {
        Unit::Day => said.times.len(),
        Unit::Week => weekdays.len(),
        Unit::Month => said.days.len(),
        Unit::Year => said.months.len(),
        Unit::Minute | Unit::Hour => 0,
    };
    if usize::try_from(count) == Ok(named) {
        Ok(())
    } else {
        Err(
            "it says how often, but not when; write for example `every day at 06:00 and 18:00`"
                .to_owned(),
        )
    }
}

/// What a unit does not go with.
fn nothing_else(said: &Said, unit: &str, times: bool) -> Result<(), String> {
    let odd = if times && !said.times.is_empty() {
        "a time of day"
    } else if said.part.is_some() {
        "a part of the day"
    } else if said.window.is_some() {
        "a span of hours"
    } else if said.start.is_some() {
        "a beginning"
    } else if said.past.is_some() {
        "minutes past the hour"
    } else {
        return Ok(());
    };
    Err(format!("`every {unit}` and {odd} do not go together"))
}

fn minutes(said: &Said, count: u32, weekdays: &[u32]) -> Result<String, String> {
    nothing_else(said, "few minutes", true)?;
    let (days, months, weekdays) = calendar(said, weekdays);
    match count {
        1 => Ok(format!("* * {days} {months} {weekdays}")),
        _ if 60 % count == 0 && count < 60 => Ok(format!("*/{count} * {days} {months} {weekdays}")),
        _ => every(said, u64::from(count) * 60),
    }
}

fn hours(said: &Said, count: u32, weekdays: &[u32]) -> Result<String, String> {
    if !said.times.is_empty() {
        return Err(
            "`every few hours` and a time of day do not go together; write `starting at 01:00` for the first"
                .to_owned(),
        );
    }
    if said.part.is_some() {
        return Err(
            "the hours of a part of the day are not settled; write `from 18 to 23`".to_owned(),
        );
    }
    let minute = match (said.past, said.start) {
        (Some(_), Some(start)) if start.minute != 0 => {
            return Err("it names the minute twice".to_owned());
        }
        (Some(past), _) => past,
        (None, Some(start)) => start.minute,
        (None, None) => 0,
    };
    let step = if count == 1 {
        String::new()
    } else {
        format!("/{count}")
    };
    let hours = match (said.window, said.start) {
        (Some(_), Some(_)) => return Err("a span of hours has its beginning".to_owned()),
        (Some((from, to)), None) if count <= to - from => format!("{from}-{to}{step}"),
        (Some(_), None) => return Err("the span is shorter than the step".to_owned()),
        (None, _) if count == 1 => "*".to_owned(),
        (None, start) if 24 % count == 0 && count < 24 => {
            match start.map_or(0, |start| start.hour % count) {
                0 => format!("*{step}"),
                from => format!("{from}{step}"),
            }
        }
        (None, None) if said.past.is_none() => return every(said, u64::from(count) * 3600),
        (None, _) => {
            return Err(format!(
                "cron begins anew each day, and {count} hours do not fit into one; `every {count} hours` alone \
                 counts from when the schedule is made"
            ));
        }
    };
    let (days, months, weekdays) = calendar(said, weekdays);
    Ok(format!("{minute} {hours} {days} {months} {weekdays}"))
}

fn days(said: &Said, count: u32, unit: Unit, weekdays: &[u32]) -> Result<String, String> {
    if let (None, Some(_)) = (said.window, said.start) {
        return Err("`starting at` goes with hours; write `at 01:00`".to_owned());
    }
    if said.window.is_some() {
        return Err(
            "a span of hours goes with `every hour`; name one time, such as `at 01:00`".to_owned(),
        );
    }
    if said.past.is_some() {
        return Err(
            "minutes past the hour go with `every hour`; write a whole time, such as `01:15`"
                .to_owned(),
        );
    }
    let (named, month_step) = match (count, unit) {
        (1, _) => (unit, None),
        (_, Unit::Day) => return every(said, u64::from(count) * 86_400),
        (_, Unit::Week) => return every(said, u64::from(count) * 7 * 86_400),
        (_, Unit::Month) if 12 % count == 0 && said.months.is_empty() => (Unit::Month, Some(count)),
        (_, Unit::Month) => {
            return Err(format!(
                "cron cannot count every {count} months over the year's end"
            ));
        }
        _ => return Err("cron has no years".to_owned()),
    };
    let conflict = match named {
        Unit::Day | Unit::Week => !said.days.is_empty(),
        Unit::Month | Unit::Year => !weekdays.is_empty(),
        Unit::Minute | Unit::Hour => false,
    };
    if conflict {
        return Err("the days that it names do not go together".to_owned());
    }
    let (minutes, hours) = times(said)?;
    let (mut days, mut months, mut on) = calendar(said, weekdays);
    match named {
        Unit::Week if weekdays.is_empty() => "0".clone_into(&mut on),
        Unit::Month if said.days.is_empty() => "1".clone_into(&mut days),
        Unit::Year => {
            if said.days.is_empty() {
                if !said.months.is_empty() {
                    return Err("the day is missing, such as `on the 1st of January`".to_owned());
                }
                "1".clone_into(&mut days);
            }
            if said.months.is_empty() {
                "1".clone_into(&mut months);
            }
        }
        Unit::Minute | Unit::Hour | Unit::Day | Unit::Week | Unit::Month => {}
    }
    if let Some(count) = month_step {
        months = if count == 12 {
            "1".to_owned()
        } else {
            format!("*/{count}")
        };
    }
    Ok(format!("{minutes} {hours} {days} {months} {on}"))
}

/// A length of time that cron's fields cannot hold, counted from when the schedule is made.
fn every(said: &Said, seconds: u64) -> Result<String, String> {
    let bare = said.times.is_empty()
        && said.part.is_none()
        && said.weekdays.is_empty()
        && said.except.is_empty()
        && said.days.is_empty()
        && said.months.is_empty()
        && said.window.is_none()
        && said.start.is_none();
    if !bare {
        return Err(
            "cron begins anew each day and month, so that it cannot count on from one to the next; name the \
             days or hours instead"
                .to_owned(),
        );
    }
    Ok(if seconds.is_multiple_of(3600) {
        format!("@every {}h", seconds / 3600)
    } else {
        format!("@every {}m", seconds / 60)
    })
}

/// The minutes and hours of the times; midnight where none is named.
fn times(said: &Said) -> Result<(String, String), String> {
    if said.times.is_empty() {
        return match said.part {
            None | Some(Part::Night) => Ok(("0".to_owned(), "0".to_owned())),
            Some(_) => Err("the time is missing, such as `at 06:00`".to_owned()),
        };
    }
    let mut at = Vec::new();
    for clock in &said.times {
        at.push((hour(*clock, said.part)?, clock.minute));
    }
    at.sort_unstable();
    at.dedup();
    let mut hours: Vec<u32> = at.iter().map(|(hour, _)| *hour).collect();
    let mut minutes: Vec<u32> = at.iter().map(|(_, minute)| *minute).collect();
    for values in [&mut hours, &mut minutes] {
        values.sort_unstable();
        values.dedup();
    }
    if hours.len() * minutes.len() != at.len() {
        return Err(
            "cron can only join times that share their minute, such as `01:30 and 13:30`; use a schedule for each"
                .to_owned(),
        );
    }
    Ok((listed(&minutes), listed(&hours)))
}

/// The hour on a 24-hour clock, which a part of the day may settle.
fn hour(clock: Clock, part: Option<Part>) -> Result<u32, String> {
    let Some(part) = part else {
        return Ok(clock.hour);
    };
    let within = |hour: &u32| match part {
        Part::Morning => (0..=11).contains(hour),
        Part::Afternoon => (12..=18).contains(hour),
        Part::Evening => (17..=23).contains(hour),
        Part::Night => (0..=5).contains(hour) || (20..=23).contains(hour),
    };
    let mut candidates = vec![clock.hour];
    if !clock.exact && clock.hour <= 12 {
        candidates.push((clock.hour + 12) % 24);
    }
    candidates.retain(within);
    match candidates[..] {
        [hour] => Ok(hour),
        _ => Err(format!(
            "{} is not clear at that part of the day; write it on a 24-hour clock, such as `22:00`",
            clock.hour
        )),
    }
}

/// Days of the month, months and days of the week as fields.
fn calendar(said: &Said, weekdays: &[u32]) -> (String, String, String) {
    let field = |values: &[u32], full: usize| {
        let mut values = values.to_vec();
        values.sort_unstable();
        values.dedup();
        if values.is_empty() || values.len() == full {
            "*".to_owned()
        } else {
            listed(&values)
        }
    };
    (
        field(&said.days, 31),
        field(&said.months, 12),
        field(weekdays, 7),
    )
}

/// Sorted numbers as a list; three and more in a row as a range.
fn listed(values: &[u32]) -> String {
    let mut parts = Vec::new();
    let mut rest = values;
    while let Some((first, _)) = rest.split_first() {
        let run = rest
            .iter()
            .zip(*first..)
            .take_while(|(value, wanted)| *value == wanted)
            .count();
        if run >= 3 {
            parts.push(format!("{first}-{}", rest[run - 1]));
            rest = &rest[run..];
        } else {
            parts.push(first.to_string());
            rest = &rest[1..];
        }
    }
    parts.join(",")
}
