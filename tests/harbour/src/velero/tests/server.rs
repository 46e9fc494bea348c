//! The server itself: status, downloads, storage that outlives it.

use std::collections::HashMap;

use axum::http::{Method, Response, StatusCode};
use bytes::Bytes;
use serde_json::json;

use super::super::objects::Kind;
use super::{World, http_get, text};
use crate::gate::Fate;

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

#[tokio::test(flavor = "multi_thread")]
async fn writes_that_fail_or_whose_answers_are_lost_do_no_harm() {
    let world = World::new().await;
    world.populate("safe").await;
    // Each of Velero's patches fails at first, then is carried out unheard;
    // each thing it creates in the tenant's namespace is made unheard.
    let mut patched: HashMap<String, u32> = HashMap::new();
    world.gate.add(move |call| {
        if call.method == Method::PATCH && call.path().contains("/velero.io/") {
            let times = patched.entry(call.path().to_owned()).or_default();
            *times += 1;
            return match *times {
                1 => {
                    let mut refusal = Response::new(Bytes::from_static(b"not now"));
                    *refusal.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
                    Fate::Answer(refusal)
                }
                2 => Fate::CutAfter,
                _ => Fate::Pass,
            };
        }
        Fate::Pass
    });
    world.back_up("b1").await;
    world.clear().await;
    world.gate.add(|call| {
        let of_velero = String::from_utf8_lossy(&call.body).contains("velero.io/restore-name");
        if call.method == Method::POST && call.path().starts_with("/api/v1/") && of_velero {
            Fate::CutAfter
        } else {
            Fate::Pass
        }
    });
    world.restore("r1", "b1").await;
    let done = world.reach(Kind::Restore, "r1", "Completed").await;
    assert!(
        done.data["status"].get("warnings").is_none(),
        "{:#}",
        done.data
    );
    assert_eq!(world.data("data").await.as_deref(), Some("safe"));
}
