//! The server as its clients see it.

mod applying;
mod changes;
mod custom;
mod keeping;
mod lists;
mod objects;
mod watches;

use std::future::Future;
use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::api::{Api, PostParams};
use serde_json::{Value, json};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{Options, Server};

/// A server that ends with the test, and a client of it.
struct Harbour {
    server: Server,
    client: kube::Client,
    _stop: DropGuard,
}

impl Harbour {
    /// Starts a server with the namespaces `one` and `two`.
    async fn start() -> Self {
        let stop = CancellationToken::new();
        let server = Server::start(Options {
            stop: stop.clone(),
            ..Options::default()
        })
        .await
        .unwrap();
        let client = server.client("test");
        let namespaces: Api<Namespace> = Api::all(client.clone());
        for name in ["one", "two"] {
            let namespace = parse(json!({"metadata": {"name": name}}));
            namespaces
                .create(&PostParams::default(), &namespace)
                .await
                .unwrap();
        }
        Self {
            server,
            client,
            _stop: stop.drop_guard(),
        }
    }

    fn api<K>(&self, ns: &str) -> Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.client.clone(), ns)
    }

    /// Sends a request as it is and gives the status code and the body.
    async fn send(&self, method: &str, path: &str, media: &str, body: &Value) -> (u16, Value) {
        let request = axum::http::Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", media)
            .body(kube::client::Body::from(if body.is_null() {
                Vec::new()
            } else {
                body.to_string().into_bytes()
            }))
            .unwrap();
        let answer = self.client.send(request).await.unwrap();
        let code = answer.status().as_u16();
        let bytes = http_body_util::BodyExt::collect(answer.into_body())
            .await
            .unwrap()
            .to_bytes();
        (code, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }
}

fn parse<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

fn config_map(name: &str, value: &str) -> ConfigMap {
    parse(json!({"metadata": {"name": name, "labels": {"value": value}}, "data": {"key": value}}))
}

/// The code and reason of a refusal.
fn refusal<T: std::fmt::Debug>(result: Result<T, kube::Error>) -> (u16, String) {
    match result {
        Err(kube::Error::Api(status)) => (status.code, status.reason),
        other => panic!("not refused by the server: {other:?}"),
    }
}

/// Fails the test if `future` takes longer than anything here should.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future)
        .await
        .expect("still waiting after 20 seconds")
}
