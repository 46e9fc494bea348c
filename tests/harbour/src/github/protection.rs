//! Branch protection: what it asks, what is missing, and how it is shown.

use serde_json::{Value, json};

use super::checks::{Standing, standing};
use super::errors::ApiError;
use super::hub::Scope;
use super::reply::{Ask, Reply, encode};
use super::shapes::repo_url;
use super::state::{Permission, Protection, Pull, ReviewState};

/// Refuses a push by the API to a protected branch.
pub(super) fn refuse_push(at: &Scope<'_>, branch: &str, status: u16) -> Result<(), ApiError> {
    if at.bound(branch) {
        return Err(ApiError::new(
            status,
            "Changes must be made through a pull request.",
        ));
    }
    Ok(())
}

/// Why protection keeps this pull request from being merged by the actor, as
/// GitHub words it; empty if nothing is missing.
pub(super) async fn blockers(at: &Scope<'_>, pull: &Pull) -> anyhow::Result<Vec<String>> {
    let Some(rule) = at
        .state
        .protections
        .get(&pull.base)
        .filter(|_| at.bound(&pull.base))
    else {
        return Ok(Vec::new());
    };
    let mut missing = Vec::new();
    let approvers = approvers(at, rule, pull);
    let asks_review = rule.required_approvals > 0 || rule.code_owners;
    let objections = pull.verdicts().into_iter().any(|(login, state)| {
        state == ReviewState::ChangesRequested && at.permission_of(login) >= Permission::Write
    });
    if asks_review && objections {
        missing.push("Changes have been requested by a reviewer with write access.".to_owned());
    }
    if approvers.len() < rule.required_approvals as usize {
        let (n, noun) = match rule.required_approvals {
            1 => (1, "approving review is"),
            n => (n, "approving reviews are"),
        };
        missing.push(format!(
            "At least {n} {noun} required by reviewers with write access."
        ));
    }
    if rule.code_owners {
        for owners in owners(at, pull).await? {
            if !approvers.iter().any(|login| owned_by(at, &owners, login)) {
                missing.push(format!(
                    "Waiting on code owner review from {}.",
                    owners.join(" and/or ")
                ));
            }
        }
        missing.dedup();
    }
    let behind = rule.strict
        && at
            .git()
            .compare(&pull.base_sha, &pull.head_sha)
            .await?
            .behind
            > 0;
    for check in &rule.required_checks {
        match standing(at, &pull.head_sha, check) {
            Standing::Good => {}
            Standing::Bad => missing.push(format!("Required status check \"{check}\" is failing.")),
            Standing::Running => {
                missing.push(format!("Required status check \"{check}\" is in progress."));
            }
            Standing::Absent => {
                missing.push(format!("Required status check \"{check}\" is expected."));
            }
        }
    }
    if behind {
        missing.push("The head branch is not up to date with the base branch.".to_owned());
    }
    Ok(missing)
}

/// Whose approval counts: not the author's, only with write access, and, where
/// stale ones are dismissed, of the present head.
fn approvers(at: &Scope<'_>, rule: &Protection, pull: &Pull) -> Vec<String> {
    let stale = |login: &str| {
        let last = pull
            .reviews
            .iter()
            .rev()
            .find(|review| review.user == login && review.state == ReviewState::Approved);
        rule.dismiss_stale && last.is_some_and(|review| review.commit != pull.head_sha)
    };
    pull.verdicts()
        .into_iter()
        .filter(|(login, state)| {
            *state == ReviewState::Approved
                && *login != pull.author
                && at.permission_of(login) >= Permission::Write
                && !stale(login)
        })
        .map(|(login, _)| login.to_owned())
        .collect()
}

fn owned_by(at: &Scope<'_>, owners: &[String], login: &str) -> bool {
    owners.iter().any(
        |owner| match owner.trim_start_matches('@').split_once('/') {
            Some((org, slug)) => at.hub.read(|accounts| {
                accounts
                    .team(org, slug)
                    .is_some_and(|team| team.members.iter().any(|m| m.eq_ignore_ascii_case(login)))
            }),
            None => owner.trim_start_matches('@').eq_ignore_ascii_case(login),
        },
    )
}

/// The owners of each changed file that has some, by `CODEOWNERS` of the base.
async fn owners(at: &Scope<'_>, pull: &Pull) -> anyhow::Result<Vec<Vec<String>>> {
    let mut rules = Vec::new();
    for path in [".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS"] {
        let file = at
            .git()
            .object(&format!("{}:{path}", pull.base_sha))
            .await?;
        if let Some(file) = file.filter(|object| object.kind == "blob") {
            let text = String::from_utf8_lossy(&file.data).into_owned();
            rules = text
                .lines()
                .map(|line| line.split('#').next().unwrap_or_default())
                .filter_map(|line| {
                    let mut words = line.split_whitespace().map(str::to_owned);
                    Some((words.next()?, words.collect::<Vec<_>>()))
                })
                .collect();
            break;
        }
    }
    let from = at
        .git()
        .compare(&pull.base_sha, &pull.head_sha)
        .await?
        .merge_base;
    let from = from.unwrap_or_else(|| pull.base_sha.clone());
    let mut found = Vec::new();
    for change in at.git().changes(&from, &pull.head_sha).await? {
        let last = rules
            .iter()
            .rev()
            .find(|(pattern, _)| owns(pattern, &change.path));
        if let Some((_, owners)) = last.filter(|(_, owners)| !owners.is_empty()) {
            found.push(owners.clone());
        }
    }
    Ok(found)
}

/// True if a pattern of `CODEOWNERS` covers a path.
fn owns(pattern: &str, path: &str) -> bool {
    let anchored = pattern.trim_end_matches('/').contains('/');
    let folder = pattern.ends_with('/');
    let pattern: Vec<&str> = pattern.trim_matches('/').split('/').collect();
    let parts: Vec<&str> = path.split('/').collect();
    let starts = if anchored { 0..1 } else { 0..parts.len() };
    starts
        .into_iter()
        .any(|from| covers(&pattern, &parts[from..], folder))
}

fn covers(pattern: &[&str], parts: &[&str], folder: bool) -> bool {
    match (pattern, parts) {
        // What is below a folder that matches is covered too, unless the
        // pattern ended in a plain `*`.
        ([], rest) => !folder || !rest.is_empty(),
        (["*"], rest) => rest.len() == 1 || folder,
        (["**", tail @ ..], rest) => {
            (0..=rest.len()).any(|skip| covers(tail, &rest[skip..], folder))
        }
        ([_, ..], []) => false,
        ([first, tail @ ..], [part, rest @ ..]) => {
            wild(first.as_bytes(), part.as_bytes()) && covers(tail, rest, folder)
        }
    }
}

fn wild(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern, text) {
        ([], []) => true,
        ([b'*', tail @ ..], _) => (0..=text.len()).any(|skip| wild(tail, &text[skip..])),
        ([b'?', tail @ ..], [_, rest @ ..]) => wild(tail, rest),
        ([a, tail @ ..], [b, rest @ ..]) if a == b => wild(tail, rest),
        _ => false,
    }
}

fn checks(rule: &Protection) -> Vec<Value> {
    rule.required_checks
        .iter()
        .map(|name| json!({"context": name, "app_id": null}))
        .collect()
}

/// What a branch says about its own protection.
pub(super) fn summary(at: &Scope<'_>, branch: &str) -> Value {
    let rule = at.state.protections.get(branch);
    let checks = rule.map(checks).unwrap_or_default();
    let names = rule
        .map(|rule| rule.required_checks.clone())
        .unwrap_or_default();
    let level = match rule {
        Some(rule) if rule.enforce_admins => "everyone",
        Some(_) => "non_admins",
        None => "off",
    };
    json!({
        "enabled": rule.is_some(),
        "required_status_checks": {"enforcement_level": level, "contexts": names, "checks": checks},
    })
}

/// `GET branches/{branch}/protection`.
pub(super) fn get(at: &Scope<'_>, branch: &str) -> Result<Reply, ApiError> {
    at.need(Permission::Write)?;
    if at
        .git()
        .reference(&format!("refs/heads/{branch}"))
        .is_none()
    {
        return Err(ApiError::new(404, "Branch not found"));
    }
    let Some(rule) = at.state.protections.get(branch) else {
        return Err(ApiError::new(404, "Branch not protected"));
    };
    let url = format!(
        "{}/branches/{}/protection",
        repo_url(at.hub, at.repo),
        encode(branch)
    );
    let mut value = json!({
        "url": url,
        "required_pull_request_reviews": {
            "url": format!("{url}/required_pull_request_reviews"),
            "dismiss_stale_reviews": rule.dismiss_stale,
            "require_code_owner_reviews": rule.code_owners,
            "required_approving_review_count": rule.required_approvals,
            "require_last_push_approval": false,
        },
        "enforce_admins": {"url": format!("{url}/enforce_admins"), "enabled": rule.enforce_admins},
        "required_signatures": {"url": format!("{url}/required_signatures"), "enabled": false},
        "required_linear_history": {"enabled": false},
        "allow_force_pushes": {"enabled": false},
        "allow_deletions": {"enabled": false},
        "block_creations": {"enabled": false},
        "required_conversation_resolution": {"enabled": false},
        "lock_branch": {"enabled": false},
        "allow_fork_syncing": {"enabled": false},
    });
    if !rule.required_checks.is_empty() {
        value["required_status_checks"] = json!({
            "url": format!("{url}/required_status_checks"),
            "strict": rule.strict,
            "contexts": rule.required_checks,
            "contexts_url": format!("{url}/required_status_checks/contexts"),
            "checks": checks(rule),
        });
    }
    Ok(Reply::json(200, value))
}

/// `GET rules/branches/{branch}`: the same protection, put as rules.
pub(super) fn rules(at: &Scope<'_>, branch: &str, ask: &Ask) -> Reply {
    let mut rules = Vec::new();
    if let Some(rule) = at.state.protections.get(branch) {
        rules.push(json!({"type": "deletion"}));
        rules.push(json!({"type": "non_fast_forward"}));
        rules.push(json!({"type": "pull_request", "parameters": {
            "required_approving_review_count": rule.required_approvals,
            "dismiss_stale_reviews_on_push": rule.dismiss_stale,
            "require_code_owner_review": rule.code_owners,
            "require_last_push_approval": false,
            "required_review_thread_resolution": false,
        }}));
        if !rule.required_checks.is_empty() {
            let checks: Vec<Value> = rule
                .required_checks
                .iter()
                .map(|name| json!({"context": name}))
                .collect();
            rules.push(json!({"type": "required_status_checks", "parameters": {
                "strict_required_status_checks_policy": rule.strict,
                "required_status_checks": checks,
            }}));
        }
    }
    ask.list(rules, |mut rule| {
        rule["ruleset_source_type"] = json!("Repository");
        rule["ruleset_source"] = json!(format!("{}/{}", at.repo.owner, at.repo.name));
        rule["ruleset_id"] = json!(1);
        rule
    })
}

#[cfg(test)]
mod tests {
    use super::owns;

    #[test]
    fn code_owner_patterns() {
        for (pattern, path, expected) in [
            ("*", "a/b.yaml", true),
            ("*.yaml", "a/b.yaml", true),
            ("/a/", "a/b/c.yaml", true),
            ("/a/", "b/a/c.yaml", false),
            ("a/", "b/a/c.yaml", true),
            ("/a/*", "a/b.yaml", true),
            ("/a/*", "a/b/c.yaml", false),
            ("/a/**/c.yaml", "a/x/y/c.yaml", true),
            ("/wave-*/x.yaml", "wave-2/x.yaml", true),
            ("docs", "src/main.rs", false),
        ] {
            assert_eq!(owns(pattern, path), expected, "{pattern} {path}");
        }
    }
}
