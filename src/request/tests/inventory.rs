//! What would be deleted, what stays, and in which order.

use std::collections::BTreeSet;

use super::build::*;
use crate::request::inventory::*;

fn annotated(mut object: LiveObject, key: &str, value: &str) -> LiveObject {
    object.annotations.insert(key.to_owned(), value.to_owned());
    object
}

fn labelled(mut object: LiveObject, key: &str, value: &str) -> LiveObject {
    object.labels.insert(key.to_owned(), value.to_owned());
    object
}

fn platform() -> Ownership {
    Ownership {
        platform: BTreeSet::from(["tenants".to_owned()]),
    }
}

fn fates(objects: &[LiveObject]) -> Vec<String> {
    classify(objects, &platform())
        .into_iter()
        .map(|fate| match fate {
            Fate::Keep(keep) => format!("stays: {keep}"),
            Fate::Delete(stage) => format!("{stage:?}"),
        })
        .collect()
}

#[test]
fn each_kind() {
    const TRACKING: &str = "argocd.argoproj.io/tracking-id";
    const INSTANCE: &str = "app.kubernetes.io/instance";
    const ACCOUNT: &str = "kubernetes.io/service-account.name";
    const PULLER: &str = "openshift.io/internal-registry-auth-token.service-account";
    let rbac = "rbac.authorization.k8s.io";
    let rows = vec![
        (object("apps", "Deployment", "a"), "Workloads"),
        (object("apps", "StatefulSet", "a"), "Workloads"),
        (object("apps", "DaemonSet", "a"), "Workloads"),
        (object("apps", "ReplicaSet", "a"), "Workloads"),
        (object("", "ReplicationController", "a"), "Workloads"),
        (
            object("apps.openshift.io", "DeploymentConfig", "a"),
            "Workloads",
        ),
        (object("batch", "Job", "a"), "Workloads"),
        (object("batch", "CronJob", "a"), "Starters"),
        (
            object("autoscaling", "HorizontalPodAutoscaler", "a"),
            "Starters",
        ),
        (object("", "Pod", "a"), "Pods"),
        (object("", "PersistentVolumeClaim", "a"), "Claims"),
        (object("", "ConfigMap", "a"), "Rest"),
        (object("", "Secret", "a"), "Rest"),
        (object("", "Service", "a"), "Rest"),
        (object("networking.k8s.io", "Ingress", "a"), "Rest"),
        (object("route.openshift.io", "Route", "a"), "Rest"),
        (object("policy", "PodDisruptionBudget", "a"), "Rest"),
        (object("kafka.strimzi.io", "Kafka", "a"), "Custom"),
        (
            object("objectbucket.io", "ObjectBucketClaim", "a"),
            "Custom",
        ),
        (object("cluster.x-k8s.io", "Machine", "a"), "Custom"),
        (object("", "ServiceAccount", "app"), "Rest"),
        (
            object("", "ServiceAccount", "default"),
            "stays: every namespace has it",
        ),
        (
            object("", "ServiceAccount", "builder"),
            "stays: every namespace has it",
        ),
        (
            object("", "ServiceAccount", "deployer"),
            "stays: every namespace has it",
        ),
        (
            object("", "ConfigMap", "kube-root-ca.crt"),
            "stays: every namespace has it",
        ),
        (
            object("", "ConfigMap", "openshift-service-ca.crt"),
            "stays: every namespace has it",
        ),
        (
            annotated(object("", "Secret", "default-token-1"), ACCOUNT, "default"),
            "stays: belongs to a service account",
        ),
        (
            annotated(
                object("", "Secret", "builder-dockercfg-1"),
                PULLER,
                "builder",
            ),
            "stays: belongs to a service account",
        ),
        (
            annotated(object("", "Secret", "app-token-1"), ACCOUNT, "app"),
            "Rest",
        ),
        (
            object(rbac, "RoleBinding", "system:image-pullers"),
            "stays: a system role binding",
        ),
        (object(rbac, "RoleBinding", "mine"), "Rest"),
        (
            labelled(
                object("operators.coreos.com", "ClusterServiceVersion", "a"),
                "olm.copiedFrom",
                "openshift-operators",
            ),
            "stays: a copy made by OLM",
        ),
        (
            object("operators.coreos.com", "ClusterServiceVersion", "b"),
            "Custom",
        ),
        (
            object("snapshot.storage.k8s.io", "VolumeSnapshot", "a"),
            "stays: deleting it can destroy the snapshot",
        ),
        (object("", "Event", "a"), "stays: an event"),
        (object("events.k8s.io", "Event", "a"), "stays: an event"),
        (object("", "ResourceQuota", "mine"), "Rest"),
        (
            annotated(
                object("", "ResourceQuota", "a"),
                TRACKING,
                "tenants:/ResourceQuota:ns/a",
            ),
            "stays: belongs to the platform (Application tenants)",
        ),
        (
            labelled(
                object("networking.k8s.io", "NetworkPolicy", "a"),
                INSTANCE,
                "tenants",
            ),
            "stays: belongs to the platform (Application tenants)",
        ),
        (
            labelled(
                annotated(
                    object("", "ConfigMap", "b"),
                    TRACKING,
                    "web:/ConfigMap:ns/b",
                ),
                INSTANCE,
                "tenants",
            ),
            "Rest",
        ),
        (
            labelled(object("", "ConfigMap", "c"), INSTANCE, "web"),
            "Rest",
        ),
    ];
    for (object, expected) in rows {
        assert_eq!(fates(std::slice::from_ref(&object)), [expected], "{object}");
    }
}

#[test]
fn owners_and_what_is_below_them() {
    let tracked = |object| annotated(object, "argocd.argoproj.io/tracking-id", "tenants:x");
    let stays = "stays: its owner stays";

    // What a kept owner would make anew stays, also where that owner's owner goes.
    let kept = vec![
        object("apps", "Deployment", "top"),
        below(
            "Deployment/top",
            tracked(object("apps", "ReplicaSet", "mid")),
        ),
        below("ReplicaSet/mid", object("", "Pod", "low")),
    ];
    assert_eq!(
        fates(&kept),
        [
            "stays: what it owns stays",
            "stays: belongs to the platform (Application tenants)",
            stays
        ]
    );

    // Deleting an owner would delete the snapshot.
    let snapshot = vec![
        object("volsync.backube", "ReplicationSource", "r"),
        below(
            "ReplicationSource/r",
            object("snapshot.storage.k8s.io", "VolumeSnapshot", "s"),
        ),
    ];
    assert_eq!(
        fates(&snapshot),
        [
            "stays: what it owns stays",
            "stays: deleting it can destroy the snapshot"
        ]
    );

    // An account's secrets go with it, and Endpoints with their Service.
    let named = vec![
        tracked(object("", "ServiceAccount", "app")),
        annotated(
            object("", "Secret", "app-token"),
            "kubernetes.io/service-account.name",
            "app",
        ),
        tracked(object("", "Service", "db")),
        object("", "Endpoints", "db"),
    ];
    assert_eq!(fates(&named)[1], stays);
    assert_eq!(fates(&named)[3], stays);

    // Owners in a ring do not hang it.
    let ring = vec![
        below("Pod/b", object("", "Pod", "a")),
        below("Pod/a", object("", "Pod", "b")),
    ];
    assert_eq!(fates(&ring), ["Pods", "Pods"]);
    assert_eq!(
        next(&ring),
        "wait for Pod poseidon1-dev/a, Pod poseidon1-dev/b"
    );
}

/// The next batch in few words, everything here approved.
fn next(objects: &[LiveObject]) -> String {
    let approved = InventorySummary::of(objects, &platform());
    next_of(objects, &approved)
}

fn next_of(objects: &[LiveObject], approved: &InventorySummary) -> String {
    match next_batch(objects, &platform(), approved, at(0), 2) {
        Next::Empty => "empty".to_owned(),
        Next::Delete(batch) => format!(
            "delete {}",
            batch
                .iter()
                .map(|object| object.uid.as_str())
                .collect::<Vec<_>>()
                .join(" ")
        ),
        Next::Terminating(names) => format!("wait for {}", names.join(", ")),
        Next::Foreign(names) => format!("foreign {}", names.join(", ")),
    }
}

fn terminating(mut object: LiveObject, finalizer: Option<&str>) -> LiveObject {
    object.terminating = true;
    object.finalizers = finalizer.map(str::to_owned).into_iter().collect();
    object
}

fn younger(mut object: LiveObject) -> LiveObject {
    object.created = at(1);
    object
}

#[test]
fn stage_by_stage() {
    let mut objects = vec![
        object("", "ConfigMap", "settings"),
        object("", "PersistentVolumeClaim", "data"),
        object("", "Pod", "bare"),
        object("apps", "Deployment", "web"),
        below("Deployment/web", object("apps", "ReplicaSet", "web-1")),
        below("ReplicaSet/web-1", object("", "Pod", "web-1-a")),
        object("batch", "CronJob", "nightly"),
        object("kafka.strimzi.io", "Kafka", "events"),
    ];
    let mut order = Vec::new();
    loop {
        let approved = InventorySummary::of(&objects, &platform());
        match next_batch(&objects, &platform(), &approved, at(0), 2) {
            Next::Empty => break,
            Next::Delete(batch) => {
                for object in &batch {
                    order.push(object.uid.clone());
                    objects.retain(|other| other.uid != object.uid);
                }
            }
            next => panic!("{next:?}"),
        }
    }
    assert_eq!(
        order,
        [
            "Kafka/events",
            "CronJob/nightly",
            "Deployment/web",
            "ReplicaSet/web-1",
            "Pod/bare",
            "Pod/web-1-a",
            "PersistentVolumeClaim/data",
            "ConfigMap/settings"
        ]
    );
}

#[test]
fn the_next_batch() {
    let settings = || object("", "ConfigMap", "settings");
    let deployment = || object("apps", "Deployment", "web");
    let set = || below("Deployment/web", object("apps", "ReplicaSet", "web-1"));
    let pod = || below("ReplicaSet/web-1", object("", "Pod", "web-1-a"));
    let rows = vec![
        ("nothing", vec![], "empty"),
        (
            "nothing but what stays",
            vec![object("", "ServiceAccount", "default")],
            "empty",
        ),
        (
            "dependents are left to the garbage collector",
            vec![deployment(), set(), pod()],
            "delete Deployment/web",
        ),
        (
            "the owner is gone: the old dependent goes",
            vec![set(), pod()],
            "delete ReplicaSet/web-1",
        ),
        (
            "the owner is gone: the young dependent is waited for",
            vec![younger(set()), settings()],
            "wait for ReplicaSet poseidon1-dev/web-1",
        ),
        (
            "made anew by a controller that is there",
            vec![deployment(), set(), younger(pod())],
            "delete Deployment/web",
        ),
        (
            "the next stage waits for what is terminating",
            vec![
                terminating(pod(), None),
                object("", "PersistentVolumeClaim", "data"),
            ],
            "wait for Pod poseidon1-dev/web-1-a",
        ),
        (
            "a finalizer is named",
            vec![terminating(settings(), Some("example.com/hold"))],
            "wait for ConfigMap poseidon1-dev/settings (finalizer example.com/hold)",
        ),
        (
            "young and on its own",
            vec![settings(), younger(object("", "Secret", "s"))],
            "foreign Secret poseidon1-dev/s",
        ),
        (
            "young, but going",
            vec![
                settings(),
                terminating(younger(object("", "Secret", "s")), None),
            ],
            "delete ConfigMap/settings",
        ),
        (
            "no more than a batch",
            vec![
                settings(),
                object("", "ConfigMap", "b"),
                object("", "ConfigMap", "c"),
            ],
            "delete ConfigMap/settings ConfigMap/b",
        ),
        (
            "a dependent of an earlier stage does not block its owner",
            vec![
                deployment(),
                below(
                    "Deployment/web",
                    object("monitoring.coreos.com", "ServiceMonitor", "m"),
                ),
            ],
            "delete Deployment/web",
        ),
        (
            "an owner of pods goes before the claims that they use",
            vec![
                object("gateway.networking.k8s.io", "Gateway", "g"),
                below("Gateway/g", object("apps", "Deployment", "g")),
                below("Deployment/g", object("", "Pod", "g-1")),
                object("", "PersistentVolumeClaim", "data"),
            ],
            "delete Gateway/g",
        ),
        (
            "Endpoints are left to their Service",
            vec![object("", "Endpoints", "db"), object("", "Service", "db")],
            "delete Service/db",
        ),
        (
            "Endpoints made anew block nothing",
            vec![
                younger(object("", "Endpoints", "db")),
                object("", "Service", "db"),
            ],
            "delete Service/db",
        ),
        (
            "an account's secret is left to the account",
            vec![
                object("", "ServiceAccount", "app"),
                younger(annotated(
                    object("", "Secret", "t"),
                    "kubernetes.io/service-account.name",
                    "app",
                )),
            ],
            "delete ServiceAccount/app",
        ),
    ];
    for (name, objects, expected) in rows {
        assert_eq!(next(&objects), expected, "{name}");
    }
    let approved = InventorySummary::of(&[settings()], &platform());
    assert_eq!(
        next_of(&[settings(), object("", "Secret", "s")], &approved),
        "foreign Secret poseidon1-dev/s",
        "a kind that nobody approved"
    );
}

#[test]
fn whole_seconds() {
    // As the API server shows them: made at 0.9 s, read as 0.
    let approved = vec![object("", "ConfigMap", "settings")];
    let cutoff = youngest(&approved, &platform()).unwrap();
    assert_eq!(cutoff, at(-3600));
    let mut later = object("", "ConfigMap", "later");
    later.created = at(-3599);
    let mut objects = approved.clone();
    objects.push(later);
    let summary = InventorySummary::of(&approved, &platform());
    assert_eq!(
        next_batch(&objects, &platform(), &summary, cutoff, 2),
        Next::Foreign(vec!["ConfigMap poseidon1-dev/later".to_owned()])
    );
    assert_eq!(
        next_batch(&approved, &platform(), &summary, cutoff, 2),
        Next::Delete(approved.clone())
    );
    // What is made anew by controllers does not move it.
    let with_pod = [
        approved,
        vec![
            object("apps", "ReplicaSet", "r"),
            younger(below("ReplicaSet/r", object("", "Pod", "p"))),
        ],
    ]
    .concat();
    assert_eq!(youngest(&with_pod, &platform()), Some(cutoff));
    assert_eq!(youngest(&[], &platform()), None);
}

#[test]
fn the_summary() {
    let mut objects = web();
    objects[3].size = Some("5Gi".to_owned());
    objects.push(object("kafka.strimzi.io", "Kafka", "events"));
    objects.push(object("", "ServiceAccount", "default"));
    let summary = InventorySummary::of(&objects, &platform());
    assert_eq!(summary.total(), 6);
    assert_eq!(summary.delete["apps/Deployment"], 1);
    assert_eq!(summary.keep["ServiceAccount"], 1);
    assert_eq!(summary.custom, ["kafka.strimzi.io/Kafka"]);
    assert_eq!(summary.claims[0].size.as_deref(), Some("5Gi"));
    assert_eq!(doomed(&objects, &platform()), 6);
}

#[test]
fn the_digest() {
    type Change = fn(&mut Vec<LiveObject>);
    let of = |objects: &[LiveObject]| InventorySummary::of(objects, &platform()).digest;
    let base = of(&web());
    let change = |change: Change| {
        let mut objects = web();
        change(&mut objects);
        of(&objects)
    };
    let same: [(&str, Change); 6] = [
        ("another order", |objects| objects.reverse()),
        ("a pod of a controller was replaced", |objects| {
            "new".clone_into(&mut objects[2].uid);
        }),
        ("a pod of a controller is gone", |objects| {
            objects.remove(2);
        }),
        ("something that stays", |objects| {
            objects.push(object("", "Event", "e"));
        }),
        ("a label", |objects| {
            objects[4].labels.insert("a".to_owned(), "b".to_owned());
        }),
        ("it is going", |objects| objects[4].terminating = true),
    ];
    for (name, same) in same {
        assert_eq!(change(same), base, "{name}");
    }
    let other: [(&str, Change); 4] = [
        ("one is added", |objects| {
            objects.push(object("", "Secret", "s"));
        }),
        ("one is gone", |objects| {
            objects.pop();
        }),
        ("one was replaced", |objects| {
            "new".clone_into(&mut objects[4].uid);
        }),
        ("one has another name", |objects| {
            "b".clone_into(&mut objects[4].name);
        }),
    ];
    for (name, other) in other {
        assert_ne!(change(other), base, "{name}");
    }
}
