//! Refloat as a whole: the controller, the thread publisher and the front desk.

use std::sync::Arc;

use kube::CustomResourceExt as _;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::controller;
use crate::effects::Clients;
use crate::request::RestoreRequest;

/// Runs Refloat until `stop`; ends earlier only with the reason.
pub async fn serve(config: Arc<Config>, stop: CancellationToken) -> anyhow::Result<()> {
    let clients = Clients::connect(&config).await?;
    check_definitions(&clients, &config).await?;
    controller::run(config, clients, stop).await
}

/// Fails early, and with what to do, if the API server does not know the
/// requests, or does not let Refloat read them.
async fn check_definitions(clients: &Clients, config: &Config) -> anyhow::Result<()> {
    let requests: kube::Api<RestoreRequest> =
        kube::Api::namespaced(clients.kube.clone(), &config.namespace);
    match requests
        .list_metadata(&kube::api::ListParams::default().limit(1))
        .await
    {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 404 => anyhow::bail!(
            "the cluster does not know {}: apply what `refloat crd` prints",
            RestoreRequest::crd_name()
        ),
        Err(error) => Err(anyhow::Error::new(error).context(format!(
            "the requests in the namespace {} cannot be read",
            config.namespace
        ))),
    }
}
