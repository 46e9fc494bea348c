//! The bare Git repositories that Argo CD reads and the world seeds.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, bail};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// A bare repository with the branch `main`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Repository {
    dir: PathBuf,
}

impl Repository {
    /// The repository `<root>/<owner>/<name>.git`, whether or not it exists.
    pub(crate) fn named(root: &Path, owner: &str, name: &str) -> Self {
        Self {
            dir: root.join(owner).join(format!("{name}.git")),
        }
    }

    /// The repository that a URL's last two segments name.
    pub(crate) fn of_url(root: &Path, url: &str) -> Option<Self> {
        let url = url.trim_end_matches('/');
        let mut segments = url.rsplit(['/', ':']);
        let name = segments.next()?;
        let owner = segments.next()?;
        let name = name.strip_suffix(".git").unwrap_or(name);
        let plain = |part: &str| !part.is_empty() && !part.starts_with('.');
        (plain(owner) && plain(name)).then(|| Self::named(root, owner, name))
    }

    /// Creates the repository, empty, unless it exists.
    pub(crate) async fn create(&self) -> anyhow::Result<()> {
        if self.dir.join("HEAD").exists() {
            return Ok(());
        }
        tokio::fs::create_dir_all(&self.dir).await?;
        self.git(&["init", "--quiet", "--bare", "--initial-branch=main"], "")
            .await?;
        Ok(())
    }

    /// The commit that a revision names now: `HEAD` (or nothing) is `main`, and
    /// a commit names itself. Costs no more than reading a small file.
    pub(crate) fn resolve(&self, revision: &str) -> Option<String> {
        if revision.len() == 40 && revision.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Some(revision.to_owned());
        }
        let branch = match revision {
            "" | "HEAD" => "main",
            branch => branch.strip_prefix("refs/heads/").unwrap_or(branch),
        };
        if branch
            .split('/')
            .any(|part| part.is_empty() || part == "..")
        {
            return None;
        }
        let reference = format!("refs/heads/{branch}");
        if let Ok(commit) = std::fs::read_to_string(self.dir.join(&reference)) {
            return Some(commit.trim().to_owned()).filter(|commit| !commit.is_empty());
        }
        let packed = std::fs::read_to_string(self.dir.join("packed-refs")).ok()?;
        let mut lines = packed.lines().filter_map(|line| line.split_once(' '));
        lines
            .find(|(_, name)| *name == reference)
            .map(|(commit, _)| commit.to_owned())
    }

    /// The files below a folder at a commit, by their whole path. An empty
    /// folder name is the whole tree; what is not UTF-8 is left out.
    pub(crate) async fn files(
        &self,
        commit: &str,
        folder: &str,
    ) -> anyhow::Result<BTreeMap<String, String>> {
        let folder = folder.trim_matches('/');
        let mut args = vec!["ls-tree", "-r", "-z", commit];
        if !folder.is_empty() && folder != "." {
            args.extend(["--", folder]);
        }
        let listing = String::from_utf8(self.git(&args, "").await?)?;
        let mut paths = Vec::new();
        let mut wanted = String::new();
        for entry in listing.split_terminator('\0') {
            let (about, path) = entry.split_once('\t').context("an entry without a path")?;
            let mut about = about.split(' ');
            if let (Some(_), Some("blob"), Some(hash)) = (about.next(), about.next(), about.next())
            {
                paths.push(path);
                wanted.push_str(hash);
                wanted.push('\n');
            }
        }
        if paths.is_empty() {
            return Ok(BTreeMap::new());
        }
        let blobs = self.git(&["cat-file", "--batch"], &wanted).await?;
        let mut rest = blobs.as_slice();
        let mut files = BTreeMap::new();
        for path in paths {
            let end = rest.iter().position(|byte| *byte == b'\n');
            let (head, tail) = rest.split_at(end.context("a blob without a header")?);
            let head = std::str::from_utf8(head)?;
            let size = head.rsplit(' ').next().unwrap_or_default();
            let size: usize = size.parse().with_context(|| format!("header {head:?}"))?;
            let (blob, after) = tail[1..]
                .split_at_checked(size)
                .context("a blob cut short")?;
            rest = after.get(1..).unwrap_or_default();
            if let Ok(text) = std::str::from_utf8(blob) {
                files.insert(path.to_owned(), text.to_owned());
            }
        }
        Ok(files)
    }

    /// Commits to `main` what becomes of each path: its new text, or `None` for
    /// its removal. Returns the commit. Fails if `main` moves meanwhile.
    pub(crate) async fn commit(
        &self,
        message: &str,
        changes: &[(String, Option<String>)],
    ) -> anyhow::Result<String> {
        use std::fmt::Write;
        let mut stream = String::new();
        writeln!(stream, "commit refs/heads/main")?;
        writeln!(stream, "committer Harbour <harbour@example.com> now")?;
        writeln!(stream, "data {}\n{message}", message.len())?;
        if let Some(parent) = self.resolve("HEAD") {
            writeln!(stream, "from {parent}")?;
        }
        for (path, text) in changes {
            match text {
                Some(text) => writeln!(
                    stream,
                    "M 100644 inline {path}\ndata {}\n{text}",
                    text.len()
                )?,
                None => writeln!(stream, "D {path}")?,
            }
        }
        self.git(&["fast-import", "--quiet", "--date-format=now"], &stream)
            .await?;
        self.resolve("HEAD")
            .context("main is missing after a commit")
    }

    async fn git(&self, args: &[&str], input: &str) -> anyhow::Result<Vec<u8>> {
        let mut child = Command::new("git")
            .arg("--git-dir")
            .arg(&self.dir)
            .args(args)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("git cannot be started")?;
        let stdin = child.stdin.take();
        let feed = async {
            if let Some(mut stdin) = stdin {
                // What a broken pipe means, git says itself.
                let _ = stdin.write_all(input.as_bytes()).await;
            }
        };
        let ((), output) = tokio::join!(feed, child.wait_with_output());
        let output = output?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            bail!(
                "git {} in {}: {}",
                args.join(" "),
                self.dir.display(),
                said.trim()
            );
        }
        Ok(output.stdout)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn commits_can_be_read_back() -> anyhow::Result<()> {
        let root = tempfile::tempdir()?;
        let repository = Repository::of_url(root.path(), "https://git.example.com/a/b.git")
            .context("a repository")?;
        repository.create().await?;
        assert_eq!(repository.resolve("HEAD"), None);
        let text = |text: &str| Some(text.to_owned());
        let first = [
            ("dev/web/app.yaml".to_owned(), text("a: 1\n")),
            ("dev/db/app.yaml".to_owned(), text("b: æ")),
        ];
        let before = repository.commit("First", &first).await?;
        let second = [("dev/db/app.yaml".to_owned(), None)];
        let after = repository.commit("Second", &second).await?;
        assert_eq!(repository.resolve("main").as_ref(), Some(&after));
        assert_ne!(before, after);
        assert_eq!(repository.files(&before, "").await?.len(), 2);
        let db = repository.files(&before, "dev/db").await?;
        assert_eq!(db["dev/db/app.yaml"], "b: æ");
        assert!(repository.files(&after, "/dev/db/").await?.is_empty());
        Ok(())
    }

    #[test]
    fn a_url_names_its_last_two_segments() {
        let root = Path::new("root");
        let named = Some(Repository::named(root, "a", "b"));
        for url in ["https://x/a/b.git", "https://x/a/b/", "git@x:a/b.git"] {
            assert_eq!(Repository::of_url(root, url), named, "{url}");
        }
        assert_eq!(Repository::of_url(root, "https://x/../b"), None);
    }
}
