//! `backups ...` and `schedule list`: what is backed up, and a backup at once.
//!
//! A tenant sees its own; reviewers see every tenant, and the platform's own backups in the overview.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use refloat_commands::backups::{Backups, Page};
use refloat_commands::{Command, Namespace, ScheduleName, Tenant, parse};

use super::{Desk, Failure, known, name, refused};
use crate::backups::{
    Backup, Schedule, Whose, everything, in_words, page, phase_in_words, picture,
    schedules_in_words,
};
use crate::chat::harmless::{code, harmless};
use crate::chat::{Answer, Attachment, Chat, Incoming};
use crate::effects::velero::at_once::{Asked, backup_now, volumes_of};
use crate::request::people::Entry;
use crate::request::preflight::list;

/// How long a backup that was asked for is followed in the chat.
const FOLLOWED: Duration = Duration::from_hours(4);
/// How long the first reading of the cluster is waited for.
const FIRST_READING: Duration = Duration::from_secs(20);

/// What is answered.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) text: String,
    pub(super) file: Option<Attachment>,
    /// A backup whose progress is to be told.
    pub(super) follow: Option<String>,
}

impl From<String> for Told {
    fn from(text: String) -> Self {
        Self {
            text,
            file: None,
            follow: None,
        }
    }
}

/// The command about backups that a line is, if it is one.
pub(super) fn asked(text: &str) -> Option<Backups> {
    match parse(text) {
        _ if text.trim_end().ends_with('?') => None,
        Ok(Command::Backups(command)) => Some(command),
        _ => None,
    }
}

impl Desk {
    /// Answers a command about backups, with its file, and goes on to tell of its progress.
    pub(super) async fn tell_of_backups<C: Chat>(
        self: &Arc<Self>,
        incoming: &Incoming,
        command: Backups,
        chat: &Arc<C>,
    ) {
        let done = tokio::time::timeout(super::ANSWER_WITHIN, self.backups(incoming, command));
        let (answer, follow) = match done.await {
            Ok(Ok(told)) => {
                let answer = Answer {
                    file: told.file,
                    ..Answer::from(told.text)
                };
                (answer, told.follow)
            }
            Ok(Err(failure)) => (super::in_words(incoming, Err(failure)), None),
            Err(_) => (
                super::refusal(
                    "That took too long. Say it again in a while; whatever was asked for is made once.",
                ),
                None,
            ),
        };
        self.tell(incoming, &answer, &**chat).await;
        if let Some(backup) = follow {
            let (desk, chat, incoming) = (Arc::clone(self), Arc::clone(chat), incoming.clone());
            tokio::spawn(async move {
                let following = desk.follow(&backup, &incoming, &*chat);
                if tokio::time::timeout(FOLLOWED, following).await.is_err() {
                    tracing::info!(backup, "it takes long and is followed no more");
                }
            });
        }
    }

    pub(super) async fn backups(
        &self,
        incoming: &Incoming,
        command: Backups,
    ) -> Result<Told, Failure> {
        if tokio::time::timeout(FIRST_READING, self.shelf.ready())
            .await
            .is_err()
        {
            return refused("I am still reading the backups. Say it again in a while.");
        }
        match command {
            Backups::List {
                tenant,
                namespace,
                page,
            } => self
                .list_backups(incoming, &tenant, namespace.as_ref(), page)
                .await
                .map(Told::from),
            Backups::Now { tenant, schedule } => {
                self.backup_now(incoming, &tenant, &schedule).await
            }
            Backups::Overview { tenant } => self.overview(incoming, tenant.as_ref()).await,
        }
    }

    /// What is the tenant's own, if the person may see it.
    async fn whose(&self, incoming: &Incoming, tenant: &Tenant) -> Result<Whose, Failure> {
        let entry = known(&incoming.from, &self.people).map_err(Failure::Refused)?;
        may_see(entry, tenant.as_str()).map_err(Failure::Refused)?;
        match (self.lookup)(tenant.as_str().to_owned()).await? {
            Some(order) => Ok(Whose {
                tenant: tenant.as_str().to_owned(),
                namespaces: order.namespaces,
                schedules: order.schedules,
            }),
            None => refused(format!(
                "There is no order of a tenant {}.",
                code(tenant.as_str())
            )),
        }
    }

    async fn list_backups(
        &self,
        incoming: &Incoming,
        tenant: &Tenant,
        namespace: Option<&Namespace>,
        number: Option<Page>,
    ) -> Result<String, Failure> {
        let whose = self.whose(incoming, tenant).await?;
        let namespace = namespace
            .map(|named| in_full(named, tenant, &whose))
            .transpose()?;
        let number = number.map_or(1, |page| {
            usize::try_from(page.number()).unwrap_or(usize::MAX)
        });
        let shown: Vec<Backup> = self.shelf.look(|backups, _| {
            page(backups.values(), &whose, namespace.as_deref(), number)
                .map(|page| page.backups.into_iter().cloned().collect())
                .unwrap_or_default()
        });
        let names: Vec<String> = shown.iter().map(|backup| backup.name.clone()).collect();
        let volumes = match volumes_of(&self.client, &self.velero_namespace, &names).await {
            Ok(volumes) => volumes,
            Err(error) => {
                tracing::warn!(error = format!("{error:#}"), "the volumes cannot be read");
                HashMap::new()
            }
        };
        self.shelf.look(|backups, _| {
            match page(backups.values(), &whose, namespace.as_deref(), number) {
                Ok(page) => Ok(page.in_words(
                    &whose,
                    namespace.as_deref(),
                    &volumes,
                    self.clock.now(),
                    &self.context.time_zone,
                )),
                Err(pages) => refused(format!(
                    "There is no page {number}: the last is {pages}, as in `page:{pages}`."
                )),
            }
        })
    }

    async fn backup_now(
        &self,
        incoming: &Incoming,
        tenant: &Tenant,
        schedule: &ScheduleName,
    ) -> Result<Told, Failure> {
        let whose = self.whose(incoming, tenant).await?;
        if !whose.schedules.iter().any(|name| name == schedule.as_str()) {
            let names: Vec<String> = whose.schedules.iter().map(|name| code(name)).collect();
            return refused(format!(
                "The order of {} has no schedule {}. It has {}.",
                code(tenant.as_str()),
                code(schedule.as_str()),
                list(&names)
            ));
        }
        let of = format!("{tenant}-{schedule}");
        let (chat, id) = (&incoming.from.chat, &incoming.id);
        let backup = name(&format!("{of}-now"), chat, id, 8);
        let asked = name("asked", chat, id, 24);
        let done = backup_now(
            &self.client,
            &self.velero_namespace,
            &of,
            &backup,
            &asked,
            &whose,
        );
        match done.await? {
            Asked::Made(made) => Ok(Told {
                text: format!(
                    "The backup {} of the schedule {} is asked for. I will tell here how it goes on.",
                    code(&made.name),
                    code(schedule.as_str())
                ),
                file: None,
                follow: Some(made.name),
            }),
            Asked::Found(found) => Ok(Told {
                text: format!(
                    "The backup {} was asked for by this message already: it is {}.",
                    code(&found.name),
                    phase_in_words(&found)
                ),
                file: None,
                follow: (!found.is_over()).then_some(found.name),
            }),
            Asked::NoSchedule => refused(format!(
                "The schedule {} is ordered, but Velero has no Schedule {} (yet): wait until Argo CD has brought it.",
                code(schedule.as_str()),
                code(&of)
            )),
            Asked::NotTheirs => refused(format!(
                "Velero's Schedule {} covers other namespaces than those of the tenant {}: ask the platform team.",
                code(&of),
                code(tenant.as_str())
            )),
        }
    }

    /// Tells how a backup goes on, until it has ended or is gone.
    async fn follow<C: Chat>(&self, backup: &str, to: &Incoming, chat: &C) {
        let mut changes = self.shelf.changes();
        let mut told = String::new();
        let mut seen = false;
        loop {
            changes.mark_unchanged();
            let (words, over) = match self.shelf.backup(backup) {
                Some(known) => {
                    seen = true;
                    (progress(&known), known.is_over())
                }
                None if seen => (format!("The backup {} is gone.", code(backup)), true),
                None => (String::new(), false),
            };
            if !words.is_empty() && words != told {
                self.tell(to, &Answer::from(words.clone()), chat).await;
                told = words;
            }
            if over || changes.changed().await.is_err() {
                return;
            }
        }
    }

    async fn overview(
        &self,
        incoming: &Incoming,
        tenant: Option<&Tenant>,
    ) -> Result<Told, Failure> {
        let (orders, platform) = if let Some(tenant) = tenant {
            (vec![self.whose(incoming, tenant).await?], false)
        } else {
            let entry = known(&incoming.from, &self.people).map_err(Failure::Refused)?;
            let tenants = self.visible(entry);
            if tenants.is_empty() && !entry.reviewer {
                return refused(
                    "You may see no tenant's backups. Ask the platform team for the right.",
                );
            }
            // Of hundreds of tenants the orders are not read while somebody waits.
            let orders = self.known_orders(tenants).await;
            let whose = orders.into_iter().map(|(tenant, order)| Whose {
                tenant,
                namespaces: order.namespaces,
                schedules: order.schedules,
            });
            (whose.collect(), entry.reviewer)
        };
        let (now, zone) = (self.clock.now(), &self.context.time_zone);
        let shown = self.shelf.look(|backups, schedules| {
            everything(&orders, platform, backups, schedules, now, zone)
        });
        let file = picture::draw(&shown, zone).map(|bytes| Attachment {
            name: "backups.png".to_owned(),
            bytes,
        });
        Ok(Told {
            text: in_words(&shown, zone),
            file,
            follow: None,
        })
    }

    /// The tenants that a person may see.
    fn visible(&self, entry: &Entry) -> Vec<String> {
        if !entry.reviewer {
            return entry.tenants.clone();
        }
        let all: BTreeSet<&String> = self
            .people
            .0
            .iter()
            .flat_map(|entry| &entry.tenants)
            .collect();
        all.into_iter().cloned().collect()
    }

    pub(super) async fn list_schedules(
        &self,
        incoming: &Incoming,
        tenant: &Tenant,
    ) -> Result<String, Failure> {
        if tokio::time::timeout(FIRST_READING, self.shelf.ready())
            .await
            .is_err()
        {
            return refused("I am still reading the schedules. Say it again in a while.");
        }
        let whose = self.whose(incoming, tenant).await?;
        Ok(self.shelf.look(|_, schedules| {
            let mut own: Vec<&Schedule> = schedules
                .values()
                .filter(|schedule| whose.owns_schedule(schedule))
                .collect();
            own.sort_by(|one, other| one.name.cmp(&other.name));
            schedules_in_words(&whose, &own, self.clock.now(), &self.context.time_zone)
        }))
    }
}

/// A backup's progress as it is worth a line: in quarters, and at its end.
fn progress(backup: &Backup) -> String {
    let name = code(&backup.name);
    if backup.is_over() {
        let mut words = format!("The backup {name} has ended: {}", phase_in_words(backup));
        if let Some(reason) = &backup.reason {
            words = format!("{words} ({})", harmless(reason, 300));
        }
        if &*backup.phase == "Completed" {
            words = format!("{words}, with {} items", backup.items);
        }
        return format!("{words}.");
    }
    if &*backup.phase != "InProgress" {
        return String::new();
    }
    let quarter = if backup.total > 0 {
        backup.items * 4 / backup.total
    } else {
        0
    };
    match quarter {
        1..=3 => format!("The backup {name} is being made: {} %.", quarter * 25),
        _ => format!("The backup {name} is being made."),
    }
}

fn may_see(entry: &Entry, tenant: &str) -> Result<(), String> {
    if entry.reviewer || entry.tenants.iter().any(|name| name == tenant) {
        return Ok(());
    }
    let codes: Vec<String> = entry.tenants.iter().map(|name| code(name)).collect();
    Err(format!(
        "The backups of the tenant {} are none of yours to see. Yours are those of {}.",
        code(tenant),
        if codes.is_empty() {
            "no tenant".to_owned()
        } else {
            list(&codes)
        }
    ))
}

/// A namespace of the tenant by its whole name.
fn in_full(named: &Namespace, tenant: &Tenant, whose: &Whose) -> Result<String, Failure> {
    let full = named
        .full(tenant)
        .map(|full| full.as_str().to_owned())
        .unwrap_or_default();
    if whose.namespaces.contains(&full) {
        return Ok(full);
    }
    let codes: Vec<String> = whose.namespaces.iter().map(|name| code(name)).collect();
    refused(format!(
        "The tenant {} has no namespace {}. It has {}.",
        code(tenant.as_str()),
        code(named.as_str()),
        list(&codes)
    ))
}

/// The backups that are offered while somebody types, newest first.
pub(super) fn newest(
    backups: &HashMap<String, Backup>,
    wanted: impl Fn(&Backup) -> bool,
) -> Vec<&Backup> {
    let mut found: Vec<&Backup> = backups.values().filter(|backup| wanted(backup)).collect();
    found.sort_by(|one, other| (other.at(), &other.name).cmp(&(one.at(), &one.name)));
    found
}
