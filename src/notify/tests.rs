//! What is of concern, and that it is told once.

use std::collections::BTreeMap;

use jiff::civil::time;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::facts::{Backup, Facts, Location, Schedule, SelfHealOff, Waiting, WaitsFor};
use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn policy() -> Policy {
    Policy {
        reviewers: "platform".to_owned(),
        tenants: BTreeMap::from([("poseidon1".to_owned(), "poseidon".to_owned())]),
        quiet: None,
        time_zone: TimeZone::UTC,
        expires_soon: SignedDuration::from_hours(24),
        waits_long: SignedDuration::from_mins(30),
        self_heal_off: SignedDuration::from_hours(2),
        every: SignedDuration::from_mins(1),
    }
}

fn schedule(name: &str, cron: &str) -> Schedule {
    Schedule {
        name: format!("poseidon1-{name}"),
        tenant: Some("poseidon1".to_owned()),
        cron: cron.to_owned(),
        phase: "Enabled".to_owned(),
        created: at("2026-11-01T00:00:00Z"),
        ..Schedule::default()
    }
}

fn backup(schedule: &str, started: &str, days: i64, phase: &str) -> Backup {
    let started = at(started);
    Backup {
        name: format!("poseidon1-{schedule}-{}", started.strftime("%Y%m%d%H%M%S")),
        schedule: Some(format!("poseidon1-{schedule}").into()),
        tenant: Some("poseidon1".to_owned()),
        phase: phase.into(),
        started_at: Some(started),
        ended_at: Some(started),
        expires_at: Some(started + SignedDuration::from_hours(24 * days)),
        reasons: Vec::new(),
    }
}

fn texts(facts: &Facts, now: &str) -> String {
    let now = at(now);
    concerns(facts, &policy(), now, now)
        .into_iter()
        .map(|concern| format!("{:?}: {}", concern.audience, concern.text))
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn each_concern_in_words() {
    let mut partial = backup("daily", "2026-11-24T01:00:00Z", 7, "PartiallyFailed");
    partial.reasons = (1..=5).map(|n| format!("pod {n} is gone")).collect();
    let mut failed = backup("weekly", "2026-11-24T02:00:00Z", 30, "Failed");
    failed.reasons = vec!["no space left on device".to_owned()];
    failed.tenant = None;
    let mut refused = schedule("odd", "0 1 * * 7");
    refused.phase = "FailedValidation".to_owned();
    refused.errors = vec!["invalid schedule".to_owned()];
    let facts = Facts {
        schedules: vec![schedule("daily", "0 1 * * *"), refused],
        backups: vec![
            backup("daily", "2026-11-22T01:00:00Z", 3, "Completed"),
            partial,
            failed,
            // Long before anybody was told of anything.
            backup("daily", "2026-11-10T01:00:00Z", 30, "Failed"),
        ],
        locations: vec![
            Location {
                name: "default".to_owned(),
                phase: "Unavailable".to_owned(),
                message: "connection refused".to_owned(),
            },
            Location {
                name: "new".to_owned(),
                ..Location::default()
            },
        ],
        self_heal_off: vec![SelfHealOff {
            request: "poseidon1-abcde".to_owned(),
            tenant: "poseidon1".to_owned(),
            since: at("2026-11-24T08:00:00Z"),
        }],
        waiting: vec![
            Waiting {
                request: "poseidon1-fghij".to_owned(),
                tenant: "poseidon1".to_owned(),
                since: at("2026-11-24T10:00:00Z"),
                for_what: WaitsFor::Approval,
            },
            Waiting {
                request: "poseidon1-klmno".to_owned(),
                tenant: "poseidon1".to_owned(),
                since: at("2026-11-24T11:50:00Z"),
                for_what: WaitsFor::Choice,
            },
        ],
    };
    insta::assert_snapshot!(texts(&facts, "2026-11-24T14:00:00Z"), @r#"
    Tenant("poseidon1"): The backup poseidon1-daily-20261124010000 of 2026-11-24 01:00 UTC failed in part: something is missing in it (pod 1 is gone; pod 2 is gone; pod 3 is gone; and 2 more).
    Reviewers: The backup poseidon1-weekly-20261124020000 of 2026-11-24 02:00 UTC failed (no space left on device).
    Tenant("poseidon1"): The last good backup of the tenant poseidon1, poseidon1-daily-20261122010000, expires at 2026-11-25 01:00 UTC, and there is no newer one.
    Reviewers: Velero cannot reach the storage location default (connection refused): no backup can be taken there or restored from there.
    Tenant("poseidon1"): The schedule poseidon1-daily (0 1 * * *) has no good backup since 2026-11-22 01:00 UTC.
    Tenant("poseidon1"): Velero refuses the schedule poseidon1-odd (invalid schedule): it takes no backups.
    Tenant("poseidon1"): Self-heal of the tenant poseidon1 has been off since 2026-11-24 08:00 UTC, for the restore poseidon1-abcde.
    Reviewers: The request poseidon1-fghij of the tenant poseidon1 waits for a reviewer's approval since 2026-11-24 10:00 UTC.
    Reviewers: The request poseidon1-klmno of the tenant poseidon1 waits for somebody to choose how to go on since 2026-11-24 11:50 UTC.
    "#);
}

#[test]
fn a_run_is_missed_after_an_interval_and_a_half() {
    let daily = |now: &str| {
        let facts = Facts {
            schedules: vec![schedule("daily", "0 1 * * *")],
            backups: vec![
                backup("daily", "2026-11-22T01:00:00Z", 30, "Completed"),
                backup("daily", "2026-11-23T01:00:00Z", 30, "Failed"),
            ],
            ..Facts::default()
        };
        texts(&facts, now).contains("has no good backup since")
    };
    assert!(!daily("2026-11-23T13:00:00Z"));
    assert!(daily("2026-11-23T13:00:01Z"));
    // On workdays: from Friday to Monday is no miss.
    let workdays = |now: &str| {
        let facts = Facts {
            schedules: vec![schedule("workdays", "0 1 * * 1-5")],
            backups: vec![backup("workdays", "2026-11-20T01:00:00Z", 30, "Completed")],
            ..Facts::default()
        };
        !texts(&facts, now).is_empty()
    };
    assert!(!workdays("2026-11-23T12:00:00Z"));
    assert!(workdays("2026-11-24T14:00:00Z"));
    // Paused, refused, or never there: nothing is missed.
    let mut paused = schedule("daily", "0 1 * * *");
    paused.paused = true;
    let facts = Facts {
        schedules: vec![paused],
        ..Facts::default()
    };
    assert_eq!(texts(&facts, "2027-11-24T14:00:00Z"), "");
    // A month of 31 days, and the clock moved over many.
    let monthly = schedule("monthly", "0 4 1 * *");
    let mut backups = Vec::new();
    for month in 1..=11 {
        backups.push(backup(
            "monthly",
            &format!("2026-{month:02}-01T04:00:00Z"),
            365,
            "Completed",
        ));
        let facts = Facts {
            schedules: vec![monthly.clone()],
            backups: backups.clone(),
            ..Facts::default()
        };
        assert_eq!(
            texts(&facts, &format!("2026-{:02}-02T00:00:00Z", month + 1)),
            ""
        );
    }
}

#[test]
fn the_last_good_backup_is_told_of_before_it_expires() {
    let old = backup("daily", "2026-11-17T01:00:00Z", 7, "Completed");
    let only = Facts {
        backups: vec![
            old.clone(),
            backup("daily", "2026-11-20T01:00:00Z", 7, "Failed"),
        ],
        ..Facts::default()
    };
    let tells = |facts: &Facts, now| texts(facts, now).contains("expires at");
    assert!(!tells(&only, "2026-11-23T00:59:59Z"));
    assert!(tells(&only, "2026-11-23T01:00:01Z"));
    assert!(!tells(&only, "2026-11-24T01:00:00Z"));
    // One that lives longer, of whatever schedule, is enough.
    let mut two = only;
    two.backups
        .push(backup("weekly", "2026-11-18T02:00:00Z", 30, "Completed"));
    assert!(!tells(&two, "2026-11-23T01:00:01Z"));
    // What is kept for hours is not told of all the time.
    let mut short = old;
    short.expires_at = Some(at("2026-11-17T05:00:00Z"));
    let short = Facts {
        backups: vec![short],
        ..Facts::default()
    };
    assert!(!tells(&short, "2026-11-17T03:59:59Z"));
    assert!(tells(&short, "2026-11-17T04:00:01Z"));
}

/// Lets time pass: each look is at (moment, what is of concern); what is posted comes
/// back, one line a post.
struct Teller {
    told: Told,
    policy: Policy,
    /// The chat does not take what is posted.
    away: bool,
    posts: Vec<String>,
}

impl Teller {
    fn new() -> Self {
        Self {
            told: Told::default(),
            policy: policy(),
            away: false,
            posts: Vec::new(),
        }
    }

    fn look(&mut self, now: &str, keys: &[&str]) -> &mut Self {
        let concerns: Vec<Concern> = keys
            .iter()
            .map(|key| Concern {
                key: (*key).to_owned(),
                audience: if key.starts_with("tenant") {
                    Audience::Tenant("poseidon1".to_owned())
                } else {
                    Audience::Reviewers
                },
                text: format!("{key} is so"),
                over: (!key.contains("once")).then(|| format!("{key} is over")),
            })
            .collect();
        let before = self.told.clone();
        self.told = next(&before, &concerns, &self.policy, ToOwned::to_owned, at(now));
        // What is kept can be read again.
        let kept = serde_json::to_string(&self.told).unwrap();
        assert_eq!(serde_json::from_str::<Told>(&kept).unwrap(), self.told);
        if !self.away {
            for post in std::mem::take(&mut self.told.outbox) {
                self.posts.push(format!(
                    "{now} #{}: {}",
                    post.channel,
                    post.text.replace('\n', " / ")
                ));
            }
        }
        // The same look again says nothing, unless something had to wait before.
        if !self.away && before.outbox.is_empty() {
            let again = next(
                &self.told,
                &concerns,
                &self.policy,
                ToOwned::to_owned,
                at(now),
            );
            assert_eq!(again, self.told);
        }
        self
    }

    fn posts(&mut self) -> String {
        std::mem::take(&mut self.posts).join("\n")
    }
}

#[test]
fn once_each_folded_and_recovered() {
    let mut teller = Teller::new();
    let many: Vec<String> = (0..13).map(|n| format!("many-{n:02}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    teller
        .look("2026-11-24T10:00:00Z", &[])
        .look("2026-11-24T10:01:00Z", &["tenant-a"])
        .look("2026-11-24T10:02:00Z", &["tenant-a", "b", "once"])
        .look("2026-11-24T10:03:00Z", &["b", "once"])
        .look("2026-11-24T10:04:00Z", &["tenant-a", "b"])
        .look("2026-11-24T10:05:00Z", &many)
        .look("2026-11-24T10:06:00Z", &[]);
    insta::assert_snapshot!(teller.posts(), @"
    2026-11-24T10:01:00Z #poseidon: **Attention**: tenant-a is so
    2026-11-24T10:02:00Z #platform: **Attention** (2): / - b is so / - once is so
    2026-11-24T10:03:00Z #poseidon: **Over**: tenant-a is over
    2026-11-24T10:04:00Z #poseidon: **Attention**: tenant-a is so
    2026-11-24T10:05:00Z #platform: **Attention** (13): / - many-00 is so / - many-01 is so / - many-02 is so / - many-03 is so / - many-04 is so / - many-05 is so / - many-06 is so / - many-07 is so / - many-08 is so / - many-09 is so / - and 3 more / **Over** (1): / - b is over
    2026-11-24T10:05:00Z #poseidon: **Over**: tenant-a is over
    2026-11-24T10:06:00Z #platform: **Over** (13): / - many-00 is over / - many-01 is over / - many-02 is over / - many-03 is over / - many-04 is over / - many-05 is over / - many-06 is over / - many-07 is over / - many-08 is over / - many-09 is over / - and 3 more
    ");
}

#[test]
fn quiet_hours_hold_back_what_is_still_so_at_their_end() {
    let mut teller = Teller::new();
    teller.policy.quiet = Some(QuietHours {
        from: time(22, 0, 0, 0),
        to: time(6, 0, 0, 0),
    });
    teller
        .look("2026-11-24T21:59:00Z", &["a"])
        .look("2026-11-24T22:00:00Z", &["a", "b", "c"])
        // Over before anybody was told: nothing is said of it.
        .look("2026-11-25T03:00:00Z", &["b"])
        .look("2026-11-25T05:59:59Z", &["b", "d"])
        .look("2026-11-25T06:00:00Z", &["b", "d"]);
    insta::assert_snapshot!(teller.posts(), @"
    2026-11-24T21:59:00Z #platform: **Attention**: a is so
    2026-11-25T06:00:00Z #platform: **Attention** (2): / - b is so / - d is so / **Over** (1): / - a is over
    ");
}

#[test]
fn a_chat_that_is_away_is_told_everything_at_once_later() {
    let mut teller = Teller::new();
    teller.away = true;
    teller
        .look("2026-11-24T10:00:00Z", &["a"])
        .look("2026-11-24T10:01:00Z", &["a", "b"])
        .look("2026-11-24T10:02:00Z", &["b", "c", "tenant-x"]);
    // One message a channel waits, whatever happens meanwhile.
    assert_eq!(teller.told.outbox.len(), 2);
    teller.away = false;
    teller
        .look("2026-11-24T10:03:00Z", &["b", "c", "tenant-x"])
        .look("2026-11-24T10:04:00Z", &["b", "c", "tenant-x"]);
    insta::assert_snapshot!(teller.posts(), @"
    2026-11-24T10:03:00Z #platform: **Attention**: a is so
    2026-11-24T10:03:00Z #poseidon: **Attention**: tenant-x is so
    2026-11-24T10:04:00Z #platform: **Attention** (2): / - b is so / - c is so / **Over** (1): / - a is over
    ");
}
