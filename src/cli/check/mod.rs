//! `refloat check`: whether the configuration is good, and true of every service.
//! It only asks, and changes nothing.

mod cluster;
mod github;
mod rights;

use std::io::Write;
use std::path::Path;

use anyhow::Context as _;
use serde::Serialize;

use crate::chat::discord::Discord;
use crate::config::{Chat, Config};
use crate::effects::Clients;

/// How the findings are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Output {
    /// A table for people.
    Text,
    /// One JSON document: a list of findings.
    Json,
}

/// How something stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Ok,
    /// Refloat works, and somebody should know.
    Warning,
    /// Refloat does not work as it is configured.
    Wrong,
}

/// Something that was looked at.
#[derive(Clone, Debug, Serialize)]
struct Finding {
    /// Which service it is about.
    about: &'static str,
    state: State,
    /// What was found; and, if it is wrong, what to do.
    what: String,
}

/// Findings about one service.
struct Findings<'a> {
    about: &'static str,
    all: &'a mut Vec<Finding>,
}

impl Findings<'_> {
    fn add(&mut self, state: State, what: impl Into<String>) {
        self.all.push(Finding {
            about: self.about,
            state,
            what: what.into(),
        });
    }

    fn ok(&mut self, what: impl Into<String>) {
        self.add(State::Ok, what);
    }

    fn warn(&mut self, what: impl Into<String>) {
        self.add(State::Warning, what);
    }

    fn wrong(&mut self, what: impl Into<String>) {
        self.add(State::Wrong, what);
    }

    fn judge(&mut self, good: bool, ok: impl Into<String>, wrong: impl Into<String>) {
        if good {
            self.ok(ok);
        } else {
            self.wrong(wrong);
        }
    }
}

/// A clock that is further off than this makes deadlines wrong by as much.
const MOST_SKEW: i64 = 5;

/// Writes what was found, and errs if anything that is required is not as it must be.
pub fn run(path: &Path, output: Output, out: &mut dyn Write) -> anyhow::Result<()> {
    let config = Config::load(path)?;
    let mut all = Vec::new();
    let mut findings = Findings {
        about: "configuration",
        all: &mut all,
    };
    findings.ok(format!("{} is read", path.display()));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the runtime cannot be started")?;
    runtime.block_on(ask(&config, &mut all))?;
    match output {
        Output::Text => table(&all, out)?,
        Output::Json => writeln!(out, "{}", serde_json::to_string_pretty(&all)?)?,
    }
    let wrong = all.iter().filter(|it| it.state == State::Wrong).count();
    anyhow::ensure!(wrong == 0, "{wrong} to put right");
    Ok(())
}

/// Asks every service. An error is one of this process; what a service says is found.
async fn ask(config: &Config, all: &mut Vec<Finding>) -> anyhow::Result<()> {
    let clients = Clients::connect(config).await?;
    let mut findings = Findings {
        about: "kubernetes",
        all,
    };
    cluster::kubernetes(&mut findings, config, &clients).await;
    findings.about = "github";
    let orders = github::ask(&mut findings, config, &clients).await;
    findings.about = "velero";
    cluster::velero(&mut findings, config, &clients).await;
    findings.about = "argocd";
    cluster::argocd(&mut findings, config, &clients, &orders).await;
    findings.about = "rights";
    rights::ask(&mut findings, config, &clients.kube, &orders).await;
    if let Chat::Discord(section) = &config.chat {
        findings.about = "discord";
        let chat = Discord::new(section, clients.kube.clone(), &config.namespace)?;
        for one in chat.check(&config.policy.people).await {
            let state = if one.good { State::Ok } else { State::Wrong };
            findings.add(state, one.words);
        }
    }
    Ok(())
}

fn table(all: &[Finding], out: &mut dyn Write) -> anyhow::Result<()> {
    let widest = all.iter().map(|finding| finding.about.len()).max();
    let widest = widest.unwrap_or_default();
    for finding in all {
        let state = match finding.state {
            State::Ok => console::style("ok     ").green(),
            State::Warning => console::style("warning").yellow(),
            State::Wrong => console::style("wrong  ").red(),
        };
        // Of what is found, each further line belongs to the first.
        let margin = format!("\n{:widest$}           ", "");
        let what = finding.what.replace('\n', &margin);
        writeln!(out, "{:widest$}  {state}  {what}", finding.about)?;
    }
    Ok(())
}

/// Says by how much somebody's clock and this one differ.
fn clock(findings: &mut Findings<'_>, whose: &str, skew: i64) {
    if skew.abs() <= MOST_SKEW {
        findings.ok(format!("the clock of {whose} and this one agree"));
    } else {
        let (by, how) = (skew.abs(), if skew > 0 { "ahead of" } else { "behind" });
        findings.warn(format!(
            "the clock of {whose} is {by} s {how} this one: deadlines are wrong by as much"
        ));
    }
}
