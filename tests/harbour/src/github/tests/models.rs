//! The client's own models take the answers.

use octocrab::models::IssueState;
use octocrab::models::pulls::{MergeableState, ReviewAction, ReviewState};
use octocrab::params::State;
use octocrab::params::pulls::MergeMethod;
use octocrab::params::repos::{Commitish, Reference};

use super::super::Conclusion;
use super::{FILE, OWNER, REPO, World};

#[tokio::test]
async fn a_change_from_branch_to_merge() {
    let world = World::new().await;
    let (bot, rita) = (world.crab("bot-token"), world.crab("rita-token"));
    let repos = bot.repos(OWNER, REPO);
    assert_eq!(
        repos.get().await.unwrap().default_branch.as_deref(),
        Some("main")
    );
    assert_eq!(bot.current().user().await.unwrap().login, "refloat[bot]");
    let main = repos
        .get_ref(&Reference::Branch("main".into()))
        .await
        .unwrap();
    let octocrab::models::repos::Object::Commit { sha: main, .. } = main.object else {
        panic!()
    };
    repos
        .create_ref(&Reference::Branch("refloat/off".into()), &main)
        .await
        .unwrap();
    let mut content = repos
        .get_content()
        .path(FILE)
        .r#ref("refloat/off")
        .send()
        .await
        .unwrap();
    let file = content.take_items().remove(0);
    assert_eq!(file.decoded_content().unwrap(), "appname: poseidon\n");
    let update = repos.update_file(FILE, "Turn self-heal off", "appname: quiet\n", &file.sha);
    let update = update.branch("refloat/off").send().await.unwrap();
    let head = update.commit.sha.unwrap();

    let pulls = bot.pulls(OWNER, REPO);
    let made = pulls
        .create("Turn self-heal off", "refloat/off", "main")
        .body("Why".to_owned())
        .send()
        .await
        .unwrap();
    assert_eq!((made.number, &made.head.sha), (1, &head));
    let page = pulls
        .list()
        .state(State::Open)
        .head("platform:refloat/off")
        .base("main")
        .send()
        .await
        .unwrap();
    assert_eq!(page.items.len(), 1);
    let again = pulls
        .create("Again", "refloat/off", "main")
        .send()
        .await
        .unwrap_err();
    let octocrab::Error::GitHub { source, .. } = again else {
        panic!("{again}")
    };
    assert_eq!(source.status_code.as_u16(), 422);
    assert!(
        format!("{:?}", source.errors)
            .contains("A pull request already exists for platform:refloat/off.")
    );

    #[expect(deprecated, reason = "the client has no other way to make a review")]
    let review = rita
        .pulls(OWNER, REPO)
        .pull_number(1)
        .reviews()
        .create_review(&head, "Fine", ReviewAction::Approve, Vec::new())
        .await
        .unwrap();
    assert_eq!(review.state, Some(ReviewState::Approved));
    let reviews = pulls.list_reviews(1).send().await.unwrap().items;
    assert_eq!(reviews[0].commit_id.as_ref(), Some(&head));
    assert_eq!(reviews[0].user.as_ref().unwrap().login, "rita");
    assert_eq!(pulls.list_files(1).await.unwrap().items[0].filename, FILE);

    world
        .server
        .set_check(OWNER, REPO, &head, "validate", Some(Conclusion::Success))
        .await
        .unwrap();
    let runs = bot
        .checks(OWNER, REPO)
        .list_check_runs_for_git_ref(Commitish(head.clone()))
        .send()
        .await
        .unwrap();
    assert_eq!(runs.check_runs[0].conclusion.as_deref(), Some("success"));
    let issues = bot.issues(OWNER, REPO);
    issues.create_comment(1, "Done").await.unwrap();
    assert_eq!(issues.list_comments(1).send().await.unwrap().items.len(), 1);
    issues.add_labels(1, &["refloat".to_owned()]).await.unwrap();
    assert_eq!(issues.get(1).await.unwrap().labels[0].name, "refloat");
    bot.ratelimit().get().await.unwrap();
    repos.list_branches().send().await.unwrap();
    bot.commits(OWNER, REPO)
        .compare("main", "refloat/off")
        .send()
        .await
        .unwrap();
    bot.teams(OWNER).get("restorers").await.unwrap();

    let pull = pulls.get(1).await.unwrap();
    assert_eq!(
        (pull.mergeable, pull.mergeable_state),
        (Some(true), Some(MergeableState::Clean))
    );
    let merged = pulls
        .merge(1)
        .sha(&head)
        .method(MergeMethod::Merge)
        .send()
        .await
        .unwrap();
    assert!(merged.merged);
    let pull = pulls.get(1).await.unwrap();
    assert_eq!(
        (pull.state, pull.merged, pull.merge_commit_sha),
        (Some(IssueState::Closed), Some(true), merged.sha)
    );
    assert!(pulls.is_merged(1).await.unwrap());
    let now = world
        .server
        .read_file(OWNER, REPO, "main", FILE)
        .await
        .unwrap();
    assert_eq!(now.as_deref(), Some(&b"appname: quiet\n"[..]));
    repos
        .delete_ref(&Reference::Branch("refloat/off".into()))
        .await
        .unwrap();
}
