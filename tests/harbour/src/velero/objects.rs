//! Velero's kinds as the API serves them, and the small formats its objects
//! share: phases, label values, times, Go durations.
//!
//! None of Velero's kinds has a `status` subresource: status is written with
//! the object itself.

use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt;
use kube::api::DynamicObject;
use kube::discovery::ApiResource;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// The label with the name of the backup an object belongs to or came from.
pub(super) const BACKUP_NAME: &str = "velero.io/backup-name";
pub(super) const BACKUP_UID: &str = "velero.io/backup-uid";
/// The label with the name of the restore that created an object.
pub(super) const RESTORE_NAME: &str = "velero.io/restore-name";
pub(super) const RESTORE_UID: &str = "velero.io/restore-uid";
pub(super) const SCHEDULE_NAME: &str = "velero.io/schedule-name";
pub(super) const STORAGE_LOCATION: &str = "velero.io/storage-location";
/// The finalizer that lets Velero delete a restore's files before the object.
pub(super) const RESTORE_FINALIZER: &str = "restores.velero.io/external-resources-finalizer";
/// The only location there is.
pub(super) const LOCATION: &str = "default";

/// One of Velero's kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Backup,
    BackupStorageLocation,
    DeleteBackupRequest,
    DownloadRequest,
    PodVolumeBackup,
    PodVolumeRestore,
    Restore,
    Schedule,
    ServerStatusRequest,
}

impl Kind {
    /// The kinds whose objects the server reacts to.
    pub(super) const WATCHED: [Self; 7] = [
        Self::Backup,
        Self::BackupStorageLocation,
        Self::DeleteBackupRequest,
        Self::DownloadRequest,
        Self::Restore,
        Self::Schedule,
        Self::ServerStatusRequest,
    ];

    fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Backup => ("Backup", "backups"),
            Self::BackupStorageLocation => ("BackupStorageLocation", "backupstoragelocations"),
            Self::DeleteBackupRequest => ("DeleteBackupRequest", "deletebackuprequests"),
            Self::DownloadRequest => ("DownloadRequest", "downloadrequests"),
            Self::PodVolumeBackup => ("PodVolumeBackup", "podvolumebackups"),
            Self::PodVolumeRestore => ("PodVolumeRestore", "podvolumerestores"),
            Self::Restore => ("Restore", "restores"),
            Self::Schedule => ("Schedule", "schedules"),
            Self::ServerStatusRequest => ("ServerStatusRequest", "serverstatusrequests"),
        }
    }

    pub(super) fn resource(self) -> ApiResource {
        let (kind, plural) = self.names();
        ApiResource {
            group: "velero.io".to_owned(),
            version: "v1".to_owned(),
            api_version: "velero.io/v1".to_owned(),
            kind: kind.to_owned(),
            plural: plural.to_owned(),
        }
    }
}

/// `status.phase`; empty for an object that nobody has looked at.
pub(super) fn phase(object: &DynamicObject) -> &str {
    text(&object.data, "/status/phase").unwrap_or_default()
}

/// True for an object that waits to be taken up.
pub(super) fn is_new(object: &DynamicObject) -> bool {
    matches!(phase(object), "" | "New") && object.metadata.deletion_timestamp.is_none()
}

/// The string at a JSON pointer.
pub(super) fn text<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer).and_then(Value::as_str)
}

/// The time at a JSON pointer.
pub(super) fn time(value: &Value, pointer: &str) -> Option<Timestamp> {
    text(value, pointer)?.parse().ok()
}

/// The object's spec, as much of it as `T` knows.
pub(super) fn spec<T: DeserializeOwned + Default>(object: &DynamicObject) -> anyhow::Result<T> {
    match object.data.get("spec") {
        None | Some(Value::Null) => Ok(T::default()),
        Some(spec) => Ok(T::deserialize(spec)?),
    }
}

/// Sorts by age, oldest first. Creation times have whole seconds only; within
/// one, an object not yet touched keeps the version it was created with.
pub(super) fn by_age(object: &DynamicObject) -> (Option<Timestamp>, u64, String) {
    (
        object.creation_timestamp().map(|time| time.0),
        object
            .resource_version()
            .and_then(|version| version.parse().ok())
            .unwrap_or(u64::MAX),
        object.name_any(),
    )
}

/// A name as a label value: longer than 63 characters, it becomes its first 57
/// and the first 6 hex digits of its SHA-256.
pub(super) fn label_value(name: &str) -> String {
    if name.len() <= 63 {
        return name.to_owned();
    }
    let digest = Sha256::digest(name.as_bytes());
    let kept: String = name.chars().take(57).collect();
    format!("{kept}{:02x}{:02x}{:02x}", digest[0], digest[1], digest[2])
}

/// A time as Kubernetes writes it, in whole seconds.
pub(super) fn stamp(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A name from a prefix, as `generateName` would make it.
pub(super) fn generated(prefix: &str) -> String {
    let random = uuid::Uuid::new_v4().simple().to_string();
    format!("{prefix}-{}", &random[..5])
}

/// Reads a Go duration such as `168h0m0s`; `None` for what Go refuses, `7d`
/// among it, and for what is negative.
pub(super) fn go_duration(text: &str) -> Option<Duration> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Some(Duration::ZERO);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .filter(|&end| end > 0)?;
        let (number, tail) = rest.split_at(digits);
        let end = tail
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(end);
        let seconds = match unit {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "\u{b5}s" | "\u{3bc}s" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        let number: f64 = number.parse().ok()?;
        let part = Duration::try_from_secs_f64(number * seconds).ok()?;
        total = total.checked_add(part)?;
        rest = tail;
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_those_of_go() {
        let hours = |n: u64| Some(Duration::from_secs(n * 3600));
        assert_eq!(go_duration("168h0m0s"), hours(168));
        assert_eq!(go_duration("1.5h30m"), hours(2));
        assert_eq!(go_duration("0"), Some(Duration::ZERO));
        for refused in ["", "7d", "h", "5", "-1h", "1h-5m", "1..5h"] {
            assert_eq!(go_duration(refused), None, "{refused:?}");
        }
    }

    #[test]
    fn long_names_are_cut_to_a_label() {
        assert_eq!(label_value("poseidon1-daily"), "poseidon1-daily");
        let long = "a".repeat(64);
        let label = label_value(&long);
        assert_eq!(label.len(), 63);
        assert!(label.starts_with(&"a".repeat(57)));
        assert_eq!(&label[57..], "ffe054");
    }
}
