//! Pull requests that change one order: open, look, build anew, merge, close.
//!
//! Whoever asks for a change hands in a [`Proposal`]; its branch's name is what
//! it is found again by. What stood in the order before the change is read from
//! Git, from the commit that the branch was made on: what people can write into a
//! pull request proves nothing.

use anyhow::Context as _;
use http::Method;
use serde::Deserialize;
use serde_json::json;

use super::orders::encode;
use super::{Github, Looking, body};
use crate::order::Edit;
use crate::request::Opened;
use crate::request::observed::Pull;

/// How an order is to be changed: from its text to the edit.
pub type Editing<'a> = dyn Fn(&str) -> anyhow::Result<Edit> + Send + Sync + 'a;

/// What a body says of the head of its pull request.
pub type OfHead<'a> = dyn Fn(&str) -> String + Send + Sync + 'a;

/// A change of one order, to be asked for by pull request.
#[derive(Clone, Copy)]
pub struct Proposal<'a> {
    /// The branch, whose name is made from the request's uid and never used for
    /// anything else.
    pub branch: &'a str,
    /// The order's path in the repository.
    pub path: &'a str,
    /// Also the commit's message.
    pub title: &'a str,
    /// In Markdown; what people wrote has to be made harmless in it.
    pub body: &'a str,
    /// Made anew on whatever the base reads at the time.
    pub edit: &'a Editing<'a>,
    /// True if a pull request that somebody closed is no answer, so that another
    /// one is opened.
    pub insists: bool,
}

impl std::fmt::Debug for Proposal<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proposal")
            .field("branch", &self.branch)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// What became of a proposal. `before`: the order that the edit was made upon.
#[derive(Clone, Debug, PartialEq)]
pub enum Proposed {
    /// The order reads as wanted already.
    NotNeeded { before: String },
    /// There is a pull request: new, found open, or found merged or closed.
    Opened { opened: Opened, before: String },
}

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
    html_url: String,
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
    labels: Vec<Label>,
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
struct Label {
    name: String,
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
        match self.find_pull(branch).await? {
            Some(found) => self.look(found.number, Looking::default()).await,
            None => Ok(None),
        }
    }

    /// Opens a pull request, or finds the one that is there.
    pub async fn propose(&self, proposal: &Proposal<'_>) -> anyhow::Result<Proposed> {
        self.propose_with(proposal, &|_| String::new()).await
    }

    /// As [`Github::propose`]; `of_head` gives what the body says of its head, which
    /// is known only once the commit is made.
    pub async fn propose_with(
        &self,
        proposal: &Proposal<'_>,
        of_head: &OfHead<'_>,
    ) -> anyhow::Result<Proposed> {
        if let Some(found) = self.find_pull(proposal.branch).await? {
            let was_closed = !found.is_open() && !found.is_merged();
            if !(was_closed && proposal.insists) {
                return self.adopt(proposal, of_head, found).await;
            }
        }
        let base = self.base().await?;
        let (before, blob) = self.order_at(proposal.path, &base).await?;
        let edit = (proposal.edit)(&before)?;
        if !edit.changed {
            return Ok(Proposed::NotNeeded { before });
        }
        let head = match self.head_of(proposal.branch).await? {
            None => {
                self.create_branch(proposal.branch, &base).await?;
                self.commit(proposal, &edit.text, &blob).await?
            }
            Some(head) if head == base => self.commit(proposal, &edit.text, &blob).await?,
            // A branch of ours that has a commit but no pull request yet: an
            // answer was lost. It is built anew, which costs nothing and does not
            // trust what it holds.
            Some(old) => {
                self.rebuild_branch(proposal, &base, &edit.text, &old)
                    .await?
            }
        };
        let answer: Answer = self
            .write(
                Method::POST,
                "pulls",
                &json!({
                    "title": proposal.title,
                    "head": proposal.branch,
                    "base": self.branch,
                    "body": format!("{}{}", proposal.body, of_head(&head)),
                    "maintainer_can_modify": false,
                }),
                "open a pull request",
            )
            .await?;
        self.mark(&answer).await;
        Ok(Proposed::Opened {
            opened: opened(&answer, proposal, head, blob),
            before,
        })
    }

    /// Puts on the labels and asks for the reviews that are configured. That they
    /// are missing must not keep self-heal from coming back: it is only told.
    async fn mark(&self, answer: &Answer) {
        let number = answer.number;
        let labels: Vec<&String> = self
            .labels
            .iter()
            .filter(|name| !answer.labels.iter().any(|label| label.name == **name))
            .collect();
        if !labels.is_empty() {
            let put: Result<serde_json::Value, _> = self
                .write(
                    Method::POST,
                    &format!("issues/{number}/labels"),
                    &json!({ "labels": labels }),
                    "label the pull request",
                )
                .await;
            if let Err(refusal) = put {
                tracing::warn!(number, %refusal, "the pull request has no labels");
            }
        }
        let asked = answer.asked();
        let new = |name: &&String| !asked.iter().any(|asked| asked.eq_ignore_ascii_case(name));
        let people: Vec<&String> = self.reviewers.iter().filter(new).collect();
        let teams: Vec<&String> = self.review_teams.iter().filter(new).collect();
        if !people.is_empty() || !teams.is_empty() {
            let put: Result<serde_json::Value, _> = self
                .write(
                    Method::POST,
                    &format!("pulls/{number}/requested_reviewers"),
                    &json!({ "reviewers": people, "team_reviewers": teams }),
                    "ask for a review",
                )
                .await;
            if let Err(refusal) = put {
                tracing::warn!(number, %refusal, "nobody is asked to review the pull request");
            }
        }
    }

    /// Takes over a pull request that an earlier try had opened.
    async fn adopt(
        &self,
        proposal: &Proposal<'_>,
        of_head: &OfHead<'_>,
        found: Answer,
    ) -> anyhow::Result<Proposed> {
        if found.is_merged() {
            return self.adopt_merged(proposal, &found).await;
        }
        let fork = self.fork(&self.branch, &found.head.sha).await?;
        let (before, blob) = self.order_at(proposal.path, &fork.from).await?;
        let edit = (proposal.edit)(&before)?;
        if found.is_open() {
            let as_made = edit.changed
                && found.base.branch == self.branch
                && fork.files.iter().all(|file| file == proposal.path)
                && self
                    .file(proposal.path, &found.head.sha)
                    .await?
                    .is_some_and(|(text, _)| text == edit.text);
            if !as_made {
                // Somebody else has been at the branch.
                return self.rebuild_with(proposal, of_head).await;
            }
            self.mark(&found).await;
        }
        let head = found.head.sha.clone();
        Ok(Proposed::Opened {
            opened: opened(&found, proposal, head, blob),
            before,
        })
    }

    /// Takes over a pull request that is merged: what stood in the order before is read
    /// from where its branch began.
    async fn adopt_merged(
        &self,
        proposal: &Proposal<'_>,
        merged: &Answer,
    ) -> anyhow::Result<Proposed> {
        let number = merged.number;
        let of = match &merged.merge_commit_sha {
            Some(merge) => self.parent(merge).await?,
            None => self.branch.clone(),
        };
        let fork = self.fork(&of, &merged.head.sha).await?;
        let (before, blob) = self.order_at(proposal.path, &fork.from).await?;
        anyhow::ensure!(
            (proposal.edit)(&before)?.changed,
            "the pull request #{number} is merged, but where its branch began, {} reads as if it \
             had been before: somebody has been at the branch, and what stood there is not known",
            proposal.path
        );
        let head = merged.head.sha.clone();
        Ok(Proposed::Opened {
            opened: opened(merged, proposal, head, blob),
            before,
        })
    }

    /// Makes the edit anew on the present base, moves the branch there in one step,
    /// and writes the pull request's title, body and base anew.
    pub async fn rebuild(&self, proposal: &Proposal<'_>) -> anyhow::Result<Proposed> {
        self.rebuild_with(proposal, &|_| String::new()).await
    }

    /// As [`Github::rebuild`], with what the body says of the head.
    pub async fn rebuild_with(
        &self,
        proposal: &Proposal<'_>,
        of_head: &OfHead<'_>,
    ) -> anyhow::Result<Proposed> {
        let base = self.base().await?;
        let (before, blob) = self.order_at(proposal.path, &base).await?;
        let edit = (proposal.edit)(&before)?;
        let found = self.find_pull(proposal.branch).await?;
        // Somebody merged it since it was looked at: the order reads as wanted because
        // of it, and what stood there before is what it was made on (L1).
        if let Some(merged) = &found
            && merged.is_merged()
        {
            return self.adopt_merged(proposal, merged).await;
        }
        if !edit.changed {
            // The order reads as wanted already; the pull request asks for nothing.
            if let Some(found) = found
                && found.is_open()
            {
                let closed = self.set_closed(found.number).await?;
                if closed.is_merged() {
                    return self.adopt_merged(proposal, &closed).await;
                }
                self.delete_branch(proposal.branch).await?;
            }
            return Ok(Proposed::NotNeeded { before });
        }
        let found = found.context("the pull request is gone")?;
        let head = self
            .rebuild_branch(proposal, &base, &edit.text, &found.head.sha)
            .await?;
        let mut change = json!({
            "title": proposal.title,
            "body": format!("{}{}", proposal.body, of_head(&head)),
        });
        if found.base.branch != self.branch {
            change["base"] = json!(self.branch);
        }
        let _: serde_json::Value = self
            .write(
                Method::PATCH,
                &format!("pulls/{}", found.number),
                &change,
                "write the pull request's text anew",
            )
            .await?;
        Ok(Proposed::Opened {
            opened: opened(&found, proposal, head, blob),
            before,
        })
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

    /// The newest pull request from a branch of this repository, open or not.
    async fn find_pull(&self, branch: &str) -> anyhow::Result<Option<Answer>> {
        let found: Vec<Answer> = self
            .read(&format!(
                "pulls?head={}:{}&state=all&sort=created&direction=desc",
                self.owner,
                encode(branch)
            ))
            .await?
            .unwrap_or_default();
        Ok(found.into_iter().next())
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
    async fn set_closed(&self, number: u64) -> anyhow::Result<Answer> {
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

fn opened(answer: &Answer, proposal: &Proposal<'_>, head_sha: String, blob: String) -> Opened {
    Opened {
        number: answer.number,
        url: answer.html_url.clone(),
        branch: proposal.branch.to_owned(),
        head_sha,
        base_blob: Some(blob),
        exact_inverse: None,
    }
}
