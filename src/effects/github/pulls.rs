//! The two pull requests of a restore: open, look, merge, close.

use anyhow::Context as _;
use base64::Engine as _;
use serde::Deserialize;
use serde_json::json;

use super::orders::encode;
use super::{Github, body, explain, status};
use crate::order::{Edit, SelfHealRecord, self_heal_off, self_heal_restore};
use crate::request::decide::MERGE_BLOCKED;
use crate::request::observed::{Pull, PullState, Review, ReviewState};
use crate::request::{Fact, Opened, Which, names};

/// What an effect on a pull request needs to know of its request.
#[derive(Clone, Debug)]
pub struct Context {
    pub request: String,
    pub uid: String,
    pub order_path: String,
    /// What stood in the order before the pause; for the resume only.
    pub record: Option<SelfHealRecord>,
    pub title: String,
    pub body: String,
}

#[derive(Deserialize)]
struct Answer {
    number: u64,
    html_url: String,
    state: String,
    #[serde(default)]
    merged: bool,
    #[serde(default)]
    merged_at: Option<String>,
    #[serde(default)]
    mergeable: Option<bool>,
    #[serde(default)]
    merge_commit_sha: Option<String>,
    #[serde(default)]
    body: Option<String>,
    head: Head,
}

#[derive(Deserialize)]
struct Head {
    sha: String,
}

#[derive(Deserialize)]
struct ReviewAnswer {
    user: Option<User>,
    state: String,
    #[serde(default)]
    commit_id: Option<String>,
}

#[derive(Deserialize)]
struct User {
    login: String,
}

#[derive(Deserialize)]
struct Sha {
    sha: String,
}

#[derive(Deserialize)]
struct CommitTree {
    tree: Sha,
}

#[derive(Deserialize)]
struct Put {
    commit: Sha,
}

#[derive(Deserialize)]
struct Merge {
    sha: Option<String>,
}

#[derive(Deserialize)]
struct Comment {
    body: Option<String>,
}

/// The edit that a pull request makes of an order.
fn edit(
    which: Which,
    text: &str,
    record: Option<&SelfHealRecord>,
) -> anyhow::Result<(Edit, SelfHealRecord)> {
    match (which, record) {
        (Which::Pause, _) => Ok(self_heal_off(text)?),
        (Which::Resume, Some(record)) => Ok((self_heal_restore(text, record)?, record.clone())),
        (Which::Resume, None) => {
            anyhow::bail!("nothing is known of what stood in the order before")
        }
    }
}

impl Github {
    /// A pull request by its number, with its reviews; `None` if there is none.
    pub async fn pull(&self, number: u64) -> anyhow::Result<Option<Pull>> {
        let Some(answer) = self.read::<Answer>(&format!("pulls/{number}")).await? else {
            return Ok(None);
        };
        let mut reviews = Vec::new();
        if answer.state == "open" {
            // Oldest first, as GitHub lists them.
            for page in 1..=10 {
                let some: Vec<ReviewAnswer> = self
                    .read(&format!("pulls/{number}/reviews?per_page=100&page={page}"))
                    .await?
                    .unwrap_or_default();
                let full = some.len() == 100;
                reviews.extend(some.into_iter().filter_map(|review| {
                    Some(Review {
                        login: review.user?.login,
                        state: match review.state.as_str() {
                            "APPROVED" => ReviewState::Approved,
                            "CHANGES_REQUESTED" => ReviewState::ChangesRequested,
                            "DISMISSED" => ReviewState::Dismissed,
                            _ => ReviewState::Other,
                        },
                        commit_id: review.commit_id.unwrap_or_default(),
                    })
                }));
                if !full {
                    break;
                }
            }
        }
        Ok(Some(Pull {
            number: answer.number,
            head_sha: answer.head.sha,
            state: if answer.merged || answer.merged_at.is_some() {
                PullState::Merged {
                    sha: answer.merge_commit_sha,
                }
            } else if answer.state == "open" {
                PullState::Open
            } else {
                PullState::Closed
            },
            mergeable: answer.mergeable,
            reviews,
        }))
    }

    /// Opens a pull request, or finds the one that is there.
    pub async fn open_pull(&self, which: Which, context: &Context) -> anyhow::Result<Fact> {
        let branch = names::branch(&context.request, &context.uid, which);
        if let Some(found) = self.find_pull(&branch).await? {
            // A resume that somebody closed is opened anew: self-heal is off until
            // it is merged. A pause that somebody closed is an answer.
            let was_closed = found.state != "open" && found.merged_at.is_none();
            if !(was_closed && which == Which::Resume) {
                return Self::adopt(which, context, &branch, found);
            }
        }
        let base = self.base().await?;
        let (text, blob) = self.order_at(&context.order_path, &base).await?;
        let (edited, record) = edit(which, &text, context.record.as_ref())?;
        if !edited.changed {
            return Ok(Fact::PullNotNeeded(which, record));
        }
        let head = match self.head_of(&branch).await? {
            None => {
                self.create_branch(&branch, &base).await?;
                self.commit(&branch, context, &edited.text, &blob).await?
            }
            Some(head) if head == base => {
                self.commit(&branch, context, &edited.text, &blob).await?
            }
            // A branch of ours that has a commit but no pull request yet: an
            // answer was lost. It is built anew, which costs nothing and does not
            // trust what it holds.
            Some(_) => {
                self.rebuild_branch(&branch, &base, context, &edited.text)
                    .await?
            }
        };
        let created: Result<Answer, octocrab::Error> = self
            .client
            .post(
                self.route("pulls"),
                Some(&json!({
                    "title": context.title,
                    "head": branch,
                    "base": self.branch,
                    "body": body::with_record(&context.body, &record),
                    "maintainer_can_modify": false,
                })),
            )
            .await;
        match created {
            Ok(answer) => Ok(Fact::PullOpened(
                which,
                Opened {
                    number: answer.number,
                    url: answer.html_url,
                    branch,
                    head_sha: head,
                },
                record,
            )),
            Err(error) => Err(explain(error, "open a pull request")),
        }
    }

    /// Takes over a pull request that an earlier try had opened.
    fn adopt(which: Which, context: &Context, branch: &str, found: Answer) -> anyhow::Result<Fact> {
        // What stood in the order before was written into the body when the
        // pull request was made: the order itself may hold the edit by now.
        let record = match which {
            Which::Resume => context.record.clone(),
            Which::Pause => found.body.as_deref().and_then(body::recorded),
        };
        let record = record.with_context(|| {
            format!(
                "the body of pull request #{} no longer says what stood in the order before",
                found.number
            )
        })?;
        Ok(Fact::PullOpened(
            which,
            Opened {
                number: found.number,
                url: found.html_url,
                branch: branch.to_owned(),
                head_sha: found.head.sha,
            },
            record,
        ))
    }

    /// Makes the edit anew on the present base and moves the branch there in one step.
    pub async fn rebuild_pull(&self, which: Which, context: &Context) -> anyhow::Result<Fact> {
        let branch = names::branch(&context.request, &context.uid, which);
        let base = self.base().await?;
        let (text, _) = self.order_at(&context.order_path, &base).await?;
        let (edited, record) = edit(which, &text, context.record.as_ref())?;
        if !edited.changed {
            // The order reads as wanted already; the pull request asks for nothing.
            if let Some(found) = self.find_pull(&branch).await?
                && found.state == "open"
            {
                self.set_closed(found.number).await?;
            }
            return Ok(Fact::PullNotNeeded(which, record));
        }
        let head = self
            .rebuild_branch(&branch, &base, context, &edited.text)
            .await?;
        let found = self
            .find_pull(&branch)
            .await?
            .context("the pull request is gone")?;
        Ok(Fact::PullOpened(
            which,
            Opened {
                number: found.number,
                url: found.html_url,
                branch,
                head_sha: head,
            },
            record,
        ))
    }

    async fn base(&self) -> anyhow::Result<String> {
        self.head_of(&self.branch)
            .await?
            .with_context(|| format!("there is no branch {}", self.branch))
    }

    async fn order_at(&self, path: &str, at: &str) -> anyhow::Result<(String, String)> {
        self.file(path, at)
            .await?
            .with_context(|| format!("the order {path} is gone"))
    }

    /// The pull request from a branch of this repository, open or not.
    async fn find_pull(&self, branch: &str) -> anyhow::Result<Option<Answer>> {
        let found: Vec<Answer> = self
            .read(&format!(
                "pulls?head={}:{}&base={}&state=all&sort=created&direction=desc",
                self.owner,
                encode(branch),
                encode(&self.branch)
            ))
            .await?
            .unwrap_or_default();
        Ok(found.into_iter().next())
    }

    async fn create_branch(&self, branch: &str, sha: &str) -> anyhow::Result<()> {
        let made: Result<serde_json::Value, _> = self
            .client
            .post(
                self.route("git/refs"),
                Some(&json!({ "ref": format!("refs/heads/{branch}"), "sha": sha })),
            )
            .await;
        made.map(|_| ())
            .map_err(|error| explain(error, "create a branch"))
    }

    async fn commit(
        &self,
        branch: &str,
        context: &Context,
        text: &str,
        blob: &str,
    ) -> anyhow::Result<String> {
        let put: Put = self
            .client
            .put(
                self.route(&format!("contents/{}", encode(&context.order_path))),
                Some(&json!({
                    "message": context.title,
                    "content": base64::engine::general_purpose::STANDARD.encode(text),
                    "sha": blob,
                    "branch": branch,
                })),
            )
            .await
            .map_err(|error| explain(error, "commit the edit of the order"))?;
        Ok(put.commit.sha)
    }

    async fn rebuild_branch(
        &self,
        branch: &str,
        base: &str,
        context: &Context,
        text: &str,
    ) -> anyhow::Result<String> {
        let on: CommitTree = self
            .read(&format!("git/commits/{base}"))
            .await?
            .context("the base commit is gone")?;
        let tree: Sha = self
            .client
            .post(
                self.route("git/trees"),
                Some(&json!({
                    "base_tree": on.tree.sha,
                    "tree": [{
                        "path": context.order_path,
                        "mode": "100644",
                        "type": "blob",
                        "content": text,
                    }],
                })),
            )
            .await
            .map_err(|error| explain(error, "write the edited order"))?;
        let commit: Sha = self
            .client
            .post(
                self.route("git/commits"),
                Some(&json!({
                    "message": context.title,
                    "tree": tree.sha,
                    "parents": [base],
                })),
            )
            .await
            .map_err(|error| explain(error, "commit the edit of the order"))?;
        let moved: Result<serde_json::Value, _> = self
            .client
            .patch(
                self.route(&format!("git/refs/heads/{branch}")),
                Some(&json!({ "sha": commit.sha, "force": true })),
            )
            .await;
        moved.map_err(|error| explain(error, "move the branch"))?;
        Ok(commit.sha)
    }

    /// Merges a pull request if its head is still `head_sha`.
    ///
    /// Never bypasses protection: what GitHub says is missing comes back as a
    /// fact to wait on.
    pub async fn merge_pull(
        &self,
        which: Which,
        number: u64,
        head_sha: &str,
    ) -> anyhow::Result<Option<Fact>> {
        let merged: Result<Merge, octocrab::Error> = self
            .client
            .put(
                self.route(&format!("pulls/{number}/merge")),
                Some(&json!({
                    "sha": head_sha,
                    "merge_method": self.merge_method.word(),
                })),
            )
            .await;
        match merged {
            Ok(merge) => Ok(Some(Fact::PullMerged(which, merge.sha))),
            Err(error) => match (status(&error), &error) {
                // Merged already, by an answer that was lost or by somebody:
                // only GitHub knows which of this and a missing review it is.
                (Some(405), octocrab::Error::GitHub { source, .. }) => {
                    let why = source.message.clone();
                    Ok(match self.pull(number).await? {
                        Some(Pull {
                            state: PullState::Merged { sha },
                            head_sha: live,
                            ..
                        }) if live == head_sha => Some(Fact::PullMerged(which, sha)),
                        Some(Pull {
                            state: PullState::Open,
                            ..
                        }) => Some(Fact::Waiting(Some(format!("{MERGE_BLOCKED}: {why}")))),
                        _ => None,
                    })
                }
                // The head moved: the next look says so.
                (Some(409), _) => Ok(None),
                _ => Err(explain(error, "merge the pull request")),
            },
        }
    }

    /// The pull request from a branch, if there ever was one.
    pub async fn pull_of(&self, branch: &str) -> anyhow::Result<Option<Pull>> {
        match self.find_pull(branch).await? {
            Some(found) => self.pull(found.number).await,
            None => Ok(None),
        }
    }

    /// Closes a pull request, unless it was merged meanwhile.
    async fn set_closed(&self, number: u64) -> anyhow::Result<Answer> {
        let closed: Result<Answer, octocrab::Error> = self
            .client
            .patch(
                self.route(&format!("pulls/{number}")),
                Some(&json!({ "state": "closed" })),
            )
            .await;
        match closed {
            Ok(closed) => Ok(closed),
            // GitHub does not close what is merged; only a look tells that apart.
            Err(error) => match self.read::<Answer>(&format!("pulls/{number}")).await? {
                Some(live) if live.state != "open" => Ok(live),
                _ => Err(explain(error, "close the pull request")),
            },
        }
    }

    /// Closes a pull request and says why in a comment, once.
    pub async fn close_pull(
        &self,
        which: Which,
        number: u64,
        uid: &str,
        why: &str,
    ) -> anyhow::Result<Option<Fact>> {
        let marker = format!("<!-- refloat {uid} closed -->");
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
        if !said {
            let posted: Result<serde_json::Value, _> = self
                .client
                .post(
                    self.route(&format!("issues/{number}/comments")),
                    Some(&json!({
                        "body": format!("{}\n\n{marker}", body::harmless(why)),
                    })),
                )
                .await;
            posted.map_err(|error| explain(error, "comment on the pull request"))?;
        }
        let closed = self.set_closed(number).await?;
        Ok(if closed.merged || closed.merged_at.is_some() {
            Some(Fact::PullMerged(which, closed.merge_commit_sha))
        } else if closed.state == "closed" {
            Some(Fact::PullClosed(which))
        } else {
            None
        })
    }
}
