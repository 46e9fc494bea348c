//! Git's objects over the API: blobs, trees and commits.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};

use super::errors::ApiError;
use super::gitwrite::Person;
use super::hub::Scope;
use super::objects::{Commit, TreeEntry};
use super::reply::{Ask, Reply};
use super::shapes::{repo_html, repo_url, signature, unsigned};
use super::state::Permission;

/// Base64 in lines, as GitHub writes it.
pub(super) fn base64_lines(bytes: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(bytes);
    let mut lines = String::with_capacity(text.len() + text.len() / 60 + 1);
    for line in text.as_bytes().chunks(60) {
        lines.push_str(&String::from_utf8_lossy(line));
        lines.push('\n');
    }
    lines
}

/// Reads Base64 that may hold line ends.
pub(super) fn from_base64(text: &str) -> Option<Vec<u8>> {
    let packed: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    BASE64_STANDARD.decode(packed).ok()
}

/// `GET git/blobs/{sha}`.
pub(super) async fn blob(at: &Scope<'_>, sha: &str, ask: &Ask) -> Result<Reply, ApiError> {
    let found = at.git().by_id(sha).await?;
    let object = found
        .filter(|object| object.kind == "blob")
        .ok_or_else(ApiError::not_found)?;
    if ask.raw {
        return Ok(Reply::raw(object.data));
    }
    Ok(Reply::json(
        200,
        json!({
            "sha": sha,
            "node_id": format!("B_{}_{sha}", at.repo.id),
            "size": object.data.len(),
            "url": format!("{}/git/blobs/{sha}", repo_url(at.hub, at.repo)),
            "content": base64_lines(&object.data),
            "encoding": "base64",
        }),
    ))
}

#[derive(Deserialize)]
struct NewBlob {
    content: String,
    encoding: Option<String>,
}

/// `POST git/blobs`.
pub(super) async fn create_blob(at: &Scope<'_>, ask: &Ask) -> Result<Reply, ApiError> {
    at.need(Permission::Write)?;
    let NewBlob { content, encoding } = ask.json()?;
    let bytes = match encoding.as_deref() {
        None | Some("utf-8") => content.into_bytes(),
        Some("base64") => from_base64(&content)
            .ok_or_else(|| ApiError::new(422, "content is not valid Base64"))?,
        Some(_) => return Err(ApiError::invalid("Blob", "encoding", "invalid")),
    };
    let sha = at.git().write_object("blob", &bytes).await?;
    let url = format!("{}/git/blobs/{sha}", repo_url(at.hub, at.repo));
    Ok(Reply::json(201, json!({"sha": sha, "url": url})))
}

/// `GET git/trees/{sha}`: by id or ref; with `recursive`, everything below.
pub(super) async fn tree(at: &Scope<'_>, rev: &str, ask: &Ask) -> Result<Reply, ApiError> {
    let id = match at.git().resolve(rev).await? {
        Some(commit) => commit,
        None => rev.to_owned(),
    };
    let (id, _) = at.git().tree(&id).await?.ok_or_else(ApiError::not_found)?;
    let recursive = ask.query.iter().any(|(key, _)| key == "recursive");
    Ok(Reply::json(200, show_tree(at, &id, recursive).await?))
}

async fn show_tree(at: &Scope<'_>, id: &str, recursive: bool) -> Result<Value, ApiError> {
    let url = repo_url(at.hub, at.repo);
    let mut rows = Vec::new();
    // Depth first, in Git's order: what is next stands last.
    let mut next: Vec<(String, TreeEntry)> = Vec::new();
    let push = |next: &mut Vec<(String, TreeEntry)>, prefix: &str, entries: Vec<TreeEntry>| {
        next.extend(
            entries
                .into_iter()
                .rev()
                .map(|entry| (format!("{prefix}{}", entry.name), entry)),
        );
    };
    let entries = at
        .git()
        .tree(id)
        .await?
        .map(|(_, entries)| entries)
        .unwrap_or_default();
    push(&mut next, "", entries);
    while let Some((path, entry)) = next.pop() {
        let kind = entry.kind();
        let mut row = json!({"path": path, "mode": entry.mode, "type": kind, "sha": entry.id});
        if kind != "commit" {
            row["url"] = json!(format!("{url}/git/{kind}s/{}", entry.id));
        }
        if kind == "blob" {
            row["size"] = json!(
                at.git()
                    .object(&entry.id)
                    .await?
                    .map_or(0, |blob| blob.data.len())
            );
        }
        rows.push(row);
        if recursive && kind == "tree" {
            let below = at
                .git()
                .tree(&entry.id)
                .await?
                .map(|(_, below)| below)
                .unwrap_or_default();
            push(&mut next, &format!("{path}/"), below);
        }
    }
    Ok(json!({"sha": id, "url": format!("{url}/git/trees/{id}"), "tree": rows, "truncated": false}))
}

#[derive(Deserialize)]
struct NewTree {
    tree: Vec<NewEntry>,
    base_tree: Option<String>,
}

#[derive(Deserialize)]
struct NewEntry {
    path: String,
    #[serde(default = "plain_file")]
    mode: String,
    #[serde(default)]
    sha: Sha,
    content: Option<String>,
}

fn plain_file() -> String {
    "100644".to_owned()
}

/// The id of an entry: null deletes it, absent means that its content is given.
#[derive(Default)]
enum Sha {
    #[default]
    Absent,
    Null,
    Id(String),
}

impl<'de> Deserialize<'de> for Sha {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Ok(Option::deserialize(from)?.map_or(Self::Null, Self::Id))
    }
}

/// `POST git/trees`.
pub(super) async fn create_tree(at: &Scope<'_>, ask: &Ask) -> Result<Reply, ApiError> {
    at.need(Permission::Write)?;
    let NewTree { tree, base_tree } = ask.json()?;
    if let Some(base) = &base_tree
        && at.git().tree(base).await?.is_none()
    {
        return Err(ApiError::new(422, "base_tree is not a valid tree oid"));
    }
    let mut entries = Vec::new();
    for NewEntry {
        path,
        mode,
        sha,
        content,
    } in tree
    {
        let kind = match mode.as_str() {
            "100644" | "100755" | "120000" => "blob",
            "040000" => "tree",
            "160000" => "commit",
            _ => return Err(ApiError::invalid("Tree", "mode", "invalid")),
        };
        if !super::contents::is_path(&path) {
            return Err(ApiError::new(
                422,
                "tree.path contains a malformed path component",
            ));
        }
        let id = match (sha, content) {
            (Sha::Id(id), None) => {
                let found = at.git().by_id(&id).await?;
                let known = kind == "commit" || found.is_some_and(|object| object.kind == kind);
                if !known {
                    return Err(ApiError::new(
                        422,
                        format!("tree.sha {id} is not a valid {kind}"),
                    ));
                }
                Some(id)
            }
            (Sha::Null, None) => None,
            (Sha::Absent, Some(content)) => {
                Some(at.git().write_object("blob", content.as_bytes()).await?)
            }
            (Sha::Id(_) | Sha::Null, Some(_)) | (Sha::Absent, None) => {
                return Err(ApiError::new(
                    422,
                    "Must supply either tree.sha or tree.content.",
                ));
            }
        };
        entries.push((mode, path, id));
    }
    let id = at.git().write_tree(base_tree.as_deref(), &entries).await?;
    Ok(Reply::json(201, show_tree(at, &id, false).await?))
}

/// `GET git/commits/{sha}`.
pub(super) async fn commit(at: &Scope<'_>, sha: &str) -> Result<Reply, ApiError> {
    let commit = at
        .git()
        .commit(sha)
        .await?
        .ok_or_else(ApiError::not_found)?;
    Ok(Reply::json(200, show_commit(at, &commit)))
}

/// A commit as Git has it: `git-commit`.
pub(super) fn show_commit(at: &Scope<'_>, commit: &Commit) -> Value {
    let (url, html) = (repo_url(at.hub, at.repo), repo_html(at.hub, at.repo));
    let parents: Vec<Value> = commit
        .parents
        .iter()
        .map(|id| {
            json!({
                "sha": id,
                "url": format!("{url}/git/commits/{id}"),
                "html_url": format!("{html}/commit/{id}"),
            })
        })
        .collect();
    json!({
        "sha": commit.id,
        "node_id": format!("C_{}_{}", at.repo.id, commit.id),
        "url": format!("{url}/git/commits/{}", commit.id),
        "html_url": format!("{html}/commit/{}", commit.id),
        "author": signature(&commit.author),
        "committer": signature(&commit.committer),
        "message": commit.message,
        "tree": {"sha": commit.tree, "url": format!("{url}/git/trees/{}", commit.tree)},
        "parents": parents,
        "verification": unsigned(),
    })
}

/// Who and when, as requests name it.
#[derive(Deserialize)]
pub(super) struct Signer {
    pub(super) name: String,
    pub(super) email: String,
    pub(super) date: Option<String>,
}

impl Signer {
    pub(super) fn person(&self) -> Person {
        Person {
            name: self.name.clone(),
            email: self.email.clone(),
        }
    }
}

#[derive(Deserialize)]
struct NewCommit {
    message: String,
    tree: String,
    #[serde(default)]
    parents: Vec<String>,
    author: Option<Signer>,
    committer: Option<Signer>,
}

/// `POST git/commits`.
pub(super) async fn create_commit(at: &Scope<'_>, ask: &Ask) -> Result<Reply, ApiError> {
    at.need(Permission::Write)?;
    let NewCommit {
        message,
        tree,
        parents,
        author,
        committer,
    } = ask.json()?;
    let is_tree = at
        .git()
        .tree(&tree)
        .await?
        .is_some_and(|(id, _)| id == tree);
    if !is_tree {
        return Err(ApiError::new(422, "Tree SHA does not exist"));
    }
    for parent in &parents {
        if at.git().commit(parent).await?.is_none() {
            return Err(ApiError::new(
                422,
                "Parent SHA does not exist or is not a commit object",
            ));
        }
    }
    let own = at.person();
    let by = author.as_ref().map_or_else(|| own.clone(), Signer::person);
    let through = committer
        .as_ref()
        .map_or_else(|| by.clone(), Signer::person);
    let date = author.as_ref().and_then(|author| author.date.as_deref());
    let parents: Vec<&str> = parents.iter().map(String::as_str).collect();
    let id = at
        .git()
        .commit_tree(&tree, &parents, &message, (&by, date), &through)
        .await?;
    let commit = at
        .git()
        .commit(&id)
        .await?
        .ok_or_else(ApiError::not_found)?;
    Ok(Reply::json(201, show_commit(at, &commit)))
}
