//! What clearing a namespace takes, against other ways of doing it.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use futures::StreamExt as _;
use harbour::kubernetes;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret};
use kube::api::{DeleteParams, ListParams, PostParams};
use kube::core::NamespaceResourceScope;
use kube::{Api, Client, Resource};
use refloat::effects::{clear, sweep::Sweep};
use refloat::request::inventory::{InventorySummary, Next, Ownership, next_batch, youngest};
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::process::Command;

/// As many deletes at once as Refloat sends by default.
const AT_ONCE: usize = 50;
/// What etcd takes to have an object on a good disk.
const WRITE_TIME: Duration = Duration::from_millis(1);
/// What must hold: against one `deletecollection` for each kind, against one by one, and in memory.
const AGAINST_COLLECTION: u32 = 2;
const AGAINST_ONE_BY_ONE: u32 = 10;
const MEMORY_KB: u64 = 100_000;
/// How many of the one-by-one loop are timed; it is as slow for each.
const ONE_BY_ONE: usize = 15;

/// Measures 1,000 and 10,000 objects.
pub async fn measure() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("kubeconfig");
    let stop = tokio_util::sync::CancellationToken::new();
    let (kubeconfig, client) = if let Some(path) = crate::refloat::external() {
        println!("on the API server of {}", path.display());
        let client = harbour::client_of(&path).await?;
        (path, client)
    } else {
        println!(
            "on the harbour's API server, whose storage takes {WRITE_TIME:.0?} for each object that it writes"
        );
        let server = kubernetes::Server::start(kubernetes::Options {
            stop: stop.clone(),
            write_time: WRITE_TIME,
            ..kubernetes::Options::default()
        })
        .await?;
        std::fs::write(&path, server.kubeconfig("measure"))?;
        (path, server.client("measure"))
    };
    for number in [1000, 10_000] {
        let began = filled(&client, "measure-collection", number).await?;
        println!("{number} objects made in {began:.1?}");
        let collection = {
            let began = Instant::now();
            collect::<ConfigMap>(&client, "measure-collection").await?;
            collect::<Secret>(&client, "measure-collection").await?;
            began.elapsed()
        };
        println!("  one deletecollection for each kind: {collection:.2?}");

        filled(&client, "measure-refloat", number).await?;
        let child = Command::new(std::env::current_exe()?)
            .args([
                "clear",
                kubeconfig.to_str().context("a path")?,
                "measure-refloat",
            ])
            .output()
            .await?;
        anyhow::ensure!(
            child.status.success(),
            "{}",
            String::from_utf8_lossy(&child.stderr)
        );
        let told = String::from_utf8_lossy(&child.stdout);
        let (took, peak, batches) = measured(&told)?;
        println!(
            "  as Refloat does it, {AT_ONCE} at once: {took:.2?}, {batches} batches, {peak} kB at most"
        );
        anyhow::ensure!(peak < MEMORY_KB, "it takes too much memory");
        let left = count::<ConfigMap>(&client, "measure-refloat").await?
            + count::<Secret>(&client, "measure-refloat").await?;
        anyhow::ensure!(left == 0, "{left} objects are left");

        if number == 1000 {
            anyhow::ensure!(
                took <= collection * AGAINST_COLLECTION,
                "it takes more than {AGAINST_COLLECTION} times as long as deletecollection"
            );
            filled(&client, "measure-one", ONE_BY_ONE).await?;
            let each = one_by_one(&client, "measure-one").await? / u32::try_from(ONE_BY_ONE)?;
            println!(
                "  one by one at 5 requests a second: {each:.2?} each, {:.0?} for {number}",
                each * number.try_into()?
            );
            anyhow::ensure!(
                took * AGAINST_ONE_BY_ONE < each * number.try_into()?,
                "it takes more than a tenth of what one by one does"
            );
        }
    }
    for namespace in ["measure-collection", "measure-refloat", "measure-one"] {
        let api: Api<Namespace> = Api::all(client.clone());
        api.delete(namespace, &DeleteParams::default()).await?;
    }
    stop.cancel();
    Ok(())
}

/// What the process that cleared says of itself: how long it took, its memory at most in kB, its batches.
fn measured(told: &str) -> anyhow::Result<(Duration, u64, u64)> {
    let numbers: Vec<u64> = told
        .split_whitespace()
        .map(str::parse)
        .collect::<Result<_, _>>()?;
    match numbers[..] {
        [micros, peak, batches] => Ok((Duration::from_micros(micros), peak, batches)),
        _ => anyhow::bail!("it says {told:?}"),
    }
}

/// Makes a namespace with so many ConfigMaps and Secrets.
async fn filled(client: &Client, namespace: &str, number: usize) -> anyhow::Result<Duration> {
    harbour::ensure_namespace(client, namespace).await?;
    let began = Instant::now();
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let mut made = futures::stream::iter(0..number)
        .map(|index| {
            let (maps, secrets) = (maps.clone(), secrets.clone());
            async move {
                let meta = json!({ "metadata": { "name": format!("object-{index}") } });
                let params = PostParams::default();
                if index % 2 == 0 {
                    maps.create(&params, &serde_json::from_value(meta)?).await?;
                } else {
                    secrets
                        .create(&params, &serde_json::from_value(meta)?)
                        .await?;
                }
                anyhow::Ok(())
            }
        })
        .buffer_unordered(AT_ONCE);
    while let Some(made) = made.next().await {
        made?;
    }
    Ok(began.elapsed())
}

async fn count<K>(client: &Client, namespace: &str) -> anyhow::Result<usize>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + Clone
        + std::fmt::Debug
        + DeserializeOwned,
{
    let api: Api<K> = Api::namespaced(client.clone(), namespace);
    let all = api.list_metadata(&ListParams::default()).await?;
    Ok(all
        .items
        .iter()
        .filter(|object| {
            object
                .metadata
                .name
                .as_deref()
                .is_some_and(|name| name.starts_with("object-"))
        })
        .count())
}

async fn collect<K>(client: &Client, namespace: &str) -> anyhow::Result<()>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + Clone
        + std::fmt::Debug
        + DeserializeOwned,
{
    let api: Api<K> = Api::namespaced(client.clone(), namespace);
    api.delete_collection(&DeleteParams::default(), &ListParams::default())
        .await?;
    while count::<K>(client, namespace).await? > 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

async fn one_by_one(client: &Client, namespace: &str) -> anyhow::Result<Duration> {
    let began = Instant::now();
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let mut pace = tokio::time::interval(Duration::from_millis(200));
    for index in 0..ONE_BY_ONE {
        pace.tick().await;
        let name = format!("object-{index}");
        if index % 2 == 0 {
            maps.delete(&name, &DeleteParams::default()).await?;
        } else {
            secrets.delete(&name, &DeleteParams::default()).await?;
        }
    }
    Ok(began.elapsed())
}

/// Clears a namespace by the same steps as the controller: look, pick a batch, delete
/// it, until two looks in a row find nothing.
pub async fn clear(kubeconfig: &str, namespace: &str) -> anyhow::Result<()> {
    let client = harbour::client_of(std::path::Path::new(kubeconfig)).await?;
    let namespaces = [namespace.to_owned()];
    let ownership = Ownership::default();
    let all = refloat::effects::cluster::contents(&client, &namespaces).await?;
    let approved = InventorySummary::of(&all.objects, &ownership);
    let cutoff = youngest(&all.objects, &ownership).context("nothing is there")?;
    drop(all);
    let began = Instant::now();
    let mut kept = None;
    let mut empty = 0;
    let mut batches = 0;
    while empty < 2 {
        let mut sweep = Sweep::look(
            kept.take(),
            &client,
            &namespaces,
            &ownership,
            &approved,
            cutoff,
            AT_ONCE,
        )
        .await?;
        let objects = &sweep.contents().objects;
        match next_batch(objects, &ownership, &approved, cutoff, AT_ONCE) {
            Next::Empty => empty += 1,
            Next::Delete(batch) => {
                empty = 0;
                batches += 1;
                sweep.asked(&batch);
                clear::delete(&client, &batch).await?;
                kept = Some(sweep);
            }
            Next::Terminating(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            Next::Foreign(names) => anyhow::bail!("these are somebody else's: {names:?}"),
        }
    }
    // For `measure`, which started this.
    println!(
        "{} {} {batches}",
        began.elapsed().as_micros(),
        crate::peak("self")?
    );
    Ok(())
}
