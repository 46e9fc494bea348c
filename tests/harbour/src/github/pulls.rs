//! Pull requests: making, listing, reading and changing them.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::Value;

use super::commits::{self, show_change};
use super::errors::ApiError;
use super::hub::Scope;
use super::pullview::{changes, show, show_simple};
use super::reply::{Ask, Reply, encode};
use super::shapes::repo_html;
use super::state::{AccountKind, Permission, Pull, PullState, now};

pub(super) fn find<'a>(at: &'a Scope<'_>, number: u64) -> Result<&'a Pull, ApiError> {
    at.state.pull(number).ok_or_else(ApiError::not_found)
}

/// For a pull request known to exist while the lock is held.
pub(super) fn find_mut<'a>(at: &'a mut Scope<'_>, number: u64) -> Result<&'a mut Pull, ApiError> {
    at.state.pull_mut(number).ok_or_else(ApiError::not_found)
}

/// `GET pulls/{number}`. The first reads after a change say that GitHub is
/// still computing whether it can be merged, as many as the options ask for.
pub(super) async fn get(at: &mut Scope<'_>, number: u64) -> Result<Reply, ApiError> {
    let delay = at.hub.delay_reads;
    let pull = find_mut(at, number)?;
    let computed = pull.reads >= delay;
    pull.reads = pull.reads.saturating_add(1);
    Ok(Reply::json(200, show(at, number, computed).await?))
}

async fn show_after_change(at: &Scope<'_>, number: u64) -> Result<Value, ApiError> {
    let computed = find(at, number)?.reads >= at.hub.delay_reads;
    show(at, number, computed).await
}

#[derive(Deserialize)]
struct Create {
    title: String,
    head: String,
    base: String,
    body: Option<String>,
    #[serde(default)]
    draft: bool,
}

/// `POST pulls`.
pub(super) async fn create(at: &mut Scope<'_>, ask: &Ask) -> Result<Reply, ApiError> {
    let Create {
        title,
        head,
        base,
        body,
        draft,
    } = ask.json()?;
    if at.permission < Permission::Write && at.actor.kind == AccountKind::Bot {
        at.need(Permission::Write)?;
    }
    if title.trim().is_empty() {
        return Err(ApiError::invalid("PullRequest", "title", "missing_field"));
    }
    let head = match head.split_once(':') {
        Some((owner, branch)) if owner.eq_ignore_ascii_case(&at.repo.owner) => branch.to_owned(),
        Some(_) => return Err(ApiError::invalid("PullRequest", "head", "invalid")),
        None => head,
    };
    let tip = |branch: &str| at.git().reference(&format!("refs/heads/{branch}"));
    let base_sha = tip(&base).ok_or_else(|| ApiError::invalid("PullRequest", "base", "invalid"))?;
    let head_sha = tip(&head).ok_or_else(|| ApiError::invalid("PullRequest", "head", "invalid"))?;
    if at
        .state
        .pulls
        .iter()
        .any(|pull| pull.is_open() && pull.head == head && pull.base == base)
    {
        let message = format!(
            "A pull request already exists for {}:{head}.",
            at.repo.owner
        );
        return Err(ApiError::custom("PullRequest", message));
    }
    let comparison = at.git().compare(&base_sha, &head_sha).await?;
    if comparison.ahead.is_empty() {
        return Err(ApiError::custom(
            "PullRequest",
            format!("No commits between {base} and {head}"),
        ));
    }
    if comparison.merge_base.is_none() {
        let message = format!("The {head} branch has no history in common with {base}");
        return Err(ApiError::custom("PullRequest", message));
    }
    let id = at.next_id();
    let number = at
        .state
        .pulls
        .iter()
        .map(|pull| pull.number)
        .max()
        .unwrap_or(0)
        + 1;
    let author = at.actor.login.clone();
    at.state.pulls.push(Pull {
        number,
        id,
        title,
        body,
        draft,
        author,
        head,
        base,
        head_sha,
        base_sha,
        state: PullState::Open,
        created: now(),
        updated: now(),
        reviews: Vec::new(),
        reviewers: BTreeSet::new(),
        review_teams: BTreeSet::new(),
        labels: Vec::new(),
        reads: 0,
    });
    let last = at.state.pulls.len() - 1;
    at.pass_green_checks(last);
    Ok(Reply::json(201, show_after_change(at, number).await?))
}

/// `GET pulls`: filters `state`, `head`, `base`; `sort`, `direction`.
pub(super) fn list(at: &Scope<'_>, ask: &Ask) -> Reply {
    let state = ask.get("state").unwrap_or("open");
    let mut pulls: Vec<&Pull> = at
        .state
        .pulls
        .iter()
        .filter(|pull| match state {
            "all" => true,
            "closed" => !pull.is_open(),
            _ => pull.is_open(),
        })
        .collect();
    // A head without an owner is no filter to GitHub.
    if let Some((owner, branch)) = ask.get("head").and_then(|head| head.split_once(':')) {
        pulls.retain(|pull| owner.eq_ignore_ascii_case(&at.repo.owner) && pull.head == branch);
    }
    if let Some(base) = ask.get("base") {
        pulls.retain(|pull| pull.base == base);
    }
    let sort = ask.get("sort").unwrap_or("created");
    if sort == "updated" {
        pulls.sort_by(|a, b| (&a.updated, a.number).cmp(&(&b.updated, b.number)));
    }
    let ascending = ask.get("direction").map_or(
        ask.get("sort").is_some_and(|sort| sort != "created"),
        |way| way == "asc",
    );
    if !ascending {
        pulls.reverse();
    }
    ask.list(pulls, |pull| show_simple(at, pull))
}

#[derive(Default, Deserialize)]
pub(super) struct Change {
    pub(super) title: Option<String>,
    pub(super) body: Option<String>,
    pub(super) state: Option<String>,
    pub(super) base: Option<String>,
}

/// `PATCH pulls/{number}`.
pub(super) async fn update(at: &mut Scope<'_>, number: u64, ask: &Ask) -> Result<Reply, ApiError> {
    change(at, number, ask.json()?).await?;
    Ok(Reply::json(200, show_after_change(at, number).await?))
}

/// Changes a pull request, as its author or somebody who may triage.
pub(super) async fn change(
    at: &mut Scope<'_>,
    number: u64,
    change: Change,
) -> Result<(), ApiError> {
    let Change {
        title,
        body,
        state,
        base,
    } = change;
    let pull = find(at, number)?;
    if pull.author != at.actor.login {
        at.need(Permission::Triage)?;
    }
    if let Some(base) = &base {
        let tip = at.git().reference(&format!("refs/heads/{base}"));
        let tip = tip.ok_or_else(|| ApiError::invalid("PullRequest", "base", "invalid"))?;
        if !pull.is_open() {
            return Err(ApiError::custom(
                "PullRequest",
                "Cannot change the base branch of a closed pull request.",
            ));
        }
        if at
            .git()
            .compare(&tip, &pull.head_sha)
            .await?
            .ahead
            .is_empty()
        {
            let message = format!(
                "There are no new commits between base branch '{base}' and head branch '{}'",
                pull.head
            );
            return Err(ApiError::custom("PullRequest", message));
        }
        let base = base.clone();
        let pull = find_mut(at, number)?;
        (pull.base, pull.base_sha, pull.reads) = (base, tip, 0);
    }
    match state.as_deref() {
        None => {}
        Some("closed") => {
            let pull = find_mut(at, number)?;
            if pull.is_open() {
                pull.state = PullState::Closed { at: now() };
            }
        }
        Some("open") => reopen(at, number)?,
        Some(_) => return Err(ApiError::invalid("PullRequest", "state", "invalid")),
    }
    let pull = find_mut(at, number)?;
    if let Some(title) = title {
        pull.title = title;
    }
    if body.is_some() {
        pull.body = body;
    }
    pull.updated = now();
    // What moved while it was closed counts from here on.
    at.follow_git().await?;
    Ok(())
}

fn reopen(at: &mut Scope<'_>, number: u64) -> Result<(), ApiError> {
    let pull = find(at, number)?;
    match pull.state {
        PullState::Open => return Ok(()),
        PullState::Merged { .. } => {
            return Err(ApiError::custom(
                "PullRequest",
                "state cannot be changed. The pull request is already merged.",
            ));
        }
        PullState::Closed { .. } => {}
    }
    let (head, base) = (pull.head.clone(), pull.base.clone());
    if at.git().reference(&format!("refs/heads/{head}")).is_none() {
        let message = format!("state cannot be changed. The {head} branch has been deleted.");
        return Err(ApiError::custom("PullRequest", message));
    }
    if at
        .state
        .pulls
        .iter()
        .any(|pull| pull.is_open() && pull.head == head && pull.base == base)
    {
        let message = format!(
            "state cannot be changed. There is already an open pull request from {head} to {base}."
        );
        return Err(ApiError::custom("PullRequest", message));
    }
    let pull = find_mut(at, number)?;
    (pull.state, pull.reads) = (PullState::Open, 0);
    Ok(())
}

/// `GET pulls/{number}/files`.
pub(super) async fn files(at: &Scope<'_>, number: u64, ask: &Ask) -> Result<Reply, ApiError> {
    let pull = find(at, number)?;
    let changes = changes(at, pull).await?;
    Ok(ask.list(changes, |change| show_change(at, &pull.head_sha, &change)))
}

/// `GET pulls/{number}/commits`.
pub(super) async fn list_commits(
    at: &Scope<'_>,
    number: u64,
    ask: &Ask,
) -> Result<Reply, ApiError> {
    let pull = find(at, number)?;
    let comparison = at.git().compare(&pull.base_sha, &pull.head_sha).await?;
    commits::show_list(at, comparison.ahead, ask).await
}

/// The address of a branch's pull requests, as `update-branch` answers it.
pub(super) fn web_address(at: &Scope<'_>, number: u64) -> String {
    format!(
        "{}/pull/{}",
        repo_html(at.hub, at.repo),
        encode(&number.to_string())
    )
}
