//! Garbage collection: what nobody owns any more goes, and an owner that is
//! deleted in the foreground or with orphaned dependents ends as it should.

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::DeleteParams;
use serde_json::json;

use super::Task;
use super::mirror::{Change, Mirror, Object};
use super::queue::Sender;

const FOREGROUND: &str = "foregroundDeletion";
const ORPHAN: &str = "orphan";

/// Queues the objects whose owners or dependents have changed.
pub(super) fn route(mirror: &Mirror, change: &Change, to: &Sender<Task>) {
    match (&change.before, &change.after) {
        (before, Some(after)) => {
            let known = before.as_ref().is_some_and(|before| {
                before.body.metadata.owner_references == after.body.metadata.owner_references
                    && before.deleting() == after.deleting()
            });
            let concerned = after.deleting() || after.body.metadata.owner_references.is_some();
            if concerned && !known {
                to.add(Task::Collect(after.uid().to_owned()));
            }
        }
        (Some(before), None) => {
            for dependent in mirror.dependents(before.uid()) {
                to.add(Task::Collect(dependent.uid().to_owned()));
            }
            for owner in before.body.metadata.owner_references.iter().flatten() {
                to.add(Task::Collect(owner.uid.clone()));
            }
        }
        (None, None) => {}
    }
}

/// What there is to say about one owner of an object.
enum Owner {
    Solid,
    /// It is being deleted in the foreground and waits for its dependents.
    Waiting,
    Absent,
}

pub(super) async fn collect(mirror: &Mirror, uid: &str) -> kube::Result<()> {
    let Some(object) = mirror.by_uid(uid) else {
        return Ok(());
    };
    if object.deleting() {
        return end_owner(mirror, &object).await;
    }
    let owners = object.body.metadata.owner_references.iter().flatten();
    let (mut solid, mut waiting, mut absent) = (Vec::new(), false, false);
    for owner in owners {
        match look_up(mirror, &object, owner).await? {
            Owner::Solid => solid.push(owner),
            Owner::Waiting => waiting = true,
            Owner::Absent => absent = true,
        }
    }
    if !waiting && !absent {
        return Ok(());
    }
    if !solid.is_empty() {
        mirror
            .patch(&object, json!({"metadata": {"ownerReferences": solid}}))
            .await?;
        return Ok(());
    }
    let blocked = mirror
        .dependents(uid)
        .iter()
        .any(|dependent| blocks(dependent, uid));
    let how = if object.has_finalizer(ORPHAN) {
        DeleteParams::orphan()
    } else if object.has_finalizer(FOREGROUND) || (waiting && blocked) {
        DeleteParams::foreground()
    } else {
        DeleteParams::background()
    };
    mirror.delete(&object, how).await
}

async fn look_up(mirror: &Mirror, object: &Object, owner: &OwnerReference) -> kube::Result<Owner> {
    let (group, _) = owner.api_version.split_once('/').unwrap_or(("", ""));
    let Some(kind) = mirror.kind(group, &owner.kind) else {
        // The garbage collector deletes nothing on the word of a kind that it
        // cannot look up.
        return Ok(Owner::Solid);
    };
    if let Some(live) = mirror.by_uid(&owner.uid) {
        let reachable = !kind.namespaced || live.namespace() == object.namespace();
        return Ok(match reachable {
            true if live.deleting() && live.has_finalizer(FOREGROUND) => Owner::Waiting,
            true => Owner::Solid,
            false => Owner::Absent,
        });
    }
    let api = mirror.api(&kind, object.namespace());
    let live = api.get_metadata_opt(&owner.name).await?;
    let same = live.is_some_and(|live| live.metadata.uid.as_deref() == Some(&owner.uid));
    Ok(if same { Owner::Solid } else { Owner::Absent })
}

/// What the finalizers of the garbage collector on a deleted owner ask for.
async fn end_owner(mirror: &Mirror, owner: &Arc<Object>) -> kube::Result<()> {
    let dependents = mirror.dependents(owner.uid());
    if owner.has_finalizer(ORPHAN) {
        for dependent in dependents {
            let refs = dependent.body.metadata.owner_references.iter().flatten();
            let others: Vec<_> = refs.filter(|other| other.uid != owner.uid()).collect();
            mirror
                .patch(&dependent, json!({"metadata": {"ownerReferences": others}}))
                .await?;
        }
        return finish(mirror, owner, ORPHAN).await;
    }
    if owner.has_finalizer(FOREGROUND) {
        if !dependents.iter().any(|other| blocks(other, owner.uid())) {
            return finish(mirror, owner, FOREGROUND).await;
        }
        for dependent in dependents {
            if !dependent.deleting() {
                Box::pin(collect(mirror, dependent.uid())).await?;
            }
        }
    }
    Ok(())
}

async fn finish(mirror: &Mirror, owner: &Object, finalizer: &str) -> kube::Result<()> {
    let rest = owner.finalizers_without(finalizer);
    let patch = json!({"metadata": {
        "finalizers": rest,
        "resourceVersion": owner.body.metadata.resource_version,
    }});
    ignore_gone(mirror.patch(owner, patch).await.map(drop))
}

fn blocks(dependent: &Object, owner: &str) -> bool {
    let mut refs = dependent.body.metadata.owner_references.iter().flatten();
    refs.any(|other| other.uid == owner && other.block_owner_deletion == Some(true))
}

/// Takes "not found" for done.
pub(super) fn ignore_gone(outcome: kube::Result<()>) -> kube::Result<()> {
    match outcome {
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
        other => other,
    }
}
