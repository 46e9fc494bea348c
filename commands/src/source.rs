//! What is restored from.

use thiserror::Error;

use crate::args::Args;
use crate::options::{BACKUP, DAY, SCHEDULE};
use crate::{BackupName, Day, ParseError, ScheduleName};

/// What is restored from: a backup by name, the backup of a schedule on a day, or the latest good one.
///
/// Invariant: a backup has no day beside it, and a day has a schedule. A backup and a schedule may stand together,
/// as the platform's request form asks for both; the caller checks that they agree. With neither, it is the latest
/// good backup of any schedule.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Source {
    schedule: Option<ScheduleName>,
    backup: Option<BackupName>,
    day: Option<Day>,
}

/// Why parts of a [`Source`] do not go together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SourceError {
    /// A day without a schedule.
    #[error(
        "`day` alone does not say which backup: several schedules may have one of that day. Add the schedule, for \
         example `schedule:daily`, or leave `day` out for the latest good backup."
    )]
    DayAlone,
    /// A day and a backup.
    #[error(
        "`backup` is one backup already, so `day` has nothing to choose: leave one of them out."
    )]
    BackupAndDay,
}

impl Source {
    /// Puts the parts together. `day:latest` needs no schedule: it says no day.
    pub fn new(
        schedule: Option<ScheduleName>,
        backup: Option<BackupName>,
        day: Option<Day>,
    ) -> Result<Self, SourceError> {
        match (&schedule, &backup, &day) {
            (_, Some(_), Some(_)) => Err(SourceError::BackupAndDay),
            (None, None, Some(Day::On { .. })) => Err(SourceError::DayAlone),
            _ => Ok(Self {
                schedule,
                backup,
                day,
            }),
        }
    }

    /// The schedule that took the backup.
    pub fn schedule(&self) -> Option<&ScheduleName> {
        self.schedule.as_ref()
    }

    /// The backup by name.
    pub fn backup(&self) -> Option<&BackupName> {
        self.backup.as_ref()
    }

    /// The day of the backup.
    pub fn day(&self) -> Option<Day> {
        self.day
    }

    pub(crate) fn parse(args: &Args) -> Result<Self, ParseError> {
        Ok(Self::new(
            args.optional(&SCHEDULE)?,
            args.optional(&BACKUP)?,
            args.optional(&DAY)?,
        )?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(schedule: &str, backup: &str, day: &str) -> Result<Source, SourceError> {
        fn read<T: std::str::FromStr>(text: &str) -> Option<T> {
            (!text.is_empty()).then(|| text.parse().ok()).flatten()
        }
        Source::new(read(schedule), read(backup), read(day))
    }

    #[test]
    fn the_parts_go_together_or_not() {
        for (schedule, backup, day, want) in [
            ("", "", "", None),
            ("daily", "", "", None),
            ("daily", "", "yesterday", None),
            ("daily", "", "latest", None),
            ("", "b", "", None),
            ("daily", "b", "", None),
            ("", "", "latest", None),
            ("", "", "today", Some(SourceError::DayAlone)),
            ("", "b", "today", Some(SourceError::BackupAndDay)),
            ("", "b", "latest", Some(SourceError::BackupAndDay)),
            ("daily", "b", "today", Some(SourceError::BackupAndDay)),
        ] {
            assert_eq!(
                source(schedule, backup, day).err(),
                want,
                "{schedule} {backup} {day}"
            );
        }
    }
}
