//! Git's objects and listings as it writes them, read into values.

use anyhow::Context as _;

use super::gitfacts::FileChange;
use super::gitwrite::Person;

/// An object and its bytes.
#[derive(Clone, Debug)]
pub(super) struct Object {
    pub(super) id: String,
    pub(super) kind: String,
    pub(super) data: Vec<u8>,
}

/// A person and a moment, as a commit names them.
#[derive(Clone, Debug)]
pub(super) struct Signature {
    pub(super) person: Person,
    /// `<seconds> <zone>`, as Git writes and reads it.
    pub(super) date: String,
}

impl Signature {
    fn read(text: &str) -> Option<Self> {
        let (name, rest) = text.split_once('<')?;
        let (email, date) = rest.split_once('>')?;
        Some(Self {
            person: Person {
                name: name.trim().to_owned(),
                email: email.to_owned(),
            },
            date: date.trim().to_owned(),
        })
    }

    /// The moment in UTC, as the API writes it.
    pub(super) fn moment(&self) -> String {
        let seconds = self
            .date
            .split(' ')
            .next()
            .and_then(|text| text.parse().ok())
            .unwrap_or(0);
        jiff::Timestamp::from_second(seconds)
            .unwrap_or_default()
            .to_string()
    }
}

/// A commit.
#[derive(Clone, Debug)]
pub(super) struct Commit {
    pub(super) id: String,
    pub(super) tree: String,
    pub(super) parents: Vec<String>,
    pub(super) author: Signature,
    pub(super) committer: Signature,
    pub(super) message: String,
}

impl Commit {
    pub(super) fn read(object: &Object) -> anyhow::Result<Self> {
        let text = String::from_utf8_lossy(&object.data);
        let (head, message) = text.split_once("\n\n").unwrap_or((&text, ""));
        let field = |key: &'static str| head.lines().filter_map(move |line| line.strip_prefix(key));
        let sign = |key| {
            field(key)
                .next()
                .and_then(Signature::read)
                .context("a commit without author")
        };
        Ok(Self {
            id: object.id.clone(),
            tree: field("tree ")
                .next()
                .context("a commit without tree")?
                .to_owned(),
            parents: field("parent ").map(str::to_owned).collect(),
            author: sign("author ")?,
            committer: sign("committer ")?,
            // The API leaves out the line end that Git's own tools put.
            message: message.strip_suffix('\n').unwrap_or(message).to_owned(),
        })
    }
}

/// An entry of a tree.
#[derive(Clone, Debug)]
pub(super) struct TreeEntry {
    /// Six octal digits.
    pub(super) mode: String,
    pub(super) name: String,
    pub(super) id: String,
}

impl TreeEntry {
    /// `tree`, `commit` (a submodule) or `blob`.
    pub(super) fn kind(&self) -> &'static str {
        match self.mode.as_str() {
            "040000" => "tree",
            "160000" => "commit",
            _ => "blob",
        }
    }

    pub(super) fn read_all(mut data: &[u8]) -> anyhow::Result<Vec<Self>> {
        let mut entries = Vec::new();
        while !data.is_empty() {
            let end = data
                .iter()
                .position(|b| *b == 0)
                .context("a tree ends early")?;
            let head = String::from_utf8_lossy(&data[..end]).into_owned();
            let (mode, name) = head.split_once(' ').context("a tree entry without mode")?;
            let id = data.get(end + 1..end + 21).context("a tree ends early")?;
            entries.push(Self {
                mode: format!("{mode:0>6}"),
                name: name.to_owned(),
                id: hex(id),
            });
            data = &data[end + 21..];
        }
        Ok(entries)
    }
}

/// Bytes in hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    let digit = |n: u8| char::from_digit(u32::from(n), 16).unwrap_or('0');
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

/// Reads `diff-tree -z --raw --numstat` and `diff-tree -p` of the same commits.
pub(super) fn read_changes(lists: &str, patches: &str) -> Vec<FileChange> {
    let mut changes: Vec<FileChange> = Vec::new();
    let mut fields = lists.split('\0').peekable();
    while let Some(raw) = fields.next_if(|field| field.starts_with(':')) {
        let raw: Vec<&str> = raw.trim_start_matches(':').split(' ').collect();
        let [_, _, old, new, status] = raw.as_slice() else {
            break;
        };
        let first = fields.next().unwrap_or_default().to_owned();
        let mut change = FileChange {
            path: first,
            sha: Some((*new).to_owned()),
            ..FileChange::default()
        };
        change.status = match status.as_bytes().first() {
            Some(b'A') => "added",
            Some(b'D') => {
                change.sha = Some((*old).to_owned());
                "removed"
            }
            Some(b'R') => {
                let second = fields.next().unwrap_or_default().to_owned();
                change.previous = Some(std::mem::replace(&mut change.path, second));
                "renamed"
            }
            Some(b'T') => "changed",
            _ => "modified",
        };
        changes.push(change);
    }
    for change in &mut changes {
        let Some(counts) = fields.next() else { break };
        let mut counts = counts.splitn(3, '\t');
        let mut count = || {
            counts
                .next()
                .and_then(|text| text.parse().ok())
                .unwrap_or(0)
        };
        (change.additions, change.deletions) = (count(), count());
        if counts.next() == Some("") {
            // A rename: the two names follow.
            fields.nth(1);
        }
    }
    // The first piece is what stands before the first file: nothing.
    let text = format!("\n{patches}");
    for (change, patch) in changes.iter_mut().zip(text.split("\ndiff --git ").skip(1)) {
        change.patch = patch
            .split_once("\n@@")
            .map(|(_, hunks)| format!("@@{hunks}"));
    }
    changes
}
