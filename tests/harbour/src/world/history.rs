//! Backups of the days before, each with the data of its day.

use std::collections::BTreeMap;

use anyhow::Context;
use jiff::{SignedDuration, Timestamp};

use super::{Platform, Tenant, good_data};
use crate::velero::{BackupSeed, Velero};
use crate::workloads::write_volume;

/// The days of which [`backup_week`] leaves backups.
const DAYS: i64 = 7;

/// What the volume of a claim held on the day of `day`.
pub fn data_of_day(namespace: &str, claim: &str, day: Timestamp) -> String {
    let day = day.strftime("%Y-%m-%d");
    format!("ledger {day}\nowner {namespace}/{claim}\nbalance 1000\n")
}

/// Takes, for each tenant, the backups that its schedule `daily` has taken in
/// the seven days before `now`, at 01:00 UTC. Each holds the volumes as
/// [`data_of_day`] says; everything else is as it is now. Afterwards the
/// volumes hold [`good_data`] again. Returns the backups' names by tenant, the
/// oldest first.
pub async fn backup_week(
    platform: &Platform,
    velero: &Velero,
    now: Timestamp,
) -> anyhow::Result<BTreeMap<String, Vec<String>>> {
    let today = now.to_zoned(jiff::tz::TimeZone::UTC).date().at(1, 0, 0, 0);
    let today = today.to_zoned(jiff::tz::TimeZone::UTC)?.timestamp();
    let last = if today <= now {
        today
    } else {
        today - SignedDuration::from_hours(24)
    };
    let mut backups: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for before in (0..DAYS).rev() {
        let day = last - SignedDuration::from_hours(24 * before);
        fill(platform, |namespace, claim| {
            data_of_day(namespace, claim, day)
        })
        .await?;
        for Tenant { name, .. } in &platform.shape.tenants {
            let seed = BackupSeed::from_schedule(&format!("{name}-daily"), day);
            let backup = velero
                .seed_backup(seed)
                .await
                .with_context(|| format!("the backup of {name} at {day}"))?;
            backups.entry(name.clone()).or_default().push(backup);
        }
    }
    fill(platform, good_data).await?;
    Ok(backups)
}

/// Writes every claim's volume.
pub(super) async fn fill(
    platform: &Platform,
    data: impl Fn(&str, &str) -> String,
) -> anyhow::Result<()> {
    for (namespace, environment) in platform.environments() {
        let claims = environment
            .folders
            .iter()
            .filter_map(|folder| folder.claim());
        for claim in claims {
            let data = data(&namespace, claim);
            write_volume(&platform.client, &namespace, claim, &data).await?;
        }
    }
    Ok(())
}
