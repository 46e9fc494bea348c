//! From a request to the function that answers it.
//!
//! Paths are matched as lists of segments, because names of branches and files
//! hold slashes that clients send encoded or not.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, Response, Uri, header};
use serde_json::json;

use super::auth::{Caller, caller};
use super::errors::ApiError;
use super::hub::{Hub, Scope};
use super::reply::{Ask, Reply, decode};
use super::{
    checks, commits, contents, gitdata, issues, merge, protection, pulls, refs, reviews, shapes,
    transport, users,
};

const VERSION: &str = "2022-11-28";
const MAX_BODY: usize = 32 << 20;

/// Answers one request.
pub(super) async fn answer(State(hub): State<Arc<Hub>>, request: Request) -> Response<Body> {
    let (head, body) = request.into_parts();
    if let Some(asked) = transport::asked(head.uri.path()) {
        let (root, query) = (&hub.git_root, query(&head.uri));
        return transport::answer(root, &asked, &head.method, &query, &head.headers, body).await;
    }
    let reads = matches!(head.method, Method::GET | Method::HEAD);
    let path = head.uri.path();
    let path = path
        .strip_prefix("/api/v3")
        .filter(|rest| rest.is_empty() || rest.starts_with('/'))
        .unwrap_or(path);
    let path = path.to_owned();
    let mut free = path == "/rate_limit";
    let (who, reply) = match caller(&hub, &head.headers) {
        Err(refusal) => (None, Err(refusal)),
        Ok(caller) => {
            let reply = match admit(&hub, &caller, &head.headers, !reads, free) {
                Err(refusal) => Err(refusal),
                Ok(()) => match to_bytes(body, MAX_BODY).await {
                    Err(_) => Err(ApiError::new(413, "Payload too large")),
                    Ok(body) => {
                        let url = format!("{}{path}", hub.api);
                        let ask = Ask {
                            query: query(&head.uri),
                            body,
                            raw: wants_raw(&head.headers),
                            url,
                        };
                        let method = if reads { "GET" } else { head.method.as_str() };
                        // On the heap: it holds the state of every endpoint.
                        Box::pin(dispatch(&hub, &caller, method, &path, &ask)).await
                    }
                },
            };
            (Some(caller), reply)
        }
    };
    let mut response = reply
        .unwrap_or_else(Reply::from)
        .respond(reads, &head.headers);
    free |= response.status() == 304;
    let headers = response.headers_mut();
    if let Some(caller) = &who {
        caller.count(&hub, free, headers);
    }
    for (name, value) in [
        ("x-github-media-type", "github.v3; format=json"),
        ("x-github-api-version-selected", VERSION),
        ("vary", "Accept, Authorization, Cookie, X-GitHub-OTP"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    let id = uuid::Uuid::new_v4().simple().to_string().to_uppercase();
    if let Ok(id) = HeaderValue::from_str(&id) {
        headers.insert("x-github-request-id", id);
    }
    response
}

/// What stands behind `?`, in order; nothing if it cannot be read.
fn query(uri: &Uri) -> Vec<(String, String)> {
    let read = Query::try_from_uri(uri);
    read.map(|Query(query)| query).unwrap_or_default()
}

fn admit(
    hub: &Hub,
    caller: &Caller,
    headers: &HeaderMap,
    writes: bool,
    free: bool,
) -> Result<(), ApiError> {
    if !headers.contains_key(header::USER_AGENT) {
        return Err(ApiError::new(
            403,
            "Request forbidden by administrative rules. A User-Agent header is required.",
        ));
    }
    if headers
        .get("x-github-api-version")
        .is_some_and(|version| version != VERSION)
    {
        return Err(ApiError::new(
            400,
            "The specified API version is not supported",
        ));
    }
    if free {
        Ok(())
    } else {
        caller.admit(hub, writes)
    }
}

fn wants_raw(headers: &HeaderMap) -> bool {
    let accepted = headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok());
    accepted.into_iter().any(|accepted| {
        [
            "application/vnd.github.raw",
            "application/vnd.github.v3.raw",
        ]
        .iter()
        .any(|kind| accepted.starts_with(kind))
    })
}

fn number(text: &str) -> Result<u64, ApiError> {
    text.parse().map_err(|_| ApiError::not_found())
}

async fn dispatch(
    hub: &Hub,
    caller: &Caller,
    method: &str,
    path: &str,
    ask: &Ask,
) -> Result<Reply, ApiError> {
    let segments: Vec<String> = path
        .split('/')
        .filter(|part| !part.is_empty())
        .map(decode)
        .collect();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    match (method, segments.as_slice()) {
        ("GET", []) => Ok(Reply::json(
            200,
            json!({
                "current_user_url": format!("{}/user", hub.api),
                "rate_limit_url": format!("{}/rate_limit", hub.api),
                "repository_url": format!("{}/repos/{{owner}}/{{repo}}", hub.api),
            }),
        )),
        ("GET", ["meta"]) => Ok(Reply::json(
            200,
            json!({"verifiable_password_authentication": false}),
        )),
        ("GET", ["versions"]) => Ok(Reply::json(200, json!([VERSION]))),
        ("GET", ["rate_limit"]) => Ok(Reply::json(200, caller.overview(hub))),
        ("GET", ["repos", owner, _, "installation"]) => {
            super::apps::installation(hub, caller.app()?, owner)
        }
        ("POST", ["app", "installations", id, "access_tokens"]) => {
            super::apps::grant(hub, caller.app()?, number(id)?, ask)
        }
        ("GET", ["user"]) => Ok(users::profile(hub, caller.known()?, true)),
        ("GET", ["users", login]) => users::get(hub, login),
        ("GET", ["orgs", org, "members", login]) => users::member(hub, org, login, caller.known()?),
        ("GET", ["orgs", org, "memberships", login]) => {
            users::membership(hub, org, login, caller.known()?)
        }
        ("GET", ["orgs", org, "teams", slug]) => users::team(hub, org, slug, caller.known()?),
        ("GET", ["orgs", org, "teams", slug, "members"]) => {
            users::team_members(hub, org, slug, caller.known()?, ask)
        }
        ("GET", ["orgs", org, "teams", slug, "memberships", login]) => {
            users::team_membership(hub, org, slug, login, caller.known()?)
        }
        (_, ["repos", owner, name, rest @ ..]) => {
            let actor = caller.account.clone().ok_or_else(ApiError::not_found)?;
            let repo = hub.repo(owner, name).ok_or_else(ApiError::not_found)?;
            let mut at = hub.enter(&repo, actor).await?;
            let reply = in_repository(&mut at, method, rest, ask).await;
            at.save()?;
            at.announce().await?;
            reply
        }
        _ => Err(ApiError::not_found()),
    }
}

async fn in_repository(
    at: &mut Scope<'_>,
    method: &str,
    rest: &[&str],
    ask: &Ask,
) -> Result<Reply, ApiError> {
    match (method, rest) {
        ("GET", []) => Ok(Reply::json(200, shapes::full_repository(at))),
        ("GET", ["branches"]) => Ok(refs::branches(at, ask)),
        ("GET", ["branches", branch @ .., "protection"]) if !branch.is_empty() => {
            protection::get(at, &branch.join("/"))
        }
        ("GET", ["branches", branch @ ..]) => refs::branch(at, &branch.join("/")).await,
        ("GET", ["rules", "branches", branch @ ..]) => {
            Ok(protection::rules(at, &branch.join("/"), ask))
        }
        ("GET", ["collaborators", login]) => users::collaborator(at, login),
        ("GET", ["collaborators", login, "permission"]) => users::permission(at, login),
        (_, ["git", rest @ ..]) => in_git(at, method, rest, ask).await,
        ("GET", ["commits"]) => commits::list(at, ask).await,
        ("GET", ["commits", rev @ .., "check-runs"]) if !rev.is_empty() => {
            checks::runs(at, &rev.join("/"), ask).await
        }
        ("GET", ["commits", rev @ .., "status"]) if !rev.is_empty() => {
            checks::combined(at, &rev.join("/"), ask).await
        }
        ("GET", ["commits", rev @ .., "statuses"]) if !rev.is_empty() => {
            checks::statuses(at, &rev.join("/"), ask).await
        }
        ("GET", ["commits", rev @ ..]) => commits::get(at, &rev.join("/")).await,
        ("GET", ["compare", range @ ..]) => commits::compare(at, &range.join("/"), ask).await,
        ("GET", ["check-runs", id]) => checks::run(at, number(id)?),
        ("POST", ["statuses", sha]) => checks::create_status(at, sha, ask).await,
        ("GET", ["contents", path @ ..]) => contents::get(at, &path.join("/"), ask).await,
        ("PUT", ["contents", path @ ..]) => contents::put(at, &path.join("/"), ask).await,
        ("DELETE", ["contents", path @ ..]) => contents::delete(at, &path.join("/"), ask).await,
        ("GET", ["pulls"]) => Ok(pulls::list(at, ask)),
        ("POST", ["pulls"]) => pulls::create(at, ask).await,
        (_, ["pulls", n, rest @ ..]) => in_pull(at, method, number(n)?, rest, ask).await,
        (_, ["issues", rest @ ..]) => in_issues(at, method, rest, ask).await,
        ("GET", ["labels"]) => Ok(issues::repository_labels(at, ask)),
        ("POST", ["labels"]) => issues::create_label(at, ask),
        ("GET", ["labels", name]) => issues::label(at, name),
        _ => Err(ApiError::not_found()),
    }
}

async fn in_git(
    at: &mut Scope<'_>,
    method: &str,
    rest: &[&str],
    ask: &Ask,
) -> Result<Reply, ApiError> {
    match (method, rest) {
        // The second form is what clients written for older versions send.
        ("GET", ["ref" | "refs", name @ ..]) => refs::get(at, &name.join("/")).await,
        ("GET", ["matching-refs", name @ ..]) => refs::matching(at, &name.join("/"), ask).await,
        ("POST", ["refs"]) => refs::create(at, ask).await,
        ("PATCH", ["refs", name @ ..]) => refs::update(at, &name.join("/"), ask).await,
        ("DELETE", ["refs", name @ ..]) => refs::delete(at, &name.join("/")).await,
        ("POST", ["commits"]) => gitdata::create_commit(at, ask).await,
        ("GET", ["commits", sha]) => gitdata::commit(at, sha).await,
        ("POST", ["trees"]) => gitdata::create_tree(at, ask).await,
        ("GET", ["trees", rev @ ..]) => gitdata::tree(at, &rev.join("/"), ask).await,
        ("POST", ["blobs"]) => gitdata::create_blob(at, ask).await,
        ("GET", ["blobs", sha]) => gitdata::blob(at, sha, ask).await,
        _ => Err(ApiError::not_found()),
    }
}

async fn in_pull(
    at: &mut Scope<'_>,
    method: &str,
    n: u64,
    rest: &[&str],
    ask: &Ask,
) -> Result<Reply, ApiError> {
    match (method, rest) {
        ("GET", []) => pulls::get(at, n).await,
        ("PATCH", []) => pulls::update(at, n, ask).await,
        ("GET", ["files"]) => pulls::files(at, n, ask).await,
        ("GET", ["commits"]) => pulls::list_commits(at, n, ask).await,
        ("GET", ["merge"]) => merge::was_merged(at, n),
        ("PUT", ["merge"]) => merge::merge(at, n, ask).await,
        ("PUT", ["update-branch"]) => merge::update_branch(at, n, ask).await,
        ("GET", ["requested_reviewers"]) => reviews::requested(at, n),
        ("POST", ["requested_reviewers"]) => reviews::request(at, n, ask),
        ("DELETE", ["requested_reviewers"]) => reviews::unrequest(at, n, ask),
        ("GET", ["comments"]) => pulls::find(at, n).map(|_| Reply::json(200, json!([]))),
        ("GET", ["reviews"]) => reviews::list(at, n, ask),
        ("POST", ["reviews"]) => reviews::create(at, n, ask).await,
        ("GET", ["reviews", id]) => reviews::get(at, n, number(id)?),
        ("PUT", ["reviews", id]) => reviews::update(at, n, number(id)?, ask),
        ("DELETE", ["reviews", id]) => reviews::delete(at, n, number(id)?),
        ("POST", ["reviews", id, "events"]) => reviews::submit(at, n, number(id)?, ask),
        ("PUT", ["reviews", id, "dismissals"]) => reviews::dismiss(at, n, number(id)?, ask),
        _ => Err(ApiError::not_found()),
    }
}

async fn in_issues(
    at: &mut Scope<'_>,
    method: &str,
    rest: &[&str],
    ask: &Ask,
) -> Result<Reply, ApiError> {
    match (method, rest) {
        ("GET", ["comments", id]) => issues::comment(at, number(id)?),
        ("PATCH", ["comments", id]) => issues::update_comment(at, number(id)?, ask),
        ("DELETE", ["comments", id]) => issues::delete_comment(at, number(id)?),
        ("GET", [n]) => issues::get(at, number(n)?),
        ("PATCH", [n]) => issues::update(at, number(n)?, ask).await,
        ("GET", [n, "comments"]) => issues::comments(at, number(n)?, ask),
        ("POST", [n, "comments"]) => issues::create_comment(at, number(n)?, ask),
        ("GET", [n, "labels"]) => issues::labels(at, number(n)?, ask),
        ("POST", [n, "labels"]) => issues::set_labels(at, number(n)?, ask, false),
        ("PUT", [n, "labels"]) => issues::set_labels(at, number(n)?, ask, true),
        ("DELETE", [n, "labels"]) => issues::clear_labels(at, number(n)?),
        ("DELETE", [n, "labels", name]) => issues::remove_label(at, number(n)?, name, ask),
        _ => Err(ApiError::not_found()),
    }
}
