//! `notifications`: where, when and about what people are told.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use jiff::civil::Time;
use jiff::tz::TimeZone;

use super::reader::Section;
use crate::notify::{Policy, QuietHours};

/// Reads the section; `None` where no channel is named, and nobody is told anything.
pub(super) fn notifications(
    section: &mut Section,
    time_zone: &TimeZone,
    self_heal_off: SignedDuration,
) -> Option<Policy> {
    let reviewers = section.string("reviewers").optional();
    let mut tenants = BTreeMap::new();
    let mut entries = section.sections("tenants");
    for entry in &mut entries {
        let tenant = entry.string("tenant").required();
        let channel = entry.string("channel").required();
        if let (Some(tenant), Some(channel)) = (tenant, channel)
            && tenants.insert(tenant.clone(), channel).is_some()
        {
            entry.fault("tenant", format!("{tenant} has a channel already"));
        }
    }
    for entry in entries {
        section.absorb(entry);
    }
    let mut hours = section.section("quietHours");
    let from = time(&mut hours, "from");
    let to = time(&mut hours, "to");
    let quiet = match (from, to) {
        (Some(from), Some(to)) => Some(QuietHours { from, to }),
        (None, None) => None,
        (Some(_), None) => {
            hours.fault("to", "is missing".to_owned());
            None
        }
        (None, Some(_)) => {
            hours.fault("from", "is missing".to_owned());
            None
        }
    };
    section.absorb(hours);
    let expires_soon = section.duration("expiresSoon", "24h");
    let waits_long = section.duration("waitsLong", "30m");
    let every = section.duration("every", "1m");
    if reviewers.is_none() && !tenants.is_empty() {
        section.fault(
            "reviewers",
            "is missing: name the channel for what is no tenant's".to_owned(),
        );
    }
    Some(Policy {
        reviewers: reviewers?,
        tenants,
        quiet,
        time_zone: time_zone.clone(),
        expires_soon,
        waits_long,
        self_heal_off,
        every,
    })
}

fn time(section: &mut Section, key: &'static str) -> Option<Time> {
    let text = section.string(key).optional()?;
    let read = Time::strptime("%H:%M", &text).ok();
    if read.is_none() {
        section.fault(
            key,
            format!("{text} is not a time of the day, such as \"22:00\""),
        );
    }
    read
}
