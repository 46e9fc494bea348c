//! Who may merge what, and when: protection, moved heads, races, restarts, limits.

use serde_json::{Value, json};
use std::process::Command;

use super::super::{
    Conclusion, MergeMethod, Options, Protection, PullStatus, ReviewEvent, ReviewState, Server,
};
use super::{FILE, OWNER, REPO, World};

async fn protect(world: &World, protection: Protection) {
    world
        .server
        .protect(OWNER, REPO, "main", protection)
        .await
        .unwrap();
}

async fn merge(world: &World, n: u64, body: Value) -> (u16, String) {
    let answer = world.bot("PUT", &format!("pulls/{n}/merge"), body).await;
    (answer.status, answer.said())
}

#[tokio::test]
async fn a_merge_waits_for_reviews_and_checks() {
    let world = World::new().await;
    let checks = vec!["validate".to_owned()];
    protect(
        &world,
        Protection {
            required_approvals: 1,
            required_checks: checks,
            ..Protection::default()
        },
    )
    .await;
    let n = world.pull("a").await;
    let review = "At least 1 approving review is required by reviewers with write access.";
    let expected = "Required status check \"validate\" is expected.";
    assert_eq!(
        merge(&world, n, json!({})).await,
        (405, format!("{review} {expected}"))
    );
    let own = world
        .server
        .review(OWNER, REPO, n, "refloat[bot]", ReviewEvent::Approve, None)
        .await
        .unwrap_err();
    assert_eq!(
        (own.status, own.message().as_str()),
        (
            422,
            "Unprocessable Entity: Can not approve your own pull request"
        )
    );
    world
        .server
        .review(OWNER, REPO, n, "reader", ReviewEvent::Approve, None)
        .await
        .unwrap();
    assert_eq!(
        merge(&world, n, json!({})).await.0,
        405,
        "a reader's approval does not count"
    );
    world
        .server
        .review(OWNER, REPO, n, "rita", ReviewEvent::Approve, None)
        .await
        .unwrap();
    assert_eq!(
        merge(&world, n, json!({})).await,
        (405, expected.to_owned())
    );
    let head = world.tip("a").await;
    world
        .server
        .set_check(OWNER, REPO, &head, "validate", None)
        .await
        .unwrap();
    assert_eq!(
        merge(&world, n, json!({})).await.1,
        "Required status check \"validate\" is in progress."
    );
    assert_eq!(
        world.bot("GET", "pulls/1", Value::Null).await.json()["mergeable_state"],
        "blocked"
    );
    world
        .server
        .set_check(OWNER, REPO, &head, "validate", Some(Conclusion::Failure))
        .await
        .unwrap();
    assert_eq!(
        merge(&world, n, json!({})).await.1,
        "Required status check \"validate\" is failing."
    );
    world
        .server
        .set_check(OWNER, REPO, &head, "validate", Some(Conclusion::Success))
        .await
        .unwrap();
    world
        .server
        .review(OWNER, REPO, n, "rune", ReviewEvent::RequestChanges, None)
        .await
        .unwrap();
    assert_eq!(
        merge(&world, n, json!({})).await.0,
        405,
        "an objection stands in the way"
    );
    world
        .server
        .review(OWNER, REPO, n, "rune", ReviewEvent::Approve, None)
        .await
        .unwrap();
    assert_eq!(merge(&world, n, json!({"sha": head})).await.0, 200);
    assert_eq!(
        merge(&world, n, json!({})).await,
        (405, "Pull Request is not mergeable".to_owned())
    );
}

#[tokio::test]
async fn a_moved_head_takes_approvals_away() {
    let world = World::new().await;
    protect(
        &world,
        Protection {
            required_approvals: 1,
            dismiss_stale: true,
            ..Protection::default()
        },
    )
    .await;
    let n = world.pull("a").await;
    let old = world.tip("a").await;
    world
        .server
        .review(OWNER, REPO, n, "rita", ReviewEvent::Approve, None)
        .await
        .unwrap();
    // Not through the server: as Git moves it.
    let main = world.tip("main").await;
    let dir = world.server.git_dir(OWNER, REPO);
    let git = |args: &[&str]| {
        let done = Command::new("git")
            .arg("--git-dir")
            .arg(&dir)
            .args(args)
            .envs([
                ("GIT_AUTHOR_NAME", "x"),
                ("GIT_AUTHOR_EMAIL", "x@x"),
                ("GIT_COMMITTER_NAME", "x"),
                ("GIT_COMMITTER_EMAIL", "x@x"),
            ])
            .output()
            .unwrap();
        assert!(
            done.status.success(),
            "{}",
            String::from_utf8_lossy(&done.stderr)
        );
        String::from_utf8(done.stdout).unwrap().trim().to_owned()
    };
    let new = git(&[
        "commit-tree",
        &format!("{old}^{{tree}}"),
        "-p",
        &old,
        "-m",
        "More",
    ]);
    git(&["update-ref", "refs/heads/a", &new]);
    assert_eq!(
        merge(&world, n, json!({"sha": old})).await,
        (
            409,
            "Head branch was modified. Review and try the merge again.".to_owned()
        )
    );
    assert_eq!(merge(&world, n, json!({"sha": new})).await.0, 405);
    let pull = world.server.pulls(OWNER, REPO).await.unwrap().remove(0);
    assert_eq!(
        (pull.head_sha, pull.reviews[0].state),
        (new.clone(), ReviewState::Dismissed)
    );
    assert_eq!((pull.base_sha, pull.blocked_by.len()), (main, 1));
    world
        .server
        .review(OWNER, REPO, n, "rita", ReviewEvent::Approve, Some(&old))
        .await
        .unwrap();
    assert_eq!(
        merge(&world, n, json!({})).await.0,
        405,
        "an approval of an older commit is stale"
    );
    world
        .server
        .review(OWNER, REPO, n, "rita", ReviewEvent::Approve, Some(&new))
        .await
        .unwrap();
    git(&["pack-refs", "--all", "--prune"]);
    assert_eq!(merge(&world, n, json!({"sha": new})).await.0, 200);
}

#[tokio::test]
async fn code_owners_must_approve_what_is_theirs() {
    let world = World::new().await;
    let owners: [(&str, Option<&[u8]>); 1] = [(
        "CODEOWNERS",
        Some(b"* @rita\n/wave-*/ @platform/restorers\n"),
    )];
    world
        .server
        .add_team(OWNER, "restorers", &["rune"])
        .unwrap();
    world
        .server
        .commit_files(OWNER, REPO, "main", "Own", "rita", &owners)
        .await
        .unwrap();
    protect(
        &world,
        Protection {
            required_approvals: 1,
            code_owners: true,
            ..Protection::default()
        },
    )
    .await;
    let n = world.pull("a").await;
    world
        .server
        .review(OWNER, REPO, n, "rita", ReviewEvent::Approve, None)
        .await
        .unwrap();
    let said = merge(&world, n, json!({})).await;
    assert_eq!(
        said,
        (
            405,
            "Waiting on code owner review from @platform/restorers.".to_owned()
        )
    );
    world
        .server
        .review(OWNER, REPO, n, "rune", ReviewEvent::Approve, None)
        .await
        .unwrap();
    assert_eq!(merge(&world, n, json!({})).await.0, 200);
}

#[tokio::test]
async fn conflicts_drafts_and_deleted_branches() {
    let world = World::new().await;
    let (a, b) = (world.pull("a").await, world.pull("b").await);
    assert_eq!(merge(&world, a, json!({})).await.0, 200);
    let pull = world
        .bot("GET", &format!("pulls/{b}"), Value::Null)
        .await
        .json();
    assert_eq!(
        (&pull["mergeable"], &pull["mergeable_state"]),
        (&json!(false), &json!("dirty"))
    );
    assert_eq!(
        merge(&world, b, json!({})).await,
        (405, "Pull Request is not mergeable".to_owned())
    );
    assert_eq!(
        world
            .bot("PUT", &format!("pulls/{b}/update-branch"), json!({}))
            .await
            .status,
        422
    );
    world.server.delete_branch(OWNER, REPO, "b").await.unwrap();
    let pull = world
        .bot("GET", &format!("pulls/{b}"), Value::Null)
        .await
        .json();
    assert_eq!(
        (&pull["state"], &pull["merged"]),
        (&json!("closed"), &json!(false))
    );
    assert!(
        world
            .server
            .reopen_as(OWNER, REPO, b, "rita")
            .await
            .is_err()
    );
    world.branch("c", "appname: c\n").await;
    let draft = world
        .bot(
            "POST",
            "pulls",
            json!({"title": "c", "head": "c", "base": "main", "draft": true}),
        )
        .await
        .json();
    let n = draft["number"].as_u64().unwrap();
    assert_eq!(
        merge(&world, n, json!({})).await,
        (405, "Pull Request is still a draft".to_owned())
    );
    world.server.close_as(OWNER, REPO, n, "rita").await.unwrap();
    assert_eq!(
        world.bot("GET", "pulls", Value::Null).await.json(),
        json!([])
    );
    world
        .server
        .reopen_as(OWNER, REPO, n, "rita")
        .await
        .unwrap();
    assert_eq!(
        world
            .bot("GET", "pulls", Value::Null)
            .await
            .json()
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn three_ways_to_merge() {
    for (method, parents, title) in [
        (
            MergeMethod::Merge,
            2,
            "Merge pull request #1 from platform/a",
        ),
        (MergeMethod::Squash, 1, "Change a (#1)"),
        (MergeMethod::Rebase, 1, "More"),
    ] {
        let world = World::new().await;
        let n = world.pull("a").await;
        let more: [(&str, Option<&[u8]>); 1] = [("more.txt", Some(b"more\n"))];
        world
            .server
            .push_to(OWNER, REPO, "a", "rune", "More", &more)
            .await
            .unwrap();
        let other: [(&str, Option<&[u8]>); 1] = [("other.txt", Some(b"other\n"))];
        world
            .server
            .push_to(OWNER, REPO, "main", "rita", "Other", &other)
            .await
            .unwrap();
        let commit = world
            .server
            .merge_as(OWNER, REPO, n, "rita", method)
            .await
            .unwrap();
        let shown = world
            .bot("GET", &format!("commits/{commit}"), Value::Null)
            .await
            .json();
        assert_eq!(
            shown["parents"].as_array().unwrap().len(),
            parents,
            "{method:?}"
        );
        assert!(
            shown["commit"]["message"]
                .as_str()
                .unwrap()
                .starts_with(title),
            "{shown}"
        );
        for path in [FILE, "more.txt", "other.txt"] {
            assert!(
                world
                    .server
                    .read_file(OWNER, REPO, "main", path)
                    .await
                    .unwrap()
                    .is_some(),
                "{method:?} {path}"
            );
        }
        let status = world
            .server
            .pulls(OWNER, REPO)
            .await
            .unwrap()
            .remove(0)
            .status;
        assert_eq!(
            status,
            PullStatus::Merged {
                commit,
                by: "rita".to_owned()
            }
        );
    }
}

#[tokio::test]
async fn a_branch_brought_up_to_date() {
    let world = World::new().await;
    protect(
        &world,
        Protection {
            strict: true,
            ..Protection::default()
        },
    )
    .await;
    let n = world.pull("a").await;
    let other: [(&str, Option<&[u8]>); 1] = [("other.txt", Some(b"other\n"))];
    assert_eq!(
        world
            .server
            .push_to(OWNER, REPO, "main", "rita", "Other", &other)
            .await
            .unwrap_err()
            .status,
        422
    );
    world
        .server
        .commit_files(OWNER, REPO, "main", "Other", "rita", &other)
        .await
        .unwrap();
    assert_eq!(
        world.bot("GET", "pulls/1", Value::Null).await.json()["mergeable_state"],
        "behind"
    );
    assert_eq!(merge(&world, n, json!({})).await.0, 405);
    let head = world.tip("a").await;
    let stale = json!({"expected_head_sha": "1".repeat(40)});
    assert_eq!(
        world
            .bot("PUT", "pulls/1/update-branch", stale)
            .await
            .status,
        422
    );
    let update = world
        .bot(
            "PUT",
            "pulls/1/update-branch",
            json!({"expected_head_sha": head}),
        )
        .await;
    assert_eq!(update.status, 202);
    assert_eq!(merge(&world, n, json!({})).await.0, 200);
}

#[tokio::test]
async fn of_two_at_once_one_wins() {
    let world = World::new().await;
    world.branch("a", "appname: a\n").await;
    let body = json!({"title": "a", "head": "a", "base": "main"});
    let create = || world.bot("POST", "pulls", body.clone());
    let (one, two) = tokio::join!(create(), create());
    let mut statuses = [one.status, two.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 422]);
    let merge = || world.bot("PUT", "pulls/1/merge", json!({}));
    let (one, two) = tokio::join!(merge(), merge());
    let mut statuses = [one.status, two.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 405]);
}

#[tokio::test]
async fn mergeability_takes_its_time() {
    let world = World::with(|options| options.mergeable_delay_reads = 2).await;
    world.pull("a").await;
    let mut seen = Vec::new();
    for _ in 0..3 {
        seen.push(world.bot("GET", "pulls/1", Value::Null).await.json()["mergeable"].clone());
    }
    assert_eq!(seen, [Value::Null, Value::Null, json!(true)]);
    world.branch("a", "appname: b\n").await;
    assert_eq!(
        world.bot("GET", "pulls/1", Value::Null).await.json()["mergeable_state"],
        "unknown"
    );
}

#[tokio::test]
async fn a_known_answer_is_free() {
    let world = World::new().await;
    let path = format!("/repos/{OWNER}/{REPO}/pulls");
    let first = world.ask("bot-token", "GET", &path, Value::Null, &[]).await;
    let tag = first.header("etag").to_owned();
    let again = world
        .ask(
            "bot-token",
            "GET",
            &path,
            Value::Null,
            &[("if-none-match", &tag)],
        )
        .await;
    assert_eq!(
        (again.status, again.text.as_str(), again.header("etag")),
        (304, "", tag.as_str())
    );
    assert_eq!(
        again.header("x-ratelimit-used"),
        first.header("x-ratelimit-used")
    );
    assert!(!again.header("x-github-request-id").is_empty());
    world.pull("a").await;
    let changed = world
        .ask(
            "bot-token",
            "GET",
            &path,
            Value::Null,
            &[("if-none-match", &tag)],
        )
        .await;
    assert_eq!(changed.status, 200);
}

#[tokio::test]
async fn pages_are_linked() {
    let world = World::new().await;
    for name in ["a", "b", "c"] {
        world.pull(name).await;
    }
    let answer = world
        .bot("GET", "pulls?per_page=2&page=1&direction=asc", Value::Null)
        .await;
    let numbers: Vec<u64> = answer
        .json()
        .as_array()
        .unwrap()
        .iter()
        .map(|pull| pull["number"].as_u64().unwrap())
        .collect();
    assert_eq!(numbers, [1, 2]);
    let base = format!(
        "{}/repos/{OWNER}/{REPO}/pulls?per_page=2&direction=asc",
        world.server.api_url()
    );
    let link = format!("<{base}&page=2>; rel=\"next\", <{base}&page=2>; rel=\"last\"");
    assert_eq!(answer.header("link"), link);
    let crab = world.signed("bot-token");
    let page = crab
        .pulls(OWNER, REPO)
        .list()
        .per_page(2)
        .send()
        .await
        .unwrap();
    assert_eq!(crab.all_pages(page).await.unwrap().len(), 3);
}

#[tokio::test]
async fn limits_are_kept() {
    let world = World::with(|options| options.write_burst = Some(2)).await;
    world.pull("a").await;
    assert_eq!(
        world
            .bot("POST", "issues/1/comments", json!({"body": "1"}))
            .await
            .status,
        201
    );
    let refused = world
        .bot("POST", "issues/1/comments", json!({"body": "2"}))
        .await;
    assert_eq!(refused.status, 403);
    assert!(refused.header("retry-after").parse::<u64>().unwrap() <= 60);
    let world = World::with(|options| options.rate_limit = 1).await;
    assert_eq!(
        world
            .bot("GET", "pulls", Value::Null)
            .await
            .header("x-ratelimit-remaining"),
        "0"
    );
    let refused = world.bot("GET", "pulls", Value::Null).await;
    assert_eq!(refused.status, 403);
    let limits = world
        .ask("bot-token", "GET", "/rate_limit", Value::Null, &[])
        .await;
    assert_eq!(
        (limits.status, &limits.json()["rate"]["remaining"]),
        (200, &json!(0))
    );
}

#[tokio::test]
async fn a_restart_forgets_nothing() {
    let kept = tempfile::tempdir().unwrap();
    let store = kept.path().join("state");
    let world = World::with(|options| options.state = Some(store.clone())).await;
    let n = world.pull("a").await;
    world
        .server
        .review(OWNER, REPO, n, "rita", ReviewEvent::Approve, None)
        .await
        .unwrap();
    world
        .bot("POST", "issues/1/comments", json!({"body": "Hello"}))
        .await;
    let before = world.server.pulls(OWNER, REPO).await.unwrap();
    let mut options = Options::new(world.dir.path().join("git"));
    options.state = Some(store);
    let server = Server::start(options).await.unwrap();
    assert_eq!(server.pulls(OWNER, REPO).await.unwrap(), before);
    let again = World {
        server,
        dir: world.dir,
        client: std::sync::OnceLock::new(),
    };
    assert_eq!(merge(&again, n, json!({})).await.0, 200);
    assert_eq!(again.pull("b").await, 2);
}

#[tokio::test]
async fn merged_by_a_push_and_green_by_itself() {
    let world = World::new().await;
    world
        .server
        .always_green(OWNER, REPO, &["validate"])
        .await
        .unwrap();
    protect(
        &world,
        Protection {
            required_checks: vec!["validate".to_owned()],
            ..Protection::default()
        },
    )
    .await;
    let n = world.pull("a").await;
    assert_eq!(
        world.server.pulls(OWNER, REPO).await.unwrap()[0].blocked_by,
        Vec::<String>::new()
    );
    let head = world.tip("a").await;
    let dir = world.server.git_dir(OWNER, REPO);
    let pushed = Command::new("git")
        .arg("--git-dir")
        .arg(dir)
        .args(["update-ref", "refs/heads/main", &head])
        .status();
    assert!(pushed.unwrap().success());
    let pull = world
        .bot("GET", &format!("pulls/{n}"), Value::Null)
        .await
        .json();
    assert_eq!(
        (&pull["merged"], &pull["merge_commit_sha"]),
        (&json!(true), &json!(head))
    );
}
