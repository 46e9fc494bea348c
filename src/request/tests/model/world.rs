//! The state: two requests and the world they share, coarse and unpleasant.

use std::collections::BTreeSet;
use std::hash::{Hash, Hasher};

use jiff::{SignedDuration, Timestamp};

use super::super::build::{self, at, brought_volume, mins, object, person};
use super::canon;
use crate::request::applications::Application;
use crate::request::guard::{Guard, without};
use crate::request::inventory::{LiveObject, Ownership};
use crate::request::observed::*;
use crate::request::preflight::{Other, Survey};
use crate::request::{
    BackupRun, Effect, Fact, Observed, Opened, Phase, Policy, Progress, RestoreRequestSpec,
    RestoreRun, RestoreStatus, Step, Subject, Which, apply, decide, digest, names, phase,
};

const UIDS: [&str; 2] = [build::UID, "5f0c2a4e-0000-0000-0000-000000000002"];

/// One of the two requests, with what the world holds of it.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) asked: bool,
    pub(super) spec: RestoreRequestSpec,
    pub(super) status: RestoreStatus,
    /// The pull requests to pause and to resume.
    pub(super) pulls: [Option<Pull>; 2],
    safeties: Vec<(BackupRun, &'static str)>,
    restores: Vec<RestoreRun>,
    /// How often a Restore of each name was created.
    created: Vec<(String, u8)>,
    /// What the inventory that is to be approved showed, by uid.
    shown: BTreeSet<String>,
}

#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools)] // Each is one thing that may be so.
pub(super) struct State {
    pub(super) now: Timestamp,
    pub(super) requests: [Request; 2],
    /// The reviewer olav lost the right.
    pub(super) revoked: bool,
    pub(super) order_heals: bool,
    pub(super) live_heals: bool,
    looked: Timestamp,
    refreshing: bool,
    pub(super) unrecorded: bool,
    pub(super) prunes: bool,
    pub(super) objects: Vec<LiveObject>,
    pub(super) hangs: bool,
    pub(super) backup_bad: bool,
    pub(super) unready: bool,
    next: u32,
    /// How many more disturbances there may be.
    pub(super) left: u8,
    /// What must never happen and did.
    pub(super) broken: BTreeSet<&'static str>,
    key: u128,
}

impl PartialEq for State {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Hash for State {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key.hash(state);
    }
}

/// How a step's effect goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    None,
    /// It is not done, and says so.
    Refused,
    /// It is done, and the process dies before it can write so.
    AnswerLost,
}

pub(super) fn policy(revoked: bool) -> Policy {
    let mut policy = build::policy();
    // Long past the walks, so that reminders do not multiply states.
    policy.self_heal_reminder = SignedDuration::from_hours(24 * 365);
    policy.approval_reminders.clear();
    policy.approval_expires = mins(30);
    policy.poll = SignedDuration::from_secs(1);
    policy.look_again = SignedDuration::from_secs(1);
    policy.hold_well = SignedDuration::from_secs(1);
    policy.batch = 50;
    for entry in &mut policy.people.0 {
        if entry.name == "olav" {
            entry.reviewer = !revoked;
        }
    }
    policy
}

impl State {
    pub(super) fn new(left: u8) -> Self {
        let request = |requester: &str| Request {
            asked: false,
            spec: RestoreRequestSpec {
                requester: person(requester),
                ..build::spec()
            },
            status: RestoreStatus::default(),
            pulls: [None, None],
            safeties: Vec::new(),
            restores: Vec::new(),
            created: Vec::new(),
            shown: BTreeSet::new(),
        };
        let mut state = Self {
            now: at(2),
            requests: [request("kari"), request("per")],
            revoked: false,
            order_heals: true,
            live_heals: true,
            looked: at(-60),
            refreshing: false,
            unrecorded: false,
            prunes: false,
            objects: vec![
                object("apps", "Deployment", "web"),
                object("", "ConfigMap", "settings"),
            ],
            hangs: false,
            backup_bad: false,
            unready: false,
            next: 0,
            left,
            broken: BTreeSet::new(),
            key: 0,
        };
        state.requests[0].asked = true;
        state.seal();
        state
    }

    /// Computes what tells it from others; to be called when it is complete.
    pub(super) fn seal(&mut self) {
        self.key = 0;
        let text = format!("{self:?}");
        // The present moment itself is in the text as well, at a distance of nothing.
        self.key = canon::digest(&text, self.now);
    }

    pub(super) fn phase(&self, of: usize) -> Phase {
        phase(&self.requests[of].status)
    }

    pub(super) fn digest(&self, of: usize) -> String {
        let request = &self.requests[of];
        digest(UIDS[of], &request.spec, &request.status)
    }

    fn created_at(of: usize) -> Timestamp {
        at(i64::try_from(of).expect("small"))
    }

    fn application(&self) -> Application {
        Application {
            self_heal: self.live_heals,
            refreshing: self.refreshing,
            revisions: vec![if self.unrecorded { "r2" } else { "r1" }.to_owned()],
            sync: if self.unrecorded {
                "OutOfSync"
            } else {
                "Synced"
            }
            .to_owned(),
            reconciled_at: Some(self.looked),
            would_prune: if self.prunes {
                vec!["ConfigMap poseidon1-dev/settings".to_owned()]
            } else {
                Vec::new()
            },
            ..build::application("web")
        }
    }

    fn survey(&self, of: usize) -> Survey {
        let mut survey = build::survey();
        survey.applications = vec![self.application()];
        survey.objects.clone_from(&self.objects);
        if self.backup_bad {
            survey.backups[1].deleting = true;
            survey.backups[0].deleting = true;
        }
        // Even if an order names it (S6).
        if let Some(order) = &mut survey.order {
            order.namespaces.push("kube-system".to_owned());
        }
        for name in &self.requests[of].spec.namespaces {
            if survey.namespaces.iter().all(|live| live.name != *name) {
                let mut live = survey.namespaces[0].clone();
                live.name.clone_from(name);
                survey.namespaces.push(live);
                for backup in &mut survey.backups {
                    backup.included.push(name.clone());
                }
                if let Some(holdings) = &mut survey.holdings {
                    holdings
                        .objects
                        .entry("Namespace".to_owned())
                        .or_default()
                        .insert(name.clone());
                }
            }
        }
        let other = 1 - of;
        if self.requests[other].asked && !self.phase(other).is_over() {
            survey.others.push(Other {
                name: format!("r{other}"),
                uid: UIDS[other].to_owned(),
                created: Self::created_at(other),
                phase: self.phase(other),
                namespaces: self.requests[other].spec.namespaces.clone(),
                requester: "somebody".to_owned(),
            });
        }
        survey
    }

    fn round(&self, of: usize) -> usize {
        self.requests[of].status.earlier_restores.len()
    }

    fn in_the_way(&self, of: usize) -> Vec<String> {
        let ours: Vec<String> = (0..self.round(of))
            .map(|round| names::restore(UIDS[of], round))
            .collect();
        self.objects
            .iter()
            .filter(|object| {
                !object
                    .labels
                    .get("velero.io/restore-name")
                    .is_some_and(|name| ours.contains(name))
            })
            .map(ToString::to_string)
            .collect()
    }

    fn restore(&self, of: usize) -> Option<RestoreRun> {
        let name = names::restore(UIDS[of], self.round(of));
        self.requests[of]
            .restores
            .iter()
            .find(|run| run.name == name)
            .cloned()
    }

    fn observe(&self, of: usize) -> Observed {
        let request = &self.requests[of];
        let pull = |which: usize| request.pulls[which].clone();
        match self.phase(of) {
            Phase::Checking => Observed::Checking(Box::new(self.survey(of))),
            Phase::AwaitingApproval => Observed::AwaitingApproval(pull(0)),
            Phase::Pausing => Observed::Pausing(pull(0)),
            Phase::Settling => Observed::Settling(vec![self.application()]),
            Phase::Protecting => {
                let name = names::safety_backup(UIDS[of], request.status.safety_round());
                Observed::Protecting(
                    request
                        .safeties
                        .iter()
                        .find(|(run, _)| run.name == name)
                        .map(|(run, phase)| SafetyBackup {
                            run: run.clone(),
                            phase: (*phase).to_owned(),
                            failure: None,
                        }),
                )
            }
            Phase::Clearing => Observed::Clearing(Box::new(Clearing {
                applications: vec![self.application()],
                objects: self.objects.clone(),
                ownership: Ownership::default(),
                undiscovered: Vec::new(),
                restore_exists: self.restore(of).is_some(),
                survey: request.status.clearing.is_none().then(|| self.survey(of)),
            })),
            Phase::Restoring => {
                let restore = self.restore(of);
                let running = restore
                    .as_ref()
                    .is_some_and(|run| run.phase == "InProgress");
                Observed::Restoring(Restoring {
                    in_the_way: if restore.is_none() {
                        self.in_the_way(of)
                    } else {
                        Vec::new()
                    },
                    applications: if running {
                        vec![self.application()]
                    } else {
                        Vec::new()
                    },
                    restore,
                    ..Restoring::default()
                })
            }
            Phase::Verifying => Observed::Verifying(Verifying {
                volumes: vec![brought_volume()],
                unready: if self.unready {
                    vec!["web".to_owned()]
                } else {
                    Vec::new()
                },
                ..Verifying::default()
            }),
            Phase::Resuming => Observed::Resuming(Box::new(Resuming {
                pause: pull(0),
                resume: pull(1),
                applications: vec![self.application()],
                restoring: self
                    .restore(of)
                    .is_some_and(|run| matches!(run.phase.as_str(), "New" | "InProgress")),
                since: None,
            })),
            _ => Observed::Nothing,
        }
    }

    /// What a request would do next.
    pub(super) fn step(&self, of: usize, missing: Option<Guard>) -> Step {
        let request = &self.requests[of];
        without(missing, || {
            decide(
                Subject {
                    uid: UIDS[of],
                    created: Self::created_at(of),
                    spec: &request.spec,
                    status: &request.status,
                },
                &self.observe(of),
                &policy(self.revoked),
                self.now,
            )
        })
    }

    /// One turn of the loop. `None`: there is nothing to do now.
    pub(super) fn turn(&self, of: usize, fault: Fault, missing: Option<Guard>) -> Option<Self> {
        let step = self.step(of, missing);
        let mut next = self.clone();
        match (step, fault) {
            (Step::Record(fact), Fault::None) => next.record(of, fact, missing),
            (Step::Act(effect), Fault::None) => {
                if let Some(fact) = next.act(of, effect) {
                    next.record(of, fact, missing);
                }
            }
            (Step::Act(effect), Fault::AnswerLost) => {
                next.act(of, effect)?;
            }
            (Step::Act(effect), Fault::Refused) => next.record(
                of,
                Fact::Failed {
                    effect: effect.name().to_owned(),
                    message: "it failed".to_owned(),
                },
                missing,
            ),
            // What it says that it waits for is for people to read: of it `decide` only reads
            // that GitHub would not merge, which this GitHub always does. Where nothing was
            // done, dying is the same as not having begun.
            (Step::Rest | Step::Wait { .. }, _)
            | (Step::Record(_), Fault::Refused | Fault::AnswerLost) => return None,
        }
        next.check(missing);
        next.tick();
        Some(next)
    }

    /// No two things have the same moment, none has the present one, and what has to be
    /// a second old is so when the next thing happens: short waits only order things.
    pub(super) fn tick(&mut self) {
        self.now += SignedDuration::from_secs(2);
    }

    fn record(&mut self, of: usize, mut fact: Fact, missing: Option<Guard>) {
        let uids: BTreeSet<String> = self
            .objects
            .iter()
            .map(|object| object.uid.clone())
            .collect();
        match &mut fact {
            Fact::ClearingBegan { .. } => self.check_clearing(of),
            Fact::Checked(checked) | Fact::Voided(_, Some(checked)) => {
                // Words tell no states apart that matter.
                checked.checks.clear();
                checked.comparison = None;
                self.requests[of].shown = uids;
                if self.requests[of]
                    .spec
                    .namespaces
                    .iter()
                    .any(|name| name == "kube-system")
                {
                    self.broken.insert("S6");
                }
            }
            Fact::Approved(approved) => {
                let requester = &self.requests[of].spec.requester.id;
                if approved.by == *requester {
                    self.broken.insert("S1");
                }
            }
            _ => {}
        }
        let now = self.now;
        without(missing, || {
            let status = &mut self.requests[of].status;
            let before = phase(status);
            apply(status, fact, now);
            if phase(status) != before {
                status.waiting = None;
            }
        });
    }

    /// What must hold at the last moment before anything is deleted.
    fn check_clearing(&mut self, of: usize) {
        let digest = self.digest(of);
        let request = &self.requests[of];
        let Some(approved) = &request.status.approved else {
            self.broken.insert("S2");
            return;
        };
        if approved.digest != digest {
            self.broken.insert("S2");
        }
        if self.revoked && approved.by == "olav" {
            self.broken.insert("S3");
        }
        if self.backup_bad {
            self.broken.insert("S5");
        }
        let saved = request.status.safety_backup.as_ref().is_some_and(|known| {
            request
                .safeties
                .iter()
                .any(|(run, phase)| run.name == known.name && *phase == "Completed")
        });
        let waived = request
            .status
            .waiver
            .as_ref()
            .is_some_and(|waiver| waiver.by == "olav" || waiver.by == "ida");
        if !saved && !waived {
            self.broken.insert("S8");
        }
    }

    /// What must hold of every state.
    fn check(&mut self, missing: Option<Guard>) {
        let active = |phase: Phase| phase != Phase::Checking && !phase.is_over();
        let (first, second) = without(missing, || (self.phase(0), self.phase(1)));
        if self.requests[1].asked && active(first) && active(second) {
            self.broken.insert("S7");
        }
        for (of, phase) in [first, second].into_iter().enumerate() {
            let others = if of == 0 { second } else { first };
            let alone = !self.requests[1].asked || !active(others);
            let open = self.requests[of].pulls[0]
                .as_ref()
                .is_some_and(|pull| pull.state == PullState::Open);
            // L1: when all is over self-heal is on, and nothing is left that turns it off.
            if phase.is_over() && alone && (!self.order_heals || open) {
                self.broken.insert("L1");
            }
        }
    }

    fn act(&mut self, of: usize, effect: Effect) -> Option<Fact> {
        match effect {
            Effect::OpenPull(which) => Some(self.open(of, which)),
            Effect::RebuildPull(which) => {
                self.next += 1;
                let head = format!("built{}", self.next);
                let pull = self.requests[of].pulls[index(which)].as_mut()?;
                pull.head_sha = head;
                pull.mergeable = Some(true);
                Some(self.opened(of, which))
            }
            Effect::MergePull(which, head) => {
                if which == Which::Pause {
                    let approved = self.requests[of].status.approved.as_ref();
                    if approved.is_none_or(|approved| approved.digest != self.digest(of)) {
                        self.broken.insert("S2");
                    }
                }
                let pull = self.requests[of].pulls[index(which)].as_ref()?;
                if pull.state != PullState::Open || pull.head_sha != head {
                    return None;
                }
                self.merge(of, which);
                Some(Fact::PullMerged(which, None))
            }
            Effect::ClosePull(which, _) => {
                let pull = self.requests[of].pulls[index(which)].as_mut()?;
                pull.state = PullState::Closed;
                Some(Fact::PullClosed(which))
            }
            Effect::Mirror(which) => Some(Fact::Mirrored(which)),
            Effect::Look(what, namespace, name) => {
                self.refreshing = true;
                Some(Fact::Looked(what, format!("{namespace}/{name}")))
            }
            Effect::RecordRevision(..) => {
                self.unrecorded = false;
                None
            }
            Effect::SafetyBackup => {
                let name = names::safety_backup(UIDS[of], self.requests[of].status.safety_round());
                let safeties = &mut self.requests[of].safeties;
                if safeties.iter().all(|(run, _)| run.name != name) {
                    let run = BackupRun {
                        name: name.clone(),
                        created_at: self.now,
                        ..build::safety(false)
                    };
                    safeties.push((run, "New"));
                }
                let (run, _) = safeties.iter().find(|(run, _)| run.name == name)?;
                Some(Fact::SafetyBackup(run.clone()))
            }
            Effect::Delete(batch) => {
                self.delete(of, &batch);
                None
            }
            Effect::Summarize(_) => Some(Fact::Summarized),
            Effect::Remind => Some(Fact::ReviewersReminded),
            Effect::Restore => {
                if !self.in_the_way(of).is_empty() {
                    self.broken.insert("S9");
                }
                let name = names::restore(UIDS[of], self.round(of));
                if self.restore(of).is_none() {
                    let request = &mut self.requests[of];
                    // One whose making was never known, and that somebody deleted before
                    // it was seen, brought nothing: the namespaces are empty (S9).
                    let known = request.status.restore.is_some();
                    request.restores.push(RestoreRun {
                        name: name.clone(),
                        created_at: self.now,
                        progressed_at: None,
                        ..build::run("New")
                    });
                    match request.created.iter_mut().find(|(known, _)| *known == name) {
                        Some((_, times)) => {
                            *times += 1;
                            if known {
                                self.broken.insert("S10");
                            }
                        }
                        None => request.created.push((name, 1)),
                    }
                }
                self.restore(of).map(Fact::Restore)
            }
        }
    }

    fn delete(&mut self, of: usize, batch: &[LiveObject]) {
        if !self.requests[of].created.is_empty() || self.restore(of).is_some() {
            self.broken.insert("S11");
        }
        if self.live_heals || self.unrecorded {
            self.broken.insert("S4");
        }
        for object in batch {
            if !self.requests[of].shown.contains(&object.uid) {
                self.broken.insert("S2");
            }
            if let Some(live) = self.objects.iter_mut().find(|live| live.uid == object.uid) {
                live.terminating = true;
            }
        }
    }

    fn open(&mut self, of: usize, which: Which) -> Fact {
        let heals = which == Which::Resume;
        let found = &self.requests[of].pulls[index(which)];
        let adopt = found
            .as_ref()
            .is_some_and(|pull| which == Which::Pause || pull.state != PullState::Closed);
        if !adopt {
            if self.order_heals == heals {
                let mut record = build::record();
                record.value = Some(self.order_heals);
                return Fact::PullNotNeeded(which, record);
            }
            self.next += 1;
            self.requests[of].pulls[index(which)] = Some(build::pull(u64::from(self.next)));
        }
        self.opened(of, which)
    }

    fn opened(&self, of: usize, which: Which) -> Fact {
        let pull = self.requests[of].pulls[index(which)]
            .clone()
            .unwrap_or_default();
        Fact::PullOpened(
            which,
            Opened {
                head_sha: pull.head_sha,
                ..build::opened(pull.number)
            },
            build::record(),
        )
    }

    pub(super) fn is_open(&self, of: usize, which: Which) -> bool {
        self.requests[of].pulls[index(which)]
            .as_ref()
            .is_some_and(|pull| pull.state == PullState::Open)
    }

    pub(super) fn merge(&mut self, of: usize, which: Which) {
        if let Some(pull) = &mut self.requests[of].pulls[index(which)]
            && pull.state == PullState::Open
        {
            pull.state = PullState::Merged { sha: None };
            let pushed = pull.head_sha.ends_with("-pushed");
            pull.difference = pushed.then(|| "something else".to_owned());
            self.order_heals = which == Which::Resume;
        }
    }

    /// A second passes: Kubernetes, Argo CD and Velero do what they have to do.
    pub(super) fn pass(&mut self) {
        let hangs = self.hangs;
        self.objects.retain(|object| !object.terminating || hangs);
        if self.refreshing {
            self.refreshing = false;
            self.looked = self.now;
        }
        self.live_heals = self.order_heals;
        let now = self.now;
        let mut brought = Vec::new();
        for request in &mut self.requests {
            for (_, phase) in &mut request.safeties {
                if *phase == "New" {
                    *phase = "Completed";
                }
            }
            for run in &mut request.restores {
                if run.phase == "New" {
                    "InProgress".clone_into(&mut run.phase);
                    run.started_at = Some(now);
                } else if run.phase == "InProgress" {
                    "Completed".clone_into(&mut run.phase);
                    run.items = Progress { done: 2, total: 2 };
                    brought.push(run.name.clone());
                }
            }
        }
        for name in brought {
            self.bring(&name);
        }
        self.tick();
    }

    fn bring(&mut self, restore: &str) {
        let mut object = object("apps", "Deployment", "web");
        object.uid = format!("{} of {restore}", object.uid);
        object
            .labels
            .insert("velero.io/restore-name".to_owned(), restore.to_owned());
        object.created = self.now;
        if self.objects.iter().all(|live| live.uid != object.uid) {
            self.objects.push(object);
        }
    }

    pub(super) fn end_restores(&mut self) -> bool {
        let mut ended = Vec::new();
        for run in self
            .requests
            .iter_mut()
            .flat_map(|request| &mut request.restores)
        {
            if run.phase == "InProgress" {
                "Failed".clone_into(&mut run.phase);
                ended.push(run.name.clone());
            }
        }
        for name in &ended {
            self.bring(name);
        }
        !ended.is_empty()
    }

    pub(super) fn delete_restores(&mut self) -> bool {
        let any = self
            .requests
            .iter()
            .any(|request| !request.restores.is_empty());
        for request in &mut self.requests {
            request.restores.clear();
        }
        any
    }

    pub(super) fn fail_safeties(&mut self) -> bool {
        let mut any = false;
        for (_, phase) in self
            .requests
            .iter_mut()
            .flat_map(|request| &mut request.safeties)
        {
            if *phase == "New" {
                *phase = "Failed";
                any = true;
            }
        }
        any
    }

    /// Another replica makes the Restore of a request that is being cleared.
    pub(super) fn intrude(&mut self, of: usize) -> bool {
        let during = self.phase(of) == Phase::Clearing
            && self.requests[of].status.clearing.is_some()
            && self.restore(of).is_none();
        if during {
            let run = RestoreRun {
                name: names::restore(UIDS[of], self.round(of)),
                created_at: self.now,
                ..build::run("New")
            };
            self.requests[of].restores.push(run);
        }
        during
    }

    pub(super) fn appear(&mut self) {
        self.next += 1;
        let mut alien = object("", "ConfigMap", &format!("alien-{}", self.next));
        alien.created = self.now;
        self.objects.push(alien);
    }

    pub(super) fn tidy_up(&mut self) -> bool {
        let before = self.objects.len();
        self.objects
            .retain(|object| !object.name.starts_with("alien-"));
        self.objects.len() != before
    }
}

fn index(which: Which) -> usize {
    match which {
        Which::Pause => 0,
        Which::Resume => 1,
    }
}
