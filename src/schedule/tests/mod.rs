//! The pure part of a change of schedules: what is refused and how, and what comes next.

mod applying;
mod approval;
mod confirming;
mod refusals;
mod walk;

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
