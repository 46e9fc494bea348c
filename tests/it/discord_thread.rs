//! The thread matches the request, whatever is done to it.

use std::time::Duration;

use harbour::discord::{Permission, ids};
use refloat::request::Phase;

use crate::discord_world::{Chatted, OnDiscord};
use crate::refloat::until;

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_card_comes_back_and_a_sleeping_thread_wakes() -> anyhow::Result<()> {
    let chatted = Chatted::start().await?;
    let discord = &chatted.discord;
    let refloat = chatted.refloat()?;
    let name = chatted.ask().await?;
    let (thread, question) = chatted.question(&name).await?;
    let card = discord.card(thread).expect("there is a card");
    discord.delete_message(card);
    until(|| async { Ok(discord.card(thread).is_some_and(|new| new != card)) }).await?;
    // Twice as well.
    let second = discord.card(thread).expect("there is a card");
    discord.delete_message(second);
    until(|| async { Ok(discord.card(thread).is_some_and(|new| new != second)) }).await?;

    discord.set_thread(thread, true, false);
    let pressed = discord.press(ids::GRACE, question, "Approve")?;
    discord.words(pressed).await?;
    chatted.until_phase(&name, Phase::Done).await?;
    discord.message_with(thread, "Done.").await?;
    until(|| async { Ok(discord.shown(thread).contains("(Approve) (Deny)")) }).await?;
    refloat.stop().await?;
    chatted.check_thread(thread, "Done.")?;
    chatted.check()?;
    chatted.world.end().await
}

/// Discord takes few edits of a message over an hour old: the card is sent anew then,
/// and the old one taken down, so that there is one, at the end.
#[tokio::test(flavor = "multi_thread")]
async fn an_old_card_is_sent_anew() -> anyhow::Result<()> {
    let chatted = Chatted::start().await?;
    let discord = &chatted.discord;
    let refloat = chatted.refloat()?;
    chatted.ready().await?;
    discord.backdate(Duration::from_hours(2));
    let name = chatted.ask().await?;
    let (thread, question) = chatted.question(&name).await?;
    let card = discord.card(thread).expect("there is a card");
    discord.backdate(Duration::ZERO);
    let pressed = discord.press(ids::GRACE, question, "Approve")?;
    discord.words(pressed).await?;
    until(|| async { Ok(discord.card(thread).is_some_and(|new| new != card)) }).await?;
    chatted.until_phase(&name, Phase::Done).await?;
    discord.message_with(thread, "Done.").await?;
    until(|| async { Ok(discord.shown(thread).contains("(Approve) (Deny)")) }).await?;
    until(|| async {
        let card = discord.card(thread).and_then(|card| discord.embed(card));
        Ok(card.is_some_and(|card| card["color"] == 0x2e_a0_43))
    })
    .await?;
    refloat.stop().await?;
    assert_eq!(discord.edits_of(card), 0, "it was gone");
    assert_eq!(discord.seen().limited, 0);
    chatted.check_thread(thread, "Done.")?;
    chatted.check()?;
    chatted.world.end().await
}

/// The channel is gone before there is a thread: it is told once where the
/// configuration says, and the restore goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_removed_channel_is_told_once_and_the_restore_goes_on() -> anyhow::Result<()> {
    let chatted = Chatted::start().await?;
    let (world, discord) = (&chatted.world, &chatted.discord);
    let other = ids::OTHER_CHANNEL;
    let config = chatted.config(&format!("troubleChannel: '{other}', channels: ['{other}']"))?;
    let refloat = OnDiscord::start(&config)?;
    chatted.ready().await?;
    discord.delete_channel(ids::CHANNEL);
    let tenant = world.here("poseidon1");
    let options = [
        ("tenant", tenant.as_str()),
        ("namespaces", "dev"),
        ("reason", "bad migration"),
    ];
    let asked = discord.slash(ids::ADA, other, "restore request", &options)?;
    let words = discord.words(asked).await?;
    let name = words.split('`').nth(1).unwrap_or_default().to_owned();
    discord.message_with(other, "is gone, so that").await?;
    world.until_asked(&name).await?;
    let approve = [("request", name.as_str())];
    let asked = discord.slash(ids::GRACE, other, "approve", &approve)?;
    let words = discord.words(asked).await?;
    assert!(words.starts_with("You approve"), "{words}");
    chatted.until_phase(&name, Phase::Done).await?;
    refloat.stop().await?;
    // Nor is it told again by the next process.
    let refloat = OnDiscord::start(&config)?;
    chatted.ready().await?;
    let asked = discord.slash(ids::ADA, other, "restore status", &approve)?;
    let words = discord.words(asked).await?;
    assert!(words.contains("Done"), "{words}");
    refloat.stop().await?;
    let told: Vec<_> = discord.messages_with(other, "is gone, so that");
    assert_eq!(told.len(), 1, "{}", discord.shown(other));
    chatted.check()?;
    chatted.world.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_thread_is_told_once_and_the_restore_goes_on() -> anyhow::Result<()> {
    let chatted = Chatted::start().await?;
    let discord = &chatted.discord;
    let refloat = chatted.refloat()?;
    let name = chatted.ask().await?;
    let (thread, question) = chatted.question(&name).await?;
    discord.set_thread(thread, true, true);
    let pressed = discord.press(ids::GRACE, question, "Approve")?;
    discord.words(pressed).await?;
    chatted.until_phase(&name, Phase::Done).await?;
    discord.message_with(ids::CHANNEL, "is locked").await?;
    refloat.stop().await?;
    // It is not told again at the next start, and what was missed is said once
    // the thread can be written to.
    let refloat = chatted.refloat()?;
    chatted.ready().await?;
    discord.set_thread(thread, false, false);
    discord.message_with(thread, "Done.").await?;
    assert_eq!(discord.messages_with(ids::CHANNEL, "is locked").len(), 1);
    refloat.stop().await?;
    chatted.check_thread(thread, "Done.")?;
    chatted.check()?;
    chatted.world.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_thread_is_told_once_and_the_restore_goes_on() -> anyhow::Result<()> {
    let chatted = Chatted::start().await?;
    let discord = &chatted.discord;
    let refloat = chatted.refloat()?;
    let name = chatted.ask().await?;
    let (thread, _) = chatted.question(&name).await?;
    discord.delete_channel(thread);
    discord.message_with(ids::CHANNEL, "was deleted").await?;
    let asked = discord.slash(
        ids::GRACE,
        ids::CHANNEL,
        "approve",
        &[("request", name.as_str())],
    )?;
    discord.words(asked).await?;
    chatted.until_phase(&name, Phase::Done).await?;
    assert_eq!(discord.messages_with(ids::CHANNEL, "was deleted").len(), 1);
    refloat.stop().await?;
    chatted.check()?;
    chatted.world.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_permission_is_told_and_what_was_missed_is_said_later() -> anyhow::Result<()> {
    let chatted = Chatted::start().await?;
    let discord = &chatted.discord;
    let refloat = chatted.refloat()?;
    chatted.ready().await?;
    discord.permit(ids::CHANNEL, Permission::CreatePublicThreads, false);
    let name = chatted.ask().await?;
    discord
        .message_with(ids::CHANNEL, "I may not write the thread")
        .await?;
    let asked = discord.slash(
        ids::GRACE,
        ids::CHANNEL,
        "approve",
        &[("request", name.as_str())],
    )?;
    // It may be too early for an approval still.
    discord.words(asked).await?;
    chatted.world.until_asked(&name).await?;
    discord.permit(ids::CHANNEL, Permission::CreatePublicThreads, true);
    let (thread, question) = chatted.question(&name).await?;
    let pressed = discord.press(ids::GRACE, question, "Deny");
    assert!(pressed.is_ok() || discord.shown(thread).contains("Approved"));
    assert_eq!(
        discord
            .messages_with(ids::CHANNEL, "I may not write the thread")
            .len(),
        1
    );
    refloat.stop().await?;
    chatted.check()?;
    chatted.world.end().await
}
