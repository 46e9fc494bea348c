//! Carrying out an effect; the answer is the fact it made true.

use std::sync::Arc;

use anyhow::Context as _;
use kube::ResourceExt as _;

use super::survey::order;
use super::{Context, round, status, uid};
use crate::effects::github::{self, describe};
use crate::effects::{argocd, clear, velero};
use crate::request::resource::ReminderOf;
use crate::request::{Approved, Effect, Fact, Opened, RestoreRequest, Which, summary};

/// Does one effect. `None`: done, and the next look will show it.
pub(super) async fn act(
    context: &Context,
    request: &RestoreRequest,
    effect: Effect,
) -> anyhow::Result<Option<Fact>> {
    let kube = &context.clients.kube;
    let github = &context.clients.github;
    let facts = status(request);
    let uid = uid(request);
    let order = order(&context.config, request, &uid);
    Ok(match effect {
        Effect::OpenPull(which) => Some(
            github
                .open_pull(which, &pull_context(context, request, which)?)
                .await?,
        ),
        Effect::RebuildPull(which) => Some(
            github
                .rebuild_pull(which, &pull_context(context, request, which)?)
                .await?,
        ),
        Effect::MergePull(which, head) => {
            github
                .merge_pull(which, number(request, which)?, &head)
                .await?
        }
        Effect::ClosePull(which, why) => {
            let opened = opened(request, which);
            Some(github.close_pull(which, opened, &uid, &why).await?)
        }
        Effect::Mirror(which) => {
            let pull = opened(request, which).context("there is no pull request")?;
            let approved = approved(request, which).context("nobody approved it")?;
            let (marker, text) = github::mirrored(&uid, pull, approved);
            github.say_once(pull.number, &marker, &text).await?;
            Some(Fact::Mirrored(which))
        }
        Effect::Look(look_for, namespace, name) => {
            argocd::look(kube, &namespace, &name).await?;
            Some(Fact::Looked(look_for, format!("{namespace}/{name}")))
        }
        Effect::RecordRevision(namespace, name) => {
            argocd::record_revision(kube, &namespace, &name).await?;
            None
        }
        Effect::SafetyBackup => {
            let location = location(context, request).await?;
            let taken = velero::take_safety_backup(
                kube,
                &order,
                facts.safety_round(),
                &location,
                context.config.velero.safety_backup_ttl,
            )
            .await?;
            Some(Fact::SafetyBackup(taken.run))
        }
        Effect::Delete(objects) => {
            context
                .rights
                .give(&request.name_any(), &request.spec.namespaces)
                .await?;
            // Before the answers: what was asked and failed is listed anew soon enough.
            context.asked(request, &objects).await;
            let deleted = clear::delete(kube, &objects).await?;
            facts.clearing.map(|clearing| {
                Fact::ClearingProgress(
                    (clearing.progress.done + deleted).min(clearing.progress.total),
                )
            })
        }
        Effect::Summarize(which) => {
            let now = jiff::Timestamp::now();
            let created = request
                .metadata
                .creation_timestamp
                .as_ref()
                .map_or(now, |time| time.0);
            let lines = summary::lines(&request.name_any(), created, &request.spec, &facts, now);
            github
                .say_lines_once(number(request, which)?, &format!("{uid} summary"), &lines)
                .await?;
            Some(Fact::Summarized)
        }
        Effect::Remind => {
            let since = facts
                .pause
                .as_ref()
                .and_then(|pause| pause.merged.as_ref())
                .map(|merged| merged.at.strftime("%Y-%m-%d %H:%M UTC").to_string())
                .unwrap_or_default();
            let sent = facts
                .reminders
                .iter()
                .filter(|reminder| reminder.about == ReminderOf::SelfHealOff)
                .count();
            let words = format!(
                "Reminder: self-heal of the tenant {} is off since {since}, until this pull \
                 request is merged. Please review it.",
                request.spec.tenant
            );
            let marker = format!("{uid} reminder {sent}");
            github
                .say_once(number(request, Which::Resume)?, &marker, &words)
                .await?;
            Some(Fact::ReviewersReminded)
        }
        Effect::Restore => {
            let backup = &facts
                .checked
                .as_ref()
                .context("no backup was chosen")?
                .backup;
            Some(Fact::Restore(
                velero::create_restore(kube, &order, round(request), &backup.name).await?,
            ))
        }
    })
}

fn number(request: &RestoreRequest, which: Which) -> anyhow::Result<u64> {
    opened(request, which)
        .map(|opened| opened.number)
        .context("there is no pull request")
}

fn opened(request: &RestoreRequest, which: Which) -> Option<&Opened> {
    let status = request.status.as_ref()?;
    let pull = match which {
        Which::Pause => status.pause.as_ref(),
        Which::Resume => status.resume.as_ref(),
    };
    pull?.opened.as_ref()
}

fn approved(request: &RestoreRequest, which: Which) -> Option<&Approved> {
    let status = request.status.as_ref()?;
    match which {
        Which::Pause => status.approved.as_ref(),
        Which::Resume => status.resume.as_ref()?.approved.as_ref(),
    }
}

fn pull_context(
    context: &Context,
    request: &RestoreRequest,
    which: Which,
) -> anyhow::Result<github::Context> {
    let facts = status(request);
    let policy = &context.config.policy;
    let (title, body) = describe(request, which, policy);
    let of_head = {
        let request = request.clone();
        Arc::new(move |head: &str| github::of_head(&request, which, head))
    };
    Ok(github::Context {
        request: request.name_any(),
        uid: uid(request),
        order_path: facts
            .checked
            .context("the order was not found yet")?
            .order_path,
        branch: opened(request, which).map(|opened| opened.branch.clone()),
        pause: match which {
            Which::Pause => None,
            Which::Resume => opened(request, Which::Pause).cloned(),
        },
        record: match which {
            Which::Pause => None,
            Which::Resume => facts.pause.map(|pause| pause.record),
        },
        title,
        body,
        of_head,
    })
}

/// The safety backup goes where the backup that is restored lies.
async fn location(context: &Context, request: &RestoreRequest) -> anyhow::Result<String> {
    let facts = status(request);
    let name = facts
        .checked
        .map(|checked| checked.backup.name)
        .unwrap_or_default();
    let backups = velero::backups(&context.clients.kube, &context.config.velero.namespace).await?;
    Ok(backups
        .into_iter()
        .find(|backup| backup.name == name)
        .map_or_else(|| "default".to_owned(), |backup| backup.location))
}
