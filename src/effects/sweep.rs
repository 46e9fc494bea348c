//! What is left of a namespace while it is cleared, without listing all of it anew
//! for every batch.
//!
//! A list serves for several batches: every delete names the uid that was seen, so
//! that what went or was replaced meanwhile is left alone, and what appeared is seen
//! by the next list, which comes at the latest when nothing is left to ask for.
//! Whether Argo CD is quiet is never kept: it is read for every batch.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use kube::Client;

use super::cluster::{self, Contents};
use crate::request::inventory::{InventorySummary, LiveObject, Next, Ownership, next_batch};

/// How long a list serves at most.
const GOOD_FOR: Duration = Duration::from_secs(2);

/// A list of a namespace's contents, less what was asked to go since.
#[derive(Debug)]
pub struct Sweep {
    contents: Contents,
    listed: Instant,
    new: bool,
}

impl Sweep {
    /// The contents, listed anew unless what was listed before still holds something
    /// to ask for.
    ///
    /// `approved`, `cutoff` and `size` are as for [`next_batch`].
    pub async fn look(
        kept: Option<Self>,
        client: &Client,
        namespaces: &[String],
        ownership: &Ownership,
        approved: &InventorySummary,
        cutoff: jiff::Timestamp,
        size: usize,
    ) -> anyhow::Result<Self> {
        if let Some(kept) = kept
            && kept.listed.elapsed() < GOOD_FOR
            && kept.contents.undiscovered.is_empty()
            && matches!(
                next_batch(&kept.contents.objects, ownership, approved, cutoff, size),
                Next::Delete(_)
            )
        {
            return Ok(Self { new: false, ..kept });
        }
        let listed = Instant::now();
        let contents = cluster::contents(client, namespaces).await?;
        Ok(Self {
            contents,
            listed,
            new: true,
        })
    }

    /// True if it was listed by the last look.
    pub fn is_new(&self) -> bool {
        self.new
    }

    /// What there is, as far as it is known.
    pub fn contents(&self) -> &Contents {
        &self.contents
    }

    /// These were asked to go.
    pub fn asked(&mut self, objects: &[LiveObject]) {
        let gone: BTreeSet<&str> = objects.iter().map(|object| object.uid.as_str()).collect();
        for object in &mut self.contents.objects {
            if gone.contains(object.uid.as_str()) {
                object.terminating = true;
            }
        }
    }
}
