//! What operators see: `refloat check`, readiness, and metrics.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use harbour::gate::{Fate, Service};
use harbour::world::Shape;
use harbour::{REFLOAT_GITHUB_TOKEN, REFLOAT_KUBERNETES_TOKEN, Setup};
use refloat::cli::check::{self, Output};
use refloat::request::Phase;
use serde_json::Value;

use crate::monitoring::{check_conventions, check_queries};
use crate::refloat::{FAST, Refloat, until};
use crate::world::World;

async fn small() -> anyhow::Result<World> {
    World::start(Setup {
        shape: Shape::small(),
        days_of_backups: 2,
        ..Setup::default()
    })
    .await
}

/// An address that nobody listens at.
fn free() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// What `refloat check` writes, and whether it is content.
pub async fn checked(
    world: &World,
    config: &str,
    output: Output,
) -> anyhow::Result<(bool, String)> {
    let file = world.harbour.folder().join("refloat.yaml");
    std::fs::write(&file, config)?;
    let (good, text) = tokio::task::spawn_blocking(move || {
        let mut out = Vec::new();
        let done = check::run(&file, output, &mut out);
        (done.is_ok(), String::from_utf8_lossy(&out).into_owned())
    })
    .await?;
    let folder = world.harbour.folder().display().to_string();
    let text = world.plain(&text).replace(&folder, "FOLDER");
    // How many requests that took is no matter here.
    let told = |line: &&str| output == Output::Json || !line.contains("requests more this hour");
    let lines = text.lines().filter(told);
    Ok((good, lines.collect::<Vec<_>>().join("\n")))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_service_is_asked() -> anyhow::Result<()> {
    let world = small().await?;
    let config = world.harbour.refloat_config(FAST)?;
    let gate = &world.harbour.gate;
    gate.keep_journal();
    let (good, text) = checked(&world, &config, Output::Text).await?;
    insta::assert_snapshot!(text, @"
    configuration  ok       FOLDER/refloat.yaml is read
    kubernetes     ok       the clock of the API server and this one agree
    kubernetes     ok       the API server is v1.33.4
    kubernetes     ok       restorerequests.refloat.dev: 0 requests in refloat
    kubernetes     ok       schedulerequests.refloat.dev: 0 requests in refloat
    kubernetes     ok       copyrequests.refloat.dev: 0 requests in refloat
    github         ok       the account may open pull requests in platform/infra-ocp4-tenants
    github         ok       it merges by merge
    github         warning  main is not protected: anybody who may write can change an order without a review
    github         ok       the clock of GitHub and this one agree
    github         ok       1 order read: poseidon1
    velero         warning  there is no Deployment velero in openshift-adp, so that its version is not seen
    velero         ok       the storage location default is available
    velero         ok       the node agent is ready on 3 nodes
    argocd         ok       an order reaches 1 Application of 1 tenant
    rights         ok       the account has each of the 44 rights that Refloat needs
    rights         warning  kubernetes.clearingRole is not set: the right to delete in tenants' namespaces stands at all times
    ");
    assert!(good);
    let wrote = gate.take_journal();
    let of_refloat =
        |token: &str| [REFLOAT_KUBERNETES_TOKEN, REFLOAT_GITHUB_TOKEN].contains(&token);
    let (asked, wrote): (Vec<_>, Vec<_>) = wrote
        .iter()
        .filter(|entry| entry.call.token.as_deref().is_some_and(of_refloat))
        .map(|entry| &entry.call)
        .partition(|call| !call.writes() || call.path().ends_with("/selfsubjectaccessreviews"));
    for service in [Service::Kubernetes, Service::Github] {
        assert!(
            asked.iter().any(|call| call.service == service),
            "{service:?}"
        );
    }
    let wrote: Vec<_> = wrote.iter().map(|call| &call.target).collect();
    assert!(wrote.is_empty(), "it only asks: {wrote:?}");

    world
        .harbour
        .velero
        .faults()
        .set_location_down(Some("connection refused"));
    until(|| async {
        let (good, text) = checked(&world, &config, Output::Json).await?;
        let findings: Vec<Value> = serde_json::from_str(&text)?;
        let wrong: Vec<&Value> = findings
            .iter()
            .filter(|it| it["state"] == "wrong")
            .collect();
        Ok(!good && wrong.len() == 1 && wrong[0]["about"] == "velero")
    })
    .await
}

/// What somebody has to put right is said with what to do, for each service by itself.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_said() -> anyhow::Result<()> {
    let world = small().await?;
    let config = world.harbour.refloat_config(FAST)?;
    let other = config.replace("writeGap: 0s", "writeGap: 0s\n  branch: trunk");
    let (good, text) = checked(&world, &other, Output::Text).await?;
    assert!(!good);
    let github: Vec<&str> = text.lines().filter(|it| it.starts_with("github")).collect();
    insta::assert_snapshot!(github.join("\n"), @"github         wrong    platform/infra-ocp4-tenants has no branch trunk");
    let gate = &world.harbour.gate;
    gate.add(|call| {
        if call.service == Service::Kubernetes && call.token.as_deref() != Some("harbour") {
            Fate::CutBefore
        } else {
            Fate::Pass
        }
    });
    let (good, text) = checked(&world, &config, Output::Text).await?;
    assert!(!good);
    assert!(
        text.contains("wrong    the API server cannot be asked"),
        "{text}"
    );
    Ok(())
}

async fn get(address: SocketAddr, path: &str) -> anyhow::Result<(u16, String)> {
    let answer = reqwest::get(format!("http://{address}{path}")).await?;
    Ok((answer.status().as_u16(), answer.text().await?))
}

/// Ready means that GitHub was reached, not only that something listens.
#[tokio::test(flavor = "multi_thread")]
async fn it_is_ready_once_everything_was_reached() -> anyhow::Result<()> {
    let world = small().await?;
    let address = free()?;
    let gate = &world.harbour.gate;
    let away = gate.add(|call| match call.service {
        Service::Github => Fate::CutBefore,
        _ => Fate::Pass,
    });
    let web = format!("{FAST}web: {{ listen: '{address}' }}\n");
    let refloat = Refloat::start(&world.harbour.refloat_config(&web)?)?;
    until(|| async { Ok(get(address, "/healthz").await.is_ok()) }).await?;
    until(|| async {
        let (status, text) = get(address, "/readyz").await?;
        Ok(status == 503 && text == "not reached yet: GitHub\n")
    })
    .await?;
    gate.remove(away);
    until(|| async { Ok(get(address, "/readyz").await? == (200, "ok\n".to_owned())) }).await?;
    refloat.stop().await?;
    world.end().await
}

/// A restore is seen in the metrics, and whatever the rules and the dashboard speak of
/// is there.
#[tokio::test(flavor = "multi_thread")]
async fn a_restore_is_seen_in_the_metrics() -> anyhow::Result<()> {
    let world = small().await?;
    let address = free()?;
    let secret = world.harbour.folder().join("webhook-secret");
    std::fs::write(&secret, "a secret for webhooks\n")?;
    let web = format!(
        "{FAST}web: {{ listen: '{address}', webhookSecretFile: {} }}\n",
        secret.display()
    );
    let mut refloat = Refloat::start(&world.harbour.refloat_config(&web)?)?;
    world.harbour.velero.faults().stall_restores_at(1);
    let name = world
        .ask(
            &mut refloat,
            "restore request tenant:poseidon1 namespaces:dev schedule:daily reason:metrics",
        )
        .await?;
    world.until_asked(&name).await?;
    refloat.say("as grace: approve").await?;
    world.until_phase(&name, Phase::Restoring).await?;
    let tenant = world.here("poseidon1");
    let off = format!("refloat_self_heal_off_seconds{{tenant=\"{tenant}\"}} ");
    until(|| async { Ok(get(address, "/metrics").await?.1.contains(&off)) }).await?;
    let during = get(address, "/metrics").await?.1;
    world.harbour.velero.faults().release_restores();
    world.until_phase(&name, Phase::Done).await?;
    let done = "refloat_requests{kind=\"RestoreRequest\",phase=\"Done\"} 1";
    until(|| async { Ok(get(address, "/metrics").await?.1.contains(done)) }).await?;
    let after = get(address, "/metrics").await?.1;
    assert!(!after.contains(&off), "{after}");
    for line in [
        "refloat_requests_ended_total{kind=\"RestoreRequest\",outcome=\"Done\"} 1",
        "refloat_restore_step_duration_seconds_count{step=\"clearing\"} 1",
        "refloat_leader 1",
        "refloat_chat_connected 1",
        "# EOF",
    ] {
        assert!(after.contains(line), "{line} is not in\n{after}");
    }
    assert!(during.contains("refloat_api_requests_total{service=\"kubernetes\",code=\"200\"}"));
    assert!(during.contains("refloat_api_requests_total{service=\"github\",code=\"201\"}"));
    let last = format!("refloat_last_good_backup_timestamp_seconds{{schedule=\"{tenant}-daily\"}}");
    assert!(after.contains(&last), "{after}");

    check_conventions(&after)?;
    let body = |text: &str| text.replace("# EOF\n", "");
    check_queries(&(body(&during) + &after))?;
    refloat.stop().await?;
    world.end().await
}
