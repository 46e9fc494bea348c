//! Entries of mappings: written, filled in, taken out; in block and in flow style.

use super::editor::{Editor, Place};
use super::fault::Fault;
use super::proof::Change;
use super::tree::{Kind, Node};

/// A key and a value that an edit writes.
#[derive(Debug, Clone)]
pub(super) struct NewEntry {
    key: &'static str,
    /// The value in one line.
    flow: String,
    /// Key and value in lines, from column 0.
    block: Vec<String>,
    /// What it must read as.
    value: Node,
}

impl NewEntry {
    /// `key: word`; the word is written as it stands.
    pub(super) fn scalar(key: &'static str, word: &str, value: Node) -> Self {
        Self {
            key,
            flow: word.to_owned(),
            block: vec![format!("{key}: {word}")],
            value,
        }
    }

    /// `key:` with entries below it.
    pub(super) fn mapping(key: &'static str, entries: Vec<Self>, step: usize) -> Self {
        let mut block = vec![format!("{key}:")];
        block.extend(indented(
            entries.iter().flat_map(|entry| &entry.block),
            step,
        ));
        Self {
            key,
            flow: format!("{{{}}}", Self::flows(&entries)),
            block,
            value: Self::node(entries),
        }
    }

    /// `key:` with a list of one item, whose dash stands `dash` deep and whose keys stand `offset` after it.
    pub(super) fn list(key: &'static str, item: Vec<Self>, dash: usize, offset: usize) -> Self {
        let mut block = vec![format!("{key}:")];
        let lines = Self::item(&item, offset);
        block.extend(indented(&lines, dash));
        Self {
            key,
            flow: format!("[{{{}}}]", Self::flows(&item)),
            block,
            value: Node::intended(Kind::Sequence {
                flow: false,
                items: vec![Self::node(item)],
            }),
        }
    }

    /// The lines of a list's item, its dash in column 0.
    pub(super) fn item(entries: &[Self], offset: usize) -> Vec<String> {
        let offset = offset.max(2);
        entries
            .iter()
            .flat_map(|entry| &entry.block)
            .enumerate()
            .map(|(index, line)| {
                let lead = if index == 0 { "-" } else { "" };
                format!("{lead:offset$}{line}")
            })
            .collect()
    }

    pub(super) fn key(&self) -> &'static str {
        self.key
    }

    /// The entries as they stand between braces.
    pub(super) fn flows(entries: &[Self]) -> String {
        let entries: Vec<_> = entries
            .iter()
            .map(|entry| format!("{}: {}", entry.key, entry.flow))
            .collect();
        entries.join(", ")
    }

    /// The mapping that the entries must read as.
    pub(super) fn node(entries: Vec<Self>) -> Node {
        Node::mapping(
            entries
                .into_iter()
                .map(|entry| (entry.key, entry.value))
                .collect(),
        )
    }
}

/// Lines, each `by` spaces further in.
pub(super) fn indented<'l>(lines: impl IntoIterator<Item = &'l String>, by: usize) -> Vec<String> {
    let indent = " ".repeat(by);
    lines
        .into_iter()
        .map(|line| format!("{indent}{line}"))
        .collect()
}

/// Where in a block mapping new entries go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Where {
    First,
    Last,
}

impl Editor<'_> {
    /// Replaces a scalar by a word, which is written as it stands and must read as `value`.
    pub(super) fn set(&mut self, place: &Place<'_>, word: &str, value: Node) -> Result<(), Fault> {
        let range = place.node.start..place.node.end;
        if place.node.is_empty() {
            let Some(colon) = place.entry.and_then(|entry| self.colon(entry)) else {
                return Err(self.source.fault(range.start, &place.keys, "has no `:`"));
            };
            self.replace(colon..colon, format!(" {word}"));
        } else if place.node.scalar().is_some() && self.in_one_line(range.clone()) {
            self.replace(range, word);
        } else {
            let words = "is written over several lines; write it in one before it is edited";
            return Err(self.source.fault(range.start, &place.keys, words));
        }
        self.change(Change::Set {
            path: place.path.clone(),
            to: value,
        });
        Ok(())
    }

    /// Replaces a value that is written in one line, whatever it is.
    pub(super) fn set_inline(
        &mut self,
        place: &Place<'_>,
        word: &str,
        value: Node,
    ) -> Result<(), Fault> {
        if place.node.scalar().is_some() {
            return self.set(place, word, value);
        }
        let range = place.node.start..place.node.end;
        if !self.in_one_line(range.clone()) {
            let words = "is written over several lines; write it in one before it is edited";
            return Err(self.source.fault(range.start, &place.keys, words));
        }
        self.replace(range, word);
        self.change(Change::Set {
            path: place.path.clone(),
            to: value,
        });
        Ok(())
    }

    /// Gives a key that stands there without a value the entries below it.
    pub(super) fn fill(&mut self, place: &Place<'_>, entries: Vec<NewEntry>) -> Result<(), Fault> {
        let inline = format!("{{{}}}", NewEntry::flows(&entries));
        if !place.node.is_empty() || place.in_flow {
            return self.set(place, &inline, NewEntry::node(entries));
        }
        let text = self.source.text();
        match place
            .entry
            .and_then(|entry| Some((entry, self.colon(entry)?)))
        {
            Some((entry, colon)) if self.rest_is_blank(colon) => {
                let column = text.column(entry.key.start) + self.step();
                let lines = indented(entries.iter().flat_map(|entry| &entry.block), column);
                self.insert_after(text.line_of(entry.key.start), &lines);
            }
            _ => {
                let words = "has an anchor and no value; nothing can be written below it safely";
                return Err(self.source.fault(place.node.start, &place.keys, words));
            }
        }
        self.change(Change::Set {
            path: place.path.clone(),
            to: NewEntry::node(entries),
        });
        Ok(())
    }

    /// Writes new entries into the mapping at `place`.
    pub(super) fn insert(
        &mut self,
        place: &Place<'_>,
        new: Vec<NewEntry>,
        to: Where,
    ) -> Result<(), Fault> {
        let text = self.source.text();
        let Kind::Mapping { flow, entries } = &place.node.kind else {
            return Err(self
                .source
                .fault(place.node.start, &place.keys, "must be a mapping"));
        };
        let mut first = 0;
        if *flow {
            let brace = place.node.start + 1;
            let flow = NewEntry::flows(&new);
            let last = entries.last().filter(|_| to == Where::Last);
            // Behind an empty value without a colon nothing can follow safely.
            let end = last.and_then(|last| Some(last.end().max(self.colon(last)?)));
            match (entries.first(), end) {
                (None, _) => self.replace(brace..brace, flow),
                (Some(_), Some(end)) => {
                    first = entries.len();
                    self.replace(end..end, format!(", {flow}"));
                }
                (Some(first), None) => {
                    let between = text.text.get(brace..first.key.start).unwrap_or("?");
                    let blank = between.trim().is_empty();
                    let at = if blank { first.key.start } else { brace };
                    self.replace(at..at, format!("{flow}, "));
                }
            }
        } else {
            let lines = indented(
                new.iter().flat_map(|entry| &entry.block),
                self.column(place.node),
            );
            let line = match (to, place.entry) {
                (Where::First, Some(entry)) => text.line_of(entry.key.start),
                (Where::Last, _) | (_, None) => {
                    first = entries.len();
                    self.end_of(place.node, &place.keys)?
                }
            };
            self.insert_after(line, &lines);
        }
        for (index, entry) in new.into_iter().enumerate() {
            self.change(Change::Insert {
                path: place.path.clone(),
                index: first + index,
                key: entry.key,
                value: entry.value,
            });
        }
        Ok(())
    }

    /// Are these bytes of the values' text all on one line?
    pub(super) fn in_one_line(&self, range: std::ops::Range<usize>) -> bool {
        self.source
            .text()
            .text
            .get(range)
            .is_some_and(|bytes| !bytes.contains('\n'))
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
            let range = self.flow_member(
                index.checked_sub(1).map(|index| entries[index].end()),
                entry.key.start..entry.end(),
                entries.get(index + 1).map(|next| next.key.start),
            );
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
        }
        for place in chain.iter().filter(|_| !*flow) {
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
        self.change(Change::Remove {
            path: parent.path.clone(),
            index,
        });
        Ok(())
    }

    /// The bytes that go when a member of a flow collection goes: with the comma after it, or before it.
    pub(super) fn flow_member(
        &self,
        previous: Option<usize>,
        member: std::ops::Range<usize>,
        next: Option<usize>,
    ) -> std::ops::Range<usize> {
        let after = self.source.text().text.get(member.end..).unwrap_or("");
        let blank = after.len() - after.trim_start_matches(' ').len();
        let comma = after[blank..].strip_prefix(',');
        match (previous, next, comma) {
            (Some(previous), None, _) => previous..member.end,
            // One space goes with the comma, as it came with it.
            (_, Some(_), Some(rest)) => {
                member.start..member.end + blank + 1 + usize::from(rest.starts_with(' '))
            }
            (None, None, Some(_)) => member.start..member.end + blank + 1,
            (None, None, None) => member,
            (_, Some(next), None) => member.start..next,
        }
    }
}
