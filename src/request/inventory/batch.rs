//! Which objects are deleted next.

use jiff::Timestamp;

use super::fates::{Owners, fates};
use super::{Fate, InventorySummary, LiveObject, Ownership, Stage};

/// The creation of the youngest object that would be deleted by itself, and not
/// along with its owner: those are the ones that the digest is over.
pub fn youngest(objects: &[LiveObject], ownership: &Ownership) -> Option<Timestamp> {
    let owners = Owners::of(objects);
    fates(&owners, ownership)
        .iter()
        .enumerate()
        .filter(|(index, fate)| matches!(fate, Fate::Delete(_)) && !owners.has(*index))
        .map(|(index, _)| objects[index].created)
        .max()
}

/// What to do next while clearing.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    /// Nothing is left that would be deleted.
    Empty,
    /// Delete these: they are of the first stage that has any left, were
    /// approved, and are older than the cutoff.
    Delete(Vec<LiveObject>),
    /// Deletions are under way; wait for these.
    Terminating(Vec<String>),
    /// These may not be deleted: they are of a kind that nobody approved, or
    /// appeared after the approval.
    Foreign(Vec<String>),
}

/// Picks the next batch of at most `size` objects (S4, S6).
///
/// `approved` is the inventory that the approval is bound to, `cutoff` the
/// creation of its youngest object: what is younger was not approved. An object
/// that is deleted along with its owner is left to the garbage collector; if its
/// owner is gone already it is waited for, unless it is old enough to be deleted.
pub fn next_batch(
    objects: &[LiveObject],
    ownership: &Ownership,
    approved: &InventorySummary,
    cutoff: Timestamp,
    size: usize,
) -> Next {
    let owners = Owners::of(objects);
    let fates = fates(&owners, ownership);
    let mut stages: Vec<Option<Stage>> = fates
        .iter()
        .map(|fate| match fate {
            Fate::Delete(stage) => Some(*stage),
            Fate::Keep(_) => None,
        })
        .collect();
    // What keeps pods alive, be it through others, goes no later than workloads:
    // claims wait for their pods, and pods for their owner.
    for (index, fate) in fates.iter().enumerate() {
        if matches!(fate, Fate::Delete(stage) if *stage <= Stage::Pods) {
            for owner in owners.above(index) {
                stages[owner] = stages[owner].map(|stage| stage.min(Stage::Workloads));
            }
        }
    }
    let doomed: Vec<(Stage, usize)> = stages
        .iter()
        .enumerate()
        .filter_map(|(index, stage)| stage.map(|stage| (stage, index)))
        .collect();
    let own: Vec<(Stage, &LiveObject)> = doomed
        .iter()
        .filter(|(_, index)| !owners.has(*index))
        .map(|&(stage, index)| (stage, &objects[index]))
        .collect();
    let is_approved = |object: &LiveObject| {
        object.created <= cutoff && approved.delete.contains_key(&object.kind_key())
    };
    let foreign: Vec<String> = own
        .iter()
        .filter(|(_, object)| {
            !object.terminating && object.controller.is_none() && !is_approved(object)
        })
        .map(|(_, object)| object.to_string())
        .collect();
    if !foreign.is_empty() {
        return Next::Foreign(foreign);
    }
    let Some(first) = own.iter().map(|(stage, _)| *stage).min() else {
        // Owners in a ring, if anything: they are waited for, and a person is told.
        return if doomed.is_empty() {
            Next::Empty
        } else {
            Next::Terminating(
                doomed
                    .iter()
                    .map(|&(_, index)| in_words(&objects[index]))
                    .collect(),
            )
        };
    };
    let stage = || {
        own.iter()
            .filter(|(stage, _)| *stage == first)
            .map(|(_, object)| *object)
    };
    let batch: Vec<LiveObject> = stage()
        .filter(|object| !object.terminating && is_approved(object))
        .take(size.max(1))
        .cloned()
        .collect();
    if batch.is_empty() {
        Next::Terminating(stage().map(in_words).collect())
    } else {
        Next::Delete(batch)
    }
}

fn in_words(object: &LiveObject) -> String {
    if object.finalizers.is_empty() {
        object.to_string()
    } else {
        format!("{object} (finalizer {})", object.finalizers.join(", "))
    }
}
