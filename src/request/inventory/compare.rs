//! The inventory held against the backup: what comes back, what is lost for
//! good, what returns from the past.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::fates::{Owners, fates};
use super::{Fate, LiveObject, Ownership};
use crate::request::preflight::Holdings;

/// How many rows of a table are kept with the request.
const ROWS_KEPT: usize = 1000;

/// What a restore makes of an object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Becomes {
    /// It exists now and is not in the backup.
    Lost,
    /// It is in the backup and does not exist now.
    Returns,
    /// It is deleted, and restored as it was in the backup.
    ComesBack,
    /// It is not deleted, and why.
    Stays(String),
}

impl fmt::Display for Becomes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost => f.write_str("lost for good"),
            Self::Returns => f.write_str("returns from the past"),
            Self::ComesBack => f.write_str("comes back"),
            Self::Stays(why) => write!(f, "stays: {why}"),
        }
    }
}

/// An object, by `group/Kind` and `namespace/name`, and what becomes of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row {
    pub becomes: Becomes,
    pub kind: String,
    pub name: String,
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:<22} {} {}",
            self.becomes.to_string(),
            self.kind,
            self.name
        )
    }
}

/// A table of objects, short enough to be kept with the request.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Comparison {
    /// How many objects of each kind are restored as they were in the backup.
    pub comes_back: BTreeMap<String, i64>,
    /// How many exist now and are not in the backup.
    pub lost: BTreeMap<String, i64>,
    /// How many are in the backup and do not exist now.
    pub returns: BTreeMap<String, i64>,
    /// The table, a line for each object, what is lost first.
    pub rows: Vec<String>,
    /// How many lines of it were left out.
    pub left_out: i64,
}

impl Comparison {
    /// Sums up a table.
    pub fn of(rows: &[Row]) -> Self {
        let mut comparison = Self::default();
        for row in rows {
            let counts = match &row.becomes {
                Becomes::Lost => &mut comparison.lost,
                Becomes::Returns => &mut comparison.returns,
                Becomes::ComesBack => &mut comparison.comes_back,
                Becomes::Stays(_) => continue,
            };
            *counts.entry(row.kind.clone()).or_default() += 1;
        }
        comparison.rows = rows
            .iter()
            .take(ROWS_KEPT)
            .map(ToString::to_string)
            .collect();
        comparison.left_out =
            i64::try_from(rows.len().saturating_sub(ROWS_KEPT)).unwrap_or(i64::MAX);
        comparison
    }
}

/// Kinds that controllers make anew from others, under names of their own.
fn is_made_anew(kind: &str) -> bool {
    matches!(
        kind,
        "Pod"
            | "Event"
            | "events.k8s.io/Event"
            | "Endpoints"
            | "discovery.k8s.io/EndpointSlice"
            | "apps/ReplicaSet"
            | "apps/ControllerRevision"
            | "Namespace"
    )
}

/// Secrets that OpenShift makes for the accounts that every namespace has; their
/// names end differently each time.
fn is_of_an_account(kind: &str, name: &str) -> bool {
    kind == "Secret"
        && ["default", "builder", "deployer"].iter().any(|account| {
            name.strip_prefix(account)
                .is_some_and(|rest| rest.starts_with("-dockercfg-") || rest.starts_with("-token-"))
        })
}

/// Holds what is there against what the backup holds. Objects that others control
/// are left out on both sides: their owners make them anew. Ordered by what
/// becomes of them, then by kind and name.
pub fn table(objects: &[LiveObject], ownership: &Ownership, holdings: &Holdings) -> Vec<Row> {
    let owners = Owners::of(objects);
    let fates = fates(&owners, ownership);
    let mut rows = Vec::new();
    let mut live: BTreeSet<(String, String)> = BTreeSet::new();
    let mut namespaces: BTreeSet<&str> = BTreeSet::new();
    for (index, fate) in fates.into_iter().enumerate() {
        let object = &objects[index];
        let kind = object.kind_key();
        let name = format!("{}/{}", object.namespace, object.name);
        namespaces.insert(&object.namespace);
        live.insert((kind.clone(), name.clone()));
        if owners.has(index) {
            continue;
        }
        let becomes = match fate {
            Fate::Keep(why) => Becomes::Stays(why.to_string()),
            Fate::Delete(_)
                if holdings
                    .objects
                    .get(&kind)
                    .is_some_and(|names| names.contains(&name)) =>
            {
                Becomes::ComesBack
            }
            Fate::Delete(_) => Becomes::Lost,
        };
        rows.push(Row {
            becomes,
            kind,
            name,
        });
    }
    for (kind, namespace, name) in past(holdings, &namespaces) {
        let full = format!("{namespace}/{name}");
        if !live.contains(&(kind.to_owned(), full.clone())) {
            rows.push(Row {
                becomes: Becomes::Returns,
                kind: kind.to_owned(),
                name: full,
            });
        }
    }
    rows.sort_unstable();
    rows
}

/// What the backup holds of the namespaces and a restore should bring back, as
/// kind, namespace and name.
pub fn past<'a>(
    holdings: &'a Holdings,
    namespaces: &BTreeSet<&str>,
) -> Vec<(&'a str, &'a str, &'a str)> {
    let mut past = Vec::new();
    for (kind, names) in &holdings.objects {
        if is_made_anew(kind) {
            continue;
        }
        for full in names {
            let Some((namespace, name)) = full.split_once('/') else {
                continue;
            };
            if namespaces.contains(namespace)
                && !is_of_an_account(kind, name)
                && !is_kept_by_name(kind, namespace, name)
            {
                past.push((kind.as_str(), namespace, name));
            }
        }
    }
    past
}

/// It would be kept by its kind and name alone, whoever made it.
fn is_kept_by_name(kind: &str, namespace: &str, name: &str) -> bool {
    let (group, kind) = kind.rsplit_once('/').unwrap_or(("", kind));
    let object = LiveObject {
        group: group.to_owned(),
        version: String::new(),
        kind: kind.to_owned(),
        plural: String::new(),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        uid: String::new(),
        created: Timestamp::UNIX_EPOCH,
        terminating: false,
        finalizers: Vec::new(),
        labels: BTreeMap::new(),
        annotations: BTreeMap::new(),
        controller: None,
        size: None,
        made_by: None,
    };
    let alone = [object];
    matches!(
        fates(&Owners::of(&alone), &Ownership::default()).first(),
        Some(Fate::Keep(_))
    )
}
