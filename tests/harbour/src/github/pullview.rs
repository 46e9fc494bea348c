//! How a pull request is shown, and whether it can be merged.

use serde_json::{Value, json};

use super::checks;
use super::commits;
use super::errors::ApiError;
use super::gitfacts::{FileChange, MergeOutcome};
use super::hub::Scope;
use super::issues::show_labels;
use super::protection;
use super::pulls::find;
use super::shapes::{association, merge, node_id, repo_html, repo_url, repository, user};
use super::state::{Pull, PullState};
use super::users::show_team;

/// A pull request as lists show it: `pull-request-simple`.
pub(super) fn show_simple(at: &Scope<'_>, pull: &Pull) -> Value {
    let (api, page) = (repo_url(at.hub, at.repo), repo_html(at.hub, at.repo));
    let url = format!("{api}/pulls/{}", pull.number);
    let html = format!("{page}/pull/{}", pull.number);
    let issue = format!("{api}/issues/{}", pull.number);
    let statuses = format!("{api}/statuses/{}", pull.head_sha);
    let (closed, merged, commit) = match &pull.state {
        PullState::Open => (None, None, None),
        PullState::Closed { at } => (Some(at), None, None),
        PullState::Merged { at, commit, .. } => (Some(at), Some(at), Some(commit)),
    };
    let owner = user(at.hub, &at.repo.owner);
    let repository = repository(at);
    let side = |branch: &str, sha: &str| {
        json!({
            "label": format!("{}:{branch}", at.repo.owner),
            "ref": branch,
            "sha": sha,
            "user": owner,
            "repo": repository,
        })
    };
    let teams: Vec<Value> = pull
        .review_teams
        .iter()
        .filter_map(|slug| show_team(at.hub, &at.repo.owner, slug))
        .collect();
    let facts = json!({
        "url": url,
        "id": pull.id,
        "node_id": node_id("PR", pull.id),
        "html_url": html,
        "diff_url": format!("{html}.diff"),
        "patch_url": format!("{html}.patch"),
        "issue_url": issue,
        "commits_url": format!("{url}/commits"),
        "review_comments_url": format!("{url}/comments"),
        "review_comment_url": format!("{api}/pulls/comments{{/number}}"),
        "comments_url": format!("{issue}/comments"),
        "statuses_url": statuses,
        "number": pull.number,
        "state": if pull.is_open() { "open" } else { "closed" },
        "locked": false,
    });
    merge(
        facts,
        json!({
            "title": pull.title,
            "user": user(at.hub, &pull.author),
            "body": pull.body,
            "labels": show_labels(at, &pull.labels),
            "milestone": null,
            "active_lock_reason": null,
            "created_at": pull.created,
            "updated_at": pull.updated,
            "closed_at": closed,
            "merged_at": merged,
            "merge_commit_sha": commit,
            "assignee": null,
            "assignees": [],
            "requested_reviewers": pull.reviewers.iter().map(|login| user(at.hub, login)).collect::<Vec<_>>(),
            "requested_teams": teams,
            "head": side(&pull.head, &pull.head_sha),
            "base": side(&pull.base, &pull.base_sha),
            "_links": {
                "self": {"href": url},
                "html": {"href": html},
                "issue": {"href": issue},
                "comments": {"href": format!("{issue}/comments")},
                "review_comments": {"href": format!("{url}/comments")},
                "review_comment": {"href": format!("{api}/pulls/comments{{/number}}")},
                "commits": {"href": format!("{url}/commits")},
                "statuses": {"href": statuses},
            },
            "author_association": association(at, &pull.author),
            "auto_merge": null,
            "draft": pull.draft,
        }),
    )
}

/// The files a pull request changes, from where it left its base.
pub(super) async fn changes(at: &Scope<'_>, pull: &Pull) -> anyhow::Result<Vec<FileChange>> {
    let comparison = at.git().compare(&pull.base_sha, &pull.head_sha).await?;
    let from = comparison
        .merge_base
        .unwrap_or_else(|| pull.base_sha.clone());
    at.git().changes(&from, &pull.head_sha).await
}

/// One pull request: `pull-request`. `computed` tells whether GitHub already
/// knows if it can be merged.
pub(super) async fn show(at: &Scope<'_>, number: u64, computed: bool) -> Result<Value, ApiError> {
    let pull = find(at, number)?;
    let mut value = show_simple(at, pull);
    let outcome = match (&pull.state, computed) {
        (PullState::Open, true) => Some(at.git().merge(&pull.base_sha, &pull.head_sha).await?),
        _ => None,
    };
    let (mergeable, state) = match &outcome {
        None => (None, "unknown"),
        Some(MergeOutcome::Conflict) => (Some(false), "dirty"),
        Some(MergeOutcome::Clean { commit, .. }) => {
            value["merge_commit_sha"] = json!(commit);
            (Some(true), mergeable_state(at, pull).await?)
        }
    };
    let (plus, minus, files, commits) = {
        let changes = changes(at, pull).await?;
        let (plus, minus) = commits::totals(&changes);
        let ahead = at
            .git()
            .compare(&pull.base_sha, &pull.head_sha)
            .await?
            .ahead
            .len();
        (plus, minus, changes.len(), ahead)
    };
    let by = match &pull.state {
        PullState::Merged { by, .. } => user(at.hub, by),
        PullState::Open | PullState::Closed { .. } => Value::Null,
    };
    let comments = at
        .state
        .comments
        .iter()
        .filter(|comment| comment.issue == number)
        .count();
    for (key, more) in [
        (
            "merged",
            json!(matches!(pull.state, PullState::Merged { .. })),
        ),
        ("mergeable", json!(mergeable)),
        ("rebaseable", json!(mergeable)),
        ("mergeable_state", json!(state)),
        ("merged_by", by),
        ("comments", json!(comments)),
        ("review_comments", json!(0)),
        ("maintainer_can_modify", json!(false)),
        ("commits", json!(commits)),
        ("additions", json!(plus)),
        ("deletions", json!(minus)),
        ("changed_files", json!(files)),
    ] {
        value[key] = more;
    }
    Ok(value)
}

async fn mergeable_state(at: &Scope<'_>, pull: &Pull) -> anyhow::Result<&'static str> {
    if pull.draft {
        return Ok("draft");
    }
    let missing = protection::blockers(at, pull).await?;
    let strict = at
        .state
        .protections
        .get(&pull.base)
        .is_some_and(|rule| rule.strict);
    Ok(match missing.as_slice() {
        [only] if strict && only.contains("up to date") => "behind",
        [] if checks::any_bad(at, &pull.head_sha) => "unstable",
        [] => "clean",
        _ => "blocked",
    })
}
