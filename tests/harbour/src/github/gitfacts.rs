//! What follows from two commits: their merge, their distance, their difference.
//! It never changes, so that it is worked out once.

use std::collections::HashMap;
use std::sync::PoisonError;

use anyhow::{bail, ensure};

use super::git::{Git, is_id};
use super::gitwrite::Person;

/// How a merge of two commits would end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum MergeOutcome {
    /// The tree of the merge, and a commit that holds it.
    Clean {
        tree: String,
        commit: String,
    },
    Conflict,
}

/// How two commits stand to each other.
#[derive(Clone, Debug, Default)]
pub(super) struct Comparison {
    /// `None`: they have no common ancestor.
    pub(super) merge_base: Option<String>,
    pub(super) behind: usize,
    /// The commits that only the second has, the oldest first.
    pub(super) ahead: Vec<String>,
}

/// A file that differs between two commits.
#[derive(Clone, Debug, Default)]
pub(super) struct FileChange {
    pub(super) status: &'static str,
    pub(super) path: String,
    pub(super) previous: Option<String>,
    pub(super) sha: Option<String>,
    pub(super) additions: u64,
    pub(super) deletions: u64,
    pub(super) patch: Option<String>,
}

#[derive(Debug, Default)]
pub(super) struct Known {
    merges: HashMap<(String, String), MergeOutcome>,
    comparisons: HashMap<(String, String), Comparison>,
    changes: HashMap<(String, String), Vec<FileChange>>,
}

impl Git {
    fn known<T>(&self, act: impl FnOnce(&mut Known) -> T) -> T {
        act(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The tree of a merge of two commits, or `None` where they conflict.
    pub(super) async fn merge_tree(
        &self,
        ours: &str,
        theirs: &str,
    ) -> anyhow::Result<Option<String>> {
        let args = ["merge-tree", "--write-tree", "--no-messages", ours, theirs];
        let (code, output, error) = self.try_run(&args, &[], b"").await?;
        match code {
            0 => Ok(Some(String::from_utf8_lossy(&output).trim().to_owned())),
            1 => Ok(None),
            _ if error.contains("unrelated histories") => Ok(None),
            _ => bail!("git merge-tree failed: {error}"),
        }
    }

    /// How merging `head` into `base` would end.
    pub(super) async fn merge(&self, base: &str, head: &str) -> anyhow::Result<MergeOutcome> {
        let key = (base.to_owned(), head.to_owned());
        if let Some(known) = self.known(|known| known.merges.get(&key).cloned()) {
            return Ok(known);
        }
        let outcome = match self.merge_tree(base, head).await? {
            None => MergeOutcome::Conflict,
            Some(tree) => {
                let robot = Person {
                    name: "GitHub".into(),
                    email: "noreply@github.com".into(),
                };
                let message = format!("Merge {head} into {base}");
                let commit = self
                    .commit_tree(&tree, &[base, head], &message, (&robot, None), &robot)
                    .await?;
                MergeOutcome::Clean { tree, commit }
            }
        };
        self.known(|known| known.merges.insert(key, outcome.clone()));
        Ok(outcome)
    }

    /// How `head` stands to `base`.
    pub(super) async fn compare(&self, base: &str, head: &str) -> anyhow::Result<Comparison> {
        if base == head {
            return Ok(Comparison {
                merge_base: Some(base.to_owned()),
                ..Comparison::default()
            });
        }
        let key = (base.to_owned(), head.to_owned());
        if let Some(known) = self.known(|known| known.comparisons.get(&key).cloned()) {
            return Ok(known);
        }
        let range = format!("{base}...{head}");
        let list = [
            "rev-list",
            "--left-right",
            "--topo-order",
            "--reverse",
            &range,
        ];
        let ancestor = ["merge-base", base, head];
        let (list, ancestor) =
            tokio::join!(self.run(&list, &[], b""), self.try_run(&ancestor, &[], b""));
        let (code, ancestor, error) = ancestor?;
        ensure!(code == 0 || code == 1, "git merge-base failed: {error}");
        let ancestor = String::from_utf8_lossy(&ancestor).trim().to_owned();
        let list = list?;
        let comparison = Comparison {
            merge_base: Some(ancestor).filter(|id| is_id(id)),
            behind: list.lines().filter(|line| line.starts_with('<')).count(),
            ahead: list
                .lines()
                .filter_map(|line| line.strip_prefix('>'))
                .map(str::to_owned)
                .collect(),
        };
        self.known(|known| known.comparisons.insert(key, comparison.clone()));
        Ok(comparison)
    }

    /// The files that differ between two commits (or trees).
    pub(super) async fn changes(&self, from: &str, to: &str) -> anyhow::Result<Vec<FileChange>> {
        let key = (from.to_owned(), to.to_owned());
        if let Some(known) = self.known(|known| known.changes.get(&key).cloned()) {
            return Ok(known);
        }
        let common = ["diff-tree", "-r", "-M", "--no-commit-id"];
        let lists = [
            &common[..],
            &["-z", "--raw", "--numstat", "--abbrev=40", from, to],
        ]
        .concat();
        let patches = [&common[..], &["-p", from, to]].concat();
        let (lists, patches) =
            tokio::join!(self.run(&lists, &[], b""), self.run(&patches, &[], b""));
        let changes = super::objects::read_changes(&lists?, &patches?);
        self.known(|known| known.changes.insert(key, changes.clone()));
        Ok(changes)
    }

    /// The commits reachable from `tip`, the newest first, that touch `path` if one is given.
    pub(super) async fn log(&self, tip: &str, path: Option<&str>) -> anyhow::Result<Vec<String>> {
        let mut args = vec!["rev-list", tip, "--"];
        args.extend(path);
        Ok(self
            .run(&args, &[], b"")
            .await?
            .lines()
            .map(str::to_owned)
            .collect())
    }
}
