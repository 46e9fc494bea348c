//! The loop: observe, decide, act, record.
//!
//! Watches wake it; a timer only serves deadlines and what has no watch (pull
//! requests, deletions under way). Each turn of the loop does one effect or
//! writes one fact, and reads the request anew from what the API server answered.

mod act;
mod copy;
mod machine;
mod observe;
mod record;
mod restore;
mod schedule;
mod survey;
mod wake;

pub use wake::{Wake, Waker, waker, watch_merges};

pub use survey::{preview, restore_log};

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use jiff::Timestamp;
use kube::core::discovery::ApiResource;
use kube::core::{DeserializeGuard, DynamicObject, PartialObjectMeta};
use kube::runtime::controller::Action;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::{Controller, watcher};
use kube::{Api, ResourceExt as _};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::chat::rights::Rights as PeoplesRights;
use crate::config::{Config, Live};
use crate::copy::CopyRequest;
use crate::effects::cluster::Contents;
use crate::effects::rights::Rights;
use crate::effects::sweep::Sweep;
use crate::effects::{self, Clients, velero};
use crate::request::inventory::{LiveObject, Ownership};
use crate::request::preflight::{self, Holdings};
use crate::request::{BackupFact, Phase, RestoreRequest, RestoreStatus, Step, names};

use crate::schedule::ScheduleRequest;
use crate::telemetry::otlp::in_trace_of;
use crate::web::{Need, Readiness};

use machine::{Machine, uid};

/// How many steps one wake-up may take before others get their turn.
const STEPS: usize = 64;
/// How long an effect that failed waits at most before it is tried again.
const LONGEST_BACKOFF: Duration = Duration::from_secs(30);

/// What every pass needs.
#[derive(Clone)]
struct Context {
    /// As it was when the pass began.
    config: Arc<Config>,
    /// As it is now.
    live: Live,
    clients: Clients,
    requests: Api<RestoreRequest>,
    schedules: Api<ScheduleRequest>,
    copies: Api<CopyRequest>,
    recorder: kube::runtime::events::Recorder,
    rights: Arc<Rights>,
    /// What the chat knows of people's rights.
    people: Arc<dyn PeoplesRights>,
    /// Held from looking at the other requests until the outcome is written, so
    /// that two requests cannot both find a namespace free (S7).
    admission: Arc<Mutex<()>>,
    /// What the backup of the last request that was verified holds: a Completed
    /// backup does not change, and its lists are large.
    holdings: Arc<Mutex<Option<Arc<Holdings>>>>,
    /// What is left of the namespaces that are being cleared, by the request's uid.
    sweeps: Arc<Mutex<HashMap<String, Sweep>>>,
    /// Nothing more is begun then.
    stop: CancellationToken,
}

impl Context {
    /// The same by the configuration as it is now, for one pass.
    fn for_a_pass(&self) -> Self {
        Self {
            config: self.live.now(),
            ..self.clone()
        }
    }

    /// What is left in the namespaces of a request whose clearing has begun, and
    /// whether it was listed just now.
    async fn swept(
        &self,
        request: &RestoreRequest,
        facts: &RestoreStatus,
        ownership: &Ownership,
    ) -> anyhow::Result<(Contents, bool)> {
        let (Some(checked), Some(clearing)) = (&facts.checked, &facts.clearing) else {
            let namespaces = &request.spec.namespaces;
            let contents = effects::cluster::contents(&self.clients.kube, namespaces).await?;
            return Ok((contents, true));
        };
        let uid = uid(request);
        let kept = self.sweeps.lock().await.remove(&uid);
        let sweep = Sweep::look(
            kept,
            &self.clients.kube,
            &request.spec.namespaces,
            ownership,
            &checked.inventory,
            clearing.cutoff,
            self.config.policy.batch,
        )
        .await?;
        let (contents, listed) = (sweep.contents().clone(), sweep.is_new());
        // Once nothing is left there is nothing to keep either.
        if !contents.objects.is_empty() && facts.restore.is_none() {
            self.sweeps.lock().await.insert(uid, sweep);
        }
        Ok((contents, listed))
    }

    /// These were asked to go.
    async fn asked(&self, request: &RestoreRequest, objects: &[LiveObject]) {
        if let Some(sweep) = self.sweeps.lock().await.get_mut(&uid(request)) {
            sweep.asked(objects);
        }
    }

    /// What a backup holds, read once.
    async fn holdings(
        &self,
        order: &velero::Order<'_>,
        backup: &BackupFact,
    ) -> anyhow::Result<Arc<Holdings>> {
        let mut kept = self.holdings.lock().await;
        if let Some(known) = kept.as_ref().filter(|known| known.backup == backup.uid) {
            return Ok(Arc::clone(known));
        }
        let wanted = preflight::Backup {
            name: backup.name.clone(),
            uid: backup.uid.clone(),
            ..preflight::Backup::default()
        };
        let read = Arc::new(velero::contents::holdings(&self.clients.kube, order, &wanted).await?);
        *kept = Some(Arc::clone(&read));
        Ok(read)
    }
}

/// Runs until `stop`, or until the watches cannot be set up.
pub async fn run(
    live: Live,
    clients: Clients,
    wake: &Waker,
    people: Arc<dyn PeoplesRights>,
    ready: Readiness,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let config = live.now();
    let client = clients.kube.clone();
    let requests: Api<RestoreRequest> = Api::namespaced(client.clone(), &config.namespace);
    let context = Arc::new(Context {
        requests: requests.clone(),
        schedules: Api::namespaced(client.clone(), &config.namespace),
        copies: Api::namespaced(client.clone(), &config.namespace),
        recorder: kube::runtime::events::Recorder::new(client.clone(), "refloat".into()),
        admission: Arc::default(),
        holdings: Arc::default(),
        sweeps: Arc::default(),
        rights: Arc::new(Rights::new(
            client.clone(),
            config.clearing_role.clone(),
            &config.namespace,
        )),
        people,
        config: Arc::clone(&config),
        live,
        clients,
        stop: stop.clone(),
    });
    sweep_rights(&context, &stop).await;
    let mut controller = Controller::new(requests, watcher::Config::default());
    let store = controller.store();

    // Velero's objects of a request carry its name; its volumes carry the
    // Restore's, which is made from the request's uid.
    let labelled = {
        let namespace = config.namespace.clone();
        move |labels: &std::collections::BTreeMap<String, String>| {
            labels
                .get(names::REQUEST_NAME_LABEL)
                .map(|name| ObjectRef::<RestoreRequest>::new(name).within(&namespace))
        }
    };
    let velero = &config.velero.namespace;
    for (kind, plural) in [("Restore", "restores"), ("Backup", "backups")] {
        let kind = effects::velero_kind(kind, plural);
        let labelled = labelled.clone();
        controller = controller.watches_with(
            metadata(&client, velero, &kind),
            kind,
            watcher::Config::default(),
            move |object| labelled(object.labels()),
        );
    }
    let volumes = effects::velero_kind("PodVolumeRestore", "podvolumerestores");
    let of_volumes = store.clone();
    controller = controller.watches_with(
        metadata(&client, velero, &volumes),
        volumes,
        watcher::Config::default(),
        move |object| {
            let restore = object.labels().get("velero.io/restore-name").cloned();
            let is_of = |request: &RestoreRequest| {
                restore.as_ref().is_some_and(|restore| {
                    *restore == names::restore(&uid(request), round(request))
                })
            };
            refs(&of_volumes, is_of)
        },
    );
    for namespace in &config.argocd.namespaces {
        let kind = effects::argocd_kind("Application", "applications");
        let store = store.clone();
        controller = controller.watches_with(
            metadata(&client, namespace, &kind),
            kind,
            watcher::Config::default(),
            move |_| {
                // Which requests an Application matters to is found out by where
                // it deploys, which its metadata does not say. Few are awaiting it.
                refs(&store, |request| {
                    matches!(
                        request.phase(),
                        Phase::Settling | Phase::Clearing | Phase::Restoring | Phase::Resuming
                    )
                })
            },
        );
    }

    let woken = wake::stream(wake.subscribe(), store, wake::concerns_restore);
    let controller = controller.reconcile_on(woken);
    let schedules = schedules(&config, &client, &context);
    let woken = wake::stream(wake.subscribe(), schedules.store(), schedule::wakes);
    let schedules = schedules.reconcile_on(woken);
    let copies = copies(&config, &client, &context);
    let filled = {
        let (restores, changes, copied) = (controller.store(), schedules.store(), copies.store());
        let caches = context.clients.metrics.caches();
        caches.keep_requests(restores.clone(), changes.clone(), copied.clone());
        async move {
            let (restores, changes, copied) = tokio::join!(
                restores.wait_until_ready(),
                changes.wait_until_ready(),
                copied.wait_until_ready()
            );
            // A cache that was dropped is one that ends with everything else.
            if restores.is_ok() && changes.is_ok() && copied.is_ok() {
                ready.reach(Need::Requests);
            }
        }
    };
    tokio::join!(
        filled,
        carry(controller, Arc::clone(&context), stop.clone()),
        carry(schedules, Arc::clone(&context), stop.clone()),
        carry(copies, context, stop)
    );
    Ok(())
}

/// The controller of changes of schedules, with what it watches.
fn schedules(
    config: &Config,
    client: &kube::Client,
    context: &Context,
) -> Controller<ScheduleRequest> {
    let mut controller = Controller::new(context.schedules.clone(), watcher::Config::default());
    let store = controller.store();
    // A Schedule, and a backup of it, has the tenant's name before its own.
    for (kind, plural) in [("Schedule", "schedules"), ("Backup", "backups")] {
        let kind = effects::velero_kind(kind, plural);
        let store = store.clone();
        controller = controller.watches_with(
            metadata(client, &config.velero.namespace, &kind),
            kind,
            watcher::Config::default(),
            move |object| {
                let name = object.name_any();
                refs(&store, |request: &ScheduleRequest| {
                    schedule::watches_velero(request) && name.starts_with(&request.spec.tenant)
                })
            },
        );
    }
    let kind = effects::argocd_kind("Application", "applications");
    controller.watches_with(
        metadata(client, &config.argocd.platform_namespace, &kind),
        kind,
        watcher::Config::default(),
        move |_| refs(&store, schedule::watches_argocd),
    )
}

/// The controller of copies, with what it watches.
fn copies(config: &Config, client: &kube::Client, context: &Context) -> Controller<CopyRequest> {
    let controller = Controller::new(context.copies.clone(), watcher::Config::default());
    let store = controller.store();
    // A Restore carries its request's name; what else runs may be before it in the queue.
    let kind = effects::velero_kind("Restore", "restores");
    controller.watches_with(
        metadata(client, &config.velero.namespace, &kind),
        kind,
        watcher::Config::default(),
        move |_| refs(&store, copy::watches_velero),
    )
}

/// Runs a controller until `stop`.
async fn carry<M: Machine>(
    controller: Controller<M>,
    context: Arc<Context>,
    stop: CancellationToken,
) {
    controller
        .graceful_shutdown_on(async move { stop.cancelled().await })
        .run(reconcile::<M>, on_error, context)
        .for_each(|result| async move {
            if let Err(error) = result {
                // A request that is gone is no error; all else was logged where it arose.
                tracing::debug!(%error, "a pass ended early");
            }
        })
        .await;
}

/// Takes back what an earlier process may have left of the right to delete; tries
/// until it is done, since nothing else should begin before.
async fn sweep_rights(context: &Context, stop: &CancellationToken) {
    let sweep = || async {
        let everything = kube::api::ListParams::default();
        let requests: Api<DeserializeGuard<RestoreRequest>> =
            Api::namespaced(context.clients.kube.clone(), &context.config.namespace);
        let clearing = requests
            .list(&everything)
            .await?
            .into_iter()
            .filter_map(|request| request.0.ok())
            .filter(|request| request.phase() == Phase::Clearing)
            .flat_map(|request| {
                let name = request.name_any();
                let namespaces = request.spec.namespaces.into_iter();
                namespaces.map(move |namespace| (namespace, name.clone()))
            })
            .collect();
        context.rights.sweep(&clearing).await
    };
    let until_done = async {
        while let Err(error) = sweep().await {
            tracing::warn!(%error, "the right to delete cannot be taken back yet");
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    tokio::select! {
        () = until_done => {}
        () = stop.cancelled() => {}
    }
}

/// The metadata of the objects of a kind. An object that cannot be decoded cannot
/// stop a watch of it, since only metadata is read.
fn metadata(
    client: &kube::Client,
    namespace: &str,
    kind: &ApiResource,
) -> Api<PartialObjectMeta<DynamicObject>> {
    Api::namespaced_with(client.clone(), namespace, kind)
}

fn refs<M: Machine>(store: &Store<M>, wanted: impl Fn(&M) -> bool) -> Vec<ObjectRef<M>> {
    store
        .state()
        .iter()
        .filter(|request| wanted(request))
        .map(|request| ObjectRef::from_obj(request.as_ref()))
        .collect()
}

fn status(request: &RestoreRequest) -> RestoreStatus {
    request.status.clone().unwrap_or_default()
}

/// How many Restores of this request have been tried and given up.
fn round(request: &RestoreRequest) -> usize {
    request
        .status
        .as_ref()
        .map_or(0, |status| status.earlier_restores.len())
}

/// Why a pass ended early.
#[derive(Debug, thiserror::Error)]
enum Interrupted {
    #[error("the request cannot be read or written: {0}")]
    Request(#[from] kube::Error),
}

fn on_error<M: Machine>(_: Arc<M>, error: &Interrupted, _: Arc<Context>) -> Action {
    tracing::warn!(%error, "trying again");
    Action::requeue(Duration::from_secs(1))
}

async fn reconcile<M: Machine>(
    request: Arc<M>,
    context: Arc<Context>,
) -> Result<Action, Interrupted> {
    let (name, tenant) = (request.name_any(), request.tenant());
    let span = tracing::info_span!("reconcile", request = name, tenant);
    // Before it is entered: then its trace is decided.
    in_trace_of(&span, &request.uid().unwrap_or_default());
    pass(request, context).instrument(span).await
}

/// One pass: turns, until there is nothing to do at once.
async fn pass<M: Machine>(request: Arc<M>, context: Arc<Context>) -> Result<Action, Interrupted> {
    // I/O: what woke us may be older than what is written.
    let Some(mut request) = M::api(&context).get_opt(&request.name_any()).await? else {
        return Ok(Action::await_change());
    };
    if let Some(pause) = backing_off(&request, Timestamp::now()) {
        // Writing down a failure wakes us as well; it must not cut the pause short.
        return Ok(Action::requeue(pause));
    }
    let context = context.for_a_pass();
    for _ in 0..STEPS {
        if context.stop.is_cancelled() {
            // The next start goes on from what is written.
            return Ok(Action::await_change());
        }
        match turn(&context, request).await? {
            Turn::Go(next) => request = *next,
            Turn::Rest(action) => return Ok(action),
        }
    }
    Ok(Action::requeue(Duration::ZERO))
}

enum Turn<M> {
    Go(Box<M>),
    Rest(Action),
}

/// One turn of the loop: observe, decide, act, record.
async fn turn<M: Machine>(context: &Context, request: M) -> Result<Turn<M>, Interrupted> {
    // I/O: nothing else happens while a right is held that is no longer needed.
    if let Err(error) = request.lay_down_rights(context).await {
        return fail(context, request, "take back the right to delete", &error).await;
    }
    let _admission = if request.needs_admission() {
        Some(context.admission.lock().await)
    } else {
        None
    };
    // I/O: reads only.
    let seen = request.observe(context).await;
    let now = Timestamp::now();
    let step = match seen {
        Ok(observed) => request.decide(&observed, context, now),
        // A world that cannot be seen must not keep people from withdrawing, nor
        // reminders and answers from being written down.
        Err(error) => match request.decide(&M::nothing_seen(), context, now) {
            step @ Step::Record(_) => step,
            Step::Act(_) | Step::Wait { .. } | Step::Rest => {
                return fail(context, request, "look at the world", &error).await;
            }
        },
    };
    match step {
        Step::Record(fact) => record::record(context, request, fact).await.map(Turn::from),
        Step::Act(effect) => {
            let name = M::name_of(&effect);
            tracing::info!(effect = name, "acting");
            // I/O: the one place where the world is changed.
            let span = tracing::info_span!("effect", effect = name);
            match request.act(context, effect).instrument(span).await {
                Ok(Some(fact)) => record::record(context, request, fact).await.map(Turn::from),
                Ok(None) => again(context, request).await,
                Err(error) => fail(context, request, name, &error).await,
            }
        }
        Step::Wait { until, why } => {
            if request.waiting() != why.as_deref() {
                return record::record(context, request, M::waits(why))
                    .await
                    .map(Turn::from);
            }
            let pause = until.duration_since(now).max(jiff::SignedDuration::ZERO);
            Ok(Turn::Rest(Action::requeue(pause.unsigned_abs())))
        }
        Step::Rest => Ok(Turn::Rest(Action::await_change())),
    }
}

impl<M> From<M> for Turn<M> {
    fn from(request: M) -> Self {
        Self::Go(Box::new(request))
    }
}

/// After an effect that leaves no fact: look again, at what is written now.
async fn again<M: Machine>(context: &Context, request: M) -> Result<Turn<M>, Interrupted> {
    Ok(match M::api(context).get_opt(&request.name_any()).await? {
        Some(request) => Turn::from(request),
        None => Turn::Rest(Action::await_change()),
    })
}

/// Writes down that something failed, once per kind of failure, and waits
/// before it is tried again.
async fn fail<M: Machine>(
    context: &Context,
    request: M,
    effect: &str,
    error: &anyhow::Error,
) -> Result<Turn<M>, Interrupted> {
    let message = format!("{error:#}");
    tracing::warn!(effect, error = message, "failed; it will be tried again");
    let fact = M::failed(effect.to_owned(), message);
    let request = record::record(context, request, fact).await?;
    let pause = backing_off(&request, Timestamp::now()).unwrap_or_default();
    Ok(Turn::Rest(Action::requeue(pause)))
}

/// How long it still is until what failed last is tried again.
fn backing_off<M: Machine>(request: &M, now: Timestamp) -> Option<Duration> {
    let last = request.last_error()?;
    let pause = Duration::from_millis(100)
        .saturating_mul(1 << last.attempts.min(10))
        .min(LONGEST_BACKOFF);
    // A clock that went back must not make the pause longer than it is.
    let passed = now.duration_since(last.at).max(jiff::SignedDuration::ZERO);
    pause
        .checked_sub(passed.unsigned_abs())
        .filter(|rest| !rest.is_zero())
}
