//! `github:` - the repository of the orders, and as whom Refloat signs in there.

use std::time::Duration;

use super::reader::Section;
use crate::effects::github::Credentials;

#[derive(Clone, Debug)]
pub struct Github {
    /// The REST API's address, such as `https://ghe.example.com/api/v3`.
    pub api: String,
    pub owner: String,
    pub repository: String,
    pub branch: String,
    /// Glob of the order files in the repository.
    pub orders: String,
    pub credentials: Credentials,
    pub merge_method: MergeMethod,
    /// Put on each pull request.
    pub labels: Vec<String>,
    /// Logins whose review is asked for.
    pub reviewers: Vec<String>,
    /// Slugs of teams whose review is asked for.
    pub review_teams: Vec<String>,
    /// `approval.team`: the organization and the slug of the team whose members'
    /// approvals count.
    pub team: Option<(String, String)>,
    pub timeout: Duration,
    /// The least time between two requests that write.
    pub write_gap: Duration,
    /// How old an answer may be that several open pull requests share: half a poll.
    pub share_reads: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MergeMethod {
    Merge,
    Squash,
    Rebase,
}

impl MergeMethod {
    /// As the API calls it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Merge => "merge",
            Self::Squash => "squash",
            Self::Rebase => "rebase",
        }
    }
}

pub(super) fn github(section: &mut Section) -> Github {
    let api = section.string("api").or("https://api.github.com");
    if !(api.starts_with("https://") || api.starts_with("http://")) {
        section.fault(
            "api",
            "write an address that begins with https://".to_owned(),
        );
    }
    let full = section.string("repository").required().unwrap_or_default();
    let named = pair(&full);
    if named.is_none() && !full.is_empty() {
        section.fault(
            "repository",
            format!("{full} is not owner/name, such as platform/infra-ocp4-tenants"),
        );
    }
    let (owner, repository) = named.unwrap_or_default();
    let orders = section
        .string("orders")
        .or("application-definitions/wave-*/*-tenant.yaml");
    if let Err(error) = globset::Glob::new(&orders) {
        section.fault("orders", format!("this is not a glob: {error}"));
    }
    let merge_method = match section.string("mergeMethod").or("merge").as_str() {
        "merge" => MergeMethod::Merge,
        "squash" => MergeMethod::Squash,
        "rebase" => MergeMethod::Rebase,
        other => {
            section.fault(
                "mergeMethod",
                format!("{other} is not one of merge, squash, rebase"),
            );
            MergeMethod::Merge
        }
    };
    let mut reviewers = Vec::new();
    let mut review_teams = Vec::new();
    for name in section.strings("reviewers").unwrap_or_default() {
        match pair(&name) {
            Some((org, slug)) if org.eq_ignore_ascii_case(&owner) => review_teams.push(slug),
            None if !name.contains('/') => reviewers.push(name),
            _ => section.fault(
                "reviewers",
                format!(
                    "{name} is neither a login nor a team of {owner}, such as {owner}/platform"
                ),
            ),
        }
    }
    Github {
        api,
        owner,
        repository,
        branch: section.string("branch").or("main"),
        orders,
        credentials: credentials(section),
        merge_method,
        labels: section.strings("labels").unwrap_or_default(),
        reviewers,
        review_teams,
        team: None,
        timeout: section.duration("timeout", "10s").unsigned_abs(),
        write_gap: section.pause("writeGap", "1s"),
        share_reads: Duration::ZERO,
    }
}

fn credentials(section: &mut Section) -> Credentials {
    let mut app = section.section("app");
    let id = app.string("id").optional();
    if let Some(id) = id {
        let id = id.parse().unwrap_or_else(|_| {
            app.fault(
                "id",
                format!("{id} is not the App's number, such as 123456"),
            );
            0
        });
        let key = app.secret_source("privateKey", "privateKeyFile", "privateKeyEnv");
        section.absorb(app);
        for other in ["tokenFile", "tokenEnv"] {
            if section.string(other).optional().is_some() {
                section.fault(other, "give either app or a token".to_owned());
            }
        }
        return Credentials::App { id, key };
    }
    section.absorb(app);
    Credentials::Token(section.secret_source("token", "tokenFile", "tokenEnv"))
}

/// `owner/name`, in its two parts.
pub(super) fn pair(text: &str) -> Option<(String, String)> {
    text.split_once('/')
        .filter(|(one, other)| !one.is_empty() && !other.is_empty() && !other.contains('/'))
        .map(|(one, other)| (one.to_owned(), other.to_owned()))
}
