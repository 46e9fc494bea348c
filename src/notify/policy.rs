//! Where, when and about what people are told.

use std::collections::BTreeMap;

use jiff::civil::Time;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::concerns::Audience;

/// What the operator configured.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The channel of the platform's reviewers.
    pub reviewers: String,
    /// The tenants' own channels; a tenant without one is told of by the reviewers'.
    pub tenants: BTreeMap<String, String>,
    pub quiet: Option<QuietHours>,
    pub time_zone: TimeZone,
    /// The last good backup is told of so long before it expires.
    pub expires_soon: SignedDuration,
    /// A request that waits for a person is told of after this.
    pub waits_long: SignedDuration,
    /// Self-heal that is off is told of after this.
    pub self_heal_off: SignedDuration,
    /// How often the cluster is looked at.
    pub every: SignedDuration,
}

/// From one time of the day to another, in which nothing is said; what is so at its
/// end is said then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuietHours {
    pub from: Time,
    pub to: Time,
}

impl Policy {
    /// The channel of an audience.
    pub fn channel(&self, audience: &Audience) -> &str {
        match audience {
            Audience::Reviewers => &self.reviewers,
            Audience::Tenant(tenant) => self.tenants.get(tenant).unwrap_or(&self.reviewers),
        }
    }

    /// Whether nothing is to be said now.
    pub fn is_quiet(&self, now: Timestamp) -> bool {
        self.quiet.is_some_and(|QuietHours { from, to }| {
            let time = now.to_zoned(self.time_zone.clone()).time();
            if from <= to {
                from <= time && time < to
            } else {
                // Over midnight.
                time >= from || time < to
            }
        })
    }
}
