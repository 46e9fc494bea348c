//! What a copy is: a namespace restored beside the original, into a new one that is removed again.
//!
//! The same way round as a restore: [`resource`] says what people want and what is known, [`phase::phase`] where
//! it stands, [`decide`] what comes next, [`facts::apply`] is the only door to the status. Nothing that exists is
//! cleared or changed, so that nobody has to approve it; the one thing that is ever deleted is the namespace that
//! this very request has made.
//!
//! Architecture invariant: nothing here does I/O, is async, or knows a client.

pub mod checks;
pub mod conditions;
pub mod decide;
pub mod facts;
pub mod observed;
pub mod phase;
pub mod resource;

#[cfg(test)]
mod tests;

pub use decide::{Effect, Policy, Subject, decide};
pub use facts::{Fact, apply};
pub use observed::Observed;
pub use phase::{Phase, phase};
pub use resource::{
    Checked, CopyRequest, CopyRequestSpec, CopyStatus, Ending, Made, Outcome, Shown,
};

/// On the Namespace of a copy: the namespace that it is a copy of. Refloat puts it there when it makes the
/// Namespace and can put it nowhere else; the API server's policies let it delete no Namespace without it.
pub const COPY_LABEL: &str = "refloat.dev/copy-of";

/// What is brought into a copy: each resource as Velero selects it, and its kind as a backup lists it.
///
/// What acts on the world outside by itself is left out: jobs would run a second time, routes and ingresses
/// would ask for the original's addresses, and a custom resource may stand for a bucket or a database, which
/// would go when the copy goes.
pub const BROUGHT: &[(&str, &str)] = &[
    ("configmaps", "ConfigMap"),
    ("endpoints", "Endpoints"),
    ("limitranges", "LimitRange"),
    ("persistentvolumeclaims", "PersistentVolumeClaim"),
    ("persistentvolumes", "PersistentVolume"),
    ("pods", "Pod"),
    ("resourcequotas", "ResourceQuota"),
    ("secrets", "Secret"),
    ("serviceaccounts", "ServiceAccount"),
    ("services", "Service"),
    ("daemonsets.apps", "apps/DaemonSet"),
    ("deployments.apps", "apps/Deployment"),
    ("replicasets.apps", "apps/ReplicaSet"),
    ("statefulsets.apps", "apps/StatefulSet"),
    (
        "deploymentconfigs.apps.openshift.io",
        "apps.openshift.io/DeploymentConfig",
    ),
    (
        "horizontalpodautoscalers.autoscaling",
        "autoscaling/HorizontalPodAutoscaler",
    ),
    (
        "imagestreams.image.openshift.io",
        "image.openshift.io/ImageStream",
    ),
    (
        "networkpolicies.networking.k8s.io",
        "networking.k8s.io/NetworkPolicy",
    ),
    ("poddisruptionbudgets.policy", "policy/PodDisruptionBudget"),
    ("replicationcontrollers", "ReplicationController"),
    (
        "rolebindings.rbac.authorization.k8s.io",
        "rbac.authorization.k8s.io/RoleBinding",
    ),
    (
        "roles.rbac.authorization.k8s.io",
        "rbac.authorization.k8s.io/Role",
    ),
];
