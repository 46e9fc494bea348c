//! Which groups, versions and resources there are.

use serde_json::{Value, json};
use std::sync::Arc;

use super::kinds::{Kind, Origin};
use super::pods;
use super::store::World;

/// The answer of `/version`.
pub(super) fn version() -> Value {
    json!({
        "major": "1", "minor": "33", "gitVersion": "v1.33.4", "gitCommit": "", "gitTreeState": "clean",
        "buildDate": "2025-08-12T00:00:00Z", "goVersion": "", "compiler": "", "platform": "linux/amd64",
    })
}

/// The answer of `/api`.
pub(super) fn core_versions(host: &str) -> Value {
    json!({
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": host}],
    })
}

/// The named groups with their versions, in the order of the table.
fn groups(world: &World) -> Vec<(&str, Vec<&str>)> {
    let mut groups: Vec<(&str, Vec<&str>)> = Vec::new();
    for kind in world.kinds().filter(|kind| !kind.group.is_empty()) {
        match groups.iter_mut().find(|(group, _)| *group == kind.group) {
            Some((_, versions)) if versions.contains(&kind.version.as_str()) => {}
            Some((_, versions)) => versions.push(&kind.version),
            None => groups.push((&kind.group, vec![&kind.version])),
        }
    }
    groups
}

fn describe(group: &str, versions: &[&str]) -> Value {
    let each: Vec<Value> = versions
        .iter()
        .map(|version| json!({"groupVersion": format!("{group}/{version}"), "version": version}))
        .collect();
    json!({"name": group, "versions": each, "preferredVersion": each[0]})
}

/// The answer of `/apis`.
pub(super) fn group_list(world: &World) -> Value {
    let groups: Vec<Value> = groups(world)
        .iter()
        .map(|(group, versions)| describe(group, versions))
        .collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
}

/// The answer of `/apis/<group>`.
pub(super) fn group(world: &World, name: &str) -> Option<Value> {
    let groups = groups(world);
    let (group, versions) = groups.iter().find(|(group, _)| *group == name)?;
    let mut found = describe(group, versions);
    found["kind"] = json!("APIGroup");
    found["apiVersion"] = json!("v1");
    Some(found)
}

/// The answer of `/api/v1` and `/apis/<group>/<version>`.
pub(super) fn resources(world: &World, group: &str, version: &str) -> Option<Value> {
    let mut list = Vec::new();
    for kind in world
        .kinds()
        .filter(|kind| kind.group == group && kind.version == version)
    {
        let mut entry = json!({
            "name": kind.plural,
            "singularName": kind.singular,
            "namespaced": kind.namespaced,
            "kind": kind.kind,
            "verbs": kind.verbs(),
        });
        for (field, names) in [
            ("shortNames", &kind.short_names),
            ("categories", &kind.categories),
        ] {
            if !names.is_empty() {
                entry[field] = json!(names);
            }
        }
        list.push(entry);
        for sub in subresources(kind) {
            list.push(json!({
                "name": format!("{}/{sub}", kind.plural),
                "singularName": "",
                "namespaced": kind.namespaced,
                "kind": kind.kind,
                "verbs": sub_verbs(sub),
            }));
        }
    }
    if list.is_empty() {
        return None;
    }
    let name = if group.is_empty() {
        version.to_owned()
    } else {
        format!("{group}/{version}")
    };
    Some(
        json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": name, "resources": list}),
    )
}

/// The subresources that a kind has.
pub(super) fn subresources(kind: &Kind) -> Vec<&'static str> {
    let mut list = Vec::new();
    if kind.status && !matches!(kind.origin, Origin::Review) {
        list.push("status");
    }
    if kind.is("", "Namespace") {
        list.push("finalize");
    }
    if kind.is("", "Pod") {
        list.extend(pods::POSTED);
    }
    list
}

fn sub_verbs(sub: &str) -> &'static [&'static str] {
    match sub {
        "finalize" => &["update"],
        "binding" | "eviction" => &["create"],
        _ => &["get", "patch", "update"],
    }
}

/// The aggregated answer of `/api` (core only) or `/apis` (all but core).
pub(super) fn aggregated(world: &World, core: bool) -> Value {
    let groups = if core {
        vec![("", vec!["v1"])]
    } else {
        groups(world)
    };
    let items: Vec<Value> = groups
        .iter()
        .map(|(group, versions)| {
            let versions: Vec<Value> = versions
                .iter()
                .map(|version| {
                    let resources: Vec<Value> = world
                        .kinds()
                        .filter(|kind| kind.group == *group && kind.version == *version)
                        .map(aggregated_resource)
                        .collect();
                    json!({"version": version, "resources": resources, "freshness": "Current"})
                })
                .collect();
            json!({"metadata": {"name": group, "creationTimestamp": null}, "versions": versions})
        })
        .collect();
    json!({"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items})
}

fn aggregated_resource(kind: &Arc<Kind>) -> Value {
    let response = json!({"group": kind.group, "version": kind.version, "kind": kind.kind});
    let mut entry = json!({
        "resource": kind.plural,
        "responseKind": response,
        "scope": if kind.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": kind.singular,
        "verbs": kind.verbs(),
    });
    for (field, names) in [
        ("shortNames", &kind.short_names),
        ("categories", &kind.categories),
    ] {
        if !names.is_empty() {
            entry[field] = json!(names);
        }
    }
    let subs: Vec<Value> = subresources(kind)
        .into_iter()
        .map(|sub| json!({"subresource": sub, "responseKind": response, "verbs": sub_verbs(sub)}))
        .collect();
    if !subs.is_empty() {
        entry["subresources"] = json!(subs);
    }
    entry
}
