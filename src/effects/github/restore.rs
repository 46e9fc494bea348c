//! The two pull requests of a restore: the pause and the resume.

use anyhow::Context as _;

use super::{Closing, Github, Merging, Proposal, Proposed};
use crate::order::{Edit, SelfHealRecord, self_heal_off, self_heal_restore};
use crate::request::decide::MERGE_BLOCKED;
use crate::request::{Fact, Opened, Which, names};

/// What an effect on a pull request needs to know of its request.
#[derive(Clone, Debug)]
pub struct Context {
    pub request: String,
    pub uid: String,
    pub order_path: String,
    /// What stood in the order before the pause; for the resume only.
    pub record: Option<SelfHealRecord>,
    pub title: String,
    pub body: String,
}

/// The edit that a pull request makes of an order, and what stood there before.
fn edit(
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

impl Github {
    /// Opens the pull request, or finds the one that is there.
    pub async fn open_pull(&self, which: Which, context: &Context) -> anyhow::Result<Fact> {
        self.with_proposal(which, context, async |proposal| {
            self.propose(&proposal).await
        })
        .await
    }

    /// Makes the edit anew on the present base and moves the branch there.
    pub async fn rebuild_pull(&self, which: Which, context: &Context) -> anyhow::Result<Fact> {
        self.with_proposal(which, context, async |proposal| {
            self.rebuild(&proposal).await
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
        let proposed = act(Proposal {
            branch: &names::branch(&context.request, &context.uid, which),
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
            Proposed::Opened { opened, before } => {
                Fact::PullOpened(which, opened, edit(&before)?.1)
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
