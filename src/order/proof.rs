//! What an edit intends, and the proof that its result is that and nothing else.

use std::collections::HashMap;

use super::fault::{Fault, OrderError};
use super::source::{Source, Text};
use super::tree::{Entry, Kind, Node, Style};

/// One intended change to the document that holds the values. Paths are indexes of entries and items.
#[derive(Debug)]
pub(super) enum Change {
    /// The value at `path` becomes this.
    Set { path: Vec<usize>, to: Node },
    /// The mapping or list at `path` gets a member at `index`; a list ignores the key.
    Insert {
        path: Vec<usize>,
        index: usize,
        key: &'static str,
        value: Node,
    },
    /// The mapping or list at `path` loses the member at `index`.
    Remove { path: Vec<usize>, index: usize },
}

/// Reads the edited text again: it must be what was intended, and every line outside of the changed
/// ones (`first..=last`, lines of the old file) must be there byte for byte.
pub(super) fn prove(
    before: &Source,
    after: &str,
    changes: Vec<Change>,
    lines: (usize, usize),
) -> Result<(), OrderError> {
    let refuse = |why: &str| -> OrderError {
        let at = before.file.start_of(lines.0);
        let words = format!("the edit is refused: {why}");
        before.file_fault(at, "values", &words).into()
    };
    let edited = Source::parse(after).map_err(|error| {
        let first = error.faults().first().map(Fault::to_string);
        refuse(&format!(
            "its result could not be read: {}",
            first.unwrap_or_default()
        ))
    })?;
    if before.form != edited.form || before.mark != edited.mark || before.place != edited.place {
        return Err(refuse("it would change the form of the file"));
    }
    let mut intended = before.document().clone();
    for change in changes {
        if apply(&mut intended, change).is_none() {
            return Err(refuse("what it intends has no place in the file"));
        }
    }
    if !same(&intended, edited.document()) {
        return Err(refuse(
            "its result would read differently from what was intended",
        ));
    }
    // Everything that is not the edited document: further documents, and what stands around the block scalar.
    let scalar = before.inner().is_some().then_some(before.place);
    let others = |source: &Source| source.documents.len();
    if others(before) != others(&edited) {
        return Err(refuse("it would change the number of documents"));
    }
    for (index, (old, new)) in before.documents.iter().zip(&edited.documents).enumerate() {
        let unchanged = match scalar {
            Some((document, entry)) if document == index => same_but(old, new, entry),
            None if before.place.0 == index => true,
            _ => same(old, new),
        };
        if !unchanged {
            return Err(refuse("it would change something else in the file"));
        }
    }
    if let (Some(old), Some(new)) = (before.inner(), edited.inner()) {
        let rest = |documents: &[Node]| documents.len();
        if rest(&old.documents) != rest(&new.documents)
            || !old
                .documents
                .iter()
                .zip(&new.documents)
                .skip(1)
                .all(|(old, new)| same(old, new))
        {
            return Err(refuse("it would change another document inside the values"));
        }
    }
    if !lines_kept(&before.file, &edited.file, lines) {
        return Err(refuse("it would change other lines"));
    }
    Ok(())
}

/// Are the lines before `first` and after `last` all there, byte for byte?
fn lines_kept(before: &Text, after: &Text, (first, last): (usize, usize)) -> bool {
    let head = &before.text[..before.start_of(first)];
    let tail = &before.text[before.start_of(last + 1)..];
    after.text.len() >= head.len() + tail.len()
        && after.text.starts_with(head)
        && after.text.ends_with(tail)
}

fn descend<'n>(node: &'n mut Node, path: &[usize]) -> Option<&'n mut Node> {
    let mut node = node;
    for index in path {
        node = match &mut node.kind {
            Kind::Mapping { entries, .. } => &mut entries.get_mut(*index)?.value,
            Kind::Sequence { items, .. } => items.get_mut(*index)?,
            Kind::Scalar { .. } | Kind::Alias(_) => return None,
        };
    }
    Some(node)
}

fn apply(root: &mut Node, change: Change) -> Option<()> {
    match change {
        Change::Set { path, to } => descend(root, &path)?.kind = to.kind,
        Change::Insert {
            path,
            index,
            key,
            value,
        } => match &mut descend(root, &path)?.kind {
            Kind::Mapping { entries, .. } if index <= entries.len() => entries.insert(
                index,
                Entry {
                    key: Node::plain(key),
                    value,
                },
            ),
            Kind::Sequence { items, .. } if index <= items.len() => items.insert(index, value),
            _ => return None,
        },
        Change::Remove { path, index } => {
            let node = descend(root, &path)?;
            let emptied = match &mut node.kind {
                Kind::Mapping { entries, flow } if index < entries.len() => {
                    entries.remove(index);
                    entries.is_empty() && !*flow
                }
                Kind::Sequence { items, flow } if index < items.len() => {
                    items.remove(index);
                    items.is_empty() && !*flow
                }
                _ => return None,
            };
            if emptied {
                node.kind = Node::plain("").kind;
            }
        }
    }
    Some(())
}

/// Do two documents read the same? Where things stand does not matter, nor block or flow, nor which
/// quotes; an alias must refer to the same anchor, whatever the numbers of the two are.
fn same(a: &Node, b: &Node) -> bool {
    Comparison::default().same(a, b, None)
}

/// Like [`same`] for two mappings, but the scalar of entry `but` may hold another text.
fn same_but(a: &Node, b: &Node, but: usize) -> bool {
    Comparison::default().same(a, b, Some(but))
}

#[derive(Default)]
struct Comparison {
    /// Which anchor of the one document is which of the other.
    anchors: HashMap<usize, usize>,
}

impl Comparison {
    fn same(&mut self, old: &Node, new: &Node, but: Option<usize>) -> bool {
        if old.tag != new.tag || (old.anchor == 0) != (new.anchor == 0) {
            return false;
        }
        if old.anchor != 0 {
            self.anchors.insert(old.anchor, new.anchor);
        }
        match (&old.kind, &new.kind) {
            (
                Kind::Scalar { text: was, style },
                Kind::Scalar {
                    text: is,
                    style: now,
                },
            ) => was == is && (*style == Style::Plain) == (*now == Style::Plain),
            (Kind::Mapping { entries: was, .. }, Kind::Mapping { entries: is, .. }) => {
                was.len() == is.len()
                    && was.iter().zip(is).enumerate().all(|(index, (was, is))| {
                        self.same(&was.key, &is.key, None)
                            && (Some(index) == but && was.value.tag == is.value.tag
                                || self.same(&was.value, &is.value, None))
                    })
            }
            (Kind::Sequence { items: was, .. }, Kind::Sequence { items: is, .. }) => {
                was.len() == is.len()
                    && was.iter().zip(is).all(|(was, is)| self.same(was, is, None))
            }
            (Kind::Alias(was), Kind::Alias(is)) => self.anchors.get(was) == Some(is),
            _ => false,
        }
    }
}
