//! Refloat carries a tenant through a Velero restore on an Argo CD platform.

pub mod backups;
pub mod caches;
pub mod chat;
pub mod cli;
pub mod clock;
pub mod config;
pub mod controller;
pub mod copy;
pub mod effects;
pub mod lease;
pub mod notify;
pub mod order;
pub mod request;
pub mod schedule;
pub mod schedule_times;
pub mod serve;
pub mod telemetry;
pub mod web;
