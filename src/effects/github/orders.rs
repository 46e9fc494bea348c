//! Reading tenant orders out of the repository.

use std::sync::Arc;

use anyhow::Context as _;
use base64::Engine as _;
use serde::Deserialize;

use super::Github;
use crate::order::Order;
use crate::request::preflight::OrderView;

#[derive(Deserialize)]
struct Tree {
    tree: Vec<Entry>,
    #[serde(default)]
    truncated: bool,
}

#[derive(Deserialize)]
pub(super) struct Entry {
    pub(super) path: String,
    #[serde(rename = "type")]
    kind: String,
    pub(super) sha: String,
}

#[derive(Deserialize)]
struct Blob {
    content: String,
}

#[derive(Deserialize)]
pub(super) struct Contents {
    pub(super) sha: String,
    pub(super) content: String,
}

/// The orders of the repository at one commit.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Orders {
    /// The tenants there are, by the names of their files.
    pub tenants: Vec<String>,
    pub found: Found,
}

/// What became of looking for one tenant's order.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Found {
    #[default]
    Nothing,
    Faulty(String),
    Order(OrderView),
}

impl Github {
    /// Looks for the order of a tenant. The order itself says whose it is;
    /// the file's name only tells where to look first.
    pub async fn orders(&self, tenant: &str) -> anyhow::Result<Orders> {
        let mut files = self.order_files().await?;
        let mut tenants: Vec<String> = files.iter().map(|file| stem(&file.path)).collect();
        tenants.sort_unstable();
        tenants.dedup();
        files.sort_by_key(|file| stem(&file.path) != tenant);

        let mut fault = None;
        for file in &files {
            let text = self.blob(&file.sha).await?;
            match Order::read(&text) {
                Ok(order) if order.tenant == tenant => {
                    if !tenants.contains(&order.tenant) {
                        tenants.push(order.tenant.clone());
                    }
                    return Ok(Orders {
                        tenants,
                        found: Found::Order(OrderView {
                            path: file.path.clone(),
                            namespaces: order.namespaces(),
                            schedules: order
                                .backup
                                .schedules
                                .iter()
                                .map(|schedule| schedule.name.clone())
                                .collect(),
                            self_heal: order.sync_policy.self_heal.value,
                        }),
                    });
                }
                Ok(_) => {}
                Err(error) if stem(&file.path) == tenant => {
                    fault.get_or_insert(format!("{}: {error}", file.path));
                }
                Err(error) => {
                    tracing::debug!(path = file.path, %error, "an order cannot be read");
                }
            }
        }
        Ok(Orders {
            tenants,
            found: fault.map_or(Found::Nothing, Found::Faulty),
        })
    }

    /// The files that are orders by their paths.
    pub(super) async fn order_files(&self) -> anyhow::Result<Vec<Entry>> {
        let tree: Tree = self
            .read(&format!("git/trees/{}?recursive=1", self.branch))
            .await?
            .with_context(|| {
                format!(
                    "there is no branch {} in {}/{}",
                    self.branch, self.owner, self.repository
                )
            })?;
        anyhow::ensure!(
            !tree.truncated,
            "the repository is too large for GitHub to list its files in one answer"
        );
        let entries = tree.tree.into_iter();
        Ok(entries
            .filter(|entry| entry.kind == "blob" && self.orders.is_match(&entry.path))
            .collect())
    }

    pub(super) async fn blob(&self, sha: &str) -> anyhow::Result<Arc<str>> {
        if let Some(text) = self.cached(sha) {
            return Ok(text);
        }
        let blob: Blob = self
            .read(&format!("git/blobs/{sha}"))
            .await?
            .with_context(|| format!("the blob {sha} is gone"))?;
        let text: Arc<str> = decode(&blob.content)?.into();
        let mut blobs = self.lock_blobs();
        // Orders are small and few; this bound only keeps years of edits from piling up.
        if blobs.len() >= 2_000 {
            blobs.clear();
        }
        blobs.insert(sha.to_owned(), Arc::clone(&text));
        Ok(text)
    }

    /// A file at a commit or branch, with the hash of its blob.
    pub(super) async fn file(
        &self,
        path: &str,
        at: &str,
    ) -> anyhow::Result<Option<(String, String)>> {
        let Some(contents) = self.read::<Contents>(&contents(path, at)).await? else {
            return Ok(None);
        };
        Ok(Some((decode(&contents.content)?, contents.sha)))
    }
}

/// Where a file at a commit or branch is read.
pub(super) fn contents(path: &str, at: &str) -> String {
    format!("contents/{}?ref={at}", encode(path))
}

/// The tenant that a file's name speaks of: `waves/1/poseidon1-tenant.yaml` of poseidon1.
fn stem(path: &str) -> String {
    let name = path.rsplit('/').next().unwrap_or(path);
    let name = name
        .strip_suffix(".yaml")
        .or_else(|| name.strip_suffix(".yml"))
        .unwrap_or(name);
    name.strip_suffix("-tenant").unwrap_or(name).to_owned()
}

fn decode(content: &str) -> anyhow::Result<String> {
    let joined: String = content.split_ascii_whitespace().collect();
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(joined)
        .context("GitHub sent a file that is not base64")?;
    String::from_utf8(bytes).context("the file is not UTF-8")
}

/// A path for an address: each segment percent-encoded, the slashes kept.
pub(super) fn encode(path: &str) -> String {
    use std::fmt::Write as _;
    path.bytes().fold(String::new(), |mut text, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            text.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(text, "%{byte:02X}");
        }
        text
    })
}
