//! The checks: each refusal in its own words, and which backup is meant.

use jiff::tz::TimeZone;

use super::build::*;
use crate::request::preflight::*;
use crate::request::*;

fn run_at(
    now: i64,
    zone: &str,
    spec: &RestoreRequestSpec,
    survey: &Survey,
) -> Result<Checked, String> {
    let zone = TimeZone::get(zone).unwrap();
    let terms = Terms {
        uid: UID,
        created: at(now),
        own_namespace: "refloat",
        time_zone: &zone,
        backup_must_outlive: mins(24 * 60),
    };
    let mut survey = survey.clone();
    // Whatever backup is meant, its lists were read.
    let uid = wanted(spec, &survey, &terms, at(now)).map(|backup| backup.uid.clone());
    if let (Some(uid), Some(holdings)) = (uid, &mut survey.holdings)
        && !holdings.backup.is_empty()
    {
        holdings.backup = uid;
    }
    check(spec, &survey, &terms, at(now))
}

fn run(spec: &RestoreRequestSpec, survey: &Survey) -> Result<Checked, String> {
    run_at(0, "Europe/Oslo", spec, survey)
}

/// Why the request is refused in a world that was changed so.
fn refusal(change: impl FnOnce(&mut RestoreRequestSpec, &mut Survey)) -> String {
    let (mut spec, mut survey) = (spec(), survey());
    change(&mut spec, &mut survey);
    run(&spec, &survey).expect_err("it passed")
}

fn source(backup: Option<&str>, schedule: Option<&str>, day: Option<&str>) -> Source {
    Source {
        backup: backup.map(str::to_owned),
        schedule: schedule.map(str::to_owned),
        day: day.map(str::to_owned),
    }
}

#[test]
fn what_passes_is_told() {
    let checked = run(&spec(), &survey()).unwrap();
    assert_eq!(checked.backup, super::build::checked().backup);
    assert_eq!(checked.inventory, super::build::checked().inventory);
    let told: Vec<String> = checked
        .checks
        .iter()
        .map(|result| format!("{}: {}", result.check, result.message))
        .collect();
    insta::assert_snapshot!(told.join("\n"), @"
    tenant: poseidon1 is ordered in application-definitions/wave-1/poseidon1-tenant.yaml
    namespaces: poseidon1-dev belongs to the tenant
    no other restore: no other restore holds these namespaces
    backup: poseidon1-daily-20261123010000 of 2026-11-23 02:00 CET, kept until 2026-12-01 11:00 CET
    storage location: default is Available
    discovery: every kind of object could be listed
    backup contents: the backup holds 5 objects of poseidon1-dev
    volumes: the backup holds the data of 1 claim
    uid range: the same as in the backup
    Velero's queue: Velero is up, and nothing is queued before this restore
    node agent: ready on 3 nodes; it brings back 1 volume
    quota: there is none
    applications: the order reaches 1 Application
    inventory: 5 objects would be deleted, 0 would be kept
    ");
    let mut survey = survey();
    survey
        .applications
        .push(crate::request::applications::Application {
            generated: false,
            self_heal: true,
            ..application("own")
        });
    let checked = run(&spec(), &survey).unwrap();
    insta::assert_snapshot!(
        checked
            .checks
            .iter()
            .find(|result| result.check == Check::Applications)
            .unwrap()
            .in_words(),
        @"applications: note: the order reaches 1 Application; openshift-gitops/own still heals, and the order does not reach it: turn selfHeal off in the manifest of the Application openshift-gitops/own (it deploys https://git.example.com/poseidon/deployments.git dev/web)"
    );
}

#[test]
fn tenants() {
    insta::assert_snapshot!(
        refusal(|spec, _| "triton2".clone_into(&mut spec.tenant)),
        @"You may not restore the tenant triton2. You may restore poseidon1."
    );
    insta::assert_snapshot!(
        refusal(|spec, _| "atlantis".clone_into(&mut spec.tenant)),
        @"There is no tenant atlantis. You may restore poseidon1."
    );
    insta::assert_snapshot!(
        refusal(|_, survey| survey.permitted.clear()),
        @"You may not restore the tenant poseidon1. There is no tenant that you may restore; ask the platform's reviewers for the right."
    );
    insta::assert_snapshot!(
        refusal(|_, survey| survey.order_fault = Some("line 3 is no YAML".to_owned())),
        @"The order of poseidon1 cannot be read: line 3 is no YAML. Have it put right, then ask again."
    );
    insta::assert_snapshot!(
        refusal(|_, survey| survey.order = None),
        @"There is no order for the tenant poseidon1. You may restore poseidon1."
    );
}

#[test]
fn namespaces() {
    let of = |names: &[&str]| {
        refusal(|spec, survey| {
            spec.namespaces = names.iter().map(|&name| name.to_owned()).collect();
            // Even if an order names it (S6).
            survey.order.as_mut().unwrap().namespaces.extend(
                [
                    "openshift-adp",
                    "kube-system",
                    "default",
                    "refloat",
                    "openshift",
                ]
                .map(str::to_owned),
            );
        })
    };
    insta::assert_snapshot!(of(&["openshift-adp"]), @"openshift-adp belongs to the platform and is never cleared.");
    for name in ["kube-system", "default", "refloat", "openshift"] {
        assert_eq!(
            of(&[NAMESPACE, name]),
            format!("{name} belongs to the platform and is never cleared.")
        );
    }
    insta::assert_snapshot!(
        refusal(|spec, _| spec.namespaces = vec!["triton2-dev".to_owned()]),
        @"The tenant poseidon1 has no namespace triton2-dev: its order names poseidon1-dev and poseidon1-test."
    );
    insta::assert_snapshot!(
        refusal(|spec, _| spec.namespaces.clear()),
        @"The request names no namespace: the order of poseidon1 names poseidon1-dev and poseidon1-test."
    );
    insta::assert_snapshot!(
        refusal(|_, survey| survey.namespaces.clear()),
        @"The namespace poseidon1-dev is ordered but is not in the cluster. Wait until Argo CD has made it, then ask again."
    );
    insta::assert_snapshot!(
        refusal(|_, survey| survey.namespaces[0].terminating = true),
        @"The namespace poseidon1-dev is being deleted; it cannot be restored into."
    );
}

fn needs(change: impl FnOnce(&mut RestoreRequestSpec, &mut Survey)) -> Vec<String> {
    let (mut spec, mut survey) = (spec(), survey());
    change(&mut spec, &mut survey);
    let checked = run(&spec, &survey).unwrap_or_else(|why| panic!("{why}"));
    checked
        .needing_consent()
        .map(CheckResult::in_words)
        .collect()
}

#[test]
fn what_needs_a_reviewers_consent() {
    assert_eq!(needs(|_, _| {}), Vec::<String>::new());
    let partly = |spec: &mut RestoreRequestSpec, survey: &mut Survey| {
        spec.source = source(Some(BACKUP), None, None);
        "PartiallyFailed".clone_into(&mut survey.backups[1].phase);
    };
    insta::assert_snapshot!(needs(partly).join("\n"), @"backup: needs consent: poseidon1-daily-20261123010000 of 2026-11-23 02:00 CET, kept until 2026-12-01 11:00 CET; it is PartiallyFailed: parts of it are missing");
    insta::assert_snapshot!(needs(|_, survey| {
        if let Some(holdings) = &mut survey.holdings {
            holdings.volumes[0].held = false;
            holdings.volumes[0].reason = Some("no snapshotter".to_owned());
        }
    }).join("\n"), @"volumes: needs consent: the backup does not hold the data of poseidon1-dev/data (no snapshotter): it would be lost, but for the safety backup");
    insta::assert_snapshot!(needs(|_, survey| {
        survey.namespaces[0].uid_range = Some("1000610000/10000".to_owned());
    }).join("\n"), @"uid range: needs consent: poseidon1-dev runs as 1000610000/10000 now and ran as 1000600000/10000 in the backup: restored files would belong to other users");
    insta::assert_snapshot!(needs(|_, survey| {
        survey.objects.push(object("example.com", "Bucket", "files"));
    }).join("\n"), @"custom kinds: needs consent: example.com/Bucket may stand for something outside the cluster, which deleting it may destroy");
}

#[test]
fn what_the_backup_and_velero_say() {
    insta::assert_snapshot!(refusal(|_, survey| survey.holdings = None), @"What the backup poseidon1-daily-20261123010000 holds cannot be read. Velero hands it out on request: have the platform team look whether Velero is up, then ask again.");
    insta::assert_snapshot!(
        refusal(|_, survey| {
            survey.holdings = None;
            survey.holdings_fault = Some("Velero did not hand out its contents in time".to_owned());
        }),
        @"What the backup poseidon1-daily-20261123010000 holds cannot be read (Velero did not hand out its contents in time). Velero hands it out on request: have the platform team look whether Velero is up, then ask again."
    );
    insta::assert_snapshot!(
        refusal(|_, survey| survey.holdings.as_mut().unwrap().objects.clear()),
        @"The backup poseidon1-daily-20261123010000 holds nothing of poseidon1-dev, whatever its phase says: a restore would bring nothing back. Ask for another backup."
    );
    insta::assert_snapshot!(refusal(|_, survey| survey.node_agent = None), @"The data of 1 volume is brought back by Velero's node agent, and there is none in the cluster. Have the platform team set it up, then ask again.");
    insta::assert_snapshot!(
        refusal(|_, survey| {
            survey.quotas.push(Quota {
                namespace: NAMESPACE.to_owned(),
                name: "tight".to_owned(),
                hard: [("requests.cpu".to_owned(), "500m".to_owned())].into(),
            });
            survey.holdings.as_mut().unwrap().needs.insert(
                NAMESPACE.to_owned(),
                [("requests.cpu".to_owned(), Quantity(1250))].into(),
            );
        }),
        @"The quota tight of poseidon1-dev allows 500m of requests.cpu, and what the backup holds needs 1250m: not all of it would come back. Have the quota raised in the tenant's order, then ask again."
    );
    let mut queued = survey();
    queued.restores_ahead = vec!["triton2-x".to_owned()];
    let checked = run(&spec(), &queued).unwrap();
    let told = checked
        .checks
        .iter()
        .find(|result| result.check == Check::Queue)
        .unwrap();
    insta::assert_snapshot!(told.in_words(), @"Velero's queue: note: Velero is up and restores one at a time; 1 is before this one (triton2-x)");
}

#[test]
fn what_comes_back_is_lost_or_returns() {
    let mut survey = survey();
    survey.objects.push(object("", "ConfigMap", "new"));
    survey.objects.push(object("", "ServiceAccount", "default"));
    let holdings = survey.holdings.as_mut().unwrap();
    for (kind, name) in [
        ("Secret", "old"),
        ("Secret", "default-dockercfg-x1"),
        ("ConfigMap", "kube-root-ca.crt"),
        ("Pod", "web-0-z"),
    ] {
        holdings
            .objects
            .entry(kind.to_owned())
            .or_default()
            .insert(format!("{NAMESPACE}/{name}"));
    }
    let checked = run(&spec(), &survey).unwrap();
    insta::assert_snapshot!(checked.comparison.unwrap().rows.join("\n"), @"
    lost for good          ConfigMap poseidon1-dev/new
    returns from the past  Secret poseidon1-dev/old
    comes back             ConfigMap poseidon1-dev/settings
    comes back             PersistentVolumeClaim poseidon1-dev/data
    comes back             apps/Deployment poseidon1-dev/web
    stays: every namespace has it ServiceAccount poseidon1-dev/default
    ");
}

fn other(seconds: i64, phase: Phase, namespace: &str) -> Other {
    Other {
        name: "poseidon1-7k2pq".to_owned(),
        uid: "0".to_owned(),
        created: at(seconds),
        phase,
        namespaces: vec![namespace.to_owned()],
        requester: "ida".to_owned(),
    }
}

#[test]
fn held() {
    insta::assert_snapshot!(
        refusal(|_, survey| survey.others.push(other(5, Phase::Clearing, NAMESPACE))),
        @"poseidon1-dev is held by the restore poseidon1-7k2pq, asked for by ida, which is clearing the namespaces. Wait until it has ended, or have it withdrawn."
    );
    insta::assert_snapshot!(
        refusal(|_, survey| survey.others.push(other(5, Phase::Settling, "poseidon1-test"))),
        @"poseidon1-test, of the same tenant, is held by the restore poseidon1-7k2pq, asked for by ida, which is waiting for Argo CD to be quiet. Wait until it has ended, or have it withdrawn."
    );
    let passes = |other| {
        let mut survey = survey();
        survey.others.push(other);
        run(&spec(), &survey).is_ok()
    };
    let rows = [
        (
            "older, being checked",
            other(-1, Phase::Checking, NAMESPACE),
            false,
        ),
        (
            "younger, being checked",
            other(1, Phase::Checking, NAMESPACE),
            true,
        ),
        (
            "of the same moment and a smaller uid",
            other(0, Phase::Checking, NAMESPACE),
            false,
        ),
        (
            "younger, but past its checks",
            other(1, Phase::AwaitingApproval, NAMESPACE),
            false,
        ),
        ("stuck", other(-1, Phase::Stuck, NAMESPACE), false),
        ("over", other(-1, Phase::Done, NAMESPACE), true),
        (
            "another tenant's",
            other(-1, Phase::Clearing, "triton2-dev"),
            true,
        ),
    ];
    for (name, other, expected) in rows {
        assert_eq!(passes(other), expected, "{name}");
    }
}

#[test]
fn backups_that_cannot_be_restored() {
    let named = |change: fn(&mut Backup)| {
        refusal(|spec, survey| {
            spec.source = source(Some(BACKUP), None, None);
            change(&mut survey.backups[1]);
        })
    };
    insta::assert_snapshot!(
        named(|backup| "InProgress".clone_into(&mut backup.phase)),
        @"The backup poseidon1-daily-20261123010000 cannot be restored: it has not been completed yet. The latest usable one is poseidon1-daily-20261122010000 of 2026-11-22 02:00 CET."
    );
    insta::assert_snapshot!(
        named(|backup| "Failed".clone_into(&mut backup.phase)),
        @"The backup poseidon1-daily-20261123010000 cannot be restored: its phase is Failed. The latest usable one is poseidon1-daily-20261122010000 of 2026-11-22 02:00 CET."
    );
    insta::assert_snapshot!(
        named(|backup| backup.deleting = true),
        @"The backup poseidon1-daily-20261123010000 cannot be restored: it is being deleted. The latest usable one is poseidon1-daily-20261122010000 of 2026-11-22 02:00 CET."
    );
    insta::assert_snapshot!(
        named(|backup| backup.started_at = None),
        @"The backup poseidon1-daily-20261123010000 cannot be restored: it has no start time. The latest usable one is poseidon1-daily-20261122010000 of 2026-11-22 02:00 CET."
    );
    insta::assert_snapshot!(
        named(|backup| backup.expires_at = Some(at(24 * 3600 - 1))),
        @"The backup poseidon1-daily-20261123010000 cannot be restored: it expires at 2026-11-25 10:59 CET, which is too soon. The latest usable one is poseidon1-daily-20261122010000 of 2026-11-22 02:00 CET."
    );
    insta::assert_snapshot!(
        named(|backup| "elsewhere".clone_into(&mut backup.location)),
        @"The backup poseidon1-daily-20261123010000 cannot be restored: its storage location elsewhere does not exist. The latest usable one is poseidon1-daily-20261122010000 of 2026-11-22 02:00 CET."
    );
    insta::assert_snapshot!(
        named(|backup| backup.included = vec!["poseidon1-test".to_owned()]),
        @"The backup poseidon1-daily-20261123010000 does not hold poseidon1-dev. The latest usable one is poseidon1-daily-20261122010000 of 2026-11-22 02:00 CET."
    );
    insta::assert_snapshot!(
        named(|backup| backup.excluded = vec![NAMESPACE.to_owned()]),
        @"The backup poseidon1-daily-20261123010000 does not hold poseidon1-dev. The latest usable one is poseidon1-daily-20261122010000 of 2026-11-22 02:00 CET."
    );
    // Of another tenant's as well: that is the platform's, and is not meant by a day either.
    insta::assert_snapshot!(
        named(|backup| {
            backup.schedule = None;
            backup.included.push("triton2-dev".to_owned());
        }),
        @"The backup poseidon1-daily-20261123010000 is the platform's own: it holds triton2-dev besides, and only the platform team restores from it. The latest usable one is poseidon1-daily-20261122010000 of 2026-11-22 02:00 CET."
    );
    insta::assert_snapshot!(
        refusal(|spec, _| spec.source = source(Some("x"), None, None)),
        @"There is no backup x. The latest usable one is poseidon1-daily-20261123010000 of 2026-11-23 02:00 CET."
    );
    insta::assert_snapshot!(
        refusal(|spec, _| spec.source = source(Some(BACKUP), Some("weekly"), None)),
        @"The backup poseidon1-daily-20261123010000 was not made by the schedule weekly. The latest usable one is poseidon1-daily-20261123010000 of 2026-11-23 02:00 CET."
    );
    insta::assert_snapshot!(
        refusal(|_, survey| "Unavailable".clone_into(&mut survey.locations[0].phase)),
        @"There is no usable backup of poseidon1-dev: poseidon1-daily-20261123010000 cannot be restored, its storage location default is Unavailable. There is no usable backup of poseidon1-dev."
    );
    insta::assert_snapshot!(
        refusal(|_, survey| survey.locations[0].phase.clear()),
        @"There is no usable backup of poseidon1-dev: poseidon1-daily-20261123010000 cannot be restored, its storage location default is not checked yet. There is no usable backup of poseidon1-dev."
    );
    let mut just = survey();
    just.backups[1].expires_at = Some(at(24 * 3600));
    assert!(run(&spec(), &just).is_ok());
}

#[test]
fn schedules_and_days_that_name_nothing() {
    insta::assert_snapshot!(
        refusal(|spec, _| spec.source = source(None, Some("hourly"), None)),
        @"The tenant poseidon1 has no schedule hourly: its order names daily and weekly."
    );
    insta::assert_snapshot!(
        refusal(|spec, survey| {
            spec.source = source(None, Some("hourly"), None);
            survey.order.as_mut().unwrap().schedules.clear();
        }),
        @"The tenant poseidon1 has no backup schedule in its order, and so none called hourly. The latest usable one is poseidon1-daily-20261123010000 of 2026-11-23 02:00 CET."
    );
    insta::assert_snapshot!(
        refusal(|spec, _| spec.source = source(None, Some("weekly"), None)),
        @"There is no backup of the schedule weekly. The latest usable one is poseidon1-daily-20261123010000 of 2026-11-23 02:00 CET."
    );
    insta::assert_snapshot!(
        refusal(|spec, _| spec.source = source(None, Some("daily"), Some("2026-11-20"))),
        @"There is no backup of the schedule daily for 2026-11-20. The nearest usable one is poseidon1-daily-20261122010000 of 2026-11-22 02:00 CET."
    );
    insta::assert_snapshot!(
        refusal(|spec, _| spec.source = source(None, None, Some("today"))),
        @"There is no backup for today. The nearest usable one is poseidon1-daily-20261123010000 of 2026-11-23 02:00 CET."
    );
    let nonsense = refusal(|spec, _| spec.source = source(None, None, Some("the day after")));
    assert!(
        nonsense.starts_with("The day \"the day after\" is not understood: "),
        "{nonsense}"
    );
    insta::assert_snapshot!(
        refusal(|_, survey| survey.backups.clear()),
        @"There is no backup of poseidon1-dev. There is no usable backup of poseidon1-dev."
    );
    insta::assert_snapshot!(
        refusal(|_, survey| survey.undiscovered.push("metrics.example.com".to_owned())),
        @"The API server did not say which kinds it has in metrics.example.com, so that what would be deleted cannot be listed in full. Ask again when discovery works; operators see the group with `kubectl api-resources`."
    );
}

/// The backup that is meant, of those that started then (UTC).
fn meant(zone: &str, asked: &str, day: &str, starts: &[&str]) -> String {
    let mut survey = survey();
    survey.backups = starts.iter().map(|start| backup(start, start)).collect();
    let now: jiff::Timestamp = asked.parse().unwrap();
    for backup in &mut survey.backups {
        backup.expires_at = None;
    }
    let spec = RestoreRequestSpec {
        source: source(None, None, Some(day)),
        ..spec()
    };
    let seconds = now.duration_since(at(0)).as_secs();
    run_at(seconds, zone, &spec, &survey)
        .map_or_else(|_| "none".to_owned(), |checked| checked.backup.name)
}

#[test]
fn a_day_is_a_day_of_the_platforms_zone() {
    let late = "2026-11-22T23:30:00Z";
    let next = "2026-11-23T22:30:00Z";
    let noon = "2026-11-24T11:00:00Z";
    let rows = [
        // 23:30 UTC is 00:30 of the next day in Oslo.
        ("Europe/Oslo", noon, "2026-11-23", &[late, next][..], next),
        ("Europe/Oslo", noon, "2026-11-22", &[late, next][..], "none"),
        ("UTC", noon, "2026-11-22", &[late, next][..], late),
        (
            "America/New_York",
            noon,
            "2026-11-22",
            &[late, next][..],
            late,
        ),
        ("Europe/Oslo", noon, "yesterday", &[late, next][..], next),
        ("Europe/Oslo", noon, "monday", &[late, next][..], next),
        // Today begins at midnight of the zone.
        (
            "Europe/Oslo",
            "2026-11-23T23:30:00Z",
            "yesterday",
            &[late, next][..],
            next,
        ),
        (
            "UTC",
            "2026-11-23T23:30:00Z",
            "yesterday",
            &[late, next][..],
            late,
        ),
        // The night in which the clocks go back has two half past two, and 25 hours.
        (
            "Europe/Oslo",
            "2026-10-26T11:00:00Z",
            "2026-10-25",
            &[
                "2026-10-24T22:00:00Z",
                "2026-10-25T22:59:00Z",
                "2026-10-25T23:00:00Z",
            ][..],
            "2026-10-25T22:59:00Z",
        ),
        (
            "Europe/Oslo",
            "2026-10-26T11:00:00Z",
            "2026-10-25 02:30",
            &["2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"][..],
            "2026-10-25T01:30:00Z",
        ),
        // The night in which they go forward has none, and 23 hours.
        (
            "Europe/Oslo",
            "2026-03-30T11:00:00Z",
            "yesterday",
            &[
                "2026-03-28T23:00:00Z",
                "2026-03-29T21:59:00Z",
                "2026-03-29T22:00:00Z",
            ][..],
            "2026-03-29T21:59:00Z",
        ),
    ];
    for (zone, now, day, starts, expected) in rows {
        assert_eq!(
            meant(zone, now, day, starts),
            expected,
            "{day} in {zone} at {now}"
        );
    }
}

#[test]
fn yesterday_is_meant_when_it_is_said() {
    let spec = RestoreRequestSpec {
        source: source(None, None, Some("yesterday")),
        ..spec()
    };
    let zone = TimeZone::get("Europe/Oslo").unwrap();
    let terms = Terms {
        uid: UID,
        created: at(0),
        own_namespace: "refloat",
        time_zone: &zone,
        backup_must_outlive: mins(24 * 60),
    };
    // Checked after midnight.
    let checked = check(&spec, &survey(), &terms, at(14 * 3600)).unwrap();
    assert_eq!(checked.backup.name, BACKUP);
}

#[test]
fn of_many_the_latest_good_one() {
    let mut survey = survey();
    "Failed".clone_into(&mut survey.backups[1].phase);
    let checked = run(&spec(), &survey).unwrap();
    assert_eq!(checked.backup.name, "poseidon1-daily-20261122010000");
}

#[test]
fn a_safety_backup_is_taken_only_by_name() {
    let name = names::safety_backup("another request", 0);
    let mut survey = survey();
    survey.backups.push(Backup {
        schedule: None,
        ..backup(&name, "2026-11-24T09:00:00Z")
    });
    let with = |backup, day| RestoreRequestSpec {
        source: source(backup, None, day),
        ..spec()
    };
    let meant = |spec: &RestoreRequestSpec| run(spec, &survey).map(|checked| checked.backup.name);
    assert_eq!(meant(&with(None, None)).as_deref(), Ok(BACKUP));
    assert!(meant(&with(None, Some("today"))).is_err());
    assert_eq!(meant(&with(Some(&name), None)), Ok(name.clone()));
}

#[test]
fn long_label_values_are_cut_as_velero_cuts_them() {
    let fits = "a".repeat(63);
    assert_eq!(label_value(&fits), fits);
    // printf a*64 | sha256sum begins with ffe054.
    assert_eq!(
        label_value(&"a".repeat(64)),
        format!("{}ffe054", "a".repeat(57))
    );
    let cut = label_value(&"å".repeat(40));
    assert_eq!(cut.len(), 56 + 6, "not within a letter");

    let schedule = "nightly-".repeat(8);
    let long = label_value(&format!("poseidon1-{schedule}"));
    let mut survey = survey();
    survey
        .order
        .as_mut()
        .unwrap()
        .schedules
        .push(schedule.clone());
    survey.backups[0].schedule = Some(long);
    let spec = RestoreRequestSpec {
        source: source(None, Some(&schedule), None),
        ..spec()
    };
    assert_eq!(
        run(&spec, &survey).unwrap().backup.name,
        "poseidon1-daily-20261122010000"
    );
}

#[test]
fn words() {
    assert_eq!(list::<&str>(&[]), "nothing");
    assert_eq!(list(&["a"]), "a");
    assert_eq!(list(&["a", "b"]), "a and b");
    assert_eq!(list(&["a", "b", "c"]), "a, b and c");
    assert_eq!(count(1, "object"), "1 object");
    assert_eq!(count(0, "object"), "0 objects");
}
