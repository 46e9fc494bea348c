//! Reading the namespaces of a tenant: every object of every kind, live.

use std::collections::{BTreeMap, BTreeSet};

use futures::StreamExt as _;
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, StatefulSet};
use k8s_openapi::api::core::v1::{Namespace, PersistentVolumeClaim, Pod};
use kube::api::ListParams;
use kube::core::discovery::{ApiResource, Scope, verbs};
use kube::core::{DynamicObject, ObjectMeta, PartialObjectMeta};
use kube::discovery::Discovery;
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
    let discovery = match Discovery::new(client.clone()).run_aggregated().await {
        Ok(discovery) => discovery,
        Err(error) => {
            return Ok(Contents {
                objects: Vec::new(),
                undiscovered: vec![format!("its discovery ({error})")],
            });
        }
    };
    let mut seen = BTreeSet::new();
    let mut kinds = Vec::new();
    for group in discovery.groups_alphabetical() {
        for (resource, capabilities) in group.resources_by_stability() {
            if capabilities.scope == Scope::Namespaced
                && capabilities.supports_operation(verbs::LIST)
                && capabilities.supports_operation(verbs::DELETE)
                && !is_left_out(&resource)
                && seen.insert((resource.group.clone(), resource.plural.clone()))
            {
                kinds.push(resource);
            }
        }
    }
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
    for (namespace, claim) in claims(client, namespaces).await? {
        view.claims.push((
            format!("{namespace}/{}", claim.name_any()),
            claim
                .status
                .and_then(|status| status.phase)
                .unwrap_or_else(|| "Pending".to_owned()),
        ));
    }
    let all = ListParams::default();
    for namespace in namespaces {
        let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
        view.pods.extend(
            pods.list(&all)
                .await?
                .items
                .iter()
                .map(|pod| pod_view(namespace, pod)),
        );
        let deployments: Api<Deployment> = Api::namespaced(client.clone(), namespace);
        for item in deployments.list(&all).await? {
            let wanted = item
                .spec
                .as_ref()
                .and_then(|spec| spec.replicas)
                .unwrap_or(1);
            let ready = item
                .status
                .as_ref()
                .and_then(|status| status.ready_replicas);
            unready(
                &mut view,
                "Deployment",
                namespace,
                &item.name_any(),
                ready,
                wanted,
            );
        }
        let sets: Api<StatefulSet> = Api::namespaced(client.clone(), namespace);
        for item in sets.list(&all).await? {
            let wanted = item
                .spec
                .as_ref()
                .and_then(|spec| spec.replicas)
                .unwrap_or(1);
            let ready = item
                .status
                .as_ref()
                .and_then(|status| status.ready_replicas);
            unready(
                &mut view,
                "StatefulSet",
                namespace,
                &item.name_any(),
                ready,
                wanted,
            );
        }
        let sets: Api<DaemonSet> = Api::namespaced(client.clone(), namespace);
        for item in sets.list(&all).await? {
            let wanted = item
                .status
                .as_ref()
                .map_or(0, |status| status.desired_number_scheduled);
            let ready = item.status.as_ref().map(|status| status.number_ready);
            unready(
                &mut view,
                "DaemonSet",
                namespace,
                &item.name_any(),
                ready,
                wanted,
            );
        }
    }
    Ok(view)
}

fn unready(
    view: &mut observed::Verifying,
    kind: &str,
    namespace: &str,
    name: &str,
    ready: Option<i32>,
    wanted: i32,
) {
    let ready = ready.unwrap_or(0);
    if ready < wanted {
        view.unready.push(format!(
            "{kind} {namespace}/{name} has {ready} of {wanted} pods ready"
        ));
    }
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
