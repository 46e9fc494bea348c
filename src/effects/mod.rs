//! What Refloat does to the world, and how it reads it: one file per service.
//!
//! Architecture invariant: an effect never decides. Each is find-or-create: it
//! first looks whether it has already happened, so that repeating it after a
//! lost answer does nothing. The clients' own retries are off.

pub mod argocd;
pub mod clear;
pub mod cluster;
pub mod copies;
pub mod github;
pub mod notes;
pub mod rights;
pub mod schedules;
pub mod sweep;
pub mod velero;

use std::time::Duration;

use anyhow::Context as _;
use http::Response;
use kube::client::ClientBuilder;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::DynamicObject;
use kube::core::discovery::ApiResource;
use kube::{Api, Client};
use tower::BoxError;
use tower::util::MapResultLayer;

use crate::config::Config;
use crate::telemetry::Metrics;

/// The clients of everything that Refloat touches.
#[derive(Clone)]
pub struct Clients {
    pub kube: Client,
    pub github: github::Github,
    pub metrics: Metrics,
}

impl std::fmt::Debug for Clients {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Clients").finish_non_exhaustive()
    }
}

impl Clients {
    /// Makes the clients; connects to nothing yet.
    pub async fn connect(config: &Config) -> anyhow::Result<Self> {
        let metrics = Metrics::default();
        Ok(Self {
            kube: kubernetes(config, &metrics).await?,
            github: github::Github::new(&config.github, &metrics)?,
            metrics,
        })
    }
}

async fn kubernetes(config: &Config, metrics: &Metrics) -> anyhow::Result<Client> {
    let mut client = match &config.kubeconfig {
        Some(path) => {
            let kubeconfig = Kubeconfig::read_from(path)
                .with_context(|| format!("the kubeconfig {} cannot be read", path.display()))?;
            kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?
        }
        None => kube::Config::infer()
            .await
            .context("no kubeconfig was named, and none was found; nor is this a pod")?,
    };
    // A retry has to look first whether the effect already happened, which
    // only the next pass can do.
    client.default_retry = false;
    client.connect_timeout = Some(Duration::from_secs(10));
    // Longer than the longest watch, which says nothing while nothing happens.
    client.read_timeout = Some(Duration::from_secs(330));
    client.write_timeout = Some(Duration::from_secs(30));
    let metrics = metrics.clone();
    let counted = MapResultLayer::new(move |answer: Result<Response<_>, BoxError>| {
        let code = answer.as_ref().ok().map(|answer| answer.status().as_u16());
        metrics.called("kubernetes", code);
        answer
    });
    Ok(ClientBuilder::try_from(client)?
        .with_layer(&counted)
        .build())
}

/// Whether the API server did not answer, or was not able to, which another look mends.
pub(crate) fn is_passing(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<kube::Error>())
        .any(|error| match error {
            kube::Error::Api(status) => matches!(status.code, 409 | 429 | 500..),
            _ => true,
        })
}

/// A kind of Velero, by its plural.
pub(crate) fn velero_kind(kind: &str, plural: &str) -> ApiResource {
    ApiResource {
        group: "velero.io".to_owned(),
        version: "v1".to_owned(),
        api_version: "velero.io/v1".to_owned(),
        kind: kind.to_owned(),
        plural: plural.to_owned(),
    }
}

/// A kind of Argo CD, by its plural.
pub(crate) fn argocd_kind(kind: &str, plural: &str) -> ApiResource {
    ApiResource {
        group: "argoproj.io".to_owned(),
        version: "v1alpha1".to_owned(),
        api_version: "argoproj.io/v1alpha1".to_owned(),
        kind: kind.to_owned(),
        plural: plural.to_owned(),
    }
}

pub(crate) fn dynamic(client: &Client, namespace: &str, kind: &ApiResource) -> Api<DynamicObject> {
    Api::namespaced_with(client.clone(), namespace, kind)
}

/// Reading what may not be there out of an object whose schema is somebody else's.
pub(crate) mod json {
    use jiff::Timestamp;
    use serde_json::Value;

    pub(crate) fn text<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
        value.pointer(pointer).and_then(Value::as_str)
    }

    pub(crate) fn string(value: &Value, pointer: &str) -> String {
        text(value, pointer).unwrap_or_default().to_owned()
    }

    pub(crate) fn number(value: &Value, pointer: &str) -> i64 {
        value.pointer(pointer).and_then(Value::as_i64).unwrap_or(0)
    }

    pub(crate) fn flag(value: &Value, pointer: &str) -> Option<bool> {
        value.pointer(pointer).and_then(Value::as_bool)
    }

    pub(crate) fn time(value: &Value, pointer: &str) -> Option<Timestamp> {
        text(value, pointer).and_then(|text| text.parse().ok())
    }

    pub(crate) fn strings(value: &Value, pointer: &str) -> Vec<String> {
        items(value, pointer)
            .filter_map(Value::as_str)
            .map(ToOwned::to_owned)
            .collect()
    }

    pub(crate) fn items<'a>(value: &'a Value, pointer: &str) -> impl Iterator<Item = &'a Value> {
        value
            .pointer(pointer)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
    }
}
