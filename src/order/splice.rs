//! Bytes: whole lines come and go, and parts of a line are replaced; then the result is proven.

use std::ops::Range;

use super::Edit;
use super::editor::Editor;
use super::fault::OrderError;
use super::proof::{self, Change};

/// Bytes of the file, and what comes in their place.
#[derive(Debug)]
pub(super) struct Splice {
    range: Range<usize>,
    text: String,
}

impl Editor<'_> {
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
