//! Refloat as a process of its own, as far as a test can have one: its own
//! runtime, so that it can be killed at any instant, and a chat on two pipes.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use refloat::chat::console::{Console, ConsoleOptions};
use refloat::clock::Clock;
use refloat::config::Config;
use refloat::serve::serve;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, DuplexStream};
use tokio::runtime::{Handle, Runtime};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// How long a test waits for a condition before it gives up.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A running Refloat with its chat.
pub struct Refloat {
    /// Taken when it is killed.
    runtime: Option<Runtime>,
    stop: CancellationToken,
    input: DuplexStream,
    transcript: Transcript,
    ended: Arc<Mutex<Option<anyhow::Result<()>>>>,
}

/// Everything the chat showed so far.
#[derive(Clone, Default)]
pub struct Transcript {
    text: Arc<Mutex<String>>,
    changed: Arc<Notify>,
}

impl Transcript {
    pub fn text(&self) -> String {
        lock(&self.text).clone()
    }

    fn add(&self, line: &str) {
        lock(&self.text).push_str(line);
        self.changed.notify_waiters();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Refloat {
    /// Starts Refloat with a configuration, as `refloat run` would.
    pub fn start(config: &str) -> anyhow::Result<Self> {
        Self::start_by(config, Clock::system())
    }

    /// The same, with a clock of its own for what is shown of backups.
    pub fn start_by(config: &str, clock: Clock) -> anyhow::Result<Self> {
        let mut config = Config::parse(config).map_err(|faults| anyhow::anyhow!("{faults:?}"))?;
        config.clock = clock;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("refloat")
            .enable_all()
            .build()?;
        let stop = CancellationToken::new();
        let transcript = Transcript::default();
        let (input, theirs) = tokio::io::duplex(64 * 1024);
        let (output, shown) = tokio::io::duplex(1024 * 1024);
        let reading = transcript.clone();
        Handle::current().spawn(async move {
            let mut shown = BufReader::new(shown);
            let mut line = String::new();
            while shown.read_line(&mut line).await.is_ok_and(|read| read > 0) {
                reading.add(&line);
                line.clear();
            }
        });
        let ended: Arc<Mutex<Option<anyhow::Result<()>>>> = Arc::default();
        let (outcome, stopping) = (Arc::clone(&ended), stop.clone());
        runtime.spawn(async move {
            let options = ConsoleOptions {
                user: "ada".to_owned(),
                time_zone: config.policy.time_zone.clone(),
                terminal: None,
                end_on_eof: false,
            };
            let chat = Console::new(BufReader::new(theirs), output, options);
            let result = serve(Arc::new(config), Arc::new(chat), stopping).await;
            *lock(&outcome) = Some(result);
        });
        Ok(Self {
            runtime: Some(runtime),
            stop,
            input,
            transcript,
            ended,
        })
    }

    /// Types a line.
    pub async fn say(&mut self, line: &str) -> anyhow::Result<()> {
        self.input.write_all(format!("{line}\n").as_bytes()).await?;
        Ok(())
    }

    /// What the chat has shown so far.
    pub fn shown(&self) -> String {
        self.transcript.text()
    }

    /// Waits until the chat has shown `what`, counting from `from` bytes on;
    /// answers with the number of bytes shown by then.
    pub async fn until_after(&self, from: usize, what: &str) -> anyhow::Result<usize> {
        let wait = async {
            loop {
                let changed = self.transcript.changed.notified();
                let text = self.shown();
                if let Some(at) = text.get(from..).and_then(|rest| rest.find(what)) {
                    return from + at + what.len();
                }
                changed.await;
            }
        };
        match tokio::time::timeout(PATIENCE, wait).await {
            Ok(at) => Ok(at),
            Err(_) => anyhow::bail!(
                "the chat never showed {what:?}; Refloat {:?}; it showed:\n{}",
                lock(&self.ended),
                self.shown()
            ),
        }
    }

    /// Waits until the chat has shown `what` at all.
    pub async fn until(&self, what: &str) -> anyhow::Result<()> {
        self.until_after(0, what).await.map(|_| ())
    }

    /// Kills it: every task ends where it stands, every connection is cut.
    pub fn kill(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }

    /// Stops it as SIGTERM would, and waits for its end.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.stop.cancel();
        self.ended().await
    }

    /// Waits until it has ended by itself.
    pub async fn ended(mut self) -> anyhow::Result<()> {
        let ended = Arc::clone(&self.ended);
        until(|| {
            let ended = Arc::clone(&ended);
            async move { Ok(lock(&ended).is_some()) }
        })
        .await
        .context("Refloat did not stop")?;
        self.kill();
        lock(&ended).take().unwrap_or(Ok(()))
    }
}

impl Drop for Refloat {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Waits until a condition holds.
pub async fn until<F, T>(mut condition: F) -> anyhow::Result<()>
where
    F: FnMut() -> T,
    T: Future<Output = anyhow::Result<bool>>,
{
    let wait = async {
        loop {
            if condition().await? {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait)
        .await
        .unwrap_or_else(|_| Err(anyhow::anyhow!("waited {PATIENCE:?} in vain")))
}

/// The pace that tests want: everything that has no watch is looked at often.
pub const FAST: &str = "\
approval: { coversResume: true }
pace: { pullRequests: 50ms, lookAgain: 20ms }
";

/// Where an external cluster's kubeconfig is, if tests are to use one.
pub fn external() -> Option<std::path::PathBuf> {
    std::env::var_os("REFLOAT_TEST_KUBECONFIG").map(|path| Path::new(&path).to_owned())
}
