//! The thread matches the request, whatever is done to it.

use harbour::discord::{Permission, ids};
use refloat::request::Phase;

use crate::discord_world::Chatted;
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
