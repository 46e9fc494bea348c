//! Git refs and branches.

use serde::Deserialize;
use serde_json::{Value, json};

use super::commits;
use super::errors::ApiError;
use super::git::is_ref_name;
use super::hub::Scope;
use super::protection;
use super::reply::{Ask, Reply, encode};
use super::shapes::repo_url;
use super::state::Permission;

async fn show(at: &Scope<'_>, name: &str, id: &str) -> Result<Value, ApiError> {
    let kind = at
        .git()
        .object(id)
        .await?
        .map_or_else(|| "commit".to_owned(), |object| object.kind);
    let url = repo_url(at.hub, at.repo);
    Ok(json!({
        "ref": name,
        "node_id": format!("REF_{}_{}", at.repo.id, encode(name)),
        "url": format!("{url}/git/{}", encode(name)),
        "object": {"sha": id, "type": kind, "url": format!("{url}/git/{kind}s/{id}")},
    }))
}

/// `GET git/ref/{ref}`: exactly this ref.
pub(super) async fn get(at: &Scope<'_>, name: &str) -> Result<Reply, ApiError> {
    let name = format!("refs/{name}");
    let id = at.git().reference(&name).ok_or_else(ApiError::not_found)?;
    Ok(Reply::json(200, show(at, &name, &id).await?))
}

/// `GET git/matching-refs/{ref}`: the refs that begin so.
pub(super) async fn matching(at: &Scope<'_>, prefix: &str, ask: &Ask) -> Result<Reply, ApiError> {
    let mut found = Vec::new();
    for (name, id) in at.git().references(&format!("refs/{prefix}")) {
        found.push(show(at, &name, &id).await?);
    }
    Ok(ask.list(found, |value| value))
}

#[derive(Deserialize)]
struct Create {
    r#ref: String,
    sha: String,
}

/// `POST git/refs`.
pub(super) async fn create(at: &mut Scope<'_>, ask: &Ask) -> Result<Reply, ApiError> {
    at.need(Permission::Write)?;
    let Create { r#ref: name, sha } = ask.json()?;
    if !is_ref_name(&name) || name.split('/').count() < 3 {
        return Err(ApiError::new(
            422,
            format!("{name} is not a valid ref name."),
        ));
    }
    require_commit(at, &name, &sha).await?;
    if at.git().reference(&name).is_some() {
        return Err(ApiError::new(422, "Reference already exists"));
    }
    if !at.git().update_ref(&name, Some(&sha), None).await? {
        return Err(ApiError::new(422, "Reference update failed"));
    }
    Ok(Reply::json(201, show(at, &name, &sha).await?))
}

async fn require_commit(at: &Scope<'_>, name: &str, sha: &str) -> Result<(), ApiError> {
    let object = at.git().by_id(sha).await?;
    match object {
        Some(object) if object.kind == "commit" || !name.starts_with("refs/heads/") => Ok(()),
        Some(_) => Err(ApiError::new(422, "Object is not a commit")),
        None => Err(ApiError::new(422, "Object does not exist")),
    }
}

#[derive(Deserialize)]
struct Update {
    sha: String,
    #[serde(default)]
    force: bool,
}

/// `PATCH git/refs/{ref}`.
pub(super) async fn update(at: &mut Scope<'_>, name: &str, ask: &Ask) -> Result<Reply, ApiError> {
    at.need(Permission::Write)?;
    let Update { sha, force } = ask.json()?;
    let name = format!("refs/{name}");
    let Some(old) = at.git().reference(&name) else {
        return Err(ApiError::new(422, "Reference does not exist"));
    };
    require_commit(at, &name, &sha).await?;
    if let Some(branch) = name.strip_prefix("refs/heads/") {
        protection::refuse_push(at, branch, 422)?;
    }
    if !force && at.git().compare(&old, &sha).await?.behind > 0 {
        return Err(ApiError::new(422, "Update is not a fast forward"));
    }
    if !at.git().update_ref(&name, Some(&sha), Some(&old)).await? {
        return Err(ApiError::new(409, "Reference cannot be updated"));
    }
    at.follow_git().await?;
    Ok(Reply::json(200, show(at, &name, &sha).await?))
}

/// `DELETE git/refs/{ref}`. Pull requests from the branch are closed.
pub(super) async fn delete(at: &mut Scope<'_>, name: &str) -> Result<Reply, ApiError> {
    at.need(Permission::Write)?;
    let name = format!("refs/{name}");
    let Some(old) = at.git().reference(&name) else {
        return Err(ApiError::new(422, "Reference does not exist"));
    };
    if let Some(branch) = name.strip_prefix("refs/heads/")
        && (at.bound(branch) || branch == at.state.default_branch)
    {
        return Err(ApiError::new(422, "Cannot delete this branch"));
    }
    if !at.git().update_ref(&name, None, Some(&old)).await? {
        return Err(ApiError::new(409, "Reference cannot be deleted"));
    }
    at.follow_git().await?;
    Ok(Reply::empty(204))
}

fn branch_tip(at: &Scope<'_>, branch: &str) -> Result<String, ApiError> {
    let tip = at.git().reference(&format!("refs/heads/{branch}"));
    tip.ok_or_else(|| ApiError::new(404, "Branch not found"))
}

/// `GET branches/{branch}`.
pub(super) async fn branch(at: &Scope<'_>, branch: &str) -> Result<Reply, ApiError> {
    let tip = branch_tip(at, branch)?;
    let url = format!("{}/branches/{}", repo_url(at.hub, at.repo), encode(branch));
    let html = format!(
        "{}/tree/{}",
        super::shapes::repo_html(at.hub, at.repo),
        encode(branch)
    );
    Ok(Reply::json(
        200,
        json!({
            "name": branch,
            "commit": commits::show(at, &tip).await?,
            "_links": {"self": url, "html": html},
            "protected": at.state.protections.contains_key(branch),
            "protection": protection::summary(at, branch),
            "protection_url": format!("{url}/protection"),
        }),
    ))
}

/// `GET branches`.
pub(super) fn branches(at: &Scope<'_>, ask: &Ask) -> Reply {
    let url = repo_url(at.hub, at.repo);
    let wanted = ask.get("protected").map(|value| value == "true");
    let mut all = at.git().references("refs/heads/");
    all.retain(|(name, _)| {
        let branch = name.trim_start_matches("refs/heads/");
        wanted.is_none_or(|wanted| at.state.protections.contains_key(branch) == wanted)
    });
    ask.list(all, |(name, id)| {
        let branch = name.trim_start_matches("refs/heads/");
        json!({
            "name": branch,
            "commit": {"sha": id, "url": format!("{url}/commits/{id}")},
            "protected": at.state.protections.contains_key(branch),
        })
    })
}
