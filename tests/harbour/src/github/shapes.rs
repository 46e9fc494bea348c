//! JSON shapes shared by several endpoints.

use serde_json::{Value, json};

use super::hub::{Hub, Repo, Scope};
use super::objects::Signature;
use super::reply::encode;
use super::state::{Account, AccountKind, Permission};

/// An opaque id as the GraphQL API would use it.
pub(super) fn node_id(kind: &str, id: u64) -> String {
    format!("{kind}_{id:012x}")
}

/// One object with the keys of two.
pub(super) fn merge(mut into: Value, from: Value) -> Value {
    if let (Some(into), Value::Object(from)) = (into.as_object_mut(), from) {
        into.extend(from);
    }
    into
}

/// An account, as it appears within other objects.
pub(super) fn account(hub: &Hub, account: &Account) -> Value {
    let (api, html) = (
        format!("{}/users/{}", hub.api, encode(&account.login)),
        &hub.html,
    );
    json!({
        "login": account.login,
        "id": account.id,
        "node_id": node_id("U", account.id),
        "avatar_url": format!("{html}/avatars/u/{}", account.id),
        "gravatar_id": "",
        "url": api,
        "html_url": format!("{html}/{}", encode(&account.login)),
        "followers_url": format!("{api}/followers"),
        "following_url": format!("{api}/following{{/other_user}}"),
        "gists_url": format!("{api}/gists{{/gist_id}}"),
        "starred_url": format!("{api}/starred{{/owner}}{{/repo}}"),
        "subscriptions_url": format!("{api}/subscriptions"),
        "organizations_url": format!("{api}/orgs"),
        "repos_url": format!("{api}/repos"),
        "events_url": format!("{api}/events{{/privacy}}"),
        "received_events_url": format!("{api}/received_events"),
        "type": match account.kind {
            AccountKind::User => "User",
            AccountKind::Bot => "Bot",
            AccountKind::Organization => "Organization",
        },
        "site_admin": false,
    })
}

/// The account with this login, or null.
pub(super) fn user(hub: &Hub, login: &str) -> Value {
    hub.account(login)
        .map_or(Value::Null, |found| account(hub, &found))
}

/// The API address of a repository.
pub(super) fn repo_url(hub: &Hub, repo: &Repo) -> String {
    format!("{}/repos/{}/{}", hub.api, repo.owner, repo.name)
}

/// The web address of a repository.
pub(super) fn repo_html(hub: &Hub, repo: &Repo) -> String {
    format!("{}/{}/{}", hub.html, repo.owner, repo.name)
}

/// What a permission allows, as booleans.
pub(super) fn permissions(permission: Permission) -> Value {
    json!({
        "pull": permission >= Permission::Read,
        "triage": permission >= Permission::Triage,
        "push": permission >= Permission::Write,
        "maintain": permission >= Permission::Maintain,
        "admin": permission >= Permission::Admin,
    })
}

/// The addresses and identity of a repository: `minimal-repository`.
fn minimal(hub: &Hub, repo: &Repo) -> Value {
    let (url, html) = (repo_url(hub, repo), repo_html(hub, repo));
    let mut value = json!({
        "id": repo.id,
        "node_id": node_id("R", repo.id),
        "name": repo.name,
        "full_name": format!("{}/{}", repo.owner, repo.name),
        "owner": user(hub, &repo.owner),
        "private": true,
        "html_url": html,
        "description": null,
        "fork": false,
        "url": url,
    });
    for (key, path) in [
        ("archive_url", "/{archive_format}{/ref}"),
        ("assignees_url", "/assignees{/user}"),
        ("blobs_url", "/git/blobs{/sha}"),
        ("branches_url", "/branches{/branch}"),
        ("collaborators_url", "/collaborators{/collaborator}"),
        ("comments_url", "/comments{/number}"),
        ("commits_url", "/commits{/sha}"),
        ("compare_url", "/compare/{base}...{head}"),
        ("contents_url", "/contents/{+path}"),
        ("contributors_url", "/contributors"),
        ("deployments_url", "/deployments"),
        ("downloads_url", "/downloads"),
        ("events_url", "/events"),
        ("forks_url", "/forks"),
        ("git_commits_url", "/git/commits{/sha}"),
        ("git_refs_url", "/git/refs{/sha}"),
        ("git_tags_url", "/git/tags{/sha}"),
        ("issue_comment_url", "/issues/comments{/number}"),
        ("issue_events_url", "/issues/events{/number}"),
        ("issues_url", "/issues{/number}"),
        ("keys_url", "/keys{/key_id}"),
        ("labels_url", "/labels{/name}"),
        ("languages_url", "/languages"),
        ("merges_url", "/merges"),
        ("milestones_url", "/milestones{/number}"),
        (
            "notifications_url",
            "/notifications{?since,all,participating}",
        ),
        ("pulls_url", "/pulls{/number}"),
        ("releases_url", "/releases{/id}"),
        ("stargazers_url", "/stargazers"),
        ("statuses_url", "/statuses/{sha}"),
        ("subscribers_url", "/subscribers"),
        ("subscription_url", "/subscription"),
        ("tags_url", "/tags"),
        ("teams_url", "/teams"),
        ("trees_url", "/git/trees{/sha}"),
        ("hooks_url", "/hooks"),
    ] {
        value[key] = json!(format!("{url}{path}"));
    }
    value
}

/// A repository without what depends on who looks at it.
pub(super) fn minimal_repository(at: &Scope<'_>) -> Value {
    minimal(at.hub, at.repo)
}

/// A repository as its own endpoint and pull requests show it.
pub(super) fn repository(at: &Scope<'_>) -> Value {
    let html = repo_html(at.hub, at.repo);
    let open = at.state.pulls.iter().filter(|pull| pull.is_open()).count();
    merge(
        minimal(at.hub, at.repo),
        json!({
            "git_url": html.replacen("http:", "git:", 1),
            "ssh_url": format!("git@localhost:{}/{}.git", at.repo.owner, at.repo.name),
            "clone_url": format!("{html}.git"),
            "svn_url": html,
            "mirror_url": null,
            "homepage": null,
            "language": null,
            "license": null,
            "forks": 0,
            "forks_count": 0,
            "stargazers_count": 0,
            "watchers": 0,
            "watchers_count": 0,
            "size": 0,
            "default_branch": at.state.default_branch,
            "open_issues": open,
            "open_issues_count": open,
            "topics": [],
            "visibility": "private",
            "has_issues": true,
            "has_projects": false,
            "has_wiki": false,
            "has_pages": false,
            "has_downloads": true,
            "has_discussions": false,
            "archived": false,
            "disabled": false,
            "pushed_at": at.state.created,
            "created_at": at.state.created,
            "updated_at": at.state.created,
            "permissions": permissions(at.permission),
        }),
    )
}

/// The repository's own endpoint: `full-repository`.
pub(super) fn full_repository(at: &Scope<'_>) -> Value {
    merge(
        repository(at),
        json!({
            "subscribers_count": 0,
            "network_count": 0,
            "allow_merge_commit": true,
            "allow_squash_merge": true,
            "allow_rebase_merge": true,
            "allow_auto_merge": false,
            "delete_branch_on_merge": false,
        }),
    )
}

/// Who signed, and when.
pub(super) fn signature(signature: &Signature) -> Value {
    json!({
        "name": signature.person.name,
        "email": signature.person.email,
        "date": signature.moment(),
    })
}

/// The account behind an address such as `1001+login@users.noreply.github.com`, or null.
pub(super) fn signer(hub: &Hub, signature: &Signature) -> Value {
    let email = &signature.person.email;
    let login = email
        .split_once('@')
        .and_then(|(name, _)| name.split_once('+'));
    login.map_or(Value::Null, |(_, login)| user(hub, login))
}

/// How somebody stands to the repository.
pub(super) fn association(at: &Scope<'_>, login: &str) -> &'static str {
    if login.eq_ignore_ascii_case(&at.repo.owner) {
        "OWNER"
    } else if at
        .hub
        .read(|accounts| accounts.is_member(&at.repo.owner, login))
    {
        "MEMBER"
    } else if at.permission_of(login) >= Permission::Write {
        "COLLABORATOR"
    } else {
        "NONE"
    }
}

/// That nothing is signed with a key here.
pub(super) fn unsigned() -> Value {
    json!({"verified": false, "reason": "unsigned", "signature": null, "payload": null, "verified_at": null})
}
