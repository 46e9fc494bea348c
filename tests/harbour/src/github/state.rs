//! What GitHub knows beside Git: accounts, pull requests, reviews, comments, checks.
//!
//! These are facts; whether a pull request can be merged is derived from them
//! and from Git on each request.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// What an account is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum AccountKind {
    User,
    Bot,
    Organization,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Account {
    pub(super) login: String,
    pub(super) id: u64,
    pub(super) kind: AccountKind,
    pub(super) created: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Team {
    pub(super) org: String,
    pub(super) slug: String,
    pub(super) id: u64,
    pub(super) created: String,
    pub(super) members: Vec<String>,
}

/// Everybody, by login in lower case; tokens lead to a login in lower case.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Accounts {
    pub(super) people: BTreeMap<String, Account>,
    pub(super) tokens: BTreeMap<String, String>,
    pub(super) teams: Vec<Team>,
    pub(super) repositories: Vec<(String, String)>,
}

impl Accounts {
    pub(super) fn find(&self, login: &str) -> Option<&Account> {
        self.people.get(&login.to_ascii_lowercase())
    }

    pub(super) fn team(&self, org: &str, slug: &str) -> Option<&Team> {
        self.teams
            .iter()
            .find(|team| team.org.eq_ignore_ascii_case(org) && team.slug.eq_ignore_ascii_case(slug))
    }

    pub(super) fn is_member(&self, org: &str, login: &str) -> bool {
        self.teams
            .iter()
            .filter(|team| team.org.eq_ignore_ascii_case(org))
            .any(|team| {
                team.members
                    .iter()
                    .any(|member| member.eq_ignore_ascii_case(login))
            })
    }

    /// Makes an account, unless the login is taken; gives it.
    pub(super) fn ensure(&mut self, login: &str, kind: AccountKind) -> &Account {
        let id = 1000 + self.people.len() as u64;
        self.people
            .entry(login.to_ascii_lowercase())
            .or_insert_with(|| Account {
                login: login.to_owned(),
                id,
                kind,
                created: now(),
            })
    }
}

/// What an account may do in a repository; each includes those before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Permission {
    /// The repository cannot be seen.
    #[default]
    None,
    Read,
    Triage,
    Write,
    Maintain,
    Admin,
}

/// What protects a branch. The default protects it from deletion, force
/// pushes and direct pushes, and asks for nothing else.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "the switches of GitHub's own page"
)]
pub struct Protection {
    /// How many accounts with write access must approve.
    pub required_approvals: u32,
    /// True if a push to the head takes approvals away.
    pub dismiss_stale: bool,
    /// True if the owners named in `CODEOWNERS` must approve what they own.
    pub code_owners: bool,
    /// Names of check runs, or contexts of statuses, that must be good.
    pub required_checks: Vec<String>,
    /// True if the head must contain the base's newest commit.
    pub strict: bool,
    /// True if administrators are bound too.
    pub enforce_admins: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum PullState {
    Open,
    Closed {
        at: String,
    },
    Merged {
        at: String,
        by: String,
        commit: String,
    },
}

/// Where a review stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ReviewState {
    Approved,
    ChangesRequested,
    Commented,
    Dismissed,
    /// Begun and not submitted; only its author sees it.
    Pending,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Review {
    pub(super) id: u64,
    pub(super) user: String,
    pub(super) body: String,
    pub(super) state: ReviewState,
    pub(super) commit: String,
    pub(super) submitted: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Pull {
    pub(super) number: u64,
    pub(super) id: u64,
    pub(super) title: String,
    pub(super) body: Option<String>,
    pub(super) draft: bool,
    pub(super) author: String,
    pub(super) head: String,
    pub(super) base: String,
    /// Where head and base were when last looked at, or when it was closed.
    pub(super) head_sha: String,
    pub(super) base_sha: String,
    pub(super) state: PullState,
    pub(super) created: String,
    pub(super) updated: String,
    pub(super) reviews: Vec<Review>,
    pub(super) reviewers: BTreeSet<String>,
    pub(super) review_teams: BTreeSet<String>,
    pub(super) labels: Vec<String>,
    /// How often it was read since its commits last changed.
    #[serde(skip)]
    pub(super) reads: u32,
}

impl Pull {
    pub(super) fn is_open(&self) -> bool {
        self.state == PullState::Open
    }

    /// Each reviewer's last word that counts.
    pub(super) fn verdicts(&self) -> BTreeMap<&str, ReviewState> {
        let mut verdicts = BTreeMap::new();
        for review in &self.reviews {
            match review.state {
                ReviewState::Approved | ReviewState::ChangesRequested | ReviewState::Dismissed => {
                    verdicts.insert(review.user.as_str(), review.state);
                }
                ReviewState::Commented | ReviewState::Pending => {}
            }
        }
        verdicts
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Comment {
    pub(super) id: u64,
    pub(super) issue: u64,
    pub(super) user: String,
    pub(super) body: String,
    pub(super) created: String,
    pub(super) updated: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Label {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) color: String,
    pub(super) description: String,
}

/// How a check run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Conclusion {
    Success,
    Failure,
    Neutral,
    Cancelled,
    Skipped,
    TimedOut,
    ActionRequired,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Check {
    pub(super) id: u64,
    pub(super) sha: String,
    pub(super) name: String,
    /// `None`: it still runs.
    pub(super) conclusion: Option<Conclusion>,
    pub(super) started: String,
    pub(super) completed: Option<String>,
}

/// What a commit status says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum StatusState {
    Error,
    Failure,
    Pending,
    Success,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Status {
    pub(super) id: u64,
    pub(super) sha: String,
    pub(super) state: StatusState,
    pub(super) context: String,
    pub(super) description: Option<String>,
    pub(super) target_url: Option<String>,
    pub(super) creator: String,
    pub(super) created: String,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct RepoState {
    pub(super) created: String,
    pub(super) default_branch: String,
    pub(super) permissions: BTreeMap<String, Permission>,
    pub(super) protections: BTreeMap<String, Protection>,
    pub(super) pulls: Vec<Pull>,
    pub(super) comments: Vec<Comment>,
    pub(super) labels: Vec<Label>,
    pub(super) checks: Vec<Check>,
    pub(super) statuses: Vec<Status>,
    /// Checks that succeed by themselves on each head of a pull request.
    pub(super) green_checks: Vec<String>,
    /// The number that the last made thing in this repository has.
    pub(super) last_id: u64,
}

impl RepoState {
    pub(super) fn pull(&self, number: u64) -> Option<&Pull> {
        self.pulls.iter().find(|pull| pull.number == number)
    }

    pub(super) fn pull_mut(&mut self, number: u64) -> Option<&mut Pull> {
        self.pulls.iter_mut().find(|pull| pull.number == number)
    }
}

/// The present second, as the API writes it.
pub(super) fn now() -> String {
    let now = jiff::Timestamp::now().as_second();
    jiff::Timestamp::from_second(now)
        .unwrap_or_default()
        .to_string()
}
