//! BackupStorageLocations, and ServerStatusRequests: whether the server is
//! there and can reach its storage.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt;
use serde_json::json;

use super::SERVER_VERSION;
use super::life::{Server, gone_is_fine};
use super::objects::{Kind, LOCATION, is_new, phase, stamp, text, time};

/// How long an answered ServerStatusRequest stays.
const STATUS_TTL: Duration = Duration::from_mins(1);

/// Makes the default location if there is none.
pub(super) async fn ensure(server: &Server) -> anyhow::Result<()> {
    if server
        .live(Kind::BackupStorageLocation, LOCATION)
        .await?
        .is_some()
    {
        return Ok(());
    }
    let body = json!({
        "metadata": {"name": LOCATION},
        "spec": {
            "default": true,
            "provider": "aws",
            "accessMode": "ReadWrite",
            "objectStorage": {"bucket": "backups", "prefix": "velero"},
            "config": {"region": "minio", "s3ForcePathStyle": "true"},
        },
    });
    server.create(Kind::BackupStorageLocation, body).await?;
    Ok(())
}

/// Says of each location whether it is available.
pub(super) async fn pass(server: &Arc<Server>) -> anyhow::Result<Option<Duration>> {
    let down = server.faults.location_down();
    let wanted = if down.is_some() {
        "Unavailable"
    } else {
        "Available"
    };
    for location in server.seen(Kind::BackupStorageLocation) {
        let told = text(&location.data, "/status/message");
        if phase(&location) == wanted && told == down.as_deref() {
            continue;
        }
        let change = json!({"status": {
            "phase": wanted,
            "message": down,
            "lastValidationTime": stamp(Timestamp::now()),
        }});
        let name = location.name_any();
        gone_is_fine(
            server
                .patch(Kind::BackupStorageLocation, &name, change)
                .await,
        )?;
    }
    Ok(None)
}

/// Answers ServerStatusRequests, and takes away the ones answered long ago.
pub(super) async fn status(server: &Arc<Server>) -> anyhow::Result<Option<Duration>> {
    let mut again = None;
    for request in server.seen(Kind::ServerStatusRequest) {
        let name = request.name_any();
        let now = Timestamp::now();
        if is_new(&request) {
            let change = json!({"status": {
                "phase": "Processed",
                "processedTimestamp": stamp(now),
                "serverVersion": SERVER_VERSION,
                "plugins": [
                    {"kind": "BackupItemAction", "name": "velero.io/pod"},
                    {"kind": "BackupItemAction", "name": "velero.io/pv"},
                    {"kind": "ObjectStore", "name": "velero.io/aws"},
                    {"kind": "RestoreItemAction", "name": "velero.io/pod"},
                ],
            }});
            gone_is_fine(server.patch(Kind::ServerStatusRequest, &name, change).await)?;
        } else if let Some(processed) = time(&request.data, "/status/processedTimestamp") {
            let age = Duration::try_from(now.duration_since(processed)).unwrap_or_default();
            match STATUS_TTL.checked_sub(age) {
                Some(left) if !left.is_zero() => again = again.min(Some(left)).or(Some(left)),
                _ => server.delete(Kind::ServerStatusRequest, &name).await?,
            }
        }
    }
    Ok(again)
}

/// What is wrong with the location called `name`: nothing if it is available.
pub(super) async fn problem(server: &Server, name: &str) -> kube::Result<Option<String>> {
    let Some(location) = server.live(Kind::BackupStorageLocation, name).await? else {
        return Ok(Some(format!(
            "BackupStorageLocation.velero.io \"{name}\" not found"
        )));
    };
    // The fault counts before the location's status shows it.
    let down = server.faults.location_down().is_some() || phase(&location) == "Unavailable";
    Ok(down.then(|| {
        let message = text(&location.data, "/status/message").unwrap_or_default();
        format!("BackupStorageLocation {name} is in Unavailable status: {message}")
    }))
}
