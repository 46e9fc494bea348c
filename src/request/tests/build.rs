//! Small builders: a request that has come so far, and a world that fits.

use jiff::{SignedDuration, Timestamp};

use crate::order::SelfHealRecord;
use crate::request::applications::Application;
use crate::request::inventory::{Comparison, InventorySummary, LiveObject, Ownership, table};
use crate::request::observed::{Pull, PullState, Review, ReviewState};
use crate::request::people::{Entry, People};
use crate::request::preflight::{
    Backup, HeldVolume, Holdings, Location, Namespace, NodeAgent, OrderView, Survey,
};
use crate::request::*;

pub(super) const UID: &str = "5f0c2a4e-0000-0000-0000-000000000001";
pub(super) const NAMESPACE: &str = "poseidon1-dev";
pub(super) const BACKUP: &str = "poseidon1-daily-20261123010000";

/// The request was made at zero; seconds from there.
pub(super) fn at(seconds: i64) -> Timestamp {
    let zero: Timestamp = "2026-11-24T10:00:00Z".parse().unwrap();
    zero + SignedDuration::from_secs(seconds)
}

pub(super) const fn mins(minutes: i64) -> SignedDuration {
    SignedDuration::from_secs(60 * minutes)
}

pub(super) fn person(id: &str) -> Person {
    Person {
        chat: "discord".to_owned(),
        id: id.to_owned(),
        name: id.to_owned(),
    }
}

pub(super) fn entry(name: &str, reviewer: bool) -> Entry {
    Entry {
        name: name.to_owned(),
        accounts: vec![
            ("discord".to_owned(), name.to_owned()),
            ("console".to_owned(), format!("{name}@console")),
        ],
        github: Some(format!("{name}-gh")),
        tenants: vec!["poseidon1".to_owned()],
        reviewer,
    }
}

pub(crate) fn policy() -> Policy {
    Policy {
        people: People(vec![
            entry("kari", true),
            entry("olav", true),
            entry("ida", true),
            entry("per", false),
        ]),
        time_zone: jiff::tz::TimeZone::get("Europe/Oslo").unwrap(),
        own_namespace: "refloat".to_owned(),
        covers_resume: true,
        approval_expires: mins(600),
        approval_reminders: vec![mins(60), mins(120)],
        self_heal_reminder: mins(240),
        settle_within: mins(30),
        protect_within: mins(30),
        clear_within: mins(30),
        restore_stalls_after: mins(30),
        verify_within: mins(30),
        resume_within: mins(30),
        hold_well: SignedDuration::from_secs(10),
        backup_must_outlive: mins(24 * 60),
        poll: SignedDuration::from_secs(60),
        look_again: SignedDuration::from_secs(5),
        batch: 2,
    }
}

pub(super) fn spec() -> RestoreRequestSpec {
    RestoreRequestSpec {
        tenant: "poseidon1".to_owned(),
        namespaces: vec![NAMESPACE.to_owned()],
        source: Source::default(),
        reason: "a migration went wrong".to_owned(),
        requester: person("kari"),
        votes: Vec::new(),
        withdrawal: None,
        choice: None,
        consents: Vec::new(),
        undoes: None,
    }
}

pub(super) fn vote(by: &str, verdict: Verdict, digest: &str) -> Vote {
    Vote {
        by: person(by),
        at: at(0),
        verdict,
        digest: digest.to_owned(),
        reason: None,
    }
}

pub(super) fn object(group: &str, kind: &str, name: &str) -> LiveObject {
    LiveObject {
        group: group.to_owned(),
        version: "v1".to_owned(),
        kind: kind.to_owned(),
        plural: format!("{}s", kind.to_lowercase()),
        namespace: NAMESPACE.to_owned(),
        name: name.to_owned(),
        uid: format!("{kind}/{name}"),
        created: at(-3600),
        terminating: false,
        finalizers: Vec::new(),
        labels: std::collections::BTreeMap::default(),
        annotations: std::collections::BTreeMap::default(),
        controller: None,
        size: None,
        made_by: None,
    }
}

/// Below the object of `controller`, given as `Kind/name`.
pub(super) fn below(controller: &str, mut object: LiveObject) -> LiveObject {
    object.controller = Some(controller.to_owned());
    object
}

/// A Deployment with what is below it, its claim and its configuration.
pub(super) fn web() -> Vec<LiveObject> {
    vec![
        object("apps", "Deployment", "web"),
        below("Deployment/web", object("apps", "ReplicaSet", "web-1")),
        below("ReplicaSet/web-1", object("", "Pod", "web-1-a")),
        object("", "PersistentVolumeClaim", "data"),
        object("", "ConfigMap", "settings"),
    ]
}

pub(super) fn application(name: &str) -> Application {
    Application {
        namespace: "openshift-gitops".to_owned(),
        name: name.to_owned(),
        generated: true,
        deploys: true,
        automated: true,
        self_heal: false,
        source: "https://git.example.com/poseidon/deployments.git dev/web".to_owned(),
        operation_phase: "Succeeded".to_owned(),
        operation_finished: true,
        recorded_revisions: vec!["r1".to_owned()],
        revisions: vec!["r1".to_owned()],
        sync: "Synced".to_owned(),
        health: "Healthy".to_owned(),
        reconciled_at: Some(at(100_000)),
        destination: NAMESPACE.to_owned(),
        ..Application::default()
    }
}

pub(super) fn backup(name: &str, started: &str) -> Backup {
    Backup {
        name: name.to_owned(),
        uid: format!("uid of {name}"),
        phase: "Completed".to_owned(),
        schedule: Some("poseidon1-daily".to_owned()),
        started_at: Some(started.parse().unwrap()),
        expires_at: Some(at(7 * 24 * 3600)),
        location: "default".to_owned(),
        included: vec![NAMESPACE.to_owned(), "poseidon1-test".to_owned()],
        excluded: Vec::new(),
        deleting: false,
        items: Some(40),
    }
}

pub(super) fn survey() -> Survey {
    Survey {
        permitted: vec!["poseidon1".to_owned()],
        tenants: vec!["poseidon1".to_owned(), "triton2".to_owned()],
        order: Some(OrderView {
            path: "application-definitions/wave-1/poseidon1-tenant.yaml".to_owned(),
            namespaces: vec![NAMESPACE.to_owned(), "poseidon1-test".to_owned()],
            schedules: vec!["daily".to_owned(), "weekly".to_owned()],
            self_heal: true,
        }),
        order_fault: None,
        backups: vec![
            backup("poseidon1-daily-20261122010000", "2026-11-22T01:00:00Z"),
            backup(BACKUP, "2026-11-23T01:00:00Z"),
        ],
        locations: vec![Location {
            name: "default".to_owned(),
            phase: "Available".to_owned(),
        }],
        namespaces: vec![Namespace {
            name: NAMESPACE.to_owned(),
            terminating: false,
            uid_range: Some("1000600000/10000".to_owned()),
        }],
        applications: vec![application("web")],
        objects: web(),
        ownership: Ownership::default(),
        undiscovered: Vec::new(),
        others: Vec::new(),
        holdings: Some(holdings()),
        holdings_fault: None,
        restores_ahead: Vec::new(),
        node_agent: Some(NodeAgent {
            ready: 3,
            wanted: 3,
        }),
        quotas: Vec::new(),
    }
}

/// What the backup holds: what is there now.
pub(super) fn holdings() -> Holdings {
    let mut holdings = Holdings {
        backup: format!("uid of {BACKUP}"),
        volumes: vec![HeldVolume {
            namespace: NAMESPACE.to_owned(),
            claim: "data".to_owned(),
            held: true,
            by_node_agent: true,
            target: Some("web-1-a:data".to_owned()),
            bytes: Some(100),
            reason: None,
        }],
        uid_ranges: Some([(NAMESPACE.to_owned(), "1000600000/10000".to_owned())].into()),
        ..Holdings::default()
    };
    holdings
        .objects
        .insert("Namespace".to_owned(), [NAMESPACE.to_owned()].into());
    for object in web() {
        holdings
            .objects
            .entry(object.kind_key())
            .or_default()
            .insert(format!("{NAMESPACE}/{}", object.name));
    }
    holdings
}

/// The volume of [`holdings`], brought back whole.
pub(super) fn brought_volume() -> crate::request::observed::Volume {
    crate::request::observed::Volume {
        name: format!("{NAMESPACE}/web-1-a:data"),
        phase: "Completed".to_owned(),
        bytes: Progress {
            done: 100,
            total: 100,
        },
        message: None,
    }
}

pub(super) fn checked() -> Checked {
    Checked {
        at: at(1),
        backup: BackupFact {
            name: BACKUP.to_owned(),
            uid: format!("uid of {BACKUP}"),
            schedule: Some("poseidon1-daily".to_owned()),
            started_at: "2026-11-23T01:00:00Z".parse().unwrap(),
            expires_at: Some(at(7 * 24 * 3600)),
            phase: "Completed".to_owned(),
            items: Some(40),
            bytes: Some(100),
        },
        order_path: "application-definitions/wave-1/poseidon1-tenant.yaml".to_owned(),
        checks: Vec::new(),
        inventory: InventorySummary::of(&web(), &Ownership::default()),
        applications: vec!["openshift-gitops/web".to_owned()],
        comparison: Some(Comparison::of(&table(
            &web(),
            &Ownership::default(),
            &holdings(),
        ))),
        healing: Vec::new(),
        volumes: holdings().expected(&[NAMESPACE.to_owned()]),
    }
}

pub(super) fn opened(number: u64) -> Opened {
    Opened {
        number,
        url: format!("https://github.example.com/pull/{number}"),
        branch: "refloat/r".to_owned(),
        head_sha: format!("head{number}"),
    }
}

pub(super) fn record() -> SelfHealRecord {
    SelfHealRecord {
        value: Some(true),
        absent: Vec::new(),
        word: None,
    }
}

pub(super) fn pull(number: u64) -> Pull {
    Pull {
        number,
        head_sha: format!("head{number}"),
        state: PullState::Open,
        mergeable: Some(true),
        reviews: Vec::new(),
    }
}

pub(super) fn merged(number: u64) -> Pull {
    Pull {
        state: PullState::Merged {
            sha: Some("m".to_owned()),
        },
        ..pull(number)
    }
}

pub(super) fn closed(number: u64) -> Pull {
    Pull {
        state: PullState::Closed,
        ..pull(number)
    }
}

pub(super) fn review(login: &str, state: ReviewState, commit: &str) -> Review {
    Review {
        login: login.to_owned(),
        state,
        commit_id: commit.to_owned(),
    }
}

pub(super) fn approved(status: &RestoreStatus) -> Approved {
    Approved {
        at: at(10),
        by: "olav".to_owned(),
        via: Via::Chat,
        digest: digest(UID, &spec(), status),
    }
}

pub(super) fn safety(completed: bool) -> BackupRun {
    BackupRun {
        name: names::safety_backup(UID, 0),
        uid: "safety".to_owned(),
        created_at: at(40),
        progress: None,
        completed_at: completed.then(|| at(50)),
    }
}

pub(super) fn run(phase: &str) -> RestoreRun {
    RestoreRun {
        name: names::restore(UID, 0),
        uid: "restore".to_owned(),
        created_at: at(80),
        phase: phase.to_owned(),
        started_at: (phase != "New").then(|| at(81)),
        items: Progress::default(),
        bytes: Progress::default(),
        warnings: 0,
        errors: 0,
        progressed_at: Some(at(80)),
        ended_at: matches!(phase, "Completed" | "PartiallyFailed" | "Failed").then(|| at(90)),
        notes: Vec::new(),
        harmless: 0,
    }
}

/// A status that has come to `phase` on the straight way; each fact has its
/// moment: checked 1, pull request 2, approved 10, merged 20, settled 30, safety
/// backup 50, clearing 60, empty 70, Restore 80 to 90, verified 100.
pub(super) fn status(phase: Phase) -> RestoreStatus {
    let mut status = RestoreStatus::default();
    let mut facts: Vec<(Phase, i64, Fact)> = vec![
        (
            Phase::AwaitingApproval,
            1,
            Fact::Checked(Box::new(checked())),
        ),
        (
            Phase::AwaitingApproval,
            2,
            Fact::PullOpened(Which::Pause, opened(1), record()),
        ),
    ];
    facts.extend([
        (Phase::Settling, 20, Fact::PullMerged(Which::Pause, None)),
        (
            Phase::Protecting,
            30,
            Fact::Settled(vec!["openshift-gitops/web".to_owned()]),
        ),
        (Phase::Clearing, 50, Fact::SafetyBackup(safety(true))),
        (
            Phase::Restoring,
            60,
            Fact::ClearingBegan {
                total: 5,
                cutoff: at(-3600),
            },
        ),
        (Phase::Restoring, 65, Fact::SeenEmpty),
        (Phase::Restoring, 70, Fact::SeenEmpty),
        (Phase::Verifying, 90, Fact::Restore(run("Completed"))),
        (
            Phase::Resuming,
            100,
            Fact::Verified(Verified {
                at: at(100),
                volumes: 1,
                claims: 1,
                pods: 1,
                items: 2,
                foreign: Vec::new(),
            }),
        ),
        (Phase::Done, 110, Fact::Resumed),
    ]);
    for (reached, moment, fact) in facts {
        if reached > phase {
            break;
        }
        if reached > Phase::AwaitingApproval && status.approved.is_none() {
            let approved = approved(&status);
            apply(&mut status, Fact::Approved(approved), at(10));
        }
        apply(&mut status, fact, at(moment));
    }
    if phase == Phase::Pausing {
        let approved = approved(&status);
        apply(&mut status, Fact::Approved(approved), at(10));
    }
    assert_eq!(crate::request::phase(&status), phase);
    status
}

/// The status after one more fact.
pub(super) fn after(mut status: RestoreStatus, seconds: i64, fact: Fact) -> RestoreStatus {
    apply(&mut status, fact, at(seconds));
    status
}

pub(super) fn ended(outcome: Outcome) -> Fact {
    Fact::Ended(outcome, "why".to_owned())
}

pub(super) fn failed(effect: &Effect) -> Fact {
    Fact::Failed {
        effect: effect.name().to_owned(),
        message: "403".to_owned(),
    }
}

pub(super) fn stuck(reason: StuckReason, seconds: i64) -> Fact {
    Fact::Stuck(Box::new(Stuck {
        at: at(seconds),
        reason,
        message: "why".to_owned(),
        objects: vec!["PersistentVolumeClaim poseidon1-dev/data".to_owned()],
    }))
}

pub(super) fn choice(action: Action, answers: Timestamp) -> Choice {
    Choice {
        by: person("kari"),
        at: answers,
        action,
        answers,
    }
}

/// A person answered what the status is stuck at.
pub(super) fn chose(status: RestoreStatus, seconds: i64, action: Action) -> RestoreStatus {
    let answers = status.stuck.as_ref().unwrap().at;
    after(status, seconds, Fact::Chosen(choice(action, answers)))
}
