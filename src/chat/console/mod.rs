//! The console as a chat: lines in, the thread out.
//!
//! A line is said by the configured user; `as NAME: text` is said by somebody
//! else. On a terminal the card is redrawn in place; on a pipe each change that
//! a reader cares for is a line or a card of its own.

mod screen;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context as _;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::Mutex;

use self::screen::{Pipe, Terminal};
use super::{Answer, Attachment, Chat, Incoming, Thread, put};
use crate::notify::Post;
use crate::request::Person;

/// How a console behaves.
#[derive(Clone, Debug)]
pub struct ConsoleOptions {
    /// Who says a line that does not say so itself.
    pub user: String,
    /// The zone of the clock times before messages.
    pub time_zone: TimeZone,
    /// Set if the output is a terminal: gives its rows and columns. If it is
    /// not, nothing is drawn in place and there are no colours.
    pub terminal: Option<fn() -> (u16, u16)>,
    /// The chat ends when the input does. Otherwise nothing more is said, and
    /// the thread goes on being shown.
    pub end_on_eof: bool,
}

/// A chat of one window.
pub struct Console<R, W> {
    options: ConsoleOptions,
    /// Distinguishes the messages of this console from those of an earlier start.
    start: String,
    lines: AtomicU64,
    input: Mutex<Input<R>>,
    output: Mutex<Output<W>>,
}

struct Input<R> {
    reader: R,
    /// What was read of a line whose end has not come yet; kept here so that a
    /// reading that is dropped loses nothing.
    line: Vec<u8>,
}

struct Output<W> {
    writer: W,
    view: View,
    /// The keys of the messages that were shown, by request.
    shown: HashMap<String, Vec<String>>,
    /// The ids of the posts that were shown.
    posted: HashSet<String>,
}

enum View {
    Pipe(Pipe),
    Terminal(Terminal),
}

impl<R, W> fmt::Debug for Console<R, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Console")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl<R, W> Console<R, W>
where
    R: AsyncBufRead + Unpin + Send,
    W: AsyncWrite + Unpin + Send,
{
    /// A console that reads `input` and writes `output`.
    pub fn new(input: R, output: W, options: ConsoleOptions) -> Self {
        static STARTED: AtomicU64 = AtomicU64::new(0);
        let view = match options.terminal {
            Some(size) => View::Terminal(Terminal::new(size)),
            None => View::Pipe(Pipe::default()),
        };
        Self {
            start: format!(
                "{:x}-{:x}-{}",
                Timestamp::now().as_microsecond(),
                std::process::id(),
                STARTED.fetch_add(1, Ordering::Relaxed)
            ),
            lines: AtomicU64::new(0),
            input: Mutex::new(Input {
                reader: input,
                line: Vec::new(),
            }),
            output: Mutex::new(Output {
                writer: output,
                view,
                shown: HashMap::new(),
                posted: HashSet::new(),
            }),
            options,
        }
    }

    /// The next line; `None` at the end of the input.
    async fn line(&self) -> Option<String> {
        let mut input = self.input.lock().await;
        let Input { reader, line } = &mut *input;
        match reader.read_until(b'\n', line).await {
            Ok(_) if line.is_empty() => None,
            Ok(_) => Some(String::from_utf8_lossy(&std::mem::take(line)).into_owned()),
            Err(error) => {
                tracing::warn!(%error, "the console cannot be read");
                None
            }
        }
    }
}

impl<W: AsyncWrite + Unpin> Output<W> {
    async fn write(&mut self, text: &str) -> anyhow::Result<()> {
        self.writer.write_all(text.as_bytes()).await?;
        self.writer.flush().await?;
        Ok(())
    }
}

impl<R, W> Chat for Console<R, W>
where
    R: AsyncBufRead + Unpin + Send + 'static,
    W: AsyncWrite + Unpin + Send + 'static,
{
    async fn receive(&self) -> Option<Incoming> {
        loop {
            let Some(line) = self.line().await else {
                if self.options.end_on_eof {
                    return None;
                }
                return std::future::pending().await;
            };
            if let View::Terminal(terminal) = &mut self.output.lock().await.view {
                terminal.typed(&line);
            }
            let (name, text) = speaker(&line, &self.options.user);
            if text.is_empty() {
                continue;
            }
            let number = self.lines.fetch_add(1, Ordering::Relaxed);
            return Some(Incoming {
                id: format!("{}-{number}", self.start),
                from: Person {
                    chat: "console".to_owned(),
                    id: name.to_owned(),
                    name: name.to_owned(),
                },
                text: text.to_owned(),
                thread: None,
            });
        }
    }

    async fn reply(&self, to: &Incoming, answer: &Answer) -> anyhow::Result<()> {
        let mut text = answer.text.clone();
        if let Some(file) = &answer.file {
            match file.as_text() {
                Some(said) => put(&mut text, format_args!("\n{said}")),
                None => put(
                    &mut text,
                    format_args!("\n{} is in {}", file.name, keep(file)?.display()),
                ),
            }
        }
        let mut output = self.output.lock().await;
        let drawn = match &mut output.view {
            View::Pipe(_) => screen::block(&format!("@{}", to.from.name), &text),
            View::Terminal(terminal) => terminal.above(&screen::reply(&to.from.name, &text)),
        };
        output.write(&drawn).await
    }

    /// A channel is the name before each of its lines.
    async fn post(&self, post: &Post) -> anyhow::Result<()> {
        let mut output = self.output.lock().await;
        if output.posted.contains(&post.id) {
            return Ok(());
        }
        let block = screen::block(&format!("[#{}]", post.channel), &post.text);
        let drawn = match &mut output.view {
            View::Pipe(_) => block,
            View::Terminal(terminal) => terminal.above(&block),
        };
        output.write(&drawn).await?;
        output.posted.insert(post.id.clone());
        Ok(())
    }

    async fn publish(&self, thread: &Thread) -> anyhow::Result<()> {
        let mut output = self.output.lock().await;
        let shown = output.shown.entry(thread.request.clone()).or_default();
        let news: Vec<_> = thread
            .messages
            .iter()
            .filter(|message| !shown.contains(&message.key))
            .collect();
        let texts: Vec<String> = news
            .iter()
            .map(|message| {
                let file = message.file.as_ref().and_then(Attachment::as_text);
                file.map_or_else(
                    || message.text.clone(),
                    |file| format!("{}\n{file}", message.text),
                )
            })
            .collect();
        let lines: Vec<(String, &str)> = news
            .iter()
            .zip(&texts)
            .map(|(message, text)| {
                let clock = message
                    .at
                    .to_zoned(self.options.time_zone.clone())
                    .strftime("%H:%M:%S")
                    .to_string();
                (clock, text.as_str())
            })
            .collect();
        let drawn = match &mut output.view {
            View::Pipe(pipe) => pipe.publish(thread, &lines),
            View::Terminal(terminal) => terminal.publish(thread, &lines),
        };
        output.write(&drawn).await?;
        // Only what was written counts as shown.
        let keys = news.into_iter().map(|message| message.key.clone());
        output
            .shown
            .entry(thread.request.clone())
            .or_default()
            .extend(keys);
        Ok(())
    }
}

/// Writes a file where a person of this machine can open it; it stays there.
fn keep(file: &Attachment) -> anyhow::Result<PathBuf> {
    let ending = Path::new(&file.name)
        .extension()
        .and_then(|ending| ending.to_str())
        .unwrap_or("bin");
    let mut kept = tempfile::Builder::new()
        .prefix("refloat-")
        .suffix(&format!(".{ending}"))
        .tempfile()
        .context("a file cannot be written to the folder of temporary files")?;
    kept.write_all(&file.bytes)?;
    let (_, path) = kept.keep()?;
    Ok(path)
}

/// Who says a line, and what.
fn speaker<'a>(line: &'a str, user: &'a str) -> (&'a str, &'a str) {
    let line = line.trim();
    if let Some(rest) = line.strip_prefix("as ")
        && let Some((name, text)) = rest.split_once(':')
        && !name.trim().is_empty()
        && name.trim().chars().count() <= 64
    {
        return (name.trim(), text.trim());
    }
    (user, line)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::io::{AsyncReadExt, BufReader, DuplexStream, ReadHalf, WriteHalf};

    use super::*;
    use crate::chat::render;
    use crate::chat::samples::{context, in_phase};
    use crate::request::{Phase, RestoreRequest};

    type Near = Console<BufReader<ReadHalf<DuplexStream>>, WriteHalf<DuplexStream>>;

    fn console(terminal: Option<fn() -> (u16, u16)>, end_on_eof: bool) -> (Near, DuplexStream) {
        let (near, far) = tokio::io::duplex(1 << 20);
        let (input, output) = tokio::io::split(near);
        let options = ConsoleOptions {
            user: "anna".to_owned(),
            time_zone: TimeZone::UTC,
            terminal,
            end_on_eof,
        };
        (Console::new(BufReader::new(input), output, options), far)
    }

    /// All that was written, once the console is gone.
    async fn written(console: Near, mut far: DuplexStream) -> String {
        drop(console);
        let mut text = String::new();
        far.read_to_string(&mut text).await.unwrap();
        text
    }

    fn thread(request: &RestoreRequest) -> Thread {
        render(request, &context())
    }

    #[tokio::test]
    async fn lines_are_said_by_somebody_and_have_ids() {
        let (console, mut far) = console(None, true);
        far.write_all(b"help\n\nas ravi: approve\nas : x\n\xff\nlast")
            .await
            .unwrap();
        far.shutdown().await.unwrap();
        let mut said = Vec::new();
        let mut ids = Vec::new();
        while let Some(incoming) = console.receive().await {
            said.push(format!("{}: {}", incoming.from.id, incoming.text));
            ids.push(incoming.id);
        }
        assert_eq!(
            said,
            [
                "anna: help",
                "ravi: approve",
                "anna: as : x",
                "anna: \u{fffd}",
                "anna: last"
            ]
        );
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), 5);
    }

    #[tokio::test]
    async fn the_end_of_input_need_not_be_the_end() {
        let (console, mut far) = console(None, false);
        far.shutdown().await.unwrap();
        for _ in 0..3 {
            tokio::select! {
                biased;
                said = console.receive() => panic!("{said:?}"),
                () = tokio::task::yield_now() => {}
            }
        }
    }

    #[tokio::test]
    async fn a_dropped_receive_loses_nothing() {
        let (console, mut far) = console(None, false);
        let console = Arc::new(console);
        far.write_all(b"restore sta").await.unwrap();
        // Read the first half, then drop the reading.
        for _ in 0..3 {
            tokio::select! {
                biased;
                _ = console.receive() => panic!("no line is there yet"),
                () = tokio::task::yield_now() => {}
            }
        }
        far.write_all(b"tus\n").await.unwrap();
        assert_eq!(console.receive().await.unwrap().text, "restore status");
    }

    #[tokio::test]
    async fn a_pipe_says_what_a_reader_cares_for_once() {
        let (console, far) = console(None, false);
        let mut request = in_phase(Phase::Clearing);
        for done in [0, 0, 1, 4] {
            if let Some(clearing) = request.status.as_mut().and_then(|s| s.clearing.as_mut()) {
                clearing.progress.done = done;
            }
            console.publish(&thread(&request)).await.unwrap();
        }
        let to = Incoming {
            id: "1".to_owned(),
            from: crate::chat::samples::person("anna"),
            text: String::new(),
            thread: None,
        };
        console
            .reply(
                &to,
                &Answer {
                    text: "Your request is `x`.\n- one\n- **two**".to_owned(),
                    refused: false,
                    file: None,
                },
            )
            .await
            .unwrap();
        console
            .publish(&thread(&in_phase(Phase::Done)))
            .await
            .unwrap();
        insta::assert_snapshot!(written(console, far).await, @r#"
        [poseidon1-7k2p9] 08:00:00 Anna asks to restore `poseidon1-dev` and `poseidon1-test` of the tenant `poseidon1`, from the backup of schedule `daily` for `2026-11-23`. Reason: the migration broke the orders.
        [poseidon1-7k2p9] 08:00:02 Checked: it will be restored from backup `poseidon1-daily-20261123010000` of 2026-11-23 01:00 UTC of the schedule `poseidon1-daily` (31 hours old, 61 objects, 3.0 MiB of volume data), kept until 2026-11-30 01:00 UTC. To be deleted before that:
        [poseidon1-7k2p9] 08:00:02 - 10 objects: 4 `ConfigMap`, 2 `PersistentVolumeClaim`, 3 `apps/Deployment`, 1 `example.com/Bucket`
        [poseidon1-7k2p9] 08:00:02 - with its data: claim `poseidon1-dev/data` of 10Gi
        [poseidon1-7k2p9] 08:00:02 - with its data: claim `poseidon1-test/data`
        [poseidon1-7k2p9] 08:00:02 - look closely at `example.com/Bucket`: custom kinds, which may stand for something outside the cluster
        [poseidon1-7k2p9] 08:00:02 - kept, as the platform's: 8 objects
        [poseidon1-7k2p9] 08:00:02 Held against the backup:
        [poseidon1-7k2p9] 08:00:02 - comes back: 3 `ConfigMap`, 3 `apps/Deployment`
        [poseidon1-7k2p9] 08:00:02 - is lost for good: 1 `ConfigMap`
        [poseidon1-7k2p9] 08:00:02 - returns from the past: 2 `Secret`
        [poseidon1-7k2p9] 08:00:02 - `lost for good ConfigMap poseidon1-dev/left-over`
        [poseidon1-7k2p9] 08:00:02 - `returns from the past Secret poseidon1-dev/old`
        [poseidon1-7k2p9] 08:00:03 Pull request #7 is open: it turns self-heal off in the tenant's order. https://git.example.com/platform/infra-ocp4-tenants/pull/7
        [poseidon1-7k2p9] 08:00:03 Reviewers: please approve or deny. Read the card and the pull request, then say `approve poseidon1-7k2p9 digest:d`, or `deny request:poseidon1-7k2p9 reason:"..."`. Whoever asked for the restore cannot approve it.
        [poseidon1-7k2p9] 08:00:40 Approved by Ravi in chat.
        [poseidon1-7k2p9] 08:00:42 Self-heal is off: pull request #7 was merged.
        [poseidon1-7k2p9] 08:00:50 Argo CD is quiet: `openshift-gitops/poseidon1-dev-apps-web` will bring nothing back.
        [poseidon1-7k2p9] 08:01:20 The safety backup `refloat-1234567890-safety-1` is complete: it holds the namespaces as they were before.
        [poseidon1-7k2p9] 08:01:21 The clearing begins: 10 objects will be deleted. From here on it cannot be withdrawn.
        [poseidon1-7k2p9] == The namespaces are being cleared of what was approved.
        [poseidon1-7k2p9] .. Clearing      [--------------------] 0%, 0 of 10 objects
        [poseidon1-7k2p9] .. Clearing      [##------------------] 10%, 1 of 10 objects
        [poseidon1-7k2p9] .. Clearing      [########------------] 40%, 4 of 10 objects
        @Anna Your request is `x`.
        @Anna - one
        @Anna - two
        [poseidon1-7k2p9] 08:01:59 The namespaces are cleared: 10 objects deleted in 38 s.
        [poseidon1-7k2p9] 08:02:00 The restore begins: Velero's Restore `refloat-1234567890-1` of `poseidon1-daily-20261123010000`.
        [poseidon1-7k2p9] 08:05:00 Velero has ended `refloat-1234567890-1`: Completed. 42 items, 10.5 GiB of volume data, with 1 warning and 0 errors, in 3 min.
        [poseidon1-7k2p9] 08:05:00 `restore log` shows Velero's log.
        [poseidon1-7k2p9] 08:05:10 Verified: 40 objects there, 2 volumes complete, 2 claims bound, 3 pods ready.
        [poseidon1-7k2p9] 08:05:11 Pull request #8 is open: it brings self-heal back as it was. https://git.example.com/platform/infra-ocp4-tenants/pull/8
        [poseidon1-7k2p9] 08:05:15 Pull request #8 was merged. Argo CD is asked to look.
        [poseidon1-7k2p9] 08:05:20 Self-heal is back as it was before, and the Applications are synced and healthy.
        [poseidon1-7k2p9] 08:05:20 Done. `poseidon1-dev` and `poseidon1-test` of the tenant `poseidon1` restored, from backup `poseidon1-daily-20261123010000` of 2026-11-23 01:00 UTC of the schedule `poseidon1-daily` (31 hours old, 61 objects, 3.0 MiB of volume data), kept until 2026-11-30 01:00 UTC.
        [poseidon1-7k2p9] 08:05:20 - asked for by Anna, approved by Ravi
        [poseidon1-7k2p9] 08:05:20 - deleted: 10 objects
        [poseidon1-7k2p9] 08:05:20 - restored: 42 items, 10.5 GiB of volume data
        [poseidon1-7k2p9] 08:05:20 - safety backup: `refloat-1234567890-safety-1` (`restore undo poseidon1-7k2p9` brings it back)
        [poseidon1-7k2p9] 08:05:20 - #7: https://git.example.com/platform/infra-ocp4-tenants/pull/7
        [poseidon1-7k2p9] 08:05:20 - #8: https://git.example.com/platform/infra-ocp4-tenants/pull/8
        [poseidon1-7k2p9] 08:05:20 - time: 5 min 20 s in all: checks 2.0 s, approval 38 s, self-heal off 2.0 s, Argo CD quiet 8.0 s, safety backup 30 s, clearing 39 s, restore 3 min 1 s, verification 10 s, self-heal back 10 s
        ---- poseidon1-7k2p9: done ----
        | Restore of `poseidon1-dev` and `poseidon1-test` (`poseidon1-7k2p9`)
        | Done: restored, verified, and self-heal is as it was.
        | What: `poseidon1-dev` and `poseidon1-test` of the tenant `poseidon1`
        | From: backup `poseidon1-daily-20261123010000` of 2026-11-23 01:00 UTC of the schedule `poseidon1-daily` (31 hours old, 61 objects, 3.0 MiB of volume data), kept until 2026-11-30 01:00 UTC
        | Asked by: Anna, 2026-11-24 08:00 UTC
        | Why: the migration broke the orders
        | Approved by: Ravi in chat, 2026-11-24 08:00 UTC
        | Was deleted:
        | - 10 objects: 4 `ConfigMap`, 2 `PersistentVolumeClaim`, 3 `apps/Deployment`, 1 `example.com/Bucket`
        | - with its data: claim `poseidon1-dev/data` of 10Gi
        | - with its data: claim `poseidon1-test/data`
        | - look closely at `example.com/Bucket`: custom kinds, which may stand for something outside the cluster
        | - kept, as the platform's: 8 objects
        | Pull requests:
        | - #7, self-heal off, merged: https://git.example.com/platform/infra-ocp4-tenants/pull/7
        | - #8, self-heal on again, merged: https://git.example.com/platform/infra-ocp4-tenants/pull/8
        | Safety backup: `refloat-1234567890-safety-1`, completed
        | Velero Restore: `refloat-1234567890-1`, Completed, 42 items, 10.5 GiB
        ----
        "#);
    }

    #[tokio::test]
    async fn a_terminal_redraws_the_card_in_place() {
        let (console, far) = console(Some(|| (40, 100)), false);
        let mut request = in_phase(Phase::Clearing);
        console.publish(&thread(&request)).await.unwrap();
        if let Some(clearing) = request.status.as_mut().and_then(|s| s.clearing.as_mut()) {
            clearing.progress.done = 8;
        }
        console.publish(&thread(&request)).await.unwrap();
        console
            .publish(&thread(&in_phase(Phase::Done)))
            .await
            .unwrap();
        let text = written(console, far).await;
        let cards: Vec<&str> = text.split("\u{1b}[0J").collect();
        assert_eq!(cards.len(), 3, "{text:?}");
        // The second drawing goes up by as many lines as the first card had.
        let up = cards[0]
            .rsplit_once("\u{1b}[")
            .map(|(_, up)| up)
            .unwrap_or_default();
        let lines: usize = up.trim_end_matches(['\r', 'A']).parse().unwrap();
        let first = cards[0].matches('\n').count();
        assert!(lines > 5 && lines < first, "{lines} of {first}");
        assert!(cards[1].contains("80%") && !cards[1].contains("asks to restore"));
        assert!(cards[2].contains("Done") && text.ends_with('\n'));
        // No escape but those of drawing and colour.
        for escape in text.split('\u{1b}').skip(1) {
            assert!(escape.starts_with('['), "{escape:?}");
        }
    }
}
