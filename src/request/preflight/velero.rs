//! Whether Velero can bring back what the backup holds, and when it will.

use super::{Check, CheckState, Holdings, Results, Survey, count, list};
use crate::request::resource::RestoreRequestSpec;

/// The node agent: a pod on each node that copies files of volumes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NodeAgent {
    pub ready: i64,
    pub wanted: i64,
}

/// The queue, and the node agent where it is needed. That Velero is up is known:
/// it has just handed out what the backup holds.
pub(super) fn check(
    spec: &RestoreRequestSpec,
    survey: &Survey,
    holdings: &Holdings,
    results: &mut Results,
) -> Result<(), String> {
    let ahead = &survey.restores_ahead;
    if ahead.is_empty() {
        results.passed(
            Check::Queue,
            "Velero is up, and nothing is queued before this restore".to_owned(),
        );
    } else {
        results.add(
            Check::Queue,
            CheckState::Warned,
            format!(
                "Velero is up and restores one at a time; {} before this one ({})",
                match ahead.len() {
                    1 => "1 is".to_owned(),
                    more => format!("{more} are"),
                },
                list(&ahead.iter().take(5).collect::<Vec<_>>())
            ),
        );
    }
    let needed = holdings
        .volumes
        .iter()
        .filter(|volume| {
            volume.held && volume.by_node_agent && spec.namespaces.contains(&volume.namespace)
        })
        .count();
    if needed == 0 {
        results.passed(Check::NodeAgent, "not needed".to_owned());
        return Ok(());
    }
    let volumes = count(i64::try_from(needed).unwrap_or(i64::MAX), "volume");
    match survey.node_agent {
        None => Err(format!(
            "The data of {volumes} is brought back by Velero's node agent, and there is none in \
             the cluster. Have the platform team set it up, then ask again."
        )),
        Some(NodeAgent { ready: 0, wanted }) => Err(format!(
            "The data of {volumes} is brought back by Velero's node agent, of which none of \
             {wanted} is ready. Have the platform team look at it, then ask again."
        )),
        Some(NodeAgent { ready, wanted }) if ready < wanted => {
            results.add(
                Check::NodeAgent,
                CheckState::Warned,
                format!("ready on {ready} of {wanted} nodes; it brings back {volumes}"),
            );
            Ok(())
        }
        Some(NodeAgent { ready, .. }) => {
            results.passed(
                Check::NodeAgent,
                format!(
                    "ready on {}; it brings back {volumes}",
                    count(ready, "node")
                ),
            );
            Ok(())
        }
    }
}
