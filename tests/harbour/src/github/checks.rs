//! Check runs and commit statuses.

use serde::Deserialize;
use serde_json::{Value, json};

use super::errors::ApiError;
use super::hub::Scope;
use super::reply::{Ask, Reply};
use super::shapes::{minimal_repository, node_id, repo_html, repo_url, user};
use super::state::{Check, Conclusion, Permission, Status, StatusState, now};

/// How a check stands on a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Good,
    Bad,
    Running,
    Absent,
}

fn of_check(check: &Check) -> Standing {
    match check.conclusion {
        None => Standing::Running,
        Some(Conclusion::Success | Conclusion::Neutral | Conclusion::Skipped) => Standing::Good,
        Some(
            Conclusion::Failure
            | Conclusion::Cancelled
            | Conclusion::TimedOut
            | Conclusion::ActionRequired,
        ) => Standing::Bad,
    }
}

fn of_status(status: &Status) -> Standing {
    match status.state {
        StatusState::Success => Standing::Good,
        StatusState::Pending => Standing::Running,
        StatusState::Error | StatusState::Failure => Standing::Bad,
    }
}

/// How the newest check run, or else the newest status, of this name stands.
pub(super) fn standing(at: &Scope<'_>, sha: &str, name: &str) -> Standing {
    let check = at
        .state
        .checks
        .iter()
        .rev()
        .find(|check| check.sha == sha && check.name == name);
    let status = at
        .state
        .statuses
        .iter()
        .rev()
        .find(|status| status.sha == sha && status.context == name);
    check
        .map(of_check)
        .or_else(|| status.map(of_status))
        .unwrap_or(Standing::Absent)
}

/// True if some check or status of the commit is not good.
pub(super) fn any_bad(at: &Scope<'_>, sha: &str) -> bool {
    latest_checks(at, sha)
        .into_iter()
        .map(of_check)
        .chain(latest_statuses(at, sha).into_iter().map(of_status))
        .any(|s| s != Standing::Good)
}

fn latest_checks<'a>(at: &'a Scope<'_>, sha: &str) -> Vec<&'a Check> {
    let mut seen = Vec::new();
    let of_sha = at
        .state
        .checks
        .iter()
        .rev()
        .filter(|check| check.sha == sha);
    of_sha
        .filter(|check| {
            let new = !seen.contains(&check.name.as_str());
            seen.push(check.name.as_str());
            new
        })
        .collect()
}

fn latest_statuses<'a>(at: &'a Scope<'_>, sha: &str) -> Vec<&'a Status> {
    let mut seen = Vec::new();
    let of_sha = at
        .state
        .statuses
        .iter()
        .rev()
        .filter(|status| status.sha == sha);
    of_sha
        .filter(|status| {
            let new = !seen.contains(&status.context.as_str());
            seen.push(status.context.as_str());
            new
        })
        .collect()
}

async fn resolve(at: &Scope<'_>, rev: &str) -> Result<String, ApiError> {
    let found = at.git().resolve(rev).await?;
    found.ok_or_else(|| ApiError::new(422, format!("No commit found for SHA: {rev}")))
}

/// `GET commits/{ref}/check-runs`: filters `check_name`, `status`, `filter`.
pub(super) async fn runs(at: &Scope<'_>, rev: &str, ask: &Ask) -> Result<Reply, ApiError> {
    let sha = resolve(at, rev).await?;
    let mut runs = if ask.get("filter") == Some("all") {
        at.state
            .checks
            .iter()
            .rev()
            .filter(|check| check.sha == sha)
            .collect()
    } else {
        latest_checks(at, &sha)
    };
    if let Some(name) = ask.get("check_name") {
        runs.retain(|check| check.name == name);
    }
    if let Some(status) = ask.get("status") {
        runs.retain(|check| progress(check) == status);
    }
    let total = runs.len();
    let (runs, link) = ask.page(runs);
    let runs: Vec<Value> = runs.into_iter().map(|check| show_run(at, check)).collect();
    let mut reply = Reply::json(200, json!({"total_count": total, "check_runs": runs}));
    reply.link = link;
    Ok(reply)
}

/// `GET check-runs/{id}`.
pub(super) fn run(at: &Scope<'_>, id: u64) -> Result<Reply, ApiError> {
    let check = at
        .state
        .checks
        .iter()
        .find(|check| check.id == id)
        .ok_or_else(ApiError::not_found)?;
    Ok(Reply::json(200, show_run(at, check)))
}

fn progress(check: &Check) -> &'static str {
    if check.conclusion.is_some() {
        "completed"
    } else {
        "in_progress"
    }
}

fn show_run(at: &Scope<'_>, check: &Check) -> Value {
    let url = format!("{}/check-runs/{}", repo_url(at.hub, at.repo), check.id);
    let html = format!("{}/runs/{}", repo_html(at.hub, at.repo), check.id);
    json!({
        "id": check.id,
        "node_id": node_id("CR", check.id),
        "head_sha": check.sha,
        "external_id": "",
        "url": url,
        "html_url": html,
        "details_url": html,
        "status": progress(check),
        "conclusion": check.conclusion,
        "started_at": check.started,
        "completed_at": check.completed,
        "output": {
            "title": null,
            "summary": null,
            "text": null,
            "annotations_count": 0,
            "annotations_url": format!("{url}/annotations"),
        },
        "name": check.name,
        "check_suite": {"id": at.repo.id},
        "app": null,
        "pull_requests": [],
    })
}

/// A status without its creator: `simple-commit-status`.
fn show_status(at: &Scope<'_>, status: &Status) -> Value {
    json!({
        "id": status.id,
        "node_id": node_id("SC", status.id),
        "url": format!("{}/statuses/{}", repo_url(at.hub, at.repo), status.sha),
        "avatar_url": format!("{}/avatars/s/{}", at.hub.html, status.id),
        "state": status.state,
        "description": status.description,
        "target_url": status.target_url,
        "context": status.context,
        "created_at": status.created,
        "updated_at": status.created,
    })
}

fn show_full_status(at: &Scope<'_>, status: &Status) -> Value {
    let mut value = show_status(at, status);
    value["creator"] = user(at.hub, &status.creator);
    value
}

/// `GET commits/{ref}/status`: the combined status.
pub(super) async fn combined(at: &Scope<'_>, rev: &str, ask: &Ask) -> Result<Reply, ApiError> {
    let sha = resolve(at, rev).await?;
    let statuses = latest_statuses(at, &sha);
    let all: Vec<Standing> = statuses.iter().map(|status| of_status(status)).collect();
    let state = if all.contains(&Standing::Bad) {
        "failure"
    } else if all.is_empty() || all.contains(&Standing::Running) {
        "pending"
    } else {
        "success"
    };
    let total = statuses.len();
    let (statuses, link) = ask.page(statuses);
    let statuses: Vec<Value> = statuses
        .into_iter()
        .map(|status| show_status(at, status))
        .collect();
    let url = format!("{}/commits/{sha}", repo_url(at.hub, at.repo));
    let mut reply = Reply::json(
        200,
        json!({
            "state": state,
            "statuses": statuses,
            "sha": sha,
            "total_count": total,
            "repository": minimal_repository(at),
            "commit_url": url,
            "url": format!("{url}/status"),
        }),
    );
    reply.link = link;
    Ok(reply)
}

/// `GET commits/{ref}/statuses`: the newest first.
pub(super) async fn statuses(at: &Scope<'_>, rev: &str, ask: &Ask) -> Result<Reply, ApiError> {
    let sha = resolve(at, rev).await?;
    let statuses: Vec<&Status> = at
        .state
        .statuses
        .iter()
        .rev()
        .filter(|status| status.sha == sha)
        .collect();
    Ok(ask.list(statuses, |status| show_full_status(at, status)))
}

#[derive(Deserialize)]
struct NewStatus {
    state: StatusState,
    target_url: Option<String>,
    description: Option<String>,
    context: Option<String>,
}

/// `POST statuses/{sha}`.
pub(super) async fn create_status(
    at: &mut Scope<'_>,
    sha: &str,
    ask: &Ask,
) -> Result<Reply, ApiError> {
    at.need(Permission::Write)?;
    let NewStatus {
        state,
        target_url,
        description,
        context,
    } = ask.json()?;
    if at.git().commit(sha).await?.is_none() {
        return Err(ApiError::new(
            422,
            format!("No commit found for SHA: {sha}"),
        ));
    }
    let status = Status {
        id: at.next_id(),
        sha: sha.to_owned(),
        state,
        context: context.unwrap_or_else(|| "default".to_owned()),
        description,
        target_url,
        creator: at.actor.login.clone(),
        created: now(),
    };
    let value = show_full_status(at, &status);
    at.state.statuses.push(status);
    Ok(Reply::json(201, value))
}
