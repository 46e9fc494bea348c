//! Reading the namespaces of a tenant: every object of every kind, live.

use std::collections::{BTreeMap, BTreeSet};

use futures::StreamExt as _;
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, StatefulSet};
use k8s_openapi::api::core::v1::{Event, Namespace, PersistentVolumeClaim, Pod, ResourceQuota};
use kube::api::ListParams;
use kube::core::discovery::{ApiResource, verbs};
use kube::core::{DynamicObject, ObjectMeta, PartialObjectMeta};
use kube::{Api, Client, ResourceExt as _};

use crate::request::inventory::LiveObject;
use crate::request::observed;
use crate::request::preflight;

/// Lists this many at a time, so that the API server is not flooded.
const CONCURRENT_LISTS: usize = 12;
const PAGE: u32 = 500;

/// What discovery and the lists gave.
#[derive(Clone, Debug, Default)]
pub struct Contents {
    pub objects: Vec<LiveObject>,
    /// What could not be listed; the contents are then not complete.
    pub undiscovered: Vec<String>,
}

/// Groups and resources that show other objects under a second name, so that
/// deleting there deletes the real thing, or that nobody can delete.
fn is_left_out(resource: &ApiResource) -> bool {
    matches!(
        resource.group.as_str(),
        "authorization.openshift.io" | "metrics.k8s.io" | "packages.operators.coreos.com"
    ) || matches!(
        (resource.group.as_str(), resource.plural.as_str()),
        ("project.openshift.io", _)
            | ("image.openshift.io", "imagestreamtags" | "imagetags")
            | ("" | "events.k8s.io", "events")
    )
}

/// Everything that can be listed and deleted in the namespaces.
pub async fn contents(client: &Client, namespaces: &[String]) -> anyhow::Result<Contents> {
    let (kinds, stale) = match kinds(client).await {
        Ok(found) => found,
        Err(error) => {
            return Ok(Contents {
                objects: Vec::new(),
                undiscovered: vec![format!("its discovery ({error})")],
            });
        }
    };
    let mut contents = list_all(client, kinds, namespaces).await?;
    contents.undiscovered.extend(stale);
    contents.undiscovered.sort_unstable();
    Ok(contents)
}

/// Every namespaced kind that can be listed and deleted, in the version that the
/// server prefers; and what the server itself could not find out: an API group
/// whose own server is down is listed as it was last seen, or without its kinds.
async fn kinds(client: &Client) -> Result<(Vec<ApiResource>, Vec<String>), kube::Error> {
    let mut groups = client.list_core_api_versions_aggregated().await?.items;
    groups.extend(client.list_api_groups_aggregated().await?.items);
    let mut seen = BTreeSet::new();
    let mut kinds = Vec::new();
    let mut stale = Vec::new();
    for group in groups {
        let name = group
            .metadata
            .and_then(|metadata| metadata.name)
            .unwrap_or_default();
        for version in group.versions {
            let number = version.version.unwrap_or_default();
            if version.freshness.as_deref() == Some("Stale") {
                stale.push(format!(
                    "the API group {name}/{number}, whose server is down"
                ));
            }
            for resource in version.resources {
                let (Some(plural), Some(kind)) = (
                    resource.resource,
                    resource.response_kind.and_then(|response| response.kind),
                ) else {
                    continue;
                };
                let found = ApiResource {
                    api_version: if name.is_empty() {
                        number.clone()
                    } else {
                        format!("{name}/{number}")
                    },
                    group: name.clone(),
                    version: number.clone(),
                    kind,
                    plural,
                };
                let can = |verb: &str| resource.verbs.iter().any(|known| known == verb);
                if resource.scope.as_deref() == Some("Namespaced")
                    && can(verbs::LIST)
                    && can(verbs::DELETE)
                    && !is_left_out(&found)
                    && seen.insert((found.group.clone(), found.plural.clone()))
                {
                    kinds.push(found);
                }
            }
        }
    }
    Ok((kinds, stale))
}

/// The kinds that make pods or hold their data: what must not be made by anybody
/// but Velero while it restores.
pub async fn workloads(client: &Client, namespaces: &[String]) -> anyhow::Result<Vec<LiveObject>> {
    let core = |kind: &str, plural: &str| ApiResource {
        group: String::new(),
        version: "v1".to_owned(),
        api_version: "v1".to_owned(),
        kind: kind.to_owned(),
        plural: plural.to_owned(),
    };
    let apps = |kind: &str, plural: &str| ApiResource {
        group: "apps".to_owned(),
        api_version: "apps/v1".to_owned(),
        ..core(kind, plural)
    };
    let kinds = vec![
        core("Pod", "pods"),
        core("PersistentVolumeClaim", "persistentvolumeclaims"),
        apps("Deployment", "deployments"),
        apps("ReplicaSet", "replicasets"),
        apps("StatefulSet", "statefulsets"),
        apps("DaemonSet", "daemonsets"),
    ];
    let contents = list_all(client, kinds, namespaces).await?;
    anyhow::ensure!(
        contents.undiscovered.is_empty(),
        "these could not be listed: {}",
        contents.undiscovered.join(", ")
    );
    Ok(contents.objects)
}

/// Everything of some kinds that is in the namespaces.
async fn list_all(
    client: &Client,
    kinds: Vec<ApiResource>,
    namespaces: &[String],
) -> anyhow::Result<Contents> {
    let sizes = claim_sizes(client, namespaces).await?;
    let lists: Vec<(ApiResource, String)> = kinds
        .into_iter()
        .flat_map(|kind| {
            namespaces
                .iter()
                .map(move |namespace| (kind.clone(), namespace.clone()))
        })
        .collect();
    let mut found = futures::stream::iter(lists)
        .map(|(kind, namespace)| async move {
            let listed = list(client, &kind, &namespace).await;
            (kind, namespace, listed)
        })
        .buffer_unordered(CONCURRENT_LISTS);
    let mut contents = Contents::default();
    while let Some((kind, namespace, listed)) = found.next().await {
        match listed {
            Ok(objects) => contents.objects.extend(
                objects
                    .into_iter()
                    .filter_map(|meta| live(&kind, &namespace, meta, &sizes)),
            ),
            // The kind went away between discovery and list, or cannot be listed
            // although it says so: nothing of it can be deleted either.
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 405) => {}
            // Of this kind nothing is known, and so the whole is not complete.
            Err(kube::Error::Api(status)) => contents.undiscovered.push(format!(
                "{} of {namespace} ({})",
                kind.plural, status.message
            )),
            Err(other) => return Err(other.into()),
        }
    }
    contents
        .objects
        .sort_by(|one, other| sort_key(one).cmp(&sort_key(other)));
    contents.undiscovered.sort_unstable();
    Ok(contents)
}

fn sort_key(object: &LiveObject) -> (&str, &str, &str, &str) {
    (&object.group, &object.kind, &object.namespace, &object.name)
}

async fn list(
    client: &Client,
    kind: &ApiResource,
    namespace: &str,
) -> Result<Vec<ObjectMeta>, kube::Error> {
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, kind);
    let mut all = Vec::new();
    let mut next: Option<String> = None;
    loop {
        let mut params = ListParams::default().limit(PAGE);
        if let Some(token) = &next {
            params = params.continue_token(token);
        }
        let page = api.list_metadata(&params).await?;
        all.extend(
            page.items
                .into_iter()
                .map(|object: PartialObjectMeta<DynamicObject>| object.metadata),
        );
        next = page.metadata.continue_.filter(|token| !token.is_empty());
        if next.is_none() {
            return Ok(all);
        }
    }
}

fn live(
    kind: &ApiResource,
    namespace: &str,
    meta: ObjectMeta,
    sizes: &BTreeMap<(String, String), String>,
) -> Option<LiveObject> {
    let name = meta.name?;
    let size = (kind.group.is_empty() && kind.kind == "PersistentVolumeClaim")
        .then(|| sizes.get(&(namespace.to_owned(), name.clone())).cloned())
        .flatten();
    Some(LiveObject {
        group: kind.group.clone(),
        version: kind.version.clone(),
        kind: kind.kind.clone(),
        plural: kind.plural.clone(),
        namespace: namespace.to_owned(),
        name,
        uid: meta.uid?,
        created: meta
            .creation_timestamp
            .map_or(jiff::Timestamp::UNIX_EPOCH, |time| time.0),
        terminating: meta.deletion_timestamp.is_some(),
        finalizers: meta.finalizers.unwrap_or_default(),
        labels: meta.labels.unwrap_or_default(),
        annotations: meta.annotations.unwrap_or_default(),
        controller: meta
            .owner_references
            .unwrap_or_default()
            .into_iter()
            .find(|owner| owner.controller == Some(true))
            .map(|owner| owner.uid),
        size,
        // The oldest entry: who made it. Later ones only changed it.
        made_by: meta
            .managed_fields
            .unwrap_or_default()
            .into_iter()
            .filter(|entry| entry.subresource.as_deref().unwrap_or_default().is_empty())
            .min_by_key(|entry| entry.time.as_ref().map(|time| time.0))
            .and_then(|entry| entry.manager),
    })
}

async fn claims(
    client: &Client,
    namespaces: &[String],
) -> anyhow::Result<Vec<(String, PersistentVolumeClaim)>> {
    let mut all = Vec::new();
    for namespace in namespaces {
        let api: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), namespace);
        let listed = api.list(&ListParams::default()).await?;
        all.extend(
            listed
                .items
                .into_iter()
                .map(|claim| (namespace.clone(), claim)),
        );
    }
    Ok(all)
}

async fn claim_sizes(
    client: &Client,
    namespaces: &[String],
) -> anyhow::Result<BTreeMap<(String, String), String>> {
    Ok(claims(client, namespaces)
        .await?
        .into_iter()
        .filter_map(|(namespace, claim)| {
            let size = claim
                .spec
                .as_ref()?
                .resources
                .as_ref()?
                .requests
                .as_ref()?
                .get("storage")?
                .0
                .clone();
            Some(((namespace, claim.name_any()), size))
        })
        .collect())
}

/// Those of the namespaces that exist.
pub async fn namespaces(
    client: &Client,
    names: &[String],
) -> anyhow::Result<Vec<preflight::Namespace>> {
    let api: Api<Namespace> = Api::all(client.clone());
    let mut found = Vec::new();
    for name in names {
        if let Some(namespace) = api.get_opt(name).await? {
            found.push(preflight::Namespace {
                name: name.clone(),
                terminating: namespace.metadata.deletion_timestamp.is_some(),
                uid_range: namespace
                    .metadata
                    .annotations
                    .as_ref()
                    .and_then(|all| all.get("openshift.io/sa.scc.uid-range"))
                    .cloned(),
            });
        }
    }
    Ok(found)
}

/// The quotas of the namespaces, but for those of some scope only.
pub async fn quotas(
    client: &Client,
    namespaces: &[String],
) -> anyhow::Result<Vec<preflight::Quota>> {
    let mut found = Vec::new();
    for namespace in namespaces {
        let api: Api<ResourceQuota> = Api::namespaced(client.clone(), namespace);
        for quota in api.list(&ListParams::default()).await? {
            let name = quota.name_any();
            let spec = quota.spec.unwrap_or_default();
            if spec.scopes.is_some_and(|scopes| !scopes.is_empty()) || spec.scope_selector.is_some()
            {
                continue;
            }
            found.push(preflight::Quota {
                namespace: namespace.clone(),
                name,
                hard: spec
                    .hard
                    .unwrap_or_default()
                    .into_iter()
                    .map(|(what, amount)| (what, amount.0))
                    .collect(),
            });
        }
    }
    Ok(found)
}

/// Claims, pods and workloads of the namespaces, for verifying.
pub async fn verifying(
    client: &Client,
    namespaces: &[String],
    volumes: Vec<observed::Volume>,
) -> anyhow::Result<observed::Verifying> {
    let mut view = observed::Verifying {
        volumes,
        ..observed::Verifying::default()
    };
    let mut uids = Uids::new();
    for (namespace, claim) in claims(client, namespaces).await? {
        let name = format!("{namespace}/{}", claim.name_any());
        uids.insert(
            ("PersistentVolumeClaim", name.clone()),
            claim.uid().unwrap_or_default(),
        );
        view.claims.push((
            name,
            claim
                .status
                .and_then(|status| status.phase)
                .unwrap_or_else(|| "Pending".to_owned()),
        ));
    }
    let all = ListParams::default();
    for namespace in namespaces {
        let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
        for pod in pods.list(&all).await? {
            let seen = pod_view(namespace, &pod);
            uids.insert(("Pod", seen.name.clone()), pod.uid().unwrap_or_default());
            view.pods.push(seen);
        }
        let deployments: Api<Deployment> = Api::namespaced(client.clone(), namespace);
        unready(&mut view, "Deployment", namespace, deployments, |item| {
            (
                item.status
                    .as_ref()
                    .and_then(|status| status.ready_replicas),
                item.spec
                    .as_ref()
                    .and_then(|spec| spec.replicas)
                    .unwrap_or(1),
            )
        })
        .await?;
        let sets: Api<StatefulSet> = Api::namespaced(client.clone(), namespace);
        unready(&mut view, "StatefulSet", namespace, sets, |item| {
            (
                item.status
                    .as_ref()
                    .and_then(|status| status.ready_replicas),
                item.spec
                    .as_ref()
                    .and_then(|spec| spec.replicas)
                    .unwrap_or(1),
            )
        })
        .await?;
        let sets: Api<DaemonSet> = Api::namespaced(client.clone(), namespace);
        unready(&mut view, "DaemonSet", namespace, sets, |item| {
            let status = item.status.as_ref();
            (
                status.map(|status| status.number_ready),
                status.map_or(0, |status| status.desired_number_scheduled),
            )
        })
        .await?;
    }
    explain(client, namespaces, &uids, &mut view).await?;
    Ok(view)
}

/// Tells of the workloads of one kind that have fewer ready pods than they want;
/// `counts` says how many are ready and how many are wanted.
async fn unready<K>(
    view: &mut observed::Verifying,
    kind: &str,
    namespace: &str,
    api: Api<K>,
    counts: impl Fn(&K) -> (Option<i32>, i32),
) -> anyhow::Result<()>
where
    K: Clone + std::fmt::Debug + serde::de::DeserializeOwned + kube::Resource,
{
    for item in api.list(&ListParams::default()).await? {
        let (ready, wanted) = counts(&item);
        let ready = ready.unwrap_or(0);
        if ready < wanted {
            view.unready.push(format!(
                "{kind} {namespace}/{} has {ready} of {wanted} pods ready",
                item.name_any()
            ));
        }
    }
    Ok(())
}

/// The uids of objects by kind and `namespace/name`.
type Uids = BTreeMap<(&'static str, String), String>;

/// Adds to pods and claims that are not as they should be what the last warning
/// Event about them says. Events stay when a namespace is cleared: those of an earlier
/// object of the same name, which a restore brings back, say nothing of this one.
async fn explain(
    client: &Client,
    namespaces: &[String],
    uids: &Uids,
    view: &mut observed::Verifying,
) -> anyhow::Result<()> {
    let broken = view.pods.iter().any(|pod| !pod.ready && !pod.ended)
        || view.claims.iter().any(|(_, phase)| phase != "Bound");
    if !broken {
        return Ok(());
    }
    let mut last: BTreeMap<(String, String), (Option<jiff::Timestamp>, String)> = BTreeMap::new();
    for namespace in namespaces {
        let events: Api<Event> = Api::namespaced(client.clone(), namespace);
        let warnings = ListParams::default().fields("type=Warning");
        for event in events.list(&warnings).await? {
            let at = event
                .last_timestamp
                .map(|time| time.0)
                .or(event.event_time.map(|time| time.0));
            let about = event.involved_object;
            let (Some(kind), Some(name), Some(message)) = (about.kind, about.name, event.message)
            else {
                continue;
            };
            let name = format!("{namespace}/{name}");
            let is_this = uids.iter().any(|((of, known), uid)| {
                *of == kind && *known == name && about.uid.as_ref().is_none_or(|about| about == uid)
            });
            if !is_this {
                continue;
            }
            let known = last.entry((kind, name)).or_default();
            if at >= known.0 {
                *known = (at, message);
            }
        }
    }
    let why = |kind: &str, name: &str| {
        last.get(&(kind.to_owned(), name.to_owned()))
            .map(|(_, message)| message.clone())
    };
    for pod in &mut view.pods {
        if !pod.ready
            && let Some(message) = why("Pod", &pod.name)
        {
            pod.reason = Some(match &pod.reason {
                Some(reason) => format!("{reason}: {message}"),
                None => message,
            });
        }
    }
    for (name, phase) in &mut view.claims {
        if phase != "Bound"
            && let Some(message) = why("PersistentVolumeClaim", name)
        {
            *phase = format!("{phase} ({message})");
        }
    }
    Ok(())
}

fn pod_view(namespace: &str, pod: &Pod) -> observed::Pod {
    let status = pod.status.as_ref();
    let phase = status.and_then(|status| status.phase.as_deref());
    let ready = status
        .and_then(|status| status.conditions.as_ref())
        .is_some_and(|conditions| {
            conditions
                .iter()
                .any(|condition| condition.type_ == "Ready" && condition.status == "True")
        });
    let waiting = status
        .and_then(|status| status.container_statuses.as_ref())
        .and_then(|containers| {
            containers
                .iter()
                .find_map(|container| container.state.as_ref()?.waiting.as_ref()?.reason.clone())
        });
    observed::Pod {
        name: format!("{namespace}/{}", pod.name_any()),
        ready,
        ended: phase == Some("Succeeded"),
        reason: waiting.or_else(|| phase.map(ToOwned::to_owned)),
    }
}
