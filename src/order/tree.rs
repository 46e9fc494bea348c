//! A YAML text as a tree whose nodes know the bytes they stand on.
//!
//! Nothing is resolved here: an alias stays an alias, a scalar keeps its text. The tree is at most
//! [`DEPTH`] blocks and as many flow collections deep, so that walking it by recursion is safe.

use std::collections::HashSet;

use granit_parser::{Event, Parser, ScalarStyle, StructureStyle, Tag};

/// How deep block collections, and flow collections, may be nested.
const DEPTH: usize = 64;

const TAB: &str = "a tab is used as indentation; use spaces";

/// How a scalar is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    Single,
    Double,
    Literal,
    Folded,
}

#[derive(Debug, Clone)]
pub(super) enum Kind {
    Scalar { text: String, style: Style },
    Mapping { flow: bool, entries: Vec<Entry> },
    Sequence { flow: bool, items: Vec<Node> },
    Alias(usize),
}

#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) key: Node,
    pub(super) value: Node,
}

/// A node and the bytes it stands on. An empty value (`key:`) is a plain scalar of no width.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) kind: Kind,
    pub(super) start: usize,
    /// End of the last byte of content; for block scalars past their line breaks.
    pub(super) end: usize,
    /// Number of the anchor set here, 0 for none.
    pub(super) anchor: usize,
    pub(super) tag: Option<Box<str>>,
}

impl Node {
    /// A node that is not in a text, for saying what an edit intends.
    pub(super) fn intended(kind: Kind) -> Self {
        Self {
            kind,
            start: 0,
            end: 0,
            anchor: 0,
            tag: None,
        }
    }

    pub(super) fn plain(text: &str) -> Self {
        Self::intended(Kind::Scalar {
            text: text.to_owned(),
            style: Style::Plain,
        })
    }

    pub(super) fn mapping(entries: Vec<(&str, Self)>) -> Self {
        let entries = entries
            .into_iter()
            .map(|(key, value)| Entry {
                key: Self::plain(key),
                value,
            })
            .collect();
        Self::intended(Kind::Mapping {
            flow: false,
            entries,
        })
    }

    pub(super) fn scalar(&self) -> Option<(&str, Style)> {
        match &self.kind {
            Kind::Scalar { text, style } => Some((text, *style)),
            Kind::Mapping { .. } | Kind::Sequence { .. } | Kind::Alias(_) => None,
        }
    }

    /// Is nothing written here, or a word for nothing?
    pub(super) fn is_null(&self) -> bool {
        self.tag.is_none()
            && matches!(
                self.scalar(),
                Some(("" | "~" | "null" | "Null" | "NULL", Style::Plain))
            )
    }

    /// Does the value take no bytes at all?
    pub(super) fn is_empty(&self) -> bool {
        self.start == self.end && self.scalar().is_some()
    }

    /// What kind of thing this is, in words for a person.
    pub(super) fn describe(&self) -> String {
        match &self.kind {
            Kind::Mapping { .. } => "a mapping".into(),
            Kind::Sequence { .. } => "a list".into(),
            Kind::Alias(_) => "an alias".into(),
            Kind::Scalar { .. } if self.is_null() => "empty".into(),
            Kind::Scalar { text, style } => {
                let text: String = if text.chars().count() > 40 {
                    text.chars().take(40).chain(['…']).collect()
                } else {
                    text.clone()
                };
                match style {
                    Style::Plain => format!("`{}`", text.escape_debug()),
                    Style::Single | Style::Double | Style::Literal | Style::Folded => {
                        format!("the text \"{}\"", text.escape_debug())
                    }
                }
            }
        }
    }
}

impl Entry {
    /// The key's text, if it is a scalar.
    pub(super) fn name(&self) -> Option<&str> {
        self.key.scalar().map(|(text, _)| text)
    }

    /// End of the entry's last byte of content.
    pub(super) fn end(&self) -> usize {
        if self.value.is_empty() {
            self.key.end
        } else {
            self.value.end
        }
    }
}

/// Why a text is no tree: where (bytes), under which keys, and in words.
#[derive(Debug)]
pub(super) struct Broken {
    pub(super) at: usize,
    pub(super) path: Vec<String>,
    pub(super) words: String,
}

/// All documents of a text. A document that holds nothing is an empty plain scalar.
pub(super) fn parse(text: &str) -> Result<Vec<Node>, Broken> {
    let mut options = granit_parser::options! {
        block_scalar_eof_without_line_feed: true,
        flow_nesting_limit: DEPTH,
        block_nesting_limit: DEPTH,
    };
    options.set_emit_comments(false);
    let mut builder = Builder {
        text,
        open: Vec::new(),
        documents: Vec::new(),
    };
    for event in Parser::new_from_str_with_options(text, options) {
        match event {
            Ok((event, span)) => {
                let Some(bytes) = span.byte_range() else {
                    return Err(builder.broken(text.len(), "a place in the text was not found"));
                };
                builder.take(event, bytes.start, bytes.end)?;
            }
            Err(error) => {
                let at = error.marker().byte_offset().unwrap_or(text.len());
                let words = if builder.tab_leads(at) {
                    TAB.to_owned()
                } else {
                    format!("not valid YAML: {}", error.info())
                };
                return Err(builder.broken(at, &words));
            }
        }
    }
    Ok(builder.documents)
}

/// A collection that has begun and not ended.
struct Open {
    node: Node,
    key: Option<Node>,
    /// The keys so far, once there are too many to look through.
    names: Option<HashSet<String>>,
}

/// Is this key in the mapping already? A merge may be there several times.
fn known(entries: &[Entry], names: &mut Option<HashSet<String>>, key: &Node) -> bool {
    const FEW: usize = 16;
    let Some((name, _)) = key.scalar().filter(|(name, _)| *name != "<<") else {
        return false;
    };
    if entries.len() < FEW {
        return entries.iter().any(|entry| entry.name() == Some(name));
    }
    let names = names.get_or_insert_with(|| {
        let names = entries.iter().filter_map(Entry::name);
        names.map(str::to_owned).collect()
    });
    !names.insert(name.to_owned())
}

struct Builder<'t> {
    text: &'t str,
    open: Vec<Open>,
    documents: Vec<Node>,
}

impl Builder<'_> {
    fn broken(&self, at: usize, words: &str) -> Broken {
        let mut path = Vec::new();
        for open in &self.open {
            match (&open.node.kind, &open.key) {
                (Kind::Sequence { items, .. }, _) => path.push(format!("[{}]", items.len())),
                (_, Some(key)) => path.push(key.scalar().map_or("?", |(text, _)| text).to_owned()),
                (_, None) => {}
            }
        }
        Broken {
            at,
            path,
            words: words.to_owned(),
        }
    }

    fn take(&mut self, event: Event<'_>, start: usize, end: usize) -> Result<(), Broken> {
        let node = |kind, anchor, tag: Option<std::borrow::Cow<'_, Tag>>| Node {
            kind,
            start,
            end,
            anchor,
            tag: tag.map(|tag| tag.to_string().into()),
        };
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let style = match style {
                    ScalarStyle::Plain => Style::Plain,
                    ScalarStyle::SingleQuoted => Style::Single,
                    ScalarStyle::DoubleQuoted => Style::Double,
                    ScalarStyle::Literal => Style::Literal,
                    ScalarStyle::Folded => Style::Folded,
                };
                // The parser writes an absent value as `~`; it stands on no bytes.
                let text = if style == Style::Plain && start == end {
                    String::new()
                } else {
                    text.into_owned()
                };
                self.close(node(Kind::Scalar { text, style }, anchor, tag))
            }
            Event::Alias(target) => self.close(node(Kind::Alias(target), 0, None)),
            Event::MappingStart(style, anchor, tag) => {
                self.begin(node(
                    Kind::Mapping {
                        flow: style == StructureStyle::Flow,
                        entries: Vec::new(),
                    },
                    anchor,
                    tag,
                ));
                Ok(())
            }
            Event::SequenceStart(style, anchor, tag) => {
                self.begin(node(
                    Kind::Sequence {
                        flow: style == StructureStyle::Flow,
                        items: Vec::new(),
                    },
                    anchor,
                    tag,
                ));
                Ok(())
            }
            Event::MappingEnd | Event::SequenceEnd => {
                let Some(mut open) = self.open.pop() else {
                    return Err(self.broken(start, "a collection ends that did not begin"));
                };
                let last = match &open.node.kind {
                    Kind::Mapping { flow: true, .. } | Kind::Sequence { flow: true, .. } => {
                        Some(end)
                    }
                    Kind::Mapping { entries, .. } => entries.last().map(Entry::end),
                    Kind::Sequence { items, .. } => items.last().map(|item| item.end),
                    Kind::Scalar { .. } | Kind::Alias(_) => None,
                };
                open.node.end = last.unwrap_or(open.node.start).max(open.node.start);
                self.close(open.node)
            }
            _ => Ok(()),
        }
    }

    fn begin(&mut self, node: Node) {
        self.open.push(Open {
            node,
            key: None,
            names: None,
        });
    }

    /// Puts a finished node into what is open around it.
    fn close(&mut self, node: Node) -> Result<(), Broken> {
        let Some(open) = self.open.last_mut() else {
            self.documents.push(node);
            return Ok(());
        };
        match &mut open.node.kind {
            Kind::Sequence { items, .. } => items.push(node),
            Kind::Mapping { flow, entries } => {
                if let Some(key) = open.key.take() {
                    entries.push(Entry { key, value: node });
                } else {
                    let (flow, at) = (*flow, node.start);
                    let known = known(entries, &mut open.names, &node);
                    open.key = Some(node);
                    if known {
                        return Err(
                            self.broken(at, "this key is written twice in the same mapping")
                        );
                    }
                    if !flow && self.indented_by_tab(at) {
                        return Err(self.broken(at, TAB));
                    }
                }
            }
            Kind::Scalar { .. } | Kind::Alias(_) => {}
        }
        Ok(())
    }

    /// What stands before `at` in its line.
    fn before(&self, at: usize) -> &str {
        let before = self.text.get(..at).unwrap_or("");
        &before[before.rfind('\n').map_or(0, |newline| newline + 1)..]
    }

    fn indented_by_tab(&self, at: usize) -> bool {
        let lead = self.before(at).trim_start_matches(['-', '?', ' ']);
        lead.starts_with('\t')
    }

    /// Is there nothing but white space before `at`, and a tab in it?
    fn tab_leads(&self, at: usize) -> bool {
        let before = self.before(at);
        before.contains('\t') && before.trim_matches([' ', '\t']).is_empty()
    }
}
