//! The command line.

pub mod order;
