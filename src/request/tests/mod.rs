//! The machine in tables, and a walk through it.

//T mod applications;
//T mod approval;
mod apply;
mod build;
//T mod conditions;
mod decide;
//T mod digest;
//T mod inventory;
mod phase;
//T mod preflight;
mod walk;
mod world;
