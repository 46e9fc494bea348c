//! Backups one by one, newest first, a page at a time.

use std::collections::HashMap;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{Backup, Whose, phase_in_words};
use crate::chat::in_words::{between, bytes, code};
use crate::request::preflight::{count, local};

/// How many backups a page has: as many as a chat message holds with long names.
pub const PAGE: usize = 8;

/// A page of backups.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<'a> {
    pub backups: Vec<&'a Backup>,
    /// From 1.
    pub number: usize,
    pub pages: usize,
    /// On all pages.
    pub total: usize,
}

/// Chooses a page of what is the tenant's own, newest first; `None` if it is behind the last.
pub fn page<'a>(
    backups: impl IntoIterator<Item = &'a Backup>,
    whose: &Whose,
    namespace: Option<&str>,
    number: usize,
) -> Result<Page<'a>, usize> {
    let mut own: Vec<&Backup> = backups
        .into_iter()
        .filter(|backup| whose.owns(backup))
        .filter(|backup| namespace.is_none_or(|namespace| backup.holds(namespace)))
        .collect();
    own.sort_by(|one, other| (other.at(), &other.name).cmp(&(one.at(), &one.name)));
    let total = own.len();
    let pages = total.div_ceil(PAGE).max(1);
    if number == 0 || number > pages {
        return Err(pages);
    }
    let backups = own
        .into_iter()
        .skip((number - 1) * PAGE)
        .take(PAGE)
        .collect();
    Ok(Page {
        backups,
        number,
        pages,
        total,
    })
}

impl Page<'_> {
    /// As a message. `volumes` holds the bytes of the volumes of each backup that has any.
    pub fn in_words(
        &self,
        whose: &Whose,
        namespace: Option<&str>,
        volumes: &HashMap<String, i64>,
        now: Timestamp,
        zone: &TimeZone,
    ) -> String {
        let of = namespace.map_or_else(
            || format!("the tenant {}", code(&whose.tenant)),
            |namespace| format!("the namespace {}", code(namespace)),
        );
        if self.total == 0 {
            return format!("There are no backups of {of}.");
        }
        let total = count(i64::try_from(self.total).unwrap_or(i64::MAX), "backup");
        let mut lines = vec![if self.pages == 1 {
            format!("{total} of {of}, newest first:")
        } else {
            format!(
                "{total} of {of}, newest first, page {} of {}:",
                self.number, self.pages
            )
        }];
        for backup in &self.backups {
            lines.push(line(backup, whose, volumes.get(&backup.name), now, zone));
        }
        if self.number < self.pages {
            lines.push(format!("More: `page:{}`.", self.number + 1));
        }
        lines.join("\n")
    }
}

fn line(
    backup: &Backup,
    whose: &Whose,
    volumes: Option<&i64>,
    now: Timestamp,
    zone: &TimeZone,
) -> String {
    let mut parts = Vec::new();
    if let Some(schedule) = &backup.schedule {
        parts.push(whose.short(schedule).to_owned());
    } else {
        parts.push("by hand".to_owned());
    }
    parts.push(local(backup.at(), zone));
    parts.push(format!("{} old", between(backup.at(), now)));
    if let (Some(from), Some(to)) = (backup.started_at, backup.ended_at) {
        parts.push(format!("took {}", between(from, to)));
    }
    if backup.items > 0 {
        parts.push(if backup.is_over() {
            count(backup.items, "item")
        } else {
            format!("{} of {} items", backup.items, backup.total)
        });
    }
    if let Some(volumes) = volumes {
        parts.push(format!("{} of volumes", bytes(*volumes)));
    }
    parts.push(format!("**{}**", phase_in_words(backup)));
    if let Some(at) = backup.expires_at {
        parts.push(if at > now {
            format!("until {}", local(at, zone))
        } else {
            "expired".to_owned()
        });
    }
    format!("- {}: {}", code(&backup.name), parts.join(", "))
}
