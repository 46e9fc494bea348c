//! How GitHub is asked: through faults, limits, merge queues and rules that Refloat has
//! no say in; and what reviewers read there.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use harbour::Setup;
use harbour::gate::{Call, Fate, Service};
use harbour::github::{MergeMethod, Protection, PullStatus};
use harbour::world::{ORDERS, Shape};
use hyper::{Response, StatusCode};
use refloat::request::{Phase, phase};
use serde_json::{Value, json};

use crate::endings::{REQUEST, Stage};
use crate::refloat::{FAST, Refloat, until};
use crate::world::World;

/// An answer in GitHub's place.
fn answer(status: u16, body: &Value, headers: &[(&'static str, &str)]) -> Fate {
    let mut answer = Response::new(Bytes::from(body.to_string()));
    *answer.status_mut() = StatusCode::from_u16(status).unwrap_or_default();
    answer.headers_mut().insert(
        "content-type",
        hyper::header::HeaderValue::from_static("application/json"),
    );
    for (name, value) in headers {
        if let Ok(value) = value.parse() {
            answer.headers_mut().insert(*name, value);
        }
    }
    Fate::Answer(answer)
}

fn is_refloats(call: &Call) -> bool {
    call.service == Service::Github && call.token.as_deref() == Some(harbour::REFLOAT_GITHUB_TOKEN)
}

/// What a call asks for, without numbers and names that differ from one to the next.
fn kind(call: &Call) -> String {
    let path: Vec<&str> = call
        .path()
        .split('/')
        .map(|part| {
            let varies = part.len() > 20 || part.bytes().all(|byte| byte.is_ascii_digit());
            if varies { "-" } else { part }
        })
        .collect();
    format!("{} {}", call.method, path.join("/"))
}

/// What becomes of the first request of each kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fails {
    /// One that writes is answered with a 502, and nothing is done.
    Broken,
    /// One that writes is carried out, and its answer is lost.
    Lost,
    /// One that reads is cut.
    Unread,
}

/// However each kind of request fails once, there is one pull request for each of the two,
/// each merged once, nothing is said twice, and all ends well.
async fn each_fails(how: Fails) -> anyhow::Result<()> {
    let writes = how != Fails::Unread;
    let world = Stage::world(Shape::small()).await?;
    let seen: Arc<Mutex<HashMap<String, usize>>> = Arc::default();
    let counted = Arc::clone(&seen);
    world.harbour.gate.add(move |call| {
        if !is_refloats(call) || call.writes() != writes {
            return Fate::Pass;
        }
        let mut seen = counted.lock().unwrap_or_else(PoisonError::into_inner);
        let times = seen.entry(kind(call)).or_default();
        *times += 1;
        match (*times, how) {
            (1, Fails::Broken) => answer(502, &json!({ "message": "Bad Gateway" }), &[]),
            (1, Fails::Lost) => Fate::CutAfter,
            (1, Fails::Unread) => Fate::CutBefore,
            _ => Fate::Pass,
        }
    });
    let config = world.harbour.refloat_config(FAST)?;
    let before = world.harbour.platform.snapshot().await?;
    let order = world.order("poseidon1").await?;
    let mut refloat = Refloat::start(&config)?;
    let name = world.ask(&mut refloat, REQUEST).await?;
    world.until_asked(&name).await?;
    refloat.say("as grace: approve").await?;
    world.until_phase(&name, Phase::Done).await?;
    refloat.stop().await?;
    let pulls = world.harbour.pulls().await?;
    assert_eq!(pulls.len(), 2, "{pulls:#?}");
    for pull in &pulls {
        assert!(matches!(pull.status, PullStatus::Merged { .. }), "{pull:?}");
        let mut said: Vec<&str> = pull.comments.iter().map(|it| it.body.as_str()).collect();
        said.sort_unstable();
        let all = said.len();
        said.dedup();
        assert_eq!(said.len(), all, "a comment is there twice: {pull:?}");
    }
    let kinds: Vec<String> = {
        let seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.keys().cloned().collect()
    };
    println!(
        "each of {} kinds of requests failed: {kinds:?}",
        kinds.len()
    );
    assert!(kinds.len() >= 5, "{kinds:?}");
    let merges = kinds.iter().any(|kind| kind.ends_with("/merge"));
    assert_eq!(merges, writes, "{kinds:?}");
    world.check_untouched(&before, &order).await?;
    world.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_write_fails_once() -> anyhow::Result<()> {
    each_fails(Fails::Broken).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_write_loses_its_answer_once() -> anyhow::Result<()> {
    each_fails(Fails::Lost).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_read_fails_once() -> anyhow::Result<()> {
    each_fails(Fails::Unread).await
}

/// A secondary limit is obeyed: for as long as GitHub asks, nothing is sent, and then it
/// goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_secondary_limit_is_obeyed() -> anyhow::Result<()> {
    const PAUSE: Duration = Duration::from_secs(2);
    let mut stage = Stage::asked(Shape::small(), FAST).await?;
    let limited: Arc<Mutex<Option<Instant>>> = Arc::default();
    let early: Arc<Mutex<Vec<String>>> = Arc::default();
    let (since, sent) = (Arc::clone(&limited), Arc::clone(&early));
    stage.world.harbour.gate.add(move |call| {
        if !is_refloats(call) {
            return Fate::Pass;
        }
        let mut since = since.lock().unwrap_or_else(PoisonError::into_inner);
        match *since {
            None if call.writes() && call.path().ends_with("/merge") => {
                *since = Some(Instant::now());
                let words = "You have exceeded a secondary rate limit. Please wait a few \
                             minutes before you try again.";
                answer(403, &json!({ "message": words }), &[("retry-after", "2")])
            }
            // What was under way already may still arrive.
            Some(at) if (PAUSE / 10..PAUSE * 9 / 10).contains(&at.elapsed()) => {
                let mut sent = sent.lock().unwrap_or_else(PoisonError::into_inner);
                sent.push(call.target.clone());
                Fate::Pass
            }
            _ => Fate::Pass,
        }
    });
    stage.refloat.say("as grace: approve").await?;
    stage.world.until_phase(&stage.name, Phase::Done).await?;
    assert!(
        limited
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_some(),
        "nothing was limited"
    );
    let sent = early.lock().unwrap_or_else(PoisonError::into_inner).clone();
    assert!(sent.is_empty(), "sent all the same: {sent:?}");
    stage.ends(Phase::Done).await
}

/// GitHub does not know for a while whether it can be merged: it is asked again.
#[tokio::test(flavor = "multi_thread")]
async fn what_github_has_not_computed_is_asked_again() -> anyhow::Result<()> {
    let world = World::start(Setup {
        shape: Shape::small(),
        days_of_backups: 2,
        mergeable_delay_reads: 4,
        ..Setup::default()
    })
    .await?;
    let config = world.harbour.refloat_config(FAST)?;
    let mut stage = Stage::of(world, &config, REQUEST).await?;
    stage.refloat.say("as grace: approve").await?;
    stage.ends(Phase::Done).await
}

/// A branch that only its merge queue merges into: Refloat says so, does not go past it,
/// and goes on once the queue has merged it.
#[tokio::test(flavor = "multi_thread")]
async fn a_merge_queue_is_waited_for() -> anyhow::Result<()> {
    let mut stage = Stage::asked(Shape::small(), FAST).await?;
    let number = stage.pull().await?.number;
    let gate = &stage.world.harbour.gate;
    let rule = gate.add(|call| {
        if !is_refloats(call) {
            return Fate::Pass;
        }
        if call.writes() && call.path().ends_with("/merge") {
            let words = "Repository rule violations found\n\nChanges must be made through the \
                         merge queue\n\n";
            return answer(405, &json!({ "message": words }), &[]);
        }
        if call.path().contains("/rules/branches/") {
            let rules = json!([{
                "type": "merge_queue",
                "ruleset_source_type": "Repository",
                "ruleset_source": "platform/infra-ocp4-tenants",
                "ruleset_id": 7,
                "parameters": {
                    "check_response_timeout_minutes": 60, "grouping_strategy": "ALLGREEN",
                    "max_entries_to_build": 5, "max_entries_to_merge": 5,
                    "merge_method": "MERGE", "min_entries_to_merge": 1,
                    "min_entries_to_merge_wait_minutes": 5,
                },
            }]);
            return answer(200, &rules, &[]);
        }
        Fate::Pass
    });
    stage.refloat.say("as grace: approve").await?;
    stage
        .world
        .waits_for(&stage.name, "is merged by its merge queue only")
        .await?;
    assert_eq!(phase(&stage.status().await?), Phase::Pausing);
    // The queue merges it.
    let github = stage.world.harbour.github.clone();
    github
        .merge_as(
            ORDERS.0,
            ORDERS.1,
            number,
            "linus-platform",
            MergeMethod::Merge,
        )
        .await?;
    until(|| async { Ok(stage.status().await?.clearing.is_some()) }).await?;
    stage.world.harbour.gate.remove(rule);
    stage.ends(Phase::Done).await
}

/// A required code owner is named in GitHub's own words.
#[tokio::test(flavor = "multi_thread")]
async fn a_missing_code_owner_is_named() -> anyhow::Result<()> {
    let stage = Stage::asked(Shape::small(), FAST).await?;
    let github = stage.world.harbour.github.clone();
    let number = stage.pull().await?.number;
    github.add_team(ORDERS.0, "owners", &["grace-platform"])?;
    let owners: &[u8] = b"* @platform/owners\n";
    github
        .commit_files(
            ORDERS.0,
            ORDERS.1,
            "main",
            "Who owns what",
            "odd",
            &[("CODEOWNERS", Some(owners))],
        )
        .await?;
    let rule = Protection {
        required_approvals: 1,
        code_owners: true,
        ..Protection::default()
    };
    github.protect(ORDERS.0, ORDERS.1, "main", rule).await?;
    let approve = harbour::github::ReviewEvent::Approve;
    stage.review(number, "linus-platform", approve).await?;
    stage
        .world
        .waits_for(&stage.name, "code owner review from @platform/owners")
        .await?;
    stage.review(number, "grace-platform", approve).await?;
    // The resume is asked about by the same rule.
    until(|| async { Ok(stage.world.harbour.pulls().await?.len() == 2) }).await?;
    let resume = stage.world.harbour.pulls().await?[1].number;
    let resume = resume.max(stage.world.harbour.pulls().await?[0].number);
    stage.review(resume, "grace-platform", approve).await?;
    stage.ends(Phase::Done).await
}

/// The base moves on and protection wants the newest: the edit is made anew upon it.
#[tokio::test(flavor = "multi_thread")]
async fn a_branch_that_is_behind_is_made_anew() -> anyhow::Result<()> {
    let mut stage = Stage::asked(Shape::small(), FAST).await?;
    let github = stage.world.harbour.github.clone();
    let rule = Protection {
        required_checks: vec!["validate".to_owned()],
        strict: true,
        ..Protection::default()
    };
    github
        .always_green(ORDERS.0, ORDERS.1, &["validate"])
        .await?;
    github.protect(ORDERS.0, ORDERS.1, "main", rule).await?;
    let old = stage.pull().await?.head_sha;
    let check = Some(harbour::github::Conclusion::Success);
    github
        .set_check(ORDERS.0, ORDERS.1, &old, "validate", check)
        .await?;
    github
        .commit_files(
            ORDERS.0,
            ORDERS.1,
            "main",
            "Something else",
            "odd",
            &[("README.md", Some(b"hello"))],
        )
        .await?;
    stage.rebuilt(&old).await?;
    stage.refloat.say("as grace: approve").await?;
    stage.ends(Phase::Done).await
}

/// The first approval covers the way back only as long as that undoes exactly what was
/// approved.
#[tokio::test(flavor = "multi_thread")]
async fn a_resume_that_is_no_exact_inverse_is_not_covered() -> anyhow::Result<()> {
    let world = Stage::world(Shape::small()).await?;
    let tenant = world.here("poseidon1");
    // The key is not there, so that the pause puts it in and the resume takes it out.
    let plain = world.order("poseidon1").await?;
    let without: Vec<&str> = plain
        .lines()
        .filter(|line| !line.trim_start().starts_with("selfHeal:"))
        .collect();
    let without = format!("{}\n", without.join("\n"));
    assert_ne!(plain, without);
    world
        .harbour
        .platform
        .commit_order(&tenant, &without, "The default will do")
        .await?;
    let config = world.harbour.refloat_config(FAST)?;
    let mut stage = Stage::of(world, &config, REQUEST).await?;
    stage.world.harbour.velero.faults().stall_backups(true);
    stage.refloat.say("as grace: approve").await?;
    stage
        .world
        .until_phase(&stage.name, Phase::Protecting)
        .await?;
    let paused = stage.world.order("poseidon1").await?;
    let remarked = paused.replacen("selfHeal: false", "selfHeal: false # seen to by odd", 1);
    assert_ne!(paused, remarked, "{paused}");
    stage
        .world
        .harbour
        .platform
        .commit_order(&tenant, &remarked, "A remark")
        .await?;
    stage.world.harbour.velero.faults().stall_backups(false);
    stage
        .world
        .waits_for(
            &stage.name,
            "the resume pull request waits for a reviewer's approval",
        )
        .await?;
    let resume = stage.status().await?.resume.and_then(|pull| pull.opened);
    assert_eq!(resume.and_then(|opened| opened.exact_inverse), Some(false));
    let request = stage.name.clone();
    stage
        .refloat
        .say(&format!("as linus: approve {request}"))
        .await?;
    stage.world.until_phase(&stage.name, Phase::Done).await?;
    assert!(
        !stage
            .world
            .order("poseidon1")
            .await?
            .contains("selfHeal: false")
    );
    stage.refloat.stop().await?;
    stage.world.end().await
}

/// While the resume waits for its review, those who review it are reminded there, each
/// time the thread is.
#[tokio::test(flavor = "multi_thread")]
async fn reviewers_are_reminded_of_the_resume_on_github() -> anyhow::Result<()> {
    let mut stage = Stage::asked(
        Shape::small(),
        "approval: { coversResume: false }\n\
         deadlines: { selfHealReminder: 300ms }\n\
         pace: { pullRequests: 50ms, lookAgain: 20ms }",
    )
    .await?;
    stage.refloat.say("as grace: approve").await?;
    let reminders = async || {
        let pulls = stage.world.harbour.pulls().await?;
        let bodies: Vec<String> = pulls
            .iter()
            .filter(|pull| pull.status == PullStatus::Open)
            .flat_map(|pull| pull.comments.iter())
            .filter(|comment| comment.body.contains("Reminder: self-heal of the tenant"))
            .map(|comment| comment.body.clone())
            .collect();
        anyhow::Ok(bodies)
    };
    until(|| async { Ok(reminders().await?.len() >= 2) }).await?;
    let said = reminders().await?;
    let mut once = said.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!(once.len(), said.len(), "{said:?}");
    let name = stage.name.clone();
    stage
        .refloat
        .say(&format!("as linus: approve {name}"))
        .await?;
    stage.ends(Phase::Done).await
}

/// What was approved in chat is written into the pull request of a change of schedules
/// too.
#[tokio::test(flavor = "multi_thread")]
async fn an_approval_of_a_schedule_in_chat_is_mirrored() -> anyhow::Result<()> {
    let world = Stage::world(Shape::small()).await?;
    let mut refloat = Refloat::start(&world.harbour.refloat_config(FAST)?)?;
    let line = "schedule add tenant:poseidon1 name:nightly when:\"every day at 03:30\" keep:4w";
    let name = world.order_schedule(&mut refloat, line).await?;
    world
        .until_schedule(&name, refloat::schedule::Phase::AwaitingApproval)
        .await?;
    refloat.until("please approve or deny").await?;
    refloat.say(&format!("as grace: approve {name}")).await?;
    world
        .until_schedule(&name, refloat::schedule::Phase::Confirming)
        .await?;
    let pulls = world.harbour.pulls().await?;
    let said: Vec<&str> = pulls[0]
        .comments
        .iter()
        .map(|it| it.body.as_str())
        .collect();
    assert_eq!(said.len(), 1, "{said:?}");
    for words in [
        "Approved in chat by grace (console:grace)",
        &pulls[0].head_sha,
    ] {
        assert!(said[0].contains(words), "{words}: {said:?}");
    }
    refloat.stop().await?;
    world.end().await
}

/// What an open request costs while nothing happens: two requests a poll of its own, and
/// two that all open ones share, all answered with 304, which count against no limit of the
/// hour. `measure -- requests` has 200 of them.
#[tokio::test(flavor = "multi_thread")]
async fn an_open_request_costs_nothing_that_is_counted() -> anyhow::Result<()> {
    let world = Stage::world(Shape::small()).await?;
    let github = &world.harbour.github;
    github.add_team(ORDERS.0, "reviewers", &["grace-platform", "linus-platform"])?;
    let config = world.harbour.refloat_config(
        "approval: { coversResume: true, team: platform/reviewers }\n\
         pace: { pullRequests: 50ms, lookAgain: 20ms }",
    )?;
    let stage = Stage::of(world, &config, REQUEST).await?;
    let gate = &stage.world.harbour.gate;
    let look = format!("/pulls/{}", stage.pull().await?.number);
    // The first looks read what there is to know.
    let polls = |entries: &[harbour::gate::Entry]| {
        let looks = |entry: &&harbour::gate::Entry| entry.call.path().ends_with(&look);
        entries.iter().filter(looks).count()
    };
    gate.keep_journal();
    until(|| async { Ok(polls(&gate.journal()) >= 5) }).await?;
    gate.take_journal();
    until(|| async { Ok(polls(&gate.journal()) >= 20) }).await?;
    let entries = gate.take_journal();
    let asked: Vec<_> = entries
        .iter()
        .filter(|entry| is_refloats(&entry.call))
        // What was merged is looked for at a pace of its own, whatever is open.
        .filter(|entry| !entry.call.target.contains("state=closed"))
        .collect();
    let counted: Vec<_> = asked
        .iter()
        .filter(|entry| entry.status != Some(304))
        .map(|entry| (&entry.call.target, entry.status))
        .collect();
    assert!(counted.is_empty(), "{counted:?}");
    let shared = |entry: &&&harbour::gate::Entry| {
        ["/members?", "/git/ref/heads/main"]
            .iter()
            .any(|part| entry.call.target.contains(part))
    };
    let of_all = asked.iter().filter(shared).count();
    let own = asked.len() - of_all;
    let polls = polls(&entries);
    println!(
        "an open request: {own} requests in {polls} looks of its own, and {of_all} that all \
         share, all answered with 304"
    );
    assert!(own <= polls * 2 + 2, "{own} requests in {polls} looks");
    assert!(of_all > 0 && of_all <= polls * 2 + 2, "{of_all} for all");
    let name = stage.name.clone();
    let mut stage = stage;
    stage
        .refloat
        .say(&format!("restore withdraw {name}"))
        .await?;
    stage.ends(Phase::Withdrawn).await
}

/// Its branch is deleted by somebody while it waits: GitHub closes it, which is a no.
#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_branch_is_a_denial() -> anyhow::Result<()> {
    let stage = Stage::asked(Shape::small(), FAST).await?;
    let head = stage.pull().await?.head;
    let github = &stage.world.harbour.github;
    github.delete_branch(ORDERS.0, ORDERS.1, &head).await?;
    stage.ends(Phase::Denied).await
}
