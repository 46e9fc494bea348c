//! What is heard on Discord, and what is not.

use std::time::Duration;

use harbour::discord::ids;
use refloat::request::Phase;

use refloat::cli::check::Output;

use crate::discord_world::Chatted;
use crate::refloat::until;

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_late_twice_or_from_elsewhere_is_not_done() -> anyhow::Result<()> {
    let chatted = Chatted::start().await?;
    let (world, discord) = (&chatted.world, &chatted.discord);
    let refloat = chatted.refloat()?;
    chatted.ready().await?;
    let tenant = world.here("poseidon1");
    let options = [
        ("tenant", tenant.as_str()),
        ("namespaces", "dev"),
        ("reason", "bad migration"),
    ];
    // Older than Discord waits: an apology, and nothing else.
    discord.slash_late(
        ids::ADA,
        ids::CHANNEL,
        "restore request",
        &options,
        Duration::from_secs(4),
    )?;
    discord.message_with(ids::CHANNEL, "too late").await?;
    // From a channel that is not Refloat's.
    let asked = discord.slash(ids::ADA, ids::OTHER_CHANNEL, "restore request", &options)?;
    let words = discord.words(asked).await?;
    assert!(words.contains("I do not take commands here"), "{words}");
    assert!(world.request_names().await?.is_empty());
    // Twice is once.
    discord.double_events(true);
    let name = chatted.ask().await?;
    discord.double_events(false);
    discord.thread_of(&name).await?;
    assert_eq!(world.request_names().await?.len(), 1);
    assert_eq!(discord.threads().len(), 1);
    refloat.stop().await?;
    chatted.check()?;
    chatted.world.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mention_is_a_command() -> anyhow::Result<()> {
    let chatted = Chatted::start().await?;
    let (world, discord) = (&chatted.world, &chatted.discord);
    let refloat = chatted.refloat()?;
    chatted.ready().await?;
    let tenant = world.here("poseidon1");
    let me = ids::BOT;
    discord.say(
        ids::ADA,
        ids::CHANNEL,
        &format!("<@{me}> restore request tenant:{tenant} namespaces:dev reason:\"bad @everyone\""),
    );
    discord
        .message_with(ids::CHANNEL, "Your request is")
        .await?;
    let names = world.request_names().await?;
    let (thread, _) = chatted.question(&names[0]).await?;
    // What is not said to Refloat is nobody's command.
    discord.say(ids::GRACE, thread, "approve");
    discord.say(ids::GRACE, thread, &format!("<@{me}> approve"));
    chatted.until_phase(&names[0], Phase::Done).await?;
    assert!(discord.pinged(ids::CHANNEL).is_empty());
    refloat.stop().await?;
    chatted.check()?;
    chatted.world.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_answered_in_words_to_the_person() -> anyhow::Result<()> {
    let chatted = Chatted::start().await?;
    let (world, discord) = (&chatted.world, &chatted.discord);
    let refloat = chatted.refloat()?;
    chatted.ready().await?;
    let tenant = world.here("triton2");
    let long = "x".repeat(4000);
    let mut said = Vec::new();
    for (user, line, options) in [
        (ids::ADA, "refloat about", vec![]),
        (ids::ADA, "refloat help", vec![]),
        (
            ids::ADA,
            "restore request",
            vec![
                ("tenant", tenant.as_str()),
                ("namespaces", "prod"),
                ("reason", "x"),
            ],
        ),
        (
            ids::ADA,
            "restore request",
            vec![
                ("tenant", tenant.as_str()),
                ("namespaces", "prod"),
                ("reason", long.as_str()),
            ],
        ),
        (ids::MALLORY, "restore status", vec![]),
        (ids::GRACE, "approve", vec![]),
    ] {
        let asked = discord.slash(user, ids::CHANNEL, line, &options)?;
        let words = discord.words(asked).await?;
        let first = words.lines().next().unwrap_or_default().to_owned();
        said.push(format!("/{line}: {}", world.plain(&first)));
        let after = discord.acknowledged_after(asked);
        assert!(
            after.is_some_and(|after| after < Duration::from_secs(1)),
            "{line} was acknowledged after {after:?}"
        );
    }
    insta::assert_snapshot!(said.join("\n"), @r"
    /refloat about: **Refloat** 0.1.0. I know you as ada.
    /refloat help: **Refloat** restores namespaces of a tenant from their Velero backups, with an approval and by pull request.
    /restore request: You may not ask for restores of the tenant `triton2`. You may for `poseidon1`.
    /restore request: `reason` cannot be `xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...`: it has 4000 characters. Up to 1000 fit, so keep to what the reviewer needs.
    /restore status: I do not know you here: the configuration has no entry for your account `81384788765712405` of the chat `discord`. Ask the platform team to add it.
    /approve: There is no request that waits for an approval which you could give. To mean another one, say its name.
    ");
    // Registered once, and not again at the next start.
    refloat.stop().await?;
    let refloat = chatted.refloat()?;
    chatted.ready().await?;
    let asked = discord.slash(ids::ADA, ids::CHANNEL, "refloat about", &[])?;
    discord.words(asked).await?;
    until(|| async { Ok(discord.seen().registrations == 1) }).await?;
    refloat.stop().await?;
    chatted.check()?;
    chatted.world.end().await
}

/// `refloat check` says of each thing whether it is there.
#[tokio::test(flavor = "multi_thread")]
async fn the_configuration_is_checked() -> anyhow::Result<()> {
    let chatted = Chatted::start().await?;
    let file = chatted.world.harbour.folder().join("refloat.yaml");
    let check = async |config: String| {
        std::fs::write(&file, config)?;
        let file = file.clone();
        let checked = tokio::task::spawn_blocking(move || {
            let mut out = Vec::new();
            let done = refloat::cli::check::run(&file, Output::Text, &mut out);
            (done.is_ok(), String::from_utf8_lossy(&out).into_owned())
        });
        let (good, text) = checked.await?;
        let of_discord = text.lines().filter(|line| line.starts_with("discord"));
        let lines: Vec<&str> = of_discord.collect();
        anyhow::Ok(format!("{good}\n{}", lines.join("\n")))
    };
    insta::assert_snapshot!(check(chatted.config("")?).await?, @r"
    true
    discord        ok       the bot is refloat
    discord        ok       it is on the server harbour
    discord        ok       reviewersRole is @reviewers
    discord        ok       channel is #restores
    discord        ok       troubleChannel is #restores
    discord        ok       2 of the people can review here
    ");
    let wrong = chatted.config("roles: [{ role: '5', tenants: [x] }], channels: ['6']")?;
    insta::assert_snapshot!(check(wrong).await?, @r"
    false
    discord        ok       the bot is refloat
    discord        ok       it is on the server harbour
    discord        ok       reviewersRole is @reviewers
    discord        wrong    roles 5: there is no such role
    discord        ok       channel is #restores
    discord        ok       troubleChannel is #restores
    discord        wrong    channels 6: the bot does not see it (Discord refused it (404, code 10003): Unknown Channel)
    discord        ok       2 of the people can review here
    ");
    chatted.discord.set_token(Some("another"));
    insta::assert_snapshot!(check(chatted.config("")?).await?, @r"
    false
    discord        wrong    Discord does not know the bot's token
    ");
    chatted.world.end().await
}
