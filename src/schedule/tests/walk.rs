//! A hostile world: people, workflows, Argo CD and Velero do what they like at any
//! time, and every effect may be asked for twice.

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
