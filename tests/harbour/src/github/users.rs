//! People, organizations, teams, and what somebody may do.

use serde_json::{Value, json};

use super::errors::ApiError;
use super::hub::{Hub, Scope};
use super::reply::{Ask, Reply, encode};
use super::shapes::{account, node_id, permissions, user};
use super::state::{Account, AccountKind, Permission, Team};

/// `GET /user` (`own`) and `GET /users/{login}`.
pub(super) fn profile(hub: &Hub, found: &Account, own: bool) -> Reply {
    let mut value = account(hub, found);
    for key in ["company", "location", "email", "hireable", "bio"] {
        value[key] = Value::Null;
    }
    value["name"] = json!(found.login);
    value["blog"] = json!("");
    let counts = ["public_repos", "public_gists", "followers", "following"];
    let private = [
        "private_gists",
        "total_private_repos",
        "owned_private_repos",
        "disk_usage",
        "collaborators",
    ];
    for key in counts.iter().chain(private.iter().filter(|_| own)) {
        value[*key] = json!(0);
    }
    value["created_at"] = json!(found.created);
    value["updated_at"] = json!(found.created);
    value["user_view_type"] = json!(if own { "private" } else { "public" });
    if own {
        value["two_factor_authentication"] = json!(true);
    }
    Reply::json(200, value)
}

/// `GET /users/{login}`.
pub(super) fn get(hub: &Hub, login: &str) -> Result<Reply, ApiError> {
    let found = hub.account(login).ok_or_else(ApiError::not_found)?;
    Ok(profile(hub, &found, false))
}

fn organization(hub: &Hub, login: &str) -> Result<Account, ApiError> {
    hub.account(login)
        .filter(|account| account.kind == AccountKind::Organization)
        .ok_or_else(ApiError::not_found)
}

/// The organization `login`, for its members only.
fn as_member(hub: &Hub, login: &str, actor: &Account) -> Result<Account, ApiError> {
    let org = organization(hub, login)?;
    // An app that is installed in the organization may look too.
    let may = actor.kind == AccountKind::Bot
        || hub.read(|accounts| accounts.is_member(&org.login, &actor.login));
    if may {
        Ok(org)
    } else {
        Err(ApiError::not_found())
    }
}

fn show_organization(hub: &Hub, org: &Account) -> Value {
    let url = format!("{}/orgs/{}", hub.api, encode(&org.login));
    json!({
        "login": org.login,
        "id": org.id,
        "node_id": node_id("O", org.id),
        "url": url,
        "repos_url": format!("{url}/repos"),
        "events_url": format!("{url}/events"),
        "hooks_url": format!("{url}/hooks"),
        "issues_url": format!("{url}/issues"),
        "members_url": format!("{url}/members{{/member}}"),
        "public_members_url": format!("{url}/public_members{{/member}}"),
        "avatar_url": format!("{}/avatars/u/{}", hub.html, org.id),
        "description": null,
    })
}

fn team_value(hub: &Hub, team: &Team) -> Value {
    let org = encode(&team.org);
    let url = format!("{}/orgs/{org}/teams/{}", hub.api, team.slug);
    json!({
        "id": team.id,
        "node_id": node_id("T", team.id),
        "url": url,
        "html_url": format!("{}/orgs/{org}/teams/{}", hub.html, team.slug),
        "name": team.slug,
        "slug": team.slug,
        "description": null,
        "privacy": "closed",
        "notification_setting": "notifications_enabled",
        "permission": "pull",
        "members_url": format!("{url}/members{{/member}}"),
        "repositories_url": format!("{url}/repos"),
        "type": "organization",
        "parent": null,
    })
}

/// A team as other objects show it: `team`.
pub(super) fn show_team(hub: &Hub, org: &str, slug: &str) -> Option<Value> {
    let team = hub.read(|accounts| accounts.team(org, slug).cloned());
    team.map(|team| team_value(hub, &team))
}

fn find_team(
    hub: &Hub,
    org: &str,
    slug: &str,
    actor: &Account,
) -> Result<(Account, Team), ApiError> {
    let org = as_member(hub, org, actor)?;
    let team = hub.read(|accounts| accounts.team(&org.login, slug).cloned());
    Ok((org, team.ok_or_else(ApiError::not_found)?))
}

/// `GET /orgs/{org}/teams/{slug}`.
pub(super) fn team(hub: &Hub, org: &str, slug: &str, actor: &Account) -> Result<Reply, ApiError> {
    let (org, team) = find_team(hub, org, slug, actor)?;
    let mut value = team_value(hub, &team);
    let mut within = show_organization(hub, &org);
    for (key, more) in [
        ("has_organization_projects", json!(false)),
        ("has_repository_projects", json!(false)),
        ("public_repos", json!(0)),
        ("public_gists", json!(0)),
        ("followers", json!(0)),
        ("following", json!(0)),
        (
            "html_url",
            json!(format!("{}/{}", hub.html, encode(&org.login))),
        ),
        ("created_at", json!(org.created)),
        ("updated_at", json!(org.created)),
        ("archived_at", Value::Null),
        ("type", json!("Organization")),
    ] {
        within[key] = more;
    }
    value["members_count"] = json!(team.members.len());
    value["repos_count"] = json!(0);
    value["created_at"] = json!(team.created);
    value["updated_at"] = json!(team.created);
    value["organization"] = within;
    Ok(Reply::json(200, value))
}

/// `GET /orgs/{org}/teams/{slug}/members`.
pub(super) fn team_members(
    hub: &Hub,
    org: &str,
    slug: &str,
    actor: &Account,
    ask: &Ask,
) -> Result<Reply, ApiError> {
    let (_, team) = find_team(hub, org, slug, actor)?;
    Ok(ask.list(team.members, |login| user(hub, &login)))
}

/// `GET /orgs/{org}/teams/{slug}/memberships/{login}`.
pub(super) fn team_membership(
    hub: &Hub,
    org: &str,
    slug: &str,
    login: &str,
    actor: &Account,
) -> Result<Reply, ApiError> {
    let (org, team) = find_team(hub, org, slug, actor)?;
    if !team
        .members
        .iter()
        .any(|member| member.eq_ignore_ascii_case(login))
    {
        return Err(ApiError::not_found());
    }
    let url = format!(
        "{}/orgs/{}/teams/{}/memberships/{}",
        hub.api,
        encode(&org.login),
        team.slug,
        encode(login)
    );
    Ok(Reply::json(
        200,
        json!({"url": url, "role": "member", "state": "active"}),
    ))
}

/// `GET /orgs/{org}/members/{login}`: 204 if they are.
pub(super) fn member(
    hub: &Hub,
    org: &str,
    login: &str,
    actor: &Account,
) -> Result<Reply, ApiError> {
    let org = as_member(hub, org, actor)?;
    if hub.read(|accounts| accounts.is_member(&org.login, login)) {
        return Ok(Reply::empty(204));
    }
    Err(ApiError::new(
        404,
        "User does not exist or is not a member of the organization",
    ))
}

/// `GET /orgs/{org}/memberships/{login}`.
pub(super) fn membership(
    hub: &Hub,
    org: &str,
    login: &str,
    actor: &Account,
) -> Result<Reply, ApiError> {
    let org = as_member(hub, org, actor)?;
    if !hub.read(|accounts| accounts.is_member(&org.login, login)) {
        return Err(ApiError::not_found());
    }
    let url = format!("{}/orgs/{}", hub.api, encode(&org.login));
    Ok(Reply::json(
        200,
        json!({
            "url": format!("{url}/memberships/{}", encode(login)),
            "state": "active",
            "role": "member",
            "organization_url": url,
            "organization": show_organization(hub, &org),
            "user": user(hub, login),
        }),
    ))
}

/// `GET collaborators/{login}`: 204 if they may at least read.
pub(super) fn collaborator(at: &Scope<'_>, login: &str) -> Result<Reply, ApiError> {
    at.need(Permission::Write)?;
    if at.hub.account(login).is_some() && at.permission_of(login) >= Permission::Read {
        return Ok(Reply::empty(204));
    }
    Err(ApiError::not_found())
}

/// `GET collaborators/{login}/permission`.
pub(super) fn permission(at: &Scope<'_>, login: &str) -> Result<Reply, ApiError> {
    let found = at
        .hub
        .account(login)
        .ok_or_else(|| ApiError::new(404, format!("{login} is not a user")))?;
    let permission = at.permission_of(&found.login);
    // The older field knows four words; maintain is write, triage is read.
    let (word, role) = match permission {
        Permission::None => ("none", ""),
        Permission::Read => ("read", "read"),
        Permission::Triage => ("read", "triage"),
        Permission::Write => ("write", "write"),
        Permission::Maintain => ("write", "maintain"),
        Permission::Admin => ("admin", "admin"),
    };
    let mut value = account(at.hub, &found);
    value["permissions"] = permissions(permission);
    value["role_name"] = json!(role);
    Ok(Reply::json(
        200,
        json!({"permission": word, "role_name": role, "user": value}),
    ))
}
