//! The kinds that the server knows: the built-in ones as one table, and the
//! form that custom ones share with them.

use std::sync::{Arc, LazyLock};

use k8s_openapi::api::{
    admissionregistration::v1 as admissionregistration, apps::v1 as apps,
    autoscaling::v2 as autoscaling, batch::v1 as batch, coordination::v1 as coordination,
    core::v1 as core, discovery::v1 as discovery, events::v1 as events,
    networking::v1 as networking, policy::v1 as policy, rbac::v1 as rbac, storage::v1 as storage,
};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1 as extensions;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::schema::Schema;

/// A resource of the API: what discovery tells about it and how it is kept.
#[derive(Debug)]
#[allow(clippy::struct_field_names, reason = "these are the API's own names")]
pub(super) struct Kind {
    pub(super) group: String,
    pub(super) version: String,
    pub(super) kind: String,
    pub(super) list_kind: String,
    pub(super) plural: String,
    pub(super) singular: String,
    pub(super) short_names: Vec<String>,
    pub(super) categories: Vec<String>,
    pub(super) namespaced: bool,
    /// Whether `status` is written through its own subresource only.
    pub(super) status: bool,
    /// Whether `metadata.generation` counts changes of the spec.
    pub(super) generation: bool,
    pub(super) origin: Origin,
}

/// Reads an object as its type and writes it back, without what the type does not have.
pub(super) type Shape = fn(&Value) -> Result<Value, serde_json::Error>;

#[derive(Debug)]
pub(super) enum Origin {
    BuiltIn(Shape),
    Custom(Arc<Schema>),
    /// Can be posted only; the answer is computed, nothing is kept.
    Review,
}

impl Kind {
    /// `v1` or `group/version`.
    pub(super) fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.clone()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// `configmaps` or `backups.velero.io`: names the resource in messages and the store.
    pub(super) fn qualified(&self) -> String {
        if self.group.is_empty() {
            self.plural.clone()
        } else {
            format!("{}.{}", self.plural, self.group)
        }
    }

    /// `ConfigMap` or `Backup.velero.io`.
    pub(super) fn group_kind(&self) -> String {
        if self.group.is_empty() {
            self.kind.clone()
        } else {
            format!("{}.{}", self.kind, self.group)
        }
    }

    pub(super) fn schema(&self) -> Option<&Schema> {
        match &self.origin {
            Origin::Custom(schema) => Some(schema),
            Origin::BuiltIn(_) | Origin::Review => None,
        }
    }

    pub(super) fn is(&self, group: &str, kind: &str) -> bool {
        self.group == group && self.kind == kind
    }

    pub(super) fn verbs(&self) -> &'static [&'static str] {
        match self.origin {
            Origin::Review => &["create"],
            Origin::BuiltIn(_) | Origin::Custom(_) => &[
                "create",
                "delete",
                "deletecollection",
                "get",
                "list",
                "patch",
                "update",
                "watch",
            ],
        }
    }
}

fn shape<K: DeserializeOwned + Serialize>(value: &Value) -> Result<Value, serde_json::Error> {
    serde_json::to_value(K::deserialize(value)?)
}

const CLUSTER: u8 = 1;
const STATUS: u8 = 2;
const GENERATION: u8 = 4;

type Row = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static [&'static str],
    u8,
    Shape,
);

macro_rules! table {
    ($($group:literal, $version:literal, $kind:ident, $plural:literal, [$($short:literal),*], $traits:expr, $shape:ty;)*) => {
        &[$(($group, $version, stringify!($kind), $plural, &[$($short),*], $traits, shape::<$shape>)),*]
    };
}

const TABLE: &[Row] = table! {
    // Group, version, kind, plural, short names, traits, type.
    "", "v1", Namespace, "namespaces", ["ns"], CLUSTER | STATUS, core::Namespace;
    "", "v1", Node, "nodes", ["no"], CLUSTER | STATUS, core::Node;
    "", "v1", PersistentVolume, "persistentvolumes", ["pv"], CLUSTER | STATUS, core::PersistentVolume;
    "", "v1", Pod, "pods", ["po"], STATUS, core::Pod;
    "", "v1", Service, "services", ["svc"], STATUS, core::Service;
    "", "v1", Endpoints, "endpoints", ["ep"], 0, core::Endpoints;
    "", "v1", ConfigMap, "configmaps", ["cm"], 0, core::ConfigMap;
    "", "v1", Secret, "secrets", [], 0, core::Secret;
    "", "v1", ServiceAccount, "serviceaccounts", ["sa"], 0, core::ServiceAccount;
    "", "v1", PersistentVolumeClaim, "persistentvolumeclaims", ["pvc"], STATUS, core::PersistentVolumeClaim;
    "", "v1", ReplicationController, "replicationcontrollers", ["rc"], STATUS | GENERATION, core::ReplicationController;
    "", "v1", ResourceQuota, "resourcequotas", ["quota"], STATUS, core::ResourceQuota;
    "", "v1", LimitRange, "limitranges", ["limits"], 0, core::LimitRange;
    "", "v1", Event, "events", ["ev"], 0, core::Event;
    "", "v1", PodTemplate, "podtemplates", [], 0, core::PodTemplate;
    "apps", "v1", Deployment, "deployments", ["deploy"], STATUS | GENERATION, apps::Deployment;
    "apps", "v1", ReplicaSet, "replicasets", ["rs"], STATUS | GENERATION, apps::ReplicaSet;
    "apps", "v1", StatefulSet, "statefulsets", ["sts"], STATUS | GENERATION, apps::StatefulSet;
    "apps", "v1", DaemonSet, "daemonsets", ["ds"], STATUS | GENERATION, apps::DaemonSet;
    "apps", "v1", ControllerRevision, "controllerrevisions", [], 0, apps::ControllerRevision;
    "batch", "v1", Job, "jobs", [], STATUS | GENERATION, batch::Job;
    "batch", "v1", CronJob, "cronjobs", ["cj"], STATUS | GENERATION, batch::CronJob;
    "autoscaling", "v2", HorizontalPodAutoscaler, "horizontalpodautoscalers", ["hpa"], STATUS, autoscaling::HorizontalPodAutoscaler;
    "policy", "v1", PodDisruptionBudget, "poddisruptionbudgets", ["pdb"], STATUS | GENERATION, policy::PodDisruptionBudget;
    "networking.k8s.io", "v1", Ingress, "ingresses", ["ing"], STATUS | GENERATION, networking::Ingress;
    "networking.k8s.io", "v1", NetworkPolicy, "networkpolicies", ["netpol"], GENERATION, networking::NetworkPolicy;
    "discovery.k8s.io", "v1", EndpointSlice, "endpointslices", [], GENERATION, discovery::EndpointSlice;
    "rbac.authorization.k8s.io", "v1", Role, "roles", [], 0, rbac::Role;
    "rbac.authorization.k8s.io", "v1", RoleBinding, "rolebindings", [], 0, rbac::RoleBinding;
    "rbac.authorization.k8s.io", "v1", ClusterRole, "clusterroles", [], CLUSTER, rbac::ClusterRole;
    "rbac.authorization.k8s.io", "v1", ClusterRoleBinding, "clusterrolebindings", [], CLUSTER, rbac::ClusterRoleBinding;
    "admissionregistration.k8s.io", "v1", ValidatingAdmissionPolicy, "validatingadmissionpolicies", [], CLUSTER | STATUS | GENERATION, admissionregistration::ValidatingAdmissionPolicy;
    "admissionregistration.k8s.io", "v1", ValidatingAdmissionPolicyBinding, "validatingadmissionpolicybindings", [], CLUSTER, admissionregistration::ValidatingAdmissionPolicyBinding;
    "coordination.k8s.io", "v1", Lease, "leases", [], 0, coordination::Lease;
    "events.k8s.io", "v1", Event, "events", ["ev"], 0, events::Event;
    "storage.k8s.io", "v1", StorageClass, "storageclasses", ["sc"], CLUSTER, storage::StorageClass;
    "apiextensions.k8s.io", "v1", CustomResourceDefinition, "customresourcedefinitions", ["crd", "crds"], CLUSTER | STATUS | GENERATION, extensions::CustomResourceDefinition;
};

/// Group, version, kind, plural, traits: what can only be posted.
const REVIEWS: &[(&str, &str, &str, &str, u8)] = &[
    (
        "authentication.k8s.io",
        "v1",
        "SelfSubjectReview",
        "selfsubjectreviews",
        CLUSTER,
    ),
    (
        "authentication.k8s.io",
        "v1",
        "TokenReview",
        "tokenreviews",
        CLUSTER,
    ),
    (
        "authorization.k8s.io",
        "v1",
        "SelfSubjectAccessReview",
        "selfsubjectaccessreviews",
        CLUSTER,
    ),
    (
        "authorization.k8s.io",
        "v1",
        "SubjectAccessReview",
        "subjectaccessreviews",
        CLUSTER,
    ),
    (
        "authorization.k8s.io",
        "v1",
        "LocalSubjectAccessReview",
        "localsubjectaccessreviews",
        0,
    ),
];

const IN_ALL: &[&str] = &[
    "pods",
    "services",
    "replicationcontrollers",
    "deployments",
    "replicasets",
    "statefulsets",
    "daemonsets",
    "jobs",
    "cronjobs",
    "horizontalpodautoscalers",
];

static BUILT_IN: LazyLock<Vec<Arc<Kind>>> = LazyLock::new(|| {
    let kept = TABLE
        .iter()
        .map(|&(group, version, kind, plural, short, traits, shape)| {
            (
                group,
                version,
                kind,
                plural,
                short,
                traits,
                Origin::BuiltIn(shape),
            )
        });
    let reviews = REVIEWS
        .iter()
        .map(|&(group, version, kind, plural, traits)| {
            (
                group,
                version,
                kind,
                plural,
                &[][..],
                traits,
                Origin::Review,
            )
        });
    kept.chain(reviews)
        .map(|(group, version, kind, plural, short, traits, origin)| {
            Arc::new(Kind {
                group: group.to_owned(),
                version: version.to_owned(),
                kind: kind.to_owned(),
                list_kind: format!("{kind}List"),
                plural: plural.to_owned(),
                singular: kind.to_lowercase(),
                short_names: short.iter().map(ToString::to_string).collect(),
                categories: if IN_ALL.contains(&plural) {
                    vec!["all".to_owned()]
                } else {
                    Vec::new()
                },
                namespaced: traits & CLUSTER == 0,
                status: traits & STATUS != 0,
                generation: traits & GENERATION != 0,
                origin,
            })
        })
        .collect()
});

/// The kinds that every server has.
pub(super) fn built_in() -> &'static [Arc<Kind>] {
    &BUILT_IN
}

/// A built-in kind by its group and name; the group `""` is core.
pub(super) fn known(group: &str, kind: &str) -> Option<&'static Arc<Kind>> {
    built_in().iter().find(|known| known.is(group, kind))
}
