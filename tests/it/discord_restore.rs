//! The main job through Discord: command, completion, thread, approval, end.

use harbour::discord::{Answer, Focus, ids};
use refloat::request::Phase;

use crate::discord_world::Chatted;
use crate::refloat::until;

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_is_carried_through_on_discord() -> anyhow::Result<()> {
    let chatted = Chatted::start().await?;
    let (world, discord) = (&chatted.world, &chatted.discord);
    let before = world.harbour.platform.snapshot().await?;
    let order = world.order("poseidon1").await?;
    world.break_tenant("poseidon1-dev").await?;
    let refloat = chatted.refloat()?;

    let name = chatted.ask().await?;
    let (thread, question) = chatted.question(&name).await?;
    let pressed = discord.press(ids::GRACE, question, "Approve")?;
    let words = discord.words(pressed).await?;
    anyhow::ensure!(words.starts_with("You approve"), "{words}");
    chatted.until_phase(&name, Phase::Done).await?;
    discord.message_with(thread, "Done.").await?;
    until(|| async { Ok(discord.shown(thread).contains("(Approve) (Deny)")) }).await?;
    until(|| async {
        let card = discord.card(thread).and_then(|card| discord.embed(card));
        Ok(card.is_some_and(|card| card["color"] == 0x2e_a0_43))
    })
    .await?;
    refloat.stop().await?;

    chatted.check_thread(thread, "Done.")?;
    chatted.check()?;
    insta::assert_snapshot!(steady(&discord.shown(thread), &name), @r#"
    refloat:
      | Restore of 0-dev (poseidon-name)
      | Done: restored, verified, and self-heal is as it was.
      | What: `0-dev` of the tenant `0`
      | From: backup `0-daily-0` of 0-0-0 0:0 UTC of the schedule `0-daily` (0 hours old, 0 objects, 0 B of volume data), kept until 0-0-0 0:0 UTC
      | Asked by: Ada, 0-0-0 0:0 UTC
      | Why: bad migration
      | Approved by: grace in chat, 0-0-0 0:0 UTC
      | Was deleted: - 0 objects: 0 `ConfigMap`, 0 `PersistentVolumeClaim`, 0 `Pod`, 0 `apps/Deployment`, 0 `apps/ReplicaSet`
      | - with its data: claim `0-dev/uploads` of 0
      | - kept, as the platform's: 0 objects
      | Pull requests: - #0, self-heal off, merged: http://0.0.0.0:0/platform/infra-0-tenants/pull/0
      | - #0, self-heal on again, merged: http://0.0.0.0:0/platform/infra-0-tenants/pull/0
      | Safety backup: `refloat-0-safety-0`, completed
      | Velero Restore: `refloat-0-0`, Completed, 0 items, 0 B
    refloat: Ada asks to restore `0-dev` of the tenant `0`, from the backup of schedule `daily` for `0-0-0`. Reason: bad migration.
    refloat: Checked: it will be restored from backup `0-daily-0` of 0-0-0 0:0 UTC of the schedule `0-daily` (0 hours old, 0 objects, 0 B of volume data), kept until 0-0-0 0:0 UTC. To be deleted before that:
    - 0 objects: 0 `ConfigMap`, 0 `PersistentVolumeClaim`, 0 `Pod`, 0 `apps/Deployment`, 0 `apps/ReplicaSet`
    - with its data: claim `0-dev/uploads` of 0
    - kept, as the platform's: 0 objects
    refloat: Held against the backup:
    - comes back: 0 `ConfigMap`, 0 `PersistentVolumeClaim`, 0 `apps/Deployment`
    - is lost for good: 0 `ConfigMap`
    - returns from the past: 0 `ConfigMap`
    - `lost for good ConfigMap 0-dev/migration-left-over`
    - `returns from the past ConfigMap 0-dev/runtime-settings`
    - `comes back ConfigMap 0-dev/files`
    - `comes back PersistentVolumeClaim 0-dev/uploads`
    - `comes back apps/Deployment 0-dev/files`
    - `stays: a system role binding rbac.authorization.0.io/RoleBinding 0-dev/system:deployers`
    - `stays: a system role binding rbac.authorization.0.io/RoleBinding 0-dev/system:im... (cut)`
    - `stays: a system role binding rbac.authorization.0.io/RoleBinding 0-dev/system:im... (cut)`
    - `stays: belongs to the platform (Application 0-tenant) LimitRange 0-dev/tenant-limits`
    - `stays: belongs to the platform (Application 0-tenant) ResourceQuota 0-dev/... (cut)`
    - `stays: belongs to the platform (Application 0-tenant) networking.0.io/NetworkPol... (cut)`
    - `stays: belongs to the platform (Application 0-tenant) rbac.authorization.0.io/Ro... (cut)`
    - `stays: every namespace has it ConfigMap 0-dev/kube-root-ca.crt`
    - `stays: every namespace has it ConfigMap 0-dev/openshift-service-ca.crt`
    - 0 lines more: the whole table is attached
      <poseidon-name-inventory.txt>
    refloat: Pull request #0 is open: it turns self-heal off in the tenant's order. http://0.0.0.0:0/platform/infra-0-tenants/pull/0
    refloat: <@&0> **Reviewers: please approve or deny.** Read the card and the pull request, then say `approve poseidon-name digest:0`, or `deny request:poseidon-name reason:"..."`. Whoever asked for the restore cannot approve it. A review on the pull request that approves it counts as well.
      (Approve) (Deny)
    refloat: Approved by grace in chat.
    refloat: Self-heal is off: pull request #0 was merged.
    refloat: Argo CD is quiet: `openshift-gitops/0-dev-apps-files` will bring nothing back.
    refloat: The safety backup `refloat-0-safety-0` is complete: it holds the namespaces as they were before.
    refloat: The clearing begins: 0 objects will be deleted. From here on it cannot be withdrawn.
    refloat: The namespaces are cleared: 0 objects deleted in 0
    refloat: The restore begins: Velero's Restore `refloat-0-0` of `0-daily-0`.
    refloat: Velero has ended `refloat-0-0`: Completed. 0 items, 0 B of volume data, in 0
    refloat: Verified: 0 objects there, 0 volume complete, 0 claim bound, 0 pod ready.
    refloat: Pull request #0 is open: it brings self-heal back as it was. http://0.0.0.0:0/platform/infra-0-tenants/pull/0
    refloat: Pull request #0 was merged. Argo CD is asked to look.
    refloat: Self-heal is back as it was before, and the Applications are synced and healthy.
    refloat: **Done.** `0-dev` of the tenant `0` restored, from backup `0-daily-0` of 0-0-0 0:0 UTC of the schedule `0-daily` (0 hours old, 0 objects, 0 B of volume data), kept until 0-0-0 0:0 UTC.
    - asked for by Ada, approved by grace
    - deleted: 0 objects
    - restored: 0 items, 0 B of volume data
    - safety backup: `refloat-0-safety-0` (`restore undo poseidon-name` brings it back)
    - #0: http://0.0.0.0:0/platform/infra-0-tenants/pull/0
    - #0: http://0.0.0.0:0/platform/infra-0-tenants/pull/0
    "#);
    // Only the question pings, and only the reviewers.
    assert_eq!(discord.pinged(thread), [format!("<@&{}>", ids::REVIEWERS)]);
    assert_eq!(discord.seen().limited, 0, "{:?}", discord.seen());
    world.check_restored(&name, &before, &order).await?;
    chatted.world.end().await
}

/// A thread without what differs from one time to the next: the request's name,
/// numbers and hashes.
fn steady(shown: &str, name: &str) -> String {
    let shown = shown.replace(name, "poseidon-name");
    let mut lines = Vec::new();
    for line in shown.lines().filter(|line| !line.starts_with("- time:")) {
        let mut text = String::new();
        for word in line.split_inclusive(|c: char| !c.is_ascii_alphanumeric()) {
            let end = word
                .find(|c: char| !c.is_ascii_alphanumeric())
                .unwrap_or(word.len());
            let (inside, after) = word.split_at(end);
            let changes = inside.contains(|c: char| c.is_ascii_digit())
                || (inside.len() >= 8 && inside.bytes().all(|byte| byte.is_ascii_hexdigit()));
            text.push_str(if changes { "0" } else { inside });
            text.push_str(after);
        }
        // How long it took has other units at other times.
        let cut = text
            .find(" in 0")
            .map_or(text.len(), |at| at + " in 0".len());
        text.truncate(cut);
        lines.push(text.trim_end().to_owned());
    }
    lines.join("\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_follow_is_offered() -> anyhow::Result<()> {
    let chatted = Chatted::start().await?;
    let (world, discord) = (&chatted.world, &chatted.discord);
    let refloat = chatted.refloat()?;
    chatted.ready().await?;
    let tenant = world.here("poseidon1");
    let offered = async |user, option, typed, given: &[(&str, &str)]| {
        let focus = Focus { option, typed };
        let asked = discord.complete(user, ids::CHANNEL, "restore request", given, focus)?;
        match discord.answer(asked).await? {
            Answer::Choices(choices) => anyhow::Ok(
                choices
                    .into_iter()
                    .map(|(_, value)| world.plain(&value))
                    .collect::<Vec<_>>(),
            ),
            other => anyhow::bail!("{other:?}"),
        }
    };
    assert_eq!(offered(ids::ADA, "tenant", "", &[]).await?, ["poseidon1"]);
    // What somebody may not use is not offered.
    assert!(offered(ids::MALLORY, "tenant", "", &[]).await?.is_empty());
    assert!(
        offered(ids::ODD, "namespaces", "", &[("tenant", &tenant)])
            .await?
            .is_empty()
    );
    assert_eq!(
        offered(ids::ADA, "namespaces", "", &[("tenant", &tenant)]).await?,
        ["dev"]
    );
    assert_eq!(
        offered(ids::ADA, "schedule", "d", &[("tenant", &tenant)]).await?,
        ["daily"]
    );
    let backups = offered(
        ids::ADA,
        "backup",
        "",
        &[("tenant", &tenant), ("namespaces", "dev")],
    )
    .await?;
    assert_eq!(backups.len(), 2, "{backups:?}");
    assert!(
        offered(ids::ADA, "day", "yes", &[("tenant", &tenant)])
            .await?
            .contains(&"yesterday".to_owned())
    );
    refloat.stop().await?;
    chatted.check()?;
    chatted.world.end().await
}

/// A cross under a change of schedules denies it, and its reason is asked for as a
/// restore's is.
#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_is_denied_by_a_cross_on_discord() -> anyhow::Result<()> {
    let chatted = Chatted::start().await?;
    let (world, discord) = (&chatted.world, &chatted.discord);
    let refloat = chatted.refloat()?;
    chatted.ready().await?;
    let tenant = world.here("poseidon1");
    let options = [
        ("tenant", tenant.as_str()),
        ("name", "nightly"),
        ("when", "every day at 03:30"),
        ("keep", "4w"),
    ];
    let asked = discord.slash(ids::ADA, ids::CHANNEL, "schedule add", &options)?;
    let words = discord.words(asked).await?;
    let name = words.split('`').nth(1).unwrap_or_default().to_owned();
    let (thread, question) = chatted.question(&name).await?;
    discord.react(ids::GRACE, question, "\u{274c}");
    world
        .until_schedule(&name, refloat::schedule::Phase::Denied)
        .await?;
    let why = discord
        .message_with(thread, "needs to know why you denied it")
        .await?;
    let pressed = discord.press(ids::GRACE, why, "Say why")?;
    let Answer::Form(form) = discord.answer(pressed).await? else {
        anyhow::bail!("no form was shown");
    };
    let sent = discord.submit(ids::GRACE, thread, &form, "the nights are taken")?;
    let words = discord.words(sent).await?;
    assert!(words.starts_with("You said why you denied"), "{words}");
    discord
        .message_with(thread, "says why: the nights are taken")
        .await?;
    let request = world.schedule_requests().get(&name).await?;
    assert_eq!(
        request.spec.votes[0].reason.as_deref(),
        Some("the nights are taken")
    );
    refloat.stop().await?;
    chatted.check()?;
    chatted.world.end().await
}

/// A schedule is ordered, approved by a mark, and confirmed by its first backup.
#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_is_ordered_on_discord() -> anyhow::Result<()> {
    let chatted = Chatted::start().await?;
    let (world, discord) = (&chatted.world, &chatted.discord);
    let refloat = chatted.refloat()?;
    chatted.ready().await?;
    let tenant = world.here("poseidon1");
    let asked = discord.slash(
        ids::ADA,
        ids::CHANNEL,
        "schedule add",
        &[
            ("tenant", tenant.as_str()),
            ("name", "nightly"),
            ("when", "every day at 03:30"),
            ("keep", "4w"),
        ],
    )?;
    let words = discord.words(asked).await?;
    assert!(words.contains("30 3 * * *"), "{words}");
    let name = words.split('`').nth(1).unwrap_or_default().to_owned();
    let (thread, question) = chatted.question(&name).await?;
    discord.react(ids::GRACE, question, "\u{2705}");
    world
        .until_schedule(&name, refloat::schedule::Phase::Confirming)
        .await?;
    discord
        .message_with(thread, "Velero has the Schedule")
        .await?;
    world.run_comes("poseidon1-nightly", "Completed").await?;
    world
        .until_schedule(&name, refloat::schedule::Phase::Done)
        .await?;
    discord.message_with(thread, "Done.").await?;
    until(|| async { Ok(discord.shown(thread).contains("(Approve) (Deny)")) }).await?;
    refloat.stop().await?;
    chatted.check()?;
    chatted.world.end().await
}
