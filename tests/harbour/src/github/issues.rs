//! The issue side of pull requests: comments and labels.

use serde::Deserialize;
use serde_json::{Value, json};

use super::errors::ApiError;
use super::hub::Scope;
use super::pulls::{self, find, find_mut};
use super::reply::{Ask, Reply, encode};
use super::shapes::{association, node_id, repo_html, repo_url, user};
use super::state::{Comment, Label, Permission, Pull, PullState, now};

fn show(at: &Scope<'_>, pull: &Pull) -> Value {
    let api = repo_url(at.hub, at.repo);
    let url = format!("{api}/issues/{}", pull.number);
    let html = format!("{}/pull/{}", repo_html(at.hub, at.repo), pull.number);
    let (closed, merged) = match &pull.state {
        PullState::Open => (None, None),
        PullState::Closed { at } => (Some(at), None),
        PullState::Merged { at, .. } => (Some(at), Some(at)),
    };
    json!({
        "id": pull.id,
        "node_id": node_id("PR", pull.id),
        "url": url,
        "repository_url": api,
        "labels_url": format!("{url}/labels{{/name}}"),
        "comments_url": format!("{url}/comments"),
        "events_url": format!("{url}/events"),
        "html_url": html,
        "number": pull.number,
        "state": if pull.is_open() { "open" } else { "closed" },
        "state_reason": null,
        "title": pull.title,
        "body": pull.body,
        "user": user(at.hub, &pull.author),
        "labels": show_labels(at, &pull.labels),
        "assignee": null,
        "assignees": [],
        "milestone": null,
        "locked": false,
        "active_lock_reason": null,
        "comments": at.state.comments.iter().filter(|comment| comment.issue == pull.number).count(),
        "created_at": pull.created,
        "updated_at": pull.updated,
        "closed_at": closed,
        "author_association": association(at, &pull.author),
        "draft": pull.draft,
        "pull_request": {
            "url": format!("{api}/pulls/{}", pull.number),
            "html_url": html,
            "diff_url": format!("{html}.diff"),
            "patch_url": format!("{html}.patch"),
            "merged_at": merged,
        },
    })
}

/// `GET issues/{number}`.
pub(super) fn get(at: &Scope<'_>, number: u64) -> Result<Reply, ApiError> {
    Ok(Reply::json(200, show(at, find(at, number)?)))
}

#[derive(Deserialize)]
struct Update {
    labels: Option<Vec<LabelName>>,
    #[serde(flatten)]
    change: pulls::Change,
}

/// `PATCH issues/{number}`: title, body, state and labels.
pub(super) async fn update(at: &mut Scope<'_>, number: u64, ask: &Ask) -> Result<Reply, ApiError> {
    let Update { labels, change } = ask.json()?;
    pulls::change(at, number, change).await?;
    if let Some(labels) = labels {
        put_labels(at, number, labels, true)?;
    }
    get(at, number)
}

fn show_comment(at: &Scope<'_>, comment: &Comment) -> Value {
    let api = repo_url(at.hub, at.repo);
    let html = format!(
        "{}/pull/{}#issuecomment-{}",
        repo_html(at.hub, at.repo),
        comment.issue,
        comment.id
    );
    json!({
        "id": comment.id,
        "node_id": node_id("IC", comment.id),
        "url": format!("{api}/issues/comments/{}", comment.id),
        "html_url": html,
        "issue_url": format!("{api}/issues/{}", comment.issue),
        "user": user(at.hub, &comment.user),
        "body": comment.body,
        "created_at": comment.created,
        "updated_at": comment.updated,
        "author_association": association(at, &comment.user),
    })
}

/// `GET issues/{number}/comments`: the oldest first; filter `since`.
pub(super) fn comments(at: &Scope<'_>, number: u64, ask: &Ask) -> Result<Reply, ApiError> {
    find(at, number)?;
    let since = ask.get("since").unwrap_or_default();
    let comments = at
        .state
        .comments
        .iter()
        .filter(|c| c.issue == number && c.updated.as_str() >= since)
        .collect();
    Ok(ask.list(comments, |comment: &Comment| show_comment(at, comment)))
}

fn find_comment<'a>(at: &'a Scope<'_>, id: u64) -> Result<&'a Comment, ApiError> {
    at.state
        .comments
        .iter()
        .find(|comment| comment.id == id)
        .ok_or_else(ApiError::not_found)
}

/// `GET issues/comments/{id}`.
pub(super) fn comment(at: &Scope<'_>, id: u64) -> Result<Reply, ApiError> {
    Ok(Reply::json(200, show_comment(at, find_comment(at, id)?)))
}

#[derive(Deserialize)]
struct Body {
    body: String,
}

/// `POST issues/{number}/comments`.
pub(super) fn create_comment(
    at: &mut Scope<'_>,
    number: u64,
    ask: &Ask,
) -> Result<Reply, ApiError> {
    let Body { body } = ask.json()?;
    let comment = add_comment(at, number, body)?;
    Ok(Reply::json(201, show_comment(at, &comment)))
}

/// Adds a comment by the actor.
pub(super) fn add_comment(
    at: &mut Scope<'_>,
    number: u64,
    body: String,
) -> Result<Comment, ApiError> {
    find(at, number)?;
    check_body(&body)?;
    let user = at.actor.login.clone();
    let comment = Comment {
        id: at.next_id(),
        issue: number,
        user,
        body,
        created: now(),
        updated: now(),
    };
    at.state.comments.push(comment.clone());
    find_mut(at, number)?.updated = now();
    Ok(comment)
}

fn check_body(body: &str) -> Result<(), ApiError> {
    if body.trim().is_empty() {
        return Err(ApiError::invalid("IssueComment", "body", "missing_field"));
    }
    if body.chars().count() > 65_536 {
        return Err(ApiError::custom(
            "IssueComment",
            "body is too long (maximum is 65536 characters)",
        ));
    }
    Ok(())
}

fn own_comment<'a>(at: &'a mut Scope<'_>, id: u64) -> Result<&'a mut Comment, ApiError> {
    if find_comment(at, id)?.user != at.actor.login {
        at.need(Permission::Write)?;
    }
    at.state
        .comments
        .iter_mut()
        .find(|comment| comment.id == id)
        .ok_or_else(ApiError::not_found)
}

/// `PATCH issues/comments/{id}`.
pub(super) fn update_comment(at: &mut Scope<'_>, id: u64, ask: &Ask) -> Result<Reply, ApiError> {
    let Body { body } = ask.json()?;
    check_body(&body)?;
    let comment = own_comment(at, id)?;
    comment.body = body;
    comment.updated = now();
    self::comment(at, id)
}

/// `DELETE issues/comments/{id}`.
pub(super) fn delete_comment(at: &mut Scope<'_>, id: u64) -> Result<Reply, ApiError> {
    own_comment(at, id)?;
    at.state.comments.retain(|comment| comment.id != id);
    Ok(Reply::empty(204))
}

fn show_label(at: &Scope<'_>, label: &Label) -> Value {
    json!({
        "id": label.id,
        "node_id": node_id("LA", label.id),
        "url": format!("{}/labels/{}", repo_url(at.hub, at.repo), encode(&label.name)),
        "name": label.name,
        "color": label.color,
        "description": label.description,
        "default": false,
    })
}

/// Labels by name, as arrays of them are shown.
pub(super) fn show_labels(at: &Scope<'_>, names: &[String]) -> Vec<Value> {
    let known = names
        .iter()
        .filter_map(|name| at.state.labels.iter().find(|label| label.name == *name));
    known.map(|label| show_label(at, label)).collect()
}

/// A label's name, plain or within an object.
#[derive(Deserialize)]
#[serde(untagged)]
enum LabelName {
    Plain(String),
    Object { name: String },
}

#[derive(Deserialize)]
#[serde(untagged)]
enum LabelNames {
    Object { labels: Vec<LabelName> },
    List(Vec<LabelName>),
    One(String),
}

/// `GET issues/{number}/labels`.
pub(super) fn labels(at: &Scope<'_>, number: u64, ask: &Ask) -> Result<Reply, ApiError> {
    let labels = show_labels(at, &find(at, number)?.labels);
    Ok(ask.list(labels, |label| label))
}

/// `POST` (adds) and `PUT` (replaces) `issues/{number}/labels`.
pub(super) fn set_labels(
    at: &mut Scope<'_>,
    number: u64,
    ask: &Ask,
    replace: bool,
) -> Result<Reply, ApiError> {
    let names: LabelNames = serde_json::from_slice(&ask.body)
        .map_err(|_| ApiError::new(422, "Invalid request.\n\n\"labels\" wasn't supplied."))?;
    let names = match names {
        LabelNames::Object { labels } | LabelNames::List(labels) => labels,
        LabelNames::One(name) => vec![LabelName::Plain(name)],
    };
    put_labels(at, number, names, replace)?;
    labels(at, number, ask)
}

fn put_labels(
    at: &mut Scope<'_>,
    number: u64,
    names: Vec<LabelName>,
    replace: bool,
) -> Result<(), ApiError> {
    at.need(Permission::Triage)?;
    find(at, number)?;
    let mut wanted = Vec::new();
    for name in names {
        let name = match name {
            LabelName::Plain(name) | LabelName::Object { name } => name,
        };
        // A label that is not there yet is made, as GitHub does.
        let known = at
            .state
            .labels
            .iter()
            .find(|label| label.name.eq_ignore_ascii_case(&name));
        if let Some(label) = known {
            wanted.push(label.name.clone());
        } else {
            let label = Label {
                id: at.next_id(),
                name: name.clone(),
                color: "ededed".to_owned(),
                description: String::new(),
            };
            at.state.labels.push(label);
            wanted.push(name);
        }
    }
    let pull = find_mut(at, number)?;
    if replace {
        pull.labels.clear();
    }
    for name in wanted {
        if !pull.labels.contains(&name) {
            pull.labels.push(name);
        }
    }
    pull.updated = now();
    Ok(())
}

/// `DELETE issues/{number}/labels/{name}`.
pub(super) fn remove_label(
    at: &mut Scope<'_>,
    number: u64,
    name: &str,
    ask: &Ask,
) -> Result<Reply, ApiError> {
    at.need(Permission::Triage)?;
    let pull = find_mut(at, number)?;
    let before = pull.labels.len();
    pull.labels
        .retain(|label| !label.eq_ignore_ascii_case(name));
    if pull.labels.len() == before {
        return Err(ApiError::new(404, "Label does not exist"));
    }
    pull.updated = now();
    labels(at, number, ask)
}

/// `DELETE issues/{number}/labels`.
pub(super) fn clear_labels(at: &mut Scope<'_>, number: u64) -> Result<Reply, ApiError> {
    at.need(Permission::Triage)?;
    find_mut(at, number)?.labels.clear();
    Ok(Reply::empty(204))
}

/// `GET labels`.
pub(super) fn repository_labels(at: &Scope<'_>, ask: &Ask) -> Reply {
    ask.list(at.state.labels.iter().collect(), |label: &Label| {
        show_label(at, label)
    })
}

/// `GET labels/{name}`.
pub(super) fn label(at: &Scope<'_>, name: &str) -> Result<Reply, ApiError> {
    let found = at
        .state
        .labels
        .iter()
        .find(|label| label.name.eq_ignore_ascii_case(name));
    Ok(Reply::json(
        200,
        show_label(at, found.ok_or_else(ApiError::not_found)?),
    ))
}

#[derive(Deserialize)]
struct NewLabel {
    name: String,
    color: Option<String>,
    description: Option<String>,
}

/// `POST labels`.
pub(super) fn create_label(at: &mut Scope<'_>, ask: &Ask) -> Result<Reply, ApiError> {
    at.need(Permission::Write)?;
    let NewLabel {
        name,
        color,
        description,
    } = ask.json()?;
    if at
        .state
        .labels
        .iter()
        .any(|label| label.name.eq_ignore_ascii_case(&name))
    {
        return Err(ApiError::invalid("Label", "name", "already_exists"));
    }
    let color = color.unwrap_or_else(|| "ededed".to_owned());
    let description = description.unwrap_or_default();
    let label = Label {
        id: at.next_id(),
        name,
        color,
        description,
    };
    let value = show_label(at, &label);
    at.state.labels.push(label);
    Ok(Reply::json(201, value))
}
