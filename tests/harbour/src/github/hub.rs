//! All of the server's state, and the way into one repository.
//!
//! Invariant: whoever reads or changes a repository holds its lock through a
//! [`Scope`], from the first look until the answer is made. Two simultaneous
//! requests therefore happen one after the other.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Instant;

use anyhow::Context as _;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::MutexGuard;

use super::errors::ApiError;
use super::git::Git;
use super::gitwrite::Person;
use super::state::{
    Account, AccountKind, Accounts, Check, Conclusion, Permission, PullState, RepoState,
    ReviewState, now,
};

#[derive(Debug)]
pub(super) struct Hub {
    /// `http://host:port/api/v3`.
    pub(super) api: String,
    /// `http://host:port`.
    pub(super) html: String,
    pub(super) git_root: PathBuf,
    pub(super) store: Option<PathBuf>,
    pub(super) delay_reads: u32,
    pub(super) rate_limit: u64,
    pub(super) write_burst: Option<usize>,
    pub(super) accounts: RwLock<Accounts>,
    pub(super) repos: RwLock<BTreeMap<String, Arc<Repo>>>,
    pub(super) meters: Mutex<HashMap<String, Meter>>,
    pub(super) hooks: Mutex<Option<super::webhooks::Hooks>>,
    pub(super) apps: Mutex<super::apps::Apps>,
}

/// What one token has used up.
#[derive(Debug)]
pub(super) struct Meter {
    pub(super) used: u64,
    pub(super) reset: i64,
    pub(super) writes: VecDeque<Instant>,
}

#[derive(Debug)]
pub(super) struct Repo {
    pub(super) owner: String,
    pub(super) name: String,
    pub(super) id: u64,
    pub(super) git: Git,
    pub(super) state: tokio::sync::Mutex<RepoState>,
}

/// Somebody at work in one repository, which is theirs alone meanwhile.
#[derive(Debug)]
pub(super) struct Scope<'a> {
    pub(super) hub: &'a Hub,
    pub(super) repo: &'a Repo,
    pub(super) state: MutexGuard<'a, RepoState>,
    pub(super) actor: Account,
    pub(super) permission: Permission,
}

impl Hub {
    pub(super) fn read<T>(&self, act: impl FnOnce(&Accounts) -> T) -> T {
        act(&self.accounts.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes the accounts, and keeps the change.
    pub(super) fn change<T>(&self, act: impl FnOnce(&mut Accounts) -> T) -> anyhow::Result<T> {
        let mut accounts = self
            .accounts
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let made = act(&mut accounts);
        if let Some(store) = &self.store {
            write(&store.join("accounts.json"), &*accounts)?;
        }
        Ok(made)
    }

    pub(super) fn account(&self, login: &str) -> Option<Account> {
        self.read(|accounts| accounts.find(login).cloned())
    }

    pub(super) fn repo(&self, owner: &str, name: &str) -> Option<Arc<Repo>> {
        let repos = self.repos.read().unwrap_or_else(PoisonError::into_inner);
        repos
            .get(&format!("{owner}/{name}").to_ascii_lowercase())
            .cloned()
    }

    /// Opens a repository, which is made if Git has none.
    pub(super) async fn open(&self, owner: &str, name: &str) -> anyhow::Result<Arc<Repo>> {
        if let Some(repo) = self.repo(owner, name) {
            return Ok(repo);
        }
        let dir = self.git_root.join(owner).join(format!("{name}.git"));
        let git = Git::open(dir, "main").await?;
        let mut state: RepoState = match self.file(owner, name) {
            Some(file) => read(&file)?.unwrap_or_default(),
            None => RepoState::default(),
        };
        if state.created.is_empty() {
            state.created = now();
        }
        state.default_branch = git.head_branch().unwrap_or_else(|| "main".to_owned());
        let id = self.change(|accounts| {
            accounts.ensure(owner, AccountKind::Organization);
            let key = (owner.to_owned(), name.to_owned());
            let known = accounts.repositories.iter().position(|known| *known == key);
            let at = known.unwrap_or_else(|| {
                accounts.repositories.push(key);
                accounts.repositories.len() - 1
            });
            5000 + at as u64
        })?;
        let state = tokio::sync::Mutex::new(state);
        let repo = Arc::new(Repo {
            owner: owner.to_owned(),
            name: name.to_owned(),
            id,
            git,
            state,
        });
        let mut repos = self.repos.write().unwrap_or_else(PoisonError::into_inner);
        Ok(repos
            .entry(format!("{owner}/{name}").to_ascii_lowercase())
            .or_insert(repo)
            .clone())
    }

    fn file(&self, owner: &str, name: &str) -> Option<PathBuf> {
        let name = format!("{owner}+{name}.json").to_ascii_lowercase();
        self.store.as_ref().map(|store| store.join(name))
    }

    /// Lets `actor` into a repository; 404 if they may not see it.
    pub(super) async fn enter<'a>(
        &'a self,
        repo: &'a Repo,
        actor: Account,
    ) -> Result<Scope<'a>, ApiError> {
        let state = repo.state.lock().await;
        let mut scope = Scope {
            hub: self,
            repo,
            state,
            permission: Permission::None,
            actor,
        };
        scope.permission = scope.permission_of(&scope.actor.login);
        if scope.permission == Permission::None {
            return Err(ApiError::not_found());
        }
        scope.follow_git().await?;
        Ok(scope)
    }
}

impl Scope<'_> {
    pub(super) fn git(&self) -> &Git {
        &self.repo.git
    }

    pub(super) fn permission_of(&self, login: &str) -> Permission {
        if login.eq_ignore_ascii_case(&self.repo.owner) {
            return Permission::Admin;
        }
        let found = self.state.permissions.get(&login.to_ascii_lowercase());
        found.copied().unwrap_or_default()
    }

    /// 403 unless the actor has at least this permission.
    pub(super) fn need(&self, permission: Permission) -> Result<(), ApiError> {
        if self.permission >= permission {
            return Ok(());
        }
        Err(ApiError::new(
            403,
            match self.actor.kind {
                AccountKind::Bot => "Resource not accessible by integration",
                AccountKind::User | AccountKind::Organization => {
                    "Must have push access to repository"
                }
            },
        ))
    }

    /// How commits of this account are signed.
    pub(super) fn person(&self) -> Person {
        person(&self.actor)
    }

    /// A number that no other thing of any repository has.
    pub(super) fn next_id(&mut self) -> u64 {
        self.state.last_id += 1;
        self.repo.id * 1_000_000 + self.state.last_id
    }

    /// True if protection binds the actor on this branch.
    pub(super) fn bound(&self, branch: &str) -> bool {
        let protection = self.state.protections.get(branch);
        protection.is_some_and(|p| p.enforce_admins || self.permission < Permission::Admin)
    }

    /// Brings the pull requests up to where Git's branches are now, however they moved.
    pub(super) async fn follow_git(&mut self) -> anyhow::Result<()> {
        for at in 0..self.state.pulls.len() {
            if !self.state.pulls[at].is_open() {
                continue;
            }
            let branch = |name: &str| self.git().reference(&format!("refs/heads/{name}"));
            let pull = &self.state.pulls[at];
            let (head, base) = (branch(&pull.head), branch(&pull.base));
            let head_moved = head.as_ref() != Some(&pull.head_sha);
            let base_moved = base.as_ref() != Some(&pull.base_sha);
            if !head_moved && !base_moved {
                self.pass_green_checks(at);
                continue;
            }
            let mut end = None;
            let mut stale = false;
            if let (Some(head), Some(base)) = (&head, &base) {
                if self.git().compare(base, head).await?.ahead.is_empty() {
                    // Pushed into its base by other means, or emptied.
                    end = Some(if base_moved && !head_moved {
                        let by = self.actor.login.clone();
                        PullState::Merged {
                            at: now(),
                            by,
                            commit: base.clone(),
                        }
                    } else {
                        PullState::Closed { at: now() }
                    });
                }
                let protection = self.state.protections.get(&self.state.pulls[at].base);
                stale = head_moved && protection.is_some_and(|p| p.dismiss_stale);
            } else {
                end = Some(PullState::Closed { at: now() });
            }
            let pull = &mut self.state.pulls[at];
            if let Some(head) = head {
                pull.head_sha = head;
            }
            if let (Some(base), None | Some(PullState::Closed { .. })) = (base, &end) {
                pull.base_sha = base;
            }
            if stale {
                for review in &mut pull.reviews {
                    if review.state == ReviewState::Approved {
                        review.state = ReviewState::Dismissed;
                    }
                }
            }
            pull.state = end.unwrap_or(PullState::Open);
            pull.updated = now();
            pull.reads = 0;
            self.pass_green_checks(at);
        }
        Ok(())
    }

    /// Adds the checks that succeed by themselves to a pull request's head.
    pub(super) fn pass_green_checks(&mut self, at: usize) {
        let sha = self.state.pulls[at].head_sha.clone();
        for name in self.state.green_checks.clone() {
            if !self
                .state
                .checks
                .iter()
                .any(|check| check.sha == sha && check.name == name)
            {
                self.add_check(sha.clone(), name, Some(Conclusion::Success));
            }
        }
    }

    pub(super) fn add_check(&mut self, sha: String, name: String, conclusion: Option<Conclusion>) {
        let id = self.next_id();
        let completed = conclusion.map(|_| now());
        self.state.checks.push(Check {
            id,
            sha,
            name,
            conclusion,
            started: now(),
            completed,
        });
    }

    /// Keeps what has changed, where a store was given.
    pub(super) fn save(&self) -> anyhow::Result<()> {
        match self.hub.file(&self.repo.owner, &self.repo.name) {
            Some(file) => write(&file, &*self.state),
            None => Ok(()),
        }
    }
}

/// How an account signs commits.
pub(super) fn person(account: &Account) -> Person {
    Person {
        name: account.login.clone(),
        email: format!("{}+{}@users.noreply.github.com", account.id, account.login),
    }
}

/// Reads a JSON file; `None` if there is none.
pub(super) fn read<T: DeserializeOwned>(file: &Path) -> anyhow::Result<Option<T>> {
    match std::fs::read(file) {
        Ok(bytes) => {
            Ok(Some(serde_json::from_slice(&bytes).with_context(|| {
                format!("{} is damaged", file.display())
            })?))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("{} cannot be read", file.display())),
    }
}

/// Writes a JSON file whole or not at all; leaves it alone if it says the same.
fn write<T: Serialize>(file: &Path, value: &T) -> anyhow::Result<()> {
    let bytes = serde_json::to_vec_pretty(value)?;
    if std::fs::read(file).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    let dir = file.parent().context("a file without folder")?;
    std::fs::create_dir_all(dir)?;
    let mut new = tempfile::NamedTempFile::new_in(dir)?;
    std::io::Write::write_all(&mut new, &bytes)?;
    new.persist(file)?;
    Ok(())
}
