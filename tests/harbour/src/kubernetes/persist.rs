//! The world on disk, so that a server started anew goes on from there.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::store::{Key, Object, Store, World};

const FILE: &str = "objects.json";
/// How long after a change the world is saved.
const PAUSE: Duration = Duration::from_millis(200);

/// Reads the world from `folder`; nothing happens if nothing was saved there.
pub(super) fn load(folder: &Path, world: &mut World) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
    let path = folder.join(FILE);
    let text = match std::fs::read(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        read => read.with_context(|| format!("read {}", path.display()))?,
    };
    let saved: Value =
        serde_json::from_slice(&text).with_context(|| format!("parse {}", path.display()))?;
    world.version = saved["version"]
        .as_u64()
        .context("the saved world has no version")?;
    let objects = saved["objects"]
        .as_array()
        .context("the saved world has no objects")?;
    // Definitions come first, so that the kinds of the others are known.
    let is_definition = |object: &&Value| object["kind"] == "CustomResourceDefinition";
    let (definitions, others): (Vec<&Value>, Vec<&Value>) = objects.iter().partition(is_definition);
    for object in definitions.into_iter().chain(others) {
        let api_version = object["apiVersion"].as_str().unwrap_or_default();
        let name = object["kind"].as_str().unwrap_or_default();
        let kind = world
            .kinds()
            .find(|kind| kind.kind == name && kind.api_version() == api_version)
            .cloned()
            .with_context(|| {
                format!("the saved world has a {name} of {api_version}, which is not known")
            })?;
        let meta = &object["metadata"];
        let key = Key::new(
            meta["namespace"].as_str(),
            meta["name"].as_str().unwrap_or_default(),
        );
        world.load(&kind, key, object.clone());
    }
    // A watch from before cannot be gone on with.
    world.forget();
    Ok(())
}

fn save(folder: &Path, version: u64, objects: &[Object]) -> anyhow::Result<()> {
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    let values: Vec<&Value> = objects.iter().map(|object| &object.value).collect();
    file.write_all(
        json!({"version": version, "objects": values})
            .to_string()
            .as_bytes(),
    )?;
    file.as_file().sync_all()?;
    file.persist(folder.join(FILE))?;
    Ok(())
}

/// Saves the world soon after each change, and once more at `stop`.
pub(super) async fn run(folder: std::path::PathBuf, store: Arc<Store>, stop: CancellationToken) {
    let mut written = store.written.subscribe();
    let mut saved = 0;
    loop {
        let stopped = tokio::select! {
            () = stop.cancelled() => true,
            changed = written.changed() => changed.is_err(),
        };
        if !stopped {
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(PAUSE) => {}
            }
        }
        let (version, objects) = snapshot(&store.lock());
        if version != saved {
            let folder = folder.clone();
            let done = tokio::task::spawn_blocking(move || save(&folder, version, &objects)).await;
            match done {
                Ok(Ok(())) => saved = version,
                Ok(Err(error)) => tracing::error!(%error, "the world was not saved"),
                Err(error) => tracing::error!(%error, "the world was not saved"),
            }
        }
        if stopped {
            return;
        }
    }
}

fn snapshot(world: &World) -> (u64, Vec<Object>) {
    let objects = world
        .all()
        .flat_map(|(_, collection)| collection.objects.values().cloned())
        .collect();
    (world.version, objects)
}
