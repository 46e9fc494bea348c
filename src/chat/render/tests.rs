use super::*;
use crate::chat::samples::{
    approved, asked, at, checked, context, in_phase, person, pull, run, stuck,
};
use crate::chat::words::put;
use crate::chat::{Card, Message};
use crate::request::resource::*;

fn card(request: &RestoreRequest) -> String {
    render(request, &context()).card.text()
}

fn messages(request: &RestoreRequest) -> String {
    let thread = render(request, &context());
    let mut keys: Vec<_> = thread.messages.iter().map(|message| &message.key).collect();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), thread.messages.len(), "a key is there twice");
    let mut text = String::new();
    for Message {
        key,
        at,
        text: words,
        ask,
        asks: _,
        file: _,
    } in &thread.messages
    {
        let ask = if *ask { " (ask)" } else { "" };
        put(
            &mut text,
            format_args!("{} {key}{ask}: {words}\n", at.strftime("%M:%S")),
        );
    }
    text
}

#[test]
fn a_card_for_every_phase() {
    let cards: Vec<String> = Phase::ALL
        .into_iter()
        .map(|phase| format!("== {phase:?}\n{}", card(&in_phase(phase))))
        .collect();
    insta::assert_snapshot!(cards.join("\n\n"), @"
    == Checking
    **Restore of `poseidon1-dev` and `poseidon1-test` (`poseidon1-7k2p9`)**
    Being checked: backup, order, cluster and what would be deleted. Nothing is touched.
    **What**: `poseidon1-dev` and `poseidon1-test` of the tenant `poseidon1`
    **From**: the backup of schedule `daily` for `2026-11-23`
    **Asked by**: Anna, 2026-11-24 08:00 UTC
    **Why**: the migration broke the orders
    **Next**: a pull request that turns self-heal off, and a reviewer's approval

    == AwaitingApproval
    **Restore of `poseidon1-dev` and `poseidon1-test` (`poseidon1-7k2p9`)**
    Waiting for a reviewer's approval of exactly this (digest `039b9f8a`). Nothing is touched.
    **What**: `poseidon1-dev` and `poseidon1-test` of the tenant `poseidon1`
    **From**: backup `poseidon1-daily-20261123010000` of 2026-11-23 01:00 UTC of the schedule `poseidon1-daily` (31 hours old, 61 objects, 3.0 MiB of volume data), kept until 2026-11-30 01:00 UTC
    **Asked by**: Anna, 2026-11-24 08:00 UTC
    **Why**: the migration broke the orders
    **Checks**:
    - namespaces: poseidon1-dev and poseidon1-test belong to the tenant
    - storage location: default is Available
    **Held against the backup**:
    - comes back: 3 `ConfigMap`, 3 `apps/Deployment`
    - is lost for good: 1 `ConfigMap`
    - returns from the past: 2 `Secret`
    **Would be deleted**:
    - 10 objects: 4 `ConfigMap`, 2 `PersistentVolumeClaim`, 3 `apps/Deployment`, 1 `example.com/Bucket`
    - with its data: claim `poseidon1-dev/data` of 10Gi
    - with its data: claim `poseidon1-test/data`
    - look closely at `example.com/Bucket`: custom kinds, which may stand for something outside the cluster
    - kept, as the platform's: 8 objects
    **Pull requests**: #7, self-heal off, open: https://git.example.com/platform/infra-ocp4-tenants/pull/7
    **Next**: once approved: self-heal off, Argo CD quiet, a safety backup, clearing, the restore, self-heal on again

    == Pausing
    **Restore of `poseidon1-dev` and `poseidon1-test` (`poseidon1-7k2p9`)**
    Approved. Self-heal is being turned off by merging the pull request.
    **What**: `poseidon1-dev` and `poseidon1-test` of the tenant `poseidon1`
    **From**: backup `poseidon1-daily-20261123010000` of 2026-11-23 01:00 UTC of the schedule `poseidon1-daily` (31 hours old, 61 objects, 3.0 MiB of volume data), kept until 2026-11-30 01:00 UTC
    **Asked by**: Anna, 2026-11-24 08:00 UTC
    **Why**: the migration broke the orders
    **Approved by**: Ravi in chat, 2026-11-24 08:00 UTC
    **Checks**:
    - namespaces: poseidon1-dev and poseidon1-test belong to the tenant
    - storage location: default is Available
    **Held against the backup**:
    - comes back: 3 `ConfigMap`, 3 `apps/Deployment`
    - is lost for good: 1 `ConfigMap`
    - returns from the past: 2 `Secret`
    **Would be deleted**:
    - 10 objects: 4 `ConfigMap`, 2 `PersistentVolumeClaim`, 3 `apps/Deployment`, 1 `example.com/Bucket`
    - with its data: claim `poseidon1-dev/data` of 10Gi
    - with its data: claim `poseidon1-test/data`
    - look closely at `example.com/Bucket`: custom kinds, which may stand for something outside the cluster
    - kept, as the platform's: 8 objects
    **Pull requests**: #7, self-heal off, open: https://git.example.com/platform/infra-ocp4-tenants/pull/7
    **Next**: Argo CD becomes quiet, then a safety backup

    == Settling
    **Restore of `poseidon1-dev` and `poseidon1-test` (`poseidon1-7k2p9`)**
    Self-heal is off in the order. Waiting until Argo CD is quiet; nothing is deleted yet.
    **What**: `poseidon1-dev` and `poseidon1-test` of the tenant `poseidon1`
    **From**: backup `poseidon1-daily-20261123010000` of 2026-11-23 01:00 UTC of the schedule `poseidon1-daily` (31 hours old, 61 objects, 3.0 MiB of volume data), kept until 2026-11-30 01:00 UTC
    **Asked by**: Anna, 2026-11-24 08:00 UTC
    **Why**: the migration broke the orders
    **Approved by**: Ravi in chat, 2026-11-24 08:00 UTC
    **Checks**:
    - namespaces: poseidon1-dev and poseidon1-test belong to the tenant
    - storage location: default is Available
    **Held against the backup**:
    - comes back: 3 `ConfigMap`, 3 `apps/Deployment`
    - is lost for good: 1 `ConfigMap`
    - returns from the past: 2 `Secret`
    **Would be deleted**:
    - 10 objects: 4 `ConfigMap`, 2 `PersistentVolumeClaim`, 3 `apps/Deployment`, 1 `example.com/Bucket`
    - with its data: claim `poseidon1-dev/data` of 10Gi
    - with its data: claim `poseidon1-test/data`
    - look closely at `example.com/Bucket`: custom kinds, which may stand for something outside the cluster
    - kept, as the platform's: 8 objects
    **Pull requests**: #7, self-heal off, merged: https://git.example.com/platform/infra-ocp4-tenants/pull/7
    **Next**: a safety backup of the namespaces as they are

    == Protecting
    **Restore of `poseidon1-dev` and `poseidon1-test` (`poseidon1-7k2p9`)**
    Argo CD is quiet. A safety backup is being taken; nothing is deleted yet.
    Safety backup: `#####---------------` 25%, 5 of 20 items
    **What**: `poseidon1-dev` and `poseidon1-test` of the tenant `poseidon1`
    **From**: backup `poseidon1-daily-20261123010000` of 2026-11-23 01:00 UTC of the schedule `poseidon1-daily` (31 hours old, 61 objects, 3.0 MiB of volume data), kept until 2026-11-30 01:00 UTC
    **Asked by**: Anna, 2026-11-24 08:00 UTC
    **Why**: the migration broke the orders
    **Approved by**: Ravi in chat, 2026-11-24 08:00 UTC
    **Checks**:
    - namespaces: poseidon1-dev and poseidon1-test belong to the tenant
    - storage location: default is Available
    **Held against the backup**:
    - comes back: 3 `ConfigMap`, 3 `apps/Deployment`
    - is lost for good: 1 `ConfigMap`
    - returns from the past: 2 `Secret`
    **Would be deleted**:
    - 10 objects: 4 `ConfigMap`, 2 `PersistentVolumeClaim`, 3 `apps/Deployment`, 1 `example.com/Bucket`
    - with its data: claim `poseidon1-dev/data` of 10Gi
    - with its data: claim `poseidon1-test/data`
    - look closely at `example.com/Bucket`: custom kinds, which may stand for something outside the cluster
    - kept, as the platform's: 8 objects
    **Pull requests**: #7, self-heal off, merged: https://git.example.com/platform/infra-ocp4-tenants/pull/7
    **Safety backup**: `refloat-1234567890-safety-1`
    **Next**: the namespaces are cleared; until then it can be withdrawn

    == Clearing
    **Restore of `poseidon1-dev` and `poseidon1-test` (`poseidon1-7k2p9`)**
    The namespaces are being cleared of what was approved.
    Clearing: `############--------` 60%, 6 of 10 objects
    **What**: `poseidon1-dev` and `poseidon1-test` of the tenant `poseidon1`
    **From**: backup `poseidon1-daily-20261123010000` of 2026-11-23 01:00 UTC of the schedule `poseidon1-daily` (31 hours old, 61 objects, 3.0 MiB of volume data), kept until 2026-11-30 01:00 UTC
    **Asked by**: Anna, 2026-11-24 08:00 UTC
    **Why**: the migration broke the orders
    **Approved by**: Ravi in chat, 2026-11-24 08:00 UTC
    **Is being deleted**:
    - 10 objects: 4 `ConfigMap`, 2 `PersistentVolumeClaim`, 3 `apps/Deployment`, 1 `example.com/Bucket`
    - with its data: claim `poseidon1-dev/data` of 10Gi
    - with its data: claim `poseidon1-test/data`
    - look closely at `example.com/Bucket`: custom kinds, which may stand for something outside the cluster
    - kept, as the platform's: 8 objects
    **Pull requests**: #7, self-heal off, merged: https://git.example.com/platform/infra-ocp4-tenants/pull/7
    **Safety backup**: `refloat-1234567890-safety-1`, completed
    **Next**: Velero restores the backup

    == Restoring
    **Restore of `poseidon1-dev` and `poseidon1-test` (`poseidon1-7k2p9`)**
    The namespaces are empty. Velero is bringing back what the backup holds.
    Restoring: `##########----------` 50%, 21 of 42 items
    Volumes: `##########----------` 50%, 5.2 GiB of 10.5 GiB
    **What**: `poseidon1-dev` and `poseidon1-test` of the tenant `poseidon1`
    **From**: backup `poseidon1-daily-20261123010000` of 2026-11-23 01:00 UTC of the schedule `poseidon1-daily` (31 hours old, 61 objects, 3.0 MiB of volume data), kept until 2026-11-30 01:00 UTC
    **Asked by**: Anna, 2026-11-24 08:00 UTC
    **Why**: the migration broke the orders
    **Approved by**: Ravi in chat, 2026-11-24 08:00 UTC
    **Was deleted**:
    - 10 objects: 4 `ConfigMap`, 2 `PersistentVolumeClaim`, 3 `apps/Deployment`, 1 `example.com/Bucket`
    - with its data: claim `poseidon1-dev/data` of 10Gi
    - with its data: claim `poseidon1-test/data`
    - look closely at `example.com/Bucket`: custom kinds, which may stand for something outside the cluster
    - kept, as the platform's: 8 objects
    **Pull requests**: #7, self-heal off, merged: https://git.example.com/platform/infra-ocp4-tenants/pull/7
    **Safety backup**: `refloat-1234567890-safety-1`, completed
    **Velero Restore**: `refloat-1234567890-1`, InProgress
    **Next**: volumes, claims and pods are verified

    == Verifying
    **Restore of `poseidon1-dev` and `poseidon1-test` (`poseidon1-7k2p9`)**
    Restored. Volumes, claims and pods are being looked at.
    Restoring: `####################` 100%, 42 of 42 items
    Volumes: `####################` 100%, 10.5 GiB of 10.5 GiB
    **What**: `poseidon1-dev` and `poseidon1-test` of the tenant `poseidon1`
    **From**: backup `poseidon1-daily-20261123010000` of 2026-11-23 01:00 UTC of the schedule `poseidon1-daily` (31 hours old, 61 objects, 3.0 MiB of volume data), kept until 2026-11-30 01:00 UTC
    **Asked by**: Anna, 2026-11-24 08:00 UTC
    **Why**: the migration broke the orders
    **Approved by**: Ravi in chat, 2026-11-24 08:00 UTC
    **Was deleted**:
    - 10 objects: 4 `ConfigMap`, 2 `PersistentVolumeClaim`, 3 `apps/Deployment`, 1 `example.com/Bucket`
    - with its data: claim `poseidon1-dev/data` of 10Gi
    - with its data: claim `poseidon1-test/data`
    - look closely at `example.com/Bucket`: custom kinds, which may stand for something outside the cluster
    - kept, as the platform's: 8 objects
    **Pull requests**: #7, self-heal off, merged: https://git.example.com/platform/infra-ocp4-tenants/pull/7
    **Safety backup**: `refloat-1234567890-safety-1`, completed
    **Velero Restore**: `refloat-1234567890-1`, Completed, 42 items, 10.5 GiB
    **Next**: self-heal is turned on again

    == Resuming
    **Restore of `poseidon1-dev` and `poseidon1-test` (`poseidon1-7k2p9`)**
    Restored and verified. Self-heal is being turned on again.
    Restoring: `####################` 100%, 42 of 42 items
    Volumes: `####################` 100%, 10.5 GiB of 10.5 GiB
    **What**: `poseidon1-dev` and `poseidon1-test` of the tenant `poseidon1`
    **From**: backup `poseidon1-daily-20261123010000` of 2026-11-23 01:00 UTC of the schedule `poseidon1-daily` (31 hours old, 61 objects, 3.0 MiB of volume data), kept until 2026-11-30 01:00 UTC
    **Asked by**: Anna, 2026-11-24 08:00 UTC
    **Why**: the migration broke the orders
    **Approved by**: Ravi in chat, 2026-11-24 08:00 UTC
    **Was deleted**:
    - 10 objects: 4 `ConfigMap`, 2 `PersistentVolumeClaim`, 3 `apps/Deployment`, 1 `example.com/Bucket`
    - with its data: claim `poseidon1-dev/data` of 10Gi
    - with its data: claim `poseidon1-test/data`
    - look closely at `example.com/Bucket`: custom kinds, which may stand for something outside the cluster
    - kept, as the platform's: 8 objects
    **Pull requests**:
    - #7, self-heal off, merged: https://git.example.com/platform/infra-ocp4-tenants/pull/7
    - #8, self-heal on again, open: https://git.example.com/platform/infra-ocp4-tenants/pull/8
    **Safety backup**: `refloat-1234567890-safety-1`, completed
    **Velero Restore**: `refloat-1234567890-1`, Completed, 42 items, 10.5 GiB
    **Next**: Argo CD heals again, and it is done

    == Done
    **Restore of `poseidon1-dev` and `poseidon1-test` (`poseidon1-7k2p9`)**
    Done: restored, verified, and self-heal is as it was.
    **What**: `poseidon1-dev` and `poseidon1-test` of the tenant `poseidon1`
    **From**: backup `poseidon1-daily-20261123010000` of 2026-11-23 01:00 UTC of the schedule `poseidon1-daily` (31 hours old, 61 objects, 3.0 MiB of volume data), kept until 2026-11-30 01:00 UTC
    **Asked by**: Anna, 2026-11-24 08:00 UTC
    **Why**: the migration broke the orders
    **Approved by**: Ravi in chat, 2026-11-24 08:00 UTC
    **Was deleted**:
    - 10 objects: 4 `ConfigMap`, 2 `PersistentVolumeClaim`, 3 `apps/Deployment`, 1 `example.com/Bucket`
    - with its data: claim `poseidon1-dev/data` of 10Gi
    - with its data: claim `poseidon1-test/data`
    - look closely at `example.com/Bucket`: custom kinds, which may stand for something outside the cluster
    - kept, as the platform's: 8 objects
    **Pull requests**:
    - #7, self-heal off, merged: https://git.example.com/platform/infra-ocp4-tenants/pull/7
    - #8, self-heal on again, merged: https://git.example.com/platform/infra-ocp4-tenants/pull/8
    **Safety backup**: `refloat-1234567890-safety-1`, completed
    **Velero Restore**: `refloat-1234567890-1`, Completed, 42 items, 10.5 GiB

    == Refused
    **Restore of `poseidon1-dev` and `poseidon1-test` (`poseidon1-7k2p9`)**
    Refused. Nothing was deleted.
    **What**: `poseidon1-dev` and `poseidon1-test` of the tenant `poseidon1`
    **From**: the backup of schedule `daily` for `2026-11-23`
    **Asked by**: Anna, 2026-11-24 08:00 UTC
    **Why**: the migration broke the orders
    **Why it ended**: There is no backup of the schedule daily for 2026-11-23.

    == Denied
    **Restore of `poseidon1-dev` and `poseidon1-test` (`poseidon1-7k2p9`)**
    Denied. Nothing was deleted.
    **What**: `poseidon1-dev` and `poseidon1-test` of the tenant `poseidon1`
    **From**: backup `poseidon1-daily-20261123010000` of 2026-11-23 01:00 UTC of the schedule `poseidon1-daily` (31 hours old, 61 objects, 3.0 MiB of volume data), kept until 2026-11-30 01:00 UTC
    **Asked by**: Anna, 2026-11-24 08:00 UTC
    **Why**: the migration broke the orders
    **Why it ended**: Ravi denied it: too late in the day.
    **Checks**:
    - namespaces: poseidon1-dev and poseidon1-test belong to the tenant
    - storage location: default is Available
    **Held against the backup**:
    - comes back: 3 `ConfigMap`, 3 `apps/Deployment`
    - is lost for good: 1 `ConfigMap`
    - returns from the past: 2 `Secret`
    **Would have been deleted**:
    - 10 objects: 4 `ConfigMap`, 2 `PersistentVolumeClaim`, 3 `apps/Deployment`, 1 `example.com/Bucket`
    - with its data: claim `poseidon1-dev/data` of 10Gi
    - with its data: claim `poseidon1-test/data`
    - look closely at `example.com/Bucket`: custom kinds, which may stand for something outside the cluster
    - kept, as the platform's: 8 objects
    **Pull requests**: #7, self-heal off, closed: https://git.example.com/platform/infra-ocp4-tenants/pull/7

    == Withdrawn
    **Restore of `poseidon1-dev` and `poseidon1-test` (`poseidon1-7k2p9`)**
    Withdrawn. Nothing was deleted.
    **What**: `poseidon1-dev` and `poseidon1-test` of the tenant `poseidon1`
    **From**: backup `poseidon1-daily-20261123010000` of 2026-11-23 01:00 UTC of the schedule `poseidon1-daily` (31 hours old, 61 objects, 3.0 MiB of volume data), kept until 2026-11-30 01:00 UTC
    **Asked by**: Anna, 2026-11-24 08:00 UTC
    **Why**: the migration broke the orders
    **Why it ended**: Anna withdrew the request.
    **Checks**:
    - namespaces: poseidon1-dev and poseidon1-test belong to the tenant
    - storage location: default is Available
    **Held against the backup**:
    - comes back: 3 `ConfigMap`, 3 `apps/Deployment`
    - is lost for good: 1 `ConfigMap`
    - returns from the past: 2 `Secret`
    **Would have been deleted**:
    - 10 objects: 4 `ConfigMap`, 2 `PersistentVolumeClaim`, 3 `apps/Deployment`, 1 `example.com/Bucket`
    - with its data: claim `poseidon1-dev/data` of 10Gi
    - with its data: claim `poseidon1-test/data`
    - look closely at `example.com/Bucket`: custom kinds, which may stand for something outside the cluster
    - kept, as the platform's: 8 objects
    **Pull requests**: #7, self-heal off, closed: https://git.example.com/platform/infra-ocp4-tenants/pull/7

    == Expired
    **Restore of `poseidon1-dev` and `poseidon1-test` (`poseidon1-7k2p9`)**
    Expired. Nothing was deleted.
    **What**: `poseidon1-dev` and `poseidon1-test` of the tenant `poseidon1`
    **From**: backup `poseidon1-daily-20261123010000` of 2026-11-23 01:00 UTC of the schedule `poseidon1-daily` (31 hours old, 61 objects, 3.0 MiB of volume data), kept until 2026-11-30 01:00 UTC
    **Asked by**: Anna, 2026-11-24 08:00 UTC
    **Why**: the migration broke the orders
    **Why it ended**: Nobody approved it in time.
    **Checks**:
    - namespaces: poseidon1-dev and poseidon1-test belong to the tenant
    - storage location: default is Available
    **Held against the backup**:
    - comes back: 3 `ConfigMap`, 3 `apps/Deployment`
    - is lost for good: 1 `ConfigMap`
    - returns from the past: 2 `Secret`
    **Would have been deleted**:
    - 10 objects: 4 `ConfigMap`, 2 `PersistentVolumeClaim`, 3 `apps/Deployment`, 1 `example.com/Bucket`
    - with its data: claim `poseidon1-dev/data` of 10Gi
    - with its data: claim `poseidon1-test/data`
    - look closely at `example.com/Bucket`: custom kinds, which may stand for something outside the cluster
    - kept, as the platform's: 8 objects
    **Pull requests**: #7, self-heal off, closed: https://git.example.com/platform/infra-ocp4-tenants/pull/7

    == ResumedAsIs
    **Restore of `poseidon1-dev` and `poseidon1-test` (`poseidon1-7k2p9`)**
    Ended with the namespaces as they are; the restore was not carried through.
    **What**: `poseidon1-dev` and `poseidon1-test` of the tenant `poseidon1`
    **From**: backup `poseidon1-daily-20261123010000` of 2026-11-23 01:00 UTC of the schedule `poseidon1-daily` (31 hours old, 61 objects, 3.0 MiB of volume data), kept until 2026-11-30 01:00 UTC
    **Asked by**: Anna, 2026-11-24 08:00 UTC
    **Why**: the migration broke the orders
    **Approved by**: Ravi in chat, 2026-11-24 08:00 UTC
    **Why it ended**: Anna chose to turn self-heal on again with things as they are.
    **Was deleted**:
    - 10 objects: 4 `ConfigMap`, 2 `PersistentVolumeClaim`, 3 `apps/Deployment`, 1 `example.com/Bucket`
    - with its data: claim `poseidon1-dev/data` of 10Gi
    - with its data: claim `poseidon1-test/data`
    - look closely at `example.com/Bucket`: custom kinds, which may stand for something outside the cluster
    - kept, as the platform's: 8 objects
    **Pull requests**:
    - #7, self-heal off, merged: https://git.example.com/platform/infra-ocp4-tenants/pull/7
    - #8, self-heal on again, merged: https://git.example.com/platform/infra-ocp4-tenants/pull/8
    **Safety backup**: `refloat-1234567890-safety-1`, completed
    **Velero Restore**: `refloat-1234567890-1`, InProgress

    == Stuck
    **Restore of `poseidon1-dev` and `poseidon1-test` (`poseidon1-7k2p9`)**
    Stuck: a person has to choose how to go on. Self-heal is off until then.
    Restoring: `##########----------` 50%, 21 of 42 items
    Volumes: `##########----------` 50%, 5.2 GiB of 10.5 GiB
    **What**: `poseidon1-dev` and `poseidon1-test` of the tenant `poseidon1`
    **From**: backup `poseidon1-daily-20261123010000` of 2026-11-23 01:00 UTC of the schedule `poseidon1-daily` (31 hours old, 61 objects, 3.0 MiB of volume data), kept until 2026-11-30 01:00 UTC
    **Asked by**: Anna, 2026-11-24 08:00 UTC
    **Why**: the migration broke the orders
    **Approved by**: Ravi in chat, 2026-11-24 08:00 UTC
    **Stuck because**: Velero's Restore ended Failed. It says: the node went away.
    **Was deleted**:
    - 10 objects: 4 `ConfigMap`, 2 `PersistentVolumeClaim`, 3 `apps/Deployment`, 1 `example.com/Bucket`
    - with its data: claim `poseidon1-dev/data` of 10Gi
    - with its data: claim `poseidon1-test/data`
    - look closely at `example.com/Bucket`: custom kinds, which may stand for something outside the cluster
    - kept, as the platform's: 8 objects
    **Pull requests**: #7, self-heal off, merged: https://git.example.com/platform/infra-ocp4-tenants/pull/7
    **Safety backup**: `refloat-1234567890-safety-1`, completed
    **Velero Restore**: `refloat-1234567890-1`, Failed, 21 items, 5.2 GiB
    **Next**: `restore retry poseidon1-7k2p9` to go on, or `restore resume poseidon1-7k2p9` to leave the namespaces as they are and turn self-heal on again
    ");
}

#[test]
fn a_restore_that_went_well_tells_its_story() {
    let thread = render(&in_phase(Phase::Done), &context());
    assert!(thread.over);
    assert_eq!(
        thread.title,
        "poseidon1-7k2p9: restore of poseidon1-dev and poseidon1-test"
    );
    insta::assert_snapshot!(messages(&in_phase(Phase::Done)), @r#"
    00:00 requested: Anna asks to restore `poseidon1-dev` and `poseidon1-test` of the tenant `poseidon1`, from the backup of schedule `daily` for `2026-11-23`. Reason: the migration broke the orders.
    00:02 checked-1795507202000: Checked: it will be restored from backup `poseidon1-daily-20261123010000` of 2026-11-23 01:00 UTC of the schedule `poseidon1-daily` (31 hours old, 61 objects, 3.0 MiB of volume data), kept until 2026-11-30 01:00 UTC. To be deleted before that:
    - 10 objects: 4 `ConfigMap`, 2 `PersistentVolumeClaim`, 3 `apps/Deployment`, 1 `example.com/Bucket`
    - with its data: claim `poseidon1-dev/data` of 10Gi
    - with its data: claim `poseidon1-test/data`
    - look closely at `example.com/Bucket`: custom kinds, which may stand for something outside the cluster
    - kept, as the platform's: 8 objects
    00:02 compared-1795507202000: Held against the backup:
    - comes back: 3 `ConfigMap`, 3 `apps/Deployment`
    - is lost for good: 1 `ConfigMap`
    - returns from the past: 2 `Secret`
    - `lost for good ConfigMap poseidon1-dev/left-over`
    - `returns from the past Secret poseidon1-dev/old`
    00:03 pull-pause-7: Pull request #7 is open: it turns self-heal off in the tenant's order. https://git.example.com/platform/infra-ocp4-tenants/pull/7
    00:03 ask-d: **Reviewers: please approve or deny.** Read the card and the pull request, then say `approve poseidon1-7k2p9 digest:d`, or `deny request:poseidon1-7k2p9 reason:"..."`. Whoever asked for the restore cannot approve it.
    00:40 approved-1795507240000: Approved by Ravi in chat.
    00:42 self-heal-off: Self-heal is off: pull request #7 was merged.
    00:50 quiet-1795507250000: Argo CD is quiet: `openshift-gitops/poseidon1-dev-apps-web` will bring nothing back.
    01:20 safety-refloat-1234567890-safety-1: The safety backup `refloat-1234567890-safety-1` is complete: it holds the namespaces as they were before.
    01:21 clearing-began: The clearing begins: 10 objects will be deleted. From here on it cannot be withdrawn.
    01:59 cleared-1795507319000: The namespaces are cleared: 10 objects deleted in 38 s.
    02:00 restore-began-refloat-1234567890-1: The restore begins: Velero's Restore `refloat-1234567890-1` of `poseidon1-daily-20261123010000`.
    05:00 restore-ended-refloat-1234567890-1: Velero has ended `refloat-1234567890-1`: Completed. 42 items, 10.5 GiB of volume data, with 1 warning and 0 errors, in 3 min.
    `restore log` shows Velero's log.
    05:10 verified: Verified: 40 objects there, 2 volumes complete, 2 claims bound, 3 pods ready.
    05:11 pull-resume-8: Pull request #8 is open: it brings self-heal back as it was. https://git.example.com/platform/infra-ocp4-tenants/pull/8
    05:15 resume-merged: Pull request #8 was merged. Argo CD is asked to look.
    05:20 self-heal-back: Self-heal is back as it was before, and the Applications are synced and healthy.
    05:20 done: **Done.** `poseidon1-dev` and `poseidon1-test` of the tenant `poseidon1` restored, from backup `poseidon1-daily-20261123010000` of 2026-11-23 01:00 UTC of the schedule `poseidon1-daily` (31 hours old, 61 objects, 3.0 MiB of volume data), kept until 2026-11-30 01:00 UTC.
    - asked for by Anna, approved by Ravi
    - deleted: 10 objects
    - restored: 42 items, 10.5 GiB of volume data
    - safety backup: `refloat-1234567890-safety-1` (`restore undo poseidon1-7k2p9` brings it back)
    - #7: https://git.example.com/platform/infra-ocp4-tenants/pull/7
    - #8: https://git.example.com/platform/infra-ocp4-tenants/pull/8
    - time: 5 min 20 s in all: checks 2.0 s, approval 38 s, self-heal off 2.0 s, Argo CD quiet 8.0 s, safety backup 30 s, clearing 39 s, restore 3 min 1 s, verification 10 s, self-heal back 10 s
    "#);
}

#[test]
fn restores_that_end_early_tell_why() {
    let stories: Vec<String> = [
        Phase::AwaitingApproval,
        Phase::Refused,
        Phase::Denied,
        Phase::Withdrawn,
        Phase::Expired,
        Phase::ResumedAsIs,
    ]
    .into_iter()
    .map(|phase| format!("== {phase:?}\n{}", messages(&in_phase(phase))))
    .collect();
    insta::assert_snapshot!(stories.join("\n"), @r#"
    == AwaitingApproval
    00:00 requested: Anna asks to restore `poseidon1-dev` and `poseidon1-test` of the tenant `poseidon1`, from the backup of schedule `daily` for `2026-11-23`. Reason: the migration broke the orders.
    00:02 checked-1795507202000: Checked: it will be restored from backup `poseidon1-daily-20261123010000` of 2026-11-23 01:00 UTC of the schedule `poseidon1-daily` (31 hours old, 61 objects, 3.0 MiB of volume data), kept until 2026-11-30 01:00 UTC. To be deleted before that:
    - 10 objects: 4 `ConfigMap`, 2 `PersistentVolumeClaim`, 3 `apps/Deployment`, 1 `example.com/Bucket`
    - with its data: claim `poseidon1-dev/data` of 10Gi
    - with its data: claim `poseidon1-test/data`
    - look closely at `example.com/Bucket`: custom kinds, which may stand for something outside the cluster
    - kept, as the platform's: 8 objects
    00:02 compared-1795507202000: Held against the backup:
    - comes back: 3 `ConfigMap`, 3 `apps/Deployment`
    - is lost for good: 1 `ConfigMap`
    - returns from the past: 2 `Secret`
    - `lost for good ConfigMap poseidon1-dev/left-over`
    - `returns from the past Secret poseidon1-dev/old`
    00:03 pull-pause-7: Pull request #7 is open: it turns self-heal off in the tenant's order. https://git.example.com/platform/infra-ocp4-tenants/pull/7
    00:03 ask-039b9f8a (ask): **Reviewers: please approve or deny.** Read the card and the pull request, then say `approve poseidon1-7k2p9 digest:039b9f8a`, or `deny request:poseidon1-7k2p9 reason:"..."`. Whoever asked for the restore cannot approve it. A review on the pull request that approves it counts as well.

    == Refused
    00:00 requested: Anna asks to restore `poseidon1-dev` and `poseidon1-test` of the tenant `poseidon1`, from the backup of schedule `daily` for `2026-11-23`. Reason: the migration broke the orders.
    00:30 ended-1795507230000: **Refused.** There is no backup of the schedule daily for 2026-11-23. Nothing was deleted.

    == Denied
    00:00 requested: Anna asks to restore `poseidon1-dev` and `poseidon1-test` of the tenant `poseidon1`, from the backup of schedule `daily` for `2026-11-23`. Reason: the migration broke the orders.
    00:02 checked-1795507202000: Checked: it will be restored from backup `poseidon1-daily-20261123010000` of 2026-11-23 01:00 UTC of the schedule `poseidon1-daily` (31 hours old, 61 objects, 3.0 MiB of volume data), kept until 2026-11-30 01:00 UTC. To be deleted before that:
    - 10 objects: 4 `ConfigMap`, 2 `PersistentVolumeClaim`, 3 `apps/Deployment`, 1 `example.com/Bucket`
    - with its data: claim `poseidon1-dev/data` of 10Gi
    - with its data: claim `poseidon1-test/data`
    - look closely at `example.com/Bucket`: custom kinds, which may stand for something outside the cluster
    - kept, as the platform's: 8 objects
    00:02 compared-1795507202000: Held against the backup:
    - comes back: 3 `ConfigMap`, 3 `apps/Deployment`
    - is lost for good: 1 `ConfigMap`
    - returns from the past: 2 `Secret`
    - `lost for good ConfigMap poseidon1-dev/left-over`
    - `returns from the past Secret poseidon1-dev/old`
    00:03 pull-pause-7: Pull request #7 is open: it turns self-heal off in the tenant's order. https://git.example.com/platform/infra-ocp4-tenants/pull/7
    00:30 ended-1795507230000: **Denied.** Ravi denied it: too late in the day. Nothing was deleted.

    == Withdrawn
    00:00 requested: Anna asks to restore `poseidon1-dev` and `poseidon1-test` of the tenant `poseidon1`, from the backup of schedule `daily` for `2026-11-23`. Reason: the migration broke the orders.
    00:02 checked-1795507202000: Checked: it will be restored from backup `poseidon1-daily-20261123010000` of 2026-11-23 01:00 UTC of the schedule `poseidon1-daily` (31 hours old, 61 objects, 3.0 MiB of volume data), kept until 2026-11-30 01:00 UTC. To be deleted before that:
    - 10 objects: 4 `ConfigMap`, 2 `PersistentVolumeClaim`, 3 `apps/Deployment`, 1 `example.com/Bucket`
    - with its data: claim `poseidon1-dev/data` of 10Gi
    - with its data: claim `poseidon1-test/data`
    - look closely at `example.com/Bucket`: custom kinds, which may stand for something outside the cluster
    - kept, as the platform's: 8 objects
    00:02 compared-1795507202000: Held against the backup:
    - comes back: 3 `ConfigMap`, 3 `apps/Deployment`
    - is lost for good: 1 `ConfigMap`
    - returns from the past: 2 `Secret`
    - `lost for good ConfigMap poseidon1-dev/left-over`
    - `returns from the past Secret poseidon1-dev/old`
    00:03 pull-pause-7: Pull request #7 is open: it turns self-heal off in the tenant's order. https://git.example.com/platform/infra-ocp4-tenants/pull/7
    00:30 ended-1795507230000: **Withdrawn.** Anna withdrew the request. Nothing was deleted.

    == Expired
    00:00 requested: Anna asks to restore `poseidon1-dev` and `poseidon1-test` of the tenant `poseidon1`, from the backup of schedule `daily` for `2026-11-23`. Reason: the migration broke the orders.
    00:02 checked-1795507202000: Checked: it will be restored from backup `poseidon1-daily-20261123010000` of 2026-11-23 01:00 UTC of the schedule `poseidon1-daily` (31 hours old, 61 objects, 3.0 MiB of volume data), kept until 2026-11-30 01:00 UTC. To be deleted before that:
    - 10 objects: 4 `ConfigMap`, 2 `PersistentVolumeClaim`, 3 `apps/Deployment`, 1 `example.com/Bucket`
    - with its data: claim `poseidon1-dev/data` of 10Gi
    - with its data: claim `poseidon1-test/data`
    - look closely at `example.com/Bucket`: custom kinds, which may stand for something outside the cluster
    - kept, as the platform's: 8 objects
    00:02 compared-1795507202000: Held against the backup:
    - comes back: 3 `ConfigMap`, 3 `apps/Deployment`
    - is lost for good: 1 `ConfigMap`
    - returns from the past: 2 `Secret`
    - `lost for good ConfigMap poseidon1-dev/left-over`
    - `returns from the past Secret poseidon1-dev/old`
    00:03 pull-pause-7: Pull request #7 is open: it turns self-heal off in the tenant's order. https://git.example.com/platform/infra-ocp4-tenants/pull/7
    00:30 ended-1795507230000: **Expired.** Nobody approved it in time. Nothing was deleted.

    == ResumedAsIs
    00:00 requested: Anna asks to restore `poseidon1-dev` and `poseidon1-test` of the tenant `poseidon1`, from the backup of schedule `daily` for `2026-11-23`. Reason: the migration broke the orders.
    00:02 checked-1795507202000: Checked: it will be restored from backup `poseidon1-daily-20261123010000` of 2026-11-23 01:00 UTC of the schedule `poseidon1-daily` (31 hours old, 61 objects, 3.0 MiB of volume data), kept until 2026-11-30 01:00 UTC. To be deleted before that:
    - 10 objects: 4 `ConfigMap`, 2 `PersistentVolumeClaim`, 3 `apps/Deployment`, 1 `example.com/Bucket`
    - with its data: claim `poseidon1-dev/data` of 10Gi
    - with its data: claim `poseidon1-test/data`
    - look closely at `example.com/Bucket`: custom kinds, which may stand for something outside the cluster
    - kept, as the platform's: 8 objects
    00:02 compared-1795507202000: Held against the backup:
    - comes back: 3 `ConfigMap`, 3 `apps/Deployment`
    - is lost for good: 1 `ConfigMap`
    - returns from the past: 2 `Secret`
    - `lost for good ConfigMap poseidon1-dev/left-over`
    - `returns from the past Secret poseidon1-dev/old`
    00:03 pull-pause-7: Pull request #7 is open: it turns self-heal off in the tenant's order. https://git.example.com/platform/infra-ocp4-tenants/pull/7
    00:03 ask-d: **Reviewers: please approve or deny.** Read the card and the pull request, then say `approve poseidon1-7k2p9 digest:d`, or `deny request:poseidon1-7k2p9 reason:"..."`. Whoever asked for the restore cannot approve it.
    00:40 approved-1795507240000: Approved by Ravi in chat.
    00:42 self-heal-off: Self-heal is off: pull request #7 was merged.
    00:50 quiet-1795507250000: Argo CD is quiet: `openshift-gitops/poseidon1-dev-apps-web` will bring nothing back.
    01:20 safety-refloat-1234567890-safety-1: The safety backup `refloat-1234567890-safety-1` is complete: it holds the namespaces as they were before.
    01:21 clearing-began: The clearing begins: 10 objects will be deleted. From here on it cannot be withdrawn.
    01:59 cleared-1795507319000: The namespaces are cleared: 10 objects deleted in 38 s.
    02:00 restore-began-refloat-1234567890-1: The restore begins: Velero's Restore `refloat-1234567890-1` of `poseidon1-daily-20261123010000`.
    05:05 choice-1795507500000: Anna chose to turn self-heal on again with things as they are (`restore resume`).
    05:05 ended-1795507505000: **Ended as things are.** Anna chose to turn self-heal on again with things as they are. What was there before is in the safety backup `refloat-1234567890-safety-1`.
    05:11 pull-resume-8: Pull request #8 is open: it brings self-heal back as it was. https://git.example.com/platform/infra-ocp4-tenants/pull/8
    05:15 resume-merged: Pull request #8 was merged. Argo CD is asked to look.
    05:20 self-heal-back: Self-heal is back as it was before.
    "#);
}

#[test]
fn what_goes_wrong_on_the_way_is_told() {
    let mut request = stuck(StuckReason::RestoreFailed);
    request.spec.withdrawal = Some(Withdrawal {
        by: person("anna"),
        at: at(90),
    });
    if let Some(status) = &mut request.status {
        status.voided = Some(Note {
            at: at(35),
            message: "What would be deleted has changed since it was approved: ConfigMap 3 before, 4 now.".to_owned(),
        });
        status.reminders = vec![
            Reminder {
                at: at(20),
                about: ReminderOf::Approval,
            },
            Reminder {
                at: at(280),
                about: ReminderOf::SelfHealOff,
            },
        ];
        status.choices = vec![Choice {
            by: person("ravi"),
            at: at(285),
            action: Action::Retry,
            answers: at(283),
        }];
        let mut first = run("PartiallyFailed", 12, Some(282));
        first.name = "refloat-1234567890-0".to_owned();
        first.errors = 2;
        status.earlier_restores = vec![first];
    }
    insta::assert_snapshot!(messages(&request), @r#"
    00:00 requested: Anna asks to restore `poseidon1-dev` and `poseidon1-test` of the tenant `poseidon1`, from the backup of schedule `daily` for `2026-11-23`. Reason: the migration broke the orders.
    00:02 checked-1795507202000: Checked: it will be restored from backup `poseidon1-daily-20261123010000` of 2026-11-23 01:00 UTC of the schedule `poseidon1-daily` (31 hours old, 61 objects, 3.0 MiB of volume data), kept until 2026-11-30 01:00 UTC. To be deleted before that:
    - 10 objects: 4 `ConfigMap`, 2 `PersistentVolumeClaim`, 3 `apps/Deployment`, 1 `example.com/Bucket`
    - with its data: claim `poseidon1-dev/data` of 10Gi
    - with its data: claim `poseidon1-test/data`
    - look closely at `example.com/Bucket`: custom kinds, which may stand for something outside the cluster
    - kept, as the platform's: 8 objects
    00:02 compared-1795507202000: Held against the backup:
    - comes back: 3 `ConfigMap`, 3 `apps/Deployment`
    - is lost for good: 1 `ConfigMap`
    - returns from the past: 2 `Secret`
    - `lost for good ConfigMap poseidon1-dev/left-over`
    - `returns from the past Secret poseidon1-dev/old`
    00:03 pull-pause-7: Pull request #7 is open: it turns self-heal off in the tenant's order. https://git.example.com/platform/infra-ocp4-tenants/pull/7
    00:20 reminder-approval-1: Reminder: the restore `poseidon1-7k2p9` still waits for a reviewer's approval.
    00:35 voided-1795507235000: **What was approved no longer holds.** What would be deleted has changed since it was approved: ConfigMap 3 before, 4 now. It needs a new approval.
    00:35 ask-d-1795507235000: **Reviewers: please approve or deny again.** Read the card and the pull request, then say `approve poseidon1-7k2p9 digest:d`, or `deny request:poseidon1-7k2p9 reason:"..."`. Whoever asked for the restore cannot approve it.
    00:40 approved-1795507240000: Approved by Ravi in chat.
    00:42 self-heal-off: Self-heal is off: pull request #7 was merged.
    00:50 quiet-1795507250000: Argo CD is quiet: `openshift-gitops/poseidon1-dev-apps-web` will bring nothing back.
    01:20 safety-refloat-1234567890-safety-1: The safety backup `refloat-1234567890-safety-1` is complete: it holds the namespaces as they were before.
    01:21 clearing-began: The clearing begins: 10 objects will be deleted. From here on it cannot be withdrawn.
    01:30 withdrawal-late: Anna withdrew it, but the clearing had begun: the restore goes on, since stopping now would leave the namespaces half empty.
    01:59 cleared-1795507319000: The namespaces are cleared: 10 objects deleted in 38 s.
    02:00 restore-began-refloat-1234567890-0: The restore begins: Velero's Restore `refloat-1234567890-0` of `poseidon1-daily-20261123010000`.
    02:00 restore-began-refloat-1234567890-1: The restore begins: Velero's Restore `refloat-1234567890-1` of `poseidon1-daily-20261123010000`.
    04:40 reminder-self-heal-1: Reminder: self-heal of the tenant `poseidon1` has been off for 3 min 58 s. It comes back when this restore ends.
    04:42 restore-ended-refloat-1234567890-0: Velero has ended `refloat-1234567890-0`: PartiallyFailed. 12 items, 3.0 GiB of volume data, with 1 warning and 2 errors, in 2 min 42 s.
    `restore log` shows Velero's log.
    04:45 choice-1795507483000: Ravi chose to go on (`restore retry`).
    04:59 restore-ended-refloat-1234567890-1: Velero has ended `refloat-1234567890-1`: Failed. 21 items, 5.2 GiB of volume data, with 1 warning and 0 errors, in 2 min 59 s.
    `restore log` shows Velero's log.
    05:00 stuck-1795507500000: **Stuck.** Velero's Restore ended Failed. It says: the node went away.
    - `restore retry poseidon1-7k2p9`: Velero restores the same backup once more. Nothing is cleared again: what is there already stays as it is.
    - `restore resume poseidon1-7k2p9`: the restore ends, and self-heal is turned on again: Argo CD brings back what is in Git, and volume data that is not back yet stays in the safety backup.
    - `restore undo poseidon1-7k2p9`: this restore ends, and a new request brings back the safety backup, by the same road.
    "#);
}

#[test]
fn an_order_that_needs_no_change_and_a_resume_that_needs_approval() {
    let mut request = in_phase(Phase::AwaitingApproval);
    if let Some(pause) = request
        .status
        .as_mut()
        .and_then(|status| status.pause.as_mut())
    {
        pause.opened = None;
    }
    let no_pull = messages(&request);
    let mut request = in_phase(Phase::Resuming);
    let asks = RenderContext {
        covers_resume: false,
        ..context()
    };
    let waits = render(&request, &asks)
        .messages
        .pop()
        .map(|message| (message.text, message.ask));
    if let Some(status) = &mut request.status {
        let mut resume = pull(8, 311, None);
        resume.approved = Some(approved(313));
        status.resume = Some(resume);
    }
    let given = render(&request, &asks)
        .messages
        .pop()
        .map(|message| message.text);
    insta::assert_snapshot!(format!("{no_pull}\n{waits:?}\n{given:?}"), @r##"
    00:00 requested: Anna asks to restore `poseidon1-dev` and `poseidon1-test` of the tenant `poseidon1`, from the backup of schedule `daily` for `2026-11-23`. Reason: the migration broke the orders.
    00:02 checked-1795507202000: Checked: it will be restored from backup `poseidon1-daily-20261123010000` of 2026-11-23 01:00 UTC of the schedule `poseidon1-daily` (31 hours old, 61 objects, 3.0 MiB of volume data), kept until 2026-11-30 01:00 UTC. To be deleted before that:
    - 10 objects: 4 `ConfigMap`, 2 `PersistentVolumeClaim`, 3 `apps/Deployment`, 1 `example.com/Bucket`
    - with its data: claim `poseidon1-dev/data` of 10Gi
    - with its data: claim `poseidon1-test/data`
    - look closely at `example.com/Bucket`: custom kinds, which may stand for something outside the cluster
    - kept, as the platform's: 8 objects
    00:02 compared-1795507202000: Held against the backup:
    - comes back: 3 `ConfigMap`, 3 `apps/Deployment`
    - is lost for good: 1 `ConfigMap`
    - returns from the past: 2 `Secret`
    - `lost for good ConfigMap poseidon1-dev/left-over`
    - `returns from the past Secret poseidon1-dev/old`
    00:03 pull-pause-not-needed: Self-heal is off in the tenant's order already, so that no pull request is needed.
    00:03 ask-6677aa33 (ask): **Reviewers: please approve or deny.** Read the card and the pull request, then say `approve poseidon1-7k2p9 digest:6677aa33`, or `deny request:poseidon1-7k2p9 reason:"..."`. Whoever asked for the restore cannot approve it.

    Some(("**Reviewers: please approve #8 too.** Self-heal is off until it is merged. Say `approve poseidon1-7k2p9 digest:721a5dbd`, or approve it by a review.", true))
    Some("#8 is approved by Ravi in chat.")
    "##);
}

#[test]
fn the_card_says_what_failed_and_what_it_waits_for() {
    let mut request = in_phase(Phase::Settling);
    if let Some(status) = &mut request.status {
        status.waiting = Some(Note {
            at: at(43),
            message: "gitops-developers/own still heals: turn selfHeal off in deployments/own"
                .to_owned(),
        });
        status.last_error = Some(LastError {
            at: at(44),
            effect: "ask Argo CD to look".to_owned(),
            message: "503 Service Unavailable".to_owned(),
            attempts: 3,
        });
    }
    let thread = render(&request, &context());
    assert!(thread.card.waiting.is_some());
    let text = thread.card.text();
    assert!(
        text.contains(
            "**Last error**: ask Argo CD to look failed 3 times: 503 Service Unavailable."
        ),
        "{text}"
    );
}

#[test]
fn nothing_that_others_wrote_does_anything_or_is_too_long() {
    let evil = format!(
        "@everyone <@1> [x](https://e) `` ** \u{202e} {}",
        "ä*".repeat(2000)
    );
    let mut request = in_phase(Phase::Stuck);
    request.spec.reason = evil.clone();
    request.spec.requester.name = evil.clone();
    request.spec.namespaces = (0..50)
        .map(|n| format!("{}-{n}", "n`".repeat(30)))
        .collect();
    if let Some(status) = &mut request.status {
        let mut found = checked();
        for n in 0..200 {
            found
                .inventory
                .delete
                .insert(format!("{}{n}.example.com/Kind", "x".repeat(90)), 1);
            found
                .inventory
                .custom
                .push(format!("{}{n}.example.com/Kind", "y".repeat(90)));
            found
                .inventory
                .claims
                .push(crate::request::inventory::Claim {
                    namespace: "z".repeat(63),
                    name: evil.clone(),
                    size: Some(evil.clone()),
                });
        }
        for result in &mut found.checks {
            result.message = evil.clone();
        }
        status.checked = Some(found);
        if let Some(stuck) = &mut status.stuck {
            stuck.message = evil.clone();
        }
        status.last_error = Some(LastError {
            at: at(1),
            effect: evil.clone(),
            message: evil.clone(),
            attempts: 1,
        });
    }
    let thread = render(&request, &context());
    assert!(thread.title.chars().count() <= 100);
    let text = thread.card.text();
    assert!(
        text.chars().count() <= Card::MOST,
        "{}",
        text.chars().count()
    );
    assert!(
        text.contains("**Next**"),
        "the card keeps its last part: {text}"
    );
    for text in thread
        .messages
        .iter()
        .map(|message| &message.text)
        .chain([&text])
    {
        assert!(text.chars().count() <= Card::MOST);
        assert!(!text.contains("@everyone") && !text.contains("<@") && !text.contains('\u{202e}'));
        assert!(!text.contains("[x](") && !text.contains("``"), "{text}");
    }
    for message in &thread.messages {
        assert!(message.text.chars().count() <= Message::MOST);
    }
}

#[test]
fn a_request_without_a_status_is_being_checked() {
    let thread = render(&asked(), &context());
    assert_eq!(thread.card.stage, Phase::Checking.into());
    assert_eq!(thread.messages.len(), 1);
}
