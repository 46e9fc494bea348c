//! The harbour: the world in which Refloat is tested and shown.
//!
//! Each server speaks the real protocol on loopback, keeps real state, and
//! refuses what the real service refuses. Argo CD, Velero and the workload
//! controllers are ordinary clients of a Kubernetes API, so that they run
//! against any API server.

pub mod argocd;
pub mod gate;
pub mod github;
pub mod kubernetes;
pub mod velero;
pub mod workloads;
pub mod world;
