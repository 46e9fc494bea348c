//! Approvals on Discord: by reaction and button, whose count, and when.

use harbour::discord::{Answer, ids};
use refloat::request::{Phase, phase};

use crate::discord_world::Chatted;
use crate::refloat::until;

const YES: &str = "\u{2705}";
const NO: &str = "\u{274c}";

async fn votes(chatted: &Chatted, name: &str) -> anyhow::Result<usize> {
    Ok(chatted.world.requests().get(name).await?.spec.votes.len())
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_reviewers_reaction_to_the_question_counts() -> anyhow::Result<()> {
    let chatted = Chatted::start().await?;
    let discord = &chatted.discord;
    let refloat = chatted.refloat()?;
    let name = chatted.ask().await?;
    let (thread, question) = chatted.question(&name).await?;

    // Neither the requester's, nor a stranger's: both are taken back with a word.
    for user in [ids::ADA, ids::MALLORY] {
        discord.react(user, question, YES);
        until(|| async { Ok(discord.reactions(question).is_empty()) }).await?;
    }
    discord
        .message_with(thread, "you are not a reviewer")
        .await?;
    discord
        .message_with(thread, "I do not know you here")
        .await?;
    // A bot's reaction, whatever its role, another mark, and one elsewhere mean nothing.
    discord.react(ids::ROBOT, question, YES);
    discord.react(ids::GRACE, question, "\u{1f440}");
    if let Some(card) = discord.card(thread) {
        discord.react(ids::GRACE, card, YES);
    }
    // What is said after them has been heard after them.
    let asked = discord.slash(ids::MALLORY, thread, "restore status", &[])?;
    discord.words(asked).await?;
    assert_eq!(votes(&chatted, &name).await?, 0);

    discord.react(ids::LINUS, question, YES);
    chatted.until_phase(&name, Phase::Done).await?;
    let request = chatted.world.requests().get(&name).await?;
    assert_eq!(
        request
            .status
            .and_then(|status| status.approved)
            .map(|approved| approved.by),
        Some("linus".to_owned())
    );
    refloat.stop().await?;
    chatted.check()?;
    chatted.world.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reviewer_without_the_role_is_none() -> anyhow::Result<()> {
    let chatted = Chatted::start().await?;
    let discord = &chatted.discord;
    let refloat = chatted.refloat()?;
    let name = chatted.ask().await?;
    let (_, question) = chatted.question(&name).await?;
    discord.set_roles(ids::GRACE, &[]);
    let pressed = discord.press(ids::GRACE, question, "Approve")?;
    let words = discord.words(pressed).await?;
    assert!(words.contains("you are not a reviewer"), "{words}");
    assert_eq!(votes(&chatted, &name).await?, 0);
    // The requester's own button.
    let pressed = discord.press(ids::ADA, question, "Approve")?;
    let words = discord.words(pressed).await?;
    assert!(words.contains("you are not a reviewer"), "{words}");
    refloat.stop().await?;
    chatted.check()?;
    chatted.world.end().await
}

/// The role is taken away between the click and the first delete.
#[tokio::test(flavor = "multi_thread")]
async fn a_role_taken_away_before_the_clearing_voids_the_approval() -> anyhow::Result<()> {
    use harbour::gate::{Fate, Service};
    let chatted = Chatted::start().await?;
    let (world, discord) = (&chatted.world, &chatted.discord);
    let before = world.harbour.platform.snapshot().await?;
    let refloat = chatted.refloat()?;
    let name = chatted.ask().await?;
    let (thread, question) = chatted.question(&name).await?;
    // The merge is late, so that there is a time between.
    let server = discord.clone();
    world.harbour.gate.add(move |call| {
        if call.service == Service::Github && call.writes() && call.path().ends_with("/merge") {
            server.set_roles(ids::GRACE, &[]);
        }
        Fate::Pass
    });
    let pressed = discord.press(ids::GRACE, question, "Approve")?;
    discord.words(pressed).await?;
    discord
        .message_with(thread, "may no longer approve")
        .await?;
    world.until_asked(&name).await?;
    let differences = before.differences(&world.harbour.platform.snapshot().await?);
    let deleted: Vec<_> = differences
        .iter()
        .filter(|difference| difference.contains("gone"))
        .collect();
    assert!(deleted.is_empty(), "{deleted:?}");
    // Another reviewer says yes to the new question.
    let again = discord
        .message_with(thread, "approve or deny again")
        .await?;
    let pressed = discord.press(ids::LINUS, again, "Approve")?;
    discord.words(pressed).await?;
    chatted.until_phase(&name, Phase::Done).await?;
    refloat.stop().await?;
    chatted.check()?;
    chatted.world.end().await
}

/// What was asked before something changed is no question any more, whoever marks it.
#[tokio::test(flavor = "multi_thread")]
async fn a_mark_on_an_old_question_counts_for_nothing() -> anyhow::Result<()> {
    let chatted = Chatted::start().await?;
    let (world, discord) = (&chatted.world, &chatted.discord);
    let refloat = chatted.refloat()?;
    let name = chatted.ask().await?;
    let (thread, first) = chatted.question(&name).await?;
    // Something new that nobody was shown, before the clearing.
    world.harbour.velero.faults().stall_backups(true);
    let pressed = discord.press(ids::GRACE, first, "Approve")?;
    discord.words(pressed).await?;
    chatted.until_phase(&name, Phase::Protecting).await?;
    world.config_map("poseidon1-dev", "newcomer").await?;
    world.harbour.velero.faults().stall_backups(false);
    let second = discord
        .message_with(thread, "approve or deny again")
        .await?;
    discord.react(ids::LINUS, first, YES);
    discord
        .message_with(thread, "has changed meanwhile")
        .await?;
    until(|| async { Ok(discord.reactions(first).is_empty()) }).await?;
    let status = world.requests().get(&name).await?.status;
    assert!(status.is_some_and(|status| status.approved.is_none()));
    discord.react(ids::LINUS, second, YES);
    chatted.until_phase(&name, Phase::Done).await?;
    refloat.stop().await?;
    chatted.check()?;
    chatted.world.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denial_asks_for_its_reason() -> anyhow::Result<()> {
    let chatted = Chatted::start().await?;
    let discord = &chatted.discord;
    let refloat = chatted.refloat()?;
    let name = chatted.ask().await?;
    let (thread, question) = chatted.question(&name).await?;
    let pressed = discord.press(ids::GRACE, question, "Deny")?;
    let Answer::Form(form) = discord.answer(pressed).await? else {
        anyhow::bail!("no form was shown");
    };
    let reason = "not today \u{202e}@everyone [look](https://evil.example) `now`";
    let sent = discord.submit(ids::GRACE, thread, &form, reason)?;
    let words = discord.words(sent).await?;
    assert!(words.starts_with("You deny"), "{words}");
    chatted.until_phase(&name, Phase::Denied).await?;
    discord.message_with(thread, "not today").await?;
    until(|| async { Ok(discord.shown(thread).contains("(Approve) (Deny)")) }).await?;
    assert!(discord.press(ids::LINUS, question, "Approve").is_err());
    // A client that shows an old state can still press it: nothing comes of it.
    let id = discord.custom_id(question, "Approve").unwrap_or_default();
    let pressed = discord.press_anyway(ids::LINUS, question, &id)?;
    let words = discord.words(pressed).await?;
    assert!(words.contains("does not wait for approval"), "{words}");
    let shown = discord.shown(thread);
    assert!(
        !shown.contains('\u{202e}') && !shown.contains("@everyone"),
        "{shown}"
    );
    assert_eq!(discord.pinged(thread), [format!("<@&{}>", ids::REVIEWERS)]);
    refloat.stop().await?;
    chatted.check()?;
    chatted.world.end().await
}

/// A cross denies at once, since a no must not wait; what it does not say, why, is
/// asked for in the thread.
#[tokio::test(flavor = "multi_thread")]
async fn a_cross_denies_and_is_asked_for_its_reason() -> anyhow::Result<()> {
    let chatted = Chatted::start().await?;
    let discord = &chatted.discord;
    let refloat = chatted.refloat()?;
    let name = chatted.ask().await?;
    let (thread, question) = chatted.question(&name).await?;
    // The command asks for one beforehand.
    let asked = discord.slash(ids::GRACE, thread, "deny", &[])?;
    assert!(matches!(discord.answer(asked).await?, Answer::Form(_)));
    // Neither whoever asked nor a stranger denies by it.
    for user in [ids::ADA, ids::MALLORY] {
        discord.react(user, question, NO);
        until(|| async { Ok(discord.reactions(question).is_empty()) }).await?;
    }
    assert_eq!(votes(&chatted, &name).await?, 0);

    discord.react(ids::GRACE, question, NO);
    chatted.until_phase(&name, Phase::Denied).await?;
    let why = discord
        .message_with(thread, "needs to know why you denied it")
        .await?;
    // A process that begins now still takes the reason.
    refloat.stop().await?;
    let refloat = chatted.refloat()?;
    chatted.ready().await?;
    let form = |user| async move {
        let pressed = discord.press(user, why, "Say why")?;
        let Answer::Form(form) = discord.answer(pressed).await? else {
            anyhow::bail!("no form was shown");
        };
        let sent = discord.submit(user, thread, &form, "the ledger is @everyone's, wait")?;
        discord.words(sent).await
    };
    // Only the one who denied it can say why.
    let words = form(ids::LINUS).await?;
    assert!(words.contains("does not wait for approval"), "{words}");
    let words = form(ids::GRACE).await?;
    assert!(words.starts_with("You said why you denied"), "{words}");
    discord
        .message_with(thread, "says why: the ledger is")
        .await?;
    until(|| async { Ok(discord.shown(thread).contains("(Say why)")) }).await?;
    assert!(!discord.shown(thread).contains("@everyone"));
    let request = chatted.world.requests().get(&name).await?;
    assert_eq!(
        request.spec.votes[0].reason.as_deref(),
        Some("the ledger is @everyone's, wait")
    );
    assert_eq!(discord.pinged(thread), [format!("<@&{}>", ids::REVIEWERS)]);
    refloat.stop().await?;
    chatted.check_thread(thread, "says why")?;
    chatted.check()?;
    chatted.world.end().await
}

/// Reactions of the time in which Refloat was down are read back at start, those
/// taken away as well.
#[tokio::test(flavor = "multi_thread")]
async fn reactions_made_while_nobody_listened_are_read_back() -> anyhow::Result<()> {
    let chatted = Chatted::start().await?;
    let discord = &chatted.discord;
    let refloat = chatted.refloat()?;
    let name = chatted.ask().await?;
    let (_, question) = chatted.question(&name).await?;
    refloat.stop().await?;
    discord.react(ids::GRACE, question, YES);
    let refloat = chatted.refloat()?;
    chatted.until_phase(&name, Phase::Done).await?;
    refloat.stop().await?;
    chatted.check()?;
    chatted.world.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_can_be_taken_back_until_something_is_deleted() -> anyhow::Result<()> {
    use harbour::gate::{Fate, Service};
    let chatted = Chatted::start().await?;
    let (world, discord) = (&chatted.world, &chatted.discord);
    let refloat = chatted.refloat()?;
    let name = chatted.ask().await?;
    let (thread, question) = chatted.question(&name).await?;
    // GitHub does not merge yet, so that there is time to think again.
    let rule = world.harbour.gate.add(|call| {
        if call.service == Service::Github && call.writes() && call.path().ends_with("/merge") {
            Fate::CutBefore
        } else {
            Fate::Pass
        }
    });
    discord.react(ids::GRACE, question, YES);
    until(|| async {
        let status = world.requests().get(&name).await?.status;
        Ok(status.is_some_and(|status| phase(&status) == Phase::Pausing))
    })
    .await?;
    // It is known by whom, which is what a taken back mark is compared with.
    until(|| async {
        let request = world.requests().get(&name).await?;
        let kept = request.metadata.annotations.unwrap_or_default();
        Ok(kept
            .get("refloat.dev/discord")
            .is_some_and(|kept| kept.contains("voted")))
    })
    .await?;
    refloat.stop().await?;
    discord.unreact(ids::GRACE, question, YES);
    let refloat = chatted.refloat()?;
    discord
        .message_with(thread, "grace took back the approval")
        .await?;
    assert_eq!(votes(&chatted, &name).await?, 0);
    world.harbour.gate.remove(rule);
    discord
        .message_with(thread, "grace may no longer approve")
        .await?;
    world.until_asked(&name).await?;
    refloat.stop().await?;
    chatted.check()?;
    chatted.world.end().await
}

/// A role gives tenants to somebody of the configuration, as long as they hold it.
#[tokio::test(flavor = "multi_thread")]
async fn a_role_gives_a_tenant() -> anyhow::Result<()> {
    let chatted = Chatted::start().await?;
    let (world, discord) = (&chatted.world, &chatted.discord);
    let tenant = world.here("poseidon1");
    let config = chatted.config(&format!(
        "roles: [{{ role: '{}', tenants: [{tenant}] }}]",
        ids::POSEIDON
    ))?;
    let refloat = crate::discord_world::OnDiscord::start(&config)?;
    chatted.ready().await?;
    let ask = || {
        discord.slash(
            ids::ODD,
            ids::CHANNEL,
            "restore request",
            &[
                ("tenant", tenant.as_str()),
                ("namespaces", "dev"),
                ("reason", "bad migration"),
            ],
        )
    };
    let words = discord.words(ask()?).await?;
    assert!(words.contains("You may not ask for restores"), "{words}");
    discord.set_roles(ids::ODD, &[ids::POSEIDON]);
    let words = discord.words(ask()?).await?;
    assert!(words.starts_with("Your request is"), "{words}");
    let name = words.split('`').nth(1).unwrap_or_default().to_owned();
    world.until_asked(&name).await?;
    refloat.stop().await?;
    chatted.check()?;
    chatted.world.end().await
}
