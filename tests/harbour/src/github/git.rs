//! A bare repository, read and written with Git itself.
//!
//! Refs are read from their files and objects through one `git cat-file` that
//! stays open, so that reading starts no process. What follows from two commits
//! (their merge, their distance, their difference) never changes and is
//! remembered. Writing is in `gitwrite`, what follows from commits in `gitfacts`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Mutex;

use anyhow::{Context as _, bail, ensure};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::gitfacts::Known;
use super::objects::{Commit, Object, TreeEntry};

/// A bare repository.
#[derive(Debug)]
pub(super) struct Git {
    dir: PathBuf,
    reader: tokio::sync::Mutex<Option<Reader>>,
    pub(super) known: Mutex<Known>,
}

#[derive(Debug)]
struct Reader {
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    // Dropping it ends the process.
    _child: Child,
}

/// A `git` that reads nobody's configuration.
pub(super) fn plain() -> Command {
    let mut command = Command::new("git");
    command
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("LC_ALL", "C")
        .env_remove("GIT_DIR")
        .env_remove("GIT_WORK_TREE")
        .env_remove("GIT_INDEX_FILE")
        .env_remove("GIT_PROTOCOL")
        .kill_on_drop(true);
    command
}

/// The same in a repository.
fn command(dir: &Path) -> Command {
    let mut command = plain();
    command.arg("--git-dir").arg(dir);
    command
}

impl Git {
    /// Opens the repository at `dir`, which is made if it is not there.
    pub(super) async fn open(dir: PathBuf, default_branch: &str) -> anyhow::Result<Self> {
        if !dir.join("HEAD").exists() {
            tokio::fs::create_dir_all(&dir).await?;
            let made = plain()
                .args([
                    "init",
                    "--quiet",
                    "--bare",
                    "--template=",
                    "--initial-branch",
                ])
                .arg(default_branch)
                .arg(&dir)
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

    /// Runs `git`; gives its exit code and output.
    pub(super) async fn try_run(
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

    pub(super) async fn run(
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
        let mut place = self.reader.lock().await;
        // While in use the reader is out of its place: if this call is dropped
        // halfway, its unread answer goes with it.
        let mut reader = match place.take() {
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
        *place = Some(reader);
        Ok(found)
    }

    /// The object with this full id.
    pub(super) async fn by_id(&self, id: &str) -> anyhow::Result<Option<Object>> {
        if is_id(id) {
            self.object(id).await
        } else {
            Ok(None)
        }
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
        match self.by_id(id).await? {
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

    /// The name of the default branch, by `HEAD`.
    pub(super) fn head_branch(&self) -> Option<String> {
        let text = std::fs::read_to_string(self.dir.join("HEAD")).ok()?;
        Some(text.trim().strip_prefix("ref: refs/heads/")?.to_owned())
    }
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
                && Path::new(part).extension().is_none_or(|end| end != "lock")
        })
}
