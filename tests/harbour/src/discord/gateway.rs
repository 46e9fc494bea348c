//! The gateway: hello, identify, heartbeats, resume, and the ways in which a
//! session ends.

use std::sync::Arc;

use futures::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_util::sync::CancellationToken;

use super::ids;
use super::server::Hub;
use super::state::{Out, Session};

/// Members, presences and the content of messages need to be granted.
const PRIVILEGED: u64 = (1 << 1) | (1 << 8) | (1 << 15);

pub(super) async fn listen(hub: Arc<Hub>, listener: TcpListener, stop: CancellationToken) {
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else { continue };
        let hub = Arc::clone(&hub);
        let stop = stop.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = serve(&hub, stream) => {}
            }
        });
    }
}

/// What is done after a frame of the client.
enum Next {
    Go,
    Say(Value),
    Close(u16),
}

async fn serve(hub: &Hub, stream: TcpStream) {
    let heartbeat = {
        let mut state = hub.lock();
        state.seen.connections += 1;
        if state.deaf {
            return;
        }
        state.limits.heartbeat
    };
    let _ = stream.set_nodelay(true);
    let Ok(mut socket) = tokio_tungstenite::accept_async(stream).await else {
        return;
    };
    let interval = u64::try_from(heartbeat.as_millis()).unwrap_or(u64::MAX);
    let hello = json!({ "op": 10, "s": null, "t": null, "d": { "heartbeat_interval": interval } });
    if socket.send(Frame::Text(hello.to_string())).await.is_err() {
        return;
    }
    let mut line: Option<UnboundedReceiver<Out>> = None;
    loop {
        let out = tokio::select! {
            frame = socket.next() => match frame {
                Some(Ok(Frame::Text(text))) => match hub.read(&text, &mut line) {
                    Next::Go => continue,
                    Next::Say(value) => Out::Text(value.to_string()),
                    Next::Close(code) => Out::Close(code),
                },
                Some(Ok(Frame::Close(frame))) => {
                    // A client that says 1000 or 1001 gives its session up.
                    if frame.is_some_and(|frame| matches!(u16::from(frame.code), 1000 | 1001)) {
                        hub.lock().session = None;
                    }
                    let _ = socket.close(None).await;
                    return;
                }
                Some(Ok(_)) => continue,
                Some(Err(_)) | None => return,
            },
            out = next(&mut line) => match out {
                Some(out) => out,
                // Another connection has taken the session over.
                None => return,
            },
        };
        let sent = match out {
            Out::Text(text) => socket.send(Frame::Text(text)).await,
            Out::Close(code) => {
                let frame = CloseFrame {
                    code: code.into(),
                    reason: "closed by the harbour".into(),
                };
                let _ = socket.close(Some(frame)).await;
                // Read to its end, so that the frame is not lost with the connection.
                while let Some(Ok(_)) = socket.next().await {}
                return;
            }
            Out::Cut => return,
        };
        if sent.is_err() {
            return;
        }
    }
}

async fn next(line: &mut Option<UnboundedReceiver<Out>>) -> Option<Out> {
    match line {
        Some(line) => line.recv().await,
        None => std::future::pending().await,
    }
}

impl Hub {
    fn read(&self, text: &str, line: &mut Option<UnboundedReceiver<Out>>) -> Next {
        let Ok(frame) = serde_json::from_str::<Value>(text) else {
            return Next::Close(4002);
        };
        let data = &frame["d"];
        let next = match frame["op"].as_u64() {
            Some(1) => Next::Say(json!({ "op": 11, "s": null, "t": null, "d": null })),
            Some(2) if line.is_some() => Next::Close(4005),
            Some(2) => self.identify(data, line),
            Some(6) => self.resume(data, line),
            Some(3) => Next::Go,
            _ => Next::Close(4001),
        };
        self.changed.notify_waiters();
        next
    }

    fn identify(&self, data: &Value, line: &mut Option<UnboundedReceiver<Out>>) -> Next {
        let mut state = self.lock();
        state.seen.identifies += 1;
        if data["token"].as_str() != Some(&format!("Bot {}", state.token))
            && data["token"].as_str() != Some(&state.token)
        {
            return Next::Close(4004);
        }
        let intents = data["intents"].as_u64().unwrap_or_default();
        if intents & PRIVILEGED != 0 && !state.privileged {
            return Next::Close(4014);
        }
        let (sender, receiver) = unbounded_channel();
        *line = Some(receiver);
        let id = state.id().to_string();
        state.session = Some(Session {
            id: id.clone(),
            intents,
            resumable: true,
            line: Some(sender),
            ..Session::default()
        });
        let mut me = state.user(ids::BOT);
        me["verified"] = json!(true);
        me["mfa_enabled"] = json!(false);
        let ready = json!({
            "v": 10,
            "user": me,
            "guilds": [{ "id": ids::GUILD.to_string(), "unavailable": true }],
            "session_id": id,
            "resume_gateway_url": self.gateway_url(),
            "shard": [0, 1],
            "application": { "id": ids::BOT.to_string(), "flags": 0 },
        });
        state.send("READY", &ready);
        Next::Go
    }

    fn resume(&self, data: &Value, line: &mut Option<UnboundedReceiver<Out>>) -> Next {
        let mut state = self.lock();
        let seq = data["seq"].as_u64().unwrap_or_default();
        let invalid = Next::Say(json!({ "op": 9, "s": null, "t": null, "d": false }));
        let Some(session) = &mut state.session else {
            return invalid;
        };
        if data["session_id"].as_str() != Some(&session.id) || !session.resumable {
            state.session = None;
            return invalid;
        }
        let (sender, receiver) = unbounded_channel();
        *line = Some(receiver);
        session.line = Some(sender);
        let missed: Vec<String> = session
            .log
            .iter()
            .filter(|(at, _)| *at > seq)
            .map(|(_, text)| text.clone())
            .collect();
        for text in missed {
            session.say(&text);
        }
        state.seen.resumes += 1;
        state.send("RESUMED", &json!({}));
        Next::Go
    }
}
