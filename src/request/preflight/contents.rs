//! What the backup holds of the namespaces: objects, the data of volumes, and the
//! range of users that the data belongs to.

use std::collections::{BTreeMap, BTreeSet};

use super::quota::Quantity;
use super::{Backup, Check, CheckState, Results, Survey, count, list};
use crate::request::inventory::InventorySummary;
use crate::request::resource::{ExpectedVolume, RestoreRequestSpec};

/// What a backup holds, as Velero's own lists say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Holdings {
    /// The uid of the Backup that this was read of.
    pub backup: String,
    /// `namespace/name` by `group/Kind`, or by `Kind` for the core group.
    pub objects: BTreeMap<String, BTreeSet<String>>,
    /// What became of each claim's data.
    pub volumes: Vec<HeldVolume>,
    /// The uid range of each namespace when it was backed up; `None` if it could
    /// not be read.
    pub uid_ranges: Option<BTreeMap<String, String>>,
    /// What the pods of each namespace ask for, by the names that quotas use.
    pub needs: BTreeMap<String, BTreeMap<String, Quantity>>,
}

/// A claim in a backup.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HeldVolume {
    pub namespace: String,
    pub claim: String,
    /// Its data is in the backup.
    pub held: bool,
    /// It is copied file by file, which needs the node agent to bring back.
    pub by_node_agent: bool,
    /// `pod:volume`, where it is brought back for a pod.
    pub target: Option<String>,
    pub bytes: Option<i64>,
    /// Why its data is not there, in Velero's words.
    pub reason: Option<String>,
}

impl Holdings {
    /// True if the backup holds the namespace at all.
    pub fn has_namespace(&self, namespace: &str) -> bool {
        self.objects
            .get("Namespace")
            .is_some_and(|names| names.contains(namespace))
            || self
                .objects
                .values()
                .flatten()
                .any(|name| name.split_once('/').is_some_and(|(of, _)| of == namespace))
    }

    /// The volumes whose data is held, of these namespaces.
    fn held<'a>(&'a self, namespaces: &'a [String]) -> impl Iterator<Item = &'a HeldVolume> {
        self.volumes
            .iter()
            .filter(|volume| volume.held && namespaces.contains(&volume.namespace))
    }

    /// How many bytes of volume data are held, where Velero says so.
    pub fn bytes(&self, namespaces: &[String]) -> Option<i64> {
        let sizes: Vec<i64> = self
            .held(namespaces)
            .filter_map(|volume| volume.bytes)
            .collect();
        (!sizes.is_empty()).then(|| sizes.iter().sum())
    }

    /// The volumes whose data a restore has to bring back.
    pub fn expected(&self, namespaces: &[String]) -> Vec<ExpectedVolume> {
        self.held(namespaces)
            .map(|volume| ExpectedVolume {
                namespace: volume.namespace.clone(),
                claim: volume.claim.clone(),
                target: volume.target.clone(),
                bytes: volume.bytes,
            })
            .collect()
    }
}

/// Each namespace is in the backup, and each live claim has its data in it.
pub(super) fn held<'a>(
    spec: &RestoreRequestSpec,
    survey: &'a Survey,
    backup: &Backup,
    inventory: &InventorySummary,
    results: &mut Results,
) -> Result<&'a Holdings, String> {
    let holdings = survey
        .holdings
        .as_ref()
        .filter(|holdings| holdings.backup == backup.uid)
        .ok_or_else(|| {
            format!(
                "What the backup {} holds cannot be read{}. Velero hands it out on request: have \
                 the platform team look whether Velero is up, then ask again.",
                backup.name,
                survey
                    .holdings_fault
                    .as_ref()
                    .map(|fault| format!(" ({fault})"))
                    .unwrap_or_default()
            )
        })?;
    let missing: Vec<&String> = spec
        .namespaces
        .iter()
        .filter(|namespace| !holdings.has_namespace(namespace))
        .collect();
    if !missing.is_empty() {
        return Err(format!(
            "The backup {} holds nothing of {}, whatever its phase says: a restore would bring \
             nothing back. Ask for another backup.",
            backup.name,
            list(&missing)
        ));
    }
    let number: usize = holdings
        .objects
        .values()
        .flatten()
        .filter(|name| {
            name.split_once('/')
                .is_some_and(|(of, _)| spec.namespaces.iter().any(|ours| ours == of))
        })
        .count();
    results.passed(
        Check::BackupContents,
        format!(
            "the backup holds {} of {}",
            count(i64::try_from(number).unwrap_or(i64::MAX), "object"),
            list(&spec.namespaces)
        ),
    );
    volumes(inventory, holdings, results);
    Ok(holdings)
}

fn volumes(inventory: &InventorySummary, holdings: &Holdings, results: &mut Results) {
    let mut lost = Vec::new();
    for claim in &inventory.claims {
        let known = holdings
            .volumes
            .iter()
            .find(|volume| volume.namespace == claim.namespace && volume.claim == claim.name);
        if known.is_some_and(|volume| volume.held) {
            continue;
        }
        let why = known
            .and_then(|volume| volume.reason.as_ref())
            .map_or_else(String::new, |why| format!(" ({why})"));
        lost.push(format!("{}/{}{why}", claim.namespace, claim.name));
    }
    let all = i64::try_from(inventory.claims.len()).unwrap_or(i64::MAX);
    if lost.is_empty() {
        results.passed(
            Check::Volumes,
            if all == 0 {
                "there is no claim whose data could be lost".to_owned()
            } else {
                format!("the backup holds the data of {}", count(all, "claim"))
            },
        );
    } else {
        results.add(
            Check::Volumes,
            CheckState::NeedsConsent,
            format!(
                "the backup does not hold the data of {}: it would be lost, but for the safety \
                 backup",
                list(&lost)
            ),
        );
    }
}

/// Files of restored volumes belong to the users of the namespace that was
/// backed up: where the ranges differ, pods may not be able to read them.
pub(super) fn uid_ranges(survey: &Survey, holdings: &Holdings, results: &mut Results) {
    let Some(then) = &holdings.uid_ranges else {
        results.add(
            Check::UidRange,
            CheckState::Warned,
            "the backup's own could not be read, and is not compared".to_owned(),
        );
        return;
    };
    let differing: Vec<String> = survey
        .namespaces
        .iter()
        .filter_map(|namespace| {
            let now = namespace.uid_range.as_ref()?;
            let then = then.get(&namespace.name)?;
            (now != then).then(|| {
                format!(
                    "{} runs as {now} now and ran as {then} in the backup",
                    namespace.name
                )
            })
        })
        .collect();
    if differing.is_empty() {
        results.passed(Check::UidRange, "the same as in the backup".to_owned());
    } else {
        results.add(
            Check::UidRange,
            CheckState::NeedsConsent,
            format!(
                "{}: restored files would belong to other users",
                differing.join("; ")
            ),
        );
    }
}
