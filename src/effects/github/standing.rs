//! How Refloat stands with GitHub: what its account may do, what the branch wants
//! before it takes a merge, and which orders can be read. Only for being shown.

use anyhow::Context as _;
use serde::Deserialize;

use super::Github;
use super::looking::{Branch, Rule};
use super::orders::encode;
use crate::backups::Whose;
use crate::config::MergeMethod;
use crate::order::Order;

/// What the repository and its branch allow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Standing {
    /// The account may push branches, without which no pull request can be opened.
    pub may_push: bool,
    /// The configured way to merge is one that the repository allows; `None`: it does
    /// not say, which is so for accounts that may only read it.
    pub method_allowed: Option<bool>,
    /// The branch is protected, by a rule of its own or by a ruleset.
    pub protected: bool,
    /// How many approving reviews a merge needs.
    pub reviews: usize,
    /// The owners of the code have to be among them.
    pub code_owners: bool,
    /// Checks that have to pass.
    pub checks: Vec<String>,
    /// The branch is merged by its merge queue only.
    pub queue: bool,
}

/// A tenant order, as far as it can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    pub path: String,
    /// Whose it is, and what; or what is wrong with it, and in which line.
    pub order: Result<Whose, String>,
}

#[derive(Deserialize)]
struct Repository {
    #[serde(default)]
    permissions: Permissions,
    #[serde(default)]
    allow_merge_commit: Option<bool>,
    #[serde(default)]
    allow_squash_merge: Option<bool>,
    #[serde(default)]
    allow_rebase_merge: Option<bool>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Permissions {
    push: bool,
}

impl Github {
    /// Asks what the account may do, and what the branch wants; changes nothing.
    pub async fn standing(&self) -> anyhow::Result<Standing> {
        let full_name = self.full_name();
        let repository: Repository = self
            .read(&format!("/repos/{}/{}", self.owner, self.repository))
            .await?
            .with_context(|| {
                format!("there is no repository {full_name}, or Refloat's account does not see it")
            })?;
        let branch = encode(&self.branch);
        let named: Branch = self
            .read(&format!("branches/{branch}"))
            .await?
            .with_context(|| format!("{full_name} has no branch {}", self.branch))?;
        let rules: Vec<Rule> = self
            .read(&format!("rules/branches/{branch}?per_page=100"))
            .await?
            .unwrap_or_default();
        let mut standing = Standing {
            may_push: repository.permissions.push,
            method_allowed: match self.merge_method {
                MergeMethod::Merge => repository.allow_merge_commit,
                MergeMethod::Squash => repository.allow_squash_merge,
                MergeMethod::Rebase => repository.allow_rebase_merge,
            },
            protected: named.protected || !rules.is_empty(),
            ..Standing::default()
        };
        standing.checks = named.contexts();
        for rule in rules {
            match rule.kind.as_str() {
                "pull_request" => {
                    let wanted = rule.parameters.required_approving_review_count;
                    standing.reviews = standing.reviews.max(wanted);
                    standing.code_owners |= rule.parameters.require_code_owner_review;
                }
                "required_status_checks" => standing.checks.extend(rule.contexts()),
                "merge_queue" => standing.queue = true,
                _ => {}
            }
        }
        standing.checks.sort_unstable();
        standing.checks.dedup();
        Ok(standing)
    }

    /// How many requests GitHub still takes, of how many in an hour; `None` before it
    /// said.
    pub fn requests_left(&self) -> Option<(i64, i64)> {
        self.pace.meter.left()
    }

    /// By how many seconds GitHub's clock is ahead, as of its last answer.
    pub fn clock_skew(&self) -> i64 {
        self.pace.meter.skew.get()
    }

    /// Reads every order there is, in the order of their paths.
    pub async fn all_orders(&self) -> anyhow::Result<Vec<Read>> {
        let mut read = Vec::new();
        for file in self.order_files().await? {
            let text = self.blob(&file.sha).await?;
            let order = Order::read(&text)
                .map(|order| Whose {
                    tenant: order.tenant.clone(),
                    namespaces: order.namespaces(),
                    schedules: order
                        .backup
                        .schedules
                        .iter()
                        .map(|schedule| schedule.name.clone())
                        .collect(),
                })
                .map_err(|error| error.to_string());
            read.push(Read {
                path: file.path,
                order,
            });
        }
        read.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(read)
    }
}
