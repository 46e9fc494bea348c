//! What Refloat remembers of a request's thread: the ids of its messages, in an
//! annotation of the request itself.
//!
//! Written after each message is sent. Whatever was sent and not written down is
//! found again by its nonce, and later by a look at the thread.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context as _;
use kube::api::{Api, ApiResource, DynamicObject, PostParams};
use kube::{Client, ResourceExt as _};
use serde::{Deserialize, Serialize};

use crate::config::Id;

/// Where the ids are written.
const ANNOTATION: &str = "refloat.dev/discord";

/// The kinds of request that have threads.
const KINDS: [(&str, &str); 3] = [
    ("RestoreRequest", "restorerequests"),
    ("ScheduleRequest", "schedulerequests"),
    ("CopyRequest", "copyrequests"),
];

const ATTEMPTS: usize = 8;

/// What is known of a thread. Ids are written as texts, since JSON's numbers do
/// not hold them in every reader.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Kept {
    /// The channel that the thread is in.
    #[serde(skip_serializing_if = "Option::is_none", with = "text")]
    pub(super) channel: Option<Id>,
    /// The thread; the same id as the message that it hangs on.
    #[serde(skip_serializing_if = "Option::is_none", with = "text")]
    pub(super) thread: Option<Id>,
    #[serde(skip_serializing_if = "Option::is_none", with = "text")]
    pub(super) card: Option<Id>,
    /// A card that another has taken the place of, to be taken down.
    #[serde(skip_serializing_if = "Option::is_none", with = "text")]
    pub(super) worn: Option<Id>,
    /// The messages by their keys.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) messages: BTreeMap<String, String>,
    /// The questions by the ids of their messages.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) questions: BTreeMap<String, Question>,
    /// The request is over, and everything of it was said.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) finished: bool,
    /// What a person was told to put right.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub(super) told: BTreeSet<String>,
}

/// A message that asks for an approval.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Question {
    /// The first characters of the digest that it asks about; empty where it asks for
    /// the reason of a denial.
    pub(super) digest: String,
    /// Its buttons can be pressed.
    pub(super) open: bool,
    /// Who voted by a reaction, and whether it was a yes.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) voted: BTreeMap<String, bool>,
}

mod text {
    use serde::{Deserialize as _, Deserializer, Serializer};

    use crate::config::Id;

    #[allow(
        clippy::ref_option,
        clippy::trivially_copy_pass_by_ref,
        reason = "serde calls it so"
    )]
    pub(super) fn serialize<S: Serializer>(id: &Option<Id>, to: S) -> Result<S::Ok, S::Error> {
        match id {
            Some(id) => to.collect_str(id),
            None => to.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Id>, D::Error> {
        // One that is not an id is as good as none: it is searched for.
        Ok(Option::<String>::deserialize(from)?.and_then(|text| text.parse().ok()))
    }
}

impl Kept {
    /// What another process wrote, with what this one knows besides.
    fn join(mut self, theirs: &Self) -> Self {
        if theirs.thread.is_some() {
            self.thread = theirs.thread;
            self.channel = theirs.channel;
        }
        for (key, id) in &theirs.messages {
            self.messages.entry(key.clone()).or_insert(id.clone());
        }
        self
    }
}

/// Where a request is, and what is remembered of its thread.
#[derive(Clone, Debug)]
pub(super) struct Place {
    kind: usize,
    name: String,
    uid: String,
    pub(super) created: jiff::Timestamp,
}

#[derive(Clone)]
pub(super) struct Memory {
    client: Client,
    namespace: String,
}

impl Memory {
    pub(super) fn new(client: Client, namespace: String) -> Self {
        Self { client, namespace }
    }

    fn api(&self, kind: usize) -> Api<DynamicObject> {
        let (kind, plural) = KINDS[kind.min(KINDS.len() - 1)];
        let resource = ApiResource {
            group: "refloat.dev".to_owned(),
            version: "v1alpha1".to_owned(),
            api_version: "refloat.dev/v1alpha1".to_owned(),
            kind: kind.to_owned(),
            plural: plural.to_owned(),
        };
        Api::namespaced_with(self.client.clone(), &self.namespace, &resource)
    }

    /// Reads what is remembered; `None` if the request is gone.
    pub(super) async fn load(
        &self,
        name: &str,
        uid: &str,
    ) -> anyhow::Result<Option<(Place, Kept)>> {
        for kind in 0..KINDS.len() {
            let found = self
                .api(kind)
                .get_metadata_opt(name)
                .await
                .context("what is known of the thread cannot be read")?;
            if let Some(found) = found
                && found.metadata.uid.as_deref() == Some(uid)
            {
                let place = Place {
                    kind,
                    name: name.to_owned(),
                    uid: uid.to_owned(),
                    created: found
                        .creation_timestamp()
                        .map_or(jiff::Timestamp::UNIX_EPOCH, |time| time.0),
                };
                return Ok(Some((place, kept(&found))));
            }
        }
        Ok(None)
    }

    /// Writes what is remembered, unless somebody else wrote since it was read;
    /// then both are put together. False if the request is gone.
    pub(super) async fn save(&self, place: &Place, mine: &mut Kept) -> anyhow::Result<bool> {
        let api = self.api(place.kind);
        for _ in 0..ATTEMPTS {
            // The whole request is written back as it was read, since a right to
            // patch would be one right more.
            let Some(mut found) = api.get_opt(&place.name).await? else {
                return Ok(false);
            };
            if found.metadata.uid.as_deref() != Some(&place.uid) {
                return Ok(false);
            }
            *mine = mine.clone().join(&kept(&found));
            found
                .annotations_mut()
                .insert(ANNOTATION.to_owned(), serde_json::to_string(&mine)?);
            match api
                .replace(&place.name, &PostParams::default(), &found)
                .await
            {
                Ok(_) => return Ok(true),
                Err(kube::Error::Api(status)) if status.code == 409 => {}
                Err(kube::Error::Api(status)) if status.code == 404 => return Ok(false),
                Err(error) => {
                    return Err(error).context("what is known of the thread cannot be written");
                }
            }
        }
        anyhow::bail!("what is known of the thread cannot be written: others write all the time")
    }

    /// The request whose thread this is.
    pub(super) async fn request_of(&self, thread: Id) -> anyhow::Result<Option<String>> {
        for kind in 0..KINDS.len() {
            let listed = match self
                .api(kind)
                .list_metadata(&kube::api::ListParams::default())
                .await
            {
                Ok(listed) => listed,
                // This kind may not be there at all.
                Err(kube::Error::Api(status)) if status.code == 404 => continue,
                Err(error) => return Err(error.into()),
            };
            if let Some(found) = listed
                .items
                .iter()
                .find(|object| kept(*object).thread == Some(thread))
            {
                return Ok(Some(found.name_any()));
            }
        }
        Ok(None)
    }
}

fn kept<K: kube::Resource>(object: &K) -> Kept {
    let Some(text) = object.annotations().get(ANNOTATION) else {
        return Kept::default();
    };
    serde_json::from_str(text).unwrap_or_else(|error| {
        // It is found again by a look at the thread.
        tracing::warn!(request = object.name_any(), %error, "the annotation {ANNOTATION} cannot be read");
        Kept::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_is_read_back() {
        let mut kept = Kept {
            thread: Id::new(81_384_788_765_712_385),
            ..Kept::default()
        };
        kept.messages.insert("done".to_owned(), "7".to_owned());
        kept.questions.insert(
            "9".to_owned(),
            Question {
                digest: "abcdef01".to_owned(),
                open: true,
                voted: BTreeMap::from([("5".to_owned(), true)]),
            },
        );
        let text = serde_json::to_string(&kept).unwrap();
        insta::assert_snapshot!(text, @r#"{"thread":"81384788765712385","messages":{"done":"7"},"questions":{"9":{"digest":"abcdef01","open":true,"voted":{"5":true}}}}"#);
        assert_eq!(serde_json::from_str::<Kept>(&text).unwrap(), kept);
        assert_eq!(
            serde_json::from_str::<Kept>(r#"{"thread":"no id","other":1}"#).unwrap(),
            Kept::default()
        );
    }

    #[test]
    fn the_thread_that_was_written_first_is_the_thread() {
        let mine = Kept {
            thread: Id::new(2),
            messages: BTreeMap::from([("a".to_owned(), "1".to_owned())]),
            ..Kept::default()
        };
        let theirs = Kept {
            thread: Id::new(1),
            messages: BTreeMap::from([("b".to_owned(), "2".to_owned())]),
            ..Kept::default()
        };
        let both = mine.join(&theirs);
        assert_eq!((both.thread, both.messages.len()), (Id::new(1), 2));
    }
}
