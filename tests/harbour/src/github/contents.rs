//! Files and folders: reading, and writing through commits.

use serde::Deserialize;
use serde_json::{Value, json};

use super::errors::ApiError;
use super::gitdata::{Signer, base64_lines, from_base64, show_commit};
use super::hub::Scope;
use super::objects::TreeEntry;
use super::protection;
use super::reply::{Ask, Reply, encode};
use super::shapes::{repo_html, repo_url};
use super::state::Permission;

/// True for a path that a commit may hold.
pub(super) fn is_path(path: &str) -> bool {
    !path.contains('\0')
        && path
            .split('/')
            .all(|part| !matches!(part, "" | "." | "..") && !part.eq_ignore_ascii_case(".git"))
}

fn show(at: &Scope<'_>, rev: &str, path: &str, entry: &TreeEntry, size: usize) -> Value {
    let (url, html) = (repo_url(at.hub, at.repo), repo_html(at.hub, at.repo));
    let address = encode(path);
    let (kind, folder, objects) = match entry.mode.as_str() {
        "040000" => ("dir", "tree", "trees"),
        "160000" => ("submodule", "tree", "trees"),
        "120000" => ("symlink", "blob", "blobs"),
        _ => ("file", "blob", "blobs"),
    };
    let own = format!("{url}/contents/{address}?ref={}", encode(rev));
    let git = format!("{url}/git/{objects}/{}", entry.id);
    let page = format!("{html}/{folder}/{}/{address}", encode(rev));
    json!({
        "name": path.rsplit('/').next(),
        "path": path,
        "sha": entry.id,
        "size": size,
        "url": own,
        "html_url": page,
        "git_url": git,
        "download_url": (folder == "blob").then(|| format!("{html}/raw/{}/{address}", encode(rev))),
        "type": kind,
        "_links": {"self": own, "git": git, "html": page},
    })
}

/// `GET contents/{path}`: a file with its content, or a folder's entries.
pub(super) async fn get(at: &Scope<'_>, path: &str, ask: &Ask) -> Result<Reply, ApiError> {
    let path = path.trim_matches('/');
    let rev = ask.get("ref").unwrap_or(&at.state.default_branch);
    let Some(commit) = at.git().resolve(rev).await? else {
        return Err(ApiError::new(
            404,
            format!("No commit found for the ref {rev}"),
        ));
    };
    let entry = at
        .git()
        .entry(&commit, path)
        .await?
        .ok_or_else(ApiError::not_found)?;
    if entry.kind() == "tree" {
        let mut rows = Vec::new();
        for entry in at
            .git()
            .tree(&entry.id)
            .await?
            .map(|(_, entries)| entries)
            .unwrap_or_default()
        {
            let below = if path.is_empty() {
                entry.name.clone()
            } else {
                format!("{path}/{}", entry.name)
            };
            let size = match entry.kind() {
                "blob" => at
                    .git()
                    .object(&entry.id)
                    .await?
                    .map_or(0, |blob| blob.data.len()),
                _ => 0,
            };
            rows.push(show(at, rev, &below, &entry, size));
        }
        return Ok(Reply::json(200, Value::Array(rows)));
    }
    let blob = at
        .git()
        .object(&entry.id)
        .await?
        .ok_or_else(ApiError::not_found)?;
    if ask.raw {
        return Ok(Reply::raw(blob.data));
    }
    let mut value = show(at, rev, path, &entry, blob.data.len());
    value["content"] = json!(base64_lines(&blob.data));
    value["encoding"] = json!("base64");
    Ok(Reply::json(200, value))
}

#[derive(Deserialize)]
struct Put {
    message: String,
    content: String,
    sha: Option<String>,
    branch: Option<String>,
    author: Option<Signer>,
    committer: Option<Signer>,
}

/// `PUT contents/{path}`: makes or replaces a file in a commit of its own.
pub(super) async fn put(at: &mut Scope<'_>, path: &str, ask: &Ask) -> Result<Reply, ApiError> {
    let Put {
        message,
        content,
        sha,
        branch,
        author,
        committer,
    } = ask.json()?;
    let bytes =
        from_base64(&content).ok_or_else(|| ApiError::new(422, "content is not valid Base64"))?;
    let write = Write {
        path,
        message,
        sha,
        branch,
        author,
        committer,
    };
    write.commit(at, Some(bytes)).await
}

#[derive(Deserialize)]
struct Delete {
    message: String,
    sha: String,
    branch: Option<String>,
    author: Option<Signer>,
    committer: Option<Signer>,
}

/// `DELETE contents/{path}`.
pub(super) async fn delete(at: &mut Scope<'_>, path: &str, ask: &Ask) -> Result<Reply, ApiError> {
    let Delete {
        message,
        sha,
        branch,
        author,
        committer,
    } = ask.json()?;
    let write = Write {
        path,
        message,
        sha: Some(sha),
        branch,
        author,
        committer,
    };
    write.commit(at, None).await
}

struct Write<'a> {
    path: &'a str,
    message: String,
    sha: Option<String>,
    branch: Option<String>,
    author: Option<Signer>,
    committer: Option<Signer>,
}

impl Write<'_> {
    async fn commit(self, at: &mut Scope<'_>, bytes: Option<Vec<u8>>) -> Result<Reply, ApiError> {
        at.need(Permission::Write)?;
        let path = self.path;
        if !is_path(path) {
            return Err(ApiError::new(
                422,
                "path contains a malformed path component",
            ));
        }
        let branch = self
            .branch
            .as_deref()
            .unwrap_or(&at.state.default_branch)
            .to_owned();
        let name = format!("refs/heads/{branch}");
        let tip = at.git().reference(&name);
        // An empty repository gets its first commit on its default branch.
        let fresh =
            branch == at.state.default_branch && at.git().references("refs/heads/").is_empty();
        if tip.is_none() && !fresh {
            return Err(ApiError::new(404, format!("Branch {branch} not found")));
        }
        protection::refuse_push(at, &branch, 409)?;
        let old = match &tip {
            Some(tip) => at.git().entry(tip, path).await?,
            None => None,
        };
        match (&old, &self.sha) {
            (Some(old), _) if old.kind() != "blob" => {
                return Err(ApiError::new(422, format!("{path} is not a file")));
            }
            (Some(_), None) => {
                return Err(ApiError::new(
                    422,
                    "Invalid request.\n\n\"sha\" wasn't supplied.",
                ));
            }
            (None, _) if bytes.is_none() => return Err(ApiError::not_found()),
            (old, Some(sha)) if old.as_ref().map(|old| &old.id) != Some(sha) => {
                return Err(ApiError::new(409, format!("{path} does not match {sha}")));
            }
            (Some(_), Some(_)) | (None, _) => {}
        }
        let mode = old
            .as_ref()
            .and_then(|old| u32::from_str_radix(&old.mode, 8).ok())
            .unwrap_or(0o100_644);
        let size = bytes.as_ref().map(Vec::len);
        let own = at.person();
        let through = self
            .committer
            .as_ref()
            .map_or_else(|| own.clone(), Signer::person);
        let by = match (&self.author, &self.committer) {
            (Some(author), _) => author.person(),
            (None, Some(committer)) => committer.person(),
            (None, None) => own,
        };
        let change = [(path.to_owned(), bytes.map(|bytes| (mode, bytes)))];
        let signed = (&by, &through);
        let written = at
            .git()
            .commit_changes(&name, tip.as_deref(), &self.message, signed, &change)
            .await?;
        let Some(id) = written else {
            let now = at.git().reference(&name).unwrap_or_default();
            let expected = tip.unwrap_or_default();
            return Err(ApiError::new(
                409,
                format!("is at {now} but expected {expected}"),
            ));
        };
        at.follow_git().await?;
        let commit = at
            .git()
            .commit(&id)
            .await?
            .ok_or_else(ApiError::not_found)?;
        let content = match (size, at.git().entry(&id, path).await?) {
            (Some(size), Some(entry)) => show(at, &branch, path, &entry, size),
            _ => Value::Null,
        };
        let status = if size.is_some() && old.is_none() {
            201
        } else {
            200
        };
        Ok(Reply::json(
            status,
            json!({"content": content, "commit": show_commit(at, &commit)}),
        ))
    }
}
