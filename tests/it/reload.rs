//! The configuration changes while Refloat runs.

use harbour::discord::ids;

use crate::discord_world::{Chatted, OnDiscord};
use crate::refloat::until;

/// People, roles, channels and reviewers as the file says now; what is wrong is
/// refused, and told to those who look after Refloat.
#[tokio::test(flavor = "multi_thread")]
async fn rights_and_routing_change_without_a_restart() -> anyhow::Result<()> {
    let chatted = Chatted::start().await?;
    let (world, discord) = (&chatted.world, &chatted.discord);
    let tenant = world.here("poseidon1");
    let file = world.harbour.folder().join("refloat.yaml");
    let write = |text: &str| std::fs::write(&file, text);
    let plain = chatted.config("")?;
    write(&plain)?;
    let refloat = OnDiscord::start_file(&file)?;
    chatted.ready().await?;
    let options = [
        ("tenant", tenant.as_str()),
        ("namespaces", "dev"),
        ("reason", "bad migration"),
    ];
    let say = async |user, channel, line: &str, options: &[(&str, &str)]| {
        let asked = discord.slash(user, channel, line, options)?;
        discord.words(asked).await
    };
    let words = say(ids::ODD, ids::CHANNEL, "restore preview", &options[..2]).await?;
    assert!(words.contains("You may not ask for restores"), "{words}");
    let words = say(ids::ADA, ids::OTHER_CHANNEL, "refloat about", &[]).await?;
    assert!(words.contains("I do not take commands here"), "{words}");

    // A faulty one that would give the right is refused whole.
    let roles = format!(
        "roles: [{{ role: '{}', tenants: [{tenant}] }}]",
        ids::POSEIDON
    );
    discord.set_roles(ids::ODD, &[ids::POSEIDON]);
    write(&format!("{}\nnonsense: 1\n", chatted.config(&roles)?))?;
    until(|| async {
        let words = say(ids::GRACE, ids::CHANNEL, "refloat about", &[]).await?;
        Ok(words.contains("is refused") && words.contains("nonsense"))
    })
    .await?;
    let words = say(ids::ADA, ids::CHANNEL, "refloat about", &[]).await?;
    assert!(!words.contains("refused"), "{words}");
    let words = say(ids::ODD, ids::CHANNEL, "restore preview", &options[..2]).await?;
    assert!(words.contains("You may not ask for restores"), "{words}");

    // Put right, it holds at once: for a role, for a channel, and for who reviews.
    let name = chatted.ask().await?;
    let (thread, question) = chatted.question(&name).await?;
    let good = chatted.config(&format!(
        "{roles}, channels: ['{}'], troubleChannel: '{}'",
        ids::OTHER_CHANNEL,
        ids::OTHER_CHANNEL
    ))?;
    let mut lines: Vec<String> = good.lines().map(str::to_owned).collect();
    for line in &mut lines {
        if line.contains("console: grace,") {
            *line = line.replace("reviewer: true", "reviewer: false");
        }
    }
    write(&lines.join("\n"))?;
    until(|| async {
        let words = say(
            ids::ODD,
            ids::OTHER_CHANNEL,
            "restore preview",
            &options[..2],
        )
        .await?;
        Ok(words.contains("Nothing was touched") || words.contains("would be refused"))
    })
    .await?;
    let pressed = discord.press(ids::GRACE, question, "Approve")?;
    let words = discord.words(pressed).await?;
    assert!(words.contains("you are not a reviewer"), "{words}");
    let words = say(ids::GRACE, ids::CHANNEL, "refloat about", &[]).await?;
    assert!(
        words.contains("may not approve") && !words.contains("refused"),
        "{words}"
    );
    let pressed = discord.press(ids::LINUS, question, "Approve")?;
    discord.words(pressed).await?;
    chatted
        .until_phase(&name, refloat::request::Phase::Done)
        .await?;
    discord.message_with(thread, "Done.").await?;
    refloat.stop().await?;
    chatted.check()?;
    chatted.world.end().await
}

/// Whoever approved and is no reviewer any more when it comes to the first delete has
/// approved nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_reviewer_taken_out_of_the_file_voids_their_approval() -> anyhow::Result<()> {
    use harbour::gate::{Fate, Service};
    let chatted = Chatted::start().await?;
    let (world, discord) = (&chatted.world, &chatted.discord);
    let file = world.harbour.folder().join("refloat.yaml");
    let config = chatted.config("")?;
    std::fs::write(&file, &config)?;
    let refloat = OnDiscord::start_file(&file)?;
    let name = chatted.ask().await?;
    let (thread, question) = chatted.question(&name).await?;
    // GitHub does not merge yet, so that there is a time between.
    let rule = world.harbour.gate.add(|call| {
        if call.service == Service::Github && call.writes() && call.path().ends_with("/merge") {
            Fate::CutBefore
        } else {
            Fate::Pass
        }
    });
    let pressed = discord.press(ids::GRACE, question, "Approve")?;
    discord.words(pressed).await?;
    discord.message_with(thread, "Approved by").await?;
    let without: Vec<String> = config
        .lines()
        .map(|line| {
            if line.contains("console: grace,") {
                line.replace("reviewer: true", "reviewer: false")
            } else {
                line.to_owned()
            }
        })
        .collect();
    std::fs::write(&file, without.join("\n"))?;
    until(|| async {
        let asked = discord.slash(ids::GRACE, ids::CHANNEL, "refloat about", &[])?;
        Ok(discord.words(asked).await?.contains("may not approve"))
    })
    .await?;
    world.harbour.gate.remove(rule);
    discord
        .message_with(thread, "may no longer approve")
        .await?;
    world.until_asked(&name).await?;
    refloat.stop().await?;
    chatted.check()?;
    chatted.world.end().await
}
