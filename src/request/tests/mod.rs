//! The machine in tables, and a walk through it.

mod applications;
mod approval;
mod apply;
mod build;
mod conditions;
mod decide;
mod digest;
mod inventory;
mod phase;
//T mod preflight;
mod walk;
mod world;
