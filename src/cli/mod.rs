//! The command line.

pub mod check;
pub mod crd;
pub mod order;
pub mod run;
pub mod schedule;

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::telemetry;
use order::OrderCommand;
use schedule::ScheduleCommand;

/// Carries a tenant through a Velero restore on an Argo CD platform.
#[derive(Debug, Parser)]
#[command(name = "refloat", version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the bot until it is stopped.
    Run {
        /// The configuration; see deploy/refloat.example.yaml.
        #[arg(long, default_value = "refloat.yaml")]
        config: PathBuf,
        /// How log lines look; they go to standard error.
        #[arg(long, value_enum, default_value = "text")]
        log: telemetry::Format,
    },
    /// Check the configuration against every service, without changing anything.
    Check {
        /// The configuration; see deploy/refloat.example.yaml.
        #[arg(long, default_value = "refloat.yaml")]
        config: PathBuf,
        /// How the findings are written.
        #[arg(long, value_enum, default_value = "text")]
        output: check::Output,
    },
    /// Print the custom resource definitions as YAML.
    Crd,
    /// Read and edit a tenant order, byte for byte, without a cluster.
    Order {
        #[command(subcommand)]
        command: OrderCommand,
    },
    /// Say what a schedule would do, without a cluster.
    Schedule {
        #[command(subcommand)]
        command: ScheduleCommand,
    },
}

/// Runs a command to its end; the answer is the process's exit code.
pub fn main(cli: Cli) -> ExitCode {
    let done = match cli.command {
        Command::Run { config, log } => run::run(&config, log),
        Command::Check { config, output } => check::run(&config, output, &mut io::stdout()),
        Command::Crd => crd::documents()
            .and_then(|text| io::stdout().write_all(text.as_bytes()).map_err(Into::into)),
        Command::Order { command } => {
            let (mut stdin, mut stdout, mut stderr) = (io::stdin(), io::stdout(), io::stderr());
            return order::run(command, &mut stdin, &mut stdout, &mut stderr).into();
        }
        Command::Schedule { command } => {
            let (mut stdout, mut stderr) = (io::stdout(), io::stderr());
            return schedule::run(&command, jiff::Timestamp::now(), &mut stdout, &mut stderr)
                .into();
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("refloat: {error:#}");
            ExitCode::FAILURE
        }
    }
}
