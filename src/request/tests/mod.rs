//! The machine in tables, and a walk through it.

mod applications;
mod apply;
mod approval;
pub(crate) mod build;
mod conditions;
mod decide;
mod digest;
mod inventory;
mod model;
mod phase;
mod preflight;
mod walk;
mod world;
