//! The checks before a copy is made: may they, is there something to copy, and is its name free.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::observed::Survey;
use super::resource::{Checked, CopyRequestSpec};
use super::{BROUGHT, decide::Policy};
use crate::request::preflight::copy::{ordered, original};
use crate::request::preflight::{
    Check, CheckResult, CheckState, Holdings, OrderView, Terms, count, is_protected, list,
};
use crate::request::resource::RestoreRequestSpec;

/// A label by which Argo CD may tell what is its own, where it does not go by its annotation.
const INSTANCE_LABEL: &str = "app.kubernetes.io/instance";
const TRACKING: &str = "argocd.argoproj.io/tracking-id";

/// The restore of the original whose checks a copy shares.
pub fn as_restore(spec: &CopyRequestSpec) -> RestoreRequestSpec {
    RestoreRequestSpec {
        tenant: spec.tenant.clone(),
        namespaces: vec![spec.namespace.clone()],
        source: spec.source.clone(),
        reason: spec.reason.clone().unwrap_or_default(),
        requester: spec.requester.clone(),
        votes: Vec::new(),
        withdrawal: None,
        choice: None,
        consents: Vec::new(),
        undoes: None,
    }
}

/// Checks a request against the world.
///
/// Returns what was found, or the sentence that refuses it.
pub fn check(
    spec: &CopyRequestSpec,
    survey: &Survey,
    policy: &Policy,
    terms: &Terms<'_>,
    now: Timestamp,
) -> Result<Checked, String> {
    let restore = as_restore(spec);
    let order = ordered(&restore, &survey.original, terms)?;
    name(spec, survey, order, terms)?;
    one_of_many(spec, survey, policy)?;
    tracked(survey)?;
    let found = original(&restore, &survey.original, order, terms, now)?;
    let mut checks = vec![CheckResult {
        check: Check::Namespaces,
        state: CheckState::Passed,
        message: format!("{} is free, and is the tenant's by its name", spec.into),
    }];
    checks.extend(found.checks);
    let live = survey
        .original
        .namespaces
        .iter()
        .find(|namespace| namespace.name == spec.namespace)
        .and_then(|namespace| namespace.uid_range.clone());
    let then = found
        .holdings
        .uid_ranges
        .as_ref()
        .and_then(|ranges| ranges.get(&spec.namespace).cloned());
    Ok(Checked {
        at: now,
        backup: found.backup,
        checks,
        volumes: found.volumes,
        left_out: left_out(found.holdings, &spec.namespace),
        // The files belong to the users of the day of the backup.
        uid_range: then.or(live),
    })
}

/// The new name is free, and nobody else's.
fn name(
    spec: &CopyRequestSpec,
    survey: &Survey,
    order: &OrderView,
    terms: &Terms<'_>,
) -> Result<(), String> {
    let (into, tenant) = (&spec.into, &spec.tenant);
    let example = format!("for example `into:{}-copy`", short(&spec.namespace, tenant));
    let is_label = !into.is_empty()
        && into.len() <= 63
        && into
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && !into.starts_with('-')
        && !into.ends_with('-');
    if !is_label {
        return Err(format!(
            "{into} cannot be the name of a namespace: it has up to 63 small letters, digits and `-`, {example}."
        ));
    }
    if is_protected(into, terms.own_namespace) {
        return Err(format!(
            "{into} belongs to the platform: choose another name, {example}."
        ));
    }
    if !into.starts_with(&format!("{tenant}-")) {
        return Err(format!(
            "{into} would not be the tenant's own: its namespaces are called {tenant}-..., {example}."
        ));
    }
    // The longest tenant's name that it begins with is whose it is.
    let other = survey
        .original
        .tenants
        .iter()
        .filter(|other| other.len() > tenant.len() && into.starts_with(&format!("{other}-")))
        .max_by_key(|other| other.len());
    if let Some(other) = other {
        return Err(format!(
            "{into} would be a namespace of the tenant {other}: choose another name, {example}."
        ));
    }
    if order.namespaces.contains(into) {
        return Err(format!(
            "{into} is in the tenant's order: a copy gets a namespace of its own, {example}."
        ));
    }
    if survey.taken {
        return Err(format!(
            "There is a namespace {into} already, and a copy is made into a new one: choose another name, {example}."
        ));
    }
    Ok(())
}

fn short<'a>(namespace: &'a str, tenant: &str) -> &'a str {
    namespace
        .strip_prefix(tenant)
        .and_then(|rest| rest.strip_prefix('-'))
        .unwrap_or(namespace)
}

/// A tenant has no more copies at a time than are configured: each takes as much room as its original.
fn one_of_many(spec: &CopyRequestSpec, survey: &Survey, policy: &Policy) -> Result<(), String> {
    let theirs: Vec<String> = survey
        .others
        .iter()
        .filter(|other| other.tenant == spec.tenant && !other.phase.is_over())
        .filter(|other| other.phase != super::Phase::Checking)
        .map(|other| {
            format!(
                "{} (into {}, asked for by {}, {})",
                other.name,
                other.into,
                other.requester,
                other.phase.in_words()
            )
        })
        .collect();
    if theirs.len() < policy.at_most {
        return Ok(());
    }
    Err(format!(
        "The tenant {} has {} already, and may have {} at a time: {}. Have one removed by `restore withdraw`, or wait \
         until its time is over.",
        spec.tenant,
        count(i64::try_from(theirs.len()).unwrap_or(i64::MAX), "copy").replace("copys", "copies"),
        policy.at_most,
        list(&theirs)
    ))
}

/// Where Argo CD knows its own by a label, it would take the copy for its own, and prune it.
fn tracked(survey: &Survey) -> Result<(), String> {
    let by_label = survey.original.objects.iter().find(|object| {
        !object.annotations.contains_key(TRACKING)
            && object.labels.get(INSTANCE_LABEL).is_some_and(|instance| {
                survey
                    .original
                    .applications
                    .iter()
                    .any(|application| application.name == *instance)
            })
    });
    match by_label {
        None => Ok(()),
        Some(object) => Err(format!(
            "Argo CD tells its objects by the label {INSTANCE_LABEL} here ({object} has no annotation {TRACKING}): it \
             would take a copy for its own, and delete it. Ask the platform team to have Argo CD track by annotation."
        )),
    }
}

/// What the backup holds of the namespace and the copy does not get: `2 CronJob`.
fn left_out(holdings: &Holdings, namespace: &str) -> Vec<String> {
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for (kind, names) in &holdings.objects {
        let told = matches!(
            kind.as_str(),
            "Event"
                | "events.k8s.io/Event"
                | "discovery.k8s.io/EndpointSlice"
                | "apps/ControllerRevision"
        );
        if told || BROUGHT.iter().any(|(_, brought)| brought == kind) {
            continue;
        }
        let number = names
            .iter()
            .filter(|name| name.split_once('/').is_some_and(|(of, _)| of == namespace))
            .count();
        if number > 0 {
            *kinds.entry(kind).or_default() += number;
        }
    }
    kinds
        .into_iter()
        .map(|(kind, number)| format!("{number} {kind}"))
        .collect()
}
