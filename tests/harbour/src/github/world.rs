//! Building the world, acting as a person, and looking at what came of it.
//!
//! What people do here runs through the same code as over HTTP, and is refused
//! for the same reasons.

use std::sync::Arc;

use anyhow::Context as _;

use super::errors::ApiError;
use super::gitwrite::{Change, Person};
use super::hub::{Hub, Repo, Scope, person};
use super::issues::add_comment;
use super::merge::{self, Merge, MergeMethod};
use super::pulls;
use super::reviews::{self, ReviewEvent};
use super::server::Server;
use super::state::{Account, AccountKind, Conclusion, Permission, Protection, Team, now};
use super::views::{PullView, view};

impl Server {
    /// Makes (or opens) the repository `<git_root>/<owner>/<repo>.git`, with
    /// the branch `main`. Its owner becomes an organization, unless it is a user.
    pub async fn create_repository(&self, owner: &str, repo: &str) -> anyhow::Result<()> {
        self.hub.open(owner, repo).await.map(|_| ())
    }

    /// Adds a person who signs in with `token`; adds the token to one who is known.
    pub fn add_user(&self, login: &str, token: &str) -> anyhow::Result<()> {
        self.add_account(login, token, AccountKind::User)
    }

    /// Adds an app's bot, by convention `<name>[bot]`.
    pub fn add_bot(&self, login: &str, token: &str) -> anyhow::Result<()> {
        self.add_account(login, token, AccountKind::Bot)
    }

    fn add_account(&self, login: &str, token: &str, kind: AccountKind) -> anyhow::Result<()> {
        self.hub.change(|accounts| {
            accounts.ensure(login, kind);
            accounts
                .tokens
                .insert(token.to_owned(), login.to_ascii_lowercase());
        })
    }

    /// Makes a team, or gives it other members; they are members of the organization.
    pub fn add_team(&self, org: &str, slug: &str, members: &[&str]) -> anyhow::Result<()> {
        self.hub.change(|accounts| {
            accounts.ensure(org, AccountKind::Organization);
            let members = members.iter().map(|member| (*member).to_owned()).collect();
            if let Some(team) = accounts
                .teams
                .iter_mut()
                .find(|team| team.org == org && team.slug == slug)
            {
                team.members = members;
                return;
            }
            let id = 3000 + accounts.teams.len() as u64;
            accounts.teams.push(Team {
                org: org.to_owned(),
                slug: slug.to_owned(),
                id,
                created: now(),
                members,
            });
        })
    }

    fn find(&self, owner: &str, repo: &str) -> anyhow::Result<Arc<Repo>> {
        self.hub
            .repo(owner, repo)
            .with_context(|| format!("there is no repository {owner}/{repo}"))
    }

    /// Says what somebody may do in a repository; nobody else but its owner sees it.
    pub async fn set_permission(
        &self,
        owner: &str,
        repo: &str,
        login: &str,
        permission: Permission,
    ) -> anyhow::Result<()> {
        self.as_owner(owner, repo, async |at| {
            at.state
                .permissions
                .insert(login.to_ascii_lowercase(), permission);
            Ok(())
        })
        .await
    }

    /// Protects a branch.
    pub async fn protect(
        &self,
        owner: &str,
        repo: &str,
        branch: &str,
        protection: Protection,
    ) -> anyhow::Result<()> {
        self.as_owner(owner, repo, async |at| {
            at.state.protections.insert(branch.to_owned(), protection);
            Ok(())
        })
        .await
    }

    /// Adds a check run to a commit; without conclusion it still runs.
    pub async fn set_check(
        &self,
        owner: &str,
        repo: &str,
        sha: &str,
        name: &str,
        conclusion: Option<Conclusion>,
    ) -> anyhow::Result<()> {
        self.as_owner(owner, repo, async |at| {
            at.add_check(sha.to_owned(), name.to_owned(), conclusion);
            Ok(())
        })
        .await
    }

    /// From here on, these checks succeed at once on each head of a pull request.
    pub async fn always_green(
        &self,
        owner: &str,
        repo: &str,
        names: &[&str],
    ) -> anyhow::Result<()> {
        self.as_owner(owner, repo, async |at| {
            at.state.green_checks = names.iter().map(|name| (*name).to_owned()).collect();
            at.follow_git().await
        })
        .await
    }

    /// Commits files on a branch, past all protection; `None` deletes. A branch
    /// that is not there begins at the default branch. `author` is a login or a
    /// name. Gives the commit's id.
    pub async fn commit_files(
        &self,
        owner: &str,
        repo: &str,
        branch: &str,
        message: &str,
        author: &str,
        files: &[(&str, Option<&[u8]>)],
    ) -> anyhow::Result<String> {
        self.as_owner(owner, repo, async |at| {
            let name = format!("refs/heads/{branch}");
            let tip = at.git().reference(&name);
            let trunk = at
                .git()
                .reference(&format!("refs/heads/{}", at.state.default_branch));
            let parent = tip.or(trunk);
            let mut changes: Vec<Change> = Vec::new();
            for (path, content) in files {
                let old = match &parent {
                    Some(parent) => at.git().entry(parent, path).await?,
                    None => None,
                };
                let mode = old
                    .and_then(|old| u32::from_str_radix(&old.mode, 8).ok())
                    .unwrap_or(0o100_644);
                changes.push((
                    (*path).to_owned(),
                    content.map(|bytes| (mode, bytes.to_vec())),
                ));
            }
            let by = signature(at.hub, author);
            let made = at
                .git()
                .commit_changes(&name, parent.as_deref(), message, (&by, &by), &changes)
                .await?;
            at.follow_git().await?;
            made.with_context(|| format!("{branch} moved meanwhile"))
        })
        .await
    }

    /// Somebody with push access commits files on a branch, as `git push` would
    /// bring them: refused without write access, or if the branch is protected.
    pub async fn push_to(
        &self,
        owner: &str,
        repo: &str,
        branch: &str,
        login: &str,
        message: &str,
        files: &[(&str, Option<&[u8]>)],
    ) -> Result<String, ApiError> {
        self.as_person(owner, repo, login, async |at| {
            at.need(Permission::Write)?;
            super::protection::refuse_push(at, branch, 422)
        })
        .await?;
        Ok(self
            .commit_files(owner, repo, branch, message, login, files)
            .await?)
    }

    /// Deletes a branch; its pull requests are closed.
    pub async fn delete_branch(&self, owner: &str, repo: &str, branch: &str) -> anyhow::Result<()> {
        self.as_owner(owner, repo, async |at| {
            let name = format!("refs/heads/{branch}");
            let tip = at
                .git()
                .reference(&name)
                .with_context(|| format!("there is no branch {branch}"))?;
            at.git().update_ref(&name, None, Some(&tip)).await?;
            at.follow_git().await
        })
        .await
    }

    /// A file's bytes at a branch, tag or commit; `None` if there is none.
    pub async fn read_file(
        &self,
        owner: &str,
        repo: &str,
        rev: &str,
        path: &str,
    ) -> anyhow::Result<Option<Vec<u8>>> {
        let repo = self.find(owner, repo)?;
        let Some(commit) = repo.git.resolve(rev).await? else {
            return Ok(None);
        };
        let object = repo.git.object(&format!("{commit}:{path}")).await?;
        Ok(object
            .filter(|object| object.kind == "blob")
            .map(|object| object.data))
    }

    /// The commit that a branch, tag or abbreviated id means.
    pub async fn resolve(
        &self,
        owner: &str,
        repo: &str,
        rev: &str,
    ) -> anyhow::Result<Option<String>> {
        self.find(owner, repo)?.git.resolve(rev).await
    }

    /// All pull requests, the oldest first.
    pub async fn pulls(&self, owner: &str, repo: &str) -> anyhow::Result<Vec<PullView>> {
        self.as_owner(owner, repo, async |at| {
            // Seen as somebody whom protection binds.
            at.permission = Permission::Write;
            let mut views = Vec::new();
            for pull in &at.state.pulls {
                let blocked_by = if pull.is_open() {
                    super::protection::blockers(at, pull).await?
                } else {
                    Vec::new()
                };
                views.push(view(at, pull, blocked_by));
            }
            Ok(views)
        })
        .await
    }

    /// Reviews as `login`; `commit_id` absent means the present head. Gives the review's id.
    pub async fn review(
        &self,
        owner: &str,
        repo: &str,
        number: u64,
        login: &str,
        event: ReviewEvent,
        commit_id: Option<&str>,
    ) -> Result<u64, ApiError> {
        self.as_person(owner, repo, login, async |at| {
            let body = match event {
                ReviewEvent::Approve => String::new(),
                ReviewEvent::RequestChanges => "Please change this.".to_owned(),
                ReviewEvent::Comment => "Seen.".to_owned(),
            };
            reviews::add(at, number, Some(event), commit_id.map(str::to_owned), body).await
        })
        .await
    }

    /// Comments as `login`.
    pub async fn comment_as(
        &self,
        owner: &str,
        repo: &str,
        number: u64,
        login: &str,
        body: &str,
    ) -> Result<u64, ApiError> {
        self.as_person(owner, repo, login, async |at| {
            Ok(add_comment(at, number, body.to_owned())?.id)
        })
        .await
    }

    /// Merges as `login`; gives the commit that the base then points at.
    pub async fn merge_as(
        &self,
        owner: &str,
        repo: &str,
        number: u64,
        login: &str,
        method: MergeMethod,
    ) -> Result<String, ApiError> {
        self.as_person(owner, repo, login, async |at| {
            let order = Merge {
                method: Some(method),
                ..Merge::default()
            };
            merge::perform(at, number, order).await
        })
        .await
    }

    /// Closes a pull request as `login`, without merging.
    pub async fn close_as(
        &self,
        owner: &str,
        repo: &str,
        number: u64,
        login: &str,
    ) -> Result<(), ApiError> {
        self.set_state(owner, repo, number, login, "closed").await
    }

    /// Opens a closed pull request again as `login`.
    pub async fn reopen_as(
        &self,
        owner: &str,
        repo: &str,
        number: u64,
        login: &str,
    ) -> Result<(), ApiError> {
        self.set_state(owner, repo, number, login, "open").await
    }

    /// Writes a pull request's body anew, or points it at another base, as `login`.
    pub async fn edit_as(
        &self,
        owner: &str,
        repo: &str,
        number: u64,
        login: &str,
        body: Option<&str>,
        base: Option<&str>,
    ) -> Result<(), ApiError> {
        self.as_person(owner, repo, login, async |at| {
            let change = pulls::Change {
                body: body.map(str::to_owned),
                base: base.map(str::to_owned),
                ..pulls::Change::default()
            };
            pulls::change(at, number, change).await
        })
        .await
    }

    async fn set_state(
        &self,
        owner: &str,
        repo: &str,
        number: u64,
        login: &str,
        state: &str,
    ) -> Result<(), ApiError> {
        self.as_person(owner, repo, login, async |at| {
            let change = pulls::Change {
                state: Some(state.to_owned()),
                ..pulls::Change::default()
            };
            pulls::change(at, number, change).await
        })
        .await
    }

    async fn as_person<T>(
        &self,
        owner: &str,
        repo: &str,
        login: &str,
        act: impl AsyncFnOnce(&mut Scope<'_>) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        let repo = self.hub.repo(owner, repo).ok_or_else(ApiError::not_found)?;
        let actor = self
            .hub
            .account(login)
            .ok_or_else(|| ApiError::new(401, "Bad credentials"))?;
        let mut at = self.hub.enter(&repo, actor).await?;
        let done = act(&mut at).await;
        at.save()?;
        at.announce().await?;
        done
    }

    /// For building the world: with all rights.
    async fn as_owner<T>(
        &self,
        owner: &str,
        repo: &str,
        act: impl AsyncFnOnce(&mut Scope<'_>) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let repo = self.find(owner, repo)?;
        let actor = self
            .hub
            .account(&repo.owner)
            .context("a repository without owner")?;
        let mut at = self.hub.enter(&repo, actor).await?;
        let done = act(&mut at).await;
        at.save()?;
        at.announce().await?;
        done
    }
}

/// How a login, or else a plain name, signs commits.
fn signature(hub: &Hub, author: &str) -> Person {
    let known: Option<Account> = hub.account(author);
    known.map_or_else(
        || Person {
            name: author.to_owned(),
            email: format!("{}@example.com", author.to_lowercase().replace(' ', ".")),
        },
        |account| person(&account),
    )
}
