//! The node agent, as far as anybody can see it: a DaemonSet with its status.
//! What it does is done in `refill`.

use k8s_openapi::api::apps::v1::DaemonSet;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use serde_json::json;

use super::life::Server;

const NAME: &str = "node-agent";
const NODES: i32 = 3;

/// Makes the DaemonSet say that so many of its pods are ready; `None` deletes it.
pub(super) async fn report(server: &Server, ready: Option<i32>) -> anyhow::Result<()> {
    let sets: Api<DaemonSet> = Api::namespaced(server.client.clone(), &server.namespace);
    let Some(ready) = ready else {
        sets.delete(NAME, &DeleteParams::default()).await?;
        return Ok(());
    };
    let labels = json!({"name": NAME});
    let set = json!({
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": NAME, "labels": labels},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": NAME, "image": "registry.example.com/velero:1.16"}]},
            },
        },
    });
    let params = PatchParams::apply("velero").force();
    sets.patch(NAME, &params, &Patch::Apply(&set)).await?;
    let status = json!({"status": {
        "currentNumberScheduled": NODES,
        "desiredNumberScheduled": NODES,
        "numberMisscheduled": 0,
        "numberReady": ready,
    }});
    sets.patch_status(NAME, &PatchParams::default(), &Patch::Merge(&status))
        .await?;
    Ok(())
}
