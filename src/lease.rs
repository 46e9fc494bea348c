//! Which of several replicas works: the holder of a Lease.
//!
//! The crates that speak Lease are made for other versions of kube, or overwrite the
//! Lease without saying which version of it they read, so that two may believe they
//! hold it. What is needed is small: read, and replace under `resourceVersion`.
//!
//! Whether a holder is gone is judged by this process's own clock, from when it last
//! saw the Lease change: clocks of two machines are not one. A holder that could not
//! renew stops working well before anybody else may take the Lease, and what it had
//! under way is guarded like every effect is.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease as Object, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{Api, PostParams};
use kube::core::ObjectMeta;

use crate::config;

/// A place in the queue for a Lease.
#[derive(Debug)]
pub struct Lease {
    api: Api<Object>,
    name: String,
    /// This process; no other has the same.
    me: String,
    duration: Duration,
}

/// Why the Lease is no longer held.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Lost {
    #[error("the lease {lease} is now held by {holder}")]
    Taken { lease: String, holder: String },
    #[error("the lease {lease} could not be renewed in time: {why}")]
    NotRenewed { lease: String, why: String },
}

/// What one look at the Lease came to.
enum Look {
    Mine,
    /// Somebody has it, and this is what it looked like.
    Others(Seen),
}

/// A Lease of somebody else, as it was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    holder: String,
    version: String,
    duration: Duration,
}

impl Lease {
    pub fn new(client: kube::Client, namespace: &str, settings: &config::Lease) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
            name: settings.name.clone(),
            me: identity(),
            duration: settings.duration,
        }
    }

    /// Waits until this process holds the Lease, however long that takes.
    pub async fn acquire(&self) {
        let mut watched: Option<(Seen, Instant)> = None;
        loop {
            let gone = watched
                .as_ref()
                .filter(|(seen, since)| since.elapsed() > seen.duration)
                .map(|(seen, _)| seen.version.clone());
            match self.in_time(self.take(gone.as_deref())).await {
                Ok(Look::Mine) => {
                    tracing::info!(lease = self.name, holder = self.me, "leading");
                    return;
                }
                Ok(Look::Others(seen)) => match &watched {
                    Some((before, _)) if *before == seen => {}
                    _ => {
                        if watched.as_ref().map(|(before, _)| &before.holder) != Some(&seen.holder)
                        {
                            let holder = &seen.holder;
                            tracing::info!(lease = self.name, holder, "standing by");
                        }
                        watched = Some((seen, Instant::now()));
                    }
                },
                Err(error) => tracing::warn!(lease = self.name, %error, "no lease yet"),
            }
            tokio::time::sleep(self.pause()).await;
        }
    }

    /// Renews the Lease for as long as that can be done; then says why not.
    pub async fn hold(&self) -> Lost {
        let mut renewed = Instant::now();
        loop {
            tokio::time::sleep(self.pause()).await;
            // Others count from when the change arrives, which is later than this.
            let asked = Instant::now();
            match self.in_time(self.take(None)).await {
                Ok(Look::Mine) => renewed = asked,
                Ok(Look::Others(seen)) => {
                    return Lost::Taken {
                        lease: self.name.clone(),
                        holder: seen.holder,
                    };
                }
                // The next look might end after four fifths of the time; whoever takes
                // the Lease over waits for the whole.
                Err(why) if renewed.elapsed() + 2 * self.pause() > self.duration * 4 / 5 => {
                    return Lost::NotRenewed {
                        lease: self.name.clone(),
                        why,
                    };
                }
                Err(error) => tracing::warn!(lease = self.name, %error, "not renewed yet"),
            }
        }
    }

    /// Gives the Lease up, so that another need not wait for its end.
    pub async fn release(&self) {
        let release = async {
            let Some(mut object) = self.api.get_opt(&self.name).await? else {
                return Ok(());
            };
            let spec = object.spec.get_or_insert_default();
            if spec.holder_identity.as_deref() != Some(self.me.as_str()) {
                return Ok(());
            }
            spec.holder_identity = None;
            self.api
                .replace(&self.name, &PostParams::default(), &object)
                .await?;
            Ok::<_, kube::Error>(())
        };
        // A stop has to end soon, however long the Lease lasts.
        let within = self.pause().min(Duration::from_secs(1));
        if let Err(error) = answered(within, release).await {
            tracing::warn!(lease = self.name, %error, "not given up; it will end by itself");
        }
    }

    /// Takes or renews the Lease if it is free, this process's own, or still at the
    /// version at which its holder is `gone`.
    async fn take(&self, gone: Option<&str>) -> Result<Look, kube::Error> {
        let now = MicroTime(Timestamp::now());
        let Some(mut object) = self.api.get_opt(&self.name).await? else {
            let object = Object {
                metadata: ObjectMeta {
                    name: Some(self.name.clone()),
                    ..ObjectMeta::default()
                },
                spec: Some(LeaseSpec {
                    acquire_time: Some(now.clone()),
                    holder_identity: Some(self.me.clone()),
                    lease_duration_seconds: Some(self.seconds()),
                    lease_transitions: Some(0),
                    renew_time: Some(now),
                    ..LeaseSpec::default()
                }),
            };
            self.api.create(&PostParams::default(), &object).await?;
            return Ok(Look::Mine);
        };
        let version = object.metadata.resource_version.clone().unwrap_or_default();
        let spec = object.spec.get_or_insert_default();
        let holder = spec.holder_identity.clone().filter(|it| !it.is_empty());
        match holder {
            Some(holder) if holder != self.me && gone != Some(version.as_str()) => {
                let seconds = spec.lease_duration_seconds.unwrap_or(0).max(1);
                return Ok(Look::Others(Seen {
                    holder,
                    version,
                    duration: Duration::from_secs(u64::from(seconds.unsigned_abs())),
                }));
            }
            Some(holder) if holder == self.me => {}
            Some(_) | None => {
                spec.holder_identity = Some(self.me.clone());
                spec.acquire_time = Some(now.clone());
                spec.lease_transitions =
                    Some(spec.lease_transitions.unwrap_or(0).saturating_add(1));
            }
        }
        spec.lease_duration_seconds = Some(self.seconds());
        spec.renew_time = Some(now);
        // Guarded by the version that was read: of two that take it, one is refused.
        self.api
            .replace(&self.name, &PostParams::default(), &object)
            .await?;
        Ok(Look::Mine)
    }

    /// A request that hangs must not keep the holder from noticing that it is late.
    async fn in_time<T>(
        &self,
        work: impl Future<Output = Result<T, kube::Error>>,
    ) -> Result<T, String> {
        answered(self.pause(), work).await
    }

    /// Between two looks; five are made while the Lease lasts.
    fn pause(&self) -> Duration {
        self.duration / 5
    }

    fn seconds(&self) -> i32 {
        i32::try_from(self.duration.as_secs().max(1)).unwrap_or(i32::MAX)
    }
}

async fn answered<T>(
    within: Duration,
    work: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, String> {
    match tokio::time::timeout(within, work).await {
        Ok(done) => done.map_err(|error| error.to_string()),
        Err(_) => Err("the API server did not answer".to_owned()),
    }
}

/// The pod's name, and something that two processes in one pod do not share.
fn identity() -> String {
    use std::hash::{BuildHasher as _, RandomState};
    let host = std::env::var("HOSTNAME").unwrap_or_else(|_| "refloat".to_owned());
    format!(
        "{host}_{:016x}",
        RandomState::new().hash_one(std::process::id())
    )
}
