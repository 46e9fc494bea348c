//! Commits and their comparison.

use serde_json::{Value, json};

use super::errors::ApiError;
use super::gitfacts::FileChange;
use super::hub::Scope;
use super::reply::{Ask, Reply, encode};
use super::shapes::{repo_html, repo_url, signature, signer, unsigned};

/// A commit with its accounts: `commit`, without files.
pub(super) async fn show(at: &Scope<'_>, id: &str) -> Result<Value, ApiError> {
    let commit = at.git().commit(id).await?.ok_or_else(ApiError::not_found)?;
    let (url, html) = (repo_url(at.hub, at.repo), repo_html(at.hub, at.repo));
    let parents: Vec<Value> = commit
        .parents
        .iter()
        .map(|id| {
            json!({
                "sha": id,
                "url": format!("{url}/commits/{id}"),
                "html_url": format!("{html}/commit/{id}"),
            })
        })
        .collect();
    Ok(json!({
        "sha": id,
        "node_id": format!("C_{}_{id}", at.repo.id),
        "commit": {
            "author": signature(&commit.author),
            "committer": signature(&commit.committer),
            "message": commit.message,
            "tree": {"sha": commit.tree, "url": format!("{url}/git/trees/{}", commit.tree)},
            "url": format!("{url}/git/commits/{id}"),
            "comment_count": 0,
            "verification": unsigned(),
        },
        "url": format!("{url}/commits/{id}"),
        "html_url": format!("{html}/commit/{id}"),
        "comments_url": format!("{url}/commits/{id}/comments"),
        "author": signer(at.hub, &commit.author),
        "committer": signer(at.hub, &commit.committer),
        "parents": parents,
    }))
}

/// A changed file: `diff-entry`. `rev` is where its addresses point.
pub(super) fn show_change(at: &Scope<'_>, rev: &str, change: &FileChange) -> Value {
    let (url, html) = (repo_url(at.hub, at.repo), repo_html(at.hub, at.repo));
    let path = encode(&change.path);
    let mut value = json!({
        "sha": change.sha,
        "filename": change.path,
        "status": change.status,
        "additions": change.additions,
        "deletions": change.deletions,
        "changes": change.additions + change.deletions,
        "blob_url": format!("{html}/blob/{rev}/{path}"),
        "raw_url": format!("{html}/raw/{rev}/{path}"),
        "contents_url": format!("{url}/contents/{path}?ref={rev}"),
    });
    if let Some(patch) = &change.patch {
        value["patch"] = json!(patch);
    }
    if let Some(previous) = &change.previous {
        value["previous_filename"] = json!(previous);
    }
    value
}

/// The empty tree, which stands before a first commit.
const EMPTY: &str = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";

async fn resolve(at: &Scope<'_>, rev: &str) -> Result<String, ApiError> {
    let found = at.git().resolve(rev).await?;
    found.ok_or_else(|| ApiError::new(422, format!("No commit found for SHA: {rev}")))
}

/// `GET commits/{ref}`: one commit with its files.
pub(super) async fn get(at: &Scope<'_>, rev: &str) -> Result<Reply, ApiError> {
    let id = resolve(at, rev).await?;
    let mut value = show(at, &id).await?;
    let parent = value["parents"][0]["sha"]
        .as_str()
        .unwrap_or(EMPTY)
        .to_owned();
    if parent == EMPTY {
        at.git().write_object("tree", b"").await?;
    }
    let changes = at.git().changes(&parent, &id).await?;
    let (plus, minus) = totals(&changes);
    value["stats"] = json!({"additions": plus, "deletions": minus, "total": plus + minus});
    value["files"] = changes
        .iter()
        .map(|change| show_change(at, &id, change))
        .collect();
    Ok(Reply::json(200, value))
}

/// The lines added and deleted in all.
pub(super) fn totals(changes: &[FileChange]) -> (u64, u64) {
    (
        changes.iter().map(|c| c.additions).sum(),
        changes.iter().map(|c| c.deletions).sum(),
    )
}

/// `GET commits`: filters `sha` and `path`.
pub(super) async fn list(at: &Scope<'_>, ask: &Ask) -> Result<Reply, ApiError> {
    let tip = at
        .git()
        .resolve(ask.get("sha").unwrap_or(&at.state.default_branch))
        .await?;
    let tip = tip.ok_or_else(|| match ask.get("sha") {
        Some(_) => ApiError::not_found(),
        None => ApiError::new(409, "Git Repository is empty."),
    })?;
    let ids = at.git().log(&tip, ask.get("path")).await?;
    show_list(at, ids, ask).await
}

/// A page of commits, given by their ids.
pub(super) async fn show_list(
    at: &Scope<'_>,
    ids: Vec<String>,
    ask: &Ask,
) -> Result<Reply, ApiError> {
    let (ids, link) = ask.page(ids);
    let mut commits = Vec::new();
    for id in ids {
        commits.push(show(at, &id).await?);
    }
    let mut reply = Reply::json(200, Value::Array(commits));
    reply.link = link;
    Ok(reply)
}

/// `GET compare/{base}...{head}`.
pub(super) async fn compare(at: &Scope<'_>, basehead: &str, ask: &Ask) -> Result<Reply, ApiError> {
    let (from, to) = basehead.split_once("...").ok_or_else(ApiError::not_found)?;
    let local = |rev: &str| {
        rev.rsplit_once(':')
            .map_or(rev, |(_, branch)| branch)
            .to_owned()
    };
    let base = at
        .git()
        .resolve(&local(from))
        .await?
        .ok_or_else(ApiError::not_found)?;
    let head = at
        .git()
        .resolve(&local(to))
        .await?
        .ok_or_else(ApiError::not_found)?;
    let comparison = at.git().compare(&base, &head).await?;
    let Some(ancestor) = &comparison.merge_base else {
        return Err(ApiError::new(
            404,
            format!("No common ancestor between {from} and {to}."),
        ));
    };
    let changes = at.git().changes(ancestor, &head).await?;
    let ahead = comparison.ahead.len();
    let (ids, link) = ask.page(comparison.ahead.clone());
    let mut commits = Vec::new();
    for id in ids {
        commits.push(show(at, &id).await?);
    }
    let files: Vec<Value> = changes
        .iter()
        .map(|change| show_change(at, &head, change))
        .collect();
    let (url, html) = (repo_url(at.hub, at.repo), repo_html(at.hub, at.repo));
    let range = encode(basehead);
    let mut reply = Reply::json(
        200,
        json!({
            "url": format!("{url}/compare/{range}"),
            "html_url": format!("{html}/compare/{range}"),
            "permalink_url": format!("{html}/compare/{base}...{head}"),
            "diff_url": format!("{html}/compare/{range}.diff"),
            "patch_url": format!("{html}/compare/{range}.patch"),
            "base_commit": show(at, &base).await?,
            "merge_base_commit": show(at, ancestor).await?,
            "status": match (ahead, comparison.behind) {
                (0, 0) => "identical",
                (_, 0) => "ahead",
                (0, _) => "behind",
                _ => "diverged",
            },
            "ahead_by": ahead,
            "behind_by": comparison.behind,
            "total_commits": ahead,
            "commits": commits,
            "files": files,
        }),
    );
    reply.link = link;
    Ok(reply)
}
