//! The server refuses what Discord refuses.

use std::time::Duration;

use hyper::Method;
use serde_json::{Value, json};

use super::server::{Options, Server};
use super::state::{Limits, Permission};
use super::{REFLOAT_DISCORD_TOKEN, ids};

async fn server() -> Server {
    Server::start(Options {
        specs: crate::published_specs(),
        ..Options::default()
    })
    .await
    .expect("it starts")
}

fn ask(server: &Server, method: &Method, path: &str, body: &Value) -> (u16, Value) {
    let body = if body.is_null() {
        Vec::new()
    } else {
        body.to_string().into_bytes()
    };
    let reply = server.hub.answer(
        method,
        &format!("/api/v10{path}"),
        &format!("Bot {REFLOAT_DISCORD_TOKEN}"),
        &body,
        Vec::new(),
    );
    (reply.status, reply.body.unwrap_or_default())
}

fn post(server: &Server, channel: u64, body: &Value) -> (u16, i64) {
    let (status, answer) = ask(
        server,
        &Method::POST,
        &format!("/channels/{channel}/messages"),
        body,
    );
    (status, answer["code"].as_i64().unwrap_or_default())
}

fn no_limits(server: &Server) {
    server.set_limits(Limits {
        global: usize::MAX,
        messages: usize::MAX,
        threads: usize::MAX,
        ..server.limits()
    });
}

#[tokio::test]
async fn messages_keep_to_their_lengths() {
    let server = server().await;
    no_limits(&server);
    let embed = |title: usize, description: usize, fields: usize, value: usize| {
        json!({ "embeds": [{
            "title": "t".repeat(title),
            "description": "d".repeat(description),
            "fields": (0..fields)
                .map(|_| json!({ "name": "n", "value": "v".repeat(value) }))
                .collect::<Vec<_>>(),
        }]})
    };
    let button = |id: &str| json!({ "type": 2, "style": 1, "label": "x", "custom_id": id });
    let row = |buttons: Vec<Value>| json!({ "content": "x", "components": [{ "type": 1, "components": buttons }] });
    for (body, status) in [
        (json!({ "content": "x".repeat(2000) }), 200),
        (json!({ "content": "x".repeat(2001) }), 400),
        (json!({ "content": "" }), 400),
        (json!({ "content": "x", "no_such_key": 1 }), 400),
        (embed(256, 4096, 25, 10), 200),
        (embed(257, 1, 0, 0), 400),
        (embed(1, 4097, 0, 0), 400),
        (embed(1, 1, 26, 1), 400),
        (embed(1, 1, 1, 1025), 400),
        (embed(1, 1, 1, 0), 400),
        (embed(1, 4096, 20, 1000), 400),
        (row(vec![button("a"), button("b")]), 200),
        (row(vec![button("a"), button("a")]), 400),
        (row((0..6).map(|n| button(&n.to_string())).collect()), 400),
        (row(vec![button(&"x".repeat(101))]), 400),
    ] {
        let (seen, _) = post(&server, ids::CHANNEL, &body);
        // Without the published description an unknown key cannot be told.
        if body.get("no_such_key").is_none() || server.hub.spec.is_some() {
            assert_eq!(seen, status, "{body}");
        }
    }
}

#[tokio::test]
async fn a_nonce_is_taken_once() {
    let server = server().await;
    let body = json!({ "content": "x", "nonce": "n1", "enforce_nonce": true });
    let path = format!("/channels/{}/messages", ids::CHANNEL);
    let (_, first) = ask(&server, &Method::POST, &path, &body);
    let (_, second) = ask(&server, &Method::POST, &path, &body);
    assert_eq!(first["id"], second["id"]);
    let (_, loose) = ask(
        &server,
        &Method::POST,
        &path,
        &json!({ "content": "x", "nonce": "n1" }),
    );
    assert_ne!(first["id"], loose["id"]);
}

#[tokio::test]
async fn what_is_not_there_or_not_allowed_is_refused() {
    let server = server().await;
    let message = json!({ "content": "x" });
    assert_eq!(post(&server, 5, &message), (404, 10003));
    server.permit(ids::CHANNEL, Permission::SendMessages, false);
    assert_eq!(post(&server, ids::CHANNEL, &message), (403, 50013));
    server.permit(ids::CHANNEL, Permission::ViewChannel, false);
    assert_eq!(post(&server, ids::CHANNEL, &message), (403, 50001));
    server.permit(ids::CHANNEL, Permission::SendMessages, true);
    server.permit(ids::CHANNEL, Permission::ViewChannel, true);
    let (_, there) = ask(
        &server,
        &Method::POST,
        &format!("/channels/{}/messages", ids::CHANNEL),
        &message,
    );
    let starter = there["id"].as_str().unwrap_or_default().to_owned();
    let begin = format!("/channels/{}/messages/{starter}/threads", ids::CHANNEL);
    let (status, thread) = ask(&server, &Method::POST, &begin, &json!({ "name": "t" }));
    assert_eq!((status, &thread["id"]), (201, &json!(starter)));
    let (status, again) = ask(&server, &Method::POST, &begin, &json!({ "name": "t" }));
    assert_eq!((status, &again["code"]), (400, &json!(160_004)));
    let thread: u64 = starter.parse().unwrap_or_default();
    let (_, inside) = ask(
        &server,
        &Method::POST,
        &format!("/channels/{thread}/messages"),
        &message,
    );
    let edit = format!(
        "/channels/{thread}/messages/{}",
        inside["id"].as_str().unwrap_or_default()
    );
    // A message wakes a thread that sleeps; an edit does not.
    server.set_thread(thread, true, false);
    let (status, refused) = ask(&server, &Method::PATCH, &edit, &message);
    assert_eq!((status, &refused["code"]), (400, &json!(50083)));
    assert_eq!(post(&server, thread, &message).0, 200);
    assert_eq!(ask(&server, &Method::PATCH, &edit, &message).0, 200);
    server.set_thread(thread, true, true);
    assert_eq!(post(&server, thread, &message), (403, 160_005));
    let reply = server.hub.answer(
        &Method::GET,
        "/api/v10/users/@me",
        "Bot wrong",
        b"",
        Vec::new(),
    );
    assert_eq!(reply.status, 401);
}

#[tokio::test]
async fn too_many_requests_are_refused() {
    let server = server().await;
    let message = json!({ "content": "x" });
    for _ in 0..5 {
        assert_eq!(post(&server, ids::CHANNEL, &message).0, 200);
    }
    assert_eq!(post(&server, ids::CHANNEL, &message).0, 429);
    for _ in 0..50 {
        ask(&server, &Method::GET, "/users/@me", &Value::Null);
    }
    assert_eq!(
        ask(&server, &Method::GET, "/users/@me", &Value::Null).0,
        429
    );
    assert!(server.seen().limited >= 2);
}

#[tokio::test]
async fn an_interaction_is_answered_once_and_in_time() {
    let server = server().await;
    let command = json!([{ "name": "about", "description": "x", "type": 1 }]);
    let put = format!("/applications/{}/guilds/{}/commands", ids::BOT, ids::GUILD);
    assert_eq!(ask(&server, &Method::PUT, &put, &command).0, 200);
    let callback = |id: u64, body: &Value| {
        let path = format!("/interactions/{id}/interaction-{id}/callback");
        let (status, answer) = ask(&server, &Method::POST, &path, body);
        (status, answer["code"].as_i64().unwrap_or_default())
    };
    let deferral = json!({ "type": 5, "data": { "flags": 64 } });
    let asked = server
        .slash(ids::ADA, ids::CHANNEL, "about", &[])
        .expect("it is registered");
    assert_eq!(callback(asked.id, &deferral), (204, 0));
    assert_eq!(callback(asked.id, &deferral), (400, 40060));
    let edit = format!(
        "/webhooks/{}/interaction-{}/messages/@original",
        ids::BOT,
        asked.id
    );
    let said = json!({ "content": "done" });
    assert_eq!(ask(&server, &Method::PATCH, &edit, &said).0, 200);
    assert_eq!(server.words(asked).await.expect("it is there"), "done");
    let late = server
        .slash_late(ids::ADA, ids::CHANNEL, "about", &[], Duration::from_secs(4))
        .expect("it is registered");
    assert_eq!(callback(late.id, &deferral), (404, 10062));
    let old = server
        .slash(ids::ADA, ids::CHANNEL, "about", &[])
        .expect("it is registered");
    assert_eq!(callback(old.id, &deferral), (204, 0));
    server.age(old, Duration::from_mins(16));
    let edit = format!(
        "/webhooks/{}/interaction-{}/messages/@original",
        ids::BOT,
        old.id
    );
    assert_eq!(ask(&server, &Method::PATCH, &edit, &said).0, 401);
    assert!(
        server
            .slash(ids::ADA, ids::CHANNEL, "nothing", &[])
            .is_err()
    );
}

#[tokio::test]
async fn only_what_is_allowed_is_pinged() {
    let server = server().await;
    no_limits(&server);
    let text = format!("@everyone <@&{}> <@{}>", ids::REVIEWERS, ids::ADA);
    let none = json!({ "content": text, "allowed_mentions": { "parse": [] } });
    post(&server, ids::CHANNEL, &none);
    assert!(server.pinged(ids::CHANNEL).is_empty());
    let one = json!({
        "content": text,
        "allowed_mentions": { "parse": [], "roles": [ids::REVIEWERS.to_string()] },
    });
    post(&server, ids::CHANNEL, &one);
    assert_eq!(
        server.pinged(ids::CHANNEL),
        [format!("<@&{}>", ids::REVIEWERS)]
    );
    post(&server, ids::CHANNEL, &json!({ "content": text }));
    assert_eq!(server.pinged(ids::CHANNEL).len(), 4);
}
