//! The traps of the domain, each sprung, each seen from the front door: nothing
//! is cleared that should not be, and nothing is called done that is not.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use harbour::gate::Fate;
use harbour::velero::{BackupSeed, Ending};
use harbour::world::{RUNTIME_SETTINGS, Shape};
use harbour::{REFLOAT_KUBERNETES_TOKEN, Setup};
use jiff::SignedDuration;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, ResourceQuota};
use kube::ResourceExt as _;
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams};
use refloat::request::resource::Checked;
use refloat::request::{Phase, RestoreStatus, StuckReason, phase};
use serde_json::json;

use crate::refloat::{FAST, Refloat, until};
use crate::world::World;

const REQUEST: &str =
    "restore request tenant:poseidon1 namespaces:dev schedule:daily reason:\"bad migration\"";
const DEV: &str = "poseidon1-dev";

async fn small() -> anyhow::Result<World> {
    World::start(Setup {
        shape: Shape::small(),
        days_of_backups: 2,
        ..Setup::default()
    })
    .await
}

/// As [`FAST`], with short deadlines.
fn hurried(deadlines: &str) -> String {
    format!("{FAST}deadlines: {{ {deadlines} }}\n")
}

async fn approved(world: &World, refloat: &mut Refloat, line: &str) -> anyhow::Result<String> {
    let name = world.ask(refloat, line).await?;
    world.until_asked(&name).await?;
    refloat.say(&format!("as grace: approve {name}")).await?;
    Ok(name)
}

async fn stuck(world: &World, name: &str) -> anyhow::Result<(StuckReason, String)> {
    let request = world.until_phase(name, Phase::Stuck).await?;
    let stuck = request.status.and_then(|status| status.stuck);
    let stuck = stuck.context("it is stuck")?;
    Ok((stuck.reason, stuck.message))
}

async fn refused(world: &World, refloat: &mut Refloat, line: &str) -> anyhow::Result<String> {
    let name = world.ask(refloat, line).await?;
    let now = || async {
        let status = world.requests().get(&name).await?.status;
        let status = status.unwrap_or_default();
        anyhow::Ok((phase(&status), status.pause.is_some()))
    };
    until(|| async {
        let (now, opened) = now().await?;
        Ok(now.is_over() || now == Phase::AwaitingApproval && opened)
    })
    .await?;
    if now().await?.0 == Phase::AwaitingApproval {
        return Err(fall_in(world, refloat, &name).await?);
    }
    let request = world.until_phase(&name, Phase::Refused).await?;
    let message = request
        .status
        .and_then(|status| status.ending)
        .map(|ending| ending.message)
        .unwrap_or_default();
    refloat.until("Refused.").await?;
    Ok(world.plain(&message))
}

/// Goes on with what should have been refused, as people would who see nothing wrong;
/// the error says what comes of it.
async fn fall_in(
    world: &World,
    refloat: &mut Refloat,
    name: &str,
) -> anyhow::Result<anyhow::Error> {
    let before = world.harbour.platform.snapshot().await?;
    let request = world.until_asked(name).await?;
    let status = request.status.unwrap_or_default();
    let uid = request.metadata.uid.unwrap_or_default();
    let digest = refloat::request::digest(&uid, &request.spec, &status);
    refloat.say(&format!("as grace: approve {name}")).await?;
    let consents = status.checked.iter();
    if consents.flat_map(Checked::needing_consent).next().is_some() {
        let consent = format!("restore consent {name} digest:{}", &digest[..8]);
        refloat.say(&format!("as grace: {consent}")).await?;
    }
    let last = Mutex::new(RestoreStatus::default());
    let ended = until(|| async {
        let status = world.requests().get(name).await?.status;
        let status = status.unwrap_or_default();
        let now = phase(&status);
        *last.lock().expect("no panic holds it") = status;
        Ok(now.is_over() || now == Phase::Stuck)
    })
    .await;
    let status = last.lock().expect("no panic holds it").clone();
    let after = world.harbour.platform.snapshot().await?;
    Ok(anyhow::anyhow!(
        "it was not refused but approved, and is {:?} ({ended:?}): {:?}; the world differs: {:#?}",
        phase(&status),
        status.stuck,
        before.differences(&after)
    ))
}

/// A backup that names the namespace, holds nothing of it, and ends `Completed`.
#[tokio::test(flavor = "multi_thread")]
async fn a_backup_without_the_namespace_is_refused() -> anyhow::Result<()> {
    let world = small().await?;
    let before = world.harbour.platform.snapshot().await?;
    let order = world.order("poseidon1").await?;
    world
        .back_up(
            "poseidon1-hollow",
            json!({
                "includedNamespaces": [world.here(DEV)],
                "labelSelector": { "matchLabels": { "nothing": "has-this" } },
            }),
        )
        .await?;
    let mut refloat = Refloat::start(&world.harbour.refloat_config(FAST)?)?;
    let sentence = refused(
        &world,
        &mut refloat,
        "restore request tenant:poseidon1 namespaces:dev backup:poseidon1-hollow reason:x",
    )
    .await?;
    assert!(
        sentence.starts_with("The backup poseidon1-hollow holds nothing of poseidon1-dev"),
        "{sentence}"
    );
    refloat.stop().await?;
    world.check_untouched(&before, &order).await?;
    world.end().await
}

/// The revision that an Application is at was never recorded by a sync: Argo CD would
/// bring back at once what is deleted.
#[tokio::test(flavor = "multi_thread")]
async fn a_revision_that_was_never_recorded_is_recorded_first() -> anyhow::Result<()> {
    let world = small().await?;
    let before = world.harbour.platform.snapshot().await?;
    let order = world.order("poseidon1").await?;
    // It changes no manifest: the Application is Synced at it without a sync.
    let commit = world
        .harbour
        .platform
        .commit_manifests(
            &world.here("poseidon1"),
            "Say what this is",
            &[("README.md".to_owned(), Some("Deployments.\n".to_owned()))],
        )
        .await?;
    let name = world.here("poseidon1-dev-apps-files");
    until(|| async {
        let app = world.application(&name).await?;
        Ok(app.data["status"]["sync"]["revision"] == commit
            && app.data["status"]["sync"]["status"] == "Synced")
    })
    .await?;
    let app = world.application(&name).await?;
    assert_ne!(
        app.data["status"]["operationState"]["syncResult"]["revision"], commit,
        "the trap is not set"
    );
    world.break_tenant(DEV).await?;
    let mut refloat = Refloat::start(&world.harbour.refloat_config(FAST)?)?;
    let request = approved(&world, &mut refloat, REQUEST).await?;
    world.until_phase(&request, Phase::Done).await?;
    refloat.stop().await?;
    world.check_restored(&request, &before, &order).await?;
    world.end().await
}

/// A commit arrives while the namespace is being cleared, and Argo CD syncs it: what
/// it makes is not deleted, and the clearing does not go on.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_during_the_clearing_stops_it() -> anyhow::Result<()> {
    let world = small().await?;
    let reached = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&reached);
    world.harbour.gate.add(move |call| {
        let first = call.method == http::Method::DELETE
            && call.token.as_deref() == Some(REFLOAT_KUBERNETES_TOKEN)
            && !seen.swap(true, Ordering::SeqCst);
        if first {
            Fate::Late(Duration::from_millis(800))
        } else {
            Fate::Pass
        }
    });
    let config = world.harbour.refloat_config(&hurried("clear: 6s"))?;
    let mut refloat = Refloat::start(&config)?;
    let name = approved(&world, &mut refloat, REQUEST).await?;
    until(|| async { Ok(reached.load(Ordering::SeqCst)) }).await?;
    world
        .harbour
        .platform
        .commit_manifests(
            &world.here("poseidon1"),
            "Add a setting",
            &[(
                "dev/files/extra.yaml".to_owned(),
                Some(extra("made-meanwhile")),
            )],
        )
        .await?;
    let (reason, message) = stuck(&world, &name).await?;
    assert_eq!(reason, StuckReason::ClearingBlocked, "{message}");
    assert!(
        message.contains("made-meanwhile") || message.contains("revision"),
        "{message}"
    );
    // Whatever Argo CD has made of the commit is still there.
    let maps: Api<ConfigMap> = Api::namespaced(world.harbour.client.0.clone(), &world.here(DEV));
    until(|| async { Ok(maps.get_opt("made-meanwhile").await?.is_some()) }).await?;
    let status = world
        .requests()
        .get(&name)
        .await?
        .status
        .unwrap_or_default();
    assert!(status.restore.is_none(), "a Restore was made all the same");
    refloat.stop().await?;
    world.end().await
}

fn extra(name: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n  title: extra\n")
}

/// Somebody else makes the pod first: Velero skips it, brings back no data of its
/// volume, and ends `Completed`.
#[tokio::test(flavor = "multi_thread")]
async fn a_pod_of_somebody_else_is_no_restored_volume() -> anyhow::Result<()> {
    let world = small().await?;
    let pods: Api<Pod> = Api::namespaced(world.harbour.client.0.clone(), &world.here(DEV));
    let backed_up = pods.list(&ListParams::default()).await?.items;
    let pod = backed_up.first().context("no pod")?.name_any();
    world.harbour.velero.faults().hold_restores(true);
    let config = world.harbour.refloat_config(&hurried("verify: 1s"))?;
    let mut refloat = Refloat::start(&config)?;
    let name = approved(&world, &mut refloat, REQUEST).await?;
    until(|| async {
        let status = world
            .requests()
            .get(&name)
            .await?
            .status
            .unwrap_or_default();
        Ok(status.restore.is_some())
    })
    .await?;
    let intruder = serde_json::from_value(json!({
        "metadata": { "name": pod },
        "spec": {
            "containers": [{ "name": "files", "image": "registry.example.com/files:2.0" }],
            "volumes": [{ "name": "uploads", "persistentVolumeClaim": { "claimName": "uploads" } }],
        },
    }))?;
    pods.create(&PostParams::default(), &intruder).await?;
    world.harbour.velero.faults().hold_restores(false);
    let (mut reason, mut message) = stuck(&world, &name).await?;
    if reason == StuckReason::Disturbed {
        assert!(message.contains(&pod), "{message}");
        refloat.say("restore retry").await?;
        until(|| async {
            let status = world
                .requests()
                .get(&name)
                .await?
                .status
                .unwrap_or_default();
            let now = phase(&status);
            anyhow::ensure!(!now.is_over(), "it is {now:?} without its data");
            Ok(status
                .stuck
                .is_some_and(|stuck| stuck.reason == StuckReason::VerificationFailed))
        })
        .await?;
        (reason, message) = stuck(&world, &name).await?;
    }
    assert_eq!(reason, StuckReason::VerificationFailed);
    assert!(message.contains("was not brought back"), "{message}");
    refloat.stop().await?;
    world.end().await
}

/// The backup is garbage-collected between the check and the approval.
#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_was_collected_is_not_cleared_for() -> anyhow::Result<()> {
    let world = small().await?;
    let before = world.harbour.platform.snapshot().await?;
    let order = world.order("poseidon1").await?;
    let mut refloat = Refloat::start(&world.harbour.refloat_config(FAST)?)?;
    let name = world.ask(&mut refloat, REQUEST).await?;
    let request = world.until_asked(&name).await?;
    let backup = request
        .status
        .and_then(|status| status.checked)
        .context("it was checked")?
        .backup
        .name;
    world.expire(&backup).await?;
    world.harbour.velero.faults().collect_garbage();
    until(|| async {
        Ok(!world
            .velero_names("Backup", "backups")
            .await?
            .contains(&backup))
    })
    .await?;
    refloat.say("as grace: approve").await?;
    world.until_phase(&name, Phase::Refused).await?;
    refloat.until("A check that had passed fails now").await?;
    refloat.stop().await?;
    world.check_untouched(&before, &order).await?;
    world.end().await
}

/// Another tenant's Restore is in front: that is a queue, and no stall, also when it takes
/// longer than a Restore may stand still.
#[tokio::test(flavor = "multi_thread")]
async fn another_tenants_restore_in_front_is_waited_for() -> anyhow::Result<()> {
    let world = World::start(Setup {
        days_of_backups: 2,
        ..Setup::default()
    })
    .await?;
    let before = world.harbour.platform.snapshot().await?;
    let order = world.order("poseidon1").await?;
    world.break_tenant(DEV).await?;
    let theirs = world
        .velero_names("Backup", "backups")
        .await?
        .into_iter()
        .find(|name| name.starts_with(&world.here("triton2")))
        .context("a backup of the other tenant")?;
    world.harbour.velero.faults().stall_restores_at(1);
    world
        .restore_of("in-front", &theirs, &world.here("triton2-prod"))
        .await?;
    let config = world.harbour.refloat_config(&hurried("restoreStall: 5s"))?;
    let mut refloat = Refloat::start(&config)?;
    let name = approved(&world, &mut refloat, REQUEST).await?;
    refloat.until("1 is before this one (in-front)").await?;
    let queued_for = || async {
        let status = world.requests().get(&name).await?.status;
        let status = status.unwrap_or_default();
        anyhow::ensure!(status.stuck.is_none(), "a stall: {:?}", status.stuck);
        let since = status.restore.map(|run| run.created_at);
        let queued = status.queued_at.zip(since);
        anyhow::Ok(queued.map(|(now, since)| now.duration_since(since)))
    };
    // Its creation is known to the second only.
    let longer = SignedDuration::from_secs(6);
    until(|| async { Ok(queued_for().await?.is_some_and(|queued| queued > longer)) }).await?;
    world
        .waits_for(
            &name,
            "Velero restores one at a time, and 1 is before this one",
        )
        .await?;
    world.harbour.velero.faults().release_restores();
    world.until_phase(&name, Phase::Done).await?;
    refloat.stop().await?;
    world.check_restored(&name, &before, &order).await?;
    world.end().await
}

/// A finalizer that never goes is named, and never stripped.
#[tokio::test(flavor = "multi_thread")]
async fn a_finalizer_that_stays_is_named_and_not_stripped() -> anyhow::Result<()> {
    let world = small().await?;
    let maps: Api<ConfigMap> = Api::namespaced(world.harbour.client.0.clone(), &world.here(DEV));
    let finalizers = |list: &[&str]| Patch::Merge(json!({ "metadata": { "finalizers": list } }));
    maps.patch(
        RUNTIME_SETTINGS,
        &PatchParams::default(),
        &finalizers(&["example.com/hold"]),
    )
    .await?;
    let config = world.harbour.refloat_config(&hurried("clear: 1500ms"))?;
    let mut refloat = Refloat::start(&config)?;
    let name = approved(&world, &mut refloat, REQUEST).await?;
    let (reason, message) = stuck(&world, &name).await?;
    assert_eq!(reason, StuckReason::ClearingBlocked);
    assert!(message.contains("finalizer example.com/hold"), "{message}");
    let held = maps.get(RUNTIME_SETTINGS).await?;
    assert_eq!(held.finalizers(), ["example.com/hold"]);
    maps.patch(RUNTIME_SETTINGS, &PatchParams::default(), &finalizers(&[]))
        .await?;
    refloat.say("restore retry").await?;
    world.until_phase_through_stuck(&name, Phase::Done).await?;
    refloat.stop().await?;
    world.end().await
}

/// An API group whose server is down: what would be deleted is not all known.
#[tokio::test(flavor = "multi_thread")]
async fn a_discovery_group_that_is_down_is_refused() -> anyhow::Result<()> {
    let world = small().await?;
    let before = world.harbour.platform.snapshot().await?;
    let order = world.order("poseidon1").await?;
    let mut groups =
        serde_json::to_value(world.harbour.client.0.list_api_groups_aggregated().await?)?;
    groups["kind"] = json!("APIGroupDiscoveryList");
    groups["apiVersion"] = json!("apidiscovery.k8s.io/v2");
    // As the aggregator tells of a server that does not answer: without its kinds.
    for group in groups["items"].as_array_mut().context("groups")? {
        if group["metadata"]["name"] == "batch" {
            group["versions"][0]["freshness"] = json!("Stale");
            group["versions"][0]["resources"] = json!([]);
        }
    }
    let body = Bytes::from(serde_json::to_vec(&groups)?);
    world.harbour.gate.add(move |call| {
        let ours =
            call.path() == "/apis" && call.token.as_deref() == Some(REFLOAT_KUBERNETES_TOKEN);
        if !ours {
            return Fate::Pass;
        }
        let mut answer = http::Response::new(body.clone());
        answer.headers_mut().insert(
            http::header::CONTENT_TYPE,
            http::HeaderValue::from_static(
                "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
            ),
        );
        Fate::Answer(answer)
    });
    let mut refloat = Refloat::start(&world.harbour.refloat_config(FAST)?)?;
    let sentence = refused(&world, &mut refloat, REQUEST).await?;
    assert!(
        sentence.contains("the API group batch/v1, whose server is down"),
        "{sentence}"
    );
    refloat.stop().await?;
    world.check_untouched(&before, &order).await?;
    world.end().await
}

/// A quota that has no room for what the backup holds: the restore would end in part,
/// with the namespace cleared.
#[tokio::test(flavor = "multi_thread")]
async fn a_quota_without_room_is_refused() -> anyhow::Result<()> {
    let world = small().await?;
    let quotas: Api<ResourceQuota> =
        Api::namespaced(world.harbour.client.0.clone(), &world.here(DEV));
    // One that the platform's Application owns: it is not cleared away.
    let owned = quotas.get("tenant-quota").await?;
    let tracked = owned
        .annotations()
        .get("argocd.argoproj.io/tracking-id")
        .context("the platform's quota is tracked")?;
    let platform = tracked.split(':').next().unwrap_or_default();
    let quota = serde_json::from_value(json!({
        "metadata": { "name": "tight", "labels": { "app.kubernetes.io/instance": platform } },
        "spec": { "hard": { "pods": "0" } },
    }))?;
    quotas.create(&PostParams::default(), &quota).await?;
    let before = world.harbour.platform.snapshot().await?;
    let order = world.order("poseidon1").await?;
    let mut refloat = Refloat::start(&world.harbour.refloat_config(FAST)?)?;
    let sentence = refused(&world, &mut refloat, REQUEST).await?;
    assert!(
        sentence.starts_with("The quota tight of poseidon1-dev allows 0 of pods"),
        "{sentence}"
    );
    refloat.stop().await?;
    world.check_untouched(&before, &order).await?;
    world.end().await
}

/// Velero's node agent is not there, and the backup's data needs it.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_node_agent_it_is_refused() -> anyhow::Result<()> {
    let world = small().await?;
    world.harbour.velero.report_node_agent(Some(0)).await?;
    let mut refloat = Refloat::start(&world.harbour.refloat_config(FAST)?)?;
    let sentence = refused(&world, &mut refloat, REQUEST).await?;
    assert!(sentence.contains("none of 3 is ready"), "{sentence}");
    world.harbour.velero.report_node_agent(None).await?;
    let sentence = refused(&world, &mut refloat, REQUEST).await?;
    assert!(
        sentence.contains("there is none in the cluster"),
        "{sentence}"
    );
    refloat.stop().await?;
    world.end().await
}

/// What the backup brings back and Git no longer has would be pruned when self-heal
/// is on again: it is listed, and needs consent.
#[tokio::test(flavor = "multi_thread")]
async fn what_would_be_pruned_at_the_resume_is_listed_first() -> anyhow::Result<()> {
    let world = small().await?;
    let path = "dev/files/extra.yaml".to_owned();
    let tenant = world.here("poseidon1");
    let maps: Api<ConfigMap> = Api::namespaced(world.harbour.client.0.clone(), &world.here(DEV));
    let platform = &world.harbour.platform;
    platform
        .commit_manifests(&tenant, "Add", &[(path.clone(), Some(extra("old-times")))])
        .await?;
    until(|| async { Ok(maps.get_opt("old-times").await?.is_some()) }).await?;
    platform.until_settled(Duration::from_secs(60)).await?;
    world
        .back_up(
            "poseidon1-old",
            json!({
                "includedNamespaces": [world.here(DEV)],
                "defaultVolumesToFsBackup": true,
            }),
        )
        .await?;
    platform
        .commit_manifests(&tenant, "Remove", &[(path, None)])
        .await?;
    until(|| async { Ok(maps.get_opt("old-times").await?.is_none()) }).await?;
    platform.until_settled(Duration::from_secs(60)).await?;

    let mut refloat = Refloat::start(&world.harbour.refloat_config(FAST)?)?;
    let name = approved(
        &world,
        &mut refloat,
        "restore request tenant:poseidon1 namespaces:dev backup:poseidon1-old reason:x",
    )
    .await?;
    refloat
        .until("returns from the past: 1 `ConfigMap`")
        .await?;
    let (reason, message) = stuck(&world, &name).await?;
    assert_eq!(reason, StuckReason::WouldPrune, "{message}");
    assert!(message.contains("old-times"), "{message}");
    assert!(maps.get_opt("old-times").await?.is_some());
    refloat.say("restore resume").await?;
    world.until_phase_through_stuck(&name, Phase::Done).await?;
    refloat.stop().await?;
    world.end().await
}

/// The order never arrives at the Applications (`ignoreApplicationDifferences`).
#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_does_not_arrive_is_undone() -> anyhow::Result<()> {
    let world = small().await?;
    let before = world.harbour.platform.snapshot().await?;
    let order = world.order("poseidon1").await?;
    world
        .harbour
        .argocd
        .faults
        .hold_order(&world.here("poseidon1-dev-apps"));
    let config = world.harbour.refloat_config(&hurried("settle: 1s"))?;
    let mut refloat = Refloat::start(&config)?;
    let name = approved(&world, &mut refloat, REQUEST).await?;
    world
        .waits_for(&name, "the order's change has not reached")
        .await?;
    world.until_phase(&name, Phase::Expired).await?;
    refloat.stop().await?;
    world.check_untouched(&before, &order).await?;
    world.end().await
}

/// A backup of which parts are missing needs a reviewer's express consent.
#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_failed_in_part_needs_consent() -> anyhow::Result<()> {
    let world = small().await?;
    let dev = world.here(DEV);
    world
        .harbour
        .velero
        .seed_backup(BackupSeed {
            phase: "PartiallyFailed".to_owned(),
            ..BackupSeed::from_schedule(
                &world.here("poseidon1-daily"),
                jiff::Timestamp::now() - jiff::SignedDuration::from_mins(5),
            )
        })
        .await?;
    let mut refloat = Refloat::start(&world.harbour.refloat_config(FAST)?)?;
    // By its day, the whole one is taken.
    let name = world.ask(&mut refloat, REQUEST).await?;
    world.until_asked(&name).await?;
    refloat.say(&format!("restore withdraw {name}")).await?;
    world.until_phase(&name, Phase::Withdrawn).await?;
    let backup = world
        .velero_names("Backup", "backups")
        .await?
        .into_iter()
        .filter(|name| name.starts_with(&world.here("poseidon1-daily")))
        .max()
        .context("no backup")?;
    let name = approved(
        &world,
        &mut refloat,
        &format!("restore request tenant:poseidon1 namespaces:{dev} backup:{backup} reason:x"),
    )
    .await?;
    world
        .waits_for(&name, "grace approved it; a reviewer also has to consent")
        .await?;
    let request = world.requests().get(&name).await?;
    let digest = refloat::request::digest(
        request.metadata.uid.as_deref().unwrap_or_default(),
        &request.spec,
        request.status.as_ref().context("a status")?,
    );
    // Neither the requester's nor an unread one counts.
    for line in [
        format!("restore consent {name} digest:{}", &digest[..8]),
        format!("as grace: restore consent {name} digest:ffffffff"),
    ] {
        let from = refloat.shown().len();
        refloat.say(&line).await?;
        refloat.until_after(from, "@").await?;
    }
    assert!(world.requests().get(&name).await?.spec.consents.is_empty());
    refloat
        .say(&format!(
            "as grace: restore consent {name} digest:{}",
            &digest[..8]
        ))
        .await?;
    world.until_phase(&name, Phase::Done).await?;
    refloat.stop().await?;
    world.end().await
}

/// Only a reviewer waives the safety backup, and it is on record.
#[tokio::test(flavor = "multi_thread")]
async fn a_reviewer_may_waive_the_safety_backup() -> anyhow::Result<()> {
    let world = small().await?;
    let before = world.harbour.platform.snapshot().await?;
    let order = world.order("poseidon1").await?;
    world.break_tenant(DEV).await?;
    let faults = world.harbour.velero.faults();
    faults.end_next_backup(Ending::Failed("no space left".to_owned()));
    let mut refloat = Refloat::start(&world.harbour.refloat_config(FAST)?)?;
    let name = approved(&world, &mut refloat, REQUEST).await?;
    let (reason, _) = stuck(&world, &name).await?;
    assert_eq!(reason, StuckReason::SafetyBackupFailed);
    let from = refloat.shown().len();
    refloat.say(&format!("restore waive {name}")).await?;
    refloat.until_after(from, "you are not a reviewer").await?;
    refloat
        .say(&format!("as grace: restore waive {name}"))
        .await?;
    world.until_phase_through_stuck(&name, Phase::Done).await?;
    let status = world
        .requests()
        .get(&name)
        .await?
        .status
        .unwrap_or_default();
    assert_eq!(
        status.waiver.map(|waiver| waiver.by),
        Some("grace".to_owned())
    );
    refloat.until("waived by grace").await?;
    refloat.stop().await?;
    world.check_restored(&name, &before, &order).await?;
    world.end().await
}

/// Back to the safety backup, by the same road: approved, and with a safety backup of its own.
#[tokio::test(flavor = "multi_thread")]
async fn an_undo_brings_the_safety_backup_back() -> anyhow::Result<()> {
    let world = small().await?;
    world.break_tenant(DEV).await?;
    let broken = world.harbour.platform.snapshot().await?;
    let order = world.order("poseidon1").await?;
    let mut refloat = Refloat::start(&world.harbour.refloat_config(FAST)?)?;
    let first = approved(&world, &mut refloat, REQUEST).await?;
    world.until_phase(&first, Phase::Done).await?;
    let undo = world
        .ask(&mut refloat, &format!("restore undo {first}"))
        .await?;
    let request = world.until_asked(&undo).await?;
    assert_eq!(request.spec.undoes.as_deref(), Some(first.as_str()));
    refloat.say(&format!("as grace: approve {undo}")).await?;
    world.until_phase(&undo, Phase::Done).await?;
    refloat.stop().await?;
    world.check_restored(&undo, &broken, &order).await?;
    world.end().await
}

/// A preview shows the checks and what would become of each object, and touches nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_preview_touches_nothing() -> anyhow::Result<()> {
    let world = small().await?;
    world.break_tenant(DEV).await?;
    let before = world.harbour.platform.snapshot().await?;
    let order = world.order("poseidon1").await?;
    let mut refloat = Refloat::start(&world.harbour.refloat_config(FAST)?)?;
    refloat
        .say(&world.here("restore preview tenant:poseidon1 namespaces:dev schedule:daily"))
        .await?;
    refloat.until("Nothing was touched").await?;
    let table = world.here("lost for good          ConfigMap poseidon1-dev/migration-left-over");
    refloat.until(&table).await?;
    let table = world.here("returns from the past  ConfigMap poseidon1-dev/runtime-settings");
    refloat.until(&table).await?;
    let from = refloat.shown().len();
    refloat
        .say(
            &world.here(
                "restore preview tenant:poseidon1 namespaces:dev schedule:daily day:1999-12-31",
            ),
        )
        .await?;
    refloat.until_after(from, "would be refused").await?;
    assert!(world.request_names().await?.is_empty());
    assert!(world.harbour.pulls().await?.is_empty());
    refloat.stop().await?;
    world.check_untouched(&before, &order).await?;
    world.end().await
}

/// Velero's log is shown on demand, and the summary stands on the pull request.
#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_shown_and_the_summary_stands_on_the_pull_request() -> anyhow::Result<()> {
    let world = small().await?;
    let mut refloat = Refloat::start(&world.harbour.refloat_config(FAST)?)?;
    let name = approved(&world, &mut refloat, REQUEST).await?;
    world.until_phase(&name, Phase::Done).await?;
    refloat.say(&format!("restore log {name}")).await?;
    refloat.until("starting restore").await?;
    let pulls = world.harbour.pulls().await?;
    let summaries: Vec<&str> = pulls
        .iter()
        .flat_map(|pull| &pull.comments)
        .map(|comment| comment.body.as_str())
        .filter(|body| body.contains("is done: restored, verified"))
        .collect();
    let &[summary] = summaries.as_slice() else {
        anyhow::bail!("{} summaries", summaries.len());
    };
    // Who, what, how long each phase took, and where it can be read.
    let said = [
        "asked for by ada, approved by grace",
        "- deleted: ",
        "- restored: ",
        "- safety backup: ",
        "/pull/1",
        "/pull/2",
        " in all: checks ",
        "approval ",
        "self-heal off ",
        "Argo CD quiet ",
        "safety backup ",
        "clearing ",
        "restore ",
        "verification ",
        "self-heal back ",
    ];
    for said in said {
        assert!(summary.contains(said), "{said:?} is not in {summary}");
    }
    // The same in the thread.
    for said in ["Done.", "/pull/1", "/pull/2", " in all: checks "] {
        refloat.until(said).await?;
    }
    refloat.stop().await?;
    world.end().await
}
