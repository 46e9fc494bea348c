//! What a version of Velero knows of time zones.

use std::fmt;
use std::str::FromStr;

/// A version of Velero, as `1.16`, `1.16.2` or `v1.16.2`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct VeleroVersion {
    pub major: u32,
    pub minor: u32,
    pub patch: u32,
}

/// Whether a schedule may name a time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ZoneSupport {
    /// The version is not configured, so that it is not known.
    Unknown,
    /// Before 1.15, which took up robfig/cron v3 (velero-io/velero#7793).
    No,
    /// From 1.15 on; but images before 1.18.1 may lack the table of zones (velero-io/velero#9519).
    Perhaps,
    /// From 1.18.1 on.
    Yes,
}

impl ZoneSupport {
    /// What the configured version knows.
    pub fn of(version: Option<VeleroVersion>) -> Self {
        let at_least = |minor, patch| {
            version.map(|version| {
                version
                    >= VeleroVersion {
                        major: 1,
                        minor,
                        patch,
                    }
            })
        };
        match (at_least(15, 0), at_least(18, 1)) {
            (None, _) | (_, None) => Self::Unknown,
            (Some(false), _) => Self::No,
            (Some(true), Some(false)) => Self::Perhaps,
            (Some(true), Some(true)) => Self::Yes,
        }
    }
}

impl fmt::Display for VeleroVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

impl FromStr for VeleroVersion {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text} is no version of Velero: write it like 1.16 or 1.16.2");
        let digits = text.trim().trim_start_matches('v');
        // `1.16.2-OADP` is 1.16.2.
        let digits = digits.split(['-', '+']).next().unwrap_or_default();
        let mut parts = digits.split('.').map(str::parse::<u32>);
        let mut next = || parts.next().transpose().map_err(|_| wrong());
        let (major, minor, patch) = (next()?, next()?, next()?);
        match (major, minor, next()?) {
            (Some(major), Some(minor), None) => Ok(Self {
                major,
                minor,
                patch: patch.unwrap_or(0),
            }),
            _ => Err(wrong()),
        }
    }
}
