//! The checks before anything is touched, and what is looked at while Velero restores and afterwards: each read where
//! people read it.

use anyhow::Context as _;
use harbour::Setup;
use harbour::workloads::NEVER_READY_ANNOTATION;
use harbour::world::Shape;
use k8s_openapi::api::core::v1::{ConfigMap, Event, Namespace, PersistentVolumeClaim, Pod};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::ResourceExt as _;
use kube::api::{Api, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::core::ApiResource;
use refloat::request::{Phase, RestoreStatus, StuckReason};
use serde_json::json;

use crate::refloat::{FAST, Refloat, until};
use crate::world::World;

const REQUEST: &str =
    "restore request tenant:poseidon1 namespaces:dev schedule:daily reason:\"bad migration\"";
const DEV: &str = "poseidon1-dev";

async fn world(shape: Shape) -> anyhow::Result<World> {
    World::start(Setup {
        shape,
        days_of_backups: 2,
        ..Setup::default()
    })
    .await
}

async fn approved(world: &World, refloat: &mut Refloat, line: &str) -> anyhow::Result<String> {
    let name = world.ask(refloat, line).await?;
    world.until_asked(&name).await?;
    refloat.say(&format!("as grace: approve {name}")).await?;
    Ok(name)
}

async fn status(world: &World, name: &str) -> anyhow::Result<RestoreStatus> {
    Ok(world.requests().get(name).await?.status.unwrap_or_default())
}

/// Each check with its name, result and reason, in the thread, in the pull request and in a preview; those that a
/// reviewer has to consent to are marked so.
#[tokio::test(flavor = "multi_thread")]
async fn each_check_stands_in_the_thread_and_on_the_pull_request() -> anyhow::Result<()> {
    let world = world(Shape::small().with_own_applications()).await?;
    let client = world.harbour.client.0.clone();
    let dev = world.here(DEV);
    // A claim and a kind that the backup does not have, and other users than when it was taken.
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), &dev);
    let claim = serde_json::from_value(json!({
        "metadata": { "name": "scratch" },
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": { "requests": { "storage": "1Gi" } },
        },
    }))?;
    claims.create(&PostParams::default(), &claim).await?;
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let range = json!({ "metadata": { "annotations": {
        "openshift.io/sa.scc.uid-range": "1009990000/10000",
    } } });
    namespaces
        .patch(&dev, &PatchParams::default(), &Patch::Merge(&range))
        .await?;
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    let definition = serde_json::from_value(json!({
        "metadata": { "name": "buckets.objects.example.com" },
        "spec": {
            "group": "objects.example.com",
            "scope": "Namespaced",
            "names": { "kind": "Bucket", "plural": "buckets", "singular": "bucket" },
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "schema": { "openAPIV3Schema": { "type": "object" } },
            }],
        },
    }))?;
    definitions
        .create(&PostParams::default(), &definition)
        .await?;
    let kind = ApiResource {
        group: "objects.example.com".to_owned(),
        version: "v1".to_owned(),
        api_version: "objects.example.com/v1".to_owned(),
        kind: "Bucket".to_owned(),
        plural: "buckets".to_owned(),
    };
    let buckets: Api<DynamicObject> = Api::namespaced_with(client, &dev, &kind);
    let bucket = DynamicObject::new("photos", &kind);
    until(|| async {
        let made = buckets.create(&PostParams::default(), &bucket).await;
        Ok(made.is_ok())
    })
    .await?;

    let before = world.harbour.platform.snapshot().await?;
    let order = world.order("poseidon1").await?;
    let mut refloat = Refloat::start(&world.harbour.refloat_config(FAST)?)?;
    refloat
        .say(&world.here("restore preview tenant:poseidon1 namespaces:dev schedule:daily"))
        .await?;
    refloat.until("custom kinds: ").await?;
    refloat.until("Held against the backup").await?;
    let preview = world.plain(&refloat.shown());
    let from = refloat.shown().len();
    let name = world.ask(&mut refloat, REQUEST).await?;
    world.until_asked(&name).await?;
    let checks = [
        "tenant: poseidon1 is ordered in application-definitions/wave-2/poseidon1-tenant.yaml",
        "namespaces: poseidon1-dev belongs to the tenant",
        "no other restore: no other restore holds these namespaces",
        "backup: poseidon1-daily-",
        "storage location: default is Available",
        "discovery: every kind of object could be listed",
        "backup contents: the backup holds ",
        "uid range: needs consent: poseidon1-dev runs as 1009990000/10000 now and ran as ",
        "Velero's queue: Velero is up, and nothing is queued before this restore",
        "node agent: ready on 3 nodes; it brings back 1 volume",
        "quota: there is room for what the backup holds",
        "applications: note: the order reaches 2 Applications; gitops-developers/poseidon1-dev-reports still heals, and \
         the order does not reach it: turn selfHeal off in ",
        "inventory: ",
        "volumes: needs consent: the backup does not hold the data of poseidon1-dev/scratch",
        "custom kinds: needs consent: objects.example.com/Bucket may stand for something outside the cluster",
    ];
    refloat.until_after(from, "custom kinds: ").await?;
    let thread = world.plain(refloat.shown().get(from..).context("it was shown")?);
    let pulls = world.harbour.pulls().await?;
    let [pull] = pulls.as_slice() else {
        anyhow::bail!("{} pull requests", pulls.len());
    };
    // Markdown's backslashes are not read.
    let body = world.plain(&pull.body.replace('\\', ""));
    for (place, text) in [
        ("thread", thread),
        ("pull request", body),
        ("preview", preview),
    ] {
        for check in checks {
            assert!(
                text.contains(check),
                "{check:?} is not in the {place}:\n{text}"
            );
        }
    }
    refloat.say(&format!("restore withdraw {name}")).await?;
    world.until_phase(&name, Phase::Withdrawn).await?;
    refloat.stop().await?;
    world.check_untouched(&before, &order).await?;
    definitions
        .delete("buckets.objects.example.com", &DeleteParams::default())
        .await?;
    world.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storage_location_that_is_down_is_refused() -> anyhow::Result<()> {
    let world = world(Shape::small()).await?;
    let before = world.harbour.platform.snapshot().await?;
    let order = world.order("poseidon1").await?;
    let faults = world.harbour.velero.faults();
    faults.set_location_down(Some("connection refused"));
    let locations = world.velero("BackupStorageLocation", "backupstoragelocations");
    until(|| async {
        let live = locations.get("default").await?;
        Ok(live.data["status"]["phase"] == "Unavailable")
    })
    .await?;
    let mut refloat = Refloat::start(&world.harbour.refloat_config(FAST)?)?;
    let name = world.ask(&mut refloat, REQUEST).await?;
    world.until_phase(&name, Phase::Refused).await?;
    refloat
        .until("its storage location default is Unavailable")
        .await?;
    refloat.stop().await?;
    world.check_untouched(&before, &order).await?;
    world.end().await
}

/// A person has things left as they are: self-heal comes back, and all ends.
async fn resumed_as_is(world: World, mut refloat: Refloat, name: &str) -> anyhow::Result<()> {
    refloat.say(&format!("restore resume {name}")).await?;
    world
        .until_phase_through_stuck(name, Phase::ResumedAsIs)
        .await?;
    refloat.stop().await?;
    world.end().await
}

/// A Restore that stands in the middle, for as long as the test wants.
async fn halfway(world: &World, refloat: &mut Refloat) -> anyhow::Result<String> {
    world.harbour.velero.faults().stall_restores_at(1);
    let name = approved(world, refloat, REQUEST).await?;
    until(|| async {
        let run = status(world, &name).await?.restore;
        Ok(run.is_some_and(|run| run.phase == "InProgress"))
    })
    .await?;
    Ok(name)
}

/// The namespaces are looked at while Velero restores: what somebody else makes there is told, with who, before Velero
/// has ended, and then a person chooses.
#[tokio::test(flavor = "multi_thread")]
async fn what_appears_while_velero_restores_is_told_with_who_made_it() -> anyhow::Result<()> {
    let world = world(Shape::small()).await?;
    let mut refloat = Refloat::start(&world.harbour.refloat_config(FAST)?)?;
    let name = halfway(&world, &mut refloat).await?;
    let pods: Api<Pod> = Api::namespaced(world.harbour.client.0.clone(), &world.here(DEV));
    let stranger = serde_json::from_value(json!({
        "metadata": { "name": "stranger" },
        "spec": { "containers": [{ "name": "a", "image": "registry.example.com/a:1" }] },
    }))?;
    let by_hand = PostParams {
        field_manager: Some("an-operator".to_owned()),
        ..PostParams::default()
    };
    pods.create(&by_hand, &stranger).await?;
    refloat
        .until("Somebody else is at work while Velero restores")
        .await?;
    let who = "Pod poseidon1-dev/stranger (made by an-operator)";
    refloat.until(&world.here(who)).await?;
    let now = status(&world, &name).await?;
    assert!(now.restore.is_some_and(|run| run.ended_at.is_none()));
    world.harbour.velero.faults().release_restores();
    let stuck = world.until_phase(&name, Phase::Stuck).await?;
    let stuck = stuck.status.and_then(|status| status.stuck);
    let stuck = stuck.context("it is stuck")?;
    assert_eq!(stuck.reason, StuckReason::Disturbed);
    assert!(
        world.plain(&stuck.message).contains(who),
        "{}",
        stuck.message
    );
    refloat.say(&format!("restore retry {name}")).await?;
    world.until_phase_through_stuck(&name, Phase::Done).await?;
    // And it is said to the end that this is not from the backup.
    refloat.until("Not from the backup: ").await?;
    refloat.stop().await?;
    world.end().await
}

/// So is an operation that Argo CD begins.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_while_velero_restores_is_told() -> anyhow::Result<()> {
    let world = world(Shape::small()).await?;
    let mut refloat = Refloat::start(&world.harbour.refloat_config(FAST)?)?;
    let name = halfway(&world, &mut refloat).await?;
    let late = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: late\ndata:\n  title: late\n";
    world
        .harbour
        .platform
        .commit_manifests(
            &world.here("poseidon1"),
            "Add a setting",
            &[("dev/files/late.yaml".to_owned(), Some(late.to_owned()))],
        )
        .await?;
    refloat
        .until("Somebody else is at work while Velero restores")
        .await?;
    let told = status(&world, &name).await?.disturbed;
    let told = told.context("it is known")?.message;
    // What a look sees first is chance: the operation, or some of what it makes.
    let seen = [
        "poseidon1-dev-apps-files",
        "ConfigMap poseidon1-dev/late",
        "Deployment poseidon1-dev/files",
        "PersistentVolumeClaim poseidon1-dev/uploads",
        "Service poseidon1-dev/files",
    ];
    assert!(
        seen.iter().any(|seen| told.contains(&world.here(seen))),
        "{told}"
    );
    world.harbour.velero.faults().release_restores();
    world.until_phase(&name, Phase::Stuck).await?;
    resumed_as_is(world, refloat, &name).await
}

/// What does not come up is told with what the last Event about it says; an Event about what was deleted, which had the
/// same name, says nothing of it.
#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_come_up_is_told_with_its_events() -> anyhow::Result<()> {
    let world = world(Shape::small()).await?;
    let client = world.harbour.client.0.clone();
    let dev = world.here(DEV);
    let pods: Api<Pod> = Api::namespaced(client.clone(), &dev);
    let events: Api<Event> = Api::namespaced(client, &dev);
    let listed = pods.list(&ListParams::default()).await?.items;
    let pod = listed.first().context("no pod")?.clone();
    let name_of_pod = pod.name_any();
    let warn = |event: &str, about: &Pod, message: &str| {
        serde_json::from_value::<Event>(json!({
            "metadata": { "name": event },
            "involvedObject": {
                "kind": "Pod", "apiVersion": "v1", "namespace": dev,
                "name": about.name_any(), "uid": about.uid(),
            },
            "type": "Warning",
            "reason": "Unhealthy",
            "message": message,
            "lastTimestamp": jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        }))
    };
    let create = PostParams::default();
    let old = warn("before", &pod, "an old trouble")?;
    events.create(&create, &old).await?;
    // The backup holds a pod that will not be ready.
    let never = json!({ "metadata": { "annotations": { NEVER_READY_ANNOTATION: "true" } } });
    pods.patch(&name_of_pod, &PatchParams::default(), &Patch::Merge(&never))
        .await?;
    world
        .back_up(
            &world.here("poseidon1-unready"),
            json!({ "includedNamespaces": [dev], "defaultVolumesToFsBackup": true }),
        )
        .await?;
    let config = format!("{FAST}deadlines: {{ verify: 4s }}\n");
    let mut refloat = Refloat::start(&world.harbour.refloat_config(&config)?)?;
    let name = approved(
        &world,
        &mut refloat,
        "restore request tenant:poseidon1 namespaces:dev backup:poseidon1-unready reason:x",
    )
    .await?;
    let restored = std::sync::Mutex::new(None);
    until(|| async {
        let live = pods.get_opt(&name_of_pod).await?;
        let live = live.filter(|live| live.uid() != pod.uid());
        let is_there = live.is_some();
        *restored.lock().expect("no panic holds it") = live;
        Ok(is_there)
    })
    .await?;
    let restored = restored.lock().expect("no panic holds it").take();
    let restored = restored.context("it was restored")?;
    let probe = "Readiness probe failed: connection refused";
    let new = warn("after", &restored, probe)?;
    events.create(&create, &new).await?;
    let stuck = world.until_phase(&name, Phase::Stuck).await?;
    let stuck = stuck.status.and_then(|status| status.stuck);
    let stuck = stuck.context("it is stuck")?;
    assert_eq!(stuck.reason, StuckReason::VerificationFailed);
    let told = format!("pod {dev}/{name_of_pod} is not ready");
    assert!(stuck.message.contains(&told), "{}", stuck.message);
    assert!(stuck.message.contains(probe), "{}", stuck.message);
    assert!(
        !stuck.message.contains("an old trouble"),
        "{}",
        stuck.message
    );
    refloat.until(probe).await?;
    resumed_as_is(world, refloat, &name).await
}

/// Velero warns of what was kept and differs from the backup: that is counted, and not spread out before people.
#[tokio::test(flavor = "multi_thread")]
async fn warnings_about_what_was_kept_are_folded() -> anyhow::Result<()> {
    let world = world(Shape::small()).await?;
    let maps: Api<ConfigMap> = Api::namespaced(world.harbour.client.0.clone(), &world.here(DEV));
    let renewed = json!({ "data": { "ca.crt": "a newer certificate authority\n" } });
    maps.patch(
        "kube-root-ca.crt",
        &PatchParams::default(),
        &Patch::Merge(&renewed),
    )
    .await?;
    let mut refloat = Refloat::start(&world.harbour.refloat_config(FAST)?)?;
    let name = approved(&world, &mut refloat, REQUEST).await?;
    world.until_phase(&name, Phase::Done).await?;
    refloat
        .until("1 warning of what was kept and is there already")
        .await?;
    let run = status(&world, &name).await?.restore;
    let run = run.context("there was a Restore")?;
    assert_eq!((run.harmless, run.notes.len()), (1, 0), "{:?}", run.notes);
    assert!(!refloat.shown().contains("already exists"));
    refloat.stop().await?;
    world.end().await
}
