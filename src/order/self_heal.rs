//! Self-heal off, and back to what it was.

use super::Edit;
use super::editor::{Editor, Place};
use super::entries::{NewEntry, Where};
use super::fault::{Fault, OrderError};
use super::proof::Change;
use super::read::{self, boolean};
use super::source::Source;
use super::tree::{Kind, Node};

/// The keys from the values down to the flag.
const CHAIN: [AbsentKey; 3] = [
    AbsentKey::Argocd,
    AbsentKey::SyncPolicy,
    AbsentKey::SelfHeal,
];

/// A key that an order may leave out on the way to `argocd.syncPolicy.selfHeal`.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub enum AbsentKey {
    Argocd,
    SyncPolicy,
    SelfHeal,
}

impl AbsentKey {
    fn name(self) -> &'static str {
        match self {
            Self::Argocd => "argocd",
            Self::SyncPolicy => "syncPolicy",
            Self::SelfHeal => "selfHeal",
        }
    }
}

/// What stood at `argocd.syncPolicy.selfHeal` before self-heal was turned off.
///
/// Three cases: `value` is the flag that was written; or `absent` names the keys that were not there;
/// or there are neither, and `selfHeal` stood there with `word`, a word for nothing.
#[derive(
    Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SelfHealRecord {
    /// The flag that was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<bool>,
    /// The keys that were absent, outermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub absent: Vec<AbsentKey>,
    /// The word that was written, where it is not plain `true` or `false`: `True`;
    /// or the word for nothing that stood in the place of what was inserted: ``, `~` or `null`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub word: Option<String>,
}

impl SelfHealRecord {
    fn of_value(word: &str) -> Self {
        Self {
            value: boolean(word),
            absent: Vec::new(),
            word: (!matches!(word, "true" | "false")).then(|| word.to_owned()),
        }
    }

    /// A record comes from outside: is it one that [`self_heal_off`] may have made?
    fn check(&self) -> Result<(), &'static str> {
        let nothing = |word: &str| matches!(word, "" | "~" | "null" | "Null" | "NULL");
        let whole = match (self.value, self.word.as_deref()) {
            (Some(value), Some(word)) => boolean(word) == Some(value),
            (None, Some(word)) => nothing(word),
            (value, None) => value.is_some() || !self.absent.is_empty(),
        };
        if !whole {
            return Err(
                "the record does not say what stood there: its `value`, `absent` and `word` do not fit",
            );
        }
        if self.value.is_some() && !self.absent.is_empty() {
            return Err("the record says both that the flag was written and that it was absent");
        }
        if !CHAIN.ends_with(&self.absent) {
            return Err(
                "the record's `absent` must end in argocd, syncPolicy, selfHeal, in this order",
            );
        }
        Ok(())
    }
}

/// Turns self-heal off. Returns the edited file, and what stood there before.
///
/// # Errors
/// The order cannot be read, or the edit cannot be made without touching something else.
pub fn self_heal_off(text: &str) -> Result<(Edit, SelfHealRecord), OrderError> {
    let source = Source::parse(text)?;
    read::read(&source)?;
    set(Editor::new(&source), false, "false")
}

/// Turns self-heal back to what the record says: the flag as it was written, or without the keys that
/// were inserted. What a person has added since then stays.
///
/// # Errors
/// The order cannot be read, the record is none, or the edit cannot be made without touching something else.
pub fn self_heal_restore(text: &str, record: &SelfHealRecord) -> Result<Edit, OrderError> {
    let source = Source::parse(text)?;
    read::read(&source)?;
    let editor = Editor::new(&source);
    if let Err(words) = record.check() {
        return Err(source.file_fault(0, "", words).into());
    }
    let word = record.word.as_deref();
    match record.value {
        Some(value) => {
            let plain = if value { "true" } else { "false" };
            Ok(set(editor, value, word.unwrap_or(plain))?.0)
        }
        None if record.absent.is_empty() => clear(editor, word.unwrap_or("")),
        None => take_out(editor, &record.absent, word),
    }
}

/// Writes the flag, inserting whatever is missing on the way.
fn set(
    mut editor: Editor<'_>,
    value: bool,
    word: &str,
) -> Result<(Edit, SelfHealRecord), OrderError> {
    let mut place = editor.values()?;
    for (depth, key) in CHAIN.into_iter().enumerate() {
        match editor.child(&place, key.name())? {
            Some(child) if !child.node.is_null() => place = child,
            Some(child) => {
                let rest = &CHAIN[depth + 1..];
                let before = child.node.scalar().map_or("", |(text, _)| text);
                let record = SelfHealRecord {
                    value: None,
                    absent: rest.to_vec(),
                    // An empty value that gets lines below it is empty again without them.
                    word: (!before.is_empty() || rest.is_empty() || child.in_flow)
                        .then(|| before.to_owned()),
                };
                match nested(rest, word, editor.step()) {
                    Some(entry) => editor.fill(&child, vec![entry])?,
                    None => editor.set(&child, word, Node::plain(word))?,
                }
                return Ok((editor.finish()?, record));
            }
            None => {
                let rest = &CHAIN[depth..];
                let to = if depth == 0 {
                    Where::Last
                } else {
                    Where::First
                };
                let entry = nested(rest, word, editor.step());
                editor.insert(&place, entry.into_iter().collect(), to)?;
                let record = SelfHealRecord {
                    absent: rest.to_vec(),
                    ..SelfHealRecord::default()
                };
                return Ok((editor.finish()?, record));
            }
        }
    }
    let Some((before, _)) = place.node.scalar() else {
        let words = format!("must be true or false, is {}", place.node.describe());
        return Err(editor
            .source
            .fault(place.node.start, &place.keys, words)
            .into());
    };
    let record = SelfHealRecord::of_value(before);
    if boolean(before) == Some(value) {
        return Ok((editor.nothing(), record));
    }
    editor.set(&place, word, Node::plain(word))?;
    Ok((editor.finish()?, record))
}

/// `rest` and below them the flag, as one entry; `None` when there is no key left.
fn nested(rest: &[AbsentKey], word: &str, step: usize) -> Option<NewEntry> {
    let (last, above) = rest.split_last()?;
    let flag = NewEntry::scalar(last.name(), word, Node::plain(word));
    Some(above.iter().rev().fold(flag, |inner, key| {
        NewEntry::mapping(key.name(), vec![inner], step)
    }))
}

/// Leaves `selfHeal` without a value again.
fn clear(mut editor: Editor<'_>, word: &str) -> Result<Edit, OrderError> {
    let Some(place) = chain(&editor)?.into_iter().nth(CHAIN.len()) else {
        return Ok(editor.nothing());
    };
    if place.node.is_null() {
        return Ok(editor.nothing());
    }
    let Some(colon) = place.entry.and_then(|entry| editor.colon(entry)) else {
        return Err(editor
            .source
            .fault(place.node.start, &place.keys, "has no `:`")
            .into());
    };
    if word.is_empty() {
        editor.replace(colon..place.node.end, "");
    } else {
        editor.replace(place.node.start..place.node.end, word);
    }
    editor.change(Change::Set {
        path: place.path,
        to: Node::plain(word),
    });
    editor.finish()
}

/// The values, and as many of the keys below them as are there.
fn chain<'s>(editor: &Editor<'s>) -> Result<Vec<Place<'s>>, Fault> {
    let mut places = vec![editor.values()?];
    for key in CHAIN {
        let Some(last) = places.last() else { break };
        let Kind::Mapping { entries, .. } = &last.node.kind else {
            break;
        };
        if !entries.iter().any(|entry| entry.name() == Some(key.name())) {
            break;
        }
        let Some(child) = editor.child(last, key.name())? else {
            break;
        };
        places.push(child);
    }
    Ok(places)
}

/// Takes the inserted keys out again, as far as nothing else has come to stand in them.
fn take_out(
    mut editor: Editor<'_>,
    absent: &[AbsentKey],
    word: Option<&str>,
) -> Result<Edit, OrderError> {
    let places = chain(&editor)?;
    let outermost = CHAIN.len() - absent.len() + 1;
    let deepest = places.len() - 1;
    let members = |node: &Node| match &node.kind {
        Kind::Mapping { entries, .. } => entries.len(),
        Kind::Scalar { .. } if node.is_null() => 0,
        Kind::Scalar { .. } | Kind::Sequence { .. } | Kind::Alias(_) => 1,
    };
    if deepest < outermost || (deepest < CHAIN.len() && members(places[deepest].node) > 0) {
        return Ok(editor.nothing());
    }
    let mut target = deepest;
    while target > outermost && members(places[target - 1].node) == 1 {
        target -= 1;
    }
    let parent = &places[target - 1];
    match (&parent.node.kind, word) {
        // Something stood in the place of this mapping: it comes back.
        (
            Kind::Mapping {
                flow: true,
                entries,
            },
            Some(word),
        ) if target == outermost && entries.len() == 1 => {
            let start = match parent.entry.and_then(|entry| editor.colon(entry)) {
                Some(colon) if word.is_empty() => colon,
                _ => parent.node.start,
            };
            editor.replace(start..parent.node.end, word);
            editor.change(Change::Set {
                path: parent.path.clone(),
                to: Node::plain(word),
            });
        }
        _ => {
            editor.remove_entry(parent, &places[target..])?;
        }
    }
    editor.finish()
}
