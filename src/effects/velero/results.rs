//! What Velero says went wrong in a Restore: its results, by DownloadRequest.
//!
//! Velero keeps them in its object storage and signs an address on request. The
//! body is gzip: `{"errors": {"velero": [], "cluster": [], "namespaces": {"ns": []}}, ...}`.

use std::io::Read as _;
use std::time::Duration;

use anyhow::Context as _;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::rt::TokioExecutor;
use kube::Client;
use kube::api::PostParams;
use kube::core::DynamicObject;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::super::{dynamic, json, velero_kind};
use super::{Order, find_or_create};
use crate::request::inventory::hex;
use crate::request::names;

/// A missing target is never processed, so that the wait is ours to end.
const PATIENCE: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(100);
/// Results hold a line for each object that could not be restored.
const LARGEST: usize = 16 * 1024 * 1024;
/// More than these help nobody who reads a thread.
const MOST: usize = 10;

/// The errors of a Restore in Velero's words, the first few of them.
pub async fn errors(
    client: &Client,
    order: &Order<'_>,
    round: usize,
) -> anyhow::Result<Vec<String>> {
    let restore = names::restore(order.uid, round);
    let kind = velero_kind("DownloadRequest", "downloadrequests");
    let name = format!("{restore}-results");
    let request = json!({
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        "metadata": {
            "name": name,
            "namespace": order.namespace,
            "labels": order.labels(),
        },
        "spec": { "target": { "kind": "RestoreResults", "name": restore } },
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
    .context("Velero did not hand out the results in time")??;
    read(&download(&address).await?)
}

/// The errors of a Backup in Velero's words, the first few of them.
pub async fn of_backup(
    client: &Client,
    namespace: &str,
    backup: &str,
) -> anyhow::Result<Vec<String>> {
    let kind = velero_kind("DownloadRequest", "downloadrequests");
    let api = dynamic(client, namespace, &kind);
    // The same for the same backup: one that is still there serves again.
    let hash = hex(&Sha256::digest(backup.as_bytes()));
    let name = format!("refloat-{}-results", &hash[..10]);
    let request: DynamicObject = serde_json::from_value(json!({
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        "metadata": { "name": name, "namespace": namespace },
        "spec": { "target": { "kind": "BackupResults", "name": backup } },
    }))?;
    match api.create(&PostParams::default(), &request).await {
        Ok(_) => {}
        Err(kube::Error::Api(status)) if status.is_already_exists() => {}
        Err(error) => return Err(error).context("ask Velero for the results of a backup"),
    }
    let address = tokio::time::timeout(PATIENCE, async {
        loop {
            if let Some(made) = api.get_opt(&name).await?
                && let Some(address) = json::text(&made.data, "/status/downloadURL")
            {
                return Ok::<_, anyhow::Error>(address.to_owned());
            }
            tokio::time::sleep(LOOK).await;
        }
    })
    .await
    .context("Velero did not hand out the results in time")??;
    read(&download(&address).await?)
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

fn read(packed: &[u8]) -> anyhow::Result<Vec<String>> {
    let mut text = String::new();
    flate2::read::GzDecoder::new(packed)
        .take(LARGEST as u64)
        .read_to_string(&mut text)
        .context("the results are not gzip")?;
    let results: Value = serde_json::from_str(&text).context("the results are not JSON")?;
    let mut errors = json::strings(&results, "/errors/velero");
    errors.extend(json::strings(&results, "/errors/cluster"));
    if let Some(namespaces) = results
        .pointer("/errors/namespaces")
        .and_then(Value::as_object)
    {
        for (namespace, messages) in namespaces {
            errors.extend(
                json::strings(messages, "")
                    .into_iter()
                    .map(|message| format!("{namespace}: {message}")),
            );
        }
    }
    let more = errors.len().saturating_sub(MOST);
    errors.truncate(MOST);
    if more > 0 {
        errors.push(format!("and {more} more"));
    }
    Ok(errors)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn gzip(text: &str) -> Vec<u8> {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(text.as_bytes()).expect("to memory");
        packed.finish().expect("to memory")
    }

    #[test]
    fn errors_are_read_with_their_namespace() {
        let results = r#"{"warnings":{"namespaces":{"a":["skipped"]}},"errors":{"velero":["v"],"namespaces":{"a":["could not restore, Pod \"x\""]}}}"#;
        assert_eq!(
            read(&gzip(results)).expect("good results"),
            ["v", "a: could not restore, Pod \"x\""]
        );
        assert!(
            read(&gzip(r#"{"errors":{}}"#))
                .expect("no errors")
                .is_empty()
        );
    }

    #[test]
    fn what_is_no_result_is_an_error() {
        assert!(read(b"plain").is_err());
        assert!(read(&gzip("[")).is_err());
    }

    #[test]
    fn many_errors_are_cut() {
        let many: Vec<String> = (0..25).map(|n| format!("\"e{n}\"")).collect();
        let results = format!("{{\"errors\":{{\"velero\":[{}]}}}}", many.join(","));
        let errors = read(&gzip(&results)).expect("good results");
        assert_eq!(errors.len(), MOST + 1);
        assert_eq!(errors.last().map(String::as_str), Some("and 15 more"));
    }
}
