//! ResourceQuotas, as far as they count objects: `pods`, `configmaps`,
//! `count/deployments.apps` and the like. Amounts of cpu and memory are not added up.

use super::kinds::{Kind, known};
use super::status::Failure;
use super::store::World;

/// Refuses to create an object that is one more than a quota of its namespace allows.
pub(super) fn takes(
    world: &mut World,
    kind: &Kind,
    ns: Option<&str>,
    body: &serde_json::Value,
) -> Result<(), Failure> {
    let (Some(ns), Some(quotas)) = (ns, known("", "ResourceQuota")) else {
        return Ok(());
    };
    let words = [kind.qualified(), format!("count/{}", kind.qualified())];
    let hard: Vec<(String, String, u64)> = world
        .collection(quotas)
        .within(Some(ns))
        .flat_map(|(_, quota)| {
            let name = quota.name().to_owned();
            let hard = quota.value["spec"]["hard"].as_object().cloned();
            hard.into_iter().flatten().filter_map(move |(what, most)| {
                let most = most.as_str()?.parse().ok()?;
                Some((name.clone(), what, most))
            })
        })
        .filter(|(_, what, _)| words.contains(what))
        .collect();
    if hard.is_empty() {
        return Ok(());
    }
    let used = world.collection(kind).within(Some(ns)).count() as u64;
    let name = body["metadata"]["name"].as_str().unwrap_or_default();
    for (quota, what, most) in hard {
        if used + 1 > most {
            let why = format!(
                "exceeded quota: {quota}, requested: {what}=1, used: {what}={used}, limited: {what}={most}"
            );
            return Err(Failure::forbidden(kind, name, &why));
        }
    }
    Ok(())
}
