//! Requests as tests need them: one for each phase, with fixed moments.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::RenderContext;
use crate::order::SelfHealRecord;
use crate::request::inventory::{Claim, Comparison, InventorySummary};
use crate::request::people::{Entry, People};
use crate::request::preflight::{Check, CheckResult, CheckState};
use crate::request::resource::*;
use crate::request::{Phase, phase};

pub(crate) fn context() -> RenderContext {
    RenderContext {
        time_zone: TimeZone::UTC,
        covers_resume: true,
    }
}

/// So many seconds after the request was made.
pub(crate) fn at(seconds: i64) -> Timestamp {
    let base: Timestamp = "2026-11-24T08:00:00Z".parse().unwrap();
    base + SignedDuration::from_secs(seconds)
}

pub(crate) fn person(id: &str) -> Person {
    let (chat, id) = id
        .strip_suffix("-discord")
        .map_or(("console", id), |id| ("discord", id));
    let mut name = id.to_owned();
    name[..1].make_ascii_uppercase();
    Person {
        chat: chat.to_owned(),
        id: id.to_owned(),
        name,
    }
}

/// Anna asks for poseidon1, Bert for triton2; Ravi and Olga review.
pub(crate) fn people() -> People {
    let entry = |id: &str, tenants: &[&str], reviewer| Entry {
        name: person(id).name,
        accounts: vec![
            ("console".to_owned(), id.to_owned()),
            ("discord".to_owned(), id.to_owned()),
        ],
        github: None,
        tenants: tenants.iter().map(|&tenant| tenant.to_owned()).collect(),
        reviewer,
    };
    People(vec![
        entry("anna", &["poseidon1", "triton2"], false),
        entry("bert", &["triton2"], false),
        entry("ravi", &[], true),
        entry("olga", &["poseidon1"], true),
    ])
}

/// A request that was just made.
pub(crate) fn asked() -> RestoreRequest {
    let mut request = RestoreRequest::new(
        "poseidon1-7k2p9",
        RestoreRequestSpec {
            tenant: "poseidon1".to_owned(),
            namespaces: vec!["poseidon1-dev".to_owned(), "poseidon1-test".to_owned()],
            source: Source {
                backup: None,
                schedule: Some("daily".to_owned()),
                day: Some("2026-11-23".to_owned()),
            },
            reason: "the migration broke the orders".to_owned(),
            requester: person("anna"),
            votes: Vec::new(),
            withdrawal: None,
            choice: None,
            consents: Vec::new(),
            undoes: None,
        },
    );
    request.metadata.uid = Some("3f0e5a1c-1111-4222-8333-444455556666".to_owned());
    request.metadata.creation_timestamp = Some(Time(at(0)));
    request
}

fn counts(list: &[(&str, i64)]) -> BTreeMap<String, i64> {
    list.iter()
        .map(|&(kind, count)| (kind.to_owned(), count))
        .collect()
}

pub(crate) fn checked() -> Checked {
    Checked {
        at: at(2),
        backup: BackupFact {
            name: "poseidon1-daily-20261123010000".to_owned(),
            uid: "b-1".to_owned(),
            schedule: Some("poseidon1-daily".to_owned()),
            started_at: "2026-11-23T01:00:00Z".parse().unwrap(),
            expires_at: Some("2026-11-30T01:00:00Z".parse().unwrap()),
            phase: "Completed".to_owned(),
            items: Some(61),
            bytes: Some(3 << 20),
        },
        order_path: "application-definitions/wave-1/poseidon1-tenant.yaml".to_owned(),
        checks: vec![
            CheckResult {
                check: Check::Namespaces,
                state: CheckState::Passed,
                message: "poseidon1-dev and poseidon1-test belong to the tenant".to_owned(),
            },
            CheckResult {
                check: Check::StorageLocation,
                state: CheckState::Passed,
                message: "default is Available".to_owned(),
            },
        ],
        inventory: InventorySummary {
            delete: counts(&[
                ("ConfigMap", 4),
                ("PersistentVolumeClaim", 2),
                ("apps/Deployment", 3),
                ("example.com/Bucket", 1),
            ]),
            keep: counts(&[("ServiceAccount", 6), ("NetworkPolicy", 2)]),
            claims: vec![
                Claim {
                    namespace: "poseidon1-dev".to_owned(),
                    name: "data".to_owned(),
                    size: Some("10Gi".to_owned()),
                },
                Claim {
                    namespace: "poseidon1-test".to_owned(),
                    name: "data".to_owned(),
                    size: None,
                },
            ],
            custom: vec!["example.com/Bucket".to_owned()],
            digest: "d1".to_owned(),
        },
        applications: vec!["openshift-gitops/poseidon1-dev-apps-web".to_owned()],
        comparison: Some(comparison()),
        volumes: Vec::new(),
        healing: Vec::new(),
    }
}

fn comparison() -> Comparison {
    Comparison {
        comes_back: counts(&[("ConfigMap", 3), ("apps/Deployment", 3)]),
        lost: counts(&[("ConfigMap", 1)]),
        returns: counts(&[("Secret", 2)]),
        rows: vec![
            "lost for good          ConfigMap poseidon1-dev/left-over".to_owned(),
            "returns from the past  Secret poseidon1-dev/old".to_owned(),
        ],
        left_out: 0,
    }
}

pub(crate) fn pull(number: u64, seconds: i64, merged: Option<i64>) -> PullRequest {
    PullRequest {
        at: at(seconds),
        opened: Some(Opened {
            number,
            url: format!("https://git.example.com/platform/infra-ocp4-tenants/pull/{number}"),
            branch: format!("refloat/{number}"),
            head_sha: format!("{number}abc"),
        }),
        record: SelfHealRecord {
            value: Some(true),
            absent: Vec::new(),
            word: None,
        },
        merged: merged.map(|seconds| Merged {
            at: at(seconds),
            sha: None,
        }),
        closed_at: None,
        approved: None,
    }
}

pub(crate) fn approved(seconds: i64) -> Approved {
    Approved {
        at: at(seconds),
        by: "Ravi".to_owned(),
        via: Via::Chat,
        digest: "d".to_owned(),
    }
}

pub(crate) fn run(phase: &str, done: i64, ended: Option<i64>) -> RestoreRun {
    RestoreRun {
        name: "refloat-1234567890-1".to_owned(),
        uid: "r-1".to_owned(),
        created_at: at(120),
        phase: phase.to_owned(),
        started_at: Some(at(121)),
        items: Progress { done, total: 42 },
        bytes: Progress {
            done: done * 256 * 1024 * 1024,
            total: 42 * 256 * 1024 * 1024,
        },
        warnings: 1,
        errors: 0,
        progressed_at: Some(at(125)),
        ended_at: ended.map(at),
        notes: Vec::new(),
        harmless: 0,
    }
}

fn ending(outcome: Outcome, message: &str) -> Ending {
    Ending {
        at: at(30),
        outcome,
        message: message.to_owned(),
    }
}

/// A request in that phase.
pub(crate) fn in_phase(wanted: Phase) -> RestoreRequest {
    let mut request = asked();
    let mut status = RestoreStatus::default();
    let steps: &[fn(&mut RestoreStatus)] = &[
        |status| {
            status.checked = Some(checked());
            status.pause = Some(pull(7, 3, None));
        },
        |status| status.approved = Some(approved(40)),
        |status| status.pause = Some(pull(7, 3, Some(42))),
        |status| {
            status.settled = Some(Settled {
                at: at(50),
                applications: vec!["openshift-gitops/poseidon1-dev-apps-web".to_owned()],
            });
            status.safety_backup = Some(BackupRun {
                name: "refloat-1234567890-safety-1".to_owned(),
                uid: "s-1".to_owned(),
                created_at: at(51),
                progress: Some(Progress { done: 5, total: 20 }),
                completed_at: None,
            });
        },
        |status| {
            if let Some(backup) = &mut status.safety_backup {
                backup.completed_at = Some(at(80));
            }
            status.clearing = Some(Clearing {
                cutoff: at(81),
                began_at: at(81),
                progress: Progress { done: 6, total: 10 },
                empty_looks: 0,
                emptied_at: None,
            });
        },
        |status| {
            if let Some(clearing) = &mut status.clearing {
                clearing.progress.done = 10;
                clearing.emptied_at = Some(at(119));
            }
            status.restore = Some(run("InProgress", 21, None));
        },
        |status| status.restore = Some(run("Completed", 42, Some(300))),
        |status| {
            status.verified = Some(Verified {
                at: at(310),
                volumes: 2,
                claims: 2,
                pods: 3,
                items: 40,
                foreign: Vec::new(),
            });
            status.resume = Some(pull(8, 311, None));
        },
        |status| {
            status.resume = Some(pull(8, 311, Some(315)));
            status.resumed_at = Some(at(320));
        },
    ];
    let early = |outcome, message: &str| {
        let mut status = RestoreStatus {
            ending: Some(ending(outcome, message)),
            ..RestoreStatus::default()
        };
        if outcome != Outcome::Refused {
            status.checked = Some(checked());
            let mut pause = pull(7, 3, None);
            pause.closed_at = Some(at(31));
            status.pause = Some(pause);
        }
        status
    };
    match wanted {
        Phase::Refused => {
            status = early(
                Outcome::Refused,
                "There is no backup of the schedule daily for 2026-11-23.",
            );
        }
        Phase::Denied => status = early(Outcome::Denied, "Ravi denied it: too late in the day"),
        Phase::Withdrawn => status = early(Outcome::Withdrawn, "Anna withdrew the request."),
        Phase::Expired => status = early(Outcome::Expired, "Nobody approved it in time."),
        Phase::Stuck => return stuck(StuckReason::RestoreFailed),
        Phase::ResumedAsIs => {
            for step in &steps[..6] {
                step(&mut status);
            }
            status.resume = Some(pull(8, 311, Some(315)));
            status.resumed_at = Some(at(320));
            status.choices = vec![Choice {
                by: person("anna"),
                at: at(305),
                action: Action::ResumeAsIs,
                answers: at(300),
            }];
            status.ending = Some(Ending {
                at: at(305),
                outcome: Outcome::ResumedAsIs,
                message: "Anna chose to turn self-heal on again with things as they are."
                    .to_owned(),
            });
        }
        _ => {
            for step in steps {
                if phase(&status) == wanted {
                    break;
                }
                step(&mut status);
            }
        }
    }
    assert_eq!(phase(&status), wanted);
    request.status = Some(status);
    request
}

/// A request that is stuck for that reason.
pub(crate) fn stuck(reason: StuckReason) -> RestoreRequest {
    let mut request = in_phase(Phase::Restoring);
    if let Some(status) = &mut request.status {
        status.restore = Some(run("Failed", 21, Some(299)));
        status.stuck = Some(Stuck {
            at: at(300),
            reason,
            message: "Velero's Restore ended Failed. It says: the node went away.".to_owned(),
            objects: if reason == StuckReason::WouldPrune {
                vec!["PersistentVolumeClaim poseidon1-dev/data".to_owned()]
            } else {
                Vec::new()
            },
        });
    }
    request
}
