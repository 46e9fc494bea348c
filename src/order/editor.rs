//! The editor: finds a place in the values that an edit may change.

use std::collections::HashSet;

use super::anchors::is_merge;
use super::fault::Fault;
use super::proof::Change;
use super::source::Source;
use super::splice::Splice;
use super::tree::{Entry, Kind, Node, Style};

/// A node of the values that an edit may change.
#[derive(Debug, Clone)]
pub(super) struct Place<'s> {
    pub(super) node: &'s Node,
    /// The entry whose value the node is; `None` for the values themselves and for items of lists.
    pub(super) entry: Option<&'s Entry>,
    /// Indexes from the document down to the node.
    pub(super) path: Vec<usize>,
    /// The key's path in the file.
    pub(super) keys: String,
    /// Is the collection around the node written in flow style?
    pub(super) in_flow: bool,
}

/// Collects changes to one file.
#[derive(Debug)]
pub(super) struct Editor<'s> {
    pub(super) source: &'s Source,
    /// Anchors that some alias refers to.
    aliased: HashSet<usize>,
    pub(super) splices: Vec<Splice>,
    pub(super) changes: Vec<Change>,
}

impl<'s> Editor<'s> {
    pub(super) fn new(source: &'s Source) -> Self {
        let mut aliased = HashSet::new();
        let mut left = vec![source.document()];
        while let Some(node) = left.pop() {
            match &node.kind {
                Kind::Alias(target) => {
                    aliased.insert(*target);
                }
                Kind::Mapping { entries, .. } => {
                    for entry in entries {
                        left.extend([&entry.key, &entry.value]);
                    }
                }
                Kind::Sequence { items, .. } => left.extend(items),
                Kind::Scalar { .. } => {}
            }
        }
        Self {
            source,
            aliased,
            splices: Vec::new(),
            changes: Vec::new(),
        }
    }

    /// The values themselves.
    pub(super) fn values(&self) -> Result<Place<'s>, Fault> {
        let node = self.source.values();
        let outer = self.source.values_entry();
        if outer.value.tag.is_some() || (self.source.inner().is_some() && outer.value.anchor != 0) {
            let words = "has a tag or an anchor: what else reads it cannot be told";
            return Err(self.source.file_fault(outer.key.start, "values", words));
        }
        let path = match self.source.inner() {
            Some(_) => Vec::new(),
            None => vec![self.source.place.1],
        };
        let place = Place {
            node,
            entry: self.source.inner().is_none().then_some(outer),
            path,
            keys: "values".into(),
            in_flow: false,
        };
        self.check(&place)?;
        Ok(place)
    }

    /// What stands under `name` in the mapping at `place`, if the key is written there.
    /// Refused where something else would change along with it, or hide it.
    pub(super) fn child(&self, place: &Place<'s>, name: &str) -> Result<Option<Place<'s>>, Fault> {
        let Kind::Mapping { flow, entries } = &place.node.kind else {
            return Ok(None);
        };
        let keys = format!("{}.{name}", place.keys);
        let found = entries
            .iter()
            .enumerate()
            .find(|(_, entry)| entry.name() == Some(name));
        let Some((index, entry)) = found else {
            if let Some(merge) = entries.iter().find(|entry| is_merge(entry)) {
                let words =
                    "may come from the merge `<<` beside it; write the key out before it is edited";
                return Err(self.source.fault(merge.key.start, &keys, words));
            }
            return Ok(None);
        };
        let mut path = place.path.clone();
        path.push(index);
        let child = Place {
            node: &entry.value,
            entry: Some(entry),
            path,
            keys,
            in_flow: *flow || place.in_flow,
        };
        self.check(&child)?;
        Ok(Some(child))
    }

    /// The items of the list at `place`.
    pub(super) fn item(&self, place: &Place<'s>, index: usize) -> Result<Option<Place<'s>>, Fault> {
        let Kind::Sequence { flow, items } = &place.node.kind else {
            return Ok(None);
        };
        let Some(node) = items.get(index) else {
            return Ok(None);
        };
        let mut path = place.path.clone();
        path.push(index);
        let item = Place {
            node,
            entry: None,
            path,
            keys: format!("{}[{index}]", place.keys),
            in_flow: *flow || place.in_flow,
        };
        self.check(&item)?;
        Ok(Some(item))
    }

    fn check(&self, place: &Place<'_>) -> Result<(), Fault> {
        let refuse = |at: usize, words: &str| Err(self.source.fault(at, &place.keys, words));
        let at = place
            .entry
            .map_or(place.node.start, |entry| entry.key.start);
        if matches!(place.node.kind, Kind::Alias(_)) {
            return refuse(
                at,
                "is an alias: its value is written elsewhere and used there too",
            );
        }
        if self.aliased.contains(&place.node.anchor) {
            return refuse(
                at,
                "has an anchor that an alias refers to: an edit would change that place too",
            );
        }
        if place.node.tag.is_some() {
            return refuse(at, "has a tag; write it without one before it is edited");
        }
        if let Some(entry) = place.entry
            && !matches!(place.keys.as_str(), "values" if self.source.inner().is_some())
            && (entry.key.anchor != 0 || entry.key.tag.is_some() || self.colon(entry).is_none())
        {
            return refuse(at, "is not written as a plain `key: value`");
        }
        Ok(())
    }

    /// Does an alias refer to the node or to something in it?
    pub(super) fn is_referred_to(&self, node: &Node) -> bool {
        let mut left = vec![node];
        while let Some(node) = left.pop() {
            if self.aliased.contains(&node.anchor) {
                return true;
            }
            match &node.kind {
                Kind::Mapping { entries, .. } => {
                    for entry in entries {
                        left.extend([&entry.key, &entry.value]);
                    }
                }
                Kind::Sequence { items, .. } => left.extend(items),
                Kind::Scalar { .. } | Kind::Alias(_) => {}
            }
        }
        false
    }

    fn text(&self) -> &'s str {
        &self.source.text().text
    }

    /// Where the `:` after a key ends.
    pub(super) fn colon(&self, entry: &Entry) -> Option<usize> {
        let after = self.text().get(entry.key.end..)?;
        let blank = after.len() - after.trim_start_matches(' ').len();
        after[blank..]
            .starts_with(':')
            .then_some(entry.key.end + blank + 1)
    }

    /// How deep a level of the values is indented: as the first nested mapping is, else 2.
    pub(super) fn step(&self) -> usize {
        let Kind::Mapping { entries, .. } = &self.source.values().kind else {
            return 2;
        };
        entries
            .iter()
            .filter(|entry| matches!(entry.value.kind, Kind::Mapping { flow: false, .. }))
            .find_map(|entry| {
                let inner = self.column(&entry.value);
                inner.checked_sub(self.key_column(entry))
            })
            .filter(|step| (1..=16).contains(step))
            .unwrap_or(2)
    }

    /// The column of the keys of a block mapping.
    pub(super) fn column(&self, mapping: &Node) -> usize {
        match &mapping.kind {
            Kind::Mapping { entries, .. } => {
                entries.first().map_or(0, |entry| self.key_column(entry))
            }
            Kind::Scalar { .. } | Kind::Sequence { .. } | Kind::Alias(_) => 0,
        }
    }

    /// The column of a key, or of the `?` before it.
    fn key_column(&self, entry: &Entry) -> usize {
        let text = self.source.text();
        let column = text.column(entry.key.start);
        let start = entry.key.start - column;
        let before = text
            .text
            .get(start..entry.key.start)
            .unwrap_or("")
            .trim_end();
        match before.strip_suffix('?') {
            Some(before) => before.len(),
            None => column,
        }
    }

    /// The last line with content of a node. Blank lines that a block scalar keeps are content.
    pub(super) fn last_line(&self, node: &Node) -> usize {
        let text = self.source.text();
        let last = last_member(node);
        let before = text.text.get(..last.end).unwrap_or("");
        let keeps = matches!(&last.kind, Kind::Scalar { text, .. } if text.ends_with("\n\n") || text == "\n");
        let end = if keeps {
            before.len()
        } else {
            before.trim_end().len()
        };
        text.line_of(end.saturating_sub(1))
    }

    /// The last line of a node, after which lines can be put. Not so behind a block scalar that the file
    /// ends in without a line end: the line end would become part of its text.
    pub(super) fn room_after(&self, node: &Node, keys: &str) -> Result<usize, Fault> {
        let line = self.last_line(node);
        let last = last_member(node);
        let block = matches!(last.scalar(), Some((_, Style::Literal | Style::Folded)));
        let file = &self.source.file;
        let ended = file.line(self.source.file_line(line)).ends_with('\n');
        if block && !ended {
            let words = "the file ends in a text without a line end, which must not get one; end the file with a line end first";
            return Err(self.source.fault(last.start, keys, words));
        }
        Ok(line)
    }

    /// Is there nothing but spaces and a comment after byte `at` in its line?
    pub(super) fn rest_is_blank(&self, at: usize) -> bool {
        let text = self.source.text();
        let end = text.start_of(text.line_of(at) + 1);
        let rest = text
            .text
            .get(at..end)
            .unwrap_or("")
            .trim_start_matches([' ', '\t']);
        rest.is_empty() || rest.starts_with(['#', '\r', '\n'])
    }

    /// The last line that belongs to a block mapping, comments below its last key included.
    pub(super) fn end_of(&self, mapping: &Node, keys: &str) -> Result<usize, Fault> {
        let text = self.source.text();
        let mut line = self.room_after(mapping, keys)?;
        let column = self.column(mapping);
        while line + 1 < text.lines() {
            let next = text.line(line + 1);
            let indent = next.len() - next.trim_start_matches(' ').len();
            if indent <= column || !next[indent..].starts_with('#') {
                break;
            }
            line += 1;
        }
        Ok(line)
    }
}

/// The last scalar, alias or flow collection in a node that is written in block style.
fn last_member(node: &Node) -> &Node {
    let mut last = node;
    loop {
        last = match &last.kind {
            Kind::Mapping {
                flow: false,
                entries,
            } => match entries.last() {
                Some(entry) if entry.value.is_empty() => &entry.key,
                Some(entry) => &entry.value,
                None => break,
            },
            Kind::Sequence { flow: false, items } => match items.last() {
                Some(item) => item,
                None => break,
            },
            _ => break,
        };
    }
    last
}
