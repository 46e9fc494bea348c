//! Looking at a pull request: what a decision about it needs, read from GitHub.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use anyhow::Context as _;
use serde::Deserialize;

use super::orders::{Contents, contents, encode};
use super::propose::Editing;
use super::pulls::Answer;
use super::{Github, Reference, reference};
use crate::request::approval::Team;
use crate::request::observed::{Pull, PullState, Review, ReviewState};

/// How many lines of a difference are shown.
const SHOWN_LINES: usize = 12;

/// What is looked at beside the pull request and its reviews.
#[derive(Clone, Copy, Default)]
pub struct Looking<'a> {
    /// The order's path: whether the base changed it meanwhile.
    pub path: Option<&'a str>,
    /// The edit that it was to be: whether a merge was exactly that.
    pub edit: Option<&'a Editing<'a>>,
    /// The head that was asked for.
    pub head: Option<&'a str>,
    /// A merge was refused: what is missing for it.
    pub asks_why: bool,
    /// Nobody said anything in chat. If there is no review either, nothing comes of it but
    /// to wait on or to look again, and what all who wait ask for alike, the team and where
    /// the branch stands, may be as old as half a poll.
    pub shares: bool,
}

impl std::fmt::Debug for Looking<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Looking").finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct ReviewAnswer {
    user: Option<User>,
    state: String,
    #[serde(default)]
    commit_id: Option<String>,
}

#[derive(Deserialize)]
struct User {
    login: String,
}

#[derive(Deserialize)]
pub(super) struct Rule {
    #[serde(rename = "type")]
    pub(super) kind: String,
    #[serde(default)]
    pub(super) parameters: Parameters,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Parameters {
    pub(super) required_approving_review_count: usize,
    pub(super) require_code_owner_review: bool,
    required_status_checks: Vec<Check>,
}

#[derive(Deserialize)]
struct Check {
    context: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Branch {
    pub(super) protected: bool,
    protection: Option<Protection>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Protection {
    required_status_checks: Option<Contexts>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Contexts {
    contexts: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Runs {
    check_runs: Vec<Run>,
}

#[derive(Deserialize)]
struct Run {
    name: String,
    status: String,
    #[serde(default)]
    conclusion: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Combined {
    statuses: Vec<Status>,
}

#[derive(Deserialize)]
struct Status {
    context: String,
    state: String,
}

impl Rule {
    /// The checks that it wants.
    pub(super) fn contexts(self) -> impl Iterator<Item = String> {
        let checks = self.parameters.required_status_checks.into_iter();
        checks.map(|check| check.context)
    }
}

impl Branch {
    /// The checks that its own protection wants.
    pub(super) fn contexts(self) -> Vec<String> {
        self.protection
            .and_then(|protection| protection.required_status_checks)
            .map(|checks| checks.contexts)
            .unwrap_or_default()
    }
}

impl Github {
    /// A pull request by its number, with its reviews and more; `None` if there is none.
    pub async fn look(&self, number: u64, looking: Looking<'_>) -> anyhow::Result<Option<Pull>> {
        let route = format!("pulls/{number}");
        let Some(answer) = self.read::<Answer>(&route).await? else {
            return Ok(None);
        };
        let mut pull = Pull {
            number: answer.number,
            head_sha: answer.head.sha.clone(),
            mergeable: answer.mergeable,
            behind: answer.mergeable_state == "behind",
            blocked: answer.mergeable_state == "blocked",
            clean: matches!(
                answer.mergeable_state.as_str(),
                "clean" | "unstable" | "has_hooks"
            ),
            ..Pull::default()
        };
        let elsewhere = answer.base.branch != self.branch;
        if answer.is_open() {
            pull.state = PullState::Open;
            pull.retargeted = elsewhere;
            pull.reviews = self.reviews(number).await?;
            let shares = looking.shares && pull.reviews.is_empty();
            pull.team = self.team_as(shares).await?;
            if let Some(path) = looking.path {
                pull.base_blob = self.base_blob(path, shares).await?;
            }
            if looking.asks_why {
                pull.missing = self.missing(&answer, &pull.reviews).await?;
            }
            if answer.mergeable.is_none() {
                // GitHub computes it when asked; an answer kept would say so for ever.
                self.forget(&route);
            }
        } else if answer.is_merged() && !elsewhere {
            if let (Some(path), Some(edit), Some(sha)) =
                (looking.path, looking.edit, &answer.merge_commit_sha)
            {
                pull.difference = self
                    .difference(&answer, sha, path, edit, looking.head)
                    .await?;
            }
            pull.state = PullState::Merged {
                sha: answer.merge_commit_sha,
            };
        } else {
            // Merged into another branch is not merged: the order is as it was.
            pull.state = PullState::Closed;
        }
        Ok(Some(pull))
    }

    /// The reviews of a pull request, oldest first, as GitHub lists them.
    async fn reviews(&self, number: u64) -> anyhow::Result<Vec<Review>> {
        let mut reviews = Vec::new();
        for page in 1..=10 {
            let some: Vec<ReviewAnswer> = self
                .read(&format!("pulls/{number}/reviews?per_page=100&page={page}"))
                .await?
                .unwrap_or_default();
            let full = some.len() == 100;
            reviews.extend(some.into_iter().filter_map(|review| {
                Some(Review {
                    login: review.user?.login,
                    state: match review.state.as_str() {
                        "APPROVED" => ReviewState::Approved,
                        "CHANGES_REQUESTED" => ReviewState::ChangesRequested,
                        "DISMISSED" => ReviewState::Dismissed,
                        _ => ReviewState::Other,
                    },
                    commit_id: review.commit_id.unwrap_or_default(),
                })
            }));
            if !full {
                break;
            }
        }
        Ok(reviews)
    }

    /// The members of the reviewers' team, if one is configured.
    ///
    /// A team that cannot be read is an error: then nobody's right is known.
    pub async fn team(&self) -> anyhow::Result<Team> {
        self.team_as(false).await
    }

    async fn team_as(&self, shared: bool) -> anyhow::Result<Team> {
        let Some((org, slug)) = &self.team else {
            return Ok(None);
        };
        let mut members = BTreeSet::new();
        for page in 1..=20 {
            let route = format!(
                "/orgs/{}/teams/{}/members?per_page=100&page={page}",
                encode(org),
                encode(slug)
            );
            let some: Option<Vec<User>> = if shared {
                self.read_shared(&route).await?
            } else {
                self.read(&route).await?
            };
            let some = some.with_context(|| {
                format!(
                    "the reviewers' team {org}/{slug} is not there, or may not be read: give \
                     Refloat's account leave to read the members of the organization"
                )
            })?;
            let full = some.len() == 100;
            members.extend(some.into_iter().map(|user| user.login.to_ascii_lowercase()));
            if !full {
                break;
            }
        }
        Ok(Some(members))
    }

    /// The hash of a file as the branch of the orders has it; `None` if it is not there.
    async fn base_blob(&self, path: &str, shared: bool) -> anyhow::Result<Option<String>> {
        let route = contents(path, &self.branch);
        let contents: Option<Contents> = if shared {
            let head: Option<Reference> = self.read_shared(&reference(&self.branch)).await?;
            match head {
                Some(head) => self.read_at(&route, &head.object.sha).await?,
                None => None,
            }
        } else {
            self.read(&route).await?
        };
        Ok(contents.map(|contents| contents.sha))
    }

    /// How what a merge brought into the base differs from the edit; `None`: it is
    /// exactly that.
    async fn difference(
        &self,
        answer: &Answer,
        merge: &str,
        path: &str,
        edit: &Editing<'_>,
        head: Option<&str>,
    ) -> anyhow::Result<Option<String>> {
        let parent = self.parent(merge).await?;
        if let Some(difference) = self.change_differs(&parent, merge, path, edit).await? {
            return Ok(Some(difference));
        }
        // A rebase brings each commit of its own; what others added to the branch
        // may stand in an earlier one.
        if head == Some(answer.head.sha.as_str()) {
            return Ok(None);
        }
        let fork = self.fork(&parent, &answer.head.sha).await?;
        if fork.from == answer.head.sha {
            return Ok(None);
        }
        self.change_differs(&fork.from, &answer.head.sha, path, edit)
            .await
    }

    async fn change_differs(
        &self,
        from: &str,
        to: &str,
        path: &str,
        edit: &Editing<'_>,
    ) -> anyhow::Result<Option<String>> {
        let fork = self.fork(from, to).await?;
        let others: Vec<&str> = fork
            .files
            .iter()
            .map(String::as_str)
            .filter(|file| *file != path)
            .take(5)
            .collect();
        if !others.is_empty() {
            return Ok(Some(format!("it also changes {}", others.join(", "))));
        }
        let before = self.file(path, from).await?;
        let after = self.file(path, to).await?;
        let (Some((before, _)), Some((after, _))) = (before, after) else {
            return Ok(Some(format!("{path} is gone")));
        };
        let wanted = match edit(&before) {
            Ok(edit) => edit.text,
            Err(error) => return Ok(Some(format!("{path} cannot be read any more ({error:#})"))),
        };
        Ok((wanted != after).then(|| lines(&wanted, &after)))
    }

    /// What is known to be missing for a merge, from rulesets, protection, checks
    /// and reviews.
    async fn missing(&self, answer: &Answer, reviews: &[Review]) -> anyhow::Result<Vec<String>> {
        let branch = encode(&self.branch);
        let mut missing = Vec::new();
        let rules: Vec<Rule> = self
            .read(&format!("rules/branches/{branch}?per_page=100"))
            .await?
            .unwrap_or_default();
        let protected: Branch = self
            .read(&format!("branches/{branch}"))
            .await?
            .unwrap_or_default();
        let mut wanted: BTreeSet<String> = protected.contexts().into_iter().collect();
        for rule in rules {
            match rule.kind.as_str() {
                "required_status_checks" => wanted.extend(rule.contexts()),
                "pull_request" => missing.extend(missing_reviews(answer, &rule, reviews)),
                "merge_queue" => missing.push(format!(
                    "{} is merged by its merge queue only: somebody with the right to do so has \
                     to put #{} into the queue, and Refloat waits for it",
                    self.branch, answer.number
                )),
                "required_signatures" => {
                    missing.push("the branch wants signed commits".to_owned());
                }
                "required_deployments" => {
                    missing.push("the branch wants a deployment first".to_owned());
                }
                _ => {}
            }
        }
        if !wanted.is_empty() {
            missing.extend(self.missing_checks(&answer.head.sha, &wanted).await?);
        }
        Ok(missing)
    }

    async fn missing_checks(
        &self,
        head: &str,
        wanted: &BTreeSet<String>,
    ) -> anyhow::Result<Vec<String>> {
        let runs: Runs = self
            .read(&format!("commits/{head}/check-runs?per_page=100"))
            .await?
            .unwrap_or_default();
        // An App that is not allowed to read commit statuses sees check runs only.
        let combined: Combined = self
            .read(&format!("commits/{head}/status?per_page=100"))
            .await
            .ok()
            .flatten()
            .unwrap_or_default();
        let mut missing = Vec::new();
        for name in wanted {
            let run = runs.check_runs.iter().find(|run| run.name == *name);
            let status = combined
                .statuses
                .iter()
                .find(|status| status.context == *name);
            let why = match (run, status) {
                (None, None) => "has not reported",
                (Some(run), _) if run.status != "completed" => "is still running",
                (Some(run), _) => match run.conclusion.as_deref() {
                    Some("success" | "neutral" | "skipped") => continue,
                    _ => "failed",
                },
                (None, Some(status)) => match status.state.as_str() {
                    "success" => continue,
                    "pending" => "is still running",
                    _ => "failed",
                },
            };
            missing.push(format!("the check `{name}` {why}"));
        }
        Ok(missing)
    }
}

fn missing_reviews(answer: &Answer, rule: &Rule, reviews: &[Review]) -> Vec<String> {
    let mut last: Vec<&Review> = Vec::new();
    for review in reviews {
        if review.state != ReviewState::Other {
            last.retain(|other| !other.login.eq_ignore_ascii_case(&review.login));
            last.push(review);
        }
    }
    let mut missing: Vec<String> = last
        .iter()
        .filter(|review| review.state == ReviewState::ChangesRequested)
        .map(|review| format!("{} requested changes", review.login))
        .collect();
    let approvals = last
        .iter()
        .filter(|review| {
            review.state == ReviewState::Approved && review.commit_id == answer.head.sha
        })
        .count();
    let asked = answer.asked();
    let of = if asked.is_empty() {
        String::new()
    } else {
        format!(" (asked: {})", asked.join(", "))
    };
    let needed = rule.parameters.required_approving_review_count;
    if approvals < needed {
        missing.push(format!(
            "{approvals} of {needed} approving reviews on GitHub{of}"
        ));
    } else if rule.parameters.require_code_owner_review && approvals == 0 {
        missing.push(format!("a code owner's review on GitHub{of}"));
    }
    missing
}

/// The lines that differ, in few words.
fn lines(wanted: &str, found: &str) -> String {
    let diff = similar::TextDiff::from_lines(wanted, found);
    let mut text = String::from("against what it was to be, it reads");
    let mut shown = 0;
    for change in diff.iter_all_changes() {
        let sign = match change.tag() {
            similar::ChangeTag::Equal => continue,
            similar::ChangeTag::Delete => '-',
            similar::ChangeTag::Insert => '+',
        };
        shown += 1;
        if shown > SHOWN_LINES {
            text.push_str(" and more");
            break;
        }
        // Writing to a String cannot fail.
        let _ = write!(text, " `{sign} {}`", change.value().trim());
    }
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn differences_are_shown_line_by_line() {
        insta::assert_snapshot!(
            super::lines("a: 1\nselfHeal: false\n", "a: 1\nselfHeal: true\nb: 2\n"),
            @"against what it was to be, it reads `- selfHeal: false` `+ selfHeal: true` `+ b: 2`"
        );
    }
}
