//! The tenant, its namespaces, and who else holds them.

use super::{OrderView, Survey, Terms, list};
use crate::request::guard::{Guard, holds};
use crate::request::phase::Phase;
use crate::request::resource::RestoreRequestSpec;

pub(super) fn tenant<'a>(
    spec: &RestoreRequestSpec,
    survey: &'a Survey,
) -> Result<&'a OrderView, String> {
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

pub(super) fn namespaces(
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
        if is_protected(namespace, terms.own_namespace) && holds(Guard::S6) {
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
pub(super) fn holder(
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
        (goes_first && !other.phase.is_over() && holds(Guard::S7)).then(|| {
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
