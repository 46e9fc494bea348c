//! The checks before anything is touched, and again just before the clearing.
//!
//! Pure: [`check`] is given what was seen of the world and says either what was
//! found, with a result for each check, or why the request is refused, in words
//! that name what does exist. One file for each group of checks.

mod applications;
mod backup;
mod contents;
pub mod copy;
mod quota;
mod tenant;
mod velero;
mod words;

use std::fmt;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::applications::Application;
use super::inventory::{Comparison, InventorySummary, LiveObject, Ownership, Row, table};
use super::phase::Phase;
use super::resource::{BackupFact, Checked, RestoreRequestSpec};

pub use backup::label_value;
pub use contents::{HeldVolume, Holdings};
pub use quota::{Quantity, Quota, needs};
pub use tenant::is_protected;
pub use velero::NodeAgent;
pub use words::{count, list, local};

use backup::choose;
use tenant::{holder, namespaces, tenant};
use words::s_if_one;

/// A check that has a name and a result.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CheckResult {
    pub check: Check,
    #[serde(default)]
    pub state: CheckState,
    pub message: String,
}

/// What came of a check that did not refuse the request.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq, JsonSchema)]
pub enum CheckState {
    #[default]
    Passed,
    /// Worth knowing, and in nobody's way.
    Warned,
    /// A reviewer has to consent to it expressly, beside approving the request.
    NeedsConsent,
}

impl CheckResult {
    /// `quota: there is room for 3 pods`, with a word before what did not simply pass.
    pub fn in_words(&self) -> String {
        let mark = match self.state {
            CheckState::Passed => "",
            CheckState::Warned => "note: ",
            CheckState::NeedsConsent => "needs consent: ",
        };
        format!("{}: {mark}{}", self.check, self.message)
    }
}

#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
pub enum Check {
    Tenant,
    Namespaces,
    Backup,
    StorageLocation,
    Applications,
    Inventory,
    NotHeld,
    BackupContents,
    Volumes,
    Queue,
    NodeAgent,
    Discovery,
    Quota,
    UidRange,
    CustomKinds,
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tenant => "tenant",
            Self::Namespaces => "namespaces",
            Self::Backup => "backup",
            Self::StorageLocation => "storage location",
            Self::Applications => "applications",
            Self::Inventory => "inventory",
            Self::NotHeld => "no other restore",
            Self::BackupContents => "backup contents",
            Self::Volumes => "volumes",
            Self::Queue => "Velero's queue",
            Self::NodeAgent => "node agent",
            Self::Discovery => "discovery",
            Self::Quota => "quota",
            Self::UidRange => "uid range",
            Self::CustomKinds => "custom kinds",
        })
    }
}

/// What was seen of the world for [`check`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Survey {
    /// The tenants that the requester may ask for.
    pub permitted: Vec<String>,
    /// The tenants that have an order, by name.
    pub tenants: Vec<String>,
    pub order: Option<OrderView>,
    /// Why the tenant's order could not be read.
    pub order_fault: Option<String>,
    pub backups: Vec<Backup>,
    pub locations: Vec<Location>,
    /// The namespaces that exist, of those asked for.
    pub namespaces: Vec<Namespace>,
    pub applications: Vec<Application>,
    pub objects: Vec<LiveObject>,
    pub ownership: Ownership,
    /// API groups whose discovery failed.
    pub undiscovered: Vec<String>,
    /// Other requests that have not ended.
    pub others: Vec<Other>,
    /// What the backup holds that [`wanted`] names.
    pub holdings: Option<Holdings>,
    /// Why that could not be read.
    pub holdings_fault: Option<String>,
    /// Restores that Velero has not ended, by name.
    pub restores_ahead: Vec<String>,
    /// `None`: there is no node agent.
    pub node_agent: Option<NodeAgent>,
    pub quotas: Vec<Quota>,
    /// Members of the reviewers' team, where one is configured; read only just
    /// before the clearing.
    pub team: super::approval::Team,
}

/// What matters of a tenant order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OrderView {
    pub path: String,
    pub namespaces: Vec<String>,
    pub schedules: Vec<String>,
    pub self_heal: bool,
}

/// What matters of a Velero Backup.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Backup {
    pub name: String,
    pub uid: String,
    pub phase: String,
    /// Label `velero.io/schedule-name`.
    pub schedule: Option<String>,
    pub started_at: Option<Timestamp>,
    pub expires_at: Option<Timestamp>,
    pub location: String,
    pub included: Vec<String>,
    pub excluded: Vec<String>,
    /// A DeleteBackupRequest names it, or it is being deleted.
    pub deleting: bool,
    /// How many objects are in it, where Velero says so.
    pub items: Option<i64>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Location {
    pub name: String,
    pub phase: String,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Namespace {
    pub name: String,
    pub terminating: bool,
    /// `openshift.io/sa.scc.uid-range`: which users its pods run as.
    pub uid_range: Option<String>,
}

/// Another request on this cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct Other {
    pub name: String,
    pub uid: String,
    pub created: Timestamp,
    pub phase: Phase,
    pub namespaces: Vec<String>,
    pub requester: String,
}

/// What a restore would do.
#[derive(Clone, Debug)]
pub struct Preview {
    /// What the checks found, or the sentence that would refuse it.
    pub checked: Result<Checked, String>,
    /// Every object of the namespaces, and what would become of it.
    pub table: Vec<Row>,
}

/// What the checks are held against.
#[derive(Clone, Debug)]
pub struct Terms<'a> {
    pub uid: &'a str,
    pub created: Timestamp,
    /// The namespace that Refloat itself runs in.
    pub own_namespace: &'a str,
    pub time_zone: &'a TimeZone,
    /// A backup must live at least this long from now (S5).
    pub backup_must_outlive: SignedDuration,
}

/// The backup that a request means, if it gets so far: its lists are to be read
/// before [`check`].
pub fn wanted<'a>(
    spec: &RestoreRequestSpec,
    survey: &'a Survey,
    terms: &Terms<'_>,
    now: Timestamp,
) -> Option<&'a Backup> {
    let order = tenant(spec, survey).ok()?;
    namespaces(spec, survey, order, terms).ok()?;
    choose(spec, survey, order, terms, now).ok()
}

/// What a request has to wait for before it can be checked: the restore that it
/// undoes, which still holds the tenant.
pub fn awaits(spec: &RestoreRequestSpec, survey: &Survey) -> Option<String> {
    let before = spec.undoes.as_ref()?;
    let other = survey.others.iter().find(|other| other.name == *before)?;
    (!other.phase.is_over()).then(|| {
        format!(
            "the restore {before}, which it undoes, is {}",
            other.phase.in_words()
        )
    })
}

/// The results so far, in the order in which they were found.
#[derive(Default)]
struct Results(Vec<CheckResult>);

impl Results {
    fn add(&mut self, check: Check, state: CheckState, message: String) {
        self.0.push(CheckResult {
            check,
            state,
            message,
        });
    }

    fn passed(&mut self, check: Check, message: String) {
        self.add(check, CheckState::Passed, message);
    }
}

/// Checks a request against the world.
///
/// Returns what was found, or the sentence that refuses it.
pub fn check(
    spec: &RestoreRequestSpec,
    survey: &Survey,
    terms: &Terms<'_>,
    now: Timestamp,
) -> Result<Checked, String> {
    let mut results = Results::default();

    let order = tenant(spec, survey)?;
    results.passed(
        Check::Tenant,
        format!("{} is ordered in {}", spec.tenant, order.path),
    );

    namespaces(spec, survey, order, terms)?;
    results.passed(
        Check::Namespaces,
        format!(
            "{} belong{} to the tenant",
            list(&spec.namespaces),
            s_if_one(&spec.namespaces)
        ),
    );

    if let Some(holder) = holder(spec, survey, order, terms) {
        return Err(holder);
    }
    results.passed(
        Check::NotHeld,
        "no other restore holds these namespaces".to_owned(),
    );

    let backup = choose(spec, survey, order, terms, now)?;
    backup::told(backup, terms, &mut results);

    if !survey.undiscovered.is_empty() {
        return Err(format!(
            "The API server did not say which kinds it has in {}, so that what would be deleted \
             cannot be listed in full. Ask again when discovery works; operators see the group \
             with `kubectl api-resources`.",
            list(&survey.undiscovered)
        ));
    }
    results.passed(
        Check::Discovery,
        "every kind of object could be listed".to_owned(),
    );
    let inventory = InventorySummary::of(&survey.objects, &survey.ownership);
    let holdings = contents::held(spec, survey, backup, &inventory, &mut results)?;
    contents::uid_ranges(survey, holdings, &mut results);
    velero::check(spec, survey, holdings, &mut results)?;
    quota::check(spec, survey, holdings, &mut results)?;

    let deploying: Vec<&Application> = survey
        .applications
        .iter()
        .filter(|application| application.deploys)
        .collect();
    applications::check(&deploying, &mut results);

    results.passed(
        Check::Inventory,
        format!(
            "{} would be deleted, {} would be kept",
            count(inventory.total(), "object"),
            inventory.keep.values().sum::<i64>()
        ),
    );
    if !inventory.custom.is_empty() {
        results.add(
            Check::CustomKinds,
            CheckState::NeedsConsent,
            format!(
                "{} may stand for something outside the cluster, which deleting {} may destroy",
                list(&inventory.custom),
                if inventory.custom.len() == 1 {
                    "it"
                } else {
                    "them"
                }
            ),
        );
    }
    let rows = table(&survey.objects, &survey.ownership, holdings);

    Ok(Checked {
        at: now,
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
        order_path: order.path.clone(),
        checks: results.0,
        volumes: holdings.expected(&spec.namespaces),
        comparison: Some(Comparison::of(&rows)),
        inventory,
        healing: deploying
            .iter()
            .filter(|application| application.heals_by_itself())
            .map(|application| application.key())
            .collect(),
        applications: deploying
            .iter()
            .map(|application| application.key())
            .collect(),
    })
}
