//! A bare repository, read and written with Git itself.
//!
//! Refs are read from their files and objects through one `git cat-file` that
//! stays open, so that reading starts no process. What follows from two commits
//! (their merge, their distance, their difference) never changes and is
//! remembered.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, bail, ensure};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::objects::{Commit, Object, TreeEntry};

/// Who writes a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Person {
    pub(super) name: String,
    pub(super) email: String,
}

/// One file of a commit to write; `None` deletes it.
pub(super) type Change = (String, Option<(u32, Vec<u8>)>);

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

/// A bare repository.
#[derive(Debug)]
pub(super) struct Git {
    dir: PathBuf,
    reader: tokio::sync::Mutex<Option<Reader>>,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    merges: HashMap<(String, String), MergeOutcome>,
    comparisons: HashMap<(String, String), Comparison>,
    changes: HashMap<(String, String), Vec<FileChange>>,
}

#[derive(Debug)]
struct Reader {
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    // Dropping it ends the process.
    _child: Child,
}

/// A `git` that reads nobody's configuration.
fn command(dir: &Path) -> Command {
    let mut command = Command::new("git");
    command
        .arg("--git-dir")
        .arg(dir)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("LC_ALL", "C")
        .env_remove("GIT_DIR")
        .env_remove("GIT_WORK_TREE")
        .env_remove("GIT_INDEX_FILE")
        .kill_on_drop(true);
    command
}

impl Git {
    /// Opens the repository at `dir`, which is made if it is not there.
    pub(super) async fn open(dir: PathBuf, default_branch: &str) -> anyhow::Result<Self> {
        if !dir.join("HEAD").exists() {
            tokio::fs::create_dir_all(&dir).await?;
            let made = Command::new("git")
                .args([
                    "init",
                    "--quiet",
                    "--bare",
                    "--template=",
                    "--initial-branch",
                ])
                .arg(default_branch)
                .arg(&dir)
                .env("GIT_CONFIG_GLOBAL", "/dev/null")
                .env("GIT_CONFIG_NOSYSTEM", "1")
                .env_remove("GIT_DIR")
                .output()
                .await
                .context("git cannot be run")?;
            ensure!(
                made.status.success(),
                "git init: {}",
                String::from_utf8_lossy(&made.stderr)
            );
        }
        Ok(Self {
            dir,
            reader: tokio::sync::Mutex::new(None),
            known: Mutex::default(),
        })
    }

    fn known<T>(&self, act: impl FnOnce(&mut Known) -> T) -> T {
        act(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Runs `git`; gives its exit code and output.
    async fn try_run(
        &self,
        args: &[&str],
        env: &[(&str, &str)],
        input: &[u8],
    ) -> anyhow::Result<(i32, Vec<u8>, String)> {
        let mut child = command(&self.dir)
            .args(args)
            .envs(env.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("git cannot be run")?;
        let mut stdin = child.stdin.take().context("git has no input")?;
        let write = async move {
            // A git that ends early says why itself.
            let _ = stdin.write_all(input).await;
            drop(stdin);
        };
        let ((), output) = tokio::join!(write, child.wait_with_output());
        let output = output?;
        let code = output.status.code().unwrap_or(-1);
        Ok((
            code,
            output.stdout,
            String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        ))
    }

    async fn run(
        &self,
        args: &[&str],
        env: &[(&str, &str)],
        input: &[u8],
    ) -> anyhow::Result<String> {
        let (code, output, error) = self.try_run(args, env, input).await?;
        ensure!(
            code == 0,
            "git {} failed: {error}",
            args.first().unwrap_or(&"")
        );
        Ok(String::from_utf8_lossy(&output).trim_end().to_owned())
    }

    /// The object that `spec` (an id, or an expression such as `<commit>:<path>`) names.
    pub(super) async fn object(&self, spec: &str) -> anyhow::Result<Option<Object>> {
        if spec.contains(['\n', '\0']) {
            return Ok(None);
        }
        let mut held = self.reader.lock().await;
        // While in use the reader is out of its place: if this call is dropped
        // halfway, its unread answer goes with it.
        let mut reader = match held.take() {
            Some(reader) => reader,
            None => self.start_reader()?,
        };
        reader
            .input
            .write_all(format!("{spec}\n").as_bytes())
            .await?;
        let mut head = String::new();
        reader.output.read_line(&mut head).await?;
        let fields: Vec<&str> = head.trim_end().rsplitn(3, ' ').collect();
        let found = match fields.as_slice() {
            [size, kind, id] if size.bytes().all(|b| b.is_ascii_digit()) && !size.is_empty() => {
                let size: usize = size.parse()?;
                let mut data = vec![0; size + 1];
                reader.output.read_exact(&mut data).await?;
                data.pop();
                Some(Object {
                    id: (*id).to_owned(),
                    kind: (*kind).to_owned(),
                    data,
                })
            }
            ["missing" | "ambiguous", ..] => None,
            _ => bail!("git cat-file says {head:?}"),
        };
        *held = Some(reader);
        Ok(found)
    }

    fn start_reader(&self) -> anyhow::Result<Reader> {
        let mut child = command(&self.dir)
            .args(["cat-file", "--batch"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("git cannot be run")?;
        let input = child.stdin.take().context("git has no input")?;
        let output = BufReader::new(child.stdout.take().context("git has no output")?);
        Ok(Reader {
            input,
            output,
            _child: child,
        })
    }

    /// The commit with this full id.
    pub(super) async fn commit(&self, id: &str) -> anyhow::Result<Option<Commit>> {
        if !is_id(id) {
            return Ok(None);
        }
        match self.object(id).await? {
            Some(object) if object.kind == "commit" => Ok(Some(Commit::read(&object)?)),
            _ => Ok(None),
        }
    }

    /// The entries of a tree, given by its id or that of a commit.
    pub(super) async fn tree(&self, id: &str) -> anyhow::Result<Option<(String, Vec<TreeEntry>)>> {
        if !is_id(id) {
            return Ok(None);
        }
        match self.object(&format!("{id}^{{tree}}")).await? {
            Some(object) if object.kind == "tree" => Ok(Some((
                object.id.clone(),
                TreeEntry::read_all(&object.data)?,
            ))),
            _ => Ok(None),
        }
    }

    /// Where a path leads in a commit: its entry, or `None`.
    pub(super) async fn entry(
        &self,
        commit: &str,
        path: &str,
    ) -> anyhow::Result<Option<TreeEntry>> {
        let Some((id, mut entries)) = self.tree(commit).await? else {
            return Ok(None);
        };
        let mut here = TreeEntry {
            mode: "040000".to_owned(),
            name: String::new(),
            id,
        };
        for name in path.split('/').filter(|name| !name.is_empty()) {
            let Some(next) = entries.into_iter().find(|entry| entry.name == name) else {
                return Ok(None);
            };
            entries = match next.kind() {
                "tree" => self
                    .tree(&next.id)
                    .await?
                    .map(|(_, entries)| entries)
                    .unwrap_or_default(),
                _ => Vec::new(),
            };
            here = next;
        }
        Ok(Some(here))
    }

    /// Where a full ref name points, read from its file.
    pub(super) fn reference(&self, name: &str) -> Option<String> {
        if !is_ref_name(name) {
            return None;
        }
        if let Ok(text) = std::fs::read_to_string(self.dir.join(name)) {
            return Some(text.trim().to_owned()).filter(|id| is_id(id));
        }
        // Packing writes the packed file before it removes the loose one.
        self.packed().remove(name)
    }

    fn packed(&self) -> HashMap<String, String> {
        let text = std::fs::read_to_string(self.dir.join("packed-refs")).unwrap_or_default();
        text.lines()
            .filter_map(|line| line.split_once(' '))
            .filter(|(id, _)| is_id(id))
            .map(|(id, name)| (name.to_owned(), id.to_owned()))
            .collect()
    }

    /// All refs that begin with `prefix` (such as `refs/heads/`), by name.
    pub(super) fn references(&self, prefix: &str) -> Vec<(String, String)> {
        fn walk(dir: &Path, name: &str, found: &mut Vec<(String, String)>) {
            for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
                let path = entry.path();
                let name = format!("{name}/{}", entry.file_name().to_string_lossy());
                if path.is_dir() {
                    walk(&path, &name, found);
                } else if let Ok(text) = std::fs::read_to_string(&path) {
                    found.push((name, text.trim().to_owned()));
                }
            }
        }
        let mut loose = Vec::new();
        walk(&self.dir.join("refs"), "refs", &mut loose);
        let mut all = self.packed();
        all.extend(loose);
        let mut all: Vec<_> = all
            .into_iter()
            .filter(|(name, id)| name.starts_with(prefix) && is_id(id))
            .collect();
        all.sort();
        all
    }

    /// The commit that a branch, a tag, a ref without `refs/`, or an id means.
    pub(super) async fn resolve(&self, rev: &str) -> anyhow::Result<Option<String>> {
        let named = ["refs/heads/", "refs/tags/", "refs/"]
            .iter()
            .find_map(|prefix| self.reference(&format!("{prefix}{rev}")));
        let named = named.or_else(|| (rev == "HEAD").then(|| rev.to_owned()));
        let hex = (7..=40).contains(&rev.len()) && rev.bytes().all(|b| b.is_ascii_hexdigit());
        let Some(rev) = named.or_else(|| hex.then(|| rev.to_owned())) else {
            return Ok(None);
        };
        let object = self.object(&format!("{rev}^{{commit}}")).await?;
        Ok(object.map(|object| object.id))
    }

    /// Moves, makes (`old` absent) or deletes (`new` absent) a ref, if it
    /// still is where `old` says. False: it is not.
    pub(super) async fn update_ref(
        &self,
        name: &str,
        new: Option<&str>,
        old: Option<&str>,
    ) -> anyhow::Result<bool> {
        const NONE: &str = "0000000000000000000000000000000000000000";
        let args = match new {
            Some(new) => vec!["update-ref", name, new, old.unwrap_or(NONE)],
            None => vec!["update-ref", "-d", name, old.unwrap_or(NONE)],
        };
        let (code, _, error) = self.try_run(&args, &[], b"").await?;
        if code != 0 {
            tracing::debug!(name, error, "ref not updated");
        }
        Ok(code == 0)
    }

    /// Writes a commit of `changes` on top of `parent` and moves `branch` (a full
    /// ref) there. `None`: the branch has moved meanwhile.
    pub(super) async fn commit_changes(
        &self,
        branch: &str,
        parent: Option<&str>,
        message: &str,
        (author, committer): (&Person, &Person),
        changes: &[Change],
    ) -> anyhow::Result<Option<String>> {
        let now = jiff::Timestamp::now().as_second();
        let mut input = Vec::new();
        let mut line = |text: &str| input.extend_from_slice(format!("{text}\n").as_bytes());
        line("feature done");
        line(&format!("commit {branch}"));
        line("mark :1");
        line(&format!(
            "author {} <{}> {now} +0000",
            clean(&author.name),
            clean(&author.email)
        ));
        line(&format!(
            "committer {} <{}> {now} +0000",
            clean(&committer.name),
            clean(&committer.email)
        ));
        line(&format!("data {}", message.len()));
        line(message);
        if let Some(parent) = parent {
            line(&format!("from {parent}"));
        }
        for (path, content) in changes {
            let path = path
                .replace('\\', "\\\\")
                .replace('"', "\\\"")
                .replace('\n', "\\n");
            match content {
                Some((mode, bytes)) => {
                    input.extend_from_slice(
                        format!("M {mode:06o} inline \"{path}\"\ndata {}\n", bytes.len())
                            .as_bytes(),
                    );
                    input.extend_from_slice(bytes);
                    input.push(b'\n');
                }
                None => input.extend_from_slice(format!("D \"{path}\"\n").as_bytes()),
            }
        }
        input.extend_from_slice(b"get-mark :1\ndone\n");
        let (code, output, error) = self
            .try_run(&["fast-import", "--quiet"], &[], &input)
            .await?;
        let id = String::from_utf8_lossy(&output).trim().to_owned();
        if code != 0 {
            ensure!(
                error.contains("Not updating"),
                "git fast-import failed: {error}"
            );
            return Ok(None);
        }
        ensure!(is_id(&id), "git fast-import says {id:?}");
        Ok(Some(id))
    }

    /// Writes an object of the given kind from its bytes; gives its id.
    pub(super) async fn write_object(&self, kind: &str, data: &[u8]) -> anyhow::Result<String> {
        self.run(&["hash-object", "-w", "--stdin", "-t", kind], &[], data)
            .await
    }

    /// Writes a tree: `base` (if any) with entries replaced; an entry without
    /// id is removed.
    pub(super) async fn write_tree(
        &self,
        base: Option<&str>,
        entries: &[(String, String, Option<String>)],
    ) -> anyhow::Result<String> {
        let index = tempfile::Builder::new().prefix("index").tempdir()?;
        let index = index.path().join("index");
        let env = [(
            "GIT_INDEX_FILE",
            index.to_str().context("a path is not text")?,
        )];
        if let Some(base) = base {
            self.run(&["read-tree", base], &env, b"").await?;
        }
        let mut input = String::new();
        let mut subtrees = Vec::new();
        for (mode, path, id) in entries {
            match id {
                Some(id) if mode == "040000" => subtrees.push((path, id)),
                Some(id) => input += &format!("{mode} {id}\t{path}\0"),
                None => input += &format!("0 {}\t{path}\0", "0".repeat(40)),
            }
        }
        self.run(
            &["update-index", "-z", "--index-info"],
            &env,
            input.as_bytes(),
        )
        .await?;
        for (path, id) in subtrees {
            self.run(
                &["rm", "-r", "-q", "--cached", "--ignore-unmatch", "--", path],
                &env,
                b"",
            )
            .await
            .ok();
            self.run(&["read-tree", &format!("--prefix={path}/"), id], &env, b"")
                .await?;
        }
        self.run(&["write-tree"], &env, b"").await
    }

    /// Writes a commit; dates in Git's own form, or now.
    pub(super) async fn commit_tree(
        &self,
        tree: &str,
        parents: &[&str],
        message: &str,
        (author, author_date): (&Person, Option<&str>),
        committer: &Person,
    ) -> anyhow::Result<String> {
        let mut args = vec!["commit-tree", tree];
        for parent in parents {
            args.extend(["-p", parent]);
        }
        let (name, email) = (clean(&author.name), clean(&author.email));
        let (by, by_email) = (clean(&committer.name), clean(&committer.email));
        let mut env = vec![
            ("GIT_AUTHOR_NAME", name.as_str()),
            ("GIT_AUTHOR_EMAIL", email.as_str()),
            ("GIT_COMMITTER_NAME", by.as_str()),
            ("GIT_COMMITTER_EMAIL", by_email.as_str()),
        ];
        env.extend(author_date.map(|date| ("GIT_AUTHOR_DATE", date)));
        self.run(&args, &env, message.as_bytes()).await
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

    /// The name of the default branch, by `HEAD`.
    pub(super) fn head_branch(&self) -> Option<String> {
        let text = std::fs::read_to_string(self.dir.join("HEAD")).ok()?;
        Some(text.trim().strip_prefix("ref: refs/heads/")?.to_owned())
    }
}

/// Git's own limits on the characters of a name in a commit.
fn clean(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_control() && !matches!(c, '<' | '>'))
        .collect()
}

/// True for a full object id.
pub(super) fn is_id(text: &str) -> bool {
    text.len() == 40
        && text
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// True for a name that `git check-ref-format` accepts below `refs/`.
pub(super) fn is_ref_name(name: &str) -> bool {
    let bad = |c: char| c.is_control() || " ~^:?*[\\".contains(c);
    name.starts_with("refs/")
        && !name.contains("..")
        && !name.contains("@{")
        && !name.ends_with('.')
        && !name.contains(bad)
        && name.split('/').count() >= 2
        && name.split('/').all(|part| {
            !part.is_empty()
                && !part.starts_with('.')
                && !Path::new(part).extension().is_some_and(|end| end == "lock")
        })
}
