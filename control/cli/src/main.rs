//! The `fulcrum` command: checks a configuration, runs the balancer, and asks a running one.
#![forbid(unsafe_code)]

mod check;
mod file;
mod run;

use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

/// The Fulcrum load balancer.
#[derive(Parser)]
#[command(name = "fulcrum", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Says what is wrong with a configuration file. Changes nothing.
    Check(check::Options),
    /// Runs the balancer in the foreground until SIGINT or SIGTERM. SIGHUP reads the file anew.
    Run {
        /// The configuration file.
        file: PathBuf,
        #[command(flatten)]
        place: Place,
    },
}

/// Where the balancer keeps its sockets.
#[derive(Args)]
struct Place {
    /// Folder of the sockets and of what outlives a process.
    #[arg(long, default_value = "/run/fulcrum", value_name = "DIR")]
    runtime_dir: PathBuf,
}

fn main() -> ExitCode {
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("info")).init();
    match Cli::parse().command {
        Command::Check(options) => check::check(&options),
        Command::Run { file, place } => run::run(&file, &place.runtime_dir),
    }
}
