//! An API server for the tests of this crate.

use kube::Client;
use tokio_util::sync::CancellationToken;

use crate::kubernetes;

/// An API server with the kinds of Velero and Argo CD; it ends with `stop`.
/// The published definitions are used if `HARBOUR_SPECS` says where they are.
pub(crate) async fn api_server(stop: &CancellationToken) -> anyhow::Result<Client> {
    let server = kubernetes::Server::start(kubernetes::Options {
        specs: std::env::var_os("HARBOUR_SPECS").map(Into::into),
        stop: stop.clone(),
        ..kubernetes::Options::default()
    })
    .await?;
    server.install_crds().await?;
    Ok(server.client("harbour"))
}
