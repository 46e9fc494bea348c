//! The server itself: status, downloads, storage that outlives it.

use serde_json::json;

use super::super::objects::Kind;
use super::{World, http_get, text};

#[tokio::test(flavor = "multi_thread")]
async fn the_server_says_who_it_is_and_where_it_stores() {
    let world = World::new().await;
    world.ask(Kind::ServerStatusRequest, "s1", json!({})).await;
    let answered = world
        .reach(Kind::ServerStatusRequest, "s1", "Processed")
        .await;
    assert_eq!(
        text(&answered, "/status/serverVersion"),
        super::super::SERVER_VERSION
    );
    let location = world
        .reach(Kind::BackupStorageLocation, "default", "Available")
        .await;
    assert_eq!(location.data["spec"]["default"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_are_signed_and_run_out() {
    let world = World::new().await;
    world.back_up("b1").await;
    let url = world.address("BackupLog", "b1").await;
    assert_eq!(http_get(&url).await.0, 200);
    let (plain, _) = url.split_once('?').expect("a query");
    let other = url.replacen("logs", "results", 1);
    let later = url.replacen("expires=", "expires=9", 1);
    for bad in [
        plain.to_owned(),
        other,
        later,
        format!("{url}0"),
        format!("{plain}?expires=1&signature=xyz"),
    ] {
        assert_eq!(http_get(&bad).await.0, 403, "{bad}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_for_what_is_not_there_is_never_answered() {
    let world = World::new().await;
    let spec = json!({"target": {"kind": "BackupLog", "name": "nothing"}});
    world.ask(Kind::DownloadRequest, "d1", spec).await;
    let waiting = world
        .until(Kind::DownloadRequest, "d1", |request| {
            request.data.pointer("/status/expiration").is_some()
        })
        .await;
    assert_eq!(waiting.data["status"].get("phase"), None);
    assert_eq!(waiting.data["status"].get("downloadURL"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_server_has_the_backups_of_the_old() {
    let world = World::new().await;
    world.populate("kept").await;
    world.back_up("b1").await;
    let folder = world.folder.path().join("storage");
    let other = World::with(|options| options.storage = folder).await;
    assert_ne!(other.options.storage, other.folder.path().join("storage"));
    other.reach(Kind::Backup, "b1", "Completed").await;
    other.restore("r1", "b1").await;
    other.reach(Kind::Restore, "r1", "Completed").await;
    assert_eq!(other.data("data").await.as_deref(), Some("kept"));
}
