//! The `fulcrum` command: checks a configuration, runs the balancer, and asks a running one.
#![forbid(unsafe_code)]

mod ask;
mod check;
mod file;
mod run;

use ask::{Place, Question, Target};
use clap::{Parser, Subcommand};
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
    /// Whether all is well: configuration, data plane, ports.
    Status(ask::Options),
    /// Services and their real servers.
    Service {
        #[command(subcommand)]
        command: ServiceCommand,
    },
    /// Connections in the table.
    Connections {
        /// Rows to show at most.
        #[arg(long, default_value_t = 100, value_name = "N",
            value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
        limit: u32,
        #[command(flatten)]
        options: ask::Options,
    },
    /// What became of every packet.
    Counters(ask::Options),
    /// What a configuration file would change, and how many live connections it would break.
    Plan {
        /// The configuration file.
        file: PathBuf,
        #[command(flatten)]
        options: ask::Options,
    },
    /// What happened lately: checks, requests, processes.
    Events(ask::Options),
    /// Takes a real server out of service, or back in.
    RealServer {
        #[command(subcommand)]
        command: RealServerCommand,
    },
}

#[derive(Subcommand)]
enum ServiceCommand {
    /// Every service, with its real servers.
    List(ask::Options),
}

#[derive(Subcommand)]
enum RealServerCommand {
    /// No new connections; those that it has go on.
    Drain(Target),
    /// No connections at all, at once.
    Halt(Target),
    /// In service, as far as its check agrees.
    Online(Target),
}

fn main() -> ExitCode {
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("info")).init();
    match Cli::parse().command {
        Command::Check(options) => check::check(&options),
        Command::Run { file, place } => run::run(&file, &place.runtime_dir),
        Command::Status(options) => ask::ask(&Question::Status, &options),
        Command::Service { command: ServiceCommand::List(options) } => {
            ask::ask(&Question::Services, &options)
        }
        Command::Connections { limit, options } => {
            ask::ask(&Question::Connections { limit }, &options)
        }
        Command::Counters(options) => ask::ask(&Question::Counters, &options),
        Command::Events(options) => ask::ask(&Question::Events, &options),
        Command::Plan { file, options } => match file::text(&file) {
            Ok(text) => ask::ask(&Question::Plan { text }, &options),
            Err(what) => {
                eprintln!("fulcrum: {what}");
                ExitCode::FAILURE
            }
        },
        Command::RealServer { command } => {
            let (target, state) = match command {
                RealServerCommand::Drain(target) => (target, "drain"),
                RealServerCommand::Halt(target) => (target, "halt"),
                RealServerCommand::Online(target) => (target, "online"),
            };
            let Target { service, real_server, options } = target;
            ask::ask(&Question::Request { service, real_server, state }, &options)
        }
    }
}
