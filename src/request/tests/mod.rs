//! The machine in tables, and a walk through it.

//T mod applications;
//T mod approval;
//T mod apply;
mod build;
//T mod conditions;
//T mod decide;
//T mod digest;
//T mod inventory;
//T mod phase;
//T mod preflight;
mod walk;
mod world;
