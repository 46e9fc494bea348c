use std::sync::Arc;
use std::time::{Duration, Instant};

use harbour::{Harbour, Setup};
use kube::api::{Api, PostParams};
use refloat::config::Config;
use refloat::request::*;
use tokio_util::sync::CancellationToken;

#[tokio::test(flavor = "multi_thread")]
async fn smoke() -> anyhow::Result<()> {
    let _ = tracing_subscriber::fmt().with_env_filter(tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_|"warn,refloat=debug".into())).with_test_writer().try_init();
    let t = Instant::now();
    let harbour = Harbour::start(Setup::default()).await?;
    println!("harbour up in {:?}", t.elapsed());
    let client = harbour.client.0.clone();
    let crds: Api<k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition> = Api::all(client.clone());
    use kube::CustomResourceExt;
    crds.create(&PostParams::default(), &RestoreRequest::crd()).await?;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let text = format!("
kubernetes: {{ kubeconfig: {} }}
github: {{ api: '{}', repository: platform/infra-ocp4-tenants, tokenFile: {} }}
chat: {{ kind: console, user: ada }}
people:
  - {{ name: ada, console: ada, github: ada-poseidon, tenants: [poseidon1] }}
  - {{ name: grace, console: grace, github: grace-platform, reviewer: true }}
approval: {{ coversResume: true }}
pace: {{ pullRequests: 100ms, lookAgain: 20ms }}
", harbour.kubeconfig().display(), harbour.github.api_url(), {
        let p = harbour.folder().join("token"); std::fs::write(&p, harbour::REFLOAT_GITHUB_TOKEN)?; p.display().to_string()});
    let config = Config::parse(&text).map_err(|f| anyhow::anyhow!("{f:?}"))?;
    let stop = CancellationToken::new();
    let task = tokio::spawn(refloat::serve::serve(Arc::new(config), stop.clone()));
    let before = harbour.platform.snapshot().await?;
    harbour.platform.break_tenant("poseidon1-dev").await?;
    let api: Api<RestoreRequest> = Api::namespaced(client.clone(), "refloat");
    let person = |id: &str| Person { chat: "console".into(), id: id.into(), name: id.into() };
    let mut rr = RestoreRequest::new("poseidon1-abc", RestoreRequestSpec {
        tenant: "poseidon1".into(), namespaces: vec!["poseidon1-dev".into()],
        source: Source { schedule: Some("daily".into()), day: Some("yesterday".into()), backup: None },
        reason: "bad migration".into(), requester: person("ada"), votes: vec![], withdrawal: None, choice: None });
    rr.metadata.namespace = Some("refloat".into());
    let t = Instant::now();
    api.create(&PostParams::default(), &rr).await?;
    let mut voted = false;
    loop {
        anyhow::ensure!(t.elapsed() < Duration::from_secs(20), "too slow; {:#?}", api.get("poseidon1-abc").await?.status);
        anyhow::ensure!(!task.is_finished(), "ended {:?}", task.await);
        tokio::time::sleep(Duration::from_millis(20)).await;
        let mut rr = api.get("poseidon1-abc").await?;
        let st = rr.status.clone().unwrap_or_default();
        let ph = phase(&st);
        if ph.is_over() || ph == Phase::Stuck { println!("{:#?}", st); break; }
        if ph == Phase::AwaitingApproval && st.pause.is_some() && !voted {
            let d = digest(rr.metadata.uid.as_ref().unwrap(), &rr.spec, &st);
            rr.spec.votes.push(Vote { by: person("grace"), at: jiff::Timestamp::now(), verdict: Verdict::Approve, digest: d, reason: None });
            voted = api.replace("poseidon1-abc", &PostParams::default(), &rr).await.is_ok();
        }
    }
    println!("restore in {:?}", t.elapsed());
    println!("{:#?}", before.differences(&harbour.platform.snapshot().await?));
    Ok(())
}
