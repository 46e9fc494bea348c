//! An abstract world for the walk: GitHub, Argo CD, Velero and a namespace, coarse
//! enough to be driven fast, and unpleasant on request. What must never happen is
//! asserted where it would happen.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::build::*;
use crate::request::applications::Application;
use crate::request::inventory::LiveObject;
use crate::request::observed::*;
use crate::request::preflight::Survey;
use crate::request::{
    Action, BackupRun, Choice, Effect, Fact, Observed, Opened, Phase, Policy, Progress,
    RestoreRequestSpec, RestoreRun, RestoreStatus, Step, Subject, Verdict, Via, Vote, Which,
    Withdrawal, apply, decide, digest, names, phase,
};

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Fault {
    /// The effect is not done, and says so.
    Refused,
    /// The effect is done, and its answer is lost.
    AnswerLost,
}

#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools)] // Each is one thing that may go wrong.
pub(super) struct World {
    pub(super) now: Timestamp,
    pub(super) policy: Policy,
    pub(super) spec: RestoreRequestSpec,
    pub(super) status: RestoreStatus,
    pub(super) fault: Option<Fault>,
    healed_at_first: bool,
    order_heals: bool,
    live_heals: bool,
    reconciled: Timestamp,
    refreshing: BTreeSet<String>,
    unrecorded: bool,
    pub(super) prunes: bool,
    pulls: BTreeMap<&'static str, Pull>,
    next: u64,
    objects: Vec<LiveObject>,
    pub(super) hangs: bool,
    safeties: BTreeMap<String, (BackupRun, String)>,
    restores: BTreeMap<String, RestoreRun>,
    created: BTreeMap<String, usize>,
    pub(super) queued: bool,
    pub(super) location_fails: bool,
    pub(super) broken: bool,
    pub(super) stranger: bool,
    /// What each inventory showed, by its digest.
    shown: BTreeMap<String, BTreeSet<String>>,
    /// Who reviewed, and which inventory was shown then.
    reviewed: BTreeSet<(String, String)>,
    /// What was there when the clearing began, dependents too.
    at_clearing: BTreeSet<String>,
    /// A Restore of this request was seen.
    restore_seen: bool,
}

impl World {
    pub(super) fn new(heals: bool, covers_resume: bool) -> Self {
        Self {
            now: at(0) + SignedDuration::from_millis(300),
            policy: Policy {
                covers_resume,
                ..policy()
            },
            spec: spec(),
            status: RestoreStatus::default(),
            fault: None,
            healed_at_first: heals,
            order_heals: heals,
            live_heals: heals,
            reconciled: at(-60),
            refreshing: BTreeSet::new(),
            unrecorded: false,
            prunes: false,
            pulls: BTreeMap::new(),
            next: 0,
            // Made in the very second of the request.
            objects: web()
                .into_iter()
                .map(|object| LiveObject {
                    created: at(0),
                    ..object
                })
                .collect(),
            hangs: false,
            safeties: BTreeMap::new(),
            restores: BTreeMap::new(),
            created: BTreeMap::new(),
            queued: false,
            location_fails: false,
            broken: false,
            stranger: false,
            shown: BTreeMap::new(),
            reviewed: BTreeSet::new(),
            at_clearing: BTreeSet::new(),
            restore_seen: false,
        }
    }

    pub(super) fn phase(&self) -> Phase {
        phase(&self.status)
    }

    pub(super) fn digest(&self) -> String {
        digest(UID, &self.spec, &self.status)
    }

    /// Turns until nothing is to be done now; the moment of the next turn.
    pub(super) fn run(&mut self) -> Timestamp {
        for _ in 0..200 {
            if let Some(until) = self.turn() {
                return until;
            }
        }
        panic!(
            "it turns for ever in {:?}: {:#?}",
            self.phase(),
            self.status
        );
    }

    /// Observe, decide, act, record.
    fn turn(&mut self) -> Option<Timestamp> {
        let observed = self.observe();
        self.now += SignedDuration::from_millis(10);
        let step = decide(
            Subject {
                uid: UID,
                created: at(0),
                spec: &self.spec,
                status: &self.status,
            },
            &observed,
            &self.policy,
            self.now,
        );
        match step {
            Step::Rest => {
                self.assert_over();
                return Some(Timestamp::MAX);
            }
            Step::Wait { until, why } => {
                let said = self.status.waiting.as_ref().map(|note| &note.message);
                if said == why.as_ref() {
                    return Some(until);
                }
                self.record(Fact::Waiting(why));
            }
            Step::Record(fact) => self.record(fact),
            Step::Act(effect) => {
                let name = effect.name().to_owned();
                let fault = self.fault.take();
                let fact = (fault != Some(Fault::Refused)).then(|| self.act(effect));
                match (fault, fact) {
                    (None, Some(fact)) => {
                        if let Some(fact) = fact {
                            self.record(fact);
                        }
                    }
                    // As if it had been killed before it could write.
                    (Some(Fault::AnswerLost), _) => return Some(self.now),
                    _ => {
                        self.record(Fact::Failed {
                            effect: name,
                            message: "it failed".to_owned(),
                        });
                        return Some(self.now + SignedDuration::from_millis(100));
                    }
                }
            }
        }
        None
    }

    fn record(&mut self, fact: Fact) {
        if let Fact::ClearingBegan { .. } = fact {
            // S1, S2: the yes of another one, to exactly this.
            let approved = self.status.approved.as_ref().expect("no approval");
            assert_eq!(approved.digest, self.digest());
            assert_ne!(approved.by, "kari");
            if approved.via == Via::Review {
                let review = (format!("{}-gh", approved.by), self.inventory());
                assert!(self.reviewed.contains(&review), "reviewed something else");
            }
            // S8.
            if let Some(waiver) = &self.status.waiver {
                assert_eq!(waiver.by, "olav");
            } else {
                let safety = self
                    .status
                    .safety_backup
                    .as_ref()
                    .expect("no safety backup");
                assert_eq!(self.safeties[&safety.name].1, "Completed");
            }
            self.at_clearing = self
                .objects
                .iter()
                .map(|object| object.uid.clone())
                .collect();
        }
        if let Fact::Checked(checked) | Fact::Voided(_, Some(checked)) = &fact {
            self.shown.insert(
                checked.inventory.digest.clone(),
                self.objects
                    .iter()
                    .map(|object| object.uid.clone())
                    .collect(),
            );
        }
        self.now += SignedDuration::from_millis(10);
        let before = self.phase();
        apply(&mut self.status, fact, self.now);
        if self.phase() != before {
            self.status.waiting = None;
        }
    }

    /// L1: at the end self-heal is as it was, and nothing is left that turns it off.
    fn assert_over(&self) {
        assert!(self.phase().is_over());
        assert_eq!(self.order_heals, self.healed_at_first, "{:#?}", self.status);
        assert!(!self.is_open("pause"), "{:#?}", self.status);
    }

    fn is_open(&self, which: &str) -> bool {
        self.pulls
            .get(which)
            .is_some_and(|pull| pull.state == PullState::Open)
    }

    fn applications(&self) -> Vec<Application> {
        let make = |name: &str, deploys: bool| Application {
            deploys,
            self_heal: self.live_heals,
            refreshing: self
                .refreshing
                .contains(&format!("openshift-gitops/{name}")),
            recorded_revisions: vec![if self.unrecorded { "r0" } else { "r1" }.to_owned()],
            reconciled_at: Some(self.reconciled),
            would_prune: if self.prunes {
                vec!["PersistentVolumeClaim data".to_owned()]
            } else {
                Vec::new()
            },
            ..application(name)
        };
        vec![make("parent", false), make("web", true)]
    }

    fn survey(&self) -> Survey {
        let mut survey = survey();
        survey.applications = self.applications();
        survey.objects.clone_from(&self.objects);
        if self.location_fails {
            survey.locations[0].phase = "Unavailable".to_owned();
        }
        survey
    }

    fn round(&self) -> usize {
        self.status.earlier_restores.len()
    }

    fn in_the_way(&self) -> Vec<String> {
        let ours: Vec<String> = (0..self.round())
            .map(|round| names::restore(UID, round))
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

    /// The digest of the inventory that is shown to people.
    fn inventory(&self) -> String {
        self.status
            .checked
            .as_ref()
            .map(|checked| checked.inventory.digest.clone())
            .unwrap_or_default()
    }

    fn observe(&mut self) -> Observed {
        let restore = self
            .restores
            .get(&names::restore(UID, self.round()))
            .cloned();
        self.restore_seen |=
            restore.is_some() && matches!(self.phase(), Phase::Clearing | Phase::Restoring);
        match self.phase() {
            Phase::Checking => Observed::Checking(Box::new(self.survey())),
            Phase::AwaitingApproval => Observed::AwaitingApproval(self.pulls.get("pause").cloned()),
            Phase::Pausing => Observed::Pausing(self.pulls.get("pause").cloned()),
            Phase::Settling => Observed::Settling(self.applications()),
            Phase::Protecting => {
                let name = names::safety_backup(UID, self.status.safety_round());
                Observed::Protecting(self.safeties.get(&name).map(|(run, phase)| SafetyBackup {
                    run: run.clone(),
                    phase: phase.clone(),
                    failure: None,
                }))
            }
            Phase::Clearing => Observed::Clearing(Box::new(Clearing {
                applications: self.applications(),
                objects: self.objects.clone(),
                ownership: crate::request::inventory::Ownership::default(),
                undiscovered: Vec::new(),
                restore_exists: restore.is_some(),
                survey: self.status.clearing.is_none().then(|| self.survey()),
            })),
            Phase::Restoring => Observed::Restoring(Restoring {
                in_the_way: if restore.is_none() {
                    self.in_the_way()
                } else {
                    Vec::new()
                },
                restore,
                ahead: usize::from(self.queued),
                ..Restoring::default()
            }),
            Phase::Verifying => Observed::Verifying(Verifying {
                unready: if self.broken {
                    vec!["web".to_owned()]
                } else {
                    Vec::new()
                },
                volumes: vec![brought_volume()],
                ..Verifying::default()
            }),
            Phase::Resuming => Observed::Resuming(Box::new(Resuming {
                pause: self.pulls.get("pause").cloned(),
                resume: self.pulls.get("resume").cloned(),
                applications: self.applications(),
                restoring: self.restores.values().any(|run| {
                    run.ended_at.is_none() && matches!(run.phase.as_str(), "New" | "InProgress")
                }),
                since: None,
            })),
            _ => Observed::Nothing,
        }
    }

    fn act(&mut self, effect: Effect) -> Option<Fact> {
        match effect {
            Effect::OpenPull(which) => Some(self.open(which)),
            Effect::RebuildPull(which) => {
                self.next += 1;
                let head = format!("built{}", self.next);
                let pull = self.pulls.get_mut(which.word()).expect("no pull request");
                pull.head_sha = head;
                pull.mergeable = Some(true);
                Some(self.fact(which))
            }
            Effect::MergePull(which, head) => {
                if which == Which::Pause {
                    let approved = self.status.approved.as_ref().expect("merged without a yes");
                    assert_eq!(approved.digest, self.digest());
                }
                let pull = self.pulls.get_mut(which.word())?;
                if pull.state != PullState::Open || pull.head_sha != head {
                    return None;
                }
                self.merge(which.word());
                Some(Fact::PullMerged(which, None))
            }
            Effect::ClosePull(which, _) => {
                let pull = self.pulls.get_mut(which.word())?;
                assert!(matches!(pull.state, PullState::Open | PullState::Closed));
                pull.state = PullState::Closed;
                Some(Fact::PullClosed(which))
            }
            Effect::Mirror(which) => Some(Fact::Mirrored(which)),
            Effect::Look(what, namespace, name) => {
                let key = format!("{namespace}/{name}");
                self.refreshing.insert(key.clone());
                Some(Fact::Looked(what, key))
            }
            Effect::RecordRevision(..) => {
                self.unrecorded = false;
                None
            }
            Effect::SafetyBackup => {
                let run = BackupRun {
                    name: names::safety_backup(UID, self.status.safety_round()),
                    created_at: self.now,
                    ..safety(false)
                };
                let (run, _) = self
                    .safeties
                    .entry(run.name.clone())
                    .or_insert((run, "New".to_owned()));
                Some(Fact::SafetyBackup(run.clone()))
            }
            Effect::Delete(batch) => {
                self.delete(&batch);
                None
            }
            Effect::Summarize(which) => {
                assert!(self.pulls.contains_key(which.word()));
                Some(Fact::Summarized)
            }
            Effect::Remind => Some(Fact::ReviewersReminded),
            Effect::Restore => {
                // S9.
                assert_eq!(self.in_the_way(), Vec::<String>::new());
                let name = names::restore(UID, self.round());
                let fresh = RestoreRun {
                    name: name.clone(),
                    created_at: self.now,
                    progressed_at: None,
                    ..run("New")
                };
                if !self.restores.contains_key(&name) {
                    // S10.
                    let times = self.created.entry(name.clone()).or_default();
                    *times += 1;
                    self.restores.insert(name.clone(), fresh);
                }
                Some(Fact::Restore(self.restores[&name].clone()))
            }
        }
    }

    fn delete(&mut self, batch: &[LiveObject]) {
        // S11, S4.
        assert!(
            self.created.is_empty() && !self.restore_seen,
            "cleared after a Restore"
        );
        assert!(!self.live_heals && !self.unrecorded);
        assert!(self.status.clearing.is_some());
        for object in batch {
            // S2: nothing that came later.
            let of = if object.controller.is_some() {
                &self.at_clearing
            } else {
                &self.shown[&self.inventory()]
            };
            assert!(of.contains(&object.uid), "{object} was not approved");
            if let Some(live) = self.objects.iter_mut().find(|live| live.uid == object.uid) {
                live.terminating = true;
            }
        }
    }

    fn open(&mut self, which: Which) -> Fact {
        let heals = which == Which::Resume && self.healed_at_first;
        let found = self.pulls.get(which.word());
        let adopt =
            found.is_some_and(|pull| which == Which::Pause || pull.state != PullState::Closed);
        if !adopt {
            if self.order_heals == heals {
                let mut record = record();
                record.value = Some(self.healed_at_first);
                return Fact::PullNotNeeded(which, record);
            }
            self.next += 1;
            self.pulls.insert(which.word(), pull(self.next));
        }
        self.fact(which)
    }

    fn fact(&self, which: Which) -> Fact {
        let pull = &self.pulls[which.word()];
        Fact::PullOpened(
            which,
            Opened {
                head_sha: pull.head_sha.clone(),
                ..opened(pull.number)
            },
            record(),
        )
    }

    // What others do.

    pub(super) fn merge(&mut self, which: &str) {
        if self.is_open(which) {
            let pull = self.pulls.get_mut(which).expect("open");
            pull.state = PullState::Merged { sha: None };
            pull.difference = pull
                .head_sha
                .starts_with("pushed")
                .then(|| "something else".to_owned());
            self.order_heals = which == "resume";
        }
    }

    pub(super) fn close(&mut self, which: &str) {
        if self.is_open(which) {
            self.pulls.get_mut(which).expect("open").state = PullState::Closed;
        }
    }

    pub(super) fn push(&mut self, which: &str) {
        self.next += 1;
        let head = format!("pushed{}", self.next);
        if self.is_open(which) {
            self.pulls.get_mut(which).expect("open").head_sha = head;
        }
    }

    pub(super) fn conflict(&mut self, which: &str) {
        if self.is_open(which) {
            self.pulls.get_mut(which).expect("open").mergeable = Some(false);
        }
    }

    pub(super) fn review(&mut self, login: &str) {
        self.reviewed.insert((login.to_owned(), self.inventory()));
        for pull in self.pulls.values_mut() {
            let head = pull.head_sha.clone();
            pull.reviews
                .push(review(login, ReviewState::Approved, &head));
        }
    }

    pub(super) fn vote(&mut self, by: &str, verdict: Verdict) {
        let digest = self.digest();
        self.spec.votes.push(Vote {
            at: self.now,
            ..vote(by, verdict, &digest)
        });
    }

    pub(super) fn withdraw(&mut self) {
        self.spec.withdrawal = Some(Withdrawal {
            by: person("kari"),
            at: self.now,
        });
    }

    pub(super) fn choose(&mut self, action: Action) {
        self.choose_as("kari", action);
    }

    pub(super) fn choose_as(&mut self, by: &str, action: Action) {
        if let Some(stuck) = &self.status.stuck {
            self.spec.choice = Some(Choice {
                at: self.now,
                by: person(by),
                ..choice(action, stuck.at)
            });
        }
    }

    /// Kubernetes, Argo CD and Velero do what they have to do.
    pub(super) fn tick(&mut self) {
        let uids: BTreeSet<String> = self
            .objects
            .iter()
            .map(|object| object.uid.clone())
            .collect();
        let hangs = self.hangs;
        self.objects.retain(|object| {
            let collected = object
                .controller
                .as_ref()
                .is_some_and(|owner| !uids.contains(owner));
            !(collected || object.terminating && !hangs)
        });
        self.refreshing.clear();
        self.reconciled = self.now;
        self.live_heals = self.order_heals;
        for (_, phase) in self.safeties.values_mut() {
            if phase == "New" {
                "InProgress".clone_into(phase);
            } else if phase == "InProgress" {
                "Completed".clone_into(phase);
            }
        }
        if !self.queued {
            let names: Vec<String> = self.restores.keys().cloned().collect();
            for name in names {
                self.restore_moves(&name);
            }
        }
    }

    fn restore_moves(&mut self, name: &str) {
        let run = self.restores.get_mut(name).expect("a name from the map");
        if run.phase == "New" {
            "InProgress".clone_into(&mut run.phase);
            run.started_at = Some(self.now);
        } else if run.phase == "InProgress" {
            "Completed".clone_into(&mut run.phase);
            run.items = Progress { done: 5, total: 5 };
            self.bring(name);
        }
    }

    fn bring(&mut self, name: &str) {
        for mut object in web() {
            object.uid = format!("{} of {name}", object.uid);
            object.controller = object.controller.map(|owner| format!("{owner} of {name}"));
            object
                .labels
                .insert("velero.io/restore-name".to_owned(), name.to_owned());
            object.created = self.second();
            self.objects.push(object);
        }
    }

    fn second(&self) -> Timestamp {
        Timestamp::from_second(self.now.as_second()).expect("in range")
    }

    pub(super) fn end_restores(&mut self, phase: &str) {
        let names: Vec<String> = self
            .restores
            .iter()
            .filter(|(_, run)| run.phase == "InProgress")
            .map(|(name, _)| name.clone())
            .collect();
        for name in names {
            phase.clone_into(&mut self.restores.get_mut(&name).expect("known").phase);
            self.bring(&name);
        }
    }

    pub(super) fn delete_restores(&mut self) {
        self.restores.clear();
    }

    /// Another replica, or somebody, makes the Restore meanwhile.
    pub(super) fn intrude(&mut self) {
        let name = names::restore(UID, self.round());
        if self.status.clearing.is_some() && self.status.restore.is_none() {
            self.restores.entry(name.clone()).or_insert(RestoreRun {
                name,
                created_at: self.now,
                ..run("New")
            });
        }
    }

    pub(super) fn fail_safeties(&mut self) {
        for (_, phase) in self.safeties.values_mut() {
            if phase != "Completed" {
                "Failed".clone_into(phase);
            }
        }
    }

    pub(super) fn new_commit(&mut self) {
        self.unrecorded = true;
    }

    /// Somebody makes an object, or a controller makes a dependent anew.
    pub(super) fn appear(&mut self) {
        self.next += 1;
        let mut alien = object("", "ConfigMap", &format!("alien-{}", self.next));
        alien.created = self.second();
        self.objects.push(alien);
        if let Some(set) = self
            .objects
            .iter()
            .find(|object| object.kind == "ReplicaSet" && !object.terminating)
        {
            let mut pod = below(&set.uid, object("", "Pod", &format!("again-{}", self.next)));
            pod.labels = set.labels.clone();
            pod.created = self.second();
            self.objects.push(pod);
        }
    }

    pub(super) fn tidy_up(&mut self) {
        self.objects
            .retain(|object| !object.name.starts_with("alien-"));
    }

    /// The reviewers lose their right, or have it back.
    pub(super) fn revoke(&mut self, revoked: bool) {
        for entry in &mut self.policy.people.0 {
            if entry.name == "olav" {
                entry.reviewer = !revoked;
            }
        }
        self.stranger = revoked;
    }

    pub(super) fn restores_per_round(&self) -> usize {
        self.created.values().copied().max().unwrap_or(0)
    }
}
