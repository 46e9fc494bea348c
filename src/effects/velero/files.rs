//! Velero's files of a backup or a Restore: by DownloadRequest.
//!
//! Velero keeps them in its object storage and signs an address on request. The
//! body is gzip. That a file is not there shows only at the address.

use std::io::Read as _;
use std::time::Duration;

use anyhow::Context as _;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::rt::TokioExecutor;
use kube::Client;
use kube::core::DynamicObject;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::super::{dynamic, json, velero_kind};
use super::{Order, find_or_create};
use crate::request::short_uid;

/// A missing target is never processed, so that the wait is ours to end.
const PATIENCE: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(50);
/// A line for each object; what is larger helps nobody and would fill the memory.
const LARGEST: usize = 32 * 1024 * 1024;

/// Which file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum File {
    /// Which objects are in a backup.
    ResourceList,
    /// What became of the data of each claim in a backup.
    VolumeInfos,
    /// The objects of a backup themselves, as a tar archive.
    Contents,
    /// Warnings and errors of a backup.
    BackupResults,
    /// Warnings and errors of a Restore.
    RestoreResults,
    RestoreLog,
}

impl File {
    /// `spec.target.kind` of the DownloadRequest.
    fn kind(self) -> &'static str {
        match self {
            Self::ResourceList => "BackupResourceList",
            Self::VolumeInfos => "BackupVolumeInfos",
            Self::Contents => "BackupContents",
            Self::BackupResults => "BackupResults",
            Self::RestoreResults => "RestoreResults",
            Self::RestoreLog => "RestoreLog",
        }
    }

    fn in_words(self) -> &'static str {
        match self {
            Self::ResourceList => "the list of its objects",
            Self::VolumeInfos => "the list of its volumes",
            Self::Contents => "its contents",
            Self::BackupResults | Self::RestoreResults => "its results",
            Self::RestoreLog => "its log",
        }
    }
}

/// A file of the backup or Restore `of`, unpacked.
pub(crate) async fn text(
    client: &Client,
    order: &Order<'_>,
    file: File,
    of: &str,
) -> anyhow::Result<String> {
    let packed = packed(client, order, file, of).await?;
    let mut text = String::new();
    flate2::read::GzDecoder::new(packed.as_slice())
        .take(LARGEST as u64)
        .read_to_string(&mut text)
        .with_context(|| format!("{} is not gzip", file.in_words()))?;
    Ok(text)
}

/// A file of the backup or Restore `of`, as it is stored.
pub(crate) async fn packed(
    client: &Client,
    order: &Order<'_>,
    file: File,
    of: &str,
) -> anyhow::Result<Vec<u8>> {
    let kind = velero_kind("DownloadRequest", "downloadrequests");
    let target = crate::request::inventory::hex(&Sha256::digest(of.as_bytes()));
    let name = format!(
        "refloat-{}-{}-{}",
        short_uid(order.uid),
        file.kind().to_lowercase(),
        &target[..8]
    );
    let request = json!({
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        "metadata": {
            "name": name,
            "namespace": order.namespace,
            "labels": order.labels(),
        },
        "spec": { "target": { "kind": file.kind(), "name": of } },
    });
    let api = dynamic(client, order.namespace, &kind);
    // One that is still there serves again; Velero collects it when its address ends.
    let made = find_or_create(client, order, &kind, &name, request).await?;
    let address = tokio::time::timeout(PATIENCE, async {
        let mut made: DynamicObject = made;
        loop {
            if let Some(address) = json::text(&made.data, "/status/downloadURL") {
                return Ok::<_, anyhow::Error>(address.to_owned());
            }
            tokio::time::sleep(LOOK).await;
            made = api.get(&name).await?;
        }
    })
    .await
    .with_context(|| format!("Velero did not hand out {} in time", file.in_words()))??;
    download(&address).await
}

async fn download(address: &str) -> anyhow::Result<Vec<u8>> {
    // Without the query, which is the signature.
    let shown = address.split('?').next().unwrap_or_default().to_owned();
    let https = hyper_rustls::HttpsConnectorBuilder::new()
        .with_native_roots()
        .context("the system's certificates cannot be read")?
        .https_or_http()
        .enable_http1()
        .build();
    let client: HttpClient<_, Empty<bytes::Bytes>> =
        HttpClient::builder(TokioExecutor::new()).build(https);
    let answer = tokio::time::timeout(PATIENCE, client.get(address.parse()?))
        .await
        .with_context(|| format!("{shown} did not answer in time"))?
        .map_err(|_| anyhow::anyhow!("{shown} cannot be reached"))?;
    anyhow::ensure!(
        answer.status().is_success(),
        "{shown} answered {}",
        answer.status().as_u16()
    );
    let body = Limited::new(answer.into_body(), LARGEST)
        .collect()
        .await
        .map_err(|_| anyhow::anyhow!("{shown} broke off, or is too large"))?;
    Ok(body.to_bytes().to_vec())
}
