//! Tenant orders and pull requests on GitHub, through octocrab.
//!
//! The shapes below hold only what Refloat needs of GitHub's answers, so that a
//! field it does not know or does not find cannot stop a restore.

mod auth;
mod body;
mod branches;
mod looking;
mod orders;
mod pace;
mod propose;
mod pulls;
mod restore;
mod schedule_body;
mod schedules;
mod standing;
mod transport;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use octocrab::Octocrab;
use serde::Deserialize;

use crate::config::{Github as Settings, MergeMethod};
use crate::telemetry::Metrics;

pub use auth::Credentials;
pub use body::{describe, harmless, mirrored, of_head};
pub use looking::Looking;
pub use orders::{Found, Orders};
pub(crate) use pace::skew;
pub use propose::{Again, Among, Editing, OfHead, Proposal, Proposed};
pub use pulls::{Closing, Merging};
pub use restore::{Context, edit};
pub use schedule_body::describe_schedule;
pub use schedules::Ordered;
pub use standing::{Read, Standing};

use auth::Auth;
use pace::Pace;
use transport::Known;

/// A client of one repository of tenant orders; clones share one queue.
#[derive(Clone)]
pub struct Github {
    client: Octocrab,
    auth: Arc<Auth>,
    pace: Arc<Pace>,
    known: Arc<Known>,
    /// How old an answer may be that several who wait share.
    share_reads: Duration,
    owner: String,
    repository: String,
    branch: String,
    orders: globset::GlobMatcher,
    merge_method: MergeMethod,
    labels: Vec<String>,
    /// Logins and slugs of teams whose review is asked for.
    reviewers: Vec<String>,
    review_teams: Vec<String>,
    /// The organization and the slug of the reviewers' team.
    team: Option<(String, String)>,
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

/// Where it is read at which commit a branch stands.
fn reference(branch: &str) -> String {
    format!("git/ref/heads/{branch}")
}

impl Github {
    /// Makes the client; sends nothing yet.
    pub fn new(settings: &Settings, metrics: &Metrics) -> anyhow::Result<Self> {
        let client = Octocrab::builder()
            .base_uri(settings.api.as_str())?
            .add_retry_config(octocrab::service::middleware::retry::RetryConfig::None)
            .add_header(
                http::HeaderName::from_static("x-github-api-version"),
                "2022-11-28".to_owned(),
            )
            .set_connect_timeout(Some(settings.timeout))
            .set_read_timeout(Some(settings.timeout))
            .set_write_timeout(Some(settings.timeout))
            .build()?;
        if let Credentials::App { key, .. } = &settings.credentials {
            auth::check_key(key)?;
        }
        Ok(Self {
            client,
            auth: Arc::new(Auth::new(settings.credentials.clone())),
            pace: Arc::new(Pace::new(settings.write_gap, metrics)),
            known: Arc::default(),
            share_reads: settings.share_reads,
            labels: settings.labels.clone(),
            reviewers: settings.reviewers.clone(),
            review_teams: settings.review_teams.clone(),
            team: settings.team.clone(),
            owner: settings.owner.clone(),
            repository: settings.repository.clone(),
            branch: settings.branch.clone(),
            orders: globset::Glob::new(&settings.orders)?.compile_matcher(),
            merge_method: settings.merge_method,
            blobs: Arc::default(),
        })
    }

    /// The address of what stands below the repository, or where `rest` says if it
    /// begins with a slash.
    fn route(&self, rest: &str) -> String {
        if rest.starts_with('/') {
            return rest.to_owned();
        }
        format!("/repos/{}/{}/{rest}", self.owner, self.repository)
    }

    /// The branch of the orders.
    pub fn branch(&self) -> &str {
        &self.branch
    }

    /// `owner/name` of the repository.
    pub fn full_name(&self) -> String {
        format!("{}/{}", self.owner, self.repository)
    }

    /// The numbers of pull requests of Refloat's that were merged lately.
    pub async fn merged_lately(&self) -> anyhow::Result<Vec<u64>> {
        let closed: Vec<pulls::Answer> = self
            .read("pulls?state=closed&sort=updated&direction=desc&per_page=30")
            .await?
            .unwrap_or_default();
        Ok(closed
            .iter()
            .filter(|pull| pull.is_merged() && pull.head.branch.starts_with("refloat/"))
            .map(|pull| pull.number)
            .collect())
    }

    /// Reads where the branch of the orders stands; an error says why that cannot be
    /// read. Changes nothing.
    pub async fn reach(&self) -> anyhow::Result<()> {
        match self.head_of(&self.branch).await? {
            Some(_) => Ok(()),
            None => anyhow::bail!(
                "the repository {} has no branch {}",
                self.full_name(),
                self.branch
            ),
        }
    }

    /// Where a branch stands; `None` if there is none.
    async fn head_of(&self, branch: &str) -> anyhow::Result<Option<String>> {
        Ok(self
            .read::<Reference>(&reference(branch))
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
