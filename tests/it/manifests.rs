//! The manifests in `deploy/`.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use harbour::Setup;
use harbour::world::Shape;
use refloat::config::Config;
use serde_json::Value;

pub use crate::install::{apply, manifest};
use crate::refloat::external;
use crate::world::World;

/// The manifests that a kustomization names, through all that it is made of.
pub fn named(folder: &str) -> anyhow::Result<Vec<PathBuf>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy");
    let list = manifest(&format!("{folder}/kustomization.yaml"))?.remove(0);
    let mut all = Vec::new();
    for resource in list["resources"].as_array().into_iter().flatten() {
        let resource = resource.as_str().context("a resource is a text")?;
        let path = root.join(folder).join(resource);
        anyhow::ensure!(
            path.exists(),
            "{folder} names {resource}, which is not there"
        );
        if path.is_dir() {
            let name = path.file_name().and_then(|name| name.to_str());
            all.extend(named(name.context("a folder has a name")?)?);
        } else {
            all.push(PathBuf::from(folder).join(resource));
        }
    }
    Ok(all)
}

/// Kinds that are installed by OpenShift and by its monitoring.
fn is_foreign(object: &Value) -> bool {
    let group = object["apiVersion"].as_str().unwrap_or_default();
    group.starts_with("route.openshift.io") || group.starts_with("monitoring.")
}

/// Every manifest is there, and an API server takes it without an unknown field.
#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_takes_the_manifests() -> anyhow::Result<()> {
    if external().is_some() {
        println!("skipped: nothing is installed on a shared API server");
        return Ok(());
    }
    let world = World::start(Setup {
        shape: Shape::small(),
        days_of_backups: 0,
        ..Setup::default()
    })
    .await?;
    let mut taken = 0;
    for overlay in ["kubernetes", "openshift"] {
        for path in named(overlay)? {
            let path = path.to_str().context("a path is a text")?;
            for object in manifest(path)? {
                if is_foreign(&object) {
                    continue;
                }
                apply(&world.harbour.client.0, &object)
                    .await
                    .with_context(|| path.to_owned())?;
                taken += 1;
            }
        }
    }
    assert!(taken > 40, "{taken} objects");
    world.end().await
}

/// What OpenShift's restricted-v2, and Kubernetes' own restricted profile, would refuse of a
/// pod; and a root file system that can be written to, and a port of the node.
fn refused(pod: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    let mut must = |good: bool, what: String| {
        if !good {
            faults.push(what);
        }
    };
    let of_pod = &pod["securityContext"];
    for field in ["hostNetwork", "hostPID", "hostIPC"] {
        must(pod[field].is_null(), field.to_owned());
    }
    let kinds = [
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "name",
        "persistentVolumeClaim",
        "projected",
        "secret",
    ];
    for volume in pod["volumes"].as_array().into_iter().flatten() {
        let fields = volume.as_object().into_iter().flatten();
        for (kind, _) in fields {
            must(
                kinds.contains(&kind.as_str()),
                format!("a volume of {kind}"),
            );
        }
    }
    let containers = ["containers", "initContainers"].map(|field| pod[field].as_array());
    for container in containers.into_iter().flatten().flatten() {
        let name = container["name"].as_str().unwrap_or_default();
        let own = &container["securityContext"];
        let either = |field: &str| match &own[field] {
            Value::Null => of_pod[field].clone(),
            set => set.clone(),
        };
        must(
            either("runAsNonRoot") == true,
            format!("{name} may be root"),
        );
        must(
            either("seccompProfile")["type"] == "RuntimeDefault",
            format!("{name} has no seccomp profile"),
        );
        // The namespace's range decides; an id from outside of it is refused.
        for field in ["runAsUser", "runAsGroup", "fsGroup"] {
            must(either(field).is_null(), format!("{name} sets {field}"));
        }
        must(own["privileged"] != true, format!("{name} is privileged"));
        must(
            own["allowPrivilegeEscalation"] == false,
            format!("{name} may get more rights"),
        );
        must(
            own["capabilities"] == serde_json::json!({"drop": ["ALL"]}),
            format!("{name} keeps capabilities"),
        );
        must(
            own["readOnlyRootFilesystem"] == true,
            format!("{name} may write into its image"),
        );
        for port in container["ports"].as_array().into_iter().flatten() {
            must(
                port["hostPort"].is_null(),
                format!("{name} takes a port of the node"),
            );
        }
    }
    faults
}

/// The pods pass restricted-v2, and would not without any one of what they say.
#[test]
fn the_pods_are_restricted() -> anyhow::Result<()> {
    let pod = manifest("base/deployment.yaml")?.remove(0)["spec"]["template"]["spec"].take();
    assert_eq!(refused(&pod), Vec::<String>::new());
    let patch = manifest("openshift-logbook/patch-deployment.yaml")?.remove(0);
    let mut both = pod.clone();
    let beside = &patch["spec"]["template"]["spec"];
    for field in ["containers", "volumes"] {
        let more = beside[field].as_array().cloned().context("nothing more")?;
        both[field]
            .as_array_mut()
            .context("nothing yet")?
            .extend(more);
    }
    assert_eq!(refused(&both), Vec::<String>::new());
    for said in [
        "/securityContext/runAsNonRoot",
        "/securityContext/seccompProfile",
        "/containers/0/securityContext/allowPrivilegeEscalation",
        "/containers/0/securityContext/capabilities",
        "/containers/0/securityContext/readOnlyRootFilesystem",
        "/containers/1/securityContext/allowPrivilegeEscalation",
    ] {
        let mut without = both.clone();
        *without.pointer_mut(said).context(said)? = Value::Null;
        assert!(!refused(&without).is_empty(), "{said}");
    }
    Ok(())
}

/// kubectl renders each overlay, where it is installed, and an API server takes what comes
/// of it, without an unknown field; and the Application that installs it.
#[tokio::test(flavor = "multi_thread")]
async fn kubectl_renders_each_overlay() -> anyhow::Result<()> {
    if external().is_some() {
        println!("skipped: nothing is installed on a shared API server");
        return Ok(());
    }
    let world = World::start(Setup {
        shape: Shape::small(),
        days_of_backups: 0,
        ..Setup::default()
    })
    .await?;
    // They would work on what is only to be looked at.
    world.harbour.stop_services();
    let client = &world.harbour.client.0;
    for object in manifest("argocd/application.yaml")? {
        apply(client, &object).await?;
    }
    for overlay in ["kubernetes", "openshift", "openshift-logbook"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("deploy")
            .join(overlay);
        let rendered = std::process::Command::new("kubectl")
            .arg("kustomize")
            .arg(&path)
            .output();
        let output = match rendered {
            Ok(output) => output,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                println!("skipped: kubectl is not installed");
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        anyhow::ensure!(output.status.success(), "{overlay}: {error}");
        let text = String::from_utf8(output.stdout)?;
        let objects: Vec<Value> = serde_saphyr::from_multiple(&text)?;
        let has = |kind: &str| objects.iter().any(|object| object["kind"] == kind);
        for kind in [
            "Deployment",
            "CustomResourceDefinition",
            "ValidatingAdmissionPolicy",
        ] {
            anyhow::ensure!(has(kind), "{overlay} has no {kind}");
        }
        anyhow::ensure!(
            has("PrometheusRule") == (overlay != "kubernetes"),
            "{overlay}"
        );
        // The configuration is the one that was written, not another.
        let config = objects.iter().find(|object| {
            let name = object["metadata"]["name"].as_str().unwrap_or_default();
            name.starts_with("refloat-config-")
        });
        let config = config.context("no configuration")?["data"]["refloat.yaml"].as_str();
        let written = std::fs::read_to_string(path.join("../base/refloat.yaml"))?;
        anyhow::ensure!(config == Some(written.as_str()), "{overlay}");
        for object in objects.iter().filter(|object| !is_foreign(object)) {
            apply(client, object)
                .await
                .with_context(|| overlay.to_owned())?;
            if object["kind"] == "Deployment" {
                let faults = refused(&object["spec"]["template"]["spec"]);
                anyhow::ensure!(faults.is_empty(), "{overlay}: {faults:?}");
            }
        }
    }
    world.end().await
}

/// What others wrote and is run for this project is named by what it is, not by a tag that
/// may move.
#[test]
fn each_action_is_pinned() -> anyhow::Result<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(".github/workflows/ci.yml");
    let text = std::fs::read_to_string(path)?;
    let mut pinned = 0;
    for line in text.lines() {
        let Some((_, action)) = line.split_once("uses: ") else {
            continue;
        };
        let commit = action
            .split_once('@')
            .and_then(|(_, rest)| rest.split_whitespace().next());
        let commit = commit.with_context(|| line.to_owned())?;
        anyhow::ensure!(
            commit.len() == 40 && commit.chars().all(|c| c.is_ascii_hexdigit()),
            "{line}"
        );
        pinned += 1;
    }
    anyhow::ensure!(pinned > 4, "{pinned}");
    Ok(())
}

/// The configuration that is deployed lacks nothing but its secrets.
#[test]
fn the_deployed_configuration_is_whole() -> anyhow::Result<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/base/refloat.yaml");
    let faults: Vec<String> = match Config::parse(&std::fs::read_to_string(path)?) {
        Ok(_) => Vec::new(),
        Err(faults) => faults.iter().map(|fault| fault.path.clone()).collect(),
    };
    assert_eq!(faults, ["github.tokenFile"]);
    Ok(())
}
