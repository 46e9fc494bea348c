//! Deleting what was approved, and nothing else.

use futures::StreamExt as _;
use kube::api::{DeleteParams, Preconditions, PropagationPolicy};
use kube::core::DynamicObject;
use kube::core::discovery::ApiResource;
use kube::{Api, Client};

use crate::request::inventory::LiveObject;

/// Asks for the deletion of each object, all at once; the batch is as large as
/// the caller made it. The answer is how many deletions were accepted.
///
/// Each delete names the uid that was seen, so that an object which was
/// replaced meanwhile is left alone; one that is gone already is fine. The
/// Namespace is no object of its own contents and cannot be among them.
pub async fn delete(client: &Client, objects: &[LiveObject]) -> anyhow::Result<i64> {
    let mut answers = futures::stream::iter(objects.to_vec())
        .map(|object| delete_one(client.clone(), object))
        .buffer_unordered(objects.len().max(1));
    let mut accepted = 0;
    let mut failed = None;
    while let Some(answer) = answers.next().await {
        match answer {
            Ok(true) => accepted += 1,
            Ok(false) => {}
            // The others are under way; they are awaited before this is told.
            Err(error) => failed = Some(error),
        }
    }
    match failed {
        Some(error) => Err(error),
        None => Ok(accepted),
    }
}

async fn delete_one(client: Client, object: LiveObject) -> anyhow::Result<bool> {
    let kind = ApiResource {
        group: object.group.clone(),
        version: object.version.clone(),
        api_version: if object.group.is_empty() {
            object.version.clone()
        } else {
            format!("{}/{}", object.group, object.version)
        },
        kind: object.kind.clone(),
        plural: object.plural.clone(),
    };
    let api: Api<DynamicObject> = Api::namespaced_with(client, &object.namespace, &kind);
    let params = DeleteParams {
        preconditions: Some(Preconditions {
            uid: Some(object.uid.clone()),
            resource_version: None,
        }),
        propagation_policy: Some(PropagationPolicy::Background),
        ..DeleteParams::default()
    };
    match api.delete(&object.name, &params).await {
        Ok(_) => Ok(true),
        // Gone, or another one of that name: both are for the next look to see.
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(false),
        Err(error) => Err(anyhow::Error::new(error).context(format!("delete {object}"))),
    }
}
