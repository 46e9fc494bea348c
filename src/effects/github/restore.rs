//! The two pull requests of a restore: the pause and the resume.

use std::sync::Arc;

use anyhow::Context as _;

use super::{Again, Among, Closing, Github, Merging, OfHead, Proposal, Proposed};
use crate::order::{Edit, SelfHealRecord, self_heal_off, self_heal_restore};
use crate::request::decide::MERGE_BLOCKED;
use crate::request::{Fact, Opened, Which, names};

/// What an effect on a pull request needs to know of its request.
#[derive(Clone)]
pub struct Context {
    pub request: String,
    pub uid: String,
    pub order_path: String,
    /// What stood in the order before the pause; for the resume only.
    pub record: Option<SelfHealRecord>,
    /// The pull request of the pause; for the resume only.
    pub pause: Option<Opened>,
    /// The branch of the pull request, if it was opened before.
    pub branch: Option<String>,
    pub title: String,
    pub body: String,
    /// What the approval is bound to, once the head is known.
    pub of_head: Arc<OfHead<'static>>,
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context")
            .field("request", &self.request)
            .finish_non_exhaustive()
    }
}

/// The edit that a pull request makes of an order, and what stood there before.
pub fn edit(
    which: Which,
    text: &str,
    record: Option<&SelfHealRecord>,
) -> anyhow::Result<(Edit, SelfHealRecord)> {
    match (which, record) {
        (Which::Pause, _) => Ok(self_heal_off(text)?),
        (Which::Resume, Some(record)) => Ok((self_heal_restore(text, record)?, record.clone())),
        (Which::Resume, None) => {
            anyhow::bail!("nothing is known of what stood in the order before")
        }
    }
}

/// Whether pausing again what a resume makes of the order gives, byte for byte,
/// what the order is now: then the resume undoes the pause and nothing else.
fn undoes_the_pause(paused: &str, resumed: &str, record: &SelfHealRecord) -> bool {
    self_heal_off(resumed).is_ok_and(|(again, before)| again.text == paused && before == *record)
}

impl Github {
    /// Opens the pull request, or finds the one that is there.
    pub async fn open_pull(&self, which: Which, context: &Context) -> anyhow::Result<Fact> {
        self.with_proposal(which, context, async |proposal| {
            self.propose_with(&proposal, &*context.of_head).await
        })
        .await
    }

    /// Makes the edit anew on the present base and moves the branch there.
    pub async fn rebuild_pull(&self, which: Which, context: &Context) -> anyhow::Result<Fact> {
        self.with_proposal(which, context, async |proposal| {
            self.rebuild_with(&proposal, &*context.of_head).await
        })
        .await
    }

    async fn with_proposal(
        &self,
        which: Which,
        context: &Context,
        act: impl AsyncFnOnce(Proposal<'_>) -> anyhow::Result<Proposed>,
    ) -> anyhow::Result<Fact> {
        let edit = |text: &str| edit(which, text, context.record.as_ref());
        let usual = names::branch(&context.request, &context.uid, which);
        let branch = context.branch.as_deref().unwrap_or(&usual);
        let pause = context.pause.as_ref();
        let proposed = act(Proposal {
            branch,
            among: pause.map_or(Among::Oldest, |pause| Among::After(pause.number)),
            again: pause
                .filter(|pause| pause.branch != branch)
                .map(|pause| Again {
                    branch: &pause.branch,
                    head: &pause.head_sha,
                }),
            path: &context.order_path,
            title: &context.title,
            body: &context.body,
            edit: &|text| Ok(edit(text)?.0),
            // A resume that somebody closed is opened anew: self-heal is off until
            // it is merged. A pause that somebody closed is an answer.
            insists: which == Which::Resume,
        })
        .await?;
        Ok(match proposed {
            Proposed::NotNeeded { before } => Fact::PullNotNeeded(which, edit(&before)?.1),
            Proposed::Opened { mut opened, before } => {
                let (edit, record) = edit(&before)?;
                opened.exact_inverse = (which == Which::Resume)
                    .then(|| undoes_the_pause(&before, &edit.text, &record));
                Fact::PullOpened(which, opened, record)
            }
        })
    }

    /// Merges if the head is still `head_sha`; `None`: it is not as it was, look again.
    pub async fn merge_pull(
        &self,
        which: Which,
        number: u64,
        head_sha: &str,
    ) -> anyhow::Result<Option<Fact>> {
        Ok(match self.merge(number, head_sha).await? {
            Merging::Merged { sha } => Some(Fact::PullMerged(which, sha)),
            Merging::Blocked(why) => Some(Fact::Waiting(Some(format!("{MERGE_BLOCKED}: {why}")))),
            Merging::Changed => None,
        })
    }

    /// Closes it for good, and says why.
    pub async fn close_pull(
        &self,
        which: Which,
        opened: Option<&Opened>,
        uid: &str,
        why: &str,
    ) -> anyhow::Result<Fact> {
        let opened = opened.context("there is no pull request")?;
        Ok(
            match self.close(opened.number, &opened.branch, uid, why).await? {
                Closing::Merged { sha } => Fact::PullMerged(which, sha),
                Closing::Closed => Fact::PullClosed(which),
            },
        )
    }
}
