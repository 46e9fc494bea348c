//! The `refloat` binary.

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    refloat::cli::main(refloat::cli::Cli::parse())
}
