//! Of the checks, those that hold for a copy as well: it reads what a restore reads, and clears nothing.

use jiff::Timestamp;

use super::{
    Check, CheckResult, CheckState, Holdings, OrderView, Results, Survey, Terms, backup, choose,
    contents, list, namespaces, quota, tenant, velero,
};
use crate::request::inventory::InventorySummary;
use crate::request::resource::{BackupFact, ExpectedVolume, RestoreRequestSpec};

/// What there is to copy.
#[derive(Clone, Debug)]
pub struct Original<'a> {
    pub backup: BackupFact,
    pub holdings: &'a Holdings,
    pub volumes: Vec<ExpectedVolume>,
    pub checks: Vec<CheckResult>,
}

/// The tenant's order, if the person may ask for the tenant and its namespaces are there.
///
/// # Errors
/// The sentence that refuses it.
pub fn ordered<'a>(
    spec: &RestoreRequestSpec,
    survey: &'a Survey,
    terms: &Terms<'_>,
) -> Result<&'a OrderView, String> {
    let order = tenant(spec, survey)?;
    namespaces(spec, survey, order, terms)?;
    Ok(order)
}

/// Checks what is to be copied: the backup, what it holds, and whether Velero can bring it back.
///
/// Nobody approves a copy, so that what would need a reviewer's consent is told as worth knowing.
///
/// # Errors
/// The sentence that refuses it.
pub fn original<'a>(
    spec: &RestoreRequestSpec,
    survey: &'a Survey,
    order: &OrderView,
    terms: &Terms<'_>,
    now: Timestamp,
) -> Result<Original<'a>, String> {
    let mut results = Results::default();
    let backup = choose(spec, survey, order, terms, now)?;
    backup::told(backup, terms, &mut results);
    // What is in the namespaces now stays there: no claim of theirs can lose anything.
    let nothing = InventorySummary::default();
    let holdings = contents::held(spec, survey, backup, &nothing, &mut results)?;
    results.0.retain(|result| result.check != Check::Volumes);
    let without: Vec<String> = holdings
        .volumes
        .iter()
        .filter(|volume| !volume.held && spec.namespaces.contains(&volume.namespace))
        .map(|volume| volume.claim.clone())
        .collect();
    if without.is_empty() {
        results.passed(Check::Volumes, "each claim comes with its data".to_owned());
    } else {
        results.add(
            Check::Volumes,
            CheckState::Warned,
            format!("the backup does not hold the data of {}", list(&without)),
        );
    }
    velero::check(spec, survey, holdings, &mut results)?;
    quota::check(spec, survey, holdings, &mut results)?;
    for result in &mut results.0 {
        if result.state == CheckState::NeedsConsent {
            result.state = CheckState::Warned;
        }
    }
    Ok(Original {
        backup: BackupFact {
            name: backup.name.clone(),
            uid: backup.uid.clone(),
            schedule: backup.schedule.clone(),
            started_at: backup.started_at.unwrap_or(now),
            expires_at: backup.expires_at,
            phase: backup.phase.clone(),
            items: backup.items,
            bytes: holdings.bytes(&spec.namespaces),
        },
        volumes: holdings.expected(&spec.namespaces),
        holdings,
        checks: results.0,
    })
}
