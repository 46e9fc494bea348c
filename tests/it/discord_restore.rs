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
    insta::assert_snapshot!(steady(&discord.shown(thread), &name), @"");
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
