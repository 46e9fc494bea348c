//! Who has good backups, and who has not.

use std::collections::{BTreeSet, HashMap};

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::{Backup, Schedule, Whose, is_everything};
use crate::order::{Cron, Times};
use crate::schedule_times::{longest_gap, next_run};

/// How many days the strip has, today included.
pub const DAYS: usize = 30;

/// How long after a run is due its backup is waited for before it is missing.
const GRACE: SignedDuration = SignedDuration::from_hours(1);

/// The overview, the worst first.
#[derive(Clone, Debug, PartialEq)]
pub struct Overview {
    pub rows: Vec<Row>,
    pub now: Timestamp,
}

/// A namespace.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub namespace: String,
    pub state: State,
    /// When the last good backup began.
    pub last_good: Option<Timestamp>,
    /// When the next is due.
    pub next: Option<Timestamp>,
    /// How many good ones there are.
    pub copies: usize,
    /// The last days, today last.
    pub strip: [Mark; DAYS],
}

/// How it stands with a namespace's backups, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// No good backup, and none will be made.
    Nothing,
    /// There are schedules, but no good backup.
    NoneGood,
    /// The last good backup is older than the interval and a half.
    Overdue,
    /// There are good backups, but no more will be made.
    Unscheduled,
    Good,
}

impl State {
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Nothing => "no backup at all, and none is scheduled",
            Self::NoneGood => "no good backup yet",
            Self::Overdue => "a run was missed or failed",
            Self::Unscheduled => "nothing is scheduled any more",
            Self::Good => "good",
        }
    }
}

/// How a day went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    Good,
    Partial,
    Failed,
    Missing,
    /// No run was due, or it is not over yet, or its backup has expired.
    NoneDue,
}

impl Mark {
    pub fn sign(self) -> char {
        match self {
            Self::Good => '#',
            Self::Partial => '~',
            Self::Failed => 'x',
            Self::Missing => '.',
            Self::NoneDue => '-',
        }
    }
}

/// Has a run been missed: is the last good backup (or the beginning, if there is none) longer ago than the
/// interval between runs and a half?
pub fn overdue(since: Timestamp, interval: i64, now: Timestamp) -> bool {
    now.as_second() - since.as_second() > interval.saturating_add(interval / 2)
}

/// Makes the overview of some namespaces.
///
/// `backups` and `schedules` are those that may be shown; they may hold other namespaces too. Days are those of
/// `zone`.
pub fn overview(
    namespaces: &BTreeSet<String>,
    backups: &[&Backup],
    schedules: &[&Schedule],
    now: Timestamp,
    zone: &TimeZone,
) -> Overview {
    let days = days(now, zone);
    let runs: Vec<Runs<'_>> = schedules
        .iter()
        .map(|schedule| Runs::of(schedule, &days, now))
        .collect();
    let mut by_namespace: HashMap<&str, Vec<&Backup>> = HashMap::new();
    let mut of_all: Vec<&Backup> = Vec::new();
    for backup in backups {
        if is_everything(&backup.included) {
            of_all.push(backup);
        } else {
            for namespace in &backup.included {
                by_namespace.entry(namespace).or_default().push(backup);
            }
        }
    }
    let mut rows: Vec<Row> = namespaces
        .iter()
        .map(|namespace| {
            let own = by_namespace.get(namespace.as_str()).into_iter().flatten();
            let held: Vec<&Backup> = own
                .chain(&of_all)
                .copied()
                .filter(|backup| backup.holds(namespace))
                .collect();
            let runs: Vec<&Runs<'_>> = runs
                .iter()
                .filter(|runs| runs.schedule.holds(namespace))
                .collect();
            row(namespace, &held, &runs, &days, now)
        })
        .collect();
    rows.sort_by(|one, other| (one.state, &one.namespace).cmp(&(other.state, &other.namespace)));
    Overview { rows, now }
}

/// The overview of some tenants, and of what is nobody's but the platform's.
pub fn everything<S: std::hash::BuildHasher>(
    orders: &[Whose],
    platform: bool,
    backups: &HashMap<String, Backup, S>,
    schedules: &HashMap<String, Schedule, S>,
    now: Timestamp,
    zone: &TimeZone,
) -> Overview {
    let by_namespace: HashMap<&str, &Whose> = orders
        .iter()
        .flat_map(|whose| {
            whose
                .namespaces
                .iter()
                .map(move |name| (name.as_str(), whose))
        })
        .collect();
    let owner = |included: &[Box<str>]| {
        included
            .iter()
            .find_map(|name| by_namespace.get(&**name).copied())
    };
    let (own, other): (Vec<&Backup>, Vec<&Backup>) = backups
        .values()
        .partition(|backup| owner(&backup.included).is_some_and(|whose| whose.owns(backup)));
    let (own_schedules, other_schedules): (Vec<&Schedule>, Vec<&Schedule>) =
        schedules.values().partition(|schedule| {
            owner(&schedule.included).is_some_and(|whose| whose.owns_schedule(schedule))
        });
    let namespaces: BTreeSet<String> = by_namespace.keys().map(|name| (*name).to_owned()).collect();
    let mut shown = overview(&namespaces, &own, &own_schedules, now, zone);
    if platform {
        let others: BTreeSet<String> = other
            .iter()
            .map(|backup| &backup.included)
            .chain(other_schedules.iter().map(|schedule| &schedule.included))
            .flat_map(|included| {
                let all = included.is_empty().then(|| "*".to_owned());
                all.into_iter()
                    .chain(included.iter().map(ToString::to_string))
            })
            .filter(|name| !namespaces.contains(name))
            .collect();
        let others = overview(&others, &other, &other_schedules, now, zone);
        shown.rows.extend(others.rows);
        shown.rows.sort_by(|one, other| {
            (one.state, &one.namespace).cmp(&(other.state, &other.namespace))
        });
    }
    shown
}

/// When each of the days begins, and when the last one ends.
fn days(now: Timestamp, zone: &TimeZone) -> Vec<Timestamp> {
    let today = now.to_zoned(zone.clone()).date();
    let begins = |date: Date| date.to_zoned(zone.clone()).map_or(now, |at| at.timestamp());
    let back = i64::try_from(DAYS).unwrap_or(0) - 1;
    (-back..=1)
        .map(|offset| {
            today
                .checked_add(jiff::Span::new().days(offset))
                .map_or(now, begins)
        })
        .collect()
}

/// A schedule with what its cron says.
struct Runs<'a> {
    schedule: &'a Schedule,
    /// Was a run due on each day, long enough ago?
    due: [bool; DAYS],
    next: Option<Timestamp>,
    interval: Option<i64>,
}

impl<'a> Runs<'a> {
    fn of(schedule: &'a Schedule, days: &[Timestamp], now: Timestamp) -> Self {
        let mut runs = Self {
            schedule,
            due: [false; DAYS],
            next: None,
            interval: None,
        };
        let Some(cron) = Cron::parse_written(&schedule.cron)
            .ok()
            .filter(|_| schedule.runs())
        else {
            return runs;
        };
        runs.interval = longest_gap(&cron, now, &TimeZone::UTC);
        runs.next = match cron.times {
            Times::Fields(_) => next_run(&cron, now, &TimeZone::UTC),
            Times::Every { .. } => {
                let last = schedule.last_backup.unwrap_or(schedule.created);
                next_run(&cron, last, &TimeZone::UTC).map(|next| next.max(now))
            }
        };
        let until = now.checked_sub(GRACE).unwrap_or(now);
        // What is older has expired, and may be gone: that is not missing.
        let kept_since = now
            .checked_sub(SignedDuration::from_secs(schedule.kept()))
            .unwrap_or(Timestamp::MIN);
        let mut due_by = schedule.created;
        for (due, day) in runs.due.iter_mut().zip(days.windows(2)) {
            let [begins, ends] = day else { continue };
            let second = SignedDuration::from_secs(1);
            let from = begins
                .checked_sub(second)
                .unwrap_or(*begins)
                .max(schedule.created);
            let first = match cron.times {
                Times::Fields(_) => next_run(&cron, from, &TimeZone::UTC),
                Times::Every { seconds } => {
                    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
                    while due_by < *begins {
                        let Ok(next) = due_by.checked_add(SignedDuration::from_secs(
                            seconds.max(begins.as_second() - due_by.as_second()) / seconds
                                * seconds,
                        )) else {
                            break;
                        };
                        due_by = next;
                    }
                    Some(due_by).filter(|at| *at > schedule.created)
                }
            };
            *due = first.is_some_and(|first| first < *ends && first < until && first > kept_since);
        }
        runs
    }
}

fn row(
    namespace: &str,
    backups: &[&Backup],
    runs: &[&Runs<'_>],
    days: &[Timestamp],
    now: Timestamp,
) -> Row {
    let good = || backups.iter().filter(|backup| backup.is_good(now));
    let last_good = good().map(|backup| backup.at()).max();
    let next = runs.iter().filter_map(|runs| runs.next).min();
    // The schedule that runs most often is the one that is waited for.
    let soonest = runs
        .iter()
        .filter_map(|runs| Some((runs.interval?, runs.schedule.created)))
        .min();
    let late = soonest
        .is_some_and(|(interval, created)| overdue(last_good.unwrap_or(created), interval, now));
    let state = match (last_good, next) {
        (None, None) => State::Nothing,
        (None, Some(_)) => State::NoneGood,
        (Some(_), None) => State::Unscheduled,
        (Some(_), Some(_)) if late => State::Overdue,
        (Some(_), Some(_)) => State::Good,
    };
    let mut strip = [Mark::NoneDue; DAYS];
    for (index, mark) in strip.iter_mut().enumerate() {
        if runs.iter().any(|runs| runs.due[index]) {
            *mark = Mark::Missing;
        }
    }
    let first = days.first().copied().unwrap_or(now);
    for backup in backups {
        let at = backup.at();
        if at < first {
            continue;
        }
        // The days are sorted; the backup is on the last that has begun.
        let day = days
            .partition_point(|begins| *begins <= at)
            .saturating_sub(1);
        let Some(mark) = strip.get_mut(day) else {
            continue;
        };
        let seen = match &*backup.phase {
            "Completed" => Mark::Good,
            "PartiallyFailed" => Mark::Partial,
            "Failed" | "FailedValidation" => Mark::Failed,
            _ if backup.is_over() => continue,
            // One that is being made is not missing.
            _ if *mark == Mark::Missing => Mark::NoneDue,
            _ => continue,
        };
        if better(seen, *mark) {
            *mark = seen;
        }
    }
    Row {
        namespace: namespace.to_owned(),
        state,
        last_good,
        next,
        copies: good().count(),
        strip,
    }
}

/// The best of a day counts.
fn better(new: Mark, old: Mark) -> bool {
    let rank = |mark: Mark| match mark {
        Mark::Missing => 0,
        Mark::NoneDue => 1,
        Mark::Failed => 2,
        Mark::Partial => 3,
        Mark::Good => 4,
    };
    rank(new) > rank(old)
}
