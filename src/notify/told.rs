//! What people were told, and what they are to be told next. Pure.

use std::collections::{BTreeMap, HashSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::concerns::Concern;
use super::policy::Policy;
use crate::chat::put;
use crate::request::inventory::hex;

/// What people know, kept in the cluster.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Told {
    /// When people were first told of anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub began: Option<Timestamp>,
    /// What is of concern, by its key.
    pub concerns: BTreeMap<String, Known>,
    /// What is being said: posted before anything else is decided, and then taken out.
    pub outbox: Vec<Post>,
}

/// A concern that was seen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Known {
    pub since: Timestamp,
    /// Where it was told; absent while it still has to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    /// What is said when it is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over: Option<String>,
}

/// A message to a channel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Post {
    /// The same when it is posted again.
    pub id: String,
    pub channel: String,
    /// Lightly Markdown, and harmless.
    pub text: String,
}

/// How many concerns one message tells at most.
const SHOWN: usize = 10;

/// The next state of what people know, given what is of concern now. What has to be
/// said is in its outbox; the same state comes back if there is nothing to do.
///
/// A channel whose last message is still in the outbox gets no other one, so that a
/// chat that is away is told everything at once when it is back. `say` makes a
/// sentence harmless for a chat.
pub fn next(
    told: &Told,
    concerns: &[Concern],
    policy: &Policy,
    say: impl Fn(&str) -> String,
    now: Timestamp,
) -> Told {
    let mut next = told.clone();
    next.began.get_or_insert(now);
    for concern in concerns {
        next.concerns
            .entry(concern.key.clone())
            .or_insert_with(|| Known {
                since: now,
                channel: None,
                over: concern.over.clone(),
            });
    }
    let quiet = policy.is_quiet(now);
    let waits = |channel: &str| quiet || told.outbox.iter().any(|post| post.channel == channel);
    let mut lines: BTreeMap<String, (Vec<String>, Vec<String>)> = BTreeMap::new();
    let so: HashSet<&str> = concerns
        .iter()
        .map(|concern| concern.key.as_str())
        .collect();
    next.concerns.retain(|key, known| {
        if so.contains(key.as_str()) {
            return true;
        }
        match (&known.channel, &known.over) {
            // It is over, and people are told so once they may be told anything.
            (Some(channel), Some(_)) if waits(channel) => true,
            (Some(channel), Some(over)) => {
                let (_, good) = lines.entry(channel.clone()).or_default();
                good.push(over.clone());
                false
            }
            // Nobody heard of it, or it is nothing that is ever over.
            (None, _) | (_, None) => false,
        }
    });
    for concern in concerns {
        let channel = policy.channel(&concern.audience);
        if let Some(known) = next.concerns.get_mut(&concern.key)
            && known.channel.is_none()
            && !waits(channel)
        {
            let (bad, _) = lines.entry(channel.to_owned()).or_default();
            bad.push(concern.text.clone());
            known.channel = Some(channel.to_owned());
        }
    }
    next.outbox
        .extend(lines.into_iter().map(|(channel, (bad, good))| {
            let text = message(&bad, &good, &say);
            let mut hash = Sha256::new();
            for part in [&channel, &text, &now.to_string()] {
                hash.update((part.len() as u64).to_be_bytes());
                hash.update(part.as_bytes());
            }
            Post {
                id: hex(&hash.finalize())[..16].to_owned(),
                channel,
                text,
            }
        }));
    next
}

/// One message of all there is to say to a channel.
fn message(bad: &[String], good: &[String], say: &impl Fn(&str) -> String) -> String {
    match (bad, good) {
        ([one], []) => format!("**Attention**: {}", say(one)),
        ([], [one]) => format!("**Over**: {}", say(one)),
        _ => {
            let mut text = String::new();
            for (title, lines) in [("Attention", bad), ("Over", good)] {
                if lines.is_empty() {
                    continue;
                }
                if !text.is_empty() {
                    text.push('\n');
                }
                put(&mut text, format_args!("**{title}** ({}):", lines.len()));
                for line in lines.iter().take(SHOWN) {
                    text.push_str("\n- ");
                    text.push_str(&say(line));
                }
                if lines.len() > SHOWN {
                    put(
                        &mut text,
                        format_args!("\n- and {} more", lines.len() - SHOWN),
                    );
                }
            }
            text
        }
    }
}
