//! Merging a pull request, and merging its base into it.

use serde::Deserialize;
use serde_json::json;

use super::errors::ApiError;
use super::gitfacts::MergeOutcome;
use super::gitwrite::Person;
use super::hub::{Scope, person};
use super::protection;
use super::pulls::{find, find_mut, web_address};
use super::reply::{Ask, Reply};
use super::state::{Permission, Pull, PullState, now};

/// How the commits of a pull request come into its base.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MergeMethod {
    /// A merge commit with both parents.
    #[default]
    Merge,
    /// One commit with all changes.
    Squash,
    /// Each commit anew on top of the base.
    Rebase,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Merge {
    pub(super) commit_title: Option<String>,
    pub(super) commit_message: Option<String>,
    pub(super) sha: Option<String>,
    #[serde(rename = "merge_method")]
    pub(super) method: Option<MergeMethod>,
}

fn not_mergeable() -> ApiError {
    ApiError::new(405, "Pull Request is not mergeable")
}

/// `GET pulls/{number}/merge`: 204 if it was merged.
pub(super) fn was_merged(at: &Scope<'_>, number: u64) -> Result<Reply, ApiError> {
    match find(at, number)?.state {
        PullState::Merged { .. } => Ok(Reply::empty(204)),
        PullState::Open | PullState::Closed { .. } => Err(ApiError::not_found()),
    }
}

/// `PUT pulls/{number}/merge`.
pub(super) async fn merge(at: &mut Scope<'_>, number: u64, ask: &Ask) -> Result<Reply, ApiError> {
    let sha = perform(at, number, ask.json()?).await?;
    let message = "Pull Request successfully merged";
    Ok(Reply::json(
        200,
        json!({"sha": sha, "merged": true, "message": message}),
    ))
}

/// Merges as the actor; gives the commit that the base then points at.
pub(super) async fn perform(
    at: &mut Scope<'_>,
    number: u64,
    order: Merge,
) -> Result<String, ApiError> {
    let pull = find(at, number)?.clone();
    at.need(Permission::Write)?;
    if !pull.is_open() {
        return Err(not_mergeable());
    }
    if pull.draft {
        return Err(ApiError::new(405, "Pull Request is still a draft"));
    }
    if order.sha.as_ref().is_some_and(|sha| *sha != pull.head_sha) {
        return Err(ApiError::new(
            409,
            "Head branch was modified. Review and try the merge again.",
        ));
    }
    let missing = protection::blockers(at, &pull).await?;
    if !missing.is_empty() {
        return Err(ApiError::new(405, missing.join(" ")));
    }
    let MergeOutcome::Clean { tree, .. } = at.git().merge(&pull.base_sha, &pull.head_sha).await?
    else {
        return Err(not_mergeable());
    };
    let commit = match order.method.unwrap_or_default() {
        MergeMethod::Merge => merge_commit(at, &pull, &order, &tree).await?,
        MergeMethod::Squash => squash_commit(at, &pull, &order, &tree).await?,
        MergeMethod::Rebase => rebase(at, &pull).await?,
    };
    let base = format!("refs/heads/{}", pull.base);
    if !at
        .git()
        .update_ref(&base, Some(&commit), Some(&pull.base_sha))
        .await?
    {
        return Err(ApiError::new(
            405,
            "Base branch was modified. Review and try the merge again.",
        ));
    }
    let by = at.actor.login.clone();
    let merged = find_mut(at, number)?;
    merged.state = PullState::Merged {
        at: now(),
        by,
        commit: commit.clone(),
    };
    merged.updated = now();
    // Other pull requests into the same base see that it moved.
    at.follow_git().await?;
    Ok(commit)
}

fn robot() -> Person {
    Person {
        name: "GitHub".to_owned(),
        email: "noreply@github.com".to_owned(),
    }
}

fn message(title: String, body: &str) -> String {
    if body.is_empty() {
        title
    } else {
        format!("{title}\n\n{body}")
    }
}

async fn merge_commit(
    at: &Scope<'_>,
    pull: &Pull,
    order: &Merge,
    tree: &str,
) -> anyhow::Result<String> {
    let Pull { number, head, .. } = pull;
    let usual = format!("Merge pull request #{number} from {}/{head}", at.repo.owner);
    let title = order.commit_title.clone().unwrap_or(usual);
    let text = message(
        title,
        order.commit_message.as_deref().unwrap_or(&pull.title),
    );
    let parents = [pull.base_sha.as_str(), pull.head_sha.as_str()];
    at.git()
        .commit_tree(tree, &parents, &text, (&at.person(), None), &robot())
        .await
}

async fn squash_commit(
    at: &Scope<'_>,
    pull: &Pull,
    order: &Merge,
    tree: &str,
) -> anyhow::Result<String> {
    let usual = format!("{} (#{})", pull.title, pull.number);
    let title = order.commit_title.clone().unwrap_or(usual);
    let text = message(title, order.commit_message.as_deref().unwrap_or_default());
    let author = at
        .hub
        .account(&pull.author)
        .map_or_else(|| at.person(), |account| person(&account));
    at.git()
        .commit_tree(tree, &[&pull.base_sha], &text, (&author, None), &robot())
        .await
}

/// Writes each commit of the pull request anew on top of its base.
async fn rebase(at: &Scope<'_>, pull: &Pull) -> Result<String, ApiError> {
    let mut tip = pull.base_sha.clone();
    for id in at
        .git()
        .compare(&pull.base_sha, &pull.head_sha)
        .await?
        .ahead
    {
        let commit = at
            .git()
            .commit(&id)
            .await?
            .ok_or_else(ApiError::not_found)?;
        let [parent] = commit.parents.as_slice() else {
            return Err(ApiError::new(405, "This branch can't be rebased"));
        };
        let on = at
            .git()
            .commit(&tip)
            .await?
            .ok_or_else(ApiError::not_found)?;
        // A stand-in with the tip's tree and the commit's own parent makes
        // that parent the merge base: the merge is then a cherry-pick.
        let signed = (&commit.author.person, Some(commit.author.date.as_str()));
        let stand_in = at
            .git()
            .commit_tree(&on.tree, &[parent], "", signed, &robot())
            .await?;
        let Some(tree) = at.git().merge_tree(&stand_in, &id).await? else {
            return Err(ApiError::new(
                405,
                "This branch can't be rebased due to conflicts",
            ));
        };
        tip = at
            .git()
            .commit_tree(&tree, &[&tip], &commit.message, signed, &at.person())
            .await?;
    }
    Ok(tip)
}

#[derive(Deserialize)]
struct UpdateBranch {
    expected_head_sha: Option<String>,
}

/// `PUT pulls/{number}/update-branch`: merges the base into the head.
pub(super) async fn update_branch(
    at: &mut Scope<'_>,
    number: u64,
    ask: &Ask,
) -> Result<Reply, ApiError> {
    let UpdateBranch { expected_head_sha } = ask.json()?;
    let pull = find(at, number)?.clone();
    at.need(Permission::Write)?;
    if !pull.is_open() {
        return Err(ApiError::new(422, "Cannot update a closed pull request"));
    }
    if expected_head_sha.is_some_and(|sha| sha != pull.head_sha) {
        return Err(ApiError::new(
            422,
            "expected_head_sha does not match the current head ref.",
        ));
    }
    if at
        .git()
        .compare(&pull.base_sha, &pull.head_sha)
        .await?
        .behind
        == 0
    {
        return Err(ApiError::new(
            422,
            "There are no new commits on the base branch.",
        ));
    }
    let Some(tree) = at.git().merge_tree(&pull.head_sha, &pull.base_sha).await? else {
        return Err(ApiError::new(422, "merge conflict between base and head"));
    };
    let text = format!("Merge branch '{}' into {}", pull.base, pull.head);
    let parents = [pull.head_sha.as_str(), pull.base_sha.as_str()];
    let commit = at
        .git()
        .commit_tree(&tree, &parents, &text, (&at.person(), None), &robot())
        .await?;
    let head = format!("refs/heads/{}", pull.head);
    if !at
        .git()
        .update_ref(&head, Some(&commit), Some(&pull.head_sha))
        .await?
    {
        return Err(ApiError::new(
            422,
            "expected_head_sha does not match the current head ref.",
        ));
    }
    at.follow_git().await?;
    let url = web_address(at, number);
    Ok(Reply::json(
        202,
        json!({"message": "Updating pull request branch.", "url": url}),
    ))
}
