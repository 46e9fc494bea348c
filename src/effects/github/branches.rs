//! Branches that hold the edit of one order: made, built anew, deleted.

use anyhow::Context as _;
use base64::Engine as _;
use http::Method;
use serde::Deserialize;
use serde_json::json;

use super::Github;
use super::orders::encode;
use super::propose::Proposal;

#[derive(Deserialize)]
struct Sha {
    sha: String,
}

#[derive(Deserialize)]
struct Commit {
    tree: Sha,
    #[serde(default)]
    parents: Vec<Sha>,
}

#[derive(Deserialize)]
struct Put {
    commit: Sha,
}

#[derive(Deserialize)]
struct Comparison {
    merge_base_commit: Sha,
    #[serde(default)]
    files: Vec<File>,
}

#[derive(Deserialize)]
struct File {
    filename: String,
}

/// What lies between a commit and another that was made from its history.
pub(super) struct Fork {
    /// The newest commit that both have.
    pub(super) from: String,
    /// The files that differ between that one and the second.
    pub(super) files: Vec<String>,
}

impl Github {
    pub(super) async fn create_branch(&self, branch: &str, sha: &str) -> anyhow::Result<()> {
        let _: serde_json::Value = self
            .write(
                Method::POST,
                "git/refs",
                &json!({ "ref": format!("refs/heads/{branch}"), "sha": sha }),
                "create a branch",
            )
            .await?;
        Ok(())
    }

    /// Commits the edited order on the proposal's branch; gives the new head.
    pub(super) async fn commit(
        &self,
        proposal: &Proposal<'_>,
        text: &str,
        blob: &str,
    ) -> anyhow::Result<String> {
        let put: Put = self
            .write(
                Method::PUT,
                &format!("contents/{}", encode(proposal.path)),
                &json!({
                    "message": proposal.title,
                    "content": base64::engine::general_purpose::STANDARD.encode(text),
                    "sha": blob,
                    "branch": proposal.branch,
                }),
                "commit the edit of the order",
            )
            .await?;
        Ok(put.commit.sha)
    }

    /// Makes one commit of the edited order on `base` and moves the branch to it
    /// in one step, in the place of `old`. It is another commit than any before, even
    /// if it is made of the same in the same second: an approval of that one is none
    /// of this.
    pub(super) async fn rebuild_branch(
        &self,
        proposal: &Proposal<'_>,
        base: &str,
        text: &str,
        old: &str,
    ) -> anyhow::Result<String> {
        let on: Commit = self
            .read(&format!("git/commits/{base}"))
            .await?
            .context("the base commit is gone")?;
        let tree: Sha = self
            .write(
                Method::POST,
                "git/trees",
                &json!({
                    "base_tree": on.tree.sha,
                    "tree": [{
                        "path": proposal.path,
                        "mode": "100644",
                        "type": "blob",
                        "content": text,
                    }],
                }),
                "write the edited order",
            )
            .await?;
        let commit: Sha = self
            .write(
                Method::POST,
                "git/commits",
                &json!({
                    "message": format!("{}\n\nReplaces {old}.", proposal.title),
                    "tree": tree.sha,
                    "parents": [base],
                }),
                "commit the edit of the order",
            )
            .await?;
        let _: serde_json::Value = self
            .write(
                Method::PATCH,
                &format!("git/refs/heads/{}", encode(proposal.branch)),
                &json!({ "sha": commit.sha, "force": true }),
                "move the branch",
            )
            .await?;
        Ok(commit.sha)
    }

    /// Deletes a branch, so that its pull request cannot be opened again.
    pub(super) async fn delete_branch(&self, branch: &str) -> anyhow::Result<()> {
        let route = format!("git/refs/heads/{}", encode(branch));
        let deleted = self
            .send(Method::DELETE, &route, None, "delete the branch")
            .await;
        match deleted {
            Ok(_) => Ok(()),
            // It may be gone already: by an answer that was lost, or by somebody.
            Err(refusal) => match self.head_of(branch).await? {
                None => Ok(()),
                Some(_) => Err(refusal.into()),
            },
        }
    }

    /// Where `head` left the history of `of`, and what it changes since.
    pub(super) async fn fork(&self, of: &str, head: &str) -> anyhow::Result<Fork> {
        let comparison: Comparison = self
            .read(&format!("compare/{}...{head}?per_page=1", encode(of)))
            .await?
            .with_context(|| format!("{of} and {head} have no history in common"))?;
        Ok(Fork {
            from: comparison.merge_base_commit.sha,
            files: comparison
                .files
                .into_iter()
                .map(|file| file.filename)
                .collect(),
        })
    }

    /// The first parent of a commit: for a merge, where the base stood before it.
    pub(super) async fn parent(&self, sha: &str) -> anyhow::Result<String> {
        let commit: Commit = self
            .read(&format!("git/commits/{sha}"))
            .await?
            .with_context(|| format!("the commit {sha} is gone"))?;
        commit
            .parents
            .into_iter()
            .next()
            .map(|parent| parent.sha)
            .with_context(|| format!("the commit {sha} has no parent"))
    }
}
