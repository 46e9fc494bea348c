//! Requests that an earlier version stored are still read, whatever the definitions
//! have become.
//!
//! `tests/stored/VERSION/` holds some of each released version as they stood in the
//! cluster. Before a release, `cargo test --test it -- --ignored stored` writes those
//! of the version at hand.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use harbour::Setup;
use harbour::velero::Ending;
use harbour::world::Shape;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{CustomResourceExt as _, ResourceExt as _};
use refloat::copy::{self, CopyRequest};
use refloat::request::{Phase, RestoreRequest, phase};
use refloat::schedule::{self, ScheduleRequest};
use serde_json::{Value, json};

use crate::refloat::{FAST, Refloat, external};
use crate::world::World;

const REQUEST: &str =
    "restore request tenant:poseidon1 namespaces:dev schedule:daily reason:\"bad migration\"";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stored")
}

/// Every stored request, by its file.
fn stored() -> anyhow::Result<Vec<(PathBuf, Value)>> {
    let mut all = Vec::new();
    for version in std::fs::read_dir(folder())? {
        for file in std::fs::read_dir(version?.path())? {
            let path = file?.path();
            let text = std::fs::read_to_string(&path)?;
            all.push((path, serde_json::from_str(&text)?));
        }
    }
    all.sort_by(|one, other| one.0.cmp(&other.0));
    Ok(all)
}

/// The phase that it was written down to be in.
fn said(object: &Value) -> &str {
    let conditions = object["status"]["conditions"].as_array();
    conditions
        .and_then(|all| all.iter().find(|it| it["type"] == "Progressing"))
        .and_then(|it| it["reason"].as_str())
        .unwrap_or_default()
}

/// Puts a stored request where it stood, and reads it back.
async fn put<K>(api: &Api<K>, name: &str, bare: Value, status: &Value) -> anyhow::Result<K>
where
    K: Clone + std::fmt::Debug + serde::Serialize + serde::de::DeserializeOwned,
{
    api.create(&PostParams::default(), &serde_json::from_value(bare)?)
        .await?;
    api.patch_status(name, &PatchParams::default(), &Patch::Merge(status))
        .await?;
    Ok(api.get(name).await?)
}

/// No version goes without, and no kind: what is stored was written down before the release.
#[test]
fn each_kind_of_this_version_is_stored() -> anyhow::Result<()> {
    let here = folder().join(env!("CARGO_PKG_VERSION"));
    let kinds: BTreeSet<String> = stored()?
        .into_iter()
        .filter(|(path, _)| path.starts_with(&here))
        .map(|(_, object)| object["kind"].as_str().unwrap_or_default().to_owned())
        .collect();
    let own = [
        RestoreRequest::crd(),
        ScheduleRequest::crd(),
        CopyRequest::crd(),
    ];
    assert_eq!(kinds, own.map(|it| it.spec.names.kind).into());
    Ok(())
}

/// The API server takes it by today's definitions, nothing of it is lost, it stands
/// where it stood, and Refloat leaves one that has ended as it is.
#[tokio::test(flavor = "multi_thread")]
async fn requests_of_earlier_versions_are_read() -> anyhow::Result<()> {
    if external().is_some() {
        println!("skipped: nothing old is put on a shared API server");
        return Ok(());
    }
    let all = stored()?;
    anyhow::ensure!(all.len() >= 5, "only {} are stored", all.len());
    let world = World::start(Setup {
        shape: Shape::small(),
        days_of_backups: 2,
        ..Setup::default()
    })
    .await?;
    let mut ended = Vec::new();
    for (path, object) in &all {
        let file = path.display().to_string();
        // One request may be stored as it stood at several moments.
        let name = path.file_stem().and_then(|stem| stem.to_str());
        let name = name.context("no name")?;
        let bare = json!({
            "apiVersion": object["apiVersion"],
            "kind": object["kind"],
            "metadata": { "name": name },
            "spec": object["spec"],
        });
        let status = json!({ "status": object["status"] });
        let (now, back, over) = match object["kind"].as_str() {
            Some("RestoreRequest") => {
                let read = put(&world.requests(), name, bare, &status).await;
                let read = read.with_context(|| file.clone())?;
                let now = phase(&read.status.clone().unwrap_or_default());
                (now.name(), serde_json::to_value(read)?, now.is_over())
            }
            Some("ScheduleRequest") => {
                let read = put(&world.schedule_requests(), name, bare, &status).await;
                let read = read.with_context(|| file.clone())?;
                let now = schedule::phase(&read.status.clone().unwrap_or_default());
                (now.name(), serde_json::to_value(read)?, now.is_over())
            }
            Some("CopyRequest") => {
                let read = put(&world.copies(), name, bare, &status).await;
                let read = read.with_context(|| file.clone())?;
                let now = copy::phase(&read.status.clone().unwrap_or_default());
                (now.name(), serde_json::to_value(read)?, now.is_over())
            }
            other => anyhow::bail!("{file}: {other:?}"),
        };
        assert_eq!(now, said(object), "{file}");
        for part in ["spec", "status"] {
            assert_eq!(
                back[part], object[part],
                "{file}: something of its {part} is lost"
            );
        }
        if over {
            ended.push((name.to_owned(), object["status"].clone()));
        } else {
            // What is under way belongs to a world that is not here.
            let params = DeleteParams::default();
            match object["kind"].as_str() {
                Some("RestoreRequest") => drop(world.requests().delete(name, &params).await?),
                Some("ScheduleRequest") => {
                    drop(world.schedule_requests().delete(name, &params).await?);
                }
                _ => drop(world.copies().delete(name, &params).await?),
            }
        }
    }
    let mut refloat = Refloat::start(&world.harbour.refloat_config(FAST)?)?;
    let name = world.ask(&mut refloat, REQUEST).await?;
    world.until_asked(&name).await?;
    refloat.say(&format!("as grace: approve {name}")).await?;
    world.until_phase(&name, Phase::Done).await?;
    let everything = ListParams::default();
    let restores = world.requests().list(&everything).await?;
    let schedules = world.schedule_requests().list(&everything).await?;
    let copies = world.copies().list(&everything).await?;
    let now = |name: &str| {
        let restore = restores.iter().find(|it| it.name_any() == name);
        let schedule = schedules.iter().find(|it| it.name_any() == name);
        let copy = copies.iter().find(|it| it.name_any() == name);
        restore
            .map(|it| serde_json::to_value(&it.status))
            .or_else(|| schedule.map(|it| serde_json::to_value(&it.status)))
            .or_else(|| copy.map(|it| serde_json::to_value(&it.status)))
    };
    for (name, before) in ended {
        let status = now(&name).with_context(|| format!("{name} is gone"))??;
        assert_eq!(status, before, "{name} was changed");
    }
    refloat.stop().await?;
    world.end().await
}

/// Writes requests of this version down: one that is done, one that waits for a
/// reviewer, one that is stuck, one that was refused, a change of schedules, and a copy.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "it writes into tests/stored"]
async fn write_down_those_of_this_version() -> anyhow::Result<()> {
    let world = World::start(Setup {
        shape: Shape::small(),
        days_of_backups: 2,
        ..Setup::default()
    })
    .await?;
    let into = folder().join(env!("CARGO_PKG_VERSION"));
    std::fs::create_dir_all(&into)?;
    let write = |file: &str, object: &Value| -> anyhow::Result<()> {
        let text = serde_json::to_string_pretty(object)?;
        Ok(std::fs::write(into.join(file), text + "\n")?)
    };
    let mut refloat = Refloat::start(&world.harbour.refloat_config(FAST)?)?;
    let faults = world.harbour.velero.faults();
    faults.end_next_restore(Ending::PartiallyFailed(
        [("poseidon1-dev".to_owned(), vec!["disk full".to_owned()])].into(),
    ));
    let name = world.ask(&mut refloat, REQUEST).await?;
    let waiting = world.until_asked(&name).await?;
    write("waiting.json", &serde_json::to_value(waiting)?)?;
    refloat.say("as grace: approve").await?;
    let stuck = world.until_phase(&name, Phase::Stuck).await?;
    write("stuck.json", &serde_json::to_value(stuck)?)?;
    refloat.say("as grace: restore retry").await?;
    world.until_phase_through_stuck(&name, Phase::Done).await?;
    crate::refloat::until(|| async {
        let done = world.requests().get(&name).await?;
        Ok(done.status.is_some_and(|it| it.summarized_at.is_some()))
    })
    .await?;
    write(
        "done.json",
        &serde_json::to_value(world.requests().get(&name).await?)?,
    )?;
    let name = world
        .ask(
            &mut refloat,
            &REQUEST.replace("schedule:daily", "backup:none"),
        )
        .await?;
    let refused = world.until_phase(&name, Phase::Refused).await?;
    write("refused.json", &serde_json::to_value(refused)?)?;
    let line = "schedule add tenant:poseidon1 name:nightly when:\"30 3 * * *\" keep:7d";
    let name = world.order_schedule(&mut refloat, line).await?;
    world.until_schedule_asked(&name).await?;
    refloat
        .say(&format!("as grace: deny {name} because of the storage"))
        .await?;
    let denied = world.until_schedule(&name, schedule::Phase::Denied).await?;
    write("schedule-denied.json", &serde_json::to_value(denied)?)?;
    let line = "restore copy tenant:poseidon1 namespace:dev into:dev-copy";
    let name = world.ask_for_copy(&mut refloat, line).await?;
    let kept = world.until_copy(&name, copy::Phase::Kept).await?;
    write("copy-kept.json", &serde_json::to_value(kept)?)?;
    refloat.say(&format!("restore withdraw {name}")).await?;
    let withdrawn = world.until_copy(&name, copy::Phase::Withdrawn).await?;
    write("copy-withdrawn.json", &serde_json::to_value(withdrawn)?)?;
    refloat.stop().await?;
    world.end().await
}
