//! Refloat as a whole: the controller, the thread publisher and the front desk.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use kube::CustomResourceExt;
use tokio_util::sync::CancellationToken;

use crate::chat::desk::{Desk, Offered, OrderLookup};
use crate::chat::publish::Threaded;
use crate::chat::{Chat, RenderContext, publish};
use crate::config::{Config, Live};
use crate::controller::{self, Waker};
use crate::copy::CopyRequest;
use crate::effects::Clients;
use crate::effects::github::{Found, Github};
use crate::effects::velero::shelf::Shelf;
use crate::lease::Lease;
use crate::notify;
use crate::request::RestoreRequest;
use crate::schedule::ScheduleRequest;
use crate::web::{self, Need, Readiness};

/// Runs Refloat with a chat until `stop`, or until the chat has ended for good;
/// fails if it cannot begin, or if another replica has taken its place.
///
/// With a Lease, it stands by until the Lease is its own.
pub async fn serve<C: Chat>(
    live: impl Into<Live>,
    chat: Arc<C>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let live = live.into();
    let config = live.now();
    let clients = Clients::connect(&config).await?;
    check_definitions(&clients, &config).await?;
    let wake = controller::waker();
    let ready = Readiness::standing_by();
    if let Some(settings) = &config.web {
        let zone = config.policy.time_zone.clone();
        let (wake, ready, stop) = (wake.clone(), ready.clone(), stop.clone());
        let listening = web::listen(settings, &clients, zone, wake, ready, stop);
        tokio::spawn(listening.await?);
    }
    tokio::spawn(reach_github(
        clients.github.clone(),
        ready.clone(),
        stop.clone(),
    ));
    // Kept from the beginning, so that whoever stands by need not read thousands of
    // backups when it takes over.
    let shelf = Shelf::default();
    clients.metrics.caches().keep_shelf(shelf.clone());
    {
        let (shelf, client) = (shelf.clone(), clients.kube.clone());
        let (namespace, stop) = (config.velero.namespace.clone(), stop.clone());
        tokio::spawn(async move { shelf.run(client, namespace, stop).await });
    }
    tokio::spawn(reach_backups(shelf.clone(), ready.clone(), stop.clone()));
    let base = Base { wake, ready, shelf };
    let Some(settings) = &config.lease else {
        return work(live, clients, chat, base, stop).await;
    };
    let lease = Lease::new(clients.kube.clone(), &config.namespace, settings);
    tokio::select! {
        () = lease.acquire() => {}
        () = stop.cancelled() => return Ok(()),
    }
    let ended = tokio::select! {
        // Everything that works is dropped where it stands: another works now.
        lost = lease.hold() => {
            stop.cancel();
            return Err(lost.into());
        }
        ended = work(live, clients, chat, base, stop.clone()) => ended,
    };
    lease.release().await;
    ended
}

/// What a replica has whether it works or stands by.
struct Base {
    wake: Waker,
    ready: Readiness,
    shelf: Shelf,
}

/// Works until `stop`: the chat, the threads, what people say, and the requests.
async fn work<C: Chat>(
    live: Live,
    clients: Clients,
    chat: Arc<C>,
    Base { wake, ready, shelf }: Base,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let config = live.now();
    ready.lead();
    clients.metrics.lead(true);
    clients.metrics.caches().keep_chat(chat.connected());
    let context = RenderContext {
        time_zone: config.policy.time_zone.clone(),
        covers_resume: config.policy.covers_resume,
    };
    let desk = Arc::new(Desk {
        client: clients.kube.clone(),
        namespace: config.namespace.clone(),
        velero_namespace: config.velero.namespace.clone(),
        live: live.clone(),
        people: Arc::new(config.policy.people.clone()),
        rights: chat.rights(),
        lookup: lookup(clients.github.clone()),
        previews: {
            let (live, clients) = (live.clone(), clients.clone());
            Arc::new(move |spec| {
                let (config, clients) = (live.now(), clients.clone());
                async move { controller::preview(&config, &clients, spec).await }.boxed()
            })
        },
        logs: {
            let (config, clients) = (Arc::clone(&config), clients.clone());
            Arc::new(move |request| {
                let (config, clients) = (Arc::clone(&config), clients.clone());
                async move { controller::restore_log(&config, &clients, &request).await }.boxed()
            })
        },
        velero_version: config.velero.version,
        shelf: shelf.clone(),
        clock: config.clock.clone(),
        context: context.clone(),
        offered: Offered::default(),
    });
    let rights = chat.rights();
    let configuring = {
        let (chat, mut live, stop) = (Arc::clone(&chat), live.clone(), stop.clone());
        async move {
            loop {
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = live.changed() => chat.configure(&live.now()),
                }
            }
        }
    };
    // Kept aside, since ending everything may take longer than is waited for.
    let failed = tokio::sync::Mutex::new(None);
    let connected = {
        let failed = &failed;
        let (chat, stop) = (Arc::clone(&chat), stop.clone());
        async move {
            if let Err(error) = chat.run(stop.clone()).await {
                stop.cancel();
                failed.lock().await.get_or_insert(error);
            }
        }
    };
    let publishing = publish::run::<RestoreRequest, _>(
        clients.kube.clone(),
        config.namespace.clone(),
        Arc::clone(&chat),
        context.clone(),
        stop.clone(),
    );
    let schedules = publish::run::<ScheduleRequest, _>(
        clients.kube.clone(),
        config.namespace.clone(),
        Arc::clone(&chat),
        context.clone(),
        stop.clone(),
    );
    let copies = publish::run::<CopyRequest, _>(
        clients.kube.clone(),
        config.namespace.clone(),
        Arc::clone(&chat),
        context,
        stop.clone(),
    );
    let telling = tell(
        live.clone(),
        clients.clone(),
        shelf.clone(),
        Arc::clone(&chat),
        stop.clone(),
    );
    let reaching = reach_chat(Arc::clone(&chat), ready.clone(), stop.clone());
    let answering = async {
        desk.run(chat, stop.clone()).await;
        // Nobody can say anything any more; what is under way is in the
        // cluster, and goes on at the next start.
        stop.cancel();
    };
    tokio::spawn(controller::watch_merges(
        clients.github.clone(),
        wake.clone(),
        config.policy.poll.unsigned_abs(),
        stop.clone(),
    ));
    let working = controller::run(live.clone(), clients, &wake, rights, ready, stop.clone());
    let everything = async {
        tokio::join!(
            connected,
            publishing,
            schedules,
            copies,
            telling,
            answering,
            reaching,
            configuring,
            working
        )
        .8
    };
    let patience = async {
        stop.cancelled().await;
        tokio::time::sleep(GRACE).await;
    };
    let ended = tokio::select! {
        worked = everything => worked,
        () = patience => {
            // Whatever was cut short is found again at the next start.
            tracing::info!("stopped without waiting for what is under way");
            Ok(())
        }
    };
    match failed.into_inner() {
        Some(error) => Err(error),
        None => ended,
    }
}

/// Says when the chat has been reached.
async fn reach_chat<C: Chat>(chat: Arc<C>, ready: Readiness, stop: CancellationToken) {
    let mut connected = chat.connected();
    tokio::select! {
        // Once is enough: being cut off later is no reason to send nobody here.
        reached = connected.wait_for(|connected| *connected) => {
            if reached.is_ok() {
                ready.reach(Need::Chat);
            }
        }
        () = stop.cancelled() => {}
    }
}

/// Says when the backups have been read.
async fn reach_backups(shelf: Shelf, ready: Readiness, stop: CancellationToken) {
    tokio::select! {
        () = shelf.ready() => ready.reach(Need::Backups),
        () = stop.cancelled() => {}
    }
}

/// Says when GitHub has been reached, and why not as long as it has not.
async fn reach_github(github: Github, ready: Readiness, stop: CancellationToken) {
    let mut pause = Duration::from_millis(500);
    let reached = async {
        while let Err(error) = github.reach().await {
            tracing::warn!(error = format!("{error:#}"), "GitHub cannot be reached yet");
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(60));
        }
        ready.reach(Need::Github);
    };
    tokio::select! {
        () = reached => {}
        () = stop.cancelled() => {}
    }
}

/// How long what is under way may take to end after a stop.
const GRACE: Duration = Duration::from_secs(3);

/// Tells people what they did not ask about; anew when the configuration changes.
async fn tell<C: Chat>(
    mut live: Live,
    clients: Clients,
    shelf: Shelf,
    chat: Arc<C>,
    stop: CancellationToken,
) {
    while !stop.is_cancelled() {
        let until = stop.child_token();
        let told = notify::run::run(
            live.now(),
            clients.clone(),
            shelf.clone(),
            Arc::clone(&chat),
            until.clone(),
        );
        let mut told = std::pin::pin!(told);
        tokio::select! {
            // It returns at once where nobody is to be told anything.
            () = &mut told => tokio::select! {
                () = stop.cancelled() => {}
                () = live.changed() => {}
            },
            () = live.changed() => {
                until.cancel();
                // What was said is written down.
                told.await;
            }
        }
    }
}

fn lookup(github: Github) -> OrderLookup {
    Arc::new(move |tenant| {
        let github = github.clone();
        async move {
            match github.orders(&tenant).await?.found {
                Found::Order(view) => Ok(Some(view)),
                Found::Nothing => Ok(None),
                Found::Faulty(why) => anyhow::bail!("{why}"),
            }
        }
        .boxed()
    })
}

/// Fails early, and with what to do, if the API server does not know the
/// requests, or does not let Refloat read them.
async fn check_definitions(clients: &Clients, config: &Config) -> anyhow::Result<()> {
    check_definition::<RestoreRequest>(clients, config).await?;
    check_definition::<ScheduleRequest>(clients, config).await?;
    check_definition::<CopyRequest>(clients, config).await
}

async fn check_definition<K: Threaded + CustomResourceExt>(
    clients: &Clients,
    config: &Config,
) -> anyhow::Result<()> {
    let requests: kube::Api<K> = kube::Api::namespaced(clients.kube.clone(), &config.namespace);
    match requests
        .list_metadata(&kube::api::ListParams::default().limit(1))
        .await
    {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 404 => anyhow::bail!(
            "the cluster does not know {}: apply what `refloat crd` prints",
            K::crd_name()
        ),
        Err(error) => Err(anyhow::Error::new(error).context(format!(
            "the requests in the namespace {} cannot be read",
            config.namespace
        ))),
    }
}
