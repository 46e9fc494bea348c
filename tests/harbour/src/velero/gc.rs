//! The end of backups: those past their expiration are asked to be deleted, and
//! what is asked to be deleted is, with the restores made from it.

use std::sync::Arc;
use std::time::Duration;

use kube::ResourceExt;
use kube::api::{DynamicObject, ListParams};
use serde_json::{Value, json};

use super::life::{Server, gone_is_fine};
use super::objects::{BACKUP_NAME, BACKUP_UID, Kind, generated, label_value, phase, text, time};

/// Collects garbage at each interval, and when told to, until it is killed.
pub(super) async fn collect(server: Arc<Server>) {
    let mut faults = server.faults.changes();
    let mut told = server.faults.collections();
    loop {
        if let Err(error) = expire(&server).await {
            tracing::warn!(error = format!("{error:#}"), "collecting expired backups");
        }
        let next = tokio::time::sleep(server.gc_interval);
        tokio::pin!(next);
        loop {
            let now = server.faults.collections();
            if now != told {
                told = now;
                break;
            }
            tokio::select! {
                () = &mut next => break,
                () = faults.changed() => {}
            }
        }
    }
}

/// Asks for the deletion of each backup that has expired. A restore made from
/// it at this moment does not spare it.
async fn expire(server: &Server) -> anyhow::Result<()> {
    let pending = server
        .api(Kind::DeleteBackupRequest)
        .list(&ListParams::default())
        .await?;
    for backup in server
        .api(Kind::Backup)
        .list(&ListParams::default())
        .await?
    {
        let expired = time(&backup.data, "/status/expiration")
            .is_some_and(|expiration| expiration < server.clock.now());
        let name = backup.name_any();
        let asked = pending.iter().any(|request| {
            text(&request.data, "/spec/backupName") == Some(&name) && phase(request) != "Processed"
        });
        if !expired || asked {
            continue;
        }
        let body = json!({
            "metadata": {
                "name": generated(&name),
                "labels": {
                    BACKUP_NAME: label_value(&name),
                    BACKUP_UID: backup.uid(),
                },
            },
            "spec": {"backupName": name},
        });
        server.create(Kind::DeleteBackupRequest, body).await?;
    }
    Ok(())
}

/// Carries out DeleteBackupRequests.
pub(super) async fn delete(server: &Arc<Server>) -> anyhow::Result<Option<Duration>> {
    for seen in server.seen(Kind::DeleteBackupRequest) {
        if phase(&seen) == "Processed" {
            continue;
        }
        let name = seen.name_any();
        let live = server.live(Kind::DeleteBackupRequest, &name).await?;
        if let Some(request) = live.filter(|live| phase(live) != "Processed") {
            carry_out(server, &name, &request).await?;
        }
    }
    Ok(None)
}

async fn carry_out(server: &Server, name: &str, request: &DynamicObject) -> anyhow::Result<()> {
    let tell = async |change: Value| -> anyhow::Result<()> {
        let patched = server.patch(Kind::DeleteBackupRequest, name, change).await;
        Ok(gone_is_fine(patched)?)
    };
    let refuse = async |error: &str| {
        tell(json!({"status": {"phase": "Processed", "errors": [error]}})).await
    };
    let wanted = text(&request.data, "/spec/backupName").unwrap_or_default();
    if wanted.is_empty() {
        return refuse("spec.backupName is required").await;
    }
    let Some(backup) = server.live(Kind::Backup, wanted).await? else {
        return refuse("backup not found").await;
    };
    if phase(&backup) == "InProgress" {
        return refuse("backup is still in progress").await;
    }
    tell(json!({
        "metadata": {"labels": {
            BACKUP_NAME: label_value(wanted),
            BACKUP_UID: backup.uid(),
        }},
        "status": {"phase": "InProgress"},
    }))
    .await?;
    let deleting = json!({"status": {"phase": "Deleting"}});
    gone_is_fine(server.patch(Kind::Backup, wanted, deleting).await)?;
    server.step().await;
    let label = format!("{BACKUP_NAME}={}", label_value(wanted));
    let volumes = ListParams::default().labels(&label);
    for volume in server.api(Kind::PodVolumeBackup).list(&volumes).await? {
        server
            .delete(Kind::PodVolumeBackup, &volume.name_any())
            .await?;
    }
    server.storage.remove_backup(wanted)?;
    for restore in server
        .api(Kind::Restore)
        .list(&ListParams::default())
        .await?
    {
        if text(&restore.data, "/spec/backupName") == Some(wanted) {
            server.storage.remove_restore(&restore.name_any())?;
            server.delete(Kind::Restore, &restore.name_any()).await?;
        }
    }
    server.delete(Kind::Backup, wanted).await?;
    tell(json!({"status": {"phase": "Processed"}})).await?;
    // All requests for this backup go with it.
    for other in server
        .api(Kind::DeleteBackupRequest)
        .list(&ListParams::default())
        .await?
    {
        if text(&other.data, "/spec/backupName") == Some(wanted) {
            server
                .delete(Kind::DeleteBackupRequest, &other.name_any())
                .await?;
        }
    }
    Ok(())
}
