//! The harbour as the tests of schedules use it.

use anyhow::Context as _;
use harbour::velero::BackupSeed;
use jiff::Timestamp;
use kube::ResourceExt;
use kube::api::ListParams;
use kube::core::DynamicObject;
use refloat::order::Order;
use refloat::schedule::{Phase, ScheduleRequest, phase};

use crate::refloat::{Refloat, until};
use crate::world::World;

impl World {
    async fn schedule_request_names(&self) -> anyhow::Result<Vec<String>> {
        Ok(self
            .schedule_requests()
            .list(&ListParams::default())
            .await?
            .iter()
            .map(ResourceExt::name_any)
            .collect())
    }

    /// Types a line that orders a change of schedules, and waits for the request it makes.
    pub async fn order_schedule(
        &self,
        refloat: &mut Refloat,
        line: &str,
    ) -> anyhow::Result<String> {
        let known = self.schedule_request_names().await?;
        let from = refloat.shown().len();
        refloat.say(&self.here(line)).await?;
        refloat.until_after(from, "Your request is").await?;
        self.schedule_request_names()
            .await?
            .into_iter()
            .find(|name| !known.contains(name))
            .with_context(|| format!("no request came of {line:?}: {}", refloat.shown()))
    }

    /// Waits until a change is in a phase; fails at once if it ends in another.
    pub async fn until_schedule(
        &self,
        name: &str,
        wanted: Phase,
    ) -> anyhow::Result<ScheduleRequest> {
        until(|| async {
            let request = self.schedule_requests().get(name).await?;
            let status = request.status.unwrap_or_default();
            let now = phase(&status);
            anyhow::ensure!(
                now == wanted || !(now.is_over() || now == Phase::Stuck),
                "{name} is {now:?} instead of {wanted:?}: {:?} {:?}",
                status.ending,
                status.stuck
            );
            Ok(now == wanted)
        })
        .await
        .with_context(|| format!("{name} never was {wanted:?}"))?;
        Ok(self.schedule_requests().get(name).await?)
    }

    /// Waits until a change waits for approval with its pull request open; its number.
    pub async fn until_schedule_asked(&self, name: &str) -> anyhow::Result<u64> {
        let number = std::sync::Mutex::new(0);
        until(|| async {
            let request = self.schedule_requests().get(name).await?;
            let status = request.status.unwrap_or_default();
            anyhow::ensure!(!phase(&status).is_over(), "it ended: {:?}", status.ending);
            let opened = status.pull.as_ref().and_then(|pull| pull.opened.as_ref());
            let waits = phase(&status) == Phase::AwaitingApproval;
            Ok(match opened {
                Some(opened) if waits => {
                    *number.lock().expect("no panic holds it") = opened.number;
                    true
                }
                _ => false,
            })
        })
        .await
        .with_context(|| format!("{name} never waited for approval"))?;
        let number = *number.lock().expect("no panic holds it");
        Ok(number)
    }

    /// Takes a backup of a tenant's schedule, as if its run had come.
    pub async fn run_comes(&self, schedule: &str, ending: &str) -> anyhow::Result<String> {
        // Velero's moments have whole seconds, and so have the names of its backups.
        let taken = self.velero_names("Backup", "backups").await?;
        until(|| async {
            let second = Timestamp::now().strftime("-%Y%m%d%H%M%S").to_string();
            let name = self.here(schedule) + &second;
            Ok(!taken.contains(&name))
        })
        .await?;
        self.run_now(schedule, ending).await
    }

    /// As [`World::run_comes`]; fails if there was one in this second.
    pub async fn run_now(&self, schedule: &str, ending: &str) -> anyhow::Result<String> {
        let mut seed = BackupSeed::from_schedule(&self.here(schedule), Timestamp::now());
        ending.clone_into(&mut seed.phase);
        self.harbour.velero.seed_backup(seed).await
    }

    /// A Velero Schedule, if it is there.
    pub async fn velero_schedule(&self, name: &str) -> anyhow::Result<Option<DynamicObject>> {
        Ok(self
            .velero("Schedule", "schedules")
            .get_opt(&self.here(name))
            .await?)
    }

    /// The schedules of a tenant's order: name, cron, ttl.
    pub async fn ordered_schedules(
        &self,
        tenant: &str,
    ) -> anyhow::Result<Vec<(String, String, String)>> {
        let order = Order::read(&self.order(tenant).await?)?;
        Ok(order
            .backup
            .schedules
            .into_iter()
            .map(|schedule| {
                (
                    schedule.name,
                    schedule.cron,
                    schedule.ttl.unwrap_or_default(),
                )
            })
            .collect())
    }
}
