//! Proposing a change of one order: opened as a pull request, found, or built anew.
//!
//! Whoever asks for a change hands in a [`Proposal`]; its branch's name is what
//! it is found again by, and its number where two proposals of one request use one
//! branch after another. What stood in the order before the change is read from
//! Git, from the commit that the branch was made on: what people can write into a
//! pull request proves nothing.

use anyhow::Context as _;
use http::Method;
use serde_json::json;

use super::Github;
use super::pulls::Answer;
use crate::order::Edit;
use crate::request::Opened;

/// How an order is to be changed: from its text to the edit.
pub type Editing<'a> = dyn Fn(&str) -> anyhow::Result<Edit> + Send + Sync + 'a;

/// What a body says of the head of its pull request.
pub type OfHead<'a> = dyn Fn(&str) -> String + Send + Sync + 'a;

/// A change of one order, to be asked for by pull request.
#[derive(Clone, Copy)]
pub struct Proposal<'a> {
    /// The branch, whose name is made from the request's uid.
    pub branch: &'a str,
    /// Which of the pull requests from that branch is this one.
    pub among: Among,
    /// A merged branch of the same request, which the commit may be made on if the
    /// branch itself is not there yet.
    pub again: Option<Again<'a>>,
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

/// Which pull request from a branch is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Among {
    Newest,
    /// What comes after the first one is another proposal's, which uses the branch again.
    Oldest,
    /// The newest with a higher number: the others are another proposal's.
    After(u64),
}

/// A branch whose pull request is merged. If the base holds its commits as they are, one
/// more commit is all that the next pull request needs, without a branch of its own.
#[derive(Clone, Copy, Debug)]
pub struct Again<'a> {
    pub branch: &'a str,
    /// The head of the pull request that is merged.
    pub head: &'a str,
}

impl<'a> Proposal<'a> {
    /// The same change on the branch that is used again.
    fn elsewhere(&self) -> Option<Proposal<'a>> {
        let again = self.again?;
        Some(Proposal {
            branch: again.branch,
            ..*self
        })
    }
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

impl Github {
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
        let elsewhere = proposal.elsewhere();
        for proposal in [Some(proposal), elsewhere.as_ref()].into_iter().flatten() {
            if let Some(found) = self.find_pull(proposal.branch, proposal.among).await? {
                let was_closed = !found.is_open() && !found.is_merged();
                if !(was_closed && proposal.insists) {
                    return self.adopt(proposal, of_head, found).await;
                }
            }
        }
        let base = self.base().await?;
        let (before, blob) = self.order_at(proposal.path, &base).await?;
        let edit = (proposal.edit)(&before)?;
        if !edit.changed {
            return Ok(Proposed::NotNeeded { before });
        }
        let mut branch = (proposal, self.head_of(proposal.branch).await?);
        if let (None, Some(elsewhere)) = (&branch.1, &elsewhere)
            && let Some(head) = self.merged_head(elsewhere, &base).await?
        {
            branch = (elsewhere, Some(head));
        }
        let (proposal, head) = branch;
        let head = match head {
            None => {
                self.create_branch(proposal.branch, &base).await?;
                self.commit(proposal, &edit.text, &blob).await?
            }
            Some(head) if head == base || self.reads_alike(proposal, &head, &blob).await? => {
                self.commit(proposal, &edit.text, &blob).await?
            }
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

    /// Where the branch stands that is used again, if that can be done: the base has to
    /// hold what was merged from it as it was, commit for commit. After a squash or a
    /// rebase, Git would take the next commit there for what was there before, and merge
    /// nothing.
    async fn merged_head(
        &self,
        elsewhere: &Proposal<'_>,
        base: &str,
    ) -> anyhow::Result<Option<String>> {
        let Some(again) = elsewhere.again else {
            return Ok(None);
        };
        let Some(head) = self.head_of(again.branch).await? else {
            return Ok(None);
        };
        let fork = self.fork(base, again.head).await?;
        Ok((fork.from == again.head).then_some(head))
    }

    /// Whether a branch that is used again stands where it was merged, with the order as
    /// the base has it: then one commit on it is the edit, and nothing but it.
    async fn reads_alike(
        &self,
        proposal: &Proposal<'_>,
        head: &str,
        blob: &str,
    ) -> anyhow::Result<bool> {
        if proposal.again.is_none_or(|again| again.head != head) {
            return Ok(false);
        }
        let there = self.file(proposal.path, head).await?;
        Ok(there.is_some_and(|(_, there)| there == blob))
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
                && found.title == proposal.title
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
        let found = self.find_pull(proposal.branch, proposal.among).await?;
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
