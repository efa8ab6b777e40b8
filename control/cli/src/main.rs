//! The `fulcrum` command: checks a configuration, runs the balancer, and asks a running one.
#![forbid(unsafe_code)]

mod ask;
mod check;
mod file;
mod run;

use ask::{Place, Question, Target};
use clap::{Parser, Subcommand};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

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
        /// Folder of what outlives a reboot: revisions of the file, what was asked of real servers.
        #[arg(long, default_value = "/var/lib/fulcrum", value_name = "DIR")]
        state_dir: PathBuf,
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
    /// Applies a configuration file. The file of `fulcrum run` then says the same.
    Apply {
        /// The configuration file.
        file: PathBuf,
        /// Why, for the list of revisions.
        #[arg(long, short, default_value = "")]
        message: String,
        #[command(flatten)]
        trial: Trial,
        #[command(flatten)]
        options: ask::Options,
    },
    /// Keeps the applied revision, which would go back by itself.
    Confirm(ask::Options),
    /// Goes back to an earlier revision of the configuration.
    Rollback {
        /// The revision's number; without it the one before.
        revision: Option<u64>,
        #[command(flatten)]
        trial: Trial,
        #[command(flatten)]
        options: ask::Options,
    },
    /// Revisions of the configuration, newest first.
    Revisions(ask::Options),
    /// One revision: who made it, why, and what it changed.
    Revision {
        /// Its number.
        number: u64,
        #[command(flatten)]
        options: ask::Options,
    },
    /// The configuration in force, as it was written.
    Config(ask::Options),
    /// What happened lately: checks, requests, processes.
    Events(ask::Options),
    /// Takes a real server out of service, or back in.
    RealServer {
        #[command(subcommand)]
        command: RealServerCommand,
    },
}

/// A change on trial.
#[derive(clap::Args)]
struct Trial {
    /// Take it back by itself unless `fulcrum confirm` comes within this time (30s, 5m, 1h).
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    confirm_within: Option<Duration>,
}

impl Trial {
    /// Whole seconds, at least one.
    fn seconds(&self) -> Option<u64> {
        self.confirm_within.map(|time| time.as_secs().max(1))
    }
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
        Command::Run { file, state_dir, place } => run::run(&file, &place.runtime_dir, &state_dir),
        Command::Status(options) => ask::ask(&Question::Status, &options),
        Command::Service { command: ServiceCommand::List(options) } => {
            ask::ask(&Question::Services, &options)
        }
        Command::Connections { limit, options } => {
            ask::ask(&Question::Connections { limit }, &options)
        }
        Command::Counters(options) => ask::ask(&Question::Counters, &options),
        Command::Events(options) => ask::ask(&Question::Events, &options),
        Command::Plan { file, options } => {
            with_text(&file, |text| ask::ask(&Question::Plan { text }, &options))
        }
        Command::Apply { file, message, trial, options } => with_text(&file, |text| {
            let confirm_within_s = trial.seconds();
            ask::ask(&Question::Apply { text, message, confirm_within_s }, &options)
        }),
        Command::Confirm(options) => ask::ask(&Question::Confirm, &options),
        Command::Rollback { revision: to, trial, options } => {
            let confirm_within_s = trial.seconds();
            ask::ask(&Question::Rollback { to, confirm_within_s }, &options)
        }
        Command::Revisions(options) => ask::ask(&Question::Revisions, &options),
        Command::Revision { number, options } => ask::ask(&Question::Revision { number }, &options),
        Command::Config(options) => ask::ask(&Question::Config, &options),
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

/// Does something with a file's text, if it has one.
fn with_text(file: &Path, action: impl FnOnce(String) -> ExitCode) -> ExitCode {
    match file::text(file) {
        Ok(text) => action(text),
        Err(what) => {
            eprintln!("fulcrum: {what}");
            ExitCode::FAILURE
        }
    }
}
