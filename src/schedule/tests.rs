//! The pure part: what is refused and how, and what comes next.

use jiff::{SignedDuration, Timestamp};

use super::checks::{Terms, check};
use super::observed::{
    Applying, Confirming, LiveSchedule, Observed, OrderFacts, Other, Run, Survey,
};
use super::resource::*;
use super::*;
use crate::chat::samples::{at, people, person};
use crate::request::Step;
use crate::request::applications::Application;
use crate::request::observed::{Pull, PullState};
use crate::request::resource::{self as request, Opened, Verdict, Vote, Withdrawal};

const ORDER: &str = "\
appname: poseidon1
values: |
  namespace:
    name: poseidon1
  environments:
    - name: dev
  backup:
    backuplabel: \"backupresource: true\"
    take_backup: true
    schedules:
      - schedule: \"0 1 * * *\"
        name: daily
        ttl: 168h0m0s
";

const UID: &str = "3f0e5a1c-1111-4222-8333-444455556666";

fn change(action: Action, name: &str, schedule: Option<&str>, ttl: Option<&str>) -> Change {
    Change {
        action,
        name: name.to_owned(),
        new_name: None,
        schedule: schedule.map(ToOwned::to_owned),
        ttl: ttl.map(ToOwned::to_owned),
        words: None,
    }
}

fn add() -> Change {
    change(Action::Add, "nightly", Some("30 3 * * *"), Some("720h0m0s"))
}

fn spec(change: Change) -> ScheduleRequestSpec {
    ScheduleRequestSpec {
        tenant: "poseidon1".to_owned(),
        change,
        requester: person("anna"),
        votes: Vec::new(),
        withdrawal: None,
        choice: None,
    }
}

fn order(text: &str) -> OrderFacts {
    let order = crate::order::Order::read(text).unwrap();
    OrderFacts {
        path: "wave-1/poseidon1-tenant.yaml".to_owned(),
        namespaces: order.namespaces(),
        entries: order
            .backup
            .schedules
            .iter()
            .map(|schedule| Entry {
                name: schedule.name.clone(),
                schedule: schedule.cron.clone(),
                ttl: schedule.ttl.clone(),
            })
            .collect(),
        active: order.backup.is_active(),
        text: text.to_owned(),
    }
}

fn survey() -> Survey {
    Survey {
        permitted: vec!["poseidon1".to_owned()],
        tenants: vec!["poseidon1".to_owned(), "triton2".to_owned()],
        order: Some(order(ORDER)),
        ..Survey::default()
    }
}

fn checked(spec: &ScheduleRequestSpec, survey: &Survey) -> Result<Checked, String> {
    let terms = Terms {
        uid: UID,
        created: at(0),
        time_zone: &jiff::tz::TimeZone::UTC,
    };
    check(spec, survey, &terms, at(1))
}

#[test]
fn what_is_refused_and_how() {
    let mut lines = Vec::new();
    let mut say = |about: &str, spec: &ScheduleRequestSpec, survey: &Survey| {
        let words = checked(spec, survey).map_or_else(|why| why, |_| "passes".to_owned());
        lines.push(format!("{about}: {words}"));
    };
    let renamed = |new: &str| Change {
        new_name: Some(new.to_owned()),
        ..change(Action::Change, "daily", None, None)
    };
    for (about, change) in [
        ("add", add()),
        (
            "again",
            change(Action::Add, "daily", Some("@daily"), Some("24h")),
        ),
        (
            "name",
            change(Action::Add, "Nightly!", Some("@daily"), Some("24h")),
        ),
        (
            "cron",
            change(Action::Add, "n", Some("0 1 * * 7"), Some("24h")),
        ),
        ("ttl", change(Action::Add, "n", Some("@daily"), Some("7d"))),
        ("no ttl", change(Action::Add, "n", Some("@daily"), None)),
        (
            "long",
            change(Action::Add, &"n".repeat(60), Some("@daily"), Some("24h")),
        ),
        (
            "change",
            change(Action::Change, "daily", Some("0 2 * * *"), None),
        ),
        ("nothing", change(Action::Change, "daily", None, None)),
        (
            "same",
            change(Action::Change, "daily", Some("0 1 * * *"), None),
        ),
        (
            "unknown",
            change(Action::Change, "weekly", Some("0 2 * * *"), None),
        ),
        ("rename", renamed("nightly")),
        ("remove", change(Action::Remove, "daily", None, None)),
        ("gone", change(Action::Remove, "weekly", None, None)),
    ] {
        say(about, &spec(change), &survey());
    }
    let foreign = ScheduleRequestSpec {
        tenant: "triton2".to_owned(),
        ..spec(add())
    };
    say("foreign", &foreign, &survey());
    let faulty = Survey {
        order: None,
        order_fault: Some("line 3: it is broken".to_owned()),
        ..survey()
    };
    say("faulty", &spec(add()), &faulty);
    let off = Survey {
        order: Some(order(
            &ORDER.replace("take_backup: true", "take_backup: false"),
        )),
        ..survey()
    };
    say("off", &spec(add()), &off);
    let other = |phase| Survey {
        others: vec![Other {
            name: "poseidon1-other".to_owned(),
            uid: "other".to_owned(),
            created: at(-60),
            phase,
            schedules: vec!["nightly".to_owned()],
            requester: "bert".to_owned(),
        }],
        ..survey()
    };
    say("held", &spec(add()), &other(Phase::AwaitingApproval));
    say("free again", &spec(add()), &other(Phase::Confirming));
    let taken = Survey {
        live: Some(LiveSchedule {
            name: "poseidon1-nightly".to_owned(),
            namespaces: vec!["poseidon1-nightly-prod".to_owned()],
            ..LiveSchedule::default()
        }),
        ..survey()
    };
    say("another's", &spec(add()), &taken);
    insta::assert_snapshot!(lines.join("\n"), @r#"
    add: passes
    again: The tenant poseidon1 has a schedule daily (0 1 * * *, kept 168h0m0s) already. To change it, say `schedule change tenant:poseidon1 name:daily when:"..." keep:...`; for another one choose another name, such as daily-2.
    name: `Nightly!` is no name: only a-z, 0-9 and `-` are allowed, as in `daily`.
    cron: `0 1 * * 7` is no schedule: day of week `7`: 7 is above the highest, 6; write for example "0 1 * * *" or @daily.
    ttl: `7d` is no duration as an order takes it: Go knows no days and no weeks. Write it as Go does, such as 168h0m0s.
    no ttl: A new schedule needs a time and how long its backups are kept, such as when:"0 1 * * *" keep:7d.
    long: The name nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn is too long: with poseidon1- before it and Velero's timestamp after it, it may have 38 characters, such as nightly.
    change: passes
    nothing: A change changes a name, a time or how long backups are kept, as in `schedule change tenant:poseidon1 name:daily keep:14d`.
    same: The order of poseidon1 reads so already; there is nothing to change.
    unknown: The tenant poseidon1 has no schedule weekly: its order names daily.
    rename: passes
    remove: passes
    gone: The tenant poseidon1 has no schedule weekly: its order names daily.
    foreign: You may not order schedules for the tenant triton2. You may order schedules for poseidon1.
    faulty: The order of poseidon1 cannot be read: line 3: it is broken. Have it put right, then ask again.
    off: Nothing is backed up of the tenant poseidon1, whatever its schedules say: its order lacks `take_backup: true` or a `backuplabel`. Have wave-1/poseidon1-tenant.yaml put right by a pull request, then ask again.
    held: The schedule nightly is being changed already by the request poseidon1-other, asked for by bert at 2026-11-24 07:59 UTC. Wait until it has ended, or have it withdrawn: `schedule withdraw poseidon1-other`.
    free again: passes
    another's: Velero has a Schedule poseidon1-nightly already, and it is not of the tenant poseidon1. Choose another name, such as nightly-2.
    "#);
}

/// A request that passed its checks, and what it was decided upon with.
struct Stage {
    spec: ScheduleRequestSpec,
    status: ScheduleStatus,
    now: Timestamp,
}

fn common() -> crate::request::Policy {
    let second = SignedDuration::from_secs(1);
    crate::request::Policy {
        people: people(),
        time_zone: jiff::tz::TimeZone::UTC,
        own_namespace: "refloat".to_owned(),
        approval_expires: SignedDuration::from_hours(24),
        approval_reminders: vec![SignedDuration::from_mins(30)],
        poll: second * 30,
        look_again: second,
        ..crate::request::tests::build::policy()
    }
}

const POLICY: Policy = Policy {
    apply_within: SignedDuration::from_mins(30),
    backup_within: SignedDuration::from_hours(6),
};

impl Stage {
    fn of(change: Change) -> Self {
        let spec = spec(change);
        let found = checked(&spec, &survey()).unwrap();
        let mut status = ScheduleStatus::default();
        apply(&mut status, Fact::Checked(Box::new(found)), at(1));
        Self {
            spec,
            status,
            now: at(2),
        }
    }

    /// With its pull request open.
    fn open(change: Change) -> Self {
        let mut stage = Self::of(change);
        stage.learn(Fact::PullOpened(Opened {
            number: 7,
            url: "https://git.example.com/p/7".to_owned(),
            branch: branch("poseidon1-x", UID),
            head_sha: "head".to_owned(),
            ..Opened::default()
        }));
        stage
    }

    fn merged(change: Change) -> Self {
        let mut stage = Self::open(change);
        stage.learn(Fact::PullMerged(Some("merge".to_owned())));
        stage
    }

    fn learn(&mut self, fact: Fact) {
        apply(&mut self.status, fact, self.now);
        self.now += SignedDuration::from_secs(2);
    }

    fn phase(&self) -> Phase {
        phase(&self.status)
    }

    fn step(&self, observed: &Observed) -> Step<Effect, Fact> {
        let subject = Subject {
            uid: UID,
            created: at(0),
            spec: &self.spec,
            status: &self.status,
        };
        decide(subject, observed, &common(), POLICY, self.now)
    }

    /// Decides, and learns what was decided.
    fn go(&mut self, observed: &Observed) -> Fact {
        match self.step(observed) {
            Step::Record(fact) => {
                self.learn(fact.clone());
                fact
            }
            other => panic!("{other:?}"),
        }
    }

    fn waits(&self, observed: &Observed) -> String {
        match self.step(observed) {
            Step::Wait { why, .. } => why.unwrap_or_default(),
            other => panic!("{other:?}"),
        }
    }

    fn vote(&mut self, who: &str, verdict: Verdict) {
        self.spec.votes.push(Vote {
            by: person(who),
            at: self.now,
            verdict,
            digest: digest(UID, &self.spec, &self.status),
            reason: None,
        });
    }

    fn ended(&self) -> String {
        self.status
            .ending
            .as_ref()
            .map(|ending| format!("{:?}: {}", ending.outcome, ending.message))
            .unwrap_or_default()
    }
}

fn pull(state: PullState, head: &str, mergeable: Option<bool>) -> Observed {
    Observed::Pull(Some(Pull {
        number: 7,
        head_sha: head.to_owned(),
        state,
        mergeable,
        ..Pull::default()
    }))
}

fn ready() -> Observed {
    pull(PullState::Open, "head", Some(true))
}

fn merged_pull() -> Observed {
    pull(PullState::Merged { sha: None }, "other", Some(true))
}

#[test]
fn a_reviewers_yes_merges_and_nobody_elses() {
    let mut stage = Stage::of(add());
    assert_eq!(
        stage.step(&Observed::Pull(None)),
        Step::Act(Effect::OpenPull)
    );
    stage = Stage::open(add());
    stage.waits(&ready());
    // The requester's own yes, and a stranger's, are none.
    stage.vote("anna", Verdict::Approve);
    stage.vote("bert", Verdict::Approve);
    stage.waits(&ready());
    stage.vote("ravi", Verdict::Approve);
    assert!(matches!(stage.go(&ready()), Fact::Approved(_)));
    assert_eq!(stage.phase(), Phase::Merging);
    assert_eq!(stage.step(&ready()), Step::Act(Effect::Mirror));
    stage.learn(Fact::Mirrored);
    assert_eq!(
        stage.step(&ready()),
        Step::Act(Effect::MergePull("head".to_owned()))
    );
    // Somebody changes it in between: the yes was not to that.
    assert_eq!(
        stage.go(&pull(PullState::Open, "other", Some(true))),
        Fact::PullHead("other".to_owned())
    );
    assert_eq!(stage.phase(), Phase::AwaitingApproval);
}

#[test]
fn what_the_repository_merges_by_itself_counts() {
    let mut stage = Stage::open(add());
    assert_eq!(stage.go(&merged_pull()), Fact::PullMerged(None));
    assert_eq!(stage.phase(), Phase::Applying);
    // From here on it cannot be called off.
    stage.spec.withdrawal = Some(Withdrawal {
        by: person("anna"),
        at: stage.now,
    });
    stage.waits(&Observed::Applying(Box::default()));
}

#[test]
fn a_conflict_voids_the_yes_and_is_built_anew() {
    let mut stage = Stage::open(add());
    stage.vote("ravi", Verdict::Approve);
    stage.go(&ready());
    let conflict = pull(PullState::Open, "head", Some(false));
    assert!(matches!(stage.go(&conflict), Fact::Voided(_)));
    assert_eq!(stage.step(&conflict), Step::Act(Effect::RebuildPull));
    let mut opened = stage.status.pull.clone().unwrap().opened.unwrap();
    opened.head_sha = "anew".to_owned();
    stage.learn(Fact::PullOpened(opened));
    // The old yes is not to the new head.
    let anew = pull(PullState::Open, "anew", Some(true));
    stage.waits(&anew);
    stage.vote("ravi", Verdict::Approve);
    assert!(matches!(stage.go(&anew), Fact::Approved(_)));
}

#[test]
fn how_it_ends_early() {
    let mut lines = Vec::new();
    let mut end = |about: &str, stage: &mut Stage, seen: &Observed| {
        stage.go(seen);
        let before = stage.phase();
        if before == Phase::Closing {
            assert!(matches!(
                stage.step(&ready()),
                Step::Act(Effect::ClosePull(_))
            ));
            stage.go(&pull(PullState::Closed, "head", None));
        }
        lines.push(format!("{about}: {:?}, {}", stage.phase(), stage.ended()));
        assert_eq!(stage.step(&Observed::Nothing), Step::Rest);
    };
    end(
        "closed",
        &mut Stage::open(add()),
        &pull(PullState::Closed, "head", None),
    );
    end("gone", &mut Stage::open(add()), &Observed::Pull(None));
    let mut denied = Stage::open(add());
    denied.vote("ravi", Verdict::Deny);
    end("denied", &mut denied, &ready());
    let mut withdrawn = Stage::open(add());
    withdrawn.spec.withdrawal = Some(Withdrawal {
        by: person("anna"),
        at: at(3),
    });
    end("withdrawn", &mut withdrawn, &ready());
    let mut late = Stage::open(add());
    late.now += SignedDuration::from_hours(25);
    end("late", &mut late, &ready());
    // The answer to the opening was lost: what was opened is looked for.
    let mut lost = Stage::of(add());
    lost.spec.withdrawal.clone_from(&withdrawn.spec.withdrawal);
    lost.go(&Observed::Pull(None));
    assert_eq!(lost.step(&ready()), Step::Act(Effect::OpenPull));
    end("lost", &mut lost, &Observed::Pull(None));
    insta::assert_snapshot!(lines.join("\n"), @"
    closed: Denied, Denied: The pull request #7 was closed without being merged.
    gone: Denied, Denied: The pull request #7 is gone.
    denied: Denied, Denied: Ravi denied it.
    withdrawn: Withdrawn, Withdrawn: Anna withdrew the request.
    late: Expired, Expired: Nobody approved it in time.
    lost: Withdrawn, Withdrawn: Anna withdrew the request.
    ");
}

fn application() -> Application {
    Application {
        namespace: "openshift-gitops".to_owned(),
        name: "poseidon1-tenant".to_owned(),
        automated: true,
        sync: "Synced".to_owned(),
        reconciled_at: Some(at(3600)),
        ..Application::default()
    }
}

fn live(name: &str, cron: &str, ttl: &str, phase: &str) -> LiveSchedule {
    LiveSchedule {
        name: format!("poseidon1-{name}"),
        uid: format!("uid-{name}"),
        cron: cron.to_owned(),
        ttl: Some(ttl.to_owned()),
        namespaces: vec!["poseidon1-dev".to_owned()],
        phase: phase.to_owned(),
        ..LiveSchedule::default()
    }
}

/// The order after the change, and Argo CD having looked.
fn applying(change: &Change) -> Applying {
    let edit = edit(change, ORDER).unwrap();
    Applying {
        order: Some(order(&edit.text)),
        applications: vec![application()],
        ..Applying::default()
    }
}

fn seen(view: Applying) -> Observed {
    Observed::Applying(Box::new(view))
}

#[test]
fn it_is_applied_when_velero_runs_it_as_ordered() {
    let mut stage = Stage::merged(add());
    let mut view = applying(&add());
    // The order first: a merge says nothing of what it merged.
    let differs = Applying {
        order: Some(order(ORDER)),
        ..view.clone()
    };
    assert!(
        stage
            .waits(&seen(differs))
            .contains("does not read as asked")
    );
    // Argo CD has not looked.
    view.applications[0].reconciled_at = None;
    assert_eq!(
        stage.step(&seen(view.clone())),
        Step::Act(Effect::Look(
            "openshift-gitops".to_owned(),
            "poseidon1-tenant".to_owned()
        ))
    );
    stage.learn(Fact::Looked("openshift-gitops/poseidon1-tenant".to_owned()));
    view.applications[0].sync = "OutOfSync".to_owned();
    assert!(
        stage
            .waits(&seen(view.clone()))
            .contains("is not synced yet")
    );
    view.applications[0].sync = "Synced".to_owned();
    assert!(stage.waits(&seen(view.clone())).contains("has no Schedule"));
    for wrong in [
        live("nightly", "0 1 * * *", "720h0m0s", "Enabled"),
        live("nightly", "30 3 * * *", "24h0m0s", "Enabled"),
        live("nightly", "30 3 * * *", "720h0m0s", ""),
    ] {
        view.wanted = Some(wrong);
        stage.waits(&seen(view.clone()));
    }
    // The same length of time, written otherwise.
    view.wanted = Some(live("nightly", "30 3 * * *", "720h", "Enabled"));
    assert!(matches!(stage.go(&seen(view)), Fact::Applied(_, None)));
    assert_eq!(stage.phase(), Phase::Confirming);
}

#[test]
fn velero_may_refuse_and_argo_may_never_come() {
    let mut stage = Stage::merged(add());
    let mut view = applying(&add());
    let mut refused = live("nightly", "30 3 * * *", "720h0m0s", "FailedValidation");
    refused.errors = vec!["invalid schedule: no".to_owned()];
    view.wanted = Some(refused);
    stage.go(&seen(view));
    assert_eq!(stage.phase(), Phase::Failed);
    insta::assert_snapshot!(stage.ended(), @"Failed: Velero refuses the Schedule poseidon1-nightly: invalid schedule: no. It is in the order all the same: order another time with `schedule change`, or take it out with `schedule remove`.");

    let mut stage = Stage::merged(add());
    stage.now += SignedDuration::from_mins(31);
    let view = applying(&add());
    stage.go(&seen(view.clone()));
    assert_eq!(stage.phase(), Phase::Stuck);
    insta::assert_snapshot!(stage.status.stuck.as_ref().map(|stuck| stuck.message.clone()).unwrap_or_default(), @"The cluster does not have in time what the order says: Velero has no Schedule poseidon1-nightly yet.");
    // To go on begins every deadline anew; to leave it is an end.
    for (action, phase) in [
        (request::Action::Retry, Phase::Applying),
        (request::Action::ResumeAsIs, Phase::Failed),
    ] {
        let mut stage = Stage {
            spec: stage.spec.clone(),
            status: stage.status.clone(),
            now: stage.now,
        };
        stage.spec.choice = Some(request::Choice {
            by: person("anna"),
            at: stage.now,
            action,
            answers: stage.status.stuck.as_ref().unwrap().at,
        });
        assert!(matches!(stage.go(&Observed::Nothing), Fact::Chosen(_)));
        assert_eq!(stage.phase(), phase);
    }
}

#[test]
fn what_argo_leaves_is_deleted_if_nothing_speaks_against_it() {
    let remove = change(Action::Remove, "daily", None, None);
    let stage = Stage::merged(remove.clone());
    let left = Applying {
        unwanted: Some(live("daily", "0 1 * * *", "168h0m0s", "Enabled")),
        ..applying(&remove)
    };
    assert_eq!(
        stage.step(&seen(left.clone())),
        Step::Act(Effect::DeleteSchedule(
            "poseidon1-daily".to_owned(),
            "uid-daily".to_owned()
        ))
    );
    // Argo CD still asks for it, or has not looked, or the order has it again.
    let asked_for = Applying {
        asked_for: true,
        ..left.clone()
    };
    assert!(stage.waits(&seen(asked_for)).contains("still asks for"));
    let mut unlooked = left.clone();
    unlooked.applications[0].reconciled_at = None;
    assert!(matches!(
        stage.step(&seen(unlooked)),
        Step::Act(Effect::Look(..))
    ));
    let again = Applying {
        order: Some(order(ORDER)),
        ..left.clone()
    };
    assert!(stage.waits(&seen(again)).contains("still has the schedule"));
    // Its backups would go with it, or it is not the tenant's, or nobody approved.
    let mut owns = left.clone();
    let mut foreign = left.clone();
    if let (Some(owns), Some(foreign)) = (&mut owns.unwanted, &mut foreign.unwanted) {
        owns.owns_backups = true;
        foreign.namespaces.push("triton2-prod".to_owned());
    }
    let mut not_needed = Stage::of(remove);
    not_needed.learn(Fact::PullNotNeeded);
    for (stage, view) in [
        (&stage, owns),
        (&stage, foreign),
        (&not_needed, left.clone()),
    ] {
        assert!(matches!(
            stage.step(&seen(view)),
            Step::Record(Fact::Stuck(_))
        ));
    }
    // Gone: what remains is told.
    let run = |name: &str, phase: &str, expires| Run {
        name: name.to_owned(),
        phase: phase.to_owned(),
        started_at: Some(at(-3600)),
        expires_at: Some(at(expires)),
        failure: None,
    };
    let gone = Applying {
        unwanted: None,
        runs: vec![
            run("a", "Completed", 100),
            run("b", "PartiallyFailed", 300),
            run("c", "Failed", 900),
        ],
        ..left
    };
    let mut stage = stage;
    stage.go(&seen(gone));
    assert_eq!(stage.phase(), Phase::Done);
    assert_eq!(
        stage.status.remaining,
        Some(Remaining {
            backups: 2,
            until: Some(at(300))
        })
    );
}

#[test]
fn it_is_done_with_the_first_good_backup() {
    let mut stage = Stage::merged(add());
    let view = Applying {
        wanted: Some(live("nightly", "30 3 * * *", "720h0m0s", "Enabled")),
        ..applying(&add())
    };
    stage.go(&seen(view));
    let run = |name: &str, phase: &str, started: Timestamp| Run {
        name: name.to_owned(),
        phase: phase.to_owned(),
        started_at: Some(started),
        expires_at: None,
        failure: (phase == "Failed").then(|| "no space left".to_owned()),
    };
    let confirming = |runs: Vec<Run>| {
        Observed::Confirming(Confirming {
            schedule: Some(live("nightly", "30 3 * * *", "720h0m0s", "Enabled")),
            runs,
        })
    };
    // A backup from before proves nothing.
    let old = run("old", "Completed", at(-10));
    assert_eq!(stage.waits(&confirming(vec![old.clone()])), "its next run");
    let bad = run("bad", "Failed", stage.now);
    assert!(matches!(
        stage.go(&confirming(vec![bad.clone(), old.clone()])),
        Fact::BadRun(_)
    ));
    stage.waits(&confirming(vec![bad.clone(), old.clone()]));
    // Removed or changed meanwhile: it will never come.
    let removed = Observed::Confirming(Confirming::default());
    assert!(matches!(
        stage.step(&removed),
        Step::Record(Fact::Ended(Outcome::Superseded, _))
    ));
    let mut late = Stage {
        spec: stage.spec.clone(),
        status: stage.status.clone(),
        now: stage.now + SignedDuration::from_hours(60),
    };
    late.go(&confirming(vec![bad.clone()]));
    assert_eq!(late.phase(), Phase::Stuck);
    let good = run("good", "Completed", stage.now);
    assert!(matches!(
        stage.go(&confirming(vec![good, bad])),
        Fact::Confirmed(_)
    ));
    assert_eq!(stage.phase(), Phase::Done);
    assert_eq!(stage.step(&Observed::Nothing), Step::Rest);
}

#[test]
fn reminders_come_once_each() {
    let mut stage = Stage::open(add());
    stage.now += SignedDuration::from_mins(31);
    assert_eq!(stage.go(&ready()), Fact::Reminded);
    stage.waits(&ready());
}

/// A hostile world: people, workflows, Argo CD and Velero do what they like at any
/// time, and every effect may be asked for twice.
mod walk {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Copy, Debug)]
    enum Event {
        Decide,
        Approve,
        ApproveAsRequester,
        Deny,
        Withdraw,
        Push,
        Conflict,
        MergeThere,
        CloseThere,
        RevertOrder,
        ArgoLooks,
        ArgoForgets,
        ArgoAsks,
        VeleroMakes,
        VeleroRefuses,
        VeleroLoses,
        BackupCompletes,
        BackupFails,
        Choose(bool),
        Hours(u8),
    }

    fn events() -> impl Strategy<Value = Vec<Event>> {
        use Event::*;
        let one = prop_oneof![
            20 => Just(Decide),
            3 => Just(Approve),
            1 => Just(ApproveAsRequester),
            1 => Just(Deny),
            1 => Just(Withdraw),
            1 => Just(Push),
            1 => Just(Conflict),
            2 => Just(MergeThere),
            1 => Just(CloseThere),
            1 => Just(RevertOrder),
            4 => Just(ArgoLooks),
            1 => Just(ArgoForgets),
            1 => Just(ArgoAsks),
            4 => Just(VeleroMakes),
            1 => Just(VeleroRefuses),
            1 => Just(VeleroLoses),
            2 => Just(BackupCompletes),
            1 => Just(BackupFails),
            1 => any::<bool>().prop_map(Choose),
            2 => (0_u8..40).prop_map(Hours),
        ];
        prop::collection::vec(one, 1..120)
    }

    struct World {
        stage: Stage,
        change: Change,
        order: String,
        pull: Option<Pull>,
        heads: u32,
        argo: Application,
        asked_for: bool,
        wanted: Option<LiveSchedule>,
        unwanted: Option<LiveSchedule>,
        runs: Vec<Run>,
        votes_of_reviewers: Vec<String>,
    }

    impl World {
        fn new(change: Change) -> Self {
            let unwanted = (change.action == Action::Remove)
                .then(|| live("daily", "0 1 * * *", "168h0m0s", "Enabled"));
            Self {
                stage: Stage::of(change.clone()),
                change,
                order: ORDER.to_owned(),
                pull: None,
                heads: 0,
                argo: Application {
                    reconciled_at: None,
                    ..application()
                },
                asked_for: true,
                wanted: None,
                unwanted,
                runs: Vec::new(),
                votes_of_reviewers: Vec::new(),
            }
        }

        fn open(&mut self) -> Opened {
            self.heads += 1;
            let head = format!("head-{}", self.heads);
            self.pull = Some(Pull {
                number: 7,
                head_sha: head.clone(),
                mergeable: Some(true),
                ..Pull::default()
            });
            Opened {
                number: 7,
                url: "https://git.example.com/p/7".to_owned(),
                branch: branch("poseidon1-x", UID),
                head_sha: head,
                ..Opened::default()
            }
        }

        fn merge(&mut self) {
            if let Some(pull) = &mut self.pull
                && pull.state == PullState::Open
            {
                pull.state = PullState::Merged { sha: None };
                self.order = edit(&self.change, &self.order).unwrap().text;
            }
        }

        fn observe(&self) -> Observed {
            match self.stage.phase() {
                Phase::AwaitingApproval | Phase::Merging | Phase::Closing => {
                    Observed::Pull(self.pull.clone())
                }
                Phase::Applying => seen(Applying {
                    order: Some(order(&self.order)),
                    order_fault: None,
                    wanted: self.wanted.clone(),
                    unwanted: self.unwanted.clone(),
                    asked_for: self.asked_for,
                    applications: vec![self.argo.clone()],
                    runs: self.runs.clone(),
                }),
                Phase::Confirming => Observed::Confirming(Confirming {
                    schedule: self.wanted.clone(),
                    runs: self.runs.clone(),
                }),
                _ => Observed::Nothing,
            }
        }

        fn carry_out(&mut self, effect: &Effect) {
            match effect {
                Effect::OpenPull if self.pull.is_some() => {
                    let pull = self.pull.clone().unwrap();
                    let opened = Opened {
                        head_sha: pull.head_sha,
                        ..self.open_as_it_is()
                    };
                    self.stage.learn(Fact::PullOpened(opened));
                }
                Effect::OpenPull | Effect::RebuildPull => {
                    let opened = self.open();
                    self.stage.learn(Fact::PullOpened(opened));
                }
                Effect::MergePull(head) => {
                    let pull = self.pull.as_ref().unwrap();
                    let status = &self.stage.status;
                    assert_eq!(*head, pull.head_sha, "it merges what is there");
                    let approved = status.approved.as_ref().expect("it was approved");
                    assert_eq!(approved.digest, digest(UID, &self.stage.spec, status));
                    assert!(self.votes_of_reviewers.contains(&approved.digest));
                    self.merge();
                    self.stage.learn(Fact::PullMerged(None));
                }
                Effect::ClosePull(_) => {
                    let pull = self.pull.as_mut().unwrap();
                    if pull.state == PullState::Open {
                        pull.state = PullState::Closed;
                    }
                }
                Effect::Mirror => self.stage.learn(Fact::Mirrored),
                Effect::Look(..) => {
                    self.stage.learn(Fact::Looked(self.argo.key()));
                }
                Effect::DeleteSchedule(name, uid) => {
                    let old = self.unwanted.take().expect("it deletes what is there");
                    assert_eq!((&old.name, &old.uid), (name, uid));
                    assert!(!self.asked_for, "Argo CD would make it again");
                    assert!(!order(&self.order).entries.iter().any(|e| e.name == "daily"));
                    let pull = self.stage.status.pull.as_ref().unwrap();
                    assert!(pull.merged.is_some());
                }
            }
        }

        fn open_as_it_is(&self) -> Opened {
            Opened {
                number: 7,
                url: "https://git.example.com/p/7".to_owned(),
                branch: branch("poseidon1-x", UID),
                head_sha: self.pull.as_ref().unwrap().head_sha.clone(),
                ..Opened::default()
            }
        }

        fn happen(&mut self, event: Event) {
            let now = self.stage.now;
            match event {
                Event::Decide => {
                    let before = self.stage.phase();
                    let observed = self.observe();
                    let step = self.stage.step(&observed);
                    if before.is_over() {
                        assert_eq!(step, Step::Rest);
                    }
                    match step {
                        Step::Record(fact) => self.stage.learn(fact),
                        Step::Act(effect) => self.carry_out(&effect),
                        // A wait that is over already would turn for ever.
                        Step::Wait { until, .. } => assert!(until > now, "{before:?}"),
                        Step::Rest => assert!(before.is_over()),
                    }
                    let after = self.stage.phase();
                    assert!(
                        !before.is_over() || after == before,
                        "{before:?} to {after:?}"
                    );
                }
                Event::Approve => {
                    self.stage.vote("ravi", Verdict::Approve);
                    let given = self.stage.spec.votes.last().unwrap().digest.clone();
                    self.votes_of_reviewers.push(given);
                }
                Event::ApproveAsRequester => self.stage.vote("anna", Verdict::Approve),
                Event::Deny => self.stage.vote("ravi", Verdict::Deny),
                Event::Withdraw => {
                    self.stage.spec.withdrawal = Some(Withdrawal {
                        by: person("anna"),
                        at: now,
                    });
                }
                Event::Push => {
                    self.heads += 1;
                    if let Some(pull) = &mut self.pull {
                        pull.head_sha = format!("head-{}", self.heads);
                    }
                }
                Event::Conflict => {
                    if let Some(pull) = &mut self.pull {
                        pull.mergeable = Some(false);
                    }
                }
                Event::MergeThere => self.merge(),
                Event::CloseThere => {
                    if let Some(pull) = &mut self.pull
                        && pull.state == PullState::Open
                    {
                        pull.state = PullState::Closed;
                    }
                }
                Event::RevertOrder => ORDER.clone_into(&mut self.order),
                Event::ArgoLooks => {
                    self.argo.reconciled_at = Some(now + SignedDuration::from_secs(2));
                    self.asked_for = order(&self.order).entries.iter().any(|e| e.name == "daily");
                }
                Event::ArgoForgets => "OutOfSync".clone_into(&mut self.argo.sync),
                Event::ArgoAsks => {
                    self.asked_for = true;
                    "Synced".clone_into(&mut self.argo.sync);
                }
                Event::VeleroMakes if self.change.action == Action::Add => {
                    self.wanted = Some(live("nightly", "30 3 * * *", "720h0m0s", "Enabled"));
                }
                Event::VeleroRefuses => {
                    if let Some(live) = &mut self.wanted {
                        "FailedValidation".clone_into(&mut live.phase);
                    }
                }
                Event::VeleroLoses => self.wanted = None,
                Event::BackupCompletes | Event::BackupFails => self.runs.insert(
                    0,
                    Run {
                        name: format!("run-{}", self.runs.len()),
                        phase: if matches!(event, Event::BackupFails) {
                            "Failed".to_owned()
                        } else {
                            "Completed".to_owned()
                        },
                        started_at: Some(now),
                        expires_at: None,
                        failure: None,
                    },
                ),
                Event::Choose(retry) => {
                    if let Some(stuck) = &self.stage.status.stuck {
                        self.stage.spec.choice = Some(request::Choice {
                            by: person("anna"),
                            at: now,
                            action: if retry {
                                request::Action::Retry
                            } else {
                                request::Action::ResumeAsIs
                            },
                            answers: stuck.at,
                        });
                    }
                }
                Event::Hours(hours) => {
                    self.stage.now += SignedDuration::from_mins(i64::from(hours) * 20);
                }
                Event::VeleroMakes => {}
            }
            self.stage.now += SignedDuration::from_secs(1);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

        #[test]
        fn nothing_forbidden_happens_and_it_always_ends(
            removes in any::<bool>(),
            events in events(),
        ) {
            let change = if removes {
                change(Action::Remove, "daily", None, None)
            } else {
                add()
            };
            let mut world = World::new(change);
            for event in events {
                world.happen(event);
            }
            // From wherever it got to, time and a person's answers end it.
            for _ in 0..200 {
                if world.stage.phase().is_over() {
                    return Ok(());
                }
                world.happen(Event::Hours(39));
                world.happen(Event::Choose(false));
                world.happen(Event::Decide);
            }
            prop_assert!(false, "it never ends: {:?}", world.stage.phase());
        }
    }
}
