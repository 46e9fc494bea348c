//! The editor: finds a place in the values, changes bytes there, and has the result proven.

use std::collections::HashSet;
use std::ops::Range;

use super::Edit;
use super::fault::{Fault, OrderError};
use super::proof::{self, Change};
use super::read::is_merge;
use super::source::Source;
use super::tree::{Entry, Kind, Node};

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

#[derive(Debug)]
struct Splice {
    range: Range<usize>,
    text: String,
}

/// Collects changes to one file.
#[derive(Debug)]
pub(super) struct Editor<'s> {
    pub(super) source: &'s Source,
    /// Anchors that some alias refers to.
    aliased: HashSet<usize>,
    splices: Vec<Splice>,
    changes: Vec<Change>,
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
        let text = self.source.text();
        entries
            .iter()
            .filter(|entry| matches!(entry.value.kind, Kind::Mapping { flow: false, .. }))
            .find_map(|entry| {
                let inner = text.column(entry.value.start);
                inner.checked_sub(text.column(entry.key.start))
            })
            .filter(|step| (1..=16).contains(step))
            .unwrap_or(2)
    }

    /// The column of the keys of a block mapping.
    pub(super) fn column(&self, mapping: &Node) -> usize {
        match &mapping.kind {
            Kind::Mapping { entries, .. } => entries
                .first()
                .map_or(0, |entry| self.source.text().column(entry.key.start)),
            _ => 0,
        }
    }

    /// The last line with content of a node. Blank lines that a block scalar keeps are content.
    pub(super) fn last_line(&self, node: &Node) -> usize {
        let text = self.source.text();
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
        let before = text.text.get(..last.end).unwrap_or("");
        let keeps = matches!(&last.kind, Kind::Scalar { text, .. } if text.ends_with("\n\n") || text == "\n");
        let end = if keeps {
            before.len()
        } else {
            before.trim_end().len()
        };
        text.line_of(end.saturating_sub(1))
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

    /// Writes a new entry into the mapping at `place`, and says at which index: as the first one, right
    /// below the mapping's key, or as the last one of the values.
    pub(super) fn insert_entry(
        &mut self,
        place: &Place<'_>,
        flow: &str,
        block: &dyn Fn(usize, usize) -> Vec<String>,
    ) -> Result<usize, Fault> {
        let text = self.source.text();
        let Kind::Mapping {
            flow: is_flow,
            entries,
        } = &place.node.kind
        else {
            return Err(self
                .source
                .fault(place.node.start, &place.keys, "must be a mapping"));
        };
        if *is_flow {
            let brace = place.node.start + 1;
            match entries.first() {
                None => self.replace(brace..brace, flow),
                Some(first) => {
                    let between = text.text.get(brace..first.key.start).unwrap_or("?");
                    let at = if between.trim().is_empty() {
                        first.key.start
                    } else {
                        brace
                    };
                    self.replace(at..at, format!("{flow}, "));
                }
            }
            return Ok(0);
        }
        let lines = block(self.column(place.node), self.step());
        match place.entry {
            Some(entry) if place.keys != "values" => {
                self.insert_after(text.line_of(entry.key.start), &lines);
                Ok(0)
            }
            _ => {
                let line = self.end_of_values(place.node);
                self.insert_after(line, &lines);
                Ok(entries.len())
            }
        }
    }

    /// The last line that belongs to the values, comments below their last key included.
    fn end_of_values(&self, values: &Node) -> usize {
        let text = self.source.text();
        let mut line = self.last_line(values);
        let column = self.column(values);
        while line + 1 < text.lines() {
            let next = text.line(line + 1);
            let indent = next.len() - next.trim_start_matches(' ').len();
            if indent <= column || !next[indent..].starts_with('#') {
                break;
            }
            line += 1;
        }
        line
    }

    /// Takes the first of `chain` out of the mapping `parent`; the rest of `chain` is all that stands in
    /// it, each in the one before. Comments stay.
    pub(super) fn remove_entry(
        &mut self,
        parent: &Place<'_>,
        chain: &[Place<'_>],
    ) -> Result<(), Fault> {
        let text = self.source.text();
        let (Kind::Mapping { flow, entries }, Some(target)) = (&parent.node.kind, chain.first())
        else {
            return Err(self
                .source
                .fault(parent.node.start, &parent.keys, "must be a mapping"));
        };
        let refuse = |words: &str| self.source.fault(target.node.start, &target.keys, words);
        let index = target.path.last().copied().unwrap_or_default();
        let Some(entry) = entries.get(index) else {
            return Err(refuse("is not there"));
        };
        if *flow {
            let range = match (
                index.checked_sub(1).and_then(|index| entries.get(index)),
                entries.get(index + 1),
            ) {
                (_, Some(next)) => entry.key.start..next.key.start,
                (Some(previous), None) => previous.end()..entry.end(),
                (None, None) => {
                    let after = text.text.get(entry.end()..).unwrap_or("");
                    let blank = after.len() - after.trim_start_matches(' ').len();
                    let comma = usize::from(after[blank..].starts_with(','));
                    entry.key.start..entry.end() + if comma == 1 { blank + 1 } else { 0 }
                }
            };
            if text
                .text
                .get(range.clone())
                .is_none_or(|cut| cut.contains(['\n', '#']))
            {
                return Err(refuse(
                    "cannot be taken out of a flow mapping that is written over several lines",
                ));
            }
            self.replace(range, "");
            return Ok(());
        }
        for place in chain {
            let Some(entry) = place.entry else { continue };
            let line = text.line_of(entry.key.start);
            if place.in_flow && place.node.start != target.node.start {
                // Inside of braces that go as a whole.
                continue;
            }
            let collection = matches!(place.node.kind, Kind::Mapping { flow: false, .. });
            let end = if collection {
                self.colon(entry).unwrap_or(entry.key.end)
            } else {
                entry.end()
            };
            let end = end.max(self.colon(entry).unwrap_or(0));
            if text.line_of(end) != line || !self.rest_is_blank(end) {
                return Err(refuse("is not written on a line of its own"));
            }
            let rest = &text.text[end..text.start_of(line + 1)];
            if let Some(hash) = rest.find('#') {
                self.replace(entry.key.start..end + hash, "");
            } else {
                self.remove_lines(line..line + 1);
            }
        }
        Ok(())
    }

    pub(super) fn change(&mut self, change: Change) {
        self.changes.push(change);
    }

    /// Replaces bytes within one line of the values' text.
    pub(super) fn replace(&mut self, range: Range<usize>, text: impl Into<String>) {
        let start = self.source.file_offset(range.start);
        self.splices.push(Splice {
            range: start..start + range.len(),
            text: text.into(),
        });
    }

    /// Puts whole lines after line `line` of the values' text. Each is given without the block
    /// scalar's indentation and without a line end.
    pub(super) fn insert_after(&mut self, line: usize, lines: &[String]) {
        let file = &self.source.file;
        let line = self.source.file_line(line);
        let at = file.start_of(line + 1);
        let previous = file.line(line);
        let end = [line, line.saturating_sub(1)]
            .into_iter()
            .map(|line| line_end(file.line(line)))
            .find(|end| !end.is_empty())
            .unwrap_or("\n");
        let indent = " ".repeat(self.source.indent());
        let mut text = String::new();
        for line in lines {
            if line_end(previous).is_empty() {
                text.extend([end, &indent, line]);
            } else {
                text.extend([&indent, line.as_str(), end]);
            }
        }
        self.splices.push(Splice {
            range: at..at,
            text,
        });
    }

    /// Takes whole lines of the values' text away.
    pub(super) fn remove_lines(&mut self, lines: Range<usize>) {
        let file = &self.source.file;
        let first = self.source.file_line(lines.start);
        let end = self.source.file_line(lines.end);
        self.splices.push(Splice {
            range: file.start_of(first)..file.start_of(end),
            text: String::new(),
        });
    }

    /// Makes the edited file and proves it.
    pub(super) fn finish(mut self) -> Result<Edit, OrderError> {
        let file = &self.source.file;
        self.splices
            .sort_by_key(|splice| (splice.range.start, splice.range.end));
        let mut text = String::with_capacity(file.text.len() + 256);
        if self.source.mark {
            text.push('\u{feff}');
        }
        let mut done = 0;
        for splice in &self.splices {
            let Some(kept) = file.text.get(done..splice.range.start) else {
                let words = "the edit is refused: its changes overlap";
                return Err(self
                    .source
                    .file_fault(splice.range.start, "values", words)
                    .into());
            };
            text.push_str(kept);
            text.push_str(&splice.text);
            done = splice.range.end;
        }
        text.push_str(file.text.get(done..).unwrap_or(""));
        if line_end(&file.text).is_empty() {
            // The file has no line end after its last line; without that line it must not get one.
            text.truncate(text.len() - line_end(&text).len());
        }
        let changed = self
            .splices
            .iter()
            .any(|splice| file.text.get(splice.range.clone()) != Some(splice.text.as_str()));
        if let (Some(first), Some(last)) = (self.splices.first(), self.splices.last()) {
            let last = last.range.end.saturating_sub(1).max(first.range.start);
            // An insertion stands between two lines; the line before it is touched when it had no line end.
            let first = first.range.start.saturating_sub(1);
            let lines = (file.line_of(first), file.line_of(last));
            proof::prove(self.source, &text, self.changes, lines)?;
        }
        Ok(Edit { text, changed })
    }

    /// The file as it was.
    pub(super) fn nothing(&self) -> Edit {
        let mut text = String::with_capacity(self.source.file.text.len() + 3);
        if self.source.mark {
            text.push('\u{feff}');
        }
        text.push_str(&self.source.file.text);
        Edit {
            text,
            changed: false,
        }
    }
}

/// The line end of a line: `\n`, `\r\n`, or nothing.
fn line_end(line: &str) -> &str {
    if line.ends_with("\r\n") {
        "\r\n"
    } else if line.ends_with('\n') {
        "\n"
    } else {
        ""
    }
}
