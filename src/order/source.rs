//! The file: where the values stand in it, and which place of the file belongs to which place of the values.

use super::fault::{Fault, OrderError};
use super::tree::{self, Broken, Entry, Kind, Node, Style};

/// How large a file may be, in bytes.
const LIMIT: usize = 16 << 20;

/// How an order keeps its values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Form {
    /// `values: |`, a text that itself holds YAML.
    BlockScalar,
    /// `values:` with the keys below it.
    Nested,
}

/// A text and where its lines begin.
#[derive(Debug)]
pub(super) struct Text {
    pub(super) text: String,
    starts: Vec<usize>,
}

impl Text {
    pub(super) fn new(text: String) -> Self {
        let starts = std::iter::once(0)
            .chain(text.match_indices('\n').map(|(at, _)| at + 1))
            .filter(|start| *start == 0 || *start < text.len())
            .collect();
        Self { text, starts }
    }

    /// The number of the line that byte `at` is on, from 0.
    pub(super) fn line_of(&self, at: usize) -> usize {
        self.starts.partition_point(|start| *start <= at).max(1) - 1
    }

    /// How many lines there are; a text has at least one.
    pub(super) fn lines(&self) -> usize {
        self.starts.len()
    }

    /// Where line `line` begins; the end of the text for a line past the last.
    pub(super) fn start_of(&self, line: usize) -> usize {
        self.starts.get(line).copied().unwrap_or(self.text.len())
    }

    /// A line with its line end.
    pub(super) fn line(&self, line: usize) -> &str {
        &self.text[self.start_of(line)..self.start_of(line + 1)]
    }

    /// How many bytes stand before `at` in its line.
    pub(super) fn column(&self, at: usize) -> usize {
        at.saturating_sub(self.start_of(self.line_of(at)))
    }
}

/// A parsed order file.
#[derive(Debug)]
pub(super) struct Source {
    /// The file without its byte order mark.
    pub(super) file: Text,
    pub(super) mark: bool,
    pub(super) form: Form,
    /// The documents of the file.
    pub(super) documents: Vec<Node>,
    /// Which document holds the order, and which entry of it is `values`.
    pub(super) place: (usize, usize),
    /// That entry.
    entry: Entry,
    /// In the block form: the text inside the scalar, and its documents.
    inner: Option<Inner>,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) text: Text,
    pub(super) documents: Vec<Node>,
    /// The line of the file that the text's first line is.
    first: usize,
    /// How many spaces stand before each line of the text in the file.
    indent: usize,
}

const BYTE_ORDER_MARK: char = '\u{feff}';

impl Source {
    pub(super) fn parse(text: &str) -> Result<Self, OrderError> {
        let body = text.strip_prefix(BYTE_ORDER_MARK);
        let mark = body.is_some();
        let file = Text::new(body.unwrap_or(text).to_owned());
        if file.text.len() > LIMIT {
            return Err(fault_at(&file, 0, "", "the file is larger than 16 MiB").into());
        }
        if let Some((at, words)) = forbidden(&file.text) {
            return Err(fault_at(&file, at, "", words).into());
        }
        let documents = tree::parse(&file.text).map_err(|broken| {
            let path = join(&broken.path);
            fault_at(&file, broken.at, &path, &broken.words)
        })?;
        let (place, entry) = find_values(&file, &documents)?;
        let mut source = Self {
            file,
            mark,
            form: Form::Nested,
            documents,
            place,
            entry,
            inner: None,
        };
        let entry = &source.entry;
        match &entry.value.kind {
            Kind::Mapping { .. } => {}
            Kind::Scalar {
                text,
                style: Style::Literal,
            } => {
                let inner = Inner::of(&source.file, entry, text)?;
                source.form = Form::BlockScalar;
                source.inner = Some(inner);
            }
            _ => {
                let words = format!(
                    "must be a block scalar (`values: |`) or a mapping, is {}",
                    match &entry.value.kind {
                        Kind::Scalar {
                            style: Style::Folded,
                            ..
                        } => "a folded scalar, whose lines cannot be edited one by one".to_owned(),
                        _ => entry.value.describe(),
                    }
                );
                return Err(fault_at(&source.file, entry.key.start, "values", &words).into());
            }
        }
        if let Some(inner) = &source.inner {
            let documents =
                tree::parse(&inner.text.text).map_err(|Broken { at, path, words }| {
                    let (line, column) = inner.place(&inner.text, at);
                    let path = std::iter::once("values".to_owned())
                        .chain(path)
                        .collect::<Vec<_>>();
                    Fault {
                        line,
                        column,
                        path: join(&path),
                        words,
                    }
                })?;
            if let Some(inner) = &mut source.inner {
                inner.documents = documents;
            }
        }
        Ok(source)
    }

    /// The entry `values` of the file.
    pub(super) fn values_entry(&self) -> &Entry {
        &self.entry
    }

    /// The mapping of the order's values, or whatever stands in its place.
    pub(super) fn values(&self) -> &Node {
        match &self.inner {
            None => &self.values_entry().value,
            Some(inner) => inner
                .documents
                .first()
                .unwrap_or(&self.values_entry().value),
        }
    }

    /// The text that the values' nodes stand in.
    pub(super) fn text(&self) -> &Text {
        self.inner.as_ref().map_or(&self.file, |inner| &inner.text)
    }

    pub(super) fn inner(&self) -> Option<&Inner> {
        self.inner.as_ref()
    }

    /// The document that holds the values' nodes.
    pub(super) fn document(&self) -> &Node {
        match &self.inner {
            None => &self.documents[self.place.0],
            Some(_) => self.values(),
        }
    }

    /// A fault at byte `at` of the values' text.
    pub(super) fn fault(&self, at: usize, path: &str, words: impl Into<String>) -> Fault {
        let (line, column) = match &self.inner {
            None => place(&self.file, at, 0),
            Some(inner) => inner.place(&inner.text, at),
        };
        Fault {
            line,
            column,
            path: path.to_owned(),
            words: words.into(),
        }
    }

    /// A fault at byte `at` of the file.
    pub(super) fn file_fault(&self, at: usize, path: &str, words: &str) -> Fault {
        fault_at(&self.file, at, path, words)
    }

    /// The line of the file that line `line` of the values' text is.
    pub(super) fn file_line(&self, line: usize) -> usize {
        self.inner.as_ref().map_or(0, |inner| inner.first) + line
    }

    /// How many spaces stand before the values' lines in the file.
    pub(super) fn indent(&self) -> usize {
        self.inner.as_ref().map_or(0, |inner| inner.indent)
    }

    /// The byte of the file that byte `at` of the values' text is.
    pub(super) fn file_offset(&self, at: usize) -> usize {
        match &self.inner {
            None => at,
            Some(inner) => {
                let line = inner.text.line_of(at);
                self.file.start_of(inner.first + line) + inner.indent + inner.text.column(at)
            }
        }
    }
}

impl Inner {
    /// Takes the indentation away, line by line, and proves that this is what the parser read.
    fn of(file: &Text, entry: &Entry, value: &str) -> Result<Self, Fault> {
        let refuse = |words: &str| fault_at(file, entry.key.start, "values", words);
        let Some((sample, sample_text)) =
            value.lines().enumerate().find(|(_, line)| !line.is_empty())
        else {
            return Err(refuse("the block scalar holds nothing"));
        };
        let between = file
            .text
            .get(entry.key.end..entry.value.start)
            .unwrap_or("");
        let Some(bar) = between.find('|') else {
            return Err(refuse("the `|` of the block scalar was not found"));
        };
        let first = file.line_of(entry.key.end + bar) + 1;
        let raw = |index: usize| file.line(first + index).trim_end_matches(['\r', '\n']);
        let indent = raw(sample).len().saturating_sub(sample_text.len());
        let mut text = String::with_capacity(value.len());
        for (index, line) in value.lines().enumerate() {
            let whole = raw(index);
            let end = &file.line(first + index)[whole.len()..];
            let content = if whole.len() > indent {
                let (before, content) = whole.split_at_checked(indent).unwrap_or(("?", ""));
                if before.bytes().any(|byte| byte != b' ') {
                    return Err(refuse(
                        "a line of the block scalar is not indented by spaces",
                    ));
                }
                content
            } else {
                ""
            };
            if content != line || (content.is_empty() && !whole.bytes().all(|byte| byte == b' ')) {
                return Err(refuse("the block scalar's lines cannot be told apart"));
            }
            text.push_str(content);
            text.push_str(end);
        }
        Ok(Self {
            text: Text::new(text),
            documents: Vec::new(),
            first,
            indent,
        })
    }

    /// Line and column in the file of byte `at` of the text.
    fn place(&self, text: &Text, at: usize) -> (usize, usize) {
        let (line, column) = place(text, at, 0);
        (self.first + line, self.indent + column)
    }
}

/// Line and column, from 1, the column in characters.
fn place(text: &Text, at: usize, indent: usize) -> (usize, usize) {
    let at = at.min(text.text.len());
    let line = text.line_of(at);
    let before = text.text.get(text.start_of(line)..at).unwrap_or("");
    (line + 1, indent + before.chars().count() + 1)
}

fn fault_at(text: &Text, at: usize, path: &str, words: &str) -> Fault {
    let (line, column) = place(text, at, 0);
    Fault {
        line,
        column,
        path: path.to_owned(),
        words: words.to_owned(),
    }
}

/// `["values", "environments", "[0]", "name"]` as `values.environments[0].name`.
fn join(path: &[String]) -> String {
    let mut joined = String::new();
    for part in path {
        if !part.starts_with('[') && !joined.is_empty() {
            joined.push('.');
        }
        joined.extend(part.escape_debug());
    }
    joined
}

/// What YAML does not allow in a text, or what readers of YAML do not agree about.
fn forbidden(text: &str) -> Option<(usize, &'static str)> {
    let bytes = text.as_bytes();
    let mut from = 0;
    // Nearly all of a file is printable ASCII: only the rest is looked at one by one.
    while let Some(next) = bytes[from..]
        .iter()
        .position(|byte| !matches!(byte, b' '..=b'~' | b'\n' | b'\t'))
    {
        let at = from + next;
        let character = text.get(at..)?.chars().next()?;
        match character {
            '\r' if bytes.get(at + 1) == Some(&b'\n') => {}
            '\r' => return Some((at, "a carriage return without a line feed")),
            BYTE_ORDER_MARK => return Some((at, "a byte order mark inside the file")),
            '\u{85}' | '\u{2028}' | '\u{2029}' => {
                return Some((
                    at,
                    "a line separator that only some readers of YAML break lines at",
                ));
            }
            '\u{fffe}' | '\u{ffff}' => return Some((at, "a character that YAML does not allow")),
            control if control.is_control() => {
                return Some((at, "a control character, which YAML does not allow"));
            }
            _ => {}
        }
        from = at + character.len_utf8();
    }
    None
}

/// Which document has the key `values`, and as which entry.
fn find_values(file: &Text, documents: &[Node]) -> Result<((usize, usize), Entry), Fault> {
    let mut found = None;
    for (document, node) in documents.iter().enumerate() {
        let Kind::Mapping { entries, .. } = &node.kind else {
            continue;
        };
        let mut entries = entries.iter().enumerate();
        let Some((index, entry)) = entries.find(|(_, entry)| entry.name() == Some("values")) else {
            continue;
        };
        if found.is_some() {
            let words = "a second document of the file has `values` too; which one is the order cannot be told";
            return Err(fault_at(file, entry.key.start, "values", words));
        }
        found = Some(((document, index), entry));
    }
    let missing = || fault_at(file, 0, "", "no key `values`: this is not a tenant order");
    let (place, entry) = found.ok_or_else(missing)?;
    Ok((place, entry.clone()))
}
