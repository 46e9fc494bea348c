//! What a backup holds, from Velero's own lists.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;

use anyhow::Context as _;
use kube::Client;
use serde_json::Value;

use super::super::{is_passing, json};
use super::Order;
use super::files::{self, File};
use crate::request::preflight::{self, HeldVolume, Holdings, Quantity};

/// One object of a backup is never larger (etcd takes no more than 1.5 MB).
const LARGEST_OBJECT: u64 = 4 * 1024 * 1024;
const UID_RANGE: &str = "openshift.io/sa.scc.uid-range";

/// Reads what the backup holds. Fails if Velero does not hand out one of the two
/// lists; without the objects themselves, what they would say is left out.
pub async fn holdings(
    client: &Client,
    order: &Order<'_>,
    backup: &preflight::Backup,
) -> anyhow::Result<Holdings> {
    let (list, volumes, contents) = futures::join!(
        files::text(client, order, File::ResourceList, &backup.name),
        files::text(client, order, File::VolumeInfos, &backup.name),
        files::packed(client, order, File::Contents, &backup.name),
    );
    let mut holdings = Holdings {
        backup: backup.uid.clone(),
        objects: objects(&list?)?,
        volumes: infos(&volumes?)?,
        ..Holdings::default()
    };
    match contents.and_then(|packed| read_archive(&packed, order.namespaces)) {
        Ok((ranges, needs)) => {
            holdings.uid_ranges = Some(ranges);
            holdings.needs = needs;
        }
        // What was not read for a moment is no reason to look less closely.
        Err(error) if is_passing(&error) => return Err(error),
        Err(error) => tracing::info!(
            backup = backup.name,
            error = format!("{error:#}"),
            "the objects of a backup cannot be read; users and quotas are compared less closely"
        ),
    }
    Ok(holdings)
}

/// `{"apps/v1/Deployment": ["ns/web"], "v1/Namespace": ["ns"]}`.
fn objects(text: &str) -> anyhow::Result<BTreeMap<String, BTreeSet<String>>> {
    let list: BTreeMap<String, Vec<String>> =
        serde_json::from_str(text).context("the list of its objects is not as Velero writes it")?;
    let mut objects: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (key, names) in list {
        let parts: Vec<&str> = key.split('/').collect();
        let kind = match parts.as_slice() {
            [_version, kind] => (*kind).to_owned(),
            [group, _version, kind] => format!("{group}/{kind}"),
            _ => anyhow::bail!("the list of its objects has a kind {key:?}"),
        };
        objects.entry(kind).or_default().extend(names);
    }
    Ok(objects)
}

fn infos(text: &str) -> anyhow::Result<Vec<HeldVolume>> {
    let infos: Vec<Value> =
        serde_json::from_str(text).context("the list of its volumes is not as Velero writes it")?;
    Ok(infos.iter().map(info).collect())
}

fn info(info: &Value) -> HeldVolume {
    let method = json::text(info, "/backupMethod").unwrap_or_default();
    let moved = json::flag(info, "/snapshotDataMoved") == Some(true);
    let by_files = method == "PodVolumeBackup";
    // Words that newer servers write; without one, the method says that it was done.
    let ended_well = [
        "/result",
        "/pvbInfo/phase",
        "/snapshotDataMovementInfo/phase",
    ]
    .iter()
    .filter_map(|pointer| json::text(info, pointer))
    .all(|word| word.eq_ignore_ascii_case("succeeded") || word == "Completed");
    let skipped = json::flag(info, "/skipped") == Some(true);
    let size = [
        "/pvbInfo/size",
        "/snapshotDataMovementInfo/size",
        "/csiSnapshotInfo/size",
    ]
    .iter()
    .find_map(|pointer| info.pointer(pointer).and_then(Value::as_i64));
    let target = if by_files {
        json::text(info, "/pvbInfo/podName")
            .zip(json::text(info, "/pvbInfo/volumeName"))
            .map(|(pod, volume)| format!("{pod}:{volume}"))
    } else {
        moved.then(|| json::string(info, "/pvcName"))
    };
    HeldVolume {
        namespace: json::string(info, "/pvcNamespace"),
        claim: json::string(info, "/pvcName"),
        held: !skipped && !method.is_empty() && ended_well,
        by_node_agent: by_files || moved,
        target,
        bytes: size,
        reason: json::text(info, "/skippedReason")
            .filter(|reason| !reason.is_empty())
            .map(ToOwned::to_owned),
    }
}

type Ranges = BTreeMap<String, String>;
type Needs = BTreeMap<String, BTreeMap<String, Quantity>>;

/// From the objects of the backup: the namespaces' uid ranges, and what their
/// pods ask for. Each object lies at `resources/<plural>/namespaces/<ns>/<name>.json`,
/// a Namespace at `resources/namespaces/cluster/<name>.json`.
fn read_archive(packed: &[u8], namespaces: &[String]) -> anyhow::Result<(Ranges, Needs)> {
    let mut ranges = Ranges::new();
    let mut needs = Needs::new();
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(packed));
    for entry in archive.entries().context("it is no archive")? {
        let mut entry = entry.context("it is no whole archive")?;
        let path = entry.path()?.to_string_lossy().into_owned();
        let parts: Vec<&str> = path.trim_start_matches("./").split('/').collect();
        let of = match parts.as_slice() {
            ["resources", "namespaces", "cluster", file] => file
                .strip_suffix(".json")
                .map(|name| (name.to_owned(), false)),
            ["resources", "pods", "namespaces", namespace, _] => {
                Some(((*namespace).to_owned(), true))
            }
            _ => None,
        };
        let Some((namespace, is_pod)) = of.filter(|(name, _)| namespaces.contains(name)) else {
            continue;
        };
        let mut text = String::new();
        entry
            .by_ref()
            .take(LARGEST_OBJECT)
            .read_to_string(&mut text)?;
        let object: Value = serde_json::from_str(&text)?;
        if is_pod {
            let sums = needs.entry(namespace).or_default();
            for (what, amount) in preflight::needs(&object) {
                let sum = sums.entry(what).or_default();
                *sum = Quantity(sum.0.saturating_add(amount.0));
            }
        } else if let Some(range) = object
            .pointer("/metadata/annotations")
            .and_then(|annotations| annotations.get(UID_RANGE))
            .and_then(Value::as_str)
        {
            ranges.insert(namespace, range.to_owned());
        }
    }
    Ok((ranges, needs))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn kinds_lose_their_version() {
        let list = objects(r#"{"apps/v1/Deployment":["a/web"],"v1/Namespace":["a"]}"#)
            .expect("a good list");
        assert!(list["apps/Deployment"].contains("a/web"));
        assert!(list["Namespace"].contains("a"));
        assert!(objects(r#"{"Deployment":["a/web"]}"#).is_err());
        assert!(objects("[]").is_err());
    }

    #[test]
    fn a_volume_is_held_only_if_all_words_say_so() {
        let held = |value| info(&value).held;
        assert!(held(
            json!({"pvcName": "d", "backupMethod": "PodVolumeBackup", "result": "succeeded"})
        ));
        assert!(held(
            json!({"backupMethod": "CSISnapshot", "snapshotDataMoved": true, "snapshotDataMovementInfo": {"phase": "Completed"}})
        ));
        assert!(!held(
            json!({"backupMethod": "PodVolumeBackup", "result": "failed"})
        ));
        assert!(!held(
            json!({"backupMethod": "PodVolumeBackup", "pvbInfo": {"phase": "Failed"}})
        ));
        assert!(!held(
            json!({"skipped": true, "skippedReason": "no snapshotter"})
        ));
        assert!(!held(json!({})));
        let by_files = info(&json!({
            "pvcNamespace": "a", "pvcName": "d", "backupMethod": "PodVolumeBackup",
            "pvbInfo": {"podName": "db-0", "volumeName": "data", "size": 12},
        }));
        assert_eq!(by_files.target.as_deref(), Some("db-0:data"));
        assert_eq!(by_files.bytes, Some(12));
        assert!(by_files.by_node_agent);
    }

    #[test]
    fn ranges_and_needs_come_from_the_archive() {
        let mut archive = tar::Builder::new(flate2::write::GzEncoder::new(
            Vec::new(),
            flate2::Compression::fast(),
        ));
        for (path, object) in [
            (
                "resources/namespaces/cluster/a.json",
                json!({"metadata": {"annotations": {UID_RANGE: "1000/10000"}}}),
            ),
            (
                "resources/pods/namespaces/a/web.json",
                json!({"spec": {"containers": [{"resources": {"requests": {"cpu": "1"}}}]}}),
            ),
            (
                "resources/pods/v1-preferredversion/namespaces/a/web.json",
                json!({"spec": {"containers": [{"resources": {"requests": {"cpu": "1"}}}]}}),
            ),
            (
                "resources/pods/namespaces/other/web.json",
                json!({"spec": {}}),
            ),
        ] {
            let text = object.to_string();
            let mut header = tar::Header::new_gnu();
            header.set_size(text.len() as u64);
            header.set_mode(0o644);
            header.set_cksum();
            archive
                .append_data(&mut header, path, text.as_bytes())
                .expect("to memory");
        }
        let packed = archive
            .into_inner()
            .and_then(flate2::write::GzEncoder::finish)
            .expect("to memory");
        let (ranges, needs) = read_archive(&packed, &["a".to_owned()]).expect("an archive");
        assert_eq!(ranges["a"], "1000/10000");
        assert_eq!(needs["a"]["requests.cpu"], Quantity(1000));
        assert_eq!(needs.len(), 1);
        assert!(read_archive(b"plain", &[]).is_err());
    }
}
