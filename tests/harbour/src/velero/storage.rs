//! The object storage: files below one folder, laid out as Velero lays out a
//! bucket (`backups/<name>/...`, `restores/<name>/...`), every file gzip.
//!
//! A server that starts on a folder finds the backups of the one before.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read, Write};
use std::path::PathBuf;

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use kube::discovery::ApiResource;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The folder.
#[derive(Clone, Debug)]
pub(super) struct Storage {
    root: PathBuf,
}

/// An object as a backup holds it, with what is needed to create it again.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Stored {
    pub(super) resource: ApiResource,
    pub(super) object: Value,
}

/// The data of a pod's volume as a backup holds it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct VolumeData {
    pub(super) namespace: String,
    pub(super) pod: String,
    pub(super) volume: String,
    pub(super) claim: String,
    pub(super) snapshot: String,
    /// `None`: the volume was empty.
    pub(super) data: Option<String>,
    pub(super) bytes: u64,
    /// The size as the volume claimed it, if it claimed one.
    pub(super) claimed: Option<String>,
}

/// Warnings or errors, by where they belong.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Messages {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) velero: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) cluster: Vec<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) namespaces: BTreeMap<String, Vec<String>>,
}

impl Messages {
    pub(super) fn add(&mut self, namespace: &str, message: String) {
        if namespace.is_empty() {
            self.cluster.push(message);
        } else {
            let messages = self.namespaces.entry(namespace.to_owned()).or_default();
            messages.push(message);
        }
    }

    pub(super) fn count(&self) -> usize {
        let of_namespaces: usize = self.namespaces.values().map(Vec::len).sum();
        self.velero.len() + self.cluster.len() + of_namespaces
    }
}

/// What `BackupResults` and `RestoreResults` hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Results {
    pub(super) errors: Messages,
    pub(super) warnings: Messages,
}

/// `kind -> names`, as a resource list holds them.
pub(super) type ResourceList = BTreeMap<String, Vec<String>>;

/// A file of the storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum File {
    /// The Backup object; written last, so that what has it is whole.
    Backup,
    /// The objects in the backup: `Vec<Stored>`.
    Objects,
    /// The data of its volumes: `Vec<VolumeData>`.
    Volumes,
    BackupLog,
    BackupResults,
    BackupResourceList,
    BackupVolumeInfos,
    /// The objects as a tar archive, as people download it.
    BackupContents,
    RestoreLog,
    RestoreResults,
    RestoreResourceList,
}

impl File {
    /// The file that a DownloadRequest's `spec.target.kind` stands for; `None`
    /// for the kinds that this server does not keep.
    pub(super) fn of_target(kind: &str) -> Option<Self> {
        Some(match kind {
            "BackupLog" => Self::BackupLog,
            "BackupResults" => Self::BackupResults,
            "BackupResourceList" => Self::BackupResourceList,
            "BackupVolumeInfos" => Self::BackupVolumeInfos,
            "BackupContents" => Self::BackupContents,
            "RestoreLog" => Self::RestoreLog,
            "RestoreResults" => Self::RestoreResults,
            "RestoreResourceList" => Self::RestoreResourceList,
            _ => return None,
        })
    }

    /// True for a file of a restore rather than of a backup.
    pub(super) fn of_restore(self) -> bool {
        matches!(
            self,
            Self::RestoreLog | Self::RestoreResults | Self::RestoreResourceList
        )
    }

    /// Where the file of the backup or restore `name` lies.
    pub(super) fn key(self, name: &str) -> String {
        let file = match self {
            Self::Backup => "velero-backup.json.gz".to_owned(),
            Self::Objects => format!("{name}-objects.json.gz"),
            Self::Volumes => format!("{name}-volumes.json.gz"),
            Self::BackupLog => format!("{name}-logs.gz"),
            Self::BackupResults => format!("{name}-results.gz"),
            Self::BackupResourceList => format!("{name}-resource-list.json.gz"),
            Self::BackupVolumeInfos => format!("{name}-volumeinfo.json.gz"),
            Self::BackupContents => format!("{name}.tar.gz"),
            Self::RestoreLog => format!("restore-{name}-logs.gz"),
            Self::RestoreResults => format!("restore-{name}-results.gz"),
            Self::RestoreResourceList => format!("restore-{name}-resource-list.json.gz"),
        };
        format!("{}/{file}", folder(self.of_restore(), name))
    }
}

fn folder(of_restore: bool, name: &str) -> String {
    let kind = if of_restore { "restores" } else { "backups" };
    format!("{kind}/{name}")
}

impl Storage {
    pub(super) fn open(root: PathBuf) -> io::Result<Self> {
        fs::create_dir_all(&root)?;
        Ok(Self { root })
    }

    /// Where a key lies; refuses one that would lead out of the folder.
    fn path(&self, key: &str) -> io::Result<PathBuf> {
        let plain = |part: &str| !part.is_empty() && part != "." && part != "..";
        if key.split('/').all(plain) && !key.contains('\\') {
            Ok(self.root.join(key))
        } else {
            Err(io::Error::new(io::ErrorKind::InvalidInput, "not a key"))
        }
    }

    /// The bytes as they lie there; `None` if there is no such file.
    pub(super) fn raw(&self, key: &str) -> io::Result<Option<Vec<u8>>> {
        match fs::read(self.path(key)?) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes a file, whole or not at all.
    pub(super) fn put(&self, file: File, name: &str, body: &[u8]) -> io::Result<()> {
        let path = self.path(&file.key(name))?;
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(body)?;
        let part = path.with_extension("part");
        fs::write(&part, gzip.finish()?)?;
        fs::rename(part, path)
    }

    pub(super) fn put_json<T: Serialize>(
        &self,
        file: File,
        name: &str,
        body: &T,
    ) -> io::Result<()> {
        self.put(file, name, &serde_json::to_vec(body)?)
    }

    /// Reads a file; `None` if there is no such file.
    pub(super) fn get_json<T: DeserializeOwned>(
        &self,
        file: File,
        name: &str,
    ) -> io::Result<Option<T>> {
        let Some(packed) = self.raw(&file.key(name))? else {
            return Ok(None);
        };
        let mut body = Vec::new();
        GzDecoder::new(packed.as_slice()).read_to_end(&mut body)?;
        Ok(Some(serde_json::from_slice(&body)?))
    }

    /// The names of the backups that have a folder.
    pub(super) fn backups(&self) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(self.root.join("backups")) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut names = Vec::new();
        for entry in entries {
            names.extend(entry?.file_name().into_string().ok());
        }
        names.sort();
        Ok(names)
    }

    pub(super) fn remove_backup(&self, name: &str) -> io::Result<()> {
        self.remove(&folder(false, name))
    }

    pub(super) fn remove_restore(&self, name: &str) -> io::Result<()> {
        self.remove(&folder(true, name))
    }

    fn remove(&self, key: &str) -> io::Result<()> {
        match fs::remove_dir_all(self.path(key)?) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }
}
