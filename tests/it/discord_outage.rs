//! Discord away, wrong or slow: the restore does not wait, the thread converges.
//!
//! Five minutes are shortened here: a restore in the harbour takes seconds, and Discord
//! fails for all of it, from the approval to past its end, which is what an outage of five
//! minutes is to a restore of five minutes. That Discord is asked ever more rarely
//! meanwhile is held by how often it is asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use harbour::discord::ids;
use harbour::gate::{Fate, Service};
use hyper::Response;
use refloat::request::Phase;

use crate::discord_world::Chatted;
use crate::refloat::until;

/// Discord answers nothing but errors from the approval to the end.
async fn fails_with(status: u16) -> anyhow::Result<()> {
    let chatted = Chatted::start().await?;
    let (world, discord) = (&chatted.world, &chatted.discord);
    let before = world.harbour.platform.snapshot().await?;
    let order = world.order("poseidon1").await?;
    world.break_tenant("poseidon1-dev").await?;
    let refloat = chatted.refloat()?;
    let name = chatted.ask().await?;
    let (thread, question) = chatted.question(&name).await?;
    let pressed = discord.press(ids::GRACE, question, "Approve")?;
    discord.words(pressed).await?;
    let failed = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&failed);
    let rule = world.harbour.gate.add(move |call| {
        if call.service != Service::Discord {
            return Fate::Pass;
        }
        counted.fetch_add(1, Ordering::SeqCst);
        let mut answer = Response::new(Bytes::from_static(
            b"{\"message\":\"no\",\"retry_after\":300.0,\"global\":false,\"code\":0}",
        ));
        *answer.status_mut() = hyper::StatusCode::from_u16(status).expect("a status");
        if status == 429 {
            answer.headers_mut().insert("retry-after", 300.into());
        }
        Fate::Answer(answer)
    });
    chatted.until_phase(&name, Phase::Done).await?;
    world.check_restored(&name, &before, &order).await?;
    let during = failed.load(Ordering::SeqCst);
    println!("{during} requests were answered with {status} while the restore ran");
    anyhow::ensure!(during <= 60, "{during} requests while Discord failed");
    world.harbour.gate.remove(rule);
    if status == 429 {
        // It is left alone for as long as it asked; a new process knows nothing of that.
        refloat.stop().await?;
        let refloat = chatted.refloat()?;
        discord.message_with(thread, "Done.").await?;
        until(|| async { Ok(discord.shown(thread).contains("(Approve) (Deny)")) }).await?;
        refloat.stop().await?;
    } else {
        discord.message_with(thread, "Done.").await?;
        until(|| async { Ok(discord.shown(thread).contains("(Approve) (Deny)")) }).await?;
        refloat.stop().await?;
    }
    chatted.check_thread(thread, "Done.")?;
    chatted.check()?;
    chatted.world.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn discord_answers_500() -> anyhow::Result<()> {
    fails_with(500).await
}

#[tokio::test(flavor = "multi_thread")]
async fn discord_answers_502() -> anyhow::Result<()> {
    fails_with(502).await
}

#[tokio::test(flavor = "multi_thread")]
async fn discord_answers_429() -> anyhow::Result<()> {
    fails_with(429).await
}
