//! Reviews, and whom they are asked of.

use serde::Deserialize;
use serde_json::{Value, json};

use super::errors::ApiError;
use super::hub::Scope;
use super::pulls::{find, find_mut};
use super::pullview::show_simple;
use super::reply::{Ask, Reply};
use super::shapes::{association, node_id, repo_html, repo_url, user};
use super::state::{Permission, Review, ReviewState, now};
use super::users::show_team;

/// What a reviewer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ReviewEvent {
    Approve,
    RequestChanges,
    Comment,
}

fn show(at: &Scope<'_>, number: u64, review: &Review) -> Value {
    let pull = format!("{}/pulls/{number}", repo_url(at.hub, at.repo));
    let html = format!(
        "{}/pull/{number}#pullrequestreview-{}",
        repo_html(at.hub, at.repo),
        review.id
    );
    let mut value = json!({
        "id": review.id,
        "node_id": node_id("PRR", review.id),
        "user": user(at.hub, &review.user),
        "body": review.body,
        "state": review.state,
        "html_url": html,
        "pull_request_url": pull,
        "_links": {"html": {"href": html}, "pull_request": {"href": pull}},
        "commit_id": review.commit,
        "author_association": association(at, &review.user),
    });
    if let Some(submitted) = &review.submitted {
        value["submitted_at"] = json!(submitted);
    }
    value
}

/// A review as webhooks show it.
pub(super) fn show_by_id(at: &Scope<'_>, number: u64, id: u64) -> Result<Value, ApiError> {
    let found = find(at, number)?
        .reviews
        .iter()
        .find(|review| review.id == id);
    Ok(show(at, number, found.ok_or_else(ApiError::not_found)?))
}

fn visible(at: &Scope<'_>, review: &Review) -> bool {
    review.state != ReviewState::Pending || review.user == at.actor.login
}

fn find_review<'a>(at: &'a Scope<'_>, number: u64, id: u64) -> Result<&'a Review, ApiError> {
    let mut reviews = find(at, number)?.reviews.iter();
    let found = reviews.find(|review| review.id == id && visible(at, review));
    found.ok_or_else(ApiError::not_found)
}

/// Changes one review; gives it as it then is.
fn change(
    at: &mut Scope<'_>,
    number: u64,
    id: u64,
    act: impl FnOnce(&mut Review),
) -> Result<Reply, ApiError> {
    let pull = find_mut(at, number)?;
    pull.updated = now();
    let review = pull.reviews.iter_mut().find(|review| review.id == id);
    act(review.ok_or_else(ApiError::not_found)?);
    let review = find_review(at, number, id)?;
    Ok(Reply::json(200, show(at, number, review)))
}

/// `GET pulls/{number}/reviews`: the oldest first.
pub(super) fn list(at: &Scope<'_>, number: u64, ask: &Ask) -> Result<Reply, ApiError> {
    let reviews: Vec<&Review> = find(at, number)?
        .reviews
        .iter()
        .filter(|review| visible(at, review))
        .collect();
    Ok(ask.list(reviews, |review| show(at, number, review)))
}

/// `GET pulls/{number}/reviews/{id}`.
pub(super) fn get(at: &Scope<'_>, number: u64, id: u64) -> Result<Reply, ApiError> {
    Ok(Reply::json(
        200,
        show(at, number, find_review(at, number, id)?),
    ))
}

#[derive(Deserialize)]
struct Create {
    commit_id: Option<String>,
    body: Option<String>,
    event: Option<ReviewEvent>,
}

/// `POST pulls/{number}/reviews`.
pub(super) async fn create(at: &mut Scope<'_>, number: u64, ask: &Ask) -> Result<Reply, ApiError> {
    let Create {
        commit_id,
        body,
        event,
    } = ask.json()?;
    let id = add(at, number, event, commit_id, body.unwrap_or_default()).await?;
    Ok(Reply::json(
        200,
        show(at, number, find_review(at, number, id)?),
    ))
}

/// Adds a review by the actor; gives its id. Without an event it stays pending.
pub(super) async fn add(
    at: &mut Scope<'_>,
    number: u64,
    event: Option<ReviewEvent>,
    commit: Option<String>,
    body: String,
) -> Result<u64, ApiError> {
    let pull = find(at, number)?;
    if let Some(event) = event {
        refuse(at, number, event, &body)?;
    }
    let pending =
        |review: &Review| review.state == ReviewState::Pending && review.user == at.actor.login;
    if pull.reviews.iter().any(pending) {
        return Err(ApiError::unprocessable(
            "User can only have one pending review per pull request",
        ));
    }
    let commit = match commit {
        None => pull.head_sha.clone(),
        Some(commit) => {
            let ahead = at
                .git()
                .compare(&pull.base_sha, &pull.head_sha)
                .await?
                .ahead;
            if !ahead.contains(&commit) {
                return Err(ApiError::unprocessable(
                    "The commit_id is not part of the pull request",
                ));
            }
            commit
        }
    };
    let review = Review {
        id: at.next_id(),
        user: at.actor.login.clone(),
        body,
        state: event.map_or(ReviewState::Pending, state_of),
        commit,
        submitted: event.map(|_| now()),
    };
    let id = review.id;
    let login = review.user.clone();
    let pull = find_mut(at, number)?;
    if event.is_some() {
        pull.reviewers.remove(&login);
        pull.updated = now();
    }
    pull.reviews.push(review);
    Ok(id)
}

fn state_of(event: ReviewEvent) -> ReviewState {
    match event {
        ReviewEvent::Approve => ReviewState::Approved,
        ReviewEvent::RequestChanges => ReviewState::ChangesRequested,
        ReviewEvent::Comment => ReviewState::Commented,
    }
}

fn refuse(at: &Scope<'_>, number: u64, event: ReviewEvent, body: &str) -> Result<(), ApiError> {
    let own = find(at, number)?.author == at.actor.login;
    match event {
        ReviewEvent::Approve if own => Err(ApiError::unprocessable(
            "Can not approve your own pull request",
        )),
        ReviewEvent::RequestChanges if own => Err(ApiError::unprocessable(
            "Can not request changes on your own pull request",
        )),
        ReviewEvent::RequestChanges | ReviewEvent::Comment if body.trim().is_empty() => {
            Err(ApiError::unprocessable("A body is required for this event"))
        }
        ReviewEvent::Approve | ReviewEvent::RequestChanges | ReviewEvent::Comment => Ok(()),
    }
}

#[derive(Deserialize)]
struct Submit {
    body: Option<String>,
    event: ReviewEvent,
}

fn require_own_pending(at: &Scope<'_>, number: u64, id: u64) -> Result<(), ApiError> {
    let review = find_review(at, number, id)?;
    if review.state != ReviewState::Pending {
        return Err(ApiError::unprocessable(
            "Can not change a review that is not pending",
        ));
    }
    Ok(())
}

/// `POST pulls/{number}/reviews/{id}/events`: submits a pending review.
pub(super) fn submit(
    at: &mut Scope<'_>,
    number: u64,
    id: u64,
    ask: &Ask,
) -> Result<Reply, ApiError> {
    let Submit { body, event } = ask.json()?;
    require_own_pending(at, number, id)?;
    let body = match body {
        Some(body) => body,
        None => find_review(at, number, id)?.body.clone(),
    };
    refuse(at, number, event, &body)?;
    let login = at.actor.login.clone();
    find_mut(at, number)?.reviewers.remove(&login);
    change(at, number, id, |review| {
        review.body = body;
        review.state = state_of(event);
        review.submitted = Some(now());
    })
}

#[derive(Deserialize)]
struct Body {
    body: String,
}

/// `PUT pulls/{number}/reviews/{id}`: another text.
pub(super) fn update(
    at: &mut Scope<'_>,
    number: u64,
    id: u64,
    ask: &Ask,
) -> Result<Reply, ApiError> {
    let Body { body } = ask.json()?;
    if find_review(at, number, id)?.user != at.actor.login {
        return Err(ApiError::new(403, "Must be the author of the review"));
    }
    change(at, number, id, |review| review.body = body)
}

/// `DELETE pulls/{number}/reviews/{id}`: takes a pending review back.
pub(super) fn delete(at: &mut Scope<'_>, number: u64, id: u64) -> Result<Reply, ApiError> {
    require_own_pending(at, number, id)?;
    let review = find_review(at, number, id)?.clone();
    find_mut(at, number)?.reviews.retain(|other| other.id != id);
    Ok(Reply::json(200, show(at, number, &review)))
}

#[derive(Deserialize)]
struct Dismiss {
    message: String,
}

/// `PUT pulls/{number}/reviews/{id}/dismissals`.
pub(super) fn dismiss(
    at: &mut Scope<'_>,
    number: u64,
    id: u64,
    ask: &Ask,
) -> Result<Reply, ApiError> {
    let Dismiss { message } = ask.json()?;
    at.need(Permission::Write)?;
    if message.trim().is_empty() {
        return Err(ApiError::unprocessable(
            "A message is required to dismiss a review",
        ));
    }
    let verb = match find_review(at, number, id)?.state {
        ReviewState::Approved | ReviewState::ChangesRequested => None,
        ReviewState::Commented => Some("commented"),
        ReviewState::Dismissed => Some("dismissed"),
        ReviewState::Pending => Some("pending"),
    };
    if let Some(verb) = verb {
        return Err(ApiError::unprocessable(&format!(
            "Can not dismiss a {verb} pull request review"
        )));
    }
    change(at, number, id, |review| {
        review.state = ReviewState::Dismissed;
    })
}

#[derive(Deserialize)]
struct Reviewers {
    #[serde(default)]
    reviewers: Vec<String>,
    #[serde(default)]
    team_reviewers: Vec<String>,
}

/// `GET pulls/{number}/requested_reviewers`.
pub(super) fn requested(at: &Scope<'_>, number: u64) -> Result<Reply, ApiError> {
    let pull = find(at, number)?;
    let users: Vec<Value> = pull
        .reviewers
        .iter()
        .map(|login| user(at.hub, login))
        .collect();
    let teams: Vec<Value> = pull
        .review_teams
        .iter()
        .filter_map(|slug| show_team(at.hub, &at.repo.owner, slug))
        .collect();
    Ok(Reply::json(200, json!({"users": users, "teams": teams})))
}

/// `POST pulls/{number}/requested_reviewers`.
pub(super) fn request(at: &mut Scope<'_>, number: u64, ask: &Ask) -> Result<Reply, ApiError> {
    let Reviewers {
        reviewers,
        team_reviewers,
    } = ask.json()?;
    let author = find(at, number)?.author.clone();
    if author != at.actor.login {
        at.need(Permission::Triage)?;
    }
    if reviewers
        .iter()
        .any(|login| login.eq_ignore_ascii_case(&author))
    {
        return Err(ApiError::new(
            422,
            "Review cannot be requested from pull request author.",
        ));
    }
    let known = |login: &String| {
        at.hub
            .account(login)
            .filter(|_| at.permission_of(login) >= Permission::Read)
    };
    let logins: Vec<String> = reviewers
        .iter()
        .filter_map(known)
        .map(|account| account.login)
        .collect();
    let team = |slug: &String| {
        at.hub
            .read(|accounts| accounts.team(&at.repo.owner, slug).is_some())
    };
    if logins.len() < reviewers.len() || !team_reviewers.iter().all(team) {
        return Err(ApiError::new(
            422,
            format!(
                "Reviews may only be requested from collaborators. One or more of the users or teams you specified is not a collaborator of the {}/{} repository.",
                at.repo.owner, at.repo.name,
            ),
        ));
    }
    let pull = find_mut(at, number)?;
    pull.reviewers.extend(logins);
    pull.review_teams.extend(team_reviewers);
    pull.updated = now();
    Ok(Reply::json(201, show_simple(at, find(at, number)?)))
}

/// `DELETE pulls/{number}/requested_reviewers`.
pub(super) fn unrequest(at: &mut Scope<'_>, number: u64, ask: &Ask) -> Result<Reply, ApiError> {
    let Reviewers {
        reviewers,
        team_reviewers,
    } = ask.json()?;
    if find(at, number)?.author != at.actor.login {
        at.need(Permission::Triage)?;
    }
    let pull = find_mut(at, number)?;
    pull.reviewers.retain(|login| {
        !reviewers
            .iter()
            .any(|gone| gone.eq_ignore_ascii_case(login))
    });
    pull.review_teams
        .retain(|slug| !team_reviewers.contains(slug));
    pull.updated = now();
    Ok(Reply::json(200, show_simple(at, find(at, number)?)))
}
