//! The checks before anything is touched, and again just before the clearing.
//!
//! Pure: [`check`] is given what was seen of the world and says either what was
//! found, with a result for each check, or why the request is refused, in words
//! that name what does exist.

use std::fmt;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use refloat_commands::Day;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::applications::Application;
use super::inventory::{InventorySummary, LiveObject, Ownership};
use super::phase::Phase;
use super::resource::{BackupFact, Checked, RestoreRequestSpec};

/// A check that has a name and a result.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CheckResult {
    pub check: Check,
    pub message: String,
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

/// Checks a request against the world.
///
/// Returns what was found, or the sentence that refuses it.
pub fn check(
    spec: &RestoreRequestSpec,
    survey: &Survey,
    terms: &Terms<'_>,
    now: Timestamp,
) -> Result<Checked, String> {
    let mut checks = Vec::new();
    let mut passed = |check, message: String| checks.push(CheckResult { check, message });

    let order = tenant(spec, survey)?;
    passed(
        Check::Tenant,
        format!("{} is ordered in {}", spec.tenant, order.path),
    );

    namespaces(spec, survey, order, terms)?;
    passed(
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
    passed(
        Check::NotHeld,
        "no other restore holds these namespaces".to_owned(),
    );

    let backup = choose(spec, survey, order, terms, now)?;
    let fact = BackupFact {
        name: backup.name.clone(),
        uid: backup.uid.clone(),
        schedule: backup.schedule.clone(),
        started_at: backup.started_at.unwrap_or(now),
        expires_at: backup.expires_at,
    };
    passed(
        Check::Backup,
        format!(
            "{} of {}, {}",
            backup.name,
            local(fact.started_at, terms.time_zone),
            fact.expires_at.map_or_else(
                || "does not expire".to_owned(),
                |at| format!("kept until {}", local(at, terms.time_zone))
            )
        ),
    );
    passed(
        Check::StorageLocation,
        format!("{} is Available", backup.location),
    );

    if !survey.undiscovered.is_empty() {
        return Err(format!(
            "The API server did not say which kinds it has in {}, so that what would be deleted \
             cannot be listed in full. Ask again when discovery works; operators see the group \
             with `kubectl api-resources`.",
            list(&survey.undiscovered)
        ));
    }
    let deploying: Vec<&Application> = survey
        .applications
        .iter()
        .filter(|application| application.deploys)
        .collect();
    passed(Check::Applications, applications_in_words(&deploying));

    let inventory = InventorySummary::of(&survey.objects, &survey.ownership);
    passed(
        Check::Inventory,
        format!(
            "{} would be deleted, {} would be kept",
            count(inventory.total(), "object"),
            inventory.keep.values().sum::<i64>()
        ),
    );

    Ok(Checked {
        at: now,
        backup: fact,
        order_path: order.path.clone(),
        checks,
        inventory,
        applications: deploying
            .iter()
            .map(|application| application.key())
            .collect(),
    })
}

fn tenant<'a>(spec: &RestoreRequestSpec, survey: &'a Survey) -> Result<&'a OrderView, String> {
    let offered: Vec<&String> = survey
        .permitted
        .iter()
        .filter(|tenant| survey.tenants.contains(tenant))
        .collect();
    let offered = if offered.is_empty() {
        "There is no tenant that you may restore; ask the platform's reviewers for the right."
            .to_owned()
    } else {
        format!("You may restore {}.", list(&offered))
    };
    if !survey.permitted.contains(&spec.tenant) {
        return Err(if survey.tenants.contains(&spec.tenant) {
            format!("You may not restore the tenant {}. {offered}", spec.tenant)
        } else {
            format!("There is no tenant {}. {offered}", spec.tenant)
        });
    }
    if let Some(fault) = &survey.order_fault {
        return Err(format!(
            "The order of {} cannot be read: {fault}. Have it put right, then ask again.",
            spec.tenant
        ));
    }
    survey.order.as_ref().ok_or_else(|| {
        format!(
            "There is no order for the tenant {}. {offered}",
            spec.tenant
        )
    })
}

/// True for a namespace that is never touched, whatever an order says (S6).
pub fn is_protected(namespace: &str, own: &str) -> bool {
    namespace == own
        || namespace == "default"
        || namespace == "openshift"
        || namespace.starts_with("openshift-")
        || namespace.starts_with("kube-")
}

fn namespaces(
    spec: &RestoreRequestSpec,
    survey: &Survey,
    order: &OrderView,
    terms: &Terms<'_>,
) -> Result<(), String> {
    if spec.namespaces.is_empty() {
        return Err(format!(
            "The request names no namespace: the order of {} names {}.",
            spec.tenant,
            list(&order.namespaces)
        ));
    }
    for namespace in &spec.namespaces {
        if is_protected(namespace, terms.own_namespace) {
            return Err(format!(
                "{namespace} belongs to the platform and is never cleared."
            ));
        }
        if !order.namespaces.contains(namespace) {
            return Err(format!(
                "The tenant {} has no namespace {namespace}: its order names {}.",
                spec.tenant,
                list(&order.namespaces)
            ));
        }
        match survey
            .namespaces
            .iter()
            .find(|live| live.name == *namespace)
        {
            None => {
                return Err(format!(
                    "The namespace {namespace} is ordered but is not in the cluster. Wait until \
                     Argo CD has made it, then ask again."
                ));
            }
            Some(live) if live.terminating => {
                return Err(format!(
                    "The namespace {namespace} is being deleted; it cannot be restored into."
                ));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

/// Who else holds one of the namespaces (S7), or another one of the same tenant:
/// self-heal is one flag for the whole tenant, and the request that ends first
/// would turn it on under the other's clearing. Of two requests that are both
/// being checked, the older goes first; one that is past its checks stays.
fn holder(
    spec: &RestoreRequestSpec,
    survey: &Survey,
    order: &OrderView,
    terms: &Terms<'_>,
) -> Option<String> {
    survey.others.iter().find_map(|other| {
        let shared = spec
            .namespaces
            .iter()
            .find(|namespace| other.namespaces.contains(namespace))
            .cloned()
            .or_else(|| {
                let theirs = other
                    .namespaces
                    .iter()
                    .find(|namespace| order.namespaces.contains(namespace))?;
                Some(format!("{theirs}, of the same tenant,"))
            })?;
        let goes_first = other.phase != Phase::Checking
            || (other.created, other.uid.as_str()) < (terms.created, terms.uid);
        (goes_first && !other.phase.is_over()).then(|| {
            format!(
                "{shared} is held by the restore {}, asked for by {}, which is {}. Wait until it \
                 has ended, or have it withdrawn.",
                other.name,
                other.requester,
                other.phase.in_words()
            )
        })
    })
}

/// A name as a label value: what is longer than 63 characters becomes its first
/// 57 and 6 hexadecimal digits of its sha256, as Velero does it.
pub fn label_value(name: &str) -> String {
    use sha2::{Digest, Sha256};
    if name.len() <= 63 {
        return name.to_owned();
    }
    let digest = super::inventory::hex(&Sha256::digest(name.as_bytes()));
    let mut end = 57;
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{}", &name[..end], &digest[..6])
}

/// The one backup that the request means.
fn choose<'a>(
    spec: &RestoreRequestSpec,
    survey: &'a Survey,
    order: &OrderView,
    terms: &Terms<'_>,
    now: Timestamp,
) -> Result<&'a Backup, String> {
    // The platform's own backups name no tenant namespaces or all of them; a
    // tenant restores only from what was made for its namespaces by name.
    let mine: Vec<&Backup> = survey
        .backups
        .iter()
        .filter(|backup| {
            spec.namespaces.iter().all(|namespace| {
                backup.included.contains(namespace) && !backup.excluded.contains(namespace)
            })
        })
        .collect();
    let usable = |backup: &Backup| usable(backup, survey, terms, now);
    let by_start = |backup: &&&Backup| backup.started_at;
    // A safety backup holds what somebody wanted to be rid of: only its name means it.
    let unnamed = |backup: &&&Backup| !super::names::is_safety_backup(&backup.name);
    let latest_usable = mine
        .iter()
        .filter(unnamed)
        .filter(|backup| usable(backup).is_ok())
        .max_by_key(by_start);
    let instead = latest_usable.map_or_else(
        || format!("There is no usable backup of {}.", list(&spec.namespaces)),
        |backup| {
            format!(
                "The latest usable one is {} of {}.",
                backup.name,
                backup.started_at.map_or_else(
                    || "unknown time".to_owned(),
                    |at| local(at, terms.time_zone)
                )
            )
        },
    );

    let wanted_schedule = spec.source.schedule.as_ref();
    if let Some(schedule) = wanted_schedule
        && !order.schedules.contains(schedule)
    {
        return Err(if order.schedules.is_empty() {
            format!(
                "The tenant {} has no backup schedule in its order, and so none called {schedule}. {instead}",
                spec.tenant
            )
        } else {
            format!(
                "The tenant {} has no schedule {schedule}: its order names {}.",
                spec.tenant,
                list(&order.schedules)
            )
        });
    }
    let schedule_label =
        wanted_schedule.map(|schedule| label_value(&format!("{}-{schedule}", spec.tenant)));
    let of_schedule = |backup: &Backup| {
        schedule_label
            .as_ref()
            .is_none_or(|label| backup.schedule.as_ref() == Some(label))
    };

    if let Some(name) = &spec.source.backup {
        let Some(backup) = survey.backups.iter().find(|backup| backup.name == *name) else {
            return Err(format!("There is no backup {name}. {instead}"));
        };
        if !mine.iter().any(|other| other.name == *name) {
            return Err(format!(
                "The backup {name} does not hold {}. {instead}",
                list(&spec.namespaces)
            ));
        }
        if !of_schedule(backup) {
            return Err(format!(
                "The backup {name} was not made by the schedule {}. {instead}",
                wanted_schedule.map_or("", String::as_str)
            ));
        }
        return usable(backup)
            .map(|()| backup)
            .map_err(|why| format!("The backup {name} cannot be restored: {why}. {instead}"));
    }

    let day = spec
        .source
        .day
        .as_deref()
        .map(|day| {
            day.parse::<Day>()
                .map_err(|error| format!("The day {day:?} is not understood: {error}"))
        })
        .transpose()?;
    // "Yesterday" is said on the day of the request, whenever it is checked.
    let today = terms.created.to_zoned(terms.time_zone.clone()).date();
    let on_day = |backup: &Backup| {
        let Some(at) = backup.started_at else {
            return false;
        };
        day.as_ref().is_none_or(|day| {
            let at = at.to_zoned(terms.time_zone.clone());
            day.range(today).is_none_or(|moment| {
                moment.date == at.date()
                    && moment
                        .time
                        .is_none_or(|time| (time.hour(), time.minute()) == (at.hour(), at.minute()))
            })
        })
    };
    let named: Vec<&&Backup> = mine
        .iter()
        .filter(unnamed)
        .filter(|backup| of_schedule(backup) && on_day(backup))
        .collect();
    if let Some(best) = named
        .iter()
        .filter(|backup| usable(backup).is_ok())
        .max_by_key(|backup| backup.started_at)
    {
        return Ok(best);
    }
    let what = match (wanted_schedule, &spec.source.day) {
        (Some(schedule), Some(day)) => format!("of the schedule {schedule} for {day}"),
        (Some(schedule), None) => format!("of the schedule {schedule}"),
        (None, Some(day)) => format!("for {day}"),
        (None, None) => format!("of {}", list(&spec.namespaces)),
    };
    let unusable = named.iter().max_by_key(|backup| backup.started_at);
    let why = unusable.and_then(|backup| usable(backup).err().map(|why| (backup, why)));
    Err(match why {
        Some((backup, why)) => format!(
            "There is no usable backup {what}: {} cannot be restored, {why}. {instead}",
            backup.name
        ),
        None => format!("There is no backup {what}. {instead}"),
    })
}

/// Why a backup cannot be restored (S5).
fn usable(
    backup: &Backup,
    survey: &Survey,
    terms: &Terms<'_>,
    now: Timestamp,
) -> Result<(), String> {
    if backup.deleting {
        return Err("it is being deleted".to_owned());
    }
    match backup.phase.as_str() {
        "Completed" => {}
        "PartiallyFailed" => {
            return Err("it is PartiallyFailed, and parts of it are missing".to_owned());
        }
        "" | "New" | "InProgress" | "Finalizing" => {
            return Err("it has not been completed yet".to_owned());
        }
        phase => return Err(format!("its phase is {phase}")),
    }
    if backup.started_at.is_none() {
        return Err("it has no start time".to_owned());
    }
    if let Some(expires) = backup.expires_at
        && expires.duration_since(now) < terms.backup_must_outlive
    {
        return Err(format!(
            "it expires at {}, which is too soon",
            local(expires, terms.time_zone)
        ));
    }
    match survey
        .locations
        .iter()
        .find(|location| location.name == backup.location)
    {
        None => Err(format!(
            "its storage location {} does not exist",
            backup.location
        )),
        Some(location) if location.phase != "Available" => Err(format!(
            "its storage location {} is {}",
            location.name,
            if location.phase.is_empty() {
                "not checked yet"
            } else {
                &location.phase
            }
        )),
        Some(_) => Ok(()),
    }
}

fn applications_in_words(deploying: &[&Application]) -> String {
    use fmt::Write as _;
    let (reached, own): (Vec<&&Application>, Vec<&&Application>) = deploying
        .iter()
        .partition(|application| application.generated);
    let mut words = format!(
        "the order reaches {}",
        count(
            i64::try_from(reached.len()).unwrap_or(i64::MAX),
            "Application"
        )
    );
    for application in own {
        if application.automated && application.self_heal {
            // Writing to a String cannot fail.
            let _ = write!(
                words,
                "; {} still heals, and the order does not reach it: its manifests are in {}",
                application.key(),
                application.source
            );
        }
    }
    words
}

/// A moment in the platform's time zone, to the minute.
pub fn local(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone())
        .strftime("%Y-%m-%d %H:%M %Z")
        .to_string()
}

/// `a`, `a and b`, `a, b and c`.
pub fn list<T: AsRef<str>>(words: &[T]) -> String {
    match words {
        [] => "nothing".to_owned(),
        [one] => one.as_ref().to_owned(),
        [first @ .., last] => format!(
            "{} and {}",
            first
                .iter()
                .map(AsRef::as_ref)
                .collect::<Vec<_>>()
                .join(", "),
            last.as_ref()
        ),
    }
}

/// `1 object`, `2 objects`.
pub fn count(number: i64, word: &str) -> String {
    if number == 1 {
        format!("1 {word}")
    } else {
        format!("{number} {word}s")
    }
}

fn s_if_one<T>(words: &[T]) -> &'static str {
    if words.len() == 1 { "s" } else { "" }
}
