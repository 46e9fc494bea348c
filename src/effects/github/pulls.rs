//! Pull requests: found by their branch, merged, commented on, closed.

use http::Method;
use serde::Deserialize;
use serde_json::json;

use super::orders::encode;
use super::propose::Among;
use super::{Github, Looking, body};
use crate::request::observed::Pull;

/// What became of a merge.
#[derive(Clone, Debug, PartialEq)]
pub enum Merging {
    Merged {
        sha: Option<String>,
    },
    /// GitHub does not let it be merged; its reasons, in its own words.
    Blocked(String),
    /// It is not as it was when the merge was decided: look again.
    Changed,
}

/// What became of closing a pull request.
#[derive(Clone, Debug, PartialEq)]
pub enum Closing {
    Closed,
    /// Somebody was faster.
    Merged {
        sha: Option<String>,
    },
}

#[derive(Deserialize)]
pub(super) struct Answer {
    pub(super) number: u64,
    pub(super) title: String,
    pub(super) html_url: String,
    state: String,
    #[serde(default)]
    merged: bool,
    #[serde(default)]
    merged_at: Option<String>,
    #[serde(default)]
    pub(super) mergeable: Option<bool>,
    #[serde(default)]
    pub(super) mergeable_state: String,
    #[serde(default)]
    pub(super) merge_commit_sha: Option<String>,
    pub(super) head: Side,
    pub(super) base: Side,
    #[serde(default)]
    pub(super) labels: Vec<Label>,
    #[serde(default)]
    requested_reviewers: Vec<User>,
    #[serde(default)]
    requested_teams: Vec<TeamAnswer>,
}

#[derive(Deserialize)]
pub(super) struct Side {
    pub(super) sha: String,
    #[serde(rename = "ref")]
    pub(super) branch: String,
}

#[derive(Deserialize)]
pub(super) struct Label {
    pub(super) name: String,
}

#[derive(Deserialize)]
struct User {
    login: String,
}

#[derive(Deserialize)]
struct TeamAnswer {
    slug: String,
}

impl Answer {
    pub(super) fn is_merged(&self) -> bool {
        self.merged || self.merged_at.is_some()
    }

    pub(super) fn is_open(&self) -> bool {
        self.state == "open"
    }

    /// Whose review is asked for and not given yet.
    pub(super) fn asked(&self) -> Vec<String> {
        let teams = self.requested_teams.iter().map(|team| team.slug.clone());
        let people = self
            .requested_reviewers
            .iter()
            .map(|user| user.login.clone());
        teams.chain(people).collect()
    }
}

#[derive(Deserialize)]
struct Merge {
    sha: Option<String>,
}

#[derive(Deserialize)]
struct Comment {
    body: Option<String>,
}

impl Github {
    /// The pull request from a branch, if there ever was one.
    pub async fn pull_of(&self, branch: &str) -> anyhow::Result<Option<Pull>> {
        match self.find_pull(branch, Among::Newest).await? {
            Some(found) => self.look(found.number, Looking::default()).await,
            None => Ok(None),
        }
    }

    /// A pull request from a branch of this repository, open or not.
    pub(super) async fn find_pull(
        &self,
        branch: &str,
        among: Among,
    ) -> anyhow::Result<Option<Answer>> {
        let found: Vec<Answer> = self
            .read(&format!(
                "pulls?head={}:{}&state=all&sort=created&direction=desc",
                self.owner,
                encode(branch)
            ))
            .await?
            .unwrap_or_default();
        let found = found.into_iter();
        Ok(match among {
            Among::Newest => found.max_by_key(|pull| pull.number),
            Among::Oldest => found.min_by_key(|pull| pull.number),
            Among::After(number) => found
                .filter(|pull| pull.number > number)
                .max_by_key(|pull| pull.number),
        })
    }

    /// Merges a pull request if its head is still `head_sha`.
    ///
    /// Never bypasses protection: what GitHub says is missing comes back as a
    /// fact to wait on.
    pub async fn merge(&self, number: u64, head_sha: &str) -> anyhow::Result<Merging> {
        let merged: Result<Merge, _> = self
            .write(
                Method::PUT,
                &format!("pulls/{number}/merge"),
                &json!({
                    "sha": head_sha,
                    "merge_method": self.merge_method.word(),
                }),
                "merge the pull request",
            )
            .await;
        match merged {
            Ok(merge) => Ok(Merging::Merged { sha: merge.sha }),
            Err(refusal) => match refusal.status() {
                // Merged already, by an answer that was lost or by somebody:
                // only GitHub knows which of this and a missing review it is.
                Some(405) => Ok(
                    match self.read::<Answer>(&format!("pulls/{number}")).await? {
                        Some(live) if live.is_merged() && live.head.sha == head_sha => {
                            Merging::Merged {
                                sha: live.merge_commit_sha,
                            }
                        }
                        Some(live) if live.is_open() => {
                            Merging::Blocked(refusal.words().to_owned())
                        }
                        _ => Merging::Changed,
                    },
                ),
                // The head moved: the next look says so.
                Some(409) => Ok(Merging::Changed),
                _ => Err(refusal.into()),
            },
        }
    }

    /// Closes a pull request, unless it was merged meanwhile.
    pub(super) async fn set_closed(&self, number: u64) -> anyhow::Result<Answer> {
        let route = format!("pulls/{number}");
        let closed = self
            .write(
                Method::PATCH,
                &route,
                &json!({ "state": "closed" }),
                "close the pull request",
            )
            .await;
        match closed {
            Ok(closed) => Ok(closed),
            // GitHub does not close what is merged; only a look tells that apart.
            Err(refusal) => match self.read::<Answer>(&route).await? {
                Some(live) if !live.is_open() => Ok(live),
                _ => Err(refusal.into()),
            },
        }
    }

    /// Says something in a comment on a pull request, once: `marker` is what it
    /// is known by.
    pub async fn say_once(&self, number: u64, marker: &str, text: &str) -> anyhow::Result<()> {
        self.say_lines_once(number, marker, &[text]).await
    }

    /// As [`Self::say_once`], with a line for each of `lines`.
    pub async fn say_lines_once<S: AsRef<str>>(
        &self,
        number: u64,
        marker: &str,
        lines: &[S],
    ) -> anyhow::Result<()> {
        let marker = format!("<!-- refloat {marker} -->");
        let comments: Vec<Comment> = self
            .read(&format!("issues/{number}/comments?per_page=100"))
            .await?
            .unwrap_or_default();
        let said = comments.iter().any(|comment| {
            comment
                .body
                .as_deref()
                .is_some_and(|body| body.contains(&marker))
        });
        let lines: Vec<String> = lines
            .iter()
            .map(|line| body::harmless(line.as_ref()))
            .collect();
        let text = lines.join("\n");
        if !said {
            let _: serde_json::Value = self
                .write(
                    Method::POST,
                    &format!("issues/{number}/comments"),
                    &json!({ "body": format!("{text}\n\n{marker}") }),
                    "comment on the pull request",
                )
                .await?;
        }
        Ok(())
    }

    /// Closes a pull request for good: says why in a comment, once, and deletes
    /// its branch, so that nobody opens it again and merges what nobody follows.
    pub async fn close(
        &self,
        number: u64,
        branch: &str,
        uid: &str,
        why: &str,
    ) -> anyhow::Result<Closing> {
        self.say_once(number, &format!("{uid} closed"), why).await?;
        let closed = self.set_closed(number).await?;
        if closed.is_merged() {
            return Ok(Closing::Merged {
                sha: closed.merge_commit_sha,
            });
        }
        self.delete_branch(branch).await?;
        Ok(Closing::Closed)
    }
}
