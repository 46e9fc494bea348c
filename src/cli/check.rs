//! `refloat check`: whether the configuration is good, and true of the chat.

use std::io::Write;
use std::path::Path;

use anyhow::Context as _;

use crate::chat::discord::Discord;
use crate::config::{Chat, Config};
use crate::effects::Clients;

/// Writes what was looked at, a line each. Errors if anything is not as it must be.
pub fn run(path: &Path, out: &mut dyn Write) -> anyhow::Result<()> {
    let config = Config::load(path)?;
    writeln!(out, "ok: {} is read", path.display())?;
    let Chat::Discord(section) = &config.chat else {
        return Ok(());
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the runtime cannot be started")?;
    let checked = runtime.block_on(async {
        let kube = Clients::connect(&config).await?.kube;
        let chat = Discord::new(section, kube, &config.namespace)?;
        anyhow::Ok(chat.check(&config.policy.people).await)
    })?;
    let mut wrong = 0;
    for one in &checked {
        wrong += usize::from(!one.good);
        writeln!(
            out,
            "{}: {}",
            if one.good { "ok" } else { "wrong" },
            one.words
        )?;
    }
    anyhow::ensure!(wrong == 0, "{wrong} to put right");
    Ok(())
}
