//! What the service itself does, and counts, for tests.

use std::time::Duration;

use anyhow::Context as _;
use serde_json::json;

use super::REFLOAT_DISCORD_TOKEN;
use super::server::Server;
use super::state::{Limits, Out, Seen};

impl Server {
    /// The bot's new messages are made so much older than they are.
    pub fn backdate(&self, by: Duration) {
        self.hub.lock().backdated = by;
    }

    /// What was counted.
    pub fn seen(&self) -> Seen {
        self.hub.lock().seen
    }

    /// Begins to count the busiest second and the 429s anew.
    pub fn count_anew(&self) {
        let mut state = self.hub.lock();
        state.seen.busiest_second = 0;
        state.seen.limited = 0;
        state.seen.requests = 0;
        state.edits.clear();
    }

    /// Requests that the published description does not allow.
    pub fn violations(&self) -> Vec<String> {
        self.hub.lock().violations.clone()
    }

    pub fn limits(&self) -> Limits {
        self.hub.lock().limits
    }

    pub fn set_limits(&self, limits: Limits) {
        self.hub.lock().limits = limits;
    }

    /// Gives out another token; the one before is worth nothing any more.
    pub fn set_token(&self, token: Option<&str>) {
        token
            .unwrap_or(REFLOAT_DISCORD_TOKEN)
            .clone_into(&mut self.hub.lock().token);
    }

    /// Whether the application has been granted the privileged intents.
    pub fn grant_privileged(&self, granted: bool) {
        self.hub.lock().privileged = granted;
    }

    /// Whether the bot has a session with a connection.
    pub fn is_connected(&self) -> bool {
        self.hub
            .lock()
            .session
            .as_ref()
            .is_some_and(|session| session.line.as_ref().is_some_and(|line| !line.is_closed()))
    }

    /// Waits until the bot is connected.
    pub async fn connected(&self) -> anyhow::Result<()> {
        self.until(|| self.is_connected().then_some(()))
            .await
            .context("the bot never connected")
    }

    fn out(&self, out: Out) {
        if let Some(session) = &mut self.hub.lock().session
            && let Some(line) = session.line.take()
        {
            let _ = line.send(out);
        }
    }

    /// Cuts the gateway's connection; the session can be resumed.
    pub fn cut(&self) {
        self.out(Out::Cut);
    }

    /// Closes the gateway's connection with a code.
    pub fn close(&self, code: u16) {
        self.out(Out::Close(code));
    }

    /// Ends the session: it cannot be resumed.
    pub fn invalidate(&self) {
        let mut state = self.hub.lock();
        if let Some(session) = &mut state.session {
            session.resumable = false;
            session.say(&json!({ "op": 9, "s": null, "t": null, "d": false }).to_string());
        }
    }

    /// Asks the bot to connect anew.
    pub fn ask_to_reconnect(&self) {
        if let Some(session) = &mut self.hub.lock().session {
            session.say(&json!({ "op": 7, "s": null, "t": null, "d": null }).to_string());
        }
    }

    /// Cuts each connection to the gateway at once, or lets them be.
    pub fn be_deaf(&self, deaf: bool) {
        self.hub.lock().deaf = deaf;
    }

    /// Sends each event twice, or once.
    pub fn double_events(&self, doubled: bool) {
        self.hub.lock().doubled = doubled;
    }

    /// Keeps events back.
    pub fn hold_events(&self) {
        self.hub.lock().held = Some(Vec::new());
    }

    /// Sends what was kept back, the last first.
    pub fn release_reversed(&self) {
        let mut state = self.hub.lock();
        let held = state.held.take().unwrap_or_default();
        if let Some(session) = &mut state.session {
            for (_, text) in held.iter().rev() {
                session.say(text);
            }
        }
    }
}
