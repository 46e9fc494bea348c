//! Writing to a repository: objects, commits and refs.

use anyhow::{Context as _, ensure};

use super::git::{Git, is_id};

/// The id of nothing.
const NONE: &str = "0000000000000000000000000000000000000000";

/// Who writes a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Person {
    pub(super) name: String,
    pub(super) email: String,
}

/// One file of a commit to write; `None` deletes it.
pub(super) type Change = (String, Option<(u32, Vec<u8>)>);

impl Git {
    /// Moves, makes (`old` absent) or deletes (`new` absent) a ref, if it
    /// still is where `old` says. False: it is not.
    pub(super) async fn update_ref(
        &self,
        name: &str,
        new: Option<&str>,
        old: Option<&str>,
    ) -> anyhow::Result<bool> {
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
                Some(id) => input.extend([mode, " ", id, "\t", path, "\0"]),
                None => input.extend(["0 ", NONE, "\t", path, "\0"]),
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
}

/// Git's own limits on the characters of a name in a commit.
fn clean(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_control() && !matches!(c, '<' | '>'))
        .collect()
}
