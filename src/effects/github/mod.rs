//! Tenant orders and pull requests on GitHub, through octocrab.
//!
//! The shapes below hold only what Refloat needs of GitHub's answers, so that a
//! field it does not know or does not find cannot stop a restore.

mod body;
mod branches;
mod orders;
mod pulls;
mod restore;
mod schedule_body;
mod schedules;
mod transport;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use octocrab::Octocrab;
use serde::Deserialize;

use crate::config::{Github as Settings, MergeMethod};

pub use body::{describe, harmless};
pub use orders::{Found, Orders};
pub use pulls::{Closing, Editing, Merging, Proposal, Proposed};
pub use restore::Context;
pub use schedule_body::describe_schedule;
pub use schedules::Ordered;

/// A client of one repository of tenant orders.
#[derive(Clone)]
pub struct Github {
    client: Octocrab,
    owner: String,
    repository: String,
    branch: String,
    orders: globset::GlobMatcher,
    merge_method: MergeMethod,
    /// Texts of blobs by their hash, which never change.
    blobs: Arc<Mutex<HashMap<String, Arc<str>>>>,
}

impl std::fmt::Debug for Github {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Github").finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct Reference {
    object: Target,
}

#[derive(Deserialize)]
struct Target {
    sha: String,
}

impl Github {
    /// Makes the client; sends nothing yet.
    pub fn new(settings: &Settings) -> anyhow::Result<Self> {
        let client = Octocrab::builder()
            .base_uri(settings.api.as_str())?
            .personal_token(settings.token.clone())
            .add_retry_config(octocrab::service::middleware::retry::RetryConfig::None)
            .add_header(
                http::HeaderName::from_static("x-github-api-version"),
                "2022-11-28".to_owned(),
            )
            .set_connect_timeout(Some(settings.timeout))
            .set_read_timeout(Some(settings.timeout))
            .set_write_timeout(Some(settings.timeout))
            .build()?;
        Ok(Self {
            client,
            owner: settings.owner.clone(),
            repository: settings.repository.clone(),
            branch: settings.branch.clone(),
            orders: globset::Glob::new(&settings.orders)?.compile_matcher(),
            merge_method: settings.merge_method,
            blobs: Arc::default(),
        })
    }

    fn route(&self, rest: &str) -> String {
        format!("/repos/{}/{}/{rest}", self.owner, self.repository)
    }

    /// Where a branch stands; `None` if there is none.
    async fn head_of(&self, branch: &str) -> anyhow::Result<Option<String>> {
        Ok(self
            .read::<Reference>(&format!("git/ref/heads/{branch}"))
            .await?
            .map(|reference| reference.object.sha))
    }

    fn cached(&self, sha: &str) -> Option<Arc<str>> {
        self.lock_blobs().get(sha).cloned()
    }

    fn lock_blobs(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<str>>> {
        // The map is whole after every statement that touches it.
        self.blobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
