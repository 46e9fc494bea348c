//! The harbour: the world in which Refloat is tested and shown.
//!
//! Each server speaks the real protocol on loopback, keeps real state, and
//! refuses what the real service refuses. Argo CD, Velero and the workload
//! controllers are ordinary clients of a Kubernetes API, so that they run
//! against any API server.

pub mod argocd;
pub mod discord;
pub mod gate;
pub mod github;
mod harbour;
pub mod kubernetes;
mod sweep;
pub mod velero;
pub mod workloads;
pub mod world;

pub use harbour::{
    Harbour, HarbourClient, Namespaces, REFLOAT_GITHUB_TOKEN, REFLOAT_KUBERNETES_TOKEN,
    REFLOAT_LOGIN, Setup, client_of, ensure_namespace, published_specs,
};
