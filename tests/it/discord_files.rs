//! What is too long for a message, or is a picture, is attached.

use harbour::discord::{Permission, ids};
use refloat::request::Phase;

use crate::discord_world::Chatted;

/// The only file of an answer.
fn only(files: Vec<(String, Vec<u8>)>) -> anyhow::Result<(String, Vec<u8>)> {
    match <[_; 1]>::try_from(files) {
        Ok([file]) => Ok(file),
        Err(files) => anyhow::bail!("{} files are attached", files.len()),
    }
}

/// The lines of a table, without how they are set.
fn lines_of(table: &str) -> Vec<Vec<&str>> {
    let lines = table.lines().map(|line| line.split_whitespace().collect());
    lines.collect()
}

/// Where files may not be attached, the thread says what it can, and that.
#[tokio::test(flavor = "multi_thread")]
async fn a_thread_without_the_permission_to_attach_goes_on() -> anyhow::Result<()> {
    let chatted = Chatted::start().await?;
    let discord = &chatted.discord;
    discord.permit(ids::CHANNEL, Permission::AttachFiles, false);
    let refloat = chatted.refloat()?;
    chatted.ready().await?;
    let request = chatted.ask().await?;
    let (thread, question) = chatted.question(&request).await?;
    let told = discord
        .message_with(thread, "Attach Files is missing")
        .await?;
    assert!(discord.files(told).is_empty());
    let pressed = discord.press(ids::GRACE, question, "Approve")?;
    discord.words(pressed).await?;
    chatted.until_phase(&request, Phase::Done).await?;
    refloat.stop().await?;
    chatted.check()?;
    chatted.world.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_pictures_and_logs_are_attached() -> anyhow::Result<()> {
    let chatted = Chatted::start().await?;
    let (world, discord) = (&chatted.world, &chatted.discord);
    world.break_tenant("poseidon1-dev").await?;
    let refloat = chatted.refloat()?;
    chatted.ready().await?;
    let tenant = world.here("poseidon1");

    // The whole table of a preview, which no message holds.
    let options = [
        ("tenant", tenant.as_str()),
        ("namespaces", "dev"),
        ("schedule", "daily"),
    ];
    let asked = discord.slash(ids::ADA, ids::CHANNEL, "restore preview", &options)?;
    let words = discord.words(asked).await?;
    assert!(words.contains("Nothing was touched"), "{words}");
    let (name, bytes) = only(discord.answer_files(asked))?;
    assert_eq!(name, format!("{tenant}-preview.txt"));
    let table = world.plain(&String::from_utf8(bytes)?);
    for row in [
        "lost for good ConfigMap poseidon1-dev/migration-left-over",
        "returns from the past ConfigMap poseidon1-dev/runtime-settings",
        "stays: belongs to the platform (Application poseidon1-tenant) LimitRange poseidon1-dev/tenant-limits",
    ] {
        let said = |line: &str| line.split_whitespace().eq(row.split_whitespace());
        assert!(table.lines().any(said), "{row} in:\n{table}");
    }

    // The overview as a picture.
    let asked = discord.slash(ids::ADA, ids::CHANNEL, "backups overview", &[])?;
    discord.words(asked).await?;
    let (name, bytes) = only(discord.answer_files(asked))?;
    assert_eq!(name, "backups.png");
    assert!(bytes.starts_with(b"\x89PNG\r\n\x1a\n") && bytes.len() > 1000);

    // Velero's log, to whoever asked for the restore.
    let request = chatted.ask().await?;
    let (thread, question) = chatted.question(&request).await?;
    // The whole table of what would become of each object, which the thread shows cut.
    let told = discord
        .message_with(thread, "the whole table is attached")
        .await?;
    let (name, bytes) = only(discord.files(told))?;
    assert_eq!(name, format!("{request}-inventory.txt"));
    let whole = world.plain(&String::from_utf8(bytes)?);
    assert_eq!(lines_of(&whole), lines_of(&table));
    let pressed = discord.press(ids::GRACE, question, "Approve")?;
    discord.words(pressed).await?;
    chatted.until_phase(&request, Phase::Done).await?;
    let asked = discord.slash(ids::ADA, thread, "restore log", &[])?;
    let words = discord.words(asked).await?;
    assert_eq!(words, format!("Velero's log of `{request}`:"));
    let (name, bytes) = only(discord.answer_files(asked))?;
    assert_eq!(name, format!("{request}.log"));
    let log = String::from_utf8(bytes)?;
    assert!(log.contains("level=info"), "{log}");

    // As text, it is the bot that attaches, which takes a permission.
    let say = || {
        let me = ids::BOT;
        discord.say(ids::ADA, thread, &format!("<@{me}> restore log"))
    };
    discord.permit(ids::CHANNEL, Permission::AttachFiles, false);
    say();
    let told = discord
        .message_with(thread, "Attach Files is missing")
        .await?;
    assert!(discord.files(told).is_empty());
    discord.permit(ids::CHANNEL, Permission::AttachFiles, true);
    say();
    let attached = discord
        .until(|| {
            discord
                .messages_with(thread, "Velero's log of")
                .into_iter()
                .find(|message| !discord.files(*message).is_empty())
        })
        .await;
    assert!(attached.is_some(), "{}", discord.shown(thread));
    refloat.stop().await?;
    chatted.check()?;
    chatted.world.end().await
}
