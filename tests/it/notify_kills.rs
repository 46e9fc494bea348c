//! Killed at any write, what is to be told is told, and once: a chat that knows the
//! ids of the posts it has never sees two for the same thing.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use harbour::Setup;
use harbour::world::Shape;
use refloat::chat::{Chat, Incoming, Thread};
use refloat::config::Config;
use refloat::effects::Clients;
use refloat::effects::velero::shelf::Shelf;
use refloat::notify::Post;
use tokio_util::sync::CancellationToken;

use crate::kills::{Death, Executioner};
use crate::refloat::{FAST, external, until};
use crate::world::World;

/// A chat service that outlives Refloat, and knows what was posted by its id.
#[derive(Default)]
pub struct Service {
    posts: Mutex<BTreeMap<String, Post>>,
}

impl Service {
    pub fn texts(&self) -> Vec<String> {
        let posts = self.posts.lock().unwrap_or_else(PoisonError::into_inner);
        posts.values().map(|post| post.text.clone()).collect()
    }
}

pub struct Adapter(pub Arc<Service>);

impl Chat for Adapter {
    async fn receive(&self) -> Option<Incoming> {
        std::future::pending().await
    }

    async fn reply(&self, _: &Incoming, _: &refloat::chat::Answer) -> anyhow::Result<()> {
        Ok(())
    }

    async fn publish(&self, _: &Thread) -> anyhow::Result<()> {
        Ok(())
    }

    async fn post(&self, post: &Post) -> anyhow::Result<()> {
        let mut posts = self.0.posts.lock().unwrap_or_else(PoisonError::into_inner);
        posts.insert(post.id.clone(), post.clone());
        Ok(())
    }
}

/// What tells, with what it looks at, until `stop`.
pub async fn tell(config: Config, clients: Clients, chat: Arc<Adapter>, stop: CancellationToken) {
    let shelf = Shelf::default();
    let shelving = shelf.run(
        clients.kube.clone(),
        config.velero.namespace.clone(),
        stop.clone(),
    );
    let telling = refloat::notify::run::run(
        Arc::new(config),
        clients.clone(),
        shelf.clone(),
        chat,
        stop.clone(),
    );
    tokio::join!(shelving, telling);
}

/// The teller alone, as a process of its own that can be killed.
struct Teller(Option<tokio::runtime::Runtime>);

impl Teller {
    fn start(config: &str, service: &Arc<Service>) -> anyhow::Result<Self> {
        let config = Config::parse(config).map_err(|faults| anyhow::anyhow!("{faults:?}"))?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        let chat = Arc::new(Adapter(Arc::clone(service)));
        runtime.spawn(async move {
            if let Ok(clients) = Clients::connect(&config).await {
                tell(config, clients, chat, CancellationToken::new()).await;
            }
        });
        Ok(Self(Some(runtime)))
    }

    fn kill(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl Drop for Teller {
    fn drop(&mut self) {
        self.kill();
    }
}

async fn killed_at_every_write(death: Death) -> anyhow::Result<()> {
    if external().is_some() {
        println!("skipped: only the harbour's own API server can cut connections");
        return Ok(());
    }
    let world = World::start(Setup {
        shape: Shape::small(),
        days_of_backups: 0,
        ..Setup::default()
    })
    .await?;
    let config = world.harbour.refloat_config(&format!(
        "{FAST}notifications: {{ reviewers: platform, every: 20ms }}\n"
    ))?;
    let service = Arc::new(Service::default());
    let mut names = Vec::new();
    let mut at = 0;
    loop {
        let executioner = Arc::new(Executioner::default());
        let rule = executioner.wait_for(&world.harbour.gate, at, death);
        let cuts = world.harbour.gate.cuts();
        let name = world.run_comes("poseidon1-daily", "Failed").await?;
        names.push(name.clone());
        let mut teller = Teller::start(&config, &service)?;
        let written = |told: &refloat::notify::Told| {
            told.outbox.is_empty() && told.concerns.contains_key(&format!("backup-{name}"))
        };
        until(|| async {
            Ok(executioner.dead.load(Ordering::SeqCst)
                || written(&crate::notify::kept(&world).await?))
        })
        .await?;
        if executioner.dead.load(Ordering::SeqCst) {
            until(|| async { Ok(world.harbour.gate.cuts() > cuts) }).await?;
            teller.kill();
            executioner.dead.store(false, Ordering::SeqCst);
            teller = Teller::start(&config, &service)?;
        }
        until(|| async { Ok(written(&crate::notify::kept(&world).await?)) }).await?;
        teller.kill();
        world.harbour.gate.remove(rule);
        for name in &names {
            let told = service
                .texts()
                .iter()
                .filter(|text| text.contains(name.as_str()))
                .count();
            anyhow::ensure!(
                told == 1,
                "{name} was told {told} times, killed {death:?} write {at}: {:#?}",
                service.texts()
            );
        }
        if executioner.struck.load(Ordering::SeqCst) == 0 {
            break;
        }
        at += 1;
    }
    println!("killed {death:?} each of {at} writes of telling");
    anyhow::ensure!(at >= 2, "only {at} writes were seen");
    world.end().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_before_every_write_of_telling() -> anyhow::Result<()> {
    killed_at_every_write(Death::Before).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_after_every_write_of_telling() -> anyhow::Result<()> {
    killed_at_every_write(Death::After).await
}
