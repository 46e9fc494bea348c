//! The life of the gateway's connection.

use std::time::Duration;

use harbour::discord::ids;
use refloat::request::Phase;

use crate::discord_world::{Chatted, OnDiscord};
use crate::refloat::until;

/// Cut in every phase, it is resumed, and the restore goes on.
#[tokio::test(flavor = "multi_thread")]
async fn cut_in_every_phase_it_is_resumed() -> anyhow::Result<()> {
    let chatted = Chatted::start().await?;
    let (world, discord) = (&chatted.world, &chatted.discord);
    let refloat = chatted.refloat()?;
    let name = chatted.ask().await?;
    let (thread, question) = chatted.question(&name).await?;
    discord.cut();
    // Said while there is no connection: it is replayed, and fresh enough.
    let pressed = discord.press(ids::GRACE, question, "Approve")?;
    discord.words(pressed).await?;
    let mut cuts = 1;
    let mut last = None;
    loop {
        let status = world
            .requests()
            .get(&name)
            .await?
            .status
            .unwrap_or_default();
        let phase = refloat::request::phase(&status);
        if last != Some(phase) {
            last = Some(phase);
            if discord.is_connected() {
                discord.cut();
                cuts += 1;
            }
        }
        if phase == Phase::Done {
            break;
        }
        anyhow::ensure!(!phase.is_over(), "{phase:?}: {:?}", status.ending);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    discord.message_with(thread, "Done.").await?;
    discord.connected().await?;
    let seen = discord.seen();
    println!("{cuts} cuts: {seen:?}");
    assert_eq!(seen.identifies, 1, "each was resumed");
    refloat.stop().await?;
    chatted.check_thread(thread, "Done.")?;
    chatted.check()?;
    chatted.world.end().await
}

/// Asked to reconnect, closed with a code that allows it, or its session ended.
#[tokio::test(flavor = "multi_thread")]
async fn each_way_to_lose_a_connection_is_got_over() -> anyhow::Result<()> {
    let chatted = Chatted::start().await?;
    let discord = &chatted.discord;
    let refloat = chatted.refloat()?;
    let still_there = async || {
        discord.connected().await?;
        // An event may get lost with a connection: somebody would say it again.
        until(|| async {
            let asked = discord.slash(ids::ADA, ids::CHANNEL, "refloat about", &[])?;
            let words = discord.words(asked);
            Ok(tokio::time::timeout(Duration::from_secs(2), words)
                .await
                .is_ok_and(|words| words.is_ok()))
        })
        .await
    };
    chatted.ready().await?;
    let resumes = discord.seen().resumes;
    discord.ask_to_reconnect();
    until(|| async { Ok(discord.seen().resumes > resumes) }).await?;
    still_there().await?;
    let resumes = discord.seen().resumes;
    discord.close(4000);
    until(|| async { Ok(discord.seen().resumes > resumes) }).await?;
    still_there().await?;
    let identifies = discord.seen().identifies;
    discord.invalidate();
    until(|| async { Ok(discord.seen().identifies > identifies) }).await?;
    still_there().await?;
    assert_eq!(discord.seen().registrations, 1);
    refloat.stop().await?;
    chatted.check()?;
    chatted.world.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_token_and_a_missing_intent_are_named() -> anyhow::Result<()> {
    let chatted = Chatted::start().await?;
    let discord = &chatted.discord;
    // Not granted.
    let refloat = OnDiscord::start(&chatted.config("messageContent: true")?)?;
    let ended = refloat.ended().await;
    let why = ended.expect_err("it cannot run").to_string();
    assert!(
        why.contains("4014") && why.contains("messageContent"),
        "{why}"
    );
    // Granted, a line in a request's thread needs no mention.
    discord.grant_privileged(true);
    let refloat = OnDiscord::start(&chatted.config("messageContent: true")?)?;
    let name = chatted.ask().await?;
    let (thread, _) = chatted.question(&name).await?;
    discord.say(ids::GRACE, thread, "looks good to me");
    discord.say(ids::GRACE, thread, "deny too late in the day");
    chatted.until_phase(&name, Phase::Denied).await?;
    refloat.stop().await?;
    discord.set_token(Some("another"));
    let refloat = OnDiscord::start(&chatted.config("")?)?;
    let ended = refloat.ended().await;
    let why = ended.expect_err("it cannot run").to_string();
    assert!(why.contains("token"), "{why}");
    chatted.check()?;
    chatted.world.end().await
}

/// No gateway at all: the restore is carried through, and people are heard again
/// when it is back.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_gateway_the_restore_goes_on() -> anyhow::Result<()> {
    let chatted = Chatted::start().await?;
    let (world, discord) = (&chatted.world, &chatted.discord);
    let refloat = chatted.refloat()?;
    let name = chatted.ask().await?;
    let (thread, question) = chatted.question(&name).await?;
    let pressed = discord.press(ids::GRACE, question, "Approve")?;
    discord.words(pressed).await?;
    discord.be_deaf(true);
    discord.cut();
    chatted.until_phase(&name, Phase::Done).await?;
    discord.message_with(thread, "Done.").await?;
    assert!(refloat.runs());
    let connections = discord.seen().connections;
    println!("{connections} connections were tried");
    discord.be_deaf(false);
    discord.connected().await?;
    refloat.stop().await?;
    chatted.check_thread(thread, "Done.")?;
    chatted.check()?;
    let _ = world;
    chatted.world.end().await
}

/// Events in the reverse order mean what happened, not what came last.
#[tokio::test(flavor = "multi_thread")]
async fn reordered_marks_mean_what_is_there() -> anyhow::Result<()> {
    let chatted = Chatted::start().await?;
    let discord = &chatted.discord;
    let refloat = chatted.refloat()?;
    let name = chatted.ask().await?;
    let (thread, question) = chatted.question(&name).await?;
    discord.hold_events();
    discord.react(ids::GRACE, question, "\u{2705}");
    discord.unreact(ids::GRACE, question, "\u{2705}");
    discord.release_reversed();
    let asked = discord.slash(ids::GRACE, thread, "restore status", &[])?;
    discord.words(asked).await?;
    let request = chatted.world.requests().get(&name).await?;
    assert!(request.spec.votes.is_empty(), "{:?}", request.spec.votes);
    refloat.stop().await?;
    chatted.check()?;
    chatted.world.end().await
}

/// With hardly an identify left, none is spent; the threads are kept up all the same.
#[tokio::test(flavor = "multi_thread")]
async fn identifies_are_saved() -> anyhow::Result<()> {
    use harbour::discord::Limits;
    let chatted = Chatted::start().await?;
    let (world, discord) = (&chatted.world, &chatted.discord);
    discord.set_limits(Limits {
        identifies: 5,
        ..discord.limits()
    });
    let refloat = chatted.refloat()?;
    let request = serde_json::from_value(serde_json::json!({
        "apiVersion": "refloat.dev/v1alpha1",
        "kind": "RestoreRequest",
        "metadata": { "name": "by-hand" },
        "spec": {
            "tenant": world.here("poseidon1"),
            "namespaces": [world.here("poseidon1-dev")],
            "source": { "schedule": "daily" },
            "reason": "bad migration",
            "requester": { "chat": "discord", "id": ids::ADA.to_string(), "name": "Ada" },
        },
    }))?;
    world
        .requests()
        .create(&kube::api::PostParams::default(), &request)
        .await?;
    chatted.question("by-hand").await?;
    assert_eq!(discord.seen().connections, 0);
    assert!(refloat.runs());
    refloat.stop().await?;
    chatted.check()?;
    chatted.world.end().await
}
