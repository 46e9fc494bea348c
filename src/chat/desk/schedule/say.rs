//! What is answered to an order of a schedule: when it would run, how many copies
//! there would be, what to beware of.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use kube::api::{DynamicObject, ListParams};
use kube::core::discovery::ApiResource;
use kube::{Api, ResourceExt as _};

use super::super::{Desk, Failure};
use crate::chat::harmless::{code, harmless};
use crate::chat::words::put;
use crate::order::{Cron, Ttl};
use crate::request::preflight::local;
use crate::schedule::resource::{Action, Change};
use crate::schedule::{ScheduleRequestSpec, velero_name};
use crate::schedule_times::{Ask, Named, Plan, plan};

/// How many warnings are shown at most.
const WARNINGS: usize = 5;

/// A Velero Schedule as a plan needs it.
struct Seen {
    name: String,
    cron: Cron,
    ttl: Option<Ttl>,
}

impl Desk {
    /// What a change would do, held against every Schedule of the cluster. `None`
    /// for a removal, and where the present times of a schedule are not known.
    pub(super) async fn plan(
        &self,
        spec: &ScheduleRequestSpec,
        now: Timestamp,
    ) -> Result<Option<Plan>, Failure> {
        let change = &spec.change;
        if change.action == Action::Remove {
            return Ok(None);
        }
        let seen = self.schedules_of_the_cluster().await?;
        let mine = velero_name(&spec.tenant, &change.name);
        let present = seen.iter().find(|schedule| schedule.name == mine);
        let cron = match &change.schedule {
            Some(cron) => Cron::parse_written(cron).ok(),
            None => present.map(|present| present.cron.clone()),
        };
        let keep = match &change.ttl {
            Some(ttl) => Ttl::parse_written(ttl).ok(),
            None => present.and_then(|present| present.ttl),
        };
        let (Some(cron), Some(keep)) = (cron, keep) else {
            return Ok(None);
        };
        let prefix = format!("{}-", spec.tenant);
        let (others, everybody): (Vec<Seen>, Vec<Seen>) = seen
            .into_iter()
            .filter(|schedule| schedule.name != mine)
            .partition(|schedule| schedule.name.starts_with(&prefix));
        let others: Vec<Named> = others
            .into_iter()
            .map(|schedule| Named {
                name: schedule.name[prefix.len()..].to_owned(),
                cron: schedule.cron,
            })
            .collect();
        let everybody: Vec<Cron> = everybody
            .into_iter()
            .map(|schedule| schedule.cron)
            .collect();
        plan(&Ask {
            cron: &cron,
            keep: keep.seconds(),
            now,
            server: &TimeZone::UTC,
            others: &others,
            everybody: &everybody,
            velero: self.velero_version,
        })
        .map(Some)
        .map_err(|refusal| Failure::Refused(format!("{}.", harmless(&refusal.to_string(), 600))))
    }

    async fn schedules_of_the_cluster(&self) -> Result<Vec<Seen>, Failure> {
        let kind = ApiResource {
            group: "velero.io".to_owned(),
            version: "v1".to_owned(),
            api_version: "velero.io/v1".to_owned(),
            kind: "Schedule".to_owned(),
            plural: "schedules".to_owned(),
        };
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.client.clone(), &self.velero_namespace, &kind);
        let listed = api.list(&ListParams::default()).await?;
        Ok(listed
            .items
            .iter()
            .filter_map(|object| {
                let text = |pointer| object.data.pointer(pointer)?.as_str();
                Some(Seen {
                    name: object.name_any(),
                    cron: Cron::parse_written(text("/spec/schedule")?).ok()?,
                    ttl: text("/spec/template/ttl").and_then(|ttl| Ttl::parse_written(ttl).ok()),
                })
            })
            .collect())
    }
}

/// The answer to an order that was taken up.
pub(super) fn answer(name: &str, change: &Change, plan: Option<&Plan>, zone: &TimeZone) -> String {
    let mut text = format!(
        "Your request is {}: it is being checked, and its thread says how it goes on. `schedule \
         withdraw {name}` calls it off until it is in the order.",
        code(name)
    );
    let Some(Plan {
        cron,
        runs,
        copies,
        warnings,
    }) = plan
    else {
        if change.action == Action::Remove {
            text.push_str("\n- backups that were taken stay until they expire");
        }
        return text;
    };
    put(
        &mut text,
        format_args!("\n- runs at {}", code(&cron.to_string())),
    );
    if let Some(words) = &change.words {
        put(&mut text, format_args!(" ({})", harmless(words, 100)));
    }
    for at in runs {
        put(&mut text, format_args!("\n- next: {}", both(*at, zone)));
    }
    put(
        &mut text,
        format_args!(
            "\n- copies kept: {}{}",
            if copies.more { "more than " } else { "" },
            copies.count
        ),
    );
    if let Some(ttl) = &change.ttl {
        put(&mut text, format_args!(", each for {}", code(ttl)));
    }
    for warning in warnings.iter().take(WARNINGS) {
        put(
            &mut text,
            format_args!("\n- beware: {}", harmless(&warning.to_string(), 400)),
        );
    }
    text
}

/// In the platform's zone, and in UTC.
fn both(at: Timestamp, zone: &TimeZone) -> String {
    let here = local(at, zone);
    if here.ends_with("UTC") {
        here
    } else {
        format!("{here} ({} UTC)", at.strftime("%Y-%m-%d %H:%M"))
    }
}
