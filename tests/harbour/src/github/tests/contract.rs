//! Every endpoint gives what GitHub's description says it gives.

use serde_json::{Value, json};

use super::super::{Conclusion, Protection, SpecChecker};
use super::{FILE, OWNER, REPO, SPEC, World};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

async fn reads(world: &World, paths: &[&str]) {
    for path in paths {
        let answer = world.ask("rita-token", "GET", path, Value::Null, &[]).await;
        assert!(
            (200..300).contains(&answer.status),
            "{path}: {} {}",
            answer.status,
            answer.text
        );
    }
}

#[tokio::test]
async fn people_and_limits() {
    let world = World::new().await;
    reads(
        &world,
        &[
            "/user",
            "/users/reader",
            "/users/refloat%5Bbot%5D",
            "/rate_limit",
            "/meta",
            "/versions",
            "/orgs/platform/members/rita",
            "/orgs/platform/memberships/rita",
            "/orgs/platform/teams/restorers",
            "/orgs/platform/teams/restorers/members",
            "/orgs/platform/teams/restorers/memberships/rune",
            "/repos/platform/orders",
            "/repos/platform/orders/collaborators/rita",
            "/repos/platform/orders/collaborators/rita/permission",
            "/repos/platform/orders/collaborators/stranger/permission",
        ],
    )
    .await;
    for (token, path, status) in [
        ("nonsense", "/user", 401),
        ("stranger-token", "/repos/platform/orders", 404),
        ("stranger-token", "/orgs/platform/teams/restorers", 404),
        ("rita-token", "/repos/platform/nothing", 404),
        ("rita-token", "/orgs/platform/members/reader", 404),
        ("rita-token", "/users/nobody", 404),
    ] {
        let answer = world.ask(token, "GET", path, Value::Null, &[]).await;
        assert_eq!(answer.status, status, "{path}");
        assert_eq!(answer.json()["status"], json!(status.to_string()));
    }
}

#[tokio::test]
async fn git_over_the_api() {
    let world = World::new().await;
    let main = world.tip("main").await;
    let base = format!("/repos/{OWNER}/{REPO}");
    world
        .server
        .protect(
            OWNER,
            REPO,
            "main",
            Protection {
                required_approvals: 1,
                required_checks: vec!["validate".to_owned()],
                ..Protection::default()
            },
        )
        .await
        .unwrap();
    world
        .server
        .set_check(OWNER, REPO, &main, "validate", Some(Conclusion::Success))
        .await
        .unwrap();
    let status = json!({"state": "pending", "context": "lint", "description": "soon"});
    assert_eq!(
        world
            .bot("POST", &format!("statuses/{main}"), status)
            .await
            .status,
        201
    );
    let made = world
        .bot(
            "POST",
            "git/refs",
            json!({"ref": "refs/heads/refloat/a", "sha": main}),
        )
        .await;
    assert_eq!(made.status, 201);
    let paths: Vec<String> = [
        "/branches",
        "/branches/main",
        "/branches/main/protection",
        "/branches/refloat/a",
        "/rules/branches/main",
        "/git/ref/heads/main",
        "/git/matching-refs/heads/refloat",
        "/commits/main",
        "/commits/main/check-runs",
        "/commits/main/status",
        "/commits/main/statuses",
        "/compare/main...refloat/a",
        "/contents/",
        "/contents/wave-1",
        "/contents/README.md?ref=main",
        "/git/trees/main?recursive=1",
    ]
    .iter()
    .map(|path| format!("{base}{path}"))
    .chain([format!("{base}/git/commits/{main}")])
    .collect();
    reads(
        &world,
        &paths.iter().map(String::as_str).collect::<Vec<_>>(),
    )
    .await;

    let blob = world
        .bot(
            "POST",
            "git/blobs",
            json!({"content": "aGk=", "encoding": "base64"}),
        )
        .await;
    let blob = blob.json()["sha"].as_str().unwrap().to_owned();
    assert_eq!(
        world
            .bot("GET", &format!("git/blobs/{blob}"), Value::Null)
            .await
            .json()["size"],
        2
    );
    let entries = json!([
        {"path": "new/hi.txt", "mode": "100644", "type": "blob", "sha": blob},
        {"path": "README.md", "mode": "100644", "type": "blob", "sha": null},
    ]);
    let tree = world
        .bot(
            "POST",
            "git/trees",
            json!({"base_tree": main, "tree": entries}),
        )
        .await;
    assert_eq!(tree.status, 201, "{}", tree.text);
    let commit = json!({"message": "By hand", "tree": tree.json()["sha"], "parents": [main]});
    let commit = world.bot("POST", "git/commits", commit).await;
    assert_eq!(commit.status, 201);
    let commit = commit.json()["sha"].as_str().unwrap().to_owned();
    let moved = world
        .bot("PATCH", "git/refs/heads/refloat/a", json!({"sha": commit}))
        .await;
    assert_eq!(moved.status, 200);
    let read = async |path: &str| {
        world
            .server
            .read_file(OWNER, REPO, "refloat/a", path)
            .await
            .unwrap()
    };
    assert_eq!(read("new/hi.txt").await.as_deref(), Some(&b"hi"[..]));
    assert_eq!(read("README.md").await, None);
    assert!(read(FILE).await.is_some());

    let refused = [
        (
            "POST",
            "git/refs",
            json!({"ref": "refs/heads/refloat/a", "sha": main}),
            422,
            "Reference already exists",
        ),
        (
            "POST",
            "git/refs",
            json!({"ref": "refs/heads/b", "sha": "0".repeat(40)}),
            422,
            "Object does not exist",
        ),
        (
            "PATCH",
            "git/refs/heads/refloat/a",
            json!({"sha": main}),
            422,
            "Update is not a fast forward",
        ),
        (
            "PATCH",
            "git/refs/heads/nothing",
            json!({"sha": main}),
            422,
            "Reference does not exist",
        ),
        (
            "PATCH",
            "git/refs/heads/main",
            json!({"sha": commit}),
            422,
            "Changes must be made through a pull request.",
        ),
        (
            "DELETE",
            "git/refs/heads/main",
            Value::Null,
            422,
            "Cannot delete this branch",
        ),
        (
            "DELETE",
            "git/refs/heads/nothing",
            Value::Null,
            422,
            "Reference does not exist",
        ),
        (
            "GET",
            "git/ref/heads/nothing",
            Value::Null,
            404,
            "Not Found",
        ),
        ("GET", "contents/nothing", Value::Null, 404, "Not Found"),
        (
            "GET",
            "contents/README.md?ref=nothing",
            Value::Null,
            404,
            "No commit found for the ref nothing",
        ),
    ];
    for (method, path, body, status, message) in refused {
        let answer = world.bot(method, path, body).await;
        assert_eq!(
            (answer.status, answer.said().as_str()),
            (status, message),
            "{method} {path}"
        );
    }
    let forced = world
        .bot(
            "PATCH",
            "git/refs/heads/refloat/a",
            json!({"sha": main, "force": true}),
        )
        .await;
    assert_eq!(forced.status, 200);
    assert_eq!(
        world
            .bot("DELETE", "git/refs/heads/refloat/a", Value::Null)
            .await
            .status,
        204
    );
}

#[tokio::test]
async fn files() {
    let world = World::new().await;
    let path = format!("contents/{FILE}");
    let got = world.bot("GET", &path, Value::Null).await.json();
    let sha = got["sha"].as_str().unwrap().to_owned();
    let content = BASE64_STANDARD.encode("appname: other\n");
    let put = |sha: Option<&str>, branch: &str| {
        let mut body = json!({"message": "Change", "content": content, "branch": branch});
        if let Some(sha) = sha {
            body["sha"] = json!(sha);
        }
        body
    };
    for (body, status, message) in [
        (
            put(None, "main"),
            422,
            "Invalid request.\n\n\"sha\" wasn't supplied.".to_owned(),
        ),
        (
            put(Some(&"1".repeat(40)), "main"),
            409,
            format!("{FILE} does not match {}", "1".repeat(40)),
        ),
        (
            put(Some(&sha), "nothing"),
            404,
            "Branch nothing not found".to_owned(),
        ),
    ] {
        let answer = world.bot("PUT", &path, body).await;
        assert_eq!((answer.status, answer.said()), (status, message));
    }
    let done = world.bot("PUT", &path, put(Some(&sha), "main")).await;
    assert_eq!(done.status, 200, "{}", done.text);
    assert_eq!(done.json()["commit"]["author"]["name"], "refloat[bot]");
    assert_eq!(
        done.json()["commit"]["sha"].as_str().unwrap(),
        world.tip("main").await
    );
    let stale = world.bot("PUT", &path, put(Some(&sha), "main")).await;
    assert_eq!(stale.status, 409, "the same again is refused");
    let new = world
        .bot("PUT", "contents/a%20b/%C3%BC.txt", put(None, "main"))
        .await;
    assert_eq!(new.status, 201);
    let raw = [("accept", "application/vnd.github.raw+json")];
    let target = format!("/repos/{OWNER}/{REPO}/contents/a%20b/%C3%BC.txt");
    let raw = world
        .ask("reader-token", "GET", &target, Value::Null, &raw)
        .await;
    assert_eq!(raw.text, "appname: other\n");
    let gone = json!({"message": "Remove", "sha": new.json()["content"]["sha"], "branch": "main"});
    let gone = world.bot("DELETE", "contents/a%20b/%C3%BC.txt", gone).await;
    assert_eq!((gone.status, &gone.json()["content"]), (200, &Value::Null));
    let target = format!("/repos/{OWNER}/{REPO}/{path}");
    let reader = world
        .ask("reader-token", "PUT", &target, put(Some(&sha), "main"), &[])
        .await;
    assert_eq!(reader.status, 403);
}

#[tokio::test]
async fn a_pull_request_and_what_hangs_on_it() {
    let world = World::new().await;
    let n = world.pull("refloat/off").await;
    assert_eq!(n, 1);
    let pr = format!("pulls/{n}");
    let answer = world.bot("GET", &pr, Value::Null).await.json();
    assert_eq!(
        (&answer["mergeable"], &answer["mergeable_state"]),
        (&json!(true), &json!("clean"))
    );
    assert_eq!(
        (
            &answer["commits"],
            &answer["changed_files"],
            &answer["additions"]
        ),
        (&json!(1), &json!(1), &json!(1))
    );
    for path in [
        "pulls?state=all&head=platform:refloat/off&base=main",
        "pulls/1/files",
        "pulls/1/commits",
        "pulls/1/reviews",
        "pulls/1/requested_reviewers",
        "issues/1",
        "issues/1/comments",
        "issues/1/labels",
        "pulls/1/comments",
    ] {
        assert_eq!(
            world.bot("GET", path, Value::Null).await.status,
            200,
            "{path}"
        );
    }
    let reviewers = json!({"reviewers": ["rita"], "team_reviewers": ["restorers"]});
    let asked = world
        .bot("POST", "pulls/1/requested_reviewers", reviewers.clone())
        .await;
    assert_eq!(
        (
            asked.status,
            &asked.json()["requested_reviewers"][0]["login"]
        ),
        (201, &json!("rita"))
    );
    assert_eq!(
        world
            .bot("GET", "pulls/1/requested_reviewers", Value::Null)
            .await
            .json()["teams"][0]["slug"],
        "restorers"
    );
    assert_eq!(
        world
            .bot("DELETE", "pulls/1/requested_reviewers", reviewers)
            .await
            .status,
        200
    );
    assert_eq!(
        world
            .bot(
                "POST",
                "pulls/1/requested_reviewers",
                json!({"reviewers": ["stranger"]})
            )
            .await
            .status,
        422
    );

    let said = world
        .bot("POST", "issues/1/comments", json!({"body": "Hello"}))
        .await;
    let id = said.json()["id"].as_u64().unwrap();
    let changed = world
        .bot(
            "PATCH",
            &format!("issues/comments/{id}"),
            json!({"body": "Hello again"}),
        )
        .await;
    assert_eq!(changed.json()["body"], "Hello again");
    assert_eq!(
        world
            .bot("GET", &format!("issues/comments/{id}"), Value::Null)
            .await
            .status,
        200
    );
    let labelled = world
        .bot("POST", "issues/1/labels", json!({"labels": ["refloat"]}))
        .await;
    assert_eq!(labelled.json()[0]["name"], "refloat");
    assert_eq!(
        world
            .bot(
                "PUT",
                "issues/1/labels",
                json!({"labels": ["restore", "urgent"]})
            )
            .await
            .json()
            .as_array()
            .unwrap()
            .len(),
        2
    );
    assert_eq!(
        world
            .bot("DELETE", "issues/1/labels/urgent", Value::Null)
            .await
            .status,
        200
    );
    assert_eq!(
        world
            .bot("GET", "labels", Value::Null)
            .await
            .json()
            .as_array()
            .unwrap()
            .len(),
        3
    );
    assert_eq!(
        world
            .bot("PATCH", "issues/1", json!({"title": "Another title"}))
            .await
            .json()["title"],
        "Another title"
    );
    assert_eq!(
        world
            .bot("PATCH", &pr, json!({"body": "Another text"}))
            .await
            .json()["body"],
        "Another text"
    );

    let review = format!("/repos/{OWNER}/{REPO}/pulls/1/reviews");
    let pending = world
        .ask("rita-token", "POST", &review, json!({"body": "Hm"}), &[])
        .await;
    let id = pending.json()["id"].as_u64().unwrap();
    assert_eq!(pending.json()["state"], "PENDING");
    assert_eq!(
        world
            .bot("GET", "pulls/1/reviews", Value::Null)
            .await
            .json(),
        json!([]),
        "others do not see it"
    );
    let events = format!("{review}/{id}/events");
    let submitted = world
        .ask(
            "rita-token",
            "POST",
            &events,
            json!({"event": "APPROVE"}),
            &[],
        )
        .await;
    assert_eq!(submitted.json()["state"], "APPROVED");
    let dismissals = format!("pulls/1/reviews/{id}/dismissals");
    let dismissed = world
        .bot(
            "PUT",
            &dismissals,
            json!({"message": "Too early", "event": "DISMISS"}),
        )
        .await;
    assert_eq!(dismissed.json()["state"], "DISMISSED");

    for (body, message) in [
        (
            json!({"title": "x", "head": "refloat/off", "base": "main"}),
            "A pull request already exists for platform:refloat/off.",
        ),
        (
            json!({"title": "x", "head": "main", "base": "main"}),
            "No commits between main and main",
        ),
    ] {
        let refused = world.bot("POST", "pulls", body).await;
        assert_eq!(
            (refused.status, &refused.json()["errors"][0]["message"]),
            (422, &json!(message))
        );
    }
    let refused = world
        .bot(
            "POST",
            "pulls",
            json!({"title": "x", "head": "nothing", "base": "main"}),
        )
        .await;
    assert_eq!(
        refused.json()["errors"][0],
        json!({"resource": "PullRequest", "field": "head", "code": "invalid"})
    );

    assert_eq!(
        world.bot("GET", "pulls/1/merge", Value::Null).await.status,
        404
    );
    let merged = world
        .bot(
            "PUT",
            "pulls/1/merge",
            json!({"sha": answer["head"]["sha"], "merge_method": "merge"}),
        )
        .await;
    assert_eq!(
        merged.json()["sha"].as_str().unwrap(),
        world.tip("main").await
    );
    assert_eq!(
        world.bot("GET", "pulls/1/merge", Value::Null).await.status,
        204
    );
    let after = world.bot("GET", &pr, Value::Null).await.json();
    assert_eq!(
        (&after["merged"], &after["state"], &after["mergeable"]),
        (&json!(true), &json!("closed"), &Value::Null)
    );
    assert_eq!(after["head"]["sha"], answer["head"]["sha"]);
}

#[test]
fn what_is_not_in_the_description_is_refused() {
    let Some(spec) = SPEC.as_ref() else { return };
    let pulls = "/repos/o/r/pulls";
    let good = br#"{"title": "t", "head": "h", "base": "b", "draft": true}"#;
    assert_eq!(spec.check_request("POST", pulls, good), Ok(()));
    for (method, target, body) in [
        (
            "POST",
            pulls,
            &br#"{"title": "t", "head": "h", "base": "b", "drafft": true}"#[..],
        ),
        ("POST", pulls, br#"{"title": "t", "head": "h"}"#),
        ("POST", pulls, br#"{"title": "t", "head": "h", "base": 1}"#),
        ("POST", pulls, b""),
        ("GET", "/repos/o/r/pulls?stat=open", b""),
        ("GET", "/repos/o/r/pulls?state=opened", b""),
        ("GET", "/repos/o/r/pulls", br"{}"),
        ("POST", "/repos/o/r/nonsense", br"{}"),
    ] {
        assert!(
            spec.check_request(method, target, body).is_err(),
            "{method} {target}"
        );
    }
    assert_eq!(
        spec.check_request("GET", "/api/v3/repos/o/r/contents/a/b/c.yaml?ref=main", b""),
        Ok(())
    );
    assert_eq!(
        spec.check_request("GET", "/repos/o/r/git/ref/heads/a/b", b""),
        Ok(())
    );
    assert!(
        spec.check_response("GET", "/user", 200, br#"{"login": "a"}"#)
            .is_err()
    );
    assert!(
        spec.check_response("PUT", "/repos/o/r/pulls/1/merge", 418, b"{}")
            .is_err()
    );
}

#[test]
fn without_the_description_there_is_no_checker() {
    let empty = tempfile::tempdir().unwrap();
    assert!(SpecChecker::load(empty.path()).unwrap().is_none());
}
