//! Whether Refloat is of use yet: what has to have been reached once.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

/// What has to have been reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    Github,
    /// The caches of requests are full.
    Requests,
    /// That of backups and schedules is.
    Backups,
    Chat,
}

impl Need {
    const ALL: [Self; 4] = [Self::Github, Self::Requests, Self::Backups, Self::Chat];

    fn bit(self) -> u8 {
        match self {
            Self::Github => 1,
            Self::Requests => 2,
            Self::Backups => 4,
            Self::Chat => 8,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Github => "GitHub",
            Self::Requests => "the requests",
            Self::Backups => "the backups",
            Self::Chat => "the chat",
        }
    }
}

/// What has been reached so far, and what is needed; clones are the same.
///
/// The API server is not among it: nothing is listened at before it has answered.
#[derive(Clone, Debug)]
pub struct Readiness {
    reached: Arc<AtomicU8>,
    needed: Arc<AtomicU8>,
}

impl Readiness {
    /// That of one who stands by: it holds neither the chat nor the requests.
    pub fn standing_by() -> Self {
        Self {
            reached: Arc::default(),
            needed: Arc::new(AtomicU8::new(Need::Github.bit() | Need::Backups.bit())),
        }
    }

    /// From here on everything is needed.
    pub fn lead(&self) {
        let all = Need::ALL.iter().fold(0, |all, need| all | need.bit());
        self.needed.store(all, Ordering::Relaxed);
    }

    pub fn reach(&self, need: Need) {
        self.reached.fetch_or(need.bit(), Ordering::Relaxed);
    }

    /// What is still waited for, in words; `None`: nothing.
    pub(super) fn missing(&self) -> Option<String> {
        let missing = self.needed.load(Ordering::Relaxed) & !self.reached.load(Ordering::Relaxed);
        if missing == 0 {
            return None;
        }
        let mut words = "not reached yet:".to_owned();
        for need in Need::ALL.iter().filter(|need| missing & need.bit() != 0) {
            // Writing to a String cannot fail.
            let _ = write!(words, " {};", need.word());
        }
        words.pop();
        Some(words)
    }
}
