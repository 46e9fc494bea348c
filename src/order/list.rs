//! Lists: where their items stand, and how one more is written.

use super::editor::{Editor, Place};
use super::entries::{NewEntry, indented};
use super::fault::Fault;
use super::proof::Change;
use super::tree::{Entry, Kind, Node};

/// Puts an item at the end of the list at `place`, written as the one before it is.
pub(super) fn append(
    editor: &mut Editor<'_>,
    place: &Place<'_>,
    mut item: Vec<NewEntry>,
    indent: usize,
) -> Result<(), Fault> {
    let source = editor.source;
    let text = source.text();
    let refuse = |words: &str| source.fault(place.node.start, &place.keys, words);
    let braces = |item: &[NewEntry]| format!("{{{}}}", NewEntry::flows(item));
    let items = match &place.node.kind {
        Kind::Sequence { items, .. } => items.as_slice(),
        Kind::Scalar { .. } | Kind::Mapping { .. } | Kind::Alias(_) => &[],
    };
    match (&place.node.kind, items.last()) {
        (Kind::Sequence { flow: true, .. }, Some(last)) => {
            editor.replace(last.end..last.end, format!(", {}", braces(&item)));
        }
        (Kind::Sequence { .. }, Some(last)) => {
            let (line, column) = dash(editor, place, items.len() - 1)?;
            let mut offset = 2;
            if let Kind::Mapping {
                flow: false,
                entries,
            } = &last.kind
            {
                item.sort_by_key(|new| {
                    let same = |entry: &Entry| entry.name() == Some(new.key());
                    entries.iter().position(same).unwrap_or(usize::MAX)
                });
                if text.line_of(last.start) == line {
                    offset = text.column(last.start).saturating_sub(column);
                }
            }
            let lines = indented(&NewEntry::item(&item, offset), column);
            editor.insert_after(editor.room_after(last, &place.keys)?, &lines);
        }
        _ if place.in_flow => {
            let list = format!("[{}]", braces(&item));
            let to = Kind::Sequence {
                flow: true,
                items: vec![NewEntry::node(item)],
            };
            return editor.set_inline(place, &list, Node::intended(to));
        }
        _ => {
            let Some((entry, colon)) = place
                .entry
                .and_then(|entry| Some((entry, editor.colon(entry)?)))
            else {
                return Err(refuse("has no `:`"));
            };
            let end = colon.max(place.node.end);
            let between = text
                .text
                .get(colon..place.node.start.max(colon))
                .unwrap_or("?");
            if !editor.in_one_line(colon..end)
                || !between.trim_matches(' ').is_empty()
                || !editor.rest_is_blank(end)
            {
                return Err(refuse(
                    "is empty in a way that no schedule can be added to safely; write `schedules: []`",
                ));
            }
            let column = text.column(entry.key.start) + indent;
            let lines = indented(&NewEntry::item(&item, 2), column);
            if !place.node.is_empty() {
                editor.replace(colon..end, "");
            }
            editor.insert_after(text.line_of(entry.key.start), &lines);
            let to = Kind::Sequence {
                flow: false,
                items: vec![NewEntry::node(item)],
            };
            editor.change(Change::Set {
                path: place.path.clone(),
                to: Node::intended(to),
            });
            return Ok(());
        }
    }
    editor.change(Change::Insert {
        path: place.path.clone(),
        index: items.len(),
        key: "",
        value: NewEntry::node(item),
    });
    Ok(())
}

/// Line and column of the dash of an item of the block list at `place`.
pub(super) fn dash(
    editor: &Editor<'_>,
    place: &Place<'_>,
    index: usize,
) -> Result<(usize, usize), Fault> {
    let text = editor.source.text();
    let items = match &place.node.kind {
        Kind::Sequence { items, .. } => items.as_slice(),
        Kind::Scalar { .. } | Kind::Mapping { .. } | Kind::Alias(_) => &[],
    };
    let above = match index.checked_sub(1).and_then(|index| items.get(index)) {
        Some(previous) => editor.last_line(previous) + 1,
        None => place
            .entry
            .map_or(0, |entry| text.line_of(entry.key.start) + 1),
    };
    let start = items.get(index).map_or(place.node.start, |item| item.start);
    let found = (above..=text.line_of(start)).rev().find_map(|line| {
        let whole = text.line(line);
        let trimmed = whole.trim_start_matches(' ');
        trimmed
            .starts_with('-')
            .then_some((line, whole.len() - trimmed.len()))
    });
    let words = "is not written as a list with a line for each `-`";
    found.ok_or_else(|| editor.source.fault(start, &place.keys, words))
}

/// How much deeper than their key the dashes of the order's other lists stand.
pub(super) fn list_indent(editor: &Editor<'_>) -> Option<usize> {
    let values = editor.values().ok()?;
    let list = editor.child(&values, "environments").ok()??;
    let Kind::Sequence { flow: false, items } = &list.node.kind else {
        return None;
    };
    let (_, column) = dash(editor, &list, 0).ok().filter(|_| !items.is_empty())?;
    column.checked_sub(editor.source.text().column(list.entry?.key.start))
}
