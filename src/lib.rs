//! Refloat carries a tenant through a Velero restore on an Argo CD platform.

pub mod chat;
pub mod cli;
pub mod order;
pub mod request;
