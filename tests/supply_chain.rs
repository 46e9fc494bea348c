//! What comes into the binary, held to `deny.toml` without a network: licences, where
//! crates come from, what is banned, and why a crate is there in two versions.
//!
//! Advisories need a database that is fetched; `cargo deny check` reads them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use anyhow::Context as _;
use serde::Deserialize;

#[derive(Deserialize)]
struct Deny {
    licenses: Licenses,
    bans: Bans,
}

#[derive(Deserialize)]
struct Licenses {
    allow: Vec<String>,
}

#[derive(Deserialize)]
struct Bans {
    deny: Vec<Named>,
    skip: Vec<Named>,
}

#[derive(Deserialize)]
struct Named {
    #[serde(rename = "crate")]
    name: String,
    reason: String,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
    license: Option<String>,
    source: Option<String>,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    pkg: String,
    dep_kinds: Vec<Kind>,
}

#[derive(Deserialize)]
struct Kind {
    /// `None`: an ordinary one.
    kind: Option<String>,
}

fn deny() -> anyhow::Result<Deny> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deny.toml");
    Ok(toml::from_str(&std::fs::read_to_string(path)?)?)
}

/// What the binary is made of, on the platform that it is released for.
fn ingredients() -> anyhow::Result<Vec<Package>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--offline"])
        .args(["--filter-platform", "x86_64-unknown-linux-gnu"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()?;
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    anyhow::ensure!(output.status.success(), "{error}");
    let metadata: Metadata = serde_json::from_slice(&output.stdout)?;
    let nodes: BTreeMap<&str, &Node> = metadata
        .resolve
        .nodes
        .iter()
        .map(|node| (node.id.as_str(), node))
        .collect();
    let root = metadata.packages.iter().find(|it| it.name == "refloat");
    let mut next = vec![root.context("there is no refloat")?.id.as_str()];
    let mut reached = BTreeSet::new();
    while let Some(id) = next.pop() {
        if !reached.insert(id.to_owned()) {
            continue;
        }
        let deps = nodes
            .get(id)
            .context("a package without a node")?
            .deps
            .iter();
        next.extend(
            deps.filter(|dep| {
                dep.dep_kinds
                    .iter()
                    .any(|it| it.kind.as_deref() != Some("dev"))
            })
            .map(|dep| dep.pkg.as_str()),
        );
    }
    let packages = metadata.packages.into_iter();
    Ok(packages.filter(|it| reached.contains(&it.id)).collect())
}

#[test]
fn every_licence_is_one_that_is_allowed() -> anyhow::Result<()> {
    let allowed = deny()?.licenses.allow;
    let allowed: Vec<spdx::Licensee> = allowed
        .iter()
        .map(|text| spdx::Licensee::parse(text))
        .collect::<Result<_, _>>()?;
    let mut wrong = Vec::new();
    let mut used = BTreeSet::new();
    for package in ingredients()? {
        let name = format!("{} {}", package.name, package.version);
        let Some(license) = package.license else {
            wrong.push(format!("{name} has none"));
            continue;
        };
        // As old manifests have it.
        let license = license.replace('/', " OR ");
        let expression = spdx::Expression::parse(&license)?;
        let good = expression.evaluate(|wanted| {
            let found = allowed
                .iter()
                .position(|licensee| licensee.satisfies(wanted));
            used.extend(found);
            found.is_some()
        });
        if !good {
            wrong.push(format!("{name}: {license}"));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    let idle: Vec<&spdx::Licensee> = (0..allowed.len())
        .filter(|at| !used.contains(at))
        .map(|at| &allowed[at])
        .collect();
    assert!(idle.is_empty(), "allowed, and nothing needs them: {idle:?}");
    Ok(())
}

#[test]
fn everything_comes_from_the_registry_and_nothing_is_banned() -> anyhow::Result<()> {
    let banned = deny()?.bans.deny;
    for package in ingredients()? {
        // What is the project's own has no source.
        if let Some(source) = &package.source {
            assert!(
                source.starts_with("registry+") && source.ends_with("crates.io-index"),
                "{} comes from {source}",
                package.name
            );
        }
        let found = banned.iter().find(|it| it.name == package.name);
        assert!(
            found.is_none(),
            "{}: {}",
            package.name,
            found.map_or("", |it| &it.reason)
        );
    }
    Ok(())
}

/// A crate is there once; or the older versions are named, with who brings them.
#[test]
fn each_crate_is_there_once_or_it_is_said_why() -> anyhow::Result<()> {
    let skipped = deny()?.bans.skip;
    let mut versions = BTreeMap::<String, BTreeSet<String>>::new();
    for package in ingredients()? {
        versions
            .entry(package.name)
            .or_default()
            .insert(package.version);
    }
    let is_of = |skip: &Named, name: &str, version: &str| {
        let (of, prefix) = skip.name.split_once('@').unwrap_or((&skip.name, ""));
        of == name
            && (version == prefix
                || version.starts_with(&format!("{prefix}."))
                || prefix.is_empty())
    };
    let mut unsaid = Vec::new();
    let mut idle: BTreeSet<&str> = skipped.iter().map(|skip| skip.name.as_str()).collect();
    for (name, versions) in versions.iter().filter(|(_, versions)| versions.len() > 1) {
        let mut left = versions.len();
        for version in versions {
            if let Some(skip) = skipped.iter().find(|skip| is_of(skip, name, version)) {
                assert!(!skip.reason.is_empty(), "{} has no reason", skip.name);
                idle.remove(skip.name.as_str());
                left -= 1;
            }
        }
        if left > 1 {
            unsaid.push(format!("{name}: {versions:?}"));
        }
    }
    assert_eq!(unsaid, Vec::<String>::new());
    assert!(
        idle.is_empty(),
        "there once only, and still skipped: {idle:?}"
    );
    Ok(())
}

/// Somebody who moves a tag cannot change what the workflow runs.
#[test]
fn the_workflow_is_pinned_and_runs_what_ci_runs() -> anyhow::Result<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(".github/workflows/ci.yml");
    let text = std::fs::read_to_string(path)?;
    let workflow: serde_json::Value = serde_saphyr::from_str(&text)?;
    let mut runs = BTreeSet::new();
    let mut used = 0;
    let jobs = workflow["jobs"].as_object().context("there are no jobs")?;
    for step in jobs
        .values()
        .flat_map(|job| job["steps"].as_array().into_iter().flatten())
    {
        runs.extend(step["run"].as_str().map(str::to_owned));
        if let Some(uses) = step["uses"].as_str() {
            let commit = uses.split_once('@').map_or("", |(_, commit)| commit);
            assert!(
                commit.len() == 40 && commit.chars().all(|c| c.is_ascii_hexdigit()),
                "{uses} is not pinned by a commit"
            );
            used += 1;
        }
    }
    assert!(used > 0 && runs.contains("bash .ci/run"), "{runs:?}");
    assert_eq!(
        workflow["permissions"],
        serde_json::json!({"contents": "read"})
    );
    Ok(())
}

/// The image is built with stand-ins for every target that a manifest names, since
/// cargo reads no manifest whose targets are not there.
#[test]
fn the_image_is_built_from_every_target() -> anyhow::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let containerfile = std::fs::read_to_string(root.join("Containerfile"))?;
    let manifest: toml::Table = toml::from_str(&std::fs::read_to_string(root.join("Cargo.toml"))?)?;
    let mut targets = 0;
    for kind in ["test", "example", "bench"] {
        let named = manifest.get(kind).and_then(toml::Value::as_array);
        for target in named.into_iter().flatten() {
            let name = target
                .get("name")
                .and_then(toml::Value::as_str)
                .unwrap_or_default();
            let path = target.get("path").and_then(toml::Value::as_str);
            let path = path.map_or_else(|| format!("{kind}es/{name}.rs"), ToOwned::to_owned);
            assert!(
                containerfile.contains(&path),
                "{path} is not in the Containerfile"
            );
            targets += 1;
        }
    }
    assert!(targets > 5, "{targets} targets");
    for line in [
        "FROM scratch",
        "USER 65532:65532",
        "ENTRYPOINT [\"/refloat\"]",
    ] {
        assert!(containerfile.lines().any(|it| it == line), "{line}");
    }
    Ok(())
}
