//! Backup schedules: add, change, remove.

use super::Edit;
use super::cron::Cron;
use super::duration::Ttl;
use super::editor::{Editor, Place};
use super::entries::{NewEntry, Where};
use super::fault::{Fault, OrderError};
use super::list::{append, dash, list_indent};
use super::name::ScheduleName;
use super::proof::Change;
use super::read;
use super::scalar::{quoted, style, value};
use super::source::Source;
use super::tree::{Kind, Node, Style};
use super::{Order, Schedule};

/// What a first schedule writes as `backuplabel` where there is none.
pub const DEFAULT_BACKUPLABEL: &str = "backupresource: true";

/// How long Velero's timestamp is, as in `poseidon1-daily-20260102010000`.
const TIMESTAMP: usize = 14;

/// What to change of a schedule; `None` stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScheduleChange {
    pub name: Option<ScheduleName>,
    pub cron: Option<Cron>,
    pub ttl: Option<Ttl>,
}

/// Adds a schedule at the end of the list. A first one also gets `take_backup: true` and a
/// `backuplabel`, where they are missing. Nothing is done when the same schedule is there already.
///
/// # Errors
/// The order cannot be read, there is another schedule of this name, the name is too long for the
/// tenant, or the edit cannot be made without touching something else.
pub fn schedule_add(
    text: &str,
    name: &ScheduleName,
    cron: &Cron,
    ttl: Option<Ttl>,
) -> Result<Edit, OrderError> {
    let source = Source::parse(text)?;
    let order = read::read(&source)?;
    let mut editor = Editor::new(&source);
    let place = editor.values()?;
    if let Some(index) = find(&source, &order, name)? {
        let known = &order.backup.schedules[index];
        if is_cron(known, cron) && ttl.is_none_or(|ttl| is_ttl(known, ttl)) {
            return Ok(editor.nothing());
        }
        let words = format!("there is a schedule `{name}` already; change it instead");
        return Err(fault(&source, index, words).into());
    }
    fits(&source, &order, name)?;
    let quote = |text: &str| quoted(text, Style::Double, false);
    let text = |text: &str| {
        Node::intended(Kind::Scalar {
            text: text.to_owned(),
            style: Style::Double,
        })
    };
    let step = editor.step();
    let mut item = vec![
        NewEntry::scalar(
            "schedule",
            &quote(&cron.to_string()),
            text(&cron.to_string()),
        ),
        NewEntry::scalar(
            "name",
            &name.written(Style::Plain),
            value(name.as_str(), &name.written(Style::Plain)),
        ),
    ];
    if let Some(ttl) = ttl {
        item.push(NewEntry::scalar(
            "ttl",
            &ttl.to_string(),
            Node::plain(&ttl.to_string()),
        ));
    }
    let dash = list_indent(&editor).unwrap_or(step);
    let list = |item| NewEntry::list("schedules", item, dash, 2);
    let take = NewEntry::scalar("take_backup", "true", Node::plain("true"));
    let label = NewEntry::scalar(
        "backuplabel",
        &quote(DEFAULT_BACKUPLABEL),
        text(DEFAULT_BACKUPLABEL),
    );
    let backup = match editor.child(&place, "backup")? {
        None => {
            let backup = NewEntry::mapping("backup", vec![take, label, list(item)], step);
            editor.insert(&place, vec![backup], Where::Last)?;
            return editor.finish();
        }
        Some(backup) if backup.node.is_null() => {
            editor.fill(&backup, vec![take, label, list(item)])?;
            return editor.finish();
        }
        Some(backup) => backup,
    };
    let mut missing = Vec::new();
    if order.backup.schedules.is_empty() {
        match editor.child(&backup, "take_backup")? {
            None => missing.push(take),
            Some(flag) if !order.backup.take_backup.value => {
                editor.set(&flag, "true", Node::plain("true"))?;
            }
            Some(_) => {}
        }
        match editor.child(&backup, "backuplabel")? {
            None => missing.push(label),
            Some(place) if !order.backup.is_labelled() => {
                editor.set(
                    &place,
                    &quote(DEFAULT_BACKUPLABEL),
                    text(DEFAULT_BACKUPLABEL),
                )?;
            }
            Some(_) => {}
        }
    }
    match editor.child(&backup, "schedules")? {
        None if matches!(backup.node.kind, Kind::Mapping { flow: true, .. }) => {
            missing.push(list(item));
        }
        None => editor.insert(&backup, vec![list(item)], Where::Last)?,
        Some(schedules) => append(&mut editor, &schedules, item, dash)?,
    }
    if !missing.is_empty() {
        editor.insert(&backup, missing, Where::First)?;
    }
    editor.finish()
}

/// Changes a schedule's name, cron or ttl. Nothing is done when it is so already, also under the new name.
///
/// # Errors
/// As [`schedule_add`]; and there is no such schedule, or one of the new name.
pub fn schedule_change(
    text: &str,
    name: &ScheduleName,
    change: &ScheduleChange,
) -> Result<Edit, OrderError> {
    let source = Source::parse(text)?;
    let order = read::read(&source)?;
    let mut editor = Editor::new(&source);
    let renamed = change.name.as_ref().filter(|new| *new != name);
    let taken = match renamed {
        Some(new) => find(&source, &order, new)?,
        None => None,
    };
    let Some(index) = find(&source, &order, name)? else {
        if let Some(done) = taken.map(|index| &order.backup.schedules[index])
            && change.cron.as_ref().is_none_or(|cron| is_cron(done, cron))
            && change.ttl.is_none_or(|ttl| is_ttl(done, ttl))
        {
            return Ok(editor.nothing());
        }
        return Err(none(&source, &order, name).into());
    };
    if let (Some(taken), Some(new)) = (taken, renamed) {
        return Err(fault(
            &source,
            taken,
            format!("there is a schedule `{new}` already"),
        )
        .into());
    }
    let known = &order.backup.schedules[index];
    let item = locate(&editor, index)?;
    if let Some(new) = renamed {
        fits(&source, &order, new)?;
        let place = required(&editor, &item, "name")?;
        let word = new.written(style(place.node));
        editor.set(&place, &word, value(new.as_str(), &word))?;
    }
    if let Some(cron) = change.cron.as_ref().filter(|cron| !is_cron(known, cron)) {
        let place = required(&editor, &item, "schedule")?;
        let text = cron.to_string();
        let word = quoted(&text, style(place.node), false);
        editor.set(&place, &word, value(&text, &word))?;
    }
    if let Some(ttl) = change.ttl.filter(|ttl| !is_ttl(known, *ttl)) {
        let text = ttl.to_string();
        if let Some(place) = editor.child(&item, "ttl")? {
            let word = quoted(&text, style(place.node), true);
            editor.set(&place, &word, value(&text, &word))?;
        } else {
            let entry = NewEntry::scalar("ttl", &text, Node::plain(&text));
            editor.insert(&item, vec![entry], Where::Last)?;
        }
    }
    editor.finish()
}

/// Removes a schedule, with the comments inside of it. Nothing is done when there is none.
///
/// # Errors
/// The order cannot be read, or the edit cannot be made without touching something else.
pub fn schedule_remove(text: &str, name: &ScheduleName) -> Result<Edit, OrderError> {
    let source = Source::parse(text)?;
    let order = read::read(&source)?;
    let mut editor = Editor::new(&source);
    let Some(index) = find(&source, &order, name)? else {
        return Ok(editor.nothing());
    };
    let item = locate(&editor, index)?;
    if editor.is_referred_to(item.node) {
        let words =
            "holds an anchor that an alias refers to: without it that place would have no value";
        return Err(source.fault(item.node.start, &item.keys, words).into());
    }
    let schedules = schedules(&editor)?;
    let Kind::Sequence { flow, items } = &schedules.node.kind else {
        return Err(none(&source, &order, name).into());
    };
    if *flow {
        let range = editor.flow_member(
            index.checked_sub(1).map(|index| items[index].end),
            item.node.start..item.node.end,
            items.get(index + 1).map(|next| next.start),
        );
        if !editor.in_one_line(range.clone()) {
            let words = "is in a flow list that is written over several lines; write it in one before it is edited";
            return Err(source.fault(item.node.start, &item.keys, words).into());
        }
        editor.replace(range, "");
    } else {
        let (first, _) = dash(&editor, &schedules, index)?;
        let last = editor.last_line(item.node);
        if items.len() == 1 {
            let colon = schedules.entry.and_then(|entry| editor.colon(entry));
            let Some(colon) = colon.filter(|colon| editor.rest_is_blank(*colon)) else {
                let words = "has an anchor; its last schedule cannot be removed safely";
                return Err(source
                    .fault(schedules.node.start, &schedules.keys, words)
                    .into());
            };
            editor.replace(colon..colon, " []");
        }
        editor.remove_lines(first..last + 1);
    }
    let emptied = items.len() == 1;
    editor.change(if emptied {
        Change::Set {
            path: schedules.path,
            to: Node::intended(Kind::Sequence {
                flow: true,
                items: Vec::new(),
            }),
        }
    } else {
        Change::Remove {
            path: schedules.path,
            index,
        }
    });
    editor.finish()
}

/// The list of schedules.
fn schedules<'s>(editor: &Editor<'s>) -> Result<Place<'s>, Fault> {
    let values = editor.values()?;
    let backup = required(editor, &values, "backup")?;
    required(editor, &backup, "schedules")
}

fn locate<'s>(editor: &Editor<'s>, index: usize) -> Result<Place<'s>, Fault> {
    let list = schedules(editor)?;
    let missing = || {
        editor
            .source
            .fault(list.node.start, &list.keys, "the schedule was not found")
    };
    editor.item(&list, index)?.ok_or_else(missing)
}

fn required<'s>(editor: &Editor<'s>, place: &Place<'s>, name: &str) -> Result<Place<'s>, Fault> {
    let missing = || {
        let keys = format!("{}.{name}", place.keys);
        editor.source.fault(place.node.start, &keys, "is missing")
    };
    editor.child(place, name)?.ok_or_else(missing)
}

/// Which schedule has this name? Refused when several have.
fn find(source: &Source, order: &Order, name: &ScheduleName) -> Result<Option<usize>, Fault> {
    let mut found = None;
    for (index, schedule) in order.backup.schedules.iter().enumerate() {
        if schedule.name == name.as_str() {
            if found.is_some() {
                let words = format!(
                    "there are several schedules called `{name}`; which one is meant cannot be told"
                );
                return Err(fault(source, index, words));
            }
            found = Some(index);
        }
    }
    Ok(found)
}

/// A fault at a schedule.
fn fault(source: &Source, index: usize, words: String) -> Fault {
    let keys = format!("values.backup.schedules[{index}]");
    let editor = Editor::new(source);
    let at = locate(&editor, index).map_or(source.values().start, |item| item.node.start);
    source.fault(at, &keys, words)
}

fn none(source: &Source, order: &Order, name: &ScheduleName) -> Fault {
    let names: Vec<_> = order
        .backup
        .schedules
        .iter()
        .map(|schedule| schedule.name.as_str())
        .collect();
    let known = if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    };
    let words = format!("there is no schedule `{name}`; there is {known}");
    let editor = Editor::new(source);
    let at = schedules(&editor).map_or(source.values().start, |list| list.node.start);
    source.fault(at, "values.backup.schedules", words)
}

/// Is `<tenant>-<name>-<timestamp>`, the name of its backups, short enough for a label?
fn fits(source: &Source, order: &Order, name: &ScheduleName) -> Result<(), Fault> {
    let room = 63_usize.saturating_sub(order.tenant.len() + 2 + TIMESTAMP);
    if name.as_str().len() <= room {
        return Ok(());
    }
    let words = format!(
        "the name `{name}` is too long: with `{}-` before it and Velero's timestamp after it, it may have {room} characters",
        order.tenant
    );
    Err(source.fault(source.values().start, "values.backup.schedules", words))
}

fn is_cron(known: &Schedule, cron: &Cron) -> bool {
    known.cron == cron.to_string()
}

fn is_ttl(known: &Schedule, ttl: Ttl) -> bool {
    known
        .ttl
        .as_deref()
        .is_some_and(|known| Ttl::parse_written(known) == Ok(ttl))
}
