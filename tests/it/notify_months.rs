//! What people are told while months go by: each thing once, over when it is over, together when there is much,
//! nothing in quiet hours, and nothing twice after a restart.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use harbour::gate::Fate;
use harbour::velero::{self, Ending};
use harbour::world::Shape;
use harbour::{REFLOAT_KUBERNETES_TOKEN, Setup};
use jiff::Timestamp;
use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use kube::ResourceExt;
use kube::api::{DeleteParams, ListParams, PostParams};
use kube::core::DynamicObject;
use refloat::clock::Clock;
use refloat::effects::notes;

use crate::refloat::{FAST, Refloat, external, until};
use crate::world::World;

/// A world in which a test says what time it is, first to Velero and then to Refloat.
struct Months {
    world: World,
    refloat: Refloat,
    config: String,
    /// Refloat's clock; Velero's own is ahead of it only while backups are made.
    clock: velero::Clock,
    /// How often Refloat has begun to look.
    looks: Arc<AtomicUsize>,
    first: Date,
    /// What was told before the restarts.
    told: Vec<String>,
}

impl Months {
    /// Begins at noon of a Monday, with backups of a fortnight.
    async fn begin() -> anyhow::Result<Self> {
        let world = World::start(Setup {
            shape: Shape::small(),
            days_of_backups: 0,
            velero_pace: Duration::from_millis(1),
            ..Setup::default()
        })
        .await?;
        let config = world.harbour.refloat_config(&format!(
            "{FAST}{}\n",
            world.here(
                "notifications: { reviewers: platform, tenants: [{ tenant: poseidon1, channel: poseidon }], \
                 every: 20ms, expiresSoon: 72h, quietHours: { from: \"22:00\", to: \"06:00\" } }"
            )
        ))?;
        let looks: Arc<AtomicUsize> = Arc::default();
        let counted = Arc::clone(&looks);
        world.harbour.gate.add(move |call| {
            let own = call.token.as_deref() == Some(REFLOAT_KUBERNETES_TOKEN);
            if own && !call.writes() && call.path().ends_with(notes::NAME) {
                counted.fetch_add(1, Ordering::SeqCst);
            }
            Fate::Pass
        });
        let now = world.harbour.velero.clock().now();
        let today = now.to_zoned(TimeZone::UTC).date();
        let first = today
            .checked_add(jiff::Span::new().days(14))?
            .nth_weekday(1, Weekday::Monday)?;
        let clock = velero::Clock::default();
        world.harbour.velero.advance(at(first, 0, 12)?).await?;
        clock.set(at(first, 0, 12)?);
        let refloat = start(&config, &clock)?;
        let mut months = Self {
            world,
            refloat,
            config,
            clock,
            looks,
            first,
            told: Vec::new(),
        };
        months.come_to(0, 12).await?;
        Ok(months)
    }

    /// Lets time pass: Velero makes what is due, Refloat hears of it, and then looks at what time it is.
    async fn come_to(&mut self, day: i32, hour: i8) -> anyhow::Result<()> {
        let to = at(self.first, day, hour)?;
        let velero = &self.world.harbour.velero;
        if velero.clock().now() < to {
            velero.advance(to).await?;
        }
        let newest = newest(&self.world).await?;
        loop {
            let from = self.refloat.shown().len();
            let line = self.world.here("backups list tenant:poseidon1");
            self.refloat.say(&line).await?;
            let to = self.refloat.until_after(from, "newest first").await?;
            self.refloat.until_after(to, "More: `page:").await?;
            if self.refloat.shown()[from..].contains(&newest) {
                break;
            }
        }
        self.clock.set(to);
        self.looked().await
    }

    /// Waits until Refloat has looked at everything, and said what there was to say.
    async fn looked(&self) -> anyhow::Result<()> {
        // The one that is under way may have begun before.
        let wanted = self.looks.load(Ordering::SeqCst) + 3;
        until(|| async { Ok(self.looks.load(Ordering::SeqCst) >= wanted) }).await
    }

    /// Kills Refloat, and starts it again, but not between saying a thing and writing down
    /// that it was said: the console does not know afterwards what it showed before.
    async fn restart(&mut self) -> anyhow::Result<()> {
        self.looked().await?;
        self.told = self.all();
        self.refloat.kill();
        self.refloat = start(&self.config, &self.clock)?;
        self.looked().await
    }

    /// Everything that was told in a channel, with days and names as they are in every run, whether it was told
    /// alone or together with more.
    fn all(&self) -> Vec<String> {
        let shown = self.refloat.shown();
        let mut all = self.told.clone();
        let mut title = String::new();
        for line in shown.lines().filter(|line| line.starts_with("[#")) {
            let line = self.relative(line);
            let Some((channel, text)) = line.split_once(' ') else {
                continue;
            };
            if let Some((heading, _)) = text.split_once(" (").filter(|_| text.ends_with("):")) {
                title = format!("{channel} {heading}");
            } else if let Some(one) = text.strip_prefix("- ") {
                all.push(format!("{title}: {one}"));
            } else {
                all.push(line);
            }
        }
        all
    }

    /// Dates as days since the first, in text and in the names of backups.
    fn relative(&self, line: &str) -> String {
        let mut line = self.world.plain(line);
        for day in -20..=90 {
            let Ok(date) = self.first.checked_add(jiff::Span::new().days(day)) else {
                continue;
            };
            line = line
                .replace(&date.to_string(), &format!("day {day}"))
                .replace(&date.strftime("%Y%m%d").to_string(), &format!("day{day}-"));
        }
        line
    }

    fn times(&self, what: &str) -> usize {
        self.all().iter().filter(|line| line.contains(what)).count()
    }
}

fn start(config: &str, clock: &velero::Clock) -> anyhow::Result<Refloat> {
    let clock = clock.clone();
    Refloat::start_by(config, Clock::from(move || clock.now()))
}

fn at(first: Date, day: i32, hour: i8) -> anyhow::Result<Timestamp> {
    let day = first.checked_add(jiff::Span::new().days(day))?;
    Ok(day.at(hour, 0, 0, 0).to_zoned(TimeZone::UTC)?.timestamp())
}

/// The name of the newest backup.
async fn newest(world: &World) -> anyhow::Result<String> {
    let backups = world
        .velero("Backup", "backups")
        .list(&ListParams::default())
        .await?;
    let started = |backup: &DynamicObject| {
        let at = backup.data.pointer("/status/startTimestamp");
        at.and_then(|at| at.as_str()).map(ToOwned::to_owned)
    };
    backups
        .iter()
        .max_by_key(|backup| started(backup))
        .map(ResourceExt::name_any)
        .context("there is no backup")
}

#[tokio::test(flavor = "multi_thread")]
async fn each_thing_is_told_once_over_months() -> anyhow::Result<()> {
    if external().is_some() {
        println!("skipped: the harbour's own Velero is needed");
        return Ok(());
    }
    let mut months = Months::begin().await?;
    let faults = months.world.harbour.velero.faults().clone();

    // All is well.
    for day in 1..=14 {
        months.come_to(day, 12).await?;
    }
    assert_eq!(months.all(), Vec::<String>::new());

    // Two days on which a part is missing, and then it is well again.
    let words = vec!["pod files: no space left on device".to_owned()];
    let namespace = months.world.here("poseidon1-dev");
    faults.end_every_backup(Some(Ending::PartiallyFailed(BTreeMap::from([(
        namespace.clone(),
        words,
    )]))));
    months.come_to(15, 12).await?;
    months.come_to(16, 14).await?;
    faults.end_every_backup(None);
    months.come_to(17, 12).await?;

    // In the quiet hours nothing is said, not by one that begins anew either; afterwards it is.
    faults.end_every_backup(Some(Ending::Failed("the bucket is full".to_owned())));
    months.come_to(18, 2).await?;
    let before = months.all().len();
    months.restart().await?;
    assert_eq!(months.all().len(), before, "{:#?}", months.all());
    months.come_to(18, 7).await?;
    faults.end_every_backup(None);
    months.come_to(19, 12).await?;

    // Storage that is away for an hour, and a schedule that Velero refuses.
    faults.set_location_down(Some("connection refused"));
    until(|| async { Ok(months.times("cannot reach the storage location") == 1) }).await?;
    months.restart().await?;
    faults.set_location_down(None);
    until(|| async { Ok(months.times("is available again") == 1) }).await?;
    let odd: DynamicObject = serde_json::from_value(serde_json::json!({
        "apiVersion": "velero.io/v1",
        "kind": "Schedule",
        "metadata": {
            "name": months.world.here("poseidon1-odd"),
            "namespace": months.world.harbour.namespaces.velero,
        },
        "spec": { "schedule": "0 1 * * 7", "template": { "includedNamespaces": [namespace] } },
    }))?;
    let schedules = months.world.velero("Schedule", "schedules");
    schedules.create(&PostParams::default(), &odd).await?;
    until(|| async { Ok(months.times("Velero refuses the schedule") == 1) }).await?;
    months.restart().await?;
    schedules
        .delete(&odd.name_any(), &DeleteParams::default())
        .await?;
    until(|| async { Ok(months.times("is not refused by Velero any more") == 1) }).await?;

    // Five weeks on which every backup fails, and a restart in each.
    faults.end_every_backup(Some(Ending::Failed("the bucket is full".to_owned())));
    for day in 20..=55 {
        months.come_to(day, 12).await?;
        if day % 7 == 3 {
            months.restart().await?;
        }
    }
    faults.end_every_backup(None);
    for day in 56..=63 {
        months.come_to(day, 12).await?;
    }
    months.restart().await?;

    let (failed, rest): (Vec<String>, Vec<String>) = months
        .all()
        .into_iter()
        .partition(|line| line.contains("the bucket is full"));
    insta::assert_snapshot!(rest.join("\n"), @"
    [#poseidon] Attention: The backup poseidon1-daily-day15-010000 of day 15 01:00 UTC failed in part: something is missing in it (poseidon1-dev: pod files: no space left on device).
    [#poseidon] Attention: The backup poseidon1-daily-day16-010000 of day 16 01:00 UTC failed in part: something is missing in it (poseidon1-dev: pod files: no space left on device).
    [#poseidon] Attention: The schedule poseidon1-daily (0 1 * * *) has no good backup since day 14 01:00 UTC.
    [#poseidon] Over: The schedule poseidon1-daily is not behind any more.
    [#platform] Attention: Velero cannot reach the storage location default (connection refused): no backup can be taken there or restored from there.
    [#platform] Over: The storage location default is available again.
    [#poseidon] Attention: Velero refuses the schedule poseidon1-odd (invalid schedule: end of range (7) above maximum (6): 7): it takes no backups.
    [#poseidon] Over: The schedule poseidon1-odd is not refused by Velero any more.
    [#poseidon] Attention: The schedule poseidon1-daily (0 1 * * *) has no good backup since day 19 01:00 UTC.
    [#poseidon] Attention: The schedule poseidon1-weekly (0 2 * * 0) has no good backup since day 13 02:00 UTC.
    [#poseidon] Attention: The last good backup of the tenant poseidon1, poseidon1-weekly-day13-020000, expires at day 43 02:00 UTC, and there is no newer one.
    [#poseidon] Over: poseidon1-weekly-day13-020000 is not the last good backup of the tenant poseidon1 any more, or has expired.
    [#poseidon] Over: The schedule poseidon1-daily is not behind any more.
    [#poseidon] Over: The schedule poseidon1-weekly is not behind any more.
    ");
    // On 37 days the daily one failed, and on six Sundays the weekly one.
    for day in std::iter::once(18).chain(20..=55) {
        let name = format!("poseidon1-daily-day{day}-");
        assert_eq!(
            failed.iter().filter(|line| line.contains(&name)).count(),
            1,
            "{name}: {failed:#?}"
        );
    }
    assert_eq!(failed.len(), 37 + 6, "{failed:#?}");
    months.refloat.kill();
    months.world.end().await
}
