//! What to beware of, in sentences.

use std::fmt;

use jiff::Timestamp;
use jiff::civil::Date;

use super::plan::NEAR;

/// Something that a schedule may be ordered with, but that people should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Warning {
    /// The keeping is shorter than the longest time between two runs: at times there is no backup.
    KeptTooShort { keep: i64, gap: i64 },
    /// It runs within a quarter of an hour of another schedule of the tenant.
    Overlaps { name: String, at: Timestamp },
    /// So many other schedules run within a quarter of an hour of its next run.
    Crowded { schedules: usize, at: Timestamp },
    /// Some of its months have no such day.
    DayMissing { day: u32 },
    /// The clocks skip one of its times on a day.
    Skipped { day: Date, zone: String },
    /// The clocks show one of its times twice on a day.
    Twice { day: Date, zone: String },
    /// Velero's image may lack the table of zones.
    ZoneMayBeUnknown { zone: String },
    /// It counts from when it is made, so that a change moves its times.
    CountsFromItsStart,
    /// It runs more often than Velero makes a backup in.
    VeryOften { seconds: i64 },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KeptTooShort { keep, gap } => write!(
                f,
                "each backup is kept for {}, but up to {} pass between two runs: at times there will be none",
                length(*keep),
                length(*gap)
            ),
            Self::Overlaps { name, at } => write!(
                f,
                "it runs within {} of the schedule `{name}`, first at {}: Velero makes one backup after the other, \
                 and the second waits",
                length(NEAR),
                moment(*at)
            ),
            Self::Crowded { schedules, at } => write!(
                f,
                "{schedules} other schedules run within {} of {}: everybody backs up then, and yours may have to \
                 wait; another time is quieter",
                length(NEAR),
                moment(*at)
            ),
            Self::DayMissing { day } => {
                write!(f, "months without a day {day} are passed over on that day")
            }
            Self::Skipped { day, zone } => {
                write!(f, "on {day} the clocks of {zone} skip a time of it: there is no such run")
            }
            Self::Twice { day, zone } => {
                write!(f, "on {day} the clocks of {zone} show a time of it twice: it runs twice")
            }
            Self::ZoneMayBeUnknown { zone } => write!(
                f,
                "before 1.18.1, Velero's own image has no table of zones and refuses {zone}; the Schedule's status \
                 will say so"
            ),
            Self::CountsFromItsStart => f.write_str(
                "it counts from when it is made and not by the clock: its times move when it is changed",
            ),
            Self::VeryOften { seconds } => write!(
                f,
                "it runs every {}: a run is left out while the backup before it is still being made",
                length(*seconds)
            ),
        }
    }
}

fn moment(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// Seconds as people say them, in the largest unit that fits.
fn length(seconds: i64) -> String {
    let (count, unit) = match seconds {
        86_400.. if seconds % 86_400 == 0 => (seconds / 86_400, "day"),
        3600.. if seconds % 3600 == 0 => (seconds / 3600, "hour"),
        86_400.. => {
            let hours = seconds % 86_400 / 3600;
            return format!("{} and {hours} hours", length(seconds / 86_400 * 86_400));
        }
        60.. => (seconds / 60, "minute"),
        _ => (seconds, "second"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}
