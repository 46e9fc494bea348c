//! Refloat with the account and the roles of `deploy/`: what it needs it may do,
//! what it may do it needs, and it deletes nowhere but where it is clearing.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::Context as _;
use harbour::Setup;
use harbour::velero::Ending;
use k8s_openapi::api::admissionregistration::v1::ValidatingAdmissionPolicy;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use k8s_openapi::api::rbac::v1::{ClusterRoleBinding, RoleBinding};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::ResourceExt as _;
use kube::api::{Api, DeleteParams, ListParams, ObjectMeta, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use refloat::cli::check::Output;
use refloat::request::Phase;
use serde_json::Value;

use crate::manifests::{apply, manifest, named};
use crate::operate::checked;
use crate::refloat::{FAST, Refloat, external, until};
use crate::world::World;

const ACCOUNT: &str = "refloat:refloat";
const RIGHTS: &str =
    "kubernetes: { clearingRole: refloat-clearing, lease: refloat, leaseDuration: 2s, kubeconfig: ";

/// Every right that the roles give: `role: verb resource.group`.
fn given() -> anyhow::Result<BTreeSet<String>> {
    let mut all = BTreeSet::new();
    for object in manifest("base/rbac.yaml")? {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let role = match object["kind"].as_str() {
            Some("ClusterRole") => format!("ClusterRole/{name}"),
            Some("Role") => {
                let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default();
                format!("Role/{namespace}/{name}")
            }
            _ => continue,
        };
        let texts = |value: &Value| -> Vec<String> {
            let items = value.as_array().into_iter().flatten();
            items.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        for rule in object["rules"].as_array().into_iter().flatten() {
            for group in texts(&rule["apiGroups"]) {
                for resource in texts(&rule["resources"]) {
                    let (plural, sub) = match resource.split_once('/') {
                        Some((plural, sub)) => (plural.to_owned(), format!("/{sub}")),
                        None => (resource.clone(), String::new()),
                    };
                    let dotted = if group.is_empty() {
                        String::new()
                    } else {
                        format!(".{group}")
                    };
                    for verb in texts(&rule["verbs"]) {
                        all.insert(format!("{role}: {verb} {plural}{dotted}{sub}"));
                    }
                }
            }
        }
    }
    Ok(all)
}

/// A verb of a rule, for a resource and a name that the rule names.
struct Verb {
    text: String,
    /// `role[rule]: verb resource.group`; of a rule for all resources without them.
    right: String,
    name: Option<String>,
}

impl Verb {
    /// Whether what alone let a request pass is this.
    fn is(&self, needed: &str) -> bool {
        match needed.rsplit_once(' ') {
            Some((right, name)) => {
                (right == self.right
                    || (self.right.ends_with(' ') && right.starts_with(&self.right)))
                    && self.name.as_deref().is_none_or(|mine| mine == name)
            }
            None => false,
        }
    }
}

/// Every verb that could be taken away by itself.
fn verbs() -> anyhow::Result<Vec<Verb>> {
    let mut all = Vec::new();
    for object in manifest("base/rbac.yaml")? {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let role = match object["kind"].as_str() {
            Some("ClusterRole") => format!("ClusterRole/{name}"),
            Some("Role") => {
                let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default();
                format!("Role/{namespace}/{name}")
            }
            _ => continue,
        };
        let rules = object["rules"].as_array().into_iter().flatten();
        for (at, rule) in rules.enumerate() {
            let texts = |field: &str| -> Vec<String> {
                let items = rule[field].as_array().into_iter().flatten();
                items.filter_map(Value::as_str).map(str::to_owned).collect()
            };
            let names = texts("resourceNames");
            let names: Vec<Option<String>> = if names.is_empty() {
                vec![None]
            } else {
                names.into_iter().map(Some).collect()
            };
            for group in texts("apiGroups") {
                for resource in texts("resources") {
                    let dotted = match (group.as_str(), resource.split_once('/')) {
                        ("*", _) => String::new(),
                        ("", _) => resource.clone(),
                        (group, Some((plural, sub))) => format!("{plural}.{group}/{sub}"),
                        (group, None) => format!("{resource}.{group}"),
                    };
                    for verb in texts("verbs") {
                        for name in &names {
                            let right = format!("{role}[{at}]: {verb} {dotted}");
                            all.push(Verb {
                                text: format!("{right} {}", name.as_deref().unwrap_or_default()),
                                right,
                                name: name.clone(),
                            });
                        }
                    }
                }
            }
        }
    }
    anyhow::ensure!(all.len() > 30, "only {} verbs", all.len());
    Ok(all)
}

/// The table for people says exactly what the roles give.
#[test]
fn the_table_says_what_the_roles_give() -> anyhow::Result<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/rbac.md");
    let mut said = BTreeSet::new();
    for line in std::fs::read_to_string(path)?.lines() {
        let cells: Vec<&str> = line
            .split('|')
            .map(|cell| cell.trim().trim_matches('`'))
            .collect();
        if let [_, role, verbs, resource, why, _] = cells[..]
            && role.contains("Role/")
        {
            anyhow::ensure!(!why.is_empty(), "{line} does not say why");
            let rights = verbs.split(' ');
            said.extend(rights.map(|verb| format!("{role}: {verb} {resource}")));
        }
    }
    assert_eq!(said, given()?);
    Ok(())
}

async fn world() -> anyhow::Result<World> {
    let world = World::start(Setup {
        account: Some(ACCOUNT.to_owned()),
        days_of_backups: 2,
        ..Setup::default()
    })
    .await?;
    install(&world).await?;
    Ok(world)
}

/// Installs Refloat where nothing of it is, as `deploy/README.md` says; where kubectl is
/// not installed, by the manifests one by one.
async fn install(world: &World) -> anyhow::Result<()> {
    let client = &world.harbour.client.0;
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    let own = ["restorerequests", "schedulerequests", "copyrequests"];
    for plural in own {
        let name = format!("{plural}.refloat.dev");
        definitions.delete(&name, &DeleteParams::default()).await?;
    }
    let namespaces: Api<Namespace> = Api::all(client.clone());
    namespaces
        .delete("refloat", &DeleteParams::default())
        .await?;
    until(|| async {
        let left = definitions.list_metadata(&ListParams::default()).await?;
        let gone = !left
            .iter()
            .any(|it| it.name_any().ends_with(".refloat.dev"));
        Ok(gone && namespaces.get_opt("refloat").await?.is_none())
    })
    .await
    .context("something of Refloat is still there")?;

    let server = world.harbour.kubernetes.as_ref().context("no server")?;
    let kubeconfig = world.harbour.folder().join("kubeconfig-admin");
    std::fs::write(&kubeconfig, server.kubeconfig("harbour"))?;
    // Fields are held to the schemas by `manifests::an_api_server_takes_the_manifests`: what
    // kubectl validates by, the harbour does not serve.
    let applied = tokio::process::Command::new("kubectl")
        .args(["apply", "--server-side", "--validate=false", "--kubeconfig"])
        .arg(&kubeconfig)
        .arg("-k")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/kubernetes"))
        .output()
        .await;
    match applied {
        Ok(output) => {
            let error = String::from_utf8_lossy(&output.stderr);
            anyhow::ensure!(output.status.success(), "kubectl apply -k: {error}");
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            println!("kubectl is not installed: the manifests are applied one by one");
            for path in named("kubernetes")? {
                for object in manifest(path.to_str().context("a path is a text")?)? {
                    apply(client, &object).await?;
                }
            }
        }
        Err(error) => return Err(error.into()),
    }
    until(|| async {
        let everything = ListParams::default();
        Ok(world.requests().list(&everything).await.is_ok()
            && world.schedule_requests().list(&everything).await.is_ok()
            && world.copies().list(&everything).await.is_ok())
    })
    .await
    .context("the definitions are not served")
}

fn config(world: &World) -> anyhow::Result<String> {
    let more = format!("{FAST}notifications: {{ reviewers: platform, every: 50ms }}\n");
    let config = world.harbour.refloat_config(&more)?;
    Ok(config.replace("kubernetes: { kubeconfig: ", RIGHTS))
}

/// Bindings of the right to delete, and namespaces that are written down as being cleared.
async fn standing(world: &World) -> anyhow::Result<Vec<String>> {
    let bindings: Api<RoleBinding> = Api::all(world.harbour.client.0.clone());
    let mut all: Vec<String> = bindings
        .list(&ListParams::default())
        .await?
        .iter()
        .filter(|binding| binding.role_ref.name == "refloat-clearing")
        .map(|binding| binding.namespace().unwrap_or_default())
        .collect();
    let maps: Api<ConfigMap> = Api::namespaced(world.harbour.client.0.clone(), "refloat");
    let written = maps.get("refloat-clearing").await?;
    all.extend(written.data.unwrap_or_default().into_keys());
    Ok(all)
}

async fn given_in(world: &World, namespace: &str) -> anyhow::Result<RoleBinding> {
    let api: Api<RoleBinding> = Api::namespaced(world.harbour.client.0.clone(), namespace);
    Ok(api.get("refloat-clearing").await?)
}

/// The words in which the API server refused.
fn refused<T: std::fmt::Debug>(result: Result<T, kube::Error>) -> String {
    match result {
        Err(kube::Error::Api(status)) if status.code == 403 => status.message,
        other => format!("not refused: {other:?}"),
    }
}

/// What was read and refused so far, for a failure that is hard to see otherwise.
fn said(world: &World, refloat: &Refloat) -> String {
    let server = world.harbour.kubernetes.as_ref();
    let refused = server.map(|server| server.rights().refused);
    format!("refused: {refused:#?}\n{}", refloat.shown())
}

/// The main job, with Velero's words for a Restore that went badly, since those
/// are fetched by a way of their own; a schedule; and what people are told.
#[tokio::test(flavor = "multi_thread")]
async fn the_roles_are_enough_and_none_is_too_much() -> anyhow::Result<()> {
    if external().is_some() {
        println!("skipped: only the harbour's own API server tells which rights were used");
        return Ok(());
    }
    let world = world().await?;
    // It changes no manifest, so that its revision is to be recorded by a sync.
    let commit = world
        .harbour
        .platform
        .commit_manifests(
            "poseidon1",
            "Say what this is",
            &[("README.md".to_owned(), Some("Deployments.\n".to_owned()))],
        )
        .await?;
    until(|| async {
        let status = &world.application("poseidon1-dev-apps-files").await?.data["status"];
        Ok(status["sync"]["revision"] == commit && status["sync"]["status"] == "Synced")
    })
    .await?;
    let mut refloat = Refloat::start(&config(&world)?)?;
    world
        .harbour
        .velero
        .faults()
        .end_next_restore(Ending::PartiallyFailed(
            [("poseidon1-dev".to_owned(), vec!["disk full".to_owned()])].into(),
        ));
    let name = world
        .ask(
            &mut refloat,
            "restore request tenant:poseidon1 namespaces:dev reason:\"bad migration\"",
        )
        .await?;
    world.until_asked(&name).await?;
    refloat.say("as grace: approve").await?;
    world
        .until_phase(&name, Phase::Stuck)
        .await
        .with_context(|| said(&world, &refloat))?;
    refloat.say("as grace: restore retry").await?;
    world.until_phase_through_stuck(&name, Phase::Done).await?;
    assert_eq!(standing(&world).await?, Vec::<String>::new());
    let name = world
        .order_schedule(
            &mut refloat,
            "schedule change tenant:poseidon1 name:weekly new_name:sundays when:\"Sundays 03:30\" keep:60d",
        )
        .await?;
    world.until_schedule_asked(&name).await?;
    refloat.say(&format!("as grace: approve {name}")).await?;
    world
        .until_schedule(&name, refloat::schedule::Phase::Confirming)
        .await
        .with_context(|| said(&world, &refloat))?;
    let name = world
        .ask_for_copy(
            &mut refloat,
            "restore copy tenant:poseidon1 namespace:dev into:dev-copy",
        )
        .await?;
    world
        .until_copy(&name, refloat::copy::Phase::Kept)
        .await
        .with_context(|| said(&world, &refloat))?;
    refloat.say(&format!("restore withdraw {name}")).await?;
    world
        .until_copy(&name, refloat::copy::Phase::Withdrawn)
        .await
        .with_context(|| said(&world, &refloat))?;
    until(|| async { Ok(standing(&world).await?.is_empty()) }).await?;
    let faults = world.harbour.velero.faults();
    faults.set_location_down(Some("connection refused"));
    refloat.until("Attention: Velero cannot reach").await?;
    faults.set_location_down(None);
    refloat.until("Over: The storage location").await?;
    let server = world.harbour.kubernetes.as_ref().context("no server")?;
    let given = given()?;
    let idle = || -> Vec<String> {
        let used = server.rights().used;
        let is_used = |right: &String| match right.split_once(" *.*") {
            // A rule for every resource is used by any of them.
            Some((verb, _)) => used.iter().any(|used| used.starts_with(verb)),
            None => used.contains(right),
        };
        given.iter().filter(|it| !is_used(it)).cloned().collect()
    };
    until(|| async { Ok(idle().is_empty()) })
        .await
        .with_context(|| {
            format!(
                "nothing needs these of deploy/base/rbac.yaml: {:#?}",
                idle()
            )
        })?;
    assert_eq!(
        server.rights().refused,
        BTreeSet::new(),
        "the roles in deploy/base/rbac.yaml are not enough"
    );
    // Whatever is taken away, something of this run would have been refused.
    let needed = server.rights().needed;
    let spare: Vec<String> = verbs()?
        .into_iter()
        .filter(|verb| !needed.iter().any(|it| verb.is(it)))
        .map(|verb| verb.text)
        .collect();
    assert_eq!(
        spare,
        Vec::<String>::new(),
        "without these of deploy/base/rbac.yaml nothing would be refused: {needed:#?}"
    );
    refloat.stop().await?;
    world.end().await
}

/// `verb resource.group name, namespace` of everything that stands in rbac.yaml.
fn bound() -> anyhow::Result<BTreeSet<String>> {
    let objects = manifest("base/rbac.yaml")?;
    let verbs = verbs()?;
    let mut all = BTreeSet::new();
    for binding in &objects {
        let namespace = binding["metadata"]["namespace"]
            .as_str()
            .unwrap_or_default();
        let of = binding["roleRef"]["name"].as_str().unwrap_or_default();
        let role = match binding["roleRef"]["kind"].as_str() {
            Some("Role") => format!("Role/{namespace}/{of}["),
            Some(kind) => format!("{kind}/{of}["),
            None => continue,
        };
        for verb in verbs.iter().filter(|verb| verb.right.starts_with(&role)) {
            let (_, right) = verb.right.split_once(": ").context("no verb")?;
            let right = right
                .strip_suffix(' ')
                .map_or(right.to_owned(), |verb| format!("{verb} *.*"));
            let name = verb.name.as_deref().unwrap_or_default();
            all.insert(format!("{right} {name}, {namespace}"));
        }
    }
    Ok(all)
}

/// `refloat check` asks about each right that the roles give and about no other, and says
/// which one is missing and where.
#[tokio::test(flavor = "multi_thread")]
async fn check_asks_about_each_right() -> anyhow::Result<()> {
    if external().is_some() {
        println!("skipped: a shared API server has roles of its own");
        return Ok(());
    }
    let world = world().await?;
    let config = config(&world)?;
    let gate = &world.harbour.gate;
    gate.keep_journal();
    let (good, text) = checked(&world, &config, Output::Text).await?;
    let mut asked = BTreeSet::new();
    for entry in gate.take_journal() {
        if !entry.call.path().ends_with("/selfsubjectaccessreviews") {
            continue;
        }
        let review: Value = serde_json::from_slice(&entry.call.body)?;
        let of = |field: &str| {
            let text = review["spec"]["resourceAttributes"][field].as_str();
            text.unwrap_or_default().to_owned()
        };
        let sub = match of("subresource") {
            sub if sub.is_empty() => sub,
            sub => format!("/{sub}"),
        };
        let (group, name, namespace) = (of("group"), of("name"), of("namespace"));
        let dot = if group.is_empty() { "" } else { "." };
        let right = format!("{} {}{dot}{group}{sub}", of("verb"), of("resource"));
        asked.insert(format!("{right} {name}, {namespace}"));
    }
    assert_eq!(asked, bound()?);
    assert!(good, "{text}");
    let of_rights = |text: &str| -> String {
        let lines = text.lines().skip_while(|line| !line.starts_with("rights"));
        lines.map(str::trim_end).collect::<Vec<_>>().join("\n")
    };
    insta::assert_snapshot!(of_rights(&text), @"
    rights         ok       the account has each of the 50 rights that Refloat needs
    rights         ok       the admission policies that guard those rights are there
    ");

    // What somebody forgot, or bound too narrowly.
    let client = &world.harbour.client.0;
    let bindings: Api<RoleBinding> = Api::namespaced(client.clone(), "gitops-developers");
    bindings
        .delete("refloat-argocd", &DeleteParams::default())
        .await?;
    let policies: Api<ValidatingAdmissionPolicy> = Api::all(client.clone());
    policies
        .delete("refloat-deletes", &DeleteParams::default())
        .await?;
    let (good, text) = checked(&world, &config, Output::Text).await?;
    assert!(!good);
    insta::assert_snapshot!(of_rights(&text), @"
    rights         wrong    rights are missing: apply deploy/base/rbac.yaml with the namespaces of this configuration
                            in gitops-developers: get applications.argoproj.io, watch applications.argoproj.io, patch applications.argoproj.io, get applicationsets.argoproj.io
    rights         warning  the admission policies refloat-deletes are not there: apply deploy/base/policy.yaml, so that the API server refuses what Refloat must never do
    ");
    let everywhere: Api<ClusterRoleBinding> = Api::all(client.clone());
    everywhere
        .delete("refloat-read", &DeleteParams::default())
        .await?;
    let (good, text) = checked(&world, &config, Output::Text).await?;
    assert!(!good);
    insta::assert_snapshot!(of_rights(&text), @"
    rights         wrong    rights are missing: apply deploy/base/rbac.yaml with the namespaces of this configuration
                            in the whole cluster: get namespaces, list rolebindings.rbac.authorization.k8s.io
                            in gitops-developers: get applications.argoproj.io, watch applications.argoproj.io, patch applications.argoproj.io, get applicationsets.argoproj.io, list everything
                            in openshift-adp: list everything
                            in openshift-gitops: list everything
                            in poseidon1-dev: list everything
                            in poseidon1-test: list everything
                            in refloat: list everything
                            in triton2-prod: list everything
    rights         ok       whether the admission policies of deploy/base/policy.yaml are there the account may not see
    ");
    Ok(())
}

/// Where nobody may list everything in the whole cluster, as `deploy/rbac.md` says.
#[tokio::test(flavor = "multi_thread")]
async fn reading_can_be_given_where_it_is_needed() -> anyhow::Result<()> {
    if external().is_some() {
        println!("skipped: a shared API server has roles of its own");
        return Ok(());
    }
    let world = world().await?;
    let client = &world.harbour.client.0;
    let text = include_str!("../../deploy/rbac.md");
    let narrow = text
        .split_once("```yaml\n")
        .and_then(|(_, rest)| rest.split_once("```"));
    let (narrow, _) = narrow.context("rbac.md shows no role")?;
    for object in serde_saphyr::from_multiple::<Value>(narrow)? {
        apply(client, &object).await?;
    }
    let everywhere: Api<ClusterRoleBinding> = Api::all(client.clone());
    let read = everywhere.get("refloat-read").await?;
    everywhere
        .delete("refloat-read", &DeleteParams::default())
        .await?;
    for namespace in [
        "refloat",
        "openshift-adp",
        "openshift-gitops",
        "gitops-developers",
        "poseidon1-dev",
        "poseidon1-test",
        "triton2-prod",
    ] {
        let bindings: Api<RoleBinding> = Api::namespaced(client.clone(), namespace);
        // In a tenant's namespace it is brought by what the platform brings there.
        let by = namespace
            .split_once('-')
            .map_or(namespace, |(tenant, _)| tenant);
        let binding = RoleBinding {
            metadata: ObjectMeta {
                name: Some("refloat-read".to_owned()),
                labels: Some(
                    [(
                        "app.kubernetes.io/instance".to_owned(),
                        format!("{by}-tenant"),
                    )]
                    .into(),
                ),
                ..ObjectMeta::default()
            },
            role_ref: read.role_ref.clone(),
            subjects: read.subjects.clone(),
        };
        bindings.create(&PostParams::default(), &binding).await?;
    }
    let config = config(&world)?;
    let (_, text) = checked(&world, &config, Output::Text).await?;
    assert!(text.contains("ok       the account has each of"), "{text}");
    let mut refloat = Refloat::start(&config)?;
    let name = world
        .ask(
            &mut refloat,
            "restore request tenant:poseidon1 namespaces:dev reason:narrow",
        )
        .await?;
    world
        .until_asked(&name)
        .await
        .with_context(|| said(&world, &refloat))?;
    refloat.say("as grace: approve").await?;
    world
        .until_phase(&name, Phase::Done)
        .await
        .with_context(|| said(&world, &refloat))?;
    refloat.stop().await?;
    for namespace in ["poseidon1-test", "triton2-prod"] {
        let bindings: Api<RoleBinding> = Api::namespaced(client.clone(), namespace);
        bindings
            .delete("refloat-read", &DeleteParams::default())
            .await?;
    }
    world.end().await
}

/// Killed in the middle of a clearing, the right to delete is taken back after
/// the start, and nothing stands once the request is over.
#[tokio::test(flavor = "multi_thread")]
async fn the_right_to_delete_does_not_outlive_the_clearing() -> anyhow::Result<()> {
    if external().is_some() {
        println!("skipped: a shared API server has roles of its own");
        return Ok(());
    }
    let world = world().await?;
    // A finalizer that nobody takes off holds the clearing where it is.
    let maps: Api<ConfigMap> = Api::namespaced(world.harbour.client.0.clone(), "poseidon1-dev");
    let held =
        serde_json::json!({"metadata": {"name": "held", "finalizers": ["example.com/held"]}});
    maps.create(&PostParams::default(), &serde_json::from_value(held)?)
        .await?;
    let mut refloat = Refloat::start(&config(&world)?)?;
    let name = world
        .ask(
            &mut refloat,
            "restore request tenant:poseidon1 namespaces:dev reason:\"bad migration\"",
        )
        .await?;
    world.until_asked(&name).await?;
    refloat.say("as grace: approve").await?;
    until(|| async {
        let map = maps.get_opt("held").await?;
        Ok(map.is_some_and(|map| map.metadata.deletion_timestamp.is_some()))
    })
    .await
    .with_context(|| said(&world, &refloat))?;
    assert!(!standing(&world).await?.is_empty());

    // While it clears one namespace it can delete in no other, and no Namespace at all.
    let server = world.harbour.kubernetes.as_ref().context("no server")?;
    let as_refloat = server.client(&format!("system:serviceaccount:{ACCOUNT}"));
    let elsewhere: Api<ConfigMap> = Api::namespaced(as_refloat.clone(), "poseidon1-test");
    let namespaces: Api<Namespace> = Api::all(as_refloat.clone());
    insta::assert_snapshot!(
        refused(elsewhere.delete("web", &DeleteParams::default()).await),
        @r#"configmaps "web" is forbidden: User "system:serviceaccount:refloat:refloat" cannot delete resource "configmaps" in API group "" in the namespace "poseidon1-test""#
    );
    insta::assert_snapshot!(
        refused(namespaces.delete("poseidon1-dev", &DeleteParams::default()).await),
        @r#"namespaces "poseidon1-dev" is forbidden: ValidatingAdmissionPolicy 'refloat-deletes' with binding 'refloat-deletes' denied request: Refloat deletes no Namespace but that of a copy."#
    );
    // Nor can it make one that is no copy's.
    let plain = serde_json::json!({"metadata": {"name": "poseidon1-other"}});
    insta::assert_snapshot!(
        refused(namespaces.create(&PostParams::default(), &serde_json::from_value(plain)?).await),
        @r#"namespaces "poseidon1-other" is forbidden: ValidatingAdmissionPolicy 'refloat-namespaces' with binding 'refloat-namespaces' denied request: Refloat makes no Namespace but that of a copy."#
    );
    // Not even where somebody bound the right for good.
    let mut binding = given_in(&world, "poseidon1-dev").await?;
    binding.metadata.namespace = Some("poseidon1-test".to_owned());
    binding.metadata.resource_version = None;
    binding.metadata.uid = None;
    let by_hand: Api<RoleBinding> =
        Api::namespaced(world.harbour.client.0.clone(), "poseidon1-test");
    by_hand.create(&PostParams::default(), &binding).await?;
    insta::assert_snapshot!(
        refused(elsewhere.delete("web", &DeleteParams::default()).await),
        @r#"configmaps "web" is forbidden: ValidatingAdmissionPolicy 'refloat-deletes' with binding 'refloat-deletes' denied request: no approved request is clearing the namespace "poseidon1-test""#
    );
    // Nor can it bind it there itself, or bind anything else.
    binding.metadata.name = Some("another".to_owned());
    let bindings: Api<RoleBinding> = Api::namespaced(as_refloat.clone(), "poseidon1-test");
    insta::assert_snapshot!(
        refused(bindings.create(&PostParams::default(), &binding).await),
        @r#"rolebindings.rbac.authorization.k8s.io "another" is forbidden: ValidatingAdmissionPolicy 'refloat-bindings' with binding 'refloat-bindings' denied request: no approved request is clearing the namespace "poseidon1-test""#
    );
    binding.metadata.namespace = Some("openshift-adp".to_owned());
    let of_platform: Api<RoleBinding> = Api::namespaced(as_refloat.clone(), "openshift-adp");
    insta::assert_snapshot!(
        refused(of_platform.create(&PostParams::default(), &binding).await),
        @r#"rolebindings.rbac.authorization.k8s.io "another" is forbidden: ValidatingAdmissionPolicy 'refloat-bindings' with binding 'refloat-bindings' denied request: Refloat clears no namespace of the platform."#
    );
    let platform = serde_json::json!({
        "metadata": {"name": "openshift-other", "labels": {"refloat.dev/copy-of": "poseidon1-dev"}},
    });
    insta::assert_snapshot!(
        refused(namespaces.create(&PostParams::default(), &serde_json::from_value(platform)?).await),
        @r#"namespaces "openshift-other" is forbidden: ValidatingAdmissionPolicy 'refloat-namespaces' with binding 'refloat-namespaces' denied request: Refloat makes no namespace of the platform."#
    );
    // It asks Argo CD to look and to sync, and can change nothing of an Application.
    let kind = ApiResource::from_gvk(&GroupVersionKind::gvk(
        "argoproj.io",
        "v1alpha1",
        "Application",
    ));
    let found = world.application("poseidon1-dev-apps-files").await?;
    let theirs = found.namespace().context("it is in no namespace")?;
    let applications: Api<DynamicObject> = Api::namespaced_with(as_refloat.clone(), &theirs, &kind);
    let heals = serde_json::json!({"spec": {"syncPolicy": null}});
    let patched = applications
        .patch(
            &found.name_any(),
            &PatchParams::default(),
            &Patch::Merge(&heals),
        )
        .await;
    insta::assert_snapshot!(
        refused(patched),
        @r#"applications.argoproj.io "poseidon1-dev-apps-files" is forbidden: ValidatingAdmissionPolicy 'refloat-applications' with binding 'refloat-applications' denied request: Refloat asks Argo CD to look or to sync, and changes no Application."#
    );
    binding.metadata.namespace = Some("poseidon1-test".to_owned());
    binding.role_ref.name = "refloat-read".to_owned();
    insta::assert_snapshot!(
        refused(bindings.create(&PostParams::default(), &binding).await),
        @r#"clusterroles.rbac.authorization.k8s.io "refloat-read" is forbidden: User "system:serviceaccount:refloat:refloat" cannot bind resource "clusterroles" in API group "rbac.authorization.k8s.io" at the cluster scope"#
    );

    by_hand
        .delete("refloat-clearing", &DeleteParams::default())
        .await?;
    refloat.kill();
    let free = serde_json::json!({"metadata": {"finalizers": null}});
    maps.patch("held", &PatchParams::default(), &Patch::Merge(&free))
        .await?;
    let refloat = Refloat::start(&config(&world)?)?;
    world.until_phase(&name, Phase::Done).await?;
    assert_eq!(standing(&world).await?, Vec::<String>::new());
    refloat.stop().await?;
    world.end().await
}
