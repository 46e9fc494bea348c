//! What `refloat run` takes with nothing, with 1,000 and with 10,000 watched objects, and
//! how soon it is ready.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use futures::StreamExt as _;
use harbour::Setup;
use harbour::world::Shape;
use jiff::{SignedDuration, Timestamp};
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use kube::core::{ApiResource, DynamicObject};
use serde_json::{Value, json};

use super::{Running, SETTLING, world::World};

const READY_WITHIN: Duration = Duration::from_secs(2);
/// How many objects, and the resident memory that they may take at most, in kB.
const BOUNDS: [(usize, u64); 3] = [(0, 40_000), (1_000, 60_000), (10_000, 120_000)];
/// How many of a hundred objects are of each kind. Requests are kept, backups and
/// restores expire, a restore has a volume or two, and a tenant several Applications.
const MIX: [(Kind, usize); 5] = [
    (Kind::RestoreRequest, 5),
    (Kind::Backup, 50),
    (Kind::Restore, 10),
    (Kind::PodVolumeRestore, 15),
    (Kind::Application, 20),
];
/// A request that was carried through, and one that was refused, as they are stored.
const STORED: [&str; 2] = [
    include_str!("../stored/0.1.0/done.json"),
    include_str!("../stored/0.1.0/refused.json"),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    RestoreRequest,
    Backup,
    Restore,
    PodVolumeRestore,
    Application,
}

impl Kind {
    fn api_version(self) -> &'static str {
        match self {
            Self::RestoreRequest => "refloat.dev/v1alpha1",
            Self::Backup | Self::Restore | Self::PodVolumeRestore => "velero.io/v1",
            Self::Application => "argoproj.io/v1alpha1",
        }
    }

    fn api(self, world: &World) -> Api<DynamicObject> {
        let (group, version) = self.api_version().split_once('/').unwrap_or_default();
        let kind = format!("{self:?}");
        let resource = ApiResource {
            group: group.to_owned(),
            version: version.to_owned(),
            api_version: self.api_version().to_owned(),
            plural: format!("{}s", kind.to_lowercase()),
            kind,
        };
        let namespaces = &world.harbour.namespaces;
        let namespace = match self {
            Self::RestoreRequest => &namespaces.refloat,
            Self::Backup | Self::Restore | Self::PodVolumeRestore => &namespaces.velero,
            Self::Application => &namespaces.developers,
        };
        Api::namespaced_with(world.harbour.client.0.clone(), namespace, &resource)
    }
}

/// Measures, prints, and fails if a bound is broken.
pub async fn measure() -> anyhow::Result<()> {
    let mut broken = Vec::new();
    for (count, bound) in BOUNDS {
        let (ready, resident, peak) = with(count).await?;
        println!(
            "{count} objects: ready after {ready:.0?}, {resident} kB resident, {peak} kB at most"
        );
        if peak > bound {
            broken.push(format!(
                "{count} objects take {peak} kB, more than {bound} kB"
            ));
        }
        if count == 0 && ready > READY_WITHIN {
            broken.push(format!(
                "it is ready after {ready:.1?}, not {READY_WITHIN:?}"
            ));
        }
    }
    anyhow::ensure!(broken.is_empty(), "{}", broken.join("; "));
    Ok(())
}

/// How long it took to be ready, and the resident memory then and at most, in kB.
async fn with(count: usize) -> anyhow::Result<(Duration, u64, u64)> {
    let world = World::start(Setup {
        shape: Shape::small(),
        days_of_backups: 2,
        ..Setup::default()
    })
    .await?;
    if count > 0 {
        // They would work on what is only to be there.
        world.harbour.stop_services();
        fill(&world, count).await?;
    }
    let free = || anyhow::Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?);
    let (address, logbook) = (free()?, free()?);
    let began = Instant::now();
    let web = format!("web: {{ listen: '{address}', logbook: '{logbook}' }}\n");
    let running = Running::start(&world, &web)?;
    while get(address, "/readyz").await.is_err() {
        anyhow::ensure!(
            began.elapsed() < Duration::from_secs(60),
            "it is never ready"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let ready = began.elapsed();
    tokio::time::sleep(SETTLING).await;
    // Whoever scrapes, and whoever reads the logbook, goes through all of them.
    let metrics = get(address, "/metrics").await?;
    let requests = count * 5 / 100;
    let counted: usize = metrics
        .lines()
        .filter(|line| line.starts_with("refloat_requests{kind=\"RestoreRequest\""))
        .filter_map(|line| {
            line.rsplit(' ')
                .next()?
                .split('.')
                .next()?
                .parse::<usize>()
                .ok()
        })
        .sum();
    anyhow::ensure!(
        counted == requests,
        "{counted} of {requests} requests are known"
    );
    get(logbook, "/").await?;
    let (resident, peak) = running.memory()?;
    Ok((ready, resident, peak))
}

async fn get(address: SocketAddr, path: &str) -> anyhow::Result<String> {
    let answer = reqwest::get(format!("http://{address}{path}")).await?;
    Ok(answer.error_for_status()?.text().await?)
}

async fn fill(world: &World, count: usize) -> anyhow::Result<()> {
    let stored = STORED
        .iter()
        .map(|text| serde_json::from_str(text))
        .collect::<Result<Vec<Value>, _>>()?;
    let stored = &stored;
    let all = MIX.into_iter().flat_map(|(kind, share)| {
        (0..count * share / 100).map(move |number| (kind, object(kind, number, stored)))
    });
    let mut made = futures::stream::iter(all)
        .map(|(kind, whole)| async move {
            let api = kind.api(world);
            let object: DynamicObject = serde_json::from_value(whole.clone())?;
            let made = api.create(&PostParams::default(), &object).await?;
            if kind == Kind::RestoreRequest {
                let name = made.metadata.name.unwrap_or_default();
                let status = json!({ "status": whole["status"] });
                api.patch_status(&name, &PatchParams::default(), &Patch::Merge(&status))
                    .await?;
            }
            anyhow::Ok(())
        })
        .buffer_unordered(16);
    while let Some(one) = made.next().await {
        one.context("fill the cluster")?;
    }
    Ok(())
}

/// One object, as large as they are.
fn object(kind: Kind, number: usize, stored: &[Value]) -> Value {
    let tenant = format!("tenant{:03}", number % 200);
    let began = Timestamp::now()
        - SignedDuration::from_hours(i64::try_from(number / 200).unwrap_or_default() + 1);
    let stamp = |at: Timestamp| at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let (began, ended) = (stamp(began), stamp(began + SignedDuration::from_secs(90)));
    let backup = format!("{tenant}-daily-{number:05}");
    let (name, labels, spec, status) = match kind {
        Kind::RestoreRequest => {
            let one = &stored[usize::from(number % 5 == 4)];
            let mut spec = one["spec"].clone();
            spec["tenant"] = tenant.clone().into();
            (
                format!("rr-{number:05}"),
                json!({}),
                spec,
                one["status"].clone(),
            )
        }
        Kind::Backup => (
            backup,
            json!({"velero.io/schedule-name": format!("{tenant}-daily"), "velero.io/storage-location": "default"}),
            json!({
                "includedNamespaces": [format!("{tenant}-dev"), format!("{tenant}-test")],
                "storageLocation": "default", "ttl": "720h0m0s", "defaultVolumesToFsBackup": true,
            }),
            json!({
                "phase": "Completed", "startTimestamp": began, "completionTimestamp": ended,
                "expiration": stamp(Timestamp::now() + SignedDuration::from_hours(700)),
                "progress": {"totalItems": 120, "itemsBackedUp": 120},
                "version": 1, "formatVersion": "1.1.0",
            }),
        ),
        Kind::Restore => (
            format!("restore-{number:05}"),
            json!({"refloat.dev/request-name": format!("rr-{number:05}")}),
            json!({"backupName": backup, "includedNamespaces": [format!("{tenant}-dev")]}),
            json!({
                "phase": "Completed", "startTimestamp": began, "completionTimestamp": ended,
                "progress": {"totalItems": 120, "itemsRestored": 120},
            }),
        ),
        Kind::PodVolumeRestore => (
            format!("volume-{number:05}"),
            json!({"velero.io/restore-name": format!("restore-{number:05}")}),
            json!({
                "backupStorageLocation": "default", "pod": {"kind": "Pod", "name": "web", "namespace": format!("{tenant}-dev")},
                "repoIdentifier": "s3:http://minio/backups/restic", "snapshotID": format!("{number:064x}"),
                "sourceNamespace": format!("{tenant}-dev"), "volume": "uploads", "uploaderType": "kopia",
            }),
            json!({
                "phase": "Completed", "startTimestamp": began, "completionTimestamp": ended,
                "progress": {"bytesDone": 2_000_000_000_u64, "totalBytes": 2_000_000_000_u64},
            }),
        ),
        Kind::Application => {
            let resources: Vec<Value> = (0..30)
                .map(|at| json!({"group": "apps", "version": "v1", "kind": "Deployment", "namespace": format!("{tenant}-dev"), "name": format!("web-{at}"), "status": "Synced", "health": {"status": "Healthy"}}))
                .collect();
            (
                format!("{tenant}-app-{number:05}"),
                json!({"app.kubernetes.io/instance": tenant}),
                json!({
                    "project": "default",
                    "source": {"repoURL": "https://git.example.com/tenants.git", "path": tenant, "targetRevision": "main"},
                    "destination": {"server": "https://kubernetes.default.svc", "namespace": format!("{tenant}-dev")},
                    "syncPolicy": {"automated": {"selfHeal": true, "prune": true}},
                }),
                json!({
                    "sync": {"status": "Synced", "revision": format!("{number:040x}"), "comparedTo": {"source": {"repoURL": "https://git.example.com/tenants.git"}, "destination": {}}},
                    "health": {"status": "Healthy"}, "resources": resources,
                }),
            )
        }
    };
    json!({
        "apiVersion": kind.api_version(), "kind": format!("{kind:?}"),
        "metadata": {"name": name, "labels": labels},
        "spec": spec, "status": status,
    })
}
