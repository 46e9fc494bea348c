//! The `refloat` binary.

use std::io;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use refloat::cli::order::{self, OrderCommand};

/// Carries a tenant through a Velero restore on an Argo CD platform.
#[derive(Debug, Parser)]
#[command(name = "refloat", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Read and edit a tenant order, byte for byte, without a cluster.
    Order {
        #[command(subcommand)]
        command: OrderCommand,
    },
}

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Order { command } => {
            let (mut stdin, mut stdout, mut stderr) = (io::stdin(), io::stdout(), io::stderr());
            order::run(command, &mut stdin, &mut stdout, &mut stderr).into()
        }
    }
}
